"""Checks of a fitted mixture on rows: does it describe them, and which components make up a cluster?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from fastgmm._estimator.diagnosis import Diagnosis, diagnosis_of
from fastgmm._estimator.goodness import Goodness, check_complete
from fastgmm._estimator.inference import RESPONSIBILITIES
from fastgmm._estimator.merging import MergedComponents, merges, uncertain_rows
from fastgmm._estimator.noise import fitted_noise
from fastgmm._estimator.questions import Questions
from fastgmm._input.containers import Reader
from fastgmm._input.fitted import weighted_blocks
from fastgmm._input.rows import allows_missing, check_some_weight, weight_unit, weights_without_empty_rows
from fastgmm._model.covariance import CovarianceStructure
from fastgmm._rows.array import total_weight
from fastgmm._rows.reading import read_ahead
from fastgmm._utils.annotations import Rows


class ModelChecks(Questions):
    """`diagnose` and `merge_components`."""

    def diagnose(self, X: Rows | Reader, sample_weight: ArrayLike | None = None) -> Diagnosis:
        """How well the mixture describes rows, which components fail and how, and what to try next.

        In each component, rows are compared with the Gaussian, weighted by their responsibilities: the distribution of
        their Mahalanobis distances, their kurtosis and skewness [1]_ [2]_, and whether they would gain by a mean and
        covariance of their own. Pairs of components that share many rows are named. Distances from t distributions are
        mapped to those that are as probable under a Gaussian, and all numbers are those of the mapped rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader
            The rows, usually those of the fit. They are read once.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. A reader brings the weights itself.

        Returns
        -------
        diagnosis : Diagnosis
            ``print(diagnosis)`` shows a text, and a notebook shows tables. ``diagnosis.to_frame()`` returns a pandas
            DataFrame. Its attributes hold the numbers:

            - `misfit`, the mean of `misfits`, and `misfit_by_chance`;
            - `findings`, a tuple. A finding has `kind` ('heavy tails', 'light tails', 'skew', 'covariance', 'distances'
              or 'overlap'), `components`, `text` and `advice`;
            - `rows`, `misfits`, `excess_kurtosis`, `skewness` and `losses`, of shape (n_components,). A misfit is the
              largest difference between the share of rows within a distance of the mean and the share that is expected.
              A loss is what a row would gain in log-likelihood by a mean and covariance of the component's own;
            - `overlaps`, of shape (n_components, n_components), the mean responsibility of one component for the rows
              of another;
            - `is_judged`, of shape (n_components,): False where there are too few rows.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If X holds anything other than finite numbers, or other features than the fit had.

        See Also
        --------
        fastgmm.plotting.plot_distances : A picture of the distances.

        Notes
        -----
        A difference is a finding if it is four standard errors or more, and large enough to matter: an excess kurtosis
        of 0.1, a skewness of 0.3, a loss of 0.02 nats, an overlap of 0.2. With few rows only gross ones are found.

        References
        ----------
        .. [1] Mardia, "Measures of multivariate skewness and kurtosis with applications", Biometrika 57, 1970.
        .. [2] Mori, Rohatgi and Szekely, "On multivariate skewness and kurtosis", Theory of Probability and its
           Applications 38, 1993.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> parts = rng.normal(0, 1, (900, 2)), 9 + rng.standard_t(4, (900, 2))
        >>> X = np.concatenate(parts)
        >>> gmm = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> [(each.kind, each.components) for each in gmm.diagnose(X).findings]
        [('heavy tails', (0,))]
        """
        asked, noise = self._asked("diagnose", may_have_noise=True), fitted_noise(self)
        goodness = Goodness.zeros(*asked.mixture.means.shape)
        total, unit = 0.0, 1.0
        for block in read_ahead(weighted_blocks(self, X, sample_weight)):
            check_complete(block.rows, "diagnose")
            weights = block.weights
            if weights is not None:
                unit = unit if total else weight_unit(float(weights.max()))
                weights = weights / unit  # their squares neither overflow nor vanish
            goodness.add(block.rows, weights, asked.mixture, self.n_threads, noise)
            total += total_weight(block.rows, block.weights)
        check_some_weight(total)
        if not goodness.mass.any():
            raise ValueError("All rows of X belong to the background, so there is no component to diagnose.")
        own = asked.mixture.degrees_of_freedom is None and has_own_covariances(self._structure)
        diagnosis = diagnosis_of(goodness, asked.mixture, own, asked.names)
        return replace(diagnosis, rows=unit * diagnosis.rows)

    def merge_components(self, X: Rows | Reader, sample_weight: ArrayLike | None = None) -> MergedComponents:
        """Merge components to clusters that are not Gaussian, by the entropy of the responsibilities [1]_.

        Two components are merged first if it is least certain which of them rows belong to. The mixture does not
        change.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or reader
            The rows, usually those of the fit. They are read once.

        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. A reader brings the weights itself.

        Returns
        -------
        merged : MergedComponents
            - `tree`, of shape (n_components - 1, 4): all merges, in the form of SciPy's hierarchical clustering;
            - `entropies`, of shape (n_components,), for each number of clusters from 1 on;
            - `n_clusters`, a proposal;
            - ``clusters(n_clusters)``, the cluster of each component;
            - ``predict(X, n_clusters)`` and ``predict_proba(X, n_clusters)``, the clusters of rows.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If X holds anything other than finite numbers, or other features than the fit had.

        See Also
        --------
        fastgmm.plotting.plot_merging : A picture of the merges and of the entropies.

        References
        ----------
        .. [1] Baudry, Raftery, Celeux, Lo and Gottardo, "Combining mixture components for clustering", Journal of
           Computational and Graphical Statistics 19, 2010.

        Examples
        --------
        >>> from sklearn.datasets import make_moons
        >>> from fastgmm import GaussianMixture
        >>> X, _ = make_moons(1000, noise=0.06, random_state=0)
        >>> gmm = GaussianMixture(n_components=8, random_state=0).fit(X)
        >>> merged = gmm.merge_components(X)
        >>> merged.n_clusters
        2
        >>> merged.predict(X[:5])
        array([1, 1, 0, 1, 1])
        """
        self._asked("merge_components")
        parts, total = [], 0.0
        for block in read_ahead(weighted_blocks(self, X, sample_weight)):
            weights = block.weights
            if allows_missing(self):
                weights = weights_without_empty_rows(block.rows, weights)
            resp = RESPONSIBILITIES.of_passes(*self._passes_of_fitted(block.rows))
            parts.append(uncertain_rows(resp, weights))
            total += total_weight(block.rows, weights)
        check_some_weight(total)
        resp, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
        return MergedComponents(self, *merges(resp, weights))


def has_own_covariances(structure: CovarianceStructure) -> bool:
    """Whether each component has the free covariance of its rows."""
    return structure.name == "full"
