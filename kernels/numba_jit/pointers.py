"""What Numba lacks for code on bare pointers. Elements are read and written as `x[i]`, without a check of the index."""

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: for functions that kernels call. A multiplication and an addition may become one instruction, as in C; nothing else is reordered.
inline = numba.njit(fastmath={"contract"}, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
#: the same for sums whose order is left to the compiler, which otherwise could not use vectors
reordered = numba.njit(fastmath={"contract", "reassoc"}, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)

DOUBLES, WORDS = types.CPointer(types.float64), types.CPointer(types.int64)


@intrinsic
def offset(typing_context, pointer, elements):
    """Return the pointer to a later element."""

    def codegen(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.intp), codegen


@intrinsic
def is_null(typing_context, pointer):
    """Say whether an optional array was left out."""

    def codegen(context, builder, signature, args):
        return cgutils.is_null(builder, args[0])

    return types.boolean(pointer), codegen


def _on_stack(pointer, elements, signature):
    def codegen(context, builder, signature, args):
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(context.get_value_type(pointer.dtype), elements.literal_value))
            room.align = 64
            return builder.bitcast(room, context.get_value_type(pointer))

    return signature, codegen


@intrinsic(prefer_literal=True)
def on_stack(typing_context, like, elements):
    """Return room for a constant number of elements of the type that `like` points to, at the beginning of a cache line."""
    return _on_stack(like, elements, like(like, elements))


@intrinsic(prefer_literal=True)
def doubles_on_stack(typing_context, elements):
    """Return room for a constant number of float64."""
    return _on_stack(DOUBLES, elements, DOUBLES(elements))


@intrinsic(prefer_literal=True)
def words_on_stack(typing_context, elements):
    """Return room for a constant number of int64."""
    return _on_stack(WORDS, elements, WORDS(elements))


@intrinsic
def as_doubles(typing_context, pointer):
    """Return the pointer as one to float64."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(DOUBLES))

    return DOUBLES(pointer), codegen


@intrinsic
def null(typing_context, like):
    """Return the null pointer of the type of `like`."""

    def codegen(context, builder, signature, args):
        return cgutils.get_null_value(args[0].type)

    return like(like), codegen


@intrinsic
def to_bits(typing_context, number):
    """Return the bits of a float64 as an int64."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def from_bits(typing_context, bits):
    """Return the float64 of these bits."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@inline
def copy(source, target, n):
    """target[:n] = source[:n]"""
    for i in range(n):
        target[i] = source[i]


@intrinsic
def copy_eight(typing_context, source, target):
    """target[:8] = source[:8]"""

    def codegen(context, builder, signature, args):
        number = signature.args[0].dtype
        vector = ir.VectorType(context.get_value_type(number), 8).as_pointer()
        value = builder.load(builder.bitcast(args[0], vector), align=number.bitwidth // 8)
        builder.store(value, builder.bitcast(args[1], vector), align=number.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(source, source), codegen


@inline
def copy_eights(source, target, n):
    """target[:n] = source[:n] for n of at least 8: `copy`, without the call that LLVM makes of that."""
    for i in range(0, n - 7, 8):
        copy_eight(offset(source, i), offset(target, i))
    copy_eight(offset(source, n - 8), offset(target, n - 8))


@inline
def fill(target, n, value):
    """target[:n] = value"""
    for i in range(n):
        target[i] = value
