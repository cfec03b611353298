"""The matrix product, from which dense layers and convolutions are made: what is launched for one.

Where the result has too few tiles to fill a card, the sum is split: each part writes its own partial result, and a second
kernel adds these in order.
"""

from functools import cache, partial

import numpy as np

from ..precision import get_precision
from ..spec.activation import FUSED
from .activation import fused
from .compiler import cuda, device, number, uint32, write_together
from .factor import Factor, together
from .launch import THREADS, Launch, check_count, over, scratch
from .moments import moments, nothing_of_tile, of_tile, of_tiles
from .tensor import NUMBERS, TENSOR_TILES, WORDS, tensor_kernel
from .tile import DEPTH, DOUBLE_TILES, TILES, tile_kernel

u = uint32
#: the split of sums aims at this many blocks: two for each multiprocessor of an H100, whatever the card, as results depend on it
BLOCKS = 264
#: threads that keep a multiprocessor busy
BUSY = 256


@cache
def delivery(first, with_bias, count, at_once):
    """Return, for kernels to call, what stores neighbouring sums of a thread with their bias and the first part of an activation.

    It is ``deliver(result, bias, start, channel, n, columns, sums, at)`` for `count` sums, 2 or 4. `start` is the index of the
    first in the result, `channel` and `n` are its columns among all and in its group. `at_once` is 1, or what `together` says.
    """

    @device
    def finished(bias, channel, value):
        if with_bias:
            value += bias[channel]
        return first(value)

    @device
    def one_by_one(result, bias, start, channel, n, columns, sums, at):
        for e in range(count):
            if u(n + u(e)) < columns:
                result[u(start + u(e))] = finished(bias, u(channel + u(e)), sums[at + e])

    @device
    def two(result, bias, start, channel, n, columns, sums, at):
        if n < columns:
            values = finished(bias, channel, sums[at]), finished(bias, u(channel + u(1)), sums[at + 1])
            write_together(result, start, values)

    @device
    def four(result, bias, start, channel, n, columns, sums, at):
        if n < columns:
            one, another = finished(bias, channel, sums[at]), finished(bias, u(channel + u(1)), sums[at + 1])
            third, last = finished(bias, u(channel + u(2)), sums[at + 2]), finished(bias, u(channel + u(3)), sums[at + 3])
            write_together(result, start, (one, another, third, last))

    return one_by_one if at_once == 1 else two if count == 2 else four


@cache
def _add_parts(activation, with_bias, real):
    first, then = activation

    def kernel(parts, bias, result, slope, rows, columns, splits, channels, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        size = rows * columns
        while i < n:
            group, place = i // size, i % size
            value = real(0)
            for split in range(splits):
                value += parts[(group * splits + u(split)) * size + place]
            channel = group * columns + place % columns
            if with_bias:
                value += bias[channel]
            at = u(place // columns * channels + channel)
            result[at] = first(value)
            then(result, slope, at)
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def _plan(rows, columns, depth, groups, tiles, step):
    """Return the tile and the number of parts of the sum with which the product should take the least time."""

    def time(tile, splits):
        blocks = -(-rows // tile.rows) * -(-columns // tile.columns) * groups * splits
        in_turn = -(-blocks // (BLOCKS // 2))
        idle = max(1, BUSY / (tile.threads * in_turn))
        return idle * in_turn * (tile.rows * tile.columns * tile.effort * (-(-depth // splits) + 4 * step)), splits

    choices = []
    for tile in tiles:
        blocks = -(-rows // tile.rows) * -(-columns // tile.columns) * groups
        most = max(1, min(BLOCKS // blocks, depth // (8 * step)))
        choices += [(time(tile, splits), tile, splits) for splits in {1, max(1, most // 2), most}]
    _, tile, splits = min(choices, key=lambda choice: choice[0])
    return tile, splits


def product(rows, columns, depth, a: Factor, b: Factor, result, groups=1, bias=None, activation=None, slope=None, statistics=None):
    """Return the launches of matrix products, one for each group.

    Parameters
    ----------
    rows, columns, depth : int
        Extents of the result of one group, and of the sum.
    a, b : Factor
        The left and the right factor.
    result : Array of size rows * groups * columns
        Rows with a channel for each column of each group.
    groups : int
        Number of products.
    bias : Array of shape (groups * columns,), optional
        Added to each row.
    activation : Fused, optional
        What is done to each element then.
    slope : Array, optional
        What `activation` writes besides.
    statistics : pair of Array, optional
        Mean and variance of each channel of the result, to be computed as well.
    """
    if not result.size:
        return moments(result, *statistics) if statistics else []
    for array in (a.array, b.array, result):
        check_count(array.size)
    real, channels = number(result.dtype), groups * columns
    linear = fused(FUSED["linear"], 0.0, real)
    activation = activation or linear
    precision = get_precision() if result.dtype == np.float32 else "float64"
    on_tensor_cores = precision in NUMBERS
    tiles = TENSOR_TILES[precision] if on_tensor_cores else TILES if precision == "float32" else DOUBLE_TILES
    if on_tensor_cores and (a.together == 1 or b.together == 1):
        tiles = tuple(tile for tile in tiles if tile.down == 2)  # threads of the others have no registers for so many places
    step = WORDS * NUMBERS[precision] if on_tensor_cores else DEPTH
    tile, splits = _plan(rows, columns, depth, groups, tiles, step)
    per_split = -(-depth // splits // step) * step if splits > 1 else depth
    splits = max(1, -(-depth // per_split)) if depth else 1
    grid = (-(-rows // tile.rows), -(-columns // tile.columns), groups * splits)

    def launch(into, row_pitch, apart, activation, bias, slope, means, squares, sum_up):
        """Launch tiles whose rows lie `row_pitch` apart, and those of the parts of groups `apart`."""
        deliver = partial(delivery, activation.first, bias is not None, at_once=together(into, columns, row_pitch))
        kernel = (
            tensor_kernel(a[1:], b[1:], deliver, activation.then, sum_up, precision, tile)
            if on_tensor_cores
            else tile_kernel(a[1:], b[1:], deliver, activation.then, sum_up, real, tile)
        )
        sizes = map(np.uint32, (rows, columns, depth, per_split, splits, row_pitch, apart))
        arrays = (into if array is None else array for array in (bias, into, slope, means, squares))
        return Launch(kernel, grid, (a.array, b.array, *arrays, *sizes), tile.threads)

    if splits == 1 and statistics:
        means, squares = (scratch(grid[0], channels, dtype=result.dtype) for _ in range(2))
        sum_up = of_tile(real, channels, tile)
        tiles_launch = launch(result, channels, columns, activation, bias, slope, means, squares, sum_up)
        return [tiles_launch, *of_tiles(means, squares, tile.rows, rows, *statistics)]
    if splits == 1:
        return [launch(result, channels, columns, activation, bias, slope, None, None, nothing_of_tile)]
    parts = scratch(groups * splits, rows, columns, dtype=result.dtype)
    sizes = map(np.uint32, (rows, columns, splits, channels))
    arrays = parts, *(result if array is None else array for array in (bias, result, slope))
    return [
        launch(parts, columns, rows * columns, linear, None, None, None, None, nothing_of_tile),
        *over(result.size, _add_parts(activation, bias is not None, real), *arrays, *sizes),
        *(moments(result, *statistics) if statistics else []),
    ]
