"""Convolution in three passes, im2col and col2im.

Everything but a depthwise convolution is the matrix product of gemm.pxd; this file says where its operands lie.
"""

from cython.parallel cimport prange
from libc.stdlib cimport free
from libc.string cimport memset

from call cimport fastnn_call, real
from depthwise cimport depthwise_backward_input, depthwise_backward_weight, depthwise_forward
from gemm cimport (SMALL_BYTES, TILE_ROWS, Gradient, Product, allocate_panels, multiply, multiply_transposed, pack_columns,
                   pack_rows)
from patches cimport Window, gather_patches

cdef enum:
    PARALLEL_ELEMENTS = 65536  # below, a second thread costs more than it brings
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
        out_image=window.oh * window.ow * co, out_row=window.ow * co, out_pixel=co, activation=activation, alpha=alpha)
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
    # With stride s every s-th row (column) of dx meets the same rows (columns) of the filters: each such phase is a convolution of
    # dy with stride 1. There are s * s of them; with stride 1, one.
    cdef Window window = Window(ih=ih, iw=iw, c=cg, pixel=c, oh=oh, ow=ow, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w,
                                pad_top=pad_top, pad_left=pad_left, dilation_h=dilation_h, dilation_w=dilation_w)
    cdef Py_ssize_t group, row, column
    if cg == 1 and groups > 1 and co == groups:
        depthwise_backward_input(dy, w, dx, &window, n, threads)
        return
    for group in range(groups):
        for row in range(min(stride_h, ih)):
            for column in range(min(stride_w, iw)):
                _backward_phase(dy + group * (co // groups), w + group * (co // groups), dx + group * cg, &window, n, co,
                                co // groups, row, column, threads)


cdef struct Taps:
    # the rows (or columns) of the filters that meet one phase: first, first - step, ... `count` of them
    Py_ssize_t first, step, count
    Py_ssize_t shift, spread  # tap t of pixel q of the phase meets dy at q + shift + t * spread


cdef inline Taps _taps(Py_ssize_t phase, Py_ssize_t stride, Py_ssize_t pad, Py_ssize_t dilation, Py_ssize_t extent) noexcept nogil:
    """Find all i < extent for which (phase + pad - i * dilation) is a multiple of the stride, the last first."""
    cdef Py_ssize_t i, previous = -1
    cdef Taps taps = Taps(first=0, step=1, count=0, shift=0, spread=1)
    for i in range(extent):
        if (phase + pad - i * dilation) % stride == 0:
            if previous >= 0:
                taps.step = i - previous
                taps.spread = taps.step * dilation // stride
            taps.first = previous = i
            taps.count += 1
    if taps.count:
        taps.shift = (phase + pad - taps.first * dilation) // stride
    return taps


cdef inline void _backward_phase(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t n, Py_ssize_t co,
                                 Py_ssize_t filters, Py_ssize_t row, Py_ssize_t column, int threads) noexcept nogil:
    """Compute the pixels (row + stride_h * i, column + stride_w * j) of dx."""
    cdef char small[SMALL_BYTES]
    cdef Taps down = _taps(row, window.stride_h, window.pad_top, window.dilation_h, window.kh)
    cdef Taps across = _taps(column, window.stride_w, window.pad_left, window.dilation_w, window.kw)
    cdef Py_ssize_t height = (window.ih - row + window.stride_h - 1) // window.stride_h
    cdef Py_ssize_t width = (window.iw - column + window.stride_w - 1) // window.stride_w
    cdef Py_ssize_t k = down.count * across.count * filters, i, j, tap
    cdef real *panels = allocate_panels(k, window.c, small, dy)
    cdef Product product = Product(
        window=Window(ih=window.oh, iw=window.ow, c=filters, pixel=co, oh=height, ow=width, kh=down.count, kw=across.count,
                      stride_h=1, stride_w=1, pad_top=-down.shift, pad_left=-across.shift, dilation_h=down.spread,
                      dilation_w=across.spread),
        x_size=n * window.oh * window.ow * co, rows=n * height * width, k=k, n=window.c, packed=True, ldb=0, b_size=0,
        out_image=window.ih * window.iw * window.pixel, out_row=window.stride_h * window.iw * window.pixel,
        out_pixel=window.stride_w * window.pixel, activation=0, alpha=0)
    for i in range(down.count):
        for j in range(across.count):
            tap = (down.first - i * down.step) * window.kw + across.first - j * across.step
            pack_columns(w + tap * window.c * co, co, (i * across.count + j) * filters, filters, k, window.c, panels)
    multiply(dy, <const real *>panels, <const real *>NULL, dx + (row * window.iw + column) * window.pixel, &product, threads)
    if <char *>panels != small:
        free(panels)


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
    for group in range(groups):
        gradient = Gradient(window=window, x_size=n * ih * iw * c - group * cg, pixels=pixels, k=kh * kw * cg, n=filters,
                            dy_pixel=co, dy_size=pixels * co - group * filters, dw_row=co)
        multiply_transposed(x + group * cg, dy + group * filters, dw + group * filters, db + group * filters if db else NULL,
                            &gradient, threads)


include "calls_conv.pxi"
