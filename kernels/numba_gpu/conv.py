"""Convolution as an implicit matrix product: the factors' elements are looked up in the image, patches are nowhere written down."""

from functools import cache

import numpy as np

from .activation import custom, fused, gated
from .compiler import cuda, device, int32, number, uint32
from .factor import Factor
from .launch import THREADS, check_count, over
from .neighbours import together
from .product import Result, product

u = uint32


@cache
def _patches(geometry, pixels_along_sum):
    """Return where an element of an image's patches is; a patch is a row of the factor, or a place of the sum."""
    ih, iw, oh, ow, c, kh, kw, cg, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w = map(int32, geometry)

    @device
    def place(i, k, extent, depth, group):
        pixel, tap = (u(k), u(i)) if pixels_along_sum else (u(i), u(k))
        # what follows from the pixel alone, and from the tap alone: one of the two stays as it is while the sum goes on
        row = pixel // u(ow)
        left, upper = int32(pixel % u(ow)) * stride_w - pad_left, int32(row % u(oh)) * stride_h - pad_top
        corner = u(((row // u(oh) * u(ih) + u(upper)) * u(iw) + u(left)) * u(c) + group * u(cg))
        channel, tap = tap % u(cg), tap // u(cg)
        right, down = int32(tap % u(kw)) * dilation_w, int32(tap // u(kw)) * dilation_h
        further = u((u(down) * u(iw) + u(right)) * u(c) + channel)
        inside = u(upper + down) < u(ih) and u(left + right) < u(iw)
        return inside, u(corner + further)

    return place


@cache
def _patches_of_gradient(geometry):
    """Return where, for a pixel of the image, an element of the patch of output gradients is that it went into."""
    *extents, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w = geometry
    if stride_h == stride_w == 1:  # patches like those of the forward pass, whose taps go backwards
        ih, iw, oh, ow, *rest = extents
        return _patches((oh, ow, ih, iw, *rest, 1, 1, -pad_top, -pad_left, -dilation_h, -dilation_w), False)
    ih, iw, oh, ow, co, kh, kw, cog, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w = map(int32, geometry)

    @device
    def place(i, k, extent, depth, group):
        pixel = u(i)
        channel, tap = u(k) % u(cog), u(k) // u(cog)
        x_reach = int32(pixel % u(iw)) + pad_left - int32(tap % u(kw)) * dilation_w
        row = pixel // u(iw)
        y_reach = int32(row % u(ih)) + pad_top - int32(tap // u(kw)) * dilation_h
        oy, ox = y_reach // stride_h, x_reach // stride_w
        inside = u(oy) < u(oh) and u(ox) < u(ow) and oy * stride_h == y_reach and ox * stride_w == x_reach
        return inside, u(((row // u(ih) * u(oh) + u(oy)) * u(ow) + u(ox)) * u(co) + group * u(cog) + channel)

    return place


@cache
def _filters(co, cog):
    """Return where an element of the filters is: column i is an output channel, k a tap and input channel."""
    co, cog = u(co), u(cog)

    @device
    def place(i, k, extent, depth, group):
        return True, u(k * co + group * cog + i)

    return place


@cache
def _filters_of_gradient(cg, co, cog):
    """Return where an element of the filters is: column i is an input channel, k a tap and output channel."""
    cg, co, cog = u(cg), u(co), u(cog)

    @device
    def place(i, k, extent, depth, group):
        return True, u((k // cog * cg + i) * co + group * cog + k % cog)

    return place


def _forward(x, w, b, window, groups, activation, y, slope, statistics):
    n, ih, iw, c = x.shape
    kh, kw, cg, co = w.shape
    oh, ow = y.shape[1:3]
    patches = Factor(x, _patches((ih, iw, oh, ow, c, kh, kw, cg, *window), False), True, together(x, c, cg))
    filters = Factor(w, _filters(co, co // groups), False, together(w, co, co // groups))
    extents = n * oh * ow, co // groups, kh * kw * cg
    return product(*extents, patches, filters, Result(y, b, activation, slope, statistics), groups)


def conv2d_forward(
    x, w, b, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, activation, alpha, y, statistics=None
):
    window = stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w
    return _forward(x, w, b, window, groups, fused(activation, alpha, number(y.dtype)), y, None, statistics)


def conv2d_custom_forward(
    x, w, b, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, function, y, slope, statistics=None
):
    window = stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w
    return _forward(x, w, b, window, groups, custom(function, slope is not None, y.dtype), y, slope, statistics)


def conv2d_backward_input(dy, w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, dx, gate=None):
    n, ih, iw, c = dx.shape
    kh, kw, cg, co = w.shape
    oh, ow = dy.shape[1:3]
    cog = co // groups
    geometry = (ih, iw, oh, ow, co, kh, kw, cog, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w)
    patches = Factor(dy, _patches_of_gradient(geometry), True, together(dy, co, cog))
    filters = Factor(w, _filters_of_gradient(cg, co, cog), True, together(w, co, cog))
    return product(n * ih * iw, cg, kh * kw * cog, patches, filters, Result(dx, None, *gated(gate, dx)), groups)


def conv2d_backward_weight(x, dy, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, dw, db):
    n, ih, iw, c = x.shape
    kh, kw, cg, co = dw.shape
    oh, ow = dy.shape[1:3]
    geometry = (ih, iw, oh, ow, c, kh, kw, cg, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w)
    patches = Factor(x, _patches(geometry, True), False, together(x, c, cg))
    errors = Factor(dy, _filters(co, co // groups), False, together(dy, co, co // groups))
    return product(kh * kw * cg, co // groups, n * oh * ow, patches, errors, Result(dw, totals=db), groups)


@cache
def _copy_patches(real, planes, geometry):
    place = _patches(geometry, False)
    planes, pixels, zero = u(planes), u(geometry[2] * geometry[3]), real(0)

    def kernel(x, cols, row, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            window, plane = i // row // planes, i // row % planes
            pixel = (window // pixels * planes + plane) * pixels + window % pixels  # every plane is an image of its own
            inside, index = place(pixel, i % row, n, row, u(0))
            value = zero
            if inside:
                value = x[index]
            cols[i] = value
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def im2col(x, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, cols):
    check_count(x.size)
    n, oh, ow, p, kh, kw, c = cols.shape
    geometry = (*x.shape[2:4], oh, ow, c, kh, kw, c, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w)
    return over(cols.size, _copy_patches(number(x.dtype), p, geometry), x, cols, np.uint32(kh * kw * c))


@cache
def _put_back(real, geometry):
    planes, ih, iw, oh, ow, c, kh, kw, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w = map(int32, geometry)

    def kernel(cols, x, n):
        p = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while p < n:
            channel, column, row, image = p % u(c), p // u(c) % u(iw), p // u(c) // u(iw) % u(ih), p // u(c) // u(iw) // u(ih)
            sample, plane = image // u(planes), image % u(planes)
            total = real(0)
            for i in range(kh):
                y_reach = int32(row) + pad_top - int32(i) * dilation_h
                for j in range(kw):
                    x_reach = int32(column) + pad_left - int32(j) * dilation_w
                    if (
                        x_reach >= int32(0)
                        and y_reach >= int32(0)
                        and x_reach % stride_w == int32(0)
                        and y_reach % stride_h == int32(0)
                    ):
                        oy, ox = y_reach // stride_h, x_reach // stride_w
                        if oy < oh and ox < ow:
                            window = (sample * u(oh) + u(oy)) * u(ow) + u(ox)
                            patch = window * u(planes) + plane
                            total += cols[((patch * u(kh) + u(i)) * u(kw) + u(j)) * u(c) + channel]
            x[p] = total
            p = u(p + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def col2im(cols, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, x):
    check_count(cols.size)
    n, oh, ow, p, kh, kw, c = cols.shape
    geometry = (p, *x.shape[2:4], oh, ow, c, kh, kw, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w)
    return over(x.size, _put_back(number(x.dtype), geometry), cols, x)
