"""Starts from labels or responsibilities that a user gives, as an array or by a function of the rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.columns import column_means
from fastgmm._start.kmeans import accurate_statistics, statistics_of_clusters

_SUM_TOL = 1e-5  # largest distance from 1 of the sum of a row's responsibilities


def name_of_start(init_params) -> str:
    """The name of a start, or of the function that finds it."""
    if isinstance(init_params, str):
        return init_params
    return getattr(init_params, "__name__", type(init_params).__name__)


def check_start(values, name: str, n_rows: int, n_components: int, with_noise: bool = False) -> np.ndarray:
    """Labels of shape (n_rows,), int32, or responsibilities of shape (n_rows, n_components), as they are.

    With noise, labels may be -1, and responsibilities may sum to less than 1: the rest is that of the background.
    Raises ValueError if the values are neither. `name` says in messages where they come from.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must have equally many numbers in each row: {error}") from None
    shapes = f"labels of shape ({n_rows},) or responsibilities of shape ({n_rows}, {n_components})"
    if array.shape not in ((n_rows,), (n_rows, n_components)):
        raise ValueError(
            f"{name} must be {shapes}, got the shape {array.shape}: pass one label for each row, or one "
            "responsibility for each row and component."
        )
    if array.ndim == 1:
        return _labels(array, name, n_components, -1 if with_noise else 0)
    return _responsibilities(array, name, with_noise)


def _labels(array: np.ndarray, name: str, n_components: int, least: int) -> np.ndarray:
    if array.dtype.kind not in "iub":
        raise ValueError(
            f"Labels in {name} must be integers, got the dtype {array.dtype}: pass "
            "np.unique(labels, return_inverse=True)[1]."
        )
    is_wrong = (array < least) | (array >= n_components)
    if is_wrong.any():
        row = int(is_wrong.argmax())
        raise ValueError(
            f"Labels in {name} must be from {least} to {n_components - 1}, got {array[row]} for row {row}: the "
            "largest label is n_components - 1. Give rows without a cluster equal responsibilities, or pass noise=True "
            "and give them the label -1."
        )
    return array.astype(np.int32)


def _responsibilities(array: np.ndarray, name: str, with_noise: bool) -> np.ndarray:
    if array.dtype.kind not in "iubf":
        raise ValueError(f"Responsibilities in {name} must be numbers, got the dtype {array.dtype}: pass floats.")
    excess = array.sum(axis=1, dtype=np.float64) - 1.0
    is_wrong = ~((array >= 0).all(axis=1) & ((excess if with_noise else np.abs(excess)) <= _SUM_TOL))
    if is_wrong.any():
        row = int(is_wrong.argmax())
        raise ValueError(
            f"Responsibilities in {name} must be at least 0 and sum to {'at most 1' if with_noise else '1'} in each "
            f"row, got {array[row]} for row {row}: divide each row by its sum."
        )
    return array


def called(
    function: Callable, X: np.ndarray, n_components: int, random_state: np.random.RandomState, with_noise: bool
) -> np.ndarray:
    """What the user's function returns for the rows, checked."""
    given = function(X, n_components, random_state)
    return check_start(given, "the result of init_params", len(X), n_components, with_noise)


def check_all_have_rows(nk: np.ndarray) -> None:
    """Raise ValueError if a component has no share of any row."""
    if not nk.all():
        raise ValueError(
            f"init_params gives no rows to component {int(nk.argmin())}: use fewer components, or other labels. Only "
            "BayesianGaussianMixture may start with empty components."
        )


def statistics_of_given(given: np.ndarray, passes: ArrayPasses, reg_covar: float) -> SufficientStatistics:
    """Statistics of all rows under labels or responsibilities."""
    mean = column_means(passes.X, passes.n_threads, passes.sample_weight)
    centers = np.tile(mean, (passes.n_components, 1))
    if given.ndim == 1:
        return statistics_of_clusters(passes, given, centers, reg_covar)
    resp = np.ascontiguousarray(given, passes.X.dtype)
    return accurate_statistics(lambda about: passes.statistics_from_resp([resp], about), centers, passes, reg_covar)
