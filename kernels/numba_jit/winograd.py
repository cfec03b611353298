"""3x3 and 5x5 convolutions by Winograd's F(4x4, 3x3) and F(2x2, 5x5): a quarter and a third of the multiplications, for transforms.

Both algorithms compute a tile of 4x4 or 2x2 output pixels from 6x6 input pixels. The tile and the filters are transformed to 36
planes, in each of which tiles by channels are multiplied with channels by filters. Both evaluate at 0, 1, -1, 2, -2 and infinity,
and so have the same B. With the input d, the filter g and the output y of a tile (Lavin & Gray 2016, section 4.3),

    y = A' [(G g G') * (B' d B)] A        dg = G' [sum over tiles (B' d B) * (A dy A')] G

For the gradient of the filters, planes of inputs, channels by tiles, are multiplied with planes of errors, tiles by filters.
The transforms multiply by up to 8 and divide by up to 24, so the error is about ten times that of the direct product.
"""

from .pointers import add, copy, fill, inline, is_null, offset, on_stack, pointers_on_stack
from .product import PANEL_COLUMNS, multiply, panel_width
from .tile import tile_width
from .vectors import MOST_LANES, join, lanes, read, read_at, split, write, write_at

#: pixels of the input that a tile sees in each direction, and planes
SPAN, PLANES = 6, 36
#: the fewest channels and filters, so that no vector is longer, and the most channels
FEWEST, CHANNELS = 16, 256
#: tiles that are transformed together
TILES = 24
#: what a channel of a tile and one of a filter cost, in multiplications of a product: their transforms, and the loads and stores
TILE_COST, FILTER_COST = 120, 400
# What is transformed stands on the stack, 2 MB of it in float64, in planes at a distance that is a constant: tiles of the input by
# channels and then, from PANEL on, by a panel of filters. Here and in memory, planes are no multiple of 4096 bytes apart: the
# nearest cache has few places for addresses that are.
PANEL = TILES * CHANNELS
PLANE = PANEL + TILES * PANEL_COLUMNS + PANEL_COLUMNS
ROOM = PLANES * PLANE
#: room for a square of vectors
SQUARE = PLANES * MOST_LANES


def pays(e, c, co, height, width):
    """Say whether a convolution of c channels by co filters, or a gradient of it, is better done this way."""
    ones = ("stride_h", "stride_w", "dilation_h", "dilation_w", "groups")
    if e["kh"] != e["kw"] or e["kh"] not in (3, 5) or any(e[name] != 1 for name in ones):
        return False
    if not FEWEST <= c <= CHANNELS or co < FEWEST:
        return False
    tiles = e["n"] * tile_count.py_func(height, width, e["kh"])
    transforms = tiles * TILE_COST * (c + co) + FILTER_COST * c * co
    return tiles * PLANES * c * co + transforms < e["n"] * e["oh"] * e["ow"] * e["kh"] * e["kw"] * c * co


@inline
def plane_size(rows, columns):
    """Return the elements from one plane of this shape to the next: whole vectors, and a little more for the distance."""
    return rows * ((columns + MOST_LANES - 1) // MOST_LANES * MOST_LANES) + PANEL_COLUMNS


@inline
def tile_count(h, w, taps):
    """Return the number of tiles of an output."""
    extent = SPAN + 1 - taps
    return ((h + extent - 1) // extent) * ((w + extent - 1) // extent)


@inline
def place_of(tile, h, w, extent):
    """Return the image of a tile, and its first row and column in the output."""
    down, across = (h + extent - 1) // extent, (w + extent - 1) // extent
    return tile // (down * across), tile // across % down * extent, tile % across * extent


# The transforms of a column or row of vectors, by the matrices above


@inline
def bt(d0, d1, d2, d3, d4, d5):
    even, odd, even_2, odd_2 = d4 - 4.0 * d2, d3 - 4.0 * d1, d4 - d2, 2.0 * (d3 - d1)
    return 4.0 * d0 - 5.0 * d2 + d4, even + odd, even - odd, even_2 + odd_2, even_2 - odd_2, 4.0 * d1 - 5.0 * d3 + d5


@inline
def at_4(m0, m1, m2, m3, m4, m5):
    even, odd, even_2, odd_2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return m0 + even + even_2, odd + 2.0 * odd_2, even + 4.0 * even_2, odd + 8.0 * odd_2 + m5


@inline
def at_2(m0, m1, m2, m3, m4, m5):
    return m0 + (m1 + m2) + (m3 + m4), m1 - m2 + 2.0 * (m3 - m4) + m5


@inline
def a_4(v0, v1, v2, v3):
    even, odd, even_2, odd_2 = v0 + v2, v1 + v3, v0 + 4.0 * v2, 2.0 * v1 + 8.0 * v3
    return v0, even + odd, even - odd, even_2 + odd_2, even_2 - odd_2, v3


@inline
def a_2(v0, v1):
    return v0, v0 + v1, v0 - v1, v0 + 2.0 * v1, v0 - 2.0 * v1, v1


@inline
def g_3(g0, g1, g2):
    even, odd = (g0 + g2) * (-1 / 6), g1 * (1 / 6)
    even_2, odd_2 = g0 * (1 / 24) + g2 * (1 / 6), g1 * (1 / 12)
    return g0 * 0.25, even - odd, even + odd, even_2 + odd_2, even_2 - odd_2, g2


@inline
def g_5(g0, g1, g2, g3, g4):
    even, odd = (g0 + g2 + g4) * (-1 / 6), (g1 + g3) * (1 / 6)
    even_2, odd_2 = g0 * (1 / 24) + g2 * (1 / 6) + g4 * (2 / 3), g1 * (1 / 12) + g3 * (1 / 3)
    return g0 * 0.25, even - odd, even + odd, even_2 + odd_2, even_2 - odd_2, g4


@inline
def gt_3(u0, u1, u2, u3, u4, u5):
    even, odd, even_2, odd_2 = (u1 + u2) * (1 / 6), (u2 - u1) * (1 / 6), u3 + u4, u3 - u4
    return u0 * 0.25 - even + even_2 * (1 / 24), odd + odd_2 * (1 / 12), even_2 * (1 / 6) - even + u5


@inline
def gt_5(u0, u1, u2, u3, u4, u5):
    even, odd, even_2, odd_2 = (u1 + u2) * (1 / 6), (u2 - u1) * (1 / 6), u3 + u4, u3 - u4
    first, second, third = u0 * 0.25 - even + even_2 * (1 / 24), odd + odd_2 * (1 / 12), even_2 * (1 / 6) - even
    return first, second, third, odd + odd_2 * (1 / 3), even_2 * (2 / 3) - even + u5


def _square(transform, size, extent):
    """Return a function that transforms a square of size x size vectors, `step` elements apart, to one of extent x extent.

    It reads n elements of each, and writes `target_n`, as `read` and `write` do.
    """

    @inline
    def convert(source, step, n, target, target_step, target_n):
        half, width = on_stack(target, SQUARE), lanes(target)
        for j in range(size):
            column = transform(*split(read(size, offset(source, j * step), size * step, n)))
            write(join(column), offset(half, j * width), size * width, None)
        for i in range(extent):
            row = transform(*split(read(size, offset(half, i * size * width), width, None)))
            write(join(row), offset(target, i * extent * target_step), target_step, target_n)

    return convert


def _from_pixels(transform, size):
    """Return a function that transforms a vector of size x size pixels, from channel k on, to 6x6 planes; n as in `read`."""

    @inline
    def convert(pixels, k, n, planes):
        half, width = on_stack(planes, SQUARE), lanes(planes)
        for j in range(size):
            column = transform(*split(read_at(size, offset(pixels, j), size, k, n)))
            write(join(column), offset(half, j * width), size * width, None)
        for i in range(SPAN):
            row = transform(*split(read(size, offset(half, i * size * width), width, None)))
            write(join(row), offset(planes, i * SPAN * PLANE), PLANE, None)

    return convert


def _to_pixels(transform, extent):
    """Return a function that transforms a vector of 6x6 planes to extent x extent pixels, adds `start`, and writes n elements."""

    @inline
    def convert(planes, start, pixels, k, n):
        half, width = on_stack(planes, SQUARE), lanes(planes)
        for j in range(SPAN):
            column = transform(*split(read(SPAN, offset(planes, j * PLANE), SPAN * PLANE, None)))
            write(join(column), offset(half, j * width), SPAN * width, None)
        for i in range(extent):
            row = join(transform(*split(read(SPAN, offset(half, i * SPAN * width), width, None)))) + read(1, start, 0, None)
            if n >= width:
                write_at(row, offset(pixels, i * extent), 1, k, None)
            else:
                write_at(row, offset(pixels, i * extent), 1, k, n)

    return convert


filter_3, filter_5 = _square(g_3, 3, SPAN), _square(g_5, 5, SPAN)
gradient_3, gradient_5 = _square(gt_3, SPAN, 3), _square(gt_5, SPAN, 5)
input_6, errors_4, errors_2 = _from_pixels(bt, SPAN), _from_pixels(a_4, 4), _from_pixels(a_2, 2)
output_4, output_2 = _to_pixels(at_4, 4), _to_pixels(at_2, 2)


@inline
def transform_filters(w, tap, taps, c, co, k, j, planes):
    """Write a vector of elements (k, j), (k, j + 1), ... of all planes, which are in panels.

    The first filter begins at `w`, and its taps x taps elements lie `tap` elements apart.
    """
    plane, left = plane_size(c, co), j // tile_width(w) * tile_width(w)
    place = offset(planes, left * c + k * panel_width(min(tile_width(w), co - left), w) + j - left)
    if taps == 3:
        filter_3(w, tap, co - j, place, plane, None)
    else:
        filter_5(w, tap, co - j, place, plane, None)


@inline
def filter_gradients(planes, plane, dw, tap, taps, n):
    """Write the gradients of n filters, at most a vector, from their elements of all planes; taps lie `tap` elements apart."""
    if taps == 3:
        gradient_3(planes, plane, n, dw, tap, n)
    else:
        gradient_5(planes, plane, n, dw, tap, n)


@inline
def point(image, height, width, c, top, left, extent, outside, pixels):
    """Point at the extent x extent pixels at (top, left) of an image, at `outside` where there is none."""
    for i in range(extent):
        for j in range(extent):
            h, w = top + i, left + j
            is_inside = h >= 0 and h < height and w >= 0 and w < width
            pixels[i * extent + j] = offset(image, (h * width + w) * c) if is_inside else outside


@inline
def read_inputs(image, height, width, c, top, left, zeros, pixels, planes):
    """Write one tile's row of all planes from the pixels at (top, left) of an image, zero outside of it."""
    point(image, height, width, c, top, left, SPAN, zeros, pixels)
    for channel in range(0, c, lanes(planes)):
        k = min(channel, c - lanes(planes))
        input_6(pixels, k, None, offset(planes, k))


@inline
def read_errors(pixels, extent, n, planes):
    """Write n elements of one tile's row of all planes, and zeros up to whole vectors, from its errors."""
    for k in range(0, n, lanes(planes)):
        if extent == 4:
            errors_4(pixels, k, n - k, offset(planes, k))
        else:
            errors_2(pixels, k, n - k, offset(planes, k))


@inline
def add_tiles(call, first, last, sums, bias):
    """Write the sums of what tiles [first, last) have in the planes of dw, and in `bias` if it is not NULL."""
    c, co, ih, iw, oh, ow, extent = call.c, call.co, call.ih, call.iw, call.oh, call.ow, SPAN + 1 - call.kh
    planes, zeros, pixels = on_stack(sums, ROOM), on_stack(sums, CHANNELS), pointers_on_stack(sums, PLANES)
    fill(zeros, CHANNELS, 0.0)
    if not is_null(bias):
        fill(bias, co, 0.0)
    errors = offset(planes, PANEL)
    for begin in range(first, last, TILES):
        count = min(TILES, last - begin)
        for t in range(count):
            i, h, w = place_of(begin + t, oh, ow, extent)
            top, left, row = h - call.pad_top, w - call.pad_left, offset(planes, t * c)
            read_inputs(offset(call.x, i * ih * iw * c), ih, iw, c, top, left, zeros, pixels, row)
        for j in range(0, co, tile_width(sums)):
            n = min(tile_width(sums), co - j)
            for t in range(count):
                i, h, w = place_of(begin + t, oh, ow, extent)
                row = offset(errors, t * panel_width(n, sums))
                point(offset(call.dy, i * oh * ow * co + j), oh, ow, co, h, w, extent, zeros, pixels)
                read_errors(pixels, extent, n, row)
                if not is_null(bias):
                    add(offset(row, 7 * PLANE), offset(bias, j), n)  # in this plane stands the sum of the tile's errors
            for plane in range(PLANES):
                target = offset(sums, plane * plane_size(c, co) + j)
                start, start_row = (zeros, 0) if begin == first else (target, co)
                inputs, panel = offset(planes, plane * PLANE), offset(errors, plane * PLANE)
                multiply(inputs, 1, c, c, panel, count, start, start_row, target, co, n)


def convolution(finish):
    """Return a function that convolves tiles and ends with `finish(call, first element, elements)`."""

    @inline
    def convolve(call, image, ih, iw, c, pad_top, pad_left, filters, bias, y, oh, ow, co, first, last):
        """Compute tiles [first, last) of y, of all images, from transformed filters."""
        planes, zeros, pixels = on_stack(y, ROOM), on_stack(y, CHANNELS), pointers_on_stack(y, PLANES)
        start, outside = on_stack(y, PANEL_COLUMNS), on_stack(y, PANEL_COLUMNS)
        fill(zeros, CHANNELS, 0.0)
        fill(start, PANEL_COLUMNS, 0.0)
        outputs, extent = offset(planes, PANEL), SPAN + 1 - call.kh
        for begin in range(first, last, TILES):
            count = min(TILES, last - begin)
            for t in range(count):
                i, h, w = place_of(begin + t, oh, ow, extent)
                top, left, row = h - pad_top, w - pad_left, offset(planes, t * c)
                read_inputs(offset(image, i * ih * iw * c), ih, iw, c, top, left, zeros, pixels, row)
            for j in range(0, co, tile_width(y)):
                n = min(tile_width(y), co - j)
                for plane in range(PLANES):
                    panel = offset(filters, plane * plane_size(c, co) + j * c)
                    target = offset(outputs, plane * PLANE)
                    multiply(offset(planes, plane * PLANE), c, 1, count, panel, c, zeros, 0, target, PANEL_COLUMNS, n)
                if not is_null(bias):
                    copy(offset(bias, j), start, n)
                for t in range(count):
                    i, top, left = place_of(begin + t, oh, ow, extent)
                    first_pixel = i * oh * ow * co + j
                    point(offset(y, first_pixel), oh, ow, co, top, left, extent, outside, pixels)
                    for k in range(0, n, lanes(y)):
                        row = offset(outputs, t * PANEL_COLUMNS + k)
                        if extent == 4:
                            output_4(row, offset(start, k), pixels, k, n - k)
                        else:
                            output_2(row, offset(start, k), pixels, k, n - k)
                    for h in range(top, min(top + extent, oh)):
                        for w in range(left, min(left + extent, ow)):
                            finish(call, first_pixel + (h * ow + w) * co, n)

    return convolve


@inline
def nothing(call, first, n):
    """Finish what needs no finish."""
