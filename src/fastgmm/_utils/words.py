"""Parts of messages: numbers and kinds of things."""


def counted(number: int, thing: str) -> str:
    """Such as "1 row" or "1,200 rows"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def numbered_rows(first: int, number: int) -> str:
    """Such as "Row 7" or "Rows 7 to 9"."""
    return f"Row {first}" if number == 1 else f"Rows {first} to {first + number - 1}"


def named_kind(value) -> str:
    """The type of a value. The value itself may be too long for a message."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
