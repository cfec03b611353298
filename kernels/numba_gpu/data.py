"""Moving data: gathering batches, changing layouts, accumulating."""

from functools import cache

import numpy as np

from .compiler import cuda, device, float64, number, uint32
from .launch import MAX_BLOCKS, THREADS, Launch, check_count, once, over
from .maps import each

u = uint32
#: rows and columns of a transposed tile; a block has 8 threads for each column
SIDE = u(32)
TILE = 32 * 33


@cache
def _transpose(real):
    def kernel(x, y, rows, columns, images, tiles_across):
        tile = cuda.shared.array(TILE, real)
        across, down = u(cuda.threadIdx.x) % SIDE, u(cuda.threadIdx.x) // SIDE
        row, column = u(cuda.blockIdx.x) // tiles_across * SIDE, u(cuda.blockIdx.x) % tiles_across * SIDE
        image = u(cuda.blockIdx.z)
        while image < images:
            start = image * rows * columns
            for i in range(down, SIDE, 8):
                if row + u(i) < rows and column + across < columns:
                    tile[u(i) * (SIDE + u(1)) + across] = x[start + (row + u(i)) * columns + column + across]
            cuda.syncthreads()
            for i in range(down, SIDE, 8):
                if column + u(i) < columns and row + across < rows:
                    y[start + (column + u(i)) * rows + row + across] = tile[across * (SIDE + u(1)) + u(i)]
            cuda.syncthreads()
            image += u(cuda.gridDim.z)

    return kernel


def transpose(x, y):
    images, rows, columns = x.shape
    if not x.size:
        return []
    check_count(x.size)
    tiles_across = -(-columns // int(SIDE))
    grid = (-(-rows // int(SIDE)) * tiles_across, 1, min(images, MAX_BLOCKS))  # of blocks along y there may be too few
    return [Launch(_transpose(number(x.dtype)), grid, (x, y, *map(np.uint32, (rows, columns, images, tiles_across))))]


@cache
def _line(real, scale, offset):
    # in float64, so that bytes are scaled to the nearest number of the type
    scale, offset = float64(scale), float64(offset)

    @device
    def line(x):
        return real(float64(x) * scale + offset)

    return line


@cache
def _gather(f):
    def kernel(x, index, y, columns, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            y[i] = f(x[u(index[i // columns]) * columns + i % columns])
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def gather_rows(f, x, index, y):
    """Return the launch of y = f(x) at each element of the rows of x that `index` names."""
    check_count(x.size)
    return over(y.size, _gather(f), x, index, y, np.uint32(y.shape[1]), work=y.size)


def gather(x, index, scale, offset, y):
    return gather_rows(_line(number(y.dtype), scale, offset), x, index, y)


def gather_uint8(x, index, scale, offset, y):
    return gather(x, index, scale, offset, y)


def rescale(x, scale, offset, y):
    return each(_line(number(x.dtype), scale, offset), x, y)


@cache
def _scaled_sum(real, scale):
    scale = real(scale)

    @device
    def scaled_sum(x, total):
        return total + scale * x

    return scaled_sum


def accumulate(x, scale, total):
    return each(_scaled_sum(number(x.dtype), scale), x, total, total)


@device
def _sum(a, b):
    return a + b


def add(a, b, y):
    return each(_sum, a, b, y)


def _increment(count):
    count[0] += float64(1)


def increment(count):
    return [once(_increment, count)]
