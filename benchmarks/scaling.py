"""How the time of an iteration grows with rows, features, components and threads: a table, and a picture of it.

    python benchmarks/scaling.py --picture scaling.png
    python benchmarks/scaling.py --only components --without scikit-learn

How to read the output: benchmarks/README.md. The picture needs matplotlib.
"""

import argparse
import dataclasses

from common import Case, contestants, limited_threads, make_case, measure_rates, print_machine, time_iterations

CENTER = Case("full", 200_000, 8, 16)
# What varies around the center, one at a time.
AXES: dict[str, tuple[str, list[int]]] = {
    "rows": ("n_samples", [2_000, 20_000, 200_000, 2_000_000]),
    "features": ("n_features", [1, 2, 4, 8, 16, 32, 64]),
    "components": ("n_components", [2, 8, 32, 128, 512]),
    "threads": ("", []),  # as many as the machine grants
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=AXES, help="vary nothing else")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave out this peer")
    parser.add_argument("--picture", metavar="FILE", help="draw the table, too")
    options = parser.parse_args()
    with limited_threads(None) as most_threads:
        print_machine(most_threads)
    names = [name for name in contestants() if name not in options.without]
    print(f"\nMilliseconds per iteration around {CENTER}\n")
    print(f"{'':<11}{'':>10}{'floor':>10}" + "".join(f"{name:>14}" for name in names))
    table = {}
    for axis, (attribute, values) in AXES.items():
        if options.only in (None, axis):
            values = values or [2**i for i in range(most_threads.bit_length())]
            table[axis] = [(value, *measure(attribute, value, names, options.dtype)) for value in values]
            for value, floor, *times in table[axis]:
                cells = "".join(f"{1e3 * seconds:>14.3f}" for seconds in times)
                print(f"{axis:<11}{value:>10,}{1e3 * floor:>10.3f}{cells}", flush=True)
    if options.picture:
        draw(table, names, options.picture)


def measure(attribute: str, value: int, names: list[str], dtype: str) -> list[float]:
    """Seconds of the floor, and of everyone."""
    case = dataclasses.replace(CENTER, dtype=dtype, **({attribute: value} if attribute else {}))
    with limited_threads(None if attribute else value) as n_threads:
        X, start = make_case(case)
        fits = {name: contestants()[name] for name in names}
        timings = time_iterations(X, start, case.covariance_type, fits)
        floor = case.floor(measure_rates(n_threads, 0.3, (dtype,)))
    return [floor, *(timings[name].median for name in names)]


def draw(table: dict[str, list[tuple]], names: list[str], file: str) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(table), figsize=(3.4 * len(table), 3.4), layout="constrained", squeeze=False)
    for ax, (axis, rows) in zip(axes[0], table.items(), strict=True):
        values, floors, *times = zip(*rows, strict=True)
        for name, seconds in zip(names, times, strict=True):
            ax.plot(values, [1e3 * each for each in seconds], marker="o", markersize=3.5, label=name)
        ax.plot(values, [1e3 * each for each in floors], color="0.6", linestyle="--", label="floor of dense arithmetic")
        ax.set(xscale="log", yscale="log", xlabel=f"number of {axis}")
    axes[0, 0].set_ylabel("milliseconds per iteration")
    axes[0, 0].legend(frameon=False, fontsize="small")
    figure.suptitle(f"An iteration around {CENTER}", fontsize="medium")
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main()
