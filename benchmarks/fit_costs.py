"""Fit the constants of the cost model of skipping to passes on this machine, and print them beside those in use.

    python benchmarks/fit_costs.py            # some five minutes
    python benchmarks/fit_costs.py --quick    # some of the cases

How to read the output: benchmarks/README.md.
"""

import argparse
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from common import limited_threads
from scipy.optimize import nnls

from fastgmm._command_line.timing import describe_machine
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._skipping.cells import Tree
from fastgmm._skipping.costs import Constants, PassCosts
from fastgmm._skipping.screens import Directions, Goal, Projections, rows_of_block
from fastgmm._skipping.trials import components_left, share_left

SECONDS = 0.04  # of a dense pass: it decides how many rows there are
REPEATS = 5
SEPARATIONS = (4.0, 8.0, 12.0, 20.0)  # of the clusters' centers, in standard deviations
FEATURES, COMPONENTS = (8, 16, 32, 64), (16, 64, 256)
FEW_FEATURES, MANY_COMPONENTS = (1, 2, 3, 4), (16, 64, 256)


class Measured(NamedTuple):
    """A pass: its kind, nanoseconds per row, and the factor of each constant in the cost model."""

    kind: str
    nanoseconds: float
    terms: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    with limited_threads(1):
        for label, value in describe_machine(1).items():
            print(f"{label:>20}: {value}")
        measured = [each for case in cases(options.quick) for each in passes_of(*case)]
    print_fit(measured)


def cases(quick: bool) -> Iterator[tuple]:
    """(features, components, separation, covariance_type, dtype)"""
    for separation in SEPARATIONS[1::2] if quick else SEPARATIONS:
        for dtype in (np.float64, np.float32):
            for covariance_type in ("full", "diag"):
                for d in FEW_FEATURES[1::2] + FEATURES[1::2] if quick else FEW_FEATURES + FEATURES:
                    for K in COMPONENTS if d in FEATURES else MANY_COMPONENTS:
                        yield d, K, separation, covariance_type, dtype


def passes_of(d, K, separation, covariance_type, dtype) -> Iterator[Measured]:
    """Measure a dense pass, and some passes that skip."""
    structure = COVARIANCE_TYPES[covariance_type]
    is_diagonal = structure.kernel == "diag"
    costs = [PassCosts(K, d, is_diagonal, dtype, True, Constants(*unit)) for unit in np.eye(len(Constants._fields))]
    dense_cost = PassCosts(K, d, is_diagonal, dtype, True).dense()
    n_rows = int(np.clip(SECONDS / (1e-9 * dense_cost), 4096, 400_000))
    X, mixture = clusters(n_rows, d, K, separation, structure, dtype)
    passes = ArrayPasses(X, None, K, structure, 1)
    components = mixture.components(structure)
    yield Measured("dense", nanoseconds(passes, components), np.array([cost.dense() for cost in costs]))
    if d in FEW_FEATURES:
        plan = Tree.of_rows(X[:: max(1, n_rows // 4096)][:4096], np.ones(d)).plan(components, Goal.STATISTICS)
        time_of_row = nanoseconds(passes, components, plan)
        left, tile_rows = components_left(plan, X[: plan.arguments[-1]], components)
        terms = np.array([cost.cells(left, tile_rows) for cost in costs])
        yield Measured("cells", time_of_row, terms)
        return
    covariances = structure.spread(mixture.covariances, K, d)
    directions, block = Directions(components, covariances), rows_of_block(K, d)
    projections = Projections(components, covariances, dtype, directions, Goal.STATISTICS)
    resp = ArrayPasses(X[:block], None, K, structure, 1).resp(components)
    counting = (resp > np.finfo(dtype).eps).mean()  # share of pairs that count in the end
    for n_first, n_all in {(max(1, d // 8), d // 2), (max(1, d // 4), d), (d // 2, d // 2), (d, d)}:
        plan = projections.plan(n_first, n_all)
        left = [share_left(projections.plan(m, m), X[:block], components) for m in (n_first, n_all)]
        if left[1] < 0.5:  # else blocks are done densely
            terms = [cost.screened(n_first, n_all, block, *left, counting) for cost in costs]
            yield Measured("screen", nanoseconds(passes, components, plan), np.array(terms))


def clusters(n_rows, d, K, separation, structure, dtype) -> tuple[np.ndarray, MixtureParameters]:
    """Rows of a known mixture."""
    rng = np.random.default_rng([d, K])
    means = rng.normal(scale=separation / np.sqrt(2 * d), size=(K, d))
    factors = np.tril(rng.normal(scale=0.3 / np.sqrt(d), size=(K, d, d)), -1)
    factors = factors if structure.kernel == "full" else np.zeros_like(factors)
    factors[:, np.arange(d), np.arange(d)] += rng.uniform(0.8, 1.2, (K, d))
    labels = rng.integers(K, size=n_rows)
    X = means[labels] + np.einsum("nij,nj->ni", factors[labels], rng.normal(size=(n_rows, d)))
    covariances = factors @ factors.transpose(0, 2, 1)
    if structure.kernel == "diag":
        covariances = np.einsum("kjj->kj", covariances).copy()
    mixture = MixtureParameters(np.full(K, 1 / K), means, covariances, structure.precisions_cholesky(covariances))
    return np.ascontiguousarray(X, dtype), mixture


def nanoseconds(passes: ArrayPasses, components, plan=None) -> float:
    """Nanoseconds of CPU time per row of the fastest of a few passes: other processes may use the machine, too."""
    times = []
    for _ in range(REPEATS + 1):
        begin = time.process_time()
        passes.em_step(components, plan=plan)
        times.append(time.process_time() - begin)
    return 1e9 * min(times[1:]) / passes.n_rows


def print_fit(measured: list[Measured]) -> None:
    terms = np.array([each.terms for each in measured])
    times = np.array([each.nanoseconds for each in measured])
    kinds = np.array([each.kind for each in measured])
    fitted, _ = nnls(terms / times[:, np.newaxis], np.ones(len(times)))  # relative errors
    in_use = np.array(Constants())
    print(f"\n{len(times)} passes: {', '.join(f'{(kinds == kind).sum()} {kind}' for kind in dict.fromkeys(kinds))}\n")
    for name, value, known in zip(Constants._fields, fitted, in_use, strict=True):
        print(f"    {name + ': float = ':<30}{value:<10.3g}  # in use {known:g}")
    print("\nPredicted / measured: geometric mean, and standard deviation of the logarithm")
    print(f"{'':>24}{'fitted':>18}{'in use':>18}")
    for kind in dict.fromkeys(kinds):
        columns = []
        for constants in (fitted, in_use):
            logs = np.log(terms[kinds == kind] @ constants / times[kinds == kind])
            columns.append(f"{np.exp(logs.mean()):>12.2f}{logs.std():>6.2f}")
        print(f"{kind:>24}{''.join(columns)}")


if __name__ == "__main__":
    main()
