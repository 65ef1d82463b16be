"""The base of structures of matrices. A precision is kept as its upper-triangular factor."""

from __future__ import annotations

import numpy as np

from fastgmm._model.covariance.factors import factors_of_inverses, inverses_of_triangles
from fastgmm._model.covariance.structure import CovarianceStructure, any_of, inverse_deviations


class MatrixStructure(CovarianceStructure):
    """A matrix for each component, or one that all share. A subclass adds the M step and the number of parameters."""

    kernel = "full"

    def shape_of_one(self, n_features):
        return (n_features, n_features)

    def variances(self, covariances):
        return covariances.diagonal(axis1=-2, axis2=-1)

    def factors_of_inverses(self, stack, n_threads=1):
        if stack.shape[-1] == 1:
            return inverse_deviations(stack)
        return factors_of_inverses(stack, n_threads)

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


def covariances_of_factors(factors: np.ndarray) -> np.ndarray:
    """(U U^T)^-1 = (U^-T)(U^-T)^T for a stack of upper-triangular U."""
    inverses = inverses_of_triangles(factors)
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
