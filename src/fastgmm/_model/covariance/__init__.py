"""Covariance structures, and the table of them. One class and one entry here add a structure."""

from __future__ import annotations

from typing import TypeVar

from fastgmm._model.covariance.diagonal import DIAGONAL, Spherical
from fastgmm._model.covariance.full import Full
from fastgmm._model.covariance.parsimonious_diagonal import EqualSpheres, ParsimoniousDiagonal
from fastgmm._model.covariance.parsimonious_matrices import EqualOrientations, EqualUpToVolume, OwnOrientations
from fastgmm._model.covariance.structure import (
    ConjugatePrior,
    CovarianceStructure,
    FisherInformation,
    InverseMStep,
)
from fastgmm._model.covariance.tied import Tied
from fastgmm._utils.annotations import CovarianceType

__all__ = [
    "COVARIANCE_TYPES",
    "DIAGONAL",
    "FULL",
    "SKLEARN_TYPES",
    "ConjugatePrior",
    "CovarianceStructure",
    "FisherInformation",
    "InverseMStep",
    "accepted_names",
    "name_of_type",
    "require",
    "structure_of_type",
    "unrestricted",
]

FULL = Full()

# Structures by name, scikit-learn's first, the most general one of these before the others.
COVARIANCE_TYPES: dict[str, CovarianceStructure] = {
    structure.name: structure
    for structure in (
        FULL,
        Tied(),
        DIAGONAL,
        Spherical(),
        EqualSpheres(),
        *map(ParsimoniousDiagonal, ("EEI", "VEI", "EVI")),
        EqualUpToVolume("VEE"),
        *map(EqualOrientations, ("EVE", "VVE")),
        *map(OwnOrientations, ("EEV", "VEV", "EVV")),
    )
}

SKLEARN_TYPES: tuple[CovarianceType, ...] = ("full", "tied", "diag", "spherical")

# mclust's names of scikit-learn's types.
_OTHER_NAMES = {COVARIANCE_TYPES[name].mclust_name: name for name in SKLEARN_TYPES}

C = TypeVar("C", ConjugatePrior, FisherInformation, InverseMStep)


def accepted_names() -> tuple[str, ...]:
    """All values of `covariance_type`."""
    return (*COVARIANCE_TYPES, *_OTHER_NAMES)


def name_of_type(covariance_type: str) -> str:
    """The name of a structure in `COVARIANCE_TYPES`, given that or mclust's."""
    return _OTHER_NAMES.get(covariance_type, covariance_type)


def structure_of_type(covariance_type: str) -> CovarianceStructure:
    """The structure for a value of `covariance_type`."""
    return COVARIANCE_TYPES[name_of_type(covariance_type)]


def unrestricted(structure: CovarianceStructure) -> CovarianceStructure:
    """The type of scikit-learn that contains the structure and has arrays of the same shapes; itself if there is none.

    Its M step has no restriction in common for the components, so it needs no iterations.
    """
    return COVARIANCE_TYPES.get(structure.sklearn_name, structure)


def require(structure: CovarianceStructure, capability: type[C], client: str) -> C:
    """The structure, if it has the capability; ValueError if not. `client` is the subject of the message."""
    if isinstance(structure, capability):
        return structure
    able = [name for name, each in COVARIANCE_TYPES.items() if isinstance(each, capability)]
    raise ValueError(
        f"{client} needs {capability.capability}, which covariance_type={structure.name!r} does not have. "
        f"Use one of {', '.join(map(repr, able))}."
    )
