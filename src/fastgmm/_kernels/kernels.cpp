/* The kernels of one SIMD variant: all passes that Python's glue calls, for both element types. */
#include "kernels.hpp"

template <class Pass> void run_pass(Pass &pass) { pass.run(); }

template <class Real> void prepare_shared(SharedFactor<Real> &shared, const Mixture<Real> &mixture, Real *out, double *scratch)
{
    shared.prepare(mixture, out, scratch);
}

template <class Real> void add_moves(const Real *centers, int K, int d, double scale, double *previous, double *moved)
{
    note_moves(centers, K, d, scale, previous, moved);
}

template <class Real> void exp_of(Real *x, ptrdiff_t n) { exp_array(x, n); }
template <class Real> void log_of(Real *x, ptrdiff_t n) { log_array(x, n); }
template <class Real> void log1p_of(Real *x, ptrdiff_t n) { log1p_array(x, n); }

#define FOR(Real)                                                                                                                 \
    template void run_pass(EmPass<Real> &);                                                                                       \
    template void run_pass(StatisticsPass<Real> &);                                                                               \
    template void run_pass(DensityPass<Real> &);                                                                                  \
    template void run_pass(StudentEmPass<Real> &);                                                                                \
    template void run_pass(StudentDensityPass<Real> &);                                                                           \
    template void run_pass(ScreenedEmPass<Real> &);                                                                               \
    template void run_pass(ScreenedDensityPass<Real> &);                                                                          \
    template void run_pass(PairCount<Real> &);                                                                                    \
    template void run_pass(CellsEmPass<Real> &);                                                                                  \
    template void run_pass(CellsDensityPass<Real> &);                                                                             \
    template void run_pass(ComponentCount<Real> &);                                                                               \
    template void run_pass(IncompleteEmPass<Real> &);                                                                             \
    template void run_pass(IncompleteDensityPass<Real> &);                                                                        \
    template void run_pass(LloydPass<Real> &);                                                                                    \
    template void run_pass(ClosestPass<Real> &);                                                                                  \
    template void run_pass(RowSearch<Real> &);                                                                                    \
    template void prepare_shared(SharedFactor<Real> &, const Mixture<Real> &, Real *, double *);                                  \
    template void add_moves(const Real *, int, int, double, double *, double *);                                                  \
    template void exp_of(Real *, ptrdiff_t);                                                                                      \
    template void log_of(Real *, ptrdiff_t);                                                                                      \
    template void log1p_of(Real *, ptrdiff_t);

FOR(float)
FOR(double)
template void run_pass(FactorsPass &);
template void run_pass(AxesRound &);
