"""Mixtures of t distributions straight from the textbook, in extended precision (Peel & McLachlan 2000, section 4).

As `oracle.py`, with whose triangles, statistics and sums of logarithms it works. Gamma and digamma functions come from
mpmath, and the degrees of freedom from bisection.
"""

from typing import NamedTuple

import mpmath
import numpy as np

from _shared import oracle
from _shared.oracle import LONG


class Parameters(NamedTuple):
    weights: np.ndarray
    means: np.ndarray
    scales: np.ndarray
    precisions_cholesky: np.ndarray
    degrees_of_freedom: np.ndarray


def distances(X, p, covariance_type):
    """Squared Mahalanobis distances, shape (n, K)."""
    X, means = np.asarray(X, LONG), np.asarray(p.means, LONG)
    factors = oracle.full_factors(p.precisions_cholesky, covariance_type, *means.shape)
    return np.stack([np.square((X - mean) @ U).sum(axis=1) for mean, U in zip(means, factors, strict=True)], axis=1)


def log_joint(X, p, covariance_type):
    """log w_k t(x_i | mu_k, Sigma_k, nu_k), shape (n, K)."""
    K, d = p.means.shape
    nu = np.asarray(p.degrees_of_freedom, LONG)
    factors = oracle.full_factors(p.precisions_cholesky, covariance_type, K, d)
    log_det = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    gammas = oracle.special(mpmath.loggamma, (nu + d) / 2) - oracle.special(mpmath.loggamma, nu / 2)
    with np.errstate(divide="ignore"):
        constants = np.log(np.asarray(p.weights, LONG)) + log_det + gammas - d * np.log(oracle.pi() * nu) / 2
    return constants - (nu + d) / 2 * np.log1p(distances(X, p, covariance_type) / nu)


def weights_of_rows(X, p, covariance_type):
    """u_ik = (nu_k + d) / (nu_k + squared distance)."""
    nu = np.asarray(p.degrees_of_freedom, LONG)
    return (nu + p.means.shape[1]) / (nu + distances(X, p, covariance_type))


def mean_log_u(u, nu, d):
    """E[log u_ik] under the gamma distribution of the E step."""
    half = (np.asarray(nu, LONG) + d) / 2
    return np.log(u) + oracle.special(mpmath.digamma, half) - np.log(half)


def degrees_of_freedom(gap, least, most):
    """The nu with log(nu / 2) - digamma(nu / 2) = gap, within limits."""

    def excess(nu):
        return float(mpmath.log(nu / 2) - mpmath.digamma(nu / 2) - mpmath.mpf(float(gap)))

    if excess(mpmath.mpf(least)) < 0:
        return least
    if excess(mpmath.mpf(most)) > 0:
        return most
    for _ in range(200):
        middle = (least + most) / 2
        least, most = (middle, most) if excess(mpmath.mpf(middle)) > 0 else (least, middle)
    return (least + most) / 2


def em(X, p, covariance_type, n_iter, update, sample_weight=None, reg_covar=0.0, expanded=True, limits=(0.1, 1000.0)):
    """Parameters after n_iter iterations, and the mean log-likelihood before each.

    `update` is 'varying', 'common' or '' for fixed degrees of freedom; without `expanded` it is plain EM.
    """
    bounds, weights = [], oracle.weights_of(X, sample_weight)
    for _ in range(n_iter):
        joint = log_joint(X, p, covariance_type)
        bounds.append(weights @ oracle.log_prob_norm(joint) / weights.sum())
        p = m_step(X, p, covariance_type, oracle.responsibilities(joint), weights, update, reg_covar, expanded, limits)
    return p, bounds


def m_step(X, p, covariance_type, resp, weights, update, reg_covar, expanded, limits):
    K, d = p.means.shape
    X, r = np.asarray(X, LONG), resp * weights[:, np.newaxis]
    u = weights_of_rows(X, p, covariance_type)
    n, mean_u = r.sum(axis=0), (r * u).sum(axis=0) / r.sum(axis=0)
    means = (r * u).T @ X / (r * u).sum(axis=0)[:, np.newaxis]
    nu = np.asarray(p.degrees_of_freedom, LONG)
    alpha = np.ones(K, LONG)
    if expanded:
        alpha = np.full(K, (nu * n) @ mean_u / (nu @ n)) if covariance_type == "tied" else mean_u
    _, _, scatter = oracle.statistics(X, weights, resp * u, means, covariance_type)
    unit, per = np.eye(d, dtype=LONG), (n * alpha)
    scales = {
        "full": lambda: (scatter / n[:, np.newaxis, np.newaxis] + reg_covar * unit) / alpha[:, np.newaxis, np.newaxis],
        "tied": lambda: (scatter[0] / n.sum() + reg_covar * unit) / alpha[0],
        "diag": lambda: scatter / per[:, np.newaxis] + reg_covar / alpha[:, np.newaxis],
        "spherical": lambda: scatter[:, 0] / (per * d) + reg_covar / alpha,
    }[covariance_type]()
    gaps = np.log(alpha) - 1 + mean_u / alpha - (r * mean_log_u(u, nu, d)).sum(axis=0) / n
    if update == "varying":
        nu = np.array([degrees_of_freedom(gap, *limits) for gap in gaps])
    elif update == "common":
        nu = np.full(K, degrees_of_freedom(n @ gaps / n.sum(), *limits))
    return Parameters(n / n.sum(), means, scales, oracle.precisions_cholesky(scales, covariance_type), nu)
