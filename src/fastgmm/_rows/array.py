"""Every walk over the rows of the data: kernels called chunk by chunk, with their workspace.

Between two chunks Python gets to run, so that Ctrl-C stops a long pass within about a second. The chunks' statistics
add up; where they end depends on the shapes alone, so results repeat bitwise for a given number of threads. Where a
chunk cannot be so short, another Python thread makes the pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np

from fastgmm import _kernels
from fastgmm._model.covariance import COVARIANCE_TYPES, Components, kernel_parameters, variance_noise
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._skipping.cells import Cells
from fastgmm._skipping.screens import Goal, Screen, Screening
from fastgmm._utils.memory import aligned_empty, aligned_zeros
from fastgmm._utils.threads import effective_n_threads, run_interruptibly

T = TypeVar("T")

BLOCK_ROWS = _kernels.active.BLOCK

_CHUNK_FLOPS = 5e9  # of one thread: about half a second with the plainest variant
_THREAD_FLOPS = 2e6  # what makes waking one more thread worth it: some 50 us of work
_SCORE_ROWS = 2**16  # log-densities held at a time when only their sum is wanted
_LEAST_WEIGHT = 2.0**-60  # of the largest, next to which products of float32 are far from underflow


class Walk:
    """Chunks, threads and workspace of passes over (n_samples, n_features) data with n_components components.

    It may take over the workspace of a walk for the same shape of mixture, which is then not to be used any more.
    """

    workspace: np.ndarray
    sums: np.ndarray

    def __init__(
        self,
        X: np.ndarray,
        n_components: int,
        factors: tuple[int, int],
        row_flops: float,
        n_threads: int | None,
        before: Walk | None = None,
    ):
        n_samples, n_features = X.shape
        useful = max(1, min(-(-n_samples // BLOCK_ROWS), int(n_samples * row_flops / _THREAD_FLOPS)))
        self.n_threads = min(effective_n_threads(n_threads), useful)
        n_chunks = math.ceil(n_samples / (self.n_threads * max(BLOCK_ROWS, _CHUNK_FLOPS / row_flops)))
        self.chunk = -(-n_samples // (n_chunks * BLOCK_ROWS)) * BLOCK_ROWS
        self.n_samples, self._dtype = n_samples, X.dtype
        self._is_long = BLOCK_ROWS * row_flops > _CHUNK_FLOPS
        self._of_screens: dict[tuple[int, ...], tuple[np.ndarray, ...]] = {}
        if before is not None and (before.n_threads, before._dtype) == (self.n_threads, X.dtype):
            self.workspace, self.sums, self._of_screens = before.workspace, before.sums, before._of_screens
        else:
            work, sums = _kernels.active.workspace_sizes(n_components, n_features, *factors, self.n_threads)
            self.workspace, self.sums = aligned_empty(work, X.dtype), aligned_empty(sums, np.float64)

    @cached_property
    def counts(self) -> np.ndarray:
        """Of pairs that screened passes looked at; a cache line for each thread, since all write at the same time."""
        return aligned_zeros((self.n_threads, 8), np.int64)

    def screen_workspaces(self, screen: Screen | Cells) -> tuple[np.ndarray, ...]:
        """Kept for the next pass: to get so much memory anew each time would cost some percent."""
        shape = screen.workspace_shape()
        if shape not in self._of_screens:
            self._of_screens.clear()
            self._of_screens[shape] = screen.workspaces(self._dtype, self.n_threads)
        return self._of_screens[shape]

    def run(self, kernel: Callable[..., T], *arguments) -> T:
        """What a kernel returns for the rows of a slice, or fewer."""
        return run_interruptibly(kernel, *arguments) if self._is_long else kernel(*arguments)

    def slices(self) -> Iterator[slice]:
        for start in range(0, self.n_samples, self.chunk):
            yield slice(start, min(start + self.chunk, self.n_samples))


def row_flops(covariance_type: str, n_components: int, n_features: int) -> float:
    """Operations of a pass for each row, with some for the softmax."""
    full = COVARIANCE_TYPES[covariance_type].structure == "full"
    return 2.0 * n_components * (n_features * (n_features + 5) + 10 if full else 5 * n_features + 10)


class DataPasses:
    """Passes over one data set, all for one shape of mixture.

    Parameters
    ----------
    X : ndarray or memmap of shape (n_samples, n_features), float32 or float64, C-contiguous
        Read in place, never copied, but for float32 rows whose weights are not of comparable size: float64 holds them.
    sample_weight : ndarray of shape (n_samples,), float64, or None
    n_components : int
    covariance_type : str
    n_threads : int or None
    before : Walk, default=None
        That of passes for the same shape of mixture, which are not needed any more, for its workspace.
    """

    def __init__(
        self,
        X,
        sample_weight,
        n_components: int,
        covariance_type: str,
        n_threads: int | None,
        before: Walk | None = None,
    ):
        self.X = np.asarray(X)
        self.dtype = self.X.dtype
        if _differ_too_much(sample_weight, self.dtype):
            self.X = self.X.astype(np.float64)
        self._weights, self._weight_unit = in_kernel_unit(sample_weight, self.X.dtype)
        self.n_features = self.X.shape[1]
        self.sample_weight = sample_weight
        self.total_weight = total_weight(X, sample_weight)
        self.covariance_type = covariance_type
        self._type = COVARIANCE_TYPES[covariance_type]
        self._n_components = n_components
        self._row_flops = row_flops(covariance_type, n_components, self.n_features)
        n_factors = self._type.scatter_shape(n_components, self.n_features)[0]
        factors = (n_factors, self.n_features if self._type.structure == "full" else 1)
        self.walk = Walk(self.X, n_components, factors, self._row_flops, n_threads, before)
        self.n_threads = self.walk.n_threads

    @cached_property
    def screening(self) -> Screening:
        """What these rows say about what to skip; those of a batch are not asked."""
        return Screening(self.X, len(self.X), self._n_components, self.covariance_type, self._row_flops, self.n_threads)

    def of_one_component(self, covariance_type: str) -> DataPasses:
        """Passes over the same rows for a mixture of one component."""
        return DataPasses(self.X, self.sample_weight, 1, covariance_type, self.n_threads)

    def first_row(self) -> np.ndarray:
        """Shape (n_features,), float64."""
        return self.X[0].astype(np.float64)

    def em_step(
        self,
        parameters: Components,
        centers: np.ndarray | None = None,
        with_entropy: bool = False,
        screen: Screen | Cells | None = None,
    ) -> SufficientStatistics:
        """Statistics of the rows under their responsibilities, about ``centers`` (default: the means).

        With a ``screen``, of the same parameters, pairs of row and component are skipped that cannot matter."""
        means, factors, log_const = self._kernel_parameters(parameters)
        centers = self._as_data(parameters.means if centers is None else centers)
        statistics = self._zeros(centers)
        scatter = _as_3d(statistics.scatter)
        em_pass: Callable[..., tuple[float, float]] = _kernels.active.em_pass
        further: tuple = ()
        if screen is not None:
            em_pass = screen.em_pass
            further = (*screen.arguments(), *self.walk.screen_workspaces(screen), self.walk.counts)
        for rows in self.walk.slices():
            log_likelihood, entropy = self.walk.run(
                em_pass, self.X[rows], _part(self._weights, rows), means, centers, factors, log_const, statistics.nk,
                statistics.sum_x, scatter, with_entropy, self.walk.workspace, self.walk.sums, self.n_threads,
                *further,
            )  # fmt: skip
            statistics.log_likelihood += log_likelihood
            statistics.entropy += entropy
        return self._of_all_weights(statistics)

    def statistics_from_labels(self, labels: np.ndarray, centers: np.ndarray) -> SufficientStatistics:
        """Statistics about ``centers`` with responsibility 1 for each row's label (int32)."""
        return self._given_statistics(((rows, labels[rows], None) for rows in self.walk.slices()), centers)

    def statistics_from_resp(self, resp_blocks: Iterable[np.ndarray], centers: np.ndarray) -> SufficientStatistics:
        """Statistics about ``centers`` with given responsibilities; the blocks cover the rows in order."""

        def blocks():
            start = 0
            for resp in resp_blocks:
                for first in range(0, len(resp), self.walk.chunk):
                    part = resp[first : first + self.walk.chunk]
                    yield slice(start, start + len(part)), None, part
                    start += len(part)

        return self._given_statistics(blocks(), centers)

    def statistics_of_all(self, centers: np.ndarray) -> SufficientStatistics:
        """Statistics about ``centers`` where every row belongs to every component."""
        return self._given_statistics(((rows, None, None) for rows in self.walk.slices()), centers)

    def log_prob_norm(self, parameters: Components) -> np.ndarray:
        """log p(x_i), shape (n_samples,)."""
        fill = self._densities(Goal.DENSITIES, parameters)
        out = np.empty(len(self.X), self.X.dtype)
        for rows in self.walk.slices():
            fill(rows, out[rows], None)
        return out

    def score_sum(self, parameters: Components) -> float:
        """sum_i w_i log p(x_i), without an array of n_samples."""
        fill = self._densities(Goal.DENSITIES, parameters)
        total = 0.0
        for rows in self.walk.slices():
            for start in range(rows.start, rows.stop, _SCORE_ROWS):
                part = slice(start, min(start + _SCORE_ROWS, rows.stop))
                norm = np.empty(part.stop - part.start, self.X.dtype)
                fill(part, norm, None)
                weights = _part(self.sample_weight, part)
                total += float(norm.sum(dtype=np.float64) if weights is None else weights @ norm)
        return total

    def log_max_resp_sum(self, parameters: Components) -> float:
        """sum_i w_i log max_k resp_ik, without an array of n_samples."""
        mixture, n_components = self._kernel_parameters(parameters), len(parameters.means)
        total = 0.0
        step = max(1, _SCORE_ROWS // n_components)
        for rows in self.walk.slices():
            for start in range(rows.start, rows.stop, step):
                part = slice(start, min(start + step, rows.stop))
                resp = np.empty((part.stop - part.start, n_components), self.X.dtype)
                self.walk.run(
                    _kernels.active.density_pass, self.X[part], *mixture, None, None, resp, self.walk.workspace,
                    self.n_threads,
                )  # fmt: skip
                log_max = np.log(resp.max(axis=1), dtype=np.float64)
                weights = _part(self.sample_weight, part)
                total += float(log_max.sum() if weights is None else weights @ log_max)
        return total

    def predict(self, parameters: Components) -> np.ndarray:
        """The most probable component of each row, shape (n_samples,), int64."""
        fill = self._densities(Goal.LABELS, parameters)
        out = np.empty(len(self.X), np.int64)
        for rows in self.walk.slices():
            fill(rows, None, out[rows])
        return out

    def resp(self, parameters: Components) -> np.ndarray:
        """Responsibilities, shape (n_samples, n_components)."""
        mixture = self._kernel_parameters(parameters)
        out = np.empty((len(self.X), len(parameters.means)), self.X.dtype)
        for rows in self.walk.slices():
            self.walk.run(
                _kernels.active.density_pass, self.X[rows], *mixture, None, None, out[rows], self.walk.workspace,
                self.n_threads,
            )  # fmt: skip
        return out

    def _densities(self, goal: Goal, parameters: Components) -> Callable[..., None]:
        """Fills, for a slice of rows, their log-densities or their labels, whichever is the goal; what cannot matter to
        it may be skipped."""
        screen = self.screening.screen_for(goal, parameters)
        mixture = self._kernel_parameters(parameters)
        workspace, n_threads = self.walk.workspace, self.n_threads
        if screen is None:
            density_pass: Callable[..., None] = _kernels.active.density_pass
            return lambda rows, norm, labels: self.walk.run(
                density_pass, self.X[rows], *mixture, norm, labels, None, workspace, n_threads
            )
        further = (*screen.arguments(), *self.walk.screen_workspaces(screen), self.walk.counts)
        return lambda rows, norm, labels: self.walk.run(
            screen.density_pass, self.X[rows], *mixture, norm, labels, workspace, n_threads, *further
        )

    def _kernel_parameters(self, parameters: Components) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means, factors and log-normalizers as the kernels take them."""
        return kernel_parameters(parameters, self.covariance_type, self.X.dtype)

    def _given_statistics(self, blocks, centers) -> SufficientStatistics:
        centers = self._as_data(centers)
        statistics = self._zeros(centers)
        for rows, labels, resp in blocks:
            self.walk.run(
                _kernels.active.statistics_pass, self.X[rows], _part(self._weights, rows), labels, resp, centers,
                statistics.nk, statistics.sum_x, _as_3d(statistics.scatter), self.walk.workspace, self.walk.sums,
                self.n_threads,
            )  # fmt: skip
        return self._of_all_weights(statistics)

    def _zeros(self, centers) -> SufficientStatistics:
        return SufficientStatistics.zeros(centers.astype(np.float64), self._type.scatter_shape(*centers.shape))

    def _of_all_weights(self, statistics: SufficientStatistics) -> SufficientStatistics:
        """What kernels have found, in the unit of the weights that were given."""
        if self._weight_unit != 1.0:
            statistics.scale(self._weight_unit)
        statistics.total_weight = self.total_weight
        return statistics

    def _as_data(self, centers) -> np.ndarray:
        """Centers as kernels take them, rounded as the data are, so that all batches have the same."""
        return np.ascontiguousarray(np.asarray(centers, self.dtype), self.X.dtype)


def total_weight(rows: np.ndarray, sample_weight: np.ndarray | None) -> float:
    """Sum of the weights; the number of rows when there are none."""
    return float(len(rows) if sample_weight is None else sample_weight.sum())


def _differ_too_much(sample_weight: np.ndarray | None, dtype) -> bool:
    """Whether products of such weights would be lost beside rows of this dtype; those that are 0 do not count."""
    if sample_weight is None or dtype != np.float32:
        return False
    largest = sample_weight.max()
    return bool(sample_weight.min(where=sample_weight > 0.0, initial=largest) < _LEAST_WEIGHT * largest)


def in_kernel_unit(sample_weight: np.ndarray | None, dtype) -> tuple[np.ndarray | None, float]:
    """Weights as kernels can take them, and the unit that they were divided by.

    Kernels multiply by weights in the dtype of the rows, and float32 has neither 1e39 nor 1e-46. The unit is a power of
    four, so that it changes no bit of a product or of a root.
    """
    if sample_weight is None or dtype != np.float32:
        return sample_weight, 1.0
    _, exponent = math.frexp(sample_weight.max())
    unit = math.ldexp(1.0, min(exponent // 2 * 2, 1022))
    return (sample_weight if unit == 1.0 else sample_weight / unit), unit


def _part(array: np.ndarray | None, rows: slice) -> np.ndarray | None:
    return None if array is None else array[rows]


def _as_3d(array: np.ndarray) -> np.ndarray:
    """Diagonal quantities (K, d) as the kernels see them: (K, 1, d)."""
    return array if array.ndim == 3 else array[:, np.newaxis]


class AllRows(Protocol):
    """Passes that can look at all rows as one component."""

    dtype: np.dtype

    def of_one_component(self, covariance_type: str) -> AllRows: ...

    def first_row(self) -> np.ndarray: ...

    def statistics_of_all(self, centers: np.ndarray) -> SufficientStatistics: ...


def mean_of_all(passes: AllRows) -> np.ndarray:
    """(Weighted) mean of the rows, float64."""
    return _mean_of_component(passes.of_one_component("diag"))


def _mean_of_component(passes: AllRows) -> np.ndarray:
    first_row = passes.first_row()
    statistics = passes.statistics_of_all(first_row[np.newaxis])
    return first_row + statistics.sum_x[0] / statistics.nk[0]


def covariance_of_all(passes: AllRows, mean: np.ndarray, covariance_type: str) -> np.ndarray:
    """Unbiased (weighted) covariance of the rows as one component has it, float64; weights count rows."""
    statistics = passes.of_one_component(covariance_type).statistics_of_all(mean[np.newaxis])
    delta = statistics.sum_x / statistics.nk[0]
    noise = variance_noise(statistics.centers + delta, delta * delta, passes.dtype)
    return COVARIANCE_TYPES[covariance_type].covariances(statistics, delta, statistics.nk - 1.0, 0.0, noise)


def column_means(X: np.ndarray, n_threads: int | None, sample_weight: np.ndarray | None = None) -> np.ndarray:
    """(Weighted) mean of each column, float64."""
    return _mean_of_component(DataPasses(X, sample_weight, 1, "diag", n_threads))


def column_variances(X: np.ndarray, means: np.ndarray, n_threads: int | None) -> np.ndarray:
    """Mean squared difference of each column from ``means``, float64."""
    statistics = DataPasses(X, None, 1, "diag", n_threads).statistics_of_all(means[np.newaxis])
    return statistics.scatter[0] / statistics.nk[0]


class KMeansPasses:
    """Passes of k-means over X - shift, where the shifted data are never stored.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32 or float64, C-contiguous
    shift : ndarray of shape (n_features,)
    n_clusters : int
    sample_weight : ndarray of shape (n_samples,), float64, or None
    n_threads : int or None
    """

    def __init__(self, X, shift, n_clusters: int, sample_weight, n_threads: int | None):
        self.X = np.asarray(X)
        self.shift = np.ascontiguousarray(shift, X.dtype)
        self.sample_weight = sample_weight
        n_features = self.X.shape[1]
        self._centers: np.ndarray | None = None  # those of the last assignment
        most = n_clusters + 1  # centers that a pass sees: k-means++ takes one while it weighs others
        self.walk = Walk(self.X, most, (most, 1), 4.0 * n_clusters * n_features + 100, n_threads)
        self.floats = aligned_empty(_kernels.active.kmeans_floats(most, n_features, self.walk.n_threads), np.float32)

    def assign(self, centers: np.ndarray, labels: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
        """Put the nearest centers into ``labels`` (int32), which after the first call must be those of the last one.

        Returned are how many changed, and the clusters' weighted sums of x - shift and their weights. Rows are skipped
        whose label the moves of the centers since the last call cannot have changed."""
        fresh = self._centers is None
        if self._centers is None:
            self._centers = centers.astype(np.float64)
            self._scale = _scale(centers)
            self._gaps = np.empty(len(self.X), np.float32)
            self._moved = np.zeros(len(centers))
            self._sums, self._counts = np.zeros(centers.shape), np.zeros(len(centers))
        else:
            _kernels.active.note_moves(centers, self._centers, self._moved, self._scale)
        n_changed = 0
        for rows in self.walk.slices():
            n_changed += self.walk.run(
                _kernels.active.kmeans_pass, self.X[rows], _part(self.sample_weight, rows), self.shift, centers,
                self._moved, self._scale, fresh, labels[rows], self._gaps[rows], self._counts, self._sums,
                self.walk.workspace, self.floats, self.walk.sums, self.walk.n_threads,
            )  # fmt: skip
        if self.sample_weight is not None:  # differences of weights need not end at 0 where a cluster lost all its rows
            self._counts[:] = np.bincount(labels, self.sample_weight, len(centers))
        return n_changed, self._sums.copy(), self._counts.copy()


class SeedingPasses:
    """The passes of k-means++: centers are taken one after the other, each from among a few candidates.

    A center is taken on the way of the pass over the next candidates; until then it waits.

    Parameters
    ----------
    passes : KMeansPasses
    center : ndarray of shape (n_features,)
        The first to be taken, minus the shift.
    n_candidates : int
        At most so many at a time.

    Attributes
    ----------
    closest : ndarray of shape (n_samples,)
        Squared distances of the rows from the nearest center that does not wait.
    potential : float
        Their weighted sum, as it is with the one that waits.
    """

    def __init__(self, passes: KMeansPasses, center: np.ndarray, n_candidates: int):
        self._passes = passes
        self.closest = np.empty(len(passes.X), passes.X.dtype)
        self._is_fresh = True  # nothing was ever taken
        # Of runs of BLOCK_ROWS: weighted sums of closest, and what they would be with the candidates.
        self._block_sums = np.empty((n_candidates + 1, -(-len(passes.X) // BLOCK_ROWS)))
        self._waiting = np.empty((0, passes.X.shape[1]), passes.X.dtype)
        self.potentials(center[np.newaxis])
        self.take(0)

    def potentials(self, candidates: np.ndarray) -> np.ndarray:
        """sum_i w_i min(closest_i, |x_i - shift - c|^2) for each candidate c."""
        self._candidates = candidates
        self._potentials = self._pass(candidates)
        return self._potentials

    def take(self, candidate: int) -> None:
        """One of the last candidates."""
        self._waiting = self._candidates[candidate : candidate + 1]
        self.potential = float(self._potentials[candidate])
        self._block_sums[0] = self._block_sums[candidate + 1]

    def rows_at(self, thresholds: np.ndarray) -> np.ndarray:
        """First row at which the cumulated w_i closest_i reach each threshold."""
        p = self._passes
        if p.X.dtype == np.float32 and len(self._waiting):  # then all rows are added up
            self._pass(self._waiting[:0])
        rows = np.empty(len(thresholds), np.intp)
        center = self._waiting[0] if len(self._waiting) else p.shift
        _kernels.active.rows_at(
            p.X, p.sample_weight, p.shift, center, len(self._waiting), self.closest, self._is_fresh,
            self._block_sums[0], thresholds, rows, p.walk.workspace,
        )  # fmt: skip
        return rows

    def _pass(self, candidates: np.ndarray) -> np.ndarray:
        """Take what waits, and find the potentials of the candidates."""
        p = self._passes
        potentials = np.zeros(len(candidates))
        centers = np.concatenate([self._waiting, candidates])
        scale = _scale(centers)
        for rows in p.walk.slices():
            blocks = slice(rows.start // BLOCK_ROWS, -(-rows.stop // BLOCK_ROWS))
            p.walk.run(
                _kernels.active.closest_pass, p.X[rows], _part(p.sample_weight, rows), p.shift, centers, scale,
                len(self._waiting), self.closest[rows], self._is_fresh, self._block_sums[:, blocks], potentials,
                p.walk.workspace, p.floats, p.walk.sums, p.walk.n_threads,
            )  # fmt: skip
        self._is_fresh &= not len(self._waiting)
        self._waiting = self._waiting[:0]
        return potentials


def _scale(centers: np.ndarray) -> float:
    """A power of two that brings the centers near 1, where float32 has most room; its square and inverse are finite."""
    most = 60 if centers.dtype == np.float32 else 500
    exponent = math.frexp(np.abs(centers).max())[1]
    return 2.0 ** -min(max(exponent, -most), most)
