"""The start of EM: the same seed gives scikit-learn's start, and advances the generator just as far.

The start from a sample is our own: at the end of this file."""

import numpy as np
import pytest
import sklearn
from _shared.cases import STARTS, TYPES
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.utils.fixes import parse_version

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC
from fastgmm._model.covariance import COVARIANCE_TYPES, FULL
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.kmeans import KMeansPasses
from fastgmm._start import kmeans as _kmeans
from fastgmm._start import sample as _sample
from fastgmm._start.find import find_start
from fastgmm._start.kmeans import kmeans_labels, kmeans_plusplus_indices, lloyd
from fastgmm._utils.errors import PoorSampleError

SEEDS = range(10)


def skewed(n_samples=2000, n_features=4, dtype=np.float64):
    """Clusters of unequal size, spread and scale, away from the origin."""
    rng = np.random.default_rng(5)
    centers = rng.normal(3, 10, (8, n_features))
    labels = rng.choice(8, n_samples, p=np.arange(1, 9) / 36)
    return (centers[labels] + rng.normal(size=(n_samples, n_features)) * (1 + labels[:, np.newaxis])).astype(dtype)


DATA = {"iris": load_iris().data, "skewed": skewed()}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_same_seed_same_start(covariance_type, init_params, seed):
    X = DATA["skewed"]
    parameters = {"covariance_type": covariance_type, "init_params": init_params, "max_iter": 0, "random_state": seed}
    ours = GaussianMixture(6, **parameters).fit(X)
    theirs = SklearnGaussianMixture(6, **parameters).fit(X)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-12)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-11)
    rounding = 1e-15 * np.square(X).max()  # of scikit-learn's E[x^2] - mean^2, which differs between its versions
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-9, atol=rounding)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_statistics_cluster_by_cluster_are_those_of_a_pass(monkeypatch, covariance_type, is_weighted, dtype):
    """One cluster is empty, and one has more rows than are copied at a time."""
    X, structure = skewed(dtype=dtype), COVARIANCE_TYPES[covariance_type]
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([0, 1, 3], np.int32), len(X), p=(0.2, 0.1, 0.7))
    centers = rng.normal(3, 1, (4, X.shape[1]))
    passes = ArrayPasses(X, rng.uniform(0.1, 2.0, len(X)) if is_weighted else None, 4, structure, 2)
    expected = passes.statistics_from_labels(labels, centers)
    monkeypatch.setattr(_kmeans, "_LEAST_ROW_FLOPS", 1.0)
    monkeypatch.setattr(_kmeans, "_LEAST_CLUSTER_FLOPS", 1.0)
    monkeypatch.setattr(_kmeans, "_GATHERED_ROWS", 512)
    monkeypatch.setattr(ArrayPasses, "statistics_from_labels", None)
    found = _kmeans._statistics_from_labels(passes, labels, centers)
    tolerance = (
        {"rtol": 1e-12} if dtype == np.float64 else {"rtol": 1e-5, "atol": 1e-5 * np.abs(expected.scatter).max()}
    )
    for name in ("centers", "nk", "sum_x", "scatter", "total_weight"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), **tolerance)
    assert found.nk[2] == 0.0


@pytest.mark.parametrize("init_params", STARTS)
def test_a_start_asked_twice_leaves_the_generator_alone(init_params):
    """It gives the same statistics again, and numbers that were drawn in between do not come again."""
    X = skewed(300)
    passes, generator = ArrayPasses(X, None, 3, FULL, 1), np.random.RandomState(0)
    start = find_start(X, None, 3, init_params, generator, 1)
    first, between = start(passes, 1e-6), generator.random_sample()
    again, after = start(passes, 1e-6), generator.random_sample()
    np.testing.assert_array_equal(again.scatter, first.scatter)
    assert after != between


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("init_params", STARTS)
def test_same_seed_same_start_float32(init_params, seed):
    X = skewed(dtype=np.float32)
    parameters = {"init_params": init_params, "max_iter": 0, "random_state": seed}
    ours = GaussianMixture(6, **parameters).fit(X)
    theirs = SklearnGaussianMixture(6, **parameters).fit(X)
    assert ours.means_.dtype == np.float32
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-5)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("n_init", [1, 3])
def test_generator_is_advanced_as_far(init_params, n_init):
    ours, theirs = np.random.RandomState(3), np.random.RandomState(3)
    parameters = {"init_params": init_params, "n_init": n_init, "max_iter": 0}
    GaussianMixture(5, random_state=ours, **parameters).fit(DATA["iris"])
    SklearnGaussianMixture(5, random_state=theirs, **parameters).fit(DATA["iris"])
    assert ours.random_sample() == theirs.random_sample()


@pytest.mark.parametrize("init_params", STARTS)
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
    with pytest.warns(
        ConvergenceWarning, match=r"distinct clusters \(3\) found smaller than n_clusters \(5\).*n_components=3\."
    ):
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
    labels, _, counts = lloyd(KMeansPasses(X, np.zeros(3), 7, weights, 2), centers, 1e-4 * X.var(axis=0).mean())
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
@pytest.mark.parametrize("init_params", STARTS)
def test_given_values_replace_what_the_start_finds(init_params, names):
    parameters = {"init_params": init_params, "max_iter": 0, "random_state": 0, **{name: GIVEN[name] for name in names}}
    ours = GaussianMixture(3, **parameters).fit(DATA["iris"])
    theirs = SklearnGaussianMixture(3, **parameters).fit(DATA["iris"])
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-12)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-12)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("init_params", STARTS)
def test_given_precisions_with_a_found_rest(init_params):
    parameters = {"init_params": init_params, "max_iter": 2, "random_state": 0}
    ours = GaussianMixture(3, precisions_init=GIVEN["precisions_init"], **parameters).fit(DATA["iris"])
    theirs = SklearnGaussianMixture(3, precisions_init=GIVEN["precisions_init"], **parameters).fit(DATA["iris"])
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-10)


@pytest.mark.parametrize("init_params", STARTS)
def test_nothing_is_drawn_if_all_is_given(init_params):
    generator = np.random.RandomState(0)
    GaussianMixture(3, init_params=init_params, random_state=generator, max_iter=0, **GIVEN).fit(DATA["iris"])
    assert generator.random_sample() == np.random.RandomState(0).random_sample()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_random_responsibilities_do_not_depend_on_blocks(random_numbers_in_small_blocks, dtype):
    X = DATA["skewed"].astype(dtype)
    gmm = GaussianMixture(3, init_params="random", max_iter=0, random_state=0)
    means = gmm.fit(X).means_
    with random_numbers_in_small_blocks():
        np.testing.assert_allclose(gmm.fit(X).means_, means, rtol=1e-12 if dtype == np.float64 else 1e-5)


# From a sample -------------------------------------------------------------------------------------------------------


def many_rows(n_samples=40_000, n_features=3, dtype=np.float64):
    """The fewest rows of which a sample is drawn for up to 125 components."""
    return skewed(n_samples, n_features, dtype)


MANY = many_rows()
COUNTS = np.random.default_rng(6).integers(1, 4, len(MANY))


def start_of(X, n_components=4, covariance_type="full", weights=None, estimator=GaussianMixture, **parameters):
    parameters = {"init_params": "sample", "random_state": 0, "max_iter": 0, **parameters}
    model = estimator(n_components=n_components, covariance_type=covariance_type, **parameters)
    return model.fit(X, sample_weight=weights)


def moments_under(X, resp, covariance_type, weights=None):
    """Weights, means and covariances under given responsibilities, written out."""
    resp = resp if weights is None else resp * weights[:, np.newaxis]
    nk = resp.sum(axis=0)
    means = resp.T @ X / nk[:, np.newaxis]
    covariances = np.array(
        [(r[:, np.newaxis] * (X - m)).T @ (X - m) / n for r, m, n in zip(resp.T, means, nk, strict=True)]
    )
    covariances += 1e-6 * np.eye(X.shape[1])
    shares = nk / nk.sum()
    variances = covariances.diagonal(axis1=1, axis2=2)
    return (
        shares,
        means,
        {
            "full": covariances,
            "tied": np.tensordot(shares, covariances, 1),
            "diag": variances,
            "spherical": variances.mean(axis=1),
        }[covariance_type],
    )


@pytest.mark.parametrize("weights", [None, COUNTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_sample_start_is_a_step_from_the_best_mixture_of_the_sample(monkeypatch, covariance_type, weights):
    """The responsibilities of all rows under the sample's mixture, as scikit-learn's estimator computes them."""
    found = []
    fitted = _sample._fitted

    def noted(sample, starts, reg_covar):
        found.append((sample, fitted(sample, starts, reg_covar)))
        return found[-1][1]

    monkeypatch.setattr(_sample, "_fitted", noted)
    start = start_of(MANY, covariance_type=covariance_type, weights=weights)
    [(sample, result)] = found
    parameters = result.parameters
    assert 4_000 < len(sample.X) <= 5_000
    theirs = SklearnGaussianMixture(4, covariance_type=covariance_type)
    theirs.weights_, theirs.means_ = parameters.weights, parameters.means
    theirs.precisions_cholesky_ = parameters.precisions_cholesky
    shares, means, covariances = moments_under(MANY, theirs.predict_proba(MANY), covariance_type, weights)
    np.testing.assert_allclose(start.weights_, shares, rtol=1e-9)
    np.testing.assert_allclose(start.means_, means, rtol=1e-9)
    np.testing.assert_allclose(start.covariances_, covariances, rtol=1e-8, atol=1e-9)


@pytest.mark.usefixtures("samples_too_small_for_em")
@pytest.mark.parametrize("covariance_type", TYPES)
def test_sample_start_without_rows_enough_for_em_is_refined_kmeans(kernel_calls, covariance_type):
    start = start_of(MANY, covariance_type=covariance_type)
    refined = [call for call in kernel_calls if call.name == "kmeans_pass" and len(call.arguments["X"]) == len(MANY)]
    centers = refined[0].arguments["centers"] + refined[0].arguments["shift"]
    labels = KMeans(4, init=centers, n_init=1, max_iter=10, tol=0.0).fit(MANY).labels_
    shares, means, covariances = moments_under(MANY, np.eye(4)[labels], covariance_type)
    np.testing.assert_allclose(start.weights_, shares, rtol=1e-9)
    np.testing.assert_allclose(start.means_, means, rtol=1e-9)
    np.testing.assert_allclose(start.covariances_, covariances, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("n_samples", [10, 1_000, 39_999])
def test_sample_start_of_few_rows_is_that_of_kmeans(n_samples):
    X = MANY[:n_samples]
    np.testing.assert_array_equal(start_of(X).means_, start_of(X, init_params="kmeans").means_)


def test_sample_start_of_few_rows_for_each_component_is_that_of_kmeans():
    np.testing.assert_array_equal(start_of(MANY, 126).means_, start_of(MANY, 126, init_params="kmeans").means_)


@pytest.mark.parametrize("weight", [1.0, 2.0])
@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
def test_equal_weights_draw_the_same_sample(estimator, weight):
    prior = {"mean_precision_prior": 1e-9} if estimator is BayesianGaussianMixture else {}
    ours = start_of(MANY, weights=np.full(len(MANY), weight), estimator=estimator, **prior)
    np.testing.assert_allclose(ours.means_, start_of(MANY, estimator=estimator, **prior).means_, rtol=1e-9)


def test_a_weight_equals_copies():
    """Rows are drawn by where they lie among the cumulated weights: the same ones."""
    weighted = start_of(MANY, weights=COUNTS, n_init=2)
    copied = start_of(np.repeat(MANY, COUNTS, axis=0), n_init=2)
    np.testing.assert_allclose(weighted.means_, copied.means_, rtol=1e-9)
    np.testing.assert_allclose(weighted.covariances_, copied.covariances_, rtol=1e-8)


@pytest.mark.parametrize("weights", [None, COUNTS], ids=["unweighted", "weighted"])
def test_sample_is_drawn_in_proportion_to_the_weights(weights):
    passes = ArrayPasses(np.arange(40_000.0)[:, np.newaxis], weights, 1, FULL, 1)
    sample = _sample.drawn(passes, 1, 5_000, np.random.RandomState(0))
    counted = np.ones(len(sample.X)) if sample.sample_weight is None else sample.sample_weight
    assert counted.sum() == 5_000
    shares = np.add.reduceat(counted, np.searchsorted(sample.X[:, 0], np.arange(0, 40_000, 4_000))) / 5_000
    expected = np.add.reduceat(np.ones(40_000) if weights is None else weights, np.arange(0, 40_000, 4_000))
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=2 / 5_000)


def test_sample_start_repeats():
    np.testing.assert_array_equal(start_of(MANY).means_, start_of(MANY).means_)
    assert not np.array_equal(start_of(MANY).means_, start_of(MANY, random_state=1).means_)


def test_each_start_draws_a_new_sample(kernel_calls):
    start_of(MANY, n_init=3)
    samples = [call for call in kernel_calls if 2 * len(call.arguments.get("X", MANY)) < len(MANY)]
    assert len({call.arguments["X"][:5].tobytes() for call in samples}) == 6  # for k-means and for EM


@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
def test_weights_too_uneven_for_a_sample_start_from_all_rows(estimator):
    weights = np.ones(len(MANY))
    weights[:10] = 1e5
    start = start_of(MANY, weights=weights, estimator=estimator)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    draws = np.random.RandomState(seed)
    draws.random_sample(5_000)
    kmeans = start_of(MANY, weights=weights, estimator=estimator, init_params="kmeans", random_state=draws)
    np.testing.assert_allclose(start.means_, kmeans.means_, rtol=1e-12)


@pytest.mark.parametrize("distance", [1e4, 1e9])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_row_far_out_that_the_sample_has_missed_starts_from_all_rows(covariance_type, distance):
    """It would draw in the component that reaches farthest, which EM never sorts out."""
    X = MANY.copy()
    X[-1] = distance
    passes = ArrayPasses(X, None, 4, COVARIANCE_TYPES[covariance_type], 1)
    with pytest.raises(PoorSampleError, match="less likely than the sample"):
        _sample.statistics_of_sample(passes, 4, 5_000, np.random.RandomState(0), 1e-6)
    assert start_of(X, covariance_type=covariance_type).weights_.min() == pytest.approx(1 / len(X))


def test_sample_without_positive_definite_covariance_starts_from_all_rows():
    """A cluster of one place and a few rows beside it: no covariance in most samples, but one of all rows."""
    X = MANY.copy()
    X[:400] = 200.0
    X[:8] += np.random.default_rng(0).normal(size=(8, 3))
    passes = ArrayPasses(X, None, 2, FULL, 1)
    with pytest.raises(ValueError, match="ill-defined"):
        _sample.statistics_of_sample(passes, 2, 5_000, np.random.RandomState(0), 0.0)
    assert np.isfinite(start_of(X, 2, reg_covar=0.0).means_).all()


def test_sample_start_of_float32():
    single, double = start_of(MANY.astype(np.float32)), start_of(MANY)
    assert single.means_.dtype == np.float32
    np.testing.assert_allclose(single.means_, double.means_, rtol=1e-3)


def test_sample_start_of_batches():
    """If the survey keeps all rows, in order, the start is that of one array."""
    batched = GaussianMixture(4, init_params="sample", random_state=0, max_iter=0)
    batched.fit_batches([MANY[:25_000], MANY[25_000:]])
    np.testing.assert_allclose(batched.means_, start_of(MANY).means_, rtol=1e-12)


def test_search_passes_the_sample_start_on():
    search = GaussianMixtureIC([3, 4], covariance_type=["diag", "full"], init_params="sample", random_state=0).fit(MANY)
    alone = start_of(MANY, 4, max_iter=100)
    assert search.best_estimator_.init_params == "sample"
    assert search.best_estimator_.score(MANY) > alone.score(MANY) - 1e-3


@pytest.mark.parametrize("covariance_type", TYPES)
def test_sample_start_leads_as_high_as_kmeans(covariance_type):
    """The best of three seeds each, on clusters of 3 to 22 % of the rows."""
    parameters = {"covariance_type": covariance_type, "max_iter": 100}
    ours, theirs = (
        max(start_of(MANY, 8, init_params=name, random_state=seed, **parameters).score(MANY) for seed in range(3))
        for name in ("sample", "kmeans")
    )
    assert ours > theirs - 1e-3
