"""Changing the shape of samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..autodiff import Tensor
from ..kernels.functions.checks import integer
from .base import Layer, Shape
from .images import check_data_format
from .registry import register_layer


@register_layer
class Flatten(Layer):
    """Each sample as one row of numbers.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        With channels_first the channels, axis 1, are moved to the end first, so that a row is the same in both layouts.
    **kwargs
        As for `Layer`.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)

    def call(self, x: Tensor) -> Tensor:
        if self.data_format == "channels_first" and x.ndim > 2:
            x = ops.transpose(x, (0, *range(2, x.ndim), 1))
        return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        return (input_shape[0], _size(input_shape[1:]))


@register_layer
class Reshape(Layer):
    """Each sample in another shape, its elements in the same order.

    Parameters
    ----------
    target_shape : tuple of int
        Shape of a sample; one extent may be -1, which stands for what is left.
    **kwargs
        As for `Layer`.
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(integer("target_shape", extent, low=-1) for extent in target_shape)
        free = self.target_shape.count(-1)
        if free > 1 or any(extent < 1 and extent != -1 for extent in self.target_shape):
            raise ValueError(f"target_shape must be made of positive integers, one of which may be -1; got {self.target_shape}")

    def call(self, x: Tensor) -> Tensor:
        return ops.reshape(x, self.compute_output_shape(x.shape))  # type: ignore[arg-type]

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        size = _size(input_shape[1:])
        known = math.prod(extent for extent in self.target_shape if extent != -1)
        if size is None:
            return (input_shape[0], *(None if extent == -1 else extent for extent in self.target_shape))
        if size % known or (-1 not in self.target_shape and size != known):
            raise ValueError(
                f"{self._described()} cannot make samples of shape {self.target_shape} of inputs of shape {tuple(input_shape)}: "
                f"{size} elements do not fit into {known}"
            )
        return (input_shape[0], *(size // known if extent == -1 else extent for extent in self.target_shape))


def _size(shape: Sequence[int | None]) -> int | None:
    return None if None in shape else math.prod(shape)  # type: ignore[arg-type]
