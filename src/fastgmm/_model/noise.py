"""Noise: a uniform background as one more term of a mixture (Banfield & Raftery, Biometrics 49, 1993).

Its density is :math:`1/V` everywhere. Only its weight changes in EM: the mean of its responsibilities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

LEAST_START = 0.01  # weight of a background at a start that assigns it fewer rows: EM never leaves a weight of 0


class Noise(NamedTuple):
    """A background as part of a mixture: its weight, and the log-density of a row."""

    weight: float
    log_density: float

    @property
    def log_joint(self) -> float:
        """Log-density with the weight; -inf for the weight 0."""
        return math.log(self.weight) + self.log_density if self.weight > 0.0 else -math.inf


@dataclass(frozen=True, slots=True)
class Region:
    """What a model with a background knows of it besides its weight.

    Attributes
    ----------
    log_density : float
        -log V.
    box : ndarray of shape (n_features + 1, n_features), or None
        The box of volume V from which rows are drawn: a corner, and its edges. None if the user gave the volume.
    """

    log_density: float
    box: np.ndarray | None = None
