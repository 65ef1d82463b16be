"""Tests and standard errors of a mixture, by the bootstrap.

How sure are the number of components, and the parameters?
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm._bootstrap.matching import matched
from fastgmm._bootstrap.refits import refitted
from fastgmm._estimator.fitted import mixture_attributes, rounded
from fastgmm._estimator.initial import is_array_of_rows
from fastgmm._estimator.parameters import RANDOM_STATE, invalid_parameter_error, is_random_state
from fastgmm._estimator.reporting import reporting
from fastgmm._input.containers import Reader, is_read_in_blocks
from fastgmm._input.rows import check_predict_data, check_sample_weight, drop_unweighted_rows
from fastgmm._model.covariance.structure import as_matrices
from fastgmm._utils.annotations import RandomState, Rows
from fastgmm._utils.errors import FitError, Stopped
from fastgmm._utils.progress import Callback, Reporter
from fastgmm._utils.values import is_boolean, is_integer_from
from fastgmm.mixture import GaussianMixture

__all__ = ["LikelihoodRatioTest", "ParameterUncertainty", "likelihood_ratio_test", "parameter_uncertainty"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LikelihoodRatioTest:
    """Result of `likelihood_ratio_test`. ``print`` shows it in a sentence.

    Attributes
    ----------
    n_components : int
        The number K of the null hypothesis. The alternative has one more.
    covariance_type : str
    statistic : float
        ``2 * (L1 - L0)``, with the log-likelihoods L0 of K components and L1 of K + 1.
    p_value : float
        Share of data sets with K components whose statistic is at least as large, counting the data themselves.
    bootstrap_statistics : ndarray of shape (n_bootstrap,)
        The statistics of these data sets.
    alternative : GaussianMixture
        The fitted mixture with K + 1 components.
    """

    n_components: int
    covariance_type: str
    statistic: float
    p_value: float
    bootstrap_statistics: NDArray[np.float64]
    alternative: GaussianMixture

    def __str__(self) -> str:
        return (
            f"{self.n_components} against {self.n_components + 1} components, covariance type "
            f"{self.covariance_type!r}: statistic {self.statistic:.2f}, p = {self.p_value:.3g} "
            f"({len(self.bootstrap_statistics)} bootstrap samples)"
        )

    __repr__ = __str__


class Parameters(NamedTuple):
    """One array for each kind of parameter, in the shapes of the attributes of a fitted mixture."""

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class ParameterUncertainty:
    """Result of `parameter_uncertainty`.

    Attributes
    ----------
    weights : ndarray of shape (n_bootstrap, n_components)
        The weights in each refit. The components have the order of the fitted mixture.
    means : ndarray of shape (n_bootstrap, n_components, n_features)
    covariances : ndarray of shape (n_bootstrap, ...)
        In the shape of `covariances_`.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]

    @property
    def standard_errors(self) -> Parameters:
        """Standard deviations over the refits, as a tuple with the names `weights`, `means` and `covariances`."""
        return Parameters(*(np.std(refits, axis=0, ddof=1) for refits in self._all))

    def interval(self, level: float = 0.95) -> tuple[Parameters, Parameters]:
        """Lower and upper ends of percentile intervals.

        Parameters
        ----------
        level : float, default=0.95
            The share of the refits that each interval contains.

        Returns
        -------
        low, high : tuple of ndarray
            Each with the names `weights`, `means` and `covariances`.

        Raises
        ------
        ValueError
            If `level` is not between 0 and 1.
        """
        if is_boolean(level) or not isinstance(level, float | int | np.number) or not 0.0 < level < 1.0:
            raise ValueError(f"level must be a number between 0 and 1, got {level!r}: pass for example 0.95.")
        tail = 0.5 * (1.0 - float(level))
        low, high = (Parameters(*(np.quantile(each, q, axis=0) for each in self._all)) for q in (tail, 1.0 - tail))
        return low, high

    @property
    def _all(self) -> Parameters:
        return Parameters(self.weights, self.means, self.covariances)

    def __repr__(self) -> str:
        return f"ParameterUncertainty of {self.weights.shape[1]} components from {len(self.weights)} refits"


def likelihood_ratio_test(
    mixture: GaussianMixture,
    X: Rows,
    *,
    n_bootstrap: int = 999,
    random_state: RandomState = None,
    callback: Callback | None = None,
) -> LikelihoodRatioTest:
    """Test whether one more component is needed, by the bootstrap.

    The statistic is that of a likelihood-ratio test of K against K + 1 components of the same covariance type. It has
    no chi-squared distribution. So its distribution is found from data sets that are drawn from the mixture with K
    components [1]_. Both mixtures are fitted to each, from the parameters that were found for the data, as in R's
    mclust (``mclustBootstrapLRT``). The larger mixture is fitted to the data with the parameters of `mixture`.

    Parameters
    ----------
    mixture : GaussianMixture
        The mixture with K components, fitted to X.

    X : array-like of shape (n_samples, n_features)
        The data, in memory.

    n_bootstrap : int, default=999
        Number of data sets. The least possible p-value is ``1 / (n_bootstrap + 1)``.

    random_state : int, RandomState instance or None, default=None
        Random numbers for the start of the larger mixture and for the data sets.

    callback : callable, default=None
        Called with a :class:`fastgmm.progress.Progress` after each iteration of EM; `run` is the number of the data
        set. If it raises StopIteration, the data sets so far are the result.

    Returns
    -------
    test : LikelihoodRatioTest

    Raises
    ------
    TypeError
        If `mixture` is not a GaussianMixture, or X is not in memory.
    ValueError
        If an argument or X is not usable, if parameters of the mixture are fixed, or if fits to too many data sets
        fail, which ``prior='weak'`` prevents.
    NotFittedError
        If the mixture is not fitted.

    References
    ----------
    .. [1] McLachlan, "On bootstrapping the likelihood ratio test statistic for the number of components in a normal
       mixture", Applied Statistics 36, 1987.

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.bootstrap import likelihood_ratio_test
    >>> from fastgmm.datasets import load_old_faithful
    >>> X = load_old_faithful()
    >>> gmm = GaussianMixture(1).fit(X)
    >>> likelihood_ratio_test(gmm, X, n_bootstrap=99, random_state=0)
    1 against 2 components, covariance type 'full': statistic 319.07, p = 0.01 (99 bootstrap samples)
    """
    mixture = _checked_mixture(mixture, "likelihood_ratio_test", X)
    if mixture.fixed:
        raise ValueError(
            f"likelihood_ratio_test does not work with fixed={mixture.fixed!r}, since the larger mixture has no values "
            "for it: fit the mixture with fixed=None."
        )
    if mixture.noise:
        raise ValueError(
            f"likelihood_ratio_test does not work with noise={mixture.noise!r}, since the volume of the background "
            "depends on the rows: fit the mixture with noise=False."
        )
    _check_number(n_bootstrap)
    rows, random = check_predict_data(mixture, X), _checked_random_state(random_state)
    if np.isnan(rows).any():
        raise ValueError(
            "likelihood_ratio_test does not work with missing values, since data sets that are drawn have none: fill "
            "them, for example with mixture.impute(X)."
        )
    with reporting(mixture, callback, None) as progress:
        return _tested(mixture, rows, int(n_bootstrap), random, progress)


def _tested(mixture, X: np.ndarray, n_bootstrap: int, random: np.random.RandomState, progress) -> LikelihoodRatioTest:
    n_features = X.shape[1]
    more = clone(mixture).set_params(
        n_components=mixture.n_components + 1,
        **dict.fromkeys(("weights_init", "means_init", "precisions_init")),
        warm_start=False,
        random_state=random,
        verbose=0,
    )
    if is_array_of_rows(more.init_params):
        more.set_params(init_params="kmeans")
    more.fit(X)
    null = refitted(mixture, X, None, mixture._fitted_parameters(n_features))
    alternative = refitted(more, X, None, more._fitted_parameters(n_features))
    statistic = 2.0 * (alternative.log_likelihood - null.log_likelihood)
    drawn = _moved(mixture, null.parameters)
    statistics: list[float] = []
    n_failed = 0
    while len(statistics) < n_bootstrap:
        progress.surround(run=len(statistics) + 1, n_runs=n_bootstrap)
        sample = np.ascontiguousarray(drawn.sample(len(X), random_state=random)[0], X.dtype)
        try:
            of_null = refitted(mixture, sample, None, null.parameters, progress).log_likelihood
            of_alternative = refitted(more, sample, None, alternative.parameters, progress).log_likelihood
        except FitError as error:
            n_failed = _after_failure(n_failed, n_bootstrap, error)
        except Stopped:
            if not statistics:
                raise
            break
        else:
            statistics.append(2.0 * (of_alternative - of_null))
    found = np.array(statistics)
    return LikelihoodRatioTest(
        n_components=mixture.n_components,
        covariance_type=mixture.covariance_type,
        statistic=statistic,
        p_value=float(1 + (found >= statistic).sum()) / (1 + len(found)),
        bootstrap_statistics=found,
        alternative=_moved(more, alternative.parameters),
    )


def parameter_uncertainty(
    mixture: GaussianMixture,
    X: Rows,
    sample_weight: ArrayLike | None = None,
    *,
    n_bootstrap: int = 999,
    random_state: RandomState = None,
    callback: Callback | None = None,
) -> ParameterUncertainty:
    """Standard errors and intervals of the parameters of a mixture, by the weighted-likelihood bootstrap.

    The mixture is fitted again, to the same rows with random weights from a Dirichlet distribution [1]_. In contrast to
    drawing rows, no row is ever left out, so components with few rows do not collapse. EM goes on from the parameters
    of the mixture. The components of a refit are matched with those of the mixture.

    Parameters
    ----------
    mixture : GaussianMixture
        A mixture fitted to X.

    X : array-like of shape (n_samples, n_features)
        The data, in memory.

    sample_weight : array-like of shape (n_samples,), default=None
        How often each row counts, as in the fit. The random weights are multiplied by it.

    n_bootstrap : int, default=999
        Number of refits.

    random_state : int, RandomState instance or None, default=None
        Random numbers for the weights.

    callback : callable, default=None
        Called with a :class:`fastgmm.progress.Progress` after each iteration of EM; `run` is the number of the refit.
        If it raises StopIteration, the refits so far are the result.

    Returns
    -------
    uncertainty : ParameterUncertainty
        With `standard_errors` and `interval`.

    Raises
    ------
    TypeError
        If `mixture` is not a GaussianMixture, or X is not in memory.
    ValueError
        If an argument, X or the weights are not usable, or if too many refits fail, which ``prior='weak'`` prevents.
    NotFittedError
        If the mixture is not fitted.

    References
    ----------
    .. [1] O'Hagan, Murphy, Scrucca and Gormley, "Investigation of parameter uncertainty in clustering using a Gaussian
       mixture model via jackknife, bootstrap and weighted likelihood bootstrap", Computational Statistics 34, 2019.

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.bootstrap import parameter_uncertainty
    >>> from fastgmm.datasets import load_old_faithful
    >>> X = load_old_faithful()
    >>> gmm = GaussianMixture(2, random_state=0).fit(X)
    >>> found = parameter_uncertainty(gmm, X, n_bootstrap=200, random_state=0)
    >>> found.standard_errors.means.round(1)
    array([[0. , 0.6],
           [0. , 0.4]])
    """
    mixture = _checked_mixture(mixture, "parameter_uncertainty", X)
    _check_number(n_bootstrap, least=2)
    rows = check_predict_data(mixture, X)
    rows, weights = drop_unweighted_rows(rows, check_sample_weight(sample_weight, len(rows)))
    random = _checked_random_state(random_state)
    with reporting(mixture, callback, None) as progress:
        return _resampled(mixture, rows, weights, int(n_bootstrap), random, progress)


def _resampled(
    mixture, X: np.ndarray, weights: np.ndarray | None, n_bootstrap: int, random, progress: Reporter
) -> ParameterUncertainty:
    structure, (K, d) = mixture._structure, mixture.means_.shape
    weights = np.ones(len(X)) if weights is None else weights
    fitted = refitted(mixture, X, weights, mixture._fitted_parameters(d)).parameters
    spread = as_matrices(structure.spread(fitted.covariances, K, d))
    found: list[Parameters] = []
    n_failed = 0
    while len(found) < n_bootstrap:
        progress.surround(run=len(found) + 1, n_runs=n_bootstrap)
        drawn = weights * random.standard_exponential(len(X))
        drawn *= weights.sum() / drawn.sum()
        try:
            refit = refitted(mixture, X, drawn, fitted, progress).parameters
        except FitError as error:
            n_failed = _after_failure(n_failed, n_bootstrap, error)
            continue
        except Stopped:
            if len(found) < 2:
                raise
            break
        of_refit = as_matrices(structure.spread(refit.covariances, K, d))
        order = matched(fitted.means, spread, refit.means, of_refit)
        covariances = refit.covariances if structure.is_shared else refit.covariances[order]
        found.append(Parameters(refit.weights[order], refit.means[order], covariances))
    return ParameterUncertainty(*(np.array(each) for each in zip(*found, strict=True)))


def _moved(mixture, parameters) -> GaussianMixture:
    """The fitted mixture with other parameters."""
    moved = copy(mixture)
    attributes = mixture_attributes(parameters, mixture._structure)
    vars(moved).update(rounded(attributes, mixture.means_.dtype))
    return moved


def _checked_mixture(mixture, function: str, X) -> GaussianMixture:
    """The mixture, also that of a fitted search. Raises TypeError if it is of another kind, or X is not in memory."""
    mixture = getattr(mixture, "best_estimator_", mixture)
    if not isinstance(mixture, GaussianMixture):
        raise TypeError(
            f"{function} needs a fastgmm.GaussianMixture, or a fitted GaussianMixtureIC, got {mixture!r}: pass one "
            "that is fitted to X."
        )
    if isinstance(X, Reader) or is_read_in_blocks(X):
        kind = type(X).__name__
        raise TypeError(f"{function} needs rows in memory, got {kind}: read a sample of them into an array.")
    check_is_fitted(mixture)
    return mixture


def _check_number(n_bootstrap, least: int = 1) -> None:
    if is_boolean(n_bootstrap) or not is_integer_from(least)(n_bootstrap):
        raise ValueError(f"n_bootstrap must be an int >= {least}, got {n_bootstrap!r}: pass for example 999.")


def _checked_random_state(random_state) -> np.random.RandomState:
    if not is_random_state(random_state):
        raise invalid_parameter_error()(
            f"The 'random_state' parameter must be {RANDOM_STATE}. Got {random_state!r} instead. Pass an int for "
            "repeatable results."
        )
    return check_random_state(random_state)


def _after_failure(n_failed: int, n_bootstrap: int, error: FitError) -> int:
    """The number of failed data sets so far. Raises ValueError if they are too many."""
    if n_failed >= n_bootstrap:
        raise ValueError(
            f"{n_failed + 1} fits to resampled rows failed: use prior='weak', fewer components or a simpler covariance "
            f"type. The last failure: {error}"
        ) from error
    return n_failed + 1
