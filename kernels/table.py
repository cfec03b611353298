"""One door to the kernels: by op name, to the backend in use, and past the recorder when a step is being captured."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .backends import active_backend, kernels_of

#: the list that calls are recorded in while a step is captured
_recording: ContextVar[list[tuple[str, tuple]] | None] = ContextVar("recording", default=None)


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
    calls = _recording.get()
    if calls is not None:
        calls.append((name, args))


@contextmanager
def record():
    """Record every kernel call of the block, in this thread: yields the list of (op name, arguments)."""
    calls: list[tuple[str, tuple]] = []
    token = _recording.set(calls)
    try:
        yield calls
    finally:
        _recording.reset(token)
