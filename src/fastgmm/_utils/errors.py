"""Errors that code of this package catches: each says what did not work, and nothing else is caught in its place.

Those that reach the user are ValueErrors, as scikit-learn raises.
"""


class FitError(ValueError):
    """A run of EM cannot go on from the parameters it has; another start or other parameters may do."""


class IllDefinedCovarianceError(FitError):
    """A covariance is not positive-definite."""


class LostLikelihoodError(FitError):
    """The log-likelihood, or the bound in its place, is not finite."""


class OutOfRangeError(FitError):
    """Parameters exceed the range of the dtype of the data."""


class CheckpointError(Exception):
    """A file does not hold what a checkpoint holds."""


class PoorSampleError(Exception):
    """A sample of the rows is no good for a start."""


class NoScreenError(Exception):
    """The parameters are out of range for what decides which pairs a pass may skip."""
