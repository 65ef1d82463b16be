"""What sources of rows are to everything above them: the protocol that an array, batches and dask chunks implement.

A new source of rows is a class with these members. Everything that is done to the rows of a source is a pass: one walk
over all of them, which leaves statistics behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from fastgmm import _kernels
from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._utils.memory import aligned_empty

# The first word in the names of kernels; the function that says how long their workspaces are; the dtypes of these,
# where None is the dtype of the rows.
_WORKSPACES = {
    "screened": ("screen_workspace_sizes", (None, np.float32, np.int32)),
    "cells": ("cells_workspace_sizes", (np.float64, np.int32)),
}


@dataclass(frozen=True, slots=True)
class SkippingPlan:
    """What a pass under certain components leaves out. `_skipping` makes it; passes hand it to the kernels, unread.

    It can be pickled, and holds for every part of the rows.

    Attributes
    ----------
    kernels : {'screened', 'cells'}
        The kernels are named ``{kernels}_em_pass`` and ``{kernels}_density_pass``.
    arguments : tuple
        What they need beyond what the dense ones do, in their order.
    workspace_shape : tuple of int
        What the length of their workspaces depends on, beside the number of threads.
    dtype : dtype
        Of the rows that the plan is for. Rows of another dtype get a dense pass.
    """

    kernels: str
    arguments: tuple
    workspace_shape: tuple[int, ...]
    dtype: np.dtype

    def workspaces(self, n_threads: int) -> tuple[np.ndarray, ...]:
        """Uninitialized arrays for the kernels to work in."""
        sizes_of, dtypes = _WORKSPACES[self.kernels]
        sizes = getattr(_kernels.active, sizes_of)(*self.workspace_shape, n_threads)
        return tuple(aligned_empty(size, dtype or self.dtype) for size, dtype in zip(sizes, dtypes, strict=True))


class Passes(Protocol):
    """Passes over the rows of one data set, all for mixtures with one covariance structure and number of components.

    One thread at a time may use them. Rows of weight 0 are not among the rows. All sums are float64.

    Attributes
    ----------
    dtype : dtype
        Of the rows: float64 or float32.
    structure : CovarianceStructure
    n_components, n_rows, n_features : int
    n_threads : int
        How many threads a pass has, wherever they are.
    total_weight : float
        Sum of the weights of the rows, in the unit of the statistics; the number of rows if they have none.
    """

    dtype: np.dtype
    structure: CovarianceStructure
    n_components: int
    n_rows: int
    n_features: int
    n_threads: int
    total_weight: float

    def em_step(
        self,
        components: Components,
        centers: np.ndarray | None = None,
        with_entropy: bool = False,
        plan: SkippingPlan | None = None,
    ) -> SufficientStatistics:
        """Statistics of all rows under their responsibilities.

        Parameters
        ----------
        components : Components
        centers : ndarray of shape (n_components, n_features), default=None
            The points about which sums are taken. None: the means.
        with_entropy : bool, default=False
            Whether to add up the entropies of the responsibilities.
        plan : SkippingPlan, default=None
            What to leave out, made for these components. None: nothing.
        """

    def statistics_of_all(self, centers: np.ndarray) -> SufficientStatistics:
        """Statistics about ``centers`` where every row belongs to every component."""

    def of_one_component(self, structure: CovarianceStructure) -> Passes:
        """Passes over the same rows for a mixture of one component."""

    def first_row(self) -> np.ndarray:
        """Shape (n_features,), float64. Needs no pass."""

    def trial_rows(self) -> np.ndarray:
        """Rows to try on what can be left out, shape (m, n_features), in the dtype that kernels read them in.

        All rows if they are here, else a uniform sample. They may have to be fetched at the first call."""


class Sample(NamedTuple):
    """Rows that are here, shape (m, n_features); their weights in the unit of `total_weight`, shape (m,), or None if
    there are none; and how many threads passes over them should have, None for all that there are."""

    rows: np.ndarray
    weights: np.ndarray | None
    n_threads: int | None


class SampledPasses(Passes, Protocol):
    """Passes over rows that are not all here: the start is found on a sample."""

    def sample(self) -> Sample:
        """All rows if they are few, else a uniform sample. They may have to be fetched at the first call."""
