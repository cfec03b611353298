"""Which layer of a model is meant."""

from __future__ import annotations

from typing import Any

from ..layers import Layer
from ..layers.conv import Convolution
from ..model import Sequential


def chosen_layer(model: Any, layer: Any) -> Layer:
    """Return a layer of a model.

    Parameters
    ----------
    model : Sequential
        The model.
    layer : str, int, Layer or None
        Its name, its index, the layer itself, or None for the first convolution.

    Raises
    ------
    TypeError, ValueError
        If it is no model, or has no such layer.
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a fastnn.Sequential; got {type(model).__name__}")
    names = ", ".join(one.name for one in model.layers)
    if layer is None:
        found = next((one for one in model.layers if isinstance(one, Convolution)), None)
        if found is None:
            raise ValueError(f"model {model.name!r} has no convolution; its layers are {names}")
        return found
    if isinstance(layer, str):
        return model.get_layer(layer)
    if isinstance(layer, int) and -len(model.layers) <= layer < len(model.layers):
        return model.layers[layer]
    if isinstance(layer, Layer) and any(layer is one for one in model.layers):
        return layer
    raise ValueError(f"layer must be a layer of model {model.name!r}, its name or index; there are {names}; got {layer!r}")
