"""The examples in the estimators' docstrings print what they say. (Those of the plots: test_plotting.)"""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["mixture", "bayesian", "selection", "_estimator"])
def test_examples_run(module):
    results = doctest.testmod(import_module(f"fastgmm.{module}"))
    assert results.attempted
    assert not results.failed
