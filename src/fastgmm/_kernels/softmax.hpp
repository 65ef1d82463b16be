/* Softmax over the components: from log-densities to responsibilities, log-likelihoods and entropies of the rows.
 *
 * IN: p[k]_i = log w_k N(x_i; mean_k), or half of it if `root`.  OUT, with total_i the sum over k of p[k]_i (of
 * its square if `root`): resp_ik = p[k]_i / total_i (its square root p[k]_i / sqrt(total_i) if `root`), log p(x_i) and
 * the entropy -sum_k resp_ik log resp_ik.  Layout and edge as in blocks.hpp; all `padded` rows are computed. */
#ifndef FASTGMM_SOFTMAX_HPP
#define FASTGMM_SOFTMAX_HPP

#include "blocks.hpp"

/* peak <- max(peak, the largest of four components) */
template <class Real>
INLINE void peak_of_four(const Real *RESTRICT p, int padded, Real *RESTRICT peak)
{
    const Real *RESTRICT a = p, *RESTRICT b = a + STRIDE, *RESTRICT c = b + STRIDE, *RESTRICT e = c + STRIDE;
    for (int i = 0; i < padded; i++) {
        Real ab = a[i] > b[i] ? a[i] : b[i], ce = c[i] > e[i] ? c[i] : e[i], most = ab > ce ? ab : ce;
        peak[i] = most > peak[i] ? most : peak[i];
    }
}

/* For row i of component pk: t = p - peak, p <- x = exp(t), sum += x, sum_t += x t; with x^2 for x in the sums if
 * `root`. t is limited to `cut`, below which x is 0, so that an infinite t does not make 0 * t a NaN. */
#define TERM(pk)                                                                                                       \
    do {                                                                                                               \
        Real t = (pk)[i] - peak[i], x = fast_exp(t, cut);                                                                   \
        (pk)[i] = x;                                                                                                   \
        sum += root ? x * x : x;                                                                                       \
        t = t > cut ? t : cut;                                                                                         \
        if (with_spread) sum_t += root ? x * (x * t) : x * t;                                                          \
    } while (0)

/* For `count` components: p <- exp(p - peak); total and spread grow by the sum and sum_t of TERM. */
template <class Real>
INLINE void exponentials(const int count, Real *RESTRICT p, int padded, const int root, const Real cut,
                               const Real *RESTRICT peak, Real *RESTRICT total, const int with_spread,
                               Real *RESTRICT spread)
{
    Real *RESTRICT a = p, *RESTRICT b = a + STRIDE, *RESTRICT c = b + STRIDE, *RESTRICT e = c + STRIDE;
    for (int i = 0; i < padded; i++) {
        Real sum = 0, sum_t = 0;
        TERM(a);
        if (count > 1) TERM(b);
        if (count > 2) TERM(c);
        if (count > 3) TERM(e);
        total[i] += sum;
        if (with_spread) spread[i] += sum_t;
    }
}
#undef TERM

/* peak <- the largest p of the row, p <- exp(p - peak), total <- sum over the components of p, spread <- of p times its
 * exponent; with p^2 for p in both sums if `root`. */
template <class Real>
INLINE void softmax(Real *RESTRICT p, int n_components, int padded, const int root, const Real cut,
                          Real *RESTRICT peak, Real *RESTRICT total, const int with_spread, Real *RESTRICT spread)
{
    ptrdiff_t k = 0;
    padded = whole_groups<Real>(padded);
    for (int i = 0; i < padded; i++) peak[i] = -Limits<Real>::max, total[i] = 0;
    if (with_spread)
        for (int i = 0; i < padded; i++) spread[i] = 0;
    for (; k + 4 <= n_components; k += 4) peak_of_four(p + k * STRIDE, padded, peak);
    for (; k < n_components; k++)
        for (int i = 0; i < padded; i++) peak[i] = p[k * STRIDE + i] > peak[i] ? p[k * STRIDE + i] : peak[i];
    for (k = 0; k + 4 <= n_components; k += 4)
        exponentials(4, p + k * STRIDE, padded, root, cut, peak, total, with_spread, spread);
    for (; k + 2 <= n_components; k += 2)
        exponentials(2, p + k * STRIDE, padded, root, cut, peak, total, with_spread, spread);
    if (k < n_components)
        exponentials(1, p + k * STRIDE, padded, root, cut, peak, total, with_spread, spread);
}

/* softmax with square roots, for the statistics; the spread is left out if it is NULL. */
template <class Real>
static void softmax_roots(Real *RESTRICT p, int K, int padded, Real *RESTRICT peak, Real *RESTRICT total,
                                Real *RESTRICT spread)
{
    if (spread)
        softmax(p, K, padded, 1, Limits<Real>::exp_cut_em / 2, peak, total, 1, spread);
    else
        softmax(p, K, padded, 1, Limits<Real>::exp_cut_em / 2, peak, total, 0, spread);
}

/* softmax without square roots, for the statistics; the spread is left out if it is NULL. */
template <class Real>
static void softmax_sums(Real *RESTRICT p, int K, int padded, Real *RESTRICT peak, Real *RESTRICT total,
                               Real *RESTRICT spread)
{
    if (spread)
        softmax(p, K, padded, 0, Limits<Real>::exp_cut_em, peak, total, 1, spread);
    else
        softmax(p, K, padded, 0, Limits<Real>::exp_cut_em, peak, total, 0, spread);
}

/* softmax for predict_proba and score: only exponentials that would be subnormal become 0. */
template <class Real>
static void softmax_all(Real *RESTRICT p, int K, int padded, Real *RESTRICT peak, Real *RESTRICT total)
{
    softmax<Real>(p, K, padded, 0, Limits<Real>::exp_cut, peak, total, 0, NULL);
}

template <class Real>
INLINE void finish_softmax(Real *RESTRICT peak, Real *RESTRICT total, int padded, const int root,
                                 const int with_spread, Real *RESTRICT spread)
{
    for (int i = 0; i < padded; i++) {
        Real sum = total[i] > 1 ? total[i] : 1, log_sum = fast_log(sum), inverse = 1 / sum;
        peak[i] = (root ? 2 * peak[i] : peak[i]) + (total[i] > 0 ? log_sum : -Limits<Real>::infinity);
        if (with_spread) spread[i] = log_sum - (root ? 2 * spread[i] : spread[i]) * inverse;
        total[i] = total[i] > 0 ? inverse : 0;
    }
}

/* After softmax: peak <- log p(x_i), total <- 1 / total (0 if no component has density at the row: total is 0, else at
 * least 1), and unless it is NULL spread <- the entropy of the responsibilities, log total_i - spread_i / total_i.  One loop for
 * each case, so that all of them are vector code. */
template <class Real>
static void log_likelihoods(Real *RESTRICT peak, Real *RESTRICT total, int padded, bool root, Real *RESTRICT spread)
{
    if (root && spread)
        finish_softmax<Real>(peak, total, padded, 1, 1, spread);
    else if (root)
        finish_softmax<Real>(peak, total, padded, 1, 0, NULL);
    else if (spread)
        finish_softmax<Real>(peak, total, padded, 0, 1, spread);
    else
        finish_softmax<Real>(peak, total, padded, 0, 0, NULL);
}

#endif
