"""What one pass over all batches finds out before a fit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastgmm._rows.reading import BatchMeter, read_ahead


class Survey:
    """What one pass over all batches finds out before a fit.

    Parameters
    ----------
    batches : iterable of (rows, weights)
        Validated; weights may be None. Rows without weight have been dropped.
    sample_rows : int
        How many rows to keep, drawn uniformly; all of them, in order, if they are no more.
    random_state : RandomState
        Draws the sample; no numbers are drawn as long as all rows are kept.
    meter : BatchMeter

    Attributes
    ----------
    n_rows : int
    total_weight, largest_weight : float
    first_row : ndarray of shape (n_features,), float64
    column_sums : ndarray of shape (n_features,), float64
        Tell other data apart.
    sample : ndarray of shape (at most sample_rows, n_features)
    sample_weight : ndarray, or None if no batch has weights
    """

    def __init__(self, batches: Iterable, sample_rows: int, random_state: np.random.RandomState, meter: BatchMeter):
        self.n_rows = 0
        self.total_weight = self.largest_weight = 0.0
        kept: list[np.ndarray] = []
        kept_weights: list[np.ndarray] = []
        weighted = False
        meter.begin_pass()
        for rows, weights in read_ahead(batches):
            if self.n_rows == 0:
                self.first_row = rows[0].astype(np.float64)
                self.column_sums = np.zeros(rows.shape[1])
            weighted |= weights is not None
            own = np.ones(len(rows)) if weights is None else weights
            self.column_sums += rows.sum(axis=0, dtype=np.float64)
            self.total_weight += float(own.sum())
            self.largest_weight = max(self.largest_weight, float(own.max()))
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
            self.n_rows += len(rows)
            meter.after_batch(len(rows))
        meter.end_pass()
        self.sample = np.concatenate(kept) if kept else np.empty((0, 0))
        self.sample_weight = np.concatenate(kept_weights) if weighted else None
