"""When to skip: before each pass a plan, or none; after it a report.

Clocks decide nothing, so that results repeat.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastgmm._model.components import Components
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.protocol import Passes, SkippingPlan
from fastgmm._rows.runner import row_flops
from fastgmm._skipping.goal import Goal
from fastgmm._skipping.trials import Choice, Covariances, Trials, trials_for
from fastgmm._utils.errors import NoScreenError

_LEAST_COMPONENTS = 8  # with fewer, skipping never pays
_LONGEST_PAUSE = 16  # passes from one trial to the next, if trials cost nothing
_MOST_LOST = 450.0  # units of rounding: 1e-13 in float64
_TRIAL_SHARE = 0.03  # of the time of passes, which trials may take at most
_FIRST_TRIAL_SHARE = 0.15  # of the time of one pass: if the first trial takes no more, it does not wait to be paid for
_TRIAL_SLOWNESS = 40.0  # an operation of a trial (NumPy) takes so many times as long as one of a pass
_TRIAL_ROWS = 600  # evaluating all screens on the rows of a trial takes as long as a dense pass over so many rows
_TRIAL_FLOPS = 5e7  # operations of a pass in the time that any trial takes (Python)


class Skipping:
    """Decides for each pass of a fit what to leave out, from trials on a few rows.

    `plan`, the pass, `report`: in this order for each iteration. A pass whose report is missing is followed by a dense
    one.

    Parameters
    ----------
    passes : Passes
    """

    def __init__(self, passes: Passes):
        self._trials = trials_for(passes)
        pass_flops, cost = _costs(passes, self._trials)
        self._is_possible = passes.n_components >= _LEAST_COMPONENTS and pass_flops >= self._trials.least_pass
        self._may_skip = False  # not before a report says that the last pass lost nothing
        self._choice: Choice | None = None
        self._least_pause = math.ceil(cost / max(1.0, _TRIAL_SHARE * pass_flops))
        self._passes_to_trial = 0 if cost <= _FIRST_TRIAL_SHARE * pass_flops else self._least_pause - 1
        self._pause = 1

    def plan(self, components: Components, covariances: Covariances) -> SkippingPlan | None:
        """For the next pass, under these components; None if it had better be dense.

        Parameters
        ----------
        components : Components
        covariances : callable
            Gives the covariance of each component: (K, d, d), or (K, d) where they are diagonal.
        """
        may_skip, self._may_skip = self._may_skip, False
        if not may_skip or components.log_weights is None:
            return None
        try:
            with np.errstate(all="ignore"):
                if self._passes_to_trial == 0:
                    self._try(components, covariances)
                self._passes_to_trial -= 1
                return None if self._choice is None else self._choice.plan(components, covariances)
        except (np.linalg.LinAlgError, NoScreenError):  # no reason to stop: the pass is dense
            self._choice = None
            return None

    def report(self, units_lost: Callable[[], float]) -> bool:
        """Whether what the pass left out, if it did, was no more than rounding; else it has to be repeated densely.

        Where a component shrank so much that more would have been lost, as in the first iterations after a poor start,
        the next pass is dense, too.

        Parameters
        ----------
        units_lost : callable
            Gives what the function `units_lost` says of the pass. Not called if no pass of the fit can be skipped.
        """
        self._may_skip = self._is_possible and units_lost() <= _MOST_LOST
        return self._may_skip

    def _try(self, components: Components, covariances: Covariances) -> None:
        before, self._choice = self._choice, None
        self._passes_to_trial = max(self._pause, self._least_pause)  # should the trial fail
        self._choice = self._trials.choose(components, covariances, Goal.STATISTICS)
        has_changed = (self._choice is None) != (before is None)
        self._pause = 2 if has_changed else min(2 * self._pause, _LONGEST_PAUSE)
        self._passes_to_trial = max(self._pause, self._least_pause)


def plan_once(passes: ArrayPasses, components: Components, goal: Goal) -> SkippingPlan | None:
    """What to leave out of a single pass; None if it had better be dense, or is too short for a trial."""
    if passes.n_components < _LEAST_COMPONENTS or components.log_weights is None:
        return None
    trials = trials_for(passes)
    pass_flops, cost = _costs(passes, trials)
    cost += passes.n_threads * (_TRIAL_ROWS * pass_flops / passes.n_rows + _TRIAL_FLOPS)
    if pass_flops < trials.least_single_pass or cost > _TRIAL_SHARE * 0.5 * pass_flops:  # half: there is no M step
        return None
    try:
        with np.errstate(all="ignore"):
            choice = trials.choose(components, components.covariances, goal)
            return None if choice is None else choice.plan(components, components.covariances)
    except (np.linalg.LinAlgError, NoScreenError):
        return None


def _costs(passes: Passes, trials: Trials) -> tuple[float, float]:
    """Operations of a dense pass, and of passes in the time that a trial takes: it has one thread."""
    pass_flops = passes.n_rows * row_flops(passes.structure, passes.n_components, passes.n_features)
    return pass_flops, passes.n_threads * trials.flops * _TRIAL_SLOWNESS


def units_lost(
    expected: np.ndarray, nk: np.ndarray, masses: np.ndarray, variances: np.ndarray, found: np.ndarray
) -> float:
    """At most so many times e^-cut of a mass or a variance was left out by a pass that skipped.

    Parameters
    ----------
    expected : ndarray of shape (n_components,)
        The masses that the weights stand for. Of each of them e^-cut may have been left out.
    nk, masses : ndarray of shape (n_components,)
        The masses found, alone and with what a prior adds to them.
    variances, found : ndarray of one shape, the first axis that of the components unless they share a covariance
        The variances of the components of the pass, and those that it led to.
    """
    shrunk = variances / found
    shrunk = shrunk.max(axis=1) if shrunk.ndim == 2 else shrunk.max()
    return float((expected * np.maximum(1.0 / masses, shrunk / nk)).max())


# Single passes over rows that are here -------------------------------------------------------------------------------


def labels_of(passes: ArrayPasses, components: Components) -> np.ndarray:
    """The most probable component of each row, shape (n_rows,), int64."""
    return passes.predict(components, plan_once(passes, components, Goal.LABELS))


def log_densities_of(passes: ArrayPasses, components: Components) -> np.ndarray:
    """log p(x_i), shape (n_rows,), in the dtype of the rows."""
    return passes.log_prob_norm(components, plan_once(passes, components, Goal.DENSITIES))


def log_likelihood_of(passes: ArrayPasses, components: Components) -> float:
    """sum_i w_i log p(x_i)."""
    return passes.score_sum(components, plan_once(passes, components, Goal.DENSITIES))
