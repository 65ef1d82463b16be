r"""Variances along the axes of the components, with equal volumes or equal shapes.

With variances :math:`v_{kj}` of the rows along axis j of component k, and masses :math:`n_k`, the functions minimize

.. math::
    \sum_k n_k \sum_j \big( \log u_{kj} + v_{kj} / u_{kj} \big)

over variances :math:`u_{kj}`. If variances that are not positive leave no minimum, they return the given variances,
whose factors are an error.
"""

from __future__ import annotations

import math

import numpy as np

TOLERANCE = 1e-9  # an M step that iterates ends when an iteration gains less log-likelihood per row, in nats
_MAX_ITERATIONS = 200  # of an M step at a start
_MAX_FURTHER = 2  # of one from previous covariances: EM goes on from there, and each iteration raises its bound


def max_iterations(previous: np.ndarray | None) -> int:
    """The largest number of iterations of an M step, given the covariances that it begins from, None at a start."""
    return _MAX_ITERATIONS if previous is None else _MAX_FURTHER


def are_positive(values: np.ndarray) -> bool:
    """Whether all are finite and greater than 0."""
    least, largest = np.minimum.reduce(values, axis=None), np.maximum.reduce(values, axis=None)  # faster than methods
    return bool(least > 0.0 and largest < math.inf)


def geometric_means(variances: np.ndarray) -> np.ndarray:
    """Of positive numbers along the last axis."""
    return np.exp(np.add.reduce(np.log(variances), axis=-1) / variances.shape[-1])


def of_equal_volume(variances: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """The shapes of the given variances, and one volume: the mean of their geometric means."""
    if not are_positive(variances):
        return variances
    return variances * to_mean_volume(geometric_means(variances), masses)[:, np.newaxis]


def to_mean_volume(volumes: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """The factors that make the volumes of all components their mean."""
    return (masses @ volumes) / masses.sum() / volumes


def of_equal_shape(variances: np.ndarray, masses: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
    """A volume for each component times a shape that all share. Each is found from the other, in turns.

    The sum is convex in the logarithms, so there is one minimum. `previous` are variances to begin from.
    """
    shares, d = masses / masses.sum(), variances.shape[1]
    shape = shares @ variances if previous is None else previous[0]
    before = np.inf
    for _ in range(max_iterations(previous)):
        if not are_positive(shape):
            return variances
        shape = shape / geometric_means(shape)
        volumes = np.add.reduce(variances / shape, axis=1) / d
        if not are_positive(volumes):
            return variances
        log_volume = shares @ np.log(volumes)
        if before - log_volume < 2.0 * TOLERANCE / d:
            break
        before = log_volume
        shape, of_shape = (shares / volumes) @ variances, shape
    else:
        shape = of_shape
    return volumes[:, np.newaxis] * shape


def of_equal_volume_and_shape(variances: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """The mean of the given variances, for each component."""
    return np.tile(masses @ variances / masses.sum(), (len(variances), 1))
