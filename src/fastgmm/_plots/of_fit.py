"""Pictures of how well a mixture fits, which `fastgmm.plotting` offers with its others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastgmm._estimator.merging import MergedComponents
from fastgmm._estimator.model_checks import has_own_covariances
from fastgmm._estimator.noise import fitted_noise
from fastgmm._estimator.student import StudentMixture
from fastgmm._model.covariance import structure_of_type
from fastgmm._plots.affine import back_to_data
from fastgmm._plots.checks import check_axes, needs_matplotlib
from fastgmm._plots.subject import subject_of, unwrapped
from fastgmm._utils.annotations import Rows
from fastgmm._utils.words import named_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_distances(mixture: Any, X: Rows, *, ax: Axes | None = None) -> Axes:
    """Draw the distances of rows from the means of their components against those to be expected (a Q-Q plot).

    Distances are Mahalanobis distances: in standard deviations in every direction. If a component is Gaussian, its
    curve follows the diagonal. A curve that leaves it upwards at the right end has heavy tails; one that is below it
    there has light tails. Rows count for each component by their responsibility; a background takes its share of them.
    Distances from t distributions are mapped to those that are as probable under a Gaussian.

    Parameters
    ----------
    mixture : GaussianMixture, GaussianMixtureIC or Pipeline
        A fitted mixture, a search or a pipeline, as in `plot_components`.

    X : array-like of shape (n_samples, n_features)
        The rows, usually those of the fit.

    ax : matplotlib Axes, default=None
        Where to draw. None: a new figure.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    NotFittedError, TypeError, ValueError
        As in `plot_components`. Also a ValueError for missing values.

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_old_faithful
    >>> from fastgmm.plotting import plot_distances
    >>> X = load_old_faithful()
    >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> ax = plot_distances(gmm, X)
    """
    check_axes(ax)
    _, fitted, steps = unwrapped(mixture)
    n_features = np.shape(getattr(fitted, "means_", np.empty((1, 1))))[-1]
    subject = subject_of(mixture, X, range(n_features), n_features, needs_rows=True)
    with needs_matplotlib():
        from fastgmm._plots import drawing
        from fastgmm._plots.distances import draw_distances
    noise = fitted_noise(fitted)
    if noise is not None and steps:
        _, log_det = np.linalg.slogdet(back_to_data(steps, n_features).matrix)
        noise = noise._replace(log_density=noise.log_density - float(log_det))
    ax = drawing.axes_or_new(ax)
    own = has_own_covariances(structure_of_type(fitted.covariance_type)) and not isinstance(fitted, StudentMixture)
    draw_distances(ax, subject, noise, own)
    return ax


def plot_merging(merged: MergedComponents) -> NDArray[np.object_]:
    """Draw how components were merged to clusters, and the entropy for each number of clusters, in two panels.

    Components that are merged at a low height are hard to tell apart. A ring marks the proposed number of clusters, and
    the two straight lines that lead to it are dashed.

    Parameters
    ----------
    merged : MergedComponents
        What `merge_components` of a fitted mixture returns.

    Returns
    -------
    axes : ndarray of shape (2,) of matplotlib Axes
        The panels of the tree and of the entropies, in a new figure.

    Raises
    ------
    TypeError
        If `merged` is anything else.
    ValueError
        If there is only one component.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.plotting import plot_merging
    >>> X, _ = make_moons(1000, noise=0.06, random_state=0)
    >>> gmm = GaussianMixture(n_components=8, random_state=0).fit(X)
    >>> tree, entropy = plot_merging(gmm.merge_components(X))
    """
    if not isinstance(merged, MergedComponents):
        raise TypeError(
            f"merged must be what merge_components returns, got {named_kind(merged)}: pass gmm.merge_components(X)."
        )
    if len(merged.entropies) < 2:
        raise ValueError("merged has only one component, so there is no tree: fit more components.")
    with needs_matplotlib():
        from fastgmm._plots.merging import draw_merging
    return draw_merging(merged)
