"""Types in the signatures of public methods. Those that are names are also what the checks of parameters accept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

CovarianceType = Literal[
    "full", "tied", "diag", "spherical",
    "EII", "EEI", "VEI", "EVI", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV",
    "VVV", "EEE", "VVI", "VII",
]  # fmt: skip
StartName = Literal["kmeans", "k-means++", "random", "random_from_data", "sample", "split_merge"]
WeightPriorType = Literal["dirichlet_process", "dirichlet_distribution"]
Fixable = Literal["weights", "means", "covariances"]
Prior = Literal["weak"]
Stopping = Literal["change", "aitken"]
Acceleration = Literal["lbfgs"]
Criterion = Literal["bic", "aic", "icl", "cv"]
Distribution = Literal["gaussian", "t"]
SharedDegreesOfFreedom = Literal["varying", "common"]
OnInterrupt = Literal["raise", "keep"]
Missing = Literal["raise", "marginalize"]

Fixed: TypeAlias = Fixable | tuple[Fixable, ...] | Collection[Fixable] | None  # mypy knows "means" in a tuple only so
DegreesOfFreedom: TypeAlias = float | SharedDegreesOfFreedom
RandomState: TypeAlias = int | np.random.RandomState | None
FloatArray: TypeAlias = NDArray[np.floating]
IntArray: TypeAlias = NDArray[np.int64]
Features: TypeAlias = int | str | Sequence[int | str] | NDArray[np.integer[Any]]


class Splitter(Protocol):
    """A splitter of scikit-learn, such as ``KFold(5)``."""

    def split(self, X: Any) -> Any: ...


Folds: TypeAlias = int | Splitter | Iterable[tuple[ArrayLike, ArrayLike]]


class Sliceable(Protocol):
    """Anything with rows that can be sliced: a dataset of h5py or zarr, a frame."""

    @property
    def shape(self) -> tuple[Any, ...]: ...

    def __getitem__(self, key: Any, /) -> Any: ...


Rows: TypeAlias = ArrayLike | Sliceable
Start: TypeAlias = Callable[[NDArray[Any], int, np.random.RandomState], Any]
# Not ArrayLike, which holds for any string.
InitParams: TypeAlias = StartName | Start | Sliceable | Sequence[int] | Sequence[Sequence[float]]
