/* Components with Student's t distribution: from the squared distances of the E step to densities, and the weights of the M step.
 *
 * With nu_k degrees of freedom and a_ik = 1 + |U_k^T (x_i - mean_k)|^2 / nu_k the log-density of row i under component k is
 *
 *     c_k - (nu_k + d) / 2 log a_ik,   c_k = log w_k + log det U_k + a normalizer,
 *
 * and the M step weighs the row by r_ik u_ik, u_ik = (1 + d / nu_k) / a_ik.  Let b_ik = g / u_ik, g the largest of 1 + d / nu_k,
 * so b_ik >= 1.  The softmax takes exponentials of density / b: they are the weights of the statistics, up to g, and their
 * products with b are the densities.  So u costs neither a quotient nor a square root.
 *
 * Statistics: those of statistics.hpp with r_ik / b_ik in place of r_ik, and the masses sum_i r_ik and sum_i r_ik log a_ik.
 *
 * Beyond `most` a grows no further: rows so far away have the density of that distance.  Layout and edge as in blocks.hpp. */
#ifndef FASTGMM_STUDENT_HPP
#define FASTGMM_STUDENT_HPP

#include "densities.hpp"
#include "em.hpp"

template <class Real> struct Student {
    const double *log_const;          /* (K,), c_k */
    const double *degrees_of_freedom; /* (K,), nu_k */

    static constexpr Real most = sizeof(Real) == 8 ? (Real)0x1p1000 : (Real)0x1p100;

    double largest_weight(const Shape &s) const
    {
        double largest = 0;
        for (int k = 0; k < s.n_components; k++) {
            const double weight = 1 + s.d / degrees_of_freedom[k];
            largest = weight > largest ? weight : largest;
        }
        return largest;
    }

    /* p[k]_i = -1/2 squared distance -> log-density. */
    void log_densities(const Shape &s, int padded, Real *p) const
    {
        for (ptrdiff_t k = 0; k < s.n_components; k++)
            transform(p + k * STRIDE, padded, -2 / degrees_of_freedom[k], log_const[k], 0.5 * (degrees_of_freedom[k] + s.d), 1, NULL, NULL);
    }

    /* p[k]_i = -1/2 squared distance -> log(density / b), or half of it; b[k]_i and log_a[k]_i are filled. */
    void exponents(const Shape &s, int padded, bool half, double largest, Real *p, Real *b, Real *log_a) const
    {
        const double share = half ? 0.5 : 1.0;
        for (ptrdiff_t k = 0; k < s.n_components; k++) {
            const double nu = degrees_of_freedom[k], most_b = largest / (1 + s.d / nu);
            transform(p + k * STRIDE, padded, -2 / nu, share * (log_const[k] - log(most_b)), share * (0.5 * (nu + s.d) + 1), most_b,
                      b + k * STRIDE, log_a + k * STRIDE);
        }
    }

    /* p <- constant - slope log a; unless they are NULL b <- a factor, log_a <- log a. */
    INLINE void transform(Real *RESTRICT p, int padded, Real per_distance, Real constant, Real slope, Real factor, Real *RESTRICT b,
                          Real *RESTRICT log_a)
    {
        for (int i = 0; i < padded; i++) {
            Real x = p[i] * per_distance;
            x = most < x ? most : x;
            const Real logarithm = fast_log1p(x);
            p[i] = constant - slope * logarithm;
            if (b) b[i] = factor + factor * x, log_a[i] = logarithm;
        }
    }

    /* peak <- the largest p of the row, p <- exp(p - peak), total <- sum_k b p, with p^2 for p if `root`. */
    INLINE void softmax(Real *RESTRICT p, const Real *RESTRICT b, int n_components, int padded, const int root, Real *RESTRICT peak,
                        Real *RESTRICT total)
    {
        const Real cut = root ? Limits<Real>::exp_cut_em / 2 : Limits<Real>::exp_cut_em;
        for (int i = 0; i < padded; i++) peak[i] = -Limits<Real>::max, total[i] = 0;
        ptrdiff_t k = 0;
        for (; k + 4 <= n_components; k += 4) peak_of_four(p + k * STRIDE, padded, peak);
        for (; k < n_components; k++)
            for (int i = 0; i < padded; i++) peak[i] = p[k * STRIDE + i] > peak[i] ? p[k * STRIDE + i] : peak[i];
        for (k = 0; k < n_components; k++) {
            Real *RESTRICT pk = p + k * STRIDE;
            const Real *RESTRICT bk = b + k * STRIDE;
            for (int i = 0; i < padded; i++) {
                const Real x = fast_exp(pk[i] - peak[i], cut);
                pk[i] = x;
                total[i] += bk[i] * (root ? x * x : x);
            }
        }
    }

    /* masses[k] += sum_i r_ik, masses[K + k] += sum_i r_ik log a_ik; r_ik = b p scale, with (p scale)^2 if `root`. */
    INLINE void add_masses(const Real *RESTRICT p, const Real *RESTRICT b, const Real *RESTRICT log_a, const Real *RESTRICT scale, int K,
                           int padded, const int root, double *masses)
    {
        for (ptrdiff_t k = 0; k < K; k++) {
            Vec<Real> count[GROUP] = {}, sum[GROUP] = {};
            for (int i = 0; i < padded; i += GROUP * lanes<Real>)
                UNROLL(2)
                for (int g = 0; g < GROUP; g++) {
                    const int at = i + g * lanes<Real>;
                    const Vec<Real> weight = load(p + k * STRIDE + at) * load(scale + at);
                    const Vec<Real> r = load(b + k * STRIDE + at) * (root ? weight * weight : weight);
                    count[g] += r;
                    sum[g] += r * load(log_a + k * STRIDE + at);
                }
            masses[k] += sum_lanes<Real>(count[0] + count[1]);
            masses[K + k] += sum_lanes<Real>(sum[0] + sum[1]);
        }
    }
};

template <class Real> struct StudentEmPass {
    EmPass<Real> em; /* its mixture has constants 0, and room for the masses; without entropy */
    Student<Real> student;
    double *masses; /* (2, K), += */

    void run()
    {
        const double largest = student.largest_weight(em.mixture);
        const double *total =
            em.run_with(Chunks(em.rows.n), [&](int t, ptrdiff_t start, ptrdiff_t stop, double *sums) { sum_rows(start, stop, largest, em.work(t), sums); });
        const double *found = total + em.mixture.masses_at();
        for (int j = 0; j < 2 * em.mixture.n_components; j++) masses[j] += found[j];
    }

    /* As EmPass. */
    void sum_rows(ptrdiff_t start, ptrdiff_t stop, double largest, Real *work, double *sums) const
    {
        const Mixture<Real> &s = em.mixture;
        const int K = s.n_components;
        const Scratch<Real> a(work, s);
        const bool root = s.root && !em.shared.is_used;
        for (ptrdiff_t first = start; first < stop; first += BLOCK) {
            const int m = smaller(BLOCK, stop - first), padded = pack(em.rows.X + first * s.d, m, s.d, a.xt);
            const double *w = em.rows.weights_from(first);
            em.evaluate(a, padded, first + m, stop, false);
            student.exponents(s, padded, root, largest, a.p, a.b, a.log_a);
            if (root)
                student.softmax(a.p, a.b, K, padded, 1, a.peak, a.inverse);
            else
                student.softmax(a.p, a.b, K, padded, 0, a.peak, a.inverse);
            log_likelihoods<Real>(a.peak, a.inverse, padded, root, NULL);
            sums[0] += weighted_sum(a.peak, w, m);
            row_scales(w, a.inverse, m, padded, root, a.scale);
            if (root)
                student.add_masses(a.p, a.b, a.log_a, a.scale, K, padded, 1, sums + s.masses_at());
            else
                student.add_masses(a.p, a.b, a.log_a, a.scale, K, padded, 0, sums + s.masses_at());
            em.add_statistics(a, padded, sums);
        }
    }
};

template <class Real> struct StudentDensityPass {
    DensityPass<Real> dense; /* its mixture has constants 0 */
    Student<Real> student;

    void run()
    {
        dense.run_with(Chunks(dense.rows.n), [&](int t, ptrdiff_t start, ptrdiff_t stop) {
            dense.write_rows_with(start, stop, dense.work(t),
                                  [&](int padded, Real *p) { student.log_densities(dense.mixture, padded, p); });
        });
    }
};

#endif
