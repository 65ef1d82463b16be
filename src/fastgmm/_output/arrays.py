"""Results in arrays and datasets."""

from __future__ import annotations

import numpy as np

from fastgmm._input.containers import has_shape, is_frame
from fastgmm._output.protocol import Results
from fastgmm._utils.words import counted


class PartsOfResults(Results):
    """A new array of results, whose length is found out."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []

    def put(self, values, kept=None):
        self._parts.append(values)

    def finish(self):
        return np.concatenate(self._parts)


class FilledArray(Results):
    """Results in an array or dataset of known length: `out`, or a new one."""

    def __init__(self, out, n_rows: int | None, largest: int):
        self._out = out
        self._n_rows = n_rows
        self._largest = largest
        self._end = 0

    def put(self, values, kept=None):
        begin, self._end = self._end, self._end + len(values)
        if begin == 0:
            if self._out is None and len(values) == self._n_rows:
                self._out = values
                return
            self._begin(values)
        assert self._n_rows is not None
        if self._end > self._n_rows:
            raise self._wrong_length(f"more than the {counted(self._n_rows, 'row')}")
        self._out[begin : self._end] = values

    def _begin(self, values: np.ndarray) -> None:
        """Make the array, or check the given one."""
        if self._out is None:
            self._out = np.empty((self._n_rows, *values.shape[1:]), values.dtype)
            return
        n_rows = self._n_rows
        if n_rows is None:  # the end of the rows will tell
            n_rows = self._out.shape[0] if has_shape(self._out) and self._out.shape else len(values)
        check_out(self._out, (n_rows, *values.shape[1:]), values.dtype, self._largest)
        self._n_rows = n_rows

    def finish(self):
        assert self._n_rows is not None
        if self._end < self._n_rows:
            raise self._wrong_length(f"{counted(self._end, 'row')} in place of the {self._n_rows:,}")
        return self._out

    @staticmethod
    def _wrong_length(found: str) -> ValueError:
        return ValueError(
            f"X gave {found} that out has room for, or that its files promised: pass an out that has one entry for "
            "each row of X, and do not change files while they are read."
        )


def check_out(out, shape: tuple[int, ...], dtype, largest: int) -> None:
    """Raise TypeError or ValueError unless `out` can hold results of this shape and dtype, integers up to `largest`."""
    is_array = hasattr(out, "__setitem__") and hasattr(out, "dtype") and has_shape(out)
    if is_frame(out) or not is_array:
        raise TypeError(
            f"out must be an array that can be written to, got {type(out).__name__}: pass np.empty({shape}), or the "
            "path of a file."
        )
    if tuple(out.shape) != shape:
        raise ValueError(f"out has the shape {tuple(out.shape)}, but the result has {shape}: pass np.empty({shape}).")
    if np.issubdtype(out.dtype, np.integer) and np.issubdtype(dtype, np.integer):
        fits = np.iinfo(out.dtype).max >= largest
    else:
        fits = np.can_cast(dtype, out.dtype, "same_kind")
    if not fits:
        raise ValueError(f"out has the dtype {out.dtype}, which cannot hold the result: use {np.dtype(dtype)}.")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError("out is read-only: pass an array that can be written to, such as a memory map in mode 'r+'.")
