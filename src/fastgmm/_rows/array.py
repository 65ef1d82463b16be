"""Passes over the rows of an array in memory, or of a memory-mapped file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import reduce

import numpy as np

from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._model.student import finish_statistics
from fastgmm._rows.protocol import EvaluatingPasses, SkippingPlan
from fastgmm._rows.runner import KernelRunner, part_of, row_flops
from fastgmm._utils.blas import blas_of_all_rows
from fastgmm._utils.progress import SILENT, Reporter

SCORE_ROWS = 2**16  # log-densities, or responsibilities, that are held at a time to add them up
_PROJECTED = 2**17  # coordinates that are held at a time
_FEW_COLUMNS = 16  # a loop over so many is faster than a maximum along rows
_LEAST_WEIGHT_RATIO = 2.0**-60  # of the smallest to the largest weight; products in float32 are then far from underflow


class ArrayPasses(EvaluatingPasses):
    """Passes over one data set, all for one shape of mixture.

    Parameters
    ----------
    X : ndarray or memmap of shape (n_samples, n_features), float32 or float64, C-contiguous
        Read in place. Only float32 rows whose weights differ too much in size for float32 are copied, to float64.
    sample_weight : ndarray of shape (n_samples,), float64, or None
    n_components : int
    structure : CovarianceStructure
    n_threads : int or None
    before : KernelRunner, default=None
        The runner of earlier passes for the same shape of mixture. Its workspace is used; it must not be used any more.
    progress : Reporter, default=SILENT
        Is told of each slice of rows, if there are several.
    """

    misses_values = False

    def __init__(
        self,
        X,
        sample_weight,
        n_components: int,
        structure: CovarianceStructure,
        n_threads: int | None,
        before: KernelRunner | None = None,
        progress: Reporter = SILENT,
    ):
        self.progress = progress
        self.X = self._given = np.asarray(X)
        self.dtype = self.X.dtype
        self._most_threads = n_threads
        if _differ_too_much(sample_weight, self.dtype):
            self.X = self.X.astype(np.float64)
        self._weights, self._weight_unit = in_kernel_unit(sample_weight, self.X.dtype)
        self.n_rows, self.n_features = self.X.shape
        self.sample_weight = sample_weight
        self.total_weight = total_weight(X, sample_weight)
        self.structure = structure
        self.n_components = n_components
        shape = structure.scatter_shape(n_components, self.n_features)
        flops = row_flops(structure, n_components, self.n_features)
        scatter = (shape[0], shape[1] if structure.kernel == "full" else 1, shape[-1])
        self.runner = KernelRunner(self.X, n_components, scatter, flops, n_threads, before)
        self.n_threads = self.runner.n_threads

    def for_mixture(self, n_components, structure, progress=None) -> ArrayPasses:
        progress = self.progress if progress is None else progress
        return ArrayPasses(
            self._given, self.sample_weight, n_components, structure, self._most_threads, progress=progress
        )

    def part(self, rows: np.ndarray) -> ArrayPasses:
        """Passes over the rows with these numbers."""
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        given = self._given[rows]
        return ArrayPasses(
            given, weights, self.n_components, self.structure, self._most_threads, progress=self.progress
        )

    def first_row(self) -> np.ndarray:
        return self.X[0].astype(np.float64)

    def trial_rows(self) -> np.ndarray:
        return self.X

    def em_step(self, components, centers=None, with_entropy=False, plan=None) -> SufficientStatistics:
        means, factors, log_const = components.for_kernels(self.X.dtype)
        centers = self._as_data(components.means if centers is None else centers)
        nu = components.degrees_of_freedom
        statistics = self._zeros(centers, with_tails=nu is not None)
        scatter, masses = as_3d(statistics.scatter), np.zeros(len(log_const))  # the last one may be of a background
        if nu is None:
            em_pass, further = self.runner.kernel_for(plan, "em_pass")
            workspaces: tuple[np.ndarray, ...] = (self.runner.workspace, self.runner.sums)
        else:
            em_pass, workspaces = self.runner.student_kernel("em_pass")
            further = components.log_const, nu, statistics.tails
        for rows in self.runner.reported_slices(self.progress):
            log_likelihood, entropy = em_pass(
                self.X[rows], part_of(self._weights, rows), means, centers, factors, log_const, masses,
                statistics.sum_x, scatter, with_entropy, *workspaces, self.n_threads, *further,
            )  # fmt: skip
            statistics.log_likelihood += log_likelihood
            statistics.entropy += entropy
        statistics.nk, statistics.noise = masses[: len(means)], float(masses[len(means) :].sum())
        if nu is not None:
            finish_statistics(statistics, nu)
        return self._of_all_weights(statistics)

    def statistics_from_labels(self, labels: np.ndarray, centers: np.ndarray) -> SufficientStatistics:
        """Statistics about ``centers`` with responsibility 1 for each row's label; labels of shape (n_rows,), int32."""
        return self._given_statistics(
            ((rows, labels[rows], None) for rows in self.runner.reported_slices(self.progress)), centers
        )

    def statistics_from_resp(self, resp_blocks: Iterable[np.ndarray], centers: np.ndarray) -> SufficientStatistics:
        """Statistics about ``centers`` with given responsibilities, shape (m, n_components) for m rows after m rows."""

        def blocks():
            start = 0
            for resp in resp_blocks:
                for first in range(0, len(resp), self.runner.slice_rows):
                    part = resp[first : first + self.runner.slice_rows]
                    yield slice(start, start + len(part)), None, part
                    start += len(part)

        return self._given_statistics(blocks(), centers)

    def statistics_of_all(self, centers: np.ndarray) -> SufficientStatistics:
        return self._given_statistics(
            ((rows, None, None) for rows in self.runner.reported_slices(self.progress)), centers
        )

    def ranges(self, center, axes) -> np.ndarray:
        low, high = np.full(axes.shape[1], math.inf), np.full(axes.shape[1], -math.inf)
        for rows in self.runner.slices(max(1, _PROJECTED // axes.shape[1])):
            with blas_of_all_rows():
                coordinates = (self.X[rows] - center) @ axes
            low, high = np.minimum(low, coordinates.min(axis=0)), np.maximum(high, coordinates.max(axis=0))
        return np.stack([low, high])

    def log_prob_norm(self, components: Components, plan: SkippingPlan | None = None) -> np.ndarray:
        """log p(x_i), shape (n_samples,)."""
        fill = self._densities(components, plan)
        out = np.empty(len(self.X), self.X.dtype)
        for rows in self.runner.slices():
            fill(rows, out[rows], None)
        return out

    def score_sum(self, components: Components, plan: SkippingPlan | None = None) -> float:
        fill = self._densities(components, plan)
        total = 0.0
        for rows in self.runner.slices(SCORE_ROWS):
            norm = np.empty(rows.stop - rows.start, self.X.dtype)
            fill(rows, norm, None)
            total += weighted_sum(norm, part_of(self.sample_weight, rows))
        return total

    def sums_of_mixtures(self, mixtures) -> np.ndarray:
        sums = [
            self.for_mixture(len(components.means), structure, SILENT).criterion_sums(components)
            for structure, components in mixtures
        ]
        return np.reshape(sums, (len(mixtures), 2))

    def criterion_sums(self, components: Components) -> np.ndarray:
        """sum_i w_i log p(x_i) and sum_i w_i log max_k resp_ik, in one pass without an array of n_samples."""
        n_components = len(components.means)
        sums = np.zeros(2)
        fill = self._densities(components)
        for rows in self.runner.slices(max(1, SCORE_ROWS // n_components)):
            n_rows = rows.stop - rows.start
            norm, resp = np.empty(n_rows, self.X.dtype), np.empty((n_rows, n_components), self.X.dtype)
            fill(rows, norm, None, resp)
            log_max = log_largest(resp)
            if components.has_noise:
                log_max = np.maximum(log_max, components.log_noise - norm)
            weights = part_of(self.sample_weight, rows)
            sums += weighted_sum(norm, weights), weighted_sum(log_max, weights)
        return sums

    def predict(self, components: Components, plan: SkippingPlan | None = None) -> np.ndarray:
        """The most probable component of each row, shape (n_samples,), int64."""
        fill = self._densities(components, plan)
        out = np.empty(len(self.X), np.int64)
        for rows in self.runner.slices():
            fill(rows, None, out[rows])
        return out

    def resp(self, components: Components) -> np.ndarray:
        """Responsibilities, shape (n_samples, n_components)."""
        out = np.empty((len(self.X), len(components.means)), self.X.dtype)
        fill = self._densities(components)
        for rows in self.runner.slices():
            fill(rows, None, None, out[rows])
        return out

    def _densities(self, components: Components, plan: SkippingPlan | None = None) -> Callable[..., None]:
        """A function that writes the log-densities, labels or responsibilities of a slice of rows, where not None.

        A plan must be for the same, and not for responsibilities."""
        mixture = components.for_kernels(self.X.dtype)
        if components.degrees_of_freedom is not None:
            density_pass, (workspace, _) = self.runner.student_kernel("density_pass")
            further = components.log_const, components.degrees_of_freedom
        else:
            density_pass, further = self.runner.kernel_for(plan, "density_pass")
            workspace = self.runner.workspace
            if further:
                return lambda rows, norm, labels: density_pass(
                    self.X[rows], *mixture, norm, labels, workspace, self.n_threads, *further
                )
        return lambda rows, norm, labels, resp=None: density_pass(
            self.X[rows], *mixture, norm, labels, resp, workspace, self.n_threads, *further
        )

    def _given_statistics(self, blocks, centers) -> SufficientStatistics:
        centers = self._as_data(centers)
        statistics = self._zeros(centers)
        scatter = as_3d(statistics.scatter)
        statistics_pass = self.runner.kernel("statistics_pass")
        for rows, labels, resp in blocks:
            statistics_pass(
                self.X[rows], part_of(self._weights, rows), labels, resp, centers, statistics.nk, statistics.sum_x,
                scatter, self.runner.workspace, self.runner.sums, self.n_threads,
            )  # fmt: skip
        return self._of_all_weights(statistics)

    def _zeros(self, centers, with_tails: bool = False) -> SufficientStatistics:
        shape = self.structure.scatter_shape(*centers.shape)
        return SufficientStatistics.zeros(centers.astype(np.float64), shape, with_tails)

    def _of_all_weights(self, statistics: SufficientStatistics) -> SufficientStatistics:
        """Statistics from the kernels in the unit of the given weights."""
        if self._weight_unit != 1.0:
            statistics.scale(self._weight_unit)
        statistics.total_weight = self.total_weight
        return statistics

    def _as_data(self, centers) -> np.ndarray:
        """Centers for the kernels, rounded to the dtype of the data: it is that of all batches."""
        return np.ascontiguousarray(np.asarray(centers, self.dtype), self.X.dtype)


def weighted_sum(values: np.ndarray, weights: np.ndarray | None) -> float:
    """sum_i w_i values_i in float64."""
    return float(values.sum(dtype=np.float64) if weights is None else weights @ values)


def log_largest(resp: np.ndarray) -> np.ndarray:
    """log max_k resp_ik, float64."""
    # NumPy takes 40 ns for the maximum of a short row, and 1 ns for a step of the loop over columns.
    largest = reduce(np.maximum, resp.T) if resp.shape[1] <= _FEW_COLUMNS else resp.max(axis=1)
    with np.errstate(divide="ignore"):  # of a row that belongs to the background alone it is -inf
        return np.log(largest, dtype=np.float64)


def total_weight(rows: np.ndarray, sample_weight: np.ndarray | None) -> float:
    """Sum of the weights; the number of rows if there are no weights."""
    return float(len(rows) if sample_weight is None else sample_weight.sum())


def _differ_too_much(sample_weight: np.ndarray | None, dtype) -> bool:
    """Whether products of the smallest positive weight might underflow in this dtype of the rows."""
    if sample_weight is None or dtype != np.float32:
        return False
    largest = sample_weight.max()
    return bool(sample_weight.min(where=sample_weight > 0.0, initial=largest) < _LEAST_WEIGHT_RATIO * largest)


def in_kernel_unit(sample_weight: np.ndarray | None, dtype) -> tuple[np.ndarray | None, float]:
    """Weights that kernels can take, and the unit by which they are divided.

    Kernels multiply by weights in the dtype of the rows, and float32 has neither 1e39 nor 1e-46. The unit is a power of
    four: it changes no bit of a product or a square root.
    """
    if sample_weight is None or dtype != np.float32:
        return sample_weight, 1.0
    _, exponent = math.frexp(sample_weight.max())
    unit = math.ldexp(1.0, min(exponent // 2 * 2, 1022))
    return in_unit(sample_weight, unit), unit


def in_unit(sample_weight: np.ndarray | None, unit: float) -> np.ndarray | None:
    """Weights divided by a unit, or the same array if there is nothing to divide."""
    return sample_weight if sample_weight is None or unit == 1.0 else sample_weight / unit


def as_3d(array: np.ndarray) -> np.ndarray:
    """Diagonal quantities (K, d) or (K, 1) as kernels take them: (K, 1, d) or (K, 1, 1)."""
    return array if array.ndim == 3 else array[:, np.newaxis]
