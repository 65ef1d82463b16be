"""What every kind of results can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np


class Results(ABC):
    """Takes the results of all rows, in order."""

    @abstractmethod
    def put(self, values: np.ndarray, kept=None) -> None:
        """Take the results of the next rows. `kept` is a record batch of columns of the source, or None."""

    @abstractmethod
    def finish(self) -> Any:
        """Return all results, or what they were written to."""
