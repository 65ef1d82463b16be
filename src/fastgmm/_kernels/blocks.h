/* Layout of a block of rows, its loads and horizontal sums, packing, and what a pass writes out.
 *
 * A block is m <= BLOCK rows.  `xt` holds them feature by feature: feature j of row i is xt[j * STRIDE + i].  Arrays
 * over components and rows (log-densities, responsibilities) are laid out alike: p[k * STRIDE + i], in comments
 * p[k]_i.  All arrays except X and other arrays of the caller are aligned to a vector.
 *
 * The edge: functions on a block work on `padded` rows, m rounded up to a multiple of GROUP vectors.  Packing fills
 * rows m .. padded - 1 of xt with zeros, row_scales gives them weight 0, and functions that write to the caller's
 * arrays stop at m. */

INLINE VEC NAME(load)(const REAL *p) { return *(const VEC *)p; }
INLINE void NAME(store)(REAL *p, VEC v) { *(VEC *)p = v; }

/* even <- the even-numbered groups of `unit` lanes of a, each followed by that of b; odd <- the odd-numbered ones. */
INLINE void NAME(interleave)(const int unit, VEC a, VEC b, VEC *even, VEC *odd)
{
    *even = *odd = a; /* a vector of one lane has no groups */
    if (unit == 1) {
        INTERLEAVE(1, a, b, *even, *odd);
    } else if (unit == 2) {
        INTERLEAVE(2, a, b, *even, *odd);
    } else if (unit == 4) {
        INTERLEAVE(4, a, b, *even, *odd);
    } else {
        INTERLEAVE(8, a, b, *even, *odd);
    }
}

/* out[l] += sum of the lanes of v[l] for l < count, a multiple of LANES; v is overwritten. */
INLINE void NAME(add_sums)(VEC *v, int count, double *out)
{
    for (int first = 0; first < count; first += LANES) {
        VEC *t = v + first;
UNROLL(4)
        for (int unit = 1; unit < LANES; unit *= 2)
UNROLL(8)
            for (int a = 0; a < LANES; a += 2 * unit) {
                VEC even, odd;
                NAME(interleave)(unit, t[a], t[a + unit], &even, &odd);
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
UNROLL(8)
        for (int j = 0; j < columns; j++) xt[j * STRIDE + i] = X[(ptrdiff_t)i * d + j];
}

/* Transpose a square of LANES vectors in place. */
INLINE void NAME(transpose)(VEC *t)
{
UNROLL(4)
    for (int unit = 1; unit < LANES; unit *= 2)
UNROLL(16)
        for (int a = 0; a < LANES; a++)
            if (!(a & unit)) {
                VEC even, odd;
                NAME(interleave)(unit, t[a], t[a + unit], &even, &odd);
                t[a] = even, t[a + unit] = odd;
            }
}

/* Transpose LANES x LANES numbers of X, of which the first `columns` columns are stored. */
INLINE void NAME(transpose_square)(const REAL *RESTRICT X, int d, int columns, REAL *RESTRICT xt)
{
    VEC t[LANES];
UNROLL(16)
    for (int l = 0; l < LANES; l++) t[l] = *(const NAME(unaligned) *)(X + (ptrdiff_t)l * d);
    NAME(transpose)(t);
UNROLL(16)
    for (int l = 0; l < LANES; l++)
        if (l < columns) NAME(store)(xt + l * STRIDE, t[l]);
}

/* xt <- the m rows of X, transposed; zeros up to `padded`. */
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
        /* A vector longer than a row is read on into the next `beyond` rows; rows without them are copied singly. */
        int beyond = d < LANES ? (LANES - 1) / d + 1 : 0, columns = d < LANES ? d : LANES, i = 0, j;
        for (; i + LANES + beyond <= m; i += LANES)
            for (j = 0; j < d; j += LANES) {
                int first = j + LANES <= d || d < LANES ? j : d - LANES; /* the last square may overlap its neighbor */
                NAME(transpose_square)(X + (ptrdiff_t)i * d + first, d, columns, xt + first * STRIDE + i);
            }
        for (; i < m; i++)
            for (j = 0; j < d; j++) xt[j * STRIDE + i] = X[(ptrdiff_t)i * d + j];
    }
    for (int j = 0; j < d; j++)
        for (int i = m; i < padded; i++) xt[j * STRIDE + i] = 0;
}

/* ---- output ---- */

/* sum_i w_i x_i (w_i = 1 if weights is NULL) in float64; eight interleaved sums let compilers vectorize it. */
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

/* Row-major out (m, K) <- p[k]_i * inverse_i; 1 / K for all k if no component has density there (inverse_i = 0). */
INLINE void NAME(write_resp)(const REAL *RESTRICT p, const REAL *RESTRICT inverse, int m, int n_components,
                             REAL *RESTRICT out)
{
    for (int i = 0; i < m; i++) {
        REAL uniform = inverse[i] > 0 ? 0 : (REAL)1 / n_components;
        for (int k = 0; k < n_components; k++)
            out[(ptrdiff_t)i * n_components + k] = p[(ptrdiff_t)k * STRIDE + i] * inverse[i] + uniform;
    }
}

/* labels_i <- the k with the largest p[k]_i, the first of equals; `best` (m,) is scratch. */
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

/* In place over whole arrays, for tests and benchmarks. */
static void NAME(exp_array)(REAL *x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) x[i] = EXP(x[i], EXP_CUT);
}
static void NAME(log_array)(REAL *x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) x[i] = LOG(x[i]);
}
