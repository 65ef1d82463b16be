"""What no mixture can follow: components without rows, columns without variance, starts that fail, tiny units."""

import contextlib
import warnings

import numpy as np
import pytest
from _shared.cases import all_types, both_dtypes, both_estimators
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture as SklearnBayesianGaussianMixture
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC, StudentTMixture
from fastgmm._model.covariance import COVARIANCE_TYPES
from fastgmm._rows.boxes import log_volume

ESTIMATED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


def two_blobs(n_rows=100, dtype=np.float64):
    """Near (0, 0) and (20, 20); numbers that float32 holds, also with 1,024 added."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (n_rows, 2)), rng.normal(20, 1, (n_rows, 2))])
    return (np.round(X * 2**8) / 2**8).astype(dtype)


def precision_of_ones(covariance_type, n_components=3):
    unit = np.eye(2)
    return {
        "full": np.tile(unit, (n_components, 1, 1)),
        "tied": unit,
        "diag": np.ones((n_components, 2)),
        "spherical": np.ones(n_components),
    }[covariance_type]


# Components without rows ----------------------------------------------------------------------------------------------


@both_dtypes
@all_types
def test_a_component_without_rows_keeps_its_mean_and_covariance(covariance_type, dtype):
    X = two_blobs(dtype=dtype)
    start = {"weights_init": [0.4, 0.4, 0.2], "means_init": [[0, 0], [20, 20], [500, 500]]}
    start["precisions_init"] = precision_of_ones(covariance_type)
    parameters = {"covariance_type": covariance_type, "max_iter": 10}
    gmm = GaussianMixture(3, **start, **parameters)
    with pytest.warns(ConvergenceWarning, match=r"Component 2 has no rows. It keeps its mean"):
        gmm.fit(X)
    np.testing.assert_array_equal(gmm.means_[2], [500, 500])
    if covariance_type != "tied":
        np.testing.assert_allclose(gmm.covariances_[2], np.linalg.inv(np.eye(2)) if covariance_type == "full" else 1.0)
    assert 0 < gmm.weights_[2] < 1e-7
    with warnings.catch_warnings(action="ignore"):
        theirs = SklearnGaussianMixture(3, **start, **parameters).fit(X)
    rtol = 1e-8 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(gmm.means_[:2], theirs.means_[:2], rtol=rtol)
    np.testing.assert_allclose(gmm.weights_[:2], theirs.weights_[:2], rtol=rtol)


@pytest.mark.parametrize("n_empty", [1, 5])
def test_components_without_rows_have_no_share_in_a_shared_covariance(n_empty):
    X, parameters = two_blobs(10), {"covariance_type": "tied", "precisions_init": np.eye(2)}
    alone = GaussianMixture(2, means_init=X[[0, -1]], weights_init=[0.5, 0.5], **parameters).fit(X)
    means, weights = [*X[[0, -1]], *[[500, 500]] * n_empty], np.r_[0.5, 0.5, np.zeros(n_empty)]
    beside = GaussianMixture(2 + n_empty, means_init=means, weights_init=weights, **parameters)
    with pytest.warns(ConvergenceWarning, match="no rows"):
        beside.fit(X)
    np.testing.assert_allclose(beside.covariances_, alone.covariances_, rtol=1e-13)


@all_types
def test_components_that_a_prior_empties_are_scikit_learns(covariance_type):
    X = np.concatenate([two_blobs(), two_blobs() + np.array([0, 60])])
    parameters = {"n_components": 10, "covariance_type": covariance_type, "random_state": 0, "max_iter": 300}
    ours, theirs = (cls(**parameters).fit(X) for cls in (BayesianGaussianMixture, SklearnBayesianGaussianMixture))
    assert ours.weights_.min() < 1e-3
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-8, atol=1e-8)
    assert ours.lower_bound_ == pytest.approx(np.squeeze(theirs.lower_bound_), rel=1e-9)


@both_dtypes
@all_types
def test_rows_that_return_find_their_component(covariance_type, dtype):
    """Frame by frame, wherever the origin of the coordinates is."""
    X, found = two_blobs(dtype=dtype), []
    for offset in (0.0, 1024.0):
        rows = X + dtype(offset)
        gmm = GaussianMixture(2, covariance_type=covariance_type, warm_start=True, random_state=0).fit(rows)
        upper = int(gmm.predict(rows[-1:])[0])
        before = gmm.means_[upper].copy()
        for _ in range(5):
            with pytest.warns(ConvergenceWarning, match=f"Component {upper} has no rows"):
                gmm.fit(rows[:100])
        np.testing.assert_array_equal(gmm.means_[upper], before)
        gmm.fit(rows)
        assert gmm.weights_[upper] == pytest.approx(0.5)
        found.append((gmm.means_ - dtype(offset), gmm.covariances_))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-10 if dtype == np.float64 else 2e-4)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-8 if dtype == np.float64 else 1e-3, atol=1e-4)


@pytest.mark.parametrize("offset", [0.0, 1024.0])
@both_dtypes
@all_types
def test_a_cluster_that_pauses_is_not_forgotten(covariance_type, dtype, offset):
    """In a stream whose half-life is a hundred rows, the rows before the pause count for 2^-240 at its end."""
    X = two_blobs(dtype=dtype) + dtype(offset)
    gmm = GaussianMixture(2, covariance_type=covariance_type, half_life=100, random_state=0)
    for _ in range(10):
        gmm.partial_fit(X)
    upper = int(gmm.predict(X[-1:])[0])
    mean, covariances = gmm.means_[upper].copy(), gmm.covariances_.copy()
    with warnings.catch_warnings(record=True, action="always") as caught:
        for _ in range(240):
            gmm.partial_fit(X[:100])
    assert [str(each.message)[:23] for each in caught] == [f"Component {upper} has no rows"]
    np.testing.assert_allclose(gmm.means_[upper], mean, rtol=1e-6)
    if covariance_type != "tied":
        np.testing.assert_allclose(gmm.covariances_[upper], covariances[upper], rtol=1e-4)
    for _ in range(10):
        gmm.partial_fit(X)
    np.testing.assert_allclose(gmm.means_[upper], mean, atol=0.1)
    assert gmm.weights_[upper] == pytest.approx(0.5, abs=0.02)


@all_types
def test_an_empty_cluster_of_kmeans_does_not_depend_on_the_origin(covariance_type):
    """Of two distinct rows k-means makes two clusters, not three."""
    fits = []
    for offset in (0.0, 1024.0):
        X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 10, axis=0) + offset
        with pytest.warns(ConvergenceWarning):
            fits.append(GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X))
    np.testing.assert_allclose(fits[0].means_ + 1024.0, fits[1].means_, atol=1e-9)
    np.testing.assert_allclose(fits[0].covariances_, fits[1].covariances_, rtol=1e-6, atol=1e-12)


# Columns without variance ---------------------------------------------------------------------------------------------

CONSTANTS = {np.float64: (0.0, 0.1, 1e6 / 3, 1.7e15), np.float32: (0.0, 0.1, 1e6, 1e6 / 3)}
constants = pytest.mark.parametrize(
    ("dtype", "constant"), [(dtype, value) for dtype, values in CONSTANTS.items() for value in values]
)


def with_constant(dtype, constant):
    X = two_blobs(dtype=dtype)
    X[:, 1] = constant
    return X


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@constants
@all_types
def test_a_constant_column_has_the_variance_reg_covar(covariance_type, dtype, constant, init_params):
    X = with_constant(dtype, constant)
    gmm = GaussianMixture(2, covariance_type=covariance_type, init_params=init_params, random_state=0).fit(X)
    np.testing.assert_array_equal(gmm.means_[:, 1], X[0, 1])
    if covariance_type == "spherical":  # the mean of both variances: all that there is within is the other column's
        within = 2 * gmm.weights_ @ (gmm.covariances_.astype(float) - 1e-6)
        between = gmm.weights_ @ np.square(gmm.means_[:, 0] - X[:, 0].mean())
        assert within == pytest.approx(X[:, 0].var() - between, 1e-4)
    else:
        variances = {"full": lambda c: c[:, 1, 1], "tied": lambda c: c[1, 1], "diag": lambda c: c[:, 1]}
        np.testing.assert_array_equal(variances[covariance_type](gmm.covariances_), dtype(1e-6))


@pytest.mark.parametrize("init_params", ["k-means++", "random_from_data"])
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_a_start_from_single_rows_has_no_variance_of_its_own_for_a_constant_column(covariance_type, init_params):
    """A component may lose its row at once, and keep what it had."""
    X = with_constant(np.float64, 1e6 + 0.1)
    weights = 10.0 ** np.random.default_rng(1).uniform(-12, 12, len(X))
    gmm = GaussianMixture(3, covariance_type=covariance_type, init_params=init_params, random_state=1)
    for max_iter in (0, 1, 30):
        with warnings.catch_warnings(action="ignore"):
            gmm.set_params(max_iter=max_iter).fit(X, sample_weight=weights)
        variances = gmm.covariances_[:, 1, 1] if covariance_type == "full" else gmm.covariances_[:, 1]
        np.testing.assert_array_equal(variances, 1e-6)


@both_estimators
@constants
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_a_constant_column_is_refused_without_reg_covar(covariance_type, dtype, constant, estimator):
    X = with_constant(dtype, constant)
    model = estimator(n_components=2, covariance_type=covariance_type, reg_covar=0, random_state=0)
    for fit in (model.fit, model.partial_fit, lambda X: model.fit_batches([X[:70], X[70:]])):
        with pytest.raises(ValueError, match="ill-defined empirical covariance"):
            fit(X)


@constants
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_rows_that_are_all_alike_have_the_variance_reg_covar_in_a_stream(covariance_type, dtype, constant):
    """The second cluster is empty."""
    gmm = GaussianMixture(2, covariance_type=covariance_type, random_state=0)
    for _ in range(3):
        with warnings.catch_warnings(action="ignore"):
            gmm.partial_fit(np.full((90, 2), constant, dtype))
        variances = {"full": lambda c: c.diagonal(axis1=1, axis2=2), "tied": np.diagonal, "diag": np.asarray}
        np.testing.assert_array_equal(variances[covariance_type](gmm.covariances_), dtype(1e-6))


@both_dtypes
@all_types
def test_a_column_as_fine_as_rounding_is_constant(covariance_type, dtype):
    """Sums that differ in their last bit, as of 0.1 + 0.2 and 0.3."""
    X = two_blobs(dtype=dtype)[:, :1] * dtype(0) + dtype(0.3)
    X[::2] = np.nextafter(X[::2], dtype(1))
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        GaussianMixture(1, covariance_type=covariance_type, reg_covar=0).fit(X)
    steps = np.arange(200).reshape(-1, 1).astype(dtype) % 4
    fine = dtype({np.float64: 1.7e15, np.float32: 5e6}[dtype]) + steps  # a variance of 1.25 is more than rounding
    gmm = GaussianMixture(1, covariance_type=covariance_type, reg_covar=0).fit(fine)
    assert gmm.covariances_.item() == pytest.approx(1.25)


# Starts that fail -----------------------------------------------------------------------------------------------------


def rows_on_which_random_starts_fail(seed=4):
    rng = np.random.RandomState(seed)
    return np.concatenate([rng.normal(size=(20, 1)), np.zeros((6, 1))])


def starts_that_succeed(X, n_init, **parameters):
    random_state, scores = np.random.RandomState(0), []
    for _ in range(n_init):
        try:
            scores.append(GaussianMixture(random_state=random_state, **parameters).fit(X).lower_bound_)
        except ValueError:
            continue
    return scores


def test_a_start_that_fails_leaves_the_others():
    parameters = {"n_components": 3, "reg_covar": 0, "init_params": "random", "max_iter": 1000}
    X = next(
        X
        for X in map(rows_on_which_random_starts_fail, range(60))
        if 0 < len(starts_that_succeed(X, 5, **parameters)) < 5
    )
    scores = starts_that_succeed(X, 5, **parameters)
    gmm = GaussianMixture(n_init=5, random_state=0, **parameters)
    message = rf"{5 - len(scores)} of n_init=5 starts failed.*ill-defined empirical covariance"
    for fit in (gmm.fit, gmm.fit_predict, lambda X: gmm.fit_batches([X[:9], X[9:]])):
        with pytest.warns(ConvergenceWarning, match=message):
            fit(X)
        assert gmm.lower_bound_ == pytest.approx(max(scores))
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        gmm.fit(np.zeros((10, 1)))


# A reg_covar that hides the data --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@both_estimators
def test_features_that_reg_covar_hides_are_named(estimator):
    pandas = pytest.importorskip("pandas")
    X = two_blobs()
    frame = pandas.DataFrame({"width": X[:, 0], "height": X[:, 1] * 1e-5, "constant": 3.0})
    model = estimator(n_components=2, random_state=0)
    message = r"reg_covar=1e-06 is far above the variance of feature 'height' \(9\.95e-09\).*Rescale"
    for fit in (model.fit, lambda X: model.fit_batches([X]), clone(model).partial_fit):
        with pytest.warns(UserWarning, match=message) as caught:
            fit(frame)
        assert len(caught) == 1
        if fit == model.fit:
            assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"variance of features 0 and 1 \(9\.95e-09 to 1e-08\)"):
        model.fit(X * 1e-5)
    with warnings.catch_warnings(action="error"):
        model.fit(frame[["width", "constant"]])
        model.set_params(reg_covar=1e-12).fit(X * 1e-5)


def test_the_search_names_features_that_reg_covar_hides():
    with pytest.warns(UserWarning, match=r"reg_covar=1e-06 is far above the variance of features 0 and 1"):
        GaussianMixtureIC([1, 2], random_state=0).fit(two_blobs() * 1e-5)


def test_fits_on_chunks_say_the_same():
    dask_array = pytest.importorskip("dask.array")
    from fastgmm.dask import GaussianMixture as OnChunks

    X = two_blobs()
    with pytest.warns(UserWarning, match=r"far above the variance of features 0 and 1 \(9\.95e-09 to 1e-08\)"):
        OnChunks(2, random_state=0).fit(dask_array.from_array(X * 1e-5, (60, 2)))
    start = {"weights_init": [0.4, 0.4, 0.2], "means_init": [[0, 0], [20, 20], [500, 500]]}
    with pytest.warns(ConvergenceWarning, match="Component 2 has no rows"):
        gmm = OnChunks(3, precisions_init=precision_of_ones("full"), **start).fit(dask_array.from_array(X, (60, 2)))
    np.testing.assert_array_equal(gmm.means_[2], [500, 500])


@pytest.mark.parametrize("estimator", [GaussianMixture, StudentTMixture])
def test_units_at_the_ends_of_float64_are_fitted_or_refused(estimator):
    """Variances of 1e-320 have no reciprocal, and those of 1e600 are no numbers; warnings of NumPy are errors here."""
    fitted = 0
    for covariance_type in COVARIANCE_TYPES:
        mixture = estimator(2, covariance_type=covariance_type, reg_covar=0.0, max_iter=1, random_state=0)
        for unit in (1e-160, 1e-154, 1e153, 1e300):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    mixture.fit(unit * two_blobs(30))
            except ValueError:
                continue
            fitted += 1
            assert np.isfinite(mixture.sample(3)[0]).all()
            with contextlib.suppress(ValueError):  # of a variance that underflows
                assert np.isfinite(mixture.condition(0, mixture.means_[0, 0]).means_).all()
    assert fitted >= len(COVARIANCE_TYPES)


def test_questions_at_the_ends_of_float64_are_answered_or_refused():
    """The fuzz found these, by warnings of NumPy."""
    X = np.random.default_rng(0).normal(size=(100, 2))
    tmm = StudentTMixture(degrees_of_freedom=4.0, covariance_type="diag").fit(X)
    with pytest.raises(ValueError, match="values are so far from component 0"):
        tmm.condition(0, 1e300)
    of_one = tmm.marginal(0)
    of_one.precisions_cholesky_ = np.full_like(of_one.precisions_cholesky_, 1e170)
    with pytest.raises(ValueError, match="ill-defined"):
        of_one.cdf(0.5)
    assert log_volume(np.vstack([np.zeros(2), 1e-170 * np.eye(2)])) == pytest.approx(2 * np.log(1e-170))
