"""What all mixture estimators share: fit, predict, score, and the way to scikit-learn and back.

`MixtureEstimator` is mixed into a scikit-learn mixture. A subclass says what an iteration is (`_updates`), which
attributes a fitted model has (`_fitted_attributes`), and how parameters are read back from them (`_fitted_parameters`).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm._em.checkpoint import Checkpoint
from fastgmm._em.iteration import Updates
from fastgmm._em.lbfgs import LBFGS
from fastgmm._em.loop import EMResult, Progress, run_em
from fastgmm._em.stepwise import Stream, counted_rows, effective_rows, step_size, take_step
from fastgmm._estimator.findings import Findings
from fastgmm._estimator.parameters import (
    check_callback,
    check_checkpoint,
    check_covariance_type,
    check_draws_from,
    check_n_draws,
    check_names_of_parameters,
    check_overrides,
    check_parameters,
    check_rows_behind,
    check_start_rows,
    check_statistics_fit,
    fixed_names,
)
from fastgmm._estimator.sampling import draw_rows
from fastgmm._input.blocks import ArrayBatches, block_slices
from fastgmm._input.containers import is_read_in_blocks
from fastgmm._input.rows import (
    CheckedBatches,
    check_block,
    check_fit_data,
    check_further_data,
    check_n_rows,
    check_out,
    check_predict_data,
    check_sample_weight,
    check_some_weight,
    check_weight_of_each_row,
    check_weights_of_block,
    drop_unweighted_rows,
    warn_if_weights,
    warn_of_collection,
)
from fastgmm._model.covariance import COVARIANCE_TYPES, Mixture
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import DataPasses, total_weight
from fastgmm._rows.batches import BatchMeter, BatchPasses, Survey
from fastgmm._start.find import find_start
from fastgmm._utils.errors import OutOfRangeError
from fastgmm._utils.threads import blas_beside_passes, effective_n_threads
from fastgmm._utils.warnings import each_topic_once
from fastgmm._utils.words import named_kind

START_ROWS = 100_000  # on which the start is found, if there are more rows than memory may hold

# Relative error of a bound, from sums of float64 over logarithms in the type of the data.
_ROUNDING = {np.dtype(np.float64): 4e-15, np.dtype(np.float32): 1e-8}

# Parameters that may differ when a fit goes on from its checkpoint.
_MAY_CHANGE = {
    *("max_iter", "tol", "n_threads", "verbose", "verbose_interval", "warm_start", "random_state"),
    *("stopping", "step_decay", "half_life", "client", "persist"),
}


# Steps of scikit-learn's mixtures that predict, predict_proba and score_samples take.
_PREDICTION_STEPS = (
    *("_estimate_log_prob", "_estimate_log_weights"),
    *("_estimate_weighted_log_prob", "_estimate_log_prob_resp"),
)


class MixtureEstimator(BaseEstimator):
    """Base of the estimators, before the scikit-learn class in the order of inheritance."""

    _sklearn_class: type  # the class that the estimator stands in for
    _steps_of_sklearn: dict[str, Callable]  # its private methods
    _doc_link_module = "fastgmm"  # the HTML representation links to the documentation of that class

    @abstractmethod
    def _updates(self, passes) -> Updates:
        """The iteration on the rows of passes; parameters that depend on the features are validated here."""

    def _weight_unit(self, largest: float) -> float:
        """What sample weights are divided by before the fit."""
        return 1.0

    @abstractmethod
    def _further_updates(self, passes) -> Updates:
        """The iteration on further rows for a fitted model: given starts do not matter, priors are those it has."""

    @abstractmethod
    def _fitted_attributes(self, parameters, updates: Updates) -> dict[str, object]:
        """Names and values of the fitted attributes that hold parameters."""

    @abstractmethod
    def _fitted_parameters(self, n_features: int, n_components: int | None = None) -> Mixture:
        """The fitted attributes as the passes use them; they may have been set by hand, so their shapes are checked."""

    def set_params(self, **params):
        """Set parameters by name.

        Parameters
        ----------
        **params : dict
            Parameters of the constructor.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If there is no such parameter; then none is set.
        """
        check_names_of_parameters(self, params)
        return super().set_params(**params)

    # Fitting ---------------------------------------------------------------------------------------------------------

    def fit(self, X, y=None, sample_weight=None):
        """Estimate the parameters by EM.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data. A C-contiguous float32 or float64 array, or memory map, is read in place. A dataset of h5py or
            zarr is read in blocks, once for each iteration, as `fit_batches` does: then the start is found on a uniform
            sample of 100,000 rows.

        y : Ignored
            Present for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. Non-negative; rows of weight 0 are left out, random draws included.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, the data or the weights are not usable, a covariance is not positive-definite, or the
            likelihood is lost to overflow. `TypeError` for sparse data.

        Warns
        -----
        ConvergenceWarning
            If the best run did not reach `tol` within `max_iter` iterations, if starts failed, or if a component has no
            rows.
        UserWarning
            If `reg_covar` hides the variance of a feature; if y looks like weights, which it ignores; if X is a dask
            collection, for which there is `fastgmm.dask`.
        """
        if not self._fit_by_own_fit_predict(X, y, sample_weight):
            warn_if_weights(y, X)
            self._fit(X, sample_weight)[1].warn(self)
        return self

    def fit_predict(self, X, y=None, sample_weight=None):
        """Estimate the parameters by EM, and return the most probable component of each row.

        The labels are those of ``fit(X).predict(X)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.

        y : Ignored
            Present for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, as in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            A label for each row, those of weight 0 included.
        """
        warn_if_weights(y, X)
        with each_topic_once():
            X, findings = self._fit(X, sample_weight)
            findings.warn(self)
            return self._for_rows(DataPasses.predict, X, (), np.int64, None, is_checked=True)

    def fit_batches(self, batches, *, start_rows=START_ROWS, callback=None, checkpoint=None):
        """Estimate the parameters from rows that come in batches, of which two at a time are in memory.

        Every iteration reads all batches once, the next one while computing on the present one. The result is that of
        `fit` on all rows, whatever the sizes of the batches, except that the start is found on a sample of the rows.

        Parameters
        ----------
        batches : iterable of array-like of shape (n_rows, n_features), or of tuples (X, sample_weight)
            Iterated over several times, and must give the same rows each time: a list, or one of the readers in
            :mod:`fastgmm.batches`. Where fetching a batch takes long, another thread does it from the third one on. The
            dtype of the first batch is that of the fit. Empty batches are skipped.

        start_rows : int, default=100_000
            Number of rows on which the start is found: a uniform sample, or all if there are no more.

        callback : callable, default=None
            Called after each batch with a :class:`fastgmm.batches.BatchProgress`, which moves a progress bar with
            ``callback=lambda progress: bar.update(progress.new_rows)``.

        checkpoint : path, default=None
            File that is written after each iteration and deleted at the end. If it is there at the beginning, the fit
            goes on where it was interrupted, to the same result; `max_iter`, `tol`, `stopping`, `n_threads` and
            `verbose` may have changed. A RandomState given as `random_state` goes on, too; NumPy's global one does not.

        Returns
        -------
        self : object
            The fitted estimator. If reading fails it is what it was before.

        Raises
        ------
        TypeError
            If the batches can be read only once.
        ValueError
            As in `fit`, naming the batch.

        Warns
        -----
        ConvergenceWarning
            If the best run did not reach `tol` within `max_iter` iterations, if starts failed, or if a component has no
            rows.
        UserWarning
            If `reg_covar` hides the variance of a feature.
        """
        with each_topic_once():
            self._fit_batches(batches, start_rows, callback, checkpoint).warn(self)
        return self

    def _fit(self, X, sample_weight) -> tuple[object, Findings]:
        """Fit and set the attributes; returned are all rows of X, validated unless they are read in blocks."""
        if is_read_in_blocks(X):
            warn_of_collection(X, in_blocks=True)
            sample_weight = check_weight_of_each_row(sample_weight, X)
            return X, self._fit_batches(ArrayBatches(X, sample_weight))
        self._check_before_fit(self._continues)
        X = check_fit_data(self, X)
        rows, weights = drop_unweighted_rows(X, check_sample_weight(sample_weight, X.shape[0]))
        check_n_rows(rows.shape[0], self.n_components)
        random_state = check_random_state(self.random_state)
        passes = self._passes_to_fit(rows, weights)
        seen = total_weight(rows, weights)
        return X, self._fit_passes(passes, lambda: self._found_start(passes, random_state), seen)

    def _fit_by_own_fit_predict(self, X, y, sample_weight) -> bool:
        """Fit by the `fit_predict` of a subclass, which scikit-learn's `fit` calls; whether there is one."""
        if not self._is_overridden("fit_predict") or hasattr(self, "_is_in_fit"):  # it may call fit itself
            return False
        self._is_in_fit = True
        try:
            self.fit_predict(X, y, **_unless_none(sample_weight=sample_weight))
        finally:
            del self._is_in_fit
        return True

    @property
    def _continues(self) -> bool:
        """Whether `fit` goes on from the fitted parameters."""
        return bool(self.warm_start) and hasattr(self, "converged_")

    def _check_before_fit(self, continues: bool) -> None:
        """What can be refused before rows are looked at."""
        check_overrides(self, self._steps_of_sklearn, self._steps_of_sklearn)
        check_parameters(self, COVARIANCE_TYPES)
        if continues:
            check_covariance_type(self)

    def _fit_batches(self, batches, start_rows=START_ROWS, callback=None, checkpoint=None) -> Findings:
        """Fit and set the attributes."""
        self._check_before_fit(self._continues)
        check_start_rows(start_rows, self.n_components)
        check_callback(callback)
        check_checkpoint(checkpoint)
        random_state = check_random_state(self.random_state)
        file = None if checkpoint is None else Checkpoint(checkpoint, random_state)
        reader = clone(self)  # is told the features, so that this estimator is changed only when all went well
        checked = CheckedBatches(reader, batches)
        meter = BatchMeter(callback, self.verbose)
        survey = Survey(checked, start_rows, random_state, meter)
        check_n_rows(survey.n_rows, self.n_components)
        check_some_weight(survey.total_weight)
        passes = BatchPasses(
            checked,
            survey,
            self._weight_unit(survey.largest_weight),
            self.n_components,
            self.covariance_type,
            effective_n_threads(self.n_threads),
            meter,
        )
        return self._fit_from_sample(passes, survey, reader, random_state, file)

    def _fit_from_sample(self, passes, survey, reader, random_state, checkpoint: Checkpoint | None) -> Findings:
        """Fit to rows that are never here all at once, from a start that is found on the passes' sample of them.

        `survey` says what tells the rows from others, `reader` was told their features.
        """
        sample = cache(passes.of_sample)

        def statistics() -> SufficientStatistics:
            draws = random_state if checkpoint is None else checkpoint.random_state
            statistics = self._found_start(sample(), draws)
            if statistics.total_weight != passes.total_weight:
                statistics.scale(passes.total_weight / statistics.total_weight)
            return statistics

        if checkpoint is not None:
            checkpoint.fingerprint = self._fingerprint(survey, passes.dtype)
            checkpoint.covariance_type = self.covariance_type
        findings = self._fit_passes(passes, statistics, survey.total_weight, checkpoint)
        self._take_features(reader)
        if checkpoint is not None:
            checkpoint.delete()
        return findings

    def _found_start(self, passes: DataPasses, random_state) -> SufficientStatistics:
        start = find_start(
            passes.X, passes.sample_weight, self.n_components, self.init_params, random_state, passes.n_threads
        )
        return start(passes, self.reg_covar)

    def _fit_passes(
        self,
        passes,
        statistics: Callable[[], SufficientStatistics],
        n_samples_seen: float,
        checkpoint: Checkpoint | None = None,
    ) -> Findings:
        """EM over the rows of passes, from what `statistics` finds; sets the attributes."""
        continues = self._continues
        ignore_overflow = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the results are checked
        blas = blas_beside_passes(passes.n_features, self.acceleration is not None)
        with ignore_overflow, blas, each_topic_once():
            updates = self._updates(passes)

            resume = None
            if checkpoint is not None:
                resume = checkpoint.load(updates, self.n_components, self.n_init, self.acceleration is not None)

            def start() -> Mixture:
                if continues:
                    return updates.held(self._fitted_parameters(passes.n_features, self.n_components))
                return updates.start(statistics)

            result = run_em(
                start,
                updates.iterate,
                n_init=1 if continues else self.n_init,
                **self._loop_options(updates),
                progress=Progress(self.verbose, self.verbose_interval),
                lower_bound=self.lower_bound_ if continues else -math.inf,
                resume=resume,
                save=None if checkpoint is None else checkpoint.save,
            )
            findings = Findings.of_fit(result, updates)
            self._set_fitted(result, self._fitted_attributes(result.parameters, updates), passes.dtype, n_samples_seen)
        return findings

    def _loop_options(self, updates: Updates) -> dict[str, Any]:
        """How `run_em` is to go on, and when to stop."""
        rounding = _ROUNDING[np.dtype(updates.dtype)]
        return {
            "max_iter": self.max_iter,
            "tol": self.tol,
            "stopping": self.stopping,
            "rounding": rounding,
            "accelerator": None if self.acceleration is None else LBFGS(updates, rounding),
        }

    def _fingerprint(self, survey, dtype) -> str:
        """Tells a fit over many rows from others, by what its result depends on."""
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in _MAY_CHANGE}
        if parameters.get("fixed") is not None:
            parameters["fixed"] = sorted(fixed_names(parameters["fixed"]))  # however they are given
        data = (survey.n_rows, survey.total_weight, survey.first_row, survey.column_sums, str(dtype))
        return joblib.hash((type(self).__name__, parameters, data))

    def _passes_to_fit(self, rows: np.ndarray, weights: np.ndarray | None) -> DataPasses:
        if weights is not None and (unit := self._weight_unit(float(weights.max()))) != 1.0:
            weights = weights / unit
        return self._passes(rows, weights, self.n_components)

    def _take_features(self, reader: MixtureEstimator) -> None:
        """Know the features that another estimator was told of."""
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(reader, name):
                setattr(self, name, getattr(reader, name))

    def _set_fitted(self, result: EMResult, attributes: dict[str, object], dtype, n_samples_seen: float) -> None:
        """Set the fitted attributes, arrays in the dtype of the data; all are checked before the first is set."""
        converted = {name: _as_fitted(name, value, dtype) for name, value in attributes.items()}
        self.__dict__.update(converted)
        self.converged_ = result.converged
        self.n_iter_ = len(result.lower_bounds)
        self.lower_bound_ = result.lower_bound
        self.lower_bounds_ = result.lower_bounds
        self.n_samples_seen_ = n_samples_seen
        self._stream: Stream | None = None

    # Learning from a stream ------------------------------------------------------------------------------------------

    def partial_fit(self, X, y=None, sample_weight=None):
        """Learn from one more batch of rows, by a step of EM whose size falls with the number of rows seen.

        The first call finds a start and fits the batch as `fit` does, with `n_init`, `max_iter`, `tol` and `stopping`,
        but without `acceleration`; components with too few rows for a covariance of their own borrow from the others.
        Every further call, or one after `fit` or `fit_batches`, is one pass over its rows: the averages from which the
        parameters follow move towards those of the batch, by a step that `step_decay` and `half_life` decide. A
        component whose rows stay away keeps its mean and covariance, while its weight falls, and takes rows again when
        they return. `fit` starts anew.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The batch. The first one has at least two rows, and one for each component; it should be as large as you can
            make it, since later ones only correct the model it leads to. Others may have any number of rows, from one.
            They take the dtype of the first.

        y : Ignored
            Present for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. If all are zero a further batch changes nothing.

        Returns
        -------
        self : object
            The estimator. After an error it is what it was before.

        Raises
        ------
        ValueError
            As in `fit`; if `n_components` or `covariance_type` has changed; if it is not known how many rows are behind
            the model, as for those that scikit-learn fitted: set `n_samples_seen_`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> gmm = GaussianMixture(n_components=2, random_state=0)
        >>> for _ in range(20):
        ...     gmm = gmm.partial_fit(np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(8, 1, (140, 2))]))
        >>> gmm.n_samples_seen_
        4000.0
        >>> np.sort(gmm.weights_).round(2)
        array([0.3, 0.7])
        """
        warn_if_weights(y, X)
        is_first = not hasattr(self, "means_")
        self._check_before_fit(continues=not is_first)
        reader = clone(self) if is_first else self  # is told the features, as in fit_batches
        X = check_fit_data(reader, X) if is_first else check_further_data(self, X, self.means_.dtype)
        rows, weights = drop_unweighted_rows(X, check_sample_weight(sample_weight, len(X), all_zero=not is_first))
        if is_first:
            check_n_rows(len(rows), self.n_components)
        elif len(rows) == 0:
            return self
        seen = total_weight(rows, weights) + (0.0 if is_first else check_rows_behind(self))
        passes = self._passes_to_fit(rows, weights)
        ignore_overflow = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the results are checked
        with ignore_overflow, blas_beside_passes(passes.n_features), each_topic_once():
            updates = self._updates(passes) if is_first else self._further_updates(passes)
            if is_first:
                parameters, stream, findings = self._learn_first(updates, seen)
            else:
                parameters, stream, findings = self._learn_more(updates, seen, total_weight(rows, weights))
            attributes = self._fitted_attributes(parameters, updates)
            bounds = [stream.log_density]
            self._set_fitted(EMResult(parameters, bounds[0], bounds, False), attributes, passes.dtype, seen)
        self.n_iter_ = stream.n_batches
        self._stream = stream
        self._take_features(reader)
        findings.warn(self)
        return self

    def _learn_first(self, updates: Updates, seen: float) -> tuple[Mixture, Stream, Findings]:
        """EM on the first batch."""
        random_state = check_random_state(self.random_state)
        passes = updates.passes

        def start():
            return updates.start(lambda: self._found_start(passes, random_state)), None

        def iterate(learned):
            n_effective = effective_rows(passes.sample_weight, len(passes.X))
            n_counted = counted_rows(seen, self.half_life)
            parameters, stream, bound = take_step(updates, learned[0], None, 1.0, n_effective, n_counted)
            return (parameters, stream), bound

        result = run_em(
            start,
            iterate,
            n_init=self.n_init,
            max_iter=max(1, self.max_iter),
            tol=self.tol,
            progress=Progress(self.verbose, self.verbose_interval),
            stopping=self.stopping,
            rounding=_ROUNDING[np.dtype(passes.dtype)],
        )
        parameters, stream = result.parameters
        # The first batch need not converge: further ones go on from it.
        findings = Findings.of_fit(replace(result, parameters=parameters, converged=True), updates)
        return parameters, stream, findings

    def _learn_more(self, updates: Updates, seen: float, weight: float) -> tuple[Mixture, Stream, Findings]:
        """One step from the model so far."""
        passes = updates.passes
        parameters = self._fitted_parameters(passes.n_features, self.n_components)
        before = getattr(self, "_stream", None)
        if before is None:
            before = Stream(updates.statistics_behind(parameters), seen - weight, 0, math.nan)
        shape = updates.covariance.scatter_shape(self.n_components, passes.n_features)
        check_statistics_fit(self, before.statistics.scatter.shape, shape)
        step = step_size(weight, seen, self.step_decay, self.half_life)
        n_effective = effective_rows(passes.sample_weight, len(passes.X))
        n_counted = counted_rows(seen, self.half_life)
        parameters, stream, _ = take_step(updates, parameters, before, step, n_effective, n_counted)
        return parameters, stream, Findings.of_batch(updates, parameters, getattr(before, "is_empty", None))

    # The fitted model ------------------------------------------------------------------------------------------------

    def predict(self, X, *, out=None):
        """Most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data. A dataset of h5py or zarr is read in blocks.

        out : array of shape (n_samples,), default=None
            Where the labels are written, block by block: an array or memory map of integers, a dataset of h5py or zarr.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Numbers of the components; `out` if that was given.
        """
        return self._for_rows(DataPasses.predict, X, (), np.int64, out)

    def predict_proba(self, X, *, out=None):
        """Responsibilities: the probability of each component, given the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data. A dataset of h5py or zarr is read in blocks.

        out : array of shape (n_samples, n_components), default=None
            Where the probabilities are written, block by block: an array or memory map, a dataset of h5py or zarr.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Probabilities in the dtype of X (or `out`); each row sums to 1. A row so far away that the density of every
            component underflows, beyond some 1e154 standard deviations (1e19 in float32), gets equal ones.
        """
        check_is_fitted(self)
        return self._for_rows(DataPasses.resp, X, (len(self.means_),), None, out)

    def score_samples(self, X, *, out=None):
        """Log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data. A dataset of h5py or zarr is read in blocks.

        out : array of shape (n_samples,), default=None
            Where the log-densities are written, block by block: an array or memory map, a dataset of h5py or zarr.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Log-densities in the dtype of X; `out` if that was given.
        """
        return self._for_rows(DataPasses.log_prob_norm, X, (), None, out)

    def score(self, X, y=None, sample_weight=None):
        """Mean log-density of a row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.

        y : Ignored
            Present for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts.

        Returns
        -------
        log_likelihood : float
            Sum of weighted log-densities, divided by the sum of the weights.
        """
        warn_if_weights(y, X)
        if self._is_overridden("score_samples"):  # scikit-learn's score calls it
            log_prob = self.score_samples(X)
            return float(np.average(log_prob, weights=check_sample_weight(sample_weight, len(log_prob))))
        log_likelihood, n = self._log_likelihood(X, sample_weight)
        return log_likelihood / n

    def sample(self, n_samples=1, *, random_state=None):
        """Random rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.

        random_state : int, RandomState instance or None, default=None
            Random numbers for this call. None: those of the estimator's own `random_state`; if that is an int, every
            call returns the same rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, in float64, those of a component together. The draws are scikit-learn's.

        y : ndarray of shape (n_samples,)
            The component of each row.
        """
        check_is_fitted(self)
        n_samples = check_n_draws(n_samples)
        check_draws_from(self, random_state)
        check_covariance_type(self)
        random = check_random_state(self.random_state if random_state is None else random_state)
        return draw_rows(self, n_samples, random)

    def _passes(self, X, sample_weight, n_components: int) -> DataPasses:
        return DataPasses(X, sample_weight, n_components, self.covariance_type, effective_n_threads(self.n_threads))

    def _for_rows(
        self,
        of_passes: Callable[[DataPasses, Mixture], np.ndarray],
        X,
        columns: tuple,
        dtype,
        out,
        is_checked: bool = False,
    ):
        """What passes find out for each row of X, of shape (n_samples, *columns); in blocks if not all is in memory.

        With `is_checked` rows in memory are those that a fit has checked."""
        check_is_fitted(self)
        in_blocks = is_read_in_blocks(X)
        if in_blocks:
            warn_of_collection(X, in_blocks=True)
        else:
            X = X if is_checked else check_predict_data(self, X)
            if out is None:
                return of_passes(*self._passes_of_fitted(X))
        shape = (X.shape[0], *columns)
        if dtype is None:
            dtype = np.float32 if X.dtype == np.float32 else np.float64
        if out is None:
            out = np.empty(shape, dtype)
        check_out(out, shape, dtype, len(self.means_) - 1)
        for rows in block_slices(X):
            block = check_block(self, X, rows) if in_blocks else X[rows]
            out[rows] = of_passes(*self._passes_of_fitted(block))
        return out

    def _passes_of_fitted(self, rows: np.ndarray, weights: np.ndarray | None = None) -> tuple[DataPasses, Mixture]:
        self._check_before_prediction()
        parameters = self._fitted_parameters(rows.shape[1])
        return self._passes(rows, weights, len(parameters.means)), parameters

    def _check_before_prediction(self) -> None:
        check_overrides(self, self._steps_of_sklearn, _PREDICTION_STEPS)
        check_covariance_type(self, ("precisions_cholesky_",))

    def _is_overridden(self, name: str) -> bool:
        """Whether a subclass, or this object, has its own version of a public method of ours."""
        return name in vars(self) or getattr(type(self), name) is not getattr(MixtureEstimator, name)

    def _log_likelihood_by_score(self, X, sample_weight) -> tuple[float, float]:
        """As `_log_likelihood`, by `score` if a subclass has changed it: scikit-learn's aic and bic call it."""
        if not (self._is_overridden("score") or self._is_overridden("score_samples")):
            return self._log_likelihood(X, sample_weight)
        weights = check_sample_weight(sample_weight, len(X))
        n = len(X) if weights is None else float(weights.sum())
        return self.score(X, **_unless_none(sample_weight=sample_weight)) * n, n

    def _log_likelihood(self, X, sample_weight) -> tuple[float, float]:
        """Weighted sum of the log-densities, and the sum of the weights."""
        check_is_fitted(self)
        if not is_read_in_blocks(X):
            X = check_predict_data(self, X)
            return self._log_likelihood_of_rows(X, check_sample_weight(sample_weight, X.shape[0]))
        warn_of_collection(X, in_blocks=True)
        sample_weight = check_weight_of_each_row(sample_weight, X)
        log_likelihood = n = 0.0
        for rows in block_slices(X):
            block = check_block(self, X, rows)
            part = self._log_likelihood_of_rows(block, check_weights_of_block(sample_weight, rows))
            log_likelihood += part[0]
            n += part[1]
        check_some_weight(n)
        return log_likelihood, n

    def _log_likelihood_of_rows(self, X: np.ndarray, weights: np.ndarray | None) -> tuple[float, float]:
        rows, weights = drop_unweighted_rows(X, weights)
        if len(rows) == 0:
            return 0.0, 0.0
        passes, parameters = self._passes_of_fitted(rows, weights)
        return passes.score_sum(parameters), passes.total_weight

    # To and from scikit-learn ----------------------------------------------------------------------------------------

    def to_sklearn(self):
        """The same fitted model as a plain scikit-learn estimator, for tools that insist on its class.

        Returns
        -------
        estimator : sklearn mixture
            Of the class that this one stands in for, with copies of all parameters that it has, and of the fitted
            attributes.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.
        """
        return copied(self, self._sklearn_class())

    @classmethod
    def from_sklearn(cls, estimator):
        """The way back: a fitted scikit-learn estimator as one of this class; parameters it lacks get their defaults.

        Parameters
        ----------
        estimator : sklearn mixture
            A fitted estimator of the class that this one stands in for.

        Returns
        -------
        estimator : object
            Of this class, with copies of all parameters and fitted attributes.

        Raises
        ------
        TypeError
            If the estimator is of another class.
        NotFittedError
            If it is not fitted.
        """
        if not isinstance(estimator, cls._sklearn_class):
            expected = f"a fitted sklearn.mixture.{cls._sklearn_class.__name__}"
            raise TypeError(f"Expected {expected}, got {named_kind(estimator)}: {_remedy(estimator, cls)}.")
        return copied(estimator, cls())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags


def _unless_none(**arguments) -> dict[str, Any]:
    """For methods of subclasses, which need not have all arguments."""
    return {name: value for name, value in arguments.items() if value is not None}


def _as_fitted(name: str, value, dtype):
    """An array in the given dtype, or a tuple of such; what is no array stays as it is."""
    if isinstance(value, tuple):
        return tuple(_as_fitted(name, part, dtype) for part in value)
    if not isinstance(value, np.ndarray | np.generic):
        return value
    value = value.astype(dtype, copy=False)
    if not np.isfinite(value).all():
        or_wider = ", or pass float64 data" if dtype == np.float32 else ""
        raise OutOfRangeError(
            f"{name} exceeds the range of {np.dtype(dtype).name}: rescale the features, and sample_weight if it is "
            f"given, to comparable, moderate ranges{or_wider}."
        )
    return value


def _remedy(estimator, cls: type[MixtureEstimator]) -> str:
    """What to do with an estimator that cannot become one of ours."""
    if estimator is cls._sklearn_class:
        return "pass what its fit returns"
    start = hasattr(estimator, "cluster_centers_") and hasattr(cls(), "means_init")
    return f"fit a {cls.__name__} to the same rows" + (", with means_init=estimator.cluster_centers_" if start else "")


def copied(source, target):
    """`target` with copies of scikit-learn's parameters and of all fitted attributes of `source`."""
    check_is_fitted(source)
    check_covariance_type(source)
    names = [name for name in target.get_params(deep=False) if hasattr(source, name)]
    target.set_params(**{name: deepcopy(getattr(source, name)) for name in names})
    fitted = {name: value for name, value in vars(source).items() if name.endswith("_") and not name.startswith("_")}
    vars(target).update(deepcopy(fitted))
    return target
