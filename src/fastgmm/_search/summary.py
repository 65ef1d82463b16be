"""What a search has found, as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame


def as_frame(columns: Mapping[str, np.ndarray]) -> DataFrame:
    """The columns of `criterion_` as a DataFrame, sorted by the criterion, with the differences from the best one."""
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise ImportError("table() makes a pandas DataFrame: python -m pip install pandas") from error
    frame = DataFrame(dict(columns)).sort_values("criterion", kind="stable")
    criterion = frame["criterion"]
    frame.insert(list(frame).index("criterion") + 1, "difference", criterion - criterion.min())
    return frame
