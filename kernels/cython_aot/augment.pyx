"""Random changes of images: what is drawn for each image, and what it does to the image."""

from cython.parallel cimport prange
from libc.math cimport cos, floor, sin
from libc.stdint cimport uint32_t, uint64_t

from call cimport real
from parallel cimport team

cdef extern from "philox.h" nogil:
    void philox_words(uint64_t first, uint64_t step, uint64_t seed, uint32_t *words, Py_ssize_t count)

cdef enum:
    CONSTANT = 0
    NEAREST = 1
    REFLECT = 2
    BILINEAR = 1
    PIXEL_COST = 16  # elements that could be copied in the time that finding one pixel's place takes


cdef void random_uniform(const double *low, const double *high, double *value, uint64_t *state, Py_ssize_t k, Py_ssize_t n,
                         int threads) noexcept nogil:
    # few numbers: one thread
    cdef uint32_t word[4]
    cdef Py_ssize_t i
    for i in range(n * k):
        if i % 4 == 0:
            philox_words(i // 4, state[1], state[0], word, 1)
        value[i] = low[i % k] + (high[i % k] - low[i % k]) * (word[i % 4] / 4294967296.0)
    state[1] += 1


cdef void affine_warp(const real *x, const double *motion, Py_ssize_t same_zoom, Py_ssize_t fill_mode, Py_ssize_t interpolation,
                      double fill_value, real *y, Py_ssize_t n, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, Py_ssize_t oh,
                      Py_ssize_t ow, int threads) noexcept nogil:
    cdef Py_ssize_t line
    if team(n * oh * ow * (c + PIXEL_COST), threads) == 1:
        for line in range(n * oh):
            _warp_line(x, motion, same_zoom, fill_mode, interpolation, <real>fill_value, y, ih, iw, c, oh, ow, line)
    else:
        for line in prange(n * oh, num_threads=threads, schedule="static"):
            _warp_line(x, motion, same_zoom, fill_mode, interpolation, <real>fill_value, y, ih, iw, c, oh, ow, line)


cdef void _warp_line(const real *x, const double *motion, Py_ssize_t same_zoom, Py_ssize_t fill_mode, Py_ssize_t interpolation,
                     real fill_value, real *y, Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow,
                     Py_ssize_t line) noexcept nogil:
    """One row of one image; rows are counted over all images."""
    cdef const double *m = motion + 7 * (line // oh)
    cdef const real *image = x + line // oh * ih * iw * c
    cdef real *out = y + line * ow * c
    cdef double cosine = cos(m[2]), sine = sin(m[2]), zoom_w = m[0] if same_zoom else m[1]
    cdef double u = (line % oh - (oh - 1) / 2.0) * (-m[0] if m[5] < 0 else m[0])
    cdef double v, row, column, top, left
    cdef real down, right
    cdef Py_ssize_t j, t
    if m[6] < 0:
        zoom_w = -zoom_w
    for j in range(ow):
        v = (j - (ow - 1) / 2.0) * zoom_w
        row = (ih - 1) / 2.0 + u * cosine + v * sine - m[3]
        column = (iw - 1) / 2.0 + v * cosine - u * sine - m[4]
        if interpolation == BILINEAR:
            top, left = floor(row), floor(column)
            down, right = <real>(row - top), <real>(column - left)
            for t in range(c):
                out[j * c + t] = 0
            _add_pixel(image, <Py_ssize_t>top, <Py_ssize_t>left, (1 - down) * (1 - right), fill_mode, fill_value, ih, iw, c, out + j * c)
            _add_pixel(image, <Py_ssize_t>top, <Py_ssize_t>left + 1, (1 - down) * right, fill_mode, fill_value, ih, iw, c, out + j * c)
            _add_pixel(image, <Py_ssize_t>top + 1, <Py_ssize_t>left, down * (1 - right), fill_mode, fill_value, ih, iw, c, out + j * c)
            _add_pixel(image, <Py_ssize_t>top + 1, <Py_ssize_t>left + 1, down * right, fill_mode, fill_value, ih, iw, c, out + j * c)
        else:
            for t in range(c):
                out[j * c + t] = 0
            top, left = floor(row + 0.5), floor(column + 0.5)
            _add_pixel(image, <Py_ssize_t>top, <Py_ssize_t>left, 1, fill_mode, fill_value, ih, iw, c, out + j * c)


cdef inline void _add_pixel(const real *image, Py_ssize_t row, Py_ssize_t column, real weight, Py_ssize_t fill_mode, real fill_value,
                            Py_ssize_t ih, Py_ssize_t iw, Py_ssize_t c, real *out) noexcept nogil:
    cdef Py_ssize_t t
    cdef const real *pixel
    if fill_mode == CONSTANT and not (0 <= row < ih and 0 <= column < iw):
        for t in range(c):
            out[t] += weight * fill_value
        return
    pixel = image + (_inside(row, ih, fill_mode) * iw + _inside(column, iw, fill_mode)) * c
    for t in range(c):
        out[t] += weight * pixel[t]


cdef inline Py_ssize_t _inside(Py_ssize_t i, Py_ssize_t extent, Py_ssize_t fill_mode) noexcept nogil:
    if 0 <= i < extent:
        return i
    if fill_mode == NEAREST:
        return 0 if i < 0 else extent - 1
    if fill_mode == REFLECT:
        i = _remainder(i, 2 * extent)
        return min(i, 2 * extent - 1 - i)
    return _remainder(i, extent)


cdef inline Py_ssize_t _remainder(Py_ssize_t i, Py_ssize_t extent) noexcept nogil:
    """The remainder that is not negative."""
    i = i % extent
    return i + extent if i < 0 else i


cdef void contrast_brightness(const real *x, const double *change, double low, double high, real *y, Py_ssize_t n, Py_ssize_t ih,
                              Py_ssize_t iw, Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t task, r = ih * iw
    if team(n * r * c, threads) == 1:
        for task in range(n * c):
            _change_channel(x, change, <real>low, <real>high, y, r, c, task)
    else:
        for task in prange(n * c, num_threads=threads, schedule="static"):
            _change_channel(x, change, <real>low, <real>high, y, r, c, task)


cdef void _change_channel(const real *x, const double *change, real low, real high, real *y, Py_ssize_t r, Py_ssize_t c,
                          Py_ssize_t task) noexcept nogil:
    """One channel of one image."""
    cdef Py_ssize_t i, start = task // c * r * c + task % c
    cdef double total = 0, factor = change[2 * (task // c)], shift = change[2 * (task // c) + 1]
    cdef real value, scale, offset
    for i in range(r):
        total += x[start + i * c]
    # of factor 1 nothing but the shift remains, without rounding
    scale, offset = <real>factor, <real>(total / r * (1 - factor) + shift)
    for i in range(r):
        value = x[start + i * c] * scale + offset
        y[start + i * c] = low if value < low else high if value > high else value  # NaN stays NaN


include "calls_augment.pxi"
