"""The EM loop: iterations until the lower bound stands still, restarts, and what is printed meanwhile.

The loop knows no model: an iteration is a function from parameters to parameters and the bound.

When to stop: 'change' is scikit-learn's rule, a small last gain, which mistakes slow for done. 'aitken' estimates what
all iterations to come would gain. Gains that shrink at a rate r sum up to (Aitken; Lindsay, Mixture Models, 1995)

    gain * r / (1 - r) = gain^2 / (gain before - gain).

The rate is the larger one of the last two: the first gains shrink fast for reasons that have nothing to do with the
end.
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
    """Iterations that choose where the next one starts, by what they have in memory."""

    @property
    def memory(self) -> Any:
        """What a run needs to go on, to be given to `begin`."""

    @property
    def found(self) -> P:
        """The parameters to keep if the run ends here."""

    @property
    def change(self) -> float:
        """What an iteration without acceleration would gain."""

    @property
    def remaining_gain(self) -> float:
        """What is left to be gained."""

    def begin(self, memory: Any) -> None:
        """A new run, or with a memory one that goes on."""

    def iterate(self, parameters: P) -> tuple[P, float]:
        """The parameters to iterate from next, and the bound of the best ones so far."""


@dataclass(frozen=True, slots=True)
class EMResult(Generic[P]):
    """The best run. `lower_bound` is -inf if no iteration was asked for; `failures` are those of other runs."""

    parameters: P
    lower_bound: float
    lower_bounds: list[float]
    converged: bool
    failures: tuple[FitError, ...] = ()


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
    memory : Any
        The accelerator's, None without one.
    """

    run: int
    parameters: P
    lower_bounds: list[float]
    best: EMResult[P] | None
    memory: Any = None


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
    """Run EM from `n_init` starts and keep the run whose bound is highest; FitError if none came to an end.

    Parameters
    ----------
    start : callable
        Gives the parameters of the next start.
    iterate : callable
        Gives the next parameters, and the bound that the iteration reports. Not used if there is an `accelerator`.
    n_init, max_iter : int
        With `max_iter=0` the last start itself is the result.
    tol : float
        A run has converged when its bound changes by less or, with 'aitken', will change by less.
    progress : Progress
    stopping : {'change', 'aitken'}, default='change'
    rounding : float, default=0.0
        Error of the bound, relative to it; no rate of gains is taken from smaller ones.
    accelerator : Accelerator, default=None
    lower_bound : float, default=-inf
        The bound reached so far, when the start continues an earlier run.
    resume : LoopState, default=None
        Where an interrupted loop stood.
    save : callable, default=None
        Is given a LoopState after each iteration.
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
    """What `stopping` says must be less than tol."""
    if accelerator is not None:
        return accelerator.change if stopping == "change" else accelerator.remaining_gain
    return abs(path[-1] - path[-2]) if stopping == "change" else _remaining_gain(path, rounding)


def _remaining_gain(path: list[float], rounding: float) -> float:
    """What all iterations to come will gain (Aitken), infinite while the gains do not shrink."""
    gains = [abs(after - before) for before, after in pairwise(path[-4:])]
    if gains[-1] <= rounding * abs(path[-1]):
        return gains[-1]
    if len(gains) < 3 or not math.isfinite(gains[0]):
        return math.inf
    rate = max(after / before if before > 0.0 else math.inf for before, after in pairwise(gains))
    return gains[-1] * rate / (1.0 - rate) if rate < 1.0 else math.inf
