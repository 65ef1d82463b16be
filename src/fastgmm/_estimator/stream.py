"""Learning from a stream of batches: one step of EM for each batch of rows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Self, cast

from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import check_random_state

from fastgmm._em.iteration import Iteration
from fastgmm._em.loop import EMResult, run_em
from fastgmm._em.stepwise import Stream, counted_rows, effective_rows, step_size, take_step
from fastgmm._estimator.base import while_fitting
from fastgmm._estimator.findings import Findings
from fastgmm._estimator.fit import Fitting
from fastgmm._estimator.fitted import set_fitted
from fastgmm._estimator.initial import start_of_rows
from fastgmm._estimator.noise import has_noise
from fastgmm._estimator.reporting import reporting
from fastgmm._input.rows import (
    allows_missing,
    check_fit_data,
    check_n_rows,
    check_predict_data,
    check_sample_weight,
    drop_unweighted_rows,
    warn_if_weights,
    weights_without_empty_rows,
)
from fastgmm._model.covariance import InverseMStep, require
from fastgmm._model.protocol import Parameters, StreamModel, require_of_model
from fastgmm._rows.array import ArrayPasses, total_weight
from fastgmm._start.find import parameter_finder
from fastgmm._utils.annotations import InitParams, Rows
from fastgmm._utils.errors import Stopped
from fastgmm._utils.progress import Callback, Reporter
from fastgmm._utils.values import is_positive_real


class Streaming(Fitting):
    """`partial_fit`. It keeps its state between two batches in `_stream`."""

    def partial_fit(
        self,
        X: Rows,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        callback: Callback | None = None,
    ) -> Self:
        """Learn from one more batch of rows.

        The first call fits the batch as `fit` does, but without `acceleration`. Components with too few rows for a
        covariance of their own borrow from the others.

        Every further call is one pass over its rows, also after `fit` or `fit_batches`. It moves the model towards the
        batch by a step that `step_decay` and `half_life` decide. A component that gets no rows keeps its mean and
        covariance, and its weight falls. It takes rows again if they return.

        To start anew, call `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The batch. The first one needs at least two rows, and one for each component. Make it large and
            representative, because later ones only correct its model. They may have any number of rows, and are
            converted to the dtype of the first.

        y : Ignored
            Present for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. If all weights are 0, a further batch changes nothing.

        callback : callable, default=None
            Called with a :class:`fastgmm.progress.Progress`, as in `fit`. If it raises StopIteration in the first
            batch, the last complete iteration is the result. In a further batch, the estimator stays as it was.

        Returns
        -------
        self : object
            The estimator. After an error it stays as it was.

        Raises
        ------
        ValueError
            As in `fit`. Also if `n_components` or `covariance_type` has changed, and if `n_samples_seen_` is missing,
            as in models that scikit-learn fitted: set it first.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> gmm = GaussianMixture(n_components=2, random_state=0)
        >>> for _ in range(20):
        ...     parts = rng.normal(0, 1, (60, 2)), rng.normal(8, 1, (140, 2))
        ...     gmm = gmm.partial_fit(np.concatenate(parts))
        >>> gmm.n_samples_seen_
        4000.0
        >>> np.sort(gmm.weights_).round(2)
        array([0.3, 0.7])
        """
        warn_if_weights(y, X)
        with reporting(self, callback, self.verbose_interval) as progress:
            findings = self._learn(X, sample_weight, progress)
        if findings is not None:
            findings.warn(self)
        return self

    def _learn(self, X, sample_weight, progress: Reporter) -> Findings | None:
        """Learn from a batch. None if it has no rows, or a callback stops the pass over them: then nothing changes."""
        is_first = not hasattr(self, "means_")
        self._check_before_fit(continues=not is_first)
        if getattr(self, "prior", None) is not None:
            raise ValueError(
                f"partial_fit does not work with prior={self.prior!r}, which needs the covariance of all rows: use fit "
                "or fit_batches, or pass prior=None."
            )
        require(self._structure, InverseMStep, "partial_fit")
        reader = clone(self) if is_first else self  # gets the names of the features, as in fit_batches
        X = check_fit_data(reader, X) if is_first else check_predict_data(self, X, self.means_.dtype)
        sample_weight = check_sample_weight(sample_weight, len(X), all_zero=not is_first)
        if allows_missing(self):
            sample_weight = weights_without_empty_rows(X, sample_weight)
        rows, weights = drop_unweighted_rows(X, sample_weight)
        if is_first:
            check_n_rows(len(rows), self.n_components)
        elif len(rows) == 0:
            return None
        weight, behind = total_weight(rows, weights), 0.0 if is_first else check_rows_behind(self)
        seen = weight + behind
        passes = self._passes_to_fit(rows, weights, progress)
        with while_fitting(passes.n_features, acceleration=None):
            model = self._model(passes) if is_first else self._further_model(passes)
            require_of_model(model, StreamModel, "partial_fit")
            iteration = Iteration(model, passes)
            if is_first:
                shape = self.n_components, len(X)
                start = start_of_rows(self.init_params, *shape, sample_weight, has_noise(self))
                parameters, stream, findings = self._learn_first(iteration, start, seen)
            else:
                try:
                    parameters, stream, findings = self._learn_more(iteration, behind, weight)
                except Stopped:
                    return None
            attributes = self._fitted_attributes(parameters, model)
            result = EMResult(parameters, stream.log_density, [stream.log_density], False)
            of_stream = {"n_iter_": stream.n_batches, "_stream": stream}
            set_fitted(self, attributes, result, passes.dtype, seen, reader, **of_stream)
        return findings

    def _learn_first(
        self, iteration: Iteration, init_params: InitParams, seen: float
    ) -> tuple[Parameters, Stream, Findings]:
        """Run EM on the first batch."""
        passes, random_state = iteration.passes, check_random_state(self.random_state)
        start = parameter_finder(iteration.model, passes, init_params, self.reg_covar, random_state)

        def iterate(learned):
            parameters, stream, bound = take_step(iteration, learned[0], None, 1.0, *self._n_rows(passes, seen))
            return (parameters, stream), bound

        result = run_em(
            lambda: (start(), None),
            iterate,
            n_init=self._n_starts,
            max_iter=max(1, self.max_iter),
            tol=self.tol,
            progress=passes.progress,
            stopping=self.stopping,
            rounding=iteration.rounding,
        )
        parameters, stream = result.parameters
        if stream is None:
            raise Stopped("EM")
        # The fit to the first batch need not converge, since further batches continue from it.
        findings = Findings.of_fit(replace(result, parameters=parameters, converged=True), iteration)
        return parameters, stream, findings

    def _learn_more(self, iteration: Iteration, behind: float, weight: float) -> tuple[Parameters, Stream, Findings]:
        """Take one step from the fitted parameters. `behind` is the weight of the rows seen before."""
        seen = behind + weight
        model, passes = cast(StreamModel, iteration.model), iteration.passes
        parameters = self._fitted_parameters(passes.n_features, self.n_components)
        before = getattr(self, "_stream", None)
        if before is None:
            before = Stream(model.statistics_for(parameters), behind, 0, math.nan)
        shape = model.structure.scatter_shape(self.n_components, passes.n_features)
        check_statistics_fit(self, before.statistics.scatter.shape, shape)
        step = step_size(weight, seen, self.step_decay, self.half_life)
        progress = passes.progress
        progress.begin_run(1, 1)
        progress.begin("EM", 1, 0)
        parameters, stream, bound = take_step(iteration, parameters, before, step, *self._n_rows(passes, seen))
        try:
            progress.iterate(0.0, parameters, lower_bound=bound)
            progress.end()
        except Stopped:
            pass  # the batch is learned
        return parameters, stream, Findings.of_batch(model, parameters, getattr(before, "is_empty", None))

    def _n_rows(self, passes: ArrayPasses, seen: float) -> tuple[float, float]:
        """Effective number of rows of a batch, and the number of rows that priors compete with."""
        return effective_rows(passes.sample_weight, len(passes.X)), counted_rows(seen, self.half_life)


def check_rows_behind(estimator) -> float:
    """`n_samples_seen_` as a float. Raises ValueError unless it is positive and finite."""
    n_samples_seen = getattr(estimator, "n_samples_seen_", math.nan)
    if not is_positive_real(n_samples_seen):
        raise ValueError(
            f"n_samples_seen_ must be a finite float > 0 for partial_fit to go on, got {n_samples_seen!r}: set it to "
            "the number of rows that the model was fitted to, which scikit-learn does not store, or call fit."
        )
    return float(n_samples_seen)


def check_statistics_fit(estimator, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Raise ValueError if the statistics of the stream have the shape of another covariance type."""
    if shape != expected:
        raise ValueError(
            f"The statistics of the rows so far have the shape {shape}, but covariance_type="
            f"{estimator.covariance_type!r} needs {expected}: a parameter was changed between two batches. Change it "
            "back, or call fit to start anew."
        )
