"""Readers of rows that do not fit in memory.

A reader yields batches of rows, any number of times. Pass it to `fit`, `predict` and the other methods of a mixture in
place of an array. pyarrow, h5py or the library of a dataset reads the files; a reader only cuts them into batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, TypeAlias

from numpy.typing import ArrayLike

from fastgmm._input.batches import check_batch_rows
from fastgmm._input.blocks import ArrayBatches
from fastgmm._input.containers import Reader
from fastgmm._input.files import NpyReader
from fastgmm._input.rows import check_sliceable, check_weight_of_each_row
from fastgmm._utils.annotations import Sliceable

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

__all__ = ["from_array", "from_csv", "from_npy", "from_parquet"]

Paths: TypeAlias = str | PathLike[str] | Sequence[str | PathLike[str]]

_BATCH_ROWS = 100_000


def from_array(
    X: Sliceable, sample_weight: ArrayLike | Sliceable | None = None, *, batch_rows: int | None = None
) -> Reader:
    """Read a memory map, a dataset of h5py or zarr, or another array that can be sliced, in batches.

    `fit` reads such arrays in the same way. Use a reader to choose the size of the batches, or to pass the array to
    `fit_batches` with a checkpoint.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        It needs ``X.shape`` and ``X[start:stop]``. ``X.dtype`` and ``X.chunks`` are used if they exist.
    sample_weight : array of shape (n_samples,), default=None
        How often each row counts. It is sliced as X is.
    batch_rows : int, default=None
        Number of rows of a batch. None: about 32 MiB, in whole chunks if the dataset is stored in chunks.

    Returns
    -------
    reader : iterable of ndarray of shape (n_rows, n_features), or of tuples of such an array and weights

    Raises
    ------
    TypeError
        If X has no shape or cannot be sliced.
    ValueError
        If X has not two dimensions, or `sample_weight` has another length.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.batches import from_array
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> reader = from_array(X, batch_rows=300)
    >>> gmm = GaussianMixture(n_components=2, random_state=0).fit_batches(reader)
    >>> gmm.means_.shape
    (2, 2)
    """
    if batch_rows is not None:
        check_batch_rows(batch_rows)
    check_sliceable(X)
    return ArrayBatches(X, check_weight_of_each_row(sample_weight, X), batch_rows, holder="array")


def from_npy(paths: Paths, *, batch_rows: int | None = None) -> Reader:
    """Read .npy files in batches. The files are memory-mapped.

    Parameters
    ----------
    paths : path, or sequence of paths
        Files, read in this order, or a folder. Its .npy files are read in the order of their names.
    batch_rows : int, default=None
        Number of rows of a batch. None: about 32 MiB.

    Returns
    -------
    reader : iterable of ndarray of shape (n_rows, n_features)

    Raises
    ------
    ValueError
        If a file does not hold rows of numbers, or files differ in their number of columns.
    OSError
        If a file does not exist or cannot be read.
    """
    if batch_rows is not None:
        check_batch_rows(batch_rows)
    return NpyReader(paths, batch_rows)


def from_parquet(
    paths: Paths | Dataset,
    columns: str | Sequence[str] | None = None,
    sample_weight: str | None = None,
    *,
    keep: bool | str | Sequence[str] | None = None,
    batch_rows: int = _BATCH_ROWS,
) -> Reader:
    """Read columns of Parquet files, or of another dataset of pyarrow, in batches. Needs pyarrow and pandas.

    Parameters
    ----------
    paths : path, sequence of paths, or pyarrow.dataset.Dataset
        Files, read in this order; a folder; or a dataset. In a folder and in the folders below it, files that end in
        .parquet, .pq or .parq are read, in the order of their paths.
    columns : str or sequence of str, default=None
        Columns that are the features, in this order. None: all columns except `sample_weight`, and except an index that
        pandas wrote.
    sample_weight : str, default=None
        Column that holds the sample weights. They do not change the labels and densities of rows.
    keep : True, str or sequence of str, default=None
        Columns that come first in a table of results, such as a key. True: all columns of the files. They only matter
        if a mixture writes its results to a file that ends in .parquet or .csv. They may hold anything, in the same
        type in all files.
    batch_rows : int, default=100_000
        Largest number of rows of a batch.

    Returns
    -------
    reader : iterable of DataFrame, or of tuples of a DataFrame and weights
        The estimator that it is fitted to gets the names of the features. A row group of a file is decoded as a whole.

    Raises
    ------
    ImportError
        If pyarrow or pandas is not installed.
    ValueError
        If a file lacks a column, or a column does not hold numbers.
    OSError
        If a file does not exist or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.batches import from_parquet
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = folder.name + "/rows.parquet"
    >>> table = pd.DataFrame({"key": list("abcd"), "x": [0.0, 0.1, 8.0, 8.1]})
    >>> table.to_parquet(path)
    >>> reader = from_parquet(path, columns="x", keep="key")
    >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(reader)
    >>> labels = gmm.predict(reader, out=folder.name + "/labels.parquet")
    >>> list(pd.read_parquet(labels))
    ['key', 'component']
    >>> folder.cleanup()
    """
    return _from_tables(paths, "parquet", columns, sample_weight, keep, batch_rows)


def from_csv(
    paths: Paths | Dataset,
    columns: str | Sequence[str] | None = None,
    sample_weight: str | None = None,
    *,
    keep: bool | str | Sequence[str] | None = None,
    batch_rows: int = _BATCH_ROWS,
) -> Reader:
    """Read columns of CSV files with a header in batches. Needs pyarrow and pandas.

    Parameters
    ----------
    paths : path, sequence of paths, or pyarrow.dataset.Dataset
        As in `from_parquet`. In a folder, files that end in .csv are read. For another separator, or without names in
        the first line, pass a dataset: ``pyarrow.dataset.dataset(paths, format=pyarrow.dataset.CsvFileFormat(...))``
        with ``parse_options=pyarrow.csv.ParseOptions(delimiter=";")`` or
        ``read_options=pyarrow.csv.ReadOptions(autogenerate_column_names=True)``.
    columns : str or sequence of str, default=None
        As in `from_parquet`. None: all columns except `sample_weight`, and except a first column without a name, which
        is an index that pandas wrote.
    sample_weight : str, default=None
        Column that holds the sample weights. They do not change the labels and densities of rows.
    keep : True, str or sequence of str, default=None
        As in `from_parquet`. The first rows of the first file decide the types.
    batch_rows : int, default=100_000
        Largest number of rows of a batch.

    Returns
    -------
    reader : iterable of DataFrame, or of tuples of a DataFrame and weights

    Raises
    ------
    ImportError, ValueError, OSError
        As in `from_parquet`.
    """
    return _from_tables(paths, "csv", columns, sample_weight, keep, batch_rows)


def _from_tables(paths, file_format: str, columns, sample_weight, keep, batch_rows) -> Reader:
    check_batch_rows(batch_rows)
    try:
        from fastgmm._input.tables import TableReader
    except ImportError as error:
        raise ImportError(
            "Reading Parquet and CSV files needs pyarrow and pandas: python -m pip install pyarrow pandas"
        ) from error
    return TableReader(paths, file_format, columns, sample_weight, keep, batch_rows)
