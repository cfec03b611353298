"""Code for the GPU run on the processor: LLVM's, as numba-cuda emits it, with the C library's functions in the place of CUDA's.

For functions of the user's, which the simulator has compiled for the CPU instead.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import re
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm

#: the functions that those of tests/kernels/user_functions.py call
NAMES = ("exp", "fabs", "log1p", "tanh")
_kept: list[Any] = []


def on_host(monkeypatch: Any, kernel: Callable, arguments: tuple) -> Callable[..., None]:
    """Return a kernel without threads, whose arguments are pointers to numbers of these types, as a function of NumPy arrays."""
    from numba import types
    from numba.cuda.cudadrv import nvvm

    from fastnn.kernels.numba_gpu.compiler import compile_ptx

    texts: list[str] = []
    monkeypatch.setattr(nvvm, "compile_ir", lambda irs, **options: (texts.append(irs), b"")[1])
    pointers = [types.CPointer(argument) for argument in arguments]
    compile_ptx(kernel, types.void(*pointers), (8, 0), device=True, abi="c", abi_info={"abi_name": kernel.__name__})
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    for name in (name + end for name in NAMES for end in ("", "f")):
        llvm.add_symbol(f"__nv_{name}", ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
    machine = llvm.Target.from_default_triple().create_target_machine()
    module, *others = (llvm.parse_assembly(_for_host(text, machine)) for text in texts[0])
    for other in others:  # a function that others call is in a module of its own
        module.link_in(other)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    _kept.append(engine)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arguments))(engine.get_function_address(kernel.__name__))
    return lambda *arrays: call(*(array.ctypes.data for array in arrays))


def _for_host(text: str, machine: llvm.TargetMachine) -> str:
    text = re.sub("target triple = .*", f'target triple = "{llvm.get_default_triple()}"', text)
    text = re.sub("target datalayout = .*", f'target datalayout = "{machine.target_data}"', text)
    return re.sub("(?m)^!nvvm.*", "", text)
