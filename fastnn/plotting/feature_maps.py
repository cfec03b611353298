"""What a layer makes of an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import Tensor
from ..data import as_inputs
from ..layers import Layer
from .choice import chosen_layer
from .mosaic import draw_mosaic, grid_columns, number_tiles, set_title


class FeatureMapsDisplay:
    """The feature maps that a layer makes of an image, all with the same colours for the same values.

    Parameters
    ----------
    maps : ndarray, shape (height, width, channels)
        The layer's output.
    name : str
        Of the layer.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    ax_ : matplotlib.axes.Axes
    im_ : matplotlib.image.AxesImage
    colorbar_ : matplotlib.colorbar.Colorbar

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn
    >>> from fastnn import layers
    >>> from fastnn.plotting import FeatureMapsDisplay
    >>> model = fastnn.Sequential([
    ...     layers.Input((28, 28, 1)),
    ...     layers.Conv2D(8, 3),
    ...     layers.MaxPooling2D(name="pool"),
    ... ])
    >>> FeatureMapsDisplay.from_model(model, np.ones((28, 28)), "pool").maps.shape
    (13, 13, 8)
    """

    def __init__(self, *, maps: np.ndarray, name: str) -> None:
        self.maps, self.name = maps, name

    @classmethod
    def from_model(cls, model: Any, image: Any, layer: str | int | Layer | None = None, *, ax: Any = None) -> FeatureMapsDisplay:
        """Draw what one of a model's layers makes of an image.

        Parameters
        ----------
        model : Sequential
            The model; it computes as in `fastnn.Sequential.predict`.
        image : array_like, in the shape of one sample, or of a batch of one
            The image; the model's last axis of extent 1 may be missing.
        layer : str, int or Layer, optional
            A layer whose output are images, its name or its index; the first convolution by default.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        FeatureMapsDisplay

        Raises
        ------
        TypeError, ValueError
            If it is no model, it has no such layer, the layer makes no images, or the image does not fit the model.
        """
        found = chosen_layer(model, layer)
        given = np.asarray(image)
        batch = given if given.ndim == len(model.input_shape) else given[np.newaxis]
        if len(batch) != 1:
            raise ValueError(f"image must be one image; got {len(batch)}")
        try:
            maps = Tensor(as_inputs(batch, model.input_shape, model.dtype, convert=True))
        except ValueError as error:  # which tells the shape of the batch
            raise ValueError(f"image must be one image of shape {model.input_shape[1:]}; got shape {given.shape}") from error
        data_format = "channels_last"
        for one in model.layers[: model.layers.index(found) + 1]:
            maps = one(maps)
            data_format = getattr(one, "data_format", data_format)
        if maps.ndim != 4:
            raise ValueError(
                f"layer must be one whose output are images; that of {found.name!r} has shape {(None, *maps.shape[1:])}"
            )
        array = maps.numpy()[0]
        return cls(maps=np.moveaxis(array, 0, -1) if data_format == "channels_first" else array.copy(), name=found.name).plot(ax)

    def plot(self, ax: Any = None) -> FeatureMapsDisplay:
        """Draw the feature maps; `ax` as in `from_model`."""
        height, width, channels = self.maps.shape
        across = grid_columns(channels)
        self.im_ = draw_mosaic(ax, self.maps.transpose(2, 0, 1), across, cmap="viridis")
        self.ax_ = self.im_.axes
        self.figure_ = self.ax_.figure
        self.colorbar_ = self.figure_.colorbar(self.im_, ax=self.ax_, fraction=0.05, pad=0.03)
        number_tiles(self.ax_, across)
        self.ax_.set_ylabel("channel")
        set_title(self.ax_, self.name, channels, "feature map", (height, width))
        return self
