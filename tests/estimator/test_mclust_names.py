"""Estimators with the covariance types of mclust: what works as with scikit-learn's types, and what is refused."""

import re

import numpy as np
import pytest

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC
from fastgmm._model.covariance import COVARIANCE_TYPES, SKLEARN_TYPES, structure_of_type
from fastgmm._model.covariance.structure import as_matrices
from fastgmm.batches import from_array

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OF_MCLUST = [name for name in COVARIANCE_TYPES if name not in SKLEARN_TYPES]
EQUAL_NAMES = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}


def rows(dtype=np.float64):
    rng = np.random.default_rng(0)
    means = 3.0 * rng.normal(size=(4, 3))
    stretched = rng.normal(size=(600, 3)) * np.geomspace(0.4, 2.0, 3)
    return (means[rng.integers(4, size=600)] + stretched @ rng.normal(size=(3, 3))).astype(dtype)


def new(name, estimator=GaussianMixture, **parameters):
    return estimator(**{"n_components": 4, "covariance_type": name, "random_state": 0, "max_iter": 8, **parameters})


@pytest.mark.parametrize("name", EQUAL_NAMES)
def test_both_names_of_a_type_give_the_same_bits(name):
    X = rows()
    of_mclust, of_sklearn = new(name).fit(X), new(EQUAL_NAMES[name]).fit(X)
    assert of_mclust.covariance_type == name
    for attribute in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "lower_bounds_"):
        np.testing.assert_array_equal(getattr(of_mclust, attribute), getattr(of_sklearn, attribute))
    assert of_mclust.bic(X) == of_sklearn.bic(X)
    assert str(of_mclust.summary()) == str(of_sklearn.summary())
    assert of_mclust.to_sklearn().covariance_type == EQUAL_NAMES[name]
    for parameters in ({"acceleration": "lbfgs"}, {}):
        fits = [new(each, **parameters) for each in (name, EQUAL_NAMES[name])]
        fits = [each.fit(X) if parameters else each.partial_fit(X).partial_fit(X[:50]) for each in fits]
        np.testing.assert_array_equal(fits[0].covariances_, fits[1].covariances_)
    bayesian = [new(each, BayesianGaussianMixture).fit(X).covariances_ for each in (name, EQUAL_NAMES[name])]
    np.testing.assert_array_equal(*bayesian)


@pytest.mark.parametrize("name", OF_MCLUST)
def test_what_works(name):
    da = pytest.importorskip("dask.array")
    fastgmm_dask = pytest.importorskip("fastgmm.dask")
    X = rows()
    model = new(name).fit(X)
    assert (
        model.covariances_.shape
        == {"spherical": (4,), "diag": (4, 3), "full": (4, 3, 3)}[structure_of_type(name).sklearn_name]
    )
    assert (np.diff(model.lower_bounds_) > -1e-9).all()
    start = {"weights_init": model.weights_, "means_init": model.means_, "precisions_init": model.precisions_}
    on_chunks = new(name, fastgmm_dask.GaussianMixture).fit(da.from_array(X, chunks=(170, 3)))
    others = {
        "batches": new(name).fit_batches(from_array(X, batch_rows=170)),
        "dask": on_chunks,
        "float32": new(name).fit(X.astype(np.float32)),
        "warm start": new(name, max_iter=5, tol=0.0).fit(X).set_params(warm_start=True, max_iter=3).fit(X),
        "copies": new(name, **start).fit(np.concatenate([X, X[:200]])),
    }
    weighted = new(name, **start).fit(X, sample_weight=np.where(np.arange(600) < 200, 2.0, 1.0))
    for how, expected, rtol in (
        ("batches", model, 1e-6),
        ("dask", model, 1e-6),
        ("float32", model, 1e-2),
        ("warm start", new(name, tol=0.0).fit(X), 1e-4),
        ("copies", weighted, 1e-6),
    ):
        np.testing.assert_allclose(others[how].covariances_, expected.covariances_, rtol=rtol, atol=rtol, err_msg=how)

    as_sklearn = model.to_sklearn()
    assert as_sklearn.covariance_type in SKLEARN_TYPES
    np.testing.assert_allclose(as_sklearn.score_samples(X), model.score_samples(X), rtol=1e-9)
    n_parameters = structure_of_type(name).n_parameters(4, 3) + 12 + 3
    assert model.bic(X) == pytest.approx(-2.0 * model.score(X) * 600 + n_parameters * np.log(600), rel=1e-12)
    draws, labels = model.sample(20_000)
    spread = as_matrices(structure_of_type(name).spread(model.covariances_, 4, 3))
    np.testing.assert_allclose(np.cov(draws[labels == 0].T), spread[0], rtol=0.1, atol=0.1 * spread[0].max())


@pytest.mark.parametrize("name", OF_MCLUST)
def test_what_is_refused(name):
    X, able = rows(), "Use one of 'full', 'tied', 'diag', 'spherical'."
    given = f"covariance_type={name!r} does not have"
    with pytest.raises(ValueError, match=f"BayesianGaussianMixture needs a conjugate prior, which {given}. {able}"):
        new(name, BayesianGaussianMixture).fit(X)
    with pytest.raises(ValueError, match=f"acceleration='lbfgs' needs .*, which {given}. {able}"):
        new(name, acceleration="lbfgs").fit(X)
    with pytest.raises(ValueError, match=f"partial_fit needs .*, which {given}. {able}"):
        new(name).partial_fit(X)


@pytest.mark.parametrize("name", OF_MCLUST)
@pytest.mark.parametrize("init_params", ["k-means++", "random", "random_from_data"])
def test_starts(name, init_params):
    """Also from single rows, whose covariances are only `reg_covar`."""
    model = new(name, init_params=init_params, tol=1e-6, max_iter=50).fit(rows())
    assert (np.diff(model.lower_bounds_) > -1e-6).all()
    assert model.score(rows()) > GaussianMixture().fit(rows()).score(rows()) - 0.2


@pytest.mark.parametrize("name", OF_MCLUST)
def test_a_component_without_rows_keeps_what_is_its_own(name):
    """The third component gets no rows: the others are as if it were not there."""
    X = rows()
    start = {"means_init": [X[0], X[1], [1e3, 1e3, 1e3]], "weights_init": [0.4, 0.4, 0.2]}
    shape = structure_of_type(name).shape(3, 3)
    variances = np.broadcast_to(np.eye(3), shape) if len(shape) == 3 else np.ones(shape)
    with pytest.warns(UserWarning, match="Component 2"):
        model = new(name, n_components=3, precisions_init=variances, **start).fit(X)
    two = {"means_init": X[:2], "weights_init": [0.5, 0.5], "precisions_init": variances[:2]}
    expected = new(name, n_components=2, **two).fit(X)
    np.testing.assert_allclose(model.covariances_[:2], expected.covariances_, rtol=1e-4, atol=1e-6)
    spread = as_matrices(structure_of_type(name).spread(model.covariances_, 3, 3))
    determinants = np.linalg.det(spread)
    if name[0] == "E":
        np.testing.assert_allclose(determinants, determinants[0], rtol=1e-4)
    shapes = np.linalg.eigvalsh(spread) / np.cbrt(determinants)[:, np.newaxis]
    if name[1] == "E":
        np.testing.assert_allclose(shapes, shapes[:1].repeat(3, axis=0), rtol=1e-4)
    if name[2] == "E":
        commutator = spread[2] @ spread[0] - spread[0] @ spread[2]
        np.testing.assert_allclose(commutator, 0.0, atol=1e-4 * spread[0].max() * spread[2].max())


@pytest.mark.parametrize("name", OF_MCLUST)
def test_one_feature(name):
    """There, only the volume counts."""
    X = rows()[:, :1]
    expected = new("tied" if name[0] == "E" else "full", tol=1e-7, max_iter=100).fit(X)
    model = new(name, tol=1e-7, max_iter=100).fit(X)
    assert model.score(X) == pytest.approx(expected.score(X), abs=1e-8)
    assert model._n_parameters() == expected._n_parameters()
    assert model.summary().covariances == expected.summary().covariances


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("EII", "all components share one sphere"),
        ("VEI", "each component has its own ellipsoid along the axes, all of the same shape"),
        ("VEE", "each component has its own ellipsoid, all of the same shape and orientation"),
        ("EVV", "each component has its own ellipsoid, all of the same volume"),
    ],
)
def test_in_words(name, words):
    summary = new(name).fit(rows()).summary()
    assert summary.covariances == words
    text = re.sub(r"\s+", " ", str(summary))
    assert f"covariance type '{name}': {words}." in text


def test_a_degenerate_component_is_an_error():
    """Without reg_covar, components in a plane have no volume."""
    X = rows()
    X[:300] = X[:300, :1]
    for name in ("EVI", "EVE", "VVE", "EVV"):
        X_of = X if name != "EVI" else np.where(np.arange(600)[:, np.newaxis] < 300, X[:, :1] * [1, 0, 1], X)
        start = {"means_init": [X_of[:300].mean(axis=0), X_of[300:].mean(axis=0)], "init_params": "random_from_data"}
        with pytest.raises(ValueError, match="ill-defined empirical covariance"):
            new(name, n_components=2, reg_covar=0.0, tol=0.0, max_iter=200, **start).fit(X_of)


def test_the_search_finds_components_that_collapse_in_a_shared_volume():
    """Rows on a line have no volume, whatever volume the model gives their component."""
    X = np.random.default_rng(0).normal(size=(120, 3))
    X[:10, 1:] = 7.0
    for name in ("EVI", "EVE", "EVV"):
        with pytest.raises(ValueError, match=r"No fit of the search is usable: Component \d collapsed"):
            GaussianMixtureIC([2], covariance_type=name, random_state=0).fit(X)
    assert not any(GaussianMixtureIC([2], covariance_type="EII", random_state=0).fit(X).criterion_["warning"])


def test_the_search_tries_the_fourteen():
    X = rows()
    search = GaussianMixtureIC([1, 3], covariance_type="all", random_state=0).fit(X)
    table = search.criterion_
    assert set(table["covariance_type"]) == set(COVARIANCE_TYPES)
    assert len(table["bic"]) == 28
    for name in COVARIANCE_TYPES:
        (cell,) = np.flatnonzero((table["covariance_type"] == name) & (table["n_components"] == 3))
        alone = new(name, n_components=3, max_iter=100).fit(X)
        assert table["log_likelihood"][cell] >= 600 * alone.score(X) - 1e-6
        assert table["n_parameters"][cell] == alone._n_parameters()
    by_name = GaussianMixtureIC([2], covariance_type=["VVV", "full", "VEI"], random_state=0).fit(X)
    assert by_name.criterion_["covariance_type"].tolist() == ["VEI", "VVV"]
    assert by_name.best_estimator_.covariance_type in ("VEI", "VVV")
    assert "VEI" in str(by_name.summary())
    with pytest.raises(ValueError, match="acceleration='lbfgs' needs a Fisher information"):
        GaussianMixtureIC([2], covariance_type="all", acceleration="lbfgs").fit(X)
