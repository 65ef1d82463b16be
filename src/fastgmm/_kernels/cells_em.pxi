# The pass of EM without components that no row of a tile can need; cells.pxi says which.


cdef bint is_needed(const real* v, int padded, Py_ssize_t k, const double* log_const, const Partition* partition,
                    const real* best) noexcept nogil:
    """Whether component k with log-densities v may count for any of the rows."""
    cdef double slope = 2.0 * partition.slope, constant = partition.constants[k] - slope * log_const[k] + partition.cut
    if real is double:
        return any_reaches_f64(v, padded, slope, constant, best)
    else:
        return any_reaches_f32(v, padded, slope, constant, best)


cdef void em_tile(const real* X, Py_ssize_t readable, const double* w, const uint16_t* rows, int n, Shape s,
                  const real* means, const real* centers, const real* packed, const double* log_const,
                  bint with_entropy, const Partition* partition, const CellOrder* order, real* xt,
                  double* sums) noexcept nogil:
    """As em_rows, for the listed rows and the components they may need."""
    cdef real* z = xt + s.d * STRIDE
    cdef real* v = z + s.d * STRIDE
    cdef real* peak = v + <Py_ssize_t>s.n_components * STRIDE
    cdef real* inverse = peak + STRIDE
    cdef real* scale = inverse + STRIDE
    cdef real* entropy = scale + STRIDE if with_entropy else NULL
    cdef const double* weights = order.weights if w != NULL else NULL
    cdef Shape part = s
    cdef int a, k, left, count = 0, padded = gather(X, s.d, readable, rows, n, xt)
    left = needed_components(xt, padded, s, means, packed, log_const, partition, order, peak, v)
    for a in range(left):
        k = order.components[count] = order.components[a]
        component_log_densities(xt, padded, s, k, means, packed, log_const, v + count * <Py_ssize_t>STRIDE)
        count += is_needed(v + count * <Py_ssize_t>STRIDE, padded, k, log_const, partition, peak)
    part.n_components = count
    if w != NULL:
        for a in range(n):
            order.weights[a] = w[rows[a]]
    softmax(v, padded, part, peak, inverse, entropy)
    sums[0] += weighted_sum(peak, weights, n)
    if with_entropy:
        sums[1] += weighted_sum(entropy, weights, n)
    scales(weights, inverse, n, padded, s, scale)
    for a in range(count):
        accumulate_one(xt, padded, s, order.components[a], centers, v + a * <Py_ssize_t>STRIDE, scale, z, sums + 2)


cdef void cells_em_rows(const real* X, const double* weights, Py_ssize_t start, Py_ssize_t stop, Shape s,
                        const real* means, const real* centers, const real* packed, const double* log_const,
                        bint with_entropy, const Partition* partition, double* doubles, int32_t* integers, real* xt,
                        double* sums) noexcept nogil:
    """As em_rows, with components omitted."""
    cdef CellOrder arrays = cell_order_in(partition, s.n_components, doubles, integers)
    cdef const CellOrder* order = &arrays
    cdef Py_ssize_t n = stop - start, n_parts = (n + partition.block - 1) // partition.block
    cdef Py_ssize_t part, first
    cdef int m, row, count, ahead, cell
    for part in range(n_parts):
        first = start + n * part // n_parts
        m = start + n * (part + 1) // n_parts - first
        sort_by_cell(X + first * s.d, m, s.d, partition, order)
        row = cell = 0
        count = prefetch_tile(X + first * s.d, 0, m, s.d, order, &cell)
        while row < m:
            ahead = prefetch_tile(X + first * s.d, row + count, m, s.d, order, &cell)
            em_tile(X + first * s.d, (stop - first) * s.d, weights + first if weights != NULL else NULL,
                    order.rows + row, count, s, means, centers, packed, log_const, with_entropy, partition, order, xt,
                    sums)
            row, count = row + count, ahead


def cells_em_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[:, ::1] means,
                  const real[:, ::1] centers, const real[:, :, ::1] factors, const double[::1] log_const,
                  double[::1] nk, double[:, ::1] sum_x, double[:, :, ::1] scatter, bint with_entropy,
                  real[::1] workspace, double[::1] sums, int n_threads, const int32_t[::1] features,
                  const real[::1] thresholds, const double[::1] constants, double slope, double cut, int block,
                  double[::1] doubles, int32_t[::1] integers):
    """As em_pass, without components that no row of a tile can need."""
    # The first arguments are those of em_pass, which returns the same.
    # features     IN       (depth,) int32, feature that each level of the tree splits
    # thresholds   IN       (2^depth,) real, of node n of level l at 2^l + n
    # constants    IN       (K,) float64; with slope and cut, the condition at the head of cells.pxi
    # block        IN       rows sorted at a time, at most 2^16
    # doubles      scratch  float64, integers int32: lengths by cells_workspace_sizes
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], n_sums = sums_length(s), n_work = work_length(s)
    cdef Py_ssize_t n_doubles, n_integers
    cdef const double* weights = &sample_weight[0] if sample_weight is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * n_work
    cdef const real* data = &X[0, 0]
    cdef const real* mu = &means[0, 0]
    cdef const real* about = &centers[0, 0]
    cdef const double* log_constants = &log_const[0]
    cdef double* partial = &sums[0]
    cdef double* double_work = &doubles[0]
    cdef int32_t* integer_work = &integers[0]
    cdef Partition values = partition_of(features, thresholds, constants, slope, cut, block,
                                         double_work + n_threads * cells_doubles(s.n_components))
    cdef const Partition* partition = &values
    cdef int t
    n_doubles, n_integers = cells_doubles(s.n_components), cells_integers(s.n_components, block, partition.depth)
    with nogil:
        memset(partial, 0, n_threads * n_sums * sizeof(double))
        pack_factors(&factors[0, 0, 0], s, packed)
        pack_parameters(mu, &factors[0, 0, 0], s, partition.parameters, partition.stride)
        if n_threads == 1:
            cells_em_rows(data, weights, 0, n, s, mu, about, packed, log_constants, with_entropy, partition,
                          double_work, integer_work, work, partial)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                cells_em_rows(data, weights, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, about,
                              packed, log_constants, with_entropy, partition, double_work + t * n_doubles,
                              integer_work + t * n_integers, work + t * n_work, partial + t * n_sums)
        merge(partial, n_sums, n_threads, s, &nk[0], &sum_x[0, 0], &scatter[0, 0, 0])
    return partial[0], partial[1]
