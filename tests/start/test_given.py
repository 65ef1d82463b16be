"""Starts that the user gives: labels, responsibilities, or a function that returns them."""

import numpy as np
import pytest
from _shared.cases import TYPES
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC

X, SPECIES = load_iris(return_X_y=True)
RESP = np.random.default_rng(0).dirichlet(np.ones(3), len(X))
both_estimators = pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])


def random_labels(rows, n_components, random_state):
    return random_state.randint(n_components, size=len(rows))


def assert_same(model, other, rtol=1e-12):
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(model, name), getattr(other, name), rtol=rtol, err_msg=name)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_start_is_scikit_learns_m_step(covariance_type, offset):
    theirs = SklearnGaussianMixture(3, covariance_type=covariance_type)
    theirs._initialize(X, RESP)
    ours = GaussianMixture(3, covariance_type=covariance_type, init_params=RESP, max_iter=0).fit(X + offset)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-12)
    np.testing.assert_allclose(ours.means_, theirs.means_ + offset, rtol=1e-12)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-9 if offset == 0.0 else 1e-6, atol=1e-9)


@both_estimators
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weights", [None, np.arange(150) % 4])
def test_labels_are_responsibilities_of_1(estimator, dtype, weights):
    """A function that returns them gets the rows of positive weight."""
    rows = X.astype(dtype)
    kept = slice(None) if weights is None else weights > 0
    start = {"n_components": 3, "max_iter": 0}
    by_labels = estimator(**start, init_params=SPECIES.tolist()).fit(rows, sample_weight=weights)
    by_resp = estimator(**start, init_params=np.eye(3)[SPECIES]).fit(rows, sample_weight=weights)

    def species_of(given, n_components, random_state):
        np.testing.assert_array_equal(given, rows[kept])
        return SPECIES[kept]

    by_function = estimator(**start, init_params=species_of).fit(rows, sample_weight=weights)
    assert by_labels.means_.dtype == dtype
    assert_same(by_resp, by_labels, 1e-10 if dtype == np.float64 else 1e-4)
    assert_same(by_function, by_labels)


def test_a_function_is_called_for_each_start():
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return random_labels(*arguments)

    model = GaussianMixture(3, init_params=counted, n_init=4, random_state=0).fit(X)
    assert len(calls) == 4
    assert (
        model.lower_bound_
        == GaussianMixture(3, init_params=random_labels, n_init=4, random_state=0).fit(X).lower_bound_
    )
    assert model.lower_bound_ > GaussianMixture(3, init_params=random_labels, random_state=0).fit(X).lower_bound_


def test_there_is_only_one_start_from_an_array():
    runs = []
    model = GaussianMixture(3, init_params=SPECIES, n_init=5)
    model.fit(X, callback=lambda progress: runs.append((progress.run, progress.n_runs)))
    assert set(runs) == {(1, 1)}
    assert_same(model, GaussianMixture(3, init_params=SPECIES).fit(X))


def test_an_array_is_a_parameter_like_others():
    model = GaussianMixture(3, init_params=SPECIES)
    assert clone(model).get_params()["init_params"] is not SPECIES
    assert_same(clone(model).fit(X), model.fit(X))
    assert "init_params=array" in repr(model)
    model.set_params(warm_start=True).fit(X[:100])  # the array does not fit these rows, but is not used
    assert model.set_params(init_params="kmeans", warm_start=False).fit(X).n_iter_ > 0


def test_the_first_batch_of_a_stream():
    stream = GaussianMixture(3, init_params=SPECIES).partial_fit(X)
    assert_same(stream, GaussianMixture(3, init_params=SPECIES).fit(X), 1e-9)
    stream.partial_fit(X[:20])


def test_rows_that_are_not_in_memory(tmp_path):
    """A function finds the start on the sample, and a fit goes on from its checkpoint with it."""
    batches = [X[:70], X[70:]]
    in_memory = GaussianMixture(3, init_params=random_labels, random_state=0).fit(X)
    model = GaussianMixture(3, init_params=lambda *arguments: random_labels(*arguments), random_state=0)
    assert_same(model.fit_batches(batches), in_memory, 1e-9)

    def stop(progress):
        if progress.stage == "EM" and progress.iteration == 2:
            raise StopIteration

    model.fit_batches(batches, checkpoint=tmp_path / "fit", callback=stop)
    assert_same(model.fit_batches(batches, checkpoint=tmp_path / "fit"), in_memory, 1e-9)
    with pytest.raises(ValueError, match=r"init_params is an array.* read in parts.*: pass a function"):
        GaussianMixture(3, init_params=SPECIES).fit_batches(batches)


def test_dask_takes_a_function():
    da = pytest.importorskip("dask.array")
    from fastgmm import dask

    rows = da.from_array(X, chunks=(50, 4))
    model = dask.GaussianMixture(3, init_params=random_labels, random_state=0).fit(rows)
    assert_same(model, GaussianMixture(3, init_params=random_labels, random_state=0).fit(X), 1e-9)
    with pytest.raises(ValueError, match=r"init_params is an array.* read in parts"):
        dask.GaussianMixture(3, init_params=SPECIES).fit(rows)


def test_the_search_takes_a_function():
    numbers = []

    def by_species(rows, n_components, random_state):
        numbers.append(n_components)
        return SPECIES % n_components

    search = GaussianMixtureIC([2, 3], covariance_type=["full", "diag"], init_params=by_species).fit(X)
    assert numbers == [2, 3]
    assert set(search.criterion_["start"]) <= {"by_species", "whitened", "merged", "full", "diag"}
    assert search.best_estimator_.init_params is by_species
    with pytest.raises(ValueError, match=r"init_params is an array.*several: pass a function"):
        GaussianMixtureIC([3], init_params=SPECIES).fit(X)


def test_components_without_rows():
    labels = np.minimum(SPECIES, 1)
    with pytest.raises(ValueError, match=r"^init_params gives no rows to component 2: use fewer components"):
        GaussianMixture(3, init_params=labels).fit(X)
    assert BayesianGaussianMixture(n_components=3, init_params=labels).fit(X).weights_[2] < 0.1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            SPECIES[1:],
            r"must be labels of shape \(150,\) or responsibilities of shape \(150, 3\), got the shape \(149,\)",
        ),
        (RESP[:, :2], r"got the shape \(150, 2\): pass one label"),
        (SPECIES + 1, r"must be from 0 to 2, got 3 for row 100: the largest label"),
        (SPECIES - 1, r"must be from 0 to 2, got -1 for row 0: .* equal responsibilities, or pass noise=True"),
        (SPECIES + 0.5, r"must be integers, got the dtype float64: pass np\.unique"),
        (load_iris().target_names[SPECIES], r"must be integers, got the dtype <U10: pass np\.unique"),
        (2 * RESP, r"sum to 1 in each row, got \[.*\] for row 0: divide each row by its sum"),
        (np.where(np.arange(150)[:, np.newaxis] == 7, np.nan, RESP), r"sum to 1 .* for row 7"),
        (np.c_[RESP[:, :1] - 2, RESP[:, 1:2] + 2, RESP[:, 2:]], "must be at least 0"),
        (RESP.astype(str), "must be numbers, got the dtype <U"),
        ([[0.5, 0.5, 0.0], [1.0]], "equally many numbers"),
    ],
)
def test_messages(values, message):
    with pytest.raises(ValueError, match=rf"\binit_params\b.*{message}"):
        GaussianMixture(3, init_params=values).fit(X)
    with pytest.raises(ValueError, match=rf"the result of init_params\b.*{message}"):
        GaussianMixture(3, init_params=lambda *_: values).fit(X)
