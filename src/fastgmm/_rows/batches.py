"""Rows that arrive in batches: validated, read ahead, and walked over as `DataPasses` walks over an array.

Statistics of batches add up, so that EM over batches is EM over all rows; what is never there is all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import NamedTuple

import numpy as np

from fastgmm._input.batches import check_all_batches_again, check_batch_again
from fastgmm._model.covariance import Mixture
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._rows.array import DataPasses, Walk, row_flops
from fastgmm._skipping.cells import Cells
from fastgmm._skipping.screens import Screen, Screening
from fastgmm._utils.threads import Background, effective_n_threads
from fastgmm._utils.words import counted

Batch = tuple[np.ndarray, np.ndarray | None]  # rows and their weights

_WORTH_A_THREAD = 2e-3  # seconds that fetching a batch takes
_PATIENCE = 0.5  # seconds that a walk which is given up waits for the batch that is being fetched
_LINE_SECONDS = 10.0  # between two printed lines of a pass


def read_ahead(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same batches; if one takes long, the next is fetched by another thread while the present one is used.

    What costs next to nothing, such as slices of an array, is not worth that: the fetching thread would have to wait
    for a core that the passes keep busy. A batch that is used meanwhile is copied, since its reader may fill the same
    memory again.
    """
    iterator = iter(batches)
    item = next(iterator, None)
    if item is None:
        return
    yield item
    began = perf_counter()  # the first one may have included opening a file
    item = next(iterator, None)
    if perf_counter() - began < _WORTH_A_THREAD:
        while item is not None:
            yield item
            item = next(iterator, None)
        return
    coming = None
    try:
        while item is not None:
            rows, weights = item
            own = rows.copy(), None if weights is None else weights.copy()
            coming = Background(next, iterator, None)
            coming.start()
            yield own
            item = coming.result()
    finally:  # after Ctrl-C nobody wants to wait for a batch that takes long
        if coming is not None:
            coming.join(_PATIENCE)


class BatchProgress(NamedTuple):
    """How far a fit over batches has come.

    Attributes
    ----------
    n_pass : int
        Number of the present walk over the batches: 0 looks what there is and draws the sample for the start; then
        comes one for each iteration, and a few for priors or accuracy.
    new_rows : int
        Rows of the last batch.
    rows : int
        Rows of this walk so far.
    n_rows : int or None
        Rows of all batches; None while walk 0 is counting them.
    seconds : float
        Time that this walk has taken so far.
    """

    n_pass: int
    new_rows: int
    rows: int
    n_rows: int | None
    seconds: float


class BatchMeter:
    """Counts the rows of walks over the batches, and says how fast they go.

    Parameters
    ----------
    callback : callable or None
        Is given a BatchProgress after each batch.
    verbose : int
        0: nothing; 1: a line every ten seconds; 2: and one at the end of each walk.
    """

    def __init__(self, callback: Callable[[BatchProgress], object] | None, verbose: int):
        self._callback = callback
        self._verbose = verbose
        self._n_rows: int | None = None
        self._n_pass = -1

    def begin_pass(self) -> None:
        self._n_pass += 1
        self._rows = 0
        self._began = self._last_line = perf_counter()

    def after_batch(self, new_rows: int) -> None:
        self._rows += new_rows
        now = perf_counter()
        if self._verbose and now - self._last_line > _LINE_SECONDS:
            self._print(now)
        if self._callback is not None:
            self._callback(BatchProgress(self._n_pass, new_rows, self._rows, self._n_rows, now - self._began))

    def end_pass(self) -> None:
        self._n_rows = self._rows
        if self._verbose >= 2:
            self._print(perf_counter())

    def _print(self, now: float) -> None:
        self._last_line = now
        if self._n_rows in (None, self._rows):
            rows = counted(self._rows, "row")
        else:
            rows = f"{self._rows:,} of {counted(self._n_rows, 'row')}"
        rate = self._rows / max(now - self._began, 1e-9)
        print(f"  Pass {self._n_pass}: {rows}\t {rate:,.0f} rows/s")


class Survey:
    """What one walk over all batches finds out before a fit.

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


class BatchPasses:
    """Passes over batches, all for one shape of mixture; what `Updates` asks of passes.

    Parameters
    ----------
    batches : iterable of (rows, weights)
        Validated, of one dtype. Iterated over anew for each pass.
    survey : Survey
    weight_unit : float
        What weights are divided by.
    n_components : int
    covariance_type : str
    n_threads : int or None
    meter : BatchMeter
    """

    def __init__(
        self,
        batches: Iterable,
        survey: Survey,
        weight_unit: float,
        n_components: int,
        covariance_type: str,
        n_threads: int | None,
        meter: BatchMeter,
    ):
        self.dtype = survey.sample.dtype
        self.n_features = survey.sample.shape[1]
        self.total_weight = survey.total_weight / weight_unit
        self.covariance_type = covariance_type
        self._batches = batches
        self._survey = survey
        self._weight_unit = weight_unit
        self._n_components = n_components
        self._n_threads = n_threads
        self._meter = meter
        self._walk: Walk | None = None  # that of the last batch: memory that has been used is quicker than new one
        flops = row_flops(covariance_type, n_components, self.n_features)
        self.screening = Screening(
            survey.sample, survey.n_rows, n_components, covariance_type, flops, effective_n_threads(n_threads)
        )

    def of_one_component(self, covariance_type: str) -> BatchPasses:
        """Passes over the same rows for a mixture of one component."""
        return BatchPasses(
            self._batches, self._survey, self._weight_unit, 1, covariance_type, self._n_threads, self._meter
        )

    def first_row(self) -> np.ndarray:
        """Shape (n_features,), float64."""
        return self._survey.first_row

    def em_step(
        self,
        parameters: Mixture,
        centers: np.ndarray | None = None,
        with_entropy: bool = False,
        screen: Screen | Cells | None = None,
    ) -> SufficientStatistics:
        """As `DataPasses.em_step`, of all rows."""

        def em_step(passes: DataPasses) -> SufficientStatistics:
            fits = passes.X.dtype == self.dtype  # not if weights have made rows float64
            return passes.em_step(parameters, centers, with_entropy, screen if fits else None)

        return self._merged(em_step)

    def statistics_of_all(self, centers: np.ndarray) -> SufficientStatistics:
        """Statistics about ``centers`` where every row belongs to every component."""
        return self._merged(lambda passes: passes.statistics_of_all(centers))

    def of_sample(self) -> DataPasses:
        """Passes over the sample of the survey."""
        return self._passes(self._survey.sample, self._survey.sample_weight)

    def _merged(self, statistics_of: Callable[[DataPasses], SufficientStatistics]) -> SufficientStatistics:
        total, n_rows = None, 0
        self._meter.begin_pass()
        for rows, weights in read_ahead(self._batches):
            passes = self._passes(rows, weights, self._walk)
            self._walk = passes.walk
            part = statistics_of(passes)
            check_batch_again(n_rows, rows, part.log_likelihood)
            if total is None:
                total = part
            else:
                total.merge(part)
            n_rows += len(rows)
            self._meter.after_batch(len(rows))
        self._meter.end_pass()
        check_all_batches_again(n_rows, self._survey.n_rows)
        assert total is not None
        return total

    def _passes(self, rows, weights, before: Walk | None = None) -> DataPasses:
        if weights is not None and self._weight_unit != 1.0:
            weights = weights / self._weight_unit
        return DataPasses(rows, weights, self._n_components, self.covariance_type, self._n_threads, before)
