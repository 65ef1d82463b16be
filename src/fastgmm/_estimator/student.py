"""The model and fitted attributes of `StudentTMixture`, in memory and on dask."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import DensityMixin

from fastgmm._estimator.fitted import check_fitted_array, fitted_factors, mixture_attributes
from fastgmm._estimator.inference import Inference
from fastgmm._estimator.information import InformationCriteria
from fastgmm._estimator.initial import check_means, check_precisions_init, check_weights_init
from fastgmm._estimator.sampling import draw_rows
from fastgmm._model.gaussian import InitialValues
from fastgmm._model.student import StudentParameters, StudentT, n_free_parameters_of_t
from fastgmm._utils.annotations import DegreesOfFreedom, FloatArray, IntArray, RandomState


class StudentMixture(DensityMixin, InformationCriteria):
    """The mixture of t distributions, fitted by maximum likelihood."""

    degrees_of_freedom: DegreesOfFreedom
    weights_init: ArrayLike | None
    means_init: ArrayLike | None
    precisions_init: ArrayLike | None

    scales_: FloatArray
    degrees_of_freedom_: FloatArray

    acceleration = None
    _sklearn_class = DensityMixin  # scikit-learn has no such mixture
    _weights_count_rows = False
    _in_words = "Mixture of t distributions"
    _doc_link_module = ""

    score = Inference.score  # not that of DensityMixin

    def _model(self, passes):
        structure, n_components, n_features = self._structure, self.n_components, passes.n_features
        given = InitialValues(
            check_weights_init(self.weights_init, n_components),
            check_means(self.means_init, "means_init", (n_components, n_features)),
            check_precisions_init(self.precisions_init, structure, n_components, n_features),
        )
        shape = n_components, n_features
        return StudentT(structure, *shape, passes.dtype, self.reg_covar, given, self.degrees_of_freedom)

    _further_model = _model

    def _fitted_attributes(self, parameters, model):
        return mixture_attributes(parameters, model.structure)

    def _fitted_parameters(self, n_features, n_components=None):
        if n_components is None:
            n_components = len(self.weights_)
        shape = self._structure.shape(n_components, n_features)
        return StudentParameters(
            check_fitted_array(self, "weights_", (n_components,)),
            check_fitted_array(self, "means_", (n_components, n_features)),
            check_fitted_array(self, "scales_", shape),
            fitted_factors(self, shape),
            check_fitted_array(self, "degrees_of_freedom_", (n_components,)),
        )

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
            The rows, sorted by component.

        y : ndarray of shape (n_samples,), dtype int64
            The component of each row.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        TypeError, ValueError
            If `n_samples` is not a positive integer.
        """
        return super().sample(n_samples, random_state=random_state)

    def _draw(self, n_samples, random):
        rows, labels = draw_rows(self, n_samples, random)
        n_components, n_features = np.shape(self.means_)
        parameters = self._fitted_parameters(n_features, n_components)
        means, nu = parameters.means[labels], parameters.degrees_of_freedom[labels]
        u = np.maximum(random.chisquare(nu) / nu, np.finfo(np.float64).tiny)
        return means + (rows - means) / np.sqrt(u)[:, np.newaxis], labels

    def _n_parameters(self) -> int:
        n_components, n_features = self.means_.shape
        return n_free_parameters_of_t(self._structure, n_components, n_features, self.degrees_of_freedom)
