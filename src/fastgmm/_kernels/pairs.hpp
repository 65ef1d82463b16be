/* Gathering listed rows, their coordinates for a screen, and softmax over lists of pairs (row, component) instead of arrays
 * over all rows and components; used by screen.hpp and screened.hpp.
 *
 * The pairs of one component are two arrays of length n: `rows`, indices within the block, and v, log-densities at first.
 * Arrays over the rows of a block (peak, total, ..) are indexed by rows[a]. */
#ifndef FASTGMM_PAIRS_HPP
#define FASTGMM_PAIRS_HPP

#include "blocks.hpp"
#include "softmax.hpp"

/* As pack_rows, for listed rows: xt[j * STRIDE + a] <- feature j of row rows[a].  Rows of X start `width` numbers apart, and
 * `readable` numbers from X on may be read.  The padding repeats the last row. */
template <class Real>
static void pack_listed(const Real *RESTRICT X, int width, int d, ptrdiff_t readable, const uint16_t *RESTRICT rows, int n, int padded,
                              Real *RESTRICT xt)
{
    const ptrdiff_t last_safe = d >= lanes<Real> ? UINT16_MAX : readable < lanes<Real> ? -1 : (readable - lanes<Real>) / width; /* for vector loads */
    const int columns = d < lanes<Real> ? d : lanes<Real>;
    for (int i = 0; i < padded; i += lanes<Real>) {
        const Real *row[lanes<Real>];
        int safe = 1;
        for (int l = 0; l < lanes<Real>; l++) {
            int r = rows[i + l < n ? i + l : n - 1];
            row[l] = X + (ptrdiff_t)r * width;
            safe &= r <= last_safe;
        }
        if (d > 4 && lanes<Real> > 1 && safe)
            for (int j = 0; j < d; j += lanes<Real>) {
                int first = j + lanes<Real> <= d || d < lanes<Real> ? j : d - lanes<Real>;
                Vec<Real> t[lanes<Real>];
                UNROLL(16)
                for (int l = 0; l < lanes<Real>; l++) t[l] = *(const UnalignedVec<Real> *)(row[l] + first);
                transpose<Real>(t);
                UNROLL(16)
                for (int l = 0; l < lanes<Real>; l++)
                    if (l < columns) store(xt + (first + l) * STRIDE + i, t[l]);
            }
        else
            for (int j = 0; j < d; j++)
                for (int l = 0; l < lanes<Real>; l++) xt[j * STRIDE + i + l] = row[l][j];
    }
}

/* Coordinates for the screen, computed in float64: z (m, width) <- (x - center) P, zt (n_first, STRIDE) <- the first of them.
 * A row with |x - center| . scale > limits[0] or a coordinate beyond limits[1], for which the screen's rounding bounds do not
 * hold, or that is not finite, gets NaN, which no screen drops.  `scale` is padded with zeros to a multiple of 8. */
template <class Real>
static void project_rows(const Real *RESTRICT X, int m, int padded, int d, const double *RESTRICT center, const double *RESTRICT scale,
                               const double *RESTRICT P, int width, int n_first, const double *RESTRICT limits, float *RESTRICT z,
                               float *RESTRICT zt)
{
    enum { ROWS = 4, CHUNK = 32, VECS = 8 / lanes<double> };
    const float limit = (float)limits[1];
    for (int i = 0; i < m; i += ROWS) {
        int count = m - i < ROWS ? m - i : ROWS;
        double reach[ROWS][8];
        for (int r = 0; r < ROWS; r++)
            for (int l = 0; l < 8; l++) reach[r][l] = 0;
        for (int c = 0; c < width; c += 8) {
            Vec<double> sums[ROWS][VECS];
            UNROLL(4)
            for (int r = 0; r < ROWS; r++)
                UNROLL(4)
                for (int v = 0; v < VECS; v++) sums[r][v] = Vec<double>{};
            for (int first = 0; first < d; first += CHUNK) {
                double x[ROWS][CHUNK];
                int columns = d - first < CHUNK ? d - first : CHUNK;
                for (int r = 0; r < ROWS; r++) {
                    const Real *row = X + (ptrdiff_t)(r < count ? i + r : i) * d + first;
                    for (int j = 0; j < columns; j++) x[r][j] = row[j] - center[first + j];
                    for (int j = columns; j % 8; j++) x[r][j] = 0;
                    if (c == 0)
                        for (int j = 0; j < columns; j += 8)
                            for (int l = 0; l < 8; l++) reach[r][l] += fabs(x[r][j + l]) * scale[first + j + l];
                }
                for (int j = 0; j < columns; j++) {
                    const double *p = P + (ptrdiff_t)(first + j) * width + c;
                    UNROLL(4)
                    for (int v = 0; v < VECS; v++) {
                        Vec<double> direction = *(const UnalignedVec<double> *)(p + v * lanes<double>);
                        UNROLL(4)
                        for (int r = 0; r < ROWS; r++) sums[r][v] += x[r][j] * direction;
                    }
                }
            }
            for (int r = 0; r < count; r++) {
                double out[8];
                memcpy(out, sums[r], sizeof out);
                for (int l = 0; l < 8; l++) z[(i + r) * width + c + l] = (float)out[l];
            }
        }
        for (int r = 0; r < count; r++) {
            float *coordinates = z + (i + r) * width;
            const double *a = reach[r], far = ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
            int outside = !(far <= limits[0]);
            for (int c = 0; c < width; c++) outside += !(fabsf(coordinates[c]) <= limit);
            if (outside)
                for (int c = 0; c < width; c++) coordinates[c] = NAN;
            for (int c = 0; c < n_first; c++) zt[c * STRIDE + i + r] = coordinates[c];
        }
    }
    for (int c = 0; c < n_first; c++)
        for (int i = m; i < padded; i++) zt[c * STRIDE + i] = 0;
}

/* peak_i <- max(peak_i, v) for the pairs of one component */
template <class Real>
static void update_peaks(const Real *RESTRICT v, const uint16_t *RESTRICT rows, int n, Real *RESTRICT peak)
{
    for (int a = 0; a < n; a++) peak[rows[a]] = v[a] > peak[rows[a]] ? v[a] : peak[rows[a]];
}

/* Called for k = 0, 1, ..: labels_i <- the k with the largest v so far, the first of equals; as arg_max, also if v is NaN. */
template <class Real>
static void update_labels(const Real *RESTRICT v, const uint16_t *RESTRICT rows, int n, int k, Real *RESTRICT best, int32_t *RESTRICT labels)
{
    for (int a = 0; a < n; a++) {
        uint16_t i = rows[a];
        int better = k == 0 || v[a] > best[i];
        best[i] = better ? v[a] : best[i];
        labels[i] = better ? k : labels[i];
    }
}

/* kept, kept_rows <- v - peak and row of the pairs with slope v + constant >= peak; returns how many.  In place is allowed. */
template <class Real>
static int keep_pairs(const Real *v, const uint16_t *rows, int n, Real slope, Real constant, const Real *RESTRICT peak, Real *kept,
                            uint16_t *kept_rows)
{
    int count = 0;
    for (int a = 0; a < n; a++) {
        uint16_t i = rows[a];
        Real x = v[a], most = peak[i];
        kept[count] = x - most;
        kept_rows[count] = i;
        count += !(slope * x + constant < most);
    }
    return count;
}

/* v <- exp(v); total_i += exp(v), or its square with `root`; unless it is NULL spread_i += that times v as it was. */
template <class Real>
INLINE void sum_pairs(Real *RESTRICT v, const uint16_t *RESTRICT rows, int n, const int root, Real *RESTRICT total, Real *RESTRICT spread)
{
    const Real cut = root ? Limits<Real>::exp_cut_em / 2 : Limits<Real>::exp_cut_em;
    Real x[64];
    for (int first = 0; first < n; first += 64) {
        int count = n - first < 64 ? n - first : 64;
        Real *RESTRICT t = v + first;
        for (int a = 0; a < count; a++) x[a] = fast_exp(t[a], cut);
        for (int a = 0; a < count; a++) {
            uint16_t i = rows[first + a];
            Real term = root ? x[a] * x[a] : x[a];
            total[i] += term;
            if (spread) spread[i] += term * (t[a] > cut ? t[a] : cut);
            t[a] = x[a];
        }
    }
}

/* taken[a] <- scale of row rows[a]; v and taken are 0 in the padding. */
template <class Real>
static void take_scales(const Real *RESTRICT scale, const uint16_t *RESTRICT rows, int n, int padded, Real *RESTRICT v, Real *RESTRICT taken)
{
    for (int a = 0; a < n; a++) taken[a] = scale[rows[a]];
    for (int a = n; a < padded; a++) v[a] = taken[a] = 0;
}

#endif
