/* k-means++: squared distances from the closest center taken so far, and the rows that random thresholds pick. */
#ifndef FASTGMM_SEEDING_HPP
#define FASTGMM_SEEDING_HPP

#include "distances.hpp"

enum { MIN_BOUND_FEATURES = 24 }; /* with fewer features computing all distances is faster than bounding them first */

/* p[k]_a <- -|x - center_k|^2 of the n listed of m rows for `count` centers, or of all m if listing does not pay; returns of how
 * many.  work (2 d, STRIDE) is scratch. */
template <class Real>
static int distances_of_selected(const Real *X, int m, int n, const uint16_t *rows, int d, const Real *shift, const Real *centers,
                                 int count, Real *work, Real *p)
{
    Real *xt = work + d * (ptrdiff_t)STRIDE;
    int padded;
    if (n > m / 4 * 3) {
        n = m;
        padded = pack_shifted(X, m, d, shift, xt);
    } else
        padded = pack_listed_shifted(X, rows, n, d, shift, work, xt);
    negative_distances(xt, padded, d, centers, count, p);
    return n;
}

/* lowered <- min(old, -negative) at the n listed of m rows; `old` may be `lowered`, or NULL for infinity if n = m. */
template <class Real>
static void lower_closest(const Real *negative, const uint16_t *rows, int n, int m, const Real *old, Real *lowered)
{
    if (n == m) {
        lower(negative, old, m, lowered);
        return;
    }
    if (old != lowered) memcpy(lowered, old, m * sizeof(Real));
    lower_listed(negative, rows, n, lowered);
}

/* Takes a center, and computes the potentials of further candidates. */
template <class Real> struct ClosestPass {
    Clusters<Real> clusters; /* the center to take, if n_taken is 1 (else 0), then C candidates */
    int n_taken;
    Real *closest;      /* IN/OUT (n,), squared distance from the closest center taken; lowered by the center to take */
    bool restart;       /* whether closest is infinite before */
    double *block_sums; /* (1 + C, blocks); row 0, IN: sums over blocks of w_i closest_i, the center taken; row c + 1, OUT: of
                         * w_i min(closest_i, |x_i - shift - candidate c|^2) */
    ptrdiff_t stride;   /* of its rows */
    double *potentials; /* IN/OUT (C,), += sum over the blocks of row c + 1 */

    void run()
    {
        const Clusters<Real> &c = clusters;
        const ScaledCenters scaled = c.scaled(NULL);
        const double *total = sum_chunks(Chunks(c.rows.n), c.n_threads, c.sums, c.K - n_taken + RED_ZONE,
                                         [&](int t, ptrdiff_t start, ptrdiff_t stop, double *sums) {
                                             lower_rows(start, stop, scaled, c.scratch(t), c.work(t), sums);
                                         });
        for (int k = 0; k < c.K - n_taken; k++) potentials[k] += total[k];
    }

    /* scratch.selected <- those of m rows (scratch.y) that may be nearer to one of `count` centers than `old`. */
    int select_rows(const TileScratch &scratch, int m, const ScaledCenters &scaled, int first, int count, const char *ahead,
                    ptrdiff_t ahead_bytes, const Real *old) const
    {
        const int d = clusters.d;
        bound_nearest(scratch.y, padded_rows<float>(m), d, scaled.centers + first * d, scaled.half + first, count, ahead,
                      ahead_bytes, scratch.bounds);
        round_up<Real>(old, m, scaled.scale * scaled.scale, scratch.least);
        return survivors(scratch.least, scratch.bounds, m, scratch.selected);
    }

    /* sums[c] += sum_i w_i min(closest_i, |x_i - c|^2) for candidates c of rows start .. stop - 1; block_sums <- that by block. */
    void lower_rows(ptrdiff_t start, ptrdiff_t stop, const ScaledCenters &scaled, const TileScratch &scratch, Real *work,
                    double *sums) const
    {
        const int d = clusters.d, n_candidates = clusters.K - n_taken;
        const bool use_bounds = d >= MIN_BOUND_FEATURES && (n_taken > 0 || !restart);
        const Real *shift = clusters.shift;
        Real *p = work + 2 * d * (ptrdiff_t)STRIDE, *lowered = p + clusters.K * (ptrdiff_t)STRIDE;
        for (int a = 0; a < BLOCK; a++) scratch.rows[a] = (uint16_t)a;
        for (ptrdiff_t first = start; first < stop; first += BLOCK) {
            const ptrdiff_t block = first / BLOCK;
            const int m = smaller(BLOCK, stop - first);
            const Real *X = clusters.rows.X + first * d;
            const char *ahead = (const char *)(X + m * d);
            const ptrdiff_t ahead_bytes = smaller(BLOCK, stop - first - m) * d * sizeof(Real);
            Real *old = closest + first;
            int n = m;
            if (use_bounds) round_tile(X, scratch.rows, m, d, shift, scaled.scale, scratch);
            if (n_taken > 0) {
                if (use_bounds && !restart) n = select_rows(scratch, m, scaled, 0, 1, ahead, 0, old);
                if (n > 0) {
                    n = distances_of_selected(X, m, n, scratch.selected, d, shift, clusters.centers, n_taken, work, p);
                    lower_closest<Real>(p, scratch.selected, n, m, restart ? NULL : old, old);
                }
                if (n_candidates == 0) continue;
            }
            n = m;
            if (use_bounds)
                n = select_rows(scratch, m, scaled, n_taken, n_candidates, ahead, ahead_bytes, old);
            else
                prefetch_slice(ahead, ahead_bytes, 0, 1);
            if (n > 0)
                n = distances_of_selected(X, m, n, scratch.selected, d, shift, clusters.centers + n_taken * d, n_candidates, work, p);
            for (ptrdiff_t c = 0; c < n_candidates; c++) {
                double *sum = block_sums + (c + 1) * stride + block;
                if (n > 0) {
                    lower_closest<Real>(p + c * STRIDE, scratch.selected, n, m, restart && n_taken == 0 ? NULL : old, lowered);
                    *sum = weighted_sum(lowered, clusters.rows.weights_from(first), m);
                } else
                    *sum = block_sums[block];
                sums[c] += *sum;
            }
        }
    }
};

/* rows[t] <- the first row at which the running sum of w_i closest_i reaches thresholds[t].
 *
 * The sums of float32 rows are rounded to float32 row after row, as scikit-learn's are since version 1.8: from some 10,000 rows
 * on this rounding decides which row is chosen, so exact sums would give another start. */
template <class Real> struct RowSearch {
    Rows<Real> rows;
    int d;
    const Real *shift;
    const Real *center; /* (d,), still to be taken if n_taken is 1; float32 requires n_taken = 0 */
    int n_taken;
    Real *closest; /* as in ClosestPass */
    bool restart;
    const double *block_sums; /* of closest, by block */
    const double *thresholds; /* (n_thresholds,) */
    int n_thresholds;
    ptrdiff_t *found; /* OUT (n_thresholds,) */
    Real *workspace;

    void run()
    {
        for (int t = 0; t < n_thresholds; t++) found[t] = find_row(thresholds[t]);
    }

    ptrdiff_t find_row(double threshold) const
    {
        Real *p = workspace + 2 * d * (ptrdiff_t)STRIDE;
        ptrdiff_t first = 0, stop = rows.n;
        double before = 0.0;
        if (sizeof(Real) == sizeof(double)) { /* the sums over blocks are known: add up within one block only */
            for (ptrdiff_t i = 0; i < n_blocks(rows.n) - 1 && !(before + block_sums[i] >= threshold); i++) {
                before += block_sums[i];
                first += BLOCK;
            }
            stop = smaller(first + BLOCK, rows.n);
            if (n_taken > 0) {
                const int m = stop - first;
                distances_of_selected<Real>(rows.X + first * d, m, m, NULL, d, shift, center, 1, workspace, p);
                lower_closest<Real>(p, NULL, m, m, restart ? NULL : closest + first, closest + first);
            }
        }
        Real running = 0;
        for (; first < stop; first += BLOCK) {
            const int m = smaller(BLOCK, stop - first);
            const Real *mass = closest + first;
            if (rows.weights) {
                for (int q = 0; q < m; q++) /* before the sums: fused into a multiply-add the product would not be rounded */
                    p[q] = (Real)rows.weights[first + q] * mass[q];
                mass = p;
            }
            for (int q = 0; q < m; q++) {
                running += mass[q];
                if (running + before >= threshold) return first + q;
            }
        }
        return stop - 1;
    }
};

#endif
