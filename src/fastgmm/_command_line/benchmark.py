"""``python -m fastgmm benchmark``: real images beside scikit-learn."""

import argparse
import dataclasses
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm._command_line.numbers import positive_int
from fastgmm._command_line.timing import WholeFit, describe_machine, limited_threads, time_whole_fits
from fastgmm.datasets import load_sample_patches, load_sample_pixels
from fastgmm.mixture import GaussianMixture


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser of the command line."""
    benchmark = commands.add_parser(
        "benchmark",
        help="fit real images beside scikit-learn",
        description="Fit the pixels and the 8x8 patches of scikit-learn's sample photographs beside scikit-learn, from "
        "the same start, and print a table.",
    )
    benchmark.add_argument(
        "--quick", action="store_true", help="a fraction of the data: shows in seconds that all works"
    )
    benchmark.add_argument("--threads", type=positive_int, metavar="N", help="hold both to N threads")
    benchmark.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    benchmark.set_defaults(run=lambda options: _benchmark(options, benchmark))


def _benchmark(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    missing = [name for name, module in (("rich", "rich"), ("pillow", "PIL")) if not importlib.util.find_spec(module)]
    if missing:
        print(
            f"The benchmark needs {' and '.join(missing)}: python -m pip install {' '.join(missing)}", file=sys.stderr
        )
        return 2
    with _file_to_write(options.json, parser) as file:
        _run_benchmark(options.quick, options.threads, file)
    return 0


@contextmanager
def _file_to_write(path: str | None, parser: argparse.ArgumentParser) -> Iterator[TextIO | None]:
    """The file, opened before minutes of work. If the work fails, an old file is unchanged and a new one deleted."""
    if path is None:
        yield None
        return
    is_new = not os.path.exists(path)
    try:
        file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - in the next with
    except OSError as error:
        parser.error(f"argument --json: cannot write to {path!r}: {error.strerror}")
    try:
        with file:
            yield file
    except BaseException:
        if is_new:
            os.unlink(path)
        raise


# (name, loader, n_components, step between the fitted rows, step with --quick). Only every fifth of the 531,720 patches
# is fitted: scikit-learn takes about a second for an iteration on 100,000.
_TASKS = (
    ("pixels", load_sample_pixels, 8, 1, 10),
    ("patches 8x8", load_sample_patches, 16, 5, 100),
)


def _run_benchmark(quick: bool, n_threads: int | None, json_file: TextIO | None) -> None:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console()
    if not console.is_terminal:
        console = Console(width=100)
    max_iter = 5 if quick else 20
    results = []
    with limited_threads(n_threads) as granted:
        machine = describe_machine(granted)
        _print_header(console, machine, max_iter)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        shown_on = console if console.is_terminal else Console(stderr=True)
        with Progress(*columns, console=shown_on, transient=True) as progress:
            work = progress.add_task("loading")

            def fastgmm(**arguments: Any) -> GaussianMixture:
                return GaussianMixture(n_threads=granted, **arguments)

            for name, load, n_components, step, quick_step in _TASKS:
                progress.update(work, description=f"{name}: loading")
                every = load()
                X = every[:: quick_step if quick else step].copy()
                title = f"{name}: {len(X):,} of {len(every):,} rows, d = {X.shape[1]}, K = {n_components}"
                del every

                def report(estimator: str, stage: str, title: str = title) -> None:
                    progress.update(work, description=f"{title}: {estimator}, {stage}")

                fits = time_whole_fits(
                    X,
                    {"fastgmm": fastgmm, "scikit-learn": SklearnGaussianMixture},
                    report=report,
                    n_components=n_components,
                    max_iter=max_iter,
                    random_state=0,
                )
                console.print(_table(title, fits))
                results.append({"title": title, "fits": {n: dataclasses.asdict(fit) for n, fit in fits.items()}})
    if json_file is not None:
        if json_file.seekable():
            json_file.truncate(0)
        json.dump({"machine": machine, "max_iter": max_iter, "results": results}, json_file, indent=2)


def _print_header(console: Any, machine: Mapping[str, str], max_iter: int) -> None:
    for label, value in machine.items():
        console.print(f"[bold]{label:>20}[/]  {value}", highlight=False)
    console.print(
        "\nBoth make the default fit (full covariance, k-means start, random_state=0), here with at most "
        f"{max_iter}\niterations. The time of one is what a fit takes beyond its start, divided by their number.\n"
        "Peak memory is above X.\n",
        highlight=False,
    )


def _table(title: str, fits: Mapping[str, WholeFit]) -> Any:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE, collapse_padding=True, pad_edge=False
    )
    table.add_column("")
    for heading in ("start", "one iteration", "iterations", "total", "peak memory", "log-likelihood"):
        table.add_column(heading, justify="right")
    for name, fit in fits.items():
        table.add_row(
            name,
            _seconds(fit.start_seconds),
            _seconds(fit.iteration_seconds),
            str(fit.n_iter),
            _seconds(fit.total_seconds),
            f"{fit.peak_bytes / 2**20:,.1f} MiB",
            f"{fit.log_likelihood:,.2f}",
        )
    ours, theirs = fits["fastgmm"], fits["scikit-learn"]
    difference = (ours.log_likelihood - theirs.log_likelihood) / abs(theirs.log_likelihood)
    table.add_section()
    table.add_row(
        "speed-up",
        f"{theirs.start_seconds / ours.start_seconds:.1f} x",
        f"{theirs.iteration_seconds / ours.iteration_seconds:.1f} x",
        "",
        f"{theirs.total_seconds / ours.total_seconds:.1f} x",
        "",
        "equal" if abs(difference) < 1e-8 else f"{difference:+.1e} relative",
        style="bold green",
    )
    return table


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.1f} ms"
