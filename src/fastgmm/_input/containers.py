"""Kinds of containers of the user's data: arrays, frames, datasets on disk, dask collections; and readers.

Tests for a frame look at its type, and come before tests of attributes: columns may be attributes of any name. They use
the protocols that frames share; the libraries of frames need not be installed. (narwhals knows them all, but
scikit-learn depends on it only from 1.9 on.)
"""

from __future__ import annotations

import re
import sys
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

FLOAT_DTYPES = (np.float64, np.float32)

# Names of numeric dtypes in NumPy, pandas, polars and Arrow.
_NUMERIC_DTYPES = re.compile(r"(sparse\[)?(u?int\d|float|double|half_?float|bool)")


def is_frame(X) -> bool:
    """Whether X is a table with named columns, in memory or elsewhere."""
    kind = type(X)
    if hasattr(kind, "__dataframe__") or hasattr(kind, "__narwhals_dataframe__"):
        return True
    return hasattr(kind, "__arrow_c_stream__") and (hasattr(kind, "columns") or hasattr(kind, "column_names"))


def is_lazy_frame(X) -> bool:
    """Whether X is a query of polars or narwhals that has not been run."""
    return hasattr(type(X), "collect") and hasattr(type(X), "collect_schema")


def column_names(X) -> list | None:
    """The names of the columns of a frame; None for anything else."""
    if not is_frame(X):
        return None
    names = "column_names" if hasattr(type(X), "column_names") else "columns"  # columns of Arrow tables are arrays
    return list(getattr(X, names, ())) or None


def with_known_names(X):
    """A frame whose column names scikit-learn can read; anything else as it is.

    Frames of narwhals are unwrapped, record batches of Arrow become tables, DataFrames of dask are computed."""
    if not is_frame(X):
        return X
    if is_dask_collection(X):
        X = X.compute()
    if hasattr(type(X), "to_native"):
        X = X.to_native()
    if hasattr(type(X), "column_names") and hasattr(type(X), "__arrow_c_array__"):  # a RecordBatch
        X = sys.modules["pyarrow"].Table.from_batches([X])
    return X


def doubtful_columns(X) -> Iterator[tuple[int, np.ndarray]]:
    """Number and values of each column of a frame that may hold something else than numbers."""
    arrow = hasattr(type(X), "column_names")
    dtypes = X.schema.types if arrow else getattr(X, "dtypes", ())
    for j, dtype in enumerate(dtypes):
        if _NUMERIC_DTYPES.match(str(dtype).lower()):
            continue
        if hasattr(type(X), "iloc"):
            yield j, np.asarray(X.iloc[:, j])
        else:
            yield j, np.asarray(X.column(j) if arrow else X[X.columns[j]])


def rows_of(X, rows: slice):
    """Rows of X by their numbers: of a frame as a frame, of anything else as an array, masked if X is."""
    if is_frame(X):
        return X.iloc[rows] if hasattr(type(X), "iloc") else X[rows]
    return in_memory(X[rows])


def in_memory(values) -> np.ndarray:
    """The values as an array, masked if they are. (Conversions of NumPy and dask lose masks.)"""
    values = np.asanyarray(values.compute() if is_dask_collection(values) else values)
    return values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)


def is_mapping_of_arrays(X) -> bool:
    """Whether X maps names to arrays: a dict, or a file or group of h5py, numpy.savez or zarr."""
    if issparse(X) or is_frame(X):  # some sparse formats are dicts
        return False
    return isinstance(X, Mapping) or hasattr(type(X), "require_group")


def is_dask_collection(X) -> bool:
    """Whether X is a dask collection, or holds one. Only programs that have imported dask have one."""
    dask = sys.modules.get("dask")
    return dask is not None and hasattr(type(X), "__dask_graph__") and dask.is_dask_collection(X)


def has_shape(X) -> bool:
    """Whether X has a shape, a tuple of integers."""
    shape = getattr(X, "shape", None)
    return isinstance(shape, tuple) and all(isinstance(length, Integral) for length in shape)


def is_read_in_blocks(X) -> bool:
    """Whether X is not in memory and kernels cannot read it in place, so its rows are read block by block.

    That holds for datasets of h5py and zarr, dask arrays with known chunks, and memory maps of other dtypes or orders.
    """
    if isinstance(X, np.memmap):
        return X.ndim == 2 and not (X.dtype in FLOAT_DTYPES and X.flags.c_contiguous and X.flags.aligned)
    if isinstance(X, np.ndarray) or issparse(X) or is_frame(X) or is_mapping_of_arrays(X):
        return False
    if hasattr(X, "__array_interface__") or hasattr(X, "__dlpack__"):  # in memory, of the CPU or another device
        return False
    return hasattr(X, "dtype") and hasattr(X, "__getitem__") and has_shape(X) and len(X.shape) == 2


def chunk_rows(X) -> int | None:
    """Rows of a chunk if X is stored in chunks, as datasets of h5py and zarr are; else None."""
    chunks = getattr(X, "chunks", None)
    if isinstance(chunks, tuple | list) and chunks and isinstance(chunks[0], int):
        return chunks[0]
    return None


def files_of(X) -> list[Path]:
    """The local files that hold the rows of a reader or a memory map, as far as they are known."""
    if isinstance(X, Reader):
        return X.files
    name = getattr(X, "filename", None) if isinstance(X, np.memmap) else None
    return [] if name is None else [Path(name)]


# Readers -------------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where the rows of a batch come from, for messages."""

    first_row: int  # number of the batch's first row in the holder
    holder: str  # kind of thing that holds the rows, such as "file"
    name: str = ""  # of the holder
    weights: str = ""  # name of the column that holds the weights


class Reader:
    """An iterable of batches. A batch is rows, or a tuple of rows and weights.

    Attributes
    ----------
    kept_schema : pyarrow.Schema or None
        Columns that tables of results hold too.
    """

    kept_schema: Any = None

    @property
    def files(self) -> list[Path]:
        """The local files that are read, as far as they are known."""
        return []

    @property
    def n_rows(self) -> int | None:
        """Number of all rows; None if only reading them would tell."""
        return None

    def __iter__(self) -> Iterator:
        return (batch for batch, _ in self.batches_with_places())

    def batches_with_kept(self) -> Iterator[tuple[Any, Place, Any]]:
        """As `batches_with_places`, with a record batch of the columns that tables of results hold too, or None."""
        return ((batch, place, None) for batch, place in self.batches_with_places())

    @abstractmethod
    def batches_with_places(self) -> Iterator[tuple[Any, Place]]:
        """Pairs of a batch and the place that it comes from."""
