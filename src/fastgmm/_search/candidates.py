"""The candidates of a search: each is a number of components with a covariance type."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fastgmm._em.loop import EMResult
from fastgmm._model.covariance import COVARIANCE_TYPES, CovarianceStructure
from fastgmm._model.gaussian import MixtureParameters, n_free_parameters
from fastgmm._rows.array import ArrayPasses


@dataclass(slots=True, eq=False)
class Candidate:
    """A number of components with a covariance type, and what came of fitting it.

    Attributes
    ----------
    n_components : int
    covariance_type : str
    n_features : int
    result : EMResult or None
        The best run so far.
    start : str
        Which start led there.
    seconds : float
        Spent on its runs of EM.
    warning : str
        Why the fit has degenerated, or ''.
    log_likelihood : float
        Of the rows that it was fitted to, a weighted sum.
    fitted : MixtureParameters or None
        The parameters as a fitted model has them, rounded to the dtype of the data.
    criterion : float
        NaN where there is none.
    """

    n_components: int
    covariance_type: str
    n_features: int
    result: EMResult[MixtureParameters] | None = None
    start: str = ""
    seconds: float = 0.0
    warning: str = ""
    log_likelihood: float = -math.inf
    fitted: MixtureParameters | None = None
    criterion: float = math.nan

    @property
    def structure(self) -> CovarianceStructure:
        return COVARIANCE_TYPES[self.covariance_type]

    @property
    def is_usable(self) -> bool:
        """Whether it was fitted, and did not degenerate."""
        return self.result is not None and not self.warning

    @property
    def n_parameters(self) -> int:
        return n_free_parameters(self.structure, self.n_components, self.n_features)

    def passes(self, rows: np.ndarray, weights: np.ndarray | None, n_threads: int | None) -> ArrayPasses:
        return ArrayPasses(rows, weights, self.n_components, self.structure, n_threads)


def all_candidates(numbers: Iterable[int], covariance_types: Iterable[str], n_features: int) -> list[Candidate]:
    """All covariance types for one number of components after each other, the one with most parameters last."""
    types = sorted(covariance_types, key=lambda name: COVARIANCE_TYPES[name].n_parameters(2, n_features))
    return [Candidate(number, covariance_type, n_features) for number in numbers for covariance_type in types]


def table(candidates: list[Candidate]) -> dict[str, np.ndarray]:
    """Columns with a row for each candidate."""
    return {
        "n_components": np.array([candidate.n_components for candidate in candidates]),
        "covariance_type": np.array([candidate.covariance_type for candidate in candidates]),
        "criterion": np.array([candidate.criterion for candidate in candidates]),
        "log_likelihood": np.array([candidate.log_likelihood for candidate in candidates]),
        "n_parameters": np.array([candidate.n_parameters for candidate in candidates]),
        "n_iter": np.array([len(found.lower_bounds) if (found := each.result) else 0 for each in candidates]),
        "converged": np.array([bool(each.result and each.result.converged) for each in candidates]),
        "start": np.array([candidate.start for candidate in candidates]),
        "seconds": np.array([candidate.seconds for candidate in candidates]),
        "warning": np.array([candidate.warning for candidate in candidates]),
    }
