"""Which rows start as noise: those in the sparser one of two groups, by the distance from the k-th nearest neighbor.

Byers & Raftery (JASA 93, 1998) divide rows so for mclust, with gamma distributions of the d-th power of the distance.
Here two Gaussians of its logarithm do it, so the number of features does not matter.
"""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from fastgmm._rows.array import ArrayPasses

_MOST_ROWS = 20_000  # of more rows, the start is found on a uniform sample of so many
_N_NEIGHBORS = 12
_LEAST_ROWS = 4 * _N_NEIGHBORS  # with fewer, no row starts as noise
_FAR_AT_FIRST = 0.2  # share of the rows
_MAX_ITER = 100


def without_noise(
    passes: ArrayPasses, n_components: int, random_state: np.random.RandomState
) -> tuple[ArrayPasses, float]:
    """Passes over the rows that are in clusters, and the share of the others, by weight."""
    n_rows = len(passes.X)
    if n_rows > _MOST_ROWS:
        passes = passes.part(np.sort(random_state.choice(n_rows, _MOST_ROWS, replace=False)))
    kept = np.flatnonzero(~are_far(passes.X))
    if len(kept) == len(passes.X) or len(kept) < 2 * n_components:
        return passes, 0.0
    clusters = passes.part(kept)
    return clusters, 1.0 - clusters.total_weight / passes.total_weight


def are_far(X: np.ndarray) -> np.ndarray:
    """A mask of the rows in the group that is far from its neighbors. Units of the features do not matter."""
    far = np.zeros(len(X), dtype=bool)
    if len(X) < _LEAST_ROWS:
        return far
    X = X.astype(np.float64)
    deviations = X.std(axis=0)
    scaled = (X - X.mean(axis=0)) / np.where(deviations > 0.0, deviations, 1.0)
    distances = NearestNeighbors(n_neighbors=_N_NEIGHBORS).fit(scaled).kneighbors()[0][:, -1]
    logs = np.log(np.maximum(distances, np.finfo(np.float64).tiny))
    far = logs > np.quantile(logs, 1.0 - _FAR_AT_FIRST)
    for _ in range(_MAX_ITER):
        if min(far.sum(), (~far).sum()) < 2 or min(logs[far].std(), logs[~far].std()) == 0.0:
            return np.zeros(len(X), dtype=bool)
        before, far = far, (_score(logs, far) > _score(logs, ~far)) & (logs > logs[~far].mean())
        if (far == before).all():
            break
    return far


def _score(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Log-density of the Gaussian of a group at the values, with its share, up to a constant."""
    mean, deviation = values[group].mean(), values[group].std()
    return np.log(group.mean() / deviation) - 0.5 * ((values - mean) / deviation) ** 2
