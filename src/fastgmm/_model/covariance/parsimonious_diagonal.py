"""Spheres and ellipsoids along the axes that share a volume or a shape: mclust's EII, EEI, VEI and EVI."""

from __future__ import annotations

import numpy as np

from fastgmm._model.covariance.diagonal import OneVariance, VarianceStructure, sample_variances
from fastgmm._model.covariance.parsimonious import Parsimonious, with_previous
from fastgmm._model.covariance.structure import as_variances
from fastgmm._model.covariance.volume_shape import of_equal_shape, of_equal_volume, of_equal_volume_and_shape


class EqualSpheres(Parsimonious, OneVariance):
    """EII: one variance."""

    sklearn_name = "spherical"
    holds_for_parts = True

    def __init__(self):
        super().__init__("EII")

    def covariances(self, statistics, delta, nk, reg_covar, noise, previous=None):
        variances = sample_variances(statistics, delta, nk, 0.0, noise.sum(axis=1, keepdims=True))
        mean = nk @ variances[:, 0] / nk.sum() / delta.shape[1] + reg_covar
        return np.full(len(nk), mean)

    def from_spread(self, spread, weights):
        return np.full(len(weights), np.average(as_variances(spread).mean(axis=1), weights=weights))


class ParsimoniousDiagonal(Parsimonious, VarianceStructure):
    """EEI, VEI and EVI."""

    sklearn_name = "diag"

    def __init__(self, name: str):
        super().__init__(name)
        self.holds_for_parts = name != "EVI"  # volumes of parts differ

    def covariances(self, statistics, delta, nk, reg_covar, noise, previous=None):
        of_rows = sample_variances(statistics, delta, nk, reg_covar, noise)
        if self.name == "EEI":
            return of_equal_volume_and_shape(of_rows, nk)
        of_rows = with_previous(of_rows, statistics, nk, previous)
        if self.name == "VEI":
            return of_equal_shape(of_rows, nk, previous)
        return of_equal_volume(of_rows, nk)
