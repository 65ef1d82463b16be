"""The machine, and whole fits on it: their time and memory, for ``python -m fastgmm benchmark`` and ``benchmarks/``."""

import gc
import os
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from fastgmm._command_line.versions import cpu_name, package_versions, simd_variant
from fastgmm._utils.threads import effective_n_threads


def describe_machine(n_threads: int) -> dict[str, str]:
    """What a reader of a time must know about where it was taken."""
    return {
        "CPU": f"{cpu_name()}, {os.cpu_count()} logical cores",
        "SIMD variant": simd_variant(),
        "threads": str(n_threads),
        "Python": sys.version.split()[0],
        **package_versions("fastgmm", "numpy", "scipy", "scikit-learn", "scikit-learn-intelex"),
    }


@contextmanager
def limited_threads(n_threads: int | None) -> Iterator[int]:
    """Hold everything that is timed to n_threads (None: what the machine grants); yields the number."""
    n_threads = effective_n_threads(n_threads)
    with threadpool_limits(n_threads):
        yield n_threads


@dataclass(frozen=True, slots=True)
class WholeFit:
    """One whole fit, start included, as a user calls it."""

    start_seconds: float
    total_seconds: float
    n_iter: int
    log_likelihood: float
    peak_bytes: int

    @property
    def iteration_seconds(self) -> float:
        """What is not the start, divided by the number of iterations."""
        return (self.total_seconds - self.start_seconds) / self.n_iter


def time_whole_fits(
    X: NDArray[Any],
    estimators: Mapping[str, Any],
    turn_seconds: float = 1.0,
    report: Callable[[str, str], None] = lambda name, stage: None,
    **arguments: Any,
) -> dict[str, WholeFit]:
    """Fit X with each estimator, and measure the start alone (max_iter=0), the fit, and in a short run the memory.

    Each is timed once, and again until `turn_seconds` have passed; the medians count. The short run comes first and
    warms up.
    """
    fits = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for name, estimator in estimators.items():
            report(name, "memory")
            short = estimator(**arguments | {"max_iter": 2})
            peak_bytes = peak_memory(partial(short.fit, X))
            report(name, "start")
            start_only = estimator(**arguments | {"max_iter": 0})
            start_seconds = _median_seconds(partial(start_only.fit, X), turn_seconds)
            report(name, "fit")
            model = estimator(**arguments)
            total_seconds = _median_seconds(partial(model.fit, X), turn_seconds)
            report(name, "log-likelihood")
            log_likelihood = float(model.score(X)) * len(X)
            fits[name] = WholeFit(start_seconds, total_seconds, int(model.n_iter_), log_likelihood, peak_bytes)
    return fits


def _median_seconds(function: Callable[[], object], turn_seconds: float) -> float:
    seconds: list[float] = []
    while not seconds or sum(seconds) < turn_seconds:
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds))


def peak_memory(function: Callable[[], object]) -> int:
    """Most bytes that Python and NumPy held at once during the call, beyond what they held before it."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        function()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before
