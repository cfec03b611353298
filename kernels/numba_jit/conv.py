"""Convolution in three passes, im2col and col2im.

Patches of the image are gathered a block of pixels at a time, or summed into it, next to a product of matrices. 3x3 filters of
many channels have an algorithm of their own, in winograd.py.
"""

from . import winograd
from .activate import finish, finish_custom
from .call import Plan, step
from .pointers import copy, copy_eights, fill, inline, is_null, null, offset, on_stack
from .product import PANEL_COLUMNS, WEIGHT, multiply, multiply_panels, pack_columns, pack_rows, panel_width, panels_size
from .tile import tile_width

#: a block of gathered patches: pixels, and columns of their patches
PIXELS, COLUMNS = 48, 192
PATCH_ELEMENTS, PANEL_ELEMENTS = PIXELS * COLUMNS, PIXELS * PANEL_COLUMNS


@inline
def runs_per_row(call, cg):
    """Return into how many runs of elements that stand side by side in the image a row of a patch falls: 1, or its pixels."""
    return 1 if call.dilation_w == 1 and cg == call.c else call.kw


@inline
def gather(call, cg, g, begin, pixels, top, depth, patches):
    """Gather columns [top, top + depth), in the order (row, column, channel of group g), of the patches of some output pixels."""
    done = 0
    while done < pixels:
        line, o = (begin + done) // call.ow, (begin + done) % call.ow
        count = min(call.ow - o, pixels - done)
        gather_line(call, cg, g, line, o, count, top, depth, offset(patches, done * depth))
        done += count


@inline
def gather_line(call, cg, g, line, o, pixels, top, depth, patches):
    """The same for pixels of one row of an output, from column o on."""
    c, width, stride, runs = call.c, call.iw * call.c, call.stride_w * call.c, runs_per_row(call, cg)
    image = offset(call.x, line // call.oh * call.ih * width)
    run, column = call.kw * cg // runs, 0
    while column < depth:
        i, skipped = (top + column) // run, (top + column) % run
        n = min(run - skipped, depth - column)
        row = line % call.oh * call.stride_h - call.pad_top + i // runs * call.dilation_h
        at = (o * call.stride_w - call.pad_left + i % runs * call.dilation_w) * c + g * cg + skipped
        source, target = offset(image, row * width + at), offset(patches, column)
        inside = width if row >= 0 and row < call.ih else 0
        # the pixels of which all of the run lies inside the image
        first = min(max((stride - 1 - at) // stride, 0), pixels)
        last = min(max((inside - n - at) // stride + 1, first), pixels)
        clip(source, stride, at, inside, 0, first, target, depth, n)
        clip(source, stride, at, inside, last, pixels, target, depth, n)
        copy_rows(offset(source, first * stride), stride, offset(target, first * depth), depth, last - first, n)
        column += n


@inline
def copy_rows(source, source_row, target, target_row, rows, n):
    """Copy n elements of each row."""
    if n < 8:
        for j in range(n):
            for i in range(rows):
                target[i * target_row + j] = source[i * source_row + j]
    else:
        for i in range(rows):
            copy_eights(offset(source, i * source_row), offset(target, i * target_row), n)


@inline
def clip(source, stride, at, inside, first, last, target, depth, n):
    """Copy the runs of pixels [first, last), zero where they leave the `inside` elements of a row of the image."""
    for p in range(first, last):
        for j in range(n):
            place = at + p * stride + j
            target[p * depth + j] = source[p * stride + j] if place >= 0 and place < inside else 0.0


@step("n oh ow", "kh kw c")
def im2col(call, first, last):
    columns = call.kh * call.kw * call.c
    gather(call, call.c, 0, first, last - first, 0, columns, offset(call.cols, first * columns))


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


@step("c", "kh kw co", scratch=lambda e: winograd.planes_size(e["c"], e["co"]))
def _transform_filters(call, first, last):
    c, co = call.c, call.co
    for k in range(first, last):
        for j in range(co):
            winograd.transform_filter(offset(call.w, k * co + j), c * co, c, co, k, j, call.scratch)


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
                    gather(call, call.cg, g, begin, pixels, top, depth, patches)
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

    convolve_winograd = winograd.convolution(finish)

    @step(lambda e: e["n"] * winograd.tile_count.py_func(e["oh"], e["ow"]), "c co", weight=16 * WEIGHT, multiple=winograd.TILES)
    def convolve_tiles(call, first, last):
        ih, iw, c, oh, ow, co = call.ih, call.iw, call.c, call.oh, call.ow, call.co
        planes, top, left = call.scratch, call.pad_top, call.pad_left
        convolve_winograd(call, call.x, ih, iw, c, top, left, planes, call.b, call.y, oh, ow, co, first, last)

    alternatives = ((_pack_filters, convolve), (_transform_filters, convolve_tiles))
    return Plan(alternatives, lambda e: winograd.pays(e, "c", "co"))


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
    c, width, runs = call.c, call.iw * call.c, runs_per_row(call, call.cg)
    h = pixel // call.ow * call.stride_h - call.pad_top
    w = pixel % call.ow * call.stride_w - call.pad_left
    run, done = call.kw * call.cg // runs, 0
    while done < n:
        i, skipped = (left + done) // run, (left + done) % run
        count = min(run - skipped, n - done)
        row = h + i // runs * call.dilation_h
        at = (w + i % runs * call.dilation_w) * c + g * call.cg + skipped
        if row >= 0 and row < call.ih:
            for j in range(max(0, -at), min(count, width - at)):
                dx[row * width + at + j] += patch[done + j]
        done += count


@step("co", "kh kw c", scratch=lambda e: winograd.planes_size(e["co"], e["c"]))
def _transform_transposed_filters(call, first, last):
    c, co = call.c, call.co
    for k in range(first, last):
        for j in range(c):
            # turned by half a circle: from the last tap back
            winograd.transform_filter(offset(call.w, (8 * c + j) * co + k), -c * co, co, c, k, j, call.scratch)


_convolve_errors = winograd.convolution(winograd.nothing)


@step(lambda e: e["n"] * winograd.tile_count.py_func(e["ih"], e["iw"]), "c co", weight=16 * WEIGHT, multiple=winograd.TILES)
def _convolve_tiles_back(call, first, last):
    ih, iw, c, oh, ow, co, dx = call.ih, call.iw, call.c, call.oh, call.ow, call.co, call.dx
    top, left = 2 - call.pad_top, 2 - call.pad_left
    _convolve_errors(call, call.dy, oh, ow, co, top, left, call.scratch, null(dx), dx, ih, iw, c, first, last)


conv2d_backward_input = Plan(
    ((_pack_transposed_filters, _convolve_back), (_transform_transposed_filters, _convolve_tiles_back)),
    lambda e: winograd.pays(e, "co", "c"),
)


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
        bias = offset(sums, k * co + g * filters) if block == 0 and not is_null(call.db) else null(sums)
        add_pixels(call, g, begin, end, top, bottom - top, offset(sums, top * co + g * filters), bias)


@inline
def add_pixels(call, g, begin, end, top, depth, sums, bias):
    """Sum what pixels [begin, end) add to `depth` rows of the gradient, from row `top` on, and to `bias` if it is not NULL."""
    co, filters = call.co, call.co // call.groups
    patches, panel = on_stack(call.x, PATCH_ELEMENTS), on_stack(call.x, PANEL_ELEMENTS)
    one = on_stack(call.x, 1)
    one[0] = 1.0
    fill(panel, PANEL_ELEMENTS, 0.0)
    for i in range(depth):
        fill(offset(sums, i * co), filters, 0.0)
    if not is_null(bias):
        fill(bias, filters, 0.0)
    for first in range(begin, end, PIXELS):
        pixels = min(PIXELS, end - first)
        gather(call, call.cg, g, first, pixels, top, depth, patches)
        for left in range(0, filters, tile_width(sums)):
            n = min(filters - left, tile_width(sums))
            copy_rows(offset(call.dy, first * co + g * filters + left), co, panel, panel_width(n, panel), pixels, n)
            target = offset(sums, left)
            multiply(patches, 1, depth, depth, panel, pixels, target, co, target, co, n)
            if not is_null(bias):
                target = offset(bias, left)
                multiply(one, 0, 0, 1, panel, pixels, target, co, target, co, n)


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
