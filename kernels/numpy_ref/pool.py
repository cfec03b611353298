"""Pooling: a loop over the elements of the window. Every window has to meet the image somewhere."""

import numpy as np

from .precision import in_float64
from .windows import taps


@in_float64
def maxpool2d_forward(x, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, argmax):
    n, height, width, c = x.shape
    place = np.broadcast_to(np.arange(height * width, dtype=np.int32).reshape(1, height, width, 1), x.shape)
    y[...] = -np.inf
    argmax[...] = -1
    # row-major order and a strict comparison: the first maximum stays
    for _, _, at_y, at_x in taps((height, width), y.shape[1:3], (pool_h, pool_w), (stride_h, stride_w), (pad_top, pad_left)):
        candidate, best = x[at_x], y[at_y]
        better = (candidate > best) | (np.isnan(candidate) & ~np.isnan(best)) | (argmax[at_y] < 0)
        y[at_y] = np.where(better, candidate, best)
        argmax[at_y] = np.where(better, place[at_x], argmax[at_y])


@in_float64
def maxpool2d_backward(dy, argmax, dx):
    n, _, width, c = dx.shape
    dx[...] = 0
    sample, channel = np.arange(n).reshape(n, 1, 1, 1), np.arange(c)
    # np.add.at and not dx[...] += dy: windows that overlap may share their maximum
    np.add.at(dx, (sample, argmax // width, argmax % width, channel), dy)


@in_float64
def avgpool2d_forward(x, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y):
    geometry = (x.shape[1:3], y.shape[1:3], (pool_h, pool_w), (stride_h, stride_w), (pad_top, pad_left))
    y[...] = 0
    for _, _, at_y, at_x in taps(*geometry):
        y[at_y] += x[at_x]
    y[...] /= _counts(*geometry)


@in_float64
def avgpool2d_backward(dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx):
    geometry = (dx.shape[1:3], dy.shape[1:3], (pool_h, pool_w), (stride_h, stride_w), (pad_top, pad_left))
    share = dy / _counts(*geometry)
    dx[...] = 0
    for _, _, at_y, at_x in taps(*geometry):
        dx[at_x] += share[at_y]


def _counts(image, output, window, stride, pad):
    """Return the number of elements of each window that lie inside the image, (1, OH, OW, 1)."""
    counts = np.zeros((1, *output, 1), dtype=np.float64)
    for _, _, at_y, _ in taps(image, output, window, stride, pad):
        counts[at_y] += 1
    return counts


@in_float64
def global_avgpool2d_forward(x, y):
    y[...] = x.mean(axis=(1, 2))


@in_float64
def global_avgpool2d_backward(dy, dx):
    dx[...] = dy[:, None, None, :] / (dx.shape[1] * dx.shape[2])
