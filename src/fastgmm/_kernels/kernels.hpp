/* All passes, templates over the element type of the rows, float64 or float32; and factors and common axes of covariances,
 * float64. */
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

#endif
