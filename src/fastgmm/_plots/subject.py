"""What a picture shows: a fitted mixture, alone or in a search or a pipeline, some of its features, and rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm._estimator.fitted import check_covariance_type
from fastgmm._estimator.parameters import CRITERIA
from fastgmm._input.containers import column_names
from fastgmm._input.features import check_features, names_of_features
from fastgmm._input.rows import check_predict_data
from fastgmm._model.covariance import COVARIANCE_TYPES, accepted_names
from fastgmm._plots.affine import back_to_data
from fastgmm._plots.marginals import Marginal, mixture_in_units_of_data
from fastgmm._utils.words import named_kind


class Subject(NamedTuple):
    """A mixture and rows in the features that are drawn, in the units of the data.

    Attributes
    ----------
    predictor : estimator
        Predicts the components of rows with all features: the mixture, or the pipeline that ends in it.
    marginal : Marginal
        The mixture in the drawn features.
    names : list of str
        Of the drawn features.
    n_features : int
        Number of all features.
    X : array-like or None
        The data as given.
    rows : ndarray of shape (n_samples, n_drawn) or None
        The data in the drawn features.
    """

    predictor: Any
    marginal: Marginal
    names: list[str]
    n_features: int
    X: Any
    rows: np.ndarray | None

    def of(self, features: list[int]) -> Subject:
        """The same in some of the drawn features."""
        rows = None if self.rows is None else self.rows[:, features]
        return self._replace(marginal=self.marginal.of(features), names=[self.names[j] for j in features], rows=rows)

    def labels(self) -> np.ndarray:
        """The component of each row; -1 for a background."""
        return np.asarray(self.predictor.predict(self.X))

    def labels_and_largest(self) -> tuple[np.ndarray, np.ndarray]:
        """The component of each row given all features, -1 for a background, and its responsibility."""
        responsibilities = np.asarray(self.predictor.predict_proba(self.X))
        labels, largest = responsibilities.argmax(axis=1), responsibilities.max(axis=1)
        rest = 1.0 - responsibilities.sum(axis=1)
        return np.where(rest > largest, -1, labels), np.maximum(largest, rest)


def subject_of(given, X, features, at_most: int = 2, needs_rows: bool = False) -> Subject:
    """Check the arguments of a picture that draws at most so many features.

    By default these are the first ones if they are two, else those that separate the components most.
    """
    predictor, mixture, steps = unwrapped(given)
    _check_mixture(mixture)
    units = back_to_data(steps, mixture.means_.shape[1]) if steps else None
    n_features = mixture.means_.shape[1]
    reader = _first_step(predictor)
    names = names_of_features(getattr(reader, "feature_names_in_", column_names(X)), n_features)
    whole = mixture_in_units_of_data(mixture, units)
    if features is None:
        numbers = list(range(min(n_features, 2))) if at_most == 2 else whole.most_separating(at_most)
    else:
        numbers = check_features(features, names, at_most)
    rows = check_predict_data(reader, X)[:, numbers] if X is not None or needs_rows else None
    return Subject(predictor, whole.of(numbers), [names[j] for j in numbers], n_features, X, rows)


def unwrapped(given) -> tuple[Any, Any, list[tuple[str, Any]]]:
    """What predicts from rows of data, the mixture in it, and the steps of pipelines before the mixture."""
    if getattr(given, "criterion", None) in CRITERIA:
        check_is_fitted(given, "best_estimator_")
    if hasattr(given, "best_estimator_"):
        return unwrapped(given.best_estimator_)
    if hasattr(given, "steps"):
        *steps, (_, last) = given.steps
        _, mixture, further = unwrapped(last)
        return given, mixture, [*steps, *further]
    return given, given, []


def _first_step(predictor):
    """The estimator that the rows of data meet first."""
    for _, step in getattr(predictor, "steps", ()):
        if step is not None and step != "passthrough":
            return _first_step(step)
    return predictor


def _check_mixture(mixture) -> None:
    """Raise TypeError or NotFittedError unless it is like a fitted mixture of scikit-learn."""
    if getattr(mixture, "covariance_type", None) not in accepted_names() or not hasattr(mixture, "fit"):
        raise TypeError(
            f"mixture must be a Gaussian mixture with one of the covariance types {', '.join(COVARIANCE_TYPES)}. Got "
            f"{named_kind(mixture)} instead. Pass the fitted mixture itself, a fitted search or a fitted pipeline that "
            "ends in one first, then the data."
        )
    check_is_fitted(mixture, ("weights_", "means_", "precisions_cholesky_"))
    check_covariance_type(mixture, ("precisions_cholesky_",))
