"""Time a search over numbers of components and covariance types beside searches with scikit-learn.

    python benchmarks/selection.py
    python benchmarks/selection.py --quick

How to read the output: benchmarks/README.md.
"""

import argparse
import math
import time
import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np
from common import Case, limited_threads, make_case, print_machine
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.model_selection import GridSearchCV

from fastgmm import GaussianMixtureIC
from fastgmm.datasets import load_old_faithful, load_sample_pixels

NUMBERS = range(1, 9)
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")

DATA: dict[str, Callable[[], np.ndarray]] = {
    "Old Faithful": load_old_faithful,
    "iris": lambda: load_iris().data,
    "digits, PCA": lambda: PCA(8, random_state=0).fit_transform(load_digits().data),
    "pixels": lambda: np.ascontiguousarray(load_sample_pixels()[::50]),
    "synthetic": lambda: make_case(Case("full", 50_000, 8, 8))[0],
}
QUICK = ("Old Faithful", "iris")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, help="hold everyone to this many threads")
    parser.add_argument("--quick", action="store_true", help="the two smallest data sets only")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with limited_threads(options.threads) as n_threads:
        print_machine(n_threads)
        print(f"\nSeconds for {NUMBERS.start} to {NUMBERS.stop - 1} components of {len(COVARIANCE_TYPES)} types.\n")
        print(
            f"{'data':<14}{'N x d':>12}{'fastgmm':>10}{'loop':>9}{'x':>7}{'grid, 1':>10}{'x':>7}{'grid, 2':>10}{'x':>7}"
        )
        grid_search(load_iris().data, 2)  # starts the worker processes
        for name in QUICK if options.quick else DATA:
            print_comparison(name, DATA[name]())


def print_comparison(name: str, X: np.ndarray) -> None:
    """Print a line of times, and two lines about the results."""
    search, ours = timed(lambda: GaussianMixtureIC(NUMBERS, random_state=0).fit(X))
    print(f"{name:<14}{f'{X.shape[0]:,} x {X.shape[1]}':>12}{ours:>10.3f}", end="", flush=True)
    theirs, seconds = timed(lambda: loop(X))
    print(f"{seconds:>9.2f}{seconds / ours:>7.1f}", end="", flush=True)
    for n_jobs in (None, 2):
        _, seconds = timed(lambda n_jobs=n_jobs: grid_search(X, n_jobs))
        print(f"{seconds:>10.2f}{seconds / ours:>7.1f}", end="", flush=True)
    print(f"\n    {found(search, theirs, len(X))}")


def loop(X: np.ndarray) -> dict[tuple[int, str], float]:
    """BIC of each cell of the grid, from scikit-learn's fits to all rows."""
    return {
        (n_components, covariance_type): SklearnGaussianMixture(
            n_components, covariance_type=covariance_type, random_state=0
        )
        .fit(X)
        .bic(X)
        for n_components in NUMBERS
        for covariance_type in COVARIANCE_TYPES
    }


def grid_search(X: np.ndarray, n_jobs: int | None) -> GridSearchCV:
    """As in scikit-learn's own example of choosing a mixture: five folds, then a fit to all rows."""
    grid = {"n_components": list(NUMBERS), "covariance_type": list(COVARIANCE_TYPES)}
    return GridSearchCV(SklearnGaussianMixture(random_state=0), grid, scoring=negative_bic, n_jobs=n_jobs).fit(X)


def negative_bic(estimator, X: np.ndarray) -> float:
    return -estimator.bic(X)


def timed(function: Callable[[], object], at_least: float = 1.0):
    """The result, and the median of the seconds that calls take, repeated until `at_least` seconds have passed."""
    seconds: list[float] = []
    while sum(seconds) < at_least:
        begin = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - begin)
    return result, float(np.median(seconds))


def found(search: GaussianMixtureIC, theirs: dict[tuple[int, str], float], n_samples: int) -> str:
    """BIC of all cells beside the loop's, degenerate ones included, and which start led to ours."""
    table = search.criterion_
    cells = list(zip(table["n_components"].tolist(), table["covariance_type"].tolist(), strict=True))
    bic = -2 * table["log_likelihood"] + math.log(n_samples) * table["n_parameters"]
    expected = np.array([theirs[cell] for cell in cells])
    difference = bic - expected
    n_worse = (difference > 1e-6 * np.abs(expected)).sum()
    n_better = (difference < -1e-6 * np.abs(expected)).sum()
    starts = Counter(start if start in ("kmeans", "merged") else "type to type" for start in table["start"].tolist())
    won = ", ".join(f"{start} {count}" for start, count in starts.most_common())
    chosen = "{} {}".format(*min(theirs, key=theirs.__getitem__))
    return (
        f"chosen: {search.n_components_} {search.covariance_type_}, by the loop {chosen}; "
        f"BIC beside the loop's: {n_worse} of {len(cells)} cells worse, {n_better} better, "
        f"median {np.median(difference):.2g}, least {difference.min():.4g}, greatest {difference.max():.2g}\n"
        f"    starts: {won}; {(table['warning'] != '').sum()} degenerate"
    )


if __name__ == "__main__":
    main()
