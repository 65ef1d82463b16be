"""The start by splits and merges."""

import warnings

import numpy as np
import pytest
from _shared.cases import TYPES
from sklearn.datasets import load_iris

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._rows.array import ArrayPasses
from fastgmm._start import split_merge as _split_merge
from fastgmm._start.find import find_start

IRIS = load_iris().data


def stretched(n_rows=3000, n_features=20, n_components=4, seed=0):
    """Clusters stretched along the same axes, side by side; and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_components, size=n_rows)
    means = rng.normal(scale=1.5, size=(n_components, n_features))
    scales = np.where(np.arange(n_features) < n_features // 3, 6.0, 1.0)
    axes = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    return means[labels] + (rng.normal(size=(n_rows, n_features)) * scales) @ axes.T, labels


def nearby(seed=0):
    """A small cluster beside a large one, and a wide one around both."""
    rng = np.random.default_rng(seed)
    counts, widths = (2000, 150, 350), (1.0, 0.2, 8.0)
    labels = np.repeat(np.arange(3), counts)
    means = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 0.0]])
    return means[labels] + rng.normal(size=(2500, 2)) * np.array(widths)[labels, np.newaxis], labels


def fit(X, n_components, init_params="split_merge", **parameters):
    parameters = {"random_state": 0, "tol": 1e-5, "max_iter": 1000, **parameters}
    return GaussianMixture(n_components, init_params=init_params, **parameters).fit(X)


@pytest.mark.parametrize("data", [stretched(), nearby()], ids=["stretched", "nearby"])
def test_it_finds_the_optimum_that_kmeans_misses(data):
    X, labels = data
    n_components = labels.max() + 1
    best = fit(X, n_components, labels).lower_bound_
    kmeans = [fit(X, n_components, "kmeans", random_state=seed).lower_bound_ for seed in range(3)]
    ours = [fit(X, n_components, random_state=seed).lower_bound_ for seed in range(3)]
    assert max(kmeans) < best - 0.02
    assert min(ours) > best - 0.01


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_all_types_repeat_for_any_number_of_threads(covariance_type, dtype):
    X = stretched()[0].astype(dtype)
    parameters = {"covariance_type": covariance_type, "max_iter": 0}
    start = fit(X, 4, n_threads=1, **parameters)
    other = fit(X, 4, n_threads=3, **parameters)
    np.testing.assert_array_equal(other.means_, start.means_)
    np.testing.assert_array_equal(other.covariances_, start.covariances_)
    assert start.means_.dtype == dtype
    kmeans = max(
        fit(X, 4, "kmeans", covariance_type=covariance_type, random_state=seed).lower_bound_ for seed in range(3)
    )
    assert fit(X, 4, covariance_type=covariance_type).lower_bound_ > kmeans - 0.01


def test_a_sample_of_many_rows():
    """Weights are those of copies, also in the sample; batches that the survey keeps give the same start."""
    X, labels = stretched(20_000)
    model = fit(X, 4, max_iter=0)
    assert model.score(X) > fit(X, 4, labels).score(X) - 0.02
    weights = np.arange(20_000) % 3
    weighted = GaussianMixture(4, init_params="split_merge", random_state=0, max_iter=0).fit(X, sample_weight=weights)
    assert weighted.score(X, sample_weight=weights) > model.score(X, sample_weight=weights) - 0.02
    batched = GaussianMixture(4, init_params="split_merge", random_state=0, max_iter=0)
    batched.fit_batches([X[:9000], X[9000:]])
    np.testing.assert_allclose(batched.means_, model.means_, rtol=1e-9)


def test_other_estimators_take_it():
    X, labels = stretched()
    bayes = BayesianGaussianMixture(n_components=4, init_params="split_merge", random_state=0, max_iter=500).fit(X)
    given = BayesianGaussianMixture(n_components=4, init_params=labels, max_iter=500).fit(X)
    assert bayes.lower_bound_ > given.lower_bound_ - 0.01 * abs(given.lower_bound_)
    search = GaussianMixtureIC([1, 2], covariance_type=["diag", "full"], init_params="split_merge", random_state=0)
    assert set(search.fit(IRIS).criterion_["start"]) <= {"split_merge", "whitened", "merged", "diag", "full"}


def test_a_start_asked_twice_leaves_the_generator_alone():
    generator = np.random.RandomState(0)
    start = find_start(IRIS, None, 3, "split_merge", generator, 1)
    passes = ArrayPasses(IRIS, None, 3, COVARIANCE_TYPES["full"], 1)
    state = generator.get_state()[2]
    first, second = start(passes, 1e-6), start(passes, 1e-6)
    np.testing.assert_array_equal(first.nk, second.nk)
    assert generator.get_state()[2] == state


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(
    "X",
    [
        IRIS[:4],
        np.c_[IRIS, np.ones(150)],
        np.repeat(IRIS[:5], 30, axis=0),
        IRIS[:, :1],
        np.round(IRIS),
        IRIS * 1e-5,
        IRIS * 1e6 + 1e9,
    ],
    ids=["few rows", "constant column", "duplicates", "one feature", "integers", "small", "far away"],
)
def test_awkward_rows(X, covariance_type):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n_components in (1, 3):
            model = fit(X, n_components, covariance_type=covariance_type)
            assert np.isfinite(model.lower_bound_)


def test_kmeans_takes_over_if_em_fails(monkeypatch):
    monkeypatch.setattr(_split_merge._Moves, "_em", lambda *_: None)
    draws = np.random.RandomState(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    for _ in range(3):  # the starts that failed
        _split_merge.kmeans_labels(IRIS, 3, draws, 1)
    np.testing.assert_allclose(
        fit(IRIS, 3, max_iter=0).means_, fit(IRIS, 3, "kmeans", max_iter=0, random_state=draws).means_, rtol=1e-12
    )
