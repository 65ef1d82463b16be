"""Draws the merging of components: a tree, and the entropy for each number of clusters."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import dendrogram

from fastgmm._estimator.merging import MergedComponents
from fastgmm._plots import drawing


def draw_merging(merged: MergedComponents) -> np.ndarray:
    """Draw both panels in a new figure."""
    _, axes = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    left, right = axes
    palette = drawing.palette(left)
    dendrogram(merged.tree, ax=left, color_threshold=0.0, above_threshold_color=palette[0])
    left.set(xlabel="component", ylabel="entropy taken away by merging")
    numbers = np.arange(1, len(merged.entropies) + 1)
    right.plot(numbers, merged.entropies, color=palette[0], marker="o", markersize=4)
    chosen = merged.n_clusters
    if len(numbers) > 2:
        for part in (slice(0, chosen), slice(chosen - 1, None)):
            line = np.polynomial.Polynomial.fit(numbers[part], merged.entropies[part], 1)
            right.plot(numbers[part], line(numbers[part]), color=drawing.ACCENT, linewidth=1, linestyle="--")
    right.plot(
        [chosen],
        [merged.entropies[chosen - 1]],
        "o",
        markersize=12,
        markeredgecolor=drawing.ink(),
        markerfacecolor="none",
        markeredgewidth=1.5,
    )
    drawing.integer_ticks(right, numbers)
    right.set(xlabel="number of clusters", ylabel="entropy, nats")
    return axes
