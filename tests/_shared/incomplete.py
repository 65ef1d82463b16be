"""EM for rows with missing values, in extended precision: what passes and fits of incomplete rows are compared with.

Why it can be trusted: rows with the same missing values are conditioned on the others by the textbook (Bishop 2006,
eqs. 2.81 and 2.82), each pattern on its own. As `oracle.py`, with whose triangles and sums of logarithms it works, it
shares no code with fastgmm.
"""

import numpy as np

from _shared import oracle
from _shared.oracle import LONG


def matrices_of(parameters, covariance_type):
    """Covariances as (K, d, d), whatever the type."""
    factors = oracle.full_factors(parameters.precisions_cholesky, covariance_type, *parameters.means.shape)
    inverses = [oracle.lower_inverse(U.T) for U in factors]
    return np.array([W @ W.T for W in inverses])


def conditioned(X, mixture):
    """What each component says of each row; a mixture is weights, means and matrices.

    log w_k N(observed values of x_i | k), (n, K); rows with conditional means in place of missing values, (K, n, d);
    and conditional covariances of missing values, (K, n, d, d).
    """
    weights, means, matrices = (np.asarray(array, LONG) for array in mixture)
    X, (K, d) = np.asarray(X, LONG), means.shape
    joint, whole = np.zeros((len(X), K), LONG), np.tile(X, (K, 1, 1))
    left = np.zeros((K, len(X), d, d), LONG)
    patterns, pattern_of = np.unique(np.isnan(X), axis=0, return_inverse=True)
    for number, is_missing in enumerate(patterns):
        rows, o, m = np.flatnonzero(pattern_of == number), np.flatnonzero(~is_missing), np.flatnonzero(is_missing)
        for k in range(K):
            L = oracle.cholesky(matrices[k][np.ix_(o, o)])
            inverse = oracle.lower_inverse(L)
            z = (X[np.ix_(rows, o)] - means[k][o]) @ inverse.T
            constant = np.log(weights[k]) - np.log(np.diag(L)).sum() - len(o) * np.log(2 * oracle.pi()) / 2
            joint[rows, k] = constant - np.square(z).sum(axis=1) / 2
            regression = matrices[k][np.ix_(m, o)] @ inverse.T
            whole[k][np.ix_(rows, m)] = means[k][m] + z @ regression.T
            left[k][np.ix_(rows, m, m)] = matrices[k][np.ix_(m, m)] - regression @ regression.T
    return joint, whole, left


def expected_statistics(X, weights, mixture, centers):
    """log p, responsibilities, nk, sum_x and scatter about centers, and the entropy of missing values and labels."""
    joint, whole, left = conditioned(X, mixture)
    log_prob, resp = oracle.log_prob_norm(joint), oracle.responsibilities(joint)
    r = resp * oracle.weights_of(X, weights)[:, np.newaxis]
    z = whole - np.asarray(centers, LONG)[:, np.newaxis]
    scatter = [(r_k[:, np.newaxis] * z_k).T @ z_k for r_k, z_k in zip(r.T, z, strict=True)]
    scatter = np.stack(scatter) + np.einsum("ik,kijl->kjl", r, left)
    entropy = oracle.weights_of(X, weights) @ oracle.entropies(resp)
    for i, is_missing in enumerate(np.isnan(X)):
        m = np.flatnonzero(is_missing)
        for k in range(resp.shape[1]):
            log_det = 2 * np.log(np.diag(oracle.cholesky(left[k, i][np.ix_(m, m)]))).sum()
            entropy += r[i, k] * (len(m) * (1 + np.log(2 * oracle.pi())) + log_det) / 2
    return log_prob, resp, r.sum(axis=0), np.einsum("ik,kij->kj", r, z), scatter, entropy


def em(X, parameters, covariance_type, reg_covar, n_iter):
    """Parameters after n_iter iterations, and the mean log-likelihood before each."""
    lower_bounds, d = [], X.shape[1]
    floor, unit = 10 * LONG(np.finfo(X.dtype).eps), np.eye(d, dtype=LONG)
    for _ in range(n_iter):
        mixture = parameters.weights, parameters.means, matrices_of(parameters, covariance_type)
        joint, whole, left = conditioned(X, mixture)
        lower_bounds.append(oracle.log_prob_norm(joint).mean())
        r = oracle.responsibilities(joint)
        nk = r.sum(axis=0)
        means = np.einsum("ik,kij->kj", r, whole) / nk[:, np.newaxis]
        z = whole - means[:, np.newaxis]
        scatter = [(r_k[:, np.newaxis] * z_k).T @ z_k for r_k, z_k in zip(r.T, z, strict=True)]
        scatter = np.stack(scatter) + np.einsum("ik,kijl->kjl", r, left)
        covariances = {
            "full": lambda S, n: S / n[:, np.newaxis, np.newaxis] + reg_covar * unit,
            "tied": lambda S, n: S.sum(axis=0) / n.sum() + reg_covar * unit,
            "diag": lambda S, n: S.diagonal(0, 1, 2) / n[:, np.newaxis] + reg_covar,
            "spherical": lambda S, n: S.trace(0, 1, 2) / (n * d) + reg_covar,
        }[covariance_type](scatter, nk)
        weights = (nk + floor) / (nk + floor).sum()
        factors = oracle.precisions_cholesky(covariances, covariance_type)
        parameters = oracle.Parameters(weights, means, covariances, factors)
    return parameters, lower_bounds


def with_holes(X, share, seed=0):
    """A copy of X in which a share of the values is missing; each row keeps one."""
    rng = np.random.default_rng(seed)
    is_missing = rng.random(X.shape) < share
    is_missing[np.arange(len(X)), rng.integers(X.shape[1], size=len(X))] = False
    return np.where(is_missing, np.nan, X).astype(X.dtype)
