/* The driver of all passes: threads take runs of blocks, each has its own sums, and the sums are merged in a fixed order.
 *
 * Thread t takes the t-th run of blocks, and sums are merged in the order of t, so that results depend on n_threads alone.
 * Nothing is allocated. */
#ifndef FASTGMM_THREADS_HPP
#define FASTGMM_THREADS_HPP

#include "shared.hpp"

#ifdef _OPENMP
#  include <omp.h>
#  define HAS_OPENMP 1
#else
#  define HAS_OPENMP 0
#  define omp_get_max_threads() 1
#endif

/* Sums of this length and more are zeroed and merged by all threads. */
#define LONG_SUMS 4096

/* The first row of thread t: whole blocks, divided as evenly as possible. */
INLINE ptrdiff_t first_row(ptrdiff_t n, int t, int n_threads) { return smaller(n, n_blocks(n) * t / n_threads * BLOCK); }

/* Call rows(t, start, stop) for the run of rows of each thread t. */
template <class Function>
static void in_threads(ptrdiff_t n, int n_threads, Function rows)
{
    if (n_threads == 1) {
        rows(0, (ptrdiff_t)0, n);
        return;
    }
#ifdef _OPENMP
#  pragma omp parallel for num_threads(n_threads) schedule(static, 1)
#endif
    for (int t = 0; t < n_threads; t++) rows(t, first_row(n, t, n_threads), first_row(n, t + 1, n_threads));
}

/* The same for sums (n_threads, n_sums): each thread zeroes its own and calls rows(t, start, stop, own sums).  Then the first
 * sums are those of all threads, added up in the order of t. */
template <class Function>
static void sum_in_threads(ptrdiff_t n, int n_threads, double *sums, ptrdiff_t n_sums, Function rows)
{
    in_threads(n, n_threads, [&](int t, ptrdiff_t start, ptrdiff_t stop) {
        memset(sums + t * n_sums, 0, n_sums * sizeof(double));
        rows(t, start, stop, sums + t * n_sums);
    });
    auto merge = [&](ptrdiff_t start, ptrdiff_t stop) {
        for (int t = 1; t < n_threads; t++)
            for (ptrdiff_t j = start; j < stop; j++) sums[j] += sums[t * n_sums + j];
    };
    if (n_sums < LONG_SUMS)
        merge(0, n_sums);
    else
        in_threads(n_sums, n_threads, [&](int, ptrdiff_t start, ptrdiff_t stop) { merge(start, stop); });
}

/* What a pass adds up: statistics about centers, and the sums of its threads. */
template <class Real> struct Statistics {
    const Real *centers; /* (K, d) */
    double *nk;          /* (K,) */
    double *sum_x;       /* (K, d) */
    double *scatter;     /* shape of the factors, or (K, 1, 1) */
    double *sums;        /* scratch (n_threads, sums_length) */

    /* nk, sum_x, scatter += the merged sums of all threads. */
    void add(const Shape &s) const
    {
        const double *total = sums + 2;
        for (ptrdiff_t k = 0; k < s.n_components; k++) nk[k] += *total++;
        for (ptrdiff_t j = 0; j < (ptrdiff_t)s.n_components * s.d; j++) sum_x[j] += *total++;
        for (ptrdiff_t k = 0; k < s.n_factors; k++, total += s.scatter_length())
            if (s.sphere)
                for (int j = 0; j < s.d; j++) scatter[k] += total[j];
            else if (s.diag)
                for (int j = 0; j < s.d; j++) scatter[k * s.d + j] += total[j];
            else
                add_scatter(total, s.d, scatter + k * s.d * s.d);
        if (s.can_share()) add_scatter_of_centers(total, s.n_components, s.d, centers, scatter);
    }
};

template <class Real> struct Rows {
    const Real *X; /* (n, d), C-contiguous */
    ptrdiff_t n;
    const double *weights; /* (n,), or NULL for ones */

    const double *weights_from(ptrdiff_t row) const { return weights ? weights + row : NULL; }
};

#endif
