"""How many kinds of eruption does Old Faithful have? The number of components and their shape, chosen by BIC."""

import numpy as np

from fastgmm import GaussianMixture
from fastgmm.datasets import load_old_faithful

X = load_old_faithful()

print(f"{'components':>10} {'covariance':>11} {'BIC':>10}")
best = None
for n_components in (1, 2, 3, 4):
    for covariance_type in ("full", "tied", "diag", "spherical"):
        gmm = GaussianMixture(
            n_components, covariance_type=covariance_type, n_init=20, tol=1e-5, max_iter=1000, random_state=0
        ).fit(X)
        print(f"{n_components:>10} {covariance_type:>11} {gmm.bic(X):>10.2f}")
        if best is None or gmm.bic(X) < best.bic(X):
            best = gmm

print(f"\nBest: {best.n_components} components, {best.covariance_type} covariance")
for weight, (eruption, waiting) in zip(best.weights_, best.means_, strict=True):
    print(f"{weight:6.1%} of eruptions: {eruption:.2f} minutes, then {waiting:.1f} minutes of waiting")

uncertain = np.count_nonzero(best.predict_proba(X).max(axis=1) < 0.9)
print(f"{uncertain} of {len(X)} eruptions belong to none of them with 90 % certainty")
