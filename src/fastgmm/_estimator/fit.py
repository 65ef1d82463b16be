"""Fits by EM: to rows in memory, to rows that come in batches, and what is common to them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from fastgmm._em.checkpoint import Checkpoint
from fastgmm._em.iteration import Iteration
from fastgmm._em.lbfgs import LBFGS
from fastgmm._em.loop import EMResult, Progress, run_em
from fastgmm._em.stepwise import Stream
from fastgmm._estimator.base import check_overrides, unless_none
from fastgmm._estimator.findings import Findings
from fastgmm._estimator.fitted import check_covariance_type
from fastgmm._estimator.inference import Inference
from fastgmm._estimator.parameters import check_parameters, fixed_names
from fastgmm._input.batches import CheckedBatches
from fastgmm._input.blocks import ArrayBatches
from fastgmm._input.containers import is_read_in_blocks
from fastgmm._input.rows import (
    check_fit_data,
    check_n_rows,
    check_sample_weight,
    check_some_weight,
    check_weight_of_each_row,
    drop_unweighted_rows,
    warn_if_weights,
    warn_of_collection,
)
from fastgmm._model.covariance import COVARIANCE_TYPES, FisherInformation, require
from fastgmm._model.mixture import Parameters
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import ArrayPasses, total_weight
from fastgmm._rows.batches import BatchPasses
from fastgmm._rows.protocol import Passes, SampledPasses
from fastgmm._rows.reading import BatchMeter
from fastgmm._rows.survey import Survey
from fastgmm._skipping.port import labels_of
from fastgmm._start.find import find_start
from fastgmm._utils.blas import blas_beside_passes
from fastgmm._utils.errors import OutOfRangeError
from fastgmm._utils.values import is_boolean, is_integer_from
from fastgmm._utils.warnings import each_topic_once

START_ROWS = 100_000  # on which the start is found, if there are more rows than memory may hold

# Relative error of a bound, from sums of float64 over logarithms in the type of the data.
ROUNDING = {np.dtype(np.float64): 4e-15, np.dtype(np.float32): 1e-8}

# Parameters that may differ when a fit goes on from its checkpoint.
_MAY_CHANGE = {
    *("max_iter", "tol", "n_threads", "verbose", "verbose_interval", "warm_start", "random_state"),
    *("stopping", "step_decay", "half_life", "client", "persist"),
}


class Fitting(Inference):
    """What fits have in common, wherever their rows are."""

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
            return self._for_rows(labels_of, X, (), np.int64, None, is_checked=True)

    def _fit_by_own_fit_predict(self, X, y, sample_weight) -> bool:
        """Fit by the `fit_predict` of a subclass, which scikit-learn's `fit` calls; whether there is one."""
        if not self._is_overridden(Fitting.fit_predict) or hasattr(self, "_is_in_fit"):  # it may call fit itself
            return False
        self._is_in_fit = True
        try:
            self.fit_predict(X, y, **unless_none(sample_weight=sample_weight))
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
        self._check_structure()
        if self.acceleration is not None:
            require(self._structure, FisherInformation, f"acceleration={self.acceleration!r}")
        if continues:
            check_covariance_type(self)

    def _fit_from_sample(
        self, passes: SampledPasses, survey, reader, random_state, checkpoint: Checkpoint | None
    ) -> Findings:
        """Fit to rows that are never here all at once, from a start that is found on the passes' sample of them.

        `survey` says what tells the rows from others, `reader` was told their features.
        """

        @cache
        def of_sample() -> ArrayPasses:
            rows, weights, n_threads = passes.sample()
            return ArrayPasses(rows, weights, self.n_components, self._structure, n_threads)

        def statistics() -> SufficientStatistics:
            draws = random_state if checkpoint is None else checkpoint.random_state
            statistics = self._found_start(of_sample(), draws)
            if statistics.total_weight != passes.total_weight:
                statistics.scale(passes.total_weight / statistics.total_weight)
                statistics.total_weight = passes.total_weight  # without the rounding of the quotient
            return statistics

        if checkpoint is not None:
            checkpoint.fingerprint = self._fingerprint(survey, passes.dtype)
            checkpoint.covariance_type = self.covariance_type
        findings = self._fit_passes(passes, statistics, survey.total_weight, checkpoint)
        self._take_features(reader)
        if checkpoint is not None:
            checkpoint.delete()
        return findings

    def _found_start(self, passes: ArrayPasses, random_state) -> SufficientStatistics:
        start = find_start(
            passes.X, passes.sample_weight, self.n_components, self.init_params, random_state, passes.n_threads
        )
        return start(passes, self.reg_covar)

    def _fit_passes(
        self,
        passes: Passes,
        statistics: Callable[[], SufficientStatistics],
        n_samples_seen: float,
        checkpoint: Checkpoint | None = None,
    ) -> Findings:
        """EM over the rows of passes, from what `statistics` finds; sets the attributes."""
        continues = self._continues
        ignore_overflow = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the results are checked
        blas = blas_beside_passes(passes.n_features, self.acceleration is not None)
        with ignore_overflow, blas, each_topic_once():
            model = self._model(passes)
            iteration = Iteration(model, passes)

            resume = None
            if checkpoint is not None:
                resume = checkpoint.load(model, self.n_init, self.acceleration is not None)

            def start() -> Parameters:
                if continues:
                    return model.held(self._fitted_parameters(passes.n_features, self.n_components))
                return model.start(statistics)

            result = run_em(
                start,
                iteration.iterate,
                n_init=1 if continues else self.n_init,
                **self._loop_options(iteration),
                progress=Progress(self.verbose, self.verbose_interval),
                lower_bound=self.lower_bound_ if continues else -math.inf,
                resume=resume,
                save=None if checkpoint is None else checkpoint.save,
            )
            findings = Findings.of_fit(result, iteration)
            self._set_fitted(result, self._fitted_attributes(result.parameters, model), passes.dtype, n_samples_seen)
        return findings

    def _loop_options(self, iteration: Iteration) -> dict[str, Any]:
        """How `run_em` is to go on, and when to stop."""
        rounding = ROUNDING[np.dtype(iteration.model.dtype)]
        return {
            "max_iter": self.max_iter,
            "tol": self.tol,
            "stopping": self.stopping,
            "rounding": rounding,
            "accelerator": None if self.acceleration is None else LBFGS(iteration, rounding),
        }

    def _fingerprint(self, survey, dtype) -> str:
        """Tells a fit over many rows from others, by what its result depends on."""
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in _MAY_CHANGE}
        if parameters.get("fixed") is not None:
            parameters["fixed"] = sorted(fixed_names(parameters["fixed"]))  # however they are given
        data = (survey.n_rows, survey.total_weight, survey.first_row, survey.column_sums, str(dtype))
        return joblib.hash((type(self).__name__, parameters, data))

    def _take_features(self, reader) -> None:
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


class InMemoryFitting(Fitting):
    """Fits to rows that this process reads: all at once, or a batch at a time."""

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
            self._structure,
            self.n_threads,
            meter,
        )
        return self._fit_from_sample(passes, survey, reader, random_state, file)


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


def check_start_rows(start_rows, n_components: int) -> None:
    """The sample that a start is found on."""
    if is_boolean(start_rows) or not is_integer_from(max(2, n_components))(start_rows):
        raise ValueError(
            f"start_rows must be an int >= 2 and >= n_components={n_components}, got {start_rows!r}: pass how many "
            "rows the start is to be found on."
        )


def check_callback(callback) -> None:
    """What is called after each batch."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable or None, got {callback!r}: pass a function of a BatchProgress.")


def check_checkpoint(checkpoint) -> None:
    """A file that can be written, which a long fit must know before its first iteration is over."""
    if checkpoint is None:
        return
    if not isinstance(checkpoint, str | PathLike):
        raise TypeError(f"checkpoint must be the path of a file or None, got {checkpoint!r}: pass 'fit.npz'.")
    if Path(checkpoint).is_dir():
        raise IsADirectoryError(f"checkpoint={str(checkpoint)!r} is a folder: pass the path of a file in it.")
    if not Path(checkpoint).parent.is_dir():
        raise FileNotFoundError(f"checkpoint={str(checkpoint)!r} is in a folder that does not exist: make it first.")
