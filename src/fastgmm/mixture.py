"""`GaussianMixture`: the mixture without priors."""

from __future__ import annotations

from fastgmm._estimator.fit import LocalFitting
from fastgmm._estimator.maximum_likelihood import MaximumLikelihoodMixture
from fastgmm._estimator.parameters import with_advice
from fastgmm._estimator.stream import Streaming


class GaussianMixture(LocalFitting, Streaming, MaximumLikelihoodMixture):
    r"""Gaussian mixture, fitted by expectation-maximization in one multithreaded pass over the data per iteration.

    A drop-in for :class:`sklearn.mixture.GaussianMixture`: the same parameters, attributes and results, plus sample
    weights and `n_threads`. Nothing of size n_samples x n_components is stored while fitting.

    Parameters
    ----------
    n_components : int, default=1
        Number of mixture components.

    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        What the covariance matrices may look like:

        - 'full': each component has its own matrix;
        - 'tied': all components share one matrix;
        - 'diag': each component has its own diagonal matrix;
        - 'spherical': each component has a single variance.

    tol : float, default=1e-3
        EM stops when `lower_bound_`, the mean log-likelihood of a row, changes by less than this.

    reg_covar : float, default=1e-6
        Added to the diagonals of the covariance matrices, to keep them positive-definite.

    max_iter : int, default=100
        Largest number of EM iterations; with 0 the start itself becomes the fitted model.

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

    weights_init : array-like of shape (n_components,), default=None
        Initial weights, summing to 1. None: from `init_params`.

    means_init : array-like of shape (n_components, n_features), default=None
        Initial means. None: from `init_params`.

    precisions_init : array-like, default=None
        Initial inverse covariance matrices. None: from `init_params`. The shape depends on `covariance_type`::

            (n_components, n_features, n_features) for 'full'
            (n_features, n_features)               for 'tied'
            (n_components, n_features)             for 'diag'
            (n_components,)                        for 'spherical'

    fixed : {'weights', 'means', 'covariances'}, sequence of these or None, default=None
        Parameters that `fit` and `partial_fit` hold at their initial values: `weights_init`, `means_init` and
        `precisions_init`. The others are estimated given these. Fixed covariances are not regularized; `aic` and
        `bic` do not count what is fixed as free.

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
        - 'aitken': how much all iterations to come would, by the rate at which the changes shrink [4]_. The fit then
          ends about `tol` below the optimum it has been heading for.

    acceleration : {'lbfgs'} or None, default=None
        'lbfgs' takes L-BFGS steps with EM steps in place of gradients [5]_, and EM's own wherever that would lower the
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
        Weight of each component. This and the following arrays have the dtype of the data, float32 or float64.

    means_ : ndarray of shape (n_components, n_features)
        Mean of each component.

    covariances_ : ndarray
        Covariance of each component, shaped as `precisions_init`.

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
        Weighted mean log-likelihood of a row in the best run's last iteration. As in scikit-learn it belongs to the
        parameters *before* the last M step: ``score(X)`` is usually a little higher. After `partial_fit`: of a row of
        the last batch, under the parameters before it.

    lower_bounds_ : list of float
        The same for each iteration of the best run. With `acceleration` it is the highest so far where one led nowhere.
        After `partial_fit`, for the last batch.

    n_samples_seen_ : float
        Sum of the weights of all rows that the model has learned from, without weights their number: by `partial_fit`
        and the last fit before it. To let the rows behind a model count more or less, set it.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had names that are all strings.

    See Also
    --------
    sklearn.mixture.GaussianMixture : The estimator that this one stands in for.

    Notes
    -----
    With :math:`p(x) = \sum_k w_k \mathcal{N}(x \mid \mu_k, \Sigma_k)`, the E step computes the responsibilities
    :math:`r_{ik} = w_k \mathcal{N}(x_i \mid \mu_k, \Sigma_k) / p(x_i)` and the M step the weighted moments under them
    [1]_ [2]_, taken about the previous means so that no digits are lost far from the origin [3]_. Row i counts with its
    sample weight in both the moments and the bound: a weight of 3 equals three copies, 0 equals absence. Only the
    ratios of the weights matter.

    A component without rows keeps its mean and covariance, with a weight of nearly 0, and takes rows again when they
    return. A variance that is no more than rounding counts as 0, so that a constant feature has the variance
    `reg_covar`, or is an error if that is 0.

    References
    ----------
    .. [1] Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
       J. R. Stat. Soc. B 39, 1977.
    .. [2] Bishop, "Pattern Recognition and Machine Learning", 2006, eqs. 9.23-9.28.
    .. [3] Schubert and Gertz, "Numerically stable parallel computation of (co-)variance", SSDBM 2018.
    .. [4] Aitken's extrapolation; Lindsay, "Mixture models: theory, geometry and applications", 1995. The rate is the
       larger one of the last two; with `acceleration` the estimate comes from the curvature that it has seen.
    .. [5] Jamshidian and Jennrich, "Acceleration of the EM algorithm by using quasi-Newton methods", J. R. Stat.
       Soc. B 59, 1997. Coordinates are such that units of the features, and other affine changes, do not matter.

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

    Known means, of which only the weights and the covariances are to be estimated:

    >>> gmm = GaussianMixture(n_components=2, means_init=[[9, 2], [1, 2]], fixed="means", random_state=0).fit(X)
    >>> gmm.means_
    array([[9., 2.],
           [1., 2.]])
    """

    @with_advice
    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        fixed=None,
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
