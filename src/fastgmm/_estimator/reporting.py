"""Who is told how far a fit has come: the user's callback, the log, and scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastgmm._estimator.fitted import FEATURES
from fastgmm._estimator.sklearn_callbacks import SklearnCallbacks, has_callbacks
from fastgmm._utils.errors import Stopped
from fastgmm._utils.log import Log
from fastgmm._utils.progress import SILENT, Callback, Reporter
from fastgmm._utils.values import is_boolean, is_integer_from


@contextmanager
def reporting(
    estimator, callback: Callback | None, interval: int | None, data: dict[str, Any] | None = None
) -> Iterator[Reporter]:
    """The reporter of one call of an estimator's method. The callback's method `close`, if any, is called at its end.

    If the call fails, the estimator has the features that it had before.

    Parameters
    ----------
    estimator : estimator
        With the parameter `verbose`.
    callback : callable or None
    interval : int or None
        Number of iterations of EM between two lines of the log.
    data : dict of str to Any, default=None
        What scikit-learn's callbacks get. None: they are not called.

    Raises
    ------
    TypeError
        If `callback` is not callable.
    RuntimeError
        If a callback stops the call before there is a model.
    """
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable or None, got {callback!r}: pass a function of a Progress.")
    if isinstance(callback, type):
        raise TypeError(
            f"callback must be callable with a Progress, got the class {callback.__name__}: pass an instance, "
            f"{callback.__name__}()."
        )
    features = {name: value for name in FEATURES if (value := vars(estimator).get(name)) is not None}
    listeners: list[Callback] = []
    verbose = estimator.verbose
    if verbose and (is_boolean(verbose) or is_integer_from(1)(verbose)):  # others are refused later
        listeners.append(Log(verbose, interval))
    of_sklearn = None
    if data is not None and has_callbacks(estimator):
        of_sklearn = SklearnCallbacks(estimator, data)
        listeners.append(of_sklearn)
    if callback is not None:
        listeners.append(callback)
    reporter = Reporter(listeners) if listeners else SILENT
    if of_sklearn is not None:
        of_sklearn.reporter = reporter
    try:
        try:
            yield reporter
        except BaseException as error:
            for name in set(FEATURES).difference(features):
                vars(estimator).pop(name, None)
            vars(estimator).update(features)
            if isinstance(error, Stopped):
                raise RuntimeError(
                    f"A callback stopped the call at stage {error.stage!r}, before there was a model. Raise "
                    "StopIteration later: at stage 'EM', or in a search after the first event 'candidate' (not if "
                    "criterion='cv')."
                ) from error
            raise
        if of_sklearn is not None:
            of_sklearn.end()
    finally:
        reporter.attributes = None  # they hold the passes, which hold the reporter: a cycle that would keep all rows
        if of_sklearn is not None:
            of_sklearn.close()
        if (close := getattr(callback, "close", None)) is not None:
            close()
