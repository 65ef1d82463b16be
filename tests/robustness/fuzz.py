"""Calls of the public interface with hostile input, at random.

    python tests/robustness/fuzz.py [--cases 100000 | --seconds 600] [--first SEED]
    python tests/robustness/fuzz.py --case SEED           # one case, with its traceback

A call must end within seconds. It returns what it promises, without NaN, or raises ValueError or TypeError
(NotFittedError is one). Input is not written to. A fit that raises leaves the estimator as it was. A process of its
own makes the cases, so that a crash is seen, and can be made again by its seed.
"""

import argparse
import array
import collections
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
from scipy import sparse

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC, StudentTMixture
from fastgmm._model.covariance import accepted_names

try:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
except ImportError:  # not on every Python
    pd = pl = pa = None

PROMISED = (ValueError, TypeError)
MOST_SECONDS = 20  # of CPU time
TYPES = ["full", "tied", "diag", "spherical"]
FITS = "fit", "fit_predict", "partial_fit", "fit_batches"
METHODS = *FITS, "predict", "predict_proba", "score_samples", "score", "sample", "summary", "bic", "aic"
METHODS += "diagnose", "impute", "marginal", "condition", "predict_conditional", "cdf", "quantile", "merge_components"
WEIGHTED = "fit", "fit_predict", "partial_fit", "score", "bic", "aic", "summary", "diagnose", "merge_components"
LENGTHS = [0, 1, 1, 2, 2, 3, 3, 4, 7, 40, 300]
REALS = ["f2", "f4", "f8", "g", ">f4", ">f8", "<f8", "<f8", "<f4"]
DTYPES = [*REALS, "i1", "i8", ">i4", "u1", "u8", "?", "c8", "c16", "O", "S3", "U3", "M8[s]", "m8[D]", "V8", "f8,i4"]
NAMES = [
    "a", "b", "", " ", "dtype", "shape", "T", "values", "columns", "index", "__array__", "x\ny", "ü", "\ud800", "0",
    0, 1, -1, 1.5, None, True, ("a", 1), np.nan, b"a", np.datetime64("2020-01-01"), "a" * 1000,
]  # fmt: skip


WAYS = "array", "raises", "no array", "another", "negative", "too long", "no rows", "interface", "shape", "long shape"
ODD = (
    None,
    "x",
    -1,
    0,
    1.5,
    np.nan,
    np.inf,
    10**30,
    10**400,
    [],
    np.array([1, 2]),
    True,
    object(),
    b"full",
    2**31,
    2**63,
)


class RefusedError(Exception):
    """What a user's object raises. It comes through as it is."""


class Odd:
    """An object that promises an array in some way, and may not keep it."""

    def __init__(self, values, how):
        self.values, self.how = values, how
        if how == "interface":
            self.__array_interface__ = values.__array_interface__
        elif how == "shape":
            self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim
        elif how == "long shape":
            self.shape, self.dtype = (10**9, 3), values.dtype

    def __array__(self, dtype=None, copy=None):
        if self.how == "raises":
            raise RefusedError
        if self.how == "no array":
            return [1.0, 2.0]
        if self.how == "another":
            return self.values[:1]
        return np.asarray(self.values, dtype)

    def __len__(self):
        if self.how == "negative":
            return -1
        return len(self.values) + (self.how == "too long")

    def __getitem__(self, rows):
        if self.how == "no rows":
            raise RefusedError
        return self.values[rows]


def numbers(rng, shape, dtype):
    """Values of a float dtype: from nothing special to everything at once."""
    size = int(np.prod(shape))
    kind = rng.integers(14)
    values = rng.normal(size=size) + 5 * rng.integers(3, size=size)
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        values = values.astype(dtype)
        if size and kind >= 5:
            some = rng.random(size) < rng.choice([0.02, 0.5, 1.0])
            hostile = {
                5: lambda: values * dtype.type(info.smallest_subnormal) * 3,
                6: lambda: values * info.max / 4,
                7: lambda: values * np.sqrt(info.max),
                8: lambda: np.full(size, np.nan, dtype),
                9: lambda: np.where(values > 2, np.inf, -np.inf).astype(dtype),
                10: lambda: -0.0 * values,
                11: lambda: np.round(values),
                12: lambda: values * info.tiny,
                13: lambda: np.full(size, values[0]),
            }[int(kind)]()
            values = np.where(some, hostile, values).astype(dtype)
    return values.reshape(shape)


def nan_payloads(rng, shape, dtype):
    """Any bits: signaling NaN, payloads, subnormal numbers."""
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    return np.frombuffer(rng.bytes(n_bytes), dtype).reshape(shape).copy()


def hostile_array(rng, shape):
    dtype = np.dtype(str(rng.choice(DTYPES)))
    if dtype.kind == "f":
        odd_bits = rng.random() < 0.03 and dtype.itemsize <= 8
        values = nan_payloads(rng, shape, dtype) if odd_bits else numbers(rng, shape, dtype)
    elif dtype.kind == "O":
        values = np.empty(shape, object)
        choices = [1, 2.5, None, "3", b"4", 1j, np.nan, float, [1, 2], np.float32(3), 10**400, np.array(1.0), True]
        for index in np.ndindex(values.shape):
            values[index] = choices[rng.integers(len(choices) if rng.random() < 0.2 else 2)]
    elif dtype.kind in "SUMm" or dtype.names or dtype.kind == "V":
        values = np.zeros(shape, dtype)
    elif dtype.kind == "c":
        values = numbers(rng, shape, np.dtype("f8")).astype(dtype) + 1j
    else:
        with np.errstate(all="ignore"):
            values = (100 * rng.normal(size=shape)).astype(dtype)
    return layout(rng, values)


def layout(rng, values):
    kind = rng.integers(12)
    if kind == 0:
        return np.asfortranarray(values)
    if kind == 1:
        return values[..., ::-1] if values.ndim else values
    if kind == 2 and values.ndim:
        return np.repeat(values, 2, axis=0)[::2]
    if kind == 3 and values.ndim and values.size:
        overlapping = (values.itemsize,) * values.ndim
        return np.lib.stride_tricks.as_strided(values.ravel(), values.shape, overlapping)
    if kind == 4 and values.ndim and len(values):
        return np.broadcast_to(values[:1], values.shape)
    if kind == 5 and values.dtype.kind in "fiu" and values.size:  # at an odd address
        raw = np.frombuffer(b"\0" + values.tobytes() + b"\0" * 16, np.uint8)[1 : 1 + values.nbytes]
        return raw.view(values.dtype).reshape(values.shape)
    if kind == 6:
        values.setflags(write=False)
    if kind == 7 and values.ndim == 2 and values.dtype.kind in "fiu":
        return np.asmatrix(values)
    if kind == 8 and values.dtype.kind in "fiu":
        return np.ma.array(values, mask=rng.random(values.shape) < rng.choice([0.0, 0.1]))
    return values


def hostile_frame(rng, n, d):
    names = [NAMES[i] for i in rng.integers(len(NAMES), size=d)]
    columns = [hostile_array(rng, (n,)) for _ in range(d)] if rng.random() < 0.3 else list(rng.normal(size=(d, n)))
    library = rng.integers(3)
    try:
        if rng.random() < 0.2:
            columns = [np.float32(column) if i % 2 else column for i, column in enumerate(columns)]
        if library == 0:
            frame = pd.concat([pd.Series(np.asarray(column).tolist()) for column in columns], axis=1)
            frame.columns = names
            if rng.random() < 0.2:
                frame = frame.astype("Float64" if rng.random() < 0.5 else "object")
            if rng.random() < 0.2:
                frame.index = rng.integers(3, size=n)
            return frame.iloc[:, 0] if rng.random() < 0.1 else frame
        values = {str(name): np.asarray(column) for name, column in zip(names, columns, strict=True)}
        frame = pl.DataFrame(values) if library == 1 else pa.table(values)
        return frame.lazy() if library == 1 and rng.random() < 0.1 else frame
    except Exception:  # the library refuses it, not we
        return rng.normal(size=(n, d))


def hostile_rows(rng, n=None, d=None):
    """Anything that a user might pass as rows."""
    n = int(rng.choice(LENGTHS)) if n is None else n
    d = int(rng.choice([1, 2, 3, 3, 5, 9])) if d is None else d
    kind = rng.integers(20)
    if kind < 8:
        return layout(rng, numbers(rng, (n, d), np.dtype(str(rng.choice(REALS)))))
    if kind < 11:
        return hostile_array(rng, (n, d))
    if kind == 11:
        return hostile_array(rng, tuple(int(length) for length in rng.choice(LENGTHS[:9], rng.integers(5))))
    if kind in (12, 13) and pd is not None:
        return hostile_frame(rng, n, d)
    values = numbers(rng, (n, d), np.dtype("f8"))
    if kind == 14:
        return Odd(values, WAYS[rng.integers(len(WAYS))])
    odd = [
        lambda: values.tolist(), lambda: tuple(map(tuple, values)), lambda: list(values),
        lambda: [*values.tolist(), [1.0]], lambda: (row for row in values), lambda: {"a": values}, lambda: None,
        lambda: "rows.csv", lambda: 3.5, lambda: sparse.csr_matrix(np.nan_to_num(values)), lambda: range(n),
        lambda: memoryview(values) if n * d else None, lambda: array.array("d", values.ravel()),
        lambda: {1, 2}, lambda: [values, values], lambda: [[]], lambda: [], lambda: np.float64(1), lambda: object,
        lambda: collections.deque(values.tolist()), lambda: Path("rows.npy"), lambda: [[None] * d] * n,
        lambda: [["1"] * d] * n, lambda: b"bytes", lambda: [[10**400] * d] * n, lambda: lambda: values,
    ]  # fmt: skip
    return odd[rng.integers(len(odd))]()


def hostile_weights(rng, n):
    kind = rng.integers(12)
    if kind < 5:
        return None
    if kind == 5:
        return rng.uniform(0, 2, n)
    if kind == 6:
        return rng.integers(0, 3, n)
    if kind == 7:
        return hostile_array(rng, (n,))
    if kind == 8:
        return np.abs(numbers(rng, (n,), np.dtype(str(rng.choice(REALS)))))
    if kind == 9:
        return hostile_rows(rng)
    return [np.zeros(n), np.ones(n + 1), 1.0, "w", [1] * n, np.full(n, 5e-324), np.full(n, 1e308), -np.ones(n)][
        rng.integers(8)
    ]


def hostile_parameters(rng, d):
    """Mostly good ones."""
    K = int(rng.choice([1, 1, 2, 3, 3, 8, 30]))
    parameters = {
        "n_components": K,
        "covariance_type": str(rng.choice(TYPES if rng.random() < 0.8 else accepted_names())),
        "init_params": str(rng.choice(["kmeans", "k-means++", "random", "random_from_data", "sample"])),
        "max_iter": int(rng.integers(1, 12)),
        "reg_covar": float(rng.choice([1e-6, 0.0, 1e-3, 1e300, 5e-324])),
        "random_state": int(rng.integers(100)),
        "n_threads": int(rng.integers(1, 4)),
        "tol": float(rng.choice([1e-3, 0.0, 1e300])),
    }
    if rng.random() < 0.1:
        name, value = str(rng.choice(list(parameters))), ODD[rng.integers(len(ODD))]
        if name != "max_iter" or not isinstance(value, int) or value < 100:  # that would take long
            parameters[name] = value
    return parameters


def hostile_search(rng):
    """Parameters of a GaussianMixtureIC, few enough that it ends soon."""
    parameters = {"n_components": [1, 2], "max_iter": 5, "random_state": 0}
    parameters["covariance_type"] = list(rng.choice(accepted_names(), 3)) if rng.random() < 0.3 else TYPES
    others = {"criterion": ["icl", "aic", "cv"], "cv": [2, 3], "noise": [True, 50.0], "missing": ["marginalize"]}
    others |= {"distribution": ["t", ["gaussian", "t"]], "prior": ["weak"], "n_threads": [2], "reg_covar": [0.0]}
    for name, values in others.items():
        if rng.random() < 0.15:
            parameters[name] = values[rng.integers(len(values))] if rng.random() < 0.8 else ODD[rng.integers(len(ODD))]
    return parameters


def hostile_start(rng, cls, d, K):
    """Parameters of one of the two classes without priors. Priors of the Bayesian one have the same checks."""
    given = {}
    if cls is StudentTMixture:
        ways = ["varying", "common", 4.0, 0.1, 1000, np.float32(3)] if rng.random() < 0.9 else ODD
        given["degrees_of_freedom"] = ways[rng.integers(len(ways))]
    else:
        for name, value in (("missing", "marginalize"), ("noise", True), ("noise", 50.0), ("prior", "weak")):
            if rng.random() < 0.1:
                given[name] = value
    if type(K) is int and 0 < K < 50 and rng.random() < 0.2:
        if rng.random() < 0.5:
            given["means_init"] = rng.normal(size=(K, d)) if rng.random() < 0.6 else hostile_rows(rng, K, d)
        if rng.random() < 0.3:
            given["weights_init"] = np.full(K, 1 / K) if rng.random() < 0.6 else hostile_weights(rng, K)
        if rng.random() < 0.3:
            good = np.stack([np.eye(d)] * K)
            given["precisions_init"] = good if rng.random() < 0.6 else hostile_array(rng, (K, d, d))
    return given


def state_of(estimator):
    """What a call that fails must leave: the attributes themselves, and the numbers in arrays."""
    return {name: (id(value), bytes_of(value)) for name, value in vars(estimator).items()}


def bytes_of(value):
    """Of arrays alone; other input has no bytes that could be compared."""
    if not isinstance(value, np.ndarray) or value.dtype.kind == "O":
        return None
    return np.asarray(value).tobytes()  # of a masked array without its fill value, which NumPy sets late


def check_numbers(name, result):
    parts = result if isinstance(result, tuple) else (result,)
    for part in parts:
        part = np.asarray(part)
        if part.dtype.kind == "f" and np.isnan(part).any():
            raise AssertionError(f"{name} returns NaN")


def check_fitted(mixture):
    names = ["weights_", "means_", "precisions_cholesky_"]
    names += (
        ["scales_", "degrees_of_freedom_"] if isinstance(mixture, StudentTMixture) else ["covariances_", "precisions_"]
    )
    if mixture.max_iter and hasattr(mixture, "n_iter_"):  # before the first iteration it is -inf, and answers have none
        names.append("lower_bound_")
    for name in names:
        value = getattr(mixture, name)
        if not all(np.isfinite(part).all() for part in (value if isinstance(value, tuple) else (value,))):
            raise AssertionError(f"{name} is not finite")
    total = mixture.weights_.sum(dtype=np.float64) + getattr(mixture, "noise_weight_", 0.0)
    if mixture.max_iter and abs(total - 1.0) > 1e-5:  # those of a start are scikit-learn's
        raise AssertionError(f"the weights add up to {total}")


def hostile_estimator(rng, d):
    kind = rng.integers(12)
    if kind == 0:
        return GaussianMixtureIC(**hostile_search(rng))
    cls = BayesianGaussianMixture if kind < 4 else StudentTMixture if kind < 7 else GaussianMixture
    parameters = hostile_parameters(rng, d)
    given = {} if cls is BayesianGaussianMixture else hostile_start(rng, cls, d, parameters["n_components"])
    return cls(**parameters, **given)


def call(rng, mixture, name, X, weights, good):
    """Call a method, mostly with the arguments that it needs."""
    if name == "sample":
        odd = [1, 5, 0, -1, 2.5, "3", None, np.int64(4), True, 10**12]
        return mixture.sample(odd[rng.integers(len(odd) - 1)])
    if name == "fit_batches":
        return mixture.fit_batches([X, good] if rng.random() < 0.5 else [(X, weights)])
    if name in ("cdf", "quantile"):
        return getattr(mixture, name)(X if rng.random() < 0.5 else rng.random(5))
    if name in ("marginal", "condition", "predict_conditional"):
        odd = ["a", -1, [0, 0], [], 10**30, 1.5, None, [None], slice(None), True, ("x", 0), np.array([[0]]), {0}]
        odd = [0, [0], [1, 0], np.array([1])] if rng.random() < 0.6 else odd
        features = odd[rng.integers(len(odd))]
        size = np.size(features)
        values = rng.normal(size=size) if rng.random() < 0.5 else X
        if name == "predict_conditional":
            values = hostile_rows(rng, d=size)
        return getattr(mixture, name)(features, *([] if name == "marginal" else [values]))
    options = {}
    if name in WEIGHTED and weights is not None:
        options["sample_weight"] = weights
    elif name in ("predict", "predict_proba", "score_samples") and rng.random() < 0.05:
        options["out"] = hostile_array(rng, (3,))
    return getattr(mixture, name)(X, **options)


def one_case(seed):
    """Make a mixture, and a few calls. Returns counts of what they did, by name."""
    rng = np.random.default_rng(seed)
    d = int(rng.choice([1, 2, 3, 3, 5, 9]))
    counts = collections.Counter()
    good = rng.normal(size=(60, d)) + 4 * rng.integers(3, size=(60, 1))
    mixture = hostile_estimator(rng, d)
    methods = [name for name in METHODS if hasattr(type(mixture), name)]
    for step in range(3):
        if step == 1 and not counts[f"{type(mixture).__name__}.fit: done"] and rng.random() < 0.8:
            mixture = type(mixture)(n_components=2, max_iter=5, random_state=0).fit(good)
        name = "fit" if step == 0 else str(rng.choice(methods))
        is_good = step == 0 and rng.random() < 0.7
        X = good if is_good else hostile_rows(rng, d=d if rng.random() < 0.8 else None)
        weights = None if is_good else hostile_weights(rng, len(X) if isinstance(X, np.ndarray) and X.ndim else 3)
        before = state_of(mixture) if name in FITS else None
        inputs = [bytes_of(X), bytes_of(weights)]
        what = f"{type(mixture).__name__}.{name}"
        try:
            result = call(rng, mixture, name, X, weights, good)
        except PROMISED as error:
            counts[f"{what}: {'NotFittedError' if type(error).__name__ == 'NotFittedError' else 'refused'}"] += 1
            if not str(error):
                raise AssertionError(f"{name} raises {error!r} without a message") from error
            if name in FITS and state_of(mixture) != before:
                raise AssertionError(f"{name} raised, and changed the estimator") from error
        except RefusedError:
            counts[f"{what}: the user's own error"] += 1
        else:
            counts[f"{what}: done"] += 1
            check_result(mixture, name, result)
        if [bytes_of(X), bytes_of(weights)] != inputs:
            raise AssertionError(f"{name} wrote to its input")
    return counts


def check_result(mixture, name, result):
    if name in FITS:
        check_fitted(mixture.best_estimator_ if isinstance(mixture, GaussianMixtureIC) else mixture)
    elif name in ("marginal", "condition"):
        check_fitted(result)
    elif name not in ("summary", "diagnose", "merge_components"):
        check_numbers(name, result)
    rest = 0.0 if getattr(mixture, "noise", False) else 1.0  # the background takes what is missing to 1
    sums = np.sum(result, axis=1) if name == "predict_proba" else np.ones(1)
    if np.size(sums) and not rest - 1e-5 < sums.min() <= sums.max() < 1 + 1e-5:
        raise AssertionError("probabilities do not add up to 1")


def too_slow(*_):
    raise TimeoutError(f"more than {MOST_SECONDS} s")


def make_cases(first, n_cases, end, place):
    """In a process of its own: cases from `first` on; the place is the file that holds the current seed."""
    signal.signal(signal.SIGVTALRM, too_slow)
    counts, findings = collections.Counter(), {}
    seed = first
    for seed in range(first, first + n_cases):
        if time.time() > end:
            break
        place.write_text(str(seed))
        signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                counts += one_case(seed)
            except (Exception, KeyboardInterrupt) as error:
                where = [frame for frame in traceback.extract_tb(error.__traceback__) if "fastgmm" in frame.filename]
                place_in_code = f"{Path(where[-1].filename).name}:{where[-1].lineno}" if where else ""
                what = f"{type(error).__name__} {str(error)[:70]!r} {place_in_code}"
                findings.setdefault(what, []).append(seed)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        for warning in warned:
            # A sum with weights near the largest number is infinite, and NumPy says so.
            is_expected = "overflow encountered in matmul" in str(warning.message)
            if issubclass(warning.category, RuntimeWarning) and "fastgmm" in warning.filename and not is_expected:
                where = f"{Path(warning.filename).name}:{warning.lineno}"
                what = f"{warning.category.__name__} {str(warning.message)[:70]!r} {where}"
                findings.setdefault(what, []).append(seed)
        counts["cases"] += 1
    return counts, findings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--case", type=int)
    parser.add_argument("--in-process", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case is not None:
        print(dict(one_case(options.case)))
        return 0
    if options.in_process:
        first, n_cases, end, folder = options.in_process
        result = make_cases(int(first), int(n_cases), float(end), Path(folder, "seed"))
        Path(folder, "result").write_bytes(pickle.dumps(result))
        return 0
    end, seed, last = time.time() + options.seconds, options.first, options.first + options.cases
    counts, findings = collections.Counter(), {}
    with tempfile.TemporaryDirectory() as folder:
        while seed < last and time.time() < end:
            n_cases = min(2000, last - seed)
            command = [sys.executable, __file__, "--in-process", str(seed), str(n_cases), str(end), folder]
            Path(folder, "seed").write_text(str(seed))
            process = subprocess.run(command, check=False)
            if process.returncode:
                crashed = int(Path(folder, "seed").read_text())
                findings.setdefault(f"the process ended with {process.returncode}", []).append(crashed)
                seed = crashed + 1
                continue
            these, found = pickle.loads(Path(folder, "result").read_bytes())
            counts += these
            for what, seeds in found.items():
                findings.setdefault(what, []).extend(seeds)
            seed += n_cases
            print(f"{counts['cases']} cases, {len(findings)} findings", *found, sep="\n    ", flush=True)
    for what, count in sorted(counts.items()):
        print(f"{count:8} {what}")
    for what, seeds in findings.items():
        print(f"FOUND {len(seeds)} times, first with --case {seeds[0]}: {what}")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
