r"""Screens: bounds from projections of the rows to a few directions, by which the kernels leave out pairs.

The head of `_kernels/screen.hpp` says which pairs (row, component) do not count, and how bounds of their distances find
most of them. This file chooses the directions, from the components alone, and makes the bounds safe against rounding.

The directions :math:`P` are Fisher's: the generalized eigenvectors of the covariances between and within components.
Along them the components lie farthest apart compared with their own width. Each component has about unit width in the
coordinates :math:`z = P^T (x - c)`, so float32 suffices for a screen.

Rounding. With :math:`u = 2^{-24}`, a component's projected covariance :math:`S = L L^T`, :math:`U = L^{-T}`, and
:math:`y = U^T (z - z_k)` computed as :math:`\hat y`, in m directions and with coordinates up to Z,

.. math::
    \|\hat y - y\| \le \rho \|y\| + \delta, \qquad
    \rho = (m + 6) u \|L\|_F \|U\|_F, \qquad
    \delta = 2.5 u \sqrt m Z \|U\|_F

from the rounding of sums and products, and of z and :math:`z_k` when they are stored. For any :math:`\theta` in (0, 1)
then

.. math::
    \|y\|^2 \ge \frac{(1 - \theta) \|\hat y\|^2 - \delta^2 / \theta}{(1 + \rho)^2} .

S is enlarged by more than its own rounding. That can only lower the bound, and it keeps :math:`\rho` small.
"""

from __future__ import annotations

import math
from enum import Enum

import numpy as np
import scipy.linalg

from fastgmm._model.components import Components
from fastgmm._model.covariance.factors import factors_of_inverses
from fastgmm._model.covariance.structure import as_matrices, as_variances
from fastgmm._rows.protocol import SkippingPlan
from fastgmm._rows.runner import BLOCK_ROWS
from fastgmm._utils.errors import NoScreenError

S = 256.0  # s of screen.hpp: log q <= log s - 1 + q / s is nearly equal around it
MOST_DIRECTIONS = 64
_THETA = 2.0**-8  # theta in the bound above
_UNIT = 2.0**-24  # unit of rounding in float32
_MOST_BLOCK_ROWS = 2048  # rows of a screened block
_MOST_BLOCK_VALUES = 2**16  # features of all its rows
_MOST_BLOCK_PAIRS = 2**20  # pairs (row, component) of the block


class Goal(Enum):
    """What a pass computes. It decides which pairs count: see the head of `_kernels/screen.hpp`."""

    STATISTICS = "statistics"
    DENSITIES = "densities"
    LABELS = "labels"


class Directions:
    """At most MOST_DIRECTIONS directions along which the components lie farthest apart for their width, best first.

    Screens are exact for any directions, so directions chosen for earlier components can serve later ones.

    Parameters
    ----------
    components : Components
    covariances : ndarray of shape (n_components, n_features, n_features) or (n_components, n_features)
        Covariance of each component; variances if the covariances are diagonal.

    Attributes
    ----------
    center, scale : ndarray of shape (n_features,)
        Mean of the mixture, and the inverse standard deviation of each feature.
    vectors : ndarray of shape (n_features, n_directions)
    largest : float
        Largest absolute entry of the vectors for features in units of their standard deviations.
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
    """The components in the coordinates of some directions, and screens made from them.

    Parameters
    ----------
    components : Components
    covariances : ndarray of shape (n_components, n_features, n_features) or (n_components, n_features)
        As for `Directions`.
    dtype : dtype
        dtype of the rows.
    directions : Directions
    goal : Goal
    n_directions : int, default=None
        Number of directions to use. None: all.
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
        means = np.asarray(components.means, dtype).astype(np.float64)  # rounded as for the kernels
        self.means = (means - self.center) @ self.directions
        projected = _projected(covariances, self.directions)
        # The rounding of entry (a, b) is at most 2 d 2^-53 r_a r_b, and so is that of the factor used for the rows.
        r = np.sqrt(as_variances(covariances)) @ np.abs(self.directions)
        traces = np.trace(projected, axis1=1, axis2=2)
        enlarged = 1e-8 * traces / m + 8.0 * d * 2.0**-53 * np.square(r).sum(axis=1)
        projected[:, np.arange(m), np.arange(m)] += enlarged[:, np.newaxis]
        self.factors, failure = factors_of_inverses(projected)
        if failure >= 0:
            raise NoScreenError("The projected covariances are not positive-definite.")
        self.variances = projected.diagonal(axis1=1, axis2=2)
        farthest = np.abs(self.means).max() + 40.0 * math.sqrt(self.variances.max())
        reach = 0.1 * farthest * 2.0**29 / ((d + 2) * directions.largest)
        self.limits = np.array([reach, farthest])

    def slack(self, m: int) -> tuple[np.ndarray, np.ndarray]:
        """For each component, the factor and the constant of the lower bound factor |y^|^2 - constant of |y|^2.

        ``m`` is the number of directions. Both have shape (n_components,)."""
        size = np.sqrt(np.square(self.factors[:, :m, :m]).sum(axis=(1, 2)))
        rho = (m + 6) * _UNIT * size * np.sqrt(self.variances[:, :m].sum(axis=1))
        delta = 2.5 * _UNIT * math.sqrt(m) * self.limits[1] * size
        least = np.maximum(0.0, 1.0 - self.rounding) ** 2
        return least * (1.0 - _THETA - 2.0**-16) / (1.0 + rho) ** 2, delta * delta / _THETA

    def log_marginals(self, m: int) -> np.ndarray:
        """Log of weight times marginal density at the mean, in the first m directions, up to a common constant."""
        return self.log_weights + np.log(np.diagonal(self.factors, axis1=1, axis2=2)[:, :m]).sum(axis=1)

    def plan(self, n_first: int, n_all: int) -> SkippingPlan:
        """A screen that tests all pairs in the first n_first directions, and the remaining pairs in n_all directions.

        `screened_em_pass` says what its arguments are.
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
    """Number of rows screened together: the rows that remain of a component fill vectors, and the block fits caches."""
    most = min(_MOST_BLOCK_VALUES // n_features, _MOST_BLOCK_PAIRS // n_components, _MOST_BLOCK_ROWS)
    return max(most // BLOCK_ROWS, 1) * BLOCK_ROWS


def _projected(covariances: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Covariances of the coordinates, shape (n_components, n_directions, n_directions)."""
    if covariances.ndim == 2:
        return (directions.T * covariances[:, np.newaxis]) @ directions
    return directions.T @ (covariances @ directions)


def rounding_of_distances(components: Components, covariances: np.ndarray, dtype) -> np.ndarray:
    """Bound of the relative error of the norms |U^T (x - mean)| of a dense pass, for each component.

    With x - mean = L y, the error of y, sums of d products, is at most (d + 2) units of rounding times |U^T| |L| |y|.
    The norm of |U^T| |L| is at most (d sum_j C_jj P_jj)^(1/2) with P = C^-1, for features in any units. Covariances
    computed from factors add as much again, in float64.
    """
    d = components.means.shape[1]
    squares = np.square(components.factors)
    precisions = squares[:, 0] if covariances.ndim == 2 else squares.sum(axis=2)
    units = (2 * d + 6) * (np.finfo(dtype).eps / 2 + 2.0**-52)
    return units * np.sqrt(d * (as_variances(covariances) * precisions).sum(axis=1))
