"""Numbers and kinds of things in messages, in correct English."""


def counted(number: int, thing: str) -> str:
    """Such as "1 row" or "1,200 rows"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def numbered_rows(first: int, number: int) -> str:
    """Such as "Row 7" or "Rows 7 to 9"."""
    return f"Row {first}" if number == 1 else f"Rows {first} to {first + number - 1}"


def named_kind(value) -> str:
    """Of what type a value is, not what it holds, which may be long."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
