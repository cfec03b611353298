"""The gradient of a convolution's input: every element of the filters carries errors back to the pixels that it met.

For each row of pixels of dx and each column j of the filters: dx[shifted pixels, c] += dy[pixels, filters] B[filters, c], with the rows i of
the filters that meet this row of pixels taken together as one longer sum. Only what lies inside is multiplied, so padding costs nothing,
and a stride only makes the pixels of dx stand farther apart.

Channels that do not fill a vector would waste most of each tile. There B is [filters, kw * c] for all columns of the filters at once, and what
it gives is then added to the pixels as col2im does, a row of them at a time. For small filters of one to three channels that wastes much as
well: see conv_backward_planes.
"""

from cython.parallel cimport prange
from libc.stdlib cimport free
from libc.string cimport memset

from activate cimport LINEAR
from call cimport real
from columns cimport add_patches
from conv_backward_planes cimport convolve_back_planes, planes_pay
from gemm cimport (LINE_BYTES, PANEL_BYTES, PANEL_ROWS, PARALLEL_FLOPS, SMALL_BYTES, TILE_ACCUMULATE, TILE_VECTORS, allocate_panels,
                   first_line, multiply_segments, pack_columns, panel_width, panels_size, tile_width)
from matrix cimport Matrices, matrix_multiply
from patches cimport BLOCK_BYTES, Window, patches_are_pixels

cdef enum:
    JOINED_BYTES = 512  # of all columns of a row of the filters, at most, for them to be taken at once


cdef inline void convolve_back_group(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t n, Py_ssize_t filters,
                                     Py_ssize_t co, int threads) noexcept nogil:
    """dx for the channels and filters of one group."""
    cdef char small[SMALL_BYTES]
    cdef real *panels
    cdef Py_ssize_t line, pixels = n * window.oh * window.ow, joined = joined_columns(window, dy)
    cdef Matrices matrices = Matrices(rows=pixels, k=filters, n=window.c, lda=co, ldb=co,
                                      b_size=(window.c - 1) * co + filters, transposed=True, ldc=window.pixel, activation=LINEAR, alpha=0,
                                      halved=False)
    if patches_are_pixels(window):
        matrix_multiply(dy, w, <const real *>NULL, dx, &matrices, threads)
        return
    if planes_pay(window, filters, dy) and convolve_back_planes(dy, w, dx, window, n, filters, co, threads):
        return
    panels = allocate_panels(window.kh * window.kw // joined * filters, window.c * joined, small, dy)
    if panels:
        _pack_taps(w, window, filters, co, joined, panels)
    if threads == 1 or 2 * pixels * window.kh * window.kw * window.c * filters < PARALLEL_FLOPS:
        for line in range(n * window.ih):
            _backward_line(dy, w, panels, dx, window, filters, co, line)
    else:
        for line in prange(n * window.ih, num_threads=threads, schedule="static"):
            _backward_line(dy, w, panels, dx, window, filters, co, line)
    if <char *>panels != small:
        free(panels)


cdef inline Py_ssize_t joined_columns(const Window *window, const real *tag) noexcept nogil:
    """Return how many columns of the filters are taken at once: all or one."""
    cdef Py_ssize_t lanes = panel_width(tag) // TILE_VECTORS
    return window.kw if window.c < lanes and window.kw * window.c * <Py_ssize_t>sizeof(real) <= JOINED_BYTES else 1


cdef inline void _pack_taps(const real *w, const Window *window, Py_ssize_t filters, Py_ssize_t co, Py_ssize_t joined,
                            real *panels) noexcept nogil:
    """Pack for every column j of the filters, or `joined` of them, the matrix B[kh * filters, c] of their elements (i, j), transposed.

    Rows i of the filters that meet the same rows of dx, every `stride_h / gcd(stride_h, dilation_h)`-th, stand side by side.
    """
    cdef Py_ssize_t k = window.kh * filters, c = joined * window.c, columns = window.kw // joined, matrix = panels_size(k, c, w)
    cdef Py_ssize_t step = row_step(window), i, j, start, place = 0
    for start in range(min(step, window.kh)):
        i = start
        while i < window.kh:
            for j in range(columns):
                pack_columns(w + (i * columns + j) * c * co, co, place * filters, filters, k, c, panels + j * matrix)
            place += 1
            i += step


cdef inline Py_ssize_t row_step(const Window *window) noexcept nogil:
    """Return stride_h / gcd(stride_h, dilation_h)."""
    cdef Py_ssize_t step = 1
    while step * window.dilation_h % window.stride_h != 0:
        step += 1
    return step


cdef struct Taps:
    # The rows of the filters that meet one row of pixels: first, first + step, ... `count` of them
    Py_ssize_t first, step, count
    Py_ssize_t place  # of the first among the packed ones
    Py_ssize_t oh, back  # row of dy that the first meets; rows from there back to the one that the next meets


cdef inline Taps _taps(const Window *window, Py_ssize_t h) noexcept nogil:
    """Find the taps that meet row `h` of the padded image."""
    cdef Taps taps
    cdef Py_ssize_t most
    taps.step = row_step(window)
    taps.back = taps.step * window.dilation_h // window.stride_h
    taps.first = taps.place = taps.count = taps.oh = 0
    while taps.first < taps.step and (h - taps.first * window.dilation_h) % window.stride_h != 0:
        taps.place += max((window.kh - taps.first + taps.step - 1) // taps.step, 0)
        taps.first += 1
    if taps.first == taps.step:
        return taps
    most = (window.kh - taps.first + taps.step - 1) // taps.step
    taps.oh = (h - taps.first * window.dilation_h) // window.stride_h
    while taps.oh >= window.oh:
        taps.oh -= taps.back
        taps.first += taps.step
        taps.place += 1
        most -= 1
    if taps.oh >= 0:
        taps.count = max(min(most, taps.oh // taps.back + 1), 0)
    return taps


cdef inline void _backward_line(const real *dy, const real *w, const real *panels, real *dx, const Window *window, Py_ssize_t filters,
                                Py_ssize_t co, Py_ssize_t line) noexcept nogil:
    """Compute a row of pixels of dx."""
    cdef Taps taps = _taps(window, line % window.ih + window.pad_top)
    cdef Py_ssize_t i, j, shift, first, last, matrix = panels_size(window.kh * filters, window.c, dy)
    dx += line * window.iw * window.pixel
    dy += (line // window.ih * window.oh + taps.oh) * window.ow * co
    for i in range(window.iw):
        memset(dx + i * window.pixel, 0, window.c * sizeof(real))
    if taps.count == 0:
        return
    if panels and joined_columns(window, dy) > 1:
        _add_joined_taps(dy, panels, dx, window, &taps, filters, co)
        return
    for j in range(window.kw):
        shift = j * window.dilation_w - window.pad_left  # column of dx that column 0 of dy meets
        first = (window.stride_w - 1 - shift) // window.stride_w if shift < 0 else 0
        last = min((window.iw - 1 - shift) // window.stride_w + 1 if shift < window.iw else 0, window.ow)
        if first >= last:
            continue
        if panels:
            _multiply_taps(dy + first * co, panels + j * matrix, dx + (first * window.stride_w + shift) * window.pixel,
                           window.stride_w * window.pixel, window.c, window, &taps, last - first, filters, co, TILE_ACCUMULATE)
        else:
            for i in range(taps.count):
                _add_tap(dy - i * taps.back * window.ow * co + first * co,
                         w + ((taps.first + i * taps.step) * window.kw + j) * window.c * co,
                         dx + (first * window.stride_w + shift) * window.pixel, window, last - first, filters, co)


cdef inline void _multiply_taps(const real *dy, const real *panels, real *products, Py_ssize_t ldc, Py_ssize_t c, const Window *window,
                                const Taps *taps, Py_ssize_t pixels, Py_ssize_t filters, Py_ssize_t co, int flags) noexcept nogil:
    """products[pixels, c] = dy[pixels, filters] B[filters, c], summed over the taps of a row of pixels; `ldc` from one row to the next."""
    cdef Py_ssize_t width = panel_width(dy), panel, left, n, ldb
    for panel in range((c + width - 1) // width):
        left = panel * width
        n = min(width, c - left)
        ldb = tile_width(n, sizeof(real))
        multiply_segments(dy, co, 1, -taps.back * window.ow * co, panels + left * window.kh * filters + taps.place * filters * ldb, ldb,
                          products + left, ldc, pixels, taps.count, filters, n, <const real *>NULL, flags)


cdef inline void _add_joined_taps(const real *dy, const real *panels, real *dx, const Window *window, const Taps *taps,
                                  Py_ssize_t filters, Py_ssize_t co) noexcept nogil:
    """Add what all columns of the filters carry back, a block of pixels at a time."""
    cdef char memory[BLOCK_BYTES]
    cdef real *products = first_line(memory, dx)
    cdef Py_ssize_t c = window.kw * window.c, most = (BLOCK_BYTES - LINE_BYTES) // (c * <Py_ssize_t>sizeof(real)), first, blocks, block
    cdef Window row = window[0]  # what remains is one row of the window on one row of the image
    row.ih = row.oh = row.kh = 1
    row.pad_top = 0
    blocks = (window.ow + most - 1) // most
    for block in range(blocks):
        first = block * window.ow // blocks
        row.ow = (block + 1) * window.ow // blocks - first
        row.pad_left = window.pad_left - first * window.stride_w
        _multiply_taps(dy + first * co, panels, products, c, c, window, taps, row.ow, filters, co, 0)
        add_patches(products, &row, 1, 0, 0, 1, dx)


cdef inline void _add_tap(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t pixels, Py_ssize_t filters,
                          Py_ssize_t co) noexcept nogil:
    """Add what one tap carries back, its filters packed anew: slow, for when there is no memory to pack all of them beforehand."""
    cdef char memory[PANEL_ROWS * PANEL_BYTES + LINE_BYTES]
    cdef real *packed = first_line(memory, dy)
    cdef Py_ssize_t width = panel_width(dy), panel, left, n, block, first, count
    for panel in range((window.c + width - 1) // width):
        left = panel * width
        n = min(width, window.c - left)
        for block in range((filters + PANEL_ROWS - 1) // PANEL_ROWS):
            first = block * PANEL_ROWS
            count = min(<Py_ssize_t>PANEL_ROWS, filters - first)
            pack_columns(w + left * co + first, co, 0, count, count, n, packed)
            multiply_segments(dy + first, co, 1, 0, packed, tile_width(n, sizeof(real)), dx + left, window.stride_w * window.pixel, pixels,
                              1, count, n, <const real *>NULL, TILE_ACCUMULATE)
