"""Calls in another thread, so that Ctrl-C in this one does not have to wait for them."""

import _thread
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")

_SIGNAL_SECONDS = 0.2  # how often a waiting thread looks for signals: the system may give them to another thread


def run_interruptibly(function: Callable[..., T], *arguments) -> T:
    """Call a function that takes longer than Ctrl-C should wait, and return its result.

    Python sees signals in its main thread only, between two bytecodes. So the main thread waits here while another
    thread computes. After Ctrl-C the function runs on, and its result is lost. In any other thread the function is
    called as usual.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*arguments)
    background = Background(function, *arguments)
    background.start()
    return background.result()


class Background(Generic[T]):
    """A call in a thread of its own. Ctrl-C in this thread does not wait for it.

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
        """Wait, and return what the function returned or raise what it raised."""
        while not self._running.acquire(timeout=_SIGNAL_SECONDS):
            pass
        self._running.release()
        return self._future.result()

    def join(self, seconds: float) -> None:
        """Wait for the end, at most that many seconds; not at all if the call was never started."""
        if self._running.acquire(timeout=seconds):
            self._running.release()
