"""Formulas as MathML, which browsers render without any script.

Not every system has a font for formulas, so the site carries a part of STIX
Two Math. It comes with the package ziamath.
"""

import logging
import re
from importlib.resources import files
from pathlib import Path

from docutils import nodes
from fontTools import subset
from latex2mathml.converter import convert

FONT = "stix_two_math.woff"
CHARACTERS = (
    (0x20, 0x7E),
    (0xA0, 0xFF),
    (0x302, 0x307),  # accents
    (0x391, 0x3F5),  # Greek
    (0x2010, 0x2044),
    (0x2061, 0x2064),
    (0x2190, 0x21D5),  # arrows
    (0x2200, 0x22EF),  # operators
    (0x2308, 0x230B),
    (0x27E8, 0x27E9),
    (0x1D400, 0x1D467),  # bold, italic
    (0x1D49C, 0x1D4CF),  # script
    (0x1D538, 0x1D56B),  # double-struck
    (0x1D6A8, 0x1D71B),  # Greek, bold and italic
)
NAMED = re.compile(r'<mi>([a-z]{2,})</mi>(<mo stretchy="false">&#x00028;)?')


def mathml(latex, display):
    """A formula, with TeX's space about names such as log.

    Norms do not stretch: one of their bars may carry an exponent.
    """
    formula = convert(latex, display=display)
    formula = NAMED.sub(
        lambda match: f'<mo lspace="0.17em" rspace="{0 if match[2] else 0.17}em">{match[1]}</mo>{match[2] or ""}',
        formula,
    )
    return re.sub(r"<mo[^>]*>(&#x02016;)</mo>", r'<mo stretchy="false">\1</mo>', formula)


def visit_math(self, node):
    tag = self.starttag(node, "span", "", CLASS="math notranslate")
    self.body.append(f"{tag}{mathml(node.astext(), 'inline')}</span>")
    raise nodes.SkipNode


def visit_math_block(self, node):
    tag = self.starttag(node, "div", CLASS="math notranslate")
    self.body.append(f"{tag}{mathml(node.astext(), 'block')}</div>\n")
    raise nodes.SkipNode


def write_font(app, exception):
    if exception or app.builder.format != "html":
        return
    logging.getLogger("fontTools.subset").setLevel(logging.WARNING)
    options = subset.Options(flavor="woff", layout_features=["ssty"])
    with files("ziamath.fonts").joinpath("STIXTwoMath-Regular.ttf").open("rb") as file:
        font = subset.load_font(file, options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=[c for a, b in CHARACTERS for c in range(a, b + 1)])
        subsetter.subset(font)
        subset.save_font(font, Path(app.outdir, "_static", FONT), options)


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("build-finished", write_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
