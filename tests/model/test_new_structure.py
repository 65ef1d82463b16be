"""A covariance structure is one class and one entry in a table: structures that the package does not know prove it."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC
from fastgmm._em.checkpoint import Checkpoint
from fastgmm._model.covariance import COVARIANCE_TYPES, FULL, InverseMStep
from fastgmm._model.covariance.diagonal import VarianceStructure
from fastgmm._model.protocol import Model
from fastgmm.batches import from_array

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class SharedDiagonal(VarianceStructure):
    """A variance for each feature, the same in all components: mclust's EEI."""

    name = "shared diag"
    is_shared = True

    def covariances(self, statistics, delta, nk, reg_covar, noise, previous=None):
        variances = statistics.scatter_about(delta).sum(axis=0) / nk.sum()
        variances[variances <= self.averaged(noise, nk)] = 0.0
        return variances + reg_covar

    def n_parameters(self, n_components, n_features):
        return n_features


class SharedDiagonalOfStreams(SharedDiagonal, InverseMStep):
    """The same with an inverse of its M step."""

    name = "shared diag of streams"

    def from_spread(self, spread, weights):
        return np.average(spread, axis=0, weights=weights)

    def scatter(self, sums, nk, reg_covar, n_features):
        return np.outer(nk / nk.sum(), len(nk) * sums - reg_covar * nk.sum())


class VolumeAndShape(VarianceStructure):
    """A volume for each component times a shape that all share, each found from the other: mclust's VEI."""

    name = "volume and shape"

    def __init__(self):
        self.previous = []

    def covariances(self, statistics, delta, nk, reg_covar, noise, previous=None):
        self.previous.append(previous)
        scatter = statistics.scatter_about(delta)
        shape = scatter.sum(axis=0) if previous is None else previous[0]
        volumes = (scatter / shape).mean(axis=1) / nk
        shape = (scatter / volumes[:, np.newaxis]).sum(axis=0)
        shape /= np.exp(np.log(shape).mean())
        volumes = (scatter / shape).mean(axis=1) / nk
        return volumes[:, np.newaxis] * shape + reg_covar

    def n_parameters(self, n_components, n_features):
        return n_components + n_features - 1


@pytest.fixture(autouse=True)
def structures(monkeypatch):
    for structure in (SharedDiagonal(), VolumeAndShape()):
        monkeypatch.setitem(COVARIANCE_TYPES, structure.name, structure)


def rows(n=600, d=3, K=4, dtype=np.float64):
    rng = np.random.default_rng(0)
    means = 4.0 * rng.normal(size=(K, d))
    return (means[rng.integers(K, size=n)] + rng.normal(size=(n, d)) * np.geomspace(0.3, 3.0, d)).astype(dtype)


def shared(**parameters):
    return GaussianMixture(**{"n_components": 4, "covariance_type": "shared diag", "random_state": 0, **parameters})


def plain_em(X, weights, mixture, means, variances, n_iter, reg_covar):
    """Each step as it is written in a textbook; the log-likelihood per row before each M step."""
    path = []
    for _ in range(n_iter):
        joint = np.log(mixture) + multivariate_normal_rows(X, means, variances)
        path.append(weights @ logsumexp(joint, axis=1) / weights.sum())
        resp = weights[:, np.newaxis] * np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        nk = resp.sum(axis=0)
        means = resp.T @ X / nk[:, np.newaxis]
        variances = sum(resp[:, k] @ (X - means[k]) ** 2 for k in range(len(nk))) / nk.sum() + reg_covar
        mixture = nk / nk.sum()
    return mixture, means, variances, np.array(path)


def multivariate_normal_rows(X, means, variances):
    return np.column_stack([multivariate_normal(mean, np.diag(variances)).logpdf(X) for mean in means])


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-10), (np.float32, 1e-4)])
def test_a_fit_is_em(dtype, rtol, weighted, n_threads):
    X = rows(dtype=dtype)
    weights = np.arange(len(X)) % 3.0 if weighted else np.ones(len(X))
    start = np.full(4, 0.25), X[:4].astype(np.float64), np.ones(3)
    model = shared(
        weights_init=start[0], means_init=start[1], precisions_init=start[2], max_iter=12, tol=0.0, n_threads=n_threads
    )
    model.fit(X, sample_weight=weights if weighted else None)
    mixture, means, variances, path = plain_em(X.astype(np.float64), weights, *start, 12, 1e-6)
    np.testing.assert_allclose(model.weights_, mixture, rtol=rtol)
    np.testing.assert_allclose(model.means_, means, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(model.covariances_, variances, rtol=rtol)
    np.testing.assert_allclose(model.precisions_, 1.0 / variances, rtol=rtol)
    np.testing.assert_allclose(model.lower_bounds_, path, rtol=rtol)
    assert (np.diff(model.lower_bounds_) > -1e-6).all()


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_starts(init_params):
    X = rows()
    model = shared(init_params=init_params, tol=1e-6, max_iter=200).fit(X)
    assert (np.diff(model.lower_bounds_) > -1e-12).all()
    assert model.covariances_.shape == (3,)
    assert model.score(X) > GaussianMixture(1).fit(X).score(X)


def test_the_start_from_a_sample():
    X = rows(45_000)
    sample, kmeans = (shared(init_params=name).fit(X).lower_bound_ for name in ("sample", "kmeans"))
    assert sample == pytest.approx(kmeans, abs=0.05)


def test_inference():
    X = rows()
    model = shared().fit(X)
    joint = np.log(model.weights_) + multivariate_normal_rows(X, model.means_, model.covariances_)
    norm = logsumexp(joint, axis=1)
    np.testing.assert_allclose(model.score_samples(X), norm, rtol=1e-11)
    np.testing.assert_allclose(model.predict_proba(X), np.exp(joint - norm[:, np.newaxis]), rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(model.predict(X), joint.argmax(axis=1))
    n_parameters = 3 + 12 + 3  # weights, means and variances
    assert model.bic(X) == pytest.approx(-2.0 * norm.sum() + n_parameters * np.log(len(X)), rel=1e-11)
    drawn, labels = model.sample(20_000)
    np.testing.assert_allclose((drawn - model.means_[labels]).var(axis=0), model.covariances_, rtol=0.05)


def test_batches_and_dask():
    da = pytest.importorskip("dask.array")
    fastgmm_dask = pytest.importorskip("fastgmm.dask")
    X = rows()
    model = shared(max_iter=5).fit(X)
    in_batches = shared(max_iter=5).fit_batches(from_array(X, batch_rows=170))
    on_chunks = fastgmm_dask.GaussianMixture(**shared(max_iter=5).get_params()).fit(da.from_array(X, chunks=(170, 3)))
    for other in (in_batches, on_chunks):
        np.testing.assert_allclose(other.covariances_, model.covariances_, rtol=1e-12)
        np.testing.assert_allclose(other.means_, model.means_, rtol=1e-10)
    labels = on_chunks.predict(da.from_array(X, chunks=(170, 3))).compute()
    np.testing.assert_array_equal(labels, model.predict(X))


def test_passes_that_skip():
    """Of many rows in clusters far apart most pairs of row and component are left out, with the same result."""
    for d in (2, 16):
        rng = np.random.default_rng(1)
        means = 30.0 * rng.normal(size=(32, d))
        X = means[rng.integers(32, size=100_000)] + rng.normal(size=(100_000, d))
        model = shared(n_components=32, means_init=means, max_iter=8, tol=0.0).fit(X)
        np.testing.assert_allclose(model.covariances_, np.ones(d), rtol=0.02)
        assert (np.diff(model.lower_bounds_)[1:] > -1e-10).all()
        assert len(np.unique(model.predict(X))) == 32


def test_fixed_parameters_and_warm_start():
    X = rows()
    model = shared(precisions_init=[1.0, 2.0, 3.0], fixed="covariances").fit(X)
    np.testing.assert_allclose(model.precisions_, [1.0, 2.0, 3.0], rtol=1e-14)
    model = shared(max_iter=3, tol=0.0).fit(X).set_params(warm_start=True).fit(X)
    np.testing.assert_allclose(model.covariances_, shared(max_iter=6, tol=0.0).fit(X).covariances_, rtol=1e-10)


def test_search():
    X = rows()
    search = GaussianMixtureIC([3, 4, 5], covariance_type=["full", "diag", "shared diag"], random_state=0).fit(X)
    table = search.criterion_
    assert {"full", "diag", "shared diag"} == set(table["covariance_type"])
    assert search.covariance_type_ == "shared diag"
    alone = shared(random_state=0).fit(X)
    cell = (table["covariance_type"] == "shared diag") & (table["n_components"] == 4)
    assert table["criterion"][cell][0] <= alone.bic(X) + 1e-6
    assert table["n_parameters"][cell][0] == 18


def test_plots():
    plt = pytest.importorskip("matplotlib.pyplot")
    from fastgmm import plotting

    X = rows()
    model = shared().fit(X)
    assert len(plotting.plot_components(model, X, features=[0, 1]).patches) >= len(model.weights_)
    assert plotting.plot_density(model, X, features=[0, 1]).collections
    search = GaussianMixtureIC([2, 3], covariance_type=["full", "shared diag"], random_state=0).fit(X)
    assert {text.get_text() for text in plotting.plot_criterion(search).get_legend().get_texts()} >= {"shared diag"}
    plt.close("all")


def test_a_checkpoint_is_gone_on_from(tmp_path, monkeypatch):
    X, path = rows(), tmp_path / "fit.npz"
    whole = shared(max_iter=8, tol=0.0).fit_batches([X])
    save, n_saved = Checkpoint.save, []

    def interrupted(self, state):
        save(self, state)
        n_saved.append(state)
        if len(n_saved) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shared(max_iter=8, tol=0.0).fit_batches([X], checkpoint=path)
    again = shared(max_iter=8, tol=0.0).fit_batches([X], checkpoint=path)
    np.testing.assert_array_equal(again.covariances_, whole.covariances_)
    assert again.lower_bounds_ == whole.lower_bounds_


class NoRows:
    """Fails when it is read."""

    def __init__(self, X):
        self.X = X

    def __iter__(self):
        raise AssertionError("the rows were read")


def test_what_a_structure_cannot_do_is_refused_by_name():
    """Before any pass over the rows."""
    X = rows()
    able = "'full', 'tied', 'diag', 'spherical'"
    name = "covariance_type='shared diag'"
    bayesian = BayesianGaussianMixture(covariance_type="shared diag")
    with pytest.raises(ValueError, match=f"BayesianGaussianMixture needs a conjugate prior, which {name}.*{able}"):
        bayesian.fit_batches(NoRows(X))
    with pytest.raises(ValueError, match=f"acceleration='lbfgs' needs a Fisher information.*, which {name}.*{able}"):
        shared(acceleration="lbfgs").fit_batches(NoRows(X))
    with pytest.raises(ValueError, match=f"partial_fit needs an inverse of its M step, which {name}.*{able}"):
        shared().partial_fit(X)
    with pytest.raises(ValueError, match=r"acceleration='lbfgs' needs .*, which covariance_type='shared diag'"):
        GaussianMixtureIC([2], covariance_type="shared diag", acceleration="lbfgs").fit(X)
    with pytest.raises(ValueError, match=f"scikit-learn has no {name}: only {able}"):
        shared().fit(X).to_sklearn()


class OtherFamily(Model):
    """A family of mixtures without any capability."""

    start = m_step = lower_bound = shapes = restored = None


@pytest.mark.parametrize("parameters", [{"acceleration": "lbfgs"}, {}], ids=["acceleration", "partial_fit"])
def test_what_a_model_cannot_do_is_refused_by_name(monkeypatch, parameters):
    model = GaussianMixture(**parameters)
    monkeypatch.setattr(
        GaussianMixture,
        "_model",
        lambda self, passes: OtherFamily(FULL, self.n_components, passes.n_features, passes.dtype, 1e-6),
    )
    client = "acceleration" if parameters else "partial_fit"
    with pytest.raises(ValueError, match=f"{client} needs .*, which the model OtherFamily does not have"):
        model.fit(rows()) if parameters else model.partial_fit(rows())


def test_arrays_of_another_type_are_named():
    X = rows()
    model = shared().fit(X).set_params(covariance_type="diag")
    with pytest.raises(ValueError, match="values of covariance_type='shared diag', but"):
        model.predict(X)
    square = clone(shared(n_components=3)).fit(X).set_params(covariance_type="diag")
    with pytest.raises(ValueError, match="values of covariance_type='spherical' or covariance_type='shared diag'"):
        square.predict(X)


def test_the_m_step_sees_the_covariances_before():
    structure = COVARIANCE_TYPES["volume and shape"]
    X = rows()
    model = GaussianMixture(4, covariance_type=structure.name, random_state=0, max_iter=30, tol=0.0).fit(X)
    of_iterations = [previous for previous in structure.previous if previous is not None]
    assert structure.previous[0] is None  # at the start
    assert [previous.shape for previous in of_iterations] == [(4, 3)] * 30
    np.testing.assert_array_equal(structure.previous[-30:], of_iterations)
    assert (np.diff(model.lower_bounds_) > -1e-7).all()
    ratios = (model.covariances_ - 1e-6) / (model.covariances_[0] - 1e-6)
    np.testing.assert_allclose(ratios, ratios[:, :1] * np.ones(3), rtol=1e-6)
    assert model.score(X) > shared().fit(X).score(X) - 1e-9


def test_a_stream_of_batches_leads_where_a_fit_does(monkeypatch):
    monkeypatch.setitem(COVARIANCE_TYPES, SharedDiagonalOfStreams.name, SharedDiagonalOfStreams())
    rng = np.random.default_rng(5)
    rows = 8.0 * rng.integers(0, 3, (6000, 1)) + rng.normal(size=(6000, 3)) * [0.5, 1.0, 2.0]
    fitted = GaussianMixture(3, covariance_type="shared diag", tol=1e-8, random_state=0).fit(rows)
    streamed = GaussianMixture(3, covariance_type="shared diag of streams", step_decay=1.0, random_state=0)
    for start in range(0, len(rows), 20):  # so few rows that covariances are shrunk
        streamed.partial_fit(rows[start : start + 20])
    np.testing.assert_allclose(streamed.covariances_, fitted.covariances_, rtol=0.02)
    np.testing.assert_allclose(np.sort(streamed.means_, axis=0), np.sort(fitted.means_, axis=0), atol=0.02)

    after_fit = GaussianMixture(3, covariance_type="shared diag of streams", tol=1e-8, random_state=0).fit(rows)
    after_fit.partial_fit(rows[:1])  # goes on from the statistics that the M step's inverse gives
    np.testing.assert_allclose(after_fit.covariances_, fitted.covariances_, rtol=0.02)
