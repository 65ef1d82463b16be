"""How many threads a call may use: the one place that decides."""

import _thread
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Generic, TypeVar

import joblib
from threadpoolctl import ThreadpoolController

from fastgmm import _kernels

T = TypeVar("T")

_BLAS_THREADS_FEATURES = 32
_SIGNAL_SECONDS = 0.2  # so often a waiting thread looks for signals: the system may give them to another one

# GNU's OpenMP runtime deadlocks in a forked child whose parent has run a parallel region: children keep to one thread,
# which enters no parallel region at all.
_in_forked_child = False


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
    cores = _granted_cores()
    if cores < granted:
        return cores, "CPU affinity, or the container's quota"
    return granted, "all cores granted to this process, or a threadpoolctl limit"


def _granted_cores() -> int:
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return _cpu_count(affinity, os.environ.get("LOKY_MAX_CPU_COUNT"))


@lru_cache(maxsize=1)
def _cpu_count(affinity: int | None, limit: str | None) -> int:
    """joblib's count, asked again only if an argument changes: it reads the container's quota from files each time."""
    return joblib.cpu_count()


def effective_n_threads(n_threads: int | None = None) -> int:
    """The number of threads for ``n_threads`` (None: what the machine grants)."""
    return explain_n_threads(n_threads)[0]


def run_interruptibly(function: Callable[..., T], *arguments) -> T:
    """What a function returns that takes longer than Ctrl-C should wait; it must not mind going on for nobody.

    Python sees signals in its main thread, between two bytecodes: that thread waits here, and another one computes. If
    it is not the main thread that calls, nothing has to be done.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*arguments)
    background = Background(function, *arguments)
    background.start()
    return background.result()


class Background(Generic[T]):
    """A call in a thread of its own, which Ctrl-C in this one does not wait for.

    Parameters
    ----------
    function : callable
    *arguments
    """

    def __init__(self, function: Callable[..., T], *arguments):
        self._future: Future[T] = Future()
        self._call = function, arguments
        self._running = _thread.allocate_lock()  # held while the function runs

    def _run(self) -> None:
        function, arguments = self._call
        try:
            self._future.set_result(function(*arguments))
        except BaseException as error:
            self._future.set_exception(error)
        finally:
            self._running.release()

    def start(self) -> None:
        self._running.acquire()
        # Not threading.Thread: a Ctrl-C that arrives while one of these is cleared away is lost.
        _thread.start_new_thread(self._run, ())

    def result(self) -> T:
        """What the function returned, or the exception that it raised."""
        while not self._running.acquire(timeout=_SIGNAL_SECONDS):
            pass
        self._running.release()
        return self._future.result()

    def join(self, seconds: float) -> None:
        """Wait for the end, but no longer than that; not at all if it was never started."""
        if self._running.acquire(timeout=seconds):
            self._running.release()


class _SingleThreadedBlas:
    """Holds BLAS to one thread while any thread of the process is inside.

    A BLAS thread that has run keeps spinning for some 30 ms, on a core that the next pass over the data needs. The
    limits that were there before the first of concurrent fits come back after the last of them.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._inside: list[int] = []  # the threads, as often as each has entered
        self._before: list[int] = []  # the limits; empty unless others are in force

    def __enter__(self):
        with self._lock:
            if not self._inside:
                self._before = [library.num_threads for library in _blas_libraries().lib_controllers]
                _limit_blas([1] * len(self._before))
            self._inside.append(threading.get_ident())

    def __exit__(self, *exception):
        with self._lock:
            self._inside.remove(threading.get_ident())
            if not self._inside:
                self._restore()

    def _restore(self) -> None:
        _limit_blas(self._before)
        self._before = []

    def after_fork(self) -> None:
        """In a child only the thread that forked is there; no other will leave, or release the lock."""
        self._lock = threading.Lock()
        self._inside = [thread for thread in self._inside if thread == threading.get_ident()]
        if self._before and not self._inside:
            self._restore()


@lru_cache(maxsize=1)
def _blas_libraries() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def _limit_blas(limits: list[int]) -> None:
    libraries = _blas_libraries()
    for library, limit in zip(libraries.lib_controllers, limits, strict=True):
        library.set_num_threads(limit)
    # threadpoolctl (3.8) ignores what other threads set after the first one, until that has left such a context; here
    # the thread that restores the limits may be another.
    with libraries.limit():
        pass


_single_threaded_blas = _SingleThreadedBlas()


def _note_fork() -> None:
    global _in_forked_child
    _in_forked_child = True
    _single_threaded_blas.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def blas_beside_passes(n_features: int, with_all_parameters: bool = False) -> AbstractContextManager:
    """For algebra in between passes, on matrices of n_features rows, or on vectors of all parameters.

    Small matrices never wake a BLAS thread; vectors of that length may.
    """
    is_large = n_features >= _BLAS_THREADS_FEATURES or with_all_parameters
    return _single_threaded_blas if is_large else nullcontext()
