"""The fits of a search: EM for each candidate, from starts that candidates share and from each other's results."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from fastgmm._em.iteration import Iteration
from fastgmm._em.lbfgs import LBFGS
from fastgmm._em.loop import run_em
from fastgmm._em.one_gaussian import gaussian_of
from fastgmm._estimator.fitted import mixture_attributes, rounded
from fastgmm._model.covariance import DIAGONAL, CovarianceStructure, unrestricted
from fastgmm._model.gaussian import InitialValues, MaximumLikelihood
from fastgmm._model.moments import estimate_moments
from fastgmm._model.noise import Region
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._model.student import StudentT
from fastgmm._model.weak_prior import MaximumPosterior, WeakPrior
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.columns import mean_of_all, moments_for_prior
from fastgmm._rows.protocol import EvaluatingPasses
from fastgmm._search.candidates import Candidate, FoundParameters, by_distribution
from fastgmm._search.collapse import CollapseCheck
from fastgmm._search.merging import as_type, merged
from fastgmm._search.report import SearchReporter, to_start_from_whitened
from fastgmm._skipping.policy import log_likelihood_of
from fastgmm._start.find import (
    STARTS_OF_ONE_TYPE,
    Start,
    find_start,
    passes_for_start,
    rows_for_start,
    statistics_of_start,
)
from fastgmm._start.given import name_of_start
from fastgmm._start.whitening import start_from_whitened
from fastgmm._utils.annotations import InitParams
from fastgmm._utils.errors import FitError, OutOfRangeError, PoorSampleError, Stopped
from fastgmm._utils.progress import SILENT

_ROUNDING = 1e-12  # relative gain of log-likelihood up to which two runs have found the same


@dataclass(frozen=True, slots=True)
class Settings:
    """How each candidate is fitted: parameters of `GaussianMixture`, with a seed in place of its `random_state`."""

    seed: int
    tol: float
    reg_covar: float
    max_iter: int
    n_init: int
    init_params: InitParams
    stopping: str
    acceleration: str | None
    n_threads: int | None
    missing: str
    noise: Region | None  # what is known of a uniform background
    prior: str | None


class Fits:
    """EM for candidates on the same rows.

    The fits run one after the other, each with all threads. Fits in parallel, with one thread each, were no faster for
    any number of rows from 300 to 100,000: small fits wait for Python's lock, and large fits use all threads anyway.

    Parameters
    ----------
    rows : EvaluatingPasses
        Passes over the rows, for any shape of mixture.
    weight_unit : float
        Weights of the rows have been divided by it.
    random_state : RandomState
        Random numbers for the starts. Each number of components gets a copy, so it does not change.
    settings : Settings
    progress : SearchReporter
    """

    def __init__(
        self,
        rows: EvaluatingPasses,
        weight_unit: float,
        random_state: np.random.RandomState,
        settings: Settings,
        progress: SearchReporter,
    ):
        self.rows = rows
        self.weight_unit = weight_unit
        self.random_state = random_state
        self.settings = settings
        self.progress = progress
        self._filled: ArrayPasses | None = None
        self._checks: dict[str, CollapseCheck] = {}  # by the name of the structure of scikit-learn
        self._moments_for_prior: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # by the kernel of the structures

    def search(self, candidates: list[Candidate]) -> None:
        """Run EM for all candidates. `report.planned` names them in the order of the runs.

        One component without a background has a single optimum, which the first start finds.
        """
        by_number, by_shape = defaultdict(list), defaultdict(list)
        for candidate in candidates:
            by_number[candidate.n_components].append(candidate)
            by_shape[candidate.distribution, candidate.covariance_type].append(candidate)
        for of_one_number in by_number.values():
            self._fit_from_shared_starts(of_one_number)
            for of_one_distribution in by_distribution(of_one_number):
                for before, candidate in pairwise(of_one_distribution):
                    if candidate.n_components > 1 or self.settings.noise:
                        self._fit_from_other(before, candidate, before.covariance_type, as_type)
            if some := to_start_from_whitened(of_one_number, len(candidates)):
                self._fit_from_whitened(some)
        for of_one_shape in by_shape.values():
            for more, fewer in pairwise(of_one_shape[::-1]):
                if fewer.n_components > 1 or self.settings.noise:
                    self._fit_from_other(more, fewer, "merged", merged)

    def iteration(self, candidate: Candidate) -> Iteration[Any, EvaluatingPasses]:
        """Iterations of the candidate's model on the rows, as in a fit of its estimator."""
        structure, n_components, n_features = candidate.structure, candidate.n_components, candidate.n_features
        passes = self.rows.for_mixture(n_components, structure)
        reg_covar, region = self.settings.reg_covar, self.settings.noise
        own = structure, n_components, n_features, passes.dtype, reg_covar, InitialValues()
        if candidate.distribution == "t":
            return Iteration(StudentT(*own, "varying"), passes)
        if self.settings.prior is None:
            return Iteration(MaximumLikelihood(*own, region), passes)
        return Iteration(MaximumPosterior(*own, region, self._prior(structure, n_components)), passes)

    def _prior(self, structure: CovarianceStructure, n_components: int) -> WeakPrior:
        if structure.kernel not in self._moments_for_prior:
            rows = self.rows.for_mixture(1, DIAGONAL, SILENT)
            self._moments_for_prior[structure.kernel] = moments_for_prior(rows, structure.kernel)
        return WeakPrior.of_rows(structure, n_components, *self._moments_for_prior[structure.kernel])

    def finish(self, candidates: list[Candidate]) -> None:
        """Set the parameters of the fitted models and the sums of criteria, or warnings if they are out of range."""
        fitted = [candidate for candidate in candidates if self._is_fitted(candidate)]
        mixtures = [(each.structure, each.fitted.components(each.structure)) for each in fitted if each.fitted]
        sums = self.rows.for_mixture(1, DIAGONAL, SILENT).sums_of_mixtures(mixtures) * self.weight_unit
        for candidate, (log_likelihood, log_max_resp) in zip(fitted, sums.tolist(), strict=True):
            candidate.log_likelihood, candidate.log_max_resp = log_likelihood, log_max_resp

    def _is_fitted(self, candidate: Candidate) -> bool:
        """Set the parameters of the fitted model, or a warning. Returns whether there is a model."""
        candidate.log_likelihood = math.nan
        if candidate.result is None:
            return False
        parameters = candidate.result.parameters
        try:
            attributes = rounded(mixture_attributes(parameters, candidate.structure), self.rows.dtype)
        except OutOfRangeError as error:
            candidate.warning = str(error)
            return False
        attributes.setdefault("covariances_", attributes.get("scales_"))
        names = [field.name for field in fields(parameters) if f"{field.name}_" in attributes]
        candidate.fitted = replace(parameters, **{name: attributes[f"{name}_"].astype(np.float64) for name in names})
        return True

    def _fit_from_shared_starts(self, candidates: list[Candidate]) -> None:
        """Fit all covariance types and distributions of one number of components from the same starts."""
        settings, random_state = self.settings, deepcopy(self.random_state)
        n_components, has_noise = candidates[0].n_components, settings.noise is not None
        here = self._rows_of_starts(candidates[0].structure)
        here, noise = rows_for_start(here, n_components, settings.init_params, random_state, has_noise)
        for _ in range(settings.n_init):
            self.progress.begin_starts(n_components)
            n_threads, progress = settings.n_threads, self.progress.progress
            start = find_start(
                here.X,
                here.sample_weight,
                n_components,
                settings.init_params,
                random_state,
                n_threads,
                progress,
                has_noise,
            )
            found: dict[tuple, SufficientStatistics] = {}  # by the shape of their scatter
            for candidate in candidates:
                iteration = self.iteration(candidate)
                of_start = here.for_mixture(n_components, candidate.structure)
                total_weight = iteration.passes.total_weight
                statistics = partial(self._statistics, start, of_start, total_weight, noise, found)
                name = name_of_start(settings.init_params)
                self._run(candidate, iteration, name, partial(iteration.model.start, statistics))

    def _fit_from_whitened(self, candidates: list[Candidate]) -> None:
        """Fit candidates with one number of components from clusters of whitened rows."""
        random_state, n_components = deepcopy(self.random_state), candidates[0].n_components
        self.progress.begin_starts(n_components)
        try:
            here = self._rows_of_starts(candidates[0].structure)
            here, noise = rows_for_start(here, n_components, "kmeans", random_state, self.settings.noise is not None)
            start = start_from_whitened(here, n_components, random_state)
        except (FitError, PoorSampleError):
            for _ in candidates:
                self.progress.skip_run()
            return
        for candidate in candidates:
            iteration = self.iteration(candidate)
            of_start = here.for_mixture(n_components, candidate.structure)
            total_weight, reg_covar = iteration.passes.total_weight, self.settings.reg_covar
            statistics = partial(statistics_of_start, start, of_start, total_weight, reg_covar, noise)
            self._run(candidate, iteration, "whitened", partial(iteration.model.start, statistics))

    def _statistics(
        self, start: Start, here: ArrayPasses, total_weight: float, noise: float | None, found: dict
    ) -> SufficientStatistics:
        """Statistics of all rows under a start. `found` has those that other covariance types can use."""
        structure, init_params, reg_covar = here.structure, self.settings.init_params, self.settings.reg_covar
        if isinstance(init_params, str) and init_params in STARTS_OF_ONE_TYPE:
            return statistics_of_start(start, here, total_weight, reg_covar, noise)
        key = (structure.is_shared, *structure.scatter_shape(here.n_components, here.n_features))
        if key not in found:
            found[key] = statistics_of_start(start, here, total_weight, reg_covar, noise)
        return found[key]

    def _fit_from_other(
        self,
        other: Candidate,
        candidate: Candidate,
        name: str,
        start: Callable[[Candidate, Candidate], FoundParameters],
    ) -> None:
        """Fit a candidate from the parameters that were found for another one, if any were."""
        if other.result is None:
            self.progress.skip_run()
        else:
            self._run(candidate, self.iteration(candidate), name, partial(start, other, candidate))

    def _run(self, candidate: Candidate, iteration: Iteration, name: str, start: Callable[[], FoundParameters]) -> None:
        """Run EM from one more start. Keep the result if it is better than those before."""
        began, settings, failure = perf_counter(), self.settings, ""
        self.progress.begin_run(candidate, name)
        try:
            result = run_em(
                start,
                iteration.iterate,
                n_init=1,
                max_iter=settings.max_iter,
                tol=settings.tol,
                stopping=settings.stopping,
                rounding=iteration.rounding,
                accelerator=None if settings.acceleration is None else LBFGS(iteration),
                progress=iteration.passes.progress,
            )
        except FitError as error:
            failure = str(error)
            if candidate.result is None:
                candidate.warning = failure
        else:
            if result.stopped:
                raise Stopped("EM")
            failure = collapse = self._collapse(candidate, iteration, result.parameters)
            log_likelihood = log_likelihood_of(iteration.passes, iteration.model.components(result.parameters))
            objective = log_likelihood + iteration.model.log_prior(result.parameters)
            least = candidate.objective + _ROUNDING * abs(candidate.objective)
            is_better = (not collapse, objective) > (not candidate.warning, least)
            if candidate.result is None or is_better:
                candidate.result, candidate.start, candidate.objective = result, name, objective
                candidate.warning, candidate.log_likelihood = collapse, log_likelihood
        candidate.seconds += perf_counter() - began
        self.progress.end_run(candidate, name, failure, self.weight_unit)

    @cached_property
    def _mean_of_rows(self) -> np.ndarray:
        return mean_of_all(self.rows.for_mixture(1, DIAGONAL, SILENT))

    def _covariance_of_rows(self, structure: CovarianceStructure) -> np.ndarray:
        """The covariance of all rows in the shape of a structure with one component."""
        if self.rows.misses_values:
            of_rows = gaussian_of(self.rows, structure, self.settings.reg_covar).covariances
            return structure.from_spread(of_rows, np.ones(1))
        passes = self.rows.for_mixture(1, structure, SILENT)
        about_mean = passes.statistics_of_all(self._mean_of_rows[np.newaxis])
        return estimate_moments(about_mean, structure, 0.0, self.rows.dtype).covariances

    def _rows_of_starts(self, structure: CovarianceStructure) -> ArrayPasses:
        """Passes over the rows on which starts are found; filled ones are kept for all starts."""
        if self._filled is None or not self.rows.misses_values:
            self._filled = passes_for_start(self.rows, self.settings.reg_covar, structure)
        return self._filled

    def _collapse(self, candidate: Candidate, iteration: Iteration, parameters: FoundParameters) -> str:
        """A warning that names the first collapsed component; '' if none has collapsed."""
        structure, reg_covar, n_features = candidate.structure, self.settings.reg_covar, candidate.n_features
        general = unrestricted(structure)
        n_different = 1 if structure.is_shared else candidate.n_components
        covariances = parameters.covariances
        if structure.name in ("EVI", "EVE", "EVV") and not iteration.model.has_priors:
            # Rows without a volume hide in a volume that all share: look at their own covariances.
            statistics, _ = iteration.accurate_e_step(parameters)
            of_rows = estimate_moments(statistics, general, reg_covar, self.rows.dtype, previous=covariances)
            covariances = of_rows.covariances
        if general.name not in self._checks:
            of_all = general.spread(self._covariance_of_rows(general), 1, n_features)[0]
            self._checks[general.name] = CollapseCheck(of_all, reg_covar)
        collapsed = self._checks[general.name].are_collapsed(structure.spread(covariances, n_different, n_features))
        if not collapsed.any():
            return ""
        cause = f"reg_covar={reg_covar:g}" if reg_covar > 0.0 else "rounding"
        return (
            f"Component {collapsed.argmax()} collapsed: {cause} is most of its least variance. "
            "Use fewer components, or a covariance type with fewer parameters."
        )
