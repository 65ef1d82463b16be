"""Readers for `fit_batches`: rows that are too many for memory, a batch at a time, as often as they are wanted.

Each reader is an object to iterate over, any number of times. What reads the files is pyarrow, h5py or whatever a
dataset comes from; here they are only cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fastgmm._batches import ArrayBatches, BatchProgress
from fastgmm._data_validation import check_weight_of_each_row
from fastgmm._validation import check_batch_rows

__all__ = ["BatchProgress", "from_array", "from_csv", "from_npy", "from_parquet"]

_BATCH_ROWS = 100_000


class _Reader:
    """An iterable that calls `read` anew each time."""

    def __init__(self, read):
        self._read = read

    def __iter__(self) -> Iterator:
        return self._read()


def from_array(X, sample_weight=None, *, batch_rows: int | None = None):
    """Slices of rows of anything that can be sliced: a memory map, a dataset of h5py or zarr.

    `fit` reads such arrays in the same way; this is for its other options, `callback` and `checkpoint`.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Only ``X.shape`` and ``X[start:stop]`` are used.
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
    return ArrayBatches(X, check_weight_of_each_row(sample_weight, X), batch_rows)


def from_npy(paths, *, batch_rows: int | None = None):
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
    files = _files(paths, "*.npy")

    def read():
        for file in files:
            yield from from_array(np.load(file, mmap_mode="r"), batch_rows=batch_rows)

    return _Reader(read)


def from_parquet(
    paths, columns: Sequence[str] | None = None, sample_weight: str | None = None, *, batch_rows=_BATCH_ROWS
):
    """Batches of columns of Parquet files, or of any dataset that pyarrow opens. Needs pyarrow.

    Parameters
    ----------
    paths : path, sequence of paths, or pyarrow.dataset.Dataset
        Files, a folder of them, or a dataset.
    columns : sequence of str, default=None
        Columns that are the features, in this order. None: all but `sample_weight`.
    sample_weight : str, default=None
        Column that holds the sample weights.
    batch_rows : int, default=100_000
        Largest number of rows of a batch.

    Returns
    -------
    batches : iterable
        Of pandas DataFrames, so that the fitted estimator knows the names of the features. A row group of a file is
        decoded as a whole.
    """
    return _from_dataset(paths, "parquet", columns, sample_weight, batch_rows)


def from_csv(paths, columns: Sequence[str] | None = None, sample_weight: str | None = None, *, batch_rows=_BATCH_ROWS):
    """Batches of columns of CSV files with a header. Needs pyarrow; parameters as in `from_parquet`."""
    return _from_dataset(paths, "csv", columns, sample_weight, batch_rows)


def _from_dataset(paths, file_format, columns, sample_weight, batch_rows):
    try:
        from pyarrow import dataset
    except ImportError as error:
        raise ImportError('Reading Parquet and CSV files needs pyarrow: pip install "fastgmm[arrow]"') from error
    check_batch_rows(batch_rows)
    source = paths if isinstance(paths, dataset.Dataset) else dataset.dataset(_as_given(paths), format=file_format)
    names = [name for name in source.schema.names if name != sample_weight] if columns is None else list(columns)
    for name in [*names, *([] if sample_weight is None else [sample_weight])]:
        if name not in source.schema.names:
            raise ValueError(f"There is no column {name!r}; there are {', '.join(source.schema.names)}.")
    wanted = names if sample_weight is None else [*names, sample_weight]

    # Left to itself Arrow reads many batches ahead: more than all the data, in a folder of small files.
    options = {"batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
    if file_format == "parquet":
        options["fragment_scan_options"] = dataset.ParquetFragmentScanOptions(pre_buffer=False)

    def read():
        for batch in source.to_batches(columns=wanted, batch_size=batch_rows, **options):
            frame = batch.to_pandas()
            yield frame[names] if sample_weight is None else (frame[names], frame[sample_weight].to_numpy())

    return _Reader(read)


def _as_given(paths):
    return str(paths) if isinstance(paths, str | Path) else [str(path) for path in paths]


def _files(paths, pattern: str) -> list[Path]:
    if not isinstance(paths, str | Path):
        files = [Path(path) for path in paths]
    else:
        files = sorted(Path(paths).glob(pattern)) if Path(paths).is_dir() else [Path(paths)]
    if not files:
        raise ValueError(f"There is no {pattern} in {paths}: pass files, or a folder that has some.")
    return files
