"""Real data that needs no download, for examples and tests."""

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_old_faithful", "load_sample_patches", "load_sample_pixels"]


def load_old_faithful() -> NDArray[np.float64]:
    """Eruptions of the Old Faithful geyser, the data everyone's first mixture is fitted to.

    Returns
    -------
    X : ndarray of shape (272, 2)
        Duration of each eruption and the waiting time until the next one, both in minutes.
    """
    with files("fastgmm").joinpath("data/old_faithful.csv").open(encoding="utf-8") as file:
        lines = (line for line in file if not line.startswith("#"))
        return np.loadtxt(lines, delimiter=",", skiprows=1)


def load_sample_pixels() -> NDArray[np.float64]:
    """Every pixel of scikit-learn's two sample photographs.

    Returns
    -------
    X : ndarray of shape (546_560, 3)
        Red, green and blue, from 0 to 1.

    Raises
    ------
    ImportError
        If Pillow, which decodes the photographs, is not installed.
    """
    return np.concatenate([image.reshape(-1, 3) for image in _load_sample_images()]) / 255.0


def load_sample_patches(size: int = 8) -> NDArray[np.float64]:
    """Every square patch, at all overlapping positions, of scikit-learn's two sample photographs in shades of grey.

    Parameters
    ----------
    size : int, default=8
        Pixels along a side.

    Returns
    -------
    X : ndarray of shape (n_patches, size**2)
        Luminance (ITU-R BT.601) from 0 to 1, row after row of the patch; 531,720 patches when size is 8.

    Raises
    ------
    ImportError
        If Pillow, which decodes the photographs, is not installed.
    """
    patches = []
    for image in _load_sample_images():
        grey = image @ np.array([0.299, 0.587, 0.114]) / 255.0
        windows = np.lib.stride_tricks.sliding_window_view(grey, (size, size))
        patches.append(windows.reshape(-1, size * size))
    return np.concatenate(patches)


def _load_sample_images() -> list[NDArray[np.uint8]]:
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "The sample photographs are JPEG files, which need Pillow: python -m pip install pillow"
        ) from error
    from sklearn.datasets import load_sample_images

    return load_sample_images().images
