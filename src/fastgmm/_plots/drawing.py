"""What all pictures share: axes, colors of the style, rows, legends, names, and marks of what lies beyond the axes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb, to_rgba
from matplotlib.layout_engine import ConstrainedLayoutEngine, TightLayoutEngine
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from fastgmm._plots import styles
from fastgmm._plots.subject import Subject
from fastgmm._plots.view import sides_beyond
from fastgmm._utils.words import counted

ACCENT = "#D55E00"  # stands out from gray on light and dark backgrounds

MAX_DOTS = 10_000  # rows that are drawn one by one; more rows are drawn as hexagons
_MOST_INSIDE = 9  # entries of a legend that may stand within the axes

# Text at a side of the axes: the coordinate across the side, in axes, alignment, and arrow.
_SIDES: tuple[dict[str, Any], ...] = (
    {"x": 0.01, "ha": "left", "arrow": "◀ {}"},
    {"x": 0.99, "ha": "right", "arrow": "{} ▶"},
    {"y": 0.01, "va": "bottom", "arrow": "▼ {}"},
    {"y": 0.99, "va": "top", "arrow": "▲ {}"},
)


# Axes ----------------------------------------------------------------------------------------------------------------


def axes_or_new(ax: Axes | None) -> Axes:
    """The axes, or those of a new figure, whose layout leaves space for a legend beside them."""
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def pair_axes(n: int) -> np.ndarray:
    """Axes of a new figure, shape (n, n), that share the scales of features. Those above the diagonal are invisible."""
    size = 2.0 * n + 1.0
    _, axes = plt.subplots(n, n, sharex="col", squeeze=False, figsize=(size, size), layout="constrained")
    for (i, j), ax in np.ndenumerate(axes):
        ax.set_visible(j <= i)
        ax.label_outer()
        if i == j:
            ax.set_yticks([])
        elif 0 < j < i:
            ax.sharey(axes[i, 0])
    return axes


def integer_ticks(ax: Axes, counts: np.ndarray) -> None:
    """Set integer ticks along x. (A locator that must make two ticks for a single count makes fractions.)"""
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=min(2, len(np.unique(counts)))))


def size_in_points(ax: Axes) -> np.ndarray:
    """Width and height of the axes, in points of 1/72 inch."""
    return np.array(ax.get_window_extent().size) * 72.0 / ax.figure.dpi


def name_axes(ax: Axes, x: str | None = None, y: str | None = None) -> None:
    """Name one axis or both. Long names go into several lines."""
    width, height = size_in_points(ax)
    if x is not None:
        ax.set_xlabel(_wrapped(x, width))
    if y is not None:
        ax.set_ylabel(_wrapped(y, height))


def _wrapped(name: str, length: float) -> str:
    """A name in lines of at most `length` points, broken at spaces and after underscores."""
    letter = 0.6 * mpl.font_manager.FontProperties(size=mpl.rcParams["axes.labelsize"]).get_size_in_points()
    width = max(int(length / letter), 8)
    if len(name) <= width:
        return name
    lines = textwrap.wrap(name.replace("_", "_ "), width, max_lines=3, placeholder=" …")
    return "\n".join(line.replace("_ ", "_") for line in lines)


# Colors --------------------------------------------------------------------------------------------------------------


def ink() -> str:
    """The color of text."""
    return mpl.rcParams["text.color"]


def paper(ax: Axes):
    """The background color of the axes."""
    color = ax.get_facecolor()
    return color if to_rgba(color)[3] else ax.figure.get_facecolor()


def palette(ax: Axes) -> tuple[str, ...]:
    """Colors that stand out from the background."""
    return styles.ON_DARK if np.mean(to_rgb(paper(ax))) < 0.5 else styles.ON_LIGHT


def ramp(ax: Axes, end: str, start: str | None = None, strength: float = 1.0, first: float = 0.25) -> Colormap:
    """Colors from the background, with a share `first` of `start` (None: of `end`), to `end`. For any style."""
    ground, start_rgb, end_rgb = (np.array(to_rgb(color)) for color in (paper(ax), start or end, end))
    colors = [(1.0 - first) * ground + first * start_rgb, (1.0 - strength) * ground + strength * end_rgb]
    return LinearSegmentedColormap.from_list("from_background", colors)


def halo(ax: Axes, width: float) -> list[withStroke]:
    """Path effects that separate lines and letters of this width from whatever they cross."""
    return [withStroke(linewidth=width, foreground=paper(ax))]


# Rows ----------------------------------------------------------------------------------------------------------------


def draw_rows(ax: Axes, rows: np.ndarray, limits: np.ndarray) -> None:
    """Draw one feature as a histogram; two as dots or, if there are many rows, as hexagons."""
    if rows.shape[1] == 1:
        bins = int(np.clip(np.sqrt(len(rows)), 10, 64))
        within = rows[(rows >= limits[0, 0]) & (rows <= limits[0, 1])]
        if len(within):
            counts, edges = np.histogram(within, bins)
            heights = counts / (len(rows) * np.diff(edges))
            ax.stairs(heights, edges, baseline=None, color=ramp(ax, ink(), strength=0.6)(1.0))
    elif len(rows) <= MAX_DOTS:
        gray = ramp(ax, ink(), strength=0.6)(1.0)
        ax.scatter(rows[:, 0], rows[:, 1], dot_size(len(rows)), color=gray, alpha=0.6, linewidth=0)
    else:
        shading = ramp(ax, ink(), strength=0.7)
        draw_hexagons(ax, rows, limits, bins="log", mincnt=1, cmap=shading)


def draw_hexagons(ax: Axes, rows: np.ndarray, limits: np.ndarray, values: np.ndarray | None = None, **options):
    """Draw the number of the rows, or the mean of their values, in hexagons as small as the eye can separate."""
    across = int(np.clip(15 * ax.get_window_extent().width / ax.figure.dpi, 20, 100))
    within = ((rows >= limits[:, 0]) & (rows <= limits[:, 1])).all(axis=1)
    if not within.all():
        rows, values = rows[within], None if values is None else values[within]
    return ax.hexbin(rows[:, 0], rows[:, 1], C=values, gridsize=across, **options)


def dot_size(n_rows: int) -> float:
    """Area of each of so many dots, in square points."""
    return float(np.clip(8000 / n_rows, 4, 16))


def mark_beyond(ax: Axes, subject: Subject, limits: np.ndarray) -> None:
    """If something lies beyond the limits, end the axes there, and say at their edges what it is."""
    rows = np.empty((0, len(limits))) if subject.rows is None else subject.rows
    shown = np.flatnonzero(subject.marginal.is_shown)
    means = subject.marginal.means[shown]
    beyond, sides = sides_beyond(rows, limits)
    components, sides_of_components = sides_beyond(means, limits)
    for side in np.unique(np.concatenate([sides, sides_of_components])):
        points = np.concatenate([rows[beyond[sides == side]], means[components[sides_of_components == side]]])
        words = []
        if n_rows := int(np.count_nonzero(sides == side)):
            words.append(counted(n_rows, "row"))
        if len(numbers := shown[components[sides_of_components == side]]):
            words.append(f"component{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}")
        _write_at_side(ax, side, ", ".join(words), np.median(points, axis=0), limits)
    beyond_axis = [((points < limits[:, 0]) | (points > limits[:, 1])).any(axis=0) for points in (rows, means)]
    for axis in np.flatnonzero(np.any(beyond_axis, axis=0)):
        (ax.set_ylim if axis else ax.set_xlim)(*limits[axis])


def _write_at_side(ax: Axes, side: int, words: str, point: np.ndarray, limits: np.ndarray) -> None:
    """Write words at a side of the axes, near the point."""
    place = _SIDES[side]
    along = 0.5
    if len(limits) == 2:
        low, high = limits[1 - side // 2]
        along = float(np.clip((point[1 - side // 2] - low) / (high - low), 0.15, 0.85))
    ax.text(
        place.get("x", along),
        place.get("y", along),
        place["arrow"].format(words),
        ha=place.get("ha", "center"),
        va=place.get("va", "center"),
        fontsize="small" if size_in_points(ax)[0] > 200 else "xx-small",
        bbox={"boxstyle": "round,pad=0.2", "facecolor": paper(ax), "edgecolor": "none", "alpha": 0.8},
        transform=ax.transAxes,
        zorder=6,
    )


# Legends -------------------------------------------------------------------------------------------------------------


def draw_legend(ax: Axes, handles: Sequence[Artist], labels: Sequence[str], in_column: int = 16, **options) -> None:
    """A legend beside the axes, if the layout of the figure makes room for it there, else within.

    Beside the axes it has up to `in_column` entries in a column. Within them a long one would hide the picture, so it
    is left out. A further call of ``ax.legend`` finds the same entries, because the handles become part of the axes.
    """
    for handle, label in zip(handles, labels, strict=True):
        if handle.axes is None:
            handle.set_label(label)
            ax.add_artist(handle)
    style: dict[str, Any] = {"fontsize": "small", "title_fontsize": "small", **options}
    if isinstance(ax.figure.get_layout_engine(), ConstrainedLayoutEngine | TightLayoutEngine):
        style |= {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0.0, "frameon": False}
        style["ncols"] = -(-len(handles) // in_column)
    elif len(handles) <= _MOST_INSIDE:
        style |= {"loc": "best", "framealpha": 0.8}
    else:
        return
    ax.legend(handles, labels, **style)
