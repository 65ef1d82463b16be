"""What is fitted to the hard data beside plain mixtures: rows with missing values, t distributions, parsimonious types.

For `test_numerics` and for `benchmarks/accuracy.py`. Each fit has its oracle in extended precision.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from _shared import incomplete, oracle, parsimonious_oracle, student_oracle
from _shared.hard_data import COVARIANCE_TYPES, HARD_CASES
from fastgmm import GaussianMixture, StudentTMixture

MODELS = (
    *(("missing values", name) for name in COVARIANCE_TYPES),
    *(("a pattern a row", name) for name in ("full", "tied")),
    *(("t distributions", name) for name in COVARIANCE_TYPES),
    *(("parsimonious", name) for name in parsimonious_oracle.CLOSED_FORMS),
)
SHAPES = {"EII": "spherical", "EEI": "diag", "EVI": "diag", "EEV": "full", "EVV": "full"}
WITH_HOLES = ("missing values", "a pattern a row")
DEGREES_OF_FREEDOM = 4.0
N_ITER = 10

# Not those with one feature, since a hole needs another one, and with as many components as rows.
CASES = [name for name in HARD_CASES if name not in ("one feature, offset 1e6", "n_samples = n_components")]
WITHOUT = {
    # Eigenvalues of a matrix that span 24 powers of ten: float64 has no digits of the smallest, which is an error.
    ("parsimonious", "EEV"): "columns of scale 1e-6 to 1e6",
    # Two components lose all rows. The fit keeps their variances, as a guide page says.
    ("missing values", "spherical"): "outliers at 1e8",
}


def cases_of(kind, covariance_type):
    """Names of the hard cases that can be fitted; a few with a pattern a row, since their oracle is slow."""
    if kind == "a pattern a row":
        return ["offset 1e6", "two columns 1e-3 apart", "wide start 1e5 deviations away", "float32, offset 100"]
    return [name for name in CASES if name != WITHOUT.get((kind, covariance_type))]


class Errors(NamedTuple):
    """Of covariances and means after ten iterations, and the resolution that the data have."""

    covariances: float
    means: float
    resolution: float


@cache
def case_of(kind, name):
    """The hard case.  'a pattern a row' takes each third row, and each column twice, once with noise."""
    case = HARD_CASES[name]
    if kind == "a pattern a row":
        X, twice = case.X[::3], np.tile(np.arange(case.X.shape[1]), 2)
        noise = np.random.default_rng(3).normal(size=X.shape) * np.sqrt(case.variances)
        X = np.hstack([X, (X + noise).astype(X.dtype)])
        return case._replace(
            X=incomplete.with_holes(X, 0.3), means=case.means[:, twice], variances=case.variances[twice]
        )
    if kind == "missing values":
        return case._replace(X=incomplete.with_holes(case.X, 0.2))
    return case


@cache
def reference(kind, covariance_type, name):
    """Means, and covariances in the shape of the type."""
    case = case_of(kind, name)
    shape = SHAPES.get(covariance_type, covariance_type)
    given = case.start(shape)
    factors = oracle.factors_of_precisions(given["precisions_init"], shape)
    start = oracle.Parameters(given["weights_init"], given["means_init"], None, factors)
    if kind in WITH_HOLES:
        end, _ = incomplete.em(case.X, start, covariance_type, case.reg_covar, N_ITER)
        return end.means, end.covariances
    if kind == "t distributions":
        nu = np.full(len(case.means), DEGREES_OF_FREEDOM)
        start = student_oracle.Parameters(*start, nu)
        end, _ = student_oracle.em(case.X, start, covariance_type, N_ITER, update="", reg_covar=case.reg_covar)
        return end.means, end.scales
    factors = oracle.full_factors(factors, shape, *case.means.shape)
    start = start._replace(precisions_cholesky=factors)
    end, _ = parsimonious_oracle.em(case.X, start, covariance_type, case.reg_covar, N_ITER)
    return end.means, oracle.in_shape(end.covariances, shape)


def errors(kind, covariance_type, name):
    """Of a fit of the hard case `name`."""
    case = case_of(kind, name)
    shape = SHAPES.get(covariance_type, covariance_type)
    given = {**case.start(shape), "covariance_type": covariance_type, "max_iter": N_ITER, "tol": 0.0}
    if kind == "t distributions":
        estimator = StudentTMixture(degrees_of_freedom=DEGREES_OF_FREEDOM, **given).fit(case.X)
        found = estimator.scales_
    else:
        missing = "marginalize" if kind in WITH_HOLES else "raise"
        estimator = GaussianMixture(missing=missing, **given).fit(case.X)
        found = estimator.covariances_
    means, covariances = reference(kind, covariance_type, name)
    deviations = oracle.standard_deviations(covariances, shape)
    return Errors(
        oracle.covariance_error(found, covariances, shape),
        oracle.relative_error(estimator.means_, means, deviations),
        np.finfo(case.X.dtype).eps * (1 + float((np.abs(means) / deviations).max())),
    )
