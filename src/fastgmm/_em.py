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
    """
    best: EMResult[P] | None = None
    for run in range(n_init):
        progress.begin(run)
        parameters = start()
        if max_iter == 0:
            best = EMResult(parameters, -math.inf, [], False)
            continue
        result = _run(iterate, parameters, max_iter, tol, progress, lower_bound)
        progress.end(result.lower_bound, result.converged)
        if best is None or result.lower_bound > best.lower_bound:
            best = result
    assert best is not None  # n_init >= 1
    return best


def _run(iterate, parameters, max_iter, tol, progress, bound) -> EMResult:
    bounds: list[float] = []
    converged = False
    for n_iter in range(1, max_iter + 1):
        previous = bound
        parameters, bound = iterate(parameters)
        bounds.append(bound)
        progress.iteration(n_iter, bound - previous)
        if abs(bound - previous) < tol:
            converged = True
            break
    return EMResult(parameters, bound, bounds, converged)
