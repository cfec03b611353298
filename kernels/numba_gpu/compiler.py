"""The one place that knows the compiler: what kernels are written with, and the way from a Python function to machine code.

Kernels import `cuda`, the number types and `device` from here and nowhere else. numba-cuda compiles to PTX; cuda.core makes machine
code of that, for a card that need not be there.
"""

import functools
import inspect
import operator
import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

if not hasattr(np, "row_stack"):
    # removed in NumPy 2.5, and numba-cuda (as of 0.30) refers to it when it first compiles: NVIDIA/numba-cuda#907
    np.row_stack = np.vstack  # noqa: NPY201

from cuda.core import Linker, LinkerOptions, ObjectCode
from llvmlite import ir
from numba import cuda, float32, float64, int32, int64, types, uint8, uint32, uint64
from numba.cuda import dispatcher
from numba.cuda.extending import core_models, intrinsic, lower_builtin, register_model
from numba.cuda.libdevice import cospi, rsqrt, rsqrtf, sinpi

from ..custom.record import Record, Source

__all__ = [
    "ROOT_BELOW",
    "activation_of",
    "compile_kernel",
    "compile_ptx",
    "cospi",
    "cuda",
    "device",
    "float32",
    "float64",
    "int32",
    "int64",
    "loss_of",
    "multiply_bf16",
    "multiply_tf32",
    "number",
    "pointer_to",
    "read_four",
    "sinpi",
    "to_bf16",
    "to_tf32",
    "uint32",
    "uint64",
    "update_of",
    "write_together",
]

_NUMBERS = {np.dtype(t.name): t for t in (uint8, int32, int64, uint32, uint64, float32, float64)}

#: threads that a multiprocessor has registers for at a time, or a few more: blocks are whole
RESIDENT = 384
#: threads that have registers together, in however small a block
WARP = 32
#: the newest cards whose instructions the kernels use: for later ones only the assembler's work differs, a twentieth of the whole
NEWEST = (8, 0)
#: one over the square root, by number type
ROOT_BELOW = {float32: rsqrtf, float64: rsqrt}
#: makes a function that kernels call; typed once, and inlined by LLVM, which takes a third of the time that it takes Numba
device = cuda.jit(device=True, forceinline=True)
#: the oldest cards that CUDA 13 compiles for
OLDEST = (7, 5)


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


@intrinsic
def read_four(typing_context, array, index):
    """Return four neighbouring elements from an index on; they begin at a multiple of their bytes."""

    def codegen(context, builder, signature, args):
        if signature.args[0] == NARROW:
            return context.make_tuple(builder, signature.return_type, _read_four_narrow(builder, *args))
        vector = _vector_at(builder, *args, 4)
        values = builder.load(vector, align=_bytes_of(vector))
        return context.make_tuple(builder, signature.return_type, [builder.extract_element(values, _I32(i)) for i in range(4)])

    return types.UniTuple(array.dtype, 4)(array, index), codegen


@intrinsic
def write_together(typing_context, array, index, values):
    """Write a tuple of neighbouring elements from an index on; they begin at a multiple of their bytes."""

    def codegen(context, builder, signature, args):
        values = [builder.extract_value(args[2], i) for i in range(signature.args[2].count)]
        if signature.args[0] == NARROW:
            _write_narrow_pairs(builder, *args[:2], values)
            return context.get_dummy_value()
        vector = _vector_at(builder, *args[:2], len(values))
        written = ir.Constant(vector.type.pointee, ir.Undefined)
        for i, value in enumerate(values):
            written = builder.insert_element(written, value, _I32(i))
        builder.store(written, vector, align=_bytes_of(vector))
        return context.get_dummy_value()

    return types.void(array, index, values), codegen


def _vector_at(builder, array, index, count):
    wide = builder.zext(index, ir.IntType(64)) if index.type.width < 64 else index
    return builder.bitcast(builder.gep(array, [wide]), ir.VectorType(array.type.pointee, count).as_pointer())


class _NarrowPointer(types.CPointer):
    """Where float32 are stored as bfloat16, the upper halves of their bits: kernels read and write float32."""

    def __init__(self):
        super().__init__(types.float32)
        self.name = "bfloat16*"


NARROW = _NarrowPointer()
register_model(_NarrowPointer)(core_models.PointerModel)


def _halves(builder, array, index):
    """Return a pointer to the 16 bits of an element, which has been rounded to them."""
    wide = builder.zext(index, ir.IntType(64)) if index.type.width < 64 else index
    return builder.gep(builder.bitcast(array, ir.IntType(16).as_pointer()), [wide])


@lower_builtin(operator.getitem, _NarrowPointer, types.Integer)
def _read_narrow(context, builder, signature, args):
    bits = builder.zext(builder.load(_halves(builder, *args)), _I32)
    return builder.bitcast(builder.shl(bits, _I32(16)), ir.FloatType())


@lower_builtin(operator.setitem, _NarrowPointer, types.Integer, types.Any)
def _write_narrow(context, builder, signature, args):
    array, index, value = args
    builder.store(_assembly(builder, "cvt.rn.bf16.f32 $0, $1;", "=h,f", ir.IntType(16), [value]), _halves(builder, array, index))


def _read_four_narrow(builder, array, index):
    """Return the four numbers."""
    pairs = builder.load(builder.bitcast(_halves(builder, array, index), ir.VectorType(_I32, 2).as_pointer()), align=8)
    words = [builder.extract_element(pairs, _I32(i)) for i in range(2)]
    bits = [half for word in words for half in (builder.shl(word, _I32(16)), builder.and_(word, _I32(0xFFFF0000)))]
    return [builder.bitcast(each, ir.FloatType()) for each in bits]


def _write_narrow_pairs(builder, array, index, values):
    pairs = ir.Constant(ir.VectorType(_I32, len(values) // 2), ir.Undefined)
    for i, (low, high) in enumerate(zip(values[::2], values[1::2], strict=True)):
        pairs = builder.insert_element(
            pairs, _assembly(builder, "cvt.rn.bf16x2.f32 $0, $2, $1;", "=r,f,f", _I32, [low, high]), _I32(i)
        )
    place = builder.bitcast(_halves(builder, array, index), pairs.type.as_pointer())
    builder.store(pairs, place, align=2 * len(values))


def _bytes_of(vector):
    sizes = {ir.DoubleType(): 8, ir.FloatType(): 4, ir.IntType(32): 4}
    return vector.type.pointee.count * sizes[vector.type.pointee.element]


@intrinsic
def to_tf32(typing_context, x):
    """Return the bits of a float32 rounded to 10 bits behind the binary point, ties away from zero."""

    def codegen(context, builder, signature, args):
        return _assembly(builder, "cvt.rna.tf32.f32 $0, $1;", "=r,f", _I32, args)

    return types.uint32(types.float32), codegen


@intrinsic
def to_bf16(typing_context, low, high):
    """Return two float32 rounded to bfloat16, ties to even, in the halves of a word."""

    def codegen(context, builder, signature, args):
        return _assembly(builder, "cvt.rn.bf16x2.f32 $0, $2, $1;", "=r,f,f", _I32, args)

    return types.uint32(types.float32, types.float32), codegen


def _multiplier(instruction):
    @intrinsic
    def multiply(typing_context, a0, a1, a2, a3, b0, b1, c0, c1, c2, c3):
        def codegen(context, builder, signature, args):
            text = f"mma.sync.aligned.{instruction} {{$0, $1, $2, $3}}, {{$4, $5, $6, $7}}, {{$8, $9}}, {{$10, $11, $12, $13}};"
            results = ir.LiteralStructType([ir.FloatType()] * 4)
            sums = _assembly(builder, text, "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f", results, args)
            return context.make_tuple(builder, signature.return_type, [builder.extract_value(sums, i) for i in range(4)])

        word, sum_ = types.uint32, types.float32
        return types.UniTuple(sum_, 4)(*[word] * 6, *[sum_] * 4), codegen

    return multiply


_I32 = ir.IntType(32)


def _assembly(builder, text, constraints, result, args):
    function = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(ir.InlineAsm(function, text, constraints), args)


#: A warp adds the product of its words (16 rows of 8, and 8 columns of 8) to 16 x 8 sums; the PTX manual says which lane has which,
#: in the sections on mma.m16n8k8 and mma.m16n8k16. A word is a number of TF32, or two of bfloat16.
multiply_tf32 = _multiplier("m16n8k8.row.col.f32.tf32.tf32.f32")
multiply_bf16 = _multiplier("m16n8k16.row.col.f32.bf16.bf16.f32")


def activation_of(record: Record, with_slope: bool, real: types.Float) -> Callable:
    """Return an activation of the user's for kernels to call: from x to its value, or to value and slope.

    Raises
    ------
    ValueError
        If it cannot be compiled for a GPU. (That it can for the CPU was checked when it was registered.)
    """
    from ..custom import scalar

    f, g = _functions(record.source)
    return _checked(record.source, scalar.activation_and_slope(f, g) if with_slope else scalar.activation(f), real)


def loss_of(record: Record, with_slope: bool, real: types.Float) -> Callable:
    """Return a loss of the user's for kernels to call, a function of target and prediction; as `activation_of`."""
    from ..custom import scalar

    f, g = _functions(record.source)
    return _checked(record.source, scalar.loss_and_slope(f, g) if with_slope else scalar.loss(f), real, real)


def update_of(record: Record, real: types.Float) -> Callable:
    """Return an update rule of the user's for kernels to call; errors as those of `activation_of`.

    It is ``update(first, n, stride, g, lr, step, params, w, s1, s2, s3)``, for elements first, first + stride, ... below n.
    """
    from ..custom import scalar

    f, _ = _functions(record.source)
    signature, loop = "first, n, stride, g, lr, step, params, w, s1, s2, s3", "for i in range(first, n, stride):"
    array, numbers = types.CPointer(real), types.CPointer(float64)
    made = scalar.update(f, record.source.arguments, signature, loop)
    return _checked(record.source, made, uint32, uint32, uint32, array, *[numbers] * 3, *[array] * 4)


def _functions(source: Source) -> tuple[Callable, Callable | None]:
    """Return a function of the user's and its derivative, if it is given, for numbers that have slopes."""
    from ..custom.elementary import FUNCTIONS
    from ..custom.source import Reader

    reader = Reader(source.what, frozenset(FUNCTIONS), device)
    return reader.compile(source.function), source.derivative and reader.compile(source.derivative)


def _checked(source: Source, function: Callable, *arguments: types.Type) -> Callable:
    """Return a function for kernels to call, once it has been compiled by itself."""
    from ..custom.compile import reason

    try:
        compile_ptx(function, arguments, OLDEST, device=True)
    except Exception as error:  # of the typing, or what comes after it
        raise ValueError(
            f"{source.what} can be compiled for the CPU but not for a GPU: {reason(error)}. Models with it can be trained by the "
            "other backends, such as fastnn.use_backend('cython')"
        ) from error
    return device(function)


def compile_ptx(function: Callable, signature: Any, compute_capability: tuple[int, int], **options: Any) -> str:
    """Return PTX, for a card that need not be there: for functions that kernels call numba-cuda asks for the current one."""
    with _compiling:
        current, thread = dispatcher.get_current_device, threading.get_ident()

        def kind_of_card():  # in other threads the user's own kernels may be compiled meanwhile
            return _Kind(compute_capability) if threading.get_ident() == thread else current()

        dispatcher.get_current_device = kind_of_card
        try:
            return cuda.compile_ptx(function, signature, cc=compute_capability, **options)[0]
        finally:
            dispatcher.get_current_device = current


class _Kind(NamedTuple):
    """What numba-cuda wants to know of a card."""

    compute_capability: tuple[int, int]


_compiling = threading.RLock()


def compile_kernel(
    function: Callable, arguments: tuple, threads: int, compute_capability: tuple[int, int]
) -> tuple[ObjectCode, str, str]:
    """Compile a kernel for a kind of card; none needs to be there.

    Parameters
    ----------
    function : callable
        The kernel.
    arguments : tuple of (dtype, bool, bool)
        As `Launch.signature` has them.
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
    ptx = _ptx(function, arguments, threads, min(compute_capability, NEWEST))
    options = LinkerOptions(arch="sm_{}{}".format(*compute_capability), verbose=True, ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    code = linker.link("cubin")
    return code, re.findall(r"\.entry (\S+)\(", ptx)[0], linker.get_info_log()


@functools.lru_cache(maxsize=1)
def _ptx(function: Callable, arguments: tuple, threads: int, compute_capability: tuple[int, int]) -> str:
    given = [
        NARROW if narrow else types.CPointer(number(dtype)) if is_array else number(dtype) for dtype, is_array, narrow in arguments
    ]
    if function.__code__.co_flags & inspect.CO_VARARGS:
        named = function.__code__.co_argcount
        given[named:] = [types.StarArgTuple.from_types(given[named:])]  # parameters one by one, as those of the others
    blocks = -(-RESIDENT // max(threads, WARP))
    return compile_ptx(function, types.void(*given), compute_capability, launch_bounds=(threads, blocks))
