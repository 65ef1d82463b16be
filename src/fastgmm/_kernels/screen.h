/* Screening in float32, as screen.pxi explains it: the guessed component of each row, and the rows that a bound leaves. */
#ifndef FASTGMM_SCREEN_H
#define FASTGMM_SCREEN_H

#if defined(__AVX512F__)
#  include <immintrin.h>
#endif

/* Called for k = 0, 1, ..: best_i <- the largest bound_ik + offset_k so far, guess_i <- its k. */
INLINE void update_guess(const float *RESTRICT bounds, int padded, float offset, int k, float *RESTRICT best, int32_t *RESTRICT guess)
{
    for (int i = 0; i < padded; i++) {
        float value = bounds[i] + offset;
        guess[i] = value > best[i] ? k : guess[i];
        best[i] = value > best[i] ? value : best[i];
    }
}

/* Counting sort: rows[starts[k]] .. rows[starts[k + 1] - 1] <- the rows with guess k, ascending.  starts has room for K + 2. */
static void sort_by_guess(const int32_t *RESTRICT guess, int m, int n_components, int32_t *RESTRICT starts, uint16_t *RESTRICT rows)
{
    memset(starts, 0, (n_components + 2) * sizeof *starts);
    for (int i = 0; i < m; i++) starts[guess[i] + 2]++;
    for (int k = 0; k < n_components; k++) starts[k + 1] += starts[k];
    for (int i = 0; i < m; i++) rows[starts[guess[i] + 1]++] = (uint16_t)i;
}

/* The threshold for a row's bounds: its lower bound of log p(x), less `cut` and the rounding to float32. */
static float least_bound(double log_density, double cut) { return (float)(log_density - cut - 1e-6 * fabs(log_density)); }

/* rows <- those whose bound is not below `least` (NaN is not); returns how many.  Up to 16 more numbers are overwritten. */
#if defined(__AVX512F__) /* vector types cannot express compressing selected lanes */
static int survivors(const float *RESTRICT bounds, const float *RESTRICT least, int m, uint16_t *RESTRICT rows)
{
    const __m512i step = _mm512_set1_epi32(16);
    __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    int n = 0;
    for (int i = 0; i < m; i += 16) {
        __mmask16 lanes = m - i < 16 ? (__mmask16)((1u << (m - i)) - 1) : 0xffff;
        __mmask16 left = _mm512_mask_cmp_ps_mask(lanes, _mm512_loadu_ps(bounds + i), _mm512_loadu_ps(least + i), _CMP_NLT_UQ);
        _mm256_storeu_si256((__m256i *)(rows + n), _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(left, numbers)));
        n += _mm_popcnt_u32(left);
        numbers = _mm512_add_epi32(numbers, step);
    }
    return n;
}
#else
static uint8_t places[256][8]; /* places[key(flags)]: the indices of the ones among eight flags, ascending */

/* Eight bytes of 0 or 1 as eight bits. */
INLINE int key(uint64_t flags) { return (int)((flags * 0x0102040810204080u) >> 56); }

static int survivors(const float *RESTRICT bounds, const float *RESTRICT least, int m, uint16_t *RESTRICT rows)
{
    int n = 0;
    for (int first = 0; first < m; first += BLOCK) {
        uint8_t flags[BLOCK] = {0};
        int count = m - first < BLOCK ? m - first : BLOCK;
        for (int i = 0; i < count; i++) flags[i] = !(bounds[first + i] < least[first + i]);
        for (int i = 0; i < count; i += 8) { /* most eights are empty */
            uint64_t eight;
            memcpy(&eight, flags + i, 8);
            if (eight) {
                const uint8_t *place = places[key(eight)];
                for (int l = 0; l < 8; l++) rows[n + l] = (uint16_t)(first + i + place[l]);
                n += (int)((eight * 0x0101010101010101u) >> 56);
            }
        }
    }
    return n;
}
#endif

/* Must be called once before `survivors`. */
static void prepare_survivors(void)
{
#if !defined(__AVX512F__)
    for (int bits = 0; bits < 256; bits++) {
        uint8_t flags[8], chosen[8] = {0};
        uint64_t eight;
        int n = 0;
        for (int l = 0; l < 8; l++) {
            flags[l] = bits >> l & 1;
            if (flags[l]) chosen[n++] = (uint8_t)l;
        }
        memcpy(&eight, flags, 8);
        memcpy(places[key(eight)], chosen, 8);
    }
#endif
}

/* left <- the listed rows[a] whose bounds[a] is not below least[rows[a]]; `left` may be `rows` or begin before it. */
static int survivors_listed(const float *RESTRICT bounds, const float *RESTRICT least, const uint16_t *rows, int n, uint16_t *left)
{
    int count = 0;
    for (int a = 0; a < n; a++) {
        uint16_t i = rows[a];
        left[count] = i;
        count += !(bounds[a] < least[i]);
    }
    return count;
}

#endif
