"""What a search minimizes: criteria from all rows, or the likelihood of held-out rows."""

from __future__ import annotations

import math

import numpy as np
from sklearn.model_selection import KFold

from fastgmm._search.candidates import Candidate
from fastgmm._search.fits import Fits, Settings
from fastgmm._skipping.port import log_likelihood_of


def set_criteria(
    candidates: list[Candidate], criterion: str, rows: np.ndarray, weights: np.ndarray | None, settings: Settings
) -> None:
    """Set the criterion of each candidate that was fitted to these rows, and is usable."""
    n_rows = len(rows) if weights is None else weights.sum()
    for candidate in candidates:
        if not candidate.is_usable:
            continue
        penalty = 2.0 if criterion == "aic" else math.log(n_rows)
        candidate.criterion = -2.0 * candidate.log_likelihood + candidate.n_parameters * penalty
        if criterion == "icl":
            assert candidate.fitted is not None
            passes = candidate.passes(rows, weights, settings.n_threads)
            components = candidate.fitted.components(candidate.structure)
            candidate.criterion -= 2.0 * passes.log_max_resp_sum(components)


def cross_validate(
    candidates: list[Candidate],
    n_folds: int,
    rows: np.ndarray,
    weights: np.ndarray | None,
    settings: Settings,
    verbose: int,
) -> None:
    """Set criteria from held-out rows: without each fold in turn the search is made as it was with all rows."""
    totals = np.zeros(len(candidates))
    for train, test in KFold(n_folds, shuffle=True, random_state=settings.seed).split(rows):
        of_fold = [Candidate(each.n_components, each.covariance_type, each.n_features) for each in candidates]
        fits = Fits(rows[train], _part(weights, train), settings, verbose)
        fits.search(of_fold)
        for i, (candidate, whole) in enumerate(zip(of_fold, candidates, strict=True)):
            fits.finish(candidate)
            if candidate.is_usable:
                assert candidate.fitted is not None
                passes = candidate.passes(rows[test], _part(weights, test), settings.n_threads)
                totals[i] += log_likelihood_of(passes, candidate.fitted.components(candidate.structure))
            else:
                whole.warning = whole.warning or f"In a fold: {candidate.warning}"
    for candidate, total in zip(candidates, totals, strict=True):
        if candidate.is_usable:
            candidate.criterion = -2.0 * total


def best_of(candidates: list[Candidate]) -> Candidate:
    """The one whose criterion is lowest; ValueError if none has a finite one."""
    usable = [candidate for candidate in candidates if math.isfinite(candidate.criterion)]
    if not usable:
        reasons = "; ".join(sorted({candidate.warning for candidate in candidates}))
        raise ValueError(
            f"No fit of the search is usable: {reasons or 'no criterion is finite.'} Try fewer components or "
            "other covariance types, a larger reg_covar, or rescale the features to comparable ranges."
        )
    return min(usable, key=lambda candidate: candidate.criterion)


def _part(weights: np.ndarray | None, index: np.ndarray) -> np.ndarray | None:
    return None if weights is None else weights[index]
