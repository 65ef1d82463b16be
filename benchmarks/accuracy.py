"""How many digits covariances have after ten iterations of EM, ours and scikit-learn's, as a markdown table.

    python benchmarks/accuracy.py

Data, starts and the extended-precision reference are the test suite's (tests/_shared/hard_data.py, oracle.py). An error
is the largest of a covariance matrix's entries, relative to the standard deviations of its row and column.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import GaussianMixture

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from _shared import oracle
from _shared.hard_data import COVARIANCE_TYPES, HARD_CASES

N_ITER = 10


def reference(case, covariance_type):
    given = case.start(covariance_type)
    factors = oracle.factors_of_precisions(given["precisions_init"], covariance_type)
    start = oracle.Parameters(given["weights_init"], given["means_init"], None, factors)
    return oracle.em(case.X, start, covariance_type, case.reg_covar, N_ITER)[0]


def error(cls, case, covariance_type, expected):
    """Of the estimator's covariances; what it raised if there are none."""
    try:
        estimator = cls(**case.start(covariance_type), max_iter=N_ITER, tol=0.0).fit(case.X)
    except ValueError:
        return "fails"
    return f"{oracle.covariance_error(estimator.covariances_, expected.covariances, covariance_type):.0e}"


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    if not oracle.IS_EXTENDED:
        sys.exit("numpy.longdouble is float64 on this machine, so there is nothing to compare with: try x86-64 Linux.")
    print("| data | " + " | ".join(f"{name}: ours | scikit-learn" for name in COVARIANCE_TYPES) + " |")
    print("|---|" + "---|" * (2 * len(COVARIANCE_TYPES)))
    for name, case in HARD_CASES.items():
        cells = []
        for covariance_type in COVARIANCE_TYPES:
            expected = reference(case, covariance_type)
            with np.errstate(all="ignore"):
                for cls in (GaussianMixture, SklearnGaussianMixture):
                    cells.append(error(cls, case, covariance_type, expected))
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
