"""A few vectors as one value, for what LLVM does not reliably make of loops over scalars: read, computed with and written whole.

A vector fills a register of the processor. Sums that are a variable of this type stay in registers, whatever is read and written
meanwhile.
"""

import operator

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.core.extending import lower_builtin, models, register_model
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic


def _vector_unit():
    """Return the bytes of a vector and the number of registers, for the processor that Numba compiles for."""
    if config.CPU_FEATURES is None:
        features = binding.get_host_cpu_features() if config.CPU_NAME is None else {}
    else:
        features = {feature[1:]: feature[0] == "+" for feature in config.CPU_FEATURES.split(",") if feature}
    if features.get("avx512f"):
        return 64, 32
    if features.get("avx"):
        return 32, 16
    return 16, 32 if binding.get_process_triple().startswith(("aarch64", "arm64")) else 16


#: bytes of a vector, and registers that hold one
VECTOR_BYTES, REGISTERS = _vector_unit()
#: elements of a vector, by float type, and the most
LANES = {types.float32: VECTOR_BYTES // 4, types.float64: VECTOR_BYTES // 8}
MOST_LANES = LANES[types.float32]


class Vectors(types.Type):
    """Some vectors of a float type; a single one, or a number, is computed with each of several."""

    def __init__(self, real: types.Float, count: int) -> None:
        self.real, self.count = real, count
        super().__init__(name=f"Vectors({real}, {count})")


@register_model(Vectors)
class _VectorsModel(models.PrimitiveModel):
    def __init__(self, manager, vectors):
        vector = ir.VectorType(manager.lookup(vectors.real).get_value_type(), LANES[vectors.real])
        super().__init__(manager, vectors, ir.ArrayType(vector, vectors.count))


def _join(builder, values):
    """Emit a value of type `Vectors`."""
    joined = ir.Constant(ir.ArrayType(values[0].type, len(values)), ir.Undefined)
    for i, value in enumerate(values):
        joined = builder.insert_value(joined, value, i)
    return joined


def _split(builder, vectors):
    return [builder.extract_value(vectors, i) for i in range(vectors.type.count)]


def _define_operator(operation, emit):
    @infer_global(operation)
    class _Operator(AbstractTemplate):
        def generic(self, args, kws):
            vectors = [kind for kind in args if isinstance(kind, Vectors)]
            if vectors and all(isinstance(kind, (Vectors, types.Float)) for kind in args):
                return signature(Vectors(vectors[0].real, max(kind.count for kind in vectors)), *args)
            return None

    def lower(context, builder, signature, args):
        real, count = signature.return_type.real, signature.return_type.count
        operands = []
        for value, kind in zip(args, signature.args, strict=True):
            if isinstance(kind, Vectors):
                values = _split(builder, value)
            else:
                values = [splat(builder, context.cast(builder, value, kind, real), LANES[real])]
            operands.append(values * count if len(values) == 1 else values)
        return _join(builder, [getattr(builder, emit)(*pair, flags=("contract",)) for pair in zip(*operands, strict=True)])

    for kinds in ((Vectors, Vectors), (Vectors, types.Float), (types.Float, Vectors)):
        lower_builtin(operation, *kinds)(lower)


for operation, emit in ((operator.add, "fadd"), (operator.iadd, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define_operator(operation, emit)


@intrinsic
def lanes(typing_context, like):
    """Return the elements of a vector of the type that `like` points to, as a constant."""

    def codegen(context, builder, signature, args):
        return context.get_constant(types.intp, LANES[signature.args[0].dtype])

    return types.intp(like), codegen


def splat(builder, value, times):
    """Emit a vector of `times` equal elements."""
    nothing = ir.Constant(ir.VectorType(value.type, times), ir.Undefined)
    lane_0 = ir.Constant(ir.VectorType(ir.IntType(32), times), None)
    return builder.shuffle_vector(builder.insert_element(nothing, value, ir.IntType(32)(0)), nothing, lane_0)


def first_lanes(builder, n, times, start=0):
    """Emit a mask for `times` lanes, which are elements from `start` on: those of the first n elements."""
    limits = splat(builder, n, times)
    return builder.icmp_signed("<", ir.Constant(limits.type, [start + lane for lane in range(times)]), limits)


def masked_load(builder, place, mask):
    """Emit the load of the lanes of a mask, and of zeros for the others."""
    vector = place.type.pointee
    return _masked(builder, "load", vector, vector, [place, ir.IntType(32)(_alignment(vector)), mask, ir.Constant(vector, None)])


def masked_store(builder, value, place, mask):
    """Emit the store of the lanes of a mask."""
    _masked(builder, "store", ir.VoidType(), value.type, [value, place, ir.IntType(32)(_alignment(value.type)), mask])


def _masked(builder, operation, result, vector, arguments):
    kind = f"v{vector.count}f{8 * _alignment(vector)}"
    function = ir.FunctionType(result, [argument.type for argument in arguments])
    name = f"llvm.masked.{operation}.{kind}.p0{kind}"
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), arguments)


def _alignment(vector):
    """Return the bytes of an element: vectors begin anywhere."""
    return 4 if vector.element == ir.FloatType() else 8


def _places(context, builder, vectors, pointer, step):
    kind = context.get_value_type(vectors).element.as_pointer()
    return [builder.bitcast(builder.gep(pointer, [builder.mul(step, step.type(i))]), kind) for i in range(vectors.count)]


def _pointed_places(context, builder, vectors, pointers, step, k):
    kind = context.get_value_type(vectors).element.as_pointer()
    pointed = [builder.load(builder.gep(pointers, [builder.mul(step, step.type(i))])) for i in range(vectors.count)]
    return [builder.bitcast(builder.gep(pointer, [k]), kind) for pointer in pointed]


def _load(builder, places, n):
    """Emit a value of type `Vectors` from vectors at these places: all elements or, unless n is None, n of each and then zeros."""
    vector = places[0].type.pointee
    if n is None:
        return _join(builder, [builder.load(place, align=_alignment(vector)) for place in places])
    mask = first_lanes(builder, n, vector.count)
    return _join(builder, [masked_load(builder, place, mask) for place in places])


def _store(builder, vectors, places, n):
    for value, place in zip(_split(builder, vectors), places, strict=True):
        if n is None:
            builder.store(value, place, align=_alignment(value.type))
        else:
            masked_store(builder, value, place, first_lanes(builder, n, value.type.count))


@intrinsic(prefer_literal=True)
def read(typing_context, count, pointer, step, n):
    """Return `count` vectors, a constant, which begin `step` elements apart: all of them or, unless n is None, n and then zeros."""
    whole = isinstance(n, types.NoneType)

    def codegen(context, builder, signature, args):
        _, pointer, step, n = args
        return _load(builder, _places(context, builder, signature.return_type, pointer, step), None if whole else n)

    return Vectors(pointer.dtype, count.literal_value)(count, pointer, types.intp, n if whole else types.intp), codegen


@intrinsic
def write(typing_context, vectors, pointer, step, n):
    """Write vectors so that they begin `step` elements apart: all their elements or, unless n is None, n of each."""
    whole = isinstance(n, types.NoneType)

    def codegen(context, builder, signature, args):
        vectors, pointer, step, n = args
        _store(builder, vectors, _places(context, builder, signature.args[0], pointer, step), None if whole else n)
        return context.get_dummy_value()

    return types.void(vectors, pointer, types.intp, n if whole else types.intp), codegen


@intrinsic(prefer_literal=True)
def read_at(typing_context, count, pointers, step, k, n):
    """Return `count` vectors like `read`, which begin at element k of where pointers 0, `step`, ... point."""
    whole = isinstance(n, types.NoneType)

    def codegen(context, builder, signature, args):
        _, pointers, step, k, n = args
        places = _pointed_places(context, builder, signature.return_type, pointers, step, k)
        return _load(builder, places, None if whole else n)

    vectors = Vectors(pointers.dtype.dtype, count.literal_value)
    return vectors(count, pointers, types.intp, types.intp, n if whole else types.intp), codegen


@intrinsic
def write_at(typing_context, vectors, pointers, step, k, n):
    """Write vectors like `write`, so that they begin at element k of where pointers 0, `step`, ... point."""
    whole = isinstance(n, types.NoneType)

    def codegen(context, builder, signature, args):
        vectors, pointers, step, k, n = args
        places = _pointed_places(context, builder, signature.args[0], pointers, step, k)
        _store(builder, vectors, places, None if whole else n)
        return context.get_dummy_value()

    return types.void(vectors, pointers, types.intp, types.intp, n if whole else types.intp), codegen


@intrinsic(prefer_literal=True)
def zeros(typing_context, count, like):
    """Return `count` vectors, a constant, of zeros of the type that `like` points to."""

    def codegen(context, builder, signature, args):
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return Vectors(like.dtype, count.literal_value)(count, like), codegen


@intrinsic
def split(typing_context, vectors):
    """Return several vectors as a tuple of single ones."""

    def codegen(context, builder, signature, args):
        singles = [_join(builder, [vector]) for vector in _split(builder, args[0])]
        return context.make_tuple(builder, signature.return_type, singles)

    return types.UniTuple(Vectors(vectors.real, 1), vectors.count)(vectors), codegen


@intrinsic
def join(typing_context, singles):
    """Return a tuple of single vectors as one value."""

    def codegen(context, builder, signature, args):
        values = cgutils.unpack_tuple(builder, args[0], signature.return_type.count)
        return _join(builder, [builder.extract_value(value, 0) for value in values])

    return Vectors(singles.dtype.real, singles.count)(singles), codegen


@intrinsic
def total(typing_context, vectors):
    """Return the sum of several vectors."""

    def codegen(context, builder, signature, args):
        first, *others = _split(builder, args[0])
        for value in others:
            first = builder.fadd(first, value)
        return _join(builder, [first])

    return Vectors(vectors.real, 1)(vectors), codegen


@intrinsic
def from_lane(typing_context, vectors, first):
    """Return vectors with zeros in the lanes before `first`."""

    def codegen(context, builder, signature, args):
        values = _split(builder, args[0])
        before = first_lanes(builder, args[1], values[0].type.count)
        return _join(builder, [builder.select(before, ir.Constant(value.type, None), value) for value in values])

    return vectors(vectors, types.intp), codegen


@intrinsic
def keep_rolled(typing_context):
    """Keep LLVM from unrolling the loop that this stands in: for one of few passes, such as that over taps, that only costs."""

    def codegen(context, builder, signature, args):
        # no instruction, but LLVM takes assembly for a call, and unrolls no loop that calls
        builder.asm(ir.FunctionType(ir.VoidType(), []), "", "", [], True)
        return context.get_dummy_value()

    return types.void(), codegen
