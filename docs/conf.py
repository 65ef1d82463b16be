"""Sphinx configuration: ``python -m sphinx -W docs docs/_build/html``."""

import fastgmm

project = "fastgmm"
author = "The fastgmm developers"
project_copyright = author
version = release = fastgmm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "matplotlib.sphinxext.plot_directive",
    "matplotlib.sphinxext.figmpl_directive",  # for plot_srcset
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
smartquotes = False  # quotes belong to code: 'tied' is typed so
default_role = "py:obj"  # docstrings name things in single backticks
myst_enable_extensions = ["dollarmath", "html_image"]  # $...$ and $$...$$; <img> with a width
myst_heading_anchors = 2  # links between pages may name a section, as on GitHub

html_theme = "furo"
html_title = f"fastgmm {version}"
html_show_sourcelink = False

autosummary_generate = True
autodoc_typehints = "none"  # types are in the docstrings
numpydoc_show_class_members = False  # the template of classes lists them

# Plots in docstrings: the code above its picture, complete as shown.
plot_pre_code = ""
plot_include_source = True
plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("png", 100)]
plot_srcset = ["2x"]
plot_rcparams = {"figure.figsize": (6.4, 4.0), "savefig.facecolor": "white"}
plot_apply_rcparams = True
