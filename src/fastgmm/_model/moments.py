r"""The M step's moments: masses, means and covariances of the components, from sufficient statistics.

All arithmetic is float64, on arrays of the size of the parameters.

M step (Bishop 2006, eqs. 9.24-9.27) from sums about a center :math:`c_k`, with :math:`\delta_k = \mu_k - c_k`:

.. math::
    \mu_k &= c_k + s_k / n_k \\
    n_k \Sigma_k &= S_k - s_k \delta_k^T - \delta_k s_k^T + n_k \delta_k \delta_k^T

A component has no rows if :math:`n_k` is at most ten units of rounding. It keeps its mean and covariance, so the result
does not depend on the origin of the coordinates. In the weights, ten units of rounding are added to each mass, as in
scikit-learn, so the component can take rows again.

A variance counts as 0 if rounding alone explains it: the rounding of the values, and, where the mean has moved far from
the center, the rounding of the squared differences from the center.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.covariance.structure import any_of
from fastgmm._model.statistics import SufficientStatistics

# Largest accurate ratio of the mean's squared move to the variance: the scatter loses digits in proportion to it.
_MAX_SQUARED_SHIFT = {np.dtype(np.float64): 1e3, np.dtype(np.float32): 10.0}

# Unit of rounding, for each dtype of the data.
_EPS = {np.dtype(dtype): float(np.finfo(dtype).eps) for dtype in (np.float64, np.float32)}

# Error of a difference of sums of squares, in units of rounding of the mean's squared move.
_SQUARES_ROUNDING = 8.0


class Moments(NamedTuple):
    """Moments of the rows of each component, float64.

    Attributes
    ----------
    nk : ndarray of shape (K,)
        Masses, plus ten units of rounding.
    means : ndarray of shape (K, d)
    covariances : ndarray
        In the shape of the covariance structure.
    shifts : ndarray
        Squared distances of the means from the centers of the statistics, in the shape of the structure's `variances`.
    is_empty : ndarray of bool of shape (K,)
        Which components have no rows.
    noise : float
        Mass of a uniform background.
    degrees_of_freedom : ndarray of shape (K,), or None
        Of t distributions.
    """

    nk: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    shifts: np.ndarray
    is_empty: np.ndarray
    noise: float = 0.0
    degrees_of_freedom: np.ndarray | None = None

    def shares(self) -> np.ndarray:
        """Masses of the components as shares of all, the background included."""
        return self.nk / (self.nk.sum() + self.noise)


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
        Added to each variance.
    dtype : dtype, default=np.float64
        Of the data; it determines the unit of rounding.
    means : ndarray of shape (n_components, n_features), default=None
        The covariances are taken about these means. None: about the means of the rows.
    previous : ndarray, default=None
        The covariances before the M step. Components without rows keep them, and the centers of the statistics as their
        means. None: such components get the variance `reg_covar`.
    """
    nk, centers = statistics.nk, statistics.centers
    floor = mass_floor(dtype)
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
    return Moments(nk + floor, means, covariances, structure.averaged(squares, divisors), is_empty, statistics.noise)


def mass_floor(dtype) -> float:
    """Ten units of rounding of the data: a component with no more rows has none."""
    return 10.0 * _EPS[np.dtype(dtype)]


def variance_noise(means: np.ndarray, squared_shifts: np.ndarray, dtype) -> np.ndarray:
    """The variance that rounding alone gives to a constant feature, shape (n_components, n_features).

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
    """Whether the moments come from sums about centers close enough to the means. If not, repeat them about the means.

    The scatter about the new mean is a difference. It loses digits where the mean moved by many standard deviations,
    after a bad start or when a component jumps. `covariances` are those that have to be accurate: the moments' own, or
    the same plus the share of a prior.
    """
    variances = structure.variances(covariances)
    return not (moments.shifts > _MAX_SQUARED_SHIFT[np.dtype(dtype)] * variances).any()
