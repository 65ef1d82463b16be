"""What a fitted model's arrays say, which may have been set by hand."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fastgmm._estimator.parameters import check_fitted_array, check_triangular
from fastgmm._model.covariance import COVARIANCE_TYPES


def fitted_factors(mixture, shape: tuple[int, ...]) -> np.ndarray:
    """`precisions_cholesky_` as float64, upper-triangular where it holds matrices.

    Lower-triangular ones, such as np.linalg.cholesky(precision), are factors of the precision as well, and to
    scikit-learn as good; the kernels read what is above the diagonal.
    """
    factors = check_fitted_array(mixture, "precisions_cholesky_", shape)
    covariance = COVARIANCE_TYPES[mixture.covariance_type]
    if covariance.structure == "diag" or _are_upper_triangular(factors):
        return factors
    check_triangular(factors)
    return covariance.precisions_cholesky_from_precisions(factors @ factors.swapaxes(-1, -2))


def _are_upper_triangular(factors: np.ndarray) -> bool:
    if factors.size > 4096:
        return not np.any(factors, where=np.tri(factors.shape[-1], k=-1, dtype=bool))
    return bool(np.vdot(factors, _random_below_diagonal(factors.shape)) == 0.0)  # several times as fast


@lru_cache(maxsize=64)
def _random_below_diagonal(shape: tuple[int, ...]) -> np.ndarray:
    """Random numbers, so that no sum of numbers times these is 0, as it may be of the numbers alone."""
    return np.tril(np.random.default_rng(0).uniform(1.0, 2.0, shape), -1)
