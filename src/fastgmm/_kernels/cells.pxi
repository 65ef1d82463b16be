# Passes that leave components out for rows that lie together: for few features (d <= 4), where it pays to compute whole tiles densely.
#
# Rows of a block of some ten thousands are sorted, by number, by the cells of a partition of the space (a k-d tree), and gathered tile by tile.
# Of a tile the bounding box is known, and what no row of it can need are components with
#
#     c_k + log s - 1 - (1/2 - 1/s) q_k < l - cut,
#
# where q_k is a lower bound of the squared whitened distance of the box from component k, and l one of the rows' log-densities: (2) of
# skipping.pxi, for all rows of the tile at once.  l is the least over the rows of their largest log-density under GUESSES components, those of
# the highest densities at the box's center.  Of the components that are left the log-densities are computed, and those that (2) then rules out
# row by row are left out too.  The others are all the mixture there is for the tile; they are computed by the functions of the dense pass.
#
# For log-densities and labels alone the condition is log w_k + c_k - q_k / 2 < l - cut - log K: all that is left out is less than e^-cut of p_i.

cdef extern from "kernels.h" nogil:
    void box_bounds(int d, int diagonal, const double*, Py_ssize_t, int, const double*, const double*, const double*, double, const double*,
                    double*, double*)
    void largest(const double*, int, int, int32_t*)
    int not_below(const double*, int, double, int32_t*)

    void descend_f64(const double*, int, int, int, const int32_t*, const double*, uint16_t*)
    void bounding_box_f64(const double*, int, int, double*, double*)
    double least_of_largest_f64(const double*, int, int, double*)
    int any_reaches_f64(const double*, int, double, double, const double*)
    void fetch_listed_f64(const double*, int, const uint16_t*, int)

    void descend_f32(const float*, int, int, int, const int32_t*, const float*, uint16_t*)
    void bounding_box_f32(const float*, int, int, double*, double*)
    double least_of_largest_f32(const float*, int, int, float*)
    int any_reaches_f32(const float*, int, float, float, const float*)
    void fetch_listed_f32(const float*, int, const uint16_t*, int)

cdef enum:
    GUESSES = 4
    CELL_ROWS = 128         # where there are fewer rows for a cell, levels of the tree are left out
    LEAST_TILE = 64         # rows: a tile of fewer goes on into the next cell
    MOST_CELL_FEATURES = 4

cdef enum:
    # A thread's counts: pairs that boxes left, tiles and their rows, pairs that were left in the end.
    LEFT, TILES, TILE_ROWS, COUNTING

cdef struct Cells:
    int block                   # rows sorted at a time, at most 2^16
    int depth                   # of the tree
    const int32_t* features     # of its levels
    const void* thresholds      # of X's dtype
    const double* constants     # (K,): c_k + log s - 1
    double slope                # 1/2 - 1/s
    double cut
    double* parameters          # (d + d (d + 1) / 2, stride): component k's means and factor in column k
    Py_ssize_t stride

cdef struct Sorted:
    # A thread's rows of a block in the order of their cells, and what is found out about a tile of them.
    uint16_t* cells
    uint16_t* rows
    int32_t* starts
    int32_t* components         # that are left
    double* bounds
    double* densities
    double* weights


cdef inline Py_ssize_t cells_doubles(int K) noexcept nogil:
    """One thread's."""
    return (2 * <Py_ssize_t>K + BLOCK_ROWS + 7) // 8 * 8


cdef inline Py_ssize_t cells_integers(int K, int block, int depth) noexcept nogil:
    return (<Py_ssize_t>block + (<Py_ssize_t>1 << depth) + 2 + K + 1 + 15) // 16 * 16


cdef inline Py_ssize_t cell_parameters(int d) noexcept nogil:
    return d + d * (d + 1) // 2


def cells_workspace_sizes(int n_features, int n_components, int block, int depth, int n_threads):
    """Lengths of the workspaces of float64 and int32, aligned to 64 bytes, of `cells_em_pass`."""
    return (n_threads * cells_doubles(n_components) + cell_parameters(n_features) * ((n_components + 7) // 8 * 8),
            n_threads * cells_integers(n_components, block, depth))


cdef Sorted sorted_in(const Cells* look, int K, double* doubles, int32_t* integers) noexcept nogil:
    cdef Sorted p
    p.bounds = doubles
    p.densities = p.bounds + K
    p.weights = p.densities + K
    p.components = integers
    p.starts = p.components + K + 1
    p.cells = <uint16_t*>(p.starts + (1 << look.depth) + 2)
    p.rows = p.cells + look.block
    return p


cdef void side_by_side(const real* means, const real* factors, Shape s, double* parameters, Py_ssize_t stride) noexcept nogil:
    """Means and factors with the components in the lanes, as box_bounds reads them."""
    cdef Py_ssize_t k, j, a
    cdef Py_ssize_t size = s.d if s.diag else s.d * s.d
    cdef const real* U
    cdef double* out
    for k in range(s.n_components):
        U = factors + (k * size if s.n_factors > 1 else 0)
        out = parameters + k
        for j in range(s.d):
            out[0] = means[k * s.d + j]
            out += stride
        for a in range(s.d):
            for j in range(a if s.diag else 0, a + 1):
                out[0] = U[a] if s.diag else U[j * s.d + a]
                out += stride


cdef void sort_by_cell(const real* X, int m, int d, const Cells* look, const Sorted* p) noexcept nogil:
    """rows[starts[c]] .. rows[starts[c + 1] - 1] are those of cell c, ascending."""
    cdef int block, first, count, i, c, depth = look.depth
    while depth > 0 and (m >> depth) < CELL_ROWS:
        depth -= 1
    for block in range(n_blocks(m)):
        first = block * BLOCK_ROWS
        count = min(BLOCK_ROWS, m - first)
        if real is double:
            descend_f64(X + <Py_ssize_t>first * d, count, d, depth, look.features, <const double*>look.thresholds, p.cells + first)
        else:
            descend_f32(X + <Py_ssize_t>first * d, count, d, depth, look.features, <const float*>look.thresholds, p.cells + first)
    memset(p.starts, 0, ((1 << depth) + 2) * sizeof(int32_t))
    for i in range(m):
        p.starts[p.cells[i] + 2] += 1
    for c in range(1 << depth):
        p.starts[c + 2] += p.starts[c + 1]
    for i in range(m):
        c = p.cells[i]
        p.rows[p.starts[c + 1]] = <uint16_t>i
        p.starts[c + 1] += 1


cdef void component_log_probs(const real* xt, int padded, Shape s, Py_ssize_t k, const real* means, const real* packed,
                              const double* log_const, real* p) noexcept nogil:
    cdef Shape one = s
    one.n_components = one.n_factors = 1
    log_probs(xt, padded, one, means + k * s.d, packed + (k * factor_length(s) if s.n_factors > 1 else 0), log_const + k, NULL, 0, False, p)


cdef int components_left(const real* xt, int padded, Shape s, const real* means, const real* packed, const double* log_const,
                         const Cells* look, const Sorted* p, real* most, real* scratch) noexcept nogil:
    """How many components the rows of a tile may need; their numbers are in p.components.  most <- log-densities under guesses."""
    cdef double center[MOST_CELL_FEATURES]
    cdef double half[MOST_CELL_FEATURES]
    cdef double least
    cdef int a, n_guesses = min(GUESSES, s.n_components)
    if real is double:
        bounding_box_f64(xt, padded, s.d, center, half)
    else:
        bounding_box_f32(xt, padded, s.d, center, half)
    box_bounds(s.d, s.diag, look.parameters, look.stride, s.n_components, center, half, look.constants, look.slope, log_const, p.bounds,
               p.densities)
    largest(p.densities, s.n_components, n_guesses, p.components)
    for a in range(n_guesses):
        component_log_probs(xt, padded, s, p.components[a], means, packed, log_const, scratch + a * STRIDE)
    if real is double:
        least = least_of_largest_f64(scratch, n_guesses, padded, most)
    else:
        least = least_of_largest_f32(scratch, n_guesses, padded, most)
    return not_below(p.bounds, s.n_components, least_bound(least, look.cut), p.components)


cdef bint may_count(const real* v, int padded, Py_ssize_t k, const double* log_const, const Cells* look,
                    const real* most) noexcept nogil:
    """Whether component k, whose log-densities are v, may count for any of the rows."""
    cdef double slope = 2.0 * look.slope, constant = look.constants[k] - slope * log_const[k] + look.cut
    if real is double:
        return any_reaches_f64(v, padded, slope, constant, most)
    else:
        return any_reaches_f32(v, padded, slope, constant, most)


cdef void em_tile(const real* X, Py_ssize_t readable, const double* w, const uint16_t* rows, int n, Shape s, const real* means,
                  const real* centers, const real* packed, const double* log_const, bint with_entropy, const Cells* look, const Sorted* p,
                  real* xt, double* sums, int64_t* counts) noexcept nogil:
    """em_block of the rows listed, and of the components they may need."""
    cdef real* z = xt + s.d * STRIDE
    cdef real* v = z + s.d * STRIDE
    cdef real* peak = v + <Py_ssize_t>s.n_components * STRIDE
    cdef real* inverse = peak + STRIDE
    cdef real* scale = inverse + STRIDE
    cdef real* entropy = scale + STRIDE if with_entropy else NULL
    cdef const double* weights = p.weights if w != NULL else NULL
    cdef Shape part = s
    cdef int a, k, left, count = 0, padded = gather(X, s.d, readable, rows, n, xt)
    left = components_left(xt, padded, s, means, packed, log_const, look, p, peak, v)
    for a in range(left):
        k = p.components[count] = p.components[a]
        component_log_probs(xt, padded, s, k, means, packed, log_const, v + count * <Py_ssize_t>STRIDE)
        count += may_count(v + count * <Py_ssize_t>STRIDE, padded, k, log_const, look, peak)
    part.n_components = count
    if w != NULL:
        for a in range(n):
            p.weights[a] = w[rows[a]]
    softmax(v, padded, part, peak, inverse, entropy)
    sums[0] += weighted_sum(peak, weights, n)
    if with_entropy:
        sums[1] += weighted_sum(entropy, weights, n)
    scales(weights, inverse, n, padded, s, scale)
    for a in range(count):
        accumulate_one(xt, padded, s, p.components[a], centers, v + a * <Py_ssize_t>STRIDE, scale, z, sums + 2)
    counts[LEFT] += n * left
    counts[COUNTING] += n * count
    counts[TILES] += 1
    counts[TILE_ROWS] += n


cdef void density_tile(const real* X, Py_ssize_t readable, const uint16_t* rows, int n, Shape s, const real* means, const real* packed,
                       const double* log_const, const Cells* look, const Sorted* p, real* xt, real* log_prob_norm, int64_t* labels,
                       int64_t* counts) noexcept nogil:
    """density_rows of the rows listed, and of the components they may need."""
    cdef real* v = xt + 2 * s.d * STRIDE
    cdef real* peak = v + <Py_ssize_t>s.n_components * STRIDE
    cdef real* inverse = peak + STRIDE
    cdef int32_t* best = <int32_t*>(inverse + STRIDE)
    cdef Shape part = s
    cdef int a, padded = gather(X, s.d, readable, rows, n, xt)
    part.n_components = components_left(xt, padded, s, means, packed, log_const, look, p, peak, v)
    for a in range(part.n_components):
        component_log_probs(xt, padded, s, p.components[a], means, packed, log_const, v + a * <Py_ssize_t>STRIDE)
    if labels != NULL:
        if real is double:
            arg_max_f64(v, part.n_components, n, peak, best)
        else:
            arg_max_f32(v, part.n_components, n, peak, best)
        for a in range(n):
            labels[rows[a]] = p.components[best[a]]
    if log_prob_norm != NULL:
        softmax_all(v, padded, part, peak, inverse)
        for a in range(n):
            log_prob_norm[rows[a]] = peak[a]
    counts[LEFT] += n * part.n_components
    counts[TILES] += 1
    counts[TILE_ROWS] += n


cdef void fetch_listed(const real* X, int d, const uint16_t* rows, int n) noexcept nogil:
    if real is double:
        fetch_listed_f64(X, d, rows, n)
    else:
        fetch_listed_f32(X, d, rows, n)


cdef int tile_rows(int first, int m, const Sorted* p, int* cell) noexcept nogil:
    """How many of the m sorted rows, from the given one on, are looked at together: those of a cell, or of several that hold few.

    cell is the one in which the tile before ended, and becomes that of this one."""
    cdef int rest
    while p.starts[cell[0] + 1] < min(first + LEAST_TILE, m):
        cell[0] += 1
    rest = p.starts[cell[0] + 1] - first
    return (rest + n_blocks(rest) - 1) // n_blocks(rest) if rest else 0


cdef int next_tile(const real* X, int first, int m, int d, const Sorted* p, int* cell) noexcept nogil:
    """tile_rows, and these rows are fetched."""
    cdef int count = tile_rows(first, m, p, cell)
    fetch_listed(X, d, p.rows + first, count)
    return count


cdef void cells_em_rows(const real* X, const double* weights, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* means,
                        const real* centers, const real* packed, const double* log_const, bint with_entropy, const Cells* look,
                        double* doubles, int32_t* integers, real* xt, double* sums, int64_t* counts) noexcept nogil:
    """em_rows with components left out."""
    cdef Sorted rows_in_order = sorted_in(look, s.n_components, doubles, integers)
    cdef const Sorted* p = &rows_in_order
    cdef Py_ssize_t n = stop - start, n_parts = (n + look.block - 1) // look.block
    cdef Py_ssize_t part, first
    cdef int m, row, count, ahead, cell
    for part in range(n_parts):
        first = start + n * part // n_parts
        m = start + n * (part + 1) // n_parts - first
        sort_by_cell(X + first * s.d, m, s.d, look, p)
        row = cell = 0
        count = next_tile(X + first * s.d, 0, m, s.d, p, &cell)
        while row < m:
            ahead = next_tile(X + first * s.d, row + count, m, s.d, p, &cell)
            em_tile(X + first * s.d, (stop - first) * s.d, weights + first if weights != NULL else NULL, p.rows + row, count, s, means,
                    centers, packed, log_const, with_entropy, look, p, xt, sums, counts)
            row, count = row + count, ahead


cdef void cells_density_rows(const real* X, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* means, const real* packed,
                             const double* log_const, const Cells* look, double* doubles, int32_t* integers, real* xt, real* log_prob_norm,
                             int64_t* labels, int64_t* counts) noexcept nogil:
    """density_rows with components left out."""
    cdef Sorted rows_in_order = sorted_in(look, s.n_components, doubles, integers)
    cdef const Sorted* p = &rows_in_order
    cdef Py_ssize_t n = stop - start, n_parts = (n + look.block - 1) // look.block
    cdef Py_ssize_t part, first
    cdef int m, row, count, ahead, cell
    for part in range(n_parts):
        first = start + n * part // n_parts
        m = start + n * (part + 1) // n_parts - first
        sort_by_cell(X + first * s.d, m, s.d, look, p)
        row = cell = 0
        count = next_tile(X + first * s.d, 0, m, s.d, p, &cell)
        while row < m:
            ahead = next_tile(X + first * s.d, row + count, m, s.d, p, &cell)
            density_tile(X + first * s.d, (stop - first) * s.d, p.rows + row, count, s, means, packed, log_const, look, p, xt,
                         log_prob_norm + first if log_prob_norm != NULL else NULL, labels + first if labels != NULL else NULL, counts)
            row, count = row + count, ahead


cdef Cells cells_of(const int32_t[::1] features, const real[::1] thresholds, const double[::1] constants, double slope, double cut,
                    int block, double* parameters) noexcept:
    cdef Cells c
    c.block, c.depth = block, features.shape[0]
    c.features, c.thresholds, c.constants = &features[0], &thresholds[0], &constants[0]
    c.slope, c.cut = slope, cut
    c.parameters, c.stride = parameters, (constants.shape[0] + 7) // 8 * 8
    return c


def cells_em_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[:, ::1] means, const real[:, ::1] centers,
                  const real[:, :, ::1] factors, const double[::1] log_const, double[::1] nk, double[:, ::1] sum_x,
                  double[:, :, ::1] scatter, bint with_entropy, real[::1] workspace, double[::1] sums, int n_threads,
                  const int32_t[::1] features, const real[::1] thresholds, const double[::1] constants, double slope, double cut, int block,
                  double[::1] doubles, int32_t[::1] integers, int64_t[:, ::1] counts):
    """em_pass with components left out that no row of a tile can need; `counts` (n_threads, 8) grow by what was left of them."""
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], size = sums_length(s), rows = rows_length(s), n_counts = counts.shape[1], n_doubles, n_integers
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * rows
    cdef const real* data = &X[0, 0]
    cdef const real* mu = &means[0, 0]
    cdef const real* about = &centers[0, 0]
    cdef const double* log_constants = &log_const[0]
    cdef double* partial = &sums[0]
    cdef double* double_work = &doubles[0]
    cdef int32_t* integer_work = &integers[0]
    cdef int64_t* counted = &counts[0, 0]
    cdef Cells cells = cells_of(features, thresholds, constants, slope, cut, block, double_work + n_threads * cells_doubles(s.n_components))
    cdef const Cells* look = &cells
    cdef int t
    n_doubles, n_integers = cells_doubles(s.n_components), cells_integers(s.n_components, block, cells.depth)
    with nogil:
        memset(partial, 0, n_threads * size * sizeof(double))
        pack_factors(&factors[0, 0, 0], s, packed)
        side_by_side(mu, &factors[0, 0, 0], s, cells.parameters, cells.stride)
        if n_threads == 1:
            cells_em_rows(data, weights, 0, n, s, mu, about, packed, log_constants, with_entropy, look, double_work, integer_work, work,
                          partial, counted)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                cells_em_rows(data, weights, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, about, packed,
                              log_constants, with_entropy, look, double_work + t * n_doubles, integer_work + t * n_integers,
                              work + t * rows, partial + t * size, counted + t * n_counts)
        merge(partial, size, n_threads, s, &nk[0], &sum_x[0, 0], &scatter[0, 0, 0])
    return partial[0], partial[1]


def cells_density_pass(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors, const double[::1] log_const,
                       real[::1] log_prob_norm, int64_t[::1] labels, real[::1] workspace, int n_threads,
                       const int32_t[::1] features, const real[::1] thresholds, const double[::1] constants, double slope, double cut,
                       int block, double[::1] doubles, int32_t[::1] integers, int64_t[:, ::1] counts):
    """density_pass with components left out that no row of a tile can need."""
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], rows = rows_length(s), n_counts = counts.shape[1], n_doubles, n_integers
    cdef real* norm_out = &log_prob_norm[0] if log_prob_norm is not None else NULL
    cdef int64_t* labels_out = &labels[0] if labels is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * rows
    cdef const real* data = &X[0, 0]
    cdef const real* mu = &means[0, 0]
    cdef const double* log_constants = &log_const[0]
    cdef double* double_work = &doubles[0]
    cdef int32_t* integer_work = &integers[0]
    cdef int64_t* counted = &counts[0, 0]
    cdef Cells cells = cells_of(features, thresholds, constants, slope, cut, block, double_work + n_threads * cells_doubles(s.n_components))
    cdef const Cells* look = &cells
    cdef int t
    n_doubles, n_integers = cells_doubles(s.n_components), cells_integers(s.n_components, block, cells.depth)
    with nogil:
        pack_factors(&factors[0, 0, 0], s, packed)
        side_by_side(mu, &factors[0, 0, 0], s, cells.parameters, cells.stride)
        if n_threads == 1:
            cells_density_rows(data, 0, n, s, mu, packed, log_constants, look, double_work, integer_work, work, norm_out, labels_out, counted)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                cells_density_rows(data, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, packed, log_constants, look,
                                   double_work + t * n_doubles, integer_work + t * n_integers, work + t * rows, norm_out, labels_out,
                                   counted + t * n_counts)


def count_components(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors, const double[::1] log_const,
                     const int32_t[::1] features, const real[::1] thresholds, const double[::1] constants, double slope, double cut, int block,
                     real[::1] workspace, double[::1] doubles, int32_t[::1] integers, int64_t[:, ::1] counts):
    """Of at most a block of rows, add to the first row of `counts` what cells_em_pass would."""
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Cells cells = cells_of(features, thresholds, constants, slope, cut, block, &doubles[cells_doubles(s.n_components)])
    cdef Sorted rows_in_order = sorted_in(&cells, s.n_components, &doubles[0], &integers[0])
    cdef const Sorted* p = &rows_in_order
    cdef real* xt = &workspace[0]
    cdef real* packed = xt + rows_length(s)
    cdef real* peak = xt + (2 * s.d + s.n_components) * <Py_ssize_t>STRIDE
    cdef int m = X.shape[0], row = 0, count, cell = 0, padded
    with nogil:
        pack_factors(&factors[0, 0, 0], s, packed)
        side_by_side(&means[0, 0], &factors[0, 0, 0], s, cells.parameters, cells.stride)
        sort_by_cell(&X[0, 0], m, s.d, &cells, p)
        while row < m:
            count = tile_rows(row, m, p, &cell)
            padded = gather(&X[0, 0], s.d, <Py_ssize_t>m * s.d, p.rows + row, count, xt)
            counts[0, LEFT] += count * components_left(xt, padded, s, &means[0, 0], packed, &log_const[0], &cells, p,
                                                       peak, xt + 2 * s.d * <Py_ssize_t>STRIDE)
            counts[0, TILES] += 1
            counts[0, TILE_ROWS] += count
            row += count
