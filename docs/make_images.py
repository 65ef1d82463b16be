"""Runs the code of the pages and saves what it draws.

``python docs/make_images.py [page ...]``; without a page, all of them.

Pages show code in fenced blocks of the language ``pycon``. All blocks of a
page share one namespace and run in order. An image right after a block is
what that block drew: the current figure, saved with two pixels for each one
of the screen. A file changes only if its picture does.
"""

import argparse
import contextlib
import doctest
import io
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parent
ROOT = DOCS.parent

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
STYLE = {"figure.figsize": (6.4, 4.0), "savefig.facecolor": "white"}
IMAGE = re.compile(r"\s*!\[[^\]]*\]\(([^)\s]+)\)")
COLORS = 128  # in a picture
WIDTH = 1600  # of a picture, in pixels, at most: twice that of the column


class Block(NamedTuple):
    """A block of code of a page."""

    language: str
    code: str
    line: int  # number of its first line, from 0
    picture: Path | None  # the image right after it


def pages() -> list[Path]:
    """The pages of the site and the README."""
    sources = [path for path in DOCS.rglob("*.md") if path.relative_to(DOCS).parts[0] not in ("_build", "generated")]
    return [ROOT / "README.md", *sorted(sources)]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = page.read_text(encoding="utf-8").split("\n")
    start = 0
    while start < len(lines):
        fence = re.match(r"\s*(`{3,})(\S*)", lines[start])
        start += 1
        if not fence:
            continue
        end = start
        while not re.fullmatch(rf"\s*{fence[1]}`*\s*", lines[end]):
            end += 1
        image = IMAGE.match("\n".join(lines[end + 1 :]))
        picture = (page.parent / image[1]).resolve() if image else None
        yield Block(fence[2], "\n".join(lines[start:end]) + "\n", start, picture)
        start = end + 1


def mark_blank_lines(code: str) -> str:
    """Code whose blank lines of output are marked as doctest wants them."""
    return re.sub(r"^$(?=\n+(?! *>>>) *\S)", "<BLANKLINE>", code, flags=re.MULTILINE)


def run(page: Path, draw: Callable[[Path], None] | None = None) -> doctest.TestResults:
    """Run the code of a page in an empty folder.

    What differs from the page is printed.

    Parameters
    ----------
    page : Path
        The page.
    draw : callable, optional
        Is called after each block that is followed by an image, with the
        path of the image.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    runner = doctest.DocTestRunner(optionflags=FLAGS)
    names: dict = {"__name__": "__main__"}
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        warnings.catch_warnings(),
        matplotlib.rc_context(STYLE),
    ):
        warnings.simplefilter("ignore", UserWarning)  # of fits that show what can go wrong, and of pyplot.show
        try:
            for block in blocks(page):
                if block.language != "pycon":
                    continue
                name = page.relative_to(ROOT).as_posix()
                code = mark_blank_lines(block.code)
                test = doctest.DocTestParser().get_doctest(code, names, name, str(page), block.line)
                runner.run(test, clear_globs=False)
                names = test.globs
                if block.picture:
                    if not pyplot.get_fignums():
                        raise ValueError(
                            f"{name}, line {block.line}: an image follows this block, which draws nothing."
                        )
                    if draw:
                        draw(block.picture)
                    pyplot.close("all")
        finally:
            pyplot.close("all")
    return doctest.TestResults(runner.failures, runner.tries)


def save(picture: Path) -> None:
    """Save the current figure as a small PNG, unless it is that already."""
    from matplotlib import pyplot
    from PIL import Image, ImageChops

    buffer = io.BytesIO()
    figure = pyplot.gcf()
    figure.savefig(buffer, format="png", dpi=min(2 * pyplot.rcParams["figure.dpi"], WIDTH / figure.get_figwidth()))
    image = Image.open(buffer).convert("RGB")
    if image.getcolors(COLORS) is None:
        image = image.quantize(COLORS, dither=Image.Dither.NONE)
    else:  # few colors: all of them
        image = image.convert("P", palette=Image.Palette.ADAPTIVE, colors=COLORS)
    if picture.exists():
        with Image.open(picture) as old:
            same = (
                old.size == image.size and not ImageChops.difference(old.convert("RGB"), image.convert("RGB")).getbbox()
            )
        if same:
            return
    picture.parent.mkdir(exist_ok=True)
    image.save(picture, optimize=True)
    print(f"{os.path.relpath(picture)}: {picture.stat().st_size // 1024} kB")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pages", nargs="*", type=Path, metavar="page", help="a Markdown file")
    chosen = [path.resolve() for path in parser.parse_args().pages] or pages()
    return int(any([run(page, save).failed for page in chosen]))  # noqa: C419  all run, whatever fails


if __name__ == "__main__":
    sys.exit(main())
