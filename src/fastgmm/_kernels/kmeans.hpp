/* Distances of rows from k-means centers; used by lloyd.hpp and seeding.hpp.
 * Layout and edge as in blocks.hpp; distances are kept negated, so that the nearest center has the largest p[k]_i. */
#ifndef FASTGMM_KMEANS_HPP
#define FASTGMM_KMEANS_HPP

#include "blocks.hpp"

/* round_rows for d <= 4 */
template <class Real>
INLINE void round_few(const Real *RESTRICT X, const int d, const uint16_t *RESTRICT rows, int n,
                            const Real *RESTRICT shift, Real scale, float *RESTRICT out)
{
    for (int a = 0; a < n; a++)
        UNROLL(4)
        for (int j = 0; j < d; j++) out[a * d + j] = (float)((X[rows[a] * (ptrdiff_t)d + j] - shift[j]) * scale);
}

/* out (n, d) <- scale (x - shift) of the listed rows in float32, for nearest.hpp. */
template <class Real>
static void round_rows(const Real *RESTRICT X, int d, const uint16_t *RESTRICT rows, int n,
                             const Real *RESTRICT shift, Real scale, float *RESTRICT out)
{
    switch (d) {
    case 1: round_few(X, 1, rows, n, shift, scale, out); return;
    case 2: round_few(X, 2, rows, n, shift, scale, out); return;
    case 3: round_few(X, 3, rows, n, shift, scale, out); return;
    case 4: round_few(X, 4, rows, n, shift, scale, out); return;
    }
    for (int a = 0; a < n; a++) {
        const Real *RESTRICT x = X + rows[a] * (ptrdiff_t)d;
        float *RESTRICT y = out + a * (ptrdiff_t)d;
        int j = 0;
        for (; j + lanes<Real> <= d; j += lanes<Real>) {
            Vec<Real> z = (*(const UnalignedVec<Real> *)(x + j) - *(const UnalignedVec<Real> *)(shift + j)) * scale;
            for (int l = 0; l < lanes<Real>; l++) y[j + l] = (float)((Real *)&z)[l];
        }
        for (; j < d; j++) y[j] = (float)((x[j] - shift[j]) * scale);
    }
}

/* out (n, d) <- the listed rows */
template <class Real>
static void take_rows(const Real *RESTRICT X, int d, const uint16_t *RESTRICT rows, int n, Real *RESTRICT out)
{
    for (int a = 0; a < n; a++) memcpy(out + (ptrdiff_t)a * d, X + (ptrdiff_t)rows[a] * d, d * sizeof(Real));
}

/* xt -= shift, for each feature */
template <class Real>
static void subtract(Real *RESTRICT xt, int padded, int d, const Real *RESTRICT shift)
{
    for (int j = 0; j < d; j++)
        for (int i = 0; i < padded; i += lanes<Real>) {
            Real *x = xt + j * STRIDE + i;
            store(x, load(x) - shift[j]);
        }
}

template <class Real>
INLINE void distance_tile(const int count, const Real *RESTRICT xt, int d, const Real *RESTRICT centers,
                                Real *RESTRICT out)
{
    Vec<Real> q[4][GROUP] = {};
    for (int j = 0; j < d; j++)
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) {
            Vec<Real> x = load(xt + j * STRIDE + g * lanes<Real>);
            UNROLL(4)
            for (int k = 0; k < count; k++) {
                Vec<Real> y = x - centers[(ptrdiff_t)k * d + j];
                q[k][g] += y * y;
            }
        }
    UNROLL(4)
    for (int k = 0; k < count; k++)
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) store(out + k * STRIDE + g * lanes<Real>, -q[k][g]);
}

/* out[k]_i <- -|x_i - center_k|^2 for `count` centers */
template <class Real>
static void negative_distances(const Real *RESTRICT xt, int padded, int d, const Real *RESTRICT centers,
                                     int count, Real *RESTRICT out)
{
    for (int i = 0; i < padded; i += GROUP * lanes<Real>) {
        ptrdiff_t k = 0;
        for (; k + 4 <= count; k += 4) distance_tile(4, xt + i, d, centers + k * d, out + k * STRIDE + i);
        for (; k < count; k++) distance_tile(1, xt + i, d, centers + k * d, out + k * STRIDE + i);
    }
}

/* nearest_i <- the k with the largest p[k]_i, the first of equals; best_i <- its value; next_i <- the largest of the others. */
template <class Real>
static void two_nearest(const Real *RESTRICT p, int n_components, int m, Real *RESTRICT best, Real *RESTRICT next,
                              int32_t *RESTRICT nearest)
{
    for (int i = 0; i < m; i++) best[i] = p[i], next[i] = -Limits<Real>::infinity, nearest[i] = 0;
    for (int k = 1; k < n_components; k++) {
        const Real *RESTRICT pk = p + (ptrdiff_t)k * STRIDE;
        for (int i = 0; i < m; i++) {
            Real b = best[i], lower = pk[i] > b ? b : pk[i];
            nearest[i] = pk[i] > b ? k : nearest[i];
            best[i] = pk[i] > b ? pk[i] : b;
            next[i] = next[i] > lower ? next[i] : lower;
        }
    }
}

/* best <- the gap: distance of the second nearest center minus that of the nearest, less a bound of the rounding. */
template <class Real>
static void to_gaps(Real *RESTRICT best, const Real *RESTRICT next, int m, int d)
{
    const Real rounding = (d + 10) * Limits<Real>::epsilon;
    for (int i = 0; i < m; i++) {
        Real near = (Real)sqrt(-best[i]), far = (Real)sqrt(-next[i]);
        best[i] = far < Limits<Real>::infinity ? (far - near) - rounding * (far + near) : Limits<Real>::infinity;
    }
}

/* distances <- min(closest, -negative), or -negative if `closest` is NULL */
template <class Real>
static void lower(const Real *RESTRICT negative, const Real *closest, int m, Real *distances)
{
    for (int i = 0; i < m; i++) distances[i] = closest && closest[i] < -negative[i] ? closest[i] : -negative[i];
}

/* lowered <- min(lowered, -negative) at the listed rows */
template <class Real>
static void lower_listed(const Real *RESTRICT negative, const uint16_t *RESTRICT rows, int n, Real *RESTRICT lowered)
{
    for (int a = 0; a < n; a++) lowered[rows[a]] = lowered[rows[a]] < -negative[a] ? lowered[rows[a]] : -negative[a];
}

/* out <- scale x in float32, rounded up. */
template <class Real>
static void round_up(const Real *RESTRICT x, int n, Real scale, float *RESTRICT out)
{
    for (int i = 0; i < n; i++) out[i] = (float)(x[i] * scale) * (1 + 4 * FLT_EPSILON) + FLT_MIN;
}

#endif
