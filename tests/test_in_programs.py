"""What programs rely on that embed the estimators: pickles, the patch of scikit-learn, ONNX, threads."""

import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from unittest.mock import patch

import numpy as np
import pytest
import sklearn.mixture
from _shared.cases import TYPES, both_estimators
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastgmm
from fastgmm import GaussianMixture, GaussianMixtureIC, patch_sklearn, unpatch_sklearn
from fastgmm._estimator import parameters
from fastgmm.datasets import load_old_faithful

X = load_old_faithful()
SKLEARNS = sklearn.mixture.GaussianMixture


@pytest.fixture
def patched():
    patch_sklearn()
    yield
    unpatch_sklearn()


@pytest.fixture
def library(monkeypatch):
    """A module that has imported scikit-learn's class before."""
    module = ModuleType("library")
    module.GMM = SKLEARNS
    monkeypatch.setitem(sys.modules, "library", module)
    return module


@pytest.mark.usefixtures("patched")
def test_patch_replaces_what_is_imported_before_and_after(library):
    from sklearn.mixture import BayesianGaussianMixture

    assert library.GMM is GaussianMixture
    assert BayesianGaussianMixture is fastgmm.BayesianGaussianMixture


def test_unpatch_restores_scikit_learns_classes_only(library):
    patch_sklearn()
    library.ours = GaussianMixture
    library.theirs = SKLEARNS
    patch_sklearn()
    library.theirs = derived = type("Derived", (GaussianMixture,), {})
    unpatch_sklearn()
    assert library.theirs is derived
    assert library.GMM is sklearn.mixture.GaussianMixture is SKLEARNS
    assert library.ours is GaussianMixture
    unpatch_sklearn()


@pytest.mark.usefixtures("patched")
def test_models_of_both_kinds_are_pickled_while_patched():
    gmm = GaussianMixture(2, random_state=0).fit(X)
    plain = gmm.to_sklearn()
    assert type(pickle.loads(pickle.dumps(plain))).__module__ == "sklearn.mixture._gaussian_mixture"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(gmm)).means_, GaussianMixture.from_sklearn(plain).means_)


def test_pickles_of_another_version_warn():
    search = GaussianMixtureIC([2], random_state=0).fit(X)
    with patch.object(parameters, "__version__", "0.0.1"):
        pickled = pickle.dumps(search)
    with pytest.warns(InconsistentVersionWarning) as warned:
        pickle.loads(pickled)
    assert [w.message.original_sklearn_version for w in warned] == ["0.0.1"] * 2  # the search and its best estimator
    assert "fastgmm.GaussianMixtureIC" in str(warned[-1].message)
    assert warned[-1].filename == __file__


def test_states_of_this_version_or_without_one_are_silent():
    gmm = GaussianMixture(2, random_state=0).fit(X)
    assert vars(copy.deepcopy(gmm)).keys() == vars(gmm).keys()
    other = GaussianMixture()
    other.__setstate__(vars(gmm))
    assert other.score(X) == gmm.score(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@both_estimators
@pytest.mark.parametrize("covariance_type", TYPES)
def test_skl2onnx_converts_a_pipeline(estimator, covariance_type):
    skl2onnx, onnxruntime = pytest.importorskip("skl2onnx"), pytest.importorskip("onnxruntime")
    mixture = estimator(n_components=3, covariance_type=covariance_type, max_iter=20, random_state=0)
    model = make_pipeline(StandardScaler(), mixture).fit(X)
    converted = skl2onnx.to_onnx(model, X[:1])
    labels, probabilities = onnxruntime.InferenceSession(converted.SerializeToString()).run(None, {"X": X})
    np.testing.assert_array_equal(labels.ravel(), model.predict(X))
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@both_estimators
def test_threads_may_share_a_fitted_model(estimator):
    mixture = estimator(n_components=3, random_state=0).fit(X)
    expected = mixture.predict_proba(X)
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(mixture.predict_proba, [X] * 64):
            np.testing.assert_array_equal(found, expected)
