"""Moving data: gathering batches, changing layouts, accumulating."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t

from call cimport real
from parallel cimport CHUNK, chunk_length, chunks, team

cdef enum:
    TRANSPOSE_BLOCK = 16


cdef void transpose(const real *x, real *y, Py_ssize_t n, Py_ssize_t r, Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t task, strips = (r + TRANSPOSE_BLOCK - 1) // TRANSPOSE_BLOCK
    if team(n * r * c, threads) == 1:
        for task in range(n * strips):
            _transpose_strip(x + (task // strips) * r * c, y + (task // strips) * r * c, task % strips, r, c)
    else:
        for task in prange(n * strips, num_threads=threads, schedule="static"):
            _transpose_strip(x + (task // strips) * r * c, y + (task // strips) * r * c, task % strips, r, c)


cdef void _transpose_strip(const real *x, real *y, Py_ssize_t strip, Py_ssize_t r, Py_ssize_t c) noexcept nogil:
    # a strip of rows, in square blocks so that both sides stay in the cache
    cdef Py_ssize_t i, j, column = 0, row = strip * TRANSPOSE_BLOCK
    while column < c:
        if row + TRANSPOSE_BLOCK <= r and column + TRANSPOSE_BLOCK <= c:
            _transpose_block(x + row * c + column, y + column * r + row, r, c)
        else:
            for j in range(column, min(column + TRANSPOSE_BLOCK, c)):
                for i in range(row, min(row + TRANSPOSE_BLOCK, r)):
                    y[j * r + i] = x[i * c + j]
        column += TRANSPOSE_BLOCK


cdef inline void _transpose_block(const real *x, real *y, Py_ssize_t r, Py_ssize_t c) noexcept nogil:
    # loops of constant length: twice as fast
    cdef Py_ssize_t i, j
    for j in range(TRANSPOSE_BLOCK):
        for i in range(TRANSPOSE_BLOCK):
            y[j * r + i] = x[i * c + j]


ctypedef fused element:
    float
    double
    uint8_t


cdef void _rescale_row(const element *x, real scale, real offset, real *y, Py_ssize_t s) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(s):
        y[j] = <real>x[j] * scale + offset


cdef void _gather(const element *x, const int32_t *index, real scale, real offset, real *y, Py_ssize_t s, Py_ssize_t n,
                  int threads) noexcept nogil:
    cdef Py_ssize_t i
    if team(n * s, threads) == 1:
        for i in range(n):
            _rescale_row(x + index[i] * s, scale, offset, y + i * s, s)
    else:
        for i in prange(n, num_threads=threads, schedule="static"):
            _rescale_row(x + index[i] * s, scale, offset, y + i * s, s)


cdef void gather(const real *x, const int32_t *index, double scale, double offset, real *y,
                 Py_ssize_t r, Py_ssize_t s, Py_ssize_t n, int threads) noexcept nogil:
    _gather(x, index, <real>scale, <real>offset, y, s, n, threads)


cdef void gather_uint8(const uint8_t *x, const int32_t *index, double scale, double offset, real *y,
                       Py_ssize_t r, Py_ssize_t s, Py_ssize_t n, int threads) noexcept nogil:
    _gather(x, index, <real>scale, <real>offset, y, s, n, threads)


cdef void rescale(const real *x, double scale, double offset, real *y, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k
    if team(size, threads) == 1:
        _rescale_row(x, <real>scale, <real>offset, y, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            _rescale_row(x + k * CHUNK, <real>scale, <real>offset, y + k * CHUNK, chunk_length(k, size))


cdef void accumulate(const real *x, double scale, real *total, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k
    if team(size, threads) == 1:
        _accumulate(x, <real>scale, total, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            _accumulate(x + k * CHUNK, <real>scale, total + k * CHUNK, chunk_length(k, size))


cdef void _accumulate(const real *x, real scale, real *total, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        total[i] += scale * x[i]


cdef void add(const real *a, const real *b, real *y, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k
    if team(size, threads) == 1:
        _add(a, b, y, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            _add(a + k * CHUNK, b + k * CHUNK, y + k * CHUNK, chunk_length(k, size))


cdef void _add(const real *a, const real *b, real *y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = a[i] + b[i]


cdef void increment(double *count, int threads) noexcept nogil:
    count[0] += 1


include "calls_data.pxi"
