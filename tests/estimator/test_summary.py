"""`summary()`: its numbers against scikit-learn and by hand, and what it leaves out because it does not know it."""

import pickle
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import sklearn.mixture
from _shared.cases import TYPES
from sklearn.exceptions import NotFittedError

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.batches import from_array
from fastgmm.datasets import load_old_faithful

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = load_old_faithful()
CRITERIA = ("bic", "aic", "icl")


def by_hand(gmm, rows, weights=None):
    """Log-likelihood, BIC, AIC and ICL from scikit-learn's densities."""
    reference = gmm.to_sklearn()
    weights = np.ones(len(rows)) if weights is None else weights
    log_likelihood = weights @ reference.score_samples(rows)
    n_parameters = reference._n_parameters()
    bic = -2 * log_likelihood + n_parameters * np.log(weights.sum())
    icl = bic - 2 * weights @ np.log(reference.predict_proba(rows).max(axis=1))
    return log_likelihood, bic, -2 * log_likelihood + 2 * n_parameters, icl


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_numbers_are_those_of_scikit_learn(covariance_type, weighted):
    weights = np.random.default_rng(0).integers(0, 4, len(X)).astype(float) if weighted else None
    gmm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X, sample_weight=weights)
    summary = gmm.summary(X, weights)
    found = (summary.log_likelihood, summary.bic, summary.aic, summary.icl)
    np.testing.assert_allclose(found, by_hand(gmm, X, weights), rtol=1e-12)
    assert summary.is_exact
    assert (summary.bic, summary.aic) == pytest.approx((gmm.bic(X, weights), gmm.aic(X, weights)), rel=1e-13)
    assert summary.n_rows == (len(X) if weights is None else weights.sum())
    assert summary.n_parameters == gmm.to_sklearn()._n_parameters()
    assert (summary.converged, summary.n_iter) == (gmm.converged_, gmm.n_iter_)
    np.testing.assert_allclose(summary.rows, gmm.weights_ * summary.n_rows)
    np.testing.assert_array_equal(summary.means, gmm.means_)
    draws, labels = gmm.sample(200_000, random_state=0)
    for k in range(3):
        np.testing.assert_allclose(summary.standard_deviations[k], draws[labels == k].std(axis=0), rtol=0.02)


def test_without_rows_it_is_what_the_fit_knows():
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    gmm = GaussianMixture(2, random_state=0, max_iter=3, tol=0).fit(X, sample_weight=weights)
    before = GaussianMixture(2, random_state=0, max_iter=2, tol=0).fit(X, sample_weight=weights)
    summary, exact = gmm.summary(), before.summary(X, weights)
    assert summary.log_likelihood == pytest.approx(exact.log_likelihood, rel=1e-12)
    assert (summary.bic, summary.aic) == pytest.approx((exact.bic, exact.aic), rel=1e-12)
    assert summary.icl is None
    assert not summary.is_exact
    assert summary.bic >= gmm.summary(X, weights).bic
    assert "BIC and AIC are those before the last step of EM" in str(summary)


@pytest.mark.parametrize(
    ("covariance_type", "n_components", "n_features", "mclust", "words"),
    [
        ("full", 3, 2, "VVV", "each component has its own ellipsoid"),
        ("tied", 3, 2, "EEE", "all components share one ellipsoid"),
        ("diag", 3, 2, "VVI", "each component has its own ellipsoid along the axes"),
        ("spherical", 3, 2, "VII", "each component has its own sphere"),
        ("full", 1, 2, "XXX", "one ellipsoid"),
        ("diag", 1, 2, "XXI", "one ellipsoid along the axes"),
        ("tied", 2, 1, "E", "all components share one variance"),
        ("diag", 2, 1, "V", "each component has its own variance"),
        ("full", 1, 1, "X", "one variance"),
    ],
)
def test_the_model_in_words(covariance_type, n_components, n_features, mclust, words):
    gmm = GaussianMixture(n_components, covariance_type=covariance_type, random_state=0).fit(X[:, :n_features])
    summary = gmm.summary()
    assert (summary.mclust_name, summary.covariances) == (mclust, words)
    number = "1 component" if n_components == 1 else f"{n_components} components"
    title = f"Gaussian mixture with {number}, covariance type '{covariance_type}' (mclust: {mclust}): {words}."
    assert " ".join(str(summary).split()).startswith(title)


def test_fixed_parameters_do_not_count():
    start = {"means_init": [[4.3, 80.0], [2.0, 54.0]], "random_state": 0}
    free, fixed = (GaussianMixture(2, fixed=fixed, **start).fit(X).summary(X) for fixed in (None, "means"))
    assert fixed.n_parameters == free.n_parameters - 4
    assert fixed.aic == -2 * fixed.log_likelihood + 2 * fixed.n_parameters


def stream():
    gmm = GaussianMixture(2, random_state=0)
    for _ in range(3):
        gmm.partial_fit(X)
    return gmm


def by_scikit_learn():
    return GaussianMixture.from_sklearn(sklearn.mixture.GaussianMixture(2, random_state=0).fit(X))


def by_hand_made_attributes():
    gmm, found = GaussianMixture(2), GaussianMixture(2, random_state=0).fit(X)
    gmm.weights_, gmm.means_, gmm.precisions_cholesky_ = found.weights_, found.means_, found.precisions_cholesky_
    return gmm


def only_the_start():
    return GaussianMixture(2, random_state=0, max_iter=0).fit(X)


@pytest.mark.parametrize(
    ("fitted", "says", "n_rows"),
    [
        (stream, "Batches          3", 3 * len(X)),
        (lambda: GaussianMixture.from_sklearn(stream().to_sklearn()), "Batches          3", 3 * len(X)),
        (by_scikit_learn, "Converged        yes", None),
        (by_hand_made_attributes, "Features         2", None),
        (only_the_start, "Converged        no, these are the parameters of the start", len(X)),
    ],
    ids=["partial_fit", "converted stream", "from_sklearn", "attributes", "max_iter=0"],
)
def test_what_is_not_known_is_absent(fitted, says, n_rows):
    gmm = fitted()
    summary = gmm.summary()
    assert [summary.log_likelihood, summary.bic, summary.aic, summary.icl] == [None] * 4
    assert summary.n_rows == n_rows
    text = str(summary)
    assert says in text
    assert "summary(X) finds it" in text.replace("\n", " ")
    assert "nan" not in text + summary._repr_html_()
    assert "\nBIC  " not in text
    exact = gmm.summary(X)
    np.testing.assert_allclose([exact.bic, exact.aic], [gmm.bic(X), gmm.aic(X)], rtol=1e-13)
    assert list(exact.to_frame()["rows"]) == list(gmm.weights_ * len(X))


def test_weights_that_are_no_counts_have_no_criteria():
    weights = np.full(len(X), 1.0 / len(X))
    gmm = GaussianMixture(2, random_state=0).fit(X, sample_weight=weights)
    for summary in (gmm.summary(), gmm.summary(X, weights)):
        assert [summary.bic, summary.aic, summary.icl] == [None] * 3
        assert "they do not count rows" in " ".join(str(summary).split())


def test_warm_starts_and_float32():
    gmm = GaussianMixture(2, random_state=0, warm_start=True).fit(X[:200].astype(np.float32))
    summary = gmm.fit(X.astype(np.float32)).summary()
    assert summary.n_rows == len(X)
    assert summary.bic == pytest.approx(gmm.bic(X), rel=1e-3)
    assert summary.means.dtype == np.float64


def test_bayesian():
    bgm = BayesianGaussianMixture(n_components=6, max_iter=1000, random_state=0).fit(X)
    summary = bgm.summary()
    assert summary.lower_bound == bgm.lower_bound_
    assert summary.n_effective_components == 2
    assert [summary.n_parameters, summary.bic, summary.aic, summary.icl, summary.log_likelihood] == [None] * 5
    assert "needs no AIC or BIC" in " ".join(str(summary).split())
    assert bgm.summary(X).log_likelihood == pytest.approx(bgm.score(X) * len(X))
    theirs = sklearn.mixture.BayesianGaussianMixture(n_components=6, covariance_type="tied", random_state=0).fit(X)
    converted = BayesianGaussianMixture.from_sklearn(theirs).summary()
    assert converted.n_rows == pytest.approx(len(X))
    assert isinstance(converted.lower_bound, float)
    bgm.partial_fit(X)
    assert bgm.summary().lower_bound is None


def test_rows_of_all_kinds():
    gmm = GaussianMixture(2, random_state=0).fit_batches(from_array(X, batch_rows=100))
    assert gmm.summary().n_rows == len(X)
    found, expected = gmm.summary(from_array(X, batch_rows=100)), gmm.summary(X)
    assert (found.icl, found.aic) == pytest.approx((expected.icl, expected.aic), rel=1e-13)
    da = pytest.importorskip("dask.array")
    from fastgmm import dask

    chunks = da.from_array(np.vstack([X, X[:50]]), chunks=100)
    weights = np.r_[np.ones(len(X)), np.zeros(50)]  # nothing is left of the last chunk
    on_dask = dask.GaussianMixture(2, random_state=0).fit(chunks, sample_weight=weights)
    found, expected = on_dask.summary(chunks, weights), on_dask.to_local().summary(X)
    for name in ("n_rows", "log_likelihood", *CRITERIA):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-12), name


class Tags(HTMLParser):
    """Collects the open tags and the text; fails where a tag is not closed."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_many_features_and_components_are_cut_and_names_escaped():
    pandas = pytest.importorskip("pandas")
    names = [f"<b>height & width {j}" for j in range(20)]
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(400, 20)), columns=names)
    gmm = GaussianMixture(30, covariance_type="spherical", random_state=0).fit(frame)
    summary = gmm.summary(frame)
    text = str(summary)
    assert max(map(len, text.splitlines())) <= 79
    tables = [part.splitlines() for part in text.split("\n\n")[2:6]]
    for lines in tables:
        shown = [int(line.split()[0]) for line in lines[1:]]
        assert shown == sorted(np.argsort(-gmm.weights_, kind="stable")[:20])
    n_shown = sum(line.count("...") for line, *_ in tables)
    left_out = f"{20 - n_shown} features and 10 lighter components are left out: to_frame() has all."
    assert left_out in text.replace("\n", " ")
    parser = Tags()
    parser.feed(summary._repr_html_())
    assert parser.open == []
    assert "<b>heig...idth 0" in parser.text
    whole = summary.to_frame()
    assert whole.shape == (30, 42)
    np.testing.assert_array_equal(whole["mean"][names], gmm.means_)
    np.testing.assert_allclose(whole["standard deviation"].to_numpy() ** 2, np.tile(gmm.covariances_, (20, 1)).T)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e4, 1e12])
def test_digits_suit_the_units(scale):
    text = str(GaussianMixture(2, random_state=0, reg_covar=0).fit(X * scale).summary())
    mean, deviation = (float(part) for part in text.split("feature 1\n")[1].splitlines()[0].split()[-3::2])
    assert mean == pytest.approx(54.479 * scale, rel=1e-3)
    assert deviation == pytest.approx(5.81 * scale, rel=2e-3)


def test_errors(monkeypatch):
    with pytest.raises(NotFittedError):
        GaussianMixture().summary()
    gmm = GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(ValueError, match="sample_weight needs the rows that it belongs to: pass X, too"):
        gmm.summary(sample_weight=np.ones(len(X)))
    summary = pickle.loads(pickle.dumps(gmm.summary()))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="python -m pip install pandas"):
        summary.to_frame()
