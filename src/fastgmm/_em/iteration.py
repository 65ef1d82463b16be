"""One iteration of a Gaussian mixture: a pass over the rows, then parameters from what it found.

`Updates` is what all mixtures share, `MaximumLikelihood` the mixture without priors; the loop around them is in `_em`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from fastgmm._model.covariance import (
    COVARIANCE_TYPES,
    Mixture,
    MixtureParameters,
    Moments,
    estimate_moments,
    is_accurate,
)
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.columns import mean_of_all
from fastgmm._skipping.cells import Cells
from fastgmm._skipping.screens import Screen, units_lost
from fastgmm._utils.errors import LostLikelihoodError

P = TypeVar("P", bound=Mixture)

LEAST_MASS = 1e-300  # stands for none at all where a logarithm is taken


class Updates(ABC, Generic[P]):
    """The iteration; subclasses say what parameters follow from moments, and which bound grows.

    Parameters
    ----------
    passes : ArrayPasses or BatchPasses
    reg_covar : float
    """

    with_entropy = False  # whether the bound needs the entropy of the responsibilities
    has_priors = False  # whether the number of rows matters, not only their shares

    def __init__(self, passes, reg_covar: float):
        self.passes = passes
        self.covariance_type = passes.covariance_type
        self.covariance = COVARIANCE_TYPES[passes.covariance_type]
        self.reg_covar = reg_covar
        self.dtype = passes.dtype

    @abstractmethod
    def start(self, statistics: Callable[[], SufficientStatistics]) -> P:
        """Parameters to start from, given a way to find statistics to start from."""

    @abstractmethod
    def shapes(self, n_components: int) -> dict[str, tuple[int, ...]]:
        """Names of the parameters' arrays, and their shapes."""

    @abstractmethod
    def restored(self, arrays: dict[str, np.ndarray]) -> P:
        """Parameters from their arrays, as they were saved."""

    @abstractmethod
    def m_step(self, moments: Moments) -> P:
        """Parameters from moments; IllDefinedCovarianceError if a covariance is not positive-definite."""

    @abstractmethod
    def lower_bound(self, statistics: SufficientStatistics, parameters: P) -> float:
        """The bound an iteration reports, from its statistics and the parameters that its M step found."""

    @abstractmethod
    def statistics_behind(self, parameters: P) -> SufficientStatistics:
        """Statistics per unit of weight, about the means, that lead to the given parameters."""

    @abstractmethod
    def masses(self, parameters: P) -> np.ndarray:
        """How much of the bound's rows each component has, in the unit of the bound; positive."""

    @abstractmethod
    def assembled(self, masses: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> P:
        """Parameters with these masses, means and covariances; IllDefinedCovarianceError as in `m_step`."""

    def without_rows(self, parameters: P) -> np.ndarray:
        """Numbers of the components that have no rows, where that is worth a warning."""
        return np.empty(0, np.intp)

    def held(self, parameters: P) -> P:
        """The same parameters, but for those that the user holds fixed."""
        return parameters

    def moments(self, statistics: SufficientStatistics, before: P | None = None) -> Moments:
        """Moments of the rows, which were looked at under the parameters `before`; None for a start."""
        return estimate_moments(statistics, self.covariance_type, self.reg_covar, self.dtype)

    def hidden_features(self, parameters: P) -> tuple[np.ndarray, np.ndarray]:
        """Features whose variance over all rows is not 0 but less than half of `reg_covar`, and that variance.

        There no two components can be told apart: their means lie within a standard deviation of each other. The rows
        are looked at only if some component has little variance beside `reg_covar`.
        """
        if not self.covariance.variances(parameters.covariances).min() < 2.0 * self.reg_covar:
            return np.empty(0, np.intp), np.empty(0)
        passes = self.passes.of_one_component("diag")
        about_mean = passes.statistics_of_all(mean_of_all(passes)[np.newaxis])
        variances = estimate_moments(about_mean, "diag", 0.0, self.dtype).covariances[0]
        hidden = np.flatnonzero((variances > 0.0) & (variances < 0.5 * self.reg_covar))
        return hidden, variances[hidden]

    def are_accurate(self, moments: Moments) -> bool:
        return is_accurate(moments, moments.covariances, self.covariance_type, self.dtype)

    def units_lost(self, parameters: P, statistics: SufficientStatistics, moments: Moments) -> float:
        """As `_skipping.units_lost`."""
        return self._units_lost(parameters, statistics, moments, 0.0, moments.covariances)

    def _units_lost(self, parameters, statistics, moments, prior_mass, covariances) -> float:
        expected = np.exp(parameters.log_weights()) * statistics.total_weight
        variances, found = (self.covariance.variances(each) for each in (parameters.covariances, covariances))
        return units_lost(expected, moments.nk, moments.nk + prior_mass, variances, found)

    def iterate(self, parameters: P) -> tuple[P, float]:
        """E step, M step and bound."""
        statistics, moments = self.accurate_e_step(parameters)
        parameters = self.m_step(moments)
        return parameters, self.lower_bound(statistics, parameters)

    def accurate_e_step(self, parameters: P) -> tuple[SufficientStatistics, Moments]:
        """One pass over the rows, or two if the means move too far for accurate sums, or a component shrinks too much
        for what was skipped not to matter."""
        screen = self.passes.screening.screen(parameters)
        statistics = self.e_step(parameters, screen)
        moments = self.moments(statistics, parameters)
        settled = self.passes.screening.settle(partial(self.units_lost, parameters, statistics, moments))
        if not self.are_accurate(moments) or (screen is not None and not settled):
            statistics = self.passes.em_step(parameters, centers=moments.means, with_entropy=self.with_entropy)
            moments = self.moments(statistics, parameters)
        return statistics, moments

    def e_step(self, parameters: P, screen: Screen | Cells | None = None) -> SufficientStatistics:
        """Statistics of the rows about the means; LostLikelihoodError if the densities overflow or underflow."""
        statistics = self.passes.em_step(parameters, with_entropy=self.with_entropy, screen=screen)
        if not math.isfinite(statistics.log_likelihood):
            raise _likelihood_lost(statistics.log_likelihood, self.dtype)
        return statistics


def _likelihood_lost(value: float, dtype) -> LostLikelihoodError:
    what = "some row lies beyond the reach of every component" if value == -math.inf else "the densities overflowed"
    or_wider = "; float64 data reach farther than float32" if dtype == np.float32 else ""
    return LostLikelihoodError(
        f"The log-likelihood became {value}: {what}. Rescale the features to comparable, moderate ranges, remove "
        f"extreme outliers, or increase reg_covar{or_wider}."
    )


class InitialValues(NamedTuple):
    """What the user gives, validated: None where a start has to be found; `fixed` names what no iteration changes."""

    weights: np.ndarray | None = None
    means: np.ndarray | None = None
    precisions: np.ndarray | None = None
    fixed: frozenset[str] = frozenset()


_NOTHING_GIVEN = InitialValues()


class MaximumLikelihood(Updates[MixtureParameters]):
    """The mixture without priors, Bishop 2006 eqs. 9.23-9.28.

    The M step maximizes over what is not fixed. With fixed means the covariances are those about them; weights, means
    and covariances otherwise do not enter each other's maxima, so that each iteration still raises the likelihood.

    Parameters
    ----------
    passes : ArrayPasses or BatchPasses
    reg_covar : float
        Fixed covariances are not regularized.
    given : InitialValues, default=InitialValues()
        Replace what the start finds.
    """

    def __init__(self, passes, reg_covar: float, given: InitialValues = _NOTHING_GIVEN):
        self.covariances_are_fixed = "covariances" in given.fixed
        super().__init__(passes, 0.0 if self.covariances_are_fixed else reg_covar)
        self.given = given
        self._fixed_weights = given.weights if "weights" in given.fixed else None
        self._fixed_means = given.means if "means" in given.fixed else None
        if given.precisions is not None:
            self._given_factors = self.covariance.precisions_cholesky_from_precisions(given.precisions)
            self._given_covariances = self.covariance.covariances_from_cholesky(self._given_factors)

    def start(self, statistics: Callable[[], SufficientStatistics]) -> MixtureParameters:
        """If everything is given no statistics are asked for, and no random numbers drawn."""
        weights, means, precisions, _ = self.given
        if weights is None or means is None or precisions is None:
            found = self.moments(statistics())
            # Not normalized by their sum: where only some rows have responsibilities the weights do not add up to 1.
            weights = found.nk / self.passes.total_weight if weights is None else weights
            means = found.means if means is None else means
        if precisions is None:
            factors = self.covariance.precisions_cholesky(found.covariances)
            return MixtureParameters(weights, means, found.covariances, factors)
        return MixtureParameters(weights, means, self._given_covariances, self._given_factors)

    def held(self, parameters: MixtureParameters) -> MixtureParameters:
        if not self.given.fixed:
            return parameters
        return self._assembled(parameters.weights, parameters.means, parameters.covariances, parameters.is_empty)

    def shapes(self, n_components: int) -> dict[str, tuple[int, ...]]:
        n_features = self.passes.n_features
        of_covariances = self.covariance.shape(n_components, n_features)
        return {
            "weights": (n_components,),
            "means": (n_components, n_features),
            "covariances": of_covariances,
            "precisions_cholesky": of_covariances,
        }

    def restored(self, arrays: dict[str, np.ndarray]) -> MixtureParameters:
        return MixtureParameters(**arrays)

    def statistics_behind(self, parameters: MixtureParameters) -> SufficientStatistics:
        means, nk = parameters.means, parameters.weights / parameters.weights.sum()
        sums = self.covariance.per_covariance(self.covariance.masses(nk)) * parameters.covariances
        scatter = self.covariance.scatter(sums, nk, self.reg_covar, means.shape[1])
        return SufficientStatistics(means, nk, np.zeros(means.shape), scatter, 0.0, 0.0, 1.0)

    def moments(self, statistics: SufficientStatistics, before: MixtureParameters | None = None) -> Moments:
        means, kept = (None, None) if before is None else (self._fixed_means, before.covariances)
        return estimate_moments(statistics, self.covariance_type, self.reg_covar, self.dtype, means, kept)

    def m_step(self, moments: Moments) -> MixtureParameters:
        return self._assembled(moments.nk / moments.nk.sum(), moments.means, moments.covariances, moments.is_empty)

    def without_rows(self, parameters: MixtureParameters) -> np.ndarray:
        is_empty = parameters.is_empty
        return np.empty(0, np.intp) if is_empty is None else np.flatnonzero(is_empty)

    def masses(self, parameters: MixtureParameters) -> np.ndarray:
        return np.maximum(parameters.weights, LEAST_MASS)

    def assembled(self, masses: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> MixtureParameters:
        return self._assembled(masses / masses.sum(), means, covariances, None)

    def _assembled(self, weights, means, covariances, is_empty) -> MixtureParameters:
        """Parameters, with what is fixed in place of what is not to be."""
        weights = weights if self._fixed_weights is None else self._fixed_weights
        means = means if self._fixed_means is None else self._fixed_means
        if self.covariances_are_fixed:
            return MixtureParameters(weights, means, self._given_covariances, self._given_factors, is_empty)
        factors = self.covariance.precisions_cholesky(covariances)
        return MixtureParameters(weights, means, covariances, factors, is_empty)

    def lower_bound(self, statistics: SufficientStatistics, parameters: MixtureParameters) -> float:
        """Weighted mean log-density under the parameters BEFORE the M step; the new `parameters` do not enter."""
        return statistics.log_likelihood / statistics.total_weight
