"""partial_fit over a stream of a million rows beside a fit of all of them: held-out log-likelihood, and time.

python benchmarks/stream.py [--step-decay 0.6] [--n-init 1] [--features 2] [--repeats 3]

How to read the output: benchmarks/README.md.
"""

import argparse
from statistics import median
from time import perf_counter

import numpy as np

from fastgmm import GaussianMixture, show_versions

PROBLEMS = [(d, K, separation) for d, K in ((2, 4), (2, 16), (8, 8), (16, 4), (16, 16)) for separation in (1, 4)]
BATCH_ROWS = (1_000, 10_000, 100_000)
N_ROWS, N_HELD_OUT = 1_000_000, 200_000


def mixture(n_features, n_components, separation, rng):
    """A mixture of known parameters, to draw from; centers about `separation` times d^(1/4) from the origin."""
    factors = rng.normal(size=(n_components, n_features, n_features)) / np.sqrt(n_features)
    covariances = 0.7 * factors @ factors.swapaxes(1, 2) + 0.3 * np.eye(n_features)
    means = separation * rng.normal(size=(n_components, n_features)) / n_features**0.25
    return rng.dirichlet(np.full(n_components, 3.0)), means, np.linalg.cholesky(covariances)


def rows_of(parameters, n_rows, rng):
    weights, means, factors = parameters
    labels = rng.choice(len(weights), n_rows, p=weights)
    X = rng.normal(size=(n_rows, means.shape[1]))
    for k, (mean, factor) in enumerate(zip(means, factors, strict=True)):
        X[labels == k] = mean + X[labels == k] @ factor.T
    return X


def learned(X, batch_rows, n_components, options):
    gmm = GaussianMixture(n_components, random_state=0, **options)
    for start in range(0, len(X), batch_rows):
        gmm.partial_fit(X[start : start + batch_rows])
    return gmm


def timed(repeats, function, *arguments):
    """Result, and median time of some repeats."""
    seconds = []
    for _ in range(repeats):
        began = perf_counter()
        result = function(*arguments)
        seconds.append(perf_counter() - began)
    return result, median(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step-decay", type=float, default=0.6)
    parser.add_argument("--n-init", type=int, default=1)
    parser.add_argument("--features", type=int, help="only problems with this many features")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; the median is printed")
    arguments = parser.parse_args()
    options = {"step_decay": arguments.step_decay, "n_init": arguments.n_init}
    show_versions()
    print("\n| d, K, separation | fit | s |", " | ".join(f"by {rows:,} | % | s" for rows in BATCH_ROWS), "|")
    print("|" + "---|" * (3 + 3 * len(BATCH_ROWS)))
    for d, K, separation in PROBLEMS:
        if arguments.features not in (None, d):
            continue
        rng = np.random.default_rng(1)
        parameters = mixture(d, K, separation, rng)
        X, held_out = rows_of(parameters, N_ROWS, rng), rows_of(parameters, N_HELD_OUT, rng)
        fitted, seconds = timed(arguments.repeats, GaussianMixture(K, random_state=0).fit, X)
        best = fitted.score(held_out)
        cells = [f"{d}, {K}, {separation}", f"{best:.3f}", f"{seconds:.2f}"]
        for batch_rows in BATCH_ROWS:
            gmm, seconds = timed(arguments.repeats, learned, X, batch_rows, K, options)
            score = gmm.score(held_out)
            cells += [f"{score:.3f}", f"{100 * (score - best) / abs(best):+.2f}", f"{seconds:.2f}"]
        print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
