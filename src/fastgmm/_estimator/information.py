"""AIC, BIC and the summary of mixtures that are fitted by maximum likelihood."""

from __future__ import annotations

import math
from abc import abstractmethod

from numpy.typing import ArrayLike

from fastgmm._estimator.criteria import criteria_of
from fastgmm._estimator.inference import Inference
from fastgmm._estimator.summary import Evaluation, Summary, of_last_iteration, summary_of
from fastgmm._input.containers import Reader
from fastgmm._utils.annotations import Rows


class InformationCriteria(Inference):
    """Mixtures with a number of free parameters."""

    _in_words: str

    def aic(self, X: Rows | Reader, sample_weight: ArrayLike | None = None) -> float:
        """Akaike's information criterion of the fitted model on X. Lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader
            The data.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. A reader brings the weights itself.

        Returns
        -------
        aic : float
            ``-2 * log_likelihood + 2 * n_parameters``.
        """
        log_likelihood, _ = self._log_likelihood_by_score(X, sample_weight)
        return -2.0 * log_likelihood + 2.0 * self._n_parameters()

    def bic(self, X: Rows | Reader, sample_weight: ArrayLike | None = None) -> float:
        """Bayesian information criterion of the fitted model on X. Lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader
            The data.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. A reader brings the weights itself. The number of rows n is then the sum of the
            weights, so a weight of 3 has the same effect as three copies of the row.

        Returns
        -------
        bic : float
            ``-2 * log_likelihood + n_parameters * log(n)``, with n the number of rows.
        """
        log_likelihood, n = self._log_likelihood_by_score(X, sample_weight)
        return -2.0 * log_likelihood + self._n_parameters() * math.log(n)

    def _summary(self, evaluation: Evaluation | None) -> Summary:
        evaluation = evaluation or of_last_iteration(self)
        log_likelihood, log_max_resp, n_rows, _ = evaluation
        criteria, n_parameters = None, self._n_parameters()
        if log_likelihood is not None and n_rows is not None:
            criteria = criteria_of(log_likelihood, log_max_resp or 0.0, n_parameters, n_rows)
        own: dict[str, float | None] = {} if criteria is None else criteria._asdict()
        if log_max_resp is None:
            own["icl"] = None
        return summary_of(self, self._in_words, evaluation, n_parameters=n_parameters, **own)

    @abstractmethod
    def _n_parameters(self) -> int:
        """Number of free parameters."""
