"""The EM loop: iterations until the lower bound has converged, restarts, and the output on the way.

The loop does not know the model: an iteration is a function from parameters to parameters and a bound.

The rule 'change' stops after a small gain, as scikit-learn does, so slow progress also ends a fit. 'aitken' estimates
the gain of all further iterations. Gains that shrink at a rate r sum up to (Aitken; Lindsay, Mixture Models, 1995)

    gain * r / (1 - r) = gain^2 / (gain before - gain).

The larger one of the last two rates is used, because the first gains always shrink fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter
from typing import Any, Generic, Protocol, TypeVar

from fastgmm._utils.errors import FitError

P = TypeVar("P")


class Accelerator(Protocol[P]):
    """Iterations that choose the parameters of the next one from their memory."""

    @property
    def memory(self) -> Any:
        """The state to resume a run from with `begin`."""

    @property
    def found(self) -> P:
        """The result if the run ends here."""

    @property
    def change(self) -> float:
        """Estimated gain of an iteration without acceleration."""

    @property
    def remaining_gain(self) -> float:
        """Estimated gain of all further iterations."""

    def begin(self, memory: Any) -> None:
        """Begin a new run, or resume one from its memory."""

    def iterate(self, parameters: P) -> tuple[P, float]:
        """The parameters to iterate from next, and the bound of the best ones so far."""


@dataclass(frozen=True, slots=True)
class EMResult(Generic[P]):
    """The best run, and the errors of the runs that failed. `lower_bound` is -inf if there was no iteration."""

    parameters: P
    lower_bound: float
    lower_bounds: list[float]
    converged: bool
    failures: tuple[FitError, ...] = ()


@dataclass(frozen=True, slots=True)
class LoopState(Generic[P]):
    """State of the loop after an iteration, to resume it from."""

    run: int  # number of the present start
    parameters: P
    lower_bounds: list[float]  # of the present run
    best: EMResult[P] | None  # of the earlier runs
    memory: Any = None  # of the accelerator


class Progress:
    """Prints the same lines as scikit-learn's mixtures.

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

    def fail(self, error: FitError) -> None:
        if self.verbose:
            print(f"Initialization failed. {error}")


def run_em(
    start: Callable[[], P],
    iterate: Callable[[P], tuple[P, float]],
    *,
    n_init: int,
    max_iter: int,
    tol: float,
    progress: Progress,
    stopping: str = "change",
    rounding: float = 0.0,
    accelerator: Accelerator[P] | None = None,
    lower_bound: float = -math.inf,
    resume: LoopState[P] | None = None,
    save: Callable[[LoopState[P]], None] | None = None,
) -> EMResult[P]:
    """Run EM from `n_init` starts and return the run with the highest bound; FitError if all failed.

    Parameters
    ----------
    start : callable
        Returns the parameters of the next start.
    iterate : callable
        Returns the next parameters and a bound, given parameters. Not used if there is an `accelerator`.
    n_init, max_iter : int
        With `max_iter=0` the last start itself is the result.
    tol : float
        A run has converged when the gain that `stopping` estimates is less.
    progress : Progress
    stopping : {'change', 'aitken'}, default='change'
    rounding : float, default=0.0
        Relative error of the bound. Smaller gains do not enter a rate.
    accelerator : Accelerator, default=None
    lower_bound : float, default=-inf
        The bound so far, if the start continues an earlier run.
    resume : LoopState, default=None
        The state of an interrupted loop.
    save : callable, default=None
        Receives the LoopState after each iteration.
    """
    best = None if resume is None else resume.best
    failures: list[FitError] = []
    iterate = iterate if accelerator is None else accelerator.iterate
    for run in range(0 if resume is None else resume.run, n_init):
        progress.begin(run)
        try:
            path, memory = [lower_bound], None  # the bound before the run, and after each iteration
            if resume is not None and run == resume.run:
                parameters, memory = resume.parameters, resume.memory
                path += resume.lower_bounds
            else:
                parameters = start()
            if max_iter == 0:
                best = EMResult(parameters, -math.inf, [], False)
                continue
            if accelerator is not None:
                accelerator.begin(memory)
            converged = len(path) > 1 and _gain(path, stopping, rounding, accelerator) < tol
            while not converged and len(path) <= max_iter:
                parameters, bound = iterate(parameters)
                path.append(bound)
                progress.iteration(len(path) - 1, bound - path[-2])
                converged = _gain(path, stopping, rounding, accelerator) < tol
                if save is not None:
                    memory = None if accelerator is None else accelerator.memory
                    save(LoopState(run, parameters, path[1:], best, memory))
        except FitError as error:
            progress.fail(error)
            failures.append(error)
            continue
        found = parameters if accelerator is None else accelerator.found
        result = EMResult(found, path[-1], path[1:], converged)
        progress.end(result.lower_bound, result.converged)
        if best is None or result.lower_bound > best.lower_bound:
            best = result
    if best is None:
        raise failures[0]
    return replace(best, failures=tuple(failures))


def _gain(path: list[float], stopping: str, rounding: float, accelerator: Accelerator | None) -> float:
    """The gain that `stopping` compares with tol."""
    if accelerator is not None:
        return accelerator.change if stopping == "change" else accelerator.remaining_gain
    return abs(path[-1] - path[-2]) if stopping == "change" else _remaining_gain(path, rounding)


def _remaining_gain(path: list[float], rounding: float) -> float:
    """Gain of all further iterations (Aitken), infinite while the gains do not shrink."""
    gains = [abs(after - before) for before, after in pairwise(path[-4:])]
    if gains[-1] <= rounding * abs(path[-1]):
        return gains[-1]
    if len(gains) < 3 or not math.isfinite(gains[0]):
        return math.inf
    rate = max(after / before if before > 0.0 else math.inf for before, after in pairwise(gains))
    return gains[-1] * rate / (1.0 - rate) if rate < 1.0 else math.inf
