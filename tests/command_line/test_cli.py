import importlib.util
import json
import re
import subprocess
import sys

import numpy as np
import pytest

import fastgmm
from fastgmm import _kernels
from fastgmm._command_line import benchmark, cli
from fastgmm._command_line.timing import peak_memory


def test_info_runs_as_a_module():
    run = subprocess.run([sys.executable, "-m", "fastgmm", "info"], capture_output=True, text=True, check=True)
    simd = ("SIMD built", "SIMD supported", "SIMD active")
    for label in ("fastgmm", "compiler", *simd, "OpenMP", "threads", "scikit-learn", "CPU"):
        assert re.search(rf"^ *{label}: \S", run.stdout, re.MULTILINE), label


@pytest.mark.skipif(not _kernels.active.OPENMP or sys.platform == "win32", reason="the kernels' runtime cannot be told")
def test_info_names_the_runtime_of_the_kernels_only(tmp_path):
    """Every wheel may bring a copy of its own into the process."""
    code = (
        "import ctypes, shutil, sys, threadpoolctl; from fastgmm._command_line import versions\n"
        "path = versions._describe_openmp().partition(' ')[2]\n"
        "ctypes.CDLL(shutil.copy(path, sys.argv[1]))\n"
        "assert sum(info['user_api'] == 'openmp' for info in threadpoolctl.threadpool_info()) > 1\n"
        "assert versions._describe_openmp().partition(' ')[2] == path, versions._describe_openmp()"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)


def test_show_versions_prints_what_info_prints(capsys):
    fastgmm.show_versions()
    shown = capsys.readouterr().out
    assert cli.main(["info"]) == 0
    assert capsys.readouterr().out == shown
    assert fastgmm.__version__ in shown
    assert _kernels.ACTIVE in shown


def test_without_a_command_the_help_is_printed(capsys):
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    for words in ("usage: python -m fastgmm", "benchmark", "info", "from fastgmm import GaussianMixture"):
        assert words in shown


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"fastgmm {fastgmm.__version__}\n"


@pytest.mark.parametrize("arguments", [["fit"], ["benchmark", "--threads", "0"], ["benchmark", "--threads", "two"]])
def test_wrong_usage_is_explained(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    assert "usage: python -m fastgmm" in capsys.readouterr().err


@pytest.mark.parametrize(("module", "package"), [("rich", "rich"), ("PIL", "pillow")])
def test_benchmark_names_the_package_that_is_missing(module, package, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else object())
    assert cli.main(["benchmark"]) == 2
    message = capsys.readouterr().err
    assert message == f"The benchmark needs {package}: python -m pip install {package}\n"


def test_benchmark_prints_a_table_and_writes_json(monkeypatch, capsys, tmp_path):
    pytest.importorskip("rich")
    pytest.importorskip("PIL")
    rng = np.random.default_rng(0)
    monkeypatch.setattr(benchmark, "_TASKS", (("noise", lambda: rng.normal(size=(2000, 3)), 2, 1, 1),))
    path = tmp_path / "figures.json"
    path.write_text("older and longer " * 1000)
    assert cli.main(["benchmark", "--quick", "--threads", "1", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    for word in ("CPU", "SIMD variant", "noise: 2,000 of 2,000 rows", "fastgmm", "scikit-learn", "speed-up", "equal"):
        assert word in out
    (result,) = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert result["fits"]["fastgmm"]["n_iter"] == result["fits"]["scikit-learn"]["n_iter"]


@pytest.mark.parametrize("where", ["no folder/figures.json", "."])
def test_benchmark_looks_first_whether_it_can_write(where, monkeypatch, capsys, tmp_path):
    pytest.importorskip("rich")
    pytest.importorskip("PIL")
    monkeypatch.setattr(benchmark, "_TASKS", None)  # nothing is run
    with pytest.raises(SystemExit) as exit_:
        cli.main(["benchmark", "--json", str(tmp_path / where)])
    assert exit_.value.code == 2
    assert "argument --json: cannot write to" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("before", [None, "what was there"])
def test_a_benchmark_that_fails_leaves_files_as_they_were(before, error, monkeypatch, tmp_path):
    pytest.importorskip("rich")
    pytest.importorskip("PIL")
    path = tmp_path / "figures.json"
    if before is not None:
        path.write_text(before)

    def fail():
        raise error

    monkeypatch.setattr(benchmark, "_TASKS", (("noise", fail, 2, 1, 1),))
    with pytest.raises(error):
        cli.main(["benchmark", "--quick", "--json", str(path)])
    assert (path.read_text() if path.exists() else None) == before


def test_peak_memory_counts_what_is_held_at_once():
    one = peak_memory(lambda: np.ones(2**20))
    assert 2**23 <= one < 2**23 + 2**16
