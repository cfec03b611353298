"""Depthwise convolution, one filter for each channel: no product of matrices, so windows are summed where they lie.

Channels fill vectors, the last of which overlaps the one before. A row of results is cut at the edges of the image: windows inside
it from side to side have all taps of a row, and a few of them are summed together; the others one by one, with the taps that are
inside. The gradient of the input is the same for the errors, once for each phase of the stride.
"""

from collections import namedtuple
from math import gcd

from .call import step
from .pointers import fill, inline, is_null, null, offset, on_stack
from .vectors import MOST_LANES, from_lane, keep_rolled, lanes, read, total, write, zeros

#: windows that are summed together, each in a register
WINDOWS = 8
#: windows of a run at most, so that they stay in the nearest cache from some channels to the next
MOST_WINDOWS = 32
#: sums of a tap that take turns, so that none waits for the one before
TURNS = 4

#: Rows or columns. The window of result o begins at pixel start + o * step of `extent`, and its taps are `tap` apart. They meet
#: elements weight, weight + weight_tap, ... of the filter.
Axis = namedtuple("Axis", "results extent start step taps tap weight weight_tap")

#: Windows side by side that have the same taps, and how many elements apart they are in the image, the filters and the results.
Run = namedtuple("Run", "windows rows taps c x_window x_row x_tap w_row w_tap y_window")


def serves(e):
    """Say whether a convolution is depthwise, with one filter for a channel."""
    return e["cg"] == 1 and e["co"] == e["groups"] > 1


@inline
def inside(first, step, extent, count):
    """Return the range of those i < count for which first + i * step lies in [0, extent)."""
    begin, end = 0, count
    while begin < end and first + begin * step < 0:  # the few outside are counted sooner than a division is done
        begin += 1
    while begin < end and first + (end - 1) * step >= extent:
        end -= 1
    return begin, end


def _line_of(do):
    """Return a function that calls ``do(run, x, w, b, y)`` for all runs of a line of results, with pointers to where they begin."""

    @inline
    def line(x, w, b, y, rows, columns, place, kw, c, pitch):
        top, bottom = inside(rows.start + place * rows.step, rows.tap, rows.extent, rows.taps)
        x = offset(x, (rows.start + place * rows.step + top * rows.tap) * columns.extent * c)
        w = offset(w, (rows.weight + top * rows.weight_tap) * kw * c)
        x_window, x_row, x_tap = columns.step * c, rows.tap * columns.extent * c, columns.tap * c
        w_row, w_tap = rows.weight_tap * kw * c, columns.weight_tap * c
        whole, beyond = inside(columns.start, columns.step, columns.extent - (columns.taps - 1) * columns.tap, columns.results)
        o = 0
        while o < columns.results:
            windows = min(beyond - o, MOST_WINDOWS) if o >= whole and o < beyond else 1
            first = columns.start + o * columns.step
            left, right = inside(first, columns.tap, columns.extent, columns.taps)
            run = Run(windows, bottom - top, right - left, c, x_window, x_row, x_tap, w_row, w_tap, pitch)
            x_here, w_here = (first + left * columns.tap) * c, (columns.weight + left * columns.weight_tap) * c
            do(run, offset(x, x_here), offset(w, w_here), b, offset(y, o * pitch))
            o += windows

    return line


def _together(count):
    """Return a function that sums `count` windows in one vector of channels: in the first n or, where that is None, in all."""

    @inline
    def sum_windows(run, x, w, b, y, n):
        sums = zeros(count, y) if is_null(b) else read(count, b, 0, n)
        for i in range(run.rows):
            for j in range(run.taps):
                keep_rolled()
                tap = read(1, offset(w, i * run.w_row + j * run.w_tap), 0, n)
                sums += read(count, offset(x, i * run.x_row + j * run.x_tap), run.x_window, n) * tap
        write(sums, y, run.y_window, n)

    return sum_windows


several_windows, one_window = _together(WINDOWS), _together(1)


@inline
def sum_run(run, x, w, b, y):
    """Write the sums of the windows of a run; where they are many, the last several overlap those before."""
    together = WINDOWS if run.windows >= WINDOWS else 1
    for window in range(0, run.windows, together):
        o = min(window, run.windows - together)
        for channel in range(0, run.c, lanes(y)):
            k = max(min(channel, run.c - lanes(y)), 0)
            x_here, y_here = offset(x, o * run.x_window + k), offset(y, o * run.y_window + k)
            w_here, b_here = offset(w, k), b if is_null(b) else offset(b, k)
            if run.c < lanes(y):
                if together == 1:
                    one_window(run, x_here, w_here, b_here, y_here, run.c)
                else:
                    several_windows(run, x_here, w_here, b_here, y_here, run.c)
            elif together == 1:
                one_window(run, x_here, w_here, b_here, y_here, None)
            else:
                several_windows(run, x_here, w_here, b_here, y_here, None)


sum_line = _line_of(sum_run)


@inline
def forward_axes(call):
    rows = Axis(call.oh, call.ih, -call.pad_top, call.stride_h, call.kh, call.dilation_h, 0, 1)
    return rows, Axis(call.ow, call.iw, -call.pad_left, call.stride_w, call.kw, call.dilation_w, 0, 1)


def forward(finish):
    """Return the step of a convolution that ends with `finish`."""

    @step("n oh", "ow kh kw c")
    def convolve(call, first, last):
        c, line_size, (rows, columns) = call.c, call.ow * call.c, forward_axes(call)
        for line in range(first, last):
            x, y = offset(call.x, line // call.oh * call.ih * call.iw * c), offset(call.y, line * line_size)
            sum_line(x, call.w, call.b, y, rows, columns, line % call.oh, call.kw, c, c)
            finish(call, line * line_size, line_size)

    return convolve


@inline
def backward_axis(pixels, errors, taps, stride, pad, dilation, phase):
    """Return pixels phase, phase + stride, ... of the image as results of a convolution of the errors.

    Tap i took pixel h to error (h + pad - i * dilation) / stride, where that is whole: every (stride / divisor)th tap does, or
    none, with the greatest common divisor of stride and dilation. A later tap meets an earlier error, so the last one comes first.
    """
    divisor = gcd(stride, dilation)
    every, first = stride // divisor, 0
    while first < every and (phase + pad - first * dilation) % stride != 0:
        first += 1
    count = (taps - first + every - 1) // every if first < min(every, taps) else 0
    tap = first + (count - 1) * every
    results = (pixels - phase + stride - 1) // stride
    return Axis(results, errors, (phase + pad - tap * dilation) // stride, 1, count, dilation // divisor, tap, -every)


@step("n ih", "iw kh kw co")
def backward_input(call, first, last):
    """Write the gradient of the input or, of several filters for a channel, what each adds to it to the scratch memory."""
    c, kw, stride_h, stride_w = call.co, call.kw, call.stride_h, call.stride_w
    image = call.dx if c == call.c else call.scratch
    for line in range(first, last):
        h = line % call.ih
        dy, dx = offset(call.dy, line // call.ih * call.oh * call.ow * c), offset(image, line * call.iw * c)
        rows = backward_axis(call.ih, call.oh, call.kh, stride_h, call.pad_top, call.dilation_h, h % stride_h)
        for phase in range(min(stride_w, call.iw)):
            columns = backward_axis(call.iw, call.ow, kw, stride_w, call.pad_left, call.dilation_w, phase)
            here = offset(dx, phase * c)
            sum_line(dy, call.w, null(dx), here, rows, columns, h // stride_h, kw, c, stride_w * c)


@step("n ih iw c", lambda e: e["co"] // e["c"], scratch=lambda e: e["n"] * e["ih"] * e["iw"] * e["co"])
def add_filters(call, first, last):
    """Add up what the filters of each channel have in the gradient of the input."""
    dx, filters = call.dx, call.co // call.c
    for i in range(first, last):
        dx[i] = call.scratch[i * filters]
        for f in range(1, filters):
            dx[i] += call.scratch[i * filters + f]


@inline
def add_tap(run, x, dw, dy, first, n):
    """Add the products of a tap's pixels with the errors in one vector of channels, from its channel `first` on; n as above."""
    together = run.windows - run.windows % TURNS
    sums = zeros(TURNS, dw)
    for o in range(0, together, TURNS):
        keep_rolled()
        pixels = read(TURNS, offset(x, o * run.x_window), run.x_window, n)
        sums += pixels * read(TURNS, offset(dy, o * run.y_window), run.y_window, n)
    tap = total(sums)
    for o in range(together, run.windows):
        keep_rolled()
        tap += read(1, offset(x, o * run.x_window), 0, n) * read(1, offset(dy, o * run.y_window), 0, n)
    write(read(1, dw, 0, n) + from_lane(tap, first), dw, 0, n)


@inline
def add_run(run, x, dw, db, dy):
    """Add what the windows of a run have in the gradient of the filters and, where db is not NULL, of the bias."""
    ones = on_stack(dw, MOST_LANES)
    fill(ones, MOST_LANES, 1.0)
    errors = Run(run.windows, 1, 1, run.c, 0, 0, 0, 0, 0, run.y_window)  # the bias meets ones
    for channel in range(0, run.c, lanes(dw)):
        k = max(min(channel, run.c - lanes(dw)), 0)
        first, dy_here = channel - k, offset(dy, k)
        for i in range(run.rows):
            for j in range(run.taps):
                x_here, dw_here = offset(x, i * run.x_row + j * run.x_tap + k), offset(dw, i * run.w_row + j * run.w_tap + k)
                if run.c < lanes(dw):
                    add_tap(run, x_here, dw_here, dy_here, first, run.c)
                else:
                    add_tap(run, x_here, dw_here, dy_here, first, None)
        if not is_null(db):
            if run.c < lanes(dw):
                add_tap(errors, ones, offset(db, k), dy_here, first, run.c)
            else:
                add_tap(errors, ones, offset(db, k), dy_here, first, None)


add_line = _line_of(add_run)


@inline
def add_lines(call, first, last, dw, db):
    """Add what lines [first, last) of the output, of all images, have in the gradient of the filters and of the bias."""
    c, (rows, columns) = call.c, forward_axes(call)
    for line in range(first, last):
        x, dy = offset(call.x, line // call.oh * call.ih * call.iw * c), offset(call.dy, line * call.ow * c)
        add_line(x, dw, db, dy, rows, columns, line % call.oh, call.kw, c, c)
