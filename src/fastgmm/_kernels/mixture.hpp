/* A mixture of Gaussians as a pass sees it, and the steps of a pass on a block of rows that involve all components.
 *
 * The factors U of the precision matrices U U^T are upper triangular: (K, d, d) full, (1, d, d) shared by all components,
 * (K, 1, d) diagonal.  Layout and edge as in blocks.hpp.
 *
 * A uniform background of density exp(log_noise), its weight included, is one more term of p(x_i).  It comes after the components in
 * arrays over components and rows, and has a mass, but no sum_x and no scatter.
 *
 * Scratch of a thread over a block: xt, z (d, STRIDE), p (K + 1, STRIDE), four arrays (STRIDE,), with `sphere` squares (K, STRIDE),
 * and with `student` b and log_a (K, STRIDE).  Its sums: log-likelihood, entropy, nk (K,), sum_x (K, d), the packed scatter, the sums
 * of shared.hpp over pairs of components, the mass of the background, and with `student` masses (2, K). */
#ifndef FASTGMM_MIXTURE_HPP
#define FASTGMM_MIXTURE_HPP

#include "log_density.hpp"
#include "softmax.hpp"
#include "statistics.hpp"

struct Shape {
    int d, n_components;
    int n_factors; /* K, or 1 if all components share one */
    bool diag;     /* diagonal factors and d > 1; d = 1 is treated as full */
    bool sphere;   /* of diagonal scatters only the sums over the features are wanted */
    bool root;     /* p becomes sqrt(resp): the scatter is summed from z = sqrt(resp) (x - center) */
    bool student;  /* of t distributions (student.hpp) */

    /* For factors of shape (n_factors, factor_rows, d) and a scatter of shape (n_factors, factor_rows, scatter_columns). */
    void set_shape(int d_, int K, int n_factors_, int factor_rows, int scatter_columns, bool student_ = false)
    {
        student = student_;
        d = d_, n_components = K, n_factors = n_factors_;
        diag = factor_rows == 1 && d > 1;
        sphere = diag && scatter_columns == 1;
        root = d > 4 && !diag;
    }

    ptrdiff_t factor_length() const { return diag ? d : (ptrdiff_t)d * (d + 1) / 2; } /* of a packed factor */
    ptrdiff_t scatter_length() const { return diag ? d : scatter_size(d); }           /* of a packed scatter */
    ptrdiff_t work_length() const
    {
        const ptrdiff_t per_component = 1 + (sphere ? 1 : 0) + (student ? 2 : 0);
        return (2 * d + per_component * n_components + 5) * STRIDE + RED_ZONE;
    }
    ptrdiff_t noise_at() const /* where in the sums the mass of the background is */
    {
        return 2 + n_components * (1 + (ptrdiff_t)d) + n_factors * scatter_length() + pairs_length();
    }
    ptrdiff_t masses_at() const { return noise_at() + 1; } /* where what student.hpp adds is */
    ptrdiff_t sums_length() const /* in whole cache lines */
    {
        return (masses_at() + (student ? 2 * n_components : 0) + RED_ZONE + 15) / 8 * 8;
    }
    /* Whether statistics of all components can be summed at once (shared.hpp).  With more components it would not pay. */
    bool can_share() const { return n_factors == 1 && n_components > 1 && root && n_components <= d * d; }
    ptrdiff_t pairs_length() const { return can_share() ? tiles_size(n_components) : 0; } /* of a sum over pairs of components */
    ptrdiff_t packed_length() const /* of all packed factors, and of the whitened means */
    {
        return n_factors * factor_length() + (can_share() ? (n_components + 1) * (ptrdiff_t)d : 0);
    }
};

/* A thread's arrays over a block. */
template <class Real> struct Scratch {
    Real *xt, *z, *p, *peak, *inverse, *scale, *entropy, *squares, *b, *log_a;
    RedZone red_zone;

    Scratch(Real *work, const Shape &s)
        : xt(work), z(xt + s.d * STRIDE), p(z + s.d * STRIDE), peak(p + (s.n_components + (ptrdiff_t)1) * STRIDE), inverse(peak + STRIDE),
          scale(inverse + STRIDE), entropy(scale + STRIDE), squares(entropy + STRIDE),
          b(squares + (s.sphere ? (ptrdiff_t)s.n_components * STRIDE : 0)), log_a(b + (ptrdiff_t)s.n_components * STRIDE),
          red_zone(work + s.work_length())
    {
    }
};

template <class Real> struct Mixture : Shape {
    const Real *means;       /* (K, d) */
    const Real *factors;     /* (K, d, d), (1, d, d) or (K, 1, d) */
    const double *log_const; /* (K,), log w_k + log det U_k - d/2 log(2 pi) */
    double log_noise = -INFINITY; /* log of the weight and density of the background; -infinity if there is none */
    const Real *packed;      /* the factors in the order that the log-densities read */

    void pack_factors(Real *out)
    {
        packed = out;
        for (ptrdiff_t k = 0; k < n_factors; k++, out += factor_length())
            if (diag)
                memcpy(out, factors + k * d, d * sizeof(Real));
            else
                pack_factor(factors + k * d * d, d, out);
    }

    const Real *factor(ptrdiff_t k) const { return packed + (n_factors > 1 ? k * factor_length() : 0); }

    bool has_noise() const { return log_noise > -INFINITY; }

    /* p[count] <- the log-density of the background, or half of it, if there is one; returns how many p there are then. */
    int add_noise(int count, int padded, bool half, Real *p) const
    {
        if (!has_noise()) return count;
        const Real value = log_noise * (half ? 0.5 : 1.0);
        for (int i = 0; i < padded; i++) p[count * (ptrdiff_t)STRIDE + i] = value;
        return count + 1;
    }

    /* p_i <- log w_k N(x_i; mean_k), or half of it. */
    void log_density(const Real *xt, int padded, ptrdiff_t k, bool half, Real *p) const
    {
        const Real h = half ? 0.25 : 0.5;
        if (diag)
            log_density_diag<Real>(xt, padded, d, 1, means + k * d, factor(k), log_const + k, h, NULL, 0, p);
        else
            log_density_full<Real>(xt, padded, d, means + k * d, factor(k), log_const[k] * (half ? 0.5 : 1.0), h, p);
    }

    /* log_density for all k, p[k]; meanwhile the rows of the next block, `ahead_bytes` from `ahead` on, are prefetched. */
    void log_densities(const Real *xt, int padded, const Real *ahead, ptrdiff_t ahead_bytes, bool half, Real *p) const
    {
        const char *bytes = (const char *)ahead;
        if (diag)
            log_density_diag<Real>(xt, padded, d, n_components, means, packed, log_const, half ? 0.25 : 0.5, bytes, ahead_bytes, p);
        else
            for (int k = 0; k < n_components; k++) {
                log_density(xt, padded, k, half, p + k * (ptrdiff_t)STRIDE);
                prefetch_slice(bytes, ahead_bytes, k, n_components);
            }
    }
};

/* For the statistics, of K components, the background included: p <- exp(p - peak), peak <- log p(x_i), inverse <- 1 / sum_k p (of p^2 with `root`).  Unless it is NULL
 * entropy <- -sum_k resp_ik log resp_ik. */
template <class Real>
static void softmax_for_sums(Real *p, int K, int padded, bool root, Real *peak, Real *inverse, Real *entropy)
{
    if (root)
        softmax_roots(p, K, padded, peak, inverse, entropy);
    else
        softmax_sums(p, K, padded, peak, inverse, entropy);
    log_likelihoods(peak, inverse, padded, root, entropy);
}

/* For output: the same, without square roots and without cutting off small responsibilities. */
template <class Real>
static void softmax_for_output(Real *p, int K, int padded, Real *peak, Real *inverse)
{
    softmax_all(p, K, padded, peak, inverse);
    log_likelihoods<Real>(peak, inverse, padded, 0, NULL);
}

/* sums (nk, sum_x, scatter) += component k's about its center, of the rows in xt; p and scale are those of these rows and k. */
template <class Real>
static void accumulate_one(const Real *xt, int padded, const Shape &s, ptrdiff_t k, const Real *centers, Real *p, const Real *scale,
                           Real *z, double *sums)
{
    double *sum_x = sums + s.n_components + k * s.d;
    double *scatter = sums + s.n_components * (1 + (ptrdiff_t)s.d) + (s.n_factors > 1 ? k * s.scatter_length() : 0);
    if (s.diag)
        accumulate_diag(xt, padded, s.d, 1, centers + k * s.d, p, scale, sums + k, sum_x, scatter);
    else
        accumulate_full(xt, padded, s.d, centers + k * s.d, p, scale, z, sums + k, sum_x, scatter);
}

/* sums (nk, sum_x, scatter) += those of the block, about the centers. */
template <class Real>
static void accumulate(const Real *xt, int padded, const Shape &s, const Real *centers, Real *p, const Real *scale, Real *z,
                       double *sums)
{
    double *sum_x = sums + s.n_components, *scatter = sum_x + (ptrdiff_t)s.n_components * s.d;
    if (s.diag)
        accumulate_diag(xt, padded, s.d, s.n_components, centers, p, scale, sums, sum_x, scatter);
    else
        for (ptrdiff_t k = 0; k < s.n_components; k++)
            accumulate_one(xt, padded, s, k, centers, p + k * STRIDE, scale, z, sums);
}

#endif
