"""Moving data: gathering batches, changing layouts, accumulating."""

from .call import step
from .pointers import inline, offset

#: columns transposed together, so that both sides stay in the cache
BLOCK = 64


@step("n r", "c")
def transpose(call, first, last):
    r, c = call.r, call.c
    i = first
    while i < last:
        # rows of one matrix
        matrix = i // r
        stop = min(last, (matrix + 1) * r)
        x, y = offset(call.x, matrix * r * c), offset(call.y, matrix * r * c)
        for left in range(0, c, BLOCK):
            for row in range(i - matrix * r, stop - matrix * r):
                for column in range(left, min(left + BLOCK, c)):
                    y[column * r + row] = x[row * c + column]
        i = stop


@inline
def gather_rows(call, first, last):
    s, scale, shift = call.s, call.scale, call.offset
    for i in range(first, last):
        x, y = offset(call.x, call.index[i] * s), offset(call.y, i * s)
        for j in range(s):
            y[j] = x[j] * scale + shift


@step("n", "s")
def gather(call, first, last):
    gather_rows(call, first, last)


@step("n", "s")
def gather_uint8(call, first, last):
    gather_rows(call, first, last)


@step("size")
def rescale(call, first, last):
    x, scale, shift, y = call.x, call.scale, call.offset, call.y
    for i in range(first, last):
        y[i] = x[i] * scale + shift


@step("size")
def accumulate(call, first, last):
    x, scale, total = call.x, call.scale, call.total
    for i in range(first, last):
        total[i] += scale * x[i]


@step("size")
def add(call, first, last):
    a, b, y = call.a, call.b, call.y
    for i in range(first, last):
        y[i] = a[i] + b[i]


@step("")
def increment(call, first, last):
    call.count[0] += 1.0
