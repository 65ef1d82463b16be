"""Count the passes of accelerated fits beside plain EM's, and measure how far below the optimum each stops.

    python benchmarks/acceleration.py
    python benchmarks/acceleration.py --bayesian

How to read the output: benchmarks/README.md.
"""

import argparse
import itertools
import warnings
from dataclasses import dataclass

import numpy as np
from common import limited_threads, print_machine
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture, GaussianMixture

N_SAMPLES = 2_000
# Features, components, and the spread of the centers in units of the components': all overlap.
SHAPES = ((1, 2, 0.7), (1, 3, 1.5), (2, 3, 0.7), (2, 6, 1.0), (5, 4, 0.5), (8, 5, 0.4), (3, 8, 1.0), (10, 3, 1.0))
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
KINDS = tuple(itertools.product(("change", "aitken"), (None, "lbfgs")))
SAME_OPTIMUM = 1e-4  # log-likelihoods per row that differ by less


@dataclass
class Problem:
    """Rows, their weights or None, and a mixture to fit."""

    X: np.ndarray
    sample_weight: np.ndarray | None
    model: GaussianMixture | BayesianGaussianMixture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bayesian", action="store_true", help="BayesianGaussianMixture")
    parser.add_argument("--seeds", type=int, default=2, help="problems of each kind (default 2, 64 in all)")
    parser.add_argument("--first-seed", type=int, default=1, help="other problems of the same kinds (default 1)")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    problems = make_problems(options.seeds, options.bayesian, options.first_seed)
    with limited_threads(1) as n_threads:
        print_machine(n_threads)
        print(
            f"\n{len(problems)} problems. Passes, also in units of plain EM's; left to the optimum, in units of tol.\n"
        )
        print(
            f"{'tol':>6} {'stopping':<9}{'accel.':<8}{'passes':>7}{'median':>8}{'90 %':>7}{'max':>7}{'>1.1':>6}", end=""
        )
        print(f"{'left: median':>14}{'90 %':>9}{'max':>9}{'other optimum: lower, higher':>30}{'lower':>7}")
        for tol in (1e-4, 1e-6, 1e-8):
            print_rows(problems, tol)


def make_problems(n_seeds: int, bayesian: bool, first_seed: int) -> list[Problem]:
    """Two starts, and weights for every third."""
    cls = BayesianGaussianMixture if bayesian else GaussianMixture
    cases = itertools.product(COVARIANCE_TYPES, SHAPES, range(n_seeds))
    problems = []
    for seed, (covariance_type, (n_features, n_components, spread), _) in enumerate(cases, start=first_seed):
        # From single rows all components of type 'tied' begin as one, a saddle point that EM hardly leaves.
        init_params = "kmeans" if seed % 2 or covariance_type == "tied" else "random_from_data"
        model = cls(
            n_components=n_components,
            covariance_type=covariance_type,
            init_params=init_params,
            random_state=seed,
            max_iter=20_000,
        )
        X, sample_weight = make_rows(seed, n_features, n_components, spread)
        problems.append(Problem(X, sample_weight if seed % 3 == 0 else None, model))
    return problems


def make_rows(seed: int, n_features: int, n_components: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a mixture of full covariances, and random weights."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(n_components, n_features)) * spread
    labels = rng.choice(n_components, N_SAMPLES, p=rng.dirichlet(np.full(n_components, 5.0)))
    mixing = rng.normal(size=(n_components, n_features, n_features)) / np.sqrt(n_features) + 0.7 * np.eye(n_features)
    X = centers[labels] + np.einsum("nij,nj->ni", mixing[labels], rng.normal(size=(N_SAMPLES, n_features)))
    return X, rng.gamma(2.0, size=N_SAMPLES)


def print_rows(problems: list[Problem], tol: float) -> None:
    """A row for each rule and kind of step; columns of `found` are passes, bound, and the optimum that it leads to."""
    found = {kind: np.array([fit(problem, tol, *kind) for problem in problems]) for kind in KINDS}
    plain = found[KINDS[0]]
    for (stopping, acceleration), (n_iter, bound, optimum) in ((kind, values.T) for kind, values in found.items()):
        ratios = n_iter / plain[:, 0]
        left = (optimum - bound) / tol
        differences = optimum - plain[:, 2]
        same = np.abs(differences) < SAME_OPTIMUM
        lower = (same & (bound < plain[:, 1] - tol)).sum()
        print(
            f"{tol:>6.0e} {stopping:<9}{acceleration or 'none':<8}{np.median(n_iter):>7.0f}{np.median(ratios):>8.2f}",
            end="",
        )
        print(f"{np.quantile(ratios, 0.9):>7.2f}{ratios.max():>7.2f}{(ratios > 1.1).sum():>6}", end="")
        print(f"{np.median(left):>14.2f}{np.quantile(left, 0.9):>9.1f}{left.max():>9.0f}", end="")
        others = f"{(differences < -SAME_OPTIMUM).sum()}, {(differences > SAME_OPTIMUM).sum()}"
        print(f"{others:>30}{lower:>7}", flush=True)


def fit(problem: Problem, tol: float, stopping: str, acceleration: str | None) -> tuple[float, float, float]:
    """Passes, bound per row, and the bound per row at the end of a longer fit from there."""
    # The variational bound is a sum over rows.
    n = N_SAMPLES if isinstance(problem.model, BayesianGaussianMixture) else 1
    model = clone(problem.model).set_params(tol=tol * n, stopping=stopping, acceleration=acceleration)
    model.fit(problem.X, sample_weight=problem.sample_weight)
    n_iter, bound = model.n_iter_, model.lower_bound_
    model.set_params(tol=1e-12 * n, stopping="aitken", acceleration="lbfgs", warm_start=True, max_iter=2_000)
    model.fit(problem.X, sample_weight=problem.sample_weight)
    return n_iter, bound / n, model.lower_bound_ / n


if __name__ == "__main__":
    main()
