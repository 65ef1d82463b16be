"""Each pass over the rows against the oracle: covariance types, dtypes, SIMD variants, threads, and sizes around the
edges of blocks, vectors and register tiles."""

from functools import cache

import mpmath
import numpy as np
import pytest
import scipy.stats
from _shared import oracle
from _shared.assertions import (
    assert_bitwise_equal,
    assert_equal_statistics,
    assert_statistics,
    expected_statistics,
    scatter_scale,
)
from _shared.cases import (
    DTYPES,
    EDGE_ROWS,
    FEATURES,
    N_THREADS,
    SHAPES,
    TOLERANCE,
    TYPES,
    components,
    data_passes,
    needs_extended,
    problem,
    random_covariances,
    rounded,
)
from _shared.kernels import variant_in_use
from hypothesis import given
from hypothesis import strategies as st

from fastgmm import _kernels
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.columns import column_means, column_variances
from fastgmm._rows.kmeans import KMeansPasses, SeedingPasses
from fastgmm._rows.runner import BLOCK_ROWS

pytestmark = pytest.mark.usefixtures("threads_on_tiny_data")

OFFSETS = [0.0, 1e6]


FEW_SHAPES = [(1, 3, 2), (BLOCK_ROWS + 1, 1, 2), (2 * BLOCK_ROWS + 3, 4, 5), (2 * BLOCK_ROWS + 3, 9, 1), (77, 17, 2)]


@cache
def expected_em_statistics(*case):
    p = problem(*case)
    return expected_statistics(p.X, p.sample_weight, p.resp, p.mixture.means, case[3])


@cache
def expected_label_statistics(*case):
    p = problem(*case)
    return expected_statistics(p.X, p.sample_weight, p.one_hot, p.centers.astype(p.X.dtype), case[3])


# The oracle itself ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", TYPES)
def test_oracle_agrees_with_scipy(covariance_type):
    p = problem(50, 4, 3, covariance_type, np.float64)
    factors = oracle.full_factors(p.mixture.precisions_cholesky, covariance_type, 3, 4).astype(np.float64)
    expected = [
        np.log(weight) + scipy.stats.multivariate_normal(mean, np.linalg.inv(U @ U.T)).logpdf(p.X)
        for weight, mean, U in zip(p.mixture.weights, p.mixture.means, factors, strict=True)
    ]
    np.testing.assert_allclose(p.joint.astype(np.float64), np.transpose(expected), rtol=1e-11)
    np.testing.assert_allclose(
        p.norm.astype(np.float64), scipy.special.logsumexp(expected, axis=0), rtol=1e-11
    )  # fmt: skip


def test_variational_oracle_agrees_with_scipy():
    """The special functions, and the normalizers of distributions that scipy.stats knows, at their own means."""
    values = np.array([0.3, 1.0, 4.75, 1e5])
    digammas = oracle.special(mpmath.digamma, values).astype(np.float64)
    np.testing.assert_allclose(digammas, scipy.special.digamma(values), rtol=1e-14)
    concentration = values[1:3].astype(oracle.LONG)
    weights = (concentration / concentration.sum()).astype(np.float64)
    log_density = oracle.log_dirichlet_normalizer(concentration) + (concentration - 1) @ np.log(weights)
    expected = scipy.stats.dirichlet(concentration.astype(float)).logpdf(weights)
    assert float(log_density) == pytest.approx(expected, rel=1e-13)
    inverse_scale = random_covariances(np.random.default_rng(0), "full", 1, 3)
    factors, nu = oracle.scale_factors(inverse_scale), 5.5
    mean_precision = nu * (factors[0] @ factors[0].T).astype(np.float64)
    log_det, trace = np.linalg.slogdet(mean_precision)[1], 3 * nu
    log_density = oracle.log_wishart_normalizer([nu], factors)[0] + (nu - 4) / 2 * log_det - trace / 2
    expected = scipy.stats.wishart(nu, np.linalg.inv(inverse_scale[0])).logpdf(mean_precision)
    assert float(log_density) == pytest.approx(expected, rel=1e-12)


def mp_column(values):
    return mpmath.matrix([mpmath.mpf(float(value)) for value in values])


@needs_extended
def test_oracle_agrees_with_fifty_digits():
    """One component of one EM iteration, at an offset of a million, in mpmath."""
    p = problem(40, 2, 2, "full", np.float64, offset=1e6)
    one = oracle.m_step(p.X, None, p.resp, "full", 1e-6)
    with mpmath.workdps(50):
        terms = []
        for weight, mean, U in zip(p.mixture.weights, p.mixture.means, p.mixture.precisions_cholesky, strict=True):
            factor = mpmath.matrix(U.tolist())
            log_det = mpmath.log(factor[0, 0] * factor[1, 1])
            quadratic = [sum(y**2 for y in (mp_column(x) - mp_column(mean)).T * factor) for x in p.X]
            terms.append([mpmath.mpf(float(weight)) * mpmath.exp(log_det - q / 2) for q in quadratic])
        resp = [first / (first + second) for first, second in zip(*terms, strict=True)]
        mass = mpmath.fsum(resp)
        mean = sum((r * mp_column(x) for r, x in zip(resp, p.X, strict=True)), mp_column([0, 0])) / mass
        outer = [r * (mp_column(x) - mean) * (mp_column(x) - mean).T for r, x in zip(resp, p.X, strict=True)]
        covariance = sum(outer, mpmath.zeros(2)) / mass
        for a, b in ((0, 0), (0, 1), (1, 1)):
            expected = np.longdouble(mpmath.nstr(covariance[a, b], 25)) + np.longdouble(1e-6) * (a == b)
            assert abs(one.covariances[0, a, b] - expected) < 1e-15
        assert abs(np.longdouble(mpmath.nstr(mean[0], 25)) - one.means[0, 0]) < 1e-12


# E step ---------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("guarded_workspaces")
@pytest.mark.parametrize("n_threads", N_THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_em_step(shape, covariance_type, dtype, n_threads, simd):
    p = problem(*shape, covariance_type, dtype)
    passes = data_passes(p, covariance_type, n_threads)
    actual, with_entropy = (passes.em_step(p.components, with_entropy=asked) for asked in (False, True))
    np.testing.assert_array_equal(actual.centers, p.mixture.means)
    expected = expected_em_statistics(*shape, covariance_type, dtype)
    assert_equal_statistics(actual, p.X, p.sample_weight, expected, covariance_type, TOLERANCE[dtype])
    weights = oracle.weights_of(p.X, p.sample_weight)
    assert oracle.relative_error(actual.log_likelihood, weights @ p.norm, weights @ np.abs(p.norm)) < TOLERANCE[dtype]
    entropy = oracle.entropies(p.resp)
    assert oracle.relative_error(with_entropy.entropy, weights @ entropy, weights @ (1 + entropy)) < TOLERANCE[dtype]
    assert actual.entropy == 0.0
    assert_bitwise_equal(with_entropy, actual)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("n_features", [1, 3, 6])
def test_entropy_of_one_component_is_zero(n_features, covariance_type, dtype, simd):
    p = problem(2 * BLOCK_ROWS + 3, n_features, 1, covariance_type, dtype)
    assert data_passes(p, covariance_type, 2).em_step(p.components, with_entropy=True).entropy == 0.0


@pytest.mark.parametrize("n_components", [2, 7])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("n_features", [2, 6])
def test_entropy_of_equal_components_is_the_largest(n_features, covariance_type, dtype, n_components, simd):
    """Of each row log K: the sum of weights times that."""
    p = problem(BLOCK_ROWS + 1, n_features, 1, covariance_type, dtype, weighted=True)
    factors = p.mixture.precisions_cholesky
    mixture = MixtureParameters(
        np.full(n_components, 1 / n_components),
        p.mixture.means.repeat(n_components, axis=0),
        np.array(np.nan),
        factors if covariance_type == "tied" else factors.repeat(n_components, axis=0),
    )
    passes = ArrayPasses(p.X, p.sample_weight, n_components, COVARIANCE_TYPES[covariance_type], 2)
    expected = p.sample_weight.sum() * np.log(n_components)
    actual = passes.em_step(components(mixture, covariance_type), with_entropy=True).entropy
    assert oracle.relative_error(actual, expected) < 4 * np.finfo(dtype).eps


@pytest.mark.parametrize("away", [30.0, 1e18])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("n_features", [1, 3, 6])
def test_entropy_where_other_components_are_out_of_reach(n_features, covariance_type, dtype, away, simd):
    """Rows certain of their component have none, be the log-density of the other -1e3 or -1e36."""
    p = problem(2 * BLOCK_ROWS + 3, n_features, 2, covariance_type, dtype)
    means = p.mixture.means.copy()
    means[1] += 3 * away
    X = p.X.copy()
    X[::2] = means[0] + rounded(np.random.default_rng(0).normal(size=X[::2].shape), dtype)
    X[1::2] = means[1]
    mixture = MixtureParameters(p.mixture.weights, means, np.array(np.nan), p.mixture.precisions_cholesky)
    statistics = ArrayPasses(X, p.sample_weight, 2, COVARIANCE_TYPES[covariance_type], 2).em_step(
        components(mixture, covariance_type), with_entropy=True
    )
    assert statistics.entropy == 0.0
    np.testing.assert_allclose(
        statistics.nk,
        [oracle.weights_of(X, p.sample_weight)[start::2].sum() for start in (0, 1)],
        rtol=TOLERANCE[dtype],
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_entropy_with_components_that_no_row_reaches(covariance_type, dtype, simd):
    """A weight of 0 is a log-density of -inf for every row, and a row beyond all reach has such ones only: neither is
    NaN, and both are worth nothing."""
    p = problem(BLOCK_ROWS + 1, 3, 3, covariance_type, dtype)
    mixture = MixtureParameters(
        np.array([0.5, 0.0, 0.5]), p.mixture.means, np.array(np.nan), p.mixture.precisions_cholesky
    )
    resp = oracle.responsibilities(oracle.log_joint(p.X, mixture, covariance_type))
    weights, entropy = oracle.weights_of(p.X, p.sample_weight), oracle.entropies(resp)
    passes = ArrayPasses(p.X, p.sample_weight, 3, COVARIANCE_TYPES[covariance_type], 2)
    actual = passes.em_step(components(mixture, covariance_type), with_entropy=True).entropy
    assert oracle.relative_error(actual, weights @ entropy, weights @ (1 + entropy)) < TOLERANCE[dtype]
    X = p.X.copy()
    X[7], entropy[7] = np.finfo(dtype).max / 4, 0
    actual = (
        ArrayPasses(X, p.sample_weight, 3, COVARIANCE_TYPES[covariance_type], 2)
        .em_step(components(mixture, covariance_type), with_entropy=True)
        .entropy
    )
    assert oracle.relative_error(actual, weights @ entropy, weights @ (1 + entropy)) < TOLERANCE[dtype]


@pytest.mark.parametrize("apart", [0.3, 3.0, 12.0, 100.0, 1e5])
@pytest.mark.parametrize("n_components", [4, 7, 40])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_shared_factor_costs_no_digit(dtype, n_components, apart, simd):
    """Rows are whitened once unless that costs digits. Pairs of components lie `apart` deviations apart."""
    rng = np.random.default_rng(n_components)
    n, d, K = 2 * BLOCK_ROWS + 3, 6, n_components
    means = np.repeat(apart * rng.normal(size=(K, d)), 2, axis=0)[:K] + 0.3 * rng.normal(size=(K, d))
    means = rounded(1e3 + means, dtype)
    X = (means[rng.integers(K, size=n)] + rng.normal(size=(n, d))).astype(dtype)
    tied = COVARIANCE_TYPES["tied"]
    factors = rounded(tied.precisions_cholesky(random_covariances(rng, "tied", K, d)), dtype)
    mixture = MixtureParameters(rng.dirichlet(np.ones(K)), means, np.array(np.nan), factors)
    weights = rng.uniform(0.3, 3.0, n)
    joint = oracle.log_joint(X, mixture, "tied")
    passes, norm = ArrayPasses(X, weights, K, tied, 2), oracle.log_prob_norm(joint)
    model = components(mixture, "tied")
    assert oracle.relative_error(passes.log_prob_norm(model), norm, 1 + np.abs(norm)) < TOLERANCE[dtype]
    resp = oracle.responsibilities(joint)
    assert oracle.relative_error(passes.resp(model), resp, np.maximum(resp, 1e-3)) < TOLERANCE[dtype]
    chosen = np.take_along_axis(joint, passes.predict(model)[:, np.newaxis], axis=1)[:, 0]
    assert oracle.relative_error(chosen, joint.max(axis=1), 1 + np.abs(norm)) < TOLERANCE[dtype]
    for centers in (means, means + rounded(rng.normal(size=(K, d)), dtype)):
        actual = passes.em_step(model, centers=centers)
        assert_statistics(actual, X, weights, resp, "tied", TOLERANCE[dtype], 1e-3)
        assert oracle.relative_error(actual.log_likelihood, weights @ norm, weights @ np.abs(norm)) < TOLERANCE[dtype]


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("shape", FEW_SHAPES, ids=str)
def test_em_step_about_other_centers(shape, covariance_type, dtype, offset, simd):
    p = problem(*shape, covariance_type, dtype, offset)
    actual = data_passes(p, covariance_type, 2).em_step(p.components, centers=p.centers)
    np.testing.assert_array_equal(actual.centers, p.centers.astype(dtype))
    assert_statistics(actual, p.X, p.sample_weight, p.resp, covariance_type, TOLERANCE[dtype])


@pytest.mark.usefixtures("guarded_workspaces")
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_densities(shape, covariance_type, dtype, n_threads, simd):
    p = problem(*shape, covariance_type, dtype)
    passes = data_passes(p, covariance_type, n_threads)
    norm, resp, labels = passes.log_prob_norm(p.components), passes.resp(p.components), passes.predict(p.components)
    assert norm.dtype == resp.dtype == dtype
    assert labels.dtype == np.int64
    assert oracle.relative_error(norm, p.norm, 1 + np.abs(p.norm)) < TOLERANCE[dtype]
    assert oracle.relative_error(resp, p.resp, np.maximum(p.resp, 1e-30)) < TOLERANCE[dtype]
    chosen = np.take_along_axis(p.joint, labels[:, np.newaxis], axis=1)[:, 0]
    assert oracle.relative_error(chosen, p.joint.max(axis=1), 1 + np.abs(p.norm)) < TOLERANCE[dtype]
    weights = oracle.weights_of(p.X, p.sample_weight)
    expected = weights @ p.norm
    assert oracle.relative_error(passes.score_sum(p.components), expected, weights @ np.abs(p.norm)) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("shape", FEW_SHAPES, ids=str)
def test_offset_costs_no_digit(shape, covariance_type, dtype, simd):
    """At an offset of a million (a float32 has a resolution of 1/16 there), within the very same tolerance."""
    p = problem(*shape, covariance_type, dtype, 1e6)
    passes = data_passes(p, covariance_type, 2)
    assert_statistics(passes.em_step(p.components), p.X, p.sample_weight, p.resp, covariance_type, TOLERANCE[dtype])
    assert oracle.relative_error(passes.log_prob_norm(p.components), p.norm, 1 + np.abs(p.norm)) < TOLERANCE[dtype]
    assert oracle.relative_error(passes.resp(p.components), p.resp, np.maximum(p.resp, 1e-30)) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("n_features", [1, 3, 6])
def test_component_of_weight_zero_takes_no_row(n_features, covariance_type, dtype, simd):
    p = problem(BLOCK_ROWS + 1, n_features, 2, covariance_type, dtype)
    weights = np.array([1.0, 0.0])
    mixture = MixtureParameters(weights, p.mixture.means, np.array(np.nan), p.mixture.precisions_cholesky)
    passes = data_passes(p, covariance_type, 2)
    statistics = passes.em_step(components(mixture, covariance_type))
    assert statistics.nk[1] == 0.0
    assert not statistics.sum_x[1].any()
    np.testing.assert_array_equal(passes.resp(components(mixture, covariance_type)), np.tile([1, 0], (len(p.X), 1)))
    np.testing.assert_array_equal(passes.predict(components(mixture, covariance_type)), 0)
    norm = oracle.log_joint(p.X, mixture, covariance_type)[:, 0]
    assert (
        oracle.relative_error(passes.log_prob_norm(components(mixture, covariance_type)), norm, 1 + np.abs(norm))
        < TOLERANCE[dtype]
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_rows_far_from_all_components(covariance_type, dtype, simd):
    """A thousand deviations out every density underflows, but their ratios do not."""
    p = problem(BLOCK_ROWS + 1, 5, 2, covariance_type, dtype)
    X = (p.X + 1000).astype(dtype)
    joint = oracle.log_joint(X, p.mixture, covariance_type)
    norm = oracle.log_prob_norm(joint)
    passes = ArrayPasses(X, None, 2, COVARIANCE_TYPES[covariance_type], 2)
    resp = passes.resp(p.components)
    assert oracle.relative_error(passes.log_prob_norm(p.components), norm, np.abs(norm)) < TOLERANCE[dtype]
    np.testing.assert_allclose(resp.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(passes.predict(p.components), joint.argmax(axis=1))
    assert passes.em_step(p.components).nk.sum() == pytest.approx(len(X), rel=TOLERANCE[dtype])


@pytest.mark.parametrize("n_features", [2, 6])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_row_beyond_the_reach_of_all_components(covariance_type, n_features, simd):
    """Where even the squared distance overflows, the log-density is -inf and the row counts for nothing."""
    p = problem(BLOCK_ROWS + 1, n_features, 2, covariance_type, np.float64, weighted=True)
    X = p.X.copy()
    X[7] = 1e200
    passes = ArrayPasses(X, p.sample_weight, 2, COVARIANCE_TYPES[covariance_type], 2)
    norm = passes.log_prob_norm(p.components)
    np.testing.assert_array_equal(np.flatnonzero(norm == -np.inf), [7])
    assert passes.em_step(p.components).log_likelihood == passes.score_sum(p.components) == -np.inf


# Statistics under given responsibilities ------------------------------------------------------------------------------


@pytest.mark.usefixtures("guarded_workspaces")
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_statistics_from_labels(shape, covariance_type, dtype, n_threads, simd):
    p = problem(*shape, covariance_type, dtype)
    actual = data_passes(p, covariance_type, n_threads).statistics_from_labels(p.labels, p.centers)
    np.testing.assert_array_equal(actual.centers, p.centers.astype(dtype))
    assert actual.log_likelihood == 0
    expected = expected_label_statistics(*shape, covariance_type, dtype)
    assert_equal_statistics(actual, p.X, p.sample_weight, expected, covariance_type, TOLERANCE[dtype])


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("rows_a_block", [37, BLOCK_ROWS, 10**6])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("shape", [(BLOCK_ROWS + 1, 3, 2), (2 * BLOCK_ROWS + 3, 7, 3)], ids=str)
def test_statistics_from_resp(shape, covariance_type, dtype, rows_a_block, offset, simd):
    p = problem(*shape, covariance_type, dtype, offset)
    resp = p.resp.astype(dtype)
    blocks = (resp[start : start + rows_a_block] for start in range(0, len(resp), rows_a_block))
    actual = data_passes(p, covariance_type, 2).statistics_from_resp(blocks, p.centers)
    assert_statistics(actual, p.X, p.sample_weight, resp, covariance_type, TOLERANCE[dtype])


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("n_threads", N_THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", FEATURES)
def test_column_means_and_variances(n_features, dtype, n_threads, offset, simd):
    p = problem(2 * BLOCK_ROWS + 3, n_features, 2, "diag", dtype, offset, weighted=True)
    X = p.X.astype(oracle.LONG)
    weights = oracle.weights_of(X, p.sample_weight)
    deviations = X.std(axis=0)
    # The mean itself is a float64: at offset 1e6 it is off by 1e-10 deviations before any arithmetic.
    tolerance = TOLERANCE[dtype] + offset * 2 * np.finfo(np.float64).eps
    assert oracle.relative_error(column_means(p.X, n_threads), X.mean(axis=0), deviations) < tolerance
    weighted = weights @ X / weights.sum()
    assert oracle.relative_error(column_means(p.X, n_threads, p.sample_weight), weighted, deviations) < tolerance
    means = p.X.astype(np.float64).mean(axis=0)
    # The kernel takes the center in the dtype of X; float32 then rounds it, which at offset 1e6 is a shift of 0.03.
    expected = np.square(X - means.astype(dtype)).mean(axis=0)
    assert oracle.relative_error(column_variances(p.X, means, n_threads), expected) < tolerance


# K-means --------------------------------------------------------------------------------------------------------------


def kmeans_problem(n, d, K, dtype, offset=0.0):
    p = problem(n, d, K, "spherical", dtype, offset)
    shift = p.X.mean(axis=0, dtype=np.float64).astype(dtype)
    centers = (p.X[np.random.default_rng(2).integers(n, size=K)] - shift + dtype(0.1)).astype(dtype)
    return p, shift, centers


@pytest.mark.usefixtures("guarded_workspaces")
@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kmeans_assign(shape, dtype, n_threads, offset, simd):
    p, shift, centers = kmeans_problem(*shape, dtype, offset)
    labels = np.random.default_rng(3).integers(shape[2], size=shape[0]).astype(np.int32)
    before = labels.copy()
    passes = KMeansPasses(p.X, shift, shape[2], p.sample_weight, n_threads)
    n_changed, sums, counts = passes.assign(centers, labels)
    assert n_changed == np.count_nonzero(labels != before)
    distances = oracle.squared_distances(p.X, shift, centers)
    chosen = np.take_along_axis(distances, labels[:, np.newaxis], axis=1)[:, 0]
    assert oracle.relative_error(chosen, distances.min(axis=1), 1 + distances.min(axis=1)) < TOLERANCE[dtype]
    weights = oracle.weights_of(p.X, p.sample_weight)
    one_hot = (labels[:, np.newaxis] == np.arange(shape[2])) * weights[:, np.newaxis]
    shifted = p.X.astype(oracle.LONG) - shift
    assert oracle.relative_error(counts, one_hot.sum(axis=0)) < 1e-13
    assert oracle.relative_error(sums, one_hot.T @ shifted, 1e-30 + one_hot.T @ np.abs(shifted)) < TOLERANCE[dtype]
    assert passes.assign(centers, labels)[0] == 0


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_clusters", "step"), [(1, 0.1), (2, 0.3), (12, 0.02), (12, 0.5)])
def test_rows_that_kmeans_skips_would_not_have_changed(n_clusters, step, dtype, weighted, simd):
    """Forty assignments to wandering centers, some of them on rows and on each other, against as many from scratch."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(3 * BLOCK_ROWS + 5, 3)).astype(dtype).round(1)  # rounded: ties occur
    weights = rng.uniform(0.1, 2, len(X)) if weighted else None
    walk = rng.normal(size=(n_clusters, 3)) + rng.normal(scale=step, size=(40, n_clusters, 3)).cumsum(axis=0)
    walk[::7] = walk[::7].round(1)
    walk[10, -1] = walk[10, 0]
    shift = np.zeros(3, dtype)
    labels = np.full(len(X), -1, np.int32)
    keeping = KMeansPasses(X, shift, n_clusters, weights, 2)
    kept = [(*keeping.assign(centers, labels), labels.copy()) for centers in walk.astype(dtype)]
    afresh = [
        (*KMeansPasses(X, shift, n_clusters, weights, 2).assign(centers, other), other)
        for centers, other in ((centers, np.full(len(X), -1, np.int32)) for centers in walk.astype(dtype))
    ]
    np.testing.assert_array_equal([step[3] for step in kept], [step[3] for step in afresh])
    np.testing.assert_allclose([step[1] for step in kept], [step[1] for step in afresh], rtol=0, atol=1e-10)
    np.testing.assert_allclose([step[2] for step in kept], [step[2] for step in afresh], rtol=1e-13)


def test_kmeans_assign_takes_the_first_of_equals(simd):
    X = np.zeros((BLOCK_ROWS + 1, 3))
    labels = np.full(len(X), -1, np.int32)
    KMeansPasses(X, np.zeros(3), 5, None, 2).assign(np.ones((5, 3)), labels)
    np.testing.assert_array_equal(labels, 0)


@pytest.mark.usefixtures("guarded_workspaces")
@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kmeans_seeding(shape, dtype, n_threads, offset, simd):
    """Potentials of candidates, and what is left of the distances when some of them are taken."""
    p, shift, centers = kmeans_problem(*shape, dtype, offset)
    weights = oracle.weights_of(p.X, p.sample_weight)
    distances = oracle.squared_distances(p.X, shift, centers)
    passes = KMeansPasses(p.X, shift, shape[2], p.sample_weight, n_threads)
    seeding = SeedingPasses(passes, centers[0], len(centers))
    assert oracle.relative_error(seeding.potential, weights @ distances[:, 0]) < TOLERANCE[dtype]
    for first in range(0, len(centers), 2):  # the last candidate of each step is taken
        candidates, taken = slice(first, first + 2), [0, *range(1, first, 2)]
        before = distances[:, taken].min(axis=1)
        lowered = np.minimum(distances[:, candidates], before[:, np.newaxis])
        potentials = seeding.potentials(centers[candidates])
        assert oracle.relative_error(potentials, weights @ lowered) < TOLERANCE[dtype]
        assert oracle.relative_error(seeding.closest, before, 1e-30 + before) < TOLERANCE[dtype]
        seeding.take(len(potentials) - 1)
        assert seeding.potential == potentials[-1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [3, 40])
def test_seeds_far_from_most_rows_lower_what_they_are_nearest_to(d, dtype, simd):
    """Clusters of a few blocks each, so that most rows are out of a new seed's reach, and rows on top of each other."""
    rng = np.random.default_rng(6)
    places = 50 * rng.normal(size=(6, d))
    labels = np.arange(6 * BLOCK_ROWS) // BLOCK_ROWS
    X = (places[labels] + rng.normal(size=(len(labels), d))).astype(dtype)
    X[::7] = places[labels[::7]]
    X[5] *= 1e6
    passes = KMeansPasses(X, np.zeros(d, dtype), 6, None, 2)
    distances = oracle.squared_distances(X, np.zeros(d, dtype), X[:: BLOCK_ROWS // 2])
    seeding = SeedingPasses(passes, X[0], 2)
    closest = distances[:, 0]
    for c in range(1, 12):
        lowered = np.minimum(closest, distances[:, c])
        (potential,) = seeding.potentials(X[[c * BLOCK_ROWS // 2]])
        assert oracle.relative_error(seeding.closest, closest, 1e-30 + closest) < TOLERANCE[dtype]
        assert oracle.relative_error(potential, lowered.sum()) < TOLERANCE[dtype]
        seeding.take(0)
        closest = lowered


@pytest.mark.usefixtures("guarded_workspaces")
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [*EDGE_ROWS, 100 * BLOCK_ROWS + 7])
def test_rows_at(n, dtype, weighted, simd):
    """Bit for bit the row that a cumulated sum in the dtype of the data leads to, rounded row after row."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(n, 1)).astype(dtype)
    weights = rng.uniform(0.1, 2, n) if weighted else None
    passes = KMeansPasses(X, np.zeros(1, dtype), 2, weights, 1)
    seeding = SeedingPasses(passes, np.zeros(1, dtype), 2)
    for n_taken in range(3):
        closest = np.square(X - np.arange(n_taken + 1, dtype=dtype)).min(axis=1)
        cumulated = np.cumsum(closest if weights is None else weights.astype(dtype) * closest)
        between = (cumulated[:-1].astype(float) + cumulated[1:]) / 2 if dtype is np.float64 else cumulated.astype(float)
        thresholds = np.concatenate([[0.0], between, [2 * seeding.potential, np.inf]])
        expected = np.minimum(np.searchsorted(cumulated.astype(float), thresholds), n - 1)
        np.testing.assert_array_equal(seeding.rows_at(thresholds), expected)
        seeding.potentials(np.array([[n_taken + 1]], dtype))
        seeding.take(0)


# Workspace ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3, 8, 17])
@pytest.mark.parametrize("K", [1, 2, 5, 16])
def test_threads_begin_on_cache_lines(K, d, simd):
    """Whatever they need of a workspace: the widest vectors want to be aligned, which shows with few CPUs only."""
    kernels = _kernels.active

    def sizes(n_threads):
        work, sums = kernels.workspace_sizes(K, d, K, d, d, n_threads)
        screen = kernels.screen_workspace_sizes(d, 256, K, 1, 1, 8, n_threads)
        cells = kernels.cells_workspace_sizes(min(d, 4), K, 1024, 4, n_threads)
        own = (work, kernels.kmeans_floats(K, d, n_threads), cells[1], *screen)  # of 4 bytes or more
        return np.array([*(4 * size for size in own), 8 * sums, 8 * cells[0]])

    np.testing.assert_array_equal((sizes(3) - sizes(2)) % 64, 0)


# Weights beyond float32 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [-1040, -160, -2, 2, 160, 1000])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_unit_of_weights_changes_no_bit(covariance_type, exponent, simd):
    p = problem(700, 5, 3, covariance_type, np.float32, weighted=True)
    weights = np.ldexp(np.ldexp(p.sample_weight, exponent), -exponent)  # what is left of them as subnormal numbers
    found = []
    for power in (0, exponent):
        passes = ArrayPasses(p.X, np.ldexp(weights, power), 3, COVARIANCE_TYPES[covariance_type], 2)
        statistics = passes.em_step(p.components, with_entropy=True), passes.statistics_from_labels(p.labels, p.centers)
        found.append([np.ldexp(each.to_vector(), -power) for each in statistics])
    for i in range(2):
        np.testing.assert_allclose(found[1][i], found[0][i], rtol=1e-10 if exponent < -1000 else 0)


@pytest.mark.parametrize("ratio", [1e-20, 1e-40, 1e-80])
@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_rows_of_little_weight_count(covariance_type, ratio, simd):
    """Where a component has no others their ratio may be beyond float32."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(500, 3)), 1000.0 + rng.normal(size=(300, 3))]).astype(np.float32)
    weights = np.repeat([1.0, ratio], [500, 300]) * rng.uniform(1, 2, 800)
    shape = COVARIANCE_TYPES[covariance_type].shape(2, 3)
    factors = np.broadcast_to(np.eye(3), shape).copy() if covariance_type == "full" else np.ones(shape)
    mixture = MixtureParameters(np.array([1.0, ratio]), np.array([[0.0] * 3, [1000.0] * 3]), factors, factors)
    passes = [ArrayPasses(rows, weights, 2, COVARIANCE_TYPES[covariance_type], 2) for rows in (X, X.astype(np.float64))]
    actual, expected = (each.em_step(components(mixture, covariance_type)) for each in passes)
    np.testing.assert_allclose(actual.nk, expected.nk, rtol=1e-6)
    np.testing.assert_allclose(actual.scatter, expected.scatter, rtol=1e-4, atol=1e-4 * expected.scatter[1].max())
    assert passes[0].dtype == np.float32


# Slices ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [BLOCK_ROWS, 4 * BLOCK_ROWS, 7 * BLOCK_ROWS + 5])
@pytest.mark.parametrize("n_threads", N_THREADS)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_many_slices(covariance_type, n_threads, n_rows, simd, slices_of_one_block):
    p = problem(n_rows, 3, 2, covariance_type, np.float64, weighted=True)
    with slices_of_one_block():
        passes = data_passes(p, covariance_type, n_threads)
    assert len(list(passes.runner.slices())) == -(-n_rows // BLOCK_ROWS)
    actual = passes.em_step(p.components, with_entropy=True)
    assert_statistics(actual, p.X, p.sample_weight, p.resp, covariance_type, TOLERANCE[np.float64])
    entropy = p.sample_weight @ oracle.entropies(p.resp)
    assert oracle.relative_error(actual.entropy, entropy, entropy + p.sample_weight.sum()) < TOLERANCE[np.float64]
    assert oracle.relative_error(passes.resp(p.components), p.resp, np.maximum(p.resp, 1e-30)) < TOLERANCE[np.float64]
    assert oracle.relative_error(passes.log_prob_norm(p.components), p.norm) < TOLERANCE[np.float64]
    np.testing.assert_array_equal(passes.predict(p.components), p.joint.argmax(axis=1))
    actual = passes.statistics_from_labels(p.labels, p.centers)
    assert_statistics(actual, p.X, p.sample_weight, p.one_hot, covariance_type, TOLERANCE[np.float64])


@pytest.mark.parametrize("n_threads", N_THREADS)
def test_kmeans_in_many_slices(n_threads, simd, slices_of_one_block):
    p, shift, centers = kmeans_problem(7 * BLOCK_ROWS + 5, 3, 5, np.float64)
    whole = KMeansPasses(p.X, shift, 5, p.sample_weight, n_threads)
    with slices_of_one_block():
        parts = KMeansPasses(p.X, shift, 5, p.sample_weight, n_threads)
    assert len(list(whole.runner.slices())) == 1 < len(list(parts.runner.slices()))
    labels, labels_of_parts = np.zeros((2, len(p.X)), np.int32)
    expected, actual = whole.assign(centers, labels), parts.assign(centers, labels_of_parts)
    np.testing.assert_array_equal(labels_of_parts, labels)
    assert actual[0] == expected[0]
    np.testing.assert_allclose(actual[1], expected[1], rtol=1e-12)
    np.testing.assert_allclose(actual[2], expected[2], rtol=1e-13)
    seeding, seeding_of_parts = SeedingPasses(whole, centers[0], 5), SeedingPasses(parts, centers[0], 5)
    assert seeding_of_parts.potential == pytest.approx(seeding.potential, rel=1e-13)
    for _ in range(2):
        potentials = seeding_of_parts.potentials(centers)
        np.testing.assert_allclose(potentials, seeding.potentials(centers), rtol=1e-13)
        np.testing.assert_array_equal(seeding_of_parts.closest, seeding.closest)
        seeding_of_parts.take(1), seeding.take(1)
        thresholds = np.linspace(0, seeding.potential, 20)
        np.testing.assert_array_equal(seeding_of_parts.rows_at(thresholds), seeding.rows_at(thresholds))


# exp and log ----------------------------------------------------------------------------------------------------------

# Of the dtype: where exp becomes 0, and the largest argument of log as a power of e. A correctly rounded function is
# off by half a unit in the last place, a polynomial and two more roundings by about one.
VECTOR_MATH = {np.float64: (-708.0, 700.0), np.float32: (-87.0, 80.0)}
ULPS = 1.1


def vector_math(name):
    """exp_inplace or log_inplace of the active variant, on a copy."""

    def function(x):
        out = np.array(x)
        getattr(_kernels.active, f"{name}_inplace")(out)
        return out

    return function


def ulps(actual, expected, dtype):
    return float(np.max(np.abs(actual - expected) / np.spacing(np.abs(expected).astype(dtype))))


@needs_extended
@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_is_accurate(dtype, simd):
    cut, _ = VECTOR_MATH[dtype]
    rng = np.random.default_rng(0)
    x = np.concatenate([-np.geomspace(1e-20, -cut, 50_000), rng.uniform(cut, 0, 50_000), [cut]]).astype(dtype)
    assert ulps(vector_math("exp")(x), np.exp(x.astype(oracle.LONG)), dtype) < ULPS


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_of_special_arguments(dtype, simd):
    cut, _ = VECTOR_MATH[dtype]
    x = np.array([0.0, -0.0, np.nextafter(dtype(cut), dtype(-np.inf)), 10 * cut, np.finfo(dtype).min, -np.inf], dtype)
    np.testing.assert_array_equal(vector_math("exp")(x), [1, 1, 0, 0, 0, 0])


@needs_extended
@pytest.mark.parametrize("dtype", DTYPES)
def test_log_is_accurate(dtype, simd):
    _, exponent = VECTOR_MATH[dtype]
    rng = np.random.default_rng(0)
    near_one = 1 + np.geomspace(np.finfo(dtype).eps, 1, 40_000)
    x = np.concatenate([near_one, rng.uniform(1, 1e4, 40_000), np.exp(rng.uniform(0, exponent, 20_000))]).astype(dtype)
    assert ulps(vector_math("log")(x), np.log(x.astype(oracle.LONG)), dtype) < ULPS
    assert vector_math("log")(np.ones(1, dtype))[0] == 0.0


@pytest.mark.parametrize("x", [-1e-9, -0.34657359027997264, -1.0, -17.25, -707.9])
def test_exp_agrees_with_fifty_digits(x, simd):
    with mpmath.workdps(50):
        expected = mpmath.exp(mpmath.mpf(x))
        actual = mpmath.mpf(float(vector_math("exp")(np.array([x]))[0]))
        assert abs(actual - expected) < ULPS * np.spacing(float(expected))


# Properties -----------------------------------------------------------------------------------------------------------

problems = st.tuples(
    st.integers(2, 3 * BLOCK_ROWS),
    st.integers(1, 20),
    st.integers(1, 4),
    st.sampled_from(TYPES),
    st.sampled_from(DTYPES),
)
variants = st.sampled_from(_kernels.SUPPORTED)
thread_counts = st.integers(1, 4)
SUM_TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}  # sums of the same terms in another order


def em_step(variant, X, sample_weight, mixture, covariance_type, n_threads):
    with variant_in_use(variant):
        passes = ArrayPasses(X, sample_weight, len(mixture.means), COVARIANCE_TYPES[covariance_type], n_threads)
        return passes.em_step(components(mixture, covariance_type), with_entropy=True)


def assert_same_sums(actual, expected, covariance_type, tolerance):
    squares = expected.scatter if covariance_type in ("diag", "spherical") else scatter_scale(expected.scatter, "full")
    assert oracle.relative_error(actual.nk, expected.nk, expected.nk + 1e-300) < tolerance
    assert oracle.relative_error(actual.scatter, expected.scatter, squares) < tolerance
    assert oracle.relative_error(actual.sum_x, expected.sum_x, expected.nk.sum() + np.abs(expected.sum_x)) < tolerance
    scale = expected.total_weight + abs(expected.log_likelihood)
    assert oracle.relative_error(actual.log_likelihood, expected.log_likelihood, scale) < tolerance
    scale = expected.total_weight + expected.entropy
    assert oracle.relative_error(actual.entropy, expected.entropy, scale) < tolerance
    assert actual.total_weight == pytest.approx(expected.total_weight, rel=1e-14)


@given(problems, variants, thread_counts, st.floats(0.01, 0.99))
def test_statistics_of_parts_add_up(case, variant, n_threads, where):
    p, covariance_type, dtype = problem(*case), *case[3:]
    cut = min(max(1, int(where * len(p.X))), len(p.X) - 1)
    weights = (None, None) if p.sample_weight is None else (p.sample_weight[:cut], p.sample_weight[cut:])
    total = em_step(variant, p.X[:cut], weights[0], p.mixture, covariance_type, n_threads)
    total.merge(em_step(variant, p.X[cut:], weights[1], p.mixture, covariance_type, n_threads))
    whole = em_step(variant, p.X, p.sample_weight, p.mixture, covariance_type, n_threads)
    assert_same_sums(total, whole, covariance_type, SUM_TOLERANCE[dtype])


@given(problems, variants, thread_counts, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(case, variant, n_threads, random):
    p, covariance_type, dtype = problem(*case), *case[3:]
    order = random.sample(range(len(p.X)), len(p.X))
    weights = None if p.sample_weight is None else p.sample_weight[order]
    actual = em_step(variant, p.X[order], weights, p.mixture, covariance_type, n_threads)
    expected = em_step(variant, p.X, p.sample_weight, p.mixture, covariance_type, n_threads)
    assert_same_sums(actual, expected, covariance_type, SUM_TOLERANCE[dtype])


@given(problems, variants, thread_counts, st.integers(0, 2**32 - 1))
def test_weights_are_repetitions(case, variant, n_threads, seed):
    p, covariance_type, dtype = problem(*case), *case[3:]
    times = np.random.default_rng(seed).integers(1, 4, len(p.X))
    actual = em_step(variant, p.X, times.astype(float), p.mixture, covariance_type, n_threads)
    expected = em_step(variant, np.repeat(p.X, times, axis=0), None, p.mixture, covariance_type, n_threads)
    assert_same_sums(actual, expected, covariance_type, SUM_TOLERANCE[dtype])


@given(problems, variants, thread_counts)
def test_unit_weights_are_none(case, variant, n_threads):
    p, covariance_type = problem(*case), case[3]
    actual = em_step(variant, p.X, np.ones(len(p.X)), p.mixture, covariance_type, n_threads)
    expected = em_step(variant, p.X, None, p.mixture, covariance_type, n_threads)
    assert_bitwise_equal(actual, expected)


@given(problems, variants, thread_counts)
def test_thread_count_does_not_matter(case, variant, n_threads):
    p, covariance_type = problem(*case), case[3]
    actual = em_step(variant, p.X, p.sample_weight, p.mixture, covariance_type, n_threads)
    expected = em_step(variant, p.X, p.sample_weight, p.mixture, covariance_type, 1)
    assert_same_sums(actual, expected, covariance_type, 1e-12)  # of float32 too: blocks add up in float64


@given(problems, variants, thread_counts)
def test_passes_repeat_bitwise(case, variant, n_threads):
    p, covariance_type = problem(*case), case[3]
    first, second = (
        em_step(variant, p.X, p.sample_weight, p.mixture, covariance_type, n_threads) for _ in range(2)
    )  # fmt: skip
    assert_bitwise_equal(first, second)
    assert first.entropy == second.entropy


@given(problems, variants, thread_counts)
def test_densities_do_not_depend_on_the_rows_around(case, variant, n_threads):
    """A row alone has the log-density, responsibilities and label that it has among others, to the bit."""
    p, covariance_type = problem(*case), case[3]
    i = len(p.X) // 2
    with variant_in_use(variant):
        alone, whole = (
            ArrayPasses(X, None, case[2], COVARIANCE_TYPES[covariance_type], n_threads) for X in (p.X[i : i + 1], p.X)
        )
        np.testing.assert_array_equal(alone.log_prob_norm(p.components), whole.log_prob_norm(p.components)[i : i + 1])
        np.testing.assert_array_equal(alone.resp(p.components), whole.resp(p.components)[i : i + 1])
        np.testing.assert_array_equal(alone.predict(p.components), whole.predict(p.components)[i : i + 1])
