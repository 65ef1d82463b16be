"""Whitened rows: along their principal axes, with variance 1. There k-means finds clusters that are stretched alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses
from fastgmm._start.given import statistics_of_given
from fastgmm._start.kmeans import kmeans_labels
from fastgmm._start.sample import drawn
from fastgmm._utils.blas import blas_of_all_rows
from fastgmm._utils.errors import FitError

_MOST_ROWS = 100_000  # that are whitened at once, which copies them
_NEGLIGIBLE = 1e-10  # variance along an axis, beside the largest


class PrincipalAxes:
    """Principal axes of weighted rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    sample_weight : ndarray of shape (n_samples,), or None

    Attributes
    ----------
    variances : ndarray of shape (n_features,)
        Variances along the axes, ascending.

    Raises
    ------
    FitError
        If the variances overflow.
    """

    def __init__(self, X: np.ndarray, sample_weight: np.ndarray | None):
        X = X.astype(np.float64, copy=False)
        weights = np.ones(len(X)) if sample_weight is None else sample_weight
        total = weights.sum()
        self._mean = weights @ X / total
        with np.errstate(over="ignore", invalid="ignore"):
            centered = X - self._mean
            covariance = (centered * weights[:, np.newaxis]).T @ centered / total
        if not np.isfinite(covariance).all():
            raise FitError("The variances of the features overflow: scale the features to comparable ranges.")
        self.variances, self._axes = np.linalg.eigh(covariance)

    def whitened(self, X: np.ndarray) -> np.ndarray:
        """Rows along the axes, float64, without those along which they hardly vary; as they are if all are equal."""
        if not self.variances[-1] > 0.0:
            return X - self._mean
        kept = self.variances > _NEGLIGIBLE * self.variances[-1]
        scaled = self._axes[:, kept] / np.sqrt(self.variances[kept])
        return np.ascontiguousarray((X - self._mean) @ scaled)


def start_from_whitened(
    passes: ArrayPasses, n_components: int, random_state: np.random.RandomState
) -> Callable[[ArrayPasses, float], SufficientStatistics]:
    """A start, as those of `find_start`: clusters that k-means finds in whitened rows.

    Parameters
    ----------
    passes : ArrayPasses
        Over all rows. The clusters are those of a sample if there are many.
    n_components : int
    random_state : RandomState

    Raises
    ------
    FitError
        If variances overflow.
    PoorSampleError
        If few rows have most of the weight.
    """
    some = drawn(passes, n_components, _MOST_ROWS, random_state) if passes.n_rows > _MOST_ROWS else passes
    with blas_of_all_rows():
        rows = PrincipalAxes(some.X, some.sample_weight).whitened(some.X)
    labels, _ = kmeans_labels(rows, n_components, random_state, some.n_threads, some.sample_weight, passes.progress)
    return lambda of_type, reg_covar: statistics_of_given(
        labels, some.for_mixture(n_components, of_type.structure), reg_covar
    )
