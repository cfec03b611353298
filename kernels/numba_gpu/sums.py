"""Sums over columns and over whole arrays, in a fixed order: partial sums by blocks, then the sum of these.

No atomic additions: the same input gives the same bits.
"""

from functools import cache

import numpy as np

from .compiler import cuda, device, number, uint32
from .launch import THREADS, Launch, check_count, over, scratch

u = uint32
#: threads of a block
TILE = 256
#: a block sums 32 columns, with 8 threads for each
COLUMNS = u(32)
PARTS = u(8)
#: arrays that the terms of sums over columns may be computed from
READ = 6
#: most pieces that the rows are cut into
MAX_PIECES = 256


@device
def add_halves(firsts, seconds, t, count, columns):
    """Add up the pairs that `count` threads of a block have written, one each: the first `columns` get their columns' sums."""
    cuda.syncthreads()
    half = count // u(2)
    while half >= columns:
        if t < half:
            firsts[t] += firsts[t + half]
            seconds[t] += seconds[t + half]
        cuda.syncthreads()
        half //= u(2)


@cache
def _column_pairs(f, real):
    def kernel(a, b, c, d, p, q, first, second, rows, columns, step):
        """Sum both results of f over a piece of the rows, `step` of them."""
        firsts = cuda.shared.array(TILE, real)
        seconds = cuda.shared.array(TILE, real)
        t = u(cuda.threadIdx.x)
        column = u(cuda.blockIdx.x) * COLUMNS + t % COLUMNS
        row = u(cuda.blockIdx.y) * step + t // COLUMNS
        end = min(u(cuda.blockIdx.y) * step + step, rows)
        one, two = real(0), real(0)
        if column < columns:
            while row < end:
                x, y = f(a, b, c, d, p, q, row, column, columns)
                one += x
                two += y
                row += PARTS
        firsts[t] = one
        seconds[t] = two
        add_halves(firsts, seconds, t, u(TILE), COLUMNS)
        if t < COLUMNS and column < columns:
            first[u(cuda.blockIdx.y) * columns + column] = firsts[t]
            second[u(cuda.blockIdx.y) * columns + column] = seconds[t]

    return kernel


@cache
def _finish_pairs(finish, real):
    def kernel(first, second, array, one, two, pieces, count, columns):
        column = u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x)
        while column < columns:
            x, y = real(0), real(0)
            for piece in range(pieces):
                x += first[u(piece) * columns + column]
                y += second[u(piece) * columns + column]
            one[column], two[column] = finish(x, y, array, column, count)
            column += u(cuda.gridDim.x) * u(THREADS)

    return kernel


def column_pairs(f, finish, reads, finish_reads, one, two, rows, columns, count=None):
    """Return the launches of two sums over the rows for each column.

    Parameters
    ----------
    f : callable
        For kernels: ``f(a, b, c, d, p, q, row, column, columns)`` returns the two terms.
    finish : callable
        For kernels: ``finish(first, second, array, column, count)`` returns from the two sums the elements of `one` and `two`.
    reads : tuple of at most six Array
        What `f` reads.
    finish_reads : Array
        What `finish` reads.
    one, two : Array of shape (columns,)
        The results.
    rows, columns : int
        How many there are.
    count : int, optional
        What `finish` is told: `rows` if left out.
    """
    check_count(rows * columns)
    real = number(one.dtype)
    pieces = min(max(-(-rows // 64), 1), MAX_PIECES)
    step = -(-rows // pieces)
    first, second = (scratch(pieces, columns, dtype=one.dtype) for _ in range(2))
    grid = (-(-columns // int(COLUMNS)), pieces, 1)
    reads += reads[:1] * (READ - len(reads))
    args = (*reads, first, second, np.uint32(rows), np.uint32(columns), np.uint32(step))
    sizes = np.uint32(pieces), np.uint32(rows if count is None else count)
    return [
        Launch(_column_pairs(f, real), grid, args, TILE),
        *over(columns, _finish_pairs(finish, real), first, second, finish_reads, one, two, *sizes),
    ]


@device
def as_they_are(first, second, array, column, rows):
    """For `column_pairs`: the sums are the results."""
    return first, second


@device
def stored(result, place, value, count):
    """For `total`: the sum is the result."""
    result[place] = value


@device
def _element(a, b, i):
    return a[i]


@device
def add_up(parts, t):
    """Sum the parts that the TILE threads of a block have written, one each, into the first."""
    cuda.syncthreads()
    half = u(TILE // 2)
    while half > u(0):
        if t < half:
            parts[t] += parts[t + half]
        cuda.syncthreads()
        half //= u(2)


@cache
def _total(f, finish, real):
    def kernel(a, b, result, n, step, count):
        """Sum f(a, b, i) over a piece of the places, `step` of them."""
        parts = cuda.shared.array(TILE, real)
        t = u(cuda.threadIdx.x)
        i = u(cuda.blockIdx.x) * step + t
        end = min(u(cuda.blockIdx.x) * step + step, n)
        value = real(0)
        while i < end:
            value += f(a, b, i)
            i += u(TILE)
        parts[t] = value
        add_up(parts, t)
        if t == u(0):
            finish(result, u(cuda.blockIdx.x), parts[0], count)

    return kernel


def total(f, finish, a, b, result, count, dtype):
    """Return the launches of a sum over places 0 .. count - 1.

    Parameters
    ----------
    f : callable
        For kernels: ``f(a, b, i)`` returns the term of place i.
    finish : callable
        For kernels: ``finish(result, 0, sum, count)`` writes the result.
    a, b, result : Array
        What the functions read and write.
    count : int
        The number of terms.
    dtype : dtype
        Of the sum.
    """
    check_count(count)
    real = number(dtype)
    pieces = min(max(-(-count // 8192), 1), MAX_PIECES)
    sizes = np.uint32(count), np.uint32(-(-count // pieces)), np.uint32(count)
    if pieces == 1:
        return [Launch(_total(f, finish, real), (1, 1, 1), (a, b, result, *sizes), TILE, work=count)]
    partial = scratch(pieces, dtype=dtype)
    few = np.uint32(pieces)
    return [
        Launch(_total(f, stored, real), (pieces, 1, 1), (a, b, partial, *sizes), TILE),
        Launch(_total(_element, finish, real), (1, 1, 1), (partial, b, result, few, few, np.uint32(count)), TILE, work=pieces),
    ]
