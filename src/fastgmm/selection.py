"""`GaussianMixtureIC`: a search by an information criterion.

All covariance types of one number of components share their starts. Each also starts from what the type before found.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm._estimator.base import while_fitting
from fastgmm._estimator.findings import Findings
from fastgmm._estimator.fitted import mixture_attributes, set_fitted
from fastgmm._estimator.noise import region_of
from fastgmm._estimator.parameters import NamedParameters, check_parameters, with_advice
from fastgmm._estimator.reporting import reporting
from fastgmm._estimator.sklearn_callbacks import CallbackSupportMixin
from fastgmm._estimator.summary import Evaluation
from fastgmm._input.containers import Reader
from fastgmm._input.rows import warn_if_weights
from fastgmm._model.covariance import SKLEARN_TYPES, FisherInformation, require, structure_of_type
from fastgmm._search.candidates import Candidate, all_candidates, check_grid, table
from fastgmm._search.chosen import ChosenMixture
from fastgmm._search.criteria import best_of, cross_validate, set_criteria
from fastgmm._search.fits import Fits, Settings
from fastgmm._search.report import SearchReporter
from fastgmm._search.rows import rows_to_search
from fastgmm._search.summary import SearchSummary, as_frame
from fastgmm._utils.annotations import (
    Acceleration,
    CovarianceType,
    Criterion,
    Distribution,
    Folds,
    InitParams,
    IntArray,
    Missing,
    OnInterrupt,
    Prior,
    RandomState,
    Rows,
    Stopping,
)
from fastgmm._utils.errors import Stopped
from fastgmm._utils.progress import Callback, Reporter
from fastgmm._utils.warnings import each_topic_once, warn
from fastgmm._utils.words import named_shape
from fastgmm.mixture import GaussianMixture
from fastgmm.student import StudentTMixture

if TYPE_CHECKING:
    from pandas import DataFrame

_ESTIMATORS: dict[Distribution, Any] = {"gaussian": GaussianMixture, "t": StudentTMixture}
_PASSED_ON = [field.name for field in fields(Settings) if field.name != "seed"]


class GaussianMixtureIC(CallbackSupportMixin, ChosenMixture, DensityMixin, NamedParameters):
    """Choose the number of components and the covariance type of a mixture by an information criterion.

    The search fits a mixture for each number of components with each covariance type. These are its candidates. It
    keeps the candidate with the lowest criterion, as R's mclust does, and a table of all.

    Parameters
    ----------
    n_components : int or sequence of int, default=(1, 2, 3, 4, 5, 6, 7, 8, 9)
        Numbers of components to try.

    covariance_type : str or sequence of str, default=('full', 'tied', 'diag', 'spherical')
        Covariance types to try, as in :class:`GaussianMixture`. 'all' stands for the fourteen of R's mclust, which
        include the default ones.

    distribution : {'gaussian', 't'} or sequence of these, default='gaussian'
        Distributions of the components to try. 't' fits :class:`StudentTMixture`, with degrees of freedom of each
        component: ``["gaussian", "t"]`` asks whether heavy tails pay. 't' does not combine with `acceleration`,
        `noise`, `missing` and `prior`.

    criterion : {'bic', 'aic', 'icl', 'cv'}, default='bic'
        What to minimize. L is the log-likelihood of the data, and p the number of free parameters:

        - 'bic': ``-2 L + p log(n_samples)`` [1]_;
        - 'aic': ``-2 L + 2 p``;
        - 'icl': BIC plus ``-2 sum_i log max_k resp_ik``, a penalty for components that overlap [2]_;
        - 'cv': ``-2`` times the log-likelihood of held-out rows, summed over the folds of cross-validation.

    cv : int, splitter or iterable, default=5
        Folds of criterion 'cv', as in scikit-learn: their number, with rows shuffled; a splitter such as ``KFold(5)``;
        or pairs of the rows to fit and of the rows to hold out.

    tol, reg_covar, max_iter, init_params, stopping, acceleration, noise, missing, prior, n_threads
        Of each fit, as in :class:`GaussianMixture`. `init_params` may be a function, but no array.

    n_init : int, default=1
        Number of starts for each number of components; all covariance types share them. Each type also starts from the
        parameters that the type before it found, and two of them from k-means of whitened rows.

    random_state : int, RandomState instance or None, default=None
        Random numbers for the starts and the folds. An int makes them repeatable. Each candidate then reaches at least
        the log-likelihood of ``GaussianMixture(k, random_state=...)`` with the same parameters, unless the latter
        degenerates.

    verbose : int, default=0
        1 logs a line for each run of k-means and of EM, as in :class:`GaussianMixture`.

    on_interrupt : {'raise', 'keep'}, default='raise'
        What Ctrl-C does. 'keep' ends the search with a warning, and chooses among the candidates that have been fitted.
        If none has been fitted, KeyboardInterrupt is raised all the same. It is always raised with criterion 'cv',
        which needs all folds of all candidates.

    Attributes
    ----------
    best_estimator_ : GaussianMixture or StudentTMixture
        The chosen mixture, fitted to all rows.

    n_components_ : int
        Its number of components.

    covariance_type_ : str
        Its covariance type.

    distribution_ : str
        Its distribution, 'gaussian' or 't'.

    criterion_ : dict of str to ndarray
        Table of the candidates, as columns. The method `table` returns it as a DataFrame:

        - 'n_components', 'covariance_type', 'distribution': the candidate;
        - 'criterion': what was minimized, a copy of one of the next columns;
        - 'bic', 'aic', 'icl': the criteria on all rows, and 'cv' if it was chosen. NaN if the fit degenerated;
        - 'log_likelihood': weighted sum over all rows, in nats;
        - 'n_parameters': number of free parameters;
        - 'n_iter', 'converged': of the best run;
        - 'start': the start that led there: `init_params`, 'whitened', 'merged' or another covariance type;
        - 'seconds': time spent on the candidate, without shared starts and without folds;
        - 'warning': why the candidate degenerated, or ''.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only there if all column names of X are strings.

    See Also
    --------
    BayesianGaussianMixture : Empties superfluous components in a single fit.

    Notes
    -----
    A fit has degenerated if the least variance of a component consists mostly of `reg_covar`. The component then has
    too few rows, or rows that are too similar, and the likelihood depends on `reg_covar` more than on the data.
    Directions in which the data as a whole hardly vary do not count. If a candidate has a run that did not degenerate,
    that run is taken. If it has none, it is in the table, but it is never chosen.

    References
    ----------
    .. [1] Schwarz, "Estimating the dimension of a model", Annals of Statistics 6, 1978.
    .. [2] Biernacki, Celeux and Govaert, "Assessing a mixture model for clustering with the integrated completed
       likelihood", IEEE PAMI 22, 2000; with the most probable component as the class of a row, as in mclust.

    Examples
    --------
    >>> from fastgmm import GaussianMixtureIC
    >>> from fastgmm.datasets import load_old_faithful
    >>> X = load_old_faithful()
    >>> search = GaussianMixtureIC(range(1, 7), random_state=0).fit(X)
    >>> search.n_components_, search.covariance_type_
    (3, 'tied')
    """

    n_components_: int
    covariance_type_: CovarianceType
    distribution_: Distribution
    criterion_: dict[str, NDArray[Any]]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    @with_advice
    def __init__(
        self,
        n_components: int | Collection[int] = (1, 2, 3, 4, 5, 6, 7, 8, 9),
        *,
        covariance_type: CovarianceType | Literal["all"] | tuple[CovarianceType, ...] | Collection[CovarianceType] = (
            SKLEARN_TYPES
        ),
        distribution: Distribution | Collection[Distribution] = "gaussian",
        criterion: Criterion = "bic",
        cv: Folds = 5,
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        random_state: RandomState = None,
        stopping: Stopping = "change",
        acceleration: Acceleration | None = None,
        noise: bool | float = False,
        missing: Missing = "raise",
        prior: Prior | None = None,
        n_threads: int | None = None,
        verbose: int = 0,
        on_interrupt: OnInterrupt = "raise",
    ) -> None:
        self._keep(locals())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        found = state.get("criterion_", {"distribution": None})
        if "distribution" not in found:  # an older version, which had Gaussians only
            all_gaussian = np.full(len(found["criterion"]), "gaussian")
            self.__dict__.update(distribution_="gaussian", criterion_={**found, "distribution": all_gaussian})

    def fit(
        self,
        X: Rows | Reader,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        callback: Callback | None = None,
    ) -> Self:
        """Fit all candidates, and choose the best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader
            The data. A C-contiguous float32 or float64 array, or memory map, is read in place. A reader of
            :mod:`fastgmm.batches`, a dataset of h5py or zarr, and a memory map of another dtype are read batch by
            batch, anew for each iteration. Then the starts are found on a uniform sample of 100,000 rows.

        y : Ignored
            Present for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. The criteria take the sum of the weights as the number of rows. A reader
            brings the weights itself.

        callback : callable, default=None
            Called with a :class:`fastgmm.progress.Progress` after each run of EM, with its candidate and criterion, and
            at the other events that this class lists. If it raises StopIteration, the search ends as with
            ``on_interrupt='keep'``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, the data or the weights are not usable, every candidate degenerated, or criterion 'cv' is
            chosen for rows that are not in memory.
        TypeError
            If the data are sparse.
        RuntimeError
            If `callback` stops the search before there is a model.

        Warns
        -----
        ConvergenceWarning
            If the chosen fit did not reach `tol` within `max_iter` iterations.
        """
        warn_if_weights(y, X)
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        with reporting(self, callback, None, {"X": X, "y": y, "metadata": metadata}) as progress:
            findings, chosen, n_tried = self._search(X, sample_weight, progress)
        if n_tried:
            warn(f"The search was interrupted after {n_tried} candidates: the others are left out.")
        findings.warn(self, not_converged=f"{chosen}, has reached max_iter={self.max_iter}.")
        return self

    def fit_predict(
        self,
        X: Rows | Reader,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        callback: Callback | None = None,
    ) -> IntArray:
        """Search, and return the most probable component of each row under the chosen mixture."""
        warn_if_weights(y, X)
        with each_topic_once():
            return self.fit(X, sample_weight=sample_weight, callback=callback).predict(X)

    def _search(self, X, sample_weight, progress: Reporter) -> tuple[Findings, str, str]:
        """Search, and set the fitted attributes.

        Returns the findings of the chosen fit, its name, and '3 of 12' if the search was interrupted after so many.
        """
        check_parameters(self, skip=("n_components", "covariance_type", "distribution"))
        grid = check_grid(self)
        if self.acceleration is not None:
            for name in grid.covariance_types:
                require(structure_of_type(name), FisherInformation, f"acceleration={self.acceleration!r}")
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(np.iinfo(np.int32).max)
        passed_on = {name: getattr(self, name) for name in _PASSED_ON}
        rows = rows_to_search(self, X, sample_weight, max(grid.numbers), seed, progress)
        n_features, n_rows = rows.passes.n_features, rows.total_weight
        settings = Settings(seed=seed, **passed_on | {"noise": region_of(self.noise, rows.passes)})
        candidates = all_candidates(grid, n_features, settings.noise)
        with while_fitting(n_features, self.acceleration):
            of_search = self.criterion, self.n_init, n_rows, len(rows.folds), settings.noise
            report = SearchReporter(progress, candidates, *of_search)
            fits = Fits(rows.passes, rows.weight_unit, rows.random_state, settings, report)
            interrupted = self._is_interrupted(fits, candidates)
            fits.finish(candidates)
            if self.criterion == "cv":
                cross_validate(candidates, rows.folds, fits)
            set_criteria(candidates, n_rows)
            tried = [candidate for candidate in candidates if candidate.result is not None or candidate.warning]
            best = best_of(tried, self.criterion)
            assert best.result is not None

            chosen: dict[str, Any] = {"covariance_type": best.covariance_type, "random_state": seed, **passed_on}
            kind = _ESTIMATORS[best.distribution]
            own = {name: value for name, value in chosen.items() if name in signature(kind).parameters}
            estimator = kind(best.n_components, **own)
            attributes = mixture_attributes(best.result.parameters, best.structure, settings.noise)
            set_fitted(estimator, attributes, best.result, rows.passes.dtype, n_rows, self)
            findings = Findings.of_fit(best.result, fits.iteration(best))
        self.__dict__.update(  # at once: Ctrl-C leaves the old ones or the new ones
            criterion_=table(tried, self.criterion),
            best_estimator_=estimator,
            n_components_=best.n_components,
            covariance_type_=best.covariance_type,
            distribution_=best.distribution,
        )
        shape = named_shape(best.covariance_type, best.distribution)
        which = f"The chosen fit, {shape} with n_components={best.n_components}"
        return findings, which, f"{len(tried)} of {len(candidates)}" if interrupted else ""

    def _is_interrupted(self, fits: Fits, candidates: list[Candidate]) -> bool:
        """Fit the candidates. Returns whether Ctrl-C or a callback has ended that and the fits so far are kept."""
        try:
            fits.search(candidates)
        except (KeyboardInterrupt, Stopped) as interrupt:
            is_wanted = isinstance(interrupt, Stopped) or self.on_interrupt == "keep"
            nothing_found = all(candidate.result is None for candidate in candidates)
            if not is_wanted or self.criterion == "cv" or nothing_found:
                raise
            return True
        return False

    def table(self) -> DataFrame:
        """All candidates as a pandas DataFrame, the best first.

        Its columns are those of `criterion_`, and 'difference': the criterion minus that of the best candidate. The
        index is the number of the candidate in `criterion_`. Candidates that degenerated come last, with the reason in
        column 'warning'.

        Returns
        -------
        table : pandas.DataFrame of shape (n_candidates, n_columns)

        Raises
        ------
        ImportError
            If pandas is not installed.
        NotFittedError
            If the search is not fitted.

        Examples
        --------
        >>> from fastgmm import GaussianMixtureIC
        >>> from fastgmm.datasets import load_old_faithful
        >>> X = load_old_faithful()
        >>> search = GaussianMixtureIC(range(1, 7), random_state=0).fit(X)
        >>> columns = ["n_components", "covariance_type", "bic", "difference", "icl"]
        >>> search.table()[columns].head(3).round(1)
            n_components covariance_type     bic  difference     icl
        9              3            tied  2314.8         0.0  2363.8
        7              2            full  2322.2         7.4  2322.7
        13             4            tied  2324.2         9.4  2387.6
        """
        check_is_fitted(self, "criterion_")
        return as_frame(self.criterion_)

    def summary(self) -> SearchSummary:
        """The best candidates, why others were left out, and the summary of the chosen mixture.

        Returns
        -------
        summary : SearchSummary
            Its attributes hold what it shows: `best`, a list of the candidates; `left_out`, a list of those that
            degenerated; and `model`, the :meth:`GaussianMixture.summary` of the chosen mixture on the rows of the
            search. ``print(summary)`` shows a text, and a notebook shows tables.

        Raises
        ------
        NotFittedError
            If the search is not fitted.

        Examples
        --------
        >>> from fastgmm import GaussianMixtureIC
        >>> from fastgmm.datasets import load_old_faithful
        >>> X = load_old_faithful()
        >>> search = GaussianMixtureIC(range(1, 7), random_state=0).fit(X)
        >>> print(search)
        GaussianMixtureIC(n_components=range(1, 7), random_state=0)
        Best of 24 candidates: 3 components, covariance type 'tied' (mclust: EEE,3), BIC 2314.838.
        >>> best = search.summary().best
        >>> best[1][:2], round(best[1][3], 1)  # the second best and its distance
        ((2, 'full'), 7.4)
        """
        check_is_fitted(self, "criterion_")
        columns = self.criterion_
        best = np.nanargmin(columns["criterion"])
        log_max_resp = 0.5 * (columns["bic"][best] - columns["icl"][best])
        evaluation = Evaluation(float(columns["log_likelihood"][best]), log_max_resp, self._best.n_samples_seen_)
        return SearchSummary.of_table(columns, self._best._summary(evaluation))

    def __str__(self) -> str:
        return f"{self!r}\n{self.summary().choice()}" if hasattr(self, "criterion_") else repr(self)
