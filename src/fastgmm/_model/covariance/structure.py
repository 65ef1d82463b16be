"""The protocol of a covariance structure: a core that every fit uses, and capabilities that some clients need.

K is the number of components and d the number of features. Arrays are float64. A client that needs a capability asks
for it with `require` (in the package), which refuses a structure without it by name.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import numpy as np

from fastgmm._model.statistics import SufficientStatistics
from fastgmm._utils.errors import IllDefinedCovarianceError


def any_of(mask: np.ndarray) -> bool:
    """`mask.any()`, faster for small arrays."""
    return bool(np.logical_or.reduce(mask, axis=None))


def inverse_deviations(variances: np.ndarray) -> tuple[np.ndarray, int]:
    """Inverse square roots, and the first index along the first axis of a variance not positive or finite, or -1."""
    if variances.min() > 0.0 and variances.max() < math.inf:
        return 1.0 / np.sqrt(variances), -1
    are_positive = ((variances > 0.0) & (variances < math.inf)).reshape(len(variances), -1).all(axis=1)
    return variances, int(are_positive.argmin())


def as_matrices(spread: np.ndarray) -> np.ndarray:
    """Matrices (K, d, d) unchanged, variances (K, d) as diagonal matrices."""
    return spread if spread.ndim == 3 else spread[:, :, np.newaxis] * np.eye(spread.shape[1])


def as_variances(spread: np.ndarray) -> np.ndarray:
    """Variances (K, d) unchanged, matrices (K, d, d) as their diagonals."""
    return spread if spread.ndim == 2 else spread.diagonal(axis1=1, axis2=2)


class CovarianceStructure(ABC):
    """How the covariances of the components are parametrized.

    Attributes
    ----------
    name : str
        The value of `covariance_type`.
    kernel : {'full', 'diag'}
        'full': a covariance is a matrix (d, d), and kernels read triangular factors. 'diag': it is a vector of
        variances (d,), or one variance (), and kernels read vectors.
    is_shared : bool
        Whether all components have the same covariance. Its array then has no axis of components.
    shape_in_words : str
        What a covariance looks like, with more than one feature.
    mclust_name : str
        What R's mclust calls the structure; '' if it does not have it.
    sklearn_name : str
        The type of scikit-learn whose arrays have the same shapes and that contains the structure; '' if there is none.
    holds_for_parts : bool
        Whether marginals and conditionals of such covariances have the structure, too.
    """

    name: str
    kernel: Literal["full", "diag"]
    is_shared: bool = False
    shape_in_words: str = "ellipsoid"
    mclust_name: str = ""
    sklearn_name: str = ""
    holds_for_parts: bool = False

    def in_words(self, n_components: int, n_features: int) -> str:
        """What the structure lets covariances be."""
        noun = "variance" if n_features == 1 else self.shape_in_words
        if n_components == 1:
            return f"one {noun}"
        return f"all components share one {noun}" if self.is_shared else f"each component has its own {noun}"

    @abstractmethod
    def shape_of_one(self, n_features: int) -> tuple[int, ...]:
        """Shape of a single covariance: (d, d), (d,) or ()."""

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of the covariances, of the precisions and of their factors."""
        one = self.shape_of_one(n_features)
        return one if self.is_shared else (n_components, *one)

    def scatter_shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of the scatter that a pass over the rows fills.

        (K, d, d), (1, d, d) if shared, (K, d), or (K, 1) if only the sums of the squares over the features are needed.
        """
        if self.kernel == "diag":
            return (n_components, n_features)
        return (1 if self.is_shared else n_components, n_features, n_features)

    @abstractmethod
    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Number of free covariance parameters."""

    # The M step ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def covariances(
        self,
        statistics: SufficientStatistics,
        delta: np.ndarray,
        nk: np.ndarray,
        reg_covar: float,
        noise: np.ndarray,
        previous: np.ndarray | None = None,
    ) -> np.ndarray:
        """Covariances about the moved means, in a new array of shape `shape(K, d)`.

        Parameters
        ----------
        statistics : SufficientStatistics
        delta : ndarray of shape (K, d)
            The means minus the centers of the statistics.
        nk : ndarray of shape (K,)
            The divisors, all positive.
        reg_covar : float
            Added to each variance.
        noise : ndarray of shape (K, d)
            A variance of a feature that is at most this counts as 0.
        previous : ndarray of shape `shape(K, d)`, default=None
            The covariances before this M step, for structures that iterate from them. None at a start.
        """

    def keep(self, covariances: np.ndarray, previous: np.ndarray, components: np.ndarray) -> None:
        """Give the components of a mask their previous covariances, in place. A shared covariance does not change."""
        if not self.is_shared:
            covariances[components] = previous[components]

    def averaged(self, squares: np.ndarray, nk: np.ndarray) -> np.ndarray:
        """Squares of shape (K, d), or their mean over the components, (d,), if these share a covariance."""
        return nk @ squares / nk.sum() if self.is_shared else squares

    def masses(self, nk: np.ndarray) -> np.ndarray:
        """Mass of each covariance: masses of the components, (K,), or their mean, (), if the covariance is shared."""
        return nk.sum() / len(nk) if self.is_shared else nk

    def per_covariance(self, values: np.ndarray) -> np.ndarray:
        """One number for each covariance, in the shape of `masses`, with axes to broadcast against the covariances."""
        return values.reshape(values.shape + (1,) * len(self.shape_of_one(1)))

    @abstractmethod
    def variances(self, covariances: np.ndarray) -> np.ndarray:
        """Diagonals of the covariances: the array of covariances without its last axis if they are matrices."""

    # Factors and precisions ------------------------------------------------------------------------------------------

    def precisions_cholesky(self, covariances: np.ndarray, n_threads: int | None = 1) -> np.ndarray:
        """Factors of the precisions; IllDefinedCovarianceError if a covariance is not positive-definite."""
        stack = covariances[np.newaxis] if self.is_shared else covariances
        factors, failure = self.factors_of_inverses(stack, n_threads)
        if failure >= 0:
            raise self._ill_defined(failure, stack[failure])
        return factors[0] if self.is_shared else factors

    @abstractmethod
    def factors_of_inverses(self, stack: np.ndarray, n_threads: int | None = 1) -> tuple[np.ndarray, int]:
        """Factors of the inverses of covariances along the first axis, and the first that is not positive-definite.

        -1 if all are."""

    @abstractmethod
    def precisions_cholesky_from_precisions(self, precisions: np.ndarray) -> np.ndarray:
        """Factors of the given precisions; LinAlgError if one is not positive-definite."""

    @abstractmethod
    def covariances_from_cholesky(self, precisions_cholesky: np.ndarray) -> np.ndarray:
        """Covariances that belong to the factors of the precisions."""

    @abstractmethod
    def precisions(self, precisions_cholesky: np.ndarray) -> np.ndarray:
        """Precisions that belong to their factors."""

    @abstractmethod
    def log_det(self, precisions_cholesky: np.ndarray, n_features: int) -> np.ndarray:
        """Log-determinants of the factors, shape (K,) or, for a shared one, ()."""

    @abstractmethod
    def kernel_factors(self, precisions_cholesky: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        """The factors as kernels read them: (K, d, d), (1, d, d) if shared, or (K, 1, d) for the kernel 'diag'."""

    # Between structures ----------------------------------------------------------------------------------------------

    def spread(self, covariances: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        """A covariance for each component: matrices (K, d, d), or variances (K, d) for the kernel 'diag'."""
        return np.tile(covariances, (n_components, *[1] * covariances.ndim)) if self.is_shared else covariances

    def from_spread(self, spread: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The covariances of this structure that an M step finds for components with the given covariances.

        Parameters
        ----------
        spread : ndarray of shape (K, d, d) or (K, d)
        weights : ndarray of shape (K,)

        Returns
        -------
        ndarray of shape `shape(K, d)`
        """
        K, d = spread.shape[:2]
        nk, zeros = np.maximum(weights, np.finfo(float).tiny), np.zeros((K, d))
        if self.kernel == "diag":
            scatter = nk[:, np.newaxis] * as_variances(spread)
        else:
            scatter = nk[:, np.newaxis, np.newaxis] * as_matrices(spread)
            scatter = scatter.sum(axis=0, keepdims=True) if self.is_shared else scatter
        statistics = SufficientStatistics(zeros, nk, zeros, scatter, 0.0, 0.0, float(nk.sum()))
        return self.covariances(statistics, zeros, nk, 0.0, zeros)

    def _ill_defined(self, component: int, covariance: np.ndarray) -> IllDefinedCovarianceError:
        which = "The shared covariance" if self.is_shared else f"The covariance of component {component}"
        what = "not positive-definite" if np.isfinite(covariance).all() else "not finite: values are too large"
        return IllDefinedCovarianceError(
            "Fitting the mixture model failed because some components have ill-defined empirical covariance (for "
            "instance caused by singleton or collapsed samples). Try to decrease the number of components, increase "
            f"reg_covar, or scale the input data. {which} is {what}."
        )


class ConjugatePrior(CovarianceStructure):
    """A structure whose precisions have a Wishart prior: for the variational mixture."""

    capability = "a conjugate prior"

    @abstractmethod
    def outer_products(self, weights: np.ndarray, differences: np.ndarray) -> np.ndarray:
        """w_k d_k d_k^T for each component, or its mean over the components if they share a covariance.

        Parameters
        ----------
        weights : ndarray of shape (K,)
        differences : ndarray of shape (K, d)

        Returns
        -------
        ndarray of shape `shape(K, d)`
        """


class FisherInformation(CovarianceStructure):
    """A structure whose covariances form a linear space with a known Fisher information: for acceleration.

    The information of components with precisions P, times a step M of the covariances, is `information` * P M P.
    """

    capability = "a Fisher information of the covariances"

    @abstractmethod
    def times(self, rows: np.ndarray, covariances: np.ndarray) -> np.ndarray:
        """Row k times the covariance, or precision, of component k, shape (K, d)."""

    @abstractmethod
    def congruent(self, matrices: np.ndarray, covariances: np.ndarray) -> np.ndarray:
        """C M C for each covariance, or precision, C and a matrix M, all of shape `shape(K, d)`."""

    def information(self, masses: np.ndarray, n_features: int) -> np.ndarray:
        """The factor of P M P for components with masses of shape (K,); it broadcasts against the covariances."""
        return 0.5 * self.per_covariance(masses.sum() if self.is_shared else masses)

    @abstractmethod
    def exceed(self, covariances: np.ndarray, floor: float) -> bool:
        """Whether all eigenvalues of the covariances are greater than `floor`."""


class InverseMStep(CovarianceStructure):
    """A structure whose M step is linear in the scatter and has an inverse: for streams."""

    capability = "an inverse of its M step"

    @abstractmethod
    def from_spread(self, spread: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """As in the core, but linear: streams also pass differences of covariances, which may be negative."""

    @abstractmethod
    def scatter(self, sums: np.ndarray, nk: np.ndarray, reg_covar: float, n_features: int) -> np.ndarray:
        """The scatter about the means, of shape `scatter_shape(K, d)`, from which the M step makes given covariances.

        Parameters
        ----------
        sums : ndarray of shape `shape(K, d)`
            `masses` times the covariances, which include `reg_covar`.
        nk : ndarray of shape (K,)
        reg_covar : float
        n_features : int
        """
