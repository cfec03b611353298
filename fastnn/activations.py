"""Activations by name, and which of them the kernels of dense and convolutional layers apply themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .autodiff import Tensor, as_tensor
from .kernels.custom.record import Record
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
#: the user's own: name -> what `fastnn.activation` made
CUSTOM: dict[str, Activation] = {}
_NAMES = {function: name for name, function in reversed(FUNCTIONS.items())}
swish, exponential = silu, exp


def register(name: str, activation: Activation) -> None:
    """Make an activation usable by name, also by the models of files; one of the same name is replaced.

    Raises
    ------
    ValueError
        If it is the name of a built-in activation.
    """
    check_free(name)
    CUSTOM[name] = activation
    _NAMES[activation] = name


def check_free(name: str) -> None:
    """Raise ValueError if an activation of that name is built in."""
    if name in FUNCTIONS:
        raise ValueError(f"activation {name!r} is built in; give your function a name of its own")


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
        known = FUNCTIONS | CUSTOM
        if identifier not in known:
            raise ValueError(
                f"activation must be one of {', '.join(map(repr, known))}; got {identifier!r}. "
                "A function of your own has a name once @fastnn.activation has decorated it: do that before a model of it is loaded"
            )
        return known[identifier]
    if callable(identifier):
        return identifier
    raise TypeError(f"activation must be a name, a function or None; got {identifier!r}")


def serialize(activation: Activation) -> Any:
    """Return the name of one of this module's activations; anything else as it is."""
    return _NAMES.get(activation, activation)


def split(activation: Activation) -> tuple[str | Record, Activation | None]:
    """Return what a dense or convolution kernel applies itself, and what is to be applied to its result, or None.

    What kernels apply has a name or, registered by `fastnn.activation`, a record. Sigmoid is not fused, though it could be: its
    tensor remembers the logits, from which a loss is computed without overflow.
    """
    record = getattr(activation, "record", None)
    if isinstance(record, Record):
        return record, None
    name = _NAMES.get(activation)
    if name is not None and name in FUSED and name != "sigmoid":
        return name, None
    return "linear", activation
