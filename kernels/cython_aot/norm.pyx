"""Normalization over the batch or over a sample's features, and dropout."""

from cython.parallel cimport prange
from libc.math cimport rint, sqrt
from libc.stdint cimport uint32_t, uint64_t

from activate cimport relu_gradient
from batch cimport (COLUMNS, PARTS, Terms, block_width, fold_sums, gradient_of, normalization, normalize, part_rows, repeat_affine,
                    set_centers, set_terms, side_by_side)
from call cimport real
from parallel cimport chunk_length, chunk_start, chunks, team
from sums cimport row_dot, row_dot_centered, row_squares, row_sum

cdef extern from "philox.h" nogil:
    void philox_words(uint64_t first, uint64_t step, uint64_t seed, uint32_t *words, Py_ssize_t count)

cdef enum:
    WORDS = 1024  # random words made at a time; pieces start at multiples


cdef void batchnorm_forward(const real *x, const real *gamma, const real *beta, double eps, real *y, real *mean, real *var,
                            Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    cdef real affine[3 * COLUMNS]
    cdef Py_ssize_t first = 0, width, fold
    while first < c:
        width = min(block_width(c), c - first)
        fold = side_by_side(width, c)
        normalization(x + first, gamma + first, beta + first, eps, mean + first, var + first, affine, m, c, width, fold, threads)
        _affine(x + first, affine, y + first, m, c, width, fold, threads)
        first += width


cdef void _affine(const real *x, const real *affine, real *y, Py_ssize_t m, Py_ssize_t c, Py_ssize_t width, Py_ssize_t fold,
                  int threads) noexcept nogil:
    """Normalize `width` columns."""
    cdef Py_ssize_t k, rows = part_rows(m), parts = (m + rows - 1) // rows
    if team(m * width, threads) == 1:
        for k in range(parts):
            _affine_rows(x + k * rows * c, affine, y + k * rows * c, min(rows, m - k * rows), c, width, fold)
    else:
        for k in prange(parts, num_threads=threads, schedule="static"):
            _affine_rows(x + k * rows * c, affine, y + k * rows * c, min(rows, m - k * rows), c, width, fold)


cdef void _affine_rows(const real *x, const real *affine, real *y, Py_ssize_t rows, Py_ssize_t c, Py_ssize_t width,
                       Py_ssize_t fold) noexcept nogil:
    cdef Py_ssize_t done = 0
    while done < rows:
        normalize(x + done * c, affine, y + done * c, min(fold, rows - done) * width)
        done += fold


cdef void batchnorm_inference(const real *x, const real *gamma, const real *beta, const real *mean, const real *var, double eps, real *y,
                              Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    cdef real affine[3 * COLUMNS]
    cdef Py_ssize_t first = 0, width, fold, j
    while first < c:
        width = min(block_width(c), c - first)
        fold = side_by_side(width, c)
        for j in range(width):
            affine[j] = mean[first + j]
            affine[COLUMNS + j] = <real>(gamma[first + j] / sqrt(var[first + j] + eps))
            affine[2 * COLUMNS + j] = beta[first + j]
        repeat_affine(affine, width, fold)
        _affine(x + first, affine, y + first, m, c, width, fold, threads)
        first += width


cdef void batchnorm_backward(const real *dy, const real *x, const real *gamma, const real *mean, const real *var, double eps,
                             Py_ssize_t relu, real *dx, real *dgamma, real *dbeta, Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    cdef double gradient[PARTS * COLUMNS]
    cdef double product[PARTS * COLUMNS]
    cdef Terms terms
    cdef Py_ssize_t first = 0, width, fold, k, rows = part_rows(m), parts = (m + rows - 1) // rows
    while first < c:
        width = min(block_width(c), c - first)
        fold = side_by_side(width, c)
        set_centers(&terms, mean + first, width, fold)
        if team(m * width, threads) == 1:
            for k in range(parts):
                _products(dy + first + k * rows * c, x + first + k * rows * c, &terms, min(rows, m - k * rows), c, width, fold,
                          gradient + k * COLUMNS, product + k * COLUMNS)
        else:
            for k in prange(parts, num_threads=threads, schedule="static"):
                _products(dy + first + k * rows * c, x + first + k * rows * c, &terms, min(rows, m - k * rows), c, width, fold,
                          gradient + k * COLUMNS, product + k * COLUMNS)
        set_terms(&terms, gradient, product, parts, gamma + first, var + first, eps, dgamma + first, dbeta + first, m, width, fold)
        if team(m * width, threads) == 1:
            for k in range(parts):
                _batchnorm_dx(dy + first + k * rows * c, x + first + k * rows * c, &terms, dx + first + k * rows * c,
                              min(rows, m - k * rows), c, width, fold, relu)
        else:
            for k in prange(parts, num_threads=threads, schedule="static"):
                _batchnorm_dx(dy + first + k * rows * c, x + first + k * rows * c, &terms, dx + first + k * rows * c,
                              min(rows, m - k * rows), c, width, fold, relu)
        first += width


cdef void _products(const real *dy, const real *x, const Terms *terms, Py_ssize_t rows, Py_ssize_t c, Py_ssize_t width, Py_ssize_t fold,
                    double *gradient, double *product) noexcept nogil:
    """Sums of dy and of dy * (x - center), by column."""
    cdef double sum_[COLUMNS]
    cdef double product_[COLUMNS]
    cdef Py_ssize_t i, j, span = width * fold, done = (rows // fold) * fold * c
    for j in range(span):
        sum_[j] = product_[j] = 0
    for i in range(rows // fold):
        for j in range(span):
            sum_[j] += dy[i * fold * c + j]
            product_[j] += <double>dy[i * fold * c + j] * (x[i * fold * c + j] - terms.center[j])
    for j in range((rows % fold) * width):
        sum_[j] += dy[done + j]
        product_[j] += <double>dy[done + j] * (x[done + j] - terms.center[j])
    fold_sums(sum_, gradient, width, fold)
    fold_sums(product_, product, width, fold)


cdef void _batchnorm_dx(const real *dy, const real *x, const Terms *terms, real *dx, Py_ssize_t rows, Py_ssize_t c, Py_ssize_t width,
                        Py_ssize_t fold, bint relu) noexcept nogil:
    cdef Py_ssize_t i, j, at, done = (rows // fold) * fold * c
    for i in range(rows // fold):
        for j in range(width * fold):
            at = i * fold * c + j
            dx[at] = <real>gradient_of(terms, j, dy[at], x[at])
        if relu:  # in a loop of its own, over what is in the cache: numbers of two widths and a choice in one loop are slower
            relu_gradient(dx + i * fold * c, x + i * fold * c, dx + i * fold * c, width * fold)
    for j in range((rows % fold) * width):
        dx[done + j] = <real>gradient_of(terms, j, dy[done + j], x[done + j])
    if relu:
        relu_gradient(dx + done, x + done, dx + done, (rows % fold) * width)


cdef void moving_average(const real *value, double momentum, real *average, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t i
    cdef real keep = <real>momentum, take = <real>(1 - momentum)
    for i in range(size):
        average[i] = keep * average[i] + take * value[i]


cdef void layernorm_forward(const real *x, const real *gamma, const real *beta, double eps, real *y, real *mean, real *var,
                            Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t i
    if team(m * c, threads) == 1:
        for i in range(m):
            _layernorm_row(x + i * c, gamma, beta, eps, y + i * c, mean + i, var + i, c)
    else:
        for i in prange(m, num_threads=threads, schedule="static"):
            _layernorm_row(x + i * c, gamma, beta, eps, y + i * c, mean + i, var + i, c)


cdef void _layernorm_row(const real *x, const real *gamma, const real *beta, double eps, real *y, real *mean, real *var,
                         Py_ssize_t c) noexcept nogil:
    cdef double middle = row_sum(x, c) / c
    cdef double variance = row_squares(x, middle, c) / c
    # as in batchnorm_forward, the mean is subtracted in two parts
    cdef real center = <real>middle, rest = <real>(middle - center), scale = <real>(1 / sqrt(variance + eps))
    cdef Py_ssize_t j
    mean[0] = center
    var[0] = <real>variance
    for j in range(c):
        y[j] = ((x[j] - center) - rest) * scale * gamma[j] + beta[j]


cdef void layernorm_backward(const real *dy, const real *x, const real *gamma, const real *mean, const real *var, double eps,
                             real *dx, real *dgamma, real *dbeta, Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    cdef double gradient[PARTS * COLUMNS]
    cdef double product[PARTS * COLUMNS]
    cdef double s1, s2
    cdef Py_ssize_t i, j, k, first = 0, width, rows = part_rows(m), parts = (m + rows - 1) // rows
    if team(m * c, threads) == 1:
        for i in range(m):
            _layernorm_dx(dy + i * c, x + i * c, gamma, mean[i], var[i] + eps, dx + i * c, c)
    else:
        for i in prange(m, num_threads=threads, schedule="static"):
            _layernorm_dx(dy + i * c, x + i * c, gamma, mean[i], var[i] + eps, dx + i * c, c)
    while first < c:
        width = min(block_width(c), c - first)
        if team(m * width, threads) == 1:
            for k in range(parts):
                _normal_products(dy + first + k * rows * c, x + first + k * rows * c, mean + k * rows, var + k * rows, eps,
                                 min(rows, m - k * rows), c, width, gradient + k * COLUMNS, product + k * COLUMNS)
        else:
            for k in prange(parts, num_threads=threads, schedule="static"):
                _normal_products(dy + first + k * rows * c, x + first + k * rows * c, mean + k * rows, var + k * rows, eps,
                                 min(rows, m - k * rows), c, width, gradient + k * COLUMNS, product + k * COLUMNS)
        for j in range(width):
            s1 = s2 = 0
            for k in range(parts):
                s1 += gradient[k * COLUMNS + j]
                s2 += product[k * COLUMNS + j]
            dbeta[first + j] = <real>s1
            dgamma[first + j] = <real>s2
        first += width


cdef void _layernorm_dx(const real *dy, const real *x, const real *gamma, double mean, double variance, real *dx, Py_ssize_t c) noexcept nogil:
    # with d = dy * gamma and u = (x - mean) / std: dx = (d - mean(d) - u * mean(d * u)) / std
    cdef Py_ssize_t j
    # (in double: with few columns nearly everything cancels)
    cdef double scale = 1 / sqrt(variance), level = row_dot(dy, gamma, c) / c
    cdef double slope = row_dot_centered(dy, gamma, x, mean, c) / (c * variance)
    for j in range(c):
        dx[j] = <real>(scale * (<double>dy[j] * gamma[j] - level - (x[j] - mean) * slope))


cdef void _normal_products(const real *dy, const real *x, const real *mean, const real *var, double eps, Py_ssize_t rows, Py_ssize_t c,
                           Py_ssize_t width, double *gradient, double *product) noexcept nogil:
    """Sums of dy and of dy * (x - mean) / std, by column."""
    cdef Py_ssize_t i, j
    cdef double scale
    for j in range(width):
        gradient[j] = product[j] = 0
    for i in range(rows):
        scale = 1 / sqrt(var[i] + eps)
        for j in range(width):
            gradient[j] += dy[i * c + j]
            product[j] += dy[i * c + j] * (scale * (x[i * c + j] - mean[i]))


cdef void dropout_forward(const real *x, double rate, real *y, uint64_t *used, uint64_t *state, Py_ssize_t size, int threads) noexcept nogil:
    used[0] = state[0]
    used[1] = state[1]
    state[1] += 1
    dropout_backward(x, <const uint64_t *>used, rate, y, size, threads)


cdef void dropout_backward(const real *dy, const uint64_t *used, double rate, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    cdef double threshold = rint(rate * 4294967296.0)
    cdef bint nothing = threshold >= 4294967296.0
    cdef uint32_t lowest = 0 if nothing else <uint32_t>threshold
    cdef real scale = <real>(0 if nothing else 1 / (1 - rate))
    if team(size, threads) == 1:
        _drop(dy, used[0], used[1], 0, lowest, scale, dx, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _drop(dy + at, used[0], used[1], at // 4, lowest, scale, dx + at, chunk_length(k, size))


cdef void _drop(const real *x, uint64_t seed, uint64_t step, uint64_t counter, uint32_t lowest, real scale, real *y,
                Py_ssize_t n) noexcept nogil:
    """Keep the elements whose word is at least `lowest`; the first element is word 0 of `counter`."""
    cdef uint32_t word[WORDS]
    cdef Py_ssize_t i, length, start = 0
    cdef real kept, zero = 0
    while start < n:
        length = min(<Py_ssize_t>WORDS, n - start)
        philox_words(counter + start // 4, step, seed, word, (length + 3) // 4)
        for i in range(length):
            kept = x[start + i] * scale  # read in any case: a read under a condition does not vectorize
            y[start + i] = kept if word[i] >= lowest else zero
        start += length


include "calls_norm.pxi"
