"""What the layers for images share: their layout, and what to say about inputs that are no images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..kernels.functions.geometry import split_padding
from .base import Layer, Shape

AXES = {
    "channels_last": ("batch", "height", "width", "channels"),
    "channels_first": ("batch", "channels", "height", "width"),
}


def check_data_format(data_format: str | None) -> str:
    """Return the layout of images: channels_last for None."""
    if data_format is None:
        return "channels_last"
    if data_format not in AXES:
        raise ValueError(f"data_format must be 'channels_last' or 'channels_first'; got {data_format!r}")
    return data_format


def check_padding(padding: Any) -> Any:
    """Return padding as the ops take it, in lower case and with tuples."""
    if isinstance(padding, str):
        padding = padding.lower()
    rows, columns = split_padding(padding)
    return padding if isinstance(padding, str) else (rows, columns)


class ImageLayer(Layer):
    """A layer whose inputs are batches of images.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        (batch, height, width, channels), the default, or (batch, channels, height, width).
    **kwargs
        As for `Layer`.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)
        self.input_axes = AXES[self.data_format]

    @property
    def _channel_axis(self) -> int:
        return AXES[self.data_format].index("channels")

    def _split_shape(self, shape: Sequence[int | None]) -> tuple[Sequence[int | None], int | None]:
        """Return (height, width) and the number of channels."""
        self._check_input(shape)
        if self.data_format == "channels_last":
            return shape[1:3], shape[3]
        return shape[2:], shape[1]

    def _joined_shape(self, batch: int | None, image: Sequence[int | None], channels: int | None) -> Shape:
        """Return the shape of a batch of images."""
        if self.data_format == "channels_last":
            return (batch, *image, channels)
        return (batch, channels, *image)

    def _input_advice(self, shape: Sequence[int | None]) -> str:
        if len(shape) == 2:
            return "Make images of the rows first, for example with layers.Reshape((28, 28, 1))"
        if len(shape) == 3:
            channel = "x[..., None]" if self.data_format == "channels_last" else "x[:, None]"
            return f"Images without a channel axis need one: {channel}; a single image needs a batch axis: x[None]"
        if len(shape) == 4:
            other = next(name for name in AXES if name != self.data_format)
            channels = self._extents.get(self._channel_axis)
            if shape[AXES[other].index("channels")] == channels:
                return f"These look like {other} images: give the layer data_format={other!r}"
            return "The number of channels is fixed by the first inputs that the layer was built for"
        return ""
