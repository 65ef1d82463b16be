# The pass that writes log-likelihoods, labels or responsibilities of the rows; exp and log for tests and benchmarks.


cdef void density_rows(const real* X, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* means, const real* packed,
                       const double* log_const, real* xt, real* log_prob_norm, int64_t* labels,
                       real* resp) noexcept nogil:
    """Write the outputs that are not NULL for rows start .. stop - 1."""
    cdef real* p = xt + 2 * s.d * STRIDE
    cdef real* peak = p + <Py_ssize_t>s.n_components * STRIDE
    cdef real* inverse = peak + STRIDE
    cdef int32_t* best = <int32_t*>(inverse + STRIDE)
    cdef Py_ssize_t i, first, block
    cdef int m, padded
    for block in range(n_blocks(stop - start)):
        first = start + block * BLOCK_ROWS
        m = min(BLOCK_ROWS, stop - first)
        padded = pack(X + first * s.d, m, s.d, xt)
        log_densities(xt, padded, s, means, packed, log_const, <const char*>(X + (first + m) * s.d),
                      min(BLOCK_ROWS, stop - first - m) * s.d * sizeof(real), False, p)
        if labels != NULL:
            if real is double:
                arg_max_f64(p, s.n_components, m, peak, best)
            else:
                arg_max_f32(p, s.n_components, m, peak, best)
            for i in range(m):
                labels[first + i] = best[i]
        if log_prob_norm != NULL or resp != NULL:
            softmax_all(p, padded, s, peak, inverse)
            if log_prob_norm != NULL:
                for i in range(m):
                    log_prob_norm[first + i] = peak[i]
            if resp != NULL:
                if real is double:
                    write_resp_f64(p, inverse, m, s.n_components, resp + first * s.n_components)
                else:
                    write_resp_f32(p, inverse, m, s.n_components, resp + first * s.n_components)


def density_pass(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                 const double[::1] log_const, real[::1] log_prob_norm, int64_t[::1] labels, real[:, ::1] resp,
                 real[::1] workspace, int n_threads):
    """Fill those of log_prob_norm, labels and resp that are not None."""
    # log_prob_norm  OUT  (n,) real, log p(x_i)
    # labels         OUT  (n,) int64, the component with the largest responsibility, the first of equals
    # resp           OUT  (n, K) real, responsibilities; 1 / K where no component has density
    # The others are those of em_pass.
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], n_work = work_length(s)
    cdef real* norm_out = &log_prob_norm[0] if log_prob_norm is not None else NULL
    cdef int64_t* labels_out = &labels[0] if labels is not None else NULL
    cdef real* resp_out = &resp[0, 0] if resp is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * n_work
    cdef const real* data = &X[0, 0]
    cdef const real* mu = &means[0, 0]
    cdef const double* constants = &log_const[0]
    cdef int t
    with nogil:
        pack_factors(&factors[0, 0, 0], s, packed)
        if n_threads == 1:
            density_rows(data, 0, n, s, mu, packed, constants, work, norm_out, labels_out, resp_out)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                density_rows(data, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, packed, constants,
                             work + t * n_work, norm_out, labels_out, resp_out)


def exp_inplace(real[::1] x):
    """exp of numbers <= 0, in place; 0 below -708 (float32: -87)."""
    with nogil:
        if real is double:
            exp_array_f64(&x[0], x.shape[0])
        else:
            exp_array_f32(&x[0], x.shape[0])


def log_inplace(real[::1] x):
    """log of numbers >= 1, in place."""
    with nogil:
        if real is double:
            log_array_f64(&x[0], x.shape[0])
        else:
            log_array_f32(&x[0], x.shape[0])
