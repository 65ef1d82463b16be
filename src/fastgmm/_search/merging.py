"""Starts from the parameters of another candidate: in another covariance type, or with components merged."""

from __future__ import annotations

import math

import numpy as np

from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._model.noise import Noise
from fastgmm._search.candidates import Candidate


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
        log_det = _log_det(spread)
        least, pair = math.inf, (0, 1)
        for i in range(len(weights) - 1):
            others = slice(i + 1, None)
            union_weights, _, union_spread = _union(weights, means, spread, i, others)
            cost = union_weights * _log_det(union_spread) - weights[i] * log_det[i] - weights[others] * log_det[others]
            j = int(np.argmin(cost))
            if cost[j] < least:
                least, pair = cost[j], (i, i + 1 + j)
        i, j = pair
        unions = _union(weights, means, spread, i, slice(j, j + 1))
        weights, means, spread = (
            np.concatenate([union, np.delete(array, [i, j], axis=0)])
            for array, union in zip((weights, means, spread), unions, strict=True)
        )
    return _from_spread(candidate.structure, weights, means, spread, _noise(found))


def _union(weights, means, spread, i: int, others: slice):
    """Weights, means and spreads of the unions of component i with each of the others."""
    total = weights[i] + weights[others]
    share = (weights[i] / total)[:, np.newaxis]
    mean = share * means[i] + (1 - share) * means[others]
    difference = means[i] - means[others]
    if spread.ndim == 2:
        between = difference * difference
    else:
        between = difference[:, :, np.newaxis] * difference[:, np.newaxis]
        share = share[:, :, np.newaxis]
    return total, mean, share * spread[i] + (1 - share) * spread[others] + share * (1 - share) * between


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
