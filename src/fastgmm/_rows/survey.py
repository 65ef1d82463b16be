"""Surveys: what one pass over all batches or chunks finds out before a fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from fastgmm._rows.reading import read_ahead
from fastgmm._utils.progress import Reporter


@dataclass(slots=True)
class Survey:
    """Facts about some rows of positive weight.

    Attributes
    ----------
    n_rows : int
    total_weight, largest_weight : float
        Rows without weights have weight 1.
    first_row : ndarray of shape (n_features,), float64
    column_sums : ndarray of shape (n_features,), float64
        Without weights and missing values. They identify the data.
    misses_values : bool
        Whether a value is missing.
    """

    n_rows: int = 0
    total_weight: float = 0.0
    largest_weight: float = 0.0
    first_row: np.ndarray = field(default_factory=lambda: np.empty(0))
    column_sums: np.ndarray = field(default_factory=lambda: np.zeros(1))
    misses_values: bool = False

    @classmethod
    def of_rows(cls, rows: np.ndarray, weights: np.ndarray | None) -> Survey:
        if len(rows) == 0:
            return cls()
        total, largest = (float(len(rows)), 1.0) if weights is None else (float(weights.sum()), float(weights.max()))
        sums = rows.sum(axis=0, dtype=np.float64)
        misses_values = bool(np.isnan(sums).any())
        if misses_values:
            sums = np.nansum(rows, axis=0, dtype=np.float64)
        return cls(len(rows), total, largest, rows[0].astype(np.float64), sums, misses_values)

    def add(self, other: Survey) -> None:
        """Include the rows of another survey, which come after those of this one."""
        if self.n_rows == 0:
            self.first_row = other.first_row
        self.n_rows += other.n_rows
        self.total_weight += other.total_weight
        self.largest_weight = max(self.largest_weight, other.largest_weight)
        self.column_sums = self.column_sums + other.column_sums
        self.misses_values |= other.misses_values


class BatchSurvey(Survey):
    """A survey of batches, with a sample.

    Parameters
    ----------
    batches : iterable of (rows, weights)
        Validated; weights may be None. Rows of weight 0 have been dropped.
    sample_rows : int
        Number of rows to draw uniformly. If there are no more, all are kept, in order, and no numbers are drawn.
    random_state : RandomState
    progress : Reporter

    Attributes
    ----------
    sample : ndarray of shape (m, n_features), m <= sample_rows
    sample_weight : ndarray of shape (m,), or None if no batch has weights
    """

    def __init__(self, batches: Iterable, sample_rows: int, random_state: np.random.RandomState, progress: Reporter):
        super().__init__()
        kept: list[np.ndarray] = []
        kept_weights: list[np.ndarray] = []
        weighted = False
        progress.begin("reading")
        progress.begin_pass(None)
        for rows, weights in read_ahead(batches):
            weighted |= weights is not None
            own = np.ones(len(rows)) if weights is None else weights
            fill = max(0, min(len(rows), sample_rows - self.n_rows))
            if fill:
                kept.append(rows[:fill].copy())
                kept_weights.append(own[:fill].copy())
            if fill < len(rows):
                if len(kept) != 1:
                    kept, kept_weights = [np.concatenate(kept)], [np.concatenate(kept_weights)]
                # Reservoir sampling: row i (from 0) takes a random one of i + 1 places, if the sample has it.
                places = random_state.random_sample(len(rows) - fill) * (self.n_rows + 1 + np.arange(fill, len(rows)))
                taken = np.flatnonzero(places < sample_rows)
                kept[0][places[taken].astype(np.intp)] = rows[fill + taken]
                kept_weights[0][places[taken].astype(np.intp)] = own[fill + taken]
            self.add(Survey.of_rows(rows, weights))
            progress.read(len(rows))
        progress.end()
        self.sample = np.concatenate(kept) if kept else np.empty((0, 0))
        self.sample_weight = np.concatenate(kept_weights) if weighted else None
