"""The EM loop: iterations until the lower bound has converged, and restarts.

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
from typing import Any, Generic, Protocol, TypeVar

from fastgmm._utils.errors import FitError, Stopped
from fastgmm._utils.progress import SILENT, Reporter

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
    """The best run, and the errors of the runs that failed. `lower_bound` is -inf if there was no iteration.

    `stopped` says whether a callback has ended the loop.
    """

    parameters: P
    lower_bound: float
    lower_bounds: list[float]
    converged: bool
    failures: tuple[FitError, ...] = ()
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class LoopState(Generic[P]):
    """State of the loop after an iteration, to resume it from."""

    run: int  # number of the present start
    parameters: P
    lower_bounds: list[float]  # of the present run
    best: EMResult[P] | None  # of the earlier runs
    memory: Any = None  # of the accelerator


def run_em(
    start: Callable[[], P],
    iterate: Callable[[P], tuple[P, float]],
    *,
    n_init: int,
    max_iter: int,
    tol: float,
    progress: Reporter = SILENT,
    stopping: str = "change",
    rounding: float = 0.0,
    accelerator: Accelerator[P] | None = None,
    lower_bound: float = -math.inf,
    resume: LoopState[P] | None = None,
    save: Callable[[LoopState[P]], None] | None = None,
) -> EMResult[P]:
    """Run EM from `n_init` starts and return the run with the highest bound; FitError if all failed.

    If a callback stops the loop, its last complete iteration is the end of the present run, and no run follows. A run
    without one counts only if it is the first: then its start is the result. Before that start `Stopped` is raised.

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
    progress : Reporter
        Reports 'start' and 'EM'.
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
    stopped_at = ""  # the stage; the exception itself would hold all rows, in a cycle with this frame
    for run in range(0 if resume is None else resume.run, n_init):
        path, memory = [lower_bound], None  # the bound before the run, and after each iteration
        parameters, converged = None, False
        try:
            progress.begin_run(run + 1, n_init)
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
            gain = _gain(path, stopping, rounding, accelerator) if len(path) > 1 else math.inf
            progress.begin("EM", max_iter, len(path) - 1)
            while not gain < tol and len(path) <= max_iter:
                parameters, bound = iterate(parameters)
                path.append(bound)
                gain = _gain(path, stopping, rounding, accelerator)
                if save is not None:
                    memory = None if accelerator is None else accelerator.memory
                    save(LoopState(run, parameters, path[1:], best, memory))
                if progress.is_on:
                    found = parameters if accelerator is None else accelerator.found
                    change = bound - path[-2] if math.isfinite(path[-2]) else None
                    left = None if accelerator is not None else _iterations_left(path, gain, tol, max_iter)
                    progress.iterate(left, found, lower_bound=bound, change=change)
            converged = gain < tol
            progress.end(converged=converged)
        except FitError as error:
            failures.append(error)
            try:
                progress.end(failure=str(error))
            except Stopped as stop:
                stopped_at = stop.stage
                break
            continue
        except Stopped as stop:
            if not progress.is_on:  # the loop is part of another one's start
                raise
            stopped_at = stop.stage
            if parameters is None or (len(path) == 1 and best is not None):
                break
        if accelerator is not None and len(path) > 1:
            parameters = accelerator.found
        result = EMResult(parameters, path[-1], path[1:], converged)
        if best is None or result.lower_bound > best.lower_bound:
            best = result
        if stopped_at:
            break
    if best is None:
        raise Stopped(stopped_at) if stopped_at else failures[0]
    if stopped_at:
        best = replace(best, converged=False, stopped=True)
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


def _iterations_left(path: list[float], gain: float, tol: float, max_iter: int) -> float | None:
    """Estimated number of further iterations, if gains go on to shrink at their present rate; None if they do not."""
    left = max_iter - len(path) + 1
    if gain < tol:
        return 0
    if tol == 0.0:
        return left
    gains = [abs(after - before) for before, after in pairwise(path[-4:])]
    if len(gains) < 3 or not math.isfinite(gain) or not 0.0 < gains[-1] < gains[-2] < gains[-3] < math.inf:
        return None
    rate = max(after / before for before, after in pairwise(gains))
    return min(left, math.ceil(math.log(tol / gain) / math.log(rate)))
