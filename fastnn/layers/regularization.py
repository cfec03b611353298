"""Dropout."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..autodiff import Tensor
from .randomness import RandomLayer
from .registry import register_layer


@register_layer
class Dropout(RandomLayer):
    """In training, elements set to 0 with probability `rate`, the others divided by ``1 - rate``; otherwise no change.

    Parameters
    ----------
    rate : float in [0, 1)
        Share of the elements that are dropped.
    seed : int, optional
        For the same elements in each run; drawn from the process's generator (`fastnn.set_seed`) by default.
    **kwargs
        As for `Layer`.

    Attributes
    ----------
    state : ndarray of two uint64
        (seed, step): the elements dropped are a function of these two. Each use in training advances the step.

    References
    ----------
    Srivastava et al. 2014, "Dropout".
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be at least 0 and less than 1, the share of elements to drop; got {rate}")
        self.rate = float(rate)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return ops.dropout(x, self.rate, self.state) if training and self.rate else x
