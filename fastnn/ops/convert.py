"""Making tensors and changing their dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff import Tensor, as_tensor, constant, record
from ..kernels.table import python_step


def convert_to_tensor(x: Any, dtype: Any = None) -> Tensor:
    """Return `x` as a tensor, with the dtype `fastnn.constant` gives or the given one."""
    return as_tensor(x) if dtype is None else cast(x if isinstance(x, Tensor) else constant(x, dtype), dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """Return the values of a tensor or array_like as a NumPy array, through which no derivative goes."""
    return np.asarray(x.numpy() if isinstance(x, Tensor) else x)


def cast(x: Any, dtype: Any) -> Tensor:
    """Return `x` in another dtype. Integers and bools have no derivative."""
    x = as_tensor(x)
    before, dtype = x.data.dtype, np.dtype(dtype)
    if before == dtype:
        return x
    python_step("cast")
    y = Tensor(x.data.astype(dtype))
    return record("cast", (x,), y, lambda dy, needs: (cast(dy, before),)) if before.kind == dtype.kind == "f" else y


def stop_gradient(x: Any) -> Tensor:
    """Return the values of `x` as a constant: no derivative goes through."""
    return Tensor(as_tensor(x).data)


def zeros(shape: Sequence[int], dtype: Any = "float32") -> Tensor:
    """Return zeros."""
    return Tensor(np.zeros(shape, dtype))


def ones(shape: Sequence[int], dtype: Any = "float32") -> Tensor:
    """Return ones."""
    return Tensor(np.ones(shape, dtype))


def zeros_like(x: Any) -> Tensor:
    """Return zeros in the shape and dtype of `x`."""
    x = as_tensor(x)
    return zeros(x.shape, x.dtype)


def ones_like(x: Any) -> Tensor:
    """Return ones in the shape and dtype of `x`."""
    x = as_tensor(x)
    return ones(x.shape, x.dtype)


def one_hot(x: Any, num_classes: int, dtype: Any = "float32") -> Tensor:
    """Return a row for each integer in `x`, 1 at its place and 0 elsewhere; zeros for one outside [0, num_classes)."""
    labels = as_tensor(x).data
    python_step("one_hot")
    return Tensor((labels[..., np.newaxis] == np.arange(num_classes)).astype(dtype))
