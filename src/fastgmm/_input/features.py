"""Features that the user chooses by number or name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastgmm._utils.values import is_boolean, is_integer_from

UNNAMED = "feature {}"


def names_of_features(names: Sequence | None, n_features: int) -> list[str]:
    """The names, or 'feature 0' and so on unless they are a string for each feature."""
    given = [] if names is None else list(names)
    if len(given) == n_features and all(isinstance(name, str) for name in given):
        return given
    return [UNNAMED.format(j) for j in range(n_features)]


def check_features(features, names: list[str], at_most: int) -> list[int]:
    """Numbers of the chosen features, from one or several numbers or names.

    Raises ValueError if they are more than `at_most`, or some do not exist or occur twice.
    """
    several = isinstance(features, Iterable) and not isinstance(features, str)
    given = list(features) if several else [features]
    numbers = [names.index(feature) if feature in names else feature for feature in given]
    shown = "" if names[0] == UNNAMED.format(0) else f", such as {', '.join(map(repr, names[:at_most]))}"
    choice = f"pass numbers from 0 to {len(names) - 1}, or names{shown}"
    for number in numbers:
        if is_boolean(number) or not is_integer_from(0)(number) or number >= len(names):
            raise ValueError(f"features holds {number!r}, which is no feature of the mixture: {choice}.")
    if not 1 <= len(numbers) <= at_most or len(set(numbers)) < len(numbers):
        got = repr(features) if len(numbers) <= at_most else f"{len(numbers)}"
        raise ValueError(f"features must be 1 to {at_most} different features, got {got}: {choice}.")
    return [int(number) for number in numbers]
