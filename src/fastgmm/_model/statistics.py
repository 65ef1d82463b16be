r"""Sufficient statistics of a Gaussian mixture: the result of one pass over the rows.

With responsibilities :math:`r_{ik}`, sample weights :math:`w_i` and a center :math:`c_k` for each component,

.. math::
    n_k = \sum_i w_i r_{ik}, \qquad
    s_k = \sum_i w_i r_{ik} (x_i - c_k), \qquad
    S_k = \sum_i w_i r_{ik} (x_i - c_k)(x_i - c_k)^T .

The variational bound also needs the entropy :math:`-\sum_i w_i \sum_k r_{ik} \log r_{ik}`. In a mixture of t
distributions the weight of a row is :math:`r_{ik} u_{ik}` in place of :math:`r_{ik}`, and the M step also needs
:math:`\sum_i w_i r_{ik}` and :math:`\sum_i w_i r_{ik} \log u_{ik}` (see `student.py`).

The statistics of parts of the rows add up if all parts use the same centers. A center is a point near the component (in
EM its old mean), because :math:`E[x^2] - \mu^2` loses all digits when the data lie far from the origin (Schubert &
Gertz, SSDBM 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

_ENTRIES_AT_A_TIME = 2**15  # of matrices in a temporary array, which fits in the cache


@dataclass(slots=True)
class SufficientStatistics:
    """Sums over rows from which the M step is computed, all float64.

    Attributes
    ----------
    centers : ndarray of shape (n_components, n_features)
        The points about which the sums are taken.
    nk : ndarray of shape (n_components,)
        Sum of the weighted responsibilities.
    sum_x : ndarray of shape (n_components, n_features)
        Weighted sum of the differences from the center.
    scatter : ndarray
        Weighted sum of the products of differences, in the shape of the structure's `scatter_shape`: symmetric matrices
        for 'full', their sum over the components for 'tied', squares only for 'diag', and the sums of the squares over
        the features for 'spherical'.
    log_likelihood : float
        Weighted sum of the rows' log-densities; 0 when the responsibilities were given.
    entropy : float
        Weighted sum of the entropies of the rows' responsibilities; 0 unless it was asked for.
    total_weight : float
        Sum of the sample weights; the number of rows when there are none.
    noise : float
        Mass of a uniform background: the weighted sum of its responsibilities.
    tails : ndarray of shape (2, n_components), or None
        Of t distributions: the weighted sums of the responsibilities, and of these times log u. None for others.
    """

    centers: np.ndarray
    nk: np.ndarray
    sum_x: np.ndarray
    scatter: np.ndarray
    log_likelihood: float
    entropy: float
    total_weight: float
    noise: float = 0.0
    tails: np.ndarray | None = None

    def __setstate__(self, state: tuple[None, dict[str, object]]) -> None:
        self.noise, self.tails = 0.0, None  # streams that older versions pickled do not have these
        for name, value in state[1].items():
            setattr(self, name, value)

    @classmethod
    def zeros(
        cls, centers: np.ndarray, scatter_shape: tuple[int, ...], with_tails: bool = False
    ) -> SufficientStatistics:
        """Statistics of no rows at all, about the given centers."""
        nk, sum_x, scatter = np.zeros(len(centers)), np.zeros(centers.shape), np.zeros(scatter_shape)
        tails = np.zeros((2, len(centers))) if with_tails else None
        return cls(centers, nk, sum_x, scatter, 0.0, 0.0, 0.0, tails=tails)

    def scatter_about(self, delta: np.ndarray) -> np.ndarray:
        """The scatter about ``centers + delta``: S - s delta^T - delta s^T + n delta delta^T, exactly symmetric."""
        if self.scatter.ndim == 2:
            squares = (2.0 * self.sum_x - self.nk[:, np.newaxis] * delta) * delta
            return self.scatter - (squares.sum(axis=1, keepdims=True) if self.scatter.shape[1] == 1 else squares)
        v = self.sum_x - 0.5 * self.nk[:, np.newaxis] * delta
        if len(self.scatter) == 1:
            products = v.T @ delta
            return self.scatter - (products + products.T)
        step = max(1, _ENTRIES_AT_A_TIME // self.scatter[0].size)
        if step >= len(v):
            products = v[:, :, np.newaxis] * delta[:, np.newaxis]
            return self.scatter - (products + products.swapaxes(1, 2))
        moved = np.empty_like(self.scatter)
        for first in range(0, len(v), step):
            part = slice(first, first + step)
            a, b = v[part], delta[part]
            products = a[:, :, np.newaxis] * b[:, np.newaxis]
            products += b[:, :, np.newaxis] * a[:, np.newaxis]  # large matrices are slow to read transposed
            np.subtract(self.scatter[part], products, out=moved[part])
        return moved

    def moved_to(self, centers: np.ndarray) -> SufficientStatistics:
        """The same sums about other centers. They lose digits if the other centers are much nearer to the rows."""
        delta = centers - self.centers
        sum_x = self.sum_x - self.nk[:, np.newaxis] * delta
        return replace(self, centers=centers, nk=self.nk.copy(), sum_x=sum_x, scatter=self.scatter_about(delta))

    def merge(self, other: SufficientStatistics) -> None:
        """Add the statistics of further rows; ValueError if their centers differ."""
        if not np.array_equal(self.centers, other.centers):
            raise ValueError("Statistics about different centers do not add up: pass the same centers to both passes.")
        self.nk += other.nk
        self.sum_x += other.sum_x
        self.scatter += other.scatter
        self.log_likelihood += other.log_likelihood
        self.entropy += other.entropy
        self.total_weight += other.total_weight
        self.noise += other.noise
        if self.tails is not None:
            self.tails += other.tails

    def scale(self, factor: float) -> None:
        """Count every row `factor` times."""
        self.nk *= factor
        self.sum_x *= factor
        self.scatter *= factor
        self.log_likelihood *= factor
        self.entropy *= factor
        self.total_weight *= factor
        self.noise *= factor
        if self.tails is not None:
            self.tails *= factor

    def to_vector(self) -> np.ndarray:
        """All sums in one array that can be sent and added up, with the upper triangles only of symmetric scatters."""
        scatter = self.scatter[:, *np.triu_indices(self.scatter.shape[1])] if self.scatter.ndim == 3 else self.scatter
        sums = [self.log_likelihood, self.entropy, self.total_weight, self.noise]
        tails = () if self.tails is None else self.tails.ravel()
        return np.concatenate([tails, self.nk, self.sum_x.ravel(), scatter.ravel(), sums])

    @classmethod
    def from_vector(
        cls, vector: np.ndarray, centers: np.ndarray, scatter_shape: tuple[int, ...], with_tails: bool = False
    ) -> SufficientStatistics:
        """Statistics from `to_vector`, or from a sum of such vectors about the same centers."""
        statistics = cls.zeros(centers, scatter_shape, with_tails)
        if statistics.tails is not None:
            statistics.tails[:] = vector[: 2 * len(centers)].reshape(2, -1)
            vector = vector[2 * len(centers) :]
        nk, sum_x, scatter, sums = np.split(vector, [len(centers), len(centers) + centers.size, -4])
        statistics.nk[:] = nk
        statistics.sum_x[:] = sum_x.reshape(centers.shape)
        if len(scatter_shape) == 3:
            rows, columns = np.triu_indices(scatter_shape[1])
            triangles = scatter.reshape(scatter_shape[0], len(rows))
            statistics.scatter[:, rows, columns] = statistics.scatter[:, columns, rows] = triangles
        else:
            statistics.scatter[:] = scatter.reshape(scatter_shape)
        statistics.log_likelihood, statistics.entropy, statistics.total_weight, statistics.noise = sums.tolist()
        return statistics
