"""Compiled passes over rows, built once per SIMD variant.

The fastest variant that runs here is ``active``. ``FASTGMM_SIMD=baseline|v3|v4`` forces one
(x86-64-v3 is AVX2 + FMA, x86-64-v4 AVX-512).
"""

import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastgmm._kernels import _cpu

if TYPE_CHECKING:
    from fastgmm._kernels import _baseline as active

__all__ = ["ACTIVE", "BUILT", "COMPILER", "SUPPORTED", "active"]

COMPILER = _cpu.COMPILER
BUILT = tuple(name for name in ("baseline", "v3", "v4") if find_spec(f"{__name__}._{name}"))
SUPPORTED = tuple(name for name in BUILT if name in _cpu.supported())
ACTIVE = os.environ.get("FASTGMM_SIMD") or SUPPORTED[-1]
if ACTIVE not in SUPPORTED:
    raise ImportError(
        f"FASTGMM_SIMD={ACTIVE!r} cannot be used here: built are {', '.join(BUILT)}; "
        f"this CPU runs {', '.join(SUPPORTED)}. Unset FASTGMM_SIMD to take the fastest of them."
    )
globals()["active"] = import_module(f"{__name__}._{ACTIVE}")
