"""The errors that code of this package catches. It catches no broader ones, so that a defect is not taken for bad luck.

Those that reach the user are ValueErrors, as scikit-learn raises.
"""


class FitError(ValueError):
    """A run of EM cannot go on from its parameters. Another start, or other settings, may do."""


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


class NoScreenError(Exception):
    """No screen can be made: the parameters are out of range."""
