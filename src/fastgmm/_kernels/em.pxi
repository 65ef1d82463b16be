# Passes that sum sufficient statistics: those of EM, and those under given labels or responsibilities.
#
# With r_ik = w_i resp_ik, w_i the row's weight, and c_k the component's center:
#     nk = sum_i r_ik,   sum_x = sum_i r_ik (x_i - c_k),   scatter = sum_i r_ik (x_i - c_k)(x_i - c_k)^T,
# the scatter summed over k if all components share it, or only its diagonals.


cdef void em_rows(const real* X, const double* weights, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* means,
                  const real* centers, const real* packed, const double* log_const, bint with_entropy, real* xt,
                  double* sums) noexcept nogil:
    """sums += those of rows start .. stop - 1: log-likelihood, entropy, statistics."""
    cdef real* z = xt + s.d * STRIDE
    cdef real* p = z + s.d * STRIDE
    cdef real* peak = p + <Py_ssize_t>s.n_components * STRIDE
    cdef real* inverse = peak + STRIDE
    cdef real* scale = inverse + STRIDE
    cdef real* entropy = scale + STRIDE if with_entropy else NULL
    cdef const real* x
    cdef const double* w
    cdef Py_ssize_t first, block
    cdef int m, padded
    for block in range(n_blocks(stop - start)):
        first = start + block * BLOCK_ROWS
        m = min(BLOCK_ROWS, stop - first)
        x = X + first * s.d
        w = weights + first if weights != NULL else NULL
        padded = pack(x, m, s.d, xt)
        log_densities(xt, padded, s, means, packed, log_const, <const char*>(x + m * s.d),
                      min(BLOCK_ROWS, stop - first - m) * s.d * sizeof(real), s.root, p)
        softmax(p, padded, s, peak, inverse, entropy)
        sums[0] += weighted_sum(peak, w, m)
        if with_entropy:
            sums[1] += weighted_sum(entropy, w, m)
        scales(w, inverse, m, padded, s, scale)
        accumulate(xt, padded, s, centers, p, scale, z, sums + 2)


def em_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[:, ::1] means, const real[:, ::1] centers,
            const real[:, :, ::1] factors, const double[::1] log_const, double[::1] nk, double[:, ::1] sum_x,
            double[:, :, ::1] scatter, bint with_entropy, real[::1] workspace, double[::1] sums, int n_threads):
    """Add to nk, sum_x and scatter the statistics of the rows under the mixture.

    Returns sum_i w_i log p(x_i), and -sum_i w_i sum_k resp_ik log resp_ik if ``with_entropy``, else 0."""
    # X              IN       (n, d) real
    # sample_weight  IN       (n,) float64; None stands for ones
    # means          IN       (K, d) real
    # centers        IN       (K, d) real, about which the statistics are summed
    # factors        IN       (K, d, d), (1, d, d) or (K, 1, d) real
    # log_const      IN       (K,) float64, log w_k + log det U_k - d/2 log(2 pi)
    # nk             IN/OUT   (K,) float64
    # sum_x          IN/OUT   (K, d) float64
    # scatter        IN/OUT   float64, shape of factors
    # workspace      scratch  real, and
    # sums           scratch  float64: lengths by workspace_sizes
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], n_sums = sums_length(s), n_work = work_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * n_work
    cdef const real* data = &X[0, 0]
    cdef const real* mu = &means[0, 0]
    cdef const real* about = &centers[0, 0]
    cdef const double* constants = &log_const[0]
    cdef double* partial = &sums[0]
    cdef int t
    with nogil:
        memset(partial, 0, n_threads * n_sums * sizeof(double))
        pack_factors(&factors[0, 0, 0], s, packed)
        if n_threads == 1:
            em_rows(data, weights, 0, n, s, mu, about, packed, constants, with_entropy, work, partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                em_rows(data, weights, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, about, packed,
                        constants, with_entropy, work + t * n_work, partial + t * n_sums)
        merge(partial, n_sums, n_threads, s, &nk[0], &sum_x[0, 0], &scatter[0, 0, 0])
    return partial[0], partial[1]


cdef void statistics_rows(const real* X, const double* weights, const int32_t* labels, const real* resp,
                          Py_ssize_t start, Py_ssize_t stop, Shape s, const real* centers, real* xt,
                          double* sums) noexcept nogil:
    """sums += the statistics of rows start .. stop - 1 under given labels or responsibilities."""
    cdef real* z = xt + s.d * STRIDE
    cdef real* p = z + s.d * STRIDE
    cdef real* scale = p + <Py_ssize_t>s.n_components * STRIDE
    cdef Py_ssize_t first, block
    cdef int m, padded
    for block in range(n_blocks(stop - start)):
        first = start + block * BLOCK_ROWS
        m = min(BLOCK_ROWS, stop - first)
        padded = pack(X + first * s.d, m, s.d, xt)
        if real is double:
            if resp != NULL:
                take_resp_f64(resp + first * s.n_components, m, padded, s.n_components, s.root, p)
            else:
                take_labels_f64(labels + first if labels != NULL else NULL, m, padded, s.n_components, p)
        else:
            if resp != NULL:
                take_resp_f32(resp + first * s.n_components, m, padded, s.n_components, s.root, p)
            else:
                take_labels_f32(labels + first if labels != NULL else NULL, m, padded, s.n_components, p)
        scales(weights + first if weights != NULL else NULL, <const real*>NULL, m, padded, s, scale)
        accumulate(xt, padded, s, centers, p, scale, z, sums + 2)


def statistics_pass(const real[:, ::1] X, const double[::1] sample_weight, const int32_t[::1] labels,
                    const real[:, ::1] resp, const real[:, ::1] centers, double[::1] nk, double[:, ::1] sum_x,
                    double[:, :, ::1] scatter, real[::1] workspace, double[::1] sums, int n_threads):
    """Add to nk, sum_x and scatter the statistics of the rows under given labels or responsibilities."""
    # labels  IN  (n,) int32, or None
    # resp    IN  (n, K) real, or None; if both are None every row counts once for every component
    # The others are those of em_pass.
    cdef Shape s = shape_of(X.shape[1], centers.shape[0], scatter.shape[0], scatter.shape[1])
    cdef Py_ssize_t n = X.shape[0], n_sums = sums_length(s), n_work = work_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef const int32_t* given_labels = &labels[0] if labels is not None else NULL
    cdef const real* given_resp = &resp[0, 0] if resp is not None else NULL
    cdef real* work = &workspace[0]
    cdef const real* data = &X[0, 0]
    cdef const real* about = &centers[0, 0]
    cdef double* partial = &sums[0]
    cdef int t
    with nogil:
        memset(partial, 0, n_threads * n_sums * sizeof(double))
        if n_threads == 1:
            statistics_rows(data, weights, given_labels, given_resp, 0, n, s, about, work, partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                statistics_rows(data, weights, given_labels, given_resp, first_row(n, t, n_threads),
                                first_row(n, t + 1, n_threads), s, about, work + t * n_work, partial + t * n_sums)
        merge(partial, n_sums, n_threads, s, &nk[0], &sum_x[0, 0], &scatter[0, 0, 0])
