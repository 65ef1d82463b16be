/* Common axes of matrices: a round of rotations, in all planes of two axes, each of which lowers
 *
 *     sum_k n_k sum_j log m_kj   or, for equal volumes,   sum_k n_k (prod_j m_kj)^(1/d),   m_kj = (D^T S_k D)_jj.
 *
 * Both are concave in log m or m.  The tangent sum_kj c_kj m_kj at the present axes, c_kj = w_k / m_kj with w_k = n_k or n_k times
 * the volume, lies above them.  In the plane of axes i and j, at an angle t, it has the value a + b cos 2t + e sin 2t:
 *
 *     b = sum_k (c_ki - c_kj) (m_ki - m_kj) / 2,   e = sum_k (c_ki - c_kj) (D^T S_k D)_ij.
 *
 * Layout.  `along` holds D^T S_k D, (K, d, d); it and the axes, the columns of (d, d), are rotated in place. */
#ifndef FASTGMM_AXES_HPP
#define FASTGMM_AXES_HPP

#include "threads.hpp"

struct AxesRound {
    int d;
    ptrdiff_t n_matrices;
    double *along;
    double *axes;
    const double *shares; /* n_k, of sum 1 */
    double *volumes;      /* scratch (K): (prod_j m_kj)^(1/d), at the beginning of a turn of disjoint pairs */
    bool equal_volume;
    double limit; /* the round is made if the value before it is less */
    double value; /* out: the logarithm of the sum before the round, over d; NaN if a variance is not positive */

    void run()
    {
        value = sum_at_present();
        if (!(value < limit)) return;
        const int n = d + d % 2; /* a place is empty if d is odd */
        for (int turn = 0; turn < n - 1; turn++) {
            if (turn > 0 && equal_volume) sum_at_present(); /* the volumes */
            for (int p = 0; p < n / 2; p++) {
                const int i = axis_at(p, turn, n), j = axis_at(n - 1 - p, turn, n);
                if (i < d && j < d) rotate(i, j);
            }
        }
    }

    /* Everyone plays everyone: axis 0 keeps its place, the others move on by one place a turn.  Opposite places are a pair. */
    static int axis_at(int place, int turn, int n) { return place == 0 ? 0 : 1 + (place - 1 - turn + n - 1) % (n - 1); }

    double *matrix(ptrdiff_t k) const { return along + k * d * d; }

    double sum_at_present()
    {
        double sum = 0;
        for (ptrdiff_t k = 0; k < n_matrices; k++) {
            double log_volume = 0;
            for (int j = 0; j < d; j++) log_volume += log(matrix(k)[j * (d + 1)]); /* -inf, inf and NaN remain */
            log_volume /= d;
            volumes[k] = exp(log_volume);
            if (!(volumes[k] > 0 && volumes[k] <= DBL_MAX)) return NAN;
            sum += shares[k] * (equal_volume ? volumes[k] : log_volume);
        }
        return equal_volume ? log(sum) : sum;
    }

    void rotate(int i, int j)
    {
        double b = 0, e = 0;
        for (ptrdiff_t k = 0; k < n_matrices; k++) {
            const double *m = matrix(k), mi = m[i * (d + 1)], mj = m[j * (d + 1)];
            const double c = shares[k] * (equal_volume ? volumes[k] : 1) * (1 / mi - 1 / mj);
            b += 0.5 * c * (mi - mj);
            e += c * m[i * d + j];
        }
        const double t = 0.5 * atan2(-e, -b), cosine = cos(t), sine = sin(t);
        for (ptrdiff_t k = 0; k < n_matrices; k++) {
            double *m = matrix(k);
            combine(m + i * d, m + j * d, 1, cosine, sine);
            combine(m + i, m + j, d, cosine, sine);
        }
        combine(axes + i, axes + j, d, cosine, sine);
    }

    /* x <- cos t x + sin t y, y <- cos t y - sin t x: rows (step 1) or columns (step d). */
    void combine(double *x, double *y, ptrdiff_t step, double cosine, double sine) const
    {
        for (ptrdiff_t r = 0; r < d; r++, x += step, y += step) {
            const double old = *x;
            *x = cosine * old + sine * *y;
            *y = cosine * *y - sine * old;
        }
    }
};

#endif
