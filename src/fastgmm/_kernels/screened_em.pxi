# The pass of EM without pairs (row, component) that cannot matter; screen.pxi says which.


cdef void join(const real* one, int n_one, const real* other, Py_ssize_t first, int n, real* out) noexcept nogil:
    """out <- numbers first .. first + n - 1 of `one` (n_one,) followed by `other`."""
    cdef Py_ssize_t from_one = max(0, min(n, n_one - first))
    memcpy(out, one + first, from_one * sizeof(real))
    memcpy(out + from_one, other + (first + from_one - n_one), (n - from_one) * sizeof(real))


cdef void take_scales(const real* scale, const uint16_t* rows, int n, int padded, real* v, real* taken) noexcept nogil:
    """taken[a] <- scale of listed row a; the padding of v and taken is 0."""
    if real is double:
        take_scales_f64(scale, rows, n, padded, v, taken)
    else:
        take_scales_f32(scale, rows, n, padded, v, taken)


cdef bint screened_block(const real* X, Py_ssize_t readable, const double* w, int m, Shape s, const real* means,
                         const real* centers, const real* packed, const double* log_const, bint with_entropy,
                         Py_ssize_t ahead_bytes, const Screen* screen, const Pairs* pairs, real* xt,
                         double* sums) noexcept nogil:
    """As em_rows for one block, with pairs skipped; False, and sums unchanged, if too many remain."""
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
    if not screen_pairs(X, readable, m, s, means, packed, log_const, ahead_bytes, screen, pairs, xt, row, v):
        return False
    other_log_densities(X, readable, m, s, means, packed, log_const, pairs, xt, row, v)
    softmax_of_pairs(v, m, s, screen, pairs, peak, total, entropy)
    sums[0] += weighted_sum(peak, w, m)
    if with_entropy:
        sums[1] += weighted_sum(entropy, w, m)
    scales(w, total, m, m, s, scale)

    # Statistics: the two lists of a component one after the other, tile by tile.
    for k in range(K):
        own, other = pairs.own[k], m + pairs.others[k]
        n = pairs.kept[2 * k] + pairs.kept[2 * k + 1]
        chosen = pairs.chosen
        memcpy(chosen, pairs.rows + own, pairs.kept[2 * k] * sizeof(uint16_t))
        memcpy(chosen + pairs.kept[2 * k], pairs.rows + other, pairs.kept[2 * k + 1] * sizeof(uint16_t))
        for tile in range(n_blocks(n)):
            first = tile * BLOCK_ROWS
            count = min(BLOCK_ROWS, n - first)
            padded = gather(X, s.d, readable, chosen + first, count, xt)
            join(v + own, pairs.kept[2 * k], v + other, first, count, row)
            take_scales(scale, chosen + first, count, padded, row, taken)
            accumulate_one(xt, padded, s, k, centers, row, taken, scratch, sums + 2)
    return True


cdef void screened_rows(const real* X, const double* weights, Py_ssize_t start, Py_ssize_t stop, Shape s,
                        const real* means, const real* centers, const real* packed, const double* log_const,
                        bint with_entropy, const Screen* screen, real* dense_work, real* work, float* floats,
                        int32_t* integers, double* sums) noexcept nogil:
    """As em_rows, with pairs skipped."""
    cdef Pairs arrays = pairs_in(screen, s.n_components, floats, integers)
    cdef const Pairs* pairs = &arrays
    cdef Attempts attempts
    cdef Py_ssize_t block, first, end, ahead
    cdef int m
    cdef bint screened
    attempts.failures = attempts.dense_left = 0
    for block in range(screened_blocks(stop - start, screen)):
        first = start + block * screen.block
        end = min(first + screen.block, stop)
        m = end - first
        ahead = min(screen.block, stop - end) * s.d * sizeof(real)
        screened = should_screen(&attempts)
        if screened:
            screened = screened_block(X + first * s.d, (stop - first) * s.d,
                                      weights + first if weights != NULL else NULL, m, s, means, centers, packed,
                                      log_const, with_entropy, ahead, screen, pairs, work, sums)
            record(&attempts, screened)
        if not screened:
            em_rows(X, weights, first, end, s, means, centers, packed, log_const, with_entropy, dense_work, sums)


def screened_em_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[:, ::1] means,
                     const real[:, ::1] centers, const real[:, :, ::1] factors, const double[::1] log_const,
                     double[::1] nk, double[:, ::1] sum_x, double[:, :, ::1] scatter, bint with_entropy,
                     real[::1] workspace, double[::1] sums, int n_threads, const double[::1] center,
                     const double[::1] scale, const double[::1] limits, const double[:, ::1] P,
                     const float[:, ::1] screen_means, const float[:, :, ::1] first_factors,
                     const float[:, :, ::1] all_factors, const double[:, ::1] constants, double cut, double slope,
                     int block, real[::1] reals, float[::1] floats, int32_t[::1] integers):
    """As em_pass, without pairs that cannot matter."""
    # The first arguments are those of em_pass, which returns the same.
    # center         IN       (d,) float64, of the coordinates (x - center) P
    # scale, limits  IN       (d + ..,), (2,) float64: the range of rows that are screened, see project_rows
    # P              IN       (d, width) float64, directions, with zeros up to width, a multiple of 8
    # screen_means   IN       (K, n_all) float32, coordinates of the means
    # first_factors  IN       (K, n_first, n_first) float32, precision factors in the first directions
    # all_factors    IN       (K, n_all, n_all) float32, precision factors in all directions
    # constants      IN       (6, K) float64, see FIRST_CONSTANT
    # cut, slope     IN       as in (1); 1 - 2/s
    # block          IN       rows screened together, a multiple of BLOCK
    # reals          scratch  real, floats float32, integers int32: lengths by screen_workspace_sizes
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], n_sums = sums_length(s), n_work = work_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * n_work
    cdef const real* data = &X[0, 0]
    cdef const real* mu = &means[0, 0]
    cdef const real* about = &centers[0, 0]
    cdef const double* log_constants = &log_const[0]
    cdef double* partial = &sums[0]
    cdef real* real_work = &reals[0]
    cdef float* float_work = &floats[0]
    cdef int32_t* integer_work = &integers[0]
    cdef Py_ssize_t n_reals, n_floats, n_integers
    cdef Screen values = screen_of(center, scale, limits, P, screen_means, first_factors, all_factors, constants, cut,
                                   slope, block, floats, n_threads)
    cdef const Screen* screen = &values
    cdef int t, K = s.n_components
    n_reals = screened_reals(block, K, s.d)
    n_floats = screened_floats(block, K, screen.n_first, screen.n_all, screen.width)
    n_integers = screened_integers(block, K)
    with nogil:
        memset(partial, 0, n_threads * n_sums * sizeof(double))
        pack_factors(&factors[0, 0, 0], s, packed)
        if n_threads == 1:
            screened_rows(data, weights, 0, n, s, mu, about, packed, log_constants, with_entropy, screen, work,
                          real_work, float_work, integer_work, partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                screened_rows(data, weights, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, about,
                              packed, log_constants, with_entropy, screen, work + t * n_work, real_work + t * n_reals,
                              float_work + t * n_floats, integer_work + t * n_integers, partial + t * n_sums)
        merge(partial, n_sums, n_threads, s, &nk[0], &sum_x[0, 0], &scatter[0, 0, 0])
    return partial[0], partial[1]
