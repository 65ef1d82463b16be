"""A mixture that learns from a stream: how soon it is as good as a fit of all rows, and how it follows a drift."""

import matplotlib.pyplot as plt
import numpy as np

from fastgmm import GaussianMixture

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # colors that color-blind readers tell apart
BATCH_ROWS = 500
CENTERS = np.array([[0, 0], [1.5, 0.5], [3, 2], [-1, 2], [1, -2]])  # they overlap, so that EM takes its time
WIDTHS = np.array([[0.5, 1], [1, 0.4], [0.6, 0.6], [1, 1], [0.4, 0.8]])

rng = np.random.default_rng(0)


def draw_steady(n_rows):
    labels = rng.integers(5, size=n_rows)
    return CENTERS[labels] + WIDTHS[labels] * rng.normal(size=(n_rows, 2))


def draw_drifting(n_rows):
    """Two clusters in the middle, and one that walks around them once."""
    angles = np.linspace(0, 2 * np.pi, n_rows)
    centers = np.stack(
        [np.full((n_rows, 2), -0.8), np.full((n_rows, 2), 0.8), np.c_[5 * np.cos(angles), 5 * np.sin(angles)]]
    )
    return centers[rng.integers(3, size=n_rows), np.arange(n_rows)] + 0.7 * rng.normal(size=(n_rows, 2))


def learned_from(X, **options):
    """The mixture after each batch."""
    gmm = GaussianMixture(random_state=0, **options)
    for start in range(0, len(X), BATCH_ROWS):
        yield gmm.partial_fit(X[start : start + BATCH_ROWS])


fig, (steady, drifting) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")

X, held_out = draw_steady(300_000), draw_steady(20_000)
best = GaussianMixture(n_components=5, tol=1e-7, max_iter=10_000, random_state=0).fit(X).score(held_out)
shown = np.unique(np.geomspace(1, len(X) / BATCH_ROWS, 60).astype(int))  # numbers of batches
for step_decay, color in ((0.6, BLUE), (0.8, GREEN), (1.0, ORANGE)):
    scores = [
        gmm.score(held_out) for gmm in learned_from(X, n_components=5, step_decay=step_decay) if gmm.n_iter_ in shown
    ]
    steady.plot(shown * BATCH_ROWS, scores, color=color, label=f"partial_fit, step_decay={step_decay}")
steady.axhline(best, color="0.3", linestyle="--", linewidth=1, label="fit of all rows")
steady.set(xscale="log", xlabel="rows seen", ylabel="log-density of held-out rows", ylim=(best - 0.03, best + 0.003))
steady.set_title("Clusters that stay")
steady.legend()

X = draw_drifting(100_000)
for half_life, color in ((1_000, BLUE), (None, ORANGE)):
    # lower_bound_ is the log-density of the batch before it was learned: what a monitor would watch.
    log_densities = [gmm.lower_bound_ for gmm in learned_from(X, n_components=3, half_life=half_life)]
    drifting.plot(
        np.arange(len(log_densities)) * BATCH_ROWS, log_densities, color=color, label=f"half_life={half_life}"
    )
drifting.set(xlabel="rows seen", ylabel="log-density of the next batch", title="A cluster that wanders")
drifting.legend()
plt.show()
