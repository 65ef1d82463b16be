/* The passes of EM and for log-likelihoods or labels, without pairs (row, component) that cannot matter; screen.hpp says which. */
#ifndef FASTGMM_SCREENED_HPP
#define FASTGMM_SCREENED_HPP

#include "densities.hpp"
#include "em.hpp"
#include "screen.hpp"

/* out <- numbers first .. first + n - 1 of `one` (n_one,) followed by `other`. */
template <class Real>
static void join(const Real *one, int n_one, const Real *other, ptrdiff_t first, int n, Real *out)
{
    ptrdiff_t from_one = smaller(n, n_one - first);
    if (from_one < 0) from_one = 0;
    memcpy(out, one + first, from_one * sizeof(Real));
    memcpy(out + from_one, other + (first + from_one - n_one), (n - from_one) * sizeof(Real));
}

/* Chunks of several whole blocks: merging sums takes a larger share of the time where pairs are skipped. */
INLINE Chunks whole_blocks(ptrdiff_t n, ptrdiff_t block) { return Chunks(n, 4 * block, block); }

/* Arrays of a thread beyond those of the dense pass. */
template <class Real> struct ScreenWorkspace {
    Real *reals;       /* (n_threads, n_reals) */
    float *floats;     /* (n_threads, n_floats), and the packed factors of the screen */
    int32_t *integers; /* (n_threads, n_integers) */

    void pack_factors(Screen &screen, int n_threads) const { screen.pack_factors(floats + n_threads * screen.n_floats()); }

    ScreenedBlock<Real> block(const Mixture<Real> &mixture, const Screen &screen, bool half, int t) const
    {
        return ScreenedBlock<Real>(mixture, screen, half, reals + t * screen.n_reals(mixture.d), floats + t * screen.n_floats(),
                                   integers + t * screen.n_integers());
    }
};

template <class Real> struct ScreenedEmPass {
    EmPass<Real> em;
    Screen screen;
    ScreenWorkspace<Real> scratch;

    void run()
    {
        scratch.pack_factors(screen, em.n_threads);
        em.run_with(whole_blocks(em.rows.n, screen.block), [&](int t, ptrdiff_t start, ptrdiff_t stop, double *sums) { sum_rows(t, start, stop, sums); });
    }

    /* As EmPass, with pairs skipped. */
    void sum_rows(int t, ptrdiff_t start, ptrdiff_t stop, double *sums) const
    {
        const int d = em.mixture.d;
        ScreenedBlock<Real> block = scratch.block(em.mixture, screen, em.mixture.root, t);
        for (ptrdiff_t first = start; first < stop; first += screen.block) {
            const ptrdiff_t end = smaller(first + screen.block, stop);
            block.take(em.rows.X + first * d, (stop - first) * d, end - first);
            if (block.list_pairs(smaller(screen.block, stop - end) * d * sizeof(Real)))
                sum_block(block, em.rows.weights_from(first), sums);
            else
                em.sum_rows(first, end, em.work(t), sums);
        }
    }

    void sum_block(const ScreenedBlock<Real> &b, const double *w, double *sums) const
    {
        b.other_log_densities();
        b.softmax(em.with_entropy);
        sums[0] += weighted_sum(b.peak, w, b.m);
        if (em.with_entropy) sums[1] += weighted_sum(b.entropy, w, b.m);
        row_scales(w, b.total, b.m, b.m, em.mixture.root, b.scale);
        if (em.mixture.has_noise()) sums[em.mixture.noise_at()] += sum_of_products(b.noise, b.scale, b.m, em.mixture.root);

        /* Statistics: the two lists of a component one after the other, tile by tile. */
        for (ptrdiff_t k = 0; k < em.mixture.n_components; k++) {
            const int own = b.pairs.own[k], other = b.m + b.pairs.others[k];
            const int n_own = b.pairs.kept[2 * k], n = n_own + b.pairs.kept[2 * k + 1];
            uint16_t *chosen = b.pairs.chosen;
            memcpy(chosen, b.pairs.rows + own, n_own * sizeof *chosen);
            memcpy(chosen + n_own, b.pairs.rows + other, (n - n_own) * sizeof *chosen);
            for (int first = 0; first < n; first += BLOCK) {
                const int count = smaller(BLOCK, n - first);
                const int padded = gather(b.X, em.mixture.d, b.readable, chosen + first, count, b.xt);
                join(b.v + own, n_own, b.v + other, first, count, b.row);
                take_scales(b.scale, chosen + first, count, padded, b.row, b.taken);
                accumulate_one(b.xt, padded, em.mixture, k, em.statistics.centers, b.row, b.taken, b.z, sums + 2);
            }
        }
    }
};

template <class Real> struct ScreenedDensityPass {
    DensityPass<Real> dense; /* without resp */
    Screen screen;
    ScreenWorkspace<Real> scratch;

    void run()
    {
        scratch.pack_factors(screen, dense.n_threads);
        dense.run_with(whole_blocks(dense.rows.n, screen.block), [&](int t, ptrdiff_t start, ptrdiff_t stop) { write_rows(t, start, stop); });
    }

    /* As DensityPass, with pairs skipped. */
    void write_rows(int t, ptrdiff_t start, ptrdiff_t stop) const
    {
        const int d = dense.mixture.d;
        ScreenedBlock<Real> block = scratch.block(dense.mixture, screen, false, t);
        for (ptrdiff_t first = start; first < stop; first += screen.block) {
            const ptrdiff_t end = smaller(first + screen.block, stop);
            block.take(dense.rows.X + first * d, (stop - first) * d, end - first);
            if (block.list_pairs(smaller(screen.block, stop - end) * d * sizeof(Real)))
                write_block(block, first);
            else
                dense.write_rows(first, end, dense.work(t));
        }
    }

    void write_block(const ScreenedBlock<Real> &b, ptrdiff_t first) const
    {
        b.other_log_densities();
        if (dense.log_prob_norm) {
            b.softmax(false);
            memcpy(dense.log_prob_norm + first, b.peak, b.m * sizeof(Real));
        }
        if (dense.labels) {
            int32_t *best = b.pairs.guess; /* the guesses are no longer needed */
            for (int i = 0; i < b.m; i++) b.peak[i] = -INFINITY, best[i] = 0;
            for (int k = 0; k < dense.mixture.n_components; k++) {
                const int own = b.pairs.own[k], other = b.m + b.pairs.others[k];
                update_labels(b.v + own, b.pairs.rows + own, b.pairs.own[k + 1] - own, k, b.peak, best);
                update_labels(b.v + other, b.pairs.rows + other, b.pairs.others[k + 1] - b.pairs.others[k], k, b.peak, best);
            }
            for (int i = 0; i < b.m; i++) dense.labels[first + i] = b.peak[i] < dense.mixture.log_noise ? -1 : best[i];
        }
    }
};

/* How many pairs, without the guesses, a screen leaves of at most `screen.block` rows; -1 if too many to screen. */
template <class Real> struct PairCount {
    Rows<Real> rows;
    Mixture<Real> mixture;
    Screen screen;
    ScreenWorkspace<Real> scratch;
    Real *packed_factors;
    int count; /* OUT */

    void run()
    {
        mixture.pack_factors(packed_factors);
        scratch.pack_factors(screen, 1);
        ScreenedBlock<Real> block = scratch.block(mixture, screen, mixture.root, 0);
        block.take(rows.X, rows.n * mixture.d, rows.n);
        count = block.list_pairs(0) ? block.pairs.others[mixture.n_components] : -1;
    }
};

#endif
