"""Where user input is rejected: parameters, options and fitted attributes; rows and weights are in `_data_validation`.

Exception types are scikit-learn's, and so is the core of each message, since tools and tests look for it; what follows
names the value and the remedy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache, wraps
from inspect import isfunction, signature
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_array, check_is_fitted

from fastgmm._input.containers import FLOAT_DTYPES
from fastgmm._input.numbers import Source, check_numbers, located
from fastgmm._utils.words import named_kind

INIT_PARAMS = ("kmeans", "k-means++", "random", "random_from_data", "sample")
WEIGHT_CONCENTRATION_PRIOR_TYPES = ("dirichlet_process", "dirichlet_distribution")
CRITERIA = ("bic", "aic", "icl", "cv")
ON_INTERRUPT = ("raise", "keep")
STOPPING = ("change", "aitken")
ACCELERATION = ("lbfgs",)
FIXABLE = ("weights", "means", "covariances")
_RANDOM_STATE = "an int in the range [0, 4294967295], an instance of 'numpy.random.mtrand.RandomState' or None"


# Constructor parameters ----------------------------------------------------------------------------------------------


def _is_integer_from(minimum):
    return lambda value: isinstance(value, Integral) and value >= minimum


def _is_non_negative_real(value):
    return isinstance(value, Real) and 0.0 <= float(value) < math.inf  # NaN fails both comparisons


def _is_positive_real(value):
    return _is_non_negative_real(value) and value > 0.0


def _is_boolean(value):
    return isinstance(value, bool | np.bool_)


def _is_one_of(options):
    return lambda value: isinstance(value, str) and value in options


def _is_random_state(value):
    return value is None or isinstance(value, np.random.RandomState) or (_is_integer_from(0)(value) and value < 2**32)


def _is_array_like_or_none(value):
    if value is None:
        return True
    is_scalar = isinstance(value, str | bytes) or np.isscalar(value)
    return not is_scalar and (hasattr(value, "__len__") or hasattr(value, "__array__"))


def _or_none(accepts):
    return lambda value: value is None or accepts(value)


def _fixed_names(fixed) -> list:
    """The names, of which there may be one alone."""
    return list(fixed) if isinstance(fixed, list | tuple | set | frozenset) else [fixed]


def _options(names):
    return "a str among {" + ", ".join(repr(name) for name in names) + "}"


@lru_cache
def _parameter_rules(covariance_types):
    """Parameter of any of the estimators -> (accepts, what it must be, how to remedy)."""
    array_like = (_is_array_like_or_none, "an array-like or None", "Pass an array, or None to have it estimated.")
    boolean = f"an instance of 'bool' or an instance of 'numpy.{np.bool_.__name__}'"
    positive_or_none = (_or_none(_is_positive_real), "None or a float in the range (0.0, inf)")
    return {
        "n_components": (_is_integer_from(1), "an int in the range [1, inf)", "Pass the number of components to fit."),
        "covariance_type": (_is_one_of(covariance_types), _options(covariance_types), "Pass one of these names."),
        "tol": (_is_non_negative_real, "a float in the range [0.0, inf)", "Pass 0 to run all max_iter iterations."),
        "reg_covar": (_is_non_negative_real, "a float in the range [0.0, inf)", "Pass 0 for no regularization."),
        "max_iter": (_is_integer_from(0), "an int in the range [0, inf)", "Pass the largest number of EM iterations."),
        "n_init": (_is_integer_from(1), "an int in the range [1, inf)", "Pass the number of starts to try."),
        "init_params": (_is_one_of(INIT_PARAMS), _options(INIT_PARAMS), "Pass one of these names."),
        "weights_init": array_like,
        "means_init": array_like,
        "precisions_init": array_like,
        "fixed": (
            _or_none(lambda value: all(map(_is_one_of(FIXABLE), _fixed_names(value)))),
            f"{_options(FIXABLE)}, a sequence of these or None",
            "Pass for example ('means',), with means_init.",
        ),
        "random_state": (
            _is_random_state,
            _RANDOM_STATE,
            "Pass an int for repeatable results.",
        ),
        "warm_start": (_is_boolean, boolean, "Pass True or False."),
        "verbose": (
            lambda value: _is_boolean(value) or _is_integer_from(0)(value),
            f"an int in the range [0, inf), {boolean}",
            "Pass 0, 1 or 2.",
        ),
        "verbose_interval": (
            _is_integer_from(1),
            "an int in the range [1, inf)",
            "Pass the number of iterations between two lines.",
        ),
        "weight_concentration_prior_type": (
            _is_one_of(WEIGHT_CONCENTRATION_PRIOR_TYPES),
            _options(WEIGHT_CONCENTRATION_PRIOR_TYPES),
            "Pass one of these names.",
        ),
        "weight_concentration_prior": (*positive_or_none, "Pass None for 1 / n_components."),
        "mean_precision_prior": (*positive_or_none, "Pass None for 1."),
        "mean_prior": (_is_array_like_or_none, "None or an array-like", "Pass an array, or None for the mean of X."),
        "degrees_of_freedom_prior": (*positive_or_none, "Pass None for the number of features."),
        "covariance_prior": (
            _or_none(lambda value: _is_positive_real(value) or _is_array_like_or_none(value)),
            "None, an array-like or a float in the range (0.0, inf)",
            "Pass a float for covariance_type='spherical', an array for the others, or None for the covariance of X.",
        ),
        "step_decay": (
            lambda value: _is_non_negative_real(value) and 0.5 < value <= 1.0,
            "a float in the range (0.5, 1.0]",
            "Pass 1 to let every row count equally.",
        ),
        "half_life": (*positive_or_none, "Pass the number of rows after which a row counts half, or None."),
        "criterion": (_is_one_of(CRITERIA), _options(CRITERIA), "Pass one of these names."),
        "cv": (_is_integer_from(2), "an int in the range [2, inf)", "Pass the number of folds."),
        "on_interrupt": (_is_one_of(ON_INTERRUPT), _options(ON_INTERRUPT), "Pass one of these names."),
        "stopping": (_is_one_of(STOPPING), _options(STOPPING), "Pass one of these names."),
        "acceleration": (
            _or_none(_is_one_of(ACCELERATION)),
            f"{_options(ACCELERATION)} or None",
            "Pass None for plain EM.",
        ),
        "n_threads": (
            _or_none(_is_integer_from(1)),
            "an int in the range [1, inf) or None",
            "Pass None to use all threads that the machine grants.",
        ),
        "client": (
            _or_none(lambda value: hasattr(value, "scheduler_info") and not value.asynchronous),
            "a distributed.Client that is not asynchronous, or None",
            "Pass None for the current client, if there is one, else dask's default scheduler.",
        ),
        "persist": (
            lambda value: _is_boolean(value) or _is_one_of(("auto",))(value),
            "a bool or 'auto'",
            "Pass 'auto' to hold the data in memory if they take at most half of it.",
        ),
    }


_NAMES = {
    "init_params": INIT_PARAMS,
    "weight_concentration_prior_type": WEIGHT_CONCENTRATION_PRIOR_TYPES,
    "fixed": FIXABLE,
    "criterion": CRITERIA,
    "on_interrupt": ON_INTERRUPT,
    "stopping": STOPPING,
    "acceleration": ACCELERATION,
}
_OF_MCLUST = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}


def _meant(value, names) -> str:
    """Which of the names was probably meant; '' if that is not clear."""
    if not isinstance(value, str) or value in names:
        return ""
    if _OF_MCLUST.get(value) in names:
        return f"What mclust calls {value!r} is {_OF_MCLUST[value]!r} here."
    near = get_close_matches(value.lower(), names, n=1)
    return f"Did you mean {near[0]!r}?" if near else ""


_OTHER_NAMES = {"n_jobs": "n_threads", "n_clusters": "n_components", "n_iter": "max_iter", "min_covar": "reg_covar"}


def _near(unknown: str, names: Iterable[str]) -> str:
    """Which of the parameters was probably meant; '' if that is not clear."""
    names = list(names)
    near = _OTHER_NAMES.get(unknown) or next(iter(get_close_matches(unknown, names, n=1)), "")
    return near if near in names else ""


P = ParamSpec("P")


def with_advice(constructor: Callable[P, None]) -> Callable[P, None]:
    """A constructor that says what to do about arguments which it does not take; Python says what is wrong."""
    names = list(signature(constructor).parameters)[1:]

    @wraps(constructor)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            constructor(*args, **kwargs)
        except TypeError as error:
            unknown = next((name for name in kwargs if name not in names), None)
            if unknown is not None:
                near = _near(unknown, names)
                advice = f"use {near}" if near else f"there are {', '.join(names)}"
            elif len(args) > 1:
                advice = "pass parameters by name, such as n_components=2"
            else:
                raise
            raise TypeError(f"{str(error).partition('. Did you mean')[0]}: {advice}.") from None

    return checked


def check_names_of_parameters(estimator, given: Iterable[str]) -> None:
    """Raise the error of scikit-learn's `set_params`, with advice, if the estimator has no such parameter."""
    names = sorted(estimator.get_params(deep=False))
    for name in given:
        name = name.partition("__")[0]
        if name not in names:
            advice = f" Use {near}." if (near := _near(name, names)) else ""
            raise ValueError(
                f"Invalid parameter {name!r} for estimator {estimator}. Valid parameters are: {names!r}.{advice}"
            )


def check_parameters(estimator, covariance_types) -> None:
    """Raise scikit-learn's InvalidParameterError if a constructor parameter of the estimator is not usable."""
    rules = _parameter_rules(tuple(covariance_types))
    ours: Any = next(kind for kind in type(estimator).__mro__ if kind.__module__.startswith("fastgmm."))
    for name, constraints in estimator._parameter_constraints.items():
        if constraints is not ours._parameter_constraints.get(name):  # a subclass has its own
            _check_as_sklearn_does(estimator, name, constraints)
            continue
        accepts, expected, remedy = rules[name]
        value = getattr(estimator, name)
        if not accepts(value):
            names = covariance_types if name == "covariance_type" else _NAMES.get(name, ())
            raise _invalid_parameter_error()(
                f"The {name!r} parameter of {type(estimator).__name__} must be {expected}. "
                f"Got {value!r} instead. {_meant(value, names) or remedy}"
            )


def _check_as_sklearn_does(estimator, name: str, constraints) -> None:
    """A parameter that a subclass has added, or constrains otherwise, by the rules of scikit-learn."""
    from sklearn.utils._param_validation import validate_parameter_constraints

    parameters = {name: getattr(estimator, name)}
    validate_parameter_constraints({name: constraints}, parameters, caller_name=type(estimator).__name__)


def check_grid(estimator, covariance_types) -> tuple[list[int], list[str]]:
    """The numbers of components, ascending, and the covariance types that a search is to try."""
    numbers, types = estimator.n_components, estimator.covariance_type
    if _is_boolean(numbers) or isinstance(numbers, Iterator):  # an iterator could be read only once
        numbers = []
    try:
        numbers = [numbers] if isinstance(numbers, Integral) else sorted(set(numbers))
    except TypeError:
        numbers = []
    if not numbers or not all(_is_integer_from(1)(number) for number in numbers):
        raise _invalid_parameter_error()(
            f"The 'n_components' parameter of {type(estimator).__name__} must be an int in the range [1, inf) or a "
            f"sequence of them. Got {estimator.n_components!r} instead. Pass for example range(1, 10)."
        )
    types = list(covariance_types) if isinstance(types, str) and types == "all" else types
    types = [types] if isinstance(types, str) else types
    types = list(types) if np.iterable(types) else []
    if not types or not all(_is_one_of(covariance_types)(name) for name in types):
        meant = (_meant(name, covariance_types) for name in types)
        raise _invalid_parameter_error()(
            f"The 'covariance_type' parameter of {type(estimator).__name__} must be 'all', "
            f"{_options(covariance_types)} or a list of these. Got {estimator.covariance_type!r} instead. "
            f"{next(filter(None, meant), 'Pass some of these names.')}"
        )
    return [int(number) for number in numbers], list(dict.fromkeys(types))


def check_folds(n_rows: int, n_folds: int, n_components: int) -> None:
    """Every fold leaves a row for each component."""
    if n_folds > n_rows or n_rows - math.ceil(n_rows / n_folds) < max(2, n_components):
        raise ValueError(
            f"cv={n_folds} folds of n_samples={n_rows} rows leave too few to fit n_components={n_components}: use "
            "fewer components, another criterion, or more data."
        )


def check_weights_count_rows(total_weight: float, criterion: str) -> None:
    """Criteria take the sum of the weights for the number of rows."""
    if total_weight < 2.0:
        raise ValueError(
            f"The sum of sample_weight is {total_weight:g}, which criterion={criterion!r} takes for the number of "
            "rows: weights count rows. Scale them so that their sum is that number."
        )


def check_batch_rows(batch_rows) -> None:
    """How many rows a reader puts into a batch."""
    if _is_boolean(batch_rows) or not _is_integer_from(1)(batch_rows):
        raise ValueError(f"batch_rows must be an int >= 1, got {batch_rows!r}: pass how many rows a batch may have.")


def _invalid_parameter_error():
    """The class that scikit-learn raises, or one like it: its module is private and may move."""
    try:
        from sklearn.utils._param_validation import InvalidParameterError
    except ImportError:
        return type("InvalidParameterError", (ValueError, TypeError), {})
    return InvalidParameterError


# Fits ----------------------------------------------------------------------------------------------------------------


def check_start_rows(start_rows, n_components: int) -> None:
    """The sample that a start is found on."""
    if _is_boolean(start_rows) or not _is_integer_from(max(2, n_components))(start_rows):
        raise ValueError(
            f"start_rows must be an int >= 2 and >= n_components={n_components}, got {start_rows!r}: pass how many "
            "rows the start is to be found on."
        )


def check_callback(callback) -> None:
    """What is called after each batch."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable or None, got {callback!r}: pass a function of a BatchProgress.")


def check_checkpoint(checkpoint) -> None:
    """A file that can be written, which a long fit must know before its first iteration is over."""
    if checkpoint is None:
        return
    if not isinstance(checkpoint, str | PathLike):
        raise TypeError(f"checkpoint must be the path of a file or None, got {checkpoint!r}: pass 'fit.npz'.")
    if Path(checkpoint).is_dir():
        raise IsADirectoryError(f"checkpoint={str(checkpoint)!r} is a folder: pass the path of a file in it.")
    if not Path(checkpoint).parent.is_dir():
        raise FileNotFoundError(f"checkpoint={str(checkpoint)!r} is in a folder that does not exist: make it first.")


# Initial parameters --------------------------------------------------------------------------------------------------


def _check_initial_array(value, name: str, shape: tuple[int, ...], sklearn_name: str) -> np.ndarray:
    source = Source(name)
    value = check_numbers(value, source)
    remedy = f"{name} must be finite numbers of shape {shape}."
    try:
        array = check_array(value, dtype=FLOAT_DTYPES, ensure_2d=False, allow_nd=len(shape) > 2, ensure_min_samples=0)
    except ValueError as error:
        if (with_place := located(error, value, source, FLOAT_DTYPES, remedy)) is not error:
            raise with_place from None
        raise ValueError(f"{str(error).rstrip('.')}: {remedy}") from error
    if array.shape != shape:
        raise ValueError(
            f"The parameter {sklearn_name!r} should have the shape of {shape}, but got {array.shape}: the shape of "
            f"{name} follows from n_components, the features of X and covariance_type."
        )
    return array


def fixed_names(fixed) -> frozenset[str]:
    """Names of the parameters that are held fixed, from a valid `fixed`."""
    return frozenset() if fixed is None else frozenset(_fixed_names(fixed))


def check_fixed(fixed, given: Mapping[str, object]) -> frozenset[str]:
    """Names of the parameters that are held fixed, each of which has an initial value among those given."""
    names = fixed_names(fixed)
    for name in FIXABLE:
        initial = "precisions_init" if name == "covariances" else f"{name}_init"
        if name in names and given[initial] is None:
            raise ValueError(
                f"fixed={fixed!r} holds the {name} at {initial}, but {initial} is None: pass {initial}, or leave "
                f"{name!r} out of fixed."
            )
    return names


def check_weights_init(weights_init, n_components: int) -> np.ndarray | None:
    """Initial weights as float64, summing to 1."""
    if weights_init is None:
        return None
    weights = _check_initial_array(weights_init, "weights_init", (n_components,), "weights")
    if weights.min() < 0.0 or weights.max() > 1.0:
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got min value "
            f"{weights.min():.5f}, max value {weights.max():.5f}: pass positive weights_init, divided by their sum."
        )
    total = weights.sum(dtype=np.float64)
    if abs(total - 1.0) > (1e-6 if weights.dtype == np.float32 else 1e-8):
        raise ValueError(
            f"The parameter 'weights' should be normalized, but got sum(weights) = {total:.5f}: divide weights_init by "
            f"its sum, {total:.9g}."
        )
    return weights.astype(np.float64)


def check_means_init(means_init, n_components: int, n_features: int) -> np.ndarray | None:
    """Initial means as float64."""
    if means_init is None:
        return None
    means = _check_initial_array(means_init, "means_init", (n_components, n_features), "means")
    return means.astype(np.float64)


def check_precisions_init(precisions_init, covariance_type: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Initial precisions as float64, of the shape that the covariance type has, positive or positive-definite."""
    if precisions_init is None:
        return None
    precisions = _check_initial_array(precisions_init, "precisions_init", shape, f"{covariance_type} precision")
    precisions = precisions.astype(np.float64)
    _check_positive(precisions, "precisions_init", covariance_type, "inverses of covariances")
    return precisions


def _check_positive(array: np.ndarray, name: str, covariance_type: str, remedy: str) -> None:
    """ValueError unless matrices are symmetric and positive-definite or, for the diagonal types, numbers positive."""
    if covariance_type in ("full", "tied"):
        for k, matrix in enumerate(array.reshape(-1, *array.shape[-2:])):
            if not _is_positive_definite(matrix):
                which = name if array.ndim == 2 else f"matrix {k} of {name}"
                raise ValueError(
                    f"'{covariance_type} precision' should be symmetric, positive-definite, but {which} is not: "
                    f"pass {remedy}."
                )
    elif not (array > 0.0).all():
        raise ValueError(
            f"'{covariance_type} precision' should be positive, but the least value of {name} is {array.min()}: "
            f"pass {remedy}."
        )


def _is_positive_definite(matrix: np.ndarray) -> bool:
    """Symmetric and positive-definite; judged relative to the diagonal, so that the features may have any scale."""
    scales = np.sqrt(np.maximum(np.diagonal(matrix), 0.0))
    if (np.abs(matrix - matrix.T) > 1e-8 + 1e-5 * np.outer(scales, scales)).any():
        return False
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


# Priors --------------------------------------------------------------------------------------------------------------


def check_mean_prior(mean_prior, n_features: int) -> np.ndarray | None:
    """Prior mean as float64."""
    if mean_prior is None:
        return None
    return _check_initial_array(mean_prior, "mean_prior", (n_features,), "means").astype(np.float64)


def check_degrees_of_freedom_prior(degrees_of_freedom_prior, n_features: int) -> float:
    """Greater than n_features - 1, without which no Wishart density exists; default: n_features."""
    if degrees_of_freedom_prior is None:
        return n_features
    if not degrees_of_freedom_prior > n_features - 1:
        raise ValueError(
            f"The parameter 'degrees_of_freedom_prior' should be greater than {n_features - 1}, but got "
            f"{degrees_of_freedom_prior:.3f}: it must exceed the number of features minus 1; pass None for that number."
        )
    return degrees_of_freedom_prior


def check_covariance_prior(covariance_prior, covariance_type: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Prior covariance as float64, of the shape that one component has, positive or positive-definite."""
    if covariance_prior is None:
        return None
    if np.ndim(covariance_prior) == 0 and shape:
        raise _invalid_parameter_error()(
            f"The 'covariance_prior' parameter must be an array-like of shape {shape} for "
            f"covariance_type={covariance_type!r}. Got {covariance_prior!r} instead. Pass a covariance, or None for "
            "that of X."
        )
    prior = _check_initial_array(covariance_prior, "covariance_prior", shape, f"{covariance_type} covariance_prior")
    prior = prior.astype(np.float64)
    _check_positive(prior, "covariance_prior", covariance_type, "a covariance, or None for that of X")
    return prior


def check_weight_for_covariance_prior(total_weight: float) -> None:
    """The covariance of X, as default prior, is unbiased: more than one row's weight is needed."""
    if not total_weight > 1.0:
        raise ValueError(
            f"The sum of sample_weight is {total_weight}, but the covariance of X, which is the default of "
            "covariance_prior, needs more than 1: weights count rows. Scale them up, or pass covariance_prior."
        )


# Overrides -----------------------------------------------------------------------------------------------------------


def private_methods(sklearn_class: type) -> dict[str, Callable]:
    """The steps of scikit-learn's mixture that its public methods call, and ours do not; `_n_parameters` they do."""
    return {
        name: value
        for base in reversed(sklearn_class.__mro__)
        if base.__module__.startswith("sklearn.mixture")
        for name, value in vars(base).items()
        if isfunction(value) and name.startswith("_") and not name.endswith("__") and name != "_n_parameters"
    }


def check_overrides(estimator, methods: dict[str, Callable], names: Iterable[str]) -> None:
    """Nobody's own version of a method of scikit-learn's may be ignored."""
    kind, attributes = type(estimator), vars(estimator)
    for name in names:
        if name not in attributes and getattr(kind, name) is methods[name]:
            continue
        sklearn_name = estimator._sklearn_class.__name__
        owner = next((base.__name__ for base in kind.__mro__ if name in vars(base)), kind.__name__)
        what = f"The attribute {name} of this {kind.__name__}" if name in attributes else f"{owner}.{name}"
        remedy = f"To have it called, inherit from sklearn.mixture.{sklearn_name}."
        if "fixed" in estimator._parameter_constraints:
            remedy += (
                " To start from parameters of your own pass weights_init, means_init and precisions_init; to hold some "
                "of them, add for example fixed=('means',)."
            )
        raise TypeError(
            f"{what} would be ignored: it stands for a step of sklearn.mixture.{sklearn_name} that fastgmm takes in "
            f"another way. {remedy}"
        )


# Fitted parameters ---------------------------------------------------------------------------------------------------


def check_fitted_array(estimator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A fitted attribute as C-contiguous float64, of the shape that the kernels will rely on."""
    array = np.asarray(getattr(estimator, name), dtype=np.float64, order="C")
    if array.shape != shape:
        raise ValueError(
            f"{name} has the shape {array.shape}, but {shape} belongs to the data, the other fitted attributes and "
            f"covariance_type={estimator.covariance_type!r}: a parameter or an attribute was changed, or X has other "
            "features. Call fit again (with warm_start=False)."
        )
    if not _is_finite(array):
        raise ValueError(f"{name} contains NaN or infinity: it was changed. Call fit again (with warm_start=False).")
    return array


def _is_finite(array: np.ndarray) -> bool:
    """Whether all numbers are; the sum of squares is quicker to say so, until it wakes BLAS threads."""
    return (array.size < 4096 and math.isfinite(np.vdot(array, array))) or bool(np.isfinite(array).all())


def check_covariance_type(estimator, names: Iterable[str] = ("precisions_cholesky_", "covariances_")) -> None:
    """The fitted arrays must be of the covariance type that the estimator has.

    That is told by the arrays themselves, so that it holds for models from pickles, from scikit-learn, and set by hand.
    Of other shapes than any type has, they are left to `check_fitted_array`.
    """
    given = estimator.covariance_type
    shape_of_means = np.shape(estimator.means_)
    if len(shape_of_means) != 2:
        return
    for name in names:
        array = getattr(estimator, name, None)
        if array is None:
            continue
        shape = np.shape(array)
        if shape_of_means[0] != shape_of_means[1] and shape == _SHAPES[given](*shape_of_means):
            continue
        may_be = [covariance_type for covariance_type, of in _SHAPES.items() if of(*shape_of_means) == shape]
        if len(may_be) > 1:
            may_be = _alike(np.asarray(array), name)
        if may_be and given not in may_be:
            types = " or ".join(f"covariance_type={name!r}" for name in may_be)
            raise ValueError(
                f"{name} has the shape {shape} and values of {types}, but the estimator has covariance_type={given!r}: "
                "the parameter was changed after the fit, or attributes were set by hand. Call fit again (with "
                f"warm_start=False), or set {types}."
            )


_SHAPES = {  # of n_components, n_features
    "full": lambda K, d: (K, d, d),
    "tied": lambda K, d: (d, d),
    "diag": lambda K, d: (K, d),
    "spherical": lambda K, d: (K,),
}


def _alike(array: np.ndarray, name: str) -> list[str]:
    """The types that a square matrix of as many components as features may be of: 'tied' or 'diag'.

    One is triangular, or symmetric, the other one holds rows of positive numbers.
    """
    if not (array > 0.0).all():
        return ["tied"]
    is_symmetric = name != "precisions_cholesky_" and bool(np.allclose(array, array.T, rtol=1e-3, atol=0.0))
    return ["tied", "diag"] if len(array) == 1 or is_symmetric else ["diag"]


def check_triangular(factors: np.ndarray) -> None:
    """Factors of precisions are triangular matrices."""
    matrices = factors.reshape(-1, *factors.shape[-2:])
    for k, matrix in enumerate(matrices):
        if np.tril(matrix, -1).any() and np.triu(matrix, 1).any():
            which = "precisions_cholesky_" if len(matrices) == 1 else f"precisions_cholesky_[{k}]"
            raise ValueError(
                f"{which} is not triangular: it must be U with precision = U @ U.T, such as "
                "np.linalg.cholesky(precision). Call fit again (with warm_start=False)."
            )


def check_rows_behind(estimator) -> float:
    """The weight of the rows that a fitted model has learned from."""
    n_samples_seen = getattr(estimator, "n_samples_seen_", math.nan)
    if not _is_positive_real(n_samples_seen):
        raise ValueError(
            f"n_samples_seen_ must be a finite float > 0 for partial_fit to go on, got {n_samples_seen!r}: set it to "
            "the number of rows behind the model (one that scikit-learn fitted does not know it), or call fit."
        )
    return float(n_samples_seen)


def check_n_draws(n_samples) -> int:
    """How many rows to draw."""
    if isinstance(n_samples, np.ndarray) and n_samples.ndim == 0:
        n_samples = n_samples.item()
    if not (isinstance(n_samples, Real) and float(n_samples).is_integer()):
        raise TypeError(f"n_samples must be an int >= 1, got {n_samples!r}: pass how many rows to draw.")
    if n_samples < 1:
        raise ValueError(
            f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample: pass how many "
            "rows to draw."
        )
    return int(float(n_samples))


def check_draws_from(estimator, random_state) -> None:
    """Random numbers for one call."""
    if not _is_random_state(random_state):
        raise _invalid_parameter_error()(
            f"The 'random_state' parameter of {type(estimator).__name__}.sample must be {_RANDOM_STATE}. "
            f"Got {random_state!r} instead. Pass an int for repeatable rows, or None for the estimator's random_state."
        )


def check_statistics_fit(estimator, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """What earlier batches left is of the covariance type that the estimator has now."""
    if shape != expected:
        raise ValueError(
            f"The rows so far left statistics of shape {shape}, but {expected} belongs to "
            f"covariance_type={estimator.covariance_type!r}: a parameter was changed between two batches. Change it "
            "back, or call fit to start anew."
        )


# Plots ---------------------------------------------------------------------------------------------------------------


def check_plotted_mixture(mixture, covariance_types):
    """The mixture to draw: anything with the parameters and fitted attributes of scikit-learn's, or what a search
    has found.
    """
    if getattr(mixture, "criterion", None) in CRITERIA:
        check_is_fitted(mixture, "best_estimator_")
    mixture = getattr(mixture, "best_estimator_", mixture)
    if hasattr(mixture, "steps"):
        raise TypeError(
            f"mixture must be a Gaussian mixture, got {named_kind(mixture)}: pass its last step, and the rows as that "
            "sees them: pipeline[-1] and pipeline[:-1].transform(X)."
        )
    if getattr(mixture, "covariance_type", None) not in tuple(covariance_types) or not hasattr(mixture, "fit"):
        raise TypeError(
            f"mixture must be a Gaussian mixture with one of the covariance types {', '.join(covariance_types)}. Got "
            f"{named_kind(mixture)} instead. Pass the fitted mixture itself first, then the data."
        )
    check_is_fitted(mixture, ("weights_", "means_", "precisions_cholesky_"))
    check_covariance_type(mixture, ("precisions_cholesky_",))
    return mixture


def check_axes(ax) -> None:
    """Where to draw: one Axes."""
    if ax is not None and not hasattr(ax, "get_xaxis_transform"):
        remedy = "one of them" if np.ndim(ax) else "what matplotlib.pyplot.subplots returns second"
        raise TypeError(f"ax must be Axes of matplotlib or None, got {type(ax).__name__}: pass {remedy}.")


def all_plotted_features(names: list[str], at_most: int) -> range:
    """Numbers of all features, if they are not too many."""
    if len(names) > at_most:
        raise ValueError(
            f"X has {len(names)} features, of which at most {at_most} can be drawn: pass their numbers or names, such "
            f"as features={list(range(at_most))}."
        )
    return range(len(names))


def check_plotted_features(features, names: list[str], at_most: int) -> list[int]:
    """Numbers of the features to draw, from numbers or names, one of them or several."""
    several = isinstance(features, Iterable) and not isinstance(features, str)
    given = list(features) if several else [features]
    numbers = [names.index(feature) if feature in names else feature for feature in given]
    shown = "" if names[0] == "feature 0" else f", such as {', '.join(map(repr, names[:at_most]))}"
    choice = f"pass numbers from 0 to {len(names) - 1}, or names{shown}"
    for number in numbers:
        if _is_boolean(number) or not _is_integer_from(0)(number) or number >= len(names):
            raise ValueError(f"features holds {number!r}, which is no feature of the mixture: {choice}.")
    if not 1 <= len(numbers) <= at_most or len(set(numbers)) < len(numbers):
        got = repr(features) if len(numbers) <= at_most else f"{len(numbers)}"
        raise ValueError(f"features must be 1 to {at_most} different features, got {got}: {choice}.")
    return numbers


def check_n_std(n_std) -> None:
    """How far an ellipse reaches."""
    if _is_boolean(n_std) or not _is_non_negative_real(n_std) or n_std == 0:
        raise ValueError(f"n_std must be a finite float > 0, got {n_std!r}: pass 2 for two standard deviations.")


def check_plotted_search(search) -> None:
    """A fitted search over numbers of components and covariance types."""
    if not hasattr(search, "criterion"):
        remedy = "pass pipeline[-1]" if hasattr(search, "steps") else "pass what its fit returns"
        raise TypeError(f"search must be a fitted GaussianMixtureIC, got {named_kind(search)}: {remedy}.")
    if not hasattr(search, "criterion_"):
        raise NotFittedError(f"This {type(search).__name__} has no criterion_, it is not fitted yet: call fit first.")
