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
from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC, StudentTMixture
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
        yield f"student_{kind}", StudentTMixture(**options).fit(X)
    yield "stream", GaussianMixture(n_components=2, random_state=0).partial_fit(X[:150]).partial_fit(X[150:])
    options = {"n_components": 2, "random_state": 0}
    holes = X.copy()
    holes[::7, 0] = np.nan
    yield "noise", GaussianMixture(**options, noise=True).fit(X)
    yield "missing", GaussianMixture(**options, missing="marginalize").fit(holes)
    yield "weak_prior", GaussianMixture(**options, covariance_type="VVE", prior="weak").fit(X)
    yield "student_common", StudentTMixture(**options, degrees_of_freedom="common").fit(X)
    options = {"n_components": [1, 2, 3], "random_state": 0}
    yield "search", GaussianMixtureIC(**options).fit(X)
    yield "search_distributions", GaussianMixtureIC(**options, distribution=["gaussian", "t"], criterion="icl").fit(X)
    yield "search_noise", GaussianMixtureIC(**options, covariance_type=["VVE", "full"], noise=True).fit(X)
    yield "search_missing", GaussianMixtureIC(**options, missing="marginalize").fit(holes)


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
