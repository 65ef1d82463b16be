"""The rows that a search fits to: in memory, or read anew for each iteration."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgmm._estimator.fit import START_ROWS
from fastgmm._input.batches import CheckedBatches, check_no_weights_beside
from fastgmm._input.blocks import ArrayBatches
from fastgmm._input.containers import Reader, is_read_in_blocks
from fastgmm._input.rows import (
    allows_missing,
    check_fit_data,
    check_n_rows,
    check_sample_weight,
    check_some_weight,
    check_weight_of_each_row,
    drop_unweighted_rows,
    warn_of_collection,
    weight_unit,
    weights_without_empty_rows,
)
from fastgmm._model.covariance import DIAGONAL
from fastgmm._rows.batches import BatchPasses
from fastgmm._rows.incomplete import passes_over
from fastgmm._rows.protocol import EvaluatingPasses
from fastgmm._rows.survey import BatchSurvey
from fastgmm._search.criteria import check_weights_count_rows
from fastgmm._search.folds import Fold, folds_of
from fastgmm._utils.progress import Reporter


class SearchRows(NamedTuple):
    """Passes over the rows of a search, and what comes with them."""

    passes: EvaluatingPasses  # for a mixture of any shape
    weight_unit: float  # the weights have been divided by it
    random_state: np.random.RandomState  # for the starts
    folds: list[Fold]  # of criterion 'cv'; else none

    @property
    def total_weight(self) -> float:
        """Sum of the weights as they were given."""
        return self.passes.total_weight * self.weight_unit


def rows_to_search(search, X, sample_weight, n_components: int, seed: int, progress: Reporter) -> SearchRows:
    """The rows of X, checked.

    Parameters
    ----------
    search : GaussianMixtureIC
        Gets the number and the names of the features.
    X : array-like, dataset on disk or reader
    sample_weight : array-like or None
    n_components : int
        The largest number of components.
    seed : int
        Of the random numbers for a sample of rows that are not in memory, and for the starts.
    progress : Reporter

    Raises
    ------
    ValueError, TypeError
        If rows or weights are not usable, or are too few.
    """
    is_reader = isinstance(X, Reader)
    if is_reader:
        check_no_weights_beside(X, sample_weight)
    if is_reader or is_read_in_blocks(X):
        if search.criterion == "cv":
            kind = "a reader" if is_reader else f"{type(X).__name__}, which is read in blocks"
            raise ValueError(
                f"criterion='cv' needs rows in memory, got {kind}: use criterion='bic', 'aic' or 'icl', or read the "
                "rows into an array if they fit into memory."
            )
        if not is_reader:
            warn_of_collection(X, in_blocks=True)
            X = ArrayBatches(X, check_weight_of_each_row(sample_weight, X))
        return _in_batches(search, X, n_components, seed, progress)
    X = check_fit_data(search, X)
    sample_weight = check_sample_weight(sample_weight, X.shape[0])
    if allows_missing(search):
        sample_weight = weights_without_empty_rows(X, sample_weight)
    rows, weights = drop_unweighted_rows(X, sample_weight)
    check_n_rows(rows.shape[0], n_components)
    unit = 1.0
    folds = []
    if search.criterion == "cv":
        is_kept = np.ones(len(X), bool) if sample_weight is None else sample_weight > 0.0
        folds = folds_of(search.cv, is_kept, n_components, seed)
    if weights is not None:
        if search.criterion != "cv":
            check_weights_count_rows(float(weights.sum()), search.criterion)
        unit = 1.0 if search.prior is not None else weight_unit(float(weights.max()))
        weights = weights / unit
    arguments = rows, weights, 1, DIAGONAL, search.n_threads, None, progress
    passes = passes_over(*arguments, may_miss_values=allows_missing(search))
    return SearchRows(passes, unit, np.random.RandomState(seed), folds)


def _in_batches(search, batches: Reader, n_components: int, seed: int, progress: Reporter) -> SearchRows:
    checked, random_state = CheckedBatches(search, batches), np.random.RandomState(seed)
    survey = BatchSurvey(checked, max(START_ROWS, n_components), random_state, progress)
    check_n_rows(survey.n_rows, n_components)
    check_some_weight(survey.total_weight)
    if survey.sample_weight is not None:
        check_weights_count_rows(survey.total_weight, search.criterion)
    unit = 1.0 if search.prior is not None else weight_unit(survey.largest_weight)
    passes = BatchPasses(checked, survey, unit, 1, DIAGONAL, search.n_threads, progress)
    return SearchRows(passes, unit, random_state, [])
