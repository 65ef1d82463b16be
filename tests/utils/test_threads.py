"""Threads, processes, interrupts and SIMD variants: the answer does not depend on them, and nothing hangs."""

import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from _shared import oracle
from _shared.cases import TYPES, both_estimators
from _shared.kernels import WatchedKernels
from _shared.skipping import InCells, Screens, predictions, separated, statistics
from threadpoolctl import threadpool_info, threadpool_limits

from fastgmm import GaussianMixture, StudentTMixture, _kernels
from fastgmm._kernels import _cpu
from fastgmm._rows.kmeans import KMeansPasses, SeedingPasses
from fastgmm._utils import blas
from fastgmm._utils.threads import effective_n_threads, explain_n_threads

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("threads_on_tiny_data"),
]

FITTED = ["weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_"]

needs_openmp = pytest.mark.skipif(not _kernels.active.OPENMP, reason="built without OpenMP")
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")


def clusters(n_rows=3000, n_features=6, dtype=np.float64):
    """Overlapping, so that every iteration moves every parameter."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(n_rows, n_features)) + rng.integers(3, size=(n_rows, 1))).astype(dtype)


def fit(X, n_threads=None, n_components=3, estimator=GaussianMixture, **parameters):
    parameters = {"random_state": 0, "max_iter": 10, "tol": 0.0, **parameters}
    return estimator(n_components=n_components, n_threads=n_threads, **parameters).fit(X)


def fitted_numbers(gmm):
    return np.concatenate([np.ravel(getattr(gmm, name)) for name in FITTED])


# The answer -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@both_estimators
def test_thread_count_does_not_matter(estimator, init_params, covariance_type, n_threads, simd):
    """A fit repeats its sums in another order: 1e-12 for the bounds; parameters follow but for what EM amplifies."""
    X = clusters()
    expected, actual = (
        fit(X, n, estimator=estimator, covariance_type=covariance_type, init_params=init_params) for n in (1, n_threads)
    )  # fmt: skip
    np.testing.assert_allclose(actual.lower_bounds_, expected.lower_bounds_, rtol=1e-12)
    assert oracle.covariance_error(actual.covariances_, expected.covariances_, covariance_type) < 1e-11
    np.testing.assert_allclose(actual.means_, expected.means_, rtol=0, atol=1e-11)
    np.testing.assert_allclose(actual.weights_, expected.weights_, rtol=1e-11)
    np.testing.assert_array_equal(actual.predict(X), expected.predict(X))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("covariance_type", TYPES)
@both_estimators
def test_fits_repeat_bitwise(estimator, covariance_type, n_threads, dtype, simd):
    X = clusters(dtype=dtype)
    first, second = (fit(X, n_threads, estimator=estimator, covariance_type=covariance_type) for _ in range(2))
    np.testing.assert_array_equal(fitted_numbers(first), fitted_numbers(second))


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples"])
def test_outputs_by_row_do_not_depend_on_threads(method, n_threads, simd):
    gmm = fit(clusters(), 1)
    expected = getattr(gmm, method)(clusters())
    gmm.set_params(n_threads=n_threads)
    np.testing.assert_array_equal(getattr(gmm, method)(clusters()), expected)


@pytest.mark.parametrize("n_threads", [1, 2])
@both_estimators
def test_many_python_threads_at_once(estimator, n_threads):
    """Eight at a time, each with its own data: as one after another."""
    data = [clusters(n_rows) for n_rows in range(1000, 3000, 100)]

    def fit_and_predict(X):
        gmm = fit(X, n_threads, estimator=estimator)
        return np.concatenate([fitted_numbers(gmm), gmm.predict(X), gmm.score_samples(X)])

    expected = np.concatenate([fit_and_predict(X) for X in data])
    with ThreadPoolExecutor(8) as pool:
        actual = np.concatenate(list(pool.map(fit_and_predict, data)))
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_one_estimator_predicts_in_many_threads(n_threads):
    X = clusters()
    gmm = fit(X, n_threads)
    with ThreadPoolExecutor(8) as pool:
        actual = np.stack(list(pool.map(gmm.predict_proba, [X] * 40)))
    np.testing.assert_array_equal(actual, np.broadcast_to(gmm.predict_proba(X), actual.shape))


# The GIL --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2])
def test_passes_release_the_gil(n_threads, monkeypatch):
    """With a switch interval of an hour nobody takes the GIL away: the counter moves only if a pass gives it up."""
    X, (thin, mixture) = clusters(100_000, 16), separated(100_000, 3, 16, "full", np.float64)
    labels, counter, finished = np.zeros(len(X), np.int32), [0], threading.Event()
    holes = np.where(np.arange(16) == np.arange(len(X))[:, np.newaxis] % 3, np.nan, X)
    advanced = set()  # names of the passes during which the other thread moved

    def count():
        while not finished.wait(1e-4):
            counter[0] += 1

    def note(name, function, arguments):
        before = counter[0]
        result = function(*arguments)
        advanced.update([name] if counter[0] > before else [])
        return result

    def call_all_passes():
        fit(X, n_threads, n_components=16, max_iter=1, init_params="random").predict_proba(X)
        kmeans = KMeansPasses(X, X[0], 16, None, n_threads)
        kmeans.assign(X[:16] - X[0], labels)
        SeedingPasses(kmeans, X[0] - X[0], 16).potentials(X[:16] - X[0])
        for way in (Screens(2, 3), InCells()):
            statistics(thin, None, mixture, "full", way, n_threads)
            predictions(thin, mixture, "full", way, n_threads)
        fit(holes, n_threads, max_iter=1, init_params="random", missing="marginalize").predict(holes)
        fit(X, n_threads, estimator=StudentTMixture, max_iter=1, init_params="random").predict(X)

    every_pass = {name for name in dir(_kernels.active) if name.endswith("_pass")}
    monkeypatch.setattr(_kernels, "active", WatchedKernels(note))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    try:
        counting = threading.Thread(target=count, daemon=True)
        counting.start()
        # A pass takes milliseconds, in which a busy machine may not let the other thread run: it gets many chances.
        deadline = time.monotonic() + 60
        while advanced != every_pass and time.monotonic() < deadline:
            call_all_passes()
    finally:
        sys.setswitchinterval(interval)
        finished.set()
        counting.join()
    assert advanced == every_pass


# How many threads -----------------------------------------------------------------------------------------------------

PRINT_N_THREADS = "from fastgmm._utils.threads import explain_n_threads; print(*explain_n_threads(), sep='|')"


@needs_openmp
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_omp_num_threads(limit, run_python):
    granted, reason = run_python(PRINT_N_THREADS, OMP_NUM_THREADS=str(limit)).strip().split("|")
    assert int(granted) == limit
    assert "OMP_NUM_THREADS" in reason


@needs_openmp
@pytest.mark.parametrize("limit", [1, 2])
def test_threadpool_limits(limit, run_python):
    """Set, and gone afterwards. In a fresh process, which no other limit has reached."""
    source = f"""
from threadpoolctl import threadpool_info, threadpool_limits
from fastgmm._utils.threads import effective_n_threads
with threadpool_limits({limit}):
    print(effective_n_threads())
print(effective_n_threads())
"""
    assert run_python(source, OMP_NUM_THREADS="4").split() == [str(limit), "4"]


@needs_openmp
def test_threadpool_limits_reach_a_fit(kernel_calls):
    """The passes run with the number that is granted at the time of the call."""
    with threadpool_limits(1):
        fit(clusters(), max_iter=2)
    fit(clusters(), 2, max_iter=2)
    used = [call.arguments["n_threads"] for call in kernel_calls if call.name == "em_pass"]
    assert used == [1, 1, 2, 2]


@needs_openmp
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
@pytest.mark.parametrize("when", ["before the import", "after a call"])
def test_affinity(when, run_python):
    pin = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"
    call = "from fastgmm._utils.threads import effective_n_threads; effective_n_threads()"
    source = [pin, PRINT_N_THREADS] if when == "before the import" else [call, pin, PRINT_N_THREADS]
    assert run_python("\n".join(source), OMP_NUM_THREADS=None).startswith("1|")


def test_given_number_of_threads():
    assert effective_n_threads(1) == 1
    assert explain_n_threads(5) == (
        (5, "given by n_threads") if _kernels.active.OPENMP else (1, "built without OpenMP")
    )


@needs_openmp
def test_more_threads_than_cores_and_blocks():
    X = clusters(1000)
    np.testing.assert_allclose(fitted_numbers(fit(X, 64)), fitted_numbers(fit(X, 1)), rtol=1e-10, atol=1e-11)


# Processes ------------------------------------------------------------------------------------------------------------

FIT_IN_CHILD = """
import multiprocessing, sys, warnings
import numpy as np
from fastgmm import GaussianMixture
from fastgmm._rows import runner
from fastgmm._utils.threads import explain_n_threads

warnings.simplefilter("ignore")
runner._THREAD_FLOPS = 1e-9
X = np.random.default_rng(0).normal(size=(3000, 4)) + np.random.default_rng(1).integers(3, size=(3000, 1))

def fit(n_threads):
    return GaussianMixture(3, random_state=0, max_iter=5, tol=0.0, n_threads=n_threads).fit(X)

def child(results, n_threads):
    gmm = fit(n_threads)
    results.put((gmm.lower_bound_, int(gmm.predict(X).sum()), explain_n_threads(n_threads)[0]))

if __name__ == "__main__":
    for n_threads in (None, 2):
        parent = fit(2)
        context = multiprocessing.get_context(METHOD)
        results = context.Queue()
        process = context.Process(target=child, args=(results, n_threads))
        process.start()
        lower_bound, labels, granted = results.get(timeout=60)
        process.join(60)
        assert process.exitcode == 0, process.exitcode
        assert abs(lower_bound / parent.lower_bound_ - 1) < 1e-12
        assert labels == parent.predict(X).sum()
        print(granted)
        fit(2)  # the parent goes on
"""


@needs_posix
@needs_openmp
def test_fork_after_a_parallel_region(run_python):
    """GNU's OpenMP would hang in the child: it keeps to one thread, whatever it is asked for."""
    source = "import multiprocessing\nMETHOD = 'fork'\n" + FIT_IN_CHILD
    assert run_python(source, OMP_NUM_THREADS="2").split() == ["1", "1"]


@needs_openmp
@pytest.mark.parametrize("method", ["spawn", pytest.param("forkserver", marks=needs_posix)])
def test_fresh_processes_have_threads(method, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"METHOD = {method!r}\n" + FIT_IN_CHILD)
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    result = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["2", "2"]


# Interrupts -----------------------------------------------------------------------------------------------------------

ENDLESS = {
    "one long pass": "GaussianMixture(64, init_params='random', max_iter=10**9, tol=0).fit(np.tile(X, (1, 8)))",
    "many short passes": "GaussianMixture(3, init_params='random', max_iter=10**9, tol=0).fit(X[:300])",
    "starts": "GaussianMixture(16, n_init=10**9, max_iter=1, tol=0).fit(X[:20000])",
    "predict": "[gmm.predict_proba(X) for _ in range(10**9)]",
}


@needs_posix
@pytest.mark.parametrize("what", ENDLESS)
def test_ctrl_c_ends_a_long_call(what):
    source = f"""
import warnings
import numpy as np
from fastgmm import GaussianMixture
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(200_000, 16))
gmm = GaussianMixture(4, init_params="random", max_iter=1).fit(X[:1000])
print("ready", flush=True)
{ENDLESS[what]}
"""
    process = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert errors.rstrip().endswith("KeyboardInterrupt")


LONG = {
    "fit": "model.fit(X)",
    "predict": "model.predict(X)",
    "random start": "GaussianMixture(16, init_params='random', max_iter=0).fit(np.tile(X.reshape(-1, 1024), (16, 1)))",
}


@needs_posix
@pytest.mark.parametrize("what", LONG)
def test_ctrl_c_ends_a_call_of_which_a_block_takes_long(what):
    """The components times the square of the features: a block takes the plainest kernels some 10 seconds."""
    source = f"""
import numpy as np
from fastgmm import GaussianMixture
K, d = 4096, 256
X = np.random.default_rng(0).normal(size=(K, d))
model = GaussianMixture(K, covariance_type="tied", warm_start=True)
model.weights_, model.means_, model.precisions_cholesky_ = np.full(K, 1 / K), X, np.eye(d)
model.converged_, model.lower_bound_ = False, -np.inf
print("ready", flush=True)
{LONG[what]}
"""
    process = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "FASTGMM_SIMD": "baseline"},
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = process.communicate(timeout=60)
        seconds = time.monotonic() - began
    finally:
        process.kill()
        process.wait()
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert seconds < 4


@needs_posix
def test_ctrl_c_does_not_wait_for_a_batch():
    """Which another thread is fetching."""
    X, is_there = clusters(), threading.Event()

    class Slow:
        def __iter__(self):
            yield X
            for _ in range(2):
                is_there.wait(0.01)
                yield X
            is_there.wait(30)

    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        GaussianMixture(2).fit_batches(Slow())
    seconds = time.monotonic() - began
    is_there.set()
    assert seconds < 10


# SIMD variants --------------------------------------------------------------------------------------------------------

PRINT_FITS = """
import numpy as np, warnings
from fastgmm import GaussianMixture, _kernels
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 6)) + rng.integers(3, size=(3000, 1))
print(_kernels.ACTIVE, _kernels.active.__name__)
for covariance_type in ("full", "tied", "diag", "spherical"):
    gmm = GaussianMixture(3, random_state=0, max_iter=10, tol=0.0, covariance_type=covariance_type).fit(X)
    print(*np.concatenate([gmm.weights_, gmm.means_.ravel(), gmm.covariances_.ravel(), gmm.lower_bounds_]).tolist())
"""


@pytest.mark.parametrize("variant", _kernels.SUPPORTED)
def test_forced_variant_gives_the_same_fits(variant, run_python):
    """Of all covariance types, in one process."""
    names, *lines = run_python(PRINT_FITS, FASTGMM_SIMD=variant).splitlines()
    assert names == f"{variant} fastgmm._kernels._{variant}"
    fits = [fit(clusters(), covariance_type=name) for name in ("full", "tied", "diag", "spherical")]
    expected = [[gmm.weights_, gmm.means_.ravel(), gmm.covariances_.ravel(), gmm.lower_bounds_] for gmm in fits]
    actual = np.array(" ".join(lines).split(), float)
    np.testing.assert_allclose(actual, np.concatenate([*map(np.concatenate, expected)]), rtol=1e-10, atol=1e-11)


def test_fastest_supported_variant_is_the_default(run_python):
    source = "from fastgmm import _kernels; print(_kernels.ACTIVE, *_kernels.SUPPORTED)"
    active, *supported = run_python(source, FASTGMM_SIMD=None).split()
    assert tuple(supported) == _kernels.SUPPORTED
    assert active == supported[-1]
    assert supported[0] == "baseline"


def test_empty_variable_is_no_choice(run_python):
    source = "from fastgmm import _kernels; print(_kernels.ACTIVE)"
    assert run_python(source, FASTGMM_SIMD="").strip() == _kernels.SUPPORTED[-1]


@pytest.mark.parametrize("variant", ["v5", "AVX2", "_cpu"])
def test_unknown_variant(variant, run_python):
    result = run_python("import fastgmm", check=False, FASTGMM_SIMD=variant)
    last_line = result.stderr.strip().splitlines()[-1]
    assert result.returncode != 0
    assert last_line.startswith(f"ImportError: FASTGMM_SIMD='{variant}'")
    assert re.search("this CPU runs " + ", ".join(_kernels.SUPPORTED), last_line)


def test_unsupported_variant(run_python):
    """As on a CPU that has only the baseline, while the package holds more."""
    source = """
import sys, types
sys.modules["fastgmm._kernels._cpu"] = types.SimpleNamespace(supported=lambda: ("baseline",), COMPILER="")
import fastgmm
"""
    result = run_python(source, check=False, FASTGMM_SIMD="v4")
    last_line = result.stderr.strip().splitlines()[-1]
    assert last_line.startswith("ImportError: FASTGMM_SIMD='v4' cannot be used here")
    assert "this CPU runs baseline. Unset FASTGMM_SIMD" in last_line


# Bits of CPUID(1).ECX, CPUID(7).EBX, CPUID(0x80000001).ECX and XCR0, as Linux names the features.
LEVEL_3 = {
    **{name: (0, bit) for name, bit in [("pni", 0), ("ssse3", 9), ("fma", 12), ("cx16", 13), ("sse4_1", 19)]},
    **{name: (0, bit) for name, bit in [("sse4_2", 20), ("movbe", 22), ("popcnt", 23), ("avx", 28), ("f16c", 29)]},
    **{"bmi1": (1, 3), "avx2": (1, 5), "bmi2": (1, 8), "lahf_lm": (2, 0), "abm": (2, 5)},
}
LEVEL_4 = {"avx512f": (1, 16), "avx512dq": (1, 17), "avx512cd": (1, 28), "avx512bw": (1, 30), "avx512vl": (1, 31)}
SYSTEM_3, SYSTEM_4 = {"osxsave": (0, 27), "xmm": (3, 1), "ymm": (3, 2)}, {"k": (3, 5), "zmm": (3, 6), "zmm16": (3, 7)}


def test_a_variant_needs_all_that_its_compiler_may_use():
    everything = [*LEVEL_3.values(), *SYSTEM_3.values(), *LEVEL_4.values(), *SYSTEM_4.values()]

    def supported(features):
        found = [sum(1 << bit for place, bit in features if place == each) for each in range(4)]
        return _cpu.supported(tuple(found))

    assert supported(everything) == ("baseline", "v3", "v4")
    assert supported([]) == ("baseline",)
    for level, variants in [(LEVEL_3 | SYSTEM_3, ("baseline",)), (LEVEL_4 | SYSTEM_4, ("baseline", "v3"))]:
        for feature in level.values():
            assert supported([each for each in everything if each != feature]) == variants


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc/cpuinfo is that of Linux")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="variants are those of x86-64")
def test_features_are_those_that_the_system_knows():
    flags = re.search(r"^flags\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split()
    known = {name for name, (place, bit) in (LEVEL_3 | LEVEL_4).items() if _cpu.features()[place] >> bit & 1}
    assert known == {name for name in LEVEL_3 | LEVEL_4 if name in flags}
    assert ("v3" in _cpu.supported()) == known.issuperset(LEVEL_3)
    assert ("v4" in _cpu.supported()) == known.issuperset(LEVEL_3 | LEVEL_4)


# BLAS -----------------------------------------------------------------------------------------------------------------


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_concurrent_fits_leave_the_blas_threads_as_they_were():
    """Fits of many features hold BLAS to one thread; the last of them to end restores the limits before the first."""
    X = np.random.default_rng(0).normal(size=(2000, 40))
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda seed: GaussianMixture(2, random_state=seed, tol=1.0).fit(X), range(12)))
        assert blas_threads() == before


@pytest.mark.parametrize("parameters", [{"noise": True}, {"init_params": "split_merge"}])
def test_products_with_all_rows_use_one_blas_thread(parameters, monkeypatch):
    """Also with few features: OpenBLAS may lose the work of its threads if another thread forks."""
    limits, limit = [], blas._limit_blas
    monkeypatch.setattr(blas, "_limit_blas", lambda numbers: limits.append(set(numbers)) or limit(numbers))
    X = np.random.default_rng(0).normal(size=(500, 3))
    GaussianMixture(2, random_state=0, tol=1.0).fit(X)
    assert not limits
    GaussianMixture(2, random_state=0, tol=1.0, **parameters).fit(X)
    assert limits[0] == {1}


BLAS_THREADS = """
import threading
import numpy as np
from threadpoolctl import threadpool_info
from fastgmm import GaussianMixture

X = np.random.default_rng(0).normal(size=(300, 40))

def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

class PausedFit:
    def __init__(self):
        self.is_paused, self.may_end = threading.Event(), threading.Event()

    def __call__(self):
        GaussianMixture(2, random_state=0, tol=1.0).fit_batches([X], callback=self.pause)

    def pause(self, progress):
        if (progress.stage, progress.event) == ("EM", "rows"):
            self.is_paused.set()
            assert self.may_end.wait(60)
"""


def test_any_thread_restores_the_blas_threads(run_python):
    """Fits overlap, and the thread of the first stays: threadpoolctl would let only that one set limits."""
    source = f"""{BLAS_THREADS}
from concurrent.futures import ThreadPoolExecutor

before = blas_threads()
with ThreadPoolExecutor(1) as first_thread, ThreadPoolExecutor(1) as second_thread:
    fits = PausedFit(), PausedFit()
    results = []
    for fit, thread in zip(fits, (first_thread, second_thread)):
        results.append(thread.submit(fit))
        assert fit.is_paused.wait(60)
    assert blas_threads() == [1] * len(before), blas_threads()
    for fit, result in zip(fits, results):
        fit.may_end.set()
        result.result()
    assert blas_threads() == before, blas_threads()
"""
    run_python(source, OPENBLAS_NUM_THREADS="3")


FORKS = {
    "in a fit of another thread": """
fit = PausedFit()
thread = threading.Thread(target=fit)
thread.start()
assert fit.is_paused.wait(60)
is_child = os.fork() == 0
fit.may_end.set()
if not is_child:
    thread.join()
""",
    "while another thread sets limits": """
def limit(limits, set_limits=blas._limit_blas):
    set_limits(limits)
    if threading.current_thread() is thread:
        fit.is_paused.set()
        assert fit.may_end.wait(60)

blas._limit_blas = limit
fit = PausedFit()
thread = threading.Thread(target=GaussianMixture(2, random_state=0, tol=1.0).fit, args=(X,))
thread.start()
assert fit.is_paused.wait(60)
is_child = os.fork() == 0
fit.may_end.set()
if not is_child:
    thread.join()
""",
    "in a fit of the same thread": """
def fork(progress):
    global is_child
    if (progress.stage, progress.event) == ("EM", "rows"):
        is_child = os.fork() == 0

GaussianMixture(2, random_state=0, tol=1.0).fit_batches([X], callback=fork)
""",
}


@needs_posix
@pytest.mark.parametrize("when", FORKS)
def test_a_fork_during_a_fit(when, run_python):
    """The child can fit, and has the BLAS threads that were there before the fit."""
    source = f"""{BLAS_THREADS}
import os, warnings
from fastgmm._utils import blas
warnings.simplefilter("ignore")  # Python's about forks beside threads
before = blas_threads()
is_child = False
{FORKS[when]}
assert blas_threads() == before, blas_threads()
GaussianMixture(2, random_state=0, tol=1.0).fit(X)
assert blas_threads() == before, blas_threads()
assert is_child or os.wait()[1] == 0
"""
    run_python(source, OPENBLAS_NUM_THREADS="3", timeout=60)
