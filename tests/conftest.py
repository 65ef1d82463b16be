"""Fixtures of several test modules: SIMD variants, thresholds that let tiny data take the ways of big ones, calls of
kernels, and runs in a fresh interpreter. Thresholds of the package are replaced by fixtures of this module only.
"""

import os
import subprocess
import sys
from contextlib import contextmanager

import hypothesis
import numpy as np
import pytest
from _shared.kernels import variant_in_use, watched_calls
from _shared.thresholds import SKIPPING_ON_TINY_DATA, THREADS_ON_TINY_DATA

from fastgmm import _kernels
from fastgmm._input import blocks
from fastgmm._rows import runner
from fastgmm._skipping import policy
from fastgmm._start import find, sample
from fastgmm._utils import log, memory

pytest.register_assert_rewrite("_shared.assertions")

# The same examples each time: a suite that fails should fail for everyone.
hypothesis.settings.register_profile("fastgmm", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.load_profile("fastgmm")


@contextmanager
def replaced(owner, name, value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, value)
        yield


@pytest.fixture(params=_kernels.SUPPORTED)
def simd(request):
    """Runs the test on each SIMD variant that this CPU supports."""
    with variant_in_use(request.param):
        yield request.param


@pytest.fixture(scope="module")
def threads_on_tiny_data():
    """Lets a block of rows be worth a thread, so that tests of a few hundred rows run in parallel too."""
    ((owner, name, value),) = THREADS_ON_TINY_DATA
    with replaced(owner, name, value):
        yield


@pytest.fixture
def slices_of_one_block():
    """A context that cuts the rows of passes into slices of a block for each thread, as long passes are cut."""
    return lambda: replaced(runner, "_SLICE_FLOPS", 0.0)


@pytest.fixture
def skipping_on_tiny_data(monkeypatch):
    """Lets fits and predictions skip pairs at once, whatever that costs: with fewer than 5 features in cells, else by
    screens."""
    for owner, name, value in SKIPPING_ON_TINY_DATA:
        monkeypatch.setattr(owner, name, value)


@pytest.fixture
def dense_passes_only():
    """A context in which nothing is skipped."""
    return lambda: replaced(policy, "_LEAST_COMPONENTS", sys.maxsize)


@pytest.fixture
def random_numbers_in_small_blocks():
    """A context in which the responsibilities of a random start are drawn for 111 rows at a time."""
    return lambda: replaced(find, "_BLOCK_ELEMENTS", 3 * 111)


@pytest.fixture
def samples_too_small_for_em(monkeypatch):
    """Lets a start from a sample be one of k-means only."""
    monkeypatch.setattr(sample, "_ROWS_PER_PARAMETER", 1_000)


@pytest.fixture
def small_blocks(monkeypatch):
    """Cuts three features in arrays on disk into blocks of 100 rows."""
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 100 * 3 * 8)


@pytest.fixture
def a_line_for_each_batch():
    """A context in which progress is logged as if each batch took seconds."""
    return lambda: replaced(log, "_LINE_SECONDS", 0.0)


@pytest.fixture
def memory_of_the_machine():
    """A context in which the machine has so many bytes."""
    pytest.importorskip("dask")
    from fastgmm._rows import engine

    return lambda n_bytes: replaced(engine, "machine_memory", lambda: n_bytes)


@pytest.fixture
def kernel_calls():
    """A list that grows by each call of a pass: its name, and its arguments by name."""
    with watched_calls() as calls:
        yield calls


@pytest.fixture
def guarded_workspaces(monkeypatch):
    """Kernels work between guards, which they may not overwrite, in what is full of NaN, or of 1 if it holds integers:
    NaN would spread from where it is read before it is written."""
    guard, wholes = 64, []  # numbers: keeps the alignment
    aligned_empty = memory.aligned_empty

    def guarded_empty(size, dtype):
        whole = aligned_empty(size + 2 * guard, dtype)
        whole[:] = np.nan if np.issubdtype(dtype, np.floating) else 1
        whole[:guard] = whole[-guard:] = 42
        wholes.append(whole)
        return whole[guard:-guard]

    for name, module in list(sys.modules.items()):  # wherever it was imported
        if name.startswith("fastgmm") and hasattr(module, "aligned_empty"):
            monkeypatch.setattr(module, "aligned_empty", guarded_empty)
    yield
    assert wholes
    for whole in wholes:
        np.testing.assert_array_equal(np.concatenate([whole[:guard], whole[-guard:]]), 42)


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
