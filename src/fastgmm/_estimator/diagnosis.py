"""What `diagnose` returns: how well a mixture describes rows, which components fail and how, and what to try next."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import chi2

from fastgmm._estimator.goodness import Goodness, reference
from fastgmm._model.conditional import Mixture
from fastgmm._model.covariance.structure import as_matrices
from fastgmm._utils import layout
from fastgmm._utils.layout import Table
from fastgmm._utils.words import counted, listed

if TYPE_CHECKING:
    from pandas import DataFrame

_ROWS_PER_FEATURE = 5  # fewer rows in a component say nothing of its shape
_MOST_ROWS = 20  # lines of the table
_CERTAIN = 4.0  # standard errors from which on a difference is no chance
_CHANCE = 1e-4
_CHANCE_OF_SKEWNESS = 1e-3  # the test needs many rows
_KURTOSIS_BY_SKEW = 3.0  # a gamma distribution has an excess of 1.5 times the squared skewness
_LEAST_TAIL = 0.1  # smaller excess kurtosis, skewness, loss and differences of distributions do not matter
_LEAST_SKEWNESS = 0.3
_LEAST_LOSS = 0.02
_LEAST_MISFIT = 0.03
_MISFIT_BY_CHANCE = 0.7  # of one row: the mean in 600 components of Gaussian rows, with 1 to 7 features
_LEAST_OVERLAP = 0.2  # of two Gaussians of equal size, two standard deviations apart: they have one peak

_ADVICE = {
    "heavy tails": "Try StudentTMixture, or noise=True if far rows belong to no cluster.",
    "light tails": "Try more components: one may cover two clusters.",
    "skew": "Take logarithms of skewed features, or try more components and merge_components.",
    "covariance": "Try another covariance_type, or a smaller tol. If the rows are new, they differ from those fitted.",
    "overlap": "Try fewer components, or merge_components, which joins those that make up a cluster.",
    "distances": "Try more components, or another covariance_type.",
}
_ADVICE_FOR_T = {
    "heavy tails": "Try degrees_of_freedom='varying', or more components.",
    "light tails": "Try degrees_of_freedom='varying', GaussianMixture, or more components.",
}


class Finding(NamedTuple):
    """A way in which the mixture fails.

    Attributes
    ----------
    kind : str
        'heavy tails', 'light tails', 'skew', 'covariance', 'distances' or 'overlap'.
    components : tuple of int
        Numbers of one component, or of two that overlap.
    text : str
    advice : str
        What to try next.
    """

    kind: str
    components: tuple[int, ...]
    text: str
    advice: str


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Diagnosis:
    """How well a mixture describes rows. Printed, it is a text; in a notebook, tables.

    Attributes
    ----------
    misfit : float
        Mean of `misfits`, weighted by `rows`.
    misfit_by_chance : float
        About what it would be if the mixture were right.
    findings : tuple of Finding
        Which components fail, and how. Empty if none does.
    rows : ndarray of shape (n_components,)
        Sum of the responsibilities of each component.
    misfits : ndarray of shape (n_components,)
        Largest difference between the share of rows within a distance of the mean and the expected share.
    excess_kurtosis : ndarray of shape (n_components,)
        Mardia's kurtosis as a multiple of a Gaussian's, minus 1. Above 0: heavy tails.
    skewness : ndarray of shape (n_components,)
        Skewness of the most skewed direction, if the others are not skewed.
    losses : ndarray of shape (n_components,)
        How much log-likelihood a row of the component would gain, in nats, by a mean and covariance of its own.
    overlaps : ndarray of shape (n_components, n_components)
        Mean responsibility of one component for the rows of the other, the larger one of the two.
    is_judged : ndarray of bool of shape (n_components,)
        False where too few rows tell nothing.
    """

    misfit: float
    misfit_by_chance: float
    findings: tuple[Finding, ...]
    rows: np.ndarray
    misfits: np.ndarray
    excess_kurtosis: np.ndarray
    skewness: np.ndarray
    losses: np.ndarray
    overlaps: np.ndarray
    is_judged: np.ndarray

    def to_frame(self) -> DataFrame:
        """The numbers of all components as a pandas DataFrame, a row for each."""
        try:
            from pandas import DataFrame, Index
        except ImportError as error:
            raise ImportError("to_frame() makes a pandas DataFrame: python -m pip install pandas") from error
        columns = {name: getattr(self, name) for name in ("rows", "misfits", "excess_kurtosis", "skewness", "losses")}
        fails = [", ".join(self._kinds(k)) for k in range(len(self.rows))]
        return DataFrame({**columns, "fails": fails}, index=Index(range(len(self.rows)), name="component"))

    def __str__(self) -> str:
        return layout.as_text(self.parts())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return layout.as_html(self.parts())

    def parts(self) -> list[str | Table]:
        """Paragraphs and tables, of which the text and the HTML are made."""
        n_failing = len({k for finding in self.findings for k in finding.components})
        number = counted(len(self.rows), "component")
        verdict = f"{n_failing} of {number} fail" if n_failing else f"{number}, none of which fails"
        header = ["component", "rows", "misfit", "excess kurtosis", "skewness", "loss", "fails"]
        # Those that fail come first if there is no room for all.
        order = sorted(range(len(self.rows)), key=lambda k: (not self._kinds(k), -self.rows[k]))[:_MOST_ROWS]
        lines = [self._line(k) for k in sorted(order)]
        title = f"Misfit {self.misfit:.3f}, by chance {self.misfit_by_chance:.3f}: {verdict}."
        parts: list[str | Table] = [title, Table(lines, header)]
        if len(lines) < len(self.rows):
            parts.append(f"{counted(len(self.rows) - len(lines), 'component')} left out: to_frame() has all.")
        return [*parts, *(f"{finding.text} {finding.advice}" for finding in self.findings)]

    def _line(self, k: int) -> list[str]:
        numbers = (self.misfits, self.excess_kurtosis, self.skewness, self.losses)
        values = [f"{each[k]:.2f}" for each in numbers] if self.is_judged[k] else ["-"] * len(numbers)
        fails = ", ".join(self._kinds(k)) if self.is_judged[k] else "too few rows"
        return [str(k), f"{self.rows[k]:,.1f}", *values, fails]

    def _kinds(self, k: int) -> list[str]:
        return list(dict.fromkeys(finding.kind for finding in self.findings if k in finding.components))


def diagnosis_of(goodness: Goodness, mixture: Mixture, own_covariances: bool, names: list[str]) -> Diagnosis:
    """The diagnosis from sums over rows.

    `own_covariances` says whether each component has the free covariance of its rows.
    """
    d, n = mixture.means.shape[1], goodness.n_effective
    is_judged = n >= _ROWS_PER_FEATURE * (d + 1)
    misfits = goodness.misfits(own_covariances)
    kurtosis = goodness.excess_kurtosis() + (2.0 / (n + 1.0) if own_covariances else 0.0)  # Mardia 1974
    vectors = goodness.skewness()
    skewness = np.linalg.norm(vectors, axis=1)
    losses = np.zeros(len(n))
    losses[is_judged] = _losses(goodness)[is_judged]
    overlaps = goodness.overlaps()
    findings: list[Finding] = []
    judged = np.flatnonzero(is_judged).tolist()
    for k in judged:
        if losses[k] > _LEAST_LOSS and chi2.sf(2.0 * n[k] * losses[k], 0.5 * d * (d + 3)) < _CHANCE:
            text = f"Rows of component {k} would gain {losses[k]:.2f} nats each by a mean and covariance of its own."
            findings.append(_finding(k, "covariance", text))
            continue  # tails and skew are not known before
        is_skewed = skewness[k] > _LEAST_SKEWNESS and goodness.chance_of_skewness(k) < _CHANCE_OF_SKEWNESS
        if is_skewed:
            findings.append(_finding(k, "skew", _skew(k, skewness[k], vectors[k], mixture, names)))
        by_skew = _KURTOSIS_BY_SKEW * skewness[k] ** 2 / (d * (d + 2)) if is_skewed else 0.0
        standard_error = np.sqrt(8.0 / (d * (d + 2) * n[k]))
        if kurtosis[k] > max(_LEAST_TAIL, _CERTAIN * standard_error, by_skew) or kurtosis[k] < -max(
            _LEAST_TAIL, _CERTAIN * standard_error
        ):
            if mixture.degrees_of_freedom is None:
                findings.append(_finding(k, *_tails(k, kurtosis[k])))
            else:
                findings.append(_tails_of_t(k, kurtosis[k], mixture.degrees_of_freedom[k]))
        if not any(k in finding.components for finding in findings) and misfits[k] > max(
            _LEAST_MISFIT, 2.0 / np.sqrt(n[k])
        ):
            text = f"The distances of the rows of component {k} from its mean do not have the expected distribution."
            findings.append(_finding(k, "distances", text))
    for first, second in combinations(judged, 2):
        if (overlap := overlaps[first, second]) >= _LEAST_OVERLAP:
            text = f"Components {first} and {second} share {overlap:.0%} of the rows of the smaller one."
            findings.append(Finding("overlap", (first, second), text, _ADVICE["overlap"]))
    return Diagnosis(
        misfit=float(np.average(misfits, weights=goodness.mass)),
        misfit_by_chance=float(np.average(_MISFIT_BY_CHANCE / np.sqrt(np.maximum(n, 1.0)), weights=goodness.mass)),
        findings=tuple(findings),
        rows=goodness.mass,
        misfits=misfits,
        excess_kurtosis=kurtosis,
        skewness=skewness,
        losses=losses,
        overlaps=overlaps,
        is_judged=is_judged,
    )


def _losses(goodness: Goodness) -> np.ndarray:
    """Log-likelihood per row that a mean and covariance of its own would gain for each component."""
    means, covariances = goodness.moments()
    d = means.shape[1]
    second = covariances.trace(axis1=1, axis2=2) + np.einsum("kj,kj->k", means, means)
    signs, log_dets = np.linalg.slogdet(covariances)
    return np.where(signs > 0.0, 0.5 * (second - d - log_dets), 0.0)


def _finding(k: int, kind: str, text: str) -> Finding:
    return Finding(kind, (k,), text, _ADVICE[kind])


def _tails(k: int, excess: float) -> tuple[str, str]:
    times = f"its kurtosis is {1.0 + excess:.2f} times that of a Gaussian"
    if excess < 0.0:
        return "light tails", f"Component {k} has light tails: {times}."
    as_t = f", as of a t distribution with {4.0 + 2.0 / excess:.1f} degrees of freedom"
    return "heavy tails", f"Component {k} has heavy tails: {times}{as_t}."


def _tails_of_t(k: int, excess: float, nu: float) -> Finding:
    weight = "heavy" if excess > 0.0 else "light"
    text = f"Component {k} has {weight} tails, beside a t distribution with {nu:.3g} degrees of freedom."
    return Finding(f"{weight} tails", (k,), text, _ADVICE_FOR_T[f"{weight} tails"])


def _skew(k: int, skewness: float, vector: np.ndarray, mixture: Mixture, names: list[str]) -> str:
    """Names the features along which the rows are skewed most."""
    matrix = as_matrices(mixture.covariances[k : k + 1])[0]
    along = np.linalg.cholesky(matrix) @ vector  # x - mean = U^-T z
    shares = along / np.sqrt(matrix.diagonal()) / skewness
    order = np.argsort(-np.abs(shares))
    chosen = [j for j in order if abs(shares[j]) > 0.5] or [order[0]]
    words = [f"{'large' if shares[j] > 0.0 else 'small'} values of {names[j]!r}" for j in chosen]
    return f"Component {k} is skewed by {skewness:.1f}, towards {listed(words, 3)}."


def expected_distances(n_features: int, n_rows: float, own_covariances: bool, shares: np.ndarray) -> np.ndarray:
    """Quantiles of the distance from the mean that a component of so many rows should have."""
    return np.sqrt(reference(n_features, n_rows, own_covariances).ppf(shares))
