r"""Coordinates of a mixture for acceleration: steps between parameters, and the gradient that belongs to an EM step.

They are :math:`\log n_k, \mu_k, \Sigma_k`, with the mass :math:`n_k` of component k, in which

.. math::
    G f = \big(n_k f_k^n, \; n_k \Sigma_k^{-1} f_k^\mu, \; \tfrac12 n_k \Sigma_k^{-1} f_k^\Sigma \Sigma_k^{-1}\big) .

Products of steps with gradients do not depend on the units of the features, nor on any other affine change of the rows,
so that the path of the parameters does not either. The variational mixture has the same coordinates: its posterior is
a function of :math:`n_k`, :math:`\mu_k` and :math:`\Sigma_k`.
"""

from __future__ import annotations

from typing import Generic, TypeVar, cast

import numpy as np

from fastgmm._model.covariance import FisherInformation
from fastgmm._model.mixture import CoordinateModel, Parameters
from fastgmm._utils.errors import IllDefinedCovarianceError

P = TypeVar("P", bound=Parameters)

_REG_LEFT = 0.999  # share of reg_covar that must be left in every direction
_STARVED = 1e-6  # share of all rows below which a component takes EM's steps


class Coordinates(Generic[P]):
    """Steps and gradients at a mixture: log-masses, means and covariances, one after the other.

    Parameters
    ----------
    model : CoordinateModel
    origin : P
    """

    def __init__(self, model: CoordinateModel[P], origin: P):
        self._model = model
        self._origin = origin
        self._structure = cast(FisherInformation, model.structure)  # or acceleration was refused
        self._precisions = self._structure.precisions(origin.precisions_cholesky)
        masses = model.masses(origin)
        # A starved component carries no information: it has no gradient, and no step but that of EM.
        self._alive = masses > _STARVED * masses.sum()
        self._masses = masses * self._alive
        self._information = np.asarray(self._structure.information(self._masses, origin.means.shape[1]))
        self._per_mass, self._per_information = self._alive / masses, _inverse(self._information)

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
        """The inverse of `gradient`."""
        of_masses, of_means, of_covariances = self._parts(gradient)
        covariances = self._origin.covariances
        return _joined(
            self._per_mass * of_masses,
            self._per_mass[:, np.newaxis] * self._structure.times(of_means, covariances),
            self._per_information * self._structure.congruent(of_covariances, covariances),
        )

    def point(self, step: np.ndarray, found: P) -> P | None:
        """The mixture at the end of a step from the origin, with starved components as in `found`.

        None where it would not be a mixture, or one with less variance than `reg_covar` leaves: no M step leads there,
        and the bound may be higher.
        """
        origin, model = self._origin, self._model
        log_masses, means, covariances = self._parts(step)
        masses = np.where(self._alive, model.masses(origin) * np.exp(log_masses), model.masses(found))
        means = np.where(self._alive[:, np.newaxis], origin.means + means, found.means)
        covariances = np.where(self._information > 0.0, origin.covariances + covariances, found.covariances)
        if not (np.isfinite(masses).all() and np.isfinite(means).all()):
            return None
        if not self._structure.exceed(covariances, _REG_LEFT * model.reg_covar):
            return None
        try:
            return model.assembled(masses, means, covariances)
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
