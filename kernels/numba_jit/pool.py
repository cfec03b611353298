"""Pooling over windows of an image. The innermost loop runs over channels, which are contiguous."""

import numpy as np

from .call import step
from .pointers import copy, doubles_on_stack, fill, inline, offset
from .sums import COLUMNS, column_sums

# The part of a window that lies inside the image: its first row or column, and the one behind its last.


@inline
def rows_inside(call, oy):
    top = oy * call.stride_h - call.pad_top
    return max(0, top), min(call.ih, top + call.pool_h)


@inline
def columns_inside(call, ox):
    left = ox * call.stride_w - call.pad_left
    return max(0, left), min(call.iw, left + call.pool_w)


@step("n oh", "ow c pool_h pool_w")
def maxpool2d_forward(call, first, last):
    c, ih, iw, oh, ow = call.c, call.ih, call.iw, call.oh, call.ow
    for line in range(first, last):
        x = offset(call.x, line // oh * ih * iw * c)
        top, bottom = rows_inside(call, line % oh)
        for ox in range(ow):
            y, argmax = offset(call.y, (line * ow + ox) * c), offset(call.argmax, (line * ow + ox) * c)
            left, right = columns_inside(call, ox)
            pixel = offset(x, (top * iw + left) * c)
            for k in range(c):
                y[k] = pixel[k]
                argmax[k] = top * iw + left
            for iy in range(top, bottom):
                for ix in range(left, right):
                    take_larger(offset(x, (iy * iw + ix) * c), np.int32(iy * iw + ix), y, argmax, c)


@inline
def take_larger(pixel, place, y, argmax, c):
    """Let larger elements, or the first NaN, take the place of those in y; an equal one does not, so the first maximum stays."""
    for k in range(c):
        candidate, best = pixel[k], y[k]
        better = (candidate > best) | ((candidate != candidate) & (best == best))
        y[k] = candidate if better else best
        argmax[k] = place if better else argmax[k]


@step("n", "ih iw c")
def maxpool2d_backward(call, first, last):
    c, image, output = call.c, call.ih * call.iw * call.c, call.oh * call.ow * call.c
    for i in range(first, last):
        dy, argmax, dx = offset(call.dy, i * output), offset(call.argmax, i * output), offset(call.dx, i * image)
        fill(dx, image, 0.0)
        for o in range(0, output, c):
            for k in range(c):
                dx[argmax[o + k] * c + k] += dy[o + k]


@step("n oh", "ow c pool_h pool_w")
def avgpool2d_forward(call, first, last):
    c, ih, iw, oh, ow = call.c, call.ih, call.iw, call.oh, call.ow
    for line in range(first, last):
        x = offset(call.x, line // oh * ih * iw * c)
        top, bottom = rows_inside(call, line % oh)
        for ox in range(ow):
            y = offset(call.y, (line * ow + ox) * c)
            left, right = columns_inside(call, ox)
            fill(y, c, 0.0)
            for iy in range(top, bottom):
                for ix in range(left, right):
                    add_scaled(1.0, offset(x, (iy * iw + ix) * c), y, c)
            share = 1.0 / ((bottom - top) * (right - left))
            for k in range(c):
                y[k] *= share


@inline
def add_scaled(factor, x, y, n):
    """y += factor * x"""
    for k in range(n):
        y[k] += factor * x[k]


@step("n", "ih iw c")
def avgpool2d_backward(call, first, last):
    c, ih, iw, oh, ow = call.c, call.ih, call.iw, call.oh, call.ow
    for i in range(first, last):
        dx = offset(call.dx, i * ih * iw * c)
        fill(dx, ih * iw * c, 0.0)
        for oy in range(oh):
            top, bottom = rows_inside(call, oy)
            for ox in range(ow):
                left, right = columns_inside(call, ox)
                share = 1.0 / ((bottom - top) * (right - left))
                for iy in range(top, bottom):
                    for ix in range(left, right):
                        add_scaled(share, offset(call.dy, ((i * oh + oy) * ow + ox) * c), offset(dx, (iy * iw + ix) * c), c)


@step("n", "ih iw c")
def global_avgpool2d_forward(call, first, last):
    c, pixels, sums = call.c, call.ih * call.iw, doubles_on_stack(COLUMNS)
    for i in range(first, last):
        for left in range(0, c, COLUMNS):
            n = min(COLUMNS, c - left)
            column_sums(offset(call.x, i * pixels * c + left), c, pixels, 0, n, sums)
            for k in range(n):
                call.y[i * c + left + k] = sums[k] / pixels


@step("n", "ih iw c")
def global_avgpool2d_backward(call, first, last):
    c, pixels = call.c, call.ih * call.iw
    for i in range(first, last):
        dx = offset(call.dx, i * pixels * c)
        for k in range(c):
            dx[k] = call.dy[i * c + k] / pixels
        for pixel in range(1, pixels):
            copy(dx, offset(dx, pixel * c), c)
