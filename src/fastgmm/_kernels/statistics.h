/* Sufficient statistics of a block about the centers c_k, added to float64 sums: with r_ik = w_i resp_ik
 *     nk += r_ik,   sum_x += r_ik (x_i - c_k),   scatter += r_ik (x_i - c_k)(x_i - c_k)^T   (or its diagonal).
 *
 * r_ik comes as a product p[k]_i * scale_i, which is its square root where the scatter is summed from z_i = sqrt(r_ik)
 * (x_i - c_k): full matrices, d > 4.  Scatter is packed: for d <= 4 the upper triangle row by row, else TILE x TILE
 * tiles of the upper block triangle, each column by column (kernels.h unpacks it). Layout and edge as in blocks.h:
 * scale is 0 in the padding. */

/* d <= 4: p * scale = r. */
INLINE void NAME(accumulate_few)(const int d, const REAL *RESTRICT xt, int padded, const REAL *RESTRICT center,
                                 const REAL *RESTRICT p, const REAL *RESTRICT scale, double *nk, double *sum_x,
                                 double *scatter)
{
    VEC sums[16] = {0}; /* scatter, sum_x, nk */
    const int n_scatter = d * (d + 1) / 2;
    for (int i = 0; i < padded; i += LANES) {
        VEC r = NAME(load)(p + i) * NAME(load)(scale + i), x[4], rx[4];
UNROLL(4)
        for (int j = 0; j < d; j++) {
            x[j] = NAME(load)(xt + j * STRIDE + i) - center[j];
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
    NAME(add_sums)(sums, (n_scatter + d + LANES) / LANES * LANES, out);
    for (int t = 0; t < n_scatter; t++) scatter[t] += out[t];
    for (int j = 0; j < d; j++) sum_x[j] += out[n_scatter + j];
    *nk += out[n_scatter + d];
}

/* z_j <- s (x_j - c_j) and sum_x_j += sum_i s_i z_ij for `columns` features, where s_i = sqrt(r_i). */
INLINE void NAME(differences)(const int columns, const REAL *RESTRICT xt, int padded, const REAL *RESTRICT center,
                              const REAL *RESTRICT s, REAL *RESTRICT z, double *sum_x)
{
    VEC sums[16] = {0};
    for (int i = 0; i < padded; i += LANES) {
        VEC root = NAME(load)(s + i);
UNROLL(4)
        for (int j = 0; j < columns; j++) {
            VEC v = root * (NAME(load)(xt + j * STRIDE + i) - center[j]);
            NAME(store)(z + j * STRIDE + i, v);
            sums[j] += root * v;
        }
    }
    double out[16] = {0};
    NAME(add_sums)(sums, (columns + LANES - 1) / LANES * LANES, out);
    for (int j = 0; j < columns; j++) sum_x[j] += out[j];
}

/* scatter += one tile of sum_i z_i z_i^T, column by column; on the diagonal (za = zb) only its upper triangle. */
INLINE void NAME(tile_columns)(const int rows, const int columns, const int diagonal, const REAL *RESTRICT za,
                               const REAL *RESTRICT zb, int padded, double *RESTRICT scatter)
{
    VEC sums[TILE * TILE] = {0};
    for (int i = 0; i < padded; i += LANES) {
        VEC a[TILE], b[TILE];
UNROLL(4)
        for (int j = 0; j < rows; j++) a[j] = NAME(load)(za + j * STRIDE + i);
UNROLL(4)
        for (int j = 0; j < columns; j++) b[j] = diagonal ? a[j] : NAME(load)(zb + j * STRIDE + i);
UNROLL(4)
        for (int r = 0; r < rows; r++)
UNROLL(4)
            for (int c = diagonal ? r : 0; c < columns; c++) sums[c * TILE + r] += a[r] * b[c];
    }
    NAME(add_sums)(sums, (columns * TILE + LANES - 1) / LANES * LANES, scatter);
}

/* The same in two halves where the registers do not hold a whole tile. */
INLINE void NAME(tile)(const int columns, const int diagonal, const REAL *RESTRICT za, const REAL *RESTRICT zb,
                       int padded, double *RESTRICT scatter)
{
    if (diagonal)
        NAME(tile_columns)(columns, columns, 1, za, za, padded, scatter);
    else if (columns <= TILE_COLUMNS)
        NAME(tile_columns)(TILE, columns, 0, za, zb, padded, scatter);
    else {
        NAME(tile_columns)(TILE, TILE_COLUMNS, 0, za, zb, padded, scatter);
        NAME(tile_columns)(TILE, columns - TILE_COLUMNS, 0, za, zb + TILE_COLUMNS * STRIDE, padded,
                           scatter + TILE_COLUMNS * TILE);
    }
}

/* d > 4, one component: p * scale = sqrt(r), which p becomes; z (d, STRIDE) is scratch. */
INLINE void NAME(accumulate_tiles)(const REAL *RESTRICT xt, int padded, int d, const REAL *RESTRICT center,
                                   REAL *RESTRICT p, const REAL *RESTRICT scale, REAL *RESTRICT z, double *nk,
                                   double *sum_x, double *scatter)
{
    VEC count[2] = {0};
    for (int i = 0; i < padded; i += 2 * LANES)
UNROLL(2)
        for (int g = 0; g < 2; g++) {
            VEC s = NAME(load)(p + i + g * LANES) * NAME(load)(scale + i + g * LANES);
            NAME(store)(p + i + g * LANES, s);
            count[g] += s * s;
        }
    *nk += NAME(sum_lanes)(count[0] + count[1]);
    int j = 0;
    for (; j + TILE <= d; j += TILE)
        NAME(differences)(TILE, xt + j * STRIDE, padded, center + j, p, z + j * STRIDE, sum_x + j);
    for (; j < d; j++) NAME(differences)(1, xt + j * STRIDE, padded, center + j, p, z + j * STRIDE, sum_x + j);
    for (int a = 0; a < d; a += TILE)
        for (int b = a; b < d; b += TILE, scatter += TILE * TILE) {
            const REAL *za = z + a * STRIDE, *zb = z + b * STRIDE;
            int columns = d - b < TILE ? d - b : TILE;
            switch (2 * columns + (a == b)) {
            case 9: NAME(tile)(4, 1, za, zb, padded, scatter); break;
            case 8: NAME(tile)(4, 0, za, zb, padded, scatter); break;
            case 7: NAME(tile)(3, 1, za, zb, padded, scatter); break;
            case 6: NAME(tile)(3, 0, za, zb, padded, scatter); break;
            case 5: NAME(tile)(2, 1, za, zb, padded, scatter); break;
            case 4: NAME(tile)(2, 0, za, zb, padded, scatter); break;
            case 3: NAME(tile)(1, 1, za, zb, padded, scatter); break;
            case 2: NAME(tile)(1, 0, za, zb, padded, scatter); break;
            }
        }
}

/* One component with a full scatter. */
static void NAME(accumulate_full)(const REAL *RESTRICT xt, int padded, int d, const REAL *RESTRICT center,
                                  REAL *RESTRICT p, const REAL *RESTRICT scale, REAL *RESTRICT z, double *nk,
                                  double *sum_x, double *scatter)
{
    switch (d) {
    case 1: NAME(accumulate_few)(1, xt, padded, center, p, scale, nk, sum_x, scatter); break;
    case 2: NAME(accumulate_few)(2, xt, padded, center, p, scale, nk, sum_x, scatter); break;
    case 3: NAME(accumulate_few)(3, xt, padded, center, p, scale, nk, sum_x, scatter); break;
    case 4: NAME(accumulate_few)(4, xt, padded, center, p, scale, nk, sum_x, scatter); break;
    default: NAME(accumulate_tiles)(xt, padded, d, center, p, scale, z, nk, sum_x, scatter);
    }
}

/* sum_x_j += r_i (x_ij - c_j) and scatter_j += r_i (x_ij - c_j)^2 for `columns` features of one component.  With
 * `first` r = p * scale is formed, stored in p and added to nk; later calls for the component find it there. */
INLINE void NAME(squares)(const int columns, const int first, const REAL *RESTRICT xt, int padded,
                          const REAL *RESTRICT center, REAL *RESTRICT p, const REAL *RESTRICT scale, double *nk,
                          double *sum_x, double *scatter)
{
    VEC sums[16] = {0};
    for (int i = 0; i < padded; i += LANES) {
        VEC r = NAME(load)(p + i);
        if (first) {
            r *= NAME(load)(scale + i);
            NAME(store)(p + i, r);
            sums[2 * columns] += r;
        }
UNROLL(4)
        for (int j = 0; j < columns; j++) {
            VEC x = NAME(load)(xt + j * STRIDE + i) - center[j], rx = r * x;
            sums[j] += rx;
            sums[columns + j] += rx * x;
        }
    }
    double out[16] = {0};
    NAME(add_sums)(sums, (2 * columns + first + LANES - 1) / LANES * LANES, out);
    for (int j = 0; j < columns; j++) {
        sum_x[j] += out[j];
        scatter[j] += out[columns + j];
    }
    if (first) *nk += out[2 * columns];
}

INLINE void NAME(squares_of_all)(const int columns, const int first, const REAL *RESTRICT xt, int padded, int d,
                                 int n_components, const REAL *RESTRICT centers, REAL *RESTRICT p,
                                 const REAL *RESTRICT scale, double *nk, double *sum_x, double *scatter)
{
    for (ptrdiff_t k = 0; k < n_components; k++)
        NAME(squares)(columns, first, xt, padded, centers + k * d, p + k * STRIDE, scale, nk + k, sum_x + k * d,
                      scatter + k * d);
}

/* All components with diagonal scatters: p * scale = r, which p becomes.  A few features of the block stay in the
 * first-level cache while the loop goes over the components. */
static void NAME(accumulate_diag)(const REAL *RESTRICT xt, int padded, int d, int n_components,
                                  const REAL *RESTRICT centers, REAL *RESTRICT p, const REAL *RESTRICT scale,
                                  double *nk, double *sum_x, double *scatter)
{
    int j = 0;
#define SQUARES(columns, first)                                                                                        \
    NAME(squares_of_all)(columns, first, xt + j * STRIDE, padded, d, n_components, centers + j, p, scale, nk,          \
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

/* p[k]_i <- resp_ik, or its square root with `root`; resp (m, K) is row-major.  0 in the padding. */
static void NAME(take_resp)(const REAL *RESTRICT resp, int m, int padded, int n_components, const int root,
                            REAL *RESTRICT p)
{
    for (int k = 0; k < n_components; k++) {
        REAL *RESTRICT pk = p + (ptrdiff_t)k * STRIDE;
        for (int i = 0; i < m; i++)
            pk[i] = root ? (REAL)sqrt(resp[(ptrdiff_t)i * n_components + k]) : resp[(ptrdiff_t)i * n_components + k];
        for (int i = m; i < padded; i++) pk[i] = 0;
    }
}

/* p[k]_i <- 1 if labels_i = k, else 0; without labels 1 for all k.  0 in the padding. */
static void NAME(take_labels)(const int32_t *RESTRICT labels, int m, int padded, int n_components, REAL *RESTRICT p)
{
    for (int k = 0; k < n_components; k++) {
        REAL *RESTRICT pk = p + (ptrdiff_t)k * STRIDE;
        for (int i = 0; i < m; i++) pk[i] = labels ? labels[i] == k : 1;
        for (int i = m; i < padded; i++) pk[i] = 0;
    }
}

/* scale_i <- w_i inverse_i, or its square root with `root` (NULL stands for ones); 0 in the padding. */
INLINE void NAME(row_scales)(const double *RESTRICT weights, const REAL *RESTRICT inverse, int m, int padded,
                             const int root, REAL *RESTRICT scale)
{
    for (int i = 0; i < m; i++) {
        REAL w = (weights ? (REAL)weights[i] : 1) * (inverse ? inverse[i] : 1);
        scale[i] = root ? (REAL)sqrt(w) : w;
    }
    for (int i = m; i < padded; i++) scale[i] = 0;
}
