"""The start of EM: the same seed gives scikit-learn's start, and advances the generator just as far."""

import numpy as np
import pytest
import sklearn
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.utils.fixes import parse_version

from fastgmm import GaussianMixture
from fastgmm._kmeans import kmeans_labels, kmeans_plusplus_indices, lloyd

COVARIANCE_TYPES = ["full", "tied", "diag", "spherical"]
INIT_PARAMS = ["kmeans", "k-means++", "random", "random_from_data"]
SEEDS = range(10)


def skewed(n_samples=2000, n_features=4, dtype=np.float64):
    """Clusters of unequal size, spread and scale, away from the origin."""
    rng = np.random.default_rng(5)
    centers = rng.normal(3, 10, (8, n_features))
    labels = rng.choice(8, n_samples, p=np.arange(1, 9) / 36)
    return (centers[labels] + rng.normal(size=(n_samples, n_features)) * (1 + labels[:, np.newaxis])).astype(dtype)


DATA = {"iris": load_iris().data, "skewed": skewed()}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_same_seed_same_start(covariance_type, init_params, seed):
    X = DATA["skewed"]
    parameters = {"covariance_type": covariance_type, "init_params": init_params, "max_iter": 0, "random_state": seed}
    ours = GaussianMixture(6, **parameters).fit(X)
    theirs = SklearnGaussianMixture(6, **parameters).fit(X)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-12)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-11)
    rounding = 1e-15 * np.square(X).max()  # of scikit-learn's E[x^2] - mean^2, which differs between its versions
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-9, atol=rounding)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_same_seed_same_start_float32(init_params, seed):
    X = skewed(dtype=np.float32)
    parameters = {"init_params": init_params, "max_iter": 0, "random_state": seed}
    ours = GaussianMixture(6, **parameters).fit(X)
    theirs = SklearnGaussianMixture(6, **parameters).fit(X)
    assert ours.means_.dtype == np.float32
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-5)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("n_init", [1, 3])
def test_generator_is_advanced_as_far(init_params, n_init):
    ours, theirs = np.random.RandomState(3), np.random.RandomState(3)
    parameters = {"init_params": init_params, "n_init": n_init, "max_iter": 0}
    GaussianMixture(5, random_state=ours, **parameters).fit(DATA["iris"])
    SklearnGaussianMixture(5, random_state=theirs, **parameters).fit(DATA["iris"])
    assert ours.random_sample() == theirs.random_sample()


@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_global_generator_is_used_without_a_seed(init_params):
    np.random.seed(4)  # noqa: NPY002 - random_state=None means this generator
    ours = GaussianMixture(4, init_params=init_params, max_iter=0).fit(DATA["iris"])
    np.random.seed(4)  # noqa: NPY002
    theirs = SklearnGaussianMixture(4, init_params=init_params, max_iter=0).fit(DATA["iris"])
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-11)


# k-means -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("data", "n_clusters"), [("iris", 2), ("iris", 5), *(("skewed", k) for k in (1, 2, 9, 40))])
def test_labels_are_those_of_kmeans(data, n_clusters, seed):
    """With many clusters iris, recorded to one decimal, has ties that rounding decides: not asked for here."""
    X = DATA[data]
    labels, means = kmeans_labels(X, n_clusters, np.random.RandomState(seed), n_threads=2)
    theirs = KMeans(n_clusters, n_init=1, random_state=np.random.RandomState(seed)).fit(X)
    np.testing.assert_array_equal(labels, theirs.labels_)
    assert means[labels[0]] == pytest.approx(X[labels == labels[0]].mean(axis=0))


@pytest.mark.parametrize("seed", SEEDS)
def test_weighted_labels_are_those_of_kmeans(seed):
    X = DATA["skewed"]
    weights = np.random.default_rng(seed).exponential(size=len(X)) + 0.01
    labels, means = kmeans_labels(X, 7, np.random.RandomState(seed), n_threads=2, sample_weight=weights)
    theirs = KMeans(7, n_init=1, random_state=seed).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(labels, theirs.labels_)
    assert means[3] == pytest.approx(np.average(X[labels == 3], axis=0, weights=weights[labels == 3]))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_clusters", [1, 3, 30])
def test_seeds_are_those_of_kmeans_plusplus(n_clusters, dtype, seed):
    X = skewed(n_samples=1000, dtype=dtype)
    ours = kmeans_plusplus_indices(X, n_clusters, np.random.RandomState(seed), n_threads=2)
    _, theirs = kmeans_plusplus(X, n_clusters, random_state=seed)
    np.testing.assert_array_equal(ours, theirs)


BEFORE_1_8 = parse_version(sklearn.__version__) < parse_version("1.8")
CUMULATED_IN_FLOAT64 = pytest.mark.skipif(
    BEFORE_1_8, reason="scikit-learn < 1.8 cumulates float32 distances in float64"
)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=CUMULATED_IN_FLOAT64)])
def test_seeds_among_many_rows(dtype, seed):
    """In float32 the rounding of scikit-learn's cumulated sums moves the draws by several rows: it must be the same."""
    X = skewed(n_samples=100_000, dtype=dtype)
    ours = kmeans_plusplus_indices(X, 8, np.random.RandomState(seed), n_threads=2)
    _, theirs = kmeans_plusplus(X, 8, random_state=seed)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_more_clusters_than_distinct_rows(weighted, seed):
    X = np.tile([[0.0, 1.0], [2.0, 5.0], [4.0, 1.0]], (4, 1))
    weights = np.random.default_rng(seed).integers(1, 4, len(X)).astype(float) if weighted else None
    with pytest.warns(ConvergenceWarning, match="found only 3 distinct clusters for n_components=5"):
        labels, _ = kmeans_labels(X, 5, np.random.RandomState(seed), n_threads=1, sample_weight=weights)
    assert len({tuple(row) for row in zip(labels, X[:, 0], strict=True)}) == 3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_clusters_that_run_empty_are_relocated(weighted, seed):
    """Some of the first centers lie beyond all rows: no row is assigned to them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 3))
    weights = rng.uniform(0.5, 2.0, len(X)) if weighted else None
    centers = np.vstack([X[:4], rng.normal(100.0, 1.0, (3, 3))])
    labels, _, counts = lloyd(X, np.zeros(3), centers, 1e-4 * X.var(axis=0).mean(), 2, weights)
    theirs = KMeans(7, init=centers, n_init=1).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(labels, theirs.labels_)
    assert counts.all()


# What the user gives -------------------------------------------------------------------------------------------------

GIVEN = {
    "weights_init": np.array([0.2, 0.3, 0.5]),
    "means_init": DATA["iris"][[1, 60, 120]],
    "precisions_init": np.tile(np.diag([1.0, 2.0, 3.0, 4.0]) + 0.1, (3, 1, 1)),
}


@pytest.mark.parametrize("names", [["weights_init"], ["means_init"], ["weights_init", "means_init"]], ids=str)
@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_given_values_replace_what_the_start_finds(init_params, names):
    parameters = {"init_params": init_params, "max_iter": 0, "random_state": 0, **{name: GIVEN[name] for name in names}}
    ours = GaussianMixture(3, **parameters).fit(DATA["iris"])
    theirs = SklearnGaussianMixture(3, **parameters).fit(DATA["iris"])
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-12)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-12)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_given_precisions_with_a_found_rest(init_params):
    parameters = {"init_params": init_params, "max_iter": 2, "random_state": 0}
    ours = GaussianMixture(3, precisions_init=GIVEN["precisions_init"], **parameters).fit(DATA["iris"])
    theirs = SklearnGaussianMixture(3, precisions_init=GIVEN["precisions_init"], **parameters).fit(DATA["iris"])
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-10)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_nothing_is_drawn_if_all_is_given(init_params):
    generator = np.random.RandomState(0)
    GaussianMixture(3, init_params=init_params, random_state=generator, max_iter=0, **GIVEN).fit(DATA["iris"])
    assert generator.random_sample() == np.random.RandomState(0).random_sample()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_random_responsibilities_do_not_depend_on_blocks(monkeypatch, dtype):
    X = DATA["skewed"].astype(dtype)
    gmm = GaussianMixture(3, init_params="random", max_iter=0, random_state=0)
    means = gmm.fit(X).means_
    monkeypatch.setattr("fastgmm._initialization._BLOCK_ELEMENTS", 3 * 111)
    np.testing.assert_allclose(gmm.fit(X).means_, means, rtol=1e-12 if dtype == np.float64 else 1e-5)
