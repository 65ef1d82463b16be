/* Sufficient statistics of a block about the centers c_k, added to float64 sums: with r_ik = w_i resp_ik
 *     nk += r_ik,   sum_x += r_ik (x_i - c_k),   scatter += r_ik (x_i - c_k)(x_i - c_k)^T   (or its diagonal).
 *
 * r_ik comes as a product p[k]_i * scale_i, which is its square root where the scatter is summed from z_i = sqrt(r_ik)
 * (x_i - c_k): full matrices, d > 4.  Scatter is packed: for d <= 4 the upper triangle row by row, else TILE x TILE
 * tiles of the upper block triangle, each column by column (add_scatter unpacks it). Layout and edge as in blocks.hpp:
 * scale is 0 in the padding. */
#ifndef FASTGMM_STATISTICS_HPP
#define FASTGMM_STATISTICS_HPP

#include "blocks.hpp"

/* d <= 4: p * scale = r. */
template <class Real>
INLINE void accumulate_few(const int d, const Real *RESTRICT xt, int padded, const Real *RESTRICT center,
                                 const Real *RESTRICT p, const Real *RESTRICT scale, double *nk, double *sum_x,
                                 double *scatter)
{
    Vec<Real> sums[16] = {}; /* scatter, sum_x, nk */
    const int n_scatter = d * (d + 1) / 2;
    for (int i = 0; i < padded; i += lanes<Real>) {
        Vec<Real> r = load(p + i) * load(scale + i), x[4], rx[4];
        UNROLL(4)
        for (int j = 0; j < d; j++) {
            x[j] = load(xt + j * STRIDE + i) - center[j];
            rx[j] = r * x[j];
            sums[n_scatter + j] += rx[j];
        }
        sums[n_scatter + d] += r;
        UNROLL(4)
        for (int a = 0; a < d; a++)
            UNROLL(4)
            for (int b = a; b < d; b++) sums[a * d - a * (a + 1) / 2 + b] += rx[a] * x[b];
    }
    double out[16] = {0};
    add_sums<Real>(sums, (n_scatter + d + lanes<Real>) / lanes<Real> * lanes<Real>, out);
    for (int t = 0; t < n_scatter; t++) scatter[t] += out[t];
    for (int j = 0; j < d; j++) sum_x[j] += out[n_scatter + j];
    *nk += out[n_scatter + d];
}

/* z_j <- s (x_j - c_j) and sum_x_j += sum_i s_i z_ij for `columns` features, where s_i = sqrt(r_i). */
template <class Real>
INLINE void differences(const int columns, const Real *RESTRICT xt, int padded, const Real *RESTRICT center,
                              const Real *RESTRICT s, Real *RESTRICT z, double *sum_x)
{
    Vec<Real> sums[16] = {};
    for (int i = 0; i < padded; i += lanes<Real>) {
        Vec<Real> root = load(s + i);
        UNROLL(4)
        for (int j = 0; j < columns; j++) {
            Vec<Real> v = root * (load(xt + j * STRIDE + i) - center[j]);
            store(z + j * STRIDE + i, v);
            sums[j] += root * v;
        }
    }
    double out[16] = {0};
    add_sums<Real>(sums, (columns + lanes<Real> - 1) / lanes<Real> * lanes<Real>, out);
    for (int j = 0; j < columns; j++) sum_x[j] += out[j];
}

/* scatter += one tile of sum_i z_i z_i^T, column by column; on the diagonal (za = zb) only its upper triangle. */
template <class Real>
INLINE void tile_columns(const int rows, const int columns, const int diagonal, const Real *RESTRICT za,
                               const Real *RESTRICT zb, int padded, double *RESTRICT scatter)
{
    Vec<Real> sums[TILE * TILE] = {};
    for (int i = 0; i < padded; i += lanes<Real>) {
        Vec<Real> a[TILE], b[TILE];
        UNROLL(4)
        for (int j = 0; j < rows; j++) a[j] = load(za + j * STRIDE + i);
        UNROLL(4)
        for (int j = 0; j < columns; j++) b[j] = diagonal ? a[j] : load(zb + j * STRIDE + i);
        UNROLL(4)
        for (int r = 0; r < rows; r++)
            UNROLL(4)
            for (int c = diagonal ? r : 0; c < columns; c++) sums[c * TILE + r] += a[r] * b[c];
    }
    add_sums<Real>(sums, (columns * TILE + lanes<Real> - 1) / lanes<Real> * lanes<Real>, scatter);
}

/* The same in two halves where the registers do not hold a whole tile. */
template <class Real>
INLINE void tile(const int columns, const int diagonal, const Real *RESTRICT za, const Real *RESTRICT zb,
                       int padded, double *RESTRICT scatter)
{
    if (diagonal)
        tile_columns(columns, columns, 1, za, za, padded, scatter);
    else if (columns <= TILE_COLUMNS)
        tile_columns(TILE, columns, 0, za, zb, padded, scatter);
    else {
        tile_columns(TILE, TILE_COLUMNS, 0, za, zb, padded, scatter);
        tile_columns(TILE, columns - TILE_COLUMNS, 0, za, zb + TILE_COLUMNS * STRIDE, padded,
                           scatter + TILE_COLUMNS * TILE);
    }
}

enum { CACHED_COLUMNS = 128 }; /* the second-level cache holds so many columns of z */

/* scatter += sum_i z_i z_i^T, tile by tile. */
template <class Real>
static void accumulate_tiles_of(const Real *RESTRICT z, int padded, int d, double *RESTRICT scatter)
{
    const int n_tiles = (d + TILE - 1) / TILE;
    for (int first = 0; first < d; first += CACHED_COLUMNS) {
        const int stop = smaller(d, first + CACHED_COLUMNS);
        for (int a = 0; a < stop; a += TILE) {
            const int row = a / TILE, start = a < first ? first : a;
            double *RESTRICT out = scatter + (row * (ptrdiff_t)n_tiles - row * (row + (ptrdiff_t)1) / 2 + start / TILE) * (TILE * TILE);
            for (int b = start; b < stop; b += TILE, out += TILE * TILE) {
                const Real *za = z + a * STRIDE, *zb = z + b * STRIDE;
                int columns = d - b < TILE ? d - b : TILE;
                switch (2 * columns + (a == b)) {
                case 9: tile(4, 1, za, zb, padded, out); break;
                case 8: tile(4, 0, za, zb, padded, out); break;
                case 7: tile(3, 1, za, zb, padded, out); break;
                case 6: tile(3, 0, za, zb, padded, out); break;
                case 5: tile(2, 1, za, zb, padded, out); break;
                case 4: tile(2, 0, za, zb, padded, out); break;
                case 3: tile(1, 1, za, zb, padded, out); break;
                case 2: tile(1, 0, za, zb, padded, out); break;
                }
            }
        }
    }
}

/* d > 4, one component: p * scale = sqrt(r), which p becomes; z (d, STRIDE) is scratch. */
template <class Real>
INLINE void accumulate_tiles(const Real *RESTRICT xt, int padded, int d, const Real *RESTRICT center,
                                   Real *RESTRICT p, const Real *RESTRICT scale, Real *RESTRICT z, double *nk,
                                   double *sum_x, double *scatter)
{
    Vec<Real> count[2] = {};
    for (int i = 0; i < padded; i += 2 * lanes<Real>)
        UNROLL(2)
        for (int g = 0; g < 2; g++) {
            Vec<Real> s = load(p + i + g * lanes<Real>) * load(scale + i + g * lanes<Real>);
            store(p + i + g * lanes<Real>, s);
            count[g] += s * s;
        }
    *nk += sum_lanes<Real>(count[0] + count[1]);
    int j = 0;
    for (; j + TILE <= d; j += TILE)
        differences(TILE, xt + j * STRIDE, padded, center + j, p, z + j * STRIDE, sum_x + j);
    for (; j < d; j++) differences(1, xt + j * STRIDE, padded, center + j, p, z + j * STRIDE, sum_x + j);
    accumulate_tiles_of(z, padded, d, scatter);
}

/* One component with a full scatter. */
template <class Real>
static void accumulate_full(const Real *RESTRICT xt, int padded, int d, const Real *RESTRICT center,
                                  Real *RESTRICT p, const Real *RESTRICT scale, Real *RESTRICT z, double *nk,
                                  double *sum_x, double *scatter)
{
    switch (d) {
    case 1: accumulate_few(1, xt, padded, center, p, scale, nk, sum_x, scatter); break;
    case 2: accumulate_few(2, xt, padded, center, p, scale, nk, sum_x, scatter); break;
    case 3: accumulate_few(3, xt, padded, center, p, scale, nk, sum_x, scatter); break;
    case 4: accumulate_few(4, xt, padded, center, p, scale, nk, sum_x, scatter); break;
    default: accumulate_tiles(xt, padded, d, center, p, scale, z, nk, sum_x, scatter);
    }
}

/* sum_x_j += r_i (x_ij - c_j) and scatter_j += r_i (x_ij - c_j)^2 for `columns` features of one component.  With
 * `first` r = p * scale is formed, stored in p and added to nk; later calls for the component find it there. */
template <class Real>
INLINE void squares(const int columns, const int first, const Real *RESTRICT xt, int padded,
                          const Real *RESTRICT center, Real *RESTRICT p, const Real *RESTRICT scale, double *nk,
                          double *sum_x, double *scatter)
{
    Vec<Real> sums[16] = {};
    for (int i = 0; i < padded; i += lanes<Real>) {
        Vec<Real> r = load(p + i);
        if (first) {
            r *= load(scale + i);
            store(p + i, r);
            sums[2 * columns] += r;
        }
        UNROLL(4)
        for (int j = 0; j < columns; j++) {
            Vec<Real> x = load(xt + j * STRIDE + i) - center[j], rx = r * x;
            sums[j] += rx;
            sums[columns + j] += rx * x;
        }
    }
    double out[16] = {0};
    add_sums<Real>(sums, (2 * columns + first + lanes<Real> - 1) / lanes<Real> * lanes<Real>, out);
    for (int j = 0; j < columns; j++) {
        sum_x[j] += out[j];
        scatter[j] += out[columns + j];
    }
    if (first) *nk += out[2 * columns];
}

template <class Real>
INLINE void squares_of_all(const int columns, const int first, const Real *RESTRICT xt, int padded, int d,
                                 int n_components, const Real *RESTRICT centers, Real *RESTRICT p,
                                 const Real *RESTRICT scale, double *nk, double *sum_x, double *scatter)
{
    for (ptrdiff_t k = 0; k < n_components; k++)
        squares(columns, first, xt, padded, centers + k * d, p + k * STRIDE, scale, nk + k, sum_x + k * d,
                      scatter + k * d);
}

/* All components with diagonal scatters: p * scale = r, which p becomes.  A few features of the block stay in the
 * first-level cache while the loop goes over the components. */
template <class Real>
static void accumulate_diag(const Real *RESTRICT xt, int padded, int d, int n_components,
                                  const Real *RESTRICT centers, Real *RESTRICT p, const Real *RESTRICT scale,
                                  double *nk, double *sum_x, double *scatter)
{
    int j = 0;
#define SQUARES(columns, first)                                                                                        \
    squares_of_all(columns, first, xt + j * STRIDE, padded, d, n_components, centers + j, p, scale, nk,          \
                         sum_x + j, scatter + j)
    switch (d) { /* d = 1 is treated as full */
    case 2: SQUARES(2, 1); return;
    case 3: SQUARES(3, 1); return;
    default: SQUARES(4, 1);
    }
    for (j = 4; j + 4 <= d; j += 4) SQUARES(4, 0);
    switch (d - j) {
    case 1: SQUARES(1, 0); break;
    case 2: SQUARES(2, 0); break;
    case 3: SQUARES(3, 0); break;
    }
#undef SQUARES
}

/* For `columns` features and `count` components: sum_x_k += sum_i r_ik (x_i - c_k), and unless it is NULL u (.., STRIDE) += sum_k
 * r_ik (x_i - c_k). */
template <class Real>
INLINE void differences_tile(const int columns, const int count, const Real *RESTRICT xt, int padded, int d,
                             const Real *RESTRICT centers, const Real *RESTRICT r, Real *RESTRICT u, double *sum_x)
{
    Vec<Real> sums[16] = {}, center[8];
    UNROLL(2)
    for (int c = 0; c < count; c++) /* in registers: a load from memory for each use would take longer than its arithmetic */
        UNROLL(4)
        for (int j = 0; j < columns; j++) center[c * columns + j] = centers[c * (ptrdiff_t)d + j] - Vec<Real>{};
    for (int i = 0; i < padded; i += lanes<Real>) {
        Vec<Real> x[4], v[4];
        UNROLL(4)
        for (int j = 0; j < columns; j++) {
            x[j] = load(xt + j * STRIDE + i);
            if (u) v[j] = load(u + j * STRIDE + i);
        }
        UNROLL(2)
        for (int c = 0; c < count; c++) {
            const Vec<Real> weight = load(r + c * STRIDE + i);
            UNROLL(4)
            for (int j = 0; j < columns; j++) {
                const Vec<Real> y = x[j] - center[c * columns + j];
                sums[c * columns + j] += weight * y;
                if (u) v[j] += weight * y;
            }
        }
        if (u)
            UNROLL(4)
            for (int j = 0; j < columns; j++) store(u + j * STRIDE + i, v[j]);
    }
    double out[16] = {0};
    add_sums<Real>(sums, (count * columns + lanes<Real> - 1) / lanes<Real> * lanes<Real>, out);
    for (int c = 0; c < count; c++)
        for (int j = 0; j < columns; j++) sum_x[c * (ptrdiff_t)d + j] += out[c * columns + j];
}

template <class Real>
INLINE void differences_of_all(const int columns, const Real *RESTRICT xt, int padded, int d, int K, const Real *RESTRICT centers,
                               const Real *RESTRICT r, Real *RESTRICT u, double *sum_x)
{
    ptrdiff_t k = 0;
    for (; k + 2 <= K; k += 2)
        differences_tile<Real>(columns, 2, xt, padded, d, centers + k * d, r + k * STRIDE, u, sum_x + k * d);
    if (k < K) differences_tile<Real>(columns, 1, xt, padded, d, centers + k * d, r + k * STRIDE, u, sum_x + k * d);
}

/* differences_tile for all features and components.  A few features stay in the first-level cache while the loop goes over the
 * components. */
template <class Real>
INLINE void accumulate_differences(const Real *RESTRICT xt, int padded, int d, int K, const Real *RESTRICT centers,
                                   const Real *RESTRICT r, Real *RESTRICT u, double *sum_x)
{
    int j = 0;
    for (; j + TILE_COLUMNS <= d; j += TILE_COLUMNS)
        differences_of_all<Real>(TILE_COLUMNS, xt + j * STRIDE, padded, d, K, centers + j, r, u ? u + j * STRIDE : NULL, sum_x + j);
    for (; j < d; j++)
        differences_of_all<Real>(1, xt + j * STRIDE, padded, d, K, centers + j, r, u ? u + j * STRIDE : NULL, sum_x + j);
}

/* Spherical components about their means: only sum_i r_ik |x_i - mean_k|^2 is wanted of the scatter, and the E step has computed
 * these distances, squares[k]_i.  nk, sum_x and scatter, one number a component at distance d, += those of the block.
 * p * scale = r, which p becomes. */
template <class Real>
static void accumulate_spherical(const Real *xt, int padded, int d, int K, const Real *means, Real *p, const Real *scale,
                                 const Real *squares, double *nk, double *sum_x, double *scatter)
{
    for (ptrdiff_t k = 0; k < K; k++) {
        Vec<Real> count[GROUP] = {}, sum[GROUP] = {};
        for (int i = 0; i < padded; i += GROUP * lanes<Real>)
            UNROLL(2)
            for (int g = 0; g < GROUP; g++) {
                const int at = i + g * lanes<Real>;
                const Vec<Real> r = load(p + k * STRIDE + at) * load(scale + at);
                store(p + k * STRIDE + at, r);
                count[g] += r;
                sum[g] += r * load(squares + k * STRIDE + at);
            }
        nk[k] += sum_lanes<Real>(count[0] + count[1]);
        scatter[k * d] += sum_lanes<Real>(sum[0] + sum[1]);
    }
    accumulate_differences<Real>(xt, padded, d, K, means, p, NULL, sum_x);
}

/* p[k]_i <- resp_ik, or its square root with `root`; resp (m, K) is row-major.  0 in the padding. */
template <class Real>
static void take_resp(const Real *RESTRICT resp, int m, int padded, int n_components, const int root,
                            Real *RESTRICT p)
{
    for (int k = 0; k < n_components; k++) {
        Real *RESTRICT pk = p + (ptrdiff_t)k * STRIDE;
        for (int i = 0; i < m; i++)
            pk[i] = root ? (Real)sqrt(resp[(ptrdiff_t)i * n_components + k]) : resp[(ptrdiff_t)i * n_components + k];
        for (int i = m; i < padded; i++) pk[i] = 0;
    }
}

/* p[k]_i <- 1 if labels_i = k, else 0; without labels 1 for all k.  0 in the padding. */
template <class Real>
static void take_labels(const int32_t *RESTRICT labels, int m, int padded, int n_components, Real *RESTRICT p)
{
    for (int k = 0; k < n_components; k++) {
        Real *RESTRICT pk = p + (ptrdiff_t)k * STRIDE;
        for (int i = 0; i < m; i++) pk[i] = labels ? labels[i] == k : 1;
        for (int i = m; i < padded; i++) pk[i] = 0;
    }
}

template <class Real>
INLINE void row_scales_of(const double *RESTRICT weights, const Real *RESTRICT inverse, int m, int padded, const int root,
                          Real *RESTRICT scale)
{
    for (int i = 0; i < m; i++) {
        Real w = (weights ? (Real)weights[i] : 1) * (inverse ? inverse[i] : 1);
        scale[i] = root ? (Real)sqrt(w) : w;
    }
    for (int i = m; i < padded; i++) scale[i] = 0;
}

/* scale_i <- w_i inverse_i, or its square root with `root` (NULL stands for ones); 0 in the padding. */
template <class Real>
static void row_scales(const double *RESTRICT weights, const Real *RESTRICT inverse, int m, int padded, bool root,
                       Real *RESTRICT scale)
{
    if (root)
        row_scales_of(weights, inverse, m, padded, 1, scale);
    else
        row_scales_of(weights, inverse, m, padded, 0, scale);
}

/* Length of the TILE x TILE tiles of the upper block triangle of a (d, d) matrix. */
static ptrdiff_t tiles_size(int d)
{
    ptrdiff_t tiles = (d + TILE - 1) / TILE;
    return tiles * (tiles + 1) / 2 * TILE * TILE;
}

/* Length of a packed scatter of d features (statistics.hpp). */
static ptrdiff_t scatter_size(int d) { return d <= 4 ? d * (d + 1) / 2 : tiles_size(d); }

/* S (d, d) += a packed scatter, both triangles. */
static void add_scatter(const double *RESTRICT packed, int d, double *RESTRICT S)
{
    int width = d <= 4 ? d : TILE;
    for (int a = 0; a < d; a += width)
        for (int b = a; b < d; b += width) {
            int a_end = a + width < d ? a + width : d, b_end = b + width < d ? b + width : d;
            if (d <= 4) {
                for (int r = a; r < a_end; r++)
                    for (int c = r; c < b_end; c++, packed++) {
                        S[(ptrdiff_t)r * d + c] += *packed;
                        if (c > r) S[(ptrdiff_t)c * d + r] += *packed;
                    }
            } else {
                for (int c = b; c < b_end; c++)
                    for (int r = a; r < a_end && r <= c; r++) {
                        double sum = packed[(c - b) * TILE + r - a];
                        S[(ptrdiff_t)r * d + c] += sum;
                        if (c > r) S[(ptrdiff_t)c * d + r] += sum;
                    }
                packed += TILE * TILE;
            }
        }
}

#endif
