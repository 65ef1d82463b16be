/* All kernels: the headers that are templates over the element type, for float64 (suffix _f64) and float32 (_f32), and
 * those of one type.  In a template REAL is the type, VEC a vector of it with LANES lanes, and NAME(f) f_f64 or f_f32. */
#ifndef FASTGMM_KERNELS_H
#define FASTGMM_KERNELS_H

#include <float.h>
#include "vecmath.h"
#include "box.h"

#ifndef BLOCK
#define BLOCK 256 /* rows */
#endif
#define STRIDE (BLOCK + 16) /* not a power of two: columns would share a few cache sets */

/* Prefetch part number `part` of `parts` equal parts of the bytes that will be needed next. */
INLINE void prefetch_slice(const char *ahead, ptrdiff_t bytes, int part, int parts)
{
#if defined(__GNUC__)
    for (ptrdiff_t line = bytes / 64 * part / parts; line < bytes / 64 * (part + 1) / parts; line++)
        __builtin_prefetch(ahead + 64 * line, 0, 2);
#endif
}

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(f) JOIN(f, SUFFIX)
#define VEC NAME(vec)
#define LANES NAME(LANES)
#define EXP NAME(exp)
#define LOG NAME(log)
#define INTERLEAVE NAME(INTERLEAVE)

/* EXP_CUT: exp is 0 instead of subnormal below it.  EXP_CUT_EM: the statistics take smaller responsibilities for 0, since
 * sums of still smaller numbers would be subnormal and slow.  Results do not change: the M step adds ten units of rounding,
 * 2e-15 (float32: 1e-6), to every nk, against which any number of rows times e^-150 (e^-70) is negligible. */
#define SUFFIX f64
#define REAL double
#define REAL_MAX DBL_MAX
#define REAL_INF ((double)INFINITY)
#define REAL_EPS DBL_EPSILON
#define EXP_CUT -708.0
#define EXP_CUT_EM -150.0
#define unaligned_f64 vec_f64_u
#include "blocks.h"
#include "log_density.h"
#include "softmax.h"
#include "statistics.h"
#include "pairs.h"
#include "cells.h"
#include "kmeans.h"
#undef SUFFIX
#undef REAL
#undef REAL_MAX
#undef REAL_INF
#undef REAL_EPS
#undef EXP_CUT
#undef EXP_CUT_EM

#define SUFFIX f32
#define REAL float
#define REAL_MAX FLT_MAX
#define REAL_INF INFINITY
#define REAL_EPS FLT_EPSILON
#define EXP_CUT -87.0f
#define EXP_CUT_EM -70.0f
#define unaligned_f32 vec_f32_u
#include "blocks.h"
#include "log_density.h"
#include "softmax.h"
#include "statistics.h"
#include "pairs.h"
#include "cells.h"
#include "kmeans.h"

#include "screen.h"
#include "nearest.h"

/* Length of a packed scatter of d features (statistics.h). */
static ptrdiff_t scatter_size(int d)
{
    ptrdiff_t tiles = (d + TILE - 1) / TILE;
    return d <= 4 ? d * (d + 1) / 2 : tiles * (tiles + 1) / 2 * TILE * TILE;
}

/* S (d, d) += a packed scatter, both triangles. */
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
