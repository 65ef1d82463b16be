"""Color and marker of each component: neighbors differ in color, and no two components share both."""

from __future__ import annotations

import numpy as np

# Okabe and Ito's colors, which all kinds of color vision tell apart. Some are changed so that they stand out from the
# background: the yellow is olive on white, and wine is lilac on black.
ON_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#D18F00", "#3FA4DE", "#882255", "#8A8A1E")
ON_DARK = ("#2F95D8", "#E8702A", "#00B884", "#E08FBD", "#F0A91E", "#7CC8F2", "#B88AE0", "#F0E442")
MARKERS = "os^DvPX<"
N_COLORS = len(ON_LIGHT)


def color_numbers(distances: np.ndarray) -> np.ndarray:
    """A color for each component, from the distances between all pairs. Those of equal color are far apart."""
    n = len(distances)
    colors = np.full(n, -1)
    for k in range(n):
        nearest = [np.min(distances[k, colors == color], initial=np.inf) for color in range(N_COLORS)]
        colors[k] = int(np.argmax(nearest))
    return colors


def marker_numbers(colors: np.ndarray) -> np.ndarray:
    """A marker for each component. Those of equal color have different ones, as long as there are enough."""
    n_before = [np.count_nonzero(colors[:k] == color) for k, color in enumerate(colors)]
    return (colors + n_before) % len(MARKERS)
