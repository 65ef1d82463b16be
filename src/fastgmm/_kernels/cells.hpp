/* Which components the rows of a cell may need: bounds for whole tiles of rows, for few features (d <= 4), where
 * computing a pair costs less than deciding about it.
 *
 * A k-d tree partitions the space into cells, its leaves.  The rows of a block (some ten thousands) are sorted by cell,
 * as indices, and gathered tile by tile; a tile has rows of one cell, or of neighboring cells with few rows.  No row of
 * a tile needs a component if
 *
 *     c_k + log s - 1 - (1/2 - 1/s) q_k < l - cut,
 *
 * which is (2) of screen.hpp for all its rows: q_k is a lower bound of the squared whitened distance between the tile's
 * bounding box and the component, and l a lower bound of the rows' log p_i, the least over the rows of the largest
 * log-density under GUESSES components, those with the highest densities at the center of the box, or the background's.  The remaining
 * components' log-densities are computed, and the EM pass then drops those that (2) excludes row by row.  The rest is
 * the tile's mixture, and is computed by the functions of the dense pass.
 *
 * For log-likelihoods and labels the condition is log w_k + c_k - q_k / 2 < l - cut - log K: all dropped components
 * together are less than e^-cut of p_i.
 *
 * Layout and edge as in blocks.hpp; the padding of a tile repeats its last row, so that it may enter all extrema. */
#ifndef FASTGMM_CELLS_HPP
#define FASTGMM_CELLS_HPP

#include "box.hpp"
#include "screen.hpp"
#define WIDTH (GROUP * lanes<Real>) /* padded is a multiple of it */

/* cells_i <- the leaf of row i in a k-d tree with 2^depth leaves.  All nodes of level l split features[l]; a row of node n
 * goes to its second child if it is not below thresholds[2^l + n]. */
template <class Real>
static void find_cells(const Real *RESTRICT X, int m, int d, int depth, const int32_t *RESTRICT features, const Real *RESTRICT thresholds,
                          uint16_t *RESTRICT cells)
{
    for (int i = 0; i < m; i++) cells[i] = 0;
    for (int level = 0; level < depth; level++) {
        const Real *RESTRICT x = X + features[level], *RESTRICT t = thresholds + (1 << level);
        for (int i = 0; i < m; i++) cells[i] = (uint16_t)(2 * cells[i] + !(x[(ptrdiff_t)i * d] < t[cells[i]]));
    }
}

/* Bounding box |x_j - center_j| <= half_j of the rows; half is rounded up. */
template <class Real>
static void bounding_box(const Real *RESTRICT xt, int padded, int d, double *RESTRICT center, double *RESTRICT half)
{
    for (int j = 0; j < d; j++, xt += STRIDE) {
        Real low[WIDTH], high[WIDTH];
        for (int l = 0; l < WIDTH; l++) low[l] = high[l] = xt[l];
        for (int i = WIDTH; i < padded; i += WIDTH)
            for (int l = 0; l < WIDTH; l++) {
                low[l] = xt[i + l] < low[l] ? xt[i + l] : low[l];
                high[l] = xt[i + l] > high[l] ? xt[i + l] : high[l];
            }
        for (int l = 1; l < WIDTH; l++) {
            low[0] = low[l] < low[0] ? low[l] : low[0];
            high[0] = high[l] > high[0] ? high[l] : high[0];
        }
        double middle = 0.5 * low[0] + 0.5 * high[0], up = high[0] - middle, down = middle - low[0];
        center[j] = middle;
        half[j] = (up > down ? up : down) * (1.0 + BOX_ROUNDING);
    }
}

/* most_i <- max_k p[k]_i; returns the least of them. */
template <class Real>
static double least_of_largest(const Real *RESTRICT p, int n_components, int padded, Real *RESTRICT most)
{
    Real least[WIDTH];
    for (int i = 0; i < padded; i++) most[i] = p[i];
    for (int k = 1; k < n_components; k++) {
        const Real *RESTRICT pk = p + k * STRIDE;
        for (int i = 0; i < padded; i++) most[i] = pk[i] > most[i] ? pk[i] : most[i];
    }
    for (int l = 0; l < WIDTH; l++) least[l] = most[l];
    for (int i = WIDTH; i < padded; i += WIDTH)
        for (int l = 0; l < WIDTH; l++) least[l] = most[i + l] < least[l] ? most[i + l] : least[l];
    for (int l = 1; l < WIDTH; l++) least[0] = least[l] < least[0] ? least[l] : least[0];
    return least[0];
}

/* Whether slope p_i + constant >= most_i for any row, or either side is NaN. */
template <class Real>
static int any_reaches(const Real *RESTRICT p, int padded, Real slope, Real constant, const Real *RESTRICT most)
{
    for (int i = 0; i < padded; i += WIDTH) {
        int reaches = 0;
        for (int l = 0; l < WIDTH; l++) reaches |= !(slope * p[i + l] + constant < most[i + l]);
        if (reaches) return 1;
    }
    return 0;
}

/* Prefetch the n rows listed. */
template <class Real>
INLINE void prefetch_listed(const Real *X, int d, const uint16_t *RESTRICT rows, int n)
{
#if defined(FASTGMM_GNU)
    for (int a = 0; a < n; a++) __builtin_prefetch(X + (ptrdiff_t)rows[a] * d);
#endif
}

#undef WIDTH

enum {
    GUESSES = 4,
    MIN_CELL_ROWS = 128, /* a block uses so many levels of the tree that cells have at least as many rows on average */
    MIN_TILE_ROWS = 64,  /* a smaller tile is extended into the next cell */
    MAX_CELL_FEATURES = 4
};

template <class Real> struct Partition {
    int block;               /* rows sorted at a time, at most 2^16 */
    int depth;               /* of the tree */
    const int32_t *features; /* (depth,), the feature that each level splits */
    const Real *thresholds;  /* (2^depth,), of node n of level l at 2^l + n */
    const double *constants; /* (K,), c_k + log s - 1 */
    double slope;            /* 1/2 - 1/s */
    double cut;
    double *parameters;      /* (d + d (d + 1) / 2, stride): component k's mean and factor in column k, as box_bounds reads them */
    ptrdiff_t stride;

    /* Lengths of a thread's parts of the workspaces, and of the parameters. */
    ptrdiff_t n_doubles(int K) const { return (2 * (ptrdiff_t)K + BLOCK + RED_ZONE + 7) / 8 * 8; }
    ptrdiff_t n_integers(int K) const { return whole_lines(block + ((ptrdiff_t)1 << depth) + 2 + K + 1 + RED_ZONE); }
    ptrdiff_t n_parameters(int d, int K) const { return (d + d * (d + 1) / 2) * (((ptrdiff_t)K + 7) / 8 * 8); }

    void pack_parameters(const Mixture<Real> &s, double *out)
    {
        const ptrdiff_t size = s.diag ? s.d : s.d * s.d;
        parameters = out;
        stride = ((ptrdiff_t)s.n_components + 7) / 8 * 8;
        for (ptrdiff_t k = 0; k < s.n_components; k++) {
            const Real *U = s.factors + (s.n_factors > 1 ? k * size : 0);
            double *p = out + k;
            for (int j = 0; j < s.d; j++, p += stride) *p = s.means[k * s.d + j];
            for (int a = 0; a < s.d; a++)
                for (int j = s.diag ? a : 0; j <= a; j++, p += stride) *p = s.diag ? U[a] : U[j * s.d + a];
        }
    }
};

/* A thread's rows of a block in the order of cells, tile by tile, and the components that a tile needs. */
template <class Real> struct CellOrder {
    const Mixture<Real> &mixture;
    const Partition<Real> &partition;
    uint16_t *cells;     /* (block,), cell of each row */
    uint16_t *rows;      /* (block,), rows by cell */
    int32_t *starts;     /* (2^depth + 2,), where a cell begins in rows */
    int32_t *components; /* (K + 1,), those needed */
    double *bounds;      /* (K,), left side of the condition */
    double *densities;   /* (K,), log-densities at the center of the box */
    double *weights;     /* (BLOCK,), of the tile's rows */
    const Real *X;       /* the block */
    int m;               /* rows of it */
    int cell;            /* in which the last tile ended */
    RedZone of_doubles, of_integers;

    CellOrder(const Mixture<Real> &mixture, const Partition<Real> &partition, double *doubles, int32_t *integers)
        : mixture(mixture), partition(partition), of_doubles(doubles + partition.n_doubles(mixture.n_components)),
          of_integers(integers + partition.n_integers(mixture.n_components))
    {
        const int K = mixture.n_components;
        bounds = doubles, densities = bounds + K, weights = densities + K;
        components = integers, starts = components + K + 1;
        cells = (uint16_t *)(starts + (1 << partition.depth) + 2), rows = cells + partition.block;
    }

    /* Counting sort: rows[starts[c]] .. rows[starts[c + 1] - 1] <- the rows of cell c, ascending. */
    void sort(const Real *block, int n_rows)
    {
        const int d = mixture.d;
        int depth = partition.depth;
        X = block, m = n_rows, cell = 0;
        while (depth > 0 && (m >> depth) < MIN_CELL_ROWS) depth--;
        for (int first = 0; first < m; first += BLOCK)
            find_cells(X + (ptrdiff_t)first * d, (int)smaller(BLOCK, m - first), d, depth, partition.features,
                       partition.thresholds, cells + first);
        memset(starts, 0, ((1 << depth) + 2) * sizeof *starts);
        for (int i = 0; i < m; i++) starts[cells[i] + 2]++;
        for (int c = 0; c < 1 << depth; c++) starts[c + 2] += starts[c + 1];
        for (int i = 0; i < m; i++) rows[starts[cells[i] + 1]++] = (uint16_t)i;
    }

    /* Number of the sorted rows, from `first` on, that make a tile: those of a cell, or of several with few rows. */
    int tile_rows(int first)
    {
        while (starts[cell + 1] < smaller(first + MIN_TILE_ROWS, m)) cell++;
        const int rest = starts[cell + 1] - first;
        return rest ? (int)((rest + n_blocks(rest) - 1) / n_blocks(rest)) : 0;
    }

    /* The same; the rows are prefetched. */
    int prefetch_tile(int first)
    {
        const int count = tile_rows(first);
        prefetch_listed(X, mixture.d, rows + first, count);
        return count;
    }

    /* components <- those a tile may need; returns how many.  best <- the largest log-densities under guesses. */
    int needed_components(const Real *xt, int padded, Real *best, Real *scratch) const
    {
        const int K = mixture.n_components, n_guesses = smaller(GUESSES, K);
        double center[MAX_CELL_FEATURES], half[MAX_CELL_FEATURES];
        bounding_box(xt, padded, mixture.d, center, half);
        box_bounds(mixture.d, mixture.diag, partition.parameters, partition.stride, K, center, half, partition.constants,
                   partition.slope, mixture.log_const, bounds, densities);
        largest(densities, K, n_guesses, components);
        for (int a = 0; a < n_guesses; a++) mixture.log_density(xt, padded, components[a], false, scratch + a * STRIDE);
        const double largest_least = least_of_largest(scratch, n_guesses, padded, best);
        const double least = largest_least < mixture.log_noise ? mixture.log_noise : largest_least;
        return not_below(bounds, K, least_bound(least, partition.cut), components);
    }

    /* Whether component k with log-densities v may count for any of the rows. */
    bool is_needed(const Real *v, int padded, int k, const Real *best) const
    {
        const double slope = 2.0 * partition.slope;
        const double constant = partition.constants[k] - slope * mixture.log_const[k] + partition.cut;
        return any_reaches<Real>(v, padded, slope, constant, best);
    }
};

#endif
