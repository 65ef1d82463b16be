# The passes of EM over the rows: threads, blocks, and the order of the steps on a block.  Included, with those of k-means
# (kmeans.pxi), by one tiny module per SIMD variant.
#
# Conventions: X (n, d) is C-contiguous float32 or float64; everything of that dtype is `real`.  `factors` are the (upper-triangular)
# precision factors: (K, d, d) full, (1, d, d) shared by all components, (K, 1, d) diagonal.  Statistics and `log_const` are float64.
# A pass adds to its statistics, so that chunks add up.  Thread t takes the t-th run of blocks, and the partial sums are merged in
# the order of t: results depend on n_threads alone.  Nothing is allocated: `workspace` and `sums` have the sizes that workspace_sizes gives.

from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

ctypedef fused real:
    float
    double

cdef extern from "kernels.h" nogil:
    """
    #ifdef _OPENMP
    #  include <omp.h>
    #  define HAS_OPENMP 1
    #else
    #  define HAS_OPENMP 0
    #  define omp_get_max_threads() 1
    #endif
    """
    const int HAS_OPENMP
    int omp_get_max_threads()
    const int BLOCK_ROWS "BLOCK"
    const int STRIDE, GROUP, LANES_f64, LANES_f32
    void prefetch_slice(const char*, Py_ssize_t, int part, int parts)
    Py_ssize_t scatter_size(int d)
    void add_scatter(const double*, int d, double* S)

    void pack_rows_f64(const double*, int m, int padded, int d, double* xt)
    void pack_factor_f64(const double*, int d, double* packed)
    void log_prob_full_f64(const double*, int, int, const double*, const double*, double, double, double*)
    void log_prob_diag_f64(const double*, int, int, int, const double*, const double*, const double*, double, const char*, Py_ssize_t, double*)
    void softmax_roots_f64(double*, int, int, double*, double*, double*)
    void softmax_sums_f64(double*, int, int, double*, double*, double*)
    void softmax_all_f64(double*, int, int, double*, double*)
    void log_likelihoods_f64(double*, double*, int, const int, double*)
    void row_scales_f64(const double*, const double*, int, int, const int, double*)
    void accumulate_full_f64(const double*, int, int, const double*, double*, const double*, double*, double*, double*, double*)
    void accumulate_diag_f64(const double*, int, int, int, const double*, double*, const double*, double*, double*, double*)
    void take_resp_f64(const double*, int, int, int, const int, double*)
    void take_labels_f64(const int32_t*, int, int, int, double*)
    void write_resp_f64(const double*, const double*, int, int, double*)
    void arg_max_f64(const double*, int, int, double*, int32_t*)
    double weighted_sum_f64(const double*, const double*, int)
    void exp_array_f64(double*, Py_ssize_t)
    void log_array_f64(double*, Py_ssize_t)

    void pack_rows_f32(const float*, int m, int padded, int d, float* xt)
    void pack_factor_f32(const float*, int d, float* packed)
    void log_prob_full_f32(const float*, int, int, const float*, const float*, float, float, float*)
    void log_prob_diag_f32(const float*, int, int, int, const float*, const float*, const double*, float, const char*, Py_ssize_t, float*)
    void softmax_roots_f32(float*, int, int, float*, float*, float*)
    void softmax_sums_f32(float*, int, int, float*, float*, float*)
    void softmax_all_f32(float*, int, int, float*, float*)
    void log_likelihoods_f32(float*, float*, int, const int, float*)
    void row_scales_f32(const double*, const float*, int, int, const int, float*)
    void accumulate_full_f32(const float*, int, int, const float*, float*, const float*, float*, double*, double*, double*)
    void accumulate_diag_f32(const float*, int, int, int, const float*, float*, const float*, double*, double*, double*)
    void take_resp_f32(const float*, int, int, int, const int, float*)
    void take_labels_f32(const int32_t*, int, int, int, float*)
    void write_resp_f32(const float*, const float*, int, int, float*)
    void arg_max_f32(const float*, int, int, float*, int32_t*)
    double weighted_sum_f32(const float*, const double*, int)
    void exp_array_f32(float*, Py_ssize_t)
    void log_array_f32(float*, Py_ssize_t)

OPENMP = bool(HAS_OPENMP)
BLOCK = BLOCK_ROWS
LANES = LANES_f64


def max_threads():
    """Threads that OpenMP would use now: its environment variables and limits set at run time included."""
    return omp_get_max_threads()


cdef struct Shape:
    int d
    int n_components
    int n_factors  # K, or 1 if all components share one
    bint diag      # diagonal factors, and d > 1
    bint root      # work with sqrt(resp): the scatter is that of z = sqrt(resp) (x - c)


cdef Shape shape_of(int d, int K, int n_factors, int factor_rows) noexcept nogil:
    cdef Shape s
    s.d, s.n_components, s.n_factors = d, K, n_factors
    s.diag = factor_rows == 1 and d > 1
    s.root = d > 4 and not s.diag
    return s


cdef inline Py_ssize_t factor_length(Shape s) noexcept nogil:
    return s.d if s.diag else <Py_ssize_t>s.d * (s.d + 1) // 2


cdef inline Py_ssize_t scatter_length(Shape s) noexcept nogil:
    return s.d if s.diag else scatter_size(s.d)


cdef inline Py_ssize_t rows_length(Shape s) noexcept nogil:
    """One thread's arrays over a block: xt, z (d each), p (K), and four of a number a row."""
    return (2 * s.d + s.n_components + 4) * <Py_ssize_t>STRIDE


cdef inline Py_ssize_t sums_length(Shape s) noexcept nogil:
    """One thread's log-likelihood, entropy, nk, sum_x, scatter; rounded so that threads share no cache line."""
    return (2 + s.n_components * (1 + <Py_ssize_t>s.d) + s.n_factors * scatter_length(s) + 15) // 8 * 8


def workspace_sizes(int n_components, int n_features, int n_factors, int factor_rows, int n_threads):
    """Lengths of ``workspace`` (of X's dtype, aligned to 64 bytes) and ``sums`` (float64) for factors (n_factors, factor_rows, d)."""
    cdef Shape s = shape_of(n_features, n_components, n_factors, factor_rows)
    return n_threads * rows_length(s) + n_factors * factor_length(s), n_threads * sums_length(s)


cdef inline int padded_rows(int m, int lanes) noexcept nogil:
    return (m + GROUP * lanes - 1) // (GROUP * lanes) * (GROUP * lanes)


cdef inline Py_ssize_t n_blocks(Py_ssize_t n) noexcept nogil:
    return (n + BLOCK_ROWS - 1) // BLOCK_ROWS


cdef inline Py_ssize_t first_row(Py_ssize_t n, int t, int n_threads) noexcept nogil:
    """Start of thread t's rows: whole blocks, as evenly as they go."""
    return min(n, n_blocks(n) * t // n_threads * BLOCK_ROWS)


cdef int pack(const real* X, int m, int d, real* xt) noexcept nogil:
    cdef int padded
    if real is double:
        padded = padded_rows(m, LANES_f64)
        pack_rows_f64(X, m, padded, d, xt)
    else:
        padded = padded_rows(m, LANES_f32)
        pack_rows_f32(X, m, padded, d, xt)
    return padded


cdef void pack_factors(const real* factors, Shape s, real* packed) noexcept nogil:
    cdef Py_ssize_t k, j
    for k in range(s.n_factors):
        if s.diag:
            for j in range(s.d):
                packed[k * s.d + j] = factors[k * s.d + j]
        elif real is double:
            pack_factor_f64(factors + k * s.d * s.d, s.d, packed + k * factor_length(s))
        else:
            pack_factor_f32(factors + k * s.d * s.d, s.d, packed + k * factor_length(s))


cdef void log_probs(const real* xt, int padded, Shape s, const real* means, const real* packed, const double* log_const,
                    const char* ahead, Py_ssize_t ahead_bytes, bint half, real* p) noexcept nogil:
    """p[k] = log w_k N(x; mean_k), or half of it, for all k; meanwhile the rows of the next block are fetched."""
    cdef Py_ssize_t k
    cdef Py_ssize_t stride = 0 if s.n_factors < s.n_components else factor_length(s)
    cdef real h = 0.25 if half else 0.5
    cdef real c
    if s.diag:
        if real is double:
            log_prob_diag_f64(xt, padded, s.d, s.n_components, means, packed, log_const, h, ahead, ahead_bytes, p)
        else:
            log_prob_diag_f32(xt, padded, s.d, s.n_components, means, packed, log_const, h, ahead, ahead_bytes, p)
        return
    for k in range(s.n_components):
        c = log_const[k] * (0.5 if half else 1.0)
        if real is double:
            log_prob_full_f64(xt, padded, s.d, means + k * s.d, packed + k * stride, c, h, p + k * STRIDE)
        else:
            log_prob_full_f32(xt, padded, s.d, means + k * s.d, packed + k * stride, c, h, p + k * STRIDE)
        prefetch_slice(ahead, ahead_bytes, k, s.n_components)


cdef void finish_softmax(real* peak, real* total, int padded, Shape s, real* entropy) noexcept nogil:
    """peak <- log p(x), total <- its inverse, entropy <- that of the responsibilities, unless it is NULL."""
    if real is double:
        log_likelihoods_f64(peak, total, padded, s.root, entropy)
    else:
        log_likelihoods_f32(peak, total, padded, s.root, entropy)


cdef void softmax(real* p, int padded, Shape s, real* peak, real* inverse, real* entropy) noexcept nogil:
    """For the statistics: p <- exp(p - peak), inverse <- 1 / their sum (of squares), peak <- log p(x), and unless it is NULL entropy <-
    -sum_k resp log resp."""
    if real is double:
        if s.root:
            softmax_roots_f64(p, s.n_components, padded, peak, inverse, entropy)
        else:
            softmax_sums_f64(p, s.n_components, padded, peak, inverse, entropy)
    else:
        if s.root:
            softmax_roots_f32(p, s.n_components, padded, peak, inverse, entropy)
        else:
            softmax_sums_f32(p, s.n_components, padded, peak, inverse, entropy)
    finish_softmax(peak, inverse, padded, s, entropy)


cdef void softmax_all(real* p, int padded, Shape s, real* peak, real* inverse) noexcept nogil:
    """For output: nothing is cut off."""
    if real is double:
        softmax_all_f64(p, s.n_components, padded, peak, inverse)
        log_likelihoods_f64(peak, inverse, padded, 0, NULL)
    else:
        softmax_all_f32(p, s.n_components, padded, peak, inverse)
        log_likelihoods_f32(peak, inverse, padded, 0, NULL)


cdef void scales(const double* weights, const real* inverse, int m, int padded, Shape s, real* scale) noexcept nogil:
    """What p is to be multiplied by to become (the root of) the weighted responsibilities."""
    if real is double:
        row_scales_f64(weights, inverse, m, padded, s.root, scale)
    else:
        row_scales_f32(weights, inverse, m, padded, s.root, scale)


cdef void accumulate_one(const real* xt, int padded, Shape s, Py_ssize_t k, const real* centers, real* p, const real* scale, real* z,
                         double* sums) noexcept nogil:
    """sums (nk, sum_x, scatter) of component k += those of the rows in xt, of which p and scale belong to it."""
    cdef double* sum_x = sums + s.n_components + k * s.d
    cdef double* scatter = sums + s.n_components * (1 + <Py_ssize_t>s.d) + (k * scatter_length(s) if s.n_factors > 1 else 0)
    if s.diag:
        if real is double:
            accumulate_diag_f64(xt, padded, s.d, 1, centers + k * s.d, p, scale, sums + k, sum_x, scatter)
        else:
            accumulate_diag_f32(xt, padded, s.d, 1, centers + k * s.d, p, scale, sums + k, sum_x, scatter)
    elif real is double:
        accumulate_full_f64(xt, padded, s.d, centers + k * s.d, p, scale, z, sums + k, sum_x, scatter)
    else:
        accumulate_full_f32(xt, padded, s.d, centers + k * s.d, p, scale, z, sums + k, sum_x, scatter)


cdef void accumulate(const real* xt, int padded, Shape s, const real* centers, real* p, const real* scale, real* z,
                     double* sums) noexcept nogil:
    """sums (nk, sum_x, scatter) += those of the block, about the centers."""
    cdef Py_ssize_t k
    cdef double* sum_x = sums + s.n_components
    cdef double* scatter = sum_x + <Py_ssize_t>s.n_components * s.d
    if s.diag:
        if real is double:
            accumulate_diag_f64(xt, padded, s.d, s.n_components, centers, p, scale, sums, sum_x, scatter)
        else:
            accumulate_diag_f32(xt, padded, s.d, s.n_components, centers, p, scale, sums, sum_x, scatter)
        return
    for k in range(s.n_components):
        accumulate_one(xt, padded, s, k, centers, p + k * STRIDE, scale, z, sums)


cdef void em_block(const real* X, const double* w, int m, Shape s, const real* means, const real* centers, const real* packed,
                   const double* log_const, bint with_entropy, Py_ssize_t ahead_bytes, real* xt, double* sums) noexcept nogil:
    """The fused pass over a block: log-densities, responsibilities, statistics."""
    cdef real* z = xt + s.d * STRIDE
    cdef real* p = z + s.d * STRIDE
    cdef real* peak = p + <Py_ssize_t>s.n_components * STRIDE
    cdef real* inverse = peak + STRIDE
    cdef real* scale = inverse + STRIDE
    cdef real* entropy = scale + STRIDE if with_entropy else NULL
    cdef int padded = pack(X, m, s.d, xt)
    log_probs(xt, padded, s, means, packed, log_const, <const char*>(X + m * s.d), ahead_bytes, s.root, p)
    softmax(p, padded, s, peak, inverse, entropy)
    sums[0] += weighted_sum(peak, w, m)
    if with_entropy:
        sums[1] += weighted_sum(entropy, w, m)
    scales(w, inverse, m, padded, s, scale)
    accumulate(xt, padded, s, centers, p, scale, z, sums + 2)


cdef void em_rows(const real* X, const double* weights, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* means, const real* centers,
                  const real* packed, const double* log_const, bint with_entropy, real* xt, double* sums) noexcept nogil:
    cdef Py_ssize_t first, block
    cdef int m
    for block in range(n_blocks(stop - start)):
        first = start + block * BLOCK_ROWS
        m = min(BLOCK_ROWS, stop - first)
        em_block(X + first * s.d, weights + first if weights != NULL else NULL, m, s, means, centers, packed, log_const, with_entropy,
                 min(BLOCK_ROWS, stop - first - m) * s.d * sizeof(real), xt, sums)


cdef double weighted_sum(const real* x, const double* weights, int m) noexcept nogil:
    if real is double:
        return weighted_sum_f64(x, weights, m)
    else:
        return weighted_sum_f32(x, weights, m)


cdef void merge(double* sums, Py_ssize_t size, int n_threads, Shape s, double* nk, double* sum_x, double* scatter) noexcept nogil:
    """Add the threads' sums, in order, to the statistics; log-likelihood and entropy stay in the first two places of sums."""
    cdef Py_ssize_t k, j, t
    cdef double* total
    for t in range(1, n_threads):
        for j in range(size):
            sums[j] += sums[t * size + j]
    total = sums + 2
    for k in range(s.n_components):
        nk[k] += total[k]
    total += s.n_components
    for j in range(<Py_ssize_t>s.n_components * s.d):
        sum_x[j] += total[j]
    total += <Py_ssize_t>s.n_components * s.d
    for k in range(s.n_factors):
        if s.diag:
            for j in range(s.d):
                scatter[k * s.d + j] += total[k * s.d + j]
        else:
            add_scatter(total + k * scatter_length(s), s.d, scatter + k * s.d * s.d)


def em_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[:, ::1] means, const real[:, ::1] centers,
            const real[:, :, ::1] factors, const double[::1] log_const, double[::1] nk, double[:, ::1] sum_x,
            double[:, :, ::1] scatter, bint with_entropy, real[::1] workspace, double[::1] sums, int n_threads):
    """Add to nk, sum_x and scatter the statistics of the rows of X under the mixture; return sum_i w_i log p(x_i) and, if asked for,
    -sum_i w_i sum_k resp_ik log resp_ik, else 0."""
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], size = sums_length(s), rows = rows_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * rows
    cdef const real* data = &X[0, 0]
    cdef const real* mu = &means[0, 0]
    cdef const real* about = &centers[0, 0]
    cdef const double* constants = &log_const[0]
    cdef double* partial = &sums[0]
    cdef int t
    with nogil:
        memset(partial, 0, n_threads * size * sizeof(double))
        pack_factors(&factors[0, 0, 0], s, packed)
        if n_threads == 1:
            em_rows(data, weights, 0, n, s, mu, about, packed, constants, with_entropy, work, partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                em_rows(data, weights, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, about, packed, constants,
                        with_entropy, work + t * rows, partial + t * size)
        merge(partial, size, n_threads, s, &nk[0], &sum_x[0, 0], &scatter[0, 0, 0])
    return partial[0], partial[1]


cdef void statistics_rows(const real* X, const double* weights, const int32_t* labels, const real* resp, Py_ssize_t start, Py_ssize_t stop,
                          Shape s, const real* centers, real* xt, double* sums) noexcept nogil:
    """The statistics' half of em_rows, with the responsibilities given."""
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


def statistics_pass(const real[:, ::1] X, const double[::1] sample_weight, const int32_t[::1] labels, const real[:, ::1] resp,
                    const real[:, ::1] centers, double[::1] nk, double[:, ::1] sum_x, double[:, :, ::1] scatter,
                    real[::1] workspace, double[::1] sums, int n_threads):
    """Add to nk, sum_x and scatter the statistics of the rows of X under given labels (n,) or responsibilities (n, K); with neither,
    every row belongs to every component."""
    cdef Shape s = shape_of(X.shape[1], centers.shape[0], scatter.shape[0], scatter.shape[1])
    cdef Py_ssize_t n = X.shape[0], size = sums_length(s), rows = rows_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef const int32_t* given_labels = &labels[0] if labels is not None else NULL
    cdef const real* given_resp = &resp[0, 0] if resp is not None else NULL
    cdef real* work = &workspace[0]
    cdef const real* data = &X[0, 0]
    cdef const real* about = &centers[0, 0]
    cdef double* partial = &sums[0]
    cdef int t
    with nogil:
        memset(partial, 0, n_threads * size * sizeof(double))
        if n_threads == 1:
            statistics_rows(data, weights, given_labels, given_resp, 0, n, s, about, work, partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                statistics_rows(data, weights, given_labels, given_resp, first_row(n, t, n_threads), first_row(n, t + 1, n_threads),
                                s, about, work + t * rows, partial + t * size)
        merge(partial, size, n_threads, s, &nk[0], &sum_x[0, 0], &scatter[0, 0, 0])


cdef void density_rows(const real* X, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* means, const real* packed, const double* log_const,
                       real* xt, real* log_prob_norm, int64_t* labels, real* resp) noexcept nogil:
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
        log_probs(xt, padded, s, means, packed, log_const, <const char*>(X + (first + m) * s.d),
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


def density_pass(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors, const double[::1] log_const,
                 real[::1] log_prob_norm, int64_t[::1] labels, real[:, ::1] resp, real[::1] workspace, int n_threads):
    """Fill those of log_prob_norm (n,), labels (n,) and resp (n, K) that are not None."""
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], rows = rows_length(s)
    cdef real* norm_out = &log_prob_norm[0] if log_prob_norm is not None else NULL
    cdef int64_t* labels_out = &labels[0] if labels is not None else NULL
    cdef real* resp_out = &resp[0, 0] if resp is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * rows
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
                             work + t * rows, norm_out, labels_out, resp_out)


def exp_inplace(real[::1] x):
    """exp of an array of numbers <= 0, in place; below -708 (float32: -87) the result is 0."""
    with nogil:
        if real is double:
            exp_array_f64(&x[0], x.shape[0])
        else:
            exp_array_f32(&x[0], x.shape[0])


def log_inplace(real[::1] x):
    """log of an array of numbers >= 1, in place."""
    with nogil:
        if real is double:
            log_array_f64(&x[0], x.shape[0])
        else:
            log_array_f32(&x[0], x.shape[0])
