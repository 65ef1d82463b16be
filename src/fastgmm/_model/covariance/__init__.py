"""Covariance structures, and the table of them. One class and one entry here add a structure."""

from __future__ import annotations

from typing import TypeVar

from fastgmm._model.covariance.diagonal import DIAGONAL, Spherical
from fastgmm._model.covariance.full import Full
from fastgmm._model.covariance.structure import (
    ConjugatePrior,
    CovarianceStructure,
    FisherInformation,
    InverseMStep,
)
from fastgmm._model.covariance.tied import Tied

__all__ = [
    "COVARIANCE_TYPES",
    "DIAGONAL",
    "FULL",
    "ConjugatePrior",
    "CovarianceStructure",
    "FisherInformation",
    "InverseMStep",
    "require",
]

FULL = Full()

# Values of `covariance_type`, the most general structure first.
COVARIANCE_TYPES: dict[str, CovarianceStructure] = {
    structure.name: structure for structure in (FULL, Tied(), DIAGONAL, Spherical())
}

C = TypeVar("C", ConjugatePrior, FisherInformation, InverseMStep)


def require(structure: CovarianceStructure, capability: type[C], client: str) -> C:
    """The structure, if it has the capability; ValueError if not. `client` is the subject of the message."""
    if isinstance(structure, capability):
        return structure
    able = [name for name, each in COVARIANCE_TYPES.items() if isinstance(each, capability)]
    raise ValueError(
        f"{client} needs {capability.capability}, which covariance_type={structure.name!r} does not have. "
        f"Use one of {', '.join(map(repr, able))}."
    )
