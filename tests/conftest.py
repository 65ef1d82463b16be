"""What several test modules share: SIMD variants, several threads on tiny data, and runs in a fresh interpreter."""

import os
import subprocess
import sys
from importlib import import_module

import hypothesis
import pytest

from fastgmm import _kernels
from fastgmm._rows import runner as _runner

pytest.register_assert_rewrite("_shared")

# The same examples each time: a suite that fails should fail for everyone.
hypothesis.settings.register_profile("fastgmm", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.load_profile("fastgmm")


@pytest.fixture(params=_kernels.SUPPORTED)
def simd(request, monkeypatch):
    """Runs the test on each SIMD variant that this CPU supports; `_rows` looks the kernels up at each call."""
    monkeypatch.setattr(_kernels, "active", import_module(f"fastgmm._kernels._{request.param}"))
    return request.param


@pytest.fixture(scope="module")
def threads_on_tiny_data():
    """Lets a block of rows be worth a thread, so that tests of a few hundred rows run in parallel too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_runner, "_THREAD_FLOPS", 1e-9)
        yield


@pytest.fixture
def run_python():
    """Run source code in a fresh interpreter and return what it prints; the environment is this one but for `env`."""

    def run(source, timeout=120, check=True, **env):
        env = {name: value for name, value in {**os.environ, **env}.items() if value is not None}
        result = subprocess.run(
            [sys.executable, "-c", source], env=env, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert not check or result.returncode == 0, result.stderr
        return result.stdout if check else result

    return run
