"""How far a call has come: the object that callbacks get, and the reporter that the code of fits talks to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from fastgmm._utils.errors import Stopped
from fastgmm._utils.words import counted, duration, named_shape

Callback = Callable[["Progress"], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a call has come. A callback gets one at each event; ``str(progress)`` is a line of text.

    What does not apply, or is not known, is None.

    Attributes
    ----------
    stage : {'reading', 'start', 'k-means++', 'k-means', 'sample', 'EM'}
        'reading': the first pass over batches or chunks, which counts the rows and draws a sample for the start.
        'start': a run begins. 'k-means++' and 'k-means' find the start. 'sample': EM on a sample, for
        ``init_params='sample'`` or 'split_merge'. 'EM': the fit itself.

    event : {'begin', 'rows', 'iteration', 'end', 'candidate'}
        What has just happened: the stage began; some rows were read; an iteration of the stage is done; the stage
        ended; a run of a search is done, so that its candidate has a criterion.

    seconds : float
        Time since the call began.

    seconds_left : float or None
        Estimated time until the call ends.

    run, n_runs : int or None
        Number of the present run of EM, from 1, and of all: `n_init`, or those of all candidates in a search.

    iteration, max_iter : int or None
        Iterations of the stage that are done, and their largest number. For 'k-means++' they are chosen centers.

    rows, n_rows : int or None
        Rows of the present pass that have been read, and all rows. An iteration takes one pass, seldom two. Rows in
        memory are reported only if a pass takes long.

    new_rows : int or None
        Rows that have been read since the last event 'rows'.

    rows_per_second : float or None
        In the present pass.

    lower_bound, change : float or None
        The bound after the last iteration of EM, as in `lower_bounds_`, and its change in that iteration.

    converged : bool or None
        Whether the stage has converged; None before its end.

    failure : str
        Why the run failed; '' if it did not.

    start : str or None
        Start of a run of a search: `init_params`, or the candidate whose result it takes, as in the search's table.

    candidate, n_candidates : int or None
        Number of the present candidate of a search, from 1, in the order of its table, and of all candidates.

    n_components : int or None
        Of the candidate.

    covariance_type : str or None
        Of the candidate.

    distribution : str or None
        Of the candidate: 'gaussian' or 't'.

    criterion : float or None
        Criterion of the candidate's best run so far, at event 'candidate'. 'icl' and 'cv' are found at the end only.

    criterion_name : str or None
        'bic', 'aic', 'icl' or 'cv'.

    fold, n_folds : int or None
        Of cross-validation, from 1. None in the search on all rows.
    """

    stage: str
    event: str
    seconds: float
    seconds_left: float | None = None
    run: int | None = None
    n_runs: int | None = None
    iteration: int | None = None
    max_iter: int | None = None
    rows: int | None = None
    n_rows: int | None = None
    new_rows: int | None = None
    rows_per_second: float | None = None
    lower_bound: float | None = None
    change: float | None = None
    converged: bool | None = None
    failure: str = ""
    start: str | None = None
    candidate: int | None = None
    n_candidates: int | None = None
    n_components: int | None = None
    covariance_type: str | None = None
    distribution: str | None = None
    criterion: float | None = None
    criterion_name: str | None = None
    fold: int | None = None
    n_folds: int | None = None

    def __str__(self) -> str:
        where = [self.place]
        if self.event == "candidate":
            where += [f"start {self.start}", self._outcome()]
            if self.criterion is not None:
                where.append(f"{str(self.criterion_name).upper()} {self.criterion:.8g}")
        elif self.event == "end":
            where.append(f"{self.stage}: {self._outcome()}{self._bound()}")
        else:
            where.append(self._position())
        where.append(duration(self.seconds))
        if self.time_left:
            where.append(f"{self.time_left} left")
        return ", ".join(filter(None, where))

    @property
    def time_left(self) -> str:
        """`seconds_left` in words, such as '3 min 20 s'; '' if it is 0 or not known."""
        return duration(self.seconds_left) if self.seconds_left else ""

    @property
    def place(self) -> str:
        """The fold and the candidate, or the run, in words; '' if there is one run only."""
        places = []
        if self.fold is not None:
            places.append(f"fold {self.fold} of {self.n_folds}")
        if self.candidate is not None:
            places.append(f"candidate {self.candidate} of {self.n_candidates}")
            places.append(f"{named_shape(str(self.covariance_type), self.distribution)} {self.n_components}")
        elif self.n_components is not None:
            places.append(counted(self.n_components, "component"))
        elif self.n_runs is not None and self.n_runs > 1:
            places.append(f"run {self.run} of {self.n_runs}")
        return ", ".join(places)

    def _position(self) -> str:
        """The stage, with the iteration, the rows and the bound."""
        text = self.stage
        if self.iteration is not None and self.max_iter is not None:
            if self.stage == "k-means++":
                text += f": {self.iteration} of {counted(self.max_iter, 'center')}"
            else:
                text += f": iteration {self.iteration} of at most {self.max_iter}"
        elif self.iteration:
            text += f": iteration {self.iteration}"
        if self.rows:
            text += ("," if ":" in text else ":") + f" {self._rows()}"
        return text + self._bound()

    def _outcome(self) -> str:
        """How a stage ended."""
        if self.failure:
            return f"failed: {self.failure}"
        if self.stage == "reading":
            return self._rows()
        if self.stage == "k-means++":
            return counted(self.iteration or 0, "center")
        iterations = counted(self.iteration or 0, "iteration")
        if self.converged is None:
            return iterations
        return f"{'converged' if self.converged else 'not converged'} after {iterations}"

    def _rows(self) -> str:
        rows = self.rows or 0
        text = counted(rows, "row") if self.n_rows in (None, rows) else f"{rows:,} of {counted(self.n_rows, 'row')}"
        return text if self.rows_per_second is None else f"{text}, {self.rows_per_second:,.0f} rows/s"

    def _bound(self) -> str:
        if self.lower_bound is None:
            return ""
        return f", lower bound {self.lower_bound:.8g}" + ("" if self.change is None else f" ({self.change:+.3g})")


class Reporter:
    """Tells listeners how far a call has come.

    After a listener has stopped the call, nothing more is reported.

    Parameters
    ----------
    listeners : iterable of callable
        Each gets a `Progress`. StopIteration from one of them becomes `Stopped`.

    Attributes
    ----------
    is_on : bool
        False if nobody listens: then all methods do nothing.
    parameters : Parameters or None
        Result of the last iteration of EM.
    attributes : callable or None
        Returns the fitted attributes that belong to it, by name.
    """

    is_on = True
    parameters: Any = None
    attributes: Callable[[], dict[str, Any]] | None = None

    def __init__(self, listeners: Iterable[Callback]):
        self._listeners = tuple(listeners)
        self._began = self._run_began = self._stage_began = self._pass_began = perf_counter()
        self._first_iteration = 0
        self._fields: dict[str, Any] = {"stage": "start"}
        self._around: dict[str, Any] = {}
        self._end: float | None = None  # estimated, on the clock
        self._end_of_search: float | None = None

    def surround(self, seconds_left: float | None = None, **fields) -> None:
        """Set the fields of what contains the following runs, such as a candidate. They hide those of the runs."""
        self._around = fields
        self._end_of_search = None if seconds_left is None else perf_counter() + seconds_left

    def begin_run(self, run: int, n_runs: int) -> None:
        self._fields |= {"run": run, "n_runs": n_runs}
        self._run_began = perf_counter()
        self.begin("start")

    def begin(self, stage: str, max_iter: int | None = None, iteration: int | None = None) -> None:
        """A stage begins. `iteration` is the number of its iterations that are done, if it has any."""
        fields: dict[str, Any] = {name: self._fields.get(name) for name in ("run", "n_runs")}
        self._fields = fields | {"stage": stage, "max_iter": max_iter, "iteration": iteration}
        self._stage_began, self._first_iteration, self._end = perf_counter(), iteration or 0, None
        self._report("begin")

    def iterate(self, iterations_left: float | None = None, parameters: Any = None, **fields) -> None:
        """An iteration of the stage is done.

        Parameters
        ----------
        iterations_left : float, default=None
            Estimated number of further iterations of this run.
        parameters : Parameters, default=None
            What it has found.
        **fields
            New values of fields of `Progress`.
        """
        self.parameters = parameters
        self._fields |= {"iteration": self._fields["iteration"] + 1, **fields}
        self._end = None if iterations_left is None else self._estimated_end(iterations_left)
        self._report("iteration")

    def begin_pass(self, n_rows: int | None) -> None:
        self._fields |= {"rows": 0, "n_rows": n_rows, "new_rows": None, "rows_per_second": None}
        self._pass_began = perf_counter()

    def read(self, new_rows: int) -> None:
        """Rows of the pass have been read."""
        rows = self._fields["rows"] + new_rows
        rate = rows / max(perf_counter() - self._pass_began, 1e-9)
        self._fields |= {"rows": rows, "new_rows": new_rows, "rows_per_second": rate}
        self._report("rows")

    def over(self, slices: Iterable[slice], n_rows: int) -> Iterator[slice]:
        """The slices of a pass. Each is reported when the next one is asked for."""
        self.begin_pass(n_rows)
        for rows in slices:
            yield rows
            self.read(rows.stop - rows.start)

    def end(self, event: str = "end", **fields) -> None:
        """The stage has ended, or a run of a search."""
        self._fields |= fields
        self._report(event)

    def _estimated_end(self, iterations_left: float) -> float:
        now = perf_counter()
        n_done = self._fields["iteration"] - self._first_iteration
        left = iterations_left * (now - self._stage_began) / n_done
        runs_left = self._fields["n_runs"] - self._fields["run"]
        return now + left + runs_left * (now - self._run_began + left)

    def _report(self, event: str) -> None:
        now = perf_counter()
        end = self._end if self._end_of_search is None else self._end_of_search
        left = None if end is None else max(0.0, end - now)
        fields = {**self._fields, **self._around, "seconds": now - self._began, "seconds_left": left}
        progress = Progress(event=event, **fields)
        listeners, self._listeners = self._listeners, ()
        for tell in listeners:
            try:
                tell(progress)
            except StopIteration as stop:
                raise Stopped(progress.stage) from stop
        self._listeners = listeners


class Silent(Reporter):
    """A reporter to which nobody listens."""

    is_on = False

    def __init__(self) -> None:
        super().__init__(())

    def surround(self, seconds_left=None, **fields):
        pass

    def begin_run(self, run, n_runs):
        pass

    def begin(self, stage, max_iter=None, iteration=None):
        pass

    def iterate(self, iterations_left=None, parameters=None, **fields):
        pass

    def begin_pass(self, n_rows):
        pass

    def read(self, new_rows):
        pass

    def over(self, slices, n_rows):
        return iter(slices)

    def end(self, event="end", **fields):
        pass


SILENT = Silent()
