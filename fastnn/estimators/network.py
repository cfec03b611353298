"""What the estimators' networks are made of: hidden layers, dropout, and scikit-learn's names of activations."""

from __future__ import annotations

from typing import Any

from .. import activations
from ..layers import Activation, BatchNormalization, Dropout, Layer
from ..model import Sequential

#: scikit-learn's name of an activation -> fastnn's, where they differ
ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}
#: of batch normalization's moving averages: with epochs of one or two steps, as are common here, Keras's 0.99 would hardly follow
MOMENTUM = 0.9
#: scikit-learn's name of an activation of the outputs -> the last layer's; with "exp" the network puts out logarithms
LINKS = {"identity": None, "exp": None, "logistic": "sigmoid", "softmax": "softmax"}


def activation(name: Any) -> Any:
    """Return what fastnn's layers take for an activation of the estimators."""
    return ACTIVATIONS.get(name, name) if isinstance(name, str) else name


def hidden_layers(layer: Layer, function: Any, batch_norm: bool) -> list[Layer]:
    """Return a layer with weights, made without activation, and what follows it: batch normalization and activation.

    Parameters
    ----------
    layer : Layer
        A dense or convolutional layer.
    function : str, callable or Layer
        The activation; of a layer, another one of the same configuration is made.
    batch_norm : bool
        Whether the activation's inputs are normalized.
    """
    dtype = layer.dtype
    norm = BatchNormalization(momentum=MOMENTUM, name=f"batch_norm_{layer.name}", dtype=dtype)
    following: list[Layer] = [norm] if batch_norm else []
    if isinstance(function, Layer):
        config = {**function.get_config(), "name": f"activation_{layer.name}", "dtype": dtype.name}
        return [layer, *following, type(function).from_config(config)]
    if not batch_norm:
        layer.activation = activations.get(activation(function))  # type: ignore[attr-defined]
        return [layer]
    return [layer, *following, Activation(activation(function), name=f"activation_{layer.name}", dtype=dtype)]


def dropout_layers(rate: float, name: str, dtype: Any, random_state: Any) -> list[Layer]:
    """Return a layer of dropout, seeded by scikit-learn's random numbers, or none where the rate is 0."""
    return [Dropout(rate, seed=int(random_state.randint(2**31)), name=f"dropout_{name}", dtype=dtype)] if rate else []


def copy(model: Sequential) -> Sequential:
    """Return a model of the same architecture with new weights."""
    config = model.get_config()
    made = Sequential([type(layer).from_config(layer.get_config()) for layer in model.layers], name=model.name)
    if config["input_shape"] is not None and not made.built:
        made.build(config["input_shape"])
    return made
