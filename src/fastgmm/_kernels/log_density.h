/* Log-densities: out_i <- c - h |(x_i - mean) U|^2, U upper triangular, precision matrix = U U^T; c = log w_k +
 * constant and h = 1/2, or half of both where the square roots of responsibilities are needed (softmax.h). Layout and
 * edge as in blocks.h; all `padded` rows are computed. */

/* d <= 4: everything stays in registers. */
INLINE void NAME(log_density_few)(const int d, const REAL *RESTRICT xt, int padded, const REAL *RESTRICT mean,
                                  const REAL *RESTRICT U, REAL c, REAL h, REAL *RESTRICT out)
{
    VEC u[10];
UNROLL(10)
    for (int p = 0; p < d * (d + 1) / 2; p++) u[p] = U[p] - (VEC){0};
    for (int i = 0; i < padded; i += LANES) {
        VEC x[4], q = {0};
UNROLL(4)
        for (int j = 0; j < d; j++) x[j] = NAME(load)(xt + j * STRIDE + i) - mean[j];
UNROLL(4)
        for (int j = 0; j < d; j++) {
            VEC y = x[0] * u[j * (j + 1) / 2];
UNROLL(4)
            for (int a = 1; a <= j; a++) y += x[a] * u[j * (j + 1) / 2 + a];
            q = j ? q + y * y : y * y;
        }
        NAME(store)(out + i, c - h * q);
    }
}

/* One panel of U, `columns` columns, rows 0 .. first + columns - 1: q += sum over its columns of ((x - mean) U)^2.
 * Returns the start of the next panel. */
INLINE const REAL *NAME(panel)(const int columns, const REAL *RESTRICT xt, int first, const REAL *RESTRICT mean,
                               const REAL *RESTRICT U, VEC *q)
{
    VEC y[PANEL][GROUP] = {0};
    for (int j = 0; j < first; j++) {
        VEC x[GROUP];
UNROLL(4)
        for (int g = 0; g < GROUP; g++) x[g] = NAME(load)(xt + j * STRIDE + g * LANES) - mean[j];
UNROLL(8)
        for (int a = 0; a < columns; a++)
UNROLL(4)
            for (int g = 0; g < GROUP; g++) y[a][g] += U[a] * x[g];
        U += columns;
    }
UNROLL(8)
    for (int b = 0; b < columns; b++) {
        VEC x[GROUP];
UNROLL(4)
        for (int g = 0; g < GROUP; g++) x[g] = NAME(load)(xt + (first + b) * STRIDE + g * LANES) - mean[first + b];
UNROLL(8)
        for (int a = b; a < columns; a++)
UNROLL(4)
            for (int g = 0; g < GROUP; g++) y[a][g] += *(U + a - b) * x[g];
        U += columns - b;
    }
UNROLL(8)
    for (int a = 0; a < columns; a++)
UNROLL(4)
        for (int g = 0; g < GROUP; g++) q[g] += y[a][g] * y[a][g];
    return U;
}

/* Packed order of U (d, d, row-major), as log_density_full reads it: d (d + 1) / 2 numbers, panel after panel. */
static void NAME(pack_factor)(const REAL *RESTRICT U, int d, REAL *RESTRICT packed)
{
    int width = d <= 4 ? 1 : PANEL;
    for (int first = 0; first < d; first += width) {
        int end = first + width < d ? first + width : d;
        for (int j = 0; j < end; j++)
            for (int a = j > first ? j : first; a < end; a++) *packed++ = U[(ptrdiff_t)j * d + a];
    }
}

/* One component; `U` is packed by pack_factor. */
static void NAME(log_density_full)(const REAL *RESTRICT xt, int padded, int d, const REAL *RESTRICT mean,
                                   const REAL *RESTRICT U, REAL c, REAL h, REAL *RESTRICT out)
{
    switch (d) {
    case 1: NAME(log_density_few)(1, xt, padded, mean, U, c, h, out); return;
    case 2: NAME(log_density_few)(2, xt, padded, mean, U, c, h, out); return;
    case 3: NAME(log_density_few)(3, xt, padded, mean, U, c, h, out); return;
    case 4: NAME(log_density_few)(4, xt, padded, mean, U, c, h, out); return;
    }
    for (int i = 0; i < padded; i += GROUP * LANES) {
        VEC q[GROUP] = {0};
        const REAL *u = U, *x = xt + i;
        int first = 0;
        for (; first + PANEL <= d; first += PANEL) u = NAME(panel)(PANEL, x, first, mean, u, q);
        switch (d - first) {
        case 1: NAME(panel)(1, x, first, mean, u, q); break;
        case 2: NAME(panel)(2, x, first, mean, u, q); break;
        case 3: NAME(panel)(3, x, first, mean, u, q); break;
#if PANEL > 4
        case 4: NAME(panel)(4, x, first, mean, u, q); break;
        case 5: NAME(panel)(5, x, first, mean, u, q); break;
#endif
#if PANEL > 6
        case 6: NAME(panel)(6, x, first, mean, u, q); break;
        case 7: NAME(panel)(7, x, first, mean, u, q); break;
#endif
        }
UNROLL(4)
        for (int g = 0; g < GROUP; g++) NAME(store)(out + i + g * LANES, c - h * q[g]);
    }
}

/* `vectors` vectors of rows and one component with a diagonal factor u (d,). */
INLINE void NAME(log_density_diag_vectors)(const int vectors, const REAL *RESTRICT xt, int d, const REAL *RESTRICT mean,
                                           const REAL *RESTRICT u, REAL c, REAL h, REAL *RESTRICT out)
{
    VEC q[4] = {0};
    for (int j = 0; j < d; j++)
UNROLL(4)
        for (int g = 0; g < vectors; g++) {
            VEC y = (NAME(load)(xt + j * STRIDE + g * LANES) - mean[j]) * u[j];
            q[g] += y * y;
        }
UNROLL(4)
    for (int g = 0; g < vectors; g++) NAME(store)(out + g * LANES, c - h * q[g]);
}

/* All components with diagonal factors u (K, d): p[k]_i <- c_k - h sum_j ((x_ij - mean_kj) u_kj)^2.  A few vectors of
 * rows stay in the first-level cache while the loop goes over the components; meanwhile the rows of the next block,
 * `ahead_bytes` from `ahead` on, are prefetched. */
static void NAME(log_density_diag)(const REAL *RESTRICT xt, int padded, int d, int n_components,
                                   const REAL *RESTRICT means, const REAL *RESTRICT u, const double *RESTRICT c, REAL h,
                                   const char *ahead, ptrdiff_t ahead_bytes, REAL *RESTRICT p)
{
    int i = 0;
    for (; i + 4 * LANES <= padded; i += 4 * LANES) {
        for (int k = 0; k < n_components; k++)
            NAME(log_density_diag_vectors)(4, xt + i, d, means + (ptrdiff_t)k * d, u + (ptrdiff_t)k * d, c[k], h,
                                           p + (ptrdiff_t)k * STRIDE + i);
        prefetch_slice(ahead, ahead_bytes, i / (4 * LANES), padded / (4 * LANES));
    }
    for (; i < padded; i += LANES)
        for (int k = 0; k < n_components; k++)
            NAME(log_density_diag_vectors)(1, xt + i, d, means + (ptrdiff_t)k * d, u + (ptrdiff_t)k * d, c[k], h,
                                           p + (ptrdiff_t)k * STRIDE + i);
}
