"""Mean and variance of each channel: of an image in memory, or of a matrix product, which sums them up tile by tile as it is made.

The variance is a difference of sums: of distances from one of the values little cancels.
"""

from functools import cache

import numpy as np

from .compiler import cuda, device, number, uint32
from .launch import constant
from .sums import add_halves, column_pairs

u = uint32
#: rows of a tile that a thread reads together: one by one it would wait for each
TOGETHER = 8


@device
def _from_first_row(x, b, c, d, p, q, row, column, columns):
    distance = x[row * columns + column] - x[column]
    return distance, distance * distance


@cache
def _mean_and_variance(real):
    @device
    def finish(first, second, x, column, rows):
        shift = first / real(rows)
        var = second / real(rows) - shift * shift
        return (x[column] if rows else shift) + shift, real(0) if var <= real(0) else var

    return finish


def moments(x, mean, var):
    """Return the launches of mean and (biased) variance of each channel, which is the last axis of x."""
    return column_pairs(_from_first_row, _mean_and_variance(number(x.dtype)), (x,), x, mean, var, x.size // mean.size, mean.size)


@cache
def of_tile(real, channels, tile):
    """Return what the threads of a block call when they have stored a tile of a product, from row m0 and column n0 of a group.

    They write, for each column, the mean of the tile's elements and the sum of the squares of their distances from it.
    """
    channels, tile_rows, tile_columns = u(channels), u(tile.rows), u(tile.columns)
    threads, parts = tile.threads, u(tile.threads // tile.columns)
    rounds = -(-tile.rows * tile.columns // (tile.threads * TOGETHER))

    @device
    def sum_up(result, means, squares, m0, n0, rows, columns, group, t):
        distances = cuda.shared.array(threads, real)
        squared = cuda.shared.array(threads, real)
        n = u(n0 + t % tile_columns)
        channel = u(group * columns + n)
        m, end = u(m0 + t // tile_columns), min(u(m0 + tile_rows), rows)
        first, one, two = real(0), real(0), real(0)
        held = cuda.local.array(TOGETHER, real)
        cuda.syncthreads()  # the tile is stored
        if n < columns:
            first = result[m0 * channels + channel]
            for _ in range(rounds):
                for i in range(TOGETHER):
                    row = u(m + u(i) * parts)
                    held[i] = first
                    if row < end:
                        held[i] = result[row * channels + channel]
                for i in range(TOGETHER):
                    distance = held[i] - first
                    one += distance
                    two += distance * distance
                m = u(m + u(TOGETHER) * parts)
        distances[t] = one
        squared[t] = two
        add_halves(distances, squared, t, u(threads), tile_columns)
        if t < tile_columns and n < columns:
            shift = distances[t] / real(end - m0)
            place = u(cuda.blockIdx.x) * channels + channel
            means[place] = first + shift
            squares[place] = squared[t] - distances[t] * shift

    return sum_up


@device
def nothing_of_tile(result, means, squares, m0, n0, rows, columns, group, t):
    """Stand in the place of `of_tile` where nobody wants the moments."""


@cache
def _from_tiles(real):
    @device
    def terms(means, squares, extents, d, p, q, row, column, columns):
        count = real(min(extents[0], extents[1] - row * extents[0]))
        distance = means[row * columns + column] - means[column]
        return count * distance, squares[row * columns + column] + count * distance * distance

    return terms


def of_tiles(means, squares, tile_rows, rows, mean, var):
    """Return the launches of mean and variance of all rows, from what `of_tile` has written."""
    real, (tiles, channels) = number(mean.dtype), means.shape
    reads = means, squares, constant(np.array([tile_rows, rows], np.uint32))
    return column_pairs(_from_tiles(real), _mean_and_variance(real), reads, means, mean, var, tiles, channels, rows)
