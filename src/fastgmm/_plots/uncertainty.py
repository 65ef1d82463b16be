"""Draws how uncertain the components of rows are."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.special import softmax

from fastgmm._plots import drawing
from fastgmm._plots.components import Styles, draw_dots, legend_of_components, write_numbers
from fastgmm._plots.marginals import Marginal
from fastgmm._plots.subject import Subject

_SMALL, _LARGE = 6.0, 110.0  # areas of dots of uncertainty 0 and 1, in square points
_IN_LEGEND = (0.0, 0.25, 0.5)


def draw_uncertainty(ax: Axes, subject: Subject, limits: np.ndarray) -> None:
    """Draw rows in the color of their component, by their uncertainty; in one feature responsibilities."""
    rows = subject.rows
    assert rows is not None
    labels, largest = subject.labels_and_largest()
    style = Styles(ax, subject.marginal)
    if len(subject.names) == 1:
        _draw_responsibilities(ax, subject, rows, limits, largest, labels, style)
        legend_of_components(ax, subject.marginal, style)
    elif len(labels) <= drawing.MAX_DOTS:
        handles = _draw_sized_dots(ax, rows, 1.0 - largest, labels, style)
        drawing.mark_beyond(ax, subject, limits)
        write_numbers(ax, subject.marginal, style)
        words = [f"uncertainty {value:g}" for value in _IN_LEGEND]
        legend_of_components(ax, subject.marginal, style, handles, words)
    else:
        shading = {"cmap": drawing.ramp(ax, drawing.ACCENT, start=drawing.ink()), "vmin": 0.0, "vmax": 0.5}
        drawn = drawing.draw_hexagons(ax, rows, limits, 1.0 - largest, **shading)
        extend = "max" if len(style.shown) > 2 else "neither"
        ax.figure.colorbar(drawn, ax=ax, label="mean uncertainty", extend=extend)
        drawing.mark_beyond(ax, subject, limits)
        write_numbers(ax, subject.marginal, style)


def _draw_sized_dots(ax: Axes, rows: np.ndarray, uncertainty: np.ndarray, labels, style: Styles) -> list[Line2D]:
    """Draw the dots, the uncertain ones on top; returns what a legend shows of their sizes."""
    order = np.argsort(uncertainty)
    alpha = 0.35 + 0.65 * np.minimum(2.0 * uncertainty[order], 1.0)
    draw_dots(ax, rows[order], labels[order], style, _area(uncertainty[order]), alpha)
    gray: dict[str, Any] = {
        "color": drawing.ramp(ax, drawing.ink(), strength=0.6)(1.0),
        "marker": "o",
        "linestyle": "none",
    }
    return [Line2D([], [], markersize=np.sqrt(_area(value)), **gray) for value in _IN_LEGEND]


def _area(uncertainty):
    return _SMALL + (_LARGE - _SMALL) * uncertainty


def _draw_responsibilities(ax: Axes, subject: Subject, rows, limits, largest, labels, style: Styles) -> None:
    """Draw the responsibility of each component given the feature alone, and the largest one of each row."""
    marginal, (low, high) = subject.marginal, limits[0]
    means, stds = marginal.means[:, 0], marginal.stds[:, 0]
    near = means + stds * np.linspace(-4.0, 4.0, 81)[:, np.newaxis]
    x = np.union1d(np.linspace(low, high, 1000), near[(near >= low) & (near <= high)])
    responsibilities = _responsibilities(marginal, x)
    for k in style.shown:
        ax.plot(x, responsibilities[:, k], color=style.colors[k])
    if len(labels) <= drawing.MAX_DOTS:
        draw_dots(ax, np.column_stack([rows, largest]), labels, style)
    ax.set_ylim(-0.03, 1.08)
    drawing.mark_beyond(ax, subject, limits)
    write_numbers(ax, marginal, style, _responsibilities(marginal, means).diagonal())


def _responsibilities(marginal: Marginal, x: np.ndarray) -> np.ndarray:
    """Responsibilities given one feature, shape (len(x), n_components)."""
    log_weights = np.log(np.maximum(marginal.weights, np.finfo(np.float64).tiny))
    return softmax(log_weights + marginal.log_densities_of_components(x), axis=1)
