"""The kernels as the package calls them, where a test wants to see each call."""

from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from inspect import signature
from typing import NamedTuple

import pytest

from fastgmm import _kernels


@contextmanager
def variant_in_use(name):
    """The SIMD variant of the kernels that the package calls; it looks them up at each call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_kernels, "active", import_module(f"fastgmm._kernels._{name}"))
        yield


class KernelCall(NamedTuple):
    name: str
    arguments: dict  # by name


class WatchedKernels:
    """The active kernels, where ``make(name, function, arguments)`` makes each pass and each trial of one."""

    def __init__(self, make):
        self._kernels, self._make = _kernels.active, make

    def __getattr__(self, name):
        function = getattr(self._kernels, name)
        if not name.endswith("_pass") and not name.startswith("count_"):
            return function
        return wraps(function)(lambda *arguments: self._make(name, function, arguments))


@contextmanager
def watched_calls(after=lambda call: None):
    """A list that grows by each call; ``after`` sees it when it is done."""
    calls = []

    def make(name, function, arguments):
        calls.append(KernelCall(name, signature(function).bind(*arguments).arguments))
        result = function(*arguments)
        after(calls[-1])
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_kernels, "active", WatchedKernels(make))
        yield calls
