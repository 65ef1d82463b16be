"""Starts from the parameters of another candidate: in another covariance type, or with components merged."""

from __future__ import annotations

import numpy as np

from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._model.noise import Noise
from fastgmm._search.candidates import Candidate

_ENTRIES_AT_A_TIME = 2**18  # of the covariances of unions


def as_type(found: Candidate, candidate: Candidate) -> MixtureParameters:
    """A start from the parameters of another covariance type."""
    return _from_spread(candidate.structure, *_weights_means_spread(found), _noise(found))


def merged(found: Candidate, candidate: Candidate) -> MixtureParameters:
    """A start from the parameters of more components. Merges two components at a time until as many are left as wanted.

    A union has the moments of both components. Each step takes the pair whose union raises a bound on the
    Kullback-Leibler divergence least (Runnalls, IEEE Trans. Aerosp. Electron. Syst. 43, 2007).
    """
    weights, means, spread = _weights_means_spread(found)
    while len(weights) > candidate.n_components:
        log_det = weights * _log_det(spread)
        pairs = np.stack(np.triu_indices(len(weights), 1))
        costs = [
            union[0] * _log_det(union[2]) - log_det[part[0]] - log_det[part[1]]
            for part in np.array_split(pairs, -(-pairs.shape[1] * spread[0].size // _ENTRIES_AT_A_TIME), axis=1)
            for union in [_unions(weights, means, spread, *part)]
        ]
        pair = pairs[:, np.argmin(np.concatenate(costs))]
        unions = _unions(weights, means, spread, *pair[:, np.newaxis])
        weights, means, spread = (
            np.concatenate([union, np.delete(array, pair, axis=0)])
            for array, union in zip((weights, means, spread), unions, strict=True)
        )
    return _from_spread(candidate.structure, weights, means, spread, _noise(found))


def _unions(weights, means, spread, some: np.ndarray, others: np.ndarray):
    """Weights, means and spreads of the unions of some components with others, pair by pair."""
    total = weights[some] + weights[others]
    share = (weights[some] / total)[:, np.newaxis]
    difference = means[some] - means[others]
    mean = share * means[some] + (1 - share) * means[others]
    if spread.ndim == 2:
        between = difference * difference
    else:
        between = difference[:, :, np.newaxis] * difference[:, np.newaxis]
        share = share[:, :, np.newaxis]
    return total, mean, share * spread[some] + (1 - share) * spread[others] + share * (1 - share) * between


def _log_det(spread: np.ndarray) -> np.ndarray:
    return np.log(spread).sum(axis=1) if spread.ndim == 2 else np.linalg.slogdet(spread)[1]


def _weights_means_spread(candidate: Candidate) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    assert candidate.result is not None
    found = candidate.result.parameters
    return found.weights, found.means, candidate.structure.spread(found.covariances, *found.means.shape)


def _noise(candidate: Candidate) -> Noise | None:
    assert candidate.result is not None
    return candidate.result.parameters.noise


def _from_spread(structure: CovarianceStructure, weights, means, spread, noise: Noise | None) -> MixtureParameters:
    covariances = structure.from_spread(spread, weights)
    return MixtureParameters(weights, means, covariances, structure.precisions_cholesky(covariances), noise=noise)
