"""The EM loop: iterations until the lower bound stands still, restarts, and what is printed meanwhile.

The loop knows no model. It asks an object with three methods, `Updates`, for the E step, the M step and the bound;
`MaximumLikelihood` is that of a Gaussian mixture without priors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Generic, Protocol, TypeVar

from fastgmm._covariance import MixtureParameters, m_step, recentered
from fastgmm._passes import DataPasses
from fastgmm._statistics import SufficientStatistics

P = TypeVar("P")


class Updates(Protocol[P]):
    """What one iteration consists of."""

    def e_step(self, parameters: P) -> SufficientStatistics:
        """Statistics of the data under the parameters: one pass over the rows."""

    def m_step(self, statistics: SufficientStatistics) -> P:
        """Parameters from statistics."""

    def lower_bound(self, statistics: SufficientStatistics, parameters: P) -> float:
        """The bound an iteration reports, from its statistics and the parameters that its M step found."""


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


class MaximumLikelihood:
    """E and M step of a Gaussian mixture without priors.

    Parameters
    ----------
    passes : DataPasses
    covariance_type : {'full', 'tied', 'diag', 'spherical'}
    reg_covar : float
    """

    def __init__(self, passes: DataPasses, covariance_type: str, reg_covar: float):
        self.passes = passes
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.dtype = passes.X.dtype

    def e_step(self, parameters: MixtureParameters) -> SufficientStatistics:
        """One pass over the rows; a second one if the means move too far for accurate sums about the old ones."""
        statistics = self.passes.em_step(parameters)
        if not math.isfinite(statistics.log_likelihood):
            raise _lost_likelihood(statistics.log_likelihood)
        centers = recentered(statistics, self.covariance_type, self.reg_covar, self.dtype)
        if centers is not None:
            statistics = self.passes.em_step(parameters, centers=centers)
        return statistics

    def m_step(self, statistics: SufficientStatistics) -> MixtureParameters:
        """Maximum-likelihood parameters, Bishop 2006 eqs. 9.24-9.27."""
        return m_step(statistics, self.covariance_type, self.reg_covar, self.dtype)

    def lower_bound(self, statistics: SufficientStatistics, parameters: MixtureParameters) -> float:
        """Weighted mean log-density under the parameters BEFORE the M step; the new `parameters` do not enter."""
        return statistics.log_likelihood / statistics.total_weight


def _lost_likelihood(value: float) -> ValueError:
    what = "some row lies beyond the reach of every component" if value == -math.inf else "the densities overflowed"
    return ValueError(
        f"The log-likelihood became {value}: {what}. Rescale the features to comparable, moderate ranges, remove "
        "extreme outliers, or increase reg_covar; float64 data reach farther than float32."
    )


def run_em(
    updates: Updates[P],
    start: Callable[[], P],
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
    updates : Updates
    start : callable
        Gives the parameters of the next start.
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
        result = _run(updates, parameters, max_iter, tol, progress, lower_bound)
        progress.end(result.lower_bound, result.converged)
        if best is None or result.lower_bound > best.lower_bound:
            best = result
    assert best is not None  # n_init >= 1
    return best


def _run(updates, parameters, max_iter, tol, progress, bound) -> EMResult:
    bounds: list[float] = []
    converged = False
    for n_iter in range(1, max_iter + 1):
        previous = bound
        statistics = updates.e_step(parameters)
        parameters = updates.m_step(statistics)
        bound = updates.lower_bound(statistics, parameters)
        bounds.append(bound)
        progress.iteration(n_iter, bound - previous)
        if abs(bound - previous) < tol:
            converged = True
            break
    return EMResult(parameters, bound, bounds, converged)
