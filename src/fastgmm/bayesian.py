"""`BayesianGaussianMixture`: the variational mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from fastgmm._estimator.fit import LocalFitting
from fastgmm._estimator.model_checks import ModelChecks
from fastgmm._estimator.parameters import with_advice
from fastgmm._estimator.stream import Streaming
from fastgmm._estimator.variational import VariationalMixture
from fastgmm._utils.annotations import (
    Acceleration,
    CovarianceType,
    Features,
    InitParams,
    Missing,
    RandomState,
    Stopping,
    WeightPriorType,
)
from fastgmm.mixture import GaussianMixture


class BayesianGaussianMixture(LocalFitting, Streaming, ModelChecks, VariationalMixture):
    r"""Gaussian mixture with priors, fitted by variational inference.

    A drop-in replacement for :class:`sklearn.mixture.BayesianGaussianMixture`, with the same parameters, attributes and
    results. Sample weights, streams and more are added. `n_components` is an upper limit: components that the data do
    not need end up with a weight near 0. Each iteration is one multithreaded pass over the data, and no array of
    n_samples x n_components is stored.

    Parameters
    ----------
    n_components : int, default=1
        Largest number of mixture components.

    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        Form of the covariance matrices:

        - 'full': each component has its own matrix;
        - 'tied': all components share one matrix;
        - 'diag': each component has its own diagonal matrix;
        - 'spherical': each component has a single variance.

    tol : float, default=1e-3
        Iterations stop when `lower_bound_`, the bound on the log-evidence of all rows, changes by less than this.

    reg_covar : float, default=1e-6
        Added to the variances of the rows of each component, in squared units of the data.

    max_iter : int, default=100
        Largest number of iterations. With 0 the start becomes the fitted model.

    n_init : int, default=1
        Number of starts. The fit with the highest lower bound is kept. Starts that fail are left out, with a warning.
        If all fail, the fit raises their error.

    init_params : str, callable or array, default='kmeans'
        How to find the first parameters:

        - 'kmeans': from the clusters of one run of k-means;
        - 'k-means++': from one row for each component, chosen by k-means++;
        - 'random': from uniform random responsibilities;
        - 'random_from_data': from one random row for each component;
        - 'sample': from a mixture fitted to a random sample. This is much faster than 'kmeans' if there are many rows.
          scikit-learn does not have it. With fewer than 40,000 rows, or 320 for each component, it is the same as
          'kmeans', and also if the sample has missed rows very far out;
        - 'split_merge': from a mixture fitted to a sample of 2,000 rows or more, by EM that also splits and merges
          components [5]_. It seldom ends in a poor optimum. With a small `tol` it takes about as long as three fits,
          and longer beside fits of a few iterations. scikit-learn does not have it;
        - array of shape (n_samples,): a label from 0 to n_components - 1 for each row of X. Components may
          be without rows. There is only one start, whatever `n_init` is;
        - array of shape (n_samples, n_components): responsibilities, which sum to 1 in each row;
        - callable: a function that returns such an array, called for each start as ``f(X, n_components, random_state)``
          with the rows of positive weight, or a sample if rows are not in memory, and a RandomState.

    weight_concentration_prior_type : {'dirichlet_process', 'dirichlet_distribution'}, default='dirichlet_process'
        Prior of the weights: that of an infinite mixture, by stick-breaking up to `n_components`, or that of a finite
        mixture.

    weight_concentration_prior : float or None, default=None
        Concentration of that prior. The lower it is, the fewer components keep rows. None: ``1 / n_components``.

    mean_precision_prior : float or None, default=None
        Number of rows that `mean_prior` counts for in the mean of each component. None: 1.

    mean_prior : array-like of shape (n_features,), default=None
        Prior mean of the components. None: the mean of X.

    degrees_of_freedom_prior : float or None, default=None
        Degrees of freedom of the Wishart prior of the precisions: the number of rows that `covariance_prior` counts
        for. Must be greater than ``n_features - 1``. None: `n_features`.

    covariance_prior : float or array-like, default=None
        Covariance that you expect of a component, times `degrees_of_freedom_prior`. None: the covariance of X. The
        shape depends on `covariance_type`::

            (n_features, n_features) for 'full' and 'tied'
            (n_features,)            for 'diag'
            float                    for 'spherical'

    random_state : int, RandomState instance or None, default=None
        Random numbers for the start and for `sample`. An int makes both repeatable. The draws are those of
        scikit-learn.

    warm_start : bool, default=False
        If True, a further `fit` continues from the fitted parameters and ignores `n_init`.

    verbose : int, default=0
        1 logs the end of k-means and of each run, and every `verbose_interval` iterations, with the bound and the time;
        2 also iterations of k-means and passes over batches. The lines go to the logger ``fastgmm``, and are printed
        unless logging is configured for it.

    verbose_interval : int, default=10
        Number of iterations between two lines.

    stopping : {'change', 'aitken'}, default='change'
        What `tol` is compared with:

        - 'change': the change of `lower_bound_` in the last iteration, as in scikit-learn. If EM is slow, this is
          small long before the optimum. With `acceleration` it is the change that an EM iteration would make, to first
          order;
        - 'aitken': an estimate of the change in all iterations to come, from the rate at which the changes shrink
          [3]_. The fit then ends about `tol` below its local optimum.

    acceleration : {'lbfgs'} or None, default=None
        'lbfgs' needs fewer iterations if clusters overlap. It takes L-BFGS steps [4]_, with EM steps in place of
        gradients, and a plain EM step whenever an L-BFGS step would lower the bound. From the same start it may end in
        another local optimum than EM, a better one as often as a worse one.

    step_decay : float, default=0.6
        How fast the steps of `partial_fit` shrink. A batch of weight b moves the model by a step of
        ``(b / W) ** step_decay``, with W the total weight so far. Must be in (0.5, 1]. With 1, all rows count equally;
        smaller values let later batches count more. Take 0.8 for batches of a few rows.

    half_life : float or None, default=None
        For data that drift: `partial_fit` lets a row count half as much once this many more rows have come. No step is
        then shorter than ``1 - 2 ** (-b / half_life)``. None: no row fades, and steps become ever shorter.

    missing : {'raise', 'marginalize'}, default='raise'
        What NaN in X means, and what else stands for a missing value, such as pandas.NA:

        - 'raise': an error;
        - 'marginalize': the value is not known. The posterior is that given the values that are there [6]_, and
          predictions use these. It is right if values are missing at random: whether one is missing may depend on the
          others of its row, but not on itself. Starts are found on rows filled by the regression on the values that are
          there, under a single Gaussian. A row without any value counts for nothing.

    n_threads : int or None, default=None
        Number of threads. None uses all that the machine grants; CPU affinity, cgroup quota, ``OMP_NUM_THREADS`` and
        the limits of threadpoolctl are respected. For a given number, results repeat bit by bit.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Expected weight of each component under the posterior. This and the following arrays have the dtype of the data,
        float32 or float64.

    means_ : ndarray of shape (n_components, n_features)
        Mean of the posterior of each component's mean.

    covariances_ : ndarray
        Covariance of each component: the inverse of its expected precision. The shape depends on `covariance_type`::

            (n_components, n_features, n_features) for 'full'
            (n_features, n_features)               for 'tied'
            (n_components, n_features)             for 'diag'
            (n_components,)                        for 'spherical'

    precisions_ : ndarray
        Inverses of the covariances, in the same shape.

    precisions_cholesky_ : ndarray
        Upper-triangular U with ``precision = U @ U.T``. For 'diag' and 'spherical': square roots of the precisions.

    converged_ : bool
        Whether the best run reached `tol` within `max_iter` iterations. False after `partial_fit`.

    n_iter_ : int
        Number of iterations of the best run. Each is one pass over the rows; rejected steps of `acceleration` count as
        well. After `partial_fit` it is the number of batches.

    lower_bound_ : float
        Bound on the log-evidence of all rows after the last iteration of the best run, up to a constant. After
        `partial_fit` it is the mean log-density of a row of the last batch, before the model learned from it.

    lower_bounds_ : list of float
        The same for each iteration of the best run. For a rejected step of `acceleration` it is the highest bound so
        far. After `partial_fit` it has one entry, for the last batch.

    weight_concentration_prior_ : float
        The value given, or the default. So are the next four.

    mean_precision_prior_ : float

    mean_prior_ : ndarray of shape (n_features,)

    degrees_of_freedom_prior_ : float

    covariance_prior_ : float or ndarray

    weight_concentration_ : ndarray of shape (n_components,), or tuple of two such arrays
        Parameters of the posterior of the weights: of a Dirichlet distribution or, for 'dirichlet_process', both
        parameters of each Beta distribution.

    mean_precision_ : ndarray of shape (n_components,)
        Number of rows that each mean counts for, with those of the prior.

    degrees_of_freedom_ : ndarray of shape (n_components,), or float for 'tied'
        Degrees of freedom of the posterior of each precision.

    n_samples_seen_ : float
        Number of rows that the model has learned from, or the sum of their weights: those of the last fit and of every
        `partial_fit` since. Assign to it to give the current model more or less weight in later `partial_fit` calls.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only there if all column names of X are strings.

    See Also
    --------
    GaussianMixture : The mixture without priors.
    sklearn.mixture.BayesianGaussianMixture : The estimator that this one replaces.

    Notes
    -----
    The E step is that of a Gaussian mixture with other constants. The M step adds the priors to the weighted moments
    ([1]_ eqs. 10.46-10.70; stick-breaking as in [2]_). An iteration costs about as much as one of `GaussianMixture`.

    A sample weight of 3 equals three copies of the row, and 0 leaves it out. If all weights are doubled, the priors
    count for half as much.

    References
    ----------
    .. [1] Bishop, "Pattern Recognition and Machine Learning", 2006, section 10.2.
    .. [2] Blei and Jordan, "Variational inference for Dirichlet process mixtures", Bayesian Analysis 1, 2006.
    .. [3] Aitken's extrapolation; Lindsay, "Mixture models: theory, geometry and applications", 1995. The rate is the
       larger one of the last two. With `acceleration` the estimate uses the curvature that L-BFGS has found.
    .. [4] Jamshidian and Jennrich, "Acceleration of the EM algorithm by using quasi-Newton methods", J. R. Stat.
       Soc. B 59, 1997. The coordinates are chosen so that units of the features do not matter.
    .. [5] Ueda, Nakano, Ghahramani and Hinton, "SMEM algorithm for mixture models", Neural Computation 12, 2000.
    .. [6] Ghahramani and Jordan, "Supervised learning from incomplete data via an EM approach", NIPS 1994; with
       expectations of the precisions.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import BayesianGaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> parts = rng.normal(0, 1, (300, 2)), rng.normal(8, 1, (700, 2))
    >>> X = np.concatenate(parts)
    >>> bgm = BayesianGaussianMixture(n_components=6, max_iter=500, random_state=0)
    >>> bgm = bgm.fit(X)
    >>> np.sort(bgm.weights_).round(2)
    array([0. , 0. , 0. , 0. , 0.3, 0.7])
    >>> bgm.score_samples([[0, 0], [4, 4]]).round(1)
    array([ -3.2, -11.9])
    """

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
        stopping: Stopping = "change",
        acceleration: Acceleration | None = None,
        step_decay: float = 0.6,
        half_life: float | None = None,
        missing: Missing = "raise",
        n_threads: int | None = None,
    ) -> None:
        self._keep(locals())

    if TYPE_CHECKING:

        def marginal(self, features: Features) -> GaussianMixture: ...

        def condition(self, features: Features, values: ArrayLike) -> GaussianMixture: ...

    def _new_mixture(self, **parameters):
        return GaussianMixture(**parameters)
