"""The layer classes that are known by name, and layers as configurations: what loading a model uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .base import Layer

AnyLayer = TypeVar("AnyLayer", bound="type[Layer]")

_classes: dict[str, type[Layer]] = {}


def register_layer(cls: AnyLayer) -> AnyLayer:
    """Make a layer class known by its name to `deserialize`, and so to `fastnn.load_model`: a class decorator.

    Files never name code to import; a model with layers of your own loads where their classes are registered.

    Raises
    ------
    ValueError
        If a different class has that name.
    """
    known = _classes.get(cls.__name__)
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"a layer class called {cls.__name__!r} is registered already: {known.__module__}.{known.__qualname__}")
    _classes[cls.__name__] = cls
    return cls


def serialize(layer: Layer) -> dict[str, Any]:
    """Return ``{"class_name": ..., "config": ...}``."""
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def deserialize(config: Mapping[str, Any]) -> Layer:
    """Return the layer that `serialize` described, with new weights.

    Raises
    ------
    ValueError
        If there is no registered class of that name, or its arguments are not those of the class.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("config"), Mapping):
        raise ValueError(f"a layer's configuration must have 'class_name' and 'config'; got {config!r}")
    name = config.get("class_name")
    if not isinstance(name, str) or name not in _classes:
        raise ValueError(
            f"there is no layer class called {name!r}; there are {', '.join(sorted(_classes))}. "
            "Decorate a class of your own with fastnn.layers.register_layer before loading a model that uses it"
        )
    try:
        return _classes[name].from_config(config["config"])
    except TypeError as error:
        raise ValueError(f"the configuration of a {name} does not fit: {error}") from error
