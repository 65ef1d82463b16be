"""How many kinds of eruption does Old Faithful have? BIC chooses the number of components and their shape."""

import matplotlib.pyplot as plt
import numpy as np

from fastgmm import GaussianMixtureIC
from fastgmm.datasets import load_old_faithful
from fastgmm.plotting import plot_components, plot_criterion

X = load_old_faithful()  # minutes of the eruption, minutes until the next one
search = GaussianMixtureIC(range(1, 10), random_state=0).fit(X)

print(search.table()[["n_components", "covariance_type", "bic", "difference"]].head().round(1))  # lower is better

best = search.best_estimator_
for weight, (eruption, waiting) in zip(best.weights_, best.means_, strict=True):
    print(f"{weight:.0%} of the eruptions last {eruption:.1f} minutes, and the next one follows after {waiting:.0f}")

uncertain = np.count_nonzero(best.predict_proba(X).max(axis=1) < 0.9)
print(f"{uncertain} of {len(X)} eruptions belong to no component with a probability of 90 %")

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
plot_criterion(search, ax=left)
plot_components(search, X, ax=right)
right.set(xlabel="eruption, minutes", ylabel="waiting, minutes")
plt.show()
