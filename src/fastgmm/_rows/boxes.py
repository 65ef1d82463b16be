"""The smaller of two boxes that hold all rows: along the features, and along the principal axes, as mclust's hypvol."""

from __future__ import annotations

import numpy as np

from fastgmm._model.covariance import FULL
from fastgmm._rows.columns import mean_of_all
from fastgmm._rows.protocol import Passes


def smallest_box(passes: Passes) -> np.ndarray:
    """A corner of the box, and its edges, shape (n_features + 1, n_features), float64. Makes three passes.

    The box along the principal axes is left out if it is flat up to rounding.

    Raises
    ------
    ValueError
        If a feature is constant.
    """
    d = passes.n_features
    mean = mean_of_all(passes)
    scatter = passes.for_mixture(1, FULL).statistics_of_all(mean[np.newaxis]).scatter[0]
    axes = np.eye(d), np.linalg.eigh(scatter)[1].T  # as rows
    low, high = passes.ranges(mean, np.vstack(axes).T)
    along_features, along_principal = lengths = (high - low).reshape(2, d)
    if not along_features.all():
        raise ValueError(
            f"noise=True needs rows that fill a volume, but feature {int(along_features.argmin())} is constant: leave "
            "it out, or pass the volume of the background as noise."
        )
    flat = 64.0 * np.finfo(passes.dtype).eps * np.linalg.norm(along_features)
    is_usable = d > 1 and bool((along_principal > flat).all())
    chosen = int(is_usable and np.log(along_principal).sum() < np.log(along_features).sum())
    corner = mean + low.reshape(2, d)[chosen] @ axes[chosen]
    return np.vstack([corner, lengths[chosen][:, np.newaxis] * axes[chosen]])


def log_volume(box: np.ndarray) -> float:
    """Logarithm of the volume of a box."""
    longest = np.abs(box[1:]).max(axis=1)  # without it squares of edges of 1e-170 are 0
    return float((np.log(longest) + np.log(np.linalg.norm(box[1:] / longest[:, np.newaxis], axis=1))).sum())
