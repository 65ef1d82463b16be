"""What a search has found: a pandas DataFrame of all candidates, and a summary of the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastgmm._estimator.summary import Summary, mclust_name
from fastgmm._model.covariance import structure_of_type
from fastgmm._utils import layout
from fastgmm._utils.layout import Table
from fastgmm._utils.words import counted, named_shape

if TYPE_CHECKING:
    from pandas import DataFrame

_MOST_SHOWN = 5  # of the best candidates
_LABELS = {"bic": "BIC", "aic": "AIC", "icl": "ICL", "cv": "CV"}


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


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SearchSummary:
    """What a search has found. Printed, it is a text; in a notebook, tables.

    Attributes
    ----------
    criterion : {'bic', 'aic', 'icl', 'cv'}
        What was minimized.
    best : list of (int, str, float, float, str)
        Number of components, covariance type, criterion, its difference from the lowest one, and distribution, for each
        candidate that did not degenerate, the best first.
    left_out : list of (int, str, str, str)
        Number of components, covariance type, the reason, and distribution, for each candidate that degenerated.
    model : Summary
        The summary of the chosen mixture, on the rows of the search.
    """

    criterion: str
    best: list[tuple[int, str, float, float, str]]
    left_out: list[tuple[int, str, str, str]]
    model: Summary

    @classmethod
    def of_table(cls, columns: Mapping[str, np.ndarray], model: Summary) -> SearchSummary:
        names = ("n_components", "covariance_type", "criterion", "warning", "distribution")
        rows = list(zip(*(columns[name].tolist() for name in names), strict=True))
        lowest = np.nanmin(columns["criterion"])
        usable = sorted((row for row in rows if np.isfinite(row[2])), key=lambda row: row[2])
        return cls(
            criterion=next(name for name in _LABELS if _is_minimized(columns, name)),
            best=[(number, name, value, float(value - lowest), kind) for number, name, value, _, kind in usable],
            left_out=[(number, name, why, kind) for number, name, value, why, kind in rows if not np.isfinite(value)],
            model=model,
        )

    def __str__(self) -> str:
        return layout.as_text(self._parts())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return layout.as_html(self._parts())

    def choice(self) -> str:
        """The chosen candidate, in a sentence."""
        n_components, covariance_type, value, _, distribution = self.best[0]
        name = self.model.mclust_name
        is_t = distribution == "t"
        mclust = f" (mclust: {name},{n_components})" if name not in ("", covariance_type) and not is_t else ""
        candidates = counted(len(self.best) + len(self.left_out), "candidate")
        return (
            f"Best of {candidates}: {counted(n_components, 't distribution' if is_t else 'component')}, covariance "
            f"type {covariance_type!r}{mclust}, {_LABELS[self.criterion]} {value:.3f}."
        )

    def _parts(self) -> list[str | Table]:
        names = ("n_components", "covariance_type")
        header = (*names, *self._own("distribution", "mclust"), _LABELS[self.criterion], "difference")
        rows = [
            (str(number), name, *self._own(kind, self._mclust(name, number)), f"{value:.3f}", f"{difference:.3f}")
            for number, name, value, difference, kind in self.best[:_MOST_SHOWN]
        ]
        parts: list[str | Table] = [self.choice(), Table(rows, header)]
        if self.left_out:
            parts += self._left_out()
        return [*parts, *self.model.parts()]

    def _own(self, distribution: str, mclust: str) -> tuple[str]:
        """What a line of the table says besides: the distribution if the search has t, the name in mclust if not."""
        has_t = any(each[-1] == "t" for each in (*self.best, *self.left_out))
        return (distribution if has_t else mclust,)

    def _left_out(self) -> list[str | Table]:
        """Which candidates were left out, and the first reason."""
        n_components, covariance_type, reason, distribution = self.left_out[0]
        numbers: dict[str, list[int]] = {}
        for number, name, _, kind in self.left_out:
            numbers.setdefault(named_shape(name, kind), []).append(number)
        candidates = counted(len(self.left_out), "candidate")
        return [
            f"{candidates} degenerated and cannot be chosen, by number of components:",
            Table([(name, _as_ranges(of_type)) for name, of_type in numbers.items()]),
            f"The reason for {named_shape(covariance_type, distribution)!r} with {n_components}: {reason} (table() has "
            "all reasons.)",
        ]

    def _mclust(self, covariance_type: str, n_components: int) -> str:
        return mclust_name(structure_of_type(covariance_type), n_components, self.model.n_features)


def _is_minimized(columns: Mapping[str, np.ndarray], name: str) -> bool:
    """Whether a search has minimized the criterion of that name: its parameter may have changed since."""
    return name in columns and np.array_equal(columns[name], columns["criterion"], equal_nan=True)


def _as_ranges(numbers: list[int]) -> str:
    """Such as "2, 4 to 7" for ascending numbers."""
    starts = [i for i, number in enumerate(numbers) if i == 0 or number != numbers[i - 1] + 1]
    runs = [numbers[start:stop] for start, stop in zip(starts, [*starts[1:], len(numbers)], strict=True)]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
