"""What students give, as arrays that kernels take."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels.functions.checks import F32, F64, real


def as_float(name: str, value: Any, dtype: np.dtype | None = None) -> np.ndarray:
    """Return `value` as a C-contiguous array of `dtype`; by default float32 stays, and anything else becomes float64 as in NumPy.

    An array that is already right is returned as the same object.

    Raises
    ------
    TypeError, ValueError
        If it is no array of real numbers.
    """
    if dtype is None:
        dtype = F32 if getattr(value, "dtype", None) == F32 else F64
    return real(name, value, dtype)
