"""Checks of the arguments of plots."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from fastgmm._estimator.fitted import check_covariance_type
from fastgmm._estimator.parameters import CRITERIA
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._utils.values import is_boolean, is_integer_from, is_positive_real
from fastgmm._utils.words import named_kind


def check_plotted_mixture(mixture):
    """The mixture to draw: the argument, or the best estimator of a search.

    Any object with the parameters and fitted attributes of scikit-learn's mixture will do. Raises TypeError for others,
    NotFittedError before a fit.
    """
    if getattr(mixture, "criterion", None) in CRITERIA:
        check_is_fitted(mixture, "best_estimator_")
    mixture = getattr(mixture, "best_estimator_", mixture)
    if hasattr(mixture, "steps"):
        raise TypeError(
            f"mixture must be a Gaussian mixture, got {named_kind(mixture)}: pass its last step, and the rows as that "
            "sees them: pipeline[-1] and pipeline[:-1].transform(X)."
        )
    if getattr(mixture, "covariance_type", None) not in tuple(COVARIANCE_TYPES) or not hasattr(mixture, "fit"):
        raise TypeError(
            f"mixture must be a Gaussian mixture with one of the covariance types {', '.join(COVARIANCE_TYPES)}. Got "
            f"{named_kind(mixture)} instead. Pass the fitted mixture itself first, then the data."
        )
    check_is_fitted(mixture, ("weights_", "means_", "precisions_cholesky_"))
    check_covariance_type(mixture, ("precisions_cholesky_",))
    return mixture


def check_axes(ax) -> None:
    """Raise TypeError unless `ax` is None or one Axes."""
    if ax is not None and not hasattr(ax, "get_xaxis_transform"):
        remedy = "one of them" if np.ndim(ax) else "what matplotlib.pyplot.subplots returns second"
        raise TypeError(f"ax must be Axes of matplotlib or None, got {type(ax).__name__}: pass {remedy}.")


def check_plotted_features(features, names: list[str], at_most: int) -> list[int]:
    """Numbers of the features to draw, from one or several numbers or names; None: all.

    Raises ValueError if they are more than `at_most`, or some do not exist or occur twice.
    """
    if features is None and len(names) > at_most:
        raise ValueError(
            f"X has {len(names)} features, of which at most {at_most} can be drawn: pass their numbers or names, such "
            f"as features={list(range(at_most))}."
        )
    features = range(len(names)) if features is None else features
    several = isinstance(features, Iterable) and not isinstance(features, str)
    given = list(features) if several else [features]
    numbers = [names.index(feature) if feature in names else feature for feature in given]
    shown = "" if names[0] == "feature 0" else f", such as {', '.join(map(repr, names[:at_most]))}"
    choice = f"pass numbers from 0 to {len(names) - 1}, or names{shown}"
    for number in numbers:
        if is_boolean(number) or not is_integer_from(0)(number) or number >= len(names):
            raise ValueError(f"features holds {number!r}, which is no feature of the mixture: {choice}.")
    if not 1 <= len(numbers) <= at_most or len(set(numbers)) < len(numbers):
        got = repr(features) if len(numbers) <= at_most else f"{len(numbers)}"
        raise ValueError(f"features must be 1 to {at_most} different features, got {got}: {choice}.")
    return numbers


def check_n_std(n_std) -> None:
    """Raise ValueError unless `n_std` is a finite number > 0."""
    if is_boolean(n_std) or not is_positive_real(n_std):
        raise ValueError(f"n_std must be a finite float > 0, got {n_std!r}: pass 2 for two standard deviations.")


def check_plotted_search(search) -> None:
    """Raise TypeError or NotFittedError unless `search` is a fitted search."""
    if not hasattr(search, "criterion"):
        remedy = "pass pipeline[-1]" if hasattr(search, "steps") else "pass what its fit returns"
        raise TypeError(f"search must be a fitted GaussianMixtureIC, got {named_kind(search)}: {remedy}.")
    if not hasattr(search, "criterion_"):
        raise NotFittedError(f"This {type(search).__name__} has no criterion_, it is not fitted yet: call fit first.")
