"""How many of eight components keep rows? What `weight_concentration_prior` decides, and what it does not."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse

from fastgmm import BayesianGaussianMixture

SHARES = (0.5, 0.3, 0.2)
CLUSTERS = (  # mean, covariance
    ((3, -1), ((1.2, -0.7), (-0.7, 0.8))),
    ((-4, 0), ((1.0, 0.6), (0.6, 0.6))),
    ((0, 3), ((0.4, 0.0), (0.0, 0.4))),
)
N_COMPONENTS = 8
BLUE, ORANGE = "#0072B2", "#D55E00"  # colors that color-blind readers tell apart

rng = np.random.default_rng(0)
X = np.concatenate(
    [rng.multivariate_normal(*cluster, int(500 * share)) for cluster, share in zip(CLUSTERS, SHARES, strict=True)]
)


def draw_components(ax, mixture):
    """Ellipses of two standard deviations, as opaque as the component is heavy."""
    ax.scatter(*X.T, s=4, color="0.6", linewidths=0)
    for weight, mean, covariance in zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True):
        variances, axes = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(axes[1, 0], axes[0, 0]))
        face, edge = (BLUE, 0.8 * weight), (BLUE, min(1, 4 * weight))
        ax.add_patch(Ellipse(mean, *4 * np.sqrt(variances), angle=angle, facecolor=face, edgecolor=edge))
    ax.set(xticks=[], yticks=[], aspect="equal", xlim=(-8, 8), ylim=(-5, 6))


def draw_weights(ax, mixture):
    ax.bar(range(1, N_COMPONENTS + 1), np.sort(mixture.weights_)[::-1], color=BLUE, label="weights_, sorted")
    ax.hlines(SHARES, [0.5, 1.5, 2.5], [1.5, 2.5, 3.5], color=ORANGE, linewidth=2, label="share of a cluster")
    ax.set(xticks=range(1, N_COMPONENTS + 1), ylim=(0, 0.6))


fig, axes = plt.subplots(4, 3, figsize=(9, 7), height_ratios=(3, 1, 3, 1), layout="constrained")
for rows, prior_type in zip((axes[:2], axes[2:]), ("dirichlet_distribution", "dirichlet_process"), strict=True):
    rows[0, 0].set_ylabel(prior_type)
    rows[1, 0].set_ylabel("weight")
    for (above, below), concentration in zip(rows.T, (1e-3, 10, 1000), strict=True):
        mixture = BayesianGaussianMixture(
            n_components=N_COMPONENTS,
            weight_concentration_prior_type=prior_type,
            weight_concentration_prior=concentration,
            max_iter=1000,
            random_state=0,
        ).fit(X)
        draw_components(above, mixture)
        draw_weights(below, mixture)
        above.set_title(f"concentration {concentration:g}: {np.sum(mixture.weights_ > 0.01)} of 8 in use", fontsize=10)
fig.legend(*axes[-1, -1].get_legend_handles_labels(), loc="outside lower center", ncols=2)
fig.suptitle("A large concentration keeps superfluous components, unless the prior is a Dirichlet process")
plt.show()
