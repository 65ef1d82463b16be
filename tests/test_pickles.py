"""Files of earlier releases, and of this one, are still read: robustness/make_pickles.py wrote them."""

import pickle
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import InconsistentVersionWarning

from fastgmm import GaussianMixture
from fastgmm.datasets import load_old_faithful

RELEASES = sorted(path.parent for path in Path(__file__).parent.glob("pickles/*/numbers.npz"))
PICKLES = [path for release in RELEASES for path in sorted(release.glob("*.pickle"))]
CHECKPOINTED = {"n_components": 3, "max_iter": 12, "tol": 0.0, "random_state": 0, "acceleration": "lbfgs", "n_init": 2}
X = load_old_faithful()


@pytest.mark.parametrize("path", PICKLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_estimators_predict_as_they_did(path):
    with np.load(path.parent / "numbers.npz") as numbers:
        labels, densities = (numbers[f"{path.stem}_{kind}"] for kind in ("labels", "densities"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        estimator = pickle.loads(path.read_bytes())
    np.testing.assert_array_equal(estimator.predict(X), labels)
    np.testing.assert_allclose(estimator.score_samples(X), densities, rtol=1e-9)
    assert estimator.summary()
    estimator.set_params(**estimator.get_params())
    if path.stem == "stream":
        assert estimator.partial_fit(X).n_samples_seen_ == 2 * len(X)  # the stream goes on


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_a_fit_goes_on_from_its_checkpoint(release, tmp_path):
    checkpoint = Path(shutil.copy(release / "checkpoint.npz", tmp_path))
    passes = []
    mixture = GaussianMixture(**CHECKPOINTED).fit_batches(
        [X[:100], X[100:]], checkpoint=checkpoint, callback=lambda p: passes.append((p.run, p.iteration))
    )
    assert (1, 1) not in passes, "the first run is in the file"
    with np.load(release / "numbers.npz") as numbers:
        np.testing.assert_allclose(mixture.lower_bounds_, numbers["checkpoint_lower_bounds"], rtol=1e-9)
    assert not checkpoint.exists()
