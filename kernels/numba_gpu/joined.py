"""Small launches as one: a launch takes two microseconds or more, however little it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from .compiler import cuda, device, uint32
from .launch import THREADS, Launch

u = uint32
#: most elements that one block goes through: a thread waits for memory at each of its 8, a fifth of a microsecond
MOST_WORK = 8 * THREADS
#: most launches that become one: their kernels' shared memory adds up, to 2 KB each
MOST_LAUNCHES = 16


def joined(launches: Iterable[Launch]) -> list[Launch]:
    """Return launches that do the same, where small ones are one with those before them.

    They may have been further apart: a small launch moves up past others that use none of its memory. (Which arrays a kernel only
    reads is not known here.)
    """
    groups: list[list[Launch]] = []
    for launch in launches:
        group = _group_before(launch, groups) if _is_small(launch) else None
        if group is None:
            groups.append([launch])
        else:
            group.append(launch)
    return [_as_one(group) for group in groups]


def _is_small(launch: Launch) -> bool:
    return launch.work is not None and launch.work <= MOST_WORK


def _group_before(launch: Launch, groups: list[list[Launch]]) -> list[Launch] | None:
    """Return the last group of small launches that a small one can be added to."""
    for group in reversed(groups):
        if _is_small(group[0]) and len(group) < MOST_LAUNCHES:
            return group
        if any(_meet(launch, other) for other in group):
            break
    return None


def _meet(launch: Launch, other: Launch) -> bool:
    """Say whether launches use the same memory."""
    return any(a.overlaps(b) for a in launch.arrays for b in other.arrays)


def _as_one(parts: list[Launch]) -> Launch:
    if len(parts) == 1:
        return parts[0]
    kernel = _one_after_the_other(tuple((part.kernel, len(part.args), part.threads) for part in parts))
    return Launch(kernel, (1, 1, 1), tuple(arg for part in parts for arg in part.args))


@cache
def _one_after_the_other(parts: tuple[tuple[Callable, int, int], ...]) -> Callable:
    """Return the kernel of kernels with so many arguments each, and one thread or THREADS."""
    (function, count, threads), *others = parts
    first, following = _callable(function), _callable(_one_after_the_other(tuple(others))) if others else None

    def call(*args):
        if threads == THREADS or u(cuda.threadIdx.x) == u(0):
            first(*args)

    if following is None:
        return call
    call_first = device(call)

    def kernel(*args):
        call_first(*args[:count])
        cuda.syncthreads()
        following(*args[count:])

    return kernel


#: a kernel as a function that others call, compiled once for all of them
_callable = cache(device)
