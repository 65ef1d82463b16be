"""What users rely on beside the numbers: memory, any kind of input, pickles, and errors instead of NaN."""

import contextlib
import pickle
import re
import tracemalloc

import numpy as np
import pytest
from _shared.cases import TYPES, both_estimators
from sklearn.preprocessing import StandardScaler

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC, StudentTMixture, _kernels
from fastgmm.batches import from_array

pd = pytest.importorskip("pandas")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

METHODS = ["predict", "predict_proba", "score_samples", "score", "aic", "bic"]
MIB = 2**20


def clusters(n_rows=500, n_features=3, dtype=np.float64):
    """Overlapping; integers, so that any dtype holds them."""
    rng = np.random.default_rng(0)
    return (
        (rng.normal(scale=4, size=(n_rows, n_features)) + 9 * rng.integers(3, size=(n_rows, 1))).round().astype(dtype)
    )


def given_start(X, n_components, covariance_type="full"):
    precision = 1 / X[:1000].var(axis=0, dtype=np.float64)
    precisions = {
        "full": np.tile(np.diag(precision), (n_components, 1, 1)),
        "tied": np.diag(precision),
        "diag": np.tile(precision, (n_components, 1)),
        "spherical": np.full(n_components, precision.mean()),
    }
    return {
        "covariance_type": covariance_type,
        "weights_init": np.full(n_components, 1 / n_components),
        "means_init": X[:n_components].astype(np.float64),
        "precisions_init": precisions[covariance_type],
    }


def ready_to_go_on(estimator, X, n_components, covariance_type="full"):
    """Fitted to the first rows; further fits go on from there, so that none has to find a start."""
    mixture = estimator(
        n_components=n_components, covariance_type=covariance_type, max_iter=2, tol=0, warm_start=True, n_threads=2,
        random_state=0,
    )  # fmt: skip
    return mixture.fit(X[:1000])


def peak_of(function, *arguments):
    """Bytes that a call has allocated at its peak, by Python and NumPy."""
    function(*arguments)  # first: imports and caches are not the call's
    tracemalloc.start()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# Memory ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", TYPES)
@both_estimators
def test_memory_of_a_fit_does_not_grow_with_n(estimator, covariance_type, dtype):
    """Start apart; two sizes that use the same number of threads. A tenth of a byte a row would show."""
    small, large = clusters(50_000, 4, dtype), clusters(500_000, 4, dtype)
    gmm = ready_to_go_on(estimator, small, 8, covariance_type)
    assert peak_of(gmm.fit, large) < peak_of(gmm.fit, small) + 45_000
    assert peak_of(gmm.fit, large) < MIB


@pytest.mark.parametrize(
    ("estimator", "init_params"),
    [
        *((GaussianMixture, start) for start in ("kmeans", "k-means++", "random", "random_from_data")),
        (BayesianGaussianMixture, "random"),
    ],
)
def test_memory_of_a_million_rows(estimator, init_params):
    """16 MiB above X for N = 1M, d = 8, K = 16, start included: closest distances, then labels of k-means."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_000_000, 8))
    X += 6 * rng.integers(16, size=(len(X), 1))
    gmm = estimator(n_components=16, max_iter=1, init_params=init_params, random_state=0, n_threads=2)
    tracemalloc.start()
    try:
        gmm.fit(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 16 * MIB


@pytest.mark.parametrize(("method", "bytes_a_row"), [("score", 1), ("predict", 9), ("score_samples", 9), ("aic", 1)])
def test_memory_of_methods(method, bytes_a_row):
    """What is returned, and nothing else of the size of the data."""
    X = clusters(500_000, 4)
    gmm = GaussianMixture(4, max_iter=1, **given_start(X, 4)).fit(X)
    assert peak_of(getattr(gmm, method), X) < bytes_a_row * len(X) + MIB


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("method", ["fit", "score"])
@both_estimators
def test_arrays_are_not_copied(estimator, method, read_only, dtype):
    X = clusters(200_000, 8, dtype)
    X.flags.writeable = not read_only
    gmm = ready_to_go_on(estimator, X, 2)
    assert peak_of(getattr(gmm, method), X) < X.nbytes / 4


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
@pytest.mark.parametrize("method", ["fit", "score"])
@both_estimators
def test_memory_maps_are_not_copied(estimator, method, mode, tmp_path):
    np.save(tmp_path / "X.npy", clusters(200_000, 8))
    X = np.load(tmp_path / "X.npy", mmap_mode=mode)
    gmm = ready_to_go_on(estimator, X, 2)
    assert peak_of(getattr(gmm, method), X) < X.nbytes / 4


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@both_estimators
def test_read_only_memory_map_gives_the_same_fit(estimator, init_params, tmp_path):
    X = clusters()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    gmm = estimator(n_components=3, init_params=init_params, random_state=0)
    np.testing.assert_array_equal(gmm.fit(mapped).means_, gmm.fit(X).means_)
    np.testing.assert_array_equal(gmm.predict(mapped), gmm.predict(X))
    assert gmm.score(mapped) == gmm.score(X)


# Kinds of input -------------------------------------------------------------------------------------------------------


def unaligned(X):
    """The same numbers, one byte off their natural address."""
    raw = np.empty(X.nbytes + 1, np.uint8)[1:]
    out = raw.view(X.dtype).reshape(X.shape)
    out[:] = X
    return out


def with_room(X):
    """A view into every second row and column of a larger array."""
    room = np.full((2 * len(X), 2 * X.shape[1]), np.nan)
    room[::2, 1::2] = X
    return room[::2, 1::2]


def frozen(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def in_polars(X):
    polars = pytest.importorskip("polars")
    return polars.DataFrame(X, schema=["a", "b", "c"])


INPUTS = {
    "Fortran order": np.asfortranarray,
    "strided": with_room,
    "reversed": lambda X: X[::-1].copy()[::-1],
    "read-only": frozen,
    "unaligned": unaligned,
    "list": lambda X: X.tolist(),
    "int64": lambda X: X.astype(np.int64),
    "int8": lambda X: X.astype(np.int8),
    "float16": lambda X: X.astype(np.float16),
    "longdouble": lambda X: X.astype(np.longdouble),
    "big-endian": lambda X: X.astype(">f8"),
    "object": lambda X: X.astype(object),
    "pandas": lambda X: pd.DataFrame(X, columns=["a", "b", "c"]),
    "pandas integers": lambda X: pd.DataFrame(X.astype(int), columns=["a", "b", "c"]),
    "polars": in_polars,
}


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("kind", INPUTS)
@both_estimators
def test_kinds_of_input_give_the_same(estimator, kind, covariance_type):
    X = clusters()
    converted = INPUTS[kind](X)
    expected, actual = (
        estimator(n_components=3, covariance_type=covariance_type, random_state=0).fit(data) for data in (X, converted)
    )
    np.testing.assert_array_equal(actual.means_, expected.means_)
    np.testing.assert_array_equal(actual.covariances_, expected.covariances_)
    assert actual.means_.dtype == np.float64
    assert actual.lower_bounds_ == expected.lower_bounds_
    np.testing.assert_array_equal(actual.predict_proba(converted), expected.predict_proba(X))
    np.testing.assert_array_equal(actual.predict(converted), expected.predict(X))
    assert actual.score(converted) == expected.score(X)


WEIGHTS = {
    "list": lambda w: w.tolist(),
    "float32": lambda w: w.astype(np.float32),
    "strided": lambda w: np.repeat(w, 2)[::2],
    "reversed": lambda w: w[::-1].copy()[::-1],
    "read-only": frozen,
    "unaligned": unaligned,
    "big-endian": lambda w: w.astype(">f8"),
    "pandas": pd.Series,
    "polars": lambda w: pytest.importorskip("polars").Series(w),
}


@pytest.mark.parametrize("unit", [1.0, 0.25], ids=["largest 4", "largest 1"])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_kinds_of_weights_give_the_same(kind, unit):
    """Those between 1 and 2 at the largest are not scaled, so they reach the kernels as they come."""
    X, weights = clusters(), unit * np.random.default_rng(1).integers(1, 5, 500)
    converted = WEIGHTS[kind](weights)
    expected, actual = (GaussianMixture(3, random_state=0).fit(X, sample_weight=w) for w in (weights, converted))
    np.testing.assert_array_equal(actual.means_, expected.means_)
    assert actual.score(X, sample_weight=converted) == pytest.approx(
        expected.score(X, sample_weight=weights), rel=1e-14
    )
    assert actual.bic(X, sample_weight=converted) == pytest.approx(expected.bic(X, sample_weight=weights), rel=1e-14)


@both_estimators
def test_integer_weights(estimator):
    X, weights = clusters(), np.random.default_rng(1).integers(1, 5, 500)
    expected, actual = (
        estimator(n_components=3, random_state=0).fit(X, sample_weight=weights.astype(dtype))
        for dtype in (float, np.int8)
    )
    np.testing.assert_array_equal(actual.means_, expected.means_)


@pytest.mark.parametrize("scale", [2.0**-900, 2.0**900])
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_scale_of_weights_does_not_matter(init_params, scale):
    """Only ratios count, to the bit if the factor is a power of two."""
    X, weights = clusters(), np.random.default_rng(1).uniform(0.1, 5, 500)
    gmm = GaussianMixture(3, init_params=init_params, random_state=0)
    expected = gmm.fit(X, sample_weight=weights).means_
    np.testing.assert_array_equal(gmm.fit(X, sample_weight=weights * scale).means_, expected)
    assert gmm.score(X, sample_weight=weights * scale) == pytest.approx(gmm.score(X, sample_weight=weights), rel=1e-14)


@pytest.mark.parametrize("change", [np.asfortranarray, with_room, frozen, unaligned])
@both_estimators
def test_kinds_of_float32_give_the_same(estimator, change):
    X = clusters(dtype=np.float32)
    expected, actual = (
        estimator(n_components=3, random_state=0).fit(data) for data in (X, change(X).astype(np.float32))
    )
    assert actual.means_.dtype == actual.predict_proba(change(X).astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(actual.means_, expected.means_)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@both_estimators
def test_input_is_left_alone(estimator, init_params):
    X, weights = clusters(), np.linspace(0.5, 2, 500)
    before = X.copy(), weights.copy()
    gmm = estimator(n_components=3, init_params=init_params, random_state=0).fit(X, sample_weight=weights)
    gmm.predict_proba(X)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(weights, before[1])


def test_results_are_the_users_own():
    """No attribute or output is a view of the data, of another attribute or of a start that was given."""
    X = clusters()
    start = given_start(X, 3)
    gmm = GaussianMixture(3, max_iter=0, **start).fit(X)
    arrays = [gmm.weights_, gmm.means_, gmm.covariances_, gmm.precisions_, gmm.precisions_cholesky_, *gmm.sample(5)]
    others = [X, start["weights_init"], start["means_init"], start["precisions_init"]]
    assert not any(np.shares_memory(a, b) for a in arrays for b in others)
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


# Answers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", TYPES)
@both_estimators
def test_one_row(estimator, covariance_type, dtype):
    """A single row gets what it gets among others."""
    X = clusters(dtype=dtype)
    gmm = estimator(n_components=3, covariance_type=covariance_type, random_state=0).fit(X)
    row = X[123:124]
    np.testing.assert_array_equal(gmm.predict(row), gmm.predict(X)[123:124])
    np.testing.assert_array_equal(gmm.predict_proba(row), gmm.predict_proba(X)[123:124])
    np.testing.assert_array_equal(gmm.score_samples(row), gmm.score_samples(X)[123:124])
    assert gmm.score(row) == gmm.score_samples(row)[0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", TYPES)
@both_estimators
def test_probabilities(estimator, covariance_type, dtype):
    """They sum to one, far from the data too, and agree with the labels."""
    X = np.vstack([clusters(), 100 * clusters()]).astype(dtype)
    gmm = estimator(n_components=3, covariance_type=covariance_type, random_state=0).fit(clusters(dtype=dtype))
    resp = gmm.predict_proba(X)
    assert resp.shape == (1000, 3)
    assert resp.min() >= 0
    np.testing.assert_allclose(resp.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)
    largest = np.take_along_axis(resp, gmm.predict(X)[:, np.newaxis], axis=1)[:, 0]
    np.testing.assert_array_equal(largest, resp.max(axis=1))


# float64 rounds the bound at 1e-16 of itself; the rounding of float32 densities, 6e-8, averages out over the rows, if
# not entirely.
STEPS_DOWN = {np.float64: 1e-14, np.float32: 1e-7}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_lower_bounds_never_fall(covariance_type, weighted, dtype):
    """Without regularization: with it EM maximizes something else."""
    X = clusters(2000, dtype=dtype)
    weights = np.random.default_rng(1).uniform(0.1, 5, 2000) if weighted else None
    gmm = GaussianMixture(3, reg_covar=0, tol=0, max_iter=200, **given_start(X, 3, covariance_type))
    gmm.fit(X, sample_weight=weights)
    assert gmm.n_iter_ > 20
    assert np.diff(gmm.lower_bounds_).min() > -STEPS_DOWN[dtype] * abs(gmm.lower_bound_)
    assert gmm.lower_bounds_[-1] > gmm.lower_bounds_[0] + 0.1


# Pickles --------------------------------------------------------------------------------------------------------------

LOAD_AND_PREDICT = """
import pickle, sys
import numpy as np
from fastgmm import _kernels
with open({path!r}, "rb") as file:
    gmm, X = pickle.load(file)
np.savez({out!r}, **{{name: getattr(gmm, name)(X) for name in {methods!r}}}, variant=_kernels.ACTIVE)
"""


@pytest.mark.parametrize(("variant", "n_threads"), [*zip(_kernels.SUPPORTED, [1, 2, 1], strict=False)])
def test_pickle_serves_other_machines(variant, n_threads, tmp_path, run_python):
    """Made here, used by another SIMD variant and number of threads."""
    X = clusters(2000, 5)
    gmm = GaussianMixture(3, random_state=0).fit(X)
    path, out = str(tmp_path / "gmm.pickle"), str(tmp_path / "out.npz")
    (tmp_path / "gmm.pickle").write_bytes(pickle.dumps((gmm, X)))
    source = LOAD_AND_PREDICT.format(path=path, out=out, methods=METHODS)
    run_python(source, FASTGMM_SIMD=variant, OMP_NUM_THREADS=str(n_threads))
    with np.load(out) as actual:
        assert actual["variant"] == variant
        np.testing.assert_array_equal(actual["predict"], gmm.predict(X))
        np.testing.assert_allclose(actual["predict_proba"], gmm.predict_proba(X), rtol=1e-11, atol=1e-15)
        np.testing.assert_allclose(actual["score_samples"], gmm.score_samples(X), rtol=1e-13)
        np.testing.assert_allclose(actual["score"], gmm.score(X), rtol=1e-13)
        np.testing.assert_allclose(actual["aic"], gmm.aic(X), rtol=1e-13)
        np.testing.assert_allclose(actual["bic"], gmm.bic(X), rtol=1e-13)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@both_estimators
def test_pickle_is_bitwise(estimator, protocol):
    X = clusters()
    gmm = estimator(n_components=3, random_state=0).fit(X)
    copy = pickle.loads(pickle.dumps(gmm, protocol))
    assert vars(copy).keys() == vars(gmm).keys()
    np.testing.assert_array_equal(copy.predict_proba(X), gmm.predict_proba(X))
    assert pickle.dumps(copy, protocol) == pickle.dumps(pickle.loads(pickle.dumps(copy, protocol)), protocol)


# Frames --------------------------------------------------------------------------------------------------------------

ROWS = np.random.default_rng(0).normal(size=(60, 2))
FRAMES = {
    "pandas": lambda columns: pd.DataFrame(columns),
    "polars": lambda columns: pytest.importorskip("polars").DataFrame(columns),
    "Arrow": lambda columns: pytest.importorskip("pyarrow").table(columns),
    "batch of Arrow": lambda columns: pytest.importorskip("pyarrow").RecordBatch.from_pydict(columns),
    "narwhals of pandas": lambda columns: pytest.importorskip("narwhals").from_native(pd.DataFrame(columns)),
    "narwhals of polars": lambda columns: pytest.importorskip("narwhals").from_native(FRAMES["polars"](columns)),
    "narwhals of Arrow": lambda columns: pytest.importorskip("narwhals").from_native(FRAMES["Arrow"](columns)),
}
with_frames = pytest.mark.parametrize("library", FRAMES)


@pytest.mark.parametrize("name", ["dtype", "shape", "chunks", "columns", "ndim", "dask", "__dask_graph__", "schema"])
@with_frames
def test_columns_may_have_any_name(library, name):
    """Attributes of a frame may be its columns, and tell nothing about what it is."""
    columns = {name: ROWS[:, 0], "dtype " if name == "dtype" else "dtype": ROWS[:, 1]}
    frame = FRAMES[library](columns)
    exchanged = FRAMES[library](dict(reversed(columns.items())))
    if "polars" in library and not hasattr(StandardScaler().fit(FRAMES["polars"](columns)), "feature_names_in_"):
        pytest.skip("scikit-learn before 1.9 does not know the names of columns of polars 2")
    gmm = GaussianMixture(2, random_state=0).fit(frame)
    assert gmm.feature_names_in_.tolist() == list(columns)
    for method in ("predict", "score", "partial_fit"):
        with pytest.raises(ValueError, match="The feature names should match"):
            getattr(gmm, method)(exchanged)
    in_batches = GaussianMixture(2, random_state=0).fit_batches(from_array(frame, batch_rows=30))
    assert in_batches.feature_names_in_.tolist() == list(columns)
    np.testing.assert_allclose(in_batches.means_, gmm.means_, rtol=1e-10)
    with pytest.raises(TypeError, match=r"an array to fastgmm\.batches\.from_array"):
        gmm.fit_batches(frame)
    with pytest.raises(TypeError, match="out must be an array that can be written to, got"):
        gmm.predict(frame, out=frame)


@with_frames
def test_a_list_of_frames_is_batches(library):
    frame = FRAMES[library]({"a": ROWS[:, 0], "b": ROWS[:, 1]})
    with pytest.raises(ValueError, match=r"X is a list of tables\. Pass .*, or the list to fit_batches\.$"):
        GaussianMixture().fit([frame, frame])


def text(word):
    return np.array([word] * len(ROWS), dtype=object)


BAD_COLUMNS = {
    "words": (text("red"), "could not convert string to float: 'red', in row 0, column 'c' of X. "),
    "digits": (text("1.5"), "Input X contains strings. The first is '1.5', in row 0, column 'c'. "),
    "dates": (ROWS[:, 0].astype("M8[us]"), "not 'datetime64': row 0, column 'c' of X holds "),
    "durations": (ROWS[:, 0].astype("m8[us]"), "'timedelta64': row 0, column 'c' of X holds "),
    "missing": (np.where(ROWS[:, 0] > 1, np.nan, ROWS[:, 0]), "values are NaN, the first in row "),
}


@pytest.mark.parametrize("kind", BAD_COLUMNS)
@with_frames
def test_columns_of_what_is_no_number(library, kind):
    values, message = BAD_COLUMNS[kind]
    frame = FRAMES[library]({"a": ROWS[:, 0], "b": ROWS[:, 1], "c": values})
    for estimator in (GaussianMixture(), BayesianGaussianMixture(), GaussianMixtureIC([1])):
        with pytest.raises((ValueError, TypeError), match=re.escape(message)):
            estimator.fit(frame)
    with pytest.raises((ValueError, TypeError), match=r"Batch 0: .*row [0-9]+ of the batch, column 'c'"):
        GaussianMixture().fit_batches([frame])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.Categorical(text("red")), "could not convert string to float: 'red', in row 0, column 'c' of X. "),
        (pd.Categorical(text("2")), "Input X contains strings. The first is '2', in row 0, column 'c'. "),
        (pd.period_range("2020", periods=len(ROWS)), "not 'Period': row 0, column 'c' of X holds "),
        (pd.array([1, None] * (len(ROWS) // 2), dtype="Int64"), "NaN, the first in row 1, column 'c'. "),
        (pd.array([1.5, None] * (len(ROWS) // 2), dtype="Float64"), "NaN, the first in row 1, column 'c'. "),
        (np.array([1, pd.NA] * (len(ROWS) // 2)), "NaN, the first in row 1, column 'c'. "),
    ],
)
def test_columns_of_pandas_that_are_no_numbers(values, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        GaussianMixture().fit(pd.DataFrame({"a": ROWS[:, 0], "c": values}))


@pytest.mark.parametrize("kind", ["Array", "List", "Struct", "Struct of two types"])
def test_columns_of_polars_whose_entries_are_several_numbers(kind):
    polars = pytest.importorskip("polars")
    entry, dtype = {
        "Array": ([1.0, 2.0], polars.Array(polars.Float64, 2)),
        "List": ([1.0, 2.0], polars.List(polars.Float64)),
        "Struct": ({"x": 1.0, "y": 2.0}, polars.Struct({"x": polars.Float64, "y": polars.Float64})),
        "Struct of two types": ({"x": 1.0, "y": 2}, polars.Struct({"x": polars.Float64, "y": polars.Int8})),
    }[kind]
    frame = polars.DataFrame({"a": ROWS[:, 0], "c": polars.Series([entry] * len(ROWS), dtype=dtype)})
    message = r"^setting an array element with a sequence: row 0, column 'c' of X holds .*\. Pass numbers\.$"
    with pytest.raises(ValueError, match=message):
        GaussianMixture().fit(frame)


def test_columns_of_pandas_that_are_numbers():
    columns = {
        "a": pd.Categorical([1, 2] * (len(ROWS) // 2)),
        "b": pd.array(ROWS[:, 0], dtype="Float64"),
        "c": ROWS[:, 1] > 0,
    }
    gmm = GaussianMixture().fit(pd.DataFrame(columns))
    assert gmm.means_[0].tolist() == pytest.approx([1.5, ROWS[:, 0].mean(), (ROWS[:, 1] > 0).mean()], rel=1e-12)


def test_frames_that_hold_nothing():
    with pytest.raises(ValueError, match=r"Found array with 0 feature\(s\) .*: X is a DataFrame without columns"):
        GaussianMixture().fit(pd.DataFrame(index=range(5)))
    lazy = pytest.importorskip("polars").LazyFrame({"a": ROWS[:, 0]})
    for use in (GaussianMixture().fit, GaussianMixture().fit(ROWS[:, :1]).predict):
        with pytest.raises(TypeError, match="got LazyFrame: call its collect method first"):
            use(lazy)


# Errors instead of NaN ------------------------------------------------------------------------------------------------

TOO_LARGE = {np.float64: 1e200, np.float32: 1e30}
MESSAGE = "ill-defined|log-likelihood became|exceeds the range"


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("dtype", TOO_LARGE)
@pytest.mark.parametrize("rows", [slice(None), slice(5, 6)], ids=["all rows", "one row"])
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@both_estimators
def test_overflow_raises(estimator, init_params, covariance_type, rows, dtype):
    """Squares of the data exceed the dtype: no covariance, density or distance of them exists, and none is made up."""
    X = np.random.default_rng(0).normal(size=(600, 3)).astype(dtype)
    X[rows] *= TOO_LARGE[dtype]
    gmm = estimator(n_components=2, covariance_type=covariance_type, init_params=init_params, random_state=0)
    is_fitted = False
    with contextlib.suppress(ValueError):
        is_fitted = hasattr(gmm.fit(X), "means_")
    if is_fitted:  # a component that the row makes up alone needs none of its squares
        assert rows != slice(None)
        labels = gmm.predict(X)
        assert np.count_nonzero(labels == labels[5]) == 1
        np.testing.assert_allclose(gmm.means_[labels[5]], X[5], rtol=1e-6)
    else:
        with pytest.raises(ValueError, match=MESSAGE):
            gmm.fit(X)
        assert not hasattr(gmm, "means_")


@pytest.mark.parametrize("dtype", TOO_LARGE)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_unreachable_row_raises_and_says_why(covariance_type, dtype):
    X = clusters(dtype=dtype)
    start = given_start(X, 2, covariance_type)
    X[7] = TOO_LARGE[dtype]
    with pytest.raises(ValueError, match=r"became -inf: the density of some row is 0.*Rescale the features"):
        GaussianMixture(2, **start).fit(X)


def test_unreachable_row_raises_and_says_why_beside_priors():
    X = clusters()
    bgm = BayesianGaussianMixture(n_components=2, mean_prior=X[0], covariance_prior=np.eye(3), warm_start=True).fit(X)
    before = bgm.predict_proba(X)
    X[7] = 1e200
    with pytest.raises(ValueError, match=r"became -inf: the density of some row is 0.*Rescale the features"):
        bgm.fit(X)
    np.testing.assert_array_equal(bgm.predict_proba(clusters()), before)


@both_estimators
def test_failed_fit_leaves_the_old_one(estimator):
    X = clusters()
    gmm = estimator(n_components=2, random_state=0).fit(X)
    before = gmm.predict_proba(X)
    with pytest.raises(ValueError, match=MESSAGE):
        gmm.fit(X * 1e200)
    np.testing.assert_array_equal(gmm.predict_proba(X), before)


@pytest.mark.parametrize("dtype", TOO_LARGE)
@pytest.mark.parametrize("covariance_type", TYPES)
@both_estimators
def test_probabilities_of_an_unreachable_row(estimator, covariance_type, dtype):
    X = clusters(dtype=dtype)
    gmm = estimator(n_components=2, covariance_type=covariance_type, random_state=0).fit(X)
    X[7] = TOO_LARGE[dtype]
    assert gmm.score_samples(X)[7] == -np.inf
    np.testing.assert_allclose(gmm.predict_proba(X).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        *(
            (GaussianMixture, method)
            for method in ("fit", "partial_fit", "score", "bic", "diagnose", "merge_components")
        ),
        (BayesianGaussianMixture, "fit"),
        (StudentTMixture, "fit"),
    ],
)
@pytest.mark.parametrize("weight", [1e288, 1e308])
@pytest.mark.filterwarnings("error")
def test_weights_whose_sum_is_too_large_are_refused(estimator, method, weight):
    X = clusters()
    gmm = estimator(n_components=2, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"sum of sample_weight is too large, .*: divide all weights by their maximum"):
        getattr(gmm, method)(X, sample_weight=np.full(len(X), weight))
