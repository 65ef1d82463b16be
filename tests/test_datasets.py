import sys

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from fastgmm.datasets import load_old_faithful, load_sample_patches, load_sample_pixels


def test_old_faithful_is_the_published_data():
    X = load_old_faithful()
    assert X.shape == (272, 2)
    assert X.dtype == np.float64
    assert X[0].tolist() == [3.6, 79.0]
    assert X[-1].tolist() == [4.467, 74.0]
    np.testing.assert_allclose(X.mean(axis=0), [3.487783, 70.897059], atol=5e-7)


def test_old_faithful_has_the_published_optimum():
    X = load_old_faithful()
    model = GaussianMixture(2, reg_covar=0, tol=1e-12, max_iter=5000, random_state=0).fit(X)
    assert len(X) * model.score(X) == pytest.approx(-1130.263960, abs=1e-6)


def test_sample_pixels():
    pytest.importorskip("PIL")
    X = load_sample_pixels()
    assert X.shape == (546_560, 3)
    assert X.flags.c_contiguous
    assert X.min() >= 0
    assert X.max() == 1


def test_sample_patches():
    pytest.importorskip("PIL")
    X = load_sample_patches()
    assert X.shape == (531_720, 64)
    assert X.flags.c_contiguous
    assert X.min() >= 0
    assert X.max() == pytest.approx(1)
    # The patch one column to the right shares seven of its eight columns, and comes next.
    np.testing.assert_array_equal(X[0].reshape(8, 8)[:, 1:], X[1].reshape(8, 8)[:, :-1])


@pytest.mark.parametrize("load", [load_sample_pixels, load_sample_patches])
def test_without_pillow_the_remedy_is_named(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="python -m pip install pillow"):
        load()
