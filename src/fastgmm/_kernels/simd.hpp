/* Vector types of this SIMD variant, the sizes of register tiles, and the shuffles from which sums across lanes and
 * transposes are built.
 *
 * A Vec<Real> fills the widest register that the compiler may use, with lanes<Real> numbers; + - * act lane by lane, and a
 * scalar operand is broadcast.  Compilers without the GNU vector extensions (MSVC) get vectors of one lane, that is scalars:
 * the same source and results, several times slower. */
#ifndef FASTGMM_SIMD_HPP
#define FASTGMM_SIMD_HPP

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__) /* clang-cl defines the second alone */
#  define FASTGMM_GNU 1
#  define INLINE static inline __attribute__((always_inline, unused))
#  define NOINLINE __attribute__((noinline))
#  define RESTRICT __restrict__
#else
#  define INLINE static __forceinline
#  define NOINLINE __declspec(noinline)
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

/* Register tiles: as many accumulators as fit beside the operands in 32 registers (AVX-512, NEON), else in 16. */
#if defined(__AVX512F__) || defined(__aarch64__)
#  define PANEL 8        /* columns of the precision factor at a time, times GROUP vectors of samples */
#  define TILE_COLUMNS 4 /* columns of a scatter tile at a time, times TILE rows */
#else
#  define PANEL 4
#  define TILE_COLUMNS 2
#endif
#define GROUP 2
#define TILE 4

/* EXP_CUT: exp is 0 instead of subnormal below it.  EXP_CUT_EM: the statistics take smaller responsibilities for 0, since
 * sums of still smaller numbers would be subnormal and slow.  Results do not change: the M step adds ten units of rounding,
 * 2e-15 (float32: 1e-6), to every nk, against which any number of rows times e^-150 (e^-70) is negligible.
 * least_factor: products of smaller responsibilities would be subnormal. */
template <class Real> struct Limits;
template <> struct Limits<double> {
    static constexpr double max = DBL_MAX, infinity = INFINITY, epsilon = DBL_EPSILON, exp_cut = -708.0, exp_cut_em = -150.0,
                            least_factor = 0.0;
};
template <> struct Limits<float> {
    static constexpr float max = FLT_MAX, infinity = INFINITY, epsilon = FLT_EPSILON, exp_cut = -87.0f, exp_cut_em = -70.0f,
                           least_factor = 1e-18f;
};

#if defined(FASTGMM_GNU) && !defined(FASTGMM_ONE_LANE) /* tests the other branch with any compiler */
#  if defined(__AVX512F__)
#    define VECTOR_BYTES 64
#  elif defined(__AVX__)
#    define VECTOR_BYTES 32
#  else
#    define VECTOR_BYTES 16
#  endif
template <class Real> struct Vectors;
template <> struct Vectors<double> {
    typedef double aligned __attribute__((vector_size(VECTOR_BYTES)));
    typedef double unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
    typedef int64_t index __attribute__((vector_size(VECTOR_BYTES)));
};
template <> struct Vectors<float> {
    typedef float aligned __attribute__((vector_size(VECTOR_BYTES)));
    typedef float unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
    typedef int32_t index __attribute__((vector_size(VECTOR_BYTES)));
};
template <class Real> constexpr int lanes = VECTOR_BYTES / sizeof(Real);
#else
template <class Real> struct Vectors {
    typedef Real aligned, unaligned;
};
template <class Real> constexpr int lanes = 1;
#endif
template <class Real> using Vec = typename Vectors<Real>::aligned;
template <class Real> using UnalignedVec = typename Vectors<Real>::unaligned; /* at an address that is aligned to Real */

/* Leave the upper halves of registers empty, or SSE2 code that follows takes up to three times as long.  Compilers do so at the
 * end of functions, but gcc 12 forgets some. */
INLINE void empty_upper_halves()
{
#if defined(FASTGMM_GNU) && defined(__AVX__)
    __builtin_ia32_vzeroupper();
#endif
}

template <class Real> INLINE Vec<Real> load(const Real *p) { return *(const Vec<Real> *)p; }
template <class Real> INLINE void store(Real *p, Vec<Real> v) { *(Vec<Real> *)p = v; }

#if defined(VECTOR_BYTES)
/* The lanes of a followed by those of b, by constant index. */
template <class Real, int... index> INLINE Vec<Real> shuffle(Vec<Real> a, Vec<Real> b)
{
#  if defined(__clang__) || __GNUC__ >= 12
    return __builtin_shufflevector(a, b, index...);
#  else
    return __builtin_shuffle(a, b, typename Vectors<Real>::index{index...});
#  endif
}

/* With l = 0 .. n - 1: even <- the even-numbered groups of `unit` lanes of a, each followed by that of b; odd <- the odd ones. */
template <class Real, int unit, int n, int... l> struct Interleave : Interleave<Real, unit, n - 1, n - 1, l...> {};
template <class Real, int unit, int... l> struct Interleave<Real, unit, 0, l...> {
    static constexpr int n = sizeof...(l);
    INLINE void of(Vec<Real> a, Vec<Real> b, Vec<Real> *even, Vec<Real> *odd)
    {
        *even = shuffle<Real, (l & unit ? n + l - unit : l)...>(a, b);
        *odd = shuffle<Real, (l & unit ? n + l : l + unit)...>(a, b);
    }
};
#endif

/* Interleave for a unit that is known once the loop around is unrolled.  even + odd sums neighbors in two vectors; applied for
 * unit = 1, 2, 4.. it transposes a square. */
template <class Real> INLINE void interleave(const int unit, Vec<Real> a, Vec<Real> b, Vec<Real> *even, Vec<Real> *odd)
{
    *even = *odd = a; /* a vector of one lane has no groups */
    (void)unit, (void)b;
#if defined(VECTOR_BYTES)
    constexpr int n = lanes<Real>;
    if (unit == 1)
        Interleave<Real, 1, n>::of(a, b, even, odd);
    else if (unit == 2)
        Interleave<Real, n < 4 ? 1 : 2, n>::of(a, b, even, odd);
    else if (unit == 4)
        Interleave<Real, n < 8 ? 1 : 4, n>::of(a, b, even, odd);
    else
        Interleave<Real, n < 16 ? 1 : 8, n>::of(a, b, even, odd);
#endif
}

#endif
