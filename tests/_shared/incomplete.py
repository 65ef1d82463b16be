"""EM for rows with missing values, row by row: what passes over incomplete rows are compared with.

Why it can be trusted: each row is conditioned on the values that it has by the textbook (Bishop 2006, eqs. 2.81 and
2.82), with plain inverses, and no two rows share any work. It shares no code with fastgmm.
"""

import numpy as np
from scipy.stats import multivariate_normal


def expected_statistics(X, weights, mixture, centers):
    """log p, responsibilities, nk, sum_x, scatter and entropy; a mixture is weights, means and matrices."""
    pi, means, matrices = mixture
    n_components, d = means.shape
    log_prob, resp = np.zeros(len(X)), np.zeros((len(X), n_components))
    nk, sum_x, scatter, entropy = (
        np.zeros(n_components),
        np.zeros((n_components, d)),
        np.zeros((n_components, d, d)),
        0.0,
    )
    for i, x in enumerate(X.astype(np.float64)):
        o, m = np.flatnonzero(~np.isnan(x)), np.flatnonzero(np.isnan(x))
        of_components = np.log(pi) + [
            multivariate_normal.logpdf(x[o], means[k][o], matrices[k][np.ix_(o, o)]) for k in range(n_components)
        ]
        log_prob[i] = np.logaddexp.reduce(of_components)
        resp[i] = np.exp(of_components - log_prob[i])
        for k in range(n_components):
            r = weights[i] * resp[i, k]
            regression = matrices[k][np.ix_(m, o)] @ np.linalg.inv(matrices[k][np.ix_(o, o)])
            whole, left = x.copy(), np.zeros((d, d))
            whole[m] = means[k][m] + regression @ (x[o] - means[k][o])
            left[np.ix_(m, m)] = matrices[k][np.ix_(m, m)] - regression @ matrices[k][np.ix_(o, m)]
            nk[k] += r
            sum_x[k] += r * (whole - centers[k])
            scatter[k] += r * (np.outer(whole - centers[k], whole - centers[k]) + left)
            log_det = np.linalg.slogdet(left[np.ix_(m, m)])[1]
            entropy += 0.5 * r * (len(m) * (1 + np.log(2 * np.pi)) + log_det)
            entropy -= r * np.log(max(resp[i, k], 1e-300))
    return log_prob, resp, nk, sum_x, scatter, entropy


def em_step(X, mixture, reg_covar):
    """Weights, means and matrices after one iteration of EM with covariance type 'full'."""
    log_prob, _, nk, sum_x, scatter, _ = expected_statistics(X, np.ones(len(X)), mixture, np.zeros(mixture[1].shape))
    means = sum_x / nk[:, np.newaxis]
    matrices = scatter / nk[:, np.newaxis, np.newaxis] - means[:, :, np.newaxis] * means[:, np.newaxis]
    return (nk / nk.sum(), means, matrices + reg_covar * np.eye(means.shape[1])), log_prob.mean()


def with_holes(X, share, seed=0):
    """A copy of X in which a share of the values is missing; each row keeps one."""
    rng = np.random.default_rng(seed)
    is_missing = rng.random(X.shape) < share
    is_missing[np.arange(len(X)), rng.integers(X.shape[1], size=len(X))] = False
    return np.where(is_missing, np.nan, X).astype(X.dtype)
