"""Weights without initial values, for models whose weights come from a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

#: how many bytes of weights may still be created, as zeros; None where initializers make them
_room: ContextVar[int | None] = ContextVar("room", default=None)


@contextmanager
def blank_weights(max_bytes: int) -> Iterator[None]:
    """Create weights as zeros instead of by their initializers, at most `max_bytes` of them: their values come from a file.

    So a file that claims larger weights than it holds is refused before memory is taken for them, and no random numbers are drawn.
    """
    token = _room.set(max_bytes)
    try:
        yield
    finally:
        _room.reset(token)


def blank_weight(what: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """Return zeros for a weight, within `blank_weights` and if there is room for it; None where an initializer makes it."""
    room = _room.get()
    if room is None:
        return None
    room -= math.prod(shape) * dtype.itemsize
    if room < 0:
        raise ValueError(f"{what} would have shape {shape}, more than there are values for")
    _room.set(room)
    return np.zeros(shape, dtype)
