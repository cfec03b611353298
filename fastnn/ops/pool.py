"""Pooling over rows and columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels
from ..autodiff import Gradients, Needs, Tensor, as_tensor, record
from ..kernels.table import python_step
from .shape import reshape


def maxpool2d(x: Any, pool_size: Any = 2, stride: Any = None, padding: Any = "valid", data_format: str = "channels_last") -> Tensor:
    """Return the largest element of each window; of equal ones the first gets the derivative.

    Parameters
    ----------
    x : Tensor, shape (n, h, w, c), or (n, c, h, w) for channels_first
    pool_size : int or pair of int, default 2
    stride : int or pair of int, optional
        `pool_size` if left out.
    padding : "valid", "same", int, (int, int) or ((top, bottom), (left, right)), default "valid"
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    """
    x = as_tensor(x)
    y, argmax = kernels.maxpool2d_forward(x.data, pool_size, stride, padding, data_format=data_format)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        return (_maxpool2d_backward(dy, argmax, x.shape, data_format),)

    return record("maxpool2d", (x,), Tensor(y), vjp)


def _maxpool2d_backward(dy: Tensor, argmax: np.ndarray, input_shape: tuple[int, ...], data_format: str) -> Tensor:
    dx = Tensor(kernels.maxpool2d_backward(dy.data, argmax, input_shape, data_format=data_format))
    return record("maxpool2d_backward", (dy,), dx, lambda ddx, needs: (_take_at(ddx, argmax, data_format),))


def _take_at(x: Tensor, argmax: np.ndarray, data_format: str) -> Tensor:
    """Return the elements of images that stand where `maxpool2d` found its maxima."""
    python_step("maxpool2d second derivative")
    places = 1 if data_format == "channels_last" else 2
    flat = (len(argmax), -1, argmax.shape[3]) if places == 1 else (*argmax.shape[:2], -1)
    y = np.take_along_axis(x.data.reshape(*x.shape[:places], -1, *x.shape[places + 2 :]), argmax.reshape(flat), axis=places)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        return (_maxpool2d_backward(dy, argmax, x.shape, data_format),)

    return record("take_at", (x,), Tensor(y.reshape(argmax.shape)), vjp)


def avgpool2d(x: Any, pool_size: Any = 2, stride: Any = None, padding: Any = "valid", data_format: str = "channels_last") -> Tensor:
    """Return the mean of the elements of each window that lie inside the image. Arguments as for `maxpool2d`."""
    x = as_tensor(x)
    window = (pool_size, stride, padding)
    y = Tensor(kernels.avgpool2d_forward(x.data, *window, data_format=data_format))
    return record("avgpool2d", (x,), y, lambda dy, needs: (_avgpool2d_backward(dy, x.shape, window, data_format),))


def _avgpool2d_backward(dy: Tensor, input_shape: tuple[int, ...], window: tuple[Any, Any, Any], data_format: str) -> Tensor:
    dx = Tensor(kernels.avgpool2d_backward(dy.data, input_shape, *window, data_format=data_format))
    return record("avgpool2d_backward", (dy,), dx, lambda ddx, needs: (avgpool2d(ddx, *window, data_format),))


def global_avgpool2d(x: Any, data_format: str = "channels_last") -> Tensor:
    """Return the mean over rows and columns, shape (n, c)."""
    x = as_tensor(x)
    y = Tensor(kernels.global_avgpool2d_forward(x.data, data_format=data_format))
    return record("global_avgpool2d", (x,), y, lambda dy, needs: (_global_avgpool2d_backward(dy, x.shape, data_format),))


def _global_avgpool2d_backward(dy: Tensor, input_shape: tuple[int, ...], data_format: str) -> Tensor:
    dx = Tensor(kernels.global_avgpool2d_backward(dy.data, input_shape, data_format=data_format))
    return record("global_avgpool2d_backward", (dy,), dx, lambda ddx, needs: (global_avgpool2d(ddx, data_format),))


def global_maxpool2d(x: Any, data_format: str = "channels_last") -> Tensor:
    """Return the maximum over rows and columns, shape (n, c)."""
    x = as_tensor(x)
    image, channels = (x.shape[1:3], x.shape[3:]) if data_format == "channels_last" else (x.shape[2:], x.shape[1:2])
    return reshape(maxpool2d(x, image, data_format=data_format), (len(x), *channels))
