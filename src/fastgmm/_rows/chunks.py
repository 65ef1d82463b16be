"""Chunks of dask collections: one task for each chunk and pass, whose results add up in a tree.

What a task needs to know travels once to each worker, as the result of a task of its own, so that nothing is lost with
a worker that dies. A task is given (number, rows, weights, own): the chunk's number, the chunk as the collection has
it, its weights or None, and what only this task is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

import dask
import dask.array as da
import numpy as np

from fastgmm._input.chunks import check_chunk, in_chunk
from fastgmm._input.rows import drop_unweighted_rows
from fastgmm._rows.engine import Engine

FAN_IN = 8  # results that are added up by one task

_SHARE_OF_MEMORY = 0.5


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
    persisted : bool
        Whether `persist` was called.
    """

    _graph: dict[Any, Any]  # reads or holds the chunks

    def __init__(self, engine: Engine, rows: da.Array, weights: da.Array | None, columns: list | None):
        self.engine = engine
        self.persisted = False
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
        self.persisted = True

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
    rows, weights = ready_chunk(rows, weights, dtype)
    if chosen is None:
        return rows, weights
    return rows[chosen], None if weights is None else weights[chosen]


def ready_chunk(rows, weights, dtype) -> tuple[np.ndarray, np.ndarray | None]:
    """A chunk, surveyed before, as kernels can read it."""
    rows = np.require(rows, dtype, ["C", "ALIGNED"])
    return drop_unweighted_rows(rows, None if weights is None else np.require(weights, np.float64, ["C", "ALIGNED"]))
