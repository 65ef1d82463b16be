"""A build has the variants of its architecture, and uses the fastest one that NumPy, too, says this CPU can run."""

import os
import platform
import sys

import pytest
from numpy._core._multiarray_umath import __cpu_features__ as numpy_features

from fastgmm import _kernels

X86_64 = platform.machine() in ("x86_64", "AMD64")
ONE_LANE = _kernels.COMPILER.startswith("Visual C++")


def test_variants_of_this_architecture_are_built():
    expected = ("baseline", "v3", "v4") if X86_64 and not ONE_LANE else ("baseline",)
    assert expected == _kernels.BUILT
    assert _kernels.COMPILER.split()[0] in ("gcc", "clang", "Visual")


@pytest.mark.skipif(not X86_64 or ONE_LANE, reason="one variant is built")
def test_the_fastest_variant_that_runs_is_chosen():
    """NumPy before 2.4 names features only, and macOS does not show AVX-512 before its first use."""
    v3 = numpy_features.get("X86_V3", numpy_features["AVX2"] and numpy_features["FMA3"] and numpy_features["F16C"])
    v4 = v3 and numpy_features.get("X86_V4", numpy_features["AVX512_SKX"])
    if sys.platform == "darwin":
        v4 = "v4" in _kernels.SUPPORTED
    expected = ("baseline", *["v3"] * v3, *["v4"] * v4)
    assert expected == _kernels.SUPPORTED
    active = os.environ.get("FASTGMM_SIMD", expected[-1])
    assert active == _kernels.ACTIVE


def test_vectors_have_the_width_of_the_variant():
    lanes = 1 if ONE_LANE else {"baseline": 2, "v3": 4, "v4": 8}[_kernels.ACTIVE]
    assert lanes == _kernels.active.LANES
