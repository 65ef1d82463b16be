"""Passes over rows that arrive in batches: statistics of batches add up, so that EM over batches is EM over all rows.

What is never there is all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from fastgmm._input.batches import check_all_batches_again, check_batch_again
from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.reading import BatchMeter, read_ahead
from fastgmm._rows.runner import KernelRunner, row_flops
from fastgmm._rows.survey import Survey
from fastgmm._skipping.cells import Cells
from fastgmm._skipping.screens import Screen, Screening
from fastgmm._utils.threads import effective_n_threads


class BatchPasses:
    """Passes over batches, all for one shape of mixture; what `Iteration` asks of passes.

    Parameters
    ----------
    batches : iterable of (rows, weights)
        Validated, of one dtype. Iterated over anew for each pass.
    survey : Survey
    weight_unit : float
        What weights are divided by.
    n_components : int
    structure : CovarianceStructure
    n_threads : int or None
    meter : BatchMeter
    """

    def __init__(
        self,
        batches: Iterable,
        survey: Survey,
        weight_unit: float,
        n_components: int,
        structure: CovarianceStructure,
        n_threads: int | None,
        meter: BatchMeter,
    ):
        self.dtype = survey.sample.dtype
        self.n_features = survey.sample.shape[1]
        self.total_weight = survey.total_weight / weight_unit
        self.structure = structure
        self._batches = batches
        self._survey = survey
        self._weight_unit = weight_unit
        self._n_components = n_components
        self._n_threads = n_threads
        self._meter = meter
        self._runner: KernelRunner | None = (
            None  # that of the last batch: memory that has been used is quicker than new one
        )
        flops = row_flops(structure, n_components, self.n_features)
        self.screening = Screening(
            survey.sample, survey.n_rows, n_components, structure, flops, effective_n_threads(n_threads)
        )

    def of_one_component(self, structure: CovarianceStructure) -> BatchPasses:
        """Passes over the same rows for a mixture of one component."""
        return BatchPasses(self._batches, self._survey, self._weight_unit, 1, structure, self._n_threads, self._meter)

    def first_row(self) -> np.ndarray:
        """Shape (n_features,), float64."""
        return self._survey.first_row

    def em_step(
        self,
        components: Components,
        centers: np.ndarray | None = None,
        with_entropy: bool = False,
        screen: Screen | Cells | None = None,
    ) -> SufficientStatistics:
        """As `ArrayPasses.em_step`, of all rows."""

        def em_step(passes: ArrayPasses) -> SufficientStatistics:
            fits = passes.X.dtype == self.dtype  # not if weights have made rows float64
            return passes.em_step(components, centers, with_entropy, screen if fits else None)

        return self._merged(em_step)

    def statistics_of_all(self, centers: np.ndarray) -> SufficientStatistics:
        """Statistics about ``centers`` where every row belongs to every component."""
        return self._merged(lambda passes: passes.statistics_of_all(centers))

    def of_sample(self) -> ArrayPasses:
        """Passes over the sample of the survey."""
        return self._passes(self._survey.sample, self._survey.sample_weight)

    def _merged(self, statistics_of: Callable[[ArrayPasses], SufficientStatistics]) -> SufficientStatistics:
        total, n_rows = None, 0
        self._meter.begin_pass()
        for rows, weights in read_ahead(self._batches):
            passes = self._passes(rows, weights, self._runner)
            self._runner = passes.runner
            part = statistics_of(passes)
            check_batch_again(n_rows, rows, part.log_likelihood)
            if total is None:
                total = part
            else:
                total.merge(part)
            n_rows += len(rows)
            self._meter.after_batch(len(rows))
        self._meter.end_pass()
        check_all_batches_again(n_rows, self._survey.n_rows)
        assert total is not None
        return total

    def _passes(self, rows, weights, before: KernelRunner | None = None) -> ArrayPasses:
        if weights is not None and self._weight_unit != 1.0:
            weights = weights / self._weight_unit
        return ArrayPasses(rows, weights, self._n_components, self.structure, self._n_threads, before)
