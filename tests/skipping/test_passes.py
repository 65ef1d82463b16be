"""Passes that skip pairs of row and component, in either way: against the oracle, and against dense passes."""

import pickle
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from _shared import oracle
from _shared.assertions import (
    assert_bitwise_equal,
    assert_close,
    assert_equal_statistics,
    expected_statistics,
)
from _shared.cases import BLOCK_ROWS, N_THREADS, TOLERANCE, all_types, both_dtypes
from _shared.skipping import (
    HARD,
    SORTED_ROWS,
    InCells,
    Screens,
    hard,
    left,
    nearly_singular,
    predictions,
    seen,
    separated,
    statistics,
    without_weight,
)

from fastgmm._model.covariance import FULL
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._skipping.screens import Goal

pytestmark = pytest.mark.usefixtures("threads_on_tiny_data")

# Around the edges of vectors, blocks and screened blocks (of 2048 rows where there are few features), with one look and
# with two; and around the edges of vectors, tiles and of what is sorted together.
CASES = [  # (rows, features, components), way
    *(
        ((n, d, K), Screens(n_first, n_all))
        for n, d, K, n_first, n_all in [
            (1, 3, 12, 2, 3),
            (15, 2, 9, 2, 2),
            (BLOCK_ROWS - 1, 5, 12, 2, 5),
            (BLOCK_ROWS + 1, 9, 10, 4, 8),
            (2047, 1, 16, 1, 1),
            (2049, 8, 11, 3, 8),
            (2 * 2048 + 3, 4, 20, 2, 4),
            (700, 17, 30, 8, 17),
            (1100, 33, 9, 8, 24),
            (300, 70, 8, 16, 64),
        ]
    ),
    *(
        (shape, InCells())
        for shape in [
            (1, 3, 12),
            (15, 2, 9),
            (63, 4, 3),
            (BLOCK_ROWS - 1, 1, 8),
            (BLOCK_ROWS + 1, 4, 10),
            (2049, 2, 30),
            (4000, 3, 20),
            (SORTED_ROWS + 1, 2, 12),
            (SORTED_ROWS + 4000, 1, 9),
        ]
    ),
]
every_case = pytest.mark.parametrize(("shape", "way"), CASES, ids=str)
both_ways = pytest.mark.parametrize("way", [Screens(2, 4), InCells()], ids=["screens", "cells"])


class Case(NamedTuple):
    """Rows of a mixture, with weights if their number is odd, and what the oracle expects."""

    X: np.ndarray
    mixture: MixtureParameters
    sample_weight: np.ndarray | None
    norm: np.ndarray
    entropy: np.ndarray
    statistics: tuple  # about the means


@cache  # for all variants of the kernels and numbers of threads
def case_of(shape, covariance_type, dtype):
    n = shape[0]
    X, mixture = separated(*shape, covariance_type, dtype)
    joint = oracle.log_joint(X, mixture, covariance_type)
    resp = oracle.responsibilities(joint)
    sample_weight = np.random.default_rng(n).uniform(0.3, 3.0, n) if n % 2 else None
    expected = expected_statistics(X, sample_weight, resp, mixture.means, covariance_type)
    of_rows = oracle.log_prob_norm(joint), oracle.entropies(resp)
    return Case(X, mixture, sample_weight, *of_rows, expected)


def assert_skips(actual, dense):
    """Sums that are not in the order of a dense pass differ in the last bits."""
    assert (actual.to_vector() != dense.to_vector()).any()


@pytest.mark.usefixtures("guarded_workspaces")
@pytest.mark.parametrize("n_threads", N_THREADS)
@both_dtypes
@all_types
@every_case
def test_statistics_against_the_oracle(shape, way, covariance_type, dtype, n_threads, simd):
    X, mixture, sample_weight, norm, entropy, expected = case_of(shape, covariance_type, dtype)
    actual, dense = statistics(X, sample_weight, mixture, covariance_type, way, n_threads)
    if len(X) > 1000:
        assert_skips(actual, dense)
        assert left(X, mixture, covariance_type, way) < (0.5 if isinstance(way, Screens) else 0.9)
    assert_close(actual, dense, TOLERANCE[dtype])
    np.testing.assert_array_equal(actual.centers, mixture.means)
    assert_equal_statistics(actual, X, sample_weight, expected, covariance_type, TOLERANCE[dtype], least_mass=0.5)
    weights = oracle.weights_of(X, sample_weight)
    assert oracle.relative_error(actual.log_likelihood, weights @ norm, weights @ np.abs(norm)) < TOLERANCE[dtype]
    assert oracle.relative_error(actual.entropy, weights @ entropy, weights @ (1 + entropy)) < TOLERANCE[dtype]


@pytest.mark.usefixtures("guarded_workspaces")
@pytest.mark.parametrize("n_threads", N_THREADS)
@both_dtypes
@all_types
@every_case
def test_predictions_against_the_oracle(shape, way, covariance_type, dtype, n_threads, simd):
    """Labels are those of a dense pass, each one."""
    X, mixture, _, norm, _, _ = case_of(shape, covariance_type, dtype)
    (labels, log_prob_norm), dense = predictions(X, mixture, covariance_type, way, n_threads)
    if len(X) > 1000:
        for goal in (Goal.LABELS, Goal.DENSITIES):
            assert left(X, mixture, covariance_type, way, goal) < 0.9
    np.testing.assert_array_equal(labels, dense[0])
    units = (
        40 if covariance_type == "tied" else 4
    )  # dense passes whiten about the middle of the means, screens about each mean
    np.testing.assert_allclose(log_prob_norm, dense[1], rtol=units * np.finfo(dtype).eps)
    assert oracle.relative_error(log_prob_norm, norm, 1 + np.abs(norm)) < TOLERANCE[dtype]


@pytest.mark.parametrize("n_threads", N_THREADS)
@both_ways
def test_repeats_bitwise(way, n_threads, simd):
    X, mixture = separated(5000, 4, 12, "full", np.float64)
    first, second = (statistics(X, None, mixture, "full", way, n_threads)[0] for _ in range(2))
    assert_bitwise_equal(first, second)
    assert_close(first, statistics(X, None, mixture, "full", way, 1)[0], 1e-13)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("name", HARD)
@both_ways
def test_hard_data(way, name, covariance_type, simd):
    """Every pair that counts is found, however unlike one another features are and however far apart components."""
    X, mixture, unit = hard(name, covariance_type)
    if isinstance(way, InCells):
        way = InCells(unit=unit)
    actual, dense = statistics(X, None, mixture, covariance_type, way)
    assert_skips(actual, dense)
    assert left(X, mixture, covariance_type, way) < 0.8
    assert_close(actual, dense, 1e-12 if "offset" in name or "one column" in name else 1e-13)


@both_dtypes
@both_ways
def test_outliers_components_without_weight_and_rows_beyond_reach(way, dtype, simd):
    """Rows too far out are seen by all components; a weight of 0 keeps a component out of everything."""
    X, mixture = separated(2500, 4, 12, "full", dtype)
    mixture = without_weight(mixture, [0, 7])
    X[11], X[1200] = 1e4, 1e9
    actual, dense = statistics(X, None, mixture, "full", way)
    assert_skips(actual, dense)
    assert left(X, mixture, "full", way) < 0.9
    assert_close(actual, dense, TOLERANCE[dtype])
    assert actual.nk[0] == actual.nk[7] == 0.0
    skipped, dense = predictions(X, mixture, "full", way)
    X[300], X[301] = np.finfo(dtype).max / 4, -np.finfo(dtype).max / 2
    if isinstance(way, InCells):
        way = InCells(300)
    actual, dense = statistics(X, None, mixture, "full", way)
    assert actual.log_likelihood == dense.log_likelihood == -np.inf
    assert np.isfinite(actual.scatter).all()
    skipped, dense = predictions(X, mixture, "full", way)
    np.testing.assert_array_equal(skipped[0], dense[0])
    np.testing.assert_allclose(skipped[1], dense[1], rtol=4 * np.finfo(dtype).eps)
    assert skipped[1][300] == -np.inf


@pytest.mark.parametrize(("d", "way"), [(6, Screens(2, 6)), (4, InCells())], ids=["screens", "cells"])
def test_nearly_singular_components(d, way, simd):
    """Bounds stay bounds."""
    X, mixture = nearly_singular(d)
    actual, dense = statistics(X, None, mixture, "full", way)
    assert_skips(actual, dense)
    assert left(X, mixture, "full", way) < 0.8
    assert_close(actual, dense, 1e-13)


@both_dtypes
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize(("d", "way"), [(6, Screens(3, 6)), (4, InCells())], ids=["screens", "cells"])
def test_labels_of_ties(d, way, covariance_type, dtype, simd):
    """Rows exactly between components, and components that are there twice, or all but twice: the first of equals."""
    n, K = 20_000, 16
    corners = 24.0 * np.array([[float(k >> j & 1) for j in range(d)] for k in range(K // 2)])
    means = np.concatenate([corners, corners[::-1]])
    means[-1] = np.nextafter(means[0].astype(dtype), dtype(1))
    unit = np.eye(d) if covariance_type == "full" else np.ones(d)
    units = np.stack([unit] * K)
    mixture = MixtureParameters(np.full(K, 1.0 / K), means, units, units)
    rng = np.random.default_rng(0)
    pairs = rng.integers(K, size=(n, 2))
    X = (0.5 * (means[pairs[:, 0]] + means[pairs[:, 1]])).astype(dtype)  # some in the middle of one, some of eight
    X[::2] += rng.normal(size=X[::2].shape).astype(dtype)
    (labels, _), dense = predictions(X, mixture, covariance_type, way)
    assert left(X, mixture, covariance_type, way, Goal.LABELS) < 1.0
    np.testing.assert_array_equal(labels, dense[0])


@pytest.mark.parametrize(("d", "way"), [(6, Screens(2, 6)), (4, InCells())], ids=["screens", "cells"])
def test_plans_travel_and_are_for_one_dtype(d, way):
    """To workers, as dask sends them; rows of another dtype get a dense pass."""
    X, mixture = separated(3000, d, 12, "full", np.float32)
    components, _ = seen(mixture, "full")
    passes, wider = (ArrayPasses(rows, None, 12, FULL, 2) for rows in (X, X.astype(np.float64)))
    plan = way.plan(X, mixture, "full")
    sent = pickle.loads(pickle.dumps(plan))
    skipped = passes.em_step(components, plan=sent)
    assert_bitwise_equal(skipped, passes.em_step(components, plan=plan))
    assert_skips(skipped, passes.em_step(components))
    assert_bitwise_equal(wider.em_step(components, plan=plan), wider.em_step(components))
