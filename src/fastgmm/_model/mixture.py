"""What a mixture is: the model, which makes parameters from statistics, and components from parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import numpy as np

from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.moments import Moments, estimate_moments, is_accurate
from fastgmm._model.statistics import SufficientStatistics

LEAST_MASS = 1e-300  # stands for no rows at all where a logarithm is taken


class Parameters(Protocol):
    """Parameters of a mixture of K Gaussians in d dimensions, float64, that an iteration leads to."""

    @property
    def means(self) -> np.ndarray:
        """Shape (K, d)."""

    @property
    def covariances(self) -> np.ndarray:
        """In the shape of the covariance structure."""

    @property
    def precisions_cholesky(self) -> np.ndarray:
        """Factors of the precisions, in the same shape."""

    def components(self, structure: CovarianceStructure) -> Components:
        """What a pass needs to know of them."""


P = TypeVar("P", bound=Parameters)


class Model(ABC, Generic[P]):
    """A family of mixtures: its covariance structure, its priors, and what is given or held fixed. It sees no rows.

    Parameters
    ----------
    structure : CovarianceStructure
    n_components, n_features : int
    dtype : dtype
        Of the data; parameters are float64. It says what rounding is.
    reg_covar : float
        Added to each variance.

    Attributes
    ----------
    with_entropy : bool
        Whether the bound needs the entropy of the responsibilities.
    has_priors : bool
        Whether the number of rows matters, not only their shares.
    prior_mass : float
        What the priors add to the number of rows behind each parameter, at least.
    """

    with_entropy = False
    has_priors = False
    prior_mass = 0.0

    def __init__(self, structure: CovarianceStructure, n_components: int, n_features: int, dtype, reg_covar: float):
        self.structure = structure
        self.n_components = n_components
        self.n_features = n_features
        self.dtype = dtype
        self.reg_covar = reg_covar

    @abstractmethod
    def start(self, statistics: Callable[[], SufficientStatistics]) -> P:
        """Parameters to start from, given a way to find statistics to start from."""

    def moments(self, statistics: SufficientStatistics, before: P | None = None) -> Moments:
        """Moments of the rows, whose responsibilities are those under the parameters `before`; None at a start."""
        return estimate_moments(statistics, self.structure, self.reg_covar, self.dtype)

    def are_accurate(self, moments: Moments) -> bool:
        """Whether the sums behind the moments were taken close enough to the means."""
        return is_accurate(moments, moments.covariances, self.structure, self.dtype)

    @abstractmethod
    def m_step(self, moments: Moments, before: P | None) -> P:
        """Parameters from moments and from the parameters before, None at a start.

        IllDefinedCovarianceError if a covariance is not positive-definite."""

    @abstractmethod
    def lower_bound(self, statistics: SufficientStatistics, parameters: P) -> float:
        """The bound that an iteration reports, from its statistics and the parameters that its M step found."""

    def components(self, parameters: P) -> Components:
        """What a pass needs to know of the parameters."""
        return parameters.components(self.structure)

    def spread(self, parameters: P) -> np.ndarray:
        """A covariance for each component, shape (K, d, d), or variances (K, d): for bounds of densities."""
        return self.structure.spread(parameters.covariances, self.n_components, self.n_features)

    def with_prior(self, moments: Moments) -> np.ndarray:
        """The covariances of the moments with what priors add to each."""
        return moments.covariances

    def without_rows(self, parameters: P) -> np.ndarray:
        """Numbers of the components that have no rows, where that is worth a warning."""
        return np.empty(0, np.intp)

    def held(self, parameters: P) -> P:
        """The same parameters, with those that the user holds fixed in place of their own."""
        return parameters

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names of the parameters' arrays, and their shapes."""

    @abstractmethod
    def restored(self, arrays: dict[str, np.ndarray]) -> P:
        """Parameters from their arrays, as they were saved."""


class StreamModel(Model[P]):
    """A model whose M step has an inverse: for streams, which go on from parameters."""

    @abstractmethod
    def statistics_behind(self, parameters: P) -> SufficientStatistics:
        """Statistics per unit of weight, about the means, that lead to the given parameters."""


class CoordinateModel(Model[P]):
    """A model whose parameters are functions of masses, means and covariances: for acceleration."""

    @abstractmethod
    def masses(self, parameters: P) -> np.ndarray:
        """How much of the bound's rows each component has, in the unit of the bound, shape (K,); positive."""

    @abstractmethod
    def assembled(self, masses: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> P:
        """Parameters with these masses, means and covariances; IllDefinedCovarianceError as in `m_step`."""
