r"""The base of structures of matrices, and the triangular factors of their precisions.

The precision is kept as its upper-triangular factor :math:`U_k` with :math:`\Sigma_k^{-1} = U_k U_k^T`, that is
:math:`U_k = L_k^{-T}` for the Cholesky factor :math:`\Sigma_k = L_k L_k^T`. Triangular inversion, unlike an LU-based
inverse, stays accurate when the scales of the features differ widely.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dtrtri

from fastgmm._model.covariance.structure import CovarianceStructure, any_of, are_positive


class MatrixStructure(CovarianceStructure):
    """A matrix for each component, or one that all share. A subclass adds the M step and the number of parameters."""

    kernel = "full"

    def shape_of_one(self, n_features):
        return (n_features, n_features)

    def variances(self, covariances):
        return covariances.diagonal(axis1=-2, axis2=-1)

    def factors_of_inverses(self, stack):
        if stack.shape[-1] == 1:
            return 1.0 / np.sqrt(stack) if are_positive(stack) else None
        try:
            factors = transposed_inverses(np.linalg.cholesky(stack))
        except np.linalg.LinAlgError:
            return None
        return factors if np.isfinite(stack).all() and np.isfinite(factors).all() else None

    def precisions_cholesky_from_precisions(self, precisions):
        # Upper U with U U^T = P: if J P J = L L^T, with J the reversal of rows and columns, then U = J L J.
        return np.ascontiguousarray(np.linalg.cholesky(precisions[..., ::-1, ::-1])[..., ::-1, ::-1])

    def covariances_from_cholesky(self, precisions_cholesky):
        if self.is_shared:
            return covariances_of_factors(precisions_cholesky[np.newaxis])[0]
        return covariances_of_factors(precisions_cholesky)

    def precisions(self, precisions_cholesky):
        return precisions_cholesky @ precisions_cholesky.swapaxes(-1, -2)

    def log_det(self, precisions_cholesky, n_features):
        return np.log(precisions_cholesky.diagonal(axis1=-2, axis2=-1)).sum(axis=-1)

    def kernel_factors(self, precisions_cholesky, n_components, n_features):
        return precisions_cholesky[np.newaxis] if self.is_shared else precisions_cholesky

    # For subclasses with a FisherInformation:

    def congruent(self, matrices, covariances):
        return covariances @ matrices @ covariances

    def exceed(self, covariances, floor):
        reduced = covariances.copy()
        variances = diagonals(reduced)
        variances -= floor
        try:
            factors = np.linalg.cholesky(reduced)
        except np.linalg.LinAlgError:
            return False
        return bool(np.isfinite(factors).all())


def transposed_inverses(triangles: np.ndarray) -> np.ndarray:
    """L^-T for each lower-triangular matrix of a C-contiguous stack: upper-triangular again."""
    inverses = np.empty_like(triangles)
    for k, triangle in enumerate(triangles):
        inverses[k] = dtrtri(triangle.T, lower=0)[0]  # L^T in LAPACK's memory order, without a copy
    return inverses


def covariances_of_factors(factors: np.ndarray) -> np.ndarray:
    """(U U^T)^-1 = (U^-T)(U^-T)^T for a stack of upper-triangular U."""
    inverses = transposed_inverses(np.ascontiguousarray(factors.swapaxes(-1, -2)))  # U^T is lower: gives U^-1
    return inverses.swapaxes(-1, -2) @ inverses


def diagonals(matrices: np.ndarray) -> np.ndarray:
    """Diagonals of a C-contiguous stack of matrices, as a view that can be written to."""
    n = matrices.shape[-1]
    return matrices.reshape(*matrices.shape[:-2], n * n)[..., :: n + 1]


def regularize(covariances: np.ndarray, reg_covar: float, noise: np.ndarray) -> np.ndarray:
    """Add `reg_covar` to the variances of a stack (n, d, d), in place, after those up to `noise` (n, d) became 0."""
    variances = diagonals(covariances)
    is_noise = variances <= noise
    if any_of(is_noise):
        is_noise &= np.isfinite(variances)  # infinite variances stay, and are an error later
        covariances[is_noise[:, :, np.newaxis] | is_noise[:, np.newaxis]] = 0.0
    variances += reg_covar
    return covariances
