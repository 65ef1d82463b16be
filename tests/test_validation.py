"""Bad input of every kind: scikit-learn's exception types, messages that name parameter, value and remedy."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import GaussianMixture

X = np.random.default_rng(0).normal(size=(40, 2))


def exception_type(call):
    """The type that a call raises."""
    with pytest.raises(Exception) as caught:
        call()
    return caught.type


BAD_PARAMETERS = [
    ("n_components", 0),
    ("n_components", 2.0),
    ("n_components", "2"),
    ("covariance_type", "round"),
    ("covariance_type", None),
    ("tol", -1e-3),
    ("tol", np.nan),
    ("tol", np.inf),
    ("tol", "small"),
    ("reg_covar", -1e-6),
    ("reg_covar", None),
    ("max_iter", -1),
    ("max_iter", 1.5),
    ("n_init", 0),
    ("init_params", "kmeans++"),
    ("init_params", 3),
    ("weights_init", 0.5),
    ("means_init", "X"),
    ("precisions_init", 1),
    ("random_state", -1),
    ("random_state", "seed"),
    ("random_state", np.random.default_rng(0)),
    ("warm_start", 1),
    ("warm_start", "yes"),
    ("verbose", -1),
    ("verbose", "loud"),
    ("verbose_interval", 0),
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS, ids=str)
def test_bad_parameter(name, value):
    with pytest.raises(
        ValueError, match=rf"The '{name}' parameter of GaussianMixture must be .* Got .* instead\. \w+"
    ) as caught:
        GaussianMixture(**{name: value}).fit(X)
    assert repr(value) in str(caught.value)
    assert caught.type is exception_type(lambda: SklearnGaussianMixture(**{name: value}).fit(X))


@pytest.mark.parametrize("n_threads", [0, -1, 1.0, "all"])
def test_bad_n_threads(n_threads):
    with pytest.raises(ValueError, match=r"The 'n_threads' parameter .* Pass None"):
        GaussianMixture(n_threads=n_threads).fit(X)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_components", np.int64(2)), ("tol", 0), ("verbose", False), ("warm_start", np.bool_(False)), ("n_threads", 1)],
    ids=str,
)
def test_unusual_but_good_parameter(name, value):
    gmm = GaussianMixture(**{"n_components": 2, "random_state": 0, "max_iter": 0, name: value}).fit(X)
    assert getattr(gmm, name) is value


def with_value(value):
    bad = X.copy()
    bad[3, 1] = value
    return bad


BAD_DATA = {
    "NaN": with_value(np.nan),
    "inf": with_value(np.inf),
    "None": None,
    "1-D": X[:, 0],
    "3-D": X[np.newaxis],
    "0-D": 3.0,
    "no rows": X[:0],
    "no columns": X[:, :0],
    "one row": X[:1],
    "strings": X.astype(str).astype(object) + "a",
    "complex": X * 1j,
    "sparse": scipy.sparse.csr_matrix(X),
    "ragged": [[1.0, 2.0], [3.0]],
    "float32 NaN": with_value(np.nan).astype(np.float32),
}


@pytest.mark.parametrize("data", BAD_DATA)
def test_bad_data_for_fit(data):
    expected = exception_type(lambda: SklearnGaussianMixture().fit(BAD_DATA[data]))
    assert exception_type(lambda: GaussianMixture().fit(BAD_DATA[data])) is expected
    assert exception_type(lambda: GaussianMixture().fit_predict(BAD_DATA[data])) is expected


@pytest.mark.parametrize("data", [name for name in BAD_DATA if name != "one row"])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "aic", "bic"])
def test_bad_data_for_predictions(method, data):
    gmm = GaussianMixture().fit(X)
    expected = exception_type(lambda: gmm.to_sklearn().score_samples(BAD_DATA[data]))
    assert exception_type(lambda: getattr(gmm, method)(BAD_DATA[data])) is expected


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "aic", "bic"])
def test_other_number_of_features(method):
    with pytest.raises(ValueError, match=r"3 features.*expecting 2"):
        getattr(GaussianMixture().fit(X), method)(np.zeros((5, 3)))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "aic", "bic"])
def test_not_fitted(method):
    with pytest.raises(NotFittedError):
        getattr(GaussianMixture(), method)(X)


def test_fewer_rows_than_components():
    with pytest.raises(ValueError, match="n_samples >= n_components but got n_components = 41, n_samples = 40"):
        GaussianMixture(41).fit(X)


# Sample weights ------------------------------------------------------------------------------------------------------

ONES = np.ones(len(X))
BAD_WEIGHTS = [
    (-ONES, "Negative values"),
    (0 * ONES, "zero"),
    (ONES[1:], "expected .40,."),
    (ONES[:, np.newaxis], "1D"),
    (3.0, "1D"),
    (np.where(np.arange(len(X)) == 2, np.nan, 1.0), "NaN"),
    (np.where(np.arange(len(X)) == 2, np.inf, 1.0), "infinity"),
    (np.array(["a"] * len(X)), "could not convert"),
]


@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS, ids=[message for _, message in BAD_WEIGHTS])
@pytest.mark.parametrize("method", ["fit", "fit_predict", "score", "aic", "bic"])
def test_bad_sample_weight(method, weights, message):
    with pytest.raises(ValueError, match=message):
        getattr(GaussianMixture().fit(X), method)(X, sample_weight=weights)


def test_rows_of_weight_zero_do_not_count():
    with pytest.raises(ValueError, match="n_components = 3, n_samples = 2"):
        GaussianMixture(3).fit(X, sample_weight=np.arange(len(X)) < 2)
    with pytest.raises(ValueError, match="minimum of 2"):
        GaussianMixture(1).fit(X, sample_weight=np.arange(len(X)) < 1)


@pytest.mark.parametrize("convert", [list, np.float32, np.int8, lambda weights: np.repeat(weights, 2)[::2]])
def test_sample_weight_of_any_number_type(convert):
    gmm = GaussianMixture(2, random_state=0, max_iter=0)
    np.testing.assert_array_equal(
        gmm.fit(X, sample_weight=convert(2 * ONES)).means_, gmm.fit(X, sample_weight=2 * ONES).means_
    )


# Initial values ------------------------------------------------------------------------------------------------------

NOT_DEFINITE = [[1.0, 2.0], [2.0, 1.0]]
NOT_SYMMETRIC = [[2.0, 1.0], [0.0, 2.0]]
BAD_INITIAL_VALUES = [
    ("full", {"weights_init": [0.5, 0.2, 0.3]}, r"'weights_init' should have the shape of \(2,\), but got \(3,\)"),
    ("full", {"weights_init": [[0.5, 0.5]]}, "weights_init"),
    ("full", {"weights_init": [-0.5, 1.5]}, r"range \[0, 1\].*-0.5"),
    ("full", {"weights_init": [0.5, 0.4]}, "normalized.*0.9"),
    ("full", {"weights_init": [0.5, np.nan]}, "NaN"),
    ("full", {"means_init": [[1.0, 2.0]]}, r"'means_init' should have the shape of \(2, 2\), but got \(1, 2\)"),
    ("full", {"means_init": [[1.0, np.inf], [0.0, 0.0]]}, "infinity"),
    ("full", {"precisions_init": np.eye(2)}, "'precisions_init' should have the shape"),
    ("full", {"precisions_init": [np.eye(2), NOT_DEFINITE]}, "symmetric, positive-definite, but matrix 1"),
    ("full", {"precisions_init": [np.eye(2), NOT_SYMMETRIC]}, "symmetric, positive-definite, but matrix 1"),
    ("tied", {"precisions_init": NOT_DEFINITE}, "'tied precision' should be symmetric, positive-definite"),
    ("tied", {"precisions_init": [np.eye(2)] * 2}, "shape"),
    ("diag", {"precisions_init": [[1.0, 1.0], [0.0, 1.0]]}, "'diag precision' should be positive"),
    ("diag", {"precisions_init": [1.0, 1.0]}, "shape"),
    ("spherical", {"precisions_init": [-1.0, 1.0]}, "'spherical precision' should be positive.*-1.0"),
    ("spherical", {"precisions_init": [[1.0, 1.0]]}, "shape"),
]


@pytest.mark.parametrize(("covariance_type", "given", "message"), BAD_INITIAL_VALUES)
def test_bad_initial_values(covariance_type, given, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, covariance_type=covariance_type, **given).fit(X)
    with pytest.raises(ValueError):
        SklearnGaussianMixture(2, covariance_type=covariance_type, **given).fit(X)


def test_precisions_of_any_scale_are_accepted():
    """scikit-learn's eigenvalue test calls such a matrix indefinite, by rounding alone."""
    scales = np.array([1e-6, 1e6])
    precision = np.array([[1.0, 0.5], [0.5, 1.0]]) / np.outer(scales, scales)
    gmm = GaussianMixture(1, precisions_init=[precision], max_iter=0).fit(X)
    np.testing.assert_allclose(gmm.precisions_[0], precision, rtol=1e-14)


# Fitted attributes changed by hand -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("means_", np.zeros((2, 3))), ("weights_", np.ones(3) / 3), ("precisions_cholesky_", np.ones((2, 2)))],
)
def test_attributes_of_wrong_shape_are_not_handed_to_the_kernels(name, value):
    gmm = GaussianMixture(2, random_state=0).fit(X)
    setattr(gmm, name, value)
    with pytest.raises(ValueError, match=r"has the shape .* Call fit again"):
        gmm.predict(X)


def test_covariance_type_changed_after_the_fit():
    gmm = GaussianMixture(2, random_state=0).fit(X).set_params(covariance_type="diag")
    with pytest.raises(ValueError, match=r"precisions_cholesky_ has the shape \(2, 2, 2\)"):
        gmm.predict(X)
