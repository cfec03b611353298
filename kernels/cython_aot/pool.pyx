"""Pooling over windows of an image. The innermost loop runs over channels, which are contiguous."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t
from libc.string cimport memset

from call cimport real
from parallel cimport team

cdef enum:
    COLUMNS = 64  # channels summed at a time


# The part of a window along one axis that lies inside the image: from `first` to before `last`.

cdef inline Py_ssize_t first_inside(Py_ssize_t o, Py_ssize_t stride, Py_ssize_t pad) noexcept nogil:
    return max(0, o * stride - pad)


cdef inline Py_ssize_t last_inside(Py_ssize_t o, Py_ssize_t stride, Py_ssize_t pad, Py_ssize_t window, Py_ssize_t extent) noexcept nogil:
    return min(extent, o * stride - pad + window)


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
            _max_of_four(x, top * iw + left, iw, y + ox * c, argmax + ox * c, c)
        else:
            _max_of_window(x, top, bottom, left, right, iw, y + ox * c, argmax + ox * c, c)


cdef inline void _max_of_window(const real *x, Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right, Py_ssize_t iw,
                                real *y, int32_t *argmax, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t iy, ix, k
    cdef const real *pixel = x + (top * iw + left) * c
    cdef int32_t at
    cdef real best
    for k in range(c):
        y[k] = pixel[k]
        argmax[k] = <int32_t>(top * iw + left)
    for iy in range(top, bottom):
        for ix in range(left, right):
            pixel = x + (iy * iw + ix) * c
            for k in range(c):
                best = y[k]
                at = argmax[k]
                _take(pixel[k], <int32_t>(iy * iw + ix), &best, &at)
                y[k] = best
                argmax[k] = at


cdef inline void _max_of_four(const real *x, Py_ssize_t place, Py_ssize_t iw, real *y, int32_t *argmax, Py_ssize_t c) noexcept nogil:
    """The window of two rows and columns at `place`."""
    # the last vector is moved back to end with the channels, over some that are done; vectors of 4 for few channels
    cdef const real *pixel = x + place * c
    cdef Py_ssize_t first = 0
    if c >= 16:
        _max_of_channels(pixel, iw * c, c, place, iw, y, argmax, c - c % 16)
        if c % 16:
            _max_of_channels(pixel + c - 16, iw * c, c, place, iw, y + c - 16, argmax + c - 16, 16)
    elif c >= 4:
        while first < c:
            first = min(first, c - 4)
            _max_of_channels(pixel + first, iw * c, c, place, iw, y + first, argmax + first, 4)
            first += 4
    else:
        _max_of_channels(pixel, iw * c, c, place, iw, y, argmax, c)


cdef inline void _max_of_channels(const real *x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t place, Py_ssize_t iw, real *y,
                                  int32_t *argmax, Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t k
    cdef real best
    cdef int32_t at
    for k in range(channels):
        best = x[k]
        at = <int32_t>place
        _take(x[column + k], <int32_t>(place + 1), &best, &at)
        _take(x[row + k], <int32_t>(place + iw), &best, &at)
        _take(x[row + column + k], <int32_t>(place + iw + 1), &best, &at)
        y[k] = best
        argmax[k] = at


cdef inline void _take(real candidate, int32_t place, real *best, int32_t *at) noexcept nogil:
    """Let a larger candidate, or the first NaN, take the place of `best`; an equal one does not, so the first maximum stays."""
    # selects between two values each: compilers vectorize these, conditions joined by `and` only sometimes
    cdef int32_t if_nan = place if best[0] == best[0] else at[0], if_number = place if candidate > best[0] else at[0]
    cdef real larger = candidate if candidate > best[0] else best[0]
    at[0] = if_nan if candidate != candidate else if_number
    best[0] = candidate if candidate != candidate else larger


cdef void maxpool2d_backward(const real *dy, const int32_t *argmax, real *dx, Py_ssize_t n, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t c,
                             Py_ssize_t ih, Py_ssize_t iw, int threads) noexcept nogil:
    cdef Py_ssize_t i, image = ih * iw * c, output = oh * ow * c
    if team(n * image, threads) == 1:
        for i in range(n):
            _scatter_max(dy + i * output, argmax + i * output, dx + i * image, oh, ow, c, ih, iw)
    else:
        for i in prange(n, num_threads=threads, schedule="static"):
            _scatter_max(dy + i * output, argmax + i * output, dx + i * image, oh, ow, c, ih, iw)


cdef void _scatter_max(const real *dy, const int32_t *argmax, real *dx, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t c, Py_ssize_t ih,
                       Py_ssize_t iw) noexcept nogil:
    """One image."""
    cdef Py_ssize_t o, k
    memset(dx, 0, ih * iw * c * sizeof(real))
    for o in range(oh * ow):
        for k in range(c):
            dx[argmax[o * c + k] * c + k] += dy[o * c + k]


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
