"""Rows of .npy files, and lists of files for all readers."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import numpy as np

from fastgmm._input.blocks import block_slices
from fastgmm._input.containers import Place, Reader, is_frame
from fastgmm._utils.words import counted

# Names of the files of a format in a folder.
_PATTERNS = {"npy": ("*.npy",), "parquet": ("**/*.parquet", "**/*.pq", "**/*.parq"), "csv": ("**/*.csv",)}


class NpyReader(Reader):
    """Batches of rows of .npy files, which are memory-mapped."""

    def __init__(self, paths, batch_rows: int | None):
        self._files = local_files(paths, "npy")
        self._batch_rows = batch_rows

    def __repr__(self):
        return f"from_npy: {in_words(self._files)}{size_in_words(self)}"

    @property
    def files(self) -> list[Path]:
        return self._files

    @property
    def n_rows(self) -> int:
        return sum(len(_mapped(file)) for file in self._files)

    def batches_with_places(self):
        for file in self._files:
            array = _mapped(file)
            for rows in block_slices(array, self._batch_rows):
                yield np.asarray(array[rows]), Place(rows.start, "file", repr(str(file)))


def _mapped(file: Path) -> np.ndarray:
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except ValueError as error:
        raise ValueError(f"{str(file)!r} cannot be read as a .npy file of numbers: {error}") from error
    if array.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead: {str(file)!r} holds one of shape {array.shape}. Save "
            "rows of features."
        )
    return array


# Files ---------------------------------------------------------------------------------------------------------------


def in_words(files: list) -> str:
    """The names of the first and last file, for messages."""
    if len(files) == 1:
        return repr(str(files[0]))
    return f"{len(files)} files from {str(files[0])!r} to {str(files[-1])!r}"


def size_in_words(reader: Reader) -> str:
    """The number of rows as a further part of a representation. It is empty if the number is not known."""
    try:
        n_rows = reader.n_rows
    except (OSError, ValueError):  # reading the rows will say what is wrong with the files
        return ""
    return "" if n_rows is None else f"; {counted(n_rows, 'row')}"


def local_files(paths, file_format: str) -> list[Path]:
    """Paths of the given files, and of files in given folders, sorted by name. Raises an error if there are none."""
    given = [paths] if isinstance(paths, str | PathLike) else _listed_paths(paths)
    files = [file for path in given for file in _files_of(Path(path), file_format)]
    if not files:
        raise ValueError(f"There is no *.{file_format} in {paths}: pass files, or a folder that has some.")
    return files


def _listed_paths(paths) -> list:
    wrong = f"paths must be a path or a sequence of paths, got {type(paths).__name__}"
    if is_frame(paths) or isinstance(paths, Mapping | Reader) or getattr(paths, "ndim", 1) != 1:
        raise TypeError(f"{wrong}: what is in memory is passed to fit, and batches to fit_batches.")
    try:
        given = list(paths)
    except TypeError as error:
        raise TypeError(f"{wrong}.") from error
    for path in given:
        if not isinstance(path, str | PathLike):
            raise TypeError(f"{wrong} that holds {path!r}.")
    return given


def _files_of(path: Path, file_format: str) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"There is no file {str(path)!r}: pass the path of a file, or of a folder of some.")
        return [path]
    found = (file for pattern in _PATTERNS[file_format] for file in path.glob(pattern) if file.is_file())
    # As Arrow does, leave out hidden files and those that programs put beside the data.
    return sorted(f for f in found if not any(part.startswith((".", "_")) for part in f.relative_to(path).parts))
