/* Vector types of this SIMD variant, the sizes of register tiles, and the two shuffles from which sums across lanes and
 * transposes are built.
 *
 * A vec_f64 / vec_f32 fills the widest register that the compiler may use; + - * act lane by lane, and a scalar operand
 * is broadcast.  Compilers without the GNU vector extensions (MSVC) get vectors of one lane, that is scalars: the same
 * source and results, several times slower. */
#ifndef FASTGMM_SIMD_H
#define FASTGMM_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#  define INLINE static inline __attribute__((always_inline, unused))
#  define RESTRICT __restrict__
#else
#  define INLINE static __forceinline
#  define RESTRICT __restrict
#endif

/* UNROLL(n) before a loop of at most n turns keeps the arrays that it indexes in registers.  clang before 18 unrolls a
 * loop with a count too late for that, but not with `full`. */
#define PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#  define UNROLL(n) PRAGMA(clang loop unroll(full))
#elif defined(__GNUC__)
#  define UNROLL(n) PRAGMA(GCC unroll n)
#else
#  define UNROLL(n)
#endif

#if defined(__GNUC__) && !defined(FASTGMM_ONE_LANE) /* tests the other branch with any compiler */
#  if defined(__AVX512F__)
#    define VECTOR_BYTES 64
#  elif defined(__AVX__)
#    define VECTOR_BYTES 32
#  else
#    define VECTOR_BYTES 16
#  endif
typedef double vec_f64 __attribute__((vector_size(VECTOR_BYTES)));
typedef float vec_f32 __attribute__((vector_size(VECTOR_BYTES)));
typedef double vec_f64_u __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
typedef float vec_f32_u __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
#  define LANES_f64 (VECTOR_BYTES / 8)
#  define LANES_f32 (VECTOR_BYTES / 4)
#else
typedef double vec_f64, vec_f64_u;
typedef float vec_f32, vec_f32_u;
#  define LANES_f64 1
#  define LANES_f32 1
#endif

/* Register tiles: as many accumulators as fit beside the operands in 32 registers with AVX-512, else in 16. */
#if defined(__AVX512F__)
#  define PANEL 8        /* columns of the precision factor at a time, times GROUP vectors of samples */
#  define TILE_COLUMNS 4 /* columns of a scatter tile at a time, times TILE rows */
#else
#  define PANEL 4
#  define TILE_COLUMNS 2
#endif
#define GROUP 2
#define TILE 4

/* SHUFFLE(type, a, b, indices...): lanes of a followed by b, by constant index. */
#if defined(__has_builtin)
#  if __has_builtin(__builtin_shufflevector)
#    define SHUFFLE_f64(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#    define SHUFFLE_f32(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#  endif
#endif
#if defined(VECTOR_BYTES) && !defined(SHUFFLE_f64) /* gcc < 12 */
typedef int64_t index_f64 __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t index_f32 __attribute__((vector_size(VECTOR_BYTES)));
#  define SHUFFLE_f64(a, b, ...) __builtin_shuffle(a, b, (index_f64){__VA_ARGS__})
#  define SHUFFLE_f32(a, b, ...) __builtin_shuffle(a, b, (index_f32){__VA_ARGS__})
#endif

/* INTERLEAVE(U, a, b, EVEN, ODD): EVEN <- the even-numbered groups of U lanes of a, each followed by that of b; ODD <- the
 * odd-numbered ones.  EVEN + ODD sums neighbors in two vectors; applied for U = 1, 2, 4... it transposes a square. */
#define INTERLEAVE_2(S, U, a, b, EVEN, ODD)                                                                                    \
    EVEN = S(a, b, 0, 2), ODD = S(a, b, 1, 3)
#define INTERLEAVE_4(S, U, a, b, EVEN, ODD)                                                                                    \
    if (U == 1) EVEN = S(a, b, 0, 4, 2, 6), ODD = S(a, b, 1, 5, 3, 7);                                                         \
    else EVEN = S(a, b, 0, 1, 4, 5), ODD = S(a, b, 2, 3, 6, 7)
#define INTERLEAVE_8(S, U, a, b, EVEN, ODD)                                                                                    \
    if (U == 1) EVEN = S(a, b, 0, 8, 2, 10, 4, 12, 6, 14), ODD = S(a, b, 1, 9, 3, 11, 5, 13, 7, 15);                           \
    else if (U == 2) EVEN = S(a, b, 0, 1, 8, 9, 4, 5, 12, 13), ODD = S(a, b, 2, 3, 10, 11, 6, 7, 14, 15);                      \
    else EVEN = S(a, b, 0, 1, 2, 3, 8, 9, 10, 11), ODD = S(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#define INTERLEAVE_16(S, U, a, b, EVEN, ODD)                                                                                   \
    if (U == 1)                                                                                                                \
        EVEN = S(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),                                             \
        ODD = S(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);                                              \
    else if (U == 2)                                                                                                           \
        EVEN = S(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),                                              \
        ODD = S(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);                                             \
    else if (U == 4)                                                                                                           \
        EVEN = S(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),                                              \
        ODD = S(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);                                             \
    else                                                                                                                       \
        EVEN = S(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),                                                \
        ODD = S(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)

#if !defined(VECTOR_BYTES)
#  define INTERLEAVE_f64(U, a, b, EVEN, ODD) (void)0
#  define INTERLEAVE_f32(U, a, b, EVEN, ODD) (void)0
#elif VECTOR_BYTES == 64
#  define INTERLEAVE_f64(U, a, b, EVEN, ODD) INTERLEAVE_8(SHUFFLE_f64, U, a, b, EVEN, ODD)
#  define INTERLEAVE_f32(U, a, b, EVEN, ODD) INTERLEAVE_16(SHUFFLE_f32, U, a, b, EVEN, ODD)
#elif VECTOR_BYTES == 32
#  define INTERLEAVE_f64(U, a, b, EVEN, ODD) INTERLEAVE_4(SHUFFLE_f64, U, a, b, EVEN, ODD)
#  define INTERLEAVE_f32(U, a, b, EVEN, ODD) INTERLEAVE_8(SHUFFLE_f32, U, a, b, EVEN, ODD)
#else
#  define INTERLEAVE_f64(U, a, b, EVEN, ODD) INTERLEAVE_2(SHUFFLE_f64, U, a, b, EVEN, ODD)
#  define INTERLEAVE_f32(U, a, b, EVEN, ODD) INTERLEAVE_4(SHUFFLE_f32, U, a, b, EVEN, ODD)
#endif

#endif
