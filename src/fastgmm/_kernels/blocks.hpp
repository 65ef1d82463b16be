/* Layout of a block of rows, its loads and horizontal sums, packing, and what a pass writes out.
 *
 * A block is m <= BLOCK rows.  `xt` holds them feature by feature: feature j of row i is xt[j * STRIDE + i].  Arrays
 * over components and rows (log-densities, responsibilities) are laid out alike: p[k * STRIDE + i], in comments
 * p[k]_i.  All arrays except X and other arrays of the caller are aligned to a vector.
 *
 * The edge: functions on a block work on `padded` rows, m rounded up to a multiple of GROUP vectors.  Packing fills
 * rows m .. padded - 1 of xt with zeros, row_scales gives them weight 0, and functions that write to the caller's
 * arrays stop at m. */
#ifndef FASTGMM_BLOCKS_HPP
#define FASTGMM_BLOCKS_HPP

#include "red_zone.hpp"
#include "vecmath.hpp"

#ifndef BLOCK
#define BLOCK 256 /* rows */
#endif
#define STRIDE (BLOCK + 16) /* not a power of two: columns would share a few cache sets */

/* m rounded up to whole groups of vectors. */
template <class Real>
INLINE int padded_rows(int m)
{
    const int group = GROUP * lanes<Real>;
    return (m + group - 1) / group * group;
}

/* The same number of padded rows: says again that it is whole groups of vectors, in functions that compilers do not see with their
 * callers.  A loop that needs no edge takes a third of the code. */
template <class Real>
INLINE int whole_groups(int padded)
{
    return padded & -(GROUP * lanes<Real>);
}

INLINE ptrdiff_t n_blocks(ptrdiff_t n) { return (n + BLOCK - 1) / BLOCK; }
INLINE ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return b < a ? b : a; }
INLINE ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a < b ? b : a; }

/* Prefetch part number `part` of `parts` equal parts of the bytes that will be needed next. */
INLINE void prefetch_slice(const char *ahead, ptrdiff_t bytes, int part, int parts)
{
#if defined(FASTGMM_GNU)
    for (ptrdiff_t line = bytes / 64 * part / parts; line < bytes / 64 * (part + 1) / parts; line++)
        __builtin_prefetch(ahead + 64 * line, 0, 2);
#endif
}

/* out[l] += sum of the lanes of v[l] for l < count, a multiple of lanes<Real>; v is overwritten. */
template <class Real>
INLINE void add_sums(Vec<Real> *v, int count, double *out)
{
    for (int first = 0; first < count; first += lanes<Real>) {
        Vec<Real> *t = v + first;
        UNROLL(4)
        for (int unit = 1; unit < lanes<Real>; unit *= 2)
            UNROLL(8)
            for (int a = 0; a < lanes<Real>; a += 2 * unit) {
                Vec<Real> even, odd;
                interleave<Real>(unit, t[a], t[a + unit], &even, &odd);
                t[a] = even + odd;
            }
        Real sums[lanes<Real>];
        memcpy(sums, t, sizeof sums);
        for (int l = 0; l < lanes<Real>; l++) out[first + l] += sums[l];
    }
}

template <class Real>
INLINE double sum_lanes(Vec<Real> v)
{
    double sum = 0.0;
    for (int l = 0; l < lanes<Real>; l++) sum += ((Real *)&v)[l];
    return sum;
}

/* ---- packing ---- */

template <class Real>
INLINE void pack_few(const Real *RESTRICT X, int d, const int columns, int m, Real *RESTRICT xt)
{
    for (int i = 0; i < m; i++)
        UNROLL(8)
        for (int j = 0; j < columns; j++) xt[j * STRIDE + i] = X[(ptrdiff_t)i * d + j];
}

/* Transpose a square of lanes<Real> vectors in place. */
template <class Real>
INLINE void transpose(Vec<Real> *t)
{
    UNROLL(4)
    for (int unit = 1; unit < lanes<Real>; unit *= 2)
        UNROLL(16)
        for (int a = 0; a < lanes<Real>; a++)
            if (!(a & unit)) {
                Vec<Real> even, odd;
                interleave<Real>(unit, t[a], t[a + unit], &even, &odd);
                t[a] = even, t[a + unit] = odd;
            }
}

/* Transpose lanes<Real> x lanes<Real> numbers of X, of which the first `columns` columns are stored. */
template <class Real>
INLINE void transpose_square(const Real *RESTRICT X, int d, int columns, Real *RESTRICT xt)
{
    Vec<Real> t[lanes<Real>];
    UNROLL(16)
    for (int l = 0; l < lanes<Real>; l++) t[l] = *(const UnalignedVec<Real> *)(X + (ptrdiff_t)l * d);
    transpose<Real>(t);
    UNROLL(16)
    for (int l = 0; l < lanes<Real>; l++)
        if (l < columns) store(xt + l * STRIDE, t[l]);
}

/* xt <- the m rows of X, transposed; zeros up to `padded`. */
template <class Real>
static void pack_rows(const Real *RESTRICT X, int m, int padded, int d, Real *RESTRICT xt)
{
    if (d == 1)
        pack_few(X, 1, 1, m, xt);
    else if (d == 2)
        pack_few(X, 2, 2, m, xt);
    else if (d == 3)
        pack_few(X, 3, 3, m, xt);
    else if (d == 4)
        pack_few(X, 4, 4, m, xt);
    else {
        /* A vector longer than a row is read on into the next `beyond` rows; rows without them are copied singly. */
        int beyond = d < lanes<Real> ? (lanes<Real> - 1) / d + 1 : 0, columns = d < lanes<Real> ? d : lanes<Real>, i = 0, j;
        for (; i + lanes<Real> + beyond <= m; i += lanes<Real>)
            for (j = 0; j < d; j += lanes<Real>) {
                int first = j + lanes<Real> <= d || d < lanes<Real> ? j : d - lanes<Real>; /* the last square may overlap its neighbor */
                transpose_square(X + (ptrdiff_t)i * d + first, d, columns, xt + first * STRIDE + i);
            }
        for (; i < m; i++)
            for (j = 0; j < d; j++) xt[j * STRIDE + i] = X[(ptrdiff_t)i * d + j];
    }
    for (int j = 0; j < d; j++)
        for (int i = m; i < padded; i++) xt[j * STRIDE + i] = 0;
}

/* pack_rows; returns the number of rows with the padding. */
template <class Real>
static int pack(const Real *X, int m, int d, Real *xt)
{
    int padded = padded_rows<Real>(m);
    pack_rows(X, m, padded, d, xt);
    return padded;
}

/* ---- output ---- */

/* sum_i w_i x_i (w_i = 1 if weights is NULL) in float64; eight interleaved sums let compilers vectorize it. */
template <class Real>
static double weighted_sum(const Real *RESTRICT x, const double *RESTRICT weights, int m)
{
    double sums[8] = {0}, sum = 0;
    int i = 0;
    for (; i + 8 <= m; i += 8)
        for (int l = 0; l < 8; l++) sums[l] += weights ? weights[i + l] * x[i + l] : x[i + l];
    for (; i < m; i++) sums[0] += weights ? weights[i] * x[i] : x[i];
    for (int l = 0; l < 8; l++) sum += sums[l];
    return sum;
}

/* sum_i x_i y_i, or of the squares of these products with `squared`, as weighted_sum. */
template <class Real>
static double sum_of_products(const Real *RESTRICT x, const Real *RESTRICT y, int m, bool squared)
{
    double sums[8] = {0}, sum = 0;
    int i = 0;
    for (; i + 8 <= m; i += 8)
        for (int l = 0; l < 8; l++) {
            const Real product = x[i + l] * y[i + l];
            sums[l] += squared ? product * product : product;
        }
    for (; i < m; i++) sums[0] += squared ? (x[i] * y[i]) * (x[i] * y[i]) : x[i] * y[i];
    for (int l = 0; l < 8; l++) sum += sums[l];
    return sum;
}

/* Row-major out (m, K) <- p[k]_i * inverse_i; 1 / K for all k if no component has density there (inverse_i = 0). */
template <class Real>
INLINE void write_resp(const Real *RESTRICT p, const Real *RESTRICT inverse, int m, int n_components,
                             Real *RESTRICT out)
{
    for (int i = 0; i < m; i++) {
        Real uniform = inverse[i] > 0 ? 0 : (Real)1 / n_components;
        for (int k = 0; k < n_components; k++)
            out[(ptrdiff_t)i * n_components + k] = p[(ptrdiff_t)k * STRIDE + i] * inverse[i] + uniform;
    }
}

/* labels_i <- the k with the largest p[k]_i, the first of equals; `best` (m,) is scratch. */
template <class Real>
INLINE void arg_max(const Real *RESTRICT p, int n_components, int m, Real *RESTRICT best,
                          int32_t *RESTRICT labels)
{
    for (int i = 0; i < m; i++) best[i] = p[i], labels[i] = 0;
    for (int k = 1; k < n_components; k++) {
        const Real *RESTRICT pk = p + (ptrdiff_t)k * STRIDE;
        for (int i = 0; i < m; i++) {
            int32_t label = pk[i] > best[i] ? k : labels[i];
            best[i] = pk[i] > best[i] ? pk[i] : best[i];
            labels[i] = label;
        }
    }
}

/* In place over whole arrays, for tests and benchmarks. */
template <class Real>
static void exp_array(Real *x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) x[i] = fast_exp(x[i], Limits<Real>::exp_cut);
}
template <class Real>
static void log_array(Real *x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) x[i] = fast_log(x[i]);
}
template <class Real>
static void log1p_array(Real *x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) x[i] = fast_log1p(x[i]);
}

#endif
