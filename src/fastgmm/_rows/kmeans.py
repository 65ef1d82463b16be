"""Passes of k-means and of its seeding, k-means++."""

from __future__ import annotations

import math

import numpy as np

from fastgmm import _kernels
from fastgmm._rows.runner import BLOCK_ROWS, KernelRunner, part_of
from fastgmm._utils.memory import aligned_empty
from fastgmm._utils.progress import SILENT, Reporter


class KMeansPasses:
    """Passes of k-means over X - shift. The shifted data are never stored.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32 or float64, C-contiguous
    shift : ndarray of shape (n_features,)
    n_clusters : int
    sample_weight : ndarray of shape (n_samples,), float64, or None
    n_threads : int or None
    progress : Reporter, default=SILENT
    """

    def __init__(self, X, shift, n_clusters: int, sample_weight, n_threads: int | None, progress: Reporter = SILENT):
        self.progress = progress
        self.X = np.asarray(X)
        self.shift = np.ascontiguousarray(shift, X.dtype)
        self.sample_weight = sample_weight
        n_features = self.X.shape[1]
        self._centers: np.ndarray | None = None  # of the last assignment
        most = n_clusters + 1  # centers of a pass: in k-means++ the candidates and one more
        self.runner = KernelRunner(self.X, most, (most, 1, n_features), 4.0 * n_clusters * n_features + 100, n_threads)
        self.floats = aligned_empty(_kernels.active.kmeans_floats(most, n_features, self.runner.n_threads), np.float32)

    def assign(self, centers: np.ndarray, labels: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
        """Write the nearest centers to ``labels`` (n_samples,), int32, which must hold those of the last call, if any.

        Returns the number of changed labels, and of each cluster the weighted sum of x - shift and the weight. A row
        is skipped if the moves of the centers since the last call cannot have changed its label."""
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
        for rows in self.runner.reported_slices(self.progress):
            n_changed += kmeans_pass(
                self.X[rows], part_of(self.sample_weight, rows), self.shift, centers,
                self._moved, self._scale, fresh, labels[rows], self._gaps[rows], self._counts, self._sums,
                self.runner.workspace, self.floats, self.runner.sums, self.runner.n_threads,
            )  # fmt: skip
        if self.sample_weight is not None:  # differences leave rounding where a cluster lost all its rows
            self._counts[:] = np.bincount(labels, self.sample_weight, len(centers))
        return n_changed, self._sums.copy(), self._counts.copy()


class SeedingPasses:
    """The passes of k-means++. It takes one center after the other, each of them among a few candidates.

    `take` only notes the center. The next pass takes it, together with the next candidates; until then it waits.

    Parameters
    ----------
    passes : KMeansPasses
    center : ndarray of shape (n_features,)
        The first center, minus the shift.
    n_candidates : int
        Maximal number of candidates of a pass.

    Attributes
    ----------
    closest : ndarray of shape (n_samples,)
        Squared distance of each row from the nearest center, without the one that waits.
    potential : float
        Weighted sum of these distances with the one that waits.
    """

    def __init__(self, passes: KMeansPasses, center: np.ndarray, n_candidates: int):
        self._passes = passes
        self.closest = np.empty(len(passes.X), passes.X.dtype)
        self._is_fresh = True  # no pass has taken a center yet
        # For each block of BLOCK_ROWS rows: the weighted sum of closest, and the sum with each candidate.
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
        """Take one of the last candidates as a center."""
        self._waiting = self._candidates[candidate : candidate + 1]
        self.potential = float(self._potentials[candidate])
        self._block_sums[0] = self._block_sums[candidate + 1]

    def rows_at(self, thresholds: np.ndarray) -> np.ndarray:
        """The first row at which the cumulative sum of w_i closest_i reaches each threshold."""
        p = self._passes
        if p.X.dtype == np.float32 and len(self._waiting):  # adds up all rows
            self._pass(self._waiting[:0])
        rows = np.empty(len(thresholds), np.intp)
        center = self._waiting[0] if len(self._waiting) else p.shift
        _kernels.active.rows_at(
            p.X, p.sample_weight, p.shift, center, len(self._waiting), self.closest, self._is_fresh,
            self._block_sums[0], thresholds, rows, p.runner.workspace,
        )  # fmt: skip
        return rows

    def _pass(self, candidates: np.ndarray) -> np.ndarray:
        """Take the center that waits, and return the potentials of the candidates."""
        p = self._passes
        potentials = np.zeros(len(candidates))
        centers = np.concatenate([self._waiting, candidates])
        scale = _scale(centers)
        closest_pass = p.runner.kernel("closest_pass")
        for rows in p.runner.reported_slices(p.progress):
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
    """A power of two that scales the centers to about 1, far from overflow. Its square and its inverse are finite."""
    most = 60 if centers.dtype == np.float32 else 500
    exponent = math.frexp(np.abs(centers).max())[1]
    return 2.0 ** -min(max(exponent, -most), most)
