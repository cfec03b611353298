"""What a replayed training step does around its arithmetic: take the next batch's samples and learning rate."""

from libc.stdint cimport int32_t
from libc.string cimport memcpy


cdef void begin_step(const int32_t *order, const double *rates, int32_t *index, double *lr, double *cursor,
                     Py_ssize_t t, Py_ssize_t s, Py_ssize_t n, int threads) noexcept nogil:
    cdef Py_ssize_t i, sample = <Py_ssize_t>cursor[0], step = <Py_ssize_t>cursor[1]
    for i in range(n):
        index[i] = order[(sample + i) % t]
    lr[0] = rates[min(step, s - 1)]
    cursor[0] += n
    cursor[1] += 1


cdef void gather_int32(const int32_t *x, const int32_t *index, int32_t *y,
                       Py_ssize_t r, Py_ssize_t s, Py_ssize_t n, int threads) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        memcpy(y + i * s, x + index[i] * s, s * sizeof(int32_t))


cdef void end_epoch(double *totals, double *log, double *row, Py_ssize_t k, Py_ssize_t e, int threads) noexcept nogil:
    cdef Py_ssize_t i, place = <Py_ssize_t>row[0] % e
    for i in range(k):
        log[place * k + i] = totals[2 * i] / totals[2 * i + 1] if totals[2 * i + 1] != 0 else 0
        totals[2 * i] = totals[2 * i + 1] = 0
    row[0] += 1


include "calls_step.pxi"
