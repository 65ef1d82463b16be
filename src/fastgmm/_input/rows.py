"""Checks of rows and their weights, in arrays, frames and datasets on disk that are read in blocks.

Exceptions have the types and the first words of scikit-learn's, which tools and tests look for. Then messages name the
value and the remedy.
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

_MOST_WEIGHT = 1e290  # of all rows: more, times the logarithm of a density, may overflow


def allows_missing(estimator) -> bool:
    """Whether NaN stands for a missing value."""
    return getattr(estimator, "missing", "raise") == "marginalize"


def check_fit_data(estimator, X) -> np.ndarray:
    """X as a C-contiguous float array; a C-contiguous float array or memory map is not copied."""
    return checked_rows(estimator, X, FLOAT_DTYPES, ensure_min_samples=2)


def check_predict_data(estimator, X, dtype=FLOAT_DTYPES) -> np.ndarray:
    """As `check_fit_data`, in one of the dtypes, for an estimator that knows its features. One row is enough."""
    return checked_rows(estimator, X, dtype, reset=False)


def check_block(estimator, X, rows: slice) -> np.ndarray:
    """Some rows of X, as in `check_predict_data`. Messages number the rows as X does."""
    source = Source("X", first_row=rows.start)
    return checked_rows(estimator, rows_as_promised(X, rows), FLOAT_DTYPES, source, reset=False)


def rows_as_promised(X, rows: slice):
    """As `rows_of`; raises ValueError if X returns fewer rows than its shape promises."""
    values = rows_of(X, rows)
    n_rows = np.shape(values)[0] if np.ndim(values) else 0
    if n_rows != rows.stop - rows.start:
        raise ValueError(
            f"X[{rows.start}:{rows.stop}] has {counted(n_rows, 'row')}, but the shape of X is {tuple(X.shape)}: X, a "
            f"{type(X).__name__}, must give the rows that its shape promises."
        )
    return values


def checked_rows(estimator, X, dtype, source: Source | None = None, **options) -> np.ndarray:
    """X as an aligned C-contiguous array in one of the dtypes.

    Parameters
    ----------
    estimator : estimator
    X : array-like or frame of shape (n_samples, n_features)
    dtype : dtype or sequence of dtypes
        X is converted to the first one unless it has one of them.
    source : Source, default=None
        None: the parameter X.
    **options
        Passed to `sklearn.utils.validation.validate_data`.

    Raises
    ------
    ValueError, TypeError
        If X does not hold rows of finite numbers, or of missing values if the estimator allows these, or has other
        features than the estimator.
    """
    if not is_numeric_array(X):
        check_holds_rows(X)
        warn_of_collection(X, in_blocks=False)
        X = with_known_names(X)
        source = source or Source("X", column_names(X))
        X = check_numbers(X, source, allows_missing(estimator))
    if options.get("ensure_all_finite", True) and allows_missing(estimator):
        options["ensure_all_finite"] = "allow-nan"
    if isinstance(X, np.ndarray) and X.ndim == 1:  # scikit-learn's error shows the values
        raise ValueError(
            f"Expected 2D array, got 1D array instead: X has the shape {X.shape}. Reshape your data: "
            "X.reshape(-1, 1) if it is a single feature, X.reshape(1, -1) if it is a single row."
        )
    try:
        return aligned(validate_data(estimator, X, dtype=dtype, order="C", **options))
    except ValueError as error:
        raise located(error, X, source or Source("X"), dtype) from None


def warn_of_collection(X, in_blocks: bool) -> None:
    """Warn that an estimator in memory got a dask collection, if X is one."""
    if not is_dask_collection(X):
        return
    how = "block by block in this process, anew for each pass over the rows" if in_blocks else "into memory"
    warn(
        f"X is a dask {type(X).__name__}, which is computed {how}. fit, predict and score of the estimators in "
        "fastgmm.dask leave the rows where they are. Pass X.compute() if this is meant.",
        topic="dask",
    )


def warn_if_weights(y, X) -> None:
    """Warn if y, which is ignored, may be weights passed by position: floats. Integers may be labels of classes."""
    if y is None:
        return
    try:
        y = y if is_dask_collection(y) else np.asarray(y)
        n_rows = X.shape[0] if has_shape(X) else len(X)
    except (TypeError, ValueError):  # y is ignored, whatever it is
        return
    if y.ndim != 1 or y.dtype.kind != "f":
        return
    # Equal numbers would change nothing as weights.
    if is_dask_collection(y) or (len(y) == n_rows and bool((y >= 0.0).all()) and y.min() < y.max()):
        warn(
            "y is ignored, but looks like weights: it holds a number >= 0 for each row of X. Pass weights by name: "
            "sample_weight=..."
        )


def aligned(X):
    """X itself if it is C-contiguous and aligned, else such a copy."""
    return np.require(X, requirements=["C", "ALIGNED"])


def check_sliceable(X) -> None:
    """Raise TypeError or ValueError unless X has two dimensions and its rows can be sliced. Checks no values."""
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
    """Weights that can be sliced by number, or None; ValueError unless each row of X has one. Both may be on disk."""
    if sample_weight is None:
        return None
    shape = sample_weight.shape if has_shape(sample_weight) else np.shape(sample_weight)
    if shape[:1] != X.shape[:1]:
        n_weights = shape[0] if shape else 0
        entries = "1 entry" if n_weights == 1 else f"{n_weights or 'no'} entries"
        raise ValueError(f"sample_weight has {entries} for {X.shape[0]} rows of X: pass one for each.")
    return np.asarray(sample_weight) if hasattr(type(sample_weight), "iloc") else sample_weight


def check_weights_of_block(sample_weight, rows: slice) -> np.ndarray | None:
    """The weights of some rows, as in `check_sample_weight`. All of them may be zero."""
    if sample_weight is None:
        return None
    source = Source("sample_weight", first_row=rows.start)
    return check_sample_weight(rows_of(sample_weight, rows), rows.stop - rows.start, True, source)


def check_sample_weight(
    sample_weight, n_samples: int, all_zero: bool = False, source: Source | None = None
) -> np.ndarray | None:
    """Weights as a float64 array of shape (n_samples,), or None.

    Raises ValueError or TypeError unless they are finite numbers >= 0 with a sum > 0 (with `all_zero`: >= 0) that is
    not too large.
    """
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
    _check_not_too_large(total)
    if not all_zero:
        check_some_weight(total)
    return aligned(weights)


def _check_not_too_large(total_weight: float) -> None:
    if not total_weight <= _MOST_WEIGHT:
        raise ValueError(
            f"The sum of sample_weight is too large, {total_weight:.3g}: divide all weights by their maximum, so that "
            "sums over the rows do not overflow."
        )


def check_some_weight(total: float) -> None:
    """Raise ValueError if the sum of the weights is zero or too large."""
    _check_not_too_large(total)
    if total == 0.0:
        raise ValueError(
            "All entries of sample_weight are zero, or X is empty, so no row is left: give some row a positive weight."
        )


def drop_unweighted_rows(X: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """The rows of positive weight and their weights; X and `weights` themselves if these are all."""
    if weights is None or weights.all():
        return X, weights
    kept = weights > 0.0
    return X[kept], weights[kept]


def are_finite(rows: np.ndarray, may_miss_values: bool) -> bool:
    """Whether all numbers are finite; NaN is one if values may be missing."""
    return not np.isinf(rows).any() if may_miss_values else bool(np.isfinite(rows).all())


def weights_without_empty_rows(
    X: np.ndarray, weights: np.ndarray | None, with_warning: bool = True
) -> np.ndarray | None:
    """The weights, with 0 for the rows without any value, which are warned of."""
    is_empty = np.isnan(X).all(axis=1)
    if not is_empty.any():
        return weights
    if with_warning:
        count = counted(int(np.count_nonzero(is_empty)), "row")
        warn(
            f"X has {count} without any value, which counts for nothing: the likelihood does not depend on it.",
            topic="empty rows",
        )
    return np.where(is_empty, 0.0, 1.0 if weights is None else weights)


def weight_unit(largest: float) -> float:
    """The power of two that divides the largest weight to a number in [1, 2).

    A division by it is exact. So it changes no ratio of weights."""
    _, exponent = math.frexp(largest)
    return math.ldexp(1.0, exponent - 1)


def check_n_rows(n_rows: int, n_components: int) -> None:
    """Raise ValueError unless there are at least two rows of positive weight, and as many as components."""
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
    """A ValueError or TypeError whose message has a prefix."""
    kind = ValueError if isinstance(error, ValueError) else TypeError  # a subclass may need other arguments
    return kind(f"{prefix}{error}")
