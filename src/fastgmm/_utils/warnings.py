"""Warnings that point at the line of the user. A fit with many starts gives each of them once."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_PACKAGE = str(Path(__file__).parent.parent)

_given: ContextVar[set[str] | None] = ContextVar("_given", default=None)


def warn(message: str | Warning, category: type[Warning] = UserWarning, topic: str | None = None) -> None:
    """Warn, pointing at the line that called the package.

    Parameters
    ----------
    message : str or Warning
        A warning is given as it is, whatever the category.
    category : type, default=UserWarning
    topic : str, default=None
        Within `each_topic_once`, only the first warning of a topic is given.
    """
    given = _given.get()
    if topic is not None and given is not None:
        if topic in given:
            return
        given.add(topic)
    warnings.warn(message, category, stacklevel=_stack_level_of_caller())


@contextmanager
def each_topic_once() -> Iterator[None]:
    """A context in which the first warning of each topic is given. Within another such context it changes nothing."""
    if _given.get() is not None:
        yield
        return
    token = _given.set(set())
    try:
        yield
    finally:
        _given.reset(token)


def _stack_level_of_caller() -> int:
    """The stack level, as `warn` counts it, of the innermost frame outside the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
