"""Arrays that are aligned as the kernels need it."""

import numpy as np

_ALIGNMENT = 64  # bytes of a cache line


def aligned_empty(size: int, dtype) -> np.ndarray:
    """Uninitialized 1-D array that starts on a cache line."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.empty(size + _ALIGNMENT // itemsize, dtype)
    first = -raw.__array_interface__["data"][0] % _ALIGNMENT // itemsize
    return raw[first : first + size]
