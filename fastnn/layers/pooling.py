"""Pooling over windows, or over whole images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..autodiff import Tensor
from ..kernels import conv_output_size
from ..kernels.functions.checks import pair
from ..kernels.functions.geometry import split_padding
from .base import Shape
from .images import ImageLayer, check_padding
from .registry import register_layer


class Pooling(ImageLayer):
    """Pooling over the windows of an image.

    Parameters
    ----------
    pool_size, strides, padding, data_format, **kwargs
        As for `MaxPooling2D`.
    """

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: Any = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.pool_size = pair("pool_size", pool_size)
        self.strides = self.pool_size if strides is None else pair("strides", strides)
        self.padding = check_padding(padding)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        image, channels = self._split_shape(input_shape)
        windows = zip(image, self.pool_size, self.strides, split_padding(self.padding), strict=True)
        try:
            output = [conv_output_size(*window) for window in windows]
        except ValueError as error:
            raise ValueError(f"{self._described()} on inputs of shape {tuple(input_shape)}: {error}") from None
        return self._joined_shape(input_shape[0], output, channels)


@register_layer
class MaxPooling2D(Pooling):
    """The largest element of each window; of equal ones the first gets the derivative. Also called `MaxPool2D`.

    Parameters
    ----------
    pool_size : int or (int, int), default (2, 2)
        Rows and columns of the window.
    strides : int or (int, int), optional
        Step of the window; `pool_size` by default.
    padding, data_format, **kwargs
        As for `Conv2D`; what lies outside the image takes no part.

    See Also
    --------
    AveragePooling2D, GlobalMaxPooling2D, GlobalAveragePooling2D
    fastnn.kernels.maxpool2d_forward : The same as a function of arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.MaxPooling2D(2)(np.zeros((8, 26, 26, 32))).shape
    (8, 13, 13, 32)
    """

    def call(self, x: Tensor) -> Tensor:
        return ops.maxpool2d(x, self.pool_size, self.strides, self.padding, self.data_format)


@register_layer
class AveragePooling2D(Pooling):
    """The mean of each window's elements that lie inside the image. Also called `AvgPool2D`.

    Parameters
    ----------
    pool_size, strides, padding, data_format, **kwargs
        As for `MaxPooling2D`.
    """

    def call(self, x: Tensor) -> Tensor:
        return ops.avgpool2d(x, self.pool_size, self.strides, self.padding, self.data_format)


class GlobalPooling(ImageLayer):
    """Pooling over whole images: one number per channel.

    Parameters
    ----------
    data_format, keepdims, **kwargs
        As for `GlobalAveragePooling2D`.
    """

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.keepdims = bool(keepdims)

    def _pool(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def call(self, x: Tensor) -> Tensor:
        y = self._pool(x)
        return ops.reshape(y, self.compute_output_shape(x.shape)) if self.keepdims else y  # type: ignore[arg-type]

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        _, channels = self._split_shape(input_shape)
        return self._joined_shape(input_shape[0], (1, 1), channels) if self.keepdims else (input_shape[0], channels)


@register_layer
class GlobalAveragePooling2D(GlobalPooling):
    """The mean over each channel's rows and columns. Also called `GlobalAvgPool2D`.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        (batch, height, width, channels), the default, or (batch, channels, height, width).
    keepdims : bool, default False
        Whether rows and columns stay as axes of extent 1.
    **kwargs
        As for `Layer`.
    """

    def _pool(self, x: Tensor) -> Tensor:
        return ops.global_avgpool2d(x, self.data_format)


@register_layer
class GlobalMaxPooling2D(GlobalPooling):
    """The largest element of each channel. Also called `GlobalMaxPool2D`.

    Parameters
    ----------
    data_format, keepdims, **kwargs
        As for `GlobalAveragePooling2D`.
    """

    def _pool(self, x: Tensor) -> Tensor:
        return ops.global_maxpool2d(x, self.data_format)


#: Keras's other names
MaxPool2D, AvgPool2D = MaxPooling2D, AveragePooling2D
GlobalAvgPool2D, GlobalMaxPool2D = GlobalAveragePooling2D, GlobalMaxPooling2D
