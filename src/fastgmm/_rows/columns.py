"""Mean and covariance of all rows, from passes for a single component."""

from __future__ import annotations

import numpy as np

from fastgmm._model.covariance import DIAGONAL, FULL, CovarianceStructure
from fastgmm._model.moments import variance_noise
from fastgmm._model.weak_prior import WeakPrior
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.protocol import Passes


def mean_of_all(passes: Passes) -> np.ndarray:
    """(Weighted) mean of the rows, float64."""
    return _mean_of_component(passes.for_mixture(1, DIAGONAL))


def _mean_of_component(passes: Passes) -> np.ndarray:
    first_row = passes.first_row()
    statistics = passes.statistics_of_all(first_row[np.newaxis])
    return first_row + statistics.sum_x[0] / statistics.nk[0]


def covariance_of_all(passes: Passes, mean: np.ndarray, structure: CovarianceStructure) -> np.ndarray:
    """Unbiased covariance of the rows in the shape of one component, float64. Weights count rows."""
    statistics = passes.for_mixture(1, structure).statistics_of_all(mean[np.newaxis])
    delta = statistics.sum_x / statistics.nk[0]
    noise = variance_noise(statistics.centers + delta, delta * delta, passes.dtype)
    return structure.covariances(statistics, delta, statistics.nk - 1.0, 0.0, noise)


def moments_for_prior(passes: Passes, kernel: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the rows, and their unbiased covariance, or for kernel 'diag' their variances.

    Raises ValueError if the weights sum to no more than 1, since they count rows.
    """
    if not passes.total_weight > 1.0:
        raise ValueError(
            f"The sum of sample_weight is {passes.total_weight:g}, but the covariance of X, from which prior='weak' "
            "is made, needs more than 1: weights count rows. Scale them up, or pass prior=None."
        )
    mean = mean_of_all(passes)
    return mean, covariance_of_all(passes, mean, DIAGONAL if kernel == "diag" else FULL)[0]


def weak_prior_of_rows(passes: Passes, structure: CovarianceStructure, n_components: int) -> WeakPrior:
    """The weak prior for a mixture of the rows."""
    return WeakPrior.of_rows(structure, n_components, *moments_for_prior(passes, structure.kernel))


def column_means(X: np.ndarray, n_threads: int | None, sample_weight: np.ndarray | None = None) -> np.ndarray:
    """(Weighted) mean of each column, float64."""
    return _mean_of_component(ArrayPasses(X, sample_weight, 1, DIAGONAL, n_threads))


def column_variances(X: np.ndarray, means: np.ndarray, n_threads: int | None) -> np.ndarray:
    """Mean squared difference of each column from ``means``, float64."""
    statistics = ArrayPasses(X, None, 1, DIAGONAL, n_threads).statistics_of_all(means[np.newaxis])
    return statistics.scatter[0] / statistics.nk[0]
