"""Functions of the user's: their C functions, called by the addresses in a record (kernels/custom/record.py)."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..custom.record import FLOATS, Record

WORD = ir.IntType(64)


def _called(context, builder, table, real, record, pointers, n, *more):
    """Emit the call of a function in one of a record's tables, for a float type."""
    place = record_offset(table) + 8 * [str(dtype) for dtype in FLOATS].index(str(real))
    address = builder.load(builder.inttoptr(builder.add(record, WORD(place)), WORD.as_pointer()))
    arguments = [n, *(builder.ptrtoint(p, WORD) for p in pointers), *more]
    kind = ir.FunctionType(ir.VoidType(), [WORD] * len(arguments))
    builder.call(builder.inttoptr(address, kind.as_pointer()), arguments)


def record_offset(field):
    """Return where a field stands in a record, in bytes."""
    return getattr(Record, field).offset


@intrinsic
def apply(typing_context, record, y, slope, n):
    """y = activation(y) for n elements; slope, unless it is NULL, gets its derivative."""

    def codegen(context, builder, signature, args):
        record, y, slope, n = args
        real = signature.args[1].dtype
        with builder.if_else(cgutils.is_null(builder, slope)) as (value_only, both):
            with value_only:
                _called(context, builder, "value", real, record, [y], n)
            with both:
                edges = builder.add(record, WORD(record_offset("edges32" if real == types.float32 else "edges64")))
                _called(context, builder, "slope", real, record, [y, slope], n, edges)
        return context.get_dummy_value()

    return types.void(types.int64, y, slope, types.int64), codegen


@intrinsic
def apply_loss(typing_context, record, pred, target, loss, slope, n):
    """loss = that of n predictions; slope, unless it is NULL, gets its derivative by them."""

    def codegen(context, builder, signature, args):
        record, *arrays, slope, n = args
        real = signature.args[1].dtype
        with builder.if_else(cgutils.is_null(builder, slope)) as (value_only, both):
            with value_only:
                _called(context, builder, "value", real, record, arrays, n)
            with both:
                _called(context, builder, "slope", real, record, [*arrays, slope], n)
        return context.get_dummy_value()

    return types.void(types.int64, pred, target, loss, slope, types.int64), codegen


@intrinsic
def apply_step(typing_context, record, n, g, lr, step, params, w, s1, s2, s3):
    """Update n elements of a parameter and of its slots, which may be NULL."""

    def codegen(context, builder, signature, args):
        record, n, *arrays = args
        _called(context, builder, "value", signature.args[2].dtype, record, arrays, n)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, g, lr, step, params, w, s1, s2, s3), codegen
