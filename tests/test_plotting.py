"""Pictures: that what is drawn is where the mixture is, whatever the mixture, the data and the style."""

import doctest
from copy import copy
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.mixture
from scipy.integrate import trapezoid
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC, StudentTMixture, plotting
from fastgmm._model.covariance import SKLEARN_TYPES
from fastgmm.datasets import load_old_faithful
from fastgmm.plotting import (
    plot_components,
    plot_convergence,
    plot_criterion,
    plot_density,
    plot_distances,
    plot_merging,
    plot_pairs,
    plot_uncertainty,
)

mpl = pytest.importorskip("matplotlib")
pd = pytest.importorskip("pandas")
mpl.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
from matplotlib.collections import PathCollection  # noqa: E402
from matplotlib.colors import to_rgb  # noqa: E402
from matplotlib.patches import PathPatch  # noqa: E402

from fastgmm._plots.drawing import palette  # noqa: E402


@pytest.fixture(autouse=True)
def _every_figure_can_be_drawn():
    yield
    figures = [plt.figure(number) for number in plt.get_fignums()]
    try:
        for figure in figures:
            figure.canvas.draw()
    finally:
        plt.close("all")


@pytest.fixture(scope="module")
def faithful():
    X = load_old_faithful()
    return GaussianMixture(2, random_state=0).fit(X), X


@pytest.fixture(scope="module")
def iris():
    X = load_iris().data
    return GaussianMixture(3, random_state=0).fit(X), X


def full_covariances(mixture):
    """Covariance matrices by scikit-learn's definition of each type."""
    n_components, n_features = mixture.means_.shape
    return {
        "full": lambda c: c,
        "tied": lambda c: np.array([c] * n_components),
        "diag": lambda c: np.array([np.diag(variances) for variances in c]),
        "spherical": lambda c: np.array([variance * np.eye(n_features) for variance in c]),
    }[mixture.covariance_type](mixture.covariances_.astype(float))


def marginal_density(mixture, points, features):
    """Sum of the components' marginals, by SciPy."""
    matrices = full_covariances(mixture)
    return sum(
        weight * multivariate_normal(mean[features], matrix[np.ix_(features, features)]).pdf(points)
        for weight, mean, matrix in zip(mixture.weights_, mixture.means_, matrices, strict=True)
    )


def ellipses(ax):
    return [patch for patch in ax.patches if isinstance(patch, PathPatch) and not patch.get_fill()]


def squared_distances(ellipse, mean, covariance):
    """Squared Mahalanobis distances of points on the outline; every third vertex of a cubic Bezier curve is one."""
    difference = ellipse.get_path().vertices[:-1:3] - mean
    return np.einsum("ij,ij->i", difference @ np.linalg.inv(covariance), difference)


def new_mixture(library, covariance_type):
    classes = {
        "fastgmm": GaussianMixture,
        "sklearn": sklearn.mixture.GaussianMixture,
        "bayesian": sklearn.mixture.BayesianGaussianMixture,
    }
    return classes[library](n_components=3, covariance_type=covariance_type, random_state=0, max_iter=500, tol=1e-2)


# Components ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["fastgmm", "sklearn", "bayesian"])
@pytest.mark.parametrize("covariance_type", SKLEARN_TYPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_ellipses_are_contours_of_the_marginal_components(library, covariance_type, dtype):
    X = load_iris().data.astype(dtype)
    mixture = new_mixture(library, covariance_type).fit(X)
    ax = plot_components(mixture, X, features=[3, 1], n_std=1.5)
    drawn = ellipses(ax)
    assert len(drawn) == 3
    for ellipse, mean, covariance in zip(drawn, mixture.means_, full_covariances(mixture), strict=True):
        distances = squared_distances(ellipse, mean[[3, 1]], covariance[np.ix_([3, 1], [3, 1])])
        np.testing.assert_allclose(distances, 1.5**2, rtol=1e-4 if dtype == np.float32 else 1e-9)


def test_ellipses_of_features_of_very_different_scale(faithful):
    _, X = faithful
    scales = np.array([1e-6, 1e6])
    mixture = GaussianMixture(2, reg_covar=0, random_state=0).fit(X * scales)
    drawn = ellipses(plot_components(mixture))
    for ellipse, mean, covariance in zip(drawn, mixture.means_, mixture.covariances_, strict=True):
        vertices = ellipse.get_path().vertices[:-1:3] / scales
        whitened = (vertices - mean / scales) @ np.linalg.cholesky(np.linalg.inv(covariance / np.outer(scales, scales)))
        np.testing.assert_allclose((whitened**2).sum(axis=1), 4.0, rtol=1e-9)


def test_ellipses_and_data_are_within_the_axes(faithful):
    mixture, X = faithful
    ax = plot_components(mixture, X, n_std=4)
    outlines = [ellipse.get_path().get_extents() for ellipse in ellipses(ax)]
    for (low, high), axis in zip((ax.get_xlim(), ax.get_ylim()), ("interval" + c for c in "xy"), strict=True):
        assert low < min(min(getattr(outline, axis)) for outline in outlines)
        assert high > max(max(getattr(outline, axis)) for outline in outlines)
    assert ax.get_ylim()[1] > X[:, 1].max()


def test_dots_have_color_and_shape_of_their_component(faithful):
    mixture, X = faithful
    ax = plot_components(mixture, X)
    labels = mixture.predict(X)
    markers = set()
    for k, (dots, ellipse) in enumerate(zip(ax.collections, ellipses(ax), strict=True)):
        np.testing.assert_array_equal(dots.get_offsets(), X[labels == k])
        np.testing.assert_allclose(dots.get_facecolor()[0, :3], ellipse.get_edgecolor()[:3])
        markers.add(dots.get_paths()[0].vertices.tobytes())
    assert len(markers) == 2


@pytest.mark.parametrize(("n_samples", "n_drawn"), [(10_000, 10_000), (10_001, None)])
@pytest.mark.parametrize("plot", [plot_components, plot_density])
def test_many_rows_are_counted_in_hexagons(faithful, plot, n_samples, n_drawn):
    mixture, _ = faithful
    X = mixture.sample(n_samples)[0]
    collections = plot(mixture, X).collections
    drawn = collections[0]
    if n_drawn:
        dots = [each for each in collections if isinstance(each, PathCollection)]
        assert sum(len(each.get_offsets()) for each in dots) == n_drawn
    else:
        assert drawn.get_array().sum() == n_samples
        assert len(drawn.get_array()) < n_samples / 4


def test_light_components_fade_or_are_left_out():
    mixture = GaussianMixture(4, random_state=0).fit(load_old_faithful())
    mixture.weights_ = np.array([0.55, 0.4, 0.0491, 0.0009])
    ax = plot_components(mixture)
    assert len(ellipses(ax)) == 3
    strengths = [ellipse.get_alpha() for ellipse in ellipses(ax)]
    assert strengths == sorted(strengths, reverse=True)
    assert ax.get_legend().get_title().get_text() == "3 of 4\ncomponents"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0: 55%", "1: 40%", "2: 5%"]


def test_a_bayesian_mixture_shows_what_it_kept(faithful):
    _, X = faithful
    mixture = BayesianGaussianMixture(n_components=10, random_state=0, max_iter=2000).fit(X)
    ax = plot_components(mixture, X)
    assert len(ellipses(ax)) == np.count_nonzero(mixture.weights_ > 0.01) == 2
    one = plot_components(mixture, X, features=1)
    assert max(np.max(line.get_ydata(), initial=0) for line in one.lines) < one.get_ylim()[1]
    assert max(patch.get_data().values.max() for patch in one.patches) < one.get_ylim()[1]


@pytest.mark.parametrize("features", [[0, 1], [0]])
def test_thirty_components_can_be_told_apart_and_named(features):
    X = np.random.default_rng(0).normal(size=(3000, 2))
    mixture = GaussianMixture(30, max_iter=0, random_state=0).fit(X)
    ax = plot_components(mixture, X, features=features)
    np.testing.assert_array_equal(numbers(ax), np.arange(30))
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        f"{k}: {weight:.0%}" if weight >= 0.01 else f"{k}: {weight:.1%}" for k, weight in enumerate(mixture.weights_)
    ]
    ax.figure.canvas.draw()
    assert legend.get_window_extent().height < ax.figure.bbox.height
    boxes = [text.get_bbox_patch().get_window_extent() for text in numbered(ax)]
    overlaps = [a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i]]
    assert sum(overlaps) <= 3  # places are found before the layout of the figure is
    if len(features) == 2:
        styles = {(handle.get_color(), handle.get_marker()) for handle in legend.legend_handles}
        assert len(styles) == 30


def numbered(ax):
    return sorted((text for text in ax.texts if text.get_text().isdigit()), key=lambda text: int(text.get_text()))


def numbers(ax):
    return [int(text.get_text()) for text in numbered(ax)]


def test_neighbors_differ_in_color():
    """On a line of 30 components the colors of 8 neighbors are those of the palette."""
    means = np.random.default_rng(0).permutation(30).astype(float)
    X = (means + np.random.default_rng(1).normal(scale=0.1, size=(50, 30))).reshape(-1, 1)
    start = {"means_init": means[:, np.newaxis], "precisions_init": np.full((30, 1, 1), 100.0)}
    mixture = GaussianMixture(30, **start).fit(X)
    handles = plot_components(mixture).get_legend().legend_handles
    colors = np.array([handle.get_color() for handle in handles])[np.argsort(mixture.means_[:, 0])]
    assert len(set(colors)) == 8
    gaps = [np.diff(np.flatnonzero(colors == color)).min() for color in set(colors)]
    assert min(gaps) >= 3


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_colors_stand_out_from_the_background(style):
    with plt.style.context(style):
        ax = plt.figure().add_subplot()
        colors = [to_rgb(color) for color in palette(ax)]
    background = np.mean(to_rgb(ax.get_facecolor()))
    linear = np.where(
        np.array(colors) <= 0.03928, np.array(colors) / 12.92, ((np.array(colors) + 0.055) / 1.055) ** 2.4
    )
    luminances = linear @ [0.2126, 0.7152, 0.0722]
    contrasts = (np.maximum(luminances, background) + 0.05) / (np.minimum(luminances, background) + 0.05)
    assert min(contrasts) > 2.6


@pytest.mark.parametrize("covariance_type", SKLEARN_TYPES)
def test_a_single_feature_has_curves_that_integrate_to_the_weights(iris, covariance_type):
    _, X = iris
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0, max_iter=500).fit(X)
    ax = plot_components(mixture, X, features=2)
    *curves, total = [line for line in ax.lines if len(line.get_xdata()) > 1]
    np.testing.assert_allclose([trapezoid(*line.get_data()[::-1]) for line in curves], mixture.weights_, rtol=2e-3)
    x, y = total.get_data()
    np.testing.assert_allclose(y, marginal_density(mixture, x, [2]), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose([text.xy[0] for text in numbered(ax)], mixture.means_[:, 2])


@pytest.mark.parametrize("plot", [plot_components, plot_density, plot_uncertainty, plot_pairs])
def test_data_of_one_feature_need_no_features(plot):
    X = load_old_faithful()[:, 1:]
    mixture = GaussianMixture(2, random_state=0).fit(X)
    ax = np.ravel(plot(mixture, X))[0]
    assert ax.get_xlabel() == "feature 0"
    assert ax.get_ylabel() == ("responsibility" if plot is plot_uncertainty else "density")


# Names, axes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plot", [plot_components, plot_density, plot_uncertainty])
@pytest.mark.parametrize("features", [("b", "a"), [1, 0], np.array([1, 0]), (np.int64(1), "a")])
def test_names_of_a_data_frame(faithful, plot, features):
    X = pd.DataFrame(faithful[1], columns=["a", "b"])
    mixture = sklearn.mixture.GaussianMixture(2, random_state=0).fit(X)
    ax = plot(mixture, X, features=features)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("b", "a")
    assert ax.get_xlim()[1] > X["b"].max()


def test_names_of_the_data_serve_a_mixture_that_has_none(faithful):
    mixture, X = faithful
    with pytest.warns(UserWarning, match="fitted without feature names"):
        ax = plot_components(mixture, pd.DataFrame(X, columns=["a", "b"]))
    assert ax.get_xlabel() == "a"


@pytest.mark.parametrize("plot", [plot_components, plot_density, plot_uncertainty])
def test_axes_are_the_given_ones_or_new(faithful, plot):
    mixture, X = faithful
    given = plt.figure().add_subplot()
    assert plot(mixture, X, ax=given) is given
    assert plot(mixture, X) is not given


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_many_components_stand_out_from_the_background(style):
    X = np.random.default_rng(0).normal(size=(300, 2))
    mixture = GaussianMixture(12, max_iter=0, random_state=0).fit(X)
    with plt.style.context(style):
        ax = plot_components(mixture)
    luminances = [np.dot(ellipse.get_edgecolor()[:3], [0.2126, 0.7152, 0.0722]) for ellipse in ellipses(ax)]
    assert np.min(np.abs(np.subtract(luminances, ax.get_facecolor()[0]))) > 0.15


def test_transparent_axes_on_a_dark_figure(faithful):
    with plt.style.context(["dark_background", {"axes.facecolor": "none"}]):
        ax = plot_uncertainty(*faithful)
        dots = ax.collections[0]
    darkest = dots.get_cmap()(0.0)[:3]
    assert 0.1 < np.mean(darkest) < 0.4


# Limits --------------------------------------------------------------------------------------------------------------


def test_far_rows_and_components_are_named_at_the_edge(faithful):
    _, X = faithful
    far = np.vstack([X, [[1e4, 60.0], [-90.0, 70.0], [-90.0, 75.0]]])
    mixture = GaussianMixture(3, random_state=0).fit(far[:-2])
    k = mixture.means_[:, 0].argmax()
    assert mixture.means_[k, 0] == pytest.approx(1e4)
    usual = plot_components(GaussianMixture(2, random_state=0).fit(X), X)
    for plot in (plot_components, plot_density, plot_uncertainty):
        ax = plot(mixture, far)
        low, high = ax.get_xlim()
        assert -5 < low < X[:, 0].min()
        assert X[:, 0].max() < high < 10
        words = {text.get_text() for text in ax.texts if not text.get_text().isdigit()}
        assert words == {f"1 row, component {k} ▶", "◀ 2 rows"}
    np.testing.assert_allclose(plot_components(mixture, X).get_ylim(), usual.get_ylim(), rtol=0.1)


def test_a_small_cluster_some_way_off_is_in_the_picture():
    random = np.random.default_rng(0)
    X = np.concatenate([random.normal(size=(970, 2)), random.normal(25.0, size=(30, 2))])
    ax = plot_components(GaussianMixture(2, random_state=0).fit(X), X)
    assert ax.get_xlim()[1] > X[:, 0].max()
    assert numbers(ax) == [0, 1]


def test_a_narrow_component_leaves_the_axes_at_the_top():
    random = np.random.default_rng(0)
    X = np.concatenate([random.normal(size=(300, 1)), random.normal(1.0, 1e-3, size=(300, 1))])
    mixture = GaussianMixture(2, means_init=[[0.0], [1.0]], reg_covar=0.0).fit(X)
    ax = plot_components(mixture, X)
    wide = max(max(line.get_ydata()) for line in ax.lines[:1])
    assert np.interp(0.99, *ax.lines[1].get_data()) < 0.01 * wide  # the peak stands on the axis, vertically
    assert wide < ax.get_ylim()[1] < 30 * wide
    assert [text.get_text() for text in ax.texts] == ["0", "▲ 1"]
    assert plot_density(mixture, X).get_ylim()[1] < 30 * wide
    log = plt.figure().add_subplot(yscale="log")
    plot_components(mixture, X, ax=log)
    assert 0 < log.get_ylim()[0] < 0.1 * wide
    assert log.get_ylim()[1] > 100
    assert [text.get_text() for text in log.texts] == ["0", "1"]


@pytest.mark.parametrize("plot", [plot_components, plot_density, plot_uncertainty])
def test_logarithmic_axes_are_refused(faithful, plot):
    for scales, name in (({"xscale": "log"}, "x"), ({"yscale": "symlog"}, "y")):
        ax = plt.figure().add_subplot(**scales)
        with pytest.raises(ValueError, match=f"its {name} axis has the scale .*log'.* fit to np.log"):
            plot(*faithful, ax=ax)
        assert not ax.has_data()


def test_legends_stay_off_the_neighbor(faithful):
    mixture, X = faithful
    for layout in (None, "constrained", "tight"):
        figure, axes = plt.subplots(1, 3, layout=layout)
        plot_components(mixture, X, ax=axes[0])
        plot_density(mixture, X, ax=axes[1])
        figure.canvas.draw()
        for ax, neighbor in pairwise(axes):
            legend = ax.get_legend().get_window_extent()
            assert not legend.overlaps(neighbor.get_window_extent())
            assert legend.x1 <= ax.get_window_extent().x1 or layout


def test_a_further_legend_has_the_entries_of_the_picture(faithful):
    ax = plot_density(*faithful)
    ax.plot(3, 60, "kx", label="mine")
    assert [text.get_text() for text in ax.legend().get_texts()] == ["99%", "95%", "90%", "75%", "50%", "mine"]


def test_long_names_are_in_several_lines(iris):
    name = "mean_concavity_of_the_cell_nucleus_in_micrometers_at_day_3"
    X = pd.DataFrame(iris[1], columns=[name, "b", "a name of many words, all of which are rather short", "d"])
    axes = plot_pairs(GaussianMixture(3, random_state=0).fit(X), X)
    figure = axes[0, 0].figure
    figure.canvas.draw()
    labels = [ax.xaxis.label for ax in axes[-1]]
    assert labels[0].get_text().startswith("mean_concavity_")
    assert labels[0].get_text().count("\n") == 2
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


# Pairs ---------------------------------------------------------------------------------------------------------------


def test_pairs_share_scales_and_name_the_margins(iris):
    mixture, X = iris
    axes = plot_pairs(mixture, X, features=[3, 0, 2])
    assert axes.shape == (3, 3)
    np.testing.assert_array_equal([[ax.get_visible() for ax in row] for row in axes], np.tri(3, dtype=bool))
    assert [ax.get_xlabel() for ax in axes[2]] == ["feature 3", "feature 0", "feature 2"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["density", "feature 0", "feature 2"]
    assert axes[0, 0].get_xlim() == axes[1, 0].get_xlim() == axes[2, 0].get_xlim()
    assert axes[2, 0].get_ylim() == axes[2, 1].get_ylim()
    dots = [each.get_offsets() for each in axes[2, 1].collections]
    labels = mixture.predict(X)
    np.testing.assert_array_equal(np.concatenate(dots), np.concatenate([X[labels == k][:, [0, 2]] for k in range(3)]))
    for i, j, features in [(1, 0, [3, 0]), (2, 0, [3, 2]), (2, 1, [0, 2])]:
        for k, ellipse in enumerate(ellipses(axes[i, j])):
            covariance = mixture.covariances_[k][np.ix_(features, features)]
            np.testing.assert_allclose(squared_distances(ellipse, mixture.means_[k, features], covariance), 4.0)


def test_pairs_of_many_features_are_those_that_separate_most():
    X = np.random.default_rng(0).normal(size=(200, 10))
    X[:100, [1, 2, 3, 4, 6, 7, 8, 9]] += 5.0
    mixture = GaussianMixture(2, covariance_type="diag", random_state=0, max_iter=200).fit(X * np.logspace(-3, 3, 10))
    axes = plot_pairs(mixture, X * np.logspace(-3, 3, 10))
    assert [ax.get_xlabel() for ax in axes[-1]] == [f"feature {j}" for j in (1, 2, 3, 4, 6, 7, 8, 9)]
    assert axes[0, 0].figure.get_suptitle() == "8 of 10 features: those that separate the components most"
    assert plot_pairs(mixture, X, features=[5, 0]).shape == (2, 2)


# Density -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", SKLEARN_TYPES)
def test_contours_hold_their_share_of_the_mass(iris, covariance_type):
    _, X = iris
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0, max_iter=500).fit(X)
    ax = plot_density(mixture, features=[2, 1])
    filled, contours = ax.collections
    np.testing.assert_array_equal(filled.levels[:-1], contours.levels)
    mixture.set_params(random_state=1)
    points = mixture.sample(50_000)[0][:, [2, 1]]
    density = np.log(marginal_density(mixture, points, [2, 1]))
    shares = (density[:, np.newaxis] >= contours.levels).mean(axis=0)
    np.testing.assert_allclose(shares, [0.99, 0.95, 0.9, 0.75, 0.5], atol=0.015)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["99%", "95%", "90%", "75%", "50%"]


def test_contours_are_where_the_density_has_their_level(iris):
    mixture, _ = iris
    contours = plot_density(mixture, features=[0, 3]).collections[1]
    for path, level in zip(contours.get_paths(), contours.levels, strict=True):
        density = np.log(marginal_density(mixture, path.vertices, [0, 3]))
        np.testing.assert_allclose(density, level, atol=0.05)


def test_a_narrow_component_has_a_contour():
    random = np.random.default_rng(0)
    X = np.concatenate([random.normal(size=(100, 2)), random.normal(10, 1e-3, size=(300, 2))])
    contours = plot_density(GaussianMixture(2, random_state=0).fit(X)).collections[1]
    innermost = contours.get_paths()[-1].vertices  # half of the mass: radius sqrt(2 log 3) in standard deviations
    std = np.sqrt(2e-6)  # half of the variance is reg_covar
    assert len(innermost)
    np.testing.assert_allclose(np.hypot(*(innermost - 10).T), std * np.sqrt(2 * np.log(3)), rtol=0.1)


def test_the_density_of_one_feature(iris):
    mixture, X = iris
    ax = plot_density(mixture, X, features=3)
    (curve,) = (line for line in ax.lines if len(line.get_xdata()))
    x, y = curve.get_data()
    np.testing.assert_allclose(y, marginal_density(mixture, x, [3]), rtol=1e-10)
    areas = []
    for region in ax.collections:  # each is a set of polygons between the axis and the curve
        polygons = [path.to_polygons(closed_only=False)[0] for path in region.get_paths()]
        areas.append(sum(abs(trapezoid(polygon[:, 1], polygon[:, 0])) for polygon in polygons))
    np.testing.assert_allclose(areas, [0.99, 0.95, 0.9, 0.75, 0.5], atol=0.03)


# Uncertainty ---------------------------------------------------------------------------------------------------------


def test_uncertainty_sizes_dots_in_the_color_of_their_component(iris):
    mixture, X = iris
    ax = plot_uncertainty(mixture, X, features=[2, 3])
    responsibilities = mixture.predict_proba(X)
    legend = ax.get_legend()
    for k, dots in enumerate(ax.collections):
        own = responsibilities.argmax(axis=1) == k
        uncertainty = 1 - responsibilities.max(axis=1)[own]
        order = np.argsort(uncertainty)
        np.testing.assert_array_equal(sorted(dots.get_offsets().tolist()), sorted(X[own][:, [2, 3]].tolist()))
        np.testing.assert_allclose(dots.get_sizes(), 6.0 + 104.0 * uncertainty[order])
        np.testing.assert_allclose(dots.get_facecolor()[0, :3], to_rgb(legend.legend_handles[k].get_color()))
    assert [text.get_text() for text in legend.get_texts()][-1] == "uncertainty 0.5"
    assert legend.legend_handles[-1].get_markersize() ** 2 == pytest.approx(58.0)


def test_the_posterior_of_one_feature(iris):
    mixture, X = iris
    ax = plot_uncertainty(mixture, X, features=2)
    for k, line in enumerate(line for line in ax.lines if len(line.get_xdata())):
        x, y = line.get_data()
        one = multivariate_normal(mixture.means_[k, 2], mixture.covariances_[k, 2, 2]).pdf(x) * mixture.weights_[k]
        np.testing.assert_allclose(y, one / marginal_density(mixture, x, [2]), rtol=1e-9, atol=1e-12)
    heights = np.sort(np.concatenate([dots.get_offsets()[:, 1] for dots in ax.collections]))
    np.testing.assert_allclose(heights, np.sort(mixture.predict_proba(X).max(axis=1)))


def test_uncertainty_of_many_rows_is_averaged(faithful):
    mixture, _ = faithful
    X = np.repeat([[2.0, 55.0], [3.1, 66.0], [3.1, 66.05], [4.3, 80.0]], 3000, axis=0)
    uncertainty = 1 - mixture.predict_proba(X[::3000]).max(axis=1)
    ax = plot_uncertainty(mixture, X)
    means = np.sort(ax.collections[0].get_array())
    expected = np.sort([uncertainty[0], uncertainty[1:3].mean(), uncertainty[3]])
    np.testing.assert_allclose(means, expected, atol=1e-12)
    assert ax.figure.axes[1].get_ylabel() == "mean uncertainty"


# Criterion -----------------------------------------------------------------------------------------------------------


def fitted_search(**attributes):
    results = {
        "covariance_type": np.array(["full"] * 3 + ["diag"] * 3),
        "distribution": np.repeat("gaussian", 6),
        "n_components": np.array([3, 1, 2, 1, 2, 3]),
        "criterion": np.array([np.nan, 9.0, 7.0, 8.0, 6.0, 6.5]),
    }
    found = {"criterion": "bic", "criterion_": results, "n_components_": 2, "covariance_type_": "diag"}
    return SimpleNamespace(**{**found, "distribution_": "gaussian", **attributes})


def test_criterion_by_number_of_components():
    given = plt.figure().add_subplot()
    ax = plot_criterion(fitted_search(), ax=given)
    assert ax is given
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(lines["full"].get_data(), [[1, 2, 3], [9, 7, np.nan]])
    np.testing.assert_array_equal(lines["diag"].get_data(), [[1, 2, 3], [8, 6, 6.5]])
    (ring,) = (line for line in ax.lines if line.get_markersize() == 13)
    np.testing.assert_array_equal(ring.get_data(), [[2], [6]])
    crosses = [line for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in crosses] == [[3]]
    assert crosses[0].get_color() == lines["full"].get_color()
    assert ax.get_ylabel() == "BIC (lower is better)"
    assert all(tick == round(tick) for tick in ax.get_xticks())
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["full", "diag", "best", "degenerate"]


@pytest.mark.parametrize("counts", [[3], [1, 2], range(1, 10), range(1, 31)])
def test_ticks_of_the_criterion_are_integers_and_have_room(counts):
    n = len(counts)
    results = {"covariance_type": np.repeat("full", n), "distribution": np.repeat("gaussian", n)}
    results |= {"n_components": np.array(counts), "criterion": np.arange(n)}
    search = fitted_search(criterion_=results, n_components_=counts[0], covariance_type_="full")
    ax = plt.figure(figsize=(2.5, 2), layout="constrained").add_subplot()
    plot_criterion(search, ax=ax)
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    labels = [label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
    assert len(labels) >= min(n, 2)
    assert all(label.get_text().isdigit() for label in labels)
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_crosses_stand_below_the_lines_and_hardly_squeeze_them():
    ax = plot_criterion(fitted_search())
    low, high = ax.get_ylim()
    lines = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() != "x"])
    (height,) = (line.get_ydata()[0] for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata()))
    assert low + height * (high - low) < np.nanmin(lines)
    assert np.nanmax(lines) - np.nanmin(lines) > 0.7 * (high - low)
    assert 9 < high < 9.5


def test_the_axis_of_the_criterion_shows_where_the_choice_is_made():
    X = load_old_faithful()
    search = GaussianMixtureIC(range(1, 7), random_state=0).fit(X)
    ax = plot_criterion(search)
    values, types = search.criterion_["criterion"], search.criterion_["covariance_type"]
    low, high = ax.get_ylim()
    assert low < values.min()
    assert high - low < 0.1 * np.ptp(values)
    assert high > max(values[types == name].min() for name in ("full", "tied", "diag"))
    above = [line.get_xdata() for line in ax.lines if line.get_marker() == "^" and line.get_transform() != ax.transData]
    assert sum(map(len, above)) == np.count_nonzero(values > high)
    assert {line.get_label(): len(line.get_xdata()) for line in ax.lines}["spherical"] == 6  # all is there
    ax.set_ylim(2000, 4100)
    assert not any(len(line.get_xdata()) for line in ax.lines if line.get_marker() == "^")


def test_one_number_of_components_is_a_dot_for_each_type():
    search = GaussianMixtureIC([3], random_state=0).fit(load_old_faithful())
    ax = plot_criterion(search)
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == list(SKLEARN_TYPES)
    values = search.criterion_["criterion"]
    assert {text.get_text() for text in ax.texts} == {f"{value:,.1f}" for value in values}
    assert ax.get_ylim()[1] > values.max()


# Convergence ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mixture",
    [
        GaussianMixture(3, random_state=0),
        sklearn.mixture.BayesianGaussianMixture(n_components=3, covariance_type="tied", random_state=0, max_iter=500),
        GaussianMixtureIC([3], random_state=0),
        make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0)),
    ],
    ids=lambda mixture: type(mixture).__name__,
)
def test_bound_and_gains(mixture):
    mixture = mixture.fit(load_old_faithful())
    found = mixture[-1] if hasattr(mixture, "steps") else getattr(mixture, "best_estimator_", mixture)
    if not hasattr(found, "lower_bounds_"):
        pytest.skip("scikit-learn < 1.7")
    bound, gain = plot_convergence(mixture)
    np.testing.assert_array_equal(bound.lines[0].get_ydata(), np.ravel(found.lower_bounds_))
    np.testing.assert_allclose(gain.lines[0].get_ydata(), np.diff(np.ravel(found.lower_bounds_)))
    assert gain.get_yscale() == "log"
    assert f"tol={found.tol:g}" in [text.get_text() for text in gain.get_legend().get_texts()]
    assert bound.get_legend().get_texts()[0].get_text() == f"converged after {found.n_iter_} iterations"


def test_fits_whose_convergence_cannot_be_drawn():
    X = load_old_faithful()
    with pytest.raises(NotFittedError):
        plot_convergence(GaussianMixture())
    with pytest.raises(ValueError, match="no iterations"):
        plot_convergence(GaussianMixture(max_iter=0).fit(X))
    for other in (StandardScaler().fit(X), 3):
        with pytest.raises(TypeError, match="mixture must be a fitted Gaussian mixture"):
            plot_convergence(other)
    _, gain = plot_convergence(GaussianMixture(1).fit(X))  # the start is the end
    assert gain.texts[0].get_text() == "no gain after the first iteration"


def test_float32_covariances_that_are_not_positive_definite():
    rng = np.random.default_rng(0)
    first = 1e3 * rng.normal(size=(500, 1))
    X = np.hstack([first, first + 0.1 * rng.normal(size=(500, 1))]).astype(np.float32)
    gmm = GaussianMixture(1).fit(X)
    gmm.covariances_[:] = gmm.covariances_[0, 0, 0]  # as rounding to float32 may leave it
    assert plot_components(gmm, X).patches
    assert plot_density(gmm).collections


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plot", [plot_components, plot_density, plot_uncertainty, plot_pairs])
def test_mixtures_that_cannot_be_drawn(plot):
    X = load_old_faithful()
    with pytest.raises(NotFittedError):
        plot(GaussianMixture(2), X)
    with pytest.raises(TypeError, match=r"mixture must be a Gaussian mixture.*KMeans.*Pass the fitted mixture itself"):
        plot(KMeans(2, n_init=1, random_state=0).fit(X), X)
    assert not plt.get_fignums()


@pytest.mark.parametrize("plot", [plot_components, plot_density, plot_uncertainty, plot_pairs])
def test_a_search_is_drawn_by_what_it_chose(plot):
    X = load_old_faithful()
    search = GaussianMixtureIC((1, 2), covariance_type="full", random_state=0)
    with pytest.raises(NotFittedError):
        plot(search, X)
    search.fit(X)
    drawn = [np.ravel(plot(mixture, X))[0].figure for mixture in (search, search.best_estimator_)]
    pixels = []
    for figure in drawn:
        figure.canvas.draw()
        pixels.append(np.asarray(figure.canvas.buffer_rgba()))
    np.testing.assert_array_equal(*pixels)


def test_names_of_features_are_proposed():
    frame = pd.DataFrame(load_old_faithful(), columns=["duration", "waiting"])
    gmm = GaussianMixture(2, random_state=0).fit(frame)
    with pytest.raises(ValueError, match=r"'wait', .* numbers from 0 to 1, or names, such as 'duration', 'waiting'\."):
        plot_components(gmm, frame, features="wait")


STEPS = [  # of pipelines
    [StandardScaler()],
    [StandardScaler(with_mean=False), StandardScaler(with_std=False)],
    [MinMaxScaler((-3, 2))],
    [MaxAbsScaler()],
    [RobustScaler()],
    [RobustScaler(with_centering=False, with_scaling=False), None],
    [PCA()],
    [StandardScaler(), "passthrough", PCA(whiten=True)],
    [make_pipeline(MinMaxScaler(), StandardScaler())],
]


@pytest.mark.parametrize("steps", STEPS, ids=repr)
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_a_pipeline_is_drawn_in_the_units_of_the_data(faithful, steps, covariance_type):
    """The affine steps are undone: what is drawn has the density that the pipeline says."""
    X = pd.DataFrame(faithful[1], columns=["duration", "waiting"])
    mixture = GaussianMixture(2, covariance_type=covariance_type, random_state=0)
    pipeline = make_pipeline(*steps, mixture).fit(X)
    ax = plot_components(pipeline, X)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("duration", "waiting")
    for ellipse, weight_of_own in zip(ellipses(ax), np.eye(2), strict=True):
        points = pd.DataFrame(ellipse.get_path().vertices[:-1:3], columns=X.columns)
        z = pipeline[:-1].transform(points)
        k = int(weight_of_own.argmax())
        covariance = full_covariances(mixture)[k]
        difference = z - mixture.means_[k]
        np.testing.assert_allclose(
            np.einsum("ij,ij->i", difference @ np.linalg.inv(covariance), difference), 4.0, rtol=1e-8
        )
    labels = pipeline.predict(X)
    for k, dots in enumerate(ax.collections):
        np.testing.assert_array_equal(dots.get_offsets(), X.to_numpy()[labels == k])


def test_a_pipeline_and_a_fit_in_units_of_the_data_give_the_same_picture(faithful):
    _, X = faithful
    start = {"reg_covar": 0.0, "weights_init": [0.4, 0.6]}
    scaler = StandardScaler().fit(X)
    means, precision = np.array([[2.0, 55.0], [4.3, 80.0]]), np.diag(1 / X.var(axis=0))
    own = GaussianMixture(2, means_init=means, precisions_init=[precision] * 2, **start).fit(X)
    scaled = GaussianMixture(2, means_init=scaler.transform(means), precisions_init=[np.eye(2)] * 2, **start)
    pipeline = make_pipeline(scaler, scaled).fit(X)
    for plot in (plot_components, plot_density, plot_uncertainty, plot_pairs):
        first, second = (np.ravel(plot(mixture, X))[-1] for mixture in (own, pipeline))
        np.testing.assert_allclose(first.get_xlim(), second.get_xlim(), rtol=1e-9)
        np.testing.assert_allclose(first.get_ylim(), second.get_ylim(), rtol=1e-9)
        for one, other in zip(first.patches, second.patches, strict=True):
            np.testing.assert_allclose(one.get_path().vertices, other.get_path().vertices, rtol=1e-8)


def test_steps_that_cannot_be_undone(faithful):
    _, X = faithful
    pipeline = make_pipeline(PCA(n_components=1), GaussianMixture(2, random_state=0)).fit(X)
    with pytest.raises(TypeError, match=r"step 'pca' of the pipeline, PCA, cannot be undone .* pipeline\[-1\] and"):
        plot_components(pipeline, X)
    assert plot_components(pipeline[-1], pipeline[:-1].transform(X)).patches
    clipped = make_pipeline(MinMaxScaler(clip=True), GaussianMixture(2, random_state=0)).fit(X)
    with pytest.raises(TypeError, match=r"step 'minmaxscaler' .* clip nothing"):
        plot_density(clipped, X)


@pytest.mark.parametrize("plot", [plot_components, plot_density, plot_uncertainty])
def test_axes_that_are_none(faithful, plot):
    figure, axes = plt.subplots(1, 2)
    for ax in (figure, axes, 3):
        with pytest.raises(TypeError, match="ax must be Axes of matplotlib or None, got"):
            plot(*faithful, ax=ax)
    with pytest.raises(TypeError, match="ax must be Axes"):
        plot_criterion(GaussianMixtureIC((1, 2), random_state=0).fit(faithful[1]), ax=axes)


@pytest.mark.parametrize("plot", [plot_components, plot_density, plot_uncertainty])
@pytest.mark.parametrize("features", [(), (0, 0), (0, "feature 0"), 2, -1, "a", 1.0, (0, None), (0, True), (0, 1, 0)])
def test_features_that_cannot_be_drawn(faithful, plot, features):
    with pytest.raises(ValueError, match=r"^features .*pass numbers from 0 to 1, or names"):
        plot(*faithful, features=features)


@pytest.mark.parametrize("plot", [plot_components, plot_pairs])
@pytest.mark.parametrize("n_std", [0, -1, np.inf, np.nan, "2", True, None])
def test_n_std_that_cannot_be_drawn(faithful, plot, n_std):
    with pytest.raises(ValueError, match="n_std must be a finite float > 0, got"):
        plot(*faithful, n_std=n_std)


@pytest.mark.parametrize("plot", [plot_components, plot_density, plot_uncertainty, plot_pairs])
def test_data_that_cannot_be_drawn(faithful, plot):
    mixture, X = faithful
    with pytest.raises(ValueError, match="expecting 2 features"):
        plot(mixture, X[:, :1])
    with pytest.raises(ValueError, match="NaN"):
        plot(mixture, np.where(X > 90, np.nan, X))
    assert not plt.get_fignums()


@pytest.mark.parametrize("plot", [plot_uncertainty, plot_pairs])
def test_data_that_are_needed(faithful, plot):
    with pytest.raises(ValueError, match="array"):
        plot(faithful[0], None)


def test_searches_that_cannot_be_drawn():
    with pytest.raises(NotFittedError, match="call fit first"):
        plot_criterion(SimpleNamespace(criterion="bic"))
    with pytest.raises(TypeError, match="search must be a fitted GaussianMixtureIC, got GaussianMixture"):
        plot_criterion(GaussianMixture())


def test_without_matplotlib_the_remedy_is_named(run_python):
    source = """
import sys
sys.modules["matplotlib"] = None
from fastgmm import GaussianMixture
from fastgmm.datasets import load_old_faithful
from fastgmm.plotting import plot_components
X = load_old_faithful()
try:
    plot_components(GaussianMixture(2, random_state=0).fit(X), X)
except ImportError as error:
    print(error)
"""
    assert run_python(source).strip() == "Plots need matplotlib: python -m pip install matplotlib"


def test_examples_run():
    assert doctest.testmod(plotting).failed == 0


# How well it fits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["fastgmm", "sklearn"])
def test_distances_of_gaussian_rows_follow_the_diagonal(library):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(3000, 2)), 9 + rng.standard_t(4, size=(3000, 2))])
    pipeline = make_pipeline(StandardScaler(), new_mixture(library, "full").set_params(n_components=2)).fit(X)
    ax = plot_distances(pipeline, X)
    center = StandardScaler().fit(X).transform([[0.0, 0.0]])
    gaussian = int(pipeline[-1].predict(center)[0])
    curves = [line.get_xydata() for line in ax.lines if len(line.get_xydata()) > 20]
    assert len(curves) == 2
    expected, observed = curves[gaussian].T
    np.testing.assert_allclose(observed[expected < 2.5], expected[expected < 2.5], atol=0.1)
    expected, observed = curves[1 - gaussian].T
    assert observed[-1] > 1.5 * expected[-1]


def test_the_density_of_a_mixture_with_noise_is_that_of_its_components():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(300, 2)), rng.uniform(-30, 30, size=(100, 2))])
    mixture = GaussianMixture(noise=True, random_state=0).fit(X)
    without = GaussianMixture()
    vars(without).update(
        {name: value for name, value in vars(mixture).items() if name.endswith("_") and "noise" not in name}
    )
    without.weights_ = np.ones(1)
    actual, expected = (plot_density(each).collections[1] for each in (mixture, without))
    for path, of_components in zip(actual.get_paths(), expected.get_paths(), strict=True):
        np.testing.assert_allclose(path.vertices, of_components.vertices, rtol=1e-6, atol=1e-6)
    legend = plot_density(mixture, X, features=0).get_legend()
    assert legend.get_title().get_text() == "mass of\ncomponents"
    assert legend.get_texts()[-1].get_text() == f"noise: {mixture.noise_weight_:.0%}"


def test_distances_leave_the_background_its_rows():
    """Also in a pipeline: its units change the density of the background, and nothing that is drawn."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(2000, 2)), rng.uniform(-30, 30, size=(400, 2))]) * [1.0, 50.0]
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(noise=True, random_state=0)).fit(X)
    ax, alone = plot_distances(pipeline, X), plot_distances(pipeline[-1], pipeline[:-1].transform(X))
    (expected, observed), of_alone = ax.lines[0].get_data(), alone.lines[0].get_data()
    np.testing.assert_allclose(observed, of_alone[1], rtol=1e-6)
    np.testing.assert_allclose(observed, expected, rtol=0.1, atol=0.1)
    ignoring = copy(pipeline[-1])
    ignoring.noise_weight_, ignoring.noise_log_density_ = 0.0, -np.inf
    expected, observed = plot_distances(ignoring, pipeline[:-1].transform(X)).lines[0].get_data()
    assert observed[-1] > 3 * expected[-1]


def test_distances_of_missing_values_are_refused():
    X = load_iris().data.copy()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="plot_distances takes complete rows only: leave the others out"):
        plot_distances(GaussianMixture(missing="marginalize").fit(X), X)


def test_distances_from_t_distributions_follow_the_diagonal():
    X = np.random.default_rng(0).standard_t(3, (3000, 1))
    (curve, _), (of_gaussian, _) = (
        plot_distances(kind().fit(X), X).lines[:2] for kind in (StudentTMixture, GaussianMixture)
    )
    expected, observed = curve.get_data()
    assert np.abs(observed - expected).max() < 0.6  # the farthest of 3,000 rows varies by 0.25
    expected, observed = of_gaussian.get_data()
    assert observed[-1] > 2.0 * expected[-1]


def test_merging_shows_all_components_and_the_proposal():
    X = load_iris().data
    merged = GaussianMixture(5, random_state=0).fit(X).merge_components(X)
    tree, entropy = plot_merging(merged)
    assert sorted(label.get_text() for label in tree.get_xticklabels()) == list("01234")
    np.testing.assert_array_equal(entropy.lines[0].get_ydata(), merged.entropies)
    assert entropy.lines[-1].get_xdata()[0] == merged.n_clusters
    with pytest.raises(TypeError, match=r"pass gmm.merge_components\(X\)"):
        plot_merging(X)
    with pytest.raises(ValueError, match="only one component"):
        plot_merging(GaussianMixture(1).fit(X).merge_components(X))
