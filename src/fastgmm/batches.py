"""Readers of rows that do not fit in memory.

A reader is an object to iterate over, any number of times: it yields batches of rows. What reads the files is pyarrow,
h5py or whatever a dataset comes from; here they are only cut into batches.
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
    """Slices of rows of anything that can be sliced: a memory map, a dataset of h5py or zarr.

    `fit` reads such arrays in the same way; this is for its other options, `callback` and `checkpoint`.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Only ``X.shape``, ``X[start:stop]`` and, if there are such, ``X.dtype`` and ``X.chunks`` are used.
    sample_weight : array of shape (n_samples,), default=None
        How often each row counts; sliced as X is.
    batch_rows : int, default=None
        Number of rows of a batch. None: about 32 MiB, and whole chunks of a dataset that is stored in chunks.

    Returns
    -------
    batches : iterable

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.batches import from_array
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> gmm = GaussianMixture(n_components=2, random_state=0).fit_batches(from_array(X, batch_rows=300))
    >>> gmm.means_.shape
    (2, 2)
    """
    if batch_rows is not None:
        check_batch_rows(batch_rows)
    check_sliceable(X)
    return ArrayBatches(X, check_weight_of_each_row(sample_weight, X), batch_rows, holder="array")


def from_npy(paths: Paths, *, batch_rows: int | None = None) -> Reader:
    """Slices of rows of .npy files, which are memory-mapped.

    Parameters
    ----------
    paths : path, or sequence of paths
        Files, read in this order, or a folder, whose .npy files are read in the order of their names.
    batch_rows : int, default=None
        Number of rows of a batch. None: about 32 MiB.

    Returns
    -------
    batches : iterable
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
    """Batches of columns of Parquet files, or of any dataset that pyarrow opens. Needs pyarrow and pandas.

    Parameters
    ----------
    paths : path, sequence of paths, or pyarrow.dataset.Dataset
        Files, read in this order; a folder, whose files called .parquet, .pq or .parq, in folders below it too, are
        read in the order of their paths; or a dataset.
    columns : str or sequence of str, default=None
        Columns that are the features, in this order; a str is one column. None: all but `sample_weight` and what pandas
        wrote as the index of a frame.
    sample_weight : str, default=None
        Column that holds the sample weights. Labels and densities of rows do not depend on it.
    keep : True, str or sequence of str, default=None
        Columns that a table of results holds too, such as a key; they come first. True: all columns of the files. They
        matter only if a mixture writes labels, probabilities or densities to a file that ends in .parquet or .csv, and
        may hold anything, but must have the same type in all files.
    batch_rows : int, default=100_000
        Largest number of rows of a batch.

    Returns
    -------
    batches : iterable
        Of pandas DataFrames, or of tuples of a DataFrame and weights, so that the fitted estimator knows the names of
        the features. A row group of a file is decoded as a whole.

    Raises
    ------
    ValueError
        If a column is not there, in one of the files, or does not hold numbers.
    OSError
        If a file is not there, or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.batches import from_parquet
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = folder.name + "/rows.parquet"
    >>> pd.DataFrame({"key": ["a", "b", "c", "d"], "x": [0.0, 0.1, 8.0, 8.1]}).to_parquet(path)
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
    """Batches of columns of CSV files with a header. Needs pyarrow and pandas.

    Parameters
    ----------
    paths : path, sequence of paths, or pyarrow.dataset.Dataset
        As in `from_parquet`; in a folder files called .csv are read. Files with another separator can be read as a
        dataset: ``pyarrow.dataset.dataset(paths, format=pyarrow.dataset.CsvFileFormat(...))``.
    columns : str or sequence of str, default=None
        As in `from_parquet`. None: all but `sample_weight` and a first column without a name, which is how pandas
        writes an index.
    sample_weight : str, default=None
        Column that holds the sample weights. Labels and densities of rows do not depend on it.
    keep : True, str or sequence of str, default=None
        As in `from_parquet`. The first rows of the first file decide the types.
    batch_rows : int, default=100_000
        Largest number of rows of a batch.

    Returns
    -------
    batches : iterable
        As of `from_parquet`.

    Raises
    ------
    ValueError, OSError
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
