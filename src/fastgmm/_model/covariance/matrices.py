r"""What structures of matrices share, and the triangular factors of their precisions.

The precision is kept as its upper-triangular factor :math:`U_k` with :math:`\Sigma_k^{-1} = U_k U_k^T`, that is
:math:`U_k = L_k^{-T}` for the Cholesky factor :math:`\Sigma_k = L_k L_k^T`. Triangular inversion, unlike an LU-based
inverse, does not mind columns of very different scale.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dtrtri

from fastgmm._model.covariance.structure import CovarianceStructure, any_of, are_positive


class MatrixStructure(CovarianceStructure):
    """A matrix for each component, or one that all share; a subclass says which matrices the M step finds."""

    kernel = "full"

    def shape_of_one(self, n_features):
        return (n_features, n_features)

    def variances(self, covariances):
        return covariances.diagonal(axis1=-2, axis2=-1)

    def precisions_cholesky(self, covariances):
        stack = covariances[np.newaxis] if self.is_shared else covariances
        factors = _factors_of_inverses(stack)
        if factors is None:
            component = next(k for k, matrix in enumerate(stack) if _factors_of_inverses(matrix[np.newaxis]) is None)
            raise self.ill_defined(component, stack[component])
        return factors[0] if self.is_shared else factors

    def precisions_cholesky_from_precisions(self, precisions):
        return _cholesky_of_precisions(precisions)

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

    def spread(self, covariances, n_components, n_features):
        return np.tile(covariances, (n_components, 1, 1)) if self.is_shared else covariances

    def per_covariance(self, values):
        return values if self.is_shared else values[:, np.newaxis, np.newaxis]


def transposed_inverses(triangles: np.ndarray) -> np.ndarray:
    """L^-T for each lower-triangular matrix of a C-contiguous stack: upper-triangular again."""
    inverses = np.empty_like(triangles)
    for k, triangle in enumerate(triangles):
        inverses[k] = dtrtri(triangle.T, lower=0)[0]  # .T is L^T in the memory order that LAPACK wants: no copy
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
    """Add `reg_covar` to the variances of a stack, in place; those that are not greater than `noise` count as 0."""
    variances = diagonals(covariances)
    is_noise = variances <= noise
    if any_of(is_noise):
        is_noise &= np.isfinite(variances)  # an infinite one is an error
        covariances[is_noise[:, :, np.newaxis] | is_noise[:, np.newaxis]] = 0.0
    variances += reg_covar
    return covariances


def are_positive_definite(matrices: np.ndarray, floor: float) -> bool:
    """Whether all eigenvalues of a stack of matrices are greater than `floor`."""
    reduced = matrices.copy()
    variances = diagonals(reduced)
    variances -= floor
    try:
        factors = np.linalg.cholesky(reduced)
    except np.linalg.LinAlgError:
        return False
    return bool(np.isfinite(factors).all())


def _factors_of_inverses(matrices: np.ndarray) -> np.ndarray | None:
    """Upper U with U U^T the inverse of each matrix of a stack, or None if one is not finite and positive-definite."""
    if matrices.shape[-1] == 1:
        return 1.0 / np.sqrt(matrices) if are_positive(matrices) else None
    try:
        factors = transposed_inverses(np.linalg.cholesky(matrices))
    except np.linalg.LinAlgError:
        return None
    return factors if np.isfinite(matrices).all() and np.isfinite(factors).all() else None


def _reversed_axes(matrices: np.ndarray) -> np.ndarray:
    """J A J with the exchange matrix J: rows and columns in reverse order."""
    return matrices[..., ::-1, ::-1]


def _cholesky_of_precisions(matrices: np.ndarray) -> np.ndarray:
    """Upper U with U U^T = P: if J P J = L L^T then U = J L J."""
    return np.ascontiguousarray(_reversed_axes(np.linalg.cholesky(_reversed_axes(matrices))))
