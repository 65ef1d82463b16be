/* The block functions of blocks.h, skipping.h, cells.h and kmeans.h for float64 (suffix _f64) and float32 (_f32). */
#ifndef FASTGMM_KERNELS_H
#define FASTGMM_KERNELS_H

#include <float.h>
#include "vecmath.h"
#include "box.h"

#ifndef BLOCK
#define BLOCK 256 /* rows */
#endif
#define STRIDE (BLOCK + 16) /* off the powers of two, which would crowd a few cache sets */

/* Ask for the given part of the bytes that will be needed next. */
INLINE void prefetch_slice(const char *ahead, ptrdiff_t bytes, int part, int parts)
{
#if defined(__GNUC__)
    for (ptrdiff_t line = bytes / 64 * part / parts; line < bytes / 64 * (part + 1) / parts; line++)
        __builtin_prefetch(ahead + 64 * line, 0, 2);
#endif
}

/* EXP_CUT: below it exp is 0 instead of subnormal.  EXP_CUT_EM: below it a responsibility counts as 0 in the statistics; sums of numbers
 * still smaller would be subnormal, which is slow.  It changes nothing: the M step adds ten units of rounding, 2e-15 (float32: 1e-6), to
 * every nk, next to which any number of rows times e^-150 (e^-70) is nothing. */
#define SUFFIX f64
#define REAL double
#define REAL_MAX DBL_MAX
#define REAL_INF ((double)INFINITY)
#define REAL_EPS DBL_EPSILON
#define EXP_CUT -708.0
#define EXP_CUT_EM -150.0
#define PAIRS PAIRS_f64
#define unaligned_f64 vec_f64_u
#include "blocks.h"
#include "skipping.h"
#include "cells.h"
#include "kmeans.h"
#undef SUFFIX
#undef REAL
#undef REAL_MAX
#undef REAL_INF
#undef REAL_EPS
#undef EXP_CUT
#undef EXP_CUT_EM
#undef PAIRS

#define SUFFIX f32
#define REAL float
#define REAL_MAX FLT_MAX
#define REAL_INF INFINITY
#define REAL_EPS FLT_EPSILON
#define EXP_CUT -87.0f
#define EXP_CUT_EM -70.0f
#define PAIRS PAIRS_f32
#define unaligned_f32 vec_f32_u
#include "blocks.h"
#include "skipping.h"
#include "cells.h"
#include "kmeans.h"

#include "screen.h"
#include "nearest.h"

/* The order in which accumulate_full keeps a scatter of d features: how many numbers, and their way into a full row-major matrix. */
static ptrdiff_t scatter_size(int d)
{
    ptrdiff_t tiles = (d + TILE - 1) / TILE;
    return d <= 4 ? d * (d + 1) / 2 : tiles * (tiles + 1) / 2 * TILE * TILE;
}

static void add_scatter(const double *RESTRICT packed, int d, double *RESTRICT S)
{
    int width = d <= 4 ? d : TILE;
    for (int a = 0; a < d; a += width)
        for (int b = a; b < d; b += width) {
            int a_end = a + width < d ? a + width : d, b_end = b + width < d ? b + width : d;
            if (d <= 4) {
                for (int r = a; r < a_end; r++)
                    for (int c = r; c < b_end; c++, packed++) {
                        S[(ptrdiff_t)r * d + c] += *packed;
                        if (c > r) S[(ptrdiff_t)c * d + r] += *packed;
                    }
            } else {
                for (int c = b; c < b_end; c++)
                    for (int r = a; r < a_end && r <= c; r++) {
                        double sum = packed[(c - b) * TILE + r - a];
                        S[(ptrdiff_t)r * d + c] += sum;
                        if (c > r) S[(ptrdiff_t)c * d + r] += sum;
                    }
                packed += TILE * TILE;
            }
        }
}

#endif
