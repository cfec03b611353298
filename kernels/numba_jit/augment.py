"""Random changes of images: what is drawn for each image, and what it does to the image."""

import math

import numpy as np

from .call import step
from .norm import philox_words
from .pointers import inline, offset, words_on_stack

CONSTANT, NEAREST, REFLECT = 0, 1, 2
BILINEAR = 1


@step("")
def random_uniform(call, first, last):
    word, k = words_on_stack(4), call.k
    for i in range(call.n * k):
        if i % 4 == 0:
            philox_words(i // 4, np.int64(call.state[1]), np.int64(call.state[0]), word, 1)
        j = i % k
        call.value[i] = call.low[j] + (call.high[j] - call.low[j]) * (word[i % 4] / 4294967296.0)
    call.state[1] = np.int64(call.state[1]) + 1


@step("n oh", "ow c", weight=4)
def affine_warp(call, first, last):
    ih, iw, c, oh, ow = call.ih, call.iw, call.c, call.oh, call.ow
    for line in range(first, last):
        m = offset(call.motion, 7 * (line // oh))
        image, out = offset(call.x, line // oh * ih * iw * c), offset(call.y, line * ow * c)
        cosine, sine = math.cos(m[2]), math.sin(m[2])
        u = (line % oh - (oh - 1) / 2.0) * (-m[0] if m[5] < 0 else m[0])
        zoom = m[0] if call.same_zoom else m[1]
        if m[6] < 0:
            zoom = -zoom
        for j in range(ow):
            v = (j - (ow - 1) / 2.0) * zoom
            row = (ih - 1) / 2.0 + u * cosine + v * sine - m[3]
            column = (iw - 1) / 2.0 + v * cosine - u * sine - m[4]
            pixel = offset(out, j * c)
            for t in range(c):
                pixel[t] = 0.0
            if call.interpolation == BILINEAR:
                top, left = math.floor(row), math.floor(column)
                down, right = row - top, column - left
                add_pixel(call, image, top, left, (1 - down) * (1 - right), pixel)
                add_pixel(call, image, top, left + 1, (1 - down) * right, pixel)
                add_pixel(call, image, top + 1, left, down * (1 - right), pixel)
                add_pixel(call, image, top + 1, left + 1, down * right, pixel)
            else:
                add_pixel(call, image, math.floor(row + 0.5), math.floor(column + 0.5), 1.0, pixel)


@inline
def add_pixel(call, image, row, column, weight, out):
    ih, iw, c = call.ih, call.iw, call.c
    if call.fill_mode == CONSTANT and not (0 <= row < ih and 0 <= column < iw):
        for t in range(c):
            out[t] += weight * call.fill_value
    else:
        pixel = offset(image, (inside(row, ih, call.fill_mode) * iw + inside(column, iw, call.fill_mode)) * c)
        for t in range(c):
            out[t] += weight * pixel[t]


@inline
def inside(i, extent, fill_mode):
    if 0 <= i < extent:
        return i
    if fill_mode == NEAREST:
        return min(max(i, 0), extent - 1)
    if fill_mode == REFLECT:
        i = i % (2 * extent)
        return min(i, 2 * extent - 1 - i)
    return i % extent


@step("n", "ih iw c")
def contrast_brightness(call, first, last):
    r, c, low, high = call.ih * call.iw, call.c, call.low, call.high
    for image in range(first, last):
        x, y = offset(call.x, image * r * c), offset(call.y, image * r * c)
        factor, shift = call.change[2 * image], call.change[2 * image + 1]
        for t in range(c):
            total = 0.0
            for i in range(r):
                total += x[i * c + t]
            mean = total / r
            for i in range(r):
                value = x[i * c + t] * factor + (mean * (1.0 - factor) + shift)
                y[i * c + t] = low if value < low else high if value > high else value  # NaN stays NaN
