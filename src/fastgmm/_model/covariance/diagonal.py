"""Structures of variances: 'diag', one for each component and feature, and 'spherical', one for each component."""

from __future__ import annotations

import numpy as np

from fastgmm._model.covariance.structure import (
    ConjugatePrior,
    CovarianceStructure,
    FisherInformation,
    InverseMStep,
    any_of,
    as_variances,
    inverse_deviations,
)
from fastgmm._model.statistics import SufficientStatistics


class VarianceStructure(CovarianceStructure):
    """Variances, for each component or shared. A subclass adds the M step and the number of parameters."""

    kernel = "diag"
    shape_in_words = "ellipsoid along the axes"

    def shape_of_one(self, n_features):
        return (n_features,)

    def variances(self, covariances):
        return covariances

    def factors_of_inverses(self, stack, n_threads=1):
        return inverse_deviations(stack)

    def precisions_cholesky_from_precisions(self, precisions):
        if not (precisions > 0.0).all():
            raise np.linalg.LinAlgError("not positive")
        return np.sqrt(precisions)

    def covariances_from_cholesky(self, precisions_cholesky):
        with np.errstate(over="ignore"):  # of variances below 1e-308, which become 0
            return 1.0 / precisions_cholesky**2

    def precisions(self, precisions_cholesky):
        return precisions_cholesky**2

    def log_det(self, precisions_cholesky, n_features):
        return np.log(precisions_cholesky).sum(axis=-1)

    def kernel_factors(self, precisions_cholesky, n_components, n_features):
        return self.spread(precisions_cholesky, n_components, n_features)[:, np.newaxis]


class OneVariance(VarianceStructure):
    """The algebra of structures with one variance for each component: the mean over the features."""

    shape_in_words = "sphere"

    def shape_of_one(self, n_features):
        return ()

    def scatter_shape(self, n_components, n_features):
        return (n_components, 1)

    def averaged(self, squares, nk):
        return squares.mean(axis=1)

    def log_det(self, precisions_cholesky, n_features):
        return n_features * np.log(precisions_cholesky)

    def spread(self, covariances, n_components, n_features):
        return np.repeat(covariances[:, np.newaxis], n_features, axis=1)


def sample_variances(
    statistics: SufficientStatistics, delta: np.ndarray, nk: np.ndarray, reg_covar: float, noise: np.ndarray
) -> np.ndarray:
    """The variances of the rows of each component, in the shape of the scatter, plus `reg_covar`."""
    variances = statistics.scatter_about(delta) / nk[:, np.newaxis]
    is_noise = variances <= noise
    if any_of(is_noise):
        variances[is_noise & np.isfinite(variances)] = 0.0
    variances += reg_covar
    return variances


class Diagonal(VarianceStructure, ConjugatePrior, FisherInformation, InverseMStep):
    name = sklearn_name = "diag"
    holds_for_parts = True
    mclust_name = "VVI"

    def covariances(self, statistics, delta, nk, reg_covar, noise, previous=None):
        return sample_variances(statistics, delta, nk, reg_covar, noise)

    def from_spread(self, spread, weights):
        return as_variances(spread).copy()

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def outer_products(self, weights, differences):
        return weights[:, np.newaxis] * (differences * differences)

    def scatter(self, sums, nk, reg_covar, n_features):
        return sums - reg_covar * nk[:, np.newaxis]

    def times(self, rows, covariances):
        return rows * covariances

    def congruent(self, matrices, covariances):
        return covariances * matrices * covariances

    def exceed(self, covariances, floor):
        return bool(covariances.min() > floor)


class Spherical(OneVariance, Diagonal):
    name = sklearn_name = "spherical"
    mclust_name = "VII"

    def covariances(self, statistics, delta, nk, reg_covar, noise, previous=None):
        sums = super().covariances(statistics, delta, nk, 0.0, noise.sum(axis=1, keepdims=True))
        return sums[:, 0] / delta.shape[1] + reg_covar

    def from_spread(self, spread, weights):
        return super().from_spread(spread, weights).mean(axis=1)

    def n_parameters(self, n_components, n_features):
        return n_components

    def outer_products(self, weights, differences):
        return super().outer_products(weights, differences).mean(axis=1)

    def scatter(self, sums, nk, reg_covar, n_features):
        return n_features * super().scatter(sums[:, np.newaxis], nk, reg_covar, n_features)

    def times(self, rows, covariances):
        return rows * covariances[:, np.newaxis]

    def information(self, masses, n_features):
        return 0.5 * n_features * masses


DIAGONAL = Diagonal()
