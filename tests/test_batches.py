"""Fits over batches: equal to fits of all rows at once, whatever the batches, and errors that say which batch."""

import gc
import math
import re
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from _shared.cases import TYPES
from _shared.kernels import watched_calls
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastgmm import BayesianGaussianMixture, GaussianMixture, batches
from fastgmm._em.checkpoint import Checkpoint
from fastgmm._input.blocks import block_slices
from fastgmm._rows.reading import read_ahead
from fastgmm._rows.survey import BatchSurvey
from fastgmm._utils.progress import SILENT

pd = pytest.importorskip("pandas")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = [GaussianMixture, BayesianGaussianMixture]


def rows_and_weights(dtype=np.float64):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(center, scale, (230, 3)) for center, scale in ((0, 1), (3, 0.7), (5, 2))])
    rng.shuffle(X)
    weights = rng.uniform(0, 3, len(X))
    weights[::7] = 0
    return X.astype(dtype), weights


def assert_same_fit(actual, expected, rtol):
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        values = getattr(expected, name)
        np.testing.assert_allclose(getattr(actual, name), values, rtol=rtol, atol=rtol * np.abs(values).max())
    np.testing.assert_allclose(actual.lower_bounds_, expected.lower_bounds_, rtol=rtol)
    assert actual.n_iter_ == expected.n_iter_
    assert actual.converged_ == expected.converged_


# Batches equal the whole ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_rows", [1, 37, 256, 5000])
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_batches_equal_the_whole(estimator, covariance_type, batch_rows, weighted):
    X, weights = rows_and_weights()
    weights = weights if weighted else None
    model = estimator(n_components=3, covariance_type=covariance_type, random_state=0, max_iter=4, tol=0.0)
    source = batches.from_array(X, weights, batch_rows=batch_rows)
    assert_same_fit(clone(model).fit_batches(source), model.fit(X, sample_weight=weights), rtol=1e-12)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_start(estimator, init_params):
    X, weights = rows_and_weights()
    model = estimator(n_components=3, init_params=init_params, n_init=2, random_state=1, max_iter=8, tol=0.0)
    source = batches.from_array(X, weights, batch_rows=100)
    assert_same_fit(clone(model).fit_batches(source), model.fit(X, sample_weight=weights), rtol=1e-12)


def test_float32():
    X, weights = rows_and_weights(np.float32)
    model = GaussianMixture(n_components=3, random_state=0, max_iter=5, tol=0.0)
    fitted = clone(model).fit_batches(batches.from_array(X, weights, batch_rows=100))
    assert fitted.means_.dtype == np.float32
    assert_same_fit(fitted, model.fit(X, sample_weight=weights), rtol=1e-5)


def test_uneven_and_empty_batches_and_weights_for_some():
    X, _ = rows_and_weights()
    parts = [X[:0], X[:1], (X[1:200], np.ones(199)), X[200:200], X[200:], (X[:3], np.zeros(3))]
    model = GaussianMixture(n_components=3, random_state=0, tol=1e-6)
    assert_same_fit(clone(model).fit_batches(parts), model.fit(X), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 2.0**60])
def test_units_of_the_weights_do_not_matter_without_priors(scale):
    X, weights = rows_and_weights()
    model = GaussianMixture(n_components=3, random_state=0, tol=1e-6)
    source = batches.from_array(X, scale * weights, batch_rows=99)
    assert_same_fit(clone(model).fit_batches(source), model.fit(X, sample_weight=weights), rtol=1e-10)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_weights_that_float32_cannot_hold_in_some_batches(estimator):
    """All batches have the same centers, though some are looked at in float64."""
    X, weights = rows_and_weights(np.float32)
    weights[:300:2] *= 1e-45
    fits = [
        estimator(n_components=3, random_state=0, tol=1e-4).fit_batches(
            batches.from_array(rows, weights, batch_rows=99)
        )
        for rows in (X, X.astype(np.float64))
    ]
    np.testing.assert_allclose(fits[0].means_, fits[1].means_, rtol=1e-3)


def test_weights_whose_sum_overflows():
    X, _ = rows_and_weights()
    weights = np.full(len(X), 2.4e287)
    with pytest.raises(ValueError, match=r"^The sum of sample_weight is too large, .*: divide all weights"):
        GaussianMixture().fit_batches(batches.from_array(X, weights, batch_rows=400))


def test_far_start_repeats_the_pass():
    X, _ = rows_and_weights()
    start = {"weights_init": [1.0], "means_init": np.full((1, 3), 1e6), "precisions_init": np.eye(3)[np.newaxis]}
    model = GaussianMixture(max_iter=1, **start)
    assert_same_fit(clone(model).fit_batches(batches.from_array(X, batch_rows=50)), model.fit(X), rtol=1e-12)


def test_warm_start_goes_on():
    X, _ = rows_and_weights()
    source = batches.from_array(X, batch_rows=100)
    model = GaussianMixture(n_components=3, random_state=0, max_iter=4, tol=0.0, warm_start=True)
    model.fit_batches(source).fit_batches(source)
    expected = GaussianMixture(n_components=3, random_state=0, max_iter=8, tol=0.0).fit(X)
    np.testing.assert_allclose(model.means_, expected.means_, rtol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_batches_share_a_workspace(estimator, kernel_calls):
    """No bit of the result depends on what is left in it."""
    X, weights = rows_and_weights(np.float32)
    model = estimator(n_components=3, random_state=0, max_iter=6, tol=0.0)
    source = batches.from_array(X, weights, batch_rows=100)
    clean = clone(model).fit_batches(source)
    passes = [call.arguments for call in kernel_calls if call.name == "em_pass"]
    assert len({arguments["workspace"].ctypes.data for arguments in passes}) < 6 < 42 <= len(passes)
    with watched_calls(lambda call: call.arguments["workspace"].fill(np.nan)):
        soiled = clone(model).fit_batches(source)
    np.testing.assert_array_equal(soiled.covariances_, clean.covariances_)
    assert soiled.lower_bounds_ == clean.lower_bounds_


def test_repeats_bitwise():
    X, weights = rows_and_weights()
    model = GaussianMixture(n_components=3, random_state=0, n_threads=2)
    source = batches.from_array(X, weights, batch_rows=100)
    fits = [clone(model).fit_batches(source, start_rows=150) for _ in range(2)]
    np.testing.assert_array_equal(fits[0].covariances_, fits[1].covariances_)


# The sample that the start is found on --------------------------------------------------------------------------------


def survey_of(X, size, seed=0, batch_rows=64):
    parts = [(X[i : i + batch_rows], None) for i in range(0, len(X), batch_rows)]
    return BatchSurvey(parts, size, np.random.RandomState(seed), SILENT)


def test_sample_is_all_rows_in_order_if_they_fit():
    X, _ = rows_and_weights()
    survey = survey_of(X, len(X))
    np.testing.assert_array_equal(survey.sample, X)
    assert survey.n_rows == len(X)


def test_sample_is_uniform():
    X = np.arange(400.0)[:, np.newaxis]
    counts = np.zeros(400)
    for seed in range(600):
        sample = survey_of(X, 40, seed).sample[:, 0].astype(int)
        assert len(set(sample)) == 40
        counts[sample] += 1
    # 600 draws with probability 1/10: 60 expected, standard deviation 7.3
    assert abs(counts.mean() - 60) < 1e-9
    assert abs(counts - 60).max() < 5 * 7.35
    assert abs(counts[:40].mean() - 60) < 5 * 7.35 / np.sqrt(40)


def test_sampled_start_leads_to_the_same_optimum():
    X, _ = rows_and_weights()
    model = GaussianMixture(n_components=3, random_state=0, tol=1e-10, max_iter=1000)
    sampled = clone(model).fit_batches(batches.from_array(X, batch_rows=100), start_rows=200)
    assert sampled.lower_bound_ == pytest.approx(model.fit(X).lower_bound_, rel=1e-6)


@pytest.mark.parametrize("start_rows", [0, 2, True, 10.0, None])
def test_bad_start_rows(start_rows):
    X, _ = rows_and_weights()
    with pytest.raises(ValueError, match="start_rows must be an int >= 2 and >= n_components=3"):
        GaussianMixture(n_components=3).fit_batches([X], start_rows=start_rows)


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda X: iter([X]), lambda X: (part for part in [X])])
def test_one_shot_iterators_are_refused(make):
    X, _ = rows_and_weights()
    with pytest.raises(TypeError, match="can be read only once: pass a list"):
        GaussianMixture().fit_batches(make(X))


@pytest.mark.parametrize("value", [3, None, {"a": np.zeros((4, 2))}, np.zeros((4, 2)), pd.DataFrame({"a": [1.0, 2.0]})])
def test_what_is_no_iterable_of_batches(value):
    with pytest.raises(TypeError, match=r"fastgmm\.batches\.from_array"):
        GaussianMixture().fit_batches(value)


@pytest.mark.parametrize("path", ["data.csv", Path("data.csv")])
def test_paths_need_a_reader(path):
    with pytest.raises(TypeError, match=r"got \w+: pass what from_parquet, from_csv or from_npy of fastgmm"):
        GaussianMixture().fit_batches(path)


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (
            np.full((4, 3), np.nan),
            ValueError,
            r"Batch 1: Input X contains NaN\. 12 values are NaN, the first in row 0 of the batch, column 0\. Drop",
        ),
        (np.full((4, 3), "1"), ValueError, r"Batch 1: Input X contains strings\. .* row 0 of the batch, column 0\."),
        (
            np.ma.masked_less(np.eye(3), 0.5),
            ValueError,
            r"Batch 1: .* 6 values are masked, the first in row 0 of",
        ),
        ((np.zeros((4, 3)), ["1"] * 4), ValueError, r"Batch 1: Input sample_weight contains .* entry 0 of the batch\."),
        (np.zeros((4, 2)), ValueError, "Batch 1: X has 2 features"),
        (np.zeros(4), ValueError, "Batch 1: Expected 2D array"),
        ([[0.0, 1.0, 2.0], [0.0]], ValueError, "Batch 1: "),
        ((np.zeros((4, 3)), np.ones(3)), ValueError, "Batch 1: sample_weight"),
        ((np.zeros((4, 3)), -np.ones(4)), ValueError, "Batch 1: Negative values"),
    ],
)
def test_bad_batch_is_named(batch, error, message):
    X, _ = rows_and_weights()
    with pytest.raises(error, match=message):
        GaussianMixture().fit_batches([X, batch])


@pytest.mark.parametrize("parts", [[], [np.zeros((0, 3))], [np.zeros((1, 3))]])
def test_too_few_rows(parts):
    with pytest.raises(ValueError, match=r"Found array with \d sample"):
        GaussianMixture().fit_batches(parts)


class Changing:
    """Fewer rows at every iteration."""

    def __init__(self, X):
        self.X = X

    def __iter__(self):
        self.X = self.X[:-1]
        return iter([self.X])


def test_batches_that_change_are_noticed():
    X, _ = rows_and_weights()
    with pytest.raises(ValueError, match="The batches held 689 rows at first and 688 now"):
        GaussianMixture(n_components=2, random_state=0).fit_batches(Changing(X))


class Failing:
    """Cannot be read after some batches of the third iteration."""

    def __init__(self, X):
        self.X = X
        self.n_passes = 0

    def __iter__(self):
        self.n_passes += 1
        for i in range(4):
            if self.n_passes == 3 and i == 2:
                raise OSError("the disk is gone")
            yield self.X[i * 100 : (i + 1) * 100]


def test_failing_reader_changes_nothing():
    X, _ = rows_and_weights()
    model = GaussianMixture(n_components=2, random_state=0, tol=0.0)
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit_batches(Failing(X))
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert not hasattr(model, "n_features_in_")
    model.fit(X[:, :2])
    before = {name: np.copy(value) for name, value in vars(model).items() if name.endswith("_")}
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit_batches(Failing(X))
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(model, name), value)


# Checkpoints ---------------------------------------------------------------------------------------------------------


class Interrupted:
    """Rows in batches; Ctrl-C comes in the middle of the n-th iteration."""

    def __init__(self, X, n):
        self.X = X
        self.n = n

    def __iter__(self):
        self.n -= 1
        yield self.X[:100]
        if self.n == 0:
            raise KeyboardInterrupt
        yield self.X[100:]


def counts_passes(passes):
    """A callback that appends to a list at the end of the first batch of each pass."""
    return lambda p: passes.append(p.stage) if p.event == "rows" and p.rows == p.new_rows else None


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("after", [3, 8, 14, 21])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_interrupted_fit_goes_on_to_the_same_result(estimator, after, covariance_type, tmp_path):
    """Three starts of seven iterations, interrupted in any of them; the second start is the best one's rival."""
    X, _ = rows_and_weights()
    path = tmp_path / "fit.npz"
    model = estimator(
        n_components=3, covariance_type=covariance_type, init_params="random_from_data", n_init=3, random_state=3,
        max_iter=7, tol=0.0,
    )  # fmt: skip
    walks = []
    whole = clone(model).fit_batches(Interrupted(X, math.inf), start_rows=400, callback=counts_passes(walks))
    resumed = clone(model)
    with pytest.raises(KeyboardInterrupt):
        resumed.fit_batches(Interrupted(X, after), start_rows=400, checkpoint=path)
    assert path.exists() or after == 3  # the first walks are the survey's and those of the default priors
    walks_left = []
    resumed.fit_batches(
        Interrupted(X, math.inf), start_rows=400, checkpoint=str(path), callback=counts_passes(walks_left)
    )
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name), err_msg=name)
    assert resumed.n_iter_ == 7
    assert len(walks_left) <= len(walks) - (after - 6)
    assert list(tmp_path.iterdir()) == []


def test_resuming_a_converged_run_needs_no_iteration(tmp_path, monkeypatch):
    """Interrupted after the last iteration and before the file was deleted."""
    X, _ = rows_and_weights()
    monkeypatch.setattr(Checkpoint, "delete", lambda self: None)
    model = GaussianMixture(n_components=3, random_state=0)
    fits = [clone(model).fit_batches([X], checkpoint=tmp_path / "fit.npz") for _ in range(2)]
    assert fits[0].n_iter_ == fits[1].n_iter_
    np.testing.assert_array_equal(fits[0].means_, fits[1].means_)
    more = clone(model).set_params(tol=0.0, max_iter=fits[0].n_iter_ + 2)
    assert more.fit_batches([X], checkpoint=tmp_path / "fit.npz").n_iter_ == fits[0].n_iter_ + 2


def test_checkpoint_of_another_covariance_type_is_refused_by_name(tmp_path):
    X, path = rows_and_weights()[0], tmp_path / "fit.npz"
    model = GaussianMixture(n_components=X.shape[1], covariance_type="tied", random_state=0, max_iter=5, tol=0.0)
    with pytest.raises(KeyboardInterrupt):
        model.fit_batches(Interrupted(X, 4), checkpoint=path)
    with pytest.raises(ValueError, match="has covariance_type='tied', and the estimator has covariance_type='diag'"):
        model.set_params(covariance_type="diag").fit_batches([X], checkpoint=path)


@pytest.mark.parametrize("change", ["n_components", "means_init", "a row"])
def test_checkpoint_of_another_fit_is_refused(change, tmp_path):
    X, _ = rows_and_weights()
    path = tmp_path / "fit.npz"
    model = GaussianMixture(n_components=3, random_state=0, max_iter=5, tol=0.0)
    with pytest.raises(KeyboardInterrupt):
        model.fit_batches(Interrupted(X, 4), checkpoint=path)
    if change == "n_components":
        model.set_params(n_components=2)
    elif change == "means_init":
        model.set_params(means_init=X[:3])
    else:
        X[50, 1] += 1e-3
    with pytest.raises(ValueError, match=r"fit\.npz' belongs to another fit.*delete the file"):
        model.fit_batches(Interrupted(X, math.inf), checkpoint=path)
    assert path.exists()


def edited(name, change):
    """An edit of the arrays in a checkpoint."""
    return lambda arrays: arrays.update({name: change(arrays[name])})


def with_nan(array):
    return np.where(np.arange(array.size).reshape(array.shape) == array.size - 1, np.nan, array)


EDITS = {
    "no means": lambda arrays: arrays.pop("now_p_means"),
    "a component less": edited("now_p_means", lambda means: means[:-1]),
    "all have a component less": lambda arrays: arrays.update(
        {name: array[:-1] for name, array in arrays.items() if name.startswith("now_p_")}
    ),
    "a feature less": edited("now_p_means", lambda means: means[:, 1:]),
    "float32": edited("now_p_covariances", np.float32),
    "integers": edited("now_p_weights", lambda weights: np.ones(len(weights), np.int64)),
    "text": edited("now_p_weights", lambda weights: weights.astype(str)),
    "NaN": edited("now_p_precisions_cholesky", with_nan),
    "infinity": edited("now_p_means", lambda means: means / 0.0),
    "a negative weight": edited("now_p_weights", np.negative),
    "factors of another type": edited("now_p_precisions_cholesky", lambda factors: factors[0]),
    "the best without factors": lambda arrays: arrays.pop("best_p_precisions_cholesky"),
    "the best is NaN": edited("best_p_means", with_nan),
    "the best without bounds": edited("best_lower_bounds", lambda bounds: bounds[:0]),
    "half of the best": lambda arrays: arrays.pop("best_converged"),
    "no bounds": edited("lower_bounds", lambda bounds: bounds[:0]),
    "bounds of NaN": edited("lower_bounds", with_nan),
    "bounds of two dimensions": edited("lower_bounds", lambda bounds: bounds[np.newaxis]),
    "another run": edited("run", lambda run: run + 5),
    "a run before the first": edited("run", lambda run: run - 5),
    "half a run": edited("run", lambda run: run + 0.5),
    "no generator": edited("random_state", lambda state: "{}"),
    "a generator without numbers": edited("random_state", lambda state: str(state).replace('"key"', '"keys"')),
    "a generator beyond its numbers": edited("random_state", lambda state: str(state).replace('"pos": ', '"pos": 9')),
    "steps of another length": edited("memory_steps", lambda steps: np.ones((2, 7))),
    "steps without drops": edited("memory_drops", lambda drops: drops[:0]),
    "another gradient": edited("memory_gradient", lambda gradient: gradient[1:]),
    "no memory": lambda arrays: [arrays.pop(name) for name in list(arrays) if name.startswith("memory_")],
    "nothing found": lambda arrays: [arrays.pop(name) for name in list(arrays) if name.startswith("found_")],
    "a point of NaN": edited("point_p_means", with_nan),
    "more than that": lambda arrays: arrays.update(notes=np.zeros(3)),
}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("edit", EDITS)
def test_edited_checkpoints_are_refused(edit, tmp_path):
    """Each by name; the estimator and what it draws from stay what they were."""
    X, _ = rows_and_weights()
    path = tmp_path / "fit.npz"
    generator = np.random.RandomState(0)
    model = GaussianMixture(
        n_components=3, n_init=2, max_iter=7, tol=0.0, random_state=generator, acceleration="lbfgs"
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        model.fit_batches(Interrupted(X, 14), start_rows=400, checkpoint=path)
    with np.load(path) as file:
        arrays = dict(file)
    EDITS[edit](arrays)
    np.savez(path, **arrays)
    before = generator.get_state(legacy=False)
    with pytest.raises(ValueError, match=r"fit\.npz' is another file, or damaged \(.+\): delete it or give another"):
        model.fit_batches(Interrupted(X, math.inf), start_rows=400, checkpoint=path)
    assert not hasattr(model, "means_")
    np.testing.assert_equal(generator.get_state(legacy=False), before)
    assert path.exists()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_checkpoints_that_are_cut_off_are_refused(estimator, tmp_path):
    """Wherever that is, before anything is read of the rows."""
    X, _ = rows_and_weights()
    path = tmp_path / "fit.npz"
    model = estimator(n_components=3, max_iter=7, tol=0.0, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit_batches(Interrupted(X, 8), checkpoint=path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"fit\.npz' is another file, or damaged"):
            model.fit_batches([None], checkpoint=path)
    for place in range(40, len(whole), 611):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            resumed = clone(model).fit_batches(Interrupted(X, math.inf), checkpoint=path)
        except ValueError as error:
            assert "fit.npz' is another file, or damaged" in str(error)  # noqa: PT017 - or none, where nothing is read
        else:
            assert np.isfinite(resumed.means_).all()


@pytest.mark.parametrize("given", [None, np.random.MT19937, np.random.PCG64])
def test_a_resumed_fit_does_not_rewind_the_global_generator(given, tmp_path):
    """The starts to come draw what they would have drawn. A generator that was given ends where it would have ended."""
    X, _ = rows_and_weights()
    path = tmp_path / "fit.npz"

    def model():
        random_state = None if given is None else np.random.RandomState(given(5))
        return GaussianMixture(
            n_components=3, n_init=3, max_iter=7, tol=0.0, init_params="random", random_state=random_state
        )

    def generator(model):
        return np.random.mtrand._rand if model.random_state is None else model.random_state

    np.random.seed(5)  # noqa: NPY002 - the global generator is what this is about
    whole, interrupted, resumed = model(), model(), model()
    whole.fit_batches(Interrupted(X, math.inf))
    end = generator(whole).get_state(legacy=False)
    np.random.seed(5)  # noqa: NPY002
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit_batches(Interrupted(X, 10), checkpoint=path)
    np.random.seed(6)  # noqa: NPY002
    before = np.random.mtrand._rand.get_state(legacy=False)
    resumed.fit_batches(Interrupted(X, math.inf), checkpoint=path)
    np.testing.assert_array_equal(resumed.means_, whole.means_)
    np.testing.assert_equal(generator(resumed).get_state(legacy=False), before if given is None else end)


@pytest.mark.parametrize("content", [b"", b"some notes", b"PK\x03\x04 cut off", None])
def test_file_that_is_no_checkpoint_is_left_alone(content, tmp_path):
    X, _ = rows_and_weights()
    path = tmp_path / "fit.npz"
    if content is None:
        np.savez(path, X=X)
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"fit\.npz' is another file, or damaged"):
        GaussianMixture(n_components=3).fit_batches([X], checkpoint=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (3, TypeError, "checkpoint must be the path of a file or None, got 3"),
        (".", IsADirectoryError, "is a folder"),
        ("there/is/none/fit.npz", FileNotFoundError, "is in a folder that does not exist"),
    ],
)
def test_checkpoint_that_cannot_be_written_is_refused_before_anything_is_read(name, error, message, tmp_path):
    path = tmp_path / name if isinstance(name, str) else name
    walk = Interrupted(rows_and_weights()[0], 1)
    with pytest.raises(error, match=message):
        GaussianMixture(n_components=3).fit_batches(walk, checkpoint=path)
    assert walk.n == 1


# Reading ahead and progress -------------------------------------------------------------------------------------------


class Slow:
    """Notes which thread fetches each item."""

    def __init__(self, n, seconds):
        self.n, self.seconds, self.threads = n, seconds, []

    def __iter__(self):
        for i in range(self.n):
            threading.Event().wait(self.seconds)
            self.threads.append(threading.get_ident())
            yield np.full((2, 1), i), np.full(2, i)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("seconds", [0.0, 0.005])
def test_read_ahead_gives_the_same_items(n, seconds):
    for part in (0, 1):
        assert [item[part].max() for item in read_ahead(Slow(n, seconds))] == list(range(n))


def test_slow_items_are_fetched_by_another_thread():
    slow = Slow(4, 0.01)
    list(read_ahead(slow))
    assert [thread == threading.get_ident() for thread in slow.threads] == [True, True, False, False]


def test_a_reader_may_fill_the_same_memory_again():
    class Refilling(Slow):
        def __iter__(self):
            rows = np.empty((2, 1))
            for i in range(self.n):
                threading.Event().wait(self.seconds)
                rows[:] = i
                yield rows, None

    seen = []
    for rows, _ in read_ahead(Refilling(6, 0.005)):
        threading.Event().wait(0.01)  # while the next one is fetched
        seen.append(rows[0, 0])
    assert seen == list(range(6))


def test_read_ahead_leaves_no_thread_behind():
    before = threading.active_count()
    items = read_ahead(Slow(10, 0.005))
    for _ in range(4):
        next(items)
    items.close()
    assert threading.active_count() == before


def test_a_callback_that_cannot_be_called_is_refused_before_anything_is_read():
    class Unread:
        def __iter__(self):
            raise AssertionError

    with pytest.raises(TypeError, match=r"^callback must be callable or None, got 3: "):
        GaussianMixture().fit_batches(Unread(), callback=3)


def test_callback_counts_rows():
    X, _ = rows_and_weights()
    seen = []
    model = GaussianMixture(n_components=2, random_state=0, max_iter=3, tol=0.0)
    model.fit_batches(batches.from_array(X, batch_rows=300), callback=seen.append)
    seen = [progress for progress in seen if progress.event == "rows"]
    assert [progress.new_rows for progress in seen] == [300, 300, 90] * 4
    assert [progress.rows for progress in seen] == [300, 600, 690] * 4
    assert [progress.stage for progress in seen] == ["reading"] * 3 + ["EM"] * 9
    assert [progress.n_rows for progress in seen] == [None] * 3 + [690] * 9
    assert all(progress.rows_per_second > 0 for progress in seen)


def test_verbose_says_how_fast_rows_go_by(capsys, a_line_for_each_batch):
    X, _ = rows_and_weights()
    source = batches.from_array(X, batch_rows=300)
    model = GaussianMixture(n_components=2, random_state=0, max_iter=2, tol=0.0, verbose=2)
    clone(model).fit_batches(source)
    lines = [line for line in capsys.readouterr().out.splitlines() if " rows/s, " in line]
    assert [line.split(", ")[:2] for line in lines] == [
        ["reading: 690 rows", lines[0].split(", ")[1]],
        ["EM: iteration 0 of at most 2", "690 rows"],
        ["EM: iteration 1 of at most 2", "690 rows"],
    ]
    with a_line_for_each_batch():
        clone(model).set_params(verbose=1).fit_batches(source)
    lines = [line.split(", ")[1] for line in capsys.readouterr().out.splitlines() if "EM: iteration 0" in line]
    assert lines[1:] == ["300 of 690 rows", "600 of 690 rows", "690 rows"]


def test_rows_that_lose_their_numbers_later_are_named():
    X, _ = rows_and_weights()

    class Decaying:
        passes = 0

        def __iter__(self):
            self.passes += 1
            later = X.copy()
            later[350, 1] = np.nan if self.passes > 2 else 0.0
            return iter(np.split(later, [300, 600]))

    with pytest.raises(ValueError, match=r"Rows 300 to 599 of the batches .* had no NaN or infinity at first, and"):
        GaussianMixture(n_components=2, random_state=0, tol=0.0).fit_batches(Decaying())


def test_memory_does_not_grow_with_the_number_of_rows():
    X, _ = rows_and_weights()

    class Repeated:
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            return (X.copy() for _ in range(self.n))

    def peak(n):
        model = GaussianMixture(n_components=3, random_state=0, max_iter=2, n_threads=1)
        gc.collect()
        tracemalloc.start()
        try:
            model.fit_batches(Repeated(n), start_rows=1000)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)
    assert peak(300) < peak(30) + 50_000  # 270 batches more are 4.5 MB


# Readers --------------------------------------------------------------------------------------------------------------


def concatenated(source):
    return np.vstack([np.asarray(part[0] if isinstance(part, tuple) else part) for part in source])


def test_from_array_reads_slices_only():
    class Sliceable:
        shape = (250, 3)

        def __getitem__(self, rows):
            assert isinstance(rows, slice)
            return rows_and_weights()[0][: self.shape[0]][rows]

    np.testing.assert_array_equal(
        concatenated(batches.from_array(Sliceable(), batch_rows=100)), rows_and_weights()[0][:250]
    )


def dask_array_of_unknown_length():
    array = pytest.importorskip("dask.array").from_array(np.ones((6, 2)), chunks=2)
    return array[array[:, 0] > 0]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: "a.npy",
            ValueError,
            r"X is a path, not data: read the file, or pass fastgmm.batches.from_npy('a.npy')",
        ),
        (
            lambda: Path("a.parquet"),
            TypeError,
            "X is a path, not data: read the file, or pass fastgmm.batches.from_parq",
        ),
        (lambda: None, ValueError, "Expected 2D array, got scalar array instead: X is None. "),
        (lambda: [[1.0, 2.0], [3.0, 4.0]], TypeError, "got list: pass numpy.asarray(X), or "),
        (lambda: {"a": np.ones(3)}, TypeError, "X must be an array or a frame, got dict: pass pandas.DataFrame(X)."),
        (lambda: np.ones(3), ValueError, "Expected 2D array, got 1D array instead: X has the shape (3,). "),
        (lambda: pd.Series(np.ones(3)), ValueError, "Expected 2D array, got 1D array instead: X has the shape (3,). "),
        (lambda: np.array(3.0), ValueError, "Expected 2D array, got scalar array instead: X has the shape (). "),
        (lambda: np.ones((3, 2, 2)), ValueError, "Found array with dim 3, while dim <= 2 is required: X has the shape"),
        (lambda: np.ones(3, [("a", float)]), TypeError, "X is a structured array. Pass numpy.lib.recfunctions.stru"),
        (lambda: scipy.sparse.eye_array(3), TypeError, "Sparse data was passed for X, but dense data is required. Use"),
        (
            lambda: pytest.importorskip("polars").LazyFrame({"a": [1.0]}),
            TypeError,
            "LazyFrame: call its collect method",
        ),
        (
            dask_array_of_unknown_length,
            TypeError,
            "of dask, with an unknown number of rows: fit the estimator of the sa",
        ),
    ],
)
def test_what_from_array_cannot_cut(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        batches.from_array(make())


@pytest.mark.parametrize("library", ["h5py", "zarr"])
def test_files_of_datasets(library, tmp_path):
    """A file or group has datasets by name, and advice names one of them that has rows of features."""
    module = pytest.importorskip(library)
    group = module.File(tmp_path / "rows.h5", "w") if library == "h5py" else module.group(str(tmp_path / "rows.zarr"))
    gmm = GaussianMixture().fit(np.eye(3))
    for use in (GaussianMixture().fit, gmm.predict, batches.from_array):
        with pytest.raises(TypeError, match="pass one of its arrays, which must have rows of features"):
            use(group)
    group.require_group("a group").require_group("of groups")
    group["rows"] = np.eye(3)
    for use in (GaussianMixture().fit, gmm.predict, batches.from_array):
        with pytest.raises(TypeError, match=r"^X must be an array or a frame, got .*: pass X\['rows'\]\.$"):
            use(group)


def test_from_npy(tmp_path):
    X, _ = rows_and_weights()
    np.save(tmp_path / "a.npy", X[:300])
    np.save(tmp_path / "b.npy", X[300:])
    for source in (tmp_path, [tmp_path / "a.npy", str(tmp_path / "b.npy")]):
        reader = batches.from_npy(source, batch_rows=128)
        np.testing.assert_array_equal(concatenated(reader), X)
        np.testing.assert_array_equal(concatenated(reader), X)  # and again
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"There is no \*\.npy"):
        batches.from_npy(empty)


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_from_tables(tmp_path, file_format):
    pytest.importorskip("pyarrow")
    X, weights = rows_and_weights()
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(w=weights, other=0.0)
    for i, part in enumerate((frame[:300], frame[300:])):
        path = tmp_path / f"{i}.{file_format}"
        part.to_parquet(path) if file_format == "parquet" else part.to_csv(path, index=False)
    read = {"parquet": batches.from_parquet, "csv": batches.from_csv}[file_format]
    reader = read(tmp_path, ["c", "a"], sample_weight="w", batch_rows=128)
    np.testing.assert_array_equal(concatenated(reader), X[:, [2, 0]])
    np.testing.assert_array_equal(np.concatenate([part[1] for part in reader]), weights)
    model = GaussianMixture(n_components=2, random_state=0, tol=1e-6)
    fitted = clone(model).fit_batches(reader)
    assert list(fitted.feature_names_in_) == ["c", "a"]
    assert_same_fit(fitted, model.fit(X[:, [2, 0]], sample_weight=weights), rtol=1e-12)
    assert list(next(iter(read(tmp_path))).columns) == ["a", "b", "c", "w", "other"]
    with pytest.raises(ValueError, match="There is no column 'd'; there are a, b, c, w, other"):
        read(tmp_path, ["a", "d"])


# Tables of a frame with an index, as pandas writes them, and the features that fit would see.
INDEXED = {
    "filtered": lambda frame: frame[frame.a > -1.0],
    "named": lambda frame: frame.set_index(pd.Index([f"r{i}" for i in range(len(frame))], name="id")),
    "numbers": lambda frame: frame.set_index(pd.Index(np.arange(len(frame)) ** 2, name="id")),
    "two": lambda frame: frame.set_index(["c", pd.Index([f"r{i}" for i in range(len(frame))])]),
    "times": lambda frame: frame.set_index(pd.date_range("2020", periods=len(frame), name="day")),
    "columns are numbers": lambda frame: frame[frame.a > -1.0].set_axis([0, 1, 7], axis=1),
}


@pytest.mark.parametrize("make", INDEXED.values(), ids=INDEXED)
def test_the_index_of_a_frame_is_no_feature(make, tmp_path):
    pytest.importorskip("pyarrow")
    X, _ = rows_and_weights()
    frame = make(pd.DataFrame(X, columns=["a", "b", "c"]))
    frame.to_parquet(tmp_path / "rows.parquet")
    model = GaussianMixture(n_components=2, random_state=0, tol=1e-6)
    fitted = clone(model).fit_batches(batches.from_parquet(tmp_path / "rows.parquet"))
    assert_same_fit(fitted, model.fit(frame), rtol=1e-12)
    assert list(getattr(fitted, "feature_names_in_", [])) == list(getattr(model, "feature_names_in_", []))
    np.testing.assert_array_equal(fitted.predict(frame), model.predict(frame))


def test_an_index_can_be_named_as_a_feature(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}).set_index("a")
    frame.to_parquet(tmp_path / "rows.parquet")
    np.testing.assert_array_equal(
        concatenated(batches.from_parquet(tmp_path / "rows.parquet", ["b", "a"])), [[3.0, 1.0], [4.0, 2.0]]
    )
    frame.reset_index().to_csv(tmp_path / "rows.csv")  # the index is a first column without a name
    assert list(next(iter(batches.from_csv(tmp_path / "rows.csv"))).columns) == ["a", "b"]
    np.testing.assert_array_equal(concatenated(batches.from_csv(tmp_path / "rows.csv", "")), [[0.0], [1.0]])


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_a_string_is_one_column(tmp_path, file_format):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0], "xy": [5.0, 6.0]})
    path = tmp_path / f"rows.{file_format}"
    frame.to_parquet(path) if file_format == "parquet" else frame.to_csv(path, index=False)
    read = {"parquet": batches.from_parquet, "csv": batches.from_csv}[file_format]
    np.testing.assert_array_equal(concatenated(read(path, "xy")), [[5.0], [6.0]])
    size = "2 rows; " if file_format == "parquet" else ""
    assert repr(read(path, "xy", "x")) == f"from_{file_format}: {str(path)!r}; {size}columns xy; weights x"


TABLE = pd.DataFrame(
    {
        "a": [0.5, 1.5, -0.5, 2.5],
        "n": pd.array([1, 2, None, 4], dtype="Int64"),
        "w": [1.0, 2.0, -1.0, 0.0],
        "text": ["u", "v", "u", "v"],
        "kind": pd.Categorical(["u", "v", "u", "v"]),
        "day": pd.date_range("2020", periods=4),
        "lists": [[1], [2], [3], [4]],
    }
)


@pytest.mark.parametrize(
    ("columns", "weight", "error", "message"),
    [
        ("n", None, ValueError, r"rows\.parquet': .*1 value is NaN, in row 2 of the file, column 'n'\."),
        (
            "a",
            "n",
            ValueError,
            r"rows\.parquet': .*Input sample_weight contains NaN\. .* in entry 2 of the file, column 'n'\.",
        ),
        (
            "a",
            "w",
            ValueError,
            r"rows\.parquet': .*Negative values .* the least is -1\.0, in entry 2 of the file, column 'w'\.",
        ),
        (["a", "text"], None, ValueError, r"Column 'text' .* strings .*, not numbers: .* columns=\['a', 'n', 'w'\]"),
        (["a", "kind"], None, ValueError, "Column 'kind' of .* holds categories"),
        (["a", "day"], None, ValueError, "Column 'day' of .* holds times"),
        (["a", "lists"], None, ValueError, "Column 'lists' of .* holds values"),
        ("a", "text", ValueError, "Column 'text' of .* holds strings"),
        (None, None, ValueError, "Column 'text' of .* holds strings"),
        (["a", "z"], None, ValueError, "There is no column 'z'; there are a, n, w"),
        (["a", "a"], None, ValueError, "columns holds 'a' twice"),
        ([], None, ValueError, "No column of .* is left as a feature"),
        (3, None, TypeError, "columns must be a name or a sequence of names, got 3"),
        ([["a"]], None, TypeError, "A column must be given by its name, got list"),
        ("a", np.ones(4), TypeError, "A column must be given by its name, got ndarray"),
    ],
)
def test_columns_that_cannot_be_fitted(columns, weight, error, message, tmp_path):
    pytest.importorskip("pyarrow")
    TABLE.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(error, match=message):
        GaussianMixture().fit_batches(batches.from_parquet(tmp_path / "rows.parquet", columns, weight, batch_rows=3))


@pytest.mark.parametrize("file_format", ["npy", "csv", "parquet"])
def test_a_missing_value_is_named_with_file_row_and_column(file_format, tmp_path):
    pytest.importorskip("pyarrow")
    X, _ = rows_and_weights()
    X[137, 1] = np.nan
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for i, part in enumerate((frame[:60], frame[60:])):
        path = tmp_path / f"{i}.{file_format}"
        if file_format == "npy":
            np.save(path, part.to_numpy())
        else:
            part.to_parquet(path) if file_format == "parquet" else part.to_csv(path, index=False)
    read = getattr(batches, f"from_{file_format}")
    column = 1 if file_format == "npy" else "'b'"
    message = rf"Batch 6, from row 75 of '.*1\.{file_format}': .* in row 77 of the file, column {column}\."
    with pytest.raises(ValueError, match=message):
        GaussianMixture().fit_batches(read(tmp_path, batch_rows=25))
    message = r"Batch 5, from row 125 of the array: .* in row 137 of the array, column 1\."
    with pytest.raises(ValueError, match=message):
        GaussianMixture().fit_batches(batches.from_array(X, batch_rows=25))


BAD_FILES = {
    "cut off.parquet": (lambda path, good: path.write_bytes(good[: len(good) // 2]), "cannot be read: Parquet magic"),
    "empty.parquet": (lambda path, good: path.write_bytes(b""), "cannot be read: Parquet file size is 0 bytes"),
    "text.parquet": (lambda path, good: path.write_text("a,b\n1,2\n" * 9), "cannot be read: Parquet magic bytes"),
    "empty.csv": (lambda path, good: path.write_bytes(b""), "cannot be read: CSV parse error: Empty CSV file"),
    "latin.csv": (lambda path, good: path.write_text("größe,b\n1,2\n", "latin1"), "Save it in UTF-8"),
    "ragged.csv": (lambda path, good: path.write_text("a,b\n1,2\n3\n"), "Row #3: Expected 2 columns, got 1"),
    "semicolons.csv": (lambda path, good: path.write_text("a;b\n1;2\n"), "There is no column 'a'; there are a;b in"),
    "late.csv": (
        lambda path, good: path.write_text("a,b\n" + "1,2\n" * 300_000 + "3,oops\n"),
        "could not convert string to float: 'oops', in row 300000, column 'b' of",
    ),
    "empty.npy": (lambda path, good: path.write_bytes(b""), "cannot be read as a .npy file of numbers: EOF"),
    "text.npy": (lambda path, good: path.write_text("1,2\n"), "the magic string is not correct|EOF"),
    "vector.npy": (lambda path, good: np.save(path, np.ones(5)), r"Expected 2D array, got 1D array .* shape \(5,\)"),
    "objects.npy": (lambda path, good: np.save(path, np.array([["a", 1]], object)), "Python objects in dtype"),
    "strings.npy": (lambda path, good: np.save(path, np.array([["a", "b"]] * 3)), "row 0 of the file, column 0"),
    "narrow.npy": (lambda path, good: np.save(path, np.ones((4, 1))), "Batch 1, .*: X has 1 features"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named(name, tmp_path):
    pytest.importorskip("pyarrow")
    make, message = BAD_FILES[name]
    good = tmp_path / f"good{Path(name).suffix}"
    frame = pd.DataFrame(rows_and_weights()[0][:40, :2], columns=["a", "b"])
    frame.to_parquet(tmp_path / "good.parquet")
    frame.to_csv(tmp_path / "good.csv", index=False)
    np.save(tmp_path / "good.npy", frame.to_numpy())
    make(tmp_path / name, (tmp_path / "good.parquet").read_bytes())
    read = getattr(batches, f"from_{Path(name).suffix[1:]}")
    with pytest.raises(ValueError, match=message) as caught:
        GaussianMixture().fit_batches(read([good, tmp_path / name]))
    assert name in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*none'"):
        read([good, tmp_path / "none"])


def test_files_with_other_columns(tmp_path):
    pytest.importorskip("pyarrow")
    X, _ = rows_and_weights()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    paths = [tmp_path / name for name in ("whole.parquet", "other order.parquet", "integers.parquet", "text.parquet")]
    frame.round().astype(int).to_parquet(paths[0])
    frame[["c", "a", "b"]].assign(more="x").to_parquet(paths[1])
    frame.astype(np.float32).to_parquet(paths[2])
    np.testing.assert_allclose(concatenated(batches.from_parquet(paths[:3])), [*X.round(), *X, *X.astype(np.float32)])
    frame.assign(b="x").to_parquet(paths[3])
    with pytest.raises(ValueError, match=r"Column 'b' of '.*text\.parquet' holds strings"):
        list(batches.from_parquet(paths))
    frame[["a", "c"]].to_parquet(paths[3])
    with pytest.raises(ValueError, match=r"no column 'b'; there are a, c in '.*text.* must have .* '.*whole\.parquet'"):
        list(batches.from_parquet(paths))


def test_integers_first_in_a_csv_file(tmp_path):
    """Arrow judges the types of columns by the first megabyte."""
    pytest.importorskip("pyarrow")
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "1,2\n" * 300_000 + "1.5,\n")
    assert concatenated(batches.from_csv(path, "a"))[-1] == 1.5
    path.write_text("a;b\n1;2\n")
    with pytest.raises(ValueError, match=r"Column 'a;b' of .* strings .* another separator than the comma"):
        batches.from_csv(path)
    path.write_text("a,b\n1,2\n2,3\n4,?\n")
    with pytest.raises(ValueError, match=r"Column 'b' of .* strings \(the first is '\?', in row 2\).* columns=\['a'\]"):
        batches.from_csv(path)
    path.write_text("a,b\n1,True\n2,False\n")
    np.testing.assert_array_equal(concatenated(batches.from_csv(path)), [[1.0, 1.0], [2.0, 0.0]])


def test_results_do_not_replace_the_data(tmp_path):
    pytest.importorskip("pyarrow")
    rows = np.random.default_rng(0).normal(size=(50, 2))
    np.save(tmp_path / "rows.npy", rows)
    pd.DataFrame(rows, columns=["a", "b"]).to_csv(tmp_path / "rows.csv", index=False)
    gmm = GaussianMixture(2, random_state=0).fit(rows)
    data = {
        "rows.npy": (np.load(tmp_path / "rows.npy", mmap_mode="r"), batches.from_npy(tmp_path)),
        "rows.csv": (batches.from_csv(tmp_path / "rows.csv"),),
    }
    for name, sources in data.items():
        before = (tmp_path / name).read_bytes()
        for X in sources:
            with pytest.raises(ValueError, match="is also an input, which it would replace: name another file"):
                gmm.predict(X, out=tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


def test_csv_files_without_names(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "rows.csv"
    for header in ("3.6,79", "5,4", "5,5.0"):
        path.write_text(f"{header}\n1.8,54\n")
        with pytest.raises(ValueError, match=r"^The first line of '.*rows\.csv' holds numbers \(\d.*list them in col"):
            batches.from_csv(path)
    np.testing.assert_array_equal(concatenated(batches.from_csv(path, ["5", "5.0"])), [[1.8, 54.0]])
    path.write_text("0,1\n1.8,54\n")  # as pandas numbers columns
    np.testing.assert_array_equal(concatenated(batches.from_csv(path)), [[1.8, 54.0]])


def test_pyarrow_objects_and_readers_where_rows_are_expected(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"a": [1.0, 2.0]}).to_parquet(path)
    opened = (pyarrow.dataset.dataset(path), pyarrow.parquet.ParquetFile(path))
    for found in opened:
        with pytest.raises(TypeError, match=f"got {type(found).__name__} of pyarrow: pass what .*from_parquet makes"):
            GaussianMixture().fit(found)
    with pytest.raises(TypeError, match=r"got TableReader, which yields batches: .* to plots pass a batch"):
        GaussianMixture().partial_fit(batches.from_parquet(path))


def test_folders_with_other_files(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    (tmp_path / "below").mkdir()
    (tmp_path / "_temporary").mkdir()
    for name in ("2.parquet", "below/1.pq", "_temporary/0.parquet"):
        frame.to_parquet(tmp_path / name)
    for name in ("README.md", "_SUCCESS", ".hidden.parquet"):
        (tmp_path / name).touch()
    reader = batches.from_parquet(tmp_path)
    assert concatenated(reader).shape == (4, 1)
    assert repr(reader).startswith("from_parquet: 2 files from '")
    with pytest.raises(ValueError, match=r"There is no \*\.csv in"):
        batches.from_csv(tmp_path)


@pytest.mark.parametrize("read", [batches.from_npy, batches.from_parquet, batches.from_csv])
@pytest.mark.parametrize(
    "paths",
    [3, None, [3], b"rows.npy", pd.DataFrame({"a": [1.0]}), {"a": [1.0]}, np.eye(2), batches.from_array(np.eye(2))],
)
def test_what_are_no_paths(read, paths):
    pytest.importorskip("pyarrow")
    with pytest.raises(TypeError, match="paths must be a path or a sequence of paths, got") as caught:
        read(paths)
    if not isinstance(paths, int | list | bytes | None):
        assert "what is in memory is passed to fit, and batches to fit_batches" in str(caught.value)


def test_datasets_of_pyarrow(tmp_path):
    dataset = pytest.importorskip("pyarrow.dataset")
    TABLE.to_parquet(tmp_path / "rows.parquet")
    source = dataset.dataset(tmp_path / "rows.parquet")
    np.testing.assert_array_equal(
        concatenated(batches.from_parquet(source.filter(dataset.field("a") > 1.0), ["w", "a"])),
        [[2.0, 1.5], [0.0, 2.5]],
    )
    with pytest.raises(ValueError, match=r"from row 0 of the dataset: .* in row 2 of the dataset, column 'n'"):
        GaussianMixture().fit_batches(batches.from_parquet(source, "n"))


def test_from_array_reads_whole_chunks():
    class Chunked:
        shape, chunks = (5 * 2**20, 4), (300_000, 4)

    slices = list(block_slices(Chunked()))
    assert slices[0] == slice(0, 900_000)  # of 2**20 rows that are 32 MiB
    assert slices[-1] == slice(4_500_000, 5 * 2**20)
    assert len(slices) == 6


@pytest.mark.parametrize("batch_rows", [0, -1, 2.5, "a", True])
def test_bad_batch_rows(batch_rows):
    with pytest.raises(ValueError, match="batch_rows must be an int >= 1"):
        batches.from_array(np.zeros((3, 2)), batch_rows=batch_rows)


def test_weights_of_another_length():
    with pytest.raises(ValueError, match="sample_weight has 2 entries for 3 rows"):
        batches.from_array(np.zeros((3, 2)), np.ones(2))
