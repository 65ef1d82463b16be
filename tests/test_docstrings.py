"""The examples in the docstrings of the estimators print what they say. (Those of the plots: test_plotting.)"""

import doctest
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(find_spec("fastgmm").origin).parent
SOURCES = [
    "mixture.py",
    "bayesian.py",
    "selection.py",
    *(f"_estimator/{p.name}" for p in PACKAGE.glob("_estimator/*.py")),
]
WITH_EXAMPLES = [name for name in SOURCES if ">>> " in (PACKAGE / name).read_text(encoding="utf-8")]


def test_methods_of_estimators_have_examples():
    assert any(name.startswith("_estimator") for name in WITH_EXAMPLES)


@pytest.mark.parametrize("source", WITH_EXAMPLES)
def test_examples_run(source):
    module = "fastgmm." + source.removesuffix(".py").replace("/", ".")
    results = doctest.testmod(import_module(module))
    assert results.attempted
    assert not results.failed
