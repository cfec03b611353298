"""Kernels that Numba compiles when they are first used: for machines without a compiler.

Every family of the spec is a file; the arithmetic is that of `cython_aot`, in smaller pieces. `call` leads from Python arguments to
compiled code, `team` runs it on several threads, `cache` keeps it.
"""

import importlib
import importlib.util

from .. import spec

if importlib.util.find_spec("numba") is None:
    raise ImportError("the numba backend needs Numba: pip install 'fastnn-kernels[numba]'", name="numba")

from numba import config

if config.DISABLE_JIT:
    raise ImportError("the numba backend compiles its kernels, but NUMBA_DISABLE_JIT is set: unset it, or set FASTNN_BACKEND=numpy")

from .call import Kernel

#: op name -> kernel; nothing is compiled yet
KERNELS = {
    op.name: Kernel(op, getattr(importlib.import_module(f".{family}", __name__), op.name))
    for family, ops in spec.FAMILIES.items()
    for op in ops
}
