"""Passes for t distributions against the oracle: covariance types, dtypes, SIMD variants, threads, and edges."""

from functools import cache
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
import scipy.stats
from _shared import oracle, student_oracle
from _shared.assertions import assert_statistics
from _shared.cases import DTYPES, TOLERANCE, TYPES, needs_extended, problem

from fastgmm import _kernels
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.student import StudentParameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.runner import BLOCK_ROWS

pytestmark = pytest.mark.usefixtures("threads_on_tiny_data")

SHAPES = [
    (1, 2, 2),
    (BLOCK_ROWS + 1, 1, 1),
    (2 * BLOCK_ROWS + 3, 2, 5),
    (BLOCK_ROWS - 1, 4, 3),
    (300, 7, 5),
    (600, 17, 2),
]


@cache
def t_problem(n, d, K, covariance_type, dtype, degrees=(0.3, 2.5, 1000.0, 30.0, 4.0)):
    """Rows of `problem`, some moved far out, under t distributions of all kinds."""
    p = problem(n, d, K, covariance_type, dtype)
    X = p.X.copy()
    X[::7] *= 50
    nu = np.array(degrees[:K])
    parameters = StudentParameters(p.mixture.weights, p.mixture.means, None, p.mixture.precisions_cholesky, nu)
    joint = student_oracle.log_joint(X, parameters, covariance_type)
    return SimpleNamespace(
        X=X, sample_weight=p.sample_weight, parameters=parameters, joint=joint, norm=oracle.log_prob_norm(joint),
        resp=oracle.responsibilities(joint), u=student_oracle.weights_of_rows(X, parameters, covariance_type),
        components=parameters.components(COVARIANCE_TYPES[covariance_type]), centers=p.centers,
    )  # fmt: skip


def passes_over(p, covariance_type, n_threads):
    K = len(p.parameters.means)
    return ArrayPasses(p.X, p.sample_weight, K, COVARIANCE_TYPES[covariance_type], n_threads)


def test_oracle_agrees_with_scipy():
    p = t_problem(50, 3, 4, "full", np.float64)
    t = p.parameters
    expected = [
        np.log(weight) + scipy.stats.multivariate_t(mean, np.linalg.inv(U @ U.T), df).logpdf(p.X)
        for weight, mean, U, df in zip(t.weights, t.means, t.precisions_cholesky, t.degrees_of_freedom, strict=True)
    ]
    np.testing.assert_allclose(p.joint.astype(np.float64), np.transpose(expected), rtol=1e-9)


@pytest.mark.usefixtures("guarded_workspaces")
@pytest.mark.parametrize("about_means", [True, False], ids=["about means", "about centers"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_em_step(shape, covariance_type, dtype, about_means, simd):
    p, tolerance = t_problem(*shape, covariance_type, dtype), 4 * TOLERANCE[dtype]
    n_threads = 1 + 2 * about_means
    passes = passes_over(p, covariance_type, n_threads)
    actual = passes.em_step(p.components, None if about_means else p.centers)
    assert_statistics(actual, p.X, p.sample_weight, p.resp * p.u, covariance_type, tolerance)
    r = p.resp * oracle.weights_of(p.X, p.sample_weight)[:, np.newaxis]
    assert oracle.relative_error(actual.tails[0], r.sum(axis=0)) < tolerance
    log_u = np.log(p.u)
    terms = (r * np.abs(log_u) + r).sum(axis=0)
    assert oracle.relative_error(actual.tails[1], (r * log_u).sum(axis=0), terms) < tolerance
    weights = oracle.weights_of(p.X, p.sample_weight)
    scale = weights @ np.maximum(np.abs(p.norm), np.abs(p.joint).max(axis=1))
    assert abs(actual.log_likelihood - weights @ p.norm) < tolerance * scale


@pytest.mark.usefixtures("guarded_workspaces")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_densities(shape, covariance_type, dtype, simd):
    p, tolerance = t_problem(*shape, covariance_type, dtype), 4 * TOLERANCE[dtype]
    passes = passes_over(p, covariance_type, 2)
    scale = 1 + np.abs(p.joint).max(axis=1)
    assert oracle.relative_error(passes.log_prob_norm(p.components), p.norm, scale) < tolerance
    resp = passes.resp(p.components)
    assert oracle.relative_error(resp, p.resp, 1 + np.abs(p.joint).max(axis=1, keepdims=True)) < tolerance
    np.testing.assert_array_equal(passes.predict(p.components), resp.argmax(axis=1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_rows_beyond_all_numbers(covariance_type, dtype, simd):
    """Squares of distances overflow, and the density is still that of some row far away."""
    p = t_problem(300, 6, 3, covariance_type, dtype, (2.0, 3.0, 5.0))
    X = p.X.copy()
    X[0] = np.finfo(dtype).max / 1e4
    passes = ArrayPasses(X, None, 3, COVARIANCE_TYPES[covariance_type], 1)
    statistics = passes.em_step(p.components)
    assert np.isfinite(statistics.log_likelihood)
    assert np.isfinite(statistics.tails).all()
    np.testing.assert_allclose(statistics.tails[0].sum(), 300, rtol=1e-5)
    norm = passes.log_prob_norm(p.components)
    assert np.isfinite(norm).all()
    assert norm[0] < norm[1:].min()


@needs_extended
@pytest.mark.parametrize("dtype", DTYPES)
def test_log1p_is_accurate(dtype, simd):
    top = 700.0 if dtype == np.float64 else 80.0
    rng = np.random.default_rng(0)
    near, far = np.exp(rng.uniform(-2, 1, 40_000)), np.exp(rng.uniform(0, top, 20_000))
    x = np.concatenate([np.geomspace(np.finfo(dtype).tiny, 1e4, 60_000), near, far]).astype(dtype)
    out = x.copy()
    _kernels.active.log1p_inplace(out)
    expected = np.log1p(x.astype(oracle.LONG))
    assert np.max(np.abs(out - expected) / np.spacing(np.abs(expected).astype(dtype))) < 2.5
    zero = np.zeros(1, dtype)
    _kernels.active.log1p_inplace(zero)
    assert zero[0] == 0.0


@pytest.mark.parametrize("x", [1e-300, 1e-9, 0.41421356, 0.41421357, 1.0, 12345.678])
def test_log1p_agrees_with_fifty_digits(x, simd):
    out = np.array([x])
    _kernels.active.log1p_inplace(out)
    with mpmath.workdps(50):
        expected = mpmath.log1p(mpmath.mpf(x))
        assert abs(mpmath.mpf(float(out[0])) - expected) < 2.5 * np.spacing(float(expected))
