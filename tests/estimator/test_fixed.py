"""Parameters that are held fixed: the others have the values that a plain oracle finds given these."""

import itertools

import numpy as np
import pytest
from _shared import oracle
from _shared.cases import all_types
from sklearn.base import clone

from fastgmm import GaussianMixture

FIXED = [names for n in (1, 2, 3) for names in itertools.combinations(("weights", "means", "covariances"), n)]
all_fixed = pytest.mark.parametrize("fixed", FIXED, ids="-".join)

rng = np.random.default_rng(0)
X = np.concatenate([rng.normal(0, 1, (150, 2)), rng.normal(3, 0.7, (250, 2))])
PRECISIONS = {
    "full": np.array([[[1.0, 0.2], [0.2, 0.8]], [[2.0, -0.3], [-0.3, 1.5]]]),
    "tied": np.array([[1.0, 0.2], [0.2, 0.8]]),
    "diag": np.array([[1.0, 0.8], [2.0, 1.5]]),
    "spherical": np.array([1.0, 2.0]),
}


def start(covariance_type):
    return {
        "weights_init": np.array([0.7, 0.3]),
        "means_init": np.array([[0.2, -0.3], [2.5, 3.2]]),
        "precisions_init": PRECISIONS[covariance_type],
    }


def covariances_about(means, resp, covariance_type, reg_covar=1e-6):
    """Eq. 9.25 of Bishop 2006 about any means."""
    nk, _, scatter = oracle.statistics(X, None, resp, means, covariance_type)
    return {
        "full": lambda: scatter / nk[:, np.newaxis, np.newaxis] + reg_covar * np.eye(2),
        "tied": lambda: scatter[0] / nk.sum() + reg_covar * np.eye(2),
        "diag": lambda: scatter / nk[:, np.newaxis] + reg_covar,
        "spherical": lambda: scatter[:, 0] / (2 * nk) + reg_covar,
    }[covariance_type]()


def expected(covariance_type, fixed, n_iter):
    """Expectation-maximization over what is not fixed, in extended precision; and the bounds."""
    given = start(covariance_type)
    weights, means = given["weights_init"], given["means_init"]
    factors = oracle.factors_of_precisions(given["precisions_init"], covariance_type)
    bounds = []
    for _ in range(n_iter):
        joint = oracle.log_joint(X, oracle.Parameters(weights, means, None, factors), covariance_type)
        bounds.append(oracle.log_prob_norm(joint).mean())
        resp = oracle.responsibilities(joint)
        if "weights" not in fixed:
            weights = resp.mean(axis=0)
        if "means" not in fixed:
            means = resp.T @ X / resp.sum(axis=0)[:, np.newaxis]
        if "covariances" not in fixed:
            factors = oracle.precisions_cholesky(covariances_about(means, resp, covariance_type), covariance_type)
    return weights, means, factors, bounds


@all_fixed
@all_types
def test_what_is_not_fixed_is_estimated_given_what_is(covariance_type, fixed):
    with pytest.warns(match="did not converge"):
        gmm = GaussianMixture(
            2, covariance_type=covariance_type, fixed=fixed, max_iter=6, tol=0, **start(covariance_type)
        ).fit(X)
    weights, means, factors, bounds = expected(covariance_type, fixed, 6)
    np.testing.assert_allclose(gmm.weights_, weights.astype(float), rtol=1e-12)
    np.testing.assert_allclose(gmm.means_, means.astype(float), rtol=1e-12)
    np.testing.assert_allclose(gmm.precisions_cholesky_, factors.astype(float), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(gmm.lower_bounds_, np.array(bounds, float), rtol=1e-12)


def attribute_of(name, gmm):
    return gmm.precisions_ if name == "covariances" else getattr(gmm, f"{name}_")


def given_value(name, given):
    return given["precisions_init" if name == "covariances" else f"{name}_init"]


@all_fixed
@all_types
def test_every_way_to_fit_holds_them(covariance_type, fixed):
    """And leads to the optimum that EM does."""
    da = pytest.importorskip("dask.array")
    fastgmm_dask = pytest.importorskip("fastgmm.dask")
    given = start(covariance_type)
    gmm = GaussianMixture(2, covariance_type=covariance_type, fixed=fixed, tol=1e-9, max_iter=2000, **given).fit(X)
    assert (np.diff(gmm.lower_bounds_) > -1e-12).all()
    ways = {
        "acceleration": GaussianMixture(**{**gmm.get_params(), "acceleration": "lbfgs", "stopping": "aitken"}).fit(X),
        "batches": clone(gmm).fit_batches([X[:123], X[123:]]),
        "dask": fastgmm_dask.GaussianMixture(**{**gmm.get_params(), "persist": True}).fit(da.from_array(X, (100, 2))),
        "warm start": clone(gmm).set_params(warm_start=True, fixed=None).fit(X).set_params(fixed=fixed).fit(X),
        "stream": clone(gmm).set_params(step_decay=1.0).partial_fit(X),
    }
    for _ in range(3):
        ways["stream"].partial_fit(X)
    for way, model in ways.items():
        for name in fixed:
            expected = given_value(name, given)
            np.testing.assert_allclose(attribute_of(name, model), expected, rtol=1e-14, atol=1e-15, err_msg=way)
        np.testing.assert_allclose(model.means_, gmm.means_, atol=1e-4, err_msg=way)
        np.testing.assert_allclose(model.precisions_, gmm.precisions_, rtol=2e-3, atol=2e-4, err_msg=way)
        assert model.score(X) == pytest.approx(gmm.score(X), abs=1e-6)


@pytest.mark.parametrize("fixed", ["means", ["means"], {"means"}])
def test_one_name_or_several(fixed):
    gmm = GaussianMixture(2, fixed=fixed, means_init=start("full")["means_init"], random_state=0)
    np.testing.assert_array_equal(clone(gmm).fit(X).means_, gmm.means_init)


def test_float32():
    gmm = GaussianMixture(2, fixed="means", means_init=start("full")["means_init"], random_state=0)
    rounded = gmm.fit(X.astype(np.float32))
    np.testing.assert_array_equal(rounded.means_, gmm.means_init.astype(np.float32))
    np.testing.assert_allclose(rounded.covariances_, clone(gmm).fit(X).covariances_, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["fit", "fit_predict", "partial_fit"])
@pytest.mark.parametrize("name", ["weights", "means", "covariances"])
def test_what_is_missing_is_named(name, method):
    initial = "precisions_init" if name == "covariances" else f"{name}_init"
    model = GaussianMixture(2, fixed=(name,))
    with pytest.raises(ValueError, match=rf"fixed=\('{name}',\) holds the {name} at {initial}.*None: pass {initial}"):
        getattr(model, method)(X)


@pytest.mark.parametrize("fixed", ["mean", ("means", "precisions"), 3, True, [["means"]], b"means"])
def test_what_cannot_be_fixed(fixed):
    with pytest.raises(ValueError, match="The 'fixed' parameter of GaussianMixture must be a str among "):
        GaussianMixture(2, fixed=fixed, **start("full")).fit(X)


def test_a_component_without_rows_is_named_though_its_weight_is_fixed():
    given = {"weights_init": [0.5, 0.3, 0.2], "means_init": [[0, 0], [3, 3], [500, 500]]}
    with pytest.warns(match="Component 2 has no rows"):
        gmm = GaussianMixture(3, fixed="weights", random_state=0, **given).fit(X)
    np.testing.assert_array_equal(gmm.weights_, given["weights_init"])


@all_fixed
@all_types
def test_what_is_fixed_is_no_free_parameter(covariance_type, fixed):
    gmm = GaussianMixture(2, covariance_type=covariance_type, **start(covariance_type)).fit(X)
    n_free = (gmm.aic(X) + 2 * len(X) * gmm.score(X)) / 2
    of = {"weights": 1, "means": 4, "covariances": {"full": 6, "tied": 3, "diag": 4, "spherical": 2}[covariance_type]}
    gmm.fixed = fixed
    assert (gmm.aic(X) + 2 * len(X) * gmm.score(X)) / 2 == pytest.approx(n_free - sum(of[name] for name in fixed))
