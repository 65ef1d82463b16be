# What Python calls of the compiled passes over the rows: one thin function a pass.  One extension module per SIMD variant
# consists of this file; README.md has a table of the passes, and their headers do the work.
#
# Conventions of all passes.  `real` is the dtype of X (n, d): float32 or float64; all arrays are C-contiguous.  The factors U
# of the precision matrices U U^T are upper triangular: (K, d, d) full, (1, d, d) shared by all components, (K, 1, d) diagonal.
# A pass adds to its sums, so that chunks of rows can follow each other.  Nothing is allocated: functions named .._sizes
# give the lengths of scratch arrays, which are aligned to 64 bytes.  Shapes are checked in builds with FASTGMM_CHECK=1 alone.

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint16_t

ctypedef fused real:
    float
    double

cdef extern from "kernels.hpp" nogil:
    """
    #ifndef FASTGMM_CHECK
    #  define FASTGMM_CHECK 0
    #endif
    """
    const int HAS_OPENMP, FASTGMM_CHECK
    int omp_get_max_threads()
    const int BLOCK_ROWS "BLOCK"
    const int LANES_OF_DOUBLE "lanes<double>"

    cppclass Shape:
        int d, n_components, n_factors
        bint diag, sphere
        void set_shape(int d, int K, int n_factors, int factor_rows, int scatter_columns)
        void set_shape(int d, int K, int n_factors, int factor_rows, int scatter_columns, bint student)
        Py_ssize_t work_length()
        Py_ssize_t sums_length()
        Py_ssize_t packed_length()
        Py_ssize_t factor_length()
        bint can_share()
    cppclass Chunks:
        int count
        Chunks(Py_ssize_t n)
    cppclass SumTree:
        @staticmethod
        Py_ssize_t n_buffers(int n_threads)
    cppclass Rows[T]:
        const T* X
        Py_ssize_t n
        const double* weights
    cppclass Mixture[T](Shape):
        const T* means
        const T* factors
        const double* log_const
        double log_noise
    cppclass SharedFactor[T]:
        bint is_used
    void prepare_shared[T](SharedFactor[T]&, const Mixture[T]&, T* out, double* scratch)
    cppclass Statistics[T]:
        const T* centers
        double* nk
        double* sum_x
        double* scatter
        double* sums

    cppclass EmPass[T]:
        Rows[T] rows
        Mixture[T] mixture
        Statistics[T] statistics
        bint with_entropy
        T* workspace
        int n_threads
        double log_likelihood, entropy
    cppclass StatisticsPass[T]:
        Rows[T] rows
        Shape shape
        Statistics[T] statistics
        const int32_t* labels
        const T* resp
        T* workspace
        int n_threads
    cppclass DensityPass[T]:
        Rows[T] rows
        Mixture[T] mixture
        T* log_prob_norm
        int64_t* labels
        T* resp
        T* workspace
        int n_threads

    cppclass Student[T]:
        const double* log_const
        const double* degrees_of_freedom
    cppclass StudentEmPass[T]:
        EmPass[T] em
        Student[T] student
        double* masses
    cppclass StudentDensityPass[T]:
        DensityPass[T] dense
        Student[T] student

    cppclass Screen:
        int block, n_components, n_first, n_all, width
        const double* center
        const double* scale
        const double* limits
        const double* P
        const float* means
        const float* first_factors
        const float* all_factors
        const double* constants
        double cut, slope
        Py_ssize_t n_reals(int d)
        Py_ssize_t n_floats()
        Py_ssize_t n_integers()
        Py_ssize_t n_packed()
    cppclass ScreenWorkspace[T]:
        T* reals
        float* floats
        int32_t* integers
    cppclass ScreenedEmPass[T]:
        EmPass[T] em
        Screen screen
        ScreenWorkspace[T] scratch
    cppclass ScreenedDensityPass[T]:
        DensityPass[T] dense
        Screen screen
        ScreenWorkspace[T] scratch
    cppclass PairCount[T]:
        Rows[T] rows
        Mixture[T] mixture
        Screen screen
        ScreenWorkspace[T] scratch
        T* packed_factors
        int count
    void run_pass[Pass](Pass&)

    cppclass Partition[T]:
        int block, depth
        const int32_t* features
        const T* thresholds
        const double* constants
        double slope, cut
        Py_ssize_t n_doubles(int K)
        Py_ssize_t n_integers(int K)
        Py_ssize_t n_parameters(int d, int K)
    cppclass CellWorkspace:
        double* doubles
        int32_t* integers
    cppclass CellsEmPass[T]:
        EmPass[T] em
        Partition[T] partition
        CellWorkspace scratch
    cppclass CellsDensityPass[T]:
        DensityPass[T] dense
        Partition[T] partition
        CellWorkspace scratch
    cppclass ComponentCount[T]:
        Rows[T] rows
        Mixture[T] mixture
        Partition[T] partition
        CellWorkspace scratch
        T* workspace
        int64_t n_pairs
        int n_tiles

    cppclass Groups[T]:
        const T* X
        int d
        const double* weights
        const int64_t* order
        Py_ssize_t n_groups
        const int64_t* starts
        const int32_t* n_observed
        const int32_t* features
    cppclass WholeMixture:
        int d, n_components, n_factors
        bint diag
        const double* means
        const double* factors
        const double* log_const
    cppclass IncompleteScratch[T]:
        @staticmethod
        Py_ssize_t n_reals(const WholeMixture&)
        @staticmethod
        Py_ssize_t n_doubles(const WholeMixture&)
    cppclass IncompleteEmPass[T]:
        Groups[T] groups
        WholeMixture mixture
        const double* centers
        double* nk
        double* sum_x
        double* scatter
        bint sphere, with_entropy
        Py_ssize_t start, stop
        T* reals
        double* doubles
        double* sums
        int n_threads
        double log_likelihood, entropy
        Py_ssize_t sums_length()
    cppclass IncompleteDensityPass[T]:
        Groups[T] groups
        WholeMixture mixture
        T* log_prob_norm
        int64_t* labels
        T* resp
        T* filled
        Py_ssize_t start, stop
        T* reals
        double* doubles
        int n_threads

    cppclass Clusters[T]:
        Rows[T] rows
        int d, K
        const T* shift
        const T* centers
        double scale
        T* workspace
        float* floats
        double* sums
        int n_threads
    cppclass LloydPass[T]:
        Clusters[T] clusters
        const double* moved
        bint fresh
        int32_t* labels
        float* gaps
        double* counts
        double* sum_x
        int64_t n_changed
    cppclass ClosestPass[T]:
        Clusters[T] clusters
        int n_taken
        T* closest
        bint restart
        double* block_sums
        Py_ssize_t stride
        double* potentials
    cppclass RowSearch[T]:
        Rows[T] rows
        int d
        const T* shift
        const T* center
        int n_taken
        T* closest
        bint restart
        const double* block_sums
        const double* thresholds
        int n_thresholds
        Py_ssize_t* found
        T* workspace
    cppclass FactorsPass:
        int d
        Py_ssize_t n_matrices
        const double* matrices
        double* out
        bint are_triangles
        double* scratch
        int n_threads
        Py_ssize_t first_failure
        Py_ssize_t scratch_length()
    cppclass AxesRound:
        int d
        Py_ssize_t n_matrices
        double* along
        double* axes
        const double* shares
        double* volumes
        bint equal_volume
        double limit, value
    Py_ssize_t kmeans_floats_length "kmeans_floats"(int K, int d, int n_threads)
    void add_moves[T](const T* centers, int K, int d, double scale, double* previous, double* moved)
    void exp_of[T](T*, Py_ssize_t)
    void log_of[T](T*, Py_ssize_t)
    void log1p_of[T](T*, Py_ssize_t)

OPENMP = bool(HAS_OPENMP)
BLOCK = BLOCK_ROWS
LANES = LANES_OF_DOUBLE
CHECKED = bool(FASTGMM_CHECK)


def max_threads():
    """Number of threads OpenMP would use now, its environment variables and run-time limits included."""
    return omp_get_max_threads()


# Arguments that several passes have -------------------------------------------------------------------------------------


cdef int need(bint condition, str what) except -1:
    """In builds that check: raise an error unless the condition holds."""
    if FASTGMM_CHECK and not condition:
        raise ValueError(f"kernel called with wrong {what}")
    return 0


cdef int take_rows(Rows[real]* rows, const real[:, ::1] X) except -1:
    # X  IN  (n, d) real
    rows.X, rows.n = &X[0, 0], X.shape[0]
    rows.weights = NULL
    return 0


cdef int take_weighted_rows(Rows[real]* rows, const real[:, ::1] X, const double[::1] sample_weight) except -1:
    # sample_weight  IN  (n,) float64; None stands for ones
    take_rows(rows, X)
    if sample_weight is not None:
        rows.weights = &sample_weight[0]
        need(sample_weight.shape[0] == rows.n, "sample_weight")
    return 0


cdef int take_mixture(Mixture[real]* m, int d, const real[:, ::1] means, const real[:, :, ::1] factors,
                      const double[::1] log_const, int scatter_columns, bint student=False) except -1:
    # means      IN  (K, d) real
    # factors    IN  (K, d, d), (1, d, d) or (K, 1, d) real
    # log_const  IN  (K,) float64, log w_k + log det U_k - d/2 log(2 pi); or (K + 1,), the last one is that of a background of
    #                the same density everywhere
    cdef Py_ssize_t K = means.shape[0]
    m.set_shape(d, K, factors.shape[0], factors.shape[1], scatter_columns, student)
    m.means, m.factors, m.log_const = &means[0, 0], &factors[0, 0, 0], &log_const[0]
    m.log_noise = log_const[K] if log_const.shape[0] > K else -INFINITY
    need(means.shape[1] == d, "means")
    need(factors.shape[2] == d and (factors.shape[1] == d or (factors.shape[1] == 1 and factors.shape[0] == K)), "factors")
    need(factors.shape[0] == K or factors.shape[0] == 1, "factors")
    need(log_const.shape[0] == K or log_const.shape[0] == K + 1, "log_const")
    return 0


cdef int take_statistics(Statistics[real]* s, const Shape* shape, const real[:, ::1] centers, double[::1] nk, double[:, ::1] sum_x,
                         double[:, :, ::1] scatter, double[::1] sums, int n_threads) except -1:
    # centers  IN       (K, d) real, about which the statistics are summed
    # nk       IN/OUT   (K,) float64; of em passes (K + 1,) if there is a background, whose mass is the last one
    # sum_x    IN/OUT   (K, d) float64
    # scatter  IN/OUT   float64, shape of factors; (K, 1, 1) of spherical components: sums over the features
    # sums     scratch  float64, length by workspace_sizes
    s.centers, s.nk, s.sum_x, s.scatter, s.sums = &centers[0, 0], &nk[0], &sum_x[0, 0], &scatter[0, 0, 0], &sums[0]
    need(centers.shape[0] == shape.n_components and centers.shape[1] == shape.d, "centers")
    need(nk.shape[0] >= shape.n_components, "nk")
    need(sum_x.shape[0] == shape.n_components and sum_x.shape[1] == shape.d, "sum_x")
    need(scatter.shape[0] == shape.n_factors and scatter.shape[1] == (1 if shape.diag else shape.d), "scatter")
    need(scatter.shape[2] == (1 if shape.sphere else shape.d), "scatter")
    need(sums.shape[0] >= SumTree.n_buffers(n_threads) * shape.sums_length(), "sums")
    return 0


cdef int take_em(EmPass[real]* em, const real[:, ::1] X, const double[::1] sample_weight, const real[:, ::1] means,
                 const real[:, ::1] centers, const real[:, :, ::1] factors, const double[::1] log_const, double[::1] nk,
                 double[:, ::1] sum_x, double[:, :, ::1] scatter, bint with_entropy, real[::1] workspace, double[::1] sums,
                 int n_threads, bint student=False) except -1:
    take_weighted_rows(&em.rows, X, sample_weight)
    take_mixture(&em.mixture, X.shape[1], means, factors, log_const, scatter.shape[2], student)
    take_statistics(&em.statistics, &em.mixture, centers, nk, sum_x, scatter, sums, n_threads)
    em.with_entropy, em.workspace, em.n_threads = with_entropy, &workspace[0], n_threads
    need(nk.shape[0] == log_const.shape[0], "nk")
    need(workspace.shape[0] >= n_threads * em.mixture.work_length() + em.mixture.packed_length(), "workspace")
    return 0


cdef int take_dense(DensityPass[real]* dense, const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                    const double[::1] log_const, real[::1] log_prob_norm, int64_t[::1] labels, real[:, ::1] resp,
                    real[::1] workspace, int n_threads, bint student=False) except -1:
    # log_prob_norm  OUT  (n,) real, log p(x_i)
    # labels         OUT  (n,) int64, the component with the largest responsibility, the first of equals
    # resp           OUT  (n, K) real, responsibilities; 1 / K where no component has density
    cdef Py_ssize_t n = X.shape[0]
    take_rows(&dense.rows, X)
    take_mixture(&dense.mixture, X.shape[1], means, factors, log_const, X.shape[1], student)
    dense.log_prob_norm = NULL
    dense.labels = NULL
    dense.resp = NULL
    if log_prob_norm is not None:
        dense.log_prob_norm = &log_prob_norm[0]
        need(log_prob_norm.shape[0] == n, "log_prob_norm")
    if labels is not None:
        dense.labels = &labels[0]
        need(labels.shape[0] == n, "labels")
    if resp is not None:
        dense.resp = &resp[0, 0]
        need(resp.shape[0] == n and resp.shape[1] == means.shape[0], "resp")
    dense.workspace, dense.n_threads = &workspace[0], n_threads
    need(workspace.shape[0] >= n_threads * dense.mixture.work_length() + dense.mixture.packed_length(), "workspace")
    return 0


def workspace_sizes(int n_components, int n_features, int n_factors, int factor_rows, int scatter_columns, int n_threads,
                    bint student=False):
    """Lengths of a pass's scratch arrays ``workspace`` (X's dtype) and ``sums`` (float64), aligned to 64 bytes.

    The factors have shape (n_factors, factor_rows, d), the scatter (n_factors, factor_rows, scatter_columns)."""
    cdef Shape s
    s.set_shape(n_features, n_components, n_factors, factor_rows, scatter_columns, student)
    return n_threads * s.work_length() + s.packed_length(), SumTree.n_buffers(n_threads) * s.sums_length()


def n_chunks(Py_ssize_t n_rows):
    """Number of chunks into which passes divide rows; more threads have nothing to do."""
    return Chunks(n_rows).count


def can_share(int n_components, int n_features):
    """Whether passes may whiten rows once if all components share a factor, see shared.hpp."""
    cdef Shape s
    s.set_shape(n_features, n_components, 1, n_features, n_features)
    return bool(s.can_share())


def whitens_once(const real[:, ::1] means, const real[:, :, ::1] factors, real[::1] workspace, double[::1] sums):
    """Whether passes whiten rows once, and not for each component, because that costs no digits."""
    # workspace  scratch  real, (K + 1) d numbers
    # sums       scratch  float64, 5 d numbers
    cdef Mixture[real] m
    cdef SharedFactor[real] shared
    m.set_shape(means.shape[1], means.shape[0], factors.shape[0], factors.shape[1], means.shape[1])
    m.means, m.factors = &means[0, 0], &factors[0, 0, 0]
    need(workspace.shape[0] >= (means.shape[0] + 1) * means.shape[1] and sums.shape[0] >= 5 * means.shape[1], "workspace")
    prepare_shared(shared, m, &workspace[0], &sums[0])
    return bool(shared.is_used)


# Dense passes -----------------------------------------------------------------------------------------------------------


def em_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[:, ::1] means, const real[:, ::1] centers,
            const real[:, :, ::1] factors, const double[::1] log_const, double[::1] nk, double[:, ::1] sum_x,
            double[:, :, ::1] scatter, bint with_entropy, real[::1] workspace, double[::1] sums, int n_threads):
    """Add to nk, sum_x and scatter the statistics of the rows under the mixture.

    Returns sum_i w_i log p(x_i), and -sum_i w_i sum_k resp_ik log resp_ik if ``with_entropy``, else 0."""
    cdef EmPass[real] em
    take_em(&em, X, sample_weight, means, centers, factors, log_const, nk, sum_x, scatter, with_entropy, workspace, sums,
            n_threads)
    with nogil:
        run_pass(em)
    return em.log_likelihood, em.entropy


def statistics_pass(const real[:, ::1] X, const double[::1] sample_weight, const int32_t[::1] labels,
                    const real[:, ::1] resp, const real[:, ::1] centers, double[::1] nk, double[:, ::1] sum_x,
                    double[:, :, ::1] scatter, real[::1] workspace, double[::1] sums, int n_threads):
    """Add to nk, sum_x and scatter the statistics of the rows under given labels or responsibilities."""
    # labels  IN  (n,) int32, or None
    # resp    IN  (n, K) real, or None; if both are None every row counts once for every component
    cdef StatisticsPass[real] p
    take_weighted_rows(&p.rows, X, sample_weight)
    p.shape.set_shape(X.shape[1], centers.shape[0], scatter.shape[0], scatter.shape[1], scatter.shape[2])
    take_statistics(&p.statistics, &p.shape, centers, nk, sum_x, scatter, sums, n_threads)
    p.labels = NULL
    p.resp = NULL
    if labels is not None:
        p.labels = &labels[0]
        need(labels.shape[0] == X.shape[0], "labels")
    if resp is not None:
        p.resp = &resp[0, 0]
        need(resp.shape[0] == X.shape[0] and resp.shape[1] == centers.shape[0], "resp")
    p.workspace, p.n_threads = &workspace[0], n_threads
    need(workspace.shape[0] >= n_threads * p.shape.work_length(), "workspace")
    with nogil:
        run_pass(p)


def density_pass(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                 const double[::1] log_const, real[::1] log_prob_norm, int64_t[::1] labels, real[:, ::1] resp,
                 real[::1] workspace, int n_threads):
    """Fill those of log_prob_norm, labels and resp that are not None."""
    cdef DensityPass[real] p
    take_dense(&p, X, means, factors, log_const, log_prob_norm, labels, resp, workspace, n_threads)
    with nogil:
        run_pass(p)


# Passes for components with Student's t distribution --------------------------------------------------------------------


cdef int take_student(Student[real]* s, const Shape* shape, const double[::1] log_const,
                      const double[::1] degrees_of_freedom) except -1:
    # constants           IN  (K,) float64, zeros: what the pass adds to minus half the squared distances
    # log_const           IN  (K,) float64, constants of the log-densities with their weights
    # degrees_of_freedom  IN  (K,) float64
    s.log_const, s.degrees_of_freedom = &log_const[0], &degrees_of_freedom[0]
    need(log_const.shape[0] == shape.n_components and degrees_of_freedom.shape[0] == shape.n_components, "degrees_of_freedom")
    return 0


def student_em_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[:, ::1] means,
                    const real[:, ::1] centers, const real[:, :, ::1] factors, const double[::1] constants, double[::1] nk,
                    double[:, ::1] sum_x, double[:, :, ::1] scatter, bint with_entropy, real[::1] workspace,
                    double[::1] sums, int n_threads, const double[::1] log_const, const double[::1] degrees_of_freedom,
                    double[:, ::1] masses):
    """As em_pass, with the weights of student.hpp in the statistics, and without entropy."""
    # masses  IN/OUT  (2, K) float64, sum_i r_ik and sum_i r_ik log a_ik
    cdef StudentEmPass[real] p
    take_em(&p.em, X, sample_weight, means, centers, factors, constants, nk, sum_x, scatter, False, workspace, sums,
            n_threads, True)
    take_student(&p.student, &p.em.mixture, log_const, degrees_of_freedom)
    p.masses = &masses[0, 0]
    need(not with_entropy, "with_entropy")
    need(masses.shape[0] == 2 and masses.shape[1] == means.shape[0], "masses")
    with nogil:
        run_pass(p)
    return p.em.log_likelihood, 0.0


def student_density_pass(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                         const double[::1] constants, real[::1] log_prob_norm, int64_t[::1] labels, real[:, ::1] resp,
                         real[::1] workspace, int n_threads, const double[::1] log_const,
                         const double[::1] degrees_of_freedom):
    """As density_pass."""
    cdef StudentDensityPass[real] p
    take_dense(&p.dense, X, means, factors, constants, log_prob_norm, labels, resp, workspace, n_threads, True)
    take_student(&p.student, &p.dense.mixture, log_const, degrees_of_freedom)
    with nogil:
        run_pass(p)


# Passes that skip pairs (row, component) --------------------------------------------------------------------------------


cdef int take_screen(Screen* s, ScreenWorkspace[real]* scratch, const Shape* shape, const double[::1] center,
                     const double[::1] scale, const double[::1] limits, const double[:, ::1] P, const float[:, ::1] means,
                     const float[:, :, ::1] first_factors, const float[:, :, ::1] all_factors, const double[:, ::1] constants,
                     double cut, double slope, int block, real[::1] reals, float[::1] floats, int32_t[::1] integers,
                     int n_threads) except -1:
    # center         IN       (d,) float64, of the coordinates (x - center) P
    # scale, limits  IN       (d + ..,), (2,) float64: the range of rows that are screened, see project_rows
    # P              IN       (d, width) float64, directions, with zeros up to width, a multiple of 8
    # screen_means   IN       (K, n_all) float32, coordinates of the means
    # first_factors  IN       (K, n_first, n_first) float32, precision factors in the first directions
    # all_factors    IN       (K, n_all, n_all) float32, precision factors in all directions
    # constants      IN       (6, K) float64, see FIRST_CONSTANT
    # cut, slope     IN       as in (1) of screen.hpp; 1 - 2/s
    # block          IN       rows screened together, a multiple of BLOCK
    # reals          scratch  real, floats float32, integers int32: lengths by screen_workspace_sizes
    cdef int K = shape.n_components
    s.block, s.n_components, s.width = block, K, P.shape[1]
    s.n_first, s.n_all = first_factors.shape[1], all_factors.shape[1]
    s.center, s.scale, s.limits, s.P = &center[0], &scale[0], &limits[0], &P[0, 0]
    s.means, s.constants, s.cut, s.slope = &means[0, 0], &constants[0, 0], cut, slope
    s.first_factors, s.all_factors = &first_factors[0, 0, 0], &all_factors[0, 0, 0]
    scratch.reals, scratch.floats, scratch.integers = &reals[0], &floats[0], &integers[0]
    need(center.shape[0] == shape.d and scale.shape[0] == (shape.d + 7) // 8 * 8 and limits.shape[0] == 2, "center, scale or limits")
    need(P.shape[0] == shape.d and s.width == (s.n_all + 7) // 8 * 8 and s.n_first <= s.n_all, "P")
    need(means.shape[0] == K and means.shape[1] == s.n_all, "screen_means")
    need(first_factors.shape[0] == K and first_factors.shape[2] == s.n_first, "first_factors")
    need(all_factors.shape[0] == K and all_factors.shape[2] == s.n_all, "all_factors")
    need(constants.shape[0] == 6 and constants.shape[1] == K, "constants")
    need(block % BLOCK_ROWS == 0, "block")
    need(reals.shape[0] >= n_threads * s.n_reals(shape.d), "reals")
    need(floats.shape[0] >= n_threads * s.n_floats() + s.n_packed(), "floats")
    need(integers.shape[0] >= n_threads * s.n_integers(), "integers")
    return 0


def screen_workspace_sizes(int n_features, int block, int n_components, int n_first, int n_all, int width,
                           int n_threads):
    """Lengths of the scratch arrays ``reals`` (X's dtype), ``floats`` and ``integers``, aligned to 64 bytes."""
    cdef Screen s
    s.block, s.n_components, s.n_first, s.n_all, s.width = block, n_components, n_first, n_all, width
    return n_threads * s.n_reals(n_features), n_threads * s.n_floats() + s.n_packed(), n_threads * s.n_integers()


def screened_em_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[:, ::1] means,
                     const real[:, ::1] centers, const real[:, :, ::1] factors, const double[::1] log_const,
                     double[::1] nk, double[:, ::1] sum_x, double[:, :, ::1] scatter, bint with_entropy,
                     real[::1] workspace, double[::1] sums, int n_threads, const double[::1] center,
                     const double[::1] scale, const double[::1] limits, const double[:, ::1] P,
                     const float[:, ::1] screen_means, const float[:, :, ::1] first_factors,
                     const float[:, :, ::1] all_factors, const double[:, ::1] constants, double cut, double slope,
                     int block, real[::1] reals, float[::1] floats, int32_t[::1] integers):
    """As em_pass, without pairs that cannot matter."""
    cdef ScreenedEmPass[real] p
    take_em(&p.em, X, sample_weight, means, centers, factors, log_const, nk, sum_x, scatter, with_entropy, workspace, sums,
            n_threads)
    take_screen(&p.screen, &p.scratch, &p.em.mixture, center, scale, limits, P, screen_means, first_factors, all_factors,
                constants, cut, slope, block, reals, floats, integers, n_threads)
    with nogil:
        run_pass(p)
    return p.em.log_likelihood, p.em.entropy


def screened_density_pass(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                          const double[::1] log_const, real[::1] log_prob_norm, int64_t[::1] labels,
                          real[::1] workspace, int n_threads, const double[::1] center, const double[::1] scale,
                          const double[::1] limits, const double[:, ::1] P, const float[:, ::1] screen_means,
                          const float[:, :, ::1] first_factors, const float[:, :, ::1] all_factors,
                          const double[:, ::1] constants, double cut, double slope, int block, real[::1] reals,
                          float[::1] floats, int32_t[::1] integers):
    """As density_pass for log_prob_norm or labels, without pairs that cannot matter to it."""
    cdef ScreenedDensityPass[real] p
    cdef real[:, ::1] no_resp = None
    take_dense(&p.dense, X, means, factors, log_const, log_prob_norm, labels, no_resp, workspace, n_threads)
    take_screen(&p.screen, &p.scratch, &p.dense.mixture, center, scale, limits, P, screen_means, first_factors, all_factors,
                constants, cut, slope, block, reals, floats, integers, n_threads)
    with nogil:
        run_pass(p)


def count_pairs(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                const double[::1] log_const, const double[::1] center, const double[::1] scale,
                const double[::1] limits, const double[:, ::1] P, const float[:, ::1] screen_means,
                const float[:, :, ::1] first_factors, const float[:, :, ::1] all_factors,
                const double[:, ::1] constants, double cut, double slope, int block, real[::1] packed_factors,
                real[::1] reals, float[::1] floats, int32_t[::1] integers):
    """Number of pairs, without the guesses, that a screen leaves of at most ``block`` rows; -1 if too many to screen."""
    # packed_factors  scratch  real, length of the packed factors
    cdef PairCount[real] p
    take_rows(&p.rows, X)
    take_mixture(&p.mixture, X.shape[1], means, factors, log_const, X.shape[1])
    take_screen(&p.screen, &p.scratch, &p.mixture, center, scale, limits, P, screen_means, first_factors, all_factors,
                constants, cut, slope, block, reals, floats, integers, 1)
    p.packed_factors = &packed_factors[0]
    need(X.shape[0] <= block, "number of rows")
    need(packed_factors.shape[0] >= p.mixture.n_factors * p.mixture.factor_length(), "packed_factors")
    with nogil:
        run_pass(p)
    return p.count


# Passes that skip components in cells -----------------------------------------------------------------------------------


cdef int take_partition(Partition[real]* c, CellWorkspace* scratch, const Shape* shape, const int32_t[::1] features,
                        const real[::1] thresholds, const double[::1] constants, double slope, double cut, int block,
                        double[::1] doubles, int32_t[::1] integers, int n_threads) except -1:
    # features     IN       (depth,) int32, feature that each level of the tree splits
    # thresholds   IN       (2^depth,) real, of node n of level l at 2^l + n
    # constants    IN       (K,) float64; with slope and cut, the condition at the head of cells.hpp
    # block        IN       rows sorted at a time, at most 2^16
    # doubles      scratch  float64, integers int32: lengths by cells_workspace_sizes
    cdef int K = shape.n_components
    c.block, c.depth = block, features.shape[0]
    c.features, c.thresholds, c.constants = &features[0], &thresholds[0], &constants[0]
    c.slope, c.cut = slope, cut
    scratch.doubles, scratch.integers = &doubles[0], &integers[0]
    need(thresholds.shape[0] == 1 << c.depth, "thresholds")
    need(constants.shape[0] == K, "constants")
    need(block <= 1 << 16 and shape.d <= 4, "block or number of features")
    need(doubles.shape[0] >= n_threads * c.n_doubles(K) + c.n_parameters(shape.d, K), "doubles")
    need(integers.shape[0] >= n_threads * c.n_integers(K), "integers")
    return 0


def cells_workspace_sizes(int n_features, int n_components, int block, int depth, int n_threads):
    """Lengths of the scratch arrays ``doubles`` and ``integers`` of the passes by cells, aligned to 64 bytes."""
    cdef Partition[double] c
    c.block, c.depth = block, depth
    return (n_threads * c.n_doubles(n_components) + c.n_parameters(n_features, n_components),
            n_threads * c.n_integers(n_components))


def cells_em_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[:, ::1] means,
                  const real[:, ::1] centers, const real[:, :, ::1] factors, const double[::1] log_const,
                  double[::1] nk, double[:, ::1] sum_x, double[:, :, ::1] scatter, bint with_entropy,
                  real[::1] workspace, double[::1] sums, int n_threads, const int32_t[::1] features,
                  const real[::1] thresholds, const double[::1] constants, double slope, double cut, int block,
                  double[::1] doubles, int32_t[::1] integers):
    """As em_pass, without components that no row of a tile can need."""
    cdef CellsEmPass[real] p
    take_em(&p.em, X, sample_weight, means, centers, factors, log_const, nk, sum_x, scatter, with_entropy, workspace, sums,
            n_threads)
    take_partition(&p.partition, &p.scratch, &p.em.mixture, features, thresholds, constants, slope, cut, block, doubles,
                   integers, n_threads)
    with nogil:
        run_pass(p)
    return p.em.log_likelihood, p.em.entropy


def cells_density_pass(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                       const double[::1] log_const, real[::1] log_prob_norm, int64_t[::1] labels, real[::1] workspace,
                       int n_threads, const int32_t[::1] features, const real[::1] thresholds,
                       const double[::1] constants, double slope, double cut, int block, double[::1] doubles,
                       int32_t[::1] integers):
    """As density_pass for log_prob_norm or labels, without components that no row of a tile can need."""
    cdef CellsDensityPass[real] p
    cdef real[:, ::1] no_resp = None
    take_dense(&p.dense, X, means, factors, log_const, log_prob_norm, labels, no_resp, workspace, n_threads)
    take_partition(&p.partition, &p.scratch, &p.dense.mixture, features, thresholds, constants, slope, cut, block, doubles,
                   integers, n_threads)
    with nogil:
        run_pass(p)


def count_components(const real[:, ::1] X, const real[:, ::1] means, const real[:, :, ::1] factors,
                     const double[::1] log_const, const int32_t[::1] features, const real[::1] thresholds,
                     const double[::1] constants, double slope, double cut, int block, real[::1] workspace,
                     double[::1] doubles, int32_t[::1] integers):
    """Of at most ``block`` rows: the number of pairs (row, component) that boxes leave, and of tiles."""
    cdef ComponentCount[real] p
    take_rows(&p.rows, X)
    take_mixture(&p.mixture, X.shape[1], means, factors, log_const, X.shape[1])
    take_partition(&p.partition, &p.scratch, &p.mixture, features, thresholds, constants, slope, cut, block, doubles,
                   integers, 1)
    p.workspace = &workspace[0]
    need(X.shape[0] <= block, "number of rows")
    need(workspace.shape[0] >= p.mixture.work_length() + p.mixture.packed_length(), "workspace")
    with nogil:
        run_pass(p)
    return p.n_pairs, p.n_tiles


# Passes over rows with missing values -----------------------------------------------------------------------------------


cdef int take_groups(Groups[real]* g, const real[:, ::1] X, const double[::1] sample_weight, const int64_t[::1] order,
                     const int64_t[::1] starts, const int32_t[::1] n_observed, const int32_t[:, ::1] features,
                     Py_ssize_t start, Py_ssize_t stop) except -1:
    # X              IN  (n_all, d) real, anything where a value is missing
    # sample_weight  IN  (n_all,) float64; None stands for ones
    # order          IN  (n,) int64, numbers of rows, group after group
    # starts         IN  (G + 1,) int64, where in `order` groups begin
    # n_observed     IN  (G,) int32, numbers of features that rows of a group have, at least 1
    # features       IN  (G, d) int32, these features, ascending, then the others, ascending
    # start, stop    IN  which part of `order` the pass reads
    cdef Py_ssize_t G = n_observed.shape[0]
    g.X, g.d, g.order, g.n_groups, g.starts = &X[0, 0], X.shape[1], &order[0], G, &starts[0]
    g.n_observed, g.features = &n_observed[0], &features[0, 0]
    g.weights = NULL
    if sample_weight is not None:
        g.weights = &sample_weight[0]
        need(sample_weight.shape[0] == X.shape[0], "sample_weight")
    need(starts.shape[0] == G + 1 and features.shape[0] == G and features.shape[1] == g.d, "groups")
    need(0 <= start < stop <= order.shape[0] and starts[0] == 0 and starts[G] == order.shape[0], "order")
    return 0


cdef int take_whole(WholeMixture* w, int d, const double[:, ::1] means, const double[:, :, ::1] factors,
                    const double[::1] log_const) except -1:
    # means, factors, log_const  IN  as in take_mixture, but float64
    w.d, w.n_components, w.n_factors = d, means.shape[0], factors.shape[0]
    w.diag = factors.shape[1] == 1 and d > 1
    w.means, w.factors, w.log_const = &means[0, 0], &factors[0, 0, 0], &log_const[0]
    need(means.shape[1] == d and log_const.shape[0] == w.n_components, "means or log_const")
    need(factors.shape[2] == d and (factors.shape[1] == d or factors.shape[1] == 1), "factors")
    need(w.n_factors == w.n_components or (w.n_factors == 1 and not w.diag), "factors")
    return 0


def incomplete_workspace_sizes(const real[:, ::1] X, const double[:, ::1] means, const double[:, :, ::1] factors,
                               const double[::1] log_const, int n_threads):
    """Lengths of the scratch arrays ``reals`` (X's dtype), ``doubles`` and ``sums`` (float64), aligned to 64 bytes."""
    cdef IncompleteEmPass[real] p
    take_whole(&p.mixture, X.shape[1], means, factors, log_const)
    return (n_threads * IncompleteScratch[real].n_reals(p.mixture), n_threads * IncompleteScratch[real].n_doubles(p.mixture),
            SumTree.n_buffers(n_threads) * p.sums_length())


def incomplete_em_pass(const real[:, ::1] X, const double[::1] sample_weight, const int64_t[::1] order,
                       const int64_t[::1] starts, const int32_t[::1] n_observed, const int32_t[:, ::1] features,
                       Py_ssize_t start, Py_ssize_t stop, const double[:, ::1] means, const double[:, ::1] centers,
                       const double[:, :, ::1] factors, const double[::1] log_const, double[::1] nk,
                       double[:, ::1] sum_x, double[:, :, ::1] scatter, bint with_entropy, real[::1] reals,
                       double[::1] doubles, double[::1] sums, int n_threads):
    """As em_pass: add to nk, sum_x and scatter the statistics that rows with missing values are expected to have."""
    # centers  IN  (K, d) float64, numbers that X's dtype has
    cdef IncompleteEmPass[real] p
    take_groups(&p.groups, X, sample_weight, order, starts, n_observed, features, start, stop)
    take_whole(&p.mixture, X.shape[1], means, factors, log_const)
    p.centers, p.nk, p.sum_x, p.scatter = &centers[0, 0], &nk[0], &sum_x[0, 0], &scatter[0, 0, 0]
    p.sphere, p.with_entropy, p.start, p.stop = p.mixture.diag and scatter.shape[2] == 1, with_entropy, start, stop
    p.reals, p.doubles, p.sums, p.n_threads = &reals[0], &doubles[0], &sums[0], n_threads
    need(centers.shape[0] == p.mixture.n_components and centers.shape[1] == p.mixture.d, "centers")
    need(nk.shape[0] == p.mixture.n_components, "nk")
    need(sum_x.shape[0] == p.mixture.n_components and sum_x.shape[1] == p.mixture.d, "sum_x")
    need(scatter.shape[0] == p.mixture.n_factors and scatter.shape[1] == factors.shape[1], "scatter")
    need(scatter.shape[2] == (1 if p.sphere else p.mixture.d), "scatter")
    need(reals.shape[0] >= n_threads * IncompleteScratch[real].n_reals(p.mixture), "reals")
    need(doubles.shape[0] >= n_threads * IncompleteScratch[real].n_doubles(p.mixture), "doubles")
    need(sums.shape[0] >= SumTree.n_buffers(n_threads) * p.sums_length(), "sums")
    with nogil:
        run_pass(p)
    return p.log_likelihood, p.entropy


def incomplete_density_pass(const real[:, ::1] X, const int64_t[::1] order, const int64_t[::1] starts,
                            const int32_t[::1] n_observed, const int32_t[:, ::1] features, Py_ssize_t start,
                            Py_ssize_t stop, const double[:, ::1] means, const double[:, :, ::1] factors,
                            const double[::1] log_const, real[::1] log_prob_norm, int64_t[::1] labels,
                            real[:, ::1] resp, real[:, ::1] filled, real[::1] reals, double[::1] doubles, int n_threads):
    """As density_pass, in the order of the groups; and set the missing values in ``filled`` to their expectations."""
    # filled  OUT  (n_all, d) real, or None
    cdef IncompleteDensityPass[real] p
    cdef const double[::1] no_weights = None
    take_groups(&p.groups, X, no_weights, order, starts, n_observed, features, start, stop)
    take_whole(&p.mixture, X.shape[1], means, factors, log_const)
    p.start, p.stop, p.reals, p.doubles, p.n_threads = start, stop, &reals[0], &doubles[0], n_threads
    p.log_prob_norm = NULL
    p.labels = NULL
    p.resp = NULL
    p.filled = NULL
    if log_prob_norm is not None:
        p.log_prob_norm = &log_prob_norm[0]
        need(log_prob_norm.shape[0] == stop - start, "log_prob_norm")
    if labels is not None:
        p.labels = &labels[0]
        need(labels.shape[0] == stop - start, "labels")
    if resp is not None:
        p.resp = &resp[0, 0]
        need(resp.shape[0] == stop - start and resp.shape[1] == p.mixture.n_components, "resp")
    if filled is not None:
        need(resp is None, "resp beside filled")
        p.filled = &filled[0, 0]
        need(filled.shape[0] == X.shape[0] and filled.shape[1] == X.shape[1], "filled")
    need(reals.shape[0] >= n_threads * IncompleteScratch[real].n_reals(p.mixture), "reals")
    need(doubles.shape[0] >= n_threads * IncompleteScratch[real].n_doubles(p.mixture), "doubles")
    with nogil:
        run_pass(p)


# k-means ----------------------------------------------------------------------------------------------------------------


cdef int take_clusters(Clusters[real]* c, const real[:, ::1] X, const double[::1] sample_weight, const real[::1] shift,
                       const real[:, ::1] centers, double scale, real[::1] workspace, float[::1] floats, double[::1] sums,
                       int n_threads) except -1:
    # shift      IN       (d,) real
    # centers    IN       (K, d) real
    # scale      IN       power of two that brings the centers near 1
    # workspace  scratch  real, sums float64: lengths by workspace_sizes for diagonal factors
    # floats     scratch  float32, length by kmeans_floats
    cdef Shape shape
    take_weighted_rows(&c.rows, X, sample_weight)
    c.d, c.K, c.shift, c.centers, c.scale = X.shape[1], centers.shape[0], &shift[0], &centers[0, 0], scale
    c.workspace, c.floats, c.sums, c.n_threads = &workspace[0], &floats[0], &sums[0], n_threads
    shape.set_shape(c.d, c.K, c.K, 1, c.d)
    need(shift.shape[0] == c.d and centers.shape[1] == c.d, "shift or centers")
    need(workspace.shape[0] >= n_threads * shape.work_length(), "workspace")
    need(sums.shape[0] >= SumTree.n_buffers(n_threads) * shape.sums_length(), "sums")
    need(floats.shape[0] >= kmeans_floats_length(c.K, c.d, n_threads), "floats")
    return 0


def kmeans_floats(int n_centers, int n_features, int n_threads):
    """Length of the float32 scratch array ``floats`` of the passes of k-means, aligned to 64 bytes."""
    return kmeans_floats_length(n_centers, n_features, n_threads)


def note_moves(const real[:, ::1] centers, double[:, ::1] previous, double[::1] moved, double scale):
    """Add to ``moved`` how far the centers went from ``previous``, which becomes a copy of them."""
    # centers          IN      (K, d) real
    # previous, moved  IN/OUT  (K, d), (K,) float64; see kmeans_pass
    need(previous.shape[0] == centers.shape[0] and previous.shape[1] == centers.shape[1], "previous")
    need(moved.shape[0] == centers.shape[0], "moved")
    add_moves(&centers[0, 0], <int>centers.shape[0], <int>centers.shape[1], scale, &previous[0, 0], &moved[0])


def kmeans_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[::1] shift,
                const real[:, ::1] centers, const double[::1] moved, double scale, bint fresh, int32_t[::1] labels,
                float[::1] gaps, double[::1] counts, double[:, ::1] sum_x, real[::1] workspace, float[::1] floats,
                double[::1] sums, int n_threads):
    """One Lloyd pass over the rows of X - shift: labels of the nearest centers, the first of equals.

    Returns the number of changed labels."""
    # moved   IN      (K,) float64, sum over passes of moves of center k and the fastest other, times scale
    # fresh   IN      whether all rows are computed and added; else labels and gaps are those of the pass before
    # labels  IN/OUT  (n,) int32
    # gaps    IN/OUT  (n,) float32, distance of the second nearest center minus the nearest's, times scale, plus
    #                 `moved` of the nearest when they were computed
    # counts  IN/OUT  (K,) float64, += changes of the clusters' weights
    # sum_x   IN/OUT  (K, d) float64, += changes of their sums of w (x - shift)
    cdef LloydPass[real] p
    take_clusters(&p.clusters, X, sample_weight, shift, centers, scale, workspace, floats, sums, n_threads)
    p.moved, p.fresh, p.labels, p.gaps, p.counts, p.sum_x = &moved[0], fresh, &labels[0], &gaps[0], &counts[0], &sum_x[0, 0]
    need(moved.shape[0] == centers.shape[0] and counts.shape[0] == centers.shape[0], "moved or counts")
    need(labels.shape[0] == X.shape[0] and gaps.shape[0] == X.shape[0], "labels or gaps")
    need(sum_x.shape[0] == centers.shape[0] and sum_x.shape[1] == centers.shape[1], "sum_x")
    with nogil:
        run_pass(p)
    return p.n_changed


def closest_pass(const real[:, ::1] X, const double[::1] sample_weight, const real[::1] shift,
                 const real[:, ::1] centers, double scale, int n_taken, real[::1] closest, bint restart,
                 double[:, :] block_sums, double[::1] potentials, real[::1] workspace, float[::1] floats,
                 double[::1] sums, int n_threads):
    """k-means++: take a center, and compute the potentials of further candidates."""
    # centers     IN      (n_taken + C, d) real: the center to take, if n_taken is 1 (else 0), then C candidates
    # closest     IN/OUT  (n,) real, squared distance from the closest center taken; lowered by the center to take
    # restart     IN      whether closest is infinite before
    # block_sums  IN/OUT  (1 + C, blocks) float64; row 0, IN: sums over blocks of w_i closest_i, the center taken;
    #                     row c + 1, OUT: of w_i min(closest_i, |x_i - shift - candidate c|^2)
    # potentials  IN/OUT  (C,) float64, += sum over the blocks of row c + 1
    cdef ClosestPass[real] p
    take_clusters(&p.clusters, X, sample_weight, shift, centers, scale, workspace, floats, sums, n_threads)
    p.n_taken, p.closest, p.restart = n_taken, &closest[0], restart
    p.block_sums, p.stride, p.potentials = &block_sums[0, 0], block_sums.strides[0] // sizeof(double), &potentials[0]
    need(closest.shape[0] == X.shape[0], "closest")
    need(block_sums.shape[0] > centers.shape[0] - n_taken, "block_sums")
    need(block_sums.shape[1] * BLOCK_ROWS >= X.shape[0] and block_sums.strides[1] == sizeof(double), "block_sums")
    need(potentials.shape[0] == centers.shape[0] - n_taken, "potentials")
    with nogil:
        run_pass(p)


def rows_at(const real[:, ::1] X, const double[::1] sample_weight, const real[::1] shift, const real[::1] center,
            int n_taken, real[::1] closest, bint restart, const double[::1] block_sums, const double[::1] thresholds,
            Py_ssize_t[::1] rows, real[::1] workspace):
    """k-means++: rows[t] <- the first row at which the running sum of w_i closest_i reaches thresholds[t]."""
    # center      IN      (d,) real, still to be taken if n_taken is 1; float32 requires n_taken = 0
    # thresholds  IN      (T,) float64
    # rows        OUT     (T,) intp
    cdef RowSearch[real] p
    take_weighted_rows(&p.rows, X, sample_weight)
    p.d, p.shift, p.center, p.n_taken, p.closest, p.restart = X.shape[1], &shift[0], &center[0], n_taken, &closest[0], restart
    p.block_sums, p.thresholds, p.n_thresholds = &block_sums[0], &thresholds[0], thresholds.shape[0]
    p.found, p.workspace = &rows[0], &workspace[0]
    need(shift.shape[0] == p.d and center.shape[0] == p.d, "shift or center")
    need(closest.shape[0] == X.shape[0] and block_sums.shape[0] * BLOCK_ROWS >= X.shape[0], "closest or block_sums")
    need(rows.shape[0] == thresholds.shape[0], "rows")
    with nogil:
        run_pass(p)


# Between passes ----------------------------------------------------------------------------------------------------------


def factors_scratch(int n_features, int n_threads):
    """Length of the float64 array ``scratch`` of factors_of_inverses, aligned to 64 bytes."""
    cdef FactorsPass p
    p.d = n_features
    return n_threads * p.scratch_length()


def factors_of_inverses(const double[:, :, ::1] matrices, double[:, :, ::1] factors, bint are_triangles,
                        double[::1] scratch, int n_threads):
    """Upper-triangular U with U U^T the inverse of each matrix; or, if matrices are upper triangles, their inverses.

    Returns the index of the first matrix that has no finite factor, or -1."""
    # matrices  IN       (n, d, d) float64; only the upper triangles are read
    # factors   OUT      (n, d, d) float64
    # scratch   scratch  float64, length by factors_scratch
    cdef FactorsPass p
    p.d, p.n_matrices, p.matrices, p.out = matrices.shape[1], matrices.shape[0], &matrices[0, 0, 0], &factors[0, 0, 0]
    p.are_triangles, p.scratch, p.n_threads = are_triangles, &scratch[0], n_threads
    need(matrices.shape[2] == p.d, "matrices")
    need(factors.shape[0] == p.n_matrices and factors.shape[1] == p.d and factors.shape[2] == p.d, "factors")
    need(scratch.shape[0] >= n_threads * p.scratch_length(), "scratch")
    with nogil:
        run_pass(p)
    return p.first_failure


def rotate_axes(double[:, :, ::1] along, double[:, ::1] axes, const double[::1] shares, double[::1] volumes,
                bint equal_volume, double limit):
    """A round of rotations of common axes, if the value before it is less than ``limit``.  Returns that value.

    The value is sum_k shares_k log(volume_k) or, for equal volumes, log(sum_k shares_k volume_k): NaN if a variance is not
    positive."""
    # along    IN/OUT   (K, d, d) float64, D^T S_k D
    # axes     IN/OUT   (d, d) float64, D
    # shares   IN       (K,) float64, of sum 1
    # volumes  scratch  (K,) float64
    cdef AxesRound p
    p.d, p.n_matrices, p.along, p.axes = along.shape[1], along.shape[0], &along[0, 0, 0], &axes[0, 0]
    p.shares, p.volumes, p.equal_volume, p.limit = &shares[0], &volumes[0], equal_volume, limit
    need(along.shape[2] == p.d and axes.shape[0] == p.d and axes.shape[1] == p.d, "axes")
    need(shares.shape[0] == p.n_matrices and volumes.shape[0] == p.n_matrices, "shares")
    with nogil:
        run_pass(p)
    return p.value


# For tests and benchmarks -----------------------------------------------------------------------------------------------


def exp_inplace(real[::1] x):
    """exp of numbers <= 0, in place; 0 below -708 (float32: -87)."""
    with nogil:
        exp_of(&x[0], x.shape[0])


def log_inplace(real[::1] x):
    """log of numbers >= 1, in place."""
    with nogil:
        log_of(&x[0], x.shape[0])


def log1p_inplace(real[::1] x):
    """log(1 + x) of numbers >= 0, in place."""
    with nogil:
        log1p_of(&x[0], x.shape[0])
