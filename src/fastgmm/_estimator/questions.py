"""Questions asked of a fitted mixture: marginals, conditionals, regression, imputation, distribution and quantiles."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm._estimator.base import MixtureEstimator
from fastgmm._estimator.conditional import ConditionalRows
from fastgmm._estimator.fitted import check_covariance_type, check_fitted_array, mixture_attributes, rounded
from fastgmm._estimator.imputation import imputed
from fastgmm._estimator.noise import check_has_no_noise
from fastgmm._estimator.parameters import RANDOM_STATE, invalid_parameter_error, is_random_state
from fastgmm._estimator.sampling import fitted_covariances, fitted_weights
from fastgmm._estimator.student import StudentMixture
from fastgmm._input.containers import FLOAT_DTYPES
from fastgmm._input.features import check_features, names_of_features
from fastgmm._input.numbers import Source, check_numbers
from fastgmm._input.rows import check_predict_data, checked_rows
from fastgmm._model.conditional import Mixture, others, structure_of_part
from fastgmm._model.covariance import DIAGONAL, CovarianceStructure
from fastgmm._model.covariance.structure import as_variances
from fastgmm._model.student import MOST_DEGREES_OF_FREEDOM
from fastgmm._model.univariate import Univariate, distribution, quantile
from fastgmm._utils.annotations import Features, FloatArray, RandomState, Rows
from fastgmm._utils.values import is_boolean


class Asked(NamedTuple):
    """The mixture that is asked, and the names of its features."""

    mixture: Mixture
    names: list[str]


class Questions(MixtureEstimator):
    """The methods that ask a fitted mixture about some of its features, or about its distribution.

    They see the mixture that `sample` draws from: `weights_`, `means_` and `covariances_`, or `scales_` and
    `degrees_of_freedom_`.
    """

    @abstractmethod
    def _new_mixture(self, **parameters) -> Any:
        """A mixture without priors that is not fitted."""

    def marginal(self, features: Features) -> Any:
        """The mixture of some features, whatever the others are.

        Parameters
        ----------
        features : int, str or sequence of them
            Numbers or names of the features to keep, in any order.

        Returns
        -------
        mixture : GaussianMixture or StudentTMixture
            A fitted mixture of these features in this order; of t distributions, if this one is. Components keep their
            numbers. Its `covariance_type` is the same if marginals have it, too. For 'EVI' it is 'diag', and for 'EVE',
            'VVE', 'EEV', 'VEV' and 'EVV' it is 'full'.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If a feature does not exist or occurs twice.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> from fastgmm.datasets import load_old_faithful
        >>> gmm = GaussianMixture(n_components=2, random_state=0)
        >>> gmm = gmm.fit(load_old_faithful())
        >>> waiting = gmm.marginal(1)
        >>> waiting.means_.round(2)
        array([[54.48],
               [79.97]])
        """
        asked = self._asked("marginal")
        kept = check_features(features, asked.names, len(asked.names))
        return self._answer(asked.mixture.marginal(kept), kept, structure_of_part(self._structure))

    def condition(self, features: Features, values: ArrayLike) -> Any:
        """The mixture of the other features, given values of some.

        Parameters
        ----------
        features : int, str or sequence of them
            Numbers or names of the features whose values are known.

        values : float or array-like of shape (n_known,)
            Their values, in the same order.

        Returns
        -------
        mixture : GaussianMixture or StudentTMixture
            A fitted mixture of the other features, in their order in the data. Components keep their numbers. The
            weights are the probabilities of the components given the values. `covariance_type` is as in `marginal`.
            Each t distribution has its own volume then, so it is 'spherical', 'diag' or 'full' if they shared one.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If a feature does not exist or occurs twice, if none is left, or if the values are not a finite number for
            each feature.

        See Also
        --------
        predict_conditional : Mean and variance of the other features for many rows at once.

        Examples
        --------
        How long is the wait after an eruption of 3 minutes?

        >>> from fastgmm import GaussianMixture
        >>> from fastgmm.datasets import load_old_faithful
        >>> gmm = GaussianMixture(n_components=2, random_state=0)
        >>> gmm = gmm.fit(load_old_faithful())
        >>> waiting = gmm.condition(0, 3.0)
        >>> waiting.means_.round(1), waiting.weights_.round(2)
        (array([[60.5],
               [72.8]]), array([0.12, 0.88]))
        >>> waiting.quantile([0.05, 0.95]).round(1)
        array([58.6, 81.6])
        """
        asked = self._asked("condition")
        known = self._check_known(features, asked)
        given = _check_numbers(values, "values")
        if given.shape != (len(known),) and not (given.ndim == 0 and len(known) == 1):
            many = " predict_conditional takes many rows at once." if given.ndim == 2 else ""
            raise ValueError(
                f"values must hold one number for each of the features ({len(known)}), got the shape {given.shape}."
                f"{many}"
            )
        if not np.isfinite(given).all():
            raise ValueError("values contains infinity: pass finite numbers.")
        row = np.ascontiguousarray(given.reshape(1, -1))
        resp = ConditionalRows(asked.mixture, known, self.n_threads).responsibilities(row)[0]
        left = others(known, len(asked.names))
        own_volumes = asked.mixture.degrees_of_freedom is not None
        structure = structure_of_part(self._structure, own_volumes)
        return self._answer(asked.mixture.conditional(known, row[0], resp), left, structure)

    @overload
    def predict_conditional(
        self, features: Features, X: Rows, *, return_std: Literal[False] = False, return_cov: Literal[False] = False
    ) -> FloatArray: ...

    @overload
    def predict_conditional(
        self, features: Features, X: Rows, *, return_std: bool = False, return_cov: bool = False
    ) -> Any: ...

    def predict_conditional(self, features, X, *, return_std=False, return_cov=False):
        """Mean of the other features for each row, given some: Gaussian mixture regression.

        Parameters
        ----------
        features : int, str or sequence of them
            Numbers or names of the features whose values are known.

        X : array-like of shape (n_samples, n_known)
            Rows of these features only, in the same order.

        return_std : bool, default=False
            Whether to return standard deviations, too.

        return_cov : bool, default=False
            Whether to return covariances, too.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_others)
            Conditional means of the other features, in their order in the data and in the dtype of X.

        std : ndarray of shape (n_samples, n_others)
            Conditional standard deviations, if `return_std`.

        cov : ndarray of shape (n_samples, n_others, n_others)
            Conditional covariances, if `return_cov`. They depend on the row: where several components are probable,
            the distances between their means count, too.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If a feature does not exist or occurs twice, if none is left, if X holds anything other than finite numbers
            for these features, or if both standard deviations and covariances are asked for. Also if they are infinite:
            those of a t distribution whose degrees of freedom, plus the number of known features, are up to 2.

        References
        ----------
        .. [1] Ghahramani and Jordan, "Supervised learning from incomplete data via an EM approach", NIPS 6, 1994.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> from fastgmm.datasets import load_old_faithful
        >>> gmm = GaussianMixture(n_components=2, random_state=0)
        >>> gmm = gmm.fit(load_old_faithful())
        >>> eruptions = [[2.0], [3.0], [4.0]]
        >>> mean, std = gmm.predict_conditional(0, eruptions, return_std=True)
        >>> mean.ravel().round(1), std.ravel().round(1)
        (array([54.2, 71.3, 78.4]), array([5.6, 6.9, 5.6]))
        """
        asked = self._asked("predict_conditional")
        known = self._check_known(features, asked)
        for name, value in (("return_std", return_std), ("return_cov", return_cov)):
            if not is_boolean(value):
                raise ValueError(f"{name} must be True or False, got {value!r}.")
        if return_std and return_cov:
            raise ValueError("Pass return_std=True or return_cov=True, not both: the covariances hold the variances.")
        of_known = self.marginal(known)
        of_known.missing = "raise"
        rows = check_predict_data(of_known, X)
        conditional_rows = ConditionalRows(asked.mixture, known, self.n_threads)
        if return_std:
            return conditional_rows.means_and_deviations(rows)
        return conditional_rows.means_and_covariances(rows) if return_cov else conditional_rows.means(rows)

    def impute(self, X: Rows, *, draw: bool = False, random_state: RandomState = None) -> FloatArray:
        """Fill in missing values, given the values that a row has.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in which NaN marks what is missing. A row without any value gets the mean of `means_`.

        draw : bool, default=False
            False: conditional expectations, the best guesses. They vary less than the data do. True: random draws from
            the conditional distributions. For multiple imputation [1]_, impute several times with different
            `random_state`, and analyze each table.

        random_state : int, RandomState instance or None, default=None
            Random numbers for draws. None: those of the `random_state` of the estimator. If that is an int, every call
            returns the same rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            A copy without NaN, in the dtype of X. Values that were there do not change.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If X holds anything other than numbers and NaN, or other features than the fit had.

        Notes
        -----
        The draws do not reflect that the parameters of the mixture are estimates. With few rows, fit to bootstrap
        samples of them and draw from each fit.

        References
        ----------
        .. [1] Rubin, "Multiple imputation for nonresponse in surveys", 1987.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixture
        >>> from fastgmm.datasets import load_old_faithful
        >>> gmm = GaussianMixture(n_components=2, random_state=0)
        >>> gmm = gmm.fit(load_old_faithful())
        >>> X = [[2.0, np.nan], [np.nan, 80.0], [4.0, 75.0]]
        >>> gmm.impute(X).round(1)
        array([[ 2. , 54.2],
               [ 4.3, 80. ],
               [ 4. , 75. ]])
        """
        asked = self._asked("impute")
        if not is_boolean(draw):
            raise ValueError(f"draw must be True or False, got {draw!r}: pass random_state for the random numbers.")
        if not is_random_state(random_state):
            raise invalid_parameter_error()(
                f"The 'random_state' parameter of {type(self).__name__}.impute must be {RANDOM_STATE}. "
                f"Got {random_state!r} instead. Pass an int for repeatable draws."
            )
        rows = checked_rows(self, X, FLOAT_DTYPES, reset=False, ensure_all_finite="allow-nan")
        random = check_random_state(self.random_state if random_state is None else random_state) if draw else None
        return imputed(rows, asked.mixture, self.n_threads, random)

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Distribution function of a mixture of one feature: the probability of a value up to x.

        Parameters
        ----------
        x : float or array-like of any shape
            Values of the feature. They may be infinite.

        Returns
        -------
        probability : ndarray of float64
            In the shape of x.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If it has several features, or if x holds NaN or anything other than numbers.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> from fastgmm.datasets import load_old_faithful
        >>> gmm = GaussianMixture(n_components=2, random_state=0)
        >>> gmm = gmm.fit(load_old_faithful())
        >>> gmm.marginal(1).cdf([60, 90]).round(3)
        array([0.295, 0.97 ])
        """
        return distribution(_check_numbers(x, "x"), self._one_feature("cdf"))

    def quantile(self, q: ArrayLike) -> NDArray[np.float64]:
        """Quantiles of a mixture of one feature: the inverse of `cdf`.

        Parameters
        ----------
        q : float or array-like of any shape
            Probabilities from 0 to 1.

        Returns
        -------
        x : ndarray of float64
            In the shape of q. A value of the feature is at most x with probability q.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If it has several features, or if q holds anything other than probabilities.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> from fastgmm.datasets import load_old_faithful
        >>> gmm = GaussianMixture(n_components=2, random_state=0)
        >>> gmm = gmm.fit(load_old_faithful())
        >>> gmm.marginal(1).quantile([0.05, 0.5, 0.95]).round(1)
        array([48.2, 75.4, 88.5])
        """
        shares = _check_numbers(q, "q")
        if not ((shares >= 0.0) & (shares <= 1.0)).all():
            wrong = shares[(shares < 0.0) | (shares > 1.0)]
            raise ValueError(f"q must hold probabilities from 0 to 1, got {wrong[0]:g}.")
        return quantile(shares, self._one_feature("quantile"))

    def _one_feature(self, method: str) -> Univariate:
        """The mixture, which has one feature."""
        asked = self._asked(method)
        if len(asked.names) > 1:
            raise ValueError(
                f"{method} needs a mixture of one feature, and this one has {len(asked.names)}: ask "
                f"marginal(feature).{method}(...), or condition(features, values) for a conditional distribution."
            )
        weights, means, covariances, nu = asked.mixture
        variances = as_variances(covariances)[:, :1]
        DIAGONAL.precisions_cholesky(variances)  # an error if one is 0
        return Univariate(weights, means[:, 0], np.sqrt(variances[:, 0]), nu)

    def _asked(self, method: str, may_have_noise: bool = False) -> Asked:
        """The components of the fitted mixture, checked. Raises NotFittedError if there are none."""
        check_is_fitted(self)
        if not may_have_noise:
            check_has_no_noise(self, method, "fit with noise=False to the rows that predict does not label -1.")
        check_covariance_type(self)
        n_components, n_features = np.shape(self.means_)
        means = check_fitted_array(self, "means_", (n_components, n_features))
        covariances = np.asarray(fitted_covariances(self, n_components, n_features), np.float64)
        spread = self._structure.spread(covariances, n_components, n_features)
        names = names_of_features(getattr(self, "feature_names_in_", None), n_features)
        nu = None
        if isinstance(self, StudentMixture):
            nu = check_fitted_array(self, "degrees_of_freedom_", (n_components,))
        return Asked(Mixture(fitted_weights(self, n_components), means, spread, nu), names)

    def _check_known(self, features, asked: Asked) -> list[int]:
        """Numbers of the known features. Raises ValueError unless some others are left."""
        n_features = len(asked.names)
        known = check_features(features, asked.names, n_features)
        if len(known) == n_features:
            raise ValueError(
                f"features holds all {n_features} features of the mixture, so none is left: leave out those to ask for."
            )
        return known

    def _answer(self, mixture: Mixture, features: list[int], structure: CovarianceStructure) -> Any:
        """A fitted estimator for a mixture of these features of the own ones, with covariances of that structure."""
        own: dict[str, Any] = {"missing": self.missing}
        if isinstance(self, StudentMixture):
            assert mixture.degrees_of_freedom is not None
            given = self.degrees_of_freedom
            of_all = min(float(mixture.degrees_of_freedom[0]), MOST_DEGREES_OF_FREEDOM)
            own = {"degrees_of_freedom": given if isinstance(given, str) else of_all}
        answer = self._new_mixture(
            n_components=len(mixture.weights),
            covariance_type=self.covariance_type if structure is self._structure else structure.name,
            reg_covar=self.reg_covar,
            random_state=self.random_state,
            n_threads=self.n_threads,
            **own,
        )
        attributes = rounded(mixture_attributes(mixture.with_structure(structure), structure), self.means_.dtype)
        attributes["n_features_in_"] = len(features)
        if hasattr(self, "feature_names_in_"):
            attributes["feature_names_in_"] = self.feature_names_in_[features]
        vars(answer).update(attributes)
        return answer


def _check_numbers(values: ArrayLike, name: str) -> np.ndarray:
    """The values as float64, in their shape. Raises ValueError or TypeError unless they are numbers other than NaN."""
    source = Source(name)
    given = check_numbers(values if isinstance(values, list | tuple) else np.asanyarray(values), source)
    with np.errstate(over="ignore"):  # a long double beyond float64 becomes infinite
        numbers = np.asarray(given, np.float64)
    if np.isnan(numbers).any():
        where = source.first_of(np.isnan(np.atleast_1d(numbers)), "NaN")
        raise ValueError(f"{name} contains NaN. {where}. Leave it out.")
    return numbers
