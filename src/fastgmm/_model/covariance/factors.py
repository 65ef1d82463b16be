r"""Triangular factors of precisions: upper-triangular :math:`U` with :math:`\Sigma^{-1} = U U^T`, for stacks.

:math:`U = L^{-T}` for the Cholesky factor :math:`\Sigma = L L^T`. Triangular inversion, unlike an LU-based inverse,
stays accurate when the scales of the features differ widely.
"""

from __future__ import annotations

import numpy as np

from fastgmm import _kernels
from fastgmm._utils.memory import aligned_empty
from fastgmm._utils.threads import useful_threads


def factors_of_inverses(covariances: np.ndarray, n_threads: int | None = 1) -> tuple[np.ndarray, int]:
    """The factor U for each matrix (n, d, d), and the index of the first matrix that has none, -1 if all have.

    A matrix has none if it is not positive-definite or not finite. Only upper triangles are read.
    """
    return _factors(covariances, False, n_threads)


def inverses_of_triangles(triangles: np.ndarray) -> np.ndarray:
    """The inverse of each upper-triangular matrix (n, d, d)."""
    return _factors(triangles, True, 1)[0]


def _factors(matrices: np.ndarray, are_triangles: bool, n_threads: int | None) -> tuple[np.ndarray, int]:
    matrices = np.ascontiguousarray(matrices, np.float64)
    n_matrices, d = matrices.shape[:2]
    flops = 0.7 * n_matrices * d * d * (d + 60.0)  # small matrices are slow for their number of operations
    n_threads = min(n_matrices, useful_threads(n_threads, flops))
    factors = np.empty_like(matrices)
    scratch = aligned_empty(_kernels.active.factors_scratch(d, n_threads), np.float64)
    failure = _kernels.active.factors_of_inverses(matrices, factors, are_triangles, scratch, n_threads)
    return factors, failure
