/* Lloyd's algorithm with Hamerly's bounds (2010): a row is computed only if its nearest center may have changed. */
#ifndef FASTGMM_LLOYD_HPP
#define FASTGMM_LLOYD_HPP

#include "distances.hpp"

template <class Real> struct LloydPass {
    Clusters<Real> clusters;
    const double *moved; /* (K,), sum over passes of moves of center k and the fastest other, times scale */
    bool fresh;          /* whether all rows are computed and added; else labels and gaps are those of the pass before */
    int32_t *labels;     /* IN/OUT (n,), of the nearest centers, the first of equals */
    float *gaps;         /* IN/OUT (n,), distance of the second nearest center minus the nearest's, times scale, plus `moved`
                          * of the nearest when they were computed */
    double *counts;      /* IN/OUT (K,), += changes of the clusters' weights */
    double *sum_x;       /* IN/OUT (K, d), += changes of their sums of w (x - shift) */
    int64_t n_changed;   /* OUT, number of changed labels */

    void run()
    {
        const Clusters<Real> &c = clusters;
        const ScaledCenters scaled = c.scaled(moved);
        const Chunks chunks(c.rows.n, smaller(SELECT_ROWS, c.rows.n / MANY_CHUNKS));
        const double *total = sum_chunks(chunks, c.n_threads, c.sums, 1 + (ptrdiff_t)c.K * (1 + c.d) + RED_ZONE,
                                         [&](int t, ptrdiff_t start, ptrdiff_t stop, double *sums) {
                                             assign(start, stop, scaled, c.scratch(t), c.work(t), sums);
                                         });
        n_changed = (int64_t)*total++;
        for (ptrdiff_t k = 0; k < c.K; k++) counts[k] += *total++;
        for (ptrdiff_t j = 0; j < (ptrdiff_t)c.K * c.d; j++) sum_x[j] += *total++;
    }

    /* Labels and gaps of rows start .. stop - 1; sums += number of changed labels, changes of counts and of sum_x. */
    void assign(ptrdiff_t start, ptrdiff_t stop, const ScaledCenters &scaled, const TileScratch &scratch, Real *work,
                double *sums) const
    {
        const Clusters<Real> &c = clusters;
        const ptrdiff_t n_parts = (stop - start + SELECT_ROWS - 1) / SELECT_ROWS;
        for (ptrdiff_t part = 0; part < n_parts; part++) {
            const ptrdiff_t first = start + (stop - start) * part / n_parts;
            const int m = (int)(start + (stop - start) * (part + 1) / n_parts - first);
            const Real *X = c.rows.X + first * c.d;
            int n = m;
            if (fresh)
                for (int a = 0; a < m; a++) scratch.selected[a] = (uint16_t)a;
            else { /* rows whose nearest center may have changed */
                take_moves(scaled.moved, labels + first, m, scratch.least);
                memcpy(scratch.bounds, gaps + first, m * sizeof(float));
                n = survivors(scratch.least, scratch.bounds, m, scratch.selected);
            }
            for (int tile = 0; tile < n; tile += BLOCK) {
                const uint16_t *rows = scratch.selected + tile;
                const int count = smaller(BLOCK, n - tile);
                const int padded = round_tile(X, rows, count, c.d, c.shift, scaled.scale, scratch);
                find_nearest(scratch.y, padded, c.d, scaled.centers, scaled.half, scaled.error, c.K, (const char *)X,
                             c.d * sizeof(Real), rows + BLOCK, smaller(BLOCK, n - tile - BLOCK), scratch.nearest, scratch.gap);
                decide_in_full(X, rows, count, scaled.scale, scratch, work);
                for (int a = 0; a < count; a++) update(first + rows[a], scratch.nearest[a], scratch.gap[a], scaled, sums);
            }
        }
    }

    void update(ptrdiff_t i, int k, float gap, const ScaledCenters &scaled, double *sums) const
    {
        const Real *x = clusters.rows.X + i * clusters.d;
        gaps[i] = lasting_gap(gap, scaled.moved[k]);
        if (!fresh && labels[i] == k) return;
        const double w = clusters.rows.weights ? clusters.rows.weights[i] : 1.0;
        sums[0] += labels[i] != k;
        add_row(x, w, k, sums + 1);
        if (!fresh) add_row(x, -w, labels[i], sums + 1);
        labels[i] = k;
    }

    /* sums (counts, sum_x) of cluster k += w, w (x - shift). */
    void add_row(const Real *x, double w, ptrdiff_t k, double *sums) const
    {
        const Clusters<Real> &c = clusters;
        double *of_k = sums + c.K + k * c.d;
        sums[k] += w;
        for (int j = 0; j < c.d; j++) of_k[j] += w * (x[j] - c.shift[j]);
    }

    /* Compute the nearest centers and gaps in full for those of m listed rows that float32 leaves undecided. */
    void decide_in_full(const Real *X, const uint16_t *rows, int m, double scale, const TileScratch &scratch, Real *work) const
    {
        const int d = clusters.d, K = clusters.K;
        Real *xt = work + d * (ptrdiff_t)STRIDE, *p = xt + d * (ptrdiff_t)STRIDE;
        Real *best = p + K * (ptrdiff_t)STRIDE, *next_best = best + STRIDE;
        int32_t *nearest = (int32_t *)(next_best + STRIDE);
        int n = 0;
        for (int a = 0; a < m; a++) n += !(scratch.gap[a] > 0);
        if (n == 0) return;
        n = 0;
        for (int a = 0; a < m; a++) {
            scratch.undecided[n] = (uint16_t)a, scratch.rows[n] = rows[a];
            n += !(scratch.gap[a] > 0);
        }
        const int padded = pack_listed_shifted(X, scratch.rows, n, d, clusters.shift, work, xt);
        negative_distances(xt, padded, d, clusters.centers, K, p);
        two_nearest(p, K, n, best, next_best, nearest);
        to_gaps(best, next_best, n, d);
        for (int a = 0; a < n; a++) {
            const double gap = best[a] * scale;
            scratch.gap[scratch.undecided[a]] = (float)(K > 1 && FLT_MAX < gap ? FLT_MAX : gap);
            scratch.nearest[scratch.undecided[a]] = nearest[a];
        }
    }
};

/* moved (K,) += how far the centers (K, d) went from `previous`, which becomes a copy of them; see LloydPass.moved. */
template <class Real>
static void note_moves(const Real *centers, int K, int d, double scale, double *previous, double *moved)
{
    double largest = 0.0, second = 0.0;
    int fastest = 0;
    for (int k = 0; k < K; k++) {
        double square = 0.0;
        for (int j = 0; j < d; j++, centers++, previous++) {
            double step = (*centers - *previous) * scale;
            square += step * step;
            *previous = *centers;
        }
        const double move = sqrt(square) * (1 + 1e-12); /* never rounded down */
        moved[k] += move;
        if (move > largest)
            second = largest, largest = move, fastest = k;
        else if (move > second)
            second = move;
    }
    for (int k = 0; k < K; k++) moved[k] += k == fastest ? second : largest;
}

#endif
