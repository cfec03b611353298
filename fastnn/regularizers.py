"""Penalties on weights that a model adds to its loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ops
from .arguments import described
from .autodiff import Tensor

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "Regularizer",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "serialize",
]


class Regularizer:
    """Base of all regularizers: subclasses have ``__call__(weights)``, made of ops, and `get_config`."""

    def __call__(self, x: Any) -> Tensor:
        """Return the penalty, a scalar tensor."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(x)")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this regularizer again."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """Make the regularizer that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class L1L2(Regularizer):
    """``l1 * sum(|w|) + l2 * sum(w**2)``.

    Parameters
    ----------
    l1, l2 : float, default 0.0
        Not negative.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        for name, value in (("l1", l1), ("l2", l2)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be a finite number that is not negative; got {value}")
        self.l1, self.l2 = float(l1), float(l2)

    def __call__(self, x: Any) -> Tensor:
        return ops.penalty(x, self.l1, self.l2)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """``l1 * sum(|w|)``.

    Parameters
    ----------
    l1 : float, default 0.01
        Not negative.
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """``l2 * sum(w**2)``.

    Parameters
    ----------
    l2 : float, default 0.01
        Not negative.
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


_CLASSES: dict[str, type[Regularizer]] = {"L1": L1, "L2": L2, "L1L2": L1L2}
_BY_NAME: dict[str, Callable[[], Regularizer]] = {"l1": L1, "l2": L2, "l1_l2": lambda: L1L2(l1=0.01, l2=0.01)}


def get(identifier: Any) -> Callable[[Any], Tensor] | None:
    """Return a regularizer, or None for None.

    Parameters
    ----------
    identifier : str, dict, callable or None
        A name ("l1", "l2", "l1_l2": with 0.01), what `serialize` returned, or a function from weights to a scalar tensor.

    Raises
    ------
    ValueError, TypeError
        If there is no such regularizer.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        make = _BY_NAME.get(identifier.lower()) or _CLASSES.get(identifier)
        if make is None:
            raise ValueError(f"regularizer must be one of {', '.join(map(repr, _BY_NAME))}; got {identifier!r}")
        return make()
    if isinstance(identifier, dict):
        name = identifier.get("class_name")
        if name not in _CLASSES:
            raise ValueError(f"regularizer's class_name must be one of {', '.join(map(repr, _CLASSES))}; got {name!r}")
        return _CLASSES[name].from_config(identifier.get("config", {}))
    if callable(identifier) and not isinstance(identifier, type):
        return identifier
    raise TypeError(f"regularizer must be a name, a Regularizer, a function or None; got {described(identifier)}")


def serialize(regularizer: Any) -> Any:
    """Return ``{"class_name": ..., "config": ...}`` for one of this module's regularizers; anything else as it is."""
    if type(regularizer) in _CLASSES.values():
        return {"class_name": type(regularizer).__name__, "config": regularizer.get_config()}
    return regularizer


#: Keras's names of the same classes in lower case
l1, l2 = L1, L2


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Return `L1L2` with Keras's defaults for this name."""
    return L1L2(l1=l1, l2=l2)
