/* The nearest of a few centers, as far as float32 can decide it; lloyd.hpp computes the rest in full.
 *
 * For rows y and centers c in float32, |y - c|^2 = |y|^2 + 2 s with s = |c|^2 / 2 - y . c: one multiply-add a feature.  The
 * s of the true row and center, from which y and c were rounded, differs from the computed one by at most E (|y|^2 + |c|^2),
 * E = (d + 8) 2^-24.  With the constant
 *
 *     half_k = (1/2 - E) |c_k|^2
 *
 * the computed s_k less E |y|^2 is therefore a lower bound, and s_k + error_k + E |y|^2 an upper one, where
 * error_k = 2 E |c_k|^2, and a little more for numbers too small for float32.  Overflow leads to NaN or infinities, which
 * decide nothing.  Rows are feature-major as in blocks.hpp; `padded` is a multiple of NEAREST_ROWS. */
#ifndef FASTGMM_NEAREST_HPP
#define FASTGMM_NEAREST_HPP

#include "blocks.hpp"

#define NEAREST_ROWS (GROUP * lanes<float>)

INLINE float rounding_of_dots(int d) { return (float)(d + 8) * 0x1p-24f; }

/* s[k] <- half_k - y . c_k for NEAREST_ROWS rows and `count` centers */
INLINE void dots(const int count, const float *RESTRICT y, int d, const float *RESTRICT centers, const float *RESTRICT half,
                 float (*RESTRICT s)[NEAREST_ROWS])
{
    Vec<float> q[4][GROUP];
    UNROLL(4)
    for (int k = 0; k < count; k++)
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) q[k][g] = half[k] - Vec<float>{};
    for (int j = 0; j < d; j++)
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) {
            Vec<float> x = load(y + j * STRIDE + g * lanes<float>);
            UNROLL(4)
            for (int k = 0; k < count; k++) q[k][g] -= x * centers[(ptrdiff_t)k * d + j];
        }
    UNROLL(4)
    for (int k = 0; k < count; k++)
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) memcpy(s[k] + g * lanes<float>, &q[k][g], sizeof(Vec<float>));
}

/* squares_i <- |y_i|^2 for NEAREST_ROWS rows */
INLINE void row_squares(const float *RESTRICT y, int d, float *RESTRICT squares)
{
    Vec<float> sums[GROUP] = {};
    for (int j = 0; j < d; j++)
        UNROLL(4)
        for (int g = 0; g < GROUP; g++) {
            Vec<float> x = load(y + j * STRIDE + g * lanes<float>);
            sums[g] += x * x;
        }
    memcpy(squares, sums, sizeof sums);
}

/* best, next <- the two smallest s so far, nearest <- the center of the smallest; s are of centers first, first + 1, .. */
INLINE void rank_by_dots(const int count, float (*RESTRICT s)[NEAREST_ROWS], int first, float *RESTRICT best, float *RESTRICT next,
                         int32_t *RESTRICT nearest)
{
    for (int l = 0; l < NEAREST_ROWS; l++) {
        float b = best[l], n = next[l];
        int32_t which = nearest[l];
        UNROLL(4)
        for (int k = 0; k < count; k++) {
            float x = s[k][l], larger = x < b ? b : x;
            which = x < b ? first + k : which;
            b = x < b ? x : b;
            n = larger < n ? larger : n;
        }
        best[l] = b, next[l] = n, nearest[l] = which;
    }
}

/* nearest_i <- the nearest center; gap_i <- a lower bound of how much farther the second nearest is: undecided if not positive.
 * Meanwhile the rows of X listed in `ahead` are prefetched. */
static void find_nearest(const float *RESTRICT y, int padded, int d, const float *RESTRICT centers, const float *RESTRICT half,
                         const float *RESTRICT error, int n_centers, const char *X, ptrdiff_t row_bytes, const uint16_t *ahead,
                         int n_ahead, int32_t *RESTRICT nearest, float *RESTRICT gap)
{
    const float E = rounding_of_dots(d), unknown = n_centers == 1 ? INFINITY : -1;
    for (int i = 0; i < padded; i += NEAREST_ROWS) {
        float s[4][NEAREST_ROWS], best[NEAREST_ROWS], next[NEAREST_ROWS], squares[NEAREST_ROWS];
        float of_best[NEAREST_ROWS];
        int32_t which[NEAREST_ROWS];
        int k = 0;
        for (int l = 0; l < NEAREST_ROWS; l++) best[l] = next[l] = INFINITY, which[l] = 0;
        for (; k + 4 <= n_centers; k += 4) {
            dots(4, y + i, d, centers + (ptrdiff_t)k * d, half + k, s);
            rank_by_dots(4, s, k, best, next, which);
        }
        for (; k < n_centers; k++) {
            dots(1, y + i, d, centers + (ptrdiff_t)k * d, half + k, s);
            rank_by_dots(1, s, k, best, next, which);
        }
        row_squares(y + i, d, squares);
        for (int l = 0; l < NEAREST_ROWS; l++) of_best[l] = error[which[l]];
        for (int l = 0; l < NEAREST_ROWS; l++) {
            float x = squares[l], apart = next[l] - best[l] - of_best[l] - 2 * E * x;
            float near = sqrtf(x + 2 * best[l] + 2 * of_best[l] + 4 * E * x);
            float far = sqrtf(x + 2 * next[l] + 4 * E * (x + fabsf(next[l])));
            float at_least = 2 * apart / (near + far) * (1 - 8 * FLT_EPSILON);
            gap[i + l] = next[l] < INFINITY ? at_least : unknown;
        }
        memcpy(nearest + i, which, sizeof which);
        for (int a = i; a < i + NEAREST_ROWS && a < n_ahead; a++) prefetch_slice(X + ahead[a] * row_bytes, row_bytes + 63, 0, 1);
    }
}

/* bound_i <- a lower bound of row i's squared distance from the nearest center; meanwhile the bytes ahead are prefetched. */
static void bound_nearest(const float *RESTRICT y, int padded, int d, const float *RESTRICT centers, const float *RESTRICT half,
                          int n_centers, const char *ahead, ptrdiff_t ahead_bytes, float *RESTRICT bound)
{
    const float E = rounding_of_dots(d);
    for (int i = 0; i < padded; i += NEAREST_ROWS) {
        float s[4][NEAREST_ROWS], best[NEAREST_ROWS], squares[NEAREST_ROWS];
        int k = 0;
        for (int l = 0; l < NEAREST_ROWS; l++) best[l] = INFINITY;
        for (; k < n_centers; k += 4) {
            int count = n_centers - k < 4 ? n_centers - k : 4;
            if (count == 4)
                dots(4, y + i, d, centers + (ptrdiff_t)k * d, half + k, s);
            else
                for (int c = 0; c < count; c++) dots(1, y + i, d, centers + (ptrdiff_t)(k + c) * d, half + k + c, s + c);
            for (int c = 0; c < count; c++)
                for (int l = 0; l < NEAREST_ROWS; l++) best[l] = s[c][l] < best[l] ? s[c][l] : best[l];
        }
        row_squares(y + i, d, squares);
        for (int l = 0; l < NEAREST_ROWS; l++) bound[i + l] = squares[l] * (1 - 4 * E) + 2 * best[l];
        prefetch_slice(ahead, ahead_bytes, i / NEAREST_ROWS, padded / NEAREST_ROWS);
    }
}

/* gap + moved, lowered by more than the rounding of the sum and of `moved` now and later: less `moved` as it will be then, it
 * bounds the gap that remains. */
INLINE float lasting_gap(float gap, float moved) { return (gap + moved) * (1 - 4 * FLT_EPSILON); }

/* taken_i <- moved of the row's label */
static void take_moves(const float *RESTRICT moved, const int32_t *RESTRICT labels, int n, float *RESTRICT taken)
{
    for (int i = 0; i < n; i++) taken[i] = moved[labels[i]];
}

#endif
