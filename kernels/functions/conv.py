"""Convolution in two dimensions (cross-correlation, as neural networks use the word), im2col and col2im.

In channels_last images are (N, H, W, C) and filters (KH, KW, C / groups, C_out); in channels_first (N, C, H, W) and
(C_out, C / groups, KH, KW). Convolutions know only channels_last: channels_first costs a transposition of each array on its way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..custom.record import Record
from ..table import call
from .activation import fused
from .checks import data_format_is_first, inputs, own_function, real, shape4
from .geometry import Padding, Pair, Window, check_groups, conv_window
from .layout import filters_first, filters_last, images_first, images_last


def conv2d_forward(
    x: Any,
    w: Any,
    b: Any = None,
    stride: Pair = 1,
    padding: Padding = "valid",
    dilation: Pair = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    activation: str | None = None,
    alpha: float | None = None,
) -> np.ndarray:
    """Return ``activation(x * w + b)``, with ``*`` the convolution of images with filters.

    Output row `o` reads the input rows ``o * stride - top + i * dilation`` for i = 0 ... KH - 1; what lies outside the image is
    zero. So there are ``(H + top + bottom - dilation * (KH - 1) - 1) // stride + 1`` rows, and likewise columns.

    Parameters
    ----------
    x : array_like, shape (N, H, W, C) or (N, C, H, W)
        Images; N may be 0.
    w : array_like, shape (KH, KW, C / groups, C_out) or (C_out, C / groups, KH, KW)
        Filters.
    b : array_like, shape (C_out,), optional
        Bias.
    stride : int or (int, int), default 1
        Step of the window, down and across; it may be larger than the window.
    padding : "valid", "same", int, (int, int) or ((int, int), (int, int)), default "valid"
        Rows and columns of zeros around the image: none; as many as make the output ``ceil(H / stride)`` high (one more at the
        bottom and right where the number is odd); the same on all sides; (rows, columns); ((top, bottom), (left, right)).
    dilation : int or (int, int), default 1
        Step between the elements of the window.
    groups : int, default 1
        Groups of channels, each with its own C_out / groups filters. With groups = C the convolution is depthwise.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The layout of `x`, `w` and the result.
    activation : str, optional
        One of linear, relu, sigmoid, tanh, bipolar_sigmoid, leaky_relu, elu, selu, softplus.
    alpha : float, optional
        Parameter of leaky_relu (default 0.2) and elu (default 1.0).

    Returns
    -------
    ndarray, shape (N, OH, OW, C_out) or (N, C_out, OH, OW)
        float64 if one of the arrays is, else float32.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, the output would be empty, or an argument is none of the above.

    See Also
    --------
    conv2d_backward_input, conv2d_backward_weight : The gradients.
    im2col : The patches that the windows see.
    fastnn.ops.conv2d : The same on tensors, for a `fastnn.GradientTape`.
    fastnn.layers.Conv2D : The layer.

    Examples
    --------
    A filter that finds where it gets brighter from left to right:

    >>> import numpy as np
    >>> from fastnn import kernels
    >>> image = np.reshape([[0, 0, 9, 9]] * 3, (1, 3, 4, 1))
    >>> edges = np.reshape([[-1, 0, 1]] * 3, (3, 3, 1, 1))
    >>> kernels.conv2d_forward(image, edges)[0, :, :, 0]
    array([[27., 27.]], dtype=float32)
    >>> kernels.conv2d_forward(image, edges, stride=2, padding="same").shape
    (1, 2, 2, 1)
    """
    first, inner = data_format_is_first(data_format), fused(activation, alpha)
    arrays, params, shape = _forward_arguments(x, w, b, stride, padding, dilation, groups, data_format)
    y = np.empty(shape, arrays[0].dtype, like=arrays[0])
    call("conv2d_forward", *arrays, *params, *inner, y)
    return images_first(y) if first else y


def conv2d_custom_forward(
    x: Any,
    w: Any,
    b: Any = None,
    stride: Pair = 1,
    padding: Padding = "valid",
    dilation: Pair = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    *,
    function: Record,
    slope: bool = False,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ``f(x * w + b)`` with `f` an activation of the user's, and its derivative if `slope` asks for it.

    Parameters
    ----------
    x, w, b, stride, padding, dilation, groups, data_format
        As in `conv2d_forward`.
    function : Record
        What `fastnn.activation` made of `f`: its attribute `record`.
    slope : bool, default False
        Whether to compute the derivative.

    Returns
    -------
    y : ndarray
        As `conv2d_forward` returns it.
    slope : ndarray of the shape of `y`, or None
        The derivative of `f` at ``x * w + b``, with which `custom_backward` sends a gradient through the activation.

    Raises
    ------
    ValueError, TypeError
        As `conv2d_forward`; TypeError if `function` is another record.
    """
    first = data_format_is_first(data_format)
    arrays, params, shape = _forward_arguments(x, w, b, stride, padding, dilation, groups, data_format)
    y = np.empty(shape, arrays[0].dtype, like=arrays[0])
    dy_by_dz = np.empty_like(y) if slope else None
    call("conv2d_custom_forward", *arrays, *params, own_function(function, "activation").address, y, dy_by_dz)
    if not first:
        return y, dy_by_dz
    return images_first(y), None if dy_by_dz is None else images_first(dy_by_dz)


def _forward_arguments(
    x: Any, w: Any, b: Any, stride: Pair, padding: Padding, dilation: Pair, groups: int, data_format: str
) -> tuple[tuple, tuple[int, ...], tuple[int, ...]]:
    """Return x, w and b in channels_last, the parameters that say how the window moves, and the shape of the output."""
    first = data_format_is_first(data_format)
    try:
        (x, w, b), extent = inputs("conv2d_forward", x, w, b, data_format=data_format)
        window = conv_window((extent["ih"], extent["iw"]), (extent["kh"], extent["kw"]), stride, padding, dilation)
        groups = check_groups(groups, extent["c"], extent["co"])
        _check_filters(extent, groups)
    except ValueError as error:
        images, filters = (tuple(getattr(array, "shape", ())) for array in (x, w))
        if first or len(images) != 4 or len(filters) != 4 or images[1] != filters[1] or images[3] == filters[2]:
            raise
        raise ValueError(f"{error}; images (N, C, H, W) and filters (C_out, C, KH, KW) need data_format='channels_first'") from None
    if first:
        x, w = images_last(x), filters_last(w)
    return (x, w, b), (*window.conv_params, groups), (extent["n"], *window.output, extent["co"])


def conv2d_backward_input(
    dy: Any,
    w: Any,
    input_shape: Sequence[int],
    stride: Pair = 1,
    padding: Padding = "valid",
    dilation: Pair = 1,
    groups: int = 1,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Return the gradient by `x` of ``sum(dy * conv2d_forward(x, w, b, ...))``.

    With an activation, `dy` is first sent through that activation's ``*_backward``.

    Parameters
    ----------
    dy : array_like, shape (N, OH, OW, C_out) or (N, C_out, OH, OW)
        The gradient by the output.
    w : array_like
        The filters.
    input_shape : (int, int, int, int)
        The shape of `x`.
    stride, padding, dilation, groups, data_format
        As in `conv2d_forward`.

    Returns
    -------
    ndarray, shape `input_shape`
        float64 if one of the arrays is, else float32.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an argument is not as in `conv2d_forward`.
    """
    first = data_format_is_first(data_format)
    image = shape4("input_shape", input_shape, data_format)
    (dy, w), extent = inputs("conv2d_backward_input", dy, w, known=image, data_format=data_format)
    window = conv_window((extent["ih"], extent["iw"]), (extent["kh"], extent["kw"]), stride, padding, dilation)
    _check_output(extent, window)
    groups = check_groups(groups, extent["c"], extent["co"])
    _check_filters(extent, groups)
    if first:
        dy, w = images_last(dy), filters_last(w)
    dx = np.empty((extent["n"], extent["ih"], extent["iw"], extent["c"]), dy.dtype, like=dy)
    call("conv2d_backward_input", dy, w, *window.conv_params, groups, dx)
    return images_first(dx) if first else dx


def conv2d_backward_weight(
    x: Any,
    dy: Any,
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Padding = "valid",
    dilation: Pair = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    bias: bool = True,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the gradients by `w` and `b` of ``sum(dy * conv2d_forward(x, w, b, ...))``.

    Parameters
    ----------
    x : array_like, shape (N, H, W, C) or (N, C, H, W)
        Images.
    dy : array_like, shape (N, OH, OW, C_out) or (N, C_out, OH, OW)
        The gradient by the output.
    kernel_size : int or (int, int)
        Rows and columns of the filters.
    stride, padding, dilation, groups, data_format
        As in `conv2d_forward`.
    bias : bool, default True
        Whether there is a bias.

    Returns
    -------
    dw : ndarray
        Of the shape of the filters; float64 if one of the arrays is, else float32.
    db : ndarray, shape (C_out,), or None
        None without bias.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an argument is not as in `conv2d_forward`.
    """
    first = data_format_is_first(data_format)
    (x, dy), extent = inputs("conv2d_backward_weight", x, dy, data_format=data_format)
    window = conv_window((extent["ih"], extent["iw"]), kernel_size, stride, padding, dilation)
    _check_output(extent, window)
    groups = check_groups(groups, extent["c"], extent["co"])
    if first:
        x, dy = images_last(x), images_last(dy)
    dw = np.empty((*window.size, extent["c"] // groups, extent["co"]), x.dtype, like=x)
    db = np.empty(extent["co"], x.dtype, like=x) if bias else None
    call("conv2d_backward_weight", x, dy, *window.conv_params, groups, dw, db)
    return filters_first(dw) if first else dw, db


def im2col(
    x: Any, kernel_size: Pair, stride: Pair = 1, padding: Padding = "valid", dilation: Pair = 1, data_format: str = "channels_last"
) -> np.ndarray:
    """Return the patches that a convolution's windows see, one in each row.

    ``im2col(x, (KH, KW)) @ w.reshape(-1, C_out)`` is the convolution, in channels_last.

    Parameters
    ----------
    x : array_like, shape (N, H, W, C) or (N, C, H, W)
        Images.
    kernel_size : int or (int, int)
        Rows KH and columns KW of the window.
    stride, padding, dilation, data_format
        As in `conv2d_forward`.

    Returns
    -------
    ndarray, shape (N * OH * OW, KH * KW * C)
        Rows in the order (N, OH, OW). Columns in the order (KH, KW, C) for channels_last, (C, KH, KW) for channels_first.

    Raises
    ------
    ValueError, TypeError
        If `x` is not such an array, the output would be empty, or an argument is not as in `conv2d_forward`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> kernels.im2col(np.arange(6).reshape(1, 2, 3, 1), kernel_size=2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.]], dtype=float32)
    """
    first = data_format_is_first(data_format)
    (x,), extent = inputs("im2col", x, data_format=data_format)
    window = conv_window((extent["ih"], extent["iw"]), kernel_size, stride, padding, dilation)
    image, patches = _planes(extent, window, first)
    cols = np.empty(patches, x.dtype, like=x)
    call("im2col", x.reshape(image), *window.conv_params, cols)
    return cols.reshape(math.prod(patches[:3]), math.prod(patches[3:]))


def col2im(
    cols: Any,
    input_shape: Sequence[int],
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Padding = "valid",
    dilation: Pair = 1,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Return images of `input_shape` as the sum of patches, each put back at its place: the transpose of `im2col`.

    Parameters
    ----------
    cols : array_like, shape (N * OH * OW, KH * KW * C)
        Patches in the order in which `im2col` returns them.
    input_shape : (int, int, int, int)
        The shape of the images.
    kernel_size, stride, padding, dilation, data_format
        As in `im2col`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an argument is not as in `im2col`.
    """
    first = data_format_is_first(data_format)
    image = shape4("input_shape", input_shape, data_format)
    window = conv_window((image["ih"], image["iw"]), kernel_size, stride, padding, dilation)
    planes, patches = _planes(image, window, first)
    shape = math.prod(patches[:3]), math.prod(patches[3:])
    cols = real("cols", cols)
    if cols.shape != shape:
        raise ValueError(f"cols must have shape (N * OH * OW, KH * KW * C) = {shape}; got {cols.shape}")
    x = np.empty(planes, cols.dtype, like=cols)
    call("col2im", cols.reshape(patches), *window.conv_params, x)
    return x.reshape(tuple(input_shape))


def _planes(image: Mapping[str, int], window: Window, first: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of im2col's images and patches: with `first` a plane for each channel, else one plane of all channels."""
    planes, channels = (image["c"], 1) if first else (1, image["c"])
    return (image["n"], planes, image["ih"], image["iw"], channels), (image["n"], *window.output, planes, *window.size, channels)


def _check_output(extent: Mapping[str, int], window: Window) -> None:
    if (extent["oh"], extent["ow"]) != window.output:
        raise ValueError(
            f"dy must have {window.output[0]} x {window.output[1]} rows and columns, as the convolution's output has; "
            f"got {extent['oh']} x {extent['ow']}"
        )


def _check_filters(extent: Mapping[str, int], groups: int) -> None:
    if extent["cg"] * groups != extent["c"]:
        raise ValueError(
            f"w must have {extent['c']} / {groups} = {extent['c'] // groups} input channels, the image's by groups; "
            f"got {extent['cg']}"
        )
