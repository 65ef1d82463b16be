"""Rows that the command line reads, and models that it reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fastgmm._estimator.base import MixtureEstimator
from fastgmm._input.batches import CheckedBatches
from fastgmm._input.containers import Reader
from fastgmm._input.files import local_files
from fastgmm._utils.files import check_path_to_write, whole_file
from fastgmm.batches import from_csv, from_npy, from_parquet

LOADED_BYTES = 2**28  # files that are not larger together are held in memory

_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".parq": "parquet", ".csv": "csv", ".npy": "npy"}


def reader_of(paths: Sequence[str], columns=None, sample_weight=None, keep=None, fitted=None) -> Reader:
    """A reader of files, of files in folders, or of one URL. All have one format.

    `fitted` are the names of the features of a model. They are the columns of a table if none are given.
    """
    formats = sorted({file_format for path in paths for file_format in _formats(path)})
    if len(formats) > 1:
        raise ValueError(f"there are {' and '.join(formats)} files in {', '.join(paths)}: name files of one format")
    if formats == ["npy"]:
        if columns is not None or sample_weight is not None or keep is not None:
            raise ValueError("columns of .npy files have no names: leave out --columns, --weights and --keep")
        return from_npy(paths)
    read = from_csv if formats == ["csv"] else from_parquet
    return read(paths[0] if len(paths) == 1 else paths, columns or fitted, sample_weight, keep=keep)


def _formats(path: str) -> list[str]:
    """The formats of the files in a folder, or of a file, by their endings."""
    if not Path(path).is_dir():
        suffix = Path(path).suffix.lower()
        if suffix not in _FORMATS:
            raise ValueError(f"{path!r} must be a folder, or a file that ends in one of {', '.join(_FORMATS)}")
        return [_FORMATS[suffix]]
    found = [file_format for file_format in ("parquet", "csv", "npy") if _has_files(path, file_format)]
    if not found:
        raise ValueError(f"there are no .parquet, .csv or .npy files in {path!r}")
    return found


def _has_files(folder: str, file_format: str) -> bool:
    try:
        return bool(local_files(folder, file_format))
    except ValueError:
        return False


def loaded_if_small(reader: Reader, paths: Sequence[str]) -> tuple[Any, np.ndarray | None]:
    """Rows and weights in memory, or the reader itself and None if its files are large."""
    if any("://" in path for path in paths) or sum(map(_size, paths)) > LOADED_BYTES:
        return reader, None
    columns = BaseEstimator()  # gets the names of the columns
    parts = list(CheckedBatches(columns, reader))
    if not parts:
        raise ValueError(f"there is no row of positive weight in {', '.join(paths)}")
    X = np.concatenate([rows for rows, _ in parts])
    weights = None if parts[0][1] is None else np.concatenate([weights for _, weights in parts])
    names = getattr(columns, "feature_names_in_", None)
    if names is not None:
        import pandas

        return pandas.DataFrame(X, columns=names), weights
    return X, weights


def _size(path: str) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = Path(path).rglob("*") if Path(path).is_dir() else [Path(path)]
    return sum(file.stat().st_size for file in files if file.is_file())


def check_output(path: str | None, inputs: Sequence[str]) -> None:
    """Raise an error if no file can be written at the path, or if it is one of the input files or would become one.

    This is known before hours of work.
    """
    if path is None:
        return
    check_path_to_write(path, "output", map(Path, inputs))
    for folder in inputs:
        if Path(path).suffix.lower() in _FORMATS and Path(folder).resolve() in Path(path).resolve().parents:
            raise ValueError(f"output={path!r} is in the input {folder!r}, and would become data: name another folder")


# Models --------------------------------------------------------------------------------------------------------------


def save_model(model: MixtureEstimator, path: str) -> None:
    """Write a model, as a whole or not at all."""
    with whole_file(path) as file:
        joblib.dump(model, file)


def load_model(path: str) -> Any:
    """A fitted mixture. Raises ValueError for anything else."""
    try:
        model = joblib.load(path)
    except OSError:
        raise
    except Exception as error:  # whatever a file that is no pickle, or one of other versions, leads to
        raise ValueError(f"{path!r} cannot be read as a model: {type(error).__name__}: {error}") from error
    if not isinstance(model, MixtureEstimator):
        raise ValueError(f"{path!r} holds no mixture of fastgmm, but {type(model).__name__}")
    check_is_fitted(model)
    return model
