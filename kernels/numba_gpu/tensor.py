"""The matrix product in tiles on tensor cores: factors rounded to TF32 or bfloat16, sums in float32.

Like that of `tile`, but it is a warp that computes a part of the tile, by instructions that multiply 16 x 8 words with 8 x 8. A
word of 32 bits is one number of TF32, or two of bfloat16 that are neighbours along the sum; numbers are rounded when they are put
into shared memory.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from .compiler import cuda, device, float32, multiply_bf16, multiply_tf32, to_bf16, to_tf32, uint32

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


TILES = (TensorTile(128, 128, 2, 1.0), TensorTile(128, 64, 2, 1.1), TensorTile(64, 64, 1, 1.3), TensorTile(64, 32, 1, 1.5))


@device
def _tf32_word(held, word):
    return to_tf32(held[word])


@device
def _bf16_word(held, word):
    return to_bf16(held[2 * word], held[2 * word + 1])


@cache
def place_in_piece(extent_of_tile, depth, along_depth, threads):
    """Return, for kernels to call, which place of a piece of a factor thread t brings as its r-th: ``f(t, r)`` gives (i, k).

    Neighbouring threads bring what are neighbours in memory, and each goes on at right angles to that, at the same k or the same i.
    There are at least as many threads as a tile has rows or columns.
    """
    across = u(depth if along_depth else extent_of_tile)
    step = u(threads) // across

    @device
    def place(t, r):
        beside, below = u(t % across), u(t // across + u(r) * step)
        return (below, beside) if along_depth else (beside, below)

    return place


def _mover(load, along_depth, extent_of_tile, threads, precision):
    """Return how many words of a piece a thread brings, what fetches and what puts them, and the pitch in shared memory."""
    numbers, word_of = NUMBERS[precision], _tf32_word if precision == "tf32" else _bf16_word
    count = extent_of_tile * WORDS // threads
    pitch = u(extent_of_tile + 8)  # the 4 x 8 words that a warp reads at once are in as many banks
    place = place_in_piece(extent_of_tile, WORDS, along_depth, threads)
    zero = float32(0)

    @device
    def fetch(array, held, first, k0, end, extent, depth, group, t):
        for r in range(count):
            i, word = place(t, r)
            i, k = u(first + i), u(k0 + word * u(numbers))
            for j in range(numbers):
                value = zero
                if i < extent and k + u(j) < end:
                    value = load(array, i, u(k + u(j)), extent, depth, group)
                held[r * numbers + j] = value

    @device
    def put(held, shared, start, t):
        for r in range(count):
            i, word = place(t, r)
            shared[u(start + word * pitch + i)] = word_of(held, r)

    return count * numbers, fetch, put, pitch


@cache
def tensor_kernel(load_a, a_along_depth, load_b, b_along_depth, store, finish, sum_up, precision, tile):
    """Return the kernel of a tile, with the arguments of `tile`'s."""
    zero, multiply = float32(0), multiply_tf32 if precision == "tf32" else multiply_bf16
    count_a, fetch_a, put_a, pitch_a = _mover(load_a, a_along_depth, tile.rows, tile.threads, precision)
    count_b, fetch_b, put_b, pitch_b = _mover(load_b, b_along_depth, tile.columns, tile.threads, precision)
    piece_a, piece_b = pitch_a * u(WORDS), pitch_b * u(WORDS)
    size_a, size_b = 2 * int(piece_a), 2 * int(piece_b)
    tile_rows, tile_columns = u(tile.rows), u(tile.columns)
    parts_across, step = u(tile.columns // ACROSS), u(WORDS * NUMBERS[precision])
    high, fragments, elements = tile.down, 4 * tile.down, 16 * tile.down

    def kernel(a, b, bias, result, slope, means, squares, rows, columns, depth, per_split, splits):
        shared_a = cuda.shared.array(size_a, uint32, alignment=16)
        shared_b = cuda.shared.array(size_b, uint32, alignment=16)
        held_a = cuda.local.array(count_a, float32)
        held_b = cuda.local.array(count_b, float32)
        left = cuda.local.array(fragments, uint32)
        right = cuda.local.array(8, uint32)
        sums = cuda.local.array(elements, float32)
        t = u(cuda.threadIdx.x)
        row, column = u(u(cuda.blockIdx.x) * tile_rows), u(u(cuda.blockIdx.y) * tile_columns)
        split, group = u(u(cuda.blockIdx.z) % splits), u(u(cuda.blockIdx.z) // splits)
        part, lane = u(t // u(32)), u(t % u(32))
        across, down = u(lane % u(4)), u(lane // u(4))
        my_row, my_column = u(part // parts_across * u(16 * high) + down), u(part % parts_across * u(ACROSS))
        k0 = u(split * per_split)
        end = min(u(k0 + per_split), depth)
        for e in range(elements):
            sums[e] = zero
        fetch_a(a, held_a, row, k0, end, rows, depth, group, t)
        fetch_b(b, held_b, column, k0, end, columns, depth, group, t)
        put_a(held_a, shared_a, u(0), t)
        put_b(held_b, shared_b, u(0), t)
        cuda.syncthreads()
        stage = u(0)
        while k0 < end:
            following = u(k0 + step)
            if following < end:
                fetch_a(a, held_a, row, following, end, rows, depth, group, t)
                fetch_b(b, held_b, column, following, end, columns, depth, group, t)
            for k in range(0, WORDS, 8):
                for i in range(high):
                    at = u(stage * piece_a + (u(k) + across) * pitch_a + my_row + u(i) * u(16))
                    left[4 * i] = shared_a[at]
                    left[4 * i + 1] = shared_a[at + u(8)]
                    left[4 * i + 2] = shared_a[at + u(4) * pitch_a]
                    left[4 * i + 3] = shared_a[at + u(4) * pitch_a + u(8)]
                for j in range(4):
                    at = u(stage * piece_b + (u(k) + across) * pitch_b + my_column + u(j) * u(8) + down)
                    right[2 * j] = shared_b[at]
                    right[2 * j + 1] = shared_b[at + u(4) * pitch_b]
                for i in range(high):
                    for j in range(4):
                        e = 16 * i + 4 * j
                        sums[e], sums[e + 1], sums[e + 2], sums[e + 3] = multiply(
                            left[4 * i], left[4 * i + 1], left[4 * i + 2], left[4 * i + 3], right[2 * j], right[2 * j + 1],
                            sums[e], sums[e + 1], sums[e + 2], sums[e + 3],
                        )  # fmt: skip
            if following < end:
                stage = u(stage ^ u(1))
                put_a(held_a, shared_a, stage * piece_a, t)
                put_b(held_b, shared_b, stage * piece_b, t)
                cuda.syncthreads()
            k0 = following
        for e in range(elements):
            m = u(row + my_row + u(e // 16 * 16 + e // 2 % 2 * 8))
            n = u(column + my_column + u(e // 4 % 4 * 8 + e % 2) + u(2) * across)
            if m < rows and n < columns:
                store(result, bias, m, n, rows, columns, u(group * splits + split), sums[e])
        for e in range(elements):
            m = u(row + my_row + u(e // 16 * 16 + e // 2 % 2 * 8))
            n = u(column + my_column + u(e // 4 % 4 * 8 + e % 2) + u(2) * across)
            if m < rows and n < columns:
                finish(result, slope, m, n, columns, u(group * splits + split))
        sum_up(result, means, squares, row, column, rows, columns, group, t)

    return kernel
