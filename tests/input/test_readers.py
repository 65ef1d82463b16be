"""Readers in place of arrays: the same fits, labels, densities and criteria; and results in files."""

import sys

import numpy as np
import pytest
from sklearn.base import clone

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.batches import from_array, from_csv, from_npy, from_parquet

pd = pytest.importorskip("pandas")

METHODS = ["predict", "predict_proba", "score_samples"]


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(center, scale, (230, 3)) for center, scale in ((0, 1), (3, 0.7), (5, 2))])
    rng.shuffle(X)
    weights = rng.uniform(0, 3, len(X))
    weights[:150] = 0
    return pd.DataFrame(X, columns=["a", "b", "c"]).assign(w=weights, key=[f"row {i}" for i in range(len(X))])


def parquet_reader(frame, folder, **options):
    frame.to_parquet(folder / "rows.parquet", row_group_size=300)
    return from_parquet(folder / "rows.parquet", ["a", "b", "c"], "w", batch_rows=128, **options)


def csv_reader(frame, folder, **options):
    frame[:400].to_csv(folder / "1.csv", index=False)
    frame[400:].to_csv(folder / "2.csv", index=False)
    return from_csv(folder, ["a", "b", "c"], "w", batch_rows=128, **options)


def npy_reader(frame, folder):
    np.save(folder / "1.npy", frame[["a", "b", "c"]][:400])
    np.save(folder / "2.npy", frame[["a", "b", "c"]][400:])
    return from_npy(folder, batch_rows=128)


def array_reader(frame, folder):
    return from_array(frame[["a", "b", "c"]].to_numpy(), frame["w"].to_numpy(), batch_rows=128)


READERS = [parquet_reader, csv_reader, npy_reader, array_reader]


@pytest.mark.parametrize("make", READERS)
@pytest.mark.parametrize("mixture", [GaussianMixture, BayesianGaussianMixture])
def test_a_reader_is_as_good_as_an_array(frame, make, mixture, tmp_path):
    pytest.importorskip("pyarrow")
    reader = make(frame, tmp_path)
    X = frame[["a", "b", "c"]]
    if make in (npy_reader, array_reader):
        X = X.to_numpy()
    weights = None if make is npy_reader else frame["w"]
    model = mixture(n_components=3, random_state=0)
    fitted = clone(model).fit(reader)
    np.testing.assert_array_equal(fitted.means_, clone(model).fit_batches(reader).means_)
    np.testing.assert_array_equal(clone(model).fit_predict(reader), fitted.predict(X))
    for name in METHODS:
        np.testing.assert_array_equal(getattr(fitted, name)(reader), getattr(fitted, name)(X))
    assert fitted.score(reader) == pytest.approx(fitted.score(X, sample_weight=weights), rel=1e-13)
    if mixture is GaussianMixture:
        assert fitted.aic(reader) == pytest.approx(fitted.aic(X, sample_weight=weights), rel=1e-13)
        assert fitted.bic(reader) == pytest.approx(fitted.bic(X, sample_weight=weights), rel=1e-13)


# Results in arrays and files ------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("source", ["frame", *READERS])
@pytest.mark.parametrize("method", METHODS)
def test_results_in_files(frame, source, method, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    X = frame[["a", "b", "c"]]
    model = GaussianMixture(n_components=3, random_state=0).fit(X.to_numpy())
    rows = X.to_numpy() if source == "frame" else source(frame, tmp_path)
    expected = getattr(model, method)(X.to_numpy())
    names = {
        "predict": ["component"],
        "predict_proba": ["probability_0", "probability_1", "probability_2"],
        "score_samples": ["log_density"],
    }[method]
    files = tmp_path / "results"
    files.mkdir()
    assert getattr(model, method)(rows, out=files / "out.npy") == files / "out.npy"
    written = np.load(files / "out.npy", mmap_mode="r")
    assert written.dtype == expected.dtype
    np.testing.assert_array_equal(written, expected)
    getattr(model, method)(rows, out=str(files / "out.parquet"))
    table = pd.read_parquet(files / "out.parquet")
    assert list(table) == names
    np.testing.assert_array_equal(table.to_numpy().reshape(expected.shape), expected)
    if source != "frame":
        assert parquet.ParquetFile(files / "out.parquet").num_row_groups == len(list(rows))
    getattr(model, method)(rows, out=files / "out.csv")
    np.testing.assert_array_equal(pd.read_csv(files / "out.csv").to_numpy().reshape(expected.shape), expected)
    assert len(list(files.iterdir())) == 3


def test_tables_hold_the_columns_that_are_kept(frame, tmp_path):
    pytest.importorskip("pyarrow")
    frame["time"] = pd.Timestamp("2026-01-01")
    frame["big"] = 2**60 + np.arange(len(frame))  # float64 would round it
    model = GaussianMixture(n_components=3, random_state=0).fit(frame[["a", "b", "c"]])
    labels = model.predict(frame[["a", "b", "c"]])

    def written(reader):
        return pd.read_parquet(model.predict(reader, out=tmp_path / "labels" / "labels.parquet"))

    (tmp_path / "labels").mkdir()
    expected = frame[["big", "key", "a"]].assign(component=labels)
    pd.testing.assert_frame_equal(written(parquet_reader(frame, tmp_path, keep=["big", "key", "a"])), expected)
    pd.testing.assert_frame_equal(written(csv_reader(frame, tmp_path, keep=["big", "key", "a"])), expected)
    frame = frame.set_index("key")  # all columns include the index, which stays one
    pd.testing.assert_frame_equal(written(parquet_reader(frame, tmp_path, keep=True)), frame.assign(component=labels))

    path = tmp_path / "late.csv"
    path.write_text("a,b,c,number\n" + "1,2,3,4\n" * 200_000 + "1,2,3,4.5\n")
    with pytest.raises(
        ValueError, match=r"^'4\.5', in row 200000, column 'number' of '.*', is no int64, which the first"
    ):
        written(from_csv(path, ["a", "b", "c"], keep="number"))
    with pytest.raises(ValueError, match="There is no column 'kye'; there are a, b, c"):
        parquet_reader(frame, tmp_path, keep="kye")
    reader = parquet_reader(frame.assign(component=1), tmp_path, keep="component")
    with pytest.raises(ValueError, match="keep holds 'component', and a column of the results has this name"):
        model.predict(reader, out=tmp_path / "labels.csv")
    reader = parquet_reader(frame.assign(tags=[["new"]] * len(frame)), tmp_path, keep="tags")
    with pytest.raises(ValueError, match=r"keep holds 'tags' \(list<.*\), for which \.csv has no form"):
        model.predict(reader, out=tmp_path / "labels.csv")
    assert not (tmp_path / "labels.csv").exists()


def test_files_of_results_are_complete_or_as_before(frame, tmp_path):
    pytest.importorskip("pyarrow")
    model = GaussianMixture(n_components=3, random_state=0).fit(frame[["a", "b", "c"]])
    frame.loc[500, "b"] = np.nan
    reader = parquet_reader(frame, tmp_path)
    (tmp_path / "labels.npy").write_text("before")
    before = sorted(tmp_path.iterdir())
    for name in ("labels.npy", "labels.parquet", "labels.csv"):
        with pytest.raises(ValueError, match=r"^Batch 4, from row 428 of '.*': .* in row 500 of the file, column 'b'"):
            model.predict(reader, out=tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "labels.npy").read_text() == "before"


def test_where_results_cannot_be_written(frame, tmp_path):
    X = frame[["a", "b", "c"]].to_numpy()
    model = GaussianMixture(random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"must end in one of \.npy, \.parquet, \.csv"):
        model.predict(X, out=tmp_path / "labels.txt")
    with pytest.raises(FileNotFoundError, match="is in a folder that does not exist"):
        model.predict(X, out=tmp_path / "none" / "labels.npy")


def test_tables_need_pyarrow(frame, tmp_path, monkeypatch):
    X = frame[["a", "b", "c"]].to_numpy()
    model = GaussianMixture(random_state=0).fit(X)
    monkeypatch.setitem(sys.modules, "fastgmm._output.tables", None)  # as if its imports failed
    with pytest.raises(ImportError, match=r"^Writing \.csv files needs pyarrow: python -m pip install pyarrow$"):
        model.predict(X, out=tmp_path / "labels.csv")
    assert not list(tmp_path.iterdir())


def test_arrays_for_an_unknown_number_of_rows(frame, tmp_path):
    pytest.importorskip("pyarrow")
    reader = csv_reader(frame, tmp_path)
    model = GaussianMixture(n_components=3, random_state=0).fit(reader)
    out = np.empty(len(frame), np.int8)
    assert model.predict(reader, out=out) is out
    np.testing.assert_array_equal(out, model.predict(reader))
    for n in (len(frame) - 1, len(frame) + 1):
        with pytest.raises(ValueError, match="pass an out that has one entry for each row of X"):
            model.predict(reader, out=np.empty(n, np.int64))


# Errors ---------------------------------------------------------------------------------------------------------------


def test_weights_beside_a_reader_are_refused(frame, tmp_path):
    reader = array_reader(frame, tmp_path)
    model = GaussianMixture(random_state=0).fit(reader)
    for use in (model.fit, model.score, model.bic):
        with pytest.raises(TypeError, match="sample_weight must be None for a reader, got ndarray"):
            use(reader, sample_weight=np.ones(len(frame)))


def test_a_reader_without_rows(frame, tmp_path):
    pytest.importorskip("pyarrow")
    model = GaussianMixture(random_state=0).fit(frame[["a", "b", "c"]])
    reader = parquet_reader(frame[:0], tmp_path)
    for use in (model.predict, model.score):
        with pytest.raises(ValueError, match=r"0 sample\(s\) .*rows\.parquet.* Pass a reader that has rows"):
            use(reader)


def test_scores_of_a_subclass_get_no_reader(frame, tmp_path):
    class Shifted(GaussianMixture):
        def score_samples(self, X):
            return super().score_samples(X) + 1.0

    reader = array_reader(frame, tmp_path)
    model = Shifted(random_state=0).fit(reader)
    for use in (model.score, model.bic):
        with pytest.raises(TypeError, match="X must be in memory, got a reader: Shifted has a score"):
            use(reader)
