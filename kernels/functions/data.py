"""Moving data: changing layouts, gathering batches, accumulating."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..table import attempt, call
from .checks import F32, F64, check_below, in_place, integers, number, plain_array, real
from .compute import compute


def transpose(x: Any) -> np.ndarray:
    """Return `x` with its last two axes swapped.

    Images between the layouts: ``transpose(x.reshape(n, h * w, c)).reshape(n, c, h, w)``.

    Parameters
    ----------
    x : array_like, shape (r, c) or (n, r, c)

    Returns
    -------
    ndarray, shape (c, r) or (n, c, r)
        A new array, float64 if `x` is, else float32.

    Raises
    ------
    ValueError, TypeError
        If `x` has another rank or is not of real numbers.
    """
    x = real("x", x)
    if x.ndim not in (2, 3):
        raise ValueError(f"x must have shape (r, c) or (n, r, c); got {x.shape}")
    *n, r, c = x.shape
    y = np.empty((*n, c, r), x.dtype, like=x)
    call("transpose", x.reshape(math.prod(n), r, c), y.reshape(math.prod(n), c, r))
    return y


def gather(x: Any, index: Any, scale: float = 1.0, offset: float = 0.0, dtype: DTypeLike | None = None) -> np.ndarray:
    """Return the batch ``x[index] * scale + offset``.

    Parameters
    ----------
    x : array_like, shape (r, ...)
        Samples. Bytes (uint8) are read as they are, so a data set of images need not be converted first.
    index : array_like of int, shape (n,)
        Which samples, each in [0, r); repeats are fine.
    scale, offset : float, default 1.0 and 0.0
        For example 1 / 255 and 0 for images of bytes.
    dtype : dtype, optional
        float32 or float64; by default that of `x`, float32 where `x` is neither.

    Returns
    -------
    ndarray, shape (n, ...)

    Raises
    ------
    ValueError, TypeError
        If `x` has no axis of samples, an index is outside [0, r), or `dtype` is none of the two.

    Examples
    --------
    >>> from fastnn import kernels
    >>> kernels.gather([[1, 2], [3, 4], [5, 6]], [2, 0])
    array([[5., 6.],
           [1., 2.]], dtype=float32)
    """
    if dtype is not None and np.dtype(dtype) not in (F32, F64):
        raise TypeError(f"dtype must be float32 or float64; got {np.dtype(dtype)}")
    if type(x) is np.ndarray and x.dtype == np.uint8:
        op_name, x, dtype = "gather_uint8", plain_array(x, x.dtype), np.dtype(dtype or F32)
    else:
        op_name, x = "gather", real("x", x, None if dtype is None else np.dtype(dtype))
        dtype = x.dtype
    if x.ndim == 0:
        raise ValueError("x must have at least one axis, the samples; got a scalar")
    index = integers("index", index)
    if index.ndim != 1:
        raise ValueError(f"index must have shape (n,); got {index.shape}")
    check_below("index", index, x.shape[0], "samples")
    y = np.empty((len(index), *x.shape[1:]), dtype)
    size = math.prod(x.shape[1:])
    call(op_name, x.reshape(len(x), size), index, number("scale", scale), number("offset", offset), y.reshape(len(y), size))
    return y


def rescale(x: Any, scale: float, offset: float = 0.0) -> np.ndarray:
    """Return ``x * scale + offset``.

    Parameters
    ----------
    x : array_like
        Any shape.
    scale, offset : float

    Returns
    -------
    ndarray
        Of the shape of `x`; float64 if `x` is, else float32.

    Raises
    ------
    TypeError, ValueError
        If `x` is not an array of real numbers, or `scale` or `offset` is not a number.
    """
    (y,) = compute("rescale", (real("x", x),), (number("scale", scale), number("offset", offset)))
    return y


def accumulate(x: Any, total: np.ndarray, scale: float = 1.0) -> None:
    """Update ``total += scale * x``.

    Parameters
    ----------
    x : array_like
        Of the shape of `total`.
    total : ndarray of float32 or float64
        Updated in place: writable and C-contiguous. It must not overlap `x`.
    scale : float, default 1.0

    Raises
    ------
    ValueError, TypeError
        If the shapes differ, or `total` cannot be updated in place.
    """
    params = (number("scale", scale),)
    if attempt("accumulate", (x,), params, (total,)) is not None:
        return
    total = in_place("total", total)
    x = real("x", x, total.dtype)
    if x.shape != total.shape:
        raise ValueError(f"x must have the shape of total, {total.shape}; got {x.shape}")
    call("accumulate", x, *params, total)


def add(a: Any, b: Any) -> np.ndarray:
    """Return ``a + b``; no broadcasting.

    Parameters
    ----------
    a, b : array_like
        Of one shape.

    Returns
    -------
    ndarray
        float64 if one of the arrays is, else float32.

    Raises
    ------
    ValueError, TypeError
        If the shapes differ or an array is not of real numbers.
    """
    (y,) = compute("add", (a, b))
    return y


def increment(count: np.ndarray) -> None:
    """Update ``count += 1``.

    Parameters
    ----------
    count : ndarray of float64, shape (1,)
        A step counter, updated in place.

    Raises
    ------
    ValueError, TypeError
        If it is no such array or cannot be updated in place.
    """
    call("increment", in_place("count", count, F64, (1,)))
