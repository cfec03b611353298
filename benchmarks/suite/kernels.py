"""Every op at the shapes of `benchmarks.kernel_cases`, on the backends for the CPU and the instruction levels that are there."""

from __future__ import annotations

import importlib
import importlib.util

import fastnn
from benchmarks.kernel_cases import KernelCase, names
from benchmarks.roofline import median_time
from fastnn.kernels import backends


def _kernel(case: KernelCase, backend: str):
    """Return the kernel of a backend, or of one instruction level ("cython x86_64_v3").

    Raises NotImplementedError, with which asv skips a benchmark, where it is not there.
    """
    name, _, level = backend.partition(" ")
    if not backends.BACKENDS[name].installed():
        raise NotImplementedError(f"{name} is not installed")
    if not level:
        return backends.kernels_of(name)[case.op.name]
    from fastnn.kernels import cython_aot
    from fastnn.kernels.cython_aot import call

    usable = cython_aot.LEVELS[cython_aot.LEVELS.index(call.cpu_level()) :]
    if level not in usable:
        raise NotImplementedError(f"this processor has no {level}")
    module = f"{cython_aot.__name__}.{level}.{case.family}"
    if not importlib.util.find_spec(module):
        raise NotImplementedError(f"{level} was not compiled")
    return call.Kernel(case.op, importlib.import_module(module).ADDRESSES[case.op.name])


class Kernels:
    """Time of a call, and the rate that it makes of it, on one thread."""

    params = (names(), ["cython", "cython x86_64_v3", "cython x86_64_v2", "numba"], ["float32", "float64"])
    param_names = ("kernel", "backend", "dtype")

    def setup(self, name: str, backend: str, dtype: str) -> None:
        """Make the arguments and warm the kernel up."""
        fastnn.set_num_threads(1)
        self.case = KernelCase(name, dtype)
        self.kernel = _kernel(self.case, backend)
        self.kernel(*self.case.arguments)

    def track_rate(self, name: str, backend: str, dtype: str) -> float:
        """Return GFLOP/s, or GB/s of a kernel that multiplies nothing."""
        seconds = median_time(lambda: self.kernel(*self.case.arguments))
        return (self.case.flops or self.case.bytes) / seconds / 1e9

    def time_kernel(self, name: str, backend: str, dtype: str) -> None:
        """One call."""
        self.kernel(*self.case.arguments)

    track_rate.unit = "GFLOP/s, or GB/s"
