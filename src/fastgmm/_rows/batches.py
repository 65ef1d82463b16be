"""Passes over rows that arrive in batches, which never are in memory all at once.

The statistics of batches add up, so EM over batches is EM over all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import TypeVar

import numpy as np

from fastgmm._input.batches import check_all_batches_again, check_batch_again
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses, in_unit
from fastgmm._rows.incomplete import complete_rows, passes_over
from fastgmm._rows.protocol import EvaluatingPasses, Sample, SampledPasses
from fastgmm._rows.reading import read_ahead
from fastgmm._rows.runner import KernelRunner
from fastgmm._rows.survey import BatchSurvey
from fastgmm._utils.progress import Reporter
from fastgmm._utils.threads import effective_n_threads

T = TypeVar("T")


class BatchPasses(SampledPasses, EvaluatingPasses):
    """Passes over batches, all for one shape of mixture.

    Parameters
    ----------
    batches : iterable of (rows, weights)
        Validated, of one dtype. Each pass iterates over them anew.
    survey : BatchSurvey
    weight_unit : float
        Weights are divided by it.
    n_components : int
    structure : CovarianceStructure
    n_threads : int or None
    progress : Reporter
        Is told of each batch.
    """

    def __init__(
        self,
        batches: Iterable,
        survey: BatchSurvey,
        weight_unit: float,
        n_components: int,
        structure: CovarianceStructure,
        n_threads: int | None,
        progress: Reporter,
    ):
        self.dtype = survey.sample.dtype
        self.n_rows, self.n_features = survey.n_rows, survey.sample.shape[1]
        self.total_weight = survey.total_weight / weight_unit
        self.misses_values = survey.misses_values
        self.structure = structure
        self._batches = batches
        self._survey = survey
        self._weight_unit = weight_unit
        self.n_components = n_components
        self.n_threads = effective_n_threads(n_threads)
        self.progress = progress
        self._runner: KernelRunner | None = None  # of the last batch; the next one uses its workspace

    def for_mixture(self, n_components, structure, progress=None) -> BatchPasses:
        progress = self.progress if progress is None else progress
        shape = n_components, structure
        return BatchPasses(self._batches, self._survey, self._weight_unit, *shape, self.n_threads, progress)

    def first_row(self) -> np.ndarray:
        return self._survey.first_row

    def em_step(self, components, centers=None, with_entropy=False, plan=None) -> SufficientStatistics:
        return self._merged(lambda passes: passes.em_step(components, centers, with_entropy, plan))

    def statistics_of_all(self, centers: np.ndarray) -> SufficientStatistics:
        return self._merged(lambda passes: passes.statistics_of_all(centers))

    def ranges(self, center, axes) -> np.ndarray:
        parts = np.array(list(self._each(lambda passes: passes.ranges(center, axes), np.sum)))
        return np.stack([parts[:, 0].min(axis=0), parts[:, 1].max(axis=0)])

    def trial_rows(self) -> np.ndarray:
        rows = self._survey.sample
        return complete_rows(rows) if self.misses_values else rows

    def sample(self) -> Sample:
        return Sample(self._survey.sample, in_unit(self._survey.sample_weight, self._weight_unit), self.n_threads)

    def score_sum(self, components, plan=None) -> float:
        return sum(self._each(lambda passes: passes.score_sum(components, plan), float))

    def sums_of_mixtures(self, mixtures) -> np.ndarray:
        sums = self._each(lambda passes: passes.sums_of_mixtures(mixtures), np.sum)
        return sum(sums, np.zeros((len(mixtures), 2)))

    def _merged(self, statistics_of: Callable[[ArrayPasses], SufficientStatistics]) -> SufficientStatistics:
        total = None
        for part in self._each(statistics_of, attrgetter("log_likelihood")):
            if total is None:
                total = part
            else:
                total.merge(part)
        assert total is not None
        return total

    def _each(self, of_passes: Callable[[ArrayPasses], T], log_likelihood: Callable[[T], float]) -> Iterator[T]:
        """What a function of passes returns for each batch. `log_likelihood` finds in it what must be finite."""
        n_rows = 0
        self.progress.begin_pass(self.n_rows)
        for rows, weights in read_ahead(self._batches):
            weights = in_unit(weights, self._weight_unit)
            shape, misses_values = (self.n_components, self.structure), self.misses_values
            passes = passes_over(rows, weights, *shape, self.n_threads, self._runner, may_miss_values=misses_values)
            self._runner = passes.runner
            part = of_passes(passes)
            check_batch_again(n_rows, rows, log_likelihood(part), misses_values)
            yield part
            n_rows += len(rows)
            self.progress.read(len(rows))
        check_all_batches_again(n_rows, self._survey.n_rows)
