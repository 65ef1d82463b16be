"""Imports point downwards only: read from the sources, so that no import hides in a function."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(find_spec("fastgmm").origin).parent

# From the top down. A module may import from lines below its own, never from its own line or above.
LAYERS = (
    ("__main__",),
    ("__init__", "cli"),
    ("_benchmark",),
    ("datasets", "_show_versions", "plotting", "batches", "dask"),
    ("_tables",),
    ("_files",),
    ("_drawing",),
    ("selection",),
    ("mixture", "bayesian", "_marginals"),
    ("_estimator", "_variational", "_dask"),
    ("_checkpoint", "_stream", "_sampling"),
    ("_acceleration", "_batches", "_fitted", "_notices"),
    ("_validation", "_initialization"),
    ("_data_validation",),
    ("_number_validation",),
    ("_em", "_updates"),
    ("_kmeans",),
    ("_passes",),
    ("_skipping",),
    ("_cells",),
    ("_covariance",),
    ("_containers", "_statistics", "_threads", "_memory", "_warnings", "_words", "_errors"),
    ("_kernels",),
)
RANK = {name: len(LAYERS) - i for i, names in enumerate(LAYERS) for name in names}

# What user input may be refused with: nothing that computes.
ALLOWED_IN_VALIDATION = {"_threads", "_containers", "_number_validation", "_warnings", "_words"}

MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def internal_imports(path: Path, package: str = "fastgmm") -> Iterator[str]:
    """Modules of fastgmm that a file imports, anywhere in it; "__init__" stands for the package itself."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" if base == "fastgmm" else base for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "fastgmm":
                yield parts[1] if len(parts) > 1 and parts[1] in RANK else "__init__"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_layer(module):
    assert module in RANK, f"enter {module} in LAYERS"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module):
    upwards = {name for name in internal_imports(PACKAGE / f"{module}.py") if RANK[name] >= RANK[module]}
    assert not upwards


@pytest.mark.parametrize("module", ["_validation", "_data_validation", "_number_validation"])
def test_validation_computes_nothing(module):
    assert set(internal_imports(PACKAGE / f"{module}.py")) <= ALLOWED_IN_VALIDATION


@pytest.mark.parametrize("path", sorted((PACKAGE / "_kernels").glob("*.py")), ids=lambda path: path.name)
def test_kernels_know_nobody(path):
    assert set(internal_imports(path, "fastgmm._kernels")) <= {"_kernels"}


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("import fastgmm", {"__init__"}),
        ("from fastgmm import GaussianMixture", {"__init__"}),
        ("from fastgmm import _kernels", {"_kernels"}),
        ("from fastgmm._em import fit", {"_em"}),
        ("from . import cli", {"cli"}),
        ("from ._kernels import active", {"_kernels"}),
        ("def f():\n    import fastgmm.mixture", {"mixture"}),
        ("import numpy", set()),
    ],
)
def test_the_reader_of_imports(source, imported, tmp_path):
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    assert set(internal_imports(path)) == imported
