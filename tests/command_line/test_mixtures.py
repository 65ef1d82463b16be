"""fit, select and predict on the command line."""

import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest

from fastgmm import GaussianMixture, GaussianMixtureIC
from fastgmm._command_line import cli, files

pd = pytest.importorskip("pandas")

pytest.importorskip("pyarrow")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a file of each format."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(8, 1, (700, 2))])
    rows = pd.DataFrame(X, columns=["height", "width"]).assign(weight=rng.uniform(0, 2, 1000))
    rows["key"] = [f"row {i}" for i in range(1000)]
    rows.to_parquet("rows.parquet")
    rows.to_csv("rows.csv", index=False)
    np.save("rows.npy", X)
    return tmp_path


def test_from_a_file_to_labels_as_users_run_it(folder):
    def run(*arguments):
        command = [sys.executable, "-m", "fastgmm", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    shown = run("fit", "rows.parquet", "-k", "2", "--columns", "height,width", "-o", "model.joblib")
    rows = pd.read_parquet("rows.parquet")
    X = rows[["height", "width"]]
    model = GaussianMixture(2, random_state=0).fit(X)
    assert shown == f"{model.summary(X)}\n"
    assert run("predict", "model.joblib", "rows.parquet", "-o", "labels.parquet", "--keep-all") == ""
    pd.testing.assert_frame_equal(pd.read_parquet("labels.parquet"), rows.assign(component=model.predict(X)))


@pytest.mark.parametrize("loaded_bytes", [files.LOADED_BYTES, 0])  # 0: rows are read anew in each iteration
@pytest.mark.parametrize("file_format", ["parquet", "csv", "npy"])
def test_fit_and_predict(folder, file_format, loaded_bytes, monkeypatch, capsys):
    monkeypatch.setattr(files, "LOADED_BYTES", loaded_bytes)
    named = [] if file_format == "npy" else ["--columns", "height,width", "--weights", "weight"]
    options = ["--covariance", "tied", "--seed", "3", "--tol", "1e-6", "--n-init", "2", "--threads", "1", *named]
    assert cli.main(["fit", f"rows.{file_format}", "-k", "2", "-o", "model.joblib", *options]) == 0
    assert "2 components" in capsys.readouterr().out
    rows = pd.read_parquet("rows.parquet")
    X = rows[["height", "width"]] if named else rows[["height", "width"]].to_numpy()
    expected = GaussianMixture(2, covariance_type="tied", random_state=3, tol=1e-6, n_init=2)
    expected.fit(X, sample_weight=rows["weight"] if named else None)
    model = joblib.load("model.joblib")
    np.testing.assert_allclose(model.means_, expected.means_, rtol=1e-10)
    for option, method in (("--proba", "predict_proba"), ("--log-density", "score_samples")):
        assert cli.main(["predict", "model.joblib", f"rows.{file_format}", "-o", "out.npy", option]) == 0
        np.testing.assert_array_equal(np.load("out.npy"), getattr(model, method)(X))
    np.save("same.npy", X)  # without names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one says so
        assert cli.main(["predict", "model.joblib", "same.npy", "-o", "labels.npy"]) == 0
    np.testing.assert_array_equal(np.load("labels.npy"), model.predict(X))


@pytest.mark.parametrize("loaded_bytes", [files.LOADED_BYTES, 0])
def test_select(folder, loaded_bytes, monkeypatch, capsys):
    monkeypatch.setattr(files, "LOADED_BYTES", loaded_bytes)
    command = "select rows.csv -k 1-2,4 --covariance tied,full --columns height,width --criterion aic -o best.joblib"
    command += " --distribution gaussian,t"
    assert cli.main(command.split()) == 0
    X = pd.read_csv("rows.csv")[["height", "width"]]
    grid = {"covariance_type": ["tied", "full"], "distribution": ["gaussian", "t"]}
    search = GaussianMixtureIC([1, 2, 4], criterion="aic", random_state=0, **grid).fit(X)
    assert capsys.readouterr().out == f"{search.summary()}\n"
    np.testing.assert_array_equal(joblib.load("best.joblib").means_, search.best_estimator_.means_)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fit rows.parquet -k 2 -o m.joblib", "Column 'key' of 'rows.parquet' holds strings"),
        ("fit rows.npy -k 2000 -o m.joblib", "Expected n_samples >= n_components"),
        ("fit rows.npy -k 2 -o none/m.joblib", "'none/m.joblib' is in a folder that does not exist"),
        ("fit rows.npy -k 2 --weights weight", "columns of .npy files have no names: leave out --columns, --weights"),
        ("fit rows.txt -k 2", "'rows.txt' must be a folder, or a file that ends in one of .parquet,"),
        ("predict other.joblib . -o out.csv", "output='out.csv' is in the input '.', and would become data"),
        ("fit none.csv -k 2", "There is no file 'none.csv'"),
        ("fit . -k 2", "there are csv and npy and parquet files in .: name files of one format"),
        ("fit rows.npy -k 2 -o ./rows.npy", "output='./rows.npy' is also an input, which it would replace"),
        ("predict other.joblib rows.csv -o rows.csv", "output='rows.csv' is also an input"),
        ("predict none.joblib rows.csv -o out.csv", "none.joblib: No such file or directory"),
        ("predict rows.csv rows.csv -o out.csv", "'rows.csv' cannot be read as a model: "),
        ("predict other.joblib rows.csv -o out.csv", "'other.joblib' holds no mixture of fastgmm, but dict"),
        ("predict other.joblib rows.csv -o out.txt", "out='out.txt' must end in one of"),
    ],
)
def test_errors_are_one_line_and_leave_no_files(folder, command, message, capsys):
    joblib.dump({}, "other.joblib")
    before = sorted(folder.iterdir())
    assert cli.main(command.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"python -m fastgmm {command.split()[0]}: error: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.filterwarnings("default")
def test_warnings_are_one_line(folder, capsys):
    assert cli.main(["fit", "rows.npy", "-k", "2", "--max-iter", "1"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m fastgmm fit: warning: Best performing initialization did not converge")


@pytest.mark.parametrize("numbers", ["0", "3-1", "two", "1,,2", "-2"])
def test_bad_numbers_of_components(numbers, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["select", "rows.csv", f"-k={numbers}"])
    assert exit_.value.code == 2
    assert "is neither a positive number nor a range such as 1-9" in capsys.readouterr().err


def test_a_fit_has_one_number_of_components(capsys):
    with pytest.raises(SystemExit):
        cli.main(["fit", "rows.csv", "-k", "2-4"])
    assert "2-4 is not a positive integer; select takes several" in capsys.readouterr().err


def test_the_help_of_predict_says_that_models_are_code(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["predict", "--help"])
    assert exit_.value.code == 0
    assert "may run the stranger's code" in " ".join(capsys.readouterr().out.split())
