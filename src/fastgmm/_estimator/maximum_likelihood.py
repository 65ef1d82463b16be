"""The model, fitted attributes and information criteria of `GaussianMixture`, in memory and on dask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike
from sklearn.mixture import GaussianMixture as _SklearnGaussianMixture

from fastgmm._estimator.fitted import check_fitted_array, fitted_factors, mixture_attributes
from fastgmm._estimator.information import InformationCriteria
from fastgmm._estimator.initial import check_fixed, check_means, check_precisions_init, check_weights_init
from fastgmm._estimator.noise import fitted_noise, fitted_region, region_of
from fastgmm._estimator.onnx import OnnxConversion
from fastgmm._estimator.parameters import fixed_names
from fastgmm._estimator.summary import Evaluation, Summary, rows_behind
from fastgmm._model.gaussian import InitialValues, MaximumLikelihood, MixtureParameters, n_free_parameters
from fastgmm._model.weak_prior import MaximumPosterior
from fastgmm._rows.columns import weak_prior_of_rows
from fastgmm._utils.annotations import Fixed, FloatArray, Prior


class MaximumLikelihoodMixture(InformationCriteria, OnnxConversion, _SklearnGaussianMixture):
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
    _in_words = "Gaussian mixture"

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

    def _summary(self, evaluation: Evaluation | None) -> Summary:
        if evaluation is None and self.prior is not None:  # the bound is not the log-likelihood
            evaluation = Evaluation(None, None, rows_behind(self))
        return super()._summary(evaluation)

    def _n_parameters(self) -> int:
        n_components, n_features = self.means_.shape
        fixed, region = fixed_names(self.fixed), fitted_region(self)
        return n_free_parameters(self._structure, n_components, n_features, fixed, region)
