"""The criteria that a search minimizes, from all rows or from held-out rows."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import cast

import numpy as np

from fastgmm._estimator.criteria import LEAST_ROWS, criteria_of
from fastgmm._rows.array import ArrayPasses
from fastgmm._search.candidates import Candidate
from fastgmm._search.fits import Fits
from fastgmm._search.folds import Fold
from fastgmm._skipping.policy import log_likelihood_of
from fastgmm._utils.progress import SILENT


def check_weights_count_rows(total_weight: float, criterion: str) -> None:
    """Raise ValueError if the sum of the weights, which criteria take for the number of rows, is too small."""
    if total_weight < LEAST_ROWS:
        raise ValueError(
            f"The sum of sample_weight is {total_weight:g}, which criterion={criterion!r} takes for the number of "
            "rows: weights count rows. Scale them so that their sum is that number."
        )


def set_criteria(candidates: list[Candidate], n_rows: float) -> None:
    """Set BIC, AIC and ICL of each usable candidate, from the rows that it was fitted to, `n_rows` in all."""
    for candidate in candidates:
        if not candidate.is_usable:
            continue
        n_parameters = candidate.n_parameters
        criteria = criteria_of(candidate.log_likelihood, candidate.log_max_resp, n_parameters, n_rows)
        if criteria is not None:
            candidate.bic, candidate.aic, candidate.icl = criteria


def cross_validate(candidates: list[Candidate], folds: list[Fold], fits: Fits) -> None:
    """Set the criterion 'cv': repeat the search on a part of the rows, and add up the log-likelihoods of the others.

    The rows of the fits must be in memory."""
    rows, settings = cast(ArrayPasses, fits.rows), fits.settings
    totals = np.zeros(len(candidates))
    for number, (train, test) in enumerate(folds, 1):
        fits.progress.begin_fold(number, len(folds))
        of_fold = [
            Candidate(each.n_components, each.covariance_type, each.n_features, each.region, each.distribution)
            for each in candidates
        ]
        held_out = rows.part(test)
        fits_of_fold = Fits(rows.part(train), fits.weight_unit, fits.random_state, settings, fits.progress)
        fits_of_fold.search(of_fold)
        fits_of_fold.finish(of_fold)
        for i, (candidate, original) in enumerate(zip(of_fold, candidates, strict=True)):
            if candidate.is_usable:
                assert candidate.fitted is not None
                passes = held_out.for_mixture(candidate.n_components, candidate.structure, SILENT)
                log_likelihood = log_likelihood_of(passes, candidate.fitted.components(candidate.structure))
                totals[i] += log_likelihood * fits.weight_unit
            else:
                original.warning = original.warning or f"In a fold: {candidate.warning}"
    for candidate, total in zip(candidates, totals, strict=True):
        if candidate.is_usable:
            candidate.cv = -2.0 * total


def best_of(candidates: list[Candidate], criterion: str) -> Candidate:
    """The candidate with the lowest criterion. Raises ValueError if none has a finite one."""
    value = attrgetter(criterion)
    usable = [candidate for candidate in candidates if math.isfinite(value(candidate))]
    if not usable:
        reasons = "; ".join(sorted({candidate.warning for candidate in candidates}))
        raise ValueError(
            f"No fit of the search is usable: {reasons or 'no criterion is finite.'} Try fewer components or "
            "other covariance types, a larger reg_covar, or rescale the features to comparable ranges."
        )
    return min(usable, key=value)
