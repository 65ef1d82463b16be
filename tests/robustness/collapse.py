"""Fits with the weak prior to rows on which maximum likelihood fails: none may abort or end in a spike.

    python tests/robustness/collapse.py [--cases 1000] [--first SEED]

Each set of rows is fitted with all covariance types, with reg_covar=0 and with its default. Beside it, the number of
fits that fail without the prior. The same is done with the sets of docs/guide/degenerate.md.
"""

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from _shared.degenerate import flaw_of, generated, of_the_guide

from fastgmm import GaussianMixture
from fastgmm._model.covariance import COVARIANCE_TYPES


def outcome(X, K, **parameters):
    try:
        return flaw_of(GaussianMixture(K, random_state=0, **parameters).fit(X), X)
    except ValueError as error:
        return f"aborted: {error}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = of_the_guide()
    sets |= {f"seed {seed}": generated(seed) for seed in range(arguments.first, arguments.first + arguments.cases)}
    counts, n_failed = Counter(), 0
    for name, (X, K) in sets.items():
        for covariance_type in COVARIANCE_TYPES:
            for reg_covar in (0.0, 1e-6):
                parameters = {"covariance_type": covariance_type, "reg_covar": reg_covar}
                with_prior = outcome(X, K, prior="weak", **parameters)
                if with_prior:
                    n_failed += 1
                    print(f"{name}, {covariance_type}, reg_covar={reg_covar:g}, {X.shape}, K={K}: {with_prior}")
                without = outcome(X, K, **parameters)
                counts[reg_covar, without.partition(":")[0] or "sound"] += 1
    print(f"{n_failed} fits failed with the prior, of {2 * len(COVARIANCE_TYPES) * len(sets)}. Without it:")
    for (reg_covar, what), number in sorted(counts.items()):
        print(f"  reg_covar={reg_covar:g}: {what} {number}")
    return n_failed > 0


if __name__ == "__main__":
    sys.exit(main())
