"""Checks of rows and their weights: arrays, frames, and datasets on disk that are read in blocks.

Exception types are scikit-learn's, and so is the core of each message, since tools and tests look for it; what follows
names the value and the remedy.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, validate_data

from fastgmm._input.containers import (
    FLOAT_DTYPES,
    column_names,
    has_shape,
    is_dask_collection,
    is_frame,
    rows_of,
    with_known_names,
)
from fastgmm._input.numbers import Source, check_holds_rows, check_numbers, is_numeric_array, located
from fastgmm._utils.warnings import warn
from fastgmm._utils.words import counted


def check_fit_data(estimator, X) -> np.ndarray:
    """X as a C-contiguous float array that the kernels can read; a C-order float array or memmap is not copied."""
    return checked_rows(estimator, X, FLOAT_DTYPES, ensure_min_samples=2)


def check_predict_data(estimator, X) -> np.ndarray:
    """As `check_fit_data`, for an estimator that knows its features."""
    return checked_rows(estimator, X, FLOAT_DTYPES, reset=False)


def check_further_data(estimator, X, dtype) -> np.ndarray:
    """Further rows, one or more, for an estimator that knows its features: in the dtype of the first ones."""
    return checked_rows(estimator, X, dtype, reset=False)


def check_block(estimator, X, rows: slice) -> np.ndarray:
    """Rows of X for an estimator that knows its features, as `check_predict_data`; messages count the rows of X."""
    block = rows_as_promised(X, rows)
    return checked_rows(estimator, block, FLOAT_DTYPES, Source("X", first_row=rows.start), reset=False)


def rows_as_promised(X, rows: slice):
    """As `rows_of`; ValueError if X gives fewer rows than its shape promises."""
    values = rows_of(X, rows)
    n_rows = np.shape(values)[0] if np.ndim(values) else 0
    if n_rows != rows.stop - rows.start:
        raise ValueError(
            f"X[{rows.start}:{rows.stop}] has {counted(n_rows, 'row')}, but the shape of X is {tuple(X.shape)}: X, a "
            f"{type(X).__name__}, must give the rows that its shape promises."
        )
    return values


def checked_rows(estimator, X, dtype, source: Source | None = None, **options) -> np.ndarray:
    if not is_numeric_array(X):
        check_holds_rows(X)
        warn_of_collection(X, in_blocks=False)
        X = with_known_names(X)
        source = source or Source("X", column_names(X))
        X = check_numbers(X, source)
    try:
        return aligned(validate_data(estimator, X, dtype=dtype, order="C", **options))
    except ValueError as error:
        raise located(error, X, source or Source("X"), dtype) from None


def warn_of_collection(X, in_blocks: bool) -> None:
    """Warn that an estimator in memory was given a dask collection."""
    if not is_dask_collection(X):
        return
    how = "block by block in this process, anew for each pass over the rows" if in_blocks else "into memory"
    warn(
        f"X is a dask {type(X).__name__}, which is computed {how}: use the estimators of fastgmm.dask, which leave the "
        "rows where they are, or pass X.compute().",
        topic="dask",
    )


def warn_if_weights(y, X) -> None:
    """Warn if y, which is ignored, looks like weights given by position. Integers may be labels of classes."""
    if y is None:
        return
    try:
        y = y if is_dask_collection(y) else np.asarray(y)
        n_rows = X.shape[0] if has_shape(X) else len(X)
    except (TypeError, ValueError):  # it is ignored, whatever it is
        return
    if y.ndim != 1 or y.dtype.kind != "f":
        return
    # Equal ones would change nothing as weights.
    if is_dask_collection(y) or (len(y) == n_rows and bool((y >= 0.0).all()) and y.min() < y.max()):
        warn(
            "y is ignored, but looks like weights: it holds a number >= 0 for each row of X. Pass weights by name: "
            "sample_weight=..."
        )


def aligned(X):
    return np.require(X, requirements=["C", "ALIGNED"])


def check_sliceable(X) -> None:
    """Raise TypeError or ValueError unless X has two dimensions and slices of rows. The rows are checked when read."""
    check_holds_rows(X)
    found = f"X must be an array whose rows can be sliced, got {type(X).__name__}"
    if issparse(X):
        raise TypeError(
            "Sparse data was passed for X, but dense data is required. Use '.toarray()' to convert to a dense numpy "
            "array."
        )
    if is_dask_collection(X) and not has_shape(X):
        raise TypeError(
            f"{found} of dask, with an unknown number of rows: fit the estimator of the same name in fastgmm.dask, or "
            "pass X.compute()."
        )
    if is_frame(X):
        return
    if not has_shape(X) or not hasattr(type(X), "__getitem__"):
        raise TypeError(f"{found}: pass numpy.asarray(X), or an object that has a shape and slices of rows.")
    dtype = getattr(X, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "cV":
        check_numbers(np.empty(0, dtype), Source("X"))
    if len(X.shape) > 2:
        raise ValueError(f"Found array with dim {len(X.shape)}, while dim <= 2 is required: X has the shape {X.shape}.")
    if len(X.shape) < 2:
        what = "1D" if X.shape else "scalar"
        raise ValueError(
            f"Expected 2D array, got {what} array instead: X has the shape {X.shape}. Pass rows of features."
        )


def check_weight_of_each_row(sample_weight, X):
    """Weights that can be sliced by row; ValueError unless there is one for each row of X. Both may be on disk."""
    if sample_weight is None:
        return None
    shape = sample_weight.shape if has_shape(sample_weight) else np.shape(sample_weight)
    if shape[:1] != X.shape[:1]:
        n_weights = shape[0] if shape else 0
        entries = "1 entry" if n_weights == 1 else f"{n_weights or 'no'} entries"
        raise ValueError(f"sample_weight has {entries} for {X.shape[0]} rows of X: pass one for each.")
    return np.asarray(sample_weight) if hasattr(type(sample_weight), "iloc") else sample_weight  # by number, not label


def check_weights_of_block(sample_weight, rows: slice) -> np.ndarray | None:
    """The weights of some rows. All of them may be zero."""
    if sample_weight is None:
        return None
    source = Source("sample_weight", first_row=rows.start)
    return check_sample_weight(rows_of(sample_weight, rows), rows.stop - rows.start, True, source)


def check_out(out, shape: tuple[int, ...], dtype, largest: int) -> None:
    """Raise TypeError or ValueError unless `out` can hold results of this dtype or, for integers, up to `largest`."""
    is_array = hasattr(out, "__setitem__") and hasattr(out, "dtype") and has_shape(out)
    if is_frame(out) or not is_array:
        raise TypeError(
            f"out must be an array that can be written to, got {type(out).__name__}: pass np.empty({shape})."
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


def check_sample_weight(
    sample_weight, n_samples: int, all_zero: bool = False, source: Source | None = None
) -> np.ndarray | None:
    """Weights as a float64 array of shape (n_samples,), or None. With `all_zero` all may be zero."""
    if sample_weight is None:
        return None
    if np.isscalar(sample_weight):
        raise ValueError(f"Sample weights must be 1D: got sample_weight={sample_weight!r}, pass one for each row of X.")
    source = source or Source("sample_weight")
    weights = check_numbers(sample_weight, source)
    try:
        weights = check_array(weights, dtype=np.float64, order="C", ensure_2d=False, input_name="sample_weight")
    except ValueError as error:
        raise located(error, weights, source, np.float64, "Pass finite numbers.") from None
    if weights.ndim != 1:
        raise ValueError(f"Sample weights must be 1D: got sample_weight of shape {weights.shape}, not {(n_samples,)}.")
    if weights.shape[0] != n_samples:
        raise ValueError(
            f"sample_weight.shape == {weights.shape}, expected {(n_samples,)}: pass one weight for each row of X."
        )
    if weights.min() < 0.0:
        raise ValueError(
            f"Negative values in data passed to `sample_weight`: the least is {weights.min()}, in "
            f"{source.place((int(weights.argmin()),))}. Weights count how often a row occurs; pass 0 to leave a row "
            "out."
        )
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not math.isfinite(total):
        raise ValueError(
            f"The sum of sample_weight overflows (the largest is {weights.max()}): divide all weights by their maximum."
        )
    if not all_zero:
        check_some_weight(total)
    return aligned(weights)


def check_some_weight(total: float) -> None:
    """Raise ValueError if the sum of the weights is zero, or overflows."""
    if not math.isfinite(total):
        raise ValueError("The sum of sample_weight overflows: divide all weights by their maximum.")
    if total == 0.0:
        raise ValueError(
            "All entries of sample_weight are zero, or X is empty, so no row is left: give some row a positive weight."
        )


def drop_unweighted_rows(X: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """The rows of positive weight, and their weights; X itself if these are all."""
    if weights is None or weights.all():
        return X, weights
    kept = weights > 0.0
    return X[kept], weights[kept]


def weight_unit(largest: float) -> float:
    """The power of two that brings the largest weight into [1, 2) when weights are divided by it.

    Dividing by it changes no ratio of weights, to the last bit."""
    _, exponent = math.frexp(largest)
    return math.ldexp(1.0, exponent - 1)


def check_n_rows(n_rows: int, n_components: int) -> None:
    """Raise ValueError unless there are two rows of positive weight, and one for each component."""
    if n_rows < 2:
        raise ValueError(
            f"Found array with {n_rows} sample(s) of positive weight while a minimum of 2 is required: add data."
        )
    if n_rows < n_components:
        raise ValueError(
            f"Expected n_samples >= n_components but got n_components = {n_components}, n_samples = {n_rows} (rows of "
            "positive weight): use fewer components or more data."
        )


def with_prefix(prefix: str, error: Exception) -> Exception:
    kind = ValueError if isinstance(error, ValueError) else TypeError  # NumPy's own may not be made of a text
    return kind(f"{prefix}{error}")
