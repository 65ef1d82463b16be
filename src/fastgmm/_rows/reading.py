"""Reading batches ahead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TypeVar

import numpy as np

from fastgmm._utils.background import Background

BatchT = TypeVar("BatchT", bound=tuple)  # rows, their weights or None, and more

_SLOW_SECONDS = 2e-3  # a thread reads ahead if a batch takes longer
_CANCEL_SECONDS = 0.5  # an interrupted pass waits so long for the batch that is being read


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
