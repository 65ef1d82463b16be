"""One Gaussian for all rows: mean and covariance of rows that have missing values, by maximum likelihood."""

from __future__ import annotations

from typing import cast

import numpy as np

from fastgmm._em.iteration import Iteration
from fastgmm._em.loop import run_em
from fastgmm._model.covariance import DIAGONAL, FULL, CovarianceStructure
from fastgmm._model.gaussian import MaximumLikelihood, MixtureParameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.protocol import Passes, SampledPasses
from fastgmm._utils.progress import SILENT

_START_ROWS = 100_000  # rows whose means and variances are the start
_TOL, _MAX_ITER = 1e-5, 50


def kernel_structure(structure: CovarianceStructure) -> CovarianceStructure:
    """The structure of a Gaussian whose covariance is as free as the kernel of a structure allows."""
    return FULL if structure.kernel == "full" else DIAGONAL


def gaussian_of(passes: Passes, structure: CovarianceStructure, reg_covar: float) -> MixtureParameters:
    """The most likely Gaussian, with the `kernel_structure` of a structure.

    Raises FitError if a covariance is not positive-definite.
    """
    free = kernel_structure(structure)
    of_one = passes.for_mixture(1, free, SILENT)
    model = MaximumLikelihood(free, 1, passes.n_features, passes.dtype, reg_covar)
    iteration = Iteration(model, of_one)
    result = run_em(
        lambda: _start(model, _some_rows(of_one), reg_covar),
        iteration.iterate,
        n_init=1,
        max_iter=_MAX_ITER,
        tol=_TOL,
        stopping="aitken",
        rounding=iteration.rounding,
    )
    return result.parameters


def _some_rows(passes: Passes) -> np.ndarray:
    if not isinstance(passes, ArrayPasses):
        return cast(SampledPasses, passes).sample().rows
    return passes.X[:: max(1, len(passes.X) // _START_ROWS)]


def _start(model: MaximumLikelihood, rows: np.ndarray, reg_covar: float) -> MixtureParameters:
    """Means and variances of the values that are there."""
    is_there = ~np.isnan(rows)
    counts = np.maximum(is_there.sum(axis=0), 1)
    mean = np.where(is_there, rows, 0.0).sum(axis=0, dtype=np.float64) / counts
    squares = np.where(is_there, np.square(rows - mean, dtype=np.float64), 0.0)
    variances = squares.sum(axis=0) / counts
    least = 1e-6 * variances.max() if variances.max() > 0.0 else 1.0
    variances = np.where(variances > 0.0, variances, least) + reg_covar
    covariance = np.diag(variances) if model.structure.kernel == "full" else variances
    return model.assembled(np.ones(1), mean[np.newaxis], covariance[np.newaxis])
