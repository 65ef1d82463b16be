"""The examples in docstrings print what they say. (Those that need dask or matplotlib: test_dask, test_plotting.)"""

import doctest
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(find_spec("fastgmm").origin).parent
SOURCES = sorted({path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")} - {"dask.py", "plotting.py"})
WITH_EXAMPLES = [name for name in SOURCES if ">>> " in (PACKAGE / name).read_text(encoding="utf-8")]


def test_methods_of_estimators_have_examples():
    assert any(name.startswith("_estimator") for name in WITH_EXAMPLES)


@pytest.mark.parametrize("source", WITH_EXAMPLES)
def test_examples_run(source):
    if source == "batches.py":
        pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
    if source.startswith("_plots"):
        pytest.importorskip("matplotlib").use("Agg")
    module = "fastgmm." + source.removesuffix(".py").replace("/", ".")
    results = doctest.testmod(import_module(module))
    assert results.attempted
    assert not results.failed


@pytest.mark.parametrize("source", ["dask.py", "plotting.py", *WITH_EXAMPLES])
def test_examples_fit_the_column_of_the_reference(source):
    lines = [line.strip() for line in (PACKAGE / source).read_text(encoding="utf-8").splitlines()]
    assert not [line for line in lines if line.startswith((">>> ", "... ")) and len(line) > 79]
