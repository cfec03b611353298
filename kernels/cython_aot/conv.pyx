"""Convolution in three passes, im2col and col2im.

Depthwise convolutions and those that Winograd's algorithm suits have files of their own; all others are the matrix product of
gemm.pxd, and this file says where its operands lie.
"""

from cython.parallel cimport prange
from libc.stdlib cimport free
from libc.string cimport memset

from call cimport real
from depthwise cimport depthwise_backward_input, depthwise_backward_weight, depthwise_forward
from gemm cimport (PARALLEL_FLOPS, SMALL_BYTES, TILE_ACCUMULATE, TILE_ROWS, Gradient, Product, allocate_panels, multiply,
                   multiply_segments, multiply_transposed, pack_columns, pack_rows, panel_width, panels_size, tile_width)
from patches cimport Window, gather_patches
from winograd cimport winograd_backward_input, winograd_backward_weight, winograd_forward, winograd_pays

cdef enum:
    PARALLEL_ELEMENTS = 131072  # below, a second thread costs more than it brings
    GATHER_ROWS = 64


cdef void im2col(const real *x, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top, Py_ssize_t pad_left,
                 Py_ssize_t dilation_h, Py_ssize_t dilation_w, real *cols, Py_ssize_t n, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c,
                 Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t kh, Py_ssize_t kw, int threads) noexcept nogil:
    cdef Window window = Window(ih=ih, iw=iw, c=c, pixel=c, oh=oh, ow=ow, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w,
                                pad_top=pad_top, pad_left=pad_left, dilation_h=dilation_h, dilation_w=dilation_w)
    cdef Py_ssize_t columns = kh * kw * c, rows = n * oh * ow, tasks = (rows + GATHER_ROWS - 1) // GATHER_ROWS, task
    if threads == 1 or rows * columns < PARALLEL_ELEMENTS:
        gather_patches(x, n * ih * iw * c, &window, 0, rows, 0, columns, cols, columns, rows * columns)
    else:
        for task in prange(tasks, num_threads=threads, schedule="static"):
            _im2col_rows(x, n * ih * iw * c, &window, task * GATHER_ROWS, min(rows, (task + 1) * GATHER_ROWS), columns, cols)


cdef inline void _im2col_rows(const real *x, Py_ssize_t x_size, const Window *window, Py_ssize_t first, Py_ssize_t last,
                              Py_ssize_t columns, real *cols) noexcept nogil:
    gather_patches(x, x_size, window, first, last - first, 0, columns, cols + first * columns, columns, (last - first) * columns)


cdef void col2im(const real *cols, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top, Py_ssize_t pad_left,
                 Py_ssize_t dilation_h, Py_ssize_t dilation_w, real *x, Py_ssize_t n, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t kh,
                 Py_ssize_t kw, Py_ssize_t c, Py_ssize_t ih, Py_ssize_t iw, int threads) noexcept nogil:
    cdef Window window = Window(ih=ih, iw=iw, c=c, pixel=c, oh=oh, ow=ow, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w,
                                pad_top=pad_top, pad_left=pad_left, dilation_h=dilation_h, dilation_w=dilation_w)
    cdef Py_ssize_t line
    if threads == 1 or n * oh * ow * kh * kw * c < PARALLEL_ELEMENTS:
        for line in range(n * ih):
            _col2im_line(cols, &window, line, x)
    else:
        for line in prange(n * ih, num_threads=threads, schedule="static"):
            _col2im_line(cols, &window, line, x)


cdef inline void _col2im_line(const real *cols, const Window *window, Py_ssize_t line, real *x) noexcept nogil:
    """Sum into one row of pixels of an image what the patches hold for it."""
    cdef Py_ssize_t image = line // window.ih, h = line % window.ih, c = window.c, i, j, k, oh, ow, w
    cdef const real *patch
    cdef real *pixel
    memset(x + line * window.iw * c, 0, window.iw * c * sizeof(real))
    for i in range(window.kh):
        oh = h + window.pad_top - i * window.dilation_h
        if oh < 0 or oh % window.stride_h != 0 or oh // window.stride_h >= window.oh:
            continue
        oh = oh // window.stride_h
        for ow in range(window.ow):
            for j in range(window.kw):
                w = ow * window.stride_w - window.pad_left + j * window.dilation_w
                if w < 0 or w >= window.iw:
                    continue
                patch = cols + ((((image * window.oh + oh) * window.ow + ow) * window.kh + i) * window.kw + j) * c
                pixel = x + (line * window.iw + w) * c
                for k in range(c):
                    pixel[k] += patch[k]


cdef void conv2d_forward(const real *x, const real *w, const real *b, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top,
                         Py_ssize_t pad_left, Py_ssize_t dilation_h, Py_ssize_t dilation_w, Py_ssize_t groups, Py_ssize_t activation,
                         double alpha, real *y, Py_ssize_t n, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, Py_ssize_t kh, Py_ssize_t kw,
                         Py_ssize_t cg, Py_ssize_t co, Py_ssize_t oh, Py_ssize_t ow, int threads) noexcept nogil:
    cdef Window window = Window(ih=ih, iw=iw, c=cg, pixel=c, oh=oh, ow=ow, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w,
                                pad_top=pad_top, pad_left=pad_left, dilation_h=dilation_h, dilation_w=dilation_w)
    cdef Py_ssize_t group, k = kh * kw * cg, filters = co // groups
    if cg == 1 and groups > 1 and filters == 1:
        depthwise_forward(x, w, b, y, &window, n, activation, alpha, threads)
        return
    if real is float:
        if winograd_pays(&window, n, co) and winograd_forward(x, w, b, y, &window, n, co, activation, alpha, threads):
            return
    for group in range(groups):
        _forward_group(x + group * cg, w + group * filters, b + group * filters if b else NULL, y + group * filters, &window,
                       n * ih * iw * c - group * cg, n * oh * ow, k, filters, co, activation, alpha, threads)


cdef inline void _forward_group(const real *x, const real *w, const real *b, real *y, const Window *window, Py_ssize_t x_size,
                                Py_ssize_t rows, Py_ssize_t k, Py_ssize_t filters, Py_ssize_t co, Py_ssize_t activation, double alpha,
                                int threads) noexcept nogil:
    cdef char small[SMALL_BYTES]
    cdef real *panels = NULL
    cdef const real *matrix = w
    cdef Product product = Product(
        window=window[0], x_size=x_size, rows=rows, k=k, n=filters, packed=False, ldb=co, b_size=(k - 1) * co + filters,
        ldc=co, activation=activation, alpha=alpha)
    if rows >= 4 * TILE_ROWS:
        panels = allocate_panels(k, filters, small, x)
    if panels:
        pack_rows(w, co, k, filters, panels)
        product.packed = True
        matrix = panels
    multiply(x, matrix, b, y, &product, threads)
    if <char *>panels != small:
        free(panels)


cdef void conv2d_backward_input(const real *dy, const real *w, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top,
                                Py_ssize_t pad_left, Py_ssize_t dilation_h, Py_ssize_t dilation_w, Py_ssize_t groups, real *dx,
                                Py_ssize_t n, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t co, Py_ssize_t kh, Py_ssize_t kw, Py_ssize_t cg,
                                Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, int threads) noexcept nogil:
    cdef Window window = Window(ih=ih, iw=iw, c=cg, pixel=c, oh=oh, ow=ow, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w,
                                pad_top=pad_top, pad_left=pad_left, dilation_h=dilation_h, dilation_w=dilation_w)
    cdef Py_ssize_t filters = co // groups, group, line
    cdef char small[SMALL_BYTES]
    cdef real *panels
    if cg == 1 and groups > 1 and filters == 1:
        depthwise_backward_input(dy, w, dx, &window, n, threads)
        return
    if real is float:
        if winograd_pays(&window, n, co) and winograd_backward_input(dy, w, dx, &window, n, co, threads):
            return
    panels = allocate_panels(kh * kw * filters, cg, small, dy)
    for group in range(groups):
        _pack_taps(w + group * filters, &window, filters, co, panels)
        if threads == 1 or 2 * n * oh * ow * kh * kw * cg * filters < PARALLEL_FLOPS:
            for line in range(n * ih):
                _backward_line(dy + group * filters, panels, dx + group * cg, &window, filters, co, line)
        else:
            for line in prange(n * ih, num_threads=threads, schedule="static"):
                _backward_line(dy + group * filters, panels, dx + group * cg, &window, filters, co, line)
    if <char *>panels != small:
        free(panels)


cdef inline void _pack_taps(const real *w, const Window *window, Py_ssize_t filters, Py_ssize_t co, real *panels) noexcept nogil:
    """Pack for every column j of the filters the matrix B[kh * filters, c] of their elements (i, j), transposed.

    Rows i of the filters that meet the same rows of dx, every `stride_h / gcd(stride_h, dilation_h)`-th, stand side by side.
    """
    cdef Py_ssize_t k = window.kh * filters, matrix = panels_size(k, window.c, w)
    cdef Py_ssize_t step = row_step(window), i, j, start, place = 0
    for start in range(min(step, window.kh)):
        i = start
        while i < window.kh:
            for j in range(window.kw):
                pack_columns(w + (i * window.kw + j) * window.c * co, co, place * filters, filters, k, window.c, panels + j * matrix)
            place += 1
            i += step


cdef inline Py_ssize_t row_step(const Window *window) noexcept nogil:
    """Return stride_h / gcd(stride_h, dilation_h)."""
    cdef Py_ssize_t step = 1
    while step * window.dilation_h % window.stride_h != 0:
        step += 1
    return step


cdef inline void _backward_line(const real *dy, const real *panels, real *dx, const Window *window, Py_ssize_t filters, Py_ssize_t co,
                                Py_ssize_t line) noexcept nogil:
    """Compute a row of pixels of dx: the sum over taps (i, j) of dy, shifted, times their filters.

    The taps of a column j have all their errors in the same column of dy and add to the same pixels: one product.
    """
    cdef Py_ssize_t image = line // window.ih, h = line % window.ih + window.pad_top, w
    cdef Py_ssize_t step = row_step(window), back = step * window.dilation_h // window.stride_h  # dy rows from one tap to the next
    cdef Py_ssize_t start, place = 0, count, i, oh, j, first, last
    dx += line * window.iw * window.pixel
    for i in range(window.iw):
        memset(dx + i * window.pixel, 0, window.c * sizeof(real))
    # the first tap, and its place among the packed ones
    start = 0
    while start < min(step, window.kh) and (h - start * window.dilation_h) % window.stride_h != 0:
        place += (window.kh - start + step - 1) // step
        start += 1
    if start == min(step, window.kh):
        return
    count = (window.kh - start + step - 1) // step
    oh = (h - start * window.dilation_h) // window.stride_h
    while count > 0 and oh >= window.oh:
        oh -= back
        place += 1
        count -= 1
    count = min(count, oh // back + 1 if oh >= 0 else 0)
    if count <= 0:
        return
    for j in range(window.kw):
        w = j * window.dilation_w - window.pad_left  # column of dx that column 0 of dy meets
        first = max((window.stride_w - 1 - w) // window.stride_w, 0) if w < 0 else 0
        last = min((window.iw - 1 - w) // window.stride_w + 1 if w < window.iw else 0, window.ow)
        if first < last:
            _backward_tap(dy + ((image * window.oh + oh) * window.ow + first) * co, -back * window.ow * co,
                          panels + j * panels_size(window.kh * filters, window.c, dy), place * filters, window.kh * filters,
                          dx + (first * window.stride_w + w) * window.pixel, window.stride_w * window.pixel, last - first, count,
                          filters, window.c, co)


cdef inline void _backward_tap(const real *dy, Py_ssize_t segment, const real *panels, Py_ssize_t skipped, Py_ssize_t panel_rows,
                               real *dx, Py_ssize_t ldc, Py_ssize_t pixels, Py_ssize_t segments, Py_ssize_t filters, Py_ssize_t c,
                               Py_ssize_t co) noexcept nogil:
    cdef Py_ssize_t width = panel_width(dy), panel, left, n, ldb
    for panel in range((c + width - 1) // width):
        left = panel * width
        n = min(width, c - left)
        ldb = tile_width(n, sizeof(real))
        multiply_segments(dy, co, 1, segment, panels + left * panel_rows + skipped * ldb, ldb, dx + left, ldc, pixels, segments, filters,
                          n, <const real *>NULL, TILE_ACCUMULATE)


cdef void conv2d_backward_weight(const real *x, const real *dy, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top,
                                 Py_ssize_t pad_left, Py_ssize_t dilation_h, Py_ssize_t dilation_w, Py_ssize_t groups, real *dw,
                                 real *db, Py_ssize_t n, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow,
                                 Py_ssize_t co, Py_ssize_t kh, Py_ssize_t kw, Py_ssize_t cg, int threads) noexcept nogil:
    cdef Window window = Window(ih=ih, iw=iw, c=cg, pixel=c, oh=oh, ow=ow, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w,
                                pad_top=pad_top, pad_left=pad_left, dilation_h=dilation_h, dilation_w=dilation_w)
    cdef Py_ssize_t group, filters = co // groups, pixels = n * oh * ow
    cdef Gradient gradient
    if cg == 1 and groups > 1 and co == groups:
        depthwise_backward_weight(x, dy, dw, db, &window, n, threads)
        return
    if real is float:
        if winograd_pays(&window, n, co) and winograd_backward_weight(x, dy, dw, db, &window, n, co, threads):
            return
    for group in range(groups):
        gradient = Gradient(window=window, x_size=n * ih * iw * c - group * cg, pixels=pixels, k=kh * kw * cg, n=filters,
                            dy_pixel=co, dy_size=pixels * co - group * filters, dw_row=co)
        multiply_transposed(x + group * cg, dy + group * filters, dw + group * filters, db + group * filters if db else NULL,
                            &gradient, threads)


include "calls_conv.pxi"
