"""The one place that knows the compiler: what kernels are written with, and the way from a Python function to machine code.

Kernels import `cuda`, the number types and `device` from here and nowhere else. numba-cuda compiles to PTX; cuda.core makes machine
code of that, for a card that need not be there.
"""

import re
from collections.abc import Callable

import numpy as np

if not hasattr(np, "row_stack"):
    # removed in NumPy 2.5, and numba-cuda (as of 0.30) refers to it when it first compiles: NVIDIA/numba-cuda#907
    np.row_stack = np.vstack  # noqa: NPY201

from cuda.core import Linker, LinkerOptions, ObjectCode
from numba import cuda, float32, float64, int32, int64, types, uint8, uint32, uint64
from numba.cuda.extending import intrinsic

__all__ = ["compile_kernel", "cuda", "device", "float32", "float64", "int32", "int64", "number", "pointer_to", "uint32", "uint64"]

_NUMBERS = {np.dtype(t.name): t for t in (uint8, int32, int64, uint32, uint64, float32, float64)}

#: threads that a multiprocessor has registers for at a time: 128 for each
RESIDENT = 512
#: makes a function that kernels call
device = cuda.jit(device=True, inline="always")


def number(dtype: np.dtype) -> Callable:
    """Return the number type, as kernels name it, of a NumPy dtype."""
    return _NUMBERS[np.dtype(dtype)]


def pointer_to(real: types.Type) -> Callable:
    """Return what makes, in a kernel, an array of `real` from its address."""

    @intrinsic
    def pointer(typing_context, address):
        def codegen(context, builder, signature, args):
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(real)(types.uint64), codegen

    return pointer


def compile_kernel(
    function: Callable, arguments: tuple, threads: int, compute_capability: tuple[int, int]
) -> tuple[ObjectCode, str, str]:
    """Compile a kernel for a kind of card; none needs to be there.

    Parameters
    ----------
    function : callable
        The kernel.
    arguments : tuple of (dtype, bool)
        Dtype of each argument, and whether it is an array of them.
    threads : int
        Threads of a block.
    compute_capability : (int, int)
        As in (9, 0).

    Returns
    -------
    code : ObjectCode
        The machine code.
    name : str
        The kernel's name in it.
    log : str
        What the assembler says of registers and memory.
    """
    signature = types.void(*(types.CPointer(number(dtype)) if is_array else number(dtype) for dtype, is_array in arguments))
    ptx, _ = cuda.compile_ptx(function, signature, cc=compute_capability, launch_bounds=(threads, max(1, RESIDENT // threads)))
    options = LinkerOptions(arch="sm_{}{}".format(*compute_capability), verbose=True, ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    code = linker.link("cubin")
    return code, re.findall(r"\.entry (\S+)\(", ptx)[0], linker.get_info_log()
