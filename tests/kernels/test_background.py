"""Passes over the rows of a mixture with a uniform background, dense and skipping, against the oracle."""

from dataclasses import replace

import numpy as np
import pytest
from _shared import oracle
from _shared.assertions import assert_close, assert_statistics
from _shared.cases import TOLERANCE, TYPES, both_dtypes, components, data_passes, problem
from _shared.kernels import variant_in_use
from _shared.skipping import InCells, Screens, seen, separated, statistics

from fastgmm import _kernels
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.noise import Noise
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.runner import BLOCK_ROWS
from fastgmm._skipping.screens import Goal

pytestmark = pytest.mark.usefixtures("threads_on_tiny_data")


def with_background(joint, log_noise):
    """Log-densities of the components and of the background, shape (n, K + 1)."""
    return np.column_stack([joint, np.full(len(joint), log_noise, oracle.LONG)])


@pytest.mark.parametrize("variant", _kernels.SUPPORTED)
@pytest.mark.parametrize("shape", [(1, 3, 2), (BLOCK_ROWS + 1, 2, 4), (2 * BLOCK_ROWS + 3, 9, 5), (77, 17, 3)])
@pytest.mark.parametrize("covariance_type", TYPES)
@both_dtypes
def test_dense_passes(variant, shape, covariance_type, dtype):
    p = problem(*shape, covariance_type, dtype, weighted=True)
    log_noise = float(np.median(p.joint.max(axis=1))) + 1e-3  # no tie
    mixture = replace(components(p.mixture, covariance_type), log_noise=log_noise)
    joint = with_background(p.joint, log_noise)
    resp, norm = oracle.responsibilities(joint), oracle.log_prob_norm(joint)
    weights, tolerance = oracle.weights_of(p.X, p.sample_weight), TOLERANCE[dtype]
    with variant_in_use(variant):
        passes = data_passes(p, covariance_type, 2)
        found = passes.em_step(mixture, with_entropy=True)
        sums, labels = passes.criterion_sums(mixture), passes.predict(mixture)
        np.testing.assert_allclose(passes.resp(mixture), resp[:, :-1].astype(float), rtol=0, atol=10 * tolerance)
        np.testing.assert_allclose(passes.log_prob_norm(mixture), norm.astype(float), rtol=10 * tolerance)
    assert_statistics(found, p.X, p.sample_weight, resp[:, :-1], covariance_type, tolerance, 1e-3)
    assert oracle.relative_error(found.noise, weights @ resp[:, -1]) < tolerance
    assert oracle.relative_error(found.log_likelihood, weights @ norm) < tolerance
    assert oracle.relative_error(found.entropy, weights @ oracle.entropies(resp)) < 10 * tolerance
    assert oracle.relative_error(sums, [weights @ norm, weights @ np.log(resp.max(axis=1))]) < 10 * tolerance
    best = joint.argmax(axis=1)
    assert len(p.X) < 50 or 0.0 < np.mean(best == shape[2]) < 1.0
    np.testing.assert_array_equal(labels, np.where(best == shape[2], -1, best))


@pytest.mark.parametrize(
    ("shape", "way"),
    [((2 * BLOCK_ROWS + 3, 9, 12), Screens(2, 8)), ((4000, 3, 20), InCells()), ((2049, 2, 30), InCells())],
    ids=str,
)
@pytest.mark.parametrize("variant", _kernels.SUPPORTED)
@both_dtypes
def test_passes_that_skip(variant, shape, way, dtype):
    """A background that takes most rows and hides far pairs from the others: the results are those of dense passes."""
    X, mixture = separated(*shape, "full", dtype)
    X = np.concatenate([X, np.random.default_rng(1).uniform(X.min(0), X.max(0), X.shape).astype(dtype)])
    weights = np.random.default_rng(0).uniform(0.3, 3.0, len(X))
    volume = float(np.log(np.ptp(X, axis=0)).sum())
    mixture = replace(mixture, weights=0.5 * mixture.weights, noise=Noise(0.5, -volume))
    with variant_in_use(variant):
        skipped, dense = statistics(X, weights, mixture, "full", way)
        assert (skipped.to_vector() != dense.to_vector()).any()
        assert_close(skipped, dense, TOLERANCE[dtype])
        assert skipped.noise == pytest.approx(dense.noise, rel=TOLERANCE[dtype])
        assert 0.3 * weights.sum() < dense.noise < 0.7 * weights.sum()
        passes = ArrayPasses(X, weights, shape[2], COVARIANCE_TYPES["full"], 2)
        of_mixture = seen(mixture, "full")[0]
        labels = passes.predict(of_mixture)
        assert 0.3 < np.mean(labels == -1) < 0.7
        np.testing.assert_array_equal(passes.predict(of_mixture, way.plan(X, mixture, "full", Goal.LABELS)), labels)
        log_densities = passes.log_prob_norm(of_mixture, way.plan(X, mixture, "full", Goal.DENSITIES))
        np.testing.assert_allclose(log_densities, passes.log_prob_norm(of_mixture), rtol=TOLERANCE[dtype])
