"""The priors, model and fitted attributes of `BayesianGaussianMixture`, in memory and on dask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sklearn.mixture import BayesianGaussianMixture as _SklearnBayesianGaussianMixture

from fastgmm._em.one_gaussian import gaussian_of
from fastgmm._estimator.fitted import check_fitted_array, fitted_factors
from fastgmm._estimator.inference import Inference
from fastgmm._estimator.initial import (
    check_covariance_prior,
    check_degrees_of_freedom_prior,
    check_means,
    check_weight_for_covariance_prior,
)
from fastgmm._estimator.onnx import OnnxConversion
from fastgmm._estimator.summary import Evaluation, Summary, is_stream, rows_behind, summary_of
from fastgmm._model.covariance import ConjugatePrior, require
from fastgmm._model.variational import Priors, VariationalBayes, VariationalParameters
from fastgmm._model.weight_priors import WEIGHT_PRIORS
from fastgmm._rows.columns import covariance_of_all, mean_of_all
from fastgmm._utils.annotations import FloatArray, WeightPriorType


class VariationalMixture(Inference, OnnxConversion, _SklearnBayesianGaussianMixture):
    """The mixture with priors, fitted by variational inference."""

    weight_concentration_prior_type: WeightPriorType
    weight_concentration_prior: float | None
    mean_precision_prior: float | None
    mean_prior: ArrayLike | None
    degrees_of_freedom_prior: float | None
    covariance_prior: ArrayLike | None

    weight_concentration_prior_: float
    mean_precision_prior_: float
    mean_prior_: FloatArray
    degrees_of_freedom_prior_: float
    covariance_prior_: float | FloatArray
    weight_concentration_: FloatArray | tuple[FloatArray, FloatArray]
    mean_precision_: FloatArray
    degrees_of_freedom_: FloatArray

    _sklearn_class = _SklearnBayesianGaussianMixture
    _weights_count_rows = True

    if TYPE_CHECKING:

        def to_sklearn(self) -> _SklearnBayesianGaussianMixture: ...

    @property
    def _structure(self):
        return require(super()._structure, ConjugatePrior, type(self).__name__)

    def _model(self, passes):
        structure, n_features = self._structure, passes.n_features
        mean = check_means(self.mean_prior, "mean_prior", (n_features,))
        degrees_of_freedom = check_degrees_of_freedom_prior(self.degrees_of_freedom_prior, n_features)
        covariance = check_covariance_prior(self.covariance_prior, structure, n_features)
        of_rows = None
        if passes.misses_values and (mean is None or covariance is None):
            of_rows = gaussian_of(passes, structure, self.reg_covar)
        if mean is None or covariance is None:
            mean_of_rows = mean_of_all(passes) if of_rows is None else of_rows.means[0]
            mean = mean_of_rows if mean is None else mean
        if covariance is None:
            check_weight_for_covariance_prior(passes.total_weight)
            if of_rows is None:
                covariance = covariance_of_all(passes, mean_of_rows, structure)
            else:
                unbiased = passes.total_weight / (passes.total_weight - 1.0)
                covariance = unbiased * structure.from_spread(of_rows.covariances, np.ones(1))
            covariance = covariance.reshape(structure.shape_of_one(n_features))
        priors = Priors(
            1.0 / self.n_components if self.weight_concentration_prior is None else self.weight_concentration_prior,
            1.0 if self.mean_precision_prior is None else self.mean_precision_prior,
            mean,
            degrees_of_freedom,
            covariance,
        )
        return self._with_priors(passes, priors)

    def _with_priors(self, passes, priors: Priors) -> VariationalBayes:
        return VariationalBayes(
            self._structure,
            self.n_components,
            passes.n_features,
            passes.dtype,
            self.reg_covar,
            priors,
            WEIGHT_PRIORS[self.weight_concentration_prior_type],
        )

    def _further_model(self, passes):
        shape = self._structure.shape_of_one(passes.n_features)
        priors = Priors(
            float(self.weight_concentration_prior_),
            float(self.mean_precision_prior_),
            check_fitted_array(self, "mean_prior_", (passes.n_features,)),
            float(self.degrees_of_freedom_prior_),
            check_fitted_array(self, "covariance_prior_", shape),
        )
        return self._with_priors(passes, priors)

    def _fitted_attributes(self, parameters, model):
        priors = model.priors
        concentration = parameters.weight_concentration
        return {
            "weight_concentration_prior_": priors.weight_concentration,
            "mean_precision_prior_": priors.mean_precision,
            "mean_prior_": priors.mean,
            "degrees_of_freedom_prior_": priors.degrees_of_freedom,
            "covariance_prior_": priors.covariance if priors.covariance.ndim else priors.covariance[()],
            "weight_concentration_": concentration if concentration.ndim == 1 else tuple(concentration),
            "mean_precision_": parameters.mean_precision,
            "means_": parameters.means,
            "degrees_of_freedom_": parameters.degrees_of_freedom,
            "covariances_": parameters.covariances,
            "precisions_cholesky_": parameters.precisions_cholesky,
            "precisions_": model.structure.precisions(parameters.precisions_cholesky),
            "weights_": parameters.weights(),
        }

    def _summary(self, evaluation: Evaluation | None) -> Summary:
        bound = np.asarray(getattr(self, "lower_bound_", -math.inf)).item()  # scikit-learn's may be an array of one
        mean_precision = np.asarray(self.mean_precision_, np.float64)
        nk = mean_precision - float(self.mean_precision_prior_)  # rows of the components
        if evaluation is None:
            evaluation = Evaluation(None, None, rows_behind(self) or float(nk.sum()))
        return summary_of(
            self,
            "Bayesian Gaussian mixture",
            evaluation,
            lower_bound=bound if math.isfinite(bound) and not is_stream(self) else None,
            n_effective_components=int((nk >= 1.0).sum()),
        )

    def _fitted_parameters(self, n_features, n_components=None):
        if n_components is None:
            n_components = len(self.mean_precision_)
        structure = self._structure
        weight_prior = WEIGHT_PRIORS[self.weight_concentration_prior_type]
        shape = structure.shape(n_components, n_features)
        return VariationalParameters(
            weight_prior,
            check_fitted_array(self, "weight_concentration_", weight_prior.shape(n_components)),
            check_fitted_array(self, "mean_precision_", (n_components,)),
            check_fitted_array(self, "means_", (n_components, n_features)),
            check_fitted_array(self, "degrees_of_freedom_", structure.masses(np.empty(n_components)).shape),
            check_fitted_array(self, "covariances_", shape),
            fitted_factors(self, shape),
        )
