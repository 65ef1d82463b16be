"""Draws colors, rows, components and legends. The only module that imports matplotlib."""

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb, to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D
from scipy.stats import norm

from fastgmm._plots.marginals import Marginal

# Okabe and Ito's colors, which all kinds of color vision tell apart; without their black, for dark backgrounds.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#F0E442")
ACCENT = "#D55E00"  # stands out from gray on light and dark backgrounds

MAX_DOTS = 10_000  # rows that are drawn one by one; more rows are drawn as hexagons
_LEAST_WEIGHT = 1 / 500  # weight of the lightest component that is drawn, as a share of the heaviest one's

OUTSIDE: dict[str, Any] = {
    "loc": "upper left",
    "bbox_to_anchor": (1.02, 1.0),
    "borderaxespad": 0.0,
    "frameon": False,
    "fontsize": "small",
    "title_fontsize": "small",
}


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


# Colors --------------------------------------------------------------------------------------------------------------


def ink() -> str:
    """The color of text."""
    return mpl.rcParams["text.color"]


def _paper(ax: Axes):
    """The background color of the axes."""
    color = ax.get_facecolor()
    return color if to_rgba(color)[3] else ax.figure.get_facecolor()


def ramp(ax: Axes, end: str, start: str | None = None, strength: float = 1.0) -> Colormap:
    """Colors from the background, with a quarter of `start` (None: of `end`), to `end`. For any style."""
    paper, start_rgb, end_rgb = (np.array(to_rgb(color)) for color in (_paper(ax), start or end, end))
    colors = [0.75 * paper + 0.25 * start_rgb, (1.0 - strength) * paper + strength * end_rgb]
    return LinearSegmentedColormap.from_list("from_background", colors)


def halo(ax: Axes, width: float) -> list[withStroke]:
    """Path effects that separate lines and letters of this width from whatever they cross."""
    return [withStroke(linewidth=width, foreground=_paper(ax))]


def is_shown(weights: np.ndarray) -> np.ndarray:
    """A mask of the components that are heavy enough to be drawn."""
    return weights >= _LEAST_WEIGHT * weights.max()


def component_colors(weights: np.ndarray) -> np.ndarray:
    """RGB of each component, shape (n_components, 3); gray for those that are not drawn."""
    shown = is_shown(weights)
    n_shown = np.count_nonzero(shown)
    colors = np.full((len(weights), 3), 0.5)
    if n_shown <= len(PALETTE):
        colors[shown] = [to_rgb(color) for color in PALETTE[:n_shown]]
    else:
        on_dark = np.mean(to_rgb(ink())) > 0.5
        ends = (0.3, 1.0) if on_dark else (0.05, 0.92)  # the other colors are too close to the background
        colors[shown] = mpl.colormaps["viridis"](np.linspace(*ends, n_shown))[:, :3]
    return colors


# Rows ----------------------------------------------------------------------------------------------------------------


def draw_rows(ax: Axes, rows: np.ndarray, colors=None) -> None:
    """Draw one feature as a histogram; two as dots (`colors`: of each row, or None) or, for many rows, as hexagons."""
    if rows.shape[1] == 1:
        bins = int(np.clip(np.sqrt(len(rows)), 10, 64))
        ax.hist(rows[:, 0], bins=bins, density=True, histtype="step", color=ramp(ax, ink(), strength=0.6)(1.0))
    elif len(rows) <= MAX_DOTS:
        color = ramp(ax, ink(), strength=0.6)(1.0) if colors is None else colors
        size = np.clip(8000 / len(rows), 4, 16)
        ax.scatter(rows[:, 0], rows[:, 1], c=np.atleast_2d(color), s=size, alpha=0.6, linewidth=0)
    else:
        ax.hexbin(*rows.T, gridsize=hexagons_across(ax), bins="log", mincnt=1, cmap=ramp(ax, ink(), strength=0.7))


def hexagons_across(ax: Axes) -> int:
    """The number of hexagons side by side that the eye can still separate."""
    return int(np.clip(15 * ax.get_window_extent().width / ax.figure.dpi, 20, 100))


# Components ----------------------------------------------------------------------------------------------------------


def draw_components(ax: Axes, marginal: Marginal, n_std: float) -> None:
    """Draw curves in one feature, ellipses in two."""
    shown = np.flatnonzero(is_shown(marginal.weights))
    colors = component_colors(marginal.weights)
    if marginal.means.shape[1] == 1:
        centers = _draw_curves(ax, marginal, shown, colors, n_std)
    else:
        centers = _draw_ellipses(ax, marginal, shown, colors, n_std)
    for k, center in zip(shown, centers, strict=True):
        if len(shown) <= len(PALETTE):
            ax.plot(*center, "X", color=colors[k], markeredgecolor=_paper(ax), markersize=8)
        elif marginal.means.shape[1] == 2:
            ax.annotate(str(k), center, ha="center", va="center", fontsize="small", path_effects=halo(ax, 2.0))


def _draw_ellipses(ax, marginal, shown, colors, n_std) -> np.ndarray:
    """Draw ellipses; returns the means, shape (n_shown, 2)."""
    # A Cholesky factor maps the unit circle onto the ellipse. Unlike eigenvectors it is exact for all scales.
    factors = n_std * np.linalg.cholesky(marginal.covariances)
    strengths = np.sqrt(marginal.weights / marginal.weights.max())
    for k in shown:
        matrix = np.eye(3)
        matrix[:2, :2], matrix[:2, 2] = factors[k], marginal.means[k]
        ellipse = Path.unit_circle().transformed(Affine2D(matrix))
        ax.add_patch(PathPatch(ellipse, facecolor=(*colors[k], 0.15 * strengths[k]), linewidth=0))
        edge = {"edgecolor": colors[k], "alpha": 0.25 + 0.75 * strengths[k], "linewidth": 0.75 + strengths[k]}
        ax.add_patch(PathPatch(ellipse, fill=False, path_effects=halo(ax, edge["linewidth"] + 1.2), **edge))
    ax.autoscale_view()
    return marginal.means[shown]


def _draw_curves(ax, marginal, shown, colors, n_std) -> np.ndarray:
    """Draw densities; returns the coordinates of their peaks, shape (n_shown, 2)."""
    means, stds = marginal.means[:, 0], np.sqrt(marginal.covariances[:, 0, 0])
    x = np.unique(means[shown] + stds[shown] * np.linspace(-3.5, 3.5, 121)[:, np.newaxis])
    densities = marginal.weights * norm.pdf(x[:, np.newaxis], means, stds)
    for k in shown:
        within = np.abs(x - means[k]) <= n_std * stds[k]
        ax.fill_between(x, densities[:, k], where=within, color=colors[k], alpha=0.2, linewidth=0)
        ax.plot(x, densities[:, k], color=colors[k])
    ax.plot(x, densities.sum(axis=1), color=ink(), linewidth=1, linestyle="--")
    ax.set_ylim(bottom=0)
    return np.column_stack([means, marginal.weights * norm.pdf(0.0, scale=stds)])[shown]


def legend_of_components(ax: Axes, weights: np.ndarray) -> None:
    """List colors and weights beside the axes if components are few. (Otherwise the picture shows their numbers.)"""
    shown = np.flatnonzero(is_shown(weights))
    if len(shown) <= len(PALETTE):
        colors = component_colors(weights)
        markers = [Line2D([], [], color=colors[k], marker="o", linestyle="none") for k in shown]
        labels = [f"{k}: {weights[k]:.{0 if weights[k] >= 0.01 else 1}%}" for k in shown]
        title = "component" if len(shown) == len(weights) else f"{len(shown)} of {len(weights)}\ncomponents"
        ax.legend(markers, labels, title=title, handletextpad=0.2, **OUTSIDE)
