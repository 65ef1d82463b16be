"""Time the parts of default fits, from k-means and from a sample, and compare where all starts lead.

    python benchmarks/starts.py
    python benchmarks/starts.py --threads 1 --only shares
    python benchmarks/starts.py --only optima --seeds 10 --rows 30000
    python benchmarks/starts.py --only optima --seeds 2 --threads 1 --mclust

How to read the output: benchmarks/README.md.
"""

import argparse
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest import mock

import numpy as np
from common import Case, limited_threads, make_case, print_machine
from compare import CASES
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from fastgmm import GaussianMixture
from fastgmm._model.gaussian import MaximumLikelihood
from fastgmm._start import kmeans as _kmeans
from fastgmm.datasets import load_old_faithful, load_sample_patches, load_sample_pixels

LEAST_ROWS = 50_000  # fits of fewer rows spend their time elsewhere
NEAR = 0.01  # nats a row below the best known optimum
LARGEST_SHORTFALL = 5.0  # of a fit, in the mean
CONTESTANTS: dict[str, dict] = {  # the first one is the unit of time
    "kmeans": {},
    "kmeans, n_init=3": {"n_init": 3},
    "kmeans, n_init=10": {"n_init": 10},
    **{name: {"init_params": name} for name in ("k-means++", "random", "random_from_data", "sample", "split_merge")},
}

# The functions of fastgmm that each part of the time is spent in.
PARTS = {"seeding": (_kmeans, "_seeds"), "Lloyd": (_kmeans, "lloyd"), "start": (MaximumLikelihood, "start")}


class Problem(NamedTuple):
    label: str
    make: Callable[[], np.ndarray]
    covariance_type: str
    n_components: int


class OptimumProblem(NamedTuple):
    family: str
    label: str
    X: np.ndarray
    labels: np.ndarray | None  # of the true components, where EM starts, too
    n_components: int


class Fit(NamedTuple):
    model: GaussianMixture
    seconds: dict[str, float]  # of PARTS, and 'total'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, help="hold all fits to this many threads")
    parser.add_argument("--only", choices=("shares", "optima"), help="print one of the two tables")
    parser.add_argument("--seeds", type=int, default=5, help="fits of each problem from each start (default 5)")
    parser.add_argument("--rows", type=int, default=3_000, help="of each data set of a family (default 3000)")
    parser.add_argument("--part", default="", help="only problems whose label contains this")
    parser.add_argument("--mclust", action="store_true", help="also from mclust's hierarchical clusters (needs R)")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with limited_threads(options.threads) as n_threads:
        print_machine(n_threads)
        if options.only != "optima":
            print_shares(options.part)
        if options.only != "shares":
            print_optima(options.part, options.seeds, options.rows, options.mclust)


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


def print_optima(part: str, n_seeds: int, n_rows: int, with_mclust: bool) -> None:
    """How often fits of type 'full' come near the best known optimum, and at what time."""
    print(f"\nFits of type 'full' with tol=1e-5, seeds 0 to {n_seeds - 1}, families of {n_rows} rows: percent within")
    print(f"{NEAR} nats a row of the best known optimum; mean shortfall of the others, at most {LARGEST_SHORTFALL:g};")
    print("CPU time as a multiple of k-means', of all fits together and as the geometric mean over problems.\n")
    problems = [problem for problem in optimum_problems(n_rows) if part in f"{problem.family} {problem.label}"]
    names = [*CONTESTANTS, "mclust's hc"] if with_mclust else list(CONTESTANTS)
    bounds = np.empty((len(problems), len(names), n_seeds))
    seconds = np.empty((len(problems), len(names)))
    shortfalls = np.empty_like(bounds)
    for i, problem in enumerate(problems):
        X, labels, n_components = problem[2:]
        for j, options in enumerate(CONTESTANTS.values()):
            begin = time.process_time()
            bounds[i, j] = [bound_of_fit(X, n_components, random_state=seed, **options) for seed in range(n_seeds)]
            seconds[i, j] = time.process_time() - begin
        if with_mclust:  # the same start for all seeds
            hierarchical, of_hierarchy = hierarchical_labels(X, n_components)
            begin = time.process_time()
            bounds[i, -1] = bound_of_fit(X, n_components, init_params=hierarchical)
            seconds[i, -1] = n_seeds * (of_hierarchy + time.process_time() - begin)
        known = -np.inf if labels is None else bound_of_fit(X, n_components, init_params=labels)
        shortfalls[i] = max(known, bounds[i].max()) - bounds[i]
        print(f"{problem.family:>14}, {problem.label:<22}", end="")
        print("".join(f"{100 * share:>6.0f}" for share in (shortfalls[i] <= NEAR).mean(axis=1)), flush=True)
    families = list(dict.fromkeys(problem.family for problem in problems))
    print(
        f"\n{'start':<18}" + "".join(f"{family[:11]:>12}" for family in families) + "     all    lost  time x  (mean)"
    )
    for j, name in enumerate(names):
        near = shortfalls[:, j] <= NEAR
        cells = [near[[problem.family == family for problem in problems]].mean() for family in families]
        lost = np.minimum(shortfalls[:, j], LARGEST_SHORTFALL)[~near]
        ratios = seconds[:, j] / seconds[:, 0]
        print(f"{name:<18}" + "".join(f"{100 * cell:>12.0f}" for cell in cells), end="")
        print(f"{100 * near.mean():>8.0f}{lost.mean() if len(lost) else 0.0:>8.3f}", end="")
        print(f"{seconds[:, j].sum() / seconds[:, 0].sum():>8.2f}{np.exp(np.log(ratios).mean()):>8.2f}")


def hierarchical_labels(X: np.ndarray, n_components: int) -> tuple[np.ndarray, float]:
    """Labels from which R's mclust starts EM, those of model-based agglomeration (type VVV), and its CPU time."""
    program = f"""
        suppressMessages(library(mclust))
        X <- as.matrix(read.csv("X.csv", header = FALSE))
        seconds <- system.time(tree <- hc(X, modelName = "VVV", use = mclust.options("hcUse")))
        labels <- as.integer(factor(hclass(tree, {n_components}))) - 1L
        write(c(sum(seconds[c("user.self", "sys.self")]), labels), "labels.txt", ncolumns = 1)
    """
    with TemporaryDirectory() as folder:
        np.savetxt(Path(folder, "X.csv"), X, delimiter=",", fmt="%.17g")
        subprocess.run(["Rscript", "-e", program], cwd=folder, check=True, capture_output=True)
        seconds, *labels = np.loadtxt(Path(folder, "labels.txt"))
    return np.array(labels, int), float(seconds)


def bound_of_fit(X: np.ndarray, n_components: int, **options) -> float:
    """The log-likelihood of a row at the end of a fit; -inf if it fails, or if hardly any rows hold a component up."""
    try:
        model = GaussianMixture(n_components, tol=1e-5, max_iter=1000, **options).fit(X)
    except ValueError:
        return -np.inf
    n_rows, n_features = X.shape
    least, of_all = (np.linalg.eigvalsh(matrices)[..., 0] for matrices in (model.covariances_, np.cov(X.T)))
    collapsed = least < 1e-6 * of_all + 2e-6
    if collapsed.any() or (model.weights_ * n_rows < n_features + 2).any():
        return -np.inf
    return float(model.lower_bound_)


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


def optimum_problems(n_rows: int) -> Iterator[OptimumProblem]:
    """Two data sets of each family and size, and real data."""
    for family, (make, shapes) in FAMILIES.items():
        for n_features, n_components in shapes:
            for seed in range(2):
                X, labels = make(np.random.default_rng(seed), n_components, n_features, n_rows)
                yield OptimumProblem(family, f"d={n_features}, K={n_components}, {seed}", X, labels, n_components)
    iris, wine, digits = load_iris(), load_wine(), load_digits()
    scaled = StandardScaler().fit_transform(wine.data)
    for label, X, labels, n_components in (
        ("Old Faithful, 2", load_old_faithful(), None, 2),
        ("Old Faithful, 3", load_old_faithful(), None, 3),
        ("iris, 3", iris.data, iris.target, 3),
        ("wine, 6 axes, 3", PCA(6).fit_transform(scaled), wine.target, 3),
        ("digits, 8 axes, 10", PCA(8).fit_transform(digits.data), digits.target, 10),
        ("digits, 16 axes, 10", PCA(16).fit_transform(digits.data), digits.target, 10),
        ("pixels, 5", every(load_sample_pixels(), 180).astype(float), None, 5),
        ("pixels, 12", every(load_sample_pixels(), 180).astype(float), None, 12),
        ("patches, 10 axes, 6", PCA(10).fit_transform(every(load_sample_patches(), 20).astype(float)), None, 6),
    ):
        yield OptimumProblem("real", label, np.ascontiguousarray(X), labels, n_components)


def drawn(rng, n_rows: int, weights, means, factors) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a mixture, and their labels."""
    labels = rng.choice(len(weights), n_rows, p=np.divide(weights, np.sum(weights)))
    X = rng.normal(size=(n_rows, means.shape[1]))
    for k in range(len(weights)):
        X[labels == k] = means[k] + X[labels == k] @ factors[k].T
    return X, labels


def random_means(rng, n_components: int, n_features: int, apart: float) -> np.ndarray:
    """Means that are `apart` from each other, in the root of the mean square."""
    return rng.normal(scale=apart / np.sqrt(2 * n_features), size=(n_components, n_features))


def random_factors(rng, n_features: int, scales) -> list[np.ndarray]:
    """Factors of covariances with these standard deviations along random axes."""
    return [np.linalg.qr(rng.normal(size=(n_features, n_features)))[0] * scale for scale in scales]


def anisotropic(rng, n_components, n_features, n_rows):
    """Clusters side by side, stretched along the third of the axes in which they do not differ."""
    scale = np.where(np.arange(n_features) < max(1, n_features // 3), 5.0, 1.0)
    means = np.where(scale > 1.0, 0.0, random_means(rng, n_components, n_features, 7.0))
    X, labels = drawn(rng, n_rows, np.ones(n_components), means, [np.diag(scale)] * n_components)
    return X @ np.linalg.qr(rng.normal(size=(n_features, n_features)))[0].T, labels


def unequal(rng, n_components, n_features, n_rows):
    """Weights from 1 to 30, widths from 0.2 to 3."""
    widths = rng.permutation(np.geomspace(0.2, 3.0, n_components))
    scales = [width * rng.uniform(0.5, 1.5, n_features) for width in widths]
    means, factors = random_means(rng, n_components, n_features, 7.0), random_factors(rng, n_features, scales)
    return drawn(rng, n_rows, np.geomspace(1.0, 30.0, n_components), means, factors)


def nested(rng, n_components, n_features, n_rows):
    """Clusters about nearly the same mean, each three times as wide as the one before."""
    scales = [3.0**k * rng.uniform(0.7, 1.3, n_features) for k in range(n_components)]
    means, factors = random_means(rng, n_components, n_features, 1.0), random_factors(rng, n_features, scales)
    return drawn(rng, n_rows, np.ones(n_components), means, factors)


def scattered(apart: float):
    """Clusters of any shape and weight, so far apart."""

    def make(rng, n_components, n_features, n_rows):
        scales = rng.uniform(0.4, 1.6, (n_components, n_features))
        means, factors = random_means(rng, n_components, n_features, apart), random_factors(rng, n_features, scales)
        return drawn(rng, n_rows, rng.dirichlet(np.full(n_components, 5.0)), means, factors)

    return make


def outliers(rng, n_components, n_features, n_rows):
    """One component less, and a twentieth of the rows anywhere."""
    X, labels = scattered(6.0)(rng, n_components - 1, n_features, n_rows)
    are_out = rng.random(n_rows) < 0.05
    X[are_out] = rng.uniform(-25.0, 25.0, (are_out.sum(), n_features))
    return X, np.where(are_out, n_components - 1, labels)


# For each family numbers of features and of components.
FAMILIES = {
    "anisotropic": (anisotropic, ((2, 4), (5, 5), (10, 4), (30, 4))),
    "unequal": (unequal, ((2, 6), (5, 6), (10, 6), (30, 4))),
    "nested": (nested, ((2, 3), (5, 3), (10, 3), (30, 2))),
    "overlapping": (scattered(3.0), ((2, 3), (5, 4), (10, 4), (30, 3))),
    "many": (scattered(10.0), ((2, 20), (3, 15), (5, 25), (10, 15))),
    "outliers": (outliers, ((2, 4), (5, 5), (10, 5), (30, 4))),
}


def every(X: np.ndarray, step: int) -> np.ndarray:
    return np.ascontiguousarray(X[::step])


if __name__ == "__main__":
    main()
