"""Refits of a fitted mixture to other rows, or to its rows with other weights. EM goes on from known parameters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgmm._em.iteration import Iteration
from fastgmm._em.loop import run_em
from fastgmm._estimator.base import while_fitting
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._skipping.policy import log_likelihood_of
from fastgmm._utils.errors import Stopped
from fastgmm._utils.progress import SILENT, Reporter

_TOL = 1e-3  # EM ends when the log-likelihood of all rows changes by less
_MAX_ITER = 1000


class Refit(NamedTuple):
    """Parameters of a mixture, and the log-likelihood of the rows under them."""

    parameters: MixtureParameters
    log_likelihood: float


def refitted(
    mixture, X: np.ndarray, weights: np.ndarray | None, parameters: MixtureParameters, progress: Reporter = SILENT
) -> Refit:
    """EM for the model of a mixture, from given parameters, to a tolerance of the bootstrap's own.

    Parameters
    ----------
    mixture : GaussianMixture
    X : ndarray of shape (n_samples, n_features), float32 or float64, C-contiguous
    weights : ndarray of shape (n_samples,), or None
    parameters : MixtureParameters
    progress : Reporter, default=SILENT

    Raises
    ------
    FitError
        If EM fails.
    Stopped
        If a callback stops it.
    """
    passes = mixture._passes_to_fit(X, weights, progress)
    with while_fitting(X.shape[1], None):
        iteration = Iteration(mixture._model(passes), passes)
        result = run_em(
            lambda: parameters,
            iteration.iterate,
            n_init=1,
            max_iter=max(mixture.max_iter, _MAX_ITER),
            tol=_TOL / passes.total_weight,
            progress=progress,
        )
        if result.stopped:
            raise Stopped("EM")
        log_likelihood = log_likelihood_of(passes, iteration.model.components(result.parameters))
    unit = 1.0 if weights is None else float(weights.sum()) / passes.total_weight
    return Refit(result.parameters, log_likelihood * unit)
