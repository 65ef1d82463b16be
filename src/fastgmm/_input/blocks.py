"""Arrays of any kind, on disk too, as batches: blocks of their rows."""

from __future__ import annotations

from collections.abc import Iterator

from fastgmm._input.containers import Place, Reader, chunk_rows, rows_of
from fastgmm._input.rows import rows_as_promised

_BLOCK_BYTES = 2**25  # of float64


def block_slices(X, block_rows: int | None = None) -> Iterator[slice]:
    """Slices that cut the rows of X into blocks; by default of about 32 MiB, in whole chunks if X is stored in chunks.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Only its shape is used, and its `chunks`, as h5py and zarr describe them, if it has some.
    block_rows : int, default=None
    """
    n_samples, n_features = X.shape
    if block_rows is None:
        block_rows = max(1, _BLOCK_BYTES // (8 * max(1, n_features)))
        if chunk := chunk_rows(X):
            block_rows = max(1, block_rows // chunk) * chunk
    for start in range(0, max(n_samples, 1), block_rows):
        yield slice(start, min(start + block_rows, n_samples))


class ArrayBatches(Reader):
    """Blocks of rows of anything that can be sliced, with their weights, to be iterated over any number of times.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Only ``X.shape``, ``X[start:stop]`` and chunks are used.
    sample_weight : array of shape (n_samples,), or None
    batch_rows : int, default=None
        None: as `block_slices` does.
    holder : str, default=""
        What messages call X; by default they know of no batches, but of X alone.
    """

    def __init__(self, X, sample_weight=None, batch_rows: int | None = None, holder: str = ""):
        self._X = X
        self._holder = holder
        self._sample_weight = sample_weight
        self._batch_rows = batch_rows

    def __repr__(self):
        n_rows, n_features = self._X.shape
        return f"from_array: {n_rows} x {n_features}" + ("" if self._sample_weight is None else ", with weights")

    def batches_with_places(self):
        for rows in block_slices(self._X, self._batch_rows):
            X = rows_as_promised(self._X, rows)
            batch = X if self._sample_weight is None else (X, rows_of(self._sample_weight, rows))
            yield batch, Place(rows.start, self._holder)
