"""How fast are mixtures of t distributions, beside R's teigen and EMMIXskew and studenttmixture of PyPI?

    R_LIBS=... python benchmarks/t_mixtures.py

All start from the same classification, with 10 degrees of freedom, and make the same number of iterations. The table
has the medians of the times, and the log-likelihood of a row after the last iteration. Contestants take turns, and each
makes two iterations before. Those that are not installed are left out.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from common import limited_threads, print_machine
from sklearn.exceptions import ConvergenceWarning

from fastgmm import StudentTMixture

CASES = [(500, 2, 3), (2_000, 4, 4), (10_000, 8, 4)]  # rows, features, components

R = """
arguments <- commandArgs(trailingOnly = TRUE)
table <- as.matrix(read.csv(arguments[1], header = FALSE))
X <- unname(table[, -ncol(table)])
labels <- table[, ncol(table)] + 1
G <- max(labels)
n_iter <- as.integer(arguments[2])
if (requireNamespace("teigen", quietly = TRUE)) {
  start <- list()
  start[[G]] <- labels
  for (n in c(2, n_iter)) seconds <- system.time(fit <- teigen::teigen(
    X, Gs = G, models = "UUUU", init = start, scale = FALSE, dfstart = 10, dfupdate = "numeric",
    eps = c(1e-3, -Inf), maxit = c(20, n), convstyle = "lop", verbose = FALSE
  ))[["elapsed"]]
  cat("teigen", seconds, fit$logl / nrow(X), "\\n")
}
if (requireNamespace("EMMIXskew", quietly = TRUE)) {
  for (n in c(2, n_iter)) seconds <- system.time(fit <- EMMIXskew::EmSkew(
    X, G, distr = "mvt", ncov = 3, clust = labels, itmax = n, epsilon = 0, debug = FALSE
  ))[["elapsed"]]
  cat("EMMIXskew", seconds, fit$loglik / nrow(X), "\\n")
}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with limited_threads(None) as n_threads:
        print_machine(n_threads)
        for case in CASES:
            print_case(case, options.iterations, options.repeats)


def print_case(case, n_iter, n_repeats):
    X, labels = heavy_tails(*case)
    results = {}
    for _ in range(n_repeats):
        for name, seconds, log_likelihood in turn(X, labels, n_iter):
            results.setdefault(name, []).append((seconds, log_likelihood))
    print(f"\n{case[0]:,} x {case[1]}, {case[2]} components, {n_iter} iterations")
    ours = np.median(results["fastgmm"], axis=0)[0]
    for name, found in results.items():
        seconds, log_likelihood = np.median(found, axis=0)
        print(f"{name:>16} {1e3 * seconds:10.1f} ms {seconds / ours:8.1f} x {log_likelihood:14.6f}")


def heavy_tails(n_rows, n_features, n_components):
    """Clusters with 3 to 20 degrees of freedom that overlap, and labels of which every tenth is wrong."""
    rng = np.random.default_rng(0)
    labels = rng.integers(n_components, size=n_rows)
    means = rng.normal(size=(n_components, n_features)) * 2.5
    shapes = rng.normal(size=(n_components, n_features, n_features)) / np.sqrt(n_features)
    nu = np.linspace(3, 20, n_components)[labels]
    rows = np.einsum("ij,ijk->ik", rng.normal(size=(n_rows, n_features)), shapes[labels])
    X = means[labels] + rows / np.sqrt(rng.chisquare(nu) / nu)[:, np.newaxis]
    labels[::10] = rng.integers(n_components, size=len(labels[::10]))
    return X, labels


def turn(X, labels, n_iter):
    """Name, seconds and log-likelihood of a row for each contestant."""
    time.sleep(0.3)  # threads of BLAS, which the peer before has used, spin for a tenth of a second
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for n in (2, n_iter):
            began = time.perf_counter()
            model = StudentTMixture(labels.max() + 1, init_params=labels, max_iter=n, tol=0.0).fit(X)
            seconds = time.perf_counter() - began
    yield "fastgmm", seconds, model.score(X)
    if shutil.which("Rscript"):
        with tempfile.TemporaryDirectory() as folder:
            rows, script = Path(folder) / "rows.csv", Path(folder) / "fit.R"
            np.savetxt(rows, np.column_stack([X, labels]), delimiter=",", fmt="%.17g")
            script.write_text(R)
            lines = subprocess.run(["Rscript", script, rows, str(n_iter)], check=True, capture_output=True, text=True)
        for line in lines.stdout.splitlines():
            name, seconds, log_likelihood = line.split()
            yield name, float(seconds), float(log_likelihood)
    try:
        from studenttmixture import EMStudentMixture
    except ImportError:
        return
    kind = with_start(EMStudentMixture, labels)
    for n in (2, n_iter):
        peer = kind(labels.max() + 1, df=10.0, fixed_df=False, max_iter=n, tol=1e-300)
        began = time.perf_counter()
        _, _, means, _, weights, nu, factors = peer.fitting_restart(X, 0)
        seconds = time.perf_counter() - began
    _, _, bound = peer.Estep(X, nu, means, factors, weights, None)
    yield "studenttmixture", seconds, bound


def with_start(kind, labels):
    """The class with a start from labels, which its constructor does not take."""

    class Started(kind):
        def initialize_params(self, X, random_seed, init_type):
            parts = [X[labels == k] for k in range(self.n_components)]
            scales = np.stack([np.cov(part, rowvar=False, bias=True) for part in parts], axis=-1)
            factors = np.stack([np.linalg.cholesky(each) for each in np.moveaxis(scales, -1, 0)], axis=-1)
            return np.stack([part.mean(axis=0) for part in parts]), scales, np.bincount(labels) / len(X), factors

    return Started


if __name__ == "__main__":
    main()
