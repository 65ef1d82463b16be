"""Which kind of container the user's data are in: a frame, a dataset on disk, a dask collection, or an array.

A frame is recognized by its type, and before attributes are asked for: its columns may be attributes of any name. The
protocols that frames share are used, not their libraries, which need not be installed; narwhals, which knows all of
them, is a dependency of scikit-learn only from 1.9 on.
"""

from __future__ import annotations

import re
import sys
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

FLOAT_DTYPES = (np.float64, np.float32)

# Names of dtypes, of NumPy, pandas, polars and Arrow, whose values are numbers for certain.
_OF_NUMBERS = re.compile(r"(sparse\[)?(u?int\d|float|double|half_?float|bool)")


def is_frame(X) -> bool:
    """Whether X is a table with named columns, in the memory of this process or not."""
    kind = type(X)
    if hasattr(kind, "__dataframe__") or hasattr(kind, "__narwhals_dataframe__"):
        return True
    return hasattr(kind, "__arrow_c_stream__") and (hasattr(kind, "columns") or hasattr(kind, "column_names"))


def is_lazy_frame(X) -> bool:
    """Whether X is a query of polars, or of narwhals, whose rows have not been asked for."""
    return hasattr(type(X), "collect") and hasattr(type(X), "collect_schema")


def column_names(X) -> list | None:
    """The names of the columns of a frame; None if X is no frame."""
    if not is_frame(X):
        return None
    names = "column_names" if hasattr(type(X), "column_names") else "columns"  # columns of Arrow tables are arrays
    return list(getattr(X, names, ())) or None


def with_known_names(X):
    """X in a form whose column names scikit-learn knows: narwhals' frames are unwrapped, record batches of Arrow become
    tables, DataFrames of dask are computed."""
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
    """Number and values of each column of a frame whose dtype does not promise numbers."""
    arrow = hasattr(type(X), "column_names")
    dtypes = X.schema.types if arrow else getattr(X, "dtypes", ())
    for j, dtype in enumerate(dtypes):
        if _OF_NUMBERS.match(str(dtype).lower()):
            continue
        if hasattr(type(X), "iloc"):
            yield j, np.asarray(X.iloc[:, j])
        else:
            yield j, np.asarray(X.column(j) if arrow else X[X.columns[j]])


def rows_of(X, rows: slice):
    """Rows of a frame as a frame, by their numbers; rows of anything else as an array, masked or not."""
    if is_frame(X):
        return X.iloc[rows] if hasattr(type(X), "iloc") else X[rows]
    return in_memory(X[rows])


def in_memory(values) -> np.ndarray:
    """An array, masked if the values are. (Conversions of NumPy and dask lose masks.)"""
    values = np.asanyarray(values.compute() if is_dask_collection(values) else values)
    return values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)


def is_mapping_of_arrays(X) -> bool:
    """Whether X has arrays by name: a dict, or what h5py, numpy.savez and zarr have in place of one."""
    if issparse(X) or is_frame(X):  # some sparse formats are dicts
        return False
    return isinstance(X, Mapping) or hasattr(type(X), "require_group")


def is_dask_collection(X) -> bool:
    """Whether X is a dask collection, or holds one. Nobody has one who has not imported dask."""
    dask = sys.modules.get("dask")
    return dask is not None and hasattr(type(X), "__dask_graph__") and dask.is_dask_collection(X)


def has_shape(X) -> bool:
    """Whether X has a shape as arrays have it."""
    shape = getattr(X, "shape", None)
    return isinstance(shape, tuple) and all(isinstance(length, Integral) for length in shape)


def is_read_in_blocks(X) -> bool:
    """Whether the rows of X are read block by block, since kernels cannot read X in place and it is not in memory.

    That holds for datasets of h5py and zarr, dask arrays with known chunks, and memory maps of other dtypes or orders.
    """
    if isinstance(X, np.memmap):
        return X.ndim == 2 and not (X.dtype in FLOAT_DTYPES and X.flags.c_contiguous and X.flags.aligned)
    if isinstance(X, np.ndarray) or issparse(X) or is_frame(X) or is_mapping_of_arrays(X):
        return False
    if hasattr(X, "__array_interface__") or hasattr(X, "__dlpack__"):  # in memory, if not in that of the CPU
        return False
    return hasattr(X, "dtype") and hasattr(X, "__getitem__") and has_shape(X) and len(X.shape) == 2


def chunk_rows(X) -> int | None:
    """The number of rows of a chunk if X is stored in chunks, as datasets of h5py and zarr are."""
    chunks = getattr(X, "chunks", None)
    if isinstance(chunks, tuple | list) and chunks and isinstance(chunks[0], int):
        return chunks[0]
    return None


# Readers -------------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where the rows of a batch come from, for messages.

    Attributes
    ----------
    first_row : int
        Number of the first row of the batch there.
    holder : str
        What the rows are in, such as a file.
    name : str
        Its name, if it has one.
    weights : str
        The name of the column of weights, if they come from one.
    """

    first_row: int
    holder: str
    name: str = ""
    weights: str = ""


class Reader:
    """An iterable of batches. A batch is rows, or a tuple of rows and weights."""

    def __iter__(self) -> Iterator:
        return (batch for batch, _ in self.batches_with_places())

    @abstractmethod
    def batches_with_places(self) -> Iterator[tuple[Any, Place]]:
        """Each batch, and where it comes from."""
