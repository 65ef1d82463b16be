"""Reading batches ahead, and the progress of passes over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import NamedTuple, TypeVar

import numpy as np

from fastgmm._utils.background import Background
from fastgmm._utils.words import counted

BatchT = TypeVar("BatchT", bound=tuple)  # rows, their weights or None, and more

_SLOW_SECONDS = 2e-3  # a thread reads ahead if a batch takes longer
_CANCEL_SECONDS = 0.5  # an interrupted pass waits so long for the batch that is being read
_LINE_SECONDS = 10.0  # between two printed lines of a pass


def read_ahead(batches: Iterable[BatchT]) -> Iterator[BatchT]:
    """The same batches. If reading takes long, another thread reads the next batch while the present one is used.

    A thread does not pay for quick batches, such as slices of an array: it would wait for a core that the passes keep
    busy. The present batch is copied, since its reader may fill the same memory with the next.
    """
    iterator = iter(batches)
    item = next(iterator, None)
    if item is None:
        return
    yield item
    began = perf_counter()  # the first one may have included opening a file
    item = next(iterator, None)
    if perf_counter() - began < _SLOW_SECONDS:
        while item is not None:
            yield item
            item = next(iterator, None)
        return
    coming = None
    try:
        while item is not None:
            own = _copied(item)
            coming = Background(next, iterator, None)
            coming.start()
            yield own
            item = coming.result()
    finally:  # after Ctrl-C a slow batch must not delay the exit
        if coming is not None:
            coming.join(_CANCEL_SECONDS)


def _copied(batch):
    """The batch with copies of its arrays. Other parts cannot change."""
    parts = [part.copy() if isinstance(part, np.ndarray) else part for part in batch]
    return batch._make(parts) if hasattr(batch, "_make") else tuple(parts)


class BatchProgress(NamedTuple):
    """How far a fit over batches has come.

    Attributes
    ----------
    n_pass : int
        Number of the present pass over the batches: 0 finds out what there is and draws the sample for the start; then
        comes one for each iteration, and a few for priors or accuracy.
    new_rows : int
        Rows of the last batch.
    rows : int
        Rows of this pass so far.
    n_rows : int or None
        Rows of all batches; None while pass 0 is counting them.
    seconds : float
        Time that this pass has taken so far.
    """

    n_pass: int
    new_rows: int
    rows: int
    n_rows: int | None
    seconds: float


class BatchMeter:
    """Counts the rows of passes over the batches, and reports the progress.

    Parameters
    ----------
    callback : callable or None
        Is given a BatchProgress after each batch.
    verbose : int
        0: nothing; 1: a line every ten seconds; 2: and one at the end of each pass.
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
