"""Fast Gaussian mixtures with the API of sklearn.mixture."""

from fastgmm._command_line.versions import show_versions
from fastgmm._patch import patch_sklearn, unpatch_sklearn
from fastgmm._utils.version import __version__
from fastgmm.bayesian import BayesianGaussianMixture
from fastgmm.mixture import GaussianMixture
from fastgmm.selection import GaussianMixtureIC
from fastgmm.student import StudentTMixture

__all__ = [
    "BayesianGaussianMixture",
    "GaussianMixture",
    "GaussianMixtureIC",
    "StudentTMixture",
    "__version__",
    "patch_sklearn",
    "show_versions",
    "unpatch_sklearn",
]
