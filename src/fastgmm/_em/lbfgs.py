r"""Fewer iterations: L-BFGS with the EM step as its gradient.

Where clusters overlap an EM step goes in the right direction, but only a small part of the way. The step
:math:`f = F(x) - x` from the parameters :math:`x` is the gradient :math:`g` of the log-likelihood times the inverse of
:math:`G(x)`, the Fisher information of rows whose components are known, to first order in the step (Jamshidian and
Jennrich, J. R. Stat. Soc. B 59, 1997: their QN2). So a pass gives the gradient :math:`g = G f`, and its changes from
one point to the next give the curvature. L-BFGS needs no more (Nocedal and Wright, Numerical Optimization, 2006,
algorithm 7.4):

.. math::
    s_n = x_n - x_{n-1}, \qquad y_n = g_{n-1} - g_n, \qquad \text{next point } x_n + H_n g_n .

Without any pairs :math:`s, y` :math:`H = G^{-1}`, and the next point is that of EM. A step is at most a radius times as
long as EM's. The radius grows when it has shortened a good step, and shrinks after a bad step. The pass that evaluates
the new point is also its E step. If the bound is lower there, that pass is lost, and EM continues from the last good
point.

EM takes its own steps alone

- after a point that gained less than EM is sure to gain, for longer after each such point;
- while its own gains shrink fast, since it needs no help then;
- where the bound is not concave along the last step: no quadratic model holds there, and all pairs are dropped.

Components with next to no rows always take EM's steps. `coordinates` defines the coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from scipy.linalg.lapack import dtrtrs

from fastgmm._em.coordinates import Coordinates
from fastgmm._em.iteration import Iteration
from fastgmm._model.covariance import FisherInformation, require
from fastgmm._model.protocol import CoordinateModel, Parameters, require_of_model
from fastgmm._utils.errors import FitError

P = TypeVar("P", bound=Parameters)

_N_PAIRS = 5  # pairs kept; with 10 fits take as many passes, since the oldest pairs are out of date
_FIRST_RADIUS = 2.0  # largest length of a step at first, in lengths of EM's step
_LEAST_RADIUS = 1.5  # in the same unit
_LEAST_CURVATURE = 1e-4  # cosine between a step and the gradient's drop along it, for the pair to be kept
_LARGEST_SCALE = 2.0  # multiple of the inverse information that H is built on
_SURE_GAIN = 0.5  # share of its first-order gain that EM surely gains where the bound is concave
_FAST_RATE = 0.3  # ratio of two successive gains of EM; below it EM needs no help
_LONGEST_WAIT = 64  # iterations of EM alone
_FIRST_WAIT = 3  # iterations of EM alone at the start; with 0 more fits end in another optimum than EM's


@dataclass(slots=True)
class Memory(Generic[P]):
    """The state of the accelerator between two passes."""

    # The last good point, and the result of the EM step from it. There is no point before the second pass: the start is
    # not one, since its weights may not add up to 1 and its variances may be 0.
    point: P | None = None
    found: P | None = None
    gradient: np.ndarray = field(default_factory=lambda: np.empty(0))  # at `point`, shape (n_coordinates,)
    # The pairs s and y, shape (n_pairs, n_coordinates), oldest first. The last pair ends at `point`.
    steps: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    drops: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    scale: float = 1.0  # H is built from this multiple of the inverse information
    bound: float = -math.inf  # of `point`
    gain: float = math.inf  # of `bound` over that of the point before
    # First-order gains of the EM steps from `point` and from the point before: their squared lengths.
    em_gain: float = math.inf
    em_gain_before: float = math.inf
    # Estimates, in the last passes, of how far the bound is below the maximum. Infinite if the curvature is not known.
    remaining_gains: np.ndarray = field(default_factory=lambda: np.full(3, math.inf))
    is_extrapolated: bool = False  # whether the next pass is at a point other than `found`
    is_limited: bool = False  # whether the radius has shortened the step to that point
    length: float = 1.0  # of the step to the next point, in lengths of EM's step
    radius: float = _FIRST_RADIUS  # the largest length allowed
    wait: int = _FIRST_WAIT  # number of EM's steps before the next extrapolation
    next_wait: int = 0  # the same after that extrapolation, if it fails


class LBFGS(Generic[P]):
    """Accelerated iterations; an `Accelerator` for the loop.

    Raises ValueError if the model is no CoordinateModel, or its structure has no FisherInformation.
    """

    def __init__(self, iteration: Iteration[P, Any]):
        self._model: CoordinateModel[P] = require_of_model(iteration.model, CoordinateModel, "acceleration")
        require(self._model.structure, FisherInformation, "acceleration")
        self._iteration = iteration
        self._rounding = iteration.rounding
        self.memory: Memory[P] = Memory()

    def begin(self, memory: Memory[P] | None) -> None:
        """Begin a new run, or continue one from its memory."""
        self.memory = Memory() if memory is None else memory

    @property
    def found(self) -> P:
        """The result of the EM step from the best point so far."""
        assert self.memory.found is not None  # there was a pass
        return self.memory.found

    @property
    def change(self) -> float:
        """First-order gain of an EM step from the best point so far.

        That of a single point may be small by chance. So it is not taken as smaller than both the gain of the last step
        and the first-order gain at the point before.
        """
        memory = self.memory
        return max(memory.em_gain, min(memory.gain, memory.em_gain_before))

    @property
    def remaining_gain(self) -> float:
        """The largest of the last estimates of the gain that is left; a single one may rest on too few pairs."""
        return float(self.memory.remaining_gains.max())

    def iterate(self, parameters: P) -> tuple[P, float]:
        """One pass: the point for the next pass, and the bound of the best point so far."""
        memory = self.memory
        try:
            found, bound = self._iteration.iterate(parameters)
        except FitError:
            if not memory.is_extrapolated:
                raise
            bound = -math.inf
        if memory.is_extrapolated:
            drop = memory.bound - bound
            if drop > self._rounding * abs(memory.bound) and not drop <= self._regularization_gain(parameters):
                self._reject()
                return self.found, memory.bound
            if -drop < _SURE_GAIN * memory.em_gain:
                self._back_off()
            else:
                memory.next_wait //= 2
                memory.radius *= 2.0 if memory.is_limited else 1.0
        memory.gain = bound - memory.bound
        memory.bound, memory.is_extrapolated = bound, False
        if memory.found is None:
            memory.found = found
            return found, bound
        return self._accept(parameters, found), bound

    def _regularization_gain(self, parameters: P) -> float:
        """Gain since the last good point in the term that `reg_covar` adds to the M step's objective.

        The objective is the expected log-likelihood minus 1/2 reg_covar sum_k n_k tr(Sigma_k^-1). Where that term is
        not small, EM itself lowers the bound.
        """
        model, point = self._model, self.memory.point
        assert point is not None  # there is no extrapolation without one
        factors = (
            model.structure.kernel_factors(mixture.precisions_cholesky, *mixture.means.shape)
            for mixture in (point, parameters)
        )
        before, after = ((factor**2).reshape(len(factor), -1).sum(axis=1) for factor in factors)
        return 0.5 * model.reg_covar * float((model.masses(point) * (before - after)).sum())

    def _reject(self) -> None:
        memory = self.memory
        self._expect(math.inf)
        self._back_off()
        memory.is_extrapolated, memory.length = False, 1.0

    def _back_off(self) -> None:
        memory = self.memory
        memory.radius = max(_LEAST_RADIUS, memory.length / 4.0)
        memory.wait = memory.next_wait
        memory.next_wait = min(2 * memory.next_wait + 1, _LONGEST_WAIT)

    def _accept(self, point: P, found: P) -> P:
        """The point for the next pass, now that the one at `point` is good."""
        memory, coordinates = self.memory, Coordinates(self._model, point, self._iteration.passes.n_threads)
        em_step = coordinates.difference(point, found)
        gradient = coordinates.gradient(em_step)
        if memory.point is not None:
            self._remember(coordinates, coordinates.difference(memory.point, point), memory.gradient - gradient)
        memory.point, memory.found, memory.gradient = point, found, gradient
        memory.em_gain_before, memory.em_gain = memory.em_gain, float(em_step @ gradient)
        step = em_step
        if len(memory.steps):
            step = lbfgs_step(gradient, memory.steps, memory.drops, memory.scale, coordinates.step)
        is_still = memory.em_gain <= self._rounding * abs(memory.bound)
        self._expect(0.5 * float(step @ gradient) if is_still or len(memory.steps) else math.inf)
        return self._extrapolated(coordinates, step)

    def _expect(self, remaining_gain: float) -> None:
        self.memory.remaining_gains = np.array([*self.memory.remaining_gains[1:], remaining_gain])

    def _remember(self, coordinates: Coordinates, step: np.ndarray, drop: np.ndarray) -> None:
        """Keep a pair, or drop all pairs if the bound is not clearly concave along the step."""
        memory = self.memory
        curvature, of_information = float(step @ drop), float(drop @ coordinates.step(drop))
        squared_lengths = memory.length**2 * memory.em_gain * of_information
        # Rounding may break this where rows are almost collinear, and at the very end.
        if squared_lengths > 0.0 and curvature > _LEAST_CURVATURE * math.sqrt(squared_lengths):
            memory.scale = min(max(curvature / of_information, 1.0), _LARGEST_SCALE)
            memory.steps, memory.drops = _with_row(memory.steps, step), _with_row(memory.drops, drop)
        else:
            memory.steps, memory.drops = memory.steps[:0], memory.drops[:0]

    def _extrapolated(self, coordinates: Coordinates, step: np.ndarray) -> P:
        """The point at the end of the step, or EM's if that is not a mixture or EM takes its own steps alone."""
        memory = self.memory
        waits, memory.wait = memory.wait > 0, max(0, memory.wait - 1)
        memory.length = 1.0
        if waits or not len(memory.steps) or memory.em_gain < _FAST_RATE * memory.em_gain_before:
            return self.found
        squared = float(step @ coordinates.gradient(step))
        if not (memory.em_gain > 0.0 and 0.0 < squared < math.inf):
            return self.found
        length = math.sqrt(squared / memory.em_gain)
        memory.is_limited = length > memory.radius
        shorter = min(length, memory.radius)
        point = coordinates.point(step * (shorter / length), self.found)
        if point is None:
            return self.found
        memory.is_extrapolated, memory.length = True, shorter
        return point


def lbfgs_step(
    gradient: np.ndarray,
    steps: np.ndarray,
    drops: np.ndarray,
    scale: float,
    em_step: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """H g by L-BFGS, the two loops over the pairs written as two triangular systems of equations.

    With the steps and drops as rows of S and Y, R the upper triangle of S Y^T and D its diagonal, the first loop
    solves R a = S g, and the second R^T b = D a - Y h for h = H_0 (g - Y^T a); the step is h + S^T b. H_0 is `scale`
    times the inverse information (eq. 7.20).

    Parameters
    ----------
    gradient : ndarray of shape (n_coordinates,)
    steps, drops : ndarray of shape (n_pairs, n_coordinates)
        Oldest pair first; the product of each step with its drop is positive.
    scale : float
        From 1 to 2, because EM steps are scaled already.
    em_step : callable
        Gives the inverse information times a gradient.

    Returns
    -------
    step : ndarray of shape (n_coordinates,)
    """
    products = steps @ drops.T  # only the upper triangle is read
    first = dtrtrs(products, steps @ gradient)[0]
    step = scale * em_step(gradient - first @ drops)
    second = dtrtrs(products, products.diagonal() * first - drops @ step, trans=1)[0]
    return step + second @ steps


def _with_row(rows: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The last rows and one more, at most `_N_PAIRS`."""
    return np.concatenate([rows.reshape(-1, last.size)[1 - _N_PAIRS :], last[np.newaxis]])
