r"""Coordinates of a mixture for acceleration: steps between parameters, and gradients.

They are :math:`\log n_k, \mu_k, \Sigma_k`, with the mass :math:`n_k` of component k. The gradient of a step
:math:`f` is the Fisher information :math:`G` times :math:`f`:

.. math::
    G f = \big(n_k f_k^n, \; n_k \Sigma_k^{-1} f_k^\mu, \; \tfrac12 n_k \Sigma_k^{-1} f_k^\Sigma \Sigma_k^{-1}\big) .

Products of steps with gradients do not depend on the units of the features, nor on any other affine change of the rows.
Therefore the path of the parameters does not either. The variational mixture has the same coordinates: its posterior is
a function of :math:`n_k`, :math:`\mu_k` and :math:`\Sigma_k`.
"""

from __future__ import annotations

from typing import Generic, TypeVar, cast

import numpy as np

from fastgmm._model.covariance import FisherInformation
from fastgmm._model.protocol import CoordinateModel, Parameters
from fastgmm._utils.errors import IllDefinedCovarianceError

P = TypeVar("P", bound=Parameters)

_LEAST_EIGENVALUE = 0.999  # of a covariance at an extrapolated point, as a multiple of reg_covar
_LEAST_SHARE = 1e-6  # of all rows: a component with less takes EM's steps


class Coordinates(Generic[P]):
    """Steps and gradients at a mixture: log-masses, means and covariances, one after the other.

    Parameters
    ----------
    model : CoordinateModel
    origin : P
    n_threads : int, default=1
        Number of threads that may find the factors of a point.
    """

    def __init__(self, model: CoordinateModel[P], origin: P, n_threads: int = 1):
        self._model = model
        self._n_threads = n_threads
        self._origin = origin
        self._structure = cast(FisherInformation, model.structure)  # `LBFGS` has required it
        self._precisions = self._structure.precisions(origin.precisions_cholesky)
        masses = model.masses(origin)
        # A component with next to no rows carries no information: its gradient is 0, and it takes EM's step.
        self._has_rows = masses > _LEAST_SHARE * masses.sum()
        self._masses = masses * self._has_rows
        self._information = self._structure.information(self._masses, origin.means.shape[1])
        self._per_mass, self._per_information = self._has_rows / masses, _inverse(self._information)

    def difference(self, begin: P, end: P) -> np.ndarray:
        """The step from one mixture to another, shape (n_coordinates,)."""
        log_masses = np.log(self._model.masses(end) / self._model.masses(begin))
        return _joined(log_masses, end.means - begin.means, end.covariances - begin.covariances)

    def gradient(self, step: np.ndarray) -> np.ndarray:
        """The information at the origin, times a step."""
        log_masses, means, covariances = self._parts(step)
        return _joined(
            self._masses * log_masses,
            self._masses[:, np.newaxis] * self._structure.times(means, self._precisions),
            self._information * self._structure.congruent(covariances, self._precisions),
        )

    def step(self, gradient: np.ndarray) -> np.ndarray:
        """The step whose gradient is the given one."""
        of_masses, of_means, of_covariances = self._parts(gradient)
        covariances = self._origin.covariances
        return _joined(
            self._per_mass * of_masses,
            self._per_mass[:, np.newaxis] * self._structure.times(of_means, covariances),
            self._per_information * self._structure.congruent(of_covariances, covariances),
        )

    def point(self, step: np.ndarray, found: P) -> P | None:
        """The mixture at the end of a step from the origin; components with next to no rows are as in `found`.

        None if it is not a mixture, or has less variance than `reg_covar`: the bound may be higher there, but no M step
        leads to it.
        """
        origin, model = self._origin, self._model
        log_masses, means, covariances = self._parts(step)
        masses = np.where(self._has_rows, model.masses(origin) * np.exp(log_masses), model.masses(found))
        means = np.where(self._has_rows[:, np.newaxis], origin.means + means, found.means)
        covariances = np.where(self._information > 0.0, origin.covariances + covariances, found.covariances)
        if not (np.isfinite(masses).all() and np.isfinite(means).all()):
            return None
        if not self._structure.exceed(covariances, _LEAST_EIGENVALUE * model.reg_covar):
            return None
        try:
            return model.assembled(masses, means, covariances, self._n_threads)
        except IllDefinedCovarianceError:
            return None

    def _parts(self, joined: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n_components, n_features = self._origin.means.shape
        end = n_components * (n_features + 1)
        means, covariances = joined[n_components:end], joined[end:]
        return (
            joined[:n_components],
            means.reshape(n_components, n_features),
            covariances.reshape(self._origin.covariances.shape),
        )


def _joined(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate([part.ravel() for part in parts])


def _inverse(values: np.ndarray) -> np.ndarray:
    """1 / values, and 0 for 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0.0)
