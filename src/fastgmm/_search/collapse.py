"""Components that have collapsed onto few or equal rows, so that their variance says nothing about the data."""

from __future__ import annotations

import numpy as np

_ROUNDING = 1e-12  # a variance below this fraction of the variance of all rows is only rounding


def are_collapsed(spread: np.ndarray, spread_of_rows: np.ndarray, reg_covar: float) -> np.ndarray:
    """Which components have little more variance than reg_covar or rounding in a direction where all rows have more.

    Parameters
    ----------
    spread : ndarray of shape (K, d, d) or (K, d)
        Covariances of the components, or their variances.
    spread_of_rows : ndarray of shape (d, d) or (d,)
        The same of all rows.
    reg_covar : float

    Returns
    -------
    ndarray of bool of shape (K,)
    """
    if spread.ndim == 2:
        small = spread < np.maximum(2.0 * reg_covar, _ROUNDING * spread_of_rows)
        return np.logical_or.reduce(small & (spread_of_rows > 10.0 * reg_covar), axis=1)
    # Divide by the standard deviations of the features, since their scales must not matter.
    variances = np.diagonal(spread_of_rows).copy()
    variances[variances <= 0.0] = 1.0
    units = np.sqrt(np.outer(variances, variances))
    values, vectors = np.linalg.eigh(spread_of_rows / units - np.diag(10.0 * reg_covar / variances))
    directions = vectors[:, values > 1e-10]
    if directions.shape[1] == 0:
        return np.zeros(len(spread), dtype=bool)
    excess = spread / units - np.diag(2.0 * reg_covar / variances + _ROUNDING)
    return np.linalg.eigvalsh(directions.T @ excess @ directions)[:, 0] < 0.0
