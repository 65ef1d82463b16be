"""Trials: how many pairs screens and cells leave on a few rows, and whether passes that use them would be cheaper."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastgmm import _kernels
from fastgmm._model.components import Components
from fastgmm._rows.protocol import Passes, SkippingPlan
from fastgmm._rows.runner import BLOCK_ROWS
from fastgmm._skipping.cells import Tree
from fastgmm._skipping.costs import PassCosts
from fastgmm._skipping.screens import MOST_DIRECTIONS, Directions, Goal, Projections, rows_of_block
from fastgmm._utils.errors import NoScreenError
from fastgmm._utils.memory import aligned_empty

Covariances = Callable[[], np.ndarray]  # gives matrices (K, d, d), or variances (K, d) where they are diagonal
# Makes the plan of a pass from its components. A trial chooses one, which serves the following passes too.
Planner = Callable[[Components, Covariances], SkippingPlan]

_SCREEN_FEATURES = 5  # at least; with fewer features, cells are used
_DIRECTIONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)  # numbers of directions that a trial compares
_WORTH = 0.8  # skip if the predicted cost is less than this share of the dense cost
_WORTH_ONCE = 0.6  # the same for screens in passes without the M step, where the cost model is least accurate
_DIAGONAL_WORTH = 0.875  # a factor of both for diagonal covariances: the cost model is optimistic about their screens
_CELL_ROWS = 2**15  # rows of a trial of cells
_TREE_ROWS = 2**12  # rows from which the tree is made


class ScreenTrials:
    """Trials on the rows of some passes that choose the numbers of directions of a screen.

    Attributes
    ----------
    flops : float
        Operations (of plain NumPy) of a trial.
    least_pass, least_single_pass : float
        Operations of the shortest dense pass that may be worth a trial, in a fit and alone.
    """

    least_pass = least_single_pass = 1e9  # the fixed costs of a screen are negligible in such a pass

    def __init__(self, passes: Passes):
        self._passes = passes
        d = passes.n_features
        most = min(d, MOST_DIRECTIONS)
        self.flops = passes.n_components * d * most**2 + 4.0 * most * d**2  # projected covariances; directions

    def choose(self, components: Components, covariances: Covariances, goal: Goal) -> Planner | None:
        """The best screen for passes with this goal; None if dense passes are cheaper.

        LinAlgError or NoScreenError if there is no screen for these components."""
        rows = self._passes.trial_rows()
        rows = np.ascontiguousarray(rows[:: max(1, len(rows) // BLOCK_ROWS)][:BLOCK_ROWS])
        of_each = covariances()
        directions = Directions(components, of_each)
        projections = Projections(components, of_each, rows.dtype, directions, goal)
        best = best_directions(projections, components, rows, self._passes.structure.kernel == "diag")
        if best is None:
            return None
        dtype = rows.dtype
        return lambda new, spread: Projections(new, spread(), dtype, directions, goal, best[1]).plan(*best)


def best_directions(
    projections: Projections, components: Components, rows: np.ndarray, is_diagonal: bool
) -> tuple[int, int] | None:
    """The numbers of first and of all directions with the least cost, by a trial on ``rows``; None if dense is cheaper.

    The cost model needs the share of pairs that count in the end. It is given the share that all directions leave.
    """
    K, d = components.means.shape
    with_statistics = projections.goal is Goal.STATISTICS
    whitens_once = _whitens_once(components, rows.dtype)
    costs = PassCosts(K, d, is_diagonal, rows.dtype, with_statistics, whitens_once=whitens_once)
    block = rows_of_block(K, d)
    worth = _WORTH if with_statistics else _WORTH_ONCE
    affordable = worth * (_DIAGONAL_WORTH if is_diagonal else 1.0) * costs.dense()
    most = projections.n_directions
    least = share_left(projections.plan(most, most), rows, components)
    if costs.screened(1, 1, block, least, least, least) > affordable:
        return None
    left = {m: share_left(projections.plan(m, m), rows, components) for m in _DIRECTIONS if m < most} | {most: least}
    screened = {
        (first, m): costs.screened(first, m, block, left[first], left[m], least)
        for first in left
        for m in left
        if first <= m and left[m] < 1.0
    }
    best = min(screened, key=screened.__getitem__, default=None)
    return best if best is not None and screened[best] < affordable else None


def _whitens_once(components: Components, dtype) -> bool:
    """Whether a dense pass whitens rows once."""
    means, factors, _ = components.for_kernels(dtype)
    K, d = means.shape
    if len(factors) > 1 or not _kernels.active.can_share(K, d):
        return False
    return _kernels.active.whitens_once(means, factors, np.empty((K + 1) * d, dtype), np.empty(5 * d))


def share_left(plan: SkippingPlan, rows: np.ndarray, components: Components) -> float:
    """Share of all pairs that a screen leaves besides the guesses, on at most a screened block of rows.

    1 if the screen leaves so many that a pass would do the block densely."""
    means, factors, log_const = components.for_kernels(rows.dtype)
    packed = aligned_empty(factors.size + 16, rows.dtype)
    count_pairs: Callable[..., int] = _kernels.active.count_pairs
    n_left = count_pairs(rows, means, factors, log_const, *plan.arguments, packed, *plan.workspaces(1))
    return n_left / (len(rows) * len(means)) if n_left >= 0 else 1.0


class CellTrials:
    """Trials of cells, with the attributes of `ScreenTrials`. The tree of the first trial serves all."""

    flops = 60.0 * _CELL_ROWS
    least_pass = 1e8
    least_single_pass = 2e10  # the cost of a trial is negligible in such a pass

    def __init__(self, passes: Passes):
        self._passes = passes
        self._tree: Tree | None = None

    def choose(self, components: Components, covariances: Covariances, goal: Goal) -> Planner | None:
        """The tree for passes with this goal; None if dense passes are cheaper."""
        passes = self._passes
        rows = passes.trial_rows()
        first = max(0, len(rows) - _CELL_ROWS) // 2
        some = np.ascontiguousarray(rows[first : first + _CELL_ROWS])
        if self._tree is None:
            factors = components.for_kernels(rows.dtype)[1]
            if not np.isfinite(factors).all():  # the tree would be of no use for later passes
                raise NoScreenError("The precision factors are not finite.")
            some_rows = rows[:: max(1, len(rows) // _TREE_ROWS)][:_TREE_ROWS]
            self._tree = Tree.of_rows(some_rows, _conditional_deviations(factors))
        left, tile_rows = components_left(self._tree.plan(components, goal), some, components)
        is_diagonal = passes.structure.kernel == "diag"
        costs = PassCosts(passes.n_components, passes.n_features, is_diagonal, rows.dtype, goal is Goal.STATISTICS)
        tree, pays = self._tree, costs.cells(left, tile_rows) < _WORTH * costs.dense()
        return (lambda new, _: tree.plan(new, goal)) if pays else None


def components_left(plan: SkippingPlan, rows: np.ndarray, components: Components) -> tuple[float, float]:
    """Mean numbers of components that cells leave for a row, and of rows in a tile; for at most 65,536 rows."""
    means, factors, log_const = components.for_kernels(rows.dtype)
    n_components, d = means.shape
    size, _ = _kernels.active.workspace_sizes(n_components, d, len(factors), factors.shape[1], d, 1)
    work = aligned_empty(size, rows.dtype)
    count_components: Callable[..., tuple[int, int]] = _kernels.active.count_components
    n_pairs, n_tiles = count_components(rows, means, factors, log_const, *plan.arguments, work, *plan.workspaces(1))
    return n_pairs / len(rows), len(rows) / n_tiles


def _conditional_deviations(factors: np.ndarray) -> np.ndarray:
    """Mean over the components of each feature's standard deviation given the others, shape (n_features,)."""
    precisions = np.square(factors, dtype=np.float64).sum(axis=2 if factors.shape[1] > 1 else 1)  # their diagonals
    return (1.0 / np.sqrt(precisions)).mean(axis=0)


Trials = ScreenTrials | CellTrials


def trials_for(passes: Passes) -> Trials:
    """Trials of cells if there are few features, else of screens."""
    return ScreenTrials(passes) if passes.n_features >= _SCREEN_FEATURES else CellTrials(passes)
