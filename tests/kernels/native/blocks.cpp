/* The kernels' block functions against plain loops, without Python: for compilers and systems on which no Python runs.
 *
 * Prints each check that fails, then their number; the exit status says whether there was one.  Expected numbers are
 * summed in float64, and `scale`, next to them, is the sum of the terms' sizes: results may differ by some roundings of it. */
#include <stdio.h>
#include <stdlib.h>

#include "box.hpp"
#include "kmeans.hpp"
#include "nearest.hpp"
#include "shared.hpp"

enum { MAX_D = 40, MAX_K = 9, MAX_M = BLOCK, ROOM = 64 };

static long n_checks, n_failures;
static char what_is_checked[100];

static void check(const char *name, int at, double actual, double expected, double tolerance)
{
    n_checks++;
    if (actual == expected || fabs(actual - expected) <= tolerance) return;
    if (n_failures++ < 40)
        printf("%s, %s at %d: %.17g, not %.17g (allowed %.3g)\n", what_is_checked, name, at, actual, expected, tolerance);
}

static uint64_t state = 1;

/* Uniform in [low, high). */
static double random_number(double low, double high)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * ((double)(state >> 11) * 0x1p-53);
}

template <class Real> static void randomize(Real *x, ptrdiff_t n, double low, double high)
{
    for (ptrdiff_t i = 0; i < n; i++) x[i] = (Real)random_number(low, high);
}

template <class Real> static void fill(Real *x, ptrdiff_t n, double value)
{
    for (ptrdiff_t i = 0; i < n; i++) x[i] = (Real)value;
}

/* ---- one block of rows and a mixture ---- */

template <class Real> struct Problem {
    int m, d, K, padded;
    alignas(64) Real X[MAX_M * MAX_D + ROOM], means[MAX_K * MAX_D], centers[MAX_K * MAX_D], shift[MAX_D];
    alignas(64) Real factors[MAX_K * MAX_D * MAX_D], diagonal[MAX_K * MAX_D];
    alignas(64) Real packed[MAX_K * MAX_D * (MAX_D + 1)], resp[MAX_M * MAX_K];
    alignas(64) Real xt[MAX_D * STRIDE], z[(MAX_D + 1) * STRIDE], p[(MAX_K + 1) * STRIDE], squares[(MAX_K + 1) * STRIDE];
    alignas(64) Real peak[STRIDE], total[STRIDE], spread[STRIDE], scale[STRIDE];
    alignas(64) double log_const[MAX_K], weights[MAX_M];

    void make(int m_, int d_, int K_)
    {
        m = m_, d = d_, K = K_, padded = padded_rows<Real>(m);
        snprintf(what_is_checked, sizeof what_is_checked, "float%d, m %d, d %d, K %d", (int)(8 * sizeof(Real)), m, d, K);
        randomize(X, m * d, -2, 2);
        randomize(means, K * d, -2, 2);
        randomize(centers, K * d, -2, 2);
        randomize(shift, d, -2, 2);
        randomize(diagonal, K * d, 0.5, 1.5);
        randomize(log_const, K, -3, 0);
        randomize(weights, m, 0, 2);
        for (int i = 0; i < K * d * d; i++) {
            const int row = i / d % d, column = i % d;
            factors[i] = (Real)(row == column ? random_number(0.5, 1.5) : row < column ? random_number(-0.3, 0.3) : 1e30);
        }
        for (int i = 0; i < m; i++) {
            double sum = 0;
            for (int k = 0; k < K; k++) sum += resp[i * K + k] = (Real)(i % 5 == k ? 0 : random_number(0.01, 1));
            for (int k = 0; k < K; k++) resp[i * K + k] = (Real)(sum > 0 ? resp[i * K + k] / sum : 1);
        }
        fill(xt, MAX_D * STRIDE, 7e7); /* what must be overwritten, or never read */
        fill(z, (MAX_D + 1) * STRIDE, 7e7);
        fill(p, (MAX_K + 1) * STRIDE, 7e7);
    }

    Real *x(int i) { return X + i * d; }
    double eps(double terms) { return (terms + 10) * Limits<Real>::epsilon; }

    /* |(x_i - mean) U|^2 for U (d, d), or for its diagonal u (d,) if U is NULL, and the size of its terms. */
    double distance(int i, const Real *mean, const Real *U, const Real *u, double *size)
    {
        double sum = 0;
        *size = 0;
        for (int a = 0; a < d; a++) {
            double y = 0, terms = 0;
            for (int j = U ? 0 : a; j <= a; j++) {
                const double term = ((double)x(i)[j] - mean[j]) * (U ? U[j * d + a] : u ? u[j] : 1);
                y += term, terms += fabs(term);
            }
            sum += y * y, *size += terms * terms;
        }
        return sum;
    }

    void untouched(const char *name, const Real *array, int count)
    {
        for (int k = 0; k < count; k++)
            for (int i = padded; i < STRIDE; i++) check(name, k * STRIDE + i, array[k * STRIDE + i], 7e7, 0);
        check(name, count * STRIDE, array[count * STRIDE], 7e7, 0);
    }

    /* ---- blocks.hpp ---- */

    void packing()
    {
        pack<Real>(X, m, d, xt);
        for (int j = 0; j < d; j++)
            for (int i = 0; i < padded; i++) check("pack", j * STRIDE + i, xt[j * STRIDE + i], i < m ? x(i)[j] : 0, 0);
        for (int j = 0; j < d; j++)
            for (int i = padded; i < STRIDE; i++) check("pack, beyond", j * STRIDE + i, xt[j * STRIDE + i], 7e7, 0);
        if (d < MAX_D) check("pack, beyond", d * STRIDE, xt[d * STRIDE], 7e7, 0);
        for (int with = 0; with < 2; with++) {
            double sum = 0, size = 0;
            for (int i = 0; i < m; i++) sum += (with ? weights[i] : 1) * X[i], size += 2 * fabs(X[i]);
            check("weighted_sum", with, weighted_sum<Real>(X, with ? weights : NULL, m), sum, (m + 10) * 2e-16 * size);
        }
    }

    void sums_of_lanes()
    {
        const int n = lanes<Real> < 16 ? 16 : lanes<Real>;
        Vec<Real> v[16];
        double out[16], expected[16];
        for (int l = 0; l < n && l < 16; l++) {
            expected[l] = out[l] = l;
            double sum = 0;
            for (int a = 0; a < lanes<Real>; a++) {
                const Real value = (Real)random_number(-1, 1);
                ((Real *)&v[l])[a] = value;
                sum += value;
            }
            check("sum_lanes", l, sum_lanes<Real>(v[l]), sum, eps(0));
            expected[l] += sum;
        }
        add_sums<Real>(v, 16, out);
        for (int l = 0; l < 16; l++) check("add_sums", l, out[l], expected[l], 16 * eps(lanes<Real>));
    }

    /* ---- log_density.hpp ---- */

    void log_densities()
    {
        double size;
        for (int half = 0; half < 2; half++) {
            const Real h = half ? (Real)0.25 : (Real)0.5;
            for (int k = 0; k < K; k++) {
                const Real *U = factors + k * d * d;
                pack_factor<Real>(U, d, packed);
                log_density_full<Real>(xt, padded, d, means + k * d, packed, (Real)log_const[k], h, p + k * STRIDE);
                for (int i = 0; i < m; i++) {
                    const double q = distance(i, means + k * d, U, NULL, &size);
                    check("log_density_full", k * STRIDE + i, p[k * STRIDE + i], log_const[k] - h * q, eps(2 * d) * (4 + h * size));
                }
            }
            untouched("log_density_full, beyond", p, K);
            log_density_diag<Real>(xt, padded, d, K, means, diagonal, log_const, h, (const char *)X, m * d * sizeof(Real), p);
            for (int k = 0; k < K; k++)
                for (int i = 0; i < m; i++) {
                    const double q = distance(i, means + k * d, NULL, diagonal + k * d, &size);
                    check("log_density_diag", k * STRIDE + i, p[k * STRIDE + i], log_const[k] - h * q, eps(2 * d) * (4 + h * size));
                }
            untouched("log_density_diag, beyond", p, K);
        }
        Real round[MAX_K * MAX_D];
        for (int k = 0; k < K; k++)
            for (int j = 0; j < d; j++) round[k * d + j] = diagonal[k * d];
        fill(squares, (MAX_K + 1) * STRIDE, 7e7);
        log_density_spherical<Real>(xt, padded, d, K, means, round, log_const, 0.5, (const char *)X, m * d * sizeof(Real), squares, p);
        for (int k = 0; k < K; k++)
            for (int i = 0; i < m; i++) {
                const double q = distance(i, means + k * d, NULL, NULL, &size), u = round[k * d];
                check("log_density_spherical, squares", k * STRIDE + i, squares[k * STRIDE + i], q, eps(2 * d) * size);
                check("log_density_spherical", k * STRIDE + i, p[k * STRIDE + i], log_const[k] - 0.5 * u * u * q,
                      eps(2 * d) * (4 + u * u * size));
            }
        untouched("log_density_spherical, beyond", p, K);
        untouched("log_density_spherical, squares beyond", squares, K);
        if (d <= 4) return;
        pack_factor<Real>(factors, d, packed);
        whiten<Real>(xt, padded, d, means, packed, z);
        for (int i = 0; i < m; i++)
            for (int a = 0; a < d; a++) {
                double y = 0, terms = 0;
                for (int j = 0; j <= a; j++) {
                    const double term = ((double)x(i)[j] - means[j]) * factors[j * d + a];
                    y += term, terms += fabs(term);
                }
                check("whiten", a * STRIDE + i, z[a * STRIDE + i], y, eps(2 * d) * terms);
            }
        untouched("whiten, beyond", z, d);
    }

    /* ---- softmax.hpp, and what blocks.hpp writes out ---- */

    void softmaxes()
    {
        static Real before[MAX_K * STRIDE];
        for (int variant = 0; variant < 5; variant++) { /* roots, sums, each with and without entropy; all */
            const bool root = variant < 2, with_spread = variant % 2 == 0 && variant < 4;
            const double cut = variant == 4 ? Limits<Real>::exp_cut : root ? Limits<Real>::exp_cut_em / 2 : Limits<Real>::exp_cut_em;
            randomize(p, K * STRIDE, -1, 1);
            for (int i = 0; i < padded; i++)
                for (int k = 0; k < K; k++) {
                        static const double apart[] = {1, 30, 300, 3};
                    p[k * STRIDE + i] = (Real)(p[k * STRIDE + i] * apart[i % 4] - i % 3 * 1000);
                    if (i % 11 == 10) p[k * STRIDE + i] = -Limits<Real>::infinity; /* no density anywhere */
                    if (i % 13 == 12 && k > 0) p[k * STRIDE + i] = -Limits<Real>::infinity;
                }
            memcpy(before, p, K * STRIDE * sizeof(Real));
            Real *entropy = with_spread ? spread : NULL;
            if (variant < 2)
                softmax_roots<Real>(p, K, padded, peak, total, entropy);
            else if (variant < 4)
                softmax_sums<Real>(p, K, padded, peak, total, entropy);
            else
                softmax_all<Real>(p, K, padded, peak, total);
            log_likelihoods<Real>(peak, total, padded, root, entropy);
            const double f = root ? 2 : 1;
            for (int i = 0; i < padded; i++) {
                double top = -INFINITY, sum = 0, sum_t = 0;
                for (int k = 0; k < K; k++) top = before[k * STRIDE + i] > top ? before[k * STRIDE + i] : top;
                for (int k = 0; k < K; k++) {
                    const double t = before[k * STRIDE + i] - top, e = exp(t);
                    if (top == -INFINITY) {
                        check("softmax, no density", k * STRIDE + i, p[k * STRIDE + i], 0, 0);
                        continue;
                    }
                    const double allowed = t < cut * 0.999 ? exp(cut * 0.999) : e * eps(4 * fabs(t)); /* near the cut also 0 */
                    check("softmax", k * STRIDE + i, p[k * STRIDE + i], e, allowed);
                    sum += exp(f * t);
                    if (t > -700) sum_t += exp(f * t) * f * t;
                }
                const bool none = top == -INFINITY;
                check("log_likelihoods", i, peak[i], none ? -INFINITY : f * top + log(sum), none ? 0 : eps(8) * (1 + fabs(f * top)));
                check("log_likelihoods, inverse", i, total[i], none ? 0 : 1 / sum, eps(40));
                if (with_spread) check("log_likelihoods, entropy", i, spread[i], none ? 0 : log(sum) - sum_t / sum, eps(60));
            }
        }
        static Real out[MAX_M * MAX_K + ROOM];
        fill(out, MAX_M * MAX_K + ROOM, 7e7);
        write_resp<Real>(p, total, m, K, out); /* of softmax_all */
        for (int i = 0; i < m; i++)
            for (int k = 0; k < K; k++)
                check("write_resp", i * K + k, out[i * K + k], total[i] > 0 ? (double)p[k * STRIDE + i] * total[i] : 1.0 / K, eps(0));
        check("write_resp, beyond", m * K, out[m * K], 7e7, 0);
        static int32_t labels[MAX_M + 1];
        labels[m] = 77;
        for (int i = 0; i < m; i += 3) /* equals: the first counts */
            if (K > 2) p[2 * STRIDE + i] = p[STRIDE + i];
        arg_max<Real>(p, K, m, peak, labels);
        for (int i = 0; i < m; i++) {
            int best = 0;
            for (int k = 1; k < K; k++)
                if (p[k * STRIDE + i] > p[best * STRIDE + i]) best = k;
            check("arg_max", i, labels[i], best, 0);
        }
        check("arg_max, beyond", m, labels[m], 77, 0);
    }

    /* ---- statistics.hpp ---- */

    /* Sums about the centers, which begin with 1, with r_ik = w_i resp_ik.  `size` has their terms' sizes. */
    struct Sums {
        double nk[MAX_K], sum_x[MAX_K * MAX_D], scatter[MAX_K * MAX_D * MAX_D], x_size[MAX_K * MAX_D], size[MAX_K * MAX_D * MAX_D];
    };
    void plain_sums(const Real *about, Sums *s)
    {
        for (int k = 0; k < K; k++) {
            s->nk[k] = 1;
            for (int i = 0; i < m; i++) s->nk[k] += weights[i] * resp[i * K + k];
            for (int a = 0; a < d; a++) {
                s->sum_x[k * d + a] = 1, s->x_size[k * d + a] = 1;
                for (int i = 0; i < m; i++) {
                    const double term = weights[i] * resp[i * K + k] * ((double)x(i)[a] - about[k * d + a]);
                    s->sum_x[k * d + a] += term, s->x_size[k * d + a] += fabs(term);
                }
                for (int b = 0; b < d; b++) {
                    double sum = 1, size = 1;
                    for (int i = 0; i < m; i++) {
                        const double y = (double)x(i)[a] - about[k * d + a], z = (double)x(i)[b] - about[k * d + b];
                        const double term = weights[i] * resp[i * K + k] * y * z;
                        sum += term, size += fabs(term);
                    }
                    s->scatter[(k * d + a) * d + b] = sum, s->size[(k * d + a) * d + b] = size;
                }
            }
        }
    }

    void check_first_sums(const char *name, const Sums &s, const double *nk, const double *sum_x)
    {
        for (int k = 0; k < K; k++) check(name, k, nk[k], s.nk[k], eps(m) * s.nk[k]);
        for (int j = 0; j < K * d; j++) check(name, j, sum_x[j], s.sum_x[j], eps(m) * 2 * s.x_size[j]);
    }

    void statistics()
    {
        static Sums expected;
        static double nk[MAX_K], sum_x[MAX_K * MAX_D], scatter[MAX_K * MAX_D * MAX_D], full[MAX_D * MAX_D];
        plain_sums(centers, &expected);

        const bool root = d > 4;
        row_scales<Real>(weights, NULL, m, padded, root, scale);
        for (int i = 0; i < padded; i++)
            check("row_scales", i, scale[i], i < m ? (root ? sqrt(weights[i]) : weights[i]) : 0, eps(0) * 2);
        take_resp<Real>(resp, m, padded, K, root, p);
        for (int k = 0; k < K; k++)
            for (int i = 0; i < padded; i++) {
                const double r = i < m ? resp[i * K + k] : 0;
                check("take_resp", k * STRIDE + i, p[k * STRIDE + i], root ? sqrt(r) : r, eps(0));
            }
        fill(nk, K, 1), fill(sum_x, K * d, 1), fill(z, (MAX_D + 1) * STRIDE, 7e7);
        for (int k = 0; k < K; k++) {
            fill(scatter, scatter_size(d), 0);
            accumulate_full<Real>(xt, padded, d, centers + k * d, p + k * STRIDE, scale, z, nk + k, sum_x + k * d, scatter);
            fill(full, d * d, 1);
            add_scatter(scatter, d, full);
            for (int j = 0; j < d * d; j++) {
                const int at = k * d * d + j;
                check("accumulate_full", at, full[j], expected.scatter[at], eps(m) * 4 * expected.size[at]);
            }
        }
        check_first_sums("accumulate_full, sums", expected, nk, sum_x);
        if (root) untouched("accumulate_full, beyond", z, d);

        if (d > 1) {
            row_scales<Real>(weights, NULL, m, padded, false, scale);
            take_resp<Real>(resp, m, padded, K, 0, p);
            fill(nk, K, 1), fill(sum_x, K * d, 1), fill(scatter, K * d, 1);
            accumulate_diag<Real>(xt, padded, d, K, centers, p, scale, nk, sum_x, scatter);
            check_first_sums("accumulate_diag, sums", expected, nk, sum_x);
            for (int k = 0; k < K; k++)
                for (int j = 0; j < d; j++) {
                    const int at = (k * d + j) * d + j;
                    check("accumulate_diag", at, scatter[k * d + j], expected.scatter[at], eps(m) * 4 * expected.size[at]);
                }
            take_resp<Real>(resp, m, padded, K, 0, p);
            fill(nk, K, 1), fill(sum_x, K * d, 1), fill(scatter, K * d, 1);
            for (int k = 0; k < K; k++)
                for (int i = 0; i < padded; i++) {
                    double size;
                    squares[k * STRIDE + i] = (Real)(i < m ? distance(i, centers + k * d, NULL, NULL, &size) : 3);
                }
            accumulate_spherical<Real>(xt, padded, d, K, centers, p, scale, squares, nk, sum_x, scatter);
            check_first_sums("accumulate_spherical, sums", expected, nk, sum_x);
            for (int k = 0; k < K; k++) {
                double trace = 1, size = 1;
                for (int j = 0; j < d; j++) {
                    trace += expected.scatter[(k * d + j) * d + j] - 1;
                    size += expected.size[(k * d + j) * d + j];
                }
                check("accumulate_spherical", k, scatter[k * d], trace, eps(m) * 4 * size);
            }
        }

        take_resp<Real>(resp, m, padded, K, 0, p);
        fill(sum_x, K * d, 1), fill(z, (MAX_D + 1) * STRIDE, 7e7);
        for (int j = 0; j < d; j++) fill(z + j * STRIDE, padded, 0.5);
        fill(weights, m, 1);
        plain_sums(centers, &expected);
        accumulate_differences<Real>(xt, padded, d, K, centers, p, z, sum_x);
        check_first_sums("accumulate_differences", expected, expected.nk, sum_x);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < d; j++) {
                double sum = 0.5, size = 0.5;
                for (int k = 0; k < K; k++) {
                    const double term = (double)resp[i * K + k] * ((double)x(i)[j] - centers[k * d + j]);
                    sum += term, size += fabs(term);
                }
                check("accumulate_differences, u", j * STRIDE + i, z[j * STRIDE + i], sum, eps(K) * 2 * size);
            }
        untouched("accumulate_differences, beyond", z, d);
        randomize(weights, m, 0, 2);

        static int32_t labels[MAX_M];
        for (int i = 0; i < m; i++) labels[i] = i % 7 % K;
        for (int with = 0; with < 2; with++) {
            take_labels<Real>(with ? labels : NULL, m, padded, K, p);
            for (int k = 0; k < K; k++)
                for (int i = 0; i < padded; i++)
                    check("take_labels", k * STRIDE + i, p[k * STRIDE + i], i < m && (!with || labels[i] == k), 0);
        }
    }

    /* ---- shared.hpp ---- */

    void shared_factor()
    {
        Mixture<Real> s;
        s.set_shape(d, K, 1, d, d);
        s.means = means, s.factors = factors, s.log_const = log_const;
        if (!s.can_share()) return;
        alignas(64) static Real white[(MAX_K + 1) * MAX_D];
        static double scratch[5 * MAX_D], size[1];
        s.pack_factors(packed);
        SharedFactor<Real> shared;
        shared.prepare(s, white, scratch);
        if (shared.is_used) {
            shared.log_densities(xt, padded, s, X, m * d * sizeof(Real), z, p);
            for (int k = 0; k < K; k++)
                for (int i = 0; i < m; i++) {
                    const double q = distance(i, means + k * d, factors, NULL, size);
                    check("shared log-densities", k * STRIDE + i, p[k * STRIDE + i], log_const[k] - 0.5 * q,
                          eps(4 * d) * (4 + MOST_SPREAD * (size[0] + d)));
                }
        }
        static Real far[MAX_K * MAX_D];
        for (int j = 0; j < K * d; j++) far[j] = means[j] * 1000;
        s.means = far;
        shared.prepare(s, white, scratch);
        check("means too far apart", 0, shared.is_used, false, 0);

        static Sums expected;
        static double sums[MAX_K * (1 + MAX_D) + 4 * MAX_D * MAX_D + 16 * MAX_K * MAX_K];
        static double all[MAX_D * MAX_D], of_centers[MAX_D * MAX_D], v[(MAX_K + 1) * MAX_D];
        plain_sums(centers, &expected);
        row_scales<Real>(weights, NULL, m, padded, false, scale);
        take_resp<Real>(resp, m, padded, K, 0, p);
        fill(sums, sizeof sums / sizeof *sums, 0);
        fill(sums, K + K * d, 1);
        accumulate_shared<Real>(xt, padded, s, centers, p, scale, z, sums);
        check_first_sums("accumulate_shared, sums", expected, sums, sums + K);
        fill(all, d * d, 0), fill(of_centers, d * d, 0);
        add_scatter(sums + K + K * d, d, all);
        add_scatter_of_centers<Real>(sums + K + K * d + s.scatter_length(), K, d, centers, v, of_centers);
        for (int a = 0; a < d; a++)
            for (int b = 0; b < d; b++) {
                double sum = 0, terms = 0;
                for (int k = 0; k < K; k++) {
                    sum += expected.scatter[(k * d + a) * d + b] - 1;
                    terms += (expected.size[(k * d + a) * d + a] + expected.size[(k * d + b) * d + b]);
                }
                check("accumulate_shared", a * d + b, all[a * d + b] + of_centers[a * d + b], sum, eps(m + K) * 4 * terms);
            }
    }

    /* ---- kmeans.hpp ---- */

    void kmeans()
    {
        static uint16_t rows[MAX_M];
        static float rounded[MAX_M * MAX_D + 1];
        static Real taken[MAX_M * MAX_D + 1], best[STRIDE], next[STRIDE], lowered[STRIDE];
        static int32_t nearest[STRIDE];
        double size;
        int n = 0;
        for (int i = 0; i < m; i += 1 + i % 3) rows[n++] = (uint16_t)i;
        fill(rounded, MAX_M * MAX_D + 1, 7e7), fill(taken, MAX_M * MAX_D + 1, 7e7);
        round_rows<Real>(X, d, rows, n, shift, (Real)1.5, rounded);
        take_rows<Real>(X, d, rows, n, taken);
        for (int a = 0; a < n; a++)
            for (int j = 0; j < d; j++) {
                check("take_rows", a * d + j, taken[a * d + j], x(rows[a])[j], 0);
                check("round_rows", a * d + j, rounded[a * d + j], 1.5 * ((double)x(rows[a])[j] - shift[j]), 1e-5);
            }
        check("take_rows, beyond", n * d, taken[n * d], 7e7, 0);
        check("round_rows, beyond", n * d, rounded[n * d], 7e7, 0);

        fill(p, (MAX_K + 1) * STRIDE, 7e7);
        negative_distances<Real>(xt, padded, d, centers, K, p);
        for (int k = 0; k < K; k++)
            for (int i = 0; i < m; i++) {
                const double q = distance(i, centers + k * d, NULL, NULL, &size);
                check("negative_distances", k * STRIDE + i, p[k * STRIDE + i], -q, eps(2 * d) * q);
            }
        untouched("negative_distances, beyond", p, K);
        two_nearest<Real>(p, K, m, best, next, nearest);
        for (int i = 0; i < m; i++) {
            int first = 0;
            double second = -INFINITY;
            for (int k = 1; k < K; k++)
                if (p[k * STRIDE + i] > p[first * STRIDE + i]) first = k;
            for (int k = 0; k < K; k++)
                if (k != first && p[k * STRIDE + i] > second) second = p[k * STRIDE + i];
            check("two_nearest", i, nearest[i], first, 0);
            check("two_nearest, best", i, best[i], p[first * STRIDE + i], 0);
            check("two_nearest, next", i, next[i], second, 0);
        }
        memcpy(lowered, best, m * sizeof(Real));
        to_gaps<Real>(lowered, next, m, d);
        for (int i = 0; i < m; i++) {
            const double gap = K > 1 ? sqrt(-(double)next[i]) - sqrt(-(double)best[i]) : INFINITY;
            check("to_gaps, a bound", i, lowered[i] <= gap, true, 0);
            check("to_gaps", i, lowered[i], gap, K > 1 ? eps(2 * d) * 2 * sqrt(-(double)next[i]) : 0);
        }
        lower<Real>(p, NULL, m, best);
        for (int i = 0; i < m; i++) check("lower", i, best[i], -p[i], 0);
        randomize(next, m, 0, 8);
        lower<Real>(p, next, m, best);
        for (int i = 0; i < m; i++) check("lower", i, best[i], -p[i] < next[i] ? -p[i] : next[i], 0);
        memcpy(lowered, next, m * sizeof(Real));
        lower_listed<Real>(p, rows, n, lowered);
        for (int a = 0; a < n; a++) check("lower_listed", a, lowered[rows[a]], -p[a] < next[rows[a]] ? -p[a] : next[rows[a]], 0);
        round_up<Real>(best, m, (Real)1.5, rounded);
        for (int i = 0; i < m; i++) {
            check("round_up, up", i, rounded[i] > 1.5 * best[i], true, 0);
            check("round_up", i, rounded[i], 1.5 * best[i], 1e-6 * best[i] + 1e-37);
        }
        subtract<Real>(xt, padded, d, shift);
        for (int j = 0; j < d; j++)
            for (int i = 0; i < m; i++) check("subtract", j * STRIDE + i, xt[j * STRIDE + i], (double)x(i)[j] - shift[j], eps(0) * 4);
    }

    void all()
    {
        packing();
        sums_of_lanes();
        log_densities();
        softmaxes();
        statistics();
        shared_factor();
        kmeans();
    }
};

/* ---- nearest.hpp ---- */

static void check_nearest(Problem<float> &s)
{
    alignas(64) static float half[MAX_K], error[MAX_K], gap[STRIDE], bound[STRIDE], centers[MAX_K * MAX_D];
    static int32_t nearest[STRIDE];
    static uint16_t ahead[MAX_M];
    const int m = s.m, d = s.d, K = s.K;
    const double E = rounding_of_dots(d);
    s.make(m, d, K);
    pack<float>(s.X, m, d, s.xt);
    memcpy(centers, s.centers, sizeof centers);
    if (m > 4)
        for (int j = 0; j < d; j++) centers[j] = s.x(4)[j]; /* a row at a center */
    for (int k = 0; k < K; k++) {
        double square = 0;
        for (int j = 0; j < d; j++) square += (double)centers[k * d + j] * centers[k * d + j];
        half[k] = (float)((0.5 - E) * square), error[k] = (float)(2 * E * square);
    }
    for (int i = 0; i < m; i++) ahead[i] = (uint16_t)(m - 1 - i);
    find_nearest(s.xt, s.padded, d, centers, half, error, K, (const char *)s.X, d * sizeof(float), ahead, m, nearest, gap);
    bound_nearest(s.xt, s.padded, d, centers, half, K, (const char *)s.X, m * d * sizeof(float), bound);
    for (int i = 0; i < m; i++) {
        double first = INFINITY, second = INFINITY, size, square = 0;
        int best = 0;
        for (int k = 0; k < K; k++) {
            const double q = s.distance(i, centers + k * d, NULL, NULL, &size);
            if (q < first)
                second = first, first = q, best = k;
            else if (q < second)
                second = q;
        }
        for (int j = 0; j < d; j++) square += (double)s.x(i)[j] * s.x(i)[j];
        const double apart = sqrt(second) - sqrt(first), slack = 40 * E * (1 + square + 4 * d);
        if (K > 1) check("find_nearest, a bound", i, gap[i] <= apart, true, 0);
        if (K > 1 && apart * (sqrt(second) + sqrt(first)) > slack) {
            check("find_nearest", i, nearest[i], best, 0);
            check("find_nearest, decided", i, gap[i] > 0, true, 0);
        } else if (K == 1)
            check("find_nearest, one center", i, gap[i], INFINITY, 0);
        check("bound_nearest, a bound", i, bound[i] <= first * (1 + 1e-12), true, 0);
        check("bound_nearest", i, bound[i], first, slack);
    }
    float taken[MAX_M], moved[MAX_K];
    randomize(moved, K, 0, 1);
    take_moves(moved, nearest, m, taken);
    for (int i = 0; i < m; i++) {
        check("take_moves", i, taken[i], moved[nearest[i]], 0);
        check("lasting_gap, a bound", i, lasting_gap(gap[i], taken[i]) - (double)taken[i] <= gap[i], true, 0);
    }
}

/* ---- vecmath.hpp ---- */

template <class Real> static void check_vecmath()
{
    enum { N = 4096 };
    static Real x[N], y[N];
    snprintf(what_is_checked, sizeof what_is_checked, "float%d", (int)(8 * sizeof(Real)));
    randomize(x, N, Limits<Real>::exp_cut, 0);
    randomize(x, N / 2, -3, 0);
    x[0] = 0, x[1] = Limits<Real>::exp_cut * 2, x[2] = -Limits<Real>::infinity, x[3] = Limits<Real>::exp_cut;
    memcpy(y, x, sizeof x);
    exp_array<Real>(y, N);
    for (int i = 0; i < N; i++) {
        const double expected = x[i] < Limits<Real>::exp_cut ? 0 : exp((double)x[i]);
        check("exp", i, y[i], expected, 2 * Limits<Real>::epsilon * expected);
    }
    randomize(x, N, 0.7072, 64);
    randomize(x, N / 2, 0.7072, 1.5);
    x[0] = 1;
    memcpy(y, x, sizeof x);
    log_array<Real>(y, N);
    for (int i = 0; i < N; i++) {
        const double expected = log((double)x[i]);
        check("log", i, y[i], expected, 2 * Limits<Real>::epsilon * fabs(expected));
    }
}

/* ---- box.hpp ---- */

static void check_box(int d, int diagonal)
{
    enum { N = 37 };
    static double parameters[14 * N], constants[N], log_const[N], bounds[N], densities[N];
    double center[4], half[4];
    const int n_parameters = d + (diagonal && d > 1 ? d : d * (d + 1) / 2);
    const double slope = 0.5;
    snprintf(what_is_checked, sizeof what_is_checked, "box, d %d, diagonal %d", d, diagonal);
    for (int round = 0; round < 20; round++) {
        randomize(parameters, n_parameters * N, -2, 2);
        randomize(constants, N, -2, 2);
        randomize(log_const, N, -2, 2);
        randomize(center, d, -4, 4);
        randomize(half, d, 0, round % 4 == 0 ? 0 : 1);
        box_bounds(d, diagonal, parameters, N, N, center, half, constants, slope, log_const, bounds, densities);
        for (int k = 0; k < N; k++)
            for (int at = 0; at < 10; at++) { /* the center, a corner, and points between */
                double x[4], q = 0;
                for (int j = 0; j < d; j++) x[j] = center[j] + (at == 0 ? 0 : at == 1 ? half[j] : random_number(-half[j], half[j]));
                const double *u = parameters + d * N + k;
                for (int a = 0; a < d; a++) {
                    double y = 0;
                    for (int j = diagonal && d > 1 ? a : 0; j <= a; j++, u += N) y += *u * (x[j] - parameters[j * N + k]);
                    q += y * y;
                }
                check("a bound", k, bounds[k] >= constants[k] - slope * q - 1e-12 * (1 + q), true, 0);
                if (at == 0) check("density at the center", k, densities[k], log_const[k] - 0.5 * q, 1e-13 * (4 + q));
                if (at == 0 && round % 4 == 0) check("bound of a point", k, bounds[k], constants[k] - slope * q, 1e-11 * (4 + q));
            }
        int32_t numbers[N];
        const int count = 1 + round;
        largest(bounds, N, count, numbers);
        for (int k = 0; k < N; k++) {
            int larger = 0, taken = 0;
            for (int l = 0; l < N; l++) larger += bounds[l] > bounds[k];
            for (int a = 0; a < count; a++) taken += numbers[a] == k;
            check("largest", k, taken, larger < count, 0);
        }
        bounds[3] = NAN;
        const int n = not_below(bounds, N, -3, numbers);
        int expected = 0;
        for (int k = 0; k < N; k++)
            if (!(bounds[k] < -3)) {
                if (expected < n) check("not_below", k, numbers[expected], k, 0);
                expected++;
            }
        check("not_below, how many", round, n, expected, 0);
    }
}

template <class Real> static void check_problems(Problem<Real> &s)
{
    static const int features[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 24, 31, 40}, rows[] = {1, 15, 33, 64, 255, 256};
    int turn = 0;
    for (int d : features)
        for (int m : rows) {
            s.make(m, d, 1 + turn++ % MAX_K);
            s.all();
        }
    for (int K = 1; K <= MAX_K; K++) {
        s.make(77, 3, K);
        s.all();
        s.make(77, 11, K);
        s.all();
    }
}

int main()
{
    static Problem<double> doubles;
    static Problem<float> floats;
    check_vecmath<double>();
    check_vecmath<float>();
    check_problems(doubles);
    check_problems(floats);
    for (int d = 1; d <= MAX_D; d = d < 9 ? d + 1 : d + 8)
        for (int K = 1; K <= MAX_K; K++) {
            floats.make(K % 2 ? MAX_M : 45, d, K);
            check_nearest(floats);
        }
    for (int d = 1; d <= 4; d++)
        for (int diagonal = 0; diagonal < 2; diagonal++) check_box(d, diagonal);
    printf("%d bits a vector: %ld checks, %ld failed\n", (int)(8 * sizeof(double)) * lanes<double>, n_checks, n_failures);
    return n_failures > 0;
}
