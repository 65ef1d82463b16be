"""Long runs in which things go wrong on purpose.

    python tests/robustness/soak.py [NAME ...] [--seconds 600]

threads      8 Python threads of mixed calls and changing numbers of threads, with forks: right results, memory is flat.
interrupts   200 interrupts at random moments: KeyboardInterrupt within a second, the estimator as before.
memory       a limit of the address space: MemoryError that says how much, the estimator as before.
checkpoints  a killed process, and a full disk: the last checkpoint is good, and the fit goes on from it.
dask         a worker paused, a worker beyond its memory, and the scheduler lost: the right result or an error.
"""

import argparse
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import scipy.linalg

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC, StudentTMixture

TYPES = ["full", "tied", "diag", "spherical"]
KINDS = [
    (GaussianMixture, {}),
    (BayesianGaussianMixture, {}),
    (StudentTMixture, {}),
    (GaussianMixture, {"noise": True}),
    (GaussianMixture, {"missing": "marginalize"}),
]


def rows(n, d=4, seed=0):
    rng = np.random.default_rng([n, d, seed])
    return rng.normal(size=(n, d)) + 3 * rng.integers(3, size=(n, 1))


def with_holes(X, share=0.05):
    X = X.copy()
    X[np.random.default_rng(0).random(X.shape) < share] = np.nan
    return X


def state_of(estimator):
    return pickle.dumps(vars(estimator))


def resident_megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


# Threads and forks ----------------------------------------------------------------------------------------------------


def mixed_call(number):
    """One of a few dozens of calls, by number; its result as bytes."""
    rng = np.random.default_rng(number)
    X = rows(int(rng.integers(200, 6000)), int(rng.integers(1, 9)), number)
    cls, own = KINDS[number % 5]
    if "missing" in own:
        X = with_holes(X)
    options = {"n_components": 12 if number % 6 == 0 else 3, "covariance_type": TYPES[number % 4], **own}
    mixture = cls(**options, max_iter=5, tol=0.0, random_state=0)
    mixture.set_params(n_threads=random.choice([None, 1, 2, 3, 5]))
    mixture.fit(X) if number % 3 else mixture.fit_batches(np.array_split(X, 3))
    mixture.set_params(n_threads=random.choice([None, 1, 2, 3, 5]))
    spread = mixture.scales_ if cls is StudentTMixture else mixture.covariances_
    results = [mixture.means_, spread, mixture.predict(X), mixture.score_samples(X[:100])]
    if number % 7 == 0:
        search = GaussianMixtureIC([1, 2], max_iter=5, random_state=0, n_threads=random.choice([1, 2]), **own)
        search.fit(X[:500])
        results.append(search.best_estimator_.means_)
    return b"".join(np.ascontiguousarray(result).tobytes() for result in results)


def fork_and_fit():
    """A child that fits must end, and with the right result."""
    expected = mixed_call(1)
    child = os.fork()
    if child == 0:
        os._exit(mixed_call(1) != expected)
    for _ in range(1200):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, f"the child ended with {status}"
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


def threads(seconds):
    expected = [mixed_call(number) for number in range(42)]
    end, before, n_calls, n_forks = time.monotonic() + seconds, None, 0, 0
    with ThreadPoolExecutor(8) as pool:
        while before is None or time.monotonic() < end:
            numbers = random.sample(range(42), 42)
            for number, result in zip(numbers, pool.map(mixed_call, numbers), strict=True):
                assert result == expected[number], f"call {number} has another result"
            running = [pool.submit(mixed_call, number) for number in numbers[:8]]
            fork_and_fit()  # while passes run in other threads
            for future in running:
                future.result()
            n_calls, n_forks = n_calls + 50, n_forks + 1
            if before is None and n_forks == 3:
                before = resident_megabytes()
    grown = resident_megabytes() - before
    assert grown < 0.1 * before + 10, f"memory grew by {grown:.0f} MB from {before:.0f} MB"
    return f"{n_calls} calls, {n_forks} forks, {before:.0f} MB and then {grown:+.0f} MB"


# Interrupts -----------------------------------------------------------------------------------------------------------


def interrupts(seconds, n_interrupts=200):
    X, options = rows(60_000, 8), {"max_iter": 10**6, "tol": 0.0, "random_state": 0}
    mixture = GaussianMixture(8, max_iter=2, random_state=0).fit(X[:3000])
    others = [
        BayesianGaussianMixture(n_components=8, max_iter=2, random_state=0).fit(X[:3000]),
        GaussianMixture(3, random_state=0).partial_fit(X[:3000]),
        GaussianMixtureIC([1, 2], max_iter=2, random_state=0).fit(X[:3000]),
        StudentTMixture(8, max_iter=2, random_state=0).fit(X[:3000]),
        GaussianMixture(8, max_iter=2, random_state=0, missing="marginalize").fit(X[:3000]),
    ]
    for estimator in (mixture, others[0], others[3], others[4]):
        estimator.set_params(**options)
    others[2].set_params(max_iter=10**6, tol=0.0)
    holes = with_holes(X)
    endless = {
        "fit": (mixture, lambda: mixture.fit(X)),
        "fit of few rows": (mixture, lambda: mixture.fit(X[:50])),
        "fit_batches": (mixture, lambda: mixture.fit_batches(np.array_split(X, 7))),
        "variational fit": (others[0], lambda: others[0].fit(X)),
        "search": (others[2], lambda: others[2].fit(X)),
        "fit of t distributions": (others[3], lambda: others[3].fit(X)),
        "fit to rows with missing values": (others[4], lambda: others[4].fit(holes)),
        "imputation": (others[4], lambda: [others[4].impute(holes) for _ in range(10**9)]),
        "predictions": (mixture, lambda: [mixture.predict_proba(X) for _ in range(10**9)]),
        "samples": (mixture, lambda: [mixture.sample(10_000) for _ in range(10**9)]),
        "start": (mixture, lambda: GaussianMixture(64, n_init=10**6, max_iter=1).fit(X)),
    }
    latest, sent = 0.0, [0.0]

    def interrupt(after):
        time.sleep(after)
        sent[0] = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    for i in range(n_interrupts):
        name = list(endless)[i % len(endless)]
        estimator, call = endless[name]
        before = state_of(estimator)
        timer = threading.Thread(target=interrupt, args=(random.uniform(0.0, 0.4),))
        try:
            timer.start()
            call()
        except KeyboardInterrupt:
            latest = max(latest, time.monotonic() - sent[0])
        timer.join()
        assert state_of(estimator) == before, f"{name} was interrupted and changed the estimator"
    assert latest < 1.0, f"an interrupt took {latest:.2f} s"
    return f"{n_interrupts} interrupts, the slowest took {latest:.2f} s"


# Memory ---------------------------------------------------------------------------------------------------------------


def memory(seconds):
    """In a child, whose limit ends with it."""
    child = subprocess.run([sys.executable, __file__, "memory_in_child"], capture_output=True, text=True, check=False)
    assert child.returncode == 0, f"{child.returncode}: {child.stderr[-1500:]}"
    return child.stdout.strip()


def memory_in_child(seconds):
    X = rows(400_000, 16)
    few = X[:5000].copy()
    mixture = GaussianMixture(24, max_iter=2, n_threads=2, random_state=0).fit(few)
    holes, marginal = (
        with_holes(X, 0.01),
        GaussianMixture(24, max_iter=2, random_state=0, missing="marginalize").fit(few),
    )
    integers = np.ones(X.shape, np.int8) + (np.arange(16) + np.arange(len(X))[:, np.newaxis] % 7).astype(np.int8)
    calls = {
        "predict_proba": lambda: mixture.predict_proba(X),  # 77 MB
        "score_samples": lambda: mixture.score_samples(np.float32(X)),  # a copy
        "fit": lambda: mixture.fit(X),
        "fit of integers": lambda: mixture.fit(integers),  # a copy of 51 MB
        "fit_predict": lambda: mixture.fit_predict(X),
        "random start": lambda: GaussianMixture(24, init_params="random", max_iter=1).fit(X),
        "fit of t distributions": lambda: StudentTMixture(24, max_iter=2, random_state=0).fit(X),
        "rows with missing values": lambda: marginal.fit(holes),  # copies of 51 MB
        "imputation": lambda: marginal.impute(holes),
    }
    scipy.linalg.eigh(np.eye(8), np.eye(8))  # SciPy's BLAS waits forever for the memory of its first call
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    refused = 0
    for megabytes in (1, 5, 20, 40, 70, 400):
        for name, call in calls.items():
            before = state_of(mixture)
            resource.setrlimit(resource.RLIMIT_AS, (in_use + megabytes * 10**6, resource.RLIM_INFINITY))
            try:
                call()
            except MemoryError as error:
                failure = error
            else:
                failure = None
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            if failure is not None:
                refused += 1
                assert "Unable to allocate" in str(failure), f"{name}, {megabytes} MB: {failure!r}"
                assert state_of(mixture) == before, f"{name} failed and changed the estimator"
            mixture.fit(few)
    assert refused >= 6, f"{refused} calls had too little memory"
    print(f"{refused} of {6 * len(calls)} calls had too little memory")


# Checkpoints ----------------------------------------------------------------------------------------------------------

FIT = {"n_components": 6, "max_iter": 60, "tol": 0.0, "random_state": 0, "n_init": 2, "covariance_type": "full"}


def fit_to(checkpoint, callback=None, cls=GaussianMixture):
    X = rows(4000)
    return cls(**FIT).fit_batches([X[:1000], X[1000:]], checkpoint=checkpoint, callback=callback)


def checkpoints(seconds):
    expected = fit_to(None).lower_bounds_
    with tempfile.TemporaryDirectory() as folder:
        n_kills = sum(killed(Path(folder), cls) for cls in (GaussianMixture, StudentTMixture))
        return f"{n_kills} processes killed; {full_disk(Path(folder), expected)}"


def killed(folder, cls):
    path, n_kills = folder / "fit.npz", 0
    for _ in range(20):
        child = os.fork()
        if child == 0:
            fit_to(path, cls=cls)
            os._exit(0)
        time.sleep(random.uniform(0.02, 0.5))
        os.kill(child, signal.SIGKILL)
        n_kills += os.waitpid(child, 0)[1] == signal.SIGKILL
        if path.exists():
            with np.load(path) as contents:
                assert all(contents[name] is not None for name in contents.files)
    np.testing.assert_allclose(fit_to(path, cls=cls).lower_bounds_, fit_to(None, cls=cls).lower_bounds_, rtol=1e-12)
    assert not path.exists()
    return n_kills


def full_disk(folder, expected):
    place = folder / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=False).returncode:
        return "no tmpfs could be mounted, so no disk was full"
    try:
        path = place / "fit.npz"

        def fill(progress):
            if (progress.stage, progress.event, progress.iteration) == ("EM", "iteration", 5):
                with open(place / "filler", "wb", buffering=0) as file:
                    try:
                        while file.write(b"0" * 4096):
                            pass
                    except OSError:
                        pass

        try:
            fit_to(path, fill)
        except OSError as error:
            name = error.filename
        else:
            raise AssertionError("a full disk was not noticed")
        assert name == str(path), f"the error names {name}"
        assert sorted(file.name for file in place.iterdir()) == ["filler", "fit.npz"]
        (place / "filler").unlink()
        np.testing.assert_allclose(fit_to(path).lower_bounds_, expected, rtol=1e-12)
        return "a full disk"
    finally:
        subprocess.run(["umount", place], check=True)


# Dask -----------------------------------------------------------------------------------------------------------------


def dask(seconds):
    import dask.array as da
    from distributed import Client, LocalCluster

    import fastgmm.dask

    X = rows(40_000)
    collection = da.from_array(X, chunks=(5000, -1))
    expected = fastgmm.dask.GaussianMixture(4, max_iter=30, tol=0.0, random_state=0).fit(collection)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": "CRITICAL"}
    told = []

    def fit_while(disturb, rows_of_fit, **more):
        """What becomes of a fit that is disturbed after its first iteration: "right", or its error."""
        has_begun = threading.Event()
        outcome = []

        def fit(client):
            mixture = fastgmm.dask.GaussianMixture(4, max_iter=30, tol=0.0, random_state=0, client=client)
            try:
                mixture.fit(rows_of_fit, callback=lambda progress: progress.stage == "EM" and has_begun.set())
                outcome.append("right" if np.array_equal(mixture.means_, expected.means_) else "wrong")
            except Exception as error:
                has_begun.set()
                outcome.append(f"{type(error).__name__}: {str(error)[:80]}")

        with LocalCluster(**{**options, **more}) as cluster, Client(cluster, set_as_default=False) as client:
            thread = threading.Thread(target=fit, args=(client,), daemon=True)
            thread.start()
            assert has_begun.wait(120), "the fit does not begin"
            disturb(cluster, client)
            thread.join(180)
            assert outcome, "the fit hangs"
        return outcome[0]

    def pause(cluster, client):
        pid = next(iter(client.run(os.getpid).values()))
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(pid, signal.SIGCONT)

    told.append(f"worker paused: {fit_while(pause, collection)}")
    assert told[-1].endswith("right"), told
    too_much = da.random.default_rng(0).normal(size=(30_000_000, 4), chunks=(15_000_000, 4))  # chunks of 480 MB
    told.append(f"memory limit: {fit_while(lambda *_: None, too_much, memory_limit='400MB')}")
    assert "Error" in told[-1] or "KilledWorker" in told[-1], told
    told.append(f"scheduler lost: {fit_while(lambda cluster, client: cluster.close(timeout=10), collection)}")
    assert "wrong" not in told[-1], told
    return "; ".join(told)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="all if none is named")
    parser.add_argument("--seconds", type=float, default=600, help="of threads")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    failed = False
    for name in options.names or ["threads", "interrupts", "memory", "checkpoints", "dask"]:
        start = time.monotonic()
        try:
            told = globals()[name](options.seconds)
        except Exception:
            traceback.print_exc()
            told, failed = "FAILED", True
        if told:
            print(f"{name}: {told} ({time.monotonic() - start:.0f} s)", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
