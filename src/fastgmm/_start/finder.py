"""Parameters that EM starts from, for any model on rows that may be anywhere."""

from __future__ import annotations

from functools import cached_property
from typing import Generic, TypeVar, cast

import numpy as np

from fastgmm._model.mixture import Model, Parameters
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.protocol import Passes, SampledPasses
from fastgmm._start.find import find_start

P = TypeVar("P", bound=Parameters)


class StartFinder(Generic[P]):
    """Finds one set of parameters after the other for EM to start from.

    Parameters
    ----------
    model : Model
    passes : Passes
        Where not all of their rows are here, starts are found on a sample of them.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data', 'sample'}
    reg_covar : float
    random_state : RandomState
        May be replaced by another one before the first start is found.
    """

    def __init__(
        self, model: Model[P], passes: Passes, init_params: str, reg_covar: float, random_state: np.random.RandomState
    ):
        self.random_state = random_state
        self._model = model
        self._passes = passes
        self._init_params = init_params
        self._reg_covar = reg_covar

    def find(self) -> P:
        """The next parameters; FitError if none follow from what was found."""
        return self._model.start(self._statistics)

    def _statistics(self) -> SufficientStatistics:
        passes, n_components = self._passes_here, self._model.n_components
        start = find_start(
            passes.X, passes.sample_weight, n_components, self._init_params, self.random_state, passes.n_threads
        )
        statistics = start(passes, self._reg_covar)
        if statistics.total_weight != self._passes.total_weight:
            statistics.scale(self._passes.total_weight / statistics.total_weight)
            statistics.total_weight = self._passes.total_weight  # without the rounding of the quotient
        return statistics

    @cached_property
    def _passes_here(self) -> ArrayPasses:
        if isinstance(self._passes, ArrayPasses):
            return self._passes
        rows, weights, n_threads = cast(SampledPasses, self._passes).sample()
        return ArrayPasses(rows, weights, self._model.n_components, self._model.structure, n_threads)
