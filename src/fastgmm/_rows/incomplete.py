"""Passes over rows of an array that have missing values: NaN.

Rows with the same missing features make a group. The kernels compute the group's statistics from the values that are
there, under the marginal mixture, and add what the missing values are expected to contribute (Ghahramani and Jordan,
"Supervised learning from incomplete data via an EM approach", NIPS 1994). Rows are not copied, except the complete ones
where passes skip.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastgmm import _kernels
from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import SCORE_ROWS, ArrayPasses, as_3d, log_largest, weighted_sum
from fastgmm._rows.runner import KernelRunner
from fastgmm._utils.errors import NoScreenError
from fastgmm._utils.memory import aligned_empty
from fastgmm._utils.progress import SILENT, Reporter

_LEAST_TRIAL_ROWS = 1000  # complete rows on which a trial of skipping is worth its time


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows grouped by the features that they have, the complete rows first, then large groups before small ones.

    The kernels treat small groups that follow each other together.

    Attributes
    ----------
    order : ndarray of shape (n,), int64
        Numbers of the rows that have a value, group after group, in each group in ascending order.
    starts : ndarray of shape (n_groups + 1,), int64
        Where the groups begin in `order`.
    n_observed : ndarray of shape (n_groups,), int32
        Number of features that the rows of a group have.
    features : ndarray of shape (n_groups, n_features), int32
        These features, ascending, then the missing ones, ascending.
    empty : ndarray of shape (m,), int64
        Numbers of the rows without any value.
    """

    order: np.ndarray
    starts: np.ndarray
    n_observed: np.ndarray
    features: np.ndarray
    empty: np.ndarray

    @property
    def n_complete(self) -> int:
        """Number of complete rows."""
        is_complete = len(self.n_observed) and self.n_observed[0] == self.features.shape[1]
        return int(self.starts[1]) if is_complete else 0


def groups_of(X: np.ndarray) -> Groups | None:
    """The groups of the rows; None if no value is missing."""
    is_missing = np.isnan(X)
    is_incomplete = is_missing.any(axis=1)
    incomplete = np.flatnonzero(is_incomplete)
    if len(incomplete) == 0:
        return None
    n_features = X.shape[1]
    masks = is_missing[incomplete]
    bits = np.packbits(masks, axis=1, bitorder="little")
    words = np.zeros((len(bits), -(-bits.shape[1] // 8) * 8), np.uint8)
    words[:, : bits.shape[1]] = bits
    codes = words.view(np.uint64)
    order = np.argsort(codes[:, 0], kind="stable") if codes.shape[1] == 1 else np.lexsort(codes.T)
    codes, masks = codes[order], masks[order]
    incomplete = incomplete[order]
    starts = np.flatnonzero(np.append(True, (codes[1:] != codes[:-1]).any(axis=1)))
    lengths = np.diff(starts, append=len(incomplete))
    by_length = np.argsort(-lengths, kind="stable")
    ranks = np.empty_like(by_length)
    ranks[by_length] = np.arange(len(lengths))
    incomplete = incomplete[np.argsort(np.repeat(ranks, lengths), kind="stable")]
    of_groups, lengths = masks[starts[by_length]], lengths[by_length]  # which features are missing, in how many rows
    n_observed = n_features - of_groups.sum(axis=1)
    is_empty = n_observed == 0  # in at most one group
    has_values = np.repeat(~is_empty, lengths)
    empty, incomplete = incomplete[~has_values], incomplete[has_values]
    of_groups, lengths, n_observed = of_groups[~is_empty], lengths[~is_empty], n_observed[~is_empty]
    complete = np.flatnonzero(~is_incomplete)
    if len(complete):
        lengths, n_observed = np.append(len(complete), lengths), np.append(n_features, n_observed)
        of_groups = np.concatenate([np.zeros((1, n_features), bool), of_groups])
    return Groups(
        np.concatenate([complete, incomplete]).astype(np.int64, copy=False),
        np.append(0, np.cumsum(lengths)).astype(np.int64),
        n_observed.astype(np.int32),
        np.argsort(of_groups, axis=1, kind="stable").astype(np.int32),
        empty,
    )


def passes_over(
    X: np.ndarray,
    sample_weight: np.ndarray | None,
    n_components: int,
    structure: CovarianceStructure,
    n_threads: int | None,
    before: KernelRunner | None = None,
    progress: Reporter = SILENT,
    *,
    may_miss_values: bool,
) -> ArrayPasses:
    """Passes over an array, some values of which may be missing. The parameters are those of `ArrayPasses`."""
    groups = groups_of(X) if may_miss_values else None
    arguments = X, sample_weight, n_components, structure, n_threads, before, progress
    return ArrayPasses(*arguments) if groups is None else IncompletePasses(*arguments, groups)


def complete_rows(X: np.ndarray) -> np.ndarray:
    """The rows that miss no value, for trials of skipping; NoScreenError if they are few."""
    rows = X[~np.isnan(X).any(axis=1)]
    check_trial_rows(len(rows))
    return rows


def check_trial_rows(n_rows: int) -> None:
    """Raise NoScreenError if a trial of skipping on so many complete rows would not be worth its time."""
    if n_rows < _LEAST_TRIAL_ROWS:
        raise NoScreenError("Too few rows are complete.")


class IncompletePasses(ArrayPasses):
    """Passes over an array with missing values. Parameters as those of `ArrayPasses`, and the groups of the rows.

    Rows without any value have the density 1, and no part in statistics.
    """

    misses_values = True

    def __init__(self, X, sample_weight, n_components, structure, n_threads, before, progress, groups: Groups):
        super().__init__(X, sample_weight, n_components, structure, n_threads, before, progress)
        self.groups = groups
        self._scratch: tuple[np.ndarray, ...] | None = None

    def for_mixture(self, n_components, structure, progress=None) -> IncompletePasses:
        progress = self.progress if progress is None else progress
        shape = n_components, structure
        return IncompletePasses(
            self._given, self.sample_weight, *shape, self._most_threads, None, progress, self.groups
        )

    def part(self, rows: np.ndarray) -> ArrayPasses:
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        shape = self.n_components, self.structure
        return passes_over(
            self._given[rows], weights, *shape, self._most_threads, progress=self.progress, may_miss_values=True
        )

    @cached_property
    def complete(self) -> ArrayPasses:
        """Passes over a copy of the complete rows."""
        return super().part(self.groups.order[: self.groups.n_complete])

    def trial_rows(self) -> np.ndarray:
        check_trial_rows(self.groups.n_complete)
        return self.complete.X

    def em_step(self, components, centers=None, with_entropy=False, plan=None) -> SufficientStatistics:
        centers = self._as_data(components.means if centers is None else centers).astype(np.float64)
        statistics = self._zeros(centers)
        n_skipped = 0 if plan is None else self.groups.n_complete
        em_pass, scratch = self.runner.kernel("incomplete_em_pass"), self._scratch_for(components)
        means, factors, log_const = components.for_kernels(np.float64)
        for rows in self._slices(n_skipped):
            log_likelihood, entropy = em_pass(
                self.X, self._weights, *self._arguments(rows), means, centers, factors, log_const,
                statistics.nk, statistics.sum_x, as_3d(statistics.scatter), with_entropy, *scratch, self.n_threads,
            )  # fmt: skip
            statistics.log_likelihood += log_likelihood
            statistics.entropy += entropy
        statistics = self._of_all_weights(statistics)
        if n_skipped:
            statistics.merge(self.complete.em_step(components, centers, with_entropy, plan))
            statistics.total_weight = self.total_weight
        return statistics

    def statistics_of_all(self, centers) -> SufficientStatistics:
        raise ValueError(
            "missing='marginalize' does not combine with what needs sums over all rows, such as a prior made of them: "
            "leave it out, or fill in the missing values first."
        )

    def over_filled(self, components: Components) -> ArrayPasses:
        """Passes over a copy of the rows, whose missing values are their expectations under the components."""
        rows, shape = self.filled(components), (self.n_components, self.structure)
        return ArrayPasses(rows, self.sample_weight, *shape, self._most_threads, progress=self.progress)

    def filled(self, components: Components) -> np.ndarray:
        """A copy of the rows, whose missing values are their expectations given the others, in the dtype of the rows.

        Rows without any value get the mean of all components."""
        filled = self._given.astype(self.X.dtype)  # a copy
        for rows in self._slices(self.groups.n_complete):
            self._outputs(components, rows, None, None, None, filled)
        filled[self.groups.empty] = np.exp(self._log_weights(components)) @ components.means
        return filled.astype(self.dtype, copy=False)

    def log_prob_norm(self, components, plan=None) -> np.ndarray:
        out = np.empty(len(self.X), self.X.dtype)
        n_skipped = 0 if plan is None else self.groups.n_complete
        if n_skipped:
            out[self.groups.order[:n_skipped]] = self.complete.log_prob_norm(components, plan)
        for rows in self._slices(n_skipped):
            norm = np.empty(rows.stop - rows.start, self.X.dtype)
            self._outputs(components, rows, norm, None, None, None)
            out[self.groups.order[rows]] = norm
        out[self.groups.empty] = np.logaddexp.reduce(self._log_weights(components))
        return out

    def score_sum(self, components, plan=None) -> float:
        n_skipped = 0 if plan is None else self.groups.n_complete
        complete = self.complete.score_sum(components, plan) if n_skipped else 0.0
        return complete + float(self._sums(components, False, n_skipped)[0])

    def criterion_sums(self, components) -> np.ndarray:
        return self._sums(components, True)

    def predict(self, components, plan=None) -> np.ndarray:
        out = np.empty(len(self.X), np.int64)
        n_skipped = 0 if plan is None else self.groups.n_complete
        if n_skipped:
            out[self.groups.order[:n_skipped]] = self.complete.predict(components, plan)
        for rows in self._slices(n_skipped):
            labels = np.empty(rows.stop - rows.start, np.int64)
            self._outputs(components, rows, None, labels, None, None)
            out[self.groups.order[rows]] = labels
        out[self.groups.empty] = self._log_weights(components).argmax()
        return out

    def resp(self, components) -> np.ndarray:
        out = np.empty((len(self.X), len(components.means)), self.X.dtype)
        for rows in self._slices(0, max(1, SCORE_ROWS // len(components.means))):
            resp = np.empty((rows.stop - rows.start, len(components.means)), self.X.dtype)
            self._outputs(components, rows, None, None, resp, None)
            out[self.groups.order[rows]] = resp
        log_weights = self._log_weights(components)
        out[self.groups.empty] = np.exp(log_weights - np.logaddexp.reduce(log_weights))
        return out

    def _sums(self, components: Components, with_resp: bool, first: int = 0) -> np.ndarray:
        """sum_i w_i log p(x_i) and, if asked for, sum_i w_i log max_k resp_ik, without an array of n_samples."""
        sums, n_components = np.zeros(2), len(components.means)
        for rows in self._slices(first, max(1, SCORE_ROWS // n_components) if with_resp else SCORE_ROWS):
            n_rows = rows.stop - rows.start
            norm = np.empty(n_rows, self.X.dtype)
            resp = np.empty((n_rows, n_components), self.X.dtype) if with_resp else None
            self._outputs(components, rows, norm, None, resp, None)
            weights = None if self.sample_weight is None else self.sample_weight[self.groups.order[rows]]
            sums[0] += weighted_sum(norm, weights)
            if resp is not None:
                sums[1] += weighted_sum(log_largest(resp), weights)
        return sums

    def _outputs(self, components: Components, rows: slice, norm, labels, resp, filled) -> None:
        """Write log-densities, labels and responsibilities in the order of the groups, and fill missing values."""
        density_pass, (reals, doubles, _) = self.runner.kernel("incomplete_density_pass"), self._scratch_for(components)
        mixture = components.for_kernels(np.float64)
        density_pass(
            self.X, *self._arguments(rows), *mixture, norm, labels, resp, filled, reals, doubles, self.n_threads
        )

    def _arguments(self, rows: slice) -> tuple[Any, ...]:
        groups = self.groups
        return groups.order, groups.starts, groups.n_observed, groups.features, rows.start, rows.stop

    def _slices(self, first: int = 0, most_rows: int = sys.maxsize) -> Iterator[slice]:
        """Slices of the order of the groups."""
        n, step = len(self.groups.order), min(self.runner.slice_rows, most_rows)
        return (slice(start, min(start + step, n)) for start in range(first, n, step))

    def _scratch_for(self, components: Components) -> tuple[np.ndarray, ...]:
        """The scratch arrays ``reals``, ``doubles`` and ``sums`` of the kernels."""
        mixture = components.for_kernels(np.float64)
        sizes = _kernels.active.incomplete_workspace_sizes(self.X[:1], *mixture, self.n_threads)
        if self._scratch is None or any(len(array) < size for array, size in zip(self._scratch, sizes, strict=True)):
            dtypes = self.X.dtype, np.float64, np.float64
            self._scratch = tuple(aligned_empty(size, dtype) for size, dtype in zip(sizes, dtypes, strict=True))
        return self._scratch

    def _log_weights(self, components: Components) -> np.ndarray:
        """log_const without what it has for the features: the log-weights, or their expectations, shape (K,)."""
        factors = components.factors
        diagonals = factors[:, 0] if factors.shape[1] == 1 else factors.diagonal(axis1=1, axis2=2)
        log_det = np.log(np.abs(diagonals)).sum(axis=1)
        return components.log_const - log_det + 0.5 * self.n_features * math.log(2.0 * math.pi)
