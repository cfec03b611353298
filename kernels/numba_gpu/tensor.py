"""The matrix product in tiles on tensor cores: factors rounded to TF32 or bfloat16, sums in float32.

Like that of `tile`, but it is a warp that computes a part of the tile, by instructions that multiply 16 x 8 words with 8 x 8. A
word of 32 bits is one number of TF32, or two of bfloat16 that are neighbours along the sum; numbers are rounded when they are put
into shared memory.

What are neighbours in the array stay neighbours in shared memory, so that threads write several words at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from .compiler import cuda, device, float32, multiply_bf16, multiply_tf32, to_bf16, to_tf32, uint32, uint64
from .factor import piece

u = uint32
#: words along the sum that are in shared memory at a time: two instructions' worth
WORDS = 16
#: columns of a warp's part of the tile
ACROSS = 32
#: precision -> numbers in a word
NUMBERS = {"tf32": 1, "bf16": 2}


class TensorTile(NamedTuple):
    """Rows and columns of a tile; a warp computes 16 * `down` of the rows and `ACROSS` columns. `effort` is as in `tile.Tile`."""

    rows: int
    columns: int
    down: int
    effort: float

    @property
    def threads(self) -> int:
        return self.rows * self.columns // (16 * self.down)


#: Precision -> tiles. With bfloat16 a thread brings twice as many numbers, and has registers for half as many sums.
TENSOR_TILES = {
    "tf32": (
        TensorTile(128, 128, 4, 1.0),
        TensorTile(128, 96, 4, 1.05),
        TensorTile(128, 64, 4, 1.1),
        TensorTile(128, 32, 4, 1.2),
        TensorTile(64, 64, 2, 1.3),
        TensorTile(64, 32, 2, 1.5),
    ),
    "bf16": (TensorTile(128, 128, 2, 1.0), TensorTile(128, 64, 2, 1.1), TensorTile(64, 64, 2, 1.2), TensorTile(64, 32, 2, 1.4)),
}


@device
def _tf32_word(held, at, step):
    return to_tf32(held[at])


@device
def _bf16_word(held, at, step):
    return to_bf16(held[at], held[at + step])


class Side(NamedTuple):
    """How a piece of a factor lies in shared memory.

    Attributes
    ----------
    size : int
        Words of it.
    row, word : int
        How far apart two rows (of the right factor: columns) lie, and two words of the sum. The 8 rows by 4 words that a warp reads
        at once are in as many banks.
    put : callable
        For kernels: ``put(held, shared, start, t)`` puts a thread's units there.
    """

    size: int
    row: int
    word: int
    put: Callable


@cache
def _side(brought, along_depth, extent, word_of, numbers):
    units, deep, wide, spot = brought.units, brought.deep, brought.wide, brought.spot
    row, word = (WORDS + 4, 1) if along_depth else (1, extent + 8)
    each, step = deep * wide // numbers, 1 if along_depth else wide

    @device
    def put(held, shared, start, t):
        for r in range(units):
            i, k, there = spot(t, r)
            place = uint64(u(start + i * u(row) + k // u(numbers) * u(word)))
            if there:
                for e in range(each):
                    at = r * deep * wide + (e * numbers if along_depth else e)
                    shared[place + uint64(e)] = word_of(held, at, step)

    return Side(extent * row if along_depth else WORDS * word, row, word, put)


@cache
def _multiplied(first, side_a, side_b, multiply, high, wide):
    """Return, for kernels to call, what adds the products of 8 words of the sum, from `first` on, to a warp's part of the tile.

    `at_a` and `at_b` are where the words of the thread begin.
    """
    row_a, word_a, row_b, word_b = (uint64(distance) for side in (side_a, side_b) for distance in (side.row, side.word))

    @device
    def multiplied(shared_a, shared_b, at_a, at_b, left, right, sums):
        for i in range(2 * high):
            at = at_a + uint64(first) * word_a + uint64(8 * i) * row_a
            left[i // 2 * 4 + i % 2] = shared_a[at]
            left[i // 2 * 4 + i % 2 + 2] = shared_a[at + uint64(4) * word_a]
        for j in range(wide):
            at = at_b + uint64(first) * word_b + uint64(8 * j) * row_b
            right[2 * j] = shared_b[at]
            right[2 * j + 1] = shared_b[at + uint64(4) * word_b]
        for i in range(high):
            for j in range(wide):
                e, below = i * 16 + 2 * j, i * 16 + 2 * j + 8
                sums[e], sums[e + 1], sums[below], sums[below + 1] = multiply(
                    left[4 * i], left[4 * i + 1], left[4 * i + 2], left[4 * i + 3], right[2 * j], right[2 * j + 1],
                    sums[e], sums[e + 1], sums[below], sums[below + 1],
                )  # fmt: skip

    return multiplied


@cache
def tensor_kernel(a, b, deliver, finish, sum_up, totals_of, precision, tile):
    """Return the kernel of a tile, with the arguments of `tile`'s but that `deliver` is for 2 neighbours."""
    zero, multiply = float32(0), multiply_tf32 if precision == "tf32" else multiply_bf16
    numbers, word_of = NUMBERS[precision], _tf32_word if precision == "tf32" else _bf16_word
    brought_a = piece(*a, tile.rows, WORDS * numbers, numbers, tile.threads, float32)
    brought_b = piece(*b, tile.columns, WORDS * numbers, numbers, tile.threads, float32)
    fetch_a, fetch_b, count_a, count_b = brought_a.fetch, brought_b.fetch, brought_a.elements, brought_b.elements
    totals_held, add_totals, store_totals = totals_of(brought_b, tile.columns, tile.threads, float32)
    side_a = _side(brought_a, a[1], tile.rows, word_of, numbers)
    side_b = _side(brought_b, b[1], tile.columns, word_of, numbers)
    put_a, put_b, piece_a, piece_b = side_a.put, side_b.put, u(side_a.size), u(side_b.size)
    size_a, size_b = 2 * side_a.size, 2 * side_b.size
    row_a, word_a, row_b, word_b = map(u, (side_a.row, side_a.word, side_b.row, side_b.word))
    how = side_a, side_b, multiply, tile.down, ACROSS // 8
    multiply_first, multiply_second = _multiplied(0, *how), _multiplied(8, *how)
    tile_rows, tile_columns = u(tile.rows), u(tile.columns)
    warp_rows, parts_across, step = u(16 * tile.down), u(tile.columns // ACROSS), u(WORDS * numbers)
    rows_of_thread, fragments, elements = 2 * tile.down, 4 * tile.down, 16 * tile.down

    def kernel(a, b, bias, result, slope, means, squares, totals, rows, columns, depth, per_split, splits, channels, apart):
        shared_a = cuda.shared.array(size_a, uint32, alignment=16)
        shared_b = cuda.shared.array(size_b, uint32, alignment=16)
        held_a = cuda.local.array(count_a, float32)
        held_b = cuda.local.array(count_b, float32)
        left = cuda.local.array(fragments, uint32)
        right = cuda.local.array(8, uint32)
        sums = cuda.local.array(elements, float32)
        own_totals = cuda.local.array(totals_held, float32)
        t = u(cuda.threadIdx.x)
        row, column = u(u(cuda.blockIdx.x) * tile_rows), u(u(cuda.blockIdx.y) * tile_columns)
        part = u(cuda.blockIdx.z)
        group = u(part // splits)
        warp, lane = u(t // u(32)), u(t % u(32))
        g, q = u(lane // u(4)), u(lane % u(4))
        my_row, my_column = u(warp // parts_across * warp_rows), u(warp % parts_across * u(ACROSS))
        read_a, read_b = u((my_row + g) * row_a + q * word_a), u((my_column + g) * row_b + q * word_b)
        k0 = u(part % splits * per_split)
        end = min(u(k0 + per_split), depth)
        for e in range(elements):
            sums[e] = zero
        for e in range(totals_held):
            own_totals[e] = zero
        fetch_a(a, held_a, row, k0, end, rows, depth, group, t)
        fetch_b(b, held_b, column, k0, end, columns, depth, group, t)
        put_a(held_a, shared_a, u(0), t)
        put_b(held_b, shared_b, u(0), t)
        add_totals(held_b, own_totals)
        cuda.syncthreads()
        stage = u(0)
        while k0 < end:
            following = u(k0 + step)
            if following < end:
                fetch_a(a, held_a, row, following, end, rows, depth, group, t)
                fetch_b(b, held_b, column, following, end, columns, depth, group, t)
            at_a, at_b = uint64(u(stage * piece_a + read_a)), uint64(u(stage * piece_b + read_b))
            multiply_first(shared_a, shared_b, at_a, at_b, left, right, sums)
            multiply_second(shared_a, shared_b, at_a, at_b, left, right, sums)
            if following < end:
                stage = u(stage ^ u(1))
                put_a(held_a, shared_a, u(stage * piece_a), t)
                put_b(held_b, shared_b, u(stage * piece_b), t)
                add_totals(held_b, own_totals)
                cuda.syncthreads()
            k0 = following
        for i in range(rows_of_thread):
            m = u(row + my_row + u(8 * i) + g)
            if m < rows:
                for j in range(4):
                    n = u(column + my_column + u(8 * j) + u(2) * q)
                    start = u(part * apart + m * channels + n)
                    deliver(result, bias, start, u(group * columns + n), n, columns, sums, 8 * i + 2 * j)
        for e in range(elements):
            m = u(row + my_row + u(e // 8 * 8) + g)
            n = u(column + my_column + u(e % 8 // 2 * 8 + e % 2) + u(2) * q)
            if m < rows and n < columns:
                finish(result, slope, u(part * apart + m * channels + n))
        if u(cuda.blockIdx.x) == u(0):
            store_totals(own_totals, totals, u(part * columns + column), min(tile_columns, u(columns - column)), t)
        sum_up(result, means, squares, row, column, rows, columns, group, t)

    return kernel
