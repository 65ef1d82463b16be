r"""Missing values filled with their expectations, or with draws.

Passes of the kernels fill all rows under Gaussians. A draw for the missing values m of a row takes three steps: a
component by the responsibilities given the values o that are there; a whole row y from its Gaussian; and

.. math::
    x_m = y_m + \Sigma_{mo} \Sigma_{oo}^{-1} (x_o - y_o)

whose mean and covariance are the conditional ones (Doucet, "A note on efficient conditional simulation of Gaussian
distributions", 2010). That is y plus the expectation of the missing values of x - y, under the Gaussian about zero: no
row needs the conditional covariance of its own holes.
"""

from __future__ import annotations

import numpy as np

from fastgmm._estimator.conditional import ConditionalRows
from fastgmm._model.conditional import Mixture
from fastgmm._model.covariance import DIAGONAL, FULL
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._rows.incomplete import IncompletePasses, passes_over


def imputed(X: np.ndarray, mixture: Mixture, n_threads: int | None, random: np.random.RandomState | None) -> np.ndarray:
    """X with conditional means in place of NaN, or if `random` is given, with draws.

    X has the shape (n_samples, n_features).
    """
    incomplete = np.flatnonzero(np.isnan(X).any(axis=1))
    filled = X.copy()
    if not len(incomplete):
        return filled
    if mixture.degrees_of_freedom is None:
        filled[incomplete] = _of_gaussians(X[incomplete], mixture, n_threads, random)
    else:
        _fill_groups(filled, incomplete, mixture, n_threads, random)
    return filled


def _of_gaussians(
    X: np.ndarray, mixture: Mixture, n_threads: int | None, random: np.random.RandomState | None
) -> np.ndarray:
    """The same for rows with holes, of a mixture of Gaussians."""
    structure = FULL if mixture.covariances.ndim == 3 else DIAGONAL
    parameters = mixture.with_structure(structure)

    def passes_of(rows: np.ndarray, n_components: int) -> IncompletePasses:
        passes = passes_over(rows, None, n_components, structure, n_threads, may_miss_values=True)
        assert isinstance(passes, IncompletePasses)
        return passes

    passes, components = passes_of(X, len(mixture.weights)), parameters.components(structure)
    if random is None:
        return passes.filled(components)
    cumulated = np.cumsum(passes.resp(components), axis=1, dtype=np.float64)
    chosen = (cumulated < random.uniform(size=(len(X), 1)) * cumulated[:, -1:]).sum(axis=1)
    filled = np.empty_like(X)
    for k in np.unique(chosen):
        covariance, factor = mixture.covariances[[k]], parameters.precisions_cholesky[[k]]
        about_zero = MixtureParameters(np.ones(1), np.zeros((1, X.shape[1])), covariance, factor)
        rows = X[chosen == k].astype(np.float64)
        drawn = random.standard_normal(rows.shape)
        drawn = drawn * np.sqrt(covariance) if covariance.ndim == 2 else drawn @ np.linalg.cholesky(covariance[0]).T
        drawn += mixture.means[k]
        drawn += passes_of(rows - drawn, 1).filled(about_zero.components(structure))
        filled[chosen == k] = np.where(np.isnan(rows), drawn, rows)
    return filled


def _fill_groups(
    filled: np.ndarray,
    incomplete: np.ndarray,
    mixture: Mixture,
    n_threads: int | None,
    random: np.random.RandomState | None,
) -> None:
    """Fill rows with holes, of a mixture of t distributions. Rows with the same holes go together."""
    is_missing = np.isnan(filled[incomplete])
    patterns, pattern_of_row = np.unique(is_missing, axis=0, return_inverse=True)
    order = np.argsort(pattern_of_row.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(pattern_of_row.ravel(), minlength=len(patterns)))
    for pattern, group in zip(patterns, np.split(incomplete[order], ends[:-1]), strict=True):
        known = np.flatnonzero(~pattern)
        conditional = ConditionalRows(mixture, known.tolist(), n_threads)
        rows = np.ascontiguousarray(filled[np.ix_(group, known)])
        values = conditional.means(rows) if random is None else conditional.draws(rows, random)
        filled[np.ix_(group, np.flatnonzero(pattern))] = values
