"""Gaussian mixtures straight from the textbook, in extended precision: what passes and fits are compared with.

Why it can be trusted: it is slow and short. Each line is one formula (Bishop 2006, section 9.2) over whole arrays, with
no blocks, threads, square roots of responsibilities or updating formulas; moments are taken about the very mean they
belong to; and all arithmetic is in `numpy.longdouble`, whose 64-bit mantissa on x86-64 has 2000 times the resolution of
float64. `test_kernels` checks it against `scipy.stats` and against 50 digits of mpmath. It shares no code with fastgmm.

The one liberty is scikit-learn's: ten units of rounding are added to each component's mass.
"""

from typing import NamedTuple

import numpy as np

LONG = np.longdouble
IS_EXTENDED = np.finfo(LONG).nmant >= 63  # not so on Windows and on Apple's arm64


class Parameters(NamedTuple):
    """A mixture in scikit-learn's shapes for its covariance type."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray


# Triangular matrices --------------------------------------------------------------------------------------------------


def cholesky(A):
    """Lower L with L L^T = A, column after column."""
    A, L = np.asarray(A, LONG), np.zeros(A.shape, LONG)
    for j in range(len(A)):
        column = A[j:, j] - L[j:, :j] @ L[j, :j]
        L[j:, j] = column / np.sqrt(column[0])
    return L


def lower_inverse(L):
    """L^-1 by forward substitution on the unit matrix, row after row."""
    inverse, unit = np.zeros_like(L), np.eye(len(L), dtype=LONG)
    for j in range(len(L)):
        inverse[j] = (unit[j] - L[j, :j] @ inverse[:j]) / L[j, j]
    return inverse


def factor_of_covariance(covariance):
    """Upper U with U U^T = covariance^-1."""
    return lower_inverse(cholesky(covariance)).T


def factor_of_precision(precision):
    """Upper U with U U^T = precision: the Cholesky factor seen from the last row and column."""
    return cholesky(precision[::-1, ::-1])[::-1, ::-1]


# Covariance types: each is a mixture of full matrices -----------------------------------------------------------------


def full_factors(precisions_cholesky, covariance_type, n_components, n_features):
    """The factors as (K, d, d), whatever the type."""
    factors, unit = np.asarray(precisions_cholesky, LONG), np.eye(n_features, dtype=LONG)
    return {
        "full": lambda: factors,
        "tied": lambda: np.broadcast_to(factors, (n_components, n_features, n_features)),
        "diag": lambda: factors[:, :, np.newaxis] * unit,
        "spherical": lambda: factors[:, np.newaxis, np.newaxis] * unit,
    }[covariance_type]()


def precisions_cholesky(covariances, covariance_type):
    """Factors that belong to the covariances."""
    return {
        "full": lambda: np.array([factor_of_covariance(covariance) for covariance in covariances]),
        "tied": lambda: factor_of_covariance(covariances),
        "diag": lambda: 1 / np.sqrt(covariances),
        "spherical": lambda: 1 / np.sqrt(covariances),
    }[covariance_type]()


def factors_of_precisions(precisions, covariance_type):
    """Factors that belong to the precisions."""
    precisions = np.asarray(precisions, LONG)
    return {
        "full": lambda: np.array([factor_of_precision(precision) for precision in precisions]),
        "tied": lambda: factor_of_precision(precisions),
        "diag": lambda: np.sqrt(precisions),
        "spherical": lambda: np.sqrt(precisions),
    }[covariance_type]()


# E step ---------------------------------------------------------------------------------------------------------------


def log_joint(X, parameters, covariance_type):
    """log w_k N(x_i | mu_k, Sigma_k), shape (n, K)."""
    X, means = np.asarray(X, LONG), np.asarray(parameters.means, LONG)
    factors = full_factors(parameters.precisions_cholesky, covariance_type, *means.shape)
    with np.errstate(divide="ignore"):
        log_weights = np.log(np.asarray(parameters.weights, LONG))
    out = np.empty((len(X), len(means)), LONG)
    for k, (mean, U) in enumerate(zip(means, factors, strict=True)):
        mahalanobis = np.square((X - mean) @ U).sum(axis=1)
        log_det = np.log(np.diag(U)).sum()
        out[:, k] = log_weights[k] + log_det - len(mean) * np.log(2 * pi()) / 2 - mahalanobis / 2
    return out


def pi():
    """In the precision of this machine's longdouble."""
    return 4 * np.arctan(LONG(1))


def log_prob_norm(log_joint):
    """log p(x_i) = log sum_k exp(log_joint_ik)."""
    peak = log_joint.max(axis=1)
    return peak + np.log(np.exp(log_joint - peak[:, np.newaxis]).sum(axis=1))


def responsibilities(log_joint):
    """r_ik = w_k N(x_i | k) / p(x_i), eq. 9.23."""
    return np.exp(log_joint - log_prob_norm(log_joint)[:, np.newaxis])


# Statistics and M step ------------------------------------------------------------------------------------------------


def statistics(X, sample_weight, resp, centers, covariance_type):
    """nk, sum_x and scatter about the centers, in the shapes that the kernels fill."""
    X, r = np.asarray(X, LONG), np.asarray(resp, LONG) * weights_of(X, sample_weight)[:, np.newaxis]
    differences = X[np.newaxis] - np.asarray(centers, LONG)[:, np.newaxis]  # (K, n, d)
    nk = r.sum(axis=0)
    sum_x = np.einsum("ik,kij->kj", r, differences)
    if covariance_type in ("diag", "spherical"):
        return nk, sum_x, np.einsum("ik,kij->kj", r, differences**2)
    scatter = np.stack([(r_k[:, np.newaxis] * z).T @ z for r_k, z in zip(r.T, differences, strict=True)])
    return nk, sum_x, scatter if covariance_type == "full" else scatter.sum(axis=0, keepdims=True)


def weights_of(X, sample_weight):
    return np.ones(len(X), LONG) if sample_weight is None else np.asarray(sample_weight, LONG)


def m_step(X, sample_weight, resp, covariance_type, reg_covar, dtype=np.float64):
    """Eqs. 9.24-9.27."""
    floor = 10 * LONG(np.finfo(dtype).eps)
    X = np.asarray(X, LONG)
    nk, sum_x, _ = statistics(X, sample_weight, resp, np.zeros((resp.shape[1], X.shape[1])), "diag")
    nk = nk + floor
    means = sum_x / nk[:, np.newaxis]
    _, _, scatter = statistics(X, sample_weight, resp, means, covariance_type)
    unit = np.eye(X.shape[1], dtype=LONG)
    covariances = {
        "full": lambda: scatter / nk[:, np.newaxis, np.newaxis] + reg_covar * unit,
        "tied": lambda: scatter[0] / nk.sum() + reg_covar * unit,
        "diag": lambda: scatter / nk[:, np.newaxis] + reg_covar,
        "spherical": lambda: (scatter / nk[:, np.newaxis]).mean(axis=1) + reg_covar,
    }[covariance_type]()
    return Parameters(nk / nk.sum(), means, covariances, precisions_cholesky(covariances, covariance_type))


def em(X, parameters, covariance_type, reg_covar, n_iter, sample_weight=None):
    """Parameters after n_iter iterations, and the mean log-likelihood before each."""
    lower_bounds, weights = [], weights_of(X, sample_weight)
    for _ in range(n_iter):
        joint = log_joint(X, parameters, covariance_type)
        lower_bounds.append(weights @ log_prob_norm(joint) / weights.sum())
        parameters = m_step(X, sample_weight, responsibilities(joint), covariance_type, reg_covar, X.dtype)
    return parameters, lower_bounds


# K-means --------------------------------------------------------------------------------------------------------------


def squared_distances(X, shift, centers):
    """|x_i - shift - c|^2, shape (n, K)."""
    shifted = np.asarray(X, LONG) - np.asarray(shift, LONG)
    return np.square(shifted[:, np.newaxis] - np.asarray(centers, LONG)).sum(axis=2)


# How far off ----------------------------------------------------------------------------------------------------------


def relative_error(actual, expected, scale=None):
    """Largest |actual - expected| / scale; scale defaults to |expected|, and 0 / 0 counts as 0."""
    expected = np.asarray(expected, LONG)
    difference = np.abs(np.asarray(actual, LONG) - expected)
    scale = np.abs(expected) if scale is None else np.asarray(scale, LONG)
    ratios = np.divide(difference, scale, out=np.where(difference == 0, LONG(0), LONG(np.inf)), where=scale > 0)
    return float(np.broadcast_to(ratios, difference.shape).max())


def standard_deviations(covariances, covariance_type):
    """Square roots of the variances; broadcasts against means."""
    variances = {
        "full": lambda: np.diagonal(covariances, axis1=1, axis2=2),
        "tied": lambda: np.diagonal(covariances),
        "diag": lambda: covariances,
        "spherical": lambda: covariances[:, np.newaxis],
    }[covariance_type]()
    return np.sqrt(variances)


def covariance_error(actual, expected, covariance_type):
    """Largest error of an entry, relative to the variances of its row and column: the columns may have any scale."""
    if covariance_type in ("diag", "spherical"):
        return relative_error(actual, expected)
    deviations = standard_deviations(expected, covariance_type)
    return relative_error(actual, expected, deviations[..., :, np.newaxis] * deviations[..., np.newaxis, :])
