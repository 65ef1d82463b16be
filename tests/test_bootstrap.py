"""The bootstrap against R's mclust, and against its definition."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC
from fastgmm._bootstrap.matching import matched
from fastgmm.batches import from_array
from fastgmm.bootstrap import likelihood_ratio_test, parameter_uncertainty
from fastgmm.datasets import load_old_faithful

X = load_old_faithful()
TIGHT = {"tol": 1e-7, "max_iter": 2000, "reg_covar": 0.0, "random_state": 0}


def from_optimum_of_mclust(X, n_components, random_state):
    """Responsibilities under the three components that mclust finds for Old Faithful. There are better ones."""
    if n_components < 3:
        return (X[:, 1] > 68).astype(int) * (n_components - 1)
    weights = [0.122683, 0.355825, 0.521492]
    means = [[4.126443, 86.341567], [2.036284, 54.477399], [4.327924, 78.467157]]
    covariances = [
        [[0.1798085, 1.278687], [1.278687, 19.301665]],
        [[0.06909378, 0.4344771], [0.4344771, 33.6931251]],
        [[0.1601084, 1.165397], [1.165397, 28.199773]],
    ]
    parts = zip(weights, means, covariances, strict=True)
    densities = np.array([w * multivariate_normal(mean, covariance).pdf(X) for w, mean, covariance in parts]).T
    return densities / densities.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("model", "n_components", "statistic", "p_value"),
    [("VVV", 1, 319.065, 0.001), ("VVV", 2, 6.385, 0.784), ("EEE", 2, 27.721, 0.001)],
)
def test_p_values_are_those_of_mclust(model, n_components, statistic, p_value):
    """R: mclustBootstrapLRT(faithful, modelName = model, nboot = 499, control = emControl(tol = 1e-9)), mclust 6.0.0.

    With its default tolerance mclust ends early, at a statistic of 6.13 and p = 0.58 for three components.
    """
    start = from_optimum_of_mclust if model == "VVV" else "kmeans"
    gmm = GaussianMixture(n_components, covariance_type=model, init_params=start, **TIGHT).fit(X)
    test = likelihood_ratio_test(gmm, X, n_bootstrap=59, random_state=0)
    assert test.statistic == pytest.approx(statistic, abs=0.03)
    error = np.sqrt(p_value * (1 - p_value) * (1 / 59 + 1 / 499))
    assert abs(test.p_value - p_value) < 3 * error + 1 / 60
    assert test.p_value == (1 + (test.bootstrap_statistics >= test.statistic).sum()) / 60


def test_standard_errors_are_those_of_mclust():
    """R: MclustBootstrap(Mclust(faithful, G = 2, modelNames = "VVV"), nboot = 999, type = "wlbs") of mclust 6.0.0."""
    gmm = GaussianMixture(2, means_init=[[4.3, 80], [2, 54]], **TIGHT).fit(X)
    found = parameter_uncertainty(gmm, X, n_bootstrap=600, random_state=0)
    errors = found.standard_errors
    np.testing.assert_allclose(errors.weights, [0.0298, 0.0298], rtol=0.15)
    np.testing.assert_allclose(errors.means, [[0.0332, 0.4837], [0.0283, 0.6017]], rtol=0.15)
    expected = [[[0.0199, 0.2828], [0.2828, 4.5686]], [[0.0143, 0.1694], [0.1694, 4.2659]]]
    np.testing.assert_allclose(errors.covariances, expected, rtol=0.15)
    low, high = found.interval()
    np.testing.assert_allclose(low.means, [[4.2146, 79.041], [1.9835, 53.373]], rtol=5e-3)
    np.testing.assert_allclose(high.means, [[4.3466, 80.876], [2.0940, 55.672]], rtol=5e-3)
    np.testing.assert_array_equal(low.weights, np.quantile(found.weights, 0.025, axis=0))


def test_for_one_component_the_errors_are_those_of_theory():
    """The mean of rows with Dirichlet weights has the variance S / (n + 1)."""
    found = parameter_uncertainty(GaussianMixture(1).fit(X), X, n_bootstrap=800, random_state=0)
    expected = np.sqrt(np.diag(np.cov(X.T, bias=True)) / (len(X) + 1))
    np.testing.assert_allclose(found.standard_errors.means[0], expected, rtol=0.1)
    assert (found.weights == 1.0).all()


def test_weights_count_rows():
    counts = np.random.default_rng(0).integers(0, 3, len(X))
    gmm = GaussianMixture(2, random_state=0).fit(X, sample_weight=counts)
    found = parameter_uncertainty(gmm, X, counts, n_bootstrap=3, random_state=0)
    kept = counts > 0
    draws = counts[kept] * np.random.RandomState(0).standard_exponential((3, kept.sum()))
    for b in range(3):
        start = {"weights_init": gmm.weights_, "means_init": gmm.means_, "precisions_init": gmm.precisions_}
        refit = GaussianMixture(2, tol=1e-8, max_iter=1000, **start).fit(X[kept], sample_weight=draws[b])
        np.testing.assert_allclose(found.means[b], refit.means_, rtol=1e-3)


def test_components_are_matched():
    """The same components in another order; two of them differ in their covariances only."""
    means = np.array([[0.0, 0.0], [0.0, 0.0], [5.0, 1.0]])
    spread = np.array([0.1, 4.0, 1.0])[:, np.newaxis, np.newaxis] * np.eye(2)
    order = np.array([2, 0, 1])
    found = matched(means, spread, means[order] + 0.1, 1.2 * spread[order])
    np.testing.assert_array_equal(order[found], np.arange(3))


@pytest.mark.parametrize("covariance_type", ["tied", "spherical", "VEV", "EVE"])
def test_covariance_types_priors_and_searches(covariance_type):
    search = GaussianMixtureIC(
        2, covariance_type=covariance_type, prior="weak", reg_covar=0, init_params="k-means++", random_state=0
    ).fit(X)
    found = parameter_uncertainty(search, X, n_bootstrap=3, random_state=0)
    assert found.covariances.shape == (3, *search.best_estimator_.covariances_.shape)
    again = parameter_uncertainty(clone(search).fit(X), X, n_bootstrap=3, random_state=0)
    np.testing.assert_array_equal(found.means, again.means)
    test = likelihood_ratio_test(search, X, n_bootstrap=2, random_state=0)
    assert test.alternative.n_components == 3
    assert test.alternative.prior == "weak"
    assert str(test).startswith(f"2 against 3 components, covariance type {covariance_type!r}: statistic")


def test_a_callback_sees_the_runs_and_ends_them():
    gmm = GaussianMixture(2, random_state=0).fit(X)
    runs = []

    def stop(progress):
        runs.append((progress.run, progress.n_runs))
        if progress.run == 4:
            raise StopIteration

    assert len(parameter_uncertainty(gmm, X, n_bootstrap=9, random_state=0, callback=stop).weights) == 3
    assert sorted(set(runs)) == [(run, 9) for run in range(1, 5)]
    assert len(likelihood_ratio_test(gmm, X, n_bootstrap=9, random_state=0, callback=stop).bootstrap_statistics) == 3


def test_what_is_not_usable_is_refused():
    gmm = GaussianMixture(2, random_state=0).fit(X)
    for function in (likelihood_ratio_test, parameter_uncertainty):
        with pytest.raises(TypeError, match=r"needs a fastgmm\.GaussianMixture"):
            function(BayesianGaussianMixture().fit(X), X)
        with pytest.raises(TypeError, match="needs rows in memory, got ArrayBatches"):
            function(gmm, from_array(X, batch_rows=50))
        with pytest.raises(NotFittedError):
            function(GaussianMixture(2), X)
        with pytest.raises(ValueError, match="n_bootstrap must be an int"):
            function(gmm, X, n_bootstrap=0)
        with pytest.raises(ValueError, match="'random_state' parameter must be"):
            function(gmm, X, random_state=-1)
    fixed = GaussianMixture(2, means_init=[[2, 54], [4, 80]], fixed="means").fit(X)
    with pytest.raises(ValueError, match="does not work with fixed='means'"):
        likelihood_ratio_test(fixed, X)
    assert (parameter_uncertainty(fixed, X, n_bootstrap=2).means == fixed.means_).all()
    noisy = GaussianMixture(2, noise=True, random_state=0).fit(X)
    with pytest.raises(ValueError, match="does not work with noise=True"):
        likelihood_ratio_test(noisy, X)
    assert (parameter_uncertainty(noisy, X, n_bootstrap=2).weights.sum(axis=1) < 1.0).all()
    holes = np.where(X > 90, np.nan, X)
    incomplete = GaussianMixture(2, missing="marginalize", random_state=0).fit(holes)
    with pytest.raises(ValueError, match="does not work with missing values"):
        likelihood_ratio_test(incomplete, holes)
    assert parameter_uncertainty(incomplete, holes, n_bootstrap=2).means.shape == (2, 2, 2)
    with pytest.raises(ValueError, match="level must be a number between 0 and 1"):
        parameter_uncertainty(gmm, X, n_bootstrap=2).interval(95)
