"""Kernels of one result per element: a function of the elements at the same place, and of the one for their row."""

from functools import cache

import numpy as np

from .compiler import cuda, uint32
from .launch import THREADS, over

u = uint32
STRIDE = u(THREADS)


@cache
def _of_one(f):
    def kernel(x, y, n):
        i = u(u(cuda.blockIdx.x) * STRIDE + u(cuda.threadIdx.x))
        while i < n:
            y[i] = f(x[i])
            i = u(i + u(cuda.gridDim.x) * STRIDE)

    return kernel


@cache
def _of_two(f):
    def kernel(a, b, y, n):
        i = u(u(cuda.blockIdx.x) * STRIDE + u(cuda.threadIdx.x))
        while i < n:
            y[i] = f(a[i], b[i])
            i = u(i + u(cuda.gridDim.x) * STRIDE)

    return kernel


@cache
def _of_row_and_one(f):
    def kernel(row, a, y, columns, n):
        i = u(u(cuda.blockIdx.x) * STRIDE + u(cuda.threadIdx.x))
        while i < n:
            y[i] = f(row[i // columns], a[i])
            i = u(i + u(cuda.gridDim.x) * STRIDE)

    return kernel


@cache
def _of_row_and_two(f):
    def kernel(row, a, b, y, columns, n):
        i = u(u(cuda.blockIdx.x) * STRIDE + u(cuda.threadIdx.x))
        while i < n:
            y[i] = f(row[i // columns], a[i], b[i])
            i = u(i + u(cuda.gridDim.x) * STRIDE)

    return kernel


def each(f, *arrays):
    """Return the launch of y = f(x) or y = f(a, b) at each element; the last array is y, and may be one of the others."""
    return over(arrays[-1].size, (_of_one, _of_two)[len(arrays) - 2](f), *arrays)


def each_with_row(f, row, *arrays):
    """Return the launch of y = f(r, a) or y = f(r, a, b), where r is the element of `row` for the row of y; the last array is y."""
    y = arrays[-1]
    columns = np.uint32(max(y.size // max(row.size, 1), 1))
    return over(y.size, (_of_row_and_one, _of_row_and_two)[len(arrays) - 2](f), row, *arrays, columns)
