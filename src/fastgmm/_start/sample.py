"""The start from a sample: responsibilities of all rows under a mixture that was fitted to a few of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from fastgmm._em.iteration import Iteration
from fastgmm._em.loop import EMResult, run_em
from fastgmm._model.gaussian import MaximumLikelihood, MixtureParameters, n_free_parameters
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses
from fastgmm._start.kmeans import kmeans_labels, refined_labels, statistics_of_clusters
from fastgmm._utils.blas import blas_of_all_rows
from fastgmm._utils.errors import PoorSampleError
from fastgmm._utils.progress import Reporter

# Chosen with benchmarks/starts.py.
_LEAST_ROWS = 5_000  # in the sample for k-means
_ROWS_PER_CLUSTER = 40  # least number of rows in the sample for k-means, for each cluster
_ROWS_PER_PARAMETER = 5  # in the sample for EM, for each free parameter
_LEAST_RATIO = 8  # of the number of all rows to that of a sample
_N_TRIES = 3  # runs of k-means on the sample, each followed by EM
_TRY_TOL = 1e-2  # tolerance of EM in each try
_MAX_ITER, _TOL = 100, 1e-3  # of EM; the tolerance is that of the best try, which continues
_LARGEST_SHORTFALL = 1.0  # of the mean log-density of all rows below the sample's, in nats; usually 0 to 0.4
_REFINEMENTS = 10  # Lloyd iterations on all rows, if the sample for EM would be too large


def rows_for_clusters(n_components: int, n_rows: int) -> int | None:
    """Number of rows in the sample of n_rows rows for k-means; None if n_rows are too few for a sample."""
    n_sampled = max(_LEAST_ROWS, _ROWS_PER_CLUSTER * n_components)
    return None if n_sampled > n_rows // _LEAST_RATIO else n_sampled


def statistics_of_sample(
    passes: ArrayPasses, n_components: int, n_rows: int, random_state: np.random.RandomState, reg_covar: float
) -> SufficientStatistics:
    """Statistics of all rows under the best of a few mixtures that EM finds in a sample.

    K-means finds clusters in a small sample, three times. EM continues from each on a sample that is large enough for
    the parameters. This costs less than k-means of all rows (Biernacki, Celeux & Govaert 2003 compare such starts). If
    the sample for EM would be too large, Lloyd's iterations refine the best clusters on all rows instead.

    Parameters
    ----------
    passes : ArrayPasses
        Over all rows.
    n_components : int
    n_rows : int
        In the sample for k-means, from `rows_for_clusters`.
    random_state : RandomState
    reg_covar : float

    Raises
    ------
    FitError
        If EM fails on the sample.
    PoorSampleError
        If few rows have most of the weight, or all rows are much less likely than the sample.
    """
    n_threads = passes.n_threads
    sample = drawn(passes, n_components, n_rows, random_state)
    X, weights = sample.X, sample.sample_weight
    progress = passes.progress
    found = [kmeans_labels(X, n_components, random_state, n_threads, weights, progress) for _ in range(_N_TRIES)]
    n_parameters = n_free_parameters(passes.structure, n_components, passes.n_features)
    n_rows_em = max(n_rows, _ROWS_PER_PARAMETER * n_parameters)
    if n_rows_em > len(passes.X) // _LEAST_RATIO:
        _, centers = min(found, key=lambda clusters: _squared_distance(sample, *clusters))
        clusters = refined_labels(passes.X, centers, _REFINEMENTS, n_threads, passes.sample_weight, progress)
        return statistics_of_clusters(passes, *clusters, reg_covar)
    larger = drawn(passes, n_components, n_rows_em, random_state)
    fitted = _fitted(larger, [centers for _, centers in found], reg_covar)
    statistics, _ = _iteration(passes, n_components, reg_covar).accurate_e_step(fitted.parameters)
    check_shortfall(fitted.lower_bound, statistics)
    return statistics


def check_shortfall(lower_bound: float, statistics: SufficientStatistics) -> None:
    """Raise PoorSampleError if all rows are much less likely than the sample under the same mixture."""
    shortfall = lower_bound - statistics.log_likelihood / statistics.total_weight
    if shortfall > _LARGEST_SHORTFALL:
        raise PoorSampleError(f"All rows are {shortfall:g} less likely than the sample: it has none of those far out.")


def drawn(passes: ArrayPasses, n_components: int, n_rows: int, random_state) -> ArrayPasses:
    """Passes over a sample with one row from each of n_rows intervals of equal weight, in order.

    The probability of a row is proportional to its weight. A row counts as often as it is drawn."""
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
    n_threads, progress = passes.n_threads, passes.progress
    return ArrayPasses(passes.X[indices], weights, n_components, passes.structure, n_threads, progress=progress)


def _squared_distance(sample: ArrayPasses, labels: np.ndarray, centers: np.ndarray) -> float:
    """Weighted sum of squared distances from the centers."""
    distances = np.square(sample.X - centers[labels]).sum(axis=1)
    with blas_of_all_rows():
        return float(distances.sum() if sample.sample_weight is None else distances @ sample.sample_weight)


def _fitted(sample: ArrayPasses, starts: list[np.ndarray], reg_covar: float) -> EMResult[MixtureParameters]:
    """The best mixture that EM finds in a sample, from the clusters around each of several sets of centers."""
    iteration = _iteration(sample, len(starts[0]), reg_covar)
    clusters = (refined_labels(sample.X, centers, 0, sample.n_threads, sample.sample_weight) for centers in starts)
    run = partial(run_em, iterate=reported(iteration, sample.progress), max_iter=_MAX_ITER)
    sample.progress.begin("sample", iteration=0)
    best = run(
        lambda: iteration.model.start(lambda: statistics_of_clusters(sample, *next(clusters), reg_covar)),
        n_init=len(starts),
        tol=_TRY_TOL,
    )
    result = run(lambda: best.parameters, n_init=1, tol=_TOL)
    sample.progress.end()
    return result


def reported(
    iteration: Iteration[MixtureParameters, ArrayPasses], progress: Reporter
) -> Callable[[MixtureParameters], tuple[MixtureParameters, float]]:
    """Iterations on a sample that are reported."""

    def iterate(parameters: MixtureParameters) -> tuple[MixtureParameters, float]:
        found, bound = iteration.iterate(parameters)
        progress.iterate(lower_bound=bound)
        return found, bound

    return iterate


def _iteration(passes: ArrayPasses, n_components: int, reg_covar: float) -> Iteration[MixtureParameters, ArrayPasses]:
    return Iteration(
        MaximumLikelihood(passes.structure, n_components, passes.n_features, passes.dtype, reg_covar), passes
    )
