"""K-means for the start of EM: the random draws of scikit-learn's KMeans, with our own passes over the rows.

Seeding is greedy k-means++ (Arthur & Vassilvitskii 2007, with several candidates a step), iteration is Lloyd's. Both
draw and decide as scikit-learn does, so the same seed gives the same clusters up to ties in rounding. Passes subtract
`shift` from each row without a copy; beyond X there are only a few arrays with one entry a row.

In all functions X is an ndarray of shape (n_samples, n_features), C-contiguous, float32 or float64. `sample_weight` is
None or an ndarray of shape (n_samples,); only the ratios of the weights matter.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import RandomState
from sklearn.exceptions import ConvergenceWarning

from fastgmm._model.covariance import unrestricted
from fastgmm._model.moments import estimate_moments, is_accurate
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses, in_kernel_unit
from fastgmm._rows.columns import column_means, column_variances
from fastgmm._rows.kmeans import KMeansPasses, SeedingPasses
from fastgmm._rows.runner import row_flops
from fastgmm._utils.progress import SILENT, Reporter
from fastgmm._utils.warnings import warn

_MAX_ITER = 300  # of Lloyd's iterations, as in scikit-learn
_RELATIVE_TOL = 1e-4  # of Lloyd's iterations, in units of the mean variance of the features, as in scikit-learn
_RELOCATION_ROWS = 8192  # rows at a time when empty clusters are relocated
_GATHERED_ROWS = 2**16  # rows of a cluster that are copied at a time
# Rows are gathered by cluster if a pass takes so many operations for a row, and for all rows and one component.
_LEAST_ROW_FLOPS, _LEAST_CLUSTER_FLOPS = 1e5, 3e7


def kmeans_plusplus_indices(
    X: np.ndarray,
    n_clusters: int,
    random_state: RandomState,
    n_threads: int | None,
    sample_weight: np.ndarray | None = None,
    progress: Reporter = SILENT,
) -> np.ndarray:
    """Indices of the rows chosen by greedy k-means++, shape (n_clusters,).

    `random_state` advances exactly as in `sklearn.cluster.kmeans_plusplus`.
    """
    shift = np.zeros(X.shape[1], dtype=X.dtype)
    return _seeds(_passes(X, shift, n_clusters, sample_weight, n_threads, progress), n_clusters, random_state)


def _passes(X, shift, n_clusters: int, sample_weight, n_threads: int | None, progress: Reporter) -> KMeansPasses:
    return KMeansPasses(X, shift, n_clusters, in_kernel_unit(sample_weight, X.dtype)[0], n_threads, progress)


def _seeds(passes: KMeansPasses, n_clusters: int, random_state: RandomState) -> np.ndarray:
    X, shift, sample_weight, progress = passes.X, passes.shift, passes.sample_weight, passes.progress
    progress.begin("k-means++", n_clusters, 0)
    n_trials = 2 + int(np.log(n_clusters))
    indices = np.empty(n_clusters, dtype=np.intp)
    indices[0] = _first_seed(len(X), sample_weight, random_state)
    seeding = SeedingPasses(passes, X[indices[0]] - shift, n_trials)
    draws = random_state.uniform(size=(n_clusters - 1, n_trials))
    progress.iterate()
    for c in range(1, n_clusters):
        # A candidate is drawn with probability proportional to its weighted squared distance.
        candidates = seeding.rows_at(draws[c - 1] * seeding.potential)
        best = int(seeding.potentials(X[candidates] - shift).argmin())
        indices[c] = candidates[best]
        seeding.take(best)
        progress.iterate()
    progress.end()
    return indices


def _first_seed(n_samples, sample_weight, random_state) -> int:
    """`random_state.choice(n_samples, p=weights / sum of weights)`, without arrays if there are no weights."""
    if sample_weight is None:
        return int(random_state.uniform() * n_samples)
    return random_state.choice(n_samples, p=sample_weight / sample_weight.sum())


def kmeans_labels(
    X: np.ndarray,
    n_clusters: int,
    random_state: RandomState,
    n_threads: int | None,
    sample_weight: np.ndarray | None = None,
    progress: Reporter = SILENT,
) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of one run of k-means, the same as those of `sklearn.cluster.KMeans(n_clusters, n_init=1)`.

    Returns
    -------
    labels : ndarray of shape (n_samples,), int32
    means : ndarray of shape (n_clusters, n_features), float64
        Weighted mean of each cluster's rows; the mean of all rows for an empty cluster.
    """
    means = column_means(X, n_threads)
    tol = _RELATIVE_TOL * column_variances(X, means, n_threads).mean()
    # In float32 the rounding of the shift changes the distances, so it must be exactly scikit-learn's mean.
    shift = X.mean(axis=0) if X.dtype == np.float32 else means

    passes = _passes(X, shift, n_clusters, sample_weight, n_threads, progress)
    seeds = _seeds(passes, n_clusters, random_state)
    labels, sums, counts = lloyd(passes, X[seeds] - shift, tol)
    occupied = counts > 0
    if not occupied.all():
        n_found = np.count_nonzero(occupied)
        warn(
            f"Number of distinct clusters ({n_found}) found smaller than n_clusters ({n_clusters}). Possibly due to "
            f"duplicate points in X. Pass at most n_components={n_found}.",
            ConvergenceWarning,
            topic="clusters",
        )
    return labels, _means(sums, counts, shift, means)


def refined_labels(
    X: np.ndarray,
    centers: np.ndarray,
    max_iter: int,
    n_threads: int | None,
    sample_weight: np.ndarray | None = None,
    progress: Reporter = SILENT,
) -> tuple[np.ndarray, np.ndarray]:
    """Clusters after `max_iter` of Lloyd's iterations from centers (n_clusters, n_features), as `kmeans_labels`."""
    shift = centers.mean(axis=0).astype(X.dtype)  # keeps the digits of float32 where the data lie far from the origin
    passes = _passes(X, shift, len(centers), sample_weight, n_threads, progress)
    labels, sums, counts = lloyd(passes, (centers - shift).astype(X.dtype), 0.0, max_iter)
    return labels, _means(sums, counts, shift, shift)


def _means(sums: np.ndarray, counts: np.ndarray, shift: np.ndarray, without_rows: np.ndarray) -> np.ndarray:
    """Means of the clusters, float64; `without_rows` for empty ones."""
    means = sums / np.where(counts > 0, counts, 1.0)[:, np.newaxis] + shift
    return np.where(counts[:, np.newaxis] > 0, means, without_rows)


def lloyd(
    passes: KMeansPasses, centers: np.ndarray, tol: float, max_iter: int = _MAX_ITER
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lloyd's iterations on X - shift from the given centers.

    Parameters
    ----------
    passes : KMeansPasses
    centers : ndarray of shape (n_clusters, n_features)
        In the dtype of X.
    tol : float
        Stop when the sum of the squared moves of all centers is no larger.
    max_iter : int, default=300

    Returns
    -------
    labels : ndarray of shape (n_samples,), int32
    sums : ndarray of shape (n_clusters, n_features), float64
        Weighted sums of the clusters' rows, minus shift.
    counts : ndarray of shape (n_clusters,), float64
        Sums of the clusters' weights.
    """
    labels = np.full(len(passes.X), -1, dtype=np.int32)
    passes.progress.begin("k-means", max_iter, 0)
    has_changed, converged = True, False
    for _ in range(max_iter):
        n_changed, sums, counts = passes.assign(centers, labels)
        passes.progress.iterate()
        has_changed = n_changed > 0
        if not has_changed:
            break
        previous = centers
        centers = _updated_centers(passes, centers, labels, sums, counts)
        converged = np.square(centers - previous).sum() <= tol
        if converged:
            break
    if has_changed:
        _, sums, counts = passes.assign(centers, labels)
    passes.progress.end(converged=bool(converged or not has_changed))
    return labels, sums, counts


def _updated_centers(passes, centers, labels, sums, counts):
    """Means of the clusters, in the dtype of X; overwrites `sums` and `counts`."""
    dtype = centers.dtype
    if not counts.all():
        _relocate_empty_clusters(passes.X, passes.shift, centers, labels, sums, counts, passes.sample_weight)
    if counts.min() > 0:
        return (sums / counts[:, np.newaxis]).astype(dtype, copy=False)
    heaviest = np.argmax(counts)
    for k in range(len(counts)):
        # As in scikit-learn a cluster that stays empty gets the mean of the heaviest one if it is known by now, else
        # its sum. This happens only with duplicate rows, but decides which of two equal centers wins them.
        sums[k] = sums[k] / counts[k] if counts[k] > 0 else sums[heaviest]
    return sums.astype(dtype)


def _relocate_empty_clusters(X, shift, centers, labels, sums, counts, sample_weight):
    """Give each empty cluster one of the rows that lie farthest from their centers, in place."""
    distances = np.empty(X.shape[0], dtype=X.dtype)
    for start in range(0, X.shape[0], _RELOCATION_ROWS):
        rows = slice(start, start + _RELOCATION_ROWS)
        distances[rows] = np.square(X[rows] - shift - centers[labels[rows]]).sum(axis=1)
    if not distances.any():
        return  # there are more clusters than distinct rows
    empty = np.flatnonzero(counts == 0)
    farthest = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
    for k, i in zip(empty, farthest, strict=True):
        weight = 1.0 if sample_weight is None else sample_weight[i]
        sums[k] = (X[i] - shift) * weight
        sums[labels[i]] -= sums[k]
        counts[k] = weight
        counts[labels[i]] -= weight


def statistics_of_clusters(
    passes: ArrayPasses, labels: np.ndarray, centers: np.ndarray, reg_covar: float
) -> SufficientStatistics:
    """Statistics where each row belongs to its cluster, about centers that make the sums accurate."""
    return accurate_statistics(lambda about: _statistics_from_labels(passes, labels, about), centers, passes, reg_covar)


def accurate_statistics(
    statistics_about: Callable[[np.ndarray], SufficientStatistics],
    centers: np.ndarray,
    passes: ArrayPasses,
    reg_covar: float,
) -> SufficientStatistics:
    """Statistics about these centers, or about the means if that makes the sums more accurate."""
    statistics, structure = statistics_about(centers), unrestricted(passes.structure)
    moments = estimate_moments(statistics, structure, reg_covar, passes.dtype)
    if is_accurate(moments, moments.covariances, structure, passes.dtype):
        return statistics
    return statistics_about(moments.means)


def _statistics_from_labels(passes: ArrayPasses, labels: np.ndarray, centers: np.ndarray) -> SufficientStatistics:
    """Statistics about ``centers`` with responsibility 1 for each row's label.

    A pass adds each row to the sums of all components, with the responsibility 0 for all but one. Where this takes
    long, the rows of each cluster are gathered, and added for its component only.
    """
    structure, (n_components, n_features) = passes.structure, centers.shape
    pass_flops = row_flops(structure, n_components, n_features)
    if min(pass_flops / _LEAST_ROW_FLOPS, len(labels) * row_flops(structure, 1, n_features) / _LEAST_CLUSTER_FLOPS) < 1:
        return passes.statistics_from_labels(labels, centers)
    centers = centers.astype(passes.dtype).astype(np.float64)
    statistics = SufficientStatistics.zeros(centers, structure.scatter_shape(n_components, n_features))
    statistics.total_weight = passes.total_weight
    of_one = passes.for_mixture(1, structure, SILENT)
    # NumPy sorts 16 bits by counting.
    unsigned = labels.astype(np.uint16 if n_components < 2**16 else np.uint32)  # noise, -1, comes last
    order = np.argsort(unsigned, kind="stable")
    clusters = np.split(order, np.cumsum(np.bincount(labels[labels >= 0], minlength=n_components)))[:-1]
    for k, rows in enumerate(clusters):
        for first in range(0, len(rows), _GATHERED_ROWS):
            found = of_one.part(rows[first : first + _GATHERED_ROWS]).statistics_of_all(centers[k : k + 1])
            statistics.nk[k] += found.nk[0]
            statistics.sum_x[k] += found.sum_x[0]
            statistics.scatter[0 if structure.is_shared else k] += found.scatter[0]
    return statistics
