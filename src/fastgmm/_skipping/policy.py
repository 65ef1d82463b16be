"""When to skip: a fit asks for a plan before each pass, and reports after it.

No decision depends on a clock or on the number of threads, so results depend on neither.
"""

from __future__ import annotations

import math

import numpy as np

from fastgmm._model.components import Components
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.protocol import EvaluatingPasses, Passes, SkippingPlan
from fastgmm._rows.runner import row_flops
from fastgmm._skipping.screens import Goal
from fastgmm._skipping.trials import Covariances, Planner, Trials, trials_for
from fastgmm._utils.errors import NoScreenError

_LEAST_COMPONENTS = 8  # with fewer, skipping never pays
_MOST_PAUSE = 16  # passes between trials; more only if trials would take more than _TRIAL_SHARE
_MOST_UNITS_LOST = 450.0  # units of rounding: 1e-13 in float64
_TRIAL_SHARE = 0.03  # trials take at most this share of the time of the passes
_FIRST_TRIAL_SHARE = 0.15  # the first trial comes at once if it takes at most this share of the time of a pass
_TRIAL_SLOWNESS = 40.0  # an operation of a trial (NumPy) takes this many times as long as one of a kernel
_TRIAL_EVALUATION_ROWS = 600  # evaluating screens on the trial rows takes as long as a dense pass over this many
_TRIAL_OVERHEAD_FLOPS = 5e7  # fixed (Python) cost of a trial, in operations of a dense pass
_PASS_THREADS = 2  # a trial has one thread, and a pass is taken to have so many; with more, trials take a larger share


class Skipping:
    """Decides by trials on a few rows what each pass of a fit leaves out.

    An iteration calls `plan`, makes the pass and, if `is_possible`, calls `report`. After a pass without a report the
    next one is dense.

    Parameters
    ----------
    passes : Passes
        The passes of the fit.

    Attributes
    ----------
    is_possible : bool
        Whether any pass of the fit may skip.
    """

    def __init__(self, passes: Passes):
        self._trials = trials_for(passes)
        pass_flops, cost = _costs(passes, self._trials)
        self.is_possible = passes.n_components >= _LEAST_COMPONENTS and pass_flops >= self._trials.least_pass
        self._may_skip = False  # True between a report that nothing was lost and the next plan
        self._planner: Planner | None = None  # chosen by the last trial; None: dense passes
        self._least_pause = math.ceil(cost / max(1.0, _TRIAL_SHARE * pass_flops))
        self._passes_to_trial = 0 if cost <= _FIRST_TRIAL_SHARE * pass_flops else self._least_pause - 1
        self._pause = 1

    def plan(self, components: Components, covariances: Covariances) -> SkippingPlan | None:
        """The plan of the next pass; None for a dense pass.

        Parameters
        ----------
        components : Components
            The components of the pass.
        covariances : callable
            Returns their covariances, shape (K, d, d), or variances (K, d) if the covariances are diagonal.
        """
        may_skip, self._may_skip = self._may_skip, False
        if not may_skip or components.log_weights is None:
            return None
        try:
            with np.errstate(all="ignore"):
                if self._passes_to_trial == 0:
                    self._try(components, covariances)
                self._passes_to_trial -= 1
                return None if self._planner is None else self._planner(components, covariances)
        except (np.linalg.LinAlgError, NoScreenError):  # the fit goes on with a dense pass
            self._planner = None
            return None

    def report(self, lost: float) -> bool:
        """Whether the pass lost no more than rounding. If it lost more and had a plan, it must be repeated densely.

        A pass loses more if a component shrinks much, as in the first iterations after a poor start. The next pass is
        then dense, too, whether this one had a plan or not.

        Parameters
        ----------
        lost : float
            The result of `units_lost` for the pass.
        """
        self._may_skip = self.is_possible and lost <= _MOST_UNITS_LOST
        return self._may_skip

    def _try(self, components: Components, covariances: Covariances) -> None:
        before, self._planner = self._planner, None
        self._passes_to_trial = max(self._pause, self._least_pause)  # if the trial raises an error
        self._planner = self._trials.choose(components, covariances, Goal.STATISTICS)
        has_changed = (self._planner is None) != (before is None)
        self._pause = 2 if has_changed else min(2 * self._pause, _MOST_PAUSE)
        self._passes_to_trial = max(self._pause, self._least_pause)


def plan_once(passes: Passes, components: Components, goal: Goal) -> SkippingPlan | None:
    """The plan of a single pass; None for a dense pass. A trial decides unless the pass is too short for one."""
    if passes.n_components < _LEAST_COMPONENTS or components.log_weights is None:
        return None
    trials = trials_for(passes)
    pass_flops, cost = _costs(passes, trials)
    cost += _PASS_THREADS * (_TRIAL_EVALUATION_ROWS * pass_flops / passes.n_rows + _TRIAL_OVERHEAD_FLOPS)
    if pass_flops < trials.least_single_pass or cost > _TRIAL_SHARE * 0.5 * pass_flops:  # half: there is no M step
        return None
    try:
        with np.errstate(all="ignore"):
            planner = trials.choose(components, components.covariances, goal)
            return None if planner is None else planner(components, components.covariances)
    except (np.linalg.LinAlgError, NoScreenError):
        return None


def _costs(passes: Passes, trials: Trials) -> tuple[float, float]:
    """Cost of a dense pass, and of a trial, both in operations of a pass with its threads."""
    pass_flops = passes.n_rows * row_flops(passes.structure, passes.n_components, passes.n_features)
    return pass_flops, _PASS_THREADS * trials.flops * _TRIAL_SLOWNESS


def units_lost(
    expected: np.ndarray, nk: np.ndarray, masses: np.ndarray, variances: np.ndarray, found: np.ndarray
) -> float:
    """Bound of the relative loss of any mass or variance in a pass that skips, in units of e^-cut (see `screen.hpp`).

    Parameters
    ----------
    expected : ndarray of shape (n_components,)
        Weights times the total weight of the rows. The pass may lose e^-cut of each.
    nk, masses : ndarray of shape (n_components,)
        The masses found, without and with those of the prior.
    variances, found : ndarray of shape (n_components, n_features), (n_components,) or (n_features,)
        The variances before and after the M step, as the covariance structure has them.
    """
    shrunk = variances / found
    shrunk = shrunk.max(axis=1) if shrunk.ndim == 2 else shrunk.max()
    return float((expected * np.maximum(1.0 / masses, shrunk / nk)).max())


# Single passes ----------------------------------------------------------------------------------


def labels_of(passes: ArrayPasses, components: Components) -> np.ndarray:
    """The most probable component of each row, shape (n_rows,), int64."""
    return passes.predict(components, plan_once(passes, components, Goal.LABELS))


def log_densities_of(passes: ArrayPasses, components: Components) -> np.ndarray:
    """log p(x_i), shape (n_rows,), in the dtype of the rows."""
    return passes.log_prob_norm(components, plan_once(passes, components, Goal.DENSITIES))


def log_likelihood_of(passes: EvaluatingPasses, components: Components) -> float:
    """sum_i w_i log p(x_i)."""
    return passes.score_sum(components, plan_once(passes, components, Goal.DENSITIES))
