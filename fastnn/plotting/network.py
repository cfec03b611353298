"""A network as a diagram: its layers in a row."""

from __future__ import annotations

from typing import Any

from ..layers.base import output_shapes
from ..model import Sequential
from .boxes import Box, draw_boxes
from .canvas import shortened

INPUT, LAYER, WEIGHTS = "#dbeafe", "#ffffff", "#fef3c7"
#: characters of a layer's name
MAX_NAME = 32


class NetworkDisplay:
    """A network as a diagram: a box for the input and for each layer, with the shape of its output and how many parameters it has.

    Parameters
    ----------
    model : Sequential
        The network.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    ax_ : matplotlib.axes.Axes
    boxes_ : list of matplotlib.patches.FancyBboxPatch, the input's first
    arrows_ : list of matplotlib.patches.FancyArrowPatch

    Examples
    --------
    >>> import fastnn
    >>> from fastnn import layers
    >>> from fastnn.plotting import NetworkDisplay
    >>> model = fastnn.Sequential([
    ...     layers.Input((28, 28, 1)),
    ...     layers.Conv2D(8, 3),
    ...     layers.Flatten(),
    ...     layers.Dense(10),
    ... ])
    >>> len(NetworkDisplay.from_model(model).boxes_)
    4
    """

    def __init__(self, *, model: Sequential) -> None:
        self.model = model

    @classmethod
    def from_model(cls, model: Any, *, ax: Any = None) -> NetworkDisplay:
        """Draw a network.

        Parameters
        ----------
        model : Sequential
            The network, built.
        ax : matplotlib Axes, optional
            Where to draw; the diagram takes as much of it as it can fill.

        Returns
        -------
        NetworkDisplay

        Raises
        ------
        TypeError, ValueError
            If it is no model, or not built yet.
        """
        if not isinstance(model, Sequential):
            raise TypeError(f"model must be a fastnn.Sequential; got {type(model).__name__}")
        return cls(model=model).plot(ax)

    def plot(self, ax: Any = None) -> NetworkDisplay:
        """Draw the network; `ax` as in `from_model`."""
        rows = [(["input", _shape_text(self.model.input_shape)], INPUT)]
        for layer, shape in zip(self.model.layers, output_shapes(self.model.layers, self.model.input_shape), strict=True):
            count = layer.count_params()
            text = _shape_text(shape) + (f", {count:,} parameters" if count else "")
            title = f"{shortened(layer.name, MAX_NAME)} ({type(layer).__name__})"
            rows.append(([title, text], WEIGHTS if count else LAYER))
        boxes = {str(i): Box(lines, fill) for i, (lines, fill) in enumerate(rows)}
        drawing = draw_boxes(ax, boxes, {(str(i), str(i + 1)): "" for i in range(len(rows) - 1)}, downwards=True)
        self.ax_ = drawing.axes
        self.figure_ = self.ax_.figure
        self.boxes_, self.arrows_ = list(drawing.boxes.values()), list(drawing.arrows.values())
        return self


def _shape_text(shape: tuple) -> str:
    """Return the shape of one sample: 28 x 28 x 1."""
    return " x ".join("?" if extent is None else str(extent) for extent in shape[1:])
