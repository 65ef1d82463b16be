/* Distances of rows from k-means centers: in float32 as far as that decides (nearest.hpp), else in full (kmeans.hpp).
 *
 * Rows count from a `shift` (scikit-learn's KMeans subtracts the mean of the data), without being stored that way.  In float32
 * rows and centers are multiplied by `scale`, a power of two that brings the centers near 1. */
#ifndef FASTGMM_DISTANCES_HPP
#define FASTGMM_DISTANCES_HPP

#include "kmeans.hpp"
#include "nearest.hpp"
#include "screen.hpp"
#include "threads.hpp"

enum {
    SELECT_ROWS = 4096, /* rows from which those to be computed are selected at a time */
    READ_BEYOND = 16    /* numbers beyond the end that `survivors` may read and write */
};

/* The centers as nearest.hpp reads them, and how far they have moved, in units of 1 / scale. */
struct ScaledCenters {
    float *centers, *half, *error, *moved;
    double scale;

    static ptrdiff_t length(int K, int d) { return whole_lines((ptrdiff_t)K * (d + 3)); }

    /* `moved_by` (K,) may be NULL. */
    template <class Real> ScaledCenters(const Real *original, int K, int d, const double *moved_by, double scale, float *floats)
        : centers(floats), half(centers + (ptrdiff_t)K * d), error(half + K), moved(error + K), scale(scale)
    {
        const double E = rounding_of_dots(d);
        for (ptrdiff_t k = 0; k < K; k++) {
            double square = 0.0;
            for (int j = 0; j < d; j++) {
                double c = original[k * d + j] * scale;
                centers[k * d + j] = (float)c;
                square += c * c;
            }
            half[k] = (float)((0.5 - E) * square);
            error[k] = (float)((float)(2 * E * square) + 1e-36);
            moved[k] = moved_by ? (float)moved_by[k] : 0;
        }
    }
};

/* A thread's arrays in float32: bounds, least and selected over SELECT_ROWS rows, the others over a tile of rows. */
struct TileScratch {
    float *flat; /* (rows, d) */
    float *y;    /* (d, STRIDE) */
    float *gap, *bounds, *least;
    int32_t *nearest;
    uint16_t *selected;  /* indices of rows to compute */
    uint16_t *undecided; /* indices within the tile, and .. */
    uint16_t *rows;      /* .. those of the same rows within X */
    RedZone red_zone;

    static ptrdiff_t length(int d)
    {
        return whole_lines((2 * d + 3) * (ptrdiff_t)STRIDE + 5 * (SELECT_ROWS + READ_BEYOND) / 2 + RED_ZONE);
    }

    TileScratch(float *floats, int d) : red_zone(floats + length(d))
    {
        flat = floats;
        y = flat + d * (ptrdiff_t)STRIDE;
        gap = y + d * (ptrdiff_t)STRIDE;
        nearest = (int32_t *)(gap + STRIDE);
        undecided = (uint16_t *)(nearest + STRIDE);
        rows = undecided + STRIDE;
        bounds = (float *)(rows + STRIDE);
        least = bounds + SELECT_ROWS + READ_BEYOND;
        selected = (uint16_t *)(least + SELECT_ROWS + READ_BEYOND);
    }
};

/* Length of the scratch array of the passes of k-means. */
static ptrdiff_t kmeans_floats(int K, int d, int n_threads)
{
    return ScaledCenters::length(K, d) + n_threads * TileScratch::length(d);
}

/* What the passes of k-means share: rows x - shift, and centers. */
template <class Real> struct Clusters {
    Rows<Real> rows;
    int d, K;
    const Real *shift;   /* (d,) */
    const Real *centers; /* (K, d) */
    double scale;
    Real *workspace; /* as for a mixture of K components with diagonal factors */
    float *floats;
    double *sums; /* scratch (SumTree::n_buffers, sums_length) */
    int n_threads;

    Real *work(int t) const { return workspace + t * shape().work_length(); }
    ScaledCenters scaled(const double *moved) const { return ScaledCenters(centers, K, d, moved, scale, floats); }
    TileScratch scratch(int t) const
    {
        return TileScratch(floats + ScaledCenters::length(K, d) + t * TileScratch::length(d), d);
    }
    Shape shape() const
    {
        Shape s;
        s.set_shape(d, K, K, 1, d);
        return s;
    }
};

/* As pack, less the shift. */
template <class Real>
static int pack_shifted(const Real *X, int m, int d, const Real *shift, Real *xt)
{
    const int padded = pack(X, m, d, xt);
    subtract(xt, padded, d, shift);
    return padded;
}

/* As pack_shifted, for m listed rows; flat (m, d) is scratch. */
template <class Real>
static int pack_listed_shifted(const Real *X, const uint16_t *rows, int m, int d, const Real *shift, Real *flat, Real *xt)
{
    take_rows(X, d, rows, m, flat);
    return pack_shifted(flat, m, d, shift, xt);
}

/* scratch.y <- scale (x - shift) of m listed rows, in float32. */
template <class Real>
static int round_tile(const Real *X, const uint16_t *rows, int m, int d, const Real *shift, double scale, const TileScratch &scratch)
{
    const int padded = padded_rows<float>(m);
    round_rows<Real>(X, d, rows, m, shift, scale, scratch.flat);
    pack_rows(scratch.flat, m, padded, d, scratch.y);
    return padded;
}

#endif
