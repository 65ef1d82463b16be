"""Cells: with few features, parts of the space from which `_kernels/cells.pxi` leaves out components that no row needs.

That file says which these are, and works on rows sorted by cell. The cells are chosen once, for all passes over the
same rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastgmm._model.components import Components
from fastgmm._rows.protocol import SkippingPlan
from fastgmm._skipping.goal import Goal
from fastgmm._skipping.screens import S

_ROUNDING = 2.0**-40  # more than that of a sum of squares in float64
_BLOCK = 2**16  # rows sorted together, as many as 16 bits number
_DEPTH = 8  # of the tree: that makes cells of 256 rows


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

    def plan(self, components: Components, goal: Goal) -> SkippingPlan:
        """Components left out of cells.

        The arguments: features and thresholds; constants, shape (n_components,), and slope and cut of the bounds; rows
        sorted together.
        """
        K, d = components.means.shape
        dtype = self.thresholds.dtype
        cut = -math.log(np.finfo(dtype).eps)
        if goal is Goal.STATISTICS:  # by (2) of screen.pxi
            log_weights = components.log_weights
            assert log_weights is not None
            with np.errstate(invalid="ignore"):  # -inf + inf where the weight is 0
                constants = components.log_const - log_weights + math.log(S) - 1.0
            constants[log_weights == -math.inf] = -math.inf  # takes no rows
            slope = 0.5 - 1.0 / S
        else:  # all that is left out is no more than a unit of rounding of a row's density
            constants = components.log_const
            cut, slope = cut + math.log(K), 0.5
        arguments = (self.features, self.thresholds, constants, slope * (1.0 - _ROUNDING), cut, _BLOCK)
        return SkippingPlan("cells", arguments, (d, K, _BLOCK, len(self.features)), dtype)
