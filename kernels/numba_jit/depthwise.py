"""Depthwise convolution, one filter for each channel: no product of matrices, so plain loops with the channels innermost."""

from .call import step
from .pointers import add, copy, fill, inline, is_null, offset, on_stack
from .sums import column_sums

#: channels whose sums stand on the stack: there LLVM sees that writing them changes nothing that is read
CHANNELS = 64
#: sums over pixels that take turns, so that none waits for the one before
TURNS = 4
TURNS_ELEMENTS = TURNS * CHANNELS


def serves(e):
    """Say whether a convolution is depthwise, with one filter for a channel."""
    return e["cg"] == 1 and e["co"] == e["groups"] > 1


@inline
def seen(call, line, o, i, j):
    """Return which pixel of all images element (i, j) of a filter meets for an output pixel; -1 where that is outside."""
    h = line % call.oh * call.stride_h - call.pad_top + i * call.dilation_h
    w = o * call.stride_w - call.pad_left + j * call.dilation_w
    if h < 0 or h >= call.ih or w < 0 or w >= call.iw:
        return -1
    return (line // call.oh * call.ih + h) * call.iw + w


@inline
def add_products(a, b, total, n):
    """total[:n] += a[:n] * b[:n]"""
    for k in range(n):
        total[k] += a[k] * b[k]


def forward(finish):
    """Return the step of a convolution that ends with `finish`."""

    @step("n oh", "ow kh kw c")
    def convolve(call, first, last):
        c, sums = call.c, on_stack(call.x, CHANNELS)
        for line in range(first, last):
            for o in range(call.ow):
                for k in range(0, c, CHANNELS):
                    n = min(CHANNELS, c - k)
                    if is_null(call.b):
                        fill(sums, n, 0.0)
                    else:
                        copy(offset(call.b, k), sums, n)
                    for i in range(call.kh):
                        for j in range(call.kw):
                            pixel = seen(call, line, o, i, j)
                            if pixel >= 0:
                                add_products(offset(call.x, pixel * c + k), offset(call.w, (i * call.kw + j) * c + k), sums, n)
                    copy(sums, offset(call.y, (line * call.ow + o) * c + k), n)
            finish(call, line * call.ow * c, call.ow * c)

    return convolve


@inline
def output_at(place, stride, extent):
    """Return the output row, or column, whose window begins at a place of the padded image; -1 if there is none."""
    if stride != 1:  # a division takes as long as many products
        if place % stride != 0:
            return -1
        place //= stride
    return place if place >= 0 and place < extent else -1


@step("n ih", "iw kh kw c")
def backward_input(call, first, last):
    c, sums = call.c, on_stack(call.dx, CHANNELS)
    for line in range(first, last):
        image, h = line // call.ih, line % call.ih + call.pad_top
        for w in range(call.iw):
            for k in range(0, c, CHANNELS):
                n = min(CHANNELS, c - k)
                fill(sums, n, 0.0)
                for i in range(call.kh):
                    row = output_at(h - i * call.dilation_h, call.stride_h, call.oh)
                    for j in range(call.kw if row >= 0 else 0):
                        column = output_at(w + call.pad_left - j * call.dilation_w, call.stride_w, call.ow)
                        if column >= 0:
                            pixel = (image * call.oh + row) * call.ow + column
                            add_products(offset(call.dy, pixel * c + k), offset(call.w, (i * call.kw + j) * c + k), sums, n)
                copy(sums, offset(call.dx, (line * call.iw + w) * c + k), n)


@step("kh kw", "n oh ow c")
def backward_weight(call, first, last):
    c, sums = call.c, on_stack(call.x, TURNS_ELEMENTS)
    for tap in range(first, last):
        for k in range(0, c, CHANNELS):
            n = min(CHANNELS, c - k)
            fill(sums, TURNS_ELEMENTS, 0.0)
            for line in range(call.n * call.oh):
                for o in range(call.ow):
                    pixel = seen(call, line, o, tap // call.kw, tap % call.kw)
                    if pixel >= 0:
                        dy, total = offset(call.dy, (line * call.ow + o) * c + k), offset(sums, o % TURNS * CHANNELS)
                        add_products(offset(call.x, pixel * c + k), dy, total, n)
            for turn in range(1, TURNS):
                add(offset(sums, turn * CHANNELS), sums, n)
            copy(sums, offset(call.dw, tap * c + k), n)


@step("c", "n oh ow")
def backward_bias(call, first, last):
    if not is_null(call.db):
        column_sums(call.dy, call.co, call.n * call.oh * call.ow, first, last, call.db)
