"""How kernels are run over the rows of an array: slices of rows, threads and workspace, planned in this one place.

Between two slices Python gets to run, so that Ctrl-C stops a long pass within about a second. The slices' statistics
add up; where they end depends on the shapes alone, so results repeat bitwise for a given number of threads. Where a
slice cannot be so short, another Python thread makes the pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from fastgmm import _kernels
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._rows.protocol import SkippingPlan
from fastgmm._utils.background import run_interruptibly
from fastgmm._utils.memory import aligned_empty
from fastgmm._utils.threads import effective_n_threads

BLOCK_ROWS = _kernels.active.BLOCK

_SLICE_FLOPS = 5e9  # of one thread: about half a second with the plainest variant
_THREAD_FLOPS = 2e6  # what makes waking one more thread worth it: some 50 us of work


class KernelRunner:
    """Slices, threads and workspace of passes over (n_samples, n_features) data with n_components components.

    It may take over the workspace of a runner for the same shape of mixture, which is then not to be used any more.
    """

    workspace: np.ndarray
    sums: np.ndarray

    def __init__(
        self,
        X: np.ndarray,
        n_components: int,
        factors: tuple[int, int],
        row_flops: float,
        n_threads: int | None,
        before: KernelRunner | None = None,
    ):
        n_samples, n_features = X.shape
        useful = max(1, min(-(-n_samples // BLOCK_ROWS), int(n_samples * row_flops / _THREAD_FLOPS)))
        self.n_threads = min(effective_n_threads(n_threads), useful)
        n_slices = math.ceil(n_samples / (self.n_threads * max(BLOCK_ROWS, _SLICE_FLOPS / row_flops)))
        self.slice_rows = -(-n_samples // (n_slices * BLOCK_ROWS)) * BLOCK_ROWS
        self.n_samples, self._dtype = n_samples, X.dtype
        self._is_long = BLOCK_ROWS * row_flops > _SLICE_FLOPS
        self._of_plans: dict[tuple, tuple[np.ndarray, ...]] = {}  # workspaces
        if before is not None and (before.n_threads, before._dtype) == (self.n_threads, X.dtype):
            self.workspace, self.sums, self._of_plans = before.workspace, before.sums, before._of_plans
        else:
            work, sums = _kernels.active.workspace_sizes(n_components, n_features, *factors, self.n_threads)
            self.workspace, self.sums = aligned_empty(work, X.dtype), aligned_empty(sums, np.float64)

    def kernel(self, name: str) -> Callable:
        """A kernel, to be called on a slice of rows. Where even a block takes long, Ctrl-C interrupts it."""
        kernel = getattr(_kernels.active, name)
        return partial(run_interruptibly, kernel) if self._is_long else kernel

    def kernel_for(self, plan: SkippingPlan | None, name: str) -> tuple[Callable, tuple]:
        """The kernel of that name that leaves out what the plan says, and its arguments beyond those of the dense one.

        Its workspaces are kept for the next pass: to allocate so much memory anew each time would cost some percent."""
        if plan is None or plan.dtype != self._dtype:
            return self.kernel(name), ()
        key = (plan.kernels, *plan.workspace_shape)
        if key not in self._of_plans:
            self._of_plans.clear()
            self._of_plans[key] = plan.workspaces(self.n_threads)
        return self.kernel(f"{plan.kernels}_{name}"), (*plan.arguments, *self._of_plans[key])

    def slices(self) -> Iterator[slice]:
        for start in range(0, self.n_samples, self.slice_rows):
            yield slice(start, min(start + self.slice_rows, self.n_samples))


def row_flops(structure: CovarianceStructure, n_components: int, n_features: int) -> float:
    """Operations of a pass for each row, with some for the softmax."""
    full = structure.kernel == "full"
    return 2.0 * n_components * (n_features * (n_features + 5) + 10 if full else 5 * n_features + 10)


def part_of(array: np.ndarray | None, rows: slice) -> np.ndarray | None:
    """A slice of an array that need not be there."""
    return None if array is None else array[rows]
