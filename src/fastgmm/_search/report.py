"""The progress of a search: which candidate a run belongs to, and how long all further runs will take."""

from __future__ import annotations

import math
from itertools import groupby
from time import perf_counter

from fastgmm._estimator.criteria import criteria_of
from fastgmm._model.noise import Region
from fastgmm._rows.runner import row_flops
from fastgmm._search.candidates import Candidate, by_distribution
from fastgmm._utils.progress import Reporter


def planned(candidates: list[Candidate], n_init: int, noise: Region | None) -> list[Candidate]:
    """The candidate of each run of `Fits.search`, in order."""
    runs: list[Candidate] = []
    for _, group in groupby(candidates, lambda candidate: candidate.n_components):
        of_one_number = list(group)
        runs += of_one_number * n_init
        if noise or of_one_number[0].n_components > 1:
            runs += [candidate for each in by_distribution(of_one_number) for candidate in each[1:]]
        runs += to_start_from_whitened(of_one_number, len(candidates))
    for shape in dict.fromkeys((candidate.distribution, candidate.covariance_type) for candidate in candidates):
        of_one_shape = [each for each in candidates if (each.distribution, each.covariance_type) == shape]
        runs += [candidate for candidate in of_one_shape[-2::-1] if noise or candidate.n_components > 1]
    return runs


def to_start_from_whitened(of_one_number: list[Candidate], n_candidates: int) -> list[Candidate]:
    """Which candidates with one number of components also start from clusters of whitened rows.

    The first and the last type of each distribution whose components may lie in any direction. A search of one
    candidate is a fit of its estimator.
    """
    if n_candidates == 1 or of_one_number[0].n_components == 1 or of_one_number[0].n_features == 1:
        return []
    chosen: list[Candidate] = []
    for of_one_distribution in by_distribution(of_one_number):
        in_any_direction = [candidate for candidate in of_one_distribution if candidate.structure.kernel == "full"]
        chosen += in_any_direction[:1] + in_any_direction[1:][-1:]
    return chosen


def _key(candidate: Candidate) -> tuple[int, str, str]:
    return candidate.n_components, candidate.covariance_type, candidate.distribution


class SearchReporter:
    """Tells a reporter of each run, with its candidate.

    Parameters
    ----------
    progress : Reporter
    candidates : list of Candidate
    criterion : str
    n_init : int
    n_rows : float
        Number of rows, or the sum of their weights.
    n_folds : int, default=0
        Number of further searches on parts of the rows.
    noise : Region, default=None
        What is known of a background.
    """

    def __init__(
        self,
        progress: Reporter,
        candidates: list[Candidate],
        criterion: str,
        n_init: int,
        n_rows: float,
        n_folds: int = 0,
        noise: Region | None = None,
    ):
        self.progress = progress
        self._criterion = criterion
        self._n_rows = n_rows
        self._began = perf_counter()
        self._numbers = {_key(each): i for i, each in enumerate(candidates, 1)}
        runs = planned(candidates, n_init, noise)
        costs = [row_flops(each.structure, each.n_components, each.n_features) for each in runs]
        self._costs = costs * (1 + n_folds)
        self._n_done = 0
        self._fields: dict[str, object] = {
            "n_runs": len(self._costs),
            "n_candidates": len(candidates),
            "criterion_name": criterion,
        }

    def begin_fold(self, fold: int, n_folds: int) -> None:
        self._fields |= {"fold": fold, "n_folds": n_folds}

    def begin_starts(self, n_components: int) -> None:
        """All covariance types with so many components look for a start."""
        self._surround(n_components=n_components)
        self.progress.begin("start")

    def begin_run(self, candidate: Candidate, start: str) -> None:
        self._surround(**self._named(candidate), start=start)

    def end_run(self, candidate: Candidate, start: str, failure: str, unit: float) -> None:
        """The run is done. The candidate's log-likelihood is in units of a weight."""
        self._n_done += 1
        if not self.progress.is_on:
            return
        value = math.nan
        if candidate.result is not None and not candidate.warning:
            found = criteria_of(candidate.log_likelihood * unit, math.nan, candidate.n_parameters, self._n_rows)
            value = getattr(found, self._criterion, math.nan)
        known = {"criterion": value} if math.isfinite(value) else {}
        self._surround(**self._named(candidate), run=self._n_done, start=start, **known)
        self.progress.end("candidate", **({"failure": failure} if failure else {}))

    def skip_run(self) -> None:
        """A run has nothing to start from."""
        self._n_done += 1

    def _named(self, candidate: Candidate) -> dict[str, object]:
        key = _key(candidate)
        names = ("n_components", "covariance_type", "distribution")
        return {"candidate": self._numbers[key], **dict(zip(names, key, strict=True))}

    def _surround(self, **fields) -> None:
        done = sum(self._costs[: self._n_done])
        left = sum(self._costs[self._n_done :]) * (perf_counter() - self._began) / done if done else None
        self.progress.surround(left, **{**self._fields, "run": self._n_done + 1, **fields})
