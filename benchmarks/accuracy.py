"""How many digits covariances have after ten iterations of EM, ours and scikit-learn's, as three markdown tables.

    python benchmarks/accuracy.py

Data, starts and the extended-precision reference are the test suite's (tests/_shared/hard_data.py, oracle.py). An error
is the largest of a covariance matrix's entries, relative to the standard deviations of its row and column. The second
table has all SIMD variants that run here: errors divided by the resolution of the data, which is the rounding of the
largest mean in deviations of its component, plus one unit of rounding. Ours counts as worse if the error of a variant
is larger than scikit-learn's and than eight units of rounding. The third table is of what scikit-learn does not have:
rows with missing values, t distributions, parsimonious types (tests/_shared/hard_models.py).
"""

import sys
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import GaussianMixture, _kernels

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from _shared import oracle
from _shared.hard_data import COVARIANCE_TYPES, HARD_CASES
from _shared.hard_models import MODELS, cases_of, errors

N_ITER = 10


# Those of which float32 holds some digits: their offsets and spreads are moderate.
IN_FLOAT32 = ["columns of scale 1e-6 to 1e6", "wide start 1e5 deviations away", "clusters 1e5 deviations apart"]


def all_cases():
    """The hard cases, and in float32 those that it can hold, by name."""
    cases = dict(HARD_CASES)
    for name in IN_FLOAT32:
        case = HARD_CASES[name]
        cases[f"float32, {name}"] = case._replace(X=case.X.astype(np.float32))
    return cases


CASES = all_cases()


@cache
def reference(name, covariance_type):
    case = CASES[name]
    given = case.start(covariance_type)
    factors = oracle.factors_of_precisions(given["precisions_init"], covariance_type)
    start = oracle.Parameters(given["weights_init"], given["means_init"], None, factors)
    return oracle.em(case.X, start, covariance_type, case.reg_covar, N_ITER)[0]


def error(cls, name, covariance_type):
    """Of the estimator's covariances; infinite if it raised an error."""
    case = CASES[name]
    try:
        estimator = cls(**case.start(covariance_type), max_iter=N_ITER, tol=0.0).fit(case.X)
    except ValueError:
        return np.inf
    return oracle.covariance_error(
        estimator.covariances_, reference(name, covariance_type).covariances, covariance_type
    )


def resolution(name, covariance_type):
    expected = reference(name, covariance_type)
    reach = np.abs(expected.means) / oracle.standard_deviations(expected.covariances, covariance_type)
    return np.finfo(CASES[name].X.dtype).eps * (1 + float(reach.max()))


def print_cases():
    print("| data | " + " | ".join(f"{name}: ours | scikit-learn" for name in COVARIANCE_TYPES) + " |")
    print("|---|" + "---|" * (2 * len(COVARIANCE_TYPES)))
    for name in HARD_CASES:
        errors = [
            error(cls, name, covariance_type)
            for covariance_type in COVARIANCE_TYPES
            for cls in (GaussianMixture, SklearnGaussianMixture)
        ]
        print(f"| {name} | " + " | ".join("fails" if value == np.inf else f"{value:.0e}" for value in errors) + " |")


def print_variants():
    print(f"| type and dtype | {' | '.join(_kernels.SUPPORTED)} | scikit-learn | ours is worse for |")
    print("|---|" + "---|" * (2 + len(_kernels.SUPPORTED)))
    for covariance_type in COVARIANCE_TYPES:
        for dtype in (np.float64, np.float32):
            names = [name for name, case in CASES.items() if case.X.dtype == dtype]
            units = np.array([resolution(name, covariance_type) for name in names])
            ours = []
            for variant in _kernels.SUPPORTED:
                _kernels.active = import_module(f"fastgmm._kernels._{variant}")
                ours.append([error(GaussianMixture, name, covariance_type) for name in names])
            theirs = [error(SklearnGaussianMixture, name, covariance_type) for name in names]
            largest = [f"{max(errors / units):.2g}" for errors in (*ours, theirs)]
            is_worse = np.max(ours, axis=0) > np.maximum(theirs, 8 * np.finfo(dtype).eps)
            worse = [name.removeprefix("float32, ") for name, mark in zip(names, is_worse, strict=True) if mark]
            print(f"| {covariance_type}, {np.dtype(dtype)} | {' | '.join(largest)} | {'; '.join(worse) or 'none'} |")


def print_models():
    header = [f"{dtype}, {variant}" for dtype in ("float64", "float32") for variant in _kernels.SUPPORTED]
    print(f"| model and type | {' | '.join(header)} |")
    print("|---|" + "---|" * len(header))
    for kind, covariance_type in MODELS:
        largest = []
        for dtype in (np.float64, np.float32):
            names = [name for name in cases_of(kind, covariance_type) if HARD_CASES[name].X.dtype == dtype]
            for variant in _kernels.SUPPORTED:
                _kernels.active = import_module(f"fastgmm._kernels._{variant}")
                found = [errors(kind, covariance_type, name) for name in names]
                largest.append(max(one.covariances / one.resolution for one in found))
        print(f"| {kind}, {covariance_type} | " + " | ".join(f"{value:.2g}" for value in largest) + " |")


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    if not oracle.IS_EXTENDED:
        sys.exit("numpy.longdouble is float64 on this machine, so there is nothing to compare with: try x86-64 Linux.")
    with np.errstate(all="ignore"):
        print_cases()
        print()
        print_variants()
        print()
        print_models()


if __name__ == "__main__":
    main()
