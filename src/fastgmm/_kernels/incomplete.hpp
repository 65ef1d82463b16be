/* Passes over rows with missing values (Ghahramani & Jordan 1994).  Rows come grouped by the features o that they have, the
 * others are m.  A block of a group is gathered without its holes, and goes through the dense passes under the marginal mixture
 * (marginals.hpp).  With sums n, s, S of a group about the centers c_o and b = mu_m - c_m - A (mu_o - c_o), zero where the centers
 * are the means, the expected sums about c of the whole rows are
 *
 *     s_m = n b + A s,   S_mo = b s^T + A S,   S_mm = A S A^T + n b b^T + b (A s)^T + (A s) b^T + n C.
 *
 * Rows of small groups are completed instead, in each component (completed.hpp), which takes no algebra of a whole matrix for a
 * group.  The expectation of the entropy of x_m given x_o is part of the entropy. */
#ifndef FASTGMM_INCOMPLETE_HPP
#define FASTGMM_INCOMPLETE_HPP

#include "completed.hpp"
#include "densities.hpp"
#include "em.hpp"

/* Scratch of a thread: the work of a dense pass, the marginals, centers (K, d), values (BLOCK, d) and resp (BLOCK, K). */
template <class Real> struct IncompleteScratch {
    Real *work, *centers, *values, *resp;
    double *S, *AS, *v, *u, *b, *weights, *local;
    int32_t *all; /* (d,), the numbers of all features */
    Marginals<Real> marginals;
    Completed<Real> completed;

    static ptrdiff_t work_length(const WholeMixture &w) { return (w.shape().work_length() + 15) / 16 * 16; }
    static ptrdiff_t n_reals(const WholeMixture &w)
    {
        const ptrdiff_t rows = (w.n_components + BLOCK) * (ptrdiff_t)w.d + BLOCK * (ptrdiff_t)w.n_components;
        return (work_length(w) + Marginals<Real>::n_reals(w) + rows + 15) / 16 * 16;
    }
    static ptrdiff_t n_doubles(const WholeMixture &w)
    {
        const ptrdiff_t d = w.d, own = 2 * d * d + (w.n_components + 1) * d + 3 * d + BLOCK + w.shape().sums_length();
        return Completed<Real>::n_doubles(w) + (Marginals<Real>::n_doubles(w) + own + 7) / 8 * 8;
    }

    IncompleteScratch(const WholeMixture &w, Real *reals, double *doubles)
        : work(reals), centers(work + work_length(w) + Marginals<Real>::n_reals(w)),
          values(centers + w.n_components * (ptrdiff_t)w.d), resp(values + BLOCK * (ptrdiff_t)w.d),
          S(doubles + Completed<Real>::n_doubles(w) + Marginals<Real>::n_doubles(w)), AS(S + w.d * (ptrdiff_t)w.d),
          v(AS + w.d * (ptrdiff_t)w.d), u(v + (w.n_components + 1) * (ptrdiff_t)w.d), b(u + w.d), weights(b + w.d),
          local(weights + BLOCK), all((int32_t *)(local + w.shape().sums_length())),
          marginals(w, doubles + Completed<Real>::n_doubles(w), work + work_length(w)), completed(w, doubles)
    {
        for (int j = 0; j < w.d; j++) all[j] = j;
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
        IncompleteScratch<Real> a(mixture, reals + t * IncompleteScratch<Real>::n_reals(mixture),
                                  doubles + t * IncompleteScratch<Real>::n_doubles(mixture));
        EmPass<Real> em = {}; /* under the marginal mixture */
        em.with_entropy = with_entropy;
        groups.for_parts(
            start, stop, mixture.few_rows(),
            [&](ptrdiff_t g, ptrdiff_t first, ptrdiff_t end) {
                take_features(groups.n_observed[g], groups.features + g * mixture.d, a, em);
                for (; first < end; first += BLOCK) {
                    const int m = (int)smaller(BLOCK, end - first);
                    groups.gather(g, first, m, a.values, a.weights);
                    em.rows.X = a.values, em.rows.n = m, em.rows.weights = groups.weights ? a.weights : NULL;
                    em.sum_rows(0, m, a.work, a.local);
                }
                add_expected(a, em.shared.is_used, out);
            },
            [&](ptrdiff_t g, ptrdiff_t first, ptrdiff_t end) {
                take_features(mixture.d, a.all, a, em);
                while (first < end) {
                    const int m = a.completed.take(groups, g, first, end, a.values, a.weights);
                    sum_completed(a, em, m, out);
                    first += m;
                }
                add_expected(a, false, out);
            });
    }

    NOINLINE void take_features(int observed, const int32_t *of, IncompleteScratch<Real> &a, EmPass<Real> &em) const
    {
        const Marginals<Real> &g = a.marginals;
        a.marginals.take(observed, of);
        for (ptrdiff_t k = 0; k < mixture.n_components; k++)
            for (int j = 0; j < observed; j++) a.centers[k * observed + j] = (Real)centers[k * mixture.d + of[j]];
        em.mixture = g.mixture, em.mixture.sphere = sphere && em.mixture.diag;
        em.statistics.centers = a.centers;
        em.prepare(g.packed, a.S);
        memset(a.local, 0, em.mixture.sums_length() * sizeof(double));
    }

    /* a.local += the sums of the m rows that are taken, completed; out += what their missing values add. */
    NOINLINE void sum_completed(IncompleteScratch<Real> &a, const EmPass<Real> &em, int m, double *out) const
    {
        const Mixture<Real> &s = em.mixture;
        const Scratch<Real> b(a.work, s);
        const int padded = pack(a.values, m, s.d, b.xt);
        a.completed.log_densities(s, em.shared, b, padded, s.root);
        em.weigh(b, m, padded, groups.weights ? a.weights : NULL, s.root, a.local);
        for (ptrdiff_t k = 0; k < s.n_components; k++) {
            a.completed.fill(0, a.completed.n_parts, k, true, b.xt);
            accumulate_one(b.xt, padded, s, k, a.centers, b.p + k * STRIDE, b.scale, b.z, a.local + 2);
        }
        double *scatter = out + 2 + s.n_components * (1 + (ptrdiff_t)s.d);
        a.completed.add_conditional(b.p, s.root, scatter, with_entropy ? out + 1 : NULL);
    }

    /* out += the expected sums of whole rows, given those of their observed features. */
    void add_expected(IncompleteScratch<Real> &a, bool is_shared, double *out) const
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
        if (shared && !mixture.diag) add_scatter_of(a, 0, packed, n_all, is_shared, scatter);
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
            if (!shared && n[k] != 0) add_scatter_of(a, k, packed + k * scatter_size(o), n[k], false, S);
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

    /* out (d, d) += [S, S A^T; A S, A S A^T + n C] for factor f and a packed S, with `is_shared` that of shared.hpp. */
    void add_scatter_of(IncompleteScratch<Real> &a, ptrdiff_t f, const double *packed, double n, bool is_shared,
                        double *RESTRICT out) const
    {
        const Marginals<Real> &g = a.marginals;
        const ptrdiff_t d = mixture.d, o = g.o, m = g.m;
        const int32_t *of = g.features;
        const double *A = g.A + f * m * o, *C = g.C + f * m * m;
        double *S = m ? a.S : out;
        if (m) memset(S, 0, o * o * sizeof(double));
        add_scatter(packed, (int)o, S);
        if (is_shared) add_scatter_of_centers(packed + scatter_size((int)o), mixture.n_components, (int)o, a.centers, a.v, S);
        if (m == 0) return;
        for (ptrdiff_t i = 0; i < o; i++)
            for (ptrdiff_t j = 0; j < o; j++) out[of[i] * d + of[j]] += a.S[i * o + j];
        for (ptrdiff_t r = 0; r < m; r++) {
            double *RESTRICT row = a.AS + r * o;
            memset(row, 0, o * sizeof(double));
            for (ptrdiff_t i = 0; i < o; i++) {
                const double x = A[r * o + i], *RESTRICT from = S + i * o;
                for (ptrdiff_t j = 0; j < o; j++) row[j] += x * from[j];
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
        const auto output = [&](ptrdiff_t first) {
            dense.log_prob_norm = log_prob_norm ? log_prob_norm + (first - start) : NULL;
            dense.labels = labels ? labels + (first - start) : NULL;
            dense.resp = resp ? resp + (first - start) * K : filled ? a.resp : NULL;
        };
        groups.for_parts(
            from, to, mixture.few_rows(),
            [&](ptrdiff_t g, ptrdiff_t first, ptrdiff_t end) {
                a.marginals.take(groups.n_observed[g], groups.features + g * d);
                dense.mixture = a.marginals.mixture;
                dense.prepare(a.marginals.packed, a.S);
                for (; first < end; first += BLOCK) {
                    const int m = (int)smaller(BLOCK, end - first);
                    groups.gather(g, first, m, a.values, a.weights);
                    dense.rows.X = a.values, dense.rows.n = m;
                    output(first);
                    dense.write_rows(0, m, a.work);
                    if (filled) fill(a, first, m);
                }
            },
            [&](ptrdiff_t g, ptrdiff_t first, ptrdiff_t end) {
                a.marginals.take((int)d, a.all);
                dense.mixture = a.marginals.mixture;
                dense.prepare(a.marginals.packed, a.S);
                const Scratch<Real> b(a.work, dense.mixture);
                while (first < end) {
                    const int m = a.completed.take(groups, g, first, end, a.values, a.weights);
                    const int padded = pack(a.values, m, (int)d, b.xt);
                    a.completed.log_densities(dense.mixture, dense.shared, b, padded, false);
                    output(first);
                    dense.write_block(b, 0, m, padded);
                    if (filled) fill_completed(a, first);
                    first += m;
                }
            });
    }

    void fill_completed(const IncompleteScratch<Real> &a, ptrdiff_t first) const
    {
        for (int part = 0; part < a.completed.n_parts; part++) {
            const auto &p = a.completed.parts[part];
            for (int i = p.first; i < p.stop; i++)
                a.completed.expectations(p, i, a.resp + i * mixture.n_components, filled + groups.order[first + i] * mixture.d);
        }
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
