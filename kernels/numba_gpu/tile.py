"""The matrix product in tiles, from which dense layers and convolutions are made.

A block of threads computes a tile of the result. It brings pieces of both factors, `DEPTH` deep, into shared memory, the next piece
while it multiplies the last one. What the factors are is said by functions that load one element: of a matrix, a transposed
matrix, or an image's patches that are nowhere written down (an implicit matrix product).

Where the result has too few tiles to fill a card, the sum is split: each part writes its own partial result, and a second
kernel adds these in order.

Where `set_precision` asks for it, `tensor` computes the tiles of float32.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from ..precision import get_precision
from .compiler import cuda, device, number, uint32
from .launch import Array, Launch, check_count, over, scratch
from .moments import moments, nothing_of_tile, of_tile, of_tiles
from .tensor import NUMBERS, WORDS, place_in_piece, tensor_kernel
from .tensor import TILES as TENSOR_TILES

u = uint32
#: how much of both factors is in shared memory at a time
DEPTH = 8
#: the split of sums aims at this many blocks: two for each multiprocessor of an H100, whatever the card, as results depend on it
BLOCKS = 264


class Tile(NamedTuple):
    """Rows and columns of a tile; each thread computes `down` x `across` elements of it (4 or 8 each).

    `effort` is the time per multiplication relative to the largest tile, as far as loads from shared memory tell.
    """

    rows: int
    columns: int
    down: int
    across: int
    effort: float

    @property
    def threads(self) -> int:
        return self.rows * self.columns // (self.down * self.across)


TILES = (
    Tile(128, 128, 8, 8, 1.0),
    Tile(128, 64, 8, 4, 1.1),
    Tile(64, 64, 4, 4, 1.2),
    Tile(128, 32, 4, 4, 1.3),
    Tile(32, 32, 4, 4, 2.0),
)
#: for float64, whose elements take two registers each
DOUBLE_TILES = (TILES[-1],)


class Factor(NamedTuple):
    """One factor of a product.

    Attributes
    ----------
    array : Array
    load : callable
        For kernels: ``load(array, i, k, extent, depth, group)`` returns the element of row (of the right factor: column) i at place
        k of the sum; i is below `extent` and k below `depth`.
    along_depth : bool
        Whether elements that are neighbours in memory are so along the sum.
    """

    array: Array
    load: Callable
    along_depth: bool


def _mover(load, along_depth, extent_of_tile, threads, real):
    """Return how many elements of a piece a thread brings, what fetches and what puts them, and the pitch in shared memory."""
    count = extent_of_tile * DEPTH // threads
    place = place_in_piece(extent_of_tile, DEPTH, along_depth, threads)
    pitch = u(extent_of_tile + 4)  # 4 elements more keep the threads that write a column of the piece apart
    zero = real(0)

    @device
    def fetch(array, held, first, k0, end, extent, depth, group, t):
        for r in range(count):
            i, k = place(t, r)
            i, k = u(first + i), u(k0 + k)
            value = zero
            if i < extent and k < end:
                value = load(array, i, k, extent, depth, group)
            held[r] = value

    @device
    def put(held, shared, start, t):
        for r in range(count):
            i, k = place(t, r)
            shared[u(start + k * pitch + i)] = held[r]

    return count, fetch, put, pitch


@cache
def _kernel(load_a, a_along_depth, load_b, b_along_depth, store, finish, sum_up, real, tile):
    down, across, elements, zero = tile.down, tile.across, tile.down * tile.across, real(0)
    count_a, fetch_a, put_a, pitch_a = _mover(load_a, a_along_depth, tile.rows, tile.threads, real)
    count_b, fetch_b, put_b, pitch_b = _mover(load_b, b_along_depth, tile.columns, tile.threads, real)
    piece_a, piece_b = pitch_a * u(DEPTH), pitch_b * u(DEPTH)
    size_a, size_b = 2 * int(piece_a), 2 * int(piece_b)
    tile_rows, tile_columns = u(tile.rows), u(tile.columns)
    # a thread's elements lie in groups of 4 x 4, so that it reads 4 neighbours at a time; groups are half a tile apart
    half_rows, half_columns = u(tile.rows // 2), u(tile.columns // 2)
    threads_across = u(tile.columns // across)

    def kernel(a, b, bias, result, slope, means, squares, rows, columns, depth, per_split, splits):
        shared_a = cuda.shared.array(size_a, real, alignment=16)
        shared_b = cuda.shared.array(size_b, real, alignment=16)
        held_a = cuda.local.array(count_a, real)
        held_b = cuda.local.array(count_b, real)
        left = cuda.local.array(down, real)
        right = cuda.local.array(across, real)
        sums = cuda.local.array(elements, real)
        t = u(cuda.threadIdx.x)
        row, column = u(u(cuda.blockIdx.x) * tile_rows), u(u(cuda.blockIdx.y) * tile_columns)
        split, group = u(u(cuda.blockIdx.z) % splits), u(u(cuda.blockIdx.z) // splits)
        my_row, my_column = u(t // threads_across * u(4)), u(t % threads_across * u(4))
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
            following = u(k0 + u(DEPTH))
            if following < end:
                fetch_a(a, held_a, row, following, end, rows, depth, group, t)
                fetch_b(b, held_b, column, following, end, columns, depth, group, t)
            for k in range(DEPTH):
                at_a = u(stage * piece_a + u(k) * pitch_a + my_row)
                at_b = u(stage * piece_b + u(k) * pitch_b + my_column)
                for i in range(down):
                    left[i] = shared_a[u(at_a + u(i // 4) * half_rows + u(i % 4))]
                for j in range(across):
                    right[j] = shared_b[u(at_b + u(j // 4) * half_columns + u(j % 4))]
                for i in range(down):
                    for j in range(across):
                        sums[i * across + j] += left[i] * right[j]
            if following < end:
                stage = u(stage ^ u(1))
                put_a(held_a, shared_a, stage * piece_a, t)
                put_b(held_b, shared_b, stage * piece_b, t)
                cuda.syncthreads()
            k0 = following
        for i in range(down):
            m = u(row + my_row + u(i % 4) + u(i // 4) * half_rows)
            if m < rows:
                for j in range(across):
                    n = u(column + my_column + u(j % 4) + u(j // 4) * half_columns)
                    if n < columns:
                        store(result, bias, m, n, rows, columns, u(group * splits + split), sums[i * across + j])
        for e in range(elements):
            i, j = u(e // across), u(e % across)
            m = u(row + my_row + i % u(4) + i // u(4) * half_rows)
            n = u(column + my_column + j % u(4) + j // u(4) * half_columns)
            if m < rows and n < columns:
                finish(result, slope, m, n, columns, u(group * splits + split))
        sum_up(result, means, squares, row, column, rows, columns, group, t)

    return kernel


@device
def _store_part(result, bias, m, n, rows, columns, part, value):
    result[u((part * rows + m) * columns + n)] = value


@device
def _nothing(result, slope, m, n, columns, group):
    pass


@cache
def _add_parts(store, finish, real):
    def kernel(parts, bias, result, slope, rows, columns, splits, n):
        i = u(u(cuda.blockIdx.x) * u(cuda.blockDim.x) + u(cuda.threadIdx.x))
        while i < n:
            size = rows * columns
            group, place = i // size, i % size
            value = real(0)
            for split in range(splits):
                value += parts[(group * splits + u(split)) * size + place]
            store(result, bias, place // columns, place % columns, rows, columns, group, value)
            finish(result, slope, place // columns, place % columns, columns, group)
            i = u(i + u(cuda.gridDim.x) * u(cuda.blockDim.x))

    return kernel


def _plan(rows, columns, depth, groups, tiles, step):
    """Return the tile and the number of parts of the sum with which the product should take the least time."""

    def time(tile, splits):
        blocks = -(-rows // tile.rows) * -(-columns // tile.columns) * groups * splits
        in_turn = -(-blocks // (BLOCKS // 2))
        return in_turn * (tile.rows * tile.columns * tile.effort * (-(-depth // splits) + 4 * step)), splits

    choices = []
    for tile in tiles:
        blocks = -(-rows // tile.rows) * -(-columns // tile.columns) * groups
        most = max(1, min(BLOCKS // blocks, depth // (8 * step)))
        choices += [(time(tile, splits), tile, splits) for splits in {1, max(1, most // 2), most}]
    _, tile, splits = min(choices, key=lambda choice: choice[0])
    return tile, splits


def product(
    rows, columns, depth, a: Factor, b: Factor, bias, result, store, groups=1, finish=_nothing, slope=None, statistics=None
):
    """Return the launches of matrix products, one for each group.

    Parameters
    ----------
    rows, columns, depth : int
        Extents of the result of one group, and of the sum.
    a, b : Factor
        The left and the right factor.
    bias : Array or None
        What `store` may read.
    result : Array
        What `store` writes.
    store : callable
        For kernels: ``store(result, bias, m, n, rows, columns, group, value)``.
    groups : int
        Number of products.
    finish : callable
        For kernels: ``finish(result, slope, m, n, columns, group)``, done to each element once a thread has stored all of its own.
    slope : Array, optional
        What `finish` writes besides.
    statistics : pair of Array, optional
        Mean and variance of each channel of the result, to be computed as well; channel group * columns + n of row m is stored at
        m * channels + channel.
    """
    if not result.size:
        return moments(result, *statistics) if statistics else []
    for array in (a.array, b.array, result):
        check_count(array.size)
    real = number(result.dtype)
    bias, slope = (result if array is None else array for array in (bias, slope))
    loads = (a.load, a.along_depth, b.load, b.along_depth)
    precision = get_precision() if result.dtype == np.float32 else "float64"
    on_tensor_cores = precision in NUMBERS
    tiles: tuple = TENSOR_TILES if on_tensor_cores else TILES if precision == "float32" else DOUBLE_TILES
    step = WORDS * NUMBERS[precision] if on_tensor_cores else DEPTH
    tile, splits = _plan(rows, columns, depth, groups, tiles, step)
    per_split = -(-depth // splits // step) * step if splits > 1 else depth
    splits = max(1, -(-depth // per_split)) if depth else 1
    grid = (-(-rows // tile.rows), -(-columns // tile.columns), groups * splits)
    sizes = tuple(map(np.uint32, (rows, columns, depth, per_split, splits)))

    def kernel_that(*stores):
        return tensor_kernel(*loads, *stores, precision, tile) if on_tensor_cores else _kernel(*loads, *stores, real, tile)

    if splits == 1 and statistics:
        channels = groups * columns
        means, squares = (scratch(grid[0], channels, dtype=result.dtype) for _ in range(2))
        kernel = kernel_that(store, finish, of_tile(real, channels, tile))
        arrays = a.array, b.array, bias, result, slope, means, squares
        return [Launch(kernel, grid, (*arrays, *sizes), tile.threads), *of_tiles(means, squares, tile.rows, rows, *statistics)]
    if splits == 1:
        arrays = a.array, b.array, bias, result, slope, result, result
        return [Launch(kernel_that(store, finish, nothing_of_tile), grid, (*arrays, *sizes), tile.threads)]
    parts = scratch(groups * splits, rows, columns, dtype=result.dtype)
    arrays = a.array, b.array, bias, parts, parts, parts, parts
    return [
        Launch(kernel_that(_store_part, _nothing, nothing_of_tile), grid, (*arrays, *sizes), tile.threads),
        *over(groups * rows * columns, _add_parts(store, finish, real), parts, bias, result, slope, sizes[0], sizes[1], sizes[4]),
        *(moments(result, *statistics) if statistics else []),
    ]
