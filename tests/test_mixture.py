"""The estimators as users meet them, with scikit-learn's as the oracle: same start, same answer.

`GaussianMixture`, and what it shares with `BayesianGaussianMixture`, whose priors have a module of their own."""

import copy
import pickle
import tracemalloc
import warnings
from numbers import Integral
from typing import ClassVar

import numpy as np
import pytest
from _shared.assertions import SKLEARN, assert_same_fit, fit_both
from _shared.cases import TYPES, both_estimators
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import Interval
from sklearn.utils.estimator_checks import estimator_checks_generator

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm._skipping import policy
from fastgmm._skipping.trials import CellTrials, ScreenTrials
from fastgmm.datasets import load_old_faithful

pd = pytest.importorskip("pandas")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FITTED_ARRAYS = ["weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"]
N_COMPONENTS = 3
OURS = {
    "stopping": "change",
    "acceleration": None,
    "step_decay": 0.6,
    "half_life": None,
    "missing": "raise",
    "n_threads": None,
}
OUR_PARAMETERS = {
    GaussianMixture: {"fixed": None, "noise": False, "prior": None, **OURS},
    BayesianGaussianMixture: OURS,
}


def blobs(n_rows=200, n_features=3, dtype=np.float64):
    rng = np.random.default_rng(0)
    parts = [rng.normal(center, scale, (n_rows, n_features)) for center, scale in ((0, 1), (3, 0.7), (5, 2))]
    return np.vstack(parts).astype(dtype)


DATA = {"iris": load_iris().data, "blobs": blobs()}


def start_for(X, covariance_type):
    """Initial parameters that do not come from any estimator."""
    precision = 1.0 / X.var(axis=0)
    precisions = {
        "full": np.tile(np.diag(precision), (N_COMPONENTS, 1, 1)),
        "tied": np.diag(precision),
        "diag": np.tile(precision, (N_COMPONENTS, 1)),
        "spherical": np.full(N_COMPONENTS, precision.mean()),
    }
    return {
        "weights_init": np.array([0.5, 0.2, 0.3]),
        "means_init": X[[10, len(X) // 2, len(X) - 10]].astype(np.float64),
        "precisions_init": precisions[covariance_type],
    }


# Same start, same answer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_iter", [1, 2, 10, 100])
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("data", DATA)
def test_parity_after_n_iterations(data, covariance_type, n_iter):
    X = DATA[data]
    ours, theirs = fit_both(
        X, n_components=3, covariance_type=covariance_type, max_iter=n_iter, tol=0.0, **start_for(X, covariance_type)
    )
    assert_same_fit(ours, theirs)


@pytest.mark.parametrize("n_iter", [1, 10])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_parity_float32(covariance_type, n_iter):
    X = blobs(dtype=np.float32)
    start = {name: value.astype(np.float32) for name, value in start_for(X, covariance_type).items()}
    ours, theirs = fit_both(X, n_components=3, covariance_type=covariance_type, max_iter=n_iter, tol=0.0, **start)
    assert_same_fit(ours, theirs, rtol=1e-4)  # scikit-learn's own float32 error, not ours


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_parity_of_default_fits(covariance_type, init_params):
    ours, theirs = fit_both(
        DATA["blobs"], n_components=3, covariance_type=covariance_type, init_params=init_params, random_state=7
    )
    assert_same_fit(ours, theirs)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_parity_of_predictions(covariance_type, dtype):
    X = blobs(dtype=dtype)
    ours, _ = fit_both(X, n_components=3, covariance_type=covariance_type, random_state=0)
    theirs = ours.to_sklearn()
    rtol = 1e-9 if dtype == np.float64 else 1e-4
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.predict_proba(X).dtype == dtype
    assert ours.score_samples(X).dtype == dtype
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=rtol)
    np.testing.assert_allclose(ours.score(X), theirs.score(X), rtol=rtol)
    np.testing.assert_allclose(ours.aic(X), theirs.aic(X), rtol=rtol)
    np.testing.assert_allclose(ours.bic(X), theirs.bic(X), rtol=rtol)


@pytest.mark.parametrize("name", FITTED_ARRAYS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("max_iter", [0, 5])
def test_attributes_have_the_dtype_of_the_data(max_iter, dtype, name):
    X = blobs(dtype=dtype)
    gmm = GaussianMixture(3, weights_init=[0.2, 0.3, 0.5], max_iter=max_iter, random_state=0).fit(X)
    assert getattr(gmm, name).dtype == dtype


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sample_draws_what_scikit_learn_draws(covariance_type, dtype):
    ours = GaussianMixture(3, covariance_type=covariance_type, random_state=3).fit(blobs(dtype=dtype))
    X, labels = ours.sample(50)
    X_theirs, labels_theirs = ours.to_sklearn().sample(50)
    np.testing.assert_array_equal(X, X_theirs)
    np.testing.assert_array_equal(labels, labels_theirs)


@pytest.mark.parametrize("covariance_type", TYPES)
@both_estimators
def test_random_numbers_of_one_call(estimator, covariance_type):
    model = estimator(n_components=3, covariance_type=covariance_type, random_state=3).fit(blobs())
    theirs = model.to_sklearn().set_params(random_state=7)
    expected = [theirs.sample(20), theirs.set_params(random_state=np.random.RandomState(8)).sample(9)]
    ours = [model.sample(20, random_state=7), model.sample(9, random_state=np.random.RandomState(8))]
    np.testing.assert_equal(ours, expected)
    stream = np.random.RandomState(0)
    assert (model.sample(5, random_state=stream)[0] != model.sample(5, random_state=stream)[0]).all()
    np.testing.assert_equal(model.sample(5), model.sample(5))


@pytest.mark.parametrize("random_state", [-1, 2**32, 1.5, "seed", np.random.default_rng(0)], ids=str)
def test_bad_random_numbers_of_one_call(random_state):
    gmm = GaussianMixture(3, random_state=0).fit(blobs())
    with pytest.raises(ValueError, match=r"The 'random_state' parameter of \w+\.sample must be an int in"):
        gmm.sample(2, random_state=random_state)


@pytest.mark.parametrize(
    ("n_samples", "error", "message"),
    [
        (0, ValueError, "Invalid value for 'n_samples': 0 . The sampling requires at least one sample"),
        (-3, ValueError, "Invalid value for 'n_samples': -3 "),
        (float("nan"), TypeError, "n_samples must be an int >= 1, got nan"),
        ("2", TypeError, "n_samples must be an int >= 1, got '2'"),
        (None, TypeError, "n_samples must be an int >= 1, got None"),
    ],
)
def test_bad_number_of_rows_to_draw(n_samples, error, message):
    gmm = GaussianMixture(3, random_state=0).fit(blobs())
    with pytest.raises(error, match=message):
        gmm.sample(n_samples)


@pytest.mark.parametrize("covariance_type", TYPES)
@both_estimators
def test_draws_of_a_model_in_float32_whose_last_components_are_empty(estimator, covariance_type):
    """In float64 the first weights, rounded to float32, add up to more than 1."""
    model = estimator(n_components=4, covariance_type=covariance_type, random_state=0).fit(blobs(dtype=np.float32))
    model.weights_ = np.array([0.6, 0.3, 0.1, 0.0], np.float32)
    assert model.weights_[:3].sum(dtype=float) > 1.0 + 1e-12
    X, labels = model.sample(5_000)
    assert len(X) == 5_000
    assert set(labels) == {0, 1, 2}


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_draws_of_a_model_in_float32_whose_covariances_are_no_longer_positive_definite(covariance_type):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_000, 1)) * [1.0, 1.0] + rng.normal(size=(2_000, 1)) * [1e-4, -1e-4]
    gmm = GaussianMixture(1, covariance_type=covariance_type, reg_covar=0).fit(X)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        setattr(gmm, name, getattr(gmm, name).astype(np.float32))
    along, across = (gmm.sample(2_000, random_state=0)[0] @ [[1, 1], [1, -1]]).std(axis=0)
    np.testing.assert_allclose([along, across], (X @ [[1, 1], [1, -1]]).std(axis=0), rtol=0.1)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_draws_of_a_model_without_covariances(covariance_type):
    gmm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(blobs())
    expected = gmm.sample(30)
    del gmm.covariances_
    np.testing.assert_allclose(gmm.sample(30)[0], expected[0], rtol=1e-9)


OPTIMA = [  # R mclust 6.0.0, EM to 1e-12, no regularization
    ("old_faithful", "full", 1, -1289.796745, 2607.6225),
    ("old_faithful", "full", 2, -1130.263960, 2322.1917),
    ("old_faithful", "tied", 3, -1126.315928, 2314.2957),
    ("old_faithful", "diag", 2, -1147.806353, 2346.0649),
    ("old_faithful", "spherical", 2, -1709.529282, 3458.2992),
    ("iris", "full", 2, -214.354704, 574.0178),
    ("iris", "full", 3, -180.185477, 580.8389),
    ("iris", "tied", 3, -256.354043, 632.9633),
    ("iris", "diag", 3, -307.177572, 744.6317),
    ("iris", "spherical", 3, -384.314095, 853.8090),
]


@pytest.mark.parametrize(("data", "covariance_type", "n_components", "log_likelihood", "bic"), OPTIMA)
def test_published_optimum(data, covariance_type, n_components, log_likelihood, bic):
    X = load_old_faithful() if data == "old_faithful" else DATA["iris"]
    gmm = GaussianMixture(
        n_components, covariance_type=covariance_type, reg_covar=0.0, tol=1e-13, max_iter=10_000, random_state=0
    ).fit(X)
    assert gmm.score(X) * len(X) == pytest.approx(log_likelihood, abs=2e-6)
    assert gmm.bic(X) == pytest.approx(bic, abs=1e-4)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_lower_bound_never_falls(covariance_type):
    gmm = GaussianMixture(3, covariance_type=covariance_type, tol=0, max_iter=60, reg_covar=0, random_state=1)
    assert np.diff(gmm.fit(DATA["iris"]).lower_bounds_).min() > -1e-13


def test_lower_bound_belongs_to_the_parameters_before_the_last_m_step():
    X = DATA["blobs"]
    before = GaussianMixture(3, max_iter=4, tol=0, **start_for(X, "full")).fit(X)
    after = GaussianMixture(3, max_iter=5, tol=0, **start_for(X, "full")).fit(X)
    assert after.lower_bound_ == pytest.approx(before.score(X), rel=1e-13)
    assert after.score(X) > after.lower_bound_


# Hard data -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", TYPES)
def test_translation_changes_nothing_but_the_means(covariance_type):
    X = np.round(blobs() * 2**20) / 2**20  # so that the shifted data are exact
    start = start_for(X, covariance_type)
    near = GaussianMixture(3, covariance_type=covariance_type, max_iter=10, tol=0, **start).fit(X)
    start["means_init"] = start["means_init"] + 1e6
    far = GaussianMixture(3, covariance_type=covariance_type, max_iter=10, tol=0, **start).fit(X + 1e6)
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(far.means_ - 1e6, near.means_, atol=1e-8)
    assert far.lower_bound_ == pytest.approx(near.lower_bound_, rel=1e-9)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_means_that_start_far_away_lose_no_digits(covariance_type):
    X = blobs()
    gmm = GaussianMixture(1, covariance_type=covariance_type, means_init=[[1e7] * 3], max_iter=1, reg_covar=0).fit(X)
    cov = np.cov(X.T, bias=True)
    expected = {"full": [cov], "tied": cov, "diag": [np.diag(cov)], "spherical": [np.trace(cov) / 3]}[covariance_type]
    np.testing.assert_allclose(gmm.covariances_, expected, rtol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_columns_of_very_different_scale(covariance_type):
    X, scales = blobs(), np.array([2.0**-20, 1.0, 2.0**20])
    start = start_for(X, covariance_type)
    parameters = {"covariance_type": covariance_type, "max_iter": 10, "tol": 0, "reg_covar": 0}
    plain = GaussianMixture(3, **parameters, **start).fit(X)
    start["means_init"] = start["means_init"] * scales
    product = scales if covariance_type == "diag" else np.outer(scales, scales)
    start["precisions_init"] = start["precisions_init"] / (product**2 if covariance_type == "diag" else product)
    scaled = GaussianMixture(3, **parameters, **start).fit(X * scales)
    np.testing.assert_allclose(scaled.means_, plain.means_ * scales, rtol=1e-11)
    expected = plain.covariances_ * (product**2 if covariance_type == "diag" else product)
    np.testing.assert_allclose(scaled.covariances_, expected, rtol=1e-10)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_as_many_components_as_rows(covariance_type, dtype):
    X = blobs(n_rows=2, dtype=dtype)
    gmm = GaussianMixture(len(X), covariance_type=covariance_type, random_state=0).fit(X)
    assert np.isfinite(gmm.score_samples(X)).all()


@pytest.mark.parametrize("covariance_type", TYPES)
def test_single_feature(covariance_type):
    ours, theirs = fit_both(blobs(n_features=1), n_components=3, covariance_type=covariance_type, random_state=0)
    assert_same_fit(ours, theirs)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_overflow_is_an_error_that_says_what_to_do(covariance_type, dtype):
    X = blobs(dtype=np.float64) * (1e200 if dtype == np.float64 else 1e30)
    with pytest.raises(ValueError, match=r"[Rr]escale|scale the (features|input data)"):
        GaussianMixture(3, covariance_type=covariance_type, init_params="random", random_state=0).fit(X.astype(dtype))


@pytest.mark.parametrize("covariance_type", TYPES)
def test_row_beyond_reach_is_an_error(covariance_type):
    X = blobs()
    X[5] = 1e160
    with pytest.raises(ValueError, match=r"log-likelihood became -inf.*Rescale"):
        GaussianMixture(3, covariance_type=covariance_type, **start_for(blobs(), covariance_type)).fit(X)


# Sample weights ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_integer_weights_equal_copies(covariance_type, dtype):
    X = blobs(dtype=dtype)
    counts = np.random.default_rng(1).integers(0, 4, len(X))
    parameters = {"covariance_type": covariance_type, "max_iter": 20, "tol": 0, **start_for(X, covariance_type)}
    weighted = GaussianMixture(3, **parameters).fit(X, sample_weight=counts)
    repeated = GaussianMixture(3, **parameters).fit(np.repeat(X, counts, axis=0))
    assert_same_fit(weighted, repeated, rtol=1e-10 if dtype == np.float64 else 1e-5)
    copies = np.repeat(X, counts, axis=0)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    assert weighted.score(X, sample_weight=counts) == pytest.approx(weighted.score(copies), rel=rtol)
    assert weighted.aic(X, sample_weight=counts) == pytest.approx(weighted.aic(copies), rel=rtol)
    assert weighted.bic(X, sample_weight=counts) == pytest.approx(weighted.bic(copies), rel=rtol)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@both_estimators
def test_zero_weight_equals_absence(estimator, init_params):
    X = blobs()
    weights = np.random.default_rng(1).integers(0, 2, len(X)) * 1.5
    gmm = estimator(n_components=3, init_params=init_params, random_state=0, max_iter=5, tol=0)
    labels = gmm.fit_predict(X, sample_weight=weights)
    absent = clone(gmm).fit(X[weights > 0], sample_weight=weights[weights > 0])
    np.testing.assert_array_equal(gmm.means_, absent.means_)
    np.testing.assert_array_equal(gmm.covariances_, absent.covariances_)
    np.testing.assert_array_equal(labels, absent.predict(X))


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_integer_weights_equal_copies_beside_priors(covariance_type, dtype):
    """Default priors, and the mass that they have next to the data, included. Both go on from the same start."""
    X = blobs(dtype=dtype)
    counts = np.random.default_rng(1).integers(0, 4, len(X))
    weighted = BayesianGaussianMixture(
        n_components=3, covariance_type=covariance_type, max_iter=10, tol=0, warm_start=True, random_state=0
    ).fit(X)
    repeated = copy.deepcopy(weighted).fit(np.repeat(X, counts, axis=0))
    assert_same_fit(weighted.fit(X, sample_weight=counts), repeated, rtol=1e-10 if dtype == np.float64 else 1e-5)


@pytest.mark.parametrize("factor", [0.37, 1e-200, 1e200])
def test_only_ratios_of_weights_matter(factor):
    X = blobs()
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X))
    parameters = {"max_iter": 20, "tol": 0, **start_for(X, "full")}
    plain = GaussianMixture(3, **parameters).fit(X, sample_weight=weights)
    scaled = GaussianMixture(3, **parameters).fit(X, sample_weight=weights * factor)
    assert_same_fit(scaled, plain, rtol=1e-11)
    assert plain.score(X, sample_weight=weights * factor) == pytest.approx(plain.score(X, sample_weight=weights))


@pytest.mark.parametrize("way", ["fit", "fit_batches", "partial_fit", "score"])
@pytest.mark.parametrize("scale", [1e35, 1e-41])
@both_estimators
def test_weights_beyond_float32(estimator, scale, way):
    """The results of the same rows as float64."""
    X = (100 * blobs()).astype(np.float32)
    weights = scale * np.random.default_rng(1).uniform(0.5, 2, len(X))
    priors = {} if estimator is GaussianMixture else {"covariance_prior": 1e4 * np.eye(X.shape[1])}
    narrow, wide = (estimator(n_components=3, random_state=0, max_iter=15, tol=0, **priors) for _ in range(2))
    for model, rows in ((narrow, X), (wide, X.astype(np.float64))):
        if way == "fit_batches":
            model.fit_batches([(rows[:100], weights[:100]), (rows[100:], weights[100:])])
        elif way == "score":
            model.fit(rows)
        else:
            getattr(model, way)(rows, sample_weight=weights)
    assert narrow.means_.dtype == np.float32
    np.testing.assert_allclose(narrow.means_, wide.means_, rtol=1e-4, atol=0.1)
    np.testing.assert_allclose(narrow.covariances_, wide.covariances_, rtol=1e-3, atol=1.0)
    scores = narrow.score(X, sample_weight=weights), wide.score(X, sample_weight=weights)
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)


def test_weights_that_a_posterior_of_float32_cannot_hold():
    X = blobs().astype(np.float32)
    weights = np.full(len(X), 1e38)
    with pytest.raises(ValueError, match=r"weight_concentration_ exceeds.*float32: rescale.*sample_weight.*float64"):
        BayesianGaussianMixture(n_components=2, random_state=0).fit(X, sample_weight=weights)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@both_estimators
def test_unit_weights_change_nothing(estimator, init_params):
    X = blobs()
    gmm = estimator(n_components=3, init_params=init_params, random_state=0, max_iter=5, tol=0)
    assert_same_fit(clone(gmm).fit(X, sample_weight=np.ones(len(X))), clone(gmm).fit(X), rtol=1e-12)


def test_bic_counts_the_sum_of_weights():
    X = blobs()
    gmm = GaussianMixture(3, random_state=0).fit(X)
    weights = np.full(len(X), 2.5)
    expected = 2.5 * (gmm.aic(X) - 2 * 29) + 29 * np.log(2.5 * len(X))
    assert gmm.bic(X, sample_weight=weights) == pytest.approx(expected)


# The loop ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", TYPES)
@both_estimators
def test_warm_start_continues_like_scikit_learn(estimator, covariance_type):
    parameters = {"covariance_type": covariance_type, "warm_start": True, "max_iter": 3, "tol": 1e-9, "n_init": 2}
    ours, theirs = fit_both(blobs(), estimator, n_components=3, random_state=0, **parameters)
    assert_same_fit(ours.fit(blobs()), theirs.fit(blobs()))


def test_warm_start_in_steps_equals_one_run():
    X = blobs()
    steps = GaussianMixture(3, warm_start=True, max_iter=5, tol=0, **start_for(X, "full")).fit(X).fit(X)
    at_once = GaussianMixture(3, max_iter=10, tol=0, **start_for(X, "full")).fit(X)
    np.testing.assert_array_equal(steps.means_, at_once.means_)
    assert steps.lower_bound_ == at_once.lower_bound_


@pytest.mark.parametrize("changed", [{"n_components": 2}, {"covariance_type": "diag"}])
@both_estimators
def test_warm_start_with_other_shapes_is_refused(estimator, changed):
    gmm = estimator(n_components=3, warm_start=True, random_state=0).fit(blobs()).set_params(**changed)
    with pytest.raises(ValueError, match="warm_start=False"):
        gmm.fit(blobs())


@pytest.mark.parametrize("init_params", ["kmeans", "random"])
@both_estimators
def test_n_init_keeps_the_best_run(estimator, init_params):
    parameters = {"n_components": 4, "n_init": 5, "init_params": init_params, "max_iter": 20, "random_state": 2}
    ours, theirs = fit_both(DATA["iris"], estimator, **parameters)
    assert_same_fit(ours, theirs)
    assert ours.lower_bound_ == ours.lower_bounds_[-1]


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("n_init", [1, 2])
@both_estimators
def test_max_iter_0_keeps_the_start(estimator, covariance_type, n_init):
    parameters = {"n_components": 3, "max_iter": 0, "n_init": n_init, "covariance_type": covariance_type}
    ours, theirs = fit_both(blobs(), estimator, random_state=0, **parameters)
    assert_same_fit(ours, theirs)
    assert ours.lower_bound_ == -np.inf
    assert ours.n_iter_ == 0
    assert not ours.converged_


@pytest.mark.parametrize("covariance_type", TYPES)
def test_max_iter_0_with_given_parameters(covariance_type):
    X = blobs()
    start = start_for(X, covariance_type)
    gmm = GaussianMixture(3, covariance_type=covariance_type, max_iter=0, **start).fit(X)
    np.testing.assert_allclose(gmm.precisions_, start["precisions_init"], rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(gmm.means_, start["means_init"])
    assert np.isfinite(gmm.covariances_).all()


@both_estimators
def test_convergence_warning_points_at_the_call(estimator):
    message = (
        r"Best performing initialization did not converge\. .*After max_iter=1 iterations the last change of "
        "lower_bound_ was not below tol=0.001"
    )
    with pytest.warns(ConvergenceWarning, match=message) as record:
        estimator(n_components=3, max_iter=1, random_state=0).fit(blobs())
    assert record[0].filename == __file__


@pytest.mark.filterwarnings("error")
@both_estimators
def test_no_warning_without_iterations(estimator):
    assert estimator(n_components=3, max_iter=0, random_state=0).fit(blobs()).n_iter_ == 0


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("max_iter", [0, 1, 100])
@both_estimators
def test_fit_predict_equals_fit_then_predict(estimator, covariance_type, dtype, max_iter):
    X = blobs(dtype=dtype)
    gmm = estimator(n_components=4, covariance_type=covariance_type, max_iter=max_iter, tol=1e-7, random_state=0)
    np.testing.assert_array_equal(clone(gmm).fit_predict(X), clone(gmm).fit(X).predict(X))


@pytest.mark.parametrize(
    "shape", [(40_000, 2, 60, "full"), (20_000, 12, 30, "full"), (20_000, 12, 8, "tied"), (9_000, 5, 9, "diag")]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@both_estimators
def test_results_do_not_depend_on_the_number_of_threads(estimator, dtype, shape, monkeypatch):
    """Bit for bit: passes that skip by cells or screens, and dense ones."""
    monkeypatch.setattr(policy, "_FIRST_TRIAL_SHARE", np.inf)
    for trials in (CellTrials, ScreenTrials):
        monkeypatch.setattr(trials, "least_pass", 0.0)
        monkeypatch.setattr(trials, "least_single_pass", 0.0)
    n_rows, n_features, n_components, covariance_type = shape
    X, _ = make_blobs(n_rows, n_features, centers=n_components, cluster_std=0.5, random_state=0)
    X = X.astype(dtype)
    mixture = estimator(n_components=n_components, covariance_type=covariance_type, max_iter=5, tol=0.0, random_state=0)
    fits = [clone(mixture).set_params(n_threads=n_threads).fit(X) for n_threads in (1, 2, 3, 8)]
    for fit in fits[1:]:
        for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
            np.testing.assert_array_equal(getattr(fit, name), getattr(fits[0], name), err_msg=name)
        np.testing.assert_array_equal(fit.predict(X), fits[0].predict(X))
        np.testing.assert_array_equal(fit.score_samples(X), fits[0].score_samples(X))


def test_constructor_parameters_are_left_alone():
    X = blobs()
    start = {name: value.tolist() for name, value in start_for(X, "full").items()}
    gmm = GaussianMixture(3, **start).fit(X)
    assert {name: getattr(gmm, name) for name in start} == start


def test_failed_fit_leaves_the_fitted_attributes():
    X = blobs()
    gmm = GaussianMixture(2, random_state=0).fit(X)
    means = gmm.means_
    gmm.set_params(means_init=X[:2], weights_init=[0.5, 0.5], precisions_init=np.tile(np.eye(3), (2, 1, 1)))
    with pytest.raises(ValueError, match="log-likelihood"):
        gmm.fit(np.vstack([X, np.full(3, 1e200)]))
    assert gmm.means_ is means


# Input ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def as_memmap(tmp_path):
    def convert(X):
        mapped = np.memmap(tmp_path / "X", dtype=X.dtype, mode="w+", shape=X.shape)
        mapped[:] = X
        mapped.flush()
        return np.memmap(tmp_path / "X", dtype=X.dtype, mode="r", shape=X.shape)

    return convert


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def misaligned(X):
    buffer = np.empty(X.nbytes + 1, dtype=np.uint8)[1:]
    view = buffer.view(X.dtype).reshape(X.shape)
    view[:] = X
    return view


@pytest.mark.parametrize(
    "convert",
    [
        np.asfortranarray,
        np.ndarray.tolist,
        read_only,
        misaligned,
        lambda X: np.repeat(X, 2, axis=0)[::2],
        lambda X: np.hstack([X, X])[:, : X.shape[1]],
        lambda X: X.astype(">f8"),
        lambda X: X.astype(object),
    ],
    ids=["F-order", "list", "read-only", "misaligned", "strided rows", "strided columns", "big-endian", "object"],
)
def test_layout_of_the_input_does_not_matter(convert):
    X = blobs()
    gmm = GaussianMixture(3, random_state=0)
    expected = clone(gmm).fit(X)
    actual = clone(gmm).fit(convert(X))
    np.testing.assert_array_equal(actual.means_, expected.means_)
    np.testing.assert_array_equal(actual.predict_proba(convert(X)), expected.predict_proba(X))


@both_estimators
def test_integers_become_float64(estimator):
    X = np.round(blobs() * 10).astype(np.int32)
    ours, theirs = fit_both(X, estimator, n_components=3, random_state=0)
    assert_same_fit(ours, theirs)


def test_memory_map(as_memmap):
    X = blobs()
    gmm = GaussianMixture(3, random_state=0)
    mapped = as_memmap(X)
    np.testing.assert_array_equal(clone(gmm).fit(mapped).means_, gmm.fit(X).means_)
    np.testing.assert_array_equal(gmm.predict(mapped), gmm.predict(X))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("in_memory", [True, False], ids=["array", "memmap"])
def test_data_are_not_copied(as_memmap, dtype, in_memory):
    X = np.random.default_rng(0).normal(size=(200_000, 8)).astype(dtype)
    X = X if in_memory else as_memmap(X)
    gmm = GaussianMixture(3, max_iter=2, tol=0, n_threads=1, **start_for(X[:600], "full") | {"precisions_init": None})
    gmm.set_params(precisions_init=np.tile(np.eye(8), (3, 1, 1)))
    tracemalloc.start()
    try:
        gmm.fit(X).score(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 4


@pytest.mark.parametrize("library", ["pandas", "polars"])
@both_estimators
def test_data_frames_and_feature_names(estimator, library):
    frames = pytest.importorskip(library)
    X = blobs()
    frame = frames.DataFrame(dict(zip("abc", X.T, strict=True)))
    gmm = estimator(n_components=3, random_state=0).fit(frame)
    assert list(gmm.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(gmm.predict(frame), estimator(n_components=3, random_state=0).fit(X).predict(X))
    with pytest.raises(ValueError, match="feature names"):
        gmm.predict(frames.DataFrame(dict(zip("cba", X.T, strict=True))))


# Overrides -----------------------------------------------------------------------------------------------------------

STEPS = ["_m_step", "_e_step", "_initialize", "_initialize_parameters", "_compute_lower_bound", "_check_parameters"]
STEPS_OF_PREDICTIONS = ["_estimate_log_prob", "_estimate_weighted_log_prob", "_estimate_log_weights"]


def changed(estimator, name, how):
    """An estimator with an own version of a method."""

    def own(self, *arguments, **options):
        raise AssertionError("called after all")

    if how == "subclass":
        return type("Changed", (estimator,), {name: own})(n_components=2)
    if how == "mixin":
        return type("Subclass", (type("Changed", (), {name: own}), estimator), {})(n_components=2)
    model = estimator(n_components=2)
    setattr(model, name, own)
    return model


@pytest.mark.parametrize("how", ["subclass", "mixin", "attribute"])
@pytest.mark.parametrize("name", STEPS + STEPS_OF_PREDICTIONS)
@both_estimators
def test_overridden_steps_of_scikit_learn_are_refused(estimator, name, how):
    """They would be ignored, since ours are other steps."""
    X = DATA["blobs"]
    message = f"The attribute {name} of this" if how == "attribute" else rf"Changed\.{name}"
    for use in ("fit", "fit_predict", "partial_fit"):
        with pytest.raises(
            TypeError, match=f"{message} .*would be ignored: .* inherit from sklearn.mixture.{estimator.__name__}"
        ):
            getattr(changed(estimator, name, how), use)(X)
    with pytest.raises(TypeError, match=f"{message} .*would be ignored"):
        changed(estimator, name, how).fit_batches([X])
    fitted = changed(estimator, name, how)
    vars(fitted).update(
        {name: value for name, value in vars(estimator(n_components=2).fit(X)).items() if name.endswith("_")}
    )
    if name in STEPS:
        assert fitted.predict(X).shape == (600,)
        return
    for use in ("predict", "predict_proba", "score_samples", "score"):
        with pytest.raises(TypeError, match=f"{message} .*would be ignored"):
            getattr(fitted, use)(X)


def test_subclasses_that_change_nothing_of_scikit_learn():
    class Named(GaussianMixture):
        def __init__(self, n_components=1, *, name=None):
            super().__init__(n_components)
            self.name = name

        def _more(self):
            return self.name

        def __sklearn_tags__(self):
            return super().__sklearn_tags__()

    X = DATA["iris"]
    assert clone(Named(2, name="a")).fit(X).predict(X).shape == (150,)


@both_estimators
def test_fit_calls_an_overridden_fit_predict(estimator):
    """As scikit-learn's does."""

    class Scaled(estimator):
        def fit_predict(self, X, y=None, **options):
            return super().fit_predict(10.0 * X, y, **options)

    class ByFit(estimator):
        def fit_predict(self, X, y=None):
            return self.fit(X).predict(X)

    X = DATA["iris"]
    assert Scaled().fit(X).means_[0] == pytest.approx(10 * X.mean(axis=0), rel=0.02)
    assert Scaled().fit(X, sample_weight=np.arange(150) < 50).means_[0] == pytest.approx(
        10 * X[:50].mean(axis=0), rel=0.05
    )
    model = ByFit(n_components=2)
    assert set(model.fit_predict(X)) == {0, 1}
    assert vars(model.fit(X)).keys() == vars(estimator(n_components=2).fit(X)).keys()


def test_score_and_criteria_call_overridden_methods():
    X = DATA["iris"]

    def with_methods(base):
        class Shifted(base):
            def score_samples(self, X):
                return super().score_samples(X) + 1.0

        class Larger(base):
            def _n_parameters(self):
                return super()._n_parameters() + 7

        class Scored(base):
            def score(self, X, y=None):
                return 3.0

        return Shifted, Larger, Scored

    for ours, theirs in zip(with_methods(GaussianMixture), with_methods(SklearnGaussianMixture), strict=True):
        model, expected = ours().fit(X), theirs().fit(X)
        for name in ("score", "aic", "bic"):
            assert getattr(model, name)(X) == pytest.approx(getattr(expected, name)(X), rel=1e-10), name
    weights = np.arange(150.0)
    model, plain = with_methods(GaussianMixture)[0]().fit(X), GaussianMixture().fit(X)
    assert model.score(X, sample_weight=weights) == pytest.approx(
        plain.score(X, sample_weight=weights) + 1.0, rel=1e-12
    )
    expected = plain.bic(X, sample_weight=weights) - 2 * weights.sum()
    assert model.bic(X, sample_weight=weights) == pytest.approx(expected, rel=1e-12)


# A good citizen of scikit-learn --------------------------------------------------------------------------------------


def _check_id(value):
    return value.func.__name__ if hasattr(value, "func") else f"{type(value).__name__}-{value.covariance_type}"


# A list of the pairs, not parametrize_with_checks: pytest 9 refuses the generator that scikit-learn 1.6 hands it.
ESTIMATOR_CHECKS = [
    *estimator_checks_generator(GaussianMixture()),
    *estimator_checks_generator(GaussianMixture(covariance_type="diag", n_threads=2)),
    *estimator_checks_generator(BayesianGaussianMixture()),
]


@pytest.mark.filterwarnings("ignore:y is ignored, but looks like weights")  # some checks pass 0.0 and 1.0 as y
@pytest.mark.parametrize(("estimator", "check"), ESTIMATOR_CHECKS, ids=_check_id)
def test_scikit_learn_estimator_checks(estimator, check):
    check(estimator)


@both_estimators
def test_is_a_scikit_learn_mixture_with_its_signature(estimator):
    ours, theirs = estimator().get_params(), SKLEARN[estimator]().get_params()
    assert issubclass(estimator, SKLEARN[estimator])
    assert ours == theirs | OUR_PARAMETERS[estimator]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda gmm: pickle.loads(pickle.dumps(gmm))], ids=str)
@both_estimators
def test_copies_predict_the_same(estimator, duplicate):
    X = blobs()
    gmm = estimator(n_components=3, random_state=0).fit(X)
    np.testing.assert_array_equal(duplicate(gmm).score_samples(X), gmm.score_samples(X))


@pytest.mark.parametrize("covariance_type", TYPES)
@both_estimators
def test_to_sklearn_and_back(estimator, covariance_type):
    X = blobs()
    gmm = estimator(n_components=3, covariance_type=covariance_type, random_state=0, n_threads=2).fit(X)
    theirs = gmm.to_sklearn()
    assert type(theirs) is SKLEARN[estimator]
    assert theirs.get_params() | OUR_PARAMETERS[estimator] | {"n_threads": 2} == gmm.get_params()
    np.testing.assert_array_equal(theirs.predict(X), gmm.predict(X))
    back = estimator.from_sklearn(theirs)
    assert type(back) is estimator
    assert back.n_threads is None
    assert not np.shares_memory(back.means_, gmm.means_)
    assert_same_fit(back, gmm, rtol=0)
    assert back.n_features_in_ == 3
    np.testing.assert_array_equal(back.predict_proba(X), gmm.predict_proba(X))


@both_estimators
def test_from_sklearn_refuses_what_it_cannot_take(estimator):
    with pytest.raises(TypeError, match="got StandardScaler"):
        estimator.from_sklearn(StandardScaler())
    with pytest.raises(NotFittedError):
        estimator.from_sklearn(SKLEARN[estimator]())
    with pytest.raises(NotFittedError):
        estimator().to_sklearn()


def test_from_sklearn_says_what_to_do_with_k_means():
    kmeans = KMeans(3, n_init=1, random_state=0).fit(blobs())
    with pytest.raises(TypeError, match=r"got KMeans: fit a GaussianMixture .*means_init=estimator\.cluster_centers_"):
        GaussianMixture.from_sklearn(kmeans)
    with pytest.raises(TypeError, match=r"got KMeans: fit a BayesianGaussianMixture to the same rows\.$"):
        BayesianGaussianMixture.from_sklearn(kmeans)
    with pytest.raises(TypeError, match="got the class GaussianMixture: pass what its fit returns"):
        GaussianMixture.from_sklearn(SKLEARN[GaussianMixture])


def test_from_sklearn_refuses_the_other_mixture():
    with pytest.raises(TypeError, match=r"sklearn.mixture.BayesianGaussianMixture, got GaussianMixture"):
        BayesianGaussianMixture.from_sklearn(GaussianMixture().fit(blobs()))
    with pytest.raises(TypeError, match=r"sklearn.mixture.GaussianMixture, got BayesianGaussianMixture"):
        GaussianMixture.from_sklearn(BayesianGaussianMixture().fit(blobs()))


def test_parameters_set_by_hand_are_enough_to_predict():
    X = blobs()
    fitted = GaussianMixture(3, random_state=0).fit(X)
    loaded = GaussianMixture(3)
    loaded.weights_, loaded.means_ = fitted.weights_, fitted.means_
    loaded.precisions_cholesky_ = np.asfortranarray(fitted.precisions_cholesky_)
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["weights_", "means_", "precisions_cholesky_"])
def test_parameters_set_by_hand_are_finite(name, value):
    X = blobs()
    model = GaussianMixture(3, random_state=0, warm_start=True).fit(X)
    getattr(model, name).flat[-1] = value
    for method in (model.predict, model.score_samples, model.score, model.partial_fit, model.fit):
        with pytest.raises(ValueError, match=f"{name} contains NaN or infinity.*Call fit again"):
            method(X)


def test_in_pipeline_and_grid_search():
    X = blobs()
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    search = GridSearchCV(pipeline, {"gaussianmixture__n_components": [1, 3]}, cv=3).fit(
        np.random.default_rng(0).permutation(X)
    )
    assert search.best_params_ == {"gaussianmixture__n_components": 3}


@both_estimators
def test_html_links_to_documentation(estimator):
    assert f"sklearn.mixture.{estimator.__name__}.html" in estimator()._repr_html_()


@both_estimators
def test_tags(estimator):
    assert not estimator(init_params="random").__sklearn_tags__().array_api_support


@both_estimators
def test_a_subclass_may_have_parameters_of_its_own(estimator):
    class Named(estimator):
        _parameter_constraints: ClassVar = {**estimator._parameter_constraints, "name": [str]}

        def __init__(self, *, n_components=1, name="mixture"):
            super().__init__(n_components=n_components)
            self.name = name

    assert Named(n_components=2).fit(blobs()).means_.shape == (2, 3)
    with pytest.raises(ValueError, match="The 'name' parameter of Named must be an instance of 'str'"):
        Named(name=3).fit(blobs())


@both_estimators
def test_a_subclass_may_make_a_parameter_a_property(estimator):
    class Counted(estimator):
        @property
        def n_components(self):
            return self._count

        @n_components.setter
        def n_components(self, value):
            self._count = value

    assert clone(Counted(n_components=2)).fit(blobs()).means_.shape == (2, 3)


@both_estimators
def test_fit_predict_knows_the_names_of_features(estimator):
    frame = pd.DataFrame(blobs(), columns=["a", "b", "c"])
    with warnings.catch_warnings(action="error"):
        labels = estimator(n_components=3, random_state=0, max_iter=1000).fit_predict(frame)
    np.testing.assert_array_equal(
        labels, estimator(n_components=3, random_state=0, max_iter=1000).fit(frame).predict(frame)
    )


@both_estimators
def test_a_subclass_may_constrain_parameters_otherwise(estimator):
    class Several(estimator):
        _parameter_constraints: ClassVar = {
            **estimator._parameter_constraints,
            "n_components": [Interval(Integral, 2, None, closed="left")],
        }

    with pytest.raises(ValueError, match="The 'n_components' parameter of Several must be an int in the range"):
        Several(n_components=1).fit(blobs())


def test_to_sklearn_and_back_of_a_subclass_with_fewer_parameters():
    class Wide(GaussianMixture):
        def __init__(self, n_components=2):
            super().__init__(n_components, reg_covar=0.01)

    assert Wide().fit(blobs()).to_sklearn().reg_covar == 0.01
    back = Wide.from_sklearn(SklearnGaussianMixture(3).fit(blobs()))
    assert (back.n_components, back.means_.shape) == (3, (3, 3))


def test_models_that_were_pickled_before_there_was_a_parameter():
    gmm = GaussianMixture(3, random_state=0).partial_fit(blobs())
    del gmm.__dict__["fixed"]
    old = pickle.loads(pickle.dumps(gmm))
    assert clone(old).fixed is None
    assert old.partial_fit(blobs()).fit(blobs()).bic(blobs()) == pytest.approx(gmm.fit(blobs()).bic(blobs()))
