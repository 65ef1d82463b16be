"""Passes that leave components out of cells: what is their own."""

import numpy as np
import pytest
from _shared import oracle
from _shared.assertions import assert_close
from _shared.cases import all_types
from _shared.skipping import InCells, left, seen, separated, statistics

pytestmark = pytest.mark.usefixtures("threads_on_tiny_data")


@all_types
@pytest.mark.parametrize("n_features", [1, 2, 3, 4])
def test_of_a_point_just_what_may_count_is_left(n_features, covariance_type, simd):
    """The bounds of a box without width are the densities themselves."""
    X, mixture = separated(30, n_features, 40, covariance_type, np.float64)
    joint = oracle.log_joint(X, mixture, covariance_type)
    q = 2.0 * (seen(mixture, covariance_type)[0].log_const - joint)
    bounds = joint - np.log(mixture.weights) + np.log(256.0) - 1.0 + q / 256.0
    least = joint.max(axis=1, keepdims=True) + np.log(np.finfo(np.float64).eps)
    for x, n_left in zip(X, (bounds >= least).sum(axis=1), strict=True):
        assert round(40 * left(np.tile(x, (64, 1)), mixture, covariance_type, InCells()), 9) == n_left < 40


def test_a_tree_of_equal_rows_and_of_few(simd):
    """Cells may be empty, and there may be a single one."""
    X, mixture = separated(3000, 2, 10, "full", np.float64)
    for way in (InCells(1), InCells(3), InCells(500)):
        if way.n_rows == 500:
            X[:500] = X[0]
        actual, dense = statistics(X, None, mixture, "full", way)
        assert_close(actual, dense, 1e-13)
