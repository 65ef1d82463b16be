"""Ellipsoids in any direction that share a volume, a shape or an orientation: seven structures of mclust.

EEV, VEV and EVV: each component has its own axes, the principal axes of its rows. VEE: one matrix, times a volume for
each component. EVE and VVE: one set of axes.
"""

from __future__ import annotations

import math
import sys
from abc import abstractmethod

import numpy as np

from fastgmm._model.covariance.common_axes import common_axes
from fastgmm._model.covariance.matrices import MatrixStructure, regularize
from fastgmm._model.covariance.parsimonious import Parsimonious, with_previous
from fastgmm._model.covariance.volume_shape import (
    TOLERANCE,
    are_positive,
    max_iterations,
    of_equal_shape,
    of_equal_volume,
    of_equal_volume_and_shape,
    to_mean_volume,
)

_LARGEST_LOG = math.log(sys.float_info.max)


class ParsimoniousMatrices(Parsimonious, MatrixStructure):
    """The base: from statistics to covariances of rows. A subclass finds covariances that its structure allows."""

    sklearn_name = "full"

    def covariances(self, statistics, delta, nk, reg_covar, noise, previous=None):
        of_rows = statistics.scatter_about(delta)
        of_rows /= nk[:, np.newaxis, np.newaxis]
        of_rows = with_previous(regularize(of_rows, reg_covar, noise), statistics, nk, previous)
        if not math.isfinite(np.add.reduce(of_rows, axis=None)):
            return of_rows  # an error later
        return self.allowed(of_rows, nk, previous)

    @abstractmethod
    def allowed(self, of_rows: np.ndarray, nk: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
        """The covariances of the M step, from those of the rows of each component and the previous ones."""


class OwnOrientations(ParsimoniousMatrices):
    """EEV, VEV and EVV."""

    def allowed(self, of_rows, nk, previous):
        if self.name == "EVV":
            signs, log_dets = np.linalg.slogdet(of_rows)
            if not are_positive(signs):
                return of_rows
            return of_rows * to_mean_volume(np.exp(log_dets / of_rows.shape[1]), nk)[:, np.newaxis, np.newaxis]
        variances, axes = np.linalg.eigh(of_rows)  # ascending, in each component
        if self.name == "EEV":
            return along(axes, of_equal_volume_and_shape(variances, nk))
        before = None if previous is None else np.linalg.eigvalsh(previous[:1])
        return along(axes, of_equal_shape(variances, nk, before))


class EqualUpToVolume(ParsimoniousMatrices):
    """VEE."""

    holds_for_parts = True

    def allowed(self, of_rows, nk, previous):
        shares, (n, d) = nk / nk.sum(), of_rows.shape[:2]
        entries = of_rows.reshape(n, d * d)
        matrix = (shares @ entries).reshape(d, d) if previous is None else previous[0]
        before = np.inf
        for _ in range(max_iterations(previous)):
            factors, failure = self.factors_of_inverses(matrix[np.newaxis])
            if failure >= 0:
                return of_rows
            log_scale = 2.0 / d * self.log_det(factors, d)[0]  # minus that of the volume
            if log_scale > _LARGEST_LOG:
                return of_rows
            scale = math.exp(log_scale)
            matrix = scale * matrix
            volumes = entries @ self.precisions(factors).ravel() / (scale * d)
            if not are_positive(volumes):
                return of_rows
            log_volume = shares @ np.log(volumes)
            if before - log_volume < 2.0 * TOLERANCE / d:
                break
            before = log_volume
            matrix = ((shares / volumes) @ entries).reshape(d, d)
        return volumes[:, np.newaxis, np.newaxis] * matrix


class EqualOrientations(ParsimoniousMatrices):
    """EVE and VVE."""

    def allowed(self, of_rows, nk, previous):
        # The axes are those of any sum of the previous matrices. Odd factors keep its variances apart.
        factors = 1.0 + np.sqrt(np.arange(2.0, len(nk) + 2.0))
        summands, factors = (of_rows, nk) if previous is None else (previous, factors)
        start = (factors @ summands.reshape(len(nk), -1)).reshape(of_rows.shape[1:])
        axes, variances = common_axes(
            of_rows, nk, np.linalg.eigh(start)[1], self.name == "EVE", max_iterations(previous)
        )
        return along(axes, of_equal_volume(variances, nk) if self.name == "EVE" else variances)


def along(axes: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Matrices (K, d, d) with the given variances (K, d) along axes that are the columns of (K, d, d) or (d, d)."""
    matrices = (axes * variances[:, np.newaxis]) @ axes.swapaxes(-1, -2)
    return 0.5 * (matrices + matrices.swapaxes(-1, -2))
