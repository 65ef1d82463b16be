"""Where EM starts: k-means, k-means++, random responsibilities or random rows.

Each start draws the same random numbers in the same order as scikit-learn's, and leads to the same statistics, but
never stores responsibilities for all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fastgmm._covariance import COVARIANCE_TYPES, estimate_moments, is_accurate
from fastgmm._kmeans import kmeans_labels, kmeans_plusplus_indices
from fastgmm._passes import DataPasses, column_means
from fastgmm._statistics import SufficientStatistics

_BLOCK_ELEMENTS = 2**18

# (passes, reg_covar) -> statistics under the responsibilities of a start, for the covariance type of the passes.
Start = Callable[[DataPasses, float], SufficientStatistics]


def find_start(
    X: np.ndarray,
    sample_weight: np.ndarray | None,
    n_components: int,
    init_params: str,
    random_state: np.random.RandomState,
    n_threads: int | None,
) -> Start:
    """Find responsibilities that EM can start from.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32 or float64, C-contiguous
    sample_weight : ndarray of shape (n_samples,), float64, or None
    n_components : int
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'}
    random_state : RandomState
    n_threads : int or None

    Returns
    -------
    start : callable
        Gives the statistics under these responsibilities, by passes over the same rows for whatever covariance type.
    """
    return _STARTS[init_params](X, sample_weight, n_components, random_state, n_threads)


def _kmeans(X, sample_weight, n_components, random_state, n_threads) -> Start:
    """Each row belongs to its cluster."""
    labels, centers = kmeans_labels(X, n_components, random_state, n_threads, sample_weight)

    def start(passes, reg_covar):
        statistics = passes.statistics_from_labels(labels, centers)
        moments = estimate_moments(statistics, passes.covariance_type, reg_covar, X.dtype)
        if is_accurate(moments, moments.covariances, passes.covariance_type, X.dtype):
            return statistics
        return passes.statistics_from_labels(labels, moments.means)

    return start


def _random(X, sample_weight, n_components, random_state, n_threads) -> Start:
    """Uniform random responsibilities, normalized for each row."""
    # All components start near the mean of the data, well within a standard deviation: good centers for the sums.
    centers = np.tile(column_means(X, n_threads, sample_weight), (n_components, 1))
    before = random_state.get_state()

    def start(passes, reg_covar):
        random_state.set_state(before)  # so that every call draws the same numbers
        return passes.statistics_from_resp(
            _random_responsibilities(X.shape[0], n_components, X.dtype, random_state), centers
        )

    return start


def _random_responsibilities(n_samples, n_components, dtype, random_state) -> Iterator[np.ndarray]:
    """Blocks of rows; the generator's stream does not depend on how it is cut."""
    block_rows = max(1, _BLOCK_ELEMENTS // n_components)
    for start in range(0, n_samples, block_rows):
        rows = min(block_rows, n_samples - start)
        resp = random_state.uniform(size=(rows, n_components)).astype(dtype, copy=False)
        resp /= resp.sum(axis=1, keepdims=True)
        yield resp


def _random_from_data(X, sample_weight, n_components, random_state, n_threads) -> Start:
    """Random distinct rows as means, all rows being equally likely whatever their weight."""
    return _single_rows(random_state.choice(X.shape[0], size=n_components, replace=False))


def _kmeans_plusplus(X, sample_weight, n_components, random_state, n_threads) -> Start:
    """Rows chosen by k-means++ as means."""
    return _single_rows(kmeans_plusplus_indices(X, n_components, random_state, n_threads, sample_weight=sample_weight))


def _single_rows(indices: np.ndarray) -> Start:
    """Component k is responsible for row `indices[k]` and for nothing else."""

    def start(passes, reg_covar):
        rows = passes.X[indices]
        centers = rows.astype(np.float64)
        covariance = COVARIANCE_TYPES[passes.covariance_type]
        statistics = SufficientStatistics.zeros(centers, covariance.scatter_shape(*centers.shape))
        statistics.nk[:] = 1.0 if passes.sample_weight is None else passes.sample_weight[indices]
        statistics.total_weight = passes.total_weight
        if passes.covariance_type == "tied":
            # scikit-learn's tied covariance is (sum over ALL rows of x x^T, minus nk mu mu^T) / sum of nk, whatever the
            # responsibilities: with rows that belong to no component it is the scatter of those rows about the origin.
            labels = np.zeros(passes.X.shape[0], dtype=np.int32)
            scatter = passes.statistics_from_labels(labels, np.zeros_like(centers)).scatter
            statistics.scatter[0] = scatter[0] - (statistics.nk[:, np.newaxis] * centers).T @ centers
        elif covariance.structure == "diag":
            # scikit-learn's variances are E[x^2] - mu^2 in the dtype of X. For a single row what is left of them is the
            # ten units of rounding in its divisor, next to reg_covar no trifle; elementwise arithmetic gives the same
            # bits.
            nk = statistics.nk.astype(rows.dtype)[:, np.newaxis]
            divisor = nk + 10 * np.finfo(rows.dtype).eps
            statistics.scatter[:] = divisor * (nk * (rows * rows) / divisor - (nk * rows / divisor) ** 2)
        return statistics

    return start


_STARTS: dict[str, Callable[..., Start]] = {
    "kmeans": _kmeans,
    "k-means++": _kmeans_plusplus,
    "random": _random,
    "random_from_data": _random_from_data,
}
