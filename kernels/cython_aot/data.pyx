"""Moving data: gathering batches, changing layouts, accumulating."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t

from call cimport fastnn_call, real

# Below this many elements a second thread costs more than it brings.
cdef enum:
    PARALLEL_ELEMENTS = 65536
    TRANSPOSE_BLOCK = 16


cdef void transpose(const real *x, real *y, Py_ssize_t n, Py_ssize_t r, Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t task, row_blocks = (r + TRANSPOSE_BLOCK - 1) // TRANSPOSE_BLOCK
    cdef int team = threads if n * r * c >= PARALLEL_ELEMENTS else 1
    for task in prange(n * row_blocks, num_threads=team, schedule="static"):
        _transpose_rows(x + (task // row_blocks) * r * c, y + (task // row_blocks) * r * c, task % row_blocks, r, c)


cdef inline void _transpose_rows(const real *x, real *y, Py_ssize_t block, Py_ssize_t r, Py_ssize_t c) noexcept nogil:
    # a strip of rows, in square blocks so that both sides stay in the cache
    cdef Py_ssize_t i, j, strip, first = block * TRANSPOSE_BLOCK, last = min(first + TRANSPOSE_BLOCK, r)
    for strip in range((c + TRANSPOSE_BLOCK - 1) // TRANSPOSE_BLOCK):
        for j in range(strip * TRANSPOSE_BLOCK, min((strip + 1) * TRANSPOSE_BLOCK, c)):
            for i in range(first, last):
                y[j * r + i] = x[i * c + j]


cdef void gather(const real *x, const int32_t *index, double scale, double offset, real *y,
                 Py_ssize_t r, Py_ssize_t s, Py_ssize_t n, int threads) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real factor = <real>scale, shift = <real>offset
    cdef int team = threads if n * s >= PARALLEL_ELEMENTS else 1
    for i in prange(n, num_threads=team, schedule="static"):
        for j in range(s):
            y[i * s + j] = x[index[i] * s + j] * factor + shift


cdef void gather_uint8(const uint8_t *x, const int32_t *index, double scale, double offset, real *y,
                       Py_ssize_t r, Py_ssize_t s, Py_ssize_t n, int threads) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real factor = <real>scale, shift = <real>offset
    cdef int team = threads if n * s >= PARALLEL_ELEMENTS else 1
    for i in prange(n, num_threads=team, schedule="static"):
        for j in range(s):
            y[i * s + j] = <real>x[index[i] * s + j] * factor + shift


cdef void accumulate(const real *x, double scale, real *total, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t i
    cdef real factor = <real>scale
    cdef int team = threads if size >= PARALLEL_ELEMENTS else 1
    for i in prange(size, num_threads=team, schedule="static"):
        total[i] += factor * x[i]


cdef void add(const real *a, const real *b, real *y, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t i
    cdef int team = threads if size >= PARALLEL_ELEMENTS else 1
    for i in prange(size, num_threads=team, schedule="static"):
        y[i] = a[i] + b[i]


cdef void increment(double *count, int threads) noexcept nogil:
    count[0] += 1


include "calls_data.pxi"
