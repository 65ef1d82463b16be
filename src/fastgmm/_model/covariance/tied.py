"""'tied': all components share one covariance matrix."""

from __future__ import annotations

import numpy as np

from fastgmm._model.covariance.matrices import MatrixStructure, diagonals, regularize
from fastgmm._model.covariance.structure import ConjugatePrior, FisherInformation, InverseMStep, as_matrices


class Tied(MatrixStructure, ConjugatePrior, FisherInformation, InverseMStep):
    name = sklearn_name = "tied"
    is_shared = True
    holds_for_parts = True
    mclust_name = "EEE"

    def covariances(self, statistics, delta, nk, reg_covar, noise, previous=None):
        covariance = statistics.scatter_about(delta)
        covariance /= nk.sum()
        return regularize(covariance, reg_covar, self.averaged(noise, nk))[0]

    def from_spread(self, spread, weights):
        return as_matrices(np.average(spread, axis=0, weights=weights)[np.newaxis])[0]

    def n_parameters(self, n_components, n_features):
        return n_features * (n_features + 1) // 2

    def outer_products(self, weights, differences):
        return (weights[:, np.newaxis] * differences).T @ differences / len(weights)

    def scatter(self, sums, nk, reg_covar, n_features):
        scatter = len(nk) * sums[np.newaxis]
        variances = diagonals(scatter)
        variances -= reg_covar * nk.sum()
        return scatter

    def times(self, rows, covariances):
        return rows @ covariances
