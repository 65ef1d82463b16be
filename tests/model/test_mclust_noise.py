"""A uniform background: EM written out, and fits beside those of R's mclust."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from _shared import oracle
from _shared.cases import TYPES, both_dtypes

from fastgmm import GaussianMixture
from fastgmm._model.covariance import COVARIANCE_TYPES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def clutter():
    """Three clusters in a box of clutter, and labels, some of them wrong."""
    rng = np.random.default_rng(0)
    means, n = np.array([[0.0, 0.0], [6.0, 1.0], [2.0, 7.0]]), [120, 90, 70]
    clusters = [rng.normal(mean, [1.0, 0.6], (size, 2)) for mean, size in zip(means, n, strict=True)]
    X = np.concatenate([*clusters, rng.uniform([-8.0, -6.0], [14.0, 13.0], (70, 2))])
    labels = np.repeat([0, 1, 2, -1], [*n, 70])
    labels[::17] = -1
    return X.round(4), labels


def tilted():
    """Two clusters along a diagonal in three features: the box of the principal axes is the smaller one."""
    rng = np.random.default_rng(1)
    t = rng.uniform(-1.0, 1.0, (60, 1))
    line = np.array([3.0, 4.0, 5.0])
    clusters = [rng.normal(place * line, 0.5, (size, 3)) for place, size in ((-1.0, 80), (1.5, 110))]
    X = np.concatenate([*clusters, 2.5 * t * line + rng.uniform(-1.5, 1.5, (60, 3))])
    return X.round(4), np.repeat([0, 1, -1], [80, 110, 60])


DATA = {"clutter": clutter, "tilted": tilted}


def of_mclust():
    with open(Path(__file__).parent / "reference" / "mclust_noise.csv") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", COVARIANCE_TYPES)
def test_fits_are_those_of_mclust(name, data):
    """The same volume, likelihood, criteria and parameters from the same start."""
    X, labels = DATA[data]()
    mclust_name = COVARIANCE_TYPES[name].mclust_name
    (row,) = (row for row in of_mclust() if (row["data"], row["model"]) == (data, mclust_name))
    K = labels.max() + 1
    model = GaussianMixture(
        K, covariance_type=name, noise=True, init_params=labels, reg_covar=0, tol=1e-13, max_iter=20_000
    ).fit(X)
    assert model.noise_log_density_ == pytest.approx(float(row["log_density"]), abs=1e-10)
    assert model._n_parameters() == int(row["n_parameters"])
    rel = 1e-3 if mclust_name == "VVE" else 2e-6  # mclust stops before the optimum of VVE
    assert len(X) * model.score(X) == pytest.approx(float(row["log_likelihood"]), rel=rel)
    assert -model.bic(X) == pytest.approx(float(row["bic"]), rel=rel)
    assert -model.summary(X).icl == pytest.approx(float(row["icl"]), rel=20 * rel)
    weights, means = (np.array(row[key].split(), float) for key in ("weights", "means"))
    loose = {"rel": 0, "abs": 0.1 if mclust_name == "VVE" else 2e-3}
    assert [*model.weights_, model.noise_weight_] == pytest.approx(weights, **loose)
    np.testing.assert_allclose(model.means_.ravel(), means, rtol=0, atol=10 * loose["abs"])


@pytest.mark.parametrize("covariance_type", TYPES)
@both_dtypes
def test_iterations_are_those_of_the_textbook(covariance_type, dtype):
    """EM from Banfield & Raftery, with weights, in extended precision."""
    X, labels = tilted()
    X = X.astype(dtype)
    weights = np.random.default_rng(2).uniform(0.5, 2.0, len(X))
    log_density, n_iter = -5.0, 5
    resp = np.zeros((len(X), 3), oracle.LONG)
    resp[np.arange(len(X)), labels] = 1.0  # -1 is the last column
    floor = 10 * oracle.LONG(np.finfo(dtype).eps)
    bounds = []
    for i in range(n_iter + 1):
        of_clusters = resp[:, :-1]
        parameters = oracle.m_step(X, weights, of_clusters, covariance_type, 1e-6, dtype)
        mass = np.append(weights @ of_clusters + floor * (i > 0), weights @ resp[:, -1])
        if i == 0:
            mass[:2] += floor
        shares = mass / (mass.sum() if i else weights.sum())
        shares[:2] *= (1 - shares[2]) / shares[:2].sum()
        joint = oracle.log_joint(X, parameters._replace(weights=shares[:-1]), covariance_type)
        joint = np.column_stack([joint, np.full(len(X), np.log(shares[-1]) + log_density)])
        bounds.append(weights @ oracle.log_prob_norm(joint) / weights.sum())
        resp = oracle.responsibilities(joint)
    model = GaussianMixture(
        2, covariance_type=covariance_type, noise=float(np.exp(-log_density)), init_params=labels, tol=0,
        max_iter=n_iter,
    ).fit(X, sample_weight=weights)  # fmt: skip
    tolerance = 1e-11 if dtype == np.float64 else 1e-3
    assert oracle.relative_error(model.lower_bounds_, bounds[:n_iter]) < tolerance
    assert oracle.relative_error(np.append(model.weights_, model.noise_weight_), shares) < tolerance
    assert oracle.relative_error(model.means_, parameters.means, np.abs(parameters.means).max()) < tolerance
    assert oracle.covariance_error(model.covariances_, parameters.covariances, covariance_type) < tolerance
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities, resp[:, :-1].astype(float), rtol=0, atol=10 * tolerance)
    np.testing.assert_array_equal(model.predict(X), np.where(resp.argmax(axis=1) == 2, -1, resp.argmax(axis=1)))


if __name__ == "__main__":
    for name, data in DATA.items():
        X, labels = data()
        np.savetxt(Path(sys.argv[1]) / f"{name}.csv", np.column_stack([X, labels]), delimiter=",", fmt="%.4f")
