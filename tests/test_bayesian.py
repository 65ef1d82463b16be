"""What is `BayesianGaussianMixture`'s own: scikit-learn's results whatever the priors, the textbook's variational
iteration in extended precision, and what the priors are for. What it shares with `GaussianMixture` is tested there."""

from functools import cache

import numpy as np
import pytest
from _shared import oracle
from _shared.assertions import assert_same_fit, fit_both, fitted_values
from _shared.cases import STARTS, TYPES, needs_extended
from _shared.hard_data import HARD_CASES, blobs
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.mixture import BayesianGaussianMixture as SklearnBayesianGaussianMixture

from fastgmm import BayesianGaussianMixture

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WEIGHT_PRIOR_TYPES = ["dirichlet_process", "dirichlet_distribution"]
DATA = blobs(n_rows=60)[0]


def fit_both_bayesian(X, **parameters):
    return fit_both(X, BayesianGaussianMixture, **{"n_components": 4, "random_state": 0, **parameters})


def fitted_arrays(bgm):
    values = fitted_values(bgm).values()
    parts = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
    return [part for part in parts if isinstance(part, np.ndarray)]


# Same start, same answer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_iter", [1, 10, 100])
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("weight_prior_type", WEIGHT_PRIOR_TYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_parity_after_n_iterations(covariance_type, weight_prior_type, init_params, n_iter):
    ours, theirs = fit_both_bayesian(
        DATA,
        covariance_type=covariance_type,
        weight_concentration_prior_type=weight_prior_type,
        init_params=init_params,
        max_iter=n_iter,
        tol=0.0,
    )
    assert_same_fit(ours, theirs)


def prior_covariance(covariance_type):
    """Of iris, with correlations."""
    matrix = 0.3 * np.eye(4) + 0.1
    return {
        "full": lambda: matrix.tolist(),
        "tied": lambda: matrix.astype(np.float32),
        "diag": lambda: [0.3, 0.1, 0.5, 0.2],
        "spherical": lambda: 0.4,
    }[covariance_type]()


PRIORS = [
    {"weight_concentration_prior": 1e-6},
    {"weight_concentration_prior": 1e3},
    {"weight_concentration_prior": 2},
    {"mean_precision_prior": 1e-6},
    {"mean_precision_prior": 1e3},
    {"mean_prior": [1.0, 2.0, 3.0, 4.0]},
    {"mean_prior": np.arange(4, dtype=np.float32), "mean_precision_prior": 7},
    {"degrees_of_freedom_prior": 3.01},
    {"degrees_of_freedom_prior": 1e3},
    {"covariance_prior": prior_covariance},
    {"reg_covar": 0.0},
    {"reg_covar": 0.1},
    {
        "weight_concentration_prior": 0.03,
        "mean_precision_prior": 0.2,
        "mean_prior": (5, 3, 4, 1),
        "degrees_of_freedom_prior": 6,
        "covariance_prior": prior_covariance,
    },
]


@pytest.mark.parametrize("weight_prior_type", WEIGHT_PRIOR_TYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("priors", PRIORS, ids=lambda priors: "-".join(priors))
def test_parity_of_priors(priors, covariance_type, weight_prior_type):
    """The end of the fit included: n_iter_ and converged_ agree."""
    given = {name: value(covariance_type) if callable(value) else value for name, value in priors.items()}
    ours, theirs = fit_both_bayesian(
        load_iris().data,
        covariance_type=covariance_type,
        weight_concentration_prior_type=weight_prior_type,
        max_iter=60,
        tol=0.1,
        **given,
    )
    assert_same_fit(ours, theirs)


@pytest.mark.parametrize("weight_prior_type", WEIGHT_PRIOR_TYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(("n_components", "n_features"), [(1, 3), (4, 1), (1, 1)])
def test_parity_of_single_components_and_features(n_components, n_features, covariance_type, weight_prior_type):
    ours, theirs = fit_both_bayesian(
        DATA[:, :n_features],
        n_components=n_components,
        covariance_type=covariance_type,
        weight_concentration_prior_type=weight_prior_type,
        max_iter=20,
    )
    assert_same_fit(ours, theirs)
    assert ours.converged_ or n_components > 1


@pytest.mark.parametrize("weight_prior_type", WEIGHT_PRIOR_TYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_parity_float32(covariance_type, weight_prior_type):
    ours, theirs = fit_both_bayesian(
        DATA.astype(np.float32),
        covariance_type=covariance_type,
        weight_concentration_prior_type=weight_prior_type,
        max_iter=5,
        tol=0.0,
    )
    assert_same_fit(ours, theirs, rtol=1e-4)  # scikit-learn's own float32 error, not ours


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weight_prior_type", WEIGHT_PRIOR_TYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_parity_of_predictions(covariance_type, weight_prior_type, dtype):
    X = DATA.astype(dtype)
    ours = BayesianGaussianMixture(
        n_components=4,
        covariance_type=covariance_type,
        weight_concentration_prior_type=weight_prior_type,
        random_state=0,
    ).fit(X)
    theirs = ours.to_sklearn()
    rtol = 1e-9 if dtype == np.float64 else 1e-4
    assert ours.predict_proba(X).dtype == ours.score_samples(X).dtype == dtype
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=rtol)
    np.testing.assert_allclose(ours.score(X), theirs.score(X), rtol=rtol)
    for actual, expected in zip(ours.sample(50), theirs.sample(50), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("max_iter", [0, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weight_prior_type", WEIGHT_PRIOR_TYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_attributes_have_the_dtype_of_the_data(covariance_type, weight_prior_type, dtype, max_iter):
    bgm = BayesianGaussianMixture(
        n_components=2,
        covariance_type=covariance_type,
        weight_concentration_prior_type=weight_prior_type,
        mean_prior=[1, 2, 3],
        max_iter=max_iter,
        random_state=0,
    ).fit(DATA.astype(dtype))
    assert {array.dtype for array in fitted_arrays(bgm)} == {np.dtype(dtype)}
    assert type(bgm.lower_bound_) is float


# The textbook ---------------------------------------------------------------------------------------------------------


def as_full(array, covariance_type, shape):
    """Covariances of a type, or its prior with shape (1, d, d), as matrices."""
    array, unit = np.asarray(array, oracle.LONG), np.eye(shape[-1], dtype=oracle.LONG)
    return {
        "full": lambda: np.broadcast_to(array, shape),
        "tied": lambda: np.broadcast_to(array, shape),
        "diag": lambda: np.broadcast_to(array, shape[:2])[:, :, np.newaxis] * unit,
        "spherical": lambda: np.broadcast_to(array, shape[:1])[:, np.newaxis, np.newaxis] * unit,
    }[covariance_type]()


def started(bgm):
    """The fitted estimator's priors and posterior, which are exact in its dtype, as the oracle takes them."""
    K, d = bgm.means_.shape
    nu = np.broadcast_to(np.asarray(bgm.degrees_of_freedom_, oracle.LONG), (K,))
    covariances = as_full(bgm.covariances_, bgm.covariance_type, (K, d, d))
    posterior = oracle.Posterior(
        np.asarray(bgm.weight_concentration_, oracle.LONG),
        bgm.mean_precision_.astype(oracle.LONG),
        bgm.means_.astype(oracle.LONG),
        nu,
        covariances * nu[:, np.newaxis, np.newaxis],
    )
    priors = oracle.Priors(
        bgm.weight_concentration_prior_,
        bgm.mean_precision_prior_,
        bgm.mean_prior_.astype(oracle.LONG),
        bgm.degrees_of_freedom_prior_,
        as_full(bgm.covariance_prior_, bgm.covariance_type, (1, d, d))[0],
    )
    return posterior, priors


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("weight_prior_type", WEIGHT_PRIOR_TYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_iteration_and_bound_are_the_textbooks(covariance_type, weight_prior_type, weighted):
    """Of eq. 10.70 the bound leaves out what `oracle.constant_of_bound` writes down, and nothing else."""
    weights = np.random.default_rng(0).uniform(0.5, 3, len(DATA)) if weighted else None
    bgm = BayesianGaussianMixture(
        n_components=4,
        covariance_type=covariance_type,
        weight_concentration_prior_type=weight_prior_type,
        weight_concentration_prior=0.3,
        mean_precision_prior=0.2,
        mean_prior=[1.0, -2.0, 0.5],
        degrees_of_freedom_prior=4.5,
        reg_covar=0.0,
        max_iter=0,
        random_state=0,
    ).fit(DATA, sample_weight=weights)
    posterior, priors = started(bgm)
    expected, bounds = oracle.variational_em(
        DATA, posterior, priors, covariance_type, weight_prior_type, 0.0, 5, sample_weight=weights
    )
    bgm.set_params(max_iter=5, tol=0.0).fit(DATA, sample_weight=weights)
    np.testing.assert_allclose(bgm.lower_bounds_, np.array(bounds, float), rtol=1e-13 if oracle.IS_EXTENDED else 1e-12)
    last, rtol = expected[-1], 1e-12 if oracle.IS_EXTENDED else 1e-11
    covariances = oracle.in_shape(last.covariances(), covariance_type)
    factors = oracle.in_shape(oracle.scale_factors(last.covariances()), covariance_type)
    assert oracle.covariance_error(bgm.covariances_, covariances, covariance_type) < rtol
    np.testing.assert_allclose(bgm.means_, last.means.astype(float), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(bgm.weight_concentration_, last.weight_concentration.astype(float), rtol=rtol)
    np.testing.assert_allclose(bgm.mean_precision_, last.mean_precision.astype(float), rtol=rtol)
    nu = last.degrees_of_freedom[0 if covariance_type == "tied" else slice(None)]
    np.testing.assert_allclose(bgm.degrees_of_freedom_, nu.astype(float), rtol=rtol)
    np.testing.assert_allclose(bgm.precisions_cholesky_, factors.astype(float), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("weight_prior_type", WEIGHT_PRIOR_TYPES)
def test_weights_are_expectations_under_the_posterior(weight_prior_type):
    """Of Beta-distributed shares of what the components before have left, divided by their sum."""
    bgm = BayesianGaussianMixture(
        n_components=4, weight_concentration_prior_type=weight_prior_type, max_iter=5, random_state=0
    ).fit(DATA)
    if weight_prior_type == "dirichlet_process":
        taken, left = np.array(bgm.weight_concentration_) / np.sum(bgm.weight_concentration_, axis=0)
        expected = [taken[k] * np.prod(left[:k]) for k in range(4)]
    else:
        expected = bgm.weight_concentration_
    np.testing.assert_allclose(bgm.weights_, np.divide(expected, np.sum(expected)), rtol=1e-13)
    assert bgm.weights_.sum() == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_precisions_are_inverse_covariances(covariance_type):
    bgm = BayesianGaussianMixture(
        n_components=4, covariance_type=covariance_type, max_iter=5, reg_covar=0.0, random_state=0
    ).fit(DATA)
    covariances, precisions, factors = (
        as_full(array, covariance_type, (4, 3, 3)).astype(float)
        for array in (bgm.covariances_, bgm.precisions_, bgm.precisions_cholesky_)
    )
    np.testing.assert_allclose(covariances @ precisions, np.tile(np.eye(3), (4, 1, 1)), atol=1e-13)
    np.testing.assert_allclose(factors @ factors.transpose(0, 2, 1), precisions, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(factors, np.triu(factors))


@pytest.mark.parametrize("weights", [None, np.arange(1, 181) % 4], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_default_priors(covariance_type, offset, weights):
    """Mean and unbiased covariance of X, rows counted by their weights."""
    X = np.round(DATA * 2**20) / 2**20 + offset
    covariance = np.cov(X.T, fweights=weights)
    expected = {
        "full": covariance,
        "tied": covariance,
        "diag": np.diag(covariance),
        "spherical": np.trace(covariance) / 3,
    }[covariance_type]
    bgm = BayesianGaussianMixture(
        n_components=5, covariance_type=covariance_type, weight_concentration_prior=None, max_iter=0, random_state=0
    ).fit(X, sample_weight=weights)
    np.testing.assert_allclose(bgm.covariance_prior_, expected, rtol=1e-10 if offset == 0 else 1e-8, atol=1e-12)
    np.testing.assert_allclose(bgm.mean_prior_, np.average(X, axis=0, weights=weights), rtol=1e-13)
    assert (bgm.weight_concentration_prior_, bgm.mean_precision_prior_, bgm.degrees_of_freedom_prior_) == (0.2, 1, 3)


def test_given_priors_are_kept_and_copied():
    mean_prior, covariance_prior = np.ones(3), np.eye(3)
    bgm = BayesianGaussianMixture(
        weight_concentration_prior=0.3,
        mean_precision_prior=2.5,
        mean_prior=mean_prior,
        degrees_of_freedom_prior=7.5,
        covariance_prior=covariance_prior,
    ).fit(DATA)
    assert bgm.weight_concentration_prior_ == 0.3
    assert bgm.mean_precision_prior_ == 2.5
    assert bgm.degrees_of_freedom_prior_ == 7.5
    np.testing.assert_array_equal(bgm.mean_prior_, mean_prior)
    np.testing.assert_array_equal(bgm.covariance_prior_, covariance_prior)
    arrays = [*fitted_arrays(bgm), mean_prior, covariance_prior, DATA]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


# Hard data ------------------------------------------------------------------------------------------------------------

N_ITER = 5
CONCENTRATION, MEAN_PRECISION = 0.125, 1e-10  # next to nothing, even where the prior mean is 1e6 deviations away


def one_covariance(variances, covariance_type):
    """Diagonal, in the shape that a prior has."""
    return {
        "full": lambda: np.diag(variances),
        "tied": lambda: np.diag(variances),
        "diag": lambda: variances,
        "spherical": lambda: variances.mean(),
    }[covariance_type]()


def hard_priors(name, covariance_type):
    """Weak, so that the components keep the variances that make the data hard."""
    case = HARD_CASES[name]
    narrow = np.minimum(case.variances, case.X.var(axis=0, dtype=np.float64))
    return {
        "weight_concentration_prior": CONCENTRATION,
        "mean_precision_prior": MEAN_PRECISION,
        "mean_prior": case.means[0],
        "degrees_of_freedom_prior": case.X.shape[1],
        "covariance_prior": one_covariance(narrow, covariance_type),
    }


@pytest.mark.parametrize("name", ["means_", "precisions_cholesky_", "mean_precision_", "degrees_of_freedom_"])
def test_parameters_set_by_hand_are_finite(name):
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = BayesianGaussianMixture(n_components=3, random_state=0, max_iter=500).fit(X)
    getattr(model, name).flat[-1] = np.nan
    for method in (model.predict, model.score, model.partial_fit):
        with pytest.raises(ValueError, match=f"{name} contains NaN or infinity.*Call fit again"):
            method(X)


def hard_start(cls, name, covariance_type):
    """An estimator that goes on from the case's means and variances, each component with its share of the rows."""
    case, (K, d) = HARD_CASES[name], HARD_CASES[name].means.shape
    nk, dtype = np.full(K, len(case.X) / K), case.X.dtype
    one = np.asarray(one_covariance(case.variances, covariance_type))
    bgm = cls(
        n_components=K, covariance_type=covariance_type, reg_covar=case.reg_covar, warm_start=True, max_iter=N_ITER,
        tol=0.0, **hard_priors(name, covariance_type),
    )  # fmt: skip
    bgm.weight_concentration_ = tuple(oracle.weight_posterior(CONCENTRATION, nk, "dirichlet_process").astype(dtype))
    bgm.mean_precision_ = nk.astype(dtype)
    bgm.means_ = case.means.astype(dtype)
    bgm.degrees_of_freedom_ = (d + (nk.mean() if covariance_type == "tied" else nk)).astype(dtype)
    bgm.covariances_ = (one if covariance_type == "tied" else np.stack([one] * K)).astype(dtype)
    factors = oracle.precisions_cholesky(bgm.covariances_, covariance_type)
    bgm.precisions_cholesky_ = np.asarray(factors, dtype)
    bgm.converged_, bgm.lower_bound_ = False, -np.inf
    return bgm


@cache
def hard_reference(name, covariance_type):
    """The posterior after the last iteration, its covariances in the type's shape, and the bound."""
    case, (K, d) = HARD_CASES[name], HARD_CASES[name].means.shape
    bgm = hard_start(BayesianGaussianMixture, name, covariance_type)
    vars(bgm).update({f"{prior}_": value for prior, value in hard_priors(name, covariance_type).items()})
    start, priors = started(bgm)
    # The factors, which the estimators go on from, are rounded and diagonal.
    factors = oracle.full_factors(bgm.precisions_cholesky_, covariance_type, K, d)
    covariances = np.eye(d, dtype=oracle.LONG) / np.where(factors == 0, 1, factors) ** 2
    start = start._replace(inverse_scales=covariances * start.degrees_of_freedom[:, np.newaxis, np.newaxis])
    posteriors, bounds = oracle.variational_em(
        case.X, start, priors, covariance_type, "dirichlet_process", case.reg_covar, N_ITER
    )
    return posteriors[-1], oracle.in_shape(posteriors[-1].covariances(), covariance_type), bounds[-1]


@cache
def hard_errors(cls, name, covariance_type):
    """Of covariances, of means in deviations, and of the bound, whose terms are as large as the number of rows."""
    expected, covariances, bound = hard_reference(name, covariance_type)
    X = HARD_CASES[name].X
    with np.errstate(all="ignore"):
        bgm = hard_start(cls, name, covariance_type).fit(X)
    deviations = oracle.standard_deviations(covariances, covariance_type)
    return {
        "covariances": oracle.covariance_error(bgm.covariances_, covariances, covariance_type),
        "means": oracle.relative_error(bgm.means_, expected.means, deviations),
        "bound": oracle.relative_error(np.squeeze(bgm.lower_bound_), bound, len(X) + abs(bound)),
    }


def resolution(name, covariance_type):
    """One unit of rounding, plus that of the largest mean in deviations of its component: see test_numerics."""
    expected, covariances, _ = hard_reference(name, covariance_type)
    deviations = oracle.standard_deviations(covariances, covariance_type)
    return np.finfo(HARD_CASES[name].X.dtype).eps * (1 + float((np.abs(expected.means) / deviations).max()))


MULTIPLE = 10
ENLARGED = {"two columns 1e-3 apart": 10}  # of a condition number of 1e6 the densities see a small part


@needs_extended
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("name", HARD_CASES)
def test_hard_data(name, covariance_type):
    """As good as numbers of the dtype allow, and no worse than scikit-learn's; which loses half of all digits here and
    there, where we lose none of them."""
    dtype, enlarged = HARD_CASES[name].X.dtype, ENLARGED.get(name, 1)
    unit = enlarged * resolution(name, covariance_type)
    ours = hard_errors(BayesianGaussianMixture, name, covariance_type)
    theirs = hard_errors(SklearnBayesianGaussianMixture, name, covariance_type)
    assert max(ours.values()) < MULTIPLE * unit
    assert all(ours[what] < max(theirs[what], 2 * unit, 40 * np.finfo(dtype).eps) for what in ours)
    weakness = {np.float64: 1e-6, np.float32: 1e-3}[dtype.type]
    assert all(theirs[what] < weakness or ours[what] < 1e-2 * theirs[what] for what in ours)


@pytest.mark.parametrize("weight_prior_type", WEIGHT_PRIOR_TYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_translation_changes_nothing_but_the_means(covariance_type, weight_prior_type):
    X = np.round(DATA * 2**20) / 2**20  # so that the shifted data are exact
    near, far = (
        BayesianGaussianMixture(
            n_components=4,
            covariance_type=covariance_type,
            weight_concentration_prior_type=weight_prior_type,
            max_iter=10,
            tol=0.0,
            random_state=0,
        ).fit(X + offset)
        for offset in (0.0, 1e6)
    )
    np.testing.assert_allclose(far.means_ - 1e6, near.means_, atol=1e-8)
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(far.weights_, near.weights_, rtol=1e-8)
    assert far.lower_bound_ == pytest.approx(near.lower_bound_, rel=1e-9)


@pytest.mark.parametrize("name", ["mean_precision_prior", "degrees_of_freedom_prior"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_priors_that_overflow_are_an_error(covariance_type, name):
    bgm = BayesianGaussianMixture(n_components=3, covariance_type=covariance_type, random_state=0, **{name: 1e308})
    with pytest.raises(ValueError):
        bgm.fit(DATA)
    assert not hasattr(bgm, "means_")


def test_bound_that_overflows_is_an_error_that_names_the_priors():
    bgm = BayesianGaussianMixture(n_components=3, weight_concentration_prior=1e-320, random_state=0)
    with pytest.raises(ValueError, match=r"bound became inf.*weight_concentration_prior .now 9.99989e-321"):
        bgm.fit(DATA)
    assert not hasattr(bgm, "means_")


# What the priors are for ----------------------------------------------------------------------------------------------


CLEAR_CLUSTERS = blobs(n_rows=100, spread=20.0)[0]


@pytest.mark.parametrize("weight_prior_type", WEIGHT_PRIOR_TYPES)
@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_superfluous_components_lose_their_rows(covariance_type, weight_prior_type):
    """Not 'tied': its start has too small a covariance for three components to grow over what ten have."""
    bgm = BayesianGaussianMixture(
        n_components=10,
        covariance_type=covariance_type,
        weight_concentration_prior_type=weight_prior_type,
        weight_concentration_prior=1e-3,
        max_iter=1000,
        tol=1e-6,
        random_state=0,
    ).fit(CLEAR_CLUSTERS)
    assert bgm.converged_
    assert np.count_nonzero(bgm.weights_ > 0.01) == 3
    np.testing.assert_allclose(np.sort(bgm.weights_)[-3:], 1 / 3, atol=0.02)
    labels = bgm.predict(CLEAR_CLUSTERS).reshape(3, 100)
    np.testing.assert_array_equal(labels, labels[:, :1].repeat(100, axis=1))
    assert len(set(labels[:, 0])) == 3


@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize(("weight_prior_type", "most"), [("dirichlet_process", 3), ("dirichlet_distribution", 8)])
def test_lower_concentrations_keep_fewer_components(weight_prior_type, most, init_params):
    """A high one keeps all components of a Dirichlet distribution; sticks come in order, and cannot be that equal."""
    bgm = BayesianGaussianMixture(
        n_components=8, weight_concentration_prior_type=weight_prior_type, init_params=init_params, max_iter=300,
        random_state=0,
    )  # fmt: skip
    fits = (
        bgm.set_params(weight_concentration_prior=prior).fit(CLEAR_CLUSTERS) for prior in (1e-6, 1e-3, 1.0, 100.0, 1e5)
    )
    counts = [np.count_nonzero(fit.weights_ > 0.01) for fit in fits]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (3, most)


@pytest.mark.parametrize("prior", [1e-3, 1e3, 1e8])
def test_mean_precision_prior_draws_the_means(prior):
    """As a weighted mean of prior mean and rows: eq. 10.61."""
    bgm = BayesianGaussianMixture(mean_prior=[9.0, 9.0, 9.0], mean_precision_prior=prior).fit(DATA)
    expected = (prior * 9.0 + DATA.sum(axis=0)) / (prior + len(DATA))
    np.testing.assert_allclose(bgm.means_[0], expected, rtol=1e-13)


# Properties -----------------------------------------------------------------------------------------------------------


@given(
    st.integers(6, 80),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from(TYPES),
    st.sampled_from(WEIGHT_PRIOR_TYPES),
    st.sampled_from(STARTS),
    st.tuples(st.floats(-6, 3), st.floats(-3, 3), st.floats(-1, 2), st.floats(-3, 3)),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_lower_bounds_never_fall(n, d, K, covariance_type, weight_prior_type, init_params, exponents, weighted, seed):
    """Without regularization: with it the iteration maximizes something else."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 3 * rng.integers(3, size=(n, 1))
    concentration, mean_precision, degrees_of_freedom, variance = 10.0 ** np.array(exponents)
    bgm = BayesianGaussianMixture(
        n_components=K,
        covariance_type=covariance_type,
        weight_concentration_prior_type=weight_prior_type,
        weight_concentration_prior=concentration,
        mean_precision_prior=mean_precision,
        degrees_of_freedom_prior=d - 1 + degrees_of_freedom,
        covariance_prior=one_covariance(variance * np.ones(d), covariance_type),
        init_params=init_params,
        reg_covar=0.0,
        tol=0.0,
        max_iter=30,
        random_state=0,
    ).fit(X, sample_weight=rng.uniform(0.1, 3, n) if weighted else None)
    bounds = np.array(bgm.lower_bounds_)
    # The terms are larger than the bound: the normalizers cancel each other in part.
    scale = np.abs(bounds).max() + n + np.sum(bgm.degrees_of_freedom_) * d
    assert np.diff(bounds).min(initial=0) > -1e-13 * scale
