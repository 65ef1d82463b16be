# k-means++: squared distances from the closest center taken so far, and the rows that random thresholds pick.

cdef enum:
    MIN_BOUND_FEATURES = 24  # with fewer features computing all distances is faster than bounding them first


cdef int select_rows(const TileScratch* scratch, int m, int d, const ScaledCenters* scaled, int first, int count,
                     const char* ahead, Py_ssize_t ahead_bytes, const real* closest) noexcept nogil:
    """scratch.selected <- those of m rows (scratch.y) that may be nearer to one of `count` centers than `closest`."""
    cdef double square = scaled.scale * scaled.scale
    bound_nearest(scratch.y, padded_rows(m, LANES_f32), d, scaled.centers + first * d, scaled.half + first, count,
                  ahead, ahead_bytes, scratch.bounds)
    if real is double:
        round_up_f64(closest, m, square, scratch.least)
    else:
        round_up_f32(closest, m, <float>square, scratch.least)
    return survivors(scratch.least, scratch.bounds, m, scratch.selected)


cdef int distances_of_selected(const real* X, int m, int n, const uint16_t* rows, Shape s, const real* shift,
                               const real* centers, real* work, real* p) noexcept nogil:
    """p[k]_a <- -|x - center_k|^2 of the n listed rows, or of all m if listing does not pay; returns of how many."""
    cdef real* xt = work + s.d * STRIDE
    cdef int padded
    if n > m // 4 * 3:
        n = m
        padded = pack_shifted(X, m, s.d, shift, xt)
    else:
        padded = pack_listed_shifted(X, rows, n, s.d, shift, work, xt)
    distances(xt, padded, s, centers, p)
    return n


cdef void lower_closest(const real* negative, const uint16_t* rows, int n, int m, const real* old,
                        real* new) noexcept nogil:
    """new <- min(old, -negative) at the n listed of m rows; old may be new, or NULL for infinity if n = m."""
    if n == m:
        if real is double:
            lower_f64(negative, old, m, new)
        else:
            lower_f32(negative, old, m, new)
        return
    if old != new:
        memcpy(new, old, m * sizeof(real))
    if real is double:
        lower_listed_f64(negative, rows, n, new)
    else:
        lower_listed_f32(negative, rows, n, new)


cdef void closest_rows(const real* X, const double* weights, const real* shift, Py_ssize_t start, Py_ssize_t stop,
                       Shape s, const real* centers, const ScaledCenters* scaled, int n_taken, real* closest,
                       bint restart, double* block_sums, Py_ssize_t stride, real* work, float* floats,
                       double* sums) noexcept nogil:
    """sums[c] += sum_i w_i min(closest_i, |x_i - c|^2) for candidates c; row c + 1 of block_sums <- that by block."""
    cdef TileScratch scratch = scratch_in(floats, s.d)
    cdef Shape taken = s, candidates = s
    cdef real* p = work + 2 * s.d * STRIDE
    cdef real* lowered = p + <Py_ssize_t>s.n_components * STRIDE
    cdef real* old
    cdef const real* x
    cdef const char* ahead
    cdef Py_ssize_t c, first, block, ahead_bytes
    cdef int a, m, n
    taken.n_components = n_taken
    candidates.n_components = s.n_components - n_taken
    cdef bint use_bounds = s.d >= MIN_BOUND_FEATURES and (n_taken > 0 or not restart)
    for a in range(BLOCK_ROWS):
        scratch.rows[a] = a
    first = start
    while first < stop:
        block = first // BLOCK_ROWS
        m = min(BLOCK_ROWS, stop - first)
        ahead_bytes = min(BLOCK_ROWS, stop - first - m) * s.d * sizeof(real)
        x = X + first * s.d
        old = closest + first
        first += m
        ahead = <const char*>(x + m * s.d)
        if use_bounds:
            round_tile(x, scratch.rows, m, s.d, shift, scaled.scale, &scratch)
        if n_taken > 0:
            n = select_rows(&scratch, m, s.d, scaled, 0, 1, ahead, 0, old) if use_bounds and not restart else m
            if n > 0:
                n = distances_of_selected(x, m, n, scratch.selected, taken, shift, centers, work, p)
                lower_closest(p, scratch.selected, n, m, NULL if restart else old, old)
            if candidates.n_components == 0:
                continue
        n = m
        if use_bounds:
            n = select_rows(&scratch, m, s.d, scaled, n_taken, candidates.n_components, ahead, ahead_bytes, old)
        else:
            prefetch_slice(ahead, ahead_bytes, 0, 1)
        if n > 0:
            n = distances_of_selected(x, m, n, scratch.selected, candidates, shift, centers + n_taken * s.d, work, p)
        for c in range(candidates.n_components):
            if n > 0:
                lower_closest(p + c * STRIDE, scratch.selected, n, m, NULL if restart and n_taken == 0 else old,
                              lowered)
                block_sums[(c + 1) * stride + block] = weighted_sum(
                    <const real*>lowered, weights + (first - m) if weights != NULL else NULL, m)
            else:
                block_sums[(c + 1) * stride + block] = block_sums[block]
            sums[c] += block_sums[(c + 1) * stride + block]


def closest_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[::1] shift,
                 const real[:, ::1] centers, double scale, int n_taken, real[::1] closest, bint restart,
                 double[:, :] block_sums, double[::1] potentials, real[::1] workspace, float[::1] floats,
                 double[::1] sums, int n_threads):
    """k-means++: take a center, and compute the potentials of further candidates."""
    # X, sample_weight, shift, scale, workspace, sums and floats are those of kmeans_pass.
    # centers     IN      (n_taken + C, d) real: the center to take, if n_taken is 1 (else 0), then C candidates
    # closest     IN/OUT  (n,) real, squared distance from the closest center taken; lowered by the center to take
    # restart     IN      whether closest is infinite before
    # block_sums  IN/OUT  (1 + C, blocks) float64; row 0, IN: sums over blocks of w_i closest_i, the center taken;
    #                     row c + 1, OUT: of w_i min(closest_i, |x_i - shift - candidate c|^2)
    # potentials  IN/OUT  (C,) float64, += sum over the blocks of row c + 1
    cdef Shape s = shape_of(X.shape[1], centers.shape[0], centers.shape[0], 1)
    cdef Py_ssize_t n = X.shape[0], n_sums = sums_length(s), n_work = work_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef const real* data = &X[0, 0]
    cdef const real* origin = &shift[0]
    cdef const real* mu = &centers[0, 0]
    cdef ScaledCenters values = scale_centers(mu, s.n_components, s.d, NULL, scale, &floats[0])
    cdef const ScaledCenters* scaled = &values
    cdef float* tile_work = &floats[0] + scaled_length(s.n_components, s.d)
    cdef Py_ssize_t n_tile = scratch_length(s.d), stride = block_sums.strides[0] // sizeof(double)
    cdef real* nearest = &closest[0]
    cdef double* by_block = &block_sums[0, 0]
    cdef double* partial = &sums[0]
    cdef Py_ssize_t c
    cdef int t
    with nogil:
        memset(partial, 0, n_threads * n_sums * sizeof(double))
        if n_threads == 1:
            closest_rows(data, weights, origin, 0, n, s, mu, scaled, n_taken, nearest, restart, by_block, stride, work,
                         tile_work, partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                closest_rows(data, weights, origin, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu,
                             scaled, n_taken, nearest, restart, by_block, stride, work + t * n_work,
                             tile_work + t * n_tile, partial + t * n_sums)
        for c in range(s.n_components - n_taken):
            for t in range(1, n_threads):
                partial[c] += partial[t * n_sums + c]
            potentials[c] += partial[c]


cdef Py_ssize_t find_row(const real* X, const double* weights, const real* shift, Shape s, const real* center,
                         int n_taken, real* closest, bint restart, const double* block_sums, double threshold,
                         Py_ssize_t n, real* work) noexcept nogil:
    """The row for one threshold, see rows_at."""
    cdef real* p = work + 2 * s.d * STRIDE
    cdef Py_ssize_t first = 0, stop = n, i
    cdef int m, q
    cdef double before = 0.0
    cdef real running = 0.0
    cdef real* mass
    if real is double:  # the sums over blocks are known: add up within one block only
        for i in range(n_blocks(n) - 1):
            if before + block_sums[i] >= threshold:
                break
            before += block_sums[i]
            first += BLOCK_ROWS
        stop = min(first + BLOCK_ROWS, n)
        if n_taken > 0:
            m = stop - first
            distances_of_selected(X + first * s.d, m, m, NULL, s, shift, center, work, p)
            lower_closest(p, NULL, m, m, NULL if restart else closest + first, closest + first)
    while first < stop:
        m = min(BLOCK_ROWS, stop - first)
        mass = closest + first
        if weights != NULL:
            for q in range(m):  # before the sums: fused into a multiply-add the product would not be rounded
                p[q] = <real>weights[first + q] * mass[q]
            mass = p
        for q in range(m):
            running += mass[q]
            if running + before >= threshold:
                return first + q
        first += m
    return stop - 1


def rows_at(const real[:, ::1] X, const double[::1] sample_weight, const real[::1] shift, const real[::1] center,
            int n_taken, real[::1] closest, bint restart, const double[::1] block_sums, const double[::1] thresholds,
            Py_ssize_t[::1] rows, real[::1] workspace):
    """k-means++: rows[t] <- the first row at which the running sum of w_i closest_i reaches thresholds[t].

    The sums of float32 rows are rounded to float32 row after row, as scikit-learn's are since version 1.8: from some
    10,000 rows on this rounding decides which row is chosen, so exact sums would give another start."""
    # center      IN      (d,) real, still to be taken if n_taken is 1; float32 requires n_taken = 0
    # thresholds  IN      (T,) float64
    # rows        OUT     (T,) intp
    # The others are those of closest_pass.
    cdef Shape s = shape_of(X.shape[1], 1, 1, 1)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef Py_ssize_t t
    with nogil:
        for t in range(thresholds.shape[0]):
            rows[t] = find_row(&X[0, 0], weights, &shift[0], s, &center[0], n_taken, &closest[0], restart,
                               &block_sums[0], thresholds[t], X.shape[0], &workspace[0])
