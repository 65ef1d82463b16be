"""A defect of this package must be seen: what is caught inside are its own errors, not each ValueError."""

import numpy as np
import pytest
from _shared.kernels import WatchedKernels

from fastgmm import GaussianMixture, GaussianMixtureIC, _kernels
from fastgmm._model.gaussian import MaximumLikelihood

rng = np.random.default_rng(0)
MANY_ROWS = rng.normal(size=(41_000, 2)) + rng.integers(0, 3, (41_000, 1))
MANY_PAIRS = rng.normal(size=(200_000, 5)) + 8 * rng.integers(0, 3, (200_000, 5))
FITS = {  # the kernel that breaks, at which call, and a fit that needs it
    "a trial of skipping": (
        ("count_pairs", 1),
        lambda: GaussianMixture(64, init_params="sample", max_iter=4, tol=0, random_state=0).fit(MANY_PAIRS),
    ),
    "a start from a sample": (
        ("kmeans_pass", 1),
        lambda: GaussianMixture(2, init_params="sample", random_state=0).fit(MANY_ROWS),
    ),
    "an accelerated pass": (  # the first are EM's own; the ninth is at an extrapolated point
        ("em_pass", 9),
        lambda: GaussianMixture(3, acceleration="lbfgs", tol=0, random_state=0).fit(MANY_ROWS[:500]),
    ),
    "a run of the search": (
        ("em_pass", 1),
        lambda: GaussianMixtureIC([2], random_state=0).fit(MANY_ROWS[:500]),
    ),
}


@pytest.mark.parametrize("where", FITS)
def test_a_defect_is_not_taken_for_bad_luck(where, monkeypatch):
    bad_call, fit = FITS[where]
    calls = []

    def defect(name, function, arguments):
        calls.append(name)
        if (name, calls.count(name)) == bad_call:
            raise ValueError("operands could not be broadcast together")
        return function(*arguments)

    monkeypatch.setattr(_kernels, "active", WatchedKernels(defect))
    with pytest.raises(ValueError, match=r"^operands"):
        fit()


def test_a_defect_at_an_extrapolated_point_is_not_taken_for_bad_luck(monkeypatch):
    def defect(*_):
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr(MaximumLikelihood, "assembled", defect)
    with pytest.raises(ValueError, match=r"^operands"):
        GaussianMixture(3, acceleration="lbfgs", tol=0, random_state=0).fit(MANY_ROWS[:500])
