"""Methods of a search that ask the mixture that it chose."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from fastgmm._estimator.diagnosis import Diagnosis
from fastgmm._estimator.inference import Out
from fastgmm._estimator.merging import MergedComponents
from fastgmm._input.containers import Reader
from fastgmm._utils.annotations import Features, FloatArray, IntArray, RandomState, Rows


class ChosenMixture:
    """Passes the methods of a fitted mixture on to `best_estimator_`."""

    best_estimator_: Any

    @property
    def _best(self) -> Any:
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_

    @overload
    def predict(self, X: Rows | Reader, *, out: None = None) -> IntArray: ...

    @overload
    def predict(self, X: Rows | Reader, *, out: Out) -> Out: ...

    def predict(self, X, *, out=None):
        """Most probable component of each row under the chosen mixture: `GaussianMixture.predict`."""
        return self._best.predict(X, out=out)

    @overload
    def predict_proba(self, X: Rows | Reader, *, out: None = None) -> FloatArray: ...

    @overload
    def predict_proba(self, X: Rows | Reader, *, out: Out) -> Out: ...

    def predict_proba(self, X, *, out=None):
        """Responsibilities under the chosen mixture: `GaussianMixture.predict_proba`."""
        return self._best.predict_proba(X, out=out)

    @overload
    def score_samples(self, X: Rows | Reader, *, out: None = None) -> FloatArray: ...

    @overload
    def score_samples(self, X: Rows | Reader, *, out: Out) -> Out: ...

    def score_samples(self, X, *, out=None):
        """Log-density of each row under the chosen mixture: `GaussianMixture.score_samples`."""
        return self._best.score_samples(X, out=out)

    def score(self, X: Rows | Reader, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean log-density of a row under the chosen mixture: `GaussianMixture.score`."""
        return self._best.score(X, y, sample_weight=sample_weight)

    def bic(self, X: Rows | Reader, sample_weight: ArrayLike | None = None) -> float:
        """Bayesian information criterion of the chosen mixture: `GaussianMixture.bic`."""
        return self._best.bic(X, sample_weight=sample_weight)

    def aic(self, X: Rows | Reader, sample_weight: ArrayLike | None = None) -> float:
        """Akaike's information criterion of the chosen mixture: `GaussianMixture.aic`."""
        return self._best.aic(X, sample_weight=sample_weight)

    def sample(self, n_samples: int = 1, *, random_state: RandomState = None) -> tuple[NDArray[np.float64], IntArray]:
        """Random rows and their components from the chosen mixture: `GaussianMixture.sample`."""
        return self._best.sample(n_samples, random_state=random_state)

    def marginal(self, features: Features) -> Any:
        """The chosen mixture of some features, whatever the others are: `GaussianMixture.marginal`."""
        return self._best.marginal(features)

    def condition(self, features: Features, values: ArrayLike) -> Any:
        """The chosen mixture of the other features, given values of some: `GaussianMixture.condition`."""
        return self._best.condition(features, values)

    def predict_conditional(
        self, features: Features, X: Rows, *, return_std: bool = False, return_cov: bool = False
    ) -> Any:
        """Mean of the other features for each row, given some: `GaussianMixture.predict_conditional`."""
        return self._best.predict_conditional(features, X, return_std=return_std, return_cov=return_cov)

    def impute(self, X: Rows, *, draw: bool = False, random_state: RandomState = None) -> FloatArray:
        """Fill in missing values by the chosen mixture: `GaussianMixture.impute`."""
        return self._best.impute(X, draw=draw, random_state=random_state)

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Probability of a value up to x under a chosen mixture of one feature: `GaussianMixture.cdf`."""
        return self._best.cdf(x)

    def quantile(self, q: ArrayLike) -> NDArray[np.float64]:
        """Quantiles of a chosen mixture of one feature: `GaussianMixture.quantile`."""
        return self._best.quantile(q)

    def diagnose(self, X: Rows | Reader, sample_weight: ArrayLike | None = None) -> Diagnosis:
        """How well the chosen mixture describes rows, and what to try next: `GaussianMixture.diagnose`."""
        return self._best.diagnose(X, sample_weight)

    def merge_components(self, X: Rows | Reader, sample_weight: ArrayLike | None = None) -> MergedComponents:
        """Merge components of the chosen mixture to clusters: `GaussianMixture.merge_components`."""
        return self._best.merge_components(X, sample_weight)
