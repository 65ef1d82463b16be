"""The estimators on dask arrays and DataFrames.

They are the estimators of the same names in :mod:`fastgmm`, with the same EM. Rows may be on many machines, or on disk.
The estimators run on your dask cluster or scheduler. Each pass over the rows is one task for each chunk, and only sums
over rows travel. dask must be installed, on the workers too: ``python -m pip install "dask[array,dataframe]"
distributed``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from numpy.typing import ArrayLike

from fastgmm import bayesian, mixture, student
from fastgmm._estimator.maximum_likelihood import MaximumLikelihoodMixture
from fastgmm._estimator.parameters import with_advice
from fastgmm._estimator.questions import Questions
from fastgmm._estimator.student import StudentMixture
from fastgmm._estimator.variational import VariationalMixture
from fastgmm._on_chunks import OnChunks
from fastgmm._utils.annotations import (
    Acceleration,
    CovarianceType,
    DegreesOfFreedom,
    Fixed,
    InitParams,
    Missing,
    Prior,
    RandomState,
    Stopping,
    WeightPriorType,
)

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["BayesianGaussianMixture", "GaussianMixture", "StudentTMixture"]


class GaussianMixture(OnChunks, Questions, MaximumLikelihoodMixture):
    """Gaussian mixture, fitted by expectation-maximization to a dask array or DataFrame.

    From the same start the result is that of :class:`fastgmm.GaussianMixture` on the same rows, up to rounding, for any
    chunks. Fitted attributes are NumPy arrays.

    Parameters
    ----------
    n_components, covariance_type, tol, reg_covar, max_iter, n_init, init_params, weights_init, means_init, \
precisions_init, fixed, random_state, warm_start, verbose, verbose_interval, stopping, acceleration, noise, \
step_decay, half_life, missing, prior
        As in :class:`fastgmm.GaussianMixture`. With `verbose` a line says whether the data are held in memory.

    n_threads : int or None, default=None
        Number of threads of each task. None: 1, because a worker runs as many tasks at a time as it has threads. If
        there are fewer chunks than threads, a task uses more.

    client : distributed.Client or None, default=None
        Where the passes run. None: on the current client if there is one, or else on dask's default scheduler. The
        client is not pickled.

    persist : bool or 'auto', default='auto'
        True: the rows stay in the memory of the workers during the fit. False: each iteration reads them again.
        'auto': True if they take at most half of the memory of the cluster or machine.

    Attributes
    ----------
    persisted_ : bool
        Whether the rows stayed in memory during the fit.

    weights_, means_, covariances_, precisions_, precisions_cholesky_, noise_weight_, noise_log_density_, noise_box_, \
converged_, n_iter_, lower_bound_, lower_bounds_, n_samples_seen_, n_features_in_, feature_names_in_
        As in :class:`fastgmm.GaussianMixture`.

    See Also
    --------
    fastgmm.GaussianMixture : The estimator in memory, which `to_local` returns.

    Notes
    -----
    For a dask collection `predict`, `predict_proba`, `score_samples` and `fit_predict` return dask arrays with the same
    chunks, not computed yet. For rows in memory they return NumPy arrays. `score`, `aic` and `bic` return numbers.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from fastgmm.dask import GaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> parts = rng.normal(0, 1, (300, 2)), rng.normal(8, 1, (700, 2))
    >>> X = np.concatenate(parts)
    >>> chunked = da.from_array(X, chunks=(250, -1))
    >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(chunked)
    >>> np.sort(gmm.weights_).round(2)
    array([0.3, 0.7])
    >>> labels = gmm.predict(da.from_array(X, chunks=(250, -1)))
    >>> labels.chunks
    ((250, 250, 250, 250),)
    """

    _local_class = mixture.GaussianMixture

    if TYPE_CHECKING:

        def to_local(self) -> mixture.GaussianMixture: ...

    @with_advice
    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        fixed: Fixed = None,
        random_state: RandomState = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        stopping: Stopping = "change",
        acceleration: Acceleration | None = None,
        noise: bool | float = False,
        step_decay: float = 0.6,
        half_life: float | None = None,
        missing: Missing = "raise",
        prior: Prior | None = None,
        client: Client | None = None,
        persist: bool | Literal["auto"] = "auto",
    ) -> None:
        self._keep(locals())

    def _new_mixture(self, **parameters):
        return mixture.GaussianMixture(**parameters)


class BayesianGaussianMixture(OnChunks, Questions, VariationalMixture):
    """Gaussian mixture with priors, fitted by variational inference to a dask array or DataFrame.

    From the same start the result is that of :class:`fastgmm.BayesianGaussianMixture` on the same rows, up to rounding,
    for any chunks. Fitted attributes are NumPy arrays.

    Parameters
    ----------
    n_components, covariance_type, tol, reg_covar, max_iter, n_init, init_params, weight_concentration_prior_type, \
weight_concentration_prior, mean_precision_prior, mean_prior, degrees_of_freedom_prior, covariance_prior, \
random_state, warm_start, verbose, verbose_interval, stopping, acceleration, step_decay, half_life, missing
        As in :class:`fastgmm.BayesianGaussianMixture`. With `verbose` a line says whether the data are held in memory.

    n_threads, client, persist
        As in :class:`fastgmm.dask.GaussianMixture`.

    Attributes
    ----------
    persisted_ : bool
        Whether the rows stayed in memory during the fit.

    weights_, means_, covariances_, ...
        As in :class:`fastgmm.BayesianGaussianMixture`.

    See Also
    --------
    fastgmm.BayesianGaussianMixture : The estimator in memory, which `to_local` returns.

    Notes
    -----
    See :class:`fastgmm.dask.GaussianMixture` for what the methods return.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from fastgmm.dask import BayesianGaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> parts = rng.normal(0, 1, (300, 2)), rng.normal(8, 1, (700, 2))
    >>> X = np.concatenate(parts)
    >>> bgm = BayesianGaussianMixture(n_components=6, max_iter=500, random_state=0)
    >>> np.sort(bgm.fit(da.from_array(X, chunks=(250, -1))).weights_).round(2)
    array([0. , 0. , 0. , 0. , 0.3, 0.7])
    """

    _local_class = bayesian.BayesianGaussianMixture

    if TYPE_CHECKING:

        def to_local(self) -> bayesian.BayesianGaussianMixture: ...

    @with_advice
    def __init__(
        self,
        *,
        n_components: int = 1,
        covariance_type: CovarianceType = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        weight_concentration_prior_type: WeightPriorType = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: ArrayLike | None = None,
        random_state: RandomState = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        stopping: Stopping = "change",
        acceleration: Acceleration | None = None,
        step_decay: float = 0.6,
        half_life: float | None = None,
        missing: Missing = "raise",
        client: Client | None = None,
        persist: bool | Literal["auto"] = "auto",
    ) -> None:
        self._keep(locals())

    def _new_mixture(self, **parameters):
        return mixture.GaussianMixture(**parameters)


class StudentTMixture(OnChunks, Questions, StudentMixture):
    """Mixture of t distributions, fitted by expectation-maximization to a dask array or DataFrame.

    From the same start the result is that of :class:`fastgmm.StudentTMixture` on the same rows, up to rounding, for any
    chunks. Fitted attributes are NumPy arrays.

    Parameters
    ----------
    n_components, covariance_type, degrees_of_freedom, tol, reg_covar, max_iter, n_init, init_params, weights_init, \
means_init, precisions_init, random_state, warm_start, verbose, verbose_interval, stopping
        As in :class:`fastgmm.StudentTMixture`. With `verbose` a line says whether the data are held in memory.

    n_threads, client, persist
        As in :class:`fastgmm.dask.GaussianMixture`.

    Attributes
    ----------
    persisted_ : bool
        Whether the rows stayed in memory during the fit.

    weights_, means_, scales_, degrees_of_freedom_, ...
        As in :class:`fastgmm.StudentTMixture`.

    See Also
    --------
    fastgmm.StudentTMixture : The estimator in memory, which `to_local` returns.

    Notes
    -----
    See :class:`fastgmm.dask.GaussianMixture` for what the methods return.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from fastgmm.dask import StudentTMixture
    >>> rng = np.random.default_rng(0)
    >>> parts = rng.standard_t(3, (300, 2)), rng.normal(9, 1, (700, 2))
    >>> X = da.from_array(np.concatenate(parts), chunks=(250, -1))
    >>> tmm = StudentTMixture(n_components=2, random_state=0).fit(X)
    >>> np.sort(tmm.weights_).round(2)
    array([0.3, 0.7])
    """

    _local_class = student.StudentTMixture

    if TYPE_CHECKING:

        def to_local(self) -> student.StudentTMixture: ...

    @with_advice
    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        degrees_of_freedom: DegreesOfFreedom = "varying",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: RandomState = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        stopping: Stopping = "change",
        n_threads: int | None = None,
        client: Client | None = None,
        persist: bool | Literal["auto"] = "auto",
    ) -> None:
        self._keep(locals())

    def _new_mixture(self, **parameters):
        return student.StudentTMixture(**parameters)
