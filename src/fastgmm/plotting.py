"""Pictures of a fitted mixture and of the search for one.

They need matplotlib: ``python -m pip install matplotlib``.

Every function takes the fitted object first, then data, and returns the Axes it drew on. Where features are left out,
the mixture is shown by its marginal. Legends stand to the right of the axes: in a figure of your own, constrained
layout makes room for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastgmm._input.containers import column_names
from fastgmm._input.rows import check_predict_data
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._plots.checks import (
    check_axes,
    check_n_std,
    check_plotted_features,
    check_plotted_mixture,
    check_plotted_search,
)
from fastgmm._plots.marginals import marginal_of
from fastgmm._utils.annotations import Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Features: TypeAlias = int | str | Sequence[int | str]

__all__ = ["plot_components", "plot_criterion", "plot_density", "plot_pairs", "plot_uncertainty"]

_MARKERS = "osD^vP*X<>"  # of covariance types

_MAX_PAIRED_FEATURES = 8  # in a plot of pairs
_SHARES = np.array([0.99, 0.95, 0.9, 0.75, 0.5])  # of the mass, within the contours


def _import_drawing():
    try:
        from fastgmm._plots import drawing
    except ImportError as error:
        raise ImportError("Plots need matplotlib: python -m pip install matplotlib") from error
    return drawing


def _checked(mixture, X, features, at_most: int = 2):
    """The mixture to draw, and numbers and names of the features to draw."""
    mixture = check_plotted_mixture(mixture)
    n_features = mixture.means_.shape[1]
    names = list(getattr(mixture, "feature_names_in_", column_names(X) or ()))
    if len(names) != n_features or not all(isinstance(name, str) for name in names):
        names = [f"feature {j}" for j in range(n_features)]
    if features is None and at_most == 2:
        features = range(min(n_features, 2))
    numbers = check_plotted_features(features, names, at_most)
    return mixture, numbers, [names[j] for j in numbers]


def _draw_panels(drawing, panels, mixture, marginal, X, rows, n_std) -> None:
    """Draw rows and components in each panel: a pair of Axes and the columns of `marginal` and `rows` that it shows."""
    colors = None
    if rows is not None and len(rows) <= drawing.MAX_DOTS:
        colors = drawing.component_colors(marginal.weights)[mixture.predict(X)]
    for ax, features in panels:
        if rows is not None:
            drawing.draw_rows(ax, rows[:, features], colors)
        drawing.draw_components(ax, marginal.of(features), n_std)


def _name_axes(ax, names: list[str]) -> None:
    ax.set(xlabel=names[0], ylabel=names[1] if len(names) == 2 else "density")


def plot_components(
    mixture: Any, X: Rows | None = None, *, features: Features | None = None, n_std: float = 2.0, ax: Axes | None = None
) -> Axes:
    """Draw the components of a mixture as ellipses, over the data.

    Light components fade; those with less than 1/500 of the heaviest one's weight, as a Bayesian mixture leaves behind,
    are not drawn. Up to 10,000 rows are dots in the color of their component, more are hexagons shaded by the logarithm
    of their number. A single feature is shown as a histogram, with the density of each component and their sum.

    Parameters
    ----------
    mixture : GaussianMixture
        A fitted mixture, fastgmm's or scikit-learn's, `BayesianGaussianMixture` included; or a fitted search, which is
        shown by its best estimator.

    X : array-like of shape (n_samples, n_features), default=None
        Data to draw, with all features that the mixture knows.

    features : int, str or sequence of one or two of them, default=None
        Numbers or names of the features to draw. None: the first two, or the only one.

    n_std : float, default=2.0
        Standard deviations from the mean to the edge of an ellipse. Two hold 86 % of a component in two features, 95 %
        in one.

    ax : matplotlib Axes, default=None
        Where to draw. None: a new figure.

    Returns
    -------
    ax : matplotlib Axes

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_old_faithful
    >>> from fastgmm.plotting import plot_components
    >>> X = load_old_faithful()
    >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> ax = plot_components(gmm, X)
    """
    check_n_std(n_std)
    check_axes(ax)
    mixture, numbers, names = _checked(mixture, X, features)
    rows = None if X is None else check_predict_data(mixture, X)[:, numbers]
    marginal = marginal_of(mixture, numbers)
    drawing = _import_drawing()
    ax = drawing.axes_or_new(ax)
    _draw_panels(drawing, [(ax, range(len(numbers)))], mixture, marginal, X, rows, n_std)
    drawing.legend_of_components(ax, marginal.weights)
    _name_axes(ax, names)
    return ax


def plot_pairs(mixture: Any, X: Rows, *, features: Features | None = None, n_std: float = 2.0) -> NDArray[np.object_]:
    """Draw the components over every pair of features, and over each feature on the diagonal.

    Parameters
    ----------
    mixture : GaussianMixture
        A fitted mixture.

    X : array-like of shape (n_samples, n_features)
        Data to draw. The panels are those of `plot_components`.

    features : sequence of int or str, default=None
        Numbers or names of at most 8 features. None: all, if they are no more.

    n_std : float, default=2.0
        Standard deviations from the mean to the edge of an ellipse.

    Returns
    -------
    axes : ndarray of shape (n, n) of matplotlib Axes
        The n = ``len(features)`` rows and columns of panels in a new figure; those above the diagonal are not visible.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.plotting import plot_pairs
    >>> X = load_iris(as_frame=True).data
    >>> gmm = GaussianMixture(n_components=3, random_state=0).fit(X)
    >>> plot_pairs(gmm, X).shape
    (4, 4)
    """
    check_n_std(n_std)
    mixture, numbers, names = _checked(mixture, X, features, _MAX_PAIRED_FEATURES)
    rows = check_predict_data(mixture, X)[:, numbers]
    marginal = marginal_of(mixture, numbers)
    drawing = _import_drawing()
    axes = drawing.pair_axes(len(names))
    lower = zip(*np.tril_indices(len(names)), strict=True)
    panels = [(axes[i, j], [j] if i == j else [j, i]) for i, j in lower]
    _draw_panels(drawing, panels, mixture, marginal, X, rows, n_std)
    for j, name in enumerate(names):
        axes[-1, j].set_xlabel(name)
        axes[j, 0].set_ylabel(name if j else "density")
    drawing.legend_of_components(axes[0, 0], marginal.weights)
    if len(names) > 1 and (legend := axes[0, 0].get_legend()):
        legend.set_in_layout(False)  # no panel is where it stands
    return axes


def plot_density(
    mixture: Any, X: Rows | None = None, *, features: Features | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the density of a mixture by contours that contain 50, 75, 90, 95 and 99 % of its mass.

    The contours bound regions of highest density: the smallest that contain their share [1]_.

    Parameters
    ----------
    mixture : GaussianMixture
        A fitted mixture.

    X : array-like of shape (n_samples, n_features), default=None
        Data to draw: up to 10,000 rows as dots, more as hexagons shaded by the logarithm of their number, or as a
        histogram where there is one feature.

    features : int, str or sequence of one or two of them, default=None
        Numbers or names of the features to draw. None: the first two, or the only one.
        One is drawn as a curve, under which the same shares are shaded.

    ax : matplotlib Axes, default=None
        Where to draw. None: a new figure.

    Returns
    -------
    ax : matplotlib Axes

    References
    ----------
    .. [1] Hyndman, "Computing and graphing highest density regions", The American Statistician 50, 1996.

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_old_faithful
    >>> from fastgmm.plotting import plot_density
    >>> X = load_old_faithful()
    >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> ax = plot_density(gmm, X)
    """
    check_axes(ax)
    mixture, numbers, names = _checked(mixture, X, features)
    rows = None if X is None else check_predict_data(mixture, X)[:, numbers]
    marginal = marginal_of(mixture, numbers)
    drawing = _import_drawing()
    ax = drawing.axes_or_new(ax)
    levels, grid = marginal.highest_density_regions(_SHARES)
    log_density = marginal.log_density(np.stack(np.meshgrid(*grid), axis=-1))
    shades = drawing.ramp(ax, drawing.ACCENT)
    if rows is not None:
        drawing.draw_rows(ax, rows)
    if len(grid) == 1:
        density = np.exp(log_density)
        for level, share in zip(levels, _SHARES, strict=True):
            inside = log_density >= level
            ax.fill_between(grid[0], density, where=inside, color=shades(1 - share), label=f"{share:.0%}")
        ax.plot(*grid, density, color=drawing.ACCENT)
        ax.legend(title="mass", **drawing.OUTSIDE)
    else:
        log_density = np.maximum(log_density, levels[0] - 50.0)  # contours need finite numbers
        if rows is None:
            ax.contourf(*grid, log_density, [*levels, np.inf], colors=shades(1 - _SHARES))
        contours = ax.contour(*grid, log_density, levels, colors=drawing.ACCENT, linewidths=1.2, linestyles="solid")
        texts = {level: f"{share:.0%}" for level, share in zip(levels, _SHARES, strict=True)}
        for label in ax.clabel(contours, fmt=texts, fontsize="small", colors=drawing.ink()):
            label.set_path_effects(drawing.halo(ax, 2.0))
    _name_axes(ax, names)
    return ax


def plot_uncertainty(mixture: Any, X: Rows, *, features: Features | None = None, ax: Axes | None = None) -> Axes:
    """Draw the rows by how uncertain their component is: 1 minus the largest responsibility.

    The shade ends at 0.5, where the row more probably belongs to other components than to the one predicted. Up to
    10,000 rows are dots whose size grows with uncertainty; more are hexagons shaded by the mean of their rows. With a
    single feature, uncertainty is the vertical axis.

    Parameters
    ----------
    mixture : GaussianMixture
        A fitted mixture.

    X : array-like of shape (n_samples, n_features)
        Data to draw.

    features : int, str or sequence of one or two of them, default=None
        Numbers or names of the features to draw. None: the first two, or the only one.
        The responsibilities are those given all features.

    ax : matplotlib Axes, default=None
        Where to draw. None: a new figure.

    Returns
    -------
    ax : matplotlib Axes

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_old_faithful
    >>> from fastgmm.plotting import plot_uncertainty
    >>> X = load_old_faithful()
    >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> ax = plot_uncertainty(gmm, X)
    """
    check_axes(ax)
    mixture, numbers, names = _checked(mixture, X, features)
    rows = check_predict_data(mixture, X)[:, numbers]
    uncertainty = 1.0 - mixture.predict_proba(X).max(axis=1)
    drawing = _import_drawing()
    ax = drawing.axes_or_new(ax)
    if len(names) == 1:
        drawing.draw_rows(ax, np.column_stack([rows, uncertainty]))
        _name_axes(ax, [*names, "uncertainty"])
        return ax
    shading = {"cmap": drawing.ramp(ax, drawing.ACCENT, start=drawing.ink()), "vmin": 0.0, "vmax": 0.5}
    if len(rows) <= drawing.MAX_DOTS:
        order = np.argsort(uncertainty)  # the uncertain ones on top
        sizes = 10 + 80 * uncertainty[order]
        drawn = ax.scatter(rows[order, 0], rows[order, 1], c=uncertainty[order], s=sizes, linewidth=0, **shading)
    else:
        drawn = ax.hexbin(rows[:, 0], rows[:, 1], C=uncertainty, gridsize=drawing.hexagons_across(ax), **shading)
    label = "uncertainty" if len(rows) <= drawing.MAX_DOTS else "mean uncertainty"
    ax.figure.colorbar(drawn, ax=ax, label=label, extend="max" if len(mixture.weights_) > 2 else "neither")
    _name_axes(ax, names)
    return ax


def plot_criterion(search: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the criterion of a search against the number of components, one line for each covariance type.

    The winner wears a ring. Fits that degenerated leave a gap and a cross at the bottom.

    Parameters
    ----------
    search : GaussianMixtureIC
        A fitted search.

    ax : matplotlib Axes, default=None
        Where to draw. None: a new figure.

    Returns
    -------
    ax : matplotlib Axes

    Examples
    --------
    >>> from fastgmm import GaussianMixtureIC
    >>> from fastgmm.datasets import load_old_faithful
    >>> from fastgmm.plotting import plot_criterion
    >>> search = GaussianMixtureIC(range(1, 7), random_state=0).fit(load_old_faithful())
    >>> ax = plot_criterion(search)
    """
    check_axes(ax)
    check_plotted_search(search)
    drawing = _import_drawing()
    ax = drawing.axes_or_new(ax)
    columns = ("covariance_type", "n_components", "criterion")
    types, counts, values = (np.asarray(search.criterion_[name]) for name in columns)
    for i, covariance_type in enumerate(COVARIANCE_TYPES):  # the same colors whatever was searched
        if covariance_type not in types:
            continue
        rows = np.flatnonzero(types == covariance_type)
        rows = rows[np.argsort(counts[rows])]
        color, marker = drawing.PALETTE[i % len(drawing.PALETTE)], _MARKERS[i % len(_MARKERS)]
        ax.plot(counts[rows], values[rows], color=color, marker=marker, markersize=5, label=covariance_type)
        failed = counts[rows[np.isnan(values[rows])]]
        height = np.full(len(failed), 0.025 + 0.03 * i)  # of the axes
        ax.plot(failed, height, "x", color=color, markersize=5, transform=ax.get_xaxis_transform())
    best = (types == search.covariance_type_) & (counts == search.n_components_)
    ring = {"markersize": 13, "markeredgewidth": 1.5, "markeredgecolor": drawing.ink(), "markerfacecolor": "none"}
    ax.plot(counts[best], values[best], "o", label="best", **ring)
    if np.isnan(values).any():
        bottom, top = ax.get_ylim()
        ax.set_ylim(bottom - 0.05 * len(COVARIANCE_TYPES) * (top - bottom), top)  # space for the crosses
        ax.plot([], [], "x", color=drawing.ink(), markersize=5, label="degenerate")
    drawing.integer_ticks(ax, counts)
    ax.set(xlabel="n_components", ylabel=f"{search.criterion.upper()} (lower is better)")
    ax.legend(**drawing.OUTSIDE)
    return ax
