"""Winograd's algorithm F(2x2, 3x3) for 3x3 convolutions: four multiplications for an output pixel instead of nine.

2x2 output pixels follow from 4x4 input pixels. Both sides are transformed, by additions alone, to 16 planes, in each of which tiles
by channels are multiplied with channels by filters (Lavin & Gray 2016, section 4.1, where the matrices of the transforms are). The
gradient of the filters is the same turned around: planes of the errors, channels by tiles multiplied with tiles by filters.
"""

import numpy as np

from .pointers import add, copy, fill, inline, is_null, offset, on_stack
from .product import PANEL_COLUMNS, multiply, panel_width
from .tile import tile_width

#: tiles that are transformed together, and the most channels
TILES, CHANNELS = 24, 256
#: channels and filters from which the transforms cost less than they save
FEWEST = 16
# What is transformed stands on the stack, at distances that are constants: only then does LLVM see that loops do not write what
# they read. Elements of a plane of the input's transform and of all of them, of 4x4 pixels, and the same for the output.
INPUT = TILES * CHANNELS
INPUTS, PIXELS = 16 * INPUT, 16 * CHANNELS
OUTPUT = TILES * PANEL_COLUMNS
OUTPUTS, SUMS, RESULTS = 16 * OUTPUT, 8 * PANEL_COLUMNS, 4 * PANEL_COLUMNS


def pays(e, channels, filters):
    """Say whether a convolution, or the gradient of its input, is better done this way."""
    ones = ("stride_h", "stride_w", "dilation_h", "dilation_w", "groups")
    plain = e["kh"] == e["kw"] == 3 and all(e[name] == 1 for name in ones)
    return plain and FEWEST <= e[channels] <= CHANNELS and e[filters] >= FEWEST and e["n"] * e["oh"] * e["ow"] >= 8 * TILES


def planes_size(c, co):
    """Return the elements of transformed filters."""
    return 16 * c * (co + PANEL_COLUMNS)


@inline
def tile_count(h, w):
    """Return the number of tiles of an output."""
    return ((h + 1) // 2) * ((w + 1) // 2)


@inline
def weighted(a, b, c):
    """Three elements of a filter as four."""
    return np.float64(a), 0.5 * (a + b + c), 0.5 * (a - b + c), np.float64(c)


@inline
def transform_filter(w, tap, c, co, k, j, planes):
    """Write the element (k, j) of all planes from the filter at `w`, whose taps lie `tap` elements apart; planes are in panels."""
    left = j // tile_width(w) * tile_width(w)
    place = left * c + k * panel_width(min(tile_width(w), co - left), w) + j - left
    left_column = weighted(w[0], w[3 * tap], w[6 * tap])
    middle_column = weighted(w[tap], w[4 * tap], w[7 * tap])
    right_column = weighted(w[2 * tap], w[5 * tap], w[8 * tap])
    for i in range(4):
        row = weighted(left_column[i], middle_column[i], right_column[i])
        for m in range(4):
            planes[(4 * i + m) * c * (co + PANEL_COLUMNS) + place] = row[m]


@inline
def read_tile(image, ih, iw, c, top, left, pixels, planes):
    """Write one tile's row of all planes from the 4x4 pixels at (top, left) of an image, zero outside of it."""
    for i in range(4):
        for j in range(4):
            h, w, pixel = top + i, left + j, offset(pixels, (4 * i + j) * CHANNELS)
            if h >= 0 and h < ih and w >= 0 and w < iw:
                copy(offset(image, (h * iw + w) * c), pixel, c)
            else:
                fill(pixel, c, 0.0)
    for j in range(4):
        d = offset(pixels, j * CHANNELS)
        for k in range(c):
            d0, d1, d2, d3 = d[k], d[k + 4 * CHANNELS], d[k + 8 * CHANNELS], d[k + 12 * CHANNELS]
            d[k] = d0 - d2
            d[k + 4 * CHANNELS] = d1 + d2
            d[k + 8 * CHANNELS] = d2 - d1
            d[k + 12 * CHANNELS] = d1 - d3
    for i in range(4):
        d, v = offset(pixels, 4 * i * CHANNELS), offset(planes, 4 * i * INPUT)
        for k in range(c):
            d0, d1, d2, d3 = d[k], d[k + CHANNELS], d[k + 2 * CHANNELS], d[k + 3 * CHANNELS]
            v[k] = d0 - d2
            v[k + INPUT] = d1 + d2
            v[k + 2 * INPUT] = d2 - d1
            v[k + 3 * INPUT] = d1 - d3


@inline
def inside(image, h, w, ih, iw, c, zeros):
    """Return a pixel of an image, `zeros` where there is none."""
    return offset(image, (h * iw + w) * c) if h < ih and w < iw else zeros


@inline
def read_errors(dy, oh, ow, co, top, left, channel, n, zeros, planes):
    """Write n elements of one tile's row of all planes from the errors of 2x2 pixels at (top, left), from a channel on."""
    first = offset(dy, channel)
    e00, e01 = inside(first, top, left, oh, ow, co, zeros), inside(first, top, left + 1, oh, ow, co, zeros)
    e10, e11 = inside(first, top + 1, left, oh, ow, co, zeros), inside(first, top + 1, left + 1, oh, ow, co, zeros)
    for k in range(n):
        write_row(e00[k], e01[k], offset(planes, k))
        write_row(e00[k] + e10[k], e01[k] + e11[k], offset(planes, 4 * INPUT + k))
        write_row(e00[k] - e10[k], e01[k] - e11[k], offset(planes, 8 * INPUT + k))
        write_row(-e10[k], -e11[k], offset(planes, 12 * INPUT + k))


@inline
def write_row(left, right, planes):
    planes[0] = left
    planes[INPUT] = left + right
    planes[2 * INPUT] = left - right
    planes[3 * INPUT] = -right


@inline
def add_tiles(call, first, last, sums, bias):
    """Sum what tiles [first, last) add to the planes of the gradient of the filters, and to `bias` if it is not NULL."""
    c, co, ih, iw, oh, ow = call.c, call.co, call.ih, call.iw, call.oh, call.ow
    pixels, inputs, errors = on_stack(sums, PIXELS), on_stack(sums, INPUTS), on_stack(sums, INPUTS)
    zeros = on_stack(sums, PANEL_COLUMNS)
    fill(zeros, PANEL_COLUMNS, 0.0)
    fill(errors, INPUTS, 0.0)
    size, across = tile_count(oh, ow), (ow + 1) // 2
    for begin in range(first, last, TILES):
        count = min(TILES, last - begin)
        for t in range(count):
            i, place = (begin + t) // size, (begin + t) % size
            top, left, image = place // across * 2, place % across * 2, offset(call.x, i * ih * iw * c)
            read_tile(image, ih, iw, c, top - call.pad_top, left - call.pad_left, pixels, offset(inputs, t * CHANNELS))
            for j in range(0, co, tile_width(sums)):
                n = min(tile_width(sums), co - j)
                row = offset(errors, j * TILES + t * panel_width(n, sums))
                read_errors(offset(call.dy, i * oh * ow * co), oh, ow, co, top, left, j, n, zeros, row)
                if not is_null(bias):
                    add(offset(row, 5 * INPUT), offset(bias, j), n)  # in this plane stands the sum of the tile's errors
        for j in range(0, co, tile_width(sums)):
            n = min(tile_width(sums), co - j)
            for plane in range(16):
                target = offset(sums, plane * c * co + j)
                panel = offset(errors, plane * INPUT + j * TILES)
                multiply(offset(inputs, plane * INPUT), 1, CHANNELS, c, panel, count, target, co, target, co, n)


@inline
def unweighted(m0, m1, m2, m3):
    """Four elements as three of a filter's gradient."""
    return m0 + 0.5 * (m1 + m2), 0.5 * (m1 - m2), 0.5 * (m1 + m2) + m3


@inline
def filter_gradient(planes, plane, dw, tap):
    """Write the gradient of one filter, whose taps lie `tap` elements apart, from its elements of all planes."""
    m0 = unweighted(planes[0], planes[4 * plane], planes[8 * plane], planes[12 * plane])
    m1 = unweighted(planes[plane], planes[5 * plane], planes[9 * plane], planes[13 * plane])
    m2 = unweighted(planes[2 * plane], planes[6 * plane], planes[10 * plane], planes[14 * plane])
    m3 = unweighted(planes[3 * plane], planes[7 * plane], planes[11 * plane], planes[15 * plane])
    for i in range(3):
        row = unweighted(m0[i], m1[i], m2[i], m3[i])
        for j in range(3):
            dw[(3 * i + j) * tap] = row[j]


@inline
def write_tile(planes, start, sums, results):
    """Make 2x2 pixels of a panel's filters from one tile's row of all planes, and add `start` to them."""
    for j in range(4):
        m, s = offset(planes, j * OUTPUT), offset(sums, j * PANEL_COLUMNS)
        for k in range(PANEL_COLUMNS):
            m0, m1, m2, m3 = m[k], m[k + 4 * OUTPUT], m[k + 8 * OUTPUT], m[k + 12 * OUTPUT]
            s[k] = m0 + m1 + m2
            s[k + 4 * PANEL_COLUMNS] = m1 - m2 - m3
    for i in range(2):
        s, y = offset(sums, 4 * i * PANEL_COLUMNS), offset(results, 2 * i * PANEL_COLUMNS)
        for k in range(PANEL_COLUMNS):
            s0, s1, s2, s3 = s[k], s[k + PANEL_COLUMNS], s[k + 2 * PANEL_COLUMNS], s[k + 3 * PANEL_COLUMNS]
            y[k] = s0 + s1 + s2 + start[k]
            y[k + PANEL_COLUMNS] = s1 - s2 - s3 + start[k]


def convolution(finish):
    """Return a function that convolves tiles and ends with `finish(call, first element, elements)`."""

    @inline
    def convolve(call, image, ih, iw, c, pad_top, pad_left, filters, bias, y, oh, ow, co, first, last):
        """Compute tiles [first, last) of y, of all images, from transformed filters."""
        pixels, inputs, outputs = on_stack(y, PIXELS), on_stack(y, INPUTS), on_stack(y, OUTPUTS)
        sums, results = on_stack(y, SUMS), on_stack(y, RESULTS)
        zeros, start = on_stack(y, PANEL_COLUMNS), on_stack(y, PANEL_COLUMNS)
        fill(zeros, PANEL_COLUMNS, 0.0)
        fill(start, PANEL_COLUMNS, 0.0)
        fill(outputs, OUTPUTS, 0.0)
        size, across = tile_count(oh, ow), (ow + 1) // 2
        for begin in range(first, last, TILES):
            count = min(TILES, last - begin)
            for t in range(count):
                i, place = (begin + t) // size, (begin + t) % size
                top, left = place // across * 2 - pad_top, place % across * 2 - pad_left
                read_tile(offset(image, i * ih * iw * c), ih, iw, c, top, left, pixels, offset(inputs, t * CHANNELS))
            for left in range(0, co, tile_width(y)):
                n = min(tile_width(y), co - left)
                for plane in range(16):
                    panel = offset(filters, plane * c * (co + PANEL_COLUMNS) + left * c)
                    target = offset(outputs, plane * OUTPUT)
                    multiply(offset(inputs, plane * INPUT), CHANNELS, 1, count, panel, c, zeros, 0, target, PANEL_COLUMNS, n)
                if not is_null(bias):
                    copy(offset(bias, left), start, n)
                for t in range(count):
                    i, place = (begin + t) // size, (begin + t) % size
                    write_tile(offset(outputs, t * PANEL_COLUMNS), start, sums, results)
                    for corner in range(4):
                        h, w = place // across * 2 + corner // 2, place % across * 2 + corner % 2
                        if h < oh and w < ow:
                            at = ((i * oh + h) * ow + w) * co + left
                            copy(offset(results, corner * PANEL_COLUMNS), offset(y, at), n)
                            finish(call, at, n)

    return convolve


@inline
def nothing(call, first, n):
    """Finish what needs no finish."""
