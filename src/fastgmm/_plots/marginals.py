"""The mixture that is drawn: its marginal in some features, which is the mixture of the components' marginals."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.spatial.distance import cdist

from fastgmm._estimator.fitted import fitted_factors
from fastgmm._estimator.student import StudentMixture
from fastgmm._model.conditional import Mixture
from fastgmm._model.covariance import FULL, structure_of_type
from fastgmm._model.covariance.structure import as_matrices
from fastgmm._plots.affine import AffineMap
from fastgmm._rows.array import ArrayPasses
from fastgmm._skipping.policy import log_densities_of

_N_DRAWS = 20_000  # the error of the mass within a contour is 0.1 (at 99 %) to 0.4 (at 50 %) percentage points
_LEAST_NOISE = 1e-6  # weight of a background; less may be rounding
_LEAST_WEIGHT = 1 / 500  # weight of the lightest component that is drawn, as a share of the heaviest one's


class Marginal(Mixture):
    """A mixture that is drawn. Its covariances are matrices. With a background its weights sum to less than 1."""

    @property
    def noise(self) -> float:
        """Weight of the background; 0 without one."""
        rest = 1.0 - float(self.weights.sum())
        return rest if rest > _LEAST_NOISE else 0.0

    @property
    def noise_in_words(self) -> str:
        """What a legend says of the background."""
        return f"noise: {self.noise:.0%}"

    @property
    def shares(self) -> np.ndarray:
        """Weights that sum to 1."""
        return self.weights / self.weights.sum()

    def of(self, features: list[int]) -> Marginal:
        """The marginal in some of the features."""
        return Marginal(*self.marginal(features))

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log-density, shape (...), at points of shape (..., n_features)."""
        factors = FULL.precisions_cholesky(self.covariances)
        passes = ArrayPasses(points.reshape(-1, points.shape[-1]), None, len(self.weights), FULL, None)
        components = self.parameters(self.covariances, factors).components(FULL)
        return log_densities_of(passes, components).reshape(points.shape[:-1])

    def densities_of_components(self, x: np.ndarray) -> np.ndarray:
        """Densities, shape (len(x), n_components), without the weights, at values of the only feature."""
        return np.exp(self.log_densities_of_components(x))

    def log_densities_of_components(self, x: np.ndarray) -> np.ndarray:
        """Logarithms of `densities_of_components`."""
        x, place_and_scale = x[:, np.newaxis], (self.means[:, 0], self.stds[:, 0])
        if self.degrees_of_freedom is None:
            return stats.norm.logpdf(x, *place_and_scale)
        return stats.t.logpdf(x, self.degrees_of_freedom, *place_and_scale)

    @property
    def stds(self) -> np.ndarray:
        """Standard deviations, or scales of t distributions, shape (n_components, n_features)."""
        return np.sqrt(self.covariances.diagonal(axis1=1, axis2=2))

    @property
    def is_shown(self) -> np.ndarray:
        """A mask of the components that are heavy enough to be drawn."""
        return self.weights >= _LEAST_WEIGHT * self.weights.max()

    def most_separating(self, n: int) -> list[int]:
        """The numbers of the n features where the means differ most, compared to all variance, in ascending order."""
        weights = self.shares
        between = weights @ (self.means - weights @ self.means) ** 2
        share = between / (between + weights @ self.stds**2)
        return sorted(np.argsort(-share, kind="stable")[:n].tolist())

    def distances(self) -> np.ndarray:
        """Distances of the means from each other in standard deviations, shape (n_components, n_components)."""
        factor = np.linalg.cholesky(np.tensordot(self.shares, self.covariances, axes=1))
        return cdist(*[np.linalg.solve(factor, self.means.T).T] * 2)

    def draw(self, n_samples: int) -> np.ndarray:
        """Random points, shape (n_samples, n_features), the same at each call."""
        random = np.random.default_rng(0)
        labels = random.choice(len(self.weights), size=n_samples, p=self.shares)
        normal = random.standard_normal((n_samples, self.means.shape[1], 1))
        differences = (np.linalg.cholesky(self.covariances)[labels] @ normal)[:, :, 0]
        if self.degrees_of_freedom is not None:
            nu = self.degrees_of_freedom[labels]
            differences *= np.sqrt(nu / random.chisquare(nu))[:, np.newaxis]
        return self.means[labels] + differences

    def highest_density_regions(self, shares: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-densities that bound these shares of the mass, shape (n_shares,), and grid lines for their contours.

        The bounds come from random draws (Hyndman 1996): a grid could miss narrow components. The grid lines stay
        within the limits, of shape (n_features, 2).
        """
        draws = self.draw(_N_DRAWS)
        log_density = self.log_density(draws)
        levels = np.quantile(log_density, 1.0 - shares)
        within = ((draws >= limits[:, 0]) & (draws <= limits[:, 1])).all(axis=1)
        return levels, [_grid_lines(column) for column in draws[within & (log_density >= levels.min())].T]


def mixture_in_units_of_data(mixture, units: AffineMap | None) -> Marginal:
    """A fitted mixture of any covariance type, in all features. `units` maps its units to those of the data."""
    n_components, n_features = mixture.means_.shape
    weights = mixture.weights_.astype(np.float64)
    structure = structure_of_type(mixture.covariance_type)
    # Not from covariances_, which rounding to float32 can make indefinite.
    factors = fitted_factors(mixture, structure.shape(n_components, n_features))
    covariances = structure.covariances_from_cholesky(factors)
    matrices = as_matrices(structure.spread(covariances, n_components, n_features))
    means = mixture.means_.astype(np.float64)
    if units is not None:
        means, matrices = units.of_means(means), units.of_covariances(matrices)
    total = weights.sum() + getattr(mixture, "noise_weight_", 0.0)
    nu = mixture.degrees_of_freedom_.astype(np.float64) if isinstance(mixture, StudentMixture) else None
    return Marginal(weights / total, means, matrices, nu)


def _grid_lines(draws: np.ndarray) -> np.ndarray:
    """Grid coordinates over the draws of one feature: 150 evenly spaced, and 150 quantiles."""
    margin = 0.08 * np.ptp(draws)
    even = np.linspace(draws.min() - margin, draws.max() + margin, 150)
    return np.union1d(even, np.quantile(draws, np.linspace(0.0, 1.0, 150)))
