"""Accelerated fits, and the estimate of what is left to gain: steps against plain NumPy, optima against plain EM."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from _shared.cases import all_types, both_estimators
from scipy.linalg import block_diag
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm._em.coordinates import Coordinates
from fastgmm._em.iteration import Iteration
from fastgmm._em.lbfgs import LBFGS, Memory, lbfgs_step
from fastgmm._em.loop import run_em
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._start.find import parameter_finder

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = [GaussianMixture, BayesianGaussianMixture]
TOL = {GaussianMixture: 1e-8, BayesianGaussianMixture: 1e-4}  # of the mean, of the sum over rows


def overlapping(n_rows=300, n_features=2, dtype=np.float64):
    """Three clusters that EM takes long to tell apart."""
    rng = np.random.default_rng(4)
    centers = ((0.0, 1.0), (2.0, 0.8), (3.5, 1.3))
    parts = [rng.normal(center, scale, (n_rows, n_features)) for center, scale in centers]
    return np.vstack(parts).astype(dtype)


def fitted(estimator=GaussianMixture, X=None, sample_weight=None, **parameters):
    parameters = {"n_components": 3, "random_state": 0, "max_iter": 5000, "tol": TOL[estimator], **parameters}
    return estimator(**parameters).fit(overlapping() if X is None else X, sample_weight=sample_weight)


def iteration_and_start(model, X):
    """The iteration of a model on rows, and parameters that five iterations have led to."""
    passes = ArrayPasses(X, None, model.n_components, model._structure, 1)
    iteration = Iteration(model._model(passes), passes)
    start = parameter_finder(iteration.model, passes, model.init_params, model.reg_covar, np.random.RandomState(0))
    parameters = start()
    for _ in range(5):
        parameters, _ = iteration.iterate(parameters)
    return iteration, parameters


# The step ------------------------------------------------------------------------------------------------------------


def scale_of(steps, drops, inverse_information):
    """What BFGS multiplies the inverse information by (Nocedal and Wright 2006, eq. 7.20), within limits."""
    return np.clip(steps[-1] @ drops[-1] / (drops[-1] @ inverse_information @ drops[-1]), 1.0, 2.0)


def inverse_hessian(steps, drops, inverse_information):
    """BFGS as a matrix (Nocedal and Wright 2006, eq. 6.17), from a multiple of the inverse information."""
    n = steps.shape[1]
    H = inverse_information * scale_of(steps, drops, inverse_information)
    for s, y in zip(steps, drops, strict=True):
        V = np.eye(n) - np.outer(y, s) / (y @ s)
        H = V.T @ H @ V + np.outer(s, s) / (y @ s)
    return H


@pytest.mark.parametrize("n_pairs", [1, 2, 5])
@pytest.mark.parametrize("scale", [0.1, 0.7, 3.0])
def test_two_loops_are_bfgs(n_pairs, scale):
    rng = np.random.default_rng(n_pairs)
    steps = rng.normal(size=(n_pairs, 6))
    A, B = rng.normal(size=(2, 6, 6))
    drops = scale * steps @ (A @ A.T / 6 + np.eye(6))
    inverse_information = B @ B.T / 6 + np.eye(6)
    gradient = rng.normal(size=6)
    multiple = scale_of(steps, drops, inverse_information)
    step = lbfgs_step(gradient, steps, drops, multiple, lambda gradient: inverse_information @ gradient)
    expected = inverse_hessian(steps, drops, inverse_information) @ gradient
    np.testing.assert_allclose(step, expected, rtol=1e-10, atol=1e-12)


def em_in_numpy(X, w, mu, C):
    """One EM step of a full mixture, and the mean log-likelihood before it: textbook, no tricks."""
    log_prob = np.stack([np.log(w[k]) + multivariate_normal(mu[k], C[k]).logpdf(X) for k in range(len(w))], axis=1)
    norm = logsumexp(log_prob, axis=1)
    resp = np.exp(log_prob - norm[:, np.newaxis])
    nk = resp.sum(axis=0)
    new_mu = resp.T @ X / nk[:, np.newaxis]
    new_C = [(resp[:, k, np.newaxis] * (X - new_mu[k])).T @ (X - new_mu[k]) / nk[k] for k in range(len(w))]
    return nk / len(X), new_mu, np.array(new_C), norm.mean()


def flat(begin, end):
    """The step from one mixture (weights, means, covariances) to another."""
    return np.concatenate([np.log(end[0] / begin[0]), (end[1] - begin[1]).ravel(), (end[2] - begin[2]).ravel()])


def information(w, mu, C):
    """Of a row whose component is known, as one matrix: blocks w_k, w_k P_k and w_k / 2 (P_k x P_k)."""
    P = np.linalg.inv(C)
    blocks = (
        [np.diag(w)] + [w[k] * P[k] for k in range(len(w))] + [w[k] / 2 * np.kron(P[k], P[k]) for k in range(len(w))]
    )
    return block_diag(*blocks)


def test_six_passes_are_those_of_plain_numpy():
    """The fifth pass is the first one that is not followed by EM's step; the sixth shows where it has led."""
    X = overlapping(100)
    start = np.array([0.3, 0.3, 0.4]), X[[0, 120, 250]], np.tile(np.eye(2), (3, 1, 1))
    x, bounds = [start], []
    for _ in range(5):
        *found, bound = em_in_numpy(X, *x[-1])
        x.append(tuple(found))
        bounds.append(bound)
    *points, found = x[1:]  # the start itself is not remembered
    em_steps = [flat(begin, end) for begin, end in pairwise(x[1:])]
    gradients = [information(*point) @ step for point, step in zip(points, em_steps, strict=True)]
    steps = np.array(em_steps[:-1])
    drops = -np.diff(gradients, axis=0)
    assert (np.einsum("ij,ij->i", steps, drops) > 0).all()
    last, metric = points[-1], information(*points[-1])
    step = inverse_hessian(steps, drops, np.linalg.inv(metric)) @ gradients[-1]
    em_length, length = (math.sqrt(v @ metric @ v) for v in (flat(last, found), step))
    step *= min(1.0, 2.0 * em_length / length)
    weights = last[0] * np.exp(step[:3])
    covariances = last[2] + step[9:].reshape(3, 2, 2)
    *_, bound = em_in_numpy(X, weights / weights.sum(), last[1] + step[3:9].reshape(3, 2), covariances)
    assert bound > bounds[-1]
    model = GaussianMixture(
        3, weights_init=start[0], means_init=start[1], precisions_init=start[2], reg_covar=0.0, tol=0.0, max_iter=6,
        acceleration="lbfgs",
    ).fit(X)  # fmt: skip
    np.testing.assert_allclose(model.lower_bounds_, [*bounds, bound], rtol=1e-12)


@all_types
@both_estimators
def test_coordinates_there_and_back(estimator, covariance_type):
    iteration, x = iteration_and_start(estimator(n_components=3, covariance_type=covariance_type), overlapping())
    y, _ = iteration.iterate(x)
    coordinates = Coordinates(iteration.model, x)
    again = coordinates.point(coordinates.difference(x, y), y)
    for name in ("means", "covariances", "precisions_cholesky"):
        np.testing.assert_allclose(getattr(again, name), getattr(y, name), rtol=1e-10, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(iteration.model.masses(again), iteration.model.masses(y), rtol=1e-12)
    step = coordinates.difference(x, y)
    np.testing.assert_allclose(coordinates.step(coordinates.gradient(step)), step, rtol=1e-9, atol=1e-12)


@all_types
def test_em_step_is_the_gradient(covariance_type):
    """To first order: along the EM step the log-likelihood begins to rise by the square of the step's length."""
    iteration, x = iteration_and_start(
        GaussianMixture(3, covariance_type=covariance_type, reg_covar=0.0), overlapping()
    )
    y, _ = iteration.iterate(x)
    coordinates = Coordinates(iteration.model, x)
    em_step = coordinates.difference(x, y)
    log_likelihood = [iteration.iterate(coordinates.point(t * em_step, y))[1] for t in (-1e-3, 1e-3)]
    np.testing.assert_allclose(np.diff(log_likelihood)[0] / 2e-3, em_step @ coordinates.gradient(em_step), rtol=1e-2)


@pytest.mark.parametrize(("covariance_type", "mixing"), [("full", True), ("tied", True), ("diag", False)])
def test_affine_changes_do_not_change_the_path(covariance_type, mixing):
    """'full' and 'tied' stay what they are under any change of coordinates, 'diag' under one of units."""
    X = overlapping()
    A = np.array([[3.0, 1.0], [-0.2, 0.5]]) if mixing else np.diag([30.0, 0.2])
    resp = np.random.default_rng(0).dirichlet(np.ones(3), len(X))
    bounds = []
    for rows in (X, X @ A.T + 7.0):
        means = resp.T @ rows / resp.sum(axis=0)[:, np.newaxis] + (rows[[1, 400, 800]] - rows.mean(axis=0))
        precision = np.linalg.inv(np.cov(rows.T)) if mixing else 1.0 / rows.var(axis=0)
        init = {"weights_init": np.full(3, 1 / 3), "means_init": means}
        init["precisions_init"] = (
            precision if covariance_type == "tied" else np.tile(precision, (3, *[1] * precision.ndim))
        )
        model = fitted(
            X=rows, covariance_type=covariance_type, reg_covar=0.0, tol=0.0, max_iter=25, acceleration="lbfgs", **init
        )
        bounds.append(model.lower_bounds_)
    difference = np.subtract(*bounds)
    np.testing.assert_allclose(difference, math.log(abs(np.linalg.det(A))), rtol=1e-8)


# Whole fits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@all_types
@both_estimators
def test_same_optimum_in_fewer_passes(estimator, covariance_type, weighted):
    X = overlapping()
    sample_weight = np.random.default_rng(1).integers(1, 4, len(X)).astype(float) if weighted else None
    common = {"estimator": estimator, "covariance_type": covariance_type, "X": X, "sample_weight": sample_weight}
    # Far beyond the tolerance at which they are compared, since EM is slow.
    plain = fitted(**common, tol=TOL[estimator] * 1e-3)
    accelerated = fitted(**common, tol=TOL[estimator] * 1e-3, acceleration="lbfgs")
    assert plain.converged_
    assert accelerated.converged_
    assert accelerated.n_iter_ < plain.n_iter_ / 2
    n = 1.0 if estimator is GaussianMixture else len(X)
    assert abs(accelerated.lower_bound_ - plain.lower_bound_) < 1e-7 * n
    np.testing.assert_allclose(np.sort(accelerated.weights_), np.sort(plain.weights_), atol=2e-3)


@all_types
@both_estimators
def test_bounds_never_fall(estimator, covariance_type):
    model = fitted(estimator, covariance_type=covariance_type, n_components=4, acceleration="lbfgs", reg_covar=0.0)
    assert len(model.lower_bounds_) == model.n_iter_
    assert np.diff(model.lower_bounds_).min() >= -1e-14 * abs(model.lower_bound_)
    assert model.lower_bounds_[-1] == model.lower_bound_


@all_types
def test_parameters_are_those_of_an_m_step(covariance_type):
    """What is kept is the M step after the best pass, never a point that was extrapolated."""
    X = overlapping()
    model = fitted(X=X, covariance_type=covariance_type, acceleration="lbfgs", max_iter=9, tol=0.0)
    assert model.score(X) >= model.lower_bound_
    weighted_mean = model.weights_ @ model.means_
    np.testing.assert_allclose(weighted_mean, X.mean(axis=0), rtol=1e-12)  # holds after any M step, and only there


@all_types
@both_estimators
def test_float32(estimator, covariance_type):
    X = overlapping(dtype=np.float32)
    common = {"estimator": estimator, "covariance_type": covariance_type, "acceleration": "lbfgs"}
    tol = 1e-6 if estimator is GaussianMixture else 1e-3
    single, double = fitted(X=X, tol=tol, **common), fitted(X=X.astype(np.float64), **common)
    assert single.means_.dtype == np.float32
    assert single.converged_
    n = 1.0 if estimator is GaussianMixture else len(X)
    assert abs(single.lower_bound_ - double.lower_bound_) < 2e-5 * n


@both_estimators
def test_without_acceleration_nothing_changes(estimator, kernel_calls):
    X = overlapping()
    model, theirs = (cls(n_components=3, random_state=0, max_iter=20) for cls in (estimator, estimator._sklearn_class))
    np.testing.assert_allclose(model.fit(X).lower_bound_, theirs.fit(X).lower_bound_, rtol=1e-10)
    assert model.n_iter_ == theirs.n_iter_ == [call.name for call in kernel_calls].count("em_pass")


@both_estimators
def test_single_component(estimator):
    assert fitted(estimator, n_components=1, acceleration="lbfgs").n_iter_ == 2
    assert fitted(estimator, n_components=1, acceleration="lbfgs", stopping="aitken").converged_


@both_estimators
def test_several_starts_forget_each_other(estimator):
    """The best of three starts is what a single fit from it gives, bit by bit."""
    X = overlapping()
    model = estimator(n_components=3, init_params="random_from_data", tol=1e-4, max_iter=500, acceleration="lbfgs")
    random_state = np.random.RandomState(3)
    singles = [clone(model).set_params(random_state=random_state).fit(X) for _ in range(3)]
    several = clone(model).set_params(random_state=np.random.RandomState(3), n_init=3).fit(X)
    best = max(singles, key=lambda single: single.lower_bound_)
    assert several.lower_bounds_ == best.lower_bounds_
    np.testing.assert_array_equal(several.means_, best.means_)


@both_estimators
def test_warm_start(estimator):
    X = overlapping()
    model = fitted(estimator, X, acceleration="lbfgs", warm_start=True)
    lower_bound = model.lower_bound_
    assert model.fit(X).n_iter_ < 4
    assert model.lower_bound_ >= lower_bound - 1e-12 * abs(lower_bound)


def test_verbose(capsys):
    model = fitted(acceleration="lbfgs", verbose=1, verbose_interval=1)
    assert capsys.readouterr().out.count("EM: iteration") == model.n_iter_


def test_max_iter_limits_passes():
    with pytest.warns(ConvergenceWarning, match="the estimated change still to come was not below tol"):
        model = fitted(acceleration="lbfgs", stopping="aitken", max_iter=7)
    assert model.n_iter_ == 7


# Where a step fails --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", ["lower", "error"])
def test_a_bad_point_costs_one_pass(failure):
    """The first extrapolated point is spoiled: EM goes on from where it was, as if it had not been."""
    iteration, x = iteration_and_start(GaussianMixture(3), overlapping())
    accelerator, plain = LBFGS(iteration), LBFGS(iteration)
    while not accelerator.memory.is_extrapolated:
        x, bound = accelerator.iterate(x)
    memory = accelerator.memory
    found, best = accelerator.found, bound
    if failure == "lower":
        bad = MixtureParameters(x.weights[::-1].copy(), x.means, x.covariances, x.precisions_cholesky)
    else:
        bad = MixtureParameters(x.weights, x.means * np.nan, x.covariances, x.precisions_cholesky)
    after, bound = accelerator.iterate(bad)
    assert after is found
    assert bound == best
    assert not memory.is_extrapolated
    assert memory.remaining_gains[-1] == math.inf
    plain.begin(Memory(found=found))
    _, expected = plain.iterate(after)
    assert accelerator.iterate(after)[1] == expected > best


def test_rejected_points_make_it_wait():
    """After each further failure in a row there are more steps of EM before the next attempt."""
    iteration, x = iteration_and_start(GaussianMixture(3), overlapping())
    accelerator = LBFGS(iteration)
    attempts = []
    for i in range(30):
        if accelerator.memory.is_extrapolated:
            attempts.append(i)
            x = MixtureParameters(x.weights, x.means + 50.0, x.covariances, x.precisions_cholesky)
        x, _ = accelerator.iterate(x)
    assert np.diff(attempts).tolist() == [2, 3, 5, 9]


def until_extrapolated(accelerator, x):
    """The point that is not EM's, and the gain that EM is sure of from the point before it."""
    while not accelerator.memory.is_extrapolated:
        x, _ = accelerator.iterate(x)
    return x, 0.5 * accelerator.memory.em_gain


def test_a_point_that_gains_less_than_em_makes_it_wait():
    """It is kept, for its bound is higher, but EM goes on from there."""
    iteration, x = iteration_and_start(GaussianMixture(3), overlapping())
    accelerator = LBFGS(iteration)
    _, sure_gain = until_extrapolated(accelerator, x)
    memory = accelerator.memory
    memory.length, memory.next_wait = 8.0, 3
    # A tenth of EM's step: half of the gain is a quarter of the way.
    coordinates = Coordinates(iteration.model, memory.point)
    poor = coordinates.point(0.1 * coordinates.difference(memory.point, memory.found), memory.found)
    before = memory.bound
    after, bound = accelerator.iterate(poor)
    assert 0.0 < bound - before < sure_gain
    assert memory.point is poor
    assert after is memory.found
    assert (memory.radius, memory.wait, memory.next_wait, memory.length) == (2.0, 2, 7, 1.0)


@pytest.mark.parametrize("ratio", [0.29, 0.31])
def test_no_help_where_em_is_fast(ratio):
    """EM's gain shrinks to so much of that before, in the pass after which there would be an extrapolation."""
    iteration, x = iteration_and_start(GaussianMixture(3), overlapping())
    reference, accelerator = LBFGS(iteration), LBFGS(iteration)
    while not reference.memory.is_extrapolated:
        last, memory = x, replace(reference.memory)
        x, _ = reference.iterate(x)
    memory.em_gain = reference.memory.em_gain / ratio
    accelerator.begin(memory)
    accelerator.iterate(last)
    assert accelerator.memory.is_extrapolated == (ratio > 0.3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_pairs_are_forgotten_where_the_bound_is_not_concave(sign):
    """With the gradients of all passes turned around, the bound would be convex where it is concave."""
    iteration, x = iteration_and_start(GaussianMixture(3), overlapping())
    accelerator = LBFGS(iteration)
    until_extrapolated(accelerator, x)
    memory = accelerator.memory
    n_pairs = len(memory.steps)
    assert n_pairs > 1
    memory.gradient = sign * memory.gradient
    accelerator.iterate(memory.found)
    assert len(memory.steps) == (n_pairs + 1 if sign > 0.0 else 0)
    assert memory.is_extrapolated == (sign > 0.0)


def test_an_error_of_em_itself_is_raised():
    iteration, x = iteration_and_start(GaussianMixture(3), overlapping())
    with pytest.raises(ValueError, match="The log-likelihood became"):
        LBFGS(iteration).iterate(MixtureParameters(x.weights, x.means * np.nan, x.covariances, x.precisions_cholesky))


@all_types
def test_points_that_are_no_mixtures(covariance_type):
    """A step so long that a variance would be negative, and one that would leave less than reg_covar."""
    iteration, x = iteration_and_start(
        GaussianMixture(3, covariance_type=covariance_type, reg_covar=0.1), overlapping()
    )
    coordinates = Coordinates(iteration.model, x)

    def shrunk(factor):
        covariance = COVARIANCE_TYPES[covariance_type]
        covariances = x.covariances * factor
        return MixtureParameters(x.weights, x.means, covariances, covariance.precisions_cholesky(covariances))

    way = coordinates.difference(x, shrunk(0.5))
    assert coordinates.point(way, x) is not None
    assert coordinates.point(2.5 * way, x) is None
    assert coordinates.point(coordinates.difference(x, shrunk(0.01)), x) is None
    way[0] = np.inf
    assert coordinates.point(way, x) is None


@all_types
@both_estimators
def test_starved_components_take_steps_of_em(estimator, covariance_type):
    model = estimator(n_components=3, covariance_type=covariance_type)
    iteration, x = iteration_and_start(model, overlapping())
    masses = iteration.model.masses(x) * [1.0, 1.0, 1e-9]
    x = iteration.model.assembled(masses, x.means, x.covariances)
    y, _ = iteration.iterate(x)
    coordinates = Coordinates(iteration.model, x)
    point = coordinates.point(3.0 * coordinates.difference(x, y), y)
    np.testing.assert_array_equal(point.means[2], y.means[2])
    assert np.abs(point.means[:2] - y.means[:2]).min() > 0
    if covariance_type != "tied":
        np.testing.assert_array_equal(point.covariances[2], y.covariances[2])


@pytest.mark.parametrize("stopping", ["change", "aitken"])
@all_types
def test_rows_that_collapse(covariance_type, stopping):
    """Duplicates, on which components shrink to reg_covar, and a component of weight 0."""
    X = np.vstack([overlapping(50), np.tile([9.0, 9.0], (30, 1))])
    model = GaussianMixture(
        5, covariance_type=covariance_type, weights_init=[0.2, 0.3, 0.2, 0.3, 0.0],
        means_init=[*X[[0, 60, 120, 170]], [1e3, 1e3]], acceleration="lbfgs", stopping=stopping, tol=1e-6,
        max_iter=1000,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="Component 4 has no rows"):
        model.fit(X)
    assert model.converged_
    assert np.isfinite(model.means_).all()
    np.testing.assert_array_equal(model.means_[4], [1e3, 1e3])
    assert model.weights_[4] < 1e-15


@pytest.mark.parametrize("reg_covar", [0.01, 0.05])
@all_types
def test_large_reg_covar(covariance_type, reg_covar):
    """EM then climbs something else than the likelihood, and lowers that in the end; the fixed point is the same."""
    common = {"covariance_type": covariance_type, "reg_covar": reg_covar}
    plain = fitted(**common, tol=1e-13)
    accelerated = fitted(**common, tol=1e-13, acceleration="lbfgs")
    assert accelerated.n_iter_ < plain.n_iter_ / 2
    np.testing.assert_allclose(np.sort(accelerated.weights_), np.sort(plain.weights_), atol=1e-3)


# Interrupted fits ----------------------------------------------------------------------------------------------------


class Interrupted:
    """Rows in batches; Ctrl-C comes in the middle of the n-th iteration."""

    def __init__(self, X, n):
        self.X = X
        self.n = n

    def __iter__(self):
        self.n -= 1
        yield self.X[:300]
        if self.n == 0:
            raise KeyboardInterrupt
        yield self.X[300:]


@pytest.mark.parametrize("after", [3, 4, 5, 7, 12, 25, 30])
@all_types
@both_estimators
def test_resumes_to_the_same_bits(estimator, covariance_type, after, tmp_path):
    X = overlapping()
    model = estimator(
        n_components=4, covariance_type=covariance_type, init_params="random_from_data", n_init=2, random_state=1,
        max_iter=20, tol=0.0, acceleration="lbfgs",
    )  # fmt: skip
    whole = clone(model).fit_batches(Interrupted(X, math.inf))
    resumed = clone(model)
    with pytest.raises(KeyboardInterrupt):
        resumed.fit_batches(Interrupted(X, after), checkpoint=tmp_path / "fit.npz")
    resumed.fit_batches(Interrupted(X, math.inf), checkpoint=tmp_path / "fit.npz")
    assert resumed.lower_bounds_ == whole.lower_bounds_
    np.testing.assert_array_equal(resumed.means_, whole.means_)
    np.testing.assert_array_equal(resumed.covariances_, whole.covariances_)


def test_batches_are_as_all_rows():
    X = overlapping()
    start = {
        "weights_init": np.full(3, 1 / 3),
        "means_init": X[[0, 400, 800]],
        "precisions_init": np.tile(np.eye(2), (3, 1, 1)),
    }
    whole, batched = (GaussianMixture(3, **start, tol=0.0, max_iter=15, acceleration="lbfgs") for _ in range(2))
    whole.fit(X)
    batched.fit_batches([X[:123], X[123:]])
    np.testing.assert_allclose(batched.lower_bounds_, whole.lower_bounds_, rtol=1e-10)


def test_resume_with_another_rule(tmp_path):
    """The rule is one of the parameters that may change."""
    X = overlapping()
    model = GaussianMixture(3, random_state=0, tol=1e-7, max_iter=5000)
    whole = clone(model).set_params(stopping="aitken").fit_batches(Interrupted(X, math.inf))
    with pytest.raises(KeyboardInterrupt):
        model.fit_batches(Interrupted(X, 10), checkpoint=tmp_path / "fit.npz")
    model.set_params(stopping="aitken").fit_batches(Interrupted(X, math.inf), checkpoint=tmp_path / "fit.npz")
    assert model.lower_bounds_ == whole.lower_bounds_
    assert model.converged_


# When to stop --------------------------------------------------------------------------------------------------------


def run_sequence(bounds, tol, rounding=0.0, stopping="aitken"):
    """EM on a sequence of bounds in place of data: how many of them it looks at, and whether it has converged."""
    values = iter(bounds)
    result = run_em(
        lambda: None, lambda parameters: (None, next(values)), n_init=1, max_iter=len(bounds), tol=tol,
        stopping=stopping, rounding=rounding,
    )  # fmt: skip
    return len(result.lower_bounds), result.converged


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9, 0.99])
def test_aitken_stops_where_so_much_is_left(rate):
    """The bounds -rate^n reach 0 in the end, and are below by exactly rate^n."""
    bounds = -(rate ** np.arange(3000.0))
    n, converged = run_sequence(bounds, 1e-4)
    assert converged
    assert bounds[n - 1] > -1e-4 * (1 + 1e-6)
    assert n == 4 or bounds[n - 2] < -1e-4 * (1 - 1e-6)


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("a fast start", [-1000.0, -10.0, -9.9]),
        ("a plateau", [-10.0, -9.999, -9.997, -9.994, -9.99, -9.985, -9.979]),
        ("a swing", [-10.0, -9.0, -9.5, -9.2, -9.1]),
    ],
)
def test_aitken_is_not_deceived(name, bounds):
    """Gains that have just begun, that grow, or that alternate say nothing of the end, however small."""
    assert not run_sequence(np.array(bounds) * 1e-6, 1e-8)[1], name


def test_aitken_takes_no_rate_from_rounding():
    assert run_sequence([-1.0, -0.5, -0.5 + 1e-15, -0.5 + 3e-15], 1e-8, rounding=1e-14) == (3, True)
    assert run_sequence([-1.0, -0.5, -0.5 + 1e-15, -0.5 + 3e-15], 0.0, rounding=1e-14) == (4, False)


@pytest.mark.parametrize("acceleration", [None, "lbfgs"])
@all_types
@both_estimators
def test_aitken_ends_near_the_optimum(estimator, covariance_type, acceleration):
    tol = 1e-5 if estimator is GaussianMixture else 1e-2
    optimum = fitted(estimator, covariance_type=covariance_type, acceleration="lbfgs", tol=tol * 1e-6).lower_bound_
    common = {"covariance_type": covariance_type, "tol": tol}
    near = fitted(estimator, stopping="aitken", acceleration=acceleration, **common)
    far = fitted(estimator, **common)
    assert near.converged_
    assert optimum - near.lower_bound_ < 2 * tol
    assert optimum - far.lower_bound_ > 2 * tol or covariance_type == "tied"


@pytest.mark.parametrize(
    ("em_gain", "em_gain_before", "gain", "change"),
    [
        (3e-3, 1e-5, 1e-6, 3e-3),  # a step may happen to change the bound by nothing
        (1e-6, 2e-3, 1e-2, 2e-3),  # and lead to where EM happens to gain next to nothing
        (1e-6, 2e-3, 1e-5, 1e-5),
        (1e-6, 1e-5, 1e-2, 1e-5),
    ],
)
def test_change_with_acceleration(em_gain, em_gain_before, gain, change):
    """What EM would gain, seen twice: at the last point, and before it or in what has led there."""
    iteration, x = iteration_and_start(GaussianMixture(3), overlapping())
    accelerator = LBFGS(iteration)
    accelerator.begin(Memory(found=x, em_gain=em_gain, em_gain_before=em_gain_before, gain=gain))
    assert accelerator.change == change


def test_bounds_that_stand_still_are_not_enough():
    """With acceleration it is EM that must gain little, as at a point that was turned down."""
    iteration, x = iteration_and_start(GaussianMixture(3), overlapping())
    accelerator = LBFGS(iteration)
    accelerator.iterate = lambda parameters: (parameters, -1.0)
    accelerator.begin = lambda memory: None
    for em_gain, n_iter in ((1e-3, 5), (1e-5, 1)):
        accelerator.memory = Memory(found=x, em_gain=em_gain, em_gain_before=em_gain)
        result = run_em(lambda: x, None, n_init=1, max_iter=5, tol=1e-4, accelerator=accelerator)
        assert len(result.lower_bounds) == n_iter
        assert result.converged == (n_iter == 1)


# Parameters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("acceleration", "squarem", "a str among {'lbfgs'} or None. Got 'squarem' instead. Pass None for plain EM."),
        ("acceleration", True, "a str among {'lbfgs'} or None. Got True instead."),
        ("stopping", "relative", "a str among {'change', 'aitken'}. Got 'relative' instead. Pass one of these names."),
        ("stopping", None, "a str among {'change', 'aitken'}. Got None instead."),
    ],
)
@both_estimators
def test_refused_parameters(estimator, name, value, message):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {estimator.__name__} must be") as error:
        estimator(**{name: value}).fit(overlapping())
    assert message in str(error.value)
