"""Where EM starts: k-means, k-means++, random responsibilities or random rows.

Each start draws the same random numbers in the same order as scikit-learn's, and leads to the same statistics, but
never stores responsibilities for all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from fastgmm._covariance import COVARIANCE_TYPES, estimate_moments, is_accurate
from fastgmm._kmeans import kmeans_labels, kmeans_plusplus_indices
from fastgmm._passes import DataPasses, column_means
from fastgmm._statistics import SufficientStatistics

_BLOCK_ELEMENTS = 2**18


class _Problem(NamedTuple):
    passes: DataPasses
    n_components: int
    covariance_type: str
    reg_covar: float
    random_state: np.random.RandomState


def initial_statistics(
    passes: DataPasses,
    n_components: int,
    covariance_type: str,
    reg_covar: float,
    init_params: str,
    random_state: np.random.RandomState,
) -> SufficientStatistics:
    """Statistics under the responsibilities that EM starts from.

    Parameters
    ----------
    passes : DataPasses
        The data and their weights.
    n_components : int
    covariance_type : {'full', 'tied', 'diag', 'spherical'}
    reg_covar : float
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'}
    random_state : RandomState
    """
    return _STARTS[init_params](_Problem(passes, n_components, covariance_type, reg_covar, random_state))


def _kmeans(problem: _Problem) -> SufficientStatistics:
    """Each row belongs to its cluster."""
    passes, covariance_type, dtype = problem.passes, problem.covariance_type, problem.passes.X.dtype
    labels, centers = kmeans_labels(
        passes.X, problem.n_components, problem.random_state, passes.n_threads, passes.sample_weight
    )
    statistics = passes.statistics_from_labels(labels, centers)
    moments = estimate_moments(statistics, covariance_type, problem.reg_covar, dtype)
    if is_accurate(moments, moments.covariances, covariance_type, dtype):
        return statistics
    return passes.statistics_from_labels(labels, moments.means)


def _random(problem: _Problem) -> SufficientStatistics:
    """Uniform random responsibilities, normalized for each row."""
    passes = problem.passes
    # All components start near the mean of the data, well within a standard deviation: good centers for the sums.
    centers = np.tile(column_means(passes.X, passes.n_threads, passes.sample_weight), (problem.n_components, 1))
    blocks = _random_responsibilities(passes.X.shape[0], problem.n_components, passes.X.dtype, problem.random_state)
    return passes.statistics_from_resp(blocks, centers)


def _random_responsibilities(n_samples, n_components, dtype, random_state) -> Iterator[np.ndarray]:
    """Blocks of rows; the generator's stream does not depend on how it is cut."""
    block_rows = max(1, _BLOCK_ELEMENTS // n_components)
    for start in range(0, n_samples, block_rows):
        rows = min(block_rows, n_samples - start)
        resp = random_state.uniform(size=(rows, n_components)).astype(dtype, copy=False)
        resp /= resp.sum(axis=1, keepdims=True)
        yield resp


def _random_from_data(problem: _Problem) -> SufficientStatistics:
    """Random distinct rows as means, all rows being equally likely whatever their weight."""
    n_samples = problem.passes.X.shape[0]
    return _single_rows(problem, problem.random_state.choice(n_samples, size=problem.n_components, replace=False))


def _kmeans_plusplus(problem: _Problem) -> SufficientStatistics:
    """Rows chosen by k-means++ as means."""
    passes = problem.passes
    indices = kmeans_plusplus_indices(
        passes.X, problem.n_components, problem.random_state, passes.n_threads, sample_weight=passes.sample_weight
    )
    return _single_rows(problem, indices)


def _single_rows(problem: _Problem, indices: np.ndarray) -> SufficientStatistics:
    """Component k is responsible for row `indices[k]` and for nothing else."""
    passes = problem.passes
    rows = passes.X[indices]
    centers = rows.astype(np.float64)
    covariance = COVARIANCE_TYPES[problem.covariance_type]
    statistics = SufficientStatistics.zeros(centers, covariance.scatter_shape(*centers.shape))
    statistics.nk[:] = 1.0 if passes.sample_weight is None else passes.sample_weight[indices]
    statistics.total_weight = passes.total_weight
    if problem.covariance_type == "tied":
        # scikit-learn's tied covariance is (sum over ALL rows of x x^T, minus nk mu mu^T) / sum of nk, whatever the
        # responsibilities: with rows that belong to no component it is the scatter of those rows about the origin.
        labels = np.zeros(passes.X.shape[0], dtype=np.int32)
        scatter = passes.statistics_from_labels(labels, np.zeros_like(centers)).scatter
        statistics.scatter[0] = scatter[0] - (statistics.nk[:, np.newaxis] * centers).T @ centers
    elif covariance.structure == "diag":
        # scikit-learn's variances are E[x^2] - mu^2 in the dtype of X. For a single row what is left of them is the ten
        # units of rounding in its divisor, next to reg_covar no trifle; elementwise arithmetic gives the same bits.
        nk = statistics.nk.astype(rows.dtype)[:, np.newaxis]
        divisor = nk + 10 * np.finfo(rows.dtype).eps
        statistics.scatter[:] = divisor * (nk * (rows * rows) / divisor - (nk * rows / divisor) ** 2)
    return statistics


_STARTS: dict[str, Callable[[_Problem], SufficientStatistics]] = {
    "kmeans": _kmeans,
    "k-means++": _kmeans_plusplus,
    "random": _random,
    "random_from_data": _random_from_data,
}
