"""The cost model: it predicts how long a dense pass takes, and a pass with a screen or with cells.

`benchmarks/fit_costs.py` fits `Constants` to measured passes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fastgmm import _kernels

_FEW_FEATURES = 4  # with at most so many features the whole cost of a pair is vector work


class Constants(NamedTuple):
    """Nanoseconds of one thread with AVX-512 and float64; only their ratios matter.

    Constants marked (v) are for vector work: with AVX2 it takes twice as long, and other work as long as with AVX-512.
    The constants of screened passes were fitted to 300 passes with AVX-512, and checked on 227 passes with AVX2. Those
    of cells were fitted to 100 passes with AVX2. An operation is a multiply-add. Costs are of one pair (row, component)
    unless the comment says otherwise.
    """

    # A dense pass.
    pair: float = 0.81  # softmax and loops; (v) with few features
    operation: float = 0.030  # (v) an operation of the E or M step
    # A pass with a screen.
    row: float = 24.0  # fixed cost of a row
    projection: float = 0.06  # (v) projecting a feature of a row to a direction
    bound: float = 0.53  # (v) bound of a pair from the first directions
    bound_operation: float = 0.0067  # (v) an operation of it
    rebound: float = 3.3  # bound of a listed pair from all directions
    rebound_operation: float = 0.0085  # (v) an operation of it
    evaluated: float = 1.8  # log-density of a listed pair
    evaluated_feature: float = 0.22  # (v) gathering one of its features
    evaluated_operation: float = 0.029  # (v) an operation of it
    summed: float = 4.0  # statistics of a listed pair
    summed_feature: float = 0.057  # gathering one of its features
    summed_operation: float = 0.052  # (v) an operation of them
    # A pass with cells.
    sorted_row: float = 10.0  # sorting a row
    gathered_byte: float = 0.5  # gathering a byte of a row
    tile: float = 60.0  # a component that remains for a tile
    box: float = 0.35  # (v) bound of a component for a tile


class PassCosts:
    """Costs of passes for one shape of mixture, in nanoseconds per row and thread.

    Parameters
    ----------
    n_components, n_features : int
    is_diagonal : bool
        Whether the pass uses the kernels for diagonal covariances.
    dtype : dtype
        dtype of the rows.
    with_statistics : bool
        Whether the pass adds up the statistics of the M step.
    constants : Constants
    whitens_once : bool, default=False
        Whether a dense pass whitens rows once, for all components.
    """

    def __init__(
        self,
        n_components: int,
        n_features: int,
        is_diagonal: bool,
        dtype,
        with_statistics: bool,
        constants: Constants = Constants(),  # noqa: B008 - immutable
        whitens_once: bool = False,
    ):
        K, d = n_components, n_features
        self._K, self._d, self._constants = K, d, constants
        self._with_statistics, self._whitens_once = with_statistics, whitens_once
        self._row_bytes = d * np.dtype(dtype).itemsize
        self._arithmetic = 8.0 / _kernels.active.LANES  # vector work takes so many times as long as with AVX-512
        self._lanes = 2 if dtype == np.float32 else 1  # a vector has so many times as many numbers as for float64
        self._e_step = 2.0 * d if is_diagonal else d * (d + 3) / 2.0  # multiply-adds
        self._m_step = (3.0 * d if is_diagonal else d * (d + 3) / 2.0) * with_statistics

    def dense(self) -> float:
        if not self._whitens_once:
            return self._K * self._pair()
        K, d, c = self._K, self._d, self._constants
        operations = d * (d + 3) / 2.0 + K * d
        if self._with_statistics:
            operations += d * (d + 3) / 2.0 + K * (3.0 * d + 0.5 * K)
        return (K * c.pair + self._arithmetic * c.operation * operations) / self._lanes

    def screened(
        self, n_first: int, n_all: int, block: int, after_first: float, after_all: float, at_last: float
    ) -> float:
        """Cost of a pass with a screen.

        Parameters
        ----------
        n_first, n_all : int
            Numbers of first and of all directions.
        block : int
            Rows screened together.
        after_first, after_all, at_last : float
            Shares of all pairs that remain after the bounds from the first directions and from all directions, and
            that count in the end.
        """
        K, d, c = self._K, self._d, self._constants
        cost = c.row
        operations = c.projection * d * (-(-n_all // 8) * 8) + K * (
            c.bound + c.bound_operation * n_first * (n_first + 3)
        )
        if n_all > n_first:
            rebound = self._listed(after_first, 2, block)
            cost += rebound * c.rebound
            operations += rebound * c.rebound_operation * n_all * (n_all + 3)
        evaluated = self._listed(1.0 / K, self._lanes, block) + self._listed(after_all, self._lanes, block)
        cost += evaluated * c.evaluated
        operations += evaluated * (c.evaluated_feature * d + c.evaluated_operation * self._e_step / self._lanes)
        if self._with_statistics:
            summed = self._listed(at_last, self._lanes, block)
            cost += summed * (c.summed + c.summed_feature * d)
            operations += summed * c.summed_operation * self._m_step / self._lanes
        return cost + self._arithmetic * operations

    def cells(self, left: float, rows_in_tile: float) -> float:
        """Cost of a pass with cells: ``left`` components remain for a row, and a tile has ``rows_in_tile`` rows, on
        average."""
        c = self._constants
        tile = c.tile * left + c.box * self._arithmetic * self._K
        return c.sorted_row + c.gathered_byte * self._row_bytes + (left + 2.0) * self._pair() + tile / rows_in_tile

    def _pair(self) -> float:
        """Cost of a pair in a dense pass."""
        c = self._constants
        fixed = c.pair * (self._arithmetic if self._d <= _FEW_FEATURES else 1.0)
        return (fixed + self._arithmetic * c.operation * (self._e_step + self._m_step)) / self._lanes

    def _listed(self, share: float, lanes: int, block: int) -> float:
        """Listed pairs per row, padding of vectors included, if this share of all pairs remains."""
        return self._K * (share - 8.0 * lanes / block * math.expm1(-0.5 * share * block))
