"""The Gaussian mixture without priors: its parameters, and maximum likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fastgmm._model.components import Components, log_gaussian_normalizer
from fastgmm._model.covariance import CovarianceStructure, InverseMStep, require
from fastgmm._model.moments import Moments, estimate_moments
from fastgmm._model.noise import LEAST_START, Noise, Region
from fastgmm._model.protocol import LEAST_MASS, CoordinateModel, StreamModel
from fastgmm._model.statistics import SufficientStatistics


@dataclass(frozen=True, slots=True)
class MixtureParameters:
    """Parameters of a Gaussian mixture, all float64.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_features)
    covariances : ndarray
        Shape (K, d, d) for 'full', (d, d) for 'tied', (K, d) for 'diag' and (K,) for 'spherical'.
    precisions_cholesky : ndarray
        Upper-triangular factors (inverse standard deviations for 'diag' and 'spherical'), shaped like `covariances`.
    is_empty : ndarray of bool of shape (n_components,), or None
        Which components had no rows in the M step; None if no M step made the parameters.
    noise : Noise or None
        A uniform background. The weights and its weight sum to 1.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray
    is_empty: np.ndarray | None = None
    noise: Noise | None = None

    def log_weights(self) -> np.ndarray:
        """Shape (n_components,)."""
        if np.logical_and.reduce(self.weights):
            return np.log(self.weights)
        with np.errstate(divide="ignore"):  # a component of weight 0 has log-weight -inf, and takes no rows
            return np.log(self.weights)

    def components(self, structure: CovarianceStructure) -> Components:
        """The components that a pass evaluates."""
        log_weights = self.log_weights()
        K, d = self.means.shape
        return Components(
            self.means,
            structure.kernel_factors(self.precisions_cholesky, K, d),
            log_weights + log_gaussian_normalizer(structure, self.precisions_cholesky, d),
            log_weights,
            -math.inf if self.noise is None else self.noise.log_joint,
        )


class InitialValues(NamedTuple):
    """Validated values from the user, None where a start has to be found. `fixed` names those that EM keeps."""

    weights: np.ndarray | None = None
    means: np.ndarray | None = None
    precisions: np.ndarray | None = None
    fixed: frozenset[str] = frozenset()


_NOTHING_GIVEN = InitialValues()


class MaximumLikelihood(StreamModel[MixtureParameters], CoordinateModel[MixtureParameters]):
    """The mixture without priors, Bishop 2006 eqs. 9.23-9.28.

    The M step maximizes over the parameters that are not fixed. If the means are fixed, the covariances are taken about
    them. Nothing else in a maximum depends on the other parameters, so each iteration still raises the likelihood.

    It takes the parameters of `Model`, values that replace those that a start finds, and what is known of a uniform
    background. Fixed covariances are not regularized.
    """

    def __init__(
        self,
        structure: CovarianceStructure,
        n_components: int,
        n_features: int,
        dtype,
        reg_covar: float,
        given: InitialValues = _NOTHING_GIVEN,
        region: Region | None = None,
    ):
        self._covariances_are_fixed = "covariances" in given.fixed
        super().__init__(structure, n_components, n_features, dtype, 0.0 if self._covariances_are_fixed else reg_covar)
        self._given = given
        self.region = region
        self.has_noise = region is not None
        self._fixed_weights = given.weights if "weights" in given.fixed else None
        self._fixed_means = given.means if "means" in given.fixed else None
        if given.precisions is not None:
            self._given_factors = structure.precisions_cholesky_from_precisions(given.precisions)
            self._given_covariances = structure.covariances_from_cholesky(self._given_factors)

    def start(self, statistics: Callable[[], SufficientStatistics]) -> MixtureParameters:
        """If the user gives all parameters, this does not call `statistics`, so no random numbers are drawn."""
        weights, means, precisions, _ = self._given
        noise = None if weights is None else self._rest(weights)
        if weights is None or means is None or precisions is None:
            of_start = statistics()
            found = self.moments(of_start)
            # Only some rows may have responsibilities; then the weights do not add up to 1, as in scikit-learn.
            if weights is None:
                weights, noise = self._weights_of_start(found.nk / of_start.total_weight, of_start)
            means = found.means if means is None else means
        if precisions is None:
            factors = self.structure.precisions_cholesky(found.covariances)
            return MixtureParameters(weights, means, found.covariances, factors, noise=noise)
        return MixtureParameters(weights, means, self._given_covariances, self._given_factors, noise=noise)

    def _rest(self, weights: np.ndarray) -> Noise | None:
        """The background that takes what the weights leave."""
        return None if self.region is None else Noise(1.0 - float(weights.sum()), self.region.log_density)

    def _weights_of_start(
        self, weights: np.ndarray, statistics: SufficientStatistics
    ) -> tuple[np.ndarray, Noise | None]:
        if self.region is None:
            return weights, None
        share = max(float(statistics.noise) / statistics.total_weight, LEAST_START)
        return weights * ((1.0 - share) / weights.sum()), Noise(share, self.region.log_density)

    def with_fixed(self, parameters: MixtureParameters) -> MixtureParameters:
        if parameters.noise is not None and self.region is not None:
            parameters = replace(parameters, noise=Noise(parameters.noise.weight, self.region.log_density))
        if not self._given.fixed:
            return parameters
        weights, means, covariances = parameters.weights, parameters.means, parameters.covariances
        return self._assembled(weights, means, covariances, parameters.is_empty, parameters.noise)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        K, d = self.n_components, self.n_features
        of_covariances = self.structure.shape(K, d)
        shapes: dict[str, tuple[int, ...]] = {"weights": (K,), "means": (K, d)}
        shapes |= {"covariances": of_covariances, "precisions_cholesky": of_covariances}
        return shapes if self.region is None else shapes | {"noise": (2,)}

    def restored(self, arrays: dict[str, np.ndarray]) -> MixtureParameters:
        noise = Noise(*arrays.pop("noise").tolist()) if "noise" in arrays else None
        return MixtureParameters(**arrays, noise=noise)

    def statistics_for(self, parameters: MixtureParameters) -> SufficientStatistics:
        structure = require(self.structure, InverseMStep, "partial_fit")
        means, noise = parameters.means, 0.0 if parameters.noise is None else parameters.noise.weight
        nk = parameters.weights / (parameters.weights.sum() + noise)
        sums = structure.per_covariance(structure.masses(nk)) * parameters.covariances
        scatter = structure.scatter(sums, nk, self.reg_covar, means.shape[1])
        return SufficientStatistics(means, nk, np.zeros(means.shape), scatter, 0.0, 0.0, 1.0, noise)

    def moments(self, statistics: SufficientStatistics, before: MixtureParameters | None = None) -> Moments:
        means, previous = (None, None) if before is None else (self._fixed_means, before.covariances)
        return estimate_moments(statistics, self.structure, self.reg_covar, self.dtype, means, previous)

    def m_step(
        self, moments: Moments, before: MixtureParameters | None, n_threads: int | None = 1
    ) -> MixtureParameters:
        noise = None
        if self.region is not None:
            share = moments.noise / (float(moments.nk.sum()) + moments.noise)
            noise = Noise(share, self.region.log_density)
        return self._assembled(moments.shares(), moments.means, moments.covariances, moments.is_empty, noise, n_threads)

    def without_rows(self, parameters: MixtureParameters) -> np.ndarray:
        is_empty = parameters.is_empty
        return np.empty(0, np.intp) if is_empty is None else np.flatnonzero(is_empty)

    def masses(self, parameters: MixtureParameters) -> np.ndarray:
        return np.maximum(parameters.weights, LEAST_MASS)

    def assembled(
        self, masses: np.ndarray, means: np.ndarray, covariances: np.ndarray, n_threads: int | None = 1
    ) -> MixtureParameters:
        return self._assembled(masses / masses.sum(), means, covariances, None, None, n_threads)

    def _assembled(
        self, weights, means, covariances, is_empty, noise: Noise | None, n_threads: int | None = 1
    ) -> MixtureParameters:
        """Parameters, with the fixed values in place of the given ones."""
        if self._fixed_weights is not None:
            weights, noise = self._fixed_weights, self._rest(self._fixed_weights)
        means = means if self._fixed_means is None else self._fixed_means
        if self._covariances_are_fixed:
            return MixtureParameters(weights, means, self._given_covariances, self._given_factors, is_empty, noise)
        factors = self.structure.precisions_cholesky(covariances, n_threads)
        return MixtureParameters(weights, means, covariances, factors, is_empty, noise)

    def lower_bound(self, statistics: SufficientStatistics, parameters: MixtureParameters) -> float:
        """Weighted mean log-density under the parameters BEFORE the M step; the new `parameters` do not enter."""
        return statistics.log_likelihood / statistics.total_weight


def n_free_parameters(
    structure: CovarianceStructure,
    n_components: int,
    n_features: int,
    fixed: frozenset = frozenset(),
    region: Region | None = None,
) -> int:
    """Number of parameters that are not fixed: covariances, means, and weights, which sum to 1, and of a background."""
    counts = {
        "covariances": structure.n_parameters(n_components, n_features),
        "means": n_components * n_features,
        "weights": n_components - 1 if region is None else n_components,
    }
    of_volume = 0 if region is None or region.box is None else 1  # a volume that is estimated counts, as in mclust
    return of_volume + sum(count for name, count in counts.items() if name not in fixed)
