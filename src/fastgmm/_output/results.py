"""Results of rows that come block by block: the kind of results for what the user passed as `out`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO

from fastgmm._output.arrays import FilledArray, PartsOfResults
from fastgmm._output.npy import NpyFile
from fastgmm._output.protocol import Results
from fastgmm._utils.files import check_path_to_write, whole_file

_FILES = (".npy", ".parquet", ".csv")


@contextmanager
def open_results(
    out, n_rows: int | None, name: str, largest: int, kept_schema, sources: Sequence[Path] = ()
) -> Iterator[Results]:
    """Results of `n_rows` rows, in what the user passed as `out`. A file is there at the end, unless an error came.

    Parameters
    ----------
    out : array, dataset, path or None
        None: a new array.
    n_rows : int or None
        None if it is not known yet.
    name : str
        Of the columns in a table.
    largest : int
        Largest result, if results are integers.
    kept_schema : pyarrow.Schema or None
        Columns of the source that tables hold too.
    sources : sequence of Path
        Files that hold the rows. They are not replaced.
    """
    if isinstance(out, str | PathLike):
        suffix = check_result_path(out, sources)
        with whole_file(out) as file:
            if suffix == ".npy":
                yield NpyFile(out, file)
            else:
                with _table(out, file, suffix, name, kept_schema) as table:
                    yield table
    elif out is None and n_rows is None:
        yield PartsOfResults()
    else:
        yield FilledArray(out, n_rows, largest)


def check_result_path(path: str | PathLike, sources: Sequence[Path] = ()) -> str:
    """The ending of the path of a file of results, which says its format. Raises an error if there cannot be one."""
    suffix = Path(path).suffix.lower()
    if suffix not in _FILES:
        raise ValueError(f"out={str(path)!r} must end in one of {', '.join(_FILES)}, which says the format.")
    check_path_to_write(path, "out", sources)
    return suffix


def _table(path, file: IO[bytes], suffix: str, name: str, kept_schema):
    """The results in a table."""
    try:
        from fastgmm._output.tables import Table
    except ImportError as error:
        raise ImportError(f"Writing {suffix} files needs pyarrow: python -m pip install pyarrow") from error
    return Table(path, file, suffix, name, kept_schema)
