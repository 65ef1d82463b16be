"""Components that have collapsed onto few or equal rows, so that their variance says nothing about the data."""

from __future__ import annotations

import numpy as np

_ROUNDING = 1e-12  # a variance below this fraction of the variance of all rows is only rounding


class CollapseCheck:
    """Finds components that have collapsed.

    In a direction where all rows have more variance they have little more than reg_covar or rounding.

    Parameters
    ----------
    spread_of_rows : ndarray of shape (d, d) or (d,)
        Covariance of all rows, or their variances.
    reg_covar : float
    """

    def __init__(self, spread_of_rows: np.ndarray, reg_covar: float):
        if spread_of_rows.ndim == 1:
            self._least = np.maximum(2.0 * reg_covar, _ROUNDING * spread_of_rows)
            self._least[~(spread_of_rows > 10.0 * reg_covar)] = -np.inf
            return
        # Divide by the standard deviations of the features, since their scales must not matter.
        variances = np.diagonal(spread_of_rows).copy()
        variances[variances <= 0.0] = 1.0
        self._units = np.sqrt(np.outer(variances, variances))
        self._floor = np.diag(2.0 * reg_covar / variances + _ROUNDING)
        values, vectors = np.linalg.eigh(spread_of_rows / self._units - np.diag(10.0 * reg_covar / variances))
        self._directions = vectors[:, values > 1e-10]

    def are_collapsed(self, spread: np.ndarray) -> np.ndarray:
        """Which components, given their covariances, shape (K, d, d), or variances, shape (K, d)."""
        if spread.ndim == 2:
            return np.logical_or.reduce(spread < self._least, axis=1)
        directions = self._directions
        if directions.shape[1] == 0:
            return np.zeros(len(spread), dtype=bool)
        excess = spread / self._units - self._floor
        return np.linalg.eigvalsh(directions.T @ excess @ directions)[:, 0] < 0.0
