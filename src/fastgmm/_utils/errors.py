"""Errors that this package raises and catches. It catches no broader ones, which could hide a defect.

Those that users can see are ValueErrors, as in scikit-learn.
"""


class FitError(ValueError):
    """EM cannot go on from its parameters. Another start, or other settings, may work."""


class IllDefinedCovarianceError(FitError):
    """A covariance is not positive-definite."""


class LostLikelihoodError(FitError):
    """The log-likelihood, or the variational bound, is not finite."""


class OutOfRangeError(FitError):
    """Parameters exceed the range of the dtype of the data."""


class CheckpointError(Exception):
    """A file does not hold what a checkpoint holds."""


class PoorSampleError(Exception):
    """A sample of the rows does not represent them well enough to find a start on it."""


class Stopped(Exception):  # noqa: N818 - no error: the user wants it
    """A callback has ended the fit. It holds the stage at which that happened."""

    def __init__(self, stage: str):
        super().__init__(stage)
        self.stage = stage


class NoScreenError(Exception):
    """No screen can be made: the parameters are out of range."""
