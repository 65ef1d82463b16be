r"""Distribution function and quantiles of a mixture of one feature.

The quantile solves :math:`F(x) = q`, with :math:`F(x) = \sum_k w_k \Phi((x - \mu_k) / \sigma_k)`. It lies between the
least and the largest quantile of a component, and Newton's method finds it, with bisection wherever a step would leave
the bracket or shrinks it too little. Above the median the equation is :math:`1 - F(x) = 1 - q`, whose sides keep their
digits in the upper tail.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, ndtri

_MAX_STEPS = 200  # bisection alone takes fewer than 100, unless means differ by more than 1e10 standard deviations


def distribution(x: np.ndarray, weights: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """The probability of a value up to x, in the shape of x. `deviations` are standard deviations, shape (K,)."""
    total = np.zeros(np.shape(x))
    for weight, mean, deviation in zip(weights, means, deviations, strict=True):
        total += weight * ndtr((x - mean) / deviation)
    return np.minimum(total, 1.0)


def quantile(q: np.ndarray, weights: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """The values below which the shares q, in [0, 1], of the distribution lie, in the shape of q."""
    shares = np.ravel(q).astype(np.float64)
    found = np.where(shares < 0.5, -math.inf, math.inf)
    inside = (shares > 0.0) & (shares < 1.0)
    has_weight = weights > 0.0
    mixture = weights[has_weight] / weights.sum(), means[has_weight], deviations[has_weight]
    for is_upper in (False, True):
        chosen = inside & ((shares > 0.5) == is_upper)
        if chosen.any():
            sign = -1.0 if is_upper else 1.0  # the upper tail is the lower one of the mirrored mixture
            tail = 1.0 - shares[chosen] if is_upper else shares[chosen]
            found[chosen] = sign * _lower_quantile(tail, mixture[0], sign * mixture[1], mixture[2])
    return found.reshape(np.shape(q))


def _lower_quantile(q: np.ndarray, weights: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    of_components = means + deviations * ndtri(q)[:, np.newaxis]
    low, high = of_components.min(axis=1), of_components.max(axis=1)
    x, width = 0.5 * (low + high), high - low
    eps = 2.0 * np.finfo(np.float64).eps
    for _ in range(_MAX_STEPS):
        excess = distribution(x, weights, means, deviations) - q
        low, high = np.where(excess < 0.0, x, low), np.where(excess < 0.0, high, x)
        middle = 0.5 * (low + high)
        with np.errstate(all="ignore"):  # far from all components the density is 0
            scaled = (x[:, np.newaxis] - means) / deviations
            density = np.exp(-0.5 * scaled**2) @ (weights / deviations) / math.sqrt(2.0 * math.pi)
            step = x - excess / density
            is_good = (step > low) & (step < high) & (2.0 * np.abs(step - x) <= width)
        new = np.where(is_good, step, middle)
        width, x = np.abs(new - x), new
        if (width <= eps * np.maximum(np.abs(x), deviations.min())).all():
            break
    return x
