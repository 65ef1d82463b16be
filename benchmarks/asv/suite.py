"""What asv measures. Starts and iteration counts are fixed; data is made outside the timing."""

import sys
import warnings
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture
from fastgmm._command_line.timing import peak_memory

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import Case, make_case

CASES = {
    str(case): case
    for case in (
        Case("full", 500_000, 2, 8),
        Case("full", 200_000, 8, 16),
        Case("full", 200_000, 8, 16, "float32"),
        Case("full", 50_000, 64, 16),
        Case("tied", 200_000, 8, 16),
        Case("diag", 200_000, 8, 16),
        Case("diag", 50_000, 64, 64),
        Case("spherical", 200_000, 8, 16),
    )
}


class _Fixed:
    """A case, its data, and a model that makes ten iterations from the given start."""

    params = tuple(CASES)
    param_names = ("case",)

    def setup(self, name):
        warnings.simplefilter("ignore", ConvergenceWarning)
        case = CASES[name]
        self.X, start = make_case(case)
        self.model = GaussianMixture(
            case.n_components,
            covariance_type=case.covariance_type,
            max_iter=10,
            tol=0.0,
            **start.arguments(case.covariance_type),
        )


class TenIterations(_Fixed):
    """The fused pass."""

    def time_fit(self, name):
        self.model.fit(self.X)

    def track_log_likelihood(self, name):
        return self.model.fit(self.X).lower_bound_

    def track_peak_memory(self, name):
        return peak_memory(lambda: self.model.fit(self.X))

    track_log_likelihood.unit = "nats per sample"
    track_peak_memory.unit = "bytes"


class Predict(_Fixed):
    """The passes after the fit."""

    def setup(self, name):
        super().setup(name)
        self.model.set_params(max_iter=1).fit(self.X)

    def time_predict(self, name):
        self.model.predict(self.X)

    def time_predict_proba(self, name):
        self.model.predict_proba(self.X)

    def time_score_samples(self, name):
        self.model.score_samples(self.X)


class WholeFit:
    """The default fit as a user calls it: k-means start, iterations until converged."""

    params = ("kmeans", "k-means++", "random_from_data")
    param_names = ("init_params",)
    timeout = 300

    def setup(self, init_params):
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.X, _ = make_case(Case("full", 200_000, 8, 16))
        self.model = GaussianMixture(16, init_params=init_params, random_state=0)
        self.start_only = GaussianMixture(16, init_params=init_params, random_state=0, max_iter=0)

    def time_fit(self, init_params):
        self.model.fit(self.X)

    def time_start(self, init_params):
        self.start_only.fit(self.X)

    def track_log_likelihood(self, init_params):
        return self.model.fit(self.X).lower_bound_

    track_log_likelihood.unit = "nats per sample"


class SmallFit:
    """A thousand points in the plane: what is not the pass decides."""

    def setup(self):
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.X, _ = make_case(Case("full", 1_000, 2, 3))
        self.model = GaussianMixture(3, random_state=0)
        self.fitted = GaussianMixture(3, random_state=0).fit(self.X)

    def time_fit(self):
        self.model.fit(self.X)

    def time_predict_one_row(self):
        self.fitted.predict(self.X[:1])
