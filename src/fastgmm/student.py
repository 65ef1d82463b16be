"""`StudentTMixture`: the mixture of t distributions."""

from __future__ import annotations

from numpy.typing import ArrayLike

from fastgmm._estimator.fit import LocalFitting
from fastgmm._estimator.model_checks import ModelChecks
from fastgmm._estimator.parameters import with_advice
from fastgmm._estimator.student import StudentMixture
from fastgmm._utils.annotations import CovarianceType, DegreesOfFreedom, InitParams, RandomState, Stopping


class StudentTMixture(LocalFitting, ModelChecks, StudentMixture):
    r"""Mixture of multivariate t distributions, for clusters with heavy tails and for data with outliers.

    It is used like :class:`GaussianMixture`. A row far from a component hardly moves its mean and scale. How far "far"
    is, the degrees of freedom say, which are estimated: few mean heavy tails, and with many a t distribution is a
    Gaussian.

    Parameters
    ----------
    n_components : int, default=1
        Number of mixture components.

    covariance_type : str, default='full'
        Form of the scale matrices, as that of the covariances of :class:`GaussianMixture`.

    degrees_of_freedom : {'varying', 'common'} or float, default='varying'
        Degrees of freedom of the components:

        - 'varying': each component has its own, which is estimated;
        - 'common': all components share one, which is estimated;
        - float from 0.1 to 1000: all components have this one.

        Estimates are between 0.1 and 1000.

    tol : float, default=1e-3
        EM stops when `lower_bound_`, the mean log-likelihood of a row in nats, changes by less than this.

    reg_covar : float, default=1e-6
        Added to the variances in the scale matrices, in squared units of the data.

    max_iter : int, default=100
        Largest number of EM iterations. With 0 the start becomes the fitted model.

    n_init : int, default=1
        Number of starts. The fit with the highest lower bound is kept. Starts that fail are left out, with a warning.
        If all fail, the fit raises their error.

    init_params : str, callable or array, default='kmeans'
        How to find the first parameters, as in :class:`GaussianMixture`. The start is that of a Gaussian mixture: its
        covariances are the first scale matrices. Estimated degrees of freedom start from 10.

    weights_init : array-like of shape (n_components,), default=None
        Initial weights. They must sum to 1. None: from `init_params`.

    means_init : array-like of shape (n_components, n_features), default=None
        Initial means. None: from `init_params`.

    precisions_init : array-like, default=None
        Initial inverse scale matrices, in the shape of `scales_`. None: from `init_params`.

    random_state : int, RandomState instance or None, default=None
        Random numbers for the start and for `sample`. An int makes both repeatable.

    warm_start : bool, default=False
        If True, a further `fit` continues from the fitted parameters and ignores `n_init`.

    verbose : int, default=0
        1 logs the end of k-means and of each run, and every `verbose_interval` iterations; 2 also iterations of k-means
        and passes over batches. The lines go to the logger ``fastgmm``.

    verbose_interval : int, default=10
        Number of iterations between two lines.

    stopping : {'change', 'aitken'}, default='change'
        What `tol` is compared with: the change of `lower_bound_` in the last iteration, or an estimate of the change in
        all iterations to come.

    n_threads : int or None, default=None
        Number of threads. None uses all that the machine grants. For a given number, results repeat bit by bit.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Weight of each component, summing to 1. This and the following arrays have the dtype of the data, float32 or
        float64.

    means_ : ndarray of shape (n_components, n_features)
        Center of each component: its mean, if it has more than one degree of freedom.

    scales_ : ndarray
        Scale matrix of each component. With nu > 2 degrees of freedom the covariance is nu / (nu - 2) times the scale
        matrix; with fewer it is infinite. The shape depends on `covariance_type`, as that of the covariances of
        :class:`GaussianMixture`.

    precisions_cholesky_ : ndarray
        Upper-triangular U whose ``U @ U.T`` is the inverse of the scale matrix. For types along the axes: inverse
        square roots of the scales.

    degrees_of_freedom_ : ndarray of shape (n_components,)
        Degrees of freedom of each component.

    converged_ : bool
        Whether the best run reached `tol` within `max_iter` iterations.

    n_iter_ : int
        Number of iterations of the best run. Each is one pass over the rows.

    lower_bound_ : float
        Weighted mean log-likelihood of a row, in nats, in the last iteration of the best run, before its M step.

    lower_bounds_ : list of float
        The same for each iteration of the best run.

    n_samples_seen_ : float
        Number of rows of the fit, or the sum of their weights.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only there if all column names of X are strings.

    See Also
    --------
    GaussianMixture : The mixture of Gaussians.
    GaussianMixtureIC : Compares the two, with ``distribution=["gaussian", "t"]``.

    Notes
    -----
    The density of a component in d dimensions is :math:`t(x \mid \mu, \Sigma, \nu) \propto (1 + q / \nu)^{-(\nu + d) /
    2}`, where q is the squared Mahalanobis distance. EM treats the scale of each row as missing, too [1]_: a row counts
    with the weight :math:`u = (\nu + d) / (\nu + q)` in means and scale matrices. Parameter expansion [2]_ saves
    iterations. Degrees of freedom solve an equation in one unknown.

    An iteration is one pass over the rows. Beside `GaussianMixture` it takes 2.5 times as long with two features, 1.4
    (full) to 2 times (spherical) with 8, and 1.0 to 1.4 times with 32. No pairs of a row and a component are skipped,
    so many components cost more.

    Gross outliers can take clusters of k-means, and the fit may keep them. Then several starts from random rows are
    better: ``init_params="random_from_data", n_init=10``.

    References
    ----------
    .. [1] Peel and McLachlan, "Robust mixture modelling using the t distribution", Statistics and Computing 10, 2000.
    .. [2] Liu, Rubin and Wu, "Parameter expansion to accelerate EM: the PX-EM algorithm", Biometrika 85, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import StudentTMixture
    >>> rng = np.random.default_rng(0)
    >>> parts = rng.standard_t(3, (500, 2)), rng.normal(9, 1, (500, 2))
    >>> X = np.concatenate(parts)
    >>> tmm = StudentTMixture(n_components=2, random_state=0).fit(X)
    >>> tmm.predict([[0, 0], [9, 9]])
    array([1, 0])
    """

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
    ) -> None:
        self._keep(locals())

    def _new_mixture(self, **parameters):
        return StudentTMixture(**parameters)
