"""The parameter `noise` of an estimator, and the fitted attributes of its background."""

from __future__ import annotations

import math

import numpy as np

from fastgmm._model.noise import Noise, Region
from fastgmm._rows.boxes import log_volume, smallest_box
from fastgmm._rows.protocol import Passes

_STARTS_OF_ROWS = ("k-means++", "random_from_data")


# The fitted attributes of a mixture without a background.
NO_NOISE: dict[str, object] = {"noise_weight_": 0.0, "noise_log_density_": -math.inf, "noise_box_": None}


def has_noise(estimator) -> bool:
    """Whether a fit gives the mixture a background."""
    return bool(estimator.noise)


def check_noise(estimator, continues: bool) -> None:
    """Raise ValueError if `noise` does not combine with other parameters, or with the fitted model to continue from."""
    is_on = has_noise(estimator)
    if continues and is_on != (fitted_noise(estimator) is not None):
        raise ValueError(
            f"noise={estimator.noise!r}, but the fitted model that the fit continues from "
            f"{'has no background' if is_on else 'has a background'}: noise was changed. Change it back, or fit anew: "
            "with warm_start=False, and before partial_fit."
        )
    check_noise_alone(estimator, continues)


def check_noise_alone(estimator, continues: bool = False) -> None:
    """Raise ValueError if the estimator has a background, and a parameter that does not combine with it."""
    if not has_noise(estimator):
        return
    if estimator.acceleration is not None:
        raise ValueError(
            f"acceleration={estimator.acceleration!r} does not combine with noise={estimator.noise!r}: pass "
            "acceleration=None."
        )
    if estimator.missing != "raise":
        raise ValueError(
            f"missing={estimator.missing!r} does not combine with noise={estimator.noise!r}: the background "
            "needs complete rows. Pass missing='raise', and leave out or impute rows with missing values."
        )
    if not continues and isinstance(estimator.init_params, str) and estimator.init_params in _STARTS_OF_ROWS:
        raise ValueError(
            f"init_params={estimator.init_params!r} does not combine with noise={estimator.noise!r}: components start "
            "on single rows, and all other rows would be noise. Pass 'kmeans', 'sample' or 'split_merge'."
        )


def region_of(noise: bool | float, passes: Passes) -> Region | None:
    """The background of a valid `noise`; None if there is none. With True it makes passes over the rows."""
    if not noise:
        return None
    if not isinstance(noise, bool | np.bool_):
        return Region(-math.log(noise))
    box = smallest_box(passes)
    return Region(-log_volume(box), box)


def noise_attributes(noise: Noise | None, region: Region | None) -> dict[str, object]:
    """The fitted attributes of the background, by name; none without a background, which the class stands for."""
    if noise is None:
        return {}
    box = None if region is None else region.box
    return {"noise_weight_": noise.weight, "noise_log_density_": noise.log_density, "noise_box_": box}


def fitted_noise(estimator) -> Noise | None:
    """The background of a fitted mixture; None if it has none. Raises ValueError if its attributes are not valid."""
    weight, log_density = getattr(estimator, "noise_weight_", 0.0), getattr(estimator, "noise_log_density_", -math.inf)
    if log_density == -math.inf:
        return None
    if not (0.0 <= weight <= 1.0 and math.isfinite(log_density)):
        raise ValueError(
            f"noise_weight_={weight!r} and noise_log_density_={log_density!r} must be a float in the range [0, 1] and "
            "a finite float: one was changed. Call fit again (with warm_start=False)."
        )
    return Noise(float(weight), float(log_density))


def fitted_region(estimator) -> Region | None:
    """What the fitted mixture knows of the background besides its weight; None if it has none."""
    noise = fitted_noise(estimator)
    return None if noise is None else Region(noise.log_density, getattr(estimator, "noise_box_", None))


def check_has_no_noise(estimator, client: str, remedy: str) -> None:
    """Raise ValueError if the fitted mixture has a background. `client` is the subject of the message."""
    if fitted_noise(estimator) is not None:
        raise ValueError(
            f"{client} does not know the uniform background that noise={estimator.noise!r} adds to the mixture: "
            f"{remedy}"
        )
