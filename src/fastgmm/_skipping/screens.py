r"""Screens: bounds from a few projections of the rows, by which `_kernels/screen.pxi` leaves out pairs.

The head of that file says which pairs do not count, and why bounds of their distances in a few directions find most of
them. Here the directions are chosen, from the components alone, and the bounds are made safe against rounding.

Directions :math:`P` are those in which the components lie farthest apart compared with their own width (Fisher's): the
generalized eigenvectors of the covariances between and within components. The coordinates :math:`z = P^T (x - c)` then
have about unit width in each component, so that float32 can hold a screen.

Rounding. With :math:`u = 2^{-24}`, a component's projected covariance :math:`S = L L^T`, :math:`U = L^{-T}`, and
:math:`y = U^T (z - z_k)` computed as :math:`\hat y`, in m directions and with coordinates up to Z,

.. math::
    \|\hat y - y\| \le \rho \|y\| + \delta, \qquad
    \rho = (m + 6) u \|L\|_F \|U\|_F, \qquad
    \delta = 2.5 u \sqrt m Z \|U\|_F

(the sums and products, and what z and :math:`z_k` lost when they were stored), so that for any :math:`\theta` in (0, 1)

.. math::
    \|y\|^2 \ge \frac{(1 - \theta) \|\hat y\|^2 - \delta^2 / \theta}{(1 + \rho)^2} .

S is enlarged by more than its own rounding, which can only lower the bound, and keeps :math:`\rho` small.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg

from fastgmm._model.components import Components
from fastgmm._model.covariance.matrices import transposed_inverses
from fastgmm._model.covariance.structure import as_matrices, as_variances
from fastgmm._rows.protocol import SkippingPlan
from fastgmm._rows.runner import BLOCK_ROWS
from fastgmm._skipping.goal import Goal
from fastgmm._utils.errors import NoScreenError

S = 256.0  # s of screen.pxi: log q <= log s - 1 + q / s is nearly equal around it
_THETA = 2.0**-8  # of the bound above
_UNIT = 2.0**-24  # of rounding in float32
MOST_DIRECTIONS = 64
_MOST_ROWS = 2048  # of a screened block
_BLOCK_NUMBERS = 2**16  # of its rows' features, at most
_BLOCK_PAIRS = 2**20  # of its rows and the components, at most


class Directions:
    """Directions in which the components lie farthest apart for their width, at most MOST_DIRECTIONS, the best first.

    Screens are right for any directions: those of earlier components will do.

    Parameters
    ----------
    components : Components
    covariances : ndarray of shape (n_components, n_features, n_features) or (n_components, n_features)
        Of each component; variances where they are diagonal.

    Attributes
    ----------
    center, scale : ndarray of shape (n_features,)
        The mean of all rows, and the inverses of their standard deviations.
    vectors : ndarray of shape (n_features, n_directions)
    largest : float
        Largest size of an entry, the features taken in units of their standard deviations.
    """

    def __init__(self, components: Components, covariances: np.ndarray):
        d = components.means.shape[1]
        log_weights = components.log_weights
        assert log_weights is not None
        weights = np.exp(log_weights - log_weights.max())
        weights /= weights.sum()
        within = as_matrices(np.tensordot(weights, covariances, axes=1)[np.newaxis])[0]
        self.center = weights @ components.means
        differences = components.means - self.center
        between = (weights[:, np.newaxis] * differences).T @ differences
        deviations = np.sqrt(np.diagonal(within) + np.diagonal(between))
        self.scale = 1.0 / deviations
        units = np.outer(deviations, deviations)
        first = max(0, d - MOST_DIRECTIONS)
        between, within = between / units, within / units + 1e-6 * np.eye(d)
        if not (np.isfinite(between).all() and np.isfinite(within).all()):
            raise NoScreenError("The covariances between and within components are not finite.")
        _, vectors = scipy.linalg.eigh(between, within, subset_by_index=(first, d - 1), check_finite=False)
        self.largest = float(np.abs(vectors).max())
        self.vectors = vectors[:, ::-1] * self.scale[:, np.newaxis]


class Projections:
    """The components in the coordinates of some directions, and the screens that these give.

    Parameters
    ----------
    components : Components
    covariances : ndarray of shape (n_components, n_features, n_features) or (n_components, n_features)
        As for `Directions`.
    dtype : dtype
        Of the rows.
    directions : Directions
    goal : Goal
    n_directions : int, default=None
        How many of the directions; None: all.
    """

    def __init__(
        self,
        components: Components,
        covariances: np.ndarray,
        dtype,
        directions: Directions,
        goal: Goal,
        n_directions: int | None = None,
    ):
        d = components.means.shape[1]
        self.goal, self.dtype = goal, np.dtype(dtype)
        self.rounding: np.ndarray | float = 0.0
        if goal is not Goal.STATISTICS:
            self.rounding = rounding_of_distances(components, covariances, dtype)
        self.center, self.scale = directions.center, directions.scale
        self.directions = np.ascontiguousarray(directions.vectors[:, :n_directions])
        m = self.n_directions = self.directions.shape[1]
        assert components.log_weights is not None
        self.log_weights = components.log_weights
        with np.errstate(invalid="ignore"):  # -inf + inf where the weight is 0
            self.log_densities = components.log_const - self.log_weights
        means = np.asarray(components.means, dtype).astype(np.float64)  # as the kernels see them
        self.means = (means - self.center) @ self.directions
        projected = _projected(covariances, self.directions)
        # Rounding of an entry (a, b) is at most 2 d 2^-53 r_a r_b, and that of the factor which the rows see no more.
        r = np.sqrt(as_variances(covariances)) @ np.abs(self.directions)
        traces = np.trace(projected, axis1=1, axis2=2)
        enlarged = 1e-8 * traces / m + 8.0 * d * 2.0**-53 * np.square(r).sum(axis=1)
        projected[:, np.arange(m), np.arange(m)] += enlarged[:, np.newaxis]
        self.triangles = np.linalg.cholesky(projected)
        self.factors = transposed_inverses(self.triangles)
        farthest = np.abs(self.means).max() + 40.0 * math.sqrt(np.square(self.triangles).sum(axis=2).max())
        reach = 0.1 * farthest * 2.0**29 / ((d + 2) * directions.largest)
        self.limits = np.array([reach, farthest])

    def slack(self, m: int) -> tuple[np.ndarray, np.ndarray]:
        """Factor and, for each component, constant with which factor |y^|^2 - constant is a lower bound of |y|^2."""
        size = np.sqrt(np.square(self.factors[:, :m, :m]).sum(axis=(1, 2)))
        rho = (m + 6) * _UNIT * size * np.sqrt(np.square(self.triangles[:, :m, :m]).sum(axis=(1, 2)))
        delta = 2.5 * _UNIT * math.sqrt(m) * self.limits[1] * size
        least = np.maximum(0.0, 1.0 - self.rounding) ** 2
        return least * (1.0 - _THETA - 2.0**-16) / (1.0 + rho) ** 2, delta * delta / _THETA

    def log_marginals(self, m: int) -> np.ndarray:
        """Logarithms of weight and density in the first m directions for q = 0, but for a common constant."""
        return self.log_weights + np.log(np.diagonal(self.factors, axis1=1, axis2=2)[:, :m]).sum(axis=1)

    def plan(self, n_first: int, n_all: int) -> SkippingPlan:
        """A screen that tries n_first directions for all pairs, and n_all for those that are left.

        Its arguments, with n_features and n_all rounded up to a multiple of 8 as d8 and m8:

        center : (n_features,), scale : (d8,), zero at the end
            Of the coordinates.
        limits : (2,)
            What the sum of |x - center| * scale and the coordinates may be at most, for the roundings to be bounded.
        directions : (n_features, m8)
        means : (n_components, n_all), float32
            In the coordinates.
        first_factors, all_factors : (n_components, n_first, n_first), (n_components, n_all, n_all), float32
        constants : (6, n_components)
            As `screen.pxi` names them.
        cut, slope : float
        block : int
            Rows screened together.
        """
        cut = -math.log(np.finfo(self.dtype).eps)
        slope, log_distance = 1.0, 0.0  # log q <= log_distance + (1 - slope) q / 2
        bounded = self.log_densities
        if self.goal is Goal.STATISTICS:
            slope, log_distance = 1.0 - 2.0 / S, math.log(S) - 1.0
        elif self.goal is Goal.LABELS:
            cut, bounded = 0.0, self.log_densities + self.log_weights
        sizes = np.abs(self.log_densities) + np.abs(bounded - self.log_densities)
        K, d = len(self.means), len(self.center)
        constants = np.empty((6, K))
        for row, m in ((0, n_first), (2, n_all)):
            factor, constant = self.slack(m)
            constants[row] = bounded + log_distance + 0.5 * slope * constant + 2.0**-21 * sizes
            constants[row + 1] = 0.5 * slope * factor
        constants[4] = self.log_marginals(n_first) - constants[0]
        constants[5] = self.log_densities * (1.0 - slope) + log_distance - slope * self.log_weights + cut
        for row in (0, 2, 4, 5):
            constants[row, self.log_weights == -math.inf] = -math.inf  # takes no rows
        width = -(-n_all // 8) * 8
        directions = np.zeros((d, width))
        directions[:, :n_all] = self.directions[:, :n_all]
        block = rows_of_block(K, d)
        arguments = (
            self.center, np.append(self.scale, np.zeros(-d % 8)), self.limits, directions,
            np.ascontiguousarray(self.means[:, :n_all], np.float32),
            np.ascontiguousarray(self.factors[:, :n_first, :n_first], np.float32),
            np.ascontiguousarray(self.factors[:, :n_all, :n_all], np.float32),
            constants, cut, slope, block,
        )  # fmt: skip
        return SkippingPlan("screened", arguments, (d, block, K, n_first, n_all, width), self.dtype)


def rows_of_block(n_components: int, n_features: int) -> int:
    """Rows screened together: enough that the few left of a component fill vectors, within caches."""
    most = min(_BLOCK_NUMBERS // n_features, _BLOCK_PAIRS // n_components, _MOST_ROWS)
    return max(most // BLOCK_ROWS, 1) * BLOCK_ROWS


def _projected(covariances: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Covariances of the coordinates, shape (n_components, n_directions, n_directions)."""
    if covariances.ndim == 2:
        return (directions.T * covariances[:, np.newaxis]) @ directions
    return directions.T @ (covariances @ directions)


def rounding_of_distances(components: Components, covariances: np.ndarray, dtype) -> np.ndarray:
    """At most how far the norms |U^T (x - mean)| that a dense pass finds are off, relatively, for each component.

    With x - mean = L y, the error of y, sums of d products, is at most (d + 2) units of rounding times |U^T| |L| |y|,
    and the norm of |U^T| |L| no more than (d sum_j C_jj P_jj)^(1/2), P = C^-1, in whatever units features are;
    covariances from factors bring in as much again in float64.
    """
    d = components.means.shape[1]
    squares = np.square(components.factors)
    precisions = squares[:, 0] if covariances.ndim == 2 else squares.sum(axis=2)
    units = (2 * d + 6) * (np.finfo(dtype).eps / 2 + 2.0**-52)
    return units * np.sqrt(d * (as_variances(covariances) * precisions).sum(axis=1))
