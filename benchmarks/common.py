"""Shared by the benchmarks: rates of the machine, cases, contestants with equal starts, times of iterations."""

import importlib.util
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture as SklearnBayesianGaussianMixture
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from threadpoolctl import threadpool_limits

from fastgmm import BayesianGaussianMixture, GaussianMixture, _kernels
from fastgmm._command_line.timing import describe_machine
from fastgmm._command_line.timing import limited_threads as limited_pools

Array = NDArray[Any]


@contextmanager
def limited_threads(n_threads: int | None) -> Iterator[int]:
    """Limit every contestant, oneDAL too, to n_threads (None: as many as the machine grants). Yields the number."""
    with limited_pools(n_threads) as granted:
        if has_onedal():
            import daal4py

            daal4py.daalinit(granted)
        yield granted


# ---------------------------------------------------------------------------------------------------------------------
# The machine
# ---------------------------------------------------------------------------------------------------------------------


def print_machine(n_threads: int) -> dict[str, str]:
    """Print and return the machine and the versions that times depend on."""
    machine = describe_machine(n_threads)
    for label, value in machine.items():
        print(f"{label:>20}: {value}")
    return machine


@dataclass(frozen=True, slots=True)
class Rates:
    """The three rates that bound an iteration, of all threads together; two of them for each dtype."""

    gemm: Mapping[str, float]  # G: floating-point operations a second of a matrix product
    exp: Mapping[str, float]  # E: vectorized exponentials a second
    read: float  # B: bytes a second read from memory
    notes: tuple[str, ...] = ()


DTYPES = ("float64", "float32")


def measure_rates(n_threads: int, seconds: float = 1.0, dtypes: Sequence[str] = DTYPES) -> Rates:
    """Measure G, E and B, spending about `seconds` on each."""
    gemm, notes = {}, []
    for dtype in dtypes:
        gemm[dtype] = _measure_gemm(dtype, n_threads, seconds)
        # An OpenBLAS older than the CPU may fall back to slower kernels than the CPU can run.
        if _cpu_has("avx512f"):
            forced = _measure_gemm(dtype, n_threads, seconds, coretype="SkylakeX")
            if forced > 1.05 * gemm[dtype]:
                notes.append(
                    f"G for {dtype} is with OPENBLAS_CORETYPE=SkylakeX, {forced / gemm[dtype]:.2f} x the default"
                )
            gemm[dtype] = max(gemm[dtype], forced)
    exp = {dtype: n_threads * _measure_exp(dtype, seconds / 2) for dtype in dtypes}
    if n_threads > 1:
        notes.append(f"E is the rate of one thread times {n_threads}")
    return Rates(gemm, exp, _measure_read(n_threads, seconds), tuple(notes))


_GEMM_PROGRAM = """
import sys, time
import numpy as np
dtype, seconds, n = sys.argv[1], float(sys.argv[2]), 2000
a = np.random.default_rng(0).normal(size=(n, n)).astype(dtype)
out = a @ a
best, end = float("inf"), time.perf_counter() + seconds
while time.perf_counter() < end:
    start = time.perf_counter()
    np.matmul(a, a, out=out)
    best = min(best, time.perf_counter() - start)
print(2 * n**3 / best)
"""


def _measure_gemm(dtype: str, n_threads: int, seconds: float, coretype: str | None = None) -> float:
    # In a process of its own: a BLAS reads the environment when it is loaded.
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(n_threads))
    if coretype is not None:
        environment["OPENBLAS_CORETYPE"] = coretype
    command = [sys.executable, "-c", _GEMM_PROGRAM, dtype, str(seconds)]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def _measure_exp(dtype: str, seconds: float) -> float:
    # Long enough to hide the call from Python, short enough to stay in the second-level cache.
    start = np.linspace(-30.0, 0.0, 16384).astype(dtype)
    values = start.copy()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        np.copyto(values, start)
        begin = time.perf_counter()
        _kernels.active.exp_inplace(values)
        best = min(best, time.perf_counter() - begin)
    return len(values) / best


def _measure_read(n_threads: int, seconds: float) -> float:
    # Four arrays of 64 MiB a thread, far beyond the caches; np.dot releases the GIL and reads faster than np.sum.
    arrays = [np.zeros(2**23) for _ in range(4 * n_threads)]
    for array in arrays:
        array.fill(1.0)  # touch the pages: untouched ones are all the same page of zeros
    best, end = float("inf"), time.perf_counter() + seconds
    with ThreadPoolExecutor(n_threads) as pool, threadpool_limits(1):
        while time.perf_counter() < end:
            begin = time.perf_counter()
            list(pool.map(np.dot, arrays, arrays))
            best = min(best, time.perf_counter() - begin)
    return sum(array.nbytes for array in arrays) / best


def _cpu_has(flag: str) -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and flag in cpuinfo.read_text(errors="replace").split()


# ---------------------------------------------------------------------------------------------------------------------
# Cases
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """A size of problem."""

    covariance_type: str
    n_samples: int
    n_features: int
    n_components: int
    dtype: str = "float64"

    def __str__(self) -> str:
        dtype = "" if self.dtype == "float64" else f" {self.dtype}"
        return f"{self.covariance_type} {self.n_samples:,} x {self.n_features}, {self.n_components}{dtype}"

    def floor(self, rates: Rates) -> float:
        """A lower bound of the seconds of an iteration: arithmetic at G, exponentials at E, one reading of X at B."""
        n, d, k = self.n_samples, self.n_features, self.n_components
        n_bytes = n * d * np.dtype(self.dtype).itemsize
        return self.operations / rates.gemm[self.dtype] + n * k / rates.exp[self.dtype] + n_bytes / rates.read

    @property
    def operations(self) -> int:
        """Floating-point operations of an iteration without the exponentials. A multiply-add counts as two, and a
        subtraction too, since it takes the same time.

        full: 2 N K d (d + 5): a triangular product in the E step, a symmetric update in the M step, centering in both,
        squares and first moments. tied: this once a row, 2 N d (d + 3); and for each pair 5 d, for the distance from a
        whitened mean and for two sums of centered rows, and K / 2 for the products of responsibilities; or the same as
        full if this is less. diag: 10 N K d. spherical: 8 N K d, since the distances of the E step are the scatter.
        """
        n, d, k = self.n_samples, self.n_features, self.n_components
        full = 2 * n * k * d * (d + 5)
        tied = 2 * n * d * (d + 3) + n * k * (10 * d + k)
        return {"full": full, "tied": min(full, tied), "diag": 10 * n * k * d, "spherical": 8 * n * k * d}[
            self.covariance_type
        ]


@dataclass(frozen=True, slots=True)
class Start:
    """The parameters that every contestant starts from: these means, equal weights, identity covariances."""

    means: Array

    def arguments(self, covariance_type: str) -> dict[str, Array]:
        """The parameters as arguments of an estimator."""
        k, d = self.means.shape
        eye = np.eye(d, dtype=self.means.dtype)
        precisions = {"full": np.tile(eye, (k, 1, 1)), "tied": eye, "diag": np.ones((k, d)), "spherical": np.ones(k)}
        return {
            "weights_init": np.full(k, 1 / k, dtype=self.means.dtype),
            "means_init": self.means,
            "precisions_init": precisions[covariance_type].astype(self.means.dtype),
        }


def make_case(case: Case, seed: int = 0, separation: float = 4.0) -> tuple[Array, Start]:
    """A mixture of correlated clusters, and a start half a standard deviation off their means.

    `separation` is the typical distance of two centers, in standard deviations of a cluster.
    """
    rng = np.random.default_rng(seed)
    k, d = case.n_components, case.n_features
    means = rng.normal(scale=separation / np.sqrt(2 * d), size=(k, d))
    X = np.empty((case.n_samples, d), dtype=case.dtype)
    labels = rng.integers(k, size=case.n_samples)
    for component in range(k):
        rows = np.flatnonzero(labels == component)
        factor = np.tril(rng.normal(scale=0.3 / np.sqrt(d), size=(d, d)), -1) + np.diag(rng.uniform(0.8, 1.2, size=d))
        X[rows] = means[component] + rng.normal(size=(len(rows), d)) @ factor.T
    return X, Start((means + rng.normal(scale=0.5, size=(k, d)) / np.sqrt(d)).astype(case.dtype))


# ---------------------------------------------------------------------------------------------------------------------
# Contestants: (X, start, covariance_type, n_iter) -> the lower bound of all rows in the last iteration
# ---------------------------------------------------------------------------------------------------------------------


Contestant = Callable[[Array, Start, str, int], float]

# It is timed beside the others, but has another bound.
OTHER_MODEL = "GaussianMixture"


def contestants() -> dict[str, Contestant]:
    """All that are installed, fastgmm first. Without regularization, all compute the same thing."""
    found: dict[str, Contestant] = {
        "fastgmm": partial(_fit_from_means, GaussianMixture),
        "scikit-learn": partial(_fit_from_means, SklearnGaussianMixture),
    }
    if has_onedal():
        found["oneDAL"] = _fit_onedal
    return found


def bayesian_contestants() -> dict[str, Contestant]:
    """The variational mixtures, and between them our mixture without priors. They take no means to start from."""
    return {
        "fastgmm": partial(_fit_from_rows, BayesianGaussianMixture),
        OTHER_MODEL: partial(_fit_from_rows, GaussianMixture),
        "scikit-learn": partial(_fit_from_rows, SklearnBayesianGaussianMixture),
    }


def _fit_from_means(estimator: Any, X: Array, start: Start, covariance_type: str, n_iter: int) -> float:
    arguments = {"covariance_type": covariance_type, "reg_covar": 0.0, **start.arguments(covariance_type)}
    return len(X) * _fit_estimator(estimator(len(start.means), **arguments), X, n_iter)


def _fit_from_rows(estimator: Any, X: Array, start: Start, covariance_type: str, n_iter: int) -> float:
    """Start from random rows, the same for all contestants. `start` only gives the number of components."""
    arguments = {"covariance_type": covariance_type, "init_params": "random_from_data", "random_state": 0}
    return _fit_estimator(estimator(n_components=len(start.means), **arguments), X, n_iter)


def _fit_estimator(model: Any, X: Array, n_iter: int) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(max_iter=n_iter, tol=0.0).fit(X)
    return float(np.squeeze(model.lower_bound_))  # scikit-learn's tied variational bound is an array of one


def has_onedal() -> bool:
    return importlib.util.find_spec("daal4py") is not None


def _fit_onedal(X: Array, start: Start, covariance_type: str, n_iter: int) -> float:
    import daal4py

    storage = {"full": "full", "diag": "diagonal"}.get(covariance_type)
    if storage is None:
        raise NotImplementedError(f"oneDAL's em_gmm has no {covariance_type} covariance")
    k, d = start.means.shape
    covariance = np.eye(d, dtype=X.dtype) if storage == "full" else np.ones((1, d), dtype=X.dtype)
    algorithm = daal4py.em_gmm(
        nComponents=k,
        fptype="float" if X.dtype == np.float32 else "double",
        maxIterations=n_iter,
        accuracyThreshold=0.0,
        covarianceStorage=storage,
    )
    weights = np.full((1, k), 1 / k, dtype=X.dtype)
    result = algorithm.compute(X, weights, start.means, [covariance.copy() for _ in range(k)])
    if int(result.nIterations.item()) != n_iter:
        raise RuntimeError(f"oneDAL stopped after {int(result.nIterations.item())} of {n_iter} iterations")
    return float(result.goalFunction.item())


# ---------------------------------------------------------------------------------------------------------------------
# Timing
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Timing:
    """Seconds per iteration of one contestant in one case."""

    seconds: list[float] = field(default_factory=list)
    bound: float = float("nan")
    error: str | None = None

    @property
    def median(self) -> float:
        """Median seconds per iteration; NaN if the contestant could not run."""
        return float(np.median(self.seconds)) if self.seconds else float("nan")

    @property
    def spread(self) -> float:
        """Half the interquartile range, as a fraction of the median."""
        if not self.seconds:
            return float("nan")
        low, high = np.percentile(self.seconds, [25, 75])
        return float((high - low) / 2 / self.median)


def time_iterations(
    X: Array,
    start: Start,
    covariance_type: str,
    fits: Mapping[str, Contestant],
    n_iters: tuple[int, int] = (1, 6),
    rounds: int = 3,
    turn_seconds: float = 0.5,
) -> dict[str, Timing]:
    """Time an iteration as the difference of two fits that differ only in their number of iterations.

    So the start, validation and a last E step cancel. The contestants take turns, `rounds` times; a turn is one pair of
    fits, and more pairs until `turn_seconds` have passed.
    """
    few, many = n_iters
    timings = {name: Timing() for name in fits}
    for name, fit in fits.items():  # warm up, and find out which ones fail
        try:
            fit(X, start, covariance_type, few)
        except Exception as error:
            timings[name].error = _first_line(error)
    for _ in range(rounds):
        for name, fit in fits.items():
            if timings[name].error is None:
                try:
                    _take_turn(timings[name], fit, X, start, covariance_type, few, many, turn_seconds)
                except Exception as error:
                    timings[name] = Timing(error=_first_line(error))
    return timings


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _take_turn(
    timing: Timing,
    fit: Contestant,
    X: Array,
    start: Start,
    covariance_type: str,
    few: int,
    many: int,
    turn_seconds: float,
) -> None:
    end = time.perf_counter() + turn_seconds
    while True:
        t0 = time.perf_counter()
        fit(X, start, covariance_type, few)
        t1 = time.perf_counter()
        timing.bound = fit(X, start, covariance_type, many)
        t2 = time.perf_counter()
        timing.seconds.append(((t2 - t1) - (t1 - t0)) / (many - few))
        if t2 > end:
            return


def agreement(timings: Mapping[str, Timing], name: str, dtype: str) -> str:
    """How the bounds of `name` and fastgmm compare: "" if equal up to rounding, else words that say so."""
    ours, theirs = timings["fastgmm"], timings[name]
    for who, timing in (("fastgmm", ours), (name, theirs)):
        if timing.error is not None:
            return f"{who} failed: {timing.error}"
    if name == OTHER_MODEL:
        return ""
    difference = abs(ours.bound - theirs.bound) / abs(theirs.bound)
    tolerance = {"float64": 1e-8, "float32": 1e-5}[dtype]
    return "" if difference <= tolerance else f"bound differs from {name}'s by {difference:.1e}"


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios; NaN where there are none."""
    return float(np.exp(np.mean(np.log(values)))) if len(values) else float("nan")
