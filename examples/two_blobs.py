"""The first mixture everyone fits: two Gaussian blobs of 100 points. Against scikit-learn, one import changes."""

import matplotlib.pyplot as plt
from sklearn.datasets import make_blobs

from fastgmm import GaussianMixture  # was: from sklearn.mixture import GaussianMixture

X, _ = make_blobs(n_samples=[100, 100], centers=[[-2, 0], [2, 1]], random_state=0)

gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
labels = gmm.predict(X)

plt.scatter(X[:, 0], X[:, 1], c=labels)
plt.scatter(*gmm.means_.T, marker="x", color="red", s=100)
plt.title("Two blobs, and the component of each point")
plt.show()
