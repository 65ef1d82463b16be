"""Missing values: `missing="marginalize"`."""

import numpy as np
import pytest
from _shared import incomplete, oracle
from _shared.incomplete import expected_statistics, with_holes
from _shared.skipping import Screens, separated
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.gaussian import MaximumLikelihood
from fastgmm._rows.incomplete import groups_of, passes_over
from fastgmm._skipping.screens import Goal

pd = pytest.importorskip("pandas")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

K = 3


def rows_of_clusters(n_rows=600, d=4, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    shapes = 0.6 * rng.normal(size=(K, d, d)) + 0.5 * np.eye(d)
    centers, labels = 4.0 * rng.normal(size=(K, d)), rng.integers(K, size=n_rows)
    return (np.einsum("nij,nj->ni", shapes[labels], rng.normal(size=(n_rows, d))) + centers[labels]).astype(dtype)


def a_mixture(structure, d, dtype, seed=0):
    """A model, and parameters of a mixture with some structure; matrices that it stands for."""
    rng = np.random.default_rng(seed)
    model = MaximumLikelihood(structure, K, d, dtype, 0.0)
    spread = rng.normal(size=(K, d, d))
    spread = spread @ spread.swapaxes(1, 2) + np.eye(d)
    covariances = structure.from_spread(spread if structure.kernel == "full" else spread.diagonal(0, 1, 2), np.ones(K))
    means = rng.normal(size=(K, d)).astype(dtype).astype(np.float64)
    parameters = model.assembled(np.array([0.2, 0.3, 0.5]), means, covariances)
    spread = model.spread(parameters)
    matrices = spread if spread.ndim == 3 else spread[:, :, np.newaxis] * np.eye(d)
    return parameters.components(structure), (parameters.weights, means, matrices)


def assert_close(actual, desired, tolerance):
    np.testing.assert_allclose(actual, desired, rtol=0, atol=tolerance * np.abs(desired).max())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 2, 5, 9])
@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical"])
def test_statistics_are_those_of_the_oracle(name, d, dtype):
    structure, rng = COVARIANCE_TYPES[name], np.random.default_rng(1)
    X = with_holes(rng.normal(size=(300, d)).astype(dtype), 0.4)
    X[:40] = rng.normal(size=(40, d))  # complete
    weights = rng.uniform(0.1, 2.0, len(X))
    components, mixture = a_mixture(structure, d, dtype)
    centers = (mixture[1] + rng.normal(size=(K, d))).astype(dtype).astype(np.float64)
    log_prob, resp, nk, sum_x, scatter, entropy = expected_statistics(X, weights, mixture, centers)
    if structure.kernel == "diag":
        scatter = scatter.diagonal(0, 1, 2)
        scatter = scatter.sum(axis=1, keepdims=True) if name == "spherical" else scatter
    elif structure.is_shared:
        scatter = scatter.sum(axis=0, keepdims=True)
    passes = passes_over(X, weights, K, structure, 2, may_miss_values=True)
    statistics = passes.em_step(components, centers, with_entropy=True)
    tolerance = 1e-11 if dtype == np.float64 else 3e-5
    assert_close(statistics.nk, nk, tolerance)
    assert_close(statistics.sum_x, sum_x, tolerance)
    assert_close(statistics.scatter, scatter, tolerance)
    if statistics.scatter.ndim == 3:
        np.testing.assert_array_equal(statistics.scatter, statistics.scatter.swapaxes(1, 2))
    assert_close([statistics.log_likelihood, statistics.entropy], [weights @ log_prob, entropy], tolerance)
    assert_close(passes.log_prob_norm(components), log_prob, tolerance)
    assert_close(passes.resp(components), resp, tolerance)
    np.testing.assert_array_equal(passes.predict(components), passes.resp(components).argmax(axis=1))
    sums = [weights @ log_prob, weights @ np.log(resp.max(axis=1))]
    assert_close(passes.criterion_sums(components), sums, tolerance)
    assert_close(passes.score_sum(components), sums[0], tolerance)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_threads_and_plans_change_nothing(covariance_type):
    """A pass that skips hands the complete rows to the kernels that skip."""
    X, mixture = separated(5000, 6, 12, covariance_type, np.float64)
    structure = COVARIANCE_TYPES[covariance_type]
    components, X = mixture.components(structure), with_holes(X, 0.05)
    one, two = (passes_over(X, None, 12, structure, n, may_miss_values=True) for n in (1, 2))
    dense = one.em_step(components, None, True)
    np.testing.assert_array_equal(dense.to_vector(), two.em_step(components, None, True).to_vector())
    plan = Screens(2, 4).plan(two.complete.X, mixture, covariance_type)
    skipping = two.em_step(components, None, True, plan)
    assert_close(skipping.nk, dense.nk, 1e-12)
    assert_close(skipping.scatter, dense.scatter, 1e-12)
    assert_close(skipping.log_likelihood, dense.log_likelihood, 1e-12)
    assert skipping.total_weight == dense.total_weight
    labels = Screens(2, 4).plan(two.complete.X, mixture, covariance_type, Goal.LABELS)
    np.testing.assert_array_equal(two.predict(components, labels), two.predict(components))
    densities = Screens(2, 4).plan(two.complete.X, mixture, covariance_type, Goal.DENSITIES)
    assert_close(two.log_prob_norm(components, densities), two.log_prob_norm(components), 1e-12)
    assert_close(two.score_sum(components, densities), two.score_sum(components), 1e-12)


@pytest.mark.parametrize(("name", "d"), [("full", 9), ("full", 20), ("tied", 9), ("diag", 9), ("spherical", 9)])
def test_small_and_large_groups_take_the_same_sums(name, d):
    """Rows with holes of their own are completed; copies of them are enough for a marginal mixture. Scales span 1e6."""
    structure, scales = COVARIANCE_TYPES[name], np.geomspace(1e-3, 1e3, d) if name != "spherical" else np.ones(d)
    _, (weights, means, matrices) = a_mixture(structure, d, np.float64)
    matrices = matrices * scales[:, np.newaxis] * scales
    if name == "tied":
        matrices = matrices[0]
    elif structure.kernel == "diag":
        matrices = matrices.diagonal(0, 1, 2) if name == "diag" else matrices[:, 0, 0]
    model = MaximumLikelihood(structure, K, d, np.float64, 0.0)
    components = model.assembled(weights, means * scales, matrices).components(structure)
    X = with_holes(rows_of_clusters(80, d), 0.2) * scales
    once, often = (passes_over(x, None, K, structure, 2, may_miss_values=True) for x in (X, np.repeat(X, 70, axis=0)))
    expected, found = often.em_step(components, None, True), once.em_step(components, None, True)
    assert_close(70 * found.nk, expected.nk, 1e-11)
    assert_close(70 * found.sum_x / scales, expected.sum_x / scales, 1e-11)
    units = np.multiply.outer(scales, scales) if structure.kernel == "full" else scales**2
    assert_close(70 * found.scatter / units, expected.scatter / units, 1e-11)
    assert_close(70 * found.entropy, expected.entropy, 1e-11)
    assert_close(70 * found.log_likelihood, expected.log_likelihood, 1e-11)


def test_sums_over_all_rows_are_refused():
    passes = passes_over(
        with_holes(rows_of_clusters(), 0.2), None, 1, COVARIANCE_TYPES["diag"], 1, may_miss_values=True
    )
    with pytest.raises(ValueError, match="missing='marginalize' does not combine"):
        passes.statistics_of_all(np.zeros((1, 4)))


@pytest.mark.parametrize(("name", "d"), [("full", 4), ("full", 7), ("tied", 7), ("diag", 7)])
def test_expectations_fill_rows(name, d):
    structure = COVARIANCE_TYPES[name]
    X = with_holes(rows_of_clusters(200, d), 0.4)
    X[3] = np.nan
    components, (weights, means, matrices) = a_mixture(structure, d, np.float64)
    passes = passes_over(X, None, K, structure, 2, may_miss_values=True)
    resp, filled = passes.resp(components), passes.filled(components)
    for x, r, found in zip(X, resp, filled, strict=True):
        o, m = np.flatnonzero(~np.isnan(x)), np.flatnonzero(np.isnan(x))
        expected = [
            mean[m] + S[np.ix_(m, o)] @ np.linalg.solve(S[np.ix_(o, o)], x[o] - mean[o])
            for mean, S in zip(means, matrices, strict=True)
        ]
        np.testing.assert_allclose(found[m], r @ expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(found[o], x[o])
    np.testing.assert_allclose(resp[3], weights, rtol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_parameters_in_any_order_of_memory(covariance_type):
    """Means and factors with columns one after the other, as slices and DataFrames have them."""
    X = with_holes(rows_of_clusters(200), 0.2)
    gmm = GaussianMixture(K, covariance_type=covariance_type, missing="marginalize", random_state=0).fit(X)
    given = {"weights_init": gmm.weights_, "means_init": gmm.means_, "precisions_init": gmm.precisions_}
    by_column = {name: np.asfortranarray(values) for name, values in given.items()}
    one, other = (clone(gmm).set_params(max_iter=2, **start).fit(X) for start in (given, by_column))
    np.testing.assert_array_equal(one.means_, other.means_)
    other.means_, other.precisions_cholesky_ = map(np.asfortranarray, (other.means_, other.precisions_cholesky_))
    np.testing.assert_array_equal(one.impute(X), other.impute(X))


@pytest.mark.parametrize("n_features", [3, 70])
def test_groups_hold_each_row_once(n_features):
    X = with_holes(np.random.default_rng(0).normal(size=(500, n_features)), 3 / n_features)
    X[7] = np.nan
    groups = groups_of(X)
    np.testing.assert_array_equal(np.sort(np.append(groups.order, groups.empty)), np.arange(500))
    assert groups.empty == [7]
    for g, (first, end) in enumerate(zip(groups.starts, groups.starts[1:], strict=False)):
        observed, missing = np.split(groups.features[g], groups.n_observed[[g]])
        rows = X[groups.order[first:end]]
        assert not np.isnan(rows[:, observed]).any()
        assert np.isnan(rows[:, missing]).all()
    assert len(np.unique(np.isnan(X), axis=0)) == len(groups.n_observed) + 1
    assert groups_of(X[[0]] * 0 + 1 if not np.isnan(X[0]).any() else np.ones((2, 2))) is None


def test_iterations_are_those_of_the_oracle():
    X = with_holes(rows_of_clusters(250), 0.2)
    means = np.random.default_rng(3).normal(size=(K, 4))
    start = oracle.Parameters(np.full(K, 1 / K), means, None, np.tile(0.5 * np.eye(4), (K, 1, 1)))
    expected, bounds = incomplete.em(X, start, "full", 1e-6, 8)
    initial = {"weights_init": start.weights, "means_init": means, "precisions_init": start.precisions_cholesky**2}
    gmm = GaussianMixture(K, **initial, tol=0, max_iter=8, missing="marginalize").fit(X)
    np.testing.assert_allclose(gmm.lower_bounds_, np.array(bounds, float), rtol=1e-13)
    np.testing.assert_allclose(gmm.weights_, expected.weights.astype(float), rtol=1e-12)
    np.testing.assert_allclose(gmm.means_, expected.means.astype(float), rtol=0, atol=1e-13)
    assert oracle.covariance_error(gmm.covariances_, expected.covariances, "full") < 1e-13


def test_optimum_is_that_of_generic_optimization():
    """SciPy's BFGS on the likelihood of the values that are there, from where the fit began."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(60, 2)) @ [[1, 0.8], [0, 0.6]], rng.normal(size=(60, 2)) + np.array([4, 3])])
    X = with_holes(X, 0.25)

    def unpacked(theta):
        share = 1 / (1 + np.exp(-theta[0]))
        L = np.zeros((2, 2, 2))
        L[:, 0, 0], L[:, 1, 1], L[:, 1, 0] = np.exp(theta[5:7]), np.exp(theta[7:9]), theta[9:11]
        return np.array([share, 1 - share]), theta[1:5].reshape(2, 2), L @ L.swapaxes(1, 2)

    def objective(theta):
        weights, means, matrices = unpacked(theta)
        total = 0.0
        for o in ([0, 1], [0], [1]):
            others = [j for j in (0, 1) if j not in o]
            rows = X[~np.isnan(X[:, o]).any(axis=1) & np.isnan(X[:, others]).all(axis=1)][:, o]
            densities = [
                w * multivariate_normal.pdf(rows, mean[o], S[np.ix_(o, o)])
                for w, mean, S in zip(weights, means, matrices, strict=True)
            ]
            total += np.log(np.sum(densities, axis=0)).sum()
        return -total / len(X)

    best = minimize(objective, [0, 0, 0, 4, 3, *np.zeros(6)], method="BFGS", options={"gtol": 1e-8})
    weights, means, matrices = unpacked(best.x)
    options = {"tol": 1e-13, "max_iter": 5000, "reg_covar": 0, "missing": "marginalize"}
    start = {"means_init": [[0, 0], [4, 3]], "random_state": 0}
    for acceleration in (None, "lbfgs"):
        gmm = GaussianMixture(2, **options, **start, acceleration=acceleration).fit(X)
        np.testing.assert_allclose(gmm.score(X), -best.fun, rtol=1e-9)
        np.testing.assert_allclose(gmm.weights_, weights, atol=2e-5)
        np.testing.assert_allclose(gmm.means_, means, atol=1e-4)
        np.testing.assert_allclose(gmm.covariances_, matrices, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", COVARIANCE_TYPES)
def test_likelihood_never_falls(name, dtype):
    X = with_holes(rows_of_clusters(dtype=dtype), 0.2)
    gmm = GaussianMixture(K, covariance_type=name, tol=0, max_iter=30, random_state=0, missing="marginalize").fit(X)
    assert np.diff(gmm.lower_bounds_).min() > -(1e-9 if dtype == np.float64 else 1e-6)
    assert gmm.means_.dtype == dtype
    np.testing.assert_allclose(gmm.score(X), gmm.lower_bound_, rtol=1e-3)


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical"])
def test_bound_of_the_bayesian_mixture_never_falls(name):
    X = with_holes(rows_of_clusters(), 0.2)
    options = {"tol": 0, "max_iter": 40, "reg_covar": 0, "random_state": 0, "missing": "marginalize"}
    bgm = BayesianGaussianMixture(n_components=5, covariance_type=name, **options).fit(X)
    assert np.diff(bgm.lower_bounds_).min() > -1e-8
    if name == "full":  # the prior is the most likely Gaussian, which a mixture of one finds, too
        one = GaussianMixture(1, tol=1e-9, max_iter=1000, missing="marginalize").fit(X)
        np.testing.assert_allclose(bgm.mean_prior_, one.means_[0], rtol=0.01)
        np.testing.assert_allclose(bgm.covariance_prior_, one.covariances_[0] * 600 / 599, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("Estimator", [GaussianMixture, BayesianGaussianMixture])
def test_complete_rows_take_the_same_path(Estimator):
    X = rows_of_clusters()
    raising, marginalizing = (
        Estimator(n_components=K, random_state=0, missing=missing).fit(X) for missing in ("raise", "marginalize")
    )
    np.testing.assert_array_equal(raising.means_, marginalizing.means_)
    np.testing.assert_array_equal(raising.predict_proba(X), marginalizing.predict_proba(X))
    with pytest.raises(ValueError, match=r'Input X contains NaN.*missing="marginalize"'):
        raising.predict(with_holes(X, 0.1))
    with pytest.raises(ValueError, match="Input X contains infinity"):
        marginalizing.predict([[np.inf, 0, 0, np.nan]])
    with pytest.raises(ValueError, match="The 'missing' parameter"):
        Estimator(missing="drop").fit(X)


def test_weights_are_copies_of_rows():
    X = with_holes(rows_of_clusters(), 0.2)
    counts = np.random.default_rng(0).integers(0, 3, len(X))
    options = {"means_init": np.nan_to_num(X[:K]), "random_state": 0, "missing": "marginalize", "tol": 1e-9}
    options |= {"precisions_init": np.tile(0.1 * np.eye(4), (K, 1, 1)), "weights_init": [0.2, 0.3, 0.5]}
    weighted = GaussianMixture(K, **options).fit(X, sample_weight=counts)
    copied = GaussianMixture(K, **options).fit(np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.means_, copied.means_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(weighted.bic(X, counts), copied.bic(np.repeat(X, counts, axis=0)), rtol=1e-10)


@pytest.mark.parametrize("way", ["batches", "dask", "stream"])
def test_parts_add_up(way, tmp_path):
    X, weights = with_holes(rows_of_clusters(), 0.2), np.random.default_rng(0).uniform(0.5, 2, 600)
    X[5] = np.nan
    options = {"random_state": 0, "missing": "marginalize", "tol": 1e-6}
    with pytest.warns(UserWarning, match="1 row without any value"):
        whole = GaussianMixture(K, **options).fit(X, sample_weight=weights)
    assert whole.n_samples_seen_ == pytest.approx(weights.sum() - weights[5])
    if way == "batches":
        batches = list(zip(np.array_split(X, 5), np.array_split(weights, 5), strict=True))
        with pytest.warns(UserWarning, match="1 row without any value"):
            parts = GaussianMixture(K, **options).fit_batches(batches)
    elif way == "dask":
        da, estimators = pytest.importorskip("dask.array"), pytest.importorskip("fastgmm.dask")
        rows = da.from_array(X, chunks=(130, -1))
        with pytest.warns(UserWarning, match="without any value"):
            parts = estimators.GaussianMixture(K, **options).fit(rows, sample_weight=weights)
        np.testing.assert_array_equal(parts.predict(rows).compute(), parts.to_local().predict(X))
        with pytest.warns(UserWarning, match="without any value"):
            np.testing.assert_allclose(parts.score(X, sample_weight=weights), parts.score(rows, sample_weight=weights))
        # Without weights: the chunk that holds the row without any value gets some.
        with pytest.warns(UserWarning, match="without any value"):
            of_chunks = estimators.GaussianMixture(K, **options).fit(rows)
        with pytest.warns(UserWarning, match="without any value"):
            of_array = GaussianMixture(K, **options).fit(X)
        np.testing.assert_allclose(of_chunks.lower_bound_, of_array.lower_bound_, rtol=1e-10)
    else:
        parts = GaussianMixture(K, **options)
        for rows in np.array_split(X[6:], 4):
            parts.partial_fit(rows)
        assert parts.score(X[6:]) > whole.score(X[6:]) - 0.1
        return
    np.testing.assert_allclose(np.sort(parts.means_, axis=0), np.sort(whole.means_, axis=0), rtol=1e-7)
    np.testing.assert_allclose(parts.lower_bound_, whole.lower_bound_, rtol=1e-10)


@pytest.mark.parametrize(
    "init_params", ["k-means++", "random", "random_from_data", "sample", "split_merge", "function"]
)
def test_each_start_gets_filled_rows(init_params):
    X = with_holes(rows_of_clusters(), 0.1)
    seen = []

    def labels(rows, n_components, random_state):
        seen.append(rows)
        return np.arange(len(rows)) % n_components

    start = labels if init_params == "function" else init_params
    options = {"max_iter": 500, "random_state": 0, "n_init": 2, "missing": "marginalize"}
    gmm = GaussianMixture(K, init_params=start, **options).fit(X)
    assert np.isfinite(gmm.lower_bound_)
    if seen:
        is_there = ~np.isnan(X)
        assert np.isfinite(seen[0]).all()
        np.testing.assert_array_equal(seen[0][is_there], X[is_there])


def test_rows_without_values_have_the_weights_of_the_components():
    X = with_holes(rows_of_clusters(), 0.2)
    gmm = GaussianMixture(K, random_state=0, missing="marginalize").fit(X)
    empty = np.full((1, 4), np.nan)
    np.testing.assert_allclose(gmm.predict_proba(empty)[0], gmm.weights_, rtol=1e-12)
    np.testing.assert_allclose(gmm.score_samples(empty), 0, atol=1e-14)
    assert gmm.predict(empty) == gmm.weights_.argmax()
    with pytest.warns(UserWarning, match="1 row without any value"):
        assert gmm.score(np.concatenate([X, empty])) == pytest.approx(gmm.score(X), rel=1e-14)
    labels = np.arange(601) % K
    with pytest.warns(UserWarning, match="1 row without any value"):
        with_empty = GaussianMixture(K, init_params=labels, max_iter=1, missing="marginalize").fit(
            np.concatenate([X, empty])
        )
    without = GaussianMixture(K, init_params=labels[:-1], max_iter=1, missing="marginalize").fit(X)
    np.testing.assert_array_equal(with_empty.means_, without.means_)


@pytest.mark.parametrize(
    "make",
    [
        lambda X: pd.DataFrame(X).astype("Float64").rename(columns=str),
        lambda X: pd.DataFrame(X).astype(object).where(~np.isnan(X), pd.NA),
        lambda X: pd.DataFrame(X),
        lambda X: pytest.importorskip("polars").DataFrame([[None if np.isnan(x) else x for x in row] for row in X.T]),
        lambda X: [[None if np.isnan(x) else float(x) for x in row] for row in X],
        lambda X: [[pd.NA if np.isnan(x) else float(x) for x in row] for row in X],
    ],
    ids=["Float64", "NA", "NaN", "polars", "None", "NA in lists"],
)
def test_what_counts_as_missing(make):
    X = with_holes(rows_of_clusters(80), 0.2)
    gmm = GaussianMixture(K, random_state=0, missing="marginalize", max_iter=3).fit(make(X))
    expected = GaussianMixture(K, random_state=0, missing="marginalize", max_iter=3).fit(X).predict_proba(X)
    np.testing.assert_array_equal(gmm.predict_proba(make(X)), expected)
    with pytest.raises(ValueError, match=r'contains NaN.*missing="marginalize"'):
        GaussianMixture(K).fit(make(X))


@pytest.mark.parametrize("criterion", ["bic", "cv"])
def test_search(criterion):
    X = with_holes(rows_of_clusters(), 0.1)
    search = GaussianMixtureIC((2, 3), covariance_type=("full", "diag"), criterion=criterion, cv=3, random_state=0)
    search.set_params(missing="marginalize").fit(X)
    assert (search.n_components_, search.covariance_type_) == (3, "full")
    column = "bic" if criterion == "bic" else "log_likelihood"
    best = np.nanargmin(search.criterion_["criterion"])
    expected = search.bic(X) if criterion == "bic" else search.score(X) * len(X)
    np.testing.assert_allclose(search.criterion_[column][best], expected, rtol=1e-12)


def test_tags_of_a_search():
    assert get_tags(GaussianMixtureIC(missing="marginalize")).input_tags.allow_nan


@pytest.mark.parametrize("Estimator", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_the_estimators(Estimator):
    assert not get_tags(Estimator()).input_tags.allow_nan
    estimator = Estimator(missing="marginalize")
    assert get_tags(estimator).input_tags.allow_nan
    check_estimator(estimator)
