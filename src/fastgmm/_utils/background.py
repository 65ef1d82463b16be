"""Calls in another thread. Ctrl-C does not wait for them."""

import _thread
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")

_SIGNAL_SECONDS = 0.2  # a waiting thread wakes this often to see signals, which may arrive in another thread


def run_interruptibly(function: Callable[..., T], *arguments) -> T:
    """Return the result of a function that takes longer than Ctrl-C should wait.

    Python handles signals in its main thread only, between two bytecodes. So the main thread waits here while another
    thread computes. After Ctrl-C the function runs on, and its result is lost. Any other thread calls the function
    itself.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*arguments)
    background = Background(function, *arguments)
    background.start()
    return background.result()


class Background(Generic[T]):
    """A call in a thread of its own. Ctrl-C in the thread that waits for it ends the wait."""

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
        # Not threading.Thread: a Ctrl-C that arrives while Python cleans one up is lost.
        _thread.start_new_thread(self._run, ())

    def result(self) -> T:
        """Wait, and return what the function returned or raise what it raised."""
        while not self._running.acquire(timeout=_SIGNAL_SECONDS):
            pass
        self._running.release()
        return self._future.result()

    def join(self, seconds: float) -> None:
        """Wait until the call ends, at most this many seconds; return at once if it was never started."""
        if self._running.acquire(timeout=seconds):
            self._running.release()
