/* Which pairs (row, component) of a block may count: screening by bounds, for passes that skip the other pairs.
 *
 * Which pairs may be dropped.  Let q_ik be the squared whitened distance, N_ik = exp(c_k - q_ik / 2) the density of row
 * i under component k without its weight w_k, and p_i = sum_k w_k N_ik.  A pass of EM drops a pair if
 *
 * N_ik max(1, q_ik) < e^-cut p_i.                                                                                (1)
 *
 * The loss of p_i is then less than e^-cut p_i sum_k w_k; that of component k's mass and of its whitened scatter is less
 * than e^-cut times w_k sum_i w_i, the mass its weight stands for.  With e^-cut the unit of rounding these losses are
 * rounding errors; the package's skipping code checks that no component shrinks so much in one iteration that they are
 * more.  Since log q <= log s - 1 + q / s for any s, (1) follows from
 *
 * c_k + log s - 1 - (1/2 - 1/s) q_ik < log p_i - cut.                                                            (2)
 *
 * The left side falls with q_ik, so any lower bounds of q_ik and of log p_i may take their places.
 *
 * For log-likelihoods max(1, q_ik) is omitted from (1), and log s - 1 and 1/s from (2).  For labels, a pair is dropped
 * if its weighted density, as a dense pass would round it, is below another component's: the arg-max, with its
 * tie-break, is then always kept.  The constants bound the rounded results of a dense pass, not only the exact ones.
 *
 * Lower bound of q_ik.  For directions P and covariance C, (x - m)^T P (P^T C P)^-1 P^T (x - m) <= (x - m)^T C^-1 (x -
 * m): a projection is never farther than the row.  The coordinates P^T x of a row serve all components; a pair then
 * costs as much as in so many dimensions, and in float32, with twice as many lanes.  All pairs are tested in the first
 * few directions, those that remain in all of them.  The constants include bounds of the rounding errors.
 *
 * Lower bound of log p_i: the row's log-density under one component, its guess, which has the largest posterior
 * probability judged by the first directions; or that of the background, if it is larger.
 *
 * Remaining pairs are computed by the functions of the dense pass, on tiles gathered from the rows that remain of each
 * component.  A block with too many remaining pairs is done densely. */
#ifndef FASTGMM_SCREEN_HPP
#define FASTGMM_SCREEN_HPP

#include "mixture.hpp"
#include "pairs.hpp"

#if defined(__AVX512F__)
#  if !defined(__clang__)
#    pragma GCC diagnostic ignored "-Wmaybe-uninitialized" /* gcc 12 warns about its own header */
#  endif
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
/* Eight bytes of 0 or 1 as eight bits. */
constexpr int key(uint64_t flags) { return (int)((flags * 0x0102040810204080u) >> 56); }

struct Places {
    uint8_t of[256][8] = {}; /* of[key(flags)]: the indices of the ones among eight flags, ascending */

    constexpr Places()
    {
        for (int bits = 0; bits < 256; bits++) {
            uint64_t flags = 0;
            uint8_t chosen[8] = {};
            int n = 0;
            for (int l = 0; l < 8; l++)
                if (bits >> l & 1) {
                    flags |= (uint64_t)1 << 8 * l;
                    chosen[n++] = (uint8_t)l;
                }
            for (int l = 0; l < 8; l++) of[key(flags)][l] = chosen[l];
        }
    }
};
static constexpr Places places;

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
                const uint8_t *place = places.of[key(eight)];
                for (int l = 0; l < 8; l++) rows[n + l] = (uint16_t)(first + i + place[l]);
                n += (int)((eight * 0x0101010101010101u) >> 56);
            }
        }
    }
    return n;
}
#endif

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

enum {
    /* Rows of `constants` (6, K): the constant and the factor of q on the left side of (2), for the first directions and for all
     * of them; what turns the first bound into a score that compares components; what to add to (1 - 2/s) log w_k N_ik for
     * the left side of (2) plus cut. */
    FIRST_CONSTANT, FIRST_FACTOR, ALL_CONSTANT, ALL_FACTOR, GUESS, EXACT
};

enum {
    READ_ON = 16, /* numbers that gathering may read beyond the last row of coordinates */
    MAX_LEFT = 2  /* a block is done densely if more than 1 / MAX_LEFT of its pairs remain */
};

/* Maximal number of remaining pairs, without those of the guesses. */
INLINE ptrdiff_t most_pairs(ptrdiff_t block, int K) { return block * K / MAX_LEFT; }

INLINE ptrdiff_t packed_length(int m) { return ((ptrdiff_t)m * (m + 1) / 2 + 15) / 16 * 16; }
INLINE ptrdiff_t whole_lines(ptrdiff_t n) { return (n + 15) / 16 * 16; }

struct Screen {
    int block;                  /* rows screened together: several times BLOCK, so that lists of rows fill vectors */
    int n_components, n_first, n_all; /* numbers of components, of first directions, of directions */
    int width;                  /* n_all rounded up to a multiple of 8 */
    const double *center;       /* (d,), of the coordinates (x - center) P */
    const double *scale;        /* (d + ..,); rows with |x - center| . scale > limits[0] .. */
    const double *limits;       /* .. or a coordinate beyond limits[1] are not screened */
    const double *P;            /* (d, width), directions, with zeros up to width */
    const float *means;         /* (K, n_all), coordinates of the means */
    const float *first_factors; /* (K, n_first, n_first), precision factors in the first directions */
    const float *all_factors;   /* (K, n_all, n_all), precision factors in all directions */
    const float *first, *all;   /* the same, packed */
    const double *constants;    /* (6, K) */
    double cut;                 /* as in (1) */
    double slope;               /* 1 - 2/s */

    /* Lengths of a thread's parts of the workspaces.  Reals: xt, z, row, taken over a tile; peak, total, scale, entropy,
     * noise and v over a block. */
    ptrdiff_t n_reals(int d) const
    {
        return whole_lines((2 * d + 2) * (ptrdiff_t)STRIDE + 6 * (ptrdiff_t)block + most_pairs(block, n_components) + RED_ZONE);
    }
    ptrdiff_t n_floats() const
    {
        return (n_first + n_all + 1) * (ptrdiff_t)STRIDE + (2 + width + n_components) * (ptrdiff_t)block + READ_ON + RED_ZONE;
    }
    ptrdiff_t n_integers() const
    {
        return whole_lines(block + 4 * ((ptrdiff_t)n_components + 2) + most_pairs(block, n_components) / 2 + 2 * (ptrdiff_t)block + RED_ZONE);
    }
    ptrdiff_t n_packed() const { return n_components * (packed_length(n_first) + packed_length(n_all)); }

    /* Packs the factors. */
    void pack_factors(float *out)
    {
        first = out;
        for (ptrdiff_t k = 0; k < n_components; k++, out += packed_length(n_first))
            pack_factor(first_factors + k * n_first * n_first, n_first, out);
        all = out;
        for (ptrdiff_t k = 0; k < n_components; k++, out += packed_length(n_all))
            pack_factor(all_factors + k * n_all * n_all, n_all, out);
    }
};

/* The pairs of a block.  Rows with guess k: rows[own[k]] .. rows[own[k + 1] - 1]; other rows that remain for k: rows[m +
 * others[k]] .. rows[m + others[k + 1] - 1].  Of these lists the first kept[2 k] and kept[2 k + 1] count. */
struct Pairs {
    int32_t *guess;   /* (block,) */
    int32_t *own, *others, *kept;
    uint16_t *rows;
    uint16_t *chosen; /* scratch: rows of a component that count */
    float *zt;        /* (n_first, STRIDE), first coordinates of BLOCK rows */
    float *z;         /* (block, width), coordinates */
    float *tile;      /* (n_all, STRIDE), coordinates of listed rows */
    float *bounds;    /* (K, block) */
    float *best;      /* (block,), score of the guess */
    float *least;     /* (block,), the least bound with which a pair remains */
    float *listed;    /* (STRIDE,), bounds of listed rows */

    Pairs(const Screen &s, float *floats, int32_t *integers)
    {
        const int K = s.n_components;
        const ptrdiff_t block = s.block;
        guess = integers;
        own = guess + block;
        others = own + K + 2;
        kept = others + K + 2;
        rows = (uint16_t *)(kept + 2 * K);
        chosen = rows + most_pairs(block, K) + 2 * block;
        zt = floats;
        tile = zt + s.n_first * STRIDE;
        listed = tile + s.n_all * STRIDE;
        best = listed + STRIDE;
        least = best + block;
        z = least + block;
        bounds = z + block * s.width + READ_ON;
    }
};

/* rows <- those of the n listed for component k that the bounds from all directions leave; returns how many. */
static int survivors_all(int n, const Screen &screen, const Pairs &pairs, ptrdiff_t k, uint16_t *rows)
{
    const int K = screen.n_components;
    int left = 0;
    for (int first = 0; first < n; first += BLOCK) {
        const int count = smaller(BLOCK, n - first), padded = padded_rows<float>(count);
        pack_listed(pairs.z, screen.width, screen.n_all, (ptrdiff_t)screen.block * screen.width + READ_ON, rows + first, count,
                    padded, pairs.tile);
        log_density_full<float>(pairs.tile, padded, screen.n_all, screen.means + k * screen.n_all,
                                screen.all + k * packed_length(screen.n_all), screen.constants[ALL_CONSTANT * K + k],
                                screen.constants[ALL_FACTOR * K + k], pairs.listed);
        left += survivors_listed(pairs.listed, pairs.least, rows + first, count, rows + left);
    }
    return left;
}

/* As pack, for n listed rows; `readable` numbers from X on may be read. */
template <class Real>
static int gather(const Real *X, int d, ptrdiff_t readable, const uint16_t *rows, int n, Real *xt)
{
    const int padded = padded_rows<Real>(n);
    pack_listed(X, d, d, readable, rows, n, padded, xt);
    return padded;
}

/* A block of m rows, the thread's arrays and the pairs of it that may count. */
template <class Real> struct ScreenedBlock {
    const Mixture<Real> &mixture;
    const Screen &screen;
    Pairs pairs;
    const Real *X;
    ptrdiff_t readable; /* numbers from X on */
    int m;
    bool half;                                 /* v is half the log-densities */
    Real *xt, *z, *row, *taken;                /* over a tile */
    Real *peak, *total, *scale, *entropy, *noise, *v; /* over the block; v over its pairs, in the order of pairs.rows */
    RedZone of_reals, of_floats, of_integers;

    ScreenedBlock(const Mixture<Real> &mixture, const Screen &screen, bool half, Real *reals, float *floats, int32_t *integers)
        : mixture(mixture), screen(screen), pairs(screen, floats, integers), half(half), of_reals(reals + screen.n_reals(mixture.d)),
          of_floats(floats + screen.n_floats()), of_integers(integers + screen.n_integers())
    {
        const ptrdiff_t tile = mixture.d * (ptrdiff_t)STRIDE;
        xt = reals, z = xt + tile, row = z + tile, taken = row + STRIDE;
        peak = taken + STRIDE, total = peak + screen.block, scale = total + screen.block, entropy = scale + screen.block;
        noise = entropy + screen.block, v = noise + screen.block;
    }

    void take(const Real *rows, ptrdiff_t readable_, int m_) { X = rows, readable = readable_, m = m_; }

    /* out[a] <- log w_k N(x; mean_k) of listed row a, or half of it. */
    void listed_log_densities(const uint16_t *rows, int n, ptrdiff_t k, Real *out) const
    {
        for (int first = 0; first < n; first += BLOCK) {
            const int count = smaller(BLOCK, n - first), padded = gather(X, mixture.d, readable, rows + first, count, xt);
            mixture.log_density(xt, padded, k, half, row);
            memcpy(out + first, row, count * sizeof(Real));
        }
    }

    /* Bounds of all pairs from the first directions, and the guesses. */
    void guess() const
    {
        const int K = mixture.n_components, d = mixture.d;
        const double *constants = screen.constants;
        for (int i = 0; i < m; i++) pairs.best[i] = -INFINITY, pairs.guess[i] = 0;
        for (ptrdiff_t first = 0; first < m; first += BLOCK) {
            const int rows = smaller(BLOCK, m - first), padded = padded_rows<float>(rows);
            project_rows(X + first * d, rows, padded, d, screen.center, screen.scale, screen.P, screen.width, screen.n_first,
                         screen.limits, pairs.z + first * screen.width, pairs.zt);
            for (ptrdiff_t k = 0; k < K; k++) {
                float *bounds = pairs.bounds + k * screen.block + first;
                log_density_full<float>(pairs.zt, padded, screen.n_first, screen.means + k * screen.n_all,
                                        screen.first + k * packed_length(screen.n_first), constants[FIRST_CONSTANT * K + k],
                                        constants[FIRST_FACTOR * K + k], bounds);
                update_guess(bounds, rows, constants[GUESS * K + k], k, pairs.best + first, pairs.guess + first);
            }
        }
        sort_by_guess(pairs.guess, m, K, pairs.own, pairs.rows);
    }

    /* List the pairs that may count; false if they are too many.  v <- the log-densities of the rows under their guesses;
     * meanwhile `ahead_bytes` after the block are prefetched. */
    bool list_pairs(ptrdiff_t ahead_bytes) const
    {
        const int K = mixture.n_components;
        const ptrdiff_t most = most_pairs(m, K);
        int n_others = 0;
        guess();

        /* Log-densities under the guesses, and from them the least bound with which a pair remains. */
        for (ptrdiff_t k = 0; k < K; k++) {
            listed_log_densities(pairs.rows + pairs.own[k], pairs.own[k + 1] - pairs.own[k], k, v + pairs.own[k]);
            prefetch_slice((const char *)(X + m * (ptrdiff_t)mixture.d), ahead_bytes, k, K);
        }
        for (int i = 0; i < m; i++) {
            const double log_density = v[i] / (half ? 0.5 : 1.0);
            pairs.least[pairs.rows[i]] = least_bound(log_density < mixture.log_noise ? mixture.log_noise : log_density, screen.cut);
            pairs.bounds[pairs.guess[i] * (ptrdiff_t)screen.block + i] = -INFINITY; /* so that it is not listed twice */
        }

        /* Other pairs that the bounds from the first directions leave, and then those from all. */
        for (ptrdiff_t k = 0; k < K; k++) {
            pairs.others[k] = n_others;
            uint16_t *rows = pairs.rows + m + n_others;
            int n = survivors(pairs.bounds + k * screen.block, pairs.least, m, rows);
            if (screen.n_all > screen.n_first) n = survivors_all(n, screen, pairs, k, rows);
            n_others += n;
            if (n_others > most) return false;
        }
        pairs.others[K] = n_others;
        return true;
    }

    /* v[m..] <- the log-densities of the other pairs. */
    void other_log_densities() const
    {
        for (ptrdiff_t k = 0; k < mixture.n_components; k++)
            listed_log_densities(pairs.rows + m + pairs.others[k], pairs.others[k + 1] - pairs.others[k], k, v + m + pairs.others[k]);
    }

    /* Keep the pairs of a component that count, in place; add v <- exp(v - peak) to the rows' sums; returns how many. */
    int prune(Real *values, uint16_t *rows, int n, Real constant, Real *spread) const
    {
        const int count = keep_pairs<Real>(values, rows, n, screen.slope, constant, peak, values, rows);
        add(values, rows, count, spread);
        return count;
    }

    /* v <- exp(v - peak), which is added to the rows' sums, from v - peak. */
    void add(Real *values, const uint16_t *rows, int n, Real *spread) const
    {
        if (half)
            sum_pairs(values, rows, n, 1, total, spread);
        else
            sum_pairs(values, rows, n, 0, total, spread);
    }

    /* As softmax_for_sums, over the pairs that count now that each row's peak is known; pairs.kept <- how many.  noise <-
     * exp(v - peak) of the background, if there is one. */
    void softmax(bool with_entropy) const
    {
        const int K = mixture.n_components;
        Real *spread = with_entropy ? entropy : NULL;
        const Real floor = mixture.has_noise() ? (Real)(mixture.log_noise * (half ? 0.5 : 1.0)) : -Limits<Real>::max;
        for (int i = 0; i < m; i++) peak[i] = floor, total[i] = 0;
        if (spread)
            for (int i = 0; i < m; i++) spread[i] = 0;
        update_peaks(v, pairs.rows, m + pairs.others[K], peak);
        if (mixture.has_noise()) {
            for (int i = 0; i < m; i++) noise[i] = floor - peak[i], pairs.chosen[i] = (uint16_t)i;
            add(noise, pairs.chosen, m, spread);
        }
        for (ptrdiff_t k = 0; k < K; k++) {
            const int own = pairs.own[k], other = m + pairs.others[k];
            const Real exact = screen.constants[EXACT * K + k] * (half ? 0.5 : 1.0);
            pairs.kept[2 * k] = prune(v + own, pairs.rows + own, pairs.own[k + 1] - own, exact, spread);
            pairs.kept[2 * k + 1] =
                prune(v + other, pairs.rows + other, pairs.others[k + 1] - pairs.others[k], exact, spread);
        }
        log_likelihoods(peak, total, m, half, spread);
    }
};

#endif
