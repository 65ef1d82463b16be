r"""The weak conjugate prior of R's mclust, and the mixture that maximizes the posterior under it.

Fraley & Raftery, "Bayesian regularization for normal mixture estimation and model-based clustering", J. Classification
24, 2007. The logarithm of the prior, up to a constant, is

.. math::
    -\tfrac12 \sum_k \Big( e \log \det \Sigma_k + \operatorname{tr} \Sigma_k^{-1} \big( \Lambda +
    \kappa (\mu_k - \mu_P)(\mu_k - \mu_P)^T \big) \Big) .

:math:`\mu_P` is the mean of all rows, and :math:`\kappa = 0.01` rows vote for it. The scale :math:`\Lambda` is the
covariance of all rows, divided by :math:`K^{2/d}`: so the volume of a component is 1 / K of that of all rows. For
covariances along the axes it is the mean of the variances, divided in the same way. The weights have no prior.

An M step maximizes the sum of the expected log-likelihood and the log-prior. So its means are those with
:math:`\kappa` more rows at :math:`\mu_P`, and its covariances those of a scatter with the terms in parentheses added,
for :math:`n_k + e` rows. Every covariance structure makes its covariances from these sums as it does without a prior.

The prior mass :math:`e`, and whether the scale counts once or for each component, are those of mclust's code. They
differ between its models, also where the paper has another formula. Two of them are not mclust's. It leaves the scale
out of EII, whose variance then may be 0. It has no prior for VEE, EVE, VVE and EVV, which get that of VVV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.gaussian import InitialValues, MaximumLikelihood, MixtureParameters
from fastgmm._model.moments import Moments, estimate_moments, mass_floor
from fastgmm._model.noise import Region
from fastgmm._model.statistics import SufficientStatistics

_SHRINKAGE = 0.01  # rows at the prior mean
_LEAST_EIGENVALUE = 1e-10  # of the correlations of all rows; with less their covariance is singular


class _Rule(NamedTuple):
    """The prior of a model of mclust.

    Attributes
    ----------
    mass : callable
        Rows that the prior adds to a component of its covariance, from the numbers of components and features.
    is_once : bool
        Whether the scale counts once, and not for each component.
    """

    mass: Callable[[int, int], float]
    is_once: bool


_OF_MATRICES = _Rule(lambda K, d: 2 * d + 4, False)
_RULES = {
    "EII": _Rule(lambda K, d: 1 + (d + 4) / (K * d), True),
    "VII": _Rule(lambda K, d: (2 * d + 4) / d, False),
    "EEI": _Rule(lambda K, d: (d + 4) / K, True),
    "VEI": _Rule(lambda K, d: (d + 5) / d, False),
    "EVI": _Rule(lambda K, d: (d + 4) / K, False),
    "VVI": _Rule(lambda K, d: d + 5, False),
    "EEE": _Rule(lambda K, d: 1 + (2 * d + 3) / K, True),
    "VEE": _OF_MATRICES,
    "EVE": _OF_MATRICES,
    "VVE": _OF_MATRICES,
    "EEV": _Rule(lambda K, d: (2 * d + 4) / K, False),
    "VEV": _Rule(lambda K, d: 0, False),
    "EVV": _OF_MATRICES,
    "VVV": _OF_MATRICES,
}


@dataclass(frozen=True, slots=True)
class WeakPrior:
    """The prior for a covariance structure, a number of components and given rows; arrays are float64.

    Attributes
    ----------
    mean : ndarray of shape (d,)
    scale : ndarray of shape (d, d), or (d,) for covariances along the axes
        The share of one component.
    mass : float
        The rows that the prior adds to a component of its covariance.
    constant : ndarray of int
        Features of matrices that are constant. They have the variance `constant_variance` in all components, so they
        do not move rows from one component to another.
    constant_variance : float
        The mean variance of all features, or 1 if all are constant.
    """

    mean: np.ndarray
    scale: np.ndarray
    mass: float
    constant: np.ndarray
    constant_variance: float

    @classmethod
    def of_rows(
        cls, structure: CovarianceStructure, n_components: int, mean: np.ndarray, spread: np.ndarray
    ) -> WeakPrior:
        """The prior for rows with a mean and an unbiased covariance.

        Parameters
        ----------
        structure : CovarianceStructure
        n_components : int
        mean : ndarray of shape (d,)
        spread : ndarray of shape (d, d), or (d,) if the kernel of the structure is 'diag'
            The covariance of all rows, or their variances.

        Raises
        ------
        ValueError
            If mclust does not have the structure.
        """
        d = len(mean)
        if structure.mclust_name not in _RULES:
            raise ValueError(
                f"prior='weak' is that of the models of mclust, and covariance_type={structure.name!r} is not one of "
                f"them. Use prior=None, or one of {', '.join(map(repr, _RULES))}."
            )
        rule = _RULES[structure.mclust_name]
        typical = float(np.trace(spread) if spread.ndim == 2 else spread.sum()) / d or 1.0
        volume = n_components ** (-2.0 / d) / (n_components if rule.is_once else 1)
        if spread.ndim == 1:
            one_variance = structure.scatter_shape(1, d)[1] == 1
            scale = np.full(d, typical / d if one_variance else typical)
            constant = np.empty(0, np.intp)
        else:
            scale = _regular(spread)
            constant = np.flatnonzero(spread.diagonal() == 0.0)
        return cls(mean, volume * scale, rule.mass(n_components, d), constant, typical)

    def added_to(self, statistics: SufficientStatistics, means: np.ndarray | None = None) -> SufficientStatistics:
        """The sums from which the M step makes covariances, about its means. `nk` are the divisors.

        `means` are fixed means; None for the most probable ones.
        """
        nk = statistics.nk
        if means is None:
            votes = statistics.sum_x + _SHRINKAGE * (self.mean - statistics.centers)
            means = statistics.centers + votes / (nk + _SHRINKAGE)[:, np.newaxis]
        sums = statistics.moved_to(means)
        differences, scatter, masses = means - self.mean, sums.scatter, np.maximum(nk + self.mass, _SHRINKAGE)
        if scatter.ndim == 2:
            squares = _SHRINKAGE * differences**2 + self.scale
            scatter += squares.sum(axis=1, keepdims=True) if scatter.shape[1] == 1 else squares
        elif len(scatter) == 1:
            scatter += _SHRINKAGE * differences.T @ differences + len(nk) * self.scale
        else:
            scatter += _SHRINKAGE * differences[:, :, np.newaxis] * differences[:, np.newaxis] + self.scale
        if len(self.constant):
            scatter[:, self.constant] = scatter[:, :, self.constant] = 0.0
            of_each = masses if len(scatter) == len(masses) else masses.sum(keepdims=True)
            scatter[:, self.constant, self.constant] = self.constant_variance * of_each[:, np.newaxis]
        sums.nk, sums.sum_x = masses, np.zeros_like(means)
        return sums

    def log_density(self, structure: CovarianceStructure, parameters: MixtureParameters) -> float:
        """The logarithm of the prior at parameters, up to a constant."""
        means = parameters.means
        K, d = means.shape
        factors = structure.kernel_factors(parameters.precisions_cholesky, K, d)
        differences = means - self.mean
        if structure.kernel == "diag":
            trace = (factors[:, 0] ** 2 * (self.scale + _SHRINKAGE * differences**2)).sum()
        else:
            whitened = (differences[:, np.newaxis] @ factors)[:, 0]
            of_scale = (self.scale @ factors * factors).sum() * (K / len(factors))
            trace = of_scale + _SHRINKAGE * (whitened**2).sum()
        log_det = structure.log_det(parameters.precisions_cholesky, d)  # of the factors: -1/2 log det of the covariance
        return float(self.mass * np.broadcast_to(log_det, K).sum() - 0.5 * trace)


def _regular(covariance: np.ndarray) -> np.ndarray:
    """The covariance, or only its diagonal if it is singular, as in mclust with no more rows than features."""
    deviations = np.sqrt(covariance.diagonal())
    varying = np.flatnonzero(deviations)
    correlations = covariance[np.ix_(varying, varying)] / np.outer(deviations[varying], deviations[varying])
    if len(varying) and not np.linalg.eigvalsh(correlations)[0] > _LEAST_EIGENVALUE:
        return np.diag(covariance.diagonal())
    return covariance


class MaximumPosterior(MaximumLikelihood):
    """The mixture that maximizes the posterior under a weak prior.

    It takes the parameters of `MaximumLikelihood`, and the prior. The bound is the weighted mean of the log-likelihood
    plus the log-prior, per row. `partial_fit` does not know the mean and the covariance of all rows, so there the prior
    is refused.
    """

    has_priors = True

    def __init__(
        self,
        structure: CovarianceStructure,
        n_components: int,
        n_features: int,
        dtype,
        reg_covar: float,
        given: InitialValues,
        region: Region | None,
        prior: WeakPrior,
    ):
        super().__init__(structure, n_components, n_features, dtype, reg_covar, given, region)
        self._prior = prior

    def moments(self, statistics: SufficientStatistics, before: MixtureParameters | None = None) -> Moments:
        fixed_means, previous = (None, None) if before is None else (self._fixed_means, before.covariances)
        sums = self._prior.added_to(statistics, fixed_means)
        found = estimate_moments(sums, self.structure, self.reg_covar, self.dtype, sums.centers, previous)
        squares = (sums.centers - statistics.centers) ** 2
        nk = statistics.nk + mass_floor(self.dtype)
        return found._replace(nk=nk, shifts=self.structure.averaged(squares, sums.nk))

    def log_prior(self, parameters: MixtureParameters) -> float:
        return self._prior.log_density(self.structure, parameters)
