"""What long calls tell about their progress: to callbacks, the log, progress bars, and scikit-learn's callbacks.

Callbacks change no result; those that raise StopIteration end the call with what it has found.
"""

import gc
import io
import logging
import math
import re
import sys
import weakref
from itertools import groupby

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.utils.fixes import parse_version

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC, batches
from fastgmm._em.loop import _iterations_left
from fastgmm._utils.words import duration
from fastgmm.progress import Progress, ProgressBar


def _overlapping():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(center, 1.0, (300, 3)) for center in ([0, 0, 0], [3, 0, 1], [0, 4, 0])])


X = _overlapping()
MIXTURE = GaussianMixture(3, random_state=0, tol=1e-6, max_iter=200, n_init=2)


def in_batches(model, X, **kwargs):
    return model.fit_batches(batches.from_array(X, batch_rows=400), **kwargs)


def in_batches_by_fit(model, X, **kwargs):
    return model.fit(batches.from_array(X, batch_rows=400), **kwargs)


def in_chunks(model, X, **kwargs):
    dask = pytest.importorskip("dask")
    import fastgmm.dask

    if not type(model).__module__.endswith("dask"):
        model = getattr(fastgmm.dask, type(model).__name__)(**model.get_params())
    with dask.config.set(scheduler="synchronous"):
        return model.fit(dask.array.from_array(X, chunks=(400, -1)), **kwargs)


FITS = {
    "fit": lambda model, X, **kwargs: model.fit(X, **kwargs),
    "fit_predict": lambda model, X, **kwargs: (model.fit_predict(X, **kwargs), model)[1],
    "fit_batches": in_batches,
    "dask": in_chunks,
    "partial_fit": lambda model, X, **kwargs: model.partial_fit(X, **kwargs).partial_fit(X[:50], **kwargs),
}
whole_fits = pytest.mark.parametrize("fit", ["fit", "fit_predict", "fit_batches", "dask"])
all_fits = pytest.mark.parametrize("fit", FITS)


class Stop:
    """A callback that remembers what it gets, and stops the call at the first event for which `when` is true."""

    def __init__(self, when):
        self.when = when
        self.seen = []

    def __call__(self, progress):
        self.seen.append(progress)
        if self.when(progress):
            raise StopIteration


def after(stage, iteration, run=1):
    return lambda p: (p.stage, p.event, p.iteration, p.run) == (stage, "iteration", iteration, run)


# What callbacks get ---------------------------------------------------------------------------------------------------


def test_events_of_a_fit():
    seen = []
    model = clone(MIXTURE).fit(X, callback=seen.append)
    assert [p.seconds for p in seen] == sorted(p.seconds for p in seen)
    runs = [list(events) for _, events in groupby(seen, lambda p: p.run)]
    assert len(runs) == 2
    for number, events in enumerate(runs, 1):
        assert {(p.run, p.n_runs) for p in events} == {(number, 2)}
        stages = [list(group) for _, group in groupby(events, lambda p: p.stage)]
        assert [stage[0].stage for stage in stages] == ["start", "k-means++", "k-means", "EM"]
        for (first, *iterations, last), most in zip(stages[1:], (3, 300, 200), strict=True):
            assert (first.event, first.iteration, last.event) == ("begin", 0, "end")
            assert {p.event for p in iterations} == {"iteration"}
            assert [p.iteration for p in iterations] == list(range(1, len(iterations) + 1))
            assert last.iteration == len(iterations) <= most
            assert {p.max_iter for p in (first, *iterations, last)} == {most}
        assert len(stages[1]) == 5
        assert stages[2][-1].converged
        assert stages[3][-1].converged
    paths = [[p.lower_bound for p in events if p.stage == "EM" and p.event == "iteration"] for events in runs]
    assert model.lower_bounds_ == max(paths, key=lambda path: path[-1])
    changes = [p.change for p in runs[0] if p.stage == "EM" and p.event == "iteration"]
    assert changes == [None, *np.diff(paths[0])]
    left = [p.seconds_left for p in runs[1] if p.stage == "EM" and p.seconds_left is not None]
    assert left[-1] == 0.0
    assert all(value >= 0.0 for value in left)


@pytest.mark.parametrize("rate", [0.5, 0.9])
def test_iterations_left_if_gains_shrink_at_one_rate(rate):
    gains = rate ** np.arange(200.0)
    first = int(np.argmax(gains < 1e-6))  # the first gain that ends the run
    path = list(np.cumsum([0.0, *gains[: first - 9]]))
    assert _iterations_left(path, gains[first - 10], 1e-6, 1000) == 10
    assert _iterations_left(path, gains[first - 10], 1e-6, len(path) + 3) == 4


MODELS = {
    "EM": MIXTURE,
    "lbfgs": GaussianMixture(3, acceleration="lbfgs", random_state=0),
    "Bayesian": BayesianGaussianMixture(n_components=3, max_iter=999, random_state=0),
}


@all_fits
@pytest.mark.parametrize("name", MODELS)
def test_a_callback_changes_no_bit(fit, name):
    model, seen = MODELS[name], []
    plain, told = FITS[fit](clone(model), X), FITS[fit](clone(model), X, callback=seen.append)
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        np.testing.assert_array_equal(getattr(told, name), getattr(plain, name), err_msg=name)
    assert {"start", "k-means", "EM"} <= {p.stage for p in seen}
    assert any(p.event == "rows" for p in seen) == (fit in ("fit_batches", "dask"))


@pytest.mark.parametrize("fit", [*FITS, "search"])
def test_nothing_is_told_after_the_result_is_there(fit):
    """A pass for the warning about `reg_covar` follows. A stop during it would lose the result."""
    thin, seen = X * [1.0, 1.0, 1e-4], []
    run, model = FITS.get(fit, in_batches_by_fit), GaussianMixture(3, random_state=0)
    model = search_of() if fit == "search" else model
    with pytest.warns(UserWarning, match="is far above the variance of feature 2"):
        run(model, thin, callback=seen.append)
    assert seen[-1].event == ("candidate" if fit == "search" else "end")


@pytest.mark.parametrize("when", [lambda p: False, after("EM", 1)])
def test_a_fit_with_a_callback_lets_go_of_the_rows(when):
    rows = X.copy()
    kept, model = weakref.ref(rows), clone(MIXTURE)
    gc.collect()
    gc.disable()
    try:
        model.fit(rows, callback=Stop(when))
        del rows
        assert kept() is None
    finally:
        gc.enable()


def test_rows_in_memory_are_told_if_a_pass_is_long(slices_of_one_block):
    seen = []
    with slices_of_one_block():
        told = GaussianMixture(3, random_state=0, n_threads=1).fit(X, callback=seen.append)
    for stage in ("k-means++", "k-means", "EM"):
        rows = [p for p in seen if p.stage == stage and p.event == "rows"]
        assert {p.n_rows for p in rows} == {len(X)}
        passes = sum(p.rows == len(X) for p in rows)
        assert passes >= max(p.iteration for p in seen if p.stage == stage)
        assert sum(p.new_rows for p in rows) == passes * len(X)
        assert len(rows) > passes
    with slices_of_one_block():
        np.testing.assert_array_equal(told.means_, GaussianMixture(3, random_state=0, n_threads=1).fit(X).means_)


def test_the_start_from_a_sample_is_told(monkeypatch):
    from fastgmm._start import sample

    monkeypatch.setattr(sample, "_LEAST_ROWS", 60)
    monkeypatch.setattr(sample, "_ROWS_PER_PARAMETER", 1)
    seen = []
    model = GaussianMixture(2, covariance_type="spherical", init_params="sample", random_state=0)
    model.fit(np.tile(X, (2, 1)), callback=seen.append)
    stages = [stage for stage, _ in groupby(seen, lambda p: p.stage)]
    assert stages == ["start", *["k-means++", "k-means"] * 3, "sample", "EM"]
    with pytest.raises(RuntimeError, match="stopped the call at stage 'sample', before there was a model"):
        model.fit(np.tile(X, (2, 1)), callback=Stop(lambda p: p.stage == "sample" and p.iteration == 2))


def test_splits_and_merges_are_told():
    seen = []
    model = GaussianMixture(3, init_params="split_merge", random_state=0).fit(X, callback=seen.append)
    stages = [stage for stage, _ in groupby(seen, lambda p: p.stage)]
    assert stages == ["start", *["k-means++", "k-means"] * 3, "sample", "EM"]
    of_sample = [p for p in seen if p.stage == "sample"]
    assert [p.event for p in of_sample] == ["begin", *["iteration"] * (len(of_sample) - 2), "end"]
    assert of_sample[-2].iteration == len(of_sample) - 2 > 15  # EM from three starts
    assert of_sample[-2].lower_bound == pytest.approx(model.lower_bound_, abs=0.1)
    with pytest.raises(RuntimeError, match="stopped the call at stage 'sample', before there was a model"):
        model.fit(X, callback=Stop(lambda p: p.stage == "sample" and p.iteration == 2))


# Stopping -------------------------------------------------------------------------------------------------------------


@whole_fits
@pytest.mark.parametrize("acceleration", [None, "lbfgs"])
def test_a_stop_leaves_the_last_iteration(fit, acceleration):
    """The test suite makes errors of warnings, and there is none of convergence."""
    model = clone(MIXTURE).set_params(acceleration=acceleration, n_init=1)
    stop = Stop(after("EM", 7))
    stopped = FITS[fit](clone(model), X, callback=stop)
    with pytest.warns(match="did not converge"):
        whole = FITS[fit](clone(model).set_params(max_iter=7), X)
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        np.testing.assert_array_equal(getattr(stopped, name), getattr(whole, name), err_msg=name)
    assert (stopped.n_iter_, stopped.converged_) == (7, False)
    assert stop.seen[-1].iteration == 7


@pytest.mark.parametrize("iteration", [0, 5])
def test_a_stop_within_a_pass_leaves_the_iteration_before(iteration):
    model = clone(MIXTURE).set_params(n_init=1)
    stop = Stop(lambda p: (p.stage, p.event, p.iteration, p.rows) == ("EM", "rows", iteration, 800))
    stopped = in_batches(clone(model), X, callback=stop)
    if iteration:
        with pytest.warns(match="did not converge"):
            whole = in_batches(clone(model).set_params(max_iter=iteration), X)
    else:  # the start itself
        whole = in_batches(clone(model).set_params(max_iter=0), X)
    np.testing.assert_array_equal(stopped.covariances_, whole.covariances_)
    assert (stopped.n_iter_, stopped.lower_bounds_, stopped.converged_) == (iteration, whole.lower_bounds_, False)


@pytest.mark.parametrize(("stage", "iteration"), [("k-means", 1), ("EM", 1)])
def test_a_stop_in_a_later_run_leaves_the_best_one(stage, iteration):
    first = clone(MIXTURE).set_params(n_init=1).fit(X)
    stopped = clone(MIXTURE).fit(X, callback=Stop(after(stage, iteration, run=2)))
    np.testing.assert_array_equal(stopped.means_, first.means_)
    assert stopped.lower_bounds_ == first.lower_bounds_
    assert not stopped.converged_


@all_fits
def test_a_stop_before_there_is_a_model_is_an_error(fit):
    model = FITS[fit](clone(MIXTURE), X) if fit != "partial_fit" else clone(MIXTURE)
    before = dict(vars(model))
    with pytest.raises(RuntimeError, match=r"stopped the call at stage 'k-means', .* Raise StopIteration later"):
        FITS[fit](model, X[:, :2], callback=Stop(after("k-means", 1)))
    assert vars(model) == before


@whole_fits
def test_an_error_in_a_callback_leaves_the_estimator(fit):
    model = FITS[fit](clone(MIXTURE), X)
    before = dict(vars(model))
    with pytest.raises(ZeroDivisionError):
        FITS[fit](model, X[:, :2], callback=lambda p: 1 // (p.stage != "EM"))
    assert vars(model) == before


def test_stops_in_a_stream():
    model = clone(MIXTURE).set_params(n_init=1)
    stopped = clone(model).partial_fit(X, callback=Stop(after("EM", 3)))
    whole = clone(model).set_params(max_iter=3).partial_fit(X)
    np.testing.assert_array_equal(stopped.covariances_, whole.covariances_)
    stopped.partial_fit(X[:90], callback=Stop(after("EM", 1)))
    whole.partial_fit(X[:90])
    np.testing.assert_array_equal(stopped.covariances_, whole.covariances_)
    assert stopped.n_samples_seen_ == 990


def test_a_stopped_fit_goes_on_from_its_checkpoint(tmp_path):
    path = tmp_path / "fit.npz"
    stopped = in_batches(clone(MIXTURE), X, checkpoint=path, callback=Stop(after("EM", 4, run=2)))
    assert path.exists()
    assert not stopped.converged_
    resumed, whole = in_batches(stopped, X, checkpoint=path), in_batches(clone(MIXTURE), X)
    np.testing.assert_array_equal(resumed.covariances_, whole.covariances_)
    assert resumed.converged_
    assert not path.exists()


def test_a_callback_that_cannot_be_called_is_refused():
    for call in (GaussianMixture().fit, GaussianMixture().partial_fit, GaussianMixtureIC().fit):
        with pytest.raises(TypeError, match=r"^callback must be callable or None, got 3: "):
            call(X, callback=3)
        with pytest.raises(TypeError, match=r"got the class Stop: pass an instance, Stop\(\)\.$"):
            call(X, callback=Stop)


# Searches -------------------------------------------------------------------------------------------------------------


def search_of(**parameters):
    return GaussianMixtureIC((1, 2, 3), covariance_type=["full", "diag"], random_state=0, **parameters)


@pytest.mark.parametrize(("criterion", "n_searches"), [("bic", 1), ("aic", 1), ("icl", 1), ("cv", 3)])
def test_candidates_of_a_search(criterion, n_searches):
    seen = []
    search = search_of(criterion=criterion, cv=2, n_init=2).fit(X, callback=seen.append)
    done = [p for p in seen if p.event == "candidate"]
    assert [p.run for p in done] == list(range(1, done[0].n_runs + 1))
    assert done[0].n_runs == n_searches * (3 * 2 * 2 + 2 * 3)  # n_init=2; whitened, from the other type, merged
    assert [p.fold for p in done[:: done[0].n_runs // n_searches]] == [None, 1, 2][:n_searches]
    table = search.criterion_
    for i in range(6):
        of_candidate = [p for p in done if p.candidate == i + 1 and p.fold is None]
        names = {(p.n_components, p.covariance_type, p.n_candidates, p.criterion_name) for p in of_candidate}
        assert names == {(table["n_components"][i], table["covariance_type"][i], 6, criterion)}
        assert table["start"][i] in {p.start for p in of_candidate}
        if criterion in ("bic", "aic"):
            assert of_candidate[-1].criterion == pytest.approx(table[criterion][i], rel=1e-9)
        else:
            assert {p.criterion for p in of_candidate} == {None}
    assert done[-1].seconds_left == 0.0
    assert all(p.seconds_left > 0.0 for p in done[:-1])


def test_a_stopped_search_chooses_among_the_candidates_so_far():
    whole = search_of(max_iter=1000).fit(X)
    with pytest.warns(UserWarning, match="The search was interrupted after 3 of 6 candidates"):
        stopped = search_of(max_iter=1000).fit(
            X, callback=Stop(lambda p: (p.stage, p.iteration, p.candidate) == ("EM", 2, 4))
        )
    assert list(stopped.criterion_["n_components"]) == [1, 1, 2]
    again = clone(stopped)
    with pytest.raises(UserWarning, match="interrupted"):  # an error here, when all has been found
        again.fit(X, callback=Stop(lambda p: (p.event, p.candidate) == ("candidate", 2)))
    assert vars(again).keys() == vars(stopped).keys()
    np.testing.assert_array_equal(stopped.criterion_["bic"][:2], whole.criterion_["bic"][:2])
    with pytest.raises(RuntimeError, match="A callback stopped the call"):
        search_of().fit(X, callback=Stop(lambda p: p.candidate == 1))
    with pytest.raises(RuntimeError, match="not if criterion='cv'"):
        search_of(criterion="cv").fit(X, callback=Stop(lambda p: p.fold == 2))


# The log --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verbose", [0, 1, 2, True])
def test_verbose_prints_lines_without_a_configuration(capsys, verbose):
    model = clone(MIXTURE).set_params(verbose=verbose, n_init=1, verbose_interval=3).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert sum("EM: iteration" in line for line in lines) == (model.n_iter_ // 3 if verbose else 0)
    assert sum("k-means: converged after" in line for line in lines) == bool(verbose)
    assert ("k-means: iteration" in "".join(lines)) == (verbose == 2)
    if verbose:
        assert lines[-1].startswith(f"EM: converged after {model.n_iter_} iterations, lower bound -")


def test_the_log_goes_where_logging_sends_it(caplog, capsys):
    with caplog.at_level(logging.INFO, logger="fastgmm"):
        clone(MIXTURE).set_params(verbose=1).fit(X)
    assert capsys.readouterr().out == ""
    records = [record for record in caplog.records if record.name == "fastgmm"]
    assert records[-1].getMessage().startswith("run 2 of 2, EM: converged after ")
    assert records[-1].progress.converged
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="fastgmm"):
        clone(MIXTURE).set_params(verbose=1).fit(X)
    assert (caplog.records, capsys.readouterr().out) == ([], "")


EM = {"stage": "EM", "seconds": 1.5, "iteration": 3, "max_iter": 8}
LINES = {
    "reading: 3,000 rows, 1,000,000 rows/s, 1.5 s": Progress(
        stage="reading", event="rows", seconds=1.5, rows=3000, rows_per_second=1e6
    ),
    "k-means++: 3 of 8 centers, 1.5 s": Progress(**EM | {"stage": "k-means++", "event": "iteration"}),
    "run 2 of 5, EM: iteration 3 of at most 8, 9 of 20 rows, lower bound -2.5 (+0.1), 1.5 s, 3 min 0 s left": Progress(
        **EM, event="iteration", lower_bound=-2.5, change=0.1, run=2, n_runs=5, rows=9, n_rows=20, seconds_left=180.0
    ),
    "candidate 7 of 36, full 4, start kmeans, converged after 3 iterations, BIC 2324.25, 1.5 s, 3 s left": Progress(
        **EM, event="candidate", converged=True, candidate=7, n_candidates=36, covariance_type="full", n_components=4,
        start="kmeans", criterion=2324.25, criterion_name="bic", seconds_left=3.0, run=8, n_runs=99
    ),
    "EM: failed: too few rows, 1.5 s": Progress(**EM, event="end", failure="too few rows"),
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_lines(line):
    assert str(LINES[line]) == line


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.312, "0.31 s"), (9.96, "10 s"), (60, "1 min 0 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


# Bars -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def screen(monkeypatch):
    """What is drawn on a terminal."""
    pytest.importorskip("rich.console")
    import rich

    drawn = io.StringIO()
    console = rich.console.Console(file=drawn, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(rich, "_console", console)
    return drawn


def last_lines(screen, n):
    """The words of the last lines, without bars."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", screen.getvalue())
    return [re.sub("[━╸╺]", "", line).split() for line in text.splitlines() if line.strip()][-n:]


def test_bars_have_the_totals(screen):
    bar = ProgressBar()
    ends = []
    in_batches(clone(MIXTURE), X, callback=lambda p: (bar(p), ends.append(p.iteration)))
    bar.close()
    runs, em, rows = last_lines(screen, 3)
    assert runs[:5] == ["run", "2", "of", "2", "2/2"]
    assert em[:2] == ["EM", f"{ends[-1]}/{ends[-1]}"]
    assert rows[:2] == ["rows", "900/900"]
    search_of().fit(X, callback=bar)  # the same bar again
    candidates, em = last_lines(screen, 2)
    assert candidates[:3] == ["6", "candidates", "12/12"]
    n_done, n_all = em[1].split("/")
    assert n_done == n_all


@pytest.mark.parametrize("how", ["stop", "error", "interrupt"])
def test_bars_leave_the_screen_as_it_was(screen, how):
    class Parts:
        n_passes = 0

        def __iter__(self):
            self.n_passes += 1
            if how == "interrupt" and self.n_passes == 3:
                raise KeyboardInterrupt
            return iter(np.array_split(X, 3))

    class Bar(ProgressBar):
        def __call__(self, progress):
            super().__call__(progress)
            if how != "interrupt" and progress.stage == "EM" and progress.iteration == 2:
                raise StopIteration if how == "stop" else ZeroDivisionError

    if how == "stop":
        GaussianMixture(2, random_state=0).fit_batches(Parts(), callback=Bar())
    else:
        with pytest.raises(ZeroDivisionError if how == "error" else KeyboardInterrupt):
            GaussianMixture(2, random_state=0).fit_batches(Parts(), callback=Bar())
    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 1  # the cursor


def test_bars_need_rich(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r"^ProgressBar needs rich: python -m pip install rich$"):
        ProgressBar()


# scikit-learn's callbacks ---------------------------------------------------------------------------------------------

needs_callbacks = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="scikit-learn has no callbacks"
)


class Recorder:
    """A callback of scikit-learn's."""

    max_propagation_depth = None

    def __init__(self, stop_at=math.inf):
        self.events, self.scores, self.stop_at = [], [], stop_at

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None):
        self.events.append(("begin", context.task_name, context.max_subtasks))

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.events.append(("end", context.task_name, context.max_subtasks))
        if context.task_name == "iteration":
            self.scores.append(fitted_estimator.score(X))
            return len(self.scores) == self.stop_at
        return False


@needs_callbacks
@pytest.mark.parametrize("n_init", [1, 2])
def test_tasks_of_a_fit(n_init):
    recorder = Recorder()
    model = clone(MIXTURE).set_params(n_init=n_init).set_callbacks(recorder).fit(X)
    assert recorder.events[:2] == ["setup", ("begin", "fit", 200 if n_init == 1 else 2)]
    assert recorder.events[-2:] == [("end", "fit", 200 if n_init == 1 else 2), "teardown"]
    assert sum(event[:2] == ("end", "run") for event in recorder.events) == (0 if n_init == 1 else 2)
    n_iterations = recorder.events.count(("begin", "iteration", 0))
    assert n_iterations == recorder.events.count(("end", "iteration", 0)) == len(recorder.scores)
    assert n_iterations == model.n_iter_ if n_init == 1 else n_iterations > model.n_iter_
    assert model.score(X) in recorder.scores
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & vars(model).keys()


@needs_callbacks
def test_a_run_is_one_task_if_its_start_takes_many_slices(slices_of_one_block):
    recorder = Recorder()
    model = clone(MIXTURE).set_params(init_params="random_from_data", covariance_type="tied", tol=9.0)
    with slices_of_one_block():
        model.set_callbacks(recorder).fit(X)
    assert sum(event[:2] == ("begin", "run") for event in recorder.events) == 2


@needs_callbacks
def test_a_callback_of_scikit_learn_stops_a_fit():
    model = clone(MIXTURE).set_params(n_init=1)
    stopped = clone(model).set_callbacks(Recorder(stop_at=3)).fit(X)
    np.testing.assert_array_equal(stopped.means_, clone(model).fit(X, callback=Stop(after("EM", 3))).means_)


@needs_callbacks
def test_tasks_of_a_search_and_of_a_fit_that_fails():
    recorder = Recorder()
    search_of().set_callbacks(recorder).fit(X)
    assert recorder.events[1] == ("begin", "fit", 12)
    assert sum(event[0] == "begin" for event in recorder.events) == 13
    recorder = Recorder()
    with pytest.raises(RuntimeError):
        clone(MIXTURE).set_callbacks(recorder).fit(X, callback=Stop(after("k-means", 1)))
    assert recorder.events == ["setup", ("begin", "fit", 2), ("begin", "run", 200), "teardown"]


@needs_callbacks
def test_bars_of_scikit_learn_in_a_grid_search(screen):
    from sklearn.callback import ProgressBar as SklearnBar
    from sklearn.model_selection import GridSearchCV

    grid = GridSearchCV(GaussianMixture(random_state=0), {"n_components": [1, 2]}, cv=2)
    grid.set_callbacks(SklearnBar()).fit(X)
    assert screen.getvalue().split("\x1b[?25h")[0].count("| GaussianMixture - fit") >= 5
    assert "GridSearchCV - fit" in screen.getvalue()
