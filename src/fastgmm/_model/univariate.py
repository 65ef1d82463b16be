r"""Distribution function and quantiles of a mixture of one feature.

The quantile solves :math:`F(x) = q`, with :math:`F(x) = \sum_k w_k \Phi((x - \mu_k) / \sigma_k)`, or with the
distribution function of t in place of :math:`\Phi`. Newton's method finds it within a bracket, which for Gaussians lies
between the least and the largest quantile of a component. Bisection takes over wherever a step would leave the bracket
or shrinks it too little. Above the median the equation is :math:`1 - F(x) = 1 - q`, whose sides keep their digits in
the upper tail.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, ndtr, ndtri, stdtr, stdtrit

_MAX_STEPS = 2200  # bisection of all that float64 holds; alone it takes fewer than 100 between means that are near
_FARTHEST = 1e150  # quantile of a t distribution, in scales; SciPy squares it


class Univariate(NamedTuple):
    """A mixture of one feature. All arrays have the shape (K,).

    Attributes
    ----------
    weights, means, deviations : ndarray
        Standard deviations, or scales of t distributions.
    degrees_of_freedom : ndarray, or None
        Of t distributions; None for Gaussians.
    """

    weights: np.ndarray
    means: np.ndarray
    deviations: np.ndarray
    degrees_of_freedom: np.ndarray | None = None

    def bracket(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values below and above the quantiles of shares up to 1/2, and values that are near them."""
        if self.degrees_of_freedom is None:
            of_components = self.means + self.deviations * ndtri(q)[:, np.newaxis]
            low, high = of_components.min(axis=1), of_components.max(axis=1)
            return low, high, 0.5 * (low + high)
        # SciPy's quantiles of shares below 1e-50 are far off or infinite.
        near = np.nan_to_num(stdtrit(self.degrees_of_freedom, q[:, np.newaxis]), posinf=0.0, neginf=0.0)
        near = self.means + self.deviations * np.clip(near, -_FARTHEST, 0.0)
        low, high = self.means.min() - _FARTHEST * self.deviations.max(), self.means.max()
        return np.full(len(q), low), np.full(len(q), high), 0.5 * (near.min(axis=1) + near.max(axis=1))

    def density(self, x: np.ndarray) -> np.ndarray:
        """Density, shape (len(x),)."""
        z, nu = (x[:, np.newaxis] - self.means) / self.deviations, self.degrees_of_freedom
        if nu is None:
            return np.exp(-0.5 * z**2) @ (self.weights / self.deviations) / math.sqrt(2.0 * math.pi)
        constants = np.exp(gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * nu)) / np.sqrt(math.pi * nu)
        return np.exp(-0.5 * (nu + 1.0) * np.log1p(z * z / nu)) @ (self.weights * constants / self.deviations)


def distribution(x: np.ndarray, mixture: Univariate) -> np.ndarray:
    """The probability of a value up to x, in the shape of x."""
    total, nu = np.zeros(np.shape(x)), mixture.degrees_of_freedom
    for k, (weight, mean, deviation) in enumerate(zip(*mixture[:3], strict=True)):
        z = (x - mean) / deviation
        total += weight * (ndtr(z) if nu is None else stdtr(nu[k], z))
    return np.minimum(total, 1.0)


def quantile(q: np.ndarray, mixture: Univariate) -> np.ndarray:
    """The values below which the shares q, in [0, 1], of the distribution lie, in the shape of q."""
    shares = np.ravel(q).astype(np.float64)
    found = np.where(shares < 0.5, -math.inf, math.inf)
    inside = (shares > 0.0) & (shares < 1.0)
    has_weight = mixture.weights > 0.0
    nu = None if mixture.degrees_of_freedom is None else mixture.degrees_of_freedom[has_weight]
    means = mixture.means[has_weight]
    shared = mixture.weights[has_weight] / mixture.weights.sum(), mixture.deviations[has_weight], nu
    for is_upper in (False, True):
        chosen = inside & ((shares > 0.5) == is_upper)
        if chosen.any():
            sign = -1.0 if is_upper else 1.0  # the upper tail is the lower one of the mirrored mixture
            tail = 1.0 - shares[chosen] if is_upper else shares[chosen]
            mirrored = Univariate(shared[0], sign * means, *shared[1:])
            found[chosen] = sign * _lower_quantile(tail, mirrored)
    return found.reshape(np.shape(q))


def _lower_quantile(q: np.ndarray, mixture: Univariate) -> np.ndarray:
    low, high, x = mixture.bracket(q)
    width = high - low
    eps = 2.0 * np.finfo(np.float64).eps
    for _ in range(_MAX_STEPS):
        excess = distribution(x, mixture) - q
        low, high = np.where(excess < 0.0, x, low), np.where(excess < 0.0, high, x)
        middle = 0.5 * (low + high)
        with np.errstate(all="ignore"):  # far from all components the density is 0
            step = x - excess / mixture.density(x)
            is_good = (step > low) & (step < high) & (2.0 * np.abs(step - x) <= width)
        new = np.where(is_good, step, middle)
        width, x = np.abs(new - x), new
        if (width <= eps * np.maximum(np.abs(x), mixture.deviations.min())).all():
            break
    return x
