"""Files beside docs/ as pages of the site.

A page in docs/ stands for such a file: on a forge it holds a link to the
file, on the site the file itself. Links to the file lead to the page.
"""

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = {
    "benchmarks": ROOT / "benchmarks/README.md",
    "changelog": ROOT / "CHANGELOG.md",
    "code_of_conduct": ROOT / "CODE_OF_CONDUCT.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "kernels": ROOT / "src/fastgmm/_kernels/README.md",
    "security": ROOT / "SECURITY.md",
}
PAGES = {file: ROOT / f"docs/{name}.md" for name, file in FILES.items()}


def replace(app, docname, source):
    page = ROOT / f"docs/{docname}.md"
    file = FILES.get(docname, page)
    if file is not page:
        app.env.note_dependency(file)
        source[0] = file.read_text(encoding="utf-8")

    def link(match):
        target, anchor = match[1], match[2] or ""
        linked = (file.parent / target).resolve()
        if not linked.exists():
            return match[0]
        linked = PAGES.get(linked, linked)
        if linked.is_dir():
            linked = linked / "README.md"
        return f"]({os.path.relpath(linked, page.parent)}{anchor})"

    source[0] = re.sub(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)", link, source[0])


def setup(app):
    app.connect("source-read", replace)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
