"""Code for the GPU run on the processor: LLVM's, as numba-cuda emits it, with the C library's functions in the place of CUDA's.

For what the simulator does not see, which runs kernels as Python: functions of the user's, which it has compiled for the CPU, and
the types that the compiler gives to numbers and places. A thread of a block is one of the host's.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import math
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any
from unittest import mock

import llvmlite.binding as llvm
import numpy as np

from .simulator import to_bf16

#: the functions of CUDA that are called
NAMES = ("exp", "fabs", "log1p", "pow", "sqrt", "tanh")
_kept: list[Any] = []


def function(kernel: Callable, arguments: tuple) -> Callable[..., None]:
    """Return a kernel without threads, whose arguments are pointers to numbers of these types, as a function of NumPy arrays."""
    from numba import types

    from fastnn.kernels.numba_gpu.compiler import compile_ptx

    pointers = [types.CPointer(argument) for argument in arguments]
    signature = types.void(*pointers)
    how = {"device": True, "abi": "c", "abi_info": {"abi_name": kernel.__name__}}
    address = _address_of(lambda: compile_ptx(kernel, signature, (8, 0), **how), kernel.__name__)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arguments))(address)
    return lambda *arrays: call(*(array.ctypes.data for array in arrays))


def _address_of(compile_ptx: Callable, name: str | None = None) -> int:
    """Return the address of a function, or of the only kernel, compiled for the host from what the compiler would make PTX of."""
    from numba.cuda.cudadrv import nvvm

    texts: list[str] = []
    with mock.patch.object(nvvm, "compile_ir", lambda irs, **options: (texts.extend(irs), b".entry none(")[1]):
        compile_ptx()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    _define_functions()
    machine = llvm.Target.from_default_triple().create_target_machine()
    module, *others = (llvm.parse_assembly(_for_host(text, machine)) for text in texts)
    for other in others:  # a function that others call is in a module of its own
        module.link_in(other)
    engine = llvm.create_mcjit_compiler(module, machine)
    _kept.append(engine)
    missing = {name for text in texts for name in re.findall(r"@\"?(__nv_\w+)", text) if not llvm.address_of_symbol(name)}
    assert not missing, missing
    engine.finalize_object()
    return engine.get_function_address(name or re.findall(r'(?m)^define void @"?([^"(]+)', texts[0])[0])


#: what stands in the place of instructions of a GPU
REPLACED = {
    r'asm\s+(?:sideeffect\s+)?"cvt\.rn\.bf16\.f32 [^"]*", "[^"]*"': "@host_bf16",
    r'asm\s+(?:sideeffect\s+)?"cvt\.rn\.bf16x2\.f32 [^"]*", "[^"]*"': "@host_bf16x2",
    r"llvm\.nvvm\.read\.ptx\.sreg\.(\w+)\.([xyz])": r"host_\1_\2",
    r"llvm\.nvvm\.barrier0": "host_barrier",
    r"(?m)^!nvvm.*": "",
}


def _for_host(text: str, machine: llvm.TargetMachine) -> str:
    text = re.sub("target triple = .*", f'target triple = "{llvm.get_default_triple()}"', text)
    text = re.sub("target datalayout = .*", f'target datalayout = "{machine.target_data}"', text)
    for old, new in REPLACED.items():
        text = re.sub(old, new, text)
    for name, signature in (("host_bf16", "i16 {}(float)"), ("host_bf16x2", "i32 {}(float, float)")):
        if f"@{name}(" in text:
            text += f"\ndeclare {signature.format('@' + name)}\n"
    return text


class _Here(threading.local):
    """Which thread of which block runs."""

    thread, block, shape, barrier = 0, (0, 0, 0), (1, (1, 1, 1)), None


_here = _Here()


@cache
def _define_functions() -> None:
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    for name in (name + end for name in NAMES for end in ("", "f")):
        llvm.add_symbol(f"__nv_{name}", ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
    u16, u32, f32, f64 = ctypes.c_uint16, ctypes.c_uint32, ctypes.c_float, ctypes.c_double
    functions: dict[str, tuple] = {
        "host_barrier": (lambda: _here.barrier.wait(), None),
        "host_bf16": (lambda x: int(to_bf16(x, x)) & 0xFFFF, u16, f32),
        "host_bf16x2": (lambda low, high: int(to_bf16(low, high)), u32, f32, f32),
        "__nv_rsqrtf": (lambda x: 1 / math.sqrt(x), f32, f32),
        "__nv_rsqrt": (lambda x: 1 / math.sqrt(x), f64, f64),
    }
    for axis, letter in enumerate("xyz"):
        functions[f"host_tid_{letter}"] = (lambda axis=axis: 0 if axis else _here.thread), u32
        functions[f"host_ntid_{letter}"] = (lambda axis=axis: 1 if axis else _here.shape[0]), u32
        functions[f"host_ctaid_{letter}"] = (lambda axis=axis: _here.block[axis]), u32
        functions[f"host_nctaid_{letter}"] = (lambda axis=axis: _here.shape[1][axis]), u32
    for name, (function, *types) in functions.items():
        callback = ctypes.CFUNCTYPE(*types)(function)
        _kept.append(callback)
        llvm.add_symbol(name, ctypes.cast(callback, ctypes.c_void_p).value)


@cache
def _kernel(kernel: Callable, signature: tuple, threads: int) -> Callable:
    from fastnn.kernels.numba_gpu.compiler import _ptx

    address = _address_of(lambda: _ptx.__wrapped__(kernel, signature, threads, (8, 0)))
    types = [ctypes.c_void_p if is_array else np.ctypeslib.as_ctypes_type(dtype) for dtype, is_array, _ in signature]
    return ctypes.CFUNCTYPE(None, *types)(address)


def run(launch: Any) -> None:
    """Run a launch on simulated memory, which is the host's."""
    from fastnn.kernels.numba_gpu.launch import Array

    kernel = _kernel(launch.kernel, launch.signature, launch.threads)
    args = [arg.address if isinstance(arg, Array) else arg.item() for arg in launch.args]

    def thread(number: int, block: tuple, barrier: threading.Barrier) -> None:
        _here.thread, _here.block, _here.shape, _here.barrier = number, block, (launch.threads, launch.grid), barrier
        kernel(*args)

    for block in np.ndindex(*launch.grid[::-1]):
        barrier = threading.Barrier(launch.threads)
        running = [threading.Thread(target=thread, args=(i, block[::-1], barrier)) for i in range(launch.threads)]
        for one in running:
            one.start()
        for one in running:
            one.join()
