"""Starts from the parameters of another candidate: in another covariance type, or with components merged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgmm._model.gaussian import MixtureParameters
from fastgmm._model.student import StudentParameters
from fastgmm._search.candidates import Candidate, FoundParameters

_ENTRIES_AT_A_TIME = 2**18  # of the covariances of unions


class _Parts(NamedTuple):
    """Parameters of the components, whatever their covariance type.

    Attributes
    ----------
    weights : ndarray of shape (K,)
    means : ndarray of shape (K, d)
    spread : ndarray of shape (K, d, d) or (K, d)
        Covariances or variances; of t distributions, scale matrices.
    tails : ndarray of shape (K, 1)
        One over the degrees of freedom; 0 for Gaussians.
    """

    weights: np.ndarray
    means: np.ndarray
    spread: np.ndarray
    tails: np.ndarray


def as_type(found: Candidate, candidate: Candidate) -> FoundParameters:
    """A start from the parameters of another covariance type."""
    return _start(found, candidate, _parts(found))


def merged(found: Candidate, candidate: Candidate) -> FoundParameters:
    """A start from the parameters of more components. Merges two components at a time until as many are left as wanted.

    A union has the moments of both components; scale matrices of t distributions count as covariances. Each step takes
    the pair whose union raises a bound on the Kullback-Leibler divergence least (Runnalls, IEEE Trans. Aerosp.
    Electron. Syst. 43, 2007).
    """
    parts = _parts(found)
    while len(parts.weights) > candidate.n_components:
        log_det = parts.weights * _log_det(parts.spread)
        pairs = np.stack(np.triu_indices(len(parts.weights), 1))
        costs = [
            union.weights * _log_det(union.spread) - log_det[part[0]] - log_det[part[1]]
            for part in np.array_split(pairs, -(-pairs.shape[1] * parts.spread[0].size // _ENTRIES_AT_A_TIME), axis=1)
            for union in [_unions(parts, *part)]
        ]
        pair = pairs[:, np.argmin(np.concatenate(costs))]
        unions = _unions(parts, *pair[:, np.newaxis])
        pairs_of_arrays = zip(parts, unions, strict=True)
        parts = _Parts(*(np.concatenate([union, np.delete(array, pair, axis=0)]) for array, union in pairs_of_arrays))
    return _start(found, candidate, parts)


def _unions(parts: _Parts, some: np.ndarray, others: np.ndarray) -> _Parts:
    """The unions of some components with others, pair by pair."""
    weights, means, spread, tails = parts
    total = weights[some] + weights[others]
    share = (weights[some] / total)[:, np.newaxis]
    difference = means[some] - means[others]
    mean = share * means[some] + (1 - share) * means[others]
    tail = share * tails[some] + (1 - share) * tails[others]
    if spread.ndim == 2:
        between = difference * difference
    else:
        between = difference[:, :, np.newaxis] * difference[:, np.newaxis]
        share = share[:, :, np.newaxis]
    within = share * spread[some] + (1 - share) * spread[others]
    return _Parts(total, mean, within + share * (1 - share) * between, tail)


def _log_det(spread: np.ndarray) -> np.ndarray:
    return np.log(spread).sum(axis=1) if spread.ndim == 2 else np.linalg.slogdet(spread)[1]


def _parts(candidate: Candidate) -> _Parts:
    assert candidate.result is not None
    found = candidate.result.parameters
    n_components, n_features = found.means.shape
    tails = np.zeros((n_components, 1))
    if isinstance(found, StudentParameters):
        tails = 1.0 / found.degrees_of_freedom[:, np.newaxis]
    return _Parts(
        found.weights, found.means, candidate.structure.spread(found.covariances, n_components, n_features), tails
    )


def _start(found: Candidate, candidate: Candidate, parts: _Parts) -> FoundParameters:
    """Parameters of the covariance type of the candidate, which has the same distribution as the one found."""
    assert found.result is not None
    weights, means, spread, tails = parts
    covariances = candidate.structure.from_spread(spread, weights)
    factors = candidate.structure.precisions_cholesky(covariances)
    before = found.result.parameters
    if isinstance(before, StudentParameters):
        return StudentParameters(weights, means, covariances, factors, 1.0 / tails[:, 0])
    return MixtureParameters(weights, means, covariances, factors, noise=before.noise)
