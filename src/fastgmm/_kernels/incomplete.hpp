/* Passes over rows with missing values (Ghahramani & Jordan 1994).  Rows come grouped by the features o that they have, the
 * others are m.  A block of a group is gathered without its holes, and goes through the dense passes under the marginal mixture.
 *
 * The factor U of a precision U U^T gives it.  Rotations of the rows of U^T make a lower-triangular matrix of its columns in the
 * order o, m:
 *
 *     Q U^T = [W 0; B R],   |U^T (x - mu)|^2 = |W (x_o - mu_o)|^2 + |B (x_o - mu_o) + R (x_m - mu_m)|^2,
 *
 * so W^T is the factor of the marginal precision, A = -R^-1 B the regression of x_m on x_o, and C = R^-1 R^-T the covariance of
 * x_m given x_o.  Integrating x_m out adds |m| / 2 log(2 pi) - log det R to the constant of the log-density.  Nothing is squared,
 * so no digits are lost, and a missing feature costs some 3/2 d^2 multiply-adds, not d^3.
 *
 * With sums n, s, S of a group about the centers c_o and b = mu_m - c_m - A (mu_o - c_o), zero where the centers are the means,
 * the expected sums about c of the whole rows are
 *
 *     s_m = n b + A s,   S_mo = b s^T + A S,   S_mm = A S A^T + n b b^T + b (A s)^T + (A s) b^T + n C.
 *
 * Diagonal factors: A is zero.  The expectation of the entropy of x_m given x_o is part of the entropy. */
#ifndef FASTGMM_INCOMPLETE_HPP
#define FASTGMM_INCOMPLETE_HPP

#include "densities.hpp"
#include "em.hpp"

#define LOG_2_PI 1.8378770664093454836

/* Rows in groups with the same features. */
template <class Real> struct Groups {
    const Real *X;         /* (n_all, d), C-contiguous */
    int d;
    const double *weights; /* (n_all,), or NULL for ones */
    const int64_t *order;  /* (n,), numbers of rows, group after group */
    ptrdiff_t n_groups;
    const int64_t *starts;     /* (n_groups + 1,): group g is order[starts[g]] .. order[starts[g + 1] - 1] */
    const int32_t *n_observed; /* (n_groups,), at least 1 */
    const int32_t *features;   /* (n_groups, d): those that rows of the group have, ascending, then the others, ascending */

    /* Call part(g, first, end) for the parts of groups in rows start .. stop - 1 of the order. */
    template <class Function> void for_parts(ptrdiff_t start, ptrdiff_t stop, Function part) const
    {
        ptrdiff_t g = 0, high = n_groups;
        while (high - g > 1) {
            const ptrdiff_t middle = (g + high) / 2;
            if (starts[middle] <= start) g = middle;
            else high = middle;
        }
        for (; start < stop; g++) {
            const ptrdiff_t end = smaller(stop, starts[g + 1]);
            part(g, start, end);
            start = end;
        }
    }

    /* The values that rows first .. first + m - 1 of the order, all of group g, have, out (m, n_observed), and their weights. */
    void gather(ptrdiff_t g, ptrdiff_t first, int m, Real *RESTRICT out, double *RESTRICT w) const
    {
        const int o = n_observed[g];
        const int32_t *of = features + g * d;
        for (int i = 0; i < m; i++) {
#if defined(FASTGMM_GNU)
            if (i + 8 < m) __builtin_prefetch(X + order[first + i + 8] * d);
#endif
            const Real *x = X + order[first + i] * d;
            if (o == d) memcpy(out + (ptrdiff_t)i * d, x, d * sizeof(Real));
            else
                for (int a = 0; a < o; a++) out[(ptrdiff_t)i * o + a] = x[of[a]];
        }
        if (weights)
            for (int i = 0; i < m; i++) w[i] = weights[order[first + i]];
    }
};

/* A mixture in all features, float64.  Factors as in mixture.hpp. */
struct WholeMixture {
    int d, n_components, n_factors;
    bool diag; /* factors (K, 1, d) */
    const double *means, *factors, *log_const;

    ptrdiff_t factor_length() const { return diag ? d : (ptrdiff_t)d * d; }
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
    Real *means, *factors, *packed;

    static ptrdiff_t n_doubles(const WholeMixture &w)
    {
        return w.n_factors * (2 * (w.diag ? w.d : (ptrdiff_t)w.d * w.d) + 1) + w.n_components + 2 * (ptrdiff_t)w.d * w.d;
    }
    static ptrdiff_t n_reals(const WholeMixture &w)
    {
        return ((ptrdiff_t)w.n_components * w.d + w.n_factors * (w.factor_length() + (ptrdiff_t)w.d * (w.d + 1) / 2) + 15) / 16 * 16;
    }

    Marginals(const WholeMixture &w, double *doubles, Real *reals) : whole(w), features(NULL)
    {
        A = doubles, C = A + w.n_factors * w.factor_length(), log_det = C + w.n_factors * w.factor_length();
        log_const = log_det + w.n_factors, T = log_const + w.n_components, inverse = T + (ptrdiff_t)w.d * w.d;
        packed = reals, means = packed + w.n_factors * (ptrdiff_t)w.d * (w.d + 1) / 2;
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
        mixture.pack_factors(packed);
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

/* Scratch of a thread: the work of a dense pass, the marginals, centers (K, d), values (BLOCK, d) and resp (BLOCK, K). */
template <class Real> struct IncompleteScratch {
    Real *work, *centers, *values, *resp;
    double *S, *AS, *u, *b, *weights, *local;
    Marginals<Real> marginals;

    static Shape shape(const WholeMixture &w)
    {
        Shape s;
        s.set_shape(w.d, w.n_components, w.n_factors, w.diag ? 1 : w.d, w.d);
        return s;
    }
    static ptrdiff_t work_length(const WholeMixture &w) { return (shape(w).work_length() + 15) / 16 * 16; }
    static ptrdiff_t n_reals(const WholeMixture &w)
    {
        const ptrdiff_t rows = (w.n_components + BLOCK) * (ptrdiff_t)w.d + BLOCK * (ptrdiff_t)w.n_components;
        return (work_length(w) + Marginals<Real>::n_reals(w) + rows + 15) / 16 * 16;
    }
    static ptrdiff_t n_doubles(const WholeMixture &w)
    {
        const ptrdiff_t d = w.d;
        return (Marginals<Real>::n_doubles(w) + 2 * d * d + 2 * d + BLOCK + shape(w).sums_length() + 7) / 8 * 8;
    }

    IncompleteScratch(const WholeMixture &w, Real *reals, double *doubles)
        : work(reals), centers(work + work_length(w) + Marginals<Real>::n_reals(w)),
          values(centers + w.n_components * (ptrdiff_t)w.d), resp(values + BLOCK * (ptrdiff_t)w.d),
          S(doubles + Marginals<Real>::n_doubles(w)), AS(S + w.d * (ptrdiff_t)w.d), u(AS + w.d * (ptrdiff_t)w.d), b(u + w.d),
          weights(b + w.d), local(weights + BLOCK), marginals(w, doubles, work + work_length(w))
    {
    }
};

/* ---- statistics ---- */

template <class Real> struct IncompleteEmPass {
    Groups<Real> groups;
    WholeMixture mixture;
    const double *centers; /* (K, d), numbers of type Real */
    double *nk, *sum_x;    /* (K,), (K, d) */
    double *scatter;       /* shape of the factors, or (K, 1, 1) */
    bool sphere, with_entropy;
    ptrdiff_t start, stop; /* rows of the order */
    Real *reals;
    double *doubles, *sums; /* sums (SumTree::n_buffers, sums_length) */
    int n_threads;
    double log_likelihood, entropy;

    ptrdiff_t n_sums() const
    {
        return 2 + mixture.n_components * (1 + (ptrdiff_t)mixture.d) + mixture.n_factors * mixture.factor_length();
    }
    ptrdiff_t sums_length() const { return (n_sums() + RED_ZONE + 15) / 8 * 8; }

    void run()
    {
        const double *total = sum_chunks(Chunks(stop - start), n_threads, sums, sums_length(),
                                         [&](int t, ptrdiff_t first, ptrdiff_t end, double *out) {
                                             sum_rows(t, start + first, start + end, out);
                                         });
        log_likelihood = *total++, entropy = *total++;
        for (ptrdiff_t k = 0; k < mixture.n_components; k++) nk[k] += *total++;
        for (ptrdiff_t j = 0; j < mixture.n_components * (ptrdiff_t)mixture.d; j++) sum_x[j] += *total++;
        for (ptrdiff_t j = 0; j < mixture.n_factors * mixture.factor_length(); j++) scatter[sphere ? j / mixture.d : j] += *total++;
    }

    /* out += the sums of rows start .. stop - 1 of the order. */
    void sum_rows(int t, ptrdiff_t start, ptrdiff_t stop, double *out) const
    {
        const ptrdiff_t d = mixture.d, K = mixture.n_components;
        IncompleteScratch<Real> a(mixture, reals + t * IncompleteScratch<Real>::n_reals(mixture),
                                  doubles + t * IncompleteScratch<Real>::n_doubles(mixture));
        EmPass<Real> em = {}; /* of a group; it whitens rows for each component */
        em.with_entropy = with_entropy;
        groups.for_parts(start, stop, [&](ptrdiff_t g, ptrdiff_t first, ptrdiff_t end) {
            Marginals<Real> &marginals = a.marginals;
            marginals.take(groups.n_observed[g], groups.features + g * d);
            for (ptrdiff_t k = 0; k < K; k++)
                for (int j = 0; j < marginals.o; j++) a.centers[k * marginals.o + j] = (Real)centers[k * d + marginals.features[j]];
            em.mixture = marginals.mixture;
            em.statistics.centers = a.centers;
            memset(a.local, 0, em.mixture.sums_length() * sizeof(double));
            for (; first < end; first += BLOCK) {
                const int m = (int)smaller(BLOCK, end - first);
                groups.gather(g, first, m, a.values, a.weights);
                em.rows.X = a.values, em.rows.n = m, em.rows.weights = groups.weights ? a.weights : NULL;
                em.sum_rows(0, m, a.work, a.local);
            }
            add_expected(a, out);
        });
    }

    /* out += the expected sums of whole rows, given those of their observed features. */
    void add_expected(IncompleteScratch<Real> &a, double *out) const
    {
        const Marginals<Real> &g = a.marginals;
        const ptrdiff_t d = mixture.d, K = mixture.n_components, o = g.o, m = g.m;
        const double *n = a.local + 2, *s = n + K, *packed = s + K * o;
        double *sum_x = out + 2 + K, *scatter = sum_x + K * d;
        const bool shared = mixture.n_factors == 1;
        out[0] += a.local[0], out[1] += a.local[1];
        double n_all = 0;
        for (ptrdiff_t k = 0; k < K; k++) {
            out[2 + k] += n[k], n_all += n[k];
            if (with_entropy) out[1] += n[k] * (0.5 * m * (1 + LOG_2_PI) - g.log_det[shared ? 0 : k]);
        }
        if (shared && !mixture.diag) add_scatter_of(a, 0, packed, n_all, scatter);
        for (ptrdiff_t k = 0; k < K; k++, s += o) {
            const double *mu = mixture.means + k * d, *c = centers + k * d;
            const double *A = g.A + (shared ? 0 : k * m * o);
            double *S = scatter + (shared ? 0 : k * mixture.factor_length());
            for (ptrdiff_t j = 0; j < o; j++) sum_x[k * d + g.features[j]] += s[j];
            if (mixture.diag) {
                for (ptrdiff_t j = 0; j < o; j++) S[g.features[j]] += packed[k * o + j];
                for (ptrdiff_t r = 0; r < m; r++) {
                    const int j = g.features[o + r];
                    const double b = mu[j] - c[j];
                    sum_x[k * d + j] += n[k] * b;
                    S[j] += n[k] * (b * b + g.C[k * m + r]);
                }
                continue;
            }
            if (!shared && n[k] != 0) add_scatter_of(a, k, packed + k * scatter_size(o), n[k], S);
            for (ptrdiff_t r = 0; r < m; r++) {
                const int j = g.features[o + r];
                const double *row = A + r * o;
                double sum = 0, shift = mu[j] - c[j];
                for (ptrdiff_t l = 0; l < o; l++) sum += row[l] * s[l], shift -= row[l] * (mu[g.features[l]] - c[g.features[l]]);
                a.u[r] = sum, a.b[r] = shift;
                sum_x[k * d + j] += n[k] * shift + sum;
            }
            for (ptrdiff_t r = 0; r < m; r++) {
                const ptrdiff_t j = g.features[o + r];
                if (a.b[r] != 0)
                    for (ptrdiff_t l = 0; l < o; l++) {
                        const double product = a.b[r] * s[l];
                        S[j * d + g.features[l]] += product, S[g.features[l] * d + j] += product;
                    }
                for (ptrdiff_t q = 0; q <= r; q++) {
                    const double product = n[k] * a.b[r] * a.b[q] + a.b[r] * a.u[q] + a.u[r] * a.b[q];
                    S[j * d + g.features[o + q]] += product;
                    if (q < r) S[g.features[o + q] * d + j] += product;
                }
            }
        }
    }

    /* out (d, d) += [S, S A^T; A S, A S A^T + n C] for factor f and a packed S. */
    void add_scatter_of(IncompleteScratch<Real> &a, ptrdiff_t f, const double *packed, double n, double *RESTRICT out) const
    {
        const Marginals<Real> &g = a.marginals;
        const ptrdiff_t d = mixture.d, o = g.o, m = g.m;
        const int32_t *of = g.features;
        const double *A = g.A + f * m * o, *C = g.C + f * m * m;
        if (m == 0) {
            add_scatter(packed, (int)d, out);
            return;
        }
        memset(a.S, 0, o * o * sizeof(double));
        add_scatter(packed, (int)o, a.S);
        for (ptrdiff_t i = 0; i < o; i++)
            for (ptrdiff_t j = 0; j < o; j++) out[of[i] * d + of[j]] += a.S[i * o + j];
        for (ptrdiff_t r = 0; r < m; r++) {
            double *RESTRICT row = a.AS + r * o;
            memset(row, 0, o * sizeof(double));
            for (ptrdiff_t i = 0; i < o; i++) {
                const double x = A[r * o + i], *RESTRICT S = a.S + i * o;
                for (ptrdiff_t j = 0; j < o; j++) row[j] += x * S[j];
            }
            const ptrdiff_t j = of[o + r];
            for (ptrdiff_t i = 0; i < o; i++) out[j * d + of[i]] += row[i], out[of[i] * d + j] += row[i];
            for (ptrdiff_t q = 0; q <= r; q++) {
                double sum = n * C[r * m + q];
                for (ptrdiff_t i = 0; i < o; i++) sum += row[i] * A[q * o + i];
                out[j * d + of[o + q]] += sum;
                if (q < r) out[of[o + q] * d + j] += sum;
            }
        }
    }
};

/* ---- outputs for rows ---- */

/* Log-likelihoods, labels or responsibilities, in the order of the groups, for rows start .. stop - 1 of it. */
template <class Real> struct IncompleteDensityPass {
    Groups<Real> groups;
    WholeMixture mixture;
    Real *log_prob_norm; /* as in densities.hpp */
    int64_t *labels;
    Real *resp;
    Real *filled; /* OUT (n_all, d), the missing values are set to their expectations; or NULL */
    ptrdiff_t start, stop;
    Real *reals;
    double *doubles;
    int n_threads;

    void run()
    {
        share_out(Chunks(stop - start), n_threads,
                  [&](int t, ptrdiff_t first, ptrdiff_t end) { write_rows(t, start + first, start + end); });
    }

    void write_rows(int t, ptrdiff_t from, ptrdiff_t to) const
    {
        const ptrdiff_t d = mixture.d, K = mixture.n_components;
        IncompleteScratch<Real> a(mixture, reals + t * IncompleteScratch<Real>::n_reals(mixture),
                                  doubles + t * IncompleteScratch<Real>::n_doubles(mixture));
        DensityPass<Real> dense = {};
        groups.for_parts(from, to, [&](ptrdiff_t g, ptrdiff_t first, ptrdiff_t end) {
            a.marginals.take(groups.n_observed[g], groups.features + g * d);
            dense.mixture = a.marginals.mixture;
            for (; first < end; first += BLOCK) {
                const int m = (int)smaller(BLOCK, end - first);
                groups.gather(g, first, m, a.values, a.weights);
                dense.rows.X = a.values, dense.rows.n = m;
                dense.log_prob_norm = log_prob_norm ? log_prob_norm + (first - start) : NULL;
                dense.labels = labels ? labels + (first - start) : NULL;
                dense.resp = resp ? resp + (first - start) * K : filled ? a.resp : NULL;
                dense.write_rows(0, m, a.work);
                if (filled) fill(a, first, m);
            }
        });
    }

    /* The missing values of a block <- sum_k resp_ik (mu_km + A_k (x_i - mu_ko)). */
    void fill(const IncompleteScratch<Real> &a, ptrdiff_t first, int n) const
    {
        const Marginals<Real> &g = a.marginals;
        const ptrdiff_t d = mixture.d, K = mixture.n_components, o = g.o, m = g.m;
        for (int i = 0; i < n; i++) {
            Real *out = filled + groups.order[first + i] * d;
            const Real *x = a.values + i * o;
            for (ptrdiff_t r = 0; r < m; r++) {
                const int j = g.features[o + r];
                double value = 0;
                for (ptrdiff_t k = 0; k < K; k++) {
                    const double share = a.resp[i * K + k], *mu = mixture.means + k * d;
                    if (share == 0) continue;
                    double expected = mu[j];
                    if (!mixture.diag) {
                        const double *row = g.A + ((mixture.n_factors > 1 ? k * m : 0) + r) * o;
                        for (ptrdiff_t l = 0; l < o; l++) expected += row[l] * (x[l] - mu[g.features[l]]);
                    }
                    value += share * expected;
                }
                out[j] = (Real)value;
            }
        }
    }
};

#endif
