"""Fast Gaussian mixtures with the API of sklearn.mixture."""

from importlib.metadata import version as _version

from fastgmm._command_line.versions import show_versions
from fastgmm.bayesian import BayesianGaussianMixture
from fastgmm.mixture import GaussianMixture
from fastgmm.selection import GaussianMixtureIC

__version__ = _version("fastgmm")

__all__ = ["BayesianGaussianMixture", "GaussianMixture", "GaussianMixtureIC", "__version__", "show_versions"]
