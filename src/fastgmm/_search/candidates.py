"""The candidates of a search. Each is a number of components with a covariance type and a distribution."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from numbers import Integral
from typing import NamedTuple, TypeAlias, get_args

import numpy as np

from fastgmm._em.loop import EMResult
from fastgmm._estimator.initial import is_array_of_rows
from fastgmm._estimator.noise import check_noise_alone
from fastgmm._estimator.parameters import invalid_parameter_error, meant, options
from fastgmm._model.covariance import (
    COVARIANCE_TYPES,
    CovarianceStructure,
    accepted_names,
    name_of_type,
    structure_of_type,
)
from fastgmm._model.gaussian import MixtureParameters, n_free_parameters
from fastgmm._model.noise import Region
from fastgmm._model.student import StudentParameters, n_free_parameters_of_t
from fastgmm._utils.annotations import CovarianceType, Distribution
from fastgmm._utils.values import is_boolean, is_integer_from, is_one_of

# Parameters of Gaussian mixtures that those of t distributions do not have, and the values without effect.
_NOT_WITH_T = {"noise": False, "missing": "raise", "prior": None, "acceleration": None}
_COLUMNS = ("log_likelihood", "n_parameters", "n_iter", "converged", "start", "seconds", "warning")

FoundParameters: TypeAlias = MixtureParameters | StudentParameters


@dataclass(slots=True, eq=False)
class Candidate:
    """A number of components with a covariance type and a distribution, and the best fit of it so far.

    Attributes
    ----------
    n_components : int
    covariance_type : str
    n_features : int
    region : Region or None
        Of a uniform background.
    distribution : {'gaussian', 't'}
        Of the components.
    result : EMResult or None
        The best run of EM so far.
    start : str
        The name of the start of that run.
    seconds : float
        Time spent on all its runs.
    warning : str
        Why the fit has degenerated, or ''.
    log_likelihood : float
        Weighted sum over the rows that it was fitted to.
    objective : float
        `log_likelihood` of that run, plus the logarithm of the prior.
    log_max_resp : float
        Weighted sum over the same rows of the logarithm of the largest responsibility.
    fitted : MixtureParameters, StudentParameters or None
        The parameters, rounded to the dtype of the data as those of a fitted model are.
    bic, aic, icl, cv : float
        The criteria. NaN if the candidate degenerated, or if the search does not find that one.
    """

    n_components: int
    covariance_type: CovarianceType
    n_features: int
    region: Region | None = None
    distribution: Distribution = "gaussian"
    result: EMResult[FoundParameters] | None = None
    start: str = ""
    seconds: float = 0.0
    warning: str = ""
    log_likelihood: float = -math.inf
    objective: float = -math.inf
    log_max_resp: float = math.nan
    fitted: FoundParameters | None = None
    bic: float = math.nan
    aic: float = math.nan
    icl: float = math.nan
    cv: float = math.nan

    @property
    def structure(self) -> CovarianceStructure:
        return structure_of_type(self.covariance_type)

    @property
    def is_usable(self) -> bool:
        """Whether it was fitted and did not degenerate."""
        return self.result is not None and not self.warning

    @property
    def n_iter(self) -> int:
        return 0 if self.result is None else len(self.result.lower_bounds)

    @property
    def converged(self) -> bool:
        return self.result is not None and bool(self.result.converged)

    @property
    def n_parameters(self) -> int:
        if self.distribution == "t":
            return n_free_parameters_of_t(self.structure, self.n_components, self.n_features, "varying")
        return n_free_parameters(self.structure, self.n_components, self.n_features, region=self.region)


class Grid(NamedTuple):
    """What a search is to try: numbers of components, ascending, covariance types and distributions."""

    numbers: list[int]
    covariance_types: list[CovarianceType]
    distributions: list[Distribution]


def check_grid(estimator) -> Grid:
    """What a search is to try. Their start is found.

    It also refuses what does not combine with `noise` and with t distributions.
    """
    check_noise_alone(estimator)
    numbers, types = estimator.n_components, estimator.covariance_type
    if is_array_of_rows(estimator.init_params):
        raise ValueError(
            "init_params is an array, which fits one number of components, but the search tries several: pass a "
            "function, which is called with each number."
        )
    if is_boolean(numbers) or isinstance(numbers, Iterator):  # an iterator could be read only once
        numbers = []
    try:
        numbers = [numbers] if isinstance(numbers, Integral) else sorted(set(numbers))
    except TypeError:
        numbers = []
    if not numbers or not all(is_integer_from(1)(number) for number in numbers):
        raise invalid_parameter_error()(
            f"The 'n_components' parameter of {type(estimator).__name__} must be an int in the range [1, inf) or a "
            f"sequence of them. Got {estimator.n_components!r} instead. Pass for example range(1, 10)."
        )
    types = list(COVARIANCE_TYPES) if isinstance(types, str) and types == "all" else types
    types = [types] if isinstance(types, str) else types
    types = list(types) if np.iterable(types) else []
    if not types or not all(is_one_of(accepted_names())(name) for name in types):
        hints = (meant(name, accepted_names()) for name in types)
        raise invalid_parameter_error()(
            f"The 'covariance_type' parameter of {type(estimator).__name__} must be 'all', "
            f"{options(accepted_names())} or a list of these. Got {estimator.covariance_type!r} instead. "
            f"{next(filter(None, hints), 'Pass some of these names.')}"
        )
    types = list({name_of_type(name): name for name in reversed(types)}.values())[::-1]
    return Grid([int(number) for number in numbers], types, _distributions(estimator))


def _distributions(estimator) -> list[Distribution]:
    """The distributions to try, Gaussians first. Raises ValueError if a parameter does not combine with t."""
    given, accepted = estimator.distribution, get_args(Distribution)
    names = [given] if isinstance(given, str) else list(given) if np.iterable(given) else []
    if not names or not all(is_one_of(accepted)(name) for name in names):
        hints = (meant(name, accepted) for name in names)
        raise invalid_parameter_error()(
            f"The 'distribution' parameter of {type(estimator).__name__} must be {options(accepted)} or a list of "
            f"these. Got {given!r} instead. {next(filter(None, hints), 'Pass some of these names.')}"
        )
    if "t" in names:
        for name, without in _NOT_WITH_T.items():
            value = getattr(estimator, name)
            if value is not without and value != without:
                raise ValueError(
                    f"{name}={value!r} does not combine with distribution={given!r}: StudentTMixture does not have it. "
                    f"Pass {name}={without!r}, or distribution='gaussian'."
                )
    return [name for name in accepted if name in names]


def all_candidates(grid: Grid, n_features: int, region: Region | None = None) -> list[Candidate]:
    """All candidates, by the number of components, the distribution, and the number of parameters of the type."""
    types = sorted(grid.covariance_types, key=lambda name: structure_of_type(name).n_parameters(2, n_features))
    shapes = product(grid.numbers, grid.distributions, types)
    return [Candidate(number, name, n_features, region, distribution) for number, distribution, name in shapes]


def by_distribution(candidates: Iterable[Candidate]) -> list[list[Candidate]]:
    """Lists of those with one distribution each."""
    lists: dict[Distribution, list[Candidate]] = {}
    for candidate in candidates:
        lists.setdefault(candidate.distribution, []).append(candidate)
    return list(lists.values())


def table(candidates: list[Candidate], criterion: str) -> dict[str, np.ndarray]:
    """Columns by name, each an array with an element for each candidate. 'criterion' is what the search minimizes."""
    names = ["n_components", "covariance_type", "distribution", "criterion", "bic", "aic", "icl", *_COLUMNS]
    if criterion == "cv":
        names.insert(names.index("icl") + 1, "cv")
    attributes = [criterion if name == "criterion" else name for name in names]
    columns = [np.array([getattr(candidate, name) for candidate in candidates]) for name in attributes]
    return dict(zip(names, columns, strict=True))
