"""Names of layers and models: "dense", "dense_1", ..., each once in a process."""

from __future__ import annotations

import re
from collections import Counter

_names: Counter[str] = Counter()


def unique_name(prefix: str) -> str:
    """Return `prefix` the first time in this process, then ``prefix_1``, ``prefix_2``, ..."""
    count = _names[prefix]
    _names[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def note_name(name: str) -> None:
    """Keep automatic names from meeting one that was given, such as those of a loaded model's layers."""
    prefix, _, number = name.rpartition("_")
    if not number.isdecimal():
        prefix, number = name, "0"
    _names[prefix] = max(_names[prefix], int(number) + 1)


def clear_session() -> None:
    """Let the automatic names of layers and models count from the start again."""
    _names.clear()


def snake_case(name: str) -> str:
    """Return a class name as Keras turns it into a layer name: "MaxPooling2D" becomes "max_pooling2d"."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
