"""Random changes of images: what is drawn for each image, and what it does to the image."""

import math
from functools import cache

import numpy as np

from .compiler import cospi, cuda, device, float64, int64, number, sinpi, uint32, uint64
from .launch import THREADS, Launch, check_count, once, over, scratch
from .norm import random_words
from .sums import TILE, add_up

u = uint32
CONSTANT, NEAREST, REFLECT = 0, 1, 2
BILINEAR = 1


def _uniform(low, high, state, value, k, n):
    i = u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x)
    while i < n:
        c0, c1, c2, c3 = random_words(uint64(i // u(4)), state)
        place = i % u(4)
        word = c0 if place == u(0) else c1 if place == u(1) else c2 if place == u(2) else c3
        value[i] = low[i % k] + (high[i % k] - low[i % k]) * (float64(word) / float64(4294967296.0))
        i += u(cuda.gridDim.x) * u(THREADS)


def _next_draw(state):
    state[1] += uint64(1)


def random_uniform(low, high, value, state):
    draws = over(value.size, _uniform, low, high, state, value, np.uint32(low.size))
    return [*draws, once(_next_draw, state)]


def _turns(motion, turns, n):
    i = u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x)
    while i < n:
        angle = motion[u(7) * i + u(2)] / float64(math.pi)
        turns[u(2) * i] = cospi(angle)  # cos needs memory, for the remainder of large angles
        turns[u(2) * i + u(1)] = sinpi(angle)
        i += u(cuda.gridDim.x) * u(THREADS)


@cache
def _inside(fill_mode):
    @device
    def inside(i, extent):
        if fill_mode == REFLECT:
            i = i % (int64(2) * extent)
            return min(i, int64(2) * extent - int64(1) - i)
        if fill_mode == CONSTANT or fill_mode == NEAREST:
            return min(max(i, int64(0)), extent - int64(1))
        return i % extent

    return inside


@cache
def _warp(real, shape, same_zoom, fill_mode, interpolation, fill_value):
    ih, iw, c, oh, ow = map(int64, shape)
    zero, half, one, two = float64(0), float64(0.5), float64(1), float64(2)
    inside, fill_value = _inside(fill_mode), float64(fill_value)

    @device
    def pixel(x, image, row, column, channel):
        if fill_mode == CONSTANT and not (int64(0) <= row < ih and int64(0) <= column < iw):
            return fill_value
        return float64(x[((image * ih + inside(row, ih)) * iw + inside(column, iw)) * c + channel])

    def kernel(x, motion, turns, y, n):
        e = u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x)
        while e < n:
            channel, j, i, image = int64(e) % c, int64(e) // c % ow, int64(e) // c // ow % oh, int64(e) // c // ow // oh
            m = image * int64(7)
            zoom = motion[m] if same_zoom else motion[m + 1]
            cosine, sine = turns[int64(2) * image], turns[int64(2) * image + 1]
            down = (float64(i) - (float64(oh) - one) / two) * (-motion[m] if motion[m + 5] < zero else motion[m])
            across = (float64(j) - (float64(ow) - one) / two) * (-zoom if motion[m + 6] < zero else zoom)
            row = (float64(ih) - one) / two + down * cosine + across * sine - motion[m + 3]
            column = (float64(iw) - one) / two + across * cosine - down * sine - motion[m + 4]
            if interpolation == BILINEAR:
                top, left = math.floor(row), math.floor(column)
                below, beside = row - top, column - left
                p, q = int64(top), int64(left)
                value = (one - below) * (one - beside) * pixel(x, image, p, q, channel)
                value += (one - below) * beside * pixel(x, image, p, q + int64(1), channel)
                value += below * (one - beside) * pixel(x, image, p + int64(1), q, channel)
                value += below * beside * pixel(x, image, p + int64(1), q + int64(1), channel)
            else:
                value = pixel(x, image, int64(math.floor(row + half)), int64(math.floor(column + half)), channel)
            y[e] = real(value)
            e += u(cuda.gridDim.x) * u(THREADS)

    return kernel


def affine_warp(x, motion, same_zoom, fill_mode, interpolation, fill_value, y):
    check_count(x.size)
    turns = scratch(motion.shape[0], 2, dtype=np.float64)
    shape = (*x.shape[1:], *y.shape[1:3])
    warp = _warp(number(x.dtype), shape, bool(same_zoom), fill_mode, interpolation, fill_value)
    return [*over(motion.shape[0], _turns, motion, turns), *over(y.size, warp, x, motion, turns, y)]


@cache
def _contrast(real, low, high):
    low, high = float64(low), float64(high)

    def kernel(x, change, y, size, c):
        """A block for each image."""
        sums = cuda.shared.array(TILE, float64)
        t, image = u(cuda.threadIdx.x), u(cuda.blockIdx.x)
        factor, shift = change[u(2) * image], change[u(2) * image + u(1)]
        for channel in range(c):
            first = image * size * c + u(channel)
            total = float64(0)
            for i in range(t, size, u(TILE)):
                total += float64(x[first + u(i) * c])
            sums[t] = total
            add_up(sums, t)
            mean = sums[0] / float64(size)
            cuda.syncthreads()
            for i in range(t, size, u(TILE)):
                value = (float64(x[first + u(i) * c]) - mean) * factor + mean + shift
                y[first + u(i) * c] = real(low if value < low else high if value > high else value)  # NaN stays NaN

    return kernel


def contrast_brightness(x, change, low, high, y):
    if not x.size:
        return []
    check_count(x.size)
    images, ih, iw, c = x.shape
    return [Launch(_contrast(number(x.dtype), low, high), (images, 1, 1), (x, change, y, np.uint32(ih * iw), np.uint32(c)), TILE)]
