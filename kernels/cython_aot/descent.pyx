"""Gradients that are subtracted from the weights as they are summed, as a step of SGD would, and written nowhere else."""

from libc.stdlib cimport free, malloc

from call cimport real
from dense cimport SMALL, outer, row_window, small_product
from gradient cimport Gradient, multiply_transposed

cdef void dense_descent(const real *x, const real *dy, const double *lr, real *w, real *b, Py_ssize_t n, Py_ssize_t k, Py_ssize_t m,
                        int threads) noexcept nogil:
    cdef real rate = <real>lr[0]
    cdef real *scaled = <real *>malloc(n * m * sizeof(real)) if n == 1 or n * k * m > SMALL else NULL
    cdef Py_ssize_t i
    if scaled == NULL:
        _descend_plainly(x, dy, rate, w, b, n, k, m)
        return
    for i in range(n * m):
        scaled[i] = -rate * dy[i]
    cdef Gradient gradient = Gradient(window=row_window(k), x_size=n * k, pixels=n, k=k, n=m, dy_pixel=m, dy_size=n * m, dw_row=m,
                                      added=True)
    if n == 1:
        outer(x, scaled, w, k, m, True)
        if b:
            for i in range(m):
                b[i] += scaled[i]
    else:
        multiply_transposed(x, scaled, w, b, &gradient, threads)
    free(scaled)


cdef inline void _descend_plainly(const real *x, const real *dy, real rate, real *w, real *b, Py_ssize_t n, Py_ssize_t k,
                                  Py_ssize_t m) noexcept nogil:
    cdef real change
    cdef real one = 1
    cdef Py_ssize_t i, j
    for i in range(k):
        for j in range(m):
            small_product(x + i, 1, k, dy + j, m, 1, <const real *>NULL, &change, 1, n, 1)
            w[i * m + j] -= rate * change
    if b:
        for j in range(m):
            small_product(&one, 0, 0, dy + j, m, 1, <const real *>NULL, &change, 1, n, 1)
            b[j] -= rate * change


include "calls_descent.pxi"
