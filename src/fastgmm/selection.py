"""`GaussianMixtureIC`: how many components, and of which shape? A search over both, by information criteria.

A cell of the grid is a number of components with a covariance type. All types of one number share the starts, so that
the k-means of a number is run once, and each type also starts from what the type before it has found.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from time import perf_counter

import numpy as np
from sklearn.base import DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm._em.iteration import Iteration
from fastgmm._em.loop import EMResult, Progress, run_em
from fastgmm._estimator.findings import Findings
from fastgmm._estimator.parameters import NamedParameters, check_parameters, with_advice
from fastgmm._input.rows import (
    check_fit_data,
    check_n_rows,
    check_sample_weight,
    drop_unweighted_rows,
    warn_if_weights,
)
from fastgmm._model.covariance import COVARIANCE_TYPES, CovarianceStructure, FisherInformation, require
from fastgmm._model.gaussian import MixtureParameters, n_free_parameters
from fastgmm._model.moments import estimate_moments
from fastgmm._rows.array import ArrayPasses, total_weight
from fastgmm._rows.columns import mean_of_all
from fastgmm._search.checks import check_folds, check_grid, check_weights_count_rows
from fastgmm._skipping.port import log_likelihood_of
from fastgmm._start.find import find_start
from fastgmm._utils.blas import blas_beside_passes
from fastgmm._utils.errors import FitError, OutOfRangeError
from fastgmm._utils.warnings import each_topic_once, warn
from fastgmm._utils.words import counted
from fastgmm.mixture import GaussianMixture

_PASSED_ON = ("tol", "reg_covar", "max_iter", "n_init", "init_params", "stopping", "acceleration", "n_threads")

_NO_VARIANCE = 1e-12  # share of the variance of all rows that is no more than rounding


class GaussianMixtureIC(DensityMixin, NamedParameters):
    """Gaussian mixture whose number of components and covariance type are chosen by an information criterion.

    Fits a mixture for each number of components and each covariance type, and keeps the one whose criterion is lowest:
    what R's mclust does. The table of all of them is kept, too.

    Parameters
    ----------
    n_components : int or sequence of int, default=(1, 2, 3, 4, 5, 6, 7, 8, 9)
        Numbers of components to try.

    covariance_type : {'all', 'full', 'tied', 'diag', 'spherical'} or list of them, default='all'
        Covariance types to try.

    criterion : {'bic', 'aic', 'icl', 'cv'}, default='bic'
        What to minimize, with L the log-likelihood of the data and p the number of free parameters:

        - 'bic': ``-2 L + p log(n_samples)`` [1]_;
        - 'aic': ``-2 L + 2 p``;
        - 'icl': BIC plus ``-2 sum_i log max_k resp_ik``, which adds a price for components that overlap [2]_;
        - 'cv': ``-2`` times the log-likelihood of held-out rows, summed over the folds of cross-validation.

    cv : int, default=5
        Number of folds, of shuffled rows, for criterion 'cv'.

    tol, reg_covar, max_iter, init_params, stopping, acceleration
        Of each fit, as in :class:`GaussianMixture`.

    n_init : int, default=1
        Number of starts of each fit, shared by all covariance types. Each type also starts from what the type before it
        has found with as many components.

    random_state : int, RandomState instance or None, default=None
        Random numbers for the starts and the folds. An int makes them repeatable: each cell then is at least as likely
        as ``GaussianMixture(k, random_state=...)`` with the same parameters, unless that one
        degenerates and the search has a sound one.

    n_threads : int or None, default=None
        Number of threads of each fit, as in :class:`GaussianMixture`.

    verbose : int, default=0
        1 prints a line for each run of EM.

    on_interrupt : {'raise', 'keep'}, default='raise'
        What Ctrl-C does: 'keep' ends the search as if the cells that have been fitted were all, with a warning. It
        raises all the same if none has been, and with criterion 'cv', which no cell has before the last fold.

    Attributes
    ----------
    best_estimator_ : GaussianMixture
        The chosen mixture, fitted to all rows.

    n_components_ : int
        Its number of components.

    covariance_type_ : str
        Its covariance type.

    criterion_ : dict of str to ndarray
        The table, a row for each cell; ``pandas.DataFrame(search.criterion_)`` shows it. Columns:

        - 'n_components', 'covariance_type': the cell;
        - 'criterion': what was minimized, NaN where the fit degenerated;
        - 'log_likelihood': of all rows, a weighted sum;
        - 'n_parameters': number of free parameters;
        - 'n_iter', 'converged': of the best run;
        - 'start': which start led there, the name of `init_params` or of another covariance type;
        - 'seconds': time spent on the cell, except for starts that it shares and for folds;
        - 'warning': why the cell degenerated, or ''.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had names that are all strings.

    See Also
    --------
    BayesianGaussianMixture : Lets superfluous components lose their rows, in a single fit.

    Notes
    -----
    A fit has degenerated if a component collapsed onto so few rows, or rows so equal, that its least variance is mostly
    `reg_covar`: the likelihood then says more of `reg_covar` than of the data. (Directions in which the data as a whole
    hardly vary do not count.) Of the runs of a cell a sound one is preferred; a cell that has none is reported in the
    table, and never chosen.

    References
    ----------
    .. [1] Schwarz, "Estimating the dimension of a model", Annals of Statistics 6, 1978.
    .. [2] Biernacki, Celeux and Govaert, "Assessing a mixture model for clustering with the integrated completed
       likelihood", IEEE PAMI 22, 2000; with the most probable component as the class of a row, as in mclust.

    Examples
    --------
    >>> from fastgmm import GaussianMixtureIC
    >>> from fastgmm.datasets import load_old_faithful
    >>> search = GaussianMixtureIC(range(1, 7), random_state=0).fit(load_old_faithful())
    >>> search.n_components_, search.covariance_type_
    (3, 'tied')
    """

    @with_advice
    def __init__(
        self,
        n_components=(1, 2, 3, 4, 5, 6, 7, 8, 9),
        *,
        covariance_type="all",
        criterion="bic",
        cv=5,
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        random_state=None,
        stopping="change",
        acceleration=None,
        n_threads=None,
        verbose=0,
        on_interrupt="raise",
    ):
        self._keep(locals())

    def fit(self, X, y=None, sample_weight=None):
        """Fit all cells of the grid, and choose the best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data. A C-contiguous float32 or float64 array, or memory map, is read in place.

        y : Ignored
            Present for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts: criteria take their sum for the number of rows.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, the data or the weights are not usable, or every cell degenerated. `TypeError` for sparse
            data.

        Warns
        -----
        ConvergenceWarning
            If the chosen fit did not reach `tol` within `max_iter` iterations.
        """
        warn_if_weights(y, X)
        check_parameters(self, COVARIANCE_TYPES, but=("n_components", "covariance_type"))
        numbers, covariance_types = check_grid(self, COVARIANCE_TYPES)
        if self.acceleration is not None:
            for name in covariance_types:
                require(COVARIANCE_TYPES[name], FisherInformation, f"acceleration={self.acceleration!r}")
        X = check_fit_data(self, X)
        rows, weights = drop_unweighted_rows(X, check_sample_weight(sample_weight, X.shape[0]))
        check_n_rows(rows.shape[0], max(numbers))
        if self.criterion == "cv":
            check_folds(rows.shape[0], self.cv, max(numbers))
        elif weights is not None:
            check_weights_count_rows(float(weights.sum()), self.criterion)
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(np.iinfo(np.int32).max)

        cells = self._cells(numbers, covariance_types, seed)
        interrupted = False
        ignore_overflow = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the results are checked
        blas = blas_beside_passes(X.shape[1], self.acceleration is not None)
        with ignore_overflow, blas, each_topic_once():
            fits = _Fits(rows, weights, self.verbose)
            try:
                fits.search(cells)
            except KeyboardInterrupt:
                nothing_found = all(cell.result is None for cell in cells)
                if self.on_interrupt == "raise" or self.criterion == "cv" or nothing_found:
                    raise
                interrupted = True
            for cell in cells:
                fits.finish(cell)
            if self.criterion == "cv":
                self._cross_validate(cells, numbers, covariance_types, rows, weights, seed)
            else:
                for cell in cells:
                    if cell.is_usable:
                        cell.criterion = _CRITERIA[self.criterion](cell, rows, weights)
        best = self._choose(cells, interrupted)
        assert best.result is not None
        replace(Findings.of_fit(best.result, fits.iteration(best)), converged=True).warn(self)
        return self

    def _cells(self, numbers, covariance_types, seed) -> list[_Cell]:
        """The grid: all covariance types of one number of components after each other, the freest last."""

        def freedom(covariance_type):
            return COVARIANCE_TYPES[covariance_type].n_parameters(2, self.n_features_in_)

        passed_on = {name: getattr(self, name) for name in _PASSED_ON}
        names = {name: value for name, value in vars(self).items() if name in ("n_features_in_", "feature_names_in_")}
        cells = []
        for n_components in numbers:
            for covariance_type in sorted(covariance_types, key=freedom):
                estimator = GaussianMixture(
                    n_components, covariance_type=covariance_type, random_state=seed, **passed_on
                )
                estimator.__dict__.update(names)
                cells.append(_Cell(estimator))
        return cells

    def _cross_validate(self, cells, numbers, covariance_types, rows, weights, seed) -> None:
        """Criteria from held-out rows: without each fold in turn the grid is searched as it was with all rows."""
        totals = np.zeros(len(cells))
        for train, test in KFold(self.cv, shuffle=True, random_state=seed).split(rows):
            fold = self._cells(numbers, covariance_types, seed)
            fits = _Fits(rows[train], _part(weights, train), self.verbose)
            fits.search(fold)
            for i, (cell, whole) in enumerate(zip(fold, cells, strict=True)):
                fits.finish(cell)
                if cell.is_usable:
                    totals[i] += cell.log_likelihood_of(rows[test], _part(weights, test))
                else:
                    whole.warning = whole.warning or f"In a fold: {cell.warning}"
        for cell, total in zip(cells, totals, strict=True):
            if cell.is_usable:
                cell.criterion = -2.0 * total

    def _choose(self, cells: list[_Cell], interrupted: bool) -> _Cell:
        """The best cell; sets the fitted attributes."""
        n_cells = len(cells)
        cells = [cell for cell in cells if cell.result is not None or cell.warning]
        usable = [cell for cell in cells if math.isfinite(cell.criterion)]
        if not usable:
            reasons = "; ".join(sorted({cell.warning for cell in cells}))
            raise ValueError(
                f"No fit of the search is usable: {reasons or 'no criterion is finite.'} Try fewer components or "
                "other covariance types, a larger reg_covar, or rescale the features to comparable ranges."
            )
        best = min(usable, key=lambda cell: cell.criterion)
        self.criterion_ = _table(cells)
        self.best_estimator_ = best.estimator
        self.n_components_ = best.n_components
        self.covariance_type_ = best.covariance_type
        if interrupted:
            warn(
                f"The search was interrupted after {len(cells)} of {n_cells} cells of the grid: the others are left "
                "out."
            )
        if not best.estimator.converged_ and self.max_iter > 0:
            warn(
                "Best performing initialization did not converge. Try different init parameters, or increase max_iter, "
                "tol, or check for degenerate data. "
                f"The chosen fit, {best.covariance_type} with n_components={best.n_components}, has reached "
                f"max_iter={self.max_iter}.",
                ConvergenceWarning,
            )
        return best

    # The chosen model ------------------------------------------------------------------------------------------------

    @property
    def _best(self) -> GaussianMixture:
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_

    def predict(self, X):
        """Most probable component of each row under the chosen mixture: `GaussianMixture.predict`."""
        return self._best.predict(X)

    def fit_predict(self, X, y=None, sample_weight=None):
        """Search, and return the most probable component of each row under the chosen mixture."""
        warn_if_weights(y, X)
        with each_topic_once():
            return self.fit(X, sample_weight=sample_weight).predict(X)

    def predict_proba(self, X):
        """Responsibilities under the chosen mixture: `GaussianMixture.predict_proba`."""
        return self._best.predict_proba(X)

    def score_samples(self, X):
        """Log-density of each row under the chosen mixture: `GaussianMixture.score_samples`."""
        return self._best.score_samples(X)

    def score(self, X, y=None, sample_weight=None):
        """Mean log-density of a row under the chosen mixture: `GaussianMixture.score`."""
        return self._best.score(X, y, sample_weight=sample_weight)

    def bic(self, X, sample_weight=None):
        """Bayesian information criterion of the chosen mixture: `GaussianMixture.bic`."""
        return self._best.bic(X, sample_weight=sample_weight)

    def aic(self, X, sample_weight=None):
        """Akaike's information criterion of the chosen mixture: `GaussianMixture.aic`."""
        return self._best.aic(X, sample_weight=sample_weight)

    def sample(self, n_samples=1, *, random_state=None):
        """Random rows and their components from the chosen mixture: `GaussianMixture.sample`."""
        return self._best.sample(n_samples, random_state=random_state)


# Cells ---------------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Cell:
    """A number of components with a covariance type, and what became of it."""

    estimator: GaussianMixture
    result: EMResult[MixtureParameters] | None = None  # of the best run
    start: str = ""
    seconds: float = 0.0
    warning: str = ""
    log_likelihood: float = -math.inf
    criterion: float = math.nan

    @property
    def n_components(self) -> int:
        return self.estimator.n_components

    @property
    def covariance_type(self) -> str:
        return self.estimator.covariance_type

    @property
    def is_usable(self) -> bool:
        """Whether the cell was fitted, and did not degenerate."""
        return self.result is not None and not self.warning

    @property
    def n_parameters(self) -> int:
        return n_free_parameters(self.estimator._structure, self.n_components, self.estimator.n_features_in_)

    def log_likelihood_of(self, rows: np.ndarray, weights: np.ndarray | None) -> float:
        """Weighted sum of the log-densities of rows under the fitted estimator."""
        passes = self.estimator._passes(rows, weights, self.n_components)
        return log_likelihood_of(passes, self.estimator._fitted_components(rows.shape[1]))


class _Fits:
    """EM for cells on the same rows.

    One fit after the other, each with all threads. Fits side by side with a thread each were no faster for any number
    of rows between 300 and 100,000: the small ones wait for Python's lock, the large ones use the threads as well.
    """

    def __init__(self, rows: np.ndarray, weights: np.ndarray | None, verbose: int):
        self.rows = rows
        self.weights = weights
        self.verbose = verbose
        self._whole: dict[str, np.ndarray] = {}  # covariance of all rows

    def search(self, cells: list[_Cell]) -> None:
        """Run EM for all cells."""
        by_number, by_type = defaultdict(list), defaultdict(list)
        for cell in cells:
            by_number[cell.n_components].append(cell)
            by_type[cell.covariance_type].append(cell)
        for column in by_number.values():
            self._fit_column(column)
        for row in by_type.values():
            self._merge_down(row)

    def _fit_column(self, column: list[_Cell]) -> None:
        """All covariance types of one number of components, from the same starts, and from each other's fits."""
        template = column[0].estimator
        random_state = np.random.RandomState(template.random_state)
        for _ in range(template.n_init):
            start = find_start(
                self.rows, self.weights, template.n_components, template.init_params, random_state, template.n_threads
            )
            for cell in column:
                iteration = self.iteration(cell)
                statistics = partial(start, iteration.passes, template.reg_covar)
                self._run(cell, iteration, template.init_params, partial(iteration.model.start, statistics))
        for before, cell in pairwise(column):
            if before.result is not None:
                self._run(cell, self.iteration(cell), before.covariance_type, partial(_as_type, before, cell))

    def _merge_down(self, row: list[_Cell]) -> None:
        """One covariance type, from many components to few: each fit starts from the one before with two merged."""
        for more, cell in pairwise(row[::-1]):
            if more.result is not None:
                self._run(cell, self.iteration(cell), "merged", partial(_merged, more, cell))

    def iteration(self, cell: _Cell) -> Iteration[MixtureParameters, ArrayPasses]:
        passes = cell.estimator._passes_to_fit(self.rows, self.weights)
        return Iteration(cell.estimator._model(passes), passes)

    def _run(self, cell: _Cell, iteration: Iteration, name: str, start: Callable[[], MixtureParameters]) -> None:
        """EM from one more start, kept if it ends higher than those before."""
        began = perf_counter()
        try:
            result = run_em(
                start,
                iteration.iterate,
                n_init=1,
                **cell.estimator._loop_options(iteration),
                progress=Progress(0, 1),
            )
        except FitError as error:
            outcome = str(error)
            if cell.result is None:
                cell.warning = outcome
        else:
            collapse = self._collapse(cell, result.parameters)
            log_likelihood = log_likelihood_of(iteration.passes, iteration.model.components(result.parameters))
            outcome = (
                collapse
                or f"log-likelihood {log_likelihood:.8g} after {counted(len(result.lower_bounds), 'iteration')}"
            )
            if cell.result is None or (not collapse, log_likelihood) > (not cell.warning, cell.log_likelihood):
                cell.result, cell.start = result, name
                cell.warning, cell.log_likelihood = collapse, log_likelihood
        cell.seconds += perf_counter() - began
        if self.verbose:
            print(f"{cell.n_components} {cell.covariance_type}, start {name}: {outcome}")

    def finish(self, cell: _Cell) -> None:
        """Set the attributes of a cell's estimator, and its log-likelihood; say whether the fit degenerated."""
        cell.log_likelihood = math.nan
        if cell.result is None:
            return
        try:
            attributes = cell.estimator._fitted_attributes(cell.result.parameters, self.iteration(cell).model)
            seen = total_weight(self.rows, self.weights)
            cell.estimator._set_fitted(cell.result, attributes, self.rows.dtype, seen)
        except OutOfRangeError as error:
            cell.warning = str(error)
            return
        cell.log_likelihood = cell.log_likelihood_of(self.rows, self.weights)

    def _collapse(self, cell: _Cell, parameters: MixtureParameters) -> str:
        """Which component has next to no variance where the rows as a whole have some; '' if none."""
        covariance_type, reg_covar = cell.covariance_type, cell.estimator.reg_covar
        structure = cell.estimator._structure
        if covariance_type not in self._whole:
            passes = cell.estimator._passes(self.rows, self.weights, 1)
            about_mean = passes.statistics_of_all(mean_of_all(passes)[np.newaxis])
            moments = estimate_moments(about_mean, structure, 0.0, self.rows.dtype)
            self._whole[covariance_type] = structure.spread(moments.covariances, 1, self.rows.shape[1])[0]
        n_different = 1 if structure.is_shared else cell.n_components
        spread = structure.spread(parameters.covariances, n_different, self.rows.shape[1])
        collapsed = _collapsed(spread, self._whole[covariance_type], reg_covar)
        if not collapsed.any():
            return ""
        cause = f"reg_covar={reg_covar:g}" if reg_covar > 0.0 else "rounding"
        return (
            f"Component {collapsed.argmax()} collapsed: {cause} is most of its least variance. "
            "Use fewer components, or a covariance type with fewer parameters."
        )


def _collapsed(spread: np.ndarray, whole: np.ndarray, reg_covar: float) -> np.ndarray:
    """Which components have little more variance than reg_covar, or rounding, where all rows have more.

    Parameters
    ----------
    spread : ndarray of shape (K, d, d) or (K, d)
        Covariances of the components, or their variances.
    whole : ndarray of shape (d, d) or (d,)
        Of all rows.
    reg_covar : float

    Returns
    -------
    ndarray of bool of shape (K,)
    """
    if spread.ndim == 2:
        small = spread < np.maximum(2.0 * reg_covar, _NO_VARIANCE * whole)
        return np.logical_or.reduce(small & (whole > 10.0 * reg_covar), axis=1)
    # In units of the features' deviations, so that their scales do not matter.
    variances = np.diagonal(whole).copy()
    variances[variances <= 0.0] = 1.0
    units = np.sqrt(np.outer(variances, variances))
    values, vectors = np.linalg.eigh(whole / units - np.diag(10.0 * reg_covar / variances))
    directions = vectors[:, values > 1e-10]
    if directions.shape[1] == 0:
        return np.zeros(len(spread), dtype=bool)
    excess = spread / units - np.diag(2.0 * reg_covar / variances + _NO_VARIANCE)
    return np.linalg.eigvalsh(directions.T @ excess @ directions)[:, 0] < 0.0


def _as_type(found: _Cell, cell: _Cell) -> MixtureParameters:
    """The parameters that were found for one covariance type as a start for another."""
    return _from_spread(cell.estimator._structure, *_weights_means_spread(found))


def _merged(found: _Cell, cell: _Cell) -> MixtureParameters:
    """The parameters that were found for more components, with two merged until there are as many as the cell has.

    Merged are the two whose union, with the moments of both, raises a bound on the Kullback-Leibler divergence least
    (Runnalls, IEEE Trans. Aerosp. Electron. Syst. 43, 2007).
    """
    weights, means, spread = _weights_means_spread(found)
    while len(weights) > cell.n_components:
        log_det = _log_det(spread)
        least, pair = math.inf, (0, 1)
        for i in range(len(weights) - 1):
            others = slice(i + 1, None)
            union_weights, _, union_spread = _union(weights, means, spread, i, others)
            cost = union_weights * _log_det(union_spread) - weights[i] * log_det[i] - weights[others] * log_det[others]
            j = int(np.argmin(cost))
            if cost[j] < least:
                least, pair = cost[j], (i, i + 1 + j)
        i, j = pair
        unions = _union(weights, means, spread, i, slice(j, j + 1))
        weights, means, spread = (
            np.concatenate([union, np.delete(array, [i, j], axis=0)])
            for array, union in zip((weights, means, spread), unions, strict=True)
        )
    return _from_spread(cell.estimator._structure, weights, means, spread)


def _union(weights, means, spread, i: int, others: slice):
    """Weights, means and spreads of the unions of component i with each of the others."""
    total = weights[i] + weights[others]
    share = (weights[i] / total)[:, np.newaxis]
    mean = share * means[i] + (1 - share) * means[others]
    difference = means[i] - means[others]
    if spread.ndim == 2:
        between = difference * difference
    else:
        between = difference[:, :, np.newaxis] * difference[:, np.newaxis]
        share = share[:, :, np.newaxis]
    return total, mean, share * spread[i] + (1 - share) * spread[others] + share * (1 - share) * between


def _log_det(spread: np.ndarray) -> np.ndarray:
    return np.log(spread).sum(axis=1) if spread.ndim == 2 else np.linalg.slogdet(spread)[1]


def _weights_means_spread(cell: _Cell) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    assert cell.result is not None
    found = cell.result.parameters
    spread = cell.estimator._structure.spread(found.covariances, *found.means.shape)
    return found.weights, found.means, spread


def _from_spread(structure: CovarianceStructure, weights, means, spread) -> MixtureParameters:
    covariances = structure.from_spread(spread, weights)
    return MixtureParameters(weights, means, covariances, structure.precisions_cholesky(covariances))


def _bic(cell: _Cell, rows, weights) -> float:
    n = len(rows) if weights is None else weights.sum()
    return -2.0 * cell.log_likelihood + cell.n_parameters * math.log(n)


def _aic(cell: _Cell, rows, weights) -> float:
    return -2.0 * cell.log_likelihood + 2.0 * cell.n_parameters


def _icl(cell: _Cell, rows, weights) -> float:
    passes = cell.estimator._passes(rows, weights, cell.n_components)
    components = cell.estimator._fitted_components(rows.shape[1])
    return _bic(cell, rows, weights) - 2.0 * passes.log_max_resp_sum(components)


_CRITERIA = {"bic": _bic, "aic": _aic, "icl": _icl}


def _table(cells: list[_Cell]) -> dict[str, np.ndarray]:
    """Columns with a row for each cell."""
    return {
        "n_components": np.array([cell.n_components for cell in cells]),
        "covariance_type": np.array([cell.covariance_type for cell in cells]),
        "criterion": np.array([cell.criterion for cell in cells]),
        "log_likelihood": np.array([cell.log_likelihood for cell in cells]),
        "n_parameters": np.array([cell.n_parameters for cell in cells]),
        "n_iter": np.array([len(cell.result.lower_bounds) if cell.result else 0 for cell in cells]),
        "converged": np.array([bool(cell.result and cell.result.converged) for cell in cells]),
        "start": np.array([cell.start for cell in cells]),
        "seconds": np.array([cell.seconds for cell in cells]),
        "warning": np.array([cell.warning for cell in cells]),
    }


def _part(weights: np.ndarray | None, index: np.ndarray) -> np.ndarray | None:
    return None if weights is None else weights[index]
