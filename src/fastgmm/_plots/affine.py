"""The steps of a pipeline before its mixture, as a map back to the units of the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from fastgmm._utils.words import named_kind


class AffineMap(NamedTuple):
    """Maps rows z to ``z @ matrix + offset``.

    Attributes
    ----------
    matrix : ndarray of shape (n_features, n_features)
    offset : ndarray of shape (n_features,)
    """

    matrix: np.ndarray
    offset: np.ndarray

    def of_means(self, means: np.ndarray) -> np.ndarray:
        return means @ self.matrix + self.offset

    def of_covariances(self, covariances: np.ndarray) -> np.ndarray:
        return self.matrix.T @ covariances @ self.matrix


def back_to_data(steps: Sequence[tuple[str, Any]], n_features: int) -> AffineMap:
    """The map from what the steps return to what they get. Raises TypeError if a step has no affine inverse."""
    found = AffineMap(np.eye(n_features), np.zeros(n_features))
    for name, step in reversed(steps):
        inverse = _inverse(name, step)
        if inverse is not None:
            found = AffineMap(found.matrix @ inverse.matrix, found.offset @ inverse.matrix + inverse.offset)
    return found


def _inverse(name: str, step) -> AffineMap | None:
    """The inverse of one step, None if it changes nothing."""
    if step is None or step == "passthrough":
        return None
    check_is_fitted(step)
    if isinstance(step, Pipeline):
        return back_to_data(step.steps, step.n_features_in_)
    make = _INVERSES.get(type(step))  # a subclass may transform in another way
    inverse = None if make is None or getattr(step, "clip", False) else make(step)
    if inverse is None or not inverse.matrix.any(axis=1).all():
        known = ", ".join(kind.__name__ for kind in _INVERSES)
        raise TypeError(
            f"The step {name!r} of the pipeline, {named_kind(step)}, cannot be undone by an affine map, so the mixture "
            f"cannot be drawn in the units of X. {known} can, if they keep all features and clip nothing. Draw in the "
            "units of the mixture: pass pipeline[-1] and pipeline[:-1].transform(X)."
        )
    return inverse


def _of_scaler(scale: np.ndarray | None, offset: np.ndarray | None, n_features: int) -> AffineMap:
    matrix = np.eye(n_features) if scale is None else np.diag(np.asarray(scale, dtype=np.float64))
    return AffineMap(matrix, np.zeros(n_features) if offset is None else np.asarray(offset, dtype=np.float64))


def _of_standard(step: StandardScaler) -> AffineMap:
    return _of_scaler(step.scale_, step.mean_ if step.with_mean else None, step.n_features_in_)


def _of_min_max(step: MinMaxScaler) -> AffineMap:
    return _of_scaler(1.0 / step.scale_, -step.min_ / step.scale_, step.n_features_in_)


def _of_max_abs(step: MaxAbsScaler) -> AffineMap:
    return _of_scaler(step.scale_, None, step.n_features_in_)


def _of_robust(step: RobustScaler) -> AffineMap:
    return _of_scaler(step.scale_, step.center_, step.n_features_in_)


def _of_pca(step: PCA) -> AffineMap | None:
    components = np.asarray(step.components_, dtype=np.float64)
    if len(components) < step.n_features_in_:
        return None
    if step.whiten:
        components = np.sqrt(step.explained_variance_)[:, np.newaxis] * components
    return AffineMap(components, np.asarray(step.mean_, dtype=np.float64))


_INVERSES: dict[type, Callable[[Any], AffineMap | None]] = {
    StandardScaler: _of_standard,
    MinMaxScaler: _of_min_max,
    MaxAbsScaler: _of_max_abs,
    RobustScaler: _of_robust,
    PCA: _of_pca,
}
