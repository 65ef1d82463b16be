"""What a fitted mixture says of itself: its model, how well it fits, and its components."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastgmm._model.covariance.structure import CovarianceStructure, as_variances
from fastgmm._model.student import StudentParameters, deviations_per_scale
from fastgmm._utils import layout
from fastgmm._utils.layout import Table
from fastgmm._utils.values import is_positive_real
from fastgmm._utils.words import counted

if TYPE_CHECKING:
    from pandas import DataFrame

_MOST_TABLES = 4  # of components
_MOST_COMPONENTS = 20  # lines of the table
_LONGEST_NAME = 16  # characters of a feature's name in the table


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Summary:
    """Numbers of a fitted mixture. Printed, it is a text; in a notebook, tables.

    A number that is not known is None.

    Attributes
    ----------
    model : str
        'Gaussian mixture', 'Bayesian Gaussian mixture' or 'Mixture of t distributions'.
    covariance_type : str
    covariances : str
        The covariance type in words.
    mclust_name : str
        What R's mclust calls the covariance type, such as 'VVV'; '' if it has none.
    n_components, n_features : int
    feature_names : tuple of str
    n_rows : float or None
        Sum of the weights of the rows; without weights their number.
    n_parameters : int or None
        Number of free parameters; without those that are fixed. None for a Bayesian mixture.
    log_likelihood : float or None
        Of all rows, a weighted sum. None for a Bayesian mixture, unless rows were given.
    bic, aic, icl : float or None
        The criteria, the lower the better. None for a Bayesian mixture.
    lower_bound : float or None
        Of a Bayesian mixture: the bound on the log-evidence of the rows that it was fitted to.
    n_effective_components : int or None
        Of a Bayesian mixture: number of components with at least one row.
    is_exact : bool
        Whether log-likelihood and criteria belong to the final parameters. False: to those before the last M step.
    converged : bool or None
    n_iter : int or None
        Number of iterations of the best run; after `partial_fit`, number of batches.
    is_stream : bool
        Whether `partial_fit` made the last change.
    noise_weight : float
        Weight of a uniform background; 0 without one.
    weights : ndarray of shape (n_components,)
    means, standard_deviations : ndarray of shape (n_components, n_features)
        A t distribution with up to two degrees of freedom has infinite ones.
    degrees_of_freedom : ndarray of shape (n_components,), or None
        Of t distributions.
    """

    model: str
    covariance_type: str
    covariances: str
    mclust_name: str
    n_components: int
    n_features: int
    feature_names: tuple[str, ...]
    n_rows: float | None
    n_parameters: int | None
    log_likelihood: float | None
    bic: float | None
    aic: float | None
    icl: float | None
    lower_bound: float | None
    n_effective_components: int | None
    is_exact: bool
    converged: bool | None
    n_iter: int | None
    is_stream: bool
    weights: np.ndarray
    means: np.ndarray
    standard_deviations: np.ndarray
    degrees_of_freedom: np.ndarray | None
    noise_weight: float = 0.0

    @property
    def rows(self) -> np.ndarray | None:
        """Expected number of rows of each component, shape (n_components,)."""
        return None if self.n_rows is None else self.weights * self.n_rows

    def to_frame(self) -> DataFrame:
        """All components as a pandas DataFrame, a row for each, under its number.

        Columns are ('weight', ''), ('rows', '') unless their number is not known, and for each feature ('mean', name)
        and ('standard deviation', name): ``frame["mean"]`` has the means under the names of the features.
        """
        try:
            from pandas import DataFrame, Index, MultiIndex
        except ImportError as error:
            raise ImportError("to_frame() makes a pandas DataFrame: python -m pip install pandas") from error
        names, values = [("weight", "")], [self.weights[:, np.newaxis]]
        if self.rows is not None:
            names.append(("rows", ""))
            values.append(self.rows[:, np.newaxis])
        for what, numbers in (("mean", self.means), ("standard deviation", self.standard_deviations)):
            names += [(what, name) for name in self.feature_names]
            values.append(numbers)
        index = Index(range(self.n_components), name="component")
        return DataFrame(np.hstack(values), index=index, columns=MultiIndex.from_tuples(names))

    def __str__(self) -> str:
        return layout.as_text(self.parts())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return layout.as_html(self.parts())

    def parts(self) -> list[str | Table]:
        """Paragraphs and tables, of which the text and the HTML are made."""
        number = counted(self.n_components, "component")
        mclust = f" (mclust: {self.mclust_name})" if self.mclust_name not in ("", self.covariance_type) else ""
        number += " and noise" * (self.noise_weight > 0.0)
        title = f"{self.model} with {number}, covariance type {self.covariance_type!r}{mclust}: {self.covariances}."
        return [title, Table(self._facts()), *self._components(), *self._notes()]

    def _facts(self) -> list[tuple[str, str]]:
        facts = [
            ("Rows", None if self.n_rows is None else f"{self.n_rows:,.10g}"),
            ("Features", f"{self.n_features:,}"),
            ("Weight of noise", f"{self.noise_weight:.3f}" if self.noise_weight > 0.0 else None),
            ("Free parameters", None if self.n_parameters is None else f"{self.n_parameters:,}"),
            ("Components with rows", _or_none("{}", self.n_effective_components)),
            ("Lower bound", _or_none("{:.3f}", self.lower_bound)),
            ("Log-likelihood", _or_none("{:.3f}", self.log_likelihood)),
            ("BIC", _or_none("{:.3f}", self.bic)),
            ("AIC", _or_none("{:.3f}", self.aic)),
            ("ICL", _or_none("{:.3f}", self.icl)),
            self._end(),
        ]
        return [(name, value) for name, value in facts if value is not None]

    def _end(self) -> tuple[str, str | None]:
        """How the fit ended."""
        if self.n_iter is None:
            return "Converged", None
        if self.is_stream:
            return "Batches", f"{self.n_iter:,}"
        if self.n_iter == 0:
            return "Converged", "no, these are the parameters of the start"
        iterations = counted(self.n_iter, "iteration")
        return "Converged", f"yes, after {iterations}" if self.converged else f"no, stopped after {iterations}"

    def _components(self) -> list[Table]:
        """The components, or the heaviest of them in the order of their numbers. Features that do not fit a line follow
        in further tables, but not all if there are many.
        """
        chosen = self._chosen_components()
        numbers = ("component", [str(k) for k in chosen])
        columns = [numbers, ("weight", [f"{w:.3f}" for w in self.weights[chosen]])]
        if self.rows is not None:
            rows = self.rows[chosen]
            form = ",.0f" if (rows == rows.round()).all() or rows.max() >= 1e4 else ",.1f"
            columns.append(("rows", [format(value, form) for value in rows]))
        if self.degrees_of_freedom is not None:
            columns.append(("d.o.f.", [f"{value:.3g}" for value in self.degrees_of_freedom[chosen]]))
        tables: list[Table] = []
        n_shown = 0
        while n_shown < self.n_features and len(tables) < _MOST_TABLES:
            width = layout.WIDTH - sum(_width(*column) for column in columns)
            features = self._columns_of_features(chosen, n_shown, width)
            n_shown += len(features)
            columns += features
            header = [name for name, _ in columns]
            tables.append(Table(list(zip(*(values for _, values in columns), strict=True)), header))
            columns = [numbers]
        return tables

    def _chosen_components(self) -> np.ndarray:
        heaviest = np.argsort(-self.weights, kind="stable")[:_MOST_COMPONENTS]
        return np.sort(heaviest)

    def _columns_of_features(self, chosen: np.ndarray, first: int, width: int) -> list[tuple[str, list[str]]]:
        """Columns of means and standard deviations, from a feature on, that fit into the width; at least one."""
        columns: list[tuple[str, list[str]]] = []
        for j, name in enumerate(self.feature_names[first:], first):
            form = _format_for(self.standard_deviations[chosen, j], self.means[chosen, j])
            pairs = zip(self.means[chosen, j], self.standard_deviations[chosen, j], strict=True)
            column = _short(name), [f"{format(mean, form)} ± {format(deviation, form)}" for mean, deviation in pairs]
            width -= _width(*column)
            if columns and width < 0:
                break
            columns.append(column)
        return columns

    def _notes(self) -> list[str]:
        notes = ["The columns of features have means ± standard deviations."]
        first, *further = self._components()
        n_others = 2 + (self.rows is not None) + (self.degrees_of_freedom is not None)
        n_shown = len(first.header) - n_others + sum(len(table.header) - 1 for table in further)
        numbers = [(self.n_features - n_shown, "feature"), (self.n_components - _MOST_COMPONENTS, "lighter component")]
        if left_out := [(number, what) for number, what in numbers if number > 0]:
            words = " and ".join(counted(number, what) for number, what in left_out)
            verb = "is" if left_out[-1][0] == 1 and len(left_out) == 1 else "are"
            notes[0] += f" {words} {verb} left out: to_frame() has all."
        if self.n_parameters is None:
            notes.append(
                "A Bayesian mixture needs no AIC or BIC: its lower bound prices components already. Compare it between "
                "fits to the same rows."
            )
        elif self.log_likelihood is None:
            notes.append(
                "The log-likelihood of all rows is not known here: summary(X) finds it, with BIC, AIC and ICL."
            )
        elif self.bic is None:
            notes.append("The weights of all rows sum to less than 2, so they do not count rows: no BIC, AIC or ICL.")
        elif not self.is_exact:
            notes.append(
                "Log-likelihood, BIC and AIC are those before the last step of EM. summary(X) finds those of the final "
                "parameters, usually a little better, and ICL."
            )
        return notes


def _or_none(form: str, value: float | None) -> str | None:
    return None if value is None else form.format(value)


def _short(name: str) -> str:
    """The beginning and the end of a long name: names often differ in their ends."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:7]}...{name[-6:]}"


def _format_for(deviations: np.ndarray, means: np.ndarray) -> str:
    """How to write the means and deviations of a feature: with three digits of the least deviation, within limits."""
    least, largest = deviations.min(), max(np.abs(means).max(), deviations.max())
    if not 0.0 < least <= largest < 1e7:
        return ".4g"
    decimals = max(0, 2 - math.floor(math.log10(least)))
    return f".{decimals}f" if decimals <= 5 else ".4g"


def _width(name: str, values: list[str]) -> int:
    return 2 + max(map(len, [name, *values]))


def mclust_name(structure: CovarianceStructure, n_components: int, n_features: int) -> str:
    """What mclust calls the structure. It has other names for one feature and for one component."""
    name = structure.mclust_name[:1] if n_features == 1 else structure.mclust_name
    return name.replace("V", "X").replace("E", "X") if n_components == 1 else name


# Making one ----------------------------------------------------------------------------------------------------------


class Evaluation(NamedTuple):
    """Sums over rows under the fitted mixture. A number that is not known is None."""

    log_likelihood: float | None
    log_max_resp: float | None
    n_rows: float | None
    is_exact: bool = True  # False: under the parameters before the last M step


def of_last_iteration(mixture) -> Evaluation:
    """What a fit by maximum likelihood knows of its rows. A step of a stream knows only those of its batch."""
    n_rows = rows_behind(mixture)
    bound = getattr(mixture, "lower_bound_", -math.inf)
    if n_rows is None or is_stream(mixture) or not math.isfinite(bound):
        return Evaluation(None, None, n_rows, is_exact=False)
    return Evaluation(bound * n_rows, None, n_rows, is_exact=False)


def rows_behind(mixture) -> float | None:
    """`n_samples_seen_` if it is known."""
    n_rows = getattr(mixture, "n_samples_seen_", math.nan)
    return float(n_rows) if is_positive_real(n_rows) else None


def is_stream(mixture) -> bool:
    """Whether `partial_fit` made the last change. Conversions keep only the number of bounds and of batches."""
    if getattr(mixture, "_stream", None) is not None:
        return True
    bounds = getattr(mixture, "lower_bounds_", None)
    return bounds is not None and len(bounds) != mixture.n_iter_


def summary_of(mixture, model: str, evaluation: Evaluation, **own) -> Summary:
    """The summary of a fitted mixture. `own` are attributes that depend on the kind of mixture."""
    structure, (n_components, n_features) = mixture._structure, mixture.means_.shape
    parameters = mixture._fitted_parameters(n_features)
    names = getattr(mixture, "feature_names_in_", [f"feature {j}" for j in range(n_features)])
    spread = structure.spread(parameters.covariances, n_components, n_features)
    optional = dict.fromkeys(("n_parameters", "bic", "aic", "icl", "lower_bound", "n_effective_components"))
    deviations, nu = np.sqrt(as_variances(spread)), None
    if isinstance(parameters, StudentParameters):
        nu = parameters.degrees_of_freedom
        deviations = deviations * deviations_per_scale(nu)[:, np.newaxis]
    return Summary(
        model=model,
        covariance_type=structure.name,
        covariances=structure.in_words(n_components, n_features),
        mclust_name=mclust_name(structure, n_components, n_features),
        n_components=n_components,
        n_features=n_features,
        feature_names=tuple(map(str, names)),
        n_rows=evaluation.n_rows,
        log_likelihood=evaluation.log_likelihood,
        is_exact=evaluation.is_exact,
        converged=bool(mixture.converged_) if hasattr(mixture, "converged_") else None,
        n_iter=getattr(mixture, "n_iter_", None),
        is_stream=is_stream(mixture),
        weights=np.asarray(mixture.weights_, np.float64),
        means=parameters.means,
        standard_deviations=deviations,
        degrees_of_freedom=nu,
        noise_weight=getattr(mixture, "noise_weight_", 0.0),
        **(optional | own),
    )
