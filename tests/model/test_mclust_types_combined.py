"""mclust's ten further covariance types with the rest of the interface: fixed values, weights, files, checkpoints."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from fastgmm import GaussianMixture
from fastgmm._model.covariance import COVARIANCE_TYPES, SKLEARN_TYPES
from fastgmm.batches import from_array, from_npy

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OF_MCLUST = [name for name in COVARIANCE_TYPES if name not in SKLEARN_TYPES]
X = load_iris().data


def labels_of(X, n_components, random_state):
    """A start that is the same for rows in any order or batch."""
    return (X[:, 2] > 2.5).astype(int) + (X[:, 2] > 4.8)


def mixture(covariance_type, **parameters):
    own = {"covariance_type": covariance_type, "init_params": labels_of, "tol": 1e-9, "max_iter": 12}
    return GaussianMixture(3, **{**own, **parameters})


def assert_same(gmm, other, **tolerances):
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(gmm, name), getattr(other, name), err_msg=name, **tolerances)


@pytest.mark.parametrize("covariance_type", OF_MCLUST)
def test_fixed_values_stay_and_the_bound_rises(covariance_type):
    start = mixture(covariance_type, max_iter=0).fit(X)
    given = {"weights": start.weights_, "means": start.means_, "covariances": start.precisions_}
    inits = {"weights_init": given["weights"], "means_init": given["means"], "precisions_init": given["covariances"]}
    for fixed in (*given, ("means", "covariances")):
        gmm = mixture(covariance_type, fixed=fixed, reg_covar=0.0, **inits).fit(X)
        for name in (fixed,) if isinstance(fixed, str) else fixed:
            np.testing.assert_allclose(getattr(gmm, f"{name}_"), getattr(start, f"{name}_"), rtol=1e-10)
        assert np.diff(gmm.lower_bounds_).min() > -1e-12
        assert gmm.lower_bounds_[-1] > gmm.lower_bounds_[0]
        assert gmm._n_parameters() < start._n_parameters()


@pytest.mark.parametrize("covariance_type", OF_MCLUST)
def test_rows_in_batches_in_a_file_and_counted_by_weights(covariance_type, tmp_path):
    gmm = mixture(covariance_type).fit(X)
    np.save(tmp_path / "rows.npy", X)
    assert_same(mixture(covariance_type).fit(from_array(X, batch_rows=40)), gmm, rtol=1e-7, atol=1e-9)
    assert_same(mixture(covariance_type).fit(from_npy(tmp_path / "rows.npy")), gmm, rtol=1e-7, atol=1e-9)
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = mixture(covariance_type).fit(X, sample_weight=counts)
    assert_same(weighted, mixture(covariance_type).fit(np.repeat(X, counts, axis=0)), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("covariance_type", OF_MCLUST)
def test_a_fit_goes_on_from_its_checkpoint_and_a_model_from_its_pickle(covariance_type, tmp_path):
    batches, checkpoint = from_array(X, batch_rows=40), tmp_path / "fit.npz"
    whole = mixture(covariance_type).fit_batches(batches)

    def stop(progress):
        if progress.stage == "EM" and progress.event == "iteration" and progress.iteration == 5:
            raise StopIteration

    part = mixture(covariance_type).fit_batches(batches, checkpoint=checkpoint, callback=stop)
    assert (part.n_iter_, checkpoint.exists()) == (5, True)
    assert_same(mixture(covariance_type).fit_batches(batches, checkpoint=checkpoint), whole, rtol=1e-12, atol=1e-14)
    again = pickle.loads(pickle.dumps(part))
    np.testing.assert_array_equal(again.predict_proba(X), part.predict_proba(X))
    further = clone(again).set_params(warm_start=True, max_iter=7)
    vars(further).update({name: value for name, value in vars(again).items() if name.endswith("_")})
    assert_same(further.fit(X), whole, rtol=1e-4, atol=1e-6)
