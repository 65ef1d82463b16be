"""The candidates of a search. Each is a number of components with a covariance type."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Integral

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
from fastgmm._utils.annotations import CovarianceType
from fastgmm._utils.values import is_boolean, is_integer_from, is_one_of

_COLUMNS = ("log_likelihood", "n_parameters", "n_iter", "converged", "start", "seconds", "warning")


@dataclass(slots=True, eq=False)
class Candidate:
    """A number of components with a covariance type, and the best fit of it so far.

    Attributes
    ----------
    n_components : int
    covariance_type : str
    n_features : int
    region : Region or None
        Of a uniform background.
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
    fitted : MixtureParameters or None
        The parameters, rounded to the dtype of the data as those of a fitted model are.
    bic, aic, icl, cv : float
        The criteria. NaN if the candidate degenerated, or if the search does not find that one.
    """

    n_components: int
    covariance_type: CovarianceType
    n_features: int
    region: Region | None = None
    result: EMResult[MixtureParameters] | None = None
    start: str = ""
    seconds: float = 0.0
    warning: str = ""
    log_likelihood: float = -math.inf
    objective: float = -math.inf
    log_max_resp: float = math.nan
    fitted: MixtureParameters | None = None
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
        return n_free_parameters(self.structure, self.n_components, self.n_features, region=self.region)


def check_grid(estimator) -> tuple[list[int], list[CovarianceType]]:
    """The numbers of components, ascending, and the covariance types that a search is to try. Their start is found.

    It also refuses what does not combine with `noise`.
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
    return [int(number) for number in numbers], list({name_of_type(name): name for name in reversed(types)}.values())[
        ::-1
    ]


def all_candidates(
    numbers: Iterable[int], covariance_types: Iterable[CovarianceType], n_features: int, region: Region | None = None
) -> list[Candidate]:
    """All candidates, ordered by the number of components, then by the number of parameters of the type, ascending."""
    types = sorted(covariance_types, key=lambda name: structure_of_type(name).n_parameters(2, n_features))
    return [Candidate(number, name, n_features, region) for number in numbers for name in types]


def table(candidates: list[Candidate], criterion: str) -> dict[str, np.ndarray]:
    """Columns by name, each an array with an element for each candidate. 'criterion' is what the search minimizes."""
    names = ["n_components", "covariance_type", "criterion", "bic", "aic", "icl", *_COLUMNS]
    if criterion == "cv":
        names.insert(names.index("icl") + 1, "cv")
    attributes = [criterion if name == "criterion" else name for name in names]
    columns = [np.array([getattr(candidate, name) for candidate in candidates]) for name in attributes]
    return dict(zip(names, columns, strict=True))
