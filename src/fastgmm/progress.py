"""Progress of long calls: what callbacks get."""

from __future__ import annotations

from fastgmm._utils.progress import Progress

__all__ = ["Progress"]
