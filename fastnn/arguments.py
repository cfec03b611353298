"""Arguments in error messages: the names that a constructor takes, also by ``**kwargs``, and the values that were given."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn


def argument_names(cls: type) -> list[str]:
    """Return the names of the arguments of ``__init__`` of a class and, as far as ``**kwargs`` passes them on, of its bases."""
    names: dict[str, None] = {}
    for base in cls.__mro__:
        if "__init__" in base.__dict__:
            parameters = list(inspect.signature(base.__init__).parameters.values())[1:]  # type: ignore[misc]
            names.update((p.name, None) for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return list(names)


def refuse(cls: type, unknown: Mapping[str, Any], names: Iterable[str]) -> NoReturn:
    """Raise TypeError for keyword arguments that a class does not have, with the names of those that it has."""
    raise TypeError(f"{cls.__name__} has no argument {' or '.join(map(repr, unknown))}; its arguments are {', '.join(names)}")


def described(value: Any) -> str:
    """Return how messages show a value; for a class that was given instead of an object, they say how to make one."""
    return f"the class {value.__name__}: make one of it, {value.__name__}(...)" if isinstance(value, type) else f"{value!r:.80}"
