"""Pooling over windows of an image. The innermost loop runs over channels, which are contiguous."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t
from libc.string cimport memset

from call cimport real
from parallel cimport team
from windows cimport first_inside, last_inside, max_of_four, scatter_max, take_pixel

cdef enum:
    COLUMNS = 64  # channels summed at a time


cdef void maxpool2d_forward(const real *x, Py_ssize_t pool_h, Py_ssize_t pool_w, Py_ssize_t stride_h, Py_ssize_t stride_w,
                            Py_ssize_t pad_top, Py_ssize_t pad_left, real *y, int32_t *argmax,
                            Py_ssize_t n, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow, int threads) noexcept nogil:
    cdef Py_ssize_t row, line = ow * c
    if team(n * ih * iw * c, threads) == 1:
        for row in range(n * oh):
            _max_row(x + (row // oh) * ih * iw * c, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y + row * line,
                     argmax + row * line, row % oh, ih, iw, c, ow)
    else:
        for row in prange(n * oh, num_threads=threads, schedule="static"):
            _max_row(x + (row // oh) * ih * iw * c, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y + row * line,
                     argmax + row * line, row % oh, ih, iw, c, ow)


cdef void _max_row(const real *x, Py_ssize_t pool_h, Py_ssize_t pool_w, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top,
                   Py_ssize_t pad_left, real *y, int32_t *argmax, Py_ssize_t oy, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c,
                   Py_ssize_t ow) noexcept nogil:
    """One row of one image's output."""
    cdef Py_ssize_t ox, top = first_inside(oy, stride_h, pad_top), bottom = last_inside(oy, stride_h, pad_top, pool_h, ih), left, right
    for ox in range(ow):
        left = first_inside(ox, stride_w, pad_left)
        right = last_inside(ox, stride_w, pad_left, pool_w, iw)
        if bottom - top == 2 and right - left == 2:
            max_of_four(x + (top * iw + left) * c, iw * c, c, top * iw + left, iw, y + ox * c, argmax + ox * c, c,
                        right < iw and ox + 1 < ow)
        else:
            _max_of_window(x, top, bottom, left, right, iw, y + ox * c, argmax + ox * c, c)


cdef inline void _max_of_window(const real *x, Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right, Py_ssize_t iw,
                                real *y, int32_t *argmax, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t iy, ix, k
    cdef const real *pixel = x + (top * iw + left) * c
    for k in range(c):
        y[k] = pixel[k]
        argmax[k] = <int32_t>(top * iw + left)
    for iy in range(top, bottom):
        for ix in range(left, right):
            take_pixel(x + (iy * iw + ix) * c, iy * iw + ix, y, argmax, c)


cdef void maxpool2d_backward(const real *dy, const int32_t *argmax, real *dx, Py_ssize_t n, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t c,
                             Py_ssize_t ih, Py_ssize_t iw, int threads) noexcept nogil:
    cdef Py_ssize_t i, image = ih * iw * c, output = oh * ow * c
    if team(n * image, threads) == 1:
        for i in range(n):
            scatter_max(dy + i * output, argmax + i * output, dx + i * image, oh, ow, c, ih, iw)
    else:
        for i in prange(n, num_threads=threads, schedule="static"):
            scatter_max(dy + i * output, argmax + i * output, dx + i * image, oh, ow, c, ih, iw)


cdef void avgpool2d_forward(const real *x, Py_ssize_t pool_h, Py_ssize_t pool_w, Py_ssize_t stride_h, Py_ssize_t stride_w,
                            Py_ssize_t pad_top, Py_ssize_t pad_left, real *y,
                            Py_ssize_t n, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow, int threads) noexcept nogil:
    cdef Py_ssize_t row, line = ow * c
    if team(n * ih * iw * c, threads) == 1:
        for row in range(n * oh):
            _mean_row(x + (row // oh) * ih * iw * c, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y + row * line,
                      row % oh, ih, iw, c, ow)
    else:
        for row in prange(n * oh, num_threads=threads, schedule="static"):
            _mean_row(x + (row // oh) * ih * iw * c, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y + row * line,
                      row % oh, ih, iw, c, ow)


cdef void _mean_row(const real *x, Py_ssize_t pool_h, Py_ssize_t pool_w, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top,
                    Py_ssize_t pad_left, real *y, Py_ssize_t oy, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, Py_ssize_t ow) noexcept nogil:
    """One row of one image's output."""
    cdef Py_ssize_t ox, iy, ix, k, left, right
    cdef Py_ssize_t top = first_inside(oy, stride_h, pad_top), bottom = last_inside(oy, stride_h, pad_top, pool_h, ih)
    cdef const real *pixel
    cdef real share, one = 1
    for ox in range(ow):
        left = first_inside(ox, stride_w, pad_left)
        right = last_inside(ox, stride_w, pad_left, pool_w, iw)
        share = one / ((bottom - top) * (right - left))
        pixel = x + (top * iw + left) * c
        if bottom - top == 2 and right - left == 2:
            # the common window, without a round through memory for each of its elements
            for k in range(c):
                y[ox * c + k] = share * ((pixel[k] + pixel[c + k]) + (pixel[iw * c + k] + pixel[iw * c + c + k]))
            continue
        for k in range(c):
            y[ox * c + k] = 0
        for iy in range(top, bottom):
            for ix in range(left, right):
                pixel = x + (iy * iw + ix) * c
                for k in range(c):
                    y[ox * c + k] += pixel[k]
        for k in range(c):
            y[ox * c + k] *= share


cdef void avgpool2d_backward(const real *dy, Py_ssize_t pool_h, Py_ssize_t pool_w, Py_ssize_t stride_h, Py_ssize_t stride_w,
                             Py_ssize_t pad_top, Py_ssize_t pad_left, real *dx,
                             Py_ssize_t n, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t c, Py_ssize_t ih, Py_ssize_t iw, int threads) noexcept nogil:
    cdef Py_ssize_t i, image = ih * iw * c, output = oh * ow * c
    if team(n * image, threads) == 1:
        for i in range(n):
            _spread_mean(dy + i * output, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx + i * image, oh, ow, c, ih, iw)
    else:
        for i in prange(n, num_threads=threads, schedule="static"):
            _spread_mean(dy + i * output, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx + i * image, oh, ow, c, ih, iw)


cdef void _spread_mean(const real *dy, Py_ssize_t pool_h, Py_ssize_t pool_w, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top,
                       Py_ssize_t pad_left, real *dx, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t c, Py_ssize_t ih,
                       Py_ssize_t iw) noexcept nogil:
    """One image."""
    cdef Py_ssize_t oy, ox, iy, ix, k, top, bottom, left, right
    cdef const real *gradient
    cdef real *pixel
    cdef real share, one = 1
    memset(dx, 0, ih * iw * c * sizeof(real))
    for oy in range(oh):
        top = first_inside(oy, stride_h, pad_top)
        bottom = last_inside(oy, stride_h, pad_top, pool_h, ih)
        for ox in range(ow):
            left = first_inside(ox, stride_w, pad_left)
            right = last_inside(ox, stride_w, pad_left, pool_w, iw)
            share = one / ((bottom - top) * (right - left))
            gradient = dy + (oy * ow + ox) * c
            for iy in range(top, bottom):
                for ix in range(left, right):
                    pixel = dx + (iy * iw + ix) * c
                    for k in range(c):
                        pixel[k] += share * gradient[k]


cdef void global_avgpool2d_forward(const real *x, real *y, Py_ssize_t n, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c,
                                   int threads) noexcept nogil:
    cdef Py_ssize_t i
    if team(n * ih * iw * c, threads) == 1:
        for i in range(n):
            _mean_of_pixels(x + i * ih * iw * c, y + i * c, ih * iw, c)
    else:
        for i in prange(n, num_threads=threads, schedule="static"):
            _mean_of_pixels(x + i * ih * iw * c, y + i * c, ih * iw, c)


cdef void _mean_of_pixels(const real *x, real *y, Py_ssize_t pixels, Py_ssize_t c) noexcept nogil:
    # sums in double: an image has many pixels
    cdef double total[COLUMNS]
    cdef Py_ssize_t pixel, first = 0, k, width
    while first < c:
        width = min(<Py_ssize_t>COLUMNS, c - first)
        for k in range(width):
            total[k] = 0
        for pixel in range(pixels):
            for k in range(width):
                total[k] += x[pixel * c + first + k]
        for k in range(width):
            y[first + k] = <real>(total[k] / pixels)
        first += width


cdef void global_avgpool2d_backward(const real *dy, real *dx, Py_ssize_t n, Py_ssize_t c, Py_ssize_t ih, Py_ssize_t iw,
                                    int threads) noexcept nogil:
    cdef Py_ssize_t i
    if team(n * ih * iw * c, threads) == 1:
        for i in range(n):
            _spread_over_pixels(dy + i * c, dx + i * ih * iw * c, ih * iw, c)
    else:
        for i in prange(n, num_threads=threads, schedule="static"):
            _spread_over_pixels(dy + i * c, dx + i * ih * iw * c, ih * iw, c)


cdef void _spread_over_pixels(const real *dy, real *dx, Py_ssize_t pixels, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t pixel, k
    cdef real share = <real>1 / pixels
    for pixel in range(pixels):
        for k in range(c):
            dx[pixel * c + k] = share * dy[k]


include "calls_pool.pxi"
