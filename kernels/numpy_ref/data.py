"""Moving data: gathering batches, changing layouts, accumulating."""

import numpy as np

from .precision import in_float64


def transpose(x, y):
    """y[n, c, r] = x[n, r, c]"""
    y[...] = x.transpose(0, 2, 1)


def gather(x, index, scale, offset, y):
    """y[i] = x[index[i]] * scale + offset"""
    y[...] = x[index].astype(np.float64) * scale + offset  # widened after the choice: x is a whole data set


def gather_uint8(x, index, scale, offset, y):
    """y[i] = x[index[i]] * scale + offset, from bytes"""
    gather(x, index, scale, offset, y)


@in_float64
def rescale(x, scale, offset, y):
    y[...] = x * scale + offset


@in_float64
def accumulate(x, scale, total):
    total[...] += scale * x


@in_float64
def add(a, b, y):
    y[...] = a + b


def increment(count):
    """count += 1"""
    count[...] += 1
