"""Passes over chunks of dask collections, and what a fitted model finds out about such chunks: tasks and their sums.

Tasks are given what `chunks` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from fastgmm._input.chunks import check_chunk, check_chunk_again, in_chunk
from fastgmm._input.rows import drop_unweighted_rows
from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.chunks import Chunks, ChunkSurvey, ready_chunk, rows_of_chunk
from fastgmm._rows.protocol import Sample, SampledPasses, SkippingPlan


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """How tasks make passes over their chunks, all for one shape of mixture."""

    dtype: np.dtype
    weight_unit: float
    n_components: int
    structure: CovarianceStructure
    n_threads: int | None

    def passes(self, rows, weights) -> ArrayPasses:
        rows, weights = ready_chunk(rows, weights, self.dtype)
        return ArrayPasses(rows, self.in_unit(weights), self.n_components, self.structure, self.n_threads)

    def in_unit(self, weights: np.ndarray | None) -> np.ndarray | None:
        return weights if weights is None or self.weight_unit == 1.0 else weights / self.weight_unit


def em_step(
    number, rows, weights, n_rows, *, settings: TaskSettings, components, centers, with_entropy, plan
) -> np.ndarray:
    passes = settings.passes(rows, weights)
    statistics = passes.em_step(components, centers, with_entropy, plan)
    check_chunk_again(number, passes.X, n_rows, statistics.log_likelihood)
    return statistics.to_vector()


def statistics_of_all(number, rows, weights, n_rows, *, settings: TaskSettings, centers: np.ndarray) -> np.ndarray:
    passes = settings.passes(rows, weights)
    statistics = passes.statistics_of_all(centers)
    check_chunk_again(number, passes.X, n_rows, statistics.sum_x.sum())
    return statistics.to_vector()


class DaskPasses(SampledPasses):
    """Passes over chunks, all for one shape of mixture.

    Parameters
    ----------
    chunks : Chunks
    survey : ChunkSurvey
    sample : dict
        The rows of each chunk to find a start on, as the survey chose them.
    settings : TaskSettings
    """

    def __init__(
        self, chunks: Chunks, survey: ChunkSurvey, sample: Mapping[int, np.ndarray | None], settings: TaskSettings
    ):
        self.dtype = chunks.dtype
        self.n_components, self.n_rows, self.n_features = settings.n_components, survey.n_rows, chunks.n_features
        self.total_weight = survey.total_weight / settings.weight_unit
        self.structure = settings.structure
        self.chunks = chunks
        self._survey = survey
        self._chosen = sample
        self._settings = settings
        n_tasks = len(survey.counts)  # that can run at a time
        self.n_threads = max(1, min(sum(chunks.engine.worker_threads()), n_tasks * (settings.n_threads or 1)))

    def of_one_component(self, structure: CovarianceStructure) -> DaskPasses:
        """Passes over the same rows for a mixture of one component."""
        settings = replace(self._settings, n_components=1, structure=structure)
        return DaskPasses(self.chunks, self._survey, self._chosen, settings)

    def first_row(self) -> np.ndarray:
        """Shape (n_features,), float64."""
        return self._survey.first_row

    def em_step(
        self,
        components: Components,
        centers: np.ndarray | None = None,
        with_entropy: bool = False,
        plan: SkippingPlan | None = None,
    ) -> SufficientStatistics:
        """Statistics of all rows under their responsibilities, about ``centers`` (default: the means)."""
        told = {"components": components, "centers": centers, "with_entropy": with_entropy, "plan": plan}
        task = partial(em_step, settings=self._settings, **told)
        return self._summed(task, components.means if centers is None else centers)

    def statistics_of_all(self, centers: np.ndarray) -> SufficientStatistics:
        """Statistics about ``centers`` where every row belongs to every component."""
        return self._summed(partial(statistics_of_all, settings=self._settings, centers=centers), centers)

    def trial_rows(self) -> np.ndarray:
        """The rows of the sample."""
        return self._fetched[0]

    def sample(self) -> Sample:
        """The rows that the survey chose."""
        rows, weights = self._fetched
        return Sample(rows, self._settings.in_unit(weights), None)

    @cached_property
    def _fetched(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The sample, here."""
        parts = self.chunks.map(partial(rows_of_chunk, dtype=self.dtype), self._chosen)
        rows = np.concatenate([rows for rows, _ in parts])
        return rows, None if parts[0][1] is None else np.concatenate([weights for _, weights in parts])

    def _summed(self, task: Callable, centers: np.ndarray) -> SufficientStatistics:
        vector = self.chunks.sum(task, self._survey.counts)
        centers = centers.astype(self.dtype).astype(np.float64)  # as passes take them
        shape = self.structure.scatter_shape(*centers.shape)
        return SufficientStatistics.from_vector(vector, centers, shape)


# The fitted model on chunks ------------------------------------------------------------------------------------------


def log_likelihood_of_chunk(
    number, rows, weights, _, *, of_passes, n_features, dtype, columns, structure, components: Components, n_threads
) -> np.ndarray:
    """Weighted sum of the log-densities, which `of_passes` finds, and the sum of the weights."""
    try:
        rows, weights = drop_unweighted_rows(*check_chunk(rows, weights, n_features, dtype, columns))
    except (ValueError, TypeError) as error:
        raise in_chunk(error, number) from error
    if len(rows) == 0:
        return np.zeros(2)
    passes = ArrayPasses(rows, weights, len(components.means), structure, n_threads)
    return np.array([of_passes(passes, components), passes.total_weight])


def of_block(
    rows,
    *,
    of_passes: Callable[[ArrayPasses, Components], np.ndarray],
    n_features: int,
    dtype,
    columns: list | None,
    structure: CovarianceStructure,
    components: Components,
    n_threads: int,
    block_id: tuple[int, ...],
) -> np.ndarray:
    """What passes find out for each row of a block of a dask array."""
    try:
        rows, _ = check_chunk(rows, None, n_features, dtype, columns)
    except (ValueError, TypeError) as error:
        raise in_chunk(error, block_id[0]) from error
    some = rows if len(rows) else np.zeros((1, n_features), dtype)
    passes = ArrayPasses(some, None, len(components.means), structure, n_threads)
    return of_passes(passes, components)[: len(rows)]
