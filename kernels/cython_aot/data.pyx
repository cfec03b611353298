"""Moving data: gathering batches, changing layouts, accumulating."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t

from call cimport real
from gather cimport element, gather_rows, rescale_row
from parallel cimport chunk_length, chunk_start, chunks, team
from transpose cimport transpose_rows

cdef enum:
    STRIP = 16  # rows of a task: in the result a cache line or two
    NARROW_STRIP = 1024  # of rows with less than 4 elements


cdef void transpose(const real *x, real *y, Py_ssize_t n, Py_ssize_t r, Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t strips = max(r // (STRIP if c >= 4 else NARROW_STRIP), 1), task
    if team(n * r * c, threads) == 1:
        for task in range(n * strips):
            _transpose_strip(x + task // strips * r * c, y + task // strips * r * c, task % strips, strips, r, c)
    else:
        for task in prange(n * strips, num_threads=threads, schedule="static"):
            _transpose_strip(x + task // strips * r * c, y + task // strips * r * c, task % strips, strips, r, c)


cdef inline void _transpose_strip(const real *x, real *y, Py_ssize_t strip, Py_ssize_t strips, Py_ssize_t r, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t length = STRIP if c >= 4 else NARROW_STRIP
    cdef Py_ssize_t first = strip * length, last = first + length if strip < strips - 1 else r
    transpose_rows(x + first * c, last - first, c, y + first, r)


cdef void _gather(const element *x, const int32_t *index, real scale, real offset, real *y, Py_ssize_t s, Py_ssize_t n,
                  int threads) noexcept nogil:
    cdef Py_ssize_t shares = team(n * s, threads), share, first
    if shares == 1:
        gather_rows(x, index, scale, offset, y, s, s, n)
    else:
        for share in prange(shares, num_threads=threads, schedule="static"):
            first = share * n // shares
            gather_rows(x, index + first, scale, offset, y + first * s, s, s, (share + 1) * n // shares - first)


cdef void gather(const real *x, const int32_t *index, double scale, double offset, real *y,
                 Py_ssize_t r, Py_ssize_t s, Py_ssize_t n, int threads) noexcept nogil:
    _gather(x, index, <real>scale, <real>offset, y, s, n, threads)


cdef void gather_uint8(const uint8_t *x, const int32_t *index, double scale, double offset, real *y,
                       Py_ssize_t r, Py_ssize_t s, Py_ssize_t n, int threads) noexcept nogil:
    _gather(x, index, <real>scale, <real>offset, y, s, n, threads)


cdef void rescale(const real *x, double scale, double offset, real *y, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        rescale_row(x, <real>scale, <real>offset, y, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            rescale_row(x + at, <real>scale, <real>offset, y + at, chunk_length(k, size))


cdef void accumulate(const real *x, double scale, real *total, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        _accumulate(x, <real>scale, total, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _accumulate(x + at, <real>scale, total + at, chunk_length(k, size))


cdef void _accumulate(const real *x, real scale, real *total, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        total[i] += scale * x[i]


cdef void add(const real *a, const real *b, real *y, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        _add(a, b, y, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _add(a + at, b + at, y + at, chunk_length(k, size))


cdef void _add(const real *a, const real *b, real *y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = a[i] + b[i]


cdef void increment(double *count, int threads) noexcept nogil:
    count[0] += 1


include "calls_data.pxi"
