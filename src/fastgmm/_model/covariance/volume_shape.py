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
MAX_ITERATIONS = 200


def are_positive(values: np.ndarray) -> bool:
    """Whether all are finite and greater than 0."""
    return bool(values.min() > 0.0 and values.max() < math.inf)


def geometric_means(variances: np.ndarray) -> np.ndarray:
    """Of positive numbers along the last axis."""
    return np.exp(np.log(variances).mean(axis=-1))


def of_equal_volume(variances: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """The shapes of the given variances, and one volume: the mean of their geometric means."""
    if not are_positive(variances):
        return variances
    volumes = geometric_means(variances)
    return variances * ((masses @ volumes) / masses.sum() / volumes)[:, np.newaxis]


def of_equal_shape(variances: np.ndarray, masses: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
    """A volume for each component times a shape that all share. Each is found from the other, in turns.

    The sum is convex in the logarithms, so there is one minimum. `previous` are variances to begin from.
    """
    shares = masses / masses.sum()
    shape = shares @ variances if previous is None else previous[0]
    before = np.inf
    for _ in range(MAX_ITERATIONS):
        if not are_positive(shape):
            return variances
        shape = shape / geometric_means(shape)
        volumes = (variances / shape).mean(axis=1)
        if not are_positive(volumes):
            return variances
        log_volume = shares @ np.log(volumes)
        if before - log_volume < 2.0 * TOLERANCE / len(shape):
            break
        before = log_volume
        shape, of_shape = (shares / volumes) @ variances, shape
    else:
        shape = of_shape
    return volumes[:, np.newaxis] * shape


def of_equal_volume_and_shape(variances: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """The mean of the given variances, for each component."""
    return np.tile(masses @ variances / masses.sum(), (len(variances), 1))
