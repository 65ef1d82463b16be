"""scikit-learn's own tests of its mixtures, run on ours: they ship with scikit-learn, and the two classes are swapped.

A test that cannot hold is expected to fail, and is listed with the reason; one that would pass, or is not there any
more, must leave the list.
"""

import importlib
import importlib.util
from unittest.mock import patch

import numpy as np
import pytest
import sklearn.mixture
from sklearn.utils.fixes import parse_version

import fastgmm

# scikit-learn's suite makes errors of deprecations only.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CANNOT_HOLD = {
    "test_check_weights": "scikit-learn's message calls the least weight the maximum; ours does not",
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters[42]": "counts calls of a private function",
    "test_gaussian_mixture_setting_best_params": "without reg_covar, a component of one row has no variance",
}
if parse_version(sklearn.__version__) < parse_version("1.7"):
    CANNOT_HOLD["test_regularisation"] = "later versions word the message otherwise"

# By rounding, other than scikit-learn's: they want the digits of a mean in float32, which we sum in float64.
ONLY_IN_FLOAT64 = {"test_score"}

# Skipped there unless other libraries of arrays are installed and an environment variable is set.
OTHER_ARRAYS = {
    "test_gaussian_mixture_array_api_compliance",
    "test_gaussian_mixture_raises_where_array_api_not_implemented",
}


def suite_of(name):
    """A class of the tests in a module of scikit-learn's, which is loaded once more with our classes in its place."""
    path = f"sklearn.mixture.tests.{name}"
    importlib.import_module(path)  # with scikit-learn's classes, for what other modules import from it
    spec = importlib.util.find_spec(path)
    module = importlib.util.module_from_spec(spec)
    ours = {name: getattr(fastgmm, name) for name in ("GaussianMixture", "BayesianGaussianMixture")}
    with patch.multiple(sklearn.mixture, **ours):
        spec.loader.exec_module(module)
    tests = {name: value for name, value in vars(module).items() if name.startswith("test_")}
    return type(name, (), {name: staticmethod(test) for name, test in tests.items() if name not in OTHER_ARRAYS})


TestGaussianMixture = suite_of("test_gaussian_mixture")
TestBayesianMixture = suite_of("test_bayesian_mixture")
TestMixture = suite_of("test_mixture")


# The fixtures that these tests use.


@pytest.fixture(params=["float32", "float64"])
def global_dtype(request):
    if request.param == "float32" and request.function.__name__ in ONLY_IN_FLOAT64:
        pytest.skip("wants the digits of float32")
    return np.dtype(request.param).type


@pytest.fixture(params=[42])
def global_random_seed(request):
    return request.param


@pytest.fixture(autouse=True)
def _expect_failures_that_are_listed(request):
    reason = CANNOT_HOLD.get(request.node.name)
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"), reason="lacks some of the tests that are listed"
)
def test_the_lists_name_tests_that_are_there():
    there = set(vars(importlib.import_module("sklearn.mixture.tests.test_gaussian_mixture")))
    assert there >= OTHER_ARRAYS | ONLY_IN_FLOAT64
    assert {name.split("[")[0] for name in CANNOT_HOLD} <= there
