"""Rows with missing values, filled for a start: by their regression on the other values, under a single Gaussian."""

from __future__ import annotations

from fastgmm._em.one_gaussian import gaussian_of, kernel_structure
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._rows.array import ArrayPasses
from fastgmm._rows.incomplete import IncompletePasses


def passes_over_filled(passes: ArrayPasses, structure: CovarianceStructure, reg_covar: float) -> ArrayPasses:
    """Passes over a copy of the rows with expectations in place of missing values; the same if none is missing.

    The Gaussian has a covariance matrix if the structure has, else variances: then expectations are column means.
    """
    if not isinstance(passes, IncompletePasses):
        return passes
    gaussian = gaussian_of(passes, structure, reg_covar)
    return passes.over_filled(gaussian.components(kernel_structure(structure)))
