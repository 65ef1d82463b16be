"""Time from an array to a converged model, start included, beside scikit-learn, oneDAL and gmmx.

    python benchmarks/solution.py
    python benchmarks/solution.py --only pixels --only digits --repeats 5
    python benchmarks/solution.py --dtype float32 --json times.json

How to read the output: benchmarks/README.md.
"""

import argparse
import importlib.util
import json
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from common import Case, geometric_mean, limited_threads, make_case, print_machine
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import GaussianMixture
from fastgmm.datasets import load_sample_patches, load_sample_pixels

OPT_INS = {"init_params": "sample", "acceleration": "lbfgs"}
HELD_OUT = 0.1
REST = 0.2  # seconds before each fit; BLAS threads of the last fit stop spinning meanwhile
LONG = 20.0  # seconds; a peer that takes longer is timed once
SLACK = 0.01  # nats per row by which a model may be worse than scikit-learn's and still count as the same solution

# (X, covariance_type, n_components) -> a fitted mixture of whatever class, for `held_out_score`
Contestant = Callable[[np.ndarray, str, int], GaussianMixture | SklearnGaussianMixture]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="TEXT", help="cases whose name contains one of these")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--threads", type=int, help="hold everyone to this many threads")
    parser.add_argument("--repeats", type=int, default=3, help="fits of each, in turns (default 3)")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave out this peer")
    parser.add_argument("--json", metavar="FILE", help="also write the seconds and likelihoods to FILE")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with limited_threads(options.threads) as n_threads:
        found: dict[str, dict] = {"machine": print_machine(n_threads), "cases": {}}
        fits = {name: fit for name, fit in contestants().items() if name not in options.without}
        print(
            "\nSeconds from array to model; x: times as long as fastgmm's default; nats: held-out log-likelihood of a "
            "row, beside scikit-learn's.\n"
        )
        print(f"{'case':<34}" + "".join(f"{name:>15}{'x':>7}{'nats':>8}" for name in fits))
        ratios: dict[str, list[float]] = {name: [] for name in fits}
        for name, (make, covariance_type, n_components) in CASES.items():
            if options.only is None or any(text in name for text in options.only):
                X = make().astype(options.dtype)
                found["cases"][name] = measure_case(X, covariance_type, n_components, fits, options.repeats)
                print_case(name, found["cases"][name], fits, ratios)
                if options.json is not None:  # after each case, since some take minutes
                    with open(options.json, "w", encoding="utf-8") as file:
                        json.dump(found, file, indent=2)
    print("\nGeometric means of scikit-learn's time over theirs, where they reach its held-out likelihood:")
    for name, values in ratios.items():
        print(
            f"{name:>20}: {geometric_mean(values):.1f} (least {min(values, default=np.nan):.1f}, {len(values)} cases)"
        )


# Cases ---------------------------------------------------------------------------------------------------------------


def synthetic(*case) -> Callable[[], np.ndarray]:
    return lambda: make_case(Case(*case))[0]


def digits() -> np.ndarray:
    return PCA(16).fit_transform(load_digits().data)


def patches() -> np.ndarray:
    return load_sample_patches()[::5]


CASES: dict[str, tuple[Callable[[], np.ndarray], str, int]] = {
    "size 1,000 x 2, full 3": (synthetic("full", 1_000, 2, 3), "full", 3),
    "size 100,000 x 10, full 8": (synthetic("full", 100_000, 10, 8), "full", 8),
    "size 1,000,000 x 8, full 8": (synthetic("full", 1_000_000, 8, 8), "full", 8),
    "size 10,000,000 x 8, full 8": (synthetic("full", 10_000_000, 8, 8), "full", 8),
    "size 100,000 x 64, full 16": (synthetic("full", 100_000, 64, 16), "full", 16),
    "pixels 546,560 x 3, full 8": (load_sample_pixels, "full", 8),
    "pixels 546,560 x 3, diag 32": (load_sample_pixels, "diag", 32),
    "patches 106,344 x 64, full 16": (patches, "full", 16),
    "patches 106,344 x 64, full 64": (patches, "full", 64),
    "digits 1,797 x 16, full 10": (digits, "full", 10),
    "digits 1,797 x 16, tied 10": (digits, "tied", 10),
    "synthetic 1,000,000 x 2, full 8": (synthetic("full", 1_000_000, 2, 8), "full", 8),
    "synthetic 500,000 x 8, full 16": (synthetic("full", 500_000, 8, 16), "full", 16),
    "synthetic 500,000 x 8, diag 16": (synthetic("diag", 500_000, 8, 16), "diag", 16),
    "synthetic 200,000 x 16, full 32": (synthetic("full", 200_000, 16, 32), "full", 32),
    "synthetic 200,000 x 16, tied 16": (synthetic("tied", 200_000, 16, 16), "tied", 16),
    "synthetic 100,000 x 32, spherical 64": (synthetic("spherical", 100_000, 32, 64), "spherical", 64),
}


# Contestants ---------------------------------------------------------------------------------------------------------


def contestants() -> dict[str, Contestant]:
    """Everyone who is installed, scikit-learn first."""
    found: dict[str, Contestant] = {
        "scikit-learn": partial(fit_estimator, SklearnGaussianMixture),
        "default": partial(fit_estimator, GaussianMixture),
        "opt-ins": partial(fit_estimator, GaussianMixture, **OPT_INS),
    }
    if importlib.util.find_spec("daal4py"):
        found["oneDAL"] = fit_onedal
    if importlib.util.find_spec("gmmx"):
        found["gmmx"] = fit_gmmx
    return found


def fit_estimator(estimator, X: np.ndarray, covariance_type: str, n_components: int, **options):
    return estimator(n_components, covariance_type=covariance_type, random_state=0, **options).fit(X)


def fit_onedal(X: np.ndarray, covariance_type: str, n_components: int, max_iter: int = 100):
    """Its own start (short runs from random rows), and scikit-learn's tolerance, which it wants for all rows."""
    import daal4py

    storage = {"full": "full", "diag": "diagonal"}.get(covariance_type)
    if storage is None:
        raise NotImplementedError(f"no {covariance_type} covariance")
    common = {
        "nComponents": n_components,
        "fptype": "float" if X.dtype == np.float32 else "double",
        "accuracyThreshold": 1e-3 * len(X),
        "covarianceStorage": storage,
    }
    start = daal4py.em_gmm_init(**common).compute(X)
    result = daal4py.em_gmm(**common, maxIterations=max_iter).compute(X, start.weights, start.means, start.covariances)
    covariances = np.array([np.asarray(part) for part in result.covariances])
    covariances = covariances.reshape(n_components, -1) if storage == "diagonal" else covariances
    return as_mixture(np.ravel(result.weights), np.asarray(result.means), covariances, covariance_type)


def fit_gmmx(X: np.ndarray, covariance_type: str, n_components: int):
    """From one run of scikit-learn's k-means, as the others; it computes in float32."""
    from gmmx import EMFitter, GaussianMixtureModelJax

    X = X.astype(np.float32)
    start = GaussianMixtureModelJax.from_k_means(
        X, n_components, covariance_type=covariance_type, n_init=1, random_state=0
    )
    model = EMFitter(tol=1e-3, max_iter=100).fit(X, start).gmm
    return as_mixture(model.weights_numpy, model.means_numpy, model.covariances.values_numpy, covariance_type)


def as_mixture(weights, means, covariances, covariance_type: str) -> GaussianMixture:
    """A fitted mixture with these parameters, to be scored as all the others are."""
    inverse = np.linalg.inv if covariance_type in ("full", "tied") else np.reciprocal
    precisions = inverse(np.asarray(covariances, np.float64))
    if covariance_type in ("full", "tied"):
        precisions = (precisions + np.swapaxes(precisions, -1, -2)) / 2
    weights = np.asarray(weights, np.float64)
    model = GaussianMixture(
        len(weights),
        covariance_type=covariance_type,
        weights_init=weights / weights.sum(),
        means_init=np.asarray(means, np.float64),
        precisions_init=precisions,
        max_iter=0,
    )
    return model.fit(np.zeros((len(weights) + 1, means.shape[1])))


# Times ---------------------------------------------------------------------------------------------------------------


def measure_case(X, covariance_type, n_components, fits, repeats) -> dict[str, dict]:
    """For each contestant the median of its seconds, the number of iterations and the held-out score, or its error."""
    order = np.random.default_rng(0).permutation(len(X))
    held_out, rows = np.split(X[order], [int(HELD_OUT * len(X))])
    seconds: dict[str, list[float]] = {who: [] for who in fits}
    found: dict[str, dict] = {who: {} for who in fits}
    for turn in range(repeats + 1):  # the first one warms up
        for who, fit in fits.items():
            if "error" in found[who] or (seconds[who] and seconds[who][0] > LONG and not is_ours(who)):
                continue
            time.sleep(REST)
            begin = time.perf_counter()
            try:
                model = fit(rows, covariance_type, n_components)
            except Exception as error:
                found[who] = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:60]}
                continue
            taken = time.perf_counter() - begin
            if turn > 0 or (taken > LONG and not is_ours(who)):
                seconds[who].append(taken)
            found[who] = {"score": float(model.score(held_out)), "n_iter": int(getattr(model, "n_iter_", 0))}
    for who, values in seconds.items():
        if values:
            found[who]["seconds"] = float(np.median(values))
    return found


def is_ours(who: str) -> bool:
    return who in ("default", "opt-ins")


def print_case(name: str, found: dict[str, dict], fits, ratios: dict[str, list[float]]) -> None:
    """A line of the table. Adds to `ratios` how many times faster than scikit-learn each contestant is."""
    cells, errors = [], ""
    for who in fits:
        if "error" in found[who]:
            cells.append(f"{'-':>15}{'':>7}{'':>8}")
            errors += f"  {who}: {found[who]['error']}"
            continue
        seconds = found[who]["seconds"]
        gain = found[who]["score"] - found["scikit-learn"]["score"]
        cells.append(f"{seconds:>15.3f}{seconds / found['default']['seconds']:>7.1f}{gain:>+8.3f}")
        if gain > -SLACK:
            ratios[who].append(found["scikit-learn"]["seconds"] / seconds)
    print(f"{name:<34}" + "".join(cells) + errors, flush=True)


if __name__ == "__main__":
    main()
