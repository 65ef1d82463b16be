r"""The variational mixture: priors, posterior and bound (Bishop 2006, section 10.2).

Each component has a Gaussian-Wishart posterior with mean :math:`m_k`, mean precision :math:`\beta_k`, degrees of
freedom :math:`\nu_k` and scale :math:`W_k`, and the weights a Dirichlet or, by stick-breaking, a Dirichlet-process one
(Blei & Jordan, Bayesian Analysis 1, 2006). The "covariance" of a component is :math:`C_k = W_k^{-1} / \nu_k`. With it
the E step is that of a Gaussian mixture with other constants (eqs. 10.46, 10.64-10.67):

.. math::
    \log \rho_{ik} = E[\log \pi_k] + \log \mathcal{N}(x_i \mid m_k, C_k)
        + \tfrac12 \Big( \sum_{j=1}^{d} \psi\big(\tfrac{\nu_k + 1 - j}{2}\big)
        + d \log 2 - d \log \nu_k - d / \beta_k \Big)

M step, with mass :math:`n_k`, mean :math:`\bar x_k` and covariance :math:`S_k` of the rows, and priors
:math:`\beta_0, m_0, \nu_0, C_0` (eqs. 10.58-10.63):

.. math::
    \beta_k &= \beta_0 + n_k, \qquad m_k = (\beta_0 m_0 + n_k \bar x_k) / \beta_k, \qquad \nu_k = \nu_0 + n_k \\
    \nu_k C_k &= C_0 + n_k S_k + \frac{\beta_0 n_k}{\beta_k} (\bar x_k - m_0)(\bar x_k - m_0)^T

For a shared covariance :math:`n_k` and the sums over rows are replaced by their means over the components.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, gammaln

from fastgmm._model.components import Components, log_gaussian_normalizer
from fastgmm._model.covariance import ConjugatePrior, CovarianceStructure, InverseMStep, require
from fastgmm._model.moments import Moments, is_accurate
from fastgmm._model.protocol import LEAST_MASS, CoordinateModel, StreamModel
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._model.weight_priors import WeightPrior
from fastgmm._utils.errors import IllDefinedCovarianceError, LostLikelihoodError


class Priors(NamedTuple):
    """Parameters of the prior distributions, float64; `covariance` has the shape of a single covariance."""

    weight_concentration: float
    mean_precision: float
    mean: np.ndarray
    degrees_of_freedom: float
    covariance: np.ndarray


@dataclass(frozen=True, slots=True)
class VariationalParameters:
    """Parameters of the posterior, all float64.

    Attributes
    ----------
    weight_prior : WeightPrior
        The prior whose posterior `weight_concentration` describes.
    weight_concentration : ndarray of shape (n_components,) or (2, n_components)
    mean_precision : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_features)
    degrees_of_freedom : ndarray of shape (n_components,), or () for 'tied'
    covariances, precisions_cholesky : ndarray
        In the shape of the covariance structure.
    """

    weight_prior: WeightPrior
    weight_concentration: np.ndarray
    mean_precision: np.ndarray
    means: np.ndarray
    degrees_of_freedom: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray

    def components(self, structure: CovarianceStructure) -> Components:
        """The components that a pass evaluates; expectations over the posterior are in the constants."""
        K, d = self.means.shape
        nu = self.degrees_of_freedom
        log_weights = self.weight_prior.expected_log_weights(self.weight_concentration)
        expected_log_det = digamma(_halves(nu, d)).sum(axis=0) + d * (math.log(2.0) - np.log(nu))
        return Components(
            self.means,
            structure.kernel_factors(self.precisions_cholesky, K, d),
            log_weights
            + log_gaussian_normalizer(structure, self.precisions_cholesky, d)
            + 0.5 * (expected_log_det - d / self.mean_precision),
            log_weights,
        )

    def weights(self) -> np.ndarray:
        return self.weight_prior.weights(self.weight_concentration)


def _halves(degrees_of_freedom: np.ndarray, n_features: int) -> np.ndarray:
    """(nu - j) / 2 for j = 0 .. d - 1 along the first axis."""
    return 0.5 * np.subtract.outer(degrees_of_freedom, np.arange(n_features)).T


class VariationalBayes(StreamModel[VariationalParameters], CoordinateModel[VariationalParameters]):
    """The variational mixture. It takes the parameters of `Model`, and its priors."""

    structure: ConjugatePrior
    with_entropy = has_priors = True

    def __init__(
        self,
        structure: ConjugatePrior,
        n_components: int,
        n_features: int,
        dtype,
        reg_covar: float,
        priors: Priors,
        weight_prior: WeightPrior,
    ):
        super().__init__(structure, n_components, n_features, dtype, reg_covar)
        self.prior_mass = min(priors.weight_concentration, priors.mean_precision, priors.degrees_of_freedom)
        self.priors = priors
        self.weight_prior = weight_prior

    def start(self, statistics: Callable[[], SufficientStatistics]) -> VariationalParameters:
        return self.m_step(self.moments(statistics()), None)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        K, d = self.n_components, self.n_features
        of_covariances = self.structure.shape(K, d)
        return {
            "weight_concentration": self.weight_prior.shape(K),
            "mean_precision": (K,),
            "means": (K, d),
            "degrees_of_freedom": self.structure.masses(np.ones(K)).shape,
            "covariances": of_covariances,
            "precisions_cholesky": of_covariances,
        }

    def restored(self, arrays: dict[str, np.ndarray]) -> VariationalParameters:
        return VariationalParameters(weight_prior=self.weight_prior, **arrays)

    def statistics_for(self, parameters: VariationalParameters) -> SufficientStatistics:
        # Nothing is divided by nk, which may be 0.
        priors, structure, means = self.priors, self.structure, parameters.means
        nk = np.maximum(parameters.mean_precision - priors.mean_precision, 0.0)
        differences = means - priors.mean
        sum_x = priors.mean_precision * differences
        sums = (
            structure.per_covariance(parameters.degrees_of_freedom) * parameters.covariances
            - priors.covariance
            - structure.outer_products(np.full(len(nk), priors.mean_precision), differences)
        )
        scatter = require(structure, InverseMStep, "partial_fit").scatter(sums, nk, self.reg_covar, means.shape[1])
        statistics = SufficientStatistics(means, nk, sum_x, scatter, 0.0, 0.0, float(nk.sum()))
        statistics.scale(1.0 / statistics.total_weight)
        return statistics

    def are_accurate(self, moments: Moments) -> bool:
        if super().are_accurate(moments):  # then they are also with the prior
            return True
        return is_accurate(moments, self.with_prior(moments), self.structure, self.dtype)

    def with_prior(self, moments: Moments) -> np.ndarray:
        prior_share = self.priors.covariance / self.structure.per_covariance(self.structure.masses(moments.nk))
        return moments.covariances + prior_share

    def m_step(
        self, moments: Moments, before: VariationalParameters | None, n_threads: int | None = 1
    ) -> VariationalParameters:
        priors, structure = self.priors, self.structure
        nk = moments.nk
        mean_precision = priors.mean_precision + nk
        means = (priors.mean_precision * priors.mean + nk[:, np.newaxis] * moments.means) / mean_precision[
            :, np.newaxis
        ]
        masses = structure.masses(nk)
        degrees_of_freedom = priors.degrees_of_freedom + masses
        from_means = structure.outer_products(priors.mean_precision * nk / mean_precision, moments.means - priors.mean)
        scatter = priors.covariance + structure.per_covariance(masses) * moments.covariances + from_means
        return self.assembled(nk, means, scatter / structure.per_covariance(degrees_of_freedom), n_threads)

    def masses(self, parameters: VariationalParameters) -> np.ndarray:
        return np.maximum(parameters.mean_precision - self.priors.mean_precision, LEAST_MASS)

    def assembled(
        self, masses: np.ndarray, means: np.ndarray, covariances: np.ndarray, n_threads: int | None = 1
    ) -> VariationalParameters:
        priors = self.priors
        try:
            factors = self.structure.precisions_cholesky(covariances, n_threads)
        except IllDefinedCovarianceError as error:
            raise IllDefinedCovarianceError(
                f"{error} Components with few rows have covariance_prior, by default the covariance of X, which is "
                "singular where features are collinear or constant: pass another one."
            ) from None
        return VariationalParameters(
            self.weight_prior,
            self.weight_prior.posterior(priors.weight_concentration, masses),
            priors.mean_precision + masses,
            means,
            priors.degrees_of_freedom + self.structure.masses(masses),
            covariances,
            factors,
        )

    def lower_bound(self, statistics: SufficientStatistics, parameters: VariationalParameters) -> float:
        """The evidence lower bound of all rows, without its constant terms (eq. 10.70).

        After an M step most terms cancel. The entropy of the responsibilities remains, and the normalizers of the
        posteriors of weights, precisions and means.
        """
        K, n_features = parameters.means.shape
        nu = parameters.degrees_of_freedom
        log_det = self.structure.log_det(parameters.precisions_cholesky, n_features)
        log_wishart = -(
            nu * (log_det + 0.5 * n_features * (math.log(2.0) - np.log(nu)))
            + gammaln(_halves(nu, n_features)).sum(axis=0)
        )
        bound = (
            statistics.entropy
            - float(log_wishart.sum()) * (1 if log_wishart.ndim else K)
            - self.weight_prior.log_normalizer(parameters.weight_concentration)
            - 0.5 * n_features * float(np.log(parameters.mean_precision).sum())
        )
        if not math.isfinite(bound):
            raise LostLikelihoodError(
                f"The variational bound became {bound}: a prior is out of range. Choose moderate values of "
                f"weight_concentration_prior (now {self.priors.weight_concentration:g}), mean_precision_prior "
                f"({self.priors.mean_precision:g}) and degrees_of_freedom_prior ({self.priors.degrees_of_freedom:g})."
            )
        return bound
