"""Which components have collapsed onto few rows, or rows so equal, that their variance says nothing of the data."""

from __future__ import annotations

import numpy as np

_NO_VARIANCE = 1e-12  # share of the variance of all rows that is no more than rounding


def are_collapsed(spread: np.ndarray, whole: np.ndarray, reg_covar: float) -> np.ndarray:
    """Which components have little more variance than reg_covar, or rounding, where all rows have more.

    Parameters
    ----------
    spread : ndarray of shape (K, d, d) or (K, d)
        Covariances of the components, or their variances.
    whole : ndarray of shape (d, d) or (d,)
        Of all rows.
    reg_covar : float

    Returns
    -------
    ndarray of bool of shape (K,)
    """
    if spread.ndim == 2:
        small = spread < np.maximum(2.0 * reg_covar, _NO_VARIANCE * whole)
        return np.logical_or.reduce(small & (whole > 10.0 * reg_covar), axis=1)
    # In units of the features' deviations, so that their scales do not matter.
    variances = np.diagonal(whole).copy()
    variances[variances <= 0.0] = 1.0
    units = np.sqrt(np.outer(variances, variances))
    values, vectors = np.linalg.eigh(whole / units - np.diag(10.0 * reg_covar / variances))
    directions = vectors[:, values > 1e-10]
    if directions.shape[1] == 0:
        return np.zeros(len(spread), dtype=bool)
    excess = spread / units - np.diag(2.0 * reg_covar / variances + _NO_VARIANCE)
    return np.linalg.eigvalsh(directions.T @ excess @ directions)[:, 0] < 0.0
