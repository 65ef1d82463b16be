"""Checks of the arguments of plots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from fastgmm._utils.values import is_boolean, is_positive_real
from fastgmm._utils.words import named_kind


@contextmanager
def needs_matplotlib() -> Iterator[None]:
    """Say how to install matplotlib if an import within the context fails without it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("matplotlib"):
            raise
        raise ImportError("Plots need matplotlib: python -m pip install matplotlib") from error


def check_axes(ax) -> None:
    """Raise TypeError unless `ax` is None or one Axes."""
    if ax is not None and not hasattr(ax, "get_xaxis_transform"):
        remedy = "one of them" if np.ndim(ax) else "what matplotlib.pyplot.subplots returns second"
        raise TypeError(f"ax must be Axes of matplotlib or None, got {type(ax).__name__}: pass {remedy}.")


def check_n_std(n_std) -> None:
    """Raise ValueError unless `n_std` is a finite number > 0."""
    if is_boolean(n_std) or not is_positive_real(n_std):
        raise ValueError(f"n_std must be a finite float > 0, got {n_std!r}: pass 2 for two standard deviations.")


def check_plotted_search(search):
    """The fitted search, which may be the last step of a pipeline. Raises TypeError or NotFittedError for others."""
    while hasattr(search, "steps"):
        search = search.steps[-1][1]
    if not hasattr(search, "criterion"):
        raise TypeError(
            f"search must be a fitted GaussianMixtureIC, got {named_kind(search)}: pass what its fit returns, or a "
            "pipeline that ends in one."
        )
    if not hasattr(search, "criterion_"):
        raise NotFittedError(f"This {type(search).__name__} has no criterion_, it is not fitted yet: call fit first.")
    return search


def check_linear_axes(ax, y_may_be_log: bool) -> None:
    """Raise ValueError if a scale of the Axes would bend ellipses and contours. A density may have a log axis."""
    if ax is None:
        return
    for axis, scale in (("x", ax.get_xscale()), ("y", ax.get_yscale())):
        if scale != "linear" and not (axis == "y" and scale == "log" and y_may_be_log):
            raise ValueError(
                f"ax must have linear scales, its {axis} axis has the scale {scale!r}: the components are Gaussian in "
                "the features as given. Take logarithms first: fit to np.log(X), and draw that."
            )


def check_lower_bounds(mixture) -> None:
    """Raise TypeError, NotFittedError or ValueError unless the mixture knows the bounds of its iterations."""
    if not hasattr(mixture, "fit") or hasattr(mixture, "transform"):
        raise TypeError(
            "mixture must be a fitted Gaussian mixture, or a fitted search or pipeline that ends in one. Got "
            f"{named_kind(mixture)} instead."
        )
    check_is_fitted(mixture)
    if not hasattr(mixture, "lower_bounds_"):
        raise TypeError(
            f"{named_kind(mixture)} has no lower_bounds_: pass a mixture of fastgmm, or of scikit-learn 1.7 or later."
        )
    if len(mixture.lower_bounds_) == 0:
        raise ValueError("mixture has no iterations to draw, its lower_bounds_ is empty: fit it with max_iter > 0.")
