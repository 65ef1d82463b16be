"""What must not matter, and what must change along, for random data: properties of a fit from a given start."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from _shared.cases import TYPES, random_covariances
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm._model.covariance import COVARIANCE_TYPES

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("threads_on_tiny_data"),
]
TOLERANCE = 1e-9  # some iterations enlarge the rounding of the first
few_examples = settings(max_examples=20)


@dataclass(frozen=True)
class Case:
    """Rows, their weights, and a start of EM."""

    covariance_type: str
    X: np.ndarray
    sample_weight: np.ndarray | None
    weights: np.ndarray
    means: np.ndarray
    precisions: np.ndarray
    reg_covar: float = 1e-6

    def mixture(self, **parameters):
        return GaussianMixture(
            len(self.means), covariance_type=self.covariance_type, weights_init=self.weights, means_init=self.means,
            precisions_init=self.precisions, reg_covar=self.reg_covar, max_iter=5, tol=0.0, **parameters,
        )  # fmt: skip

    def fit(self, **parameters):
        return self.mixture(**parameters).fit(self.X, sample_weight=self.sample_weight)


def make(covariance_type, n, d, K, seed, weighted):
    """Overlapping clusters, so that all parameters move."""
    rng = np.random.default_rng([n, d, K, seed])
    means = 2.0 * rng.normal(size=(K, d))
    X = means[rng.integers(K, size=n)] + rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)))
    structure = COVARIANCE_TYPES[covariance_type]
    factors = structure.precisions_cholesky(random_covariances(rng, covariance_type, K, d))
    return Case(
        covariance_type, X, rng.integers(1, 4, n).astype(float) if weighted else None, rng.dirichlet(np.full(K, 5.0)),
        means + 0.3 * rng.normal(size=(K, d)), structure.precisions(factors),
    )  # fmt: skip


def cases(types=TYPES, most_rows=300):
    return st.builds(
        make, st.sampled_from(types), st.integers(100, most_rows), st.integers(1, 6), st.integers(1, 4),
        st.integers(0, 10**6), st.booleans(),
    )  # fmt: skip


def assert_near(actual, expected, scale=1.0):
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE * scale)


def assert_same(actual, expected):
    assert_near(actual.lower_bounds_, expected.lower_bounds_)
    for name in ("weights_", "means_", "covariances_"):
        values = getattr(expected, name)
        assert_near(getattr(actual, name), values, np.abs(values).max())


@few_examples
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_rows(case, random):
    order = np.array(random.sample(range(len(case.X)), len(case.X)))
    weights = None if case.sample_weight is None else case.sample_weight[order]
    assert_same(replace(case, X=case.X[order], sample_weight=weights).fit(), case.fit())


@few_examples
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_components(case, random):
    K = len(case.means)
    order = random.sample(range(K), K)
    shared = case.covariance_type == "tied"
    precisions = case.precisions if shared else case.precisions[order]
    moved = replace(case, weights=case.weights[order], means=case.means[order], precisions=precisions).fit()
    fit = case.fit()
    assert_near(moved.lower_bounds_, fit.lower_bounds_)
    assert_near(moved.means_, fit.means_[order], np.abs(fit.means_).max())
    assert_near(moved.covariances_, fit.covariances_ if shared else fit.covariances_[order], fit.covariances_.max())
    np.testing.assert_array_equal(np.array(order)[moved.predict(case.X)], fit.predict(case.X))


@few_examples
@given(cases(), st.floats(-100, 100))
def test_translation(case, shift):
    moved, fit = replace(case, X=case.X + shift, means=case.means + shift).fit(), case.fit()
    assert_near(moved.lower_bounds_, fit.lower_bounds_)
    assert_near(moved.means_ - shift, fit.means_, 100)
    assert_near(moved.covariances_, fit.covariances_, fit.covariances_.max())


@few_examples
@given(cases(), st.floats(-30, 30))
def test_units(case, exponent):
    unit = 10.0**exponent
    scaled = replace(
        case, X=case.X * unit, means=case.means * unit, precisions=case.precisions / unit**2,
        reg_covar=case.reg_covar * unit**2,
    ).fit()  # fmt: skip
    fit, d = case.fit(), case.X.shape[1]
    assert_near(np.add(scaled.lower_bounds_, d * np.log(unit)), fit.lower_bounds_, d * 70)
    assert_near(scaled.means_ / unit, fit.means_, np.abs(fit.means_).max())
    assert_near(scaled.covariances_ / unit**2, fit.covariances_, fit.covariances_.max())
    assert_near(scaled.weights_, fit.weights_)


@few_examples
@given(cases(["full", "tied", "spherical"]), st.integers(0, 10**6))
def test_rotation(case, seed):
    d = case.X.shape[1]
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    is_matrix = case.covariance_type != "spherical"
    precisions = Q.T @ case.precisions @ Q if is_matrix else case.precisions
    turned, fit = replace(case, X=case.X @ Q, means=case.means @ Q, precisions=precisions).fit(), case.fit()
    assert_near(turned.lower_bounds_, fit.lower_bounds_)
    assert_near(turned.means_, fit.means_ @ Q, np.abs(fit.means_).max())
    expected = Q.T @ fit.covariances_ @ Q if is_matrix else fit.covariances_
    assert_near(turned.covariances_, expected, np.abs(expected).max())


@few_examples
@given(cases(), st.integers(0, 10**6))
def test_a_weight_is_a_number_of_copies(case, seed):
    counts = np.random.default_rng(seed).integers(0, 4, len(case.X))
    counts[:20] = 1  # so that some rows are left
    copies = replace(case, X=np.repeat(case.X, counts, axis=0), sample_weight=None).fit()
    weighted = replace(case, sample_weight=counts).fit()
    assert_same(weighted, copies)
    assert weighted.n_samples_seen_ == copies.n_samples_seen_


@few_examples
@given(cases(most_rows=700), st.data())
def test_batches_are_the_whole(case, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(case.X)), max_size=4)))
    parts = np.split(case.X, cuts)
    if case.sample_weight is not None:
        parts = list(zip(parts, np.split(case.sample_weight, cuts), strict=True))
    assert_same(case.mixture().fit_batches(parts), case.fit())


@few_examples
@given(cases(most_rows=6000), st.sampled_from([GaussianMixture, BayesianGaussianMixture]), st.integers(2, 9))
def test_threads_change_no_bit(case, estimator, n_threads):
    given = {"n_components": 3, "covariance_type": case.covariance_type, "max_iter": 4, "tol": 0.0, "random_state": 0}
    one, several = (
        estimator(**given, n_threads=n).fit(case.X, sample_weight=case.sample_weight) for n in (1, n_threads)
    )
    assert several.lower_bounds_ == one.lower_bounds_
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        np.testing.assert_array_equal(getattr(several, name), getattr(one, name))
    np.testing.assert_array_equal(several.score_samples(case.X), one.score_samples(case.X))


@few_examples
@given(cases())
def test_the_bound_never_falls(case):
    """Without regularization: with it EM maximizes something else."""
    bounds = np.array(replace(case, reg_covar=0.0).fit().lower_bounds_)
    assert np.diff(bounds).min() >= -1e-14 * np.abs(bounds).max()


@few_examples
@given(cases())
def test_to_scikit_learn_and_back(case):
    fit = case.fit()
    theirs = fit.to_sklearn()
    assert type(theirs) is SklearnGaussianMixture
    back = GaussianMixture.from_sklearn(theirs)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "lower_bound_"):
        np.testing.assert_array_equal(getattr(back, name), getattr(fit, name))
    np.testing.assert_array_equal(back.predict_proba(case.X), fit.predict_proba(case.X))
    assert_near(theirs.predict_proba(case.X), fit.predict_proba(case.X))
    assert_near(theirs.score_samples(case.X), fit.score_samples(case.X), 10)
