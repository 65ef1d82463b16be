"""Time iterations of fastgmm.dask beside those of fastgmm on the same rows in memory, and the parts of an iteration.

    python benchmarks/dask_overhead.py
    python benchmarks/dask_overhead.py --rows 10_000_000 --chunks 8 64

How to read the output: benchmarks/README.md.
"""

import argparse
import time
import warnings
from functools import partial

import dask.array as da
import numpy as np
from common import limited_threads, print_machine
from distributed import Client, LocalCluster
from sklearn.exceptions import ConvergenceWarning

import fastgmm
import fastgmm.dask
from fastgmm._model.statistics import SufficientStatistics

N_FEATURES, N_COMPONENTS = 8, 16
FEW, MANY = 2, 7  # iterations of the two fits whose difference gives the time of an iteration
VERY_MANY = 500  # the same where an iteration takes next to no time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows (default 1,000,000)")
    parser.add_argument("--chunks", type=int, nargs="+", default=[4, 16, 64, 256], help="numbers of chunks to try")
    parser.add_argument("--repeats", type=int, default=5, help="times that each is run, in turns (default 5)")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with limited_threads(None) as n_threads:
        print_machine(n_threads)
        print(f"\n{options.rows:,} x {N_FEATURES} float32, {N_COMPONENTS} components, full covariance")
        cluster = LocalCluster(n_workers=n_threads, threads_per_worker=1, dashboard_address=":0")
        with cluster, Client(cluster, set_as_default=False) as client:
            print_iterations(options, client, n_threads)
            print_terms(options, client)


def print_iterations(options, client, n_threads: int) -> None:
    print("\nMilliseconds per iteration: median, and how many times that of the same rows in memory.\n")
    print(f"{'chunks':>8}{'in memory':>12}{'threads':>12}{'x':>7}{'distributed':>14}{'x':>7}")
    for n_chunks in options.chunks:
        on_threads, on_cluster = make_rows(options.rows, n_chunks), make_rows(options.rows, n_chunks)
        on_threads, on_cluster = on_threads.persist(scheduler="threads"), client.persist(on_cluster)
        in_memory = on_threads.compute(scheduler="threads")
        start = make_start(in_memory)
        runs = [
            (fastgmm.GaussianMixture(n_threads=n_threads, **start), in_memory),
            (fastgmm.dask.GaussianMixture(**start), on_threads),
            (fastgmm.dask.GaussianMixture(client=client, **start), on_cluster),
        ]
        seconds = [[time_iteration(model, X) for model, X in runs] for _ in range(options.repeats)]
        memory, threads, cluster = np.median(seconds, axis=0)
        print(
            f"{n_chunks:>8}{1e3 * memory:>12.1f}{1e3 * threads:>12.1f}{threads / memory:>7.2f}"
            f"{1e3 * cluster:>14.1f}{cluster / memory:>7.2f}",
            flush=True,
        )


def print_terms(options, client) -> None:
    """What an iteration consists of, each term by itself."""
    X = make_block((0,), rows=min(options.rows, 1_000_000))
    start = make_start(X)
    in_memory = fastgmm.GaussianMixture(n_threads=1, **start)
    one_thread = np.median([time_iteration(in_memory, X) for _ in range(options.repeats)])
    few_rows = np.median([time_iteration(in_memory, X[:1000], VERY_MANY) for _ in range(options.repeats)])
    statistics = SufficientStatistics.zeros(np.zeros((N_COMPONENTS, N_FEATURES)), (N_COMPONENTS,) + 2 * (N_FEATURES,))
    print("\nTerms of an iteration\n")
    print(f"{'one row, one thread':>36}: {1e9 * one_thread / len(X):.1f} ns")
    print(f"{'M step':>36}: {1e3 * (few_rows - 1000 * one_thread / len(X)):.2f} ms")
    print(f"{'sums that travel':>36}: {statistics.to_vector().nbytes:,} bytes a chunk")
    for name, model in (("threads", fastgmm.dask.GaussianMixture(**start)), ("distributed", None)):
        model = model or fastgmm.dask.GaussianMixture(client=client, **start)
        n_chunks = np.array([16, 256])
        times = [np.median([time_iteration(model, make_rows(20 * n, n)) for _ in range(3)]) for n in n_chunks]
        slope, base = np.polyfit(n_chunks, times, 1)
        print(f"{name + ', chunks of 20 rows':>36}: {1e3 * base:.1f} ms + {1e3 * slope:.3f} ms a chunk")


def make_rows(n_rows: int, n_chunks: int) -> da.Array:
    """Rows that workers make for themselves."""
    sizes = tuple(np.diff(np.linspace(0, n_rows, n_chunks + 1).astype(int)).tolist())
    return da.map_blocks(partial(_block, sizes=sizes), chunks=(sizes, (N_FEATURES,)), meta=np.empty((0, 0), np.float32))


def _block(sizes, block_id):
    return make_block(block_id, rows=sizes[block_id[0]])


def make_block(block_id, rows: int) -> np.ndarray:
    """Sixteen overlapping clusters."""
    rng = np.random.default_rng([1, block_id[0]])
    centers = 2.0 * np.random.default_rng(0).standard_normal((N_COMPONENTS, N_FEATURES), dtype=np.float32)
    X = rng.standard_normal((rows, N_FEATURES), dtype=np.float32)
    X += centers[rng.integers(N_COMPONENTS, size=rows)]
    return X


def make_start(X: np.ndarray) -> dict:
    return {
        "n_components": N_COMPONENTS,
        "tol": 0,
        "weights_init": np.full(N_COMPONENTS, 1 / N_COMPONENTS),
        "means_init": X[:N_COMPONENTS],
        "precisions_init": np.tile(np.eye(N_FEATURES), (N_COMPONENTS, 1, 1)),
    }


def time_iteration(model, X, many: int = MANY) -> float:
    """Difference of two fits that differ in their number of iterations, over that difference."""
    seconds = []
    for max_iter in (FEW, many):
        begin = time.perf_counter()
        model.set_params(max_iter=max_iter).fit(X)
        seconds.append(time.perf_counter() - begin)
    return (seconds[1] - seconds[0]) / (many - FEW)


if __name__ == "__main__":
    main()
