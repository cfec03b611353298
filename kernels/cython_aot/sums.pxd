"""Reductions of a contiguous row.

A compiler may not reorder a sum, so a sum that is to use vectors has to say so: LANES partial results side by side, joined at the
end. Sums are kept in double, whatever the row's type.
"""

from libc.math cimport INFINITY

from call cimport real

cdef enum:
    LANES = 16


cdef inline double joined(double *lane) noexcept nogil:
    """The sum of the lanes, in halves: 16, 8, 4, 2, 1."""
    cdef Py_ssize_t k
    for k in range(8):
        lane[k] += lane[k + 8]
    for k in range(4):
        lane[k] += lane[k + 4]
    return (lane[0] + lane[2]) + (lane[1] + lane[3])


cdef inline double row_sum(const real *x, Py_ssize_t n) noexcept nogil:
    cdef double lane[LANES]
    cdef Py_ssize_t i, k, whole = n - n % LANES
    cdef double tail = 0
    for i in range(whole, n):
        tail += x[i]
    if whole == 0:
        return tail
    for k in range(LANES):
        lane[k] = 0
    for i in range(whole // LANES):
        for k in range(LANES):
            lane[k] += x[i * LANES + k]
    return joined(lane) + tail


cdef inline double row_dot(const real *a, const real *b, Py_ssize_t n) noexcept nogil:
    cdef double lane[LANES]
    cdef Py_ssize_t i, k, whole = n - n % LANES
    cdef double tail = 0
    for i in range(whole, n):
        tail += <double>a[i] * b[i]
    if whole == 0:
        return tail
    for k in range(LANES):
        lane[k] = 0
    for i in range(whole // LANES):
        for k in range(LANES):
            lane[k] += <double>a[i * LANES + k] * b[i * LANES + k]
    return joined(lane) + tail


cdef inline double row_squares(const real *x, double center, Py_ssize_t n) noexcept nogil:
    """The sum of (x - center)**2."""
    cdef double lane[LANES]
    cdef Py_ssize_t i, k, whole = n - n % LANES
    cdef double tail = 0
    for i in range(whole, n):
        tail += (x[i] - center) * (x[i] - center)
    if whole == 0:
        return tail
    for k in range(LANES):
        lane[k] = 0
    for i in range(whole // LANES):
        for k in range(LANES):
            lane[k] += (x[i * LANES + k] - center) * (x[i * LANES + k] - center)
    return joined(lane) + tail


cdef inline double row_dot_centered(const real *a, const real *b, const real *x, double center, Py_ssize_t n) noexcept nogil:
    """The sum of a * b * (x - center)."""
    cdef double lane[LANES]
    cdef Py_ssize_t i, k, whole = n - n % LANES
    cdef double tail = 0
    for i in range(whole, n):
        tail += <double>a[i] * b[i] * (x[i] - center)
    if whole == 0:
        return tail
    for k in range(LANES):
        lane[k] = 0
    for i in range(whole // LANES):
        for k in range(LANES):
            lane[k] += <double>a[i * LANES + k] * b[i * LANES + k] * (x[i * LANES + k] - center)
    return joined(lane) + tail


cdef inline real row_max(const real *x, Py_ssize_t n) noexcept nogil:
    """The largest element, NaN left out; -inf if there is none."""
    cdef real lane[LANES]
    cdef Py_ssize_t i, k, whole = n - n % LANES
    cdef real candidate, largest = <real>(-INFINITY)
    if whole:
        for k in range(LANES):
            lane[k] = largest
        for i in range(whole // LANES):
            for k in range(LANES):
                candidate = x[i * LANES + k]
                lane[k] = candidate if candidate > lane[k] else lane[k]
        for k in range(LANES):
            largest = lane[k] if lane[k] > largest else largest
    for i in range(whole, n):
        candidate = x[i]
        largest = candidate if candidate > largest else largest
    return largest
