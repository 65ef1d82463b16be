"""Real data that needs no download, for examples and tests."""

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_old_faithful", "load_sample_patches", "load_sample_pixels"]


def load_old_faithful() -> NDArray[np.float64]:
    """Eruptions of the geyser Old Faithful.

    Returns
    -------
    X : ndarray of shape (272, 2), dtype float64
        Duration of each eruption, and the waiting time until the next one, both in minutes.

    Examples
    --------
    >>> from fastgmm.datasets import load_old_faithful
    >>> load_old_faithful()[:2]
    array([[ 3.6, 79. ],
           [ 1.8, 54. ]])
    """
    with files("fastgmm").joinpath("data/old_faithful.csv").open(encoding="utf-8") as file:
        lines = (line for line in file if not line.startswith("#"))
        return np.loadtxt(lines, delimiter=",", skiprows=1)


def load_sample_pixels() -> NDArray[np.float64]:
    """All pixels of the two sample photographs of scikit-learn.

    Returns
    -------
    X : ndarray of shape (546_560, 3), dtype float64
        Red, green and blue, from 0 to 1.

    Raises
    ------
    ImportError
        If Pillow is not installed. It decodes the photographs.
    """
    return np.concatenate([image.reshape(-1, 3) for image in _load_sample_images()]) / 255.0


def load_sample_patches(size: int = 8) -> NDArray[np.float64]:
    """All square patches of the two sample photographs of scikit-learn, in shades of gray. Patches overlap.

    Parameters
    ----------
    size : int, default=8
        Number of pixels along a side.

    Returns
    -------
    X : ndarray of shape (n_patches, size**2), dtype float64
        Luminance (ITU-R BT.601) from 0 to 1, row after row of the patch. There are 531,720 patches if size is 8.

    Raises
    ------
    ImportError
        If Pillow is not installed. It decodes the photographs.
    """
    patches = []
    for image in _load_sample_images():
        gray = image @ np.array([0.299, 0.587, 0.114]) / 255.0
        windows = np.lib.stride_tricks.sliding_window_view(gray, (size, size))
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
