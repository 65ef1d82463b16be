"""Arrays of any kind, in memory or on disk, as batches: blocks of their rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastgmm._input.containers import Place, Reader, chunk_rows, rows_of
from fastgmm._input.rows import rows_as_promised
from fastgmm._utils.words import counted

_BLOCK_BYTES = 2**25  # of a block in float64


def block_slices(X, block_rows: int | None = None) -> Iterator[slice]:
    """Slices that divide the rows of X into blocks of `block_rows`.

    By default a block has about 32 MiB, and whole chunks if X has `chunks`, as datasets of h5py and zarr have.
    """
    n_samples, n_features = X.shape
    if block_rows is None:
        block_rows = max(1, _BLOCK_BYTES // (8 * max(1, n_features)))
        if chunk := chunk_rows(X):
            block_rows = max(1, block_rows // chunk) * chunk
    for start in range(0, max(n_samples, 1), block_rows):
        yield slice(start, min(start + block_rows, n_samples))


class Block(NamedTuple):
    """Some rows, as kernels read them."""

    rows: np.ndarray
    weights: np.ndarray | None = None
    kept: Any = None  # a record batch of columns that tables of results hold too


class ArrayBatches(Reader):
    """Blocks of rows of an array, as batches.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Only ``X.shape``, ``X[start:stop]`` and ``X.chunks`` are used.
    sample_weight : array of shape (n_samples,), or None
    batch_rows : int, default=None
        None: as in `block_slices`.
    holder : str, default=""
        What messages call X. By default they do not mention batches.
    """

    def __init__(self, X, sample_weight=None, batch_rows: int | None = None, holder: str = ""):
        self._X = X
        self._holder = holder
        self._sample_weight = sample_weight
        self._batch_rows = batch_rows

    @property
    def n_rows(self) -> int:
        return self._X.shape[0]

    def __repr__(self):
        n_rows, n_features = self._X.shape
        weights = "" if self._sample_weight is None else "; with weights"
        return f"from_array: {counted(n_rows, 'row')}, {counted(n_features, 'column')}{weights}"

    def batches_with_places(self):
        for rows in block_slices(self._X, self._batch_rows):
            X = rows_as_promised(self._X, rows)
            batch = X if self._sample_weight is None else (X, rows_of(self._sample_weight, rows))
            yield batch, Place(rows.start, self._holder)
