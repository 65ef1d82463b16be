"""Diagnosis and merging of components, against sums written out row by row, known alternatives and R's clustCombi."""

import numpy as np
import pytest
from scipy.special import xlogy
from scipy.stats import f
from sklearn.datasets import load_iris, make_moons
from sklearn.exceptions import NotFittedError

from fastgmm import BayesianGaussianMixture, GaussianMixture, StudentTMixture
from fastgmm._estimator import goodness
from fastgmm._estimator.goodness import Goodness
from fastgmm._model.conditional import Mixture
from fastgmm.batches import from_array

RNG = np.random.default_rng


def two(second, n=1500):
    """A Gaussian cluster, and n rows of another kind far from it."""
    return np.concatenate([RNG(0).normal(size=(1500, 2)), second(RNG(1), n) + np.array([20.0, 0.0])])


def fitted(X, covariance_type="full", n_components=2):
    return GaussianMixture(n_components, covariance_type=covariance_type, random_state=0, tol=1e-5).fit(X)


def kinds(mixture, X, component):
    return {finding.kind for finding in mixture.diagnose(X).findings if component in finding.components}


@pytest.mark.parametrize("variances", [False, True])
def test_sums_are_those_over_rows(variances, monkeypatch):
    monkeypatch.setattr(goodness, "_BLOCK_ROWS", 30)
    rng = RNG(0)
    X, weights = rng.normal(size=(100, 3)), rng.uniform(1, 2, 100)
    covariances = np.array([np.diag([1.0, 2.0, 3.0]), [[2.0, 0.5, 0.3], [0.5, 1.0, 0.2], [0.3, 0.2, 1.5]]])
    if variances:
        covariances[1] = np.diag(covariances[1].diagonal())
    given = covariances.diagonal(axis1=1, axis2=2).copy() if variances else covariances
    mixture = Mixture(np.array([0.3, 0.7]), rng.normal(size=(2, 3)), given)
    sums = Goodness.zeros(2, 3)
    sums.add(X, weights, mixture, None)
    z, log_joint = [], []
    for weight, mean, covariance in zip(mixture.weights, mixture.means, covariances, strict=True):
        z.append(np.linalg.solve(np.linalg.cholesky(covariance), (X - mean).T).T)
        log_joint.append(np.log(weight) - 0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * (z[-1] ** 2).sum(axis=1))
    resp = np.exp(log_joint) / np.exp(log_joint).sum(axis=0)
    for k in range(2):
        r, squared = weights * resp[k], (z[k] ** 2).sum(axis=1)
        y = z[k] * (squared - 5.0)[:, np.newaxis]
        expected = {
            "mass": r.sum(),
            "squared_mass": (r**2).sum(),
            "first": r @ z[k],
            "second": np.einsum("i,ij,il->jl", r, z[k], z[k]),
            "third": (r * squared) @ z[k],
            "fourth": r @ squared**2,
            "sixth": np.einsum("i,ij,il->jl", r, y, y),
            "shared": [(weights * resp[k] * each).sum() for each in resp],
        }
        for name, value in expected.items():
            np.testing.assert_allclose(getattr(sums, name)[k], value, rtol=1e-8, atol=1e-8, err_msg=name)
        for share in (0.1, 0.5, 0.9):  # of the mass, within a distance; a bin is narrow
            distance = sums.quantiles(k, np.array([share]))[0]
            assert r[squared <= distance * 1.01].sum() >= share * r.sum() - 1e-9
            assert r[squared <= distance * 0.98].sum() <= share * r.sum() + 1e-9


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_gaussian_clusters_have_no_findings(covariance_type):
    X = two(lambda rng, n: rng.normal(size=(n, 2)))
    diagnosis = fitted(X, covariance_type).diagnose(X)
    assert diagnosis.findings == ()
    assert diagnosis.misfit < 3.0 * diagnosis.misfit_by_chance
    assert "none of which fails" in str(diagnosis)


def test_few_rows_of_many_features_are_compared_with_the_beta_distribution():
    X = RNG(0).normal(size=(80, 10))
    diagnosis = fitted(X, n_components=1).diagnose(X)
    assert diagnosis.findings == ()
    assert diagnosis.misfits[0] < 0.13  # 0.22 from chi-square


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        (lambda rng, n: rng.standard_t(5, size=(n, 2)), "heavy tails"),
        (lambda rng, n: rng.uniform(-1, 1, size=(n, 2)), "light tails"),
        (lambda rng, n: np.column_stack([rng.gamma(2, size=n), rng.normal(size=n)]), "skew"),
    ],
)
def test_the_component_that_fails_is_found_with_its_kind(second, kind):
    X = two(second)
    mixture = fitted(X)
    failing = int(mixture.means_[:, 0].argmax())
    assert kinds(mixture, X, failing) == {kind}
    assert kinds(mixture, X, 1 - failing) == set()
    diagnosis = mixture.diagnose(X)
    assert diagnosis.to_frame().loc[failing, "fails"] == kind
    assert f"Component {failing}" in str(diagnosis)
    if kind == "skew":
        assert "large values of 'feature 0'" in diagnosis.findings[0].text
        assert diagnosis.skewness[failing] == pytest.approx(np.sqrt(2.0), abs=0.3)


def test_t_distributions_are_compared_with_their_own_tails():
    X = two(lambda rng, n: rng.normal(size=(n, 2)) / np.sqrt(rng.chisquare(3, (n, 1)) / 3))
    mixture = StudentTMixture(2, random_state=0, tol=1e-6, max_iter=2000).fit(X)
    diagnosis = mixture.diagnose(X)
    assert diagnosis.findings == ()
    assert diagnosis.misfit < 3.0 * diagnosis.misfit_by_chance
    heavy = int(mixture.means_[:, 0].argmax())
    own = np.linalg.norm((X - mixture.means_[heavy]) @ mixture.precisions_cholesky_[heavy], axis=1) ** 2
    resp = mixture.predict_proba(X)[:, heavy]
    order = np.argsort(own)
    observed = np.cumsum(resp[order]) / resp.sum()
    expected = f(2, mixture.degrees_of_freedom_[heavy]).cdf(own[order] / 2)
    assert diagnosis.misfits[heavy] == pytest.approx(np.abs(observed - expected).max(), abs=2e-3)
    others = StudentTMixture(2, degrees_of_freedom=30.0, random_state=0, tol=1e-6, max_iter=2000).fit(X)
    heavy = int(others.means_[:, 0].argmax())
    assert "heavy tails" in kinds(others, X, heavy)
    finding = next(each for each in others.diagnose(X).findings if each.kind == "heavy tails")
    assert "beside a t distribution with 30 degrees of freedom" in finding.text
    assert "StudentTMixture" not in finding.advice
    assert "light tails" in kinds(StudentTMixture(2, degrees_of_freedom=2.0, random_state=0).fit(X), X, 1 - heavy)
    merged = StudentTMixture(6, random_state=0).fit(X).merge_components(X)
    labels = merged.predict(X, 2)
    assert len(np.unique(labels[:1500])) == 1


def test_other_failures():
    different = two(lambda rng, n: 3.0 * rng.normal(size=(n, 2)))
    mixture = fitted(different, "tied")
    assert kinds(mixture, different, 0) == kinds(mixture, different, 1) == {"covariance"}
    # What a row would gain is what a fit with free covariances gains.
    diagnosis, free = mixture.diagnose(different), fitted(different)
    gain = diagnosis.rows @ diagnosis.losses / diagnosis.rows.sum()
    assert gain == pytest.approx(free.score(different) - mixture.score(different), rel=0.05)
    one = RNG(0).normal(size=(1000, 2))
    assert "overlap" in kinds(GaussianMixture(2, random_state=0).fit(one), one, 0)
    few = np.concatenate([one, [[30.0, 0.0], [30.0, 1.0], [31.0, 0.0], [31.0, 1.5]]])
    few_rows = fitted(few).diagnose(few)
    assert sorted(few_rows.is_judged) == [False, True]
    assert "too few rows" in str(few_rows)


def test_batches_weights_and_bayesian_mixtures():
    X = two(lambda rng, n: rng.standard_t(5, size=(n, 2)))
    mixture = fitted(X)
    whole = mixture.diagnose(X)
    np.testing.assert_allclose(mixture.diagnose(from_array(X, batch_rows=777)).misfits, whole.misfits, rtol=1e-10)
    for factor in (2.0, 1e200, 1e-200):
        times = mixture.diagnose(from_array(X, np.full(len(X), factor), batch_rows=777))
        np.testing.assert_allclose(times.excess_kurtosis, whole.excess_kurtosis, atol=1e-9)
        np.testing.assert_allclose(times.rows, factor * whole.rows)
        assert times.misfit == pytest.approx(whole.misfit)
        assert times.misfit_by_chance == pytest.approx(whole.misfit_by_chance)
    # Weights and batches of the merging as well.
    entropies = mixture.merge_components(X).entropies
    np.testing.assert_allclose(mixture.merge_components(from_array(X, batch_rows=777)).entropies, entropies)
    np.testing.assert_allclose(mixture.merge_components(X, np.full(len(X), 2.0)).entropies, 2.0 * entropies)
    bayesian = BayesianGaussianMixture(n_components=2, random_state=0, tol=0.1).fit(X)
    assert kinds(bayesian, X, int(bayesian.means_[:, 0].argmax())) == {"heavy tails"}
    with pytest.raises(NotFittedError):
        GaussianMixture().diagnose(X)
    with pytest.raises(ValueError, match="X has 1 features"):
        mixture.merge_components(X[:, :1])
    for far in (1e60, 1e300):  # powers of the distance exceed float64
        with pytest.raises(ValueError, match=r"X holds rows that are 1e\+40 standard deviations or more from the mean"):
            mixture.diagnose(np.concatenate([X, [[far, -far]]]))


def test_with_noise_and_missing_values():
    """The background takes its rows, so that the components are found to be Gaussian."""
    clutter = RNG(2).uniform(-30, 50, size=(150, 2))
    X = np.concatenate([two(lambda rng, n: rng.normal(size=(n, 2))), clutter])
    assert fitted(X).diagnose(X).findings
    mixture = GaussianMixture(2, noise=True, random_state=0).fit(X)
    assert not mixture.diagnose(X).findings
    with pytest.raises(ValueError, match="All rows of X belong to the background"):
        mixture.diagnose([[1e6, 1e6]])
    for ask in (mixture.merge_components, mixture.impute):
        with pytest.raises(ValueError, match="does not know the uniform background"):
            ask(X)
    holes = X.copy()
    holes[0, 0] = np.nan
    mixture = GaussianMixture(2, missing="marginalize", random_state=0).fit(holes)
    with pytest.raises(ValueError, match="diagnose takes complete rows only"):
        mixture.diagnose(holes)
    without_value = np.concatenate([holes, np.full((9, 2), np.nan)])  # such rows count for nothing
    with pytest.warns(UserWarning, match="9 rows without any value"):
        entropies = mixture.merge_components(without_value).entropies
    np.testing.assert_allclose(entropies, mixture.merge_components(holes).entropies)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        mixture.predict_conditional(0, holes[:, :1])
    assert mixture.marginal([1, 0]).predict(holes[:, ::-1]).shape == (len(X),)
    assert np.isfinite(mixture.impute(holes)).all()
    assert np.isfinite(mixture.merge_components(holes).entropies).all()


# Merging -------------------------------------------------------------------------------------------------------------


def entropy(resp):
    return -xlogy(resp, resp).sum()


def merged_columns(resp, a, b):
    """The sum of columns a < b in the place of a."""
    return np.delete(np.insert(resp, a, resp[:, a] + resp[:, b], axis=1), [a + 1, b + 1], axis=1)


def test_each_merge_lowers_the_entropy_most():
    X, truth = make_moons(1000, noise=0.06, random_state=0)
    mixture = fitted(X, n_components=8)
    merged = mixture.merge_components(X)
    resp = mixture.predict_proba(X)
    for n in range(8, 0, -1):
        assert merged.entropies[n - 1] == pytest.approx(entropy(resp), abs=1e-9)
        clusters = merged.clusters(n)
        assert clusters.max() + 1 == n
        np.testing.assert_allclose(merged.predict_proba(X, n), resp, atol=1e-12)
        pairs = [(a, b) for b in range(n) for a in range(b)]
        after = [
            np.delete(np.insert(resp, a, resp[:, a] + resp[:, b], axis=1), [a + 1, b + 1], axis=1) for a, b in pairs
        ]
        resp = min(after, key=entropy) if pairs else resp
    assert merged.n_clusters == 2
    labels = merged.predict(X)
    assert np.mean(labels == truth) in (0.0, 1.0)
    heights = merged.tree[:, 2]
    assert (np.diff(heights) >= 0.0).all()
    assert merged.tree[-1, 3] == 8
    for n in (0, 9, True, 2.0):
        with pytest.raises(ValueError, match="n_clusters must be an int from 1 to 8"):
            merged.clusters(n)


def test_entropies_are_those_of_clust_combi():
    """Those that clustCombi of R's mclust 6 finds from the same responsibilities of five components of iris."""
    X = load_iris().data
    merged = GaussianMixture(5, random_state=0).fit(X).merge_components(X)
    np.testing.assert_allclose(merged.entropies, [0.0, 0.0, 2.97813946315, 7.81244639781, 22.1452977469], atol=1e-6)
    assert merged.n_clusters == 4
    printed = str(merged).splitlines()
    assert printed[0] == "5 components merged by entropy: 4 clusters proposed."
    assert [line.split() for line in printed[3:8]] == [
        [str(n), f"{merged.entropies[n - 1]:.2f}", *(["proposed"] if n == 4 else [])] for n in range(1, 6)
    ]
    first, second = merged.tree[0, :2].astype(int)
    assert f"cluster {merged.clusters()[first]}  components {first} and {second}" in printed
    assert "<td" in merged._repr_html_()
