"""The log of fits: what `verbose` shows. Lines are records of the logger ``fastgmm``.

Without a configuration of logging that takes them, they are printed.
"""

from __future__ import annotations

import logging
from time import perf_counter

from fastgmm._utils.progress import Progress

LOGGER = logging.getLogger("fastgmm")

_LINE_SECONDS = 10.0  # the longest silence, if there is anything to say


def log(line: object) -> None:
    """Log an object, whose str is a line. A `Progress` is also an attribute of the record, ``progress``.

    Without any configuration the level of the root logger is WARNING. Then a record of level INFO would reach nobody.
    """
    if LOGGER.hasHandlers() and (LOGGER.level != logging.NOTSET or LOGGER.isEnabledFor(logging.INFO)):
        LOGGER.info("%s", line, extra={"progress": line if isinstance(line, Progress) else None})
    else:
        print(line)


class Log:
    """A listener that logs some of the events.

    Parameters
    ----------
    verbose : int
        1: a line for the end of each stage, for each candidate, every `interval` iterations of EM, and every ten
        seconds. 2: also every `interval` iterations of k-means, and the end of each pass over batches.
    interval : int or None
        None: no lines for iterations, nor for the end of EM. A search has a line for each run anyway.
    """

    def __init__(self, verbose: int, interval: int | None):
        self._verbose = int(verbose)
        self._interval = interval
        self._last_line = perf_counter()

    def __call__(self, progress: Progress) -> None:
        now = perf_counter()
        if self._is_wanted(progress) or now - self._last_line > _LINE_SECONDS:
            log(progress)
            self._last_line = now

    def _is_wanted(self, progress: Progress) -> bool:
        event, stage = progress.event, progress.stage
        if event == "iteration":
            if stage not in ("EM", "k-means") or self._interval is None or (stage != "EM" and self._verbose < 2):
                return False
            return not (progress.iteration or 0) % self._interval
        if event == "end":
            return stage != "EM" or self._interval is not None
        if event == "rows":
            return self._verbose >= 2 and stage != "reading" and progress.rows == progress.n_rows
        return event == "candidate"
