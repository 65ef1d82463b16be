"""The protocol of a source of rows. An array, batches and dask chunks implement it; so does a new source.

A pass reads all rows of a source once, and returns statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import numpy as np

from fastgmm import _kernels
from fastgmm._model.components import Components
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.statistics import SufficientStatistics
from fastgmm._utils.memory import aligned_empty
from fastgmm._utils.progress import Reporter

# The first word in the names of kernels; the function that returns the lengths of their workspaces; the dtypes of the
# workspaces, where None is the dtype of the rows.
_WORKSPACES = {
    "screened": ("screen_workspace_sizes", (None, np.float32, np.int32)),
    "cells": ("cells_workspace_sizes", (np.float64, np.int32)),
}


@dataclass(frozen=True, slots=True)
class SkippingPlan:
    """What a pass leaves out. `_skipping` makes a plan for certain components, and passes hand it to the kernels.

    It can be pickled, and applies to all rows or any part of them.

    Attributes
    ----------
    kernels : {'screened', 'cells'}
        The kernels are named ``{kernels}_em_pass`` and ``{kernels}_density_pass``.
    arguments : tuple
        Their arguments beyond those of the dense kernels, in order.
    workspace_shape : tuple of int
        With the number of threads it determines the lengths of the workspaces.
    dtype : dtype
        dtype of the rows. Rows of another dtype get a dense pass.
    """

    kernels: str
    arguments: tuple
    workspace_shape: tuple[int, ...]
    dtype: np.dtype

    def workspaces(self, n_threads: int) -> tuple[np.ndarray, ...]:
        """Uninitialized scratch arrays of the kernels."""
        sizes_of, dtypes = _WORKSPACES[self.kernels]
        sizes = getattr(_kernels.active, sizes_of)(*self.workspace_shape, n_threads)
        return tuple(aligned_empty(size, dtype or self.dtype) for size, dtype in zip(sizes, dtypes, strict=True))


class Passes(Protocol):
    """Passes over the rows of one data set, for mixtures with one covariance structure and number of components.

    Only one thread at a time may use them. Rows of weight 0 are left out. All sums are float64.

    Attributes
    ----------
    dtype : dtype
        dtype of the rows: float64 or float32.
    structure : CovarianceStructure
    n_components, n_rows, n_features : int
    n_threads : int
        Number of threads of a pass, on all machines together.
    total_weight : float
        Sum of the weights of the rows, in the unit of the statistics. The number of rows if there are no weights.
    progress : Reporter
        Is told of the rows that passes have read.
    misses_values : bool
        Whether some values of the rows are missing. Then `statistics_of_all` raises ValueError.
    """

    dtype: np.dtype
    structure: CovarianceStructure
    n_components: int
    n_rows: int
    n_features: int
    n_threads: int
    total_weight: float
    progress: Reporter
    misses_values: bool

    def em_step(
        self,
        components: Components,
        centers: np.ndarray | None = None,
        with_entropy: bool = False,
        plan: SkippingPlan | None = None,
    ) -> SufficientStatistics:
        """Statistics of all rows with their responsibilities under the components.

        Parameters
        ----------
        components : Components
        centers : ndarray of shape (n_components, n_features), default=None
            The sums are taken about these points, rounded to `dtype`: `statistics.centers`. None: the means.
        with_entropy : bool, default=False
            Whether to add up the entropies of the responsibilities.
        plan : SkippingPlan, default=None
            A plan for these components. None: a dense pass.
        """

    def statistics_of_all(self, centers: np.ndarray) -> SufficientStatistics:
        """Statistics about ``centers`` with all responsibilities 1."""

    def ranges(self, center: np.ndarray, axes: np.ndarray) -> np.ndarray:
        """Least and largest coordinate of the rows minus `center` along axes.

        Parameters
        ----------
        center : ndarray of shape (n_features,)
        axes : ndarray of shape (n_features, m)

        Returns
        -------
        ndarray of shape (2, m), float64
        """

    def for_mixture(self, n_components: int, structure: CovarianceStructure, progress: Reporter | None = None) -> Self:
        """Passes over the same rows for mixtures of another shape. `progress` is the same one if it is None."""

    def first_row(self) -> np.ndarray:
        """Shape (n_features,), float64. Needs no pass."""

    def trial_rows(self) -> np.ndarray:
        """Rows for trials of skipping, shape (m, n_features), in the dtype that kernels read.

        All rows if they are in memory, else a uniform sample. The first call may have to fetch it. Only complete rows;
        NoScreenError if these are few."""


class EvaluatingPasses(Passes, Protocol):
    """Passes that also add up what a mixture says of the rows: for a search."""

    def score_sum(self, components: Components, plan: SkippingPlan | None = None) -> float:
        """sum_i w_i log p(x_i), without an array of n_rows."""

    def sums_of_mixtures(self, mixtures: Sequence[tuple[CovarianceStructure, Components]]) -> np.ndarray:
        """For each mixture sum_i w_i log p(x_i) and sum_i w_i log max_k resp_ik, shape (n_mixtures, 2).

        The rows are read once for all of them."""


class Sample(NamedTuple):
    """Rows in memory, shape (m, n_features); their weights in the unit of `total_weight`, shape (m,), or None; and the
    number of threads of passes over them, None for all threads."""

    rows: np.ndarray
    weights: np.ndarray | None
    n_threads: int | None


class SampledPasses(Passes, Protocol):
    """Passes over rows that are not all in memory. The start is found on a sample."""

    def sample(self) -> Sample:
        """All rows if they are few, else a uniform sample. The first call may have to fetch it."""
