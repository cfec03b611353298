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
def pointers_on_stack(typing_context, like, elements):
    """Return room for a constant number of pointers of the type of `like`."""
    pointers = types.CPointer(like)
    return _on_stack(pointers, elements, pointers(like, elements))


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
def as_real(typing_context, number, like):
    """Return a float64 as a number of the type that `like` points to, for arithmetic in that type."""

    def codegen(context, builder, signature, args):
        return context.cast(builder, args[0], types.float64, signature.args[1].dtype)

    return like.dtype(types.float64, like), codegen


@inline
def copy(source, target, n):
    """target[:n] = source[:n]"""
    for i in range(n):
        target[i] = source[i]


@intrinsic(prefer_literal=True)
def copy_piece(typing_context, source, target, lanes):
    """target[:lanes] = source[:lanes] for a constant number of elements, at once."""

    def codegen(context, builder, signature, args):
        number = signature.args[0].dtype
        vector = ir.VectorType(context.get_value_type(number), lanes.literal_value).as_pointer()
        value = builder.load(builder.bitcast(args[0], vector), align=number.bitwidth // 8)
        builder.store(value, builder.bitcast(args[1], vector), align=number.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(source, source, lanes), codegen


@inline
def copy_rows(source, source_row, target, target_row, rows, n):
    """target[i, :n] = source[i, :n] of matrices whose rows lie so far apart, in pieces of which the last overlaps the one before.

    For many short rows: without the call that LLVM makes of `copy`.
    """
    if n >= 8:
        for i in range(rows):
            for j in range(0, n - 8, 8):
                copy_piece(offset(source, i * source_row + j), offset(target, i * target_row + j), 8)
            copy_piece(offset(source, i * source_row + n - 8), offset(target, i * target_row + n - 8), 8)
    elif n >= 4:
        for i in range(rows):
            copy_piece(offset(source, i * source_row), offset(target, i * target_row), 4)
            copy_piece(offset(source, i * source_row + n - 4), offset(target, i * target_row + n - 4), 4)
    elif n >= 2:
        for i in range(rows):
            copy_piece(offset(source, i * source_row), offset(target, i * target_row), 2)
            copy_piece(offset(source, i * source_row + n - 2), offset(target, i * target_row + n - 2), 2)
    else:
        for i in range(rows):
            target[i * target_row] = source[i * source_row]


@inline
def fill(target, n, value):
    """target[:n] = value"""
    for i in range(n):
        target[i] = value


@inline
def add(source, target, n):
    """target[:n] += source[:n]"""
    for i in range(n):
        target[i] += source[i]
