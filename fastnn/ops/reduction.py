"""Sums, means, extremes along axes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..autodiff import Tensor, as_tensor, record
from ..kernels.table import python_step
from . import elementary, shape

Axis = int | tuple[int, ...] | None


def _axes(x: Tensor, axis: Axis) -> tuple[int, ...]:
    """Return the axes to reduce as a tuple of numbers from 0."""
    if axis is None:
        return tuple(range(x.ndim))
    return normalize_axis_tuple(axis, x.ndim, "axis")


def _kept(x: Tensor, axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a reduction that keeps the axes it reduces."""
    return tuple([1 if i in axes else extent for i, extent in enumerate(x.shape)])


def _spread(dy: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return `dy`, of a reduction's shape, repeated to the shape of `x`."""
    return shape.broadcast_to(shape.reshape(dy, _kept(x, axes)), x.shape)


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the sum along axes, of everything if `axis` is None."""
    x = as_tensor(x)
    axes = _axes(x, axis)
    python_step("sum")
    y = Tensor(x.data.sum(axis=axes, keepdims=keepdims))
    return record("sum", (x,), y, lambda dy, needs: (_spread(dy, x, axes),))


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the mean along axes, of everything if `axis` is None. Integers are converted to float32."""
    x = elementary.as_float(x)
    axes = _axes(x, axis)
    python_step("mean")
    y = Tensor(x.data.mean(axis=axes, keepdims=keepdims))
    count = prod([x.shape[i] for i in axes])
    return record("mean", (x,), y, lambda dy, needs: (_spread(dy / count, x, axes),))


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the maximum along axes, of everything if `axis` is None; equal maxima share the derivative."""
    x = as_tensor(x)
    axes = _axes(x, axis)
    python_step("max")
    y = Tensor(x.data.max(axis=axes, keepdims=keepdims))
    return record("max", (x,), y, lambda dy, needs: (_share(dy, x, y, axes),))


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the minimum along axes, of everything if `axis` is None; equal minima share the derivative."""
    x = as_tensor(x)
    axes = _axes(x, axis)
    python_step("min")
    y = Tensor(x.data.min(axis=axes, keepdims=keepdims))
    return record("min", (x,), y, lambda dy, needs: (_share(dy, x, y, axes),))


def _share(dy: Tensor, x: Tensor, y: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return `dy` in equal parts at the places where `x` is its extreme `y`."""
    python_step("max or min backward")
    hit = (x.data == y.data.reshape(_kept(x, axes))).astype(x.dtype)
    return _spread(dy, x, axes) * Tensor(hit / hit.sum(axis=axes, keepdims=True))


def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the (biased) variance along axes."""
    x = elementary.as_float(x)
    return mean(elementary.square(x - mean(x, axis, keepdims=True)), axis, keepdims)


def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the (biased) standard deviation along axes."""
    return elementary.sqrt(var(x, axis, keepdims))


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return ``log(sum(exp(x)))`` along axes, without overflow."""
    x = elementary.as_float(x)
    axes = _axes(x, axis)
    python_step("logsumexp")
    largest = x.data.max(axis=axes, keepdims=True)
    largest = Tensor(np.where(np.isfinite(largest), largest, 0))
    y = elementary.log(sum(elementary.exp(x - largest), axes, keepdims=True)) + largest
    return y if keepdims else shape.reshape(y, [extent for i, extent in enumerate(x.shape) if i not in axes])


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the index of the first maximum along an axis, of the flattened tensor if `axis` is None; int32, no derivative."""
    x = as_tensor(x)
    python_step("argmax")
    return Tensor(np.asarray(x.data.argmax(axis=axis, keepdims=keepdims), np.int32))


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the index of the first minimum along an axis, of the flattened tensor if `axis` is None; int32, no derivative."""
    x = as_tensor(x)
    python_step("argmin")
    return Tensor(np.asarray(x.data.argmin(axis=axis, keepdims=keepdims), np.int32))
