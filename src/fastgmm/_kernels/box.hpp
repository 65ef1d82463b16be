/* Bounds of all components' densities in a box of rows, d <= 4: float64, components in the lanes. */
#ifndef FASTGMM_BOX_HPP
#define FASTGMM_BOX_HPP

#include "blocks.hpp"

#define BOX_ROUNDING 0x1p-44 /* bounds the relative rounding of a sum of d <= 100 products, 2^-53 each */

/* IN: parameters[a * stride + k], a = 0, 1, ..: component k's mean (d numbers), then the upper triangle of its precision
 * factor U, column after column (only the diagonal if `diagonal`); the box |x - center| <= half.
 *
 * For x in the box, y = U^T (x - mean) differs from that of the center by at most r = |U|^T half in each coordinate, so
 * |y|^2 >= sum_a max(0, |y_a(center)| - r_a)^2.  Computing y(center) adds an error below BOX_ROUNDING |U|^T |center - mean|,
 * which is added to r.
 *
 * OUT (n,): bounds_k >= constant_k - slope |y|^2 for all x in the box; densities_k = log_const_k - |y|^2 / 2 at the center. */
INLINE void box_bounds_of(const int d, const int diagonal, const double *RESTRICT parameters, ptrdiff_t stride, int n, const double *RESTRICT center,
                          const double *RESTRICT half, const double *RESTRICT constants, double slope, const double *RESTRICT log_const,
                          double *RESTRICT bounds, double *RESTRICT densities)
{
    for (int k = 0; k < n; k++) {
        const double *u = parameters + d * stride + k;
        double x[4], reach[4], least = 0, squared = 0;
        UNROLL(4)
        for (int j = 0; j < d; j++) {
            x[j] = center[j] - parameters[j * stride + k];
            reach[j] = half[j] + BOX_ROUNDING * fabs(x[j]);
        }
        UNROLL(4)
        for (int a = 0; a < d; a++) {
            double y = 0, r = 0;
            UNROLL(4)
            for (int j = diagonal ? a : 0; j <= a; j++) {
                y += *u * x[j];
                r += fabs(*u) * reach[j];
                u += stride;
            }
            double gap = fabs(y) - r;
            gap = gap > 0 ? gap : 0; /* 0 also if it is NaN: inf - inf */
            least += gap * gap;
            squared += y * y;
        }
        bounds[k] = constants[k] - slope * least;
        densities[k] = log_const[k] - 0.5 * squared;
    }
}

static void box_bounds(int d, int diagonal, const double *parameters, ptrdiff_t stride, int n, const double *center, const double *half,
                       const double *constants, double slope, const double *log_const, double *bounds, double *densities)
{
#define BOUNDS(d, diagonal)                                                                                                                 \
    box_bounds_of(d, diagonal, parameters, stride, n, center, half, constants, slope, log_const, bounds, densities)
    switch (2 * d + (diagonal && d > 1)) {
    case 2: BOUNDS(1, 0); break;
    case 4: BOUNDS(2, 0); break;
    case 5: BOUNDS(2, 1); break;
    case 6: BOUNDS(3, 0); break;
    case 7: BOUNDS(3, 1); break;
    case 8: BOUNDS(4, 0); break;
    case 9: BOUNDS(4, 1); break;
    }
#undef BOUNDS
}

/* numbers (count,) <- the indices of the `count` largest of n values, unordered. */
static void largest(const double *RESTRICT values, int n, int count, int32_t *RESTRICT numbers)
{
    int least = 0;
    for (int k = 0; k < count; k++) numbers[k] = k;
    for (int k = 0; k < n; k++) {
        if (k >= count) {
            if (!(values[k] > values[numbers[least]])) continue;
            numbers[least] = k;
        }
        for (int a = 0; a < count; a++)
            if (values[numbers[a]] < values[numbers[least]]) least = a;
    }
}

/* numbers <- the indices of the values that are not below `least` (NaN is not); returns how many.  Room for n is needed. */
static int not_below(const double *RESTRICT values, int n, double least, int32_t *RESTRICT numbers)
{
    int count = 0;
    for (int k = 0; k < n; k++) {
        numbers[count] = k;
        count += !(values[k] < least);
    }
    return count;
}

#endif
