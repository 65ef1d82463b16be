# The pass that writes log-likelihoods or labels, without components that a tile cannot need; cells.pxi says which.


cdef void density_tile(const real* X, Py_ssize_t readable, const uint16_t* rows, int n, Shape s, const real* means,
                       const real* packed, const double* log_const, const Partition* partition, const CellOrder* order,
                       real* xt, real* log_prob_norm, int64_t* labels) noexcept nogil:
    """As density_rows, for the listed rows and the components they may need."""
    cdef real* v = xt + 2 * s.d * STRIDE
    cdef real* peak = v + <Py_ssize_t>s.n_components * STRIDE
    cdef real* inverse = peak + STRIDE
    cdef int32_t* best = <int32_t*>(inverse + STRIDE)
    cdef Shape part = s
    cdef int a, padded = gather(X, s.d, readable, rows, n, xt)
    part.n_components = needed_components(xt, padded, s, means, packed, log_const, partition, order, peak, v)
    for a in range(part.n_components):
        component_log_densities(xt, padded, s, order.components[a], means, packed, log_const,
                                v + a * <Py_ssize_t>STRIDE)
    if labels != NULL:
        if real is double:
            arg_max_f64(v, part.n_components, n, peak, best)
        else:
            arg_max_f32(v, part.n_components, n, peak, best)
        for a in range(n):
            labels[rows[a]] = order.components[best[a]]
    if log_prob_norm != NULL:
        softmax_all(v, padded, part, peak, inverse)
        for a in range(n):
            log_prob_norm[rows[a]] = peak[a]


cdef void cells_density_rows(const real* X, Py_ssize_t start, Py_ssize_t stop, Shape s, const real* means,
                             const real* packed, const double* log_const, const Partition* partition, double* doubles,
                             int32_t* integers, real* xt, real* log_prob_norm, int64_t* labels) noexcept nogil:
    """As density_rows, with components omitted."""
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
            density_tile(X + first * s.d, (stop - first) * s.d, order.rows + row, count, s, means, packed, log_const,
                         partition, order, xt, log_prob_norm + first if log_prob_norm != NULL else NULL,
                         labels + first if labels != NULL else NULL)
            row, count = row + count, ahead


def cells_density_pass(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                       const double[::1] log_const, real[::1] log_prob_norm, int64_t[::1] labels, real[::1] workspace,
                       int n_threads, const int32_t[::1] features, const real[::1] thresholds,
                       const double[::1] constants, double slope, double cut, int block, double[::1] doubles,
                       int32_t[::1] integers):
    """As density_pass for log_prob_norm or labels, without components that no row of a tile can need."""
    # Arguments are those of density_pass and of cells_em_pass.
    cdef Shape s = shape_of(X.shape[1], means.shape[0], factors.shape[0], factors.shape[1])
    cdef Py_ssize_t n = X.shape[0], n_work = work_length(s), n_doubles, n_integers
    cdef real* norm_out = &log_prob_norm[0] if log_prob_norm is not None else NULL
    cdef int64_t* labels_out = &labels[0] if labels is not None else NULL
    cdef real* work = &workspace[0]
    cdef real* packed = work + n_threads * n_work
    cdef const real* data = &X[0, 0]
    cdef const real* mu = &means[0, 0]
    cdef const double* log_constants = &log_const[0]
    cdef double* double_work = &doubles[0]
    cdef int32_t* integer_work = &integers[0]
    cdef Partition values = partition_of(features, thresholds, constants, slope, cut, block,
                                         double_work + n_threads * cells_doubles(s.n_components))
    cdef const Partition* partition = &values
    cdef int t
    n_doubles, n_integers = cells_doubles(s.n_components), cells_integers(s.n_components, block, partition.depth)
    with nogil:
        pack_factors(&factors[0, 0, 0], s, packed)
        pack_parameters(mu, &factors[0, 0, 0], s, partition.parameters, partition.stride)
        if n_threads == 1:
            cells_density_rows(data, 0, n, s, mu, packed, log_constants, partition, double_work, integer_work, work,
                               norm_out, labels_out)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static", chunksize=1):
                cells_density_rows(data, first_row(n, t, n_threads), first_row(n, t + 1, n_threads), s, mu, packed,
                                   log_constants, partition, double_work + t * n_doubles, integer_work + t * n_integers,
                                   work + t * n_work, norm_out, labels_out)
