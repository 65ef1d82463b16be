"""scikit-learn's callbacks, from its version 1.9 on: `set_callbacks`, told of the same events as ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastgmm._utils.progress import Progress, Reporter

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: this version of scikit-learn has no callbacks."""


__all__ = ["CallbackSupportMixin", "SklearnCallbacks", "has_callbacks"]


def has_callbacks(estimator) -> bool:
    """Whether the user has set callbacks on the estimator, or a meta-estimator that has some fits it."""
    return hasattr(estimator, "_skl_callbacks") or hasattr(estimator, "_parent_callback_ctx")


class SklearnCallbacks:
    """A listener that calls an estimator's scikit-learn callbacks.

    A fit is a task with a subtask for each iteration of EM. With several starts its subtasks are the runs, which have
    those of the iterations. A search is a task with a subtask for each run. A subtask that a callback stops ends the
    call.

    Parameters
    ----------
    estimator : estimator
    data : dict of str to Any
        The arguments X, y and metadata of the hooks.
    """

    reporter: Reporter

    def __init__(self, estimator, data: dict[str, Any]):
        self._estimator = estimator
        self._arguments = {"estimator": estimator, **data}
        self._task: Any = None
        self._run: Any = None

    def __call__(self, progress: Progress) -> None:
        if progress.n_runs is None:  # the rows are still counted
            return
        is_search, has_runs = progress.n_candidates is not None, progress.n_runs > 1
        max_iter = 0 if is_search else self._estimator.max_iter
        if self._task is None:
            n_subtasks = progress.n_runs if has_runs or is_search else max_iter
            self._task = self._estimator._init_callback_context(max_subtasks=n_subtasks)
            self._task.call_on_fit_task_begin(**self._arguments)
        if is_search:
            if progress.event == "candidate":
                self._iterated(self._task, f"{progress.covariance_type} {progress.n_components}")
            return
        if has_runs and (progress.stage, progress.event) == ("start", "begin"):
            self._run = self._task.subcontext("run", max_subtasks=max_iter)
            self._run.call_on_fit_task_begin(**self._arguments)
        if progress.stage == "EM" and progress.event == "iteration":
            self._iterated(self._run or self._task, "iteration", self.reporter.attributes)
        is_end = progress.event == "end" and (progress.stage == "EM" or progress.failure)
        if has_runs and is_end and self._run.call_on_fit_task_end(**self._arguments):
            raise StopIteration

    def _iterated(self, task, name: str, attributes: Callable[[], dict[str, Any]] | None = None) -> None:
        """Begin and end a subtask without subtasks of its own."""
        subtask = task.subcontext(name)
        subtask.call_on_fit_task_begin(**self._arguments)
        if subtask.call_on_fit_task_end(**self._arguments, reconstruction_attributes=attributes):
            raise StopIteration

    def end(self) -> None:
        """The call is done."""
        if self._task is not None:
            self._task.call_on_fit_task_end(**self._arguments, reconstruction_attributes={})

    def close(self) -> None:
        """Let go of the callbacks, also after an error."""
        del self.reporter  # it holds this listener: a cycle that would keep all rows
        with_callbacks(lambda estimator: None)(self._estimator)
