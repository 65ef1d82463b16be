"""Thresholds of the package with values that let tiny data take the ways of big ones: (owner, name, value)."""

from fastgmm._rows import runner
from fastgmm._skipping import policy, trials

# A block of rows is worth a thread.
THREADS_ON_TINY_DATA = [(runner, "_THREAD_FLOPS", 1e-9)]

# Fits and predictions skip pairs at once, whatever that costs: with fewer than 5 features in cells, else by screens.
SKIPPING_ON_TINY_DATA = [
    *((trials.ScreenTrials, name, 0.0) for name in ("least_pass", "least_single_pass")),
    *((trials.CellTrials, name, 0.0) for name in ("least_pass", "least_single_pass")),
    (policy, "_TRIAL_SHARE", 1e9),
    *((trials, name, 100.0) for name in ("_WORTH", "_WORTH_ONCE")),
]


def set_for_good(*thresholds):
    """For a program of its own; tests have fixtures."""
    for owner, name, value in thresholds:
        getattr(owner, name)  # it must exist
        setattr(owner, name, value)
