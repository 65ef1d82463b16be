"""`GaussianMixtureIC`: each candidate of its table against single fits, each criterion against the textbook, what
becomes of candidates that degenerate, of searches that are interrupted, and of bad input."""

import pickle
import sys
import tracemalloc
from functools import cache
from itertools import product

import numpy as np
import pytest
from _shared.cases import STARTS, TYPES
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from fastgmm import GaussianMixture, GaussianMixtureIC, StudentTMixture
from fastgmm._em.lbfgs import LBFGS
from fastgmm._input import blocks
from fastgmm._search import fits
from fastgmm._search import rows as search_rows
from fastgmm._search.chosen import ChosenMixture
from fastgmm._search.summary import SearchSummary
from fastgmm.batches import from_array, from_parquet
from fastgmm.datasets import load_old_faithful

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NUMBERS = (1, 2, 3, 4, 5)
TYPES_BY_SIZE = ("spherical", "tied", "diag", "full")
DATA = {"old_faithful": load_old_faithful(), "iris": load_iris().data}


def blobs(n_rows=60, dtype=np.float64):
    """Three clusters so far apart that every start with three components finds them."""
    rng = np.random.default_rng(0)
    centers = 12.0 * np.array([[0, 0], [1, 0.2], [0.1, 1.5]])
    return np.vstack([rng.normal(center, (1.0, 0.5), (n_rows, 2)) for center in centers]).astype(dtype)


def with_copies(n_copies=3):
    """Blobs, and some rows far away that are all the same: a component of their own has no variance."""
    return np.vstack([blobs(), np.tile([60.0, -60.0], (n_copies, 1))])


def search_in(X, n_components=(1, 2, 3), sample_weight=None, **parameters):
    return GaussianMixtureIC(n_components, **{"random_state": 0, **parameters}).fit(X, sample_weight=sample_weight)


def candidates_of(search):
    """Rows of the table by number of components and covariance type."""
    names, columns = search.criterion_.keys(), search.criterion_.values()
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    return {(row["n_components"], row["covariance_type"]): row for row in rows}


def log_likelihood(mixture, X, sample_weight=None):
    """As the table has it: the sum, not the mean."""
    n = len(X) if sample_weight is None else np.sum(sample_weight)
    return n * mixture.score(X, sample_weight=sample_weight)


def as_matrices(mixture):
    """The covariances, one matrix for each component."""
    K, d = mixture.means_.shape
    return {
        "full": lambda covariances: covariances,
        "tied": lambda covariance: np.tile(covariance, (K, 1, 1)),
        "diag": lambda variances: variances[:, :, np.newaxis] * np.eye(d),
        "spherical": lambda variances: variances[:, np.newaxis, np.newaxis] * np.eye(d),
    }[mixture.covariance_type](mixture.covariances_)


def is_sound(mixture):
    """No component owes most of its least variance to reg_covar."""
    return np.linalg.eigvalsh(as_matrices(mixture)).min() > 2 * mixture.reg_covar


def textbook(mixture, X):
    """Log-densities of the rows, their responsibilities, and the number of free parameters."""
    K, d = mixture.means_.shape
    log_prob = np.column_stack(
        [
            np.log(weight) + multivariate_normal(mean, matrix).logpdf(X)
            for weight, mean, matrix in zip(mixture.weights_, mixture.means_, as_matrices(mixture), strict=True)
        ]
    )
    log_prob_norm = logsumexp(log_prob, axis=1)
    in_a_matrix = {"full": K * d * (d + 1) / 2, "tied": d * (d + 1) / 2, "diag": K * d, "spherical": K}
    n_parameters = K - 1 + K * d + in_a_matrix[mixture.covariance_type]
    return log_prob_norm, np.exp(log_prob - log_prob_norm[:, np.newaxis]), n_parameters


# Cells and single fits ------------------------------------------------------------------------------------------------


@cache
def search_and_single_fits(data, init_params, n_init):
    X = DATA[data]
    parameters = {"init_params": init_params, "n_init": n_init, "random_state": 3}
    search = search_in(X, NUMBERS, **parameters)
    singles = {
        (n_components, name): GaussianMixture(n_components, covariance_type=name, **parameters).fit(X)
        for n_components, name in product(NUMBERS, TYPES)
    }
    return X, search, singles


every_search = pytest.mark.parametrize(
    ("data", "init_params", "n_init"), [(*pair, n_init) for pair in product(DATA, STARTS) for n_init in (1, 3)]
)


@every_search
def test_every_candidate_is_at_least_as_likely_as_a_single_fit(data, init_params, n_init):
    """The start of the single fit is among those of the candidate. Bounds are of the parameters one M step earlier, so
    that the likelihood in the table is at least the bound of the best start."""
    X, search, singles = search_and_single_fits(data, init_params, n_init)
    candidates = candidates_of(search)
    assert candidates.keys() == singles.keys()
    for key in filter(lambda key: is_sound(singles[key]), singles):
        bound = len(X) * singles[key].lower_bound_
        assert candidates[key]["log_likelihood"] >= bound - 1e-9 * abs(bound), key


def test_every_candidate_is_at_least_as_likely_as_a_single_fit_after_the_last_m_step():
    X = DATA["iris"]
    for (n_components, name), candidate in candidates_of(search_in(X, range(1, 9))).items():
        single = GaussianMixture(n_components, covariance_type=name, random_state=0).fit(X)
        if is_sound(single):
            expected = log_likelihood(single, X)
            assert candidate["warning"] or candidate["log_likelihood"] >= expected - 1e-9 * abs(expected), (
                n_components,
                name,
            )


@pytest.mark.parametrize(("data", "init_params"), list(product(DATA, STARTS)))
def test_a_candidate_won_by_init_params_is_the_single_fit(data, init_params):
    X, search, singles = search_and_single_fits(data, init_params, 1)
    won = [
        key
        for key, candidate in candidates_of(search).items()
        if candidate["start"] == init_params and is_sound(singles[key])
    ]
    assert len(won) >= len(TYPES) / 2
    for key in won:
        candidate, single = candidates_of(search)[key], singles[key]
        assert candidate["log_likelihood"] == pytest.approx(log_likelihood(single, X), rel=1e-14)
        assert candidate["n_iter"] == single.n_iter_
        assert candidate["converged"] == single.converged_


@pytest.mark.parametrize("options", [{}, {"acceleration": "lbfgs", "stopping": "aitken"}], ids=str)
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_grid_of_one_candidate_is_a_single_fit(covariance_type, init_params, options):
    X = DATA["old_faithful"]
    common = {"covariance_type": covariance_type, "init_params": init_params, "n_init": 2, "random_state": 5}
    parameters = common | options
    best = search_in(X, 3, **parameters).best_estimator_
    single = GaussianMixture(3, **parameters).fit(X)
    assert best.get_params() == single.get_params()
    assert vars(best).keys() == vars(single).keys()
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "lower_bounds_"):
        np.testing.assert_array_equal(getattr(best, name), getattr(single, name), err_msg=name)


def test_parameters_reach_the_fits():
    X = DATA["iris"]
    parameters = {"tol": 1e-7, "reg_covar": 0.01, "max_iter": 17, "stopping": "aitken", "acceleration": "lbfgs"}
    parameters["n_threads"] = 1
    best = search_in(X, 3, covariance_type="diag", **parameters).best_estimator_
    assert {name: getattr(best, name) for name in parameters} == parameters
    single = GaussianMixture(3, covariance_type="diag", random_state=0, **parameters).fit(X)
    np.testing.assert_array_equal(best.means_, single.means_)


@pytest.mark.parametrize("acceleration", [None, "lbfgs"])
def test_all_runs_of_a_search_are_accelerated(acceleration, monkeypatch, capsys):
    """Those from another type's fit, and from merged components, like those from the first starts."""
    begun, begin = [], LBFGS.begin
    monkeypatch.setattr(LBFGS, "begin", lambda self, memory: (begun.append(memory), begin(self, memory))[1])
    search_in(DATA["iris"], (2, 3), acceleration=acceleration, verbose=1)
    lines = [line for line in capsys.readouterr().out.splitlines() if "start " in line]
    assert any("start merged" in line for line in lines)
    assert begun == ([None] * len(lines) if acceleration else [])


def test_shared_starts_find_more_than_single_fits():
    """What makes the search more than a loop: another type's fit wins some candidates, merging others."""
    gains = []
    for data in DATA:
        X, search, singles = search_and_single_fits(data, "random", 1)
        candidates = candidates_of(search)
        gains += [candidates[key]["log_likelihood"] - log_likelihood(singles[key], X) for key in singles]
    assert max(gains) > 1.0
    starts = set(search.criterion_["start"])
    assert "merged" in starts
    assert starts & set(TYPES)


@pytest.mark.parametrize("seed", [0, 2])
def test_it_finds_clusters_that_are_stretched_side_by_side(seed):
    """k-means cuts them across, and EM stays there: then one component seems to be best (scikit-learn #34845)."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], 250)
    X = rng.normal(size=(500, 2)) * [30.0, 0.2] + np.column_stack([np.zeros(500), 2.0 * labels])
    X = X @ np.array([[0.8, 0.6], [-0.6, 0.8]])
    single = GaussianMixture(2, covariance_type="tied", random_state=0).fit(X)
    assert adjusted_rand_score(labels, single.predict(X)) < 0.1
    search = search_in(X, range(1, 7))
    assert search.n_components_ == 2
    assert adjusted_rand_score(labels, search.predict(X)) == 1.0
    assert "whitened" in search.criterion_["start"]


# The criteria ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_criterion_is_the_textbook_s(criterion, data, covariance_type):
    X = DATA[data]
    search = search_in(X, 3, covariance_type=covariance_type, criterion=criterion)
    log_prob_norm, resp, n_parameters = textbook(search.best_estimator_, X)
    deviance = -2 * log_prob_norm.sum()
    bic = deviance + n_parameters * np.log(len(X))
    expected = {
        "aic": deviance + 2 * n_parameters,
        "bic": bic,
        "icl": bic - 2 * np.log(resp.max(axis=1)).sum(),
    }
    assert search.criterion_["criterion"] == [pytest.approx(expected[criterion], rel=1e-11)]
    assert search.criterion_["n_parameters"] == [n_parameters]
    assert search.criterion_["log_likelihood"] == [pytest.approx(log_prob_norm.sum(), rel=1e-11)]


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl", "cv"])
def test_every_candidate_has_all_criteria(criterion):
    table = search_in(DATA["iris"], NUMBERS, criterion=criterion).criterion_
    deviance, n_parameters = -2 * table["log_likelihood"], table["n_parameters"]
    np.testing.assert_allclose(table["bic"], deviance + np.log(150) * n_parameters, rtol=1e-13)
    np.testing.assert_allclose(table["aic"], deviance + 2 * n_parameters, rtol=1e-13)
    assert (table["icl"] >= table["bic"]).all()
    np.testing.assert_array_equal(table["criterion"], table[criterion])
    assert ("cv" in table) == (criterion == "cv")


def test_ratios_of_weights_have_a_held_out_likelihood_only():
    X = blobs()
    search = search_in(X, (1, 2), criterion="cv", sample_weight=np.full(len(X), 1.0 / len(X)))
    table = search.criterion_
    assert "nan" not in str(search.summary())
    assert np.isfinite(table["cv"]).all()
    assert np.isnan([table[name] for name in ("bic", "aic", "icl")]).all()


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl", "cv"])
def test_the_lowest_criterion_is_chosen(criterion):
    X = DATA["iris"]
    search = search_in(X, NUMBERS, criterion=criterion)
    table = search.criterion_
    best = np.nanargmin(table["criterion"])
    assert (search.n_components_, search.covariance_type_) == (
        table["n_components"][best],
        table["covariance_type"][best],
    )
    mixture = search.best_estimator_
    assert isinstance(mixture, GaussianMixture)
    assert (mixture.n_components, mixture.covariance_type) == (search.n_components_, search.covariance_type_)
    assert log_likelihood(mixture, X) == pytest.approx(table["log_likelihood"][best], rel=1e-13)
    if criterion in ("bic", "aic"):
        assert getattr(mixture, criterion)(X) == pytest.approx(table["criterion"][best], rel=1e-13)


def test_old_faithful_as_published():
    """R's mclust chooses the same, EEE with 3 components. Its published ICL, 2357.824, is of EM stopped early, and from
    another start: converged, it is half a unit higher. The entropy of all responsibilities, in place of the most
    probable ones, would make it 40 higher."""
    X = DATA["old_faithful"]
    search = GaussianMixtureIC(random_state=0, reg_covar=0.0, tol=1e-10, max_iter=5000).fit(X)
    assert (search.n_components_, search.covariance_type_) == (3, "tied")
    best = candidates_of(search)[3, "tied"]
    assert best["criterion"] == pytest.approx(2314.2957, abs=1e-3)
    assert best["icl"] == pytest.approx(2357.824, abs=0.6)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_cross_validation_is_the_loop_over_folds(covariance_type, weighted):
    X = DATA["iris"]
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X)) if weighted else None
    parameters = {"covariance_type": covariance_type, "random_state": 4}
    search = search_in(X, 3, weights, criterion="cv", cv=4, **parameters)
    held_out = 0.0
    for train, test in KFold(4, shuffle=True, random_state=4).split(X):
        fold, rest = (None, None) if weights is None else (weights[train], weights[test])
        mixture = GaussianMixture(3, **parameters).fit(X[train], sample_weight=fold)
        held_out += log_likelihood(mixture, X[test], rest)
    assert search.criterion_["criterion"] == [pytest.approx(-2 * held_out, rel=1e-12)]
    # The chosen mixture, and the rest of the table, are of all rows.
    whole = GaussianMixture(3, **parameters).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(search.best_estimator_.means_, whole.means_)
    assert search.criterion_["log_likelihood"] == [pytest.approx(log_likelihood(whole, X, weights), rel=1e-13)]


def test_folds_of_scikit_learn():
    """A splitter, its splits and masks; the numbers are those of all rows, also of those without weight."""
    X, splitter = DATA["iris"], KFold(3, shuffle=True, random_state=4)
    expected = search_in(X, (1, 2), criterion="cv", cv=3, random_state=4).criterion_["cv"]
    splits = list(splitter.split(X))
    masks = [[np.isin(np.arange(len(X)), rows) for rows in split] for split in splits]
    for cv in (splitter, splits, iter(splits), masks):
        found = search_in(X, (1, 2), criterion="cv", cv=cv, random_state=4)
        np.testing.assert_array_equal(found.criterion_["cv"], expected)
    with_more = np.insert(X, 70, 99.0, axis=0)
    moved = [[rows + (rows >= 70) for rows in split] for split in splits]
    moved[0][0] = np.append(moved[0][0], 70)
    weights = np.where(np.arange(len(with_more)) == 70, 0.0, 1.0)
    found = search_in(with_more, (1, 2), weights, criterion="cv", cv=moved, random_state=4)
    np.testing.assert_allclose(found.criterion_["cv"], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (iter([]), "cv holds no fold: pass a list"),
        ([(range(20), [180])], "cv must hold pairs of row numbers or of masks: in fold 1, index 180"),
        ([(range(99), [100]), (range(99), [])], "Fold 2 of cv has n_samples=99 rows .* and 0 to hold out"),
        ([([1], [2])], "Fold 1 of cv has n_samples=1 rows to fit n_components=3"),
        ([(range(9), range(9, 18), [1])], "cv must hold pairs"),
        ([1, 2, 3], "cv must hold pairs"),
    ],
)
def test_bad_folds(cv, message):
    with pytest.raises(ValueError, match=message):
        search_in(blobs(), criterion="cv", cv=cv)


@pytest.mark.parametrize("criterion", ["bic", "icl", "cv"])
def test_the_true_number_is_chosen(criterion):
    search = search_in(blobs(), NUMBERS, criterion=criterion)
    assert search.n_components_ == 3
    assert set(np.bincount(search.predict(blobs()))) == {60}


# t distributions ------------------------------------------------------------------------------------------------------


def heavy_tails():
    """Two clusters of t distributions with three degrees of freedom."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.standard_t(3, (300, 2)), rng.standard_t(3, (200, 2)) * [0.5, 2.0] + [9, 3]])


@cache
def search_of_both(name="heavy", **parameters):
    X = heavy_tails() if name == "heavy" else blobs(150)
    return X, search_in(X, (3, 1, 2), distribution=("t", "gaussian"), **parameters)


def by_shape(search):
    columns = zip(*(search.criterion_[name].tolist() for name in search.criterion_), strict=True)
    rows = [dict(zip(search.criterion_, values, strict=True)) for values in columns]
    return {(row["n_components"], row["distribution"], row["covariance_type"]): row for row in rows}


def test_t_distributions_are_chosen_where_tails_are_heavy_and_only_there():
    X, search = search_of_both()
    assert (search.distribution_, search.n_components_) == ("t", 2)
    assert isinstance(search.best_estimator_, StudentTMixture)
    assert abs(search.best_estimator_.degrees_of_freedom_ - 3.5).max() < 1.5
    assert search.best_estimator_.bic(X) == pytest.approx(np.nanmin(search.criterion_["bic"]), rel=1e-13)
    assert search.bic(X) == search.best_estimator_.bic(X)
    X, search = search_of_both("blobs")
    assert (search.distribution_, search.n_components_) == ("gaussian", 3)
    assert type(search.best_estimator_) is GaussianMixture


def test_candidates_of_both_distributions_are_those_of_a_loop():
    """Gaussians do not change when t is searched, too; each t is at least as likely as the single fit, and equal to it
    if its start won."""
    X, search = search_of_both()
    found, gaussian, n_equal = by_shape(search), candidates_of(search_in(X, (1, 2, 3))), 0
    assert list(found) == [(K, kind, name) for K in (1, 2, 3) for kind in ("gaussian", "t") for name in TYPES_BY_SIZE]
    for (n_components, distribution, name), row in found.items():
        if distribution == "gaussian":
            of_gaussian = gaussian[n_components, name]
            assert all(row[column] == of_gaussian[column] for column in row if column != "seconds")
            continue
        single = StudentTMixture(n_components, covariance_type=name, random_state=0).fit(X)
        assert row["n_parameters"] == GaussianMixture(n_components, covariance_type=name).fit(X)._n_parameters() + (
            n_components
        )
        assert row["log_likelihood"] >= len(X) * single.score(X) - 1e-9
        if row["start"] == "kmeans":
            n_equal += 1
            assert row["bic"] == pytest.approx(single.bic(X), rel=1e-13)
            assert row["icl"] == pytest.approx(single.summary(X).icl, rel=1e-12)
    assert n_equal >= 4
    assert {"merged", "whitened", "diag"} <= {row["start"] for row in found.values() if row["distribution"] == "t"}


@pytest.mark.parametrize("init_params", ["kmeans", "split_merge"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_grid_of_one_t_candidate_is_a_single_fit(init_params, dtype):
    X, weights = heavy_tails().astype(dtype), np.arange(500) % 3 + 0.5
    common = {"covariance_type": "EVE", "init_params": init_params, "n_init": 2, "tol": 1e-4, "random_state": 5}
    best = search_in(X, 2, weights, distribution="t", stopping="aitken", **common).best_estimator_
    single = StudentTMixture(2, stopping="aitken", **common).fit(X, sample_weight=weights)
    assert best.get_params() == single.get_params()
    assert vars(best).keys() == vars(single).keys()
    for name in ("weights_", "means_", "scales_", "precisions_cholesky_", "degrees_of_freedom_", "lower_bounds_"):
        np.testing.assert_array_equal(getattr(best, name), getattr(single, name), err_msg=name)


def test_what_a_search_of_both_shows():
    _, search = search_of_both(verbose=1, covariance_type=("EEI", "full"))
    text = str(search.summary())
    assert f"2 t distributions, covariance type {search.covariance_type_!r}, BIC" in text.replace("\n", " ")
    assert "distribution" in text.split("difference")[0]
    assert "d.o.f." in text
    assert {each[4] for each in search.summary().best} == {"gaussian", "t"}
    copied = pickle.loads(pickle.dumps(search))
    assert str(copied.summary()) == text
    plt = pytest.importorskip("matplotlib.pyplot")
    from fastgmm.plotting import plot_components, plot_criterion

    lines = {line.get_label(): line for line in plot_criterion(search).get_lines()}
    assert {"EEI", "full", "t EEI", "t full"} <= lines.keys()
    row = by_shape(search)[2, "t", "full"]
    assert lines["t full"].get_ydata()[1] == row["bic"]
    (x,), (y,) = next(line.get_data() for line in plt.gca().get_lines() if line.get_markersize() == 13)
    assert (x, y) == (2, np.nanmin(search.criterion_["bic"]))
    plot_components(search, heavy_tails())
    plt.close("all")


def test_runs_of_both_distributions_are_as_many_as_announced():
    told = []
    search = GaussianMixtureIC((1, 2), covariance_type=("diag", "full"), distribution=("gaussian", "t"), n_init=2, cv=2)
    search.set_params(criterion="cv", random_state=0).fit(heavy_tails(), callback=told.append)
    runs = [progress for progress in told if progress.event == "candidate"]
    assert [progress.run for progress in runs] == list(range(1, runs[0].n_runs + 1))
    names = {(progress.candidate, progress.distribution, progress.covariance_type) for progress in runs}
    assert len(names) == 8
    assert "candidate 8 of 8, t full 2, start merged" not in str(runs[-1])
    assert any("candidate 4 of 8, t full 1, start kmeans" in str(progress) for progress in runs)
    X, held_out = heavy_tails(), 0.0
    for train, test in KFold(2, shuffle=True, random_state=0).split(X):
        search = search_in(X[train], 1, covariance_type="full", distribution="t")
        held_out += log_likelihood(search, X[test])
    (row,) = by_shape(search_in(X, 1, covariance_type="full", distribution="t", criterion="cv", cv=2)).values()
    assert row["cv"] == pytest.approx(-2 * held_out, rel=1e-12)


def test_a_search_of_both_over_batches_is_that_over_the_array():
    X, search = search_of_both()
    same_search(search_in(from_array(X, batch_rows=130), (3, 1, 2), distribution=("t", "gaussian")), search)


def test_t_distributions_that_collapse_are_never_chosen():
    search = search_in(with_copies(9), (2, 3), distribution="t", covariance_type=("EVE", "full"))
    assert any(search.criterion_["warning"])
    assert not by_shape(search)[search.n_components_, "t", search.covariance_type_]["warning"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("noise", True), ("noise", 2.0), ("prior", "weak"), ("missing", "marginalize"), ("acceleration", "lbfgs")],
)
def test_what_t_distributions_do_not_have_is_refused(name, value, monkeypatch):
    interrupt_after(monkeypatch, 0)
    search = GaussianMixtureIC(2, distribution=["gaussian", "t"], **{name: value})
    with pytest.raises(ValueError, match=rf"{name}={value!r} does not combine with distribution=.*distribution='gauss"):
        search.fit(blobs())


# The table ------------------------------------------------------------------------------------------------------------

COLUMNS = {
    "n_components": "i",
    "covariance_type": "U",
    "distribution": "U",
    "criterion": "f",
    "bic": "f",
    "aic": "f",
    "icl": "f",
    "log_likelihood": "f",
    "n_parameters": "i",
    "n_iter": "i",
    "converged": "b",
    "start": "U",
    "seconds": "f",
    "warning": "U",
}


def test_columns_of_the_table():
    search = search_in(DATA["iris"], (2, 1), covariance_type=["full", "diag"])
    table = search.criterion_
    assert {name: column.dtype.kind for name, column in table.items()} == COLUMNS
    assert list(candidates_of(search)) == [(1, "diag"), (1, "full"), (2, "diag"), (2, "full")]
    assert all(column.shape == (4,) for column in table.values())
    assert (table["seconds"] > 0).all()
    assert all(f"'{name}'" in GaussianMixtureIC.__doc__ for name in COLUMNS)
    assert isinstance(search.n_components_, int)
    assert isinstance(search.covariance_type_, str)


def test_the_table_is_a_data_frame():
    pytest.importorskip("pandas")
    search = search_in(with_copies(n_copies=9), NUMBERS, criterion="aic")
    frame = search.table()
    assert set(frame) == {*COLUMNS, "difference"}
    degenerate = frame["warning"] != ""
    assert 0 < degenerate.sum() < len(frame) == len(search.criterion_["aic"])
    assert degenerate.is_monotonic_increasing
    assert frame["aic"][~degenerate].is_monotonic_increasing
    assert frame["aic"][degenerate].isna().all()
    np.testing.assert_array_equal(frame["difference"], frame["aic"] - np.nanmin(search.criterion_["aic"]))
    np.testing.assert_array_equal(frame["aic"].sort_index(), search.criterion_["aic"])
    best = frame.iloc[0]
    assert (best["n_components"], best["covariance_type"]) == (search.n_components_, search.covariance_type_)


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl", "cv"])
def test_the_summary(criterion):
    X, weights = with_copies(n_copies=9), np.tile([1.0, 2.0, 3.0], 63)
    search = search_in(X, NUMBERS, weights, criterion=criterion, cv=2)
    table, summary = candidates_of(search), search.set_params(criterion="bic").summary()  # the search is what it was
    assert summary.criterion == criterion
    degenerate = {key: candidate["warning"] for key, candidate in table.items() if candidate["warning"]}
    assert {(number, name): reason for number, name, reason, _ in summary.left_out} == degenerate
    assert len(summary.best) + len(degenerate) == len(table)
    lowest = np.nanmin(search.criterion_["criterion"])
    for number, name, value, difference, _ in summary.best:
        assert value == table[number, name]["criterion"]
        assert difference == value - lowest
    assert summary.best == sorted(summary.best, key=lambda candidate: candidate[2])
    expected = search.best_estimator_.summary(X, weights)
    for name in ("log_likelihood", "bic", "aic", "icl", "n_rows"):
        assert getattr(summary.model, name) == pytest.approx(getattr(expected, name), rel=1e-12), name
    text = str(summary)
    label = criterion.upper()
    assert f"covariance type {search.covariance_type_!r}" in text
    assert f"{label} {lowest:.3f}." in text.replace("\n", " ")
    assert f"{len(degenerate)} candidates degenerated and cannot be chosen" in text
    assert str(search).splitlines()[0] == repr(search)
    assert f"Best of 20 candidates: {search.n_components_} components" in str(search)
    assert "<table" in summary._repr_html_()


def test_a_summary_lists_candidates_that_were_left_out_in_ranges():
    columns = search_in(blobs(), (1, 2, 4, 6, 7, 8), covariance_type=["diag", "full"]).criterion_
    lost = (columns["n_components"] > 1) & (columns["covariance_type"] == "full")
    changed = columns | {name: np.where(lost, np.nan, columns[name]) for name in ("criterion", "bic")}
    model = GaussianMixture(random_state=0).fit(blobs()).summary()
    assert "\nfull  2, 4, 6 to 8\n" in str(SearchSummary.of_table(changed, model))


def test_a_search_that_is_not_fitted_is_printed_as_its_call():
    assert str(GaussianMixtureIC(3)) == repr(GaussianMixtureIC(3)) == "GaussianMixtureIC(n_components=3)"
    with pytest.raises(NotFittedError):
        GaussianMixtureIC(3).summary()


def test_the_table_says_what_it_needs(monkeypatch):
    search = search_in(blobs(), 1, covariance_type="full")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="python -m pip install pandas"):
        search.table()


@pytest.mark.parametrize(
    ("n_components", "covariance_type", "n_candidates"),
    [
        (2, "full", 1),
        (np.int64(2), ["full"], 1),
        ([3, 1, 3], ("diag", "diag"), 2),
        (range(1, 4), "all", 42),
        (np.arange(1, 3), np.array(["tied", "full"]), 4),
    ],
    ids=str,
)
def test_ways_to_say_the_grid(n_components, covariance_type, n_candidates):
    search = GaussianMixtureIC(n_components, covariance_type=covariance_type, random_state=0)
    assert len(candidates_of(search.fit(blobs()))) == n_candidates
    assert search.n_components is n_components
    assert search.covariance_type is covariance_type


def test_verbose_prints_a_line_for_each_run(capsys):
    parameters = {"covariance_type": ["diag", "spherical"], "n_init": 2}
    search_in(blobs(), (1, 3), **parameters)
    assert capsys.readouterr().out == ""
    search = search_in(blobs(), (1, 3), verbose=1, **parameters)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("candidate")]
    for number, ((k, name), candidate) in enumerate(candidates_of(search).items(), 1):
        of_candidate = [line for line in lines if line.startswith(f"candidate {number} of 4, {name} {k}, start ")]
        starts = ["kmeans", "kmeans"] + ["spherical"] * int((k, name) == (3, "diag"))  # one component has one optimum
        assert [line.split("start ")[1].split(",")[0] for line in of_candidate] == starts
        assert any(
            f"start {candidate['start']}" in line and f"{candidate['n_iter']} iterations" in line
            for line in of_candidate
        )
        assert f"BIC {candidate['bic']:.8g}, " in of_candidate[-1]
    assert len(lines) == 9


# Candidates that degenerate ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl", "cv"])
def test_degenerate_candidates_are_reported_and_never_chosen(criterion):
    search = search_in(with_copies(n_copies=9), NUMBERS, criterion=criterion, cv=2)
    degenerate = {key for key, candidate in candidates_of(search).items() if candidate["warning"]}
    assert {(4, "full"), (4, "diag"), (4, "spherical")} <= degenerate
    assert not {(1, name) for name in TYPES} & degenerate
    assert (search.n_components_, search.covariance_type_) not in degenerate
    for key, candidate in candidates_of(search).items():
        assert np.isnan(candidate["criterion"]) == (key in degenerate)
        if key in degenerate:
            assert "collapsed: reg_covar=1e-06 is most of its least variance" in candidate["warning"]
            assert "Use fewer components" in candidate["warning"]
    # The collapsed candidate would have won.
    table = search.criterion_
    assert table["log_likelihood"].argmax() in np.flatnonzero(table["warning"] != "")


def test_covariances_that_are_not_positive_definite_are_reported():
    search = search_in(with_copies(), (1, 4), covariance_type="full", reg_covar=0.0)
    candidate = candidates_of(search)[4, "full"]
    assert np.isnan(candidate["criterion"])
    assert np.isnan(candidate["log_likelihood"])
    assert (candidate["n_iter"], candidate["converged"], candidate["start"]) == (0, False, "")
    assert "ill-defined" in candidate["warning"]
    assert np.isfinite(candidates_of(search)[1, "full"]["criterion"])


def test_a_collapse_without_regularization_is_reported():
    """Rounding leaves rows that are all the same a little variance: positive, but of no meaning."""
    search = search_in(with_copies(), (1, 4), covariance_type="spherical", reg_covar=0.0)
    assert candidates_of(search)[4, "spherical"]["warning"]
    assert search.n_components_ == 1


def test_a_collapsed_run_does_not_replace_a_sound_one():
    """The more likely of two runs is not the better one if it is likely for having collapsed."""
    X = DATA["iris"]
    lost = [key for key, candidate in candidates_of(search_in(X, range(1, 9))).items() if candidate["warning"]]
    for n_components, name in lost:
        single = GaussianMixture(n_components, covariance_type=name, random_state=0).fit(X)
        assert not is_sound(single), (n_components, name)


def test_all_degenerate_is_an_error_that_says_what_to_do():
    X = np.repeat([[0.0, 0.0], [1.0, 2.0], [5.0, 3.0]], 20, axis=0)
    with pytest.raises(
        ValueError, match=r"No fit of the search is usable: Component \d collapsed.* Try fewer"
    ) as caught:
        search_in(X, (3, 4))
    assert "larger reg_covar" in str(caught.value)
    assert ".." not in str(caught.value)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_constant_column_is_no_collapse(covariance_type):
    """The data are singular themselves, and all fits owe that column's variance to reg_covar."""
    X = np.column_stack([blobs(), np.ones(180)])
    search = search_in(X, NUMBERS[:3], covariance_type=covariance_type)
    assert not any(search.criterion_["warning"])
    assert search.n_components_ == 3


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_a_constant_column_does_not_hide_a_collapse(covariance_type):
    X = np.column_stack([with_copies(), np.ones(183)])
    search = search_in(X, (2, 4), covariance_type=covariance_type)
    assert search.criterion_["warning"][1]
    assert search.n_components_ == 2


def test_small_features_are_no_collapse():
    with pytest.warns(UserWarning, match=r"far above the variance of feature 0 \(2\.87e-07\)"):
        search = search_in(1e-4 * blobs())
    assert not any(search.criterion_["warning"])


# Weights, types, threads, random numbers ------------------------------------------------------------------------------

SETTLED = {"tol": 1e-11, "max_iter": 1000}  # so that equal optima give equal numbers, whatever the start


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_weights_are_repeated_rows(criterion):
    X = blobs()
    counts = np.random.default_rng(1).integers(1, 4, len(X))
    weighted = search_in(X, (1, 3), counts, criterion=criterion, **SETTLED)
    repeated = search_in(np.repeat(X, counts, axis=0), (1, 3), criterion=criterion, **SETTLED)
    for name in ("criterion", "log_likelihood"):
        np.testing.assert_allclose(weighted.criterion_[name], repeated.criterion_[name], rtol=1e-9)
    assert weighted.n_components_ == repeated.n_components_ == 3
    assert weighted.covariance_type_ == repeated.covariance_type_
    assert weighted.bic(X, sample_weight=counts) == pytest.approx(repeated.bic(np.repeat(X, counts, axis=0)), rel=1e-9)


@pytest.mark.parametrize("criterion", ["icl", "cv"])
def test_zero_weight_is_absence(criterion):
    X = DATA["iris"]
    weights = np.random.default_rng(1).integers(0, 3, len(X)) * 1.5
    kept = weights > 0
    assert not kept.all()
    search = search_in(X, NUMBERS, weights, criterion=criterion)
    absent = search_in(X[kept], NUMBERS, weights[kept], criterion=criterion)
    np.testing.assert_array_equal(search.criterion_["criterion"], absent.criterion_["criterion"])
    np.testing.assert_array_equal(
        clone(search).fit_predict(X, sample_weight=weights), absent.best_estimator_.predict(X)
    )


@pytest.mark.parametrize("criterion", ["bic", "icl", "cv"])
def test_float32(criterion):
    expected, actual = (
        search_in(blobs(dtype=dtype), criterion=criterion, **SETTLED | {"tol": 1e-6})
        for dtype in (np.float64, np.float32)
    )
    np.testing.assert_allclose(actual.criterion_["criterion"], expected.criterion_["criterion"], rtol=1e-4)
    assert actual.criterion_["criterion"].dtype == np.float64
    assert (actual.n_components_, actual.covariance_type_) == (expected.n_components_, expected.covariance_type_)
    assert actual.best_estimator_.means_.dtype == np.float32


@pytest.mark.usefixtures("threads_on_tiny_data")
@pytest.mark.parametrize("criterion", ["bic", "icl", "cv"])
def test_thread_count_does_not_matter(criterion):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 3)) + rng.integers(3, size=(3000, 1))
    one, two = (
        search_in(X, (1, 2), criterion=criterion, tol=0.0, max_iter=4, cv=2, n_threads=n_threads)
        for n_threads in (1, 2)
    )
    for name in ("criterion", "log_likelihood"):
        np.testing.assert_allclose(one.criterion_[name], two.criterion_[name], rtol=1e-12)
    assert (one.n_components_, one.covariance_type_) == (two.n_components_, two.covariance_type_)


@pytest.mark.parametrize("criterion", ["bic", "cv"])
@pytest.mark.parametrize("seed", [int, np.int64, np.random.RandomState])
def test_results_repeat_bitwise(seed, criterion):
    first, second = (
        search_in(DATA["iris"], NUMBERS, init_params="random", criterion=criterion, random_state=seed(7))
        for _ in range(2)
    )
    for name in COLUMNS.keys() - {"seconds"}:
        np.testing.assert_array_equal(first.criterion_[name], second.criterion_[name], err_msg=name)
    np.testing.assert_array_equal(first.best_estimator_.means_, second.best_estimator_.means_)


def test_a_random_state_moves_on():
    random_state = np.random.RandomState(0)
    first, second = (search_in(DATA["iris"], 5, init_params="random", random_state=random_state) for _ in range(2))
    assert (first.criterion_["log_likelihood"] != second.criterion_["log_likelihood"]).any()
    assert first.random_state is random_state


def test_without_a_seed():
    assert search_in(blobs(), random_state=None).n_components_ == 3


def test_global_random_numbers_are_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the very state that must not move
    search_in(blobs(), init_params="random", criterion="cv", random_state=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# Interrupts -----------------------------------------------------------------------------------------------------------


def interrupt_after(monkeypatch, n_fits):
    """Ctrl-C during a run of EM."""
    run_em, runs = fits.run_em, []

    def run_or_stop(*args, **kwargs):
        runs.append(args)
        if len(runs) > n_fits:
            raise KeyboardInterrupt
        return run_em(*args, **kwargs)

    monkeypatch.setattr(fits, "run_em", run_or_stop)


def test_an_interrupt_leaves_nothing(monkeypatch):
    interrupt_after(monkeypatch, 5)
    search = GaussianMixtureIC((1, 2, 3), random_state=0)
    with pytest.raises(KeyboardInterrupt):
        search.fit(blobs())
    assert not {"criterion_", "best_estimator_", "n_components_", "covariance_type_"} & vars(search).keys()
    with pytest.raises(NotFittedError):
        search.predict(blobs())


def test_an_interrupt_leaves_an_earlier_search(monkeypatch):
    search = search_in(DATA["old_faithful"])
    before = search.best_estimator_, search.criterion_, search.n_components_, search.covariance_type_
    interrupt_after(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        search.fit(blobs())
    after = search.best_estimator_, search.criterion_, search.n_components_, search.covariance_type_
    assert all(left is right for left, right in zip(before, after, strict=True))


def test_keep_ends_the_search_with_the_candidates_that_are_done(monkeypatch):
    """One type, and so at most two fits of a candidate until components are merged."""
    whole = candidates_of(search_in(blobs(), NUMBERS, covariance_type="full"))
    interrupt_after(monkeypatch, 5)
    search = GaussianMixtureIC(NUMBERS, covariance_type="full", random_state=0, on_interrupt="keep")
    with pytest.warns(UserWarning, match="The search was interrupted after 3 of 5 candidates") as record:
        search.fit(blobs())
    assert record[0].filename == __file__
    assert list(candidates_of(search)) == [(1, "full"), (2, "full"), (3, "full")]
    assert search.n_components_ == 3
    assert candidates_of(search)[3, "full"]["criterion"] == whole[3, "full"]["criterion"]
    assert set(np.bincount(search.predict(blobs()))) == {60}


def test_keep_without_a_single_candidate_raises_the_interrupt(monkeypatch):
    interrupt_after(monkeypatch, 0)
    search = GaussianMixtureIC((1, 2, 3), random_state=0, on_interrupt="keep")
    with pytest.raises(KeyboardInterrupt):
        search.fit(blobs())
    assert not hasattr(search, "best_estimator_")


# Units, memory, weights and folds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_units_do_not_hide_a_collapse(covariance_type, scale):
    """A sensor that is stuck in one of ten rows, beside a column in any units."""
    rng = np.random.default_rng(0)
    X = np.column_stack([scale * rng.normal(size=1000), np.r_[rng.normal(5, 1, 900), np.zeros(100)]])
    options = {"init_params": "k-means++", "n_init": 5, "tol": 1e-6, "max_iter": 1000, "random_state": 0}
    search = GaussianMixtureIC([1, 2], covariance_type=covariance_type, **options).fit(X)
    variances = search.best_estimator_.covariances_
    variances = variances.diagonal(axis1=1, axis2=2) if covariance_type == "full" else variances
    assert variances[:, 1].min() > 1e-3  # no component holds the stuck rows alone


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3e5, 1e7])
def test_units_do_not_make_a_collapse_of_narrow_clusters(scale):
    rng = np.random.default_rng(0)
    narrow = np.r_[rng.normal(-14, 0.2, 500), rng.normal(14, 0.2, 500)]
    X = np.column_stack([scale * rng.normal(size=1000), narrow])
    start = {"init_params": "random_from_data", "n_init": 5, "tol": 1e-9, "max_iter": 1000, "reg_covar": 1e-14}
    search = GaussianMixtureIC([1, 2], covariance_type=["diag", "full"], random_state=0, **start).fit(X)
    assert search.n_components_ == 2
    assert not any(search.criterion_["warning"])


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_merging_of_variances_makes_no_matrices(covariance_type):
    X = np.random.default_rng(0).normal(size=(300, 600))
    options = {"init_params": "random", "max_iter": 3, "tol": 0.0, "random_state": 0, "n_threads": 1}
    search = GaussianMixtureIC([7, 8], covariance_type=covariance_type, **options).fit(X)
    tracemalloc.start()
    try:
        search.fit(X)
        assert tracemalloc.get_traced_memory()[1] < 8 * 600 * 600 * 8
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_normalized_weights_are_refused(criterion):
    X = blobs()
    with pytest.raises(ValueError, match=r"The sum of sample_weight is 1,.*weights count rows"):
        GaussianMixtureIC([1, 2], criterion=criterion).fit(X, sample_weight=np.full(len(X), 1 / len(X)))


@pytest.mark.parametrize(("n_rows", "cv"), [(10, 5), (5, 7)])
def test_folds_that_are_too_small_are_refused_before_any_fit(n_rows, cv, monkeypatch):
    interrupt_after(monkeypatch, 0)
    numbers = range(1, 10) if n_rows >= 9 else (1, 2)
    with pytest.raises(ValueError, match=rf"cv={cv} folds of n_samples={n_rows} rows leave too few"):
        GaussianMixtureIC(numbers, criterion="cv", cv=cv).fit(blobs()[:n_rows])


# Bad input ------------------------------------------------------------------------------------------------------------

BAD_PARAMETERS = [
    *(
        ("n_components", value)
        for value in (True, iter([1, 2]), 0, -1, None, 2.0, [], "x", "3", [1, 2.5], [1, "2"], [0, 1], [[1], [2]])
    ),
    *(("distribution", value) for value in ("student", "", None, 3, [], ["t", "normal"], [3])),
    *(("covariance_type", value) for value in ("diagonal", "", None, 3, [], ["full", "round"], ["all"], [3])),
    *(("criterion", value) for value in ("BIC", "", None, 1)),
    *(("cv", value) for value in (1, 0, 2.0, "5", None)),
    *(("on_interrupt", value) for value in ("stop", None, True)),
    ("tol", -1.0),
    ("reg_covar", None),
    ("max_iter", 1.5),
    ("n_init", 0),
    ("init_params", "kmeans++"),
    ("random_state", "seed"),
    ("stopping", "relative"),
    ("acceleration", "squarem"),
    ("n_threads", 0),
    ("verbose", "loud"),
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS, ids=str)
def test_bad_parameter(name, value):
    search = GaussianMixtureIC().set_params(**{name: value})
    with pytest.raises(
        ValueError, match=rf"The '{name}' parameter of GaussianMixtureIC must be .* Got .* instead\. \w+"
    ) as caught:
        search.fit(blobs())
    assert isinstance(caught.value, TypeError)  # scikit-learn's InvalidParameterError is both
    assert repr(value) in str(caught.value)


def test_more_components_than_rows():
    with pytest.raises(ValueError, match=r"n_components = 9, n_samples = 8 .*: use fewer components or more data"):
        GaussianMixtureIC().fit(blobs()[:8])
    weights = np.r_[np.ones(4), np.zeros(176)]
    with pytest.raises(ValueError, match="n_components = 5, n_samples = 4"):
        GaussianMixtureIC(5).fit(blobs(), sample_weight=weights)


def test_more_components_than_rows_of_a_fold():
    with pytest.raises(ValueError, match="cv=2 folds of n_samples=10 rows leave too few to fit n_components=7"):
        search_in(blobs()[::18], 7, covariance_type="tied", criterion="cv", cv=2)


def test_more_folds_than_rows():
    with pytest.raises(ValueError, match=r"20.*8"):
        search_in(blobs()[:8], 1, criterion="cv", cv=20)


@pytest.mark.parametrize(
    ("sample_weight", "message"), [([1.0, 2.0], "expected"), (-np.ones(180), "Negative"), (np.zeros(180), "zero")]
)
def test_bad_weights(sample_weight, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixtureIC(2).fit(blobs(), sample_weight=sample_weight)


# Rows that are not in memory -----------------------------------------------------------------------------------------


def same_search(found, expected):
    """Whether two searches have the same candidates, chosen alike, with equal criteria up to rounding."""
    for name in ("n_components", "covariance_type", "distribution"):
        np.testing.assert_array_equal(found.criterion_[name], expected.criterion_[name])
    np.testing.assert_array_equal(found.criterion_["warning"] == "", expected.criterion_["warning"] == "")
    for name in ("bic", "aic", "icl", "log_likelihood"):
        np.testing.assert_allclose(found.criterion_[name], expected.criterion_[name], rtol=1e-9)
    assert (found.n_components_, found.covariance_type_) == (expected.n_components_, expected.covariance_type_)
    np.testing.assert_allclose(found.best_estimator_.means_, expected.best_estimator_.means_, rtol=1e-7)


@pytest.mark.parametrize("options", [{}, {"criterion": "icl", "acceleration": "lbfgs"}], ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_a_search_over_batches_is_that_over_the_array(weighted, options):
    X = np.tile(with_copies(n_copies=9), (3, 1))
    weights = np.random.default_rng(0).integers(0, 9, len(X)).astype(float) if weighted else None
    search = search_in(from_array(X, weights, batch_rows=100), NUMBERS, **options)
    expected = search_in(X, NUMBERS, weights, **options)
    same_search(search, expected)
    assert (expected.criterion_["warning"] != "").any()
    assert search.best_estimator_.n_samples_seen_ == expected.best_estimator_.n_samples_seen_
    assert search.summary().model.icl == pytest.approx(expected.summary().model.icl, rel=1e-9)


def test_datasets_and_memory_maps_of_integers_are_read_in_blocks(tmp_path, monkeypatch):
    X = (blobs() * 100).astype(np.int16)
    np.save(tmp_path / "rows.npy", X)
    expected = search_in(X.astype(float))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 16 * 50)  # 50 rows
    same_search(search_in(mapped), expected)
    weights = np.arange(1.0, len(X) + 1.0)
    same_search(search_in(mapped, sample_weight=weights), search_in(X.astype(float), sample_weight=weights))
    zarr = pytest.importorskip("zarr")
    same_search(search_in(zarr.array(X, chunks=(40, 2))), expected)


def test_a_search_over_files_and_its_results(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(blobs(), columns=["height", "width"])
    frame[:100].to_parquet(tmp_path / "0.parquet")
    frame[100:].to_parquet(tmp_path / "1.parquet")
    reader = from_parquet(tmp_path)
    search = GaussianMixtureIC((2, 3), covariance_type=["diag", "full"], random_state=0).fit(reader)
    assert list(search.feature_names_in_) == list(search.best_estimator_.feature_names_in_) == ["height", "width"]
    out = np.empty(len(frame), int)
    assert search.predict(reader, out=out) is out
    np.testing.assert_array_equal(out, search.predict(frame))
    assert search.bic(reader) == pytest.approx(search.bic(frame))
    np.testing.assert_array_equal(search.predict_proba(reader), search.predict_proba(frame))


def test_many_rows_start_on_a_sample_as_fit_batches_does(monkeypatch):
    monkeypatch.setattr(search_rows, "START_ROWS", 80)
    reader = from_array(blobs(), batch_rows=50)
    search = search_in(reader, 3, covariance_type="full")
    single = GaussianMixture(3, random_state=0).fit_batches(reader, start_rows=80)
    np.testing.assert_array_equal(search.best_estimator_.means_, single.means_)


def test_criteria_of_all_candidates_take_one_reading(monkeypatch):
    reader = from_array(blobs(), batch_rows=50)
    read, readings = reader.batches_with_places, []
    monkeypatch.setattr(reader, "batches_with_places", lambda: readings.append(1) or read())
    search_in(reader, (1, 2, 3), covariance_type=["diag", "full"], max_iter=0)
    n_runs = 6 + 2 + 2 + 2  # from init_params; with more than one component: whitened, from the other type, merged
    # The survey; mean, variances and covariance of all rows; the log-likelihood of each run; the criteria.
    assert len(readings) == 1 + 3 + n_runs + 1


def test_a_search_over_batches_holds_no_rows(monkeypatch):
    monkeypatch.setattr(search_rows, "START_ROWS", 1_000)
    X = np.random.default_rng(0).normal(size=(200_000, 4)).astype(np.float32)
    reader = from_array(X, batch_rows=10_000)
    search_in(reader, 1, covariance_type="diag")
    tracemalloc.start()
    try:
        search_in(reader, (1, 2), covariance_type="diag", max_iter=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * X.nbytes


@pytest.mark.parametrize("as_rows", [from_array, lambda X: np.asfortranarray(X).view(np.memmap)], ids=["reader", "map"])
def test_cross_validation_needs_rows_in_memory(as_rows):
    with pytest.raises(ValueError, match=r"criterion='cv' needs rows in memory, got .*: use criterion='bic', 'aic'"):
        search_in(as_rows(blobs()), criterion="cv")


def test_bad_batches():
    with pytest.raises(TypeError, match="a reader brings the weights itself"):
        search_in(from_array(blobs()), sample_weight=np.ones(180))
    with pytest.raises(ValueError, match="use fewer components or more data"):
        search_in(from_array(blobs()[:4]), 5)
    with pytest.raises(ValueError, match=r"sum of sample_weight is 1, which criterion='bic'"):
        search_in(from_array(blobs(), np.full(180, 1 / 180)))


# What the methods of a mixture get; rows, if it is not here.
ARGUMENTS = {
    "sample": (7,),
    "marginal": (1,),
    "condition": (0, 2.0),
    "predict_conditional": (0, blobs()[::2, :1]),
    "impute": ([[1.0, np.nan]],),
    "cdf": ([1.0, 2.0],),
    "quantile": (0.3,),
    "diagnose": (blobs()[::2], np.arange(90.0)),
    "merge_components": (blobs()[::2], np.arange(90.0)),
}
PASSED_ON = sorted(name for name in vars(ChosenMixture) if not name.startswith("_"))


@pytest.mark.parametrize("method", PASSED_ON)
def test_methods_are_those_of_the_chosen_mixture(method):
    arguments = ARGUMENTS.get(method, [blobs()[::2]])
    with pytest.raises(NotFittedError):
        getattr(GaussianMixtureIC(), method)(*arguments)
    search = search_in(blobs()[:, :1] if method in ("cdf", "quantile") else blobs())
    actual, expected = (getattr(each, method)(*arguments) for each in (search, search.best_estimator_))
    if hasattr(expected, "__dict__"):  # a mixture, a diagnosis, or merged components
        actual, expected = vars(actual) | {"_mixture": 0}, vars(expected) | {"_mixture": 0}
    np.testing.assert_equal(actual, expected)


def test_no_method_of_a_mixture_is_forgotten():
    methods = {name for name in dir(GaussianMixture) if callable(getattr(GaussianMixture, name)) and name[0] != "_"}
    lacks = methods - set(dir(GaussianMixtureIC))
    assert {name for name in lacks if not name.startswith("onnx")} == {
        *("fit_batches", "partial_fit", "set_partial_fit_request"),
        *("from_sklearn", "to_sklearn"),
    }


def test_a_first_fit_that_fails_leaves_an_unfitted_search():
    search = GaussianMixtureIC((3, 4))
    with pytest.raises(ValueError, match="No fit"):
        search.fit(np.repeat([[0.0, 0.0], [1.0, 2.0], [5.0, 3.0]], 20, axis=0))
    with pytest.raises(NotFittedError):
        search.predict(blobs())


def test_a_later_fit_that_fails_leaves_the_old_one():
    search = search_in(blobs())
    before = search.predict_proba(blobs())
    with pytest.raises(ValueError, match="scale the features"):
        search.fit(blobs() * 1e200)
    np.testing.assert_array_equal(search.predict_proba(blobs()), before)


# A good citizen of scikit-learn ---------------------------------------------------------------------------------------

ESTIMATOR_CHECKS = list(estimator_checks_generator(GaussianMixtureIC(n_components=(1, 2, 3))))


@pytest.mark.filterwarnings("ignore:y is ignored, but looks like weights")  # some checks pass 0.0 and 1.0 as y
@pytest.mark.parametrize(
    ("estimator", "check"), ESTIMATOR_CHECKS, ids=lambda value: value.func.__name__ if hasattr(value, "func") else ""
)
def test_scikit_learn_estimator_checks(estimator, check):
    check(estimator)


def test_clones_and_pickles():
    search = search_in(blobs(), [1, 2, 3], covariance_type=["diag", "full"], criterion="icl")
    twin = clone(search)
    assert twin.get_params() == search.get_params()
    assert not hasattr(twin, "best_estimator_")
    assert twin.fit(blobs()).n_components_ == search.n_components_
    copy = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(copy.predict_proba(blobs()), search.predict_proba(blobs()))
    np.testing.assert_equal(copy.criterion_, search.criterion_)


def test_in_a_pipeline():
    X = blobs() * [1.0, 1e4]
    pipeline = make_pipeline(StandardScaler(), GaussianMixtureIC((1, 2, 3, 4), random_state=0)).fit(X)
    assert pipeline[-1].n_components_ == 3
    assert set(np.bincount(pipeline.predict(X))) == {60}
    scaled = StandardScaler().fit_transform(X)
    assert pipeline.score(X) == pipeline[-1].best_estimator_.score(scaled)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_and_feature_names(library):
    frames = pytest.importorskip(library)
    frame = frames.DataFrame(dict(zip("ab", blobs().T, strict=True)))
    search = search_in(frame)
    assert list(search.feature_names_in_) == list(search.best_estimator_.feature_names_in_) == ["a", "b"]
    np.testing.assert_array_equal(search.predict(frame), search_in(blobs()).predict(blobs()))
    with pytest.raises(ValueError, match="feature names"):
        search.predict(frame[["b", "a"]])
    search.fit(blobs())
    assert not hasattr(search, "feature_names_in_")
    assert not hasattr(search.best_estimator_, "feature_names_in_")


def test_a_single_feature():
    search = search_in(blobs()[:, :1] * [20.0], (1, 2))
    assert search.n_features_in_ == search.best_estimator_.n_features_in_ == 1


def test_draws_are_those_of_the_chosen_mixture():
    search = search_in(blobs(), (1, 3))
    np.testing.assert_equal(search.sample(9, random_state=5), search.best_estimator_.sample(9, random_state=5))
    assert (search.sample(9, random_state=5)[0] != search.sample(9)[0]).any()


def test_the_chosen_fit_that_did_not_converge_warns_where_fit_was_called():
    message = (
        r"Best performing .* did not converge\. .*The chosen fit, tied with n_components=3, has reached max_iter=1"
    )
    with pytest.warns(ConvergenceWarning, match=message) as record:
        GaussianMixtureIC((1, 3), max_iter=1, random_state=0).fit(blobs())
    assert record[0].filename == __file__


@pytest.mark.filterwarnings("error")
def test_fits_that_are_not_chosen_do_not_warn():
    search = search_in(DATA["old_faithful"], (1, 2, 9), max_iter=15)
    assert not search.criterion_["converged"].all()
    assert search.best_estimator_.converged_
