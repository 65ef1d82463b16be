"""The model, fitted attributes and information criteria of `GaussianMixture`, in memory and on dask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike
from sklearn.mixture import GaussianMixture as _SklearnGaussianMixture

from fastgmm._estimator.criteria import criteria_of
from fastgmm._estimator.fitted import check_fitted_array, fitted_factors, mixture_attributes
from fastgmm._estimator.inference import Inference
from fastgmm._estimator.initial import check_fixed, check_means, check_precisions_init, check_weights_init
from fastgmm._estimator.noise import fitted_noise, fitted_region, region_of
from fastgmm._estimator.onnx import OnnxConversion
from fastgmm._estimator.parameters import fixed_names
from fastgmm._estimator.summary import Evaluation, Summary, of_last_iteration, rows_behind, summary_of
from fastgmm._input.containers import Reader
from fastgmm._model.gaussian import InitialValues, MaximumLikelihood, MixtureParameters, n_free_parameters
from fastgmm._model.weak_prior import MaximumPosterior
from fastgmm._rows.columns import weak_prior_of_rows
from fastgmm._utils.annotations import Fixed, FloatArray, Prior, Rows


class MaximumLikelihoodMixture(Inference, OnnxConversion, _SklearnGaussianMixture):
    """The mixture without priors, fitted by maximum likelihood."""

    weights_init: ArrayLike | None
    means_init: ArrayLike | None
    precisions_init: ArrayLike | None
    fixed: Fixed = None  # mixtures of scikit-learn do not have this parameter and the next
    prior: Prior | None = None

    # Fits without a background do not set these.
    noise_weight_: float = 0.0
    noise_log_density_: float = -math.inf
    noise_box_: FloatArray | None = None

    _sklearn_class = _SklearnGaussianMixture

    @property
    def _weights_count_rows(self) -> bool:  # type: ignore[override]
        return self.prior is not None

    if TYPE_CHECKING:

        def to_sklearn(self) -> _SklearnGaussianMixture: ...

    def _model(self, passes):
        return self._model_with(passes, region_of(self.noise, passes))

    def _model_with(self, passes, region):
        structure, n_components, n_features = self._structure, self.n_components, passes.n_features
        given = InitialValues(
            check_weights_init(self.weights_init, n_components, bool(self.noise)),
            check_means(self.means_init, "means_init", (n_components, n_features)),
            check_precisions_init(self.precisions_init, structure, n_components, n_features),
            check_fixed(self.fixed, vars(self)),
        )
        own = structure, n_components, n_features, passes.dtype, self.reg_covar, given, region
        if self.prior is None:
            return MaximumLikelihood(*own)
        return MaximumPosterior(*own, weak_prior_of_rows(passes, structure, n_components))

    def _further_model(self, passes):
        region = fitted_region(self)
        if self.fixed:
            return self._model_with(passes, region)
        shape = self._structure, self.n_components, passes.n_features
        return MaximumLikelihood(*shape, passes.dtype, self.reg_covar, region=region)

    def _fitted_attributes(self, parameters, model):
        return mixture_attributes(parameters, model.structure, model.region)

    def _fitted_parameters(self, n_features, n_components=None):
        if n_components is None:
            n_components = len(self.weights_)
        structure = self._structure
        shape = structure.shape(n_components, n_features)
        precisions_cholesky = fitted_factors(self, shape)
        return MixtureParameters(
            check_fitted_array(self, "weights_", (n_components,)),
            check_fitted_array(self, "means_", (n_components, n_features)),
            check_fitted_array(self, "covariances_", shape)
            if hasattr(self, "covariances_")
            else structure.covariances_from_cholesky(precisions_cholesky),
            precisions_cholesky,
            noise=fitted_noise(self),
        )

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
        if evaluation is None:  # with a prior the bound is not the log-likelihood
            evaluation = of_last_iteration(self) if self.prior is None else Evaluation(None, None, rows_behind(self))
        log_likelihood, log_max_resp, n_rows, _ = evaluation
        criteria, n_parameters = None, self._n_parameters()
        if log_likelihood is not None and n_rows is not None:
            criteria = criteria_of(log_likelihood, log_max_resp or 0.0, n_parameters, n_rows)
        own: dict[str, float | None] = {} if criteria is None else criteria._asdict()
        if log_max_resp is None:
            own["icl"] = None
        return summary_of(self, "Gaussian mixture", evaluation, n_parameters=n_parameters, **own)

    def _n_parameters(self) -> int:
        n_components, n_features = self.means_.shape
        fixed, region = fixed_names(self.fixed), fitted_region(self)
        return n_free_parameters(self._structure, n_components, n_features, fixed, region)
