"""Convolution in three passes, im2col and col2im.

Patches of the image are gathered a block of pixels at a time, or summed into it, next to a product of matrices. 3x3 and 5x5 filters
of many channels have an algorithm of their own, in winograd.py, and so have convolutions of single channels, in depthwise.py.
"""

from . import depthwise, winograd
from .activate import finish, finish_custom
from .call import Plan, step
from .pointers import add, copy, copy_rows, fill, inline, is_null, null, offset, on_stack
from .product import PANEL_COLUMNS, WEIGHT, multiply, multiply_panels, pack_columns, pack_rows, panel_width, panels_size
from .tile import tile_width
from .vectors import lanes

#: a block of gathered patches: pixels, and columns of their patches
PIXELS, COLUMNS = 48, 192
PATCH_ELEMENTS, PANEL_ELEMENTS = PIXELS * COLUMNS, PIXELS * PANEL_COLUMNS
#: room for the errors of a block's pixels, turned into panels
TURNED_ELEMENTS = COLUMNS * (PIXELS + PANEL_COLUMNS)
#: columns of a matrix transposed together
TURNED = 16
#: room for a piece of a row of the image with zeros beside it
ROW_ELEMENTS = 4096


@inline
def runs_per_row(call, cg):
    """Return into how many runs of elements that stand side by side in the image a row of a patch falls: 1, or its pixels."""
    return 1 if call.dilation_w == 1 and cg == call.c else call.kw


@inline
def gathered_by_columns(call):
    """Say whether a column of the patches of neighbouring pixels stands side by side in the image."""
    return call.c * call.stride_w == 1


@inline
def gather(call, cg, g, begin, pixels, top, depth, patches, next_pixel, next_column):
    """Gather columns [top, top + depth), in the order (row, column, channel of group g), of the patches of some output pixels.

    Element (p, k) goes to patches[p * next_pixel + k * next_column]: one of the two is 1, the second unless `gathered_by_columns`.
    """
    done, most = 0, (ROW_ELEMENTS - COLUMNS) // (call.stride_w * call.c) + 1
    while done < pixels:
        line, o = (begin + done) // call.ow, (begin + done) % call.ow
        count = min(call.ow - o, pixels - done, most)
        gather_line(call, cg, g, line, o, count, top, depth, offset(patches, done * next_pixel), next_pixel, next_column)
        done += count


@inline
def gather_line(call, cg, g, line, o, pixels, top, depth, patches, next_pixel, next_column):
    """The same for pixels of one row of an output, from column o on: as many as see a piece of a row that fits `padded`."""
    padded = on_stack(call.x, ROW_ELEMENTS)
    c, width, step, runs = call.c, call.iw * call.c, call.stride_w * call.c, runs_per_row(call, cg)
    image = offset(call.x, line // call.oh * call.ih * width)
    upper, left = line % call.oh * call.stride_h - call.pad_top, (o * call.stride_w - call.pad_left) * c + g * cg
    run, column = call.kw * cg // runs, 0
    i, j, skipped = top // run // runs, top // run % runs, top % run
    while column < depth:
        n, row = min(run - skipped, depth - column, COLUMNS), upper + i * call.dilation_h
        inside = width if row >= 0 and row < call.ih else 0
        at, target = left + j * call.dilation_w * c + skipped, offset(patches, column * next_column)
        source = part_of_row(offset(image, row * width), inside, at, (pixels - 1) * step + n, padded)
        if next_column == 1:
            copy_rows(source, step, target, next_pixel, pixels, n)
        else:
            copy_rows(source, 1, target, next_column, n, pixels)
        column += n
        skipped += n
        if skipped == run:
            skipped = 0
            j += 1
            if j == runs:
                i, j = i + 1, 0


@inline
def part_of_row(row, inside, at, n, padded):
    """Return n elements of a row from `at` on: where they stand or, if not all lie inside, in a copy with zeros beside them."""
    if at >= 0 and at + n <= inside:
        return offset(row, at)
    for i in range(n):
        padded[i] = row[at + i] if at + i >= 0 and at + i < inside else 0.0
    return padded


@inline
def copy_clipped(source, stride, at, inside, pixels, target, depth, n):
    """Copy n elements for each pixel, zero where they leave the `inside` elements of a row of the image, to rows of `depth`."""
    # the pixels of which all of the run lies inside the image
    first = min(max((stride - 1 - at) // stride, 0), pixels)
    last = min(max((inside - n - at) // stride + 1, first), pixels)
    clip(source, stride, at, inside, 0, first, target, depth, n)
    clip(source, stride, at, inside, last, pixels, target, depth, n)
    copy_rows(offset(source, first * stride), stride, offset(target, first * depth), depth, last - first, n)


@inline
def clip(source, stride, at, inside, first, last, target, depth, n):
    """Copy the runs of pixels [first, last), zero where they leave the `inside` elements of a row of the image."""
    for p in range(first, last):
        for j in range(n):
            place = at + p * stride + j
            target[p * depth + j] = source[p * stride + j] if place >= 0 and place < inside else 0.0


@step("n oh", "ow p kh kw c")
def im2col(call, first, last):
    c, kh, kw, width = call.c, call.kh, call.kw, call.iw * call.c
    patch, stride, runs = call.p * kh * kw * c, call.stride_w * c, 1 if call.dilation_w == 1 else kw
    run = kw * c // runs
    for line in range(first, last):
        for i in range(call.p * kh * runs):
            row = line % call.oh * call.stride_h - call.pad_top + i // runs % kh * call.dilation_h
            at = (i % runs * call.dilation_w - call.pad_left) * c
            source = offset(call.x, ((line // call.oh * call.p + i // runs // kh) * call.ih + row) * width + at)
            target = offset(call.cols, line * call.ow * patch + i * run)
            copy_clipped(source, stride, at, width if row >= 0 and row < call.ih else 0, call.ow, target, patch, run)


@step("n ih", "p iw kh kw c")
def col2im(call, first, last):
    kh, kw, c = call.kh, call.kw, call.c
    for line in range(first, last):
        image, h = line // call.ih, line % call.ih + call.pad_top
        for plane in range(call.p):
            pixels = offset(call.x, ((image * call.p + plane) * call.ih + line % call.ih) * call.iw * c)
            fill(pixels, call.iw * c, 0.0)
            for i in range(kh):
                o = (h - i * call.dilation_h) // call.stride_h
                if o >= 0 and o < call.oh and o * call.stride_h + i * call.dilation_h == h:
                    row = (image * call.oh + o) * call.ow * call.p * kh + plane * kh + i
                    put_back(call, offset(call.cols, row * kw * c), pixels)


@inline
def put_back(call, rows, pixels):
    """Add a row of the patches, of all pixels of a row of an output, to a row of pixels of the image."""
    c, stride = call.c, call.stride_w
    patch = call.p * call.kh * call.kw * c
    for j in range(call.kw):
        at = j * call.dilation_w - call.pad_left
        # the output pixels for which this column of the patch lies inside the image
        first = min(max((stride - 1 - at) // stride, 0), call.ow)
        last = min(max((call.iw - 1 - at) // stride + 1, first), call.ow)
        source, target = offset(rows, j * c), offset(pixels, at * c)
        if c == 1:
            for o in range(first, last):
                target[o * stride] += source[o * patch]
        else:
            for o in range(first, last):
                add(offset(source, o * patch), offset(target, o * stride * c), c)


@step("groups", "kh kw cg co", scratch=lambda e: e["groups"] * panels_size(e["kh"] * e["kw"] * e["cg"], e["co"] // e["groups"]))
def _pack_filters(call, first, last):
    k, filters = call.kh * call.kw * call.cg, call.co // call.groups
    for g in range(first, last):
        pack_rows(offset(call.w, g * filters), call.co, k, 0, filters, offset(call.scratch, g * k * (filters + PANEL_COLUMNS)))


@step("c", "kh kw co", scratch=lambda e: winograd.PLANES * winograd.plane_size.py_func(e["c"], e["co"]))
def _transform_filters(call, first, last):
    c, co = call.c, call.co
    for k in range(first, last):
        for j in range(0, co, lanes(call.w)):
            winograd.transform_filters(offset(call.w, k * co + j), c * co, call.kh, c, co, k, j, call.scratch)


def _tiles(e):
    return e["n"] * winograd.tile_count.py_func(e["oh"], e["ow"], e["kh"])


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
                    row, column = (1, PIXELS) if gathered_by_columns(call) else (depth, 1)
                    gather(call, call.cg, g, begin, pixels, top, depth, patches, row, column)
                    for left in range(0, filters, tile_width(zeros)):
                        n = min(filters - left, tile_width(zeros))
                        panel = offset(panels, left * k + top * panel_width(n, zeros))
                        target = offset(y, g * filters + left)
                        if piece > 0:
                            multiply(patches, row, column, pixels, panel, depth, target, co, target, co, n)
                        else:
                            start = zeros if is_null(call.b) else offset(call.b, g * filters + left)
                            multiply(patches, row, column, pixels, panel, depth, start, 0, target, co, n)
            finish(call, begin * co, pixels * co)

    convolve_winograd = winograd.convolution(finish)

    @step(_tiles, "c co", weight=winograd.PLANES * WEIGHT, multiple=winograd.TILES)
    def convolve_tiles(call, first, last):
        ih, iw, c, oh, ow, co = call.ih, call.iw, call.c, call.oh, call.ow, call.co
        planes, top, left = call.scratch, call.pad_top, call.pad_left
        convolve_winograd(call, call.x, ih, iw, c, top, left, planes, call.b, call.y, oh, ow, co, first, last)

    alternatives = ((_pack_filters, convolve), (_transform_filters, convolve_tiles), (depthwise.forward(finish),))
    return Plan(alternatives, lambda e: 2 if depthwise.serves(e) else winograd.pays(e, e["c"], e["co"], e["oh"], e["ow"]))


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
    patches, errors = on_stack(call.dx, PATCH_ELEMENTS), on_stack(call.dx, TURNED_ELEMENTS)
    by_columns = gathered_by_columns(call) and co <= COLUMNS
    for i in range(first, last):
        dx = offset(call.dx, i * image)
        fill(dx, image, 0.0)
        for begin in range(0, output, PIXELS):
            pixels, dy = min(PIXELS, output - begin), offset(call.dy, (i * output + begin) * co)
            if by_columns:
                pack_columns(dy, co, co, 0, pixels, errors)
                for top in range(0, k, COLUMNS):
                    depth = min(COLUMNS, k - top)
                    multiply_panels(offset(call.w, top * co), co, 1, depth, errors, co, null(dx), patches, PIXELS, pixels)
                    for column in range(depth):
                        scatter_column(call, begin, pixels, top + column, offset(patches, column * PIXELS), dx)
                continue
            for g in range(call.groups):
                panels = offset(call.scratch, g * filters * (k + PANEL_COLUMNS))
                for top in range(0, k, COLUMNS):
                    depth = min(COLUMNS, k - top)
                    errors, panel = offset(dy, g * filters), offset(panels, top * filters)
                    multiply_panels(errors, co, 1, pixels, panel, filters, null(dx), patches, depth, depth)
                    for pixel in range(pixels):
                        scatter(call, g, begin + pixel, top, depth, offset(patches, pixel * depth), dx)


@inline
def scatter_column(call, begin, pixels, column, patches, dx):
    """Add one column of the patches of some output pixels to the image, where these stand side by side, too."""
    i, j = column // call.kw, column % call.kw
    left, done = j * call.dilation_w - call.pad_left, 0
    while done < pixels:
        line, o = (begin + done) // call.ow, (begin + done) % call.ow
        n, row = min(call.ow - o, pixels - done), line * call.stride_h - call.pad_top + i * call.dilation_h
        if row >= 0 and row < call.ih:
            outside = max(-left - o, 0)
            at = row * call.iw + left + o + outside
            add(offset(patches, done + outside), offset(dx, at), min(n, call.iw - left - o) - outside)
        done += n


@inline
def scatter(call, g, pixel, top, depth, patch, dx):
    """Add columns [top, top + depth) of the patch of an output pixel to the image."""
    c, width, runs = call.c, call.iw * call.c, runs_per_row(call, call.cg)
    upper = pixel // call.ow * call.stride_h - call.pad_top
    left = (pixel % call.ow * call.stride_w - call.pad_left) * c + g * call.cg
    run, column = call.kw * call.cg // runs, 0
    i, j, skipped = top // run // runs, top // run % runs, top % run
    while column < depth:
        n, row = min(run - skipped, depth - column), upper + i * call.dilation_h
        at = left + j * call.dilation_w * c + skipped
        if row >= 0 and row < call.ih:
            outside = max(-at, 0)
            add(offset(patch, column + outside), offset(dx, row * width + at + outside), min(n, width - at) - outside)
        column += n
        skipped += n
        if skipped == run:
            skipped = 0
            j += 1
            if j == runs:
                i, j = i + 1, 0


def _turned_filters_size(e):
    return winograd.PLANES * winograd.plane_size.py_func(e["co"], e["c"]) + e["kh"] * e["kw"] * e["c"] * e["co"]


@step("kh kw", "c co", scratch=_turned_filters_size)
def _turn_filters(call, first, last):
    """Write the filters turned by half a circle, from the last tap back, and of each tap the transpose, behind the planes."""
    c, co, taps = call.c, call.co, call.kh * call.kw
    behind = winograd.PLANES * winograd.plane_size(co, c)
    for tap in range(first, last):
        w, turned = offset(call.w, (taps - 1 - tap) * c * co), offset(call.scratch, behind + tap * c * co)
        for left in range(0, co, TURNED):
            for j in range(c):
                for k in range(left, min(left + TURNED, co)):
                    turned[k * c + j] = w[j * co + k]


@step("co", "kh kw c")
def _transform_turned_filters(call, first, last):
    c, co = call.c, call.co
    turned = offset(call.scratch, winograd.PLANES * winograd.plane_size(co, c))
    for k in range(first, last):
        for j in range(0, c, lanes(call.w)):
            winograd.transform_filters(offset(turned, k * c + j), c * co, call.kh, co, c, k, j, call.scratch)


_convolve_errors = winograd.convolution(winograd.nothing)


@step(
    lambda e: e["n"] * winograd.tile_count.py_func(e["ih"], e["iw"], e["kh"]),
    "c co",
    weight=winograd.PLANES * WEIGHT,
    multiple=winograd.TILES,
)
def _convolve_tiles_back(call, first, last):
    ih, iw, c, oh, ow, co, dx = call.ih, call.iw, call.c, call.oh, call.ow, call.co, call.dx
    top, left = call.kh - 1 - call.pad_top, call.kw - 1 - call.pad_left
    _convolve_errors(call, call.dy, oh, ow, co, top, left, call.scratch, null(dx), dx, ih, iw, c, first, last)


conv2d_backward_input = Plan(
    (
        (_pack_transposed_filters, _convolve_back),
        (_turn_filters, _transform_turned_filters, _convolve_tiles_back),
        (depthwise.backward_input,),
        (depthwise.backward_input, depthwise.add_filters),
    ),
    lambda e: 2 + (e["co"] > e["c"]) if e["cg"] == 1 < e["groups"] else winograd.pays(e, e["co"], e["c"], e["ih"], e["iw"]),
)


# The gradient of the filters: pixels are cut into pieces, as many as the shape says, whose sums stand in the scratch memory, each a
# copy of dw followed by one of db, and are added in order. Of a piece's sums a task makes a block of COLUMNS rows of dw.

MOST_PIECES, PIECE_PIXELS, PIECES_ELEMENTS = 8, 512, 1048576


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
        pixel, column = (1, PIXELS) if gathered_by_columns(call) else (depth, 1)
        gather(call, call.cg, g, first, pixels, top, depth, patches, pixel, column)
        for left in range(0, filters, tile_width(sums)):
            n = min(filters - left, tile_width(sums))
            copy_rows(offset(call.dy, first * co + g * filters + left), co, panel, panel_width(n, panel), pixels, n)
            target = offset(sums, left)
            multiply(patches, column, pixel, depth, panel, pixels, target, co, target, co, n)
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


# The same with tiles of Winograd's algorithm for pixels: a piece's sums are planes of dw, followed by db.

PIECE_TILES, TILE_PIECES_ELEMENTS = 96, 3145728


@inline
def tile_pieces_of(tiles, size):
    return max(min(MOST_PIECES, tiles // PIECE_TILES, TILE_PIECES_ELEMENTS // size), 1)


def _planes_size(e):
    return winograd.PLANES * winograd.plane_size.py_func(e["c"], e["co"]) + e["co"]


def _tile_pieces(e):
    return tile_pieces_of.py_func(_tiles(e), _planes_size(e))


@step(
    _tile_pieces,
    lambda e: winograd.PLANES * _tiles(e) * e["c"] * e["co"] // _tile_pieces(e),
    weight=WEIGHT,
    scratch=lambda e: _tile_pieces(e) * _planes_size(e),
)
def _sum_tiles(call, first, last):
    planes, tiles = winograd.PLANES * winograd.plane_size(call.c, call.co), call.n * winograd.tile_count(call.oh, call.ow, call.kh)
    size = planes + call.co
    pieces = tile_pieces_of(tiles, size)
    for piece in range(first, last):
        sums = offset(call.scratch, piece * size)
        bias = null(sums) if is_null(call.db) else offset(sums, planes)
        winograd.add_tiles(call, piece * tiles // pieces, (piece + 1) * tiles // pieces, sums, bias)


@step("c", lambda e: winograd.PLANES * e["co"] * _tile_pieces(e))
def _add_planes(call, first, last):
    c, co, plane_size = call.c, call.co, winograd.plane_size(call.c, call.co)
    size = winograd.PLANES * plane_size + co
    pieces = tile_pieces_of(call.n * winograd.tile_count(call.oh, call.ow, call.kh), size)
    for k in range(first, last):
        for piece in range(1, pieces):
            for plane in range(winograd.PLANES):
                row = plane * plane_size + k * co
                add(offset(call.scratch, piece * size + row), offset(call.scratch, row), co)
        for j in range(0, co, lanes(call.dw)):
            at = k * co + j
            winograd.filter_gradients(offset(call.scratch, at), plane_size, offset(call.dw, at), c * co, call.kh, co - j)
    if first == 0 and not is_null(call.db):
        fill(call.db, co, 0.0)
        for piece in range(pieces):
            add(offset(call.scratch, (piece + 1) * size - co), call.db, co)


# And with whole rows of results, of single channels.


@step(
    _pieces,
    lambda e: e["n"] * e["oh"] * e["ow"] * _gradient_size(e) // _pieces(e),
    scratch=lambda e: _pieces(e) * _gradient_size(e),
)
def _sum_lines(call, first, last):
    co, lines = call.co, call.n * call.oh
    k = call.kh * call.kw
    size = (k + 1) * co
    pieces = pieces_of(lines * call.ow, size)
    for piece in range(first, last):
        sums = offset(call.scratch, piece * size)
        fill(sums, size, 0.0)
        bias = null(sums) if is_null(call.db) else offset(sums, k * co)
        depthwise.add_lines(call, piece * lines // pieces, (piece + 1) * lines // pieces, sums, bias)


conv2d_backward_weight = Plan(
    ((_sum_pieces, _add_pieces), (_sum_tiles, _add_planes), (_sum_lines, _add_pieces)),
    lambda e: 2 if depthwise.serves(e) else winograd.pays(e, e["c"], e["co"], e["oh"], e["ow"]),
)
