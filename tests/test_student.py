"""What is `StudentTMixture`'s own: the textbook's EM, recovery, outliers, inference, and every source of rows."""

import pickle

import numpy as np
import pytest
import scipy.stats
from _shared import oracle, student_oracle
from _shared.cases import STARTS, all_types, both_dtypes
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import estimator_checks_generator

from fastgmm import GaussianMixture, StudentTMixture
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.student import degrees_of_freedom_with_gap

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MEANS = np.array([[0.0, 0.0, 0.0], [6.0, 0.0, 3.0], [-5.0, 5.0, 0.0]])
NU = np.array([3.0, 6.0, 20.0])


def t_rows(n=400, dtype=np.float64):
    """n rows of each of three t distributions with scales 1, 1/2 and 2 along the axes."""
    rng = np.random.default_rng(0)
    u = np.stack([rng.chisquare(nu, (n, 1)) / nu for nu in NU])
    return np.concatenate(MEANS[:, np.newaxis] + rng.normal(size=(3, n, 3)) * [1.0, 0.5, 2.0] / np.sqrt(u)).astype(
        dtype
    )


def start_of(covariance_type, X):
    """Initial parameters for the estimator, and the same for the oracle."""
    d, K = X.shape[1], len(MEANS)
    precisions = {
        "full": np.tile(np.eye(d), (K, 1, 1)), "tied": np.eye(d), "diag": np.ones((K, d)), "spherical": np.ones(K)
    }[covariance_type]  # fmt: skip
    means = MEANS[:, :d] + 0.5
    given = {"weights_init": np.full(K, 1 / K), "means_init": means, "precisions_init": precisions}
    factors = oracle.factors_of_precisions(precisions, covariance_type)
    return given, student_oracle.Parameters(given["weights_init"], means, None, factors, np.full(K, 10.0))


@pytest.mark.parametrize("degrees_of_freedom", ["varying", "common", 4.0])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@both_dtypes
@all_types
def test_a_fit_is_the_textbooks(covariance_type, dtype, weighted, degrees_of_freedom):
    X = t_rows(70, dtype)
    weights = np.arange(len(X)) % 3.0 if weighted else None
    given, start = start_of(covariance_type, X)
    update = degrees_of_freedom if isinstance(degrees_of_freedom, str) else ""
    if not update:
        start = start._replace(degrees_of_freedom=np.full(3, degrees_of_freedom))
    model = StudentTMixture(
        3, covariance_type=covariance_type, degrees_of_freedom=degrees_of_freedom, max_iter=8, tol=0.0, **given
    ).fit(X, sample_weight=weights)
    expected, bounds = student_oracle.em(X, start, covariance_type, 8, update, weights, reg_covar=1e-6)
    rtol = 1e-10 if dtype == np.float64 else 2e-4
    np.testing.assert_allclose(model.weights_, expected.weights.astype(float), rtol=rtol)
    np.testing.assert_allclose(model.means_, expected.means.astype(float), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(model.scales_, expected.scales.astype(float), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(model.degrees_of_freedom_, expected.degrees_of_freedom.astype(float), rtol=5 * rtol)
    np.testing.assert_allclose(model.lower_bounds_, np.array(bounds, float), rtol=rtol)
    assert model.scales_.dtype == model.degrees_of_freedom_.dtype == dtype


@pytest.mark.parametrize("degrees_of_freedom", ["varying", "common", 2.0])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_each_iteration_raises_the_likelihood(covariance_type, degrees_of_freedom):
    X = t_rows(60)
    X[::20] *= 30
    labels = np.repeat(np.arange(3), 60)
    parameters = {"covariance_type": covariance_type, "degrees_of_freedom": degrees_of_freedom, "init_params": labels}
    model = StudentTMixture(3, reg_covar=0.0, tol=0.0, max_iter=40, **parameters).fit(X)
    assert np.diff(model.lower_bounds_).min() > -1e-11


def test_expansion_leads_to_the_same_optimum_as_plain_em_in_fewer_iterations():
    X = t_rows(60)
    _, start = start_of("full", X)
    start = start._replace(degrees_of_freedom=np.full(3, 2.0))
    plain, of_plain = student_oracle.em(X, start, "full", 40, "", expanded=False)
    expanded, of_expanded = student_oracle.em(X, start, "full", 40, "")
    best = max(of_plain[-1], of_expanded[-1])
    assert best - of_expanded[12] < 0.2 * (best - of_plain[12])
    assert oracle.relative_error(expanded.scales, plain.scales, 1) < 1e-5


def test_the_equation_of_the_degrees_of_freedom():
    nu = np.geomspace(0.1, 1000.0, 200)
    gaps = np.log(nu / 2) - scipy.special.digamma(nu / 2)
    np.testing.assert_allclose(degrees_of_freedom_with_gap(gaps), nu, rtol=1e-9)
    np.testing.assert_allclose(degrees_of_freedom_with_gap(np.array([-1.0, 0.0, 1e-9, 1e9])), [1e3, 1e3, 1e3, 0.1])


def test_parameters_are_found_again():
    X = t_rows(20_000)
    model = StudentTMixture(3, random_state=0, tol=1e-7, max_iter=500).fit(X)
    order = [int(np.argmin(np.linalg.norm(model.means_ - mean, axis=1))) for mean in MEANS]
    np.testing.assert_allclose(model.means_[order], MEANS, atol=0.06)
    np.testing.assert_allclose(model.weights_, 1 / 3, rtol=0.01)
    scales = np.tile(np.diag([1.0, 0.25, 4.0]), (3, 1, 1))
    np.testing.assert_allclose(model.scales_[order], scales, rtol=0.05, atol=0.06)
    assert (np.abs(model.degrees_of_freedom_[order] / NU - 1) < [0.05, 0.08, 0.4]).all()
    common = StudentTMixture(3, degrees_of_freedom="common", random_state=0).fit(X)
    assert common.bic(X) > model.bic(X)
    assert GaussianMixture(3, random_state=0).fit(X).bic(X) > common.bic(X)


def test_gaussians_keep_their_criterion():
    """Where tails are light, BIC prefers Gaussians."""
    rng = np.random.default_rng(0)
    X = MEANS[rng.integers(3, size=2000)] + rng.normal(size=(2000, 3))
    model = StudentTMixture(3, random_state=0, max_iter=500).fit(X)
    assert model.degrees_of_freedom_.min() > 12
    assert GaussianMixture(3, random_state=0).fit(X).bic(X) < model.bic(X)


def test_gross_outliers_do_not_move_means():
    """5 % of outliers: the means are nearly as near as those of the other rows, and the Gaussians' are far away."""
    errors = {GaussianMixture: [], StudentTMixture: [], "without outliers": []}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = MEANS[np.repeat(np.arange(3), 300)] + rng.normal(size=(900, 3))
        is_out = np.arange(900) % 20 == seed
        parts = [X[first : first + 300][~is_out[first : first + 300]] for first in (0, 300, 600)]
        of_parts = [np.linalg.norm(part.mean(axis=0) - mean) for part, mean in zip(parts, MEANS, strict=True)]
        errors["without outliers"].append(of_parts)
        X[is_out] = rng.uniform(-60, 60, (45, 3))
        for estimator in (GaussianMixture, StudentTMixture):
            model = estimator(3, init_params="random_from_data", n_init=10, random_state=seed, max_iter=300).fit(X)
            errors[estimator].append([np.linalg.norm(model.means_ - mean, axis=1).min() for mean in MEANS])
    sizes = {name: np.sqrt(np.mean(np.square(found))) for name, found in errors.items()}
    assert sizes[StudentTMixture] < 1.2 * sizes["without outliers"]
    assert sizes[GaussianMixture] > 10 * sizes["without outliers"]


@all_types
def test_inference(covariance_type):
    X = t_rows()
    model = StudentTMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    spread = COVARIANCE_TYPES[covariance_type].spread(model.scales_, 3, 3)
    matrices = [np.diag(scale) if scale.ndim == 1 else scale for scale in spread]
    joint = np.log(model.weights_) + np.transpose([
        scipy.stats.multivariate_t(*each).logpdf(X)
        for each in zip(model.means_, matrices, model.degrees_of_freedom_, strict=True)
    ])  # fmt: skip
    norm = scipy.special.logsumexp(joint, axis=1)
    np.testing.assert_allclose(model.score_samples(X), norm, rtol=1e-11)
    np.testing.assert_allclose(model.predict_proba(X), np.exp(joint - norm[:, np.newaxis]), rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(model.predict(X), joint.argmax(axis=1))
    n_covariances = {"full": 18, "tied": 6, "diag": 9, "spherical": 3}[covariance_type]
    summary = model.summary(X)
    assert summary.n_parameters == 2 + 9 + n_covariances + 3
    assert model.bic(X) == pytest.approx(summary.bic, rel=1e-12)
    assert model.aic(X) == pytest.approx(-2 * norm.sum() + 2 * summary.n_parameters, rel=1e-12)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).score_samples(X), model.score_samples(X))


def test_sampled_rows_have_the_distribution():
    model = StudentTMixture(3, random_state=0).fit(t_rows(2000))
    X, labels = model.sample(30_000, random_state=1)
    for k in range(3):
        z = (X[labels == k] - model.means_[k]) @ model.precisions_cholesky_[k]
        nu = model.degrees_of_freedom_[k]
        assert scipy.stats.kstest(np.square(z).sum(axis=1) / 3, scipy.stats.f(3, nu).cdf).pvalue > 1e-3
    np.testing.assert_array_equal(model.sample(5, random_state=1)[0], model.sample(5, random_state=1)[0])


def test_dask():
    da = pytest.importorskip("dask.array")
    fastgmm_dask = pytest.importorskip("fastgmm.dask")
    X = t_rows()
    parameters = {"n_components": 3, "random_state": 0, "max_iter": 5, "tol": 0.0}
    whole = StudentTMixture(**parameters).fit(X)
    chunked = da.from_array(X, chunks=(170, 3))
    on_chunks = fastgmm_dask.StudentTMixture(**parameters).fit(chunked)
    np.testing.assert_allclose(on_chunks.scales_, whole.scales_, rtol=1e-10)
    np.testing.assert_allclose(on_chunks.degrees_of_freedom_, whole.degrees_of_freedom_, rtol=1e-10)
    np.testing.assert_array_equal(on_chunks.predict(chunked).compute(), whole.predict(X))
    np.testing.assert_allclose(on_chunks.to_local().score_samples(X), whole.score_samples(X), rtol=1e-10)


def test_batches_and_checkpoints(tmp_path):
    X, weights = t_rows(), np.arange(1200) % 2 + 0.5
    parameters = {"n_components": 3, "covariance_type": "tied", "random_state": 0, "max_iter": 6, "tol": 0.0}
    whole = StudentTMixture(**parameters).fit(X, sample_weight=weights)
    batches = [(X[i : i + 170], weights[i : i + 170]) for i in range(0, 1200, 170)]
    others = [StudentTMixture(**parameters).fit_batches(batches)]

    def stop(progress):
        if progress.stage == "EM" and progress.iteration == 3:
            raise StopIteration

    path = tmp_path / "fit.npz"
    StudentTMixture(**parameters).fit_batches(batches, checkpoint=path, callback=stop)
    others.append(StudentTMixture(**parameters).fit_batches(batches, checkpoint=path))
    for other in others:
        np.testing.assert_allclose(other.scales_, whole.scales_, rtol=1e-11)
        np.testing.assert_allclose(other.degrees_of_freedom_, whole.degrees_of_freedom_, rtol=1e-10)
    again = StudentTMixture(**{**parameters, "max_iter": 3}).fit(X, sample_weight=weights).set_params(warm_start=True)
    again.fit(X, sample_weight=weights)
    np.testing.assert_allclose(again.scales_, whole.scales_, rtol=1e-11)


def in_turns(X, K, _):
    return np.arange(len(X)) % K


@pytest.mark.parametrize("init_params", [*STARTS, "sample", "split_merge", in_turns])
def test_starts(init_params):
    X = t_rows()
    model = StudentTMixture(3, init_params=init_params, n_init=2, random_state=0, max_iter=300).fit(X)
    assert model.score(X) > StudentTMixture(1).fit(X).score(X)


def test_a_component_that_loses_its_rows_keeps_its_parameters():
    given = {"means_init": np.vstack([MEANS, np.full(3, 1e8)]), "weights_init": np.full(4, 0.25)}
    model = StudentTMixture(4, precisions_init=np.tile(np.eye(3), (4, 1, 1)), degrees_of_freedom=20.0, **given)
    with pytest.warns(match="Component 3 has no rows"):
        model.fit(t_rows())
    np.testing.assert_array_equal(model.means_[3], 1e8)
    np.testing.assert_allclose(model.scales_[3], np.eye(3), rtol=1e-12)


def test_what_is_refused():
    X = t_rows(30)
    message = r"'degrees_of_freedom' parameter of StudentTMixture must be a str among.*GaussianMixture"
    for value in (0.05, 1e4, "own", None, np.nan):
        with pytest.raises(ValueError, match=message):
            StudentTMixture(2, degrees_of_freedom=value).fit(X)
    with pytest.raises(TypeError, match="acceleration"):
        StudentTMixture(2, acceleration="lbfgs")
    with pytest.raises(NotFittedError):
        StudentTMixture().predict(X)
    assert not hasattr(StudentTMixture(), "partial_fit")
    model = StudentTMixture(2, random_state=0).fit(X)
    model.degrees_of_freedom_ = np.ones(3)
    with pytest.raises(ValueError, match="degrees_of_freedom_ has the shape"):
        model.predict(X)


def test_pictures_have_the_density():
    plt = pytest.importorskip("matplotlib.pyplot")
    from fastgmm import plotting
    from fastgmm._plots.marginals import mixture_in_units_of_data

    X = t_rows()
    model = StudentTMixture(3, random_state=0).fit(X)
    marginal = mixture_in_units_of_data(model, None)
    np.testing.assert_allclose(marginal.log_density(X[:50]), model.score_samples(X[:50]), rtol=1e-9)
    one = marginal.of([1])
    expected = one.densities_of_components(X[:50, 1]) @ one.weights
    np.testing.assert_allclose(np.exp(one.log_density(X[:50, [1]])), expected, rtol=1e-9)
    for features in ([0], [0, 1]):
        plotting.plot_components(model, X, features=features)
        plotting.plot_density(model, X, features=features)
        plotting.plot_uncertainty(model, X, features=features)
    plt.close("all")


def _check_id(value):
    return value.func.__name__ if hasattr(value, "func") else type(value).__name__


@pytest.mark.filterwarnings("ignore:y is ignored, but looks like weights")
@pytest.mark.parametrize(("estimator", "check"), list(estimator_checks_generator(StudentTMixture())), ids=_check_id)
def test_scikit_learn_estimator_checks(estimator, check):
    check(estimator)
