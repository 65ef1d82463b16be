"""The EM loop: iterations until the lower bound stands still, restarts, and what is printed meanwhile.

The loop knows no model: an iteration is a function from parameters to parameters and the bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Generic, TypeVar

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class EMResult(Generic[P]):
    """The best run. `lower_bound` is -inf if no iteration was asked for."""

    parameters: P
    lower_bound: float
    lower_bounds: list[float]
    converged: bool


@dataclass(frozen=True, slots=True)
class LoopState(Generic[P]):
    """Where the loop is after an iteration, from which it can go on.

    Attributes
    ----------
    run : int
        Number of the present start.
    parameters : P
    lower_bounds : list of float
        Of the present run.
    best : EMResult or None
        The best of the runs before.
    """

    run: int
    parameters: P
    lower_bounds: list[float]
    best: EMResult[P] | None


class Progress:
    """Prints what scikit-learn's mixtures print.

    Parameters
    ----------
    verbose : int
        0: nothing; 1: a line for each start, its end, and every `interval` iterations; 2: with times and changes.
    interval : int
    """

    def __init__(self, verbose: int, interval: int):
        self.verbose = verbose
        self.interval = interval
        self._run_began = self._last_line = perf_counter()

    def begin(self, run: int) -> None:
        self._run_began = self._last_line = perf_counter()
        if self.verbose:
            print(f"Initialization {run}")

    def iteration(self, n_iter: int, change: float) -> None:
        if not self.verbose or n_iter % self.interval:
            return
        line = f"  Iteration {n_iter}"
        if self.verbose >= 2:
            now = perf_counter()
            line += f"\t time lapse {now - self._last_line:.5f}s\t ll change {change:.5f}"
            self._last_line = now
        print(line)

    def end(self, lower_bound: float, converged: bool) -> None:
        if not self.verbose:
            return
        line = f"Initialization {'converged' if converged else 'did not converge'}."
        if self.verbose >= 2:
            line += f" time lapse {perf_counter() - self._run_began:.5f}s\t lower bound {lower_bound:.5f}."
        print(line)


def run_em(
    start: Callable[[], P],
    iterate: Callable[[P], tuple[P, float]],
    *,
    n_init: int,
    max_iter: int,
    tol: float,
    progress: Progress,
    lower_bound: float = -math.inf,
    resume: LoopState[P] | None = None,
    save: Callable[[LoopState[P]], None] | None = None,
) -> EMResult[P]:
    """Run EM from `n_init` starts and keep the run whose bound is highest.

    Parameters
    ----------
    start : callable
        Gives the parameters of the next start.
    iterate : callable
        Gives the next parameters, and the bound that the iteration reports.
    n_init, max_iter : int
        With `max_iter=0` the last start itself is the result.
    tol : float
        A run has converged when its bound changes by less.
    progress : Progress
    lower_bound : float, default=-inf
        The bound reached so far, when the start continues an earlier run.
    resume : LoopState, default=None
        Where an interrupted loop stood.
    save : callable, default=None
        Is given a LoopState after each iteration.
    """
    best = None if resume is None else resume.best
    for run in range(0 if resume is None else resume.run, n_init):
        progress.begin(run)
        if resume is not None and run == resume.run:
            parameters, bounds = resume.parameters, list(resume.lower_bounds)
        else:
            parameters, bounds = start(), []
        if max_iter == 0:
            best = EMResult(parameters, -math.inf, [], False)
            continue

        def note(parameters: P, bounds: list[float], run: int = run, best: EMResult[P] | None = best) -> None:
            if save is not None:
                save(LoopState(run, parameters, bounds, best))

        result = _run(iterate, parameters, bounds, max_iter, tol, progress, lower_bound, note)
        progress.end(result.lower_bound, result.converged)
        if best is None or result.lower_bound > best.lower_bound:
            best = result
    assert best is not None  # n_init >= 1
    return best


def _run(iterate, parameters, bounds, max_iter, tol, progress, bound_before, note) -> EMResult:
    """Iterations of one run until its bound, `bounds` so far, stands still."""

    def change() -> float:
        return bounds[-1] - (bounds[-2] if len(bounds) > 1 else bound_before)

    converged = bool(bounds) and abs(change()) < tol
    while not converged and len(bounds) < max_iter:
        parameters, bound = iterate(parameters)
        bounds.append(bound)
        progress.iteration(len(bounds), change())
        converged = abs(change()) < tol
        note(parameters, bounds)
    return EMResult(parameters, bounds[-1], bounds, converged)
