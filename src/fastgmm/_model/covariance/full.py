"""'full': each component has a covariance matrix of its own."""

from __future__ import annotations

import numpy as np

from fastgmm._model.covariance.matrices import MatrixStructure, diagonals, regularize
from fastgmm._model.covariance.structure import ConjugatePrior, FisherInformation, InverseMStep, as_matrices


class Full(MatrixStructure, ConjugatePrior, FisherInformation, InverseMStep):
    name = sklearn_name = "full"
    mclust_name = "VVV"
    holds_for_parts = True

    def covariances(self, statistics, delta, nk, reg_covar, noise, previous=None):
        covariances = statistics.scatter_about(delta)
        covariances /= nk[:, np.newaxis, np.newaxis]
        return regularize(covariances, reg_covar, noise)

    def from_spread(self, spread, weights):
        return as_matrices(spread)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features * (n_features + 1) // 2

    def outer_products(self, weights, differences):
        return (weights[:, np.newaxis] * differences)[:, :, np.newaxis] * differences[:, np.newaxis]

    def scatter(self, sums, nk, reg_covar, n_features):
        scatter = sums.copy()
        variances = diagonals(scatter)
        variances -= reg_covar * nk[:, np.newaxis]
        return scatter

    def times(self, rows, covariances):
        return (rows[:, np.newaxis] @ covariances)[:, 0]
