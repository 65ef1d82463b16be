"""Time and memory of whole fits, and the machine, for ``python -m fastgmm benchmark`` and ``benchmarks/``."""

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

from fastgmm import _kernels
from fastgmm._command_line.versions import cpu_name, package_versions
from fastgmm._utils.threads import effective_n_threads

_LEAST_SECONDS = 1.0  # a fit is repeated until this time has passed


def describe_machine(n_threads: int) -> dict[str, str]:
    """The machine and the versions that a time depends on."""
    return {
        "CPU": f"{cpu_name()}, {os.cpu_count()} logical cores",
        "SIMD variant": _kernels.ACTIVE,
        "threads": str(n_threads),
        "Python": sys.version.split()[0],
        **package_versions("fastgmm", "numpy", "scipy", "scikit-learn", "scikit-learn-intelex"),
    }


@contextmanager
def limited_threads(n_threads: int | None) -> Iterator[int]:
    """Limit all libraries to n_threads (None: as many as the machine grants). Yields the number."""
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
        """Time beyond the start, divided by the number of iterations."""
        return (self.total_seconds - self.start_seconds) / self.n_iter


def time_whole_fits(
    X: NDArray[Any],
    estimators: Mapping[str, Any],
    report: Callable[[str, str], None],
    **arguments: Any,
) -> dict[str, WholeFit]:
    """Measure, for each estimator, the memory of a short fit of X, the time of the start (max_iter=0) and of the fit.

    A fit is repeated for at least a second; its time is the median. The short fit comes first, so it also warms up.
    ``report(name, stage)`` is called before each stage.
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
            start_seconds = _median_seconds(partial(start_only.fit, X))
            report(name, "fit")
            model = estimator(**arguments)
            total_seconds = _median_seconds(partial(model.fit, X))
            report(name, "log-likelihood")
            log_likelihood = float(model.score(X)) * len(X)
            fits[name] = WholeFit(start_seconds, total_seconds, int(model.n_iter_), log_likelihood, peak_bytes)
    return fits


def _median_seconds(function: Callable[[], object]) -> float:
    seconds: list[float] = []
    while sum(seconds) < _LEAST_SECONDS:
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds))


def peak_memory(function: Callable[[], object]) -> int:
    """Peak of the bytes that Python and NumPy held during the call, less what they held before it."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        function()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before
