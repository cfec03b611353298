"""Activations by name, and which of them the kernels of dense and convolutional layers apply themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .autodiff import Tensor, as_tensor
from .kernels.spec.activation import FUSED
from .ops.activation import (
    bipolar_sigmoid,
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from .ops.elementary import exp

Activation = Callable[[Any], Tensor]


def linear(x: Any) -> Tensor:
    """Return `x` itself."""
    return as_tensor(x)


#: name -> function of a tensor
FUNCTIONS: dict[str, Activation] = {
    "linear": linear,
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "bipolar_sigmoid": bipolar_sigmoid,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": selu,
    "softplus": softplus,
    "gelu": gelu,
    "silu": silu,
    "swish": silu,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "exponential": exp,
}
_NAMES = {function: name for name, function in reversed(FUNCTIONS.items())}
swish, exponential = silu, exp


def get(identifier: Any) -> Activation:
    """Return an activation.

    Parameters
    ----------
    identifier : str, callable or None
        A name ("relu"), a function made of ops, or None for `linear`.

    Raises
    ------
    ValueError, TypeError
        If there is no such activation.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        if identifier not in FUNCTIONS:
            raise ValueError(f"activation must be one of {', '.join(map(repr, FUNCTIONS))}; got {identifier!r}")
        return FUNCTIONS[identifier]
    if callable(identifier):
        return identifier
    raise TypeError(f"activation must be a name, a function or None; got {identifier!r}")


def serialize(activation: Activation) -> Any:
    """Return the name of one of this module's activations; anything else as it is."""
    return _NAMES.get(activation, activation)


def split(activation: Activation) -> tuple[str, Activation | None]:
    """Return what a dense or convolution kernel applies itself, by name, and what is to be applied to its result, or None.

    Sigmoid is not fused, though it could be: its tensor remembers the logits, from which a loss is computed without overflow.
    """
    name = _NAMES.get(activation)
    if name is not None and name in FUSED and name != "sigmoid":
        return name, None
    return "linear", activation
