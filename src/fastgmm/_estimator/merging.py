r"""Merging of components to clusters of several Gaussians, by entropy (Baudry, Raftery, Celeux, Lo and Gottardo 2010).

A step merges the two clusters a, b that lower the entropy of the responsibilities most:

.. math::
    \sum_i \big( (t_{ia} + t_{ib}) \log (t_{ia} + t_{ib}) - t_{ia} \log t_{ia} - t_{ib} \log t_{ib} \big) .

The density does not change. Rows that belong to one component for certain add nothing, so only the others are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import xlogy

from fastgmm._utils import layout
from fastgmm._utils.annotations import FloatArray, IntArray, Rows
from fastgmm._utils.layout import Table
from fastgmm._utils.values import is_boolean, is_integer_from
from fastgmm._utils.words import counted, listed

_MOST_ROWS = 20  # lines of the printed table
_MOST_LISTED = 12  # components of a cluster in it


class MergedComponents:
    """Clusters made of the components of a mixture, for every number of clusters. Printed, it is a table.

    `merge_components` of a fitted mixture makes it.

    Attributes
    ----------
    tree : ndarray of shape (n_components - 1, 4)
        The merges in the form of `scipy.cluster.hierarchy.linkage`: two clusters, by how much the entropy has fallen
        since the first merge, and the number of components in the new cluster.
    entropies : ndarray of shape (n_components,)
        Entropy of the responsibilities, in nats and summed over the rows: ``entropies[n - 1]`` is that of n clusters.
    n_clusters : int
        A proposal: the kink of the entropies, where two straight lines fit them best. By this rule it is never 1, and
        with three components or more it is less than their number. Look at :func:`fastgmm.plotting.plot_merging`.
    """

    def __init__(self, mixture: Any, tree: np.ndarray, entropies: np.ndarray):
        self._mixture = mixture
        self.tree = tree
        self.entropies = entropies
        self.n_clusters = kink(entropies)

    def __str__(self) -> str:
        return layout.as_text(self._parts())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return layout.as_html(self._parts())

    def _parts(self) -> list[str | Table]:
        K, found = len(self.entropies), self.clusters()
        lines = [
            (str(n), f"{self.entropies[n - 1]:.2f}", "proposed" if n == self.n_clusters else "")
            for n in range(1, K + 1)
            if n <= _MOST_ROWS or n == self.n_clusters
        ]
        return [
            f"{counted(K, 'component')} merged by entropy: {counted(self.n_clusters, 'cluster')} proposed.",
            Table(lines, ("clusters", "entropy", "")),
            Table([(f"cluster {n}", _components(np.flatnonzero(found == n))) for n in range(self.n_clusters)]),
        ]

    def clusters(self, n_clusters: int | None = None) -> IntArray:
        """The cluster of each component.

        Parameters
        ----------
        n_clusters : int, default=None
            From 1 to the number of components. None: the proposal `n_clusters`.

        Returns
        -------
        clusters : ndarray of shape (n_components,), dtype int64
            Clusters are numbered in the order of their first components.

        Raises
        ------
        ValueError
            If there is no such number of clusters.
        """
        n_components = len(self.entropies)
        n_clusters = self.n_clusters if n_clusters is None else n_clusters
        if is_boolean(n_clusters) or not is_integer_from(1)(n_clusters) or n_clusters > n_components:
            raise ValueError(f"n_clusters must be an int from 1 to {n_components}, got {n_clusters!r}.")
        members = {k: [k] for k in range(n_components)}
        for step, (a, b) in enumerate(self.tree[: n_components - n_clusters, :2].astype(int).tolist()):
            members[n_components + step] = members.pop(a) + members.pop(b)
        found = np.empty(n_components, np.int64)
        for number, components in enumerate(sorted(members.values(), key=min)):
            found[components] = number
        return found

    def predict_proba(self, X: Rows, n_clusters: int | None = None) -> FloatArray:
        """Probability of each cluster for each row: the sum of those of its components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.

        n_clusters : int, default=None
            Number of clusters, as in `clusters`.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_clusters)
        """
        clusters = self.clusters(n_clusters)
        resp = self._mixture.predict_proba(X)
        return resp @ np.eye(clusters.max() + 1, dtype=resp.dtype)[clusters]

    def predict(self, X: Rows, n_clusters: int | None = None) -> IntArray:
        """Most probable cluster of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.

        n_clusters : int, default=None
            Number of clusters, as in `clusters`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
        """
        return self.predict_proba(X, n_clusters).argmax(axis=1).astype(np.int64)


def _components(numbers: np.ndarray) -> str:
    """Such as "components 0 and 3"."""
    return f"{'component' if len(numbers) == 1 else 'components'} {listed(numbers, _MOST_LISTED)}"


def uncertain_rows(resp: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Responsibilities and weights of the rows that belong to no component for certain, float64."""
    chosen = resp.max(axis=1) < 1.0
    return resp[chosen].astype(np.float64), np.ones(np.count_nonzero(chosen)) if weights is None else weights[chosen]


def merges(resp: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tree and the entropies of a `MergedComponents`.

    Parameters
    ----------
    resp : ndarray of shape (n_rows, n_components)
        Those of uncertain rows.
    weights : ndarray of shape (n_rows,)
    """
    K = resp.shape[1]
    columns = {k: resp[:, k] for k in range(K)}
    own = {k: float(weights @ xlogy(column, column)) for k, column in columns.items()}
    sizes = dict.fromkeys(range(K), 1)
    of_sum = _sums_of_pairs(columns, weights)
    falls = {(a, b): of_sum(a, b) - own[a] - own[b] for a in range(K) for b in range(a)}
    entropies = np.empty(K)
    entropies[-1] = -sum(own.values())
    tree = np.empty((K - 1, 4))
    for step in range(K - 1):
        a, b = max(falls, key=lambda pair: falls[pair])
        new, fall = K + step, falls[a, b]
        entropies[K - 2 - step] = entropies[K - 1 - step] - fall
        sizes[new] = sizes[a] + sizes[b]
        tree[step] = min(a, b), max(a, b), entropies[-1] - entropies[K - 2 - step], sizes[new]
        columns[new] = columns.pop(a) + columns.pop(b)
        own[new] = fall + own.pop(a) + own.pop(b)
        falls = {pair: value for pair, value in falls.items() if not {a, b}.intersection(pair)}
        falls |= {(new, c): of_sum(new, c) - own[new] - own[c] for c in columns if c != new}
    return tree, np.maximum(entropies, 0.0)


def _sums_of_pairs(columns: dict[int, np.ndarray], weights: np.ndarray) -> Callable[[int, int], float]:
    def of_sum(a: int, b: int) -> float:
        both = columns[a] + columns[b]
        return float(weights @ xlogy(both, both))

    return of_sum


def kink(entropies: np.ndarray) -> int:
    """The number of clusters at which two straight lines through the entropies meet (Baudry et al. 2010, section 4.2).

    With fewer than three components it is their number.
    """
    K = len(entropies)
    if K < 3:
        return K
    numbers, best, found = np.arange(1, K + 1), math.inf, K
    for n in range(2, K):
        error = sum(_error_of_line(numbers[part], entropies[part]) for part in (slice(0, n), slice(n - 1, K)))
        if error < best:
            best, found = error, n
    return found


def _error_of_line(x: np.ndarray, y: np.ndarray) -> float:
    """Sum of the squared differences from the best straight line."""
    x, y = x - x.mean(), y - y.mean()
    return float(((y - (x @ y) / (x @ x) * x) ** 2).sum())
