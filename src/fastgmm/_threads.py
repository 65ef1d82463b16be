"""How many threads a call may use: the one place that decides."""

import os

import joblib

from fastgmm import _kernels

_in_forked_child = False


def _note_fork() -> None:
    global _in_forked_child
    _in_forked_child = True


# GNU's OpenMP runtime deadlocks in a forked child whose parent has run a parallel region: children keep to one thread,
# which enters no parallel region at all.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def explain_n_threads(n_threads: int | None = None) -> tuple[int, str]:
    """The number of threads for ``n_threads`` (None: what the machine grants), and why."""
    if not _kernels.active.OPENMP:
        return 1, "built without OpenMP"
    if _in_forked_child:
        return 1, "forked child process (OpenMP runtimes may deadlock there; use the spawn start method for more)"
    if n_threads is not None:
        return int(n_threads), "given by n_threads"
    granted = _kernels.active.max_threads()
    if os.environ.get("OMP_NUM_THREADS"):
        return granted, "OMP_NUM_THREADS, or a threadpoolctl limit"
    cores = joblib.cpu_count()
    if cores < granted:
        return cores, "CPU affinity, or the container's quota"
    return granted, "all cores granted to this process, or a threadpoolctl limit"


def effective_n_threads(n_threads: int | None = None) -> int:
    """The number of threads for ``n_threads`` (None: what the machine grants)."""
    return explain_n_threads(n_threads)[0]
