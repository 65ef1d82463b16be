/* Factors of precisions: U = R^-1 for the Cholesky factor R of each covariance, Sigma = R^T R, so that Sigma^-1 = U U^T.
 *
 * Both steps are sums of products of rows:
 *
 *     R_ij = (Sigma_ij - sum_{k<i} R_ki R_kj) / R_ii       from the first row down,
 *     U_ij = (delta_ij - sum_{k>i} R_ik U_kj) / R_ii       from the last row up.
 *
 * A tile of ROWS rows and WIDTH columns, which are in the lanes, stays in registers: sums over the rows outside the tile,
 * then substitution with the triangle on the diagonal.  Small matrices (d <= MOST_IN_LANES) are computed several at a time,
 * components in the lanes.  The diagonal of R is kept as 1 / R_ii.
 *
 * Layout and edge.  The upper triangle of a matrix is copied to scratch, where R and then U take its place: row by row, rows in
 * whole vectors.  Copying pads it with ones on the diagonal.  Of small matrices, entry (i, j) of all is one vector, and
 * lanes without a component repeat the last one.
 *
 * One thread computes a component, so results do not depend on the number of threads. */
#ifndef FASTGMM_FACTORS_HPP
#define FASTGMM_FACTORS_HPP

#include "threads.hpp"

#define MOST_IN_LANES 16
constexpr int WIDTH = GROUP * lanes<double>;           /* columns of a tile */
constexpr int ROWS = PANEL < WIDTH ? PANEL : WIDTH; /* rows of a tile */

/* 1 / sqrt(x); not finite unless x is finite and positive. */
INLINE double inverse_root(double x) { return x <= DBL_MAX ? 1 / sqrt(x) : NAN; }

/* The tile at p, its rows `stride` apart. */
struct FactorTile {
    Vec<double> v[ROWS * GROUP];

    INLINE void add(FactorTile *t, const double *p, ptrdiff_t stride)
    {
        UNROLL(8)
        for (int i = 0; i < ROWS; i++)
            UNROLL(2)
            for (int g = 0; g < GROUP; g++) t->v[i * GROUP + g] += load(p + i * stride + g * lanes<double>);
    }

    /* Minus sum_{k<n} a_ik b_k, where b_k is a row of the tile's columns. */
    INLINE void subtract(FactorTile *t, const double *a, ptrdiff_t step_i, ptrdiff_t step_k, const double *b, ptrdiff_t stride,
                         ptrdiff_t n)
    {
        FactorTile r = *t;
        for (ptrdiff_t k = 0; k < n; k++, a += step_k, b += stride) {
            const Vec<double> b0 = load(b), b1 = load(b + lanes<double>);
            UNROLL(8)
            for (int i = 0; i < ROWS; i++) {
                const double aik = a[i * step_i];
                r.v[i * GROUP] -= aik * b0;
                r.v[i * GROUP + 1] -= aik * b1;
            }
        }
        *t = r;
    }

    /* Forward: R^-T times the tile; backward: R^-1 times it. */
    template <bool forward> INLINE void substitute(FactorTile *t, const double *R)
    {
        UNROLL(8)
        for (int s = 0; s < ROWS; s++) {
            const int i = forward ? s : ROWS - 1 - s;
            UNROLL(2)
            for (int g = 0; g < GROUP; g++) t->v[i * GROUP + g] *= R[i * ROWS + i];
            UNROLL(8)
            for (int r = s + 1; r < ROWS; r++) {
                const int other = forward ? r : ROWS - 1 - r;
                const double factor = forward ? R[i * ROWS + other] : R[other * ROWS + i];
                UNROLL(2)
                for (int g = 0; g < GROUP; g++) t->v[other * GROUP + g] -= factor * t->v[i * GROUP + g];
            }
        }
    }

    INLINE void store_at(const FactorTile &t, double *p, ptrdiff_t stride)
    {
        UNROLL(8)
        for (int i = 0; i < ROWS; i++)
            UNROLL(2)
            for (int g = 0; g < GROUP; g++) store(p + i * stride + g * lanes<double>, t.v[i * GROUP + g]);
    }
};

/* The stack of matrices, in and out. */
struct FactorsPass {
    int d;
    ptrdiff_t n_matrices;
    const double *matrices; /* (n, d, d): covariances, symmetric, or R, upper triangular */
    double *out;            /* (n, d, d) */
    bool are_triangles;     /* matrices are R */
    double *scratch;        /* (n_threads, scratch_length) */
    int n_threads;
    ptrdiff_t first_failure; /* out: the first matrix without finite factors, or -1 */

    bool in_lanes() const { return d <= MOST_IN_LANES; }
    ptrdiff_t padded() const { return (d + WIDTH - 1) / WIDTH * WIDTH; }
    ptrdiff_t stride() const { return padded() % 64 ? padded() : padded() + lanes<double> * GROUP; }
    ptrdiff_t scratch_length() const { return (in_lanes() ? (ptrdiff_t)d * d * lanes<double> : padded() * stride()) + RED_ZONE; }

    void run()
    {
        const int in_group = in_lanes() ? lanes<double> : 1;
        const int n_groups = (int)((n_matrices + in_group - 1) / in_group);
        first_failure = n_matrices;
        if (n_threads == 1) {
            for (int g = 0; g < n_groups; g++) group(g, scratch);
        } else {
#ifdef _OPENMP
#  pragma omp parallel for num_threads(n_threads) schedule(dynamic)
#endif
            for (int g = 0; g < n_groups; g++) group(g, scratch + omp_get_thread_num() * scratch_length());
        }
        if (first_failure == n_matrices) first_failure = -1;
    }

    void group(ptrdiff_t g, double *work)
    {
        const RedZone red_zone(work + scratch_length());
        if (in_lanes())
            small_ones(g * lanes<double>, (Vec<double> *)work);
        else
            large_one(g, work);
        empty_upper_halves();
    }

    void report(ptrdiff_t k)
    {
#ifdef _OPENMP
#  pragma omp critical(fastgmm_factors)
#endif
        if (k < first_failure) first_failure = k;
    }

    /* Small matrices --------------------------------------------------------------------------------------------------- */

    void small_ones(ptrdiff_t first, Vec<double> *a)
    {
        constexpr int n = lanes<double>;
        const ptrdiff_t size = (ptrdiff_t)d * d;
        const int count = n_matrices - first < n ? (int)(n_matrices - first) : n;
        const double *from[n];
        for (int l = 0; l < n; l++) from[l] = matrices + (first + (l < count ? l : count - 1)) * size;
        for (int i = 0; i < d; i++)
            for (int j = i; j < d; j++) {
                double *entry = (double *)(a + i * d + j);
                for (int l = 0; l < n; l++) entry[l] = from[l][i * d + j];
            }
        for (int i = 0; i < d; i++) {
            Vec<double> *row = a + i * d;
            row[i] = inverse_of_diagonal(row[i]);
            if (are_triangles) continue;
            for (int j = i + 1; j < d; j++) row[j] *= row[i];
            for (int k = i + 1; k < d; k++) subtract_multiple(a + k * d, row[k], row, k);
        }
        Vec<double> sum = {}; /* of x - x, which is 0 or not a number */
        for (int i = 0; i < d; i++) { /* solve u R = e_i: rows below are still R */
            Vec<double> *row = a + i * d;
            sum += row[i] - row[i];
            for (int j = i + 1; j < d; j++) row[j] *= -row[i];
            for (int k = i + 1; k < d; k++) {
                row[k] *= a[k * d + k];
                sum += row[k] - row[k];
                subtract_multiple(row, row[k], a + k * d, k + 1);
            }
        }
        for (int l = 0; l < count; l++) {
            double *to = out + (first + l) * size;
            const double *entry = (const double *)a + l;
            for (int i = 0; i < d; i++)
                for (int j = 0; j < d; j++) to[i * d + j] = j < i ? 0 : entry[(i * d + j) * n];
            if (!(((const double *)&sum)[l] == 0)) report(first + l);
        }
    }

    /* y_j -= factor x_j for j >= first */
    void subtract_multiple(Vec<double> *RESTRICT y, Vec<double> factor, const Vec<double> *RESTRICT x, int first) const
    {
        for (int j = first; j < d; j++) y[j] -= factor * x[j];
    }

    Vec<double> inverse_of_diagonal(Vec<double> v) const
    {
        double x[lanes<double>];
        memcpy(x, &v, sizeof x);
        for (int l = 0; l < lanes<double>; l++) x[l] = are_triangles ? 1 / x[l] : inverse_root(x[l]);
        memcpy(&v, x, sizeof x);
        return v;
    }

    /* A large matrix --------------------------------------------------------------------------------------------------- */

    void large_one(ptrdiff_t k, double *a)
    {
        const ptrdiff_t n = padded(), ld = stride(), size = (ptrdiff_t)d * d;
        const double *from = matrices + k * size;
        double *to = out + k * size;
        memset(a, 0, n * ld * sizeof(double));
        for (ptrdiff_t i = 0; i < d; i++) memcpy(a + i * ld + i, from + i * d + i, (d - i) * sizeof(double));
        for (ptrdiff_t i = d; i < n; i++) a[i * ld + i] = 1;
        if (are_triangles)
            for (int i = 0; i < d; i++) a[i * (ld + 1)] = 1 / a[i * (ld + 1)];
        else
            for (ptrdiff_t p = 0; p < d; p += ROWS) cholesky_rows(a, n, ld, p);
        for (ptrdiff_t p = (d - 1) / ROWS * ROWS; p >= 0; p -= ROWS) inverse_rows(a, n, ld, p);

        for (ptrdiff_t i = 0; i < d; i++) {
            memset(to + i * d, 0, i * sizeof(double));
            memcpy(to + i * d + i, a + i * ld + i, (d - i) * sizeof(double));
        }
        if (!are_finite(a, n, ld)) report(k);
    }

    bool are_finite(const double *a, ptrdiff_t n, ptrdiff_t ld) const
    {
        Vec<double> sum = {}; /* of x - x, which is 0 or not a number */
        for (ptrdiff_t i = 0; i < d; i++)
            for (ptrdiff_t j = i / lanes<double> * lanes<double>; j < n; j += lanes<double>)
                sum += load(a + i * ld + j) - load(a + i * ld + j);
        double each[lanes<double>], all = 0;
        memcpy(each, &sum, sizeof each);
        for (int l = 0; l < lanes<double>; l++) all += each[l];
        return all == 0;
    }

    /* Rows p .. p + ROWS - 1 of R. */
    void cholesky_rows(double *a, ptrdiff_t n, ptrdiff_t ld, ptrdiff_t p)
    {
        double *rows = a + p * ld, R[ROWS * ROWS];
        for (ptrdiff_t j = p / WIDTH * WIDTH; j < n; j += WIDTH) {
            FactorTile t = {};
            FactorTile::subtract(&t, a + p, 1, ld, a + j, ld, p);
            FactorTile::add(&t, rows + j, ld); /* last, since it is large */
            if (j <= p) {
                FactorTile::store_at(t, rows + j, ld);
                triangle(rows + p, ld, R);
            }
            FactorTile::substitute<true>(&t, R);
            FactorTile::store_at(t, rows + j, ld);
        }
        for (int i = 0; i < ROWS; i++) {
            for (ptrdiff_t j = p / WIDTH * WIDTH; j < p + i; j++) rows[i * ld + j] = 0;
            rows[i * ld + p + i] = R[i * ROWS + i];
        }
    }

    /* R <- Cholesky factor of the ROWS x ROWS matrix, with 1 / R_ii. */
    static void triangle(const double *a, ptrdiff_t ld, double *R)
    {
        for (int i = 0; i < ROWS; i++) memcpy(R + i * ROWS, a + i * ld, ROWS * sizeof(double));
        UNROLL(8)
        for (int i = 0; i < ROWS; i++) {
            const double inverse = inverse_root(R[i * ROWS + i]);
            R[i * ROWS + i] = inverse;
            UNROLL(8)
            for (int j = i + 1; j < ROWS; j++) R[i * ROWS + j] *= inverse;
            UNROLL(8)
            for (int k = i + 1; k < ROWS; k++)
                UNROLL(8)
                for (int j = k; j < ROWS; j++) R[k * ROWS + j] -= R[i * ROWS + k] * R[i * ROWS + j];
        }
    }

    /* Rows p .. p + ROWS - 1 of U in place of those of R; rows below are U.  Columns from the right: those of R at the
     * left of a tile are still needed. */
    void inverse_rows(double *a, ptrdiff_t n, ptrdiff_t ld, ptrdiff_t p)
    {
        double *rows = a + p * ld, R[ROWS * ROWS];
        for (int i = 0; i < ROWS; i++) memcpy(R + i * ROWS, rows + p + i * ld, ROWS * sizeof(double));
        const ptrdiff_t below = p + ROWS, first = p / WIDTH * WIDTH;
        for (ptrdiff_t j = n - WIDTH; j >= first; j -= WIDTH) {
            FactorTile t = {};
            if (j <= p) {
                double ones[ROWS * WIDTH] = {0};
                for (int i = 0; i < ROWS; i++) ones[i * WIDTH + p - j + i] = 1;
                memcpy(t.v, ones, sizeof ones);
            }
            FactorTile::subtract(&t, rows + below, ld, 1, a + below * ld + j, ld, j + WIDTH - below);
            FactorTile::substitute<false>(&t, R);
            FactorTile::store_at(t, rows + j, ld);
        }
    }
};

#endif
