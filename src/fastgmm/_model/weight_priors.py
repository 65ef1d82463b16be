"""Priors of the weights of a variational mixture: a Dirichlet distribution, or a Dirichlet process (stick-breaking)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.special import betaln, digamma, gammaln


class WeightPrior(Protocol):
    """A prior of the weights. `concentration` holds the parameters of the posterior, float64."""

    def shape(self, n_components: int) -> tuple[int, ...]:
        """Shape of the concentration."""

    def posterior(self, prior: float, nk: np.ndarray) -> np.ndarray:
        """Concentration, given the masses of the components."""

    def expected_log_weights(self, concentration: np.ndarray) -> np.ndarray:
        """E[log pi_k]."""

    def log_normalizer(self, concentration: np.ndarray) -> float:
        """Log of the normalizing constant of the posterior's density."""

    def weights(self, concentration: np.ndarray) -> np.ndarray:
        """E[pi_k], summing to 1."""


class _DirichletDistribution:
    def shape(self, n_components):
        return (n_components,)

    def posterior(self, prior, nk):
        return prior + nk

    def expected_log_weights(self, concentration):
        return digamma(concentration) - digamma(concentration.sum())

    def log_normalizer(self, concentration):
        return float(gammaln(concentration.sum()) - gammaln(concentration).sum())

    def weights(self, concentration):
        return concentration / concentration.sum()


class _DirichletProcess:
    """Stick-breaking: component k takes a Beta(a_k, b_k)-distributed share of the weight that is left."""

    def shape(self, n_components):
        return (2, n_components)

    def posterior(self, prior, nk):
        concentration = np.empty((2, len(nk)))
        concentration[0] = 1.0 + nk
        concentration[1, :-1] = prior + nk[:0:-1].cumsum()[::-1]
        concentration[1, -1] = prior
        return concentration

    def expected_log_weights(self, concentration):
        log_taken, log_left = digamma(concentration) - digamma(concentration[0] + concentration[1])
        log_taken[1:] += log_left[:-1].cumsum()
        return log_taken

    def log_normalizer(self, concentration):
        return -float(betaln(*concentration).sum())

    def weights(self, concentration):
        taken, left = concentration / concentration.sum(axis=0)
        taken[1:] *= left[:-1].cumprod()
        return taken / taken.sum()


WEIGHT_PRIORS: dict[str, WeightPrior] = {
    "dirichlet_process": _DirichletProcess(),
    "dirichlet_distribution": _DirichletDistribution(),
}
