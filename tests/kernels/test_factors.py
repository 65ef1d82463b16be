"""Factors of inverses against substitution in extended precision: SIMD variants, threads, and sizes around the edges of
register tiles and of the groups of small matrices."""

import numpy as np
import pytest
from _shared.cases import N_THREADS, needs_extended

from fastgmm import _kernels
from fastgmm._utils.memory import aligned_empty

SIZES = [1, 2, 3, 7, 8, 15, 16, 17, 23, 24, 25, 32, 33, 63, 64, 65, 129]


def factors_by(matrices, n_threads=1, are_triangles=False):
    """The factors, and the first failure. Scratch is as long as it needs to be, and what it holds does not matter."""
    factors = np.full_like(matrices, np.nan)
    scratch = aligned_empty(_kernels.active.factors_scratch(matrices.shape[1], n_threads), np.float64)
    scratch[:] = np.nan
    return factors, _kernels.active.factors_of_inverses(matrices, factors, are_triangles, scratch, n_threads)


def expected_factor(covariance):
    """Cholesky and substitution, row by row, in extended precision."""
    A, d = covariance.astype(np.longdouble), len(covariance)
    R, U = np.zeros_like(A), np.zeros_like(A)
    for i in range(d):
        row = A[i, i:] - R[:i, i] @ R[:i, i:]
        R[i, i:] = row / np.sqrt(row[0])
    for i in reversed(range(d)):
        U[i] = (np.eye(d, dtype=A.dtype)[i] - R[i, i + 1 :] @ U[i + 1 :]) / R[i, i]
    return U


def covariances(n, d, condition=30.0, scales=1.0):
    rng = np.random.default_rng([n, d])
    rotations = np.linalg.qr(rng.normal(size=(n, d, d)))[0]
    matrices = (rotations * np.geomspace(1.0 / condition, 1.0, d)) @ rotations.swapaxes(1, 2)
    matrices = matrices * np.multiply.outer(scales, scales) if np.ndim(scales) else matrices
    return np.ascontiguousarray(0.5 * (matrices + matrices.swapaxes(1, 2)))


@needs_extended
@pytest.mark.parametrize("d", SIZES)
def test_factors(d, simd):
    stack = covariances(9 if d < 20 else 2, d)
    expected = np.array([expected_factor(each) for each in stack])
    for n_threads in N_THREADS:
        factors, failure = factors_by(stack, n_threads)
        assert failure == -1
        if n_threads == 1:
            first = factors
            scale = np.abs(expected).max(axis=1, keepdims=True)
            assert (np.abs(factors - expected) / scale).max() < 3e-15
            assert not np.tril(factors, -1).any()
        assert factors.tobytes() == first.tobytes()


@needs_extended
@pytest.mark.parametrize("d", [3, 16, 33, 130])
def test_features_of_all_scales(d, simd):
    """Scales from 1e-8 to 1e8 cost nothing: relative to its scale, each entry is as accurate as without them."""
    scales = np.random.default_rng(d).permutation(np.geomspace(1e-8, 1e8, d))
    stack = covariances(1, d, scales=scales)
    difference = np.abs(factors_by(stack)[0][0] - expected_factor(stack[0]))
    assert (difference * scales[:, np.newaxis]).max() < 1e-14


@needs_extended
@pytest.mark.parametrize("d", [3, 16, 33, 130])
def test_condition_of_1e12(d, simd):
    """U^T Sigma U is the identity as nearly as the rounding of Sigma allows: 1e12 times 1e-16, and a factor of 10."""
    (covariance,), ((factor,), _) = (stack := covariances(1, d, condition=1e12)), factors_by(stack)
    factor = factor.astype(np.longdouble)
    assert np.abs(factor.T @ covariance @ factor - np.eye(d)).max() < 1e-3


@pytest.mark.parametrize("d", SIZES)
def test_inverses_of_triangles(d, simd):
    triangles, _ = factors_by(covariances(9, d))
    inverses, failure = factors_by(triangles, are_triangles=True)
    assert failure == -1
    assert not np.tril(inverses, -1).any()
    np.testing.assert_allclose(triangles @ inverses, np.broadcast_to(np.eye(d), triangles.shape), atol=1e-13)


@pytest.mark.parametrize("n_threads", N_THREADS)
@pytest.mark.parametrize("d", [2, 16, 17, 40])
def test_first_failure(d, n_threads, simd):
    """Matrices that are indefinite, singular or not finite, at any pivot, whatever the others are."""
    for value in (-1.0, 0.0, np.nan, np.inf, -np.inf):
        for j in (0, d - 1):
            stack = covariances(20, d)
            stack[13, j] = stack[13, :, j] = value if value != -1.0 else 0.0
            stack[13, j, j] = value
            assert factors_by(stack, n_threads)[1] == 13
            stack[17] = np.nan
            assert factors_by(stack, n_threads)[1] == 13
    stack = covariances(20, d)
    stack[7, 0, d - 1] = stack[7, d - 1, 0] = np.inf
    assert factors_by(stack, n_threads)[1] == 7
