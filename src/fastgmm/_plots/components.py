"""Draws components: ellipses or curves, their numbers, their rows and their legend."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from fastgmm._plots import drawing, styles
from fastgmm._plots.marginals import Marginal
from fastgmm._plots.places import apart
from fastgmm._plots.subject import Subject
from fastgmm._plots.view import limits_of

_TALLEST = 20.0  # height of the axes, compared to the lowest peak of a heavy component
_HEAVY = 0.25  # least weight of a heavy component, as a share of the heaviest one's
_MOST_LARGE_NUMBERS = 12  # more components have smaller ones
_IN_COLUMN_OF_PANEL = 10  # entries of a legend beside one of several panels


class Styles:
    """Color and marker of each component on the background of these axes, and as the last ones those of noise, -1."""

    def __init__(self, ax: Axes, marginal: Marginal):
        shown = np.flatnonzero(marginal.is_shown)
        colors = styles.color_numbers(marginal.distances()[np.ix_(shown, shown)])
        markers = styles.marker_numbers(colors)
        palette = drawing.palette(ax)
        self.shown = shown
        self.colors = np.full(len(marginal.weights) + 1, "#808080", dtype=object)  # also of those that are not drawn
        self.markers = np.full(len(marginal.weights) + 1, "o", dtype=object)
        self.colors[shown] = [palette[color] for color in colors]
        self.markers[shown] = [styles.MARKERS[marker] for marker in markers]

    def handles(self, as_curves: bool) -> list[Line2D]:
        """What legends show."""
        if as_curves:
            return [Line2D([], [], color=self.colors[k]) for k in self.shown]
        return [Line2D([], [], color=self.colors[k], marker=self.markers[k], linestyle="none") for k in self.shown]


def draw_dots(ax: Axes, rows: np.ndarray, labels: np.ndarray, style: Styles, sizes=None, alpha=0.6) -> None:
    """Draw a dot for each row, in color and shape of its component. `sizes` and `alpha` may differ between rows."""
    sizes = np.broadcast_to(drawing.dot_size(len(rows)) if sizes is None else sizes, len(rows))
    alpha = np.broadcast_to(alpha, len(rows))
    for k in np.unique(labels):
        own = labels == k
        x, y = rows[own].T
        ax.scatter(x, y, sizes[own], color=style.colors[k], marker=style.markers[k], alpha=alpha[own], linewidth=0)


def _draw_ellipses(ax: Axes, marginal: Marginal, style: Styles, n_std: float) -> None:
    # A Cholesky factor maps the unit circle onto the ellipse. Unlike eigenvectors it is exact for all scales.
    factors = n_std * np.linalg.cholesky(marginal.covariances)
    strengths = np.sqrt(marginal.weights / marginal.weights.max())
    for k in style.shown:
        matrix = np.eye(3)
        matrix[:2, :2], matrix[:2, 2] = factors[k], marginal.means[k]
        ellipse = Path.unit_circle().transformed(Affine2D(matrix))
        ax.add_patch(PathPatch(ellipse, facecolor=style.colors[k], alpha=0.15 * strengths[k], linewidth=0))
        edge = {"edgecolor": style.colors[k], "alpha": 0.25 + 0.75 * strengths[k], "linewidth": 0.75 + strengths[k]}
        effects = drawing.halo(ax, edge["linewidth"] + 1.2)
        ax.add_patch(PathPatch(ellipse, fill=False, path_effects=effects, **edge))
    ax.autoscale_view()


def _draw_curves(ax: Axes, marginal: Marginal, style: Styles, limits: np.ndarray, n_std: float) -> None:
    means, stds = marginal.means[:, 0], marginal.stds[:, 0]
    shown = style.shown[_is_within(means[style.shown], limits)]  # others could be high, and would squeeze these
    x = np.unique(means[shown] + stds[shown] * np.linspace(-3.5, 3.5, 121)[:, np.newaxis])
    feet = np.concatenate([means[shown] - 6.0 * stds[shown], means[shown] + 6.0 * stds[shown]])
    x = np.union1d(x, feet[(feet > x[0]) & (feet < x[-1])])  # tall components are not near zero before
    densities = marginal.weights * marginal.densities_of_components(x)
    for k in shown:
        within = np.abs(x - means[k]) <= n_std * stds[k]
        ax.fill_between(x, densities[:, k], where=within, color=style.colors[k], alpha=0.2, linewidth=0)
        ax.plot(x, densities[:, k], color=style.colors[k])
    ax.plot(x, densities.sum(axis=1), color=drawing.ink(), linewidth=1, linestyle="--")


def _is_within(means: np.ndarray, limits: np.ndarray) -> np.ndarray:
    return (means >= limits[0, 0]) & (means <= limits[0, 1])


def peaks_of(marginal: Marginal) -> np.ndarray:
    """The largest density of each component, given one feature."""
    return marginal.weights * marginal.densities_of_components(marginal.means[:, 0]).diagonal()


def limit_heights(ax: Axes, marginal: Marginal, limits: np.ndarray) -> None:
    """End the axis of densities where curves of wide components can still be seen, beside peaks of narrow ones."""
    shown = marginal.is_shown & _is_within(marginal.means[:, 0], limits)
    peaks = peaks_of(marginal)
    lowest = peaks[shown & (marginal.weights >= _HEAVY * marginal.weights[shown].max())].min()
    if ax.get_yscale() == "log":
        ax.set_ylim(1e-3 * peaks[shown].min(), 4.0 * peaks[shown].max())
        return
    ax.set_ylim(bottom=0)
    if peaks[shown].max() > _TALLEST * lowest:
        ax.set_ylim(top=_TALLEST * lowest)


def write_numbers(ax: Axes, marginal: Marginal, style: Styles, heights: np.ndarray | None = None) -> None:
    """Write the number of each component at its mean, in one feature at these heights, moved apart where they overlap.

    To be called when the limits of the axes are final.
    """
    small = len(style.shown) > _MOST_LARGE_NUMBERS or drawing.size_in_points(ax)[0] < 200
    size = 6.0 if small else 8.0
    above = 0.0 if heights is None else size  # the center
    texts = [str(k) for k in style.shown]
    centers = marginal.means[style.shown]
    if heights is not None:
        top = ax.get_ylim()[1]
        is_above = heights[style.shown] > top
        centers = np.column_stack([centers[:, 0], np.minimum(heights[style.shown], top)])
        texts = [f"▲ {text}" if is_out else text for text, is_out in zip(texts, is_above, strict=True)]
    lower, upper = np.transpose([ax.get_xlim(), ax.get_ylim()])
    inside = ((centers >= lower) & (centers <= upper)).all(axis=1)
    places = (ax.transAxes.inverted().transform(ax.transData.transform(centers))) * drawing.size_in_points(ax)
    boxes = np.array([[0.65 * size * len(text) + 4.0, 1.2 * size + 3.0] for text in texts])
    numbers = np.flatnonzero(inside)
    places[:, 1] += above
    moved = apart(places[inside], boxes[inside], drawing.size_in_points(ax))
    for i, place in zip(numbers, moved, strict=True):
        k = style.shown[i]
        shift = place - places[i] + [0.0, above]
        far = np.hypot(*shift) > 1.5 * size
        ax.annotate(
            texts[i],
            centers[i],
            shift,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=size,
            color=drawing.ink(),
            bbox={"boxstyle": "round,pad=0.2", "facecolor": drawing.paper(ax), "edgecolor": style.colors[k], "lw": 0.8},
            arrowprops={"arrowstyle": "-", "color": style.colors[k], "lw": 0.8} if far else None,
            zorder=5,
        )


def draw_panels(panels: list[tuple[Axes, list[int]]], subject: Subject, n_std: float) -> None:
    """Draw rows and components in each panel: a pair of Axes and the drawn features of the subject that it shows."""
    first = panels[0][0]
    style = Styles(first, subject.marginal)
    limits = limits_of(subject.marginal, subject.rows, n_std)
    labels = None
    if subject.rows is not None and len(subject.rows) <= drawing.MAX_DOTS:
        labels = subject.labels()
    for ax, features in panels:
        _draw_panel(ax, subject.of(features), style, limits[features], n_std, labels)
    for ax, features in panels:  # when shared axes have their limits
        marginal = subject.marginal.of(features)
        write_numbers(ax, marginal, style, peaks_of(marginal) if len(features) == 1 else None)
    legend_of_components(first, subject.marginal, style, in_column=16 if len(panels) == 1 else _IN_COLUMN_OF_PANEL)


def _draw_panel(ax: Axes, subject: Subject, style: Styles, limits: np.ndarray, n_std: float, labels) -> None:
    if subject.rows is not None and labels is not None and len(limits) == 2:
        draw_dots(ax, subject.rows, labels, style)
    elif subject.rows is not None:
        drawing.draw_rows(ax, subject.rows, limits)
    if len(limits) == 1:
        _draw_curves(ax, subject.marginal, style, limits, n_std)
        limit_heights(ax, subject.marginal, limits)
    else:
        _draw_ellipses(ax, subject.marginal, style, n_std)
    drawing.mark_beyond(ax, subject, limits)


def legend_of_components(ax: Axes, marginal: Marginal, style: Styles, further=(), further_labels=(), **options) -> None:
    """List colors and weights of the components, and further entries. Options are those of `draw_legend`."""
    weights = marginal.weights
    handles = style.handles(as_curves=marginal.means.shape[1] == 1)
    labels = [f"{k}: {weights[k]:.{0 if weights[k] >= 0.01 else 1}%}" for k in style.shown]
    if marginal.noise > 0.0:
        line = {} if marginal.means.shape[1] == 1 else {"marker": style.markers[-1]}
        handles.append(Line2D([], [], color=style.colors[-1], linestyle="none", **line))
        labels.append(marginal.noise_in_words)
    title = "component" if len(style.shown) == len(weights) else f"{len(style.shown)} of {len(weights)}\ncomponents"
    options |= {"title": title, "handletextpad": 0.5, "handlelength": 1.0, "columnspacing": 1.0}
    drawing.draw_legend(ax, [*handles, *further], [*labels, *further_labels], **options)
