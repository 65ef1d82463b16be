"""Pages run, print what they say, and hold what they link to."""

import importlib.util
import re
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
        if block.language in ("pycon", "python"):
            for number, line in enumerate(block.code.splitlines(), block.line + 1):
                assert len(line) <= 79, f"{name_of(page)}, line {number}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
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


def test_every_image_is_shown():
    shown = {(page.parent / target).resolve() for page in PAGES for target in targets_of(page)}
    images = {path.resolve() for path in (ROOT / "docs/images").iterdir()}
    assert not {name_of(path) for path in images - shown}
