"""Rows on which maximum likelihood has no maximum, and what tells that a component has collapsed.

For `test_weak_prior` and for `robustness/collapse.py`.
"""

import numpy as np
from sklearn.datasets import load_iris, load_wine

from fastgmm._model.covariance import structure_of_type
from fastgmm._model.covariance.structure import as_matrices


def of_the_guide():
    """The sets of docs/guide/degenerate.md, by name."""
    readings = np.concatenate([np.random.default_rng(0).normal(5.0, 1.0, 900), np.zeros(100)])
    return {
        "sensor": (readings[:, np.newaxis], 2),
        "wine": (load_wine().data, 6),
        "small unit": (load_iris().data * 1e-4, 2),
    }


def generated(seed):
    """One random set: the rows, and a number of components."""
    rng = np.random.default_rng(seed)
    n, d, K = int(rng.choice([3, 5, 8, 13, 30, 100, 400])), int(rng.integers(1, 7)), int(rng.integers(1, 9))
    X = rng.normal(size=(n, d)) + 5.0 * rng.normal(size=(3, d))[rng.integers(0, 3, n)]
    kind = ("duplicates", "constant columns", "few distinct rows", "integers", "collinear", "atom", "equal rows")
    for each in rng.choice(kind, rng.integers(1, 4), p=[0.2, 0.15, 0.15, 0.2, 0.15, 0.1, 0.05], replace=False):
        if each == "duplicates":
            X = X[rng.integers(0, max(1, n // 3), n)]
        elif each == "constant columns":
            X[:, rng.integers(0, d, rng.integers(1, d + 1))] = rng.normal() * 10.0 ** rng.integers(-3, 6)
        elif each == "few distinct rows":
            X = X[rng.integers(0, rng.integers(1, 4), n)]
        elif each == "integers":
            X = np.round(X)
        elif each == "collinear":
            X[:, -1] = X[:, 0] * rng.normal()
        elif each == "atom":
            X[rng.random(n) < 0.5] = X[0]
        else:
            X[:] = X[0]
    unit = 10.0 ** rng.integers(-8, 9)
    return np.ascontiguousarray(X * unit), min(K, n)


def flaw_of(gmm, X):
    """'' for a sound mixture of the rows, else what is wrong with it.

    A spike has a variance far below what the weak prior leaves to a component with all rows, in a direction in which
    the rows vary.
    """
    K, d = gmm.means_.shape
    spread = as_matrices(structure_of_type(gmm.covariance_type).spread(gmm.covariances_, K, d))
    if not (np.isfinite(spread).all() and np.isfinite(gmm.means_).all() and np.isfinite(gmm.score_samples(X)).all()):
        return "not finite"
    scales = X.std(axis=0)
    varying = scales > 1e-10 * np.abs(X).max(axis=0)
    if not varying.any():
        return ""
    scales = scales[varying]
    units = np.outer(scales, scales)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(X[:, varying].T, bias=True)) / units)
    directions = vectors[:, values > 1e-9] / np.sqrt(values[values > 1e-9])
    of_components = directions.T @ (spread[:, varying][:, :, varying] / units) @ directions
    least = np.linalg.eigvalsh(of_components).min()
    allowed = 0.01 / d**2 * K ** (-2.0 / d) / (len(X) + 2 * d + 6)
    return "" if least > allowed else f"a spike: {least:.2g} of the variance of all rows, {allowed:.2g} is allowed"
