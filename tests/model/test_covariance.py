"""The M step and the algebra of each covariance type against textbook formulas."""

import numpy as np
import pytest
from _shared.cases import TYPES
from scipy.stats import multivariate_normal

from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.covariance.factors import inverses_of_triangles
from fastgmm._model.gaussian import MaximumLikelihood
from fastgmm._model.moments import estimate_moments, is_accurate
from fastgmm._model.statistics import SufficientStatistics

N_COMPONENTS, N_FEATURES = 3, 4


def rows_and_resp(seed=0, n_samples=60):
    rng = np.random.default_rng(seed)
    resp = rng.dirichlet(np.ones(N_COMPONENTS), n_samples)
    return rng.normal(size=(n_samples, N_FEATURES)) @ rng.normal(size=(N_FEATURES, N_FEATURES)), resp


def statistics_of(X, resp, centers, covariance_type):
    """The definition, one product a row and component."""
    diff = X[:, np.newaxis] - centers
    scatter = {
        "full": np.einsum("ik,ikj,ikl->kjl", resp, diff, diff),
        "tied": np.einsum("ik,ikj,ikl->jl", resp, diff, diff)[np.newaxis],
        "diag": np.einsum("ik,ikj->kj", resp, diff**2),
        "spherical": np.einsum("ik,ikj->k", resp, diff**2)[:, np.newaxis],
    }[covariance_type]
    sum_x = np.einsum("ik,ikj->kj", resp, diff)
    return SufficientStatistics(centers, resp.sum(axis=0), sum_x, scatter, 0.0, 0.0, float(len(X)))


def textbook_covariances(X, resp, covariance_type):
    """Bishop 2006, eq. 9.25, in extended precision; trusted because it is the definition about the exact mean."""
    X, resp = X.astype(np.longdouble), resp.astype(np.longdouble)
    nk = resp.sum(axis=0)
    diff = X[:, np.newaxis] - (resp.T @ X) / nk[:, np.newaxis]
    full = np.einsum("ik,ikj,ikl->kjl", resp, diff, diff) / nk[:, np.newaxis, np.newaxis]
    diag = np.einsum("kjj->kj", full)
    return {
        "full": full,
        "tied": np.einsum("k,kjl->jl", nk, full) / nk.sum(),
        "diag": diag,
        "spherical": diag.mean(axis=1),
    }[covariance_type].astype(np.float64)


def m_step(statistics, covariance_type, reg_covar):
    model = MaximumLikelihood(COVARIANCE_TYPES[covariance_type], N_COMPONENTS, N_FEATURES, np.float64, reg_covar)
    return model.m_step(model.moments(statistics), None)


def as_matrices(covariances, covariance_type):
    return {
        "full": lambda: covariances,
        "tied": lambda: np.tile(covariances, (N_COMPONENTS, 1, 1)),
        "diag": lambda: np.array([np.diag(row) for row in covariances]),
        "spherical": lambda: covariances[:, np.newaxis, np.newaxis] * np.eye(N_FEATURES),
    }[covariance_type]()


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("distance", [0.0, 0.1, 10.0])
def test_m_step_does_not_depend_on_the_centers(covariance_type, distance):
    X, resp = rows_and_resp()
    centers = distance * np.random.default_rng(1).normal(size=(N_COMPONENTS, N_FEATURES))
    parameters = m_step(statistics_of(X, resp, centers, covariance_type), covariance_type, reg_covar=0.25)
    nk = resp.sum(axis=0)
    np.testing.assert_allclose(parameters.weights, nk / nk.sum(), rtol=1e-14)
    np.testing.assert_allclose(parameters.means, resp.T @ X / nk[:, np.newaxis], rtol=1e-11, atol=1e-13)
    expected = as_matrices(textbook_covariances(X, resp, covariance_type), covariance_type) + 0.25 * np.eye(N_FEATURES)
    np.testing.assert_allclose(as_matrices(parameters.covariances, covariance_type), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_covariances_are_exactly_symmetric(covariance_type):
    X, resp = rows_and_resp()
    statistics = statistics_of(X, resp, X[:N_COMPONENTS], covariance_type)
    statistics.scatter += statistics.scatter.swapaxes(-1, -2).copy()
    parameters = m_step(statistics, covariance_type, reg_covar=1e-6)
    np.testing.assert_array_equal(parameters.covariances, parameters.covariances.swapaxes(-1, -2))


@pytest.mark.parametrize("covariance_type", TYPES)
def test_factors_precisions_and_determinants_fit_together(covariance_type):
    X, resp = rows_and_resp()
    covariance = COVARIANCE_TYPES[covariance_type]
    parameters = m_step(statistics_of(X, resp, X[:N_COMPONENTS], covariance_type), covariance_type, reg_covar=1e-6)
    factors = parameters.precisions_cholesky
    assert factors.shape == covariance.shape(N_COMPONENTS, N_FEATURES)
    matrices = as_matrices(parameters.covariances, covariance_type)
    precisions = covariance.precisions(factors)
    np.testing.assert_allclose(
        as_matrices(precisions, covariance_type) @ matrices, [np.eye(N_FEATURES)] * 3, atol=1e-11
    )
    np.testing.assert_allclose(
        covariance.precisions_cholesky_from_precisions(precisions), factors, rtol=1e-11, atol=1e-13
    )
    np.testing.assert_allclose(
        covariance.covariances_from_cholesky(factors), parameters.covariances, rtol=1e-11, atol=1e-13
    )
    log_det = np.broadcast_to(covariance.log_det(factors, N_FEATURES), N_COMPONENTS)
    np.testing.assert_allclose(log_det, -0.5 * np.linalg.slogdet(matrices)[1], rtol=1e-12)
    np.testing.assert_array_equal(factors, np.triu(factors) if covariance_type in ("full", "tied") else factors)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_log_const_is_the_log_density_at_the_mean(covariance_type):
    X, resp = rows_and_resp()
    parameters = m_step(statistics_of(X, resp, X[:N_COMPONENTS], covariance_type), covariance_type, reg_covar=1e-6)
    matrices = as_matrices(parameters.covariances, covariance_type)
    at_mean = [multivariate_normal(cov=matrix).logpdf(np.zeros(N_FEATURES)) for matrix in matrices]
    np.testing.assert_allclose(
        parameters.components(COVARIANCE_TYPES[covariance_type]).log_const,
        np.log(parameters.weights) + at_mean,
        rtol=1e-12,
    )


@pytest.mark.parametrize("covariance_type", TYPES)
def test_kernel_factors_have_the_structure_of_the_kernel(covariance_type):
    X, resp = rows_and_resp()
    covariance = COVARIANCE_TYPES[covariance_type]
    parameters = m_step(statistics_of(X, resp, X[:N_COMPONENTS], covariance_type), covariance_type, reg_covar=1e-6)
    factors = covariance.kernel_factors(parameters.precisions_cholesky, N_COMPONENTS, N_FEATURES)
    rows = {"full": N_COMPONENTS, "tied": 1, "diag": N_COMPONENTS, "spherical": N_COMPONENTS}[covariance_type]
    assert factors.shape == (rows, N_FEATURES if covariance.kernel == "full" else 1, N_FEATURES)
    assert factors.flags.c_contiguous


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_factors_do_not_mind_the_scale_of_columns(covariance_type):
    """Scaling by powers of two changes no digit of a Cholesky factor or a triangular inverse."""
    X, resp = rows_and_resp()
    scales = np.array([2.0**-20, 1.0, 2.0**10, 2.0**20])
    plain = m_step(statistics_of(X, resp, X[:N_COMPONENTS], covariance_type), covariance_type, reg_covar=0.0)
    scaled = m_step(
        statistics_of(X * scales, resp, X[:N_COMPONENTS] * scales, covariance_type), covariance_type, reg_covar=0.0
    )
    by_row = 1.0 / scales if covariance_type == "diag" else 1.0 / scales[:, np.newaxis]
    np.testing.assert_allclose(scaled.precisions_cholesky, plain.precisions_cholesky * by_row, rtol=1e-12)


@pytest.mark.parametrize("n_features", [1, 2, 5, 33, 100])
def test_factors_of_ill_conditioned_matrices_are_backward_stable(n_features):
    rng = np.random.default_rng(n_features)
    rotation, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
    covariance = rotation * np.geomspace(1e-10, 1.0, n_features) @ rotation.T
    covariance = 0.5 * (covariance + covariance.T)
    (factor,) = COVARIANCE_TYPES["full"].precisions_cholesky(covariance[np.newaxis])
    np.testing.assert_allclose(factor.T @ covariance @ factor, np.eye(n_features), atol=1e-5)
    # Entry by entry (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 14.2), on one of both sides.
    triangle = np.linalg.cholesky(covariance).T
    (inverse,) = inverses_of_triangles(triangle[np.newaxis])
    sides = (inverse, triangle), (triangle, inverse)
    errors = [np.abs(a @ b - np.eye(n_features)) / (np.abs(a) @ np.abs(b) + np.tri(n_features)) for a, b in sides]
    assert min(error.max() for error in errors) <= n_features * np.finfo(float).eps


def accurate(statistics, covariance_type, dtype=np.float64):
    moments = estimate_moments(statistics, COVARIANCE_TYPES[covariance_type], 1e-6, dtype)
    return is_accurate(moments, moments.covariances, COVARIANCE_TYPES[covariance_type], dtype)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_recentering_is_asked_for_when_digits_would_be_lost(covariance_type):
    X, resp = rows_and_resp()
    means = resp.T @ X / resp.sum(axis=0)[:, np.newaxis]
    near = statistics_of(X, resp, means + 1.0, covariance_type)
    far = statistics_of(X, resp, means + 1e4, covariance_type)
    assert accurate(near, covariance_type)
    assert not accurate(far, covariance_type)
    np.testing.assert_allclose(
        estimate_moments(far, COVARIANCE_TYPES[covariance_type], 1e-6).means, means, rtol=1e-9, atol=1e-9
    )


def test_float32_asks_for_it_earlier():
    X, resp = rows_and_resp()
    means = resp.T @ X / resp.sum(axis=0)[:, np.newaxis]
    statistics = statistics_of(X, resp, means + 20.0, "diag")
    assert accurate(statistics, "diag", np.float64)
    assert not accurate(statistics, "diag", np.float32)


BROKEN = {
    "full": np.array([np.eye(2), [[1.0, 2.0], [2.0, 1.0]], np.eye(2)]),
    "tied": np.array([[1.0, 2.0], [2.0, 1.0]]),
    "diag": np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
    "spherical": np.array([1.0, -1.0, 1.0]),
}


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("scale", [1.0, np.nan])
def test_ill_defined_covariance_names_the_component(covariance_type, scale):
    which = {"tied": "The shared covariance"}.get(covariance_type, "component 1 " if scale == 1.0 else "component 0 ")
    with pytest.raises(ValueError, match=f"ill-defined empirical covariance.*increase reg_covar.*{which}"):
        COVARIANCE_TYPES[covariance_type].precisions_cholesky(BROKEN[covariance_type] * scale)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_statistics_of_parts_add_up(covariance_type):
    X, resp = rows_and_resp()
    centers = X[:N_COMPONENTS]
    whole = statistics_of(X, resp, centers, covariance_type)
    total = SufficientStatistics.zeros(centers, whole.scatter.shape)
    total.merge(statistics_of(X[:20], resp[:20], centers, covariance_type))
    total.merge(statistics_of(X[20:], resp[20:], centers, covariance_type))
    np.testing.assert_allclose(total.nk, whole.nk, rtol=1e-14)
    np.testing.assert_allclose(total.sum_x, whole.sum_x, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(total.scatter, whole.scatter, rtol=1e-12, atol=1e-13)
    assert total.total_weight == whole.total_weight


def test_statistics_about_other_centers_are_refused():
    X, resp = rows_and_resp()
    statistics = statistics_of(X, resp, X[:N_COMPONENTS], "diag")
    with pytest.raises(ValueError, match="same centers"):
        statistics.merge(statistics_of(X, resp, X[1 : N_COMPONENTS + 1], "diag"))
