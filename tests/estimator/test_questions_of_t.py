"""Questions asked of a mixture of t distributions: identities of densities, SciPy, and numerical integration."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import kstest, multivariate_t, t

from fastgmm import StudentTMixture
from fastgmm._model.covariance import COVARIANCE_TYPES

KNOWN, UNKNOWN = [3, 1], [0, 2]


def rows(n=450, dtype=np.float64):
    """Three correlated clusters of four features with 3, 5 and 12 degrees of freedom, far from the origin."""
    rng = np.random.default_rng(0)
    parts = []
    for nu in (3, 5, 12):
        u = rng.chisquare(nu, (n // 3, 1)) / nu
        parts.append(rng.normal(size=(n // 3, 4)) @ rng.normal(size=(4, 4)) / np.sqrt(u) + 4.0 * rng.normal(size=4))
    return (100.0 + np.concatenate(parts)).astype(dtype)


def fitted(covariance_type="full", dtype=np.float64, **parameters):
    mixture = StudentTMixture(3, covariance_type=covariance_type, random_state=0, max_iter=20, tol=0.1, **parameters)
    return mixture.fit(rows(dtype=dtype))


def matrices_of(mixture):
    K, d = mixture.means_.shape
    spread = COVARIANCE_TYPES[mixture.covariance_type].spread(mixture.scales_.astype(np.float64), K, d)
    return spread if spread.ndim == 3 else np.array([np.diag(scales) for scales in spread])


def moments_of(mixture):
    """Mean and covariance of a mixture."""
    nu, weights = mixture.degrees_of_freedom_.astype(float), mixture.weights_.astype(float)
    mean = weights @ mixture.means_
    apart = mixture.means_ - mean
    matrices = (nu / (nu - 2.0))[:, np.newaxis, np.newaxis] * matrices_of(mixture)
    return mean, np.einsum("k,kij->ij", weights, matrices + apart[:, :, np.newaxis] * apart[:, np.newaxis])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_the_density_is_that_of_some_features_times_that_of_the_others(covariance_type, dtype):
    mixture, X = fitted(covariance_type, dtype), rows(dtype=dtype)[::15]
    rtol = 1e-9 if dtype == np.float64 else 1e-3
    marginal = mixture.marginal(KNOWN)
    assert isinstance(marginal, StudentTMixture)
    parts = [
        np.log(weight) + multivariate_t(mean, matrix, nu).logpdf(X[:, KNOWN])
        for weight, mean, matrix, nu in zip(
            mixture.weights_, mixture.means_[:, KNOWN], matrices_of(mixture)[:, np.array(KNOWN)[:, np.newaxis], KNOWN],
            mixture.degrees_of_freedom_, strict=True,
        )
    ]  # fmt: skip
    np.testing.assert_allclose(marginal.score_samples(X[:, KNOWN]), logsumexp(parts, axis=0), rtol=rtol)
    for row in X[::6]:
        left = mixture.condition(KNOWN, row[KNOWN])
        given = np.tile(row, (len(X), 1))
        given[:, UNKNOWN] = X[:, UNKNOWN]
        expected = mixture.score_samples(given) - marginal.score_samples(row[np.newaxis, KNOWN])
        np.testing.assert_allclose(left.score_samples(X[:, UNKNOWN]), expected, rtol=10 * rtol)
        np.testing.assert_allclose(left.degrees_of_freedom_, mixture.degrees_of_freedom_ + 2.0, rtol=1e-6)
        structure = COVARIANCE_TYPES[left.covariance_type]
        spread = structure.spread(left.scales_.astype(np.float64), 3, 2)
        assert len(np.unique(np.linalg.det(spread) if spread.ndim == 3 else spread.prod(axis=1))) == 3


def test_regression_is_the_integral_over_the_density():
    mixture, X = fitted(), rows()[::90]
    mean, deviation = mixture.predict_conditional([0, 1, 2], X[:, :3], return_std=True)
    s = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 20_003)[1:-1]  # x = center + 2 tan s
    for row, found, spread in zip(X, mean[:, 0], deviation[:, 0], strict=True):
        points = np.tile(row, (len(s), 1))
        points[:, 3] = found + 2.0 * np.tan(s)
        density = np.exp(mixture.score_samples(points)) / np.cos(s) ** 2
        x, density = points[:, 3], density / density.sum()
        assert found == pytest.approx(density @ x, rel=1e-9)
        assert spread == pytest.approx(np.sqrt(density @ (x - found) ** 2), rel=1e-5)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_many_rows_are_answered_as_one_by_one(covariance_type, monkeypatch):
    monkeypatch.setattr("fastgmm._estimator.conditional._BLOCK_ELEMENTS", 60)  # blocks of ten rows
    mixture, X = fitted(covariance_type), rows()[::10]
    mean, covariance = mixture.predict_conditional(KNOWN, X[:, KNOWN], return_cov=True)
    expected = [moments_of(mixture.condition(KNOWN, row[KNOWN])) for row in X]
    np.testing.assert_allclose(mean, [each[0] for each in expected], rtol=1e-9)
    np.testing.assert_allclose(covariance, [each[1] for each in expected], rtol=1e-9, atol=1e-9)
    with_holes = X.copy()
    with_holes[:, UNKNOWN], with_holes[0] = np.nan, np.nan
    filled = mixture.impute(with_holes)
    np.testing.assert_allclose(filled[1:, UNKNOWN], mean[1:], rtol=1e-12)
    np.testing.assert_allclose(filled[0], mixture.weights_ @ mixture.means_)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_draws_have_the_conditional_distribution(covariance_type):
    mixture, row = fitted(covariance_type), rows()[140]
    X = np.tile(row, (2_000, 1))
    X[:, UNKNOWN] = np.nan
    draws = mixture.impute(X, draw=True, random_state=0)
    left = mixture.condition(KNOWN, row[KNOWN])
    for j, feature in enumerate(UNKNOWN):
        assert kstest(draws[:, feature], left.marginal(j).cdf).pvalue > 1e-3
    everything = mixture.impute(np.full((2_000, 4), np.nan), draw=True, random_state=0)
    assert kstest(everything[:, 2], mixture.marginal(2).cdf).pvalue > 1e-3


def test_distribution_and_quantiles():
    mixture = fitted(degrees_of_freedom=1.5).marginal(2)
    assert mixture.degrees_of_freedom == 1.5
    weights = mixture.weights_
    parts = t(mixture.degrees_of_freedom_, mixture.means_[:, 0], np.sqrt(mixture.scales_[:, 0, 0]))
    x = np.linspace(80, 120, 12).reshape(3, 4)
    np.testing.assert_allclose(mixture.cdf(x), parts.cdf(x[..., np.newaxis]) @ weights, rtol=1e-12)
    q = np.array([1e-150, 1e-60, 1e-9, 0.05, 0.3, 0.5, 0.700001, 0.95, 1 - 1e-12])
    for share, value in zip(q, mixture.quantile(q), strict=True):
        tail, below, sign = (parts.cdf, share, -1.0) if share <= 0.5 else (parts.sf, 1.0 - share, 1.0)
        root = brentq(lambda v, f=tail, s=below, z=sign: np.log(weights @ f(100 + z * np.sinh(v))) - np.log(s), -9, 300)
        assert value == pytest.approx(100 + sign * np.sinh(root), rel=1e-9)
    assert mixture.quantile([[0.0, 1.0]]).tolist() == [[-np.inf, np.inf]]


def test_without_finite_variances_there_are_means_only():
    mixture = fitted(degrees_of_freedom=0.5)
    one = mixture.predict_conditional(0, rows()[:5, :1])
    assert np.isfinite(one).all()
    for ask in ({"return_std": True}, {"return_cov": True}):
        with pytest.raises(
            ValueError, match=r"Component 0 has 1.5 degrees of freedom given these features.*means only"
        ):
            mixture.predict_conditional(0, rows()[:5, :1], **ask)
    assert np.isfinite(mixture.predict_conditional([0, 1], rows()[:5, :2], return_std=True)[1]).all()


def test_answers_are_fitted_mixtures():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(rows(), columns=list("abcd"))
    mixture = StudentTMixture(3, covariance_type="EEE", degrees_of_freedom="common", random_state=0).fit(frame)
    left = mixture.condition(["d", "b"], frame.loc[7, ["d", "b"]])
    assert left.feature_names_in_.tolist() == ["a", "c"]
    assert (left.covariance_type, left.degrees_of_freedom) == ("full", "common")
    assert mixture.marginal("a").covariance_type == "EEE"
    assert left.predict(frame[["a", "c"]]).shape == (len(frame),)
    assert left.sample(5)[0].shape == (5, 2)
    assert "d.o.f." in str(left.summary())
    assert left.fit(frame[["a", "c"]]).converged_ in (True, False)
