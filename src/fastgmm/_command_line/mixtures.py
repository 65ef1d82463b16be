"""``python -m fastgmm fit``, ``select`` and ``predict``: mixtures of the rows of files."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import get_args

from fastgmm._command_line.files import (
    LOADED_BYTES,
    check_output,
    load_model,
    loaded_if_small,
    reader_of,
    save_model,
)
from fastgmm._command_line.numbers import numbers_of_components, positive_float, positive_int
from fastgmm._model.covariance import SKLEARN_TYPES, accepted_names
from fastgmm._output.results import check_result_path
from fastgmm._utils.annotations import Criterion, StartName
from fastgmm.mixture import GaussianMixture
from fastgmm.progress import ProgressBar
from fastgmm.selection import GaussianMixtureIC

_STARTS = get_args(StartName)
_TYPES = accepted_names()

_FILES = f"""\
Rows come from .parquet, .csv and .npy files, or from folders of them. Columns of Parquet and CSV files have names.
Files of up to {LOADED_BYTES >> 20} MiB together are loaded. Larger ones are read batch by batch, by a fit anew in
each iteration, which needs little memory. Reading Parquet and CSV files needs pyarrow and pandas."""


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add the commands to the parser of the command line."""
    fit = _command(commands, "fit", _fit, "fit a mixture to the rows of files, and print what it is")
    fit.add_argument("-k", "--components", type=positive_int, required=True, metavar="K", help="number of components")
    fit.add_argument("--covariance", choices=_TYPES, default="full", help="shape of the components (default: full)")
    fit.add_argument(
        "--tol", type=positive_float, default=1e-3, metavar="X", help="stop if an iteration gains less (default: 0.001)"
    )
    fit.add_argument(
        "--max-iter", type=positive_int, default=100, metavar="N", help="most iterations of EM (default: 100)"
    )
    _add_options_of_fits(fit)

    select = _command(commands, "select", _select, "choose the number of components and the covariance type")
    select.add_argument(
        "-k",
        "--components",
        type=numbers_of_components,
        default=range(1, 10),
        metavar="NUMBERS",
        help="numbers of components to try, such as 1-9 or 2,4,8 (default: 1-9)",
    )
    select.add_argument(
        "--covariance", type=_names, metavar="TYPES", help=f"types to try, or all (default: {','.join(SKLEARN_TYPES)})"
    )
    select.add_argument(
        "--distribution",
        type=_names,
        default="gaussian",
        metavar="NAMES",
        help="gaussian, t or both, such as gaussian,t (default: gaussian)",
    )
    select.add_argument(
        "--criterion", choices=get_args(Criterion), default="bic", help="what to minimize (default: bic)"
    )
    _add_options_of_fits(select)

    predict = _command(commands, "predict", _predict, "write the component, or the density, of each row")
    predict.add_argument("model", help="file that fit or select wrote")
    predict.add_argument("data", nargs="+", help="files or folders")
    predict.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="ends in .parquet, .csv or .npy; written as a whole or not at all",
    )
    what = predict.add_mutually_exclusive_group()
    what.add_argument("--proba", action="store_true", help="write the probability of each component")
    what.add_argument("--log-density", action="store_true", help="write the log-density of each row")
    predict.add_argument("--columns", type=_names, metavar="A,B", help="features (default: those of the fit)")
    keep = predict.add_mutually_exclusive_group()
    keep.add_argument("--keep", type=_names, metavar="A,B", help="columns of the data to write, too, such as a key")
    keep.add_argument("--keep-all", dest="keep", action="store_const", const=True, help="write all columns, too")
    predict.epilog = (
        "A model file is a program as much as data: loading one that a stranger made may run the stranger's code. "
        "Only use models whose origin you trust."
    )


def _command(
    commands: argparse._SubParsersAction, name: str, run: Callable[[argparse.Namespace], None], summary: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}. {_FILES}")
    command.set_defaults(run=lambda options: _in_one_line(command, run, options))
    return command


def _add_options_of_fits(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", nargs="+", help="files or folders")
    command.add_argument("-o", "--output", metavar="FILE", help="write the model, for predict and for joblib.load")
    command.add_argument("--columns", type=_names, metavar="A,B", help="features (default: all but the weights)")
    command.add_argument("--weights", metavar="COLUMN", help="column that says how often each row counts")
    command.add_argument("--init", choices=_STARTS, default="kmeans", help="how EM starts (default: kmeans)")
    command.add_argument("--n-init", type=positive_int, default=1, metavar="N", help="number of starts (default: 1)")
    command.add_argument("--seed", type=int, default=0, help="of random numbers; 0 by default, so results repeat")
    command.add_argument("--threads", type=positive_int, metavar="N", help="number of threads (default: all)")


def _names(text: str) -> str | list[str]:
    return text if text == "all" else text.split(",")


# Commands -------------------------------------------------------------------------------------------------------------


def _fit(options: argparse.Namespace) -> None:
    model = GaussianMixture(
        options.components,
        covariance_type=options.covariance,
        tol=options.tol,
        max_iter=options.max_iter,
        **_parameters(options),
    )
    X, weights = _rows_to_fit(options)
    model.fit(X, sample_weight=weights, callback=_bar())
    _save(model, options.output)
    print(model.summary(X, sample_weight=weights))


def _select(options: argparse.Namespace) -> None:
    search = GaussianMixtureIC(
        options.components,
        covariance_type=options.covariance or SKLEARN_TYPES,
        distribution=options.distribution,
        criterion=options.criterion,
        **_parameters(options),
    )
    X, weights = _rows_to_fit(options)
    search.fit(X, sample_weight=weights, callback=_bar())
    _save(search.best_estimator_, options.output)
    print(search.summary())


def _predict(options: argparse.Namespace) -> None:
    check_result_path(options.output)
    check_output(options.output, [options.model, *options.data])
    model = load_model(options.model)
    names = getattr(model, "feature_names_in_", None)
    fitted = None if names is None else list(names)
    rows = reader_of(options.data, options.columns, keep=options.keep, fitted=fitted)
    write = model.predict_proba if options.proba else model.score_samples if options.log_density else model.predict
    write(rows, out=options.output)


def _bar() -> ProgressBar | None:
    """A progress bar, if a terminal shows the output and rich can draw on it."""
    return ProgressBar() if sys.stdout.isatty() and importlib.util.find_spec("rich") else None


def _parameters(options: argparse.Namespace) -> dict:
    """Those that `fit` and `select` share."""
    return {
        "init_params": options.init,
        "n_init": options.n_init,
        "random_state": options.seed,
        "n_threads": options.threads,
    }


def _rows_to_fit(options: argparse.Namespace):
    check_output(options.output, options.data)
    return loaded_if_small(reader_of(options.data, options.columns, options.weights), options.data)


def _save(model: GaussianMixture, path: str | None) -> None:
    if path is not None:
        save_model(model, path)


# Errors and warnings --------------------------------------------------------------------------------------------------


def _in_one_line(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None], options: argparse.Namespace
) -> int:
    """Run a command. Errors and warnings become a line each, without a traceback. Returns the exit code."""
    try:
        with _short_warnings(parser.prog):
            run(options)
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        found = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
        message = " ".join(found.split()) or type(error).__name__
        print(f"{parser.prog}: error: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130
    return 0


@contextmanager
def _short_warnings(prog: str) -> Iterator[None]:
    """A context in which a warning is printed without the line of code that gave it."""

    def show(message, category, filename, lineno, file=None, line=None):
        print(f"{prog}: warning: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
