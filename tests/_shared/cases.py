"""What tests are repeated for, and mixtures with rows that they might come from."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from _shared import oracle
from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.runner import BLOCK_ROWS

TYPES = ["full", "tied", "diag", "spherical"]
DTYPES = [np.float64, np.float32]
N_THREADS = [1, 2, 3]
STARTS = ["kmeans", "k-means++", "random", "random_from_data"]

all_types = pytest.mark.parametrize("covariance_type", TYPES)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
both_estimators = pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
needs_extended = pytest.mark.skipif(not oracle.IS_EXTENDED, reason="longdouble is float64 here")

# Parameters and data are exact in the dtype, so only the arithmetic of a pass is measured. A log-density of size 50 to
# 100 (d = 33) is off by one or two units of rounding (1.1e-16, 6e-8) of its size, and a responsibility, relatively, by
# as much as the log-density absolutely: 2e-14 and 1e-5. Sums of positive terms add next to nothing. Thrice that:
# And twice that again where the oracle itself is in float64.
TOLERANCE = {np.float64: 5e-14 if oracle.IS_EXTENDED else 1e-13, np.float32: 3e-5}

# Rows: one; a vector and the block, one off either way; three blocks. Features: register tiles of 1 .. 8 and vectors of
# 2 .. 16, one off either way. Not their whole product: each list is walked in full beside small others.
EDGE_ROWS = [1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 3]
FEATURES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33]
COMPONENTS = [1, 2, 5]
SHAPES = [
    *((EDGE_ROWS[i % 5], d, COMPONENTS[i % 3]) for i, d in enumerate(FEATURES)),
    *((n, d, COMPONENTS[(i + d) % 3]) for i, n in enumerate(EDGE_ROWS) for d in (2, 7)),
    *((n, d, 2) for n, d in ((3, 8), (9, 16), (17, 8), (17, 19), (31, 16))),
]


def random_covariances(rng, covariance_type, n_components, n_features):
    """Well-conditioned and correlated: the identity plus a random matrix of rank d."""
    A = rng.normal(size=(n_components, n_features, n_features))
    covariances = A @ A.transpose(0, 2, 1) / n_features + np.eye(n_features)
    return {
        "full": lambda: covariances,
        "tied": lambda: covariances[0],
        "diag": lambda: np.einsum("kjj->kj", covariances).copy(),
        "spherical": lambda: covariances[:, 0, 0].copy(),
    }[covariance_type]()


def rounded(array, dtype):
    """The nearest numbers of the dtype, as float64."""
    return np.asarray(array, dtype).astype(np.float64)


@cache
def problem(n, d, K, covariance_type, dtype, offset=0.0, weighted=None):
    """Rows, weights and a mixture that they might come from, with all that the oracle says about them. By default
    every other shape has weights."""
    rng = np.random.default_rng([n, d, K])
    means = rounded(offset + rng.normal(size=(K, d)), dtype)
    X = (means[rng.integers(K, size=n)] + rng.normal(size=(n, d))).astype(dtype)
    weights = rng.uniform(0.3, 3.0, n)
    sample_weight = weights if (n + d + K) % 2 == 0 or weighted else None
    factors = rounded(COVARIANCE_TYPES[covariance_type].precisions_cholesky(
        random_covariances(rng, covariance_type, K, d)), dtype)  # fmt: skip
    mixture = MixtureParameters(rng.dirichlet(np.ones(K)), means, np.array(np.nan), factors)
    joint = oracle.log_joint(X, mixture, covariance_type)
    labels = rng.integers(K, size=n).astype(np.int32)
    return SimpleNamespace(
        X=X, sample_weight=sample_weight, mixture=mixture,
        components=components(mixture, covariance_type), joint=joint, norm=oracle.log_prob_norm(joint),
        resp=oracle.responsibilities(joint), centers=means + rounded(rng.normal(size=(K, d)), dtype),
        labels=labels, one_hot=np.eye(K)[labels],
    )  # fmt: skip


def components(mixture, covariance_type):
    return mixture.components(COVARIANCE_TYPES[covariance_type])


def data_passes(p, covariance_type, n_threads):
    return ArrayPasses(p.X, p.sample_weight, len(p.mixture.means), COVARIANCE_TYPES[covariance_type], n_threads)
