"""Numbers among the arguments of commands."""

import argparse
import re


def positive_int(text: str) -> int:
    """A number >= 1."""
    if not text.isdecimal() or int(text) < 1:
        hint = "; select takes several" if re.fullmatch(r"[\d,-]+", text) else ""
        raise argparse.ArgumentTypeError(f"{text} is not a positive integer{hint}")
    return int(text)


def positive_float(text: str) -> float:
    """A number >= 0."""
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number >= 0")
    return value


def numbers_of_components(text: str) -> list[int]:
    """Numbers and ranges of numbers, such as 1-9 or 2,4,8."""
    numbers: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= first <= last:
            raise argparse.ArgumentTypeError(f"{part!r} is neither a positive number nor a range such as 1-9")
        numbers.update(range(first, last + 1))
    return sorted(numbers)
