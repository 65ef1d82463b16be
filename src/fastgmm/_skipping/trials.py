"""Trials: what screens and cells would leave of a few rows, and whether a pass that uses them would be cheaper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fastgmm import _kernels
from fastgmm._model.components import Components
from fastgmm._rows.protocol import Passes, SkippingPlan
from fastgmm._rows.runner import BLOCK_ROWS
from fastgmm._skipping.cells import Tree
from fastgmm._skipping.costs import PassCosts
from fastgmm._skipping.goal import Goal
from fastgmm._skipping.screens import MOST_DIRECTIONS, Directions, Projections, rows_of_block
from fastgmm._utils.memory import aligned_empty

Covariances = Callable[[], np.ndarray]  # gives matrices (K, d, d), or variances (K, d) where they are diagonal

_FEATURES_OF_SCREENS = 5  # at least; with fewer features components are left out of cells
_DIRECTIONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
_WORTH = 0.8  # the share of the dense cost, by the model, below which skipping is used
_WORTH_ONCE = 0.6  # that of screens without the M step, where the model is least accurate
_DIAGONAL_WORTH = 0.875  # times these for screens of diagonal covariances, for which the model is too optimistic
_CELL_ROWS = 2**15  # rows of a trial of cells
_TREE_ROWS = 2**12  # rows that its tree is made of


class Choice(Protocol):
    """What a trial has chosen: the same for the passes to come, whose components are others."""

    def plan(self, components: Components, covariances: Covariances) -> SkippingPlan:
        """For a pass under these components."""


class Trials(Protocol):
    """Trials on the rows of some passes.

    Attributes
    ----------
    flops : float
        A trial takes as long as so many operations of plain NumPy.
    least_pass, least_single_pass : float
        Operations of the shortest dense pass that may be worth a trial, in a fit and alone.
    """

    flops: float
    least_pass: float
    least_single_pass: float

    def choose(self, components: Components, covariances: Covariances, goal: Goal) -> Choice | None:
        """What to leave out of passes with this goal; None if dense ones are cheaper.

        LinAlgError or NoScreenError if that cannot be said."""


def trials_for(passes: Passes) -> Trials:
    """Of cells with few features, of screens with more."""
    return ScreenTrials(passes) if passes.n_features >= _FEATURES_OF_SCREENS else CellTrials(passes)


@dataclass(frozen=True, slots=True)
class ScreenChoice:
    """A screen that tries n_first directions for all pairs, and n_all for those that are left."""

    directions: Directions
    n_first: int
    n_all: int
    goal: Goal
    dtype: np.dtype

    def plan(self, components: Components, covariances: Covariances) -> SkippingPlan:
        projections = Projections(components, covariances(), self.dtype, self.directions, self.goal, self.n_all)
        return projections.plan(self.n_first, self.n_all)


class ScreenTrials:
    """Trials that choose how many directions to use."""

    least_pass = least_single_pass = 1e9  # the time that screens take is nothing beside such a pass

    def __init__(self, passes: Passes):
        self._passes = passes
        d = passes.n_features
        most = min(d, MOST_DIRECTIONS)
        self.flops = passes.n_components * d * most**2 + 4.0 * most * d**2  # projections of covariances; directions

    def choose(self, components: Components, covariances: Covariances, goal: Goal) -> ScreenChoice | None:
        rows = self._passes.trial_rows()
        rows = np.ascontiguousarray(rows[:: max(1, len(rows) // BLOCK_ROWS)][:BLOCK_ROWS])
        of_each = covariances()
        directions = Directions(components, of_each)
        projections = Projections(components, of_each, rows.dtype, directions, goal)
        found = best_directions(projections, components, rows, self._passes.structure.kernel == "diag")
        return None if found is None else ScreenChoice(directions, *found, goal, rows.dtype)


def best_directions(
    projections: Projections, components: Components, rows: np.ndarray, is_diagonal: bool
) -> tuple[int, int] | None:
    """How many directions to try first and in all, by what screens leave of the given rows; None if dense is cheaper.

    What is left at the end is taken to be what all directions leave.
    """
    K, d = components.means.shape
    mixture = components.for_kernels(rows.dtype)
    with_statistics = projections.goal is Goal.STATISTICS
    costs, block = PassCosts(K, d, is_diagonal, rows.dtype, with_statistics), rows_of_block(K, d)
    worth = _WORTH if with_statistics else _WORTH_ONCE
    affordable = worth * (_DIAGONAL_WORTH if is_diagonal else 1.0) * costs.dense()
    most = projections.n_directions
    least = _share_left(projections.plan(most, most), rows, mixture)
    if costs.screened(1, 1, block, least, least, least) > affordable:
        return None
    left = {m: _share_left(projections.plan(m, m), rows, mixture) for m in _DIRECTIONS if m < most} | {most: least}
    screened = {
        (first, m): costs.screened(first, m, block, left[first], left[m], least)
        for first in left
        for m in left
        if first <= m and left[m] < 1.0
    }
    best = min(screened, key=screened.__getitem__, default=None)
    return best if best is not None and screened[best] < affordable else None


def _share_left(plan: SkippingPlan, rows: np.ndarray, mixture: tuple[np.ndarray, ...]) -> float:
    """Of all pairs; 1 if they are too many to be counted."""
    counts = np.zeros((1, 8), np.int64)
    packed = aligned_empty(mixture[1].size + 16, rows.dtype)
    count_pairs: Callable[..., bool] = _kernels.active.count_pairs
    few = count_pairs(rows, *mixture, *plan.arguments, packed, *plan.workspaces(1), counts)
    return float(counts[0, 1]) / (len(rows) * len(mixture[0])) if few else 1.0


@dataclass(frozen=True, slots=True)
class CellChoice:
    """Components are left out of the cells of a tree."""

    tree: Tree
    goal: Goal

    def plan(self, components: Components, covariances: Covariances) -> SkippingPlan:
        return self.tree.plan(components, self.goal)


class CellTrials:
    """Trials of cells; the tree of the first one serves all."""

    flops = 60.0 * _CELL_ROWS
    least_pass = 1e8
    least_single_pass = 2e10  # next to which a trial by itself costs nothing

    def __init__(self, passes: Passes):
        self._passes = passes
        self._tree: Tree | None = None

    def choose(self, components: Components, covariances: Covariances, goal: Goal) -> CellChoice | None:
        passes = self._passes
        rows = passes.trial_rows()
        first = max(0, len(rows) - _CELL_ROWS) // 2
        some = np.ascontiguousarray(rows[first : first + _CELL_ROWS])
        mixture = components.for_kernels(rows.dtype)
        if self._tree is None:
            self._tree = Tree.of_rows(rows[:: max(1, len(rows) // _TREE_ROWS)][:_TREE_ROWS], _widths(mixture[1]))
        left, rows_in_tile = _components_left(self._tree.plan(components, goal), some, mixture)
        is_diagonal = passes.structure.kernel == "diag"
        costs = PassCosts(passes.n_components, passes.n_features, is_diagonal, rows.dtype, goal is Goal.STATISTICS)
        return CellChoice(self._tree, goal) if costs.cells(left, rows_in_tile) < _WORTH * costs.dense() else None


def _components_left(plan: SkippingPlan, rows: np.ndarray, mixture: tuple[np.ndarray, ...]) -> tuple[float, float]:
    """Components left for a row, and rows of a tile."""
    n_components, d = mixture[0].shape
    n_factors, factor_rows, _ = mixture[1].shape
    work, _ = _kernels.active.workspace_sizes(n_components, d, n_factors, factor_rows, 1)
    counts = np.zeros((1, 8), np.int64)
    count_components: Callable[..., None] = _kernels.active.count_components
    count_components(rows, *mixture, *plan.arguments, aligned_empty(work, rows.dtype), *plan.workspaces(1), counts)
    left, tiles, n_rows = counts[0, :3]
    return left / n_rows, n_rows / tiles


def _widths(factors: np.ndarray) -> np.ndarray:
    """Mean over the components of each feature's standard deviation where the other features are known."""
    precisions = np.square(factors, dtype=np.float64).sum(axis=2 if factors.shape[1] > 1 else 1)  # their diagonals
    return (1.0 / np.sqrt(precisions)).mean(axis=0)
