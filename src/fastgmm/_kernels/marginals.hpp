/* Marginals of a mixture in the features o that rows have, and the regressions of the others, m, on them.
 *
 * The factor U of a precision U U^T gives both.  Rotations of the rows of U^T make a lower-triangular matrix of its columns in the
 * order o, m:
 *
 *     Q U^T = [W 0; B R],   |U^T (x - mu)|^2 = |W (x_o - mu_o)|^2 + |B (x_o - mu_o) + R (x_m - mu_m)|^2,
 *
 * so W^T is the factor of the marginal precision, A = -R^-1 B the regression of x_m on x_o, and C = R^-1 R^-T the covariance of
 * x_m given x_o.  Integrating x_m out adds |m| / 2 log(2 pi) - log det R to the constant of the log-density.  Nothing is squared,
 * so no digits are lost, and a missing feature costs some 3/2 d^2 multiply-adds, not d^3.  Diagonal factors: A is zero. */
#ifndef FASTGMM_MARGINALS_HPP
#define FASTGMM_MARGINALS_HPP

#include "mixture.hpp"

#define LOG_2_PI 1.8378770664093454836

/* A mixture in all features, float64.  Factors as in mixture.hpp. */
struct WholeMixture {
    int d, n_components, n_factors;
    bool diag; /* factors (K, 1, d) */
    const double *means, *factors, *log_const;

    ptrdiff_t factor_length() const { return diag ? d : (ptrdiff_t)d * d; }
    /* A group of fewer rows is completed (completed.hpp), since a marginal mixture of its own would take longer: measured for 16 to
     * 100 features and 8 components.  A few features have few patterns. */
    ptrdiff_t few_rows() const { return d <= 4 ? 0 : diag ? 64 : n_factors == 1 && n_components > 1 ? d / 2 : 2 * d; }
    Shape shape() const
    {
        Shape s;
        s.set_shape(d, n_components, n_factors, diag ? 1 : d, diag ? 1 : d); /* with room for squares of spheres */
        return s;
    }
};

/* The marginal mixture of a group, and the regressions of the missing features. */
template <class Real> struct Marginals {
    const WholeMixture &whole;
    Mixture<Real> mixture; /* of the observed features */
    int o, m;
    const int32_t *features;
    double *A;         /* (n_factors, m, o) */
    double *C;         /* (n_factors, m, m), or the diagonals (K, m) */
    double *log_det;   /* (n_factors,), log det R */
    double *log_const; /* (K,) */
    double *T, *inverse;
    Real *means, *factors;
    Real *packed; /* scratch for what a pass prepares of the mixture */

    static ptrdiff_t n_doubles(const WholeMixture &w)
    {
        return w.n_factors * (2 * (w.diag ? w.d : (ptrdiff_t)w.d * w.d) + 1) + w.n_components + 2 * (ptrdiff_t)w.d * w.d;
    }
    static ptrdiff_t n_reals(const WholeMixture &w)
    {
        return (((ptrdiff_t)w.n_components * w.d + w.n_factors * w.factor_length() + w.shape().packed_length()) + 15) / 16 * 16;
    }

    Marginals(const WholeMixture &w, double *doubles, Real *reals) : whole(w), features(NULL)
    {
        A = doubles, C = A + w.n_factors * w.factor_length(), log_det = C + w.n_factors * w.factor_length();
        log_const = log_det + w.n_factors, T = log_const + w.n_components, inverse = T + (ptrdiff_t)w.d * w.d;
        packed = reals, means = packed + w.shape().packed_length();
        factors = means + (ptrdiff_t)w.n_components * w.d;
    }

    /* The features `of` (d,), the first `observed` of which are observed. */
    void take(int observed, const int32_t *of)
    {
        const int K = whole.n_components, d = whole.d;
        o = observed, m = d - o, features = of;
        mixture.set_shape(o, K, whole.n_factors, whole.diag ? 1 : o, o);
        for (ptrdiff_t f = 0; f < whole.n_factors; f++)
            if (whole.diag) take_diagonal(f);
            else take_factor(f);
        for (ptrdiff_t k = 0; k < K; k++) {
            log_const[k] = whole.log_const[k] + 0.5 * m * LOG_2_PI - log_det[whole.n_factors > 1 ? k : 0];
            for (int a = 0; a < o; a++) means[k * o + a] = (Real)whole.means[k * d + of[a]];
        }
        mixture.means = means, mixture.factors = factors, mixture.log_const = log_const;
    }

    void take_diagonal(ptrdiff_t f)
    {
        const double *u = whole.factors + f * whole.d;
        for (int a = 0; a < o; a++) factors[f * o + a] = (Real)u[features[a]];
        log_det[f] = 0;
        for (int r = 0; r < m; r++) {
            const double root = u[features[o + r]];
            log_det[f] += log(fabs(root));
            C[f * m + r] = 1 / (root * root);
        }
    }

    void take_factor(ptrdiff_t f)
    {
        const int d = whole.d;
        const double *U = whole.factors + f * d * d;
        Real *out = factors + f * o * o;
        if (m == 0) {
            for (ptrdiff_t j = 0; j < (ptrdiff_t)d * d; j++) out[j] = (Real)U[j];
            log_det[f] = 0;
            return;
        }
        for (int i = 0; i < d; i++)
            for (int j = 0; j < d; j++) T[i * (ptrdiff_t)d + j] = j <= i ? U[j * (ptrdiff_t)d + i] : 0;
        for (int r = m - 1; r >= 0; r--) remove(features[o + r], o + r, d);
        for (int a = 0; a < o; a++)
            for (int b = 0; b < o; b++) out[a * (ptrdiff_t)o + b] = a <= b ? (Real)T[b * (ptrdiff_t)d + features[a]] : 0;
        log_det[f] = 0;
        for (int r = 0; r < m; r++) solve_row(r, A + f * m * o, log_det[f]);
        for (int r = 0; r < m; r++) /* C = R^-1 R^-T */
            for (int c = 0; c <= r; c++) {
                double sum = 0;
                for (int j = 0; j <= c; j++) sum += inverse[r * m + j] * inverse[c * m + j];
                C[f * m * m + r * m + c] = C[f * m * m + c * m + r] = sum;
            }
    }

    /* Rotate rows 0 .. last of T so that only the last one has feature j. */
    void remove(int j, int last, int d)
    {
        for (int i = j; i < last; i++) {
            double *RESTRICT upper = T + i * (ptrdiff_t)d, *RESTRICT lower = upper + d;
            const double size = fabs(upper[j]) > fabs(lower[j]) ? fabs(upper[j]) : fabs(lower[j]);
            if (size == 0) continue;
            const double a = upper[j] / size, b = lower[j] / size, length = sqrt(a * a + b * b);
            const double c = b / length, s = a / length;
            const int columns = (int)smaller(d, i + 1 + d - last);
            for (int l = 0; l < columns; l++) {
                const double x = upper[l], y = lower[l];
                upper[l] = c * x - s * y;
                lower[l] = s * x + c * y;
            }
            upper[j] = 0;
        }
    }

    /* Row r of A = -R^-1 B and of R^-1; the rows before are known. */
    void solve_row(int r, double *A_f, double &log_det_f)
    {
        const double *row = T + (o + r) * (ptrdiff_t)whole.d;
        double *RESTRICT a = A_f + r * (ptrdiff_t)o, *RESTRICT v = inverse + r * (ptrdiff_t)m;
        for (int l = 0; l < o; l++) a[l] = -row[features[l]];
        for (int l = 0; l < m; l++) v[l] = l == r;
        for (int q = 0; q < r; q++) {
            const double x = row[features[o + q]];
            const double *before = A_f + q * (ptrdiff_t)o, *v_before = inverse + q * (ptrdiff_t)m;
            for (int l = 0; l < o; l++) a[l] -= x * before[l];
            for (int l = 0; l <= q; l++) v[l] -= x * v_before[l];
        }
        const double root = row[features[o + r]];
        for (int l = 0; l < o; l++) a[l] /= root;
        for (int l = 0; l <= r; l++) v[l] /= root;
        log_det_f += log(fabs(root));
    }
};

#endif
