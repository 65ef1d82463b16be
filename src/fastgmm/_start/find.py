"""Starts for EM: k-means, k-means++, random responsibilities, random rows, a mixture fitted to a sample, or given ones.

The first four draw the same random numbers in the same order as scikit-learn's, and lead to the same statistics. No
start stores responsibilities for all rows, unless they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import TypeVar, cast

import numpy as np

from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.protocol import Model, Parameters
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.columns import column_means
from fastgmm._rows.incomplete import passes_over
from fastgmm._rows.protocol import Passes, SampledPasses
from fastgmm._start.filled import passes_over_filled
from fastgmm._start.given import called, check_all_have_rows, statistics_of_given
from fastgmm._start.kmeans import kmeans_labels, kmeans_plusplus_indices, statistics_of_clusters
from fastgmm._start.noise import without_noise
from fastgmm._start.sample import rows_for_clusters, statistics_of_sample
from fastgmm._start.split_merge import statistics_of_split_merge
from fastgmm._utils.annotations import InitParams
from fastgmm._utils.errors import FitError, PoorSampleError
from fastgmm._utils.progress import SILENT, Reporter

_BLOCK_ELEMENTS = 2**18  # random responsibilities drawn at a time

P = TypeVar("P", bound=Parameters)

# (passes, reg_covar) -> statistics of a start, for the covariance structure of the passes.
Start = Callable[[ArrayPasses, float], SufficientStatistics]

# EM finds these, for the structure of the passes. Others are the same for all structures.
STARTS_OF_ONE_TYPE = ("sample", "split_merge")


def parameter_finder(
    model: Model[P], passes: Passes, init_params: InitParams, reg_covar: float, random_state: np.random.RandomState
) -> Callable[[], P]:
    """A function that returns the next parameters to start from; FitError if they are not those of a mixture.

    Parameters
    ----------
    model : Model
    passes : Passes
        If their rows are not all here, starts are found on a sample of them.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data', 'sample'}, callable, or checked ndarray
    reg_covar : float
    random_state : RandomState
    """

    def statistics() -> SufficientStatistics:
        here = passes_for_start(passes, reg_covar)
        here, noise = rows_for_start(here, model.n_components, init_params, random_state, model.has_noise)
        weights, n_threads = here.sample_weight, here.n_threads
        start = find_start(
            here.X, weights, model.n_components, init_params, random_state, n_threads, passes.progress, model.has_noise
        )
        found = statistics_of_start(start, here, passes.total_weight, reg_covar, noise)
        if not isinstance(init_params, str) and not model.has_priors:
            check_all_have_rows(found.nk)
        return found

    return lambda: model.start(statistics)


def passes_for_start(passes: Passes, reg_covar: float, structure: CovarianceStructure | None = None) -> ArrayPasses:
    """The passes themselves if their rows are here, else passes over a sample of the rows. Missing values are filled.

    `structure` is that of the mixtures to start, the passes' own if it is None."""
    structure = passes.structure if structure is None else structure
    if isinstance(passes, ArrayPasses):
        return passes_over_filled(passes, structure, reg_covar)
    rows, weights, n_threads = cast(SampledPasses, passes).sample()
    arguments = rows, weights, passes.n_components, passes.structure, n_threads, None, passes.progress
    return passes_over_filled(passes_over(*arguments, may_miss_values=passes.misses_values), structure, reg_covar)


def rows_for_start(
    here: ArrayPasses, n_components: int, init_params: InitParams, random_state: np.random.RandomState, has_noise: bool
) -> tuple[ArrayPasses, float | None]:
    """Passes over the rows that clusters are found in, and the share of the others, which start as noise.

    The share is None if there is no background.
    """
    if not has_noise:
        return here, None
    return without_noise(here, n_components, random_state) if isinstance(init_params, str) else (here, 0.0)


def statistics_of_start(
    start: Start, here: ArrayPasses, total_weight: float, reg_covar: float, noise: float | None
) -> SufficientStatistics:
    """Statistics of all rows under a start. If it was found on some of them, they are those of these rows, scaled.

    Parameters
    ----------
    start : callable
    here : ArrayPasses
        Over the rows on which the start was found.
    total_weight : float
        Of all rows.
    reg_covar : float
    noise : float or None
        Share of the rows that start as noise, and which `here` does not have. Rows of `here` also do if the start
        gives them to no component. None if there is no background.
    """
    found = start(here, reg_covar)
    clustered = total_weight
    if noise is not None:
        found.noise = max(0.0, found.total_weight - float(found.nk.sum()))
        clustered *= 1.0 - noise
    if found.total_weight != clustered:
        found.scale(clustered / found.total_weight)
    found.total_weight = total_weight  # without the rounding of the quotient
    if noise is not None:
        found.noise += noise * total_weight
    return found


def find_start(
    X: np.ndarray,
    sample_weight: np.ndarray | None,
    n_components: int,
    init_params: InitParams,
    random_state: np.random.RandomState,
    n_threads: int | None,
    progress: Reporter = SILENT,
    has_noise: bool = False,
) -> Start:
    """Find responsibilities that EM can start from.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32 or float64, C-contiguous
    sample_weight : ndarray of shape (n_samples,), float64, or None
    n_components : int
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data', 'sample'}, callable, or checked ndarray
        The array has a label, or responsibilities, for each row of X.
    random_state : RandomState
    n_threads : int or None
    progress : Reporter, default=SILENT
        Reports 'k-means++' and 'k-means'.
    has_noise : bool, default=False
        Whether a function may give rows to no component.

    Returns
    -------
    start : callable
        Returns the statistics under these responsibilities, given passes over the same rows for a covariance structure,
        and `reg_covar`.
    """
    if isinstance(init_params, str):
        return _STARTS[init_params](X, sample_weight, n_components, random_state, n_threads, progress)
    if callable(init_params):
        given = called(init_params, X, n_components, random_state, has_noise)
    else:
        given = np.asarray(init_params)
    return partial(statistics_of_given, given)


def _kmeans(X, sample_weight, n_components, random_state, n_threads, progress) -> Start:
    """Each row belongs to its cluster."""
    labels, centers = kmeans_labels(X, n_components, random_state, n_threads, sample_weight, progress)
    return lambda passes, reg_covar: statistics_of_clusters(passes, labels, centers, reg_covar)


def _sample(X, sample_weight, n_components, random_state, n_threads, progress) -> Start:
    """Responsibilities under a mixture fitted to a sample; k-means if rows are few, or EM on the sample fails."""
    n_rows = rows_for_clusters(n_components, len(X))
    if n_rows is None:
        return _kmeans(X, sample_weight, n_components, random_state, n_threads, progress)
    seed = random_state.randint(np.iinfo(np.int32).max)

    def start(passes, reg_covar):
        draws = np.random.RandomState(seed)  # every call draws the same numbers
        try:
            return statistics_of_sample(passes, n_components, n_rows, draws, reg_covar)
        except (FitError, PoorSampleError):
            found = _kmeans(passes.X, passes.sample_weight, n_components, draws, n_threads, progress)
            return found(passes, reg_covar)

    return start


def _split_merge(X, sample_weight, n_components, random_state, n_threads, progress) -> Start:
    """Responsibilities under a mixture that splits and merges improve; k-means if EM fails on the sample."""
    seed = random_state.randint(np.iinfo(np.int32).max)

    def start(passes, reg_covar):
        draws = np.random.RandomState(seed)  # every call draws the same numbers
        try:
            return statistics_of_split_merge(passes, n_components, draws, reg_covar)
        except (FitError, PoorSampleError):
            found = _kmeans(passes.X, passes.sample_weight, n_components, draws, n_threads, progress)
            return found(passes, reg_covar)

    return start


def _random(X, sample_weight, n_components, random_state, n_threads, progress) -> Start:
    """Uniform random responsibilities, normalized for each row."""
    # The means of all components are within a standard deviation of the mean of the rows: it is a good center.
    centers = np.tile(column_means(X, n_threads, sample_weight), (n_components, 1))
    before = random_state.get_state(legacy=False)
    unused = [random_state]

    def start(passes, reg_covar):
        if unused:
            draws = unused.pop()
        else:  # every call draws the same numbers; only the first takes them from the generator itself
            draws = deepcopy(random_state)
            draws.set_state(before)
        return passes.statistics_from_resp(_random_responsibilities(len(X), n_components, X.dtype, draws), centers)

    return start


def _random_responsibilities(n_samples, n_components, dtype, random_state) -> Iterator[np.ndarray]:
    """Responsibilities of successive blocks of rows. The numbers do not depend on the size of a block."""
    block_rows = max(1, _BLOCK_ELEMENTS // n_components)
    for start in range(0, n_samples, block_rows):
        rows = min(block_rows, n_samples - start)
        resp = random_state.uniform(size=(rows, n_components)).astype(dtype, copy=False)
        resp /= resp.sum(axis=1, keepdims=True)
        yield resp


def _random_from_data(X, sample_weight, n_components, random_state, n_threads, progress) -> Start:
    """Random distinct rows as means; weights do not matter."""
    return _single_rows(random_state.choice(X.shape[0], size=n_components, replace=False))


def _kmeans_plusplus(X, sample_weight, n_components, random_state, n_threads, progress) -> Start:
    """Rows chosen by k-means++ as means."""
    return _single_rows(kmeans_plusplus_indices(X, n_components, random_state, n_threads, sample_weight, progress))


def _single_rows(indices: np.ndarray) -> Start:
    """Component k is responsible for row `indices[k]` only."""

    def start(passes, reg_covar):
        rows = passes.X[indices]
        centers = rows.astype(np.float64)
        structure = passes.structure
        statistics = SufficientStatistics.zeros(centers, structure.scatter_shape(*centers.shape))
        statistics.nk[:] = 1.0 if passes.sample_weight is None else passes.sample_weight[indices]
        statistics.total_weight = passes.total_weight
        if structure.kernel == "full" and structure.is_shared:
            # scikit-learn's tied covariance is (sum over ALL rows of x x^T, minus nk mu mu^T) / sum of nk. It includes
            # the scatter about the origin of the rows that belong to no component.
            labels = np.zeros(passes.X.shape[0], dtype=np.int32)
            scatter = passes.statistics_from_labels(labels, np.zeros_like(centers)).scatter
            statistics.scatter[0] = scatter[0] - (statistics.nk[:, np.newaxis] * centers).T @ centers
        elif structure.kernel == "diag":
            # scikit-learn's variances are E[x^2] - mu^2 in the dtype of X. For a single row they are not 0, because of
            # the ten units of rounding in the divisor, and not small beside reg_covar.
            divisor = rows.dtype.type(1.0 + 10 * np.finfo(rows.dtype).eps)
            variances = rows * rows / divisor - (rows / divisor) ** 2
            is_constant = (rows == rows[0]).all(axis=0)  # then its variance is reg_covar
            variances[is_constant | ~np.isfinite(variances)] = 0.0  # squares may overflow
            squares = statistics.nk[:, np.newaxis] * variances
            statistics.scatter[:] = (
                squares if statistics.scatter.shape == squares.shape else squares.sum(axis=1)[:, np.newaxis]
            )
        return statistics

    return start


_STARTS: dict[str, Callable[..., Start]] = {
    "kmeans": _kmeans,
    "k-means++": _kmeans_plusplus,
    "random": _random,
    "random_from_data": _random_from_data,
    "sample": _sample,
    "split_merge": _split_merge,
}
