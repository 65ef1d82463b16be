"""Bad input of every kind: scikit-learn's exception types, messages that name parameter, value and remedy."""

import datetime
import pickle
import re
from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from _shared.cases import TYPES, both_estimators
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture as SklearnBayesianGaussianMixture
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.pipeline import make_pipeline

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC

SKLEARN = {GaussianMixture: SklearnGaussianMixture, BayesianGaussianMixture: SklearnBayesianGaussianMixture}

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
    ("random_state", -1),
    ("random_state", "seed"),
    ("random_state", np.random.default_rng(0)),
    ("warm_start", 1),
    ("warm_start", "yes"),
    ("verbose", -1),
    ("verbose", "loud"),
    ("verbose_interval", 0),
]


BAD_STARTS = [("weights_init", 0.5), ("means_init", "X"), ("precisions_init", 1)]
BAD_PRIORS = [
    ("weight_concentration_prior_type", "dirichlet"),
    ("weight_concentration_prior_type", None),
    *(
        (f"{name}_prior", value)
        for name in ("weight_concentration", "mean_precision", "degrees_of_freedom", "covariance")
        for value in (0, -1.0, np.nan, np.inf, "large")
    ),
    ("weight_concentration_prior", [0.5, 0.5]),
    ("mean_precision_prior", [1.0]),
    ("mean_prior", 0.5),
    ("mean_prior", "X"),
]


@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [
        *((estimator, *bad) for estimator in SKLEARN for bad in BAD_PARAMETERS),
        *((GaussianMixture, *bad) for bad in BAD_STARTS),
        *((BayesianGaussianMixture, *bad) for bad in BAD_PRIORS),
    ],
    ids=str,
)
def test_bad_parameter(estimator, name, value):
    with pytest.raises(ValueError, match=r"Got .* instead\. \w+") as ours:
        estimator(**{name: value}).fit(X)
    with pytest.raises(ValueError) as theirs:
        SKLEARN[estimator](**{name: value}).fit(X)
    assert ours.type is theirs.type
    # Names of options are a set in scikit-learn, and come in any order.
    messages = [re.sub("{.*}", "{}", str(caught.value)) for caught in (ours, theirs)]
    assert messages[0].startswith(messages[1])


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({"covariance_type": "diagonal"}, "Did you mean 'diag'?"),
        ({"covariance_type": "Full"}, "Did you mean 'full'?"),
        ({"covariance_type": "vei"}, "Did you mean 'VEI'?"),
        ({"init_params": "k-means"}, "Did you mean 'kmeans'?"),
        ({"criterion": "BIC"}, "Did you mean 'bic'?"),
    ],
)
def test_names_that_are_nearly_right(given, advice):
    estimators = [GaussianMixture, BayesianGaussianMixture, GaussianMixtureIC]
    for estimator in estimators[2 if "criterion" in given else 0 :]:
        with pytest.raises(ValueError, match=re.escape(advice) + "$"):
            estimator(**given).fit(X)


@pytest.mark.parametrize("estimator", [*SKLEARN, GaussianMixtureIC])
def test_arguments_of_constructors_that_are_not_there(estimator):
    name = estimator.__name__
    with pytest.raises(TypeError, match=rf"^{name}.* unexpected keyword argument 'n_jobs': use n_threads\.$"):
        estimator(n_jobs=2)
    with pytest.raises(TypeError, match=rf"^{name}.* unexpected keyword argument 'n_inits': use n_init\.$"):
        estimator(n_inits=2)
    with pytest.raises(TypeError, match=rf"^{name}.* unexpected keyword argument 'x': there are n_components, "):
        estimator(x=2)
    with pytest.raises(TypeError, match=r"'seed': use random_state\.$"):
        estimator(seed=0)
    with pytest.raises(TypeError, match=r"'sample_weight': pass sample_weight to fit\.$"):
        estimator(sample_weight=[1.0])
    with pytest.raises(TypeError, match=rf"^{name}.*given: pass parameters by name, such as n_components=2\.$"):
        estimator(2, "full")


@pytest.mark.parametrize("estimator", [*SKLEARN, GaussianMixtureIC])
def test_set_params_of_what_is_not_there(estimator):
    message = rf"^Invalid parameter '%s' for estimator {estimator.__name__}\(\)\. Valid parameters are: \[.*\]\.%s$"
    for given, advice in (("n_jobs", r" Use n_threads\."), ("n_inits", r" Use n_init\."), ("x", "")):
        model = estimator()
        with pytest.raises(ValueError, match=message % (given, advice)):
            model.set_params(max_iter=3, **{given: 2})
        assert model.max_iter == 100
    pipeline = make_pipeline(estimator())
    with pytest.raises(ValueError, match=r" Use n_threads\.$"):
        pipeline.set_params(**{f"{estimator.__name__.lower()}__n_jobs": 2})
    assert pipeline.set_params(**{f"{estimator.__name__.lower()}__max_iter": 7})[-1].max_iter == 7


@pytest.mark.parametrize("n_threads", [0, -1, 1.0, "all"])
@both_estimators
def test_bad_n_threads(estimator, n_threads):
    with pytest.raises(ValueError, match=r"The 'n_threads' parameter .* Pass None"):
        estimator(n_threads=n_threads).fit(X)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_components", np.int64(2)), ("tol", 0), ("verbose", False), ("warm_start", np.bool_(False)), ("n_threads", 1)],
    ids=str,
)
@both_estimators
def test_unusual_but_good_parameter(estimator, name, value):
    gmm = estimator(**{"n_components": 2, "random_state": 0, "max_iter": 0, name: value}).fit(X)
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
@both_estimators
def test_bad_data_for_fit(estimator, data):
    expected = exception_type(lambda: SKLEARN[estimator]().fit(BAD_DATA[data]))
    assert exception_type(lambda: estimator().fit(BAD_DATA[data])) is expected
    assert exception_type(lambda: estimator().fit_predict(BAD_DATA[data])) is expected


PREDICTIONS = ["predict", "predict_proba", "score_samples", "score"]
with_methods = pytest.mark.parametrize(
    ("estimator", "method"),
    [
        *((GaussianMixture, method) for method in (*PREDICTIONS, "aic", "bic")),
        *((BayesianGaussianMixture, method) for method in PREDICTIONS),
    ],
)


@pytest.mark.parametrize("data", [name for name in BAD_DATA if name != "one row"])
@with_methods
def test_bad_data_for_predictions(estimator, method, data):
    gmm = estimator().fit(X)
    expected = exception_type(lambda: gmm.to_sklearn().score_samples(BAD_DATA[data]))
    assert exception_type(lambda: getattr(gmm, method)(BAD_DATA[data])) is expected


@with_methods
def test_other_number_of_features(estimator, method):
    with pytest.raises(ValueError, match=r"3 features.*expecting 2"):
        getattr(estimator().fit(X), method)(np.zeros((5, 3)))


@with_methods
def test_not_fitted(estimator, method):
    with pytest.raises(NotFittedError):
        getattr(estimator(), method)(X)


@both_estimators
def test_fewer_rows_than_components(estimator):
    with pytest.raises(ValueError, match="n_samples >= n_components but got n_components = 41, n_samples = 40"):
        estimator(n_components=41).fit(X)


# Sample weights ------------------------------------------------------------------------------------------------------

ONES = np.ones(len(X))
BAD_WEIGHTS = [
    (-ONES, "Negative values .*: the least is -1.0, in entry 0. "),
    (0 * ONES, "zero"),
    (ONES[1:], "expected .40,."),
    (ONES[:, np.newaxis], "1D"),
    (3.0, "1D"),
    (np.where(np.arange(len(X)) == 2, np.nan, 1.0), "NaN"),
    (np.where(np.arange(len(X)) == 2, np.inf, 1.0), "infinity"),
    (np.array(["a"] * len(X)), "could not convert"),
]


@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS, ids=[message for _, message in BAD_WEIGHTS])
@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        *((GaussianMixture, method) for method in ("fit", "fit_predict", "score", "aic", "bic")),
        *((BayesianGaussianMixture, method) for method in ("fit", "fit_predict", "score")),
    ],
)
def test_bad_sample_weight(estimator, method, weights, message):
    with pytest.raises(ValueError, match=message):
        getattr(estimator().fit(X), method)(X, sample_weight=weights)


@both_estimators
def test_rows_of_weight_zero_do_not_count(estimator):
    with pytest.raises(ValueError, match="n_components = 3, n_samples = 2"):
        estimator(n_components=3).fit(X, sample_weight=np.arange(len(X)) < 2)
    with pytest.raises(ValueError, match="minimum of 2"):
        estimator().fit(X, sample_weight=np.arange(len(X)) < 1)


@pytest.mark.parametrize("convert", [list, np.float32, np.int8, lambda weights: np.repeat(weights, 2)[::2]])
@both_estimators
def test_sample_weight_of_any_number_type(estimator, convert):
    gmm = estimator(n_components=2, random_state=0, max_iter=0)
    np.testing.assert_array_equal(
        gmm.fit(X, sample_weight=convert(2 * ONES)).means_, gmm.fit(X, sample_weight=2 * ONES).means_
    )


@pytest.mark.parametrize("method", ["fit", "fit_predict", "partial_fit", "score"])
@pytest.mark.parametrize("estimator", [*SKLEARN, GaussianMixtureIC])
def test_weights_given_as_y_are_warned_of(estimator, method):
    if (estimator, method) == (GaussianMixtureIC, "partial_fit"):
        return
    model = estimator(n_components=1).fit(X)
    use = getattr(model, method)
    with pytest.warns(UserWarning, match=r"^y is ignored, but looks like weights: .*sample_weight=\.\.\.$") as warned:
        use(X, np.abs(X[:, 0]))
    assert len(warned) == 1
    assert warned[0].filename == __file__
    for y in (
        None,
        X[:, 0],
        np.arange(len(X)),
        np.ones(3),
        ["a"] * len(X),
        [[1], [2, 3]],
        np.ones((len(X), 1)),
        np.nan,
    ):
        use(X, y)
    use(X, sample_weight=np.abs(X[:, 0]))


# What is no number ---------------------------------------------------------------------------------------------------


def in_place(value, row=3, column=1):
    """An object array of numbers, and one other thing."""
    bad = X.astype(object)
    bad[row, column] = value
    return bad


SOME = np.zeros(X.shape, bool)
SOME[[4, 6, 9], [1, 0, 1]] = True
NO_NUMBERS = {
    "strings of digits": (
        X.round(3).astype(str),
        "Input X contains strings. The first is '0.126', in row 0, column 0. ",
    ),
    "StringDType": (
        X.round(3).astype(np.dtypes.StringDType() if hasattr(np.dtypes, "StringDType") else str),
        "Input X contains strings. The first is '0.126', in row 0, column 0. ",
    ),
    "bytes": (X.round(3).astype("S"), "Input X contains bytes. The first is b'0.126', in row 0, column 0. "),
    "a string of digits": (in_place("7"), "Input X contains strings. The first is '7', in row 3, column 1. "),
    "a word": (in_place("red"), "could not convert string to float: 'red', in row 3, column 1 of X. "),
    "a word after digits": (
        [["1", "2"], ["3", "red"]],
        "could not convert string to float: 'red', in row 1, column 1 ",
    ),
    "a string in lists": ([[1.0, 2.0], [3.0, "4"]], "Input X contains strings. The first is '4', in row 1, column 1. "),
    "datetime64": (X.astype("M8[s]"), "float() argument must be a string or a real number, not 'datetime64': row 0, "),
    "timedelta64": (
        X.astype("m8[s]"),
        "float() argument must be a string or a real number, not 'timedelta64': row 0, ",
    ),
    "a timedelta64": (
        in_place(np.timedelta64(5, "s")),
        "float() argument must be a string or a real number, not 'timedelta64': row 3, column 1 of X holds ",
    ),
    "a datetime": (
        in_place(datetime.datetime(2020, 1, 1)),
        "float() argument must be a string or a real number, not 'datetime': row 3, column 1 of X holds ",
    ),
    "a date in lists": (
        [[1.0, np.datetime64("2020")], [2.0, 3.0]],
        "float() argument must be a string or a real number, not 'datetime64': row 0, column 1 of X holds ",
    ),
    "an array": (in_place(np.ones(2)), "setting an array element with a sequence: row 3, column 1 of X holds array("),
    "masked": (
        np.ma.array(X, mask=SOME),
        "Input X contains masked entries. 3 values are masked, the first in row 4, column 1. ",
    ),
    "masked rows": (
        [np.ma.array([1.0, 2.0], mask=[False, True]), np.ma.array([3.0, 4.0])],
        "Input X contains masked entries. 1 value is masked, in row 0, column 1. ",
    ),
    "structured": (
        np.array([(1.0, 2.0), (3.0, 4.0)], dtype=[("a", float), ("b", float)]),
        "Cannot cast array data from dtype([('a', '<f8'), ('b', '<f8')]) to dtype('float64'): X is a structured array. "
        "Pass numpy.lib.recfunctions.structured_to_unstructured(X).",
    ),
    "complex": (X * 1j, "Complex data not supported: X has the dtype complex128. "),
    "void": (np.zeros((3, 2), "V8"), "setting an array element with a sequence: X has the dtype |V8, bytes without a"),
    "NaN": (with_value(np.nan), "Input X contains NaN. 1 value is NaN, in row 3, column 1. Drop such rows, or fill in"),
    "NaN in lists": (with_value(np.nan).tolist(), "Input X contains NaN. 1 value is NaN, in row 3, column 1. "),
    "NaNs": (np.where(SOME, np.nan, X), "Input X contains NaN. 3 values are NaN, the first in row 4, column 1. "),
    "infinity": (
        with_value(np.inf),
        "Input X contains infinity or a value too large for dtype('float64'). "
        "1 value is infinite or too large, in row 3, column 1. Drop such rows, or rescale the columns.",
    ),
    "a path": (
        "data.parquet",
        "could not convert string to float: 'data.parquet'. X is a path, not data: read the file, ",
    ),
    "a Path": (
        Path("data.csv"),
        "X is a path, not data: read the file, or pass fastgmm.batches.from_csv('data.csv').",
    ),
    "a generator": (
        (row for row in X),
        "X must be an array or a frame, got generator, which can only be iterated over",
    ),
    "a list of batches": (
        [X[:9], X[9:]],
        "X is a list of tables. Pass numpy.concatenate(X), or the list to fit_batches.",
    ),
    "a dict": ({"a": X[:, 0]}, "X must be an array or a frame, got dict: pass pandas.DataFrame(X)."),
    "a dict of rows": ({"w": X[:, 0], "rows": X}, "X must be an array or a frame, got dict: pass X['rows']."),
    "a Bunch": (load_iris(), "X must be an array or a frame, got Bunch: pass X.data."),
    "ragged": ([[1.0, 2.0], [3.0]], "Pass X with equally many numbers in each row."),
    "one feature": (
        np.arange(120.0),
        "Expected 2D array, got 1D array instead: X has the shape (120,). Reshape your data",
    ),
    "None": (None, "Expected 2D array, got scalar array instead: X is None. "),
}
WAYS = {
    "fit": lambda data: GaussianMixture().fit(data),
    "Bayesian": lambda data: BayesianGaussianMixture().fit_predict(data),
    "search": lambda data: GaussianMixtureIC([1]).fit(data),
    "partial_fit": lambda data: GaussianMixture().fit(X.astype(np.float32)).partial_fit(data),
    "predict": lambda data: GaussianMixture().fit(X).predict(data),
    "score": lambda data: BayesianGaussianMixture().fit(X).score(data),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_what_is_no_number(kind, way):
    data, message = NO_NUMBERS[kind]
    if way == "partial_fit" and kind == "infinity":
        message = message.replace("float64", "float32")
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        WAYS[way](data)


@pytest.mark.parametrize(
    "data",
    [
        X > 0,
        (X > 0).astype(object),
        np.ma.array(X),
        X.round(2).astype(object),
        [[1, 2], [3, Fraction(9, 2)], [Decimal("2.5"), np.float32(2)]],
    ],
    ids=["booleans", "Booleans", "no mask", "floats", "numbers"],
)
def test_what_is_numbers(data):
    fitted, theirs = GaussianMixture(random_state=0).fit(data), SklearnGaussianMixture(random_state=0).fit(data)
    np.testing.assert_allclose(fitted.means_, theirs.means_, rtol=1e-12)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["1"] * len(X), "Input sample_weight contains strings. The first is '1', in entry 0. "),
        (X[:, 0].astype("m8[s]"), "not 'timedelta64': entry 0 of sample_weight holds "),
        (
            np.ma.array(ONES, mask=SOME[:, 0]),
            "Input sample_weight contains masked entries. 1 value is masked, in entry 6. ",
        ),
        (
            np.where(SOME[:, 0], np.nan, 1.0),
            "Input sample_weight contains NaN. 1 value is NaN, in entry 6. Pass finite",
        ),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
def test_weights_that_are_no_numbers(method, weights, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        getattr(GaussianMixture().fit(X), method)(X, sample_weight=weights)


@pytest.mark.parametrize(
    ("estimator", "given", "message"),
    [
        (
            GaussianMixture,
            {"means_init": [["1", "2"]]},
            "Input means_init contains strings. The first is '1', in row 0, ",
        ),
        (
            GaussianMixture,
            {"weights_init": np.ma.array([1.0], mask=[True])},
            "Input weights_init contains masked entries. ",
        ),
        (
            GaussianMixture,
            {"precisions_init": np.full((1, 2, 2), np.nan)},
            "4 values are NaN, the first in entry (0, 0, 0).",
        ),
        (
            BayesianGaussianMixture,
            {"mean_prior": np.zeros(2, "m8[s]")},
            "not 'timedelta64': entry 0 of mean_prior holds ",
        ),
        (
            BayesianGaussianMixture,
            {"covariance_prior": [[b"1", 0], [0, 1]]},
            "covariance_prior contains bytes. The first ",
        ),
    ],
)
def test_initial_values_that_are_no_numbers(estimator, given, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        estimator(**given).fit(X)


OF_400_DIGITS = 10**400


@pytest.mark.parametrize(
    ("call", "place"),
    [
        (lambda gmm: gmm.fit([[OF_400_DIGITS, 1.0], [2.0, 3.0]]), "in row 0, column 0"),
        (lambda gmm: gmm.fit(np.array([[0, 1], [2, Fraction(OF_400_DIGITS)]], object)), "in row 1, column 1"),
        (lambda gmm: gmm.fit(X, sample_weight=[OF_400_DIGITS] * len(X)), "the first in entry 0"),
        (lambda gmm: gmm.set_params(means_init=[[OF_400_DIGITS, 1]]).fit(X), "in row 0, column 0"),
        (lambda gmm: gmm.set_params(tol=OF_400_DIGITS).fit(X), "The 'tol' parameter"),
        (lambda gmm: gmm.fit(X).sample(OF_400_DIGITS), "no array has so many rows"),
    ],
)
def test_integers_that_float64_cannot_hold(call, place):
    """A ValueError, not Python's OverflowError."""
    with pytest.raises(ValueError, match=place):
        call(GaussianMixture())


# Initial values ------------------------------------------------------------------------------------------------------

NOT_DEFINITE = [[1.0, 2.0], [2.0, 1.0]]
NOT_SYMMETRIC = [[2.0, 1.0], [0.0, 2.0]]
BAD_INITIAL_VALUES = [
    ("full", {"weights_init": [0.5, 0.2, 0.3]}, "the shape of weights_init follows from"),
    ("full", {"weights_init": [[0.5, 0.5]]}, "weights_init"),
    ("full", {"weights_init": [-0.5, 1.5]}, "min value -0.50000, max value 1.50000"),
    ("full", {"weights_init": [0.5, 0.4]}, "divide weights_init by its sum, 0.9"),
    ("full", {"weights_init": [0.5, np.nan]}, "weights_init must be finite numbers"),
    ("full", {"means_init": [[1.0, 2.0]]}, "the shape of means_init follows from"),
    ("full", {"means_init": [[1.0, np.inf], [0.0, 0.0]]}, "means_init must be finite numbers"),
    ("full", {"precisions_init": np.eye(2)}, "the shape of precisions_init follows from"),
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
    with pytest.raises(ValueError, match=message) as ours:
        GaussianMixture(2, covariance_type=covariance_type, **given).fit(X)
    with pytest.raises(ValueError) as theirs:
        SklearnGaussianMixture(2, covariance_type=covariance_type, **given).fit(X)
    words = str(theirs.value).rstrip(".").partition(" max value")[0]  # there scikit-learn confuses the two
    assert str(ours.value).startswith(words)


def test_precisions_of_any_scale_are_accepted():
    """scikit-learn's eigenvalue test calls such a matrix indefinite, by rounding alone."""
    scales = np.array([1e-6, 1e6])
    precision = np.array([[1.0, 0.5], [0.5, 1.0]]) / np.outer(scales, scales)
    gmm = GaussianMixture(1, precisions_init=[precision], max_iter=0).fit(X)
    np.testing.assert_allclose(gmm.precisions_[0], precision, rtol=1e-14)


# Priors --------------------------------------------------------------------------------------------------------------

BAD_PRIOR_VALUES = [
    ("full", {"mean_prior": [1.0, 2.0, 3.0]}, "the shape of mean_prior follows from"),
    ("full", {"mean_prior": [[1.0, 2.0]]}, "the shape of mean_prior follows from"),
    ("full", {"mean_prior": [1.0, np.nan]}, "mean_prior must be finite numbers"),
    (
        "full",
        {"degrees_of_freedom_prior": 1},
        r"'degrees_of_freedom_prior' should be greater than 1, but got 1.000.*None",
    ),
    ("tied", {"degrees_of_freedom_prior": 0.5}, "'degrees_of_freedom_prior' should be greater than 1, but got 0.500"),
    ("diag", {"degrees_of_freedom_prior": 1.0}, "'degrees_of_freedom_prior' should be greater than 1"),
    ("spherical", {"degrees_of_freedom_prior": 1.0}, "'degrees_of_freedom_prior' should be greater than 1"),
    ("full", {"covariance_prior": NOT_DEFINITE}, "positive-definite, but covariance_prior is not: pass a covariance"),
    ("full", {"covariance_prior": NOT_SYMMETRIC}, "symmetric, positive-definite, but covariance_prior is not"),
    ("full", {"covariance_prior": np.zeros((2, 2))}, "positive-definite, but covariance_prior is not"),
    ("full", {"covariance_prior": [np.eye(2)] * 3}, r"covariance_prior must be finite numbers of shape \(2, 2\)"),
    ("full", {"covariance_prior": [1.0, 1.0]}, r"'full covariance_prior' .* \(2, 2\), but got \(2,\)"),
    ("full", {"covariance_prior": np.full((2, 2), np.inf)}, "covariance_prior must be finite numbers"),
    ("tied", {"covariance_prior": NOT_DEFINITE}, "positive-definite, but covariance_prior is not"),
    ("tied", {"covariance_prior": np.eye(3)}, r"'tied covariance_prior' .* \(2, 2\), but got \(3, 3\)"),
    ("diag", {"covariance_prior": [1.0, -1.0]}, "positive, but the least value of covariance_prior is -1.0: pass"),
    ("diag", {"covariance_prior": [1.0, 0.0]}, "positive, but the least value of covariance_prior is 0.0"),
    ("diag", {"covariance_prior": np.eye(2)}, r"'diag covariance_prior' .* \(2,\), but got \(2, 2\)"),
]


@pytest.mark.parametrize(("covariance_type", "given", "message"), BAD_PRIOR_VALUES)
def test_bad_priors(covariance_type, given, message):
    ours, theirs = (
        estimator(n_components=2, covariance_type=covariance_type, **given)
        for estimator in (BayesianGaussianMixture, SklearnBayesianGaussianMixture)
    )
    with pytest.raises(ValueError, match=message) as our_error:
        ours.fit(X)
    with pytest.raises(ValueError) as their_error:
        theirs.fit(X)
    assert str(our_error.value).startswith(str(their_error.value).rstrip("."))


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_covariance_prior_that_is_a_number(covariance_type):
    """Is for 'spherical' alone; scikit-learn's type is TypeError."""
    with pytest.raises(TypeError, match="covariance_prior"):
        BayesianGaussianMixture(covariance_type=covariance_type, covariance_prior=0.5).fit(X)
    with pytest.raises(TypeError):
        SklearnBayesianGaussianMixture(covariance_type=covariance_type, covariance_prior=0.5).fit(X)


@pytest.mark.parametrize("prior", [[0.5, 0.5], np.eye(2)], ids=["vector", "matrix"])
def test_covariance_prior_that_should_be_a_number(prior):
    """Where scikit-learn computes something, or fails in NumPy."""
    with pytest.raises(ValueError, match=r"'spherical covariance_prior' should have the shape of \(\), but got \(2"):
        BayesianGaussianMixture(covariance_type="spherical", covariance_prior=prior).fit(X)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_default_covariance_prior_needs_more_weight_than_one_row_has(covariance_type):
    bgm = BayesianGaussianMixture(covariance_type=covariance_type)
    with pytest.raises(ValueError, match=r"sum of sample_weight is 1\.0, but .*covariance_prior.* Scale them up"):
        bgm.fit(X, sample_weight=np.full(len(X), 1 / len(X)))
    one = {"full": np.eye(2), "tied": np.eye(2), "diag": np.ones(2), "spherical": 1.0}[covariance_type]
    bgm.set_params(covariance_prior=one).fit(X, sample_weight=np.full(len(X), 1 / len(X)))
    assert bgm.mean_precision_ == pytest.approx([2.0], rel=1e-12)


@pytest.mark.parametrize(
    "bad",
    [{"mean_prior": [1.0]}, {"degrees_of_freedom_prior": 1}, {"covariance_prior": NOT_DEFINITE}, {"tol": -1}],
    ids=lambda bad: next(iter(bad)),
)
def test_failed_fit_leaves_the_old_one(bad):
    bgm = BayesianGaussianMixture(n_components=2, random_state=0).fit(X)
    before = {name: value for name, value in vars(bgm).items() if name.endswith("_")}
    with pytest.raises(ValueError):
        bgm.set_params(**bad).fit(X + 1)
    assert all(getattr(bgm, name) is value for name, value in before.items())


# Fitted attributes changed by hand -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [
        *((estimator, "means_", np.zeros((2, 3))) for estimator in SKLEARN),
        *((estimator, "precisions_cholesky_", np.ones((2, 2))) for estimator in SKLEARN),
        (GaussianMixture, "weights_", np.ones(3) / 3),
        (BayesianGaussianMixture, "weight_concentration_", np.ones(2)),
        (BayesianGaussianMixture, "mean_precision_", np.ones(3)),
        (BayesianGaussianMixture, "degrees_of_freedom_", np.ones(3)),
    ],
)
def test_attributes_of_wrong_shape_are_not_handed_to_the_kernels(estimator, name, value):
    gmm = estimator(n_components=2, random_state=0).fit(X)
    setattr(gmm, name, value)
    with pytest.raises(ValueError, match=r"has the shape .* Call fit again"):
        gmm.predict(X)


USES = {
    "fit": lambda gmm: gmm.set_params(warm_start=True).fit(X),
    "fit_predict": lambda gmm: gmm.set_params(warm_start=True).fit_predict(X),
    "fit_batches": lambda gmm: gmm.set_params(warm_start=True).fit_batches([X]),
    "partial_fit": lambda gmm: gmm.partial_fit(X),
    "predict": lambda gmm: gmm.predict(X),
    "predict_proba": lambda gmm: gmm.predict_proba(X),
    "score": lambda gmm: gmm.score(X),
    "sample": lambda gmm: gmm.sample(),
    "to_sklearn": lambda gmm: gmm.to_sklearn(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(("before", "after"), list(permutations(TYPES, 2)))
@both_estimators
def test_covariance_type_changed_after_the_fit(estimator, before, after, use):
    """By name also where there are as many components as features, so that 'tied' and 'diag' have the same shape."""
    gmm = estimator(n_components=2, covariance_type=before, random_state=0).fit(X)
    changed = pickle.loads(pickle.dumps(gmm.set_params(covariance_type=after)))
    message = f"values of covariance_type='{before}', but the estimator has covariance_type='{after}'"
    with pytest.raises(ValueError, match=f"(precisions_cholesky|covariances)_ has the shape .* and {message}"):
        USES[use](changed)


@pytest.mark.parametrize("covariance_type", TYPES)
@both_estimators
def test_covariance_type_that_was_not_changed(estimator, covariance_type):
    """Correlated features, so that no entry of a matrix is 0 by chance; and a model of scikit-learn's."""
    rows = X @ np.array([[1.0, 0.9], [0.9, 1.0]])
    gmm = estimator(n_components=2, covariance_type=covariance_type, random_state=0).fit(rows)
    theirs = estimator.from_sklearn(gmm.to_sklearn())
    assert (theirs.predict(rows) == gmm.predict(rows)).all()
    for use in USES.values():
        use(theirs)  # not refused


# Models set by hand --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_lower_triangular_factors(covariance_type):
    """What np.linalg.cholesky makes of precisions is as good to scikit-learn; our kernels read above the diagonal."""
    rows = X @ np.array([[1.0, 0.9], [0.9, 1.0]])
    gmm = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(rows)
    expected = gmm.score_samples(rows)
    gmm.precisions_cholesky_ = np.linalg.cholesky(gmm.precisions_)
    np.testing.assert_allclose(gmm.score_samples(rows), expected, rtol=1e-12)
    np.testing.assert_allclose(gmm.to_sklearn().score_samples(rows), expected, rtol=1e-12)
    del gmm.covariances_
    assert np.isfinite(gmm.partial_fit(rows).score(rows))


def test_factors_that_are_not_triangular():
    gmm = GaussianMixture(2, random_state=0).fit(X)
    gmm.precisions_cholesky_[1] = [[2.0, 1.0], [1.0, 2.0]]
    with pytest.raises(ValueError, match=r"precisions_cholesky_\[1\] is not triangular: it must be U with precision"):
        gmm.predict(X)
