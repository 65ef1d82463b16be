"""BLAS held to one thread between passes over the rows."""

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

from threadpoolctl import ThreadpoolController

_LEAST_FEATURES = 32  # matrices of fewer features never wake a BLAS thread


class _SingleThreadedBlas:
    """Holds BLAS to one thread while any thread of the process is inside.

    A BLAS thread that has run keeps spinning for some 30 ms, on a core that the next pass over the rows needs. The
    first of concurrent fits to enter sets the limit; the last one to leave restores what was there before.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._inside: list[int] = []  # a thread's number, once for each time it has entered
        self._before: list[int] = []  # the limits to restore; empty if nobody is inside

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
        """In a child there is only the thread that forked: no other one will leave, or release the lock."""
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
    # threadpoolctl (3.8) ignores what other threads set after the first one, until the first one has left such a
    # context. Here another thread may restore the limits.
    with libraries.limit():
        pass


_single_threaded_blas = _SingleThreadedBlas()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_single_threaded_blas.after_fork)


def blas_beside_passes(n_features: int, with_all_parameters: bool = False) -> AbstractContextManager:
    """Hold BLAS to one thread if algebra between passes could wake others.

    Parameters
    ----------
    n_features : int
        Rows of the matrices.
    with_all_parameters : bool, default=False
        Whether there are also vectors of all parameters, which are long enough whatever the number of features.
    """
    may_wake_threads = n_features >= _LEAST_FEATURES or with_all_parameters
    return _single_threaded_blas if may_wake_threads else nullcontext()
