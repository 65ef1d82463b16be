"""Draws observed distances from the means against expected ones."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from fastgmm._estimator.diagnosis import expected_distances
from fastgmm._estimator.goodness import Goodness, check_complete
from fastgmm._model.noise import Noise
from fastgmm._plots import drawing
from fastgmm._plots.components import Styles, legend_of_components
from fastgmm._plots.subject import Subject

_N_QUANTILES = 200
_LEAST_ROWS = 5  # of a component that is drawn


def draw_distances(ax: Axes, subject: Subject, noise: Noise | None, own_covariances: bool) -> None:
    """Draw a curve for each component, and the diagonal."""
    assert subject.rows is not None
    check_complete(subject.rows, "plot_distances")
    marginal, d = subject.marginal, subject.n_features
    goodness = Goodness.zeros(*marginal.means.shape)
    mixture = marginal._replace(weights=marginal.shares)
    goodness.add(np.ascontiguousarray(subject.rows), None, mixture, None, noise)
    style = Styles(ax, marginal)
    highest = 0.0
    for k in style.shown.tolist():
        n = goodness.n_effective[k]
        if n < _LEAST_ROWS:
            continue
        from_top = np.unique(np.geomspace(1.0, n, _N_QUANTILES).astype(int))  # all of the farthest rows
        shares = 1.0 - (from_top[::-1] - 0.5) / n
        expected = expected_distances(d, n, own_covariances, shares)
        ax.plot(expected, np.sqrt(goodness.quantiles(k, shares)), color=style.colors[k], marker=".", markersize=3)
        highest = max(highest, expected[-1])
    ax.plot([0.0, highest], [0.0, highest], color=drawing.ink(), linewidth=1, linestyle="--")
    ax.set_xlim(left=0.0)
    ax.set_ylim(bottom=0.0)
    drawing.name_axes(ax, "expected distance, standard deviations", "observed distance")
    legend_of_components(ax, marginal, style)
