"""How close statistics and fits are to those expected."""

import numpy as np
import pytest
from sklearn.mixture import BayesianGaussianMixture as SklearnBayesianGaussianMixture
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from _shared import oracle
from fastgmm import BayesianGaussianMixture, GaussianMixture

SKLEARN = {GaussianMixture: SklearnGaussianMixture, BayesianGaussianMixture: SklearnBayesianGaussianMixture}


def scatter_scale(scatter, covariance_type):
    """Square roots of the products of the diagonals: what bounds the sum of the absolute terms."""
    if covariance_type in ("diag", "spherical"):
        return scatter
    squares = np.diagonal(scatter, axis1=1, axis2=2)
    return np.sqrt(squares[:, :, np.newaxis] * squares[:, np.newaxis, :])


def expected_statistics(X, sample_weight, resp, centers, covariance_type):
    """nk, sum_x, scatter, and what bounds the absolute terms of sum_x."""
    nk, sum_x, scatter = oracle.statistics(X, sample_weight, resp, centers, covariance_type)
    _, _, squares = oracle.statistics(X, sample_weight, resp, centers, "diag")
    return nk, sum_x, scatter, np.sqrt(nk[:, np.newaxis] * squares)


def assert_statistics(actual, X, sample_weight, resp, covariance_type, tolerance, least_mass=0.0):
    """The statistics are those of the responsibilities, about the centers that they name."""
    expected = expected_statistics(X, sample_weight, resp, actual.centers, covariance_type)
    assert_equal_statistics(actual, X, sample_weight, expected, covariance_type, tolerance, least_mass)


def assert_equal_statistics(actual, X, sample_weight, expected, covariance_type, tolerance, least_mass=0.0):
    """Each relative to what it is a sum of; of components with less than ``least_mass`` relative to the largest."""
    nk, sum_x, scatter, sum_x_scale = expected
    held = np.flatnonzero(nk >= least_mass)
    assert len(held)
    assert oracle.relative_error(actual.nk, nk, nk.max()) < tolerance
    assert oracle.relative_error(actual.nk[held], nk[held]) < tolerance
    assert oracle.relative_error(actual.sum_x[held], sum_x[held], sum_x_scale[held]) < tolerance
    sums, expected_sums, scale = actual.scatter, scatter, scatter_scale(scatter, covariance_type)
    if covariance_type != "tied":
        sums, expected_sums, scale = sums[held], expected_sums[held], scale[held]
    assert oracle.relative_error(sums, expected_sums, scale) < tolerance
    assert actual.total_weight == pytest.approx(float(oracle.weights_of(X, sample_weight).sum()), rel=1e-14)
    assert actual.nk.dtype == actual.sum_x.dtype == actual.scatter.dtype == np.float64
    if covariance_type in ("full", "tied"):
        np.testing.assert_array_equal(actual.scatter, actual.scatter.transpose(0, 2, 1))


def assert_bitwise_equal(actual, expected):
    np.testing.assert_array_equal(actual.nk, expected.nk)
    np.testing.assert_array_equal(actual.sum_x, expected.sum_x)
    np.testing.assert_array_equal(actual.scatter, expected.scatter)
    assert actual.log_likelihood == expected.log_likelihood


def assert_close(actual, expected, tolerance):
    """Statistics, each relative to what it is a sum of."""
    weight, K = expected.total_weight, len(expected.nk)
    squares = expected.scatter if expected.scatter.ndim == 2 else np.einsum("kjj->kj", expected.scatter)
    scale = expected.scatter if expected.scatter.ndim == 2 else np.sqrt(np.einsum("kj,kl->kjl", squares, squares))
    all_squares = np.broadcast_to(squares, (K, squares.shape[1])) if len(squares) == 1 else squares
    assert actual.log_likelihood == pytest.approx(expected.log_likelihood, rel=tolerance)
    assert abs(actual.entropy - expected.entropy) <= tolerance * (weight + expected.entropy)
    held = expected.nk > 1e-6 * weight / K
    assert np.abs(actual.nk - expected.nk)[held].max() <= tolerance * expected.nk.max()
    assert oracle.relative_error(actual.nk[held], expected.nk[held]) < tolerance
    sum_scale = np.sqrt(expected.nk[:, np.newaxis] * all_squares)
    assert oracle.relative_error(actual.sum_x[held], expected.sum_x[held], sum_scale[held]) < tolerance
    if len(squares) == K:
        assert oracle.relative_error(actual.scatter[held], expected.scatter[held], scale[held]) < tolerance
    else:
        assert oracle.relative_error(actual.scatter, expected.scatter, scale) < tolerance


def fit_both(X, estimator=GaussianMixture, **parameters):
    """Ours and scikit-learn's."""
    return estimator(**parameters).fit(X), SKLEARN[estimator](**parameters).fit(X)


def fitted_values(estimator):
    """All fitted attributes that hold parameters, by name."""
    of_the_run = ("lower_bound_", "lower_bounds_", "n_iter_", "converged_", "n_samples_seen_")
    of_the_data = ("n_features_in_", "feature_names_in_")
    return {
        name: value
        for name, value in vars(estimator).items()
        if name.endswith("_") and not name.startswith("_") and name not in of_the_run + of_the_data
    }


def assert_same_fit(ours, theirs, rtol=1e-8):
    actual, expected = fitted_values(ours), fitted_values(theirs)
    assert actual.keys() == expected.keys()
    for name in expected:
        assert type(actual[name]) is type(expected[name]) or np.ndim(expected[name]) == 0, name
        assert np.shape(actual[name]) == np.shape(expected[name]), name
        atol = rtol * np.abs(expected[name]).max()
        np.testing.assert_allclose(actual[name], expected[name], rtol=rtol, atol=atol, err_msg=name)
    # Of a tied covariance scikit-learn's variational bound is an array of one number.
    np.testing.assert_allclose(ours.lower_bound_, np.squeeze(theirs.lower_bound_), rtol=rtol)
    if hasattr(theirs, "lower_bounds_"):  # since scikit-learn 1.7
        bounds = np.reshape(theirs.lower_bounds_, theirs.n_iter_)
        np.testing.assert_allclose(ours.lower_bounds_, bounds, rtol=rtol)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.converged_ == theirs.converged_
