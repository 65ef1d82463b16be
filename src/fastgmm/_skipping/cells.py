"""What a pass of EM over few features may leave out: components that no row of a cell of the space can need.

`_kernels/cells.pxi` says which these are, and works on rows sorted by cell. Here the cells are chosen, once for all
passes over the same rows, and a few rows are tried to see whether that pays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgmm import _kernels
from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._utils.memory import aligned_empty

_S = 256.0  # s of screen.pxi: log q <= log s - 1 + q / s is nearly equal around it
_ROUNDING = 2.0**-40  # more than that of a sum of squares in float64
_BLOCK = 2**16  # rows sorted together, as many as 16 bits number
_DEPTH = 8  # of the tree: that makes cells of 256 rows
_SAMPLE = 2**12  # rows that the tree is made of
_TRIAL = 2**15  # rows of a trial
_WORTH = 0.8  # the share of the dense cost, by the model, from which on components are left out


@dataclass(frozen=True, slots=True)
class Tree:
    """A k-d tree whose leaves are the cells. Each level divides by one feature, for all its nodes.

    Attributes
    ----------
    features : ndarray of shape (depth,), int32
    thresholds : ndarray of shape (2**depth,)
        Those of level l from 2**l on. Rows that are not below them go to the second child.
    """

    features: np.ndarray
    thresholds: np.ndarray

    @classmethod
    def of_rows(cls, rows: np.ndarray, widths: np.ndarray) -> Tree:
        """With leaves that hold about equally many of the given rows, and are not many of the given widths wide."""
        depth = min(_DEPTH, int(math.log2(len(rows))))
        features = np.zeros(depth, np.int32)
        thresholds = np.zeros(2**depth, rows.dtype)
        parts = rows[np.newaxis, : len(rows) >> depth << depth]
        for level in range(depth):
            features[level] = (parts.std(axis=1, dtype=np.float64).mean(axis=0) / widths).argmax()
            order = parts[:, :, features[level]].argsort(axis=1)
            parts = np.take_along_axis(parts, order[:, :, np.newaxis], axis=1)
            half = parts.shape[1] // 2
            thresholds[2**level : 2 ** (level + 1)] = parts[:, half, features[level]]
            parts = parts.reshape(2 * len(parts), half, -1)
        return cls(features, thresholds)


@dataclass(frozen=True, slots=True)
class Cells:
    """What passes that use them need beyond what dense ones do.

    Attributes
    ----------
    n_features : int
    tree : Tree
    constants : ndarray of shape (n_components,)
    slope, cut : float
    """

    n_features: int
    tree: Tree
    constants: np.ndarray
    slope: float
    cut: float

    @classmethod
    def for_statistics(cls, components: Components, tree: Tree) -> Cells:
        """For passes of EM: by (2) of screen.pxi."""
        log_weights = components.log_weights
        with np.errstate(invalid="ignore"):  # -inf + inf where the weight is 0
            constants = components.log_const - log_weights + math.log(_S) - 1.0
        constants[log_weights == -math.inf] = -math.inf  # takes no rows
        cut = -math.log(np.finfo(tree.thresholds.dtype).eps)
        return cls(components.means.shape[1], tree, constants, (0.5 - 1.0 / _S) * (1.0 - _ROUNDING), cut)

    @classmethod
    def for_densities(cls, components: Components, tree: Tree) -> Cells:
        """For log-densities and labels: all that is left out is no more than a unit of rounding of a row's density."""
        constants = components.log_const
        cut = math.log(len(constants)) - math.log(np.finfo(tree.thresholds.dtype).eps)
        return cls(components.means.shape[1], tree, constants, 0.5 * (1.0 - _ROUNDING), cut)

    @property
    def em_pass(self) -> Callable[..., tuple[float, float]]:
        """The kernel."""
        return _kernels.active.cells_em_pass

    @property
    def density_pass(self) -> Callable[..., None]:
        """The kernel for log-densities and labels."""
        return _kernels.active.cells_density_pass

    def arguments(self) -> tuple:
        """In the kernel's order."""
        return self.tree.features, self.tree.thresholds, self.constants, self.slope, self.cut, _BLOCK

    def workspace_shape(self) -> tuple[int, int, int, int]:
        """Features, components, rows sorted together, depth of the tree."""
        return self.n_features, len(self.constants), _BLOCK, len(self.tree.features)

    def workspaces(self, dtype, n_threads: int) -> tuple[np.ndarray, ...]:
        """What the kernel works in, of float64 and int32."""
        sizes = _kernels.active.cells_workspace_sizes(*self.workspace_shape(), n_threads)
        return tuple(map(aligned_empty, sizes, (np.float64, np.int32)))


class CellTrials:
    """Says whether leaving components out of cells pays for the rows given, of which some are looked at.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    structure : CovarianceStructure
    """

    FLOPS = 60.0 * _TRIAL  # a trial takes as long as so many operations of plain NumPy
    LEAST_FLOPS = 1e8  # of a dense pass that may be worth one

    def __init__(self, rows: np.ndarray, structure: CovarianceStructure):
        first = max(0, len(rows) - _TRIAL) // 2
        self._rows, self._structure = rows, structure
        self._some = slice(first, first + _TRIAL)
        self._tree: Tree | None = None

    def for_statistics(self, components: Components) -> Tree | None:
        """The tree to make `Cells` of for the next passes of EM, if components had better be left out of them."""
        return self._try(components, lambda tree: Cells.for_statistics(components, tree), True)

    def for_densities(self, components: Components) -> Tree | None:
        """The same for log-densities and labels."""
        return self._try(components, lambda tree: Cells.for_densities(components, tree), False)

    def _try(self, components: Components, cells_of: Callable[[Tree], Cells], with_statistics: bool) -> Tree | None:
        rows = np.ascontiguousarray(self._rows[self._some])
        mixture = components.for_kernels(rows.dtype)
        if self._tree is None:
            sample = self._rows[:: max(1, len(self._rows) // _SAMPLE)][:_SAMPLE]
            self._tree = Tree.of_rows(sample, _widths(mixture[1]))
        left, rows_a_tile = self._left(rows, mixture, cells_of(self._tree))
        costs = _Costs(rows.shape[1], self._structure, rows.dtype, with_statistics)
        K = len(components.means)
        return self._tree if costs.cells(K, left, rows_a_tile) < _WORTH * costs.dense(K) else None

    def _left(self, rows, mixture, cells: Cells) -> tuple[float, float]:
        """Components left for a row, and rows of a tile."""
        n_components, d = mixture[0].shape
        n_factors, factor_rows, _ = mixture[1].shape
        work, _ = _kernels.active.workspace_sizes(n_components, d, n_factors, factor_rows, 1)
        counts = np.zeros((1, 8), np.int64)
        count_components: Callable[..., None] = _kernels.active.count_components
        workspaces = (aligned_empty(work, rows.dtype), *cells.workspaces(rows.dtype, 1))
        count_components(rows, *mixture, *cells.arguments(), *workspaces, counts)
        left, tiles, n_rows = counts[0, :3]
        return left / n_rows, n_rows / tiles


def _widths(factors: np.ndarray) -> np.ndarray:
    """Mean over the components of each feature's standard deviation where the other features are known."""
    precisions = np.square(factors, dtype=np.float64).sum(axis=2 if factors.shape[1] > 1 else 1)  # their diagonals
    return (1.0 / np.sqrt(precisions)).mean(axis=0)


class _Costs:
    """Of a pass, for a row: nanoseconds of a thread, fitted to 100 passes with AVX2; only ratios count.

    A pair costs as much as `_skipping.py` says, which is in proportion to the width of vectors; the rest is not.
    """

    def __init__(self, n_features: int, structure: CovarianceStructure, dtype, with_statistics: bool):
        d = n_features
        diagonal = structure.kernel == "diag"
        operations = 2.0 * d if diagonal else d * (d + 3) / 2.0
        if with_statistics:
            operations += 3.0 * d if diagonal else d * (d + 3) / 2.0
        self.row_bytes = d * np.dtype(dtype).itemsize
        self.arithmetic = 8.0 / _kernels.active.LANES
        self.pair = self.arithmetic * (0.81 + 0.030 * operations) / (2 if dtype == np.float32 else 1)

    def dense(self, n_components: int) -> float:
        return n_components * self.pair

    def cells(self, n_components: int, left: float, rows_a_tile: float) -> float:
        """With so many components left for a row, beside those that are guesses."""
        tile = 60.0 * left + 0.35 * self.arithmetic * n_components
        return 10.0 + 0.5 * self.row_bytes + (left + 2.0) * self.pair + tile / rows_a_tile
