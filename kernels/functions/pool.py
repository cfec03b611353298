"""Pooling over windows of images, or over whole images. What lies outside the image takes no part.

Pooling treats each channel by itself, so a channels_first batch (N, C, H, W) goes to the kernels, as it lies in memory, as N * C
images of one channel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..table import call
from .checks import check_below, data_format_is_first, inputs, integers, real, shape4
from .geometry import Padding, Pair, Window, pool_window


def maxpool2d_forward(
    x: Any, pool_size: Pair = 2, stride: Pair | None = None, padding: Padding = "valid", data_format: str = "channels_last"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest element of each window, and where it was.

    Ties go to the first maximum in row-major order; a NaN in a window is its maximum.

    Parameters
    ----------
    x : array_like, shape (N, H, W, C) or (N, C, H, W)
        Images; N may be 0.
    pool_size : int or (int, int), default 2
        Rows and columns of the window.
    stride : int or (int, int), optional
        Step of the window; `pool_size` if left out. Windows may overlap, or leave pixels out.
    padding : "valid", "same", int, (int, int) or ((int, int), (int, int)), default "valid"
        As in `conv2d_forward`, and smaller than `pool_size`. The padding counts as less than any number.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The layout of `x` and the results.

    Returns
    -------
    y : ndarray, shape (N, OH, OW, C) or (N, C, OH, OW)
        float64 if `x` is, else float32.
    argmax : ndarray of int32, same shape
        ``row * W + column`` of the maximum in the image.

    Raises
    ------
    ValueError, TypeError
        If `x` is not such an array, the output would be empty, or an argument is none of the above.

    See Also
    --------
    maxpool2d_backward : The gradient.
    fastnn.ops.maxpool2d : The same on tensors, for a `fastnn.GradientTape`.
    fastnn.layers.MaxPooling2D : The layer.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> y, argmax = kernels.maxpool2d_forward(np.reshape([1, 5, 2, 5], (1, 2, 2, 1)))
    >>> y.item(), argmax.item()
    (5.0, 1)
    """
    x, shape, window = _image("maxpool2d_forward", x, pool_size, stride, padding, data_format)
    y = np.empty((x.shape[0], *window.output, x.shape[3]), x.dtype, like=x)
    argmax = np.empty(y.shape, np.int32)
    call("maxpool2d_forward", x, *window.pool_params, y, argmax)
    return y.reshape(shape), argmax.reshape(shape)


def maxpool2d_backward(dy: Any, argmax: Any, input_shape: Sequence[int], data_format: str = "channels_last") -> np.ndarray:
    """Return the gradient by `x` of ``sum(dy * y)``: `dy` added at the place of each maximum.

    Parameters
    ----------
    dy : array_like, shape (N, OH, OW, C) or (N, C, OH, OW)
        The gradient by the output.
    argmax : array_like of int, same shape
        As `maxpool2d_forward` returned it.
    input_shape : (int, int, int, int)
        The shape of `x`.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The layout of all of them.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, or a place in `argmax` is outside the image.
    """
    first = data_format_is_first(data_format)
    image = shape4("input_shape", input_shape, data_format)
    (dy, argmax), _ = inputs("maxpool2d_backward", dy, argmax, known=image, data_format=data_format)
    check_below("argmax", argmax, image["ih"] * image["iw"], "pixels of an image")
    dx = np.empty(tuple(image.values()), dy.dtype, like=dy)
    call("maxpool2d_backward", *(_single_channels(a) if first else a for a in (dy, argmax, dx)))
    return dx


def avgpool2d_forward(
    x: Any, pool_size: Pair = 2, stride: Pair | None = None, padding: Padding = "valid", data_format: str = "channels_last"
) -> np.ndarray:
    """Return the mean of the elements of each window that lie inside the image.

    Parameters
    ----------
    x, pool_size, stride, padding, data_format
        As in `maxpool2d_forward`.

    Returns
    -------
    ndarray, shape (N, OH, OW, C) or (N, C, OH, OW)
        float64 if `x` is, else float32.

    Raises
    ------
    ValueError, TypeError
        As `maxpool2d_forward`.
    """
    x, shape, window = _image("avgpool2d_forward", x, pool_size, stride, padding, data_format)
    y = np.empty((x.shape[0], *window.output, x.shape[3]), x.dtype, like=x)
    call("avgpool2d_forward", x, *window.pool_params, y)
    return y.reshape(shape)


def avgpool2d_backward(
    dy: Any,
    input_shape: Sequence[int],
    pool_size: Pair = 2,
    stride: Pair | None = None,
    padding: Padding = "valid",
    data_format: str = "channels_last",
) -> np.ndarray:
    """Return the gradient by `x` of ``sum(dy * avgpool2d_forward(x, ...))``: `dy` spread evenly over each window.

    Parameters
    ----------
    dy : array_like, shape (N, OH, OW, C) or (N, C, OH, OW)
        The gradient by the output.
    input_shape : (int, int, int, int)
        The shape of `x`.
    pool_size, stride, padding, data_format
        As in `maxpool2d_forward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an argument is not as in `maxpool2d_forward`.
    """
    first = data_format_is_first(data_format)
    image = shape4("input_shape", input_shape, data_format)
    window = pool_window((image["ih"], image["iw"]), pool_size, stride, padding)
    known = {**image, "oh": window.output[0], "ow": window.output[1]}
    (dy,), _ = inputs("avgpool2d_backward", dy, known=known, data_format=data_format)
    dx = np.empty(tuple(image.values()), dy.dtype, like=dy)
    dy_images, dx_images = (_single_channels(a) if first else a for a in (dy, dx))
    call("avgpool2d_backward", dy_images, *window.pool_params, dx_images)
    return dx


def global_avgpool2d_forward(x: Any, data_format: str = "channels_last") -> np.ndarray:
    """Return the mean over rows and columns.

    Parameters
    ----------
    x : array_like, shape (N, H, W, C) or (N, C, H, W)
        Images; N may be 0.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The layout of `x`.

    Returns
    -------
    ndarray, shape (N, C)
        float64 if `x` is, else float32.

    Raises
    ------
    ValueError, TypeError
        If `x` is not such an array.
    """
    first = data_format_is_first(data_format)
    (x,), extent = inputs("global_avgpool2d_forward", x, data_format=data_format)
    y = np.empty((extent["n"], extent["c"]), x.dtype, like=x)
    call("global_avgpool2d_forward", _single_channels(x) if first else x, y.reshape(y.size, 1) if first else y)
    return y


def global_avgpool2d_backward(dy: Any, input_shape: Sequence[int], data_format: str = "channels_last") -> np.ndarray:
    """Return the gradient by `x` of ``sum(dy * global_avgpool2d_forward(x))``: ``dy / (H * W)`` everywhere.

    Parameters
    ----------
    dy : array_like, shape (N, C)
        The gradient by the output.
    input_shape : (int, int, int, int)
        The shape of `x`.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The layout of `x`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit.
    """
    first = data_format_is_first(data_format)
    image = shape4("input_shape", input_shape, data_format)
    (dy,), _ = inputs("global_avgpool2d_backward", dy, known=image)
    dx = np.empty(tuple(image.values()), dy.dtype, like=dy)
    call("global_avgpool2d_backward", dy.reshape(dy.size, 1) if first else dy, _single_channels(dx) if first else dx)
    return dx


def global_maxpool2d_forward(x: Any, data_format: str = "channels_last") -> tuple[np.ndarray, np.ndarray]:
    """Return the maximum over rows and columns, and where it was. Ties and NaNs are as in `maxpool2d_forward`.

    Parameters
    ----------
    x : array_like, shape (N, H, W, C) or (N, C, H, W)
        Images; N may be 0.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The layout of `x`.

    Returns
    -------
    y : ndarray, shape (N, C)
        float64 if `x` is, else float32.
    argmax : ndarray of int32, shape (N, C)
        ``row * W + column`` of the maximum in the image.

    Raises
    ------
    ValueError, TypeError
        If `x` is not such an array.
    """
    data_format_is_first(data_format)  # or an error
    (x,), extent = inputs("maxpool2d_forward", x, data_format=data_format)
    y, argmax = maxpool2d_forward(x, (extent["ih"], extent["iw"]), data_format=data_format)
    shape = extent["n"], extent["c"]
    return y.reshape(shape), argmax.reshape(shape)


def global_maxpool2d_backward(dy: Any, argmax: Any, input_shape: Sequence[int], data_format: str = "channels_last") -> np.ndarray:
    """Return the gradient by `x` of ``sum(dy * y)``: `dy` at the place of each maximum, else 0.

    Parameters
    ----------
    dy : array_like, shape (N, C)
        The gradient by the output.
    argmax : array_like of int, shape (N, C)
        As `global_maxpool2d_forward` returned it.
    input_shape : (int, int, int, int)
        The shape of `x`.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The layout of `x`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, or a place in `argmax` is outside the image.
    """
    image = shape4("input_shape", input_shape, data_format)
    dy, argmax = real("dy", dy), integers("argmax", argmax)
    for name, array in (("dy", dy), ("argmax", argmax)):
        if array.shape != (image["n"], image["c"]):
            raise ValueError(f"{name} must have shape (n={image['n']}, c={image['c']}); got {array.shape}")
    shape = (*dy.shape, 1, 1) if data_format_is_first(data_format) else (dy.shape[0], 1, 1, dy.shape[1])
    return maxpool2d_backward(dy.reshape(shape), argmax.reshape(shape), input_shape, data_format)


def _image(
    op_name: str, x: Any, pool_size: Pair, stride: Pair | None, padding: Padding, data_format: str
) -> tuple[np.ndarray, tuple[int, ...], Window]:
    """Return `x` as the kernels take it, the shape that the caller expects of the output, and the window."""
    first = data_format_is_first(data_format)
    (x,), extent = inputs(op_name, x, data_format=data_format)
    window = pool_window((extent["ih"], extent["iw"]), pool_size, stride, padding)
    n, c = extent["n"], extent["c"]
    if first:
        return _single_channels(x), (n, c, *window.output), window
    return x, (n, *window.output, c), window


def _single_channels(x: np.ndarray) -> np.ndarray:
    """Return images (N, C, H, W) as N * C images (H, W, 1): a view."""
    return x.reshape(math.prod(x.shape[:2]), *x.shape[2:], 1)
