"""Pictures of a fitted mixture and of the search for one.

They need matplotlib: ``python -m pip install matplotlib``.

Every function takes the fitted object first, then data, and returns the Axes it drew on. The fitted object is a mixture
of fastgmm or of scikit-learn, a search, or a pipeline that ends in one of them. If features are left out, the
mixture is shown by its marginal. Legends stand beside the axes if the layout of the figure makes room for them, as
``layout="constrained"`` does. Otherwise they stand within.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastgmm._plots.checks import (
    check_axes,
    check_linear_axes,
    check_lower_bounds,
    check_n_std,
    check_plotted_search,
    needs_matplotlib,
)
from fastgmm._plots.of_fit import plot_distances, plot_merging
from fastgmm._plots.subject import subject_of, unwrapped
from fastgmm._plots.view import limits_of
from fastgmm._utils.annotations import Features, Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "plot_components",
    "plot_convergence",
    "plot_criterion",
    "plot_density",
    "plot_distances",
    "plot_merging",
    "plot_pairs",
    "plot_uncertainty",
]

_MAX_PAIRED_FEATURES = 8  # in a plot of pairs
_STD_IN_VIEW = 3.0  # standard deviations of each component that a density shows


def plot_components(
    mixture: Any,
    X: Rows | None = None,
    *,
    features: Features | None = None,
    n_std: float = 2.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the components of a mixture as ellipses, over the data.

    The number of each component stands at its mean. Neighbors differ in color, and no two components share both color
    and shape of dots. Light components fade. Those with less than 1/500 of the heaviest one's weight, as a Bayesian
    mixture leaves behind, are not drawn. Up to 10,000 rows are dots in the color of their component, more are hexagons
    shaded by the logarithm of their number. A single feature is shown as a histogram, with the density of each
    component and their sum. Rows of the background of a mixture with noise are gray.

    Parameters
    ----------
    mixture : GaussianMixture, GaussianMixtureIC or Pipeline
        A fitted mixture, fastgmm's or scikit-learn's, `BayesianGaussianMixture` included. A fitted search is shown by
        its best estimator. A fitted pipeline that ends in one of them is drawn in the units of X, if its other steps
        are affine: `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler`, `RobustScaler`, or a `PCA` that keeps all
        components.

    X : array-like of shape (n_samples, n_features), default=None
        Data to draw, with all features that the mixture knows.

    features : int, str or sequence of one or two of them, default=None
        Numbers or names of the features to draw. None: the first two, or the only one.

    n_std : float, default=2.0
        Standard deviations from the mean to the edge of an ellipse. Two hold 86 % of a component in two features, 95 %
        in one.

    ax : matplotlib Axes, default=None
        Where to draw. None: a new figure. Scales must be linear. With a single feature y may be logarithmic, which
        shows narrow and wide components side by side.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    NotFittedError
        If the mixture is not fitted.
    TypeError
        If `mixture` is no Gaussian mixture, or a step before it is not affine.
    ValueError
        If X has other features than the mixture, a feature does not exist, or an axis is logarithmic.

    Notes
    -----
    Rows and components so far away that the rest would be a dot are beyond the axes. How many they are is written at
    the edge. With two features, ``ax.set_xlim`` and ``ax.set_ylim`` show them. With a single one, the peak of a very
    narrow component leaves the axes at the top.

    Ellipses belong to linear scales. For features that need logarithms, fit to ``np.log(X)`` and draw that.

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
    subject = subject_of(mixture, X, features)
    one = len(subject.names) == 1
    check_linear_axes(ax, y_may_be_log=one)
    with needs_matplotlib():
        from fastgmm._plots import components, drawing
    ax = drawing.axes_or_new(ax)
    drawing.name_axes(ax, subject.names[0], "density" if one else subject.names[1])
    components.draw_panels([(ax, list(range(len(subject.names))))], subject, n_std)
    return ax


def plot_pairs(mixture: Any, X: Rows, *, features: Features | None = None, n_std: float = 2.0) -> NDArray[np.object_]:
    """Draw the components over every pair of features, and over each feature on the diagonal.

    Parameters
    ----------
    mixture : GaussianMixture, GaussianMixtureIC or Pipeline
        A fitted mixture, a search or a pipeline, as in `plot_components`.

    X : array-like of shape (n_samples, n_features)
        Data to draw. The panels are those of `plot_components`.

    features : sequence of int or str, default=None
        Numbers or names of at most 8 features. None: all of them. If there are more than 8, the 8 that separate the
        components most: the means of the components differ most there, compared to the variance of the mixture.

    n_std : float, default=2.0
        Standard deviations from the mean to the edge of an ellipse.

    Returns
    -------
    axes : ndarray of shape (n, n) of matplotlib Axes
        The n rows and columns of panels in a new figure, one for each drawn feature. Those above the diagonal are not
        visible.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        As in `plot_components`.

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
    subject = subject_of(mixture, X, features, _MAX_PAIRED_FEATURES, needs_rows=True)
    names = subject.names
    with needs_matplotlib():
        from fastgmm._plots import components, drawing
    axes = drawing.pair_axes(len(names))
    for j, name in enumerate(names):
        drawing.name_axes(axes[-1, j], x=name)
        drawing.name_axes(axes[j, 0], y=name if j else "density")
    panels = [(axes[i, j], [j] if i == j else [j, i]) for i in range(len(names)) for j in range(i + 1)]
    components.draw_panels(panels, subject, n_std)
    if len(names) > 1 and (legend := axes[0, 0].get_legend()):
        legend.set_in_layout(False)  # no panel is where it stands
    if features is None and len(names) < subject.n_features:
        chosen = f"{len(names)} of {subject.n_features} features: those that separate the components most"
        axes[0, 0].figure.suptitle(chosen, fontsize="medium")
    return axes


def plot_density(
    mixture: Any, X: Rows | None = None, *, features: Features | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the density of a mixture by contours that contain 50, 75, 90, 95 and 99 % of its mass.

    The contours bound regions of highest density: the smallest that contain their share [1]_. In a mixture with noise
    the shares are those of the components without the background, whose weight stands in the legend.

    Parameters
    ----------
    mixture : GaussianMixture, GaussianMixtureIC or Pipeline
        A fitted mixture, a search or a pipeline, as in `plot_components`.

    X : array-like of shape (n_samples, n_features), default=None
        Data to draw: up to 10,000 rows as dots, more as hexagons shaded by the logarithm of their number, or as a
        histogram of a single feature.

    features : int, str or sequence of one or two of them, default=None
        Numbers or names of the features to draw. None: the first two, or the only one.
        One is drawn as a curve, under which the same shares are shaded.

    ax : matplotlib Axes, default=None
        Where to draw. None: a new figure. Scales are those of `plot_components`.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    NotFittedError, TypeError, ValueError
        As in `plot_components`.

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
    subject = subject_of(mixture, X, features)
    one = len(subject.names) == 1
    check_linear_axes(ax, y_may_be_log=one)
    with needs_matplotlib():
        from fastgmm._plots import drawing
        from fastgmm._plots.density import draw_density
    ax = drawing.axes_or_new(ax)
    drawing.name_axes(ax, subject.names[0], "density" if one else subject.names[1])
    draw_density(ax, subject, limits_of(subject.marginal, subject.rows, _STD_IN_VIEW))
    return ax


def plot_uncertainty(mixture: Any, X: Rows, *, features: Features | None = None, ax: Axes | None = None) -> Axes:
    """Draw the rows by how uncertain their component is: 1 minus the largest responsibility.

    Up to 10,000 rows are dots in the color of their component, whose size grows with uncertainty. More are hexagons
    shaded by the mean uncertainty of their rows. The shade ends at 0.5, where a row more probably belongs to other
    components than to the one predicted. With a single feature, curves show the responsibility of each component given
    this feature alone, and dots the largest responsibility of each of up to 10,000 rows.

    Parameters
    ----------
    mixture : GaussianMixture, GaussianMixtureIC or Pipeline
        A fitted mixture, a search or a pipeline, as in `plot_components`.

    X : array-like of shape (n_samples, n_features)
        Data to draw.

    features : int, str or sequence of one or two of them, default=None
        Numbers or names of the features to draw. None: the first two, or the only one.
        The responsibilities of rows are those given all features.

    ax : matplotlib Axes, default=None
        Where to draw. None: a new figure. Scales must be linear.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    NotFittedError, TypeError, ValueError
        As in `plot_components`.

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
    subject = subject_of(mixture, X, features, needs_rows=True)
    check_linear_axes(ax, y_may_be_log=False)
    with needs_matplotlib():
        from fastgmm._plots import drawing
        from fastgmm._plots.uncertainty import draw_uncertainty
    ax = drawing.axes_or_new(ax)
    drawing.name_axes(ax, *(subject.names if len(subject.names) == 2 else [*subject.names, "responsibility"]))
    draw_uncertainty(ax, subject, limits_of(subject.marginal, subject.rows, _STD_IN_VIEW))
    return ax


def plot_criterion(search: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the criterion of a search against the number of components, one line for each covariance type.

    The vertical axis shows the best fits, where the choice is made. Lines of much worse ones leave it at the top, which
    triangles mark. A search with one number of components is drawn as a dot for each covariance type. A ring marks
    the best. Fits that degenerated leave a gap and a cross at the bottom. Lines of t distributions are dashed.

    Parameters
    ----------
    search : GaussianMixtureIC
        A fitted search, or a fitted pipeline that ends in one.

    ax : matplotlib Axes, default=None
        Where to draw. None: a new figure.

    Returns
    -------
    ax : matplotlib Axes
        ``ax.set_ylim`` shows what is above.

    Raises
    ------
    NotFittedError
        If the search is not fitted.
    TypeError
        If `search` is no search.

    Examples
    --------
    >>> from fastgmm import GaussianMixtureIC
    >>> from fastgmm.datasets import load_old_faithful
    >>> from fastgmm.plotting import plot_criterion
    >>> X = load_old_faithful()
    >>> search = GaussianMixtureIC(range(1, 7), random_state=0).fit(X)
    >>> ax = plot_criterion(search)
    """
    check_axes(ax)
    search = check_plotted_search(search)
    with needs_matplotlib():
        from fastgmm._plots import drawing
        from fastgmm._plots.criterion import draw_criterion
    ax = drawing.axes_or_new(ax)
    draw_criterion(ax, search)
    return ax


def plot_convergence(mixture: Any) -> NDArray[np.object_]:
    """Draw the lower bound of a fit, and what each iteration gained, in two panels.

    The gains have a logarithmic axis, with a line at `tol`. A ring marks the last iteration. A fit has converged when
    its gain falls below `tol`. If the line of the gains is nearly flat, EM is slow: the gains still to come may sum
    up to much more than `tol`.

    Parameters
    ----------
    mixture : GaussianMixture, GaussianMixtureIC or Pipeline
        A fitted mixture, as in `plot_components`, with the attribute `lower_bounds_`. A fitted search is shown by its
        best estimator.

    Returns
    -------
    axes : ndarray of shape (2,) of matplotlib Axes
        The panels of the bound and of its gains, in a new figure.

    Raises
    ------
    NotFittedError
        If the mixture is not fitted.
    TypeError
        If `mixture` is no mixture, or has no `lower_bounds_`.
    ValueError
        If the fit had no iterations.

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_old_faithful
    >>> from fastgmm.plotting import plot_convergence
    >>> X = load_old_faithful()
    >>> gmm = GaussianMixture(n_components=3, random_state=0).fit(X)
    >>> bound, gain = plot_convergence(gmm)
    """
    _, mixture, _ = unwrapped(mixture)
    check_lower_bounds(mixture)
    with needs_matplotlib():
        from fastgmm._plots.convergence import draw_convergence
    return draw_convergence(mixture)
