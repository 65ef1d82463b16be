"""Passes that skip pairs by screens: what is their own."""

from dataclasses import replace

import numpy as np
import pytest
from _shared.assertions import assert_bitwise_equal
from _shared.cases import both_dtypes
from _shared.skipping import Screens, left, predictions, separated, statistics

from fastgmm._model.covariance import COVARIANCE_TYPES

pytestmark = pytest.mark.usefixtures("threads_on_tiny_data")


@both_dtypes
@pytest.mark.parametrize("n_features", [2, 6])
def test_overlap_is_left_to_the_dense_pass(n_features, dtype, simd):
    """A pass whose blocks have too many pairs left is a dense one, to the last bit."""
    n = 512  # so few rows are a single chunk with screens and without
    X, mixture = separated(n, n_features, 8, "full", dtype, spread=0.5)
    actual, dense = statistics(X, None, mixture, "full", Screens(2, 2), n_threads=1)
    assert left(X, mixture, "full", Screens(2, 2)) == 1.0
    assert_bitwise_equal(actual, dense)


@both_dtypes
@pytest.mark.parametrize("thin", [1e-2, 1e-5, 1e-8])
def test_labels_are_those_that_a_dense_pass_rounds_to(thin, dtype, simd):
    """Where factors are so nearly singular that densities are nothing but rounding: what is computed is what counts."""
    X, mixture = separated(3000, 6, 12, "full", np.float64)
    rng = np.random.default_rng(1)
    rotations = np.linalg.qr(rng.normal(size=(12, 6, 6)))[0]
    widths = np.array([1.0, 1.0, 1.0, 0.5, 0.5, thin])
    factors = np.linalg.qr((rotations / widths) @ rotations.transpose(0, 2, 1))[1].transpose(0, 2, 1)
    factors = COVARIANCE_TYPES["full"].precisions_cholesky_from_precisions(factors @ factors.transpose(0, 2, 1))
    thinned = replace(mixture, precisions_cholesky=factors)
    (labels, log_prob_norm), dense = predictions(X.astype(dtype), thinned, "full", Screens(3, 6))
    np.testing.assert_array_equal(labels, dense[0])
    np.testing.assert_allclose(log_prob_norm, dense[1], rtol=4 * np.finfo(dtype).eps)
