"""Sphinx configuration: ``python -m sphinx -W docs docs/_build/html``."""

import sys
from pathlib import Path

import fastgmm

sys.path.append(str(Path(__file__).parent / "_extensions"))

project = "fastgmm"
author = "The fastgmm developers"
project_copyright = author
version = release = fastgmm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "matplotlib.sphinxext.plot_directive",
    "matplotlib.sphinxext.figmpl_directive",  # for plot_srcset
    "mathml",
    "outside",
    "reference",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
smartquotes = False  # quotes belong to code: 'tied' is typed so
default_role = "py:obj"  # docstrings name things in single backticks
# $...$ and $$...$$; <img> with a width
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3  # links may name a section, as on a forge

html_theme = "furo"
html_title = f"fastgmm {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"  # prompts and what code prints

autosummary_generate = True
autodoc_typehints = "none"  # types are in the docstrings
python_maximum_signature_line_length = 79
numpydoc_show_class_members = False  # the template of classes lists them

# Where there is no network, an inventory without entries takes the place of
# the others': their names are then no links.
intersphinx_mapping = {
    name: (url, (None, "no_network.inv"))
    for name, url in {
        "dask": "https://docs.dask.org/en/stable/",
        "distributed": "https://distributed.dask.org/en/stable/",
        "matplotlib": "https://matplotlib.org/stable/",
        "numpy": "https://numpy.org/doc/stable/",
        "pandas": "https://pandas.pydata.org/docs/",
        "python": "https://docs.python.org/3/",
        "scipy": "https://docs.scipy.org/doc/scipy/",
        "sklearn": "https://scikit-learn.org/stable/",
    }.items()
}
intersphinx_timeout = 10  # seconds

# Plots in docstrings: the code above its picture, complete as shown.
plot_pre_code = ""
plot_include_source = True
plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("png", 100)]
plot_srcset = ["2x"]
plot_rcparams = {"figure.figsize": (6.4, 4.0), "savefig.facecolor": "white"}
plot_apply_rcparams = True
