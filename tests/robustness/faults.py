"""Faults made on purpose, which sanitizers must report: `python tests/robustness/faults.py NAME`. For .ci/sanitize."""

import ctypes
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fastgmm import _kernels

K, D, ROWS = 3, 6, 4000
SCATTER = (K, D, D)


def pass_with(workspace, sums, nk=None, n_rows=ROWS):
    """A pass of one thread over random rows."""
    rng = np.random.default_rng(0)
    X, means, factors = rng.normal(size=(n_rows, D)), rng.normal(size=(K, D)), np.stack([np.eye(D)] * K)
    nk = np.zeros(K) if nk is None else nk
    _kernels.active.em_pass(
        X, None, means, means, factors, np.zeros(K), nk, np.zeros((K, D)), np.zeros(SCATTER), False, workspace, sums, 1
    )


def aligned(n, missing=0):
    """An array that says that it holds n float64, of which the last `missing` are not there."""
    libc = ctypes.CDLL(None)
    address = ctypes.c_void_p()
    assert libc.posix_memalign(ctypes.byref(address), 64, ctypes.c_size_t(8 * (n - missing))) == 0
    return np.frombuffer((ctypes.c_double * n).from_address(address.value))


def lengths():
    return _kernels.active.workspace_sizes(K, D, *SCATTER, 1)


def short_workspace():
    n_work, n_sums = lengths()
    pass_with(aligned(n_work, missing=60), aligned(n_sums))


def misaligned_workspace():
    n_work, n_sums = lengths()
    pass_with(aligned(n_work + 8)[1 : n_work + 1], aligned(n_sums))


def neighbors_part():
    """Two threads with parts that overlap: the second writes to the red zone behind the first one's."""
    n_work, n_sums = lengths()
    both, start = aligned(2 * n_work), (n_work - 512) // 8 * 8  # a cache line
    with ThreadPoolExecutor(2) as threads:
        long = threads.submit(pass_with, both[:n_work], aligned(n_sums), n_rows=1_000_000)
        while not long.done():
            pass_with(both[start : start + n_work], aligned(n_sums))


def two_threads_on_one_array():
    n_work, n_sums = lengths()
    workspace = aligned(n_work)
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(pass_with, workspace, aligned(n_sums), n_rows=100_000) for _ in range(10)]:
            done.result()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
