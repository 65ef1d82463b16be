"""What skipping pairs (row, component) that cannot matter saves, against the number of components.

    python benchmarks/skipping.py                       # the table
    python benchmarks/skipping.py --plot skipping.png   # and a picture of it
    python benchmarks/skipping.py --only patches --components 64 256
    python benchmarks/skipping.py --predict             # labels and log-densities, trials included
    python benchmarks/skipping.py --dask                # fits on dask chunks beside fits in memory

How to read the output: benchmarks/README.md.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import dask.array
import numpy as np
from common import Case, limited_threads, measure_rates
from sklearn.exceptions import ConvergenceWarning

import fastgmm.dask
from fastgmm import GaussianMixture, datasets
from fastgmm._command_line.timing import describe_machine
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._skipping.policy import Skipping, plan_once
from fastgmm._skipping.screens import Goal
from fastgmm._skipping.trials import components_left, share_left

COMPONENTS = (16, 64, 256, 1024)
MOST_FLOPS = 2e10  # of a dense pass: it decides the number of rows
LEAST_ROWS = 20_000
PASSES_TO_TRIAL = 8  # at most so many passes before the first trial of a fit
ITERATIONS = 20  # of fits on dask chunks
COPIES = 5  # of the rows to predict, since a trial has to pay within one pass
HEADS = {
    False: f"\n{'data':<28}{'K':>6}{'rows':>9}{'floor':>9}{'dense':>9}{'/floor':>7}{'ours':>9}{'/floor':>7}{'x':>6}"
    "  directions, pairs a row that they leave; or components that cells leave, and rows of a tile",
    True: f"\n{'':<43}{'labels':>24}{'log-densities':>24}\n{'data':<28}{'K':>6}{'rows':>9}"
    + 2 * f"{'dense':>9}{'ours':>9}{'x':>6}",
}
DASK_HEAD = f"\n{'data':<28}{'K':>6}{'rows':>9}{'dense':>9}{'in memory':>13}{'threads':>13}{'processes':>13}  seconds"


def patches(rng, n_rows, n_components):
    return rng.permutation(datasets.load_sample_patches())[:n_rows]


def pixels(rng, n_rows, n_components):
    return rng.permutation(datasets.load_sample_pixels())[:n_rows]


def clusters(n_features: int, separation: float) -> Callable:
    """Correlated clusters whose centers are typically `separation` standard deviations apart."""

    def make(rng, n_rows, n_components):
        means = rng.normal(scale=separation / np.sqrt(2 * n_features), size=(n_components, n_features))
        labels = rng.integers(n_components, size=n_rows)
        X = means[labels]
        for k in range(n_components):
            rows = np.flatnonzero(labels == k)
            lower = np.tril(rng.normal(scale=0.3 / np.sqrt(n_features), size=(n_features, n_features)), -1)
            factor = lower + np.diag(rng.uniform(0.8, 1.2, size=n_features))
            X[rows] += rng.normal(size=(len(rows), n_features)) @ factor.T
        return X

    return make


# name: (features, covariance type, data)
DATA: dict[str, tuple[int, str, Callable]] = {
    "patches": (64, "full", patches),
    "patches, diag": (64, "diag", patches),
    "pixels": (3, "full", pixels),
    **{
        f"clusters, d = {d}, {separation:g} apart": (d, "full", clusters(d, separation))
        for d, separation in ((2, 20.0), (3, 20.0), (8, 20.0), (16, 4.0), (16, 8.0), (16, 12.0), (16, 20.0), (64, 12.0))
    },
}


def main() -> None:
    options = parse_arguments()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with limited_threads(options.threads) as n_threads, cluster(n_threads if options.dask else 0) as client:
        for label, value in describe_machine(n_threads).items():
            print(f"{label:>20}: {value}")
        print(DASK_HEAD if options.dask else HEADS[options.predict], flush=True)
        results: dict[str, list[tuple[int, float, float]]] = {}
        for name, (n_features, covariance_type, make) in DATA.items():
            if options.only and not any(part in name for part in options.only):
                continue
            for K in options.components:
                if options.predict:
                    measure_prediction(name, n_features, covariance_type, make, K, n_threads)
                    continue
                if options.dask:
                    measure_fits(name, n_features, covariance_type, make, K, n_threads, client)
                    continue
                row = measure(name, n_features, covariance_type, make, K, n_threads)
                results.setdefault(name, []).append(row)
    if options.plot:
        draw(results, options.plot)


@contextmanager
def cluster(n_workers: int) -> Iterator:
    """A client of so many processes with one thread each; None for 0."""
    if n_workers == 0:
        yield None
        return
    from distributed import Client, LocalCluster

    processes = LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0")
    with processes, Client(processes, set_as_default=False) as client:
        yield client


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--components", type=int, nargs="+", default=COMPONENTS)
    parser.add_argument("--only", nargs="+", help="data whose name contains one of these")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("--predict", action="store_true")
    parser.add_argument("--dask", action="store_true")
    return parser.parse_args()


def rows_for(n_features, covariance_type, make, K) -> np.ndarray:
    per_pair = 2 * n_features * (n_features + 5) if covariance_type == "full" else 10 * n_features
    n_rows = int(np.clip(MOST_FLOPS / (K * per_pair), max(LEAST_ROWS, 100 * K), 400_000))
    return np.ascontiguousarray(make(np.random.default_rng(0), n_rows, K), dtype=np.float64)


def measure_prediction(name, n_features, covariance_type, make, K, n_threads) -> None:
    """Print a row: labels and log-densities under the same mixture, densely and as it is."""
    X = rows_for(n_features, covariance_type, make, K)
    mixture = fitted(X, K, covariance_type, n_threads)
    structure = COVARIANCE_TYPES[covariance_type]
    passes = ArrayPasses(np.tile(X, (COPIES, 1)), None, K, structure, n_threads)
    print(f"{name:<28}{K:>6}{len(passes.X):>9}", end="")
    components = mixture.components(structure)
    for predict, goal in ((passes.predict, Goal.LABELS), (passes.log_prob_norm, Goal.DENSITIES)):
        dense = partial(predict, components)
        ours = lambda predict=predict, goal=goal: predict(components, plan_once(passes, components, goal))  # noqa: E731
        slow, fast = np.median([(seconds(dense), seconds(ours)) for _ in range(3)], axis=0)
        print(f"{1e3 * slow:>9.1f}{1e3 * fast:>9.1f}{slow / fast:>6.2f}", end="", flush=True)
    print()


def measure_fits(name, n_features, covariance_type, make, K, n_threads, client) -> None:
    """Print a row: a fit from a start near the optimum, in memory, on chunks by threads, and on chunks by processes."""
    X = rows_for(n_features, covariance_type, make, K)
    start = fitted(X, K, covariance_type, n_threads)
    model = {
        **{"n_components": K, "covariance_type": covariance_type, "tol": 0.0, "max_iter": ITERATIONS},
        **{"reg_covar": 1e-5, "weights_init": start.weights / start.weights.sum(), "means_init": start.means},
        "precisions_init": COVARIANCE_TYPES[covariance_type].precisions(start.precisions_cholesky),
    }
    on_threads = dask.array.from_array(X, chunks=(-(-len(X) // (4 * n_threads)), -1)).persist(scheduler="threads")
    runs = [
        (GaussianMixture(n_threads=n_threads, **model), X),
        (fastgmm.dask.GaussianMixture(**model), on_threads),
        (fastgmm.dask.GaussianMixture(client=client, **model), client.persist(on_threads)),
    ]
    times = np.median([[seconds(partial(each.fit, rows)) for each, rows in runs] for _ in range(3)], axis=0)
    passes = ArrayPasses(X, None, K, COVARIANCE_TYPES[covariance_type], n_threads)
    components = start.components(COVARIANCE_TYPES[covariance_type])
    dense = ITERATIONS * np.median([seconds(lambda: passes.em_step(components)) for _ in range(3)])
    print(f"{name:<28}{K:>6}{len(X):>9}{dense:>9.2f}" + "".join(f"{each:>13.2f}" for each in times), flush=True)


def measure(name, n_features, covariance_type, make, K, n_threads) -> tuple[int, float, float]:
    """Print a row: the pass that would be the tenth iteration after a start near the optimum, densely and as it is."""
    X = rows_for(n_features, covariance_type, make, K)
    mixture = fitted(X, K, covariance_type, n_threads)
    structure = COVARIANCE_TYPES[covariance_type]
    passes = ArrayPasses(X, None, K, structure, n_threads)
    components = mixture.components(structure)
    covariances = partial(structure.spread, mixture.covariances, *mixture.means.shape)
    skipping = Skipping(passes)

    def ours():
        skipping.report(1.0)
        passes.em_step(components, plan=skipping.plan(components, covariances))

    for _ in range(PASSES_TO_TRIAL):
        ours()
    dense, screened = [], []
    for _ in range(5):
        dense.append(seconds(lambda: passes.em_step(components)))
        screened.append(seconds(ours))
    rates = measure_rates(n_threads, 0.2, ("float64",))
    floor = Case(covariance_type, len(X), n_features, K).floor(rates)
    slow, fast = float(np.median(dense)), float(np.median(screened))
    skipping.report(1.0)
    left = what_is_left(skipping.plan(components, covariances), X, components)
    print(
        f"{name:<28}{K:>6}{len(X):>9}{1e3 * floor:>9.2f}{1e3 * slow:>9.2f}{slow / floor:>7.2f}"
        f"{1e3 * fast:>9.2f}{fast / floor:>7.2f}{slow / fast:>6.2f}  {left}",
        flush=True,
    )
    return K, slow / floor, fast / floor


def what_is_left(plan, X, components) -> str:
    """The numbers at the end of a row, from as many rows as the kernels count at a time."""
    if plan is None:
        return "dense"
    rows = X[: plan.arguments[-1]]
    if plan.kernels == "cells":
        left, tile_rows = components_left(plan, rows, components)
        return f"cells, {left:.1f}, {tile_rows:.0f}"
    n_first, n_all = plan.workspace_shape[3:5]
    share = share_left(plan, rows, components)
    return f"({n_first}, {n_all}), {len(components.means) * share:.1f}"


def fitted(X, K, covariance_type, n_threads) -> MixtureParameters:
    model = GaussianMixture(
        K, covariance_type=covariance_type, max_iter=8, tol=0.0, reg_covar=1e-5, random_state=0, n_threads=n_threads
    ).fit(X)
    return MixtureParameters(model.weights_, model.means_, model.covariances_, model.precisions_cholesky_)


def seconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def draw(results: dict[str, list[tuple[int, float, float]]], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for color, (name, rows) in zip(colors(), results.items(), strict=False):
        K, dense, ours = zip(*rows, strict=True)
        axes.plot(K, ours, "o-", color=color, label=name)
        axes.plot(K, dense, ":", color=color)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="components", ylabel="time of a pass / floor of a dense one")
    axes.set_xticks(COMPONENTS, labels=[str(K) for K in COMPONENTS])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.legend(fontsize="small", title="solid: as it is, dotted: dense")
    figure.savefig(path, dpi=120)


def colors() -> Iterator[str]:
    return (f"C{i}" for i in range(10))


if __name__ == "__main__":
    main()
