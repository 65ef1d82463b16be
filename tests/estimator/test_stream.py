"""Learning from a stream: steps held against EM and a plain oracle; drift, tiny batches, and errors."""

import copy
import pickle

import numpy as np
import pytest
from _shared import oracle
from _shared.cases import all_types, both_estimators
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastgmm import BayesianGaussianMixture, GaussianMixture, batches
from fastgmm._em.stepwise import counted_rows, effective_rows, shrunk, step_size
from fastgmm._estimator import fit, stream
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.moments import Moments
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._utils.progress import SILENT

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FITTED = ["weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"]
POSTERIOR = ["weight_concentration_", "mean_precision_", "degrees_of_freedom_", "mean_prior_", "covariance_prior_"]


def clusters(n_rows=900, seed=0, dtype=np.float64):
    """Three overlapping ones in three features, in random order."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n_rows)
    scales, centers = np.array([1, 0.7, 2])[labels], np.array([0, 3, 8])[labels]
    return (rng.normal(size=(n_rows, 3)) * scales[:, np.newaxis] + centers[:, np.newaxis]).astype(dtype)


def given_start(covariance_type):
    precisions = {
        "full": np.tile(np.diag([0.5, 0.6, 0.7]), (3, 1, 1)),
        "tied": np.diag([0.5, 0.6, 0.7]),
        "diag": np.full((3, 3), 0.6),
        "spherical": np.array([0.5, 0.6, 0.7]),
    }[covariance_type]
    means = np.array([[0.5, 0, 0], [2, 3, 4], [7, 8, 8]])
    return {"weights_init": [0.2, 0.3, 0.5], "means_init": means, "precisions_init": precisions}


def learn(model, X, batch_rows, sample_weight=None):
    for start in range(0, len(X), batch_rows):
        rows = slice(start, start + batch_rows)
        model.partial_fit(X[rows], sample_weight=None if sample_weight is None else sample_weight[rows])
    return model


def assert_same_model(actual, expected, rtol):
    names = FITTED + [name for name in POSTERIOR if hasattr(expected, name)]
    for name in names:
        values = np.asarray(getattr(expected, name))
        np.testing.assert_allclose(getattr(actual, name), values, rtol=rtol, atol=rtol * np.abs(values).max())


def state_of(model):
    """All attributes, whatever the order in which they were set."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}


# One batch is EM ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("max_iter", [1, 4])
@all_types
@both_estimators
def test_first_batch_is_fitted_as_by_fit(estimator, covariance_type, max_iter, weighted):
    X = clusters()
    weights = np.random.default_rng(1).uniform(0, 3, len(X)) if weighted else None
    model = estimator(n_components=3, covariance_type=covariance_type, max_iter=max_iter, tol=0, random_state=0)
    if estimator is GaussianMixture:
        model.set_params(**given_start(covariance_type))
    learned = clone(model).partial_fit(X, sample_weight=weights)
    model.fit(X, sample_weight=weights)
    assert_same_model(learned, model, rtol=1e-12)
    assert learned.n_samples_seen_ == pytest.approx(model.n_samples_seen_, rel=1e-14)
    assert learned.n_iter_ == 1
    assert not learned.converged_
    assert learned.lower_bounds_ == [learned.lower_bound_]
    if estimator is GaussianMixture:
        assert learned.lower_bound_ == pytest.approx(model.lower_bound_, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_first_batch_knows_the_rounding_of_its_bound_as_fit_does(dtype, monkeypatch):
    """Without it 'aitken' waits in float32 for noise to shrink, until max_iter (900 rows, tol=1e-9: 26 iterations)."""
    given, run_em = [], fit.run_em

    def noted(*arguments, rounding, **named):
        given.append(rounding)
        return run_em(*arguments, rounding=rounding, **named)

    for module in (fit, stream):
        monkeypatch.setattr(module, "run_em", noted)
    GaussianMixture(3).partial_fit(clusters(dtype=dtype))
    GaussianMixture(3).fit(clusters(dtype=dtype))
    assert given[0] == given[1] > 0.0


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_first_batch_starts_as_fit_does(init_params):
    X = clusters()
    model = GaussianMixture(3, init_params=init_params, n_init=2, max_iter=5, tol=0, random_state=3)
    assert_same_model(clone(model).partial_fit(X), model.fit(X), rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@all_types
@both_estimators
def test_batch_after_a_fit_goes_on_from_it(estimator, covariance_type, weighted):
    """Where the second half repeats the first and every row counts equally, a step is half an iteration: statistics
    that the parameters stand for, and the batch's, in equal parts."""
    X = clusters()
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X)) if weighted else None
    model = estimator(n_components=3, covariance_type=covariance_type, max_iter=500, tol=1e-13, random_state=0)
    fitted = model.fit(X, sample_weight=weights)
    before = {name: np.copy(getattr(fitted, name)) for name in FITTED}
    fitted.set_params(step_decay=1.0).partial_fit(X, sample_weight=weights)
    if estimator is GaussianMixture:  # a fixed point
        for name in FITTED:
            np.testing.assert_allclose(getattr(fitted, name), before[name], rtol=1e-5, atol=1e-5)
    else:  # priors count for half as much
        assert fitted.mean_precision_.sum() == pytest.approx(3 + 2 * (len(X) if weights is None else weights.sum()))
    assert fitted.n_iter_ == 1


# Later batches --------------------------------------------------------------------------------------------------------


def oracle_steps(parts, parameters, covariance_type, step_decay, half_life, reg_covar=1e-6):
    """Averages of 1, x and x x^T about the origin, in extended precision; weights of the rows kept one by one."""
    X, weights = np.empty((0, 3)), np.empty(0)
    resp = np.empty((0, 3))
    seen = 0.0
    for rows, row_weights in parts:
        seen += row_weights.sum()
        step = (row_weights.sum() / seen) ** step_decay
        if half_life is not None:
            step = max(step, 1 - 0.5 ** (row_weights.sum() / half_life))
        new_resp = oracle.responsibilities(oracle.log_joint(rows, parameters, covariance_type))
        X, resp = np.vstack([X, rows]), np.vstack([resp, new_resp])
        weights = np.concatenate([(1 - step) * weights, step * row_weights / row_weights.sum()])
        parameters = oracle.m_step(X, 1e4 * weights, resp, covariance_type, reg_covar)
    return parameters


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("step_decay", "half_life"), [(0.6, None), (1.0, None), (0.8, 60.0)])
@all_types
def test_steps_equal_the_oracle(covariance_type, step_decay, half_life, weighted):
    X = clusters()
    weights = np.random.default_rng(1).uniform(0.1, 3, len(X)) if weighted else np.ones(len(X))
    cuts = [slice(0, 500), slice(500, 505), slice(505, 900)]
    start = given_start(covariance_type)
    model = GaussianMixture(
        3, covariance_type=covariance_type, max_iter=1, step_decay=step_decay, half_life=half_life, **start
    )
    for cut in cuts:
        model.partial_fit(X[cut], sample_weight=weights[cut] if weighted else None)
    factors = oracle.factors_of_precisions(start["precisions_init"], covariance_type)
    parameters = oracle.Parameters(np.array(start["weights_init"]), start["means_init"], None, factors)
    expected = oracle_steps(
        [(X[cut], weights[cut]) for cut in cuts], parameters, covariance_type, step_decay, half_life
    )
    np.testing.assert_allclose(model.weights_, expected.weights.astype(float), rtol=1e-11)
    np.testing.assert_allclose(model.means_, expected.means.astype(float), rtol=1e-11)
    np.testing.assert_allclose(model.covariances_, expected.covariances.astype(float), rtol=1e-10, atol=1e-12)
    assert model.n_samples_seen_ == pytest.approx(weights.sum(), rel=1e-14)
    assert model.n_iter_ == 3


@pytest.mark.parametrize("batch_rows", [1, 7, 300])
@both_estimators
def test_plain_average_of_one_component(estimator, batch_rows):
    """With one component all responsibilities are 1: whatever the batches, step_decay=1 gives the fit of all rows."""
    X = clusters()
    prior = {} if estimator is GaussianMixture else {"mean_prior": np.zeros(3), "covariance_prior": np.eye(3)}
    model = estimator(n_components=1, step_decay=1.0, **prior).partial_fit(X[:90])
    assert_same_model(learn(model, X[90:], batch_rows), estimator(n_components=1, **prior).fit(X), rtol=1e-11)


@both_estimators
def test_half_life_of_one_component(estimator):
    """Rows fade by a factor of 2 over half_life rows, however they are cut, once that is the larger step."""
    X = clusters()
    prior = {} if estimator is GaussianMixture else {"mean_prior": np.zeros(3), "covariance_prior": np.eye(3)}
    model = estimator(n_components=1, step_decay=1.0, half_life=50.0, **prior).partial_fit(X[:80])
    whole, cut = (learn(copy.deepcopy(model), X[80:], batch_rows) for batch_rows in (820, 1))
    ages = np.arange(820)[::-1]
    np.testing.assert_allclose(cut.means_.T @ cut.weights_, cut.means_[0])
    if estimator is GaussianMixture:
        row_weights = 0.5 ** (ages / 50)
        expected = np.average(X[80:], axis=0, weights=row_weights)
        np.testing.assert_allclose(cut.means_[0], expected, rtol=1e-4)  # what is left of the first rows: 2^-16
        np.testing.assert_allclose(whole.means_[0], X[80:].mean(axis=0), rtol=1e-4)
    else:
        np.testing.assert_allclose(cut.mean_precision_, 1 + 50 / np.log(2))


@pytest.mark.parametrize("half_life", [None, 100.0])
@pytest.mark.parametrize("n_parts", [2, 10])
def test_weights_of_rows_do_not_depend_on_the_cut(n_parts, half_life):
    """What is left of the rows before a batch: for step_decay=1 and for half-lives the product over its parts."""
    left, parts = 1.0, 1000.0 / n_parts
    for part in range(1, n_parts + 1):
        left *= 1.0 - step_size(parts, 5000.0 + part * parts, 1.0, half_life)
    assert left == pytest.approx(1.0 - step_size(1000.0, 6000.0, 1.0, half_life), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 2.0**70])
def test_units_of_the_weights_do_not_matter_without_priors(scale):
    X = clusters()
    weights = np.random.default_rng(1).uniform(0.1, 3, len(X))
    model = GaussianMixture(3, random_state=0)
    expected = learn(clone(model), X, 100, weights)
    assert_same_model(learn(clone(model), X, 100, scale * weights), expected, rtol=1e-9)


@all_types
def test_batch_far_away_loses_no_digits(covariance_type):
    """All that is near the old mean fades: what counts are sums about the new one, 1e6 deviations off."""
    X = clusters()
    model = GaussianMixture(1, covariance_type=covariance_type, half_life=1.0).partial_fit(X)
    model.partial_fit(X + 1e6)
    expected = GaussianMixture(1, covariance_type=covariance_type).fit(X + 1e6)
    assert_same_model(model, expected, rtol=1e-9)


# Moving sums ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_components", [1, 3])
@all_types
def test_sums_about_other_centers(covariance_type, n_components):
    rng = np.random.default_rng(0)
    X, resp = clusters(50), rng.dirichlet(np.ones(n_components), 50)
    old, new = rng.normal(size=(2, n_components, 3))
    nk, sum_x, scatter = (part.astype(float) for part in oracle.statistics(X, None, resp, old, covariance_type))
    statistics = SufficientStatistics(old, nk, sum_x, scatter, -7.0, 2.0, 50.0)
    before = copy.deepcopy(statistics)
    moved = statistics.moved_to(new)
    for actual, expected in zip(
        (moved.nk, moved.sum_x, moved.scatter), oracle.statistics(X, None, resp, new, covariance_type), strict=True
    ):
        np.testing.assert_allclose(actual, expected.astype(float), rtol=1e-12, atol=1e-11)
    np.testing.assert_array_equal(moved.centers, new)
    assert (moved.log_likelihood, moved.entropy, moved.total_weight) == (-7.0, 2.0, 50.0)
    np.testing.assert_array_equal(statistics.scatter, before.scatter)
    assert not np.shares_memory(moved.nk, statistics.nk)


@all_types
@both_estimators
def test_statistics_for_parameters_lead_back_to_them(estimator, covariance_type):
    X = clusters()
    model = estimator(n_components=5, covariance_type=covariance_type, reg_covar=0.1, random_state=0).fit(X)
    further = model._further_model(model._passes_to_fit(X[:2], None, SILENT))
    statistics = further.statistics_for(model._fitted_parameters(3))
    assert statistics.total_weight == pytest.approx(1.0, rel=1e-14)
    statistics.scale(len(X))
    parameters = further.m_step(further.moments(statistics), None)
    for name in ("means", "covariances", "precisions_cholesky"):
        np.testing.assert_allclose(getattr(parameters, name), getattr(model, f"{name}_"), rtol=1e-10, atol=1e-11)


# What a model becomes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_rows", [100, 1000])
@all_types
@both_estimators
def test_stationary_stream_leads_to_the_fit(estimator, covariance_type, batch_rows):
    X, held_out = clusters(30_000), clusters(20_000, seed=1)
    model = estimator(n_components=3, covariance_type=covariance_type, max_iter=1000, tol=1e-6, random_state=0)
    expected = clone(model).fit(X).score(held_out)
    assert learn(model, X, batch_rows).score(held_out) == pytest.approx(expected, abs=0.01)


@all_types
@both_estimators
def test_drift_is_followed(estimator, covariance_type):
    """All clusters wander by twelve deviations."""
    X = clusters(20_000) + np.linspace(0, 12, 20_000)[:, np.newaxis]
    last = X[-500:]
    model = estimator(n_components=3, covariance_type=covariance_type, random_state=0)
    if estimator is BayesianGaussianMixture:  # the prior mean stays where it was
        model.set_params(mean_precision_prior=1e-3)
    forgets = learn(clone(model).set_params(half_life=300.0), X, 100).score(last)
    keeps = learn(clone(model).set_params(step_decay=1.0), X, 100).score(last)
    assert forgets > clone(model).fit(X[-2000:]).score(last) - 0.15
    assert forgets > keeps + 0.3


@pytest.mark.parametrize("batch_rows", [16, 64])
@all_types
@both_estimators
def test_degenerate_first_batch_is_overcome(estimator, covariance_type, batch_rows):
    """Fewer rows for each component than a covariance has features."""
    rng = np.random.default_rng(0)
    centers = 6 * rng.normal(size=(8, 10))
    X = centers[rng.integers(8, size=12_000)] + rng.normal(size=(12_000, 10))
    model = estimator(n_components=8, covariance_type=covariance_type, random_state=0)
    learned = learn(model, X[:10_000], batch_rows)
    # The entropy of the clusters is 16.3; a spike of variance reg_covar on each first row leaves less than -50.
    assert learned.score(X[10_000:]) > -24


def test_components_with_enough_rows_borrow_nothing():
    nk = np.array([0.9, 0.1])
    covariances = np.array([np.eye(3), np.zeros((3, 3))])
    moments = Moments(nk, np.zeros((2, 3)), covariances, np.zeros((2, 3)), np.zeros(2, bool))
    full = COVARIANCE_TYPES["full"]
    assert shrunk(moments, full, 100.0) is moments
    found = shrunk(moments, full, 40.0).covariances
    np.testing.assert_array_equal(found[0], covariances[0])
    # 4 rows of 8 are its own, without variance; the others have the mean covariance within components, 0.9.
    np.testing.assert_allclose(found[1], 0.45 * np.eye(3), rtol=1e-14)


def test_effective_rows():
    assert effective_rows(None, 7) == 7.0
    assert effective_rows(np.full(7, 1e-3), 7) == pytest.approx(7.0)
    assert effective_rows(np.array([1.0, 1.0, 1e-9]), 3) == pytest.approx(2.0)
    assert counted_rows(1e6, None) == 1e6
    assert counted_rows(1e6, 100.0) == pytest.approx(100 / np.log(2))
    assert counted_rows(50.0, 100.0) == 50.0


# A good citizen -------------------------------------------------------------------------------------------------------


@both_estimators
def test_float32_is_kept(estimator):
    X = clusters(3000)
    single, double = estimator(n_components=3, random_state=0), estimator(n_components=3, random_state=0)
    learn(single.partial_fit(X[:300].astype(np.float32)), X[300:], 300)  # the first batch decides
    assert all(getattr(single, name).dtype == np.float32 for name in FITTED)
    np.testing.assert_allclose(single.means_, learn(double, X, 300).means_, atol=1e-4)


@pytest.mark.parametrize("n_threads", [1, 2])
@both_estimators
def test_repeats_bitwise(estimator, n_threads, threads_on_tiny_data):
    X = clusters(3000)
    first, second = (learn(estimator(n_components=3, random_state=0, n_threads=n_threads), X, 600) for _ in range(2))
    np.testing.assert_array_equal(first.covariances_, second.covariances_)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=str)
@both_estimators
def test_copies_go_on_alike(estimator, duplicate):
    X = clusters()
    model = learn(estimator(n_components=3, random_state=0), X[:800], 200)
    twin = duplicate(model).partial_fit(X[800:])
    np.testing.assert_array_equal(model.partial_fit(X[800:]).covariances_, twin.covariances_)


@both_estimators
def test_to_sklearn_and_back_goes_on(estimator):
    """Only parameters and the number of rows come back: statistics that lead to these."""
    X = clusters()
    model = estimator(n_components=3, random_state=0, step_decay=1.0).partial_fit(X[:800])
    back = estimator.from_sklearn(model.to_sklearn()).set_params(step_decay=1.0)
    assert_same_model(back.partial_fit(X[800:]), model.partial_fit(X[800:]), rtol=1e-8)
    assert back.n_samples_seen_ == 900


@both_estimators
def test_model_of_scikit_learn_needs_its_number_of_rows(estimator):
    X = clusters()
    model = estimator.from_sklearn(estimator._sklearn_class(n_components=3, random_state=0).fit(X))
    with pytest.raises(ValueError, match=r"n_samples_seen_ must be .* got nan: set it to the number of rows"):
        model.partial_fit(X)
    model.n_samples_seen_ = 900
    ours = estimator(n_components=3, random_state=0).fit(X).partial_fit(X[:50])
    assert_same_model(model.partial_fit(X[:50]), ours, rtol=1e-6)
    assert model.n_samples_seen_ == 950


@both_estimators
def test_fit_starts_anew(estimator):
    X = clusters()
    model = estimator(n_components=3, random_state=0, max_iter=3)
    expected = clone(model).fit(X)
    learn(model, X + 5, 100).fit(X)
    assert_same_model(model, expected, rtol=0)
    assert model.n_samples_seen_ == 900
    assert_same_model(model.partial_fit(X[:9]), expected.partial_fit(X[:9]), rtol=0)


@both_estimators
def test_fit_batches_is_gone_on_from(estimator):
    X = clusters()
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X))
    model = estimator(n_components=3, random_state=0)
    fitted = clone(model).fit_batches(batches.from_array(X, weights, batch_rows=100))
    assert fitted.n_samples_seen_ == pytest.approx(weights.sum())
    expected = model.fit(X, sample_weight=weights).partial_fit(X[:50])
    assert_same_model(fitted.partial_fit(X[:50]), expected, rtol=1e-9)


@both_estimators
def test_priors_and_names_are_those_of_the_first_batch(estimator):
    pd = pytest.importorskip("pandas")
    X = clusters()
    model = estimator(n_components=3, random_state=0).partial_fit(pd.DataFrame(X[:500], columns=list("abc")))
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    prior = getattr(model, "covariance_prior_", None)
    model.partial_fit(pd.DataFrame(X[500:] * 2, columns=list("abc")))
    np.testing.assert_array_equal(getattr(model, "covariance_prior_", None), prior)
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(pd.DataFrame(X, columns=list("cba")))


@both_estimators
def test_lower_bound_is_the_density_of_the_batch_before_it_is_learned(estimator):
    X = clusters()
    model = estimator(n_components=3, random_state=0).partial_fit(X[:500])
    weights = np.linspace(0, 1, 400)
    expected = model.score(X[500:], sample_weight=weights)
    assert model.partial_fit(X[500:], sample_weight=weights).lower_bound_ == pytest.approx(expected, rel=1e-12)


# Errors ---------------------------------------------------------------------------------------------------------------


@both_estimators
def test_rows_of_weight_zero_do_not_count(estimator):
    X = clusters()
    weights = np.r_[np.ones(450), np.zeros(450)]
    model, expected = (estimator(n_components=3, random_state=0) for _ in range(2))
    expected.partial_fit(X[:450])
    assert_same_model(model.partial_fit(X, sample_weight=weights), expected, rtol=0)
    before = state_of(model)
    assert model.partial_fit(X[:5], sample_weight=np.zeros(5)) is model
    assert state_of(model) == before
    with pytest.raises(ValueError, match="All entries of sample_weight are zero"):
        estimator().partial_fit(X[:5], sample_weight=np.zeros(5))


@pytest.mark.parametrize("n_rows", [1, 3])
@both_estimators
def test_first_batch_too_small(estimator, n_rows):
    model = estimator(n_components=4)
    with pytest.raises(ValueError, match=r"minimum of 2 is required|n_components = 4, n_samples = 3"):
        model.partial_fit(clusters()[:n_rows])
    with pytest.raises(NotFittedError):
        model.predict(clusters())
    assert not hasattr(model, "n_features_in_")


BAD_BATCHES = {
    "NaN": ((np.full((4, 3), np.nan),), "contains NaN"),
    "features": ((np.zeros((4, 2)),), "X has 2 features"),
    "no rows": ((np.zeros((0, 3)),), r"0 sample\(s\)"),
    "1-D": ((np.zeros(3),), "Expected 2D array"),
    "number of weights": ((np.zeros((4, 3)), None, np.ones(3)), "sample_weight"),
    "negative weights": ((np.zeros((4, 3)), None, -np.ones(4)), "Negative values"),
    "beyond reach": ((np.full((4, 3), 1e200),), "log-likelihood became -inf"),
}


@pytest.mark.parametrize("after", ["partial_fit", "fit"])
@pytest.mark.parametrize("bad", BAD_BATCHES)
@both_estimators
def test_bad_batch_leaves_the_model_as_it_was(estimator, bad, after):
    arguments, message = BAD_BATCHES[bad]
    model = estimator(n_components=2, random_state=0)
    getattr(model, after)(clusters())
    before = state_of(model)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(*arguments)
    assert state_of(model) == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n_components": 2}, r"has the shape .* Call fit again"),
        ({"covariance_type": "diag"}, r"has the shape .* Call fit again"),
    ],
    ids=str,
)
@both_estimators
def test_changed_shape_between_batches(estimator, changed, message):
    X = clusters()
    model = estimator(n_components=3, random_state=0).partial_fit(X)
    with pytest.raises(ValueError, match=message):
        model.set_params(**changed).partial_fit(X)


@both_estimators
def test_covariance_types_whose_parameters_look_alike(estimator):
    """Three components in three features: 'tied' and 'diag' both have matrices of 3 x 3."""
    X = clusters()
    model = estimator(n_components=3, covariance_type="tied", random_state=0).partial_fit(X)
    with pytest.raises(ValueError, match=r"the shape \(3, 3\) and values of covariance_type='tied', but .*'diag'"):
        model.set_params(covariance_type="diag").partial_fit(X)
    other = estimator(n_components=3, covariance_type="diag", random_state=0).fit(X)
    vars(model).update({name: value for name, value in vars(other).items() if name.endswith("_")})
    with pytest.raises(ValueError, match=r"shape \(1, 3, 3\), but covariance_type='diag' needs \(3, 3\)"):
        model.partial_fit(X)


@pytest.mark.parametrize(
    ("name", "value"),
    [("step_decay", value) for value in (0.5, 1.01, 0, None, np.nan, "fast")]
    + [("half_life", value) for value in (0, -1.0, np.nan, np.inf, "long")],
    ids=str,
)
@both_estimators
def test_bad_parameters(estimator, name, value):
    with pytest.raises(ValueError, match=rf"The '{name}' parameter of {estimator.__name__} must be .* Pass"):
        estimator(**{name: value}).partial_fit(clusters())


@pytest.mark.parametrize("weight", [1e20, 1e288])
@both_estimators
def test_a_batch_may_outweigh_all_before(estimator, weight):
    """The rows before are lost by rounding beside it; that was a division by zero."""
    mixture = estimator(n_components=1, random_state=0).fit(clusters())
    mixture.partial_fit(clusters()[:5], sample_weight=np.full(5, weight))
    np.testing.assert_allclose(mixture.means_[0], clusters()[:5].mean(axis=0), rtol=1e-6)
