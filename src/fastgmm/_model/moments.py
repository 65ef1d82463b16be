r"""The M step's moments: masses, means and covariances of the components, from sufficient statistics.

All arithmetic here is float64 on arrays of the size of the parameters; no row of the data is ever seen.

M step (Bishop 2006, eqs. 9.24-9.27) from sums about a center :math:`c_k`, with :math:`\delta_k = \mu_k - c_k`:

.. math::
    \mu_k &= c_k + s_k / n_k \\
    n_k \Sigma_k &= S_k - s_k \delta_k^T - \delta_k s_k^T + n_k \delta_k \delta_k^T

A component has no rows if :math:`n_k` is at most ten units of rounding. It keeps the mean and the covariance that it
had, so that nothing depends on where the origin of the coordinates is. In the weights ten units of rounding are added
to each mass, as in scikit-learn: rows that return find the component again.

A variance counts as 0 if it is no greater than the rounding of what it is computed from: of the values, which are known
to a unit of rounding, and of the squared differences from the center, where the mean has moved far from it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.covariance.structure import any_of
from fastgmm._model.statistics import SufficientStatistics

# A squared move of the mean that exceeds the variance by more than this factor costs too many digits of the scatter.
_MAX_SQUARED_SHIFT = {np.dtype(np.float64): 1e3, np.dtype(np.float32): 10.0}

# What rounding is, for each type of data.
_EPS = {np.dtype(dtype): float(np.finfo(dtype).eps) for dtype in (np.float64, np.float32)}

# Units of rounding in a difference of sums of squares, of terms as large as the squared move of the mean.
_SQUARES_ROUNDING = 8.0


class Moments(NamedTuple):
    """What statistics say of each component: its mass, not normalized, its mean and its covariance.

    `nk` is enlarged by ten units of rounding; `is_empty` says where it was no more than that before. `shifts` is how
    much of the mean squares about the statistics' centers is due to the means' distance from these.
    """

    nk: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    shifts: np.ndarray
    is_empty: np.ndarray


def estimate_moments(
    statistics: SufficientStatistics,
    structure: CovarianceStructure,
    reg_covar: float,
    dtype=np.float64,
    means: np.ndarray | None = None,
    previous: np.ndarray | None = None,
) -> Moments:
    """Masses, means and covariances of all components.

    Parameters
    ----------
    statistics : SufficientStatistics
    structure : CovarianceStructure
    reg_covar : float
        Added to the diagonals of the covariances.
    dtype : dtype, default=np.float64
        The type of the data, which says what rounding is.
    means : ndarray of shape (n_components, n_features), default=None
        Take the covariances about these means. None: about the means of the rows.
    previous : ndarray, default=None
        The covariances before, which components without rows keep; the means that they keep are the centers of the
        statistics. None: such components have the covariance `reg_covar`.

    Returns
    -------
    Moments
    """
    nk, centers = statistics.nk, statistics.centers
    floor = 10.0 * _EPS[np.dtype(dtype)]
    is_empty = nk <= floor
    some_are_empty = any_of(is_empty)
    divisors = np.maximum(nk, floor) if some_are_empty else nk
    if means is None:
        delta = statistics.sum_x / divisors[:, np.newaxis]
        if some_are_empty:
            delta[is_empty] = 0.0
        means = centers + delta
    else:
        delta = means - centers
    squares = delta * delta
    noise = variance_noise(means, squares, dtype)
    covariances = structure.covariances(statistics, delta, divisors, reg_covar, noise, previous)
    if some_are_empty and previous is not None:
        structure.keep(covariances, previous, is_empty)
    return Moments(nk + floor, means, covariances, structure.averaged(squares, divisors), is_empty)


def variance_noise(means: np.ndarray, squared_shifts: np.ndarray, dtype) -> np.ndarray:
    """The variance that rounding gives to a feature that has none, shape (n_components, n_features).

    Parameters
    ----------
    means : ndarray of shape (n_components, n_features)
    squared_shifts : ndarray of shape (n_components, n_features)
        Squared distances of the means from the centers of the sums.
    dtype : dtype
        Of the data, and of their differences from the centers.
    """
    eps = _EPS[np.dtype(dtype)]
    return np.square(eps * means) + _SQUARES_ROUNDING * eps * squared_shifts


def is_accurate(moments: Moments, covariances: np.ndarray, structure: CovarianceStructure, dtype=np.float64) -> bool:
    """Whether the sums behind the moments were taken close enough to the means; if not, take them about the means.

    The scatter about the new mean is a difference; where the mean moved by many standard deviations (a bad start, a
    component that jumps) it loses digits in proportion to the squared move over the variance. Sums about the new mean
    lose nothing. `covariances` are those that are to be accurate: the moments' own, or what a prior makes of them.
    """
    variances = structure.variances(covariances)
    return not (moments.shifts > _MAX_SQUARED_SHIFT[np.dtype(dtype)] * variances).any()
