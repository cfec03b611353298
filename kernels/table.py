"""One door to the kernels: by op name, to the backend in use, and past the recorder when a step is being captured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .backends import active_backend, kernels_of


class Recording:
    """What ran while a step was captured.

    Attributes
    ----------
    calls : list of (str, tuple)
        Op name and arguments of each kernel call, in order.
    python_steps : list of str
        What was computed outside the kernels: with any of these, replaying the calls would not repeat the step.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple]] = []
        self.python_steps: list[str] = []


_recording: ContextVar[Recording | None] = ContextVar("recording", default=None)


def kernel(name: str) -> Callable:
    """Return the active backend's kernel for an op: ``kernel(*inputs, *params, *outputs)``, nothing allocated.

    Raises
    ------
    KeyError
        If no op has that name.
    """
    return kernels_of(active_backend())[name]


def call(name: str, *args: Any) -> None:
    """Run an op's kernel on the active backend; note the call down if a recording is on."""
    kernels_of(active_backend())[name](*args)
    recording = _recording.get()
    if recording is not None:
        recording.calls.append((name, args))


def python_step(what: str) -> None:
    """Tell a recording, if one is on, that a step was computed by Python or NumPy: it cannot be replayed."""
    recording = _recording.get()
    if recording is not None:
        recording.python_steps.append(what)


@contextmanager
def record() -> Iterator[Recording]:
    """Record every kernel call of the block, in this thread: yields the `Recording`."""
    recording = Recording()
    token = _recording.set(recording)
    try:
        yield recording
    finally:
        _recording.reset(token)
