# The steps of a pass on a block of rows, and how passes use threads and memory.
#
# Conventions of all passes.  X (n, d) is C-contiguous float32 or float64; `real` is its dtype.  The factors U of the
# precision matrices U U^T are upper triangular: (K, d, d) full, (1, d, d) shared by all components, (K, 1, d) diagonal.
# A pass adds to its sums, so that chunks of rows can follow each other.  Thread t takes the t-th run of blocks, and the
# threads' sums are merged in the order of t, so that results depend on n_threads alone.  Nothing is allocated:
# functions named .._sizes give the lengths of scratch arrays.  Shapes are not checked.

from cython.parallel cimport prange
from libc.float cimport DBL_MAX, FLT_MAX
from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int32_t, int64_t, uint16_t
from libc.string cimport memcpy, memset

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
    void log_density_full_f64(const double*, int, int, const double*, const double*, double, double, double*)
    void log_density_diag_f64(const double*, int, int, int, const double*, const double*, const double*, double, const char*, Py_ssize_t, double*)
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
    void log_density_full_f32(const float*, int, int, const float*, const float*, float, float, float*)
    void log_density_diag_f32(const float*, int, int, int, const float*, const float*, const double*, float, const char*, Py_ssize_t, float*)
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
    """Number of threads OpenMP would use now, its environment variables and run-time limits included."""
    return omp_get_max_threads()


cdef struct Shape:
    int d
    int n_components
    int n_factors  # K, or 1 if all components share one
    bint diag      # diagonal factors and d > 1; d = 1 is treated as full
    bint root      # p becomes sqrt(resp): the scatter is summed from z = sqrt(resp) (x - center)


cdef Shape shape_of(int d, int K, int n_factors, int factor_rows) noexcept nogil:
    cdef Shape s
    s.d, s.n_components, s.n_factors = d, K, n_factors
    s.diag = factor_rows == 1 and d > 1
    s.root = d > 4 and not s.diag
    return s


cdef inline Py_ssize_t factor_length(Shape s) noexcept nogil:
    """Length of a packed precision factor."""
    return s.d if s.diag else <Py_ssize_t>s.d * (s.d + 1) // 2

cdef inline Py_ssize_t scatter_length(Shape s) noexcept nogil:
    """Length of a packed scatter."""
    return s.d if s.diag else scatter_size(s.d)

cdef inline Py_ssize_t work_length(Shape s) noexcept nogil:
    """Length of a thread's arrays over a block: xt, z (d, STRIDE), p (K, STRIDE), and four (STRIDE,)."""
    return (2 * s.d + s.n_components + 4) * <Py_ssize_t>STRIDE

cdef inline Py_ssize_t sums_length(Shape s) noexcept nogil:
    """Length of a thread's log-likelihood, entropy, nk, sum_x and scatter, in whole cache lines."""
    return (2 + s.n_components * (1 + <Py_ssize_t>s.d) + s.n_factors * scatter_length(s) + 15) // 8 * 8


def workspace_sizes(int n_components, int n_features, int n_factors, int factor_rows, int n_threads):
    """Lengths of a pass's scratch arrays ``workspace`` (X's dtype) and ``sums`` (float64), aligned to 64 bytes.

    The factors have shape (n_factors, factor_rows, d)."""
    cdef Shape s = shape_of(n_features, n_components, n_factors, factor_rows)
    return n_threads * work_length(s) + n_factors * factor_length(s), n_threads * sums_length(s)


cdef inline int padded_rows(int m, int lanes) noexcept nogil:
    """m rounded up to whole groups of vectors."""
    return (m + GROUP * lanes - 1) // (GROUP * lanes) * (GROUP * lanes)

cdef inline Py_ssize_t n_blocks(Py_ssize_t n) noexcept nogil:
    return (n + BLOCK_ROWS - 1) // BLOCK_ROWS

cdef inline Py_ssize_t first_row(Py_ssize_t n, int t, int n_threads) noexcept nogil:
    """The first row of thread t: whole blocks, divided as evenly as possible."""
    return min(n, n_blocks(n) * t // n_threads * BLOCK_ROWS)


cdef int pack(const real* X, int m, int d, real* xt) noexcept nogil:
    """xt <- the m rows, feature by feature; returns their number with the padding."""
    cdef int padded
    if real is double:
        padded = padded_rows(m, LANES_f64)
        pack_rows_f64(X, m, padded, d, xt)
    else:
        padded = padded_rows(m, LANES_f32)
        pack_rows_f32(X, m, padded, d, xt)
    return padded


cdef void pack_factors(const real* factors, Shape s, real* packed) noexcept nogil:
    """packed <- the factors in the order that log_densities reads."""
    cdef Py_ssize_t k, j
    for k in range(s.n_factors):
        if s.diag:
            for j in range(s.d):
                packed[k * s.d + j] = factors[k * s.d + j]
        elif real is double:
            pack_factor_f64(factors + k * s.d * s.d, s.d, packed + k * factor_length(s))
        else:
            pack_factor_f32(factors + k * s.d * s.d, s.d, packed + k * factor_length(s))


cdef void log_densities(const real* xt, int padded, Shape s, const real* means, const real* packed,
                        const double* log_const, const char* ahead, Py_ssize_t ahead_bytes, bint half,
                        real* p) noexcept nogil:
    """p[k]_i <- log w_k N(x_i; mean_k), or half of it, for all k; meanwhile the next block's rows are prefetched."""
    cdef Py_ssize_t k
    cdef Py_ssize_t stride = 0 if s.n_factors < s.n_components else factor_length(s)
    cdef real h = 0.25 if half else 0.5
    cdef real c
    if s.diag:
        if real is double:
            log_density_diag_f64(xt, padded, s.d, s.n_components, means, packed, log_const, h, ahead, ahead_bytes, p)
        else:
            log_density_diag_f32(xt, padded, s.d, s.n_components, means, packed, log_const, h, ahead, ahead_bytes, p)
        return
    for k in range(s.n_components):
        c = log_const[k] * (0.5 if half else 1.0)
        if real is double:
            log_density_full_f64(xt, padded, s.d, means + k * s.d, packed + k * stride, c, h, p + k * STRIDE)
        else:
            log_density_full_f32(xt, padded, s.d, means + k * s.d, packed + k * stride, c, h, p + k * STRIDE)
        prefetch_slice(ahead, ahead_bytes, k, s.n_components)


cdef void finish_softmax(real* peak, real* total, int padded, Shape s, real* entropy) noexcept nogil:
    """After softmax: peak <- log p(x_i), total <- 1 / total; entropy, unless NULL, <- -sum_k resp_ik log resp_ik."""
    if real is double:
        log_likelihoods_f64(peak, total, padded, s.root, entropy)
    else:
        log_likelihoods_f32(peak, total, padded, s.root, entropy)


cdef void softmax(real* p, int padded, Shape s, real* peak, real* inverse, real* entropy) noexcept nogil:
    """For the statistics: p <- exp(p - peak), peak <- log p(x_i), inverse <- 1 / sum_k p (of p^2 if s.root).

    Unless NULL, entropy <- -sum_k resp_ik log resp_ik."""
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
    """For output: as softmax, without cutting off small responsibilities."""
    if real is double:
        softmax_all_f64(p, s.n_components, padded, peak, inverse)
        log_likelihoods_f64(peak, inverse, padded, 0, NULL)
    else:
        softmax_all_f32(p, s.n_components, padded, peak, inverse)
        log_likelihoods_f32(peak, inverse, padded, 0, NULL)


cdef void scales(const double* weights, const real* inverse, int m, int padded, Shape s, real* scale) noexcept nogil:
    """scale <- the factor that makes p the responsibilities times the weights, or their square roots."""
    if real is double:
        row_scales_f64(weights, inverse, m, padded, s.root, scale)
    else:
        row_scales_f32(weights, inverse, m, padded, s.root, scale)


cdef void accumulate_one(const real* xt, int padded, Shape s, Py_ssize_t k, const real* centers, real* p,
                         const real* scale, real* z, double* sums) noexcept nogil:
    """sums (nk, sum_x, scatter) += component k's, of the rows in xt; p and scale are those of these rows and k."""
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


cdef double weighted_sum(const real* x, const double* weights, int m) noexcept nogil:
    """sum_i w_i x_i; weights may be NULL."""
    if real is double:
        return weighted_sum_f64(x, weights, m)
    else:
        return weighted_sum_f32(x, weights, m)


cdef void merge(double* sums, Py_ssize_t n_sums, int n_threads, Shape s, double* nk, double* sum_x,
                double* scatter) noexcept nogil:
    """Sum over the threads, in order; add the statistics to nk, sum_x and scatter; sums[0:2] keeps the rest."""
    cdef Py_ssize_t k, j, t
    cdef double* total
    for t in range(1, n_threads):
        for j in range(n_sums):
            sums[j] += sums[t * n_sums + j]
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
