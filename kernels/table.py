"""Every call of a kernel goes through `call`: by op name to the backend in use, noted down while a step is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .backends import active_kernels


class ValuesNeeded(Exception):
    """Python needs the values of arrays that a recording, which runs no kernel, has not filled."""


class Recording:
    """What was called while a step was captured.

    Attributes
    ----------
    calls : list of (str, tuple)
        Op name and arguments of each kernel call, in order.
    python_steps : list of str
        What was computed outside the kernels: with any of these, replaying the calls would not repeat the step.
    run : bool
        Whether the kernels run while they are recorded.
    complete : bool
        False once a recording that runs no kernel has ended early, because values were needed.
    """

    def __init__(self, run: bool) -> None:
        self.calls: list[tuple[str, tuple]] = []
        self.python_steps: list[str] = []
        self.run = run
        self.complete = True


_recording: ContextVar[Recording | None] = ContextVar("recording", default=None)


def call(name: str, *args: Any) -> None:
    """Run an op's kernel on the active backend; note the call down if a recording is on."""
    recording = _recording.get()
    if recording is None or recording.run:
        active_kernels()[name](*args)
    if recording is not None:
        recording.calls.append((name, args))


def attempt(
    name: str, inputs: tuple, params: tuple = (), outputs: tuple | None = None, optional: bool = True
) -> tuple[Any, ...] | None:
    """Run an op at once if its arrays need no conversion; the caller converts or explains what is wrong only if this returns None.

    Parameters
    ----------
    name : str
        The op.
    inputs : tuple
        Values of any type. What fits are plain NumPy arrays of the spec's dtype and axes, C-contiguous, int64 for int32 indices,
        and numbers for arrays of one float64.
    params : tuple
        The parameters, already checked.
    outputs : tuple of ndarray, optional
        The arrays to update; by default new ones, whose shapes follow from those of the inputs.
    optional : bool, default True
        Whether to make the outputs that may be left out; if not, None stands for them.

    Returns
    -------
    tuple of ndarray, or None
        The outputs. None if nothing was computed, because something does not fit, a recording is on, or the backend's kernels have
        no `attempt`.
    """
    if _recording.get() is not None:
        return None
    run = getattr(active_kernels()[name], "attempt", None)
    return run and run(inputs, params, outputs, optional)


def skips_kernels() -> bool:
    """Say whether a recording is on that runs no kernel, so that arrays made by kernels hold no values yet."""
    recording = _recording.get()
    return recording is not None and not recording.run


def need_values() -> None:
    """Say that values are looked at, which ends a recording that runs no kernel.

    Raises
    ------
    ValuesNeeded
        If such a recording is on.
    """
    if skips_kernels():
        raise ValuesNeeded


def python_step(what: str) -> None:
    """Tell a recording, if one is on, that a step is computed by Python or NumPy: it cannot be replayed."""
    recording = _recording.get()
    if recording is not None:
        recording.python_steps.append(what)
        need_values()


@contextmanager
def record(run: bool = True) -> Iterator[Recording]:
    """Record every kernel call of the block, in this thread: yields the `Recording`.

    Parameters
    ----------
    run : bool
        Whether the kernels run. If not, arrays are made but not filled, which for large ones means that they take no memory; and
        the block ends, quietly, where Python needs values.
    """
    recording = Recording(run)
    token = _recording.set(recording)
    try:
        yield recording
    except ValuesNeeded:
        recording.complete = False
    finally:
        _recording.reset(token)
