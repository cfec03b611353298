"""Softmax of a block of rows, in the steps that the activation and the losses share.

The exponential runs over the whole block at once, so that it fills vectors however few classes there are. A row of which all
elements are -inf, or one of them inf, has no softmax: it becomes NaN.
"""

from call cimport real
from sums cimport row_max, row_sum
from vmath cimport vexp

cdef enum:
    BLOCK_ELEMENTS = 4096  # what stays in the first cache, unless one row is longer
    BLOCK_ROWS = 64


cdef inline Py_ssize_t block_rows(Py_ssize_t c) noexcept nogil:
    """Rows of a block."""
    return max(1, min(<Py_ssize_t>BLOCK_ROWS, BLOCK_ELEMENTS // max(1, c)))


cdef inline void subtract_max(const real *x, real *y, Py_ssize_t rows, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real largest
    for i in range(rows):
        largest = row_max(x + i * c, c)
        for j in range(c):
            y[i * c + j] = x[i * c + j] - largest


cdef inline void exponentials(real *y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = vexp(y[i])


cdef inline void divide_by_sum(real *y, Py_ssize_t rows, Py_ssize_t c, double *total) noexcept nogil:
    """y /= the sum of its row; the sums go to `total`."""
    cdef Py_ssize_t i, j
    cdef real factor
    for i in range(rows):
        total[i] = row_sum(<const real *>y + i * c, c)
        factor = <real>(1 / total[i])
        for j in range(c):
            y[i * c + j] *= factor
