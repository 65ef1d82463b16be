# The pass that writes log-likelihoods or labels, without pairs that cannot matter; screen.pxi says which.


cdef void update_labels(const real* v, const uint16_t* rows, int n, Py_ssize_t k, real* best,
                        int32_t* labels) noexcept nogil:
    """Called for k = 0, 1, ..: labels <- the k with the largest v so far, the first of equals."""
    if real is double:
        update_labels_f64(v, rows, n, <int>k, best, labels)
    else:
        update_labels_f32(v, rows, n, <int>k, best, labels)


cdef bint screened_density_block(const real* X, Py_ssize_t readable, int m, Shape s, const real* means,
                                 const real* packed, const double* log_const, Py_ssize_t ahead_bytes,
                                 const Screen* screen, const Pairs* pairs, real* xt, real* log_prob_norm,
                                 int64_t* labels) noexcept nogil:
    """Log-likelihoods or labels of a block, with pairs skipped; False, and no output, if too many remain."""
    cdef real* row = xt + 2 * s.d * STRIDE
    cdef real* peak = row + 2 * STRIDE
    cdef real* total = peak + screen.block
    cdef real* v = total + 3 * screen.block
    cdef int32_t* best = pairs.guess  # the guesses are no longer needed
    cdef Py_ssize_t k, own, other
    cdef int i
    if not screen_pairs(X, readable, m, s, means, packed, log_const, ahead_bytes, screen, pairs, xt, row, v):
        return False
    other_log_densities(X, readable, m, s, means, packed, log_const, pairs, xt, row, v)
    if log_prob_norm != NULL:
        softmax_of_pairs(v, m, s, screen, pairs, peak, total, <real*>NULL)
        for i in range(m):
            log_prob_norm[i] = peak[i]
    if labels != NULL:
        for i in range(m):
            peak[i], best[i] = -INFINITY, 0
        for k in range(s.n_components):
            own, other = pairs.own[k], m + pairs.others[k]
            update_labels(v + own, pairs.rows + own, pairs.own[k + 1] - own, k, peak, best)
            update_labels(v + other, pairs.rows + other, pairs.others[k + 1] - pairs.others[k], k, peak, best)
        for i in range(m):
            labels[i] = best[i]
    return True


cdef void screened_density_rows(const real* X, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* means,
                                const real* packed, const double* log_const, const Screen* screen, real* dense_work,
                                real* work, float* floats, int32_t* integers, real* log_prob_norm,
                                int64_t* labels) noexcept nogil:
    """As density_rows, with pairs skipped."""
    cdef Pairs arrays = pairs_in(screen, s.n_components, floats, integers)
    cdef Attempts attempts
    cdef Py_ssize_t block, first, end, ahead
    cdef bint screened
    s.root = False
    attempts.failures = attempts.dense_left = 0
    for block in range(screened_blocks(stop - start, screen)):
        first = start + block * screen.block
        end = min(first + screen.block, stop)
        ahead = min(screen.block, stop - end) * s.d * sizeof(real)
        screened = should_screen(&attempts)
        if screened:
            screened = screened_density_block(X + first * s.d, (stop - first) * s.d, end - first, s, means, packed,
                                              log_const, ahead, screen, &arrays, work,
                                              log_prob_norm + first if log_prob_norm != NULL else NULL,
                                              labels + first if labels != NULL else NULL)
            record(&attempts, screened)
        if not screened:
            density_rows(X, first, end, s, means, packed, log_const, dense_work, log_prob_norm, labels, <real*>NULL)


def screened_density_pass(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                          const double[::1] log_const, real[::1] log_prob_norm, int64_t[::1] labels,
                          real[::1] workspace, int n_threads, const double[::1] center, const double[::1] scale,
                          const double[::1] limits, const double[:, ::1] P, const float[:, ::1] screen_means,
                          const float[:, :, ::1] first_factors, const float[:, :, ::1] all_factors,
                          const double[:, ::1] constants, double cut, double slope, int block, real[::1] reals,
                          float[::1] floats, int32_t[::1] integers):
    """As density_pass for log_prob_norm or labels, without pairs that cannot matter to it."""
    # Arguments are those of density_pass and of screened_em_pass.
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], n_work = work_length(s)
    cdef real* norm_out = &log_prob_norm[0] if log_prob_norm is not None else NULL
    cdef int64_t* labels_out = &labels[0] if labels is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * n_work
    cdef const real* data = &X[0, 0]
    cdef const real* mu = &means[0, 0]
    cdef const double* log_constants = &log_const[0]
    cdef real* real_work = &reals[0]
    cdef float* float_work = &floats[0]
    cdef int32_t* integer_work = &integers[0]
    cdef Py_ssize_t n_reals, n_floats, n_integers
    cdef Screen values = screen_of(center, scale, limits, P, screen_means, first_factors, all_factors, constants, cut,
                                   slope, block, floats, n_threads)
    cdef const Screen* screen = &values
    cdef int t
    n_reals = screened_reals(block, s.n_components, s.d)
    n_floats = screened_floats(block, s.n_components, screen.n_first, screen.n_all, screen.width)
    n_integers = screened_integers(block, s.n_components)
    with nogil:
        pack_factors(&factors[0, 0, 0], s, packed)
        if n_threads == 1:
            screened_density_rows(data, 0, n, s, mu, packed, log_constants, screen, work, real_work, float_work,
                                  integer_work, norm_out, labels_out)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                screened_density_rows(data, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, packed,
                                      log_constants, screen, work + t * n_work, real_work + t * n_reals,
                                      float_work + t * n_floats, integer_work + t * n_integers, norm_out, labels_out)
