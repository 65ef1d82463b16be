"""Write what this release saves to tests/pickles, for later releases to load. Run it for each release.

    python tests/robustness/make_pickles.py

A folder per release holds pickles of fitted estimators, a checkpoint of a fit that was interrupted, and the numbers
that estimators and fit gave. Folders of earlier releases stay as they are.
"""

import pickle
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC
from fastgmm.datasets import load_old_faithful

FOLDER = Path(__file__).parents[1] / "pickles" / fastgmm.__version__
CHECKPOINTED = {"n_components": 3, "max_iter": 12, "tol": 0.0, "random_state": 0, "acceleration": "lbfgs", "n_init": 2}


def interrupt(progress):
    if (progress.stage, progress.event, progress.run, progress.iteration) == ("EM", "iteration", 2, 4):
        raise KeyboardInterrupt


def estimators(X):
    for kind in ("full", "tied", "diag", "spherical"):
        options = {"n_components": 3, "covariance_type": kind, "random_state": 0}
        yield f"mixture_{kind}", GaussianMixture(**options).fit(X)
        yield f"bayesian_{kind}", BayesianGaussianMixture(**options).fit(X)
    yield "stream", GaussianMixture(n_components=2, random_state=0).partial_fit(X[:150]).partial_fit(X[150:])
    yield "search", GaussianMixtureIC([1, 2, 3], random_state=0).fit(X)


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    FOLDER.mkdir(parents=True, exist_ok=True)
    X, numbers = load_old_faithful(), {}
    for name, estimator in estimators(X):
        (FOLDER / f"{name}.pickle").write_bytes(pickle.dumps(estimator, protocol=4))
        numbers[f"{name}_labels"] = estimator.predict(X)
        numbers[f"{name}_densities"] = estimator.score_samples(X)
    checkpoint = FOLDER / "checkpoint.npz"
    checkpoint.unlink(missing_ok=True)
    batches = [X[:100], X[100:]]
    try:
        GaussianMixture(**CHECKPOINTED).fit_batches(batches, checkpoint=checkpoint, callback=interrupt)
    except KeyboardInterrupt:
        assert checkpoint.exists()
    numbers["checkpoint_lower_bounds"] = GaussianMixture(**CHECKPOINTED).fit_batches(batches).lower_bounds_
    np.savez(FOLDER / "numbers.npz", **numbers)


if __name__ == "__main__":
    main()
