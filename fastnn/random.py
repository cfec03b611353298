"""The random numbers of the process: one generator that initial weights, dropout seeds and shuffling are drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_generator = np.random.Generator(np.random.PCG64())
#: what a `drawing_from` block draws from in place of the process's generator
_override: ContextVar[np.random.Generator | None] = ContextVar("override", default=None)


def set_seed(seed: int) -> None:
    """Start the process's random numbers anew: what follows is the same in each run with this seed.

    Parameters
    ----------
    seed : int
        Not negative.

    Raises
    ------
    TypeError, ValueError
        If `seed` is not an integer, or negative.
    """
    global _generator
    _generator = _new_generator(seed)


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Draw from a generator with a seed inside the block, in this thread; the process's generator stays as it is."""
    token = _override.set(_new_generator(seed))
    try:
        yield
    finally:
        _override.reset(token)


def generator() -> np.random.Generator:
    """Return the process's generator, or inside a `drawing_from` block that one's."""
    return _override.get() or _generator


def new_seed() -> int:
    """Draw a seed for something with random numbers of its own, below 2**63."""
    return int(generator().integers(2**63))


def counter_state(seed: int | None) -> np.ndarray:
    """Return (seed, step 0) of the counter-based random numbers that kernels draw; a seed is drawn for None."""
    if seed is not None and not 0 <= _integer(seed) < 2**64:
        raise ValueError(f"seed must be an integer from 0 to 2**64 - 1; got {seed}")
    return np.array([new_seed() if seed is None else seed, 0], np.uint64)


def resolve(seed: int | None) -> np.random.Generator:
    """Return a fresh generator with a seed, or for None what `generator` returns."""
    return generator() if seed is None else _new_generator(seed)


def _new_generator(seed: int) -> np.random.Generator:
    if _integer(seed) < 0:
        raise ValueError(f"seed must not be negative; got {seed}")
    return np.random.Generator(np.random.PCG64(int(seed)))


def _integer(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be an integer; got {seed!r}")
    return int(seed)
