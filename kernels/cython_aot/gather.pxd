"""Rows that are fetched from anywhere in memory."""

from libc.stdint cimport int32_t, uint8_t

from call cimport real
from gemm cimport LINE_BYTES

cdef extern from "fetch.h" nogil:
    void FASTNN_PREFETCH(const void *)

cdef enum:
    AHEAD_BYTES = 4096  # of rows that are on their way from memory while one is copied

ctypedef fused element:
    float
    double
    uint8_t


cdef inline void gather_rows(const element *x, const int32_t *index, real scale, real offset, real *y, Py_ssize_t pitch, Py_ssize_t s,
                             Py_ssize_t n) noexcept nogil:
    """y[i] = x[index[i]] * scale + offset for n rows of s elements; `pitch` elements from one row of x to the next."""
    cdef Py_ssize_t i, ahead = AHEAD_BYTES // (s * <Py_ssize_t>sizeof(element) + 1) + 1
    for i in range(n):
        if i + ahead < n:
            _fetch_row(x + index[i + ahead] * pitch, s)
        rescale_row(x + index[i] * pitch, scale, offset, y + i * s, s)


cdef inline void rescale_row(const element *x, real scale, real offset, real *y, Py_ssize_t s) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(s):
        y[j] = <real>x[j] * scale + offset


cdef inline void _fetch_row(const element *x, Py_ssize_t s) noexcept nogil:
    cdef Py_ssize_t j = 0
    while j < s:
        FASTNN_PREFETCH(x + j)
        j += LINE_BYTES // sizeof(element)
