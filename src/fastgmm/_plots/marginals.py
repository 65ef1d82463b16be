"""The marginal of a fitted mixture in some features: the mixture of the components' marginals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgmm._estimator.fitted import fitted_factors
from fastgmm._model.covariance import COVARIANCE_TYPES, FULL
from fastgmm._model.covariance.structure import as_matrices
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._skipping.policy import log_densities_of

_N_DRAWS = 20_000  # the error of the mass within a contour is 0.1 (at 99 %) to 0.4 (at 50 %) percentage points


class Marginal(NamedTuple):
    """A mixture as float64 arrays. Its covariances are matrices, whatever the covariance type was.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_features)
    covariances : ndarray of shape (n_components, n_features, n_features)
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def of(self, features: list[int]) -> Marginal:
        """The marginal in some of the features."""
        matrices = self.covariances[:, np.array(features)[:, np.newaxis], features]
        return Marginal(self.weights, self.means[:, features], matrices)

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log-density, shape (...), at points of shape (..., n_features)."""
        factors = FULL.precisions_cholesky(self.covariances)
        passes = ArrayPasses(points.reshape(-1, points.shape[-1]), None, len(self.weights), FULL, None)
        components = MixtureParameters(*self, factors).components(FULL)
        return log_densities_of(passes, components).reshape(points.shape[:-1])

    def draw(self, n_samples: int) -> np.ndarray:
        """Random points, shape (n_samples, n_features), the same at each call."""
        random = np.random.default_rng(0)
        labels = random.choice(len(self.weights), size=n_samples, p=self.weights)
        normal = random.standard_normal((n_samples, self.means.shape[1], 1))
        return self.means[labels] + (np.linalg.cholesky(self.covariances)[labels] @ normal)[:, :, 0]

    def highest_density_regions(self, shares: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-densities that bound these shares of the mass, shape (n_shares,), and grid lines for their contours.

        The bounds come from random draws (Hyndman 1996): a grid could miss narrow components.
        """
        draws = self.draw(_N_DRAWS)
        log_density = self.log_density(draws)
        levels = np.quantile(log_density, 1.0 - shares)
        return levels, [_grid_lines(column) for column in draws[log_density >= levels.min()].T]


def marginal_of(mixture, features: list[int]) -> Marginal:
    """The marginal of a fitted mixture of any covariance type."""
    n_components, n_features = mixture.means_.shape
    weights = mixture.weights_.astype(np.float64)
    structure = COVARIANCE_TYPES[mixture.covariance_type]
    # Not from covariances_, which rounding to float32 can make indefinite.
    factors = fitted_factors(mixture, structure.shape(n_components, n_features))
    covariances = structure.covariances_from_cholesky(factors)
    matrices = as_matrices(structure.spread(covariances, n_components, n_features))
    return Marginal(weights / weights.sum(), mixture.means_.astype(np.float64), matrices).of(features)


def _grid_lines(draws: np.ndarray) -> np.ndarray:
    """Grid coordinates over the draws of one feature: 150 evenly spaced, and 150 quantiles."""
    margin = 0.08 * np.ptp(draws)
    even = np.linspace(draws.min() - margin, draws.max() + margin, 150)
    return np.union1d(even, np.quantile(draws, np.linspace(0.0, 1.0, 150)))
