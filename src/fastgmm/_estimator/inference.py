"""Inference with a fitted mixture: labels, responsibilities, log-densities and random rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm._estimator.base import MixtureEstimator, check_overrides, unless_none
from fastgmm._estimator.fitted import check_covariance_type
from fastgmm._estimator.sampling import check_n_draws, check_random_state_of_sample, draw_rows
from fastgmm._input.blocks import block_slices
from fastgmm._input.containers import is_read_in_blocks
from fastgmm._input.rows import (
    check_block,
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
from fastgmm._model.components import Components
from fastgmm._rows.array import ArrayPasses
from fastgmm._skipping.policy import labels_of, log_densities_of, log_likelihood_of

# Private methods that scikit-learn's predict, predict_proba and score_samples call.
_PREDICTION_STEPS = (
    *("_estimate_log_prob", "_estimate_log_weights"),
    *("_estimate_weighted_log_prob", "_estimate_log_prob_resp"),
)


class Inference(MixtureEstimator):
    """The methods of a fitted mixture. They read rows in memory or on disk."""

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
        return self._for_rows(labels_of, X, (), np.int64, out)

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
        return self._for_rows(ArrayPasses.resp, X, (len(self.means_),), None, out)

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
        return self._for_rows(log_densities_of, X, (), None, out)

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
        if self._is_overridden(Inference.score_samples):  # scikit-learn's score calls it
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
        check_random_state_of_sample(self, random_state)
        check_covariance_type(self)
        random = check_random_state(self.random_state if random_state is None else random_state)
        return draw_rows(self, n_samples, random)

    def _for_rows(self, of_passes: Callable, X, columns: tuple[int, ...], dtype, out, is_checked: bool = False):
        """The results of ``of_passes(passes, components)`` for the rows of X. X on disk is read in blocks.

        They have the shape (n_samples, *columns) and the dtype, or that of the data if it is None. `is_checked` says
        that a fit has checked the rows of X.
        """
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

    def _log_likelihood_by_score(self, X, sample_weight) -> tuple[float, float]:
        """As `_log_likelihood`, but by the `score` of a user's subclass if it has one, as in scikit-learn."""
        if not (self._is_overridden(Inference.score) or self._is_overridden(Inference.score_samples)):
            return self._log_likelihood(X, sample_weight)
        weights = check_sample_weight(sample_weight, len(X))
        n = len(X) if weights is None else float(weights.sum())
        return self.score(X, **unless_none(sample_weight=sample_weight)) * n, n

    def _log_likelihood(self, X, sample_weight) -> tuple[float, float]:
        """Weighted sum of the log-densities, and the sum of the weights."""
        check_is_fitted(self)
        blocks: Iterable[tuple]
        if is_read_in_blocks(X):
            warn_of_collection(X, in_blocks=True)
            given = check_weight_of_each_row(sample_weight, X)
            blocks = ((check_block(self, X, rows), check_weights_of_block(given, rows)) for rows in block_slices(X))
        else:
            X = check_predict_data(self, X)
            blocks = [(X, check_sample_weight(sample_weight, X.shape[0]))]
        log_likelihood = n = 0.0
        for block in blocks:
            rows, weights = drop_unweighted_rows(*block)
            if len(rows) > 0:
                passes, components = self._passes_of_fitted(rows, weights)
                log_likelihood += log_likelihood_of(passes, components)
                n += passes.total_weight
        check_some_weight(n)
        return log_likelihood, n
