/* exp and log without branches or tables, so that compilers vectorize loops over them at any width.
 *
 * exp: x = n ln 2 + r, |r| <= ln 2 / 2, exp(x) = 2^n (1 + r + r^2 P(r)).  P is the minimax polynomial for the
 * relative error of exp (Remez exchange in 50 digits: 4e-18 in float64, 4e-9 in float32).  Arguments must be <= 0; below
 * `cut` the result is 0: there it, or its square where that is summed, would be subnormal.
 *
 * log: x = 2^e (1 + f), s = f / (2 + f), log(1 + f) = f - (f^2/2 - s (f^2/2 + s^2 Q(s^2))); x must be
 * normal and >= sqrt(1/2); here it is a sum of exponentials, the largest of which is 1.
 *
 * log1p: the same of 1 + x with x >= 0 in place of f where e is 0, so that no digit of a small x is lost.  Where e > 0 the
 * rounding of 1 + x adds less than two units in the last place. */
#ifndef FASTGMM_VECMATH_HPP
#define FASTGMM_VECMATH_HPP

#include "simd.hpp"

#define LOG2_E 1.4426950408889634

INLINE uint64_t bits(double x) { uint64_t i; memcpy(&i, &x, 8); return i; }
INLINE double real_of(uint64_t i) { double x; memcpy(&x, &i, 8); return x; }
INLINE uint32_t bits(float x) { uint32_t i; memcpy(&i, &x, 4); return i; }
INLINE float real_of(uint32_t i) { float x; memcpy(&x, &i, 4); return x; }

/* Adding 1.5 x 2^52 (float32: 2^23) rounds to an integer and leaves it in the low bits. */
template <class Real> inline constexpr Real round_shift = 6755399441055744.0;
template <> inline constexpr float round_shift<float> = 12582912.0f;

INLINE double fast_exp(double x, double cut)
{
    double shifted = x * LOG2_E + round_shift<double>;
    double n = shifted - round_shift<double>;
    double r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
    double z = r * r; /* even and odd powers make two short chains */
    double even = 0x1.28ad72a6b6dcep-22 * z + 0x1.a0199a0c944bdp-16;
    double odd = 0x1.ad7f9ca254182p-26 * z + 0x1.71df2535a4beap-19;
    even = even * z + 0x1.6c16c1842a00bp-10;
    odd = odd * z + 0x1.a01a012a64523p-13;
    even = even * z + 0x1.555555555087dp-5;
    odd = odd * z + 0x1.1111111127bc1p-7;
    even = even * z + 0x1.000000000000ap-1;
    odd = odd * z + 0x1.55555555554fap-3;
    double p = ((odd * r + even) * z + r) + 1.0;
    double y = real_of(bits(p) + (bits(shifted) << 52));
    return x < cut ? 0.0 : y;
}

INLINE float fast_exp(float x, float cut)
{
    float shifted = x * (float)LOG2_E + round_shift<float>;
    float n = shifted - round_shift<float>;
    float r = (x - n * 0.693115234375f) - n * 3.1946184945309415e-05f;
    float z = r * r;
    float even = 0.001381459478720386f * z + 0.04166838809765399f;
    float odd = 0.008368716802893537f * z + 0.16666520632816717f;
    even = even * z + 0.4999999344774600f;
    float p = ((odd * r + even) * z + r) + 1.0f;
    float y = real_of(bits(p) + (bits(shifted) << 23));
    return x < cut ? 0.0f : y;
}

/* log(2^e (1 + f)) */
INLINE double log_of_parts(double e, double f)
{
    double s = f / (2.0 + f);
    double z = s * s;
    double w = z * z;
    double even = 0.1479610180284653112147 * w + 0.1818356485347455708848;
    double odd = 0.1531403618704547366965 * w + 0.2222219856372700984582;
    even = even * w + 0.2857142874247266469736;
    odd = odd * w + 0.3999999999941433033988;
    double q = (even * w + 0.6666666666666734459029) + odd * z;
    double h = 0.5 * f * f;
    return e * 0x1.62e42fee00000p-1 + (f - (h - (s * (h + z * q) + e * 0x1.a39ef35793c76p-33)));
}

INLINE double fast_log(double x)
{
    uint64_t above = bits(x) - 0x3fe6a09e667f3bcdull; /* bits of sqrt(1/2): puts the mantissa into [sqrt(1/2), sqrt(2)) */
    uint64_t exponent = above >> 52;
    double e = real_of((uint64_t)(exponent | 0x4330000000000000ull)) - 0x1p52; /* 2^52 + exponent, exactly */
    return log_of_parts(e, real_of(bits(x) - (exponent << 52)) - 1.0);
}

INLINE double fast_log1p(double x)
{
    double sum = 1.0 + x;
    uint64_t above = bits(sum) - 0x3fe6a09e667f3bcdull;
    uint64_t exponent = above >> 52;
    double e = real_of((uint64_t)(exponent | 0x4330000000000000ull)) - 0x1p52;
    double f = real_of(bits(sum) - (exponent << 52)) - 1.0;
    uint64_t is_small = (uint64_t)0 - (exponent == 0); /* a choice by ?: would make gcc compute both logarithms */
    return log_of_parts(e, real_of((bits(x) & is_small) | (bits(f) & ~is_small)));
}

INLINE float log_of_parts(float e, float f)
{
    float s = f / (2.0f + f);
    float z = s * s;
    float q = 0.2987186342089841f;
    q = q * z + 0.3997753693224925f;
    q = q * z + 0.6666677641555527f;
    float h = 0.5f * f * f;
    return e * 0.693115234375f + (f - (h - (s * (h + z * q) + e * 3.1946184945309415e-05f)));
}

INLINE float fast_log(float x)
{
    uint32_t above = bits(x) - 0x3f3504f3u;
    uint32_t exponent = above >> 23;
    float e = (float)(int32_t)exponent;
    return log_of_parts(e, real_of(bits(x) - (exponent << 23)) - 1.0f);
}

INLINE float fast_log1p(float x)
{
    float sum = 1.0f + x;
    uint32_t above = bits(sum) - 0x3f3504f3u;
    uint32_t exponent = above >> 23;
    float e = (float)(int32_t)exponent;
    float f = real_of(bits(sum) - (exponent << 23)) - 1.0f;
    uint32_t is_small = (uint32_t)0 - (exponent == 0);
    return log_of_parts(e, real_of((bits(x) & is_small) | (bits(f) & ~is_small)));
}

#endif
