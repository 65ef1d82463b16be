"""Warnings point at the line of the user, and what a fit has to say it says once."""

from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

import fastgmm

DUPLICATES = np.repeat([[0.0, 0.0], [5.0, 1.0], [2.0, 7.0]], 20, axis=0)
PARAMETERS = {"random_state": 0, "max_iter": 0}

# What makes a start, however many warnings lie between it and the user.
FITS = {
    **{
        f"{name}.{method}": (lambda X, name=name, method=method: getattr(make(fastgmm, name), method)(X))
        for name in ("GaussianMixture", "BayesianGaussianMixture")
        for method in ("fit", "fit_predict", "partial_fit")
    },
    "fit_batches": lambda X: make(fastgmm, "GaussianMixture").fit_batches([X[:25], X[25:]]),
    "GaussianMixtureIC.fit": lambda X: search().fit(X),
    "GaussianMixtureIC.fit_predict": lambda X: search().fit_predict(X),
}
if find_spec("dask"):
    import dask.array as da

    import fastgmm.dask

    FITS["dask"] = lambda X: make(fastgmm.dask, "GaussianMixture").fit(da.from_array(X, chunks=(30, -1)))


def make(module, name):
    return getattr(module, name)(n_components=5, n_init=3, **PARAMETERS)


def search():
    return fastgmm.GaussianMixtureIC((1, 4, 5), covariance_type=["full", "diag"], n_init=3, **PARAMETERS)


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_duplicate_rows_are_warned_of_once_in_scikit_learns_words(fit):
    with pytest.warns(ConvergenceWarning) as theirs:
        KMeans(4 if "search" in fit.__code__.co_names else 5, n_init=1, random_state=0).fit(DUPLICATES)
    with pytest.warns(ConvergenceWarning) as ours:
        fit(DUPLICATES)
    (warning,) = (found for found in ours if "distinct clusters" in str(found.message))
    assert str(warning.message).startswith(str(theirs[0].message))
    assert warning.filename == __file__


def test_the_next_fit_warns_again():
    for _ in range(2):
        with pytest.warns(ConvergenceWarning, match="distinct clusters"):
            FITS["GaussianMixture.fit"](DUPLICATES)
