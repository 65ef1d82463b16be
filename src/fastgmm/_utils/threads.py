"""The number of threads that a call may use. No other module decides it."""

import os
from functools import lru_cache

import joblib

from fastgmm import _kernels

_THREAD_FLOPS = 2e6  # operations for which waking another thread pays: some 50 us

# GNU's OpenMP runtime deadlocks in a forked child whose parent has run a parallel region. So a child uses one thread:
# kernels then enter no parallel region.
_in_forked_child = False


def explain_n_threads(n_threads: int | None = None) -> tuple[int, str]:
    """The number of threads for ``n_threads`` (None: as many as the machine grants), and the reason in words."""
    if not _kernels.active.OPENMP:
        return 1, "built without OpenMP"
    if _in_forked_child:
        return 1, "forked child process (OpenMP runtimes may deadlock there; use the spawn start method for more)"
    if n_threads is not None:
        return int(n_threads), "given by n_threads"
    granted = _kernels.active.max_threads()
    if os.environ.get("OMP_NUM_THREADS"):
        return granted, "OMP_NUM_THREADS, or a threadpoolctl limit"
    cores = _granted_cores()
    if cores < granted:
        return cores, "CPU affinity, or the container's quota"
    return granted, "all cores granted to this process, or a threadpoolctl limit"


def effective_n_threads(n_threads: int | None = None) -> int:
    """The number of threads for ``n_threads`` (None: as many as the machine grants)."""
    return explain_n_threads(n_threads)[0]


def useful_threads(n_threads: int | None, flops: float) -> int:
    """The number of threads for work of so many operations between passes: 1 unless waking another thread pays."""
    useful = int(flops / _THREAD_FLOPS)
    if useful <= 1:
        return 1
    # passes over the rows may use the threads of other machines, too
    return min(useful, effective_n_threads(n_threads), effective_n_threads())


def _granted_cores() -> int:
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return _cpu_count(affinity, os.environ.get("LOKY_MAX_CPU_COUNT"))


@lru_cache(maxsize=1)
def _cpu_count(affinity: int | None, limit: str | None) -> int:
    """joblib's count of cores. It reads the container's quota from files; new arguments make it read them again."""
    return joblib.cpu_count()


def _note_fork() -> None:
    global _in_forked_child
    _in_forked_child = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
