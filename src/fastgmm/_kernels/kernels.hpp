/* All passes, templates over the element type of the rows, float64 or float32; and factors and common axes of covariances,
 * float64.
 *
 * Below is what Python's glue calls.  kernels.cpp defines these, so all kernels are compiled there, for speed; the glue is compiled
 * for size. */
#ifndef FASTGMM_KERNELS_HPP
#define FASTGMM_KERNELS_HPP

#include "em.hpp"
#include "densities.hpp"
#include "screened.hpp"
#include "celled.hpp"
#include "incomplete.hpp"
#include "student.hpp"
#include "lloyd.hpp"
#include "seeding.hpp"
#include "factors.hpp"
#include "axes.hpp"

template <class Pass> void run_pass(Pass &pass); /* pass.run() */
template <class Real> void prepare_shared(SharedFactor<Real> &shared, const Mixture<Real> &mixture, Real *out, double *scratch);
template <class Real> void add_moves(const Real *centers, int K, int d, double scale, double *previous, double *moved);

/* In place over whole arrays, for tests and benchmarks. */
template <class Real> void exp_of(Real *x, ptrdiff_t n);
template <class Real> void log_of(Real *x, ptrdiff_t n);
template <class Real> void log1p_of(Real *x, ptrdiff_t n);

#endif
