"""The command line: ``fastgmm``, or ``python -m fastgmm``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fastgmm._command_line import benchmark, mixtures
from fastgmm._command_line.versions import show_versions
from fastgmm._utils.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="fastgmm" if Path(sys.argv[0]).stem == "fastgmm" else "python -m fastgmm",
        description="Gaussian mixtures on the CPU, fast.",
        epilog="From Python: from fastgmm import GaussianMixture.",
    )
    parser.add_argument("--version", action="version", version=f"fastgmm {__version__}")
    parser.set_defaults(run=lambda options: parser.print_help())
    commands = parser.add_subparsers(metavar="command")
    mixtures.add_commands(commands)
    info = commands.add_parser("info", help="print versions, the SIMD variant in use, and threads")
    info.set_defaults(run=lambda options: show_versions())
    benchmark.add_command(commands)
    options = parser.parse_args(arguments)
    return options.run(options) or 0
