"""The register tile under every matrix product here, in LLVM's vector types: loops over scalars are not reliably turned into it.

A tile is a few rows of C, one or two vectors wide, which stay in registers while k runs: each step of k loads the vectors of a row
of B and multiplies them with one value of A for every row of C. It is as high as the registers allow: accumulators, vectors of B
and one value of A in all lanes.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .pointers import inline
from .vectors import REGISTERS, VECTOR_BYTES, first_lanes, lanes, masked_load, masked_store, splat

#: rows of the tiles, the highest first
if REGISTERS == 32:
    HEIGHTS: tuple[int, ...] = (12, 6, 3, 1)
else:
    HEIGHTS = (6, 3, 1) if VECTOR_BYTES == 32 else (4, 1)
#: vectors of a whole tile's width
VECTORS = 2


@inline
def tile_width(like):
    """Return the columns of a whole tile of the type that `like` points to."""
    return VECTORS * lanes(like)


@intrinsic(prefer_literal=True)
def tiles(typing_context, vectors, rows, k, a, row, step, b, start, start_row, c, c_row, n):
    """C = start + A B for any number of rows, and for columns of `vectors`, which is a constant: the first n of them.

    Element (i, p) of A is ``a[i * row + p * step]``. Rows of B follow one another, a tile wide. Row i of C begins at
    ``c[i * c_row]``, and what is added to it at ``start[i * start_row]``, which may be C itself.
    """
    word = types.intp
    return types.void(vectors, word, word, a, word, word, a, a, word, a, word, word), _emit_tiles


def _emit_tiles(context, builder, signature, args):
    width, element = signature.args[0].literal_value, context.get_value_type(signature.args[3].dtype)
    rows, k, a, row, step, b, start, start_row, c, c_row, n = args[1:]
    first = cgutils.alloca_once_value(builder, rows.type(0))
    for height in HEIGHTS:
        loop, body, end = (builder.append_basic_block(f"tiles_{height}_{name}") for name in ("loop", "body", "end"))
        builder.branch(loop)
        builder.position_at_end(loop)
        done = builder.load(first)
        builder.cbranch(builder.icmp_signed(">=", builder.sub(rows, done), rows.type(height)), body, end)
        builder.position_at_end(body)
        here = [builder.gep(pointer, [builder.mul(done, stride)]) for pointer, stride in ((a, row), (start, start_row), (c, c_row))]
        _emit_tile(builder, element, height, width, k, here[0], row, step, b, here[1], start_row, here[2], c_row, n)
        builder.store(builder.add(done, rows.type(height)), first)
        builder.branch(loop)
        builder.position_at_end(end)
    return context.get_dummy_value()


def _emit_tile(builder, element, height, width, k, a, row, step, b, start, start_row, c, c_row, n):
    size, word = 4 if element == ir.FloatType() else 8, k.type
    lanes = VECTOR_BYTES // size
    vector = ir.VectorType(element, lanes)
    places = [(i, v) for i in range(height) for v in range(width)]

    def at(pointer, *offsets):
        for offset in offsets:
            pointer = builder.gep(pointer, [offset])
        return builder.bitcast(pointer, vector.as_pointer())

    masks = [first_lanes(builder, n, lanes, v * lanes) for v in range(width)]

    def place(pointer, stride, i, v):
        return at(pointer, builder.mul(word(i), stride), word(v * lanes))

    sums = [ir.Constant(vector, None) for _ in places]

    before, loop, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("end")
    # rows of A in threes, whose addresses are one register and a multiple of another
    twice = builder.shl(row, word(1))
    groups = [builder.gep(a, [builder.mul(word(i), row)]) for i in range(0, height, 3)]
    carried = [word(0), b, *groups, *sums]
    builder.cbranch(builder.icmp_signed(">", k, word(0)), loop, after)

    builder.position_at_end(loop)
    phis = [builder.phi(value.type) for value in carried]
    for phi, value in zip(phis, carried, strict=True):
        phi.add_incoming(value, before)
    p, right = phis[:2]
    left, totals = phis[2 : 2 + len(groups)], phis[2 + len(groups) :]
    vectors = [builder.load(at(right, word(v * lanes)), align=size) for v in range(width)]
    values = []
    for i in range(height):
        address = left[i // 3] if i % 3 == 0 else builder.gep(left[i // 3], [row if i % 3 == 1 else twice])
        values.append(splat(builder, builder.load(address), lanes))
    contract = ("contract",)
    totals = [
        builder.fadd(total, builder.fmul(values[i], vectors[v], flags=contract), flags=contract)
        for total, (i, v) in zip(totals, places, strict=True)
    ]
    following = [builder.add(p, word(1)), builder.gep(right, [word(width * lanes)])]
    following += [builder.gep(pointer, [step]) for pointer in left] + totals
    for phi, value in zip(phis, following, strict=True):
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following[0], k), loop, after)

    builder.position_at_end(after)
    results = [builder.phi(vector) for _ in places]
    for result, initial, total in zip(results, sums, totals, strict=True):
        result.add_incoming(initial, before)
        result.add_incoming(total, loop)
    # What is added to the product comes last: of a long sum in pieces, each is rounded at its own size. All of it is read before
    # anything is written: a load close behind a store waits for it.
    starts = [masked_load(builder, place(start, start_row, i, v), masks[v]) for i, v in places]
    totals = [builder.fadd(initial, result) for initial, result in zip(starts, results, strict=True)]
    for (i, v), total in zip(places, totals, strict=True):
        masked_store(builder, total, place(c, c_row, i, v), masks[v])
