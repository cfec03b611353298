"""Pooling. Backward passes gather for each pixel what its windows send, or go through the windows in order: no atomic additions."""

import math
from functools import cache

import numpy as np

from .compiler import cuda, device, int32, number, uint32
from .launch import THREADS, check_count, over

u = uint32


def geometry_of(image, pooled, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left):
    """Return what the functions below know of the windows when they are compiled."""
    return (*image.shape[1:3], *pooled.shape[1:], pool_h, pool_w, stride_h, stride_w, pad_top, pad_left)


@device
def _as_it_is(x, gamma, beta, mean, var, i, channel):
    return x[i]


@cache
def _largest(real, geometry, element):
    ih, iw, oh, ow, c, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left = map(int32, geometry)

    def kernel(x, gamma, beta, mean, var, y, argmax, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            channel, column, row, sample = i % u(c), i // u(c) % u(ow), i // u(c) // u(ow) % u(oh), i // u(c) // u(ow) // u(oh)
            top, left = int32(row) * stride_h - pad_top, int32(column) * stride_w - pad_left
            best, place = real(-math.inf), int32(-1)
            for py in range(max(top, int32(0)), min(top + pool_h, ih)):
                for px in range(max(left, int32(0)), min(left + pool_w, iw)):
                    place_in_x = u(((sample * u(ih) + u(py)) * u(iw) + u(px)) * u(c) + channel)
                    value = element(x, gamma, beta, mean, var, place_in_x, channel)
                    # strict: the first maximum stays; a NaN is the maximum
                    if value > best or (value != value and best == best) or place < int32(0):
                        best, place = value, int32(int32(py) * iw + int32(px))
            y[i] = best
            argmax[i] = place
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def largest(element, x, gamma, beta, mean, var, *window_y_argmax):
    """Return the launch of max pooling over what ``element(x, gamma, beta, mean, var, i, channel)`` makes of each x[i]."""
    *window, y, argmax = window_y_argmax
    check_count(x.size)
    kernel = _largest(number(x.dtype), geometry_of(x, y, *window), element)
    return over(y.size, kernel, x, gamma, beta, mean, var, y, argmax)


def maxpool2d_forward(x, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, argmax):
    return largest(_as_it_is, x, x, x, x, x, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, argmax)


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


@cache
def _mean(real, geometry, element):
    ih, iw, oh, ow, c, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left = map(int32, geometry)

    def kernel(x, gamma, beta, mean, var, y, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            channel, column, row, sample = i % u(c), i // u(c) % u(ow), i // u(c) // u(ow) % u(oh), i // u(c) // u(ow) // u(oh)
            top, left = int32(row) * stride_h - pad_top, int32(column) * stride_w - pad_left
            first_y, last_y = max(top, int32(0)), min(top + pool_h, ih)
            first_x, last_x = max(left, int32(0)), min(left + pool_w, iw)
            total = real(0)
            for py in range(first_y, last_y):
                for px in range(first_x, last_x):
                    place = u(((sample * u(ih) + u(py)) * u(iw) + u(px)) * u(c) + channel)
                    total += element(x, gamma, beta, mean, var, place, channel)
            y[i] = total / real((last_y - first_y) * (last_x - first_x))
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def average(element, x, gamma, beta, mean, var, *window_y):
    """Return the launch of average pooling; arguments as in `largest`."""
    *window, y = window_y
    check_count(x.size)
    return over(y.size, _mean(number(x.dtype), geometry_of(x, y, *window), element), x, gamma, beta, mean, var, y)


def avgpool2d_forward(x, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y):
    return average(_as_it_is, x, x, x, x, x, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y)


@cache
def what_windows_send(real, geometry, sent):
    """Return, for kernels to call, ``f(dy, p, i)``: the sum over the windows that hold pixel i of an image, in their order.

    The terms are ``sent(dy, p, window, place, count)``, where `place` is the pixel's in its image, as argmax has it, and `count` is
    the number of the window's pixels.
    """
    ih, iw, oh, ow, c, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left = map(int32, geometry)
    one = int32(1)

    @device
    def gather(dy, p, i):
        i = u(i)
        channel, column, row, sample = i % u(c), i // u(c) % u(iw), i // u(c) // u(iw) % u(ih), i // u(c) // u(iw) // u(ih)
        py, px = int32(row) + pad_top, int32(column) + pad_left
        # the windows that hold the pixel: o * stride <= p < o * stride + pool
        first_y, last_y = max(py - pool_h + stride_h, int32(0)) // stride_h, min(py // stride_h + one, oh)
        first_x, last_x = max(px - pool_w + stride_w, int32(0)) // stride_w, min(px // stride_w + one, ow)
        total = real(0)
        for oy in range(first_y, last_y):
            top = int32(oy) * stride_h - pad_top
            height = min(top + pool_h, ih) - max(top, int32(0))
            for ox in range(first_x, last_x):
                left = int32(ox) * stride_w - pad_left
                width = min(left + pool_w, iw) - max(left, int32(0))
                window = u(((sample * u(oh) + u(oy)) * u(ow) + u(ox)) * u(c) + channel)
                total += sent(dy, p, window, int32(row) * iw + int32(column), height * width)
        return total

    return gather


@cache
def a_share(real):
    """For `what_windows_send`: average pooling's."""

    @device
    def sent(dy, p, window, place, count):
        return dy[window] / real(count)

    return sent


@cache
def to_the_largest(real):
    """For `what_windows_send`: max pooling's, where p is argmax."""

    @device
    def sent(dy, argmax, window, place, count):
        return dy[window] if argmax[window] == place else real(0)

    return sent


@cache
def _gather(gather):
    def kernel(dy, p, dx, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            dx[i] = gather(dy, p, i)
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def gathered(sent, dy, p, *window_dx):
    """Return the launch of dx = `what_windows_send`."""
    *window, dx = window_dx
    check_count(dy.size)
    return over(dx.size, _gather(what_windows_send(number(dx.dtype), geometry_of(dx, dy, *window), sent)), dy, p, dx)


def avgpool2d_backward(dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx):
    return gathered(a_share(number(dx.dtype)), dy, dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx)


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
