"""Mixtures of which most pairs of row and component may be skipped, and passes that skip them in either way."""

from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from _shared.cases import rounded
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._model.gaussian import MixtureParameters
from fastgmm._rows.array import ArrayPasses
from fastgmm._skipping.cells import Tree
from fastgmm._skipping.screens import Directions, Goal, Projections
from fastgmm._skipping.trials import components_left, share_left

SORTED_ROWS = 2**16  # that passes with cells sort together


# Mixtures -------------------------------------------------------------------------------------------------------------


def separated(n, d, K, covariance_type, dtype, spread=None, seed=0):
    """Rows of a mixture whose means are some ten deviations apart, and that mixture; float32 sees less far."""
    rng = np.random.default_rng([n, d, K, seed])
    spread = (30.0 if d == 1 else 14.0 / np.sqrt(min(d, 4))) if spread is None else spread
    A = 0.3 * rng.normal(size=(K, d, d)) / np.sqrt(d) + np.eye(d)
    full = A @ A.transpose(0, 2, 1)
    covariances = {
        "full": full,
        "tied": full[0],
        "diag": np.einsum("kjj->kj", full).copy(),
        "spherical": full[:, 0, 0].copy(),
    }[covariance_type]
    type_ = COVARIANCE_TYPES[covariance_type]
    factors = rounded(type_.precisions_cholesky(covariances), dtype)
    means = rounded(spread * rng.normal(size=(K, d)), dtype)
    mixture = MixtureParameters(
        rng.dirichlet(np.full(K, 3.0)), means, type_.covariances_from_cholesky(factors), factors
    )
    X = (means[rng.choice(K, size=n, p=mixture.weights)] + rng.normal(size=(n, d))).astype(dtype)
    return X, mixture


HARD = {  # unit of the features, offset, and how many times as far apart
    "offset 1e6": (1.0, 1e6, 1.0),
    "one column at 1e7": (1.0, np.array([0.0, 1e7, 0.0, 0.0]), 1.0),
    "scales 1e-6 to 1e6": (np.array([1e-6, 1e-2, 1e2, 1e6]), 0.0, 1.0),
    "1e5 deviations apart": (1.0, 0.0, 1e4),
    "1e9 deviations apart": (1.0, 0.0, 1e8),
    "tiny": (1e-70, 0.0, 1.0),
    "huge": (1e120, 0.0, 1.0),
}


def hard(name, covariance_type):
    """Rows in four features, their mixture, and the unit of each feature."""
    unit, offset, apart = HARD[name]
    X, mixture = separated(3000, 4, 10, covariance_type, np.float64)
    noise = X - mixture.means[((X[:, np.newaxis] - mixture.means) ** 2).sum(axis=2).argmin(axis=1)]
    unit = np.broadcast_to(unit, 4)
    is_full = covariance_type == "full"
    moved = replace(
        mixture,
        means=apart * mixture.means * unit + offset,
        covariances=mixture.covariances * (unit[:, np.newaxis] * unit if is_full else unit * unit),
        precisions_cholesky=mixture.precisions_cholesky / (unit[:, np.newaxis] if is_full else unit),
    )
    return ((X - noise) * apart + noise) * unit + offset, moved, unit


def nearly_singular(d):
    """Components as thin as 1e-6 of their width, crosswise."""
    _, mixture = separated(3000, d, 10, "full", np.float64)
    rng = np.random.default_rng(0)
    rotations = np.linalg.qr(rng.normal(size=(10, d, d)))[0]
    spectrum = np.array([*np.ones(d - d // 2), *np.full(d // 2 - 1, 0.5), 1e-12])
    covariances = (rotations * spectrum) @ rotations.transpose(0, 2, 1)
    covariances = 0.5 * (covariances + covariances.transpose(0, 2, 1))
    labels = rng.integers(10, size=3000)
    noise = np.einsum("nij,nj->ni", (rotations * np.sqrt(spectrum))[labels], rng.normal(size=(3000, d)))
    factors = COVARIANCE_TYPES["full"].precisions_cholesky(covariances)
    return mixture.means[labels] + noise, replace(mixture, covariances=covariances, precisions_cholesky=factors)


def without_weight(mixture, components):
    """The mixture where these components have the weight 0."""
    weights = mixture.weights.copy()
    weights[components] = 0.0
    return replace(mixture, weights=weights / weights.sum())


# Passes ---------------------------------------------------------------------------------------------------------------


class Screens(NamedTuple):
    """Pairs are skipped by what so many projections, first and in all, say about them."""

    n_first: int
    n_all: int

    def plan(self, X, mixture, covariance_type, goal=Goal.STATISTICS):
        components, covariances = seen(mixture, covariance_type)
        if goal is not Goal.STATISTICS:
            covariances = components.covariances()
        directions = Directions(components, covariances)
        projections = Projections(components, covariances, X.dtype, directions, goal, self.n_all)
        return projections.plan(self.n_first, self.n_all)


class InCells(NamedTuple):
    """Components are left out of the cells of a tree; of so many rows, for features in these units."""

    n_rows: int = 4096
    unit: np.ndarray | float = 1.0

    def plan(self, X, mixture, covariance_type, goal=Goal.STATISTICS):
        tree = Tree.of_rows(X[: self.n_rows], np.broadcast_to(self.unit, X.shape[1]))
        return tree.plan(seen(mixture, covariance_type)[0], goal)


def seen(mixture, covariance_type):
    """The components of a mixture, and a covariance for each."""
    structure = COVARIANCE_TYPES[covariance_type]
    return mixture.components(structure), structure.spread(mixture.covariances, *mixture.means.shape)


def statistics(X, sample_weight, mixture, covariance_type, way, n_threads=2):
    """Statistics with pairs skipped, and dense ones."""
    passes = ArrayPasses(X, sample_weight, len(mixture.means), COVARIANCE_TYPES[covariance_type], n_threads)
    components, _ = seen(mixture, covariance_type)
    skipped = passes.em_step(components, with_entropy=True, plan=way.plan(X, mixture, covariance_type))
    return skipped, passes.em_step(components, with_entropy=True)


def predictions(X, mixture, covariance_type, way, n_threads=2):
    """Labels and log-densities with pairs skipped, and densely."""
    passes = ArrayPasses(X, None, len(mixture.means), COVARIANCE_TYPES[covariance_type], n_threads)
    components, _ = seen(mixture, covariance_type)
    dense = passes.predict(components), passes.log_prob_norm(components)
    of_labels, of_densities = (way.plan(X, mixture, covariance_type, goal) for goal in (Goal.LABELS, Goal.DENSITIES))
    skipped = passes.predict(components, of_labels), passes.log_prob_norm(components, of_densities)
    return skipped, dense


def left(X, mixture, covariance_type, way, goal=Goal.STATISTICS):
    """Share of all pairs that a plan leaves, at most 1. It is 1 where a screen leaves blocks to the dense pass."""
    components, _ = seen(mixture, covariance_type)
    plan = way.plan(X, mixture, covariance_type, goal)
    block = plan.arguments[-1]  # rows that are counted together
    parts = [X[start : start + block] for start in range(0, len(X), block)]
    if isinstance(way, InCells):
        shares = [components_left(plan, part, components)[0] / len(mixture.means) for part in parts]
    else:
        shares = [share_left(plan, part, components) for part in parts]
    return np.average(shares, weights=[len(part) for part in parts])


# When -----------------------------------------------------------------------------------------------------------------


def passes_of(X, n_components, covariance_type, n_samples=None, n_threads=1):
    """What `_skipping` asks of passes over n_samples rows, some of which are given."""
    return SimpleNamespace(
        n_rows=len(X) if n_samples is None else n_samples,
        n_features=X.shape[1],
        n_components=n_components,
        n_threads=n_threads,
        structure=COVARIANCE_TYPES[covariance_type],
        trial_rows=lambda: X,
    )


def next_plan(skipping, mixture, covariance_type, lost=1.0):
    """What to skip in a pass of EM after one that left out so many units of rounding; None: nothing."""
    components, covariances = seen(mixture, covariance_type)
    skipping.report(lost)
    return skipping.plan(components, lambda: covariances)
