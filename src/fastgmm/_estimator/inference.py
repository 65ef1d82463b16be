"""Inference with a fitted mixture: labels, responsibilities, log-densities and random rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm._estimator.base import MixtureEstimator, check_overrides, unless_none
from fastgmm._estimator.fitted import check_covariance_type
from fastgmm._estimator.sampling import check_n_draws, check_random_state_of_sample, draw_rows
from fastgmm._estimator.summary import Evaluation, Summary
from fastgmm._input.containers import Reader, files_of, is_read_in_blocks
from fastgmm._input.fitted import blocks_of_rows, weighted_blocks
from fastgmm._input.rows import (
    allows_missing,
    check_predict_data,
    check_sample_weight,
    check_some_weight,
    drop_unweighted_rows,
    warn_if_weights,
    weights_without_empty_rows,
)
from fastgmm._model.components import Components
from fastgmm._output.results import open_results
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.reading import read_ahead
from fastgmm._skipping.policy import labels_of, log_densities_of, log_likelihood_of
from fastgmm._utils.annotations import FloatArray, IntArray, RandomState, Rows

Out = TypeVar("Out")

# Private methods that scikit-learn's predict, predict_proba and score_samples call.
_PREDICTION_STEPS = (
    *("_estimate_log_prob", "_estimate_log_weights"),
    *("_estimate_weighted_log_prob", "_estimate_log_prob_resp"),
)


def _responsibilities_of(passes: ArrayPasses, components: Components) -> np.ndarray:
    return passes.resp(components)


def _criterion_sums_of(passes: ArrayPasses, components: Components) -> np.ndarray:
    return passes.criterion_sums(components)


class Quantity(NamedTuple):
    """What a fitted mixture computes for each row."""

    name: str  # of the columns of a table
    of_passes: Callable[[ArrayPasses, Components], np.ndarray]
    dtype: Any = None  # None: that of the rows
    per_component: bool = False  # whether there is a number for each component


LABELS = Quantity("component", labels_of, np.int64)
RESPONSIBILITIES = Quantity("probability", _responsibilities_of, per_component=True)
LOG_DENSITIES = Quantity("log_density", log_densities_of)


class Inference(MixtureEstimator):
    """The methods of a fitted mixture. They read rows in memory, on disk or of a reader."""

    @overload
    def predict(self, X: Rows | Reader, *, out: None = None) -> IntArray: ...

    @overload
    def predict(self, X: Rows | Reader, *, out: Out) -> Out: ...

    def predict(self, X, *, out=None):
        """Most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader
            The data. A dataset of h5py or zarr is read in blocks. A reader of :mod:`fastgmm.batches` is read batch by
            batch.

        out : array of shape (n_samples,), or path, default=None
            Where to write the labels, block by block: an array or memory map of integers, a dataset of h5py or zarr, or
            the path of a file that ends in .npy, .parquet or .csv. In a table the column is called "component", after
            the columns that the reader keeps. A file is written as a whole or not at all.

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
            Number of the component of each row, from 0; -1 for the background of a mixture with noise. If `out` is
            given, it is returned.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If X holds anything other than finite numbers, or other features than the fit had.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> X = [[0, 0], [1, 1], [8, 8], [9, 9]]
        >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> gmm.predict([[0, 1], [8, 9], [9, 8]])
        array([1, 0, 0])
        """
        return self._for_rows(LABELS, X, out)

    @overload
    def predict_proba(self, X: Rows | Reader, *, out: None = None) -> FloatArray: ...

    @overload
    def predict_proba(self, X: Rows | Reader, *, out: Out) -> Out: ...

    def predict_proba(self, X, *, out=None):
        """Probability of each component for each row: the responsibilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader
            The data. A dataset of h5py or zarr is read in blocks. A reader of :mod:`fastgmm.batches` is read batch by
            batch.

        out : array of shape (n_samples, n_components), or path, default=None
            Where to write the probabilities, as in `predict`. In a table the columns are called "probability_0",
            "probability_1" and so on.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Probabilities in the dtype of X. Each row sums to 1; in a mixture with noise to less, and the rest is the
            probability of the background. If `out` is given, it is returned. A row more than some
            1e154 standard deviations away (1e19 in float32) has density 0 under every component, and gets equal
            probabilities.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If X holds anything other than finite numbers, or other features than the fit had.
        """
        return self._for_rows(RESPONSIBILITIES, X, out)

    @overload
    def score_samples(self, X: Rows | Reader, *, out: None = None) -> FloatArray: ...

    @overload
    def score_samples(self, X: Rows | Reader, *, out: Out) -> Out: ...

    def score_samples(self, X, *, out=None):
        """Logarithm of the density at each row. A low value means an unusual row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader
            The data. A dataset of h5py or zarr is read in blocks. A reader of :mod:`fastgmm.batches` is read batch by
            batch.

        out : array of shape (n_samples,), or path, default=None
            Where to write the log-densities, as in `predict`. In a table the column is called "log_density".

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Log-densities, in nats and in the dtype of X. If `out` is given, it is returned.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If X holds anything other than finite numbers, or other features than the fit had.
        """
        return self._for_rows(LOG_DENSITIES, X, out)

    def score(self, X: Rows | Reader, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean log-density of a row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader
            The data.

        y : Ignored
            Present for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. A reader brings the weights itself.

        Returns
        -------
        log_likelihood : float
            Weighted mean of the log-densities, in nats.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If X holds anything other than finite numbers, or other features than the fit had.
        """
        warn_if_weights(y, X)
        if self._is_overridden(Inference.score_samples):  # scikit-learn's score calls it
            self._check_no_reader(X)
            log_prob = self.score_samples(X)
            return float(np.average(log_prob, weights=check_sample_weight(sample_weight, len(log_prob))))
        log_likelihood, n = self._log_likelihood(X, sample_weight)
        return log_likelihood / n

    def sample(self, n_samples: int = 1, *, random_state: RandomState = None) -> tuple[NDArray[np.float64], IntArray]:
        """Random rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.

        random_state : int, RandomState instance or None, default=None
            Random numbers for this call. None: those of the `random_state` of the estimator. If that is an int, every
            call returns the same rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), dtype float64
            The rows, sorted by component. The draws are those of scikit-learn.

        y : ndarray of shape (n_samples,), dtype int64
            The component of each row. Rows of the background of a mixture with noise come last, and have -1.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        TypeError, ValueError
            If `n_samples` is not a positive integer, or `noise` gave the volume of the background, but not its place.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> X = [[0, 0], [1, 1], [8, 8], [9, 9]]
        >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> X, y = gmm.sample(100, random_state=1)
        >>> X.shape, y.shape
        ((100, 2), (100,))
        """
        check_is_fitted(self)
        n_samples = check_n_draws(n_samples)
        check_random_state_of_sample(self, random_state)
        check_covariance_type(self)
        random = check_random_state(self.random_state if random_state is None else random_state)
        return self._draw(n_samples, random)

    def _draw(self, n_samples: int, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Random rows, sorted by component, and the component of each."""
        return draw_rows(self, n_samples, random)

    def summary(self, X: Rows | Reader | None = None, sample_weight: ArrayLike | None = None) -> Summary:
        """What the fitted mixture is, how well it fits, and a table of its components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader, default=None
            Rows for which log-likelihood, AIC, BIC and ICL are computed, in one pass. None: the log-likelihood is that
            of the last iteration, before its M step, and AIC and BIC follow from it.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row of X counts. A reader brings the weights itself.

        Returns
        -------
        summary : Summary
            ``print(summary)`` shows a text, and a notebook shows tables. ``summary.to_frame()`` returns all components
            as a pandas DataFrame. Its attributes hold the numbers; what is not known is None:

            - `model`, `covariance_type`, `covariances` and `mclust_name`: what the mixture is. `covariances` is in
              words, and `mclust_name` is what R's mclust calls it;
            - `n_components`, `n_features`, `feature_names`, and `n_rows`, the sum of the weights;
            - `n_parameters`, `log_likelihood`, `bic`, `aic` and `icl`. `is_exact` is False if these are of the last
              iteration, before its M step;
            - `lower_bound` and `n_effective_components`, the number of components that have rows: of a Bayesian
              mixture, in place of `n_parameters` and the criteria;
            - `converged` and `n_iter`. `is_stream` is True after `partial_fit`: then `n_iter` is the number of batches;
            - `noise_weight`, the weight of a uniform background; 0 without one;
            - `weights` and `rows`, of shape (n_components,), `means` and `standard_deviations`, of shape (n_components,
              n_features). `rows` is the expected number of rows of each component.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If X is not usable, or `sample_weight` is given without X.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> from fastgmm.datasets import load_old_faithful
        >>> X = load_old_faithful()
        >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> print(gmm.summary(X))
        Gaussian mixture with 2 components, covariance type 'full' (mclust: VVV): each
        component has its own ellipsoid.
        <BLANKLINE>
        Rows             272
        Features         2
        Free parameters  11
        Log-likelihood   -1130.264
        BIC              2322.192
        AIC              2282.528
        ICL              2322.698
        Converged        yes, after 4 iterations
        <BLANKLINE>
        component  weight   rows      feature 0     feature 1
                0   0.356   96.8  2.037 ± 0.263  54.48 ± 5.81
                1   0.644  175.2  4.290 ± 0.412  79.97 ± 6.00
        <BLANKLINE>
        The columns of features have means ± standard deviations.
        >>> round(gmm.summary(X).icl, 1)
        2322.7
        """
        check_is_fitted(self)
        if X is None:
            if sample_weight is not None:
                raise ValueError("sample_weight needs the rows that it belongs to: pass X, too.")
            return self._summary(None)
        (log_likelihood, log_max_resp), n = self._sums(_criterion_sums_of, X, sample_weight)
        return self._summary(Evaluation(float(log_likelihood), float(log_max_resp), n))

    @abstractmethod
    def _summary(self, evaluation: Evaluation | None) -> Summary:
        """The summary. Without an evaluation of rows it says what the fit knows."""

    def _for_rows(self, quantity: Quantity, X, out, is_checked: bool = False):
        """A quantity for all rows of X. `is_checked` says that a fit has checked them."""
        check_is_fitted(self)
        if out is None and not isinstance(X, Reader) and not is_read_in_blocks(X):
            rows = X if is_checked else check_predict_data(self, X)
            return quantity.of_passes(*self._passes_of_fitted(rows))
        n_rows, blocks = blocks_of_rows(self, X)
        kept_schema = X.kept_schema if isinstance(X, Reader) else None
        with open_results(out, n_rows, quantity.name, len(self.means_) - 1, kept_schema, files_of(X)) as results:
            for block in read_ahead(blocks):
                results.put(quantity.of_passes(*self._passes_of_fitted(block.rows)), block.kept)
            return results.finish()

    def _passes_of_fitted(self, rows: np.ndarray, weights: np.ndarray | None = None) -> tuple[ArrayPasses, Components]:
        """Passes over the rows, and the fitted mixture for them."""
        components = self._fitted_components(rows.shape[1])
        return self._passes(rows, weights, len(components.means)), components

    def _fitted_components(self, n_features: int) -> Components:
        """The fitted mixture, as the kernels take it."""
        check_overrides(self, _PREDICTION_STEPS)
        check_covariance_type(self, ("precisions_cholesky_",))
        return self._fitted_parameters(n_features).components(self._structure)

    def _is_overridden(self, method: Callable) -> bool:
        """Whether a user's subclass, or this object, has its own version of a public method."""
        return method.__name__ in vars(self) or getattr(type(self), method.__name__) is not method

    def _check_no_reader(self, X) -> None:
        """Raise TypeError for a reader, since the method of a user's subclass gets X as it is."""
        if isinstance(X, Reader):
            raise TypeError(
                f"X must be in memory, got a reader: {type(self).__name__} has a score or score_samples of its own, "
                "which may not read it. Pass its batches one after the other."
            )

    def _log_likelihood_by_score(self, X, sample_weight) -> tuple[float, float]:
        """As `_log_likelihood`, but by the `score` of a user's subclass if it has one, as in scikit-learn."""
        if not (self._is_overridden(Inference.score) or self._is_overridden(Inference.score_samples)):
            return self._log_likelihood(X, sample_weight)
        self._check_no_reader(X)
        weights = check_sample_weight(sample_weight, len(X))
        n = len(X) if weights is None else float(weights.sum())
        return self.score(X, **unless_none(sample_weight=sample_weight)) * n, n

    def _log_likelihood(self, X, sample_weight) -> tuple[float, float]:
        """Weighted sum of the log-densities, and the sum of the weights."""
        return self._sums(log_likelihood_of, X, sample_weight)

    def _sums(self, of_passes: Callable, X, sample_weight) -> tuple[Any, float]:
        """Sums over the rows of X that ``of_passes(passes, components)`` finds, and the sum of the weights."""
        check_is_fitted(self)
        sums, n = 0.0, 0.0
        for block in read_ahead(weighted_blocks(self, X, sample_weight)):
            weights = block.weights
            if allows_missing(self):
                weights = weights_without_empty_rows(block.rows, weights)
            rows, weights = drop_unweighted_rows(block.rows, weights)
            if len(rows) > 0:
                passes, components = self._passes_of_fitted(rows, weights)
                sums = sums + of_passes(passes, components)
                n += passes.total_weight
        check_some_weight(n)
        return sums, n
