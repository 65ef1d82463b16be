"""Passes over chunks of dask collections, and the tasks of a fitted model on such chunks.

`chunks` says which arguments a task takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import methodcaller
from typing import Any

import numpy as np

from fastgmm._input.chunks import check_chunk, check_chunk_again, in_chunk
from fastgmm._input.rows import drop_unweighted_rows, weights_without_empty_rows
from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses, in_unit, total_weight
from fastgmm._rows.chunks import Chunks, ChunkSurvey
from fastgmm._rows.incomplete import complete_rows, passes_over
from fastgmm._rows.protocol import Sample, SampledPasses
from fastgmm._rows.runner import part_of
from fastgmm._utils.progress import Reporter


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """How the tasks of a fit make passes over their chunks, all for one shape of mixture."""

    dtype: np.dtype
    weight_unit: float
    n_components: int
    structure: CovarianceStructure
    n_threads: int | None
    misses_values: bool = False

    def read(self, rows, weights) -> tuple[np.ndarray, np.ndarray | None]:
        """The rows of positive weight of a surveyed chunk, as kernels read them, and their weights."""
        rows = np.require(rows, self.dtype, ["C", "ALIGNED"])
        weights = None if weights is None else np.require(weights, np.float64, ["C", "ALIGNED"])
        if self.misses_values:
            weights = weights_without_empty_rows(rows, weights, with_warning=False)
        return drop_unweighted_rows(rows, weights)

    def passes(self, rows, weights) -> ArrayPasses:
        rows, weights = self.read(rows, weights)
        weights, shape = in_unit(weights, self.weight_unit), (self.n_components, self.structure)
        return passes_over(rows, weights, *shape, self.n_threads, may_miss_values=self.misses_values)


def statistics_of_chunk(number, rows, weights, n_rows, *, settings: TaskSettings, statistics_of) -> np.ndarray:
    passes = settings.passes(rows, weights)
    statistics = statistics_of(passes)
    log_likelihood = statistics.log_likelihood + statistics.sum_x.sum()
    check_chunk_again(number, passes.X, n_rows, log_likelihood, settings.misses_values)
    return statistics.to_vector()


def ranges_of_chunk(number, rows, weights, n_rows, *, settings: TaskSettings, center, axes) -> np.ndarray:
    passes = settings.passes(rows, weights)
    found = passes.ranges(center, axes)
    check_chunk_again(number, passes.X, n_rows, found.sum(), may_miss_values=False)
    return found


def rows_of_chunk(_, rows, weights, chosen, *, settings: TaskSettings) -> tuple[np.ndarray, np.ndarray | None]:
    """The chosen rows of a surveyed chunk; all of positive weight if that is None."""
    rows, weights = settings.read(rows, weights)
    if chosen is None:
        return rows, weights
    return rows[chosen], part_of(weights, chosen)


class DaskPasses(SampledPasses):
    """Passes over chunks, all for one shape of mixture.

    Parameters
    ----------
    chunks : Chunks
    survey : ChunkSurvey
    sample : dict
        The rows of each chunk on which the start is found, as the survey chose them.
    settings : TaskSettings
    progress : Reporter
        Is told of each pass.
    """

    def __init__(
        self,
        chunks: Chunks,
        survey: ChunkSurvey,
        sample: Mapping[int, np.ndarray | None],
        settings: TaskSettings,
        progress: Reporter,
    ):
        self.progress = progress
        self.dtype = chunks.dtype
        self.n_components, self.n_rows, self.n_features = settings.n_components, survey.n_rows, chunks.n_features
        self.total_weight = survey.total_weight / settings.weight_unit
        self.structure = settings.structure
        self.misses_values = settings.misses_values
        self.chunks = chunks
        self._survey = survey
        self._chosen = sample
        self._settings = settings
        most = len(survey.counts) * (settings.n_threads or 1)  # threads that the tasks of a pass can use
        self.n_threads = max(1, min(sum(chunks.engine.worker_threads()), most))

    def for_mixture(self, n_components, structure, progress=None) -> DaskPasses:
        settings = replace(self._settings, n_components=n_components, structure=structure)
        progress = self.progress if progress is None else progress
        return DaskPasses(self.chunks, self._survey, self._chosen, settings, progress)

    def first_row(self) -> np.ndarray:
        return self._survey.first_row

    def em_step(self, components, centers=None, with_entropy=False, plan=None) -> SufficientStatistics:
        em_step = methodcaller("em_step", components, centers, with_entropy, plan)
        with_tails = components.degrees_of_freedom is not None
        return self._summed(em_step, components.means if centers is None else centers, with_tails)

    def statistics_of_all(self, centers: np.ndarray) -> SufficientStatistics:
        return self._summed(methodcaller("statistics_of_all", centers), centers)

    def ranges(self, center, axes) -> np.ndarray:
        task = partial(ranges_of_chunk, settings=self._settings, center=center, axes=axes)
        parts = np.array(self.chunks.map(task, self._survey.counts))
        return np.stack([parts[:, 0].min(axis=0), parts[:, 1].max(axis=0)])

    def trial_rows(self) -> np.ndarray:
        rows = self._fetched[0]
        return complete_rows(rows) if self.misses_values else rows

    def sample(self) -> Sample:
        rows, weights = self._fetched
        return Sample(rows, in_unit(weights, self._settings.weight_unit), None)

    @cached_property
    def _fetched(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The rows and weights of the sample."""
        parts = self.chunks.map(partial(rows_of_chunk, settings=self._settings), self._chosen)
        rows = np.concatenate([rows for rows, _ in parts])
        if all(weights is None for _, weights in parts):
            return rows, None
        # A chunk without weights has them if it holds rows without any value.
        return rows, np.concatenate([np.ones(len(rows)) if weights is None else weights for rows, weights in parts])

    def _summed(self, statistics_of: Callable, centers: np.ndarray, with_tails: bool = False) -> SufficientStatistics:
        task = partial(statistics_of_chunk, settings=self._settings, statistics_of=statistics_of)
        self.progress.begin_pass(self.n_rows)
        vector = self.chunks.sum(task, self._survey.counts)
        self.progress.read(self.n_rows)
        centers = centers.astype(self.dtype).astype(np.float64)  # rounded as in the passes
        shape = self.structure.scatter_shape(*centers.shape)
        return SufficientStatistics.from_vector(vector, centers, shape, with_tails)


# The fitted model on chunks ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How tasks evaluate a fitted model on chunks that have not been surveyed.

    Attributes
    ----------
    of_passes : callable
        Takes passes and components, and returns what is wanted for all rows, or for each.
    components : Components
    structure : CovarianceStructure
    dtype : dtype
        float64 or float32, in which kernels read the rows.
    columns : list or None
        Names of the columns, for messages.
    n_threads : int
    may_miss_values : bool
    """

    of_passes: Callable[[ArrayPasses, Components], Any]
    components: Components
    structure: CovarianceStructure
    dtype: np.dtype
    columns: list | None
    n_threads: int
    may_miss_values: bool

    def check(self, number: int, rows, weights) -> tuple[np.ndarray, np.ndarray | None]:
        try:
            n_features = self.components.means.shape[1]
            return check_chunk(rows, weights, n_features, self.dtype, self.columns, self.may_miss_values)
        except (ValueError, TypeError) as error:
            raise in_chunk(error, number) from error

    def __call__(self, rows: np.ndarray, weights: np.ndarray | None) -> Any:
        shape, may_miss_values = (len(self.components.means), self.structure), self.may_miss_values
        passes = passes_over(rows, weights, *shape, self.n_threads, may_miss_values=may_miss_values)
        return self.of_passes(passes, self.components)


def sums_of_chunk(number, rows, weights, _, *, evaluation: Evaluation) -> np.ndarray:
    """Sums over the rows, which the evaluation finds, and the sum of the weights."""
    rows, weights = evaluation.check(number, rows, weights)
    if evaluation.may_miss_values:
        weights = weights_without_empty_rows(rows, weights, with_warning=False)
    rows, weights = drop_unweighted_rows(rows, weights)
    if len(rows) == 0:  # any row will do, with a weight of 0
        rows, weights = evaluation.components.means[:1].astype(evaluation.dtype), np.zeros(1)
    return np.append(evaluation(rows, weights), total_weight(rows, weights))


def of_block(rows, *, evaluation: Evaluation, block_id: tuple[int, ...]) -> np.ndarray:
    """What the evaluation finds for each row of a block of a dask array."""
    rows, _ = evaluation.check(block_id[0], rows, None)
    some = rows if len(rows) else np.zeros((1, rows.shape[1]), rows.dtype)
    return evaluation(some, None)[: len(rows)]
