r"""Conditional moments and draws of the same features for many rows at once: regression with a mixture.

In component k the unknown features m of a row have, given the known ones o, the mean
:math:`\mu_{k,m} + A_k (x_o - \mu_{k,o})` and the covariance :math:`S_k`. With the responsibilities :math:`r_k` given
the known features (Ghahramani & Jordan, NIPS 6, 1994):

.. math::
    E[x_m \mid x_o] &= \sum_k r_k m_k \\
    \operatorname{Cov}[x_m \mid x_o] &= \sum_k r_k \big( S_k + (m_k - E)(m_k - E)^T \big)

In a t distribution, :math:`S_k` depends on the row, and is infinite with up to two degrees of freedom given the row.

One pass of the kernels finds the responsibilities. The means :math:`m_k` are a matrix product for each component, in
blocks of rows that stay in a cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fastgmm._model.conditional import Mixture, Regression, conditional_means, inflations, others
from fastgmm._model.covariance import DIAGONAL, FULL
from fastgmm._rows.array import ArrayPasses
from fastgmm._utils.blas import blas_beside_passes

_BLOCK_ELEMENTS = 2**16  # of the conditional means of a block of rows: half a megabyte


class ConditionalRows:
    """The unknown features of rows given known ones.

    Parameters
    ----------
    mixture : Mixture
    known : sequence of int
        May be empty: then the distribution of a row is that of the mixture.
    n_threads : int or None
    """

    def __init__(self, mixture: Mixture, known: Sequence[int], n_threads: int | None):
        self._mixture, self._means, self._n_threads = mixture, mixture.means, n_threads
        self._known = list(known)
        self._unknown = others(self._known, self._means.shape[1])
        if self._known:
            self._regression = mixture.regression(self._known, self._unknown)
        else:
            self._regression = Regression(None, mixture.covariances, np.empty((len(self._means), 0)))

    def responsibilities(self, X: np.ndarray) -> np.ndarray:
        """Those given the known features, shape (n_samples, n_components), in the dtype of X."""
        if not self._known:
            return np.tile(self._mixture.weights.astype(X.dtype), (len(X), 1))
        factors = self._regression.known_factors
        structure = FULL if factors.ndim == 3 else DIAGONAL
        of_known = self._mixture._replace(means=self._means[:, self._known]).parameters(factors, factors)
        return ArrayPasses(X, None, len(self._means), structure, self._n_threads).resp(of_known.components(structure))

    def means(self, X: np.ndarray) -> np.ndarray:
        """Conditional means of rows of the known features, shape (n_samples, n_unknown), in the dtype of X."""
        found = np.empty((len(X), len(self._unknown)), X.dtype)
        for rows, resp, of_components in self._blocks(X):
            found[rows] = _mean(resp, of_components)
        return found

    def means_and_covariances(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Also conditional covariances, shape (n_samples, n_unknown, n_unknown), in the dtype of X."""
        n_unknown = len(self._unknown)
        means = np.empty((len(X), n_unknown), X.dtype)
        covariances = np.empty((len(X), n_unknown, n_unknown), X.dtype)
        within = self._regression.covariances
        if within.ndim == 2:
            within = within[:, :, np.newaxis] * np.eye(n_unknown)
        within = within.reshape(len(within), -1)
        for rows, resp, of_components in self._blocks(X):
            mean = _mean(resp, of_components)
            found = (self._with_inflations(resp, X[rows]) @ within).reshape(-1, n_unknown, n_unknown)
            for k, of_component in enumerate(of_components):
                difference = of_component - mean
                found += (resp[:, k, np.newaxis] * difference)[:, :, np.newaxis] * difference[:, np.newaxis]
            means[rows], covariances[rows] = mean, found
        return means, covariances

    def means_and_deviations(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Also conditional standard deviations, shape (n_samples, n_unknown), in the dtype of X."""
        means, deviations = np.empty((2, len(X), len(self._unknown)), X.dtype)
        within = self._regression.covariances
        if within.ndim == 3:
            within = within.diagonal(axis1=1, axis2=2)
        for rows, resp, of_components in self._blocks(X):
            mean = _mean(resp, of_components)
            found = self._with_inflations(resp, X[rows]) @ within
            for k, of_component in enumerate(of_components):
                found += resp[:, k, np.newaxis] * (of_component - mean) ** 2
            means[rows], deviations[rows] = mean, np.sqrt(found)
        return means, deviations

    def draws(self, X: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """Values drawn for the unknown features of t distributions, shape (n_samples, n_unknown), in the dtype of X."""
        assert self._nu is not None
        cumulated = np.cumsum(self.responsibilities(X), axis=1, dtype=np.float64)
        chosen = (cumulated < random.uniform(size=(len(X), 1)) * cumulated[:, -1:]).sum(axis=1)
        matrices, covariances, _ = self._regression
        found = np.empty((len(X), len(self._unknown)), X.dtype)
        for k in np.unique(chosen):
            own = np.flatnonzero(chosen == k)
            matrix = None if matrices is None else matrices[k : k + 1]
            mean = conditional_means(self._means[k : k + 1], matrix, self._known, self._unknown, X[own])[0]
            normal = random.standard_normal(mean.shape)
            gamma = random.chisquare(self._nu[k], len(own)) / self._nu[k]
            normal *= np.sqrt(self._inflations(X[own])[:, k] / gamma)[:, np.newaxis]
            if covariances.ndim == 2:
                found[own] = mean + normal * np.sqrt(covariances[k])
            else:
                found[own] = mean + normal @ np.linalg.cholesky(covariances[k]).T
        return found

    @property
    def _nu(self) -> np.ndarray | None:
        """Degrees of freedom given the known features; None for Gaussians."""
        nu = self._mixture.degrees_of_freedom
        return None if nu is None else nu + len(self._known)

    def _inflations(self, X: np.ndarray) -> np.ndarray:
        """By what rows multiply the conditional scale matrices of t distributions, shape (n_samples, K)."""
        assert self._mixture.degrees_of_freedom is not None
        means, factors = self._means[:, self._known], self._regression.known_factors
        return inflations(self._mixture.degrees_of_freedom, means, factors, X)

    def _with_inflations(self, resp: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Responsibilities times what multiplies the conditional covariances. ValueError if these are infinite."""
        if self._nu is None:
            return resp
        if (few := np.flatnonzero(self._nu <= 2.0)).size:
            raise ValueError(
                f"Component {few[0]} has {self._nu[few[0]]:.3g} degrees of freedom given these features. With up to 2 "
                "there is no finite variance: ask for means only, or fit with degrees_of_freedom=3."
            )
        return resp * self._inflations(X) * (self._nu / (self._nu - 2.0))

    def _blocks(self, X: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Slices of rows, their responsibilities, and the means of the unknown features in each component."""
        resp = self.responsibilities(X)
        n_rows = max(1, _BLOCK_ELEMENTS // (len(self._means) * len(self._unknown)))
        matrices = self._regression.matrices
        with blas_beside_passes(self._means.shape[1], with_all_parameters=True):
            for start in range(0, len(X), n_rows):
                rows = slice(start, start + n_rows)
                yield rows, resp[rows], conditional_means(self._means, matrices, self._known, self._unknown, X[rows])


def _mean(resp: np.ndarray, of_components: np.ndarray) -> np.ndarray:
    """The mean over the components, shape (n_rows, n_unknown), float64."""
    mean = np.zeros(of_components.shape[1:])
    for k, of_component in enumerate(of_components):
        mean += resp[:, k, np.newaxis] * of_component
    return mean
