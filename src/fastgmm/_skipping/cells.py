"""Cells: the leaves of a k-d tree, which divides the space if there are few features.

`_kernels/cells.hpp` sorts rows by cell, and leaves out the components that no row of a tile needs. One tree serves all
passes over the same rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastgmm._model.components import Components
from fastgmm._rows.protocol import SkippingPlan
from fastgmm._skipping.screens import Goal, S

_ROUNDING = 2.0**-40  # relative; more than the rounding of a sum of squares in float64
_BLOCK_ROWS = 2**16  # rows sorted together; their indices have 16 bits
_DEPTH = 8  # levels of the tree: a block has 256 rows in a cell


@dataclass(frozen=True, slots=True)
class Tree:
    """A k-d tree whose leaves are the cells. All nodes of a level split the same feature.

    Attributes
    ----------
    features : ndarray of shape (depth,), int32
        The feature that each level splits.
    thresholds : ndarray of shape (2**depth,), in the dtype of the rows
        The threshold of node n of level l is at 2**l + n. Rows not below it go to the second child.
    """

    features: np.ndarray
    thresholds: np.ndarray

    @classmethod
    def of_rows(cls, rows: np.ndarray, widths: np.ndarray) -> Tree:
        """A tree with equally many rows in each cell. It splits the features that are widest in units of ``widths``."""
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
        """A plan that leaves components out of cells. `cells_em_pass` says what its arguments are."""
        K, d = components.means.shape
        dtype = self.thresholds.dtype
        cut = -math.log(np.finfo(dtype).eps)
        if goal is Goal.STATISTICS:  # by (2) of screen.hpp
            log_weights = components.log_weights
            assert log_weights is not None
            with np.errstate(invalid="ignore"):  # -inf + inf where the weight is 0
                constants = components.log_const - log_weights + math.log(S) - 1.0
            constants[log_weights == -math.inf] = -math.inf  # the component has no rows
            slope = 0.5 - 1.0 / S
        else:  # the omitted components together have at most a unit of rounding of a row's density
            constants = components.log_const
            cut, slope = cut + math.log(K), 0.5
        arguments = (self.features, self.thresholds, constants, slope * (1.0 - _ROUNDING), cut, _BLOCK_ROWS)
        return SkippingPlan("cells", arguments, (d, K, _BLOCK_ROWS, len(self.features)), dtype)
