"""How many threads the kernels may use.

The default is ``FASTNN_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the processors that this process, and the container that it
runs in, may use. A child made by fork has one thread: OpenMP's runtime does not survive a fork.
"""

from __future__ import annotations

import math
import operator
import os
import sys
from pathlib import Path
from typing import Any

#: more would exhaust what an operating system gives a process, and OpenMP's runtime then ends the process
MAX_THREADS = 1024
#: where Linux says how much processor time a container may use in how much time: in one file, or in the two of cgroups 1
QUOTAS = (("/sys/fs/cgroup/cpu.max",), ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"))


def available_cpus() -> int:
    """Return the number of processors that this process may use, also by the time that its container has."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for files in QUOTAS:
        try:
            quota, period = " ".join(Path(file).read_text() for file in files).split()
        except (OSError, ValueError):
            continue  # there are no such files, or they say something else
        if quota.isdecimal():  # where there is no limit, it is "max" or -1
            cpus = min(cpus, max(1, math.ceil(int(quota) / int(period))))
    return cpus


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
#: whether this is a child made by fork of a process whose OpenMP threads did not come along: what waits for them waits forever
_threads_lost = False


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
    RuntimeError
        If there are to be several in a child process made by `os.fork` (also by `multiprocessing` with the start method "fork"),
        and the parent had loaded the compiled kernels for several. In all such children the number is 1 at first.

    Notes
    -----
    The same seed gives the same numbers for any number of threads. Limits that others set at run time, such as threadpoolctl's,
    do not count: kernels ask for this number.
    """
    global _num_threads
    try:
        count = operator.index(threads)
    except TypeError:
        raise TypeError(f"threads must be an integer from 1 to {MAX_THREADS}, got {threads!r}") from None
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"threads must be an integer from 1 to {MAX_THREADS}, got {threads!r}")
    if count > 1 and _threads_lost:
        raise RuntimeError(
            f"threads must be 1 in a process made by fork whose parent computed on several, for which OpenMP would wait forever; "
            f"got {count}. Start processes by 'spawn' or 'forkserver'"
        )
    _num_threads = count
    native = _native()
    if native is not None:
        native.set_num_threads(count)


def _native() -> Any:
    """Return the module of the compiled kernels that runs them, if it is loaded."""
    return sys.modules.get(f"{__package__}.cython_aot.call")


def _begin_child() -> None:
    global _threads_lost
    native = _native()
    _threads_lost = _threads_lost or (native is not None and native.get_num_threads() > 1)
    set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
