"""Draws the two pictures of docs/design.md: ``python docs/drawings.py`` writes them to docs/images.

Each is a light card, so that it reads on a light and on a dark page.
"""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

IMAGES = Path(__file__).parent / "images"
INK, GRAY, CARD = "#1f2328", "#8b949e", "#f6f8fa"
BLUE, ORANGE, GREEN = "#cfe3f5", "#fbdcb5", "#d8ecd4"
STYLE = {"font.family": "DejaVu Sans", "font.size": 10, "text.color": INK, "svg.hashsalt": "fastgmm"}


def card(width: float, height: float) -> Axes:
    """Axes on a card, in units of a hundredth of an inch."""
    figure = plt.figure(figsize=(width / 100, height / 100), facecolor="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    box(ax, 2, 2, width - 4, height - 4, CARD, edge="#d0d7de")
    return ax


def box(ax: Axes, x: float, y: float, width: float, height: float, color: str, label: str = "", edge: str = GRAY):
    """A rounded box with a label in its middle."""
    style = "round,pad=0,rounding_size=8"
    ax.add_patch(FancyBboxPatch((x, y), width, height, style, facecolor=color, edgecolor=edge))
    ax.text(x + width / 2, y + height / 2, label, ha="center", va="center", linespacing=1.5)


def arrow(ax: Axes, begin: tuple[float, float], end: tuple[float, float]):
    """An arrow from one point to another."""
    ax.add_patch(FancyArrowPatch(begin, end, arrowstyle="-|>", mutation_scale=12, color=INK, shrinkA=0, shrinkB=0))


def note(ax: Axes, x: float, y: float, text: str):
    """Small text."""
    ax.text(x, y, text, ha="center", va="center", fontsize=8.5, color="#57606a", linespacing=1.4)


def draw_block() -> None:
    """Where the data of one block are while a thread works on it."""
    ax = card(720, 280)
    note(ax, 85, 255, "main memory")
    for n in range(7):
        color = ORANGE if n == 2 else "#fdf0df" if n == 3 else "white"
        ax.add_patch(Rectangle((45, 215 - 24 * n), 80, 24, facecolor=color, edgecolor=GRAY))
    ax.text(85, 179, "256 rows", ha="center", va="center", fontsize=8.5)
    ax.text(85, 155, "prefetched", ha="center", va="center", fontsize=8.5, color="#57606a")
    note(ax, 85, 40, "$N$ rows, $d$ columns;\nread once in a pass")
    box(ax, 168, 22, 530, 220, "white", edge=GRAY)
    note(ax, 433, 255, "cache of one core")
    arrow(ax, (125, 179), (186, 149))
    box(ax, 188, 112, 100, 74, ORANGE, "block\n$256 \\times d$")
    note(ax, 238, 209, "transposed:\na lane is a row")
    arrow(ax, (288, 149), (320, 149))
    box(ax, 322, 112, 150, 74, BLUE, "log-densities,\nresponsibilities\n$256 \\times K$")
    note(ax, 397, 209, "all components,\nthen softmax")
    arrow(ax, (397, 112), (397, 76))
    note(ax, 397, 56, "overwritten by those\nof the next block")
    arrow(ax, (472, 149), (526, 149))
    note(ax, 499, 161, "add")
    box(ax, 528, 99, 150, 100, BLUE, "sums of this thread\n$n_k$, $s_k$, $S_k$\nlog-likelihood")
    note(ax, 603, 56, "kept to the end of the pass,\nthen merged with those\nof the other threads")
    save(ax, "design_block.svg")


def draw_iteration() -> None:
    """One iteration: a pass, its statistics, the M step."""
    ax = card(720, 270)
    note(ax, 77, 243, "rows")
    for n, kind in enumerate(("array", "batches", "dask chunks")):
        box(ax, 25, 185 - 48 * n, 105, 38, ORANGE, kind)
        arrow(ax, (130, 204 - 48 * n), (178, 156 + 12 * (1 - n)))
    box(ax, 180, 112, 130, 88, BLUE, "pass\nE step, sums\nall threads")
    arrow(ax, (310, 156), (355, 156))
    box(ax, 357, 112, 145, 88, BLUE, "statistics\n$n_k$, $s_k$, $S_k$\nlog-likelihood")
    arrow(ax, (502, 156), (547, 156))
    box(ax, 549, 112, 147, 88, GREEN, "M step\n$\\pi_k$, $\\mu_k$, $\\Sigma_k$\n$K$ small matrices")
    note(ax, 245, 223, "compiled,\nproportional to $N$")
    note(ax, 430, 223, "sums of parts add up,\nin a fixed order")
    note(ax, 622, 223, "NumPy,\nindependent of $N$")
    ax.plot([622, 622, 245], [112, 62, 62], color=INK, lw=1, zorder=1)
    arrow(ax, (245, 61.4), (245, 110))
    box(ax, 310, 41, 240, 42, "white", "components: $\\mu_k$, $U_k$, constants")
    note(ax, 430, 24, "until the mean log-likelihood changes by less than tol")
    save(ax, "design_iteration.svg")


def save(ax: Axes, name: str) -> None:
    """Write the figure without a date, so that equal pictures are equal files."""
    ax.figure.savefig(IMAGES / name, metadata={"Date": None}, transparent=True)
    plt.close(ax.figure)


if __name__ == "__main__":
    with plt.rc_context(STYLE):
        draw_block()
        draw_iteration()
