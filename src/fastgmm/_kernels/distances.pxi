# Distances of rows from k-means centers: in float32 as far as that decides (nearest.h), else in full.
#
# Rows count from a `shift` (scikit-learn's KMeans subtracts the mean of the data), without being stored that way.  In
# float32 rows and centers are multiplied by `scale`, a power of two that brings the centers near 1.

cdef extern from "kernels.h" nogil:
    float rounding_of_dots(int d)
    void find_nearest(const float*, int padded, int d, const float*, const float*, const float*, int, const char*, Py_ssize_t,
                      const uint16_t*, int, int32_t*, float*)
    void bound_nearest(const float*, int padded, int d, const float*, const float*, int, const char*, Py_ssize_t, float*)
    float lasting_gap(float, float)
    void take_moves(const float*, const int32_t*, int n, float*)

    void round_rows_f64(const double*, int d, const uint16_t*, int n, const double*, double, float*)
    void take_rows_f64(const double*, int d, const uint16_t*, int n, double*)
    void subtract_f64(double*, int, int, const double*)
    void negative_distances_f64(const double*, int, int, const double*, int, double*)
    void two_nearest_f64(const double*, int, int, double*, double*, int32_t*)
    void gaps_f64(double*, const double*, int, int)
    void lower_f64(const double*, const double*, int, double*)
    void lower_listed_f64(const double*, const uint16_t*, int, double*)
    void round_up_f64(const double*, int, double, float*)

    void round_rows_f32(const float*, int d, const uint16_t*, int n, const float*, float, float*)
    void take_rows_f32(const float*, int d, const uint16_t*, int n, float*)
    void subtract_f32(float*, int, int, const float*)
    void negative_distances_f32(const float*, int, int, const float*, int, float*)
    void two_nearest_f32(const float*, int, int, float*, float*, int32_t*)
    void gaps_f32(float*, const float*, int, int)
    void lower_f32(const float*, const float*, int, float*)
    void lower_listed_f32(const float*, const uint16_t*, int, float*)
    void round_up_f32(const float*, int, float, float*)

cdef enum:
    SELECT_ROWS = 4096  # rows from which those to be computed are selected at a time
    READ_BEYOND = 16    # numbers beyond the end that `survivors` may read and write

cdef struct ScaledCenters:
    # The centers as nearest.h reads them, and how far they have moved, in units of 1 / scale.
    float* centers
    float* half
    float* error
    float* moved
    double scale

cdef struct TileScratch:
    # A thread's arrays: bounds, least and selected over SELECT_ROWS rows, the others over a tile of rows.
    float* flat           # (rows, d)
    float* y              # (d, STRIDE)
    float* gap
    float* bounds
    float* least
    int32_t* nearest
    uint16_t* selected    # indices of rows to compute
    uint16_t* undecided   # indices within the tile, and ..
    uint16_t* rows        # .. those of the same rows within X


cdef inline Py_ssize_t scaled_length(int K, int d) noexcept nogil:
    return (<Py_ssize_t>K * (d + 3) + 15) // 16 * 16

cdef inline Py_ssize_t scratch_length(int d) noexcept nogil:
    return ((2 * d + 3) * <Py_ssize_t>STRIDE + 5 * (SELECT_ROWS + READ_BEYOND) // 2 + 15) // 16 * 16


def kmeans_floats(int n_centers, int n_features, int n_threads):
    """Length of the float32 scratch array ``floats`` of the passes of k-means, aligned to 64 bytes."""
    return scaled_length(n_centers, n_features) + n_threads * scratch_length(n_features)


cdef ScaledCenters scale_centers(const real* centers, int K, int d, const double* moved, double scale,
                                 float* floats) noexcept nogil:
    cdef double E = rounding_of_dots(d), square, c
    cdef ScaledCenters s
    cdef Py_ssize_t k, j
    s.centers, s.scale = floats, scale
    s.half = s.centers + K * d
    s.error = s.half + K
    s.moved = s.error + K
    for k in range(K):
        square = 0.0
        for j in range(d):
            c = centers[k * d + j] * scale
            s.centers[k * d + j] = <float>c
            square += c * c
        s.half[k] = <float>((0.5 - E) * square)
        s.error[k] = <float>(2 * E * square) + 1e-36
        s.moved[k] = <float>moved[k] if moved != NULL else 0
    return s


cdef TileScratch scratch_in(float* floats, int d) noexcept nogil:
    cdef TileScratch s
    s.flat = floats
    s.y = s.flat + d * <Py_ssize_t>STRIDE
    s.gap = s.y + d * <Py_ssize_t>STRIDE
    s.nearest = <int32_t*>(s.gap + STRIDE)
    s.undecided = <uint16_t*>(s.nearest + STRIDE)
    s.rows = s.undecided + STRIDE
    s.bounds = <float*>(s.rows + STRIDE)
    s.least = s.bounds + SELECT_ROWS + READ_BEYOND
    s.selected = <uint16_t*>(s.least + SELECT_ROWS + READ_BEYOND)
    return s


cdef int pack_shifted(const real* X, int m, int d, const real* shift, real* xt) noexcept nogil:
    """As pack, less the shift."""
    cdef int padded = pack(X, m, d, xt)
    if real is double:
        subtract_f64(xt, padded, d, shift)
    else:
        subtract_f32(xt, padded, d, shift)
    return padded


cdef int pack_listed_shifted(const real* X, const uint16_t* rows, int m, int d, const real* shift, real* flat,
                             real* xt) noexcept nogil:
    """As pack_shifted, for m listed rows; flat (m, d) is scratch."""
    if real is double:
        take_rows_f64(X, d, rows, m, flat)
    else:
        take_rows_f32(X, d, rows, m, flat)
    return pack_shifted(flat, m, d, shift, xt)


cdef int round_tile(const real* X, const uint16_t* rows, int m, int d, const real* shift, double scale,
                    TileScratch* scratch) noexcept nogil:
    """scratch.y <- scale (x - shift) of m listed rows, in float32."""
    cdef int padded = padded_rows(m, LANES_f32)
    if real is double:
        round_rows_f64(X, d, rows, m, shift, scale, scratch.flat)
    else:
        round_rows_f32(X, d, rows, m, shift, <float>scale, scratch.flat)
    pack_rows_f32(scratch.flat, m, padded, d, scratch.y)
    return padded


cdef void distances(const real* xt, int padded, Shape s, const real* centers, real* out) noexcept nogil:
    """out[k]_i <- -|x_i - center_k|^2 for all k."""
    if real is double:
        negative_distances_f64(xt, padded, s.d, centers, s.n_components, out)
    else:
        negative_distances_f32(xt, padded, s.d, centers, s.n_components, out)
