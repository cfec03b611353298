"""Two-dimensional convolution; its backward passes are ops too, so every derivative is there."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels
from ..autodiff import Gradients, Needs, Tensor, as_tensor, is_watched, record
from ..kernels.custom.record import Record
from . import activation as activations


def conv2d(
    x: Any,
    w: Any,
    b: Any = None,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    activation: str | Record | None = None,
    alpha: float | None = None,
) -> Tensor:
    """Return ``activation(x * w + b)``, a cross-correlation over rows and columns.

    Parameters
    ----------
    x : Tensor, shape (n, h, w, c), or (n, c, h, w) for channels_first
    w : Tensor, shape (kh, kw, c / groups, c_out), or (c_out, c / groups, kh, kw) for channels_first
    b : Tensor, shape (c_out,), optional
    stride, dilation : int or pair of int, default 1
    padding : "valid", "same", int, (int, int) or ((top, bottom), (left, right)), default "valid"
    groups : int, default 1
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    activation : str or Record, optional
        One that the kernel applies itself, linear, relu, sigmoid, tanh, bipolar_sigmoid, leaky_relu, elu, selu or softplus; or the
        record of one of the user's (see `fastnn.activation`).
    alpha : float, optional
        The parameter of leaky_relu or elu.
    """
    x, w, b = as_tensor(x), as_tensor(w), None if b is None else as_tensor(b)
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "data_format": data_format}
    arrays = x.data, w.data, None if b is None else b.data
    if isinstance(activation, Record):
        y_data, slope = kernels.conv2d_custom_forward(*arrays, **window, function=activation, slope=is_watched(x, w, b))
    else:
        y_data, slope = kernels.conv2d_forward(*arrays, **window, activation=activation, alpha=alpha), None
    y = Tensor(y_data)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        if isinstance(activation, Record):
            dz = activations.custom_backward(dy, slope, x, w, b)
        else:
            dz = activations.backward(activation, dy, y, alpha)
        dx = conv2d_backward_input(dz, w, x.shape, **window) if needs[0] else None
        dw, db = conv2d_backward_weight(x, dz, w.shape, bias=needs[2], **window) if needs[1] or needs[2] else (None, None)
        return dx, dw, db

    return record("conv2d", (x, w, b), y, vjp)


def conv2d_backward_input(dy: Tensor, w: Tensor, input_shape: tuple[int, ...], **window: Any) -> Tensor:
    """Return the gradient of `conv2d` by its input of shape `input_shape`."""
    dx = Tensor(kernels.conv2d_backward_input(dy.data, w.data, input_shape, **window))

    def vjp(ddx: Tensor, needs: Needs) -> Gradients:
        return (
            conv2d(ddx, w, **window) if needs[0] else None,
            conv2d_backward_weight(ddx, dy, w.shape, bias=False, **window)[0] if needs[1] else None,
        )

    return record("conv2d_backward_input", (dy, w), dx, vjp)


def conv2d_backward_weight(
    x: Tensor, dy: Tensor, filter_shape: tuple[int, ...], bias: bool = True, **window: Any
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of `conv2d` by its filters of shape `filter_shape` and by its bias (None without `bias`)."""
    kernel_size = filter_shape[:2] if window["data_format"] == "channels_last" else filter_shape[2:]
    dw_data, db_data = kernels.conv2d_backward_weight(x.data, dy.data, kernel_size, **window, bias=bias)
    dw, db = Tensor(dw_data), None if db_data is None else Tensor(db_data)

    def vjp(ddw: Tensor | None, *ddb_and_needs: Any) -> Gradients:
        *ddb, needs = ddb_and_needs
        ddw = ddw if ddw is not None else Tensor(np.zeros_like(dw.data))
        return (
            conv2d_backward_input(dy, ddw, x.shape, **window) if needs[0] else None,
            conv2d(x, ddw, *ddb, **window) if needs[1] else None,
        )

    record("conv2d_backward_weight", (x, dy), (dw,) if db is None else (dw, db), vjp)
    return dw, db
