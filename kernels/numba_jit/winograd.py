"""Winograd's algorithm F(2x2, 3x3) for 3x3 convolutions: four multiplications for an output pixel instead of nine.

2x2 output pixels follow from 4x4 input pixels. Both sides are transformed, by additions alone, to 16 planes, in each of which tiles
by channels are multiplied with channels by filters (Lavin & Gray 2016, section 4.1, where the matrices of the transforms are). The
gradient of the filters is the same turned around: planes of the errors, channels by tiles multiplied with tiles by filters.
"""

from .pointers import add, copy, copy_rows, fill, inline, is_null, offset, on_stack
from .product import PANEL_COLUMNS, multiply, panel_width
from .tile import tile_width
from .vectors import lanes, pick, read, write

#: tiles that are transformed together, and the most channels
TILES, CHANNELS = 24, 256
#: channels and filters from which the transforms cost less than they save; no vector is longer
FEWEST = 16
# What is transformed stands on the stack, at distances that are constants: only then does LLVM see that loops do not write what
# they read. Elements of a plane of the input's transform and of all of them, of 4x4 pixels, and the same for the output. Planes are
# no multiple of 4096 bytes apart: the nearest cache has few places for addresses that are.
INPUT = TILES * CHANNELS + PANEL_COLUMNS
INPUTS, PIXELS = 16 * INPUT, 16 * CHANNELS
OUTPUT = TILES * PANEL_COLUMNS
OUTPUTS, RESULTS = 16 * OUTPUT, 4 * PANEL_COLUMNS


def pays(e, channels, filters):
    """Say whether a convolution, or the gradient of its input, is better done this way."""
    ones = ("stride_h", "stride_w", "dilation_h", "dilation_w", "groups")
    plain = e["kh"] == e["kw"] == 3 and all(e[name] == 1 for name in ones)
    return plain and FEWEST <= e[channels] <= CHANNELS and e[filters] >= FEWEST and e["n"] * e["oh"] * e["ow"] >= 8 * TILES


@inline
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
    return a, 0.5 * (a + b + c), 0.5 * (a - b + c), c


@inline
def transform_filters(w, tap, c, co, k, j, planes):
    """Write a vector of elements (k, j), (k, j + 1), ... of all planes, which are in panels.

    The first filter begins at `w`, and taps lie `tap` elements apart.
    """
    plane, n, left = c * (co + PANEL_COLUMNS), co - j, j // tile_width(w) * tile_width(w)
    place = offset(planes, left * c + k * panel_width(min(tile_width(w), co - left), w) + j - left)
    upper, middle, lower = read(3, w, tap, n), read(3, offset(w, 3 * tap), tap, n), read(3, offset(w, 6 * tap), tap, n)
    first, second, third, last = weighted(upper, middle, lower)
    write_weighted(first, place, plane)
    write_weighted(second, offset(place, 4 * plane), plane)
    write_weighted(third, offset(place, 8 * plane), plane)
    write_weighted(last, offset(place, 12 * plane), plane)


@inline
def write_weighted(row, planes, plane):
    first, second, third, last = weighted(pick(row, 0), pick(row, 1), pick(row, 2))
    write(first, planes, 0, None)
    write(second, offset(planes, plane), 0, None)
    write(third, offset(planes, 2 * plane), 0, None)
    write(last, offset(planes, 3 * plane), 0, None)


@inline
def read_tile(image, ih, iw, c, top, left, pixels, planes):
    """Write one tile's row of all planes from the 4x4 pixels at (top, left) of an image, zero outside of it."""
    d, row, pixel = offset(image, (top * iw + left) * c), iw * c, c
    if top < 0 or left < 0 or top + 4 > ih or left + 4 > iw:
        d, row, pixel = pixels, 4 * CHANNELS, CHANNELS
        for i in range(4):
            for j in range(4):
                h, w, target = top + i, left + j, offset(pixels, (4 * i + j) * CHANNELS)
                if h >= 0 and h < ih and w >= 0 and w < iw:
                    copy(offset(image, (h * iw + w) * c), target, c)
                else:
                    fill(target, c, 0.0)
    for channel in range(0, c, lanes(planes)):
        k = min(channel, c - lanes(planes))
        d0, d1 = read(4, offset(d, k), pixel, None), read(4, offset(d, row + k), pixel, None)
        d2, d3 = read(4, offset(d, 2 * row + k), pixel, None), read(4, offset(d, 3 * row + k), pixel, None)
        write_differences(d0 - d2, offset(planes, k))
        write_differences(d1 + d2, offset(planes, 4 * INPUT + k))
        write_differences(d2 - d1, offset(planes, 8 * INPUT + k))
        write_differences(d1 - d3, offset(planes, 12 * INPUT + k))


@inline
def write_differences(d, planes):
    write(pick(d, 0) - pick(d, 2), planes, 0, None)
    write(pick(d, 1) + pick(d, 2), offset(planes, INPUT), 0, None)
    write(pick(d, 2) - pick(d, 1), offset(planes, 2 * INPUT), 0, None)
    write(pick(d, 1) - pick(d, 3), offset(planes, 3 * INPUT), 0, None)


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
def filter_gradients(planes, plane, dw, tap, n):
    """Write the gradients of n filters, at most a vector, from their elements of all planes; taps lie `tap` elements apart."""
    m0, m1 = read(4, planes, plane, n), read(4, offset(planes, 4 * plane), plane, n)
    m2, m3 = read(4, offset(planes, 8 * plane), plane, n), read(4, offset(planes, 12 * plane), plane, n)
    upper, middle, lower = unweighted(m0, m1, m2, m3)
    write_unweighted(upper, dw, tap, n)
    write_unweighted(middle, offset(dw, 3 * tap), tap, n)
    write_unweighted(lower, offset(dw, 6 * tap), tap, n)


@inline
def write_unweighted(row, dw, tap, n):
    left, middle, right = unweighted(pick(row, 0), pick(row, 1), pick(row, 2), pick(row, 3))
    write(left, dw, 0, n)
    write(middle, offset(dw, tap), 0, n)
    write(right, offset(dw, 2 * tap), 0, n)


@inline
def write_tile(planes, start, results):
    """Make 2x2 pixels of a panel's filters from one tile's row of all planes, and add `start` to them."""
    for k in range(0, PANEL_COLUMNS, lanes(planes)):
        m0, m1 = read(4, offset(planes, k), OUTPUT, None), read(4, offset(planes, 4 * OUTPUT + k), OUTPUT, None)
        m2, m3 = read(4, offset(planes, 8 * OUTPUT + k), OUTPUT, None), read(4, offset(planes, 12 * OUTPUT + k), OUTPUT, None)
        write_sums(m0 + m1 + m2, offset(start, k), offset(results, k))
        write_sums(m1 - m2 - m3, offset(start, k), offset(results, 2 * PANEL_COLUMNS + k))


@inline
def write_sums(s, start, results):
    first = read(1, start, 0, None)
    write(pick(s, 0) + pick(s, 1) + pick(s, 2) + first, results, 0, None)
    write(pick(s, 1) - pick(s, 2) - pick(s, 3) + first, offset(results, PANEL_COLUMNS), 0, None)


def convolution(finish):
    """Return a function that convolves tiles and ends with `finish(call, first element, elements)`."""

    @inline
    def convolve(call, image, ih, iw, c, pad_top, pad_left, filters, bias, y, oh, ow, co, first, last):
        """Compute tiles [first, last) of y, of all images, from transformed filters."""
        pixels, inputs, outputs = on_stack(y, PIXELS), on_stack(y, INPUTS), on_stack(y, OUTPUTS)
        results, zeros, start = on_stack(y, RESULTS), on_stack(y, PANEL_COLUMNS), on_stack(y, PANEL_COLUMNS)
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
                    write_tile(offset(outputs, t * PANEL_COLUMNS), start, results)
                    h, w = place // across * 2, place % across * 2
                    columns = min(2, ow - w)
                    for row in range(min(2, oh - h)):
                        at = ((i * oh + h + row) * ow + w) * co + left
                        copy_rows(offset(results, 2 * row * PANEL_COLUMNS), PANEL_COLUMNS, offset(y, at), co, columns, n)
                        for column in range(columns):
                            finish(call, at + column * co, n)

    return convolve


@inline
def nothing(call, first, n):
    """Finish what needs no finish."""
