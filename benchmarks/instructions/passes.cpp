/* Runs passes of EM without Python, so that instructions.py can count what they execute: passes TYPE DTYPE D K REPETITIONS.
 *
 * Prints sums of the statistics, which must not depend on the compiler beyond rounding. */
#include "kernels.hpp"

#include <stdio.h>
#include <stdlib.h>

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-53;
}

template <class Real> static Real *numbers(ptrdiff_t n)
{
    void *memory = NULL;
    if (posix_memalign(&memory, 64, n * sizeof(Real) + 64)) abort();
    memset(memory, 0, n * sizeof(Real) + 64);
    return (Real *)memory;
}

template <class Real> static void run(const char *type, int n, int d, int K, int repetitions)
{
    const bool diag = !strcmp(type, "diag") || !strcmp(type, "spherical");
    const int n_factors = strcmp(type, "tied") ? K : 1, rows = diag ? 1 : d, columns = strcmp(type, "spherical") ? d : 1;
    uint64_t state = 1;
    EmPass<Real> em;
    em.mixture.set_shape(d, K, n_factors, rows, columns);
    const Shape &s = em.mixture;
    Real *X = numbers<Real>((ptrdiff_t)n * d), *means = numbers<Real>(K * d), *factors = numbers<Real>(n_factors * rows * d);
    for (int i = 0; i < n * d; i++) X[i] = uniform(&state) + uniform(&state) + i % 7 % K;
    for (int i = 0; i < K * d; i++) means[i] = X[i];
    for (int k = 0; k < n_factors; k++)
        for (int j = 0; j < rows; j++)
            for (int a = j; a < d; a++) factors[(k * rows + j) * d + a] = diag || a == j ? 1 : Real(0.1) / d;
    em.rows = {X, n, NULL};
    em.mixture.means = means, em.mixture.factors = factors, em.mixture.log_const = numbers<double>(K);
    double *nk = numbers<double>(K), *sum_x = numbers<double>(K * d), *scatter = numbers<double>(n_factors * rows * columns);
    em.statistics = {means, nk, sum_x, scatter, numbers<double>(SumTree::n_buffers(1) * s.sums_length())};
    em.with_entropy = false, em.n_threads = 1;
    em.workspace = numbers<Real>(s.work_length() + s.packed_length());
    for (int t = 0; t < repetitions; t++) run_pass(em);
    double sums[3] = {0};
    for (int k = 0; k < K; k++) sums[0] += (k + 1) * nk[k];
    for (int j = 0; j < K * d; j++) sums[1] += (j % 5 + 1) * sum_x[j];
    for (int j = 0; j < n_factors * rows * columns; j++) sums[2] += (j % 5 + 1) * scatter[j];
    printf("%.6e %.6e %.6e %.6e\n", em.log_likelihood, sums[0], sums[1], sums[2]);
}

int main(int argc, char **argv)
{
    if (argc < 6) return 1;
    const int n = 1027, d = atoi(argv[3]), K = atoi(argv[4]), repetitions = atoi(argv[5]);
    if (!strcmp(argv[2], "float64"))
        run<double>(argv[1], n, d, K, repetitions);
    else
        run<float>(argv[1], n, d, K, repetitions);
    return 0;
}
