"""Pooling. Backward passes gather for each pixel what its windows send, or go through the windows in order: no atomic additions."""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from .compiler import cuda, device, int32, number, uint32
from .launch import THREADS, check_count, over
from .neighbours import READ, WRITE, together

u = uint32


def geometry_of(image, pooled, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left):
    """Return what the functions below know of the windows when they are compiled."""
    return (*image.shape[1:3], *pooled.shape[1:], pool_h, pool_w, stride_h, stride_w, pad_top, pad_left)


class Elements(NamedTuple):
    """What is pooled: a function of the elements of an image.

    Attributes
    ----------
    fetch : callable
        ``fetch(wide)`` returns, for kernels, ``f(gamma, beta, mean, var, channel, p, q, r)``, which puts what `element` wants to
        know of each of `wide` channels into p, q and r.
    element : callable
        For kernels: ``element(x, p, q, r)`` is what becomes of an element.
    """

    fetch: Callable
    element: Callable


@device
def _nothing(gamma, beta, mean, var, channel, p, q, r):
    pass


@device
def _itself(x, p, q, r):
    return x


AS_THEY_ARE = Elements(lambda wide: _nothing, _itself)


def _inside(geometry):
    """Say whether all windows lie inside the image."""
    ih, iw, oh, ow, _, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left = geometry
    return pad_top == pad_left == 0 and (oh - 1) * stride_h + pool_h <= ih and (ow - 1) * stride_w + pool_w <= iw


class Pooling(NamedTuple):
    """What becomes of a window's elements; functions for kernels.

    Attributes
    ----------
    start : callable
        ``start(results, places)``, before a window's first element.
    add : callable
        ``add(results, places, e, value, place)`` takes an element of channel e, of the pixel at `place` of its image.
    finish : callable
        ``finish(results, places, argmax, i, count)`` after the last of `count` elements, before the results are written at i.
    """

    start: Callable
    add: Callable
    finish: Callable


@cache
def _pool(pooling_of, real, geometry, fetch, element, wide):
    ih, iw, oh, ow, c, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left = map(int32, geometry)
    (rows, columns), inside = geometry[5:7], _inside(geometry)
    fetch, read, write, groups = fetch(wide), READ[wide], WRITE[wide], u(geometry[4] // wide)
    start, add, finish = pooling_of(real, wide)

    def kernel(x, gamma, beta, mean, var, y, argmax, n):
        """A thread for `wide` neighbouring channels of a window."""
        p, q, r = cuda.local.array(wide, real), cuda.local.array(wide, real), cuda.local.array(wide, real)
        values, results, places = cuda.local.array(wide, real), cuda.local.array(wide, real), cuda.local.array(wide, int32)
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            column, row, sample = i // groups % u(ow), i // groups // u(ow) % u(oh), i // groups // u(ow) // u(oh)
            channel = u(i % groups * u(wide))
            top, left = int32(row) * stride_h - pad_top, int32(column) * stride_w - pad_left
            fetch(gamma, beta, mean, var, channel, p, q, r)
            start(results, places)
            for down in range(rows):
                for right in range(columns):
                    py, px = int32(top + int32(down)), int32(left + int32(right))
                    if inside or (u(py) < u(ih) and u(px) < u(iw)):
                        read(x, u(((sample * u(ih) + u(py)) * u(iw) + u(px)) * u(c) + channel), values, 0)
                        for e in range(wide):
                            add(results, places, e, element(values[e], p[e], q[e], r[e]), int32(py * iw + px))
            height = min(top + pool_h, ih) - max(top, int32(0))
            width = min(left + pool_w, iw) - max(left, int32(0))
            finish(results, places, argmax, u(i * u(wide)), height * width)
            write(y, u(i * u(wide)), results)
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


@cache
def _largest(real, wide):
    write = WRITE[wide]

    @device
    def start(best, places):
        for e in range(wide):
            best[e], places[e] = real(-math.inf), int32(-1)

    @device
    def add(best, places, e, value, place):
        # strict: the first maximum stays; a NaN is the maximum
        if value > best[e] or (value != value and best[e] == best[e]) or places[e] < int32(0):
            best[e], places[e] = value, place

    @device
    def finish(best, places, argmax, i, count):
        write(argmax, i, places)

    return Pooling(start, add, finish)


@cache
def _mean(real, wide):
    @device
    def start(totals, places):
        for e in range(wide):
            totals[e] = real(0)

    @device
    def add(totals, places, e, value, place):
        totals[e] += value

    @device
    def finish(totals, places, argmax, i, count):
        for e in range(wide):
            totals[e] /= real(count)

    return Pooling(start, add, finish)


def _pooled(pooling_of, elements, x, gamma, beta, mean, var, window, y, argmax):
    check_count(max(x.size, y.size))
    arrays = x, gamma, beta, mean, var, y, argmax
    wide = min(together(array, x.shape[3]) for array in arrays)
    return over(y.size // wide, _pool(pooling_of, number(x.dtype), geometry_of(x, y, *window), *elements, wide), *arrays)


def largest(elements, x, gamma, beta, mean, var, *window_y_argmax):
    """Return the launch of max pooling over `Elements` of x."""
    *window, y, argmax = window_y_argmax
    return _pooled(_largest, elements, x, gamma, beta, mean, var, window, y, argmax)


def maxpool2d_forward(x, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, argmax):
    return largest(AS_THEY_ARE, x, x, x, x, x, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, argmax)


@cache
def _send_back(real):
    def kernel(dy, argmax, dx, pixels, windows, channels, n):
        """A thread for each channel of each image, which adds in the order of the windows."""
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            channel, sample = i % channels, i // channels
            image = sample * pixels * channels + channel
            for pixel in range(pixels):
                dx[image + u(pixel) * channels] = real(0)
            for window in range(windows):
                place = (sample * windows + u(window)) * channels + channel
                dx[image + u(argmax[place]) * channels] += dy[place]
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def maxpool2d_backward(dy, argmax, dx):
    samples, height, width, channels = dx.shape
    check_count(max(dx.size, dy.size))
    sizes = map(np.uint32, (height * width, dy.shape[1] * dy.shape[2], channels))
    return over(samples * channels, _send_back(number(dx.dtype)), dy, argmax, dx, *sizes)


def average(elements, x, gamma, beta, mean, var, *window_y):
    """Return the launch of average pooling; arguments as in `largest`."""
    *window, y = window_y
    return _pooled(_mean, elements, x, gamma, beta, mean, var, window, y, y)


def avgpool2d_forward(x, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y):
    return average(AS_THEY_ARE, x, x, x, x, x, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y)


@cache
def what_windows_send(real, geometry, add, wide):
    """Return, for kernels to call, ``f(dy, p, i, totals)``: the sum over the windows that hold a pixel, in their order.

    i is the first of `wide` neighbouring channels of a pixel of an image. The terms are what ``add(dy, p, window, place, count,
    totals)`` adds, where `place` is the pixel's in its image, as argmax has it, and `count` is the number of the window's pixels.
    """
    ih, iw, oh, ow, c, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left = map(int32, geometry)
    # no more windows than these hold a pixel
    rows, columns = -(-geometry[5] // geometry[7]), -(-geometry[6] // geometry[8])

    @device
    def gather(dy, p, i, totals):
        i = u(i)
        channel, column, row, sample = i % u(c), i // u(c) % u(iw), i // u(c) // u(iw) % u(ih), i // u(c) // u(iw) // u(ih)
        py, px = int32(row) + pad_top, int32(column) + pad_left
        # the windows that hold the pixel: o * stride <= p < o * stride + pool
        first_y, last_y = max(py - pool_h + stride_h, int32(0)) // stride_h, min(py // stride_h, oh - int32(1))
        first_x, last_x = max(px - pool_w + stride_w, int32(0)) // stride_w, min(px // stride_w, ow - int32(1))
        for e in range(wide):
            totals[e] = real(0)
        for down in range(rows):
            for right in range(columns):
                oy, ox = int32(first_y + int32(down)), int32(first_x + int32(right))
                if oy <= last_y and ox <= last_x:
                    top, left = oy * stride_h - pad_top, ox * stride_w - pad_left
                    height = min(top + pool_h, ih) - max(top, int32(0))
                    width = min(left + pool_w, iw) - max(left, int32(0))
                    window = u(((sample * u(oh) + u(oy)) * u(ow) + u(ox)) * u(c) + channel)
                    add(dy, p, window, int32(row) * iw + int32(column), height * width, totals)

    return gather


@cache
def a_share(real, wide):
    """For `what_windows_send`: average pooling's."""
    read = READ[wide]

    @device
    def add(dy, p, window, place, count, totals):
        errors = cuda.local.array(wide, real)
        read(dy, window, errors, 0)
        for e in range(wide):
            totals[e] += errors[e] / real(count)

    return add


@cache
def to_the_largest(real, wide):
    """For `what_windows_send`: max pooling's, where p is argmax."""
    read = READ[wide]

    @device
    def add(dy, argmax, window, place, count, totals):
        errors, places = cuda.local.array(wide, real), cuda.local.array(wide, int32)
        read(dy, window, errors, 0)
        read(argmax, window, places, 0)
        for e in range(wide):
            totals[e] += errors[e] if places[e] == place else real(0)

    return add


@cache
def _gather(real, gather, wide):
    write = WRITE[wide]

    def kernel(dy, p, dx, n):
        totals = cuda.local.array(wide, real)
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            gather(dy, p, u(i * u(wide)), totals)
            write(dx, u(i * u(wide)), totals)
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def gathered(add_of, dy, p, *window_dx):
    """Return the launch of dx = `what_windows_send`, of what ``add_of(real, wide)`` returns."""
    *window, dx = window_dx
    check_count(max(dy.size, dx.size))
    real, wide = number(dx.dtype), min(together(array, dx.shape[3]) for array in (dy, p, dx))
    gather = what_windows_send(real, geometry_of(dx, dy, *window), add_of(real, wide), wide)
    return over(dx.size // wide, _gather(real, gather, wide), dy, p, dx)


def avgpool2d_backward(dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx):
    return gathered(a_share, dy, dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx)


@cache
def _mean_of_all(real):
    def kernel(x, y, pixels, channels, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            start = i // channels * pixels * channels + i % channels
            total = real(0)
            for pixel in range(pixels):
                total += x[start + u(pixel) * channels]
            y[i] = total / real(pixels)
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def global_avgpool2d_forward(x, y):
    check_count(x.size)
    pixels = x.shape[1] * x.shape[2]
    return over(y.size, _mean_of_all(number(x.dtype)), x, y, np.uint32(pixels), np.uint32(x.shape[3]))


@cache
def _spread_over_all(real):
    def kernel(dy, dx, pixels, channels, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            dx[i] = dy[i // (pixels * channels) * channels + i % channels] / real(pixels)
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def global_avgpool2d_backward(dy, dx):
    pixels = dx.shape[1] * dx.shape[2]
    return over(dx.size, _spread_over_all(number(dx.dtype)), dy, dx, np.uint32(pixels), np.uint32(dx.shape[3]))
