# The passes of k-means over the rows, where EM starts; conventions and helpers are those of passes.pxi.  The rows are taken
# relative to a `shift` (scikit-learn's KMeans subtracts the mean of the data) without ever being stored that way.

from libc.math cimport sqrt


cdef int pack_shifted(const real* X, int m, int d, const real* shift, real* xt) noexcept nogil:
    cdef int padded = pack(X, m, d, xt)
    if real is double:
        subtract_f64(xt, padded, d, shift)
    else:
        subtract_f32(xt, padded, d, shift)
    return padded


cdef void distances(const real* xt, int padded, Shape s, const real* centers, const real* ahead, Py_ssize_t ahead_rows,
                    real* out) noexcept nogil:
    """out[k] = -|x - center_k|^2 for all k; meanwhile the rows of the next block are fetched."""
    cdef Py_ssize_t n_bytes = min(BLOCK_ROWS, ahead_rows) * s.d * sizeof(real)
    if real is double:
        negative_distances_f64(xt, padded, s.d, centers, s.n_components, <const char*>ahead, n_bytes, out)
    else:
        negative_distances_f32(xt, padded, s.d, centers, s.n_components, <const char*>ahead, n_bytes, out)


cdef void assign_rows(const real* X, const double* weights, const real* shift, Py_ssize_t start, Py_ssize_t stop, Shape s,
                      const real* centers, const double* moved, bint fresh, int32_t* labels, float* gaps, real* xt,
                      double* sums) noexcept nogil:
    """sums: number of changed labels, changes of the counts, changes of the sums of x - shift."""
    cdef real* rows = xt + s.d * STRIDE
    cdef real* p = rows + s.d * STRIDE
    cdef real* best = p + <Py_ssize_t>s.n_components * STRIDE
    cdef real* next_best = best + STRIDE
    cdef int32_t* nearest = <int32_t*>(next_best + STRIDE)
    cdef int32_t* picked = <int32_t*>(next_best + 2 * STRIDE)
    cdef const real* x
    cdef Py_ssize_t i, j, first, block
    cdef int m, q, count, padded
    cdef double w
    cdef float gap
    for block in range(n_blocks(stop - start)):
        first = start + block * BLOCK_ROWS
        m = min(BLOCK_ROWS, stop - first)
        count = 0
        for q in range(m):  # rows whose nearest center may have changed
            picked[count] = q
            count += fresh or not gaps[first + q] > moved[labels[first + q]]
        if count == 0:
            continue
        x = X + first * s.d
        if count < m:
            for q in range(count):
                for j in range(s.d):
                    rows[q * s.d + j] = x[picked[q] * s.d + j]
            x = rows
        padded = pack_shifted(x, count, s.d, shift, xt)
        # Where all rows of a block are needed those of the next one will be, too.
        distances(xt, padded, s, centers, X + (first + m) * s.d, stop - first - m if count == m else 0, p)
        if real is double:
            two_nearest_f64(p, s.n_components, count, best, next_best, nearest)
            gaps_f64(best, next_best, count, s.d)
        else:
            two_nearest_f32(p, s.n_components, count, best, next_best, nearest)
            gaps_f32(best, next_best, count, s.d)
        for q in range(count):
            i = first + picked[q]
            gap = <float>(best[q] + moved[nearest[q]])
            gaps[i] = gap - 2e-7 * gap  # never rounded up
            if fresh or labels[i] != nearest[q]:
                w = weights[i] if weights != NULL else 1.0
                sums[0] += labels[i] != nearest[q]
                add_row(x + q * s.d, shift, w, s, nearest[q], sums + 1)
                if not fresh:
                    add_row(x + q * s.d, shift, -w, s, labels[i], sums + 1)
                labels[i] = nearest[q]


cdef inline void add_row(const real* x, const real* shift, double w, Shape s, Py_ssize_t k, double* sums) noexcept nogil:
    cdef double* sum_x = sums + s.n_components + k * s.d
    cdef Py_ssize_t j
    sums[k] += w
    for j in range(s.d):
        sum_x[j] += w * (x[j] - shift[j])


def note_moves(const real[:, ::1] centers, double[:, ::1] previous, double[::1] moved):
    """Add to ``moved`` (see `kmeans_pass`) how far the centers went from ``previous``, which become those of ``centers``."""
    cdef double step, square, move, largest = 0.0, second = 0.0
    cdef Py_ssize_t k, j, fastest = 0
    for k in range(centers.shape[0]):
        square = 0.0
        for j in range(centers.shape[1]):
            step = centers[k, j] - previous[k, j]
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
                const double[::1] moved, bint fresh, int32_t[::1] labels, float[::1] gaps, double[::1] counts,
                double[:, ::1] sum_x, real[::1] workspace, double[::1] sums, int n_threads):
    """One Lloyd pass over the rows of X - shift: labels of the nearest centers (the first of equals).

    The changes of each cluster's weight and sum of x - shift are added to ``counts`` and ``sum_x``; the number of changed labels is
    returned.  Rows whose label cannot have changed are not looked at (Hamerly 2010): ``gaps`` keeps how much farther a row's second
    nearest center was than its nearest, plus what ``moved`` said then of that one, and ``moved[k]`` is the sum over the passes so far of
    how far center k and the fastest of the others went.  With ``fresh`` all rows are looked at, and all are added."""
    cdef Shape s = shape_of(X.shape[1], centers.shape[0], centers.shape[0], 1)
    cdef Py_ssize_t n = X.shape[0], size = sums_length(s), rows = rows_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef const real* data = &X[0, 0]
    cdef const real* origin = &shift[0]
    cdef const real* mu = &centers[0, 0]
    cdef const double* moves = &moved[0]
    cdef double* partial = &sums[0]
    cdef int32_t* labels_out = &labels[0]
    cdef float* gaps_out = &gaps[0]
    cdef Py_ssize_t j, k
    cdef int t
    with nogil:
        memset(partial, 0, n_threads * size * sizeof(double))
        if n_threads == 1:
            assign_rows(data, weights, origin, 0, n, s, mu, moves, fresh, labels_out, gaps_out, work, partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                assign_rows(data, weights, origin, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, moves, fresh,
                            labels_out, gaps_out, work + t * rows, partial + t * size)
        for t in range(1, n_threads):
            for j in range(size):
                partial[j] += partial[t * size + j]
        for k in range(s.n_components):
            counts[k] += partial[1 + k]
            for j in range(s.d):
                sum_x[k, j] += partial[1 + s.n_components + k * s.d + j]
    return int(partial[0])


cdef void closest_rows(const real* X, const double* weights, const real* shift, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* centers,
                       real* closest, bint keep, bint restart, double* block_sums, real* xt, double* sums) noexcept nogil:
    """sums[c] += sum_i w_i min(closest_i, |x_i - c|^2); with `keep` closest is overwritten and every block's sum noted."""
    cdef real* p = xt + 2 * s.d * STRIDE
    cdef real* distance = p + <Py_ssize_t>s.n_components * STRIDE
    cdef real* new
    cdef const real* old
    cdef Py_ssize_t k, first, block
    cdef int m, padded
    cdef double potential
    for block in range(n_blocks(stop - start)):
        first = start + block * BLOCK_ROWS
        m = min(BLOCK_ROWS, stop - first)
        padded = pack_shifted(X + first * s.d, m, s.d, shift, xt)
        distances(xt, padded, s, centers, X + (first + m) * s.d, stop - first - m, p)
        for k in range(s.n_components):
            old = NULL if restart else closest + first
            new = closest + first if keep else distance
            if real is double:
                lower_f64(p + k * STRIDE, old, m, new)
            else:
                lower_f32(p + k * STRIDE, old, m, new)
            potential = weighted_sum(<const real*>new, weights + first if weights != NULL else NULL, m)
            sums[k] += potential
            if keep:
                block_sums[first // BLOCK_ROWS] = potential


def closest_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[::1] shift, const real[:, ::1] centers,
                 real[::1] closest, bint restart, double[::1] block_sums, double[::1] potentials, real[::1] workspace,
                 double[::1] sums, int n_threads):
    """k-means++: potentials_c = sum_i w_i min(closest_i, |x_i - shift - c|^2) for each of a few candidate centers c.

    They are added to ``potentials``.  With ``block_sums`` (one number for each BLOCK rows) there is one center: it is taken, ``closest``
    becomes the minimum (without looking at the old values if ``restart``) and ``block_sums`` its weighted sums over the blocks."""
    cdef Shape s = shape_of(X.shape[1], centers.shape[0], centers.shape[0], 1)
    cdef Py_ssize_t n = X.shape[0], size = sums_length(s), rows = rows_length(s)
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef const real* data = &X[0, 0]
    cdef const real* origin = &shift[0]
    cdef const real* mu = &centers[0, 0]
    cdef real* nearest = &closest[0]
    cdef double* by_block = &block_sums[0] if block_sums is not None else NULL
    cdef double* partial = &sums[0]
    cdef bint keep = block_sums is not None
    cdef Py_ssize_t k
    cdef int t
    with nogil:
        memset(partial, 0, n_threads * size * sizeof(double))
        if n_threads == 1:
            closest_rows(data, weights, origin, 0, n, s, mu, nearest, keep, restart, by_block, work, partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                closest_rows(data, weights, origin, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, nearest, keep,
                             restart, by_block, work + t * rows, partial + t * size)
        for k in range(s.n_components):
            for t in range(1, n_threads):
                partial[k] += partial[t * size + k]
            potentials[k] += partial[k]


cdef Py_ssize_t row_at(const real* closest, const double* weights, const double* block_sums, double threshold, Py_ssize_t n,
                       real* weighted) noexcept nogil:
    cdef Py_ssize_t first = 0, stop = n, i
    cdef int m, q
    cdef double before = 0.0
    cdef real cumulated = 0.0
    cdef const real* mass
    if real is double:  # the sums over blocks are known: cumulate within the one block in question
        for i in range(n_blocks(n) - 1):
            if before + block_sums[i] >= threshold:
                break
            before += block_sums[i]
            first += BLOCK_ROWS
        stop = min(first + BLOCK_ROWS, n)
    while first < stop:
        m = min(BLOCK_ROWS, stop - first)
        mass = closest + first
        if weights != NULL:
            for q in range(m):  # apart from their sum: fused with the addition, the product would not be rounded
                weighted[q] = <real>weights[first + q] * mass[q]
            mass = weighted
        for q in range(m):
            cumulated += mass[q]
            if cumulated + before >= threshold:
                return first + q
        first += m
    return stop - 1


def rows_at(const real[::1] closest, const double[::1] sample_weight, const double[::1] block_sums, const double[::1] thresholds,
            Py_ssize_t[::1] rows, real[::1] workspace):
    """k-means++: rows[t] is the first row at which sum_i w_i closest_i, cumulated, reaches thresholds[t].

    With float32 the sum is rounded to float32 row after row.  From some 10,000 rows on that rounding decides which row it is;
    scikit-learn's sums have it, since version 1.8: exact ones would be another start."""
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef Py_ssize_t t
    with nogil:
        for t in range(thresholds.shape[0]):
            rows[t] = row_at(&closest[0], weights, &block_sums[0], thresholds[t], closest.shape[0], &workspace[0])
