/* What is done to one block of rows while it sits in cache; instantiated by kernels.h for float64 and float32.
 *
 * Layouts.  A block holds m <= BLOCK rows.  `xt` is feature-major: feature j of row i at xt[j * STRIDE + i]; rows m ..
 * the next multiple of GROUP vectors are zero (`padded` counts them in).  Per-component arrays over the rows of a block
 * (log-probabilities, responsibilities) have stride STRIDE too.  All arrays but X are aligned to a vector.
 *
 * In the comments: U upper-triangular with precision = U U^T, c_k the center of the scatter of component k, w_i the
 * weight of row i.
 */
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(f) JOIN(f, SUFFIX)
#define VEC NAME(vec)
#define LANES NAME(LANES)
#define EXP NAME(exp)
#define LOG NAME(log)

INLINE VEC NAME(load)(const REAL *p) { return *(const VEC *)p; }
INLINE void NAME(store)(REAL *p, VEC v) { *(VEC *)p = v; }

/* even: the even-numbered groups of `unit` lanes of a, each followed by the same group of b; odd: the odd-numbered. */
INLINE void NAME(pairs)(const int unit, VEC a, VEC b, VEC *even, VEC *odd)
{
    *even = *odd = a; /* of one lane there are no pairs */
    if (unit == 1) {
        PAIRS(1, a, b, *even, *odd);
    } else if (unit == 2) {
        PAIRS(2, a, b, *even, *odd);
    } else if (unit == 4) {
        PAIRS(4, a, b, *even, *odd);
    } else {
        PAIRS(8, a, b, *even, *odd);
    }
}

/* ---- horizontal sums: out[l] += sum of the lanes of v[l], l < count, a multiple of LANES ---- */

INLINE void NAME(add_sums)(VEC *v, int count, double *out)
{
    for (int first = 0; first < count; first += LANES) {
        VEC *t = v + first;
#pragma GCC unroll 4
        for (int unit = 1; unit < LANES; unit *= 2)
#pragma GCC unroll 8
            for (int a = 0; a < LANES; a += 2 * unit) {
                VEC even, odd;
                NAME(pairs)(unit, t[a], t[a + unit], &even, &odd);
                t[a] = even + odd;
            }
        REAL sums[LANES];
        memcpy(sums, t, sizeof sums);
        for (int l = 0; l < LANES; l++) out[first + l] += sums[l];
    }
}

INLINE double NAME(sum_lanes)(VEC v)
{
    double sum = 0.0;
    for (int l = 0; l < LANES; l++) sum += ((REAL *)&v)[l];
    return sum;
}

/* ---- packing ---- */

INLINE void NAME(pack_few)(const REAL *RESTRICT X, int d, const int columns, int m, REAL *RESTRICT xt)
{
    for (int i = 0; i < m; i++)
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++) xt[j * STRIDE + i] = X[(ptrdiff_t)i * d + j];
}

/* Transposes a square of LANES vectors. */
INLINE void NAME(transpose)(VEC *t)
{
#pragma GCC unroll 4
    for (int unit = 1; unit < LANES; unit *= 2)
#pragma GCC unroll 16
        for (int a = 0; a < LANES; a++)
            if (!(a & unit)) {
                VEC even, odd;
                NAME(pairs)(unit, t[a], t[a + unit], &even, &odd);
                t[a] = even, t[a + unit] = odd;
            }
}

/* LANES rows by LANES columns, of which the first `columns` are stored; as many numbers of each row are read. */
INLINE void NAME(transpose_square)(const REAL *RESTRICT X, int d, int columns, REAL *RESTRICT xt)
{
    VEC t[LANES];
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++) t[l] = *(const NAME(unaligned) *)(X + (ptrdiff_t)l * d);
    NAME(transpose)(t);
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++)
        if (l < columns) NAME(store)(xt + l * STRIDE, t[l]);
}

static void NAME(pack_rows)(const REAL *RESTRICT X, int m, int padded, int d, REAL *RESTRICT xt)
{
    if (d == 1)
        NAME(pack_few)(X, 1, 1, m, xt);
    else if (d == 2)
        NAME(pack_few)(X, 2, 2, m, xt);
    else if (d == 3)
        NAME(pack_few)(X, 3, 3, m, xt);
    else if (d == 4)
        NAME(pack_few)(X, 4, 4, m, xt);
    else {
        /* Rows shorter than a vector are read on into the next ones, which must be there; the last rows go one by one.
         */
        int beyond = d < LANES ? (LANES - 1) / d + 1 : 0, columns = d < LANES ? d : LANES, i = 0, j;
        for (; i + LANES + beyond <= m; i += LANES)
            for (j = 0; j < d; j += LANES) {
                int first =
                    j + LANES <= d || d < LANES ? j : d - LANES; /* the last square may overlap the one before */
                NAME(transpose_square)(X + (ptrdiff_t)i * d + first, d, columns, xt + first * STRIDE + i);
            }
        for (; i < m; i++)
            for (j = 0; j < d; j++) xt[j * STRIDE + i] = X[(ptrdiff_t)i * d + j];
    }
    for (int j = 0; j < d; j++)
        for (int i = m; i < padded; i++) xt[j * STRIDE + i] = 0;
}

/* ---- log-probabilities: out_i = c - h |(x_i - mean) U|^2 ---- */

/* d <= 4: everything in registers. */
INLINE void NAME(log_prob_few)(const int d, const REAL *RESTRICT xt, int padded, const REAL *RESTRICT mean,
                               const REAL *RESTRICT U, REAL c, REAL h, REAL *RESTRICT out)
{
    VEC u[10];
#pragma GCC unroll 10
    for (int p = 0; p < d * (d + 1) / 2; p++) u[p] = U[p] - (VEC){0};
    for (int i = 0; i < padded; i += LANES) {
        VEC x[4], q = {0};
#pragma GCC unroll 4
        for (int j = 0; j < d; j++) x[j] = NAME(load)(xt + j * STRIDE + i) - mean[j];
#pragma GCC unroll 4
        for (int j = 0; j < d; j++) {
            VEC y = x[0] * u[j * (j + 1) / 2];
#pragma GCC unroll 4
            for (int a = 1; a <= j; a++) y += x[a] * u[j * (j + 1) / 2 + a];
            q = j ? q + y * y : y * y;
        }
        NAME(store)(out + i, c - h * q);
    }
}

/* One panel of `columns` columns of U, rows 0 .. first + columns - 1: q += sum over the columns of ((x - mean) U)^2. */
INLINE const REAL *NAME(panel)(const int columns, const REAL *RESTRICT xt, int first, const REAL *RESTRICT mean,
                               const REAL *RESTRICT U, VEC *q)
{
    VEC y[PANEL][GROUP] = {0};
    for (int j = 0; j < first; j++) {
        VEC x[GROUP];
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) x[g] = NAME(load)(xt + j * STRIDE + g * LANES) - mean[j];
#pragma GCC unroll 8
        for (int a = 0; a < columns; a++)
#pragma GCC unroll 4
            for (int g = 0; g < GROUP; g++) y[a][g] += U[a] * x[g];
        U += columns;
    }
#pragma GCC unroll 8
    for (int b = 0; b < columns; b++) {
        VEC x[GROUP];
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) x[g] = NAME(load)(xt + (first + b) * STRIDE + g * LANES) - mean[first + b];
#pragma GCC unroll 8
        for (int a = b; a < columns; a++)
#pragma GCC unroll 4
            for (int g = 0; g < GROUP; g++) y[a][g] += *(U + a - b) * x[g];
        U += columns - b;
    }
#pragma GCC unroll 8
    for (int a = 0; a < columns; a++)
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) q[g] += y[a][g] * y[a][g];
    return U;
}

INLINE void NAME(log_prob_panels)(const REAL *RESTRICT xt, int padded, int d, const REAL *RESTRICT mean,
                                  const REAL *RESTRICT U, REAL c, REAL h, REAL *RESTRICT out)
{
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
#pragma GCC unroll 4
        for (int g = 0; g < GROUP; g++) NAME(store)(out + i + g * LANES, c - h * q[g]);
    }
}

/* U (row-major, upper triangle) in the order in which log_prob_full reads it: d (d + 1) / 2 numbers. */
static void NAME(pack_factor)(const REAL *RESTRICT U, int d, REAL *RESTRICT packed)
{
    int width = d <= 4 ? 1 : PANEL;
    for (int first = 0; first < d; first += width) {
        int end = first + width < d ? first + width : d;
        for (int j = 0; j < end; j++)
            for (int a = j > first ? j : first; a < end; a++) *packed++ = U[(ptrdiff_t)j * d + a];
    }
}

static void NAME(log_prob_full)(const REAL *RESTRICT xt, int padded, int d, const REAL *RESTRICT mean,
                                const REAL *RESTRICT packed, REAL c, REAL h, REAL *RESTRICT out)
{
    switch (d) {
    case 1: NAME(log_prob_few)(1, xt, padded, mean, packed, c, h, out); break;
    case 2: NAME(log_prob_few)(2, xt, padded, mean, packed, c, h, out); break;
    case 3: NAME(log_prob_few)(3, xt, padded, mean, packed, c, h, out); break;
    case 4: NAME(log_prob_few)(4, xt, padded, mean, packed, c, h, out); break;
    default: NAME(log_prob_panels)(xt, padded, d, mean, packed, c, h, out);
    }
}

INLINE void NAME(log_prob_diag_vectors)(const int vectors, const REAL *RESTRICT xt, int d, const REAL *RESTRICT mean,
                                        const REAL *RESTRICT u, REAL c, REAL h, REAL *RESTRICT out)
{
    VEC q[4] = {0};
    for (int j = 0; j < d; j++)
#pragma GCC unroll 4
        for (int g = 0; g < vectors; g++) {
            VEC y = (NAME(load)(xt + j * STRIDE + g * LANES) - mean[j]) * u[j];
            q[g] += y * y;
        }
#pragma GCC unroll 4
    for (int g = 0; g < vectors; g++) NAME(store)(out + g * LANES, c - h * q[g]);
}

/* The same for diagonal factors, all components: p[k]_i = c_k - h sum_j ((x_ij - mean_kj) u_kj)^2.  A few vectors of
 * rows stay in the first-level cache while the components pass by; meanwhile the rows of the next block are fetched. */
static void NAME(log_prob_diag)(const REAL *RESTRICT xt, int padded, int d, int n_components,
                                const REAL *RESTRICT means, const REAL *RESTRICT u, const double *RESTRICT c, REAL h,
                                const char *ahead, ptrdiff_t ahead_bytes, REAL *RESTRICT p)
{
    int i = 0;
    for (; i + 4 * LANES <= padded; i += 4 * LANES) {
        for (int k = 0; k < n_components; k++)
            NAME(log_prob_diag_vectors)(4, xt + i, d, means + (ptrdiff_t)k * d, u + (ptrdiff_t)k * d, c[k], h,
                                        p + (ptrdiff_t)k * STRIDE + i);
        prefetch_slice(ahead, ahead_bytes, i / (4 * LANES), padded / (4 * LANES));
    }
    for (; i < padded; i += LANES)
        for (int k = 0; k < n_components; k++)
            NAME(log_prob_diag_vectors)(1, xt + i, d, means + (ptrdiff_t)k * d, u + (ptrdiff_t)k * d, c[k], h,
                                        p + (ptrdiff_t)k * STRIDE + i);
}

/* ---- softmax ---- */

INLINE void NAME(peak_of_four)(const REAL *RESTRICT p, int padded, REAL *RESTRICT peak)
{
    const REAL *RESTRICT a = p, *RESTRICT b = a + STRIDE, *RESTRICT c = b + STRIDE, *RESTRICT e = c + STRIDE;
    for (int i = 0; i < padded; i++) {
        REAL ab = a[i] > b[i] ? a[i] : b[i], ce = c[i] > e[i] ? c[i] : e[i], most = ab > ce ? ab : ce;
        peak[i] = most > peak[i] ? most : peak[i];
    }
}

/* One row and component: x = exp(p - peak), with `root` x^2 for `total`.  Where x = 0 the difference may be infinite. */
#define TERM(pk)                                                                                                       \
    do {                                                                                                               \
        REAL t = (pk)[i] - peak[i], x = EXP(t, cut);                                                                   \
        (pk)[i] = x;                                                                                                   \
        sum += root ? x * x : x;                                                                                       \
        t = t > cut ? t : cut;                                                                                         \
        if (with_spread) sum_t += root ? x * (x * t) : x * t;                                                          \
    } while (0)

/* `count` components: p <- x = exp(p - peak), total += x, spread += x (p - peak); with `root` x^2 is what is summed. */
INLINE void NAME(exponentials)(const int count, REAL *RESTRICT p, int padded, const int root, const REAL cut,
                               const REAL *RESTRICT peak, REAL *RESTRICT total, const int with_spread,
                               REAL *RESTRICT spread)
{
    REAL *RESTRICT a = p, *RESTRICT b = a + STRIDE, *RESTRICT c = b + STRIDE, *RESTRICT e = c + STRIDE;
    for (int i = 0; i < padded; i++) {
        REAL sum = 0, sum_t = 0;
        TERM(a);
        if (count > 1) TERM(b);
        if (count > 2) TERM(c);
        if (count > 3) TERM(e);
        total[i] += sum;
        if (with_spread) spread[i] += sum_t;
    }
}
#undef TERM

/* In: p[k] = h-scaled log-probabilities.  Out: p[k] = exp(p[k] - max), `peak` the max, `total` = sum_k of what sums to
 * the likelihood: with `root` p holds half the log-probability, so that p[k]^2 is what is summed, and sqrt(resp) = p[k]
 * / sqrt(total).  `spread` = the same sum, each term times p[k] - max as it came in. */
INLINE void NAME(softmax)(REAL *RESTRICT p, int n_components, int padded, const int root, const REAL cut,
                          REAL *RESTRICT peak, REAL *RESTRICT total, const int with_spread, REAL *RESTRICT spread)
{
    ptrdiff_t k = 0;
    for (int i = 0; i < padded; i++) peak[i] = -REAL_MAX, total[i] = 0;
    if (with_spread)
        for (int i = 0; i < padded; i++) spread[i] = 0;
    for (; k + 4 <= n_components; k += 4) NAME(peak_of_four)(p + k * STRIDE, padded, peak);
    for (; k < n_components; k++)
        for (int i = 0; i < padded; i++) peak[i] = p[k * STRIDE + i] > peak[i] ? p[k * STRIDE + i] : peak[i];
    for (k = 0; k + 4 <= n_components; k += 4)
        NAME(exponentials)(4, p + k * STRIDE, padded, root, cut, peak, total, with_spread, spread);
    for (; k + 2 <= n_components; k += 2)
        NAME(exponentials)(2, p + k * STRIDE, padded, root, cut, peak, total, with_spread, spread);
    if (k < n_components)
        NAME(exponentials)(1, p + k * STRIDE, padded, root, cut, peak, total, with_spread, spread);
}

/* Responsibilities for the statistics, by their roots; the same without roots; for the eyes of the user, however small.
 * The first two skip the spread if it is NULL. */
static void NAME(softmax_roots)(REAL *RESTRICT p, int K, int padded, REAL *RESTRICT peak, REAL *RESTRICT total,
                                REAL *RESTRICT spread)
{
    if (spread)
        NAME(softmax)(p, K, padded, 1, EXP_CUT_EM / 2, peak, total, 1, spread);
    else
        NAME(softmax)(p, K, padded, 1, EXP_CUT_EM / 2, peak, total, 0, spread);
}

static void NAME(softmax_sums)(REAL *RESTRICT p, int K, int padded, REAL *RESTRICT peak, REAL *RESTRICT total,
                               REAL *RESTRICT spread)
{
    if (spread)
        NAME(softmax)(p, K, padded, 0, EXP_CUT_EM, peak, total, 1, spread);
    else
        NAME(softmax)(p, K, padded, 0, EXP_CUT_EM, peak, total, 0, spread);
}

static void NAME(softmax_all)(REAL *RESTRICT p, int K, int padded, REAL *RESTRICT peak, REAL *RESTRICT total)
{
    NAME(softmax)(p, K, padded, 0, EXP_CUT, peak, total, 0, NULL);
}

INLINE void NAME(finish_softmax)(REAL *RESTRICT peak, REAL *RESTRICT total, int padded, const int root,
                                 const int with_spread, REAL *RESTRICT spread)
{
    for (int i = 0; i < padded; i++) {
        REAL sum = total[i] > 1 ? total[i] : 1, log_sum = LOG(sum), inverse = 1 / sum;
        peak[i] = (root ? 2 * peak[i] : peak[i]) + (total[i] > 0 ? log_sum : -REAL_INF);
        if (with_spread) spread[i] = log_sum - (root ? 2 * spread[i] : spread[i]) * inverse;
        total[i] = total[i] > 0 ? inverse : 0;
    }
}

/* After softmax: peak <- log p(x_i), total <- its inverse, 0 where no component reaches the row (total = 0, else it is
 * at least 1).  Unless `spread` is NULL it becomes the entropy of the row's responsibilities,
 * -sum_k resp_ik log resp_ik = log total_i - spread_i / total_i. */
INLINE void NAME(log_likelihoods)(REAL *RESTRICT peak, REAL *RESTRICT total, int padded, const int root,
                                  REAL *RESTRICT spread)
{
    if (spread)
        NAME(finish_softmax)(peak, total, padded, root, 1, spread);
    else
        NAME(finish_softmax)(peak, total, padded, root, 0, NULL);
}

/* ---- statistics: nk += r_i, sum_x += r_i (x_i - c), scatter += r_i (x_i - c)(x_i - c)^T, with r_i = w_i resp_i ----
 */

/* d <= 4: p[i] * scale[i] = r_i.  scatter: upper triangle, row by row. */
INLINE void NAME(accumulate_few)(const int d, const REAL *RESTRICT xt, int padded, const REAL *RESTRICT center,
                                 const REAL *RESTRICT p, const REAL *RESTRICT scale, double *nk, double *sum_x,
                                 double *scatter)
{
    VEC sums[16] = {0}; /* scatter, sum_x, nk */
    const int n_scatter = d * (d + 1) / 2;
    for (int i = 0; i < padded; i += LANES) {
        VEC r = NAME(load)(p + i) * NAME(load)(scale + i), x[4], rx[4];
#pragma GCC unroll 4
        for (int j = 0; j < d; j++) {
            x[j] = NAME(load)(xt + j * STRIDE + i) - center[j];
            rx[j] = r * x[j];
            sums[n_scatter + j] += rx[j];
        }
        sums[n_scatter + d] += r;
#pragma GCC unroll 4
        for (int a = 0; a < d; a++)
#pragma GCC unroll 4
            for (int b = a; b < d; b++) sums[a * d - a * (a + 1) / 2 + b] += rx[a] * x[b];
    }
    double out[16] = {0};
    NAME(add_sums)(sums, (n_scatter + d + LANES) / LANES * LANES, out);
    for (int t = 0; t < n_scatter; t++) scatter[t] += out[t];
    for (int j = 0; j < d; j++) sum_x[j] += out[n_scatter + j];
    *nk += out[n_scatter + d];
}

/* z_j = s (x_j - c_j), sum_x_j += sum_i s z_j for `columns` features; s_i = sqrt(r_i). */
INLINE void NAME(differences)(const int columns, const REAL *RESTRICT xt, int padded, const REAL *RESTRICT center,
                              const REAL *RESTRICT s, REAL *RESTRICT z, double *sum_x)
{
    VEC sums[16] = {0};
    for (int i = 0; i < padded; i += LANES) {
        VEC root = NAME(load)(s + i);
#pragma GCC unroll 4
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

/* One tile of sum_i z_i z_i^T, column after column. */
INLINE void NAME(tile_columns)(const int rows, const int columns, const int diagonal, const REAL *RESTRICT za,
                               const REAL *RESTRICT zb, int padded, double *RESTRICT scatter)
{
    VEC sums[TILE * TILE] = {0};
    for (int i = 0; i < padded; i += LANES) {
        VEC a[TILE], b[TILE];
#pragma GCC unroll 4
        for (int j = 0; j < rows; j++) a[j] = NAME(load)(za + j * STRIDE + i);
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++) b[j] = diagonal ? a[j] : NAME(load)(zb + j * STRIDE + i);
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int c = diagonal ? r : 0; c < columns; c++) sums[c * TILE + r] += a[r] * b[c];
    }
    NAME(add_sums)(sums, (columns * TILE + LANES - 1) / LANES * LANES, scatter);
}

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

/* d > 4: z[i] = sqrt(r_i) (x_i - c); p[i] * scale[i] = sqrt(r_i).  scatter: tile after tile, upper block triangle. */
INLINE void NAME(accumulate_tiles)(const REAL *RESTRICT xt, int padded, int d, const REAL *RESTRICT center,
                                   REAL *RESTRICT p, const REAL *RESTRICT scale, REAL *RESTRICT z, double *nk,
                                   double *sum_x, double *scatter)
{
    VEC count[2] = {0};
    for (int i = 0; i < padded; i += 2 * LANES)
#pragma GCC unroll 2
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

/* sum_x_j += r_i (x_ij - c_j), scatter_j += r_i (x_ij - c_j)^2 for `columns` features.  The first time round a component
 * r_i = p_i * scale_i, which is kept in p, and counted. */
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
#pragma GCC unroll 4
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

/* The scatter's diagonals only, all components; p[k][i] * scale[i] = r_ik.  A few features of the block stay in the
 * first-level cache while the components pass by. */
static void NAME(accumulate_diag)(const REAL *RESTRICT xt, int padded, int d, int n_components,
                                  const REAL *RESTRICT centers, REAL *RESTRICT p, const REAL *RESTRICT scale, double *nk,
                                  double *sum_x, double *scatter)
{
    int j = 0;
#define SQUARES(columns, first)                                                                                        \
    NAME(squares_of_all)(columns, first, xt + j * STRIDE, padded, d, n_components, centers + j, p, scale, nk,          \
                         sum_x + j, scatter + j)
    switch (d) { /* d = 1 counts as full */
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

/* r_i = w_i resp_i given from outside: p[k] = resp of component k, with `root` its square root; `resp` is row-major (m,
 * K). */
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

/* The same from labels; without labels every row belongs to every component. */
static void NAME(take_labels)(const int32_t *RESTRICT labels, int m, int padded, int n_components, REAL *RESTRICT p)
{
    for (int k = 0; k < n_components; k++) {
        REAL *RESTRICT pk = p + (ptrdiff_t)k * STRIDE;
        for (int i = 0; i < m; i++) pk[i] = labels ? labels[i] == k : 1;
        for (int i = m; i < padded; i++) pk[i] = 0;
    }
}

/* scale_i = w_i inverse_i (with `root` its square root; inverse = NULL: all 1), 0 in the padding. */
INLINE void NAME(row_scales)(const double *RESTRICT weights, const REAL *RESTRICT inverse, int m, int padded,
                             const int root, REAL *RESTRICT scale)
{
    for (int i = 0; i < m; i++) {
        REAL w = (weights ? (REAL)weights[i] : 1) * (inverse ? inverse[i] : 1);
        scale[i] = root ? (REAL)sqrt(w) : w;
    }
    for (int i = m; i < padded; i++) scale[i] = 0;
}

/* sum_i w_i x_i (w = NULL: all 1), in float64 and in eight interleaved sums, which are what lets it be vector code. */
static double NAME(weighted_sum)(const REAL *RESTRICT x, const double *RESTRICT weights, int m)
{
    double sums[8] = {0}, sum = 0;
    int i = 0;
    for (; i + 8 <= m; i += 8)
        for (int l = 0; l < 8; l++) sums[l] += weights ? weights[i + l] * x[i + l] : x[i + l];
    for (; i < m; i++) sums[0] += weights ? weights[i] * x[i] : x[i];
    for (int l = 0; l < 8; l++) sum += sums[l];
    return sum;
}

/* Row-major out (m, K) = p[k] * inverse; 1 / K for all k where no component reaches the row (inverse = 0). */
INLINE void NAME(write_resp)(const REAL *RESTRICT p, const REAL *RESTRICT inverse, int m, int n_components,
                             REAL *RESTRICT out)
{
    for (int i = 0; i < m; i++) {
        REAL else_equal = inverse[i] > 0 ? 0 : (REAL)1 / n_components;
        for (int k = 0; k < n_components; k++)
            out[(ptrdiff_t)i * n_components + k] = p[(ptrdiff_t)k * STRIDE + i] * inverse[i] + else_equal;
    }
}

/* labels_i = the k of the largest p[k], the first of equals; `best` is scratch. */
INLINE void NAME(arg_max)(const REAL *RESTRICT p, int n_components, int m, REAL *RESTRICT best,
                          int32_t *RESTRICT labels)
{
    for (int i = 0; i < m; i++) best[i] = p[i], labels[i] = 0;
    for (int k = 1; k < n_components; k++) {
        const REAL *RESTRICT pk = p + (ptrdiff_t)k * STRIDE;
        for (int i = 0; i < m; i++) {
            int32_t label = pk[i] > best[i] ? k : labels[i];
            best[i] = pk[i] > best[i] ? pk[i] : best[i];
            labels[i] = label;
        }
    }
}

/* ---- exp and log over whole arrays, for tests and benchmarks ---- */

static void NAME(exp_array)(REAL *x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) x[i] = EXP(x[i], EXP_CUT);
}
static void NAME(log_array)(REAL *x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) x[i] = LOG(x[i]);
}

#undef VEC
#undef LANES
#undef EXP
#undef LOG
