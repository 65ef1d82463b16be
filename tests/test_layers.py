"""The folders of the package and the one direction of imports between them; the picture in docs/design.md is made here.

``python tests/test_layers.py`` prints that picture.
"""

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(find_spec("fastgmm").origin).parent
DESIGN = Path(__file__).parent.parent / "docs/design.md"

# From the top down. A folder, or a module beside the folders, may import from lines below its own only. Within a folder
# modules may import each other, but not in a circle.
LAYERS = (
    ("__main__",),
    ("__init__",),
    ("_command_line",),
    ("dask", "plotting", "bootstrap", "selection", "batches", "datasets", "progress", "_patch"),
    ("bayesian",),
    ("mixture", "student", "_on_chunks"),
    ("_search", "_plots", "_bootstrap"),
    ("_estimator",),
    ("_start",),
    ("_em",),
    ("_skipping",),
    ("_rows",),
    ("_output",),
    ("_input",),
    ("_model",),
    ("_utils",),
    ("_kernels",),
)
RANK = {name: len(LAYERS) - i for i, names in enumerate(LAYERS) for name in names}

MODULES = {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")}


def imported_modules(path: Path) -> Iterator[str]:
    """Modules of fastgmm that a file imports, anywhere in it, as paths below the package without a suffix."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "fastgmm":
                yield _module_of(name.split(".")[1:])


def _module_of(parts: list[str]) -> str:
    """The longest beginning of a dotted name that is a module."""
    for end in range(len(parts), 0, -1):
        for path in ("/".join(parts[:end]), "/".join([*parts[:end], "__init__"])):
            if path in MODULES or (PACKAGE / path).with_suffix(".pyx").exists():
                return path
    return "__init__"


def layer_of(module: str) -> str:
    return module.split("/")[0]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_downwards(module):
    own = layer_of(module)
    assert own in RANK, f"enter {own} in LAYERS"
    imported = {layer_of(name) for name in imported_modules(MODULES[module])} - {own}
    assert not {name for name in imported if RANK[name] >= RANK[own]}


@pytest.mark.parametrize("folder", sorted({layer_of(module) for module in MODULES if "/" in module}))
def test_no_circle_in_a_folder(folder):
    imports = {
        module: {name for name in imported_modules(path) if layer_of(name) == folder and name != module}
        for module, path in MODULES.items()
        if layer_of(module) == folder
    }
    while imports:
        leaves = {module for module, imported in imports.items() if not imported & imports.keys()}
        assert leaves, f"a circle among {sorted(imports)}"
        imports = {module: imported for module, imported in imports.items() if module not in leaves}


def test_no_test_module_imports_another():
    """What several of them use is in tests/_shared."""
    for path in Path(__file__).parent.rglob("test_*.py"):
        assert not re.search(r"^(from|import) (\w+\.)*test_", path.read_text(encoding="utf-8"), re.MULTILINE), path


def picture() -> str:
    """The layers with the first sentence of each docstring, as docs/design.md has it."""
    names = [name for layer in LAYERS for name in layer]
    width = max(map(len, names)) + 4
    return "".join(f"    {name:{width}}{_purpose(name)}\n" for name in names)


def _purpose(name: str) -> str:
    path = PACKAGE / name / "__init__.py"
    source = (path if path.exists() else PACKAGE / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].replace("\n", " ").rstrip(".")


@pytest.mark.skipif(not DESIGN.exists(), reason="not in a checkout")
def test_the_docs_show_these_layers():
    assert max(map(len, picture().splitlines())) <= 79, "shorten the first paragraph of a docstring"
    assert picture() in DESIGN.read_text(encoding="utf-8"), f"put this into {DESIGN.name}:\n{picture()}"


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("import fastgmm", {"__init__"}),
        ("from fastgmm import GaussianMixture", {"__init__"}),
        ("from fastgmm import _kernels", {"_kernels/__init__"}),
        ("from fastgmm._em.loop import run_em", {"_em/loop"}),
        ("from fastgmm._em import loop", {"_em/loop"}),
        ("def f():\n    import fastgmm.mixture", {"mixture"}),
        ("import numpy", set()),
    ],
)
def test_the_reader_of_imports(source, imported, tmp_path):
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    assert set(imported_modules(path)) == imported


if __name__ == "__main__":
    print(picture(), end="")
