"""fit, predict and score on rows that are on disk: equal to arrays in memory, read block by block, results too."""

import tracemalloc

import numpy as np
import pytest
from _shared.cases import TYPES
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.batches import from_array

pytestmark = pytest.mark.usefixtures("small_blocks")

METHODS = ["predict", "predict_proba", "score_samples"]


def rows_and_weights(dtype=np.float64):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(center, scale, (230, 3)) for center, scale in ((0, 1), (3, 0.7), (5, 2))])
    rng.shuffle(X)
    weights = rng.uniform(0, 3, len(X))
    weights[:150] = 0
    return X.astype(dtype), weights


class Sliceable:
    """The least that a dataset has; gives no more than 100 rows at a time."""

    def __init__(self, X):
        self._X = X
        self.shape, self.dtype = X.shape, X.dtype
        self.chunks = (100, 3)

    def __getitem__(self, rows):
        part = self._X[rows]
        assert len(part) <= 100
        return part

    def __len__(self):
        return len(self._X)


def h5py_dataset(X, folder):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "rows.h5", "w").create_dataset("rows", data=X, chunks=(100, 3))


def zarr_array(X, folder):
    zarr = pytest.importorskip("zarr")
    array = zarr.open_array(str(folder / "rows.zarr"), mode="w", shape=X.shape, chunks=(100, 3), dtype=X.dtype)
    array[:] = X
    return array


def dask_array(X, folder):
    return pytest.importorskip("dask.array").from_array(X, chunks=(100, 3))


def memmap_of_another_order(X, folder):
    mapped = np.memmap(folder / "rows", X.dtype, "w+", shape=X.shape, order="F")
    mapped[:] = X
    return mapped


SOURCES = {
    "sliceable": lambda X, folder: Sliceable(X),
    "h5py": h5py_dataset,
    "zarr": zarr_array,
    "dask": dask_array,
    "memmap": memmap_of_another_order,
}


def assert_same_model(actual, expected):
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        np.testing.assert_allclose(getattr(actual, name), getattr(expected, name), rtol=1e-10)
    assert actual.n_features_in_ == expected.n_features_in_


@pytest.mark.filterwarnings("ignore:X is a dask Array:UserWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("source", SOURCES)
def test_a_dataset_is_as_good_as_an_array(tmp_path, source, weighted):
    X, weights = rows_and_weights()
    weights = weights if weighted else None
    dataset = SOURCES[source](X, tmp_path)
    model = GaussianMixture(n_components=3, random_state=0, tol=1e-4)
    fitted = clone(model).fit(dataset, sample_weight=weights)
    model.fit(X, sample_weight=weights)
    assert_same_model(fitted, model)
    for name in METHODS:
        result = getattr(fitted, name)(dataset)
        np.testing.assert_array_equal(result, getattr(fitted, name)(X))
        assert result.dtype == getattr(fitted, name)(X).dtype
    assert fitted.score(dataset, sample_weight=weights) == pytest.approx(
        fitted.score(X, sample_weight=weights), rel=1e-13
    )
    assert fitted.bic(dataset) == pytest.approx(fitted.bic(X), rel=1e-13)


@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_every_mixture(estimator, covariance_type):
    X, weights = rows_and_weights()
    model = estimator(n_components=3, covariance_type=covariance_type, random_state=0, tol=1e-3)
    labels = clone(model).fit_predict(Sliceable(X), sample_weight=weights)
    np.testing.assert_array_equal(labels, model.fit_predict(X, sample_weight=weights))


def test_float32_stays():
    X, _ = rows_and_weights(np.float32)
    model = GaussianMixture(n_components=2, random_state=0).fit(Sliceable(X))
    assert model.means_.dtype == np.float32
    assert model.score_samples(Sliceable(X)).dtype == np.float32


def test_integers_are_converted_block_by_block(tmp_path):
    X = rows_and_weights()[0].round().astype(np.int16)
    mapped = np.memmap(tmp_path / "rows", np.int16, "w+", shape=X.shape)
    mapped[:] = X
    model = GaussianMixture(n_components=2, random_state=0)
    assert_same_model(clone(model).fit(mapped), model.fit(X))
    np.testing.assert_array_equal(model.predict(mapped), model.predict(X))


# Results into given arrays --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_dataset", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_out_is_written_and_returned(tmp_path, method, of_dataset):
    X, _ = rows_and_weights()
    model = GaussianMixture(n_components=3, random_state=0).fit(X)
    expected = getattr(model, method)(X)
    out = np.memmap(tmp_path / "out", expected.dtype, "w+", shape=expected.shape)
    assert getattr(model, method)(Sliceable(X) if of_dataset else X, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_out_may_be_a_narrower_integer_or_a_dataset(tmp_path):
    X, _ = rows_and_weights()
    model = GaussianMixture(n_components=3, random_state=0).fit(X)
    labels = model.predict(X, out=np.empty(len(X), np.uint8))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, model.predict(X))
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "out.h5", "w") as file:
        out = file.create_dataset("labels", (len(X),), np.int64)
        model.predict(X, out=out)
        np.testing.assert_array_equal(out[:], model.predict(X))


def read_only(shape):
    out = np.empty(shape, np.int64)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        ([0, 1], TypeError, "out must be an array that can be written to, got list"),
        (np.empty(689, np.int64), ValueError, r"out has the shape \(689,\), but the result has \(690,\)"),
        (np.empty((690, 1), np.int64), ValueError, r"out has the shape \(690, 1\)"),
        (np.empty(690, bool), ValueError, "out has the dtype bool, which cannot hold the result: use int64"),
        (read_only(690), ValueError, "out is read-only"),
    ],
)
def test_bad_out(out, error, message):
    X, _ = rows_and_weights()
    with pytest.raises(error, match=message):
        GaussianMixture(random_state=0).fit(X).predict(X, out=out)


def test_labels_must_fit_into_out():
    X = np.linspace(0, 1, 400)[:, np.newaxis]
    model = GaussianMixture(n_components=200, init_params="random_from_data", max_iter=0).fit(X)
    assert model.predict(X, out=np.empty(400, np.uint8)).max() < 200
    with pytest.raises(ValueError, match="out has the dtype int8, which cannot hold the result"):
        model.predict(X, out=np.empty(400, np.int8))


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path):
    block, _ = rows_and_weights()

    class Repeated:
        dtype = block.dtype

        def __init__(self, n):
            self.shape = (n, 3)

        def __getitem__(self, rows):
            return block[np.arange(*rows.indices(self.shape[0])) % len(block)]

    class Nothing:
        dtype = np.dtype(np.int64)

        def __init__(self, n):
            self.shape = (n,)

        def __setitem__(self, rows, values):
            pass

    model = GaussianMixture(n_components=3, random_state=0, n_threads=1).fit(block)

    def peak(n):
        tracemalloc.start()
        try:
            model.predict(Repeated(n), out=Nothing(n))
            model.predict(from_array(Repeated(n)), out=tmp_path / "labels.npy")
            model.score(from_array(Repeated(n)))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(20_000)
    assert peak(120_000) < peak(30_000) + 50_000  # 90,000 rows more are 2.2 MB, their labels 0.7 MB


# Errors ---------------------------------------------------------------------------------------------------------------


def test_bad_rows_are_named():
    X, _ = rows_and_weights()
    model = GaussianMixture(n_components=2, random_state=0).fit(X)
    X[250, 1] = np.nan
    with pytest.raises(ValueError, match=r"^Input X contains NaN\. 1 value is NaN, in row 250, column 1\. "):
        model.predict(Sliceable(X))
    with pytest.raises(ValueError, match=r"^Input X contains NaN\. 1 value is NaN, in row 250, column 1\. "):
        model.fit(Sliceable(X))
    with pytest.raises(ValueError, match=r"^X has 2 features, but GaussianMixture is expecting 3"):
        model.score(Sliceable(X[:, :2]))
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        model.predict(Sliceable(X[:0]))


@pytest.mark.parametrize("method", ["fit", "score"])
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), "sample_weight has 3 entries for 690 rows of X"),
        (2.0, "sample_weight has no entries for 690 rows of X"),
        (-np.ones(690), "Negative values in data passed to `sample_weight`"),
        (np.zeros(690), r"All entries of sample_weight are zero|Found array with 0 sample\(s\) of positive weight"),
    ],
)
def test_bad_weights(method, weights, message):
    X, _ = rows_and_weights()
    model = GaussianMixture(n_components=2, random_state=0).fit(X)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(Sliceable(X), sample_weight=weights)


MASKED_USES = {
    "fit": lambda model, X, weights: model.fit(X, sample_weight=weights),
    "predict": lambda model, X, weights: model.predict(X),
    "score": lambda model, X, weights: model.score(X, sample_weight=weights),
    "from_array": lambda model, X, weights: model.fit_batches(from_array(X, weights)),
}


@pytest.mark.parametrize(
    ("which", "use"),
    [
        (which, use)
        for which in ("X", "sample_weight")
        for use in MASKED_USES
        if (which, use) != ("sample_weight", "predict")
    ],
)
@pytest.mark.parametrize("convert", [Sliceable, "dask"])
@pytest.mark.filterwarnings("ignore:X is a dask Array")
def test_masks_of_blocks_are_not_lost(convert, which, use):
    if convert == "dask":
        convert = pytest.importorskip("dask.array").from_array
    X, weights = rows_and_weights()
    model = GaussianMixture(n_components=2, random_state=0).fit(X)
    if which == "X":
        data = convert(np.ma.masked_array(X, np.arange(X.size).reshape(X.shape) == 3 * 250 + 1)), weights
    else:
        data = convert(X), convert(np.ma.masked_array(weights, np.arange(len(X)) == 250))
    with pytest.raises(ValueError, match=f"Input {which} contains masked entries. 1 value is masked, in .* 250"):
        MASKED_USES[use](model, *data)


@pytest.mark.parametrize("method", [*METHODS, "score"])
def test_not_fitted(method):
    X, _ = rows_and_weights()
    with pytest.raises(NotFittedError):
        getattr(GaussianMixture(), method)(Sliceable(X))


def test_fewer_rows_than_the_shape_promises_are_refused():
    X, _ = rows_and_weights()
    short = Sliceable(X[:60])
    short.shape = (90, 3)
    gmm = GaussianMixture(2, random_state=0).fit(X)
    for use in (gmm.predict, gmm.score, clone(gmm).fit, lambda rows: clone(gmm).fit_batches(from_array(rows))):
        with pytest.raises(ValueError, match=r"X\[0:90\] has 60 rows, but the shape of X is \(90, 3\)"):
            use(short)
