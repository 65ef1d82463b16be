"""Chunks of dask collections. A pass has one task for each chunk, and a tree of tasks that add up the results.

What all tasks need travels once to each worker. It is the result of a task of its own, so it can be made again if a
worker dies. A task takes (number, rows, weights, own): the chunk's number, the chunk as the collection has it, its
weights or None, and an argument that only this task gets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import dask
import dask.array as da
import numpy as np

from fastgmm._input.chunks import check_chunk, check_collection, check_features, check_weights_of_collection, in_chunk
from fastgmm._input.containers import column_names
from fastgmm._input.numbers import Source, check_numbers
from fastgmm._input.rows import drop_unweighted_rows, weights_without_empty_rows
from fastgmm._rows.engine import Engine
from fastgmm._rows.survey import Survey
from fastgmm._utils.warnings import warn

FAN_IN = 8  # number of results that one task adds up

_SHARE_OF_MEMORY = 0.5  # rows are held in memory if they take at most this share of it


class Chunks:
    """Rows and their weights, chunk by chunk, on an engine.

    Parameters
    ----------
    engine : Engine
    rows : dask.array.Array of shape (n_samples, n_features)
        In chunks of whole rows. Their sizes may be unknown.
    weights : dask.array.Array of shape (n_samples,), or None
        In the same chunks.
    columns : list or None
        Names of the columns, for messages.

    Attributes
    ----------
    n_rows : int, or NaN if unknown
    n_features : int
    dtype : dtype
        float64 or float32, in which kernels read the rows.
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
        """Whether ``n_rows`` rows take at most half of the memory; False for NaN."""
        return n_rows * self.n_features * self.dtype.itemsize <= _SHARE_OF_MEMORY * self.engine.memory()

    def persist(self) -> None:
        """Hold the chunks in memory until `release`. The given collections do not change."""
        self._read(self.engine.persist(*self._collections))
        self.persisted = True

    def release(self) -> None:
        self._collections, self._graph = [], {}

    def map(self, task: Callable, own: Mapping[int, Any]) -> list:
        """Results of the task for each chunk in `own`, in the order of the chunks."""
        graph, keys = self._tasks(task, own)
        return list(self.engine.get(graph, keys)) if keys else []

    def sum(self, task: Callable, own: Mapping[int, Any]) -> np.ndarray:
        """Sum of the tasks' arrays, in an order that depends only on the number of chunks."""
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
    """The sum in a new array. Dask may use the results of tasks again, so they must not change."""
    total = arrays[0].copy()
    for array in arrays[1:]:
        total += array
    return total


def read_as(rows, dtype: np.dtype):
    """A chunk of numbers as kernels read it. Masked chunks stay masked: they are refused later."""
    return rows if isinstance(rows, np.ma.MaskedArray) else np.require(rows, dtype, "C")


def float_dtype(rows: da.Array) -> np.dtype:
    """The dtype in which kernels read these rows: float32, or float64 for all others."""
    return np.dtype(np.float32 if rows.dtype == np.float32 else np.float64)


# Surveys --------------------------------------------------------------------------------------------------------------


def survey_of_chunk(
    number, rows, weights, _, *, n_features, dtype, columns, may_miss_values
) -> tuple[int, Survey | Exception]:
    """Number of all rows, and a survey of those of positive weight, or an error in the chunk.

    The error is returned, so that the first bad chunk is named, not that of the task which ends first."""
    try:
        rows, weights = check_chunk(rows, weights, n_features, dtype, columns, may_miss_values)
        if may_miss_values:
            weights = weights_without_empty_rows(rows, weights)
        return len(rows), Survey.of_rows(*drop_unweighted_rows(rows, weights))
    except (ValueError, TypeError) as error:
        return len(rows), error


class ChunkSurvey(Survey):
    """A survey of chunks.

    Parameters
    ----------
    chunks : Chunks
    may_miss_values : bool

    Attributes
    ----------
    n_all_rows : int
        Number of rows, those of weight 0 included.
    counts : dict of int to int
        Number of rows of each chunk that has any of positive weight.

    Raises
    ------
    ValueError, TypeError
        If a chunk is not valid, with its number.
    """

    def __init__(self, chunks: Chunks, may_miss_values: bool):
        super().__init__()
        options = {"dtype": chunks.dtype, "columns": chunks.columns, "may_miss_values": may_miss_values}
        task = partial(survey_of_chunk, n_features=chunks.n_features, **options)
        self.n_all_rows = 0
        self.counts: dict[int, int] = {}
        for number, (n_all_rows, found) in enumerate(chunks.map(task, dict.fromkeys(range(len(chunks))))):
            if isinstance(found, Exception):
                raise in_chunk(found, number, self.n_all_rows, n_all_rows) from found
            self.n_all_rows += n_all_rows
            if found.n_rows:
                self.counts[number] = found.n_rows
                self.add(found)

    def choose(self, sample_rows: int, random_state: np.random.RandomState) -> dict[int, np.ndarray | None]:
        """Rows of each chunk, without those of weight 0, that make a uniform sample, whatever the chunks.

        None stands for all rows of the chunk. If there are at most ``sample_rows`` rows, no numbers are drawn.
        """
        if self.n_rows <= sample_rows:
            return dict.fromkeys(self.counts)
        generator = np.random.default_rng(random_state.randint(2**31, size=4))
        rows = np.sort(generator.choice(self.n_rows, sample_rows, replace=False, shuffle=False))
        ends = np.cumsum(list(self.counts.values()))
        cuts = np.searchsorted(rows, ends)
        parts = zip(self.counts, np.split(rows, cuts[:-1]), ends, strict=True)
        return {number: part - (end - self.counts[number]) for number, part, end in parts if len(part)}


# From collections -----------------------------------------------------------------------------------------------------


def chunks_of(estimator, reader, X, sample_weight, reset: bool) -> Chunks:
    """The chunks of X and of the weights, for the estimator's client.

    With `reset`, `reader` gets the number and the names of the columns of X; otherwise they must be those it has.
    """
    rows = whole_rows(X)
    check_features(reader, without_rows(X), reset)
    weights = None if sample_weight is None else _weights_in_chunks(rows, sample_weight)
    if rows.dtype.kind in "biuf" and (rows is not X or rows.dtype != float_dtype(rows)):
        # Chunks are held in memory in the dtype that kernels read. Chunks of objects are converted later, where an
        # error can name the chunk.
        rows = rows.map_blocks(partial(read_as, dtype=float_dtype(rows)), meta=np.empty((0, 0), float_dtype(rows)))
    return Chunks(Engine(estimator.client), rows, weights, column_names(X))


def whole_rows(X) -> da.Array:
    """X as a dask array in chunks of whole rows."""
    check_collection(X)
    rows = X if isinstance(X, da.Array) else X.to_dask_array()
    if rows.numblocks[1] > 1:
        warn(
            f"X is cut into {rows.numblocks[1]} chunks of columns, which are joined for each pass: call "
            "X.rechunk({1: -1}) and persist or store the result, or choose chunks of whole rows to begin with."
        )
        rows = rows.rechunk({1: -1})
    return rows


def without_rows(X):
    """An array or DataFrame with the columns of X and no rows."""
    return np.empty((0, X.shape[1]), X.dtype) if isinstance(X, da.Array) else X._meta


def _weights_in_chunks(rows: da.Array, sample_weight) -> da.Array:
    """The weights as a dask array with the chunks of the rows."""
    row_chunks = rows.chunks[0]
    if hasattr(type(sample_weight), "to_dask_array"):
        weights = sample_weight.to_dask_array()
    elif isinstance(sample_weight, da.Array):
        weights = sample_weight
    else:
        weights = da.from_array(np.asarray(check_numbers(sample_weight, Source("sample_weight"))), chunks=-1)
    check_weights_of_collection(weights.shape, weights.numblocks, row_chunks)
    both_known = not np.isnan(weights.shape[0]) and not np.isnan(sum(row_chunks))
    return weights.rechunk((row_chunks,)) if both_known else weights
