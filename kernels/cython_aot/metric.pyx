"""Metrics of each sample, and the running sums that they are collected in."""

from libc.stdint cimport int32_t

from call cimport real


cdef inline Py_ssize_t _first_largest(const real *values, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t j, best = 0
    cdef bint found = False
    for j in range(c):
        # a NaN is never larger, and never the one to beat
        if values[j] == values[j] and (not found or values[j] > values[best]):
            best = j
            found = True
    return best


cdef void sparse_match(const real *pred, const int32_t *label, real *match, Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(m):
        match[i] = <real>(c > 0 and _first_largest(pred + i * c, c) == label[i])


cdef void categorical_match(const real *pred, const real *target, real *match, Py_ssize_t m, Py_ssize_t c,
                            int threads) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(m):
        match[i] = <real>(c > 0 and _first_largest(pred + i * c, c) == _first_largest(target + i * c, c))


cdef void binary_match(const real *pred, const real *target, double threshold, real *match, Py_ssize_t m, Py_ssize_t c,
                       int threads) noexcept nogil:
    cdef Py_ssize_t i, j, right
    cdef real limit = <real>threshold
    for i in range(m):
        right = 0
        for j in range(i * c, (i + 1) * c):
            right += <real>(pred[j] > limit) == target[j]
        match[i] = <real>(<double>right / c) if c > 0 else 0


cdef void collect_samples(const real *value, double *total, Py_ssize_t m, int threads) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(m):
        total[0] += value[i]
    total[1] += m


cdef void collect_mean(const real *value, double count, double *total, int threads) noexcept nogil:
    total[0] += <double>value[0] * count
    total[1] += count


include "calls_metric.pxi"
