r"""The base of the structures that mclust has beside scikit-learn's (Celeux & Govaert, Pattern Recognition 28, 1995).

A covariance is :math:`\Sigma_k = \lambda_k D_k A_k D_k^T`. The volume :math:`\lambda_k` is a number, the shape
:math:`A_k` a diagonal matrix of determinant 1, and the orientation :math:`D_k` an orthogonal matrix. The three letters
of a name stand for volume, shape and orientation: E (equal in all components), V (varying) or I (identity).

An M step minimizes, over the covariances that the structure allows,

.. math::
    \sum_k n_k \big( \log \det \Sigma_k + \operatorname{tr}(\Sigma_k^{-1} S_k) \big) ,

where :math:`S_k` is the covariance of the rows of component k, with `reg_covar` added to its variances. So a covariance
with `reg_covar` is still one that the structure allows.
"""

from __future__ import annotations

import numpy as np

from fastgmm._model.covariance.structure import CovarianceStructure, any_of
from fastgmm._model.statistics import SufficientStatistics


class Parsimonious(CovarianceStructure):
    """A structure named by its three letters. A subclass adds the M step.

    Its arrays have an axis of components, whatever these share: they are those of `sklearn_name`.
    """

    def __init__(self, name: str):
        self.name = self.mclust_name = name

    def n_parameters(self, n_components, n_features):
        volume, shape, orientation = ({"E": 1, "V": n_components, "I": 0}[letter] for letter in self.name)
        return volume + shape * (n_features - 1) + orientation * n_features * (n_features - 1) // 2

    def keep(self, covariances, previous, components):
        """Nothing: in the M step components without rows have their previous covariances in place of those of rows."""

    def in_words(self, n_components, n_features):
        noun = "variance" if n_features == 1 else self.shape_in_words
        letters = self.name[:1] if n_features == 1 else self.name
        if n_components == 1:
            return f"one {noun}"
        if "V" not in letters:
            return f"all components share one {noun}"
        words = zip(letters, ("volume", "shape", "orientation"), strict=False)
        equal = [word for letter, word in words if letter == "E"]
        own = f"each component has its own {noun}"
        return f"{own}, all of the same {' and '.join(equal)}" if equal else own


def with_previous(
    of_rows: np.ndarray, statistics: SufficientStatistics, nk: np.ndarray, previous: np.ndarray | None
) -> np.ndarray:
    """Covariances of the rows, in place with the previous ones for components that have no rows.

    The divisors `nk` of such components are a few units of rounding, so what others share hardly depends on them.
    """
    is_empty = statistics.nk < nk
    if previous is not None and any_of(is_empty):
        of_rows[is_empty] = previous[is_empty]
    return of_rows
