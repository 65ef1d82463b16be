"""When pairs of row and component are skipped: trials, what they cost, and what they find."""

import time
from dataclasses import replace

import numpy as np
import pytest
from _shared.cases import BLOCK_ROWS, all_types, both_dtypes
from _shared.kernels import watched_calls
from _shared.skipping import SORTED_ROWS, next_plan, passes_of, seen, separated

from fastgmm import GaussianMixture
from fastgmm._model.covariance import DIAGONAL, FULL
from fastgmm._rows.array import ArrayPasses
from fastgmm._skipping import trials
from fastgmm._skipping.policy import Skipping, plan_once, units_lost
from fastgmm._skipping.screens import Goal


def passes_with_trials(skipping, mixture, n_passes=300):
    """Which of so many passes follow a trial, and the seconds that it took to decide for all of them."""
    tried = []
    with watched_calls() as calls:
        start = time.perf_counter()
        for n_pass in range(1, n_passes + 1):
            before = len(calls)
            next_plan(skipping, mixture, "diag")
            tried += [n_pass] if len(calls) > before else []
        seconds = time.perf_counter() - start
    return tried, seconds


def test_trials_take_a_small_share():
    """The shorter the passes, the fewer trials there are, and the later the first one. Threads change nothing."""
    X, mixture = separated(BLOCK_ROWS, 64, 32, "diag", np.float64, spread=0.5)
    often, seldom, with_threads = (
        passes_with_trials(Skipping(passes_of(X, 32, "diag", n_samples, n_threads)), mixture)
        for n_samples, n_threads in ((10**6, 1), (5 * 10**4, 1), (5 * 10**4, 8))
    )
    assert len(often[0]) > len(seldom[0]) > 0
    assert often[0][0] < seldom[0][0]
    assert with_threads[0] == seldom[0]
    start = time.perf_counter()
    ArrayPasses(np.tile(X, (200, 1)), None, 32, DIAGONAL, 1).em_step(mixture.components(DIAGONAL))
    seconds = time.perf_counter() - start  # of a pass over as many rows in one thread
    assert seldom[1] < 0.15 * 300 * seconds / 2


def test_short_predictions_are_not_worth_a_trial(kernel_calls):
    X, mixture = separated(BLOCK_ROWS, 16, 64, "full", np.float64)
    for n_samples, n_threads, is_tried in ((10**4, 1, False), (10**6, 1, True), (10**6, 64, True)):
        kernel_calls.clear()
        plan_once(passes_of(X, 64, "full", n_samples, n_threads), mixture.components(FULL), Goal.LABELS)
        assert bool(kernel_calls) == is_tried


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("d", [2, 6])
def test_small_data_are_not_tried(d, kernel_calls):
    X, _ = separated(1000, d, 16, "full", np.float64)
    GaussianMixture(16, max_iter=40, tol=0.0, init_params="random_from_data", random_state=0).fit(X).predict(X)
    assert {call.name for call in kernel_calls} == {"em_pass", "density_pass"}


@pytest.mark.usefixtures("guarded_workspaces")
def test_screens_are_used_where_they_pay(simd, monkeypatch):
    """For separated components, not for overlapping ones or where few features leave little to gain."""
    X, mixture = separated(BLOCK_ROWS, 16, 64, "full", np.float64)
    components, covariances = seen(mixture, "full")
    n_first, n_all = chosen(X, mixture, "full")(components, lambda: covariances).workspace_shape[3:5]
    assert 1 <= n_first <= n_all <= 16
    for d, K, spread in ((16, 64, 0.5), (1, 8, None)):
        X, mixture = separated(BLOCK_ROWS, d, K, "full", np.float64, spread)
        monkeypatch.setattr(trials, "_SCREEN_FEATURES", 1)
        assert chosen(X, mixture, "full") is None


def chosen(X, mixture, covariance_type, goal=Goal.STATISTICS):
    components, covariances = seen(mixture, covariance_type)
    of_rows = trials.trials_for(passes_of(X, len(mixture.means), covariance_type))
    return of_rows.choose(components, lambda: covariances, goal)


@pytest.mark.usefixtures("guarded_workspaces")
@both_dtypes
@all_types
def test_cells_are_used_where_they_pay(covariance_type, dtype, simd):
    for spread, K, pays in ((20.0, 128, True), (0.5, 128, False), (None, 8, False)):
        X, mixture = separated(SORTED_ROWS, 3, K, covariance_type, dtype, spread)
        choices = [chosen(X, mixture, covariance_type, goal) for goal in (Goal.STATISTICS, Goal.DENSITIES)]
        assert [bool(choice) for choice in choices] == [pays] * 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("d", "name"),
    [
        *((3, name) for name in ("weights", "means", "precisions_cholesky")),
        *((16, name) for name in ("means", "covariances", "weights")),
    ],
)
def test_what_is_out_of_range_is_no_error(d, name, value):
    """The pass is dense; and when parameters are in range again, pairs are skipped again."""
    X, mixture = separated(SORTED_ROWS if d == 3 else BLOCK_ROWS, d, 64, "full", np.float64, 30.0)
    skipping = Skipping(passes_of(X, 64, "full", 10**7))
    endless = replace(mixture, **{name: np.full_like(getattr(mixture, name), value)})
    assert all(next_plan(skipping, endless, "full") is None for _ in range(9))
    assert any(next_plan(skipping, mixture, "full") is not None for _ in range(20))


def test_nothing_is_skipped_after_a_pass_that_left_out_too_much():
    X, mixture = separated(SORTED_ROWS, 3, 64, "full", np.float64, 30.0)
    skipping = Skipping(passes_of(X, 64, "full", 10**7))
    components, covariances = seen(mixture, "full")
    assert skipping.plan(components, lambda: covariances) is None  # nothing is known yet of the pass before
    assert next_plan(skipping, mixture, "full", lost=1.0) is not None
    assert next_plan(skipping, mixture, "full", lost=1e9) is None
    assert next_plan(skipping, mixture, "full", lost=1.0) is not None
    assert skipping.plan(components, lambda: covariances) is None  # no report


def test_units_lost():
    ones = np.ones((2, 3))
    nk = np.array([100.0, 200.0])
    assert units_lost(nk, nk, nk, ones, ones) == 1.0
    assert units_lost(nk, nk / [1, 50], nk / [1, 50], ones, ones) == 50.0
    assert units_lost(nk, nk, nk, ones, ones * [[1.0, 0.01, 1.0]]) == pytest.approx(100.0)
    assert units_lost(nk, nk, nk, np.ones(3), np.full(3, 0.1)) == pytest.approx(10.0)
