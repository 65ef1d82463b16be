"""Components of one mixture that are those of another: label switching."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def matched(means: np.ndarray, spread: np.ndarray, other_means: np.ndarray, other_spread: np.ndarray) -> np.ndarray:
    """For each component of the first mixture the number of its counterpart in the other, shape (K,).

    The sum of the Kullback-Leibler divergences of the counterparts from the first components is least.

    Parameters
    ----------
    means, other_means : ndarray of shape (K, d)
    spread, other_spread : ndarray of shape (K, d, d)
    """
    precisions = np.linalg.inv(spread)
    differences = means[:, np.newaxis] - other_means
    divergences = (
        np.einsum("jab,kba->jk", precisions, other_spread)
        + np.einsum("jka,jab,jkb->jk", differences, precisions, differences)
        + np.linalg.slogdet(spread)[1][:, np.newaxis]
        - np.linalg.slogdet(other_spread)[1]
    )
    return linear_sum_assignment(divergences)[1]
