"""Passes of k-means and of its seeding, k-means++."""

from __future__ import annotations

import math

import numpy as np

from fastgmm import _kernels
from fastgmm._rows.runner import BLOCK_ROWS, KernelRunner, part_of
from fastgmm._utils.memory import aligned_empty


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
        self.runner = KernelRunner(self.X, most, (most, 1), 4.0 * n_clusters * n_features + 100, n_threads)
        self.floats = aligned_empty(_kernels.active.kmeans_floats(most, n_features, self.runner.n_threads), np.float32)

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
        kmeans_pass = self.runner.kernel("kmeans_pass")
        for rows in self.runner.slices():
            n_changed += kmeans_pass(
                self.X[rows], part_of(self.sample_weight, rows), self.shift, centers,
                self._moved, self._scale, fresh, labels[rows], self._gaps[rows], self._counts, self._sums,
                self.runner.workspace, self.floats, self.runner.sums, self.runner.n_threads,
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
            self._block_sums[0], thresholds, rows, p.runner.workspace,
        )  # fmt: skip
        return rows

    def _pass(self, candidates: np.ndarray) -> np.ndarray:
        """Take what waits, and find the potentials of the candidates."""
        p = self._passes
        potentials = np.zeros(len(candidates))
        centers = np.concatenate([self._waiting, candidates])
        scale = _scale(centers)
        closest_pass = p.runner.kernel("closest_pass")
        for rows in p.runner.slices():
            blocks = slice(rows.start // BLOCK_ROWS, -(-rows.stop // BLOCK_ROWS))
            closest_pass(
                p.X[rows], part_of(p.sample_weight, rows), p.shift, centers, scale,
                len(self._waiting), self.closest[rows], self._is_fresh, self._block_sums[:, blocks], potentials,
                p.runner.workspace, p.floats, p.runner.sums, p.runner.n_threads,
            )  # fmt: skip
        self._is_fresh &= not len(self._waiting)
        self._waiting = self._waiting[:0]
        return potentials


def _scale(centers: np.ndarray) -> float:
    """A power of two that brings the centers near 1, where float32 has most room; its square and inverse are finite."""
    most = 60 if centers.dtype == np.float32 else 500
    exponent = math.frexp(np.abs(centers).max())[1]
    return 2.0 ** -min(max(exponent, -most), most)
