"""The random numbers of the process: one generator that initial weights, dropout seeds and shuffling are drawn from."""

from __future__ import annotations

import numpy as np

_generator = np.random.Generator(np.random.PCG64())


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


def generator() -> np.random.Generator:
    """Return the process's generator."""
    return _generator


def new_seed() -> int:
    """Draw a seed for something with random numbers of its own, below 2**63."""
    return int(_generator.integers(2**63))


def resolve(seed: int | None) -> np.random.Generator:
    """Return a fresh generator with a seed, or the process's generator for None."""
    return _generator if seed is None else _new_generator(seed)


def _new_generator(seed: int) -> np.random.Generator:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be an integer; got {seed!r}")
    if seed < 0:
        raise ValueError(f"seed must not be negative; got {seed}")
    return np.random.Generator(np.random.PCG64(int(seed)))
