"""The start by splits and merges: EM on a sample, which leaves a local optimum by moving components.

EM cannot carry a component from a place with too many of them to a place with too few. A move does: it merges two
components and splits a third one (SMEM, Ueda, Nakano, Ghahramani & Hinton 2000), or merges two and splits them in
another way. A move is made on the responsibilities, so it serves all covariance structures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm._em.iteration import Iteration
from fastgmm._em.loop import run_em
from fastgmm._model.covariance.structure import as_matrices
from fastgmm._model.gaussian import MaximumLikelihood, MixtureParameters, n_free_parameters
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses
from fastgmm._start.given import statistics_of_given
from fastgmm._start.kmeans import kmeans_labels
from fastgmm._start.sample import check_shortfall, drawn, reported
from fastgmm._start.whitening import PrincipalAxes
from fastgmm._utils.blas import blas_of_all_rows
from fastgmm._utils.errors import FitError
from fastgmm._utils.progress import SILENT

# Chosen with benchmarks/starts.py.
_LEAST_ROWS = 2_000  # in the sample
_ROWS_PER_CLUSTER = 40
_ROWS_PER_PARAMETER = 5
_SHORT: dict[str, Any] = {"max_iter": 5, "tol": 1e-2}  # EM from each first start
_LONG: dict[str, Any] = {"max_iter": 40, "tol": 2e-4}  # EM from the best one, and after a promising move
_TRIAL: dict[str, Any] = {"max_iter": 8, "tol": 1e-3}  # EM after a move, and within a component that is split
_PROMISING = 0.02  # nats that a move may lack after the trial
_LEAST_GAIN = 1e-3  # of a move, in nats
_MOST_ROUNDS = 12
_TRIES = 3  # moves tried in a round
_MERGES = 5  # pairs to merge
_SPLITS = 4  # components to split
_LEAST_SHARE = 1e-2  # responsibility of a row that counts for a split
_FAR = 0.6  # share of a component's rows within the ellipsoid that a split by distance cuts out


@dataclass(slots=True)
class _Fit:
    """A mixture of the sample. `is_sound`: no component has collapsed, or has hardly any rows."""

    parameters: MixtureParameters
    bound: float
    is_sound: bool

    def beats(self, other: _Fit, by: float = 0.0) -> bool:
        if self.is_sound != other.is_sound:
            return self.is_sound
        return self.bound > other.bound + by


@dataclass(slots=True)
class _Cut:
    """A cut through a component: the rows, their labels 0 and 1, and an estimate of the gain of the log-likelihood."""

    gain: float
    rows: np.ndarray
    mass: np.ndarray
    labels: np.ndarray
    log_likelihood: float  # of the component as a whole


@dataclass(slots=True)
class _Split:
    """Two halves of a component: the gain of the log-likelihood, and the share of the first half in each row."""

    gain: float
    share: np.ndarray


def statistics_of_split_merge(
    passes: ArrayPasses, n_components: int, random_state: np.random.RandomState, reg_covar: float
) -> SufficientStatistics:
    """Statistics of all rows under the mixture of a sample that no move improves.

    Parameters
    ----------
    passes : ArrayPasses
        Over all rows.
    n_components : int
    random_state : RandomState
    reg_covar : float

    Raises
    ------
    FitError
        If EM fails on the sample from all starts.
    PoorSampleError
        If few rows have most of the weight, or all rows are much less likely than the sample.
    """
    n_parameters = n_free_parameters(passes.structure, n_components, passes.n_features)
    n_rows = max(_LEAST_ROWS, _ROWS_PER_CLUSTER * n_components, _ROWS_PER_PARAMETER * n_parameters)
    is_sample = n_rows < len(passes.X)
    sample = drawn(passes, n_components, n_rows, random_state) if is_sample else passes
    with blas_of_all_rows():
        moves = _Moves(sample, n_components, reg_covar)
        found = moves.improved(moves.first(random_state))
    passes.progress.end()
    if is_sample:
        everything = _Moves(passes, n_components, reg_covar).iteration
        statistics, _ = everything.accurate_e_step(found.parameters)
        check_shortfall(found.bound, statistics)
        return statistics
    statistics, _ = moves.iteration.accurate_e_step(found.parameters)
    return statistics


class _Moves:
    """Moves of components of a mixture on a sample.

    Parameters
    ----------
    sample : ArrayPasses
    n_components : int
    reg_covar : float
    """

    def __init__(self, sample: ArrayPasses, n_components: int, reg_covar: float):
        self.passes = ArrayPasses(
            sample.X, sample.sample_weight, n_components, sample.structure, sample.n_threads, progress=SILENT
        )
        self.n_components = n_components
        self.reg_covar = reg_covar
        self.progress = sample.progress
        self.iteration = _iteration(self.passes, reg_covar)
        self.X = self.passes.X.astype(np.float64, copy=False)
        self.weights = np.ones(len(self.X)) if sample.sample_weight is None else sample.sample_weight
        self.total = float(self.weights.sum())
        self._axes = PrincipalAxes(self.X, sample.sample_weight)

    def first(self, random_state: np.random.RandomState) -> _Fit:
        """The best of short runs of EM from k-means of the rows and of the whitened rows, continued."""
        whitened = self._axes.whitened(self.X)
        starts = [self._clusters(rows, random_state) for rows in (whitened, self.passes.X, self.passes.X)]
        self.progress.begin("sample", iteration=0)
        fits = [fit for labels in starts if (fit := self._em_from(labels, _SHORT)) is not None]
        if not fits:
            raise FitError("EM failed on the sample from all starts.")
        longer = [fit for short in fits if (fit := self._em(lambda: short.parameters, _LONG)) is not None]  # noqa: B023
        return _best(longer or fits)

    def improved(self, fit: _Fit) -> _Fit:
        """The mixture after all moves that improve it."""
        splits: dict[bytes, _Split | None] = {}  # of components that did not change
        for _ in range(_MOST_ROUNDS if self.n_components > 1 else 0):
            better = next((found for found in self._moved(fit, splits) if found.beats(fit, _LEAST_GAIN)), None)
            if better is None:
                return fit
            fit = better
        return fit

    def _clusters(self, rows: np.ndarray, random_state) -> np.ndarray:
        n_threads, weights = self.passes.n_threads, self.passes.sample_weight
        return kmeans_labels(rows, self.n_components, random_state, n_threads, weights, self.progress)[0]

    def _em_from(self, given: np.ndarray, options: dict) -> _Fit | None:
        """EM from labels or responsibilities; None if it fails."""
        return self._em(
            lambda: self.iteration.model.start(lambda: statistics_of_given(given, self.passes, self.reg_covar)), options
        )

    def _em(self, start: Callable[[], MixtureParameters], options: dict) -> _Fit | None:
        try:
            result = run_em(start, reported(self.iteration, self.progress), n_init=1, **options)
        except FitError:
            return None
        return _Fit(result.parameters, result.lower_bound, self._is_sound(result.parameters))

    def _is_sound(self, parameters: MixtureParameters) -> bool:
        if (parameters.weights * self.total < self._least_mass()).any():
            return False
        spread = self._spread(parameters)
        least = np.linalg.eigvalsh(spread)[:, 0]
        of_all = self._axes.variances[0]
        return not (least < 2.0 * self.reg_covar + 1e-6 * of_all).any() or of_all < 20.0 * self.reg_covar

    def _least_mass(self) -> float:
        """Mass of the rows that a component needs for its own covariance."""
        structure = self.passes.structure
        return 2.0 + (self.X.shape[1] if structure.kernel == "full" and not structure.is_shared else 0)

    def _spread(self, parameters: MixtureParameters) -> np.ndarray:
        """Covariance matrices of all components."""
        structure = self.passes.structure
        return as_matrices(structure.spread(parameters.covariances, *parameters.means.shape))

    def _moved(self, fit: _Fit, splits: dict[bytes, _Split | None]):
        """The mixtures after the most promising moves. `splits` remembers those of components that did not change."""
        resp = self.passes.resp(self.iteration.model.components(fit.parameters)).astype(np.float64)
        nk = self.weights @ resp
        means, spread = fit.parameters.means, self._spread(fit.parameters)
        cuts = [self._cut(resp[:, k], means[k], spread[k]) for k in range(self.n_components)]
        own: dict[int, _Split] = {}
        for cut, k in sorted(((cut, k) for k, cut in enumerate(cuts) if cut), key=lambda each: -each[0].gain)[:_SPLITS]:
            key = np.round(np.append(means[k], nk[k] / self.total), 2).tobytes()
            if key not in splits:
                splits[key] = self._split(cut)
            if (split := splits[key]) is not None:
                own[k] = split
        merges = self._merges(nk, means, spread)
        moves = [(split.gain - loss, i, j, k) for loss, i, j in merges for k, split in own.items() if k not in (i, j)]
        moves += [(0.0, i, j, -1) for _, i, j in merges[:2]]
        moves.sort(key=lambda move: -move[0])
        for _, i, j, k in moves[:_TRIES]:
            merged = resp[:, i] + resp[:, j]
            changed = resp.copy()
            if k >= 0:
                share, whole = own[k].share, resp[:, k]
                changed[:, i] = merged
                changed[:, k], changed[:, j] = whole * share, whole * (1.0 - share)
            else:
                again = self._cut(merged, *_merged_moments(nk[[i, j]], means[[i, j]], spread[[i, j]]))
                split = None if again is None else self._split(again)
                if split is None:
                    continue
                changed[:, i], changed[:, j] = merged * split.share, merged * (1.0 - split.share)
            found = self._em_from(changed, _TRIAL)
            if found is None or (fit.is_sound and not found.is_sound) or found.bound < fit.bound - _PROMISING:
                continue
            longer = self._em(lambda: found.parameters, _LONG)  # noqa: B023
            if longer is not None:
                yield longer

    def _merges(self, nk: np.ndarray, means: np.ndarray, spread: np.ndarray) -> list[tuple[float, int, int]]:
        """The pairs whose merger loses least, by the determinants of covariances, and what it loses."""
        log_det = np.linalg.slogdet(spread)[1]
        losses = []
        for i in range(self.n_components - 1):
            others = slice(i + 1, None)
            _, merged = _merged_moments((nk[i], nk[others]), (means[i], means[others]), (spread[i], spread[others]))
            loss = (
                (nk[i] + nk[others]) * np.linalg.slogdet(merged)[1] - nk[i] * log_det[i] - nk[others] * log_det[others]
            )
            losses += [(0.5 * float(value), i, j) for j, value in enumerate(loss, i + 1)]
        return sorted(losses)[:_MERGES]

    def _cut(self, resp: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> _Cut | None:
        """The best of a few cuts through a component; None if its rows are too few."""
        kept = np.flatnonzero(resp > _LEAST_SHARE)
        mass = resp[kept] * self.weights[kept]
        least = self._least_mass()
        if mass.sum() < 3.0 * least:
            return None
        variances, axes = np.linalg.eigh(covariance)
        if not variances[0] > 0.0:
            return None
        scores = (self.X[kept] - mean) @ (axes / np.sqrt(variances))
        distances = np.square(scores).sum(axis=1)
        flattest = int(np.argmin(mass @ scores**4))  # of two groups the kurtosis is low
        cuts = (scores[:, -1] > 0.0, distances > np.quantile(distances, _FAR), scores[:, flattest] > 0.0)
        values = [_cut_value(scores, mass, cut, 1.5 * least) for cut in cuts]
        if max(values) == -np.inf:
            return None
        best, total = int(np.argmax(values)), mass.sum()
        normalizer = scores.shape[1] * np.log(2.0 * np.pi) + np.log(variances).sum()
        log_likelihood = float(-0.5 * (mass @ distances + total * normalizer))
        gain = values[best] - float(total * np.log(total))
        return _Cut(gain, kept, mass, cuts[best].astype(np.int32), log_likelihood)

    def _split(self, cut: _Cut) -> _Split | None:
        """Two halves of a component, by a few iterations of EM on its rows from a cut; None if that fails."""
        structure, n_threads = self.passes.structure, self.passes.n_threads
        rows = ArrayPasses(self.passes.X[cut.rows], cut.mass, 2, structure, n_threads, progress=SILENT)
        iteration = _iteration(rows, self.reg_covar)
        try:
            halves = run_em(
                lambda: iteration.model.start(lambda: statistics_of_given(cut.labels, rows, self.reg_covar)),
                iteration.iterate,
                n_init=1,
                **_TRIAL,
            )
        except FitError:
            return None
        if (halves.parameters.weights * rows.total_weight < 1.5 * self._least_mass()).any():
            return None
        share = np.full(len(self.X), 0.5)
        share[cut.rows] = rows.resp(iteration.model.components(halves.parameters))[:, 0]
        return _Split(halves.lower_bound * rows.total_weight - cut.log_likelihood, share)


def _iteration(passes: ArrayPasses, reg_covar: float) -> Iteration[MixtureParameters, ArrayPasses]:
    model = MaximumLikelihood(passes.structure, passes.n_components, passes.n_features, passes.dtype, reg_covar)
    return Iteration(model, passes)


def _best(fits: list[_Fit]) -> _Fit:
    return max(fits, key=lambda fit: (fit.is_sound, fit.bound))


def _merged_moments(nk, means, covariances) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the union of two components; the second may be an array of several."""
    share = np.asarray(nk[0] / (nk[0] + nk[1]))
    difference = means[0] - means[1]
    weight = share[..., np.newaxis, np.newaxis]
    mean = means[1] + share[..., np.newaxis] * difference
    between = difference[..., :, np.newaxis] * difference[..., np.newaxis, :]
    return mean, weight * covariances[0] + (1.0 - weight) * covariances[1] + weight * (1.0 - weight) * between


def _cut_value(scores: np.ndarray, mass: np.ndarray, cut: np.ndarray, least: float) -> float:
    """Log-likelihood of the labels of a cut, up to a constant; -inf if a side has too few rows."""
    value = 0.0
    for side in (cut, ~cut):
        n = mass[side].sum()
        if n < least:
            return -np.inf
        rows = scores[side] - mass[side] @ scores[side] / n
        covariance = (rows * mass[side, np.newaxis]).T @ rows / n + 1e-9 * np.eye(rows.shape[1])
        value += n * (np.log(n) - 0.5 * np.linalg.slogdet(covariance)[1])
    return float(value)
