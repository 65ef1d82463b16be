# Which pairs (row, component) of a block may count: screening by bounds, for passes that skip the other pairs.
#
# Which pairs may be dropped.  Let q_ik be the squared whitened distance, N_ik = exp(c_k - q_ik / 2) the density of row
# i under component k without its weight w_k, and p_i = sum_k w_k N_ik.  A pass of EM drops a pair if
#
#     N_ik max(1, q_ik) < e^-cut p_i.                                                                                (1)
#
# The loss of p_i is then less than e^-cut p_i sum_k w_k; that of component k's mass and of its whitened scatter is less
# than e^-cut times w_k sum_i w_i, the mass its weight stands for.  With e^-cut the unit of rounding these losses are
# rounding errors; the package's skipping code checks that no component shrinks so much in one iteration that they are
# more.  Since log q <= log s - 1 + q / s for any s, (1) follows from
#
#     c_k + log s - 1 - (1/2 - 1/s) q_ik < log p_i - cut.                                                            (2)
#
# The left side falls with q_ik, so any lower bounds of q_ik and of log p_i may take their places.
#
# For log-likelihoods max(1, q_ik) is omitted from (1), and log s - 1 and 1/s from (2).  For labels, a pair is dropped
# if its weighted density, as a dense pass would round it, is below another component's: the arg-max, with its
# tie-break, is then always kept.  The constants bound the rounded results of a dense pass, not only the exact ones.
#
# Lower bound of q_ik.  For directions P and covariance C, (x - m)^T P (P^T C P)^-1 P^T (x - m) <= (x - m)^T C^-1 (x -
# m): a projection is never farther than the row.  The coordinates P^T x of a row serve all components; a pair then
# costs as much as in so many dimensions, and in float32, with twice as many lanes.  All pairs are tested in the first
# few directions, those that remain in all of them.  The constants include bounds of the rounding errors.
#
# Lower bound of log p_i: the row's log-density under one component, its guess, which has the largest posterior
# probability judged by the first directions.
#
# Remaining pairs are computed by the functions of the dense pass, on tiles gathered from the rows that remain of each
# component.  A block with too many remaining pairs is done densely; after MAX_FAILURES such blocks in a row the next
# DENSE_BLOCKS are done densely without screening.

cdef extern from "kernels.h" nogil:
    void update_guess(const float*, int padded, float, int, float*, int32_t*)
    void sort_by_guess(const int32_t*, int m, int n_components, int32_t*, uint16_t*)
    float least_bound(double, double)
    void prepare_survivors()
    int survivors(const float*, const float*, int m, uint16_t*)
    int survivors_listed(const float*, const float*, const uint16_t*, int, uint16_t*)

    void pack_listed_f64(const double*, int width, int d, Py_ssize_t readable, const uint16_t*, int n, int padded, double*)
    void project_rows_f64(const double*, int m, int padded, int d, const double*, const double*, const double*, int width, int,
                          const double*, float*, float*)
    void update_peaks_f64(const double*, const uint16_t*, int, double*)
    int keep_pairs_f64(const double*, const uint16_t*, int, double, double, const double*, double*, uint16_t*)
    void sum_pairs_f64(double*, const uint16_t*, int, const int, double*, double*)
    void take_scales_f64(const double*, const uint16_t*, int, int padded, double*, double*)
    void update_labels_f64(const double*, const uint16_t*, int, int, double*, int32_t*)

    void pack_listed_f32(const float*, int width, int d, Py_ssize_t readable, const uint16_t*, int n, int padded, float*)
    void project_rows_f32(const float*, int m, int padded, int d, const double*, const double*, const double*, int width, int,
                          const double*, float*, float*)
    void update_peaks_f32(const float*, const uint16_t*, int, float*)
    int keep_pairs_f32(const float*, const uint16_t*, int, float, float, const float*, float*, uint16_t*)
    void sum_pairs_f32(float*, const uint16_t*, int, const int, float*, float*)
    void take_scales_f32(const float*, const uint16_t*, int, int padded, float*, float*)
    void update_labels_f32(const float*, const uint16_t*, int, int, float*, int32_t*)

prepare_survivors()

cdef enum:
    # Rows of `constants` (6, K): the constant and the factor of q on the left side of (2), for the first directions and
    # for all of them; what turns the first bound into a score that compares components; what to add to (1 - 2/s) log
    # w_k N_ik for the left side of (2) plus cut.
    FIRST_CONSTANT, FIRST_FACTOR, ALL_CONSTANT, ALL_FACTOR, GUESS, EXACT

cdef enum:
    READ_ON = 16       # numbers that gathering may read beyond the last row of coordinates
    MAX_LEFT = 2       # a block is done densely if more than 1 / MAX_LEFT of its pairs remain
    MAX_FAILURES = 2   # in a row; then ..
    DENSE_BLOCKS = 30  # .. so many blocks are dense without screening

cdef struct Screen:
    int block                # rows screened together: several times BLOCK_ROWS, so that lists of rows fill vectors
    int n_first              # number of first directions
    int n_all                # number of directions
    int width                # n_all rounded up to a multiple of 8
    const double* center     # (d,), of the coordinates
    const double* scale      # (d,); rows with |x - center| . scale > limits[0] ..
    const double* limits     # .. or a coordinate beyond limits[1] are not screened
    const double* P          # (d, width), directions
    const float* means       # (K, n_all), coordinates of the means
    const float* first       # packed precision factors in the first directions
    const float* all         # packed precision factors in all directions
    const double* constants  # (6, K)
    double cut
    double slope             # 1 - 2/s

cdef struct Attempts:
    int failures             # in a row
    int dense_left           # blocks still to be done densely without screening

cdef struct Pairs:
    # The pairs of a block.  Rows with guess k: rows[own[k]] .. rows[own[k + 1] - 1]; other rows that remain for k:
    # rows[m + others[k]] .. rows[m + others[k + 1] - 1].  Of these lists the first kept[2 k] and kept[2 k + 1] count.
    int32_t* guess           # (block,)
    int32_t* own
    int32_t* others
    int32_t* kept
    uint16_t* rows
    uint16_t* chosen         # scratch: rows of a component that count
    float* zt                # (n_first, STRIDE), first coordinates of BLOCK_ROWS rows
    float* z                 # (block, width), coordinates
    float* tile              # (n_all, STRIDE), coordinates of listed rows
    float* bounds            # (K, block)
    float* best              # (block,), score of the guess
    float* least             # (block,), the least bound with which a pair remains
    float* listed            # (STRIDE,), bounds of listed rows


cdef Pairs pairs_in(const Screen* s, int K, float* floats, int32_t* integers) noexcept nogil:
    """A thread's arrays within its parts of the workspaces."""
    cdef Pairs pairs
    cdef Py_ssize_t block = s.block
    pairs.guess = integers
    pairs.own = pairs.guess + block
    pairs.others = pairs.own + K + 2
    pairs.kept = pairs.others + K + 2
    pairs.rows = <uint16_t*>(pairs.kept + 2 * K)
    pairs.chosen = pairs.rows + most_pairs(block, K) + 2 * block
    pairs.zt = floats
    pairs.tile = pairs.zt + s.n_first * STRIDE
    pairs.listed = pairs.tile + s.n_all * STRIDE
    pairs.best = pairs.listed + STRIDE
    pairs.least = pairs.best + block
    pairs.z = pairs.least + block
    pairs.bounds = pairs.z + block * s.width + READ_ON
    return pairs


cdef inline Py_ssize_t most_pairs(Py_ssize_t block, int K) noexcept nogil:
    """Maximal number of remaining pairs, without those of the guesses."""
    return block * K // MAX_LEFT

cdef inline Py_ssize_t packed_length(int m) noexcept nogil:
    return (<Py_ssize_t>m * (m + 1) // 2 + 15) // 16 * 16

cdef inline Py_ssize_t screened_reals(Py_ssize_t block, int K, int d) noexcept nogil:
    """Length of a thread's reals: xt, z, row, taken over a tile; peak, total, scale, entropy and v over a block."""
    return ((2 * d + 2) * <Py_ssize_t>STRIDE + 5 * block + most_pairs(block, K) + 15) // 16 * 16

cdef inline Py_ssize_t screened_floats(Py_ssize_t block, int K, int n_first, int n_all, int width) noexcept nogil:
    return (n_first + n_all + 1) * <Py_ssize_t>STRIDE + (2 + width + K) * block + READ_ON

cdef inline Py_ssize_t screened_integers(Py_ssize_t block, int K) noexcept nogil:
    return (block + 4 * (K + 2) + most_pairs(block, K) // 2 + 2 * block + 15) // 16 * 16


def screen_workspace_sizes(int n_features, int block, int n_components, int n_first, int n_all, int width,
                           int n_threads):
    """Lengths of the scratch arrays ``reals`` (X's dtype), ``floats`` and ``integers``, aligned to 64 bytes."""
    return (
        n_threads * screened_reals(block, n_components, n_features),
        n_threads * screened_floats(block, n_components, n_first, n_all, width)
        + n_components * (packed_length(n_first) + packed_length(n_all)),
        n_threads * screened_integers(block, n_components),
    )


cdef Screen screen_of(const double[::1] center, const double[::1] scale, const double[::1] limits,
                      const double[:, ::1] P, const float[:, ::1] means, const float[:, :, ::1] first_factors,
                      const float[:, :, ::1] all_factors, const double[:, ::1] constants, double cut, double slope,
                      int block, float[::1] floats, int n_threads):
    """The screen; its factors are packed into `floats`, behind the threads' parts."""
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


cdef void project(const real* X, int m, int padded, int d, const Screen* screen, float* z, float* zt) noexcept nogil:
    """z (m, width), zt (n_first, STRIDE) <- coordinates of the rows, NaN if out of the screen's range."""
    if real is double:
        project_rows_f64(X, m, padded, d, screen.center, screen.scale, screen.P, screen.width, screen.n_first,
                         screen.limits, z, zt)
    else:
        project_rows_f32(X, m, padded, d, screen.center, screen.scale, screen.P, screen.width, screen.n_first,
                         screen.limits, z, zt)


cdef int gather(const real* X, int d, Py_ssize_t readable, const uint16_t* rows, int n, real* xt) noexcept nogil:
    """As pack, for n listed rows; `readable` numbers from X on may be read."""
    cdef int padded
    if real is double:
        padded = padded_rows(n, LANES_f64)
        pack_listed_f64(X, d, d, readable, rows, n, padded, xt)
    else:
        padded = padded_rows(n, LANES_f32)
        pack_listed_f32(X, d, d, readable, rows, n, padded, xt)
    return padded


cdef void listed_log_densities(const real* X, Py_ssize_t readable, const uint16_t* rows, int n, Shape s, Py_ssize_t k,
                               const real* means, const real* packed, const double* log_const, real* xt, real* row,
                               real* v) noexcept nogil:
    """v[a] <- log w_k N(x; mean_k) of listed row a, or half of it if s.root; xt and row are scratch."""
    cdef Shape one = s
    cdef const real* factor = packed + (k * factor_length(s) if s.n_factors > 1 else 0)
    cdef int tile, first, count, padded
    one.n_components = one.n_factors = 1
    for tile in range(n_blocks(n)):
        first = tile * BLOCK_ROWS
        count = min(BLOCK_ROWS, n - first)
        padded = gather(X, s.d, readable, rows + first, count, xt)
        log_densities(xt, padded, one, means + k * s.d, factor, log_const + k, NULL, 0, s.root, row)
        memcpy(v + first, row, count * sizeof(real))


cdef int survivors_all(int n, const Screen* screen, const Pairs* pairs, Py_ssize_t k, int K,
                       uint16_t* rows) noexcept nogil:
    """rows <- those of the n listed for component k that the bounds from all directions leave; returns how many."""
    cdef int tile, first, count, padded, left = 0
    for tile in range(n_blocks(n)):
        first = tile * BLOCK_ROWS
        count = min(BLOCK_ROWS, n - first)
        padded = padded_rows(count, LANES_f32)
        pack_listed_f32(pairs.z, screen.width, screen.n_all, screen.block * screen.width + READ_ON, rows + first, count,
                        padded, pairs.tile)
        log_density_full_f32(pairs.tile, padded, screen.n_all, screen.means + k * screen.n_all,
                             screen.all + k * packed_length(screen.n_all), screen.constants[ALL_CONSTANT * K + k],
                             screen.constants[ALL_FACTOR * K + k], pairs.listed)
        left += survivors_listed(pairs.listed, pairs.least, rows + first, count, rows + left)
    return left


cdef bint screen_pairs(const real* X, Py_ssize_t readable, int m, Shape s, const real* means, const real* packed,
                       const double* log_const, Py_ssize_t ahead_bytes, const Screen* screen, const Pairs* pairs,
                       real* xt, real* row, real* v) noexcept nogil:
    """List the pairs that may count; False if they are too many.

    v <- the log-densities of the rows under their guesses, in the order of pairs.rows (halved if s.root)."""
    cdef int K = s.n_components
    cdef const double* constants = screen.constants
    cdef Py_ssize_t k, first
    cdef int i, n, rows, tile, padded, n_others = 0, most = most_pairs(m, K)
    cdef double half = 0.5 if s.root else 1.0
    cdef float* bounds

    # Bounds of all pairs from the first directions, and the guesses.
    for i in range(m):
        pairs.best[i], pairs.guess[i] = -INFINITY, 0
    for tile in range(n_blocks(m)):
        first = tile * BLOCK_ROWS
        rows = min(BLOCK_ROWS, m - first)
        padded = padded_rows(rows, LANES_f32)
        project(X + first * s.d, rows, padded, s.d, screen, pairs.z + first * screen.width, pairs.zt)
        for k in range(K):
            bounds = pairs.bounds + k * screen.block + first
            log_density_full_f32(pairs.zt, padded, screen.n_first, screen.means + k * screen.n_all,
                                 screen.first + k * packed_length(screen.n_first), constants[FIRST_CONSTANT * K + k],
                                 constants[FIRST_FACTOR * K + k], bounds)
            update_guess(bounds, rows, constants[GUESS * K + k], k, pairs.best + first, pairs.guess + first)

    # Log-densities under the guesses, and from them the least bound with which a pair remains.
    sort_by_guess(pairs.guess, m, K, pairs.own, pairs.rows)
    for k in range(K):
        listed_log_densities(X, readable, pairs.rows + pairs.own[k], pairs.own[k + 1] - pairs.own[k], s, k, means,
                             packed, log_const, xt, row, v + pairs.own[k])
        prefetch_slice(<const char*>(X + m * s.d), ahead_bytes, k, K)
    for i in range(m):
        pairs.least[pairs.rows[i]] = least_bound(v[i] / half, screen.cut)
        pairs.bounds[pairs.guess[i] * <Py_ssize_t>screen.block + i] = -INFINITY  # so that it is not listed twice

    # Other pairs that the bounds from the first directions leave, and then those from all.
    for k in range(K):
        pairs.others[k] = n_others
        n = survivors(pairs.bounds + k * screen.block, pairs.least, m, pairs.rows + m + n_others)
        if screen.n_all > screen.n_first:
            n = survivors_all(n, screen, pairs, k, K, pairs.rows + m + n_others)
        n_others += n
        if n_others > most:
            return False
    pairs.others[K] = n_others
    return True


cdef void other_log_densities(const real* X, Py_ssize_t readable, int m, Shape s, const real* means, const real* packed,
                              const double* log_const, const Pairs* pairs, real* xt, real* row, real* v) noexcept nogil:
    """v[m:] <- the log-densities of the other pairs, in the order of pairs.rows."""
    cdef Py_ssize_t k, other
    for k in range(s.n_components):
        other = m + pairs.others[k]
        listed_log_densities(X, readable, pairs.rows + other, pairs.others[k + 1] - pairs.others[k], s, k, means,
                             packed, log_const, xt, row, v + other)


cdef inline Py_ssize_t screened_blocks(Py_ssize_t n, const Screen* screen) noexcept nogil:
    return (n + screen.block - 1) // screen.block

cdef bint should_screen(Attempts* attempts) noexcept nogil:
    """Whether to screen the next block."""
    if attempts.dense_left == 0:
        return True
    attempts.dense_left -= 1
    return False

cdef void record(Attempts* attempts, bint success) noexcept nogil:
    """Record whether screening left few enough pairs."""
    attempts.failures = 0 if success else attempts.failures + 1
    if attempts.failures == MAX_FAILURES:
        attempts.failures, attempts.dense_left = MAX_FAILURES - 1, DENSE_BLOCKS


cdef void start_softmax(const real* v, const uint16_t* rows, int n, int padded, real* peak, real* total,
                        real* entropy) noexcept nogil:
    """peak <- the largest v of each row; total and, unless NULL, entropy <- 0."""
    cdef int i
    cdef real lowest = -FLT_MAX if real is float else -DBL_MAX
    for i in range(padded):
        peak[i], total[i] = lowest, 0
    if entropy != NULL:
        for i in range(padded):
            entropy[i] = 0
    if real is double:
        update_peaks_f64(v, rows, n, peak)
    else:
        update_peaks_f32(v, rows, n, peak)


cdef int prune_pairs(real* v, uint16_t* rows, int n, bint root, real slope, real constant, const real* peak,
                     real* total, real* entropy) noexcept nogil:
    """Keep the pairs of a component that count, in place; add v <- exp(v - peak) to the rows' sums; return how many."""
    cdef int count
    if real is double:
        count = keep_pairs_f64(v, rows, n, slope, constant, peak, v, rows)
        sum_pairs_f64(v, rows, count, root, total, entropy)
    else:
        count = keep_pairs_f32(v, rows, n, slope, constant, peak, v, rows)
        sum_pairs_f32(v, rows, count, root, total, entropy)
    return count


cdef void softmax_of_pairs(real* v, int m, Shape s, const Screen* screen, const Pairs* pairs, real* peak, real* total,
                           real* entropy) noexcept nogil:
    """As softmax, over the pairs that count now that each row's peak is known; pairs.kept <- how many."""
    cdef Py_ssize_t k, own, other
    cdef int K = s.n_components
    cdef real exact
    start_softmax(v, pairs.rows, m + pairs.others[K], m, peak, total, entropy)
    for k in range(K):
        own, other = pairs.own[k], m + pairs.others[k]
        exact = screen.constants[EXACT * K + k] * (0.5 if s.root else 1.0)
        pairs.kept[2 * k] = prune_pairs(v + own, pairs.rows + own, pairs.own[k + 1] - own, s.root, screen.slope, exact,
                                        peak, total, entropy)
        pairs.kept[2 * k + 1] = prune_pairs(v + other, pairs.rows + other, pairs.others[k + 1] - pairs.others[k],
                                            s.root, screen.slope, exact, peak, total, entropy)
    finish_softmax(peak, total, m, s, entropy)


def count_pairs(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                const double[::1] log_const, const double[::1] center, const double[::1] scale,
                const double[::1] limits, const double[:, ::1] P, const float[:, ::1] screen_means,
                const float[:, :, ::1] first_factors, const float[:, :, ::1] all_factors,
                const double[:, ::1] constants, double cut, double slope, int block, real[::1] packed_factors,
                real[::1] reals, float[::1] floats, int32_t[::1] integers):
    """Number of pairs, without the guesses, that a screen leaves of at most ``block`` rows; -1 if too many to screen."""
    # packed_factors  scratch  real, length of the packed factors
    # The others are those of screened_em_pass with one thread.
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Screen screen = screen_of(center, scale, limits, P, screen_means, first_factors, all_factors, constants, cut,
                                    slope, block, floats, 1)
    cdef Pairs pairs = pairs_in(&screen, s.n_components, &floats[0], &integers[0])
    cdef real* xt = &reals[0]
    cdef real* row = xt + 2 * s.d * STRIDE
    cdef real* v = row + 2 * STRIDE + 4 * block
    cdef bint screened
    with nogil:
        pack_factors(&factors[0, 0, 0], s, &packed_factors[0])
        screened = screen_pairs(&X[0, 0], X.shape[0] * X.shape[1], X.shape[0], s, &means[0, 0], &packed_factors[0],
                                &log_const[0], 0, &screen, &pairs, xt, row, v)
    return pairs.others[s.n_components] if screened else -1
