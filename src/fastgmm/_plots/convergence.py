"""Draws the bound of a fit, and its gain, against iterations."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from fastgmm._plots import drawing
from fastgmm._utils.words import counted


def draw_convergence(mixture) -> np.ndarray:
    """Draw both panels in a new figure. Returns their Axes, shape (2,)."""
    _, axes = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    bounds = np.ravel(np.asarray(mixture.lower_bounds_, dtype=np.float64))  # scikit-learn has arrays of one number, too
    iterations = np.arange(1, len(bounds) + 1)
    margin = max(0.05 * (len(bounds) - 1), 0.5)
    for ax in axes:
        drawing.integer_ticks(ax, iterations)
        ax.set_xlabel("iteration")
        ax.set_xlim(1.0 - margin, len(bounds) + margin)
    color = drawing.palette(axes[0])[0]
    axes[0].plot(iterations, bounds, color=color, marker="o", markersize=3)
    axes[0].set_ylabel("lower bound")
    _draw_gains(axes[1], iterations, bounds, mixture, color)
    end = f"{'converged' if mixture.converged_ else 'not converged'} after {counted(len(bounds), 'iteration')}"
    _ring(axes[0], iterations[-1], bounds[-1], end)
    axes[0].legend(loc="lower right", frameon=False, fontsize="small")
    return axes


def _draw_gains(ax: Axes, iterations: np.ndarray, bounds: np.ndarray, mixture, color: str) -> None:
    gains = np.diff(bounds)
    ax.set(yscale="log", ylabel="gain of the bound")
    if (gains > 0.0).any():
        heights = np.where(gains > 0.0, gains, np.nan)
        ax.plot(iterations[1:], heights, color=color, marker="o", markersize=3, label="gain")
    if (gains < 0.0).any():
        heights = np.where(gains < 0.0, -gains, np.nan)
        ax.plot(iterations[1:], heights, "o", color=color, markersize=4, fillstyle="none", label="loss")
    tol = getattr(mixture, "tol", 0.0)
    if tol > 0.0:
        ax.axhline(tol, color=drawing.ACCENT, linewidth=1.0, label=f"tol={tol:g}")
    rule = getattr(mixture, "stopping", "change")
    if len(gains) and gains[-1] != 0.0:
        _ring(ax, iterations[-1], abs(gains[-1]), "end")
    elif not gains.any():
        ax.text(0.5, 0.75, "no gain after the first iteration", ha="center", transform=ax.transAxes, fontsize="small")
        ax.set_ylim(*(tol * np.array([0.1, 10.0]) if tol > 0.0 else (0.1, 10.0)))
    if not ax.get_legend_handles_labels()[0]:
        return
    title = None if rule == "change" else "tol is for the estimated\ngain still to come"
    ax.legend(loc="best", frameon=False, fontsize="small", title=title, title_fontsize="small")


def _ring(ax: Axes, x: float, y: float, label: str) -> None:
    """Mark the last iteration."""
    ax.plot([x], [y], "o", markersize=10, markerfacecolor="none", markeredgecolor=drawing.ink(), label=label)
