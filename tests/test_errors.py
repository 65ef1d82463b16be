"""A defect of this package must be seen: what is caught inside are its own errors, not each ValueError."""

import numpy as np
import pytest

from fastgmm import GaussianMixture, GaussianMixtureIC, selection
from fastgmm._model.gaussian import MaximumLikelihood
from fastgmm._skipping import screens as _skipping
from fastgmm._start import sample as _sample

rng = np.random.default_rng(0)
MANY_ROWS = rng.normal(size=(41_000, 2)) + rng.integers(0, 3, (41_000, 1))
MANY_PAIRS = rng.normal(size=(200_000, 5)) + 8 * rng.integers(0, 3, (200_000, 5))
FITS = {  # what breaks, and a fit that needs it
    "a trial of skipping": (
        (_skipping, "best_plan"),
        lambda: GaussianMixture(64, init_params="sample", max_iter=4, tol=0, random_state=0).fit(MANY_PAIRS),
    ),
    "a start from a sample": (
        (_sample, "_fitted"),
        lambda: GaussianMixture(2, init_params="sample", random_state=0).fit(MANY_ROWS),
    ),
    "an accelerated pass": (
        (MaximumLikelihood, "lower_bound"),
        lambda: GaussianMixture(3, acceleration="lbfgs", tol=0, random_state=0).fit(MANY_ROWS[:500]),
    ),
    "an extrapolated point": (
        (MaximumLikelihood, "assembled"),
        lambda: GaussianMixture(3, acceleration="lbfgs", tol=0, random_state=0).fit(MANY_ROWS[:500]),
    ),
    "a run of the search": (
        (selection, "run_em"),
        lambda: GaussianMixtureIC([2], random_state=0).fit(MANY_ROWS[:500]),
    ),
}


@pytest.mark.parametrize("where", FITS)
def test_a_defect_is_not_taken_for_bad_luck(where, monkeypatch):
    (owner, name), fit = FITS[where]
    whole, calls = getattr(owner, name), []
    bad_call = 9 if name == "lower_bound" else 1  # the first passes are EM's own; the ninth is at an extrapolated point

    def defect(*args, **kwargs):
        calls.append(args)
        if len(calls) == bad_call:
            raise ValueError("operands could not be broadcast together")
        return whole(*args, **kwargs)

    monkeypatch.setattr(owner, name, defect)
    with pytest.raises(ValueError, match=r"^operands"):
        fit()
