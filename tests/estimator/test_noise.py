"""`noise`: the same mixture wherever the rows are, starts, criteria, predictions, and what does not combine."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from fastgmm import GaussianMixture, GaussianMixtureIC
from fastgmm.plotting import plot_components, plot_uncertainty

CENTERS = np.array([[0.0, 0.0, 0.0], [7.0, 1.0, 0.0], [1.0, 8.0, 4.0]])


def clutter(n=600, share=0.25, seed=0):
    """Rows of three clusters and of a box around them, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    X = CENTERS[labels] + rng.normal(size=(n, 3))
    noise = rng.random(n) < share
    X[noise] = rng.uniform([-8.0, -8.0, -8.0], [15.0, 16.0, 12.0], (noise.sum(), 3))
    return X, np.where(noise, -1, labels)


X, LABELS = clutter()
FITTED = GaussianMixture(3, noise=True, random_state=0).fit(X)
ORDER = np.argsort([np.square(FITTED.means_ - center).sum(axis=1).argmin() for center in CENTERS])


def parameters(model):
    return np.concatenate([model.weights_, [model.noise_weight_], model.means_.ravel(), model.covariances_.ravel()])


def assert_same(model, other, rtol=1e-9):
    np.testing.assert_allclose(parameters(model), parameters(other), rtol=rtol, atol=1e-12)
    assert model.noise_log_density_ == pytest.approx(other.noise_log_density_, rel=1e-12)


def test_clusters_and_clutter_are_found():
    np.testing.assert_allclose(FITTED.means_[np.argsort(ORDER)], CENTERS, atol=0.4)
    assert FITTED.noise_weight_ == pytest.approx(np.mean(LABELS == -1), abs=0.03)
    assert FITTED.weights_.sum() + FITTED.noise_weight_ == pytest.approx(1.0, abs=1e-14)
    assert np.mean((FITTED.predict(X) == -1) == (LABELS == -1)) > 0.95


def test_densities_are_those_of_the_formula():
    rows = np.vstack([X[:50], [[1e3, 0.0, 0.0]]])
    terms = [
        np.log(weight) + multivariate_normal(mean, covariance).logpdf(rows)
        for weight, mean, covariance in zip(FITTED.weights_, FITTED.means_, FITTED.covariances_, strict=True)
    ]
    terms.append(np.full(len(rows), np.log(FITTED.noise_weight_) + FITTED.noise_log_density_))
    expected = logsumexp(terms, axis=0)
    np.testing.assert_allclose(FITTED.score_samples(rows), expected, rtol=1e-12)
    np.testing.assert_allclose(FITTED.predict_proba(rows), np.exp(terms[:-1] - expected).T, atol=1e-12)
    best = np.argmax(terms, axis=0)
    np.testing.assert_array_equal(FITTED.predict(rows), np.where(best == 3, -1, best))
    assert FITTED.predict(rows)[-1] == -1


@pytest.mark.parametrize("lower", ["features", "principal axes"])
def test_volume_is_that_of_the_smaller_box(lower):
    """Rows along a diagonal have the smaller box along their principal axes."""
    rows = np.random.default_rng(3).uniform(size=(300, 3))
    if lower == "principal axes":
        rows = 0.1 * rows + rows[:, :1]
    centered = rows - rows.mean(axis=0)
    turned = centered @ np.linalg.svd(centered, full_matrices=False)[2].T
    volumes = {"features": np.ptp(rows, axis=0).prod(), "principal axes": np.ptp(turned, axis=0).prod()}
    assert min(volumes, key=volumes.get) == lower
    model = GaussianMixture(1, noise=True).fit(rows)
    assert model.noise_log_density_ == pytest.approx(-np.log(volumes[lower]), rel=1e-10)
    corner, edges = model.noise_box_[0], model.noise_box_[1:]
    coordinates = (rows - corner) @ np.linalg.inv(edges)
    np.testing.assert_allclose([coordinates.min(axis=0), coordinates.max(axis=0)], [[0.0] * 3, [1.0] * 3], atol=1e-9)


def test_rows_in_batches_and_chunks_give_the_same_mixture(tmp_path):
    dask, da = pytest.importorskip("dask"), pytest.importorskip("dask.array")
    fastgmm_dask = pytest.importorskip("fastgmm.dask")
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    weights[:30] = 0.0
    settings = {"noise": True, "random_state": 0, "max_iter": 20, "tol": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = GaussianMixture(3, **settings).fit(X, sample_weight=weights)
        batches = [(X[i : i + 170], weights[i : i + 170]) for i in range(0, len(X), 170)]
        assert_same(GaussianMixture(3, **settings).fit_batches(batches, checkpoint=tmp_path / "fit.npz"), expected)
        with dask.config.set(scheduler="synchronous"):
            chunked = da.from_array(X, chunks=(170, -1))
            on_dask = fastgmm_dask.GaussianMixture(3, **settings).fit(chunked, sample_weight=weights)
            np.testing.assert_array_equal(on_dask.predict(chunked).compute(), expected.predict(X))
        assert_same(on_dask, expected)
        assert_same(on_dask.to_local(), expected)
        repeated = GaussianMixture(3, **settings).fit(X.astype(np.float32), sample_weight=weights)
    np.testing.assert_allclose(parameters(repeated), parameters(expected), rtol=2e-3, atol=1e-3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(expected)).predict(X), expected.predict(X))


def test_an_interrupted_fit_goes_on(tmp_path):
    class InterruptError(Exception):
        pass

    def interrupt(progress):
        if progress.stage == "EM" and progress.event == "iteration" and progress.iteration == 4:
            raise InterruptError

    model = GaussianMixture(3, noise=True, random_state=0, init_params="random", tol=0, max_iter=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model.fit_batches([X])
        wanted = parameters(expected)
        with pytest.raises(InterruptError):
            model.fit_batches([X], checkpoint=tmp_path / "fit.npz", callback=interrupt)
        model.fit_batches([X], checkpoint=tmp_path / "fit.npz")
    np.testing.assert_allclose(parameters(model), wanted, rtol=1e-10)
    assert model.n_iter_ == 12


@pytest.mark.parametrize("init_params", ["kmeans", "sample", "split_merge"])
def test_starts_do_not_see_the_clutter(init_params):
    """The start alone is near the clusters, in half clutter."""
    rows, labels = clutter(n=2500, share=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = GaussianMixture(3, noise=True, init_params=init_params, max_iter=0, random_state=0).fit(rows)
    assert start.noise_weight_ == pytest.approx(np.mean(labels == -1), abs=0.1)
    assert np.square(start.means_[:, np.newaxis] - CENTERS).sum(axis=2).min(axis=0).max() < 0.3


def test_given_labels_and_responsibilities_name_the_noise():
    by_labels = GaussianMixture(3, noise=True, init_params=LABELS).fit(X)
    responsibilities = (LABELS[:, np.newaxis] == np.arange(3)).astype(float)
    assert_same(GaussianMixture(3, noise=True, init_params=responsibilities).fit(X), by_labels)
    assert_same(GaussianMixture(3, noise=True, init_params=lambda rows, k, random_state: LABELS).fit(X), by_labels)


def test_a_stream_keeps_the_volume_of_its_first_batch():
    model = GaussianMixture(3, noise=True, random_state=0).partial_fit(X)
    volume = model.noise_log_density_
    for seed in range(1, 25):
        model.partial_fit(clutter(seed=seed, share=0.4)[0])
    assert model.noise_log_density_ == volume
    assert model.noise_weight_ == pytest.approx(0.4, abs=0.05)
    assert model.weights_.sum() + model.noise_weight_ == pytest.approx(1.0, abs=1e-14)


def test_a_search_counts_the_noise():
    search = GaussianMixtureIC(range(1, 5), noise=True, covariance_type=["full", "spherical"], random_state=0).fit(X)
    assert (search.n_components_, search.covariance_type_) == (3, "spherical")
    best, table = search.best_estimator_, search.criterion_
    i = np.nanargmin(table["bic"])
    assert table["n_parameters"][i] == 3 * 3 + 3 + 3 + 1  # means, variances, weights, and the volume
    assert table["bic"][i] == pytest.approx(best.bic(X), rel=1e-12)
    assert table["icl"][i] == pytest.approx(best.summary(X).icl, rel=1e-12)
    assert best.noise_box_ is not None
    given = GaussianMixture(3, covariance_type="spherical", noise=5000.0, random_state=0).fit(X)
    assert given._n_parameters() == 3 * 3 + 3 + 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = GaussianMixtureIC(range(1, 7), covariance_type="spherical", random_state=0).fit(X)
    assert plain.n_components_ > 3  # components for the clutter
    assert plain.bic(X) > search.bic(X)


def test_draws_are_those_of_the_mixture():
    rows, labels = FITTED.sample(20_000, random_state=0)
    assert np.mean(labels == -1) == pytest.approx(FITTED.noise_weight_, abs=0.01)
    background = (rows[labels == -1] - FITTED.noise_box_[0]) @ np.linalg.inv(FITTED.noise_box_[1:])
    np.testing.assert_allclose(background.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(background.var(axis=0), 1 / 12, atol=0.01)
    assert (np.abs(background - 0.5) <= 0.5).all()


def test_fixed_weights_hold_the_noise():
    model = GaussianMixture(3, noise=True, weights_init=[0.2, 0.2, 0.2], fixed="weights", random_state=0).fit(X)
    assert model.noise_weight_ == pytest.approx(0.4, abs=1e-14)


def test_a_further_fit_continues_from_the_noise():
    model = GaussianMixture(3, noise=True, random_state=0, warm_start=True, tol=1e-9, max_iter=500).fit(X)
    assert model.fit(X).n_iter_ <= 2
    assert "noise" in str(model.summary())
    model.set_params(noise=False, warm_start=False).fit(X)
    assert (model.noise_weight_, model.noise_box_) == (0.0, None)
    assert model.weights_.sum() == pytest.approx(1.0, abs=1e-14)


def test_pictures_show_the_background_gray():
    ax = plot_components(FITTED, X)
    gray = [dots for dots in ax.collections if tuple(dots.get_facecolor()[0][:3].round(2)) == (0.5, 0.5, 0.5)]
    assert sum(len(dots.get_offsets()) for dots in gray) == np.sum(FITTED.predict(X) == -1)
    assert f"noise: {FITTED.noise_weight_:.0%}" in [text.get_text() for text in ax.get_legend().get_texts()]
    plot_uncertainty(FITTED, X)
    plot_components(FITTED, X, features=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": 1}, "'noise' parameter .* Got 1 instead. Pass True"),
        ({"noise": -2.0}, "'noise' parameter .* Got -2.0 instead"),
        ({"noise": "yes"}, "'noise' parameter .* Got 'yes' instead"),
        ({"noise": True, "missing": "marginalize"}, "missing='marginalize' does not combine with noise=True"),
        ({"noise": True, "acceleration": "lbfgs"}, "acceleration='lbfgs' does not combine with noise=True"),
        ({"noise": True, "init_params": "k-means++"}, "init_params='k-means\\+\\+' does not combine with noise=True"),
        ({"noise": True, "weights_init": [0.5, 0.3, 0.2]}, "should sum to less than 1 with noise"),
        ({"noise": True, "init_params": LABELS - 1}, "Labels in init_params must be from -1 to 2, got -2"),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(3, **settings).fit(X)


def test_a_constant_feature_has_no_volume():
    with pytest.raises(ValueError, match="feature 1 is constant: leave it out, or pass the volume"):
        GaussianMixture(3, noise=True).fit(X * [1.0, 0.0, 1.0])


def test_rows_of_the_background_alone_have_finite_criteria():
    """No component has any responsibility for them; warnings are errors in this suite."""
    far = np.concatenate([X, np.full((2, X.shape[1]), 1e6)])
    assert np.isfinite(FITTED.summary(far).icl)


def test_what_does_not_know_the_background_says_so():
    for call in (FITTED.to_sklearn, FITTED.onnx_parser, lambda: FITTED.marginal([0])):
        with pytest.raises(ValueError, match="does not know the uniform background that noise=True adds"):
            call()
    with pytest.raises(ValueError, match=r"noise=5000\.0 gives its volume only"):
        GaussianMixture(3, noise=5000.0, random_state=0).fit(X).sample(5)
    with pytest.raises(ValueError, match=r"noise=False, but the fitted model .* has a background"):
        pickle.loads(pickle.dumps(FITTED)).set_params(noise=False).partial_fit(X)
