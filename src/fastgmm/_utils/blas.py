"""BLAS held to one thread between passes over the rows."""

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

from threadpoolctl import ThreadpoolController

_LEAST_FEATURES = 32  # BLAS uses one thread for matrices of fewer rows


class _SingleThreadedBlas:
    """Holds BLAS to one thread while any thread of the process is inside.

    A BLAS thread spins for some 30 ms after its work, on a core that the next pass over the rows needs. Of concurrent
    fits, the first to enter sets the limit and the last to leave restores the former one.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._inside: list[int] = []  # identifiers of threads, once for each entry
        self._before: list[int] = []  # limits to restore; empty if no thread is inside

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
        """Forget the other threads: a child has only the one that forked. Nobody else leaves or releases the lock."""
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
    # threadpoolctl (3.8) ignores limits that other threads set after the first thread, until the first one has left
    # such a context. Here another thread may restore the limits.
    with libraries.limit():
        pass


_single_threaded_blas = _SingleThreadedBlas()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_single_threaded_blas.after_fork)


def blas_beside_passes(n_features: int, with_all_parameters: bool = False) -> AbstractContextManager:
    """A context that holds BLAS to one thread if it would use more between passes.

    Parameters
    ----------
    n_features : int
        Rows of the matrices that BLAS works on.
    with_all_parameters : bool, default=False
        Whether it also works on vectors of all parameters. These are always long enough for several threads.
    """
    may_wake_threads = n_features >= _LEAST_FEATURES or with_all_parameters
    return _single_threaded_blas if may_wake_threads else nullcontext()


def blas_of_all_rows() -> AbstractContextManager:
    """A context that holds BLAS to one thread, for products with all rows.

    OpenBLAS ends its threads if another thread forks. It may lose their work, and then the product never returns.
    """
    return _single_threaded_blas
