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
pygments_dark_style = "github-dark"
html_math_renderer = "mathml"
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"  # prompts and what code prints

autosummary_generate = True
# Pictures of the guide that the reference shows, too.
autosummary_context = {
    "pictures": {
        "plot_components": "pictures_components",
        "plot_convergence": "pictures_convergence",
        "plot_criterion": "pictures_criterion",
        "plot_density": "pictures_density",
        "plot_distances": "not_gaussian_distances",
        "plot_merging": "not_gaussian_merging",
        "plot_pairs": "pictures_pairs",
        "plot_uncertainty": "pictures_uncertainty",
    }
}
autodoc_typehints = "none"  # types are in the docstrings
python_maximum_signature_line_length = 79
toc_object_entries_show_parents = "hide"
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
