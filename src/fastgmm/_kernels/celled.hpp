/* The passes of EM and for log-likelihoods or labels, without components that no row of a tile can need; cells.hpp says which. */
#ifndef FASTGMM_CELLED_HPP
#define FASTGMM_CELLED_HPP

#include "cells.hpp"
#include "densities.hpp"
#include "em.hpp"

/* Chunks that are sorted as a whole.  With few rows in a cell, bounding its components takes most of the time. */
INLINE Chunks sorted_chunks(ptrdiff_t n, ptrdiff_t block, ptrdiff_t K)
{
    return Chunks(n, smaller(block, larger(16384, 256 * K)));
}

/* Arrays of a thread beyond those of the dense pass. */
struct CellWorkspace {
    double *doubles;   /* (n_threads, n_doubles), and the parameters */
    int32_t *integers; /* (n_threads, n_integers) */

    template <class Real> void pack_parameters(const Mixture<Real> &mixture, Partition<Real> &partition, int n_threads) const
    {
        partition.pack_parameters(mixture, doubles + n_threads * partition.n_doubles(mixture.n_components));
    }

    template <class Real> CellOrder<Real> order(const Mixture<Real> &mixture, const Partition<Real> &partition, int t) const
    {
        const int K = mixture.n_components;
        return CellOrder<Real>(mixture, partition, doubles + t * partition.n_doubles(K), integers + t * partition.n_integers(K));
    }
};

/* Call tile(row, rows, count) for all tiles of rows start .. stop - 1: the listed rows count from `row` on. */
template <class Real, class Function>
static void for_tiles(const Real *X, ptrdiff_t start, ptrdiff_t stop, CellOrder<Real> &order, Function tile)
{
    const ptrdiff_t n = stop - start, block = order.partition.block, n_parts = (n + block - 1) / block;
    for (ptrdiff_t part = 0; part < n_parts; part++) {
        const ptrdiff_t first = start + n * part / n_parts;
        const int m = start + n * (part + 1) / n_parts - first;
        order.sort(X + first * order.mixture.d, m);
        int count = order.prefetch_tile(0);
        for (int row = 0, ahead; row < m; row += count, count = ahead) {
            ahead = order.prefetch_tile(row + count);
            tile(first, order.rows + row, count);
        }
    }
}

template <class Real> struct CellsEmPass {
    EmPass<Real> em;
    Partition<Real> partition;
    CellWorkspace scratch;

    void run()
    {
        scratch.pack_parameters(em.mixture, partition, em.n_threads);
        em.run_with(sorted_chunks(em.rows.n, partition.block, em.mixture.n_components), [&](int t, ptrdiff_t start, ptrdiff_t stop, double *sums) {
            CellOrder<Real> order = scratch.order(em.mixture, partition, t);
            for_tiles(em.rows.X, start, stop, order, [&](ptrdiff_t first, const uint16_t *rows, int n) {
                sum_tile(first, stop, rows, n, order, em.work(t), sums);
            });
        });
    }

    /* sums += those of the n listed rows, for the components they may need. */
    void sum_tile(ptrdiff_t first, ptrdiff_t stop, const uint16_t *rows, int n, const CellOrder<Real> &order, Real *work,
                  double *sums) const
    {
        const Mixture<Real> &s = em.mixture;
        const Scratch<Real> a(work, s);
        const double *w = em.rows.weights_from(first), *weights = w ? order.weights : NULL;
        Real *spread = em.with_entropy ? a.entropy : NULL;
        const int padded = gather(em.rows.X + first * s.d, s.d, (stop - first) * s.d, rows, n, a.xt);
        const int left = order.needed_components(a.xt, padded, a.peak, a.p);
        int count = 0;
        for (int c = 0; c < left; c++) {
            const int k = order.components[count] = order.components[c];
            Real *v = a.p + count * (ptrdiff_t)STRIDE;
            s.log_density(a.xt, padded, k, false, v);
            count += order.is_needed(v, padded, k, a.peak);
        }
        if (w)
            for (int i = 0; i < n; i++) order.weights[i] = w[rows[i]];
        softmax_for_sums(a.p, s.add_noise(count, padded, s.root, a.p), padded, s.root, a.peak, a.inverse, spread);
        sums[0] += weighted_sum(a.peak, weights, n);
        if (em.with_entropy) sums[1] += weighted_sum(a.entropy, weights, n);
        row_scales(weights, a.inverse, n, padded, s.root, a.scale);
        if (s.has_noise()) sums[s.noise_at()] += sum_of_products(a.p + count * (ptrdiff_t)STRIDE, a.scale, n, s.root);
        for (int c = 0; c < count; c++)
            accumulate_one(a.xt, padded, s, order.components[c], em.statistics.centers, a.p + c * (ptrdiff_t)STRIDE, a.scale, a.z,
                           sums + 2);
    }
};

template <class Real> struct CellsDensityPass {
    DensityPass<Real> dense; /* without resp */
    Partition<Real> partition;
    CellWorkspace scratch;

    void run()
    {
        scratch.pack_parameters(dense.mixture, partition, dense.n_threads);
        dense.run_with(sorted_chunks(dense.rows.n, partition.block, dense.mixture.n_components), [&](int t, ptrdiff_t start, ptrdiff_t stop) {
            CellOrder<Real> order = scratch.order(dense.mixture, partition, t);
            for_tiles(dense.rows.X, start, stop, order, [&](ptrdiff_t first, const uint16_t *rows, int n) {
                write_tile(first, stop, rows, n, order, dense.work(t));
            });
        });
    }

    /* Outputs of the n listed rows, from the components they may need. */
    void write_tile(ptrdiff_t first, ptrdiff_t stop, const uint16_t *rows, int n, const CellOrder<Real> &order, Real *work) const
    {
        const Mixture<Real> &s = dense.mixture;
        const Scratch<Real> a(work, s);
        int32_t *best = (int32_t *)a.scale;
        const int padded = gather(dense.rows.X + first * s.d, s.d, (stop - first) * s.d, rows, n, a.xt);
        const int count = order.needed_components(a.xt, padded, a.peak, a.p);
        for (int c = 0; c < count; c++)
            s.log_density(a.xt, padded, order.components[c], false, a.p + c * (ptrdiff_t)STRIDE);
        const int n_terms = s.add_noise(count, padded, false, a.p);
        if (dense.labels) {
            arg_max(a.p, n_terms, n, a.peak, best);
            for (int i = 0; i < n; i++) dense.labels[first + rows[i]] = best[i] < count ? order.components[best[i]] : -1;
        }
        if (dense.log_prob_norm) {
            softmax_for_output(a.p, n_terms, padded, a.peak, a.inverse);
            for (int i = 0; i < n; i++) dense.log_prob_norm[first + rows[i]] = a.peak[i];
        }
    }
};

/* How many pairs (row, component) boxes leave of at most `partition.block` rows, and the number of tiles. */
template <class Real> struct ComponentCount {
    Rows<Real> rows;
    Mixture<Real> mixture;
    Partition<Real> partition;
    CellWorkspace scratch;
    Real *workspace; /* of the dense pass with one thread */
    int64_t n_pairs; /* OUT */
    int n_tiles;     /* OUT */

    void run()
    {
        const Scratch<Real> a(workspace, mixture);
        mixture.pack_factors(workspace + mixture.work_length());
        scratch.pack_parameters(mixture, partition, 1);
        CellOrder<Real> order = scratch.order(mixture, partition, 0);
        order.sort(rows.X, rows.n);
        n_pairs = n_tiles = 0;
        for (int row = 0, count; row < rows.n; row += count, n_tiles++) {
            count = order.tile_rows(row);
            const int padded = gather(rows.X, mixture.d, rows.n * mixture.d, order.rows + row, count, a.xt);
            n_pairs += count * order.needed_components(a.xt, padded, a.peak, a.p);
        }
    }
};

#endif
