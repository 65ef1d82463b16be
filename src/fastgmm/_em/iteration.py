"""One iteration: a pass over the rows under the present parameters, and an M step on its statistics."""

from __future__ import annotations

import math
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from fastgmm._model.components import Components
from fastgmm._model.covariance import DIAGONAL
from fastgmm._model.moments import Moments, estimate_moments
from fastgmm._model.protocol import Model, Parameters
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.columns import mean_of_all
from fastgmm._rows.protocol import Passes
from fastgmm._skipping.policy import Skipping, units_lost
from fastgmm._utils.errors import LostLikelihoodError
from fastgmm._utils.progress import SILENT

P = TypeVar("P", bound=Parameters)
S = TypeVar("S", bound=Passes)

# Relative error of a bound: a float64 sum of logarithms in the dtype of the data.
_ROUNDING = {np.dtype(np.float64): 4e-15, np.dtype(np.float32): 1e-8}


class Iteration(Generic[P, S]):
    """Iterations of a model on rows.

    Parameters
    ----------
    model : Model
    passes : Passes
        Over rows of the model's dtype, for its structure and number of components.
    """

    def __init__(self, model: Model[P], passes: S):
        self.model = model
        self.passes = passes
        self._skipping = Skipping(passes)

    @property
    def rounding(self) -> float:
        """Relative error of the bounds."""
        return _ROUNDING[np.dtype(self.model.dtype)]

    def iterate(self, parameters: P) -> tuple[P, float]:
        """E step, M step and bound."""
        statistics, moments = self.accurate_e_step(parameters)
        found = self.model.m_step(moments, parameters, self.passes.n_threads)
        bound = self.model.lower_bound(statistics, found)
        return found, bound + self.model.log_prior(parameters) / statistics.total_weight

    def accurate_e_step(self, parameters: P) -> tuple[SufficientStatistics, Moments]:
        """One pass over the rows, or two if its sums are not accurate.

        They are not if the means move too far, or if a component shrinks so much that the skipped pairs matter.
        """
        model = self.model
        components = model.components(parameters)
        plan = self._skipping.plan(components, partial(model.spread, parameters))
        statistics = self.passes.em_step(components, None, model.with_entropy, plan)
        check_likelihood(statistics, model.dtype)
        moments = model.moments(statistics, parameters)
        is_accurate = model.are_accurate(moments)
        if self._skipping.is_possible:
            lost_little = self._skipping.report(self._units_lost(parameters, components, statistics, moments))
            is_accurate = is_accurate and (plan is None or lost_little)
        if not is_accurate:
            statistics = self.passes.em_step(components, moments.means, model.with_entropy)
            moments = model.moments(statistics, parameters)
        return statistics, moments

    def _units_lost(
        self, parameters: P, components: Components, statistics: SufficientStatistics, moments: Moments
    ) -> float:
        """The result of `_skipping.policy.units_lost` for a pass; infinite if the components may not be skipped."""
        model = self.model
        if components.log_weights is None:
            return math.inf
        expected = np.exp(components.log_weights) * statistics.total_weight
        variances, found = map(model.structure.variances, (parameters.covariances, model.with_prior(moments)))
        return units_lost(expected, moments.nk, moments.nk + model.prior_mass, variances, found)

    def hidden_features(self, parameters: P) -> tuple[np.ndarray, np.ndarray]:
        """Features whose variance over all rows is positive but below `reg_covar` / 2, and their variances.

        Such a feature cannot separate components: all means lie within a standard deviation of each other. There is a
        pass over the rows only if `reg_covar` is at least half of some component's variance. None are found if values
        are missing.
        """
        model = self.model
        if not model.structure.variances(parameters.covariances).min() < 2.0 * model.reg_covar:
            return np.empty(0, np.intp), np.empty(0)
        passes = self.passes.for_mixture(1, DIAGONAL, SILENT)
        if passes.misses_values:
            return np.empty(0, np.intp), np.empty(0)
        about_mean = passes.statistics_of_all(mean_of_all(passes)[np.newaxis])
        variances = estimate_moments(about_mean, DIAGONAL, 0.0, model.dtype).covariances[0]
        hidden = np.flatnonzero((variances > 0.0) & (variances < 0.5 * model.reg_covar))
        return hidden, variances[hidden]


def check_likelihood(statistics: SufficientStatistics, dtype) -> None:
    """LostLikelihoodError if the densities overflowed or underflowed in a pass."""
    value = statistics.log_likelihood
    if math.isfinite(value):
        return
    too_far = "the density of some row is 0, because it is too far from every component"
    what = too_far if value == -math.inf else "the densities overflowed"
    or_wider = ", or pass float64 data" if dtype == np.float32 else ""
    raise LostLikelihoodError(
        f"The log-likelihood became {value}: {what}. Rescale the features to comparable, moderate ranges, remove "
        f"extreme outliers, or increase reg_covar{or_wider}."
    )
