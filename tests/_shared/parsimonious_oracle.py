"""M steps of the parsimonious covariance types that have a closed form, in extended precision.

As `oracle.py`, with whose moments it works. Each takes the covariances of the components' rows; the formulas are those
of Celeux & Govaert 1995. Determinants come from Cholesky factors, eigenvectors from mpmath, to 30 digits.
"""

import mpmath
import numpy as np

from _shared import oracle
from _shared.oracle import LONG

CLOSED_FORMS = ("EII", "EEI", "EVI", "EEV", "EVV")


def volume(matrix):
    """|S|^(1/d)."""
    return np.exp(2 * np.log(np.diag(oracle.cholesky(matrix))).mean())


def eigen(matrix):
    """Eigenvalues, rising, and eigenvectors as columns."""
    with mpmath.workdps(30):
        rest = matrix - np.asarray(matrix, float)
        values, vectors = mpmath.eigsy(mpmath.matrix(matrix.astype(float)) + mpmath.matrix(rest.astype(float)))
    values, vectors = (long_doubles(part) for part in (values, vectors))
    order = values[:, 0].argsort()
    return values[order, 0], vectors[:, order]


def long_doubles(matrix):
    """A matrix of mpmath as an array."""
    return np.array([[LONG(float(x)) + LONG(float(x - float(x))) for x in row] for row in matrix.tolist()])


def restricted(covariances, nk, name):
    """The covariances of type `name` that maximize the expected log-likelihood, as (K, d, d)."""
    unit = np.eye(covariances.shape[-1], dtype=LONG)
    pooled = np.einsum("k,kij->ij", nk, covariances) / nk.sum()

    def in_volume(matrices):
        """The matrices, scaled to the mean of their volumes."""
        volumes = np.array([volume(matrix) for matrix in matrices])
        return (nk @ volumes / nk.sum()) * matrices / volumes[:, np.newaxis, np.newaxis]

    def in_shape():
        """Each matrix with its own axes and the mean eigenvalues."""
        values, axes = zip(*(eigen(matrix) for matrix in covariances), strict=True)
        common = nk @ np.array(values) / nk.sum()
        return np.array([D * common @ D.T for D in axes])

    return {
        "EII": lambda: np.trace(pooled) / len(unit) * np.broadcast_to(unit, covariances.shape),
        "EEI": lambda: np.broadcast_to(pooled * unit, covariances.shape),
        "EVI": lambda: in_volume(covariances * unit),
        "EEV": in_shape,
        "EVV": lambda: in_volume(covariances),
    }[name]()


def em(X, parameters, name, reg_covar, n_iter):
    """Parameters with covariances as (K, d, d) after n_iter iterations, and the mean log-likelihood before each."""
    lower_bounds = []
    for _ in range(n_iter):
        joint = oracle.log_joint(X, parameters, "full")
        lower_bounds.append(oracle.log_prob_norm(joint).mean())
        nk, means, covariances = oracle.moments(X, None, oracle.responsibilities(joint), "full", reg_covar, X.dtype)
        covariances = restricted(covariances, nk, name)
        factors = oracle.precisions_cholesky(covariances, "full")
        parameters = oracle.Parameters(nk / nk.sum(), means, covariances, factors)
    return parameters, lower_bounds
