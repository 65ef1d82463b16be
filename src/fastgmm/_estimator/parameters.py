"""Checks of the names and values of constructor parameters.

Exceptions have scikit-learn's types. Each message begins as scikit-learn's does, because tools and tests look for that
text; the value and a remedy follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import lru_cache, wraps
from inspect import signature
from typing import Any, ParamSpec, Self, get_args

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from fastgmm._input.rows import allows_missing
from fastgmm._model.covariance import accepted_names
from fastgmm._model.student import LEAST_DEGREES_OF_FREEDOM, MOST_DEGREES_OF_FREEDOM
from fastgmm._utils.annotations import (
    Acceleration,
    Criterion,
    Fixable,
    Missing,
    OnInterrupt,
    Prior,
    SharedDegreesOfFreedom,
    StartName,
    Stopping,
    WeightPriorType,
)
from fastgmm._utils.values import is_boolean, is_integer_from, is_non_negative_real, is_one_of, is_positive_real
from fastgmm._utils.version import __version__
from fastgmm._utils.warnings import warn

CRITERIA = get_args(Criterion)
FIXABLE = get_args(Fixable)
_CHOICES = {  # parameters that are one of a few names; `fixed` may be several of them
    "init_params": get_args(StartName),
    "weight_concentration_prior_type": get_args(WeightPriorType),
    "criterion": CRITERIA,
    "on_interrupt": get_args(OnInterrupt),
    "stopping": get_args(Stopping),
    "acceleration": get_args(Acceleration),
    "missing": get_args(Missing),
    "fixed": FIXABLE,
    "prior": get_args(Prior),
}
RANDOM_STATE = "an int in the range [0, 4294967295], an instance of 'numpy.random.mtrand.RandomState' or None"


def is_random_state(value):
    return value is None or isinstance(value, np.random.RandomState) or (is_integer_from(0)(value) and value < 2**32)


def is_given_start(value) -> bool:
    """Whether a value of `init_params` is not a name, but a function or array-like."""
    return callable(value) or _is_array_like(value)


def _is_array_like(value):
    is_scalar = isinstance(value, str | bytes) or np.isscalar(value)
    return not is_scalar and (hasattr(value, "__len__") or hasattr(value, "__array__"))


def _or_none(accepts):
    return lambda value: value is None or accepts(value)


def fixed_names(fixed) -> frozenset[str]:
    """Names of the parameters that a valid `fixed` holds fixed."""
    return frozenset() if fixed is None else frozenset(_listed(fixed))


def _listed(fixed) -> list:
    """The names as a list; one name may stand alone."""
    return list(fixed) if isinstance(fixed, list | tuple | set | frozenset) else [fixed]


def options(names) -> str:
    """The names as scikit-learn's messages list them."""
    return "a str among {" + ", ".join(repr(name) for name in names) + "}"


@lru_cache
def _parameter_rules(covariance_types):
    """For each parameter of any estimator: a test of its value, what the value must be, and the remedy."""
    choices = {**_CHOICES, "covariance_type": covariance_types}
    array_like = (_or_none(_is_array_like), "an array-like or None", "Pass an array, or None to have it estimated.")
    non_negative = (is_non_negative_real, "a float in the range [0.0, inf)")
    positive_int = (is_integer_from(1), "an int in the range [1, inf)")
    boolean = f"an instance of 'bool' or an instance of 'numpy.{np.bool_.__name__}'"
    positive_or_none = (_or_none(is_positive_real), "None or a float in the range (0.0, inf)")
    return {
        **{name: (is_one_of(names), options(names), "Pass one of these names.") for name, names in choices.items()},
        "init_params": (
            lambda value: is_one_of(_CHOICES["init_params"])(value) or is_given_start(value),
            options(_CHOICES["init_params"]),  # as in scikit-learn's message
            "Pass one of these names, an array of labels or responsibilities, or a function that returns one.",
        ),
        "n_components": (*positive_int, "Pass the number of components to fit."),
        "tol": (*non_negative, "Pass 0 to run all max_iter iterations."),
        "reg_covar": (*non_negative, "Pass 0 for no regularization."),
        "max_iter": (is_integer_from(0), "an int in the range [0, inf)", "Pass the largest number of EM iterations."),
        "n_init": (*positive_int, "Pass the number of starts to try."),
        "weights_init": array_like,
        "means_init": array_like,
        "precisions_init": array_like,
        "fixed": (
            _or_none(lambda value: all(map(is_one_of(FIXABLE), _listed(value)))),
            f"{options(FIXABLE)}, a sequence of these or None",
            "Pass for example ('means',), with means_init.",
        ),
        "noise": (
            lambda value: is_boolean(value) or (isinstance(value, float | np.floating) and is_positive_real(value)),
            f"{boolean} or a float in the range (0.0, inf)",
            "Pass True to take the volume of the background from the data, or the volume as a float.",
        ),
        "prior": (
            _or_none(is_one_of(_CHOICES["prior"])),
            f"{options(_CHOICES['prior'])} or None",
            "Pass None for maximum likelihood.",
        ),
        "random_state": (is_random_state, RANDOM_STATE, "Pass an int for repeatable results."),
        "warm_start": (is_boolean, boolean, "Pass True or False."),
        "verbose": (
            lambda value: is_boolean(value) or is_integer_from(0)(value),
            f"an int in the range [0, inf), {boolean}",
            "Pass 0, 1 or 2.",
        ),
        "verbose_interval": (*positive_int, "Pass the number of iterations between two lines."),
        "weight_concentration_prior": (*positive_or_none, "Pass None for 1 / n_components."),
        "mean_precision_prior": (*positive_or_none, "Pass None for 1."),
        "mean_prior": (_or_none(_is_array_like), "None or an array-like", "Pass an array, or None for the mean of X."),
        "degrees_of_freedom_prior": (*positive_or_none, "Pass None for the number of features."),
        "covariance_prior": (
            _or_none(lambda value: is_positive_real(value) or _is_array_like(value)),
            "None, an array-like or a float in the range (0.0, inf)",
            "Pass a float for covariance_type='spherical', an array for the others, or None for the covariance of X.",
        ),
        "step_decay": (
            lambda value: is_non_negative_real(value) and 0.5 < value <= 1.0,
            "a float in the range (0.5, 1.0]",
            "Pass 1 to let every row count equally.",
        ),
        "half_life": (*positive_or_none, "Pass the number of rows after which a row counts half, or None."),
        "degrees_of_freedom": (
            lambda value: (
                is_one_of(get_args(SharedDegreesOfFreedom))(value)
                or (is_positive_real(value) and LEAST_DEGREES_OF_FREEDOM <= value <= MOST_DEGREES_OF_FREEDOM)
            ),
            f"{options(get_args(SharedDegreesOfFreedom))} or a float in the range [{LEAST_DEGREES_OF_FREEDOM:g}, "
            f"{MOST_DEGREES_OF_FREEDOM:g}]",
            "For still lighter tails, use GaussianMixture.",
        ),
        "cv": (
            lambda value: (
                is_integer_from(2)(value)
                or (not isinstance(value, str) and (isinstance(value, Iterable) or hasattr(value, "split")))
            ),
            "an int in the range [2, inf), a splitter of scikit-learn or an iterable of splits",
            "Pass the number of folds.",
        ),
        "acceleration": (
            _or_none(is_one_of(_CHOICES["acceleration"])),
            f"{options(_CHOICES['acceleration'])} or None",
            "Pass None for plain EM.",
        ),
        "n_threads": (
            _or_none(is_integer_from(1)),
            "an int in the range [1, inf) or None",
            "Pass None to use all threads that the machine grants.",
        ),
        "client": (
            _or_none(lambda value: hasattr(value, "scheduler_info") and not value.asynchronous),
            "a distributed.Client that is not asynchronous, or None",
            "Pass None for the current client, if there is one, else dask's default scheduler.",
        ),
        "persist": (
            lambda value: is_boolean(value) or is_one_of(("auto",))(value),
            "a bool or 'auto'",
            "Pass 'auto' to hold the data in memory if they take at most half of it.",
        ),
    }


def meant(value, names) -> str:
    """A sentence that says which of the names the user probably meant; '' if that is not clear."""
    if not isinstance(value, str) or value in names:
        return ""
    if value.upper() in names:
        return f"Did you mean {value.upper()!r}?"
    near = get_close_matches(value.lower(), names, n=1)
    return f"Did you mean {near[0]!r}?" if near else ""


_SYNONYMS = {
    "n_jobs": "n_threads",
    **dict.fromkeys(["n_clusters", "k", "K", "G"], "n_components"),
    **dict.fromkeys(["modelNames", "model_names"], "covariance_type"),
    "n_iter": "max_iter",
    "min_covar": "reg_covar",
    "seed": "random_state",
    "scoring": "criterion",
}
_OF_FIT = ("callback", "sample_weight")  # parameters of fit, in the constructor by mistake


def _near(unknown: str, names: list[str]) -> str:
    """The parameter that the user probably meant; '' if that is not clear."""
    near = _SYNONYMS.get(unknown) or next(iter(get_close_matches(unknown, names, n=1)), "")
    return near if near in names else ""


P = ParamSpec("P")


def with_advice(constructor: Callable[P, None]) -> Callable[P, None]:
    """Add advice to the TypeError that Python raises for wrong arguments of the constructor."""
    names = list(signature(constructor).parameters)[1:]

    @wraps(constructor)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            constructor(*args, **kwargs)
        except TypeError as error:
            unknown = next((name for name in kwargs if name not in names), None)
            if unknown is not None:
                near = _near(unknown, names)
                if unknown in _OF_FIT:
                    advice = f"pass {unknown} to fit"
                else:
                    advice = f"use {near}" if near else f"there are {', '.join(names)}"
            elif len(args) > 1:
                advice = "pass parameters by name, such as n_components=2"
            else:
                raise
            raise TypeError(f"{str(error).partition('. Did you mean')[0]}: {advice}.") from None

    return checked


class NamedParameters(BaseEstimator):
    """An estimator whose constructor only stores its arguments."""

    # Estimators that older versions pickled do not have these parameters.
    missing: Missing = "raise"
    noise: bool | float = False

    def _keep(self, arguments: dict[str, object]) -> None:
        """Store the arguments of the constructor, given as its `locals()`, as attributes of the same names."""
        for name, value in arguments.items():
            if name != "self":
                setattr(self, name, value)  # a subclass may have made it a property

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_fastgmm_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop("_fastgmm_version", __version__)
        if version != __version__:
            warn(
                InconsistentVersionWarning(
                    estimator_name=f"fastgmm.{type(self).__name__}",
                    current_sklearn_version=__version__,
                    original_sklearn_version=version,
                )
            )
        ours = next(kind for kind in type(self).__mro__ if kind.__module__.startswith("fastgmm."))
        for name, parameter in signature(ours).parameters.items():  # an older version may not have had all of them
            state.setdefault(name, parameter.default)
        super().__setstate__(state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = allows_missing(self)
        return tags

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Parameters
        ----------
        **params : dict
            Parameters of the constructor.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If there is no such parameter; then none is set.
        """
        names = sorted(self.get_params(deep=False))
        for name in params:
            name = name.partition("__")[0]
            if name not in names:
                advice = f" Use {near}." if (near := _near(name, names)) else ""
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self!r}. Valid parameters are: {names!r}.{advice}"
                )
        return super().set_params(**params)


def check_parameters(estimator, skip: tuple[str, ...] = ()) -> None:
    """Raise scikit-learn's InvalidParameterError if a parameter is not valid. Those in `skip` are not checked."""
    rules = _parameter_rules(accepted_names())
    constraints = _constraints_of_subclass(type(estimator))
    if constraints:
        from sklearn.utils._param_validation import validate_parameter_constraints

        parameters = {name: getattr(estimator, name) for name in constraints}
        validate_parameter_constraints(constraints, parameters, caller_name=type(estimator).__name__)
    ours = next(kind for kind in type(estimator).__mro__ if kind.__module__.startswith("fastgmm."))
    for name in _constructor_parameters(ours):
        if name in skip or name in constraints:
            continue
        accepts, expected, remedy = rules[name]
        value = getattr(estimator, name)
        if not accepts(value):
            names = accepted_names() if name == "covariance_type" else _CHOICES.get(name, ())
            raise invalid_parameter_error()(
                f"The {name!r} parameter of {type(estimator).__name__} must be {expected}. "
                f"Got {value!r} instead. {meant(value, names) or remedy}"
            )
    if getattr(estimator, "prior", None) is not None and allows_missing(estimator):
        raise ValueError(
            f"prior={estimator.prior!r} does not work with missing={estimator.missing!r}: it is made from the "
            "covariance of complete rows. Fill the missing values, or pass prior=None."
        )


@lru_cache
def _constructor_parameters(kind: type) -> tuple[str, ...]:
    return tuple(signature(kind).parameters)


def _constraints_of_subclass(kind: type) -> dict[str, Any]:
    """The `_parameter_constraints` that a user's subclass adds to scikit-learn's, or changes."""
    constraints: dict = getattr(kind, "_parameter_constraints", {})
    of_sklearn = getattr(getattr(kind, "_sklearn_class", None), "_parameter_constraints", {})
    if constraints is of_sklearn:
        return {}
    return {name: value for name, value in constraints.items() if value is not of_sklearn.get(name)}


def invalid_parameter_error():
    """The class that scikit-learn raises, or one like it: scikit-learn's is in a private module, which may move."""
    try:
        from sklearn.utils._param_validation import InvalidParameterError
    except ImportError:
        return type("InvalidParameterError", (ValueError, TypeError), {})
    return InvalidParameterError
