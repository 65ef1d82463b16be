/* Rows with missing values, completed, where few rows have the same features o and a marginal mixture for them would not pay.
 *
 * In each component the missing values x_m are set to their expectations given the others.  They are where the distance
 * |U^T (x - mu)| is least: with the rows of U of the missing features as columns of V, and z = U^T (x - mu) for x_m = mu_m,
 *
 *     x_m = mu_m + delta,   delta = argmin |z + V delta|,   V = Q R,   R delta = -Q^T z.
 *
 * The least distance |z - Q Q^T z| is that of the marginal mixture, C = R^-1 R^-T the covariance of x_m given x_o, and
 * integrating x_m out adds |m| / 2 log(2 pi) - log det R to the constant of the log-density, as in marginals.hpp.  R is kept as
 * D^1/2 T, where D is diagonal and T has ones on its diagonal.  So a row costs what a complete row does, and some m (m + 3) d / 2
 * multiply-adds more for each component.  The statistics are those of the completed rows, with resp_ik C added to the scatter.
 * Diagonal factors: delta is zero.
 *
 * Modified Gram-Schmidt finds Q and R, with z as one more column: then delta is as exact as with reflections (Bjorck 1967).  The
 * missing features come last to first: rows of U begin with zeros, and so the columns of Q do.
 *
 * Layout and edge as in blocks.hpp.  A part is consecutive rows of a tile of GROUP vectors of rows, with the same features. */
#ifndef FASTGMM_COMPLETED_HPP
#define FASTGMM_COMPLETED_HPP

#include "groups.hpp"
#include "marginals.hpp"

template <class Real> struct Completed {
    static constexpr int TILE_ROWS = GROUP * lanes<Real>;
    enum { USUAL_MISSING = 32 }; /* numbers a component and row for which there is room anyway */

    struct Part {
        int m, first, stop;      /* number of missing features; rows in the block */
        const int32_t *features; /* the missing ones, ascending */
        double *constants;       /* (n_factors,), |m| / 2 log(2 pi) - log det R; (K,) with diagonal factors */
        double *triangles;       /* (n_factors, m (m + 1) / 2), T with 1 / D on the diagonal; features last to first, as in: */
        double *deltas;          /* (rows, K, m) */
    };

    const WholeMixture &whole;
    const ptrdiff_t width; /* of rows of Q and z: d in whole vectors */
    double *Q, *z;         /* (d, width), (TILE_ROWS, width), K times as many rows with one factor */
    double *of_features;   /* with diagonal factors (K, d), their part of the constants */
    double *numbers;       /* of the parts */
    const Real *base;      /* the values to which deltas are added: means (K, d), or (d,) for all components, then base_step is 0 */
    ptrdiff_t base_step;
    Part parts[BLOCK];
    int n_parts = 0;

    static ptrdiff_t width_of(const WholeMixture &w) { return (w.d + lanes<double> - 1) / lanes<double> * lanes<double>; }
    static ptrdiff_t rows_length(const WholeMixture &w)
    {
        return TILE_ROWS * (ptrdiff_t)(w.n_factors == 1 ? w.n_components : 1) * width_of(w);
    }
    static ptrdiff_t room(const WholeMixture &w) { return part_length(w, w.d) + row_length(w, w.d) + BLOCK * USUAL_MISSING * (ptrdiff_t)w.n_components; }
    static ptrdiff_t part_length(const WholeMixture &w, ptrdiff_t m) { return w.n_factors * (1 + (w.diag ? 0 : m * (m + 1) / 2)); }
    static ptrdiff_t row_length(const WholeMixture &w, ptrdiff_t m) { return w.diag ? 0 : w.n_components * m; }
    static ptrdiff_t n_doubles(const WholeMixture &w)
    {
        return ((w.diag ? w.n_components * (ptrdiff_t)w.d : w.d * width_of(w) + rows_length(w)) + room(w) + 7) / 8 * 8;
    }

    Completed(const WholeMixture &w, double *doubles)
        : whole(w), width(width_of(w)), Q(doubles), z(Q + w.d * width), of_features(w.diag ? doubles : z + rows_length(w)),
          numbers(of_features + (w.diag ? w.n_components * (ptrdiff_t)w.d : 0))
    {
    }

    /* Take rows from `first` of the order on, those of group g and the groups after it, before row `end`: as many as there is room
     * for, out (.., d).  Returns their number. */
    int take(const Groups<Real> &groups, ptrdiff_t &g, ptrdiff_t first, ptrdiff_t end, Real *RESTRICT out, double *RESTRICT weights)
    {
        const ptrdiff_t d = whole.d;
        double *next = numbers;
        int n = 0;
        n_parts = 0;
        while (n < BLOCK && first < end) {
            while (groups.starts[g + 1] <= first) g++;
            const int m = (int)d - groups.n_observed[g];
            const ptrdiff_t left = numbers + room(whole) - next - part_length(whole, m);
            if (left < row_length(whole, m)) break;
            ptrdiff_t rows = smaller(smaller(end, groups.starts[g + 1]) - first, TILE_ROWS - n % TILE_ROWS);
            if (!whole.diag) rows = smaller(rows, left / row_length(whole, m));
            Part &p = parts[n_parts++];
            p.m = m, p.first = n, p.stop = n + (int)rows, p.features = groups.features + g * d + d - m;
            p.constants = next, p.triangles = next + whole.n_factors, p.deltas = next + part_length(whole, m);
            next = p.deltas + rows * row_length(whole, m);
            for (const ptrdiff_t stop = first + rows; first < stop; first++, n++) {
                memcpy(out + n * d, groups.X + groups.order[first] * d, d * sizeof(Real));
                if (groups.weights) weights[n] = groups.weights[groups.order[first]];
            }
        }
        return n;
    }

    /* The missing values of some parts in xt <- those of base k, plus with `expected` the deltas of component k. */
    void fill(int from_part, int to_part, ptrdiff_t k, bool expected, Real *xt) const
    {
        const Real *values = base + k * base_step;
        for (int part = from_part; part < to_part; part++) {
            const Part &p = parts[part];
            for (int e = 0; e < p.m; e++) {
                const ptrdiff_t j = p.features[p.m - 1 - e];
                const double *delta = p.deltas + k * p.m + e;
                if (!expected || whole.diag)
                    for (int i = p.first; i < p.stop; i++) xt[j * STRIDE + i] = values[j];
                else
                    for (int i = p.first; i < p.stop; i++, delta += whole.n_components * p.m)
                        xt[j * STRIDE + i] = (Real)((double)values[j] + *delta);
            }
        }
    }

    /* a.p <- log-densities, or half of them, of the rows in a.xt.  `shared` is used if it can be. */
    void log_densities(const Mixture<Real> &s, const SharedFactor<Real> &shared, const Scratch<Real> &a, int padded, bool half)
    {
        const int n = n_parts ? parts[n_parts - 1].stop : 0;
        base = shared.is_used ? shared.origin : s.means, base_step = shared.is_used ? 0 : s.d;
        if (whole.diag)
            diagonal_log_densities(s, a, padded, half);
        else
            for (int part = 0; part < n_parts;) {
                int end = part;
                const int first = parts[part].first;
                while (end < n_parts && parts[end].first < first + TILE_ROWS) end++;
                tile_log_densities(s, shared, a, part, end, half);
                part = end;
            }
        for (ptrdiff_t k = 0; k < s.n_components; k++)
            for (int i = n; i < padded; i++) a.p[k * STRIDE + i] = 0;
    }

    void diagonal_log_densities(const Mixture<Real> &s, const Scratch<Real> &a, int padded, bool half)
    {
        const ptrdiff_t d = whole.d;
        for (ptrdiff_t j = 0; j < s.n_components * d; j++) of_features[j] = 0.5 * LOG_2_PI - log(fabs(whole.factors[j]));
        for (ptrdiff_t k = 0; k < s.n_components; k++) {
            Real *p_k = a.p + k * STRIDE;
            fill(0, n_parts, k, false, a.xt);
            s.log_density(a.xt, padded, k, half, p_k);
            for (int part = 0; part < n_parts; part++) {
                const Part &p = parts[part];
                double constant = 0;
                for (int e = 0; e < p.m; e++) constant += of_features[k * d + p.features[e]];
                p.constants[k] = constant;
                for (int i = p.first; i < p.stop; i++) p_k[i] += (Real)(half ? 0.5 * constant : constant);
            }
        }
    }

    /* Those of parts part .. end - 1, which are in a tile. */
    void tile_log_densities(const Mixture<Real> &s, const SharedFactor<Real> &shared, const Scratch<Real> &a, int part, int end,
                            bool half)
    {
        const ptrdiff_t d = whole.d, K = s.n_components, n_at_once = whole.n_factors == 1 ? K : 1; /* components that share Q */
        const int first = parts[part].first;
        for (ptrdiff_t k = 0; k < K; k++) {
            if (k == 0 || !shared.is_used) {
                fill(part, end, k, false, a.xt);
                whiten<Real>(a.xt + first, TILE_ROWS, (int)d, base + k * base_step, s.factor(k), a.z);
            }
            take_columns(a.z, shared.is_used ? shared.means + k * d : NULL, n_at_once, z + k % n_at_once * width);
            if ((k + 1) % n_at_once) continue;
            for (int l = part; l < end; l++) {
                const Part &p = parts[l];
                const ptrdiff_t n = p.stop - p.first, f = k / n_at_once, k_first = k + 1 - n_at_once;
                double *rows = z + (p.first - first) * n_at_once * width;
                project(p, f, rows, p.deltas + f * p.m, K / n_at_once, n);
                for (ptrdiff_t i = 0; i < n; i++)
                    for (ptrdiff_t c = k_first; c <= k; c++, rows += width) {
                        const double value = s.log_const[c] + p.constants[f] - 0.5 * dot(rows, rows, 0);
                        a.p[c * STRIDE + p.first + i] = (Real)(half ? 0.5 * value : value);
                    }
            }
        }
    }

    /* Columns of z (d, STRIDE), less mean, unless it is NULL, as rows out[i * step * width ..]. */
    void take_columns(const Real *z, const Real *mean, ptrdiff_t step, double *out) const
    {
        constexpr int L = lanes<Real>;
        for (ptrdiff_t j = 0; j < width; j += L)
            for (ptrdiff_t i = 0; i < TILE_ROWS; i += L) {
                Vec<Real> t[L];
                UNROLL(16)
                for (int l = 0; l < L; l++)
                    t[l] = j + l >= whole.d ? Vec<Real>{} : mean ? load(z + (j + l) * STRIDE + i) - mean[j + l] : load(z + (j + l) * STRIDE + i);
                transpose<Real>(t);
                const Real *square = (const Real *)t;
                for (int r = 0; r < L; r++)
                    for (ptrdiff_t l = 0; l < smaller(L, width - j); l++) out[(i + r) * step * width + j + l] = square[r * L + l];
            }
    }

    /* For the V of a part and factor f: rows z -= Q Q^T z, delta <- -R^-1 Q^T z.  There are n rows for each component with this
     * factor, and the deltas of the next row come `step` times as far on. */
    void project(const Part &p, ptrdiff_t f, double *rows, double *deltas, ptrdiff_t step, ptrdiff_t n)
    {
        const ptrdiff_t d = whole.d, m = p.m, count = whole.n_factors == 1 ? n * whole.n_components : n;
        for (ptrdiff_t e = 0; e < m; e++) take_row(whole.factors + f * d * d, p.features[m - 1 - e], Q + e * width);
        double *row = p.triangles + f * (m * (m + 1) / 2), log_squares = 0, product = 1;
        for (ptrdiff_t e = 0; e < m; row += m - e, e++) {
            const double *q = Q + e * width;
            const ptrdiff_t from = start(p.features[m - 1 - e]);
            const double square = dot(q, q, from), inverse = 1 / square;
            row[0] = inverse;
            for (ptrdiff_t c = e + 1; c < m; c++) row[c - e] = remove(q, inverse, Q + c * width, from);
            for (ptrdiff_t c = 0; c < count; c++) deltas[c * step * m + e] = -remove(q, inverse, rows + c * width, from);
            if (square < 1e100 && square > 1e-100) product *= square;
            else log_squares += log(square);
            if (product > 1e100 || product < 1e-100) log_squares += log(product), product = 1;
        }
        p.constants[f] = 0.5 * ((double)m * LOG_2_PI - log_squares - log(product));
        for (ptrdiff_t e = m - 2; e >= 0; e--) {
            row = p.triangles + f * (m * (m + 1) / 2) + at(e, e, m);
            for (ptrdiff_t c = 0; c < count; c++) {
                double *delta = deltas + c * step * m + e;
                for (ptrdiff_t l = 1; l < m - e; l++) delta[0] -= row[l] * delta[l];
            }
        }
    }

    /* out (width,) <- row j of U (d, d), upper triangular */
    void take_row(const double *U, ptrdiff_t j, double *out) const
    {
        const ptrdiff_t d = whole.d;
        const double *row = U + j * d;
        ptrdiff_t l = start(j);
        for (; l + lanes<double> <= d; l += lanes<double>) store<double>(out + l, *(const UnalignedVec<double> *)(row + l));
        for (; l < width; l++) out[l] = l < d ? row[l] : 0;
        for (l = start(j); l < j; l++) out[l] = 0;
    }

    /* scatter (the shape of the factors) += resp_ik C for all rows, and entropy += that of x_m given x_o, unless it is NULL.  p is what
     * the statistics leave: weights, or with `root` their roots. */
    void add_conditional(const Real *p_all, bool root, double *scatter, double *entropy) const
    {
        const ptrdiff_t K = whole.n_components, d = whole.d, F = whole.n_factors;
        for (int part = 0; part < n_parts; part++) {
            const Part &p = parts[part];
            for (ptrdiff_t f = 0; f < F; f++) {
                double n = 0;
                for (ptrdiff_t k = f; k < K; k += F)
                    for (int i = p.first; i < p.stop; i++) {
                        const double r = p_all[k * STRIDE + i];
                        n += root ? r * r : r;
                    }
                if (n == 0) continue;
                if (entropy) *entropy += n * (0.5 * p.m + p.constants[f]);
                double *S = scatter + f * whole.factor_length();
                if (whole.diag)
                    for (int e = 0; e < p.m; e++) {
                        const double u = whole.factors[f * d + p.features[e]];
                        S[p.features[e]] += n / (u * u);
                    }
                else
                    add_covariance(p, n, p.triangles + f * ((ptrdiff_t)p.m * (p.m + 1) / 2), S);
            }
        }
    }

    /* S (d, d) += n T^-1 D^-1 T^-T */
    void add_covariance(const Part &p, double n, const double *triangle, double *S) const
    {
        const ptrdiff_t d = whole.d, m = p.m;
        double *inverse = Q; /* (m, m), of T */
        for (ptrdiff_t e = m - 1; e >= 0; e--) {
            double *out = inverse + e * m;
            const double *row = triangle + at(e, e, m);
            out[e] = 1;
            for (ptrdiff_t l = e + 1; l < m; l++) out[l] = 0;
            for (ptrdiff_t b = e + 1; b < m; b++)
                for (ptrdiff_t l = b; l < m; l++) out[l] -= row[b - e] * inverse[b * m + l];
        }
        for (ptrdiff_t e = 0; e < m; e++)
            for (ptrdiff_t c = e; c < m; c++) {
                double sum = 0;
                for (ptrdiff_t l = c; l < m; l++) sum += inverse[e * m + l] * inverse[c * m + l] * triangle[at(l, l, m)];
                const ptrdiff_t j = p.features[m - 1 - e], i = p.features[m - 1 - c];
                S[j * d + i] += n * sum;
                if (c > e) S[i * d + j] += n * sum;
            }
    }

    /* Expectations of the missing values of row i of a part, out (d,), given responsibilities (K,). */
    void expectations(const Part &p, int i, const Real *resp, Real *out) const
    {
        const ptrdiff_t K = whole.n_components;
        for (int e = 0; e < p.m; e++) {
            const ptrdiff_t j = p.features[p.m - 1 - e];
            double sum = 0;
            for (ptrdiff_t k = 0; k < K; k++)
                sum += resp[k] * ((double)base[k * base_step + j] + (whole.diag ? 0 : p.deltas[((i - p.first) * K + k) * p.m + e]));
            out[j] = (Real)sum;
        }
    }

    /* Where entry (e, l) of an upper triangle is, row after row. */
    static ptrdiff_t at(ptrdiff_t e, ptrdiff_t l, ptrdiff_t m) { return e * m - e * (e - 1) / 2 + l - e; }

    static ptrdiff_t start(ptrdiff_t j) { return j / lanes<double> * lanes<double>; }

    double dot(const double *a, const double *b, ptrdiff_t from) const
    {
        Vec<double> even = {}, odd = {};
        for (; from + 2 * lanes<double> <= width; from += 2 * lanes<double>) {
            even += load(a + from) * load(b + from);
            odd += load(a + from + lanes<double>) * load(b + from + lanes<double>);
        }
        if (from < width) even += load(a + from) * load(b + from);
        even += odd;
        double sums[lanes<double>];
        memcpy(sums, &even, sizeof sums);
        UNROLL(3)
        for (int half = lanes<double> / 2; half > 0; half /= 2)
            UNROLL(4)
            for (int l = 0; l < half; l++) sums[l] += sums[l + half];
        return sums[0];
    }

    /* x -= q share, share = q^T x / q^T q, which is returned. */
    double remove(const double *q, double inverse, double *x, ptrdiff_t from) const
    {
        const double share = dot(q, x, from) * inverse;
        for (; from < width; from += lanes<double>) store(x + from, load(x + from) - share * load(q + from));
        return share;
    }
};

#endif
