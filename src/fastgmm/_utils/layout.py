"""Paragraphs and tables, as plain text and as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

WIDTH = 79  # characters of a line

_CELL = "padding:2px 8px;border:0;background:none;text-align:"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of strings. With a header all columns are aligned to the right, without one to the left."""

    rows: Sequence[Sequence[str]]
    header: Sequence[str] = ()

    def as_text(self) -> str:
        lines = [*([self.header] if self.header else []), *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        pad = str.rjust if self.header else str.ljust
        return "\n".join("  ".join(map(pad, line, widths)).rstrip() for line in lines)

    def as_html(self) -> str:
        """Without colors of its own, so that light and dark pages both suit it."""
        style = f"{_CELL}{'right' if self.header else 'left'}"
        rows = ["".join(f'<td style="{style}">{escape(cell)}</td>' for cell in row) for row in self.rows]
        if self.header:
            below = f"{style};border-bottom:1px solid currentColor"
            rows.insert(0, "".join(f'<th style="{below}">{escape(cell)}</th>' for cell in self.header))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f'<table style="border-collapse:collapse;margin:0.5em 0">{body}</table>'


def as_text(parts: Sequence[str | Table]) -> str:
    """Paragraphs and tables, with an empty line between two of them."""
    return "\n\n".join(part.as_text() if isinstance(part, Table) else "\n".join(wrap(part, WIDTH)) for part in parts)


def as_html(parts: Sequence[str | Table]) -> str:
    """The same as HTML. All text is escaped."""
    html = (part.as_html() if isinstance(part, Table) else f"<p>{escape(part)}</p>" for part in parts)
    return f"<div>{''.join(html)}</div>"
