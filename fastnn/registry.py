"""Activations, losses and optimizers by name: the built-in ones and the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

Named = TypeVar("Named")


class Registry(Generic[Named]):
    """The built-in and the user's own objects of one kind, by name.

    Parameters
    ----------
    kind : str
        What messages call one of them: "loss".
    decorator : str
        What makes one of a function of the user's: "fastnn.loss".
    names : iterable of str
        Names of the built-in ones, as messages list them.
    built_in : callable
        Returns the built-in one of a name, or None.

    Attributes
    ----------
    own : dict
        The user's own by name.
    """

    def __init__(self, kind: str, decorator: str, names: Iterable[str], built_in: Callable[[str], Named | None]) -> None:
        self.own: dict[str, Named] = {}
        self._kind, self._decorator, self._names, self._built_in = kind, decorator, tuple(names), built_in

    def check_free(self, name: str) -> None:
        """Raise ValueError if one of that name is built in."""
        if self._built_in(name) is not None:
            raise ValueError(f"{self._kind} {name!r} is built in; give your function a name of its own")

    def register(self, name: str, made: Named) -> None:
        """Make one usable by a name that `check_free` let pass, also by the models of files; one of the same name is replaced."""
        self.own[name] = made

    def named(self, name: Any) -> Named:
        """Return the one of a name.

        Raises
        ------
        ValueError
            If there is none.
        """
        found = (self.own.get(name) or self._built_in(name)) if isinstance(name, str) else None
        if found is None:
            raise ValueError(
                f"{self._kind} must be one of {', '.join(map(repr, (*self._names, *self.own)))}; got {name!r}. "
                f"A function of your own has a name once @{self._decorator} has decorated it: "
                "do that before a model of it is loaded"
            )
        return found
