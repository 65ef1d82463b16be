"""Data on which Gaussian mixtures lose digits, each with the start of a fit.

For `test_numerics` and for `benchmarks/accuracy.py`.
"""

from typing import NamedTuple

import numpy as np

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")


class HardCase(NamedTuple):
    """Rows, and from where EM starts; every fit is given the same start."""

    X: np.ndarray
    means: np.ndarray
    variances: np.ndarray  # of each column, for all components
    reg_covar: float = 1e-6

    def start(self, covariance_type):
        """Parameters of an estimator that starts from these means, equal weights and diagonal precisions."""
        K, precision = len(self.means), 1.0 / self.variances
        precisions = {
            "full": lambda: np.tile(np.diag(precision), (K, 1, 1)),
            "tied": lambda: np.diag(precision),
            "diag": lambda: np.tile(precision, (K, 1)),
            "spherical": lambda: np.full(K, 1.0 / self.variances.mean()),
        }[covariance_type]()
        return {
            "n_components": K,
            "covariance_type": covariance_type,
            "weights_init": np.full(K, 1.0 / K),
            "means_init": self.means,
            "precisions_init": precisions,
            "reg_covar": self.reg_covar,
        }


def blobs(n_features=3, seed=0, n_rows=150, spread=4.0):
    """Three overlapping, correlated clusters, and points near their centers."""
    rng = np.random.default_rng(seed)
    centers = spread * np.array([np.cos(0.7 * k + np.arange(n_features)) for k in range(3)]).round(2)
    shapes = np.eye(n_features) + 0.3 * rng.uniform(-1, 1, size=(3, n_features, n_features))
    X = np.vstack([c + rng.normal(size=(n_rows, n_features)) @ A for c, A in zip(centers, shapes, strict=True)])
    return X, centers + 0.25


def _offset(value, dtype=np.float64):
    X, means = blobs()
    return HardCase((X + value).astype(dtype), means + value, np.ones(3))


def _far_clusters():
    X, means = blobs(spread=1e5)
    return HardCase(X, means, np.ones(3))


def _column_scales():
    X, means = blobs(n_features=5)
    scales = np.array([1e-6, 1e-3, 1.0, 1e3, 1e6])
    return HardCase(X * scales, means * scales, scales**2, 0.0)


def _close_columns():
    """Two columns that differ by a thousandth of their deviation: condition number 1e6."""
    X, means = blobs()
    X[:, 2] = X[:, 0] + 1e-3 * np.random.default_rng(5).normal(size=len(X))
    means[:, 2] = means[:, 0]
    return HardCase(X, means, np.ones(3), 0.0)


def _one_large_column():
    X, means = blobs()
    offset = np.array([0.0, 1e7, 0.0])
    return HardCase(X + offset, means + offset, np.ones(3))


def _as_many_components_as_rows():
    X = blobs(n_rows=3)[0] + 1e3
    return HardCase(X, X, np.full(3, 1e-2))


def _one_feature():
    X, means = blobs(n_features=1)
    return HardCase(X + 1e6, means + 1e6, np.ones(1))


def _duplicates():
    X, means = blobs(n_rows=20)
    return HardCase(np.repeat(X, 10, axis=0) + 1e5, means + 1e5, np.ones(3))


def _outliers():
    """Twelve rows about 1e8 away, and a component that takes them."""
    X, means = blobs()
    outlier = np.array([1e8, 0.0, 0.0])
    X[::40] = outlier + 1e6 * np.random.default_rng(0).normal(size=(12, 3))
    return HardCase(X, np.vstack([means, outlier]), np.ones(3))


def _bad_start():
    """One mean, a million deviations away from the rows."""
    X, _ = blobs()
    return HardCase(X + 1e6, np.zeros((1, 3)), np.ones(3))


def _wide_start():
    """Several means far away, with deviations so large that each takes some share of each row."""
    X, means = blobs()
    return HardCase(X, 1e5 * means, np.full(3, 1e12))


HARD_CASES = {
    "centered": _offset(0.0),
    "offset 1e6": _offset(1e6),
    "one column at 1e7": _one_large_column(),
    "clusters 1e5 deviations apart": _far_clusters(),
    "columns of scale 1e-6 to 1e6": _column_scales(),
    "two columns 1e-3 apart": _close_columns(),
    "outliers at 1e8": _outliers(),
    "duplicates, offset 1e5": _duplicates(),
    "one feature, offset 1e6": _one_feature(),
    "n_samples = n_components": _as_many_components_as_rows(),
    "start 1e6 deviations away": _bad_start(),
    "wide start 1e5 deviations away": _wide_start(),
    "float32": _offset(0.0, np.float32),
    "float32, offset 100": _offset(100.0, np.float32),
}
