"""The weak prior: fits against R's mclust, the bound against the definition, and fits that do not collapse."""

import csv
from pathlib import Path

import numpy as np
import pytest
from _shared.degenerate import flaw_of, generated, of_the_guide
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris

from fastgmm import GaussianMixture, GaussianMixtureIC
from fastgmm._model.covariance import COVARIANCE_TYPES, structure_of_type
from fastgmm._model.covariance.structure import as_matrices
from fastgmm.batches import from_array
from fastgmm.datasets import load_old_faithful

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:reg_covar=1e-06 is far"
)

DATA = {"old_faithful": load_old_faithful, "iris": lambda: load_iris().data}
TIGHT = {"prior": "weak", "reg_covar": 0.0, "tol": 1e-11, "max_iter": 20_000}


def fits_of_mclust():
    with open(Path(__file__).parent / "reference" / "mclust_prior.csv") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", fits_of_mclust(), ids=lambda row: f"{row['data']}-{row['model']}-{row['n_components']}")
def test_fits_are_those_of_mclust(row):
    """mclust leaves the scale out of EII, so its components are narrower. It does not draw the means of EEI."""
    X, labels = DATA[row["data"]](), np.array([int(digit) for digit in row["labels"]])
    gmm = GaussianMixture(labels.max() + 1, covariance_type=row["model"], init_params=labels, **TIGHT).fit(X)
    expected = np.array([float(number) for number in row["first_variances"].split()])
    if row["model"] == "EII":
        assert (gmm.covariances_ > expected).all()
        return
    rounding = 2e-6 if row["model"] == "EEI" else 1e-6
    assert len(X) * gmm.score(X) == pytest.approx(float(row["log_likelihood"]), rel=rounding)
    np.testing.assert_allclose(matrices(gmm)[:, 0, 0], expected, rtol=1e-3)


def matrices(gmm):
    return as_matrices(structure_of_type(gmm.covariance_type).spread(gmm.covariances_, *gmm.means_.shape))


def log_posterior(X, gmm):
    """From the definitions of the density and of the prior, for types whose components have priors of their own."""
    K, d = gmm.means_.shape
    spread, mean = matrices(gmm), X.mean(axis=0)
    densities = [multivariate_normal(gmm.means_[k], spread[k]).pdf(X) for k in range(K)]
    scale = np.cov(X.T) * K ** (-2 / d)
    if structure_of_type(gmm.covariance_type).kernel == "diag":
        scale = np.trace(scale) / d * np.eye(d)
    mass = {"diag": d + 5, "VEI": (d + 5) / d, "VEV": 0}.get(gmm.covariance_type, 2 * d + 4)
    value = np.log(gmm.weights_ @ densities).sum()
    for k in range(K):
        inner = scale + 0.01 * np.outer(gmm.means_[k] - mean, gmm.means_[k] - mean)
        value -= 0.5 * (mass * np.linalg.slogdet(spread[k])[1] + np.trace(np.linalg.solve(spread[k], inner)))
    return value


@pytest.mark.parametrize("covariance_type", ["full", "diag", "VEI", "VEE", "EVE", "VVE", "VEV", "EVV"])
def test_the_bound_is_the_log_posterior(covariance_type):
    X, labels = load_iris().data, load_iris().target
    parameters = {"covariance_type": covariance_type, "prior": "weak", "reg_covar": 0.0, "init_params": labels}
    gmm = GaussianMixture(3, tol=0.0, max_iter=15, **parameters).fit(X)
    before = GaussianMixture(3, tol=0.0, max_iter=14, **parameters).fit(X)
    assert len(X) * gmm.lower_bound_ == pytest.approx(log_posterior(X, before), rel=1e-10)
    assert np.diff(gmm.lower_bounds_).min() > 0.0


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_the_bound_rises(covariance_type):
    X, labels = DATA["old_faithful"](), np.arange(272) % 3
    gmm = GaussianMixture(3, covariance_type=covariance_type, init_params=labels, **TIGHT | {"max_iter": 300}).fit(X)
    assert np.diff(gmm.lower_bounds_).min() > -1e-13


@pytest.mark.parametrize("seed", range(12))
def test_no_fit_aborts_or_collapses(seed):
    X, K = generated(seed)
    for covariance_type in COVARIANCE_TYPES:
        for reg_covar in (0.0, 1e-6):
            gmm = GaussianMixture(K, covariance_type=covariance_type, prior="weak", reg_covar=reg_covar, random_state=0)
            assert flaw_of(gmm.fit(X), X) == "", (covariance_type, reg_covar)


@pytest.mark.parametrize("name", of_the_guide())
def test_no_fit_to_the_sets_of_the_guide_collapses(name):
    X, K = of_the_guide()[name]
    gmm = GaussianMixture(K, prior="weak", reg_covar=0.0, random_state=0).fit(X)
    assert flaw_of(gmm, X) == ""
    if name == "sensor":
        assert flaw_of(GaussianMixture(K, reg_covar=1e-9, random_state=0).fit(X), X).startswith("a spike")


def test_a_constant_feature_changes_nothing():
    X = load_iris().data
    with_constant = np.column_stack([X, np.full(150, 1e3)])
    gmms = [GaussianMixture(3, prior="weak", reg_covar=0.0, tol=1e-8, max_iter=500, random_state=0) for _ in range(2)]
    np.testing.assert_array_equal(gmms[0].fit_predict(X), gmms[1].fit_predict(with_constant))
    np.testing.assert_allclose(np.ptp(gmms[1].covariances_[:, 4, 4]), 0.0, atol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "spherical", "EVI"])
def test_batches_dask_and_weights(covariance_type):
    """Weights count rows."""
    da = pytest.importorskip("dask.array")
    dask = pytest.importorskip("fastgmm.dask")
    X = DATA["old_faithful"]()
    parameters = {"covariance_type": covariance_type, "max_iter": 20, "tol": 0.0, "reg_covar": 0.0, "prior": "weak"}
    parameters |= {"init_params": lambda X, K, random_state: (X[:, 0] > 3).astype(int) + (X[:, 1] > 80)}
    gmm = GaussianMixture(3, **parameters).fit(X)
    others = {
        "batches": GaussianMixture(3, **parameters).fit(from_array(X, batch_rows=50)),
        "dask": dask.GaussianMixture(3, **parameters).fit(da.from_array(X, chunks=(100, -1))),
        "weights": GaussianMixture(3, **parameters).fit(X, sample_weight=np.ones(272)),
    }
    for name, other in others.items():
        np.testing.assert_allclose(other.means_, gmm.means_, rtol=1e-9, err_msg=name)
        np.testing.assert_allclose(other.covariances_, gmm.covariances_, rtol=1e-8, err_msg=name)
    halves = np.concatenate([X, X])
    twice = GaussianMixture(3, **parameters).fit(halves)
    weighted = GaussianMixture(3, **parameters).fit(X, sample_weight=np.full(272, 2.0))
    np.testing.assert_allclose(weighted.covariances_, twice.covariances_, rtol=1e-9)
    assert not np.allclose(weighted.covariances_, gmm.covariances_, rtol=1e-4)


def test_fixed_means_and_acceleration():
    X = load_iris().data
    means = X[[0, 60, 120]]
    gmm = GaussianMixture(3, means_init=means, fixed="means", random_state=0, **TIGHT).fit(X)
    np.testing.assert_array_equal(gmm.means_, means)
    assert np.diff(gmm.lower_bounds_).min() > -1e-13
    plain = GaussianMixture(3, random_state=0, **TIGHT).fit(X)
    fast = GaussianMixture(3, random_state=0, acceleration="lbfgs", **TIGHT).fit(X)
    assert fast.n_iter_ < plain.n_iter_
    assert fast.lower_bound_ == pytest.approx(plain.lower_bound_, abs=1e-8)


def test_the_search_finds_the_fits_of_single_mixtures():
    """The candidates of wine that collapse without a prior have a criterion with it."""
    X, K = of_the_guide()["wine"]
    types = ["full", "tied", "EVV"]
    without = GaussianMixtureIC([2, K], covariance_type=types, random_state=0).fit(X)
    search = GaussianMixtureIC([2, K], covariance_type=types, prior="weak", reg_covar=0.0, random_state=0).fit(X)
    assert np.isnan(without.criterion_["bic"]).any()
    assert not np.isnan(search.criterion_["bic"]).any()
    best = search.best_estimator_
    assert best.prior == "weak"
    assert search.criterion_["criterion"].min() == pytest.approx(best.bic(X))
    single = GaussianMixture(2, prior="weak", reg_covar=0.0, random_state=0).fit(X)
    i = np.flatnonzero((search.criterion_["n_components"] == 2) & (search.criterion_["covariance_type"] == "full"))[0]
    assert search.criterion_["log_likelihood"][i] >= 178 * single.score(X) - 1e-6


def test_a_background_keeps_its_place():
    X = DATA["old_faithful"]()
    gmm = GaussianMixture(2, noise=True, random_state=0, **TIGHT).fit(X)
    assert np.diff(gmm.lower_bounds_).min() > -1e-12
    assert gmm.weights_.sum() + gmm.noise_weight_ == pytest.approx(1.0)


def test_what_does_not_combine_is_refused():
    X = load_iris().data
    with pytest.raises(ValueError, match="partial_fit does not work with prior='weak'"):
        GaussianMixture(2, prior="weak").partial_fit(X)
    for estimator in (GaussianMixture(2), GaussianMixtureIC(2)):
        with pytest.raises(ValueError, match="prior='weak' does not work with missing='marginalize'"):
            estimator.set_params(prior="weak", missing="marginalize").fit(X)
    with pytest.raises(ValueError, match=r"'prior' parameter .* must be a str among {'weak'} or None"):
        GaussianMixture(2, prior="strong").fit(X)
    with pytest.raises(ValueError, match=r"sum of sample_weight is 0\.5.*prior='weak'"):
        GaussianMixture(2, prior="weak").fit(X, sample_weight=np.full(150, 0.5 / 150))
