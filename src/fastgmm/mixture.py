"""`GaussianMixture`: the mixture without priors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from fastgmm._estimator.fit import LocalFitting
from fastgmm._estimator.maximum_likelihood import MaximumLikelihoodMixture
from fastgmm._estimator.model_checks import ModelChecks
from fastgmm._estimator.parameters import with_advice
from fastgmm._estimator.stream import Streaming
from fastgmm._utils.annotations import (
    Acceleration,
    CovarianceType,
    Features,
    Fixed,
    InitParams,
    Missing,
    Prior,
    RandomState,
    Stopping,
)


class GaussianMixture(LocalFitting, Streaming, ModelChecks, MaximumLikelihoodMixture):
    r"""Gaussian mixture, fitted by expectation-maximization (EM).

    A drop-in replacement for :class:`sklearn.mixture.GaussianMixture`, with the same parameters, attributes and
    results. Sample weights, fixed parameters, streams and more are added. Each iteration is one multithreaded pass over
    the data, and no array of n_samples x n_components is stored.

    Parameters
    ----------
    n_components : int, default=1
        Number of mixture components.

    covariance_type : str, default='full'
        Form of the covariance matrices:

        - 'full', or 'VVV': each component has its own matrix;
        - 'tied', or 'EEE': all components share one matrix;
        - 'diag', or 'VVI': each component has its own diagonal matrix;
        - 'spherical', or 'VII': each component has a single variance;
        - 'EII', 'EEI', 'VEI', 'EVI', 'VEE', 'EVE', 'VVE', 'EEV', 'VEV' and 'EVV' are the other models of R's mclust
          [6]_. The letters stand for the volume, shape and orientation of the ellipsoids: equal (E), varying (V), or
          along the axes (I).

    tol : float, default=1e-3
        EM stops when `lower_bound_`, the mean log-likelihood of a row in nats, changes by less than this.

    reg_covar : float, default=1e-6
        Added to every variance, in squared units of the data. It keeps covariance matrices positive-definite.

    max_iter : int, default=100
        Largest number of EM iterations. With 0 the start becomes the fitted model.

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
          components [7]_. It seldom ends in a poor optimum. With a small `tol` it takes about as long as three fits,
          and longer beside fits of a few iterations. scikit-learn does not have it;
        - array of shape (n_samples,): a label from 0 to n_components - 1 for each row of X. Each component needs rows.
          There is only one start, whatever `n_init` is. With `noise`, -1 is the label of the background;
        - array of shape (n_samples, n_components): responsibilities, which sum to 1 in each row. With `noise` the rest
          is that of the background;
        - callable: a function that returns such an array, called for each start as ``f(X, n_components, random_state)``
          with the rows of positive weight, or a sample if rows are not in memory, and a RandomState.

    weights_init : array-like of shape (n_components,), default=None
        Initial weights. They must sum to 1. None: from `init_params`.

    means_init : array-like of shape (n_components, n_features), default=None
        Initial means. None: from `init_params`.

    precisions_init : array-like, default=None
        Initial inverse covariance matrices. None: from `init_params`. The shape depends on `covariance_type`::

            (n_components, n_features, n_features) for 'full', and mclust's types without I
            (n_features, n_features)               for 'tied'
            (n_components, n_features)             for 'diag', 'EEI', 'VEI' and 'EVI'
            (n_components,)                        for 'spherical' and 'EII'

    fixed : {'weights', 'means', 'covariances'}, sequence of these or None, default=None
        Parameters that keep the values of `weights_init`, `means_init` or `precisions_init`. The others are estimated
        given these. `reg_covar` is not added to fixed covariances. `aic` and `bic` count only the others as free.

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
          [4]_. The fit then ends about `tol` below its local optimum.

    acceleration : {'lbfgs'} or None, default=None
        'lbfgs' needs fewer iterations if clusters overlap. It takes L-BFGS steps [5]_, with EM steps in place of
        gradients, and a plain EM step whenever an L-BFGS step would lower the bound. From the same start it may end in
        another local optimum than EM, a better one as often as a worse one.

    noise : bool or float, default=False
        Whether the mixture has a uniform background, for rows that belong to no component [9]_. Its density is 1/V
        everywhere. With True, V is the smaller one of the volumes of two boxes around the rows, one along the features
        and one along the principal axes, as in R's mclust. A float is V itself. `acceleration`, and starts on single
        rows, do not combine with noise.

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
        - 'marginalize': the value is not known. The fit maximizes the likelihood of the values that are there [8]_, and
          predictions use these. It is right if values are missing at random: whether one is missing may depend on the
          others of its row, but not on itself. Starts are found on rows filled by the regression on the values that are
          there, under a single Gaussian. A row without any value counts for nothing.

    prior : {'weak'} or None, default=None
        'weak' keeps components from collapsing onto few or equal rows, where the likelihood has no maximum. It is the
        conjugate prior of R's mclust [10]_, ``priorControl()``: each covariance is drawn a little towards that of all
        rows, divided by ``n_components ** (2 / n_features)``, and each mean towards theirs. The fit maximizes the
        posterior. `reg_covar` may then be 0, so units do not matter. Sample weights count rows. Not with `partial_fit`.

    n_threads : int or None, default=None
        Number of threads. None uses all that the machine grants; CPU affinity, cgroup quota, ``OMP_NUM_THREADS`` and
        the limits of threadpoolctl are respected. For a given number, results repeat bit by bit.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Weight of each component. With `noise_weight_` they sum to 1. This and the following arrays have the dtype of
        the data, float32 or float64.

    means_ : ndarray of shape (n_components, n_features)
        Mean of each component.

    covariances_ : ndarray
        Covariance of each component, in the shape of `precisions_init`.

    precisions_ : ndarray
        Inverses of the covariances, in the same shape.

    precisions_cholesky_ : ndarray
        Upper-triangular U with ``precision = U @ U.T``. For 'diag' and 'spherical': square roots of the precisions.

    noise_weight_ : float
        Weight of the background; 0 without one. It and `weights_` sum to 1.

    noise_log_density_ : float
        ``-log(V)``; -inf without a background.

    noise_box_ : ndarray of shape (n_features + 1, n_features), or None
        The box of volume V: a corner, and its edges. None without a background, and if V was given.

    converged_ : bool
        Whether the best run reached `tol` within `max_iter` iterations. False after `partial_fit`.

    n_iter_ : int
        Number of iterations of the best run. Each is one pass over the rows; rejected steps of `acceleration` count as
        well. After `partial_fit` it is the number of batches.

    lower_bound_ : float
        Weighted mean log-likelihood of a row, in nats, in the last iteration of the best run. As in scikit-learn, it
        belongs to the parameters *before* the last M step, so ``score(X)`` is usually a little higher. After
        `partial_fit` it is the mean for the last batch, before the model learned from it. With a `prior` its
        logarithm, per row and up to a constant, is part of the bound.

    lower_bounds_ : list of float
        The same for each iteration of the best run. For a rejected step of `acceleration` it is the highest bound so
        far. After `partial_fit` it has one entry, for the last batch.

    n_samples_seen_ : float
        Number of rows that the model has learned from, or the sum of their weights: those of the last fit and of every
        `partial_fit` since. Assign to it to give the current model more or less weight in later `partial_fit` calls.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only there if all column names of X are strings.

    See Also
    --------
    BayesianGaussianMixture : The mixture with priors.
    GaussianMixtureIC : Chooses the number of components and the covariance type.
    sklearn.mixture.GaussianMixture : The estimator that this one replaces.

    Notes
    -----
    The density is :math:`p(x) = \sum_k w_k \mathcal{N}(x \mid \mu_k, \Sigma_k)`. The E step computes the
    responsibilities :math:`r_{ik} = w_k \mathcal{N}(x_i \mid \mu_k, \Sigma_k) / p(x_i)`. The M step computes the
    moments of the rows, weighted by the responsibilities [1]_ [2]_. They are taken about the previous means, so no
    digits are lost far from the origin [3]_.

    A sample weight of 3 equals three copies of the row, and 0 leaves it out. Only the ratios of the weights matter.

    A component without rows keeps its mean and covariance, and its weight is nearly 0. It takes rows again if they
    return. A variance that is no more than rounding counts as 0: a constant feature gets the variance `reg_covar`, and
    is an error if `reg_covar` is 0.

    References
    ----------
    .. [1] Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
       J. R. Stat. Soc. B 39, 1977.
    .. [2] Bishop, "Pattern Recognition and Machine Learning", 2006, eqs. 9.23-9.28.
    .. [3] Schubert and Gertz, "Numerically stable parallel computation of (co-)variance", SSDBM 2018.
    .. [4] Aitken's extrapolation; Lindsay, "Mixture models: theory, geometry and applications", 1995. The rate is the
       larger one of the last two. With `acceleration` the estimate uses the curvature that L-BFGS has found.
    .. [5] Jamshidian and Jennrich, "Acceleration of the EM algorithm by using quasi-Newton methods", J. R. Stat.
       Soc. B 59, 1997. The coordinates are chosen so that units of the features do not matter.
    .. [6] Celeux and Govaert, "Gaussian parsimonious clustering models", Pattern Recognition 28, 1995.
    .. [7] Ueda, Nakano, Ghahramani and Hinton, "SMEM algorithm for mixture models", Neural Computation 12, 2000.
    .. [8] Ghahramani and Jordan, "Supervised learning from incomplete data via an EM approach", NIPS 1994.
    .. [9] Banfield and Raftery, "Model-based Gaussian and non-Gaussian clustering", Biometrics 49, 1993.
    .. [10] Fraley and Raftery, "Bayesian regularization for normal mixture estimation and model-based clustering",
       J. Classification 24, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> gmm.means_
    array([[10.,  2.],
           [ 1.,  2.]])
    >>> gmm.predict([[0, 0], [12, 3]])
    array([1, 0])

    The means are known, and only weights and covariances are estimated:

    >>> means = [[9, 2], [1, 2]]
    >>> gmm = GaussianMixture(2, means_init=means, fixed="means", random_state=0)
    >>> gmm = gmm.fit(X)
    >>> gmm.means_
    array([[9., 2.],
           [1., 2.]])
    """

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
        stopping: Stopping = "change",
        acceleration: Acceleration | None = None,
        noise: bool | float = False,
        step_decay: float = 0.6,
        half_life: float | None = None,
        missing: Missing = "raise",
        prior: Prior | None = None,
        n_threads: int | None = None,
    ) -> None:
        self._keep(locals())

    if TYPE_CHECKING:

        def marginal(self, features: Features) -> GaussianMixture: ...

        def condition(self, features: Features, values: ArrayLike) -> GaussianMixture: ...

    def _new_mixture(self, **parameters):
        return GaussianMixture(**parameters)
