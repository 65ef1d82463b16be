"""Progress of long calls: what a callback gets, and bars.

A callback is any function of a `Progress`. `fit`, `fit_batches`, `partial_fit` and searches take it.
"""

from __future__ import annotations

from typing import Any

from fastgmm._utils.progress import Progress
from fastgmm._utils.words import counted

__all__ = ["Progress", "ProgressBar"]


class ProgressBar:
    """Bars that show how far a call has come, in a terminal or a notebook: a callback.

    The first bar shows the runs of EM, with the candidate if it is a search; it is left out if there is one run. The
    second shows the iterations of the present stage, the third the rows of the present pass, if passes take long. They
    stay on the screen when the call ends. One object can be used for several calls, one after the other.

    Needs rich, and in a notebook ipywidgets.

    Raises
    ------
    ImportError
        If rich is not installed.

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.progress import ProgressBar
    >>> gmm = GaussianMixture(8, n_init=10)
    >>> gmm = gmm.fit(X, callback=ProgressBar())  # doctest: +SKIP
    """

    def __init__(self) -> None:
        try:
            import rich.progress  # noqa: F401
        except ImportError as error:
            raise ImportError("ProgressBar needs rich: python -m pip install rich") from error
        self._display: Any = None
        self._bars: dict[str, Any] = {}

    def __call__(self, progress: Progress) -> None:
        """Draw the progress."""
        if self._display is None:
            self._open()
        is_last = progress.stage == "EM" and progress.event in ("end", "candidate")
        note = f"{progress.time_left} left" if progress.time_left else ""
        if progress.n_runs is not None and progress.n_runs > 1 and progress.run is not None:
            is_done = progress.event == "candidate" or (is_last and progress.candidate is None)
            is_search_done = progress.event == "candidate" and progress.run == progress.n_runs
            place = counted(progress.n_candidates or 0, "candidate") if is_search_done else progress.place
            self._draw("run", place, progress.run - (not is_done), progress.n_runs, note)
            note = ""
        notes = [note] if progress.lower_bound is None else [f"lower bound {progress.lower_bound:.6g}", note]
        n_done = progress.iteration or 0
        n_all = n_done if is_last else progress.max_iter
        self._draw("stage", progress.stage, n_done, n_all, ", ".join(filter(None, notes)))
        rate = progress.rows_per_second
        if progress.rows is None:
            self._display.update(self._bars["rows"], visible=False)
        else:
            self._draw("rows", "rows", progress.rows, progress.n_rows, "" if rate is None else f"{rate:,.0f} rows/s")

    def close(self) -> None:
        """Leave the bars as they are. A fit calls this when it ends, whether it fails or not."""
        if self._display is not None:
            self._display.stop()
            self._display, self._bars = None, {}

    def _open(self) -> None:
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Display

        columns = [TextColumn(text) for text in ("{task.description}", "{task.fields[count]}", "{task.fields[note]}")]
        self._display = Display(columns[0], BarColumn(), *columns[1:], TimeElapsedColumn())
        self._bars = {
            name: self._display.add_task(name, visible=False, count="", note="") for name in ("run", "stage", "rows")
        }
        self._display.start()

    def _draw(self, name: str, text: str, n_done: int, n_all: int | None, note: str) -> None:
        count = f"{n_done:,}" + ("" if n_all is None else f"/{n_all:,}")
        bar = self._bars[name]
        task = self._display.tasks[self._display.task_ids.index(bar)]
        task.total = n_all  # `update` takes None for no change
        task.finished_time = None  # a bar that was full begins anew with the next stage or pass
        self._display.update(bar, visible=True, description=text, completed=n_done, count=count, note=note)
