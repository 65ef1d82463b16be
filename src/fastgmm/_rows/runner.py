"""Running kernels over the rows of an array: slices of rows, threads and workspace.

A kernel is called on one slice after the other, and Python handles Ctrl-C between two slices, which take at most half a
second. The statistics of slices add up. Only the shapes determine the slices, so results do not depend on the number of
threads. Where even a block of rows takes longer, another Python thread calls the kernel.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from fastgmm import _kernels
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._rows.protocol import SkippingPlan
from fastgmm._utils.background import run_interruptibly
from fastgmm._utils.memory import aligned_empty
from fastgmm._utils.progress import Reporter
from fastgmm._utils.threads import effective_n_threads

BLOCK_ROWS = _kernels.active.BLOCK

_SLICE_FLOPS = 5e9  # operations in a slice: half a second with one thread and the slowest variant
_THREAD_FLOPS = 2e6  # operations for which waking another thread pays: some 50 us


class KernelRunner:
    """Slices, threads and workspace of passes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    n_components : int
    scatter : (int, int, int)
        Shape of the scatter as kernels take it.
    row_flops : float
        Operations of a pass per row.
    n_threads : int or None
    before : KernelRunner, default=None
        A runner for the same shape of mixture. Its workspace is used; it must not be used any more.
    """

    workspace: np.ndarray
    sums: np.ndarray

    def __init__(
        self,
        X: np.ndarray,
        n_components: int,
        scatter: tuple[int, int, int],
        row_flops: float,
        n_threads: int | None,
        before: KernelRunner | None = None,
    ):
        n_samples, n_features = X.shape
        useful = max(1, min(_kernels.active.n_chunks(n_samples), int(n_samples * row_flops / _THREAD_FLOPS)))
        self.n_threads = min(effective_n_threads(n_threads), useful)
        n_slices = math.ceil(n_samples / max(BLOCK_ROWS, _SLICE_FLOPS / row_flops))
        self.slice_rows = -(-n_samples // (n_slices * BLOCK_ROWS)) * BLOCK_ROWS
        self.n_samples, self._dtype = n_samples, X.dtype
        self._is_long = BLOCK_ROWS * row_flops > _SLICE_FLOPS
        self._shape = n_components, n_features, *scatter, self.n_threads
        self._of_plans: dict[
            tuple, tuple[np.ndarray, ...]
        ] = {}  # workspaces of the last plan or of t distributions, by kernels and shape
        if before is not None and (before.n_threads, before._dtype) == (self.n_threads, X.dtype):
            self.workspace, self.sums, self._of_plans = before.workspace, before.sums, before._of_plans
        else:
            self.workspace, self.sums = self._workspaces(student=False)

    def kernel(self, name: str) -> Callable:
        """The kernel of that name, to be called on slices of rows. Ctrl-C interrupts it if even a block takes long."""
        kernel = getattr(_kernels.active, name)
        return partial(run_interruptibly, kernel) if self._is_long else kernel

    def _workspaces(self, student: bool) -> tuple[np.ndarray, np.ndarray]:
        work, sums = _kernels.active.workspace_sizes(*self._shape, student)
        return aligned_empty(work, self._dtype), aligned_empty(sums, np.float64)

    def student_kernel(self, name: str) -> tuple[Callable, tuple[np.ndarray, ...]]:
        """The kernel of that name for t distributions, and its workspaces in place of `workspace` and `sums`."""
        if ("student",) not in self._of_plans:
            self._of_plans["student",] = self._workspaces(student=True)
        return self.kernel(f"student_{name}"), self._of_plans["student",]

    def kernel_for(self, plan: SkippingPlan | None, name: str) -> tuple[Callable, tuple]:
        """The kernel for a plan, and its arguments beyond those of the dense kernel.

        The workspaces are kept for the next pass: allocating them for each pass would take some percent of its time."""
        if plan is None or plan.dtype != self._dtype:
            return self.kernel(name), ()
        key = (plan.kernels, *plan.workspace_shape)
        if key not in self._of_plans:
            self._of_plans.clear()
            self._of_plans[key] = plan.workspaces(self.n_threads)
        return self.kernel(f"{plan.kernels}_{name}"), (*plan.arguments, *self._of_plans[key])

    def slices(self, most_rows: int = sys.maxsize) -> Iterator[slice]:
        """Slices of rows, in order, with at most ``most_rows`` rows."""
        for first in range(0, self.n_samples, self.slice_rows):
            stop = min(first + self.slice_rows, self.n_samples)
            for start in range(first, stop, most_rows):
                yield slice(start, min(start + most_rows, stop))

    def reported_slices(self, progress: Reporter) -> Iterator[slice]:
        """Slices of rows, in order. If there are several, their progress is reported."""
        return progress.over(self.slices(), self.n_samples) if self.slice_rows < self.n_samples else self.slices()


def row_flops(structure: CovarianceStructure, n_components: int, n_features: int) -> float:
    """Operations of a dense pass per row, softmax included."""
    full = structure.kernel == "full"
    if full and structure.is_shared and _kernels.active.can_share(n_components, n_features):
        shared = n_features * (n_features + 5)
        return 2.0 * (shared + n_components * (4 * n_features + n_components / 2 + 10))
    return 2.0 * n_components * (n_features * (n_features + 5) + 10 if full else 5 * n_features + 10)


def part_of(array: np.ndarray | None, rows: slice) -> np.ndarray | None:
    """The given rows of an array; None if that is None."""
    return None if array is None else array[rows]
