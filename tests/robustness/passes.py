"""Random fits and predictions in which arrays for kernels end where their memory ends. For .ci/sanitize.

    python tests/robustness/passes.py [SECONDS [SEED]]

Scratch arrays are full of NaN, or of 0xff bytes if they hold integers, before a pass writes them.
"""

import ctypes
import random
import sys
import time
import warnings
import weakref

import numpy as np
from _shared.thresholds import SKIPPING_ON_TINY_DATA, THREADS_ON_TINY_DATA, set_for_good

from fastgmm import BayesianGaussianMixture, GaussianMixture, StudentTMixture, _kernels
from fastgmm._model.covariance import COVARIANCE_TYPES, SKLEARN_TYPES
from fastgmm._utils import memory

LIBC = ctypes.CDLL(None)
STARTS = ["kmeans", "k-means++", "random", "random_from_data"]


def exact_empty(size, dtype, alignment=64):
    """As `aligned_empty`, but nothing follows the last number. The memory is freed with the array."""
    dtype = np.dtype(dtype)
    address = ctypes.c_void_p()
    n_bytes = int(size) * dtype.itemsize
    if LIBC.posix_memalign(ctypes.byref(address), alignment, ctypes.c_size_t(max(n_bytes, 1))):
        raise MemoryError
    buffer = (ctypes.c_char * n_bytes).from_address(address.value)
    weakref.finalize(buffer, LIBC.free, address)
    array = np.frombuffer(buffer, dtype)
    array.view(np.uint8).fill(0xFF)
    return array


def exact_copy(values):
    """At an address that is aligned to its numbers, but often not to a cache line."""
    shift = random.choice([0, 0, 1, 3]) if values.dtype == np.float64 else random.choice([0, 1, 2, 7])
    whole = exact_empty(values.size + shift, values.dtype)
    copy = whole[shift:].reshape(values.shape)
    copy[...] = values
    return copy


def random_rows(rng, n, d, K, dtype):
    spread = rng.choice([0.0, 1.0, 10.0, 1000.0])
    X = rng.normal(size=(n, d)) + spread * rng.integers(max(1, K), size=(n, 1))
    kind = rng.integers(8)
    if kind == 0:
        X *= 10.0 ** rng.uniform(-30, 15)
    elif kind == 1:
        X += 1e4
    elif kind == 2:
        X = X.round()
    elif kind == 3:
        X[rng.integers(n)] = 1e18
    elif kind == 4:
        X[:, rng.integers(d)] = 1.0
    return X.astype(dtype)


def random_estimator(rng, X):
    """A class, and parameters that choose kernels: covariance types, a background, or missing values, which X gets."""
    cls = rng.choice([GaussianMixture, BayesianGaussianMixture, StudentTMixture])
    types = SKLEARN_TYPES if cls is BayesianGaussianMixture or rng.integers(2) else list(COVARIANCE_TYPES)
    options = {"covariance_type": str(rng.choice(types)), "init_params": str(rng.choice(STARTS))}
    extra = rng.integers(4)
    if extra == 0 and cls is GaussianMixture:
        options |= {"noise": True, "init_params": "kmeans"}
    elif extra == 1 and cls is not StudentTMixture:
        options["missing"] = "marginalize"
        X[rng.random(X.shape) < rng.choice([0.02, 0.4])] = np.nan
    return cls, options


def one_case(seed):
    rng = np.random.default_rng(seed)
    random.seed(seed)
    n = int(rng.choice([rng.integers(2, 40), rng.integers(200, 800), rng.integers(1000, 5000)]))
    d = int(rng.choice([rng.integers(1, 5), rng.integers(5, 20), rng.integers(20, 70)]))
    K = int(min(n, rng.choice([1, 2, rng.integers(3, 12), rng.integers(8, 40)])))
    dtype = np.dtype(rng.choice(["f4", "f8"]))
    X = exact_copy(random_rows(rng, n, d, K, dtype))
    weights = exact_copy(rng.choice([0.0, 1e-3, 1.0, 7.0], n) + (np.arange(n) < max(K, 2))) if rng.integers(2) else None
    estimator, options = random_estimator(rng, X)
    mixture = estimator(
        n_components=K,
        **options,
        max_iter=int(rng.integers(1, 5)),
        n_threads=int(rng.integers(1, 6)),
        random_state=seed,
        reg_covar=1e-6 * float(np.square(np.nanstd(X.astype("f8"))) + 1),
    )
    mixture.fit(X, sample_weight=weights)
    mixture.set_params(n_threads=int(rng.integers(1, 6)))
    assert np.isfinite(mixture.predict_proba(X)).all()
    mixture.score(X, sample_weight=weights)
    mixture.score_samples(X[: max(1, n // 3)])
    assert mixture.predict(X).max() < K
    if "missing" in options and estimator is GaussianMixture:
        assert np.isfinite(mixture.impute(X)).all()
    is_streamed = options["covariance_type"] in SKLEARN_TYPES and "noise" not in options
    if estimator is GaussianMixture and is_streamed and rng.integers(2):
        mixture.partial_fit(X, sample_weight=weights)


def main(seconds=60.0, first_seed=0):
    for name, module in list(sys.modules.items()):  # wherever it was imported
        if name.startswith("fastgmm") and hasattr(module, "aligned_empty"):
            module.aligned_empty = exact_empty
    assert memory.aligned_empty is exact_empty
    set_for_good(*THREADS_ON_TINY_DATA, *SKIPPING_ON_TINY_DATA)
    warnings.simplefilter("ignore")
    end, seed, n_refused = time.monotonic() + float(seconds), int(first_seed), 0
    while time.monotonic() < end:
        try:
            one_case(seed)
        except ValueError:  # such as a singular covariance
            n_refused += 1
        except BaseException:
            print(f"seed {seed}", file=sys.stderr)
            raise
        seed += 1
    n_cases = seed - int(first_seed)
    assert n_refused < n_cases / 2, f"{n_refused} of {n_cases} cases were refused"
    print(f"{_kernels.ACTIVE}: {n_cases} cases, {n_refused} of them refused")


if __name__ == "__main__":
    main(*sys.argv[1:])
