"""Checks of batches of rows, in every pass over them, and of all rows of a reader."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

import numpy as np

from fastgmm._input.blocks import Block
from fastgmm._input.containers import (
    FLOAT_DTYPES,
    Place,
    Reader,
    column_names,
    has_shape,
    is_dask_collection,
    is_frame,
    is_lazy_frame,
    is_mapping_of_arrays,
)
from fastgmm._input.numbers import Source
from fastgmm._input.rows import (
    allows_missing,
    are_finite,
    check_sample_weight,
    checked_rows,
    drop_unweighted_rows,
    weights_without_empty_rows,
    with_prefix,
)
from fastgmm._utils.values import is_boolean, is_integer_from
from fastgmm._utils.words import counted, numbered_rows


def check_batch_rows(batch_rows) -> None:
    """Raise ValueError unless `batch_rows` is a positive integer."""
    if is_boolean(batch_rows) or not is_integer_from(1)(batch_rows):
        raise ValueError(f"batch_rows must be an int >= 1, got {batch_rows!r}: pass how many rows a batch may have.")


class CheckedBatches:
    """Batches of the user, validated one by one at each iteration over them.

    An iteration yields C-contiguous rows in the dtype of the first batch, and their weights or None, for every batch
    that has rows of positive weight. It raises ValueError or TypeError for a batch that is wrong.

    Parameters
    ----------
    estimator : estimator
        Gets the names and number of features of the first batch.
    batches : iterable of X or (X, sample_weight)
        Must start anew at each iteration.
    """

    def __init__(self, estimator, batches):
        _check_batches(batches)
        self._estimator = estimator
        self._batches = batches
        self._dtype = None

    def __iter__(self):
        is_first_pass = self._dtype is None
        for number, (batch, place) in enumerate(_with_places(self._batches)):
            X, weights = _parts(batch)
            with _errors_with_place(number, place):
                if _has_no_rows(X):
                    continue
                if is_first_pass or not self._is_ready(X):
                    options = {"ensure_all_finite": is_first_pass, "reset": self._dtype is None}
                    X = _rows_of_batch(self._estimator, X, self._dtype, place, **options)
                    self._dtype = X.dtype
                weights = _weights_of_batch(weights, len(X), place)
                if allows_missing(self._estimator):
                    weights = weights_without_empty_rows(X, weights, with_warning=is_first_pass)
            rows, weights = drop_unweighted_rows(X, weights)
            if len(rows):
                yield rows, weights

    def _is_ready(self, X) -> bool:
        """Whether kernels can read X without a conversion. An earlier pass has checked its values."""
        return (
            isinstance(X, np.ndarray)
            and not isinstance(X, np.ma.MaskedArray)
            and X.dtype == self._dtype
            and X.ndim == 2
            and X.shape[1] == self._estimator.n_features_in_
            and X.flags.c_contiguous
            and X.flags.aligned
        )


def blocks_of_reader(estimator, reader: Reader, weighted: bool) -> Iterator[Block]:
    """All rows of a reader, validated, for an estimator that knows its features. The dtype is that of the first batch.

    Blocks have weights if `weighted`, else the columns that are kept.
    """
    dtype = None
    for number, (batch, place, kept) in enumerate(_with_kept(reader, not weighted)):
        X, weights = _parts(batch)
        with _errors_with_place(number, place):
            if _has_no_rows(X):
                continue
            rows = _rows_of_batch(estimator, X, dtype, place, reset=False)
            dtype = rows.dtype
            weights = _weights_of_batch(weights, len(rows), place) if weighted else None
        yield Block(rows, weights, kept)
    if dtype is None:
        raise ValueError(
            f"Found array with 0 sample(s) while a minimum of 1 is required: {reader!r}. Pass a reader that has rows."
        )


def check_no_weights_beside(reader: Reader, sample_weight) -> None:
    """Raise TypeError if `sample_weight` is given in addition to a reader."""
    if sample_weight is not None:
        raise TypeError(
            f"sample_weight must be None for a reader, got {type(sample_weight).__name__}: a reader brings the weights "
            "itself, as from_parquet(..., sample_weight='column') does."
        )


def _parts(batch) -> tuple[Any, Any]:
    """The rows of a batch and their weights or None."""
    return batch if isinstance(batch, tuple) and len(batch) == 2 else (batch, None)


def _rows_of_batch(estimator, X, dtype, place: Place, **options) -> np.ndarray:
    source = Source("X", column_names(X), place.first_row, place.holder)
    return checked_rows(estimator, X, dtype or FLOAT_DTYPES, source, **options)


def _weights_of_batch(weights, n_rows: int, place: Place) -> np.ndarray | None:
    source = Source("sample_weight", [place.weights] if place.weights else None, place.first_row, place.holder)
    return check_sample_weight(weights, n_rows, all_zero=True, source=source)


@contextmanager
def _errors_with_place(number: int, place: Place) -> Iterator[None]:
    """A context whose errors about values name the batch."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise with_prefix(_prefix(number, place), error) from error


def _has_no_rows(X) -> bool:
    """Whether a batch is known to be empty."""
    if not has_shape(X) and is_dask_collection(X):  # its number of rows is unknown
        return False
    return (X.shape if has_shape(X) else np.shape(X))[:1] == (0,)


def _with_places(batches) -> Iterator[tuple[Any, Place]]:
    if isinstance(batches, Reader):
        return batches.batches_with_places()
    return ((batch, Place(0, "batch")) for batch in batches)


def _with_kept(reader: Reader, keep: bool) -> Iterator[tuple[Any, Place, Any]]:
    if keep:
        return reader.batches_with_kept()
    return ((batch, place, None) for batch, place in reader.batches_with_places())


def _prefix(number: int, place: Place) -> str:
    """The beginning of a message about a batch. It is empty for a block of an array, which is no batch to the user."""
    if not place.holder:
        return ""
    if place.holder == "batch":
        return f"Batch {number}: "
    return f"Batch {number}, from row {place.first_row} of {place.name or 'the ' + place.holder}: "


def _check_batches(batches) -> None:
    """Raise TypeError unless `batches` can be iterated over any number of times."""
    found = f"batches must be an iterable of 2-D arrays, got {type(batches).__name__}"
    if isinstance(batches, str | bytes | PathLike):
        raise TypeError(f"{found}: pass what from_parquet, from_csv or from_npy of fastgmm.batches makes of the path.")
    if is_dask_collection(batches):
        raise TypeError(f"{found}: fit the estimator of the same name in fastgmm.dask, whose batches are the chunks.")
    is_table = is_mapping_of_arrays(batches) or has_shape(batches) or is_frame(batches) or is_lazy_frame(batches)
    if not isinstance(batches, Iterable) or is_table:
        raise TypeError(f"{found}: pass a list of batches, or an array to fastgmm.batches.from_array.")
    if isinstance(batches, Iterator):
        raise TypeError(
            f"batches must start anew at each iteration, but a {type(batches).__name__} can be read only once: "
            "pass a list, or an object whose __iter__ makes a new iterator."
        )


def check_batch_again(first_row: int, rows: np.ndarray, log_likelihood: float, may_miss_values: bool) -> None:
    """Raise ValueError if rows are no longer finite. They are searched only if their log-likelihood is not finite."""
    if not math.isfinite(log_likelihood) and not are_finite(rows, may_miss_values):
        raise ValueError(
            f"{numbered_rows(first_row, len(rows))} of the batches (those of weight 0 not counted) had no NaN or "
            "infinity at first, and now some: every iteration over them must give the same rows."
        )


def check_all_batches_again(n_rows: int, n_rows_at_first: int) -> None:
    """Raise ValueError unless a pass has read as many rows as the first one."""
    if n_rows != n_rows_at_first:
        raise ValueError(
            f"The batches held {counted(n_rows_at_first, 'row')} at first and {n_rows} now: every iteration over them "
            "must give the same rows. Pass a list, or an object whose __iter__ starts anew."
        )
