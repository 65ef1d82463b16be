r"""How rows lie about the components that they belong to, as sums over rows.

With responsibilities :math:`r_{ik}` and whitened rows :math:`z_{ik} = U_k^T (x_i - \mu_k)`, a function g has the mean
:math:`\sum_i r_{ik} g(z_{ik}) / \sum_i r_{ik}` in component k. If the mixture is right, its expectation is that under a
standard normal z, because :math:`r_{ik} p(x_i) = w_k \mathcal{N}(x_i \mid \mu_k, \Sigma_k)`: components may overlap.

Rows of a t distribution are drawn in or out first, to the distance that is as probable under a Gaussian. If the mixture
is right, z is then standard normal, too.

The squared distances :math:`|z|^2` are counted in bins, which are even on the scale of Wilson and Hilferty, where a
chi-square distribution is nearly normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import beta, chi2, f

from fastgmm._model.conditional import Mixture
from fastgmm._model.covariance import DIAGONAL, FULL
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._model.noise import Noise
from fastgmm._rows.array import ArrayPasses

_LEAST_RESPONSIBILITY = 1e-12  # rows with less count for nothing in a component
_BLOCK_ROWS = 2**14  # whose responsibilities are held at a time
_FARTHEST = 1e40  # of rows from their component, in standard deviations: sums of sixth powers are finite
_EDGES = np.linspace(-10.0, 30.0, 4001)  # of the bins


@dataclass(frozen=True, slots=True)
class Goodness:
    """Sums over the rows of each component, weighted by responsibilities and sample weights; they add up.

    Attributes
    ----------
    mass : ndarray of shape (K,)
    squared_mass : ndarray of shape (K,)
        Sums of the squared weights.
    first : ndarray of shape (K, d)
        Sums of z.
    second : ndarray of shape (K, d, d)
        Sums of z z^T.
    third : ndarray of shape (K, d)
        Sums of z |z|^2.
    fourth : ndarray of shape (K,)
        Sums of |z|^4.
    sixth : ndarray of shape (K, d, d)
        Sums of y y^T with y = z (|z|^2 - d - 2).
    counts : ndarray of shape (K, n_bins)
        Mass in each bin of |z|^2.
    shared : ndarray of shape (K, K)
        Sums of products of responsibilities.
    """

    mass: np.ndarray
    squared_mass: np.ndarray
    first: np.ndarray
    second: np.ndarray
    third: np.ndarray
    fourth: np.ndarray
    sixth: np.ndarray
    counts: np.ndarray
    shared: np.ndarray

    @classmethod
    def zeros(cls, n_components: int, n_features: int) -> Goodness:
        K, d = n_components, n_features
        shapes = (K,), (K,), (K, d), (K, d, d), (K, d), (K,), (K, d, d), (K, len(_EDGES) + 1), (K, K)
        return cls(*map(np.zeros, shapes))

    @property
    def n_effective(self) -> np.ndarray:
        """The number of rows of equal weight that would tell as much, shape (K,)."""
        return self.mass**2 / np.maximum(self.squared_mass, np.finfo(float).tiny)

    def add(
        self,
        X: np.ndarray,
        sample_weight: np.ndarray | None,
        mixture: Mixture,
        n_threads: int | None,
        noise: Noise | None = None,
    ) -> None:
        """Add rows, shape (n_samples, n_features). A background takes its share of them."""
        weights, means, covariances, nu = mixture
        structure = DIAGONAL if covariances.ndim == 2 else FULL
        factors = structure.precisions_cholesky(covariances)
        parameters = mixture.parameters(covariances, factors)
        if noise is not None:
            assert isinstance(parameters, MixtureParameters)
            parameters = replace(parameters, weights=weights * (1.0 - noise.weight), noise=noise)
        components = parameters.components(structure)
        for start in range(0, len(X), _BLOCK_ROWS):
            rows = X[start : start + _BLOCK_ROWS]
            resp = ArrayPasses(rows, None, len(means), structure, n_threads).resp(components).astype(np.float64)
            weighted = resp
            if sample_weight is not None:
                weighted = resp * sample_weight[start : start + _BLOCK_ROWS, np.newaxis]
            self.shared[...] += weighted.T @ resp
            for k, (mean, factor) in enumerate(zip(means, factors, strict=True)):
                own = np.flatnonzero(resp[:, k] > _LEAST_RESPONSIBILITY)
                z = rows[own] - mean
                with np.errstate(over="ignore", invalid="ignore"):
                    z = z @ factor if factor.ndim == 2 else z * factor
                if not (np.abs(z) < _FARTHEST).all():
                    raise ValueError(
                        f"X holds rows that are {_FARTHEST:.0e} standard deviations or more from the mean of component "
                        f"{k}, to which they belong: leave them out."
                    )
                self._add_whitened(k, z if nu is None else _as_gaussian(z, nu[k]), weighted[own, k])

    def _add_whitened(self, k: int, z: np.ndarray, weights: np.ndarray) -> None:
        squared = np.einsum("ij,ij->i", z, z)
        times_weights = z * weights[:, np.newaxis]
        self.mass[k] += weights.sum()
        self.squared_mass[k] += weights @ weights
        self.first[k] += times_weights.sum(axis=0)
        self.second[k] += times_weights.T @ z
        self.third[k] += squared @ times_weights
        self.fourth[k] += weights @ squared**2
        y = z * (squared - z.shape[1] - 2.0)[:, np.newaxis]
        self.sixth[k] += (y * weights[:, np.newaxis]).T @ y
        bins = np.searchsorted(_EDGES, _even(squared, z.shape[1]))
        self.counts[k] += np.bincount(bins, weights, minlength=len(_EDGES) + 1)

    # What the sums say -----------------------------------------------------------------------------------------------

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Means of z, shape (K, d), and covariances about them, shape (K, d, d); 0 and 1 if the mixture is right."""
        mass = np.maximum(self.mass, np.finfo(float).tiny)
        means = self.first / mass[:, np.newaxis]
        second = self.second / mass[:, np.newaxis, np.newaxis]
        return means, second - means[:, :, np.newaxis] * means[:, np.newaxis]

    def excess_kurtosis(self) -> np.ndarray:
        """Mardia's kurtosis relative to a Gaussian's, minus 1, shape (K,).

        Its expectation is 0, and its standard error ``sqrt(8 / (d (d + 2) n))``. It is made orthogonal to errors of the
        covariances.
        """
        d = self.first.shape[1]
        mass = np.maximum(self.mass, np.finfo(float).tiny)
        squares = self.second.trace(axis1=1, axis2=2)
        return (self.fourth - 2.0 * (d + 2) * squares) / (mass * d * (d + 2)) + 1.0

    def skewness(self) -> np.ndarray:
        """The skewness vectors E[z |z|^2] - (d + 2) E[z] (Mori, Rohatgi and Szekely 1993), shape (K, d).

        The length is the skewness of the only skewed direction.
        """
        d = self.first.shape[1]
        mass = np.maximum(self.mass, np.finfo(float).tiny)[:, np.newaxis]
        return (self.third - (d + 2) * self.first) / mass

    def chance_of_skewness(self, k: int) -> float:
        """How probable so much skewness is if there is none, also with heavy tails.

        The covariance of the vector is estimated, so its Mahalanobis distance from 0 is nearly chi-square.
        """
        vector = self.third[k] - (self.first.shape[1] + 2) * self.first[k]
        statistic = vector @ np.linalg.lstsq(self.sixth[k], vector, rcond=None)[0]
        return float(chi2.sf(statistic * self.n_effective[k] / self.mass[k], len(vector)))

    def overlaps(self) -> np.ndarray:
        """Mean responsibility of one component for the rows of another, the larger one of each pair, shape (K, K)."""
        shares = self.shared / np.maximum(self.mass, np.finfo(float).tiny)[:, np.newaxis]
        overlaps = np.maximum(shares, shares.T)
        np.fill_diagonal(overlaps, 0.0)
        return overlaps

    def misfits(self, of_own_covariances: bool) -> np.ndarray:
        """The largest difference of the distribution functions of |z|^2, observed and expected, shape (K,)."""
        d = self.first.shape[1]
        observed = np.cumsum(self.counts, axis=1)[:, :-1] / np.maximum(self.mass, np.finfo(float).tiny)[:, np.newaxis]
        squared = _squared(_EDGES, d)
        expected = [reference(d, n, of_own_covariances).cdf(squared) for n in self.n_effective]
        return np.abs(observed - expected).max(axis=1)

    def quantiles(self, k: int, shares: np.ndarray) -> np.ndarray:
        """Observed quantiles of |z|^2 in component k, up to the width of a bin."""
        cumulated = np.concatenate([[0.0], np.cumsum(self.counts[k])]) / self.mass[k]
        edges = np.concatenate([_EDGES[:1], _EDGES, _EDGES[-1:]])
        return _squared(np.interp(shares, cumulated, edges), self.first.shape[1])


def check_complete(X: np.ndarray, client: str) -> None:
    """Raise ValueError if a value is missing. The client is the function that the user called."""
    if np.isnan(X).any():
        raise ValueError(
            f"X contains NaN, and {client} takes complete rows only: leave the others out, or pass "
            "mixture.impute(X, draw=True)."
        )


def reference(n_features: int, n_rows: float, of_own_covariance: bool):
    """The expected distribution of |z|^2, as a frozen distribution of SciPy.

    It is that of chi-square. If mean and covariance are those of the rows themselves, it is a beta distribution between
    0 and n - 1 (Gnanadesikan and Kettenring 1972); with few rows the difference matters.
    """
    if of_own_covariance and n_rows > n_features + 1.5:
        return beta(0.5 * n_features, 0.5 * (n_rows - n_features - 1.0), scale=n_rows - 1.0)
    return chi2(n_features)


def _as_gaussian(z: np.ndarray, nu: float) -> np.ndarray:
    """Whitened rows of a t distribution in their directions, at the distances that are as probable under a Gaussian.

    The squared distances, divided by the number of features, have an F distribution.
    """
    d = z.shape[1]
    squared = np.einsum("ij,ij->i", z, z)
    farther = np.maximum(f.sf(squared / d, d, nu), np.finfo(float).tiny)
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.sqrt(chi2.isf(farther, d) / squared)
    return z * np.where(squared > 0.0, factors, 0.0)[:, np.newaxis]


def _even(squared: np.ndarray, n_features: int) -> np.ndarray:
    """Squared distances on the scale of Wilson and Hilferty (1931)."""
    c = 2.0 / (9.0 * n_features)
    return (np.cbrt(squared / n_features) - (1.0 - c)) / math.sqrt(c)


def _squared(even: np.ndarray, n_features: int) -> np.ndarray:
    """The inverse of `_even`."""
    c = 2.0 / (9.0 * n_features)
    return n_features * np.maximum(1.0 - c + math.sqrt(c) * even, 0.0) ** 3
