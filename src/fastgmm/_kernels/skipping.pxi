# The passes that skip pairs (row, component) which cannot matter: that of EM, and those of log-densities and labels.
#
# What may be dropped.  With q_ik the squared whitened distance, N_ik = exp(c_k - q_ik / 2) the density of row i under component k without its
# weight w_k, and p_i = sum_k w_k N_ik, a pair does not count if
#
#     N_ik max(1, q_ik) < e^-cut p_i.                                                                                                     (1)
#
# What is lost of p_i is then less than e^-cut p_i sum_k w_k, and of component k's mass and whitened scatter less than e^-cut times the mass
# w_k sum_i w_i that its weight stands for.  With e^-cut the unit of rounding that is rounding; _skipping.py sees to it that no component
# shrinks so much in one iteration that it is more.  As log q <= log s - 1 + q / s for any s, (1) follows from
#
#     c_k + log s - 1 - (1/2 - 1/s) q_ik < log p_i - cut,                                                                                 (2)
#
# whose left side falls with q_ik: any lower bound of q_ik and any lower bound of log p_i will do.
#
# For log-densities alone max(1, q_ik) is left out of (1), and log s - 1 and 1/s of (2).  For labels a pair does not count whose density as a
# dense pass computes it, with its weight and its rounding, is less than that of another component: then the largest, and the first of equals, is among
# the rest.  In both the constants that _skipping.py makes bound what a dense pass computes, not only what it should.
#
# Lower bounds of q_ik.  For directions P, (x - m)^T P (P^T C P)^-1 P^T (x - m) <= (x - m)^T C^-1 (x - m): the squared distance of a projection
# never exceeds that of the row.  The coordinates P^T x cost d numbers a row and direction for all components together; a pair then costs as
# many operations as it had in so many dimensions, in float32, where a register holds twice as many.  The first few directions are tried for
# all pairs, further ones for those that are left.  Roundings, of which _skipping.py has bounds, are in the constants.
#
# Lower bound of log p_i: the log-density under one component, that of the largest posterior probability as far as the first directions say.
#
# The rest is done in full, by the functions of the dense pass, on tiles gathered from the rows that are left of each component.  Where too
# many are left for that to be worth it the block is done densely, and after a few such blocks the next ones without trying.

from libc.float cimport DBL_MAX, FLT_MAX
from libc.math cimport INFINITY
from libc.stdint cimport uint16_t
from libc.string cimport memcpy

cdef extern from "kernels.h" nogil:
    void raise_guess(const float*, int padded, float, int, float*, int32_t*)
    void sort_by_guess(const int32_t*, int m, int n_components, int32_t*, uint16_t*)
    float least_bound(double, double)
    void prepare_survivors()
    int survivors(const float*, const float*, int m, uint16_t*)
    int survivors_listed(const float*, const float*, const uint16_t*, int, uint16_t*)

    void pack_listed_f64(const double*, int width, int d, Py_ssize_t readable, const uint16_t*, int n, int padded, double*)
    void project_rows_f64(const double*, int m, int padded, int d, const double*, const double*, const double*, int width, int,
                          const double*, float*, float*)
    void raise_peaks_f64(const double*, const uint16_t*, int, double*)
    int keep_pairs_f64(const double*, const uint16_t*, int, double, double, const double*, double*, uint16_t*)
    void sum_pairs_f64(double*, const uint16_t*, int, const int, double*, double*)
    void take_scales_f64(const double*, const uint16_t*, int, int padded, double*, double*)
    void raise_labels_f64(const double*, const uint16_t*, int, int, double*, int32_t*)

    void pack_listed_f32(const float*, int width, int d, Py_ssize_t readable, const uint16_t*, int n, int padded, float*)
    void project_rows_f32(const float*, int m, int padded, int d, const double*, const double*, const double*, int width, int,
                          const double*, float*, float*)
    void raise_peaks_f32(const float*, const uint16_t*, int, float*)
    int keep_pairs_f32(const float*, const uint16_t*, int, float, float, const float*, float*, uint16_t*)
    void sum_pairs_f32(float*, const uint16_t*, int, const int, float*, float*)
    void take_scales_f32(const float*, const uint16_t*, int, int padded, float*, float*)
    void raise_labels_f32(const float*, const uint16_t*, int, int, float*, int32_t*)

prepare_survivors()

cdef enum:
    # Rows of the screen's constants: of (2) the left side's constant and factor of q for the first directions and for all of them; what is
    # added to the first bound to compare components; and what is added to (1 - 2/s) log w_k N_ik for the left side of (2), plus cut.
    FIRST_CONSTANT, FIRST_FACTOR, ALL_CONSTANT, ALL_FACTOR, GUESS, EXACT

cdef enum:
    # A thread's counts: pairs left by the first directions, by all, and in the end; rows of blocks that were done so, and densely.
    AFTER_FIRST, AFTER_ALL, KEPT, SCREENED_ROWS, DENSE_ROWS

cdef enum:
    READ_ON = 16     # numbers that gathering may read beyond the last row of coordinates
    TRIALS = 2       # failures in a row after which ...
    REST = 30        # ... so many blocks are dense without trying
    PATIENCE = 2     # a block is done densely when more than 1 / PATIENCE of its pairs are left

cdef struct Screen:
    int block               # rows looked at together: several times BLOCK_ROWS, so that the lists of few rows fill a vector
    int n_first             # directions tried for all pairs
    int n_all
    int width               # n_all rounded up to a multiple of 8
    const double* center    # of the coordinates
    const double* scale     # |x - center| . scale is bounded by limits[0], coordinates by limits[1]; rows farther out are not screened
    const double* limits
    const double* P         # (d, width)
    const float* means      # (K, n_all)
    const float* first      # packed factors of the precisions of the projections
    const float* all
    const double* constants # (6, K)
    double cut
    double slope            # 1 - 2/s

cdef struct Tries:
    int failures            # in a row
    int rest                # blocks to be done densely without trying

cdef struct Pairs:
    # What is known of the pairs of a screened block.  rows[own[k]] .. rows[own[k + 1] - 1] are those whose guess k is, and
    # rows[m + others[k]] .. rows[m + others[k + 1] - 1] those that are left beside them; in both lists kept[k] at the end.
    int32_t* guess
    int32_t* own
    int32_t* others
    int32_t* kept
    uint16_t* rows
    uint16_t* chosen
    float* zt               # coordinates: first, feature-major, of BLOCK_ROWS rows
    float* z                # all, row-major
    float* tile             # all, feature-major, of listed rows
    float* bounds           # (K, block)
    float* best
    float* least            # bound that a pair needs
    float* listed           # bounds of listed rows


cdef Pairs pairs_in(const Screen* s, int K, float* floats, int32_t* integers) noexcept nogil:
    cdef Pairs p
    cdef Py_ssize_t block = s.block
    p.guess = integers
    p.own = p.guess + block
    p.others = p.own + K + 2
    p.kept = p.others + K + 2
    p.rows = <uint16_t*>(p.kept + 2 * K)
    p.chosen = p.rows + most_pairs(block, K) + 2 * block
    p.zt = floats
    p.tile = p.zt + s.n_first * STRIDE
    p.listed = p.tile + s.n_all * STRIDE
    p.best = p.listed + STRIDE
    p.least = p.best + block
    p.z = p.least + block
    p.bounds = p.z + block * s.width + READ_ON
    return p


cdef inline Py_ssize_t most_pairs(Py_ssize_t block, int K) noexcept nogil:
    """Beside those of the guesses."""
    return block * K // PATIENCE


cdef inline Py_ssize_t packed_length(int m) noexcept nogil:
    return (<Py_ssize_t>m * (m + 1) // 2 + 15) // 16 * 16


cdef inline Py_ssize_t screened_reals(Py_ssize_t block, int K, int d) noexcept nogil:
    """One thread's array of X's dtype: xt, z, row, taken of a tile; peak, total, scale, entropy of a block; v of the pairs."""
    return ((2 * d + 2) * <Py_ssize_t>STRIDE + 5 * block + most_pairs(block, K) + 15) // 16 * 16


cdef inline Py_ssize_t screened_floats(Py_ssize_t block, int K, int n_first, int n_all, int width) noexcept nogil:
    return (n_first + n_all + 1) * <Py_ssize_t>STRIDE + (2 + width + K) * block + READ_ON


cdef inline Py_ssize_t screened_integers(Py_ssize_t block, int K) noexcept nogil:
    return (block + 4 * (K + 2) + most_pairs(block, K) // 2 + 2 * block + 15) // 16 * 16


def screen_workspace_sizes(int n_features, int block, int n_components, int n_first, int n_all, int width, int n_threads):
    """Lengths of a screened pass's workspaces of X's dtype, float32 and int32, aligned to 64 bytes."""
    return (
        n_threads * screened_reals(block, n_components, n_features),
        n_threads * screened_floats(block, n_components, n_first, n_all, width)
        + n_components * (packed_length(n_first) + packed_length(n_all)),
        n_threads * screened_integers(block, n_components),
    )


cdef void project(const real* X, int m, int padded, int d, const Screen* screen, float* z, float* zt) noexcept nogil:
    if real is double:
        project_rows_f64(X, m, padded, d, screen.center, screen.scale, screen.P, screen.width, screen.n_first, screen.limits, z, zt)
    else:
        project_rows_f32(X, m, padded, d, screen.center, screen.scale, screen.P, screen.width, screen.n_first, screen.limits, z, zt)


cdef int gather(const real* X, int d, Py_ssize_t readable, const uint16_t* rows, int n, real* xt) noexcept nogil:
    cdef int padded
    if real is double:
        padded = padded_rows(n, LANES_f64)
        pack_listed_f64(X, d, d, readable, rows, n, padded, xt)
    else:
        padded = padded_rows(n, LANES_f32)
        pack_listed_f32(X, d, d, readable, rows, n, padded, xt)
    return padded


cdef void listed_log_probs(const real* X, Py_ssize_t readable, const uint16_t* rows, int n, Shape s, Py_ssize_t k, const real* means,
                           const real* packed, const double* log_const, real* xt, real* row, real* v) noexcept nogil:
    """v = log w_k N(x; mean_k), or with s.root half of it, of the rows listed; xt and row are scratch."""
    cdef Shape one = s
    cdef const real* factor = packed + (k * factor_length(s) if s.n_factors > 1 else 0)
    cdef int tile, first, count, padded
    one.n_components = one.n_factors = 1
    for tile in range(n_blocks(n)):
        first = tile * BLOCK_ROWS
        count = min(BLOCK_ROWS, n - first)
        padded = gather(X, s.d, readable, rows + first, count, xt)
        log_probs(xt, padded, one, means + k * s.d, factor, log_const + k, NULL, 0, s.root, row)
        memcpy(v + first, row, count * sizeof(real))


cdef void start_softmax(const real* v, const uint16_t* rows, int n, int padded, real* peak, real* total, real* entropy) noexcept nogil:
    """peak <- the largest v of each row, sums <- 0."""
    cdef int i
    cdef real lowest = -FLT_MAX if real is float else -DBL_MAX
    for i in range(padded):
        peak[i], total[i] = lowest, 0
    if entropy != NULL:
        for i in range(padded):
            entropy[i] = 0
    if real is double:
        raise_peaks_f64(v, rows, n, peak)
    else:
        raise_peaks_f32(v, rows, n, peak)


cdef int keep(real* v, uint16_t* rows, int n, bint root, real slope, real constant, const real* peak, real* total,
              real* entropy) noexcept nogil:
    """The pairs of one component that count, in place, and their share of the sums; v <- exp(v - peak)."""
    cdef int count
    if real is double:
        count = keep_pairs_f64(v, rows, n, slope, constant, peak, v, rows)
        sum_pairs_f64(v, rows, count, root, total, entropy)
    else:
        count = keep_pairs_f32(v, rows, n, slope, constant, peak, v, rows)
        sum_pairs_f32(v, rows, count, root, total, entropy)
    return count


cdef void join(const real* one, int n_one, const real* other, Py_ssize_t first, int n, real* out) noexcept nogil:
    """out = numbers first .. first + n - 1 of `one`, of length n_one, followed by `other`."""
    cdef Py_ssize_t from_one = max(0, min(n, n_one - first))
    memcpy(out, one + first, from_one * sizeof(real))
    memcpy(out + from_one, other + (first + from_one - n_one), (n - from_one) * sizeof(real))


cdef void raise_labels(const real* v, const uint16_t* rows, int n, Py_ssize_t k, real* best, int32_t* labels) noexcept nogil:
    if real is double:
        raise_labels_f64(v, rows, n, <int>k, best, labels)
    else:
        raise_labels_f32(v, rows, n, <int>k, best, labels)


cdef void take_scales(const real* scale, const uint16_t* rows, int n, int padded, real* v, real* taken) noexcept nogil:
    if real is double:
        take_scales_f64(scale, rows, n, padded, v, taken)
    else:
        take_scales_f32(scale, rows, n, padded, v, taken)


cdef bint find_pairs(const real* X, Py_ssize_t readable, int m, Shape s, const real* means, const real* packed, const double* log_const,
                     Py_ssize_t ahead_bytes, const Screen* screen, const Pairs* p, real* xt, real* row, real* v,
                     int64_t* counts) noexcept nogil:
    """Which pairs may count; v gets the log-densities of the rows under their guesses.  False if too many are left."""
    cdef int K = s.n_components
    cdef const double* constants = screen.constants
    cdef Py_ssize_t k, first
    cdef int i, n, rows, tile, padded, n_others = 0, most = most_pairs(m, K)
    cdef double half = 0.5 if s.root else 1.0
    cdef float* bounds

    # Bounds of all pairs from the first directions, and each row's most promising component.
    for i in range(m):
        p.best[i], p.guess[i] = -INFINITY, 0
    for tile in range(n_blocks(m)):
        first = tile * BLOCK_ROWS
        rows = min(BLOCK_ROWS, m - first)
        padded = padded_rows(rows, LANES_f32)
        project(X + first * s.d, rows, padded, s.d, screen, p.z + first * screen.width, p.zt)
        for k in range(K):
            bounds = p.bounds + k * screen.block + first
            log_prob_full_f32(p.zt, padded, screen.n_first, screen.means + k * screen.n_all, screen.first + k * packed_length(screen.n_first),
                              constants[FIRST_CONSTANT * K + k], constants[FIRST_FACTOR * K + k], bounds)
            raise_guess(bounds, rows, constants[GUESS * K + k], k, p.best + first, p.guess + first)

    # The log-densities under those, and with them the least bound that matters.
    sort_by_guess(p.guess, m, K, p.own, p.rows)
    for k in range(K):
        listed_log_probs(X, readable, p.rows + p.own[k], p.own[k + 1] - p.own[k], s, k, means, packed, log_const, xt, row, v + p.own[k])
        prefetch_slice(<const char*>(X + m * s.d), ahead_bytes, k, K)
    for i in range(m):
        p.least[p.rows[i]] = least_bound(v[i] / half, screen.cut)
        p.bounds[p.guess[i] * <Py_ssize_t>screen.block + i] = -INFINITY  # not to be listed again

    # Other pairs whose bound is not below it, of the first directions and then of all.
    for k in range(K):
        p.others[k] = n_others
        n = survivors(p.bounds + k * screen.block, p.least, m, p.rows + m + n_others)
        counts[AFTER_FIRST] += n
        if screen.n_all > screen.n_first:
            n = second_look(n, screen, p, k, K, p.rows + m + n_others)
        n_others += n
        if n_others > most:
            return False
    p.others[K] = n_others
    counts[AFTER_ALL] += n_others
    return True


cdef void other_log_probs(const real* X, Py_ssize_t readable, int m, Shape s, const real* means, const real* packed, const double* log_const,
                          const Pairs* p, real* xt, real* row, real* v) noexcept nogil:
    """v gets the log-densities of the pairs beside those of the guesses."""
    cdef Py_ssize_t k, other
    for k in range(s.n_components):
        other = m + p.others[k]
        listed_log_probs(X, readable, p.rows + other, p.others[k + 1] - p.others[k], s, k, means, packed, log_const, xt, row, v + other)


cdef int second_look(int n, const Screen* screen, const Pairs* p, Py_ssize_t k, int K, uint16_t* rows) noexcept nogil:
    """Of the n rows listed for component k those that are left by all directions, in place."""
    cdef int tile, first, count, padded, left = 0
    for tile in range(n_blocks(n)):
        first = tile * BLOCK_ROWS
        count = min(BLOCK_ROWS, n - first)
        padded = padded_rows(count, LANES_f32)
        pack_listed_f32(p.z, screen.width, screen.n_all, screen.block * screen.width + READ_ON, rows + first, count, padded, p.tile)
        log_prob_full_f32(p.tile, padded, screen.n_all, screen.means + k * screen.n_all, screen.all + k * packed_length(screen.n_all),
                          screen.constants[ALL_CONSTANT * K + k], screen.constants[ALL_FACTOR * K + k], p.listed)
        left += survivors_listed(p.listed, p.least, rows + first, count, rows + left)
    return left


cdef void softmax_of_pairs(real* v, int m, Shape s, const Screen* screen, const Pairs* p, real* peak, real* total,
                           real* entropy) noexcept nogil:
    """As softmax, over the pairs that still count when the largest log-density of each row is known; p.kept says how many."""
    cdef Py_ssize_t k, own, other
    cdef int K = s.n_components
    cdef real exact
    start_softmax(v, p.rows, m + p.others[K], m, peak, total, entropy)
    for k in range(K):
        own, other = p.own[k], m + p.others[k]
        exact = screen.constants[EXACT * K + k] * (0.5 if s.root else 1.0)
        p.kept[2 * k] = keep(v + own, p.rows + own, p.own[k + 1] - own, s.root, screen.slope, exact, peak, total, entropy)
        p.kept[2 * k + 1] = keep(v + other, p.rows + other, p.others[k + 1] - p.others[k], s.root, screen.slope, exact, peak, total, entropy)
    finish_softmax(peak, total, m, s, entropy)


cdef bint screened_block(const real* X, Py_ssize_t readable, const double* w, int m, Shape s, const real* means, const real* centers,
                         const real* packed, const double* log_const, bint with_entropy, Py_ssize_t ahead_bytes, const Screen* screen,
                         const Pairs* p, real* xt, double* sums, int64_t* counts) noexcept nogil:
    """em_block with pairs skipped; False, and nothing done, if too many are left."""
    cdef int K = s.n_components
    cdef real* scratch = xt + s.d * STRIDE
    cdef real* row = scratch + s.d * STRIDE
    cdef real* taken = row + STRIDE
    cdef real* peak = taken + STRIDE
    cdef real* total = peak + screen.block
    cdef real* scale = total + screen.block
    cdef real* entropy = scale + screen.block if with_entropy else NULL
    cdef real* v = scale + 2 * screen.block
    cdef uint16_t* chosen
    cdef Py_ssize_t k, own, other, first
    cdef int n, tile, count, padded
    if not find_pairs(X, readable, m, s, means, packed, log_const, ahead_bytes, screen, p, xt, row, v, counts):
        return False
    other_log_probs(X, readable, m, s, means, packed, log_const, p, xt, row, v)
    softmax_of_pairs(v, m, s, screen, p, peak, total, entropy)
    sums[0] += weighted_sum(peak, w, m)
    if with_entropy:
        sums[1] += weighted_sum(entropy, w, m)
    scales(w, total, m, m, s, scale)

    # The statistics: both lists of a component together, a tile at a time.
    for k in range(K):
        own, other = p.own[k], m + p.others[k]
        n = p.kept[2 * k] + p.kept[2 * k + 1]
        chosen = p.chosen
        memcpy(chosen, p.rows + own, p.kept[2 * k] * sizeof(uint16_t))
        memcpy(chosen + p.kept[2 * k], p.rows + other, p.kept[2 * k + 1] * sizeof(uint16_t))
        for tile in range(n_blocks(n)):
            first = tile * BLOCK_ROWS
            count = min(BLOCK_ROWS, n - first)
            padded = gather(X, s.d, readable, chosen + first, count, xt)
            join(v + own, p.kept[2 * k], v + other, first, count, row)
            take_scales(scale, chosen + first, count, padded, row, taken)
            accumulate_one(xt, padded, s, k, centers, row, taken, scratch, sums + 2)
        counts[KEPT] += n
    return True


cdef void screened_rows(const real* X, const double* weights, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* means,
                        const real* centers, const real* packed, const double* log_const, bint with_entropy, const Screen* screen,
                        real* dense_work, real* work, float* floats, int32_t* integers, double* sums, int64_t* counts) noexcept nogil:
    """em_rows with pairs skipped."""
    cdef Pairs pairs = pairs_in(screen, s.n_components, floats, integers)
    cdef const Pairs* p = &pairs
    cdef Tries tries
    cdef Py_ssize_t block, first, end, ahead
    cdef int m
    cdef bint screened
    tries.failures = tries.rest = 0
    for block in range(screened_blocks(stop - start, screen)):
        first = start + block * screen.block
        end = min(first + screen.block, stop)
        m = end - first
        ahead = min(screen.block, stop - end) * s.d * sizeof(real)
        screened = is_worth_trying(&tries)
        if screened:
            screened = screened_block(X + first * s.d, (stop - first) * s.d, weights + first if weights != NULL else NULL, m, s, means,
                                      centers, packed, log_const, with_entropy, ahead, screen, p, work, sums, counts)
            note(&tries, screened)
        if not screened:
            em_rows(X, weights, first, end, s, means, centers, packed, log_const, with_entropy, dense_work, sums)
        counts[SCREENED_ROWS if screened else DENSE_ROWS] += m


cdef inline Py_ssize_t screened_blocks(Py_ssize_t n, const Screen* screen) noexcept nogil:
    return (n + screen.block - 1) // screen.block


cdef bint is_worth_trying(Tries* tries) noexcept nogil:
    if tries.rest == 0:
        return True
    tries.rest -= 1
    return False


cdef void note(Tries* tries, bint success) noexcept nogil:
    tries.failures = 0 if success else tries.failures + 1
    if tries.failures == TRIALS:
        tries.failures, tries.rest = TRIALS - 1, REST


cdef bint screened_density_block(const real* X, Py_ssize_t readable, int m, Shape s, const real* means, const real* packed,
                                 const double* log_const, Py_ssize_t ahead_bytes, const Screen* screen, const Pairs* p, real* xt,
                                 real* log_prob_norm, int64_t* labels, int64_t* counts) noexcept nogil:
    """Log-densities or labels of a block with pairs skipped; False, and nothing done, if too many are left."""
    cdef real* row = xt + 2 * s.d * STRIDE
    cdef real* peak = row + 2 * STRIDE
    cdef real* total = peak + screen.block
    cdef real* v = total + 3 * screen.block
    cdef int32_t* best = p.guess  # which is no longer needed
    cdef Py_ssize_t k, own, other
    cdef int i
    if not find_pairs(X, readable, m, s, means, packed, log_const, ahead_bytes, screen, p, xt, row, v, counts):
        return False
    other_log_probs(X, readable, m, s, means, packed, log_const, p, xt, row, v)
    if log_prob_norm != NULL:
        softmax_of_pairs(v, m, s, screen, p, peak, total, <real*>NULL)
        for i in range(m):
            log_prob_norm[i] = peak[i]
    if labels != NULL:
        for i in range(m):
            peak[i], best[i] = -INFINITY, 0
        for k in range(s.n_components):
            own, other = p.own[k], m + p.others[k]
            raise_labels(v + own, p.rows + own, p.own[k + 1] - own, k, peak, best)
            raise_labels(v + other, p.rows + other, p.others[k + 1] - p.others[k], k, peak, best)
        for i in range(m):
            labels[i] = best[i]
    return True


cdef void screened_density_rows(const real* X, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* means, const real* packed,
                                const double* log_const, const Screen* screen, real* dense_work, real* work, float* floats,
                                int32_t* integers, real* log_prob_norm, int64_t* labels, int64_t* counts) noexcept nogil:
    """density_rows with pairs skipped."""
    cdef Pairs pairs = pairs_in(screen, s.n_components, floats, integers)
    cdef Tries tries
    cdef Py_ssize_t block, first, end, ahead
    cdef bint screened
    s.root = False
    tries.failures = tries.rest = 0
    for block in range(screened_blocks(stop - start, screen)):
        first = start + block * screen.block
        end = min(first + screen.block, stop)
        ahead = min(screen.block, stop - end) * s.d * sizeof(real)
        screened = is_worth_trying(&tries)
        if screened:
            screened = screened_density_block(X + first * s.d, (stop - first) * s.d, end - first, s, means, packed, log_const, ahead, screen,
                                              &pairs, work, log_prob_norm + first if log_prob_norm != NULL else NULL,
                                              labels + first if labels != NULL else NULL, counts)
            note(&tries, screened)
        if not screened:
            density_rows(X, first, end, s, means, packed, log_const, dense_work, log_prob_norm, labels, <real*>NULL)
        counts[SCREENED_ROWS if screened else DENSE_ROWS] += end - first


cdef Screen screen_of(const double[::1] center, const double[::1] scale, const double[::1] limits, const double[:, ::1] P,
                      const float[:, ::1] means, const float[:, :, ::1] first_factors, const float[:, :, ::1] all_factors,
                      const double[:, ::1] constants, double cut, double slope, int block, float[::1] floats, int n_threads):
    """The factors are packed into `floats`, behind what the threads need of it."""
    cdef Screen s
    cdef Py_ssize_t k, K = means.shape[0]
    cdef float* first_packed
    cdef float* all_packed
    s.block, s.n_first, s.n_all, s.width = block, first_factors.shape[1], all_factors.shape[1], P.shape[1]
    s.center, s.scale, s.limits, s.P = &center[0], &scale[0], &limits[0], &P[0, 0]
    s.means, s.constants, s.cut, s.slope = &means[0, 0], &constants[0, 0], cut, slope
    first_packed = &floats[n_threads * screened_floats(block, K, s.n_first, s.n_all, s.width)]
    all_packed = first_packed + K * packed_length(s.n_first)
    for k in range(K):
        pack_factor_f32(&first_factors[k, 0, 0], s.n_first, first_packed + k * packed_length(s.n_first))
        pack_factor_f32(&all_factors[k, 0, 0], s.n_all, all_packed + k * packed_length(s.n_all))
    s.first, s.all = first_packed, all_packed
    return s


def screened_em_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[:, ::1] means, const real[:, ::1] centers,
                     const real[:, :, ::1] factors, const double[::1] log_const, double[::1] nk, double[:, ::1] sum_x,
                     double[:, :, ::1] scatter, bint with_entropy, real[::1] workspace, double[::1] sums, int n_threads,
                     const double[::1] center, const double[::1] scale, const double[::1] limits, const double[:, ::1] P,
                     const float[:, ::1] screen_means, const float[:, :, ::1] first_factors, const float[:, :, ::1] all_factors,
                     const double[:, ::1] constants, double cut, double slope, int block, real[::1] reals, float[::1] floats,
                     int32_t[::1] integers, int64_t[:, ::1] counts):
    """em_pass with pairs skipped that cannot matter; `counts` (n_threads, 8) grow by what was left of them."""
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], size = sums_length(s), rows = rows_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * rows
    cdef const real* data = &X[0, 0]
    cdef const real* mu = &means[0, 0]
    cdef const real* about = &centers[0, 0]
    cdef const double* log_constants = &log_const[0]
    cdef double* partial = &sums[0]
    cdef real* real_work = &reals[0]
    cdef float* float_work = &floats[0]
    cdef int32_t* integer_work = &integers[0]
    cdef int64_t* counted = &counts[0, 0]
    cdef Py_ssize_t n_counts = counts.shape[1], n_reals, n_floats, n_integers
    cdef Screen screen = screen_of(center, scale, limits, P, screen_means, first_factors, all_factors, constants, cut, slope, block,
                                   floats, n_threads)
    cdef const Screen* look = &screen
    cdef int t, K = s.n_components
    n_reals = screened_reals(block, K, s.d)
    n_floats = screened_floats(block, K, screen.n_first, screen.n_all, screen.width)
    n_integers = screened_integers(block, K)
    with nogil:
        memset(partial, 0, n_threads * size * sizeof(double))
        pack_factors(&factors[0, 0, 0], s, packed)
        if n_threads == 1:
            screened_rows(data, weights, 0, n, s, mu, about, packed, log_constants, with_entropy, look, work, real_work, float_work,
                          integer_work, partial, counted)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                screened_rows(data, weights, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, about, packed,
                              log_constants, with_entropy, look, work + t * rows, real_work + t * n_reals, float_work + t * n_floats,
                              integer_work + t * n_integers, partial + t * size, counted + t * n_counts)
        merge(partial, size, n_threads, s, &nk[0], &sum_x[0, 0], &scatter[0, 0, 0])
    return partial[0], partial[1]


def screened_density_pass(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors, const double[::1] log_const,
                          real[::1] log_prob_norm, int64_t[::1] labels, real[::1] workspace, int n_threads,
                          const double[::1] center, const double[::1] scale, const double[::1] limits, const double[:, ::1] P,
                          const float[:, ::1] screen_means, const float[:, :, ::1] first_factors, const float[:, :, ::1] all_factors,
                          const double[:, ::1] constants, double cut, double slope, int block, real[::1] reals, float[::1] floats,
                          int32_t[::1] integers, int64_t[:, ::1] counts):
    """density_pass, for one of log_prob_norm and labels, with pairs skipped that cannot matter to it."""
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], rows = rows_length(s)
    cdef real* norm_out = &log_prob_norm[0] if log_prob_norm is not None else NULL
    cdef int64_t* labels_out = &labels[0] if labels is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * rows
    cdef const real* data = &X[0, 0]
    cdef const real* mu = &means[0, 0]
    cdef const double* log_constants = &log_const[0]
    cdef real* real_work = &reals[0]
    cdef float* float_work = &floats[0]
    cdef int32_t* integer_work = &integers[0]
    cdef int64_t* counted = &counts[0, 0]
    cdef Py_ssize_t n_counts = counts.shape[1], n_reals, n_floats, n_integers
    cdef Screen screen = screen_of(center, scale, limits, P, screen_means, first_factors, all_factors, constants, cut, slope, block,
                                   floats, n_threads)
    cdef const Screen* look = &screen
    cdef int t
    n_reals = screened_reals(block, s.n_components, s.d)
    n_floats = screened_floats(block, s.n_components, screen.n_first, screen.n_all, screen.width)
    n_integers = screened_integers(block, s.n_components)
    with nogil:
        pack_factors(&factors[0, 0, 0], s, packed)
        if n_threads == 1:
            screened_density_rows(data, 0, n, s, mu, packed, log_constants, look, work, real_work, float_work, integer_work, norm_out,
                                  labels_out, counted)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                screened_density_rows(data, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, packed, log_constants, look,
                                      work + t * rows, real_work + t * n_reals, float_work + t * n_floats, integer_work + t * n_integers,
                                      norm_out, labels_out, counted + t * n_counts)


def count_pairs(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors, const double[::1] log_const,
                const double[::1] center, const double[::1] scale, const double[::1] limits, const double[:, ::1] P,
                const float[:, ::1] screen_means, const float[:, :, ::1] first_factors, const float[:, :, ::1] all_factors,
                const double[:, ::1] constants, double cut, double slope, int block, real[::1] packed_factors, real[::1] reals,
                float[::1] floats, int32_t[::1] integers, int64_t[:, ::1] counts):
    """Of at most a block of rows, add to the first row of `counts` the pairs that a screen leaves; False if they are too many."""
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Screen screen = screen_of(center, scale, limits, P, screen_means, first_factors, all_factors, constants, cut, slope, block,
                                   floats, 1)
    cdef Pairs pairs = pairs_in(&screen, s.n_components, &floats[0], &integers[0])
    cdef real* xt = &reals[0]
    cdef real* row = xt + 2 * s.d * STRIDE
    cdef real* v = row + 2 * STRIDE + 4 * block
    cdef bint few
    with nogil:
        pack_factors(&factors[0, 0, 0], s, &packed_factors[0])
        few = find_pairs(&X[0, 0], X.shape[0] * X.shape[1], X.shape[0], s, &means[0, 0], &packed_factors[0], &log_const[0], 0, &screen,
                         &pairs, xt, row, v, &counts[0, 0])
    return bool(few)
