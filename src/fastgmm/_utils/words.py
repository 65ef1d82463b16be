"""Parts of messages: numbers, lists and kinds of things."""

from collections.abc import Sequence

import numpy as np


def counted(number: int, thing: str) -> str:
    """Such as "1 row" or "1,200 rows"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def numbered_rows(first: int, number: int) -> str:
    """Such as "Row 7" or "Rows 7 to 9"."""
    return f"Row {first}" if number == 1 else f"Rows {first} to {first + number - 1}"


def listed(items: Sequence | np.ndarray, at_most: int) -> str:
    """Such as "1, 3 and 5", or "1, 3 and 8 more"."""
    shown = [str(item) for item in items[:at_most]]
    if len(items) > at_most:
        shown.append(f"{len(items) - at_most} more")
    *before, last = shown or [""]
    return f"{', '.join(before)} and {last}" if before else last


def named_kind(value) -> str:
    """The type of a value. The value itself may be too long for a message."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def named_shape(covariance_type: str, distribution: str | None) -> str:
    """The covariance type of a candidate of a search, such as "full", or "t full" for t distributions."""
    return f"t {covariance_type}" if distribution == "t" else covariance_type


def duration(seconds: float) -> str:
    """Such as "0.31 s", "12 s", "3 min 20 s" or "2 h 5 min"."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
