"""Convolution in three passes, im2col and col2im.

Every way of computing one has a file of its own: conv_forward, conv_backward_input and gradient multiply matrices where they lie, group by
group; winograd and depthwise serve the convolutions that they suit. im2col and col2im are in columns.
"""

from cython.parallel cimport prange

from activate cimport relu_gradient
from call cimport real
from columns cimport bands_of, col2im_band, im2col_line
from conv_backward_input cimport convolve_back_group
from conv_forward cimport convolve_group
from custom cimport Applied, applied
from depthwise cimport depthwise_backward_input, depthwise_backward_weight, depthwise_forward
from gradient cimport Gradient, multiply_transposed
from parallel cimport chunk_length, chunk_start, chunks, team
from patches cimport Window
from winograd cimport winograd_backward, winograd_backward_input, winograd_backward_weight, winograd_forward, winograd_pays


cdef void im2col(const real *x, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top, Py_ssize_t pad_left,
                 Py_ssize_t dilation_h, Py_ssize_t dilation_w, real *cols, Py_ssize_t n, Py_ssize_t p, Py_ssize_t ih, Py_ssize_t iw,
                 Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t kh, Py_ssize_t kw, int threads) noexcept nogil:
    cdef Window window = Window(ih=ih, iw=iw, c=c, pixel=c, oh=oh, ow=ow, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w,
                                pad_top=pad_top, pad_left=pad_left, dilation_h=dilation_h, dilation_w=dilation_w)
    cdef Py_ssize_t line
    if team(n * oh * ow * p * kh * kw * c, threads) == 1:
        for line in range(n * oh):
            im2col_line(x, &window, p, line, cols)
    else:
        for line in prange(n * oh, num_threads=threads, schedule="static"):
            im2col_line(x, &window, p, line, cols)


cdef void col2im(const real *cols, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top, Py_ssize_t pad_left,
                 Py_ssize_t dilation_h, Py_ssize_t dilation_w, real *x, Py_ssize_t n, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t p,
                 Py_ssize_t kh, Py_ssize_t kw, Py_ssize_t c, Py_ssize_t ih, Py_ssize_t iw, int threads) noexcept nogil:
    cdef Window window = Window(ih=ih, iw=iw, c=c, pixel=c, oh=oh, ow=ow, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w,
                                pad_top=pad_top, pad_left=pad_left, dilation_h=dilation_h, dilation_w=dilation_w)
    cdef Py_ssize_t band
    if team(n * oh * ow * p * kh * kw * c, threads) == 1:
        for band in range(n * bands_of(&window)):
            col2im_band(cols, &window, p, band, x)
    else:
        for band in prange(n * bands_of(&window), num_threads=threads, schedule="static"):
            col2im_band(cols, &window, p, band, x)


cdef void conv2d_forward(const real *x, const real *w, const real *b, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top,
                         Py_ssize_t pad_left, Py_ssize_t dilation_h, Py_ssize_t dilation_w, Py_ssize_t groups, Py_ssize_t activation,
                         double alpha, real *y, Py_ssize_t n, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, Py_ssize_t kh, Py_ssize_t kw,
                         Py_ssize_t cg, Py_ssize_t co, Py_ssize_t oh, Py_ssize_t ow, int threads) noexcept nogil:
    cdef Window window = Window(ih=ih, iw=iw, c=cg, pixel=c, oh=oh, ow=ow, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w,
                                pad_top=pad_top, pad_left=pad_left, dilation_h=dilation_h, dilation_w=dilation_w)
    cdef Py_ssize_t group, filters = co // groups
    if cg == 1 and groups > 1 and filters == 1:
        depthwise_forward(x, w, b, y, &window, n, activation, alpha, threads)
        return
    if winograd_pays(&window, n, co, x) and winograd_forward(x, w, b, y, &window, n, co, activation, alpha, threads):
        return
    for group in range(groups):
        convolve_group(x + group * cg, w + group * filters, b + group * filters if b else NULL, y + group * filters, &window,
                       n * ih * iw * c - group * cg, n * oh * ow, filters, co, activation, alpha, threads)


cdef void conv2d_custom_forward(const real *x, const real *w, const real *b, Py_ssize_t stride_h, Py_ssize_t stride_w,
                                Py_ssize_t pad_top, Py_ssize_t pad_left, Py_ssize_t dilation_h, Py_ssize_t dilation_w, Py_ssize_t groups,
                                Py_ssize_t function, real *y, real *slope, Py_ssize_t n, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c,
                                Py_ssize_t kh, Py_ssize_t kw, Py_ssize_t cg, Py_ssize_t co, Py_ssize_t oh, Py_ssize_t ow,
                                int threads) noexcept nogil:
    cdef Applied activation = applied(function, y, slope)
    conv2d_forward(x, w, b, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, <Py_ssize_t>&activation, 0, y,
                   n, ih, iw, c, kh, kw, cg, co, oh, ow, threads)


cdef void conv2d_backward_input(const real *dy, const real *w, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top,
                                Py_ssize_t pad_left, Py_ssize_t dilation_h, Py_ssize_t dilation_w, Py_ssize_t groups, real *dx,
                                Py_ssize_t n, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t co, Py_ssize_t kh, Py_ssize_t kw, Py_ssize_t cg,
                                Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, int threads) noexcept nogil:
    cdef Window window = Window(ih=ih, iw=iw, c=cg, pixel=c, oh=oh, ow=ow, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w,
                                pad_top=pad_top, pad_left=pad_left, dilation_h=dilation_h, dilation_w=dilation_w)
    cdef Py_ssize_t filters = co // groups, group
    if cg == 1 and groups > 1 and filters == 1:
        depthwise_backward_input(dy, w, dx, &window, n, threads)
        return
    if winograd_pays(&window, n, co, dy) and winograd_backward_input(dy, w, dx, &window, n, co, threads):
        return
    for group in range(groups):
        convolve_back_group(dy + group * filters, w + group * filters, dx + group * cg, &window, n, filters, co, threads)


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
    if winograd_pays(&window, n, co, x) and winograd_backward_weight(x, dy, dw, db, &window, n, co, threads):
        return
    for group in range(groups):
        gradient = Gradient(window=window, x_size=n * ih * iw * c - group * cg, pixels=pixels, k=kh * kw * cg, n=filters, added=False,
                            dy_pixel=co, dy_size=pixels * co - group * filters, dw_row=co)
        multiply_transposed(x + group * cg, dy + group * filters, dw + group * filters, db + group * filters if db else NULL,
                            &gradient, threads)


cdef void conv2d_backward(const real *x, const real *dy, const real *w, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top,
                          Py_ssize_t pad_left, Py_ssize_t dilation_h, Py_ssize_t dilation_w, Py_ssize_t groups, Py_ssize_t relu,
                          real *dx, real *dw, real *db, Py_ssize_t n, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, Py_ssize_t oh,
                          Py_ssize_t ow, Py_ssize_t co, Py_ssize_t kh, Py_ssize_t kw, Py_ssize_t cg, int threads) noexcept nogil:
    cdef Py_ssize_t i, size = n * ih * iw * c
    cdef Window window = Window(ih=ih, iw=iw, c=cg, pixel=c, oh=oh, ow=ow, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w,
                                pad_top=pad_top, pad_left=pad_left, dilation_h=dilation_h, dilation_w=dilation_w)
    if winograd_pays(&window, n, co, x) and winograd_backward(x, dy, w, relu, dx, dw, db, &window, n, co, threads):
        return
    conv2d_backward_input(dy, w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, dx, n, oh, ow, co, kh, kw, cg, ih,
                          iw, c, threads)
    conv2d_backward_weight(x, dy, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, dw, db, n, ih, iw, c, oh, ow, co,
                           kh, kw, cg, threads)
    if relu and team(size, threads) == 1:
        relu_gradient(dx, x, dx, size)
    elif relu:
        for i in prange(chunks(size), num_threads=threads, schedule="static"):
            relu_gradient(dx + chunk_start(i, size), x + chunk_start(i, size), dx + chunk_start(i, size), chunk_length(i, size))


include "calls_conv.pxi"
