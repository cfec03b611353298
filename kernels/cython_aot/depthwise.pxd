"""Depthwise convolution, one filter per channel: nothing to multiply as matrices, so plain loops with the channels innermost."""

from cython.parallel cimport prange
from libc.string cimport memcpy, memset

from activate cimport activate_inplace
from call cimport real
from patches cimport Window

cdef enum:
    DEPTHWISE_PARALLEL = 65536  # multiply-adds below which a second thread costs more than it brings


cdef inline bint _inside(const Window *window, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t i, Py_ssize_t j, Py_ssize_t *pixel) noexcept nogil:
    """Find the pixel of the image that tap (i, j) of output (oh, ow) meets; say whether it lies inside."""
    cdef Py_ssize_t h = oh * window.stride_h - window.pad_top + i * window.dilation_h
    cdef Py_ssize_t w = ow * window.stride_w - window.pad_left + j * window.dilation_w
    pixel[0] = h * window.iw + w
    return 0 <= h < window.ih and 0 <= w < window.iw


cdef inline int _team(const Window *window, Py_ssize_t n, int threads) noexcept nogil:
    cdef Py_ssize_t work = n * window.oh * window.ow * window.kh * window.kw * window.pixel
    return threads if work >= DEPTHWISE_PARALLEL else 1


cdef inline void depthwise_forward(const real *x, const real *w, const real *b, real *y, const Window *window, Py_ssize_t n,
                                   Py_ssize_t activation, double alpha, int threads) noexcept nogil:
    cdef Py_ssize_t line
    if _team(window, n, threads) == 1:
        for line in range(n * window.oh):
            _forward_line(x, w, b, y, window, line, activation, alpha)
    else:
        for line in prange(n * window.oh, num_threads=threads, schedule="static"):
            _forward_line(x, w, b, y, window, line, activation, alpha)


cdef inline void _forward_line(const real *x, const real *w, const real *b, real *y, const Window *window, Py_ssize_t line,
                               Py_ssize_t activation, double alpha) noexcept nogil:
    """Compute one row of output pixels."""
    cdef Py_ssize_t c = window.pixel, image = line // window.oh, ow, i, j, pixel
    cdef real *out = y + line * window.ow * c
    for ow in range(window.ow):
        if b:
            memcpy(out + ow * c, b, c * sizeof(real))
        else:
            memset(out + ow * c, 0, c * sizeof(real))
        for i in range(window.kh):
            for j in range(window.kw):
                if _inside(window, line % window.oh, ow, i, j, &pixel):
                    _add_product(x + (image * window.ih * window.iw + pixel) * c, w + (i * window.kw + j) * c, out + ow * c, c)
    if activation:
        activate_inplace(out, window.ow * c, activation, <real>alpha)


cdef inline void depthwise_backward_input(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t n,
                                          int threads) noexcept nogil:
    cdef Py_ssize_t image
    if _team(window, n, threads) == 1:
        for image in range(n):
            _backward_image(dy, w, dx, window, image)
    else:
        for image in prange(n, num_threads=threads, schedule="static"):
            _backward_image(dy, w, dx, window, image)


cdef inline void _backward_image(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t image) noexcept nogil:
    """Spread the errors of one image over the pixels that they came from."""
    cdef Py_ssize_t c = window.pixel, oh, ow, i, j, pixel
    dy += image * window.oh * window.ow * c
    dx += image * window.ih * window.iw * c
    memset(dx, 0, window.ih * window.iw * c * sizeof(real))
    for oh in range(window.oh):
        for ow in range(window.ow):
            for i in range(window.kh):
                for j in range(window.kw):
                    if _inside(window, oh, ow, i, j, &pixel):
                        _add_product(dy + (oh * window.ow + ow) * c, w + (i * window.kw + j) * c, dx + pixel * c, c)


cdef inline void depthwise_backward_weight(const real *x, const real *dy, real *dw, real *db, const Window *window, Py_ssize_t n,
                                           int threads) noexcept nogil:
    cdef Py_ssize_t tap, taps = window.kh * window.kw, pixel, c = window.pixel, k
    if _team(window, n, threads) == 1:
        for tap in range(taps):
            _weight_tap(x, dy, dw, window, n, tap)
    else:
        for tap in prange(taps, num_threads=threads, schedule="static"):
            _weight_tap(x, dy, dw, window, n, tap)
    if db:
        memset(db, 0, c * sizeof(real))
        for pixel in range(n * window.oh * window.ow):
            for k in range(c):
                db[k] += dy[pixel * c + k]


cdef inline void _weight_tap(const real *x, const real *dy, real *dw, const Window *window, Py_ssize_t n, Py_ssize_t tap) noexcept nogil:
    """Compute the gradient of one element of every filter."""
    cdef Py_ssize_t c = window.pixel, line, ow, pixel
    memset(dw + tap * c, 0, c * sizeof(real))
    for line in range(n * window.oh):
        for ow in range(window.ow):
            if _inside(window, line % window.oh, ow, tap // window.kw, tap % window.kw, &pixel):
                _add_product(x + (line // window.oh * window.ih * window.iw + pixel) * c, dy + (line * window.ow + ow) * c, dw + tap * c, c)


cdef inline void _add_product(const real *a, const real *b, real *total, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(c):
        total[k] += a[k] * b[k]
