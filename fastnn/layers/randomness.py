"""What the layers share that draw random numbers in training."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import random
from .base import SameShapeLayer


class RandomLayer(SameShapeLayer):
    """A layer that changes its inputs at random in training.

    Parameters
    ----------
    seed : int, optional
        For the same changes in each run; drawn from the process's generator (`fastnn.set_seed`) by default.
    **kwargs
        As for `Layer`.

    Attributes
    ----------
    state : ndarray of two uint64
        (seed, step): what is drawn is a function of these two. Each use in training advances the step.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.state = random.counter_state(seed)

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        """Take over the attributes of a deep copy or a pickle; its array may lie in a file that other processes read as well."""
        self.__dict__.update(attributes)
        self.state = np.array(self.state, np.uint64)

    def state_arrays(self) -> dict[str, np.ndarray]:
        return {"state": self.state}
