"""Convolution in three passes, im2col and col2im.

Patches of the image are gathered a block of pixels at a time, or summed into it, next to a product of matrices. One filter per
channel has loops of its own.
"""

from .activate import finish, finish_custom
from .call import Plan, step
from .pointers import copy, fill, inline, is_null, null, offset, on_stack
from .product import PANEL_COLUMNS, WEIGHT, multiply, multiply_panels, pack_columns, pack_rows, panel_width, panels_size
from .sums import column_sums
from .tile import tile_width

#: a block of gathered patches: pixels, and columns of their patches
PIXELS, COLUMNS = 48, 192
PATCH_ELEMENTS, PANEL_ELEMENTS = PIXELS * COLUMNS, PIXELS * PANEL_COLUMNS


@inline
def gather(call, cg, g, pixel, top, depth, patch):
    """patch[:depth] = columns from `top` on, in the order (row, column, channel of group g), of the patch of an output pixel."""
    c, iw, dilation = call.c, call.iw, call.dilation_w
    ow, oh = call.ow, call.oh
    image = offset(call.x, pixel // (oh * ow) * call.ih * iw * c)
    h = pixel // ow % oh * call.stride_h - call.pad_top
    w = pixel % ow * call.stride_w - call.pad_left
    # the elements of a patch that stand side by side in the image: a row of it, or the channels of a pixel
    runs = 1 if dilation == 1 and cg == c else call.kw
    run = call.kw * cg // runs
    done = 0
    while done < depth:
        i, skipped = (top + done) // run, (top + done) % run
        count = min(run - skipped, depth - done)
        row = h + i // runs * call.dilation_h
        at = (w + i % runs * dilation) * c + g * cg + skipped
        target = offset(patch, done)
        if 0 <= row and row < call.ih and 0 <= at and at + count <= iw * c:
            copy(offset(image, row * iw * c + at), target, count)
        else:
            inside = 0 <= row and row < call.ih
            for j in range(count):
                target[j] = image[row * iw * c + at + j] if inside and 0 <= at + j and at + j < iw * c else 0.0
        done += count


@step("n oh ow", "kh kw c")
def im2col(call, first, last):
    columns = call.kh * call.kw * call.c
    for pixel in range(first, last):
        gather(call, call.c, 0, pixel, 0, columns, offset(call.cols, pixel * columns))


@step("n ih", "iw kh kw c")
def col2im(call, first, last):
    for line in range(first, last):
        fill(offset(call.x, line * call.iw * call.c), call.iw * call.c, 0.0)
        image, h = line // call.ih, line % call.ih + call.pad_top
        for i in range(call.kh):
            o = (h - i * call.dilation_h) // call.stride_h
            if o >= 0 and o < call.oh and o * call.stride_h + i * call.dilation_h == h:
                put_back(call, image * call.oh + o, i, offset(call.x, line * call.iw * call.c))


@inline
def put_back(call, line, i, pixels):
    """Add row i of the patches of a row of output pixels to a row of pixels."""
    c, iw, kh, kw = call.c, call.iw, call.kh, call.kw
    for o in range(call.ow):
        patch = offset(call.cols, ((line * call.ow + o) * kh + i) * kw * c)
        for j in range(kw):
            w = o * call.stride_w - call.pad_left + j * call.dilation_w
            if w >= 0 and w < iw:
                for k in range(c):
                    pixels[w * c + k] += patch[j * c + k]


@step("groups", "kh kw cg co", scratch=lambda e: e["groups"] * panels_size(e["kh"] * e["kw"] * e["cg"], e["co"] // e["groups"]))
def _pack_filters(call, first, last):
    k, filters = call.kh * call.kw * call.cg, call.co // call.groups
    for g in range(first, last):
        pack_rows(offset(call.w, g * filters), call.co, k, 0, filters, offset(call.scratch, g * k * (filters + PANEL_COLUMNS)))


def _forward(finish):
    """Return the plan of a convolution that ends with `finish`."""

    @step("n oh ow", "kh kw cg co", weight=WEIGHT, multiple=PIXELS)
    def convolve(call, first, last):
        co, k, filters = call.co, call.kh * call.kw * call.cg, call.co // call.groups
        patches, zeros = on_stack(call.x, PATCH_ELEMENTS), on_stack(call.x, PANEL_COLUMNS)
        fill(zeros, PANEL_COLUMNS, 0.0)
        pieces = (k + COLUMNS - 1) // COLUMNS
        for begin in range(first, last, PIXELS):
            pixels, y = min(PIXELS, last - begin), offset(call.y, begin * co)
            for g in range(call.groups):
                panels = offset(call.scratch, g * k * (filters + PANEL_COLUMNS))
                for piece in range(pieces):
                    top = piece * k // pieces
                    depth = (piece + 1) * k // pieces - top
                    for pixel in range(pixels):
                        gather(call, call.cg, g, begin + pixel, top, depth, offset(patches, pixel * depth))
                    for left in range(0, filters, tile_width(zeros)):
                        n = min(filters - left, tile_width(zeros))
                        panel = offset(panels, left * k + top * panel_width(n, zeros))
                        target = offset(y, g * filters + left)
                        if piece > 0:
                            multiply(patches, depth, 1, pixels, panel, depth, target, co, target, co, n)
                        elif is_null(call.b):
                            multiply(patches, depth, 1, pixels, panel, depth, zeros, 0, target, co, n)
                        else:
                            multiply(patches, depth, 1, pixels, panel, depth, offset(call.b, g * filters + left), 0, target, co, n)
            finish(call, begin * co, pixels * co)

    return Plan(((_pack_filters, convolve),))


conv2d_forward = _forward(finish)
conv2d_custom_forward = _forward(finish_custom)


@step("groups", "kh kw cg co", scratch=lambda e: e["groups"] * panels_size(e["co"] // e["groups"], e["kh"] * e["kw"] * e["cg"]))
def _pack_transposed_filters(call, first, last):
    k, filters = call.kh * call.kw * call.cg, call.co // call.groups
    for g in range(first, last):
        pack_columns(offset(call.w, g * filters), call.co, filters, 0, k, offset(call.scratch, g * filters * (k + PANEL_COLUMNS)))


@step("n", "oh ow kh kw cg co", weight=WEIGHT)
def _convolve_back(call, first, last):
    co, k, filters, output = call.co, call.kh * call.kw * call.cg, call.co // call.groups, call.oh * call.ow
    image = call.ih * call.iw * call.c
    patches = on_stack(call.dx, PANEL_ELEMENTS)
    for i in range(first, last):
        dx = offset(call.dx, i * image)
        fill(dx, image, 0.0)
        for begin in range(0, output, PIXELS):
            pixels, dy = min(PIXELS, output - begin), offset(call.dy, (i * output + begin) * co)
            for g in range(call.groups):
                panels, errors = offset(call.scratch, g * filters * (k + PANEL_COLUMNS)), offset(dy, g * filters)
                for left in range(0, k, tile_width(dx)):
                    n, panel = min(k - left, tile_width(dx)), offset(panels, left * filters)
                    multiply_panels(errors, co, 1, pixels, panel, filters, null(dx), patches, n, n)
                    for pixel in range(pixels):
                        scatter(call, g, begin + pixel, left, n, offset(patches, pixel * n), dx)


@inline
def scatter(call, g, pixel, left, n, patch, dx):
    """Add columns [left, left + n) of the patch of an output pixel to the image."""
    c, cg, kw = call.c, call.cg, call.kw
    h = pixel // call.ow * call.stride_h - call.pad_top
    w = pixel % call.ow * call.stride_w - call.pad_left
    done = 0
    while done < n:
        tap, skipped = (left + done) // cg, (left + done) % cg
        count = min(cg - skipped, n - done)
        row, column = h + tap // kw * call.dilation_h, w + tap % kw * call.dilation_w
        if row >= 0 and row < call.ih and column >= 0 and column < call.iw:
            target = offset(dx, (row * call.iw + column) * c + g * cg + skipped)
            for j in range(count):
                target[j] += patch[done + j]
        done += count


conv2d_backward_input = Plan(((_pack_transposed_filters, _convolve_back),))


# The gradient of the filters: pixels are cut into pieces, as many as the shape says, whose sums stand in the scratch memory, each a
# copy of dw followed by one of db, and are added in order. Of a piece's sums a task makes a block of COLUMNS rows of dw.

MOST_PIECES, PIECE_PIXELS, PIECES_ELEMENTS = 8, 512, 262144


@inline
def pieces_of(pixels, size):
    return max(min(MOST_PIECES, pixels // PIECE_PIXELS, PIECES_ELEMENTS // size), 1)


def _pieces(e):
    return pieces_of.py_func(e["n"] * e["oh"] * e["ow"], _gradient_size(e))


def _gradient_size(e):
    return (e["kh"] * e["kw"] * e["cg"] + 1) * e["co"]


def _blocks(e):
    return e["groups"] * -(-e["kh"] * e["kw"] * e["cg"] // COLUMNS)


@step(
    lambda e: _pieces(e) * _blocks(e),
    lambda e: e["n"] * e["oh"] * e["ow"] * _gradient_size(e) // (_pieces(e) * _blocks(e)),
    weight=WEIGHT,
    scratch=lambda e: _pieces(e) * _gradient_size(e),
)
def _sum_pieces(call, first, last):
    co, k, groups = call.co, call.kh * call.kw * call.cg, call.groups
    filters, size, pixels = co // groups, (k + 1) * co, call.n * call.oh * call.ow
    blocks, pieces = (k + COLUMNS - 1) // COLUMNS, pieces_of(pixels, size)
    for task in range(first, last):
        piece, g, block = task // (groups * blocks), task // blocks % groups, task % blocks
        begin, end = piece * pixels // pieces, (piece + 1) * pixels // pieces
        top, bottom = block * k // blocks, (block + 1) * k // blocks
        sums = offset(call.scratch, piece * size)
        add_pixels(call, g, begin, end, top, bottom - top, offset(sums, top * co + g * filters))
        if block == 0 and not is_null(call.db):
            left = g * filters
            column_sums(offset(call.dy, begin * co), co, end - begin, left, left + filters, offset(sums, k * co))


@inline
def add_pixels(call, g, begin, end, top, depth, sums):
    """Sum into `depth` rows of the filters' gradient, from row `top` on, what pixels [begin, end) add to it."""
    co, filters = call.co, call.co // call.groups
    patches, panel = on_stack(call.x, PATCH_ELEMENTS), on_stack(call.x, PANEL_ELEMENTS)
    for i in range(depth):
        fill(offset(sums, i * co), filters, 0.0)
    for first in range(begin, end, PIXELS):
        pixels = min(PIXELS, end - first)
        for pixel in range(pixels):
            gather(call, call.cg, g, first + pixel, top, depth, offset(patches, pixel * depth))
        for left in range(0, filters, tile_width(sums)):
            n = min(filters - left, tile_width(sums))
            pack_rows(offset(call.dy, first * co + g * filters + left), co, pixels, 0, n, panel)
            target = offset(sums, left)
            multiply(patches, 1, depth, depth, panel, pixels, target, co, target, co, n)


@step("kh kw cg co", _pieces)
def _add_pieces(call, first, last):
    k, co, dw = call.kh * call.kw * call.cg, call.co, call.dw
    size = (k + 1) * co
    pieces = pieces_of(call.n * call.oh * call.ow, size)
    copy(offset(call.scratch, first), offset(dw, first), last - first)
    for piece in range(1, pieces):
        for i in range(first, last):
            dw[i] += call.scratch[piece * size + i]
    if first == 0 and not is_null(call.db):
        copy(offset(call.scratch, k * co), call.db, co)
        for piece in range(1, pieces):
            for j in range(co):
                call.db[j] += call.scratch[piece * size + k * co + j]


conv2d_backward_weight = Plan(((_sum_pieces, _add_pieces),))
