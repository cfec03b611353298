"""Convolutional neural networks, "Step by Step": convolution and pooling on images (m, n_H, n_W, n_C).

As in the course, all results are float64. Where the course's own solution fails (`conv_backward` without padding) this one does
not, and filters need not be square.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ... import kernels
from ...kernels.functions.checks import F64, integer
from ..as_numpy import unpacked
from ..given import as_float


def zero_pad(X, pad):
    """Return images (m, n_H, n_W, n_C) with `pad` rows and columns of zeros on every side."""
    X = _images("X", X)
    pad = integer("pad", pad, low=0)
    return np.pad(X, ((0, 0), (pad, pad), (pad, pad), (0, 0)))


def conv_single_step(a_slice_prev, W, b, *, bias_mode="v2"):
    """Return ``sum(a_slice_prev * W) + b``, the convolution at one place.

    Parameters
    ----------
    a_slice_prev, W : array_like, shape (f, f, n_C_prev)
    b : array_like of one element
    bias_mode : {"v2", "v1"}, default "v2"
        "v1" adds the bias to each of the products, as the first edition of the notebook did.

    Returns
    -------
    float
    """
    a, W, b = as_float("a_slice_prev", a_slice_prev, F64), as_float("W", W, F64), as_float("b", b, F64)
    if a.ndim != 3 or a.shape != W.shape:
        raise ValueError(f"a_slice_prev and W must have the same shape (f, f, n_C_prev); got {a.shape} and {W.shape}")
    if b.size != 1:
        raise ValueError(f"b must have shape (1, 1, 1), the bias of this one filter; got {b.shape}")
    return kernels.conv2d_forward(a[None], W[..., None], _bias(b.reshape(1), W, bias_mode))[0, 0, 0, 0]


def conv_forward(A_prev, W, b, hparameters, *, bias_mode="v2"):
    """Return the convolution of images with filters.

    Parameters
    ----------
    A_prev : array_like, shape (m, n_H_prev, n_W_prev, n_C_prev)
    W : array_like, shape (f, f, n_C_prev, n_C)
    b : array_like, shape (1, 1, 1, n_C)
    hparameters : dict
        ``"stride"`` and ``"pad"``.
    bias_mode : {"v2", "v1"}, default "v2"
        As in `conv_single_step`.

    Returns
    -------
    Z : ndarray, shape (m, n_H, n_W, n_C)
        ``n_H = int((n_H_prev - f + 2 * pad) / stride) + 1``, and n_W likewise.
    cache : tuple
        ``(A_prev, W, b, hparameters)``, for `conv_backward`.
    """
    images, filters, stride, pad = _convolution(A_prev, W, hparameters)
    bias = as_float("b", b, F64)
    if bias.shape != (1, 1, 1, filters.shape[3]) and bias.shape != (filters.shape[3],):
        raise ValueError(
            f"b must have shape (1, 1, 1, n_C) = (1, 1, 1, {filters.shape[3]}), a number for each filter; got {bias.shape}"
        )
    Z = kernels.conv2d_forward(images, filters, _bias(bias.reshape(-1), filters, bias_mode), stride=stride, padding=pad)
    return Z, (A_prev, W, b, hparameters)


def conv_backward(dZ, cache):
    """Return the gradients by the arguments of `conv_forward`.

    Parameters
    ----------
    dZ : array_like, shape (m, n_H, n_W, n_C)
        The gradient by Z.
    cache : tuple
        From `conv_forward`.

    Returns
    -------
    dA_prev : ndarray, shape (m, n_H_prev, n_W_prev, n_C_prev)
    dW : ndarray, shape (f, f, n_C_prev, n_C)
    db : ndarray, shape (1, 1, 1, n_C)
    """
    A_prev, W, _, hparameters = unpacked(cache, "conv_forward", "A_prev, W, b, hparameters")
    images, filters, stride, pad = _convolution(A_prev, W, hparameters)
    dZ = _images("dZ", dZ)
    sizes = [(n - f + 2 * pad) // stride + 1 for n, f in zip(images.shape[1:3], filters.shape[:2], strict=True)]
    _check_shape("dZ", dZ, (len(images), *sizes, filters.shape[3]), "as Z has it")
    dA_prev = kernels.conv2d_backward_input(dZ, filters, images.shape, stride=stride, padding=pad)
    dW, db = kernels.conv2d_backward_weight(images, dZ, filters.shape[:2], stride=stride, padding=pad)
    return dA_prev, dW, db.reshape(1, 1, 1, -1)


def pool_forward(A_prev, hparameters, mode="max"):
    """Return the largest element, or the mean, of each window.

    Parameters
    ----------
    A_prev : array_like, shape (m, n_H_prev, n_W_prev, n_C)
    hparameters : dict
        ``"f"``, the size of the window, and ``"stride"``.
    mode : {"max", "average"}, default "max"

    Returns
    -------
    A : ndarray, shape (m, n_H, n_W, n_C)
        ``n_H = int((n_H_prev - f) / stride) + 1``, and n_W likewise.
    cache : tuple
        ``(A_prev, hparameters)``, for `pool_backward`.
    """
    images, f, stride = _pooling(A_prev, hparameters)
    if _is_max(mode):
        A, _ = kernels.maxpool2d_forward(images, f, stride)
    else:
        A = kernels.avgpool2d_forward(images, f, stride)
    return A, (A_prev, hparameters)


def pool_backward(dA, cache, mode="max"):
    """Return the gradient by the images of `pool_forward`.

    The gradient of a maximum goes to every element of the window that equals it, in full.

    Parameters
    ----------
    dA : array_like, shape (m, n_H, n_W, n_C)
        The gradient by A.
    cache : tuple
        From `pool_forward`.
    mode : {"max", "average"}, default "max"

    Returns
    -------
    ndarray, shape (m, n_H_prev, n_W_prev, n_C)
    """
    A_prev, hparameters = unpacked(cache, "pool_forward", "A_prev, hparameters")
    images, f, stride = _pooling(A_prev, hparameters)
    dA = _images("dA", dA)
    m, n_H, n_W, n_C = images.shape
    shape = m, (n_H - f) // stride + 1, (n_W - f) // stride + 1, n_C
    _check_shape("dA", dA, shape, "as A has it")
    if not _is_max(mode):
        return kernels.avgpool2d_backward(dA, images.shape, f, stride)
    # not `maxpool2d_backward`, which gives the gradient to the first of equal elements
    A, _ = kernels.maxpool2d_forward(images, f, stride)
    windows = kernels.im2col(images, f, stride).reshape(-1, f * f, n_C)
    shares = (windows == A.reshape(-1, 1, n_C)) * dA.reshape(-1, 1, n_C)
    return kernels.col2im(shares.reshape(-1, f * f * n_C), images.shape, f, stride)


def create_mask_from_window(x):
    """Return where `x` equals its maximum."""
    x = as_float("x", x)
    return x == x.max()


def distribute_value(dz, shape):
    """Return an array of `shape` whose equal elements sum to `dz`."""
    n_H, n_W = shape
    return np.full((n_H, n_W), dz / (n_H * n_W), dtype=F64)


def _images(name: str, X: Any) -> np.ndarray:
    X = as_float(name, X, F64)
    if X.ndim != 4:
        hint = f"; one image is {name}[np.newaxis]" if X.ndim == 3 else ""
        raise ValueError(f"{name} must have shape (m, n_H, n_W, n_C), images in channels-last order; got {X.shape}{hint}")
    return X


def _hyper(hparameters: Any, **least: int) -> list[int]:
    if not isinstance(hparameters, Mapping) or not least.keys() <= hparameters.keys():
        raise ValueError(f"hparameters must be a dict with {' and '.join(map(repr, least))}; got {hparameters!r:.60}")
    return [integer(f"hparameters[{key!r}]", hparameters[key], low) for key, low in least.items()]


def _convolution(A_prev: Any, W: Any, hparameters: Any) -> tuple[np.ndarray, np.ndarray, int, int]:
    images, filters = _images("A_prev", A_prev), as_float("W", W, F64)
    if filters.ndim != 4 or filters.shape[2] != images.shape[3]:
        raise ValueError(
            f"W must have shape (f, f, n_C_prev, n_C), n_C_prev = {images.shape[3]} the channels of A_prev; got {filters.shape}"
        )
    stride, pad = _hyper(hparameters, stride=1, pad=0)
    for n, f in zip(images.shape[1:3], filters.shape[:2], strict=True):
        if n + 2 * pad < f:
            raise ValueError(
                f"n_H = int((n_H_prev - f + 2 * pad) / stride) + 1 must be at least 1, and n_W likewise; "
                f"got A_prev {images.shape}, W {filters.shape}, pad {pad}"
            )
    return images, filters, stride, pad


def _pooling(A_prev: Any, hparameters: Any) -> tuple[np.ndarray, int, int]:
    images = _images("A_prev", A_prev)
    f, stride = _hyper(hparameters, f=1, stride=1)
    if min(images.shape[1:3]) < f:
        raise ValueError(
            f"n_H = int((n_H_prev - f) / stride) + 1 must be at least 1, and n_W likewise; got A_prev {images.shape}, f {f}"
        )
    return images, f, stride


def _bias(b: np.ndarray, W: np.ndarray, bias_mode: str) -> np.ndarray:
    if bias_mode not in ("v1", "v2"):
        raise ValueError(f"bias_mode must be 'v2' or 'v1'; got {bias_mode!r:.60}")
    return b if bias_mode == "v2" else kernels.rescale(b, float(np.prod(W.shape[:3])))


def _is_max(mode: Any) -> bool:
    if mode not in ("max", "average"):
        raise ValueError(f"mode must be 'max' or 'average'; got {mode!r:.60}")
    return mode == "max"


def _check_shape(name: str, array: np.ndarray, shape: tuple[int, ...], why: str) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, {why}; got {array.shape}")
