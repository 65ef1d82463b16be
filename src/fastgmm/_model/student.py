r"""The mixture of t distributions: its parameters, and maximum likelihood (Peel & McLachlan, Stat. Comput. 10, 2000).

Component k has the density of a Gaussian whose covariance is :math:`\Sigma_k / u`, with u from a gamma distribution of
shape and rate :math:`\nu_k / 2`. The E step finds, with :math:`q_{ik} = (x_i - \mu_k)^T \Sigma_k^{-1} (x_i - \mu_k)`,

.. math::
    u_{ik} &= E[u] = (\nu_k + d) / (\nu_k + q_{ik}) \\
    E[\log u] &= \log u_{ik} + \psi((\nu_k + d) / 2) - \log((\nu_k + d) / 2) .

The M step weighs rows by :math:`r_{ik} u_{ik}`. With :math:`n_k = \sum_i r_{ik}`,

.. math::
    \mu_k = \frac{\sum_i r_{ik} u_{ik} x_i}{\sum_i r_{ik} u_{ik}}, \qquad
    \Sigma_k = \frac{1}{\alpha_k n_k} \sum_i r_{ik} u_{ik} (x_i - \mu_k)(x_i - \mu_k)^T ,

and :math:`\nu_k` solves, with means over the rows of the component,

.. math::
    \log(\nu / 2) - \psi(\nu / 2) = \log \alpha_k - 1 + \overline{u} / \alpha_k - \overline{E[\log u]} .

Plain EM has :math:`\alpha_k = 1`. It moves scales slowly, because each rescales the weights of the next iteration. With
the parameter-expanded EM of Liu, Rubin & Wu (Biometrika 85, 1998) the mean of u is free, and
:math:`\alpha_k = \overline{u}` maximizes over it. That takes fewer iterations, and still each raises the likelihood. If
the components share their volume, they share :math:`\alpha = \sum_k \nu_k n_k \overline{u}_k / \sum_k \nu_k n_k`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import digamma, gammaln, zeta

from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.gaussian import InitialValues, MaximumLikelihood, MixtureParameters, n_free_parameters
from fastgmm._model.moments import Moments, mass_floor, variance_noise
from fastgmm._model.protocol import Model
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._utils.annotations import DegreesOfFreedom

LEAST_DEGREES_OF_FREEDOM, MOST_DEGREES_OF_FREEDOM = 0.1, 1000.0  # that are estimated
_FIRST_DEGREES_OF_FREEDOM = 10.0  # of a start
_NEWTON_STEPS = 3  # to all digits, within these limits: the start is off by 1.4 % at most


@dataclass(frozen=True, slots=True)
class StudentParameters:
    """Parameters of a mixture of t distributions, all float64.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_features)
    covariances, precisions_cholesky : ndarray
        The scale matrices, and factors of their inverses, in the shape of the covariance structure.
    degrees_of_freedom : ndarray of shape (n_components,)
    is_empty : ndarray of bool of shape (n_components,), or None
        Which components had no rows in the M step; None if no M step made the parameters.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray
    degrees_of_freedom: np.ndarray
    is_empty: np.ndarray | None = None

    def components(self, structure: CovarianceStructure) -> Components:
        """The components that a pass evaluates. They are without log-weights: no bound for skipping is known."""
        K, d = self.means.shape
        nu = self.degrees_of_freedom
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        normalizers = gammaln(0.5 * (nu + d)) - gammaln(0.5 * nu) - 0.5 * d * np.log(math.pi * nu)
        return Components(
            self.means,
            structure.kernel_factors(self.precisions_cholesky, K, d),
            log_weights + structure.log_det(self.precisions_cholesky, d) + normalizers,
            degrees_of_freedom=nu,
        )


class StudentT(Model[StudentParameters]):
    """The mixture of t distributions. It takes the parameters of `Model`, initial values, and the degrees of freedom.

    `degrees_of_freedom` is a number that stays as it is, or says whether there is one for each component ('varying') or
    one for all ('common'). Initial covariances stand for scale matrices.
    """

    def __init__(
        self,
        structure: CovarianceStructure,
        n_components: int,
        n_features: int,
        dtype,
        reg_covar: float,
        given: InitialValues,
        degrees_of_freedom: DegreesOfFreedom,
    ):
        super().__init__(structure, n_components, n_features, dtype, reg_covar)
        self._gaussian = MaximumLikelihood(structure, n_components, n_features, dtype, reg_covar, given)
        self._degrees_of_freedom = degrees_of_freedom
        self._own_volumes = structure.mclust_name[:1] == "V"

    def start(self, statistics: Callable[[], SufficientStatistics]) -> StudentParameters:
        """A Gaussian mixture's start."""
        first = self._degrees_of_freedom
        first = _FIRST_DEGREES_OF_FREEDOM if isinstance(first, str) else first
        start: MixtureParameters = self._gaussian.start(statistics)
        return StudentParameters(
            start.weights,
            start.means,
            start.covariances,
            start.precisions_cholesky,
            np.full(self.n_components, float(first)),
        )

    def moments(self, statistics: SufficientStatistics, before: StudentParameters | None = None) -> Moments:
        assert statistics.tails is not None
        assert before is not None
        mass, floor = statistics.tails[0], mass_floor(self.dtype)
        is_empty = mass <= floor
        divisors = np.where(is_empty, floor, mass)
        weights = np.where(is_empty, floor, statistics.nk)
        delta = np.where(is_empty[:, np.newaxis], 0.0, statistics.sum_x / weights[:, np.newaxis])
        means, squares = statistics.centers + delta, delta * delta
        rescaling = self._rescaling(weights, divisors, before.degrees_of_freedom, is_empty)
        about_means = replace(statistics.moved_to(means), nk=np.where(is_empty, 0.0, mass))
        covariances = self.structure.covariances(
            about_means,
            np.zeros_like(delta),
            divisors,
            self.reg_covar,
            variance_noise(means, squares, self.dtype),
            before.covariances,
        )
        covariances /= rescaling[0] if self.structure.is_shared else self.structure.per_covariance(rescaling)
        if is_empty.any():
            self.structure.keep(covariances, before.covariances, is_empty)
        nu = self._estimated(statistics, rescaling, before.degrees_of_freedom, is_empty)
        shifts = self.structure.averaged(squares, divisors)
        return Moments(mass + floor, means, covariances, shifts, is_empty, degrees_of_freedom=nu)

    def _rescaling(self, weights, mass, nu, is_empty) -> np.ndarray:
        """alpha of each component."""
        if self._own_volumes:
            return weights / mass
        shares = np.where(is_empty, 0.0, nu)
        return np.full(len(nu), (shares @ weights) / (shares @ mass))

    def _estimated(self, statistics: SufficientStatistics, rescaling, before: np.ndarray, is_empty) -> np.ndarray:
        """New degrees of freedom."""
        if not isinstance(self._degrees_of_freedom, str):
            return before
        assert statistics.tails is not None
        mass, sum_log_u = statistics.tails
        half = 0.5 * (before + self.n_features)
        with np.errstate(invalid="ignore", divide="ignore"):
            log_u = sum_log_u / mass + digamma(half) - np.log(half)
            gaps = np.log(rescaling) - 1.0 + statistics.nk / mass / rescaling - log_u
        gaps, shares = np.where(is_empty, 0.0, gaps), np.where(is_empty, 0.0, mass)
        if self._degrees_of_freedom == "common":
            return np.full(len(before), degrees_of_freedom_with_gap(shares @ gaps / shares.sum()))
        return np.where(is_empty, before, degrees_of_freedom_with_gap(gaps))

    def m_step(
        self, moments: Moments, before: StudentParameters | None, n_threads: int | None = 1
    ) -> StudentParameters:
        assert moments.degrees_of_freedom is not None
        factors = self.structure.precisions_cholesky(moments.covariances, n_threads)
        weights = moments.nk / moments.nk.sum()
        return StudentParameters(
            weights, moments.means, moments.covariances, factors, moments.degrees_of_freedom, moments.is_empty
        )

    def lower_bound(self, statistics: SufficientStatistics, parameters: StudentParameters) -> float:
        """Weighted mean log-density under the parameters before the M step."""
        return statistics.log_likelihood / statistics.total_weight

    def without_rows(self, parameters: StudentParameters) -> np.ndarray:
        is_empty = parameters.is_empty
        return np.empty(0, np.intp) if is_empty is None else np.flatnonzero(is_empty)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {**self._gaussian.shapes(), "degrees_of_freedom": (self.n_components,)}

    def restored(self, arrays: dict[str, np.ndarray]) -> StudentParameters:
        return StudentParameters(**arrays)


def deviations_per_scale(degrees_of_freedom: np.ndarray) -> np.ndarray:
    """Standard deviations of t distributions of scale 1; infinite with up to two degrees of freedom."""
    beyond = np.maximum(degrees_of_freedom - 2.0, 0.0)
    with np.errstate(divide="ignore"):
        return np.sqrt(degrees_of_freedom / beyond)


def finish_statistics(statistics: SufficientStatistics, degrees_of_freedom: np.ndarray) -> None:
    """Turn the sums that kernels find (`student.hpp`) into those of weights r u, in place."""
    assert statistics.tails is not None
    ratios = statistics.centers.shape[1] / degrees_of_freedom
    largest = 1.0 + ratios.max()
    for sums in (statistics.nk, statistics.sum_x, statistics.scatter):
        sums *= largest
    mass, sum_log_a = statistics.tails
    statistics.tails[1] = np.log1p(ratios) * mass - sum_log_a


def degrees_of_freedom_with_gap(gap: np.ndarray) -> np.ndarray:
    r"""The :math:`\nu` with :math:`\log(\nu / 2) - \psi(\nu / 2)` = gap, or the limit that is next to it.

    The left side falls from infinity to 0. Newton's method for :math:`1 / \nu` (Minka, "Estimating a gamma
    distribution", 2002) converges from this start without safeguards.
    """
    limits = 0.5 * np.array([MOST_DEGREES_OF_FREEDOM, LEAST_DEGREES_OF_FREEDOM])
    least, most = np.log(limits) - digamma(limits)
    s = np.clip(gap, least, most)
    half = (3.0 - s + np.sqrt((s - 3.0) ** 2 + 24.0 * s)) / (12.0 * s)
    for _ in range(_NEWTON_STEPS):
        excess = np.log(half) - digamma(half) - s
        half = 1.0 / (1.0 / half + excess / (half * half * (1.0 / half - zeta(2.0, half))))  # the trigamma function
    return np.clip(2.0 * half, LEAST_DEGREES_OF_FREEDOM, MOST_DEGREES_OF_FREEDOM)


def n_free_parameters_of_t(
    structure: CovarianceStructure, n_components: int, n_features: int, degrees_of_freedom: DegreesOfFreedom
) -> int:
    """Number of free parameters: those of a Gaussian mixture, and the degrees of freedom that are estimated."""
    n_estimated = {"varying": n_components, "common": 1}.get(str(degrees_of_freedom), 0)
    return n_free_parameters(structure, n_components, n_features) + n_estimated
