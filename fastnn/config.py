"""What this installation is: version, backends, processor level, threads."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import numpy as np

from .kernels import backends, threads


def describe() -> dict[str, str]:
    """Return what `show_config` prints, name to value."""
    from . import __version__

    rows = {
        "fastnn": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }
    active = backends.active_backend()
    for name, backend in backends.BACKENDS.items():
        installed = "installed" if backend.installed() else "not usable here"
        state = installed if name != active else "active" if backend.installed() else f"chosen by FASTNN_BACKEND, {installed}"
        rows[f"{name} backend"] = f"{state} ({backend.description})"
    if backends.BACKENDS["cython"].installed():
        from .kernels import cython_aot
        from .kernels.cython_aot import call

        rows["processor level"] = f"{call.cpu_level()} (kernels in use: {cython_aot.LEVEL})"
        rows["OpenMP"] = "yes" if call.has_openmp() else "no, the kernels use one thread"
    rows["threads"] = f"{threads.get_num_threads()} (processors available: {threads.available_cpus()})"
    return rows


def show_config(print_fn: Callable[[str], Any] = print) -> None:
    """Print version, backends, processor level and threads: what a bug report needs.

    Parameters
    ----------
    print_fn : callable
        Called with the text, instead of `print`.
    """
    rows = describe()
    width = max(map(len, rows))
    print_fn("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))
