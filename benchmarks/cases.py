"""Cases that people have: seconds of the whole task, what they are spent on, and the rate of the passes.

    python benchmarks/cases.py
    python benchmarks/cases.py --only speaker --profile
    python benchmarks/cases.py --only columns --peers

How to read the output: benchmarks/README.md.
"""

import argparse
import cProfile
import pstats
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any, NamedTuple

import numpy as np
from common import Array, Case, has_onedal, limited_threads, make_case, measure_rates, print_machine
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture as SklearnBayesianGaussianMixture
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from solution import fit_onedal

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC
from fastgmm._em.iteration import Iteration
from fastgmm._estimator import fit as fitting
from fastgmm._model.gaussian import MaximumLikelihood
from fastgmm._model.variational import VariationalBayes
from fastgmm._rows.array import ArrayPasses
from fastgmm._search import fits as searching
from fastgmm._skipping.policy import Skipping
from fastgmm.datasets import load_sample_patches

MODELS = (MaximumLikelihood, VariationalBayes)

# Part of the time -> the functions in which it is spent. A function called by one of another part counts there.
PARTS: dict[str, list[tuple[Any, str]]] = {
    "passes": [(ArrayPasses, name) for name in ("em_step", "predict", "score_sum", "criterion_sums")],
    "start": [(model, "start") for model in MODELS]
    + [(searching, name) for name in ("find_start", "merged", "as_type")],
    "M step": [(model, name) for model in MODELS for name in ("moments", "m_step", "components", "lower_bound")],
    "trials": [(Skipping, "plan")],
    "checks": [(fitting, "check_fit_data"), (Iteration, "hidden_features")],
}

SHORT = 1.0  # seconds; shorter tasks are repeated, and the median counts
REPEATS = 21


# Libraries -----------------------------------------------------------------------------------------------------------


class Library(NamedTuple):
    """The estimators of a library."""

    mixture: Callable[..., Any]
    bayesian: Callable[..., Any]
    by_bic: Callable[..., Any]


class OneDAL:
    """oneDAL's fit in the manner of an estimator."""

    def __init__(self, n_components: int, covariance_type: str = "full", max_iter: int = 100, **_):
        self._fit = partial(fit_onedal, covariance_type=covariance_type, n_components=n_components, max_iter=max_iter)

    def fit(self, X: Array) -> Any:
        return self._fit(X)


class SklearnByBIC:
    """A loop over scikit-learn's fits."""

    def __init__(self, numbers: Sequence[int], covariance_type: str, random_state: int):
        self._models = [
            SklearnGaussianMixture(k, covariance_type=covariance_type, random_state=random_state) for k in numbers
        ]

    def fit(self, X: Array) -> Any:
        return min((model.fit(X) for model in self._models), key=lambda model: model.bic(X))


def missing(*_, **__) -> Any:
    raise NotImplementedError("none")


OURS = Library(GaussianMixture, BayesianGaussianMixture, GaussianMixtureIC)


def peers() -> dict[str, Library]:
    found = {"scikit-learn": Library(SklearnGaussianMixture, SklearnBayesianGaussianMixture, SklearnByBIC)}
    if has_onedal():
        found["oneDAL"] = Library(OneDAL, missing, missing)
    return found


# Cases ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """What people do, on n_samples / cut rows; beside the peers on n_samples / cut / peer_cut rows.

    Attributes
    ----------
    rows : callable
        Makes the given number of rows of `case`.
    run : callable
        Does the task with a library on the rows.
    runs : str
        What `run` leaves out, if anything.
    """

    case: Case
    rows: Callable[[Case], Array]
    run: Callable[[Library, Array], Any]
    cut: int = 1
    peer_cut: int = 1
    runs: str = ""

    def of_rows(self, cut: int) -> Case:
        return replace(self.case, n_samples=self.case.n_samples // cut)


def clusters(n_clusters: int, separation: float = 4.0) -> Callable[[Case], Array]:
    return lambda case: make_case(replace(case, n_components=n_clusters), separation=separation)[0]


def patches(case: Case) -> Array:
    found = load_sample_patches()
    return np.ascontiguousarray(found[:: len(found) // case.n_samples][: case.n_samples], case.dtype)


def columns(case: Case) -> Array:
    """Columns of a table, (columns, rows, 1): amounts, ages, measurements with two modes, ratings, over and over."""
    rng, n = np.random.default_rng(0), case.n_samples
    kinds = (
        lambda: rng.lognormal(3.0, 1.0, n).round(2),
        lambda: rng.gamma(9.0, 4.5, n).round(),
        lambda: rng.normal(np.where(rng.random(n) < 0.3, -4.0, 2.0), 1.0),
        lambda: rng.choice(np.arange(1.0, 6.0), n, p=(0.1, 0.1, 0.2, 0.25, 0.35)),
    )
    return np.array([kinds[i % len(kinds)]()[:, np.newaxis] for i in range(20)])


def by_bic(numbers: Sequence[int], library: Library, X: Array) -> Any:
    return library.by_bic(numbers, covariance_type="full", random_state=0).fit(X)


def each_number(numbers: Sequence[int], library: Library, X: Array) -> None:
    for number in numbers:
        library.mixture(number, random_state=0).fit(X)


def each_column(library: Library, X: Array) -> None:
    """As CTGAN and its relatives do."""
    prior = {"weight_concentration_prior_type": "dirichlet_process", "weight_concentration_prior": 0.001}
    for column in X:
        library.bayesian(n_components=10, random_state=0, **prior).fit(column)


def bayesian(n_components: int, library: Library, X: Array) -> Any:
    return library.bayesian(n_components=n_components, random_state=0).fit(X)


def mixture(n_components: int, library: Library, X: Array, **options) -> Any:
    return library.mixture(n_components, random_state=0, **options).fit(X)


def labels(n_components: int, library: Library, X: Array) -> Any:
    return mixture(n_components, library, X, covariance_type="diag").predict(X)


TASKS: dict[str, Task] = {
    "retrieval tree": Task(
        Case("full", 97_000, 12, 96), clusters(40), partial(by_bic, range(2, 97, 10)), peer_cut=10,
        runs="K = 2, 12, .. 92 by BIC",
    ),
    "columns": Task(Case("full", 1_000_000, 1, 10), columns, each_column, peer_cut=50, runs="20 columns"),
    "spatial biology": Task(
        Case("full", 1_000_000, 40, 20, "float32"), clusters(12), partial(each_number, range(2, 21, 6)), peer_cut=20,
        runs="K = 2, 8, 14, 20",
    ),
    "metagenomics": Task(
        Case("full", 1_000_000, 100, 400), clusters(100, 8.0), partial(bayesian, 400), cut=20, peer_cut=5,
        runs="Bayesian",
    ),
    "speaker, diag": Task(
        Case("diag", 500_000, 60, 2048, "float32"), clusters(300),
        partial(mixture, 2048, covariance_type="diag", max_iter=10), cut=5, peer_cut=5, runs="10 iterations",
    ),
    "speaker, full": Task(
        Case("full", 500_000, 60, 2048, "float32"), clusters(300),
        partial(mixture, 2048, reg_covar=1e-3, max_iter=10), cut=5, peer_cut=5, runs="10 iterations",
    ),
    "image patches": Task(
        Case("full", 1_000_000, 64, 200), patches, partial(mixture, 200), cut=10, peer_cut=10,
    ),
    "embeddings": Task(
        Case("full", 100_000, 128, 79), clusters(79, 8.0), partial(mixture, 79), peer_cut=5,
    ),
    "labels": Task(Case("diag", 20_000, 10, 5), clusters(5), partial(labels, 5), runs="fit and predict"),
    "vector search": Task(
        Case("spherical", 1_000_000, 128, 1024, "float32"), clusters(1024),
        partial(mixture, 1024, covariance_type="spherical", init_params="random_from_data", max_iter=5, tol=0.0),
        peer_cut=20, runs="5 iterations from rows",
    ),
}  # fmt: skip


# Measurements --------------------------------------------------------------------------------------------------------


class Stopwatch:
    """Seconds of each part, and the passes of EM."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.total = self.of_em = 0.0
        self.passes: list[Case] = []
        self._is_running = False

    def time(self, task: Callable[[], Any]) -> None:
        with self._attached():
            begin = time.perf_counter()
            task()
            self.total = time.perf_counter() - begin

    @contextmanager
    def _attached(self) -> Iterator[None]:
        targets = [(part, owner, name) for part, found in PARTS.items() for owner, name in found]
        own = [vars(owner).get(name) for _, owner, name in targets]
        for part, owner, name in targets:
            setattr(owner, name, self._timed(getattr(owner, name), part))
        try:
            yield
        finally:
            for (_, owner, name), function in zip(targets, own, strict=True):
                if function is None:
                    delattr(owner, name)
                else:
                    setattr(owner, name, function)

    def _timed(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        @wraps(function)
        def timed(*arguments, **options):
            if self._is_running:
                return function(*arguments, **options)
            self._is_running, begin = True, time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self._is_running, taken = False, time.perf_counter() - begin
                self.seconds[part] += taken
                if function.__name__ == "em_step":
                    passes = arguments[0]
                    self.of_em += taken
                    self.passes.append(
                        Case(passes.structure.name, *passes.X.shape, passes.n_components, str(passes.dtype))
                    )

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="TEXT", help="tasks whose name contains one of these")
    parser.add_argument("--threads", type=int, help="hold everyone to this many threads")
    parser.add_argument("--peers", action="store_true", help="beside the peers, on fewer rows, instead of the parts")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave out this peer")
    parser.add_argument("--profile", action="store_true", help="also the functions that take most time")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with limited_threads(options.threads) as n_threads:
        print_machine(n_threads)
        libraries = {name: library for name, library in peers().items() if name not in options.without}
        print_heading(libraries if options.peers else None)
        for name, task in TASKS.items():
            if options.only is not None and not any(text in name for text in options.only):
                continue
            if options.peers:
                print_peers(name, task, libraries)
            else:
                print_parts(name, task, n_threads, options.profile)


def print_heading(libraries: dict[str, Library] | None) -> None:
    if libraries is None:
        cells = [f"{part:>8}" for part in (*PARTS, "rest")] + [f"{what:>8}" for what in ("passes", "GFLOP/s", "/floor")]
        print("\nSeconds, and how many percent of them are spent on each part.\n")
        print(f"{'task':<50}{'seconds':>9}" + "".join(cells))
    else:
        print("\nSeconds on fewer rows; x: times as long as fastgmm.\n")
        print(f"{'task':<50}{'fastgmm':>9}" + "".join(f"{name:>14}{'x':>7}" for name in libraries))


def print_parts(name: str, task: Task, n_threads: int, with_profile: bool) -> None:
    X = task.rows(task.of_rows(task.cut))
    profile = cProfile.Profile()
    run = partial(profile.runcall, task.run, OURS, X) if with_profile else partial(task.run, OURS, X)
    watches = []
    while not watches or (watches[0].total < SHORT and len(watches) < REPEATS):
        watches.append(Stopwatch())
        watches[-1].time(run)
    watch = sorted(watches, key=lambda each: each.total)[len(watches) // 2]
    # The floor is that of the minutes of the task, as in compare.py.
    rates = measure_rates(n_threads, 0.3, (task.case.dtype,))
    spent = [*watch.seconds.values(), watch.total - sum(watch.seconds.values())]
    floor = sum(case.floor(rates) for case in watch.passes)
    operations = sum(case.operations for case in watch.passes)
    print(
        f"{title(name, task, task.cut):<50}{watch.total:>9.2f}"
        + "".join(f"{100 * seconds / watch.total:>8.1f}" for seconds in spent)
        + f"{len(watch.passes):>8}{operations / watch.of_em / 1e9:>8.0f}{watch.of_em / floor:>8.2f}  {task.runs}",
        flush=True,
    )
    if with_profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)


def print_peers(name: str, task: Task, libraries: dict[str, Library]) -> None:
    cut = task.cut * task.peer_cut
    X = task.rows(task.of_rows(cut))
    ours = seconds_of(task, OURS, X)
    cells = f"{title(name, task, cut):<50}{ours:>9.3f}"
    for library in libraries.values():
        try:
            seconds = seconds_of(task, library, X)
            cells += f"{seconds:>14.2f}{seconds / ours:>7.1f}"
        except Exception as error:
            cells += f"{'-':>14}{'':>7}  {type(error).__name__}: {str(error).splitlines()[0][:60]}"
    print(cells, flush=True)


def seconds_of(task: Task, library: Library, X: Array) -> float:
    """Of a run; the median of several if it is short."""
    found: list[float] = []
    while not found or (found[0] < SHORT and len(found) < REPEATS):
        begin = time.perf_counter()
        task.run(library, X)
        found.append(time.perf_counter() - begin)
    return float(np.median(found))


def title(name: str, task: Task, cut: int) -> str:
    return f"{name}: {task.of_rows(cut)}" + (f" (1/{cut})" if cut > 1 else "")


if __name__ == "__main__":
    main()
