"""Fits and inference on the chunks of dask collections."""

from __future__ import annotations

from copy import copy
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

try:
    import dask
    import dask.array as da
except ImportError as error:
    raise ImportError(
        'fastgmm.dask needs dask: python -m pip install "dask[array,dataframe]" distributed, on the workers too'
    ) from error

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm._em.checkpoint import open_checkpoint
from fastgmm._estimator.conversion import copied
from fastgmm._estimator.fit import START_ROWS, Fitting
from fastgmm._input.chunks import check_features, check_no_out, warn_of_idle_threads
from fastgmm._input.containers import column_names
from fastgmm._input.rows import allows_missing, check_n_rows, check_some_weight, warn_if_weights
from fastgmm._rows.chunk_passes import DaskPasses, Evaluation, TaskSettings, of_block, sums_of_chunk
from fastgmm._rows.chunks import ChunkSurvey, chunks_of, float_dtype, whole_rows, without_rows
from fastgmm._rows.engine import Engine
from fastgmm._utils.log import log
from fastgmm._utils.progress import Callback
from fastgmm._utils.words import counted

if TYPE_CHECKING:
    import dask.dataframe as dd


class OnChunks(Fitting):
    """Fits and inference on rows in the chunks of dask collections."""

    _local_class: type  # the estimator in memory

    if TYPE_CHECKING:  # dask arrays for dask collections, which are typed in parts; NumPy arrays for rows in memory

        def fit_predict(
            self, X: Any, y: object = None, sample_weight: Any = None, *, callback: Callback | None = None
        ) -> Any: ...
        def predict(self, X: Any, *, out: Any = None) -> Any: ...
        def predict_proba(self, X: Any, *, out: Any = None) -> Any: ...
        def score_samples(self, X: Any, *, out: Any = None) -> Any: ...
        def score(self, X: Any, y: object = None, sample_weight: Any = None) -> float: ...

    def fit(
        self,
        X: da.Array | dd.DataFrame,
        y: object = None,
        sample_weight: da.Array | dd.Series | ArrayLike | None = None,
        *,
        start_rows: int = START_ROWS,
        checkpoint: str | PathLike[str] | None = None,
        callback: Callback | None = None,
    ) -> Self:
        """Estimate the parameters.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features), or dask DataFrame
            The data, in chunks of rows. The number of rows may be unknown. float32 data are fitted in float32, all
            others in float64.

        y : Ignored
            Present for scikit-learn's conventions.

        sample_weight : dask array or Series of shape (n_samples,), default=None
            How often each row counts, at least 0, in the chunks of X. A NumPy array, and other chunks of known sizes,
            are cut to these. Rows of weight 0 are left out, also in random draws.

        start_rows : int, default=100_000
            Size of the uniform sample on which the start is found. All rows if there are fewer.

        checkpoint : path, default=None
            File that this process writes after each iteration. If it exists at the beginning, the fit goes on where it
            was interrupted. You may change `max_iter`, `tol`, `stopping`, `n_threads`, `verbose`, `client`, `persist`
            and the chunks before that. The file is deleted at the end of the fit, unless a callback stops it.

        callback : callable, default=None
            Called in this process with a :class:`fastgmm.progress.Progress`, after each pass over the chunks, after
            each iteration of k-means and of EM, and at the other events that this class lists. If it raises
            StopIteration, the fit ends: the last complete iteration is the result, and `converged_` is False.

        Returns
        -------
        self : object
            The fitted estimator. If reading fails, it stays as it was.

        Raises
        ------
        TypeError
            If X is neither a dask array nor a dask DataFrame.
        ValueError
            As in the estimator in memory. The message names the chunk.

        Warns
        -----
        ConvergenceWarning
            If the best run did not reach `tol` within `max_iter` iterations.
        UserWarning
            If there are fewer large chunks than threads of the cluster, so some threads have nothing to do.
        """
        warn_if_weights(y, X)
        is_plain = start_rows == START_ROWS and checkpoint is None  # as scikit-learn's fit
        if not (is_plain and self._fit_by_own_fit_predict(X, y, sample_weight, callback)):
            with self._reporting(callback, X, y, sample_weight) as progress:
                findings = self._fit_data(self._data_to_fit(X, sample_weight, progress, start_rows, checkpoint))
            findings.warn(self)
        return self

    def _data_to_fit(self, X, sample_weight, progress, start_rows=START_ROWS, checkpoint=None):
        self._check_before_fit(self._continues)
        self._check_start_on_sample(start_rows)
        random_state = check_random_state(self.random_state)
        checkpoint = open_checkpoint(checkpoint, random_state)
        reader = BaseEstimator()
        chunks = chunks_of(self, reader, X, sample_weight, reset=True)
        try:
            if chunks.fit_in_memory(chunks.n_rows) if self.persist == "auto" else self.persist:
                chunks.persist()
            progress.begin("reading")
            progress.begin_pass(None)
            survey = ChunkSurvey(chunks, allows_missing(self))
            check_n_rows(survey.n_rows, self.n_components)
            check_some_weight(survey.total_weight)
            if not chunks.persisted and self.persist == "auto" and chunks.fit_in_memory(survey.n_all_rows):
                chunks.persist()  # the number of rows was not known before
            n_threads = self.n_threads or chunks.engine.n_threads_of_task(len(survey.counts))
            if self.verbose:
                where = "held in memory" if chunks.persisted else "read anew in each iteration"
                size = f"{counted(len(chunks), 'chunk')}, {counted(survey.n_all_rows, 'row')}"
                log(f"{size}, {where}; {counted(n_threads, 'thread')} for each task")
            progress.read(survey.n_rows)
            progress.end()
            n_chunks = len(survey.counts)
            chunk_bytes = survey.n_all_rows / n_chunks * chunks.n_features * chunks.dtype.itemsize
            warn_of_idle_threads(chunks.engine.n_idle_threads(n_chunks), n_chunks, chunk_bytes)
            unit = self._weight_unit(survey.largest_weight)
            shape = self.n_components, self._structure
            settings = TaskSettings(chunks.dtype, unit, *shape, n_threads, survey.misses_values)
            passes = DaskPasses(chunks, survey, survey.choose(start_rows, random_state), settings, progress)
        except BaseException:
            chunks.release()
            raise
        return self._sampled_data(X, passes, survey, random_state, reader, checkpoint)

    def _fit_data(self, data):
        chunks = data.passes.chunks
        try:
            findings = super()._fit_data(data)
        finally:
            chunks.release()
        self._persisted = chunks.persisted
        return findings

    @property
    def persisted_(self) -> bool:
        """Whether the rows stayed in memory during the fit."""
        return self._persisted

    def __getattr__(self, name):
        """Raise AttributeError. It says what to call in place of a method that the estimator in memory has."""
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        if name == "fit_batches":
            message += ": its batches are the chunks of X. Call fit, or fit_batches of the same estimator in fastgmm."
        elif not name.startswith("_") and hasattr(self._local_class, name):
            message += ": call that of the estimator which to_local() gives, with rows in memory."
        raise AttributeError(message, name=name, obj=self)

    def to_local(self) -> Any:
        """Copy the fitted model to an estimator in memory, of the class of the same name in :mod:`fastgmm`.

        Returns
        -------
        estimator : object
            It has copies of the fitted attributes and of all parameters except `client` and `persist`.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.
        """
        return copied(self, self._local_class())

    def _for_rows(self, quantity, X, out, is_checked=False):
        if not dask.is_dask_collection(X):
            return super()._for_rows(quantity, X, out, is_checked)
        check_is_fitted(self)
        check_no_out(out)
        rows = whole_rows(X)
        check_features(self, without_rows(X), reset=False)
        components = self._fitted_components(rows.shape[1])
        chunks = (rows.chunks[0], (len(self.means_),)) if quantity.per_component else (rows.chunks[0],)
        n_threads = self.n_threads or Engine(self.client).n_threads_of_task(rows.numblocks[0])
        arguments = float_dtype(rows), column_names(X), n_threads, allows_missing(self)
        evaluation = Evaluation(quantity.of_passes, components, self._structure, *arguments)
        return rows.map_blocks(
            of_block,
            evaluation=dask.delayed(evaluation, pure=True),  # sent once to each worker
            drop_axis=None if quantity.per_component else 1,
            chunks=chunks,
            meta=np.empty((0,) * len(chunks), quantity.dtype or float_dtype(rows)),
        )

    def _sums(self, of_passes, X, sample_weight):
        if not dask.is_dask_collection(X):
            return super()._sums(of_passes, X, sample_weight)
        check_is_fitted(self)
        chunks = chunks_of(self, self, X, sample_weight, reset=False)
        components = self._fitted_components(chunks.n_features)
        n_threads = self.n_threads or chunks.engine.n_threads_of_task(len(chunks))
        arguments = chunks.dtype, chunks.columns, n_threads, allows_missing(self)
        evaluation = Evaluation(of_passes, components, self._structure, *arguments)
        task = partial(sums_of_chunk, evaluation=evaluation)
        *sums, n = chunks.sum(task, dict.fromkeys(range(len(chunks)))).tolist()
        check_some_weight(n)
        return sums if len(sums) > 1 else sums[0], n

    def __getstate__(self):
        return {**super().__getstate__(), "client": None}  # a connection belongs to its process

    def __sklearn_clone__(self):
        """As scikit-learn's, with metadata requests and callbacks, but the same client."""
        cloned = super(OnChunks, copy(self)).__sklearn_clone__()  # a copy has no client, as a pickle
        cloned.client = self.client
        return cloned
