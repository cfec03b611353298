"""Arrays that start at a cache line: vectors as wide as one lie in one line each, and are read and written at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

#: bytes of a cache line, and of the widest vector
ALIGNMENT = 64


def empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Return an array as `numpy.empty` does."""
    memory = np.empty(math.prod(shape) * np.dtype(dtype).itemsize + ALIGNMENT, np.uint8)
    return np.ndarray(shape, dtype, memory, -memory.ctypes.data % ALIGNMENT)


def copy_of(array: np.ndarray) -> np.ndarray:
    """Return a C-contiguous copy, in native byte order."""
    copy = empty(array.shape, array.dtype.type)
    copy[...] = array
    return copy
