"""Time an EM iteration beside scikit-learn's and oneDAL's, and compare it with a lower bound for the machine.

    python benchmarks/compare.py                                     # the table of cases
    python benchmarks/compare.py --bayesian                          # the same of the variational mixtures
    python benchmarks/compare.py --covariance full --n 1e6 --d 2 --k 8 --dtype float32
    python benchmarks/compare.py --quick --json compare.json

How to read the output: benchmarks/README.md.
"""

import argparse
import dataclasses
import json
import math
from collections.abc import Mapping

from common import (
    Case,
    Rates,
    Timing,
    agreement,
    bayesian_contestants,
    contestants,
    geometric_mean,
    limited_threads,
    make_case,
    measure_rates,
    print_machine,
    time_iterations,
)

# (covariance_type, n_samples, n_features, n_components)
CASES = (
    ("full", 1_000_000, 2, 8),
    ("full", 1_000_000, 2, 32),
    ("full", 500_000, 8, 16),
    ("full", 200_000, 16, 16),
    ("full", 200_000, 16, 128),
    ("full", 200_000, 32, 16),
    ("full", 100_000, 64, 16),
    ("full", 50_000, 128, 8),
    ("full", 20_000, 256, 8),
    ("tied", 500_000, 8, 16),
    ("tied", 100_000, 64, 16),
    ("diag", 1_000_000, 2, 8),
    ("diag", 500_000, 8, 16),
    ("diag", 200_000, 32, 64),
    ("diag", 100_000, 64, 256),
    ("diag", 50_000, 128, 64),
    ("spherical", 500_000, 8, 16),
    ("spherical", 100_000, 64, 16),
)


def main() -> None:
    options = parse_arguments()
    cases = choose_cases(options)
    results = []
    with limited_threads(options.threads) as n_threads:
        machine = print_machine(n_threads)
        rates = measure_rates(n_threads, seconds=0.3 if options.quick else 1.5)
        print_rates(rates)
        everyone = bayesian_contestants() if options.bayesian else contestants()
        fits = {name: fit for name, fit in everyone.items() if name not in options.without}
        print_heading(fits)
        for case in cases:
            X, start = make_case(case)
            timings = time_iterations(
                X,
                start,
                case.covariance_type,
                fits,
                n_iters=(1, 1 + options.iterations),
                rounds=1 if options.quick else options.rounds,
                turn_seconds=0.1 if options.quick else 0.5,
            )
            # A shared machine is not equally fast all the time: the floor is that of the minutes of the case.
            floor = case.floor(measure_rates(n_threads, 0.3, (case.dtype,)))
            print_row(case, timings, floor)
            results.append((case, timings, floor))
    print_means(results, list(fits))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(as_json(machine, rates, results), file, indent=2)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    single = parser.add_argument_group("a single case, in place of the table (all but --dtype together)")
    single.add_argument("--covariance", choices=("full", "tied", "diag", "spherical"))
    single.add_argument("--n", type=lambda text: int(float(text)), help="number of samples (1e6 is understood)")
    single.add_argument("--d", type=int, help="number of features")
    single.add_argument("--k", type=int, help="number of components")
    parser.add_argument("--bayesian", action="store_true", help="BayesianGaussianMixture, ours and scikit-learn's")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--threads", type=int, help="hold everyone to this many threads")
    parser.add_argument("--rounds", type=int, default=3, help="times that everyone takes a turn (default 3)")
    parser.add_argument("--iterations", type=int, default=5, help="iterations that are timed together (default 5)")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave out this peer")
    parser.add_argument("--quick", action="store_true", help="a tenth of the samples, one round")
    parser.add_argument("--json", metavar="FILE", help="also write everything to FILE")
    options = parser.parse_args()
    given = [value is not None for value in (options.covariance, options.n, options.d, options.k)]
    if any(given) and not all(given):
        parser.error("a single case needs --covariance, --n, --d and --k")
    return options


def choose_cases(options: argparse.Namespace) -> list[Case]:
    if options.n is not None:
        return [Case(options.covariance, options.n, options.d, options.k, options.dtype)]
    cases = [Case(*case, dtype=options.dtype) for case in CASES]
    if options.quick:  # a tenth, but enough rows for every full covariance to have full rank
        cases = [dataclasses.replace(case, n_samples=max(case.n_samples // 10, least_samples(case))) for case in cases]
    return cases


def least_samples(case: Case) -> int:
    return 4 * case.n_components * case.n_features if case.covariance_type == "full" else 0


def print_rates(rates: Rates) -> None:
    gemm = ", ".join(f"{rate / 1e9:.0f} ({dtype})" for dtype, rate in rates.gemm.items())
    exp = ", ".join(f"{rate / 1e9:.2f} ({dtype})" for dtype, rate in rates.exp.items())
    print(f"\nG, matrix product: {gemm} GFLOP/s")
    print(f"E, exponential: {exp} G/s")
    print(f"B, reading memory: {rates.read / 1e9:.0f} GB/s")
    for note in rates.notes:
        print(f"({note})")


def print_heading(names: Mapping[str, object]) -> None:
    print(
        "\nMilliseconds per iteration: median +- half the interquartile range; 'x' is how many times fastgmm's time.\n"
    )
    peers = "".join(f"{name:>17} {'x':>6}" for name in names if name != "fastgmm")
    print(f"{'case':<34}{'floor':>9} {'fastgmm':>16} {'/floor':>7}{peers}", flush=True)


def print_row(case: Case, timings: Mapping[str, Timing], floor: float) -> None:
    ours = timings["fastgmm"]
    cells = f"{case!s:<34}{1e3 * floor:>9.2f} {format_time(ours)} {ours.median / floor:>7.2f}"
    for name, timing in timings.items():
        if name != "fastgmm":
            cells += f" {format_time(timing)} {timing.median / ours.median:>6.2f}"
    remarks = [agreement(timings, name, case.dtype) for name in timings if name != "fastgmm"]
    print("  ".join([cells, *filter(None, remarks)]), flush=True)


def format_time(timing: Timing) -> str:
    return f"{'-':>16}" if timing.error else f"{1e3 * timing.median:>9.2f} +-{100 * timing.spread:>3.0f}%"


def print_means(results: list[tuple[Case, dict[str, Timing], float]], names: list[str]) -> None:
    over_floor = [timings["fastgmm"].median / floor for _, timings, floor in results if not timings["fastgmm"].error]
    print(f"\nGeometric means: {geometric_mean(over_floor):.2f} x floor", end="")
    for name in names:
        ratios = [
            timings[name].median / timings["fastgmm"].median
            for _, timings, _ in results
            if name != "fastgmm" and not timings[name].error and not timings["fastgmm"].error
        ]
        if ratios:
            print(f"; {geometric_mean(ratios):.2f} x {name} (least {min(ratios):.2f}, {len(ratios)} cases)", end="")
    print()


def as_json(
    machine: dict[str, str], rates: Rates, results: list[tuple[Case, dict[str, Timing], float]]
) -> dict[str, object]:
    def row(case: Case, timings: dict[str, Timing], floor: float) -> dict[str, object]:
        times = {
            name: {
                "seconds": timing.seconds,
                "median": none_if_nan(timing.median),
                "spread": none_if_nan(timing.spread),
                "bound": none_if_nan(timing.bound),
                "error": timing.error,
            }
            for name, timing in timings.items()
        }
        return {"case": dataclasses.asdict(case), "floor": floor, "times": times}

    return {"machine": machine, "rates": dataclasses.asdict(rates), "results": [row(*result) for result in results]}


def none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


if __name__ == "__main__":
    main()
