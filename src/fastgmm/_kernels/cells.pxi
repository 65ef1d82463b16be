# Which components the rows of a cell may need: bounds for whole tiles of rows, for few features (d <= 4), where
# computing a pair costs less than deciding about it.
#
# A k-d tree partitions the space into cells, its leaves.  The rows of a block (some ten thousands) are sorted by cell,
# as indices, and gathered tile by tile; a tile has rows of one cell, or of neighboring cells with few rows.  No row of
# a tile needs a component if
#
#     c_k + log s - 1 - (1/2 - 1/s) q_k < l - cut,
#
# which is (2) of screen.pxi for all its rows: q_k is a lower bound of the squared whitened distance between the tile's
# bounding box and the component, and l a lower bound of the rows' log p_i, the least over the rows of the largest
# log-density under GUESSES components, those with the highest densities at the center of the box.  The remaining
# components' log-densities are computed, and the EM pass then drops those that (2) excludes row by row.  The rest is
# the tile's mixture, and is computed by the functions of the dense pass.
#
# For log-likelihoods and labels the condition is log w_k + c_k - q_k / 2 < l - cut - log K: all dropped components
# together are less than e^-cut of p_i.

cdef extern from "kernels.h" nogil:
    void box_bounds(int d, int diagonal, const double*, Py_ssize_t, int, const double*, const double*, const double*, double, const double*,
                    double*, double*)
    void largest(const double*, int, int, int32_t*)
    int not_below(const double*, int, double, int32_t*)

    void find_cells_f64(const double*, int, int, int, const int32_t*, const double*, uint16_t*)
    void bounding_box_f64(const double*, int, int, double*, double*)
    double least_of_largest_f64(const double*, int, int, double*)
    int any_reaches_f64(const double*, int, double, double, const double*)
    void prefetch_listed_f64(const double*, int, const uint16_t*, int)

    void find_cells_f32(const float*, int, int, int, const int32_t*, const float*, uint16_t*)
    void bounding_box_f32(const float*, int, int, double*, double*)
    double least_of_largest_f32(const float*, int, int, float*)
    int any_reaches_f32(const float*, int, float, float, const float*)
    void prefetch_listed_f32(const float*, int, const uint16_t*, int)

cdef enum:
    GUESSES = 4
    MIN_CELL_ROWS = 128     # a block uses so many levels of the tree that cells have at least as many rows on average
    MIN_TILE_ROWS = 64      # a smaller tile is extended into the next cell
    MAX_CELL_FEATURES = 4

cdef struct Partition:
    int block                # rows sorted at a time, at most 2^16
    int depth                # of the tree
    const int32_t* features  # (depth,), the feature that a level splits
    const void* thresholds   # (2^depth,) of X's dtype: node n of level l at 2^l + n
    const double* constants  # (K,), c_k + log s - 1
    double slope             # 1/2 - 1/s
    double cut
    double* parameters       # (d + d (d + 1) / 2, stride): component k's mean and factor in column k
    Py_ssize_t stride

cdef struct CellOrder:
    # A thread's rows of a block in the order of cells, and results about a tile.
    uint16_t* cells          # (block,), cell of each row
    uint16_t* rows           # (block,), rows by cell
    int32_t* starts          # (2^depth + 2,), where a cell begins in rows
    int32_t* components      # (K + 1,), those needed
    double* bounds           # (K,), left side of the condition
    double* densities        # (K,), log-densities at the center of the box
    double* weights          # (BLOCK_ROWS,), of the tile's rows


cdef inline Py_ssize_t cells_doubles(int K) noexcept nogil:
    return (2 * <Py_ssize_t>K + BLOCK_ROWS + 7) // 8 * 8

cdef inline Py_ssize_t cells_integers(int K, int block, int depth) noexcept nogil:
    return (<Py_ssize_t>block + (<Py_ssize_t>1 << depth) + 2 + K + 1 + 15) // 16 * 16

cdef inline Py_ssize_t cell_parameters(int d) noexcept nogil:
    return d + d * (d + 1) // 2


def cells_workspace_sizes(int n_features, int n_components, int block, int depth, int n_threads):
    """Lengths of the scratch arrays ``doubles`` and ``integers`` of the passes by cells, aligned to 64 bytes."""
    return (n_threads * cells_doubles(n_components) + cell_parameters(n_features) * ((n_components + 7) // 8 * 8),
            n_threads * cells_integers(n_components, block, depth))


cdef Partition partition_of(const int32_t[::1] features, const real[::1] thresholds, const double[::1] constants,
                            double slope, double cut, int block, double* parameters) noexcept:
    cdef Partition c
    c.block, c.depth = block, features.shape[0]
    c.features, c.thresholds, c.constants = &features[0], &thresholds[0], &constants[0]
    c.slope, c.cut = slope, cut
    c.parameters, c.stride = parameters, (constants.shape[0] + 7) // 8 * 8
    return c


cdef CellOrder cell_order_in(const Partition* partition, int K, double* doubles, int32_t* integers) noexcept nogil:
    """A thread's arrays within its parts of the workspaces."""
    cdef CellOrder order
    order.bounds = doubles
    order.densities = order.bounds + K
    order.weights = order.densities + K
    order.components = integers
    order.starts = order.components + K + 1
    order.cells = <uint16_t*>(order.starts + (1 << partition.depth) + 2)
    order.rows = order.cells + partition.block
    return order


cdef void pack_parameters(const real* means, const real* factors, Shape s, double* parameters,
                          Py_ssize_t stride) noexcept nogil:
    """parameters <- means and factors with the components in the lanes, as box_bounds reads them."""
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


cdef void sort_by_cell(const real* X, int m, int d, const Partition* partition, const CellOrder* order) noexcept nogil:
    """Counting sort: rows[starts[c]] .. rows[starts[c + 1] - 1] <- the rows of cell c, ascending."""
    cdef int block, first, count, i, c, depth = partition.depth
    while depth > 0 and (m >> depth) < MIN_CELL_ROWS:
        depth -= 1
    for block in range(n_blocks(m)):
        first = block * BLOCK_ROWS
        count = min(BLOCK_ROWS, m - first)
        if real is double:
            find_cells_f64(X + <Py_ssize_t>first * d, count, d, depth, partition.features,
                           <const double*>partition.thresholds, order.cells + first)
        else:
            find_cells_f32(X + <Py_ssize_t>first * d, count, d, depth, partition.features,
                           <const float*>partition.thresholds, order.cells + first)
    memset(order.starts, 0, ((1 << depth) + 2) * sizeof(int32_t))
    for i in range(m):
        order.starts[order.cells[i] + 2] += 1
    for c in range(1 << depth):
        order.starts[c + 2] += order.starts[c + 1]
    for i in range(m):
        c = order.cells[i]
        order.rows[order.starts[c + 1]] = <uint16_t>i
        order.starts[c + 1] += 1


cdef void component_log_densities(const real* xt, int padded, Shape s, Py_ssize_t k, const real* means,
                                  const real* packed, const double* log_const, real* p) noexcept nogil:
    """p_i <- log w_k N(x_i; mean_k)."""
    cdef Shape one = s
    one.n_components = one.n_factors = 1
    log_densities(xt, padded, one, means + k * s.d, packed + (k * factor_length(s) if s.n_factors > 1 else 0),
                  log_const + k, NULL, 0, False, p)


cdef int needed_components(const real* xt, int padded, Shape s, const real* means, const real* packed,
                           const double* log_const, const Partition* partition, const CellOrder* order, real* best,
                           real* scratch) noexcept nogil:
    """order.components <- those a tile may need; returns how many.  best <- the largest log-densities under guesses."""
    cdef double center[MAX_CELL_FEATURES]
    cdef double half[MAX_CELL_FEATURES]
    cdef double least
    cdef int a, n_guesses = min(GUESSES, s.n_components)
    if real is double:
        bounding_box_f64(xt, padded, s.d, center, half)
    else:
        bounding_box_f32(xt, padded, s.d, center, half)
    box_bounds(s.d, s.diag, partition.parameters, partition.stride, s.n_components, center, half, partition.constants,
               partition.slope, log_const, order.bounds, order.densities)
    largest(order.densities, s.n_components, n_guesses, order.components)
    for a in range(n_guesses):
        component_log_densities(xt, padded, s, order.components[a], means, packed, log_const, scratch + a * STRIDE)
    if real is double:
        least = least_of_largest_f64(scratch, n_guesses, padded, best)
    else:
        least = least_of_largest_f32(scratch, n_guesses, padded, best)
    return not_below(order.bounds, s.n_components, least_bound(least, partition.cut), order.components)


cdef void prefetch_listed(const real* X, int d, const uint16_t* rows, int n) noexcept nogil:
    if real is double:
        prefetch_listed_f64(X, d, rows, n)
    else:
        prefetch_listed_f32(X, d, rows, n)


cdef int tile_rows(int first, int m, const CellOrder* order, int* cell) noexcept nogil:
    """Number of the sorted rows, `first` of m on, that make a tile: those of a cell, or of several with few rows.

    cell: IN, the cell in which the tile before ended; OUT, that of this one."""
    cdef int rest
    while order.starts[cell[0] + 1] < min(first + MIN_TILE_ROWS, m):
        cell[0] += 1
    rest = order.starts[cell[0] + 1] - first
    return (rest + n_blocks(rest) - 1) // n_blocks(rest) if rest else 0


cdef int prefetch_tile(const real* X, int first, int m, int d, const CellOrder* order, int* cell) noexcept nogil:
    """As tile_rows; the rows are prefetched."""
    cdef int count = tile_rows(first, m, order, cell)
    prefetch_listed(X, d, order.rows + first, count)
    return count


def count_components(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                     const double[::1] log_const, const int32_t[::1] features, const real[::1] thresholds,
                     const double[::1] constants, double slope, double cut, int block, real[::1] workspace,
                     double[::1] doubles, int32_t[::1] integers):
    """Of at most ``block`` rows: the number of pairs (row, component) that boxes leave, and of tiles."""
    # Arguments are those of cells_em_pass with one thread.
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Partition values = partition_of(features, thresholds, constants, slope, cut, block,
                                         &doubles[cells_doubles(s.n_components)])
    cdef const Partition* partition = &values
    cdef CellOrder arrays = cell_order_in(partition, s.n_components, &doubles[0], &integers[0])
    cdef const CellOrder* order = &arrays
    cdef real* xt = &workspace[0]
    cdef real* packed = xt + work_length(s)
    cdef real* peak = xt + (2 * s.d + s.n_components) * <Py_ssize_t>STRIDE
    cdef int m = X.shape[0], row = 0, count, cell = 0, padded, n_tiles = 0
    cdef int64_t n_pairs = 0
    with nogil:
        pack_factors(&factors[0, 0, 0], s, packed)
        pack_parameters(&means[0, 0], &factors[0, 0, 0], s, partition.parameters, partition.stride)
        sort_by_cell(&X[0, 0], m, s.d, partition, order)
        while row < m:
            count = tile_rows(row, m, order, &cell)
            padded = gather(&X[0, 0], s.d, <Py_ssize_t>m * s.d, order.rows + row, count, xt)
            n_pairs += count * needed_components(xt, padded, s, &means[0, 0], packed, &log_const[0], partition, order,
                                                 peak, xt + 2 * s.d * <Py_ssize_t>STRIDE)
            n_tiles += 1
            row += count
    return n_pairs, n_tiles
