"""What all mixture estimators share: fit, predict, score, and the way to scikit-learn and back.

`MixtureEstimator` is mixed into a scikit-learn mixture. A subclass says what an iteration is (`_updates`), which
attributes a fitted model has (`_fitted_attributes`), and how parameters are read back from them (`_fitted_parameters`).
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable
from copy import deepcopy

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm._batches import BatchMeter, BatchPasses, Survey
from fastgmm._checkpoint import Checkpoint
from fastgmm._covariance import COVARIANCE_TYPES
from fastgmm._em import EMResult, Progress, run_em
from fastgmm._initialization import find_start
from fastgmm._passes import DataPasses, Mixture
from fastgmm._statistics import SufficientStatistics
from fastgmm._threads import blas_beside_passes, effective_n_threads
from fastgmm._updates import Updates
from fastgmm._validation import (
    CheckedBatches,
    check_fit_data,
    check_n_rows,
    check_parameters,
    check_predict_data,
    check_sample_weight,
    check_start_rows,
    drop_unweighted_rows,
)


class MixtureEstimator(BaseEstimator):
    """Base of the estimators, before the scikit-learn class in the order of inheritance."""

    _sklearn_class: type  # the class that the estimator stands in for
    _doc_link_module = "fastgmm"  # the HTML representation links to the documentation of that class

    @abstractmethod
    def _updates(self, passes) -> Updates:
        """The iteration on the rows of passes; parameters that depend on the features are validated here."""

    def _weight_unit(self, largest: float) -> float:
        """What sample weights are divided by before the fit."""
        return 1.0

    @abstractmethod
    def _fitted_attributes(self, parameters, updates: Updates) -> dict[str, object]:
        """Names and values of the fitted attributes that hold parameters."""

    @abstractmethod
    def _fitted_parameters(self, n_features: int, n_components: int | None = None) -> Mixture:
        """The fitted attributes as the passes use them; they may have been set by hand, so their shapes are checked."""

    # Fitting ---------------------------------------------------------------------------------------------------------

    def fit(self, X, y=None, sample_weight=None):
        """Estimate the parameters by EM.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data. A C-contiguous float32 or float64 array, or memory map, is read in place.

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
            If the best run did not reach `tol` within `max_iter` iterations.
        """
        self._fit(X, sample_weight)
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
        X = self._fit(X, sample_weight)
        return self._passes(X, None, self.n_components).predict(self._fitted_parameters(X.shape[1]))

    def fit_batches(self, batches, *, start_rows=100_000, callback=None, checkpoint=None):
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
            goes on where it was interrupted, to the same result; `max_iter`, `tol`, `n_threads` and `verbose` may have
            changed.

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
            If the best run did not reach `tol` within `max_iter` iterations.
        """
        check_parameters(self, COVARIANCE_TYPES)
        check_start_rows(start_rows, self.n_components)
        random_state = check_random_state(self.random_state)
        reader = clone(self)  # is told the features, so that this estimator is changed only when all went well
        checked = CheckedBatches(reader, batches)
        survey = Survey(checked, start_rows, random_state)
        check_n_rows(survey.n_rows, self.n_components)
        passes = BatchPasses(
            checked,
            survey,
            self._weight_unit(survey.largest_weight),
            self.n_components,
            self.covariance_type,
            effective_n_threads(self.n_threads),
            BatchMeter(survey.n_rows, callback),
        )
        sample = passes.of_sample()

        def statistics() -> SufficientStatistics:
            statistics = self._found_start(sample, random_state)
            if statistics.total_weight != passes.total_weight:
                statistics.scale(passes.total_weight / statistics.total_weight)
            return statistics

        file = None if checkpoint is None else Checkpoint(checkpoint, self._fingerprint(survey), random_state)
        result = self._fit_passes(passes, statistics, file)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(reader, name):
                setattr(self, name, getattr(reader, name))
        if file is not None:
            file.delete()
        self._warn_unless_converged(result, stacklevel=3)
        return self

    def _fit(self, X, sample_weight) -> np.ndarray:
        """Fit, set the attributes, and return all rows of X as validated."""
        check_parameters(self, COVARIANCE_TYPES)
        X = check_fit_data(self, X)
        rows, weights = drop_unweighted_rows(X, check_sample_weight(sample_weight, X.shape[0]))
        check_n_rows(rows.shape[0], self.n_components)
        random_state = check_random_state(self.random_state)
        passes = self._passes_to_fit(rows, weights)
        result = self._fit_passes(passes, lambda: self._found_start(passes, random_state))
        self._warn_unless_converged(result, stacklevel=4)
        return X

    def _found_start(self, passes: DataPasses, random_state) -> SufficientStatistics:
        start = find_start(
            passes.X, passes.sample_weight, self.n_components, self.init_params, random_state, passes.n_threads
        )
        return start(passes, self.reg_covar)

    def _fit_passes(
        self, passes, statistics: Callable[[], SufficientStatistics], checkpoint: Checkpoint | None = None
    ) -> EMResult:
        """EM over the rows of passes, from what `statistics` finds; sets the attributes."""
        continues = self.warm_start and hasattr(self, "converged_")
        ignore_overflow = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the results are checked
        with ignore_overflow, blas_beside_passes(passes.n_features):
            updates = self._updates(passes)

            def start() -> Mixture:
                if continues:
                    return self._fitted_parameters(passes.n_features, self.n_components)
                return updates.start(statistics)

            result = run_em(
                start,
                updates.iterate,
                n_init=1 if continues else self.n_init,
                max_iter=self.max_iter,
                tol=self.tol,
                progress=Progress(self.verbose, self.verbose_interval),
                lower_bound=self.lower_bound_ if continues else -math.inf,
                resume=None if checkpoint is None else checkpoint.load(updates.restored),
                save=None if checkpoint is None else checkpoint.save,
            )
            self._set_fitted(result, self._fitted_attributes(result.parameters, updates), passes.dtype)
        return result

    def _fingerprint(self, survey: Survey) -> str:
        """Tells a fit over batches from others, by what its result depends on."""
        parameters = self.get_params(deep=False)
        for name in ("max_iter", "tol", "n_threads", "verbose", "verbose_interval", "warm_start", "random_state"):
            del parameters[name]
        data = (survey.n_rows, survey.total_weight, survey.first_row, survey.column_sums, str(survey.sample.dtype))
        return joblib.hash((type(self).__name__, parameters, data))

    def _warn_unless_converged(self, result: EMResult, stacklevel: int) -> None:
        if not result.converged and self.max_iter > 0:
            warnings.warn(
                f"The best run did not converge in max_iter={self.max_iter} iterations: its last gain was not below "
                f"tol={self.tol}. Increase max_iter or tol, try other init_params, or check for degenerate data.",
                ConvergenceWarning,
                stacklevel=stacklevel,
            )

    def _passes_to_fit(self, rows: np.ndarray, weights: np.ndarray | None) -> DataPasses:
        if weights is not None and (unit := self._weight_unit(float(weights.max()))) != 1.0:
            weights = weights / unit
        return self._passes(rows, weights, self.n_components)

    def _set_fitted(self, result: EMResult, attributes: dict[str, object], dtype) -> None:
        """Set the fitted attributes, arrays in the dtype of the data; all are checked before the first is set."""
        converted = {name: _as_fitted(name, value, dtype) for name, value in attributes.items()}
        self.__dict__.update(converted)
        self.converged_ = result.converged
        self.n_iter_ = len(result.lower_bounds)
        self.lower_bound_ = result.lower_bound
        self.lower_bounds_ = result.lower_bounds

    # The fitted model ------------------------------------------------------------------------------------------------

    def predict(self, X):
        """Most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Numbers of the components.
        """
        passes, parameters = self._passes_of_fitted(X)
        return passes.predict(parameters)

    def predict_proba(self, X):
        """Responsibilities: the probability of each component, given the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Probabilities in the dtype of X; each row sums to 1. A row so far away that the density of every component
            underflows, beyond some 1e154 standard deviations (1e19 in float32), gets equal ones.
        """
        passes, parameters = self._passes_of_fitted(X)
        return passes.resp(parameters)

    def score_samples(self, X):
        """Log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Log-densities in the dtype of X.
        """
        passes, parameters = self._passes_of_fitted(X)
        return passes.log_prob_norm(parameters)

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
        log_likelihood, n = self._log_likelihood(X, sample_weight)
        return log_likelihood / n

    def _passes(self, X, sample_weight, n_components: int) -> DataPasses:
        return DataPasses(X, sample_weight, n_components, self.covariance_type, effective_n_threads(self.n_threads))

    def _passes_of_fitted(self, X) -> tuple[DataPasses, Mixture]:
        check_is_fitted(self)
        X = check_predict_data(self, X)
        parameters = self._fitted_parameters(X.shape[1])
        return self._passes(X, None, len(parameters.means)), parameters

    def _log_likelihood(self, X, sample_weight) -> tuple[float, float]:
        """Weighted sum of the log-densities, and the sum of the weights."""
        check_is_fitted(self)
        X = check_predict_data(self, X)
        rows, weights = drop_unweighted_rows(X, check_sample_weight(sample_weight, X.shape[0]))
        parameters = self._fitted_parameters(X.shape[1])
        passes = self._passes(rows, weights, len(parameters.means))
        return passes.score_sum(parameters), passes.total_weight

    # To and from scikit-learn ----------------------------------------------------------------------------------------

    def to_sklearn(self):
        """The same fitted model as a plain scikit-learn estimator, for tools that insist on its class.

        Returns
        -------
        estimator : sklearn mixture
            Of the class that this one stands in for, with copies of all parameters (except `n_threads`) and fitted
            attributes.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.
        """
        return _copied(self, self._sklearn_class())

    @classmethod
    def from_sklearn(cls, estimator):
        """The way back: a fitted scikit-learn estimator as one of this class, with ``n_threads=None``.

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
            raise TypeError(
                f"Expected a fitted sklearn.mixture.{cls._sklearn_class.__name__}, got {type(estimator).__name__}."
            )
        return _copied(estimator, cls())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags


def _as_fitted(name: str, value, dtype):
    """An array in the given dtype, or a tuple of such; what is no array stays as it is."""
    if isinstance(value, tuple):
        return tuple(_as_fitted(name, part, dtype) for part in value)
    if not isinstance(value, np.ndarray | np.generic):
        return value
    value = value.astype(dtype, copy=False)
    if not np.isfinite(value).all():
        raise ValueError(
            f"{name} exceeds the range of {np.dtype(dtype).name}: rescale the features to comparable, moderate "
            "ranges, or pass float64 data."
        )
    return value


def _copied(source, target):
    """`target` with copies of scikit-learn's parameters and of all fitted attributes of `source`."""
    check_is_fitted(source)
    parameters = source.get_params(deep=False)
    target.set_params(**{name: deepcopy(value) for name, value in parameters.items() if hasattr(target, name)})
    fitted = {name: value for name, value in vars(source).items() if name.endswith("_") and not name.startswith("_")}
    vars(target).update(deepcopy(fitted))
    return target
