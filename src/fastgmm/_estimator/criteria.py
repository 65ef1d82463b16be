"""Information criteria: how well a mixture fits, and a price for its parameters."""

from __future__ import annotations

import math
from typing import NamedTuple

LEAST_ROWS = 2.0  # sum of the weights below which they do not count rows


class Criteria(NamedTuple):
    """The lower the better."""

    bic: float
    aic: float
    icl: float


def criteria_of(log_likelihood: float, log_max_resp: float, n_parameters: int, n_rows: float) -> Criteria | None:
    """The criteria of a mixture; None if the weights do not count rows.

    Parameters
    ----------
    log_likelihood : float
        Weighted sum over the rows.
    log_max_resp : float
        Weighted sum over the rows of the logarithm of the largest responsibility.
    n_parameters : int
        Number of free parameters.
    n_rows : float
        Sum of the weights.
    """
    if n_rows < LEAST_ROWS:
        return None
    deviance = -2.0 * log_likelihood
    bic = deviance + n_parameters * math.log(n_rows)
    return Criteria(bic, deviance + n_parameters * 2.0, bic - 2.0 * log_max_resp)
