"""The block functions without Python: native/blocks.cpp, compiled and run. .ci/prove runs it on other systems."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "src" / "fastgmm" / "_kernels"
COMPILER = shutil.which(os.environ.get("CXX", "c++"))
FLAGS = ["-O2", "-fno-math-errno", "-fno-trapping-math", "-std=gnu++17", "-fno-exceptions", "-fno-rtti"]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]

pytestmark = pytest.mark.skipif(not COMPILER or not KERNELS.exists(), reason="needs a compiler and the sources")


@pytest.mark.parametrize("macros", [[], ["-DFASTGMM_ONE_LANE"]], ids=["vectors", "one lane"])
def test_block_functions(tmp_path, macros):
    """Compilers without vector types get one lane, which no variant of the package on this system shows."""
    program = tmp_path / "blocks"
    files = [f"-I{KERNELS}", HERE / "native" / "blocks.cpp", "-o", program]
    subprocess.run([COMPILER, *FLAGS, *WARNINGS, *macros, *files, "-lm"], check=True)
    run = subprocess.run([program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    lanes = 1 if macros else 2
    assert run.stdout.startswith(f"{64 * lanes} bits a vector")
