"""The fitted attributes: setting them after a fit, and checking them before use, since a user can change them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from fastgmm._em.loop import EMResult
from fastgmm._estimator.noise import NO_NOISE, noise_attributes
from fastgmm._model.covariance import COVARIANCE_TYPES, CovarianceStructure, structure_of_type
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._model.noise import Region
from fastgmm._model.student import StudentParameters
from fastgmm._utils.errors import OutOfRangeError

FEATURES = ("n_features_in_", "feature_names_in_")


def check_fitted_array(estimator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A fitted attribute as C-contiguous float64. Raises ValueError unless it is finite and has the given shape."""
    array = np.asarray(getattr(estimator, name), dtype=np.float64, order="C")
    if array.shape != shape:
        raise ValueError(
            f"{name} has the shape {array.shape}, but {shape} belongs to the data, the other fitted attributes and "
            f"covariance_type={estimator.covariance_type!r}: a parameter or an attribute was changed, or X has other "
            "features. Call fit again (with warm_start=False)."
        )
    if not _is_finite(array):
        raise ValueError(f"{name} contains NaN or infinity: it was changed. Call fit again (with warm_start=False).")
    return array


def _is_finite(array: np.ndarray) -> bool:
    """Whether all numbers are finite. A sum of squares is faster, but wakes BLAS threads if the array is large."""
    return (array.size < 4096 and math.isfinite(np.vdot(array, array))) or bool(np.isfinite(array).all())


def check_covariance_type(estimator, names: Iterable[str] = ("precisions_cholesky_", "covariances_")) -> None:
    """Raise ValueError if fitted arrays belong to another covariance type than that of the estimator.

    Shapes and values of the arrays identify the type. So the check also works for models from pickles or scikit-learn,
    and for attributes that a user has set. `check_fitted_array` reports shapes that belong to no type.
    """
    given, structure = estimator.covariance_type, structure_of_type(estimator.covariance_type)
    own_name = structure.sklearn_name or structure.name
    shape_of_means = np.shape(estimator.means_)
    if len(shape_of_means) != 2:
        return
    for name in names:
        array = getattr(estimator, name, None)
        if array is None:
            continue
        shape = np.shape(array)
        if shape_of_means[0] != shape_of_means[1] and shape == structure.shape(*shape_of_means):
            continue
        may_be = [
            name
            for name, each in COVARIANCE_TYPES.items()
            if each.sklearn_name in (name, "") and each.shape(*shape_of_means) == shape
        ]
        if len(may_be) > 1:
            may_be = _alike(may_be, np.asarray(array), name)
        if may_be and own_name not in may_be:
            types = " or ".join(f"covariance_type={name!r}" for name in may_be)
            raise ValueError(
                f"{name} has the shape {shape} and values of {types}, but the estimator has covariance_type={given!r}: "
                "the parameter was changed after the fit, or attributes were set by hand. Call fit again (with "
                f"warm_start=False), or set {types}."
            )


def _alike(may_be: list[str], array: np.ndarray, name: str) -> list[str]:
    """Those of the covariance types `may_be`, which fit the shape of the array, that also fit its values.

    With as many components as features a shared matrix has the shape of the variances of all components. A matrix is
    triangular or symmetric, while variances are positive.
    """
    variances = [each for each in may_be if COVARIANCE_TYPES[each].kernel == "diag"]
    matrices = [each for each in may_be if each not in variances]
    if not variances or not matrices:
        return may_be
    if not (array > 0.0).all():
        return matrices
    is_symmetric = name != "precisions_cholesky_" and bool(np.allclose(array, array.T, rtol=1e-3, atol=0.0))
    return may_be if len(array) == 1 or is_symmetric else variances


def fitted_factors(mixture, shape: tuple[int, ...]) -> np.ndarray:
    """`precisions_cholesky_` as float64. Matrices are upper-triangular.

    scikit-learn also accepts lower-triangular factors, such as np.linalg.cholesky(precision). They are converted, since
    the kernels read only the upper triangle.
    """
    factors = check_fitted_array(mixture, "precisions_cholesky_", shape)
    structure = structure_of_type(mixture.covariance_type)
    if structure.kernel == "diag" or _are_upper_triangular(factors):
        return factors
    _check_triangular(factors)
    return structure.precisions_cholesky_from_precisions(factors @ factors.swapaxes(-1, -2))


def _are_upper_triangular(factors: np.ndarray) -> bool:
    if factors.size > 4096:
        return not np.any(factors, where=np.tri(factors.shape[-1], k=-1, dtype=bool))
    return bool(np.vdot(factors, _random_below_diagonal(factors.shape)) == 0.0)  # several times as fast


@lru_cache(maxsize=64)
def _random_below_diagonal(shape: tuple[int, ...]) -> np.ndarray:
    """Random weights below the diagonal. A sum with such weights is 0 only if all its terms are 0."""
    return np.tril(np.random.default_rng(0).uniform(1.0, 2.0, shape), -1)


def _check_triangular(factors: np.ndarray) -> None:
    """Raise ValueError unless each factor of a precision is triangular."""
    matrices = factors.reshape(-1, *factors.shape[-2:])
    for k, matrix in enumerate(matrices):
        if np.tril(matrix, -1).any() and np.triu(matrix, 1).any():
            which = "precisions_cholesky_" if len(matrices) == 1 else f"precisions_cholesky_[{k}]"
            raise ValueError(
                f"{which} is not triangular: it must be U with precision = U @ U.T, such as "
                "np.linalg.cholesky(precision). Call fit again (with warm_start=False)."
            )


# Setting them --------------------------------------------------------------------------------------------------------


def mixture_attributes(
    parameters: MixtureParameters | StudentParameters, structure: CovarianceStructure, region: Region | None = None
) -> dict[str, Any]:
    """The fitted attributes that hold the parameters of a mixture without priors, by name.

    `region` is what is known of a background besides its weight.
    """
    if isinstance(parameters, StudentParameters):
        return {
            "weights_": parameters.weights,
            "means_": parameters.means,
            "scales_": parameters.covariances,
            "precisions_cholesky_": parameters.precisions_cholesky,
            "degrees_of_freedom_": parameters.degrees_of_freedom,
        }
    return {
        "weights_": parameters.weights,
        "means_": parameters.means,
        "covariances_": parameters.covariances,
        "precisions_cholesky_": parameters.precisions_cholesky,
        "precisions_": structure.precisions(parameters.precisions_cholesky),
        **noise_attributes(parameters.noise, region),
    }


def set_fitted(
    estimator, attributes: Mapping[str, object], result: EMResult, dtype, n_samples_seen: float, reader=None, **others
) -> None:
    """Set the fitted attributes of an estimator, after a fit, a step of a stream or a search.

    Nothing is set if a value is out of range. All are set at once, so that Ctrl-C leaves the old ones or the new ones.

    Parameters
    ----------
    estimator : MixtureEstimator
    attributes : mapping of str to ndarray, tuple of ndarray or float
        The fitted attributes that hold parameters.
    result : EMResult
        The run of EM that found them.
    dtype : dtype
        That of the data and of the attributes.
    n_samples_seen : float
        Sum of the weights of the rows.
    reader : estimator, default=None
        It has read the number and the names of the features. None: the estimator has them already.
    **others
        Attributes that have other values than after a fit.

    Raises
    ------
    OutOfRangeError
        If the dtype cannot hold a value.
    """
    fitted = {name: value for name, value in NO_NOISE.items() if name in vars(estimator)}
    fitted |= rounded(attributes, dtype)
    fitted |= {
        "converged_": result.converged,
        "n_iter_": len(result.lower_bounds),
        "lower_bound_": result.lower_bound,
        "lower_bounds_": result.lower_bounds,
        "n_samples_seen_": n_samples_seen,
        "_stream": None,
        **others,
    }
    if reader is not None:
        fitted |= {name: getattr(reader, name) for name in FEATURES if hasattr(reader, name)}
    vars(estimator).update(fitted)  # one call, which no interrupt can divide


def rounded(attributes: Mapping[str, object], dtype) -> dict[str, Any]:
    """The fitted attributes, with arrays in the dtype of the data. Raises OutOfRangeError if it cannot hold a value."""
    return {name: _rounded(name, value, dtype) for name, value in attributes.items()}


def _rounded(name: str, value, dtype):
    """One fitted attribute in the given dtype. Values other than arrays and tuples of arrays are returned as given."""
    if isinstance(value, tuple):
        return tuple(_rounded(name, part, dtype) for part in value)
    if not isinstance(value, np.ndarray | np.generic):
        return value
    value = value.astype(dtype, copy=False)
    if not np.isfinite(value).all():
        or_wider = ", or pass float64 data" if dtype == np.float32 else ""
        raise OutOfRangeError(
            f"{name} exceeds the range of {np.dtype(dtype).name}: rescale the features, and sample_weight if it is "
            f"given, to comparable, moderate ranges{or_wider}."
        )
    return value
