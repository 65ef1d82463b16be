r"""What differs between the covariance types, and the M step computed from sufficient statistics.

All arithmetic here is float64 on arrays of the size of the parameters; no row of the data is ever seen.

M step (Bishop 2006, eqs. 9.24-9.27) from sums about a center :math:`c_k`, with :math:`\delta_k = \mu_k - c_k`:

.. math::
    \mu_k &= c_k + s_k / n_k \\
    n_k \Sigma_k &= S_k - s_k \delta_k^T - \delta_k s_k^T + n_k \delta_k \delta_k^T

A component has no rows if :math:`n_k` is at most ten units of rounding. It keeps the mean and the covariance that it
had, so that nothing depends on where the origin of the coordinates is. In the weights ten units of rounding are added
to each mass, as in scikit-learn: rows that return find the component again.

A variance counts as 0 if it is no greater than the rounding of what it is computed from: of the values, which are known
to a unit of rounding, and of the squared differences from the center, where the mean has moved far from it.

The precision is kept as its upper-triangular factor :math:`U_k` with :math:`\Sigma_k^{-1} = U_k U_k^T`, that is
:math:`U_k = L_k^{-T}` for the Cholesky factor :math:`\Sigma_k = L_k L_k^T`. Triangular inversion, unlike an LU-based
inverse, does not mind columns of very different scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from scipy.linalg.lapack import dtrtri

from fastgmm._model.statistics import SufficientStatistics
from fastgmm._utils.errors import IllDefinedCovarianceError

# A squared move of the mean that exceeds the variance by more than this factor costs too many digits of the scatter.
_MAX_SQUARED_SHIFT = {np.dtype(np.float64): 1e3, np.dtype(np.float32): 10.0}

# What rounding is, for each type of data.
_EPS = {np.dtype(dtype): float(np.finfo(dtype).eps) for dtype in (np.float64, np.float32)}

# Units of rounding in a difference of sums of squares, of terms as large as the squared move of the mean.
_SQUARES_ROUNDING = 8.0

# A share of the variance of all rows that is no more than rounding.
_NOTHING = 1e-12


class Components(Protocol):
    """What passes over the rows need to know of a mixture, but those of a fit that skip pairs."""

    @property
    def means(self) -> np.ndarray:
        """Shape (n_components, n_features)."""

    @property
    def precisions_cholesky(self) -> np.ndarray:
        """Factors of the precisions, in the shape of the covariance type."""

    def log_weights(self) -> np.ndarray:
        """Shape (n_components,)."""

    def log_normalizer(self, covariance_type: str) -> np.ndarray:
        """What is added to minus half the squared whitened distance to give the log-density, shape (n_components,)."""


class Mixture(Components, Protocol):
    """What iterations need to know."""

    @property
    def covariances(self) -> np.ndarray:
        """In the shape of the covariance type."""


@dataclass(frozen=True, slots=True)
class MixtureParameters:
    """Parameters of a Gaussian mixture, all float64; shapes as the covariance type says.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_features)
    covariances : ndarray
        Shape (K, d, d) for 'full', (d, d) for 'tied', (K, d) for 'diag' and (K,) for 'spherical'.
    precisions_cholesky : ndarray
        Upper-triangular factors (inverse standard deviations for 'diag' and 'spherical'), shaped like `covariances`.
    is_empty : ndarray of bool of shape (n_components,), or None
        Which components had no rows when the parameters were estimated; None if they were not estimated from rows.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray
    is_empty: np.ndarray | None = None

    def log_weights(self) -> np.ndarray:
        """Shape (n_components,)."""
        with np.errstate(divide="ignore"):  # a component of weight 0 has log-weight -inf, and takes no rows
            return np.log(self.weights)

    def log_normalizer(self, covariance_type: str) -> np.ndarray:
        """log w_k plus `log_gaussian_normalizer`."""
        return self.log_weights() + log_gaussian_normalizer(
            self.precisions_cholesky, covariance_type, self.means.shape[1]
        )


class Moments(NamedTuple):
    """What statistics say of each component: its mass, not normalized, its mean and its covariance.

    `nk` is enlarged by ten units of rounding; `is_empty` says where it was no more than that before. `shifts` is how
    much of the mean squares about the statistics' centers is due to the means' distance from these.
    """

    nk: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    shifts: np.ndarray
    is_empty: np.ndarray


class CovarianceType(Protocol):
    """The operations that differ between covariance types; one entry of `COVARIANCE_TYPES` each.

    K is the number of components and d the number of features; `structure` names the kernels that serve the type.
    """

    structure: str

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of covariances, precisions and their factors."""

    def prior_shape(self, n_features: int) -> tuple[int, ...]:
        """Shape of a single covariance."""

    def scatter_shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of the scatter that a pass over the rows fills."""

    def kernel_precisions_cholesky(self, precisions_cholesky: np.ndarray, n_features: int) -> np.ndarray:
        """The factors as the kernels read them: (K or 1, d, d) for structure 'full', (K, d) for 'diag'."""

    def covariances(
        self, statistics: SufficientStatistics, delta: np.ndarray, nk: np.ndarray, reg_covar: float, noise: np.ndarray
    ) -> np.ndarray:
        """Covariances about the moved means `centers + delta`, for the divisors `nk`.

        Variances of features that are not greater than `noise`, shape (K, d), count as 0."""

    def scatter(self, sums: np.ndarray, nk: np.ndarray, reg_covar: float, n_features: int) -> np.ndarray:
        """The way back: scatter about the means, from `masses` times covariances that `reg_covar` was added to."""

    def keep(self, covariances: np.ndarray, before: np.ndarray, components: np.ndarray) -> None:
        """Give the components of a mask the covariances that they had before, in place."""

    def averaged(self, squares: np.ndarray, nk: np.ndarray) -> np.ndarray:
        """Squares for each component and feature, shape (K, d), averaged as `variances` are."""

    def variances(self, covariances: np.ndarray) -> np.ndarray:
        """Diagonals of the covariances."""

    def masses(self, nk: np.ndarray) -> np.ndarray:
        """The number of rows behind each covariance: shape (K,) or, for a shared one, the mean of all, ()."""

    def per_covariance(self, values: np.ndarray) -> np.ndarray:
        """Numbers as `masses` gives them, in a shape that broadcasts against the covariances."""

    def outer_products(self, weights: np.ndarray, differences: np.ndarray) -> np.ndarray:
        """Weighted outer products of each component's differences with themselves, averaged where it is shared."""

    def spread(self, covariances: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        """A covariance for each component: variances (K, d) for structure 'diag', else matrices (K, d, d)."""

    def from_spread(self, spread: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """What this type makes of the spread of another, or of its own."""

    def collapsed(self, covariances: np.ndarray, whole: np.ndarray, reg_covar: float) -> np.ndarray:
        """Which have little more variance than reg_covar, or rounding, where `whole`, that of all rows, has more.

        Shape (K,) or, for a shared one, (1,)."""

    def precisions_cholesky(self, covariances: np.ndarray) -> np.ndarray:
        """Factors of the precisions; IllDefinedCovarianceError when a covariance is not positive-definite."""

    def precisions_cholesky_from_precisions(self, precisions: np.ndarray) -> np.ndarray:
        """The same factors from the precisions; LinAlgError when one is not positive-definite."""

    def covariances_from_cholesky(self, precisions_cholesky: np.ndarray) -> np.ndarray:
        """Covariances that belong to the factors of the precisions."""

    def precisions(self, precisions_cholesky: np.ndarray) -> np.ndarray:
        """Precisions that belong to their factors."""

    def log_det(self, precisions_cholesky: np.ndarray, n_features: int) -> np.ndarray:
        """Log-determinants of the factors, shape (K,) or, for a shared one, ()."""

    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Number of free covariance parameters."""

    def times(self, rows: np.ndarray, covariances: np.ndarray) -> np.ndarray:
        """Row k times the covariance, or precision, of component k."""

    def congruent(self, matrices: np.ndarray, covariances: np.ndarray) -> np.ndarray:
        """C M C for each covariance, or precision, C and a matrix M of the same shape."""

    def information(self, masses: np.ndarray, n_features: int) -> np.ndarray:
        """i such that i P M P is the Fisher information of components of these masses times M; P is the precision."""

    def exceed(self, covariances: np.ndarray, floor: float) -> bool:
        """Whether all variances in all directions are greater than `floor`."""


def _ill_defined(which: str, covariances: np.ndarray) -> IllDefinedCovarianceError:
    """The error about a covariance of a component, or of all."""
    what = "not positive-definite" if np.isfinite(covariances).all() else "not finite: values are too large"
    return IllDefinedCovarianceError(
        "Fitting the mixture model failed because some components have ill-defined empirical covariance (for instance "
        "caused by singleton or collapsed samples). Try to decrease the number of components, increase reg_covar, or "
        f"scale the input data. In floating point {which} is {what}."
    )


def transposed_inverses(triangles: np.ndarray) -> np.ndarray:
    """L^-T for each lower-triangular matrix of a C-contiguous stack: upper-triangular again."""
    inverses = np.empty_like(triangles)
    for k, triangle in enumerate(triangles):
        inverses[k] = dtrtri(triangle.T, lower=0)[0]  # .T is L^T in the memory order that LAPACK wants: no copy
    return inverses


def _factors_of_inverses(matrices: np.ndarray) -> np.ndarray | None:
    """Upper U with U U^T the inverse of each matrix of a stack, or None if one is not finite and positive-definite."""
    if matrices.shape[-1] == 1:
        return 1.0 / np.sqrt(matrices) if _are_positive(matrices) else None
    try:
        factors = transposed_inverses(np.linalg.cholesky(matrices))
    except np.linalg.LinAlgError:
        return None
    return factors if np.isfinite(matrices).all() and np.isfinite(factors).all() else None


def _are_positive(values: np.ndarray) -> bool:
    """Whether all are finite and greater than 0."""
    return bool(values.min() > 0.0 and values.max() < math.inf)


def _reversed_axes(matrices: np.ndarray) -> np.ndarray:
    """J A J with the exchange matrix J: rows and columns in reverse order."""
    return matrices[..., ::-1, ::-1]


def _cholesky_of_precisions(matrices: np.ndarray) -> np.ndarray:
    """Upper U with U U^T = P: if J P J = L L^T then U = J L J."""
    return np.ascontiguousarray(_reversed_axes(np.linalg.cholesky(_reversed_axes(matrices))))


def _log_diagonal_sum(matrices: np.ndarray) -> np.ndarray:
    return np.log(matrices.diagonal(axis1=-2, axis2=-1)).sum(axis=-1)


def _covariances_of_cholesky(matrices: np.ndarray) -> np.ndarray:
    """(U U^T)^-1 = (U^-T)(U^-T)^T for a stack of upper-triangular U."""
    inverses = transposed_inverses(np.ascontiguousarray(matrices.swapaxes(-1, -2)))  # U^T is lower: gives U^-1
    return inverses.swapaxes(-1, -2) @ inverses


def _diagonals(matrices: np.ndarray) -> np.ndarray:
    """Diagonals of a C-contiguous stack of matrices, as a view that can be written to."""
    n = matrices.shape[-1]
    return matrices.reshape(*matrices.shape[:-2], n * n)[..., :: n + 1]


def _regularize(covariances: np.ndarray, reg_covar: float, noise: np.ndarray) -> np.ndarray:
    """Add `reg_covar` to the variances of a stack, in place; those that are not greater than `noise` count as 0."""
    variances = _diagonals(covariances)
    is_noise = variances <= noise
    if _any(is_noise):
        is_noise &= np.isfinite(variances)  # an infinite one is an error
        covariances[is_noise[:, :, np.newaxis] | is_noise[:, np.newaxis]] = 0.0
    variances += reg_covar
    return covariances


def _any(mask: np.ndarray) -> bool:
    """As `mask.any()`, without what that costs for a few numbers."""
    return bool(np.logical_or.reduce(mask, axis=None))


def _are_positive_definite(matrices: np.ndarray, floor: float) -> bool:
    """Whether all eigenvalues of a stack of matrices are greater than `floor`."""
    reduced = matrices.copy()
    diagonals = _diagonals(reduced)
    diagonals -= floor
    try:
        factors = np.linalg.cholesky(reduced)
    except np.linalg.LinAlgError:
        return False
    return bool(np.isfinite(factors).all())


def _as_matrices(spread: np.ndarray) -> np.ndarray:
    """Variances (K, d) as diagonal matrices; matrices stay as they are."""
    return spread if spread.ndim == 3 else spread[:, :, np.newaxis] * np.eye(spread.shape[1])


def _collapsed_matrices(matrices: np.ndarray, whole: np.ndarray, reg_covar: float) -> np.ndarray:
    """In units of the features' deviations, so that their scales do not matter."""
    variances = np.diagonal(whole).copy()
    variances[variances <= 0.0] = 1.0
    units = np.sqrt(np.outer(variances, variances))
    values, vectors = np.linalg.eigh(whole / units - np.diag(10.0 * reg_covar / variances))
    directions = vectors[:, values > 1e-10]
    if directions.shape[1] == 0:
        return np.zeros(len(matrices), dtype=bool)
    excess = matrices / units - np.diag(2.0 * reg_covar / variances + _NOTHING)
    return np.linalg.eigvalsh(directions.T @ excess @ directions)[:, 0] < 0.0


class _Full:
    structure = "full"

    def shape(self, n_components, n_features):
        return (n_components, n_features, n_features)

    def prior_shape(self, n_features):
        return (n_features, n_features)

    def scatter_shape(self, n_components, n_features):
        return (n_components, n_features, n_features)

    def kernel_precisions_cholesky(self, precisions_cholesky, n_features):
        return precisions_cholesky

    def covariances(self, statistics, delta, nk, reg_covar, noise):
        covariances = statistics.scatter_about(delta)
        covariances /= nk[:, np.newaxis, np.newaxis]
        return _regularize(covariances, reg_covar, noise)

    def scatter(self, sums, nk, reg_covar, n_features):
        scatter = sums.copy()
        diagonals = _diagonals(scatter)
        diagonals -= reg_covar * nk[:, np.newaxis]
        return scatter

    def keep(self, covariances, before, components):
        covariances[components] = before[components]

    def averaged(self, squares, nk):
        return squares

    def variances(self, covariances):
        return covariances.diagonal(axis1=1, axis2=2)

    def masses(self, nk):
        return nk

    def per_covariance(self, values):
        return values[:, np.newaxis, np.newaxis]

    def outer_products(self, weights, differences):
        return (weights[:, np.newaxis] * differences)[:, :, np.newaxis] * differences[:, np.newaxis]

    def spread(self, covariances, n_components, n_features):
        return covariances

    def from_spread(self, spread, weights):
        return _as_matrices(spread)

    def collapsed(self, covariances, whole, reg_covar):
        return _collapsed_matrices(covariances, whole, reg_covar)

    def precisions_cholesky(self, covariances):
        factors = _factors_of_inverses(covariances)
        if factors is None:
            component = next(
                k for k, matrix in enumerate(covariances) if _factors_of_inverses(matrix[np.newaxis]) is None
            )
            raise _ill_defined(f"the covariance of component {component}", covariances[component])
        return factors

    def precisions_cholesky_from_precisions(self, precisions):
        return _cholesky_of_precisions(precisions)

    def covariances_from_cholesky(self, precisions_cholesky):
        return _covariances_of_cholesky(precisions_cholesky)

    def precisions(self, precisions_cholesky):
        return precisions_cholesky @ precisions_cholesky.swapaxes(-1, -2)

    def log_det(self, precisions_cholesky, n_features):
        return _log_diagonal_sum(precisions_cholesky)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features * (n_features + 1) // 2

    def times(self, rows, covariances):
        return (rows[:, np.newaxis] @ covariances)[:, 0]

    def congruent(self, matrices, covariances):
        return covariances @ matrices @ covariances

    def information(self, masses, n_features):
        return 0.5 * masses[:, np.newaxis, np.newaxis]

    def exceed(self, covariances, floor):
        return _are_positive_definite(covariances, floor)


class _Tied:
    structure = "full"

    def shape(self, n_components, n_features):
        return (n_features, n_features)

    def prior_shape(self, n_features):
        return (n_features, n_features)

    def scatter_shape(self, n_components, n_features):
        return (1, n_features, n_features)

    def kernel_precisions_cholesky(self, precisions_cholesky, n_features):
        return precisions_cholesky[np.newaxis]

    def covariances(self, statistics, delta, nk, reg_covar, noise):
        covariance = statistics.scatter_about(delta)
        covariance /= nk.sum()
        return _regularize(covariance, reg_covar, self.averaged(noise, nk))[0]

    def scatter(self, sums, nk, reg_covar, n_features):
        scatter = len(nk) * sums[np.newaxis]
        diagonals = _diagonals(scatter)
        diagonals -= reg_covar * nk.sum()
        return scatter

    def keep(self, covariances, before, components):
        pass  # the covariance is that of all rows

    def averaged(self, squares, nk):
        return nk @ squares / nk.sum()

    def variances(self, covariances):
        return np.diagonal(covariances)

    def masses(self, nk):
        return nk.sum() / len(nk)

    def per_covariance(self, values):
        return values

    def outer_products(self, weights, differences):
        return (weights[:, np.newaxis] * differences).T @ differences / len(weights)

    def spread(self, covariances, n_components, n_features):
        return np.tile(covariances, (n_components, 1, 1))

    def from_spread(self, spread, weights):
        return _as_matrices(np.average(spread, axis=0, weights=weights)[np.newaxis])[0]

    def collapsed(self, covariances, whole, reg_covar):
        return _collapsed_matrices(covariances[np.newaxis], whole, reg_covar)

    def precisions_cholesky(self, covariances):
        factors = _factors_of_inverses(covariances[np.newaxis])
        if factors is None:
            raise _ill_defined("the covariance that all components share", covariances)
        return factors[0]

    def precisions_cholesky_from_precisions(self, precisions):
        return _cholesky_of_precisions(precisions)

    def covariances_from_cholesky(self, precisions_cholesky):
        return _covariances_of_cholesky(precisions_cholesky[np.newaxis])[0]

    def precisions(self, precisions_cholesky):
        return precisions_cholesky @ precisions_cholesky.T

    def log_det(self, precisions_cholesky, n_features):
        return _log_diagonal_sum(precisions_cholesky)

    def n_parameters(self, n_components, n_features):
        return n_features * (n_features + 1) // 2

    def times(self, rows, covariances):
        return rows @ covariances

    def congruent(self, matrices, covariances):
        return covariances @ matrices @ covariances

    def information(self, masses, n_features):
        return 0.5 * masses.sum()

    def exceed(self, covariances, floor):
        return _are_positive_definite(covariances, floor)


class _Diag:
    structure = "diag"

    def shape(self, n_components, n_features):
        return (n_components, n_features)

    def prior_shape(self, n_features):
        return (n_features,)

    def scatter_shape(self, n_components, n_features):
        return (n_components, n_features)

    def kernel_precisions_cholesky(self, precisions_cholesky, n_features):
        return precisions_cholesky

    def covariances(self, statistics, delta, nk, reg_covar, noise):
        variances = statistics.scatter_about(delta) / nk[:, np.newaxis]
        is_noise = variances <= noise
        if _any(is_noise):
            variances[is_noise & np.isfinite(variances)] = 0.0
        variances += reg_covar
        return variances

    def scatter(self, sums, nk, reg_covar, n_features):
        return sums - reg_covar * nk[:, np.newaxis]

    def keep(self, covariances, before, components):
        covariances[components] = before[components]

    def averaged(self, squares, nk):
        return squares

    def variances(self, covariances):
        return covariances

    def masses(self, nk):
        return nk

    def per_covariance(self, values):
        return values[:, np.newaxis]

    def outer_products(self, weights, differences):
        return weights[:, np.newaxis] * (differences * differences)

    def spread(self, covariances, n_components, n_features):
        return covariances

    def from_spread(self, spread, weights):
        return spread.copy() if spread.ndim == 2 else spread.diagonal(axis1=1, axis2=2).copy()

    def collapsed(self, covariances, whole, reg_covar):
        small = covariances < np.maximum(2.0 * reg_covar, _NOTHING * whole)
        return (small & (whole > 10.0 * reg_covar)).reshape(len(covariances), -1).any(axis=1)

    def precisions_cholesky(self, covariances):
        if not _are_positive(covariances):
            component = next(k for k, variances in enumerate(covariances) if not _are_positive(variances))
            raise _ill_defined(f"the covariance of component {component}", covariances[component])
        return 1.0 / np.sqrt(covariances)

    def precisions_cholesky_from_precisions(self, precisions):
        if not (precisions > 0.0).all():
            raise np.linalg.LinAlgError("not positive")
        return np.sqrt(precisions)

    def covariances_from_cholesky(self, precisions_cholesky):
        return 1.0 / precisions_cholesky**2

    def precisions(self, precisions_cholesky):
        return precisions_cholesky**2

    def log_det(self, precisions_cholesky, n_features):
        return np.log(precisions_cholesky).sum(axis=1)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def times(self, rows, covariances):
        return rows * covariances

    def congruent(self, matrices, covariances):
        return covariances * matrices * covariances

    def information(self, masses, n_features):
        return 0.5 * masses[:, np.newaxis]

    def exceed(self, covariances, floor):
        return bool(covariances.min() > floor)


class _Spherical(_Diag):
    """The diagonal type with one variance a component: the mean over the features."""

    def shape(self, n_components, n_features):
        return (n_components,)

    def prior_shape(self, n_features):
        return ()

    def kernel_precisions_cholesky(self, precisions_cholesky, n_features):
        return np.repeat(precisions_cholesky[:, np.newaxis], n_features, axis=1)

    def covariances(self, statistics, delta, nk, reg_covar, noise):
        return super().covariances(statistics, delta, nk, 0.0, noise).mean(axis=1) + reg_covar

    def scatter(self, sums, nk, reg_covar, n_features):
        return super().scatter(np.repeat(sums[:, np.newaxis], n_features, axis=1), nk, reg_covar, n_features)

    def averaged(self, squares, nk):
        return squares.mean(axis=1)

    def per_covariance(self, values):
        return values

    def outer_products(self, weights, differences):
        return super().outer_products(weights, differences).mean(axis=1)

    def spread(self, covariances, n_components, n_features):
        return np.repeat(covariances[:, np.newaxis], n_features, axis=1)

    def from_spread(self, spread, weights):
        return super().from_spread(spread, weights).mean(axis=1)

    def log_det(self, precisions_cholesky, n_features):
        return n_features * np.log(precisions_cholesky)

    def n_parameters(self, n_components, n_features):
        return n_components

    def times(self, rows, covariances):
        return rows * covariances[:, np.newaxis]

    def information(self, masses, n_features):
        return 0.5 * n_features * masses


COVARIANCE_TYPES: dict[str, CovarianceType] = {
    "full": _Full(),
    "tied": _Tied(),
    "diag": _Diag(),
    "spherical": _Spherical(),
}


def estimate_moments(
    statistics: SufficientStatistics,
    covariance_type: str,
    reg_covar: float,
    dtype=np.float64,
    means: np.ndarray | None = None,
    covariances_before: np.ndarray | None = None,
) -> Moments:
    """Masses, means and covariances of all components.

    Parameters
    ----------
    statistics : SufficientStatistics
    covariance_type : {'full', 'tied', 'diag', 'spherical'}
    reg_covar : float
        Added to the diagonals of the covariances.
    dtype : dtype, default=np.float64
        The type of the data, which says what rounding is.
    means : ndarray of shape (n_components, n_features), default=None
        Take the covariances about these means. None: about the means of the rows.
    covariances_before : ndarray, default=None
        What components without rows keep; their means are the centers of the statistics. None: they get `reg_covar`.

    Returns
    -------
    Moments
    """
    covariance = COVARIANCE_TYPES[covariance_type]
    nk, centers = statistics.nk, statistics.centers
    floor = 10.0 * _EPS[np.dtype(dtype)]
    is_empty = nk <= floor
    some_are_empty = _any(is_empty)
    divisors = np.maximum(nk, floor) if some_are_empty else nk
    if means is None:
        delta = statistics.sum_x / divisors[:, np.newaxis]
        if some_are_empty:
            delta[is_empty] = 0.0
        means = centers + delta
    else:
        delta = means - centers
    squares = delta * delta
    noise = variance_noise(means, squares, dtype)
    covariances = covariance.covariances(statistics, delta, divisors, reg_covar, noise)
    if some_are_empty and covariances_before is not None:
        covariance.keep(covariances, covariances_before, is_empty)
    return Moments(nk + floor, means, covariances, covariance.averaged(squares, divisors), is_empty)


def variance_noise(means: np.ndarray, squared_shifts: np.ndarray, dtype) -> np.ndarray:
    """The variance that rounding gives to a feature that has none, shape (n_components, n_features).

    Parameters
    ----------
    means : ndarray of shape (n_components, n_features)
    squared_shifts : ndarray of shape (n_components, n_features)
        Squared distances of the means from the centers of the sums.
    dtype : dtype
        Of the data, and of their differences from the centers.
    """
    eps = _EPS[np.dtype(dtype)]
    return np.square(eps * means) + _SQUARES_ROUNDING * eps * squared_shifts


def is_accurate(moments: Moments, covariances: np.ndarray, covariance_type: str, dtype=np.float64) -> bool:
    """Whether the sums behind the moments were taken close enough to the means; if not, take them about the means.

    The scatter about the new mean is a difference; where the mean moved by many standard deviations (a bad start, a
    component that jumps) it loses digits in proportion to the squared move over the variance. Sums about the new mean
    lose nothing. `covariances` are those that are to be accurate: the moments' own, or what a prior makes of them.
    """
    variances = COVARIANCE_TYPES[covariance_type].variances(covariances)
    return not (moments.shifts > _MAX_SQUARED_SHIFT[np.dtype(dtype)] * variances).any()


def log_gaussian_normalizer(precisions_cholesky: np.ndarray, covariance_type: str, n_features: int) -> np.ndarray:
    """log det U_k - d/2 log(2 pi): what a Gaussian log-density adds to its quadratic form, shape (K,) or ()."""
    log_det = COVARIANCE_TYPES[covariance_type].log_det(precisions_cholesky, n_features)
    return log_det - 0.5 * n_features * math.log(2.0 * math.pi)


def kernel_parameters(mixture: Components, covariance_type: str, dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, factors (3-D, diagonals as (K, 1, d)) and log-normalizers as the kernels take them for rows of a dtype."""
    n_features = mixture.means.shape[1]
    factors = COVARIANCE_TYPES[covariance_type].kernel_precisions_cholesky(mixture.precisions_cholesky, n_features)
    factors = factors if factors.ndim == 3 else factors[:, np.newaxis]
    return (
        np.ascontiguousarray(mixture.means, dtype),
        np.ascontiguousarray(factors, dtype),
        mixture.log_normalizer(covariance_type),
    )


def n_free_parameters(covariance_type: str, n_components: int, n_features: int, fixed: frozenset = frozenset()) -> int:
    """Number of free parameters of a mixture: covariances, means, and weights that sum to 1, but for what is fixed."""
    counts = {
        "covariances": COVARIANCE_TYPES[covariance_type].n_parameters(n_components, n_features),
        "means": n_components * n_features,
        "weights": n_components - 1,
    }
    return sum(count for name, count in counts.items() if name not in fixed)
