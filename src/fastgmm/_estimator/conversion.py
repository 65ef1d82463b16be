"""Conversion to scikit-learn's estimators and back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from fastgmm._estimator.base import MixtureEstimator
from fastgmm._estimator.fitted import check_covariance_type
from fastgmm._estimator.noise import check_has_no_noise
from fastgmm._model.covariance import SKLEARN_TYPES
from fastgmm._utils.words import named_kind


class Conversion(MixtureEstimator):
    """`to_sklearn` and `from_sklearn`."""

    def to_sklearn(self) -> Any:
        """Copy the fitted model to an estimator of scikit-learn, for tools that need its class.

        Returns
        -------
        estimator : sklearn mixture
            Of the class of the same name in :mod:`sklearn.mixture`. It has copies of the fitted attributes and of all
            parameters that this class has. mclust's covariance types become 'full', 'diag' or 'spherical', which have
            arrays of the same shapes. Densities and labels are the same then, but `aic` and `bic` count more
            parameters, and a new fit has more freedom.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.
        ValueError
            If scikit-learn does not have the covariance type, or the mixture has a background (`noise`).

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> X = [[0, 0], [1, 1], [8, 8], [9, 9]]
        >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> type(gmm.to_sklearn())
        <class 'sklearn.mixture._gaussian_mixture.GaussianMixture'>
        """
        check_has_no_noise(self, "scikit-learn", "there is no mixture to convert to.")
        covariance_type = self._structure.sklearn_name
        if not covariance_type:
            raise ValueError(
                f"scikit-learn has no covariance_type={self.covariance_type!r}: only "
                f"{', '.join(map(repr, SKLEARN_TYPES))} and what they contain can be converted."
            )
        return copied(self, self._sklearn_class()).set_params(covariance_type=covariance_type)

    @classmethod
    def from_sklearn(cls, estimator: Any) -> Self:
        """Copy a fitted estimator of scikit-learn to one of this class.

        Parameters
        ----------
        estimator : sklearn mixture
            A fitted estimator of the class of the same name in :mod:`sklearn.mixture`.

        Returns
        -------
        estimator : object
            Of this class, with copies of all parameters and fitted attributes. Parameters that scikit-learn lacks have
            their defaults.

        Raises
        ------
        TypeError
            If the estimator is of another class.
        NotFittedError
            If it is not fitted.
        """
        if not isinstance(estimator, cls._sklearn_class):
            expected = f"a fitted sklearn.mixture.{cls._sklearn_class.__name__}"
            raise TypeError(f"Expected {expected}, got {named_kind(estimator)}: {_remedy(estimator, cls)}.")
        return copied(estimator, cls())


def _remedy(estimator, cls: type[MixtureEstimator]) -> str:
    """Advice for a user whose estimator cannot be converted."""
    if estimator is cls._sklearn_class:
        return "pass what its fit returns"
    start = hasattr(estimator, "cluster_centers_") and hasattr(cls(), "means_init")
    return f"fit a {cls.__name__} to the same rows" + (", with means_init=estimator.cluster_centers_" if start else "")


def copied(source, target):
    """`target`, with copies of the parameters that both have and of all fitted attributes of `source`."""
    check_is_fitted(source)
    check_covariance_type(source)
    names = [name for name in target.get_params(deep=False) if hasattr(source, name)]
    target.set_params(**{name: deepcopy(getattr(source, name)) for name in names})
    fitted = {name: value for name, value in vars(source).items() if name.endswith("_") and not name.startswith("_")}
    vars(target).update(deepcopy(fitted))
    return target
