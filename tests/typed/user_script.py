"""What a user writes, with types: mypy --strict and pyright find no error in it."""

from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureIC
from fastgmm.batches import from_array, from_parquet
from fastgmm.datasets import load_old_faithful
from fastgmm.plotting import plot_components, plot_criterion


def tell(gmm: GaussianMixture | BayesianGaussianMixture) -> None:
    for weight, (eruption, waiting) in zip(gmm.weights_, gmm.means_, strict=True):
        print(f"{weight:.0%} last {eruption:.1f} minutes and are followed after {waiting:.0f}")


X = load_old_faithful()
gmm = GaussianMixture(
    n_components=2, covariance_type="tied", means_init=X[:2], fixed=("means", "weights"), random_state=0
).fit(X)
GaussianMixture(2, init_params=gmm.predict(X)).fit(X)
GaussianMixture(
    2, init_params=lambda rows, n_components, random_state: random_state.randint(n_components, size=len(rows))
)
bgm = BayesianGaussianMixture(n_components=5, covariance_prior=np.cov(X.T)).fit(X, sample_weight=np.ones(len(X)))
tell(gmm)
tell(bgm)
labels: NDArray[np.int64] = gmm.predict(X)
assert_type(bgm.fit_predict([[0.0, 1.0], [2.0, 3.0]]), NDArray[np.int64])
densities: NDArray[np.float32] = gmm.score_samples(X, out=np.empty(len(X), np.float32))
first_rows: NDArray[np.float64] = gmm.sample(3)[0]
assert_type(bgm.marginal("eruption").condition([0], 3.0), GaussianMixture)
print(gmm.predict_conditional(0, X[:, :1]).mean(), gmm.marginal(1).quantile(0.5))
if gmm.converged_ and gmm.score(X) > bgm.lower_bounds_[-1]:
    print(
        gmm.bic(X) - gmm.aic(X),
        gmm.n_iter_ + bgm.n_iter_,
        gmm.means_.mean(),
        labels.max(),
        densities,
        bgm.degrees_of_freedom_,
    )

search = GaussianMixtureIC(range(1, 10), covariance_type=["full", "diag"], criterion="icl", random_state=0).fit(X)
best: GaussianMixture = search.best_estimator_
print(search.n_components_, search.covariance_type_, search.criterion_["n_iter"].min(), best.precisions_.shape)

gmm.fit_batches(from_array(X, batch_rows=100)).partial_fit(X[:50])
gmm.fit_batches(from_parquet(Path("rows.parquet"), columns=["eruption", "waiting"]), checkpoint=Path("fit.checkpoint"))
plot_components(gmm, X).set_title("eruptions")
plot_criterion(search).set_ylim(2290, 2650)
print(gmm.bic(from_parquet("rows.parquet")), gmm.predict(from_parquet("rows.parquet"), out="labels.npy"))

# Slips that a type checker finds. (An ignored error that is none is an error, too.)
GaussianMixture(covariance_type="diagonal")  # type: ignore[arg-type]
GaussianMixture(init_params="k-means")  # type: ignore[arg-type]
GaussianMixture(n_jobs=2)  # type: ignore[call-arg]
BayesianGaussianMixture(3)  # type: ignore[call-arg]
gmm.fit(X, sample_weights=np.ones(len(X)))  # type: ignore[call-arg]
gmm.means_.max_()  # type: ignore[attr-defined]
