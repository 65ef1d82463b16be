"""Types of the compiled passes that callers rely on; kernels.pxi says what the arguments are."""

from collections.abc import Callable
from typing import Any

OPENMP: bool
CHECKED: bool
BLOCK: int
LANES: int

def __getattr__(name: str) -> Callable[..., Any]: ...
