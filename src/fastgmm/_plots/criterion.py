"""Draws the criterion of a search."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import ScaledTranslation

from fastgmm._model.covariance import COVARIANCE_TYPES, name_of_type
from fastgmm._plots import drawing
from fastgmm._utils.words import named_shape

_LEAST_SPAN = 10.0  # of the axis. By a common rule a larger difference in BIC is very strong evidence.
_MARKERS = "osDPXvp<>*h8d"  # of covariance types. Triangles that point up mark what is above the axis.
_EDGE = 0.04  # height of marks at the edges, in heights of the axes


def draw_criterion(ax: Axes, search) -> None:
    """Draw a line for each covariance type, or a dot for each if there is one number of components.

    Those of t distributions are dashed, with hollow marks.
    """
    columns = ("covariance_type", "distribution", "n_components", "criterion")
    types, distributions, counts, values = (np.asarray(search.criterion_[name]) for name in columns)
    best = types == search.covariance_type_
    best &= (counts == search.n_components_) & (distributions == search.distribution_)
    numbers = np.array([list(COVARIANCE_TYPES).index(name_of_type(name)) for name in types])
    shapes = sorted(set(zip(distributions.tolist(), numbers.tolist(), types.tolist(), strict=True)))
    found = [named_shape(name, distribution) for distribution, _, name in shapes]
    of_rows = [named_shape(*pair) for pair in zip(types.tolist(), distributions.tolist(), strict=True)]
    one_number = len(np.unique(counts)) == 1 and len(found) > 1
    places = np.array([found.index(name) for name in of_rows]) if one_number else counts
    low, high = _limits(counts, values, shows_all=one_number)
    ax.set_ylim(low, high)
    palette = drawing.palette(ax)
    for name, (distribution, i, _) in zip(found, shapes, strict=True):  # the same colors whatever was searched
        rows = np.flatnonzero([each == name for each in of_rows])
        rows = rows[np.argsort(counts[rows])]
        color = palette[i % len(palette)]
        style: dict[str, Any] = {"linestyle": "--", "markerfacecolor": "none"} if distribution == "t" else {}
        style |= {"color": color, "marker": _MARKERS[i % len(_MARKERS)], "markersize": 5}
        ax.plot(places[rows], values[rows], label=name, **style)
        marks = {"color": color, **_at_edge(ax, found.index(name), len(found), len(np.unique(places)))}
        _mark_above(ax, places[rows], values[rows], **marks)
        failed = rows[np.isnan(values[rows])]
        ax.plot(places[failed], np.full(len(failed), _EDGE / 2), "x", **marks)
    ring: dict[str, Any] = {"linestyle": "none", "markeredgecolor": drawing.ink(), "markerfacecolor": "none"}
    ax.plot(places[best], values[best], "o", markersize=13, markeredgewidth=1.5, **ring)
    ax.plot([], [], "o", markersize=7, label="best", **ring)
    if (values > high).any():
        ax.plot([], [], "^", color=drawing.ink(), markersize=5, label="above the axis")
    if np.isnan(values).any():
        ax.plot([], [], "x", color=drawing.ink(), markersize=5, label="degenerate")
    if one_number:
        _name_dots(ax, found, places, values)
        name_of_x = f"covariance_type, n_components={counts[0]}"
    else:
        drawing.integer_ticks(ax, counts)
        name_of_x = "n_components"
    ax.set(xlabel=name_of_x, ylabel=f"{search.criterion.upper()} (lower is better)")
    drawing.draw_legend(ax, *ax.get_legend_handles_labels())


def _limits(counts: np.ndarray, values: np.ndarray, shows_all: bool) -> tuple[float, float]:
    """Limits of the axis: around all values, or the lower ones if all would make a flat line of these.

    What matters is how much worse than the best fit those of other numbers of components are, each with its best type.
    """
    finite = np.isfinite(values)
    low, high = values[finite].min(), values[finite].max()
    per_number = [values[finite & (counts == count)].min() for count in np.unique(counts[finite])]
    span = max(2.5 * float(np.median(per_number) - low), _LEAST_SPAN)
    if not shows_all and high - low > 3.0 * span:
        high = low + span
    margin = 0.06 * (high - low) if high > low else 1.0
    space_for_crosses = _EDGE * (high - low) if not finite.all() else 0.0
    return low - margin - space_for_crosses, high + margin


def _at_edge(ax: Axes, number: int, n_types: int, n_places: int) -> dict[str, Any]:
    """Options of marks at the edges of the axes, beside those of other types. Their height is one in axes."""
    step = min(6.0, 0.7 * drawing.size_in_points(ax)[0] / (n_types * n_places))
    aside = ScaledTranslation((number - (n_types - 1) / 2) * step / 72.0, 0.0, ax.figure.dpi_scale_trans)
    return {"markersize": min(5.0, step), "transform": ax.get_xaxis_transform() + aside}


def _mark_above(ax: Axes, places: np.ndarray, values: np.ndarray, **options) -> None:
    """Mark values above the axis at its top, whatever its limits will be."""
    (marks,) = ax.plot([], [], "^", **options)

    def update(ax: Axes) -> None:
        is_above = values > ax.get_ylim()[1]
        marks.set_data(places[is_above], np.full(np.count_nonzero(is_above), 1.0 - _EDGE / 2))

    update(ax)
    ax.callbacks.connect("ylim_changed", update)


def _name_dots(ax: Axes, found: list[str], places: np.ndarray, values: np.ndarray) -> None:
    """Name the covariance types along x, and write each value beside its dot."""
    ax.xaxis.set_major_locator(FixedLocator(range(len(found))))
    ax.set_xticklabels(found)
    ax.set_xlim(-0.5, len(found) - 0.1)
    for place, value in zip(places, values, strict=True):
        if np.isfinite(value):
            ax.annotate(
                f"{value:,.1f}", (place, value), (9, 0), textcoords="offset points", va="center", fontsize="small"
            )
