"""The findings of a fit besides its parameters, and the warnings about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastgmm._em.iteration import Iteration
from fastgmm._em.loop import EMResult
from fastgmm._model.protocol import Model
from fastgmm._utils.errors import FitError
from fastgmm._utils.warnings import warn
from fastgmm._utils.words import listed

_MOST_NAMED = 10  # largest number of components or features that a warning lists


@dataclass(frozen=True, slots=True)
class Findings:
    """What the user of a fit must know about it.

    Attributes
    ----------
    converged : bool
        Also true if nothing can be done about it: without iterations, or if a callback has ended the fit.
    failures : tuple of FitError
        The errors of the starts that failed.
    without_rows : ndarray of shape (n,)
        Numbers of the components that have no rows.
    hidden : ndarray of shape (n,)
        Numbers of the features whose variance `reg_covar` hides.
    variances : ndarray of shape (n,)
        The variances of these features.
    """

    converged: bool
    failures: tuple[FitError, ...]
    without_rows: np.ndarray
    hidden: np.ndarray
    variances: np.ndarray

    @classmethod
    def of_fit(cls, result: EMResult, iteration: Iteration) -> Findings:
        """The findings of the best run of EM. Makes a pass if a component has little variance besides `reg_covar`."""
        converged = result.converged or result.stopped or not result.lower_bounds
        without_rows = iteration.model.without_rows(result.parameters)
        return cls(converged, result.failures, without_rows, *iteration.hidden_features(result.parameters))

    @classmethod
    def of_batch(cls, model: Model, parameters, was_empty: np.ndarray | None) -> Findings:
        """The findings of a further batch of a stream: components that had rows before it and have none now."""
        lost = model.without_rows(parameters)
        if was_empty is not None:
            lost = lost[~was_empty[lost]]
        return cls(True, (), lost, np.empty(0, np.intp), np.empty(0))

    def warn(self, estimator, not_converged: str = "") -> None:
        """Warn of all findings. The warnings name parameters and features of the estimator.

        `not_converged` is a sentence for a fit that did not converge; by default it says so in terms of `tol`.
        """
        if not self.converged:
            is_plain = estimator.stopping == "change"
            change = "last change of lower_bound_" if is_plain else "estimated change still to come"
            after = f"After max_iter={estimator.max_iter} iterations"
            not_converged = not_converged or f"{after} the {change} was not below tol={estimator.tol}."
            warn(
                "Best performing initialization did not converge. Try different init parameters, or increase max_iter, "
                f"tol, or check for degenerate data. {not_converged}",
                ConvergenceWarning,
            )
        if self.failures:
            warn(
                f"{len(self.failures)} of n_init={estimator.n_init} starts failed. The others were kept. The first "
                f"failure: {self.failures[0]}",
                ConvergenceWarning,
            )
        if len(self.without_rows):
            one = len(self.without_rows) == 1
            warn(
                f"{_named('Component', self.without_rows)} {'has' if one else 'have'} no rows. "
                f"{'It keeps its mean and covariance' if one else 'They keep their means and covariances'}, and "
                f"{'its weight is' if one else 'their weights are'} nearly 0. Use fewer components or another start if "
                "the rows will not return.",
                ConvergenceWarning,
            )
        if len(self.hidden):
            names = [repr(name) for name in getattr(estimator, "feature_names_in_", ())]
            named = _named("feature", [names[j] for j in self.hidden] if names else self.hidden)
            least, largest = self.variances.min(), self.variances.max()
            found = f"{least:.3g}" if len(self.hidden) == 1 else f"{least:.3g} to {largest:.3g}"
            warn(
                f"reg_covar={estimator.reg_covar:g} is far above the variance of {named} ({found}): it hides how the "
                "rows differ there. Rescale the features, for example with StandardScaler, or choose a smaller "
                "reg_covar."
            )


def _named(noun: str, items: Sequence | np.ndarray) -> str:
    """'component 3', or 'components 1, 3 and 5'."""
    return f"{noun if len(items) == 1 else noun + 's'} {listed(items, _MOST_NAMED)}"
