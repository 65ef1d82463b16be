"""Estimators that skip pairs of row and component: the same results as with dense passes."""

import re

import numpy as np
import pytest
from _shared.cases import all_types, both_estimators
from _shared.skipping import separated

import fastgmm
from fastgmm import GaussianMixture

pytestmark = [
    pytest.mark.usefixtures("threads_on_tiny_data", "skipping_on_tiny_data"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

both_ways = pytest.mark.parametrize(("way", "d"), [("screened", 5), ("cells", 2)])


def names_of(calls, kind="em_pass"):
    """Of the passes of EM, or of others."""
    return [call.name for call in calls if call.name.endswith(kind)]


@all_types
@both_estimators
@both_ways
def test_fits(way, d, estimator, covariance_type, kernel_calls, dense_passes_only):
    X, _ = separated(5000, d, 20 if way == "cells" else 8, covariance_type, np.float64, spread=20 / d)
    model = estimator(
        n_components=21 if way == "cells" else 9, covariance_type=covariance_type, max_iter=20, tol=0.0, random_state=0
    )
    model.fit(X)
    assert names_of(kernel_calls).count(f"{way}_em_pass") >= 3
    found = model.lower_bounds_, model.means_, model.weights_
    kernel_calls.clear()
    with dense_passes_only():
        model.fit(X)
    assert set(names_of(kernel_calls)) == {"em_pass"}
    np.testing.assert_allclose(found[0], model.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(found[1], model.means_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found[2], model.weights_, rtol=0, atol=1e-11)


@pytest.mark.parametrize("source", ["weights", "batches", "memmap", "dask"])
@both_ways
def test_other_ways_to_fit(way, d, source, kernel_calls, dense_passes_only, tmp_path):
    X, _ = separated(3000, d, 8, "full", np.float64)
    np.save(tmp_path / "X.npy", X)
    fit = {
        "weights": lambda model: model.fit(X, sample_weight=np.arange(3000) % 3),
        "batches": lambda model: model.fit_batches([X[:1000], X[1000:1300], X[1300:]]),
        "memmap": lambda model: model.fit(np.load(tmp_path / "X.npy", mmap_mode="r")),
        "dask": lambda model: model.fit(pytest.importorskip("dask.array").from_array(X, chunks=(700, -1))),
    }[source]
    home = pytest.importorskip("fastgmm.dask") if source == "dask" else fastgmm
    model = home.GaussianMixture(8, max_iter=12, tol=0.0, random_state=0)
    fit(model)
    assert names_of(kernel_calls).count(f"{way}_em_pass") >= 3
    found = model.lower_bounds_, model.means_
    with dense_passes_only():
        fit(model)
    np.testing.assert_allclose(found[0], model.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(found[1], model.means_, rtol=0, atol=1e-10)


@all_types
@both_estimators
@both_ways
def test_predictions(way, d, estimator, covariance_type, kernel_calls, dense_passes_only):
    """With factors that the user changed, of which the covariances know nothing, too."""
    X, _ = separated(3000, d, 9, covariance_type, np.float64)
    model = estimator(n_components=9, covariance_type=covariance_type, random_state=0, max_iter=20).fit(X)
    for _ in range(2):
        kernel_calls.clear()
        found = model.predict(X), model.score_samples(X), model.score(X)
        assert names_of(kernel_calls, "density_pass") == 3 * [f"{way}_density_pass"]
        kernel_calls.clear()
        with dense_passes_only():
            expected = model.predict(X), model.score_samples(X), model.score(X)
        assert [call.name for call in kernel_calls] == 3 * ["density_pass"]
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-13)
        assert found[2] == pytest.approx(expected[2], rel=1e-14)
        model.precisions_cholesky_ = 0.7 * model.precisions_cholesky_


@both_ways
def test_a_pass_that_left_out_too_much_is_repeated_densely(way, d, kernel_calls, dense_passes_only):
    """As where a component shrinks to a thousandth in one iteration; the next pass is dense, too."""
    rng = np.random.default_rng(0)
    means = 200.0 * rng.normal(size=(9, d))
    means[8] = means[7]
    means[8, 0] += 1000.0
    X = np.repeat(means, 300, axis=0) + rng.normal(size=(2700, d))
    start = means.copy()
    start[7:, 0] = means[7, 0] + np.array([400.0, 600.0])
    model = GaussianMixture(
        9, max_iter=12, tol=0.0, means_init=start, weights_init=np.full(9, 1 / 9),
        precisions_init=np.stack([np.eye(d) / variance for variance in [1] * 7 + [1e5] * 2]),
    )  # fmt: skip
    model.fit(X)
    passes = "".join("d" if name == "em_pass" else "s" for name in names_of(kernel_calls))
    assert re.fullmatch("d+s+dds+", passes)
    assert len(passes) == model.n_iter_ + 1
    found = model.lower_bounds_
    with dense_passes_only():
        model.fit(X)
    np.testing.assert_allclose(found, model.lower_bounds_, rtol=1e-12)
