/* Passes that sum sufficient statistics: those of EM, and those under given labels or responsibilities.
 *
 * With r_ik = w_i resp_ik, w_i the row's weight, and c_k the component's center:
 *     nk = sum_i r_ik,   sum_x = sum_i r_ik (x_i - c_k),   scatter = sum_i r_ik (x_i - c_k)(x_i - c_k)^T,
 * the scatter summed over k if all components share it, or only its diagonals.  A background has a mass nk, too.  A pass
 * adds to its sums, so that chunks of rows can follow each other. */
#ifndef FASTGMM_EM_HPP
#define FASTGMM_EM_HPP

#include "threads.hpp"

template <class Real> struct EmPass {
    Rows<Real> rows;
    Mixture<Real> mixture;
    Statistics<Real> statistics;
    bool with_entropy;
    Real *workspace; /* (n_threads, work_length) and the packed factors */
    int n_threads;
    SharedFactor<Real> shared; /* set by run() */
    bool keeps_squares;        /* whether the E step's distances are the scatter: spherical, about the means; set by run() */
    double log_likelihood; /* OUT, sum_i w_i log p(x_i) */
    double entropy;        /* OUT, -sum_i w_i sum_k resp_ik log resp_ik if with_entropy, else 0 */

    void run()
    {
        run_with(Chunks(rows.n), [&](int t, ptrdiff_t start, ptrdiff_t stop, double *sums) { sum_rows(start, stop, work(t), sums); });
    }

    /* Set what is computed of the mixture; `packed` is room for packed_length numbers, `scratch` for 5 d. */
    NOINLINE void prepare(Real *packed, double *scratch)
    {
        mixture.pack_factors(packed);
        keeps_squares = mixture.sphere && mixture.d > 4 &&
                        memcmp(statistics.centers, mixture.means, mixture.n_components * mixture.d * sizeof(Real)) == 0;
        shared.prepare(mixture, packed + mixture.n_factors * mixture.factor_length(), scratch);
    }

    /* The pass with a function that sums the rows of a chunk, as sum_rows does.  Returns the sums of all chunks. */
    template <class Function> const double *run_with(const Chunks &chunks, Function function)
    {
        prepare(workspace + n_threads * mixture.work_length(), statistics.sums);
        const double *total = sum_chunks(chunks, n_threads, statistics.sums, mixture.sums_length(), function);
        log_likelihood = total[0];
        entropy = total[1];
        statistics.add(mixture, total);
        if (mixture.has_noise()) statistics.nk[mixture.n_components] += total[mixture.noise_at()];
        return total;
    }

    Real *work(int t) const { return workspace + t * mixture.work_length(); }

    /* sums += those of rows start .. stop - 1: log-likelihood, entropy, statistics. */
    NOINLINE void sum_rows(ptrdiff_t start, ptrdiff_t stop, Real *work, double *sums) const
    {
        const Mixture<Real> &s = mixture;
        const Scratch<Real> a(work, s);
        const bool root = s.root && !shared.is_used;
        for (ptrdiff_t first = start; first < stop; first += BLOCK) {
            const int m = smaller(BLOCK, stop - first);
            const Real *X = rows.X + first * s.d;
            const double *w = rows.weights_from(first);
            const int padded = pack(X, m, s.d, a.xt);
            evaluate(a, padded, first + m, stop, root);
            weigh(a, m, padded, w, root, sums);
            add_statistics(a, padded, sums);
        }
    }

    /* From log-densities a.p, or half of them: a.p a.scale <- weights w r_ik, or their roots; sums += log-likelihood, entropy, and the
     * mass of the background. */
    NOINLINE void weigh(const Scratch<Real> &a, int m, int padded, const double *w, bool root, double *sums) const
    {
        const Mixture<Real> &s = mixture;
        Real *spread = with_entropy ? a.entropy : NULL;
        softmax_for_sums(a.p, s.add_noise(s.n_components, padded, root, a.p), padded, root, a.peak, a.inverse, spread);
        sums[0] += weighted_sum(a.peak, w, m);
        if (with_entropy) sums[1] += weighted_sum(a.entropy, w, m);
        row_scales(w, a.inverse, m, padded, root, a.scale);
        if (s.has_noise()) sums[s.noise_at()] += sum_of_products(a.p + s.n_components * (ptrdiff_t)STRIDE, a.scale, m, root);
    }

    /* a.p <- log-densities of the rows in a.xt, or half of them; meanwhile the rows from `next` on are prefetched. */
    void evaluate(const Scratch<Real> &a, int padded, ptrdiff_t next, ptrdiff_t stop, bool half) const
    {
        const Mixture<Real> &s = mixture;
        const Real *ahead = rows.X + next * s.d;
        const ptrdiff_t ahead_bytes = smaller(BLOCK, stop - next) * s.d * sizeof(Real);
        if (shared.is_used)
            shared.log_densities(a.xt, padded, s, ahead, ahead_bytes, a.z, a.p);
        else if (keeps_squares)
            log_density_spherical<Real>(a.xt, padded, s.d, s.n_components, s.means, s.packed, s.log_const, 0.5, (const char *)ahead,
                                        ahead_bytes, a.squares, a.p);
        else
            s.log_densities(a.xt, padded, ahead, ahead_bytes, half, a.p);
    }

    /* sums += the statistics of the rows in a.xt with weights a.p a.scale, or the squares of these. */
    void add_statistics(const Scratch<Real> &a, int padded, double *sums) const
    {
        const Mixture<Real> &s = mixture;
        if (shared.is_used)
            accumulate_shared(a.xt, padded, s, statistics.centers, a.p, a.scale, a.z, sums + 2);
        else if (keeps_squares)
            accumulate_spherical(a.xt, padded, s.d, s.n_components, s.means, a.p, a.scale, a.squares, sums + 2,
                                 sums + 2 + s.n_components, sums + 2 + s.n_components * (1 + (ptrdiff_t)s.d));
        else
            accumulate(a.xt, padded, s, statistics.centers, a.p, a.scale, a.z, sums + 2);
    }
};

template <class Real> struct StatisticsPass {
    Rows<Real> rows;
    Shape shape;
    Statistics<Real> statistics;
    const int32_t *labels; /* (n,), or NULL */
    const Real *resp;      /* (n, K), or NULL; if both are NULL every row counts once for every component */
    Real *workspace;
    int n_threads;

    void run()
    {
        const double *total = sum_chunks(Chunks(rows.n), n_threads, statistics.sums, shape.sums_length(),
                                         [&](int t, ptrdiff_t start, ptrdiff_t stop, double *sums) {
                                             sum_rows(start, stop, workspace + t * shape.work_length(), sums);
                                         });
        statistics.add(shape, total);
    }

    /* sums += the statistics of rows start .. stop - 1. */
    void sum_rows(ptrdiff_t start, ptrdiff_t stop, Real *work, double *sums) const
    {
        const int K = shape.n_components;
        const Scratch<Real> a(work, shape);
        for (ptrdiff_t first = start; first < stop; first += BLOCK) {
            const int m = smaller(BLOCK, stop - first), padded = pack(rows.X + first * shape.d, m, shape.d, a.xt);
            if (resp)
                take_resp(resp + first * K, m, padded, K, shape.root, a.p);
            else
                take_labels(labels ? labels + first : NULL, m, padded, K, a.p);
            row_scales<Real>(rows.weights_from(first), NULL, m, padded, shape.root, a.scale);
            accumulate(a.xt, padded, shape, statistics.centers, a.p, a.scale, a.z, sums + 2);
        }
    }
};

#endif
