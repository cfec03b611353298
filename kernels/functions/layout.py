"""Between the layout of the caller and channels_last, which is all that the kernels know: the `transpose` op and views."""

from __future__ import annotations

import math

import numpy as np

from ..table import call


def swapped(x: np.ndarray, n: int, r: int, c: int) -> np.ndarray:
    """Return `x`, seen as (n, r, c), with the last two axes swapped: shape (n, c, r). A view where the order in memory stays."""
    x = x.reshape(n, r, c)
    if r == 1 or c == 1:
        return x.reshape(n, c, r)
    y = np.empty((n, c, r), x.dtype, like=x)
    call("transpose", x, y)
    return y


def images_last(x: np.ndarray) -> np.ndarray:
    """Return images (N, C, H, W) as (N, H, W, C)."""
    n, c, h, w = x.shape
    return swapped(x, n, c, h * w).reshape(n, h, w, c)


def images_first(x: np.ndarray) -> np.ndarray:
    """Return images (N, H, W, C) as (N, C, H, W)."""
    n, h, w, c = x.shape
    return swapped(x, n, h * w, c).reshape(n, c, h, w)


def filters_last(w: np.ndarray) -> np.ndarray:
    """Return filters (C_out, C, KH, KW) as (KH, KW, C, C_out)."""
    co, c, kh, kw = w.shape
    return swapped(swapped(w, co, c, kh * kw), 1, co, kh * kw * c).reshape(kh, kw, c, co)


def filters_first(w: np.ndarray) -> np.ndarray:
    """Return filters (KH, KW, C, C_out) as (C_out, C, KH, KW)."""
    kh, kw, c, co = w.shape
    return swapped(swapped(w, 1, kh * kw * c, co), co, kh * kw, c).reshape(co, c, kh, kw)


def channels_to_columns(name: str, x: np.ndarray, first: bool) -> np.ndarray:
    """Return (..., C), or with `first` (N, C, ...), as a matrix with a column for each channel."""
    if x.ndim < 2:
        raise ValueError(f"{name} must have at least 2 axes, a batch and its channels; got shape {x.shape}")
    if first:
        n, c, size = x.shape[0], x.shape[1], math.prod(x.shape[2:])
        return swapped(x, n, c, size).reshape(n * size, c)
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def columns_to_channels(columns: np.ndarray, shape: tuple[int, ...], first: bool) -> np.ndarray:
    """Undo `channels_to_columns`: `shape` is what came then."""
    if first:
        n, c, size = shape[0], shape[1], math.prod(shape[2:])
        return swapped(columns, n, size, c).reshape(shape)
    return columns.reshape(shape)
