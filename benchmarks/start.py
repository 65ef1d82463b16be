"""Time the parts of default fits, from k-means and from a sample, and compare where the two starts lead.

    python benchmarks/start.py
    python benchmarks/start.py --threads 1 --only shares
    python benchmarks/start.py --only quality --seeds 10

How to read the output: benchmarks/README.md.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple
from unittest import mock

import numpy as np
from common import Case, limited_threads, make_case, print_machine
from compare import CASES
from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture
from fastgmm._model.gaussian import MaximumLikelihood
from fastgmm._start import kmeans as _kmeans
from fastgmm.datasets import load_sample_patches, load_sample_pixels

LEAST_ROWS = 50_000  # fits of fewer rows spend their time elsewhere
TYPES = ("full", "tied", "diag", "spherical")

# The functions of fastgmm that each part of the time is spent in.
PARTS = {"seeding": (_kmeans, "_seeds"), "Lloyd": (_kmeans, "lloyd"), "start": (MaximumLikelihood, "start")}


class Problem(NamedTuple):
    label: str
    make: Callable[[], np.ndarray]
    covariance_type: str
    n_components: int


class Fit(NamedTuple):
    model: GaussianMixture
    seconds: dict[str, float]  # of PARTS, and 'total'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, help="hold all fits to this many threads")
    parser.add_argument("--only", choices=("shares", "quality"), help="print one of the two tables")
    parser.add_argument("--seeds", type=int, default=5, help="fits of each problem from each start (default 5)")
    parser.add_argument("--part", default="", help="only problems whose label contains this")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with limited_threads(options.threads) as n_threads:
        print_machine(n_threads)
        if options.only != "quality":
            print_shares(options.part)
        if options.only != "shares":
            print_quality(options.part, options.seeds)


def print_shares(part: str) -> None:
    print("\nPercent of the time of a default fit ('kmeans', its milliseconds first), random_state=0.\n")
    print(f"{'':34}{'kmeans':^53}{'sample':>20}")
    heads = ("ms", "seeding", "Lloyd", "start", "EM", "n_iter", "start", "total", "n_iter")
    print(f"{'case':<34}" + "".join(f"{head:>9}" for head in heads))
    for problem in large_problems():
        if part not in problem.label:
            continue
        X = problem.make()
        ours, theirs = (fit(problem, X, name, 0) for name in ("sample", "kmeans"))
        total = theirs.seconds["total"]
        shares = [theirs.seconds[name] / total for name in PARTS]
        cells = f"{1e3 * total:>9.0f}" + "".join(f"{100 * share:>9.0f}" for share in (*shares, 1 - shares[-1]))
        cells += f"{theirs.model.n_iter_:>9}"
        cells += "".join(f"{100 * ours.seconds[name] / total:>9.0f}" for name in ("start", "total"))
        print(f"{problem.label:<34}{cells}{ours.model.n_iter_:>9}", flush=True)


def print_quality(part: str, n_seeds: int) -> None:
    print(f"\nMean log-likelihood of a row after fits with seeds 0 to {n_seeds - 1},")
    print("of 'kmeans' the median and the range, of 'sample' the median and the worst minus those of 'kmeans'.\n")
    print(f"{'case':<44}{'median':>11}{'range':>9}{'sample':>10}{'worst':>10}{'time x':>9}")
    rows = []
    for problem in many_problems():
        if part in problem.label:
            rows.append(compare_quality(problem, n_seeds))
            median, spread, difference, worst, time_ratio = rows[-1]
            print(
                f"{problem.label:<44}{median:>11.4f}{spread:>9.4f}{difference:>+10.4f}{worst:>+10.4f}{time_ratio:>9.2f}",
                flush=True,
            )
    _, spreads, differences, worst, ratios = np.array(rows).T
    print(f"\n{len(rows)} problems: median difference {np.median(differences):+.4f}, mean {differences.mean():+.4f};")
    print(
        f"lower by more than tol=0.001 in {np.sum(differences < -1e-3)}, higher in {np.sum(differences > 1e-3)};",
        end=" ",
    )
    print(f"lower by more than tol and the range in {np.sum(differences < -np.maximum(spreads, 1e-3))}.")
    print(f"Time: median {np.median(ratios):.2f} of that with 'kmeans', from {ratios.min():.2f} to {ratios.max():.2f}.")


def compare_quality(problem: Problem, n_seeds: int) -> tuple[float, float, float, float, float]:
    X = problem.make()
    fits = {name: [fit(problem, X, name, seed) for seed in range(n_seeds)] for name in ("kmeans", "sample")}
    theirs, ours = (np.array([each.model.score(X) for each in fits[name]]) for name in ("kmeans", "sample"))
    seconds = {name: sum(each.seconds["total"] for each in those) for name, those in fits.items()}
    difference = float(np.median(ours) - np.median(theirs))
    worst = float(ours.min() - theirs.min())
    return float(np.median(theirs)), float(np.ptp(theirs)), difference, worst, seconds["sample"] / seconds["kmeans"]


def fit(problem: Problem, X: np.ndarray, init_params: str, seed: int) -> Fit:
    seconds = dict.fromkeys(PARTS, 0.0)
    model = GaussianMixture(
        problem.n_components, covariance_type=problem.covariance_type, init_params=init_params, random_state=seed
    )
    with ExitStack() as stack:
        for part, (owner, name) in PARTS.items():
            stack.enter_context(mock.patch.object(owner, name, timed(getattr(owner, name), part, seconds)))
        begin = time.perf_counter()
        model.fit(X)
        seconds["total"] = time.perf_counter() - begin
    return Fit(model, seconds)


def timed(function: Callable, part: str, seconds: dict[str, float]) -> Callable:
    def with_timer(*arguments):
        begin = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            seconds[part] += time.perf_counter() - begin

    return with_timer


def large_problems() -> Iterator[Problem]:
    """The cases of compare.py that have many rows, and photographs."""
    for case in (Case(*arguments) for arguments in CASES):
        if case.n_samples >= LEAST_ROWS:
            yield Problem(str(case), lambda case=case: make_case(case)[0], case.covariance_type, case.n_components)
    for n_components in (8, 32, 256):
        yield Problem(f"pixels full, {n_components}", load_sample_pixels, "full", n_components)
    yield Problem("patches diag, 8", load_sample_patches, "diag", 8)
    yield Problem("a quarter of the patches full, 16", lambda: every(load_sample_patches(), 4), "full", 16)


def many_problems() -> Iterator[Problem]:
    """Mixtures of 60,000 rows that overlap or do not, with equal, unequal or tiny components, and photographs."""
    shapes = ((1, 3), (1, 10), (2, 4), (2, 16), (3, 8), (5, 12), (8, 8), (8, 24), (16, 6), (16, 20), (32, 8))
    grid = [(*s, apart, sizes) for s in shapes for apart in (1.5, 4.0, 8.0) for sizes in ("equal", "unequal", "tiny")]
    for i, (n_features, n_components, apart, sizes) in enumerate(grid[::2]):
        tails = "heavy tails" if i % 5 == 2 else ""
        covariance_type = TYPES[i % 4]
        yield Problem(
            f"{covariance_type} d={n_features}, {n_components}, {apart:.1f} apart, {sizes} {tails}",
            lambda arguments=(n_features, n_components, apart, sizes, bool(tails), i): make_mixture(*arguments),
            covariance_type,
            n_components,
        )
    for covariance_type in TYPES:
        for n_components in (4, 16):
            label = f"a fifth of the pixels {covariance_type}, {n_components}"
            yield Problem(label, lambda: every(load_sample_pixels(), 5), covariance_type, n_components)
    for covariance_type, n_components in (("full", 4), ("diag", 8), ("tied", 8), ("spherical", 12)):
        label = f"an eighth of the patches {covariance_type}, {n_components}"
        yield Problem(label, lambda: every(load_sample_patches(), 8), covariance_type, n_components)


def every(X: np.ndarray, step: int) -> np.ndarray:
    return np.ascontiguousarray(X[::step])


def make_mixture(n_features: int, n_components: int, apart: float, sizes: str, heavy: bool, seed: int) -> np.ndarray:
    """Clusters `apart` standard deviations apart; with 'tiny' a third of them have 0.3 % of the rows each."""
    rng = np.random.default_rng(seed)
    means = rng.normal(scale=apart / np.sqrt(2 * n_features), size=(n_components, n_features))
    weights = np.full(n_components, 1.0 / n_components)
    if sizes == "unequal":
        weights = 0.95 * rng.dirichlet(np.ones(n_components)) + 0.05 / n_components
    elif sizes == "tiny":
        n_tiny = max(1, n_components // 3)
        weights[:n_tiny] = 0.003
        weights[n_tiny:] = (1.0 - 0.003 * n_tiny) / (n_components - n_tiny)
    labels = rng.choice(n_components, 60_000, p=weights)
    X = rng.standard_t(4, size=(len(labels), n_features)) if heavy else rng.normal(size=(len(labels), n_features))
    for k in range(n_components):
        below = np.tril(rng.normal(scale=0.5 / np.sqrt(n_features), size=(n_features, n_features)), -1)
        X[labels == k] = means[k] + X[labels == k] @ (below + np.diag(rng.uniform(0.4, 1.6, n_features))).T
    return X


if __name__ == "__main__":
    main()
