"""Checks of initial values and priors. Their shapes depend on the data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.utils.validation import check_array

from fastgmm._estimator.parameters import FIXABLE, fixed_names, invalid_parameter_error
from fastgmm._input.containers import FLOAT_DTYPES
from fastgmm._input.numbers import Source, check_numbers, located
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._start.given import check_start
from fastgmm._utils.annotations import InitParams


def start_of_rows(
    init_params: InitParams, n_components: int, n_rows: int, sample_weight: np.ndarray | None, with_noise: bool
) -> InitParams:
    """`init_params`, as an ndarray for the rows of positive weight if it is an array, which is checked."""
    if not is_array_of_rows(init_params):
        return init_params
    given = check_start(init_params, "init_params", n_rows, n_components, with_noise)
    return given if sample_weight is None else given[sample_weight > 0.0]


def is_array_of_rows(init_params: InitParams) -> bool:
    """Whether `init_params` has a label, or responsibilities, for each row."""
    return not isinstance(init_params, str) and not callable(init_params)


def check_start_needs_no_rows(init_params: InitParams) -> None:
    """Raise ValueError if `init_params` is an array, but the start is found on a sample of the rows."""
    if is_array_of_rows(init_params):
        raise ValueError(
            "init_params is an array, with an entry for each row of X in memory, but these rows are read in parts, and "
            "the start is found on a sample: pass a function, which is called with the sample."
        )


def check_fixed(fixed, given: Mapping[str, object]) -> frozenset[str]:
    """Names of the fixed parameters. Raises ValueError if one of them has no initial value in `given`."""
    names = fixed_names(fixed)
    for name in FIXABLE:
        initial = "precisions_init" if name == "covariances" else f"{name}_init"
        if name in names and given[initial] is None:
            raise ValueError(
                f"fixed={fixed!r} holds the {name} at {initial}, but {initial} is None: pass {initial}, or leave "
                f"{name!r} out of fixed."
            )
    return names


def check_weights_init(weights_init, n_components: int, with_noise: bool = False) -> np.ndarray | None:
    """Initial weights as float64. They must sum to 1, or with a background to less."""
    if weights_init is None:
        return None
    weights = _check_shape(weights_init, "weights_init", (n_components,), "weights")
    if weights.min() < 0.0 or weights.max() > 1.0:
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got min value "
            f"{weights.min():.5f}, max value {weights.max():.5f}: pass positive weights_init, divided by their sum."
        )
    total = weights.sum(dtype=np.float64)
    if with_noise:
        if not total < 1.0:
            raise ValueError(
                f"The parameter 'weights' should sum to less than 1 with noise, but got sum(weights) = {total:.9g}: "
                "the rest is the weight of the background. Make weights_init smaller."
            )
        return weights.astype(np.float64)
    if abs(total - 1.0) > (1e-6 if weights.dtype == np.float32 else 1e-8):
        raise ValueError(
            f"The parameter 'weights' should be normalized, but got sum(weights) = {total:.5f}: divide weights_init by "
            f"its sum, {total:.9g}."
        )
    return weights.astype(np.float64)


def check_means(means, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Initial means, or a prior mean, as float64."""
    return None if means is None else _check_shape(means, name, shape, "means").astype(np.float64)


def check_precisions_init(
    precisions_init, structure: CovarianceStructure, n_components: int, n_features: int
) -> np.ndarray | None:
    """Initial precisions as float64, in the shape of the structure. They must be positive or positive-definite."""
    if precisions_init is None:
        return None
    shape = structure.shape(n_components, n_features)
    precisions = _check_shape(precisions_init, "precisions_init", shape, f"{structure.name} precision")
    return _check_positive(precisions, "precisions_init", structure, "inverses of covariances")


def check_degrees_of_freedom_prior(degrees_of_freedom_prior, n_features: int) -> float:
    """Degrees of freedom, n_features by default. A Wishart density needs more than n_features - 1."""
    if degrees_of_freedom_prior is None:
        return n_features
    if not degrees_of_freedom_prior > n_features - 1:
        raise ValueError(
            f"The parameter 'degrees_of_freedom_prior' should be greater than {n_features - 1}, but got "
            f"{degrees_of_freedom_prior:.3f}: it must exceed the number of features minus 1; pass None for that number."
        )
    return degrees_of_freedom_prior


def check_covariance_prior(covariance_prior, structure: CovarianceStructure, n_features: int) -> np.ndarray | None:
    """Prior covariance as float64, in the shape of one component. It must be positive or positive-definite."""
    if covariance_prior is None:
        return None
    shape = structure.shape_of_one(n_features)
    if np.ndim(covariance_prior) == 0 and shape:
        raise invalid_parameter_error()(
            f"The 'covariance_prior' parameter must be an array-like of shape {shape} for "
            f"covariance_type={structure.name!r}. Got {covariance_prior!r} instead. Pass a covariance, or None for "
            "that of X."
        )
    prior = _check_shape(covariance_prior, "covariance_prior", shape, f"{structure.name} covariance_prior")
    return _check_positive(prior, "covariance_prior", structure, "a covariance, or None for that of X")


def check_weight_for_covariance_prior(total_weight: float) -> None:
    """Raise ValueError if the weights are too small for the default prior, an unbiased covariance of X."""
    if not total_weight > 1.0:
        raise ValueError(
            f"The sum of sample_weight is {total_weight}, but the covariance of X, which is the default of "
            "covariance_prior, needs more than 1: weights count rows. Scale them up, or pass covariance_prior."
        )


def _check_shape(value, name: str, shape: tuple[int, ...], sklearn_name: str) -> np.ndarray:
    """Finite numbers of the given shape, as float64 or float32. scikit-learn's message has its own name for them."""
    source = Source(name)
    value = check_numbers(value, source)
    remedy = f"{name} must be finite numbers of shape {shape}."
    try:
        array = check_array(value, dtype=FLOAT_DTYPES, ensure_2d=False, allow_nd=len(shape) > 2, ensure_min_samples=0)
    except ValueError as error:
        if (with_place := located(error, value, source, FLOAT_DTYPES, remedy)) is not error:
            raise with_place from None
        raise ValueError(f"{str(error).rstrip('.')}: {remedy}") from error
    if array.shape != shape:
        raise ValueError(
            f"The parameter {sklearn_name!r} should have the shape of {shape}, but got {array.shape}: the shape of "
            f"{name} follows from n_components, the features of X and covariance_type."
        )
    return array


def _check_positive(array: np.ndarray, name: str, structure: CovarianceStructure, remedy: str) -> np.ndarray:
    """The array as float64. Raises ValueError unless matrices are positive-definite, or variances positive."""
    array = array.astype(np.float64)
    if structure.kernel == "full":
        for k, matrix in enumerate(array.reshape(-1, *array.shape[-2:])):
            if not _is_positive_definite(matrix):
                which = name if array.ndim == 2 else f"matrix {k} of {name}"
                raise ValueError(
                    f"'{structure.name} precision' should be symmetric, positive-definite, but {which} is not: "
                    f"pass {remedy}."
                )
    elif not (array > 0.0).all():
        raise ValueError(
            f"'{structure.name} precision' should be positive, but the least value of {name} is {array.min()}: "
            f"pass {remedy}."
        )
    return array


def _is_positive_definite(matrix: np.ndarray) -> bool:
    """Whether a matrix is symmetric, relative to its diagonal, and positive-definite. Features may have any scale."""
    scales = np.sqrt(np.maximum(np.diagonal(matrix), 0.0))
    if (np.abs(matrix - matrix.T) > 1e-8 + 1e-5 * np.outer(scales, scales)).any():
        return False
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True
