"""Types of the compiled passes; the .pxi files say what the arguments are."""

import numpy as np
from numpy.typing import NDArray

_Real = NDArray[np.float64] | NDArray[np.float32]
_Float64 = NDArray[np.float64]
_Float32 = NDArray[np.float32]
_Int64 = NDArray[np.int64]
_Int32 = NDArray[np.int32]

OPENMP: bool
BLOCK: int
LANES: int

# One line a group of arguments, not one an argument.
# fmt: off
def max_threads() -> int: ...
def workspace_sizes(
    n_components: int, n_features: int, n_factors: int, factor_rows: int, n_threads: int) -> tuple[int, int]: ...
def screen_workspace_sizes(
    n_features: int, block: int, n_components: int, n_first: int, n_all: int, width: int,
    n_threads: int) -> tuple[int, int, int]: ...
def cells_workspace_sizes(
    n_features: int, n_components: int, block: int, depth: int, n_threads: int) -> tuple[int, int]: ...
def em_pass(
    X: _Real, sample_weight: _Float64 | None, means: _Real, centers: _Real, factors: _Real, log_const: _Float64,
    nk: _Float64, sum_x: _Float64, scatter: _Float64, with_entropy: bool,
    workspace: _Real, sums: _Float64, n_threads: int) -> tuple[float, float]: ...
def screened_em_pass(
    X: _Real, sample_weight: _Float64 | None, means: _Real, centers: _Real, factors: _Real, log_const: _Float64,
    nk: _Float64, sum_x: _Float64, scatter: _Float64, with_entropy: bool,
    workspace: _Real, sums: _Float64, n_threads: int,
    center: _Float64, scale: _Float64, limits: _Float64, P: _Float64, screen_means: _Float32,
    first_factors: _Float32, all_factors: _Float32, constants: _Float64, cut: float, slope: float, block: int,
    reals: _Real, floats: _Float32, integers: _Int32) -> tuple[float, float]: ...
def cells_em_pass(
    X: _Real, sample_weight: _Float64 | None, means: _Real, centers: _Real, factors: _Real, log_const: _Float64,
    nk: _Float64, sum_x: _Float64, scatter: _Float64, with_entropy: bool,
    workspace: _Real, sums: _Float64, n_threads: int,
    features: _Int32, thresholds: _Real, constants: _Float64, slope: float, cut: float, block: int,
    doubles: _Float64, integers: _Int32) -> tuple[float, float]: ...
def statistics_pass(
    X: _Real, sample_weight: _Float64 | None, labels: _Int32 | None, resp: _Real | None, centers: _Real,
    nk: _Float64, sum_x: _Float64, scatter: _Float64, workspace: _Real, sums: _Float64, n_threads: int) -> None: ...
def density_pass(
    X: _Real, means: _Real, factors: _Real, log_const: _Float64,
    log_prob_norm: _Real | None, labels: _Int64 | None, resp: _Real | None,
    workspace: _Real, n_threads: int) -> None: ...
def screened_density_pass(
    X: _Real, means: _Real, factors: _Real, log_const: _Float64,
    log_prob_norm: _Real | None, labels: _Int64 | None, workspace: _Real, n_threads: int,
    center: _Float64, scale: _Float64, limits: _Float64, P: _Float64, screen_means: _Float32,
    first_factors: _Float32, all_factors: _Float32, constants: _Float64, cut: float, slope: float, block: int,
    reals: _Real, floats: _Float32, integers: _Int32) -> None: ...
def cells_density_pass(
    X: _Real, means: _Real, factors: _Real, log_const: _Float64,
    log_prob_norm: _Real | None, labels: _Int64 | None, workspace: _Real, n_threads: int,
    features: _Int32, thresholds: _Real, constants: _Float64, slope: float, cut: float, block: int,
    doubles: _Float64, integers: _Int32) -> None: ...
def count_pairs(
    X: _Real, means: _Real, factors: _Real, log_const: _Float64,
    center: _Float64, scale: _Float64, limits: _Float64, P: _Float64, screen_means: _Float32,
    first_factors: _Float32, all_factors: _Float32, constants: _Float64, cut: float, slope: float, block: int,
    packed_factors: _Real, reals: _Real, floats: _Float32, integers: _Int32) -> int: ...
def count_components(
    X: _Real, means: _Real, factors: _Real, log_const: _Float64,
    features: _Int32, thresholds: _Real, constants: _Float64, slope: float, cut: float, block: int,
    workspace: _Real, doubles: _Float64, integers: _Int32) -> tuple[int, int]: ...
def kmeans_floats(n_centers: int, n_features: int, n_threads: int) -> int: ...
def note_moves(centers: _Real, previous: _Float64, moved: _Float64, scale: float) -> None: ...
def kmeans_pass(
    X: _Real, sample_weight: _Float64 | None, shift: _Real, centers: _Real, moved: _Float64, scale: float, fresh: bool,
    labels: _Int32, gaps: _Float32, counts: _Float64, sum_x: _Float64,
    workspace: _Real, floats: _Float32, sums: _Float64, n_threads: int) -> int: ...
def closest_pass(
    X: _Real, sample_weight: _Float64 | None, shift: _Real, centers: _Real, scale: float, n_taken: int,
    closest: _Real, restart: bool, block_sums: _Float64, potentials: _Float64,
    workspace: _Real, floats: _Float32, sums: _Float64, n_threads: int) -> None: ...
def rows_at(
    X: _Real, sample_weight: _Float64 | None, shift: _Real, center: _Real, n_taken: int, closest: _Real, restart: bool,
    block_sums: _Float64, thresholds: _Float64, rows: NDArray[np.intp], workspace: _Real) -> None: ...
def exp_inplace(x: _Real) -> None: ...
def log_inplace(x: _Real) -> None: ...
