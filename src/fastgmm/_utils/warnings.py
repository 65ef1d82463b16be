"""Warnings that point at the line of the user, and that a fit gives once however many starts it makes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_PACKAGE = str(Path(__file__).parent.parent)

_given: ContextVar[set[str] | None] = ContextVar("_given", default=None)


def warn(message: str, category: type[Warning] = UserWarning, topic: str | None = None) -> None:
    """Warn, pointing at the line that called the package.

    Parameters
    ----------
    message : str
    category : type, default=UserWarning
    topic : str, default=None
        Within `each_topic_once`, only the first warning of a topic is given.
    """
    given = _given.get()
    if topic is not None and given is not None:
        if topic in given:
            return
        given.add(topic)
    warnings.warn(message, category, stacklevel=_frames_of_package())


@contextmanager
def each_topic_once() -> Iterator[None]:
    """Within, also within another one, a topic is warned of once."""
    if _given.get() is not None:
        yield
        return
    token = _given.set(set())
    try:
        yield
    finally:
        _given.reset(token)


def _frames_of_package() -> int:
    """The stack level, as `warn` counts it, of the innermost frame outside of the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
