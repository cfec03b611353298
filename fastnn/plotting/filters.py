"""The filters of a convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers import DepthwiseConv2D, Layer
from ..layers.conv import Convolution
from .choice import chosen_layer
from .mosaic import draw_mosaic, grid_columns, number_tiles, set_title


class FiltersDisplay:
    """The filters of a convolution.

    Filters of one channel are drawn one after the other: red where a weight is positive, blue where it is negative. So are filters
    of three channels, in colours: the weights of red, green and blue, with grey for zero. Of other filters each has a row, and its
    weights for each input channel are side by side.

    Parameters
    ----------
    filters : ndarray, shape (rows, columns, channels, filters)
        The weights.
    name : str
        Of the layer.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    ax_ : matplotlib.axes.Axes
    im_ : matplotlib.image.AxesImage
    colorbar_ : matplotlib.colorbar.Colorbar, or None where the filters are in colours

    Examples
    --------
    >>> import fastnn
    >>> from fastnn import layers
    >>> from fastnn.plotting import FiltersDisplay
    >>> model = fastnn.Sequential([
    ...     layers.Input((28, 28, 1)),
    ...     layers.Conv2D(16, 3, name="edges"),
    ... ])
    >>> print(FiltersDisplay.from_model(model).ax_.get_title())
    edges
    16 filters of 3x3x1
    """

    def __init__(self, *, filters: np.ndarray, name: str) -> None:
        self.filters, self.name = filters, name

    @classmethod
    def from_model(cls, model: Any, layer: str | int | Layer | None = None, *, ax: Any = None) -> FiltersDisplay:
        """Draw the filters of one of a model's convolutions.

        Parameters
        ----------
        model : Sequential
            The model.
        layer : str, int or Layer, optional
            A convolution, its name or its index; the first one by default. Those of a `fastnn.layers.DepthwiseConv2D` have one
            channel each.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        FiltersDisplay

        Raises
        ------
        TypeError, ValueError
            If it is no model, has no such layer, or the layer is no convolution with filters, or not built yet.
        """
        found = chosen_layer(model, layer)
        if not isinstance(found, Convolution) or not hasattr(found, "kernel"):
            if isinstance(found, Convolution) and not found.built:
                raise ValueError(f"layer {found.name!r} has no filters before it is built: call the model with data, or build it")
            raise ValueError(f"layer must be a Conv2D or DepthwiseConv2D; {found.name!r} is a {type(found).__name__}")
        kernel = found.kernel.numpy()
        if isinstance(found, DepthwiseConv2D):
            kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
        return cls(filters=kernel.copy(), name=found.name).plot(ax)

    def plot(self, ax: Any = None) -> FiltersDisplay:
        """Draw the filters; `ax` as in `from_model`."""
        rows, columns, channels, count = self.filters.shape
        largest = float(np.abs(self.filters).max()) or 1.0
        tiles = self.filters.transpose(3, 2, 0, 1)
        if channels == 3:
            across = grid_columns(count)
            self.im_ = draw_mosaic(ax, 0.5 + tiles.transpose(0, 2, 3, 1) / (2 * largest), across)
        else:
            across = grid_columns(count) if channels == 1 else channels
            self.im_ = draw_mosaic(ax, tiles.reshape(-1, rows, columns), across, cmap="RdBu_r", vmin=-largest, vmax=largest)
        self.ax_ = self.im_.axes
        self.figure_ = self.ax_.figure
        self.colorbar_ = None if channels == 3 else self.figure_.colorbar(self.im_, ax=self.ax_, fraction=0.05, pad=0.03)
        if channels in (1, 3):
            number_tiles(self.ax_, across)
            self.ax_.set_ylabel("filter")
        else:
            self.ax_.set(xlabel="input channel", ylabel="filter")
        set_title(self.ax_, self.name, count, "filter", (rows, columns, channels))
        return self
