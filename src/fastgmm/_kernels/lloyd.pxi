# Lloyd's algorithm with Hamerly's bounds (2010): a row is computed only if its nearest center may have changed.


cdef void decide_in_full(const real* X, const real* shift, const uint16_t* rows, int m, Shape s, const real* centers,
                         double scale, TileScratch* scratch, real* work) noexcept nogil:
    """Compute the nearest centers and gaps in full for those of m listed rows that float32 leaves undecided."""
    cdef real* xt = work + s.d * STRIDE
    cdef real* p = xt + s.d * STRIDE
    cdef real* best = p + <Py_ssize_t>s.n_components * STRIDE
    cdef real* next_best = best + STRIDE
    cdef int32_t* nearest = <int32_t*>(next_best + STRIDE)
    cdef int a, n = 0, padded
    cdef double gap
    for a in range(m):
        n += not scratch.gap[a] > 0
    if n == 0:
        return
    n = 0
    for a in range(m):
        scratch.undecided[n], scratch.rows[n] = a, rows[a]
        n += not scratch.gap[a] > 0
    padded = pack_listed_shifted(X, scratch.rows, n, s.d, shift, work, xt)
    distances(xt, padded, s, centers, p)
    if real is double:
        two_nearest_f64(p, s.n_components, n, best, next_best, nearest)
        gaps_f64(best, next_best, n, s.d)
    else:
        two_nearest_f32(p, s.n_components, n, best, next_best, nearest)
        gaps_f32(best, next_best, n, s.d)
    for a in range(n):
        gap = best[a] * scale
        scratch.gap[scratch.undecided[a]] = <float>(gap if s.n_components == 1 else min(gap, <double>FLT_MAX))
        scratch.nearest[scratch.undecided[a]] = nearest[a]


cdef inline void add_row(const real* x, const real* shift, double w, Shape s, Py_ssize_t k,
                         double* sums) noexcept nogil:
    """sums (counts, sum_x) of cluster k += w, w (x - shift)."""
    cdef double* sum_x = sums + s.n_components + k * s.d
    cdef Py_ssize_t j
    sums[k] += w
    for j in range(s.d):
        sum_x[j] += w * (x[j] - shift[j])


cdef void assign_rows(const real* X, const double* weights, const real* shift, Py_ssize_t start, Py_ssize_t stop,
                      Shape s, const real* centers, const ScaledCenters* scaled, bint fresh, int32_t* labels,
                      float* gaps, real* work, float* floats, double* sums) noexcept nogil:
    """Labels and gaps of rows start .. stop - 1; sums += number of changed labels, changes of counts and of sum_x."""
    cdef TileScratch scratch = scratch_in(floats, s.d)
    cdef const uint16_t* rows
    cdef Py_ssize_t first = start, i, k
    cdef int m, n, tile, count, a, padded
    cdef double w
    while first < stop:
        m = min(SELECT_ROWS, stop - first)
        if fresh:
            n = m
            for a in range(m):
                scratch.selected[a] = a
        else:  # rows whose nearest center may have changed
            take_moves(scaled.moved, labels + first, m, scratch.least)
            memcpy(scratch.bounds, gaps + first, m * sizeof(float))
            n = survivors(scratch.least, scratch.bounds, m, scratch.selected)
        for tile in range(n_blocks(n)):
            rows = scratch.selected + tile * BLOCK_ROWS
            count = min(BLOCK_ROWS, n - tile * BLOCK_ROWS)
            padded = round_tile(X + first * s.d, rows, count, s.d, shift, scaled.scale, &scratch)
            find_nearest(scratch.y, padded, s.d, scaled.centers, scaled.half, scaled.error, s.n_components,
                         <const char*>(X + first * s.d), s.d * sizeof(real), rows + BLOCK_ROWS,
                         min(BLOCK_ROWS, n - (tile + 1) * BLOCK_ROWS), scratch.nearest, scratch.gap)
            decide_in_full(X + first * s.d, shift, rows, count, s, centers, scaled.scale, &scratch, work)
            for a in range(count):
                i = first + rows[a]
                k = scratch.nearest[a]
                gaps[i] = lasting_gap(scratch.gap[a], scaled.moved[k])
                if fresh or labels[i] != k:
                    w = weights[i] if weights != NULL else 1.0
                    sums[0] += labels[i] != k
                    add_row(X + i * s.d, shift, w, s, k, sums + 1)
                    if not fresh:
                        add_row(X + i * s.d, shift, -w, s, labels[i], sums + 1)
                    labels[i] = <int32_t>k
        first += SELECT_ROWS


def note_moves(const real[:, ::1] centers, double[:, ::1] previous, double[::1] moved, double scale):
    """Add to ``moved`` how far the centers went from ``previous``, which becomes a copy of them."""
    # IN: centers (K, d) real, and scale; IN/OUT: previous (K, d) and moved (K,) float64.  See kmeans_pass.
    cdef double step, square, move, largest = 0.0, second = 0.0
    cdef Py_ssize_t k, j, fastest = 0
    for k in range(centers.shape[0]):
        square = 0.0
        for j in range(centers.shape[1]):
            step = (centers[k, j] - previous[k, j]) * scale
            square += step * step
            previous[k, j] = centers[k, j]
        move = sqrt(square) * (1 + 1e-12)  # never rounded down
        moved[k] += move
        if move > largest:
            second, largest, fastest = largest, move, k
        elif move > second:
            second = move
    for k in range(centers.shape[0]):
        moved[k] += second if k == fastest else largest


def kmeans_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[::1] shift,
                const real[:, ::1] centers, const double[::1] moved, double scale, bint fresh, int32_t[::1] labels,
                float[::1] gaps, double[::1] counts, double[:, ::1] sum_x, real[::1] workspace, float[::1] floats,
                double[::1] sums, int n_threads):
    """One Lloyd pass over the rows of X - shift: labels of the nearest centers, the first of equals.

    Returns the number of changed labels."""
    # X              IN       (n, d) real
    # sample_weight  IN       (n,) float64; None stands for ones
    # shift          IN       (d,) real
    # centers        IN       (K, d) real
    # moved          IN       (K,) float64, sum over passes of moves of center k and the fastest other, times scale
    # scale          IN       power of two that brings the centers near 1
    # fresh          IN       whether all rows are computed and added; else labels and gaps are those of the pass before
    # labels         IN/OUT   (n,) int32
    # gaps           IN/OUT   (n,) float32, distance of the second nearest center minus the nearest's, times scale,
    #                         plus `moved` of the nearest when they were computed
    # counts         IN/OUT   (K,) float64, += changes of the clusters' weights
    # sum_x          IN/OUT   (K, d) float64, += changes of their sums of w (x - shift)
    # workspace      scratch  real, sums float64: lengths by workspace_sizes for diagonal factors
    # floats         scratch  float32, length by kmeans_floats
    cdef Shape s = shape_of(X.shape[1], centers.shape[0], centers.shape[0], 1)
    cdef Py_ssize_t n = X.shape[0], n_sums = sums_length(s), n_work = work_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef ScaledCenters values = scale_centers(&centers[0, 0], s.n_components, s.d, &moved[0], scale, &floats[0])
    cdef const ScaledCenters* scaled = &values
    cdef float* tile_work = &floats[0] + scaled_length(s.n_components, s.d)
    cdef Py_ssize_t n_tile = scratch_length(s.d)
    cdef const real* data = &X[0, 0]
    cdef const real* origin = &shift[0]
    cdef const real* mu = &centers[0, 0]
    cdef double* partial = &sums[0]
    cdef int32_t* labels_out = &labels[0]
    cdef float* gaps_out = &gaps[0]
    cdef Py_ssize_t j, k
    cdef int t
    with nogil:
        memset(partial, 0, n_threads * n_sums * sizeof(double))
        if n_threads == 1:
            assign_rows(data, weights, origin, 0, n, s, mu, scaled, fresh, labels_out, gaps_out, work, tile_work,
                        partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                assign_rows(data, weights, origin, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu,
                            scaled, fresh, labels_out, gaps_out, work + t * n_work, tile_work + t * n_tile,
                            partial + t * n_sums)
        for t in range(1, n_threads):
            for j in range(n_sums):
                partial[j] += partial[t * n_sums + j]
        for k in range(s.n_components):
            counts[k] += partial[1 + k]
            for j in range(s.d):
                sum_x[k, j] += partial[1 + s.n_components + k * s.d + j]
    return int(partial[0])
