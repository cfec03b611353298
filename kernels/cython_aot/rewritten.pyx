"""Batch normalization, activation and pooling in one: of the image between them no more than some pixels are there at a time.

Columns are taken in blocks, as in batch.pxd, and of a block as many pixels at a time as lie side by side there.
"""

from cython.parallel cimport prange
from libc.stdint cimport int32_t
from libc.string cimport memset

from activate cimport activate_inplace, relu_gradient
from batch cimport (COLUMNS, PARTS, Terms, block_width, fold_sums, gradient_of, normalization, normalize, set_centers, set_terms,
                    side_by_side)
from call cimport real
from parallel cimport team
from windows cimport first_inside, last_inside, max_of_four, scatter_max, take_pixel


cdef struct Pooling:
    Py_ssize_t pool_h, pool_w, stride_h, stride_w, pad_top, pad_left
    Py_ssize_t n, ih, iw, c, oh, ow


cdef struct Activation:
    Py_ssize_t code
    double alpha


cdef enum:
    LINE = 64  # pixels of a line where windows are single pixels
    # from so many channels on, in whole vectors, comparing all elements of a window is faster than going where argmax points
    CHANNELS = 16
    VECTOR = 8


cdef void batchnorm_maxpool_forward(const real *x, const real *gamma, const real *beta, double eps, Py_ssize_t activation, double alpha,
                                    Py_ssize_t pool_h, Py_ssize_t pool_w, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top,
                                    Py_ssize_t pad_left, real *y, int32_t *argmax, real *mean, real *var, Py_ssize_t n, Py_ssize_t ih,
                                    Py_ssize_t iw, Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow, int threads) noexcept nogil:
    cdef Pooling pooling = Pooling(pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, n, ih, iw, c, oh, ow)
    cdef Activation activated = Activation(activation, alpha)
    _forward(x, gamma, beta, eps, &activated, &pooling, y, argmax, mean, var, threads)


cdef void batchnorm_avgpool_forward(const real *x, const real *gamma, const real *beta, double eps, Py_ssize_t activation, double alpha,
                                    Py_ssize_t pool_h, Py_ssize_t pool_w, Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top,
                                    Py_ssize_t pad_left, real *y, real *mean, real *var, Py_ssize_t n, Py_ssize_t ih, Py_ssize_t iw,
                                    Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow, int threads) noexcept nogil:
    cdef Pooling pooling = Pooling(pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, n, ih, iw, c, oh, ow)
    cdef Activation activated = Activation(activation, alpha)
    _forward(x, gamma, beta, eps, &activated, &pooling, y, NULL, mean, var, threads)


cdef void _forward(const real *x, const real *gamma, const real *beta, double eps, const Activation *activation, const Pooling *p, real *y,
                   int32_t *argmax, real *mean, real *var, int threads) noexcept nogil:
    """The largest element of each window, or, where `argmax` is NULL, the mean."""
    cdef real affine[3 * COLUMNS]
    cdef Py_ssize_t first = 0, width, fold, k, pixels = p.n * p.ih * p.iw
    cdef bint single = argmax == NULL and p.pool_h == p.pool_w == p.stride_h == p.stride_w == 1 and p.pad_top == p.pad_left == 0
    cdef Py_ssize_t lines = (pixels + LINE - 1) // LINE if single else p.n * p.oh
    while first < p.c:
        width = min(block_width(p.c), p.c - first)
        fold = side_by_side(width, p.c)
        normalization(x + first, gamma + first, beta + first, eps, mean + first, var + first, affine, pixels, p.c, width, fold, threads)
        if team(pixels * width, threads) == 1:
            for k in range(lines):
                _forward_line(x, affine, activation, p, y, argmax, single, k, first, width, fold)
        else:
            for k in prange(lines, num_threads=threads, schedule="static"):
                _forward_line(x, affine, activation, p, y, argmax, single, k, first, width, fold)
        first += width


cdef void _forward_line(const real *x, const real *affine, const Activation *activation, const Pooling *p, real *y, int32_t *argmax,
                        bint single, Py_ssize_t k, Py_ssize_t first, Py_ssize_t width, Py_ssize_t fold) noexcept nogil:
    """One row of one image's output, or a line of single pixels."""
    cdef Py_ssize_t pixel = k * LINE, at = pixel * p.c + first
    if single:
        _normalize_pixels(x + at, affine, activation, p.c, y + at, p.c, min(<Py_ssize_t>LINE, p.n * p.ih * p.iw - pixel), width, fold)
    else:
        _pool_row(x, affine, activation, p, y, argmax, k, first, width, fold)


cdef void _pool_row(const real *x, const real *affine, const Activation *activation, const Pooling *p, real *y, int32_t *argmax,
                    Py_ssize_t row, Py_ssize_t first, Py_ssize_t width, Py_ssize_t fold) noexcept nogil:
    """One row of one image's output."""
    cdef const real *image = x + row // p.oh * p.ih * p.iw * p.c + first
    cdef Py_ssize_t oy = row % p.oh, ox, left, right, at
    cdef Py_ssize_t top = first_inside(oy, p.stride_h, p.pad_top), bottom = last_inside(oy, p.stride_h, p.pad_top, p.pool_h, p.ih)
    if argmax and bottom - top == p.pool_w == p.stride_w == 2 and p.pad_left == 0 and 2 * p.ow <= p.iw:
        _max_of_two_rows(image, affine, activation, p, top, y + row * p.ow * p.c + first, argmax + row * p.ow * p.c + first, width, fold)
        return
    for ox in range(p.ow):
        left = first_inside(ox, p.stride_w, p.pad_left)
        right = last_inside(ox, p.stride_w, p.pad_left, p.pool_w, p.iw)
        at = (row * p.ow + ox) * p.c + first
        if argmax:
            _max_of_window(image, affine, activation, p, top, bottom, left, right, y + at, argmax + at, width)
        else:
            _mean_of_window(image, affine, activation, p, top, bottom, left, right, y + at, width, fold)


cdef inline void _max_of_two_rows(const real *image, const real *affine, const Activation *activation, const Pooling *p, Py_ssize_t top,
                                  real *y, int32_t *argmax, Py_ssize_t width, Py_ssize_t fold) noexcept nogil:
    """The common windows, of two rows and columns, side by side: as many at a time as pixels are."""
    cdef real rows[4 * COLUMNS]
    cdef Py_ssize_t ox = 0, k, windows, place
    while ox < p.ow:
        windows = min(max(fold // 2, <Py_ssize_t>1), p.ow - ox)
        place = top * p.iw + 2 * ox
        _normalize_pixels(image + place * p.c, affine, activation, p.c, rows, width, 2 * windows, width, fold)
        _normalize_pixels(image + (place + p.iw) * p.c, affine, activation, p.c, rows + 2 * COLUMNS, width, 2 * windows, width, fold)
        for k in range(windows):
            max_of_four(<const real *>rows + 2 * k * width, 2 * COLUMNS, width, place + 2 * k, p.iw, y, argmax, width, k + 1 < windows)
            y += p.c
            argmax += p.c
        ox += windows


cdef inline void _normalize_pixels(const real *x, const real *affine, const Activation *activation, Py_ssize_t x_pitch, real *y,
                                   Py_ssize_t y_pitch, Py_ssize_t pixels, Py_ssize_t width, Py_ssize_t fold) noexcept nogil:
    cdef Py_ssize_t done = 0
    while done < pixels:
        _normalize(x + done * x_pitch, affine, activation, y + done * y_pitch, min(fold, pixels - done) * width)
        done += fold


cdef inline void _normalize(const real *x, const real *affine, const Activation *activation, real *y, Py_ssize_t width) noexcept nogil:
    normalize(x, affine, y, width)
    activate_inplace(y, width, activation.code, <real>activation.alpha)


cdef inline void _max_of_window(const real *image, const real *affine, const Activation *activation, const Pooling *p, Py_ssize_t top,
                                Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right, real *y, int32_t *argmax,
                                Py_ssize_t width) noexcept nogil:
    cdef real pixel[COLUMNS]
    cdef Py_ssize_t iy, ix, j, place
    for iy in range(top, bottom):
        for ix in range(left, right):
            place = iy * p.iw + ix
            _normalize(image + place * p.c, affine, activation, pixel, width)
            if iy == top and ix == left:
                for j in range(width):
                    y[j] = pixel[j]
                    argmax[j] = <int32_t>place
                continue
            take_pixel(<const real *>pixel, place, y, argmax, width)


cdef inline void _mean_of_window(const real *image, const real *affine, const Activation *activation, const Pooling *p, Py_ssize_t top,
                                 Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right, real *y, Py_ssize_t width,
                                 Py_ssize_t fold) noexcept nogil:
    # sums in double: the window may be the whole image
    cdef double total[COLUMNS]
    cdef real pixels[COLUMNS]
    cdef Py_ssize_t iy, ix, j, count, size = (bottom - top) * (right - left)
    fold = min(fold, right - left)
    for j in range(fold * width):
        total[j] = 0
    for iy in range(top, bottom):
        ix = left
        while ix < right:
            count = min(fold, right - ix)
            _normalize(image + (iy * p.iw + ix) * p.c, affine, activation, pixels, count * width)
            for j in range(count * width):
                total[j] += pixels[j]
            ix += count
    fold_sums(total, total, width, fold)
    for j in range(width):
        y[j] = <real>(total[j] / size)


cdef void batchnorm_maxpool_backward(const real *dy, const int32_t *argmax, const real *x, const real *gamma, const real *mean,
                                     const real *var, double eps, Py_ssize_t relu, Py_ssize_t pool_h, Py_ssize_t pool_w,
                                     Py_ssize_t stride_h, Py_ssize_t stride_w, Py_ssize_t pad_top, Py_ssize_t pad_left, real *dx,
                                     real *dgamma, real *dbeta, Py_ssize_t n, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t c, Py_ssize_t ih,
                                     Py_ssize_t iw, int threads) noexcept nogil:
    cdef Pooling pooling = Pooling(pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, n, ih, iw, c, oh, ow)
    cdef double gradient[PARTS * COLUMNS]
    cdef double product[PARTS * COLUMNS]
    cdef Terms terms
    cdef Py_ssize_t first = 0, width, fold, k, pixels = n * ih * iw
    cdef Py_ssize_t share = max((n * oh + PARTS - 1) // PARTS, <Py_ssize_t>1), parts = (n * oh + share - 1) // share
    while first < c:
        width = min(block_width(c), c - first)
        fold = side_by_side(width, c)
        set_centers(&terms, mean + first, width, fold)
        if team(pixels * width, threads) == 1:
            for k in range(parts):
                _sum_maxima(dy, argmax, x, &terms, &pooling, k * share, min((k + 1) * share, n * oh), first, width, fold,
                            gradient + k * COLUMNS, product + k * COLUMNS)
        else:
            for k in prange(parts, num_threads=threads, schedule="static"):
                _sum_maxima(dy, argmax, x, &terms, &pooling, k * share, min((k + 1) * share, n * oh), first, width, fold,
                            gradient + k * COLUMNS, product + k * COLUMNS)
        set_terms(&terms, gradient, product, parts, gamma + first, var + first, eps, dgamma + first, dbeta + first, pixels, width, fold)
        if team(pixels * width, threads) == 1:
            for k in range(n):
                _maxpool_dx(dy, argmax, x, &terms, relu, &pooling, dx, k, first, width, fold)
        else:
            for k in prange(n, num_threads=threads, schedule="static"):
                _maxpool_dx(dy, argmax, x, &terms, relu, &pooling, dx, k, first, width, fold)
        first += width


cdef void _sum_maxima(const real *dy, const int32_t *argmax, const real *x, const Terms *terms, const Pooling *p, Py_ssize_t row,
                      Py_ssize_t last, Py_ssize_t first, Py_ssize_t width, Py_ssize_t fold, double *gradient, double *product) noexcept nogil:
    """Sums of dy and of dy * (x - center) over rows of windows, by column: the gradient is zero but at the largest elements."""
    cdef double sum_[COLUMNS]
    cdef double product_[COLUMNS]
    cdef int32_t channel[COLUMNS]
    cdef const real *image
    cdef Py_ssize_t left, j, at, place, stride = p.c
    for j in range(width * fold):
        sum_[j] = product_[j] = 0
        channel[j] = <int32_t>(first + j % width)
    for row in range(row, last):
        image = x + row // p.oh * p.ih * p.iw * p.c
        left = 0
        while left < p.ow:
            at = (row * p.ow + left) * p.c + first
            for j in range(min(fold, p.ow - left) * width):
                place = argmax[at + j] * stride + channel[j]
                sum_[j] += dy[at + j]
                product_[j] += <double>dy[at + j] * (image[place] - terms.center[j])
            left += fold
    fold_sums(sum_, gradient, width, fold)
    fold_sums(product_, product, width, fold)


cdef void _maxpool_dx(const real *dy, const int32_t *argmax, const real *x, const Terms *terms, bint relu, const Pooling *p, real *dx,
                      Py_ssize_t image, Py_ssize_t first, Py_ssize_t width, Py_ssize_t fold) noexcept nogil:
    """dx of one image: row by row what all elements have, and to it, as soon as all its rows are there, what a row of windows sends."""
    cdef Py_ssize_t size = p.ih * p.iw * p.c, ready = 0, bottom, oy
    x += image * size + first
    dx += image * size + first
    for oy in range(p.oh):
        bottom = last_inside(oy, p.stride_h, p.pad_top, p.pool_h, p.ih)
        _without_dy(x, terms, relu, dx, ready * p.iw, bottom * p.iw, p.c, width, fold)
        ready = bottom
        _add_dy(dy, argmax, x, terms, relu, dx, (image * p.oh + oy) * p.ow, p, first, width)
    _without_dy(x, terms, relu, dx, ready * p.iw, p.ih * p.iw, p.c, width, fold)


cdef inline void _without_dy(const real *x, const Terms *terms, bint relu, real *dx, Py_ssize_t pixel, Py_ssize_t last, Py_ssize_t c,
                             Py_ssize_t width, Py_ssize_t fold) noexcept nogil:
    """dx of the pixels up to `last` if there were no dy."""
    cdef Py_ssize_t j, at, span
    while pixel < last:
        at = pixel * c
        span = min(fold, last - pixel) * width
        for j in range(span):
            dx[at + j] = <real>gradient_of(terms, j, 0, x[at + j])
        if relu:
            relu_gradient(dx + at, x + at, dx + at, span)
        pixel += fold


cdef inline void _add_dy(const real *dy, const int32_t *argmax, const real *x, const Terms *terms, bint relu, real *dx, Py_ssize_t window,
                         const Pooling *p, Py_ssize_t first, Py_ssize_t width) noexcept nogil:
    """Add what dy of a row of windows contributes to the dx of their largest elements."""
    cdef Py_ssize_t ox, j, at, place
    for ox in range(p.ow):
        at = (window + ox) * p.c + first
        for j in range(width):
            place = argmax[at + j] * p.c + j
            if relu:
                dx[place] += <real>(terms.scale[j] * dy[at + j]) * (x[place] > 0)
            else:
                dx[place] += <real>(terms.scale[j] * dy[at + j])


cdef void maxpool2d_backward__gather(const real *dy, const int32_t *argmax, Py_ssize_t pool_h, Py_ssize_t pool_w, Py_ssize_t stride_h,
                                     Py_ssize_t stride_w, Py_ssize_t pad_top, Py_ssize_t pad_left, real *dx, Py_ssize_t n, Py_ssize_t oh,
                                     Py_ssize_t ow, Py_ssize_t c, Py_ssize_t ih, Py_ssize_t iw, int threads) noexcept nogil:
    cdef Pooling pooling = Pooling(pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, n, ih, iw, c, oh, ow)
    cdef Py_ssize_t i
    if team(n * ih * iw * c, threads) == 1:
        for i in range(n):
            _gather_image(dy, argmax, &pooling, dx, i)
    else:
        for i in prange(n, num_threads=threads, schedule="static"):
            _gather_image(dy, argmax, &pooling, dx, i)


cdef void _gather_image(const real *dy, const int32_t *argmax, const Pooling *p, real *dx, Py_ssize_t image) noexcept nogil:
    cdef bint whole = p.pad_top == p.pad_left == 0 and p.oh * p.pool_h <= p.ih and p.ow * p.pool_w <= p.iw
    dy += image * p.oh * p.ow * p.c
    argmax += image * p.oh * p.ow * p.c
    dx += image * p.ih * p.iw * p.c
    if whole and p.stride_h == p.pool_h and p.stride_w == p.pool_w and p.c >= CHANNELS and p.c % VECTOR == 0:
        _choose_max(dy, argmax, p, dx)
    else:
        scatter_max(dy, argmax, dx, p.oh, p.ow, p.c, p.ih, p.iw)


cdef inline void _choose_max(const real *dy, const int32_t *argmax, const Pooling *p, real *dx) noexcept nogil:
    """For whole windows side by side: write each pixel once, in vectors, what its window sends where it is the largest and else zero."""
    cdef Py_ssize_t iy, _ox, _ix, k, at, place, right = p.ow * p.pool_w, bottom = p.oh * p.pool_h
    cdef real given, zero = 0
    for iy in range(bottom):
        at = iy // p.pool_h * p.ow * p.c
        place = iy * p.iw
        for _ox in range(p.ow):
            for _ix in range(p.pool_w):
                for k in range(p.c):
                    given = dy[at + k]  # read in any case, as in relu_gradient
                    dx[place * p.c + k] = given if argmax[at + k] == place else zero
                place += 1
            at += p.c
        memset(dx + place * p.c, 0, (p.iw - right) * p.c * sizeof(real))
    memset(dx + bottom * p.iw * p.c, 0, (p.ih - bottom) * p.iw * p.c * sizeof(real))


include "calls_rewritten.pxi"
