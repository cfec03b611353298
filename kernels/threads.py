"""How many threads the kernels may use.

The default is ``FASTNN_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the processors that this process may run on. A child made by
fork has one thread: OpenMP's runtime does not survive a fork.
"""

from __future__ import annotations

import operator
import os
import sys

#: more would exhaust what an operating system gives a process, and OpenMP's runtime then ends the process
MAX_THREADS = 1024


def available_cpus() -> int:
    """Return the number of processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_num_threads() -> int:
    """Return the number of threads that the environment asks for.

    Raises
    ------
    ValueError
        If ``FASTNN_NUM_THREADS`` is not an integer from 1 to 1024. (``OMP_NUM_THREADS`` belongs to other libraries too, may be a
        list like ``4,2``: its first number counts, and anything else is left alone.)
    """
    chosen = os.environ.get("FASTNN_NUM_THREADS")
    if chosen:
        if not chosen.isdecimal() or not 1 <= int(chosen) <= MAX_THREADS:
            raise ValueError(f"FASTNN_NUM_THREADS must be an integer from 1 to {MAX_THREADS}, got {chosen!r}")
        return int(chosen)
    shared = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    threads = int(shared) if shared.isdecimal() and int(shared) >= 1 else available_cpus()
    return min(threads, MAX_THREADS)


_num_threads: int | None = None


def get_num_threads() -> int:
    """Return the most threads that the kernels may use."""
    global _num_threads
    if _num_threads is None:
        _num_threads = default_num_threads()
    return _num_threads


def set_num_threads(threads: int) -> None:
    """Set the most threads that the kernels may use; small work stays on one thread whatever is set.

    Parameters
    ----------
    threads : int
        From 1 to 1024. More threads than processors is allowed, and slow.

    Raises
    ------
    TypeError, ValueError
        If `threads` is not an integer, or out of range.

    Notes
    -----
    The same seed gives the same numbers for any number of threads. In a child process made by `os.fork` (also by `multiprocessing`
    with the start method "fork") the number is 1; raise it only if the parent had not computed on several threads before.
    """
    global _num_threads
    try:
        count = operator.index(threads)
    except TypeError:
        raise TypeError(f"threads must be an integer from 1 to {MAX_THREADS}, got {threads!r}") from None
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"threads must be an integer from 1 to {MAX_THREADS}, got {threads!r}")
    _num_threads = count
    native = sys.modules.get(f"{__package__}.cython_aot.call")
    if native is not None:
        native.set_num_threads(count)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: set_num_threads(1))
