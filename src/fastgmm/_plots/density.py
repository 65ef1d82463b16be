"""Draws the density: contours or a curve, with the shares of the mass that they contain."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fastgmm._plots import drawing
from fastgmm._plots.components import limit_heights
from fastgmm._plots.subject import Subject

_SHARES = np.array([0.99, 0.95, 0.9, 0.75, 0.5])  # of the mass, within the contours


def draw_density(ax: Axes, subject: Subject, limits: np.ndarray) -> None:
    """Draw the density of the mixture over its rows, with a legend."""
    levels, grid = subject.marginal.highest_density_regions(_SHARES, limits)
    log_density = subject.marginal.log_density(np.stack(np.meshgrid(*grid), axis=-1))
    if subject.rows is not None:
        drawing.draw_rows(ax, subject.rows, limits)
    draw = _draw_curve if len(grid) == 1 else _draw_contours
    handles = draw(ax, subject, grid, log_density, levels)
    drawing.mark_beyond(ax, subject, limits)
    if len(grid) == 1:
        limit_heights(ax, subject.marginal, limits)
    labels = [f"{share:.0%}" for share in _SHARES]
    if subject.marginal.noise > 0.0:
        handles.append(Line2D([], [], linestyle="none"))
        labels.append(subject.marginal.noise_in_words)
    title = "mass of\ncomponents" if subject.marginal.noise > 0.0 else "mass"
    drawing.draw_legend(ax, handles, labels, title=title)


def _draw_curve(ax: Axes, subject: Subject, grid, log_density: np.ndarray, levels: np.ndarray) -> list[Line2D]:
    density = np.exp(log_density)
    shades = drawing.ramp(ax, drawing.ACCENT)(1.0 - _SHARES)
    for level, shade in zip(levels, shades, strict=True):
        ax.fill_between(grid[0], density, where=log_density >= level, color=shade)
    ax.plot(grid[0], density, color=drawing.ACCENT)
    return _squares(shades, shades)


def _draw_contours(ax: Axes, subject: Subject, grid, log_density: np.ndarray, levels: np.ndarray) -> list[Line2D]:
    log_density = np.maximum(log_density, levels[0] - 50.0)  # contours need finite numbers
    if subject.rows is None:
        shades = drawing.ramp(ax, drawing.ACCENT)(1.0 - _SHARES)
        ax.contourf(*grid, log_density, [*levels, np.inf], colors=shades)
        ax.contour(*grid, log_density, levels, colors=drawing.ACCENT, linewidths=0.8, linestyles="solid")
        return _squares(shades, [drawing.ACCENT] * len(shades))
    shades = drawing.ramp(ax, drawing.ACCENT, first=0.5)(np.linspace(0.0, 1.0, len(levels)))
    widths = np.linspace(0.9, 2.2, len(levels))
    ax.contour(*grid, log_density, levels, colors=shades, linewidths=widths, linestyles="solid")
    return [Line2D([], [], color=shade, linewidth=width) for shade, width in zip(shades, widths, strict=True)]


def _squares(colors, edges) -> list[Line2D]:
    """What a legend shows of regions."""
    style: dict[str, Any] = {"marker": "s", "markersize": 9, "linestyle": "none"}
    return [
        Line2D([], [], color=color, markeredgecolor=edge, **style) for color, edge in zip(colors, edges, strict=True)
    ]
