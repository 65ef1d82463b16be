"""Pages run, print what they say, and hold what they link to."""

import ast
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "docs/make_images.py"
if not SCRIPT.exists():
    pytest.skip("no checkout", allow_module_level=True)

spec = importlib.util.spec_from_file_location("make_images", SCRIPT)
make_images = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_images)

PAGES = make_images.pages()
LINKING = [*PAGES, *ROOT.glob("*.md"), ROOT / "benchmarks/README.md"]
WITH_CODE = [page for page in PAGES if any(block.language == "pycon" for block in make_images.blocks(page))]
LINK = re.compile(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"')


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def targets_of(page):
    """What a page links to, except for other sites; code left out."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^\s*(```+).*?^\s*\1\s*$|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)
    targets = [a or b for a, b in LINK.findall(text)]
    return [target for target in targets if not re.match(r"https?:|mailto:", target)]


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_code_prints_what_the_page_says(page):
    for needed in ("matplotlib", "pandas", "pyarrow", "dask"):
        pytest.importorskip(needed)
    results = make_images.run(page)
    assert results.attempted
    assert not results.failed


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_fits_the_column(page):
    for block in make_images.blocks(page):
        if not block.language.startswith("{"):
            for number, line in enumerate(block.code.splitlines(), block.line + 1):
                assert len(line) <= 79, f"{name_of(page)}, line {number}"


@pytest.mark.parametrize("page", sorted(set(LINKING)), ids=name_of)
def test_links_hold(page):
    for target in targets_of(page):
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        if anchor and linked.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), flags=re.MULTILINE)
            # As a forge makes them.
            anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, target


def test_reference_lists_what_is_public():
    """Methods and properties are listed by the template of classes; a build of the site warns of what is missing."""
    listed, module = set(), None
    for line in (ROOT / "docs/api.md").read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   [A-Za-z]\w*", line):
            listed.add(f"{module}.{line.strip()}")

    public = set()
    package = Path(importlib.util.find_spec("fastgmm").origin).parent
    for path in package.glob("[!_]*.py"):
        public |= exports(path, f"fastgmm.{path.stem}")
    assert listed == public | exports(package / "__init__.py", "fastgmm") - {"fastgmm.__version__"}


def exports(path, module):
    """What ``__all__`` of a module names, if there is one; the module is not imported."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return {f"{module}.{name}" for name in ast.literal_eval(node.value)}
    return set()


def test_versions_are_those_of_the_package_and_of_continuous_integration():
    page = (ROOT / "docs/versions.md").read_text(encoding="utf-8")
    oldest = {row[0]: row[1] for row in re.findall(r"^\| ([\w-]+)[^|]* \| ([\d.]+) \|", page, flags=re.MULTILINE)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [
        f"Python{project['requires-python']}",
        *project["dependencies"],
        *project["optional-dependencies"]["dask"],
    ]
    floors = dict(re.findall(r"^([\w-]+)(?:\[[^]]*\])?>=([\d.]+)$", "\n".join(needed), flags=re.MULTILINE))
    assert oldest == {name: floors[name.lower() if name != "Python" else name] for name in oldest}
    assert len(oldest) == 5

    path = ROOT / ".github/workflows/ci.yml"
    if not path.exists():
        pytest.skip("a source distribution has no workflows")
    workflow = path.read_text(encoding="utf-8")
    for name in ("scikit-learn", "NumPy", "SciPy"):
        assert f'"{name.lower()}=={oldest[name]}.*"' in workflow
    for version in re.findall(r"[\d.]+(?=,)", re.search(r"\| scikit-learn .*", page)[0])[1:]:
        assert f'"{version}"' in workflow


def test_every_image_is_shown():
    shown = {(page.parent / target).resolve() for page in PAGES for target in targets_of(page)}
    images = {path.resolve() for path in (ROOT / "docs/images").iterdir()}
    assert not {name_of(path) for path in images - shown}
    assert sum(path.stat().st_size for path in images) < 2.5e6, "a clone should stay small"
