"""Questions asked of a fitted mixture, against the textbook's formulas one row and one component at a time."""

import numpy as np
import pytest
from _shared.cases import TYPES
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.exceptions import NotFittedError

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm.plotting import plot_components

pd = pytest.importorskip("pandas")

NAMES = ["a", "b", "c", "d"]
KNOWN, UNKNOWN = [3, 1], [0, 2]


def rows(n=400, dtype=np.float64):
    """Three correlated clusters of four features, far from the origin."""
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(n // 3, 4)) @ rng.normal(size=(4, 4)) + 4.0 * rng.normal(size=4) for _ in range(3)]
    return (100.0 + np.concatenate(parts)).astype(dtype)


def fitted(covariance_type="full", dtype=np.float64, kind=GaussianMixture, **parameters):
    mixture = kind(n_components=3, covariance_type=covariance_type, random_state=0, max_iter=20, tol=0.1, **parameters)
    return mixture.fit(rows(dtype=dtype))


def matrices_of(mixture):
    """Weights, means and covariance matrices, float64."""
    K, d = mixture.means_.shape
    spread = COVARIANCE_TYPES[mixture.covariance_type].spread(mixture.covariances_.astype(np.float64), K, d)
    matrices = spread if spread.ndim == 3 else np.array([np.diag(variances) for variances in spread])
    return mixture.weights_.astype(np.float64), mixture.means_.astype(np.float64), matrices


def conditional_of_row(mixture, known, values):
    """Weights, means and covariances of the other features given values of some (Bishop 2006, eqs. 2.81, 2.82)."""
    weights, means, matrices = matrices_of(mixture)
    unknown = [j for j in range(means.shape[1]) if j not in known]
    log_weights, found_means, found_matrices = [], [], []
    for weight, mean, matrix in zip(weights, means, matrices, strict=True):
        oo, mo = matrix[np.ix_(known, known)], matrix[np.ix_(unknown, known)]
        log_weights.append(np.log(weight) + multivariate_normal(mean[known], oo).logpdf(values))
        found_means.append(mean[unknown] + mo @ np.linalg.inv(oo) @ (values - mean[known]))
        found_matrices.append(matrix[np.ix_(unknown, unknown)] - mo @ np.linalg.inv(oo) @ mo.T)
    return np.exp(np.array(log_weights) - logsumexp(log_weights)), np.array(found_means), np.array(found_matrices)


def moments_of_row(mixture, known, values):
    weights, means, matrices = conditional_of_row(mixture, known, values)
    mean = weights @ means
    second = sum(w * (S + np.outer(m, m)) for w, m, S in zip(weights, means - mean, matrices, strict=True))
    return mean, second


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("kind", "covariance_type"),
    [*((GaussianMixture, name) for name in COVARIANCE_TYPES), *((BayesianGaussianMixture, name) for name in TYPES)],
)
def test_marginal_and_conditional_are_those_of_the_textbook(kind, covariance_type, dtype):
    mixture = fitted(covariance_type, dtype, kind)
    rtol = 1e-9 if dtype == np.float64 else 2e-3
    weights, _, matrices = matrices_of(mixture)
    marginal = mixture.marginal(KNOWN)
    assert marginal.means_.dtype == marginal.precisions_cholesky_.dtype == dtype
    np.testing.assert_allclose(marginal.weights_, weights, rtol=1e-6)
    np.testing.assert_array_equal(marginal.means_, mixture.means_[:, KNOWN])
    np.testing.assert_allclose(matrices_of(marginal)[2], matrices[:, np.array(KNOWN)[:, np.newaxis], KNOWN], rtol=rtol)

    values = rows()[7, KNOWN]
    conditional = mixture.condition(KNOWN, values)
    expected = conditional_of_row(mixture, KNOWN, values)
    for found, each in zip(matrices_of(conditional), expected, strict=True):
        np.testing.assert_allclose(found, each, rtol=rtol, atol=rtol)
    # Their covariance type allows these covariances, and their factors belong to them.
    structure = COVARIANCE_TYPES[conditional.covariance_type]
    same = structure.precisions_cholesky(conditional.covariances_.astype(np.float64))
    np.testing.assert_allclose(conditional.precisions_cholesky_, same, rtol=10 * rtol, atol=rtol)
    left_by_parts = ("EVI", "EVE", "VVE", "EEV", "VEV", "EVV")
    assert (conditional.covariance_type != covariance_type) == (covariance_type in left_by_parts)
    if structure.holds_for_parts and structure.kernel == "diag":  # its own M step finds the same ones
        spread = structure.spread(conditional.covariances_.astype(np.float64), 3, 2)
        np.testing.assert_allclose(structure.from_spread(spread, weights), conditional.covariances_, rtol=1e-4)


def test_answers_are_fitted_mixtures():
    frame = pd.DataFrame(rows(), columns=NAMES)
    mixture = GaussianMixture(3, covariance_type="VVV", random_state=0).fit(frame)
    left = mixture.condition(["d", "b"], frame.loc[7, ["d", "b"]])
    assert left.feature_names_in_.tolist() == ["a", "c"]
    assert left.covariance_type == "VVV"
    assert left.marginal("c").feature_names_in_.tolist() == ["c"]
    assert left.predict(frame[["a", "c"]]).shape == (len(frame),)
    assert left.sample(5)[0].shape == (5, 2)
    assert "2 features" not in str(left.summary())
    plot_components(left, frame[["a", "c"]])
    assert mixture.marginal(NAMES[::-1]).score(frame[NAMES[::-1]]) == pytest.approx(mixture.score(frame), rel=1e-12)
    # The density of all features is that of some times that of the others given these.
    row = frame.iloc[[7]]
    density = mixture.marginal(["d", "b"]).score(row[["d", "b"]]) + left.score(row[["a", "c"]])
    assert density == pytest.approx(mixture.score(row), rel=1e-10)
    with pytest.raises(ValueError, match="feature names should match"):
        left.predict(frame[["c", "a"]])


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-9), (np.float32, 1e-3)])
def test_regression_of_many_rows(covariance_type, dtype, rtol, monkeypatch):
    monkeypatch.setattr("fastgmm._estimator.conditional._BLOCK_ELEMENTS", 60)  # blocks of ten rows
    mixture = fitted(covariance_type, dtype)
    X = rows(60, dtype)[:, KNOWN]
    expected = [moments_of_row(mixture, KNOWN, row.astype(np.float64)) for row in X]
    mean, covariance = mixture.predict_conditional(KNOWN, X, return_cov=True)
    assert mean.dtype == covariance.dtype == dtype
    np.testing.assert_allclose(mean, [each[0] for each in expected], rtol=rtol)
    np.testing.assert_allclose(covariance, [each[1] for each in expected], rtol=rtol, atol=rtol)
    again, deviation = mixture.predict_conditional(KNOWN, X, return_std=True)
    np.testing.assert_array_equal(again, mean)
    np.testing.assert_array_equal(mixture.predict_conditional(KNOWN, X), mean)
    np.testing.assert_allclose(deviation**2, covariance.diagonal(axis1=1, axis2=2), rtol=10 * rtol)


def holes(X):
    """X with NaN in random places; a row without values and one without holes among them."""
    rng = np.random.default_rng(1)
    X = np.where(rng.random(X.shape) < 0.3, np.nan, X)
    X[0], X[1] = np.nan, np.arange(100.0, 104.0)
    return X


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_imputed_values_are_conditional_expectations(covariance_type):
    mixture = fitted(covariance_type)
    X = holes(rows(60))
    found = mixture.impute(pd.DataFrame(X).astype("Float64"))
    for row, filled in zip(X, found, strict=True):
        known = np.flatnonzero(~np.isnan(row)).tolist()
        if len(known) == 4:
            expected = []
        elif known:
            expected = moments_of_row(mixture, known, row[known])[0]
        else:
            expected = mixture.weights_ @ mixture.means_
        np.testing.assert_array_equal(filled[known], row[known])
        np.testing.assert_allclose(np.delete(filled, known), expected, rtol=1e-10)
    complete = rows(60)
    np.testing.assert_array_equal(mixture.impute(complete), complete)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_draws_have_the_moments_of_the_conditional_distribution(covariance_type):
    mixture = fitted(covariance_type)
    row = rows()[130]
    X = np.tile(row, (40_000, 1))
    X[:20_000, UNKNOWN] = np.nan
    X[20_000:] = np.nan
    draws = mixture.impute(X, draw=True, random_state=0)
    np.testing.assert_array_equal(draws, mixture.impute(X, draw=True, random_state=0))
    assert not np.array_equal(draws, mixture.impute(X, draw=True, random_state=1))
    mean, covariance = moments_of_row(mixture, KNOWN, row[KNOWN])
    some = draws[:20_000][:, UNKNOWN]
    error = np.sqrt(covariance.diagonal() / 20_000)
    assert (np.abs(some.mean(axis=0) - mean) < 4.0 * error).all()
    np.testing.assert_allclose(np.cov(some.T), covariance, rtol=0.1, atol=0.03 * covariance.max())
    weights, means, matrices = matrices_of(mixture)
    overall = weights @ means
    total = sum(w * (S + np.outer(m, m)) for w, m, S in zip(weights, means - overall, matrices, strict=True))
    np.testing.assert_allclose(np.cov(draws[20_000:].T), total, atol=0.03 * total.max())


def test_distribution_and_quantiles():
    mixture = fitted().marginal(2)
    weights, means, matrices = matrices_of(mixture)
    parts = norm(means[:, 0], np.sqrt(matrices[:, 0, 0]))
    x = np.linspace(80, 120, 12).reshape(3, 4)
    expected = np.array([weights @ parts.cdf(value) for value in x.ravel()]).reshape(3, 4)
    np.testing.assert_allclose(mixture.cdf(x), expected, rtol=1e-12)
    assert mixture.cdf(-np.inf) == 0.0
    assert mixture.cdf(np.inf) == 1.0
    q = np.array([1e-200, 1e-9, 0.05, 0.3, 0.5, 0.700001, 0.95, 1 - 1e-12])
    found = mixture.quantile(q)
    for share, value in zip(q, found, strict=True):
        tail, below = (parts.cdf, share) if share <= 0.5 else (parts.sf, 1.0 - share)
        with np.errstate(divide="ignore"):
            root = brentq(lambda v, f=tail, s=below: max(np.log(weights @ f(v)), -1e3) - np.log(s), -1e3, 1e3)
        assert value == pytest.approx(root, rel=1e-11)
    assert mixture.quantile([[0.0, 1.0]]).tolist() == [[-np.inf, np.inf]]
    assert mixture.quantile(0.5).shape == ()


def test_quantiles_between_far_and_narrow_components():
    """A flat distribution function between the components, and one of nearly a step."""
    start = {"weights_init": [0.3, 0.3, 0.4], "means_init": [[0.0], [1e6], [1e6 + 1.0]]}
    mixture = GaussianMixture(3, max_iter=0, precisions_init=[[[1.0]], [[1e12]], [[1e-4]]], **start)
    mixture.fit(np.arange(9.0).reshape(-1, 1))
    q = np.linspace(0.001, 0.999, 999)
    x = mixture.quantile(q)
    assert (np.diff(x) >= 0.0).all()
    np.testing.assert_allclose(mixture.cdf(x), q, atol=1e-4)  # 1e6 + 1e-6 has few digits


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m: m.marginal("e"), "features holds 'e', which is no feature of the mixture: pass numbers from 0 to 3"),
        (lambda m: m.marginal([0, 4]), "features holds 4"),
        (lambda m: m.marginal([0, 0]), "features must be 1 to 4 different features"),
        (lambda m: m.condition([0, 1, 2, 3], [1, 2, 3, 4]), "so none is left"),
        (lambda m: m.condition([0, 1], [1.0]), r"one number for each of the features \(2\), got the shape \(1,\)"),
        (lambda m: m.condition(0, [[1.0], [2.0]]), "predict_conditional takes many rows"),
        (lambda m: m.condition(0, np.nan), "values contains NaN"),
        (lambda m: m.condition(0, np.inf), "values contains infinity"),
        (lambda m: m.condition(0, "1.0"), "values contains strings"),
        (lambda m: m.predict_conditional([0, 1], [[1.0]]), "X has 1 features"),
        (lambda m: m.predict_conditional(0, [[np.nan]]), "Input X contains NaN"),
        (lambda m: m.predict_conditional(0, [[1.0]], return_std=True, return_cov=True), "not both"),
        (lambda m: m.impute([[np.nan, 1.0, np.inf, 2.0]]), "Input X contains infinity"),
        (lambda m: m.impute([[np.nan, 1.0]]), "X has 2 features"),
        (lambda m: m.impute([[np.nan] * 4], draw=3), "draw must be True or False"),
        (lambda m: m.impute([[np.nan] * 4], draw=True, random_state="x"), "'random_state' parameter of .*impute"),
        (lambda m: m.cdf(1.0), r"needs a mixture of one feature, and this one has 4: ask marginal\(feature\).cdf"),
        (lambda m: m.marginal(0).cdf([1.0, np.nan]), "x contains NaN. 1 value is NaN, in entry 1"),
        (lambda m: m.marginal(0).quantile(1.5), "q must hold probabilities from 0 to 1, got 1.5"),
        (lambda m: m.marginal(0).quantile(np.finfo(np.longdouble).max), "q must hold probabilities"),
    ],
)  # fmt: skip
def test_errors(ask, message):
    with pytest.raises(ValueError, match=message):
        ask(fitted())


def test_an_unfitted_mixture_answers_nothing():
    with pytest.raises(NotFittedError):
        GaussianMixture().marginal(0)
