"""Checks of dask collections, their chunks and their weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from fastgmm._input.containers import column_names, is_dask_collection
from fastgmm._input.numbers import Source, check_numbers, located
from fastgmm._input.rows import aligned, are_finite, check_sample_weight, with_prefix
from fastgmm._utils.warnings import warn
from fastgmm._utils.words import counted

_LARGE_CHUNK = 2**24  # bytes: a pass over them takes much longer than the overhead of a task


def check_collection(X) -> None:
    """Raise TypeError or ValueError unless X is a dask array or DataFrame with a known number of columns."""
    n_dimensions = getattr(X, "ndim", None)
    known = isinstance(n_dimensions, int)  # a Delayed has attributes of any name
    if not known or n_dimensions != 2 or not is_dask_collection(X):
        found = type(X).__name__ + (f" of {counted(int(X.ndim), 'dimension')}" if known else "")
        if isinstance(X, str | PathLike):
            remedy = f"pass what dask reads, such as dask.dataframe.read_parquet({str(X)!r})."
        else:
            remedy = (
                "pass dask.array.from_array(X, chunks=(100_000, -1)), or fit the estimator of the same name in fastgmm."
            )
        raise TypeError(f"X must be a dask array of 2 dimensions or a dask DataFrame, got {found}: {remedy}")
    if math.isnan(X.shape[1]):
        raise ValueError("X has an unknown number of columns: call X.compute_chunk_sizes() first.")


def warn_of_idle_threads(n_idle: int, n_chunks: int, chunk_bytes: float) -> None:
    """Warn if some threads of a cluster have nothing to do, and smaller chunks would give them something."""
    if n_idle == 0 or chunk_bytes < _LARGE_CHUNK:
        return
    have = "1 thread of the cluster has" if n_idle == 1 else f"{n_idle} threads of the cluster have"
    warn(
        f"X has {counted(n_chunks, 'chunk')} of some {chunk_bytes / 2**20:,.0f} MiB, and {have} nothing to do: cut X "
        "into more chunks, by split_row_groups=True of dask.dataframe.read_parquet, X.repartition(npartitions=...) of "
        "a DataFrame, or X.rechunk((100_000, -1)) of an array."
    )


def check_no_out(out) -> None:
    """Raise TypeError if `out` is given. Results for collections are collections."""
    if out is not None:
        raise TypeError(
            f"out must be None for a dask collection, got {type(out).__name__}: the result is a dask array, which its "
            "store method, or dask.array.to_zarr, writes chunk by chunk."
        )


def check_features(estimator, outline, reset: bool) -> None:
    """With `reset`, store the columns of `outline` in the estimator; else raise ValueError if it has others.

    The outline has the columns and dtypes of the collection, but no rows.
    """
    check_numbers(outline, Source("X", column_names(outline)))
    validate_data(estimator, outline, dtype=None, ensure_min_samples=0, reset=reset)


def check_weights_of_collection(shape: tuple[float, ...], n_chunks: tuple[int, ...], row_chunks: tuple) -> None:
    """Raise ValueError unless weights have one dimension, and as many rows or, if these are unknown, chunks as X."""
    if len(shape) != 1:
        raise ValueError(f"Sample weights must be 1D: got sample_weight of shape {shape}, pass one for each row of X.")
    n_rows = sum(row_chunks)
    if math.isnan(n_rows) or math.isnan(shape[0]):
        if n_chunks[0] != len(row_chunks):
            raise ValueError(
                f"sample_weight has {counted(n_chunks[0], 'chunk')}, X has {len(row_chunks)}, and not all of their "
                "sizes are known: take both from the same collection, or call compute_chunk_sizes() on X and on "
                "sample_weight."
            )
    elif shape[0] != n_rows:
        raise ValueError(f"sample_weight.shape == {shape}, expected {(n_rows,)}: pass one weight for each row of X.")


def check_chunk(
    rows, weights, n_features: int, dtype, columns: Sequence | None = None, may_miss_values: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """A chunk in a form that kernels can read, shape (n_rows >= 0, n_features), and its weights or None.

    Raises ValueError or TypeError if values are not finite numbers, or the chunk has another number of columns.
    """
    source = Source("X", columns, part="chunk")
    rows = check_numbers(rows, source, may_miss_values)
    finite: Any = "allow-nan" if may_miss_values else True
    options = {"ensure_min_samples": 0, "ensure_min_features": 0, "ensure_all_finite": finite}
    try:
        rows = check_array(rows, dtype=dtype, order="C", input_name="X", **options)
    except ValueError as error:
        raise located(error, rows, source, dtype) from None
    if rows.shape[1] != n_features:
        raise ValueError(f"X has {rows.shape[1]} features, but {n_features} are expected: all chunks must have these.")
    if weights is not None and len(rows) == len(weights) == 0:
        weights = np.empty(0)
    else:
        weights = check_sample_weight(weights, len(rows), True, Source("sample_weight", part="chunk"))
    return aligned(rows), weights


def check_chunk_again(number: int, rows: np.ndarray, n_rows: int, log_likelihood: float, may_miss_values: bool) -> None:
    """Raise ValueError if a chunk has changed. Its rows are searched only if the log-likelihood is not finite."""
    if len(rows) != n_rows:
        raise ValueError(
            f"Chunk {number} held {counted(n_rows, 'row')} (of positive weight) at first and {len(rows)} now: reading "
            "the collection must give the same rows each time. Pass persist=True, or write the data to files first."
        )
    if not math.isfinite(log_likelihood) and not are_finite(rows, may_miss_values):
        raise ValueError(
            f"Chunk {number} contains NaN or infinity, which it did not at first: reading the collection must give the "
            "same rows each time. Pass persist=True, or write the data to files first."
        )


def in_chunk(error: Exception, number: int, first_row: int | None = None, n_rows: int = 0) -> Exception:
    """The error with the number of the chunk in its message."""
    where = "" if first_row is None else f" ({counted(n_rows, 'row')} from row {first_row})"
    return with_prefix(f"Chunk {number}{where}: ", error)
