"""Time whole default fits of small data, from call to return, beside scikit-learn's; and tiny ones in one long loop.

    python benchmarks/small_fits.py
    python benchmarks/small_fits.py --threads 1

How to read the output: benchmarks/README.md.
"""

import argparse
import time
import warnings
from contextlib import ExitStack
from unittest import mock

import numpy as np
from common import Case, limited_threads, make_case, print_machine
from sklearn import mixture as sklearn_mixture
from sklearn.exceptions import ConvergenceWarning

import fastgmm
from fastgmm import _kernels

KERNELS = ("closest_pass", "rows_at", "kmeans_pass", "note_moves", "statistics_pass", "em_pass")
ESTIMATORS = ("GaussianMixture", "BayesianGaussianMixture")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, help="hold both to this many threads")
    parser.add_argument("--repeats", type=int, default=41, help="fits of each, in turns (default 41)")
    parser.add_argument("--fits", type=int, default=10_000, help="fits in the long loop (default 10000)")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with limited_threads(options.threads) as n_threads:
        print_machine(n_threads)
        print("\nMilliseconds per fit: median +- half the interquartile range; 'x' is how many times fastgmm's time.\n")
        print(f"{'estimator':<24}{'N x d, K':>14}{'fastgmm':>17}{'n_iter':>8}{'scikit-learn':>18}{'n_iter':>8}{'x':>7}")
        for name in ESTIMATORS:
            for X, n_components in make_data():
                print_row(name, X, n_components, options.repeats)
        print(f"\n{options.fits:,} fits of GaussianMixture(3, random_state=0) in one loop: microseconds of a fit.\n")
        print(f"{'N x d, K':>24}{'fit':>9}{'kernels':>9}{'n_iter':>8}")
        for n_features in (1, 2, 3):
            print_loop(n_features, options.fits)


def make_data() -> list[tuple[np.ndarray, int]]:
    """Columns of three lengths and points in the plane, each with its number of components."""
    columns = [(make_column(n_samples), 10) for n_samples in (1_000, 3_000, 10_000)]
    plane, _ = make_case(Case("full", 1_000, 2, 3))
    return [*columns, (plane, 3)]


def make_column(n_samples: int) -> np.ndarray:
    """Four clusters of different widths on a line."""
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=n_samples)
    centers, widths = np.array([-8.0, -2.0, 1.0, 7.0]), np.array([0.3, 1.0, 0.5, 2.0])
    return rng.normal(centers[labels], widths[labels])[:, np.newaxis]


def print_row(name: str, X: np.ndarray, n_components: int, repeats: int) -> None:
    models = [getattr(module, name)(n_components=n_components, random_state=0) for module in (fastgmm, sklearn_mixture)]
    for model in models:  # warm up
        model.fit(X)
    seconds = np.array([[time_fit(model, X) for model in models] for _ in range(repeats)])
    ours, theirs = np.median(seconds, axis=0)
    low, high = np.percentile(seconds, [25, 75], axis=0)
    spreads = 50 * (high - low) / (ours, theirs)
    size = f"{len(X):,} x {X.shape[1]}, {n_components}"
    cells = [
        f"{1e3 * median:>{width}.2f} +-{spread:>3.0f}%{model.n_iter_:>8}"
        for median, spread, model, width in zip((ours, theirs), spreads, models, (10, 11), strict=True)
    ]
    print(f"{name:<24}{size:>14}{cells[0]}{cells[1]}{theirs / ours:>7.2f}", flush=True)


def print_loop(n_features: int, n_fits: int) -> None:
    """The median of all fits; the part of the kernels is that of a tenth as many more, timed call by call."""
    X, _ = make_case(Case("full", 500, n_features, 3))
    model = fastgmm.GaussianMixture(3, random_state=0).fit(X)
    seconds = np.median([time_fit(model, X) for _ in range(n_fits)])
    in_kernels = 0.0

    def timed(kernel):
        def call(*arguments):
            nonlocal in_kernels
            begin = time.perf_counter()
            try:
                return kernel(*arguments)
            finally:
                in_kernels += time.perf_counter() - begin

        return call

    n_timed = max(1, n_fits // 10)
    with ExitStack() as stack:
        for name in KERNELS:
            stack.enter_context(mock.patch.object(_kernels.active, name, timed(getattr(_kernels.active, name))))
        for _ in range(n_timed):
            model.fit(X)
    size = f"500 x {n_features}, 3"
    print(f"{size:>24}{1e6 * seconds:>9.0f}{1e6 * in_kernels / n_timed:>9.0f}{model.n_iter_:>8}", flush=True)


def time_fit(model, X: np.ndarray) -> float:
    begin = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
