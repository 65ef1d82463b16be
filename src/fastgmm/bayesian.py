"""`BayesianGaussianMixture`: the variational mixture."""

from __future__ import annotations

from fastgmm._estimator.fit import LocalFitting
from fastgmm._estimator.parameters import with_advice
from fastgmm._estimator.stream import Streaming
from fastgmm._estimator.variational import VariationalMixture


class BayesianGaussianMixture(LocalFitting, Streaming, VariationalMixture):
    r"""Gaussian mixture with priors, fitted by variational inference in one multithreaded pass per iteration.

    A drop-in for :class:`sklearn.mixture.BayesianGaussianMixture`: the same parameters, attributes and results, plus
    sample weights and `n_threads`. The priors let superfluous components lose all their rows, so that `n_components` is
    an upper limit: count the components whose `weights_` are not negligible. Nothing of size n_samples x n_components
    is stored while fitting.

    Parameters
    ----------
    n_components : int, default=1
        Largest number of mixture components.

    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        What the covariance matrices may look like:

        - 'full': each component has its own matrix;
        - 'tied': all components share one matrix;
        - 'diag': each component has its own diagonal matrix;
        - 'spherical': each component has a single variance.

    tol : float, default=1e-3
        Iterations stop when `lower_bound_`, the bound on the evidence of all rows, changes by less than this.

    reg_covar : float, default=1e-6
        Added to the diagonals of the components' empirical covariance matrices.

    max_iter : int, default=100
        Largest number of iterations; with 0 the start itself becomes the fitted model.

    n_init : int, default=1
        Number of starts, of which the one with the highest lower bound is kept. Starts that fail are left out, with a
        warning; the fit fails if all of them do.

    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data', 'sample'}, default='kmeans'
        Where the start's responsibilities come from:

        - 'kmeans': the clusters of one run of k-means;
        - 'k-means++': one row for each component, chosen by k-means++;
        - 'random': uniform random numbers;
        - 'random_from_data': one random row for each component;
        - 'sample': a mixture fitted to a random sample, much faster than 'kmeans' where there are many rows and not
          known to scikit-learn. With fewer than 40,000 rows, or 320 for each component, the same as 'kmeans'; so, too,
          where the sample has missed rows very far out.

    weight_concentration_prior_type : {'dirichlet_process', 'dirichlet_distribution'}, default='dirichlet_process'
        Prior of the weights: an infinite mixture's, by stick-breaking truncated to `n_components`, or a finite one's.

    weight_concentration_prior : float or None, default=None
        Concentration of that prior. The lower, the fewer components keep rows. None: ``1 / n_components``.

    mean_precision_prior : float or None, default=None
        How many rows the prior mean counts for in each component's mean. None: 1.

    mean_prior : array-like of shape (n_features,), default=None
        Prior mean of the components. None: the mean of X.

    degrees_of_freedom_prior : float or None, default=None
        Degrees of freedom of the Wishart prior of the precisions, greater than ``n_features - 1``; it is how many rows
        `covariance_prior` counts for. None: `n_features`.

    covariance_prior : float or array-like, default=None
        Prior covariance, times the degrees of freedom. None: the covariance of X. The shape depends on
        `covariance_type`::

            (n_features, n_features) for 'full' and 'tied'
            (n_features,)            for 'diag'
            float                    for 'spherical'

    random_state : int, RandomState instance or None, default=None
        Random numbers for the start and for `sample`; an int makes both repeatable. The draws are scikit-learn's.

    warm_start : bool, default=False
        If True, `fit` continues from the last fitted parameters and `n_init` counts only for the first call.

    verbose : int, default=0
        1 prints a line for each start and every `verbose_interval` iterations; 2 adds times and changes of the bound.

    verbose_interval : int, default=10
        Number of iterations between two printed lines.

    stopping : {'change', 'aitken'}, default='change'
        What must be less than `tol`:

        - 'change': how much the last iteration has changed `lower_bound_`, as in scikit-learn. Where EM is slow this is
          small long before the end. With `acceleration`: by how much EM's iteration would change it, to first order;
        - 'aitken': how much all iterations to come would, by the rate at which the changes shrink [3]_. The fit then
          ends about `tol` below the optimum it has been heading for.

    acceleration : {'lbfgs'} or None, default=None
        'lbfgs' takes L-BFGS steps with EM steps in place of gradients [4]_, and EM's own wherever that would lower the
        bound: fewer iterations where clusters overlap. From the same start it may end in another local optimum than
        EM, a better one as often as a worse one.

    step_decay : float, default=0.6
        How fast `partial_fit` settles: a batch of weight b moves the model by a step of ``(b / W) ** step_decay``, W
        being the weight of all rows up to its end. More than 0.5, and 1 at most, which lets every row count equally:
        later rows, judged by a better model, cannot make up for the first ones. Take 0.8 for batches of a few rows.

    half_life : float or None, default=None
        Number of rows after which `partial_fit` lets a row count half, for data that drift; no step is shorter than
        ``1 - 2 ** (-b / half_life)``. None: steps become ever shorter.

    n_threads : int or None, default=None
        Number of threads. None uses what the machine grants: CPU affinity, cgroup quota, ``OMP_NUM_THREADS`` and
        threadpoolctl's limits are respected. Results are bitwise repeatable for a given number.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Expected weight of each component. This and the following arrays have the dtype of the data, float32 or float64.

    means_ : ndarray of shape (n_components, n_features)
        Mean of the posterior of each component's mean.

    covariances_ : ndarray
        Covariance of each component: inverse of the expected precision. The shape depends on `covariance_type`::

            (n_components, n_features, n_features) for 'full'
            (n_features, n_features)               for 'tied'
            (n_components, n_features)             for 'diag'
            (n_components,)                        for 'spherical'

    precisions_ : ndarray
        Inverses of the covariances, in the same shape.

    precisions_cholesky_ : ndarray
        Upper-triangular U with ``precision = U @ U.T``; square roots of the precisions for 'diag' and 'spherical'.

    converged_ : bool
        Whether the best run reached `tol` before `max_iter`; False after `partial_fit`.

    n_iter_ : int
        Number of iterations of the best run. Each is a pass over the rows; with `acceleration` those that led nowhere
        count, too. After `partial_fit`, the number of its batches.

    lower_bound_ : float
        Bound on the log-evidence of all rows after the best run's last iteration, without terms that never change.
        After `partial_fit`: mean log-density of a row of the last batch, under the parameters before it.

    lower_bounds_ : list of float
        The same for each iteration of the best run. With `acceleration` it is the highest so far where one led nowhere.
        After `partial_fit`, for the last batch.

    weight_concentration_prior_ : float
        As given, or its default; so are the four that follow.

    mean_precision_prior_ : float

    mean_prior_ : ndarray of shape (n_features,)

    degrees_of_freedom_prior_ : float

    covariance_prior_ : float or ndarray

    weight_concentration_ : ndarray of shape (n_components,), or tuple of two such
        Parameters of the posterior of the weights: of a Dirichlet distribution or, for 'dirichlet_process', both
        parameters of each Beta distribution.

    mean_precision_ : ndarray of shape (n_components,)
        Number of rows, prior ones included, behind each mean.

    degrees_of_freedom_ : ndarray of shape (n_components,), or float for 'tied'
        Degrees of freedom of the posterior of each precision.

    n_samples_seen_ : float
        Sum of the weights of all rows that the model has learned from, without weights their number: by `partial_fit`
        and the last fit before it. To let the rows behind a model count more or less, set it.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had names that are all strings.

    See Also
    --------
    GaussianMixture : The mixture without priors.
    sklearn.mixture.BayesianGaussianMixture : The estimator that this one stands in for.

    Notes
    -----
    The E step is that of a Gaussian mixture with other constants, and the M step adds the priors to the weighted
    moments ([1]_ eqs. 10.46-10.70; stick-breaking as in [2]_), so that an iteration costs about what one of
    `GaussianMixture` costs. With sample weights row i enters moments and bound as if it were there that often: a weight
    of 3 equals three copies, 0 equals absence, and with all weights doubled the priors count for half as much.

    References
    ----------
    .. [1] Bishop, "Pattern Recognition and Machine Learning", 2006, section 10.2.
    .. [2] Blei and Jordan, "Variational inference for Dirichlet process mixtures", Bayesian Analysis 1, 2006.
    .. [3] Aitken's extrapolation; Lindsay, "Mixture models: theory, geometry and applications", 1995. The rate is the
       larger one of the last two; with `acceleration` the estimate comes from the curvature that it has seen.
    .. [4] Jamshidian and Jennrich, "Acceleration of the EM algorithm by using quasi-Newton methods", J. R. Stat.
       Soc. B 59, 1997. Coordinates are such that units of the features, and other affine changes, do not matter.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import BayesianGaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(8, 1, (700, 2))])
    >>> bgm = BayesianGaussianMixture(n_components=6, max_iter=500, random_state=0).fit(X)
    >>> np.sort(bgm.weights_).round(2)
    array([0. , 0. , 0. , 0. , 0.3, 0.7])
    >>> bgm.score_samples([[0, 0], [4, 4]]).round(1)
    array([ -3.2, -11.9])
    """

    @with_advice
    def __init__(
        self,
        *,
        n_components=1,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=None,
        mean_precision_prior=None,
        mean_prior=None,
        degrees_of_freedom_prior=None,
        covariance_prior=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        stopping="change",
        acceleration=None,
        step_decay=0.6,
        half_life=None,
        n_threads=None,
    ):
        self._keep(locals())
