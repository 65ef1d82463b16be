"""Fits by EM: the steps of all fits, and fits to rows in memory or in batches."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import check_random_state

from fastgmm._em.checkpoint import Checkpoint, fingerprint_of, open_checkpoint
from fastgmm._em.iteration import Iteration
from fastgmm._em.lbfgs import LBFGS
from fastgmm._em.loop import run_em
from fastgmm._estimator.base import check_overrides, unless_none, while_fitting
from fastgmm._estimator.findings import Findings
from fastgmm._estimator.fitted import check_covariance_type, rounded, set_fitted
from fastgmm._estimator.inference import LABELS, Inference
from fastgmm._estimator.initial import check_start_needs_no_rows, is_array_of_rows, start_of_rows
from fastgmm._estimator.noise import check_noise, has_noise
from fastgmm._estimator.parameters import check_parameters, fixed_names
from fastgmm._estimator.reporting import reporting
from fastgmm._input.batches import CheckedBatches, check_no_weights_beside
from fastgmm._input.blocks import ArrayBatches
from fastgmm._input.containers import Reader, is_read_in_blocks
from fastgmm._input.rows import (
    allows_missing,
    check_fit_data,
    check_n_rows,
    check_sample_weight,
    check_some_weight,
    check_weight_of_each_row,
    drop_unweighted_rows,
    warn_if_weights,
    warn_of_collection,
    weight_unit,
    weights_without_empty_rows,
)
from fastgmm._model.covariance import FisherInformation, require
from fastgmm._model.protocol import Model
from fastgmm._rows.array import ArrayPasses, total_weight
from fastgmm._rows.batches import BatchPasses
from fastgmm._rows.incomplete import passes_over
from fastgmm._rows.protocol import Passes, SampledPasses
from fastgmm._rows.survey import BatchSurvey
from fastgmm._start.find import parameter_finder
from fastgmm._start.given import name_of_start
from fastgmm._utils.annotations import InitParams, IntArray, Rows
from fastgmm._utils.progress import Callback, Reporter
from fastgmm._utils.values import is_boolean, is_integer_from
from fastgmm._utils.warnings import each_topic_once

START_ROWS = 100_000  # number of sampled rows on which a fit to batches or chunks finds its start

# Parameters that may have changed when a fit continues from its checkpoint.
_MAY_CHANGE = {
    *("max_iter", "tol", "n_threads", "verbose", "verbose_interval", "warm_start", "random_state"),
    *("stopping", "step_decay", "half_life", "client", "persist"),
}


@dataclass(frozen=True, slots=True)
class DataToFit:
    """The rows to fit, wherever they are, and the state that a fit needs with them.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), dataset on disk, dask collection, reader or None
        All rows, also those without weight; None if they come in batches of the user.
    passes : Passes
        Over the rows of positive weight.
    n_samples_seen : float
        Sum of the weights as the user gave them.
    random_state : RandomState
        Random numbers for the starts.
    init_params : str, callable or ndarray
        As the estimator's, but an array has entries only for the rows of positive weight.
    reader : estimator or None
        It has the names and the number of the features. The fitted estimator takes them at the end, since it must not
        change if the fit fails. None: the fitted estimator has them already.
    checkpoint : Checkpoint or None
    """

    X: Any
    passes: Passes
    n_samples_seen: float
    random_state: np.random.RandomState
    init_params: InitParams
    reader: Any = None
    checkpoint: Checkpoint | None = None


class Fitting(Inference):
    """The steps of all fits, wherever the rows are."""

    def fit_predict(
        self,
        X: Rows | Reader,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        callback: Callback | None = None,
    ) -> IntArray:
        """Estimate the parameters, and return the most probable component of each row.

        The labels are those of ``fit(X).predict(X)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader
            The data.

        y : Ignored
            Present for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, as in `fit`.

        callback : callable, default=None
            Called with a :class:`fastgmm.progress.Progress`, as in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
            Number of the component of each row, also of rows of weight 0; -1 for the background of a mixture with
            noise.
        """
        warn_if_weights(y, X)
        with each_topic_once():
            with self._reporting(callback, X, y, sample_weight) as progress:
                data = self._data_to_fit(X, sample_weight, progress)
                findings = self._fit_data(data)
            findings.warn(self)
            return self._for_rows(LABELS, data.X, None, is_checked=True)

    def _fit_by_own_fit_predict(self, X, y, sample_weight, callback) -> bool:
        """Fit by the `fit_predict` of a user's subclass, as scikit-learn's `fit` does. Returns whether there is one."""
        if not self._is_overridden(Fitting.fit_predict) or hasattr(self, "_is_in_fit"):  # it may call `fit` itself
            return False
        self._is_in_fit = True
        try:
            self.fit_predict(X, y, **unless_none(sample_weight=sample_weight, callback=callback))
        finally:
            del self._is_in_fit
        return True

    def _reporting(self, callback, X=None, y=None, sample_weight=None):
        """A context with the reporter of a fit."""
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        return reporting(self, callback, self.verbose_interval, {"X": X, "y": y, "metadata": metadata})

    @property
    def _continues(self) -> bool:
        """Whether `fit` starts from the fitted parameters."""
        return bool(self.warm_start) and hasattr(self, "converged_")

    @property
    def _n_starts(self) -> int:
        """Number of different starts."""
        return 1 if is_array_of_rows(self.init_params) else self.n_init

    def _check_before_fit(self, continues: bool) -> None:
        """Raise the errors that do not depend on the rows."""
        check_overrides(self)
        check_parameters(self)
        structure = self._structure
        if self.acceleration is not None:
            require(structure, FisherInformation, f"acceleration={self.acceleration!r}")
        check_noise(self, continues)
        if continues:
            check_covariance_type(self)

    @abstractmethod
    def _data_to_fit(self, X, sample_weight, progress: Reporter) -> DataToFit:
        """The rows of X and their weights, checked. Rows on disk are checked when they are read."""

    def _check_start_on_sample(self, start_rows: int) -> None:
        """Raise the errors of a start that is found on a sample of so many rows."""
        check_start_rows(start_rows, self.n_components)
        if not self._continues:
            check_start_needs_no_rows(self.init_params)

    def _sampled_data(self, X, passes: SampledPasses, survey, random_state, reader, checkpoint) -> DataToFit:
        """The data to fit if the rows are never in memory at once. The checkpoint gets its fingerprint."""
        if checkpoint is not None:
            checkpoint.fingerprint = self._fingerprint(survey, passes.dtype)
        return DataToFit(X, passes, survey.total_weight, random_state, self.init_params, reader, checkpoint)

    def _fit_data(self, data: DataToFit) -> Findings:
        """Run EM and set the fitted attributes."""
        passes, checkpoint = data.passes, data.checkpoint
        with while_fitting(passes.n_features, self.acceleration):
            model = self._model(passes)
            iteration = Iteration(model, passes)
            resume, random_state = None, data.random_state
            if checkpoint is not None:
                resume = checkpoint.load(model, self._n_starts, self.acceleration is not None)
                random_state = checkpoint.random_state
            start = parameter_finder(model, passes, data.init_params, self.reg_covar, random_state)
            n_init, lower_bound = self._n_starts, -math.inf
            if self._continues:
                parameters = self._fitted_parameters(passes.n_features, self.n_components)
                start, n_init, lower_bound = partial(model.with_fixed, parameters), 1, self.lower_bound_
            if passes.progress.is_on:
                passes.progress.attributes = partial(self._attributes_so_far, passes, model)
            result = run_em(
                start,
                iteration.iterate,
                n_init=n_init,
                max_iter=self.max_iter,
                tol=self.tol,
                progress=passes.progress,
                stopping=self.stopping,
                rounding=iteration.rounding,
                accelerator=None if self.acceleration is None else LBFGS(iteration),
                lower_bound=lower_bound,
                resume=resume,
                save=None if checkpoint is None else checkpoint.save,
            )
            findings = Findings.of_fit(result, iteration)
            attributes = self._fitted_attributes(result.parameters, model)
            set_fitted(self, attributes, result, passes.dtype, data.n_samples_seen, data.reader)
        if checkpoint is not None and not result.stopped:
            checkpoint.delete()
        return findings

    def _attributes_so_far(self, passes: Passes, model: Model) -> dict[str, Any]:
        """The fitted attributes that belong to the last iteration."""
        attributes = self._fitted_attributes(passes.progress.parameters, model)
        return {**rounded(attributes, passes.dtype), "n_features_in_": passes.n_features, "converged_": False}

    def _weight_unit(self, largest: float) -> float:
        """The number by which sample weights are divided before a fit."""
        return 1.0 if self._weights_count_rows else weight_unit(largest)

    def _passes_to_fit(self, rows: np.ndarray, weights: np.ndarray | None, progress: Reporter) -> ArrayPasses:
        """Passes over rows of positive weight."""
        if weights is not None and (unit := self._weight_unit(float(weights.max()))) != 1.0:
            weights = weights / unit
        shape, may_miss_values = (self.n_components, self._structure), allows_missing(self)
        return passes_over(rows, weights, *shape, self.n_threads, progress=progress, may_miss_values=may_miss_values)

    def _fingerprint(self, survey, dtype) -> str:
        """A hash of the parameters and data on which the result of a fit depends."""
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in _MAY_CHANGE}
        if parameters.get("fixed") is not None:
            parameters["fixed"] = sorted(fixed_names(parameters["fixed"]))  # the order does not matter
        for name in ("missing", "noise", "prior"):  # checkpoints of older versions do not have these
            if parameters.get(name) in ("raise", False, None):
                parameters.pop(name, None)
        parameters["init_params"] = name_of_start(self.init_params)  # a function may have no pickle
        data = (survey.n_rows, survey.total_weight, survey.first_row, survey.column_sums, str(dtype))
        return fingerprint_of((type(self).__name__, parameters, data))


class LocalFitting(Fitting):
    """Fits to rows that this process reads, all at once or a batch at a time."""

    def fit(
        self,
        X: Rows | Reader,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        callback: Callback | None = None,
    ) -> Self:
        """Estimate the parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader
            The data. A C-contiguous float32 or float64 array, in memory or memory-mapped, is read in place. A dataset
            of h5py or zarr, or a reader of :mod:`fastgmm.batches`, is read in blocks, once for each iteration. The
            start is then found on a uniform sample of 100,000 rows, as in `fit_batches`.

        y : Ignored
            Present for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, at least 0. Rows of weight 0 are left out, also in random draws. A reader brings
            the weights itself.

        callback : callable, default=None
            Called with a :class:`fastgmm.progress.Progress` after each iteration of k-means and of EM, and at the other
            events that this class lists. For a progress bar, pass a :class:`fastgmm.progress.ProgressBar`. If the
            callback raises StopIteration, the fit ends: the last complete iteration is the result, and `converged_` is
            False.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, the data or the weights are not usable, a covariance is not positive-definite, or the
            likelihood overflows.
        TypeError
            If the data are sparse.
        RuntimeError
            If `callback` stops the fit before there is a model.

        Warns
        -----
        ConvergenceWarning
            If the best run did not reach `tol` within `max_iter` iterations, if starts failed, or if a component has no
            rows.
        UserWarning
            If `reg_covar` is far above the variance of a feature, if y looks like weights, or if X is a dask
            collection, for which there is :mod:`fastgmm.dask`.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> gmm = GaussianMixture(n_components=2, random_state=0)
        >>> gmm = gmm.fit([[0, 0], [1, 1], [8, 8], [9, 9]], sample_weight=[3, 1, 2, 2])
        >>> gmm.weights_
        array([0.5, 0.5])
        """
        if not self._fit_by_own_fit_predict(X, y, sample_weight, callback):
            warn_if_weights(y, X)
            with self._reporting(callback, X, y, sample_weight) as progress:
                findings = self._fit_data(self._data_to_fit(X, sample_weight, progress))
            findings.warn(self)
        return self

    def fit_batches(
        self,
        batches: Iterable[Any],
        *,
        start_rows: int = START_ROWS,
        callback: Callback | None = None,
        checkpoint: str | PathLike[str] | None = None,
    ) -> Self:
        """Estimate the parameters from rows that come in batches. Two batches at a time are in memory.

        Every iteration reads all batches once. It reads the next batch while it computes on the present one. The result
        is that of `fit` on all rows, for any sizes of the batches, except that the start is found on a sample.

        Parameters
        ----------
        batches : iterable of array-like of shape (n_rows, n_features), or of tuples (X, sample_weight)
            A list, a reader of :mod:`fastgmm.batches`, or another object to iterate over several times. It must give
            the same rows each time. The fit has the dtype of the first batch. Empty batches are skipped. If fetching a
            batch takes long, another thread does it from the third batch on.

        start_rows : int, default=100_000
            Size of the uniform sample on which the start is found. All rows if there are fewer.

        callback : callable, default=None
            Called with a :class:`fastgmm.progress.Progress`, as in `fit`, and also after each batch.

        checkpoint : path, default=None
            File that is written after each iteration. If it exists at the beginning, the fit goes on where it was
            interrupted, to the same result up to rounding. You may change `max_iter`, `tol`, `stopping`, `n_threads`
            and `verbose` before that. A RandomState given as `random_state` goes on, too; the global one of NumPy does
            not. The file is deleted at the end of the fit, unless a callback stops it.

        Returns
        -------
        self : object
            The fitted estimator. If reading fails, it stays as it was.

        Raises
        ------
        TypeError
            If the batches can be read only once.
        ValueError
            As in `fit`. The message names the batch.

        Warns
        -----
        ConvergenceWarning
            If the best run did not reach `tol` within `max_iter` iterations, if starts failed, or if a component has no
            rows.
        UserWarning
            If `reg_covar` is far above the variance of a feature.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> centers = np.repeat([0, 8], [30, 70])[:, np.newaxis]
        >>> batches = [rng.normal(centers, 1, (100, 2)) for _ in range(5)]
        >>> gmm = GaussianMixture(n_components=2, random_state=0).fit_batches(batches)
        >>> np.sort(gmm.weights_).round(2)
        array([0.3, 0.7])
        """
        with each_topic_once():
            with self._reporting(callback) as progress:
                findings = self._fit_data(self._batches_to_fit(batches, progress, start_rows, checkpoint))
            findings.warn(self)
        return self

    def _data_to_fit(self, X, sample_weight, progress):
        if isinstance(X, Reader):
            check_no_weights_beside(X, sample_weight)
            return replace(self._batches_to_fit(X, progress), X=X)
        if is_read_in_blocks(X):
            warn_of_collection(X, in_blocks=True)
            sample_weight = check_weight_of_each_row(sample_weight, X)
            return replace(self._batches_to_fit(ArrayBatches(X, sample_weight), progress), X=X)
        self._check_before_fit(self._continues)
        X = check_fit_data(self, X)
        sample_weight = check_sample_weight(sample_weight, X.shape[0])
        if allows_missing(self):
            sample_weight = weights_without_empty_rows(X, sample_weight)
        rows, weights = drop_unweighted_rows(X, sample_weight)
        check_n_rows(rows.shape[0], self.n_components)
        random_state, start = check_random_state(self.random_state), self.init_params
        if not self._continues:
            start = start_of_rows(start, self.n_components, len(X), sample_weight, has_noise(self))
        passes = self._passes_to_fit(rows, weights, progress)
        return DataToFit(X, passes, total_weight(rows, weights), random_state, start)

    def _batches_to_fit(self, batches, progress: Reporter, start_rows: int = START_ROWS, checkpoint=None) -> DataToFit:
        self._check_before_fit(self._continues)
        self._check_start_on_sample(start_rows)
        random_state = check_random_state(self.random_state)
        checkpoint = open_checkpoint(checkpoint, random_state)
        reader = clone(self)
        checked = CheckedBatches(reader, batches)
        survey = BatchSurvey(checked, start_rows, random_state, progress)
        check_n_rows(survey.n_rows, self.n_components)
        check_some_weight(survey.total_weight)
        unit = self._weight_unit(survey.largest_weight)
        passes = BatchPasses(checked, survey, unit, self.n_components, self._structure, self.n_threads, progress)
        return self._sampled_data(None, passes, survey, random_state, reader, checkpoint)


def check_start_rows(start_rows, n_components: int) -> None:
    """Raise ValueError unless `start_rows` is a valid number of rows."""
    if is_boolean(start_rows) or not is_integer_from(max(2, n_components))(start_rows):
        raise ValueError(
            f"start_rows must be an int >= 2 and >= n_components={n_components}, got {start_rows!r}: pass the "
            "number of rows on which the start is found."
        )
