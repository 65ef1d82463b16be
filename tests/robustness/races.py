"""Fits and predictions by several threads at once, for a sanitizer that looks for data races. For .ci/sanitize."""

import itertools
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from _shared.thresholds import SKIPPING_ON_TINY_DATA, THREADS_ON_TINY_DATA, set_for_good

from fastgmm import BayesianGaussianMixture, GaussianMixture, StudentTMixture, _kernels

FEATURES = [2, 4, 9, 30]  # cells, cells, screens, screens
TYPES = ["full", "tied", "diag", "spherical"]
MISSING = {"missing": "marginalize"}


def rows(n, d, dtype):
    rng = np.random.default_rng([n, d])
    return (rng.normal(size=(n, d)) + 9 * rng.integers(10, size=(n, 1))).astype(dtype)


def use(case):
    d, dtype, covariance_type, n_threads, estimator, options = case
    X = rows(9000, d, dtype)
    if "missing" in options:
        X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    weights = np.linspace(0.5, 2.0, len(X)) if d % 2 else None
    for n_components in (3, 10):  # ten are skipped, three are not
        parameters = {"n_components": n_components, "covariance_type": covariance_type, "n_threads": n_threads}
        mixture = estimator(**parameters, **options, max_iter=3, tol=0, random_state=0)
        mixture.fit(X, sample_weight=weights)
        for method in (mixture.predict, mixture.predict_proba, mixture.score_samples, mixture.score):
            method(X)
        if estimator is GaussianMixture and covariance_type in TYPES and "noise" not in options:
            mixture.partial_fit(X)
    return mixture


def main():
    warnings.simplefilter("ignore")
    set_for_good(*THREADS_ON_TINY_DATA)
    cases = list(itertools.product(FEATURES, ["f4", "f8"], TYPES, [4], [GaussianMixture], [{}]))
    cases += itertools.product(FEATURES[:2], ["f8"], TYPES, [3], [BayesianGaussianMixture], [{}])
    cases += itertools.product(FEATURES[1:3], ["f4"], TYPES, [4], [GaussianMixture], [{"noise": True}, MISSING])
    cases += itertools.product(FEATURES[1:2], ["f4", "f8"], TYPES, [4], [StudentTMixture], [{}])
    cases += itertools.product(FEATURES[1:2], ["f8"], ["EVE", "VVE"], [4], [GaussianMixture], [{}])
    for case in cases:
        use(case)
    set_for_good(*SKIPPING_ON_TINY_DATA)
    for case in cases:
        use(case)
    with ThreadPoolExecutor(3) as threads:  # of Python, each with a team of its own
        list(threads.map(use, cases[::5]))
        mixture = use(cases[-1])
        list(threads.map(mixture.predict_proba, [rows(9000, FEATURES[1], "f8")] * 12))
    print(f"{_kernels.ACTIVE}: {2 * len(cases) + len(cases[::5]) + 1} cases", file=sys.stderr)


if __name__ == "__main__":
    main()
