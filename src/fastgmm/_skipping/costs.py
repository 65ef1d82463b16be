"""The cost model: how long a pass takes, dense or with pairs left out, so that the cheapest can be chosen.

`benchmarks/fit_costs.py` measures passes, and prints `Constants` fitted to them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fastgmm import _kernels

_FEW_FEATURES = 4  # up to here all of a pair's cost is work in vectors


class Constants(NamedTuple):
    """Nanoseconds of one thread with AVX-512 and float64; only their ratios matter.

    Those marked (v) are work in vectors: with AVX2 they take twice as long, and the others as long as before. Screened
    passes were fitted to 300 passes with AVX-512, and 227 passes with AVX2 confirmed them; cells were fitted to 100
    passes with AVX2. A multiply-add counts once, for one pair (row, component) unless something else is said.
    """

    # A dense pass.
    pair: float = 0.81  # softmax and loops; (v) with few features
    operation: float = 0.030  # (v) a multiply-add of the E or M step
    # A pass with a screen.
    row: float = 24.0  # a row
    projection: float = 0.06  # (v) a row, feature and direction
    bound: float = 0.53  # (v) a bound by the first directions
    bound_operation: float = 0.0067  # (v) a multiply-add of it
    rebound: float = 3.3  # a bound by all directions, of a listed pair
    rebound_operation: float = 0.0085  # (v) a multiply-add of it
    evaluated: float = 1.8  # the log-density of a listed pair
    evaluated_feature: float = 0.22  # (v) gathering one of its features
    evaluated_operation: float = 0.029  # (v) a multiply-add of it
    summed: float = 4.0  # the statistics of a listed pair
    summed_feature: float = 0.057  # gathering one of its features
    summed_operation: float = 0.052  # (v) a multiply-add of them
    # A pass with cells.
    sorted_row: float = 10.0  # sorting a row
    gathered_byte: float = 0.5  # gathering a byte of a row
    tile: float = 60.0  # a component left for a tile
    box: float = 0.35  # (v) the bound of a component for a tile


class PassCosts:
    """Costs of passes for one shape of mixture, in nanoseconds a row and thread.

    Parameters
    ----------
    n_components, n_features : int
    is_diagonal : bool
        Whether the kernels of diagonal covariances serve.
    dtype : dtype
        Of the rows.
    with_statistics : bool
        Whether the pass is one of EM, with the sums of the M step.
    constants : Constants
    """

    def __init__(
        self,
        n_components: int,
        n_features: int,
        is_diagonal: bool,
        dtype,
        with_statistics: bool,
        constants: Constants = Constants(),  # noqa: B008 - immutable
    ):
        K, d = n_components, n_features
        self._K, self._d, self._constants = K, d, constants
        self._with_statistics = with_statistics
        self._row_bytes = d * np.dtype(dtype).itemsize
        self._arithmetic = 8.0 / _kernels.active.LANES  # how much longer work in vectors takes
        self._lanes = 2 if dtype == np.float32 else 1  # so many times as many numbers in a vector
        self._e_step = 2.0 * d if is_diagonal else d * (d + 3) / 2.0  # multiply-adds
        self._m_step = (3.0 * d if is_diagonal else d * (d + 3) / 2.0) * with_statistics

    def dense(self) -> float:
        return self._K * self._pair()

    def screened(
        self, n_first: int, n_all: int, block: int, after_first: float, after_all: float, at_last: float
    ) -> float:
        """With a screen of so many directions and rows in a block, and the shares of all pairs that are left."""
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
        """With so many components left for a row, the guesses not counted, and so many rows in a tile."""
        c = self._constants
        tile = c.tile * left + c.box * self._arithmetic * self._K
        return c.sorted_row + c.gathered_byte * self._row_bytes + (left + 2.0) * self._pair() + tile / rows_in_tile

    def _pair(self) -> float:
        """One of a dense pass."""
        c = self._constants
        fixed = c.pair * (self._arithmetic if self._d <= _FEW_FEATURES else 1.0)
        return (fixed + self._arithmetic * c.operation * (self._e_step + self._m_step)) / self._lanes

    def _listed(self, share: float, lanes: int, block: int) -> float:
        """Listed pairs for each row, with those that fill up vectors, if such a share of all pairs is left."""
        return self._K * (share - 8.0 * lanes / block * math.expm1(-0.5 * share * block))
