"""The base of all mixture estimators, and the check for overridden methods that would not be called."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import cache
from inspect import isfunction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgmm._estimator.parameters import NamedParameters
from fastgmm._estimator.sklearn_callbacks import CallbackSupportMixin
from fastgmm._input.rows import allows_missing
from fastgmm._model.covariance import CovarianceStructure, structure_of_type
from fastgmm._model.protocol import Model, Parameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.incomplete import passes_over
from fastgmm._utils.annotations import (
    Acceleration,
    CovarianceType,
    FloatArray,
    InitParams,
    RandomState,
    Stopping,
)
from fastgmm._utils.blas import blas_beside_passes
from fastgmm._utils.warnings import each_topic_once


class MixtureEstimator(CallbackSupportMixin, NamedParameters):
    """Base of the estimators. It comes before the scikit-learn class in the order of inheritance.

    A subclass makes the model (`_model`, `_further_model`), names the fitted attributes that hold its parameters
    (`_fitted_attributes`), and reads the parameters back from them (`_fitted_parameters`).
    """

    # Parameters of all mixtures.
    n_components: int
    covariance_type: CovarianceType
    tol: float
    reg_covar: float
    max_iter: int
    n_init: int
    init_params: InitParams
    random_state: RandomState
    warm_start: bool
    verbose: int
    verbose_interval: int
    stopping: Stopping
    acceleration: Acceleration | None
    step_decay: float
    half_life: float | None
    n_threads: int | None

    # Fitted attributes of all mixtures. Their types win over what type checkers infer from scikit-learn's classes.
    weights_: FloatArray
    means_: FloatArray
    covariances_: FloatArray
    precisions_: FloatArray
    precisions_cholesky_: FloatArray
    converged_: bool
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]
    n_samples_seen_: float
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    _sklearn_class: type  # the class that the estimator replaces
    _weights_count_rows: bool  # False: only the ratios of sample weights matter
    # The HTML representation links to the documentation of scikit-learn's class.
    _doc_link_module = "fastgmm"
    _doc_link_template = "https://scikit-learn.org/stable/modules/generated/sklearn.mixture.{estimator_name}.html"

    @abstractmethod
    def _model(self, passes) -> Model:
        """The model for the rows of `passes`. Checks the parameters whose shapes depend on the features."""

    @abstractmethod
    def _further_model(self, passes) -> Model:
        """The model for further rows of a stream: without initial values, with the priors of the fitted model."""

    @abstractmethod
    def _fitted_attributes(self, parameters, model: Model) -> dict[str, object]:
        """Names and values of the fitted attributes that hold parameters."""

    @abstractmethod
    def _fitted_parameters(self, n_features: int, n_components: int | None = None) -> Parameters:
        """Parameters from the fitted attributes. Checks their shapes, since a user may have set them."""

    def __sklearn_tags__(self):
        named = self
        if not isinstance(self.init_params, str):  # scikit-learn looks it up in a list, which fails for an array
            named = copy(self)
            named.init_params = "kmeans"
        tags = super(MixtureEstimator, named).__sklearn_tags__()
        tags.array_api_support = False
        return tags

    @property
    def _structure(self) -> CovarianceStructure:
        """The covariance structure. Raises ValueError if the model does not support it."""
        return structure_of_type(self.covariance_type)

    def _passes(self, X, sample_weight, n_components: int) -> ArrayPasses:
        shape = n_components, self._structure
        return passes_over(X, sample_weight, *shape, self.n_threads, may_miss_values=allows_missing(self))


@cache
def _private_methods(sklearn_class: type) -> dict[str, Callable]:
    """The private methods of a scikit-learn mixture that fastgmm does not call, by name: all except `_n_parameters`."""
    return {
        name: value
        for base in reversed(sklearn_class.__mro__)
        if base.__module__.startswith("sklearn.mixture")
        for name, value in vars(base).items()
        if isfunction(value) and name.startswith("_") and not name.endswith("__") and name != "_n_parameters"
    }


def check_overrides(estimator, names: Iterable[str] | None = None) -> None:
    """Raise TypeError if a subclass overrides a private method of scikit-learn's mixture, which would not be called.

    `names` are those of the methods to check, by default of all.
    """
    methods = _private_methods(estimator._sklearn_class)
    kind, attributes = type(estimator), vars(estimator)
    for name in methods if names is None else [name for name in names if name in methods]:
        if name not in attributes and getattr(kind, name) is methods[name]:
            continue
        sklearn_name = estimator._sklearn_class.__name__
        owner = next((base.__name__ for base in kind.__mro__ if name in vars(base)), kind.__name__)
        what = f"The attribute {name} of this {kind.__name__}" if name in attributes else f"{owner}.{name}"
        remedy = f"To have it called, inherit from sklearn.mixture.{sklearn_name}."
        if hasattr(estimator, "fixed"):
            remedy += (
                " To start from your own parameters, pass weights_init, means_init and precisions_init. To hold some "
                "of them fixed, add for example fixed=('means',)."
            )
        raise TypeError(
            f"{what} would be ignored: fastgmm does not call this private method of sklearn.mixture.{sklearn_name}. "
            f"{remedy}"
        )


@contextmanager
def while_fitting(n_features: int, acceleration: str | None) -> Iterator[None]:
    """Hold BLAS to one thread, and give each warning once. NumPy does not warn of overflow: the results are checked."""
    ignore_overflow = np.errstate(over="ignore", invalid="ignore", divide="ignore")
    with ignore_overflow, blas_beside_passes(n_features, acceleration is not None), each_topic_once():
        yield


def unless_none(**arguments) -> dict[str, Any]:
    """The arguments that are not None. A subclass's method may not accept the others."""
    return {name: value for name, value in arguments.items() if value is not None}
