r"""Marginals and conditionals of a mixture, for all components at once (Bishop 2006, section 2.3).

Features are known (o) or unknown (m). The upper-triangular factor :math:`U` of a precision :math:`U U^T`, with the
known features first, holds all that is needed:

.. math::
    U = \begin{pmatrix} U_{oo} & U_{om} \\ 0 & U_{mm} \end{pmatrix}, \qquad
    \Sigma_{oo}^{-1} = U_{oo} U_{oo}^T, \qquad
    \Sigma_{mo} \Sigma_{oo}^{-1} = -U_{mm}^{-T} U_{om}^T, \qquad
    \Sigma_{m \mid o} = U_{mm}^{-T} U_{mm}^{-1} .

Nothing is a difference of covariances, so a conditional covariance stays positive-definite however small it is.

With scale matrices for covariances, marginals of t distributions have the same degrees of freedom :math:`\nu`. Given d
known features at the squared distance q from the mean, the others have :math:`\nu + d`, and their scale matrix is
:math:`\Sigma_{m \mid o}` times :math:`(\nu + q) / (\nu + d)` (Kotz & Nadarajah, "Multivariate t distributions and
their applications", 2004, section 1.11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastgmm._model.covariance import DIAGONAL, FULL, CovarianceStructure, structure_of_type
from fastgmm._model.covariance.factors import inverses_of_triangles
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._model.student import StudentParameters


class Regression(NamedTuple):
    """The unknown features given the known ones, in each component: a linear function of these, and what remains.

    Attributes
    ----------
    matrices : ndarray of shape (K, n_unknown, n_known), or None
        A row x has the conditional mean ``means[unknown] + matrices @ (x - means[known])``. None: the features of a
        component are independent.
    covariances : ndarray of shape (K, n_unknown, n_unknown) or (K, n_unknown)
        Conditional covariances, or variances.
    known_factors : ndarray of shape (K, n_known, n_known) or (K, n_known)
        Factors of the precisions of the known features, or inverse standard deviations.
    """

    matrices: np.ndarray | None
    covariances: np.ndarray
    known_factors: np.ndarray


class Mixture(NamedTuple):
    """A mixture as float64 arrays, whatever its covariance type.

    Attributes
    ----------
    weights : ndarray of shape (K,)
    means : ndarray of shape (K, d)
    covariances : ndarray of shape (K, d, d), or variances of shape (K, d)
        One for each component, also if all share it. Those of t distributions are scale matrices.
    degrees_of_freedom : ndarray of shape (K,), or None
        Of t distributions; None for Gaussians.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    degrees_of_freedom: np.ndarray | None = None

    def marginal(self, features: Sequence[int]) -> Mixture:
        """The mixture of some features, in their order."""
        of_part = _part(self.covariances, features)
        return Mixture(self.weights, self.means[:, features], of_part, self.degrees_of_freedom)

    def regression(self, known: Sequence[int], unknown: Sequence[int]) -> Regression:
        """The regression of features on others. Together they may be fewer than all.

        Raises IllDefinedCovarianceError if a covariance is not positive-definite.
        """
        if self.covariances.ndim == 2:
            known_factors = DIAGONAL.precisions_cholesky(_part(self.covariances, known))
            return Regression(None, _part(self.covariances, unknown), known_factors)
        n_known = len(known)
        factors = FULL.precisions_cholesky(_part(self.covariances, [*known, *unknown]))
        inverses = inverses_of_triangles(factors[:, n_known:, n_known:])
        transposed = inverses.swapaxes(-1, -2)
        matrices = -transposed @ factors[:, :n_known, n_known:].swapaxes(-1, -2)
        return Regression(matrices, transposed @ inverses, factors[:, :n_known, :n_known])

    def conditional(self, known: Sequence[int], values: np.ndarray, responsibilities: np.ndarray) -> Mixture:
        """The mixture of the other features, given values of known ones and the responsibilities given these."""
        unknown = others(known, self.means.shape[1])
        of_known = self.regression(known, unknown)
        row = values[np.newaxis]
        means = conditional_means(self.means, of_known.matrices, known, unknown, row)[:, 0]
        if self.degrees_of_freedom is None:
            return Mixture(responsibilities, means, of_known.covariances)
        nu = self.degrees_of_freedom
        factors = inflations(nu, self.means[:, known], of_known.known_factors, row)[0]
        if not np.isfinite(factors).all():
            raise ValueError(
                f"values are so far from component {int(factors.argmax())} that its conditional variance overflows: "
                "pass values nearer to the rows of the fit."
            )
        scales = of_known.covariances * factors.reshape(-1, *[1] * (of_known.covariances.ndim - 1))
        return Mixture(responsibilities, means, scales, nu + len(known))

    def parameters(self, covariances: np.ndarray, factors: np.ndarray) -> MixtureParameters | StudentParameters:
        """Parameters with covariances, and factors of their inverses, in the shape of a structure."""
        if self.degrees_of_freedom is None:
            return MixtureParameters(self.weights, self.means, covariances, factors)
        return StudentParameters(self.weights, self.means, covariances, factors, self.degrees_of_freedom)

    def with_structure(self, structure: CovarianceStructure) -> MixtureParameters | StudentParameters:
        """The same with covariances in the shape of a structure, which they fulfill."""
        covariances = self.covariances[0] if structure.is_shared else self.covariances
        if not structure.shape_of_one(1):
            covariances = covariances[..., 0]
        return self.parameters(covariances, structure.precisions_cholesky(covariances))


def _part(covariances: np.ndarray, features: Sequence[int]) -> np.ndarray:
    """Rows and columns of matrices, or entries of variances."""
    numbers = np.asarray(features, np.intp)
    return covariances[:, numbers] if covariances.ndim == 2 else covariances[:, numbers[:, np.newaxis], numbers]


def inflations(nu: np.ndarray, means: np.ndarray, factors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """By what the known features of rows multiply the conditional scale matrices of t distributions.

    Parameters
    ----------
    nu : ndarray of shape (K,)
    means : ndarray of shape (K, n_known)
        Those of the known features.
    factors : ndarray of shape (K, n_known, n_known) or (K, n_known)
        The `known_factors` of a `Regression`.
    rows : ndarray of shape (n_rows, n_known)

    Returns
    -------
    inflations : ndarray of shape (n_rows, K)
    """
    squared = np.empty((len(rows), len(means)))
    for k, (mean, factor) in enumerate(zip(means, factors, strict=True)):
        whitened = (rows - mean) @ factor if factor.ndim == 2 else (rows - mean) * factor
        squared[:, k] = np.einsum("ij,ij->i", whitened, whitened)
    return (nu + squared) / (nu + means.shape[1])


def structure_of_part(structure: CovarianceStructure, own_volumes: bool = False) -> CovarianceStructure:
    """The structure of marginals and conditionals: the same one, or if they leave it, that of free covariances.

    `own_volumes` says whether each component has its own volume, whatever the structure is.
    """
    if own_volumes and structure.mclust_name == "EII":
        return structure_of_type("spherical")
    if structure.holds_for_parts and not (own_volumes and structure.mclust_name[:1] == "E"):
        return structure
    return structure_of_type("diag" if structure.kernel == "diag" else "full")


def conditional_means(
    means: np.ndarray, matrices: np.ndarray | None, known: Sequence[int], unknown: Sequence[int], rows: np.ndarray
) -> np.ndarray:
    """The mean of the unknown features in each component given the known ones, shape (K, n_rows, n_unknown).

    Parameters
    ----------
    means : ndarray of shape (K, n_features)
    matrices : ndarray of shape (K, n_unknown, n_known) or None
        Those of a `Regression`.
    known, unknown : sequence of int
    rows : ndarray of shape (n_rows, n_known)
    """
    found = np.empty((len(means), len(rows), len(unknown)))
    found[:] = means[:, np.newaxis, unknown]
    if matrices is not None:
        for k, mean in enumerate(means):
            found[k] += (rows - mean[known]) @ matrices[k].T
    return found


def others(features: Sequence[int], n_features: int) -> list[int]:
    """The numbers of all other features, in ascending order."""
    return [j for j in range(n_features) if j not in features]
