"""Fits to dask collections: equal to fits in memory, whatever the chunks and the scheduler, and whoever dies."""

import doctest
import os
import pickle
import re
import signal
import threading
import time

import numpy as np
import pytest
import sklearn
from _shared.cases import TYPES
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")

import fastgmm  # noqa: E402
import fastgmm.dask  # noqa: E402
from fastgmm._input import chunks as _input_chunks  # noqa: E402
from fastgmm._model.statistics import SufficientStatistics  # noqa: E402
from fastgmm._rows import chunks as _dask  # noqa: E402
from fastgmm._rows import engine as _engine  # noqa: E402
from fastgmm._rows.chunk_passes import DaskPasses  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = ["GaussianMixture", "BayesianGaussianMixture"]
SIZES = (300, 1, 200, 0, 189)  # of chunks: uneven, one of a single row, one empty


def rows_and_weights(dtype=np.float64):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(center, scale, (230, 3)) for center, scale in ((0, 1), (3, 0.7), (5, 2))])
    rng.shuffle(X)
    weights = rng.uniform(0, 3, len(X))
    weights[::7] = 0
    weights[300] = 1  # the chunk of a single row
    return X.astype(dtype), weights


def in_chunks(X, sizes=SIZES):
    return da.from_array(X, chunks=(sizes, (3,)))


def of_unknown_sizes(rows):
    return rows[rows[:, 0] > -np.inf]


def in_frame(X, names=("a", "b", "c"), npartitions=4):
    return dd.from_pandas(pd.DataFrame(X, columns=list(names)), npartitions=npartitions)


def assert_same_fit(actual, expected, rtol=1e-10):
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        values = getattr(expected, name)
        assert getattr(actual, name).dtype == values.dtype
        np.testing.assert_allclose(getattr(actual, name), values, rtol=rtol, atol=rtol * np.abs(values).max())
    np.testing.assert_allclose(actual.lower_bounds_, expected.lower_bounds_, rtol=rtol)
    assert actual.n_iter_ == expected.n_iter_
    assert actual.converged_ == expected.converged_
    np.testing.assert_allclose(actual.n_samples_seen_, expected.n_samples_seen_, rtol=1e-12)


def in_both(name, **parameters):
    """An estimator on collections, and the one in memory with the same parameters."""
    parameters = {"n_components": 3, "random_state": 0, "max_iter": 8, "tol": 0.0, **parameters}
    on_dask = getattr(fastgmm.dask, name)(**parameters)
    local = {key: value for key, value in parameters.items() if key not in ("client", "persist")}
    return on_dask, getattr(fastgmm, name)(**local)


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield client


# Chunks equal the whole ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_chunks_equal_the_whole(name, covariance_type, known, weighted):
    X, weights = rows_and_weights()
    rows, chunked_weights = in_chunks(X), da.from_array(weights, chunks=(SIZES,))
    if not known:
        rows, chunked_weights = of_unknown_sizes(rows), chunked_weights[chunked_weights >= 0]
    actual, expected = in_both(name, covariance_type=covariance_type)
    actual.fit(rows, sample_weight=chunked_weights if weighted else None)
    assert_same_fit(actual, expected.fit(X, sample_weight=weights if weighted else None))


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_float32(name, covariance_type):
    X, weights = rows_and_weights(np.float32)
    actual, expected = in_both(name, covariance_type=covariance_type)
    actual.fit(in_chunks(X), sample_weight=da.from_array(weights, chunks=(SIZES,)))
    assert_same_fit(actual, expected.fit(X, sample_weight=weights), rtol=1e-5)  # parameters are rounded to float32


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_on_a_cluster(client, name, covariance_type):
    X, weights = rows_and_weights()
    actual, expected = in_both(name, covariance_type=covariance_type, client=client, max_iter=3)
    actual.fit(in_chunks(X), sample_weight=da.from_array(weights, chunks=(SIZES,)))
    assert_same_fit(actual, expected.fit(X, sample_weight=weights))


def test_threads_of_a_cluster_without_a_chunk_are_reported(client, monkeypatch):
    X, _ = rows_and_weights()
    gmm = fastgmm.dask.GaussianMixture(2, random_state=0, client=client)
    gmm.fit(da.from_array(X, chunks=-1))  # small chunks are no loss
    monkeypatch.setattr(_input_chunks, "_LARGE_CHUNK", 1000)
    gmm.fit(da.from_array(X, chunks=(345, -1)))
    with pytest.warns(UserWarning, match=r"^X has 1 chunk of some 0 MiB, and 1 thread of .* split_row_groups=True"):
        gmm.fit(da.from_array(X, chunks=-1))


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start(init_params):
    X, weights = rows_and_weights()
    actual, expected = in_both("GaussianMixture", init_params=init_params, n_init=2)
    assert_same_fit(actual.fit(in_chunks(X), sample_weight=weights), expected.fit(X, sample_weight=weights))


@pytest.mark.parametrize("scale", [1e35, 1e-44])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_weights_beyond_float32(name, scale):
    X, weights = rows_and_weights(np.float32)
    weights *= scale
    weights[:300:2] *= 1e-30
    prior = {"covariance_prior": np.eye(3)} if name == "BayesianGaussianMixture" else {}
    narrow, wide = in_both(name, max_iter=100, tol=1e-4, **prior)
    narrow.fit(in_chunks(X), sample_weight=weights)
    wide.fit(X.astype(np.float64), sample_weight=weights)
    np.testing.assert_allclose(narrow.means_, wide.means_, rtol=1e-3, atol=1e-3)
    scores = narrow.score(in_chunks(X), sample_weight=weights), wide.score(X, sample_weight=weights)
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)


@pytest.mark.parametrize("dtype", [np.int64, np.float16, object])
def test_other_dtypes_are_fitted_in_float64(dtype):
    X = rows_and_weights()[0].round().astype(dtype)
    actual, expected = in_both("GaussianMixture")
    assert_same_fit(actual.fit(in_chunks(X)), expected.fit(X.astype(np.float64)))


def test_far_start_repeats_the_pass():
    X, _ = rows_and_weights()
    start = {"weights_init": [1.0], "means_init": np.full((1, 3), 1e6), "precisions_init": np.eye(3)[np.newaxis]}
    actual, expected = in_both("GaussianMixture", n_components=1, max_iter=1, **start)
    assert_same_fit(actual.fit(in_chunks(X)), expected.fit(X))


def test_warm_start_goes_on():
    X, _ = rows_and_weights()
    actual, _ = in_both("GaussianMixture", max_iter=4, warm_start=True)
    _, expected = in_both("GaussianMixture", max_iter=8)
    np.testing.assert_allclose(actual.fit(in_chunks(X)).fit(in_chunks(X)).means_, expected.fit(X).means_, rtol=1e-10)


def test_weights_are_cut_as_the_rows_are():
    X, weights = rows_and_weights()
    actual, expected = in_both("GaussianMixture")
    actual.fit(in_chunks(X), sample_weight=da.from_array(weights, chunks=100))
    assert_same_fit(actual, expected.fit(X, sample_weight=weights))


def test_frames_name_their_features():
    X, weights = rows_and_weights()
    frame = in_frame(np.column_stack([X, weights]), ["a", "b", "c", "w"])
    actual, expected = in_both("GaussianMixture")
    actual.fit(frame[["a", "b", "c"]], sample_weight=frame["w"])
    assert_same_fit(actual, expected.fit(X, sample_weight=weights))
    assert list(actual.feature_names_in_) == ["a", "b", "c"]
    assert actual.n_features_in_ == 3
    with pytest.raises(ValueError, match="feature names should match"):
        actual.predict(frame[["a", "b", "w"]])


def test_chunks_of_columns_are_joined():
    X, _ = rows_and_weights()
    actual, expected = in_both("GaussianMixture")
    with pytest.warns(UserWarning, match=r"2 chunks of columns.*rechunk\(\{1: -1\}\)"):
        actual.fit(da.from_array(X, chunks=(300, 2)))
    assert_same_fit(actual, expected.fit(X))


def test_repeats_bitwise_held_in_memory_or_not(client):
    X, weights = rows_and_weights()
    rows = da.from_array(X, chunks=(23, -1))  # 30 chunks: a tree of two levels
    fits = [
        fastgmm.dask.GaussianMixture(3, random_state=0, max_iter=4, tol=0, **parameters).fit(rows, None, weights)
        for parameters in ({"persist": True}, {"persist": False}, {"persist": True, "client": client})
    ]
    assert [fit.persisted_ for fit in fits] == [True, False, True]
    np.testing.assert_array_equal(fits[0].covariances_, fits[1].covariances_)
    np.testing.assert_array_equal(fits[0].covariances_, fits[2].covariances_)


@pytest.mark.parametrize("shape", [(4, 3, 3), (1, 3, 3), (4, 3)])
def test_statistics_as_one_array(shape):
    rng = np.random.default_rng(0)
    centers, scatter = rng.normal(size=(4, 3)), rng.normal(size=shape)
    scatter = scatter + scatter.swapaxes(1, 2) if len(shape) == 3 else scatter
    statistics = SufficientStatistics(centers, rng.normal(size=4), rng.normal(size=(4, 3)), scatter, 1.5, 2.5, 3.5, 4.5)
    vector = statistics.to_vector()
    assert vector.shape == (4 + 12 + (6 * shape[0] if len(shape) == 3 else 12) + 4,)
    again = SufficientStatistics.from_vector(vector, centers, shape)
    for name in ("centers", "nk", "sum_x", "scatter", "log_likelihood", "entropy", "total_weight", "noise"):
        np.testing.assert_array_equal(getattr(again, name), getattr(statistics, name))


def test_adding_up_leaves_the_parts_alone():
    parts = [np.ones(3), np.full(3, 2.0)]
    np.testing.assert_array_equal(_dask._added(parts), np.full(3, 3.0))
    np.testing.assert_array_equal(parts[0], np.ones(3))  # a task that is run again must find what it found


# Workers and memory --------------------------------------------------------------------------------------------------


def test_a_killed_worker_changes_nothing(tmp_path):
    distributed = pytest.importorskip("distributed")
    X, _ = rows_and_weights()
    rows = da.from_array(X, chunks=(120, -1))
    checkpoint = tmp_path / "fit.npz"
    model, _ = in_both("GaussianMixture", max_iter=12, persist=True)
    expected = clone(model).fit(rows)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": "CRITICAL"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        pids = list(client.run(os.getpid).values())
        model.set_params(client=client)
        fit = threading.Thread(target=model.fit, args=(rows,), kwargs={"checkpoint": checkpoint}, daemon=True)
        fit.start()
        while not checkpoint.exists():  # written after the first iteration
            time.sleep(0.001)
            assert fit.is_alive()
        os.kill(pids[0], signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        assert fit.is_alive()
        fit.join(timeout=100)
        assert not fit.is_alive()
    assert model.n_iter_ == 12
    np.testing.assert_array_equal(model.covariances_, expected.covariances_)
    assert model.lower_bounds_ == expected.lower_bounds_


@pytest.mark.parametrize(("share", "persisted"), [(0.49, False), (0.51, True)])
@pytest.mark.parametrize("known", [True, False])
def test_held_in_memory_if_half_of_it_suffices(memory_of_the_machine, known, share, persisted):
    X, _ = rows_and_weights()
    rows = in_chunks(X) if known else of_unknown_sizes(in_chunks(X))
    model, _ = in_both("GaussianMixture", max_iter=1)
    with memory_of_the_machine(4 * share * X.nbytes):
        assert model.fit(rows).persisted_ is persisted


def test_memory_and_threads_of_a_cluster(client):
    engine = _engine.Engine(client)
    limits = [worker["memory_limit"] for worker in client.scheduler_info()["workers"].values()]
    assert engine.memory() == sum(limits) > 0
    assert engine.worker_threads() == [1, 1]


def test_memory_of_a_machine():
    assert _engine.machine_memory() > 2**27


V1 = "12:cpu,cpuacct:/\n4:memory:/slurm/uid_0/job_1/step_0\n1:name=systemd:/a\n"
V2 = "0::/user.slice/user-0.slice/a:b.scope\n"
STEP = "memory/slurm/uid_0/job_1/step_0/memory.limit_in_bytes"


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        (V2, {"memory.max": "1000000\n"}, 1000000),
        ("0::/\n", {"memory.max": "1000000\n"}, 1000000),
        (V2, {"user.slice/user-0.slice/a:b.scope/memory.max": "max\n", "user.slice/memory.max": "700000\n"}, 700000),
        (V2, {"user.slice/memory.max": "800000\n", "user.slice/user-0.slice/memory.max": "900000\n"}, 800000),
        (V1, {"memory/slurm/uid_0/job_1/memory.limit_in_bytes": "600000\n"}, 600000),
        (V1, {STEP: "9223372036854771712\n", "memory/slurm/memory.limit_in_bytes": "500000\n"}, 500000),
        (V1, {"memory/memory.limit_in_bytes": "600000\n"}, 600000),  # a container's own part of the tree
        (V1 + V2, {"memory/slurm/memory.limit_in_bytes": "600000\n", "user.slice/memory.max": "500000\n"}, 500000),
        (V1, {"memory/slurm/memory.limit_in_bytes": ""}, None),
        (V2, {"memory.max": "", "user.slice/memory.max": "max\n", "user.slice/user-0.slice/memory.max": "\n"}, None),
        (V2, {"another.slice/memory.max": "100000\n"}, None),
        ("", {"memory.max": "100000\n"}, None),
        (None, {}, None),
    ],
)
@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="the system does not say how much memory it has")
def test_memory_of_control_groups(groups, limits, expected, tmp_path):
    """The least of all limits around this process."""
    files = {f"sys/fs/cgroup/{name}": text for name, text in limits.items()}
    if groups is not None:
        files["proc/self/cgroup"] = groups
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    unlimited = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert _engine.machine_memory(tmp_path) == (unlimited if expected is None else expected)


def test_nothing_is_left_behind(client):
    X, _ = rows_and_weights()
    rows = in_chunks(X)
    keys = set(rows.__dask_graph__())
    model, _ = in_both("GaussianMixture", client=client, persist=True, max_iter=2)
    model.fit(rows)
    assert set(rows.__dask_graph__()) == keys
    deadline = time.monotonic() + 30
    while client.futures and time.monotonic() < deadline:  # they are released by another thread
        time.sleep(0.01)
    assert not client.futures


@pytest.mark.parametrize(
    ("workers", "n_tasks", "n_threads"),
    [([1, 1], 10, 1), ([1, 1], 1, 1), ([4, 4], 2, 4), ([4, 4], 1, 4), ([4, 4], 3, 2), ([2, 8], 1, 2), ([16], 5, 3)],
)
def test_threads_of_a_task(workers, n_tasks, n_threads):
    class Fake(_engine.Engine):
        def __init__(self):
            self._client = "some cluster"

        def worker_threads(self):
            return workers

    assert Fake().n_threads_of_task(n_tasks) == n_threads


@pytest.mark.parametrize(("given", "printed"), [(None, "1 thread"), (3, "3 thread")])
def test_verbose_says_where_the_data_are(capsys, given, printed):
    X, _ = rows_and_weights()
    model, _ = in_both("GaussianMixture", verbose=1, n_threads=given, max_iter=1)
    with dask.config.set(num_workers=4):
        model.fit(in_chunks(X))
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith(f"5 chunks, 690 rows, held in memory; {printed}")


def test_needs_dask_only_when_asked_for_and_no_distributed(run_python):
    source = """
import sys
import fastgmm
print("dask" in sys.modules)
sys.modules["distributed"] = None
import numpy as np, dask.array as da
from fastgmm.dask import GaussianMixture
X = da.from_array(np.random.default_rng(0).normal(size=(100, 2)), chunks=(30, -1))
print(GaussianMixture(2, random_state=0, max_iter=500).fit(X).converged_)
"""
    assert run_python(source).split() == ["False", "True"]


# The sample that the start is found on --------------------------------------------------------------------------------


def test_the_sample_does_not_depend_on_the_chunks():
    X, weights = rows_and_weights()
    fits = [
        in_both("GaussianMixture")[0].fit(in_chunks(X, sizes), sample_weight=weights, start_rows=50)
        for sizes in (SIZES, (690,), (345, 345))
    ]
    assert_same_fit(fits[1], fits[0])
    assert_same_fit(fits[2], fits[0])


def test_the_sample_is_uniform():
    survey = object.__new__(_dask.ChunkSurvey)
    survey.counts, survey.n_rows = {0: 5, 2: 1, 3: 14}, 20
    drawn = np.zeros(20)
    offsets = {0: 0, 2: 5, 3: 6}
    random_state = np.random.RandomState(0)
    for _ in range(2000):
        chosen = survey.choose(8, random_state)
        rows = np.concatenate([offsets[number] + part for number, part in chosen.items()])
        assert len(set(rows)) == 8
        drawn[rows] += 1
    # Each row is drawn 800 times, with a standard deviation of 22.
    np.testing.assert_allclose(drawn, 800, atol=100)


def test_a_sample_of_all_rows_draws_no_numbers():
    survey = object.__new__(_dask.ChunkSurvey)
    survey.counts, survey.n_rows = {0: 5}, 5
    assert survey.choose(5, None) == {0: None}


def test_interrupted_fits_go_on(tmp_path, monkeypatch):
    X, _ = rows_and_weights()
    rows, path = in_chunks(X), tmp_path / "fit.npz"
    model, _ = in_both("GaussianMixture", n_init=2, max_iter=6)
    expected = clone(model).fit(rows, start_rows=100)
    calls = []

    def em_step(*args, _original=DaskPasses.em_step, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return _original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(DaskPasses, "em_step", em_step)
        with pytest.raises(KeyboardInterrupt):
            clone(model).fit(rows, start_rows=100, checkpoint=path)
    resumed = clone(model).set_params(persist=False).fit(rows, start_rows=100, checkpoint=path)
    np.testing.assert_array_equal(resumed.covariances_, expected.covariances_)
    assert not path.exists()


# The fitted model ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    X, weights = rows_and_weights()
    return fastgmm.dask.GaussianMixture(3, random_state=0).fit(in_chunks(X), sample_weight=weights)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples"])
def test_lazy_methods(fitted, method, dtype):
    X = rows_and_weights(dtype)[0]
    lazy = getattr(fitted, method)(in_chunks(X))
    expected = getattr(fitted.to_local(), method)(X)
    assert lazy.chunks == (SIZES, (3,))[: lazy.ndim]
    assert lazy.dtype == expected.dtype
    actual = lazy.compute()
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-12 if dtype == np.float64 else 1e-4, atol=1e-7)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples"])
def test_unknown_sizes_stay_unknown(fitted, method):
    X, _ = rows_and_weights()
    lazy = getattr(fitted, method)(of_unknown_sizes(in_chunks(X)))
    assert np.isnan(lazy.chunks[0]).all()
    np.testing.assert_allclose(lazy.compute(), getattr(fitted.to_local(), method)(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "aic", "bic"])
def test_rows_in_memory(fitted, method):
    X, _ = rows_and_weights()
    np.testing.assert_array_equal(getattr(fitted, method)(X), getattr(fitted.to_local(), method)(X))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", ["score", "aic", "bic"])
def test_eager_methods(fitted, method, weighted):
    X, weights = rows_and_weights()
    weights = weights if weighted else None
    actual = getattr(fitted, method)(in_chunks(X), sample_weight=weights)
    np.testing.assert_allclose(actual, getattr(fitted.to_local(), method)(X, sample_weight=weights), rtol=1e-12)


def test_fit_predict():
    X, weights = rows_and_weights()
    actual, expected = in_both("GaussianMixture")
    labels = actual.fit_predict(in_chunks(X), sample_weight=weights)
    assert labels.chunks == (SIZES,)
    np.testing.assert_array_equal(labels.compute(), expected.fit_predict(X, sample_weight=weights))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_to_local(name):
    X, _ = rows_and_weights()
    model, _ = in_both(name, n_threads=1)
    local = model.fit(in_chunks(X)).to_local()
    assert type(local) is getattr(fastgmm, name)
    assert local.get_params() == {k: v for k, v in model.get_params().items() if k not in ("client", "persist")}
    assert not hasattr(local, "persisted_")
    assert_same_fit(local, model)
    np.testing.assert_equal(local.sample(5, random_state=1), model.sample(5, random_state=1))


def test_to_local_needs_a_fit():
    with pytest.raises(NotFittedError):
        fastgmm.dask.GaussianMixture().to_local()


def test_the_client_is_cloned_but_not_pickled(client, fitted):
    model = fastgmm.dask.GaussianMixture(3, client=client, means_init=np.ones((3, 2)))
    with sklearn.config_context(enable_metadata_routing=True):
        twin = clone(model.set_fit_request(sample_weight=True))
        assert twin._get_metadata_request().fit.requests["sample_weight"] is True
    assert (twin.client, model.client) == (client, client)
    assert twin.means_init is not model.means_init
    assert pickle.loads(pickle.dumps(model)).client is None
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).means_, fitted.means_)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_questions(name):
    X, _ = rows_and_weights()
    model = in_both(name)[0].fit(in_frame(X))
    for asked in (model, model.to_local()):
        marginal, conditional = asked.marginal(["c", "a"]), asked.condition(["a", "b"], [1.0, 2.0])
        assert type(marginal) is type(conditional) is fastgmm.GaussianMixture
        assert list(marginal.feature_names_in_) == ["c", "a"]
        np.testing.assert_array_equal(marginal.means_, model.means_[:, [2, 0]])
        np.testing.assert_allclose(conditional.cdf(conditional.quantile([0.1, 0.9])), [0.1, 0.9])
    rows = pd.DataFrame({"a": [0.0, 4.0], "b": [np.nan, 4.0], "c": [5.0, np.nan]})
    np.testing.assert_array_equal(model.impute(rows), asked.impute(rows))


def test_questions_about_rows_compute_them(fitted):
    X, _ = rows_and_weights()
    with pytest.warns(UserWarning, match="X is a dask Array, which is computed into memory"):
        actual = fitted.predict_conditional([0, 2], in_chunks(X)[:, [0, 2]])
    np.testing.assert_array_equal(actual, fitted.to_local().predict_conditional([0, 2], X[:, [0, 2]]))


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("fit_batches", "batches are the chunks"),
        ("partial_fit", r"which to_local\(\) gives"),
        ("diagnose", r"which to_local\(\) gives"),
        ("no_method", "has no attribute 'no_method'$"),
    ],
)
def test_other_methods_are_refused(fitted, method, message):
    assert not hasattr(fitted, method)
    with pytest.raises(AttributeError, match=message):
        getattr(fitted, method)


def test_results_are_not_written_into_arrays(fitted):
    with pytest.raises(TypeError, match="out must be None"):
        fitted.predict(in_chunks(rows_and_weights()[0]), out=np.empty(690, int))


@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_convergence_warnings_name_the_caller(method):
    model, _ = in_both("GaussianMixture", max_iter=1)
    rows = in_chunks(rows_and_weights()[0])
    with pytest.warns(ConvergenceWarning) as warned:
        getattr(model, method)(rows)
    assert warned[0].filename == __file__


@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])
def test_constructors_say_what_to_use_instead(name):
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_jobs': use n_threads"):
        getattr(fastgmm.dask, name)(n_jobs=2)


# The estimators in memory --------------------------------------------------------------------------------------------

IN_BLOCKS = "block by block in this process, anew for each pass over the rows"


@pytest.mark.parametrize("method", ["fit", "fit_predict", "partial_fit", "predict", "score", "score_samples", "bic"])
@pytest.mark.parametrize(
    ("collection", "name", "how"),
    [
        (in_chunks, "Array", IN_BLOCKS),
        (lambda X: of_unknown_sizes(in_chunks(X)), "Array", "into memory"),
        (in_frame, "DataFrame", "into memory"),
    ],
    ids=["array", "unknown sizes", "frame"],
)
def test_collections_in_memory_are_warned_of(collection, name, how, method):
    X = rows_and_weights()[0]
    model = fastgmm.GaussianMixture(2, random_state=0).fit(collection(X).compute())
    how = "into memory" if method == "partial_fit" else how
    with pytest.warns(UserWarning, match=rf"^X is a dask {name}, which is computed {how}.* fastgmm\.dask") as warned:
        getattr(model, method)(collection(X))
    assert [each.filename for each in warned] == [__file__]


@pytest.mark.filterwarnings("ignore:X is a dask DataFrame")
def test_frames_in_memory_keep_their_names():
    frame = in_frame(rows_and_weights()[0])
    names = list(frame.columns)
    exchanged = frame[names[::-1]]
    gmm = fastgmm.GaussianMixture(2, random_state=0).fit(frame)
    assert gmm.feature_names_in_.tolist() == names
    for method in ("predict", "score", "partial_fit"):
        with pytest.raises(ValueError, match="The feature names should match"):
            getattr(gmm, method)(exchanged)
    assert clone(gmm).fit_batches([frame, frame]).feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match="Batch 1: The feature names should match"):
        gmm.fit_batches([frame, exchanged])


def test_batches_of_collections_are_warned_of_once():
    X = rows_and_weights()[0]
    with pytest.warns(UserWarning, match=r"computed into memory\. fit, .* in fastgmm\.dask") as warned:
        fastgmm.GaussianMixture().fit_batches([in_chunks(X), of_unknown_sizes(in_chunks(X))])
    assert [each.filename for each in warned] == [__file__]


def test_what_is_delayed_must_be_computed():
    for X in (dask.delayed(np.ones((5, 2))), pytest.importorskip("dask.bag").from_sequence([[1.0], [2.0]])):
        with pytest.raises(TypeError, match=r"X must be an array or a frame, got .*: call its compute method first"):
            fastgmm.GaussianMixture().fit(X)


def test_searches_of_collections_are_warned_of():
    with pytest.warns(UserWarning, match=r"computed block by block .* in fastgmm\.dask") as warned:
        fastgmm.GaussianMixtureIC([1]).fit_predict(in_chunks(rows_and_weights()[0]))
    assert len(warned) == 1


# Errors --------------------------------------------------------------------------------------------------------------


def broken_chunk(X, value):
    X = X.copy()
    X[500, 1] = value
    return in_chunks(X)


def of_wrong_width(X):
    parts = [dask.delayed(X[:300]), dask.delayed(X[300:, :2])]
    rows = zip(parts, (300, 390), strict=True)
    return da.concatenate([da.from_delayed(part, (n, 3), dtype=X.dtype) for part, n in rows])


def with_weight(weights, value):
    weights = weights.copy()
    weights[500] = value
    return da.from_array(weights, chunks=(SIZES,))


NAN_IN_CHUNK = (
    r"Chunk 2 \(200 rows from row 301\): Input X contains NaN\. 1 value is NaN, in row 199 of the chunk, column 1"
)


@pytest.mark.parametrize(
    ("collections", "error", "message"),
    [
        (lambda X, w: (broken_chunk(X, np.nan), None), ValueError, NAN_IN_CHUNK),
        (lambda X, w: (broken_chunk(X, np.inf), None), ValueError, r"Chunk 2 .*contains infinity"),
        (
            lambda X, w: (of_unknown_sizes(broken_chunk(X, np.nan)), None),
            ValueError,
            r"Chunk 2 \(200 rows from row 301",
        ),
        (
            lambda X, w: (in_frame(X).astype(str) + "x", None),
            ValueError,
            r"Chunk 0 .*could not convert string to float: '.*x', in row 0 of the chunk, column 'a' of X",
        ),
        (
            lambda X, w: (in_frame(X).astype(str), None),
            ValueError,
            r"Chunk 0 .* contains strings\. .*column 'a'\.",
        ),
        (lambda X, w: (in_frame(X).astype("M8[s]"), None), ValueError, r"The dtype of column 'a' of X is datetime64"),
        (lambda X, w: (in_chunks(X).astype("m8[s]"), None), ValueError, r"The dtype of X is timedelta64"),
        (lambda X, w: (in_chunks(X).astype(str), None), ValueError, r"The dtype of X is <U"),
        (
            lambda X, w: (da.ma.masked_greater(in_chunks(X), 6), None),
            ValueError,
            r"Chunk \d .* masked entries",
        ),
        (
            lambda X, w: (in_chunks(X), np.ma.masked_less(w, 1)),
            ValueError,
            "sample_weight contains masked entries",
        ),
        (lambda X, w: (of_wrong_width(X), None), ValueError, r"Chunk 1 \(390 rows from row 300\): X has 2 features"),
        (lambda X, w: (in_chunks(X), with_weight(w, -1)), ValueError, r"Chunk 2 .*Negative values"),
        (lambda X, w: (in_chunks(X), with_weight(w, np.nan)), ValueError, r"Chunk 2 .*sample_weight contains NaN"),
        (lambda X, w: (in_chunks(X), da.zeros(690, chunks=690)), ValueError, "0 sample"),
        (lambda X, w: (in_chunks(X), w[:-1]), ValueError, r"expected \(690,\): pass one weight"),
        (lambda X, w: (in_chunks(X), da.ones((690, 1))), ValueError, "must be 1D"),
        (lambda X, w: (of_unknown_sizes(in_chunks(X)), w), ValueError, r"compute_chunk_sizes\(\)"),
        (
            lambda X, w: (of_unknown_sizes(in_chunks(X)), da.from_array(w, chunks=((299, 2, 200, 0, 189),))),
            ValueError,
            r"Chunk 0 .*sample_weight.shape == \(299,\)",
        ),
        (lambda X, w: (in_chunks(X)[:2], None), ValueError, "n_components = 3, n_samples = 2"),
        (lambda X, w: (X, None), TypeError, "dask.array.from_array"),
        (lambda X, w: (pd.DataFrame(X), None), TypeError, "got DataFrame"),
        (lambda X, w: (in_chunks(X)[:, 0], None), TypeError, "1 dimension"),
        (lambda X, w: (dask.delayed(X), None), TypeError, "got Delayed"),
    ],
)
def test_unusable_data(collections, error, message):
    X, weights = collections(*rows_and_weights())
    model, _ = in_both("GaussianMixture")
    with pytest.raises(error, match=message):
        model.fit(X, sample_weight=weights)
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("persist", "no"),
        ("persist", 2),
        ("persist", np.zeros(2)),
        ("client", "tcp://127.0.0.1:1"),
        ("n_threads", 0),
        ("tol", -1),
    ],
)
def test_unusable_parameters(name, value):
    model = fastgmm.dask.GaussianMixture(**{name: value})
    with pytest.raises(
        ValueError, match=f"The '{name}' parameter of GaussianMixture must be.*Got {re.escape(repr(value))}"
    ):
        model.fit(in_chunks(rows_and_weights()[0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], "Chunk 1 held 100 rows .* at first and 99 now"),
        (lambda rows: np.where(rows > 1, np.nan, rows), "Chunk 1 contains NaN or infinity"),
    ],
)
def test_chunks_that_change_are_named(change, message):
    reads = []

    def read(rows, block_id=None):
        if block_id != (1, 0):
            return rows
        reads.append(1)
        return rows if len(reads) == 1 else change(rows)

    X = rows_and_weights()[0]
    rows = da.from_array(X[:300], chunks=(100, -1)).map_blocks(read, meta=np.empty((0, 0)))
    start = {"weights_init": np.full(2, 0.5), "means_init": X[:2], "precisions_init": np.tile(np.eye(3), (2, 1, 1))}
    model, _ = in_both("GaussianMixture", n_components=2, persist=False, **start)
    with pytest.raises(ValueError, match=message):
        model.fit(rows)


def test_bad_rows_to_predict_are_named(fitted):
    X, _ = rows_and_weights()
    with pytest.raises(ValueError, match="Chunk 2: Input X contains NaN"):
        fitted.predict(broken_chunk(X, np.nan)).compute()
    with pytest.raises(ValueError, match="Chunk 2: Input X contains NaN"):
        fitted.score(broken_chunk(X, np.nan))
    with pytest.raises(ValueError, match="expecting 3 features"):
        fitted.predict(da.ones((5, 2)))


def test_scores_need_rows_of_some_weight(fitted):
    X, weights = rows_and_weights()
    with pytest.raises(ValueError, match="All entries of sample_weight are zero"):
        fitted.score(in_chunks(X), sample_weight=0 * weights)


def test_examples_run():
    results = doctest.testmod(fastgmm.dask)
    assert results.attempted
    assert not results.failed


@pytest.mark.filterwarnings("ignore:Dask currently has limited support:UserWarning")
@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean"])
def test_a_missing_value_of_a_nullable_column_is_named(dtype):
    frame = pd.DataFrame({"a": np.arange(30.0), "n": pd.array([1, 0, 1] * 10, dtype=dtype)})
    frame.loc[17, "n"] = pd.NA
    with pytest.raises(ValueError, match=r"Chunk 1 \(10 rows from row 10\): .* in row 7 of the chunk, column 'n'\."):
        fastgmm.dask.GaussianMixture().fit(dd.from_pandas(frame, npartitions=3))


def test_one_chunk_is_told_in_the_singular(capsys):
    fastgmm.dask.GaussianMixture(n_threads=1, verbose=1).fit(da.from_array(np.eye(3), chunks=-1))
    assert "1 chunk, 3 rows, held in memory; 1 thread for each task\n" in capsys.readouterr().out


def test_without_dask_the_remedy_is_named(run_python):
    source = """
import sys
sys.modules["dask"] = None
try:
    import fastgmm.dask
except ImportError as error:
    print(error)
"""
    assert run_python(source).startswith('fastgmm.dask needs dask: python -m pip install "dask[array,dataframe]"')
