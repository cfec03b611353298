"""Activations by name, and which of them the kernels of dense and convolutional layers apply themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .arguments import described
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
from .registry import Registry

__all__ = [
    "bipolar_sigmoid",
    "elu",
    "exponential",
    "gelu",
    "get",
    "leaky_relu",
    "linear",
    "log_softmax",
    "relu",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "swish",
    "tanh",
]

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
REGISTRY: Registry[Activation] = Registry("activation", "fastnn.activation", FUNCTIONS, FUNCTIONS.get)
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
        return REGISTRY.named(identifier)
    record = _record(identifier)
    if record is not None and record.source.kind != "activation":
        raise TypeError(f"activation must be a name, a function or None; got {record.source.what}")
    if callable(identifier) and not isinstance(identifier, type):
        return identifier
    raise TypeError(f"activation must be a name, a function or None; got {described(identifier)}")


def serialize(activation: Activation) -> Any:
    """Return the name of an activation that has one here; anything else as it is."""
    return activation.name if _record(activation) else _NAMES.get(activation, activation)  # type: ignore[attr-defined]


def split(activation: Activation) -> tuple[str | Record, Activation | None]:
    """Return what a dense or convolution kernel applies itself, and what is to be applied to its result, or None.

    What kernels apply has a name or, registered by `fastnn.activation`, a record. Sigmoid is not fused, though it could be: its
    tensor remembers the logits, from which a loss is computed without overflow.
    """
    record = _record(activation)
    if record is not None:
        return record, None
    name = _NAMES.get(activation)
    if name is not None and name in FUSED and name != "sigmoid":
        return name, None
    return "linear", activation


def _record(activation: Any) -> Record | None:
    """Return what was compiled of a function of the user's, if this was made of one."""
    record = getattr(activation, "record", None)
    return record if isinstance(record, Record) else None
