"""Places of labels that do not overlap."""

from __future__ import annotations

import numpy as np


def apart(places: np.ndarray, sizes: np.ndarray, area: np.ndarray, n_rounds: int = 100) -> np.ndarray:
    """Centers of boxes, moved until none overlaps another, if there is room.

    Parameters
    ----------
    places : ndarray of shape (n, 2)
        Where the centers would best be.
    sizes : ndarray of shape (n, 2)
        Widths and heights.
    area : ndarray of shape (2,)
        Width and height of what the boxes must stay in. Its lower left corner is 0, 0.
    """
    moved = np.clip(places, sizes / 2.0, area - sizes / 2.0)
    needed = (sizes[:, np.newaxis] + sizes) / 2.0
    order = np.arange(len(places))
    ahead = np.sign(order[:, np.newaxis] - order)  # decides between boxes of the same center
    for _ in range(n_rounds):
        difference = moved[:, np.newaxis] - moved
        overlap = np.clip(needed - np.abs(difference), 0.0, None)
        overlap[(overlap == 0.0).any(axis=2)] = 0.0
        overlap[order, order] = 0.0
        if not overlap.any():
            break
        direction = np.where(difference == 0.0, ahead[:, :, np.newaxis], np.sign(difference))
        along = overlap[:, :, 0] < overlap[:, :, 1]  # the shorter way out
        push = 0.55 * direction * overlap * np.stack([along, ~along], axis=2)
        moved = np.clip(moved + push.sum(axis=1), sizes / 2.0, area - sizes / 2.0)
    return moved
