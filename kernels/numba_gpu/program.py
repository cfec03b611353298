"""Calls on host arrays, run on the card: recorded ones as one CUDA graph, or one by itself.

Between the steps of a run nothing is copied.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import spec
from .device import card
from .images import Images
from .joined import joined
from .plan import place, plan


class Program:
    """Calls that are recorded as one CUDA graph when they first run.

    Parameters
    ----------
    temporary : ndarray, optional
        Memory of arrays that nobody reads or writes between runs.
    """

    def __init__(self, temporary: np.ndarray | None = None) -> None:
        self._temporary = temporary
        self._calls: list[tuple[spec.Op, tuple]] = []
        self._graph: Any = None

    def append(self, kernel: Kernel, *args: Any) -> None:
        """Add a call."""
        self._calls.append((kernel.op, args))

    def run(self, times: int) -> None:
        """Run all calls in order, `times` times over, and wait for them."""
        if times < 1:
            return  # what was not computed must not be copied back
        card().make_current()
        if self._graph is None:
            self._images = Images(self._calls, self._temporary)
            self._steps = plan(self._calls, self._images)
            self._kept = place(self._steps)
            self._graph = card().record(joined(launch for step in self._steps for launch in step.launches))
        self._images.upload()
        self._graph.run(times)
        self._images.download()


class Kernel:
    """One op called by itself: its arrays are copied to the card and the results back.

    Raises
    ------
    NotImplementedError
        When called, if the op has no kernels for the card.
    """

    def __init__(self, op: spec.Op) -> None:
        self.op = op

    def __call__(self, *args: Any) -> None:
        card().make_current()
        calls = [(self.op, args)]
        images = Images(calls, None)
        steps = plan(calls, images)
        kept = place(steps)
        images.upload()
        card().run(launch for step in steps for launch in step.launches)
        images.download()
        del kept
