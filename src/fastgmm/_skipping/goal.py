"""What a pass is for."""

from enum import Enum


class Goal(Enum):
    """It decides which pairs (row, component) count: the head of `_kernels/screen.pxi` has the conditions."""

    STATISTICS = "statistics"  # of an iteration
    DENSITIES = "densities"  # log-densities of the rows
    LABELS = "labels"
