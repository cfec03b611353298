"""The matrix product, from which dense layers and convolutions are made: what is launched for one.

Where the result has too few tiles to fill a card, the sum is split: each part writes its own partial result, and a second
kernel adds these in order.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from ..precision import get_precision
from ..spec.activation import FUSED
from .activation import Fused, fused
from .compiler import cuda, device, number, uint32, write_together
from .factor import Factor, no_totals, totals_of
from .launch import THREADS, Array, Launch, check_count, over, scratch
from .moments import moments, nothing_of_tile, of_tile, of_tiles
from .neighbours import together
from .tensor import NUMBERS, TENSOR_TILES, WORDS, tensor_kernel
from .tile import DOUBLE_TILES, TILES, tile_kernel

u = uint32


class Result(NamedTuple):
    """What becomes of the sums of a product.

    Attributes
    ----------
    array : Array of size rows * groups * columns
        Rows with a channel for each column of each group.
    bias : Array of shape (groups * columns,), optional
        Added to each row.
    activation : Fused, optional
        What is done to each element then.
    slope : Array, optional
        What `activation` writes besides, or reads.
    statistics : pair of Array, optional
        Mean and variance of each channel, to be computed as well.
    totals : Array of shape (groups * columns,), optional
        Sums of the columns of the right factor, to be computed as well; its neighbours are at right angles to the sum.
    """

    array: Array
    bias: Array | None = None
    activation: Fused | None = None
    slope: Array | None = None
    statistics: tuple[Array, Array] | None = None
    totals: Array | None = None


#: the split of sums aims at this many blocks: two for each multiprocessor of an H100, whatever the card, as results depend on it
BLOCKS = 264
#: blocks of a grid along y and z: the card takes no more
MOST_BLOCKS = 65535
#: threads that keep a multiprocessor busy
BUSY = 256
#: the time of beginning and ending a tile, in steps along the sum, and of a second launch, in multiplications of a multiprocessor
START, SECOND_LAUNCH = 32, 400_000


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
    """Add up the parts of each element, and behind those of all elements the parts of the totals."""
    first, then = activation

    def kernel(parts, totals_of_parts, bias, result, slope, totals, size, columns, splits, channels, elements, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            value = real(0)
            if i < elements:
                group, place = i // size, i % size
                for split in range(splits):
                    value += parts[(group * splits + u(split)) * size + place]
                channel = group * columns + place % columns
                if with_bias:
                    value += bias[channel]
                at = u(place // columns * channels + channel)
                result[at] = first(value)
                then(result, slope, at)
            else:
                group, place = (i - elements) // columns, (i - elements) % columns
                for split in range(splits):
                    value += totals_of_parts[(group * splits + u(split)) * columns + place]
                totals[i - elements] = value
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def _plan(rows, columns, depth, groups, precision, together):
    """Return the tile with which the product should take the least time, and how much of the sum a part of it has.

    `together` is whether elements of both factors can be read together.
    """
    if precision in NUMBERS:
        # threads of the large tiles have no registers for the places of so many single numbers
        tiles = [(tile, WORDS * NUMBERS[precision]) for tile in TENSOR_TILES[precision] if together or tile.down == 2]
    else:
        tiles = [(tile, tile.depth) for tile in (TILES if precision == "float32" else DOUBLE_TILES)]

    def time(tile, step, splits):
        blocks = -(-rows // tile.rows) * -(-columns // tile.columns) * groups * splits
        in_turn = -(-blocks // (BLOCKS // 2))
        idle = max(1, BUSY / (tile.threads * in_turn))
        steps = -(-depth // (splits * step)) * step + START
        return idle * in_turn * tile.rows * tile.columns * tile.effort * steps + (SECOND_LAUNCH if splits > 1 else 0)

    choices = []
    for tile, step in tiles:
        blocks = -(-rows // tile.rows) * -(-columns // tile.columns) * groups
        most = max(1, min(BLOCKS // blocks, depth // (8 * step)))
        for splits in {1, max(1, most // 2), most}:
            part = -(-depth // (splits * step)) * step if splits > 1 else depth
            choices.append((time(tile, step, splits), splits, tile, part))
    _, _, tile, part = min(choices, key=lambda choice: choice[:2])
    return tile, part


def product(rows, columns, depth, a: Factor, b: Factor, result: Result, groups=1):
    """Return the launches of matrix products, one for each group, with `rows` x `columns` sums of `depth` products."""
    y, statistics, totals = result.array, result.statistics, result.totals
    if not y.size:
        return moments(y, *statistics) if statistics else []
    for array in (a.array, b.array, y):
        check_count(array.size)
    real, channels = number(y.dtype), groups * columns
    precision = get_precision() if y.dtype == np.float32 else "float64"
    tile, part = _plan(rows, columns, depth, groups, precision, a.together == b.together > 1)
    splits = max(1, -(-depth // part)) if depth else 1
    grid = (-(-rows // tile.rows), -(-columns // tile.columns), groups * splits)
    if max(grid[1:]) > MOST_BLOCKS:
        raise ValueError(
            f"a product of matrices on the GPU has at most {MOST_BLOCKS * tile.columns} columns in {MOST_BLOCKS} groups, "
            f"got {columns} in {groups}"
        )
    activated = activation = result.activation or fused(FUSED["linear"], 0.0, real)
    means = squares = None
    if splits > 1:  # the parts are matrices of their own, and all else is done when they are added
        into, activated = Result(scratch(groups * splits, rows, columns, dtype=y.dtype)), fused(FUSED["linear"], 0.0, real)
        if totals is not None:
            into = into._replace(totals=scratch(groups * splits, columns, dtype=y.dtype))
        row_pitch, apart = columns, rows * columns
    else:
        into, row_pitch, apart = result, channels, columns
        if statistics:
            means, squares = (scratch(grid[0], channels, dtype=y.dtype) for _ in range(2))
    on_tensor_cores = precision in NUMBERS
    neighbours = 2 if on_tensor_cores else 4
    kernel = (tensor_kernel if on_tensor_cores else tile_kernel)(
        a[1:],
        b[1:],
        delivery(activated.first, into.bias is not None, neighbours, together(into.array, columns, row_pitch)),
        activated.then,
        of_tile(real, channels, tile) if means else nothing_of_tile,
        totals_of if totals is not None else no_totals,
        precision if on_tensor_cores else real,
        tile,
    )
    arrays = _or(into.array, into.bias, into.array, into.slope, means, squares, into.totals)
    sizes = map(np.uint32, (rows, columns, depth, part, splits, row_pitch, apart))
    launches = [Launch(kernel, grid, (a.array, b.array, *arrays, *sizes), tile.threads)]
    if splits > 1:
        arrays = _or(y, into.array, into.totals, result.bias, y, result.slope, totals)
        sizes = map(np.uint32, (rows * columns, columns, splits, channels, y.size))
        count = y.size + (0 if totals is None else totals.size)
        launches += over(count, _add_parts(activation, result.bias is not None, real), *arrays, *sizes)
    if statistics:
        launches += of_tiles(means, squares, tile.rows, rows, *statistics) if means else moments(y, *statistics)
    return launches


def _or(otherwise, *arrays):
    """Return arrays with another in the place of those that are None: kernels do not read or write them."""
    return [otherwise if array is None else array for array in arrays]
