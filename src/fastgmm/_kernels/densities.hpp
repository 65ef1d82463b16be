/* The pass that writes log-likelihoods, labels or responsibilities of the rows. */
#ifndef FASTGMM_DENSITIES_HPP
#define FASTGMM_DENSITIES_HPP

#include "threads.hpp"

template <class Real> struct DensityPass {
    Rows<Real> rows;
    Mixture<Real> mixture;
    Real *log_prob_norm; /* OUT (n,), log p(x_i); or NULL */
    int64_t *labels;     /* OUT (n,), the component with the largest responsibility, the first of equals, or -1 for the background; or NULL */
    Real *resp;          /* OUT (n, K), responsibilities, 1 / K where no component has density; or NULL */
    Real *workspace;     /* (n_threads, work_length) and the packed factors */
    int n_threads;
    SharedFactor<Real> shared; /* set by run() */

    void run()
    {
        run_with(Chunks(rows.n), [&](int t, ptrdiff_t start, ptrdiff_t stop) { write_rows(start, stop, work(t)); });
    }

    /* Set what is computed of the mixture; `packed` is room for packed_length numbers, `scratch` for 5 d. */
    NOINLINE void prepare(Real *packed, double *scratch)
    {
        mixture.pack_factors(packed);
        shared.prepare(mixture, packed + mixture.n_factors * mixture.factor_length(), scratch);
    }

    /* The pass with a function that writes the outputs of a chunk, as write_rows does. */
    template <class Function> void run_with(const Chunks &chunks, Function function)
    {
        prepare(workspace + n_threads * mixture.work_length(), (double *)workspace);
        share_out(chunks, n_threads, function);
    }

    Real *work(int t) const { return workspace + t * mixture.work_length(); }

    /* Write the outputs that are not NULL for rows start .. stop - 1. */
    NOINLINE void write_rows(ptrdiff_t start, ptrdiff_t stop, Real *work) const
    {
        write_rows_with(start, stop, work, [](int, Real *) {});
    }

    /* The same with a function of the log-densities of a block, which may change them. */
    template <class Function> void write_rows_with(ptrdiff_t start, ptrdiff_t stop, Real *work, Function change) const
    {
        const Mixture<Real> &s = mixture;
        const Scratch<Real> a(work, s);
        for (ptrdiff_t first = start; first < stop; first += BLOCK) {
            const int m = smaller(BLOCK, stop - first);
            const Real *X = rows.X + first * s.d;
            const int padded = pack(X, m, s.d, a.xt);
            const Real *ahead = X + m * s.d;
            const ptrdiff_t ahead_bytes = smaller(BLOCK, stop - first - m) * s.d * sizeof(Real);
            if (shared.is_used)
                shared.log_densities(a.xt, padded, s, ahead, ahead_bytes, a.z, a.p);
            else
                s.log_densities(a.xt, padded, ahead, ahead_bytes, false, a.p);
            change(padded, a.p);
            write_block(a, first, m, padded);
        }
    }

    /* The outputs of rows first .. first + m - 1 from their log-densities a.p. */
    NOINLINE void write_block(const Scratch<Real> &a, ptrdiff_t first, int m, int padded) const
    {
        const int K = mixture.n_components, n_terms = mixture.add_noise(K, padded, false, a.p);
        int32_t *best = (int32_t *)a.scale;
        if (labels) {
            arg_max(a.p, n_terms, m, a.peak, best);
            for (int i = 0; i < m; i++) labels[first + i] = best[i] < K ? best[i] : -1;
        }
        if (log_prob_norm || resp) {
            softmax_for_output(a.p, n_terms, padded, a.peak, a.inverse);
            if (log_prob_norm) memcpy(log_prob_norm + first, a.peak, m * sizeof(Real));
            if (resp) write_resp(a.p, a.inverse, m, K, resp + first * K);
        }
    }
};

#endif
