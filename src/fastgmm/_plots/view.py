"""The part of the plane that a picture shows: where the mixture is, though single rows may be far from it."""

from __future__ import annotations

import numpy as np

from fastgmm._plots.marginals import Marginal

_CORE = 0.95  # share of the mass in the heaviest components, which are always in the picture
_REACH_OF_COMPONENTS = 6.0  # how far from the core others may be, in lengths of the core
_REACH_OF_ROWS = 2.0
_MARGIN = 0.05


def limits_of(marginal: Marginal, rows: np.ndarray | None, n_std: float) -> np.ndarray:
    """Lower and upper limit of each feature, shape (n_features, 2).

    Within are all components, up to `n_std` standard deviations from the mean, and all rows, unless they are so far
    away that the others would be a dot.
    """
    shown = marginal.is_shown
    low = (marginal.means - n_std * marginal.stds)[shown]
    high = (marginal.means + n_std * marginal.stds)[shown]
    weights = marginal.weights[shown]
    order = np.argsort(-weights, kind="stable")
    n_core = int(np.searchsorted(np.cumsum(weights[order]), _CORE * weights.sum())) + 1
    core = order[:n_core]
    limits = np.empty((low.shape[1], 2))
    for j in range(len(limits)):
        column = None if rows is None else rows[:, j]
        limits[j] = _limits_of_feature(low[:, j], high[:, j], core, column)
    return limits


def _limits_of_feature(low: np.ndarray, high: np.ndarray, core: np.ndarray, rows: np.ndarray | None):
    start, end = low[core].min(), high[core].max()
    length = end - start
    first, last = start - _REACH_OF_COMPONENTS * length, end + _REACH_OF_COMPONENTS * length
    near = (high >= first) & (low <= last)
    start, end = max(first, low[near].min()), min(last, high[near].max())
    if rows is not None:
        reach = _REACH_OF_ROWS * length
        near_rows = rows[(rows >= start - reach) & (rows <= end + reach)]
        start, end = min(start, near_rows.min(initial=start)), max(end, near_rows.max(initial=end))
    margin = _MARGIN * (end - start)
    return start - margin, end + margin


def sides_beyond(points: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the points, of shape (n, n_features), beyond the limits, and the side where each is.

    Side 2 j is below the limits of feature j, side 2 j + 1 above them. A point beyond several sides is beyond the one
    that it is farthest from, in lengths of the picture.
    """
    lengths = limits[:, 1] - limits[:, 0]
    excess = np.stack([limits[:, 0] - points, points - limits[:, 1]], axis=2) / lengths[:, np.newaxis]
    flat = excess.reshape(len(points), 2 * len(limits))
    numbers = np.flatnonzero((flat > 0.0).any(axis=1))
    return numbers, flat[numbers].argmax(axis=1)
