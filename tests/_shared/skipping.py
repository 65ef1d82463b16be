"""Mixtures of which most pairs of row and component may be skipped, and what a fit skipped."""

import numpy as np

from _shared.cases import rounded
from fastgmm._model.covariance import COVARIANCE_TYPES, MixtureParameters
from fastgmm._skipping import screens as _skipping

HARD = {
    "offset 1e6": (1.0, 1e6, 1.0),
    "one column at 1e7": (1.0, np.array([0.0, 1e7, 0.0, 0.0]), 1.0),
    "scales 1e-6 to 1e6": (np.array([1e-6, 1e-2, 1e2, 1e6]), 0.0, 1.0),
    "1e5 deviations apart": (1.0, 0.0, 1e4),
    "1e9 deviations apart": (1.0, 0.0, 1e8),
    "tiny": (1e-70, 0.0, 1.0),
    "huge": (1e120, 0.0, 1.0),
}


def separated(n, d, K, covariance_type, dtype, spread=None, seed=0):
    """A mixture with means some ten deviations apart, and rows from it; float32 sees less far."""
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


def noted_screens(monkeypatch):
    """A list that grows by what each pass of a fit is screened with."""
    screens = []
    of = _skipping.Screening.screen

    def noted(self, parameters):
        screens.append(of(self, parameters))
        return screens[-1]

    monkeypatch.setattr(_skipping.Screening, "screen", noted)
    return screens


def fits(used, kind, monkeypatch, estimator, fit):
    """The estimator fitted with and without screens, of which there were some, and of this kind."""
    screened = fit(estimator())
    assert sum(isinstance(each, kind) for each in used) >= 3
    monkeypatch.setattr(_skipping, "ENABLED", False)
    return screened, fit(estimator())
