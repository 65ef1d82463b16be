"""Passes that leave components out of cells: against the oracle, against dense passes, and when they are taken."""

import dataclasses
from functools import cache

import numpy as np
import pytest
from _shared import oracle
from _shared.assertions import assert_bitwise_equal, assert_close, assert_statistics_of
from _shared.cases import DTYPES, N_THREADS, TOLERANCE, TYPES
from _shared.skipping import HARD, fits, noted_screens, separated

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm._model.covariance import COVARIANCE_TYPES, MixtureParameters, kernel_parameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.runner import BLOCK_ROWS, row_flops
from fastgmm._skipping import screens as _skipping
from fastgmm._skipping.cells import Cells, CellTrials, Tree
from fastgmm._skipping.screens import Screening

pytestmark = pytest.mark.usefixtures("threads_on_tiny_data")

LEFT, TILES, TILE_ROWS, COUNTING = range(4)  # in the counts of a pass
SORTED_ROWS = 2**16

# (rows, features, components): around the edges of vectors, tiles and of what is sorted together.
CASES = [
    (1, 3, 12),
    (15, 2, 9),
    (63, 4, 3),
    (BLOCK_ROWS - 1, 1, 8),
    (BLOCK_ROWS + 1, 4, 10),
    (2049, 2, 30),
    (4000, 3, 20),
    (SORTED_ROWS + 1, 2, 12),
    (SORTED_ROWS + 4000, 1, 9),
]


def tree_of(rows):
    return Tree.of_rows(rows[:4096], np.ones(rows.shape[1]))


def em_steps(X, sample_weight, mixture, covariance_type, n_threads=2, tree=None):
    """Statistics with components left out and dense ones, and the counts of the former."""
    passes = ArrayPasses(X, sample_weight, len(mixture.means), covariance_type, n_threads)
    cells = Cells.for_statistics(mixture, covariance_type, tree or tree_of(X))
    statistics = passes.em_step(mixture, with_entropy=True, screen=cells)
    return statistics, passes.em_step(mixture, with_entropy=True), passes.runner.counts.sum(axis=0)


@cache
def responsibilities(case, covariance_type, dtype):
    X, mixture = separated(*case, covariance_type, dtype)
    joint = oracle.log_joint(X, mixture, covariance_type)
    return oracle.responsibilities(joint), oracle.log_prob_norm(joint)


@pytest.mark.parametrize("n_threads", N_THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_the_oracle(case, covariance_type, dtype, n_threads, simd):
    n, _, K = case
    X, mixture = separated(*case, covariance_type, dtype)
    resp, norm = responsibilities(case, covariance_type, dtype)
    sample_weight = np.random.default_rng(n).uniform(0.3, 3.0, n) if n % 2 else None
    actual, dense, counts = em_steps(X, sample_weight, mixture, covariance_type, n_threads)
    assert counts[TILE_ROWS] == n
    assert counts[TILES] <= n / 64 + 1 + n_threads * (1 + n // SORTED_ROWS)
    assert counts[COUNTING] <= counts[LEFT] < (0.9 if n > 1000 else 1.01) * n * K
    assert_close(actual, dense, TOLERANCE[dtype])
    if n > 2 * K:  # else there are components that hold nothing but rounding
        held = np.flatnonzero(dense.nk > 1e-3)
        assert_statistics_of(held, actual, X, sample_weight, resp, covariance_type, TOLERANCE[dtype])
    weights = oracle.weights_of(X, sample_weight)
    assert oracle.relative_error(actual.log_likelihood, weights @ norm, weights @ np.abs(norm)) < TOLERANCE[dtype]
    entropy = oracle.entropies(resp)
    assert oracle.relative_error(actual.entropy, weights @ entropy, weights @ (1 + entropy)) < TOLERANCE[dtype]


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("n_features", [1, 2, 3, 4])
def test_of_a_point_just_what_may_count_is_left(n_features, covariance_type, simd):
    """The bounds of a box without width are the densities themselves."""
    X, mixture = separated(30, n_features, 40, covariance_type, np.float64)
    joint = oracle.log_joint(X, mixture, covariance_type)
    log_weights = np.log(mixture.weights)
    q = 2.0 * (mixture.log_normalizer(covariance_type) - joint)
    bounds = joint - log_weights + np.log(256.0) - 1.0 + q / 256.0
    least = joint.max(axis=1, keepdims=True) + np.log(np.finfo(np.float64).eps)
    counts = np.array(
        [em_steps(np.repeat(x, 64, axis=0), None, mixture, covariance_type, 1)[2] for x in X[:, np.newaxis]]
    )
    np.testing.assert_array_equal(counts[:, LEFT], 64 * (bounds >= least).sum(axis=1))
    np.testing.assert_array_equal(counts[:, COUNTING], counts[:, LEFT])
    assert counts[:, LEFT].max() < 40 * 64


@pytest.mark.parametrize("n_threads", N_THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_densities_and_labels(case, covariance_type, dtype, n_threads, simd):
    X, mixture = separated(*case, covariance_type, dtype)
    resp, norm = responsibilities(case, covariance_type, dtype)
    log_prob_norm, labels = densities(X, mixture, covariance_type, n_threads)
    assert oracle.relative_error(log_prob_norm, norm, 1.0 + np.abs(norm)) < TOLERANCE[dtype]
    best_two = np.sort(resp, axis=1)[:, -2:]
    clear = best_two[:, 1] - best_two[:, 0] > 100 * TOLERANCE[dtype]
    np.testing.assert_array_equal(labels[clear], resp.argmax(axis=1)[clear])


def densities(X, mixture, covariance_type, n_threads=2):
    """Log-densities and labels, with components left out."""
    passes = ArrayPasses(X, None, len(mixture.means), covariance_type, n_threads)
    cells = Cells.for_densities(mixture, covariance_type, tree_of(X[:400]))
    norm, labels = np.empty(len(X), X.dtype), np.empty(len(X), np.int64)
    cells.density_pass(
        X, *kernel_parameters(mixture, covariance_type, X.dtype), norm, labels, passes.runner.workspace,
        passes.n_threads, *cells.arguments(), *cells.workspaces(X.dtype, passes.n_threads), passes.runner.counts,
    )  # fmt: skip
    return norm, labels


@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_and_rows_beyond_reach(dtype, simd):
    """Of equal components the first is the label; nothing reaches a row that lies beyond all."""
    X, mixture = separated(500, 2, 12, "full", dtype)
    twice = MixtureParameters(
        *(np.concatenate([each, each]) for each in (mixture.weights / 2, mixture.means)),
        *(np.concatenate([each, each]) for each in (mixture.covariances, mixture.precisions_cholesky)),
    )
    X[450] = np.finfo(dtype).max / 4
    norm, labels = densities(X, twice, "full")
    passes = ArrayPasses(X, None, 24, "full", 2)
    np.testing.assert_array_equal(labels, passes.predict(twice))
    assert labels.max() < 12
    np.testing.assert_allclose(norm, passes.log_prob_norm(twice), rtol=10 * TOLERANCE[dtype])
    assert norm[450] == -np.inf


@pytest.mark.parametrize("n_threads", N_THREADS)
def test_repeats_bitwise(n_threads, simd):
    X, mixture = separated(5000, 3, 12, "full", np.float64)
    first, second = (em_steps(X, None, mixture, "full", n_threads)[0] for _ in range(2))
    assert_bitwise_equal(first, second)
    assert_close(first, em_steps(X, None, mixture, "full", 1)[0], 1e-13)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("name", HARD)
def test_hard_data(name, covariance_type, simd):
    """Every component that counts is left, however unlike one another features are and however far apart components."""
    unit, offset, apart = HARD[name]
    X, mixture = separated(3000, 4, 10, covariance_type, np.float64)
    noise = X - mixture.means[((X[:, np.newaxis] - mixture.means) ** 2).sum(axis=2).argmin(axis=1)]
    centers = apart * mixture.means
    X = (X - noise) * apart + noise
    unit = np.broadcast_to(unit, 4)
    squared = unit[:, np.newaxis] * unit if covariance_type == "full" else unit * unit
    moved = MixtureParameters(
        mixture.weights, centers * unit + offset, mixture.covariances * squared,
        mixture.precisions_cholesky / (unit[:, np.newaxis] if covariance_type == "full" else unit),
    )  # fmt: skip
    X = X * unit + offset
    actual, dense, counts = em_steps(X, None, moved, covariance_type, tree=Tree.of_rows(X, unit))
    assert counts[LEFT] < 0.8 * len(X) * 10
    assert_close(actual, dense, 1e-12 if np.any(offset) else 1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_outliers_components_without_weight_and_rows_beyond_reach(dtype, simd):
    """A weight of 0 keeps a component out of everything; a row that nothing reaches is seen by all components."""
    X, mixture = separated(2500, 4, 12, "full", dtype)
    weights = mixture.weights.copy()
    weights[[0, 7]] = 0.0
    mixture = MixtureParameters(
        weights / weights.sum(), mixture.means, mixture.covariances, mixture.precisions_cholesky
    )
    X = X.copy()
    X[11], X[1200] = 1e4, 1e9
    actual, dense, counts = em_steps(X, None, mixture, "full")
    assert counts[LEFT] < 0.9 * 12 * len(X)
    assert_close(actual, dense, TOLERANCE[dtype])
    assert actual.nk[0] == actual.nk[7] == 0.0
    X[300], X[301] = np.finfo(dtype).max / 4, -np.finfo(dtype).max / 2
    actual, dense, _ = em_steps(X, None, mixture, "full", tree=tree_of(X[:300]))
    assert actual.log_likelihood == dense.log_likelihood == -np.inf
    assert np.isfinite(actual.scatter).all()


def test_nearly_singular_components(simd):
    """Components as thin as 1e-6 of their width, crosswise: bounds stay bounds."""
    _, mixture = separated(3000, 4, 10, "full", np.float64)
    rng = np.random.default_rng(0)
    rotations = np.linalg.qr(rng.normal(size=(10, 4, 4)))[0]
    spectrum = np.array([1.0, 1.0, 0.5, 1e-12])
    covariances = (rotations * spectrum) @ rotations.transpose(0, 2, 1)
    covariances = 0.5 * (covariances + covariances.transpose(0, 2, 1))
    labels = rng.integers(10, size=3000)
    X = mixture.means[labels] + np.einsum(
        "nij,nj->ni", (rotations * np.sqrt(spectrum))[labels], rng.normal(size=(3000, 4))
    )
    thin = MixtureParameters(
        mixture.weights, mixture.means, covariances, COVARIANCE_TYPES["full"].precisions_cholesky(covariances)
    )
    actual, dense, counts = em_steps(X, None, thin, "full")
    assert counts[LEFT] < 0.8 * len(X) * 10
    assert_close(actual, dense, 1e-13)


def test_a_tree_of_equal_rows_and_of_few(simd):
    """Cells may be empty, and there may be a single one."""
    X, mixture = separated(3000, 2, 10, "full", np.float64)
    for rows in (X[:1], X[:3], np.repeat(X[:1], 500, axis=0)):
        actual, dense, counts = em_steps(X, None, mixture, "full", tree=tree_of(rows))
        assert counts[TILE_ROWS] == len(X)
        assert_close(actual, dense, 1e-13)


# When -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_cells_are_used_where_they_pay(covariance_type, dtype):
    X, mixture = separated(SORTED_ROWS, 3, 128, covariance_type, dtype, spread=20.0)
    trials = CellTrials(X, covariance_type)
    assert trials.for_statistics(mixture) is trials.for_densities(mixture) is not None
    X, mixture = separated(SORTED_ROWS, 3, 128, covariance_type, dtype, spread=0.5)
    trials = CellTrials(X, covariance_type)
    assert trials.for_statistics(mixture) is trials.for_densities(mixture) is None
    X, mixture = separated(SORTED_ROWS, 3, 8, covariance_type, dtype)
    assert CellTrials(X, covariance_type).for_densities(mixture) is None


def test_small_data_are_not_tried():
    X, mixture = separated(1000, 2, 16, "full", np.float64)
    screening = Screening(X, len(X), 16, "full", row_flops("full", 16, 2), 1)
    for _ in range(40):
        screening.settle(lambda: 1.0)
        assert screening.screen(mixture) is None


def test_what_is_out_of_range_is_no_error():
    X, mixture = separated(2000, 2, 16, "full", np.float64)
    screening = Screening(X, len(X), 16, "full", 1e9, 1)
    endless = dataclasses.replace(mixture, precisions_cholesky=np.full_like(mixture.precisions_cholesky, np.nan))
    for _ in range(9):
        assert screening.settle(lambda: 1.0)
        screening.screen(endless)


@pytest.fixture
def eager(monkeypatch):
    """Cells on small data too; counts how often."""
    monkeypatch.setattr(CellTrials, "LEAST_FLOPS", 0.0)
    monkeypatch.setattr(_skipping, "_TRIAL_SHARE", 1e9)
    monkeypatch.setattr("fastgmm._skipping.cells._WORTH", 100.0)
    return noted_screens(monkeypatch)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
def test_fits(estimator, covariance_type, eager, monkeypatch):
    X, _ = separated(6000, 2, 30, covariance_type, np.float64, spread=10.0)
    arguments = {"covariance_type": covariance_type, "max_iter": 50, "tol": 0.0, "random_state": 0}
    with_cells, dense = fits(
        eager, Cells, monkeypatch, lambda: estimator(n_components=31, **arguments), lambda model: model.fit(X)
    )
    np.testing.assert_allclose(with_cells.lower_bounds_, dense.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(with_cells.means_, dense.means_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(with_cells.weights_, dense.weights_, rtol=0, atol=1e-11)


def test_predictions(eager, monkeypatch):
    """The same, or the same but for rounding, with components left out."""
    monkeypatch.setattr(_skipping, "_LEAST_FLOPS_ONCE", 0.0)
    used = []
    screen_for = Screening.screen_for
    monkeypatch.setattr(Screening, "screen_for", lambda *arguments: used.append(screen_for(*arguments)) or used[-1])
    X, _ = separated(5000, 2, 20, "full", np.float64)
    model = GaussianMixture(20, random_state=0).fit(X[:2000])
    found = model.predict(X), model.score_samples(X), model.score(X)
    assert sum(each is not None for each in used) >= 3
    monkeypatch.setattr(_skipping, "ENABLED", False)
    np.testing.assert_array_equal(found[0], model.predict(X))
    np.testing.assert_allclose(found[1], model.score_samples(X), rtol=1e-13)
    assert found[2] == pytest.approx(model.score(X), rel=1e-14)


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
    with_cells, dense = fits(
        eager, Cells, monkeypatch, lambda: GaussianMixture(8, max_iter=12, tol=0.0, random_state=0), ways[way]
    )
    np.testing.assert_allclose(with_cells.lower_bounds_, dense.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(with_cells.means_, dense.means_, rtol=0, atol=1e-10)
