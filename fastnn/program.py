"""From the recorded kernel calls of a step to a program that repeats them.

A step of fixed batch shape is always the same list of kernel calls on the same buffers. `Program` takes the list that
`fastnn.kernels.table.record` noted down, has `fastnn.rewrites` replace what there is a cheaper way for and leave out what
nobody reads, gives temporary buffers places in one arena by their lifetimes, and hands the rest to the backend, which runs it
without Python in between. `Replay` wraps a step function: it goes through it once to record it, and runs the program from then on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import memory
from .kernels import backends, spec, table
from .rewrites import Call, arrays_of, base_of, rewritten


class Arena:
    """Memory for the temporaries of programs that never run at the same time: between two runs it holds nothing."""

    def __init__(self) -> None:
        self._memory = memory.empty((0,), np.uint8)

    def take(self, size: int) -> np.ndarray:
        """Return at least `size` bytes: the same ones as the last time, if they are enough."""
        if len(self._memory) < size:
            self._memory = memory.empty((size,), np.uint8)
        return self._memory


class Program:
    """Kernel calls on fixed buffers, run as one.

    Parameters
    ----------
    calls : list of (str, tuple)
        Op names and arguments, in order, as recorded.
    results : iterable of ndarray
        Arrays that are read after a run; they keep their buffers. All other arrays that a call writes before any call has read
        them are temporary: they move to the arena, and their original buffers no longer change.
    arena : Arena, optional
        Shared with other programs; by default the program has its own.
    """

    def __init__(self, calls: Sequence[Call], results: Iterable[np.ndarray], arena: Arena | None = None) -> None:
        results = list(results)
        needed = rewritten(calls, results, backends.kernels_of(backends.active_backend()))
        self.calls, self.arena = _in_one_arena(needed, {id(base_of(array)) for array in results}, arena or Arena())
        self._compiled = backends.compile_program(self.calls, self.arena)

    def run(self, times: int = 1) -> None:
        """Run all calls in order, `times` times over."""
        self._compiled.run(times)

    def replace(self, arrays: dict[int, np.ndarray]) -> None:
        """Read other arrays from now on, given by the id of the ones before: of the same types, with samples of the same shape."""
        self.calls = [(name, tuple(arrays.get(id(value), value) for value in args)) for name, args in self.calls]
        self._compiled = backends.compile_program(self.calls, self.arena)


class Replay:
    """A step that is recorded once and run as a program.

    Recording runs no kernel, so that the temporaries of a whole step, which share memory in the program, are never filled all at
    once. Only where Python looks at values (whether predictions are probabilities, say), the first step is run to be recorded.
    A step in which Python or NumPy computes something (a user's own layer or loss) cannot be replayed: it runs as it is written,
    every time, and says so once.

    Parameters
    ----------
    step : callable
        Runs one step on fixed buffers and returns the arrays that the caller reads afterwards.
    owner : str
        Whose step it is, for the message.
    arena : Arena, optional
        As for `Program`.
    """

    def __init__(self, step: Callable[[], Iterable[np.ndarray]], owner: str, arena: Arena | None = None) -> None:
        self._step = step
        self._owner = owner
        self._arena = arena
        self._program: Program | None = None
        self._recorded = False

    def run(self, times: int = 1) -> None:
        """Run the step `times` times over."""
        if not self._recorded and times > 0:
            times -= self._record()
        if self._program is not None:
            self._program.run(times)
        else:
            for _ in range(times):
                self._step()

    def replace(self, arrays: dict[int, np.ndarray]) -> None:
        """Let the recorded calls take other arrays; the step itself has to take them too."""
        if self._program is not None:
            self._program.replace(arrays)

    def _record(self) -> int:
        """Record the step; return how often it was run for that."""
        for run in (False, True):
            with table.record(run) as recording:
                results = list(self._step())
            if recording.complete:
                break
        if recording.python_steps:
            names = ", ".join(dict.fromkeys(recording.python_steps))
            warnings.warn(f"{self._owner} runs step by step in Python, not replayed natively, because of: {names}", stacklevel=2)
        else:
            self._program = Program(recording.calls, results, self._arena)
        self._recorded = True
        return int(run)


@dataclass(eq=False)
class _Buffer:
    """Memory of a temporary, or of several one after the other: the calls that use it first and last, its place in the arena."""

    nbytes: int
    first: int
    last: int
    offset: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.nbytes


def _in_one_arena(calls: list[Call], kept: set[int], shared: Arena) -> tuple[list[Call], np.ndarray]:
    """Move temporaries into one arena, where buffers whose lifetimes do not meet may share bytes."""
    buffers: dict[int, _Buffer] = {}
    outside = set(kept)
    for i, call in enumerate(calls):
        for array, declared in arrays_of(call):
            owner = base_of(array)
            if id(owner) in buffers:
                buffers[id(owner)].last = i
            elif declared.role != "out" or array.nbytes < owner.nbytes or id(owner) in outside:
                outside.add(id(owner))
            else:
                buffers[id(owner)] = _Buffer(owner.nbytes, i, i)
    for i, call in enumerate(calls):
        _write_in_place(i, call, buffers)
    arena = shared.take(_place(list(dict.fromkeys(buffers.values()))))

    def moved(value: Any) -> Any:
        if not isinstance(value, np.ndarray) or id(owner := base_of(value)) not in buffers:
            return value
        offset = buffers[id(owner)].offset + value.ctypes.data - owner.ctypes.data
        return np.ndarray(value.shape, value.dtype, arena, offset)

    return [(name, tuple(moved(value) for value in args)) for name, args in calls], arena


def _write_in_place(i: int, call: Call, buffers: dict[int, _Buffer]) -> None:
    """Let the result of elementwise call `i` take the buffer of an input that nobody reads later: it is in the cache already."""
    if not spec.OPS[call[0]].elementwise:
        return
    arrays = [(declared.role, base_of(array)) for array, declared in arrays_of(call) if declared.axes == "*"]
    made = next(id(owner) for role, owner in arrays if role == "out")
    for role, owner in arrays:
        result, given = buffers.get(made), buffers.get(id(owner))
        if role == "in" and result and given and result.first == given.last == i and result.nbytes == given.nbytes:
            given.last = result.last
            buffers[made] = given
            return


def _place(buffers: list[_Buffer]) -> int:
    """Give each buffer an offset that is free for its whole lifetime, the largest first; return the arena's size.

    If it can be, that is in the middle of a larger buffer: kernels give the halves of an array to different threads, and bytes that
    the other core wrote last are slow to write. Else it is the lowest offset.
    """
    placed: list[_Buffer] = []
    for buffer in sorted(buffers, key=lambda b: -b.nbytes):
        alive = sorted((b for b in placed if b.first <= buffer.last and buffer.first <= b.last), key=lambda b: b.offset)
        middles = (other.offset + _aligned((other.nbytes - buffer.nbytes) // 2) for other in placed)
        ends = (_aligned(other.end) for other in alive)
        buffer.offset = next(at for at in (*middles, 0, *ends) if all(at + buffer.nbytes <= b.offset or b.end <= at for b in alive))
        placed.append(buffer)
    return max((b.end for b in buffers), default=0)


def _aligned(offset: int) -> int:
    """Return the next offset at which a buffer may begin."""
    return -(-offset // memory.ALIGNMENT) * memory.ALIGNMENT
