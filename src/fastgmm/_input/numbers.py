"""Checks that values are finite numbers. Messages name what else they are, and the place of the first one.

scikit-learn's checks do not suffice: they convert strings of digits, bytes, dates and masked entries to numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import Bunch
from sklearn.utils.validation import check_array

from fastgmm._input.containers import (
    Reader,
    column_names,
    doubtful_columns,
    has_shape,
    in_memory,
    is_dask_collection,
    is_frame,
    is_lazy_frame,
    is_mapping_of_arrays,
)

_READERS = {".parquet": "from_parquet", ".pq": "from_parquet", ".csv": "from_csv", ".npy": "from_npy"}
_TIMES = (np.datetime64, np.timedelta64)
_NO_NUMBERS = (*_TIMES, str, bytes, complex, np.complexfloating, np.ndarray)  # NumPy's have a method __float__, too
_MISSING = "Drop such rows, or fill in what is missing."
_MISSING_IN_ROWS = 'Drop such rows, or fill in what is missing, or set missing="marginalize" if the estimator has it.'
_RESCALE = "Drop such rows, or rescale the columns."


class Source(NamedTuple):
    """Where values come from, for messages."""

    name: str  # of the parameter that holds the values
    columns: Sequence | None = None  # names of the columns
    first_row: int = 0  # number of the first row
    part: str = ""  # "batch", "chunk" or "file" if rows are numbered within one of these, not within the parameter

    def place(self, index: tuple[int, ...]) -> str:
        """The place of a value, in words."""
        part = f" of the {self.part}" if self.part else ""
        if len(index) == 1:
            column = f", column {self.columns[0]!r}" if self.columns else ""
            return f"entry {index[0] + self.first_row}{part}{column}"
        if len(index) != 2:
            return f"entry {index}"
        row, j = index
        name = j if self.columns is None or j >= len(self.columns) else repr(self.columns[j])
        return f"row {row + self.first_row}{part}, column {name}"

    def first_of(self, mask: np.ndarray, what: str) -> str:
        """How many values the mask marks, and the place of the first, in words. `what` says what they are."""
        count = int(np.count_nonzero(mask))
        place = self.place(tuple(int(i) for i in np.unravel_index(np.argmax(mask), mask.shape)))
        return f"1 value is {what}, in {place}" if count == 1 else f"{count} values are {what}, the first in {place}"


def is_numeric_array(X) -> bool:
    """Whether X is a NumPy array, but no instance of a subclass, with a dtype of real numbers."""
    return type(X) is np.ndarray and X.dtype.kind in "biuf"


def check_numbers(X, source: Source, may_miss_values: bool = False):
    """Return X; raise ValueError or TypeError, naming the place, if it holds something else than numbers.

    A list is returned as an array, masked if one of its rows is. Objects that stand for a missing value become NaN if
    values may be missing; otherwise that is for `located` to refuse.
    """
    if is_numeric_array(X):
        return X
    if may_miss_values:
        X = with_nan(X)
    if isinstance(X, np.ndarray):
        _check_array(X, source)
    elif is_frame(X):
        _check_frame(X, source)
    elif isinstance(X, list | tuple):
        return _checked_list(X, source)
    elif not issparse(X) and hasattr(X, "__array__") and not _is_numeric_series(X):
        values = in_memory(X)
        _check_array(values, source)
        return values if is_numeric_array(values) else X
    return X


def _is_numeric_series(X) -> bool:
    """Whether X is a Series of pandas with a dtype of real numbers. Missing values are reported as NaN."""
    kind = getattr(getattr(X, "dtype", None), "kind", "O")
    return hasattr(type(X), "iloc") and kind in "biuf"


def _checked_list(X, source: Source):
    try:
        masked = any(isinstance(row, np.ma.MaskedArray) for row in X)
        values = np.ma.stack(X) if masked else np.asarray(X)
    except TypeError:  # no common dtype, as of numbers and dates
        values = np.asarray(X, dtype=object)
    except ValueError as error:
        raise ValueError(f"{error} Pass {source.name} with equally many numbers in each row.") from error
    if values.dtype.kind in "USMm":  # numbers among strings have become strings
        values = np.asarray(X, dtype=object)
    _check_array(values, source)
    return values if values.dtype.kind == "O" else values.astype(np.float64, copy=False)


def _check_frame(X, source: Source) -> None:
    names = column_names(X)
    if not names:
        raise ValueError(
            f"Found array with 0 feature(s) (shape={tuple(getattr(X, 'shape', (0, 0)))}) while a minimum of 1 is "
            f"required: {source.name} is a {type(X).__name__} without columns."
        )
    for j, values in doubtful_columns(X):
        _check_array(_entries(values).reshape(-1, 1), source._replace(columns=[names[j]]))


def _entries(values: np.ndarray) -> np.ndarray:
    """A column as a 1-D array: one object for each entry that is an array or a struct."""
    if values.ndim == 1 and values.dtype.names is None:
        return values
    entries = np.empty(len(values), object)
    for i, entry in enumerate(values.tolist()):  # a single assignment would take them apart
        entries[i] = entry
    return entries


def _check_array(values: np.ndarray, source: Source) -> None:
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            f"Input {source.name} contains masked entries. "
            f"{source.first_of(np.ma.getmaskarray(values), 'masked')}. Drop what is masked, or fill it in."
        )
    dtype = values.dtype
    if dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {source.name} has the dtype {dtype}. Pass real and imaginary parts as "
            "columns of their own."
        )
    if dtype.names is not None:
        raise TypeError(
            f"Cannot cast array data from {dtype!r} to {np.dtype(np.float64)!r}: {source.name} is a structured array. "
            f"Pass numpy.lib.recfunctions.structured_to_unstructured({source.name})."
        )
    if dtype.kind == "V":
        raise ValueError(
            f"setting an array element with a sequence: {source.name} has the dtype {dtype}, bytes without a type. If "
            f"they are numbers, pass for example {source.name}.view(numpy.float64)."
        )
    if dtype.kind in "USTMm" and values.size == 0:
        where = f"column {source.columns[0]!r} of {source.name}" if source.columns else source.name
        raise ValueError(f"The dtype of {where} is {dtype}: pass numbers.")
    if dtype.kind in "OUSTMm":
        _check_objects(np.asarray(values), source)


def _check_objects(values: np.ndarray, source: Source) -> None:
    kinds = {values.dtype.type} if values.dtype.kind != "O" else set(map(type, values.flat))
    refused = {kind for kind in kinds if not _is_number(kind)}
    if refused:
        places = [index for index in np.ndindex(values.shape) if type(values[index]) in refused]
        worse = (index for index in places if not _is_text_of_number(values[index]))
        index = next(worse, places[0])
        raise _no_number(values[index], source.place(index), source.name)
    if any(map(_is_na, kinds)):
        mask = np.array([_is_na(type(value)) for value in values.flat]).reshape(values.shape)
        raise ValueError(f"Input {source.name} contains NaN. {source.first_of(mask, 'NaN')}. {_remedy(source)}")
    try:
        with np.errstate(over="ignore"):  # a long double beyond float64 becomes infinite, which is refused later
            values.astype(np.float64)
    except OverflowError:
        mask = np.array([_is_too_large(value) for value in values.flat]).reshape(values.shape)
        raise ValueError(
            f"Input {source.name} contains infinity. {source.first_of(mask, 'too large for float64')}. {_RESCALE}"
        ) from None


def _is_too_large(value) -> bool:
    """Whether a number, such as an integer of 400 digits, exceeds the range of float64."""
    try:
        float(value)
    except OverflowError:
        return True
    return False


def _is_number(kind: type) -> bool:
    """Whether objects of a type are numbers or missing values. The latter are reported as NaN."""
    if issubclass(kind, _NO_NUMBERS):
        return False
    return kind is type(None) or _is_na(kind) or hasattr(kind, "__float__") or hasattr(kind, "__index__")


def _is_na(kind: type) -> bool:
    """Whether a type is that of pandas.NA, which NumPy cannot convert."""
    return kind.__name__ == "NAType"


def with_nan(X):
    """X with NaN in place of pandas.NA, where that is an object among others."""
    if is_frame(X):
        if hasattr(type(X), "iloc") and any(getattr(dtype, "kind", "") == "O" for dtype in X.dtypes):
            return X.mask(X.isna(), np.nan)
        return X
    if isinstance(X, list | tuple):
        try:
            X = np.asarray(X) if not any(isinstance(row, np.ma.MaskedArray) for row in X) else X
        except (TypeError, ValueError):  # is refused later
            return X
    if isinstance(X, np.ndarray) and X.dtype == object and any(_is_na(type(value)) for value in X.flat):
        values = [np.nan if _is_na(type(value)) else value for value in X.flat]
        X = np.array([*values, None], object)[:-1].reshape(X.shape)  # arrays among them stay as they are
    return X


def _remedy(source: Source) -> str:
    """What the user can do about missing values."""
    return _MISSING_IN_ROWS if source.name == "X" else _MISSING


def _is_text_of_number(value) -> bool:
    if not isinstance(value, str | bytes):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def _no_number(value, place: str, name: str) -> Exception:
    """The error for a value that is no number. It begins with scikit-learn's words where that refuses it, too."""
    if isinstance(value, str | bytes):
        what, shown = ("bytes", bytes(value)) if isinstance(value, bytes) else ("strings", str(value))
        if _is_text_of_number(value):
            return ValueError(
                f"Input {name} contains {what}. The first is {shown!r}, in {place}. Convert {what} to numbers first."
            )
        return ValueError(
            f"could not convert string to float: {shown!r}, in {place} of {name}. Leave {what} out, or encode them as "
            "numbers."
        )
    if isinstance(value, np.ma.core.MaskedConstant):
        return ValueError(f"Input {name} contains masked entries, the first in {place}. Drop them, or fill them in.")
    if hasattr(value, "__len__") and not isinstance(value, Mapping):
        return ValueError(f"setting an array element with a sequence: {place} of {name} holds {value!r}. Pass numbers.")
    is_time = isinstance(value, _TIMES) or hasattr(type(value), "strftime") or hasattr(type(value), "total_seconds")
    remedy = "Pass times as numbers, such as days since a date." if is_time else "Pass numbers."
    return TypeError(
        f"float() argument must be a string or a real number, not {type(value).__name__!r}: {place} of {name} holds "
        f"{value!r}. {remedy}"
    )


# Missing and infinite values -----------------------------------------------------------------------------------------


def located(error: ValueError, X, source: Source, dtype, remedy: str = "") -> ValueError:
    """scikit-learn's error about NaN or infinity, with their number and the first place; other errors unchanged."""
    first_line = str(error).partition("\n")[0]
    if not (first_line.startswith("Input ") and "contains " in first_line):
        return error
    missing = "NaN" in first_line
    values = check_array(X, dtype=dtype, ensure_all_finite=False, ensure_2d=False, allow_nd=True, ensure_min_samples=0)
    mask = np.isnan(values) if missing else np.isinf(values)
    if not mask.any():
        return error
    what = "NaN" if missing else "infinite or too large"
    remedy = remedy or (_remedy(source) if missing else _RESCALE)
    return ValueError(f"{first_line} {source.first_of(mask, what)}. {remedy}")


# Arguments without rows ----------------------------------------------------------------------------------------------


def check_holds_rows(X) -> None:
    """Raise ValueError or TypeError, with what to pass instead, if X is not rows but something that leads to rows."""
    if isinstance(X, str | PathLike):
        raise _is_path(X)
    if X is None:
        raise ValueError("Expected 2D array, got scalar array instead: X is None. Pass rows and columns of numbers.")
    found = f"X must be an array or a frame, got {type(X).__name__}"
    if is_lazy_frame(X):
        raise TypeError(f"{found}: call its collect method first.")
    if is_dask_collection(X) and not isinstance(getattr(X, "shape", None), tuple):
        raise TypeError(f"{found}: call its compute method first.")
    if is_mapping_of_arrays(X):
        raise TypeError(f"{found}: pass {_rows_of_mapping(X)}.")
    has_rows = any(hasattr(X, name) for name in ("__array__", "__array_interface__", "__len__", "shape"))
    if isinstance(X, Reader):
        raise TypeError(
            f"{found}, which yields batches: pass it to fit, fit_batches or predict; to partial_fit and to plots pass "
            "a batch, such as next(iter(reader))."
        )
    if not has_rows and type(X).__module__.startswith("pyarrow."):
        raise TypeError(f"{found} of pyarrow: pass what fastgmm.batches.from_parquet makes of the path or dataset.")
    if hasattr(X, "__iter__") and not has_rows:
        raise TypeError(
            f"{found}, which can only be iterated over: pass batches to fit_batches of a mixture, or one "
            "after the other to partial_fit, predict or score."
        )
    if isinstance(X, list | tuple) and any(has_shape(part) and len(part.shape) == 2 for part in X):
        raise ValueError(
            f"Found array with dim 3, while dim <= 2 is required: X is a {type(X).__name__} of tables. Pass "
            "numpy.concatenate(X), or the list to fit_batches."
        )


def _rows_of_mapping(X) -> str:
    """What to pass in place of a mapping of arrays or a Bunch of scikit-learn."""
    name = next((name for name in X if has_shape(X[name]) and len(X[name].shape) == 2), None)
    if name is not None:
        return f"X.{name}" if isinstance(X, Bunch) else f"X[{name!r}]"
    if isinstance(X, dict):
        return "pandas.DataFrame(X)"
    return "one of its arrays, which must have rows of features"


def _is_path(X: str | PathLike) -> Exception:
    reader = next((name for end, name in _READERS.items() if str(X).endswith(end)), None)
    readers = f"fastgmm.batches.{reader}({str(X)!r})" if reader else "a reader of fastgmm.batches"
    remedy = f"X is a path, not data: read the file, or pass {readers}."
    if isinstance(X, str):
        return ValueError(f"could not convert string to float: {X!r}. {remedy}")
    return TypeError(f"float() argument must be a string or a real number, not {type(X).__name__!r}. {remedy}")
