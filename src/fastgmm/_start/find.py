"""Where EM starts: k-means, k-means++, random responsibilities, random rows, or a mixture fitted to a sample.

Each start but the last draws the same random numbers in the same order as scikit-learn's, and leads to the same
statistics, but never stores responsibilities for all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial

import numpy as np

from fastgmm._em.iteration import Iteration
from fastgmm._em.loop import EMResult, Progress, run_em
from fastgmm._model.gaussian import MaximumLikelihood, MixtureParameters, n_free_parameters
from fastgmm._model.moments import estimate_moments, is_accurate
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.columns import column_means
from fastgmm._start.kmeans import kmeans_labels, kmeans_plusplus_indices, refined_labels
from fastgmm._utils.errors import FitError, PoorSampleError

_BLOCK_ELEMENTS = 2**18

# The start from a sample, as measured with benchmarks/start.py: rows that k-means needs in all, and for each cluster;
# rows that EM needs for each free parameter; no sample is larger than this share of the rows.
_SAMPLE_ROWS = 5_000
_SAMPLE_ROWS_OF_CLUSTER = 40
_SAMPLE_ROWS_OF_PARAMETER = 5
_SAMPLE_SHARE = 8
_SAMPLE_TRIES = 3
_SAMPLE_MAX_ITER, _SAMPLE_TOL = 100, 1e-3  # of EM: the estimators' defaults
_SAMPLE_TRY_TOL = 1e-2  # at which the best try is chosen
_SAMPLE_SHORTFALL = 1.0  # of the mean log-density of all rows, by which the sample has missed some; usually 0 to 0.4
_REFINEMENTS = 10

# (passes, reg_covar) -> statistics under the responsibilities of a start, for the covariance structure of the passes.
Start = Callable[[ArrayPasses, float], SufficientStatistics]


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
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data', 'sample'}
    random_state : RandomState
    n_threads : int or None

    Returns
    -------
    start : callable
        Gives the statistics under these responsibilities, by passes over the same rows for any covariance structure.
    """
    return _STARTS[init_params](X, sample_weight, n_components, random_state, n_threads)


def _kmeans(X, sample_weight, n_components, random_state, n_threads) -> Start:
    """Each row belongs to its cluster."""
    labels, centers = kmeans_labels(X, n_components, random_state, n_threads, sample_weight)
    return lambda passes, reg_covar: _of_clusters(passes, labels, centers, reg_covar)


def _of_clusters(passes, labels, centers, reg_covar) -> SufficientStatistics:
    """Statistics where each row belongs to its cluster."""
    statistics = passes.statistics_from_labels(labels, centers)
    moments = estimate_moments(statistics, passes.structure, reg_covar, passes.dtype)
    if is_accurate(moments, moments.covariances, passes.structure, passes.dtype):
        return statistics
    return passes.statistics_from_labels(labels, moments.means)


def _sample(X, sample_weight, n_components, random_state, n_threads) -> Start:
    """Responsibilities under the best of a few mixtures fitted to a sample; k-means if there are too few rows.

    K-means finds clusters in a small sample, several times, and EM goes on from each in one that is large enough for
    its parameters: three fits to few rows cost less than k-means of all (Biernacki, Celeux & Govaert 2003 compare such
    starts). Where all rows would be too few for that, the best clusters are refined on them instead.
    """
    n_rows = max(_SAMPLE_ROWS, _SAMPLE_ROWS_OF_CLUSTER * n_components)
    if n_rows > len(X) // _SAMPLE_SHARE:
        return _kmeans(X, sample_weight, n_components, random_state, n_threads)
    seed = random_state.randint(np.iinfo(np.int32).max)

    def start(passes, reg_covar):
        draws = np.random.RandomState(seed)  # so that every call draws the same numbers
        try:
            return _of_sample(passes, n_components, n_rows, draws, reg_covar)
        except (FitError, PoorSampleError):  # ask all rows
            return _kmeans(passes.X, passes.sample_weight, n_components, draws, n_threads)(passes, reg_covar)

    return start


def _of_sample(passes: ArrayPasses, n_components, n_rows, random_state, reg_covar) -> SufficientStatistics:
    """What `_sample` finds where there are enough rows; FitError or PoorSampleError if the sample is no good."""
    n_threads = passes.n_threads
    sample = _drawn(passes, n_components, n_rows, random_state)
    found = [
        kmeans_labels(sample.X, n_components, random_state, n_threads, sample.sample_weight)
        for _ in range(_SAMPLE_TRIES)
    ]
    n_parameters = n_free_parameters(passes.structure, n_components, passes.n_features)
    n_rows_em = max(n_rows, _SAMPLE_ROWS_OF_PARAMETER * n_parameters)
    if n_rows_em > len(passes.X) // _SAMPLE_SHARE:
        _, centers = min(found, key=lambda clusters: _squared_distance(sample, *clusters))
        clusters = refined_labels(passes.X, centers, _REFINEMENTS, n_threads, passes.sample_weight)
        return _of_clusters(passes, *clusters, reg_covar)
    larger = _drawn(passes, n_components, n_rows_em, random_state)
    fitted = _fitted(larger, [centers for _, centers in found], reg_covar)
    statistics, _ = _iteration(passes, n_components, reg_covar).accurate_e_step(fitted.parameters)
    shortfall = fitted.lower_bound - statistics.log_likelihood / statistics.total_weight
    if shortfall > _SAMPLE_SHORTFALL:
        raise PoorSampleError(f"All rows are {shortfall:g} less likely than the sample: it has none of those far out.")
    return statistics


def _drawn(passes: ArrayPasses, n_components: int, n_rows: int, random_state) -> ArrayPasses:
    """Passes over a sample with one row from each of n_rows stretches of equal weight, in order.

    A row is drawn with a probability proportional to its weight, and counts as often as it is drawn."""
    places = (np.arange(n_rows) + random_state.random_sample(n_rows)) / n_rows
    if passes.sample_weight is None:
        indices = (places * len(passes.X)).astype(np.intp)
    else:
        cumulated = np.cumsum(passes.sample_weight)
        indices = np.searchsorted(cumulated, places * cumulated[-1], side="right")
    indices, counts = np.unique(np.minimum(indices, len(passes.X) - 1), return_counts=True)
    if len(indices) < n_rows // 2:
        raise PoorSampleError(f"Only {len(indices)} rows have most of the weight: too few for a sample of {n_rows}.")
    weights = counts.astype(np.float64) if len(indices) < n_rows else None
    return ArrayPasses(passes.X[indices], weights, n_components, passes.structure, passes.n_threads)


def _squared_distance(sample: ArrayPasses, labels: np.ndarray, centers: np.ndarray) -> float:
    """Weighted sum of squared distances from the centers."""
    distances = np.square(sample.X - centers[labels]).sum(axis=1)
    return float(distances.sum() if sample.sample_weight is None else distances @ sample.sample_weight)


def _fitted(sample: ArrayPasses, starts: list[np.ndarray], reg_covar: float) -> EMResult[MixtureParameters]:
    """The best mixture that EM finds in a sample from the clusters around given centers.

    Only the best one goes on until EM converges."""
    iteration = _iteration(sample, len(starts[0]), reg_covar)
    clusters = (refined_labels(sample.X, centers, 0, sample.n_threads, sample.sample_weight) for centers in starts)
    run = partial(run_em, iterate=iteration.iterate, max_iter=_SAMPLE_MAX_ITER, progress=Progress(0, 1))
    best = run(
        lambda: iteration.model.start(lambda: _of_clusters(sample, *next(clusters), reg_covar)),
        n_init=len(starts),
        tol=_SAMPLE_TRY_TOL,
    )
    return run(lambda: best.parameters, n_init=1, tol=_SAMPLE_TOL)


def _iteration(passes: ArrayPasses, n_components: int, reg_covar: float) -> Iteration[MixtureParameters]:
    return Iteration(
        MaximumLikelihood(passes.structure, n_components, passes.n_features, passes.dtype, reg_covar), passes
    )


def _random(X, sample_weight, n_components, random_state, n_threads) -> Start:
    """Uniform random responsibilities, normalized for each row."""
    # All components start near the mean of the data, well within a standard deviation: good centers for the sums.
    centers = np.tile(column_means(X, n_threads, sample_weight), (n_components, 1))
    before = random_state.get_state(legacy=False)
    unused = [random_state]

    def start(passes, reg_covar):
        if unused:
            draws = unused.pop()
        else:  # every call draws the same numbers, but only once from the generator, which others may draw from
            draws = deepcopy(random_state)
            draws.set_state(before)
        return passes.statistics_from_resp(_random_responsibilities(len(X), n_components, X.dtype, draws), centers)

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
        structure = passes.structure
        statistics = SufficientStatistics.zeros(centers, structure.scatter_shape(*centers.shape))
        statistics.nk[:] = 1.0 if passes.sample_weight is None else passes.sample_weight[indices]
        statistics.total_weight = passes.total_weight
        if structure.kernel == "full" and structure.is_shared:
            # scikit-learn's tied covariance is (sum over ALL rows of x x^T, minus nk mu mu^T) / sum of nk, whatever the
            # responsibilities: with rows that belong to no component it is the scatter of those rows about the origin.
            labels = np.zeros(passes.X.shape[0], dtype=np.int32)
            scatter = passes.statistics_from_labels(labels, np.zeros_like(centers)).scatter
            statistics.scatter[0] = scatter[0] - (statistics.nk[:, np.newaxis] * centers).T @ centers
        elif structure.kernel == "diag":
            # scikit-learn's variances are E[x^2] - mu^2 in the dtype of X. For a single row what is left of them is the
            # ten units of rounding in its divisor, next to reg_covar no trifle.
            divisor = rows.dtype.type(1.0 + 10 * np.finfo(rows.dtype).eps)
            variances = rows * rows / divisor - (rows / divisor) ** 2
            is_constant = (rows == rows[0]).all(axis=0)  # for all that is seen of it: then it has reg_covar alone
            variances[is_constant | ~np.isfinite(variances)] = 0.0  # rows may exceed what has a square
            statistics.scatter[:] = statistics.nk[:, np.newaxis] * variances
        return statistics

    return start


_STARTS: dict[str, Callable[..., Start]] = {
    "kmeans": _kmeans,
    "k-means++": _kmeans_plusplus,
    "random": _random,
    "random_from_data": _random_from_data,
    "sample": _sample,
}
