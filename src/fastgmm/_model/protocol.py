"""The protocol of a model: parameters from statistics, and components from parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import numpy as np

from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.moments import Moments, estimate_moments, is_accurate
from fastgmm._model.statistics import SufficientStatistics

LEAST_MASS = 1e-300  # mass of a component without rows where a logarithm is taken


class Parameters(Protocol):
    """Parameters of a mixture of K Gaussians in d dimensions, float64."""

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
        """The components that a pass evaluates."""


P = TypeVar("P", bound=Parameters)


class Model(ABC, Generic[P]):
    """A family of mixtures: its covariance structure, its priors, and values that are given or fixed. It has no rows.

    Parameters
    ----------
    structure : CovarianceStructure
    n_components, n_features : int
    dtype : dtype
        Of the data; it determines the unit of rounding. Parameters are float64.
    reg_covar : float
        Added to each variance.

    Attributes
    ----------
    with_entropy : bool
        Whether the bound needs the entropy of the responsibilities.
    has_priors : bool
        Whether the number of rows matters, not only their shares.
    prior_mass : float
        The least number of rows that the priors are worth, over all kinds of parameters.
    has_noise : bool
        Whether the mixture has a uniform background.
    """

    with_entropy = False
    has_priors = False
    prior_mass = 0.0
    has_noise = False

    def __init__(self, structure: CovarianceStructure, n_components: int, n_features: int, dtype, reg_covar: float):
        self.structure = structure
        self.n_components = n_components
        self.n_features = n_features
        self.dtype = dtype
        self.reg_covar = reg_covar

    @abstractmethod
    def start(self, statistics: Callable[[], SufficientStatistics]) -> P:
        """Parameters to start from; `statistics` finds statistics to start from, and is called at most once."""

    def moments(self, statistics: SufficientStatistics, before: P | None = None) -> Moments:
        """Moments of the rows under responsibilities that belong to the parameters `before`, None at a start."""
        return estimate_moments(statistics, self.structure, self.reg_covar, self.dtype)

    def are_accurate(self, moments: Moments) -> bool:
        """Whether the moments come from sums about centers close enough to the means."""
        return is_accurate(moments, moments.covariances, self.structure, self.dtype)

    @abstractmethod
    def m_step(self, moments: Moments, before: P | None, n_threads: int | None = 1) -> P:
        """Parameters from moments and the parameters before; IllDefinedCovarianceError if that fails."""

    @abstractmethod
    def lower_bound(self, statistics: SufficientStatistics, parameters: P) -> float:
        """The bound that an iteration reports, from its statistics and the parameters of its M step."""

    def log_prior(self, parameters: P) -> float:
        """What priors add to the bound of all rows under parameters, if `lower_bound` does not contain it."""
        return 0.0

    def components(self, parameters: P) -> Components:
        """The components that a pass evaluates."""
        return parameters.components(self.structure)

    def spread(self, parameters: P) -> np.ndarray:
        """A covariance for each component, shape (K, d, d), or variances (K, d)."""
        return self.structure.spread(parameters.covariances, self.n_components, self.n_features)

    def with_prior(self, moments: Moments) -> np.ndarray:
        """The covariances of the moments, plus the share of the priors."""
        return moments.covariances

    def without_rows(self, parameters: P) -> np.ndarray:
        """Indices of the components to warn about because they have no rows."""
        return np.empty(0, np.intp)

    def with_fixed(self, parameters: P) -> P:
        """The same parameters, with the fixed values in place of their own."""
        return parameters

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the arrays of the parameters, by name."""

    @abstractmethod
    def restored(self, arrays: dict[str, np.ndarray]) -> P:
        """Parameters from their saved arrays."""


class StreamModel(Model[P]):
    """A model whose M step has an inverse: for streams, which continue from parameters."""

    capability = "an inverse of its M step"

    @abstractmethod
    def statistics_for(self, parameters: P) -> SufficientStatistics:
        """Statistics per unit of weight, about the means, from which the M step makes the parameters."""


class CoordinateModel(Model[P]):
    """A model whose parameters are functions of masses, means and covariances: for acceleration."""

    capability = "parameters that masses, means and covariances determine"

    @abstractmethod
    def masses(self, parameters: P) -> np.ndarray:
        """Masses of the components, positive, shape (K,), in rows if the bound is a sum over rows, else as shares."""

    @abstractmethod
    def assembled(self, masses: np.ndarray, means: np.ndarray, covariances: np.ndarray, n_threads: int | None = 1) -> P:
        """Parameters with these masses, means and covariances; IllDefinedCovarianceError if that fails."""


C = TypeVar("C", StreamModel, CoordinateModel)


def require_of_model(model: Model, capability: type[C], client: str) -> C:
    """The model, if it has the capability; ValueError if not. `client` is the subject of the message."""
    if isinstance(model, capability):
        return model
    raise ValueError(f"{client} needs {capability.capability}, which the model {type(model).__name__} does not have.")
