"""Convolutions. Their kernels have Keras's shape (rows, columns, in, out) in both layouts of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import activations, initializers, ops, regularizers
from ..autodiff import Tensor, Variable
from ..kernels import conv_output_size
from ..kernels.functions.checks import integer, pair
from ..kernels.functions.geometry import split_padding
from .base import Shape, get_activation
from .images import ImageLayer, check_padding
from .registry import register_layer


class Convolution(ImageLayer):
    """What the convolutions share: the window, the bias and the activation.

    Parameters
    ----------
    kernel_size, strides, padding, dilation_rate, activation, use_bias, bias_initializer, bias_regularizer, **kwargs
        As for `Conv2D`.
    """

    bias: Variable | None

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        bias_initializer: Any = "zeros",
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = pair("kernel_size", kernel_size)
        self.strides = pair("strides", strides)
        self.padding = check_padding(padding)
        self.dilation_rate = pair("dilation_rate", dilation_rate)
        self.activation = get_activation(activation)
        self.use_bias = bool(use_bias)
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def _output_channels(self, channels: int | None) -> int | None:
        raise NotImplementedError

    def _add_bias(self, channels: int) -> None:
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight((channels,), self.bias_initializer, None, True, self.bias_regularizer, "bias")

    def _input_channels(self, input_shape: Shape) -> int:
        return self._known_extent(input_shape, self._channel_axis, "channels")

    def _convolve(self, x: Tensor) -> Tensor:
        """Return the convolution of channels_last images with bias and, as far as it is fused, activation."""
        raise NotImplementedError

    def call(self, x: Tensor) -> Tensor:
        if self.data_format == "channels_first":
            x = ops.transpose(x, (0, 2, 3, 1))
        y = self._convolve(x)
        if self.data_format == "channels_first":
            y = ops.transpose(y, (0, 3, 1, 2))
        _, after = activations.split(self.activation)
        return y if after is None else after(y)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        image, channels = self._split_shape(input_shape)
        try:
            output = [
                conv_output_size(*amounts)
                for amounts in zip(
                    image, self.kernel_size, self.strides, split_padding(self.padding), self.dilation_rate, strict=True
                )
            ]
        except ValueError as error:
            raise ValueError(f"{self._described()} on inputs of shape {tuple(input_shape)}: {error}") from None
        return self._joined_shape(input_shape[0], output, self._output_channels(channels))


@register_layer
class Conv2D(Convolution):
    """Convolution (cross-correlation) of images with filters, plus bias, through an activation.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or (int, int)
        Rows and columns of the filters.
    strides : int or (int, int), default (1, 1)
        Step of the window.
    padding : "valid", "same", int, (int, int) or ((int, int), (int, int)), default "valid"
        No padding; as much as keeps the size at stride 1 (the larger half below and to the right); or so many rows and columns
        of zeros: on all sides, (above and below, left and right), or ((top, bottom), (left, right)).
    data_format : {"channels_last", "channels_first"}, optional
        (batch, height, width, channels), the default, or (batch, channels, height, width).
    dilation_rate : int or (int, int), default (1, 1)
        Step between the elements of the window.
    groups : int, default 1
        Groups of channels that are convolved on their own; a divisor of the numbers of input and of output channels.
    activation : str or callable, optional
        See `fastnn.activations.get`.
    use_bias : bool, default True
        Whether there is a bias.
    kernel_initializer, bias_initializer : str, Initializer or callable, default "glorot_uniform" and "zeros"
        See `fastnn.initializers.get`.
    kernel_regularizer, bias_regularizer : str, Regularizer or callable, optional
        See `fastnn.regularizers.get`.
    **kwargs
        As for `Layer`.

    Attributes
    ----------
    kernel : Variable, shape (rows, columns, channels / groups, filters)
    bias : Variable, shape (filters,), or None

    See Also
    --------
    DepthwiseConv2D, SeparableConv2D : Convolutions with fewer weights.
    fastnn.ops.conv2d : The same as a function of tensors.
    fastnn.kernels.conv2d_forward : The same as a function of arrays, with the formula.
    fastnn.plotting.FiltersDisplay : Draws the filters.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> images = np.zeros((8, 28, 28, 1))
    >>> layers.Conv2D(32, 3, activation="relu")(images).shape
    (8, 26, 26, 32)
    >>> layers.Conv2D(32, 5, strides=2, padding="same")(images).shape
    (8, 14, 14, 32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            data_format=data_format,
            **kwargs,
        )
        self.filters = integer("filters", filters, low=1)
        self.groups = integer("groups", groups, low=1)
        if self.filters % self.groups:
            raise ValueError(f"groups must divide filters: filters={filters}, groups={groups}")
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)

    def build(self, input_shape: Shape) -> None:
        channels = self._input_channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"groups of {self._described()} must divide the number of input channels: "
                f"inputs of shape {input_shape}, groups={self.groups}"
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.add_weight(shape, self.kernel_initializer, None, True, self.kernel_regularizer, "kernel")
        self._add_bias(self.filters)

    def _output_channels(self, channels: int | None) -> int | None:
        return self.filters

    def _convolve(self, x: Tensor) -> Tensor:
        return ops.conv2d(
            x,
            self.kernel,
            self.bias,
            self.strides,
            self.padding,
            self.dilation_rate,
            self.groups,
            activation=activations.split(self.activation)[0],
        )


@register_layer
class DepthwiseConv2D(Convolution):
    """Convolution of each input channel on its own, with `depth_multiplier` filters.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Rows and columns of the filters.
    strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer, bias_regularizer
        As for `Conv2D`.
    depth_multiplier : int, default 1
        Output channels per input channel; those of input channel c are c * depth_multiplier, c * depth_multiplier + 1, ...
    depthwise_initializer : str, Initializer or callable, default "glorot_uniform"
        See `fastnn.initializers.get`.
    depthwise_regularizer : str, Regularizer or callable, optional
        See `fastnn.regularizers.get`.
    **kwargs
        As for `Layer`.

    Attributes
    ----------
    kernel : Variable, shape (rows, columns, channels, depth_multiplier)
    bias : Variable, shape (channels * depth_multiplier,), or None
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            data_format=data_format,
            **kwargs,
        )
        self.depth_multiplier = integer("depth_multiplier", depth_multiplier, low=1)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)

    def build(self, input_shape: Shape) -> None:
        channels = self._input_channels(input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self.add_weight(shape, self.depthwise_initializer, None, True, self.depthwise_regularizer, "kernel")
        self._add_bias(channels * self.depth_multiplier)

    def _output_channels(self, channels: int | None) -> int | None:
        return None if channels is None else channels * self.depth_multiplier

    def _convolve(self, x: Tensor) -> Tensor:
        return _depthwise(self, x, self.kernel, self.bias, activations.split(self.activation)[0])


@register_layer
class SeparableConv2D(Convolution):
    """A depthwise convolution, then one with 1 x 1 filters that mixes the channels; bias and activation after both.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or (int, int)
        Rows and columns of the depthwise filters.
    strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer, bias_regularizer
        As for `Conv2D`; the window is that of the depthwise convolution.
    depth_multiplier : int, default 1
        Channels between the two per input channel.
    depthwise_initializer, pointwise_initializer : str, Initializer or callable, default "glorot_uniform"
        See `fastnn.initializers.get`.
    depthwise_regularizer, pointwise_regularizer : str, Regularizer or callable, optional
        See `fastnn.regularizers.get`.
    **kwargs
        As for `Layer`.

    Attributes
    ----------
    depthwise_kernel : Variable, shape (rows, columns, channels, depth_multiplier)
    pointwise_kernel : Variable, shape (1, 1, channels * depth_multiplier, filters)
    bias : Variable, shape (filters,), or None
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            data_format=data_format,
            **kwargs,
        )
        self.filters = integer("filters", filters, low=1)
        self.depth_multiplier = integer("depth_multiplier", depth_multiplier, low=1)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)

    def build(self, input_shape: Shape) -> None:
        channels = self._input_channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            name="depthwise_kernel",
        )
        self.pointwise_kernel = self.add_weight(
            (1, 1, channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            name="pointwise_kernel",
        )
        self._add_bias(self.filters)

    def _output_channels(self, channels: int | None) -> int | None:
        return self.filters

    def _convolve(self, x: Tensor) -> Tensor:
        x = _depthwise(self, x, self.depthwise_kernel, None, None)
        return ops.conv2d(x, self.pointwise_kernel, self.bias, activation=activations.split(self.activation)[0])


def _depthwise(layer: Convolution, x: Tensor, kernel: Variable, bias: Variable | None, activation: Any) -> Tensor:
    """Return the convolution of each channel on its own: one with as many groups as there are channels."""
    rows, columns, channels, multiplier = kernel.shape
    grouped = ops.reshape(kernel, (rows, columns, 1, channels * multiplier))
    return ops.conv2d(x, grouped, bias, layer.strides, layer.padding, layer.dilation_rate, channels, activation=activation)
