"""Components: the form in which a pass over the rows takes a mixture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.covariance.matrices import covariances_of_factors


@dataclass(frozen=True, slots=True)
class Components:
    """Components under which a pass evaluates the rows; their number may differ from the model's. It can be pickled.

    The log-density of a row x under component k, with its weight, is ``log_const[k] - q / 2`` with
    ``q = |(x - means[k]) U_k|^2``. Of a t distribution with nu degrees of freedom it is
    ``log_const[k] - (nu + d) / 2 * log(1 + q / nu)``.

    Attributes
    ----------
    means : ndarray of shape (K, d), float64
    factors : ndarray of shape (K, d, d), (1, d, d) or (K, 1, d), float64
        Upper-triangular factors U of the precisions U U^T: one for each component, one that all share, or for each
        component the diagonal of a diagonal one.
    log_const : ndarray of shape (K,), float64
    log_weights : ndarray of shape (K,), float64, or None
        The log-weights, which are part of `log_const`. Skipping needs them; without them every pass is dense.
    log_noise : float
        Log-density of a uniform background, with its weight; -inf if there is none.
    degrees_of_freedom : ndarray of shape (K,), float64, or None
        Of t distributions; None for Gaussians.
    """

    means: np.ndarray
    factors: np.ndarray
    log_const: np.ndarray
    log_weights: np.ndarray | None = None
    log_noise: float = -math.inf
    degrees_of_freedom: np.ndarray | None = None

    @property
    def has_noise(self) -> bool:
        return self.log_noise > -math.inf

    def for_kernels(self, dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means, factors and constants as the kernels take them for rows of a dtype. The last may be a background's."""
        constants = np.append(self.log_const, self.log_noise) if self.has_noise else self.log_const
        if self.degrees_of_freedom is not None:
            constants = np.zeros(len(self.means))
        with np.errstate(over="ignore"):  # in float32 a mean of 1e39 is infinite, and so is each row's distance from it
            return np.ascontiguousarray(self.means, dtype), np.ascontiguousarray(self.factors, dtype), constants

    def covariances(self) -> np.ndarray:
        """Covariances that belong to the factors: (K, d, d), or variances (K, d) for diagonal factors."""
        K, d = self.means.shape
        if self.factors.shape[1] == 1:
            return np.broadcast_to(1.0 / self.factors[:, 0] ** 2, (K, d))
        return np.broadcast_to(covariances_of_factors(self.factors), (K, d, d))


def log_gaussian_normalizer(
    structure: CovarianceStructure, precisions_cholesky: np.ndarray, n_features: int
) -> np.ndarray:
    """log det U_k - d/2 log(2 pi): the constant of a Gaussian log-density, shape (K,) or ()."""
    return structure.log_det(precisions_cholesky, n_features) - 0.5 * n_features * math.log(2.0 * math.pi)
