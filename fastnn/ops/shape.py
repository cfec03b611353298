"""Shapes, indexing, and putting tensors together."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .. import kernels
from ..autodiff import Gradients, Needs, Tensor, as_tensor, record
from ..kernels.table import python_step
from . import arithmetic


def reshape(x: Any, newshape: int | Sequence[int]) -> Tensor:
    """Return `x` in another shape, in the same memory; one extent may be -1."""
    x = as_tensor(x)
    if not x.data.flags.c_contiguous:
        python_step("reshape")  # a copy
    before = x.data.shape
    return record("reshape", (x,), Tensor(x.data.reshape(newshape)), lambda dy, needs: (reshape(dy, before),))


def expand_dims(x: Any, axis: int) -> Tensor:
    """Return `x` with an axis of extent 1 inserted."""
    x = as_tensor(x)
    return reshape(x, np.expand_dims(x.data, axis).shape)


def squeeze(x: Any, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Return `x` without the given axes, which must have extent 1; without all such axes if `axis` is None."""
    x = as_tensor(x)
    return reshape(x, x.data.squeeze(axis).shape)


def broadcast_to(x: Any, newshape: Sequence[int]) -> Tensor:
    """Return `x` repeated to a shape, by NumPy's rules of broadcasting."""
    x = as_tensor(x)
    if x.data.shape == tuple(newshape):
        return x
    python_step("broadcast_to")
    y = Tensor(np.ascontiguousarray(np.broadcast_to(x.data, newshape)))
    return record("broadcast_to", (x,), y, lambda dy, needs: (arithmetic.sum_to(dy, x.shape),))


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """Return `x` with its axes in another order, reversed if `axes` is None."""
    x = as_tensor(x)
    order = tuple(range(x.ndim))[::-1] if axes is None else tuple([normalize_axis_index(axis, x.ndim) for axis in axes])
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"axes must name each of the {x.ndim} axes once; got {axes}")
    rotated = _rotated(x.data, order) if x.data.dtype.kind == "f" else None
    if rotated is not None:
        y = Tensor(kernels.transpose(rotated).reshape([x.shape[axis] for axis in order]))
    else:
        python_step("transpose")
        y = Tensor(np.ascontiguousarray(x.data.transpose(order)))
    back = tuple(np.argsort(order).tolist())
    return record("transpose", (x,), y, lambda dy, needs: (transpose(dy, back),))


def _rotated(x: np.ndarray, order: tuple[int, ...]) -> np.ndarray | None:
    """Return a view of three axes with the last two to be swapped, if `order` rotates the axes after the first few."""
    kept = 0
    while kept < x.ndim and order[kept] == kept:
        kept += 1
    if kept == x.ndim or order[kept:] != (*range(order[kept], x.ndim), *range(kept, order[kept])) or not x.flags.c_contiguous:
        return None
    return x.reshape(prod(x.shape[:kept]), prod(x.shape[kept : order[kept]]), prod(x.shape[order[kept] :]))


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Return `x` with two axes exchanged."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return transpose(x, order)


def moveaxis(x: Any, source: int, destination: int) -> Tensor:
    """Return `x` with one axis moved to another place."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    order.insert(normalize_axis_index(destination, x.ndim), order.pop(normalize_axis_index(source, x.ndim)))
    return transpose(x, order)


def getitem(x: Any, index: Any) -> Tensor:
    """Return ``x[index]``: NumPy's indexing, with tensors as indices too."""
    x = as_tensor(x)
    index = tuple([_plain(i) for i in index]) if isinstance(index, tuple) else _plain(index)
    before = x.data.shape
    python_step("getitem")
    return record("getitem", (x,), Tensor(x.data[index]), lambda dy, needs: (_put(dy, index, before),))


def _plain(index: Any) -> Any:
    return index.data if isinstance(index, Tensor) else index


def _put(x: Tensor, index: Any, shape: tuple[int, ...]) -> Tensor:
    """Return zeros of a shape with `x` added at the index."""
    python_step("getitem backward")
    y = np.zeros(shape, x.dtype)
    np.add.at(y, index, x.data)  # an index array may name an element twice
    return record("put", (x,), Tensor(y), lambda dy, needs: (getitem(dy, index),))


def concatenate(xs: Sequence[Any], axis: int = -1) -> Tensor:
    """Return tensors joined along an axis."""
    tensors = tuple([as_tensor(x) for x in xs])
    python_step("concatenate")
    y = Tensor(np.concatenate([x.data for x in tensors], axis))
    stops = np.cumsum([x.shape[axis] for x in tensors]).tolist()

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        before = (slice(None),) * (axis % dy.ndim)
        parts = zip([0, *stops], stops, needs, strict=False)
        return [dy[before + (slice(start, stop),)] if needed else None for start, stop, needed in parts]

    return record("concatenate", tensors, y, vjp)


def stack(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Return tensors of one shape put side by side along a new axis."""
    tensors = tuple([as_tensor(x) for x in xs])
    python_step("stack")
    y = Tensor(np.stack([x.data for x in tensors], axis))

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        before = (slice(None),) * (axis % dy.ndim)
        return [dy[before + (i,)] if needed else None for i, needed in enumerate(needs)]

    return record("stack", tensors, y, vjp)
