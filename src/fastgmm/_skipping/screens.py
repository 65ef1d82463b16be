r"""What a pass of EM may leave out: the screens through which `_kernels/screen.pxi` sees pairs (row, component).

Its head says which pairs do not count, and why bounds of their distances from a few projections of the rows find most
of them. Here the directions of the projections are chosen, from the parameters alone, and a few rows are tried to see
how many directions pay, if any do.

Directions :math:`P` are those in which the components lie farthest apart compared with their own width (Fisher's): the
generalized eigenvectors of the covariances between and within components. The coordinates :math:`z = P^T (x - c)` then
have about unit width in each component, so that float32 can hold a screen.

Rounding. With :math:`u = 2^{-24}`, a component's projected covariance :math:`S = L L^T`, :math:`U = L^{-T}`, and
:math:`y = U^T (z - z_k)` computed as :math:`\hat y`, in m directions and with coordinates up to Z,

.. math::
    \|\hat y - y\| \le \rho \|y\| + \delta, \qquad
    \rho = (m + 6) u \|L\|_F \|U\|_F, \qquad
    \delta = 2.5 u \sqrt m Z \|U\|_F

(the sums and products, and what z and :math:`z_k` lost when they were stored), so that for any :math:`\theta` in (0, 1)

.. math::
    \|y\|^2 \ge \frac{(1 - \theta) \|\hat y\|^2 - \delta^2 / \theta}{(1 + \rho)^2} .

S is enlarged by more than its own rounding, which can only lower the bound, and keeps :math:`\rho` small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
import scipy.linalg

from fastgmm import _kernels
from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.covariance.matrices import transposed_inverses
from fastgmm._skipping.cells import Cells, CellTrials, Tree
from fastgmm._utils.errors import NoScreenError
from fastgmm._utils.memory import aligned_empty

BLOCK_ROWS = _kernels.active.BLOCK

ENABLED = True  # for tests and benchmarks, which compare with dense passes

_S = 256.0  # s of screen.pxi: log q <= log s - 1 + q / s is nearly equal around it
_THETA = 2.0**-8
_UNIT = 2.0**-24
_MOST_DIRECTIONS = 64
_DIRECTIONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
_LEAST_COMPONENTS = 8
_LEAST_FEATURES = 5  # of screens; with fewer features components are left out of cells
_LEAST_FLOPS = 1e9  # of a dense pass, next to which screens cost nothing
_LEAST_FLOPS_ONCE = 2e10  # of a pass next to which a trial by itself costs nothing
_TRIAL_SHARE = 0.03  # of the time of passes, which trials may take at most
_TRIAL_SLOWNESS = 40.0  # times as long as in a pass does an operation of a trial take
_TRIAL_ROWS = 600  # of a dense pass, in the time of which those of a trial are looked at through all screens
_TRIAL_FLOPS = 5e7  # in the time of which a trial of next to nothing is done
_MOST_ROWS = 2048  # of a screened block, and of its features and bounds
_BLOCK_NUMBERS = 2**16
_BLOCK_PAIRS = 2**20
_LONGEST_PAUSE = 16  # passes without a trial
_WORTH = 0.8  # the share of the dense cost, by the model, from which on a screen is used
_DIAGONAL_WORTH = 0.875  # times that for diagonal covariances, of whose screens the model thinks too well
_WORTH_ONCE = 0.6  # without the M step, of which the model is surer than of the rest
_MOST_LOST = 450.0  # units of rounding: 1e-13 in float64


class Goal(Enum):
    """What a pass is for, and with it which pairs do not count: the head of screen.pxi has the conditions."""

    STATISTICS = "statistics"
    DENSITIES = "densities"
    LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Screen:
    """What screened passes need beyond what dense ones do, for K components and m directions in all.

    Attributes
    ----------
    center : ndarray of shape (n_features,)
    scale : ndarray of shape (n_features rounded up to a multiple of 8,)
        Zero at the end.
    limits : ndarray of shape (2,)
        What the sum of |x - center| * scale and the coordinates may be at most, for the roundings to be bounded.
    directions : ndarray of shape (n_features, m rounded up to a multiple of 8)
    means : ndarray of shape (K, m), float32
        The means' coordinates.
    first_factors, all_factors : ndarray of shape (K, first m, first m) and (K, m, m), float32
    constants : ndarray of shape (6, K)
        As `screen.pxi` names them.
    cut, slope : float
    block : int
        Rows looked at together.
    """

    center: np.ndarray
    scale: np.ndarray
    limits: np.ndarray
    directions: np.ndarray
    means: np.ndarray
    first_factors: np.ndarray
    all_factors: np.ndarray
    constants: np.ndarray
    cut: float
    slope: float
    block: int

    def arguments(self) -> tuple:
        """In the kernel's order."""
        return (self.center, self.scale, self.limits, self.directions, self.means, self.first_factors, self.all_factors,
                self.constants, self.cut, self.slope, self.block)  # fmt: skip

    @property
    def em_pass(self) -> Callable[..., tuple[float, float]]:
        """The kernel."""
        return _kernels.active.screened_em_pass

    @property
    def density_pass(self) -> Callable[..., None]:
        """The kernel for log-densities or labels."""
        return _kernels.active.screened_density_pass

    def workspaces(self, dtype, n_threads: int) -> tuple[np.ndarray, ...]:
        """What the kernel works in, of the dtype of the rows, float32 and int32."""
        sizes = _kernels.active.screen_workspace_sizes(*self.workspace_shape(), n_threads)
        return tuple(map(aligned_empty, sizes, (dtype, np.float32, np.int32)))

    def workspace_shape(self) -> tuple[int, int, int, int, int, int]:
        """Features, rows in a block, components, first and all directions, width of the coordinates."""
        return (
            len(self.center),
            self.block,
            len(self.means),
            self.first_factors.shape[1],
            self.all_factors.shape[1],
            self.directions.shape[1],
        )


class Directions:
    """Directions in which the components lie farthest apart for their width, at most _MOST_DIRECTIONS, the best first.

    Screens are right for any directions: those of earlier components will do.

    Parameters
    ----------
    components : Components
    covariances : ndarray of shape (n_components, n_features, n_features) or (n_components, n_features)
        Of each component; variances where they are diagonal.

    Attributes
    ----------
    center, scale : ndarray of shape (n_features,)
        The mean of all rows, and the inverses of their standard deviations.
    vectors : ndarray of shape (n_features, n_directions)
    largest : float
        Largest size of an entry, the features taken in units of their standard deviations.
    """

    def __init__(self, components: Components, covariances: np.ndarray):
        d, log_weights = components.means.shape[1], components.log_weights
        assert log_weights is not None  # or nothing is skipped
        weights = np.exp(log_weights - log_weights.max())
        weights /= weights.sum()
        within = np.tensordot(weights, covariances, axes=1)
        within = within if within.ndim == 2 else np.diag(within)
        self.center = weights @ components.means
        differences = components.means - self.center
        between = (weights[:, np.newaxis] * differences).T @ differences
        deviations = np.sqrt(np.diagonal(within) + np.diagonal(between))
        self.scale = 1.0 / deviations
        units = np.outer(deviations, deviations)
        first = max(0, d - _MOST_DIRECTIONS)
        between, within = between / units, within / units + 1e-6 * np.eye(d)
        if not (np.isfinite(between).all() and np.isfinite(within).all()):
            raise NoScreenError("The covariances between and within components are not finite.")
        _, vectors = scipy.linalg.eigh(between, within, subset_by_index=(first, d - 1), check_finite=False)
        self.largest = float(np.abs(vectors).max())
        self.vectors = vectors[:, ::-1] * self.scale[:, np.newaxis]


class Projections:
    """The mixture as seen from the first n_directions directions, by a pass with a certain goal."""

    def __init__(
        self,
        components: Components,
        covariances: np.ndarray,
        dtype,
        directions: Directions,
        n_directions: int | None = None,
        goal: Goal = Goal.STATISTICS,
    ):
        K, d = components.means.shape
        self.components, self.goal = components, goal
        self.diagonal = covariances.ndim == 2
        self.rounding: np.ndarray | float = 0.0
        if goal is not Goal.STATISTICS:
            self.rounding = rounding_of_distances(components, covariances, dtype)
        self.shape: tuple[int, int] = (K, d)
        self.dtype = dtype
        self.center, self.scale = directions.center, directions.scale
        self.directions = np.ascontiguousarray(directions.vectors[:, :n_directions])
        m = self.directions.shape[1]
        assert components.log_weights is not None
        self.log_weights = components.log_weights
        with np.errstate(invalid="ignore"):  # -inf + inf where the weight is 0
            self.log_densities = components.log_const - self.log_weights
        means = np.asarray(components.means, dtype).astype(np.float64)  # as the kernels see them
        self.means = (means - self.center) @ self.directions
        if not self.diagonal:
            projected = self.directions.T @ (covariances @ self.directions)
            variances = np.diagonal(covariances, axis1=1, axis2=2)
        else:
            projected = (self.directions.T * covariances[:, np.newaxis]) @ self.directions
            variances = covariances
        # Rounding of an entry (a, b) is at most 2 d 2^-53 r_a r_b, and that of the factor which the rows see no more.
        r = np.sqrt(variances) @ np.abs(self.directions)
        traces = np.trace(projected, axis1=1, axis2=2)
        enlarged = 1e-8 * traces / m + 8.0 * d * 2.0**-53 * np.square(r).sum(axis=1)
        projected[:, np.arange(m), np.arange(m)] += enlarged[:, np.newaxis]
        self.triangles = np.linalg.cholesky(projected)
        self.factors = transposed_inverses(self.triangles)
        farthest = np.abs(self.means).max() + 40.0 * math.sqrt(np.square(self.triangles).sum(axis=2).max())
        reach = 0.1 * farthest * 2.0**29 / ((d + 2) * directions.largest)
        self.limits = np.array([reach, farthest])

    def slack(self, m: int) -> tuple[np.ndarray, np.ndarray]:
        """Factor and, for each component, constant with which factor |y^|^2 - constant is a lower bound of |y|^2."""
        size = np.sqrt(np.square(self.factors[:, :m, :m]).sum(axis=(1, 2)))
        rho = (m + 6) * _UNIT * size * np.sqrt(np.square(self.triangles[:, :m, :m]).sum(axis=(1, 2)))
        delta = 2.5 * _UNIT * math.sqrt(m) * self.limits[1] * size
        least = np.maximum(0.0, 1.0 - self.rounding) ** 2
        return least * (1.0 - _THETA - 2.0**-16) / (1.0 + rho) ** 2, delta * delta / _THETA

    def log_marginals(self, m: int) -> np.ndarray:
        """Logarithms of weight and density in the first m directions for q = 0, but for a common constant."""
        return self.log_weights + np.log(np.diagonal(self.factors, axis1=1, axis2=2)[:, :m]).sum(axis=1)

    def screen(self, n_first: int, n_all: int) -> Screen:
        """For rows of the dtype."""
        cut = -math.log(np.finfo(self.dtype).eps)
        slope, log_distance = 1.0, 0.0  # log q <= log_distance + (1 - slope) q / 2
        bounded = self.log_densities
        if self.goal is Goal.STATISTICS:
            slope, log_distance = 1.0 - 2.0 / _S, math.log(_S) - 1.0
        elif self.goal is Goal.LABELS:
            cut, bounded = 0.0, self.log_densities + self.log_weights
        sizes = np.abs(self.log_densities) + np.abs(bounded - self.log_densities)
        constants = np.empty((6, len(self.means)))
        for row, m in ((0, n_first), (2, n_all)):
            factor, constant = self.slack(m)
            constants[row] = bounded + log_distance + 0.5 * slope * constant + 2.0**-21 * sizes
            constants[row + 1] = 0.5 * slope * factor
        constants[4] = self.log_marginals(n_first) - constants[0]
        constants[5] = self.log_densities * (1.0 - slope) + log_distance - slope * self.log_weights + cut
        constants[np.ix_([0, 2, 4, 5], self.log_weights == -math.inf)] = -math.inf  # takes no rows
        directions = np.zeros((len(self.center), _width(n_all)))
        directions[:, :n_all] = self.directions[:, :n_all]
        return Screen(
            self.center, np.append(self.scale, np.zeros(-len(self.scale) % 8)), self.limits, directions,
            np.ascontiguousarray(self.means[:, :n_all], np.float32),
            np.ascontiguousarray(self.factors[:, :n_first, :n_first], np.float32),
            np.ascontiguousarray(self.factors[:, :n_all, :n_all], np.float32),
            constants, cut, slope, _block(*self.shape),
        )  # fmt: skip


def rounding_of_distances(components: Components, covariances: np.ndarray, dtype) -> np.ndarray:
    """At most how far the norms |U^T (x - mean)| that a dense pass finds are off, relatively, for each component.

    With x - mean = L y, the error of y, sums of d products, is at most (d + 2) units of rounding times |U^T| |L| |y|,
    and the norm of |U^T| |L| no more than (d sum_j C_jj P_jj)^(1/2), P = C^-1, in whatever units features are;
    covariances from factors bring in as much again in float64.
    """
    d = components.means.shape[1]
    diagonal = covariances.ndim == 2
    variances = covariances if diagonal else np.diagonal(covariances, axis1=1, axis2=2)
    squares = np.square(components.factors)
    precisions = squares[:, 0] if diagonal else squares.sum(axis=2)
    units = (2 * d + 6) * (np.finfo(dtype).eps / 2 + 2.0**-52)
    return units * np.sqrt(d * (variances * precisions).sum(axis=1))


class Screening:
    """Decides for each pass what to skip, from trials on a few rows.

    That is nothing, or pairs by screens of so many directions, or, with few features, components by cells.

    Parameters are those of one fit, pass by pass (`screen`, `settle`), or are looked at once (`screen_for`).

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Rows of the data to choose from for trials.
    n_samples, n_components : int
    structure : CovarianceStructure
    row_flops : float
        Operations a row of a dense pass.
    n_threads : int
        Of a pass; a trial has one.
    """

    def __init__(
        self,
        rows: np.ndarray,
        n_samples: int,
        n_components: int,
        structure: CovarianceStructure,
        row_flops: float,
        n_threads: int,
    ):
        self._rows = rows
        d, pass_flops = rows.shape[1], n_samples * row_flops
        self._cell_trials = CellTrials(rows, structure) if d < _LEAST_FEATURES else None
        least_flops = _LEAST_FLOPS if self._cell_trials is None else CellTrials.LEAST_FLOPS
        self._possible = n_components >= _LEAST_COMPONENTS and pass_flops >= least_flops
        self._pass_flops = pass_flops
        self._settled = False
        self._plan: tuple[int, int] | Tree | None = None
        most = min(d, _MOST_DIRECTIONS)
        trial_flops = n_components * d * most**2 + 4.0 * most * d**2  # projections of covariances; directions
        if self._cell_trials is not None:
            trial_flops = CellTrials.FLOPS
        trial_cost = n_threads * trial_flops * _TRIAL_SLOWNESS  # in operations of a pass in the same time
        self._least_pause = math.ceil(trial_cost / max(1.0, _TRIAL_SHARE * pass_flops))
        trial_alone = trial_cost + n_threads * (_TRIAL_ROWS * row_flops + _TRIAL_FLOPS)
        self._pays_alone = trial_alone <= _TRIAL_SHARE * 0.5 * pass_flops  # the log-densities take half of a pass
        self._passes_to_trial = self._least_pause - 1
        self._pause = 1

    def screen(self, components: Components, covariances: Callable[[], np.ndarray]) -> Screen | Cells | None:
        """For the next pass; None if it had better be dense. `covariances` gives them as `Directions` wants them."""
        if components.log_weights is None or not (ENABLED and self._possible and self._settled):
            return None
        try:
            with np.errstate(all="ignore"):
                return self._screen(components, covariances)
        except (np.linalg.LinAlgError, NoScreenError):  # no reason to stop: the pass is dense
            self._plan = None
            return None

    def screen_for(self, goal: Goal, components: Components) -> Screen | Cells | None:
        """For a single pass with this goal; None if it had better be dense, or is too short for a trial."""
        if components.log_weights is None or not (ENABLED and self._possible and self._pays_alone):
            return None
        try:
            with np.errstate(all="ignore"):
                if self._cell_trials is not None:
                    return self._cells_for_densities(self._cell_trials, components)
                return self._screen_for(goal, components)
        except (np.linalg.LinAlgError, NoScreenError):
            pass
        return None

    def _cells_for_densities(self, trials: CellTrials, components: Components) -> Cells | None:
        if self._pass_flops < _LEAST_FLOPS_ONCE:
            return None
        tree = trials.for_densities(components)
        return None if tree is None else Cells.for_densities(components, tree)

    def _screen_for(self, goal: Goal, components: Components) -> Screen | None:
        covariances = components.covariances()  # not those of the model, which may have been set by hand
        directions = Directions(components, covariances)
        projections = Projections(components, covariances, self._rows.dtype, directions, goal=goal)
        plan = best_plan(projections, self._trial_rows())
        return None if plan is None else projections.screen(*plan)

    def _trial_rows(self) -> np.ndarray:
        return np.ascontiguousarray(self._rows[:: max(1, len(self._rows) // BLOCK_ROWS)][:BLOCK_ROWS])

    def _screen(self, components: Components, covariances: Callable[[], np.ndarray]) -> Screen | Cells | None:
        if self._passes_to_trial == 0:
            self._try(components, covariances)
        self._passes_to_trial -= 1
        if self._plan is None:
            return None
        if isinstance(self._plan, Tree):
            return Cells.for_statistics(components, self._plan)
        dtype = self._rows.dtype
        projections = Projections(components, covariances(), dtype, self._directions, self._plan[1])
        return projections.screen(*self._plan)

    def settle(self, lost: Callable[[], float]) -> bool:
        """Whether what a screened pass left out was no more than rounding: `lost` is what `units_lost` says about it.

        If it was more, as in the first iterations after a poor start, the next pass had better be dense."""
        self._settled = self._possible and lost() <= _MOST_LOST
        return self._settled

    def _try(self, components: Components, covariances: Callable[[], np.ndarray]) -> None:
        before, self._plan = self._plan, None
        self._passes_to_trial = max(self._pause, self._least_pause)  # should the trial fail
        if self._cell_trials is not None:
            self._plan = self._cell_trials.for_statistics(components)
        else:
            of_each = covariances()
            self._directions = Directions(components, of_each)
            projections = Projections(components, of_each, self._rows.dtype, self._directions)
            self._plan = best_plan(projections, self._trial_rows())
        self._pause = 2 if (self._plan is None) != (before is None) else min(2 * self._pause, _LONGEST_PAUSE)
        self._passes_to_trial = max(self._pause, self._least_pause)


def _width(n_directions: int) -> int:
    """Coordinates stored for a row."""
    return -(-n_directions // 8) * 8


def _block(n_components: int, n_features: int) -> int:
    """Rows that a screen looks at together: enough that the few left of a component fill vectors, within caches."""
    most = min(_BLOCK_NUMBERS // n_features, _BLOCK_PAIRS // n_components, _MOST_ROWS)
    return max(most // BLOCK_ROWS, 1) * BLOCK_ROWS


def best_plan(projections: Projections, rows: np.ndarray) -> tuple[int, int] | None:
    """How many directions to try first and in all, by what screens leave of the given rows; None if dense is cheaper.

    What is left at the end is taken to be what all directions leave.
    """
    mixture = projections.components.for_kernels(rows.dtype)
    most = projections.directions.shape[1]
    costs = _Costs(*projections.shape, projections.diagonal, rows.dtype, projections.goal)
    worth = _WORTH if projections.goal is Goal.STATISTICS else _WORTH_ONCE
    affordable = worth * (_DIAGONAL_WORTH if costs.diagonal else 1.0) * costs.dense()
    least = _share_left(projections.screen(most, most), rows, mixture)
    if costs.screened(1, 1, least, least, least) > affordable:
        return None
    left = {m: _share_left(projections.screen(m, m), rows, mixture) for m in _DIRECTIONS if m < most} | {most: least}
    screened = {
        (first, m): costs.screened(first, m, left[first], left[m], least)
        for first in left
        for m in left
        if first <= m and left[m] < 1.0
    }
    best = min(screened, key=screened.__getitem__, default=None)
    return best if best is not None and screened[best] < affordable else None


def _share_left(screen: Screen, rows: np.ndarray, mixture: tuple[np.ndarray, ...]) -> float:
    """Of all pairs; 1 if they are too many to be counted."""
    counts = np.zeros((1, 8), np.int64)
    packed = aligned_empty(mixture[1].size + 16, rows.dtype)
    count_pairs: Callable[..., bool] = _kernels.active.count_pairs
    few = count_pairs(rows, *mixture, *screen.arguments(), packed, *screen.workspaces(rows.dtype, 1), counts)
    return float(counts[0, 1]) / (len(rows) * len(screen.means)) if few else 1.0


class _Costs:
    """Of a pass, for a row: nanoseconds of a thread, fitted to 300 passes with AVX-512; only ratios count.

    With narrower vectors what is done in them takes as many times as long, the rest does not, as 227 passes with AVX2
    confirm.
    """

    def __init__(self, n_components: int, n_features: int, diagonal: bool, dtype, goal: Goal = Goal.STATISTICS):
        self.K, self.d = n_components, n_features
        self.block = _block(n_components, n_features)
        self.arithmetic = 8.0 / _kernels.active.LANES
        self.lanes = 2 if dtype == np.float32 else 1  # as many times as many numbers in a vector
        self.diagonal = diagonal
        d = n_features
        self.e_step, self.m_step = (2.0 * d, 3.0 * d) if self.diagonal else (d * (d + 3) / 2.0, d * (d + 3) / 2.0)
        self.with_statistics = goal is Goal.STATISTICS
        self.m_step *= self.with_statistics

    def dense(self) -> float:
        return self.K * (0.81 + self.arithmetic * 0.030 * (self.e_step + self.m_step)) / self.lanes

    def screened(self, n_first: int, n_all: int, after_first: float, after_all: float, at_last: float) -> float:
        """With the shares of pairs that are left."""
        cost = 24.0
        operations = 0.06 * self.d * _width(n_all) + self.K * (0.53 + 0.0067 * n_first * (n_first + 3))
        if n_all > n_first:
            looked_at = self._listed(after_first, 2)
            cost += looked_at * 3.3
            operations += looked_at * 0.0085 * n_all * (n_all + 3)
        evaluated = self._listed(1.0 / self.K, self.lanes) + self._listed(after_all, self.lanes)
        cost += evaluated * 1.8
        operations += evaluated * (0.22 * self.d + 0.029 * self.e_step / self.lanes)
        if self.with_statistics:
            summed = self._listed(at_last, self.lanes)
            cost += summed * (4.0 + 0.057 * self.d)
            operations += summed * 0.052 * self.m_step / self.lanes
        return cost + self.arithmetic * operations

    def _listed(self, share: float, lanes: int) -> float:
        """Rows of tiles for each row, with those that fill up vectors."""
        return self.K * (share - 8.0 * lanes / self.block * math.expm1(-0.5 * share * self.block))


def units_lost(
    expected: np.ndarray, nk: np.ndarray, masses: np.ndarray, variances: np.ndarray, found: np.ndarray
) -> float:
    """At most so many times e^-cut of a mass or a variance was left out by a screened pass.

    Parameters
    ----------
    expected : ndarray of shape (n_components,)
        The masses that the weights stand for, of each of which e^-cut may have been left out.
    nk, masses : ndarray of shape (n_components,)
        The masses found, alone and with what a prior adds to them.
    variances, found : ndarray
        Those under which the rows were looked at, and what became of them.
    """
    shrunk = variances / found
    shrunk = shrunk.max(axis=1) if shrunk.ndim == 2 else shrunk.max()
    return float((expected * np.maximum(1.0 / masses, shrunk / nk)).max())
