"""How the cost of a row and the memory grow with the number of rows, on disk; and Spark's mixture beside ours.

    python benchmarks/large.py                     # 1 to 100 million rows of float32 in a memory-mapped file (3.2 GB)
    python benchmarks/large.py --rows 1e6 1e7      # fewer
    python benchmarks/large.py --spark             # 1 million rows: ours, scikit-learn, pyspark.ml (needs Java)

How to read the output: benchmarks/README.md. The memory is read from /proc: Linux only.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from common import Case, Start, limited_threads, make_case, print_machine
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import GaussianMixture
from fastgmm.batches import from_npy

N_FEATURES, N_COMPONENTS = 8, 16
ITERATIONS = (1, 6)
READERS = ("fit", "fit_batches")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6, 3e6, 1e7, 3e7, 1e8], help="numbers of rows")
    parser.add_argument("--folder", help="where the file of rows is written (default: a temporary folder)")
    parser.add_argument("--spark", action="store_true", help="compare with pyspark.ml instead")
    parser.add_argument("--one", nargs=2, metavar=("FILE", "READER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    if options.one:
        print(json.dumps(measure(*options.one)))
        return
    with limited_threads(None) as n_threads, tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print_machine(n_threads)
        if options.spark:
            compare_with_spark(Path(folder), n_threads)
        else:
            print_scaling([int(rows) for rows in options.rows], Path(folder))


# Scaling -------------------------------------------------------------------------------------------------------------


def print_scaling(numbers_of_rows: list[int], folder: Path) -> None:
    print(f"\nfloat32, d = {N_FEATURES}, K = {N_COMPONENTS}, full; memory: most that was not mapped from the file\n")
    print(f"{'rows':>12} {'reader':<12}{'ns/row/iteration':>17}{'M rows/s':>10}{'MiB':>7}{'MiB before':>11}")
    for n_samples in numbers_of_rows:
        file = folder / "rows.npy"
        write_rows(file, n_samples)
        for reader in READERS:
            # Each runs in its own process, without memory of the one before.
            command = [sys.executable, __file__, "--one", str(file), reader]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            per_row = found["seconds"] / n_samples
            print(
                f"{n_samples:>12,} {reader:<12}{1e9 * per_row:>17.2f}{1e-6 / per_row:>10.1f}"
                f"{found['peak'] / 2**20:>7.0f}{found['before'] / 2**20:>11.0f}",
                flush=True,
            )


def write_rows(file: Path, n_samples: int) -> None:
    """A mixture as in compare.py, one million rows at a time."""
    out = np.lib.format.open_memmap(file, "w+", np.float32, (n_samples, N_FEATURES))
    rows, _ = the_case(10**6)
    rng = np.random.default_rng(1)
    for start in range(0, n_samples, len(rows)):
        part = out[start : start + len(rows)]
        part[:] = rows[: len(part)] + rng.normal(scale=0.1, size=part.shape)
    out.flush()


def the_case(n_samples: int) -> tuple[np.ndarray, Start]:
    return make_case(Case("full", n_samples, N_FEATURES, N_COMPONENTS, "float32"))


def measure(file: str, reader: str) -> dict[str, float]:
    """Seconds of an iteration, the difference of two fits, and the memory of the longer one."""
    _, start = the_case(1000)
    X = np.load(file, mmap_mode="r")

    def fit(n_iter: int) -> float:
        model = GaussianMixture(N_COMPONENTS, max_iter=n_iter, tol=0.0, **start.arguments("full"))
        begin = time.perf_counter()
        model.fit(X) if reader == "fit" else model.fit_batches(from_npy(file))
        return time.perf_counter() - begin

    fit(1)  # now as many pages of the file are in memory as fit
    rounds = 3 if len(X) < 2e7 else 1
    few = np.median([fit(ITERATIONS[0]) for _ in range(rounds)])
    before = own_memory()
    with PeakMemory() as memory:
        many = np.median([fit(ITERATIONS[1]) for _ in range(rounds)])
    seconds = (many - few) / (ITERATIONS[1] - ITERATIONS[0])
    return {"seconds": seconds, "peak": memory.peak, "before": before}


def own_memory() -> int:
    """Resident bytes that are not pages of a mapped file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("/proc/self/status has no RssAnon")


class PeakMemory:
    """The peak of `own_memory`, sampled every few milliseconds."""

    def __enter__(self) -> "PeakMemory":
        self.peak = own_memory()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self.peak = max(self.peak, own_memory())

    def __exit__(self, *exception) -> None:
        self._done.set()
        self._thread.join()


# Spark ---------------------------------------------------------------------------------------------------------------


def compare_with_spark(folder: Path, n_threads: int) -> None:
    """Seconds of an iteration of each; Spark takes no initial parameters, so its likelihood is only printed beside."""
    n_samples, (few, many) = 10**6, (2, 7)
    X, start = the_case(n_samples)
    X = X.astype(np.float64)  # Spark knows no other
    fits = {
        "fastgmm": lambda n_iter: fit_in_memory(GaussianMixture, X, start, n_iter),
        "scikit-learn": lambda n_iter: fit_in_memory(SklearnGaussianMixture, X, start, n_iter),
        f"pyspark.ml, local[{n_threads}]": spark_fit(X, folder, n_threads),
    }
    print(f"\n{n_samples:,} x {N_FEATURES}, K = {N_COMPONENTS}, full, float64; rows in memory (Spark: cached)\n")
    print(f"{'':<24}{'s/iteration':>12}{'x':>8}{'log-likelihood/row':>20}")
    medians = {}
    for name, fit in fits.items():
        fit(few)
        differences = []
        for _ in range(3):
            t0 = time.perf_counter()
            fit(few)
            t1 = time.perf_counter()
            likelihood = fit(many)
            differences.append((time.perf_counter() - t1 - (t1 - t0)) / (many - few))
        medians[name] = float(np.median(differences))
        ratio = medians[name] / medians["fastgmm"]
        print(f"{name:<24}{medians[name]:>12.4f}{ratio:>8.1f}{likelihood:>20.4f}", flush=True)


def fit_in_memory(estimator, X: np.ndarray, start: Start, n_iter: int) -> float:
    model = estimator(N_COMPONENTS, max_iter=n_iter, tol=0.0, **start.arguments("full")).fit(X)
    return float(model.lower_bound_)


def spark_fit(X: np.ndarray, folder: Path, n_threads: int):
    import pyarrow
    from pyarrow import parquet
    from pyspark.ml.clustering import GaussianMixture as SparkGaussianMixture
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import SparkSession

    names = [f"x{j}" for j in range(X.shape[1])]
    parquet.write_table(pyarrow.table(dict(zip(names, X.T, strict=True))), folder / "rows.parquet")
    settings = SparkSession.builder.master(f"local[{n_threads}]").config("spark.driver.memory", "8g")
    session = settings.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    table = session.read.parquet(str(folder / "rows.parquet")).repartition(n_threads)
    vectors = VectorAssembler(inputCols=names, outputCol="features").transform(table).select("features").cache()
    vectors.count()

    def fit(n_iter: int) -> float:
        model = SparkGaussianMixture(k=N_COMPONENTS, maxIter=n_iter, tol=0.0, seed=0).fit(vectors)
        return model.summary.logLikelihood / len(X)

    return fit


if __name__ == "__main__":
    main()
