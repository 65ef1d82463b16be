"""Types of public names, as users' type checkers see them."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest

from fastgmm._model.covariance import accepted_names
from fastgmm._utils.annotations import CovarianceType

SCRIPT = Path(__file__).parent / "user_script.py"
PACKAGE = Path(find_spec("fastgmm").origin).parent


def test_mypy_finds_the_slips_of_a_script_and_nothing_else(monkeypatch, tmp_path):
    api = pytest.importorskip("mypy.api")
    if "site-packages" not in PACKAGE.parts:
        monkeypatch.setenv("MYPYPATH", str(PACKAGE.parent))
    monkeypatch.chdir(tmp_path)  # away from this project's settings, and from its cache
    python = f"--python-executable={sys.executable}"
    found, failed, _ = api.run(["--strict", "--follow-imports=silent", "--no-error-summary", python, str(SCRIPT)])
    assert found + failed == ""


def test_covariance_types_have_a_type():
    assert get_args(CovarianceType) == accepted_names()
