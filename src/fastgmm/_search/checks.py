"""Checks of the candidates that a search is to try, and of what its criterion needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral

import numpy as np

from fastgmm._estimator.parameters import invalid_parameter_error, meant, options
from fastgmm._utils.values import is_boolean, is_integer_from, is_one_of


def check_grid(estimator, covariance_types) -> tuple[list[int], list[str]]:
    """The numbers of components, ascending, and the covariance types that a search is to try."""
    numbers, types = estimator.n_components, estimator.covariance_type
    if is_boolean(numbers) or isinstance(numbers, Iterator):  # an iterator could be read only once
        numbers = []
    try:
        numbers = [numbers] if isinstance(numbers, Integral) else sorted(set(numbers))
    except TypeError:
        numbers = []
    if not numbers or not all(is_integer_from(1)(number) for number in numbers):
        raise invalid_parameter_error()(
            f"The 'n_components' parameter of {type(estimator).__name__} must be an int in the range [1, inf) or a "
            f"sequence of them. Got {estimator.n_components!r} instead. Pass for example range(1, 10)."
        )
    types = list(covariance_types) if isinstance(types, str) and types == "all" else types
    types = [types] if isinstance(types, str) else types
    types = list(types) if np.iterable(types) else []
    if not types or not all(is_one_of(covariance_types)(name) for name in types):
        hints = (meant(name, covariance_types) for name in types)
        raise invalid_parameter_error()(
            f"The 'covariance_type' parameter of {type(estimator).__name__} must be 'all', "
            f"{options(covariance_types)} or a list of these. Got {estimator.covariance_type!r} instead. "
            f"{next(filter(None, hints), 'Pass some of these names.')}"
        )
    return [int(number) for number in numbers], list(dict.fromkeys(types))


def check_folds(n_rows: int, n_folds: int, n_components: int) -> None:
    """Raise ValueError if a fold leaves too few rows for the components."""
    if n_folds > n_rows or n_rows - math.ceil(n_rows / n_folds) < max(2, n_components):
        raise ValueError(
            f"cv={n_folds} folds of n_samples={n_rows} rows leave too few to fit n_components={n_components}: use "
            "fewer components, another criterion, or more data."
        )


def check_weights_count_rows(total_weight: float, criterion: str) -> None:
    """Raise ValueError if the sum of the weights, which criteria take for the number of rows, is too small."""
    if total_weight < 2.0:
        raise ValueError(
            f"The sum of sample_weight is {total_weight:g}, which criterion={criterion!r} takes for the number of "
            "rows: weights count rows. Scale them so that their sum is that number."
        )
