r"""Stepwise EM: a mixture that learns from one batch of rows after another (Cappé and Moulines, JRSS B 71, 2009).

The stream keeps the sufficient statistics :math:`S` of the rows so far, per unit of weight. A batch has the statistics
:math:`s` per unit of weight, under the parameters so far. It moves :math:`S` by a step :math:`\gamma`,

.. math::
    S \leftarrow (1 - \gamma) S + \gamma s, \qquad
    \gamma = \max\big((b / W)^{\alpha},\; 1 - 2^{-b / h}\big) ,

and an M step gives the parameters. Here b is the batch's weight, W that of all rows up to its end, :math:`\alpha` the
step decay and h the half-life. So :math:`S` is a weighted average over rows. Their effective number :math:`n_t` after
batch t follows from

.. math::
    n_t^{-1} = (1 - \gamma_t)^2 n_{t-1}^{-1} + \gamma_t^2 b_t^{-1}

(Kish's formula).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastgmm._em.iteration import Iteration, check_likelihood
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._model.moments import Moments
from fastgmm._model.statistics import SufficientStatistics

_ROWS_PER_FACTOR_ENTRY = 2.0  # least effective rows of a component for each entry in a row of its factor


@dataclass(frozen=True, slots=True)
class Stream:
    """The state of a stream after a batch.

    Attributes
    ----------
    statistics : SufficientStatistics
        Of the rows so far, per unit of weight, about any centers.
    n_effective : float
        Effective number of rows in the statistics.
    n_batches : int
    log_density : float
        Mean log-density of the rows of the last batch under the parameters before it.
    is_empty : ndarray of bool of shape (n_components,), or None
        Which components have no rows left in the statistics; None before the first batch.
    """

    statistics: SufficientStatistics
    n_effective: float
    n_batches: int
    log_density: float
    is_empty: np.ndarray | None = None


def step_size(weight: float, seen: float, step_decay: float, half_life: float | None) -> float:
    """The step of a batch of the given weight; `seen` is the weight of all rows up to its end."""
    step = (weight / seen) ** step_decay
    return step if half_life is None else max(step, -math.expm1(-math.log(2.0) * weight / half_life))


def counted_rows(seen: float, half_life: float | None) -> float:
    """Number of rows to weigh against priors: those seen, or the limit that a half-life sets."""
    return seen if half_life is None else min(seen, half_life / math.log(2.0))


def effective_rows(sample_weight: np.ndarray | None, n_rows: int) -> float:
    """Kish's effective number of rows."""
    if sample_weight is None:
        return float(n_rows)
    shares = sample_weight / sample_weight.max()  # squares of weights may overflow
    return float(shares.sum() ** 2 / (shares @ shares))


def take_step(
    iteration: Iteration, parameters, before: Stream | None, step: float, n_effective: float, n_counted: float
):
    """Learn from a batch: one pass over its rows, or two if the means move too far for accurate sums.

    Parameters
    ----------
    iteration : Iteration
        With passes over the batch.
    parameters : Parameters
    before : Stream or None
        None for the first batch.
    step : float
    n_effective : float
        Effective rows of the batch.
    n_counted : float
        Number of rows to weigh against priors.

    Returns
    -------
    parameters : Parameters
    stream : Stream
    lower_bound : float
        The bound of an iteration of EM.
    """
    model = iteration.model
    components = model.components(parameters)
    batch = iteration.passes.em_step(components, None, model.with_entropy)
    check_likelihood(batch, model.dtype)
    log_density = batch.log_likelihood / batch.total_weight
    if before is not None:
        n_effective = 1.0 / (step**2 / n_effective + (1.0 - step) ** 2 / before.n_effective)
    # With maximum likelihood the number of rows affects only rounding.
    n_rows = n_counted if model.has_priors else n_effective
    total = _blended(batch, before, step, n_rows)
    moments = model.moments(total, parameters)
    if not model.are_accurate(moments):
        total = _blended(iteration.passes.em_step(components, moments.means, model.with_entropy), before, step, n_rows)
        moments = model.moments(total, parameters)
    target = None if before is None or model.has_priors else parameters.covariances
    parameters = model.m_step(shrunk(moments, model.structure, n_effective, target), parameters)
    lower_bound = model.lower_bound(total, parameters)
    total.scale(1.0 / n_rows)
    n_batches = 1 if before is None else before.n_batches + 1
    return parameters, Stream(total, n_effective, n_batches, log_density, moments.is_empty), lower_bound


def _blended(batch: SufficientStatistics, before: Stream | None, step: float, n_rows: float) -> SufficientStatistics:
    """Statistics of batch and stream for `n_rows` rows, about the centers of the batch; overwrites `batch`."""
    batch.scale((n_rows if before is None else n_rows * step) / batch.total_weight)
    if before is not None:
        moved = before.statistics.moved_to(batch.centers)
        moved.scale(n_rows * (1.0 - step))
        batch.merge(moved)
    return batch


def shrunk(
    moments: Moments, structure: CovarianceStructure, n_effective: float, target: np.ndarray | None = None
) -> Moments:
    """The moments, with the covariances of components that have too few effective rows shrunk towards a target.

    Otherwise a component that starts on a row or two would be a spike, and take no later row. After the first batch the
    target is a component's own covariance before the batch, so a component that loses its rows keeps its shape. In the
    first batch it is the mean covariance within components, plus a share of the covariance between them.

    Parameters
    ----------
    moments : Moments
    structure : CovarianceStructure
        With an inverse M step: its covariances add up.
    n_effective : float
        Effective rows of all components.
    target : ndarray, default=None
        Covariances before the batch, in the shape of the structure. None in the first batch, and with priors.
    """
    K, n_features = moments.means.shape
    needed = _ROWS_PER_FACTOR_ENTRY * (n_features + 1 if structure.kernel == "full" else 2)
    weights = moments.nk / moments.nk.sum()
    rows = n_effective * moments.shares()
    missing = np.maximum(0.0, needed - rows)
    if not missing.any():
        return moments
    spread = structure.spread(moments.covariances, K, n_features)
    if target is None:
        target = _typical_covariance(moments.means, weights, spread, needed / (n_effective + needed))
    else:
        target = structure.spread(target, K, n_features)
    share = (missing / (rows + missing)).reshape(-1, *[1] * (spread.ndim - 1))
    change = structure.from_spread(share * (target - spread), weights)
    return moments._replace(covariances=moments.covariances + change)


def _typical_covariance(means: np.ndarray, weights: np.ndarray, spread: np.ndarray, share: float) -> np.ndarray:
    """The mean covariance within components, plus a share of the covariance between them."""
    differences = means - means[0]  # exactly 0 for equal means, however large they are
    differences -= weights @ differences
    within = np.tensordot(weights, spread, 1)
    if spread.ndim == 3:
        return within + share * ((weights[:, np.newaxis] * differences).T @ differences)
    return within + share * (weights @ (differences * differences))
