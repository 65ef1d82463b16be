"""Our estimators in place of those of scikit-learn."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

from fastgmm.bayesian import BayesianGaussianMixture
from fastgmm.mixture import GaussianMixture

# Pickles find scikit-learn's classes in its private modules, and skl2onnx finds converters by class.
_LEFT_ALONE = ("sklearn.mixture._", "fastgmm.", "skl2onnx.")

# Modules, names in them, and our classes.
_replaced: list[tuple[ModuleType, str, type[GaussianMixture] | type[BayesianGaussianMixture]]] = []


def patch_sklearn() -> None:
    """Make ``sklearn.mixture`` give fastgmm's `GaussianMixture` and `BayesianGaussianMixture`.

    This is for programs whose imports you cannot change, such as libraries that fit a mixture of scikit-learn. Names in
    modules that have been imported already are replaced, too, so it does not matter whether you call it before or after
    the imports. A second call replaces names in modules that were imported in between.

    Objects that exist, their pickles, and classes that inherit from scikit-learn's stay what they are. While the patch
    is on, ``isinstance(model, sklearn.mixture.GaussianMixture)`` is False for a model of scikit-learn's own class, such
    as `to_sklearn` returns.

    See Also
    --------
    unpatch_sklearn : Undoes it.

    Examples
    --------
    >>> import fastgmm
    >>> fastgmm.patch_sklearn()
    >>> from sklearn.mixture import GaussianMixture
    >>> GaussianMixture is fastgmm.GaussianMixture
    True
    >>> fastgmm.unpatch_sklearn()
    """
    for ours in (GaussianMixture, BayesianGaussianMixture):
        theirs = ours._sklearn_class
        for module in _modules_to_patch():
            for name in [name for name, value in list(vars(module).items()) if value is theirs]:
                setattr(module, name, ours)
                _replaced.append((module, name, ours))


def unpatch_sklearn() -> None:
    """Undo `patch_sklearn`. Without a patch it does nothing.

    Names that `patch_sklearn` has replaced get scikit-learn's classes back. Modules that imported a class while the
    patch was on keep it.
    """
    while _replaced:
        module, name, ours = _replaced.pop()
        if vars(module).get(name) is ours:  # not if the module has set it anew
            setattr(module, name, ours._sklearn_class)


def _modules_to_patch() -> Iterator[ModuleType]:
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and not f"{name}.".startswith(_LEFT_ALONE):
            yield module
