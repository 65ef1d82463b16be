"""Chunks of dask collections: one task for each chunk and pass, whose results add up in a tree.

What a task needs to know travels once to each worker, as the result of a task of its own, so that nothing is lost with
a worker that dies. A task is given (number, rows, weights, own): the chunk's number, the chunk as the collection has
it, its weights or None, and what only this task is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import dask
import dask.array as da
import numpy as np
from dask.base import get_scheduler
from dask.system import CPU_COUNT

from fastgmm._input.chunks import check_chunk, check_chunk_again, in_chunk
from fastgmm._input.rows import drop_unweighted_rows
from fastgmm._model.covariance import COVARIANCE_TYPES, Components
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import DataPasses
from fastgmm._skipping.screens import Screening
from fastgmm._utils.threads import effective_n_threads

FAN_IN = 8  # results that are added up by one task

_SHARE_OF_MEMORY = 0.5


# Where tasks run -----------------------------------------------------------------------------------------------------


class Engine:
    """Runs graphs: a distributed client's cluster, or the scheduler that dask is set to.

    Parameters
    ----------
    client : distributed.Client or None
        None: the current client, if there is one.
    """

    def __init__(self, client):
        self.get = get_scheduler(scheduler=client, cls=da.Array)
        self._client = getattr(self.get, "__self__", None)

    def worker_threads(self) -> list[int]:
        """How many tasks each worker runs at a time; this process counts as one worker."""
        if self._client is not None:
            return list(self._client.nthreads().values()) or [1]
        if self.get is dask.get:
            return [1]
        return [dask.config.get("num_workers", None) or CPU_COUNT]

    def memory(self) -> int:
        """Bytes that the workers, or this machine, may hold; 0 if nothing is known."""
        if self._client is None:
            return machine_memory()
        return sum(worker["memory_limit"] or 0 for worker in self._client.scheduler_info()["workers"].values())

    def persist(self, *collections):
        """The collections as they are held in memory."""
        if self._client is not None:
            return self._client.persist(collections)
        return dask.persist(*collections, scheduler=self.get)

    def n_threads_of_task(self, n_tasks: int) -> int:
        """Kernel threads of a task: 1, or more if there are fewer tasks than threads."""
        threads = self.worker_threads()
        n_threads = max(1, min(min(threads), sum(threads) // max(1, n_tasks)))
        return n_threads if self._client is not None else min(n_threads, effective_n_threads())


def machine_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this machine has and its control groups leave to this process; 0 if the system does not say.

    `root` is where its file systems begin.
    """
    if not hasattr(os, "sysconf"):
        return 0
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([memory, *_limits_of_control_groups(root)])


def _limits_of_control_groups(root: Path) -> Iterator[int]:
    """Memory limits of the groups that this process is in and of all groups around them, of version 1 and 2.

    Where a container sees only its own part of the tree, that part is mounted at the top, whatever the path says."""
    mounted = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            tree, name = mounted, "memory.max"
        elif "memory" in controllers.split(","):
            tree, name = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = tree / path.lstrip("/")
        for each in (group, *group.parents):
            if each.is_relative_to(tree) and (limit := _text(each / name).strip()).isdigit():
                yield int(limit)


def _text(path: Path) -> str:
    """What is in a file; nothing if it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""


# Tasks on chunks -----------------------------------------------------------------------------------------------------


class Chunks:
    """Rows and their weights, chunk by chunk, on an engine.

    Parameters
    ----------
    engine : Engine
    rows : dask.array.Array of shape (n_samples, n_features)
        In chunks of whole rows, whose numbers may be unknown.
    weights : dask.array.Array of shape (n_samples,), or None
        In the same chunks.
    columns : list or None
        Names of the columns, for messages.

    Attributes
    ----------
    n_rows : int, or NaN if that is not known
    n_features : int
    dtype : dtype
        What kernels read the rows as.
    """

    _graph: dict[Any, Any]  # reads or holds the chunks

    def __init__(self, engine: Engine, rows: da.Array, weights: da.Array | None, columns: list | None):
        self.engine = engine
        self.n_rows, self.n_features = rows.shape
        self.columns = columns
        self.dtype = float_dtype(rows)
        self._collections = [rows] if weights is None else [rows, weights]
        self._read(dask.optimize(*self._collections))

    def __len__(self) -> int:
        return len(self._row_keys)

    def fit_in_memory(self, n_rows: float) -> bool:
        """Whether so many rows take at most half of the memory; NaN rows do not."""
        return n_rows * self.n_features * self.dtype.itemsize <= _SHARE_OF_MEMORY * self.engine.memory()

    def persist(self) -> None:
        """Hold the chunks in memory, until `release`; the given collections stay as they are."""
        self._read(self.engine.persist(*self._collections))

    def release(self) -> None:
        self._collections, self._graph = [], {}

    def map(self, task: Callable, own: Mapping[int, Any]) -> list:
        """Results of the tasks of the chunks that `own` names, in the order of the chunks."""
        graph, keys = self._tasks(task, own)
        return list(self.engine.get(graph, keys)) if keys else []

    def sum(self, task: Callable, own: Mapping[int, Any]) -> np.ndarray:
        """Sum of the tasks' arrays, in an order that depends on the number of chunks alone."""
        graph, keys = self._tasks(task, own)
        name = f"add-{uuid4().hex}"
        while len(keys) > 1:
            groups = [keys[start : start + FAN_IN] for start in range(0, len(keys), FAN_IN)]
            keys = [(name, len(graph) + i) for i in range(len(groups))]
            graph |= {key: (_added, group) for key, group in zip(keys, groups, strict=True)}
        return self.engine.get(graph, keys[0])

    def _read(self, collections) -> None:
        graphs = [dict(collection.__dask_graph__()) for collection in collections]
        keys = [list(dask.core.flatten(collection.__dask_keys__())) for collection in collections]
        self._graph = {key: value for graph in graphs for key, value in graph.items()}
        self._row_keys = keys[0]
        self._weight_keys = keys[1] if len(keys) > 1 else [None] * len(keys[0])

    def _tasks(self, task: Callable, own: Mapping[int, Any]) -> tuple[dict, list]:
        name = f"fastgmm-{getattr(task, 'func', task).__name__}-{uuid4().hex}"
        shared = f"shared-{name}"
        graph = self._graph | {shared: (_itself, task)}
        for number, value in own.items():
            arguments = (number, self._row_keys[number], self._weight_keys[number], value)
            graph[name, number] = (_called, shared, *arguments)
        return graph, [(name, number) for number in own]


def _itself(value):
    return value


def _called(task, *arguments):
    return task(*arguments)


def _added(arrays: list[np.ndarray]) -> np.ndarray:
    """A new array: results of tasks must not change, since a task may be run again."""
    total = arrays[0].copy()
    for array in arrays[1:]:
        total += array
    return total


def read_as(rows, dtype: np.dtype):
    """A chunk of numbers as kernels read it; where some are masked that is found out later."""
    return rows if isinstance(rows, np.ma.MaskedArray) else np.require(rows, dtype, "C")


def float_dtype(rows: da.Array) -> np.dtype:
    """What kernels read these rows as."""
    return np.dtype(np.float32 if rows.dtype == np.float32 else np.float64)


# The first look at the data ------------------------------------------------------------------------------------------


class ChunkFacts(NamedTuple):
    """What the survey finds out about one chunk; sums and counts without the rows of weight 0."""

    n_all_rows: int
    n_rows: int = 0
    total_weight: float = 0.0
    largest_weight: float = 0.0
    first_row: np.ndarray | None = None
    column_sums: np.ndarray | None = None
    error: Exception | None = None


def facts_of_chunk(number, rows, weights, _, *, n_features: int, dtype, columns) -> ChunkFacts:
    """Errors are returned, not raised, so that the first bad chunk is named whichever task ends first."""
    n_all_rows = len(rows)
    try:
        rows, weights = drop_unweighted_rows(*check_chunk(rows, weights, n_features, dtype, columns))
    except (ValueError, TypeError) as error:
        return ChunkFacts(n_all_rows, error=error)
    if len(rows) == 0:
        return ChunkFacts(n_all_rows)
    total, largest = (float(len(rows)), 1.0) if weights is None else (float(weights.sum()), float(weights.max()))
    column_sums = rows.sum(axis=0, dtype=np.float64)
    return ChunkFacts(n_all_rows, len(rows), total, largest, rows[0].astype(np.float64), column_sums)


class ChunkSurvey:
    """What one pass over all chunks finds out before a fit.

    Parameters
    ----------
    chunks : Chunks

    Attributes
    ----------
    n_all_rows : int
        Those of weight 0 included, which nothing else counts.
    counts : dict of int to int
        Chunks that have rows, and how many.
    n_rows : int
    total_weight, largest_weight : float
    first_row : ndarray of shape (n_features,), float64
    column_sums : ndarray of shape (n_features,), float64
        Tell other data apart.
    """

    def __init__(self, chunks: Chunks):
        task = partial(facts_of_chunk, n_features=chunks.n_features, dtype=chunks.dtype, columns=chunks.columns)
        self.n_all_rows = self.n_rows = 0
        self.total_weight = self.largest_weight = 0.0
        self.counts: dict[int, int] = {}
        self.column_sums = np.zeros(chunks.n_features)
        for number, facts in enumerate(chunks.map(task, dict.fromkeys(range(len(chunks))))):
            if facts.error is not None:
                raise in_chunk(facts.error, number, self.n_all_rows, facts.n_all_rows) from facts.error
            self.n_all_rows += facts.n_all_rows
            if facts.n_rows == 0:
                continue
            if not self.counts:
                self.first_row = facts.first_row
            self.counts[number] = facts.n_rows
            self.n_rows += facts.n_rows
            self.total_weight += facts.total_weight
            self.largest_weight = max(self.largest_weight, facts.largest_weight)
            self.column_sums += facts.column_sums

    def choose(self, sample_rows: int, random_state: np.random.RandomState) -> dict[int, np.ndarray | None]:
        """Rows of each chunk that make a uniform sample of all, the same however the rows are cut into chunks.

        All rows (None), and no numbers drawn, if there are no more; those of weight 0 are not counted.
        """
        if self.n_rows <= sample_rows:
            return dict.fromkeys(self.counts)
        generator = np.random.default_rng(random_state.randint(2**31, size=4))
        rows = np.sort(generator.choice(self.n_rows, sample_rows, replace=False, shuffle=False))
        ends = np.cumsum(list(self.counts.values()))
        cuts = np.searchsorted(rows, ends)
        parts = zip(self.counts, np.split(rows, cuts[:-1]), ends, strict=True)
        return {number: part - (end - self.counts[number]) for number, part, end in parts if len(part)}


def rows_of_chunk(number, rows, weights, chosen, *, dtype) -> tuple[np.ndarray, np.ndarray | None]:
    """Some rows, or all, of those of positive weight."""
    rows, weights = _ready(rows, weights, dtype)
    if chosen is None:
        return rows, weights
    return rows[chosen], None if weights is None else weights[chosen]


def _ready(rows, weights, dtype) -> tuple[np.ndarray, np.ndarray | None]:
    """A chunk, surveyed before, as kernels can read it."""
    rows = np.require(rows, dtype, ["C", "ALIGNED"])
    return drop_unweighted_rows(rows, None if weights is None else np.require(weights, np.float64, ["C", "ALIGNED"]))


# Passes --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Density:
    """What passes need to know of a mixture, and no more, since it travels; a `Components`.

    A dataclass: dask would look for keys in a tuple.
    """

    means: np.ndarray
    precisions_cholesky: np.ndarray
    log_weight: np.ndarray
    log_const: np.ndarray
    covariance_type: str

    @classmethod
    def of(cls, parameters: Components, covariance_type: str) -> Density:
        log_const = parameters.log_normalizer(covariance_type)
        return cls(
            parameters.means, parameters.precisions_cholesky, parameters.log_weights(), log_const, covariance_type
        )

    def log_weights(self) -> np.ndarray:
        return self.log_weight

    def log_normalizer(self, covariance_type: str) -> np.ndarray:
        return self.log_const

    def passes(self, rows: np.ndarray, weights: np.ndarray | None, n_threads: int) -> DataPasses:
        return DataPasses(rows, weights, len(self.means), self.covariance_type, n_threads)


@dataclass(frozen=True, slots=True)
class Walk:
    """How tasks walk over their chunks, all for one shape of mixture."""

    dtype: np.dtype
    weight_unit: float
    n_components: int
    covariance_type: str
    n_threads: int | None

    def passes(self, rows, weights) -> DataPasses:
        rows, weights = _ready(rows, weights, self.dtype)
        if weights is not None and self.weight_unit != 1.0:
            weights = weights / self.weight_unit
        return DataPasses(rows, weights, self.n_components, self.covariance_type, self.n_threads)


def em_step(number, rows, weights, n_rows, *, walk: Walk, density: Density, centers, with_entropy: bool) -> np.ndarray:
    passes = walk.passes(rows, weights)
    statistics = passes.em_step(density, centers, with_entropy)
    check_chunk_again(number, passes.X, n_rows, statistics.log_likelihood)
    return statistics.to_vector()


def statistics_of_all(number, rows, weights, n_rows, *, walk: Walk, centers: np.ndarray) -> np.ndarray:
    passes = walk.passes(rows, weights)
    statistics = passes.statistics_of_all(centers)
    check_chunk_again(number, passes.X, n_rows, statistics.sum_x.sum())
    return statistics.to_vector()


class DaskPasses:
    """Passes over chunks, all for one shape of mixture; what `Updates` asks of passes.

    Parameters
    ----------
    chunks : Chunks
    survey : ChunkSurvey
    sample : dict
        The rows of each chunk to find a start on, as the survey chose them.
    walk : Walk
    """

    def __init__(self, chunks: Chunks, survey: ChunkSurvey, sample: Mapping[int, np.ndarray | None], walk: Walk):
        self.dtype = chunks.dtype
        self.n_features = chunks.n_features
        self.total_weight = survey.total_weight / walk.weight_unit
        self.covariance_type = walk.covariance_type
        self._chunks = chunks
        self._survey = survey
        self._sample = sample
        self._walk = walk
        # Of no rows, so that every pass is dense: the rows that trials would look at are elsewhere.
        self.screening = Screening(np.empty((0, self.n_features)), 0, walk.n_components, walk.covariance_type, 0.0, 1)

    def of_one_component(self, covariance_type: str) -> DaskPasses:
        """Passes over the same rows for a mixture of one component."""
        walk = Walk(self.dtype, self._walk.weight_unit, 1, covariance_type, self._walk.n_threads)
        return DaskPasses(self._chunks, self._survey, self._sample, walk)

    def first_row(self) -> np.ndarray:
        """Shape (n_features,), float64."""
        return self._survey.first_row

    def em_step(
        self,
        parameters: Components,
        centers: np.ndarray | None = None,
        with_entropy: bool = False,
        screen: None = None,
    ) -> SufficientStatistics:
        """Statistics of all rows under their responsibilities, about ``centers`` (default: the means)."""
        density = Density.of(parameters, self.covariance_type)
        task = partial(em_step, walk=self._walk, density=density, centers=centers, with_entropy=with_entropy)
        return self._summed(task, density.means if centers is None else centers)

    def statistics_of_all(self, centers: np.ndarray) -> SufficientStatistics:
        """Statistics about ``centers`` where every row belongs to every component."""
        return self._summed(partial(statistics_of_all, walk=self._walk, centers=centers), centers)

    def of_sample(self) -> DataPasses:
        """Passes, here, over the rows to find a start on."""
        parts = self._chunks.map(partial(rows_of_chunk, dtype=self.dtype), self._sample)
        rows = np.concatenate([rows for rows, _ in parts])
        weights = None if parts[0][1] is None else np.concatenate([weights for _, weights in parts])
        walk = Walk(self.dtype, self._walk.weight_unit, self._walk.n_components, self.covariance_type, None)
        return walk.passes(rows, weights)

    def _summed(self, task: Callable, centers: np.ndarray) -> SufficientStatistics:
        vector = self._chunks.sum(task, self._survey.counts)
        centers = centers.astype(self.dtype).astype(np.float64)  # as passes take them
        shape = COVARIANCE_TYPES[self.covariance_type].scatter_shape(*centers.shape)
        return SufficientStatistics.from_vector(vector, centers, shape)


# The fitted model on chunks ------------------------------------------------------------------------------------------


def log_likelihood_of_chunk(
    number, rows, weights, _, *, n_features, dtype, columns, density: Density, n_threads
) -> np.ndarray:
    """Weighted sum of the log-densities, and the sum of the weights."""
    try:
        rows, weights = drop_unweighted_rows(*check_chunk(rows, weights, n_features, dtype, columns))
    except (ValueError, TypeError) as error:
        raise in_chunk(error, number) from error
    if len(rows) == 0:
        return np.zeros(2)
    passes = density.passes(rows, weights, n_threads)
    return np.array([passes.score_sum(density), passes.total_weight])


def of_block(
    rows,
    *,
    of_passes: Callable[[DataPasses, Components], np.ndarray],
    n_features: int,
    dtype,
    columns: list | None,
    density: Density,
    n_threads: int,
    block_id: tuple[int, ...],
) -> np.ndarray:
    """What passes find out for each row of a block of a dask array."""
    try:
        rows, _ = check_chunk(rows, None, n_features, dtype, columns)
    except (ValueError, TypeError) as error:
        raise in_chunk(error, block_id[0]) from error
    some = rows if len(rows) else np.zeros((1, n_features), dtype)
    return of_passes(density.passes(some, None, n_threads), density)[: len(rows)]
