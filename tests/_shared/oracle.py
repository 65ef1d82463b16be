"""Gaussian mixtures straight from the textbook, in extended precision: what passes and fits are compared with.

Why it can be trusted: it is slow and short. Each line is one formula (Bishop 2006, section 9.2) over whole arrays, with
no blocks, threads, square roots of responsibilities or updating formulas; moments are taken about the very mean they
belong to; and all arithmetic is in `numpy.longdouble`, whose 64-bit mantissa on x86-64 has 2000 times the resolution of
float64. `test_kernels` checks it against `scipy.stats` and against 50 digits of mpmath. It shares no code with fastgmm.

The one liberty is scikit-learn's: ten units of rounding are added to each component's mass, here in the weights only.

The variational mixture (section 10.2) is written out likewise, and its bound as the full sum of expectations, of which
none is left out for cancelling another. Digamma and gamma functions, of as many numbers as there are components, come
from mpmath.
"""

from typing import NamedTuple

import mpmath
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


def entropies(resp):
    """-sum_k r_ik log r_ik of each row, where 0 log 0 = 0."""
    return -(resp * np.log(np.where(resp > 0, resp, 1))).sum(axis=1)


# Statistics and M step ------------------------------------------------------------------------------------------------


def statistics(X, sample_weight, resp, centers, covariance_type):
    """nk, sum_x and scatter about the centers, in the shapes that the kernels fill."""
    X, r = np.asarray(X, LONG), np.asarray(resp, LONG) * weights_of(X, sample_weight)[:, np.newaxis]
    differences = X[np.newaxis] - np.asarray(centers, LONG)[:, np.newaxis]  # (K, n, d)
    nk = r.sum(axis=0)
    sum_x = np.einsum("ik,kij->kj", r, differences)
    if covariance_type in ("diag", "spherical"):
        squares = np.einsum("ik,kij->kj", r, differences**2)
        return nk, sum_x, squares if covariance_type == "diag" else squares.sum(axis=1, keepdims=True)
    scatter = np.stack([(r_k[:, np.newaxis] * z).T @ z for r_k, z in zip(r.T, differences, strict=True)])
    return nk, sum_x, scatter if covariance_type == "full" else scatter.sum(axis=0, keepdims=True)


def weights_of(X, sample_weight):
    return np.ones(len(X), LONG) if sample_weight is None else np.asarray(sample_weight, LONG)


def moments(X, sample_weight, resp, covariance_type, reg_covar, dtype=np.float64):
    """Masses, means and covariances, eqs. 9.24, 9.25 and 9.27."""
    floor = 10 * LONG(np.finfo(dtype).eps)
    X = np.asarray(X, LONG)
    nk, sum_x, _ = statistics(X, sample_weight, resp, np.zeros((resp.shape[1], X.shape[1])), "diag")
    means = sum_x / nk[:, np.newaxis]
    _, _, scatter = statistics(X, sample_weight, resp, means, covariance_type)
    unit = np.eye(X.shape[1], dtype=LONG)
    covariances = {
        "full": lambda: scatter / nk[:, np.newaxis, np.newaxis] + reg_covar * unit,
        "tied": lambda: scatter[0] / nk.sum() + reg_covar * unit,
        "diag": lambda: scatter / nk[:, np.newaxis] + reg_covar,
        "spherical": lambda: scatter[:, 0] / (nk * X.shape[1]) + reg_covar,
    }[covariance_type]()
    return nk + floor, means, covariances


def m_step(X, sample_weight, resp, covariance_type, reg_covar, dtype=np.float64):
    """Eqs. 9.24-9.27."""
    nk, means, covariances = moments(X, sample_weight, resp, covariance_type, reg_covar, dtype)
    return Parameters(nk / nk.sum(), means, covariances, precisions_cholesky(covariances, covariance_type))


def em(X, parameters, covariance_type, reg_covar, n_iter, sample_weight=None):
    """Parameters after n_iter iterations, and the mean log-likelihood before each."""
    lower_bounds, weights = [], weights_of(X, sample_weight)
    for _ in range(n_iter):
        joint = log_joint(X, parameters, covariance_type)
        lower_bounds.append(weights @ log_prob_norm(joint) / weights.sum())
        parameters = m_step(X, sample_weight, responsibilities(joint), covariance_type, reg_covar, X.dtype)
    return parameters, lower_bounds


# Variational mixtures -------------------------------------------------------------------------------------------------


class Priors(NamedTuple):
    """Parameters of the priors; the covariance, inverse of Bishop's W_0, as a matrix whatever the type."""

    weight_concentration: float
    mean_precision: float
    mean: np.ndarray
    degrees_of_freedom: float
    covariance: np.ndarray


class Posterior(NamedTuple):
    """Parameters of the posterior: each component has its own matrix, whatever the type."""

    weight_concentration: np.ndarray  # (K,) of a Dirichlet distribution, (2, K) of stick-breaking Beta distributions
    mean_precision: np.ndarray
    means: np.ndarray
    degrees_of_freedom: np.ndarray
    inverse_scales: np.ndarray  # W_k^-1

    def covariances(self):
        """Inverses of the expected precisions nu_k W_k."""
        return self.inverse_scales / self.degrees_of_freedom[:, np.newaxis, np.newaxis]


def special(function, values):
    """A function of mpmath, element by element, to all digits of a longdouble."""

    def to_longdouble(value):
        return LONG(float(value)) + LONG(float(value - float(value)))

    with mpmath.workdps(30):
        results = [
            to_longdouble(function(mpmath.mpf(float(value)) + mpmath.mpf(float(value - LONG(float(value))))))
            for value in np.ravel(np.asarray(values, LONG))
        ]
    return np.array(results, LONG).reshape(np.shape(values))


def allowed(matrices, covariance_type):
    """What is left of the components' matrices where the type restricts them: their mean, diagonal, or both."""
    unit = np.eye(matrices.shape[-1], dtype=LONG)
    return {
        "full": lambda: matrices,
        "tied": lambda: np.broadcast_to(matrices.mean(axis=0), matrices.shape),
        "diag": lambda: matrices * unit,
        "spherical": lambda: np.trace(matrices, axis1=1, axis2=2)[:, np.newaxis, np.newaxis] / len(unit) * unit,
    }[covariance_type]()


def in_shape(matrices, covariance_type):
    """The components' matrices in scikit-learn's shape for the type."""
    return {
        "full": lambda: matrices,
        "tied": lambda: matrices[0],
        "diag": lambda: np.diagonal(matrices, axis1=1, axis2=2),
        "spherical": lambda: matrices[:, 0, 0],
    }[covariance_type]()


def weight_posterior(prior, nk, weight_prior_type):
    """Eq. 10.58; of a Dirichlet process: Blei & Jordan 2006, eqs. 18 and 19."""
    if weight_prior_type == "dirichlet_distribution":
        return LONG(prior) + nk
    return np.array([1 + nk, [LONG(prior) + nk[k + 1 :].sum() for k in range(len(nk))]], LONG)


def posterior(component_moments, priors, covariance_type, weight_prior_type):
    """Eqs. 10.58-10.63 from the masses, means and full covariances of the components."""
    nk, means, covariances = component_moments
    mean_precision = priors.mean_precision + nk
    pull = means - priors.mean
    shares = priors.mean_precision * nk / mean_precision
    inverse_scales = (
        priors.covariance
        + nk[:, np.newaxis, np.newaxis] * covariances
        + shares[:, np.newaxis, np.newaxis] * pull[:, :, np.newaxis] * pull[:, np.newaxis, :]
    )
    return Posterior(
        weight_posterior(priors.weight_concentration, nk, weight_prior_type),
        mean_precision,
        (priors.mean_precision * priors.mean + nk[:, np.newaxis] * means) / mean_precision[:, np.newaxis],
        priors.degrees_of_freedom + (np.full_like(nk, nk.mean()) if covariance_type == "tied" else nk),
        allowed(inverse_scales, covariance_type),
    )


def expected_log_sticks(concentration):
    """E[log v_k] and E[log(1 - v_k)] of Beta-distributed v_k."""
    return special(mpmath.digamma, concentration) - special(mpmath.digamma, concentration.sum(axis=0))


def expected_log_weights(concentration):
    """E[log pi_k], eq. 10.66 or, of pi_k = v_k prod_{j<k} (1 - v_j), the sum of the sticks' expectations."""
    if concentration.ndim == 1:
        return special(mpmath.digamma, concentration) - special(mpmath.digamma, concentration.sum())
    taken, left = expected_log_sticks(concentration)
    return np.array([taken[k] + left[:k].sum() for k in range(len(taken))])


def scale_factors(inverse_scales):
    """Upper U_k with U_k U_k^T = W_k."""
    return np.array([factor_of_covariance(matrix) for matrix in inverse_scales])


def log_det_scales(factors):
    return 2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)


def halved(degrees_of_freedom, n_features):
    """(nu_k + 1 - i) / 2 for i = 1 .. d, shape (K, d)."""
    return (np.asarray(degrees_of_freedom, LONG)[:, np.newaxis] - np.arange(n_features)) / 2


def expected_log_det(degrees_of_freedom, factors):
    """E[log |Lambda_k|], eq. 10.65."""
    n_features = factors.shape[-1]
    digammas = special(mpmath.digamma, halved(degrees_of_freedom, n_features)).sum(axis=1)
    return digammas + n_features * np.log(LONG(2)) + log_det_scales(factors)


def log_wishart_normalizer(degrees_of_freedom, factors):
    """log B(W, nu), eq. B.79."""
    nu, d = np.asarray(degrees_of_freedom, LONG), factors.shape[-1]
    log_gammas = special(mpmath.loggamma, halved(nu, d)).sum(axis=1)
    return (
        -nu / 2 * log_det_scales(factors) - nu * d / 2 * np.log(LONG(2)) - d * (d - 1) / 4 * np.log(pi()) - log_gammas
    )


def log_dirichlet_normalizer(concentration):
    """log C(alpha), eq. B.23, of one Dirichlet distribution or of each column's Beta distribution."""
    return special(mpmath.loggamma, concentration.sum(axis=0)) - special(mpmath.loggamma, concentration).sum(axis=0)


def expected_log_joint(X, posterior):
    """log rho_ik, eq. 10.46 with 10.64."""
    X, d = np.asarray(X, LONG), posterior.means.shape[1]
    factors = scale_factors(posterior.inverse_scales)
    constants = (
        expected_log_weights(posterior.weight_concentration)
        + expected_log_det(posterior.degrees_of_freedom, factors) / 2
        - d * np.log(2 * pi()) / 2
        - d / posterior.mean_precision / 2
    )
    squares = np.array([
        np.square((X - mean) @ U).sum(axis=1) for mean, U in zip(posterior.means, factors, strict=True)
    ])  # fmt: skip
    return constants - posterior.degrees_of_freedom * squares.T / 2


def evidence_bound(sample_weight, resp, component_moments, posterior, priors):
    """The whole of eq. 10.70: eqs. 10.71-10.74 minus 10.75-10.77."""
    nk, centers, covariances = component_moments
    concentration, beta, means, nu, inverse_scales = posterior
    d, beta_0, nu_0 = means.shape[1], LONG(priors.mean_precision), LONG(priors.degrees_of_freedom)
    factors, log_two_pi = scale_factors(inverse_scales), np.log(2 * pi())
    scales = factors @ factors.transpose(0, 2, 1)
    log_weights, log_dets = expected_log_weights(concentration), expected_log_det(nu, factors)

    def squares(differences):
        return np.square(np.einsum("kj,kjl->kl", differences, factors)).sum(axis=1)

    def traces(matrices):
        return np.einsum("kij,kji->k", np.broadcast_to(matrices, scales.shape), scales)

    log_p_x = nk * (log_dets - d / beta - nu * traces(covariances) - nu * squares(centers - means) - d * log_two_pi) / 2
    log_p_z = nk * log_weights
    log_p_means = (
        d * np.log(beta_0) - d * log_two_pi + log_dets - d * beta_0 / beta - beta_0 * nu * squares(means - priors.mean)
    ) / 2
    prior_normalizer = log_wishart_normalizer([nu_0], scale_factors(priors.covariance[np.newaxis]))
    log_p_precisions = prior_normalizer + (nu_0 - d - 1) / 2 * log_dets - nu * traces(priors.covariance) / 2
    log_q_z = -weights_of(resp, sample_weight) @ entropies(resp)
    wishart_entropy = -log_wishart_normalizer(nu, factors) - (nu - d - 1) / 2 * log_dets + nu * d / 2
    log_q_parameters = log_dets / 2 + d * (np.log(beta) - log_two_pi) / 2 - LONG(d) / 2 - wishart_entropy
    log_p_weights, log_q_weights = (
        log_density_of_weights(c, concentration) for c in (prior_concentration(priors, concentration), concentration)
    )
    per_component = log_p_x + log_p_z + log_p_means + log_p_precisions - log_q_parameters
    return per_component.sum() + log_p_weights - log_q_z - log_q_weights


def prior_concentration(priors, concentration):
    """The prior's parameters in the place of the posterior's."""
    prior = np.full_like(concentration, priors.weight_concentration)
    if prior.ndim == 2:
        prior[0] = 1
    return prior


def log_density_of_weights(parameters, concentration):
    """Expectation under `concentration` of the log-density with `parameters`, eqs. 10.73 and 10.76."""
    expected = expected_log_weights if concentration.ndim == 1 else expected_log_sticks
    return np.sum(log_dirichlet_normalizer(parameters)) + ((parameters - 1) * expected(concentration)).sum()


def constant_of_bound(total_weight, posterior, priors):
    """Those terms of `evidence_bound` that depend on nothing but the priors and the shapes, which estimators omit."""
    K, d = posterior.means.shape
    factors = scale_factors(priors.covariance[np.newaxis])
    return (
        np.sum(log_dirichlet_normalizer(prior_concentration(priors, posterior.weight_concentration)))
        + K * (log_wishart_normalizer([priors.degrees_of_freedom], factors)[0] + d * (d - 1) / 4 * np.log(pi()))
        + K * d * np.log(LONG(priors.mean_precision)) / 2
        - total_weight * d * np.log(2 * pi()) / 2
    )


def variational_em(X, start, priors, covariance_type, weight_prior_type, reg_covar, n_iter, sample_weight=None):
    """The posterior after each of n_iter iterations, and the bound that an estimator reports for it."""
    posteriors, bounds, current = [], [], start
    for _ in range(n_iter):
        resp = responsibilities(expected_log_joint(X, current))
        found = moments(X, sample_weight, resp, "full", reg_covar, X.dtype)
        current = posterior(found, priors, covariance_type, weight_prior_type)
        constant = constant_of_bound(weights_of(X, sample_weight).sum(), current, priors)
        posteriors.append(current)
        bounds.append(evidence_bound(sample_weight, resp, found, current, priors) - constant)
    return posteriors, bounds


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
