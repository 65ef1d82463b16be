"""Passes that skip pairs of row and component: against the oracle, against dense passes, and when they are taken."""

import dataclasses
from functools import cache, partialmethod

import numpy as np
import pytest
from _shared import oracle
from _shared.assertions import assert_bitwise_equal, assert_close, assert_statistics_of
from _shared.cases import DTYPES, N_THREADS, TOLERANCE, TYPES
from _shared.skipping import HARD, fits, noted_screens, separated

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm._model.covariance import COVARIANCE_TYPES, MixtureParameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.runner import BLOCK_ROWS, row_flops
from fastgmm._skipping import screens as _skipping
from fastgmm._skipping.screens import AsFactors, Directions, Goal, Projections, Screening, best_plan, units_lost

pytestmark = pytest.mark.usefixtures("threads_on_tiny_data")

SCREENED_ROWS, DENSE_ROWS = 3, 4  # in the counts of a pass
KEPT = 2

# (rows, features, components, first directions, all directions): around the edges of vectors, blocks and screened
# blocks (of 2048 rows where there are few features), with one look and with two.
CASES = [
    (1, 3, 12, 2, 3),
    (15, 2, 9, 2, 2),
    (BLOCK_ROWS - 1, 5, 12, 2, 5),
    (BLOCK_ROWS + 1, 9, 10, 4, 8),
    (2047, 1, 16, 1, 1),
    (2049, 8, 11, 3, 8),
    (2 * 2048 + 3, 4, 20, 2, 4),
    (700, 17, 30, 8, 17),
    (1100, 33, 9, 8, 24),
    (300, 70, 8, 16, 64),
]


def screen(mixture, covariance_type, dtype, n_first, n_all):
    return Projections(mixture, covariance_type, dtype, Directions(mixture, covariance_type), n_all).screen(
        n_first, n_all
    )


def em_steps(X, sample_weight, mixture, covariance_type, n_first, n_all, n_threads=2):
    """Screened and dense statistics, and the counts of the former."""
    passes = ArrayPasses(X, sample_weight, len(mixture.means), covariance_type, n_threads)
    looked_through = screen(mixture, covariance_type, X.dtype, n_first, n_all)
    screened = passes.em_step(mixture, with_entropy=True, screen=looked_through)
    return screened, passes.em_step(mixture, with_entropy=True), passes.runner.counts.sum(axis=0)


@cache
def responsibilities(case, covariance_type, dtype):
    n, d, K, *_ = case
    X, mixture = separated(n, d, K, covariance_type, dtype)
    joint = oracle.log_joint(X, mixture, covariance_type)
    return oracle.responsibilities(joint), oracle.log_prob_norm(joint)


@pytest.mark.parametrize("n_threads", N_THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_the_oracle(case, covariance_type, dtype, n_threads, simd):
    n, d, K, n_first, n_all = case
    X, mixture = separated(n, d, K, covariance_type, dtype)
    resp, norm = responsibilities(case, covariance_type, dtype)
    sample_weight = np.random.default_rng(n).uniform(0.3, 3.0, n) if n % 2 else None
    actual, dense, counts = em_steps(X, sample_weight, mixture, covariance_type, n_first, n_all, n_threads)
    assert counts[SCREENED_ROWS] == n
    assert counts[KEPT] < 0.5 * n * K
    assert_close(actual, dense, TOLERANCE[dtype])
    if n > 2 * K:  # else there are components that hold nothing but rounding
        held = np.flatnonzero(dense.nk > 1e-3)
        assert_statistics_of(held, actual, X, sample_weight, resp, covariance_type, TOLERANCE[dtype])
    weights = oracle.weights_of(X, sample_weight)
    assert oracle.relative_error(actual.log_likelihood, weights @ norm, weights @ np.abs(norm)) < TOLERANCE[dtype]
    entropy = oracle.entropies(resp)
    assert oracle.relative_error(actual.entropy, weights @ entropy, weights @ (1 + entropy)) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [2, 6])
def test_overlap_is_left_to_the_dense_pass(n_features, dtype, simd):
    """After two blocks the rest is not even tried."""
    n = 6 * 2048
    X, mixture = separated(n, n_features, 8, "full", dtype, spread=0.5)
    screened, dense, counts = em_steps(X, None, mixture, "full", 2, 2, n_threads=1)
    assert counts[DENSE_ROWS] == n
    assert counts[0] < 2 * 2048 * 8
    assert_bitwise_equal(screened, dense)


@pytest.mark.parametrize("n_threads", N_THREADS)
def test_repeats_bitwise(n_threads, simd):
    X, mixture = separated(5000, 6, 12, "full", np.float64)
    first, second = (em_steps(X, None, mixture, "full", 2, 6, n_threads)[0] for _ in range(2))
    assert_bitwise_equal(first, second)
    assert_close(first, em_steps(X, None, mixture, "full", 2, 6, 1)[0], 1e-13)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("name", HARD)
def test_hard_data(name, covariance_type, simd):
    """Every pair that counts is found, however unlike one another features are and however far apart components."""
    unit, offset, apart = HARD[name]
    X, mixture = separated(3000, 4, 10, covariance_type, np.float64)
    noise = X - mixture.means[((X[:, np.newaxis] - mixture.means) ** 2).sum(axis=2).argmin(axis=1)]
    centers = apart * mixture.means
    X = (X - noise) * apart + noise
    unit = np.broadcast_to(unit, 4)
    squared = unit[:, np.newaxis] * unit if covariance_type == "full" else unit * unit
    covariances = mixture.covariances * squared
    moved = MixtureParameters(
        mixture.weights, centers * unit + offset, covariances,
        mixture.precisions_cholesky / (unit[:, np.newaxis] if covariance_type == "full" else unit),
    )  # fmt: skip
    screened, dense, counts = em_steps(X * unit + offset, None, moved, covariance_type, 2, 4)
    assert counts[SCREENED_ROWS] == len(X)
    assert_close(screened, dense, 1e-12 if np.any(offset) else 1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_outliers_components_without_weight_and_rows_beyond_reach(dtype, simd):
    """Rows too far for the screen are seen by all components; a weight of 0 keeps a component out of everything."""
    X, mixture = separated(2500, 5, 12, "full", dtype)
    weights = mixture.weights.copy()
    weights[[0, 7]] = 0.0
    mixture = MixtureParameters(
        weights / weights.sum(), mixture.means, mixture.covariances, mixture.precisions_cholesky
    )
    X = X.copy()
    X[11], X[1200] = 1e4, 1e9
    screened, dense, counts = em_steps(X, None, mixture, "full", 2, 5)
    assert counts[SCREENED_ROWS] == len(X)
    assert_close(screened, dense, TOLERANCE[dtype])
    assert screened.nk[0] == screened.nk[7] == 0.0
    X[300] = np.finfo(dtype).max / 4
    screened, dense, _ = em_steps(X, None, mixture, "full", 2, 5)
    assert screened.log_likelihood == dense.log_likelihood == -np.inf
    assert np.isfinite(screened.scatter).all()


def test_nearly_singular_components(simd):
    """Components as thin as 1e-6 of their width, crosswise: bounds stay bounds."""
    X, mixture = separated(3000, 6, 10, "full", np.float64)
    rng = np.random.default_rng(0)
    rotations = np.linalg.qr(rng.normal(size=(10, 6, 6)))[0]
    spectrum = np.array([1.0, 1.0, 1.0, 0.5, 0.5, 1e-12])
    covariances = (rotations * spectrum) @ rotations.transpose(0, 2, 1)
    covariances = 0.5 * (covariances + covariances.transpose(0, 2, 1))
    labels = rng.integers(10, size=3000)
    X = mixture.means[labels] + np.einsum(
        "nij,nj->ni", (rotations * np.sqrt(spectrum))[labels], rng.normal(size=(3000, 6))
    )
    thin = MixtureParameters(
        mixture.weights, mixture.means, covariances, COVARIANCE_TYPES["full"].precisions_cholesky(covariances)
    )
    screened, dense, counts = em_steps(X, None, thin, "full", 2, 6)
    assert counts[SCREENED_ROWS] == len(X)
    assert_close(screened, dense, 1e-13)


# Labels and log-densities -----------------------------------------------------------------------------------------


def predictions(X, mixture, covariance_type, n_first, n_all, n_threads=2):
    """Labels and log-densities with pairs skipped, and densely; how many rows were looked at through screens."""
    passes = ArrayPasses(X, None, len(mixture.means), covariance_type, n_threads)
    seen = AsFactors(mixture, covariance_type)
    directions = Directions(seen, covariance_type)

    def screen_for(goal, parameters):
        return Projections(seen, covariance_type, X.dtype, directions, n_all, goal).screen(n_first, n_all)

    dense = passes.predict(mixture), passes.log_prob_norm(mixture)
    passes.screening.screen_for = screen_for
    screened = passes.predict(mixture), passes.log_prob_norm(mixture)
    return screened, dense, passes.runner.counts.sum(axis=0)


@pytest.mark.parametrize("n_threads", N_THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_predictions_against_the_oracle(case, covariance_type, dtype, n_threads, simd):
    """Labels are those of a dense pass, each one."""
    n, d, K, n_first, n_all = case
    X, mixture = separated(n, d, K, covariance_type, dtype)
    _, norm = responsibilities(case, covariance_type, dtype)
    (labels, log_prob_norm), dense, counts = predictions(X, mixture, covariance_type, n_first, n_all, n_threads)
    assert counts[SCREENED_ROWS] == 2 * n
    assert counts[1] < n * K
    np.testing.assert_array_equal(labels, dense[0])
    np.testing.assert_allclose(log_prob_norm, dense[1], rtol=4 * np.finfo(dtype).eps)
    assert oracle.relative_error(log_prob_norm, norm, 1 + np.abs(norm)) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_labels_of_ties(covariance_type, dtype, simd):
    """Rows exactly between components, and components that are there twice, or all but twice: the first of equals."""
    d, K = 6, 16
    corners = 8.0 * np.array([[float(k >> j & 1) for j in range(d)] for k in range(K // 2)])
    means = np.concatenate([corners, corners[::-1]])
    means[-1] = np.nextafter(means[0].astype(dtype), dtype(1))
    shape = {"full": (K, d, d), "diag": (K, d)}[covariance_type]
    units = np.broadcast_to(np.eye(d) if covariance_type == "full" else np.ones(d), shape).copy()
    mixture = MixtureParameters(np.full(K, 1.0 / K), means, units, units)
    rng = np.random.default_rng(0)
    pairs = rng.integers(K, size=(2500, 2))
    X = (0.5 * (means[pairs[:, 0]] + means[pairs[:, 1]])).astype(dtype)  # some in the middle of one, some of eight
    X[::2] += rng.normal(size=X[::2].shape).astype(dtype)
    (labels, _), dense, counts = predictions(X, mixture, covariance_type, 3, 6)
    assert counts[SCREENED_ROWS] > 0
    np.testing.assert_array_equal(labels, dense[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("thin", [1e-2, 1e-5, 1e-8])
def test_labels_are_those_that_a_dense_pass_rounds_to(thin, dtype, simd):
    """Where factors are so nearly singular that densities are nothing but rounding: what is computed is what counts."""
    X, mixture = separated(3000, 6, 12, "full", np.float64)
    rng = np.random.default_rng(1)
    rotations = np.linalg.qr(rng.normal(size=(12, 6, 6)))[0]
    widths = np.array([1.0, 1.0, 1.0, 0.5, 0.5, thin])
    factors = np.linalg.qr((rotations / widths) @ rotations.transpose(0, 2, 1))[1].transpose(0, 2, 1)
    factors = COVARIANCE_TYPES["full"].precisions_cholesky_from_precisions(factors @ factors.transpose(0, 2, 1))
    thinned = MixtureParameters(mixture.weights, mixture.means, mixture.covariances, factors)
    (labels, log_prob_norm), dense, _ = predictions(X.astype(dtype), thinned, "full", 3, 6)
    np.testing.assert_array_equal(labels, dense[0])
    np.testing.assert_allclose(log_prob_norm, dense[1], rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_predictions_of_outliers_and_rows_beyond_reach(dtype, simd):
    X, mixture = separated(2500, 5, 12, "full", dtype)
    weights = mixture.weights.copy()
    weights[[0, 7]] = 0.0
    mixture = dataclasses.replace(mixture, weights=weights / weights.sum())
    X = X.copy()
    X[11], X[1200], X[300], X[301] = 1e4, 1e9, np.finfo(dtype).max / 4, -np.finfo(dtype).max
    screened, dense, counts = predictions(X, mixture, "full", 2, 5)
    assert counts[SCREENED_ROWS] == 2 * len(X)
    np.testing.assert_array_equal(screened[0], dense[0])
    np.testing.assert_allclose(screened[1], dense[1], rtol=4 * np.finfo(dtype).eps)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
def test_predictions_of_estimators(estimator, covariance_type, monkeypatch):
    """With factors that the user changed, of which the covariances know nothing, too."""
    X, _ = separated(3000, 5, 9, covariance_type, np.float64)
    model = estimator(n_components=9, covariance_type=covariance_type, random_state=0, max_iter=20).fit(X)
    monkeypatch.setattr(_skipping, "_LEAST_FLOPS", 0.0)
    monkeypatch.setattr(_skipping, "_TRIAL_SHARE", 1e9)
    monkeypatch.setattr(_skipping, "_WORTH_ONCE", 100.0)
    used = []
    monkeypatch.setattr(_skipping.Screening, "screen_for", noting(_skipping.Screening.screen_for, used))
    for _ in range(2):
        found = model.predict(X), model.score_samples(X), model.score(X)
        assert len(used) == 3
        assert all(screen is not None for screen in used)
        with monkeypatch.context() as patch:
            patch.setattr(_skipping, "ENABLED", False)
            expected = model.predict(X), model.score_samples(X), model.score(X)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-13)
        assert found[2] == pytest.approx(expected[2], rel=1e-14)
        model.precisions_cholesky_ = 0.7 * model.precisions_cholesky_
        used.clear()


def noting(function, results):
    def noted(*arguments):
        results.append(function(*arguments))
        return results[-1]

    return noted


def test_short_passes_are_not_worth_a_trial(monkeypatch):
    """Nor is one that many threads make short."""
    tried = []
    monkeypatch.setattr(_skipping, "best_plan", lambda *arguments: tried.append(arguments))
    X, mixture = separated(BLOCK_ROWS, 16, 64, "full", np.float64)
    for n_samples, n_threads, n_tried in ((10**4, 1, 0), (10**6, 1, 1), (10**6, 64, 1)):
        screening = Screening(X, n_samples, 64, "full", row_flops("full", 64, 16), n_threads)
        screening.screen_for(Goal.LABELS, mixture)
        assert len(tried) == n_tried


# When -----------------------------------------------------------------------------------------------------------------


def test_plans():
    """Separated components are screened, overlapping ones and few dimensions with little to gain are not."""
    X, mixture = separated(BLOCK_ROWS, 16, 64, "full", np.float64)
    n_first, n_all = best_plan(Projections(mixture, "full", X.dtype, Directions(mixture, "full")), X)
    assert 1 <= n_first <= n_all <= 16
    X, mixture = separated(BLOCK_ROWS, 16, 64, "full", np.float64, spread=0.5)
    assert best_plan(Projections(mixture, "full", X.dtype, Directions(mixture, "full")), X) is None
    X, mixture = separated(BLOCK_ROWS, 1, 8, "full", np.float64)
    assert best_plan(Projections(mixture, "full", X.dtype, Directions(mixture, "full")), X) is None


@pytest.mark.parametrize("n_threads", [1, 8])
@pytest.mark.parametrize("n_samples", [5 * 10**4, 10**5, 10**6])
def test_trials_take_a_small_share(n_samples, n_threads, monkeypatch):
    """The dearer they are beside a pass, the fewer there are; none before as many passes have gone by as pay for it.

    Threads make passes shorter, not trials."""
    X, mixture = separated(BLOCK_ROWS, 64, 32, "diag", np.float64, spread=0.5)
    tried = []
    monkeypatch.setattr(_skipping, "best_plan", lambda *arguments: tried.append(n_pass))
    flops = row_flops("diag", 32, 64)
    screening = Screening(X, n_samples, 32, "diag", flops, n_threads)
    for n_pass in range(1, 500):
        assert screening.settle(lambda: 1.0)
        screening.screen(mixture)
        seconds = 40.0 * (32 * 64 * 64**2 + 4 * 64**3) * len(tried)  # in units of an operation in a pass
        assert seconds <= 0.03 * n_pass * n_samples * flops / n_threads
    assert tried


def test_units_lost():
    ones = np.ones((2, 3))
    nk = np.array([100.0, 200.0])
    assert units_lost(nk, nk, nk, ones, ones) == 1.0
    assert units_lost(nk, nk / [1, 50], nk / [1, 50], ones, ones) == 50.0
    assert units_lost(nk, nk, nk, ones, ones * [[1.0, 0.01, 1.0]]) == pytest.approx(100.0)
    assert units_lost(nk, nk, nk, np.ones(3), np.full(3, 0.1)) == pytest.approx(10.0)


def test_what_is_out_of_range_for_a_screen_is_no_error():
    X, mixture = separated(BLOCK_ROWS, 6, 16, "full", np.float64)
    screening = Screening(X, len(X), 16, "full", 1e9, 1)
    assert screening.screen(mixture) is None  # nothing is known yet of the pass before
    assert screening.settle(lambda: 1.0)
    endless = dataclasses.replace(mixture, covariances=np.full_like(mixture.covariances, np.inf))
    assert screening.screen(endless) is None
    assert screening.settle(lambda: 1.0)
    assert not screening.settle(lambda: 1e9)
    assert screening.screen(mixture) is None


@pytest.fixture
def eager(monkeypatch):
    """Screens on small data too; counts how often."""
    monkeypatch.setattr(_skipping, "_LEAST_FEATURES", 1)
    monkeypatch.setattr(_skipping, "_LEAST_FLOPS", 0.0)
    monkeypatch.setattr(_skipping, "_TRIAL_SHARE", 1e9)
    monkeypatch.setattr(_skipping, "_WORTH", 100.0)
    return noted_screens(monkeypatch)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
def test_fits(estimator, covariance_type, eager, monkeypatch):
    X, _ = separated(4000, 5, 8, covariance_type, np.float64, spread=4.0)
    arguments = {"covariance_type": covariance_type, "max_iter": 50, "tol": 0.0, "random_state": 0}
    screened, dense = fits(
        eager, _skipping.Screen, monkeypatch, lambda: estimator(n_components=9, **arguments), lambda model: model.fit(X)
    )
    np.testing.assert_allclose(screened.lower_bounds_, dense.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(screened.means_, dense.means_, rtol=0, atol=1e-10)
    np.testing.assert_allclose(screened.weights_, dense.weights_, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("way", ["weights", "batches", "memmap"])
def test_other_ways_to_fit(way, eager, monkeypatch, tmp_path):
    X, _ = separated(3000, 4, 8, "full", np.float64)
    ways = {
        "weights": lambda model: model.fit(X, sample_weight=np.arange(3000) % 3),
        "batches": lambda model: model.fit_batches([X[:1000], X[1000:1300], X[1300:]]),
        "memmap": lambda model: model.fit(np.load(tmp_path / "X.npy", mmap_mode="r")),
    }
    np.save(tmp_path / "X.npy", X)
    screened, dense = fits(
        eager,
        _skipping.Screen,
        monkeypatch,
        lambda: GaussianMixture(8, max_iter=12, tol=0.0, random_state=0),
        ways[way],
    )
    np.testing.assert_allclose(screened.lower_bounds_, dense.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(screened.means_, dense.means_, rtol=0, atol=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.usefixtures("eager")
def test_a_pass_that_left_out_too_much_is_repeated_densely(monkeypatch):
    """And the next one is dense too."""
    X, _ = separated(4000, 3, 8, "full", np.float64)
    lost = iter([1.0, 1e3, 1.0, 1.0])
    monkeypatch.setattr(_skipping.Screening, "settle", partialmethod(settle_after, _skipping.Screening.settle, lost))
    are_screened = []
    em_step = ArrayPasses.em_step

    def noted(self, parameters, centers=None, with_entropy=False, screen=None):
        are_screened.append(screen is not None)
        return em_step(self, parameters, centers, with_entropy, screen)

    monkeypatch.setattr(ArrayPasses, "em_step", noted)
    GaussianMixture(8, max_iter=4, tol=0.0, random_state=0).fit(X)
    assert are_screened == [False, True, False, False, True]


def settle_after(self, settle, lost, of_the_pass):
    assert of_the_pass() < 1e3
    return settle(self, lambda: next(lost))
