/* Log-densities: out_i <- c - h |(x_i - mean) U|^2, U upper triangular, precision matrix = U U^T; c = log w_k +
 * constant and h = 1/2, or half of both where the square roots of responsibilities are needed (softmax.hpp). Layout and
 * edge as in blocks.hpp; all `padded` rows are computed. */
#ifndef FASTGMM_LOG_DENSITY_HPP
#define FASTGMM_LOG_DENSITY_HPP

#include "blocks.hpp"

/* d <= 4: everything stays in registers. */
template <class Real>
INLINE void log_density_few(const int d, const Real *RESTRICT xt, int padded, const Real *RESTRICT mean,
                                  const Real *RESTRICT U, Real c, Real h, Real *RESTRICT out)
{
    Vec<Real> u[10];
    UNROLL(10)
    for (int p = 0; p < d * (d + 1) / 2; p++) u[p] = U[p] - Vec<Real>{};
    for (int i = 0; i < padded; i += lanes<Real>) {
        Vec<Real> x[4], q = {};
        UNROLL(4)
        for (int j = 0; j < d; j++) x[j] = load(xt + j * STRIDE + i) - mean[j];
        UNROLL(4)
        for (int j = 0; j < d; j++) {
            Vec<Real> y = x[0] * u[j * (j + 1) / 2];
            UNROLL(4)
            for (int a = 1; a <= j; a++) y += x[a] * u[j * (j + 1) / 2 + a];
            q = j ? q + y * y : y * y;
        }
        store(out + i, c - h * q);
    }
}

/* One panel of U, `columns` columns, rows 0 .. first + columns - 1: y <- its columns of (x - mean) U.  Returns the start of the
 * next panel. */
template <class Real>
INLINE const Real *panel(const int columns, const Real *RESTRICT xt, int first, const Real *RESTRICT mean,
                         const Real *RESTRICT U, Vec<Real> (*y)[GROUP])
{
    UNROLL(8)
    for (int a = 0; a < columns; a++)
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) y[a][g] = Vec<Real>{};
    for (int j = 0; j < first; j++) {
        Vec<Real> x[GROUP];
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) x[g] = load(xt + j * STRIDE + g * lanes<Real>) - mean[j];
        UNROLL(8)
        for (int a = 0; a < columns; a++)
            UNROLL(4)
            for (int g = 0; g < GROUP; g++) y[a][g] += U[a] * x[g];
        U += columns;
    }
    UNROLL(8)
    for (int b = 0; b < columns; b++) {
        Vec<Real> x[GROUP];
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) x[g] = load(xt + (first + b) * STRIDE + g * lanes<Real>) - mean[first + b];
        UNROLL(8)
        for (int a = b; a < columns; a++)
            UNROLL(4)
            for (int g = 0; g < GROUP; g++) y[a][g] += *(U + a - b) * x[g];
        U += columns - b;
    }
    return U;
}

/* With `squares` NULL the columns of (x - mean) U go to z (.., STRIDE), else their squares are added to `squares`. */
template <class Real>
INLINE const Real *whiten_panel(const int columns, const Real *RESTRICT xt, int first, const Real *RESTRICT mean,
                                const Real *RESTRICT U, Vec<Real> *squares, Real *z)
{
    Vec<Real> y[PANEL][GROUP];
    U = panel(columns, xt, first, mean, U, y);
    UNROLL(8)
    for (int a = 0; a < columns; a++)
        UNROLL(4)
        for (int g = 0; g < GROUP; g++)
            if (squares)
                squares[g] += y[a][g] * y[a][g];
            else
                store(z + (first + a) * STRIDE + g * lanes<Real>, y[a][g]);
    return U;
}

/* whiten_panel for all panels; `U` is packed by pack_factor. */
template <class Real>
INLINE void whiten_group(const Real *RESTRICT xt, int d, const Real *RESTRICT mean, const Real *RESTRICT U, Vec<Real> *squares,
                         Real *z)
{
    int first = 0;
    for (; first + PANEL <= d; first += PANEL) U = whiten_panel(PANEL, xt, first, mean, U, squares, z);
    switch (d - first) {
    case 1: whiten_panel(1, xt, first, mean, U, squares, z); break;
    case 2: whiten_panel(2, xt, first, mean, U, squares, z); break;
    case 3: whiten_panel(3, xt, first, mean, U, squares, z); break;
#if PANEL > 4
    case 4: whiten_panel(4, xt, first, mean, U, squares, z); break;
    case 5: whiten_panel(5, xt, first, mean, U, squares, z); break;
    case 6: whiten_panel(6, xt, first, mean, U, squares, z); break;
    case 7: whiten_panel(7, xt, first, mean, U, squares, z); break;
#endif
    }
}

/* z (d, STRIDE) <- (x - center) U for all rows; d > 4. */
template <class Real>
static void whiten(const Real *RESTRICT xt, int padded, int d, const Real *RESTRICT center, const Real *RESTRICT U,
                   Real *RESTRICT z)
{
    for (int i = 0; i < padded; i += GROUP * lanes<Real>) whiten_group<Real>(xt + i, d, center, U, NULL, z + i);
}

/* Packed order of U (d, d, row-major), as log_density_full reads it: d (d + 1) / 2 numbers, panel after panel. */
template <class Real>
static void pack_factor(const Real *RESTRICT U, int d, Real *RESTRICT packed)
{
    int width = d <= 4 ? 1 : PANEL;
    for (int first = 0; first < d; first += width) {
        int end = first + width < d ? first + width : d;
        for (int j = 0; j < end; j++)
            for (int a = j > first ? j : first; a < end; a++) *packed++ = U[(ptrdiff_t)j * d + a];
    }
}

/* One component; `U` is packed by pack_factor. */
template <class Real>
static void log_density_full(const Real *RESTRICT xt, int padded, int d, const Real *RESTRICT mean,
                                   const Real *RESTRICT U, Real c, Real h, Real *RESTRICT out)
{
    switch (d) {
    case 1: log_density_few(1, xt, padded, mean, U, c, h, out); return;
    case 2: log_density_few(2, xt, padded, mean, U, c, h, out); return;
    case 3: log_density_few(3, xt, padded, mean, U, c, h, out); return;
    case 4: log_density_few(4, xt, padded, mean, U, c, h, out); return;
    }
    for (int i = 0; i < padded; i += GROUP * lanes<Real>) {
        Vec<Real> q[GROUP] = {};
        whiten_group<Real>(xt + i, d, mean, U, q, NULL);
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) store(out + i + g * lanes<Real>, c - h * q[g]);
    }
}

/* `vectors` vectors of rows and one component with a diagonal factor u (d,). */
template <class Real>
INLINE void log_density_diag_vectors(const int vectors, const Real *RESTRICT xt, int d, const Real *RESTRICT mean,
                                           const Real *RESTRICT u, Real c, Real h, Real *RESTRICT out)
{
    Vec<Real> q[4] = {};
    for (int j = 0; j < d; j++)
        UNROLL(4)
        for (int g = 0; g < vectors; g++) {
            Vec<Real> y = (load(xt + j * STRIDE + g * lanes<Real>) - mean[j]) * u[j];
            q[g] += y * y;
        }
    UNROLL(4)
    for (int g = 0; g < vectors; g++) store(out + g * lanes<Real>, c - h * q[g]);
}

/* All components with diagonal factors u (K, d): p[k]_i <- c_k - h sum_j ((x_ij - mean_kj) u_kj)^2.  A few vectors of
 * rows stay in the first-level cache while the loop goes over the components; meanwhile the rows of the next block,
 * `ahead_bytes` from `ahead` on, are prefetched. */
template <class Real>
static void log_density_diag(const Real *RESTRICT xt, int padded, int d, int n_components,
                                   const Real *RESTRICT means, const Real *RESTRICT u, const double *RESTRICT c, Real h,
                                   const char *ahead, ptrdiff_t ahead_bytes, Real *RESTRICT p)
{
    int i = 0;
    for (; i + 4 * lanes<Real> <= padded; i += 4 * lanes<Real>) {
        for (int k = 0; k < n_components; k++)
            log_density_diag_vectors<Real>(4, xt + i, d, means + (ptrdiff_t)k * d, u + (ptrdiff_t)k * d, c[k], h,
                                           p + (ptrdiff_t)k * STRIDE + i);
        prefetch_slice(ahead, ahead_bytes, i / (4 * lanes<Real>), padded / (4 * lanes<Real>));
    }
    for (; i < padded; i += lanes<Real>)
        for (int k = 0; k < n_components; k++)
            log_density_diag_vectors<Real>(1, xt + i, d, means + (ptrdiff_t)k * d, u + (ptrdiff_t)k * d, c[k], h,
                                           p + (ptrdiff_t)k * STRIDE + i);
}

/* `count` components, GROUP vectors of rows: p[k] <- c_k - h q_k with q_k = |z - mean_k|^2.  With a factor u_k for each component,
 * u[k d], h u_k^2 takes the place of h, and `squares`, laid out as p, becomes q. */
template <class Real>
INLINE void log_density_round_tile(const int count, const Real *RESTRICT z, int d, const Real *RESTRICT means, const Real *RESTRICT u,
                                   const double *RESTRICT c, Real h, Real *RESTRICT squares, Real *RESTRICT p)
{
    Vec<Real> q[4][GROUP] = {};
    for (int j = 0; j < d; j++) {
        Vec<Real> x[GROUP];
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) x[g] = load(z + j * STRIDE + g * lanes<Real>);
        UNROLL(4)
        for (int k = 0; k < count; k++)
            UNROLL(4)
            for (int g = 0; g < GROUP; g++) {
                Vec<Real> y = x[g] - means[(ptrdiff_t)k * d + j];
                q[k][g] += y * y;
            }
    }
    UNROLL(4)
    for (int k = 0; k < count; k++) {
        const Real factor = u ? h * u[(ptrdiff_t)k * d] * u[(ptrdiff_t)k * d] : h;
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) {
            store(p + k * STRIDE + g * lanes<Real>, (Real)c[k] - factor * q[k][g]);
            if (u) store(squares + k * STRIDE + g * lanes<Real>, q[k][g]);
        }
    }
}

/* log_density_round_tile for all components and rows z (d, STRIDE).  Meanwhile `ahead_bytes` from `ahead` on are prefetched. */
template <class Real>
INLINE void log_density_round(const Real *RESTRICT z, int padded, int d, int n_components, const Real *RESTRICT means,
                              const Real *RESTRICT u, const double *RESTRICT c, Real h, const char *ahead, ptrdiff_t ahead_bytes,
                              Real *RESTRICT squares, Real *RESTRICT p)
{
    const int rows = GROUP * lanes<Real>;
    for (int i = 0; i < padded; i += rows) {
        ptrdiff_t k = 0;
        for (; k + 4 <= n_components; k += 4)
            log_density_round_tile<Real>(4, z + i, d, means + k * d, u ? u + k * d : NULL, c + k, h, squares ? squares + k * STRIDE + i : NULL,
                                         p + k * STRIDE + i);
        for (; k < n_components; k++)
            log_density_round_tile<Real>(1, z + i, d, means + k * d, u ? u + k * d : NULL, c + k, h, squares ? squares + k * STRIDE + i : NULL,
                                         p + k * STRIDE + i);
        prefetch_slice(ahead, ahead_bytes, i / rows, padded / rows);
    }
}

/* Whitened rows z and means: p[k]_i <- c_k - h |z_i - mean_k|^2. */
template <class Real>
static void log_density_white(const Real *RESTRICT z, int padded, int d, int n_components, const Real *RESTRICT means,
                              const double *RESTRICT c, Real h, const char *ahead, ptrdiff_t ahead_bytes, Real *RESTRICT p)
{
    log_density_round<Real>(z, padded, d, n_components, means, NULL, c, h, ahead, ahead_bytes, NULL, p);
}

/* Spherical components, whose diagonal factors u (K, d) are equal: squares[k]_i <- |x_i - mean_k|^2, p[k]_i <- c_k - h times that
 * times u_k^2. */
template <class Real>
static void log_density_spherical(const Real *RESTRICT xt, int padded, int d, int n_components, const Real *RESTRICT means,
                                  const Real *RESTRICT u, const double *RESTRICT c, Real h, const char *ahead, ptrdiff_t ahead_bytes,
                                  Real *RESTRICT squares, Real *RESTRICT p)
{
    log_density_round<Real>(xt, padded, d, n_components, means, u, c, h, ahead, ahead_bytes, squares, p);
}

#endif
