"""Random rows from a fitted mixture, drawn with the same random numbers as in scikit-learn."""

from __future__ import annotations

import sys
from numbers import Integral, Real

import numpy as np

from fastgmm._estimator.fitted import check_fitted_array, fitted_factors
from fastgmm._estimator.noise import fitted_noise
from fastgmm._estimator.parameters import RANDOM_STATE, invalid_parameter_error, is_random_state
from fastgmm._model.covariance import structure_of_type

_SMALL_VARIANCE = 1e-4  # rounding to float32 changes variances below this fraction of the largest one noticeably


def check_n_draws(n_samples) -> int:
    """The number of rows to draw, as an int. Raises TypeError or ValueError unless it is a positive integer."""
    if isinstance(n_samples, np.ndarray) and n_samples.ndim == 0:
        n_samples = n_samples.item()
    is_integer = isinstance(n_samples, Integral) or (isinstance(n_samples, Real) and float(n_samples).is_integer())
    if not is_integer:
        raise TypeError(f"n_samples must be an int >= 1, got {n_samples!r}: pass how many rows to draw.")
    if n_samples < 1:
        raise ValueError(
            f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample: pass how many "
            "rows to draw."
        )
    if n_samples > sys.maxsize:
        raise ValueError(f"n_samples is {n_samples}: no array has so many rows. Draw fewer at a time.")
    return int(n_samples)


def check_random_state_of_sample(estimator, random_state) -> None:
    """Raise scikit-learn's InvalidParameterError unless `random_state` is valid."""
    if not is_random_state(random_state):
        raise invalid_parameter_error()(
            f"The 'random_state' parameter of {type(estimator).__name__}.sample must be {RANDOM_STATE}. "
            f"Got {random_state!r} instead. Pass an int for repeatable rows, or None for the estimator's random_state."
        )


def draw_rows(mixture, n_samples: int, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Random rows, shape (n_samples, n_features), float64, sorted by component, and the component of each."""
    n_components, n_features = np.shape(mixture.means_)
    means = check_fitted_array(mixture, "means_", (n_components, n_features))
    structure = structure_of_type(mixture.covariance_type)
    spread = structure.spread(fitted_covariances(mixture, n_components, n_features), n_components, n_features)
    labels, weights, noise = np.arange(n_components), fitted_weights(mixture, n_components), fitted_noise(mixture)
    if noise is not None:
        box = _box(mixture, n_features)
        labels, weights = np.append(labels, -1), np.append(weights * (1.0 - noise.weight), noise.weight)
    counts = random.multinomial(n_samples, weights)
    parts = [_of_component(random, means[k], spread[k], counts[k]) for k in np.flatnonzero(counts[:n_components])]
    if noise is not None:
        parts.append(box[0] + random.uniform(size=(counts[-1], n_features)) @ box[1:])
    return np.concatenate(parts), np.repeat(labels, counts)


def _box(mixture, n_features: int) -> np.ndarray:
    """The box of the background. Raises ValueError if it is not known."""
    if mixture.noise_box_ is None:
        raise ValueError(
            f"sample() needs the region of the background, but noise={mixture.noise!r} gives its volume only: fit with "
            "noise=True, which finds a box."
        )
    return check_fitted_array(mixture, "noise_box_", (n_features + 1, n_features))


def fitted_weights(mixture, n_components: int) -> np.ndarray:
    """Weights, divided by their sum if that is not 1, because of rounding to float32 or of a background."""
    weights = check_fitted_array(mixture, "weights_", (n_components,))
    total = weights.sum()
    return weights if abs(total - 1.0) < 1e-12 else weights / total


def fitted_covariances(mixture, n_components: int, n_features: int) -> np.ndarray:
    """`covariances_` as they are, which gives the same draws as scikit-learn.

    They are computed from `precisions_cholesky_` if they are missing, or if rounding to float32 may have made one
    indefinite.
    """
    structure = structure_of_type(mixture.covariance_type)
    shape = structure.shape(n_components, n_features)
    if hasattr(mixture, "covariances_"):
        covariances = check_fitted_array(mixture, "covariances_", shape)
        as_they_are = np.asarray(mixture.covariances_)
        is_rounded = as_they_are.dtype == np.float32 and hasattr(mixture, "precisions_cholesky_")
        if not is_rounded or structure.kernel == "diag" or not _has_small_variances(covariances):
            return as_they_are
    return structure.covariances_from_cholesky(fitted_factors(mixture, shape))


def _has_small_variances(matrices: np.ndarray) -> bool:
    """Whether a matrix has an eigenvalue that is small compared with its largest one."""
    variances = np.linalg.eigvalsh(matrices)
    return bool((variances[..., 0] < _SMALL_VARIANCE * variances[..., -1]).any())


def _of_component(random, mean: np.ndarray, covariance: np.ndarray, n_samples: int) -> np.ndarray:
    """Rows of one component. The covariance is a matrix, or a vector of variances."""
    if covariance.ndim == 1:
        return mean + random.standard_normal((n_samples, len(mean))) * np.sqrt(covariance)
    return random.multivariate_normal(mean, covariance, n_samples, check_valid="ignore")
