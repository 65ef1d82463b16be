# The passes of k-means over the rows, where EM starts; conventions and helpers are those of passes.pxi.  The rows are taken
# relative to a `shift` (scikit-learn's KMeans subtracts the mean of the data) without ever being stored that way.

from libc.float cimport FLT_MAX
from libc.math cimport sqrt
from libc.stdint cimport uint16_t
from libc.string cimport memcpy

cdef extern from "kernels.h" nogil:
    float rounding_of_dots(int d)
    void find_nearest(const float*, int padded, int d, const float*, const float*, const float*, int, const char*, Py_ssize_t,
                      const uint16_t*, int, int32_t*, float*)
    void bound_nearest(const float*, int padded, int d, const float*, const float*, int, const char*, Py_ssize_t, float*)
    float lasting_gap(float, float)
    void take_moves(const float*, const int32_t*, int n, float*)
    int survivors(const float*, const float*, int m, uint16_t*)

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


cdef int pack_shifted(const real* X, int m, int d, const real* shift, real* xt) noexcept nogil:
    cdef int padded = pack(X, m, d, xt)
    if real is double:
        subtract_f64(xt, padded, d, shift)
    else:
        subtract_f32(xt, padded, d, shift)
    return padded


cdef enum:
    SCAN_ROWS = 4096  # rows among which those are sought that have to be looked at
    MANY_FEATURES = 24
    READ_BEYOND = 16  # numbers of which `survivors` may read and write more than there are

cdef struct Sight:
    # The centers in units of 1 / scale as nearest.h takes them, and how far they have moved.
    float* centers
    float* half
    float* error
    float* moved
    double scale

cdef struct Scan:
    # One thread's arrays: over a tile of rows, and (bounds, least, picked) over the rows of a scan.
    float* flat
    float* y
    float* gap
    float* bounds
    float* least
    int32_t* nearest
    uint16_t* picked
    uint16_t* open
    uint16_t* rows


cdef inline Py_ssize_t sight_length(int K, int d) noexcept nogil:
    return (<Py_ssize_t>K * (d + 3) + 15) // 16 * 16


cdef inline Py_ssize_t scan_length(int d) noexcept nogil:
    return ((2 * d + 3) * <Py_ssize_t>STRIDE + 5 * (SCAN_ROWS + READ_BEYOND) // 2 + 15) // 16 * 16


def kmeans_floats(int n_centers, int n_features, int n_threads):
    """Length of the float32 workspace of the passes of k-means, aligned to 64 bytes."""
    return sight_length(n_centers, n_features) + n_threads * scan_length(n_features)


cdef Sight sight_of(const real* centers, int K, int d, const double* moved, double scale, float* floats) noexcept nogil:
    cdef double E = rounding_of_dots(d), square, c
    cdef Sight s
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


cdef Scan scan_in(float* floats, int d) noexcept nogil:
    cdef Scan s
    s.flat = floats
    s.y = s.flat + d * <Py_ssize_t>STRIDE
    s.gap = s.y + d * <Py_ssize_t>STRIDE
    s.nearest = <int32_t*>(s.gap + STRIDE)
    s.open = <uint16_t*>(s.nearest + STRIDE)
    s.rows = s.open + STRIDE
    s.bounds = <float*>(s.rows + STRIDE)
    s.least = s.bounds + SCAN_ROWS + READ_BEYOND
    s.picked = <uint16_t*>(s.least + SCAN_ROWS + READ_BEYOND)
    return s


cdef int round_tile(const real* X, const uint16_t* rows, int m, int d, const real* shift, double scale, Scan* scan) noexcept nogil:
    """scan.y = scale (x - shift) of the rows listed, rounded to float32 and feature-major."""
    cdef int padded = padded_rows(m, LANES_f32)
    if real is double:
        round_rows_f64(X, d, rows, m, shift, scale, scan.flat)
    else:
        round_rows_f32(X, d, rows, m, shift, <float>scale, scan.flat)
    pack_rows_f32(scan.flat, m, padded, d, scan.y)
    return padded


cdef int pack_listed_shifted(const real* X, const uint16_t* rows, int m, int d, const real* shift, real* flat, real* xt) noexcept nogil:
    if real is double:
        take_rows_f64(X, d, rows, m, flat)
    else:
        take_rows_f32(X, d, rows, m, flat)
    return pack_shifted(flat, m, d, shift, xt)


cdef void distances(const real* xt, int padded, Shape s, const real* centers, real* out) noexcept nogil:
    """out[k] = -|x - center_k|^2 for all k."""
    if real is double:
        negative_distances_f64(xt, padded, s.d, centers, s.n_components, out)
    else:
        negative_distances_f32(xt, padded, s.d, centers, s.n_components, out)


cdef void settle_open(const real* X, const real* shift, const uint16_t* rows, int m, Shape s, const real* centers, double scale,
                      Scan* scan, real* work) noexcept nogil:
    """Those of the m rows listed whose nearest center float32 cannot tell, in full."""
    cdef real* xt = work + s.d * STRIDE
    cdef real* p = xt + s.d * STRIDE
    cdef real* best = p + <Py_ssize_t>s.n_components * STRIDE
    cdef real* next_best = best + STRIDE
    cdef int32_t* nearest = <int32_t*>(next_best + STRIDE)
    cdef int a, n = 0, padded
    cdef double gap
    for a in range(m):
        n += not scan.gap[a] > 0
    if n == 0:
        return
    n = 0
    for a in range(m):
        scan.open[n], scan.rows[n] = a, rows[a]
        n += not scan.gap[a] > 0
    padded = pack_listed_shifted(X, scan.rows, n, s.d, shift, work, xt)
    distances(xt, padded, s, centers, p)
    if real is double:
        two_nearest_f64(p, s.n_components, n, best, next_best, nearest)
        gaps_f64(best, next_best, n, s.d)
    else:
        two_nearest_f32(p, s.n_components, n, best, next_best, nearest)
        gaps_f32(best, next_best, n, s.d)
    for a in range(n):
        gap = best[a] * scale
        scan.gap[scan.open[a]] = <float>(gap if s.n_components == 1 else min(gap, <double>FLT_MAX))
        scan.nearest[scan.open[a]] = nearest[a]


cdef void assign_rows(const real* X, const double* weights, const real* shift, Py_ssize_t start, Py_ssize_t stop, Shape s,
                      const real* centers, const Sight* sight, bint fresh, int32_t* labels, float* gaps, real* work,
                      float* floats, double* sums) noexcept nogil:
    """sums: number of changed labels, changes of the counts, changes of the sums of x - shift."""
    cdef Scan scan = scan_in(floats, s.d)
    cdef const uint16_t* rows
    cdef Py_ssize_t first = start, i, k
    cdef int m, n, tile, count, a, padded
    cdef double w
    while first < stop:
        m = min(SCAN_ROWS, stop - first)
        if fresh:
            n = m
            for a in range(m):
                scan.picked[a] = a
        else:  # rows whose nearest center may have changed
            take_moves(sight.moved, labels + first, m, scan.least)
            memcpy(scan.bounds, gaps + first, m * sizeof(float))
            n = survivors(scan.least, scan.bounds, m, scan.picked)
        for tile in range(n_blocks(n)):
            rows = scan.picked + tile * BLOCK_ROWS
            count = min(BLOCK_ROWS, n - tile * BLOCK_ROWS)
            padded = round_tile(X + first * s.d, rows, count, s.d, shift, sight.scale, &scan)
            find_nearest(scan.y, padded, s.d, sight.centers, sight.half, sight.error, s.n_components, <const char*>(X + first * s.d),
                         s.d * sizeof(real), rows + BLOCK_ROWS, min(BLOCK_ROWS, n - (tile + 1) * BLOCK_ROWS), scan.nearest, scan.gap)
            settle_open(X + first * s.d, shift, rows, count, s, centers, sight.scale, &scan, work)
            for a in range(count):
                i = first + rows[a]
                k = scan.nearest[a]
                gaps[i] = lasting_gap(scan.gap[a], sight.moved[k])
                if fresh or labels[i] != k:
                    w = weights[i] if weights != NULL else 1.0
                    sums[0] += labels[i] != k
                    add_row(X + i * s.d, shift, w, s, k, sums + 1)
                    if not fresh:
                        add_row(X + i * s.d, shift, -w, s, labels[i], sums + 1)
                    labels[i] = <int32_t>k
        first += SCAN_ROWS


cdef inline void add_row(const real* x, const real* shift, double w, Shape s, Py_ssize_t k, double* sums) noexcept nogil:
    cdef double* sum_x = sums + s.n_components + k * s.d
    cdef Py_ssize_t j
    sums[k] += w
    for j in range(s.d):
        sum_x[j] += w * (x[j] - shift[j])


def note_moves(const real[:, ::1] centers, double[:, ::1] previous, double[::1] moved, double scale):
    """Add to ``moved`` (see `kmeans_pass`) how far the centers went from ``previous``, which become those of ``centers``."""
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


def kmeans_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[::1] shift, const real[:, ::1] centers,
                const double[::1] moved, double scale, bint fresh, int32_t[::1] labels, float[::1] gaps, double[::1] counts,
                double[:, ::1] sum_x, real[::1] workspace, float[::1] floats, double[::1] sums, int n_threads):
    """One Lloyd pass over the rows of X - shift: labels of the nearest centers (the first of equals).

    The changes of each cluster's weight and sum of x - shift are added to ``counts`` and ``sum_x``; the number of changed labels is
    returned.  Rows whose label cannot have changed are not looked at (Hamerly 2010): ``gaps`` keeps how much farther a row's second
    nearest center was than its nearest, plus what ``moved`` said then of that one, and ``moved[k]`` is the sum over the passes so far of
    how far center k and the fastest of the others went, both in units of 1 / ``scale``, a power of two that brings the centers near 1.
    With ``fresh`` all rows are looked at, and all are added."""
    cdef Shape s = shape_of(X.shape[1], centers.shape[0], centers.shape[0], 1)
    cdef Py_ssize_t n = X.shape[0], size = sums_length(s), rows = rows_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef Sight sight = sight_of(&centers[0, 0], s.n_components, s.d, &moved[0], scale, &floats[0])
    cdef const Sight* view = &sight
    cdef float* scans = &floats[0] + sight_length(s.n_components, s.d)
    cdef Py_ssize_t scan = scan_length(s.d)
    cdef const real* data = &X[0, 0]
    cdef const real* origin = &shift[0]
    cdef const real* mu = &centers[0, 0]
    cdef double* partial = &sums[0]
    cdef int32_t* labels_out = &labels[0]
    cdef float* gaps_out = &gaps[0]
    cdef Py_ssize_t j, k
    cdef int t
    with nogil:
        memset(partial, 0, n_threads * size * sizeof(double))
        if n_threads == 1:
            assign_rows(data, weights, origin, 0, n, s, mu, view, fresh, labels_out, gaps_out, work, scans, partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                assign_rows(data, weights, origin, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, view, fresh,
                            labels_out, gaps_out, work + t * rows, scans + t * scan, partial + t * size)
        for t in range(1, n_threads):
            for j in range(size):
                partial[j] += partial[t * size + j]
        for k in range(s.n_components):
            counts[k] += partial[1 + k]
            for j in range(s.d):
                sum_x[k, j] += partial[1 + s.n_components + k * s.d + j]
    return int(partial[0])


cdef int rows_in_reach(const Scan* scan, int m, int d, const Sight* sight, int first, int count, const char* ahead, Py_ssize_t ahead_bytes,
                       const real* closest) noexcept nogil:
    """Which of a block's m rows, in scan.y, one of `count` centers may be nearer to than `closest` says: a list in scan.picked."""
    cdef double square = sight.scale * sight.scale
    bound_nearest(scan.y, padded_rows(m, LANES_f32), d, sight.centers + first * d, sight.half + first, count, ahead, ahead_bytes, scan.bounds)
    if real is double:
        round_up_f64(closest, m, square, scan.least)
    else:
        round_up_f32(closest, m, <float>square, scan.least)
    return survivors(scan.least, scan.bounds, m, scan.picked)


cdef int distances_in_reach(const real* X, int m, int n, const uint16_t* rows, Shape s, const real* shift, const real* centers, real* work,
                            real* p) noexcept nogil:
    """p[k] = -|x - center_k|^2 of the n rows listed; of all m where listing would not pay. Returns of how many."""
    cdef real* xt = work + s.d * STRIDE
    cdef int padded
    if n > m // 4 * 3:
        n = m
        padded = pack_shifted(X, m, s.d, shift, xt)
    else:
        padded = pack_listed_shifted(X, rows, n, s.d, shift, work, xt)
    distances(xt, padded, s, centers, p)
    return n


cdef void lower_to(const real* negative, const uint16_t* rows, int n, int m, const real* old, real* new) noexcept nogil:
    """new = min(old, -negative), which is of the n rows listed of m; old may be new, or NULL for infinity if n = m."""
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


cdef void closest_rows(const real* X, const double* weights, const real* shift, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* centers,
                       const Sight* sight, int n_taken, real* closest, bint restart, double* block_sums, Py_ssize_t stride, real* work,
                       float* floats, double* sums) noexcept nogil:
    """sums[c] += sum_i w_i min(closest_i, |x_i - c|^2) of the candidates; row c + 1 of block_sums has its parts."""
    cdef Scan scan = scan_in(floats, s.d)
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
    cdef bint look = s.d >= MANY_FEATURES and (n_taken > 0 or not restart)  # for few features all distances are found sooner
    for a in range(BLOCK_ROWS):
        scan.rows[a] = a
    first = start
    while first < stop:
        block = first // BLOCK_ROWS
        m = min(BLOCK_ROWS, stop - first)
        ahead_bytes = min(BLOCK_ROWS, stop - first - m) * s.d * sizeof(real)
        x = X + first * s.d
        old = closest + first
        first += m
        ahead = <const char*>(x + m * s.d)
        if look:
            round_tile(x, scan.rows, m, s.d, shift, sight.scale, &scan)
        if n_taken > 0:
            n = rows_in_reach(&scan, m, s.d, sight, 0, 1, ahead, 0, old) if look and not restart else m
            if n > 0:
                n = distances_in_reach(x, m, n, scan.picked, taken, shift, centers, work, p)
                lower_to(p, scan.picked, n, m, NULL if restart else old, old)
            if candidates.n_components == 0:
                continue
        n = m
        if look:
            n = rows_in_reach(&scan, m, s.d, sight, n_taken, candidates.n_components, ahead, ahead_bytes, old)
        else:
            prefetch_slice(ahead, ahead_bytes, 0, 1)
        if n > 0:
            n = distances_in_reach(x, m, n, scan.picked, candidates, shift, centers + n_taken * s.d, work, p)
        for c in range(candidates.n_components):
            if n > 0:
                lower_to(p + c * STRIDE, scan.picked, n, m, NULL if restart and n_taken == 0 else old, lowered)
                block_sums[(c + 1) * stride + block] = weighted_sum(
                    <const real*>lowered, weights + (first - m) if weights != NULL else NULL, m)
            else:
                block_sums[(c + 1) * stride + block] = block_sums[block]
            sums[c] += block_sums[(c + 1) * stride + block]


def closest_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[::1] shift, const real[:, ::1] centers, double scale,
                 int n_taken, real[::1] closest, bint restart, double[:, :] block_sums, double[::1] potentials, real[::1] workspace,
                 float[::1] floats, double[::1] sums, int n_threads):
    """k-means++: take a center and weigh further candidates.

    The first of the ``centers`` is taken if ``n_taken`` is 1 (and none if it is 0): ``closest`` is lowered to the squared distances from it.
    For the candidates, which are the others, sum_i w_i min(closest_i, |x_i - shift - c|^2) is added to ``potentials``; its parts from runs
    of BLOCK rows are the rows of ``block_sums`` but the first, which has those of ``closest`` as it is after the center was taken.  With
    ``restart`` closest is infinite before.  ``scale`` is a power of two that brings the centers near 1."""
    cdef Shape s = shape_of(X.shape[1], centers.shape[0], centers.shape[0], 1)
    cdef Py_ssize_t n = X.shape[0], size = sums_length(s), rows = rows_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef const real* data = &X[0, 0]
    cdef const real* origin = &shift[0]
    cdef const real* mu = &centers[0, 0]
    cdef Sight sight = sight_of(mu, s.n_components, s.d, NULL, scale, &floats[0])
    cdef const Sight* view = &sight
    cdef float* scans = &floats[0] + sight_length(s.n_components, s.d)
    cdef Py_ssize_t scan = scan_length(s.d), stride = block_sums.strides[0] // sizeof(double)
    cdef real* nearest = &closest[0]
    cdef double* by_block = &block_sums[0, 0]
    cdef double* partial = &sums[0]
    cdef Py_ssize_t c
    cdef int t
    with nogil:
        memset(partial, 0, n_threads * size * sizeof(double))
        if n_threads == 1:
            closest_rows(data, weights, origin, 0, n, s, mu, view, n_taken, nearest, restart, by_block, stride, work, scans, partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                closest_rows(data, weights, origin, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, view, n_taken, nearest,
                             restart, by_block, stride, work + t * rows, scans + t * scan, partial + t * size)
        for c in range(s.n_components - n_taken):
            for t in range(1, n_threads):
                partial[c] += partial[t * size + c]
            potentials[c] += partial[c]


cdef Py_ssize_t row_at(const real* X, const double* weights, const real* shift, Shape s, const real* center, int n_taken, real* closest,
                       bint restart, const double* block_sums, double threshold, Py_ssize_t n, real* work) noexcept nogil:
    cdef real* p = work + 2 * s.d * STRIDE
    cdef Py_ssize_t first = 0, stop = n, i
    cdef int m, q
    cdef double before = 0.0
    cdef real cumulated = 0.0
    cdef real* mass
    if real is double:  # the sums over blocks are known: cumulate within the one block in question
        for i in range(n_blocks(n) - 1):
            if before + block_sums[i] >= threshold:
                break
            before += block_sums[i]
            first += BLOCK_ROWS
        stop = min(first + BLOCK_ROWS, n)
        if n_taken > 0:
            m = stop - first
            distances_in_reach(X + first * s.d, m, m, NULL, s, shift, center, work, p)
            lower_to(p, NULL, m, m, NULL if restart else closest + first, closest + first)
    while first < stop:
        m = min(BLOCK_ROWS, stop - first)
        mass = closest + first
        if weights != NULL:
            for q in range(m):  # apart from their sum: fused with the addition, the product would not be rounded
                p[q] = <real>weights[first + q] * mass[q]
            mass = p
        for q in range(m):
            cumulated += mass[q]
            if cumulated + before >= threshold:
                return first + q
        first += m
    return stop - 1


def rows_at(const real[:, ::1] X, const double[::1] sample_weight, const real[::1] shift, const real[::1] center, int n_taken,
            real[::1] closest, bint restart, const double[::1] block_sums, const double[::1] thresholds, Py_ssize_t[::1] rows,
            real[::1] workspace):
    """k-means++: rows[t] is the first row at which sum_i w_i closest_i, cumulated, reaches thresholds[t].

    ``block_sums`` and the other arguments are those of `closest_pass`, of which only ``center``, if n_taken is 1, is still to be taken.
    With float32 none may be, and the sum is rounded to float32 row after row.  From some 10,000 rows on that rounding decides which row
    it is; scikit-learn's sums have it, since version 1.8: exact ones would be another start."""
    cdef Shape s = shape_of(X.shape[1], 1, 1, 1)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef Py_ssize_t t
    with nogil:
        for t in range(thresholds.shape[0]):
            rows[t] = row_at(&X[0, 0], weights, &shift[0], s, &center[0], n_taken, &closest[0], restart, &block_sums[0], thresholds[t],
                             X.shape[0], &workspace[0])
