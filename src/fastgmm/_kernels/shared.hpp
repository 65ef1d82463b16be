/* Components that share one factor U: rows are whitened once, and the scatter of all components is summed at once.
 *
 * E step.  With z = U^T (x - o) for a common origin o and m_k = U^T (mu_k - o), |U^T (x - mu_k)|^2 = |z - m_k|^2: d^2 / 2
 * multiply-adds a row and d a pair, in place of d^2 / 2 a pair.
 *
 * Statistics.  Rows have weights r_ik for the components; let s_i = sum_k r_ik, u_i = sum_k r_ik (x_i - c_k), and C_kl = sum_i
 * r_ik r_il / s_i.  Since u_i / s_i is the row minus the mean of the centers under its weights,
 *
 *     sum_ik r_ik (x_i - c_k)(x_i - c_k)^T = sum_i u_i u_i^T / s_i + sum_{k<l} C_kl (c_k - c_l)(c_k - c_l)^T.
 *
 * All terms are positive, and x_i enters through differences from the centers only.
 *
 * Rounding.  z and m_k lose digits where |U|^T |mu_k - o| is large compared with what it is for a row of a component about its
 * mean, |U|^T sigma with sigma_j the standard deviation of feature j.  A factor of MOST_SPREAD is allowed; components
 * farther apart are evaluated one by one.
 *
 * Layout and edge as in blocks.hpp: r is 0 in the padding. */
#ifndef FASTGMM_SHARED_HPP
#define FASTGMM_SHARED_HPP

#include "mixture.hpp"

#define MOST_SPREAD 16.0

/* The mixture, whitened about an origin. */
template <class Real> struct SharedFactor {
    bool is_used;
    Real *origin; /* (d,) */
    Real *means;  /* (K, d), whitened */

    /* `out` has room for (K + 1) d numbers, `scratch` for 5 d. */
    void prepare(const Mixture<Real> &s, Real *out, double *scratch)
    {
        const int d = s.d, K = s.n_components;
        is_used = s.can_share();
        if (!is_used) return;
        origin = out, means = out + d;
        double *least = scratch, *sigma = least + d, *distance = sigma + d, *size = distance + d, *white = size + d;
        for (int j = 0; j < d; j++) { /* the middle of the means */
            Real low = s.means[j], high = low;
            for (ptrdiff_t k = 1; k < K; k++) {
                const Real mean = s.means[k * d + j];
                low = mean < low ? mean : low, high = mean > high ? mean : high;
            }
            origin[j] = (Real)(0.5 * low + 0.5 * high);
        }
        bool is_exact = false; /* a lower bound of sigma is enough for most mixtures: the exact one takes d^3 / 6 operations */
        for (int j = 0; j < d; j++) sigma[j] = 1.0 / fabs(s.factors[j * (ptrdiff_t)d + j]);
        transform(s.factors, d, sigma, white, least);
        for (ptrdiff_t k = 0; k < K && is_used; k++) {
            for (int j = 0; j < d; j++) distance[j] = (double)s.means[k * d + j] - origin[j];
            transform(s.factors, d, distance, white, size);
            is_used = is_near(size, least, d);
            if (!is_used && !is_exact) {
                is_exact = true;
                deviations(s.factors, d, distance, sigma);
                transform(s.factors, d, sigma, distance, least);
                is_used = is_near(size, least, d);
            }
            for (int a = 0; a < d; a++) means[k * d + a] = (Real)white[a];
        }
    }

    static bool is_near(const double *size, const double *least, int d)
    {
        bool near = true;
        for (int a = 0; a < d; a++) near &= size[a] <= MOST_SPREAD * least[a]; /* false also if either is NaN */
        return near;
    }

    /* p[k]_i <- log w_k N(x_i; mean_k); z (d, STRIDE) is scratch.  Meanwhile the next rows are prefetched. */
    void log_densities(const Real *xt, int padded, const Mixture<Real> &s, const Real *ahead, ptrdiff_t ahead_bytes, Real *z,
                       Real *p) const
    {
        whiten(xt, padded, s.d, origin, s.packed, z);
        log_density_white<Real>(z, padded, s.d, s.n_components, means, s.log_const, 0.5, (const char *)ahead, ahead_bytes, p);
    }

    /* y <- U^T x, size <- |U|^T |x| */
    static void transform(const Real *U, int d, const double *RESTRICT x, double *RESTRICT y, double *RESTRICT size)
    {
        for (int a = 0; a < d; a++) y[a] = size[a] = 0;
        for (int j = 0; j < d; j++)
            for (int a = j; a < d; a++) {
                const double term = U[j * (ptrdiff_t)d + a] * x[j];
                y[a] += term;
                size[a] += fabs(term);
            }
    }

    /* sigma (d,) <- the standard deviations of the covariance (U U^T)^-1: norms of the columns of U^-1.  `column` is scratch. */
    static void deviations(const Real *U, int d, double *column, double *sigma)
    {
        for (int j = 0; j < d; j++) {
            double square = column[j] = 1.0 / U[j * (ptrdiff_t)d + j];
            square *= square;
            for (int a = j - 1; a >= 0; a--) {
                const Real *u = U + a * (ptrdiff_t)d;
                double sums[8] = {0}, sum = 0;
                int b = a + 1;
                for (; b + 8 <= j + 1; b += 8)
                    for (int l = 0; l < 8; l++) sums[l] += u[b + l] * column[b + l];
                for (; b <= j; b++) sums[0] += u[b] * column[b];
                for (int l = 0; l < 8; l++) sum += sums[l];
                column[a] = -sum / u[a];
                square += column[a] * column[a];
            }
            sigma[j] = sqrt(square);
        }
    }
};

/* sums (nk, sum_x, scatter, C) += those of the block; p[k]_i scale_i = r_ik.  p, scale and u (d, STRIDE) are overwritten. */
template <class Real>
static void accumulate_shared(const Real *RESTRICT xt, int padded, const Shape &s, const Real *RESTRICT centers, Real *RESTRICT p,
                              Real *RESTRICT scale, Real *RESTRICT u, double *RESTRICT sums)
{
    const int d = s.d, K = s.n_components;
    double *sum_x = sums + K, *scatter = sum_x + (ptrdiff_t)K * d, *shared = scatter + s.scatter_length();
    alignas(64) Real total[STRIDE] = {};
    for (ptrdiff_t k = 0; k < K; k++) {
        Real *RESTRICT pk = p + k * STRIDE;
        Vec<Real> count[GROUP] = {};
        for (int i = 0; i < padded; i += GROUP * lanes<Real>)
            UNROLL(2)
            for (int g = 0; g < GROUP; g++) {
                const int at = i + g * lanes<Real>;
                const Vec<Real> r = load(pk + at) * load(scale + at);
                store(pk + at, r);
                store(total + at, load(total + at) + r);
                count[g] += r;
            }
        sums[k] += sum_lanes<Real>(count[0] + count[1]);
    }
    memset(u, 0, d * STRIDE * sizeof(Real));
    accumulate_differences<Real>(xt, padded, d, K, centers, p, u, sum_x);

    for (int i = 0; i < padded; i++) {
        const Real root = (Real)sqrt(total[i]);
        scale[i] = total[i] > 0 ? 1 / root : 0;
        total[i] = Limits<Real>::least_factor * root;
    }
    for (int j = 0; j < d; j++)
        for (int i = 0; i < padded; i++) u[j * STRIDE + i] *= scale[i];
    for (ptrdiff_t k = 0; k < K; k++)
        for (int i = 0; i < padded; i++) {
            const Real v = p[k * STRIDE + i] * scale[i];
            p[k * STRIDE + i] = v < total[i] ? 0 : v;
        }
    accumulate_tiles_of(u, padded, d, scatter);
    accumulate_tiles_of(p, padded, K, shared);
}

/* scatter (d, d) += sum_{k<l} C_kl (c_k - c_l)(c_k - c_l)^T, both triangles, from the packed C.
 *
 * That is sum_k v_k (c_k - c)^T with v_k = sum_l C_kl (c_k - c_l) and any c, the mean of the centers here: K^2 d multiply-adds,
 * not K^2 d^2.  It can lose a factor of |c_k - c| / |c_k - c_l|, which MOST_SPREAD bounds.  v (K + 1, d) is scratch. */
template <class Real>
static void add_scatter_of_centers(const double *packed, int K, int d, const Real *RESTRICT centers, double *RESTRICT v,
                                   double *RESTRICT scatter)
{
    double *RESTRICT mean = v + (ptrdiff_t)K * d;
    memset(v, 0, (K + 1) * (ptrdiff_t)d * sizeof(double));
    for (ptrdiff_t first = 0; first < K; first += TILE)
        for (ptrdiff_t second = first; second < K; second += TILE, packed += TILE * TILE)
            for (ptrdiff_t l = second; l < second + TILE && l < K; l++)
                for (ptrdiff_t k = first; k < first + TILE && k < l; k++) {
                    const double weight = packed[(l - second) * TILE + k - first];
                    if (weight == 0) continue;
                    for (int j = 0; j < d; j++) {
                        const double step = weight * ((double)centers[k * d + j] - centers[l * d + j]);
                        v[k * d + j] += step;
                        v[l * d + j] -= step;
                    }
                }
    for (ptrdiff_t k = 0; k < K; k++)
        for (int j = 0; j < d; j++) mean[j] += (double)centers[k * d + j] / K;
    for (ptrdiff_t k = 0; k < K; k++)
        for (int r = 0; r < d; r++)
            for (int c = r; c < d; c++) scatter[r * (ptrdiff_t)d + c] += v[k * d + r] * ((double)centers[k * d + c] - mean[c]);
    for (int r = 0; r < d; r++)
        for (int c = 0; c < r; c++) scatter[r * (ptrdiff_t)d + c] = scatter[c * (ptrdiff_t)d + r];
}

#endif
